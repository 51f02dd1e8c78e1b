"""The CPU decoder's tables: what the next bits of input stand for, a symbol or a whole short match in one entry.

A table of 10 bits for literals and lengths, one of 8 for distances, side by side in one array, so that the decoder
keeps one address. An entry, from its lowest bit::

    6 bits: all to consume    4 bits (8 on): those of the code    4 bits (12 on): bytes made    16 on: value, flags

                        bits made   value         flags
    literal             1           the byte
    joined match        its length  its distance  JOINED
    length              0           shortest      EXCEPTION, LENGTH
    second table        its bits    its place     EXCEPTION
    end of sub-block    0                         EXCEPTION, END
    no code             0           0             EXCEPTION

    distance            0           shortest      (the value takes 15 bits)
    second table        its bits    its place     NO_DISTANCE
    no code             0           0             NO_DISTANCE

A joined match is a length of 3 to 8 with a distance whose code and extra bits fit into what the length's code leaves of
10 bits: in real files nearly 80 % of all matches, as most repeat the item before. The copy must not overlap, so that it
is one load and one store.

=============  ========  =======  ==========================================================================
array          shape     dtype    what
=============  ========  =======  ==========================================================================
table          (7936,)   uint32   2**10 entries and second tables; from DISTANCES on 2**8 and second tables
distances      (2304,)   uint32   the same memory from DISTANCES on; first used for the code for code lengths
lengths        (328,)    uint8    code lengths: literal/length, then distance; 8 more that may be written
counts         (16,)     int64    number of codes of each length
places         (16,)     int64    where in ``order`` the next symbol of each length goes
order          (320,)    uint16   symbols by code length
slots          (320,)    uint16   the first slot of each literal or length symbol
joined         (512,)    int64    the distances that fit into so many bits, as they are added to a length
holds_fixed    (1,)      uint8    1 while the tables hold the fixed codes, which many short streams share
fixed          (F,)      uint8    ``table_fixed.FIXED_TABLES``
literals       (F - 4,)  uint8    the same memory from its entries' second part on: an offset makes a load slower
=============  ========  =======  ==========================================================================
"""

from collections import namedtuple

import numpy as np

from ..jit import njit
from ..memory import load_64, store_64
from ..statuses import (
    BAD_DISTANCE_CODE,
    BAD_LENGTH_CODE,
    BAD_LENGTH_REPEAT,
    BAD_LITERAL_CODE,
    GOOD,
    INPUT_EXHAUSTED,
    TOO_MANY_CODES,
)
from .calls import IN_LINE, OUT_OF_LINE
from .deflate import (
    CODE_LENGTH_ORDER,
    DISTANCE_BASE,
    DISTANCE_EXTRA_BITS,
    END_OF_SUB_BLOCK,
    FIRST_LENGTH_SYMBOL,
    LENGTH_BASE,
    LENGTH_EXTRA_BITS,
    LONGEST_CODE,
    MOST_DISTANCE_CODES,
    MOST_LITERAL_CODES,
)
from .table_fixed import FIXED_TABLES, LITERALS

LITERAL_BITS = 10
DISTANCE_BITS = 8
LENGTH_CODE_BITS = 7
# Second tables: a complete code of 286 symbols has at most 143 prefixes with codes over 10 bits, of 2**5 entries each
# (30 symbols: 15 prefixes of 2**7 over 8 bits).
DISTANCES = (1 << LITERAL_BITS) + 144 * 32
TABLE_SIZE = DISTANCES + (1 << DISTANCE_BITS) + 16 * 128

ALL_BITS = 63
CODE_BITS, MADE, VALUE = 8, 12, 16  # where in an entry these begin; the first two take 4 bits
SECOND_TABLE = 0x1FFF  # the place of a second table takes 13 bits
JOINED = NO_DISTANCE = 1 << 31
EXCEPTION = 1 << 30
LENGTH = 1 << 29
END = 1 << 28
_PER_BIT = 1 << CODE_BITS | 1  # a code's length goes into both fields
_LONGEST_JOINED = 8
_U = np.uint64

