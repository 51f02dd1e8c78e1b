"""Blocks of a plan that are in no memory map: read as byte ranges, all files at a time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from ..errors import StorageError
from ..plan import ReadPlan
from ..storage import ByteSource
from .sources import SourceTable

__all__ = ["read_unmapped"]

MAX_CONCURRENT_SOURCES = 16  # remote files read from at one time


def read_unmapped(plan: ReadPlan, table: SourceTable, addresses: npt.NDArray[np.uint64]) -> list[bytes]:
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
