"""One lane's part of a stretch: symbols decoded from a guessed bit, their bytes kept with what is known of them."""

import numpy as np
from numba import njit

from ..bits import add, band, bor, count_ones, funnel_right, mul, reverse_bits, shr, sub, vote_any
from .codes import low_bits
from .warp_layout import (
    DISTANCE_ENTRIES,
    DISTANCE_ROW,
    DISTANCE_WORDS,
    EXTRA_SHIFT,
    IS_END,
    IS_LONG,
    IS_MATCH,
    LITERAL_ENTRIES,
    LITERAL_WORDS,
    MADE,
    MADE_SHIFT,
    NONE,
    POINTER,
    TAKEN,
    VALUE_SHIFT,
)

_U = np.uint32
_W = np.uint64
_GUARDS = _U(0x80008000)

# How a lane came to the end of its part: at its limit, at the end of the sub-block, at bits that are no symbol, or
# because there was no room for the next match.
WENT_ON, ENDED, FAILED, FULL = _U(0), _U(1), _U(2), _U(3)


@njit(nogil=True, forceinline=True)
def _long_entry(bits, limits, n_codes, entries, entry_row, words, row):
    """Entry of a code of 9 bits and more, as ``codes.look_up`` finds it, with the limits of 9 to 14; NONE if none."""
    code = shr(reverse_bits(bits), _U(17))
    both = mul(code, _U(0x10001))
    guards = band(add(both, limits[0]), _GUARDS)
    guards = bor(guards, shr(band(add(both, limits[1]), _GUARDS), _U(1)))
    guards = bor(guards, shr(band(add(both, limits[2]), _GUARDS), _U(2)))
    more = count_ones(guards)
    index = band(add(shr(code, sub(_U(6), more)), words[add(add(row, _U(9)), more)]), _U(0xFFFF))
    entry = NONE
    if index < n_codes:
        entry = entries[add(entry_row, index)]
    return entry


@njit(nogil=True, forceinline=True)
def _keep(made, place, element, count):
    """Write an element ``count`` times. Most matches have up to 8 bytes: eight stores, each with a predicate."""
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
    staged, start, begin, limit, room, end, made, literal_table, distance_table, literal_limits, n_literal,
    distance_limits, n_distance, entries, words,
):  # fmt: skip
    """Decode from bit ``start``; keep the bytes of all symbols that begin at ``begin`` or later, up to ``limit``.

    All lanes of a warp call it together, those without a part with ``start >= limit``. What is decoded before
    ``begin`` only serves to find out where a symbol begins. The bytes go to ``made[room:end]``, those of a
    match as pointers.

    Literals and matches go the same way, and what does not apply is left out by a select: among 32 lanes some have a
    match nearly always, and a branch would cost more than it saves.

    Returns where the first kept symbol begins, the bit behind the last one, the number of bytes, and how it ended.
    """
    bit, entry_bit, place, outcome = start, start, room, WENT_ON
    while vote_any(bit < limit):
        if bit < limit:
            word, shift = _W(shr(bit, _U(5))), band(bit, _U(31))
            first, second, third = staged[word], staged[word + _W(1)], staged[word + _W(2)]
            bits = funnel_right(second, first, shift)
            entry = literal_table[band(bits, _U(LITERAL_ENTRIES - 1))]
            if band(entry, IS_LONG) != _U(0):
                entry = _long_entry(bits, literal_limits, n_literal, entries, _U(0), words, LITERAL_WORDS)
            taken, value, extra = band(entry, TAKEN), shr(entry, VALUE_SHIFT), band(shr(entry, EXTRA_SHIFT), _U(7))
            # A literal has no extra bits, so its byte may stand where a length has that of its code.
            count = add(band(shr(entry, MADE_SHIFT), MADE), low_bits(shr(bits, band(value, _U(15))), extra))
            shift = add(shift, taken)
            low, high = first, second
            if shift >= _U(32):
                low, high = second, third
            bits = funnel_right(high, low, shift)
            far = distance_table[band(bits, _U(DISTANCE_ENTRIES - 1))]
            is_match = band(entry, IS_MATCH) != _U(0)
            if is_match and far == NONE:
                far = _long_entry(bits, distance_limits, n_distance, entries, DISTANCE_ROW, words, DISTANCE_WORDS)
                if far == NONE:
                    entry = NONE
            extra = band(shr(far, _U(10)), _U(15))
            distance = add(shr(far, _U(16)), low_bits(shr(bits, band(shr(far, _U(6)), _U(15))), extra))
            if is_match:
                taken, value = add(taken, band(far, TAKEN)), add(distance, sub(POINTER, _U(1)))
            running_up = bit < begin
            is_symbol = band(entry, bor(IS_END, NONE)) == _U(0)
            if running_up or (is_symbol and add(place, count) <= end):
                if entry == NONE:  # anything that can be passed is
                    taken = _U(1)
                bit = add(bit, taken)
                if running_up:
                    entry_bit = bit
                else:
                    _keep(made, _W(place), value, count)
                    place = add(place, count)
            else:  # once a part at most
                outcome, limit = FULL, _U(0)
                if entry == NONE:
                    outcome = FAILED
                elif not is_symbol:
                    outcome, bit = ENDED, add(bit, taken)
    return entry_bit, bit, sub(place, room), outcome
