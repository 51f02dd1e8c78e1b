"""Compressed blocks of a plan, side by side in memory: copied out of memory maps, or read as byte ranges.

::

    files      ──[ block ]────[ block ][ block ]──        ──[ block ]──
                      ╲            │        │                  │
    data       [ block 0 | 0000 ][ block 1 | 00000 ][ block 2 | 000 ][ block 3 | 0000 ]
               offsets are multiples of 16; zeros follow each block, so decoders may read ahead
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

from ..errors import FormatError, StorageError
from ..kernels.gather import copy_blocks
from ..parallel import ThreadTeam
from ..plan import ReadPlan
from ..storage import ByteSource

__all__ = ["CompressedBlocks", "SourceTable", "fetch_blocks"]

ALIGNMENT = 16  # bytes; decoders load words of up to 16
PADDING = 32  # zero bytes after a block, at least: what the CPU's decoder may read ahead
MAX_CONCURRENT_SOURCES = 16  # remote files read from at one time
SMALLEST_PIECE = 256  # blocks of some 4 KB: about 0.1 ms, below which a thread costs more than it does


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


class SourceTable(Sequence[ByteSource]):
    """Files in track order, and where their bytes are: looked up once, not in each batch.

    It keeps memory maps alive, so that no copy out of them can meet a file that was closed meanwhile.

    Parameters
    ----------
    sources
        One per file.

    Attributes
    ----------
    sizes
        (T,) int64, bytes of each file.
    mapped
        (T,) bool, whether the file is mapped into memory.
    addresses
        (T,) uint64, where in memory; 0 if it is not.
    """

    def __init__(self, sources: Sequence[ByteSource]) -> None:
        self._sources = tuple(sources)
        self._memories = [source.memory for source in self._sources]
        self.sizes = np.array([source.size for source in self._sources], dtype=np.int64)
        self.mapped = np.array([memory is not None for memory in self._memories], dtype=np.bool_)
        self.addresses = np.array(
            [0 if memory is None else memory.ctypes.data for memory in self._memories], dtype=np.uint64
        )

    @overload
    def __getitem__(self, index: int) -> ByteSource: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ByteSource]: ...
    def __getitem__(self, index: int | slice) -> ByteSource | Sequence[ByteSource]:
        return self._sources[index]

    def __len__(self) -> int:
        return len(self._sources)

    def close(self) -> None:
        """Close all files."""
        for source in self._sources:
            source.close()


def fetch_blocks(
    plan: ReadPlan,
    sources: Sequence[ByteSource],
    *,
    allocate: Callable[[int, type[np.uint8]], npt.NDArray[np.uint8]] = np.empty,
    team: ThreadTeam | None = None,
) -> CompressedBlocks:
    """Bring the blocks of a plan into memory.

    Parameters
    ----------
    plan
        Says which blocks.
    sources
        The files, as ``plan.block_tracks`` numbers them. A ``SourceTable`` saves looking at each in every batch.
    allocate
        Called as ``allocate(n_bytes, np.uint8)`` for the memory to fill, for instance pinned.
    team
        Threads to copy with; without them the calling thread does it all.

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
    _check_ranges(plan, table)
    slots = -(-(plan.block_sizes + PADDING) // ALIGNMENT) * ALIGNMENT
    ends = np.cumsum(slots)
    blocks = CompressedBlocks(
        data=allocate(int(ends[-1]) if plan.n_blocks else 0, np.uint8), offsets=ends - slots, sizes=plan.block_sizes
    )
    addresses = table.addresses[plan.block_tracks] + plan.block_offsets.astype(np.uint64)
    held = _read_unmapped(plan, table, addresses)
    arguments = (blocks.data, blocks.offsets, blocks.sizes, ends, addresses)
    if team is None:
        copy_blocks(0, plan.n_blocks, *arguments)
    else:
        team.run(copy_blocks, plan.n_blocks, *arguments, smallest=SMALLEST_PIECE)
    del held  # until here the addresses had to stay good
    return blocks


def _check_ranges(plan: ReadPlan, table: SourceTable) -> None:
    """Raise for the first block that lies outside its file: what is copied by address must be there."""
    # Compared without adding up, as offset + size of a damaged index may overflow.
    sizes = table.sizes[plan.block_tracks]
    outside = np.flatnonzero(
        (plan.block_offsets < 0) | (plan.block_sizes < 0) | (plan.block_offsets > sizes - plan.block_sizes)
    )
    if len(outside):
        block = int(outside[0])
        source = table[int(plan.block_tracks[block])]
        offset, size = int(plan.block_offsets[block]), int(plan.block_sizes[block])
        raise FormatError(
            f"{source.url}: block {block} of the batch, {size:,} bytes at byte {offset:,}, lies outside the file of "
            f"{source.size:,} bytes; the file is cut off or its index is damaged. Fetch it again.",
            url=source.url,
            offset=offset,
        )


def _read_unmapped(plan: ReadPlan, table: SourceTable, addresses: npt.NDArray[np.uint64]) -> list[bytes]:
    """Read the blocks of files that are not mapped, and write to ``addresses`` where they are.

    Returns
    -------
    list of bytes
        What the addresses point into.
    """
    jobs = list(_unmapped_blocks(plan, table))
    if not jobs:
        return []

    def read(job: tuple[ByteSource, npt.NDArray[np.intp]]) -> bytes:
        source, blocks = job
        return _read_joined(source, plan.block_offsets[blocks], plan.block_sizes[blocks])

    if len(jobs) == 1:
        held = [read(jobs[0])]
    else:
        with ThreadPoolExecutor(min(len(jobs), MAX_CONCURRENT_SOURCES)) as executor:
            held = list(executor.map(read, jobs))
    for (_, blocks), data in zip(jobs, held, strict=True):
        sizes = plan.block_sizes[blocks]
        start = np.frombuffer(data, dtype=np.uint8).ctypes.data
        addresses[blocks] = (start + np.cumsum(sizes) - sizes).astype(np.uint64)
    return held


def _unmapped_blocks(plan: ReadPlan, table: SourceTable) -> Iterator[tuple[ByteSource, npt.NDArray[np.intp]]]:
    """Each file that is not mapped and that the plan needs, with its blocks."""
    blocks = np.flatnonzero(~table.mapped[plan.block_tracks])
    if len(blocks) == 0:
        return
    blocks = blocks[np.argsort(plan.block_tracks[blocks], kind="stable")]
    tracks = plan.block_tracks[blocks]
    for part in np.split(blocks, np.flatnonzero(np.diff(tracks)) + 1):
        yield table[int(plan.block_tracks[part[0]])], part


def _read_joined(source: ByteSource, offsets: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> bytes:
    """Many ranges of one file, one after another."""
    parts = source.read_ranges(offsets, sizes)
    lengths = np.fromiter(map(len, parts), dtype=np.int64, count=len(parts))
    if not np.array_equal(lengths, sizes):
        missing = [(int(offsets[i]), int(sizes[i])) for i in range(len(sizes)) if lengths[i : i + 1] != sizes[i]]
        raise StorageError(
            f"{source.url}: {len(missing)} of {len(sizes)} byte ranges came back with another length than was asked "
            f"for, first {missing[0][1]:,} bytes at byte {missing[0][0]:,}",
            url=source.url,
            ranges=missing,
        )
    return b"".join(parts)
