"""A warp's codes and tables, built by all lanes together; the arrays are those of ``warp``."""

import numpy as np
from numba import njit

from ..bits import add, band, bor, count_ones, match_any, shl, shr, sub, sync_warp
from ..statuses import BAD_LENGTH_REPEAT, GOOD
from .codes import look_up, low_bits, match_distance, match_length
from .warp_input import peek, stage
from .warp_layout import (
    BYTE_SHIFT,
    CURSORS,
    EXTRA_SHIFT,
    FIRST_CODES,
    IS_END,
    IS_LONG,
    IS_MATCH,
    LENGTH_SHIFT,
    MADE_SHIFT,
)

_U = np.uint32


@njit(nogil=True)
def _count_lengths(lengths, first, n_symbols, words, lane, n_lanes):
    """How many codes there are of each length, to ``words[CURSORS + length]``."""
    length = lane
    while length < _U(16):
        words[add(CURSORS, length)] = _U(0)
        length = add(length, n_lanes)
    sync_warp()
    start = _U(0)
    while start < n_symbols:
        symbol, length = add(start, lane), _U(0)
        if symbol < n_symbols:
            length = _U(lengths[add(first, symbol)])
        same = match_any(length)
        if band(same, sub(shl(_U(1), lane), _U(1))) == _U(0):  # the first lane of those with this length
            place = add(CURSORS, length)
            words[place] = add(words[place], count_ones(same))
        sync_warp()
        start = add(start, n_lanes)


@njit(nogil=True, forceinline=True)
def _next_limit(words, length, space, offset, lane):
    """0x8000 - the limit of a code length; lane 0 turns its count into a cursor. Also the space and symbols so far."""
    count = words[add(CURSORS, length)]
    sync_warp()
    if lane == _U(0):
        words[add(CURSORS, length)] = offset
        words[add(FIRST_CODES, length)] = sub(shr(space, sub(_U(15), length)), offset)
    space, offset = add(space, shl(count, sub(_U(15), length))), add(offset, count)
    return band(sub(_U(0x8000), space), _U(0xFFFF)), space, offset


@njit(nogil=True, forceinline=True)
def _next_two_limits(words, length, space, offset, lane):
    lower, space, offset = _next_limit(words, length, space, offset, lane)
    upper, space, offset = _next_limit(words, add(length, _U(1)), space, offset, lane)
    return bor(lower, shl(upper, _U(16))), space, offset


@njit(nogil=True)
def build_code(lengths, first, n_symbols, symbols, symbol_row, words, row, lane, n_lanes):
    """The warp's canonical code from ``lengths[first : first + n_symbols]``; as ``lane.build_code``, by all lanes."""
    _count_lengths(lengths, first, n_symbols, words, lane, n_lanes)
    space, offset = _U(0), _U(0)
    limits_1, space, offset = _next_two_limits(words, _U(1), space, offset, lane)
    limits_3, space, offset = _next_two_limits(words, _U(3), space, offset, lane)
    limits_5, space, offset = _next_two_limits(words, _U(5), space, offset, lane)
    limits_7, space, offset = _next_two_limits(words, _U(7), space, offset, lane)
    limits_9, space, offset = _next_two_limits(words, _U(9), space, offset, lane)
    limits_11, space, offset = _next_two_limits(words, _U(11), space, offset, lane)
    limits_13, space, offset = _next_two_limits(words, _U(13), space, offset, lane)
    _, space, offset = _next_limit(words, _U(15), space, offset, lane)
    sync_warp()
    start = _U(0)
    while start < n_symbols:
        symbol, length = add(start, lane), _U(0)
        if symbol < n_symbols:
            length = _U(lengths[add(first, symbol)])
        same = match_any(length)
        rank = count_ones(band(same, sub(shl(_U(1), lane), _U(1))))
        if start == _U(256):
            _write_length_words(words, row, lane, n_lanes)
        place = words[add(CURSORS, length)]
        if length != _U(0):
            symbols[add(symbol_row, add(place, rank))] = band(symbol, _U(0xFF))
        sync_warp()
        if length != _U(0) and rank == _U(0):
            words[add(CURSORS, length)] = add(place, count_ones(same))
        sync_warp()
        start = add(start, n_lanes)
    if n_symbols <= _U(256):
        _write_length_words(words, row, lane, n_lanes)
    return (limits_1, limits_3, limits_5, limits_7, limits_9, limits_11, limits_13), offset, space


