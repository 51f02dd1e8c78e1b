"""Items -> bins of one (window, track): find the first item, then walk items and bins together, left to right.

::

    bins      |    0    |    1    |    2    |    3    |
    items   [======)   [==)[=====)      [=========)
                  ^ found by bisection, first over the blocks of the run, then over the items of one block

A thread makes ``n_bins`` neighbouring bins of one window of one track. On the CPU these are all bins of the window; on
the GPU a few, so that there are threads enough.

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
from .statistics import Statistic

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


@njit(nogil=True)
def _skip_to_items(words, bases, counts, big_endian, block, index, last, chrom_id):
    """Move on from a block that is used up (or not on the chromosome) to the next with an item. (block, index)."""
    searching = block < last
    while searching:
        if index < _U(counts[block]) and word_at(words, _W(bases[block]), big_endian[block]) == chrom_id:
            searching = False
        else:
            block += 1
            index = _U(0)
            searching = block < last
    return block, index


@njit(nogil=True)
def _read_item(words, base, index, big_endian):
    """start, end (int64) and value of an item."""
    kind = section_type(words, base, big_endian)
    start = item_start(words, base, kind, index, big_endian)
    end = item_end(words, base, kind, index, start, big_endian)
    return np.int64(start), np.int64(end), item_value(words, base, kind, index, big_endian)


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
def _write(single, half, place, value, dtype):
    """Write one bin, to ``single`` (float32) or as 16 bits to ``half`` (uint16)."""
    if dtype == FLOAT32:
        single[place] = value
    elif dtype == FLOAT16:
        half[place] = float16_bits(value)
    else:
        half[place] = bfloat16_bits(value)


def make_reduce_bins(statistic: Statistic):
    """The device function that fills ``n_bins`` bins of one (window, track) with this statistic."""
    init, update, finish = statistic.init, statistic.update, statistic.finish

    @njit(nogil=True, error_model="numpy")
    def reduce_bins(
        words, bases, counts, big_endian, first_block, last_block, chrom_id,
        left, clip_start, clip_end, n_bins, window_size, scale, default, single, half, dtype, place, stride,
    ):  # fmt: skip
        """Bins of ``window_size`` bases from ``left`` on, of which [clip_start, clip_end) is on the chromosome.

        Bin i goes to ``place + i * stride`` of the output.
        """
        position = max(left, clip_start)
        block = _seek_block(words, bases, counts, big_endian, first_block, last_block, chrom_id, position)
        index = _U(0)
        if block < last_block and word_at(words, _W(bases[block]), big_endian[block]) == chrom_id:
            index = _seek_item(words, _W(bases[block]), _U(counts[block]), big_endian[block], position)
        block, index = _skip_to_items(words, bases, counts, big_endian, block, index, last_block, chrom_id)
        start, end, value = np.int64(0), np.int64(0), np.float32(0)
        if block < last_block:
            start, end, value = _read_item(words, _W(bases[block]), index, big_endian[block])
        for _ in range(n_bins):
            bin_start, bin_end = max(left, clip_start), min(left + window_size, clip_end)
            state = init()
            reading = block < last_block and start < bin_end
            while reading:
                covered = min(end, bin_end) - max(start, bin_start)
                if covered > 0 and value == value:
                    state = update(state, np.float32(value * scale), _U(covered))
                reading = end <= bin_end
                if reading:
                    index = _U(index + _U(1))
                    block, index = _skip_to_items(words, bases, counts, big_endian, block, index, last_block, chrom_id)
                    reading = block < last_block
                    if reading:
                        start, end, value = _read_item(words, _W(bases[block]), index, big_endian[block])
                        reading = start < bin_end
            _write(single, half, place, finish(state, _U(window_size), default), dtype)
            left += window_size
            place += stride
        return 0

    return reduce_bins
