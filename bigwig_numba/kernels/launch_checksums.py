"""The CUDA kernel that compares checksums, for who asks for it. See ``launch`` for the arrays."""

import numpy as np
from numba import cuda

from .checksums import adler_32, stored_checksum
from .launch import BASE, COUNT, END, LANES, N_BYTES, SOURCE_WORD, STATUS
from .statuses import CHECKSUM_MISMATCH


@cuda.jit
def check_checksums(data, table, words, results, n_blocks):
    """A warp per block that was inflated to its end: compare its checksum with that of the bytes that came out."""
    thread = np.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    block, lane = np.uint32(thread // LANES), np.uint32(thread % LANES)
    if block < n_blocks:
        end = np.uint32(results[END, block])
        if end > 0:
            base, n_bytes = np.uint64(table[BASE, block]), np.uint32(results[N_BYTES, block])
            checksum = adler_32(words, base, n_bytes, lane, np.uint32(LANES))
            if lane == 0 and checksum != stored_checksum(data, np.uint64(table[SOURCE_WORD, block]), end):
                results[STATUS, block] = CHECKSUM_MISMATCH
                results[COUNT, block] = 0
