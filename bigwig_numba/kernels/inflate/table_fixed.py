"""The CPU's way through short streams: one sub-block in the fixed codes, which need no table made, two side by side.

A block of few items is such a stream. Most of its time is waiting: where a symbol begins is known once the one before
has been looked up, and where the next stream begins once a branch that nobody can guess has been taken. So two streams
are decoded in turns, three symbols each, and while one waits the other goes on. Where one ends, the next one begins::

    one      stream 0 ───────────────┐ stream 2 ──────┐ stream 3 ─────────────
    other    stream 1 ──────────────────────────────────────────┐ stream 4 ───

The first two of three symbols are done if they are literals, and are nothing otherwise: six instructions. The third may
be a literal or a match of up to 8 bytes from up to 32 back, also one that overlaps itself. Both are the same
instructions, as a branch that is guessed wrong takes longer: load the 8 bytes from ``distance`` back, keep ``distance``
of them, repeat those, add the literal, store::

                                             distance   kept   repeated by
    11 bits ──> entry: bits, bytes made   ┌─> none        0     0              a literal, from the entry
            ──> distance, if it is a match ┴─> 1 ... 7    1 ... 7  0x0101...   a match that may overlap itself
                                              8 ... 32    8     1              another match

The 11 bits stand above three that have been used up, so that they are a place in the table, 8 bytes an entry, without a
shift: what symbols wait for is a mask, a load and a shift each. What is longer or farther, an end or no code goes
another way.

Nothing is said of damage here: the stream is left, and the decoder for everything begins it again.
"""

from collections import namedtuple

import numpy as np

from ..jit import njit
from ..memory import load_64, store_64
from ..sections import has_passed
from .calls import IN_LINE, OUT_OF_LINE
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
from .table_buffer import fill_from, leading_zeros_64, refill_from

BYTES_PER_LOOK = 256  # output bytes between two looks at whether decoding may stop
_GOES_ON, _ENDED, _STOPPED, _LEFT = range(4)  # what becomes of a stream
_U = np.uint64

# An entry has two parts of 4 bytes. The first is for literals and joined matches: 6 bits to consume, END, EXCEPTION;
# bytes made; 255 of a match; the literal. The second is for literals alone, and zeros for all others: bits to consume;
# bytes made; the literal. A length by itself is an exception, with its extra bits in byte 3, the shortest length less 3
# in byte 6, the bits of its code in byte 7. What is no code has none of these.
_BITS = 63
_END, _EXCEPTION, _MATCH = 1 << 6, 1 << 7, 0xFF << 16
_EXTRA_BITS, _SHORTEST, _CODE_BITS = 24, 48, 56
LITERALS = 4
_INDEX_BITS = 11  # a length's 7 and the 4 of its distance that tell how many more belong to it
_USED_UP = 3
_END_BITS = 7
_LONGEST_JOINED, _FARTHEST_JOINED = 8, 32
_MOST_JOINED_BITS = 8  # of a distance and what it takes in extra bits

# What lies behind the entries. Distances have 8 added, so that a literal, which has none, loads from 8 bytes ahead: a
# load that overlaps the bytes just written would have to wait for them.
_AHEAD = 8
_DISTANCES = 8 << _INDEX_BITS  # a byte each: the distances up to 32
_KEPT = _DISTANCES + (1 << _MOST_JOINED_BITS)
_REPEATED = _KEPT + 8 * (_AHEAD + _FARTHEST_JOINED + 1)
_FAR_DISTANCES = _REPEATED + 8 * (_AHEAD + _FARTHEST_JOINED + 1)  # 4 bytes each: extra bits, and (16 on) the shortest
_AT_LEAST_8 = _FAR_DISTANCES + 4 * 32  # a byte each: the smallest multiple of a distance below 8 that is at least 8


def _reversed(code: int, n_bits: int) -> int:
    """Codes come highest bit first, an index has the lowest first."""
    return int(f"{code:0{n_bits}b}"[::-1], 2)


