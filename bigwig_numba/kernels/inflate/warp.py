"""Inflate with one warp per stream: the GPU's decoder for few blocks and for long ones. All lanes decode at once.

The picture: where the next symbol begins is known only when the one before it is decoded. So every lane guesses: lane i
decodes the symbol that would begin i bits further on, and says where the next one would begin. Those that are reached
from lane 0 were right; the warp finds them by doubling (who is two symbols on? four? eight?). A step costs little
more than decoding one symbol and yields about four::

    bit       0    1    2   ...   9   ...      22  ...   31
    lane 0  [ literal, 9 bits     ]
    lane 9                       [ match, 13 bits ]
    lane 22                                       [ literal, 8 bits ]     -> the next step begins at bit 30
    the other lanes decoded nonsense, which nobody looks at

Then the bytes of the step are written, 32 at a time: lane k finds out which symbol byte k belongs to, and where that
has it from.

===============  ========  =======  ==========================================================================
array            shape     dtype    what
===============  ========  =======  ==========================================================================
data             (N / 4,)  uint32   compressed bytes, each stream from a word of its own
output           (W,)      uint32   a slot per stream, from a word of its own, of its capacity and 4 bytes more
literal_table    (1024,)   uint32   entry by the next 10 bits; LONG where the code is longer, or none
distance_table   (256,)    uint32   entry by the next 8 bits; 0 where the code is longer, or none
ring             (4096,)   uint8    the last 4,096 bytes of output
staged           (64,)     uint32   the next words of input
symbols          (320,)    uint8    symbols in the order of their codes, as in ``lane``
words            (96,)     uint32   per code length: literal/length [0, 16), distance [16, 32), as in ``lane``; scratch
lengths          (320,)    uint8    code lengths
===============  ========  =======  ==========================================================================

All but the first two are in shared memory, one of each per warp: 10 KB. What is in an entry stands in ``warp_layout``.

With one lane the same source is a plain decoder, which is how it is tested on a machine without a GPU.
"""

import numpy as np
from numba import njit

from ..bits import (
    add,
    band,
    bor,
    funnel_right,
    leading_zeros,
    least,
    shl,
    shr,
    shuffle,
    sub,
    swap_bytes,
    sync_warp,
    vote_any,
)
from ..sections import HEADER_BYTES
from ..statuses import (
    BAD_DISTANCE_CODE,
    BAD_LENGTH_CODE,
    BAD_LITERAL_CODE,
    BAD_ZLIB_HEADER,
    DISTANCE_BEFORE_START,
    GOOD,
    INPUT_EXHAUSTED,
    NO_SUCH_CODE,
    OUTPUT_FULL,
    RESERVED_SUB_BLOCK_TYPE,
    STORED_LENGTH_MISMATCH,
    TOO_MANY_CODES,
)
from .codes import (
    fixed_length,
    is_code,
    length_code_order,
    look_up,
    low_bits,
    match_distance,
    match_length,
)
from .warp_codes import build_code, fill_table, read_code_lengths
from .warp_input import peek, stage
from .warp_layout import (
    BYTE_SHIFT,
    DISTANCE_BITS,
    DISTANCE_ENTRIES,
    DISTANCE_SYMBOLS,
    DISTANCE_WORDS,
    EXTRA_SHIFT,
    FLUSH,
    GUESS,
    IS_BAD,
    IS_END,
    IS_LONG,
    IS_MATCH,
    LENGTH_CODE_BITS,
    LENGTH_SHIFT,
    LITERAL_BITS,
    LITERAL_ENTRIES,
    LITERAL_WORDS,
    MADE,
    MADE_SHIFT,
    MARKS,
    MOST_PER_STEP,
    STAGED_MASK,
    TAKEN,
)
from .warp_output import as_symbol, copy_stored, flush, ring_word, write_bytes

_U = np.uint32
_W = np.uint64


@njit(nogil=True, forceinline=True)
def _windows(staged, bit, n_lanes):
    """The three words from ``bit`` on, and the three from ``n_lanes`` bits further on."""
    word = shr(bit, _U(5))
    first = staged[band(word, STAGED_MASK)]
    second = staged[band(add(word, _U(1)), STAGED_MASK)]
    third = staged[band(add(word, _U(2)), STAGED_MASK)]
    fourth = staged[band(add(word, _U(3)), STAGED_MASK)]
    if n_lanes == _U(32) or shr(add(bit, n_lanes), _U(5)) != word:
        return first, second, third, second, third, fourth
    return first, second, third, first, second, third