# Entries without their code length.
_LITERAL_ENTRIES = np.array(
    [byte << VALUE | 1 << MADE for byte in range(256)]
    + [EXCEPTION | END]
    + [EXCEPTION | LENGTH | base << VALUE | extra for base, extra in zip(LENGTH_BASE, LENGTH_EXTRA_BITS, strict=True)]
    + [EXCEPTION, EXCEPTION],  # 286 and 287: in the fixed code, but never valid
    np.uint32,
)
_DISTANCE_ENTRIES = np.array(
    [base << VALUE | extra for base, extra in zip(DISTANCE_BASE, DISTANCE_EXTRA_BITS, strict=True)] + [NO_DISTANCE] * 2,
    np.uint32,
)
_LENGTH_CODE_ENTRIES = np.array([symbol << VALUE for symbol in range(19)], np.uint32)
_ORDER = np.array(CODE_LENGTH_ORDER, np.int64)
# Codes come highest bit first, an index has the lowest first.
_REVERSED = np.array([int(f"{code:015b}"[::-1], 2) for code in range(1 << LONGEST_CODE)], np.uint16)

Tables = namedtuple("Tables", "table distances lengths counts places order slots joined holds_fixed fixed literals")


@njit(nogil=True, cache=True)
def make_tables():
    """Scratch memory for one thread."""
    table = np.empty(TABLE_SIZE, np.uint32)
    fixed = FIXED_TABLES.copy()  # not as a constant, whose address would be written out at each use
    return Tables(
        table,
        table[DISTANCES:],
        np.zeros(328, np.uint8),
        np.zeros(16, np.int64),
        np.zeros(16, np.int64),
        np.zeros(320, np.uint16),
        np.zeros(320, np.uint16),
        np.zeros(1 << (LITERAL_BITS - 1), np.int64),
        np.zeros(1, np.uint8),
        fixed,
        fixed[LITERALS:],
    )


@njit(**OUT_OF_LINE)
def fill(array, first, last, value):
    """``array[first:last] = value``, which Numba takes ten times as long to compile."""
    for place in range(first, last):
        array[place] = value


@njit(**IN_LINE)
def _first_slot(code, length):
    """Where a table has the first entry of a code: its bits in reverse."""
    return _U(_REVERSED[_U(code << (LONGEST_CODE - length))])


@njit(**OUT_OF_LINE)
def _sort_symbols(tables, first, n_symbols, may_be_single):
    """Order symbols by code length. Returns the longest, or -1 where ``lengths[first : first + n_symbols]`` are none.

    They make one if it is not over-subscribed, and is complete unless of one symbol or none.
    """
    lengths, counts, places, order = tables.lengths, tables.counts, tables.places, tables.order
    fill(counts, 0, 16, 0)
    for symbol in range(first, first + n_symbols):
        counts[_U(lengths[symbol])] += 1
    space_left, longest, place = 1, 0, counts[0]
    places[0] = 0
    for length in range(1, 16):
        space_left = (space_left << 1) - counts[length]
        if space_left < 0:
            return -1
        if counts[length]:
            longest = length
        places[length] = place
        place += counts[length]
    if space_left != 0 and not (may_be_single and longest <= 1):
        return -1
    for symbol in range(n_symbols):
        length = _U(lengths[_U(first + symbol)])
        order[_U(places[length])] = symbol
        places[length] += 1
    return longest


