"""Inflate by table look-up: a 64-bit bit buffer and tables that decode a symbol in one step. The CPU's decoder.

The picture: the next 11 bits of input index a table. The entry says everything about the symbol whose code those bits
begin with: what it is, how many bits it takes, and for a length its base and extra bits. Codes longer than 11 bits
(rare) lead to a second table of the bits that remain::

    bit buffer  ...0110 1011 0100 110 ──11 bits──> literal table ──┬─> literal: one byte out
                                                                   ├─> length ──8 bits──> distance table ─> copy
                                                                   └─> exception: second table, end, or no code

=============  ===========  =======  =======================================================================
array          shape        dtype    what
=============  ===========  =======  =======================================================================
data           (N,)         uint8    compressed bytes; 32 readable bytes must follow each stream
output         (M,)         uint8    a slot per stream, with 272 writable bytes after its capacity
literal_table  (4608,)      uint32   2**11 entries, then second tables
distance_table (1024,)      uint32   2**8 entries, then second tables; first used for the code for code lengths
lengths        (320,)       uint8    code lengths: literal/length, then distance
next_code      (16,)        int64    the next code of each length
counts         (16,)        int64    number of codes of each length
holds_fixed    (1,)         uint8    1 while the tables hold the fixed codes, which many short streams share
=============  ===========  =======  =======================================================================

An entry, from its lowest bit: 8 bits for all the bits to consume (code and extra bits), 8 bits for those of the code
alone, 14 bits of value, the flag EXCEPTION, the flag LITERAL.

Damaged input is safe: codes are checked before a table is filled, so an index never leaves its table, and the two
positions are checked once per iteration, against slack that one iteration cannot use up (input 23 bytes, output 268).
"""

import numpy as np
from numba import njit

from ..bits import load_64, store_64
from ..sections import has_passed
from ..statuses import (
    BAD_DISTANCE_CODE,
    BAD_LENGTH_CODE,
    BAD_LENGTH_REPEAT,
    BAD_LITERAL_CODE,
    BAD_ZLIB_HEADER,
    CHECKSUM_MISMATCH,
    DISTANCE_BEFORE_START,
    GOOD,
    INPUT_EXHAUSTED,
    NO_SUCH_CODE,
    OUTPUT_FULL,
    RESERVED_SUB_BLOCK_TYPE,
    STORED_LENGTH_MISMATCH,
    TOO_MANY_CODES,
)
from .deflate import (
    CODE_LENGTH_ORDER,
    DISTANCE_BASE,
    DISTANCE_EXTRA_BITS,
    END_OF_SUB_BLOCK,
    LENGTH_BASE,
    LENGTH_EXTRA_BITS,
    MOST_DISTANCE_CODES,
    MOST_LITERAL_CODES,
)

LITERAL_BITS = 11
DISTANCE_BITS = 8
LENGTH_CODE_BITS = 7
# Second tables: a complete code of 286 symbols has at most 143 prefixes with codes over 11 bits, of 2**4 entries each
# (30 symbols: 15 prefixes of 2**7 over 8 bits; fewer than 2**10 - 2**8 entries, as deep prefixes exclude each other).
LITERAL_TABLE_SIZE = (1 << LITERAL_BITS) + 160 * 16
DISTANCE_TABLE_SIZE = (1 << DISTANCE_BITS) + 16 * 128
INPUT_SLACK = 32
OUTPUT_SLACK = 272

LITERAL = 1 << 31
EXCEPTION = 1 << 30
_END = EXCEPTION | 1 << 29
_VALUE = 0x3FFF  # 14 bits of value
_SECOND_TABLE = 0x1FFF  # 13 bits, where the end flag takes the highest of the 14
_U = np.uint64

# Entries without their code length: value, flags, and the extra bits in the lowest byte.
_LITERAL_ENTRIES = np.array(
    [LITERAL | byte << 16 for byte in range(256)]
    + [_END]
    + [base << 16 | extra for base, extra in zip(LENGTH_BASE, LENGTH_EXTRA_BITS, strict=True)]
    + [EXCEPTION, EXCEPTION],  # 286 and 287: in the fixed code, but never valid
    np.uint32,
)
# A distance base takes 15 bits (24,577), one more than there are: the distance's entries hold its symbol.
_DISTANCE_ENTRIES = np.array(
    [symbol << 16 | extra for symbol, extra in enumerate(DISTANCE_EXTRA_BITS)] + [EXCEPTION] * 2, np.uint32
)
_DISTANCE_BASES = np.array((*DISTANCE_BASE, 0, 0), np.int64)
_ORDER = np.array(CODE_LENGTH_ORDER, np.int64)
_LENGTH_CODE_ENTRIES = np.array([symbol << 16 for symbol in range(19)], np.uint32)


