"""A lane's output: the last 64 bytes in a ring in shared memory, all of it in the slot, by 16 bytes at a time.

Word i of lane k's ring stands at ``N_LANES * i + k``. A turn writes three words of it, of which it fills two at most;
so what reaches back no farther than 13 words is there.
"""

import numpy as np

from ..bits import add, band, funnel_left, funnel_right, mul, pick_bytes, shl, shr, sub, swap_bytes
from ..jit import njit
from ..memory import load_shared_word, load_word, store_four_words, store_shared_word
from .lane_codes import N_LANES

FARTHEST_IN_RING = np.uint32(52)  # 16 words, less the two being written and the one that a copy may reach beyond
RING_WORDS = 16

_U = np.uint32
_W = np.uint64
_RING_MASK = _U(4 * (RING_WORDS - 1))  # of a position: which of the words


@njit(nogil=True, forceinline=True)
def keep_below(word, shift):
    """The lowest ``shift`` modulo 32 bits of a word."""
    return band(word, sub(funnel_left(_U(1), _U(0), shift), _U(1)))


@njit(nogil=True, forceinline=True)
def in_ring(position):
    """Where in a lane's ring, in bytes, the word is that a position lies in."""
    return mul(band(position, _RING_MASK), _U(N_LANES))


@njit(nogil=True, forceinline=True)
def flush(ring, output, position, wanted):
    """Write the 16 bytes in which a position lies to the output."""
    there = in_ring(band(position, _U(48)))
    store_four_words(
        output, shr(position, _U(4)), wanted, load_shared_word(ring, there),
        load_shared_word(ring, add(there, _U(4 * N_LANES))), load_shared_word(ring, add(there, _U(8 * N_LANES))),
        load_shared_word(ring, add(there, _U(12 * N_LANES))),
    )  # fmt: skip


@njit(nogil=True, forceinline=True)
def finish_turn(ring, output, begun, position, literals, n_bits, first, second, third, source_bits, selector):
    """Write what a turn began: its literals (the highest ``n_bits`` bits of a word), then bytes of a match.

    They go from position ``begun`` to ``position``. ``first`` to ``third`` are the words in which the match begins, at
    bit ``source_bits`` modulo 32; ``selector`` repeats bytes of a match that overlaps itself.
    """
    low = pick_bytes(funnel_right(second, first, source_bits), selector)
    high = funnel_right(third, second, source_bits)
    high, low = funnel_left(high, low, n_bits), funnel_left(low, literals, n_bits)
    shift, there = shl(begun, _U(3)), in_ring(begun)
    before = funnel_left(load_shared_word(ring, there), _U(0), sub(_U(0), shift))  # its bytes so far, moved to the top
    store_shared_word(ring, there, funnel_left(low, before, shift))
    store_shared_word(ring, in_ring(add(begun, _U(4))), funnel_left(high, low, shift))
    store_shared_word(ring, in_ring(add(begun, _U(8))), funnel_left(_U(0), high, shift))
    flush(ring, output, begun, shr(position, _U(4)) != shr(begun, _U(4)))


@njit(nogil=True, forceinline=True)
def has_passed(output, ring, n_words, stop, big_endian):
    """Whether the last whole item so far starts at or after ``stop``, as ``sections.has_passed``."""
    kind = band(load_word(output, _U(5)), _U(0xFF))
    passed = False
    if kind == _U(1) or kind == _U(2):
        size = sub(_U(4), kind)
        items = _U(sub(n_words, _U(6)) // size)
        last = add(_U(6), mul(sub(items, _U(1)), size))
        start = load_shared_word(ring, in_ring(shl(last, _U(2))))
        if big_endian:
            start = swap_bytes(start)
        passed = start >= stop
    elif kind == _U(3):  # where an item starts is known without it
        start, step = load_word(output, _U(1)), load_word(output, _U(3))
        if big_endian:
            start, step = swap_bytes(start), swap_bytes(step)
        passed = _W(start) + _W(step) * _W(sub(n_words, _U(7))) >= _W(stop)
    return passed
