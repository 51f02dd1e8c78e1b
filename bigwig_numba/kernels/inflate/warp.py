"""Inflate with one warp per stream: the GPU's decoder for few blocks and for long ones. All lanes decode at once.

The picture: where the next symbol begins is known only when the one before it is decoded. So every lane guesses: lane i
decodes the symbol that would begin i bits further on, and says where the next one would begin. Those that are reached
from lane 0 were right; the warp finds them by doubling (who is two symbols on? four? eight?). A step costs little more than
decoding one symbol and yields about four::

    bit       0    1    2   ...   9   ...      22  ...   31
    lane 0  [ literal, 9 bits     ]
    lane 9                       [ match, 13 bits ]
    lane 22                                       [ literal, 8 bits ]     -> the next step begins at bit 30
    the other lanes decoded nonsense, which nobody looks at

Then the bytes of the step are written, 32 at a time: lane k finds out which symbol byte k belongs to, and where that has it from.

===============  ========  =======  ==========================================================================
array            shape     dtype    what
===============  ========  =======  ==========================================================================
data             (N / 4,)  uint32   compressed bytes, each stream from a word of its own
output           (W,)      uint32   a slot per stream, from a word of its own, of its capacity and 4 bytes more
literal_table    (1024,)   uint32   entry by the next 10 bits; 0 where the code is longer, or none
distance_table   (256,)    uint32   entry by the next 8 bits, likewise
ring             (4096,)   uint8    the last 4,096 bytes of output
staged           (64,)     uint32   the next words of input
symbols          (320,)    uint8    symbols in the order of their codes, as in ``lane``
words            (96,)     uint32   per code length: literal/length [0, 16), distance [16, 32), as in ``lane``; scratch
lengths          (320,)    uint8    code lengths
===============  ========  =======  ==========================================================================

All but the first two are in shared memory, one of each per warp: 10 KB. Entries, from the lowest bit::

    literal table    6 taken | 9 made | MATCH | END | LONG | 4 code length | 3 extra bits        for a length
                     6 taken | 9 made |   0   |  0  |  0   | 6 unused      | 8 byte              for a literal
    distance table   6 taken | 4 code length | 4 extra bits | 2 unused | 16 base

``taken`` is the number of bits of input, ``made`` that of bytes of output (before a length's extra bits). The lowest 18 bits of
a literal's entry are at once what a lane tells the others of its guess.

With one lane the same source is a plain decoder, which is how it is tested on a machine without a GPU.
"""

import numpy as np
from numba import njit

from ..bits import (
    add,
    ballot,
    band,
    bor,
    count_ones,
    funnel_right,
    leading_zeros,
    least,
    match_any,
    reverse_bits,
    shl,
    shr,
    shuffle,
    sub,
    swap_bytes,
    sync_warp,
    vote_any,
)
from ..statuses import BlockStatus
from .lane import (
    _code_length,
    _fixed_length,
    _is_code,
    _length_code_order,
    _look_up,
    _low_bits,
    _match_distance,
    _match_length,
)

LITERAL_BITS, DISTANCE_BITS, LENGTH_CODE_BITS = 10, 8, 7
LITERAL_ENTRIES, DISTANCE_ENTRIES = 1 << LITERAL_BITS, 1 << DISTANCE_BITS
RING_BYTES = 4096
STAGED_WORDS = 64
SYMBOLS_PER_WARP, WORDS_PER_WARP, LENGTHS_PER_WARP = 320, 96, 320

_U = np.uint32
_W = np.uint64
_RING_MASK = _U(RING_BYTES - 1)
_STAGED_MASK = _U(STAGED_WORDS - 1)
_FAR = _U(2048)  # matches from further back are read from the output: what they need has been flushed by then
_MOST_PER_STEP = _U(1024)  # bytes after which a step ends: with a match of 258 more the ring keeps what _FAR promises
_FLUSH = _U(512)
_DISTANCE_SYMBOLS = _U(288)
_LITERAL_WORDS, _DISTANCE_WORDS, _CURSORS, _FIRST_CODES, _MARKS = _U(0), _U(16), _U(32), _U(48), _U(64)

