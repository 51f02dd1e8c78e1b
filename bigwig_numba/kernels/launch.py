"""The CUDA kernels: thin shells that find out which stream, section or bins a thread has and call the device functions.

=============  ============  =======  ====================================================================
array          shape         dtype    what
=============  ============  =======  ====================================================================
data           (N / 4,)      uint32   compressed blocks, each from a word of its own
table          (9, K)        int64    per block, see the rows below
words          (W,)          uint32   inflated blocks, each in a slot of ``slot_words``, from a multiple of 4 on
results        (4, K)        int32    per block, see the rows below
runs           (3, S, T)     int32    per (window, track): first block, last block, chrom_id
windows        (3, S)        int64    per window: start, and the part [start, end) that lies on the chromosome
scales         (T,)          float32  per track
single, half   (S * B * T,)  float32  the output, or its 16-bit form (uint16); the other one is empty. The batch's
                                      values begin at ``first_place``, bins are ``stride`` tracks apart
=============  ============  =======  ====================================================================

One table instead of eight arrays: an array is seven arguments at each launch.
"""

import numpy as np
from numba import cuda, njit, types

from .bits import add, band, shr
from .inflate.lane import OUTPUT_SLACK, inflate_lane
from .inflate.lane_codes import DISTANCE_WORDS_PER_LANE, LENGTHS_PER_LANE, N_LANES, SYMBOLS_PER_LANE, WORDS_PER_LANE
from .inflate.warp import inflate_warp
from .inflate.warp_layout import (
    DISTANCE_ENTRIES,
    ENTRIES_PER_WARP,
    LITERAL_ENTRIES,
    MADE_PER_WARP,
    N_WARPS,
    STAGED_WORDS,
    WORDS_PER_WARP,
)
from .sections import are_ordered, follows, item_end, item_start, section_type, usable_items
from .statistics import Statistic
from .statuses import GOOD, ITEMS_OUT_OF_ORDER
from .warps import anchored, shuffle, sync_warp, vote_any
from .windows import BFLOAT16, FLOAT32, make_fill_bins, place_bins, seek_items, write_value

# Rows of the table. ORDER: blocks by size, the longest first, so that the lanes of a warp end together.
SOURCE_WORD, SIZE, CAPACITY, STOP, COMPRESSED, BIG_ENDIAN, BASE, FOLLOWS, ORDER = range(9)
TABLE_ROWS = 9
# Rows of results. COUNT: items that can be read. N_BYTES: bytes that came out. END: bytes of the zlib stream before its
# checksum; 0 where decoding did not get there, or there is none.
STATUS, COUNT, N_BYTES, END = range(4)
RESULT_ROWS = 4
FIRST_BLOCK, LAST_BLOCK, CHROM_ID = range(3)  # rows of runs
START, CLIP_START, CLIP_END = range(3)  # rows of windows

LANES = 32
SLACK_WORDS = OUTPUT_SLACK // 4
_SYMBOL_BYTES = N_LANES * SYMBOLS_PER_LANE
_SHARED_WORDS = N_LANES * WORDS_PER_LANE
_DISTANCE_WORDS = N_LANES * DISTANCE_WORDS_PER_LANE


def slot_words(capacity: int) -> int:
    """Words of a block's slot: what it may inflate to and what may be written behind, by 16 bytes at a time."""
    return (capacity + 15) // 16 * 4 + SLACK_WORDS


