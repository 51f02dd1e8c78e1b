"""Inflate by table look-up: a 64-bit bit buffer and tables that decode a symbol in one step. The CPU's decoder.

The picture: the next 10 bits of input index a table (``table_codes.py``). The entry says everything about what begins
there. Most say enough to go on at once: a literal, or a short match with its distance. Both are done by the same
instructions, without a branch that could be guessed wrong; what is left takes a second look-up::

                                                 ┌─> literal           ──┐
    bit buffer  ...0110 1011 0100 ──10 bits──> table ──> length, distance ──┴─> 8 bytes out, of which some count
                                                 └─> exception: length, whose distance is looked up by itself;
                                                     longer code, in a second table; end; no code

=========  =====  =======  ===============================================================
array      shape  dtype    what
=========  =====  =======  ===============================================================
data       (N,)   uint8    compressed bytes; 32 readable bytes must follow each stream
output     (M,)   uint8    a slot per stream, with 272 writable bytes after its capacity
tables     tuple           scratch memory: ``table_codes.Tables``
=========  =====  =======  ===============================================================

Streams in the fixed codes, as most short ones are, go through ``table_fixed.py`` first, two at a time.

Damaged input is safe: codes are checked before a table is filled, so an index never leaves its table, and the two
positions are checked before each symbol, against slack that one look ahead cannot use up (input 23 bytes, output
8 and 264). What each trick gained is in ``docs/kernels/inflate-cpu.md``.
"""

import numpy as np

from ..jit import njit
from ..memory import load_64, store_64
from ..sections import has_passed
from ..statuses import (
    BAD_ZLIB_HEADER,
    CHECKSUM_MISMATCH,
    DISTANCE_BEFORE_START,
    GOOD,
    INPUT_EXHAUSTED,
    NO_SUCH_CODE,
    OUTPUT_FULL,
    RESERVED_SUB_BLOCK_TYPE,
    STORED_LENGTH_MISMATCH,
)
from .calls import IN_LINE, OUT_OF_LINE
from .table_buffer import refill
from .table_codes import (
    ALL_BITS,
    CODE_BITS,
    DISTANCE_BITS,
    DISTANCES,
    END,
    EXCEPTION,
    LENGTH,
    LITERAL_BITS,
    MADE,
    NO_DISTANCE,
    SECOND_TABLE,
    VALUE,
    build_fixed_tables,
    make_tables,
    read_dynamic_codes,
)
from .table_fixed import BYTES_PER_LOOK, copy_match, inflate_fixed

INPUT_SLACK = 32
OUTPUT_SLACK = 272
_USED_UP = 2  # bits below those of the buffer that come next, while symbols are decoded
_U = np.uint64


@njit(**OUT_OF_LINE)
def copy_bytes(output, target, data, position, n_bytes):
    """``output[target : target + n_bytes] = data[position : position + n_bytes]``, quicker to compile."""
    for place in range(n_bytes):
        output[target + place] = data[position + place]


@njit(**IN_LINE)
def _first_entry(table, first, buffer, table_bits):
    """The entry of what comes next. With two used bits below it is a place in the table, in bytes, without a shift."""
    place = np.int64(buffer & _U(((1 << table_bits) - 1) << _USED_UP))
    return np.int64(load_64(table, 4 * first + place) & _U(0xFFFFFFFF))


@njit(**IN_LINE)
def _second_entry(table, first, entry, buffer, table_bits):
    """The entry in the second table (``first`` is where its first table begins) that this entry leads to."""
    rest = buffer >> _U(_USED_UP + table_bits) & ((_U(1) << _U(entry >> MADE & 15)) - _U(1))
    return np.int64(table[_U(first) + _U(entry >> VALUE & SECOND_TABLE) + rest])


@njit(**IN_LINE)
def _extra_bits(entry, buffer):
    """What stands between the end of the code and the end of all bits."""
    bits = buffer >> _U(_USED_UP) & ((_U(1) << _U(entry & ALL_BITS)) - _U(1))
    return np.int64(bits >> _U(entry >> CODE_BITS & 15))