# What a lane guessed: 6 bits of input taken, 9 bits of output made, and what it is.
_TAKEN, _MADE_SHIFT, _MADE = _U(63), _U(6), _U(511)
_IS_MATCH, _IS_END, _IS_LONG, _IS_BAD = _U(1 << 15), _U(1 << 16), _U(1 << 17), _U(1 << 18)
_GUESS = _U((1 << 18) - 1)
_LENGTH_SHIFT, _EXTRA_SHIFT, _BYTE_SHIFT = _U(18), _U(22), _U(24)
_HAS_BYTES = _U(1 << 17)

_GOOD = np.int32(BlockStatus.GOOD)
_BAD_ZLIB_HEADER = np.int32(BlockStatus.BAD_ZLIB_HEADER)
_RESERVED_SUB_BLOCK_TYPE = np.int32(BlockStatus.RESERVED_SUB_BLOCK_TYPE)
_STORED_LENGTH_MISMATCH = np.int32(BlockStatus.STORED_LENGTH_MISMATCH)
_TOO_MANY_CODES = np.int32(BlockStatus.TOO_MANY_CODES)
_BAD_LENGTH_CODE = np.int32(BlockStatus.BAD_LENGTH_CODE)
_BAD_LENGTH_REPEAT = np.int32(BlockStatus.BAD_LENGTH_REPEAT)
_BAD_LITERAL_CODE = np.int32(BlockStatus.BAD_LITERAL_CODE)
_BAD_DISTANCE_CODE = np.int32(BlockStatus.BAD_DISTANCE_CODE)
_NO_SUCH_CODE = np.int32(BlockStatus.NO_SUCH_CODE)
_DISTANCE_BEFORE_START = np.int32(BlockStatus.DISTANCE_BEFORE_START)
_OUTPUT_FULL = np.int32(BlockStatus.OUTPUT_FULL)
_INPUT_EXHAUSTED = np.int32(BlockStatus.INPUT_EXHAUSTED)


@njit(nogil=True, forceinline=True)
def _stage(data, base, last_word, staged, loaded, ahead, bit, lane, n_lanes):
    """Keep the eight words from ``bit`` on staged. ``ahead`` was read early, so that nobody waits for it here.

    Returns the number of words staged so far, and this lane's word of the next ones.
    """
    while sub(loaded, shr(bit, _U(5))) < _U(8):
        sync_warp()
        staged[band(add(loaded, lane), _STAGED_MASK)] = ahead
        loaded = add(loaded, n_lanes)
        ahead = data[base + _W(least(add(loaded, lane), last_word))]
        sync_warp()
    return loaded, ahead


@njit(nogil=True, forceinline=True)
def _peek(staged, bit):
    """The 32 bits from ``bit`` on, the same for all lanes if ``bit`` is."""
    word = shr(bit, _U(5))
    low = staged[band(word, _STAGED_MASK)]
    high = staged[band(add(word, _U(1)), _STAGED_MASK)]
    return funnel_right(high, low, band(bit, _U(31)))


@njit(nogil=True)
def _count_lengths(lengths, first, n_symbols, words, lane, n_lanes):
    """How many codes there are of each length, to ``words[_CURSORS + length]``."""
    length = lane
    while length < _U(16):
        words[add(_CURSORS, length)] = _U(0)
        length = add(length, n_lanes)
    sync_warp()
    start = _U(0)
    while start < n_symbols:
        symbol, length = add(start, lane), _U(0)
        if symbol < n_symbols:
            length = _U(lengths[add(first, symbol)])
        same = match_any(length)
        if band(same, sub(shl(_U(1), lane), _U(1))) == _U(0):  # the first lane of those with this length
            place = add(_CURSORS, length)
            words[place] = add(words[place], count_ones(same))
        sync_warp()
        start = add(start, n_lanes)


@njit(nogil=True, forceinline=True)
def _next_limit(words, length, space, offset, lane):
    """0x8000 - the limit of a code length; lane 0 turns its count into a cursor. Also the space and symbols so far."""
    count = words[add(_CURSORS, length)]
    sync_warp()
    if lane == _U(0):
        words[add(_CURSORS, length)] = offset
        words[add(_FIRST_CODES, length)] = sub(shr(space, sub(_U(15), length)), offset)
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
        place = words[add(_CURSORS, length)]
        if length != _U(0):
            symbols[add(symbol_row, add(place, rank))] = band(symbol, _U(0xFF))
        sync_warp()
        if length != _U(0) and rank == _U(0):
            words[add(_CURSORS, length)] = add(place, count_ones(same))
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
        base = band(sub(_U(0), words[add(_FIRST_CODES, length)]), _U(0xFFFF))
        words[add(row, length)] = bor(shl(words[add(_CURSORS, length)], _U(16)), base)
        length = add(length, n_lanes)
    sync_warp()


