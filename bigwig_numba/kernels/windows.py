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

from typing import Any

import numpy as np

from .bits import add, band, bor, least, mul, shl, shr, sub
from .jit import njit
from .numbers import bits_from_float, rounded_add, rounded_multiply
from .sections import (
    FIXED_STEP,
    item_of_words,
    item_start,
    item_words,
    section_layout,
    section_type,
    word_at,
)
from .statistic import Statistic, device_functions

_U = np.uint32
_W = np.uint64

NOWHERE = 0xFFFFFFFF  # where no item starts: it would have no bases, as chromosomes end at 2**32 - 1 or earlier
_GUESSES = 6  # of where an item is, before halving takes over
_EXACT = 1 << 20  # up to so many bases a quotient in float32 is exact


@njit(nogil=True)
def _begins_after(words, base, big_endian, chrom_id, position):
    """Whether a section with items lies wholly after ``position`` of the chromosome."""
    section_chrom_id = word_at(words, base, big_endian)
    start = item_start(words, base, section_type(words, base, big_endian), _U(0), big_endian)
    return section_chrom_id > chrom_id or (section_chrom_id == chrom_id and start > position)


@njit(nogil=True)
def _seek_block(words, bases, counts, big_endian, first, last, chrom_id, position):
    """The last block of the run that has items and does not begin after ``position``; the first where there is none."""
    low, high = first, last
    while low < high:
        middle = shr(add(low, high), _U(1))
        probe = middle
        while probe > low and counts[probe] == 0:  # a section without items may claim any range: do not ask it
            probe = sub(probe, _U(1))
        if counts[probe] > 0 and _begins_after(words, _W(bases[probe]), big_endian[probe] != 0, chrom_id, position):
            high = probe
        else:
            low = add(middle, _U(1))
    found = first if low == first else sub(low, _U(1))
    while found > first and counts[found] == 0:
        found = sub(found, _U(1))
    return found


@njit(nogil=True, error_model="numpy")
def _seek_item(words, base, count, big_endian, position):
    """The first item of a section that ends after ``position`` (``count`` if none does).

    Halving takes ten reads of a thousand items, all over the section. Items are spread evenly enough that a guess
    by the rule of three, from where the section begins and ends, and another from what was found there, comes to
    the item in four, most of them near it. Should six guesses not do, the rest is halved.
    """
    layout, first = section_layout(words, base, big_endian)
    low, high, n_reads = _U(0), count, 0
    low_end, high_end = word_at(words, base + _W(1), big_endian), word_at(words, base + _W(2), big_endian)
    while low < high:
        n_reads += 1
        between = shr(add(low, high), _U(1))
        if n_reads <= _GUESSES and low_end <= position and position < high_end:
            share = np.float32(sub(position, low_end)) / np.float32(sub(high_end, low_end))
            between = add(low, least(_U(share * np.float32(sub(high, low))), sub(sub(high, low), _U(1))))
        place = base + _W(5) + _W(add(between, _U(1))) * layout[4]
        _, end, _ = item_of_words(item_words(words, place), layout, add(first, mul(between, layout[2])))
        if end > position:
            high, high_end = between, end
        else:
            low, low_end = add(between, _U(1)), end
    return low


@njit(nogil=True, forceinline=True)
def _open_block(words, bases, counts, big_endian, block, last, chrom_id):
    """The first block from this one on that has items on the chromosome: its number, items, base and byte order.

    ``last`` and no items where there is none.
    """
    n_items, base, swapped = _U(0), _W(0), False
    while block < last and n_items == _U(0):
        base, swapped = _W(bases[block]), big_endian[block] != 0
        if counts[block] > 0 and word_at(words, base, swapped) == chrom_id:
            n_items = _U(counts[block])
        else:
            block = add(block, _U(1))
    return block, n_items, base, swapped