@njit(**OUT_OF_LINE)
def _decode_symbols(data, position, end, buffer, n_bits, output, start, target, capacity_end, stop, big_endian, tables):
    """Decode symbols up to the end of the sub-block. Returns status, position, buffer, n_bits, target, stopped."""
    table = tables.table
    if n_bits > 63 - _USED_UP:  # give back a byte
        position, n_bits = position - 1, n_bits - 8
    buffer, n_bits = buffer << _U(_USED_UP), n_bits + _USED_UP
    done, capacity = target - start, capacity_end - start  # from `start`, to keep one address less
    last_position, limit = end + 8, capacity
    if stop <= 0xFFFFFFFF:
        limit = min(capacity, done + BYTES_PER_LOOK)
    while True:
        if position > last_position or done > limit:
            if position > last_position:
                return INPUT_EXHAUSTED, position, buffer, n_bits, start + done, False
            if done > capacity:
                return OUTPUT_FULL, position, buffer, n_bits, start + done, False
            if has_passed(output, start, done, stop, big_endian):
                return GOOD, position, buffer, n_bits, start + done, True
            limit = min(capacity, done + BYTES_PER_LOOK)
        position, buffer, n_bits = refill(data, position, buffer, n_bits)
        entry = _first_entry(table, 0, buffer, LITERAL_BITS)
        while entry & EXCEPTION == 0 and position <= last_position and done <= limit:
            # A literal or a joined match: the 8 bytes from `distance` back, or none of them and the value instead.
            # A literal loads the first 8, as those just written would have to be waited for.
            value, is_match = entry >> VALUE & 0x3FFF, -(entry >> 31)
            distance = value & is_match
            source = done - distance
            if source < 0:
                return DISTANCE_BEFORE_START, position, buffer, n_bits, start + done, False
            made = entry >> MADE & 15
            buffer >>= _U(entry & ALL_BITS)
            n_bits -= entry
            # Before refilling, and before the copy: it takes longest.
            entry = _first_entry(table, 0, buffer, LITERAL_BITS)
            position, buffer, n_bits = refill(data, position, buffer, n_bits)
            word = (load_64(output, start + (source & is_match)) & _U(is_match)) + _U(value - distance)
            store_64(output, start + done, word)
            done += made
        if entry & EXCEPTION == 0:
            continue
        if entry & LENGTH == 0:
            if entry >> MADE & 15:
                entry = _second_entry(table, 0, entry, buffer, LITERAL_BITS)
                if entry & EXCEPTION == 0:
                    output[_U(start + done)] = entry >> VALUE & 255
                    done += 1
                    buffer >>= _U(entry & ALL_BITS)
                    n_bits -= entry
                    continue
            if entry & LENGTH == 0:
                if entry & END:
                    bits = _USED_UP + (entry & ALL_BITS)
                    return GOOD, position, buffer >> _U(bits), (n_bits & 63) - bits, start + done, False
                return NO_SUCH_CODE, position, buffer, n_bits, start + done, False
        length = (entry >> VALUE & 0x1FF) + _extra_bits(entry, buffer)
        buffer >>= _U(entry & ALL_BITS)
        n_bits -= entry
        entry = _first_entry(table, DISTANCES, buffer, DISTANCE_BITS)
        if entry & NO_DISTANCE:
            if entry >> MADE & 15:
                entry = _second_entry(table, DISTANCES, entry, buffer, DISTANCE_BITS)
            if entry & NO_DISTANCE:
                return NO_SUCH_CODE, position, buffer, n_bits, start + done, False
        distance = (entry >> VALUE) + _extra_bits(entry, buffer)
        buffer >>= _U(entry & ALL_BITS)
        n_bits -= entry
        if distance > done:
            return DISTANCE_BEFORE_START, position, buffer, n_bits, start + done, False
        copy_match(output, start + done, distance, length)
        done += length


@njit(**OUT_OF_LINE)
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


@njit(**OUT_OF_LINE)
def adler_32(output, start, n_bytes):
    """The Adler-32 checksum (RFC 1950, section 9) of ``output[start : start + n_bytes]``."""
    low, high = 1, 0
    done = 0
    while done < n_bytes:
        many = min(n_bytes - done, 1 << 20)  # so many bytes cannot overflow 63 bits before the remainder is taken
        total, weighted = 0, 0  # byte i of n is in n - i sums: two sums of products, which vector units add up
        for place in range(many):
            byte = np.int64(output[_U(start + done + place)])
            total += byte
            weighted += (many - place) * byte
        low, high = (low + total) % 65521, (high + many * low + weighted) % 65521
        done += many
    return high << 16 | low