@njit(nogil=True, forceinline=True)
def _literal_entry(index, first_length_symbol, symbol, length):
    """Entry of a literal/length symbol; ``symbol`` is less by 256 from ``first_length_symbol`` on."""
    entry = bor(bor(shl(symbol, _BYTE_SHIFT), _U(1 << 6)), length)
    if index >= first_length_symbol:
        entry = bor(_IS_END, length)
        if symbol != _U(0):
            base, extra = _match_length(sub(symbol, _U(1)), _U(0))
            entry = bor(bor(shl(base, _MADE_SHIFT), _IS_MATCH), add(length, extra))
            entry = bor(entry, bor(shl(length, _LENGTH_SHIFT), shl(extra, _EXTRA_SHIFT)))
            if symbol > _U(29):
                entry = _IS_LONG  # 286 and 287: let the slow way refuse them, if they are meant
    return entry


@njit(nogil=True, forceinline=True)
def _distance_entry(symbol, length):
    base, extra = _match_distance(symbol, _U(0))
    return bor(bor(shl(base, _U(16)), shl(extra, _U(10))), bor(shl(length, _U(6)), add(length, extra)))


@njit(nogil=True)
def _fill_table(table, table_bits, kind, limits, n_codes, symbols, symbol_row, words, row, lane, n_lanes):
    """Fill a table: each lane decodes the indices lane, lane + 32, ... the canonical way. kind: 0 literal, 1 distance, 2 length code."""
    size = shl(_U(1), table_bits)
    bits = lane
    while bits < size:
        length, index, first_length_symbol = _look_up(bits, limits, words, row, _U(0), _U(1))
        entry = _U(0)
        if kind == _U(0):
            entry = _IS_LONG
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
def _read_code_lengths(
    data, base, last_word, staged, loaded, ahead, bit, n_symbols, distance_table, lengths, lane, n_lanes
):  # fmt: skip
    """Read the code lengths of a dynamic sub-block; ``distance_table`` holds the code for them."""
    status = _GOOD
    symbol, previous = _U(0), _U(16)
    while symbol < n_symbols:
        loaded, ahead = _stage(data, base, last_word, staged, loaded, ahead, bit, lane, n_lanes)
        bits = _peek(staged, bit)
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
            repeats = add(repeats, _low_bits(bits, extra))
            length = add(length, extra)
        if value == _U(16):
            status, value = _BAD_LENGTH_REPEAT, _U(0)
        bit, previous = add(bit, length), value
        if add(symbol, repeats) > n_symbols:
            status, repeats = _BAD_LENGTH_REPEAT, sub(n_symbols, symbol)
        k = lane
        while k < repeats:
            lengths[add(symbol, k)] = value
            k = add(k, n_lanes)
        symbol = add(symbol, repeats)
    sync_warp()
    return status, loaded, ahead, bit


@njit(nogil=True, forceinline=True)
def _windows(staged, bit, n_lanes):
    """The three words from ``bit`` on, and the three from ``n_lanes`` bits further on."""
    word = shr(bit, _U(5))
    first = staged[band(word, _STAGED_MASK)]
    second = staged[band(add(word, _U(1)), _STAGED_MASK)]
    third = staged[band(add(word, _U(2)), _STAGED_MASK)]
    fourth = staged[band(add(word, _U(3)), _STAGED_MASK)]
    if n_lanes == _U(32) or shr(add(bit, n_lanes), _U(5)) != word:
        return first, second, third, second, third, fourth
    return first, second, third, first, second, third


