"""A warp's codes and tables, built by all lanes together; the arrays are those of ``warp``."""

import numpy as np

from ..bits import add, band, bor, choose, count_ones, leading_zeros, shl, shr, sub
from ..jit import njit
from ..statuses import BAD_LENGTH_REPEAT, GOOD
from ..warps import ballot, match_any, shuffle, sync_warp, vote_any
from .codes import look_up, low_bits, match_distance, match_length
from .warp_input import peek
from .warp_layout import (
    CLOSER,
    CODE_SHIFT,
    CURSORS,
    FIRST_CODES,
    HIGHEST_SHIFT,
    IS_MATCH,
    LONG,
    NONE,
    SYMBOL_SHIFT,
    TAKEN,
    VALUE_SHIFT,
)

_U = np.uint32

# What a code is for.
LITERALS, DISTANCES, CODE_LENGTHS = _U(0), _U(1), _U(2)


@njit(nogil=True)
def _count_lengths(lengths, first, n_symbols, lane, n_lanes):
    """How many codes there are of each length, to ``lengths[CURSORS + length]``."""
    length = lane
    while length < _U(16):
        lengths[add(CURSORS, length)] = _U(0)
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
            lengths[place] = add(_U(lengths[place]), count_ones(same))
        sync_warp()
        start = add(start, n_lanes)


@njit(nogil=True, forceinline=True)
def _next_limit(lengths, length, space, offset, lane):
    """0x8000 - the limit of a code length; lane 0 turns its count into a cursor. Also the space and symbols so far."""
    count = _U(lengths[add(CURSORS, length)])
    sync_warp()
    if lane == _U(0):
        lengths[add(CURSORS, length)] = offset
        lengths[add(FIRST_CODES, length)] = sub(shr(space, sub(_U(15), length)), offset)
    space, offset = add(space, shl(count, sub(_U(15), length))), add(offset, count)
    return band(sub(_U(0x8000), space), _U(0xFFFF)), space, offset


@njit(nogil=True, forceinline=True)
def _next_two_limits(lengths, length, space, offset, lane):
    lower, space, offset = _next_limit(lengths, length, space, offset, lane)
    upper, space, offset = _next_limit(lengths, add(length, _U(1)), space, offset, lane)
    return bor(lower, shl(upper, _U(16))), space, offset


@njit(nogil=True, forceinline=True)
def _entry(kind, symbol, length):
    """Entry of a symbol with a code of this length, see ``warp_layout``; NONE for a symbol that must not occur."""
    if kind == DISTANCES:
        base, extra = match_distance(symbol, _U(0))
        code = bor(shl(length, CODE_SHIFT), add(length, extra))
        entry = bor(shl(shr(sub(base, _U(1)), extra), HIGHEST_SHIFT), code)
    elif kind == CODE_LENGTHS:
        extra = _U(0)
        if symbol == _U(16):
            extra = _U(2)
        elif symbol == _U(17):
            extra = _U(3)
        elif symbol == _U(18):
            extra = _U(7)
        entry = bor(shl(symbol, SYMBOL_SHIFT), bor(shl(length, CODE_SHIFT), add(length, extra)))
    elif symbol < _U(256):
        entry = bor(shl(symbol, VALUE_SHIFT), length)
    elif symbol == _U(256):
        entry = bor(CLOSER, length)
    elif symbol > _U(285):
        entry = NONE
    else:
        base, extra = match_length(sub(symbol, _U(257)), _U(0))
        entry = bor(bor(shl(base, VALUE_SHIFT), IS_MATCH), add(length, extra))
        if extra != _U(0):
            entry = bor(entry, CLOSER)
    return entry


@njit(nogil=True)
def build_code(kind, lengths, first, n_symbols, entries, entry_row, words, row, lane, n_lanes):
    """The warp's canonical code from ``lengths[first : first + n_symbols]``, by all lanes.

    Returns the seven registers of limits, the number of symbols with a code, and the code space taken (of 2**15).
    """
    _count_lengths(lengths, first, n_symbols, lane, n_lanes)
    space, offset = _U(0), _U(0)
    limits_1, space, offset = _next_two_limits(lengths, _U(1), space, offset, lane)
    limits_3, space, offset = _next_two_limits(lengths, _U(3), space, offset, lane)
    limits_5, space, offset = _next_two_limits(lengths, _U(5), space, offset, lane)
    limits_7, space, offset = _next_two_limits(lengths, _U(7), space, offset, lane)
    limits_9, space, offset = _next_two_limits(lengths, _U(9), space, offset, lane)
    limits_11, space, offset = _next_two_limits(lengths, _U(11), space, offset, lane)
    limits_13, space, offset = _next_two_limits(lengths, _U(13), space, offset, lane)
    _, space, offset = _next_limit(lengths, _U(15), space, offset, lane)
    sync_warp()
    length = lane
    while length < _U(16):
        words[add(row, length)] = band(sub(_U(0), _U(lengths[add(FIRST_CODES, length)])), _U(0xFFFF))
        length = add(length, n_lanes)
    sync_warp()  # there may be no symbols, and those who read this do not wait
    start = _U(0)
    while start < n_symbols:
        symbol, length = add(start, lane), _U(0)
        if symbol < n_symbols:
            length = _U(lengths[add(first, symbol)])
        same = match_any(length)
        rank = count_ones(band(same, sub(shl(_U(1), lane), _U(1))))
        place = _U(lengths[add(CURSORS, length)])
        if length != _U(0):
            entries[add(entry_row, add(place, rank))] = _entry(kind, symbol, length)
        sync_warp()
        if length != _U(0) and rank == _U(0):
            lengths[add(CURSORS, length)] = add(place, count_ones(same))
        sync_warp()
        start = add(start, n_lanes)
    return (limits_1, limits_3, limits_5, limits_7, limits_9, limits_11, limits_13), offset, space


