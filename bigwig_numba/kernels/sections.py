"""A section is an inflated block: a 24-byte header and items. Item i of it -> start, end, value, for all three types.

::

    word      0         1         2        3      4            5
          +---------+---------+---------+------+------+------------------+
    header| chrom_id|  start  |   end   | step | span | type, 0,  count  |    type: 1 byte, count: 2 bytes
          +---------+---------+---------+------+------+------------------+
    type 1, bedGraph      start  end  value      three words an item
    type 2, variableStep  start  value           two; the end is start + span
    type 3, fixedStep     value                  one; item i starts at the header's start + i * step

(Kent et al. 2010, supplement; UCSC's bwgInternal.h.) Everything is a 32-bit word, in the byte order of the file.

=========  ========  =======  ===========================================================
array      shape     dtype    what
=========  ========  =======  ===========================================================
words      (W,)      uint32   inflated blocks, each from its own ``base``, as they came
=========  ========  =======  ===========================================================
"""

import numpy as np

from .bits import SAME_BYTES, SWAPPED_BYTES, add, band, mul, order_bytes, shr, sub, swap_bytes
from .jit import njit
from .memory import load_64
from .numbers import float_from_bits
from .statuses import GOOD, ITEMS_OUT_OF_ORDER, SECTION_TOO_SHORT, UNKNOWN_SECTION_TYPE

HEADER_BYTES = 24
BEDGRAPH, VARIABLE_STEP, FIXED_STEP = 1, 2, 3

_U = np.uint32


@njit(nogil=True, forceinline=True)
def word_at(words, index, big_endian):
    """Word ``index`` in this machine's byte order."""
    word = words[index]
    if big_endian:
        word = swap_bytes(word)
    return word


@njit(nogil=True, forceinline=True)
def section_type(words, base, big_endian):
    """1 bedGraph, 2 variableStep, 3 fixedStep; anything else is damage. The first byte of word 5, in either order."""
    return band(words[base + np.uint64(5)], _U(0xFF))


@njit(nogil=True, forceinline=True)
def item_count(words, base, big_endian):
    """How many items the header announces: two bytes, in the byte order of the file."""
    count = shr(words[base + np.uint64(5)], _U(16))
    if big_endian:
        count = shr(swap_bytes(count), _U(16))
    return count


@njit(nogil=True, forceinline=True)
def words_per_item(kind):
    """3 for bedGraph, 2 for variableStep, 1 for fixedStep."""
    return _U(4) - kind


@njit(nogil=True, forceinline=True)
def item_start(words, base, kind, index, big_endian):
    """First base of item ``index``, uint32."""
    if kind == _U(FIXED_STEP):
        first = word_at(words, base + np.uint64(1), big_endian)
        return add(first, mul(index, word_at(words, base + np.uint64(3), big_endian)))
    place = base + np.uint64(6) + np.uint64(mul(index, _U(words_per_item(kind))))
    return word_at(words, place, big_endian)


@njit(nogil=True, forceinline=True)
def item_end(words, base, kind, index, start, big_endian):
    """One past the last base of item ``index``, uint32; ``start`` is its start."""
    if kind == _U(BEDGRAPH):
        return word_at(words, base + np.uint64(7) + np.uint64(mul(index, _U(3))), big_endian)
    return add(start, word_at(words, base + np.uint64(4), big_endian))


@njit(nogil=True, forceinline=True)
def item_value(words, base, kind, index, big_endian):
    """Value of item ``index``, float32: always its last word."""
    size = _U(words_per_item(kind))
    place = base + np.uint64(5) + np.uint64(mul(add(index, _U(1)), size))
    return float_from_bits(word_at(words, place, big_endian))


@njit(nogil=True, forceinline=True)
def section_layout(words, base, big_endian):
    """What walking over a section's items takes, read once, and the start of its first item.

    (type, byte order for ``order_bytes``, step, span, words an item as uint64). Step, span and start are 0 where items
    say themselves where they start and end.
    """
    kind, order = section_type(words, base, big_endian), _U(SWAPPED_BYTES) if big_endian else _U(SAME_BYTES)
    step, span, start = _U(0), _U(0), _U(0)
    if kind != _U(BEDGRAPH):
        span = word_at(words, base + np.uint64(4), big_endian)
    if kind == _U(FIXED_STEP):
        step = word_at(words, base + np.uint64(3), big_endian)
        start = word_at(words, base + np.uint64(1), big_endian)
    return (kind, order, step, span, np.uint64(words_per_item(kind))), start


@njit(nogil=True, forceinline=True, cache=True)
def item_words(words, place):
    """The words of the item whose last one is ``words[place]``, as they are, from the last one back to the third.

    An item with fewer has others before it, if only the header's last two, and reading them costs less than asking.
    """
    return words[place], words[place - np.uint64(1)], words[place - np.uint64(2)]


