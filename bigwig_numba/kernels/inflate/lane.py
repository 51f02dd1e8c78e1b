"""Inflate with one lane (thread) per stream: the GPU's decoder for many blocks. A lane is slow, 55,000 are not.

The picture: 32 streams side by side in a warp, each with its own codes, bit position and output. All run the same loop;
one turn of it decodes one symbol, or copies up to 8 bytes of a match::

    lane   0     1     2    ...   31
         [sym] [copy] [sym]      [copy]     one turn of the loop
         [sym] [sym]  [sym]      [copy]     the next: lanes meet again at its head

Why it is fast (measured, H200; the ladder is in docs/kernels/inflate.md):

* *Lanes must meet.* ``vote_any`` stands at the head of every loop and no loop is left by ``break`` or ``return``: a
  lane that is done sets a flag. Without it the compiler lets diverged lanes run one after the other.
* *No wide tables, so many warps.* A canonical code is decoded by comparing 15 bits with the limits of the lengths 1 to
  14. The limits sit two to a register as ``0x8000 - limit``; adding the bits to both halves of all seven registers
  sets a guard bit where the code is at least the limit, and the number of guard bits is the code's length less one.
* *Shared memory lane by lane.* Element i of lane k stands at ``32 * i + k``: random look-ups meet few bank conflicts.
* *History in a ring.* The last 64 bytes of output stay in shared memory: most matches are that close.

=========  ==================  =======  ==============================================================================
array      shape               dtype    what
=========  ==================  =======  ==============================================================================
data       (N / 4,)            uint32   compressed bytes, each stream from a word of its own
output     (W,)                uint32   a slot per stream, from a word of its own, of its capacity and 8 bytes more
symbols    (320 * lanes,)      uint8    symbols in the order of their codes: 288 literal/length (less 256), 32 distance
words      (48 * lanes,)       uint32   per code length: literal/length [0, 16), distance [16, 32); ring [32, 48)
lengths    (320,)              uint8    code lengths, private to the lane
=========  ==================  =======  ==============================================================================

The word of a code length holds, below, what to add to ``code >> (15 - length)`` to get an index into ``symbols``, and
above, the index at which symbols from 256 on begin: so one look-up also tells literals from lengths.
"""

import numpy as np

