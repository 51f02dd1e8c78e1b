"""The next words of a warp's stream, staged in shared memory: all lanes read there, each where it likes."""

import numpy as np

from ..bits import add, band, funnel_right, least, shr
from ..jit import njit
from ..warps import sync_warp

_U = np.uint32
_W = np.uint64


@njit(nogil=True, forceinline=True)
def stage(data, base, last_word, staged, word, n_words, lane, n_lanes):
    """Stage ``n_words`` words from number ``word`` of the stream on; beyond its end, the last one over and over."""
    sync_warp()
    place = lane
    while place < n_words:
        staged[place] = data[base + _W(least(add(word, place), last_word))]
        place = add(place, n_lanes)
    sync_warp()


@njit(nogil=True, forceinline=True)
def peek(staged, bit):
    """The 32 bits from ``bit`` of the staged words on."""
    word = shr(bit, _U(5))
    return funnel_right(staged[add(word, _U(1))], staged[word], band(bit, _U(31)))