@njit(nogil=True, forceinline=True)
def _guess(first, second, third, shift, literal_table, distance_table):
    """What begins ``shift`` bits into these words: (taken | made | kind, byte or distance). Long codes are left for later."""
    bits = funnel_right(second, first, shift)
    entry = literal_table[band(bits, _U(LITERAL_ENTRIES - 1))]
    guess, value = band(entry, _GUESS), shr(entry, _BYTE_SHIFT)
    if band(entry, _IS_MATCH) != _U(0):
        length, extra = band(shr(entry, _LENGTH_SHIFT), _U(15)), band(shr(entry, _EXTRA_SHIFT), _U(7))
        guess = add(guess, shl(_low_bits(shr(bits, length), extra), _MADE_SHIFT))
        shift = add(shift, band(entry, _TAKEN))
        if shift >= _U(32):
            first, second = second, third
        bits = funnel_right(second, first, shift)
        entry = distance_table[band(bits, _U(DISTANCE_ENTRIES - 1))]
        length, extra = band(shr(entry, _U(6)), _U(15)), band(shr(entry, _U(10)), _U(15))
        value = add(shr(entry, _U(16)), _low_bits(shr(bits, length), extra))
        guess = add(guess, band(entry, _TAKEN))
        if entry == _U(0):
            guess = _IS_LONG
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
    following = add(lane, band(guess, _TAKEN))
    if band(guess, bor(_IS_END, _IS_LONG)) != _U(0):
        following = n_lanes
    made, reached = band(shr(guess, _MADE_SHIFT), _MADE), shl(_U(1), lane)
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
    bits = _peek(staged, bit)
    length, index, first_length_symbol = _look_up(bits, literal_limits, words, _LITERAL_WORDS, _U(0), _U(1))
    result, value = _IS_BAD, _U(0)
    if index < n_literal:
        value = _U(symbols[index])
        result = bor(length, _U(1 << 6))
        if index >= first_length_symbol:
            if value == _U(0):
                result = bor(length, _IS_END)
            elif value > _U(29):
                result = _IS_BAD
            else:
                made, extra = _match_length(sub(value, _U(1)), shr(bits, length))
                taken = add(length, extra)
                bits = _peek(staged, add(bit, taken))
                length, index, _ = _look_up(bits, distance_limits, words, _DISTANCE_WORDS, _U(0), _U(1))
                result = _IS_BAD
                if index < n_distance:
                    value, extra = _match_distance(_U(symbols[add(_DISTANCE_SYMBOLS, index)]), shr(bits, length))
                    result = bor(bor(add(taken, add(length, extra)), shl(made, _U(6))), _IS_MATCH)
    return result, value


@njit(nogil=True, forceinline=True)
def _symbol(guess, value, is_right):
    """All that the bytes of a symbol want to know of it: literal or distance, and which of the two. 0: it has no bytes."""
    symbol = _U(0)
    if is_right and band(guess, shl(_MADE, _MADE_SHIFT)) != _U(0):
        symbol = bor(bor(value, shl(band(guess, _IS_MATCH), _U(1))), _HAS_BYTES)
    return symbol


@njit(nogil=True, forceinline=True)
def _write_bytes(output, output_base, ring, words, position, total, near, near_offset, far, far_offset, turn, lane, n_lanes):
    """Write the ``total`` bytes of a step, 32 at a time, a lane per byte; returns the last turn.

    Lane k finds the symbol that byte k belongs to. A literal is the byte. Of a match, byte k is what stands ``distance``
    before it: in the ring, or, if the step itself makes it, what lane ``k - distance`` has; and if that one points back
    in turn, the pointers are followed by doubling.
    """
    owner, first = _U(0), _U(0)
    while first < total:
        turn = add(turn, _U(1))
        if near != _U(0) and sub(near_offset, first) < n_lanes:
            words[add(_MARKS, sub(near_offset, first))] = bor(shl(turn, _U(6)), lane)
        if far != _U(0) and sub(far_offset, first) < n_lanes:
            words[add(_MARKS, sub(far_offset, first))] = bor(bor(shl(turn, _U(6)), lane), _U(32))
        sync_warp()
        mark = words[add(_MARKS, lane)]
        begins = band(ballot(shr(mark, _U(6)) == turn), shr(_U(0xFFFFFFFF), sub(_U(31), lane)))
        sender = shuffle(band(mark, _U(63)), band(sub(_U(31), leading_zeros(begins)), _U(31)))
        if begins != _U(0):  # else the symbol began in an earlier turn
            owner = sender
        symbol, other = shuffle(near, band(owner, _U(31))), shuffle(far, band(owner, _U(31)))
        if owner >= _U(32):
            symbol = other
        distance, k = band(symbol, _U(0xFFFF)), add(first, lane)
        byte, pointer, is_known = distance, lane, True
        if band(symbol, _U(1 << 16)) != _U(0) and k < total:
            if distance > lane:
                source = sub(add(position, k), distance)
                if distance <= _FAR:
                    byte = _U(ring[band(source, _RING_MASK)])
                else:
                    word = output[output_base + _W(shr(source, _U(2)))]
                    byte = band(shr(word, shl(band(source, _U(3)), _U(3))), _U(0xFF))
            else:
                pointer, is_known = sub(lane, distance), False
        known = ballot(is_known)
        while vote_any(band(shr(known, pointer), _U(1)) == _U(0)):
            pointer = shuffle(pointer, pointer)
        byte = shuffle(byte, pointer)
        if k < total:
            ring[band(add(position, k), _RING_MASK)] = byte
        sync_warp()
        first = add(first, n_lanes)
        if first < total:
            owner = shuffle(owner, sub(n_lanes, _U(1)))
    return turn


