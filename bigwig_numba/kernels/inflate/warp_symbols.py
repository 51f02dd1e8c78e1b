"""The next symbol of a warp's stream, from the staged words: a literal, a match, or the end of the sub-block."""

import numpy as np

from ..bits import add, band, bor, count_ones, funnel_right, leading_zeros, mul, reverse_bits, shl, shr, sub
from ..jit import njit
from ..warps import vote_any
from .codes import low_bits
from .warp_layout import (
    CLOSER,
    CODE_SHIFT,
    DISTANCE_ENTRIES,
    DISTANCE_ROW,
    DISTANCE_WORDS,
    HIGHEST_SHIFT,
    IS_MATCH,
    LITERAL_ENTRIES,
    LITERAL_WORDS,
    LONG,
    NONE,
    TAKEN,
    VALUE,
    VALUE_SHIFT,
)

_U = np.uint32
_W = np.uint64
_GUARDS = _U(0x80008000)


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
        entry = _U(entries[add(entry_row, index)])
    return entry


@njit(nogil=True, forceinline=True)
def _look_closer(entry, bits, literal_code, entries, words):
    """What a table's entry with CLOSER stands for: that of a long code, a length with its extra bits, or itself."""
    if entry == LONG:
        entry = _long_entry(bits, literal_code[0], literal_code[1], entries, _U(0), words, LITERAL_WORDS)
    if band(entry, bor(IS_MATCH, CLOSER)) == bor(IS_MATCH, CLOSER):
        # Lengths from 11 on: 8, 10, 12, 14, 16, 20 ... less 3 have 1, 1, 1, 1, 2, 2 ... extra bits.
        n_extra = sub(_U(29), leading_zeros(sub(band(shr(entry, VALUE_SHIFT), VALUE), _U(3))))
        more = low_bits(shr(bits, sub(band(entry, TAKEN), n_extra)), n_extra)
        entry = sub(add(entry, shl(more, VALUE_SHIFT)), CLOSER)
    return entry


@njit(nogil=True, forceinline=True)
def read_symbol(staged, bit, limit, literal_table, distance_table, literal_code, distance_code, entries, words):
    """Read the symbol that begins at this bit. All lanes call it; those from ``limit`` on keep the others company.

    Returns its entry, for a match how far back its copy begins, less 1, and the bit behind it. CLOSER is set in
    the entry of the end of the sub-block, and of what is no symbol (NONE).

    Literals and matches go the same way: among 32 lanes some have a match nearly always, and a branch would cost
    more than it saves. What few lanes need stands behind a vote: a branch that all take or none.
    ``literal_code`` and ``distance_code`` are those of ``warp_header.make_tables``.
    """
    word = shr(bit, _U(5))
    place = _W(word)
    first, second, third = staged[place], staged[place + _W(1)], staged[place + _W(2)]
    bits = funnel_right(second, first, bit)
    entry = _U(literal_table[band(bits, _U(LITERAL_ENTRIES - 1))])
    is_closer = band(entry, CLOSER) != _U(0)
    if vote_any(is_closer and bit < limit):  # noqa: SIM102
        if is_closer:
            entry = _look_closer(entry, bits, literal_code, entries, words)
    after = add(bit, band(entry, TAKEN))
    lower, upper = first, second
    if shr(after, _U(5)) != word:
        lower, upper = second, third
    bits = funnel_right(upper, lower, after)
    far = _U(distance_table[band(bits, _U(DISTANCE_ENTRIES - 1))])
    is_match = band(entry, IS_MATCH) != _U(0)
    is_long = is_match and far == NONE
    if vote_any(is_long and bit < limit):  # noqa: SIM102
        if is_long:
            far = _long_entry(bits, distance_code[0], distance_code[1], entries, DISTANCE_ROW, words, DISTANCE_WORDS)
            if far == NONE:
                entry = NONE
    taken = band(far, TAKEN)
    # Code, extra bits, highest bits; shifted by what stands from the field on, of which only the lowest 5 bits count.
    whole = bor(low_bits(bits, taken), shl(shr(far, HIGHEST_SHIFT), taken))
    back = funnel_right(_U(0), whole, shr(far, CODE_SHIFT))
    if is_match:
        after = add(after, taken)
    return entry, back, after
