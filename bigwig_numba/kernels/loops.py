"""The CPU's kernels: loops over a range of blocks or of (window, track) pairs, thin shells around the device functions.

Each takes a range [first, last), so that threads can share the work; the arrays are those of ``launch``, one by one.
"""

import functools

import numpy as np

from .inflate.table import inflate_blocks
from .inflate.table_codes import make_tables
from .jit import njit
from .sections import check_section, follows, item_end, item_start, item_value, section_type, word_at
from .statistic import Statistic
from .statuses import ITEMS_OUT_OF_ORDER
from .windows import FLOAT32, make_reduce_bins, write_value

_BLOCKS_AT_A_TIME = 64  # inflated before they are checked, while caches hold them


@njit(nogil=True, cache=True)
def inflate_range(
    first, last, data, offsets, sizes, compressed, capacities, stops, big_endian, verify, output, words, bases,
    counts, statuses
):  # fmt: skip
    """Inflate blocks and check their sections. Writes words, counts and statuses."""
    tables = make_tables()
    lengths, ends = np.empty(_BLOCKS_AT_A_TIME, np.int64), np.empty(_BLOCKS_AT_A_TIME, np.int64)
    for begin in range(first, last, _BLOCKS_AT_A_TIME):
        some = slice(begin, min(last, begin + _BLOCKS_AT_A_TIME))
        starts = bases[some].astype(np.int64) * 4
        inflate_blocks(
            data, offsets[some], sizes[some], compressed[some], output, starts, capacities[some], stops[some],
            big_endian[some], verify, tables, statuses[some], lengths, ends,
        )  # fmt: skip
        for block in range(some.start, some.stop):
            counts[block] = 0
            if statuses[block] == 0:
                statuses[block], counts[block] = check_section(
                    words, bases[block], np.uint32(lengths[block - begin]), ends[block - begin] > 0, big_endian[block]
                )


@njit(nogil=True, cache=True)
def check_neighbours(first, last, words, bases, counts, big_endian, block_follows, statuses):
    """Blocks of a file must not overlap either; only the status tells, as neighbours are being looked at."""
    for block in range(first, last):
        if block_follows[block] and counts[block] > 0:
            previous = block - 1
            while counts[previous] == 0 and block_follows[previous]:  # an empty one says nothing
                previous -= 1
            if not follows(
                words, bases[block], counts[block], big_endian[block], bases[previous], counts[previous],
                big_endian[previous],
            ):  # fmt: skip
                statuses[block] = ITEMS_OUT_OF_ORDER


_TILE_TRACKS, _TILE_BINS = 16, 1024  # bins made side by side before they are written: 64 KB, which caches hold
_PITCH = _TILE_BINS + 16  # values of a row: rows a power of two apart would share one line of the cache


@njit(nogil=True, cache=True)
def _write_tile(tile, n_rows, n_columns, n_statistics, single, half, dtype, place, stride):
    """Write the rows of a tile, column by column. What the type is is asked once: it makes a loop a fifth quicker."""
    if dtype == FLOAT32:
        for column in range(n_columns):
            for row in range(n_rows):
                for number in range(n_statistics):
                    source = np.uint64((row * _PITCH + column) * n_statistics + number)
                    single[np.uint64(place + row * n_statistics + number)] = tile[source]
            place += stride
    else:
        for column in range(n_columns):
            for row in range(n_rows):
                for number in range(n_statistics):
                    source = np.uint64((row * _PITCH + column) * n_statistics + number)
                    write_value(single, half, np.uint64(place + row * n_statistics + number), tile[source], dtype)
            place += stride


@functools.lru_cache(maxsize=64)
def make_reduce_range(statistic: Statistic | tuple[Statistic, ...]):
    """The function that reduces a range of (window, track) pairs with this statistic; compiled when first called.

    Neighbouring bins of a track lie far apart in the output, those of neighbouring tracks side by side. So tracks are
    filled as rows of a tile, which is written out column by column.
    """
    reduce_bins = make_reduce_bins(statistic)
    n_statistics = len(statistic) if isinstance(statistic, tuple) else 1

    @njit(nogil=True)
    def reduce_range(
        first, last, words, bases, counts, big_endian, first_blocks, last_blocks, chrom_ids, window_starts, clip_starts,
        clip_ends, n_bins, window_size, scales, default, single, half, dtype, first_place, stride,
    ):  # fmt: skip
        n_tracks = scales.size
        tile = np.empty(_TILE_TRACKS * _PITCH * n_statistics, np.float32)
        pair = first
        while pair < last:
            window, track = pair // n_tracks, pair % n_tracks
            many = min(_TILE_TRACKS, n_tracks - track, last - pair)
            for first_bin in range(0, n_bins, _TILE_BINS):
                some = min(_TILE_BINS, n_bins - first_bin)
                for row in range(many):
                    reduce_bins(
                        words, bases, counts, big_endian, first_blocks[window, track + row],
                        last_blocks[window, track + row], chrom_ids[window, track + row],
                        window_starts[window] + first_bin * window_size, clip_starts[window], clip_ends[window], some,
                        window_size, scales[track + row], default, tile, half, FLOAT32, row * _PITCH, 1,
                    )  # fmt: skip
                place = (first_place + (window * n_bins + first_bin) * stride + track) * n_statistics
                _write_tile(tile, many, some, n_statistics, single, half, dtype, place, stride * n_statistics)
            pair += many

    return reduce_range


@njit(nogil=True, cache=True)
def expand_range(first, last, words, bases, counts, big_endian, places, chrom_ids, starts, ends, values, blocks):
    """Write the items of blocks, block by block, from ``places[block]`` on."""
    for block in range(first, last):
        base, swapped = bases[block], big_endian[block]
        place = places[block]
        for index in range(counts[block]):
            kind = section_type(words, base, swapped)
            start = item_start(words, base, kind, np.uint32(index), swapped)
            blocks[place] = block
            chrom_ids[place] = word_at(words, base, swapped)
            starts[place] = start
            ends[place] = item_end(words, base, kind, np.uint32(index), start, swapped)
            values[place] = item_value(words, base, kind, np.uint32(index), swapped)
            place += 1