@njit(nogil=True, forceinline=True)
def _ring_word(ring, position):
    """The word of output at this position (a multiple of 4)."""
    place = band(position, _RING_MASK)
    low = bor(_U(ring[place]), shl(_U(ring[add(place, _U(1))]), _U(8)))
    high = bor(_U(ring[add(place, _U(2))]), shl(_U(ring[add(place, _U(3))]), _U(8)))
    return bor(low, shl(high, _U(16)))


@njit(nogil=True, forceinline=True)
def _flush(output, output_base, ring, flushed, position, lane, n_lanes):
    """Write the whole words before ``position`` that have not been written yet; returns where that ends."""
    end = band(position, _U(0xFFFFFFFC))
    place = add(flushed, shl(lane, _U(2)))
    while place < end:
        output[output_base + _W(shr(place, _U(2)))] = _ring_word(ring, place)
        place = add(place, shl(n_lanes, _U(2)))
    sync_warp()
    return end


@njit(nogil=True)
def _copy_stored(data, base, last_word, bit, n_bytes, output, output_base, ring, flushed, position, lane, n_lanes):
    """Copy ``n_bytes`` that are stored from ``bit`` on (a multiple of 8); returns position and flushed."""
    source = shr(bit, _U(3))
    while n_bytes > _U(0):
        many = least(n_bytes, _MOST_PER_STEP)
        k = lane
        while k < many:
            place = add(source, k)
            word = data[base + _W(least(shr(place, _U(2)), last_word))]
            ring[band(add(position, k), _RING_MASK)] = band(shr(word, shl(band(place, _U(3)), _U(3))), _U(0xFF))
            k = add(k, n_lanes)
        sync_warp()
        source, position, n_bytes = add(source, many), add(position, many), sub(n_bytes, many)
        flushed = _flush(output, output_base, ring, flushed, position, lane, n_lanes)
    return position, flushed