@njit(nogil=True, forceinline=True, cache=True)
def item_of_words(found, layout, start):
    """start, end (uint32) and value of the item with these ``item_words``, in a section of this ``section_layout``.

    Nothing is multiplied, and no header is read. ``start`` is where the item starts if it is one of fixedStep, which
    has no words for it.
    """
    (value, word, first_word), (kind, order, _, span, _) = found, layout
    word = start if kind == _U(FIXED_STEP) else order_bytes(word, order)
    start = order_bytes(first_word, order) if kind == _U(BEDGRAPH) else word
    return start, add(word, span), float_from_bits(order_bytes(value, order))  # of bedGraph the span is 0


@njit(nogil=True, forceinline=True)
def are_ordered(words, base, kind, index, big_endian):
    """Whether item ``index`` ends no earlier than it starts, and no later than the next one starts."""
    start = item_start(words, base, kind, index, big_endian)
    end = item_end(words, base, kind, index, start, big_endian)
    return start <= end and end <= item_start(words, base, kind, add(index, _U(1)), big_endian)


@njit(nogil=True, forceinline=True)
def follows(words, base, count, big_endian, previous_base, previous_count, previous_big_endian):
    """Whether a section begins where the one before it in the file's index has ended, or later."""
    in_order = True
    if count > _U(0) and previous_count > _U(0):
        chrom_id, previous_chrom_id = (
            word_at(words, base, big_endian),
            word_at(words, previous_base, previous_big_endian),
        )
        in_order = chrom_id > previous_chrom_id
        if chrom_id == previous_chrom_id:
            kind, last = section_type(words, previous_base, previous_big_endian), sub(previous_count, _U(1))
            start = item_start(words, previous_base, kind, last, previous_big_endian)
            end = item_end(words, previous_base, kind, last, start, previous_big_endian)
            kind = section_type(words, base, big_endian)
            in_order = end <= item_start(words, base, kind, _U(0), big_endian)
    return in_order


@njit(nogil=True, forceinline=True)
def usable_items(words, base, n_bytes, is_whole, big_endian):
    """Status of a section's header and how many items can be read: all, or what there is if inflating stopped early."""
    if n_bytes < _U(HEADER_BYTES):
        return SECTION_TOO_SHORT, _U(0)
    kind = section_type(words, base, big_endian)
    if kind < _U(BEDGRAPH) or kind > _U(FIXED_STEP):
        return UNKNOWN_SECTION_TYPE, _U(0)
    count = item_count(words, base, big_endian)
    room = _U((n_bytes - _U(HEADER_BYTES)) // _U(4 * words_per_item(kind)))
    if count <= room:
        return GOOD, count
    if is_whole:
        return SECTION_TOO_SHORT, _U(0)
    return GOOD, room


@njit(nogil=True, cache=True)
def check_section(words, base, n_bytes, is_whole, big_endian):
    """Status of a whole section and its number of items, one thread: header, length, order of the items."""
    status, count = usable_items(words, base, n_bytes, is_whole, big_endian)
    if status != GOOD or count == _U(0):
        return status, count
    kind = section_type(words, base, big_endian)
    last = count - _U(1)
    for index in range(last):
        if not are_ordered(words, base, kind, _U(index), big_endian):
            return ITEMS_OUT_OF_ORDER, _U(0)
    start = item_start(words, base, kind, _U(last), big_endian)
    if item_end(words, base, kind, _U(last), start, big_endian) < start:
        return ITEMS_OUT_OF_ORDER, _U(0)
    return GOOD, count


@njit(nogil=True, cache=True)
def has_passed(output, start, n_bytes, stop, big_endian):
    """Whether the last whole item of a section that is still being inflated starts at or after ``stop``.

    ``output[start : start + n_bytes]`` (uint8) is what came out so far. Items are sorted, so nothing that follows is
    needed by anyone who wants bases before ``stop``; 2**32 never stops.
    """
    if stop > 0xFFFFFFFF or n_bytes < 48:
        return False
    kind = output[start + 20]
    if kind == FIXED_STEP:
        # The position of an item is known without it: `stop` tells how many bytes are needed.
        first, step = _byte_word(output, start + 4, big_endian), _byte_word(output, start + 12, big_endian)
        return first + step * ((n_bytes - HEADER_BYTES) // 4 - 1) >= stop
    item_bytes = 4 * (4 - np.int64(kind))
    if item_bytes < 8:
        return False
    last = (n_bytes - HEADER_BYTES) // item_bytes - 1
    return _byte_word(output, start + HEADER_BYTES + last * item_bytes, big_endian) >= stop


@njit(nogil=True, cache=True)
def _byte_word(output, place, big_endian):
    """The uint32 at byte ``place``, as int64."""
    word = _U(load_64(output, place) & np.uint64(0xFFFFFFFF))
    if big_endian:
        word = swap_bytes(word)
    return np.int64(word)