@njit(**OUT_OF_LINE)
def build_table(tables, first, n_symbols, entries, table, table_bits, may_be_single, missing):
    """Fill a table from code lengths; false where they make no code. ``missing`` is the entry of bits that are no code.

    The table grows with the codes: once all of a length are in, it is doubled by a copy of itself.
    """
    longest = _sort_symbols(tables, first, n_symbols, may_be_single)
    if longest < 0:
        return False
    counts, order, slots = tables.counts, tables.order, tables.slots
    table[0] = table[1] = missing  # stays only where the code is incomplete
    code, place = 0, counts[0]
    for length in range(1, table_bits + 1):
        code <<= 1
        for _ in range(counts[length]):
            symbol, slot = _U(order[_U(place)]), _first_slot(code, length)
            table[slot] = entries[symbol] + length * _PER_BIT
            slots[symbol] = slot
            place += 1
            code += 1
        if length < table_bits:
            size = _U(1 << length)
            for slot in range(size):
                table[size + slot] = table[slot]
    if longest > table_bits:
        _build_second_tables(tables, entries, table, table_bits, missing, longest, code, place)
    return True


@njit(**OUT_OF_LINE)
def _build_second_tables(tables, entries, table, table_bits, missing, longest, code, place):
    """Fill tables of the bits that remain of longer codes; ``code`` is the first prefix that has some."""
    second_bits, end = longest - table_bits, 1 << table_bits
    for prefix in range(code, 1 << table_bits):
        table[_first_slot(prefix, table_bits)] = missing | end << VALUE | second_bits << MADE | table_bits
        end += 1 << second_bits
    for length in range(table_bits + 1, longest + 1):
        code <<= 1
        for _ in range(tables.counts[length]):
            entry = entries[_U(tables.order[_U(place)])] + length * _PER_BIT
            slot = _first_slot(code, length)
            base = np.int64(table[slot & _U((1 << table_bits) - 1)]) >> VALUE & SECOND_TABLE
            for rest in range(np.int64(slot) >> table_bits, 1 << second_bits, 1 << (length - table_bits)):
                table[_U(base + rest)] = entry
            place += 1
            code += 1


@njit(**OUT_OF_LINE)
def _join_matches(tables, n_literal):
    """Give short lengths the distances that fit behind them."""
    table, lengths, joined = tables.table, tables.lengths, tables.joined
    last = min(n_literal, FIRST_LENGTH_SYMBOL + _LONGEST_JOINED - 2)
    most = 0
    for symbol in range(FIRST_LENGTH_SYMBOL, last):
        if lengths[symbol]:
            most = max(most, LITERAL_BITS - np.int64(lengths[symbol]))
    for rest in range(1 << most):
        entry = np.int64(tables.distances[_U(rest) & _U((1 << DISTANCE_BITS) - 1)])
        bits, code_bits = entry & ALL_BITS, entry >> CODE_BITS & 15
        distance = (entry >> VALUE) + (rest >> code_bits & ((1 << (bits - code_bits)) - 1))
        fits = (entry & NO_DISTANCE == 0) & (bits <= most)
        joined[_U(rest)] = distance << VALUE | bits if fits else ALL_BITS
    for symbol in range(FIRST_LENGTH_SYMBOL, last):
        bits = np.int64(lengths[symbol])
        if bits == 0 or bits >= LITERAL_BITS:
            continue
        length, room = symbol - FIRST_LENGTH_SYMBOL + 3, LITERAL_BITS - bits
        alone = EXCEPTION | LENGTH | length << VALUE | bits * _PER_BIT
        with_distance = JOINED | length << MADE | bits
        slot = _U(tables.slots[symbol])
        for rest in range(1 << room):
            entry = joined[_U(rest)]
            fits = (entry & ALL_BITS <= room) & (entry >= length << VALUE)
            table[slot] = with_distance + entry if fits else alone  # a select: a branch would be guessed wrong
            slot += _U(1 << bits)


@njit(**OUT_OF_LINE)
def build_fixed_tables(tables):
    """The codes of RFC 1951, section 3.2.6. None of their matches can be joined."""
    lengths = tables.lengths
    fill(lengths, 0, 144, 8)
    fill(lengths, 144, 256, 9)
    fill(lengths, 256, 280, 7)
    fill(lengths, 280, 288, 8)
    fill(lengths, 288, 320, 5)
    build_table(tables, 0, 288, _LITERAL_ENTRIES, tables.table, LITERAL_BITS, False, EXCEPTION)
    build_table(tables, 288, 32, _DISTANCE_ENTRIES, tables.distances, DISTANCE_BITS, False, NO_DISTANCE)


