"""The loop in which a lane decodes a sub-block: its turns, each of two symbols and the copy that the turn before began.

The picture: what a turn does, and with what it overlaps. All lanes do all of it, whatever they have found; where there
is no match, a distance is looked up all the same, and not used. So there is one stretch of instructions without a
branch, and the assembler fills the waiting of one part with others::

    turn n      | look up  look up  look up   | next | write what turn | begin the copy: load |
                | symbol   symbol   distance  | word | n - 1 began     | 12 bytes of history  | - - - - .
    turn n + 1  | look up  look up ...                                                            - - - > | write ...

A turn's two symbols are: two literals; a literal and a match; or a match, looked up twice. (Of 100 matches in the test
files, 33 to 48 follow a match, 34 to 48 follow one literal.) What is rare stands behind one branch at the turn's end:
lengths with extra bits, the end of the sub-block, matches that overlap themselves, damage. These begin in that turn and
go on from the next, as matches of more than 8 bytes do.

Two tricks (the ladder in docs/kernels/inflate.md says what they gave):

* *A load is used a turn later.* Half of all turns have a lane whose match lies in no cache, 1,000 cycles away. Its
  words are waited for only when the next turn has found its own match.
* *No predicate where a number will do*: ``choose``, ``add_where`` and loads on a condition are single instructions.
"""

import numpy as np

from ..bits import (
    SAME_BYTES,
    add,
    add_where,
    band,
    bor,
    choose,
    funnel_left,
    least,
    reverse_bits,
    reverse_where,
    shl,
    shr,
    sub,
    words_before,
)
from ..jit import njit
from ..memory import load_four_words, load_shared_word, load_word
from ..statuses import DISTANCE_BEFORE_START, GOOD, NO_SUCH_CODE, OUTPUT_FULL
from ..warps import vote_any
from .codes import low_bits
from .lane_codes import (
    END_OF_SUB_BLOCK,
    MOST_LENGTH,
    WITHOUT_EXTRA_BITS,
    look_up_distance,
    look_up_literal,
)
from .lane_input import move_queue, next_bits, start_queue
from .lane_output import FARTHEST_IN_RING, finish_turn, flush, has_passed, in_ring

NEVER = np.uint32(0xFFFFFFFF)  # the position at which nothing stops

_U = np.uint32
_W = np.uint64
_LOOK_EVERY = _U(256)  # bytes: is all that anyone wants out?
_MOST_EXTRA_BITS = _U(13)  # of a distance; the symbols that no stream may have come out with 14
_AS_IT_IS, _REPEAT_TWO_BYTES, _REPEAT_ONE_BYTE = _U(SAME_BYTES), _U(0x1010), _U(0)  # selectors of ``pick_bytes``