@njit(nogil=True, forceinline=True)
def _write_length_words(words, row, lane, n_lanes):
    """What decoding needs of each length, when the cursors stand behind the symbols below 256."""
    length = lane
    while length < _U(16):
        base = band(sub(_U(0), words[add(FIRST_CODES, length)]), _U(0xFFFF))
        words[add(row, length)] = bor(shl(words[add(CURSORS, length)], _U(16)), base)
        length = add(length, n_lanes)
    sync_warp()


@njit(nogil=True, forceinline=True)
def _literal_entry(index, first_length_symbol, symbol, length):
    """Entry of a literal/length symbol; ``symbol`` is less by 256 from ``first_length_symbol`` on."""
    entry = bor(bor(shl(symbol, BYTE_SHIFT), _U(1 << 6)), length)
    if index >= first_length_symbol:
        entry = bor(IS_END, length)
        if symbol != _U(0):
            base, extra = match_length(sub(symbol, _U(1)), _U(0))
            entry = bor(bor(shl(base, MADE_SHIFT), IS_MATCH), add(length, extra))
            entry = bor(entry, bor(shl(length, LENGTH_SHIFT), shl(extra, EXTRA_SHIFT)))
            if symbol > _U(29):
                entry = IS_LONG  # 286 and 287: let the slow way refuse them, if they are meant
    return entry


@njit(nogil=True, forceinline=True)
def _distance_entry(symbol, length):
    base, extra = match_distance(symbol, _U(0))
    return bor(bor(shl(base, _U(16)), shl(extra, _U(10))), bor(shl(length, _U(6)), add(length, extra)))


@njit(nogil=True)
def fill_table(table, table_bits, kind, limits, n_codes, symbols, symbol_row, words, row, lane, n_lanes):
    """Fill a table: a lane decodes the indices lane, lane + 32, ... ``kind``: 0 literal, 1 distance, 2 length code."""
    size = shl(_U(1), table_bits)
    bits = lane
    while bits < size:
        length, index, first_length_symbol = look_up(bits, limits, words, row, _U(0), _U(1))
        entry = _U(0)
        if kind == _U(0):
            entry = IS_LONG
        if length <= table_bits and index < n_codes:
            symbol = _U(symbols[add(symbol_row, index)])
            if kind == _U(0):
                entry = _literal_entry(index, first_length_symbol, symbol, length)
            elif kind == _U(1):
                entry = _distance_entry(symbol, length)
            else:
                entry = bor(shl(symbol, _U(16)), length)
        table[bits] = entry
        bits = add(bits, n_lanes)
    sync_warp()


@njit(nogil=True)
def read_code_lengths(
    data, base, last_word, staged, loaded, ahead, bit, n_symbols, distance_table, lengths, lane, n_lanes
):  # fmt: skip
    """Read the code lengths of a dynamic sub-block; ``distance_table`` holds the code for them."""
    status = GOOD
    symbol, previous = _U(0), _U(16)
    while symbol < n_symbols:
        loaded, ahead = stage(data, base, last_word, staged, loaded, ahead, bit, lane, n_lanes)
        bits = peek(staged, bit)
        entry = distance_table[band(bits, _U(127))]
        length, value, repeats = band(entry, _U(15)), shr(entry, _U(16)), _U(1)
        bits = shr(bits, length)
        if value >= _U(16):
            extra, repeats, kind = _U(2), _U(3), value
            value = previous
            if kind != _U(16):
                value, extra = _U(0), _U(3)
                if kind == _U(18):
                    extra, repeats = _U(7), _U(11)
            repeats = add(repeats, low_bits(bits, extra))
            length = add(length, extra)
        if value == _U(16):
            status, value = BAD_LENGTH_REPEAT, _U(0)
        bit, previous = add(bit, length), value
        if add(symbol, repeats) > n_symbols:
            status, repeats = BAD_LENGTH_REPEAT, sub(n_symbols, symbol)
        k = lane
        while k < repeats:
            lengths[add(symbol, k)] = value
            k = add(k, n_lanes)
        symbol = add(symbol, repeats)
    sync_warp()
    return status, loaded, ahead, bit
