"""Which blocks inflate by which kernel, in which order: a warp each for the few and the long, a lane for the others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Measured on an H200 (docs/kernels/inflate.md): up to some 10,400 blocks a warp each is quicker, whatever their sizes.
MOST_BLOCKS_BY_WARP = 10_000
# Of more blocks, the long ones get a warp each beside the lanes, if they are long enough to keep their lanes waiting.
MOST_LONG_BLOCKS = 1_024
LONG = 2.0  # times the mean
LARGEST_KEY = 0xFFFF


def longest_first(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Blocks by compressed size, the longest first: the lanes of a warp wait for their longest stream.

    Sorted by 16 bits, which NumPy does by radix sort, ten times faster than by the size itself.
    """
    keys = LARGEST_KEY - np.minimum(sizes >> 2, LARGEST_KEY).astype(np.uint16)
    return np.argsort(keys, kind="stable")


def blocks_by_warp(sizes: npt.NDArray[np.int64]) -> int:
    """How many of the blocks, the longest, should get a warp each.

    Parameters
    ----------
    sizes : (K,) int64
        Compressed bytes.

    Examples
    --------
    >>> blocks_by_warp(np.full(100, 3_500))
    100
    >>> blocks_by_warp(np.full(50_000, 3_500))
    0
    """
    if sizes.size <= MOST_BLOCKS_BY_WARP:
        return int(sizes.size)
    return min(MOST_LONG_BLOCKS, int(np.count_nonzero(sizes > LONG * sizes.mean())))
