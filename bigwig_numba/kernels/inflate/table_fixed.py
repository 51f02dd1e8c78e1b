"""The CPU's way through short streams: one sub-block in the fixed codes, which need no table made, symbol by symbol.

A block of few items is such a stream. Its 30 symbols take less time than a branch here and there that is guessed wrong,
so literals and matches of up to 8 bytes from up to 32 back, also those that overlap themselves, are the same
instructions: load the 8 bytes from ``distance`` back, keep ``distance`` of them, repeat those, add the literal, store::

                                             distance   kept   repeated by
    11 bits ──> entry: bits, bytes made   ┌─> 0           0     0              a literal, from the entry
            ──> distance, if it is a match ┴─> 1 ... 7    1 ... 7  0x0101...   a match that may overlap itself
                                              8 ... 32    8     1              another match

The 11 bits stand above three that have been used up, so that they are a place in the table, 8 bytes an entry, without a
shift: what symbols wait for is a mask, a load and a shift each. What is longer or farther, an end or no code goes
another way.

Nothing is said of damage here: ``inflate_fixed`` gives up, and the decoder for everything begins again.
"""

import numpy as np

from ..jit import njit
from ..memory import load_64, store_64
from ..sections import has_passed
from .calls import IN_LINE
from .deflate import (
    DISTANCE_BASE,
    DISTANCE_EXTRA_BITS,
    END_OF_SUB_BLOCK,
    FIRST_LENGTH_SYMBOL,
    LENGTH_BASE,
    LENGTH_EXTRA_BITS,
    MOST_DISTANCE_CODES,
    MOST_LITERAL_CODES,
    fixed_code_lengths,
)

BYTES_PER_LOOK = 256  # output bytes between two looks at whether decoding may stop
_U = np.uint64

# An entry, from its lowest bit: 6 bits to consume, END, EXCEPTION; 8 bits (8 on): bytes made; bit 31: MATCH; 8 bits (32
# on): the literal. A length by itself is an exception: 4 bits (8 on): extra bits; 9 bits (16 on): the shortest length.
_BITS = 63
_END, _EXCEPTION, _MATCH = 1 << 6, 1 << 7, 1 << 31
_INDEX_BITS = 11  # a length's 7 and the 4 of its distance that tell how many more belong to it
_USED_UP = 3
_LONGEST_JOINED, _FARTHEST_JOINED = 8, 32
_MOST_JOINED_BITS = 8  # of a distance and what it takes in extra bits

# What lies behind the entries.
_DISTANCES = 8 << _INDEX_BITS  # a byte each: the distances up to 32
_KEPT = _DISTANCES + (1 << _MOST_JOINED_BITS)
_REPEATED = _KEPT + 8 * (_FARTHEST_JOINED + 1)
_FAR_DISTANCES = _REPEATED + 8 * (_FARTHEST_JOINED + 1)  # 4 bytes each: extra bits, and (16 on) the shortest distance
_AT_LEAST_8 = _FAR_DISTANCES + 4 * 32  # a byte each: the smallest multiple of a distance below 8 that is at least 8


def _reversed(code: int, n_bits: int) -> int:
    """Codes come highest bit first, an index has the lowest first."""
    return int(f"{code:0{n_bits}b}"[::-1], 2)


def _entry(symbol: int, n_bits: int, rest: int) -> int:
    """What stands at a symbol's code of so many bits, where these bits follow."""
    if symbol < END_OF_SUB_BLOCK:
        return symbol << 32 | 1 << 8 | n_bits
    if symbol == END_OF_SUB_BLOCK:
        return _EXCEPTION | _END | n_bits
    if symbol >= MOST_LITERAL_CODES:
        return _EXCEPTION
    shortest, extra = LENGTH_BASE[symbol - FIRST_LENGTH_SYMBOL], LENGTH_EXTRA_BITS[symbol - FIRST_LENGTH_SYMBOL]
    bits = 5 + DISTANCE_EXTRA_BITS[2 * _reversed(rest & 15, 4)] if rest & 15 != 15 else 5 + _MOST_JOINED_BITS
    if shortest <= _LONGEST_JOINED and bits <= _MOST_JOINED_BITS:
        return _MATCH | shortest << 8 | n_bits + bits
    return _EXCEPTION | shortest << 16 | extra << 8 | n_bits


