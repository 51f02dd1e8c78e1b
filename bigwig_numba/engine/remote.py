"""Blocks of a plan that are in no memory map: from the block cache, or all in one go as byte ranges of all files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import numpy.typing as npt

from ..errors import StorageError
from ..ranges import CoalescedRanges, coalesce_ranges
from ..storage import Body, ByteSource, FileRange, RemoteFile, RemoteReader
from .sources import SourceTable

if TYPE_CHECKING:
    from ..block_cache import BlockCache

__all__ = ["read_unmapped"]

Int64Array = npt.NDArray[np.int64]
Addresses = npt.NDArray[np.uint64]

OFFSET_BITS = 44  # files of up to 16 TiB; 19 bits are left for the number of the file among those that are read


class Blocks(Protocol):
    """Which blocks are wanted, as plans and ``BlockRanges`` say it."""

    @property
    def block_tracks(self) -> npt.NDArray[np.int32]: ...
    @property
    def block_offsets(self) -> Int64Array: ...
    @property
    def block_sizes(self) -> Int64Array: ...


def read_unmapped(plan: Blocks, table: SourceTable, addresses: Addresses) -> list[object]:
    """Read the blocks of files that are not mapped, and write to ``addresses`` where they are.

    Parameters
    ----------
    plan
        Says which blocks.
    table
        The files.
    addresses
        (K,) uint64, written to where a block's file is not mapped.

    Returns
    -------
    list
        What the addresses point into: keep it as long as they are used.

    Raises
    ------
    StorageError, FileNotFoundError, PermissionError
        A file cannot be read. If there are several, the cause is an ``ExceptionGroup`` of one error for each.
    """
    held: list[object] = []
    readers: dict[RemoteReader, list[npt.NDArray[np.intp]]] = {}
    for source, blocks in _unmapped_blocks(plan, table):
        if isinstance(source, RemoteFile):
            if source.is_closed:
                raise StorageError(f"{source.url} is closed; open it again to read from it", url=source.url)
            blocks, found = _from_cache(source, plan, blocks, addresses)
            held += found
            readers.setdefault(source.reader, []).append(blocks)
        else:
            data = _read_joined(source, plan.block_offsets[blocks], plan.block_sizes[blocks])
            sizes = plan.block_sizes[blocks]
            addresses[blocks] = _address(data) + (np.cumsum(sizes) - sizes).astype(np.uint64)
            held.append(data)
    for reader, parts in readers.items():
        wanted = np.concatenate(parts)
        if len(wanted):
            held += _read_remote(reader, plan, table, wanted, addresses)
    return held


def _unmapped_blocks(plan: Blocks, table: SourceTable) -> Iterator[tuple[ByteSource, npt.NDArray[np.intp]]]:
    """Each file that is not mapped and that the plan needs, with its blocks."""
    blocks = np.flatnonzero(~table.mapped[plan.block_tracks])
    if len(blocks) == 0:
        return
    blocks = blocks[np.argsort(plan.block_tracks[blocks], kind="stable")]
    tracks = plan.block_tracks[blocks]
    for part in np.split(blocks, np.flatnonzero(np.diff(tracks)) + 1):
        yield table[int(plan.block_tracks[part[0]])], part


def _from_cache(
    file: RemoteFile, plan: Blocks, blocks: npt.NDArray[np.intp], addresses: Addresses
) -> tuple[npt.NDArray[np.intp], list[object]]:
    """Look blocks up; those that are not there, and the memory of those that are."""
    cache, key = file.reader.block_cache, file.cache_key
    if cache is None or key is None:
        return blocks, []
    found = cache.find(key, plan.block_offsets[blocks], plan.block_sizes[blocks])
    addresses[blocks] = found.addresses
    return blocks[found.addresses == 0], list(found.held)


def _read_remote(
    reader: RemoteReader, plan: Blocks, table: SourceTable, blocks: npt.NDArray[np.intp], addresses: Addresses
) -> list[object]:
    """Read blocks of many files, all requests in flight together."""
    tracks, numbers = np.unique(plan.block_tracks[blocks], return_inverse=True)
    files = [cast(RemoteFile, table[int(track)]) for track in tracks]
    # One line of bytes for all files, so that the planner sees all gaps together; no gap between files is ever read.
    offsets = plan.block_offsets[blocks] + (numbers.astype(np.int64) << OFFSET_BITS)
    sizes = plan.block_sizes[blocks]
    options = reader.options
    requests = coalesce_ranges(
        offsets,
        sizes,
        max_gap=options.max_gap(n_in_flight=reader.n_in_flight(files[0])),
        max_size=options.max_request,
        max_waste=options.max_waste,
    )
    owners = (requests.offsets >> OFFSET_BITS).tolist()
    places = (requests.offsets & ((1 << OFFSET_BITS) - 1)).tolist()
    ranges = [
        FileRange(files[owner], place, size)
        for owner, place, size in zip(owners, places, requests.sizes.tolist(), strict=True)
    ]
    answers = reader.read_bodies(ranges)
    _raise_failures(ranges, answers)
    data = cast("list[Body]", answers)
    starts = np.fromiter(map(_address, data), dtype=np.uint64, count=len(data))
    addresses[blocks] = starts[requests.requests] + requests.positions.astype(np.uint64)
    if reader.block_cache is not None:
        _keep(reader.block_cache, files, numbers, plan.block_offsets[blocks], sizes, requests, data)
    return list(data)


def _keep(
    cache: BlockCache,
    files: list[RemoteFile],
    numbers: npt.NDArray[np.intp],
    offsets: Int64Array,
    sizes: Int64Array,
    requests: CoalescedRanges,
    data: list[Body],
) -> None:
    """Put blocks that were read into the cache, without what was read between them."""
    views = [memoryview(answer) for answer in data]
    for number, file in enumerate(files):
        key = file.cache_key
        if key is None:
            continue
        rows = np.flatnonzero(numbers == number)
        cuts = zip(
            requests.requests[rows].tolist(), requests.positions[rows].tolist(), sizes[rows].tolist(), strict=True
        )
        blocks = [views[request][position : position + size] for request, position, size in cuts]
        cache.add(key, offsets[rows].tolist(), blocks)


def _raise_failures(ranges: list[FileRange], answers: Sequence[Body | Exception]) -> None:
    """Raise the first failure; if several files failed, it comes with all of them."""
    failed: dict[RemoteFile, Exception] = {}
    lost: dict[RemoteFile, list[tuple[int, int]]] = {}
    for (file, offset, size), answer in zip(ranges, answers, strict=True):
        if isinstance(answer, Exception):
            failed.setdefault(file, answer)
            lost.setdefault(file, []).append((offset, size))
    for file, error in failed.items():
        if isinstance(error, StorageError):
            error.ranges = tuple(lost[file])
    errors = list(failed.values())
    if len(errors) > 1:
        raise errors[0] from ExceptionGroup(f"{len(errors)} files cannot be read", errors)
    if errors:
        raise errors[0]


def _address(data: Body) -> np.uint64:
    return np.uint64(np.frombuffer(data, dtype=np.uint8).ctypes.data) if data else np.uint64(0)


def _read_joined(source: ByteSource, offsets: Int64Array, sizes: Int64Array) -> bytes:
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