def _entry(symbol: int, n_bits: int, rest: int) -> int:
    """What stands at a symbol's code of so many bits, where these bits follow."""
    if symbol < END_OF_SUB_BLOCK:
        return (symbol << 16 | 1 << 8 | n_bits) << 8 * LITERALS | symbol << 24 | 1 << 8 | n_bits
    if symbol == END_OF_SUB_BLOCK:
        return _EXCEPTION | _END
    if symbol >= MOST_LITERAL_CODES:
        return _EXCEPTION
    shortest, extra = LENGTH_BASE[symbol - FIRST_LENGTH_SYMBOL], LENGTH_EXTRA_BITS[symbol - FIRST_LENGTH_SYMBOL]
    bits = 5 + DISTANCE_EXTRA_BITS[2 * _reversed(rest & 15, 4)] if rest & 15 != 15 else 5 + _MOST_JOINED_BITS
    if shortest <= _LONGEST_JOINED and bits <= _MOST_JOINED_BITS:
        return _MATCH | shortest << 8 | n_bits + bits
    return _EXCEPTION | extra << _EXTRA_BITS | shortest - 3 << _SHORTEST | n_bits << _CODE_BITS


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
    near = [_AHEAD + distance if distance <= _FARTHEST_JOINED else 0 for distance in near]
    distances = range(1, _FARTHEST_JOINED + 1)
    kept = [0] * (_AHEAD + 1) + [(1 << 8 * min(distance, 8)) - 1 for distance in distances]
    repeated = [0] * (_AHEAD + 1) + [sum(1 << place for place in range(0, 64, 8 * n)) for n in distances]
    far = [DISTANCE_BASE[n] << 16 | DISTANCE_EXTRA_BITS[n] if n < MOST_DISTANCE_CODES else 0 for n in symbols]
    at_least_8 = [0, *(-(-8 // distance) * distance for distance in range(1, 8))]
    parts: list[np.ndarray] = [entries, np.array(near, np.uint8), np.array(kept + repeated, np.uint64)]
    parts += [np.array(far, np.uint32), np.array(at_least_8, np.uint8), np.zeros(8, np.uint8)]  # read 8 at a time
    return np.concatenate([part.view(np.uint8) for part in parts])


FIXED_TABLES = _make_tables()  # compiled in, as a constant must be there before; it takes 2 ms

Stream = namedtuple("Stream", "number position buffer target start end limit")
"""A stream being decoded, all of it in registers.

Its number; the byte that the buffer was filled from; the buffer; the byte of the output that comes next; where its slot
begins; where the stream ends; up to where the output may go before somebody has to look.
"""


@njit(**IN_LINE)
def _place(buffer):
    """Where the entry of what comes next is."""
    return np.int64(buffer & _U(((1 << _INDEX_BITS) - 1) << _USED_UP))


@njit(**IN_LINE)
def _extra_bits(buffer, n_bits):
    return np.int64(buffer >> _U(_USED_UP) & ((_U(1) << _U(n_bits)) - _U(1)))


@njit(**IN_LINE)
def _made(entry):
    """Bytes that a symbol makes."""
    return np.int64(entry >> _U(8) & _U(0xFF))


@njit(**IN_LINE)
def _advance(data, output, stream, tables):
    """Decode three symbols, or fewer. Returns whether the stream can go on so, and the stream."""
    fixed, literals = tables.fixed, tables.literals
    position, buffer, target = stream.position, stream.buffer, stream.target
    entry = load_64(literals, _place(buffer))
    position, filled = refill_from(data, position, buffer)  # long before it is needed
    store_64(output, target, entry >> _U(16))
    target += _made(entry)
    buffer >>= entry & _U(_BITS)
    filled >>= entry & _U(_BITS)
    entry = load_64(literals, _place(buffer))
    store_64(output, target, entry >> _U(16))
    target += _made(entry)
    buffer = filled >> (entry & _U(_BITS))
    entry = load_64(fixed, _place(buffer)) & _U(0xFFFFFFFF)
    bits = np.int64(buffer >> _U(_USED_UP + 7) & _U((1 << _MOST_JOINED_BITS) - 1))
    distance = np.int64(fixed[_U(_DISTANCES + bits)]) & np.int64(entry >> _U(16) & _U(0xFF))
    source = target - distance
    goes_on = source >= stream.start - _AHEAD
    if goes_on:
        word = load_64(output, source + _AHEAD) & load_64(fixed, _KEPT + 8 * distance)
        store_64(output, target, word * load_64(fixed, _REPEATED + 8 * distance) + (entry >> _U(24)))
        target += _made(entry)
        buffer >>= entry & _U(_BITS)
        goes_on = entry & _U(_EXCEPTION) == _U(0) and position <= stream.end and target <= stream.limit
    return goes_on, Stream(stream.number, position, buffer, target, stream.start, stream.end, stream.limit)


@njit(**IN_LINE)
def copy_match(output, target, distance, length):
    """Copy ``length`` bytes from ``distance`` back, 8 at a time, up to 7 too many."""
    word = load_64(output, target - distance)
    if distance < 8:
        place = 8 * (_AHEAD + distance)
        word = (word & load_64(FIXED_TABLES, _KEPT + place)) * load_64(FIXED_TABLES, _REPEATED + place)
        # It repeats itself from there too.
        distance = np.int64(load_64(FIXED_TABLES, _AT_LEAST_8 + distance) & _U(0xFF))
    store_64(output, target, word)
    copied = 8
    while copied < length:
        store_64(output, target + copied, load_64(output, target + copied - distance))
        copied += 8


@njit(**IN_LINE)
def _copy_long_match(data, output, stream, entry, fixed, capacity):
    """Do a match that is not joined. Returns whether it is good, and the stream."""
    position, buffer = refill_from(data, stream.position, stream.buffer)
    extra = np.int64(entry >> _U(_EXTRA_BITS)) & 15
    buffer >>= entry >> _U(_CODE_BITS)
    length = 3 + (np.int64(entry >> _U(_SHORTEST)) & 0xFF) + _extra_bits(buffer, extra)
    buffer >>= _U(extra)
    far = np.int64(load_64(fixed, _FAR_DISTANCES + 4 * _extra_bits(buffer, 5)) & _U(0xFFFFFFFF))
    buffer >>= _U(5)
    distance = (far >> 16) + _extra_bits(buffer, far & 15)
    buffer >>= _U(far & 15)
    target, done = stream.target, stream.target - stream.start
    is_good = entry != _U(_EXCEPTION) and 0 < distance <= done and done + length <= capacity
    if is_good:
        copy_match(output, target, distance, length)
        target += length
    return is_good, Stream(stream.number, position, buffer, target, stream.start, stream.end, stream.limit)


@njit(**IN_LINE)
def _look(data, output, stream, tables, capacity, stop, big_endian):
    """See why a stream does not go on, and do what that takes. Returns what becomes of it, and the stream."""
    entry, done = load_64(tables.fixed, _place(stream.buffer)), stream.target - stream.start
    if entry & _U(_END):
        return _ENDED, stream
    if stream.position > stream.end or done > capacity:
        return _LEFT, stream
    if entry & _U(_EXCEPTION):
        is_good, stream = _copy_long_match(data, output, stream, entry, tables.fixed, capacity)
        return _GOES_ON if is_good else _LEFT, stream
    if stream.target <= stream.limit:
        return _LEFT, stream  # a distance from before the start
    if has_passed(output, stream.start, done, stop, big_endian):
        return _STOPPED, stream
    limit = stream.start + min(capacity, done + BYTES_PER_LOOK)
    return _GOES_ON, Stream(
        stream.number, stream.position, stream.buffer, stream.target, stream.start, stream.end, limit
    )


@njit(**IN_LINE)
def _next(data, number, firsts, sizes, compressed, starts, capacities, stops, lengths):
    """The first stream from ``number`` on that may be in the fixed codes; the others' length is -1."""
    while number < firsts.size:
        place = _U(number)
        first, size = firsts[place], sizes[place]
        word = load_64(data, first)
        header = (word & _U(0xFF)) << _U(8) | word >> _U(8) & _U(0xFF)
        # Compression method 8 in a window of up to 32 KB, no dictionary; the last sub-block, in the fixed codes.
        is_fixed = size >= 8 and word & _U(0x07208F) == _U(0x030008) and header % _U(31) == _U(0)
        if is_fixed and compressed[place]:
            start, room = starts[place], capacities[place]
            if stops[place] <= 0xFFFFFFFF:
                room = min(room, BYTES_PER_LOOK)
            buffer = fill_from(data, first + 2)  # the sub-block's header is what was used up
            return Stream(number, first + 2, buffer, start, start, first + size, start + room)
        lengths[place] = -1
        number += 1
    return Stream(number, 0, _U(0), 0, 0, 0, 0)


@njit(**IN_LINE)
def _record(stream, outcome, capacity, lengths, ends):
    """Write down what became of a stream."""
    n_bytes, end = stream.target - stream.start, 0
    if outcome == _ENDED:
        end = stream.position + ((leading_zeros_64(stream.buffer) + _USED_UP + _END_BITS + 7) >> 3)
    if outcome == _LEFT or end + 4 > stream.end or n_bytes > capacity:
        n_bytes = -1
    lengths[_U(stream.number)], ends[_U(stream.number)] = n_bytes, end


@njit(**OUT_OF_LINE)
def inflate_fixed(
    data, firsts, sizes, compressed, output, starts, capacities, stops, big_endian, tables, lengths, ends
):  # fmt: skip
    """Inflate those zlib streams that are one sub-block in the fixed codes, as ``table.inflate_blocks`` does.

    Writes the number of bytes that came out, or -1 where it is another stream or a damaged one; and where the
    checksum is, or 0 where decoding stopped early.
    """
    one = _next(data, 0, firsts, sizes, compressed, starts, capacities, stops, lengths)
    other = _next(data, one.number + 1, firsts, sizes, compressed, starts, capacities, stops, lengths)
    last = other.number
    while one.number < firsts.size:
        goes_on = True
        if other.number < firsts.size:
            while True:
                goes_on, one = _advance(data, output, one, tables)
                if not goes_on:
                    break
                goes_on, other = _advance(data, output, other, tables)
                if not goes_on:
                    one, other = other, one
                    break
        else:
            while goes_on:
                goes_on, one = _advance(data, output, one, tables)
        place = _U(one.number)
        outcome, one = _look(data, output, one, tables, capacities[place], stops[place], big_endian[place])
        if outcome != _GOES_ON:
            _record(one, outcome, capacities[place], lengths, ends)
            one = _next(data, last + 1, firsts, sizes, compressed, starts, capacities, stops, lengths)
            last = one.number
            if one.number >= firsts.size:
                one, other = other, one
