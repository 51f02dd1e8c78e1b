"""Adler-32 of a block that has been inflated, compared with what its zlib stream says (RFC 1950, section 9).

The two sums of the checksum, of bytes d_0 to d_n-1, both modulo 65,521::

    a = 1 + d_0 + d_1 + ...                      b = n + n * d_0 + (n - 1) * d_1 + ... + 1 * d_n-1

Written like this, no byte has to wait for the one before it: each lane of a warp adds up the words that it reads, and
the lanes' sums are added up at the end.

=========  ========  =======  ===========================================================
array      shape     dtype    what
=========  ========  =======  ===========================================================
data       (N / 4,)  uint32   compressed blocks, each from a word of its own
words      (W,)      uint32   inflated blocks, each from a word of its own
=========  ========  =======  ===========================================================
"""

import numpy as np

from .bits import add, band, bor, funnel_right, shl, shr, sub, swap_bytes
from .jit import njit
from .warps import shuffle

PRIME = 65_521  # the largest prime below 2**16

_U = np.uint32
_W = np.uint64


@njit(nogil=True, forceinline=True)
def _sum_of_lanes(part, lane, n_lanes):
    """The sum of all lanes' uint32, on each of them; the number of lanes is a power of two."""
    distance = shr(n_lanes, _U(1))
    while distance > _U(0):
        part = add(part, shuffle(part, band(add(lane, distance), sub(n_lanes, _U(1)))))
        distance = shr(distance, _U(1))
    return part


@njit(nogil=True, forceinline=True)
def partial_sums(words, base, n_bytes, lane, n_lanes):
    """What this lane's words add to a and b, each below 65,521, of ``n_bytes`` bytes from word ``base`` on.

    Up to 2**28 bytes: their sums fit into 64 bits, so the remainder is taken once.
    """
    total, weighted = _W(0), _W(0)
    place = shl(lane, _U(2))
    while place < n_bytes:
        word, left = words[base + _W(shr(place, _U(2)))], sub(n_bytes, place)
        if left < _U(4):  # what stands behind the last byte is not part of the block
            word = band(word, sub(shl(_U(1), shl(left, _U(3))), _U(1)))
        second, third, fourth = band(shr(word, _U(8)), _U(0xFF)), band(shr(word, _U(16)), _U(0xFF)), shr(word, _U(24))
        four = add(add(band(word, _U(0xFF)), second), add(third, fourth))
        total += _W(four)
        # (n - i) d_i + (n - i - 1) d_i+1 + ...
        weighted += _W(left) * _W(four) - _W(add(second, add(shl(third, _U(1)), add(shl(fourth, _U(1)), fourth))))
        place = add(place, shl(n_lanes, _U(2)))
    return _U(total % _W(PRIME)), _U(weighted % _W(PRIME))


@njit(nogil=True, forceinline=True)
def adler_32(words, base, n_bytes, lane, n_lanes):
    """The checksum, uint32, of the ``n_bytes`` bytes from word ``base`` on; the same on all lanes."""
    low, high = partial_sums(words, base, n_bytes, lane, n_lanes)
    low = add(_U(1), _sum_of_lanes(low, lane, n_lanes))
    high = add(_U(n_bytes % _U(PRIME)), _sum_of_lanes(high, lane, n_lanes))
    return bor(shl(_U(high % _U(PRIME)), _U(16)), _U(low % _U(PRIME)))


@njit(nogil=True, forceinline=True)
def stored_checksum(data, source, end):
    """The four bytes, big-endian, that follow the first ``end`` bytes of the zlib stream from word ``source`` on."""
    place = source + _W(shr(end, _U(2)))
    shift = shl(band(end, _U(3)), _U(3))
    return swap_bytes(funnel_right(data[place + _W(1)], data[place], shift))