@cuda.jit
def inflate_blocks_by_lane(data, table, words, results, first):
    """Inflate block number ``first + i`` of the order on lane i, ``N_LANES`` lanes a CUDA block. Writes all results."""
    symbols = anchored(cuda.shared.array(_SYMBOL_BYTES, np.uint8))
    shared_words = anchored(cuda.shared.array(_SHARED_WORDS, np.uint32))
    distance_words = anchored(cuda.shared.array(_DISTANCE_WORDS, np.uint8))
    lengths = cuda.local.array(LENGTHS_PER_LANE, np.uint8)
    lane = cuda.threadIdx.x
    place = first + cuda.blockIdx.x * N_LANES + lane
    live = place < table.shape[1]
    block = np.uint32(0)
    if live:
        block = np.uint32(table[ORDER, place])
    source, base = np.uint64(table[SOURCE_WORD, block]), np.uint64(table[BASE, block])
    size, big_endian = np.uint32(table[SIZE, block]), table[BIG_ENDIAN, block] != 0
    compressed = live and table[COMPRESSED, block] != 0
    status, n_bytes, end = inflate_lane(
        data, source, size, words, base, np.uint32(table[CAPACITY, block]), np.uint32(table[STOP, block]), big_endian,
        symbols, shared_words, distance_words, lengths, np.uint32(lane), compressed,
    )  # fmt: skip
    if live:
        if not compressed:
            n_bytes = size
            for word in range((size + 3) // 4):
                words[base + np.uint64(word)] = data[source + np.uint64(word)]
        count = np.uint32(0)
        if status == GOOD:
            status, count = usable_items(words, base, n_bytes, end > 0 or not compressed, big_endian)
        results[STATUS, block] = status
        results[COUNT, block] = count
        results[N_BYTES, block] = n_bytes
        results[END, block] = end


@cuda.jit
def inflate_blocks_by_warp(data, table, words, results, n_blocks):
    """Inflate block number i of the order on warp i, ``N_WARPS`` of them a CUDA block. Writes all results.

    A warp's number is what all its lanes are told by the first: otherwise the assembler takes it for something that may
    differ between them, and guards each of their meetings (72 registers and 4,960 instructions became 127 and 6,520).
    """
    thread = np.uint32(cuda.threadIdx.x)
    warp, lane = shuffle(shr(thread, np.uint32(5)), np.uint32(0)), band(thread, np.uint32(31))
    literal_table = anchored(cuda.shared.array((N_WARPS, LITERAL_ENTRIES), np.uint16)[warp])
    distance_table = anchored(cuda.shared.array((N_WARPS, DISTANCE_ENTRIES), np.uint16)[warp])
    made = anchored(cuda.shared.array((N_WARPS, MADE_PER_WARP), np.uint16)[warp])
    staged = anchored(cuda.shared.array((N_WARPS, STAGED_WORDS), np.uint32)[warp])
    entries = anchored(cuda.shared.array((N_WARPS, ENTRIES_PER_WARP), np.uint16)[warp])
    shared_words = anchored(cuda.shared.array((N_WARPS, WORDS_PER_WARP), np.uint32)[warp])
    place = cuda.blockIdx.x * N_WARPS + warp
    if place < n_blocks:
        block = np.uint32(table[ORDER, place])
        source, base = np.uint64(table[SOURCE_WORD, block]), np.uint64(table[BASE, block])
        size, big_endian = np.uint32(table[SIZE, block]), table[BIG_ENDIAN, block] != 0
        status, n_bytes, end = GOOD, size, np.uint32(0)
        if table[COMPRESSED, block] != 0:
            status, n_bytes, end = inflate_warp(
                data, source, size, words, base, np.uint32(table[CAPACITY, block]), np.uint32(table[STOP, block]),
                big_endian, literal_table, distance_table, made, staged, entries, shared_words, lane, np.uint32(LANES),
            )  # fmt: skip
        else:
            word = lane
            while word < (size + 3) // 4:
                words[base + np.uint64(word)] = data[source + np.uint64(word)]
                word = np.uint32(word + LANES)
        sync_warp()
        if lane == 0:
            count = np.uint32(0)
            if status == GOOD:
                is_whole = end > 0 or table[COMPRESSED, block] == 0
                status, count = usable_items(words, base, n_bytes, is_whole, big_endian)
            results[STATUS, block] = status
            results[COUNT, block] = count
            results[N_BYTES, block] = n_bytes
            results[END, block] = end


@cuda.jit
def check_order(table, words, results, n_blocks):
    """A warp per block: do its items follow each other, and those of the block before? Lanes look at neighbours."""
    thread = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    block, lane = np.uint32(thread // LANES), np.uint32(thread % LANES)
    if block < n_blocks:
        count = np.uint32(results[COUNT, block])
        if count > 0:
            base = np.uint64(table[BASE, block])
            big_endian = table[BIG_ENDIAN, block] != 0
            kind = section_type(words, base, big_endian)
            damaged = False
            if lane == 0 and table[FOLLOWS, block] != 0:
                previous = block - np.uint32(1)
                while results[COUNT, previous] == 0 and table[FOLLOWS, previous] != 0:  # an empty one says nothing
                    previous -= np.uint32(1)
                damaged = not follows(
                    words, base, count, big_endian, np.uint64(table[BASE, previous]),
                    np.uint32(results[COUNT, previous]), table[BIG_ENDIAN, previous] != 0,
                )  # fmt: skip
            index = lane
            while index < count:
                if index + 1 < count:
                    damaged = damaged or not are_ordered(words, base, kind, index, big_endian)
                else:
                    start = item_start(words, base, kind, index, big_endian)
                    damaged = damaged or item_end(words, base, kind, index, start, big_endian) < start
                index = np.uint32(index + LANES)
            if vote_any(damaged) and lane == 0:
                results[STATUS, block] = ITEMS_OUT_OF_ORDER
                results[COUNT, block] = 0


REDUCE_ARGUMENTS = (
    types.int64[:, ::1], types.uint32[::1], types.int32[:, ::1], types.int32[:, :, ::1], types.int64[:, ::1],
    types.float32[::1], types.float32[::1], types.uint16[::1], types.int64, types.int64, types.int64, types.float32,
    types.int64, types.int64, types.int64,
)  # fmt: skip
"""Numba's types of the arguments of ``reduce_windows``, as the engine launches it."""


REDUCE_THREADS = 128  # of a CUDA block
_COLUMN_VALUES = 16  # of a thread, in shared memory, 32 at most; what that takes, the cache of items lacks


def _make_write_column(column_bins: int, n_statistics: int):
    """The device function that writes a thread's column to the output, where bins are ``stride`` values apart."""
    row_cells = REDUCE_THREADS * n_statistics

    @njit
    def write_rows(column, first_cell, n_rows, marks, single, half, dtype, first_place, stride):
        for number in range(n_statistics):
            value, place = np.float32(0), first_place + np.uint64(number)
            for row in range(n_rows):
                if band(shr(marks, np.uint32(row)), np.uint32(1)) != 0:
                    value = column[add(first_cell, np.uint32(row * row_cells + number))]
                write_value(single, half, place, value, dtype)
                place += stride

    @njit
    def write_column(column, first_cell, n_rows, marks, single, half, dtype, place, stride):
        # With constants, the compiler writes out the loop: five instructions a bin instead of twenty.
        if n_rows == column_bins and dtype == FLOAT32:
            write_rows(column, first_cell, column_bins, marks, single, half, FLOAT32, place, stride)
        elif n_rows == column_bins and dtype == BFLOAT16:
            write_rows(column, first_cell, column_bins, marks, single, half, BFLOAT16, place, stride)
        else:
            write_rows(column, first_cell, n_rows, marks, single, half, dtype, place, stride)

    return write_column


def make_reduce_windows(statistic: Statistic | tuple[Statistic, ...]):
    """The kernel that fills the bins of all windows and tracks with this statistic.

    A thread makes ``bins_per_thread`` neighbouring bins of one window of one track. Neighbouring threads have
    neighbouring tracks, the last axis, but each walks items of its own and is soon bins ahead of its neighbours. So
    it works in turns. First each thread makes a few bins, a column in shared memory, of which it writes and marks only
    those that differ from the one before. Then the threads of a warp go down their columns in step, and neighbours
    write neighbouring elements, in whole sectors::

                    t0    t1    t2                      t0    t1    t2
        shared bin 0 | 5.0*| 0.0*| 7.1*|     out   bin 0 | 5.0 | 0.0 | 7.1 |   in one transaction
               bin 1 |     |     | 2.5*|           bin 1 | 5.0 | 0.0 | 2.5 |
               bin 2 |     | 3.0*|     |           bin 2 | 5.0 | 3.0 | 2.5 |

    Items thus cost as many turns as the thread with the most of them has, and bins five instructions each.
    """
    fill_bins = make_fill_bins(statistic, mark=True)
    n_statistics = len(statistic) if isinstance(statistic, tuple) else 1
    column_bins = max(1, _COLUMN_VALUES // n_statistics)
    write_column = _make_write_column(column_bins, n_statistics)
    n_shared = REDUCE_THREADS * column_bins * n_statistics

    @cuda.jit
    def reduce_windows(
        table, words, results, runs, windows, scales, single, half, n_bins, bins_per_thread, window_size, default,
        dtype, first_place, stride,
    ):  # fmt: skip
        column = cuda.shared.array(n_shared, np.float32)
        n_windows, n_tracks = runs.shape[1], runs.shape[2]
        n_pieces = (n_bins + bins_per_thread - 1) // bins_per_thread
        thread = np.int64(cuda.blockIdx.x) * REDUCE_THREADS + cuda.threadIdx.x
        if thread < n_windows * n_pieces * n_tracks:
            track, piece = thread % n_tracks, thread // n_tracks
            window, first_bin = piece // n_pieces, piece % n_pieces * bins_per_thread
            many = min(bins_per_thread, n_bins - first_bin)
            left = windows[START, window] + first_bin * window_size
            clip_start, clip_end = windows[CLIP_START, window], windows[CLIP_END, window]
            last_block, chrom_id = runs[LAST_BLOCK, window, track], np.uint32(runs[CHROM_ID, window, track])
            cursor = seek_items(
                words, table[BASE], results[COUNT], table[BIG_ENDIAN], runs[FIRST_BLOCK, window, track], last_block,
                chrom_id, max(left, clip_start),
            )  # fmt: skip
            bins = place_bins(left, clip_start, clip_end, many, window_size)
            place = np.uint64((first_place + (window * n_bins + first_bin) * stride + track) * n_statistics)
            row_values, first_cell = np.uint64(stride * n_statistics), np.uint32(cuda.threadIdx.x * n_statistics)
            while many > 0:
                some = min(many, column_bins)
                cursor, bins, marks = fill_bins(
                    words, table[BASE], results[COUNT], table[BIG_ENDIAN], last_block, chrom_id, cursor, bins,
                    some, window_size, scales[track], default, column, half, FLOAT32, cuda.threadIdx.x, REDUCE_THREADS,
                )  # fmt: skip
                sync_warp()
                write_column(column, first_cell, np.uint32(some), marks, single, half, dtype, place, row_values)
                place += np.uint64(some) * row_values
                many -= some

    return reduce_windows
