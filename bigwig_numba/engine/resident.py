"""Compressed blocks that stay: copied once into the GPU's memory, or into pinned memory beside it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cupy
import cupyx
import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from ..parallel import ThreadTeam
from ..plan import TrackTable
from .buffers import BufferPool
from .sources import SourceTable
from .store import BlockRanges, fetch_blocks, slot_sizes

__all__ = ["ResidentBlocks", "load_blocks"]

logger = logging.getLogger(__name__)

PIECE_BYTES = 1 << 27  # copied at a time
SHOWN_BYTES = 1 << 30  # from here on a progress bar is worth its line
NOT_HELD = -1


@dataclass(frozen=True, slots=True, eq=False)
class ResidentBlocks:
    """Compressed blocks that kernels can reach.

    Attributes
    ----------
    data
        (N,) uint32, on the device, or pinned on the host: kernels can read both.
    is_on_device
        Which of the two.
    words
        (L,) int64 on the host: where in ``data`` each leaf of the track table begins; -1 for those that are not held.
    """

    data: Any
    is_on_device: bool
    words: npt.NDArray[np.int64]

    @property
    def n_bytes(self) -> int:
        """Bytes of ``data``."""
        return int(self.data.nbytes)

    @property
    def is_whole(self) -> bool:
        """Whether every leaf is held."""
        return bool((self.words >= 0).all())


def load_blocks(
    tracks: TrackTable,
    sources: SourceTable,
    leaves: npt.NDArray[np.int64],
    *,
    on_device: bool,
    team: ThreadTeam,
    pinned: BufferPool,
) -> ResidentBlocks:
    """Copy blocks to where they will stay, with a progress bar if they are many.

    Parameters
    ----------
    tracks, sources
        The files.
    leaves
        (k,) int64, which of their leaves.
    on_device
        Whether to the GPU's memory; else to pinned memory.
    team, pinned
        Threads that copy, and the buffers they copy through.

    Raises
    ------
    cupy.cuda.memory.OutOfMemoryError, MemoryError
        When there is not as much memory.
    """
    slots = slot_sizes(tracks.leaf_sizes[leaves])
    ends = np.cumsum(slots)
    n_bytes = int(ends[-1]) if len(ends) else 0
    words = np.full(len(tracks.leaf_sizes), NOT_HELD, np.int64)
    words[leaves] = (ends - slots) // 4
    if on_device:
        data = cupy.empty(max(1, n_bytes // 4), np.uint32)
    else:
        memory = cupyx.empty_pinned(max(4, n_bytes), np.uint8)
        data = _seen_by_device(memory)
    hidden = None if n_bytes >= SHOWN_BYTES else True  # None: shown on a terminal only
    with tqdm(total=n_bytes, desc="Loading blocks", unit="B", unit_scale=True, disable=hidden) as progress:
        for first, last in _pieces(ends):
            ranges = BlockRanges.of_leaves(tracks, leaves[first:last])
            begin, end = int(ends[first] - slots[first]), int(ends[last - 1])
            if on_device:
                with pinned.lend(end - begin) as buffer:
                    fetch_blocks(ranges, sources, allocate=lambda *_, buffer=buffer: buffer, team=team)
                    data[begin // 4 : end // 4].set(buffer.view(np.uint32))
                    cupy.cuda.get_current_stream().synchronize()  # the buffer is used again
            else:
                fetch_blocks(ranges, sources, allocate=lambda *_, part=memory[begin:end]: part, team=team)
            progress.update(end - begin)
    return ResidentBlocks(data, on_device, words)


def _pieces(ends: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of blocks of some ``PIECE_BYTES`` each."""
    first = 0
    while first < len(ends):
        begin = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, begin + PIECE_BYTES, side="right")))
        yield first, last
        first = last


def _seen_by_device(memory: npt.NDArray[np.uint8]) -> Any:
    """Pinned memory as an array that kernels can be given: both processors know it under one address."""
    whole = cupy.cuda.UnownedMemory(memory.ctypes.data, memory.nbytes, memory)
    return cupy.ndarray((memory.nbytes // 4,), np.uint32, cupy.cuda.MemoryPointer(whole, 0))