@njit(nogil=True, forceinline=True)
def _guess(first, second, third, shift, literal_table, distance_table):
    """What begins ``shift`` bits into these words: (taken | made | kind, byte or distance). Long codes wait."""
    bits = funnel_right(second, first, shift)
    entry = literal_table[band(bits, _U(LITERAL_ENTRIES - 1))]
    guess, value = band(entry, GUESS), shr(entry, BYTE_SHIFT)
    if band(entry, IS_MATCH) != _U(0):
        length, extra = band(shr(entry, LENGTH_SHIFT), _U(15)), band(shr(entry, EXTRA_SHIFT), _U(7))
        guess = add(guess, shl(low_bits(shr(bits, length), extra), MADE_SHIFT))
        shift = add(shift, band(entry, TAKEN))
        if shift >= _U(32):
            first, second = second, third
        bits = funnel_right(second, first, shift)
        entry = distance_table[band(bits, _U(DISTANCE_ENTRIES - 1))]
        length, extra = band(shr(entry, _U(6)), _U(15)), band(shr(entry, _U(10)), _U(15))
        value = add(shr(entry, _U(16)), low_bits(shr(bits, length), extra))
        guess = add(guess, band(entry, TAKEN))
        if entry == _U(0):
            guess = IS_LONG
    return guess, value


@njit(nogil=True, forceinline=True)
def _double(following, made, reached, n_lanes):
    """From "n symbols on" to "2 n symbols on": lane reached, bytes made until there, lanes passed."""
    other = band(following, sub(n_lanes, _U(1)))
    both = shuffle(bor(shl(following, _U(16)), made), other)
    passed = shuffle(reached, other)
    if following < n_lanes:
        following, made, reached = shr(both, _U(16)), add(made, band(both, _U(0xFFFF))), bor(reached, passed)
    return following, made, reached


@njit(nogil=True, forceinline=True)
def _eight_on(guess, lane, n_lanes):
    """From each lane, eight symbols on: lane reached, bytes made until there, lanes passed."""
    following = add(lane, band(guess, TAKEN))
    if band(guess, bor(IS_END, IS_LONG)) != _U(0):
        following = n_lanes
    made, reached = band(shr(guess, MADE_SHIFT), MADE), shl(_U(1), lane)
    following, made, reached = _double(following, made, reached, n_lanes)
    following, made, reached = _double(following, made, reached, n_lanes)
    return _double(following, made, reached, n_lanes)


@njit(nogil=True, forceinline=True)
def _follow(following, made, reached, start, n_lanes):
    """Which guesses of a window are right if the symbol on lane ``start`` is; none if that is no lane.

    Returns the lanes (bit i: lane i), the bytes that they make, and the bytes from this lane's symbol on.
    """
    first = band(start, sub(n_lanes, _U(1)))
    both = shuffle(bor(shl(following, _U(16)), made), first)
    if shr(both, _U(16)) < n_lanes:  # more than eight symbols: all have the two more rounds, for 32
        following, made, reached = _double(following, made, reached, n_lanes)
        following, made, reached = _double(following, made, reached, n_lanes)
        both = shuffle(bor(shl(following, _U(16)), made), first)
    right, total = shuffle(reached, first), band(both, _U(0xFFFF))
    if start >= n_lanes:
        right, total = _U(0), _U(0)
    return right, total, made


@njit(nogil=True, forceinline=True)
def _last(guess, right):
    """The last of the right guesses: its lane, and what it says."""
    lane = band(sub(_U(31), leading_zeros(right)), _U(31))
    return lane, shuffle(guess, lane)