@njit(nogil=True)
def inflate_warp(
    data, base, size, output, output_base, capacity, stop, big_endian, literal_table, distance_table, ring, staged,
    symbols, words, lengths, lane, n_lanes,
):  # fmt: skip
    """Inflate the zlib stream of ``size`` bytes from word ``base`` of ``data`` to word ``output_base`` of ``output``.

    All lanes of a warp call it with the same stream. Returns the status, the number of bytes that came out, and whether
    decoding stopped early, at an item from ``stop`` on (2**32 - 1: never); the same on all lanes.
    """
    last_word = shr(add(size, _U(3)), _U(2))  # one beyond the stream: its slot is longer
    last_bit = shl(size, _U(3))
    loaded, ahead = _U(0), data[base + _W(least(lane, last_word))]
    bit = _U(16)
    loaded, ahead = _stage(data, base, last_word, staged, loaded, ahead, bit, lane, n_lanes)
    status = _GOOD
    header = staged[_U(0)]
    check = bor(shl(band(header, _U(0xFF)), _U(8)), band(shr(header, _U(8)), _U(0xFF)))
    if band(header, _U(0x208F)) != _U(0x8) or _U(check % _U(31)) != _U(0):
        status = _BAD_ZLIB_HEADER
    position, flushed, section, turn = _U(0), _U(0), _U(0), _U(0)
    words[add(_MARKS, lane)] = _U(0)
    final, stopped = False, False
    while not final and status == _GOOD and not stopped:
        loaded, ahead = _stage(data, base, last_word, staged, loaded, ahead, bit, lane, n_lanes)
        bits = _peek(staged, bit)
        final = band(bits, _U(1)) != _U(0)
        kind = band(shr(bits, _U(1)), _U(3))
        bit = add(bit, _U(3))
        n_literal, n_distance = _U(288), _U(30)
        decoding = False
        if bit > last_bit:
            status = _INPUT_EXHAUSTED
        elif kind == _U(3):
            status = _RESERVED_SUB_BLOCK_TYPE
        elif kind == _U(0):
            bit = band(add(bit, _U(7)), _U(0xFFFFFFF8))
            bits = _peek(staged, bit)
            bit = add(bit, _U(32))
            n_bytes = band(bits, _U(0xFFFF))
            if band(add(n_bytes, shr(bits, _U(16))), _U(0xFFFF)) != _U(0xFFFF):
                status = _STORED_LENGTH_MISMATCH
            elif add(position, n_bytes) > capacity:
                status = _OUTPUT_FULL
            elif add(bit, shl(n_bytes, _U(3))) > last_bit:
                status = _INPUT_EXHAUSTED
            else:
                position, flushed = _copy_stored(
                    data, base, last_word, bit, n_bytes, output, output_base, ring, flushed, position, lane, n_lanes
                )
                bit = add(bit, shl(n_bytes, _U(3)))
                loaded = shr(bit, _U(5))
                ahead = data[base + _W(least(add(loaded, lane), last_word))]
        elif kind == _U(1):
            symbol = lane
            while symbol < _U(318):
                lengths[symbol] = _fixed_length(symbol)
                symbol = add(symbol, n_lanes)
            sync_warp()
            decoding = True
        else:
            bits = _peek(staged, bit)
            n_literal = add(band(bits, _U(31)), _U(257))
            n_distance = add(band(shr(bits, _U(5)), _U(31)), _U(1))
            n_lengths = add(band(shr(bits, _U(10)), _U(15)), _U(4))
            bit = add(bit, _U(14))
            if n_literal > _U(286) or n_distance > _U(30):
                status = _TOO_MANY_CODES
            else:
                place = lane
                while place < _U(19):
                    value = _U(0)
                    if place < n_lengths:
                        value = band(_peek(staged, add(bit, add(shl(place, _U(1)), place))), _U(7))
                    lengths[_length_code_order(place)] = value
                    place = add(place, n_lanes)
                sync_warp()
                bit = add(bit, add(shl(n_lengths, _U(1)), n_lengths))
                limits, n_codes, space = build_code(
                    lengths, _U(0), _U(19), symbols, _DISTANCE_SYMBOLS, words, _DISTANCE_WORDS, lane, n_lanes
                )
                _fill_table(
                    distance_table, _U(LENGTH_CODE_BITS), _U(2), limits, n_codes, symbols, _DISTANCE_SYMBOLS, words,
                    _DISTANCE_WORDS, lane, n_lanes,
                )  # fmt: skip
                if space != _U(0x8000):
                    status = _BAD_LENGTH_CODE
                else:
                    status, loaded, ahead, bit = _read_code_lengths(
                        data, base, last_word, staged, loaded, ahead, bit, add(n_literal, n_distance), distance_table,
                        lengths, lane, n_lanes,
                    )  # fmt: skip
                    if status == _GOOD and lengths[_U(256)] == 0:
                        status = _BAD_LITERAL_CODE
                decoding = status == _GOOD
        if decoding:
            distance_limits, n_distance_codes, space = build_code(
                lengths, n_literal, n_distance, symbols, _DISTANCE_SYMBOLS, words, _DISTANCE_WORDS, lane, n_lanes
            )
            if kind == _U(2) and not _is_code(space, n_distance_codes):
                status, decoding = _BAD_DISTANCE_CODE, False
            _fill_table(
                distance_table, _U(DISTANCE_BITS), _U(1), distance_limits, n_distance_codes, symbols, _DISTANCE_SYMBOLS,
                words, _DISTANCE_WORDS, lane, n_lanes,
            )  # fmt: skip
            literal_limits, n_literal_codes, space = build_code(
                lengths, _U(0), n_literal, symbols, _U(0), words, _LITERAL_WORDS, lane, n_lanes
            )
            if kind == _U(2) and status == _GOOD and not _is_code(space, n_literal_codes):
                status, decoding = _BAD_LITERAL_CODE, False
            _fill_table(
                literal_table, _U(LITERAL_BITS), _U(0), literal_limits, n_literal_codes, symbols, _U(0), words,
                _LITERAL_WORDS, lane, n_lanes,
            )  # fmt: skip
            while decoding:
                loaded, ahead = _stage(data, base, last_word, staged, loaded, ahead, bit, lane, n_lanes)
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
                if band(end, bor(_IS_END, _IS_LONG)) == _U(0):
                    start = sub(add(last, band(end, _TAKEN)), n_lanes)
                far_right, far_total, far_made = _follow(far_lane, far_made, far_reached, start, n_lanes)
                if far_right != _U(0):
                    last, end = _last(far, far_right)
                    last = add(last, n_lanes)
                total = add(near_total, far_total)
                is_long = near_right == _U(1) and band(end, _IS_LONG) != _U(0) and far_right == _U(0)
                if is_long or total > _MOST_PER_STEP:  # the first symbol alone
                    end, last, near_right, far_right = shuffle(near, _U(0)), _U(0), _U(1), _U(0)
                    if is_long:
                        end, value = _decode_long(
                            staged, bit, literal_limits, n_literal_codes, distance_limits, n_distance_codes, symbols, words
                        )
                        if lane == _U(0):
                            near, near_value = end, value
                    total = band(shr(end, _MADE_SHIFT), _MADE)
                    near_total, near_made = total, total
                # A long code behind the first symbol takes nothing: the next step begins with it.
                bit = add(bit, add(last, band(end, _TAKEN)))
                at = add(position, total)
                near_offset, far_offset = sub(near_total, near_made), sub(total, far_made)
                is_near, is_far = band(shr(near_right, lane), _U(1)) != _U(0), band(shr(far_right, lane), _U(1)) != _U(0)
                if band(end, bor(_IS_END, _IS_BAD)) != _U(0):
                    decoding = False
                    if band(end, _IS_BAD) != _U(0):
                        status = _NO_SUCH_CODE
                too_far = is_near and band(near, _IS_MATCH) != _U(0) and near_value > add(position, near_offset)
                too_far = too_far or (is_far and band(far, _IS_MATCH) != _U(0) and far_value > add(position, far_offset))
                if vote_any(too_far):
                    status = _DISTANCE_BEFORE_START
                if bit > last_bit:
                    status = _INPUT_EXHAUSTED
                if at > capacity:
                    status = _OUTPUT_FULL
                if status != _GOOD:
                    decoding = False
                else:
                    near = _symbol(near, near_value, is_near)
                    far = _symbol(far, far_value, is_far)
                    turn = _write_bytes(
                        output, output_base, ring, words, position, total, near, near_offset, far, far_offset, turn, lane,
                        n_lanes,
                    )  # fmt: skip
                    if sub(at, flushed) >= _FLUSH:
                        flushed = _flush(output, output_base, ring, flushed, at, lane, n_lanes)
                    # Every 256 bytes: is all that anyone wants out?
                    if shr(at, _U(8)) != shr(position, _U(8)) and stop != _U(0xFFFFFFFF):
                        if section == _U(0):
                            section = _U(ring[_U(20)])
                        if section == _U(1) or section == _U(2):
                            item = shl(sub(_U(4), section), _U(2))
                            last = add(_U(24), _U(_U(_U(sub(at, _U(24)) // item) - _U(1)) * item))
                            start = _ring_word(ring, last)
                            if big_endian:
                                start = swap_bytes(start)
                            if start >= stop:
                                stopped, decoding = True, False
                    position = at
    if status == _GOOD:
        flushed = _flush(output, output_base, ring, flushed, position, lane, n_lanes)
        if lane == _U(0) and flushed != position:
            output[output_base + _W(shr(flushed, _U(2)))] = _ring_word(ring, flushed)
        if not stopped and shr(add(bit, _U(7)), _U(3)) > sub(size, _U(4)):
            status = _INPUT_EXHAUSTED
    return status, position, stopped
