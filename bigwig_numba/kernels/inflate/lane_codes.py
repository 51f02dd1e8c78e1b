"""A lane's canonical codes: built by the lane alone, in shared memory that it shares with nobody, and looked up there.

A code takes, of each lane, seven registers (the limits of its lengths, see ``codes``), a word for each length, and a
byte for each symbol, in the order of the codes; the 32 bytes of distances stay in eight registers. Element i of lane k
stands at ``N_LANES * i + k``: whatever the lanes look up, they meet few bank conflicts. Of shared memory a lane has
432 bytes, so that 16 warps fit on a multiprocessor of 228 KB.

==============  =================  =======  =======================================================================
array           shape              dtype    what
==============  =================  =======  =======================================================================
symbols         (288 * N_LANES,)   uint8    values of literals and lengths, in the order of their codes
words           (32 * N_LANES,)    uint32   per code length, of literals and lengths: rows [0, 16); then the ring
distance_words  (16 * N_LANES,)    uint8    per code length, of distances
lengths         (320,)             uint8    code lengths, private to the lane
==============  =================  =======  =======================================================================

The value of a literal is the byte; of a length and of a distance, its row of RFC 1951's table (section 3.2.5) in a
byte, so that a match needs few instructions::

    length   = 3 + (mantissa << extra) + extra bits     value = extra << 3 | mantissa      258, the end: 48, 49
    distance = 1 + (mantissa << extra) + extra bits     value = mantissa << 4 | extra

Up to length 10 a value is the length less 3. Lengths that no stream may have are ``NO_SYMBOL``; distances that no
stream may have are beyond 32,768.

The word of a code length holds two numbers, both ``BIAS`` too large so that they are positive: above, what to add to
``code >> (15 - length)`` to get the symbol's place; below, the first place of a length (so one look-up also tells
literals from lengths). Of a distance, whose place has five bits, only the first is needed, and of that five bits.

Codes may be incomplete if they have one symbol or none (section 3.2.7). Here they are completed by ``NO_SYMBOL``, so
that any bits whatsoever lead to a place that exists, and nothing needs to be checked where symbols are decoded.
"""

import numpy as np

from ..bits import PICK_BYTE, add, band, bor, choose, least, mul, pick_byte, reverse_bits, shl, shr, sub
from ..jit import njit
from ..memory import load_shared_byte, load_shared_word
from .codes import bits_after_code, low_bits

N_LANES = 64
SYMBOLS_PER_LANE = 288
WORDS_PER_LANE = 32
DISTANCE_WORDS_PER_LANE = 16
LENGTHS_PER_LANE = 320

_U = np.uint32
_N = _U(N_LANES)
PLAIN, LITERALS, DISTANCES = _U(0), _U(1), _U(2)
"""Kinds of code: that of the code lengths, of literals and lengths, of distances."""
MOST_LENGTH, END_OF_SUB_BLOCK, NO_SYMBOL = _U(48), _U(49), _U(50)
"""Values of symbols above 284: the length 258, the end, and what no stream may have."""
WITHOUT_EXTRA_BITS = _U(8)
"""Values of lengths below this are the length less 3."""
BIAS = _U(1 << 15)


@njit(nogil=True, forceinline=True)
def _word(length, lane):
    return add(mul(length, _N), lane)


@njit(nogil=True, forceinline=True)
def _value(kind, symbol):
    """The byte that stands for a symbol; of literals and lengths, one of those from 256 on."""
    value = symbol
    if kind == LITERALS:
        length = sub(symbol, _U(257))
        value = length
        if symbol == _U(256):
            value = END_OF_SUB_BLOCK
        elif length >= _U(8):
            value = bor(shl(sub(shr(length, _U(2)), _U(1)), _U(3)), bor(_U(4), band(length, _U(3))))
            if length == _U(28):
                value = MOST_LENGTH
            elif length > _U(28):
                value = NO_SYMBOL
    elif kind == DISTANCES:
        value = shl(symbol, _U(4))
        if symbol >= _U(4):
            value = bor(shl(bor(_U(2), band(symbol, _U(1))), _U(4)), sub(shr(symbol, _U(1)), _U(1)))
    return value


