"""Items -> bins of one (window, track): find the first item, then walk items and bins together, left to right.

::

    bins      |    0    |    1    |    2    |    3    |
    items   [======)   [==)[=====)      [=========)
                  ^ found by bisection, first over the blocks of the run, then over the items of one block

A thread makes ``n_bins`` neighbouring bins of one window of one track. On the CPU these are all bins of the window; on
the GPU a few, so that there are threads enough. What it stands at is a cursor: the block, the item, and what was read.

=============  ======  =======  ==================================================================
array          shape   dtype    what
=============  ======  =======  ==================================================================
words          (W,)    uint32   inflated blocks
bases          (K,)    uint64   word at which a block begins
counts         (K,)    uint32   items that can be read from it; 0 for a damaged block
big_endian     (K,)    bool     byte order of its words
=============  ======  =======  ==================================================================
"""

import numpy as np
from numba import njit

from .sections import item_end, item_start, item_value, section_type, word_at
from .statistic import Statistic, device_functions

_U = np.uint32
_W = np.uint64


@njit(nogil=True)
def _begins_after(words, base, big_endian, chrom_id, position):
    """Whether a section with items lies wholly after ``position`` of the chromosome."""
    section_chrom_id = word_at(words, base, big_endian)
    start = item_start(words, base, section_type(words, base, big_endian), _U(0), big_endian)
    return section_chrom_id > chrom_id or (section_chrom_id == chrom_id and np.int64(start) > position)


@njit(nogil=True)
def _seek_block(words, bases, counts, big_endian, first, last, chrom_id, position):
    """The last block of the run that has items and does not begin after ``position``; the first where there is none."""
    low, high = first, last
    while low < high:
        middle = (low + high) // 2
        probe = middle
        while probe > low and counts[probe] == 0:  # a section without items may claim any range: do not ask it
            probe -= 1
        if counts[probe] > 0 and _begins_after(words, _W(bases[probe]), big_endian[probe], chrom_id, position):
            high = probe
        else:
            low = middle + 1
    found = max(first, low - 1)
    while found > first and counts[found] == 0:
        found -= 1
    return found


@njit(nogil=True)
def _seek_item(words, base, count, big_endian, position):
    """The first item of a section that ends after ``position`` (``count`` if none does)."""
    kind = section_type(words, base, big_endian)
    low, high = _U(0), count
    while low < high:
        middle = _U((low + high) >> _U(1))
        start = item_start(words, base, kind, middle, big_endian)
        if np.int64(item_end(words, base, kind, middle, start, big_endian)) > position:
            high = middle
        else:
            low = _U(middle + _U(1))
    return low


@njit(nogil=True, forceinline=True)
def _open_block(words, bases, counts, big_endian, block, last, chrom_id):
    """The first block from this one on that has items on the chromosome: its number, and what reading them takes.

    (block, count, base, kind, big_endian); ``last`` and no items where there is none.
    """
    count, base, kind, swapped = _U(0), _W(0), _U(0), False
    while block < last and count == _U(0):
        base, swapped = _W(bases[block]), big_endian[block] != 0
        if counts[block] > 0 and word_at(words, base, swapped) == chrom_id:
            count, kind = _U(counts[block]), _U(section_type(words, base, swapped))
        else:
            block += 1
    return block, count, base, kind, swapped


@njit(nogil=True, forceinline=True)
def _read_item(words, base, kind, index, big_endian):
    """start, end (int64) and value of an item."""
    start = item_start(words, base, kind, index, big_endian)
    end = item_end(words, base, kind, index, start, big_endian)
    return np.int64(start), np.int64(end), item_value(words, base, kind, index, big_endian)


