"""Inflate with one lane (thread) per stream: the GPU's decoder for many blocks. A lane is slow, 67,000 are not.

The picture: 32 streams side by side in a warp, each with its own codes, bit position and output. All run the same loop;
one turn of it decodes two symbols and copies up to 8 bytes::

    lane   0           1           2         ...   31
         [lit match] [match]     [lit lit]         [copy on]     one turn of the loop
         [match]     [lit match] [lit match]       [lit match]   the next: lanes meet again at its head

In the order in which it goes, and in which to read it:

* ``lane_input``: the stream, 32 bits at a time.
* ``lane_header``: the code lengths of a dynamic sub-block.
* ``lane_codes``: canonical codes, built and looked up without wide tables, so that many warps fit.
* ``lane_turns``: the loop that all the time goes into.
* ``lane_output``: the last 64 bytes in shared memory, where most matches point; the rest in the slot.

*Lanes must meet.* ``vote_any`` stands at the head of every loop and no loop is left by ``break`` or ``return``: a lane
that is done sets a flag. Without it the compiler lets diverged lanes run one after the other.

=======  ==========  =======  ========================================================================================
array    shape       dtype    what
=======  ==========  =======  ========================================================================================
data     (N / 4,)    uint32   compressed bytes, each stream from a word of its own; read by 16 bytes, from multiples of
                              16 on, so what is around a stream up to there is read, too, and not used
output   (W,)        uint32   a slot per stream, on a GPU from a multiple of 16 bytes on, of its capacity and 16 more
=======  ==========  =======  ========================================================================================

The others are scratch memory, see ``lane_codes``.
"""

import numpy as np

from ..bits import add, band, bor, funnel_right, least, mul, shl, shr, sub
from ..jit import njit
from ..memory import address_of, load_shared_word, load_word, shared_address_of, steady, store_shared_word, store_word
from ..statuses import (
    BAD_DISTANCE_CODE,
    BAD_LITERAL_CODE,
    BAD_ZLIB_HEADER,
    GOOD,
    INPUT_EXHAUSTED,
    OUTPUT_FULL,
    RESERVED_SUB_BLOCK_TYPE,
    STORED_LENGTH_MISMATCH,
    TOO_MANY_CODES,
)
from ..warps import vote_any
from .codes import fixed_length
from .lane_codes import DISTANCES, LITERALS, N_LANES, build_code, keep_distances
from .lane_header import read_code_lengths
from .lane_input import refill
from .lane_output import in_ring, keep_below
from .lane_turns import decode_sub_block

OUTPUT_SLACK = 16  # bytes that may be written after a stream's capacity

_U = np.uint32
_W = np.uint64
_RING = _U(16)  # row of `words`


@njit(nogil=True, forceinline=True)
def _lane_words(words, row, lane):
    """Where a lane's words from a row on begin."""
    return steady(shared_address_of(words, mul(add(mul(row, _U(N_LANES)), lane), _U(4))), lane)


