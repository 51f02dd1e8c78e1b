"""Compressed blocks of a plan, side by side in memory: copied out of memory maps, or read as byte ranges.

::

    files      ──[ block ]────[ block ][ block ]──        ──[ block ]──
                      ╲            │        │                  │
    data       [ block 0 | 0000 ][ block 1 | 00000 ][ block 2 | 000 ][ block 3 | 0000 ]
               offsets are multiples of 16; zeros follow each block, so decoders may read ahead
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import FormatError
from ..kernels.gather import ALIGNMENT, PADDING, copy_blocks, locate_blocks
from ..parallel import ThreadTeam
from ..plan import ReadPlan, TrackTable
from ..storage import ByteSource
from .remote import read_unmapped
from .sources import SourceTable

__all__ = ["BlockRanges", "CompressedBlocks", "fetch_blocks", "slot_sizes"]

SMALLEST_PIECE = 64  # blocks: new pages of a file take about a microsecond each, a thread some tens of them
LARGE_PIECE = 256  # of more blocks than one such piece a thread, pieces are worth a transfer each


@dataclass(frozen=True, slots=True, eq=False)
class CompressedBlocks:
    """The blocks of a plan as they stand in their files.

    Attributes
    ----------
    data
        (N,) uint8.
    offsets
        (K,) int64, where each block starts in ``data``; multiples of 16.
    sizes
        (K,) int64, bytes of each block. At least 32 zero bytes follow it.
    """

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class BlockRanges:
    """Where blocks are in their files: what fetching needs to know, of a plan or without one.

    Attributes
    ----------
    block_tracks
        (K,) int, the file of each.
    block_offsets, block_sizes
        (K,) int64, bytes in the file.
    """

    block_tracks: npt.NDArray[np.int32]
    block_offsets: npt.NDArray[np.int64]
    block_sizes: npt.NDArray[np.int64]

    @property
    def n_blocks(self) -> int:
        """K."""
        return len(self.block_tracks)

    @classmethod
    def of_leaves(cls, tracks: TrackTable, leaves: npt.NDArray[np.int64]) -> BlockRanges:
        """The blocks of some leaves, (K,) int64, ascending."""
        numbers = np.diff(np.searchsorted(leaves, tracks.first_leaf))
        files = np.repeat(np.arange(tracks.n_tracks, dtype=np.int32), numbers)
        return cls(files, tracks.leaf_offsets[leaves], tracks.leaf_sizes[leaves])


def slot_sizes(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Bytes that blocks of these sizes take in memory, with what follows them."""
    return -(-(sizes + PADDING) // ALIGNMENT) * ALIGNMENT


def fetch_blocks(
    plan: ReadPlan | BlockRanges,
    sources: Sequence[ByteSource],
    *,
    allocate: Callable[[int, type[np.uint8]], npt.NDArray[np.uint8]] = np.empty,
    team: ThreadTeam | None = None,
    done: Callable[[int], None] | None = None,
) -> CompressedBlocks:
    """Bring the blocks of a plan into memory.

    Parameters
    ----------
    plan
        Says which blocks.
    sources
        The files, as ``plan.block_tracks`` numbers them. A ``SourceTable`` saves looking at each in every batch.
    allocate
        Called as ``allocate(n_bytes, np.uint8)`` for the memory to fill, for instance pinned; ``n_bytes`` is what
        ``slot_sizes`` adds up to.
    team
        Threads to copy with; without them the calling thread does it all.
    done
        Called with a number of bytes each time that the memory up to there is filled.

    Returns
    -------
    CompressedBlocks

    Raises
    ------
    FormatError
        A block lies outside its file.
    StorageError
        A file cannot be read, or is closed.
    """
    table = sources if isinstance(sources, SourceTable) else SourceTable(sources)
    offsets, ends = np.empty((2, plan.n_blocks), np.int64)
    addresses = np.empty(plan.n_blocks, np.uint64)
    outside = locate_blocks(
        plan.block_tracks, plan.block_offsets, plan.block_sizes, table.sizes, table.addresses, offsets, ends, addresses
    )
    if outside < plan.n_blocks:
        raise _outside(plan, table, outside)
    data = allocate(int(ends[-1]) if plan.n_blocks else 0, np.uint8)
    blocks = CompressedBlocks(data=data, offsets=offsets, sizes=plan.block_sizes)
    held = [] if table.is_mapped else read_unmapped(plan, table, addresses)
    arguments = (blocks.data, blocks.offsets, blocks.sizes, ends, addresses)

    def report(last: int) -> None:
        if done is not None and last > 0:
            done(int(ends[last - 1]))

    if team is None:
        copy_blocks(0, plan.n_blocks, *arguments)
        report(plan.n_blocks)
    else:
        smallest = min(max(SMALLEST_PIECE, plan.n_blocks // team.n_threads), LARGE_PIECE)
        team.run(copy_blocks, plan.n_blocks, *arguments, smallest=smallest, done=report)
    del held  # until here the addresses had to stay good
    return blocks


def _outside(plan: ReadPlan | BlockRanges, table: SourceTable, block: int) -> FormatError:
    """The error of a block that lies outside its file: what is copied by address must be there."""
    source = table[int(plan.block_tracks[block])]
    offset, size = int(plan.block_offsets[block]), int(plan.block_sizes[block])
    return FormatError(
        f"{source.url}: block {block} of the batch, {size:,} bytes at byte {offset:,}, lies outside the file of "
        f"{source.size:,} bytes; the file is cut off or its index is damaged. Fetch it again.",
        url=source.url,
        offset=offset,
    )