from ..bits import (
    add,
    band,
    bor,
    funnel_left,
    funnel_right,
    least,
    mul,
    shl,
    shr,
    sub,
    swap_bytes,
    vote_any,
)
from ..jit import njit
from ..statuses import (
    BAD_DISTANCE_CODE,
    BAD_LENGTH_CODE,
    BAD_LENGTH_REPEAT,
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

SYMBOLS_PER_LANE = 320
WORDS_PER_LANE = 48
LENGTHS_PER_LANE = 320
OUTPUT_SLACK = 16  # bytes that may be written after a stream's capacity

_U = np.uint32
_W = np.uint64
_DISTANCE_SYMBOLS = _U(288)
_LITERAL_WORDS, _DISTANCE_WORDS, _RING = _U(0), _U(16), _U(32)
_RING_MASK = _U(15)
_FARTHEST_IN_RING = _U(52)  # 16 words, less the two being written and the one a copy may reach beyond


@njit(nogil=True, forceinline=True)
def _refill(data, base, last_word, low, high, following, index, bit):
    """Move the bit reader on by a word if ``bit`` left the lowest of its three words.

    ``index`` is that of ``following``; it may run past the stream's end, the reads stay on its last word.
    """
    if bit >= _U(32):
        bit = sub(bit, _U(32))
        low, high, index = high, following, add(index, _U(1))
        following = data[base + _W(least(index, last_word))]
    return low, high, following, index, bit


@njit(nogil=True, forceinline=True)
def _place_length(words, row, lane, n_lanes, length, code, offset):
    """Turn the count of a code length into its cursor; returns 0x8000 - its limit, the next code and offset."""
    place = add(mul(add(row, length), n_lanes), lane)
    count = words[place]
    words[place] = bor(offset, shl(sub(code, offset), _U(16)))  # cursor, and first code - first index
    offset, code = add(offset, count), add(code, count)
    return sub(_U(0x8000), shl(code, sub(_U(15), length))), shl(code, _U(1)), offset


@njit(nogil=True, forceinline=True)
def _place_two_lengths(words, row, lane, n_lanes, length, code, offset):
    """The same for ``length`` and ``length + 1``: their limits in the two halves of a register."""
    lower, code, offset = _place_length(words, row, lane, n_lanes, length, code, offset)
    upper, code, offset = _place_length(words, row, lane, n_lanes, add(length, _U(1)), code, offset)
    return bor(band(lower, _U(0xFFFF)), shl(upper, _U(16))), code, offset


@njit(nogil=True)
def build_code(lengths, first, n_symbols, symbols, symbol_row, words, row, lane, n_lanes):
    """A lane's canonical code from ``lengths[first : first + n_symbols]``.

    Returns the seven registers of limits, the number of symbols with a code, and the code space taken (of 2**15).
    """
    length = _U(0)
    while length < _U(16):
        words[add(mul(add(row, length), n_lanes), lane)] = _U(0)
        length = add(length, _U(1))
    symbol = _U(0)
    while symbol < n_symbols:
        place = add(mul(add(row, _U(lengths[add(first, symbol)])), n_lanes), lane)
        words[place] = add(words[place], _U(1))
        symbol = add(symbol, _U(1))
    code, offset = _U(0), _U(0)
    limits_1, code, offset = _place_two_lengths(words, row, lane, n_lanes, _U(1), code, offset)
    limits_3, code, offset = _place_two_lengths(words, row, lane, n_lanes, _U(3), code, offset)
    limits_5, code, offset = _place_two_lengths(words, row, lane, n_lanes, _U(5), code, offset)
    limits_7, code, offset = _place_two_lengths(words, row, lane, n_lanes, _U(7), code, offset)
    limits_9, code, offset = _place_two_lengths(words, row, lane, n_lanes, _U(9), code, offset)
    limits_11, code, offset = _place_two_lengths(words, row, lane, n_lanes, _U(11), code, offset)
    limits_13, code, offset = _place_two_lengths(words, row, lane, n_lanes, _U(13), code, offset)
    last_limit, code, offset = _place_length(words, row, lane, n_lanes, _U(15), code, offset)
    space = sub(_U(0x8000), last_limit)
    _place_symbols(lengths, first, n_symbols, symbols, symbol_row, words, row, lane, n_lanes)
    return (limits_1, limits_3, limits_5, limits_7, limits_9, limits_11, limits_13), offset, space


@njit(nogil=True)
def _place_symbols(lengths, first, n_symbols, symbols, symbol_row, words, row, lane, n_lanes):
    """Sort the symbols by code, and leave in ``words`` what decoding needs of each length."""
    n_literals = least(n_symbols, _U(256))
    symbol = _U(0)
    while symbol < n_literals:
        length = _U(lengths[add(first, symbol)])
        if length != _U(0):
            place = add(mul(add(row, length), n_lanes), lane)
            word = words[place]
            symbols[add(mul(add(symbol_row, band(word, _U(0xFFFF))), n_lanes), lane)] = symbol
            words[place] = add(word, _U(1))
        symbol = add(symbol, _U(1))
    length = _U(1)
    while length < _U(16):
        place = add(mul(add(row, length), n_lanes), lane)
        word = words[place]
        words[place] = bor(shl(word, _U(16)), band(sub(_U(0), shr(word, _U(16))), _U(0xFFFF)))
        length = add(length, _U(1))
    while symbol < n_symbols:
        length = _U(lengths[add(first, symbol)])
        if length != _U(0):
            # The cursor is spent: count the symbols from 256 on that came before with this length. 29 at most.
            earlier, rank = _U(256), _U(0)
            while earlier < symbol:
                if _U(lengths[add(first, earlier)]) == length:
                    rank = add(rank, _U(1))
                earlier = add(earlier, _U(1))
            word = words[add(mul(add(row, length), n_lanes), lane)]
            symbols[add(mul(add(symbol_row, add(shr(word, _U(16)), rank)), n_lanes), lane)] = sub(symbol, _U(256))
        symbol = add(symbol, _U(1))


@njit(nogil=True, forceinline=True)
def _copy_bytes(output, output_base, words, lane, n_lanes, position, distance, remaining):
    """Up to 8 bytes of a match as two words, and how many: as many as there are and as do not overlap."""
    source = sub(position, distance)
    index = shr(source, _U(2))
    if distance <= _FARTHEST_IN_RING:
        first = words[add(mul(add(_RING, band(index, _RING_MASK)), n_lanes), lane)]
        second = words[add(mul(add(_RING, band(add(index, _U(1)), _RING_MASK)), n_lanes), lane)]
        third = words[add(mul(add(_RING, band(add(index, _U(2)), _RING_MASK)), n_lanes), lane)]
    else:
        place = output_base + _W(index)
        first, second, third = output[place], output[place + _W(1)], output[place + _W(2)]
    shift = shl(band(source, _U(3)), _U(3))
    low, high = funnel_right(second, first, shift), funnel_right(third, second, shift)
    count = _U(8)
    if distance < _U(8):
        count = _U(4)
        if distance == _U(1):
            low = mul(band(low, _U(0xFF)), _U(0x01010101))
        elif distance == _U(2):
            low = mul(band(low, _U(0xFFFF)), _U(0x00010001))
        elif distance == _U(3):
            count = _U(3)
    count = least(count, remaining)
    if count <= _U(4):
        low, high = band(low, shr(_U(0xFFFFFFFF), sub(_U(32), shl(count, _U(3))))), _U(0)
    else:
        high = band(high, shr(_U(0xFFFFFFFF), sub(_U(64), shl(count, _U(3)))))
    return low, high, count


@njit(nogil=True, forceinline=True)
def _has_passed(output, output_base, words, lane, n_lanes, n_words, stop, big_endian):
    """Whether the last whole item so far starts at or after ``stop``, as ``sections.has_passed``."""
    kind = band(output[output_base + _W(5)], _U(0xFF))
    passed = False
    if kind == _U(1) or kind == _U(2):
        size = sub(_U(4), kind)
        items = _U(sub(n_words, _U(6)) // size)
        last = add(_U(6), mul(sub(items, _U(1)), size))
        start = words[add(mul(add(_RING, band(last, _RING_MASK)), n_lanes), lane)]
        if big_endian:
            start = swap_bytes(start)
        passed = start >= stop
    elif kind == _U(3):  # where an item starts is known without it
        start, step = output[output_base + _W(1)], output[output_base + _W(3)]
        if big_endian:
            start, step = swap_bytes(start), swap_bytes(step)
        passed = _W(start) + _W(step) * _W(sub(n_words, _U(7))) >= _W(stop)
    return passed


@njit(nogil=True)
def inflate_lane(
    data, base, size, output, output_base, capacity, stop, big_endian, symbols, words, lengths, lane, n_lanes, live
):  # fmt: skip
    """Inflate the zlib stream of ``size`` bytes from word ``base`` of ``data`` to word ``output_base`` of ``output``.

    All lanes of a warp call it together; those that are not ``live`` only vote. Returns the status, the number of
    bytes that came out, and that of the stream before its checksum: 0 where decoding did not get there, because of
    damage or because it stopped early, at an item from ``stop`` on (2**32 - 1: never).
    """
    low, high, following = _U(0), _U(0), _U(0)
    last_word = _U(0)
    status = GOOD
    more = live
    if live:
        last_word = shr(add(size, _U(3)), _U(2))  # one beyond the stream: its slot is longer
        low, high, following = (
            data[base],
            data[base + _W(least(_U(1), last_word))],
            data[base + _W(least(_U(2), last_word))],
        )
        header = bor(shl(band(low, _U(0xFF)), _U(8)), band(shr(low, _U(8)), _U(0xFF)))
        if band(low, _U(0x208F)) != _U(0x8) or _U(header % _U(31)) != _U(0):
            status, more = BAD_ZLIB_HEADER, False
    index, bit = _U(2), _U(16)
    position, pending = _U(0), _U(0)  # bytes out; the word that they have not filled yet
    stopped = False
    while vote_any(more):
        dynamic, decoding = False, False
        n_literal, n_distance, n_lengths = _U(288), _U(30), _U(0)
        if more:
            bits = funnel_right(high, low, bit)
            more = band(bits, _U(1)) == _U(0)
            kind = band(shr(bits, _U(1)), _U(3))
            low, high, following, index, bit = _refill(
                data, base, last_word, low, high, following, index, add(bit, _U(3))
            )
            if kind == _U(3):
                status = RESERVED_SUB_BLOCK_TYPE
            elif kind == _U(0):
                bit = band(add(bit, _U(7)), _U(0xFFFFFFF8))
                low, high, following, index, bit = _refill(data, base, last_word, low, high, following, index, bit)
                bits = funnel_right(high, low, bit)
                low, high, following, index, bit = _refill(
                    data, base, last_word, low, high, following, index, add(bit, _U(32))
                )
                remaining = band(bits, _U(0xFFFF))
                if band(add(remaining, shr(bits, _U(16))), _U(0xFFFF)) != _U(0xFFFF):
                    status, remaining = STORED_LENGTH_MISMATCH, _U(0)
                if add(position, remaining) > capacity:
                    status, remaining = OUTPUT_FULL, _U(0)
                while remaining > _U(0):
                    byte = band(funnel_right(high, low, bit), _U(0xFF))
                    low, high, following, index, bit = _refill(
                        data, base, last_word, low, high, following, index, add(bit, _U(8))
                    )
                    pending = bor(pending, shl(byte, shl(band(position, _U(3)), _U(3))))
                    place = shr(position, _U(2))
                    words[add(mul(add(_RING, band(place, _RING_MASK)), n_lanes), lane)] = pending
                    position = add(position, _U(1))
                    if band(position, _U(3)) == _U(0):
                        output[output_base + _W(place)] = pending
                        pending = _U(0)
                    remaining = sub(remaining, _U(1))
            elif kind == _U(1):
                symbol = _U(0)
                while symbol < _U(318):
                    lengths[symbol] = fixed_length(symbol)
                    symbol = add(symbol, _U(1))
                decoding = True
            else:
                bits = funnel_right(high, low, bit)
                n_literal = add(band(bits, _U(31)), _U(257))
                n_distance = add(band(shr(bits, _U(5)), _U(31)), _U(1))
                n_lengths = add(band(shr(bits, _U(10)), _U(15)), _U(4))
                low, high, following, index, bit = _refill(
                    data, base, last_word, low, high, following, index, add(bit, _U(14))
                )
                dynamic, decoding = True, True
                if n_literal > _U(286) or n_distance > _U(30):
                    status = TOO_MANY_CODES
            if index > add(last_word, _U(2)):
                status = INPUT_EXHAUSTED
            if status != GOOD:
                dynamic, decoding, more = False, False, False

        # The code lengths of a dynamic sub-block, themselves in a code of up to 19 symbols.
        if vote_any(dynamic):
            n_codes, n_symbols = _U(0), _U(0)
            if dynamic:
                symbol = _U(0)
                while symbol < _U(19):
                    lengths[symbol] = _U(0)
                    symbol = add(symbol, _U(1))
                place = _U(0)
                while place < n_lengths:
                    lengths[length_code_order(place)] = band(funnel_right(high, low, bit), _U(7))
                    low, high, following, index, bit = _refill(
                        data, base, last_word, low, high, following, index, add(bit, _U(3))
                    )
                    place = add(place, _U(1))
                n_codes, n_symbols = _U(19), add(n_literal, n_distance)
            limits, _, space = build_code(
                lengths, _U(0), n_codes, symbols, _DISTANCE_SYMBOLS, words, _DISTANCE_WORDS, lane, n_lanes
            )
            if dynamic and space != _U(0x8000):
                status, n_symbols = BAD_LENGTH_CODE, _U(0)
            symbol, repeats, value, previous = _U(0), _U(0), _U(0), _U(16)
            while vote_any(symbol < n_symbols):
                if symbol < n_symbols:
                    if repeats == _U(0):
                        bits = funnel_right(high, low, bit)
                        length, place, _ = look_up(bits, limits, words, _DISTANCE_WORDS, lane, n_lanes)
                        value = _U(symbols[add(mul(add(_DISTANCE_SYMBOLS, place), n_lanes), lane)])
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
                        low, high, following, index, bit = _refill(
                            data, base, last_word, low, high, following, index, add(bit, length)
                        )
                        if add(symbol, repeats) > n_symbols:
                            status, repeats = BAD_LENGTH_REPEAT, sub(n_symbols, symbol)
                    lengths[symbol] = value
                    symbol, repeats = add(symbol, _U(1)), sub(repeats, _U(1))
            if dynamic and status == GOOD and lengths[_U(256)] == 0:
                status = BAD_LITERAL_CODE
            if status != GOOD:
                dynamic, decoding, more = False, False, False

        n_codes, n_symbols = _U(0), _U(0)
        if decoding:
            n_codes, n_symbols = n_distance, n_literal
        distance_limits, n_distance_codes, space = build_code(
            lengths, n_literal, n_codes, symbols, _DISTANCE_SYMBOLS, words, _DISTANCE_WORDS, lane, n_lanes
        )
        if dynamic and not is_code(space, n_distance_codes):
            status = BAD_DISTANCE_CODE
        literal_limits, n_literal_codes, space = build_code(
            lengths, _U(0), n_symbols, symbols, _U(0), words, _LITERAL_WORDS, lane, n_lanes
        )
        if dynamic and not is_code(space, n_literal_codes):
            status = BAD_LITERAL_CODE
        if status != GOOD:
            decoding, more = False, False

        remaining, distance = _U(0), _U(0)
        # One turn takes 48 bits at most, so the three words do without a refill within it.
        incoming = following
        if decoding:
            incoming = data[base + _W(least(add(index, _U(1)), last_word))]
        while vote_any(decoding):
            if decoding:
                count, low_word, high_word, moved = _U(1), _U(0), _U(0), False
                if remaining == _U(0):
                    bits = funnel_right(high, low, bit)
                    length, place, first_length_symbol = look_up(
                        bits, literal_limits, words, _LITERAL_WORDS, lane, n_lanes
                    )
                    if place >= n_literal_codes:
                        status, place = NO_SUCH_CODE, _U(0)
                    low_word = _U(symbols[add(mul(place, n_lanes), lane)])
                    bit = add(bit, length)
                    if place >= first_length_symbol:
                        if low_word == _U(0):
                            decoding, count = False, _U(0)
                        else:
                            if low_word > _U(29):
                                status = NO_SUCH_CODE
                            remaining, extra = match_length(sub(low_word, _U(1)), shr(bits, length))
                            bit = add(bit, extra)
                            bits = funnel_right(high, low, bit)
                            if bit >= _U(32):
                                bits = funnel_right(following, high, bit)
                            length, place, _ = look_up(bits, distance_limits, words, _DISTANCE_WORDS, lane, n_lanes)
                            if place >= n_distance_codes:
                                status, place = NO_SUCH_CODE, _U(0)
                            symbol = _U(symbols[add(mul(add(_DISTANCE_SYMBOLS, place), n_lanes), lane)])
                            distance, extra = match_distance(symbol, shr(bits, length))
                            bit = add(add(bit, length), extra)
                            if distance > position:
                                distance = position  # the copy below must stay inside of the output
                                if status == GOOD:
                                    status = DISTANCE_BEFORE_START
                    if bit >= _U(32):
                        bit, index = sub(bit, _U(32)), add(index, _U(1))
                        low, high, following, moved = high, following, incoming, True
                        if bit >= _U(32):  # a match of more than 32 bits
                            bit, index = sub(bit, _U(32)), add(index, _U(1))
                            low, high, following = high, following, data[base + _W(least(index, last_word))]
                place = shr(position, _U(2))
                filled = band(position, _U(3))
                if remaining != _U(0):
                    low_word, high_word, count = _copy_bytes(
                        output, output_base, words, lane, n_lanes, position, distance, remaining
                    )
                    remaining = sub(remaining, count)
                shift = shl(filled, _U(3))
                first = bor(pending, shl(low_word, shift))
                second = funnel_left(high_word, low_word, shift)
                third = funnel_left(_U(0), high_word, shift)
                words[add(mul(add(_RING, band(place, _RING_MASK)), n_lanes), lane)] = first
                words[add(mul(add(_RING, band(add(place, _U(1)), _RING_MASK)), n_lanes), lane)] = second
                position = add(position, count)
                n_full = shr(add(filled, count), _U(2))
                pending = first
                if position > capacity:
                    status, position = OUTPUT_FULL, capacity
                else:
                    if n_full >= _U(1):
                        output[output_base + _W(place)] = first
                        pending = second
                    if n_full >= _U(2):
                        output[output_base + _W(place) + _W(1)] = second
                        words[add(mul(add(_RING, band(add(place, _U(2)), _RING_MASK)), n_lanes), lane)] = third
                        pending = third
                    # Every 64 words: is all that anyone wants out?
                    now = add(place, n_full)
                    if shr(now, _U(6)) != shr(place, _U(6)) and stop != _U(0xFFFFFFFF):  # noqa: SIM102
                        if _has_passed(output, output_base, words, lane, n_lanes, now, stop, big_endian):
                            stopped, decoding, more = True, False, False
                if moved:  # not up there: a load in that branch would be waited for at once
                    incoming = data[base + _W(least(add(index, _U(1)), last_word))]
                if status != GOOD:
                    decoding, more = False, False
    end = _U(0)
    if live and status == GOOD and not stopped:
        # index - 2 whole words are consumed, and four bytes of checksum must follow.
        end = add(mul(sub(index, _U(2)), _U(4)), shr(add(bit, _U(7)), _U(3)))
        if add(end, _U(4)) > size:
            status, end = INPUT_EXHAUSTED, _U(0)
    if live and band(position, _U(3)) != _U(0) and status == GOOD:
        output[output_base + _W(shr(position, _U(2)))] = pending
    return status, position, end
