"""The CUDA kernel that finds runs of intervals: a thread per block, a thin shell around ``intervals``."""

import numpy as np
from numba import cuda

from .intervals import find_runs_of_block
from .launch import BASE, BIG_ENDIAN, COUNT


@cuda.jit
def find_interval_runs(
    table, words, results, block_tracks, scales, first_ids, chromosomes, ids, threshold, has_threshold, gap, first,
    stop, cuts, writing, places, starts, ends, values,
):  # fmt: skip
    """Count the runs of each block, or write them. Rows of ``chromosomes``: offsets, lengths; of ``cuts``: both ends.

    Neighbouring threads read sections that are far apart, but each reads its own from front to back: a sector that one
    item brings into the cache serves the next ones.
    """
    block = np.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    live = block < block_tracks.size
    if not live:
        block = np.int64(0)
    count = np.uint32(0)
    if live:
        count = np.uint32(results[COUNT, block])
    n_runs = find_runs_of_block(
        words, np.uint64(table[BASE, block]), count, table[BIG_ENDIAN, block] != 0, block_tracks[block], scales,
        first_ids, ids, chromosomes[0], chromosomes[1], threshold, has_threshold != 0, gap, first, stop, cuts[0],
        cuts[1], writing != 0, places[block], starts, ends, values,
    )  # fmt: skip
    if live and writing == 0:
        places[block] = n_runs
