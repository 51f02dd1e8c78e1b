"""One lane's part of a stretch: symbols decoded from a guessed bit, their bytes kept with what is known of them."""

import numpy as np

from ..bits import add, band, leading_zeros, least, reverse_bits, shl, shr, sub
from ..jit import njit
from ..warps import ballot, shuffle, vote_any
from .warp_layout import CLOSER, IS_MATCH, NONE, POINTER, VALUE, VALUE_SHIFT
from .warp_symbols import read_symbol

_U = np.uint32
_W = np.uint64

# How a lane came to the end of its part: at its limit, at the end of the sub-block, at bits that are no symbol, or
# because there was no room for the next match.
WENT_ON, ENDED, FAILED, FULL = _U(0), _U(1), _U(2), _U(3)


@njit(nogil=True, forceinline=True)
def _keep(made, place, element, count):
    """Write an element ``count`` times: where 0 is right, one more does no harm.

    Most matches have up to 8 bytes: eight stores, each with a predicate. Were the first one conditional too, its
    address would be calculated again for each, and waited for.
    """
    made[place] = element
    if count > _U(1):
        made[place + _W(1)] = element
    if count > _U(2):
        made[place + _W(2)] = element
    if count > _U(3):
        made[place + _W(3)] = element
    if count > _U(4):
        made[place + _W(4)] = element
    if count > _U(5):
        made[place + _W(5)] = element
    if count > _U(6):
        made[place + _W(6)] = element
    if count > _U(7):
        made[place + _W(7)] = element
    k = _U(8)
    while k < count:
        made[place + _W(k)] = element
        k = add(k, _U(1))


@njit(nogil=True)
def decode_part(
    staged, start, begin, limit, room, end, made, literal_table, distance_table, literal_code, distance_code, entries,
    words,
):  # fmt: skip
    """Decode from bit ``start``; keep the bytes of all symbols that begin at ``begin`` or later, up to ``limit``.

    All lanes of a warp call it together, those without a part with ``start >= limit``. What is decoded before
    ``begin`` only serves to find out where a symbol begins. The bytes go to ``made[room:end]``, those of a
    match as pointers.

    Returns where the first kept symbol begins, the bit behind the last one, the number of bytes, and how it ended.
    """
    bit, entry_bit, place, outcome = start, start, room, WENT_ON
    while vote_any(bit < limit):
        entry, back, following = read_symbol(
            staged, bit, limit, literal_table, distance_table, literal_code, distance_code, entries, words
        )
        keeps, runs_up = begin <= bit < limit, bit < limit and bit < begin
        value, count = band(shr(entry, VALUE_SHIFT), VALUE), _U(1)
        if band(entry, IS_MATCH) != _U(0):
            value, count = add(POINTER, back), value
        ends, fits = band(entry, CLOSER) != _U(0), add(place, count) <= end
        if vote_any((ends and bit < limit) or (keeps and not fits)):  # once or twice a part
            if ends and entry == NONE:  # anything that can be passed in a run-up is
                following = add(bit, _U(1))
            if keeps and ends:
                outcome, keeps, limit = ENDED, False, _U(0)
                if entry == NONE:
                    outcome = FAILED
                bit = following
            elif keeps and not fits:
                outcome, keeps, limit = FULL, False, _U(0)
        if not keeps:
            count = _U(0)
        _keep(made, _W(place), value, count)
        place = add(place, count)
        if runs_up:
            entry_bit = following
        if keeps or runs_up:
            bit = following
    return entry_bit, bit, sub(place, room), outcome


@njit(nogil=True, forceinline=True)
def right_lanes(entry_bit, exit_bit, outcome, has_part, lane, n_lanes):
    """How many lanes, from lane 0 on, began where the one before them went out of its part."""
    before = band(sub(lane, _U(1)), sub(n_lanes, _U(1)))
    exit_before, outcome_before = shuffle(exit_bit, before), shuffle(outcome, before)
    is_right = has_part and entry_bit == exit_before and outcome_before == WENT_ON
    wrong = ballot(lane != _U(0) and not is_right)
    return least(leading_zeros(reverse_bits(wrong)), n_lanes)


@njit(nogil=True, forceinline=True)
def sum_before(value, lane, n_lanes):
    """The sum of the values of the lanes before this one, and that of all."""
    total, step = value, _U(1)
    while step < n_lanes:
        other = shuffle(total, band(sub(lane, step), sub(n_lanes, _U(1))))
        if lane >= step:
            total = add(total, other)
        step = shl(step, _U(1))
    return sub(total, value), shuffle(total, sub(n_lanes, _U(1)))