@njit(nogil=True)
def fill_table(kind, table, table_bits, limits, n_codes, entries, entry_row, words, row, lane, n_lanes):
    """Fill a table: a lane decodes the indices lane, lane + 32, ... Longer codes, and none, become LONG or NONE."""
    bits = lane
    while bits < shl(_U(1), table_bits):
        length, index, _ = look_up(bits, limits, words, row, _U(0), _U(1))
        entry = NONE
        if kind == LITERALS:
            entry = LONG
        if length <= table_bits and index < n_codes:
            entry = _U(entries[add(entry_row, index)])
        table[bits] = entry
        bits = add(bits, n_lanes)
    sync_warp()


@njit(nogil=True, forceinline=True)
def _double(following, made, reached, n_lanes):
    """From "n symbols on" to "2 n symbols on": lane reached, code lengths made until there, lanes passed."""
    other = band(following, sub(n_lanes, _U(1)))
    both = shuffle(bor(shl(following, _U(16)), made), other)
    passed = shuffle(reached, other)
    if following < n_lanes:
        following, made, reached = shr(both, _U(16)), add(made, band(both, _U(0xFFFF))), bor(reached, passed)
    return following, made, reached


@njit(nogil=True)
def read_code_lengths(staged, bit, n_symbols, table, lengths, lane, n_lanes):
    """Read the code lengths of a dynamic sub-block; ``table`` holds the code for them.

    Returns the status and the bit behind them. Every lane guesses: lane i decodes the symbol that would begin i bits
    further on, and says where the next one would begin. Those that are reached from lane 0 were right. Doubling finds
    them: who is two symbols on? four? eight?
    """
    place = lane
    while place < n_symbols:
        lengths[place] = _U(0)
        place = add(place, n_lanes)
    sync_warp()
    status, done, before = GOOD, _U(0), _U(16)  # ``before``: the last code length; 16: there is none yet
    while done < n_symbols:
        bits = peek(staged, add(bit, lane))
        entry = _U(table[band(bits, _U(127))])
        symbol, length, taken = shr(entry, SYMBOL_SHIFT), band(shr(entry, CODE_SHIFT), _U(31)), band(entry, TAKEN)
        repeats = choose(symbol < _U(16), _U(1), choose(symbol == _U(18), _U(11), _U(3)))
        repeats = add(repeats, low_bits(shr(bits, length), sub(taken, length)))
        following, made, reached = add(lane, taken), repeats, shl(_U(1), lane)
        step = _U(1)
        while step < n_lanes:  # 32 symbols of a bit each are the most
            following, made, reached = _double(following, made, reached, n_lanes)
            step = shl(step, _U(1))
        right, total = shuffle(reached, _U(0)), shuffle(made, _U(0))
        begin = add(done, sub(total, made))  # of the code lengths that this symbol stands for
        # Symbols behind the last code length are none.
        is_right = band(shr(right, lane), _U(1)) != _U(0) and begin < n_symbols
        right = ballot(is_right)
        value = symbol
        if symbol > _U(16):
            value = _U(0)
        with_value = ballot(is_right and symbol != _U(16))
        earlier = band(with_value, sub(shl(_U(1), lane), _U(1)))
        copied = shuffle(value, band(sub(_U(31), leading_zeros(earlier)), sub(n_lanes, _U(1))))
        if symbol == _U(16):
            value = copied
            if earlier == _U(0):
                value = before
        bad = is_right and (value == _U(16) or add(begin, repeats) > n_symbols)
        if vote_any(bad):
            status, repeats = BAD_LENGTH_REPEAT, _U(0)
        if is_right and value != _U(0):
            k = _U(0)
            while k < repeats:
                lengths[add(begin, k)] = value
                k = add(k, _U(1))
        last = band(sub(_U(31), leading_zeros(right)), sub(n_lanes, _U(1)))
        bit = add(bit, shuffle(add(lane, taken), last))
        before = shuffle(value, last)
        done = shuffle(add(begin, repeats), last)
        if status != GOOD:
            done = n_symbols
    sync_warp()
    return status, bit