@njit(nogil=True, cache=True)
def make_tables():
    """Scratch memory for one thread: literal_table, distance_table, lengths, next_code, counts, holds_fixed."""
    return (
        np.empty(LITERAL_TABLE_SIZE, np.uint32),
        np.empty(DISTANCE_TABLE_SIZE, np.uint32),
        np.zeros(320, np.uint8),
        np.zeros(16, np.int64),
        np.zeros(16, np.int64),
        np.zeros(1, np.uint8),
    )


@njit(nogil=True, cache=True)
def _fill(array, first, last, value):
    """``array[first:last] = value``, which Numba takes ten times as long to compile."""
    for place in range(first, last):
        array[place] = value


@njit(nogil=True, cache=True)
def copy_bytes(output, target, data, position, n_bytes):
    """``output[target : target + n_bytes] = data[position : position + n_bytes]``, likewise."""
    for place in range(n_bytes):
        output[target + place] = data[position + place]


@njit(nogil=True, cache=True)
def _reverse(code, length):
    """The lowest ``length`` bits of a code in reverse: codes come highest bit first, an index has the lowest first."""
    code = (code & 0x5555) << 1 | (code >> 1) & 0x5555
    code = (code & 0x3333) << 2 | (code >> 2) & 0x3333
    code = (code & 0x0F0F) << 4 | (code >> 4) & 0x0F0F
    code = (code & 0x00FF) << 8 | (code >> 8) & 0x00FF
    return code >> (16 - length)


@njit(nogil=True, cache=True)
def _is_valid_code(longest, counts, may_be_single):
    """Whether lengths of these counts make a code: not over-subscribed, and complete unless of one symbol or none."""
    space_left = 1
    for length in range(1, 16):
        space_left = (space_left << 1) - counts[length]
        if space_left < 0:
            return False
    return space_left == 0 or (may_be_single and longest <= 1)


@njit(nogil=True, cache=True)
def build_table(lengths, first, n_symbols, entries, table, table_bits, may_be_single, next_code, counts):
    """Fill a table from code lengths ``lengths[first : first + n_symbols]``; false where they make no code."""
    _fill(counts, 0, 16, 0)
    for symbol in range(n_symbols):
        counts[lengths[first + symbol]] += 1
    counts[0] = 0
    code, longest = 0, 0
    for length in range(1, 16):
        code = (code + counts[length - 1]) << 1
        next_code[length] = code
        if counts[length]:
            longest = length
    if not _is_valid_code(longest, counts, may_be_single):
        return False
    size = 1 << table_bits
    if longest <= 1:  # an incomplete code: bits that are no code must find an exception
        _fill(table, 0, size, np.uint32(EXCEPTION))
    second_bits = longest - table_bits
    if second_bits > 0:
        # Codes over table_bits are the numerically last: their prefixes run up to the end of the prefix space.
        end = size
        for prefix in range(next_code[table_bits + 1] >> 1, size):
            table[_reverse(prefix, table_bits)] = np.uint32(EXCEPTION | end << 16 | second_bits << 8 | table_bits)
            end += 1 << second_bits
    for symbol in range(n_symbols):
        length = np.int64(lengths[first + symbol])
        if length == 0:
            continue
        slot = _reverse(next_code[length], length)
        next_code[length] += 1
        entry = np.uint32(entries[symbol] + np.uint32(length * 0x101))
        if length <= table_bits:
            while slot < size:
                table[slot] = entry
                slot += 1 << length
        else:
            base = (np.int64(table[slot & (size - 1)]) >> 16) & _SECOND_TABLE
            slot >>= table_bits
            while slot < 1 << second_bits:
                table[base + slot] = entry
                slot += 1 << (length - table_bits)
    return True