def _make_tables() -> np.ndarray:
    """All of it in one array, so that the decoder keeps one address."""
    entries = np.zeros(1 << _INDEX_BITS, np.uint64)
    lengths, _ = fixed_code_lengths()
    code = 0
    for n_bits in (7, 8, 9):
        code <<= 1
        for symbol in np.flatnonzero(lengths == n_bits).tolist():
            for rest in range(1 << (_INDEX_BITS - n_bits)):
                entries[_reversed(code, n_bits) | rest << n_bits] = _entry(symbol, n_bits, rest)
            code += 1
    symbols = [_reversed(bits, 5) for bits in range(32)]
    near = [
        DISTANCE_BASE[symbols[bits & 31]] + (bits >> 5) % (1 << DISTANCE_EXTRA_BITS[symbols[bits & 31]])
        if symbols[bits & 31] < MOST_DISTANCE_CODES
        else 0
        for bits in range(1 << _MOST_JOINED_BITS)
    ]
    near = [distance if distance <= _FARTHEST_JOINED else 0 for distance in near]
    kept = [(1 << 8 * min(distance, 8)) - 1 for distance in range(_FARTHEST_JOINED + 1)]
    repeated = [0, *(sum(1 << place for place in range(0, 64, 8 * n)) for n in range(1, _FARTHEST_JOINED + 1))]
    far = [DISTANCE_BASE[n] << 16 | DISTANCE_EXTRA_BITS[n] if n < MOST_DISTANCE_CODES else 0 for n in symbols]
    at_least_8 = [0, *(-(-8 // distance) * distance for distance in range(1, 8))]
    parts: list[np.ndarray] = [entries, np.array(near, np.uint8), np.array(kept + repeated, np.uint64)]
    parts += [np.array(far, np.uint32), np.array(at_least_8, np.uint8), np.zeros(8, np.uint8)]  # read 8 at a time
    return np.concatenate([part.view(np.uint8) for part in parts])


_TABLES = _make_tables()  # compiled in, as a constant must be there before; it takes 2 ms


@njit(**IN_LINE)
def refill(data, position, buffer, n_bits):
    """Fill the buffer up to 56 bits or more. The lowest six bits of ``n_bits`` count: entries are taken off whole."""
    buffer |= load_64(data, position) << _U(n_bits & 63)
    return position + ((~n_bits & 63) >> 3), buffer, n_bits & 63 | 56


@njit(**IN_LINE)
def _look_up(buffer):
    """The entry of what comes next."""
    return np.int64(load_64(_TABLES, np.int64(buffer & _U(((1 << _INDEX_BITS) - 1) << _USED_UP))))


@njit(**IN_LINE)
def _is_match(entry):
    """All bits, or none."""
    return np.int64(np.int32(np.uint32(entry & 0xFFFFFFFF))) >> 63


@njit(**IN_LINE)
def _distance(entry, buffer):
    """The distance of a match, 0 of a literal."""
    bits = np.int64(buffer >> _U(_USED_UP + 7) & _U((1 << _MOST_JOINED_BITS) - 1))
    return np.int64(load_64(_TABLES, _DISTANCES + bits) & _U(0xFF)) & _is_match(entry)


@njit(**IN_LINE)
def _repeated(word, distance):
    """The first ``distance`` bytes of a word, again and again; all 8 from a distance of 8 on, none at 0."""
    return (word & load_64(_TABLES, _KEPT + 8 * distance)) * load_64(_TABLES, _REPEATED + 8 * distance)


@njit(**IN_LINE)
def _extra_bits(buffer, n_bits):
    return np.int64(buffer >> _U(_USED_UP) & ((_U(1) << _U(n_bits)) - _U(1)))


@njit(**IN_LINE)
def _take(output, target, entry, distance, buffer, n_bits):
    """Write a literal or a short match. Returns target, buffer, n_bits and the next entry."""
    literal, made = _U(entry) >> _U(32), entry >> 8 & 0xFF
    # A literal loads the first 8 bytes of all, as those just written would have to be waited for.
    source = (target & _is_match(entry)) - distance
    buffer >>= _U(entry & _BITS)
    n_bits -= entry
    entry = _look_up(buffer)  # before the copy: it takes longest
    store_64(output, target, _repeated(load_64(output, source), distance) + literal)
    return target + made, buffer, n_bits, entry


@njit(**IN_LINE)
def _long_match(entry, buffer, n_bits):
    """The length and the distance (0 of no code) of a match that is not joined. Returns them, buffer, n_bits."""
    extra = entry >> 8 & 15
    buffer >>= _U(entry & _BITS)
    length = (entry >> 16 & 0x1FF) + _extra_bits(buffer, extra)
    buffer >>= _U(extra)
    n_bits = (n_bits & 63) - (entry & _BITS) - extra - 5
    far = np.int64(load_64(_TABLES, _FAR_DISTANCES + 4 * _extra_bits(buffer, 5)) & _U(0xFFFFFFFF))
    buffer >>= _U(5)
    distance = (far >> 16) + _extra_bits(buffer, far & 15)
    return length, distance, buffer >> _U(far & 15), n_bits - (far & 15)


@njit(**IN_LINE)
def copy_match(output, target, distance, length):
    """Copy ``length`` bytes from ``distance`` back, 8 at a time, up to 7 too many."""
    word = load_64(output, target - distance)
    if distance < 8:
        word = _repeated(word, distance)
        distance = np.int64(load_64(_TABLES, _AT_LEAST_8 + distance) & _U(0xFF))  # it repeats itself from there too
    store_64(output, target, word)
    copied = 8
    while copied < length:
        store_64(output, target + copied, load_64(output, target + copied - distance))
        copied += 8


@njit(**IN_LINE)
def inflate_fixed(data, first, size, output, start, capacity, stop, big_endian):
    """Inflate a zlib stream of one sub-block in the fixed codes, as ``table.inflate`` does.

    Returns the number of bytes that came out, or -1 where it is another stream or a damaged one; where the checksum
    is; and whether decoding stopped early.
    """
    if size < 8:
        return -1, 0, False
    word = load_64(data, first)
    header = (word & _U(0xFF)) << _U(8) | word >> _U(8) & _U(0xFF)
    # Compression method 8 in a window of up to 32 KB, no dictionary; the last sub-block, in the fixed codes.
    if word & _U(0x07208F) != _U(0x030008) or header % _U(31) != _U(0):
        return -1, 0, False
    position, buffer, n_bits = first + 8, word >> _U(16), 48  # the sub-block's header is what was used up
    target, end, capacity_end = start, first + size, start + capacity
    last_position, limit = end + 8, capacity_end
    if stop <= 0xFFFFFFFF:
        limit = min(capacity_end, start + BYTES_PER_LOOK)
    entry = _look_up(buffer)
    while True:
        position, buffer, n_bits = refill(data, position, buffer, n_bits)
        if position > last_position or target > limit:
            if position > last_position or target > capacity_end:
                return -1, 0, False
            if has_passed(output, start, target - start, stop, big_endian):
                return target - start, 0, True
            limit = min(capacity_end, target + BYTES_PER_LOOK)
        for _ in range(3):  # of up to 15 bits each
            if entry & _EXCEPTION:
                break
            distance = _distance(entry, buffer)
            if target - distance < start:
                return -1, 0, False
            target, buffer, n_bits, entry = _take(output, target, entry, distance, buffer, n_bits)
        if entry & _EXCEPTION == 0:
            continue
        if entry & _END:
            position -= ((n_bits & 63) - _USED_UP - 7) >> 3  # give back the whole bytes that were read ahead
            if target > capacity_end or position + 4 > end:
                return -1, 0, False
            return target - start, position, False
        position, buffer, n_bits = refill(data, position, buffer, n_bits)
        length, distance, buffer, n_bits = _long_match(entry, buffer, n_bits)
        if entry == _EXCEPTION or distance == 0 or target - distance < start or target + length > capacity_end:
            return -1, 0, False
        copy_match(output, target, distance, length)
        target += length
        entry = _look_up(buffer)