@njit(nogil=True, forceinline=True)
def decode_sub_block(
    decoding, data_from, last_word, low, high, following, index, bit, literal_limits, distance_limits, distance_values,
    words_from, symbols_from, distance_words_from, ring, output, position, capacity, stop, big_endian,
):  # fmt: skip
    """Decode a sub-block whose codes are built, on the lanes that are ``decoding``.

    Returns the status, whether it stopped early, the position reached, and the bit reader behind the sub-block.
    """
    status, stopped = GOOD, False
    # A position beyond which something is to be looked at: is all that anyone wants out? Is there room for more?
    alarm = least(capacity, add(position, _LOOK_EVERY)) if stop != NEVER else capacity
    remaining, distance, source, selector, step = _U(0), _U(0), _U(0), _AS_IT_IS, _U(8)
    begun, literals, n_bits = position, _U(0), _U(0)
    first, second, third = _U(0), _U(0), _U(0)
    queue = start_queue(data_from, last_word, add(index, _U(1)), decoding)  # the words after ``following``
    low, high, following = reverse_bits(low), reverse_bits(high), reverse_bits(following)
    unfinished = decoding
    while vote_any(unfinished):
        # Two symbols: literals, or a literal and a length, or the same length twice. 30 bits at most.
        ready = decoding and remaining == _U(0) and bit < _U(32)
        length, literal, is_length = look_up_literal(
            funnel_left(low, high, bit), literal_limits, words_from, symbols_from
        )
        has_literal = ready and not is_length
        bit = add_where(bit, length, has_literal)
        length, value, is_length = look_up_literal(
            next_bits(low, high, following, bit), literal_limits, words_from, symbols_from
        )
        has_second = ready and not is_length
        new_literals = choose(has_second, bor(shl(literal, _U(16)), shl(value, _U(24))), shl(literal, _U(24)))
        n_new_bits = choose(has_second, _U(16), choose(has_literal, _U(8), _U(0)))
        bit = add_where(bit, length, ready)
        n_literals = shr(n_new_bits, _U(3))
        reached = add(position, n_literals)
        is_match = ready and is_length and value < WITHOUT_EXTRA_BITS
        is_special = ready and is_length and value >= WITHOUT_EXTRA_BITS
        match, special = add(value, _U(3)), value
        # Its distance; where there is no match, that of any bits.
        bits = next_bits(low, high, following, bit)
        length, extra, new_distance = look_up_distance(bits, distance_limits, distance_words_from, distance_values)
        too_far = is_match and new_distance > least(reached, _U(32768))
        distance = choose(is_match, new_distance, distance)
        remaining = choose(is_match, choose(too_far, _U(0), match), remaining)
        bit = add_where(bit, length, is_match)
        # The next word of the stream.
        turned = bit >= _U(32)
        bit, index = add_where(bit, _U(0xFFFFFFE0), turned), add_where(index, _U(1), turned)
        low, high = choose(turned, high, low), choose(turned, following, high)
        following, queue = reverse_where(following, queue[0], turned), move_queue(queue, turned)
        group, is_empty = shr(least(add(index, _U(1)), last_word), _U(2)), turned and band(index, _U(3)) == _U(3)
        queue = load_four_words(data_from, group, is_empty, queue[0], queue[1], queue[2], queue[3])
        # Write what the turn before began, whose words may have come from afar.
        source_bits = shl(source, _U(3))
        finish_turn(ring, output, begun, position, literals, n_bits, first, second, third, source_bits, selector)
        begun, position, literals, n_bits = position, reached, new_literals, n_new_bits
        # Begin the copy: 8 bytes at most, and none that would come from this turn.
        source = sub(position, distance)
        if distance <= FARTHEST_IN_RING or remaining == _U(0):
            first = load_shared_word(ring, in_ring(source))
            second = load_shared_word(ring, in_ring(add(source, _U(4))))
            third = load_shared_word(ring, in_ring(add(source, _U(8))))
        else:
            place = words_before(source)
            first = load_word(output, place)
            second = load_word(output + _W(4), place)
            third = load_word(output + _W(8), place)
        overlaps = is_match and new_distance < _U(8)
        step, selector = choose(is_match, _U(8), step), choose(is_match, _AS_IT_IS, selector)
        taken = choose(overlaps, _U(0), sub(step, n_literals))
        taken = least(taken, remaining)
        remaining, position = sub(remaining, taken), add(position, taken)
        if is_special or overlaps or too_far or position > alarm:
            if is_special and special >= END_OF_SUB_BLOCK:
                decoding = False
                if special != END_OF_SUB_BLOCK:
                    status = NO_SUCH_CODE
            elif is_special:  # a length with extra bits: all of its match here, to be copied from the next turn on
                extra = shr(special, _U(3))
                remaining = add(shl(band(special, _U(7)), extra), _U(3))
                if special == MOST_LENGTH:
                    remaining, extra = _U(258), _U(0)
                remaining = add(remaining, low_bits(reverse_bits(next_bits(low, high, following, bit)), extra))
                bit = add(bit, extra)
                bits = next_bits(low, high, following, bit)
                length, extra, distance = look_up_distance(bits, distance_limits, distance_words_from, distance_values)
                bit, step, selector = add(bit, length), _U(8), _AS_IT_IS
                too_far = distance > least(position, _U(32768))
            if distance < _U(8):  # from the next turn on, too: this one's literal may be what is to be repeated
                step = choose(distance == _U(3), _U(3), _U(4))
                selector = choose(distance == _U(1), _REPEAT_ONE_BYTE, _AS_IT_IS)
                selector = choose(distance == _U(2), _REPEAT_TWO_BYTES, selector)
            if too_far:
                remaining, decoding, status = _U(0), False, DISTANCE_BEFORE_START
                if extra > _MOST_EXTRA_BITS:
                    status = NO_SUCH_CODE
            if position > capacity:
                status, decoding, position = OUTPUT_FULL, False, begun
            elif position > alarm:
                alarm = least(capacity, add(position, _LOOK_EVERY))
                if stop != NEVER and has_passed(output, ring, shr(begun, _U(2)), stop, big_endian):
                    stopped, decoding, remaining = True, False, _U(0)
        unfinished = decoding or position != begun
    low, high, following = reverse_bits(low), reverse_bits(high), reverse_bits(following)
    flush(ring, output, position, band(position, _U(15)) != _U(0))
    return status, stopped, position, low, high, following, index, bit