@njit(nogil=True, cache=True)
def seek_items(words, bases, counts, big_endian, first, last, chrom_id, position):
    """A cursor at the first item of a run of blocks that ends after ``position`` (int64, 0 or more).

    (block, place, n_more, layout, start, end, value): the block, the item's last word, how many items it has from this
    one on, the block's ``section_layout``, and the item. Beyond the last item, one that starts ``NOWHERE``.
    """
    position, last = _U(min(position, NOWHERE)), _U(last)
    block = _seek_block(words, bases, counts, big_endian, _U(first), last, chrom_id, position)
    index = _U(0)
    if block < last and word_at(words, _W(bases[block]), big_endian[block] != 0) == chrom_id:
        index = _seek_item(words, _W(bases[block]), _U(counts[block]), big_endian[block] != 0, position)
        if index == _U(counts[block]):  # all of its items end earlier
            block = add(block, _U(1))
            index = _U(0)
    block, n_items, place, layout, start = _enter_block(words, bases, counts, big_endian, block, last, chrom_id, _W(0))
    end, value = start, np.float32(0)
    if n_items > _U(0):
        place, start = place + _W(index) * layout[4], add(start, mul(index, layout[2]))
        start, end, value = item_of_words(item_words(words, place), layout, start)
    return block, place, sub(n_items, index), layout, start, end, value


@njit(nogil=True, forceinline=True, cache=True)
def _enter_block(words, bases, counts, big_endian, block, last, chrom_id, place):
    """The first items from this block on: block, number of items, the first one's place, layout, and its start.

    Where there are no more, the place is the one given, and the layout one of which all items start ``NOWHERE``.
    """
    block, n_items, base, swapped = _open_block(words, bases, counts, big_endian, block, last, chrom_id)
    layout, start = (_U(FIXED_STEP), _U(0), _U(0), _U(0), _W(0)), _U(NOWHERE)
    if n_items > _U(0):
        layout, start = section_layout(words, base, swapped)
        place = base + _W(5) + layout[4]
    return block, n_items, place, layout, start


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
    bits = bits_from_float(np.float32(value))
    upper = shr(bits, _U(16))
    if band(bits, _U(0x7FFFFFFF)) > _U(0x7F800000):
        return np.uint16(bor(upper, _U(0x40)))
    return np.uint16(shr(add(add(bits, _U(0x7FFF)), band(upper, _U(1))), _U(16)))


FLOAT32, FLOAT16, BFLOAT16 = 0, 1, 2


@njit(nogil=True, cache=True)
def write_value(single, half, place, value, dtype):
    """Write one bin, to ``single`` (float32) or as 16 bits to ``half`` (uint16)."""
    if dtype == FLOAT32:
        single[place] = value
    elif dtype == FLOAT16:
        half[place] = float16_bits(value)
    else:
        half[place] = bfloat16_bits(value)


def _make_functions(statistics: tuple[Statistic, ...]) -> tuple[Any, Any, Any, Any]:
    """``init``, ``update``, ``finish``, ``write`` of one statistic or of several.

    State and answer of several are those of the first, and those of the rest. Called instead of inlined, they would
    pass states through memory, which makes two statistics a quarter slower on the CPU.
    """
    first_init, first_update, first_finish = device_functions(statistics[0])

    @njit(nogil=True, forceinline=True, no_cpython_wrapper=True)
    def first_write(single, half, place, n_alike, stride, answer, dtype):
        for _ in range(n_alike):
            write_value(single, half, place, answer, dtype)
            place += stride

    if len(statistics) == 1:
        return first_init, first_update, first_finish, first_write
    rest_init, rest_update, rest_finish, rest_write = _make_functions(statistics[1:])

    @njit(nogil=True, error_model="numpy", forceinline=True, no_cpython_wrapper=True)
    def init():
        return first_init(), rest_init()

    @njit(nogil=True, error_model="numpy", forceinline=True, no_cpython_wrapper=True)
    def update(state, value, n_bases):
        return first_update(state[0], value, n_bases), rest_update(state[1], value, n_bases)

    @njit(nogil=True, error_model="numpy", forceinline=True, no_cpython_wrapper=True)
    def finish(state, window_size, default):
        return first_finish(state[0], window_size, default), rest_finish(state[1], window_size, default)

    @njit(nogil=True, forceinline=True, no_cpython_wrapper=True)
    def write(single, half, place, n_alike, stride, answers, dtype):
        first_write(single, half, place, n_alike, stride, answers[0], dtype)
        rest_write(single, half, place + _W(1), n_alike, stride, answers[1], dtype)

    return init, update, finish, write


