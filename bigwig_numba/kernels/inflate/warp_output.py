"""The bytes that a warp makes: matches and literals to the ring, and from there, word by word, to the output."""

import numpy as np
from numba import njit

from ..bits import (
    add,
    ballot,
    band,
    bor,
    leading_zeros,
    least,
    shl,
    shr,
    shuffle,
    sub,
    sync_warp,
    vote_any,
)
from .warp_layout import (
    FAR,
    HAS_BYTES,
    IS_MATCH,
    MADE,
    MADE_SHIFT,
    MARKS,
    MOST_PER_STEP,
    RING_MASK,
)

_U = np.uint32
_W = np.uint64


@njit(nogil=True, forceinline=True)
def as_symbol(guess, value, is_right):
    """All that a symbol's bytes want to know of it: literal or distance, and which of the two. 0: it has no bytes."""
    symbol = _U(0)
    if is_right and band(guess, shl(MADE, MADE_SHIFT)) != _U(0):
        symbol = bor(bor(value, shl(band(guess, IS_MATCH), _U(1))), HAS_BYTES)
    return symbol


@njit(nogil=True, forceinline=True)
def write_bytes(
    output, output_base, ring, words, position, total, near, near_offset, far, far_offset, turn, lane, n_lanes
):
    """Write the ``total`` bytes of a step, 32 at a time, a lane per byte; returns the last turn.

    Lane k finds the symbol that byte k belongs to. A literal is the byte. Of a match, byte k is what stands
    ``distance`` before it: in the ring, or, if the step itself makes it, what lane ``k - distance`` has; and if that
    one points back in turn, the pointers are followed by doubling.
    """
    owner, first = _U(0), _U(0)
    while first < total:
        turn = add(turn, _U(1))
        if near != _U(0) and sub(near_offset, first) < n_lanes:
            words[add(MARKS, sub(near_offset, first))] = bor(shl(turn, _U(6)), lane)
        if far != _U(0) and sub(far_offset, first) < n_lanes:
            words[add(MARKS, sub(far_offset, first))] = bor(bor(shl(turn, _U(6)), lane), _U(32))
        sync_warp()
        mark = words[add(MARKS, lane)]
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
                if distance <= FAR:
                    byte = _U(ring[band(source, RING_MASK)])
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
            ring[band(add(position, k), RING_MASK)] = byte
        sync_warp()
        first = add(first, n_lanes)
        if first < total:
            owner = shuffle(owner, sub(n_lanes, _U(1)))
    return turn


@njit(nogil=True, forceinline=True)
def ring_word(ring, position):
    """The word of output at this position (a multiple of 4)."""
    place = band(position, RING_MASK)
    low = bor(_U(ring[place]), shl(_U(ring[add(place, _U(1))]), _U(8)))
    high = bor(_U(ring[add(place, _U(2))]), shl(_U(ring[add(place, _U(3))]), _U(8)))
    return bor(low, shl(high, _U(16)))


@njit(nogil=True, forceinline=True)
def flush(output, output_base, ring, flushed, position, lane, n_lanes):
    """Write the whole words before ``position`` that have not been written yet; returns where that ends."""
    end = band(position, _U(0xFFFFFFFC))
    place = add(flushed, shl(lane, _U(2)))
    while place < end:
        output[output_base + _W(shr(place, _U(2)))] = ring_word(ring, place)
        place = add(place, shl(n_lanes, _U(2)))
    sync_warp()
    return end


@njit(nogil=True)
def copy_stored(data, base, last_word, bit, n_bytes, output, output_base, ring, flushed, position, lane, n_lanes):
    """Copy ``n_bytes`` that are stored from ``bit`` on (a multiple of 8); returns position and flushed."""
    source = shr(bit, _U(3))
    while n_bytes > _U(0):
        many = least(n_bytes, MOST_PER_STEP)
        k = lane
        while k < many:
            place = add(source, k)
            word = data[base + _W(least(shr(place, _U(2)), last_word))]
            ring[band(add(position, k), RING_MASK)] = band(shr(word, shl(band(place, _U(3)), _U(3))), _U(0xFF))
            k = add(k, n_lanes)
        sync_warp()
        source, position, n_bytes = add(source, many), add(position, many), sub(n_bytes, many)
        flushed = flush(output, output_base, ring, flushed, position, lane, n_lanes)
    return position, flushed
