"""A sub-block's header, read by a warp: code lengths, and the codes and tables that they make."""

import numpy as np

from ..bits import add, band, mul, shr
from ..jit import njit
from ..statuses import BAD_DISTANCE_CODE, BAD_LENGTH_CODE, BAD_LITERAL_CODE, GOOD, TOO_MANY_CODES
from ..warps import sync_warp
from .codes import fixed_length, is_code, length_code_order
from .warp_codes import CODE_LENGTHS, DISTANCES, LITERALS, build_code, fill_table, read_code_lengths
from .warp_input import peek
from .warp_layout import (
    DISTANCE_BITS,
    DISTANCE_ROW,
    DISTANCE_WORDS,
    LENGTH_CODE_BITS,
    LITERAL_BITS,
    LITERAL_WORDS,
)

_U = np.uint32


@njit(nogil=True, forceinline=True)
def _read_dynamic_header(staged, bit, distance_table, entries, words, lengths, lane, n_lanes):
    """The code lengths of a dynamic sub-block; (status, their numbers of both kinds, the bit behind them)."""
    bits = peek(staged, bit)
    n_literal = add(band(bits, _U(31)), _U(257))
    n_distance = add(band(shr(bits, _U(5)), _U(31)), _U(1))
    n_lengths = add(band(shr(bits, _U(10)), _U(15)), _U(4))
    bit, status = add(bit, _U(14)), GOOD
    if n_literal > _U(286) or n_distance > _U(30):
        status = TOO_MANY_CODES
    else:
        place = lane
        while place < _U(19):
            value = _U(0)
            if place < n_lengths:
                value = band(peek(staged, add(bit, mul(place, _U(3)))), _U(7))
            lengths[length_code_order(place)] = value
            place = add(place, n_lanes)
        sync_warp()
        bit = add(bit, mul(n_lengths, _U(3)))
        limits, n_codes, space = build_code(
            CODE_LENGTHS, lengths, _U(0), _U(19), entries, DISTANCE_ROW, words, DISTANCE_WORDS, lane, n_lanes
        )
        fill_table(
            CODE_LENGTHS, distance_table, _U(LENGTH_CODE_BITS), limits, n_codes, entries, DISTANCE_ROW, words,
            DISTANCE_WORDS, lane, n_lanes,
        )  # fmt: skip
        if space != _U(0x8000):
            status = BAD_LENGTH_CODE
        else:
            n_symbols = add(n_literal, n_distance)
            status, bit = read_code_lengths(staged, bit, n_symbols, distance_table, lengths, lane, n_lanes)
            if status == GOOD and lengths[_U(256)] == 0:
                status = BAD_LITERAL_CODE
    return status, n_literal, n_distance, bit


@njit(nogil=True, forceinline=True)
def _fixed_lengths(lengths, lane, n_lanes):
    """The code lengths of a sub-block with fixed codes."""
    symbol = lane
    while symbol < _U(318):
        lengths[symbol] = fixed_length(symbol)
        symbol = add(symbol, n_lanes)
    sync_warp()


@njit(nogil=True, forceinline=True)
def make_tables(
    is_dynamic, staged, bit, literal_table, distance_table, entries, words, lengths, lane, n_lanes
):  # fmt: skip
    """The tables of a sub-block with fixed or dynamic codes, whose header goes on at ``bit`` of the staged words.

    Returns the status, the bit behind the header, and of both codes, literal/length first, the limits of the lengths
    9 to 14, for what is longer than a table's index, and the number of symbols with a code.
    """
    n_literal, n_distance, status = _U(288), _U(30), GOOD
    if is_dynamic:
        status, n_literal, n_distance, bit = _read_dynamic_header(
            staged, bit, distance_table, entries, words, lengths, lane, n_lanes
        )
        if status != GOOD:
            n_literal, n_distance = _U(0), _U(0)
    else:
        _fixed_lengths(lengths, lane, n_lanes)
    distance_limits, n_distance, space = build_code(
        DISTANCES, lengths, n_literal, n_distance, entries, DISTANCE_ROW, words, DISTANCE_WORDS, lane, n_lanes
    )
    if is_dynamic and status == GOOD and not is_code(space, n_distance):
        status = BAD_DISTANCE_CODE
    fill_table(
        DISTANCES, distance_table, _U(DISTANCE_BITS), distance_limits, n_distance, entries, DISTANCE_ROW, words,
        DISTANCE_WORDS, lane, n_lanes,
    )  # fmt: skip
    literal_limits, n_literal, space = build_code(
        LITERALS, lengths, _U(0), n_literal, entries, _U(0), words, LITERAL_WORDS, lane, n_lanes
    )
    if is_dynamic and status == GOOD and not is_code(space, n_literal):
        status = BAD_LITERAL_CODE
    fill_table(
        LITERALS, literal_table, _U(LITERAL_BITS), literal_limits, n_literal, entries, _U(0), words, LITERAL_WORDS,
        lane, n_lanes,
    )  # fmt: skip
    literal_code = (literal_limits[4], literal_limits[5], literal_limits[6]), n_literal
    distance_code = (distance_limits[4], distance_limits[5], distance_limits[6]), n_distance
    return status, bit, literal_code, distance_code