@njit(nogil=True, forceinline=True)
def _place_length(words, lane, length, code, offset):
    """Turn the count of a code length into its cursor; returns 0x8000 - its limit, the next code and offset."""
    place = _word(length, lane)
    count = words[place]
    words[place] = bor(offset, shl(sub(code, offset), _U(16)))  # cursor, and first code - first place
    offset, code = add(offset, count), add(code, count)
    return sub(_U(0x8000), shl(code, sub(_U(15), length))), shl(code, _U(1)), offset


@njit(nogil=True, forceinline=True)
def _place_two_lengths(words, lane, length, code, offset):
    """The same for ``length`` and ``length + 1``: their limits in the two halves of a register."""
    lower, code, offset = _place_length(words, lane, length, code, offset)
    upper, code, offset = _place_length(words, lane, add(length, _U(1)), code, offset)
    return bor(band(lower, _U(0xFFFF)), shl(upper, _U(16))), code, offset


@njit(nogil=True)
def build_code(kind, lengths, first, n_symbols, symbols, words, lane):
    """A lane's canonical code from ``lengths[first : first + n_symbols]``.

    Returns the seven registers of limits, whether the code is full, and whether it has one symbol of one bit, or none.
    """
    length = _U(0)
    while length < _U(16):
        words[_word(length, lane)] = _U(0)
        length = add(length, _U(1))
    symbol = _U(0)
    while symbol < n_symbols:
        place = _word(_U(lengths[add(first, symbol)]), lane)
        words[place] = add(words[place], _U(1))
        symbol = add(symbol, _U(1))
    code, offset = _U(0), _U(0)
    limits_1, code, offset = _place_two_lengths(words, lane, _U(1), code, offset)
    limits_3, code, offset = _place_two_lengths(words, lane, _U(3), code, offset)
    limits_5, code, offset = _place_two_lengths(words, lane, _U(5), code, offset)
    limits_7, code, offset = _place_two_lengths(words, lane, _U(7), code, offset)
    limits_9, code, offset = _place_two_lengths(words, lane, _U(9), code, offset)
    limits_11, code, offset = _place_two_lengths(words, lane, _U(11), code, offset)
    limits_13, code, offset = _place_two_lengths(words, lane, _U(13), code, offset)
    last_limit, code, offset = _place_length(words, lane, _U(15), code, offset)
    space = sub(_U(0x8000), last_limit)
    _place_symbols(kind, lengths, first, n_symbols, symbols, words, lane)
    full = space == _U(0x8000)
    small = offset == _U(0) or (offset == _U(1) and space == _U(0x4000))
    if not full:
        # Any bits are a code of one bit: the symbol's, or one that does not exist. So they are where it is no code.
        if not small:
            offset, words[_word(_U(1), lane)] = _U(0), mul(BIAS, _U(0x10001))
        limits_1 = limits_3 = limits_5 = limits_7 = limits_9 = limits_11 = limits_13 = _U(0)
        no_symbol = _value(kind, _U(31)) if kind == DISTANCES else NO_SYMBOL
        while offset < _U(2):
            symbols[_word(offset, lane)] = no_symbol
            offset = add(offset, _U(1))
    return (limits_1, limits_3, limits_5, limits_7, limits_9, limits_11, limits_13), full, small


@njit(nogil=True)
def keep_distances(symbols, words, distance_words, lane):
    """Move a code of distances to where it stays: what to add to small words, the 32 values to eight registers."""
    length = _U(1)
    while length < _U(16):
        distance_words[_word(length, lane)] = band(shr(words[_word(length, lane)], _U(16)), _U(31))
        length = add(length, _U(1))
    return (
        _four_values(symbols, _U(0), lane), _four_values(symbols, _U(4), lane), _four_values(symbols, _U(8), lane),
        _four_values(symbols, _U(12), lane), _four_values(symbols, _U(16), lane), _four_values(symbols, _U(20), lane),
        _four_values(symbols, _U(24), lane), _four_values(symbols, _U(28), lane),
    )  # fmt: skip