@njit(nogil=True, error_model="numpy", cache=True)
def place_bins(left, clip_start, clip_end, n_bins, window_size):
    """Where bins stand: how many end before the chromosome begins, start and end of the next one, and the last's end.

    (n_before, bin_start, bin_end, stop), uint32, as items have them. Bins beyond the chromosome's end have no bases:
    they start and end at ``stop``.
    """
    begin, clip_end = max(left, clip_start), min(clip_end, NOWHERE)
    if begin >= clip_end:  # it is not on the chromosome at all
        return _U(n_bins), _U(0), _U(0), _U(0)
    n_before = np.int64(0)
    if left < begin:
        n_before = min((begin - left) // window_size, n_bins)
        left += n_before * window_size
    return _U(n_before), _U(begin), _U(min(left + window_size, clip_end)), _U(clip_end)


@njit(nogil=True, forceinline=True, cache=True)
def whole_bins(n_bases, inverse):
    """How many bins fit into so many bases, without dividing: never too many, exact up to 2**20 bases.

    n + 0.5 bases, as then the quotient is no nearer to a whole number than rounding can take it.
    """
    return _U(rounded_multiply(rounded_add(np.float32(least(n_bases, _U(_EXACT))), np.float32(0.5)), inverse))


def make_fill_bins(statistic: Statistic | tuple[Statistic, ...], *, mark: bool = False):
    """The device function that makes some bins with this statistic, or with several, from a cursor on.

    Of several, each bin's numbers stand side by side, as a last axis of the output: ``place`` and ``stride`` still
    count bins. With ``mark`` it makes at most 32 bins, and of neighbours with one answer only the first is written.
    """
    statistics = statistic if isinstance(statistic, tuple) else (statistic,)
    n_statistics = len(statistics)
    functions = _make_functions(statistics)
    fill_wide, fill_bases = _make_fill_wide(*functions, mark), _make_fill_bases(*functions, mark)

    @njit(nogil=True, error_model="numpy")
    def fill_bins(
        words, bases, counts, big_endian, last_block, chrom_id, cursor, bins,
        n_bins, window_size, scale, default, single, half, dtype, place, stride,
    ):  # fmt: skip
        """Make bins, of which ``place_bins`` has told where they stand.

        Bin i goes to ``place + i * stride`` of the output, counted in bins. Returns the cursor and where the next bins
        stand, and marks: bit i is set if bin i was written.
        """
        last_block, n_bins = _U(last_block), _U(n_bins)
        place, stride = _W(place * n_statistics), _W(stride * n_statistics)
        if window_size == 1:
            return fill_bases(
                words, bases, counts, big_endian, last_block, chrom_id, cursor, bins,
                n_bins, scale, default, single, half, dtype, place, stride,
            )  # fmt: skip
        return fill_wide(
            words, bases, counts, big_endian, last_block, chrom_id, cursor, bins,
            n_bins, window_size, scale, default, single, half, dtype, place, stride,
        )  # fmt: skip

    return fill_bins


def _make_fill_wide(init: Any, update: Any, finish: Any, write: Any, mark: bool):
    """``fill_bins`` for bins of any width."""

    @njit(nogil=True, error_model="numpy", no_cpython_wrapper=True)
    def fill_wide(
        words, bases, counts, big_endian, last_block, chrom_id, cursor, bins,
        n_left, window_size, scale, default, single, half, dtype, place, stride,
    ):  # fmt: skip
        block, item, n_more, layout, start, end, value = cursor
        n_before, bin_start, bin_end, stop = bins
        width = _U(min(window_size, NOWHERE))
        inverse = np.float32(1) / np.float32(width)
        marks, mark_here = _U(0), _U(1)
        while n_left > _U(0):
            # How many bins more have this one's answer: those that lie in one item, or in one gap, are computed once.
            n_alike = _U(0)
            is_before = n_before > _U(0)
            if is_before:
                n_alike = sub(n_before, _U(1))
            elif start >= bin_end:
                n_alike = whole_bins(sub(start, bin_end), inverse)
            elif start <= bin_start and end > bin_end and sub(bin_end, bin_start) == width:
                n_alike = whole_bins(sub(least(end, stop), bin_end), inverse)
            n_alike = least(n_alike, sub(n_left, _U(1)))
            alike_end = add(bin_end, mul(n_alike, width))
            state = init()
            reading = not is_before and start < alike_end
            while reading:
                # The next item's words are on their way while this one is added: memory takes longer than sums. If it
                # does not end here, they are its own once more. Arrays are passed on where a block ends, not for each
                # item: on the CPU each costs two atomic operations, and eight of them took longer than the item.
                reading, next_start = end <= alike_end, start
                if reading:
                    n_more = sub(n_more, _U(1))
                    if n_more > _U(0):
                        item, next_start = item + layout[4], add(start, layout[2])
                    else:
                        block, n_more, item, layout, next_start = _enter_block(
                            words, bases, counts, big_endian, add(block, _U(1)), last_block, chrom_id, item
                        )
                found = item_words(words, item)
                covered_start, covered_end = max(start, bin_start), min(end, bin_end)
                if covered_start < covered_end and value == value:
                    state = update(state, np.float32(value * scale), np.int64(sub(covered_end, covered_start)))
                start, end, value = item_of_words(found, layout, next_start)
                reading = reading and start < alike_end
            n_alike = add(n_alike, _U(1))
            if is_before:
                n_before = sub(n_before, n_alike)
            else:
                bin_start = least(alike_end, stop)
                bin_end = add(bin_start, least(width, sub(stop, bin_start)))
            answers = finish(state, np.int64(_U(window_size)), default)
            write(single, half, place, _U(1) if mark else n_alike, stride, answers, dtype)
            n_left, place = sub(n_left, n_alike), place + _W(n_alike) * stride
            if mark:
                marks, mark_here = bor(marks, mark_here), shl(mark_here, n_alike)
        return (block, item, n_more, layout, start, end, value), (n_before, bin_start, bin_end, stop), marks

    return fill_wide


def _make_fill_bases(init: Any, update: Any, finish: Any, write: Any, mark: bool):
    """``fill_bins`` for bins of one base: an item is one answer, a gap another."""

    @njit(nogil=True, error_model="numpy", no_cpython_wrapper=True)
    def fill_bases(
        words, bases, counts, big_endian, last_block, chrom_id, cursor, bins,
        n_left, scale, default, single, half, dtype, place, stride,
    ):  # fmt: skip
        block, item, n_more, layout, start, end, value = cursor
        n_before, position, _, stop = bins
        nothing = finish(init(), np.int64(1), default)
        marks, mark_here = _U(0), _U(1)
        while n_left > _U(0):
            n_alike, answers = n_left, nothing  # beyond the chromosome's end
            if n_before > _U(0):
                n_alike = least(n_before, n_left)
                n_before = sub(n_before, n_alike)
            elif position < stop:
                while end <= position:
                    n_more = sub(n_more, _U(1))
                    if n_more > _U(0):
                        item, start = item + layout[4], add(start, layout[2])
                    else:
                        block, n_more, item, layout, start = _enter_block(
                            words, bases, counts, big_endian, add(block, _U(1)), last_block, chrom_id, item
                        )
                    start, end, value = item_of_words(item_words(words, item), layout, start)
                edge = start
                if start <= position:
                    edge = end
                    if value == value:
                        answers = finish(update(init(), np.float32(value * scale), np.int64(1)), np.int64(1), default)
                n_alike = least(sub(least(edge, stop), position), n_left)
                position = add(position, n_alike)
            write(single, half, place, _U(1) if mark else n_alike, stride, answers, dtype)
            n_left, place = sub(n_left, n_alike), place + _W(n_alike) * stride
            if mark:
                marks, mark_here = bor(marks, mark_here), shl(mark_here, n_alike)
        return (block, item, n_more, layout, start, end, value), (n_before, position, position, stop), marks

    return fill_bases


def make_reduce_bins(statistic: Statistic | tuple[Statistic, ...]):
    """The device function that makes all bins of one (window, track): seek, then fill."""
    fill_bins = make_fill_bins(statistic)

    @njit(nogil=True, error_model="numpy")
    def reduce_bins(
        words, bases, counts, big_endian, first_block, last_block, chrom_id,
        left, clip_start, clip_end, n_bins, window_size, scale, default, single, half, dtype, place, stride,
    ):  # fmt: skip
        """The arguments are those of ``seek_items``, ``place_bins`` and ``fill_bins``."""
        cursor = seek_items(words, bases, counts, big_endian, first_block, last_block, chrom_id, max(left, clip_start))
        bins = place_bins(left, clip_start, clip_end, n_bins, window_size)
        fill_bins(
            words, bases, counts, big_endian, last_block, chrom_id, cursor, bins,
            n_bins, window_size, scale, default, single, half, dtype, place, stride,
        )  # fmt: skip
        return 0

    return reduce_bins
