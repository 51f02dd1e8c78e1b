"""Compressed blocks from raw addresses, as memory maps have them, to slots of one array. CPU.

=========  ======  ======  ==============================================
array      shape   dtype   what
=========  ======  ======  ==============================================
data       (N,)    uint8   all slots, side by side
offsets    (K,)    int64   where a slot starts in ``data``
sizes      (K,)    int64   bytes of a block
ends       (K,)    int64   where a slot ends
addresses  (K,)    uint64  where a block is in memory; unchecked
=========  ======  ======  ==============================================
"""

from numba import njit

from .bits import copy_from_address


@njit(nogil=True, cache=True)
def copy_blocks(first, last, data, offsets, sizes, ends, addresses):
    """Copy blocks ``[first, last)`` to their slots, and fill these up with zeros."""
    for block in range(first, last):
        copy_from_address(data, offsets[block], addresses[block], sizes[block])
        data[offsets[block] + sizes[block] : ends[block]] = 0