@njit(nogil=True)
def seek_items(words, bases, counts, big_endian, first, last, chrom_id, position):
    """A cursor at the first item of a run of blocks that ends after ``position``.

    (block, index, count, base, kind, big_endian, start, end, value): the block, the item's number in it, what is known
    of the block, and the item. Beyond the last item, ``block`` is ``last``.
    """
    block = _seek_block(words, bases, counts, big_endian, first, last, chrom_id, position)
    index = _U(0)
    if block < last and word_at(words, _W(bases[block]), big_endian[block]) == chrom_id:
        index = _seek_item(words, _W(bases[block]), _U(counts[block]), big_endian[block], position)
        if index == _U(counts[block]):  # all of its items end earlier
            block += 1
            index = _U(0)
    block, count, base, kind, swapped = _open_block(words, bases, counts, big_endian, block, last, chrom_id)
    start, end, value = np.int64(0), np.int64(0), np.float32(0)
    if block < last:
        start, end, value = _read_item(words, base, kind, index, swapped)
    return block, index, count, base, kind, swapped, start, end, value


@njit(nogil=True, forceinline=True)
def _next_item(words, bases, counts, big_endian, last, chrom_id, block, index, count, base, kind, swapped):
    """The cursor, moved on by one item."""
    index = _U(index + _U(1))
    if index >= count:
        block, count, base, kind, swapped = _open_block(words, bases, counts, big_endian, block + 1, last, chrom_id)
        index = _U(0)
    start, end, value = np.int64(0), np.int64(0), np.float32(0)
    if block < last:
        start, end, value = _read_item(words, base, kind, index, swapped)
    return block, index, count, base, kind, swapped, start, end, value


@njit(nogil=True)
def float16_bits(value):
    """The bits of a float32 rounded to float16: nearest, ties to even, NaN kept (IEEE 754)."""
    bits = np.float32(value).view(np.uint32)
    sign = np.int64(bits >> 16) & 0x8000
    magnitude = np.int64(bits) & 0x7FFFFFFF
    if magnitude > 0x7F800000:
        return np.uint16(sign | 0x7E00)
    if magnitude >= 0x47800000:  # 65,536 and more, infinity; 65,520 to 65,536 round up to infinity below
        return np.uint16(sign | 0x7C00)
    if magnitude < 0x38800000:  # below 2**-14: subnormal, in units of 2**-24
        shift = 126 - (magnitude >> 23)
        if shift > 25:
            return np.uint16(sign)
        mantissa = (magnitude & 0x7FFFFF) | 0x800000
        half, kept = 1 << (shift - 1), mantissa >> shift
        rest = mantissa & ((1 << shift) - 1)
        if rest > half or (rest == half and kept & 1):
            kept += 1
        return np.uint16(sign | kept)
    rounded = magnitude - 0x38000000 + 0xFFF + (magnitude >> 13 & 1)
    return np.uint16(sign | rounded >> 13)


@njit(nogil=True)
def bfloat16_bits(value):
    """The bits of a float32 rounded to bfloat16, its upper half: nearest, ties to even, NaN kept."""
    bits = np.int64(np.float32(value).view(np.uint32))
    if bits & 0x7FFFFFFF > 0x7F800000:
        return np.uint16(bits >> 16 | 0x40)
    return np.uint16((bits + 0x7FFF + (bits >> 16 & 1)) >> 16)


FLOAT32, FLOAT16, BFLOAT16 = 0, 1, 2


@njit(nogil=True)
def write_value(single, half, place, value, dtype):
    """Write one bin, to ``single`` (float32) or as 16 bits to ``half`` (uint16)."""
    if dtype == FLOAT32:
        single[place] = value
    elif dtype == FLOAT16:
        half[place] = float16_bits(value)
    else:
        half[place] = bfloat16_bits(value)


def _make_functions(statistics: tuple[Statistic, ...]):
    """``init``, ``update``, ``write`` of one statistic or of several, whose states are (first, states of the rest)."""
    first_init, first_update, first_finish = device_functions(statistics[0])

    @njit(nogil=True, error_model="numpy")
    def first_write(single, half, place, n_alike, stride, state, window_size, default, dtype):
        answer = first_finish(state, window_size, default)
        for _ in range(n_alike):
            write_value(single, half, place, answer, dtype)
            place += stride

    if len(statistics) == 1:
        return first_init, first_update, first_write
    rest_init, rest_update, rest_write = _make_functions(statistics[1:])

    @njit(nogil=True, error_model="numpy")
    def init():
        return first_init(), rest_init()

    @njit(nogil=True, error_model="numpy")
    def update(state, value, n_bases):
        return first_update(state[0], value, n_bases), rest_update(state[1], value, n_bases)

    @njit(nogil=True, error_model="numpy")
    def write(single, half, place, n_alike, stride, state, window_size, default, dtype):
        first_write(single, half, place, n_alike, stride, state[0], window_size, default, dtype)
        rest_write(single, half, place + 1, n_alike, stride, state[1], window_size, default, dtype)

    return init, update, write