@njit(nogil=True, forceinline=True)
def _four_values(symbols, place, lane):
    low = bor(_U(symbols[_word(place, lane)]), shl(_U(symbols[_word(add(place, _U(1)), lane)]), _U(8)))
    third, fourth = _U(symbols[_word(add(place, _U(2)), lane)]), _U(symbols[_word(add(place, _U(3)), lane)])
    return bor(low, bor(shl(third, _U(16)), shl(fourth, _U(24))))


@njit(nogil=True)
def _place_symbols(kind, lengths, first, n_symbols, symbols, words, lane):
    """Sort the symbols by code, and leave in ``words`` what decoding needs of each length."""
    n_literals = n_symbols
    if kind == LITERALS:
        n_literals = least(n_symbols, _U(256))
    symbol = _U(0)
    while symbol < n_literals:
        length = _U(lengths[add(first, symbol)])
        if length != _U(0):
            place = _word(length, lane)
            word = words[place]
            value = symbol if kind != DISTANCES else _value(kind, symbol)
            symbols[_word(band(word, _U(0xFFFF)), lane)] = value
            words[place] = add(word, _U(1))
        symbol = add(symbol, _U(1))
    length = _U(1)
    while length < _U(16):
        place = _word(length, lane)
        word = words[place]
        words[place] = bor(shl(sub(BIAS, shr(word, _U(16))), _U(16)), add(BIAS, band(word, _U(0xFFFF))))
        length = add(length, _U(1))
    # The cursors are spent: count what has come of each length from 256 on, in a byte each. 32 at most.
    of_short, of_long = np.uint64(0), np.uint64(0)
    while symbol < n_symbols:
        length = _U(lengths[add(first, symbol)])
        if length != _U(0):
            shift = np.uint64(shl(band(length, _U(7)), _U(3)))
            counts = of_short if length < _U(8) else of_long
            rank = band(_U(counts >> shift), _U(0xFF))
            if length < _U(8):
                of_short += np.uint64(1) << shift
            else:
                of_long += np.uint64(1) << shift
            place = add(sub(band(words[_word(length, lane)], _U(0xFFFF)), BIAS), rank)
            symbols[_word(place, lane)] = _value(kind, symbol)
        symbol = add(symbol, _U(1))


@njit(nogil=True, forceinline=True)
def look_up_literal(bits, limits, words, symbols):
    """(code length, value, whether it is a length's) of the next code, ``words`` and ``symbols`` being addresses.

    Of ``bits``, the highest is the next one.
    """
    code = shr(bits, _U(17))
    shorter = bits_after_code(code, limits)
    word = load_shared_word(words, mul(sub(_U(15), shorter), _U(4 * N_LANES)))
    place = add(shr(code, shorter), shr(word, _U(16)))
    return sub(_U(15), shorter), load_shared_byte(symbols, mul(sub(place, BIAS), _N)), place >= band(word, _U(0xFFFF))


@njit(nogil=True, forceinline=True)
def look_up_distance(bits, limits, words, values):
    """(bits taken, extra bits, distance) of the next code of a distance; of ``bits``, the highest is the next one."""
    code = shr(bits, _U(17))
    shorter = bits_after_code(code, limits)
    length = sub(_U(15), shorter)
    place = add(shr(code, shorter), load_shared_byte(words, mul(length, _N)))
    byte = bor(band(place, _U(7)), _U(PICK_BYTE))
    in_first = choose(
        band(place, _U(8)) == _U(0), pick_byte(values[0], values[1], byte), pick_byte(values[2], values[3], byte)
    )
    in_last = choose(
        band(place, _U(8)) == _U(0), pick_byte(values[4], values[5], byte), pick_byte(values[6], values[7], byte)
    )
    value = choose(band(place, _U(16)) == _U(0), in_first, in_last)
    extra = band(value, _U(15))
    more = low_bits(reverse_bits(shl(bits, length)), extra)
    return add(length, extra), extra, add(add(shl(shr(value, _U(4)), extra), _U(1)), more)