@njit(**OUT_OF_LINE)
def _check_checksum(data, position, output, start, n_bytes):
    """Whether the four bytes (big-endian) at ``position`` are the checksum of what came out."""
    expected = 0
    for place in range(4):
        expected = expected << 8 | np.int64(data[position + place])
    return expected == adler_32(output, start, n_bytes)


@njit(**OUT_OF_LINE)
def _inflate_any(data, first, size, output, start, capacity, stop, big_endian, tables):
    """Inflate any stream. Returns status, number of bytes that came out, and where the checksum is, or 0."""
    end, capacity_end = first + size, start + capacity
    if size < 2:
        return INPUT_EXHAUSTED, 0, 0
    header = np.int64(data[first]) << 8 | np.int64(data[first + 1])
    if header >> 8 & 15 != 8 or header >> 12 > 7 or header % 31 != 0 or header & 0x20:
        return BAD_ZLIB_HEADER, 0, 0
    position, target = first + 2, start
    buffer, n_bits = _U(0), 0
    is_last, stopped = False, False
    while not is_last:
        if position > end + 8:
            return INPUT_EXHAUSTED, target - start, 0
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
            return RESERVED_SUB_BLOCK_TYPE, target - start, 0
        else:
            if kind == 2:
                tables.holds_fixed[0] = 0
                status, position, buffer, n_bits = read_dynamic_codes(data, position, end, buffer, n_bits, tables)
            elif tables.holds_fixed[0] == 0:
                build_fixed_tables(tables)
                tables.holds_fixed[0] = 1
            if status == GOOD:
                status, position, buffer, n_bits, target, stopped = _decode_symbols(
                    data, position, end, buffer, n_bits, output, start, target, capacity_end, stop, big_endian, tables
                )
        if status != GOOD or stopped:
            return status, target - start, 0
    position -= n_bits >> 3
    if target > capacity_end:
        return OUTPUT_FULL, capacity, 0
    if position + 4 > end:
        return INPUT_EXHAUSTED, target - start, 0
    return GOOD, target - start, position


@njit(**OUT_OF_LINE)
def inflate_blocks(
    data, firsts, sizes, compressed, output, starts, capacities, stops, big_endian, verify, tables, statuses, lengths,
    ends
):  # fmt: skip
    """Inflate blocks, each a zlib stream ``data[first : first + size]``, to ``output[start : start + capacity]``.

    Those that are not compressed are copied. Writes statuses, the numbers of bytes that came out, and where the
    streams' checksums are, 0 where decoding stopped early. It does where the section being inflated has passed ``stop``
    (see ``sections.has_passed``; 2**32 never stops). Checksums are compared if ``verify`` and the end was reached.
    """
    inflate_fixed(data, firsts, sizes, compressed, output, starts, capacities, stops, big_endian, tables, lengths, ends)
    for number in range(firsts.size):
        block = _U(number)
        status = GOOD
        if not compressed[block]:
            copy_bytes(output, starts[block], data, firsts[block], sizes[block])
            lengths[block], ends[block] = sizes[block], firsts[block] + sizes[block]
        elif lengths[block] < 0:
            status, lengths[block], ends[block] = _inflate_any(
                data, firsts[block], sizes[block], output, starts[block], capacities[block], stops[block],
                big_endian[block], tables,
            )  # fmt: skip
        is_whole = compressed[block] and status == GOOD and ends[block] > 0
        if verify and is_whole and not _check_checksum(data, ends[block], output, starts[block], lengths[block]):
            status = CHECKSUM_MISMATCH
        statuses[block] = status


@njit(nogil=True, cache=True)
def inflate_many(data, offsets, sizes, output, starts, capacity, statuses):
    """Inflate whole zlib streams on this thread; stream i to ``output[starts[i] : starts[i] + capacity]``."""
    n_streams = offsets.size
    inflate_blocks(
        data, offsets, sizes, np.ones(n_streams, np.bool_), output, starts, np.full(n_streams, capacity),
        np.full(n_streams, 1 << 32), np.zeros(n_streams, np.bool_), False, make_tables(), statuses,
        np.empty(n_streams, np.int64), np.empty(n_streams, np.int64),
    )  # fmt: skip