@njit(nogil=True)
def _decode_long(staged, bit, literal_limits, n_literal, distance_limits, n_distance, symbols, words):
    """What begins at ``bit``, the slow way, for any code length; the same result as ``_guess``."""
    bits = peek(staged, bit)
    length, index, first_length_symbol = look_up(bits, literal_limits, words, LITERAL_WORDS, _U(0), _U(1))
    result, value = IS_BAD, _U(0)
    if index < n_literal:
        value = _U(symbols[index])
        result = bor(length, _U(1 << 6))
        if index >= first_length_symbol:
            if value == _U(0):
                result = bor(length, IS_END)
            elif value > _U(29):
                result = IS_BAD
            else:
                made, extra = match_length(sub(value, _U(1)), shr(bits, length))
                taken = add(length, extra)
                bits = peek(staged, add(bit, taken))
                length, index, _ = look_up(bits, distance_limits, words, DISTANCE_WORDS, _U(0), _U(1))
                result = IS_BAD
                if index < n_distance:
                    value, extra = match_distance(_U(symbols[add(DISTANCE_SYMBOLS, index)]), shr(bits, length))
                    result = bor(bor(add(taken, add(length, extra)), shl(made, _U(6))), IS_MATCH)
    return result, value


@njit(nogil=True, forceinline=True)
def _what_to_look_at(output, output_base, stop, big_endian):
    """What tells whether a section has passed ``stop``, from its header.

    1 or 2: the type of a section whose items carry their starts. Otherwise, for fixedStep, the number of bytes up to
    the end of the first item that starts there or later. 2**32 - 1: nothing.
    """
    kind, look_at = band(output[output_base + _W(5)], _U(0xFF)), _U(0xFFFFFFFF)
    if kind == _U(1) or kind == _U(2):
        look_at = kind
    elif kind == _U(3):
        start, step = output[output_base + _W(1)], output[output_base + _W(3)]
        if big_endian:
            start, step = swap_bytes(start), swap_bytes(step)
        if stop <= start:
            look_at = _U(HEADER_BYTES + 4)
        elif step != _U(0):
            item = add(_U(_U(sub(sub(stop, start), _U(1))) // step), _U(1))
            if item < _U(1 << 20):  # a section has fewer
                look_at = add(_U(HEADER_BYTES + 4), shl(item, _U(2)))
    return look_at


@njit(nogil=True, forceinline=True)
def _has_passed(ring, position, look_at, stop, big_endian):
    """Whether the last whole item so far starts at or after ``stop``, as ``sections.has_passed``."""
    passed = position >= look_at
    if look_at < _U(HEADER_BYTES):
        item = shl(sub(_U(4), look_at), _U(2))
        last = add(_U(HEADER_BYTES), _U(_U(_U(sub(position, _U(HEADER_BYTES)) // item) - _U(1)) * item))
        start = ring_word(ring, last)
        if big_endian:
            start = swap_bytes(start)
        passed = start >= stop
    return passed


@njit(nogil=True)
def inflate_warp(
    data, base, size, output, output_base, capacity, stop, big_endian, literal_table, distance_table, ring, staged,
    symbols, words, lengths, lane, n_lanes,
):  # fmt: skip
    """Inflate the zlib stream of ``size`` bytes from word ``base`` of ``data`` to word ``output_base`` of ``output``.

    All lanes of a warp call it with the same stream. Returns, the same on all lanes, the status, the number of bytes
    that came out, and that of the stream before its checksum: 0 where decoding did not get there, because of damage or
    because it stopped early, at an item from ``stop`` on (2**32 - 1: never).
    """
    last_word = shr(add(size, _U(3)), _U(2))  # one beyond the stream: its slot is longer
    last_bit = shl(size, _U(3))
    loaded, ahead = _U(0), data[base + _W(least(lane, last_word))]
    bit = _U(16)
    loaded, ahead = stage(data, base, last_word, staged, loaded, ahead, bit, lane, n_lanes)
    status = GOOD
    header = staged[_U(0)]
    check = bor(shl(band(header, _U(0xFF)), _U(8)), band(shr(header, _U(8)), _U(0xFF)))
    if band(header, _U(0x208F)) != _U(0x8) or _U(check % _U(31)) != _U(0):
        status = BAD_ZLIB_HEADER
    position, flushed, section, turn = _U(0), _U(0), _U(0), _U(0)
    words[add(MARKS, lane)] = _U(0)
    final, stopped = False, False
    while not final and status == GOOD and not stopped:
        loaded, ahead = stage(data, base, last_word, staged, loaded, ahead, bit, lane, n_lanes)
        bits = peek(staged, bit)
        final = band(bits, _U(1)) != _U(0)
        kind = band(shr(bits, _U(1)), _U(3))
        bit = add(bit, _U(3))
        n_literal, n_distance = _U(288), _U(30)
        decoding = False
        if bit > last_bit:
            status = INPUT_EXHAUSTED
        elif kind == _U(3):
            status = RESERVED_SUB_BLOCK_TYPE
        elif kind == _U(0):
            bit = band(add(bit, _U(7)), _U(0xFFFFFFF8))
            bits = peek(staged, bit)
            bit = add(bit, _U(32))
            n_bytes = band(bits, _U(0xFFFF))
            if band(add(n_bytes, shr(bits, _U(16))), _U(0xFFFF)) != _U(0xFFFF):
                status = STORED_LENGTH_MISMATCH
            elif add(position, n_bytes) > capacity:
                status = OUTPUT_FULL
            elif add(bit, shl(n_bytes, _U(3))) > last_bit:
                status = INPUT_EXHAUSTED
            else:
                position, flushed = copy_stored(
                    data, base, last_word, bit, n_bytes, output, output_base, ring, flushed, position, lane, n_lanes
                )
                bit = add(bit, shl(n_bytes, _U(3)))
                loaded = shr(bit, _U(5))
                ahead = data[base + _W(least(add(loaded, lane), last_word))]
        elif kind == _U(1):
            symbol = lane
            while symbol < _U(318):
                lengths[symbol] = fixed_length(symbol)
                symbol = add(symbol, n_lanes)
            sync_warp()
            decoding = True
        else:
            bits = peek(staged, bit)
            n_literal = add(band(bits, _U(31)), _U(257))
            n_distance = add(band(shr(bits, _U(5)), _U(31)), _U(1))
            n_lengths = add(band(shr(bits, _U(10)), _U(15)), _U(4))
            bit = add(bit, _U(14))
            if n_literal > _U(286) or n_distance > _U(30):
                status = TOO_MANY_CODES
            else:
                place = lane
                while place < _U(19):
                    value = _U(0)
                    if place < n_lengths:
                        value = band(peek(staged, add(bit, add(shl(place, _U(1)), place))), _U(7))
                    lengths[length_code_order(place)] = value
                    place = add(place, n_lanes)
                sync_warp()
                bit = add(bit, add(shl(n_lengths, _U(1)), n_lengths))
                limits, n_codes, space = build_code(
                    lengths, _U(0), _U(19), symbols, DISTANCE_SYMBOLS, words, DISTANCE_WORDS, lane, n_lanes
                )
                fill_table(
                    distance_table, _U(LENGTH_CODE_BITS), _U(2), limits, n_codes, symbols, DISTANCE_SYMBOLS, words,
                    DISTANCE_WORDS, lane, n_lanes,
                )  # fmt: skip
                if space != _U(0x8000):
                    status = BAD_LENGTH_CODE
                else:
                    status, loaded, ahead, bit = read_code_lengths(
                        data, base, last_word, staged, loaded, ahead, bit, add(n_literal, n_distance), distance_table,
                        lengths, lane, n_lanes,
                    )  # fmt: skip
                    if status == GOOD and lengths[_U(256)] == 0:
                        status = BAD_LITERAL_CODE
                decoding = status == GOOD
        if decoding:
            distance_limits, n_distance_codes, space = build_code(
                lengths, n_literal, n_distance, symbols, DISTANCE_SYMBOLS, words, DISTANCE_WORDS, lane, n_lanes
            )
            if kind == _U(2) and not is_code(space, n_distance_codes):
                status, decoding = BAD_DISTANCE_CODE, False
            fill_table(
                distance_table, _U(DISTANCE_BITS), _U(1), distance_limits, n_distance_codes, symbols, DISTANCE_SYMBOLS,
                words, DISTANCE_WORDS, lane, n_lanes,
            )  # fmt: skip
            literal_limits, n_literal_codes, space = build_code(
                lengths, _U(0), n_literal, symbols, _U(0), words, LITERAL_WORDS, lane, n_lanes
            )
            if kind == _U(2) and status == GOOD and not is_code(space, n_literal_codes):
                status, decoding = BAD_LITERAL_CODE, False
            fill_table(
                literal_table, _U(LITERAL_BITS), _U(0), literal_limits, n_literal_codes, symbols, _U(0), words,
                LITERAL_WORDS, lane, n_lanes,
            )  # fmt: skip
            while decoding:
                loaded, ahead = stage(data, base, last_word, staged, loaded, ahead, bit, lane, n_lanes)
                # Two windows, guessed together because the second need not wait for the first.
                here = add(bit, lane)
                first, second, third, next_first, next_second, next_third = _windows(staged, here, n_lanes)
                near, near_value = _guess(first, second, third, band(here, _U(31)), literal_table, distance_table)
                here = add(here, n_lanes)
                far, far_value = _guess(
                    next_first, next_second, next_third, band(here, _U(31)), literal_table, distance_table
                )
                near_lane, near_made, near_reached = _eight_on(near, lane, n_lanes)
                far_lane, far_made, far_reached = _eight_on(far, lane, n_lanes)
                near_right, near_total, near_made = _follow(near_lane, near_made, near_reached, _U(0), n_lanes)
                last, end = _last(near, near_right)
                start = n_lanes  # of the second window, if the first was left in the usual way
                if band(end, bor(IS_END, IS_LONG)) == _U(0):
                    start = sub(add(last, band(end, TAKEN)), n_lanes)
                far_right, far_total, far_made = _follow(far_lane, far_made, far_reached, start, n_lanes)
                if far_right != _U(0):
                    last, end = _last(far, far_right)
                    last = add(last, n_lanes)
                total = add(near_total, far_total)
                is_long = near_right == _U(1) and band(end, IS_LONG) != _U(0) and far_right == _U(0)
                if is_long or total > MOST_PER_STEP:  # the first symbol alone
                    end, last, near_right, far_right = shuffle(near, _U(0)), _U(0), _U(1), _U(0)
                    if is_long:
                        end, value = _decode_long(
                            staged,
                            bit,
                            literal_limits,
                            n_literal_codes,
                            distance_limits,
                            n_distance_codes,
                            symbols,
                            words,
                        )
                        if lane == _U(0):
                            near, near_value = end, value
                    total = band(shr(end, MADE_SHIFT), MADE)
                    near_total, near_made = total, total
                # A long code behind the first symbol takes nothing: the next step begins with it.
                bit = add(bit, add(last, band(end, TAKEN)))
                at = add(position, total)
                near_offset, far_offset = sub(near_total, near_made), sub(total, far_made)
                is_near, is_far = (
                    band(shr(near_right, lane), _U(1)) != _U(0),
                    band(shr(far_right, lane), _U(1)) != _U(0),
                )
                if band(end, bor(IS_END, IS_BAD)) != _U(0):
                    decoding = False
                    if band(end, IS_BAD) != _U(0):
                        status = NO_SUCH_CODE
                too_far = is_near and band(near, IS_MATCH) != _U(0) and near_value > add(position, near_offset)
                too_far = too_far or (is_far and band(far, IS_MATCH) != _U(0) and far_value > add(position, far_offset))
                if vote_any(too_far):
                    status = DISTANCE_BEFORE_START
                if bit > last_bit:
                    status = INPUT_EXHAUSTED
                if at > capacity:
                    status = OUTPUT_FULL
                if status != GOOD:
                    decoding = False
                else:
                    near = as_symbol(near, near_value, is_near)
                    far = as_symbol(far, far_value, is_far)
                    turn = write_bytes(
                        output, output_base, ring, words, position, total, near, near_offset, far, far_offset, turn,
                        lane, n_lanes,
                    )  # fmt: skip
                    if sub(at, flushed) >= FLUSH:
                        flushed = flush(output, output_base, ring, flushed, at, lane, n_lanes)
                    # Every 256 bytes, once the section's header is in the output: is all that anyone wants out?
                    looks = shr(at, _U(8)) != shr(position, _U(8)) and flushed >= _U(HEADER_BYTES)
                    if looks and stop != _U(0xFFFFFFFF):
                        if section == _U(0):
                            section = _what_to_look_at(output, output_base, stop, big_endian)
                        if _has_passed(ring, at, section, stop, big_endian):
                            stopped, decoding = True, False
                    position = at
    end = _U(0)
    if status == GOOD:
        flushed = flush(output, output_base, ring, flushed, position, lane, n_lanes)
        if lane == _U(0) and flushed != position:
            output[output_base + _W(shr(flushed, _U(2)))] = ring_word(ring, flushed)
        if not stopped:
            end = shr(add(bit, _U(7)), _U(3))
            if add(end, _U(4)) > size:
                status, end = INPUT_EXHAUSTED, _U(0)
    return status, position, end