@njit(**OUT_OF_LINE)
def _read_code_lengths(data, position, end, buffer, n_bits, tables, n_symbols):
    """Read the code lengths, which are in a code and in runs. Returns status, position, buffer, n_bits."""
    lengths, table = tables.lengths, tables.distances
    symbol, previous = 0, -1
    while symbol < n_symbols:
        if position > end + 8:
            return INPUT_EXHAUSTED, position, buffer, n_bits
        buffer |= load_64(data, position) << _U(n_bits)
        position += (63 - n_bits) >> 3
        n_bits |= 56
        entry = np.int64(table[buffer & _U((1 << LENGTH_CODE_BITS) - 1)])
        value, bits = entry >> VALUE, entry & ALL_BITS
        buffer >>= _U(bits)
        n_bits -= bits
        if value < 16:
            lengths[_U(symbol)] = previous = value
            symbol += 1
            continue
        extra, repeats = 2, 3
        if value == 17:
            extra, previous = 3, 0
        elif value == 18:
            extra, repeats, previous = 7, 11, 0
        repeats += np.int64(buffer & ((_U(1) << _U(extra)) - _U(1)))
        buffer >>= _U(extra)
        n_bits -= extra
        if previous < 0 or symbol + repeats > n_symbols:
            return BAD_LENGTH_REPEAT, position, buffer, n_bits
        for place in range(symbol, symbol + repeats, 8):
            store_64(lengths, place, _U(previous) * _U(0x0101010101010101))
        symbol += repeats
    return GOOD, position, buffer, n_bits


@njit(**OUT_OF_LINE)
def read_dynamic_codes(data, position, end, buffer, n_bits, tables):
    """Read a dynamic sub-block's header and build its tables. Returns status, position, buffer, n_bits."""
    lengths = tables.lengths
    n_literal = np.int64(buffer & _U(31)) + 257
    n_distance = np.int64(buffer >> _U(5) & _U(31)) + 1
    n_lengths = np.int64(buffer >> _U(10) & _U(15)) + 4
    buffer >>= _U(14)
    n_bits -= 14
    if n_literal > MOST_LITERAL_CODES or n_distance > MOST_DISTANCE_CODES:
        return TOO_MANY_CODES, position, buffer, n_bits
    fill(lengths, 0, 19, 0)
    for place in range(n_lengths):
        if place == 12:  # 14 + 3 * 12 bits are used up: refill, once
            buffer |= load_64(data, position) << _U(n_bits)
            position += (63 - n_bits) >> 3
            n_bits |= 56
        lengths[_ORDER[place]] = buffer & _U(7)
        buffer >>= _U(3)
        n_bits -= 3
    distances = tables.distances
    if not build_table(tables, 0, 19, _LENGTH_CODE_ENTRIES, distances, LENGTH_CODE_BITS, False, NO_DISTANCE):
        return BAD_LENGTH_CODE, position, buffer, n_bits
    status, position, buffer, n_bits = _read_code_lengths(
        data, position, end, buffer, n_bits, tables, n_literal + n_distance
    )
    if status != GOOD:
        return status, position, buffer, n_bits
    if lengths[END_OF_SUB_BLOCK] == 0:
        return BAD_LITERAL_CODE, position, buffer, n_bits
    if not build_table(tables, n_literal, n_distance, _DISTANCE_ENTRIES, distances, DISTANCE_BITS, True, NO_DISTANCE):
        return BAD_DISTANCE_CODE, position, buffer, n_bits
    if not build_table(tables, 0, n_literal, _LITERAL_ENTRIES, tables.table, LITERAL_BITS, True, EXCEPTION):
        return BAD_LITERAL_CODE, position, buffer, n_bits
    _join_matches(tables, n_literal)
    return GOOD, position, buffer, n_bits
