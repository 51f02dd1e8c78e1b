"""Blocks of remote files that were read before, bounded in bytes, in memory or on local disk.

Blocks are appended to *segments*, large pieces of memory or of mapped files; where space runs out, the oldest segment
goes, whole. So the cache never fragments, an epoch of random windows costs no file per block, and a batch reads cached
blocks where they are, without a copy. A segment on disk that is full, or whose process ends, gets a table of its blocks
beside it; then later processes, and others that run at the same time and open the cache after that, read it, too.

A block is found by file, offset and size, where "file" is a digest of URL and version: what changed is not found.
Blocks from other processes are compared with their checksum before their first use.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
import uuid
import weakref
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ConfigError

__all__ = ["BlockCache", "CachedBlocks"]

logger = logging.getLogger(__name__)

Int64Array = npt.NDArray[np.int64]

FOLDER = "blocks_v1"  # raise the number with any change of the layout
SEGMENTS = 16  # so a sixteenth of the cache is lost at a time
SMALLEST_CACHE = 1 << 20
LARGEST_SEGMENT = 1 << 30
OFFSET_BITS = 44  # files of up to 16 TiB; 19 bits are left for the number of the file
ENTRY = np.dtype([("file", "V16"), ("offset", "<i8"), ("position", "<i8"), ("size", "<i8"), ("checksum", "<u4")])


@dataclass(frozen=True, slots=True, eq=False)
class CachedBlocks:
    """Where cached blocks are.

    Attributes
    ----------
    addresses
        (N,) uint64, in memory; 0 for blocks that are not cached.
    held
        The memory they are in: keep it until the addresses were read.
    """

    addresses: npt.NDArray[np.uint64]
    held: Sequence[object]


@dataclass(eq=False)
class _Segment:
    """A piece of memory with blocks in it, and where which block is."""

    memory: npt.NDArray[np.uint8]
    path: Path | None = None
    used: int = 0
    entries: dict[int, tuple[int, int]] = field(default_factory=dict)  # while it is written: key to position, size
    keys: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))  # once it is full: sorted
    positions: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))
    sizes: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))
    unchecked: npt.NDArray[np.uint32] | None = None  # checksums of blocks that another process wrote
    good: npt.NDArray[np.bool_] | None = None

    @property
    def address(self) -> int:
        return self.memory.ctypes.data

    def find(self, keys: Int64Array, sizes: Int64Array) -> Int64Array:
        """Position of each block; -1 for those that are not here."""
        if self.entries:
            nothing = (-1, -1)
            found = [self.entries.get(key, nothing) for key in keys.tolist()]
            positions, found_sizes = np.array(found, np.int64).reshape(-1, 2).T
            return np.where(found_sizes == sizes, positions, -1)
        if not len(self.keys):
            return np.full(len(keys), -1, np.int64)
        rows = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        here = (self.keys[rows] == keys) & (self.sizes[rows] == sizes)
        if self.unchecked is not None:
            here[here] = self._are_good(rows[here])
        return np.where(here, self.positions[rows], -1)

    def freeze(self) -> None:
        """Sort the table: nothing is added any more."""
        rows = sorted((key, position, size) for key, (position, size) in self.entries.items())
        self.keys, self.positions, self.sizes = np.array(rows, np.int64).reshape(-1, 3).T
        self.entries = {}

    def _are_good(self, rows: Int64Array) -> npt.NDArray[np.bool_]:
        assert self.unchecked is not None
        assert self.good is not None
        for row in rows[~self.good[rows]].tolist():
            position, size = int(self.positions[row]), int(self.sizes[row])
            self.good[row] = zlib.crc32(self.memory[position : position + size].data) == self.unchecked[row]
        return self.good[rows]


class BlockCache:
    """Keeps blocks, up to a number of bytes. Threads may share one; processes may share its folder.

    Parameters
    ----------
    max_bytes
        Bytes of all blocks together, also of those that other processes put into the same folder.
    folder
        On a local disk; None for memory.

    Raises
    ------
    ConfigError
        Less than 1 MiB.

    Examples
    --------
    >>> cache = BlockCache(1 << 20)
    >>> cache.add("0123456789abcdef" * 2, [10, 50], [b"first", b"second"])
    >>> found = cache.find("0123456789abcdef" * 2, np.array([50, 99]), np.array([6, 6]))
    >>> (found.addresses > 0).tolist()
    [True, False]
    """

    def __init__(self, max_bytes: int, folder: str | os.PathLike[str] | None = None) -> None:
        if max_bytes < SMALLEST_CACHE:
            message = f"cache_bytes is {max_bytes:,}, expected {SMALLEST_CACHE:,} or more"
            raise ConfigError(message, argument="cache_bytes", value=max_bytes)
        self.max_bytes = max_bytes
        self.folder = None if folder is None else Path(folder).expanduser() / FOLDER
        self._segment_size = min(max_bytes // SEGMENTS, LARGEST_SEGMENT)
        self._files: dict[str, int] = {}
        self._segments: list[_Segment] = []  # oldest first; the last is being written
        self._lock = threading.RLock()
        self._lock_process = self._process = os.getpid()
        self._works = True
        if self.folder is not None:
            with self._giving_up():
                self.folder.mkdir(parents=True, exist_ok=True)
                self._load(self.folder)
            weakref.finalize(self, _save_last, self._segments, self._files, self._process)

    @property
    def n_bytes(self) -> int:
        """Bytes that its segments take."""
        return sum(len(segment.memory) for segment in self._segments)

    def find(self, file: str, offsets: Int64Array, sizes: Int64Array) -> CachedBlocks:
        """Where blocks of a file are.

        Parameters
        ----------
        file
            Digest of the file and its version, 32 hexadecimal digits.
        offsets, sizes : (N,) int64
            The blocks.
        """
        addresses = np.zeros(len(offsets), np.uint64)
        held: list[object] = []
        with self._locked():
            number = self._files.get(file)
            keys = offsets + ((number or 0) << OFFSET_BITS)
            for segment in reversed(self._segments if number is not None else []):
                missing = np.flatnonzero(addresses == 0)
                if not len(missing):
                    break
                positions = segment.find(keys[missing], sizes[missing])
                here = positions >= 0
                if here.any():
                    addresses[missing[here]] = (segment.address + positions[here]).astype(np.uint64)
                    held.append(segment.memory)
        return CachedBlocks(addresses, held)

    def add(self, file: str, offsets: Sequence[int], blocks: Sequence[bytes | memoryview]) -> None:
        """Keep blocks of a file; those that are larger than a segment are not kept."""
        with self._locked(), self._giving_up():
            number = self._files.setdefault(file, len(self._files))
            for offset, block in zip(offsets, blocks, strict=True):
                if not self._works:
                    return
                size = len(block)
                if not 0 < size <= self._segment_size or offset >= 1 << OFFSET_BITS:
                    continue
                segment = self._segment_for(size)
                segment.memory[segment.used : segment.used + size] = np.frombuffer(block, np.uint8)
                segment.entries[(number << OFFSET_BITS) + offset] = (segment.used, size)
                segment.used += size

    def close(self) -> None:
        """Write down where which block is, for later processes, and give back the memory."""
        with self._locked(), self._giving_up():
            _save_last(self._segments, self._files, self._process)
            self._segments.clear()

    def _locked(self) -> Any:
        """The lock; a new one after a fork, as a thread that stayed behind may have held it."""
        if self._lock_process != os.getpid():
            self._lock, self._lock_process = threading.RLock(), os.getpid()
        return self._lock

    def _segment_for(self, size: int) -> _Segment:
        last = self._segments[-1] if self._segments else None
        # A forked process must not write where its parent does.
        if last is not None and last.entries and self._process == os.getpid() and last.used + size <= len(last.memory):
            return last
        if last is not None and last.entries:
            _save_last(self._segments, self._files, self._process)
            last.freeze()
        self._process = os.getpid()
        segment = self._new_segment()
        self._segments.append(segment)
        return segment

    def _new_segment(self) -> _Segment:
        if self.folder is None:
            while self.n_bytes + self._segment_size > self.max_bytes and self._segments:
                del self._segments[0]
            return _Segment(np.empty(self._segment_size, np.uint8))
        self._make_room(self.folder)
        path = self.folder / f"{uuid.uuid4().hex}.blocks"
        with open(path, "w+b") as file:
            os.posix_fallocate(file.fileno(), 0, self._segment_size)  # else a full disk would end the process later
            memory = np.memmap(file, np.uint8, mode="r+", shape=(self._segment_size,)).view(np.ndarray)
        return _Segment(memory, path)

    def _make_room(self, folder: Path) -> None:
        """Remove the oldest segments, whoever wrote them, until one more fits; who has one open can go on reading."""
        segments = sorted((status.st_mtime_ns, status.st_size, path) for path, status in _segment_files(folder))
        total = sum(size for _, size, _ in segments)
        for _, size, path in segments:
            if total + self._segment_size <= self.max_bytes:
                break
            for gone in (path.with_suffix(".table"), path):
                gone.unlink(missing_ok=True)
            total -= size
        kept = [segment for segment in self._segments if segment.path is not None and segment.path.exists()]
        self._segments[:] = kept

    def _load(self, folder: Path) -> None:
        """Take over the segments of earlier processes."""
        for path, _ in sorted(_segment_files(folder), key=lambda found: found[1].st_mtime_ns):
            table = path.with_suffix(".table")
            with contextlib.suppress(FileNotFoundError):  # not finished yet, or removed just now
                entries = np.frombuffer(table.read_bytes(), np.uint8)
                memory = np.memmap(path, np.uint8, mode="r").view(np.ndarray)
                whole = len(entries) // ENTRY.itemsize * ENTRY.itemsize
                self._segments.append(self._loaded(path, memory, entries[:whole]))

    def _loaded(self, path: Path, memory: npt.NDArray[np.uint8], table: npt.NDArray[np.uint8]) -> _Segment:
        entries = table.view(ENTRY)
        inside = (entries["position"] >= 0) & (entries["size"] > 0)
        inside &= entries["position"] <= len(memory) - entries["size"]
        entries = entries[inside]
        digests = [bytes(digest).hex() for digest in entries["file"]]
        for digest in dict.fromkeys(digests):
            self._files.setdefault(digest, len(self._files))
        numbers = np.fromiter(map(self._files.__getitem__, digests), np.int64, len(digests))
        keys = (numbers << OFFSET_BITS) + entries["offset"]
        order = np.argsort(keys, kind="stable")
        return _Segment(
            memory,
            path,
            used=len(memory),
            keys=keys[order],
            positions=entries["position"][order].astype(np.int64),
            sizes=entries["size"][order].astype(np.int64),
            unchecked=entries["checksum"][order].astype(np.uint32),
            good=np.zeros(len(entries), np.bool_),
        )

    @contextlib.contextmanager
    def _giving_up(self) -> Any:
        """A cache that cannot be written to is no reason to stop."""
        try:
            yield
        except OSError as error:
            self._works = False
            logger.warning("Blocks of remote files are not kept in %s any more: %s", self.folder, error)


def _segment_files(folder: Path) -> list[tuple[Path, os.stat_result]]:
    found = []
    for path in folder.glob("*.blocks"):
        with contextlib.suppress(FileNotFoundError):
            found.append((path, path.stat()))
    return found


def _save_last(segments: list[_Segment], files: dict[str, int], process: int) -> None:
    """Write the table of the segment that is being written, if it is on disk and this process's own."""
    last = segments[-1] if segments else None
    if last is None or last.path is None or not last.entries or process != os.getpid():
        return
    names = {number: name for name, number in files.items()}
    table = np.zeros(len(last.entries), ENTRY)
    for row, (key, (position, size)) in enumerate(last.entries.items()):
        checksum = zlib.crc32(last.memory[position : position + size].data)
        file = bytes.fromhex(names[key >> OFFSET_BITS])
        table[row] = (file, key & ((1 << OFFSET_BITS) - 1), position, size, checksum)
    if not last.path.exists():  # another process made room
        return
    descriptor, temporary = tempfile.mkstemp(prefix=".writing_", dir=last.path.parent)
    with open(descriptor, "wb") as file_object:
        file_object.write(table.tobytes())
    os.replace(temporary, last.path.with_suffix(".table"))