@njit(nogil=True, cache=True)
def _build_fixed(tables):
    literal_table, distance_table, lengths, next_code, counts = tables[:5]
    _fill(lengths, 0, 144, 8)
    _fill(lengths, 144, 256, 9)
    _fill(lengths, 256, 280, 7)
    _fill(lengths, 280, 288, 8)
    _fill(lengths, 288, 320, 5)
    build_table(lengths, 0, 288, _LITERAL_ENTRIES, literal_table, LITERAL_BITS, False, next_code, counts)
    build_table(lengths, 288, 32, _DISTANCE_ENTRIES, distance_table, DISTANCE_BITS, False, next_code, counts)


@njit(nogil=True, cache=True)
def _read_dynamic_codes(data, position, end, buffer, n_bits, tables):
    """Read a dynamic sub-block's header and build its tables. Returns status, position, buffer, n_bits."""
    literal_table, distance_table, lengths, next_code, counts = tables[:5]
    n_literal = np.int64(buffer & _U(31)) + 257
    n_distance = np.int64(buffer >> _U(5) & _U(31)) + 1
    n_lengths = np.int64(buffer >> _U(10) & _U(15)) + 4
    buffer >>= _U(14)
    n_bits -= 14
    if n_literal > MOST_LITERAL_CODES or n_distance > MOST_DISTANCE_CODES:
        return TOO_MANY_CODES, position, buffer, n_bits
    _fill(lengths, 0, 19, 0)
    for place in range(n_lengths):
        if place == 12:  # 14 + 3 * 12 bits are used up: refill, once
            buffer |= load_64(data, position) << _U(n_bits)
            position += (63 - n_bits) >> 3
            n_bits |= 56
        lengths[_ORDER[place]] = buffer & _U(7)
        buffer >>= _U(3)
        n_bits -= 3
    if not build_table(
        lengths, 0, 19, _LENGTH_CODE_ENTRIES, distance_table, LENGTH_CODE_BITS, False, next_code, counts
    ):
        return BAD_LENGTH_CODE, position, buffer, n_bits
    n_symbols = n_literal + n_distance
    symbol, previous = 0, -1
    while symbol < n_symbols:
        if position > end + 8:
            return INPUT_EXHAUSTED, position, buffer, n_bits
        buffer |= load_64(data, position) << _U(n_bits)
        position += (63 - n_bits) >> 3
        n_bits |= 56
        entry = np.int64(distance_table[np.int64(buffer & _U(127))])
        bits, value, repeats = entry & 15, entry >> 16, 1
        buffer >>= _U(bits)
        n_bits -= bits
        if value >= 16:
            extra, repeats = 2, 3
            if value == 16:
                if previous < 0:
                    return BAD_LENGTH_REPEAT, position, buffer, n_bits
                value = previous
            elif value == 17:
                extra, value = 3, 0
            else:
                extra, repeats, value = 7, 11, 0
            repeats += np.int64(buffer & ((_U(1) << _U(extra)) - _U(1)))
            buffer >>= _U(extra)
            n_bits -= extra
        if symbol + repeats > n_symbols:
            return BAD_LENGTH_REPEAT, position, buffer, n_bits
        for place in range(symbol, symbol + repeats):
            lengths[place] = value
        symbol += repeats
        previous = value
    if lengths[END_OF_SUB_BLOCK] == 0:
        return BAD_LITERAL_CODE, position, buffer, n_bits
    if not build_table(
        lengths, n_literal, n_distance, _DISTANCE_ENTRIES, distance_table, DISTANCE_BITS, True, next_code, counts
    ):
        return BAD_DISTANCE_CODE, position, buffer, n_bits
    if not build_table(lengths, 0, n_literal, _LITERAL_ENTRIES, literal_table, LITERAL_BITS, True, next_code, counts):
        return BAD_LITERAL_CODE, position, buffer, n_bits
    return GOOD, position, buffer, n_bits


@njit(nogil=True, cache=True)
def _copy_match(output, target, distance, length):
    """Copy ``length`` bytes from ``distance`` back; 8 at a time where they do not overlap, up to 7 too many."""
    source = target - distance
    if distance >= 8:
        store_64(output, target, load_64(output, source))
        copied = 8
        while copied < length:
            store_64(output, target + copied, load_64(output, source + copied))
            copied += 8
    else:
        for place in range(length):
            output[target + place] = output[source + place]


