"""Canonical codes without tables, shared by both GPU decoders: which code bits begin with, and what it means.

The 15 next bits, the first one highest, are compared with the limits of the lengths 1 to 14: the limit of a length is
the first code, filled up to 15 bits, that is longer. Limits sit two to a register as ``0x8000 - limit``; adding the
bits to both halves of all seven registers sets a guard bit where the bits are at least the limit, so the number of
guard bits is the code's length less one. The tables of RFC 1951 (section 3.2.5) are formulas here: a table would cost
a memory access.
"""

import numpy as np

from ..bits import add, band, guard_bytes, less_guards, mul, reverse_bits, shl, shr, sub
from ..jit import njit

_U = np.uint32


@njit(nogil=True, forceinline=True)
def low_bits(word, count):
    """The lowest ``count`` bits of a word, ``count`` below 32."""
    return band(word, sub(shl(_U(1), count), _U(1)))


@njit(nogil=True, forceinline=True)
def bits_after_code(code, limits):
    """How many of these 15 bits do not belong to the code that they begin with (0 if it is none).

    The guard bits are made bytes of ones and these subtracted from 14: four instructions each for seven registers, and
    half of them, like the products, are not for the unit that does everything else here.
    """
    both = mul(code, _U(0x10001))
    rest = less_guards(guard_bytes(add(both, limits[0]), add(both, limits[1])), _U(14))
    rest = less_guards(guard_bytes(add(both, limits[2]), add(both, limits[3])), rest)
    rest = less_guards(guard_bytes(add(both, limits[4]), add(both, limits[5])), rest)
    return less_guards(guard_bytes(add(both, limits[6]), _U(0)), rest)


@njit(nogil=True, forceinline=True)
def look_up(bits, limits, words, row, lane, n_lanes):
    """(code length, index into the symbols, index at which symbols from 256 on begin) of the next code."""
    code = shr(reverse_bits(bits), _U(17))
    length = sub(_U(15), bits_after_code(code, limits))
    word = words[add(mul(add(row, length), n_lanes), lane)]
    return length, band(add(shr(code, sub(_U(15), length)), word), _U(0xFFFF)), shr(word, _U(16))


@njit(nogil=True, forceinline=True)
def is_code(space, n_codes):
    """Whether a code's space is full, or it has one symbol of one bit, or none."""
    return space == _U(0x8000) or n_codes == _U(0) or (n_codes == _U(1) and space == _U(0x4000))


@njit(nogil=True, forceinline=True)
def length_code_order(place):
    """16 17 18 0 8 7 9 6 10 5 11 4 12 3 13 2 14 1 15, by arithmetic: a table would cost a memory access."""
    if place < _U(3):
        symbol = add(_U(16), place)
    elif place == _U(3):
        symbol = _U(0)
    elif band(place, _U(1)) != _U(0):
        symbol = sub(_U(7), shr(sub(place, _U(5)), _U(1)))
    else:
        symbol = add(_U(8), shr(sub(place, _U(4)), _U(1)))
    return symbol


@njit(nogil=True, forceinline=True)
def fixed_length(symbol):
    """Code length of the fixed codes: 288 literal/length symbols, then the distances."""
    length = _U(8)
    if symbol >= _U(144):
        length = _U(9)
    if symbol >= _U(256):
        length = _U(7)
    if symbol >= _U(280):
        length = _U(8)
    if symbol >= _U(288):
        length = _U(5)
    return length


@njit(nogil=True, forceinline=True)
def match_length(symbol, bits):
    """(length, extra bits taken) of length symbol 257 + ``symbol``; RFC 1951's table as a formula."""
    length, extra = add(symbol, _U(3)), _U(0)
    if symbol >= _U(8):
        extra = sub(shr(symbol, _U(2)), _U(1))
        length = add(add(shl(add(_U(4), band(symbol, _U(3))), extra), _U(3)), low_bits(bits, extra))
        if symbol == _U(28):
            length, extra = _U(258), _U(0)
    return length, extra


@njit(nogil=True, forceinline=True)
def match_distance(symbol, bits):
    """(distance, extra bits taken) of a distance symbol."""
    distance, extra = add(symbol, _U(1)), _U(0)
    if symbol >= _U(4):
        extra = band(sub(shr(symbol, _U(1)), _U(1)), _U(15))
        distance = add(add(shl(add(_U(2), band(symbol, _U(1))), extra), _U(1)), low_bits(bits, extra))
    return distance, extra