@njit(nogil=True)
def _whole_bins(n_bases, window_size):
    """How many bins fit into so many bases; a division takes longer than a bin."""
    if window_size == 1:
        return n_bases
    return np.int64(_U(n_bases) // _U(window_size)) if n_bases <= 0xFFFFFFFF else n_bases // window_size


def make_fill_bins(statistic: Statistic | tuple[Statistic, ...]):
    """The device function that makes some bins with this statistic, or with several, from a cursor on.

    Of several, each bin's numbers stand side by side, as a last axis of the output: ``place`` and ``stride`` still
    count bins.
    """
    statistics = statistic if isinstance(statistic, tuple) else (statistic,)
    n_statistics = len(statistics)
    init, update, write = _make_functions(statistics)

    @njit(nogil=True, error_model="numpy")
    def fill_bins(
        words, bases, counts, big_endian, last_block, chrom_id, cursor,
        left, clip_start, clip_end, n_bins, window_size, scale, default, single, half, dtype, place, stride,
    ):  # fmt: skip
        """Make bins of ``window_size`` bases from ``left`` on, of which [clip_start, clip_end) is on the chromosome.

        Bin i goes to ``place + i * stride`` of the output, counted in bins. Returns the cursor where it came to.
        """
        block, index, count, base, kind, swapped, start, end, value = cursor
        place, stride, n_left = place * n_statistics, stride * n_statistics, n_bins
        while n_left > 0:
            bin_start, bin_end = max(left, clip_start), min(left + window_size, clip_end)
            state = init()
            # How many bins have this one's answer: those that lie in one item, or in one gap, are computed once.
            n_alike = np.int64(1)
            if block >= last_block:
                n_alike = n_left
            elif left + 2 * window_size <= start:
                n_alike = _whole_bins(start - left, window_size)
            elif start <= left and left + 2 * window_size <= min(end, clip_end) and clip_start <= left:
                n_alike = _whole_bins(min(end, clip_end) - left, window_size)
            reading = block < last_block and start < bin_end
            while reading:
                covered = min(end, bin_end) - max(start, bin_start)
                if covered > 0 and value == value:
                    state = update(state, np.float32(value * scale), np.int64(_U(covered)))
                reading = end <= bin_end
                if reading:
                    block, index, count, base, kind, swapped, start, end, value = _next_item(
                        words, bases, counts, big_endian, last_block, chrom_id, block, index, count, base, kind, swapped
                    )
                    reading = block < last_block and start < bin_end
            n_alike = min(n_alike, n_left)
            n_left -= n_alike
            left += n_alike * window_size
            write(single, half, place, n_alike, stride, state, np.int64(_U(window_size)), default, dtype)
            place += n_alike * stride
        return block, index, count, base, kind, swapped, start, end, value

    return fill_bins


def make_reduce_bins(statistic: Statistic | tuple[Statistic, ...]):
    """The device function that makes all bins of one (window, track): seek, then fill."""
    fill_bins = make_fill_bins(statistic)

    @njit(nogil=True, error_model="numpy")
    def reduce_bins(
        words, bases, counts, big_endian, first_block, last_block, chrom_id,
        left, clip_start, clip_end, n_bins, window_size, scale, default, single, half, dtype, place, stride,
    ):  # fmt: skip
        """The arguments are those of ``seek_items`` and of ``fill_bins``."""
        cursor = seek_items(words, bases, counts, big_endian, first_block, last_block, chrom_id, max(left, clip_start))
        fill_bins(
            words, bases, counts, big_endian, last_block, chrom_id, cursor,
            left, clip_start, clip_end, n_bins, window_size, scale, default, single, half, dtype, place, stride,
        )  # fmt: skip
        return 0

    return reduce_bins