@njit(nogil=True, cache=True)
def _decode_symbols(data, position, end, buffer, n_bits, output, start, target, capacity_end, stop, big_endian, tables):
    """Decode symbols up to the end of the sub-block. Returns status, position, buffer, n_bits, target, stopped."""
    literal_table, distance_table = tables[0], tables[1]
    mask = _U((1 << LITERAL_BITS) - 1)
    next_look = target + 256
    while True:
        if position > end + 8:
            return INPUT_EXHAUSTED, position, buffer, n_bits, target, False
        if target > capacity_end:
            return OUTPUT_FULL, position, buffer, n_bits, target, False
        if target >= next_look:
            if has_passed(output, start, target - start, stop, big_endian):
                return GOOD, position, buffer, n_bits, target, True
            next_look = target + 256
        buffer |= load_64(data, position) << _U(n_bits)
        position += (63 - n_bits) >> 3
        n_bits |= 56
        entry = np.int64(literal_table[np.int64(buffer & mask)])
        if entry & LITERAL:
            # Up to three literals from one filling: 3 x 11 bits of 56, and the next entry is looked up meanwhile.
            output[target] = entry >> 16 & 255
            target += 1
            bits = entry & 255
            buffer >>= _U(bits)
            n_bits -= bits
            entry = np.int64(literal_table[np.int64(buffer & mask)])
            if entry & LITERAL:
                output[target] = entry >> 16 & 255
                target += 1
                bits = entry & 255
                buffer >>= _U(bits)
                n_bits -= bits
                entry = np.int64(literal_table[np.int64(buffer & mask)])
                if entry & LITERAL:
                    output[target] = entry >> 16 & 255
                    target += 1
                    bits = entry & 255
                    buffer >>= _U(bits)
                    n_bits -= bits
                    continue
            buffer |= load_64(data, position) << _U(n_bits)
            position += (63 - n_bits) >> 3
            n_bits |= 56
        if entry & EXCEPTION:
            second_bits = entry >> 8 & 255
            if entry & _END != _END and second_bits > 0 and entry & 255 == LITERAL_BITS:
                rest = np.int64(buffer >> _U(LITERAL_BITS) & ((_U(1) << _U(second_bits)) - _U(1)))
                entry = np.int64(literal_table[(entry >> 16 & _SECOND_TABLE) + rest])
                if entry & LITERAL:
                    output[target] = entry >> 16 & 255
                    target += 1
                    bits = entry & 255
                    buffer >>= _U(bits)
                    n_bits -= bits
                    continue
            if entry & _END == _END:
                bits = entry & 255
                return GOOD, position, buffer >> _U(bits), n_bits - bits, target, False
            if entry & EXCEPTION:
                return NO_SUCH_CODE, position, buffer, n_bits, target, False
        bits, code_bits = entry & 255, entry >> 8 & 255
        length = (entry >> 16 & _VALUE) + np.int64(buffer >> _U(code_bits) & ((_U(1) << _U(bits - code_bits)) - _U(1)))
        buffer >>= _U(bits)
        n_bits -= bits
        entry = np.int64(distance_table[np.int64(buffer & _U((1 << DISTANCE_BITS) - 1))])
        if entry & EXCEPTION:
            second_bits = entry >> 8 & 255
            if second_bits == 0 or entry & 255 != DISTANCE_BITS:
                return NO_SUCH_CODE, position, buffer, n_bits, target, False
            rest = np.int64(buffer >> _U(DISTANCE_BITS) & ((_U(1) << _U(second_bits)) - _U(1)))
            entry = np.int64(distance_table[(entry >> 16 & _SECOND_TABLE) + rest])
            if entry & EXCEPTION:
                return NO_SUCH_CODE, position, buffer, n_bits, target, False
        bits, code_bits = entry & 255, entry >> 8 & 255
        distance = _DISTANCE_BASES[entry >> 16 & 31] + np.int64(
            buffer >> _U(code_bits) & ((_U(1) << _U(bits - code_bits)) - _U(1))
        )
        buffer >>= _U(bits)
        n_bits -= bits
        if distance > target - start:
            return DISTANCE_BEFORE_START, position, buffer, n_bits, target, False
        _copy_match(output, target, distance, length)
        target += length


