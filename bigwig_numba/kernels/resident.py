"""Planning on the GPU, for blocks that live there: windows and leaves in, the table of blocks out.

The same as ``planning`` does on the CPU, but with a thread per (window, track) and no sorting: each thread finds its
run of leaves by bisection and marks them; a running sum over the marks numbers the blocks; a thread per leaf writes
the row of each marked one::

    leaves            0    1    2    3    4    5    6
    marked by runs         x    x         x              of [1, 3) and [4, 5)
    running sum       0    1    2    2    3    3    3    leaf 4 is block 2: the sum less one

=============  ==============  =======  ==================================================================
array          shape           dtype    what
=============  ==============  =======  ==================================================================
leaves         (4, L)          int64    per leaf of all files, see the rows below
first_leaf     (F + 1,)        int64    the leaves of file f are ``first_leaf[f]`` to ``first_leaf[f + 1]``
chromosomes    (3, C, F)       int64    genome start and end of a chromosome in a file (-1: not there), its id
file_facts     (2, F)          int64    capacity of a block (0: not compressed), byte order
files          (T,)            int64    the file of each track
queries        (4, S)          int64    per window: chromosome row, start, and the part that lies on it
marks          (3, L + 1)      uint32   per leaf: needed or not; where it may stop; bases needed of it.
                                        ``marks[NEEDED, L]``: whether a needed leaf is not at hand
numbers        (L + 1,)        int32    running sum of the first row
runs           (3, S, T)       int32    of leaves, then of blocks; chrom_id; see ``launch``
table          (9, K)          int64    see ``launch``
keys           (K,)            uint16   small for blocks that take long
block_leaves   (K,)            int64    leaf of each block
=============  ==============  =======  ==================================================================
"""

import numpy as np
from numba import cuda

from . import launch
from .planning import LARGEST_SECTION, first_above

STARTS, REACHES, SIZES, WORDS = range(4)  # rows of leaves; WORDS: where it is in the store, -1 if it is not
GENOME_START, GENOME_END, CHROM_ID = range(3)  # of chromosomes
CAPACITY, BIG_ENDIAN = range(2)  # of file_facts
ROW, START, CLIP_START, CLIP_END = range(4)  # of queries
NEEDED, STOP, BASES = range(3)  # of marks
NEVER_STOP = np.uint32(0xFFFFFFFF)
LARGEST_KEY = 0xFFFF


@cuda.jit
def find_leaves(leaves, first_leaf, chromosomes, files, queries, marks, runs):
    """Find the run of leaves of each (window, track), and mark them with what is needed of them."""
    n_windows, n_tracks = runs.shape[1], runs.shape[2]
    thread = np.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if thread < n_windows * n_tracks:
        window, track = thread // n_tracks, thread % n_tracks
        file, row = files[track], queries[ROW, window]
        genome_start, genome_end = chromosomes[GENOME_START, row, file], chromosomes[GENOME_END, row, file]
        start = genome_start + queries[CLIP_START, window]
        end = min(genome_start + queries[CLIP_END, window], genome_end)
        first, last = np.int64(0), np.int64(0)
        if start < end:  # not so where the file lacks the chromosome: both of its ends are -1
            low, high = first_leaf[file], first_leaf[file + 1]
            first = first_above(leaves[REACHES, low:high], 0, start, high - low)
            last = first_above(leaves[STARTS, low:high], first, end - 1, 1) + low
            first += low
            for leaf in range(first, last):
                leaf_start, reach = leaves[STARTS, leaf], leaves[REACHES, leaf]
                stop = np.uint32(queries[CLIP_END, window])
                if leaf_start < genome_start or reach > genome_end:
                    stop = NEVER_STOP  # it may be about another chromosome, where positions mean something else
                marks[NEEDED, leaf] = 1
                cuda.atomic.max(marks, (STOP, leaf), stop)
                cuda.atomic.max(marks, (BASES, leaf), np.uint32(max(min(end, reach) - leaf_start, 1)))
                if leaves[WORDS, leaf] < 0:
                    marks[NEEDED, leaves.shape[1]] = 1
        runs[launch.FIRST_BLOCK, window, track] = first
        runs[launch.LAST_BLOCK, window, track] = last
        runs[launch.CHROM_ID, window, track] = np.int32(np.uint32(chromosomes[CHROM_ID, row, file]))


@cuda.jit
def number_runs(numbers, runs):
    """Turn runs of leaves into runs of blocks."""
    n_windows, n_tracks = runs.shape[1], runs.shape[2]
    thread = np.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if thread < n_windows * n_tracks:
        window, track = thread // n_tracks, thread % n_tracks
        first, last = runs[launch.FIRST_BLOCK, window, track], runs[launch.LAST_BLOCK, window, track]
        if first < last:
            runs[launch.FIRST_BLOCK, window, track] = numbers[first] - 1
            runs[launch.LAST_BLOCK, window, track] = numbers[last - 1]


@cuda.jit
def list_blocks(leaves, first_leaf, file_facts, marks, numbers, slot_words, table, keys, block_leaves):
    """Write the table's row of each marked leaf."""
    leaf = np.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if leaf < leaves.shape[1] and marks[NEEDED, leaf] != 0:
        block = numbers[leaf] - 1
        file = first_above(first_leaf, 0, leaf, first_leaf.size) - 1
        size, capacity = leaves[SIZES, leaf], file_facts[CAPACITY, file]
        table[launch.SOURCE_WORD, block] = leaves[WORDS, leaf]
        table[launch.SIZE, block] = size
        table[launch.CAPACITY, block] = min(capacity, LARGEST_SECTION) if capacity > 0 else size
        table[launch.STOP, block] = marks[STOP, leaf]
        table[launch.COMPRESSED, block] = capacity > 0
        table[launch.BIG_ENDIAN, block] = file_facts[BIG_ENDIAN, file]
        table[launch.BASE, block] = block * slot_words
        table[launch.FOLLOWS, block] = leaf > first_leaf[file] and marks[NEEDED, leaf - 1] != 0
        table[launch.ORDER, block] = block
        block_leaves[block] = leaf
        span = leaves[REACHES, leaf] - leaves[STARTS, leaf]
        work = size
        if marks[STOP, leaf] != NEVER_STOP and span > 0:
            work = size * min(np.int64(marks[BASES, leaf]), span) // span
        keys[block] = np.uint16(LARGEST_KEY - min(work >> 2, LARGEST_KEY))


@cuda.jit
def copy_to_device(store, table, targets, data):
    """A warp per block: copy it from pinned memory, too far away to decode from, to ``targets`` in ``data``."""
    thread = np.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    block, lane = thread // launch.LANES, thread % launch.LANES
    if block < table.shape[1]:
        source, target = table[launch.SOURCE_WORD, block], targets[block]
        word = lane
        while source >= 0 and word < (table[launch.SIZE, block] + 3) // 4:
            data[target + word] = store[source + word]
            word += launch.LANES
