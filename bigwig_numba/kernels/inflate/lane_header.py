"""A lane reads the code lengths of a dynamic sub-block (RFC 1951, section 3.2.7): themselves in a code of 19."""

import numpy as np

from ..bits import add, band, funnel_right, reverse_bits, shr, sub
from ..jit import njit
from ..statuses import BAD_LENGTH_CODE, BAD_LENGTH_REPEAT, BAD_LITERAL_CODE, GOOD
from ..warps import vote_any
from .codes import length_code_order, low_bits
from .lane_codes import PLAIN, build_code, look_up_literal
from .lane_input import refill

_U = np.uint32


@njit(nogil=True, forceinline=True)
def read_code_lengths(
    wanted, n_lengths, n_literal, n_distance, data_from, last_word, low, high, following, index, bit, lengths, symbols,
    words, symbols_from, words_from, lane,
):  # fmt: skip
    """Read the lengths of the codes of literals and distances, one after another, on the lanes where they are wanted.

    Returns the status, and the bit reader behind them.
    """
    status = GOOD
    n_codes, n_symbols = _U(0), _U(0)
    if wanted:
        symbol = _U(0)
        while symbol < _U(19):
            lengths[symbol] = _U(0)
            symbol = add(symbol, _U(1))
        place = _U(0)
        while place < n_lengths:
            lengths[length_code_order(place)] = band(funnel_right(high, low, bit), _U(7))
            low, high, following, index, bit = refill(
                data_from, last_word, low, high, following, index, add(bit, _U(3))
            )
            place = add(place, _U(1))
        n_codes, n_symbols = _U(19), add(n_literal, n_distance)
    limits, full, _ = build_code(PLAIN, lengths, _U(0), n_codes, symbols, words, lane)
    if wanted and not full:
        status, n_symbols = BAD_LENGTH_CODE, _U(0)
    symbol, repeats, value, previous = _U(0), _U(0), _U(0), _U(16)
    while vote_any(symbol < n_symbols):
        if symbol < n_symbols:
            if repeats == _U(0):
                bits = funnel_right(high, low, bit)
                length, value, _ = look_up_literal(reverse_bits(bits), limits, words_from, symbols_from)
                repeats = _U(1)
                if value >= _U(16):
                    extra, base_repeats, symbol_read = _U(2), _U(3), value
                    value = previous
                    if symbol_read != _U(16):
                        value, extra = _U(0), _U(3)
                        if symbol_read == _U(18):
                            extra, base_repeats = _U(7), _U(11)
                    repeats = add(base_repeats, low_bits(shr(bits, length), extra))
                    length = add(length, extra)
                if value == _U(16):  # nothing to repeat yet
                    status, value = BAD_LENGTH_REPEAT, _U(0)
                previous = value
                low, high, following, index, bit = refill(
                    data_from, last_word, low, high, following, index, add(bit, length)
                )
                if add(symbol, repeats) > n_symbols:
                    status, repeats = BAD_LENGTH_REPEAT, sub(n_symbols, symbol)
            lengths[symbol] = value
            symbol, repeats = add(symbol, _U(1)), sub(repeats, _U(1))
    if wanted and status == GOOD and lengths[_U(256)] == 0:
        status = BAD_LITERAL_CODE
    return status, low, high, following, index, bit