@njit(nogil=True)
def inflate_lane(
    data, base, size, output, output_base, capacity, stop, big_endian, symbols, words, distance_words, lengths, lane,
    live,
):  # fmt: skip
    """Inflate the zlib stream of ``size`` bytes from word ``base`` of ``data`` to word ``output_base`` of ``output``.

    All lanes of a warp call it together; those that are not ``live`` only vote. Returns the status, the number of
    bytes that came out, and that of the stream before its checksum: 0 where decoding did not get there, because of
    damage or because it stopped early, at an item from ``stop`` on (2**32 - 1: never).
    """
    # The stream's words are counted from a multiple of 16 bytes on, for they are read by four.
    start = address_of(data, base)
    index = band(shr(_U(start), _U(2)), _U(3))
    data_from, output_from = steady(start - _W(mul(index, _U(4))), lane), steady(address_of(output, output_base), lane)
    n_skipped = index
    symbols_from, words_from = steady(shared_address_of(symbols, lane), lane), _lane_words(words, _U(0), lane)
    distance_words_from, ring = steady(shared_address_of(distance_words, lane), lane), _lane_words(words, _RING, lane)
    low, high, following = _U(0), _U(0), _U(0)
    last_word = _U(0)
    status = GOOD
    more = live
    if live:
        last_word = add(index, shr(add(size, _U(3)), _U(2)))  # one beyond the stream: its slot is longer
        low, high = load_word(data_from, index), load_word(data_from, least(add(index, _U(1)), last_word))
        following = load_word(data_from, least(add(index, _U(2)), last_word))
        header = bor(shl(band(low, _U(0xFF)), _U(8)), band(shr(low, _U(8)), _U(0xFF)))
        if band(low, _U(0x208F)) != _U(0x8) or _U(header % _U(31)) != _U(0):
            status, more = BAD_ZLIB_HEADER, False
    index, bit = add(index, _U(2)), _U(16)
    position = _U(0)  # bytes out
    stopped = False
    while vote_any(more):
        dynamic, decoding = False, False
        n_literal, n_distance, n_lengths = _U(288), _U(32), _U(0)
        if more:
            bits = funnel_right(high, low, bit)
            more = band(bits, _U(1)) == _U(0)
            kind = band(shr(bits, _U(1)), _U(3))
            low, high, following, index, bit = refill(
                data_from, last_word, low, high, following, index, add(bit, _U(3))
            )
            if kind == _U(3):
                status = RESERVED_SUB_BLOCK_TYPE
            elif kind == _U(0):
                bit = band(add(bit, _U(7)), _U(0xFFFFFFF8))
                low, high, following, index, bit = refill(data_from, last_word, low, high, following, index, bit)
                bits = funnel_right(high, low, bit)
                low, high, following, index, bit = refill(
                    data_from, last_word, low, high, following, index, add(bit, _U(32))
                )
                remaining = band(bits, _U(0xFFFF))
                if band(add(remaining, shr(bits, _U(16))), _U(0xFFFF)) != _U(0xFFFF):
                    status, remaining = STORED_LENGTH_MISMATCH, _U(0)
                if add(position, remaining) > capacity:
                    status, remaining = OUTPUT_FULL, _U(0)
                pending = keep_below(load_shared_word(ring, in_ring(position)), shl(position, _U(3)))
                while remaining > _U(0):
                    byte = band(funnel_right(high, low, bit), _U(0xFF))
                    low, high, following, index, bit = refill(
                        data_from, last_word, low, high, following, index, add(bit, _U(8))
                    )
                    pending = bor(pending, shl(byte, shl(band(position, _U(3)), _U(3))))
                    place = shr(position, _U(2))
                    store_shared_word(ring, in_ring(position), pending)
                    position = add(position, _U(1))
                    if band(position, _U(3)) == _U(0):
                        store_word(output_from, place, pending)
                        pending = _U(0)
                    remaining = sub(remaining, _U(1))
            elif kind == _U(1):
                symbol = _U(0)
                while symbol < _U(320):
                    lengths[symbol] = fixed_length(symbol)
                    symbol = add(symbol, _U(1))
                decoding = True
            else:
                bits = funnel_right(high, low, bit)
                n_literal = add(band(bits, _U(31)), _U(257))
                n_distance = add(band(shr(bits, _U(5)), _U(31)), _U(1))
                n_lengths = add(band(shr(bits, _U(10)), _U(15)), _U(4))
                low, high, following, index, bit = refill(
                    data_from, last_word, low, high, following, index, add(bit, _U(14))
                )
                dynamic, decoding = True, True
                if n_literal > _U(286) or n_distance > _U(30):
                    status = TOO_MANY_CODES
            if index > add(last_word, _U(2)):
                status = INPUT_EXHAUSTED
            if status != GOOD:
                dynamic, decoding, more = False, False, False

        if vote_any(dynamic):
            found, low, high, following, index, bit = read_code_lengths(
                dynamic, n_lengths, n_literal, n_distance, data_from, last_word, low, high, following, index, bit,
                lengths, symbols, words, symbols_from, words_from, lane,
            )  # fmt: skip
            if dynamic:
                status = found
            if status != GOOD:
                dynamic, decoding, more = False, False, False

        n_codes, n_symbols = _U(0), _U(0)
        if decoding:
            n_codes, n_symbols = n_distance, n_literal
        distance_limits, full, small = build_code(DISTANCES, lengths, n_literal, n_codes, symbols, words, lane)
        distance_values = keep_distances(symbols, words, distance_words, lane)
        if dynamic and not (full or small):
            status = BAD_DISTANCE_CODE
        literal_limits, full, small = build_code(LITERALS, lengths, _U(0), n_symbols, symbols, words, lane)
        if dynamic and not (full or small):
            status = BAD_LITERAL_CODE
        if status != GOOD:
            decoding, more = False, False

        found, ended_early, position, low, high, following, index, bit = decode_sub_block(
            decoding, data_from, last_word, low, high, following, index, bit, literal_limits, distance_limits,
            distance_values, words_from, symbols_from, distance_words_from, ring, output_from, position, capacity,
            stop, big_endian,
        )  # fmt: skip
        if decoding:  # what other lanes do in a sub-block of theirs says nothing about one that is done
            status, stopped = found, ended_early
        if stopped or status != GOOD:
            more = False
    end = _U(0)
    if live and status == GOOD and not stopped:
        # All words before the last two are consumed, and four bytes of checksum must follow.
        end = add(mul(sub(sub(index, _U(2)), n_skipped), _U(4)), shr(add(bit, _U(7)), _U(3)))
        if add(end, _U(4)) > size:
            status, end = INPUT_EXHAUSTED, _U(0)
    if live and band(position, _U(3)) != _U(0) and status == GOOD:
        word = load_shared_word(ring, in_ring(position))
        store_word(output_from, shr(position, _U(2)), keep_below(word, shl(position, _U(3))))
    return status, position, end
