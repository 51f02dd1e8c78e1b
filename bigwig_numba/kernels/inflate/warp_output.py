"""The bytes that a warp makes: pointers followed to what they point at, and all of it written as whole words."""

import numpy as np

from ..bits import add, band, bor, funnel_right, shl, shr, sub
from ..jit import njit
from ..warps import ballot, shuffle, sync_warp, vote_any
from .warp_layout import FIRST_ROOM, POINTER, ROOM_SLACK, ROOM_STEP

_U = np.uint32
_W = np.uint64


@njit(nogil=True, forceinline=True)
def room_of(lane):
    """Where in ``made`` the room of a lane begins."""
    if lane == _U(0):
        return _U(0)
    return add(_U(FIRST_ROOM + ROOM_SLACK), _U(_U(lane - _U(1)) * _U(ROOM_STEP)))


@njit(nogil=True, forceinline=True)
def byte_at(output, output_base, place):
    """Byte number ``place`` of the output."""
    word = output[output_base + _W(shr(place, _U(2)))]
    return band(shr(word, shl(band(place, _U(3)), _U(3))), _U(0xFF))


@njit(nogil=True, forceinline=True)
def resolve(output, output_base, made, position, n_parts, n_made, first, lane, n_lanes):
    """Make all elements bytes, and put them side by side: byte k of the stretch becomes ``made[k]``.

    From the first to the last, 32 at a time, a lane for each. What a pointer points at is a byte already: of the
    stretch, or, if older, of the output. Or it is one of the same 32: then it is what that lane has, and if that one is
    a pointer too, pointers are followed by doubling. Bytes only move to the front, over what has been read. ``n_made``
    and ``first`` are each lane's number of bytes, and the place of its first one in the stretch. Returns whether all
    pointers of this lane point into the output.
    """
    part, is_good = _U(0), True
    while part < n_parts:
        many, place, room = shuffle(n_made, part), add(shuffle(first, part), lane), add(room_of(part), lane)
        start = _U(0)
        while start < many:  # not by ``place``: the compiler must see that all lanes have the same number of turns
            element, pointer = _U(made[room]), lane  # behind the part's last one it means nothing
            back = sub(element, sub(POINTER, _U(1)))
            is_pointer = element >= POINTER
            is_known, is_old = not is_pointer or back > lane, is_pointer and back > place
            if not is_known:
                pointer = sub(lane, back)
            if is_pointer and lane < back <= place:
                element = _U(made[sub(place, back)])
            if vote_any(is_old):  # noqa: SIM102 - a branch that all lanes take or none
                if is_old:
                    source = sub(add(position, place), back)
                    if source < position:
                        element = byte_at(output, output_base, source)
                    elif add(start, lane) < many:
                        is_good = False
            known = ballot(is_known)
            while vote_any(band(shr(known, pointer), _U(1)) == _U(0)):
                pointer = shuffle(pointer, pointer)
            element = shuffle(element, pointer)
            sync_warp()
            if add(start, lane) < many:
                made[place] = element
            sync_warp()
            start, place, room = add(start, n_lanes), add(place, n_lanes), add(room, n_lanes)
        part = add(part, _U(1))
    return is_good


@njit(nogil=True, forceinline=True)
def write_words(output, output_base, made, position, n_bytes, lane, n_lanes):
    """Write the bytes ``made[:n_bytes]`` to the output from ``position`` on, a word per lane.

    The bytes of the first word that were there before stay; those behind the last one are not defined, so up to three
    elements more are read.
    """
    end, filled = add(position, n_bytes), band(position, _U(3))
    place = add(sub(position, filled), shl(lane, _U(2)))
    while place < end:
        source = _W(0)
        if place >= position:
            source = _W(sub(place, position))
        low = bor(_U(made[source]), shl(_U(made[source + _W(1)]), _U(8)))
        high = bor(_U(made[source + _W(2)]), shl(_U(made[source + _W(3)]), _U(8)))
        word = bor(low, shl(high, _U(16)))
        if place < position:
            kept = sub(shl(_U(1), shl(filled, _U(3))), _U(1))
            word = shl(word, shl(filled, _U(3)))
            word = bor(word, band(output[output_base + _W(shr(place, _U(2)))], kept))
        output[output_base + _W(shr(place, _U(2)))] = word
        place = add(place, shl(n_lanes, _U(2)))
    sync_warp()


@njit(nogil=True)
def copy_stored(data, base, source, n_bytes, output, output_base, position, lane, n_lanes):
    """Copy ``n_bytes`` bytes from byte ``source`` of the stream to the output from ``position`` on, a word per lane."""
    end, filled = add(position, n_bytes), band(position, _U(3))
    place = add(sub(position, filled), shl(lane, _U(2)))
    sync_warp()
    while place < end:
        # A stored sub-block has 4 bytes before it at least, so the first word reads nothing before the stream.
        origin = sub(add(source, place), position)
        number = base + _W(shr(origin, _U(2)))
        word = funnel_right(data[number + _W(1)], data[number], shl(band(origin, _U(3)), _U(3)))
        if place < position:
            kept = sub(shl(_U(1), shl(filled, _U(3))), _U(1))
            word = bor(sub(word, band(word, kept)), band(output[output_base + _W(shr(place, _U(2)))], kept))
        output[output_base + _W(shr(place, _U(2)))] = word
        place = add(place, shl(n_lanes, _U(2)))
    sync_warp()
