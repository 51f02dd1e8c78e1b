"""The CUDA kernel around a decoder of one's own: a stream a thread. See ``launch`` for the arrays."""

import functools

import numpy as np
from numba import cuda

from .launch import BASE, BIG_ENDIAN, CAPACITY, COMPRESSED, COUNT, ORDER, SIZE, SOURCE_WORD, STATUS
from .sections import usable_items
from .statuses import GOOD
from .swapping import InflateKernel


@functools.lru_cache(maxsize=64)
def make_inflate_by_thread(kernel: InflateKernel):
    """The kernel that inflates places [first, last) of the order, each by one thread that calls ``decode``."""
    decode, scratch_words = kernel.decode, kernel.scratch_words

    @cuda.jit
    def inflate_by_thread(data, table, words, results, first, last):
        scratch = cuda.local.array(scratch_words, np.int32)
        place = first + np.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
        if place < last:
            block = table[ORDER, place]
            source, size, base = table[SOURCE_WORD, block], table[SIZE, block], table[BASE, block]
            status, n_bytes = 0, size
            if table[COMPRESSED, block] != 0:
                status, n_bytes = decode(data, source, size, words, base, table[CAPACITY, block], scratch)
            else:
                for word in range((size + 3) // 4):
                    words[base + word] = data[source + word]
            count = np.uint32(0)
            checked = np.int32(status)
            if checked == GOOD:
                big_endian = table[BIG_ENDIAN, block] != 0
                checked, count = usable_items(words, np.uint64(base), np.uint32(n_bytes), True, big_endian)
            results[STATUS, block] = checked
            results[COUNT, block] = count

    return inflate_by_thread
