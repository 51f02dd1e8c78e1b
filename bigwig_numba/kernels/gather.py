"""Compressed blocks from raw addresses, as memory maps have them, to slots of one array. CPU.

==============  ======  ======  ==============================================
array           shape   dtype   what
==============  ======  ======  ==============================================
files           (K,)    int32   the file of each block
places          (K,)    int64   where in its file a block starts
sizes           (K,)    int64   bytes of a block
file_sizes      (F,)    int64   bytes of a file
file_addresses  (F,)    uint64  where in memory a file is; 0 if it is not
data            (N,)    uint8   all slots, side by side
offsets         (K,)    int64   where a slot starts in ``data``
ends            (K,)    int64   where a slot ends
addresses       (K,)    uint64  where a block is in memory; unchecked
==============  ======  ======  ==============================================
"""

import numpy as np

from .jit import njit
from .memory import copy_from_address

ALIGNMENT = 16  # bytes; decoders load words of up to 16
PADDING = 32  # zero bytes after a block, at least: what the CPU's decoder may read ahead


@njit(nogil=True, cache=True)
def locate_blocks(files, places, sizes, file_sizes, file_addresses, offsets, ends, addresses):
    """Write where blocks are and where they go, and return the first that lies outside its file, K if none does.

    Compared without adding up, as place + size of a damaged index may overflow.
    """
    end = np.int64(0)
    for block in range(files.size):
        file, place, size = files[block], places[block], sizes[block]
        if place < 0 or size < 0 or place > file_sizes[file] - size:
            return block
        offsets[block] = end
        end += (size + PADDING + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        ends[block] = end
        addresses[block] = file_addresses[file] + np.uint64(place)
    return files.size


@njit(nogil=True, cache=True)
def copy_blocks(first, last, data, offsets, sizes, ends, addresses):
    """Copy blocks ``[first, last)`` to their slots, and fill these up with zeros."""
    for block in range(first, last):
        copy_from_address(data, offsets[block], addresses[block], sizes[block])
        data[offsets[block] + sizes[block] : ends[block]] = 0