@njit(nogil=True, cache=True)
def _copy_stored(data, position, end, buffer, n_bits, output, target, capacity_end):
    """Copy a stored sub-block. Returns status, position, target; the bit buffer is empty afterwards."""
    padding = n_bits & 7
    buffer >>= _U(padding)
    n_bits -= padding
    position -= n_bits >> 3  # give back the whole bytes that the buffer read ahead
    if position + 4 > end:
        return INPUT_EXHAUSTED, position, target
    header = np.int64(load_64(data, position) & _U(0xFFFFFFFF))
    length = header & 0xFFFF
    if length != (header >> 16) ^ 0xFFFF:
        return STORED_LENGTH_MISMATCH, position, target
    position += 4
    if position + length > end:
        return INPUT_EXHAUSTED, position, target
    if target + length > capacity_end:
        return OUTPUT_FULL, position, target
    copy_bytes(output, target, data, position, length)
    return GOOD, position + length, target + length


@njit(nogil=True, cache=True)
def adler_32(output, start, n_bytes):
    """The Adler-32 checksum (RFC 1950, section 9) of ``output[start : start + n_bytes]``."""
    low, high = 1, 0
    done = 0
    while done < n_bytes:
        many = min(n_bytes - done, 1 << 20)  # so many bytes cannot overflow 63 bits before the remainder is taken
        for place in range(start + done, start + done + many):
            low += np.int64(output[place])
            high += low
        low, high = low % 65521, high % 65521
        done += many
    return high << 16 | low


@njit(nogil=True, cache=True)
def _check_checksum(data, position, output, start, n_bytes):
    """Whether the four bytes (big-endian) at ``position`` are the checksum of what came out."""
    expected = 0
    for place in range(4):
        expected = expected << 8 | np.int64(data[position + place])
    return expected == adler_32(output, start, n_bytes)


@njit(nogil=True, cache=True)
def inflate(data, first, size, output, start, capacity, stop, big_endian, verify, tables):
    """Inflate the zlib stream ``data[first : first + size]`` to ``output[start : start + capacity]``.

    Returns the status, the number of bytes that came out, and whether decoding stopped early. It does where the
    section being inflated has passed ``stop`` (see ``sections.has_passed``; 2**32 never stops); the checksum is
    compared if ``verify`` and the end was reached.
    """
    end, capacity_end = first + size, start + capacity
    if size < 2:
        return INPUT_EXHAUSTED, 0, False
    header = np.int64(data[first]) << 8 | np.int64(data[first + 1])
    if header >> 8 & 15 != 8 or header >> 12 > 7 or header % 31 != 0 or header & 0x20:
        return BAD_ZLIB_HEADER, 0, False
    position, target = first + 2, start
    buffer, n_bits = _U(0), 0
    is_last, stopped = False, False
    while not is_last:
        if position > end + 8:
            return INPUT_EXHAUSTED, target - start, False
        buffer |= load_64(data, position) << _U(n_bits)
        position += (63 - n_bits) >> 3
        n_bits |= 56
        is_last, kind = buffer & _U(1) != _U(0), np.int64(buffer >> _U(1) & _U(3))
        buffer >>= _U(3)
        n_bits -= 3
        status = GOOD
        if kind == 0:
            status, position, target = _copy_stored(data, position, end, buffer, n_bits, output, target, capacity_end)
            buffer, n_bits = _U(0), 0
        elif kind == 3:
            return RESERVED_SUB_BLOCK_TYPE, target - start, False
        else:
            if kind == 2:
                tables[5][0] = 0
                status, position, buffer, n_bits = _read_dynamic_codes(data, position, end, buffer, n_bits, tables)
            elif tables[5][0] == 0:
                _build_fixed(tables)
                tables[5][0] = 1
            if status == GOOD:
                status, position, buffer, n_bits, target, stopped = _decode_symbols(
                    data, position, end, buffer, n_bits, output, start, target, capacity_end, stop, big_endian, tables
                )
        if status != GOOD or stopped:
            return status, target - start, stopped
    position -= n_bits >> 3
    if target > capacity_end:
        return OUTPUT_FULL, capacity, False
    if position + 4 > end:
        return INPUT_EXHAUSTED, target - start, False
    if verify and not _check_checksum(data, position, output, start, target - start):
        return CHECKSUM_MISMATCH, target - start, False
    return GOOD, target - start, False


@njit(nogil=True, cache=True)
def inflate_many(data, offsets, sizes, output, starts, capacity, statuses):
    """Inflate whole zlib streams on this thread; stream i to ``output[starts[i] : starts[i] + capacity]``."""
    tables = make_tables()
    for stream in range(offsets.size):
        statuses[stream], _, _ = inflate(
            data, offsets[stream], sizes[stream], output, starts[stream], capacity, 1 << 32, False, False, tables
        )
