"""The next words of a warp's stream, staged in shared memory ahead of where it is read."""

import numpy as np
from numba import njit

from ..bits import add, band, funnel_right, least, shr, sub, sync_warp
from .warp_layout import STAGED_MASK

_U = np.uint32
_W = np.uint64


@njit(nogil=True, forceinline=True)
def stage(data, base, last_word, staged, loaded, ahead, bit, lane, n_lanes):
    """Keep the eight words from ``bit`` on staged. ``ahead`` was read early, so that nobody waits for it here.

    Returns the number of words staged so far, and this lane's word of the next ones.
    """
    while sub(loaded, shr(bit, _U(5))) < _U(8):
        sync_warp()
        staged[band(add(loaded, lane), STAGED_MASK)] = ahead
        loaded = add(loaded, n_lanes)
        ahead = data[base + _W(least(add(loaded, lane), last_word))]
        sync_warp()
    return loaded, ahead


@njit(nogil=True, forceinline=True)
def peek(staged, bit):
    """The 32 bits from ``bit`` on, the same for all lanes if ``bit`` is."""
    word = shr(bit, _U(5))
    low = staged[band(word, STAGED_MASK)]
    high = staged[band(add(word, _U(1)), STAGED_MASK)]
    return funnel_right(high, low, band(bit, _U(31)))
