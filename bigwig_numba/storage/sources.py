"""What a source of bytes is, and the two that need no network: mapped local files, and open file objects."""

from __future__ import annotations

import os
import stat
import threading
from abc import ABC, abstractmethod
from typing import IO, Protocol, cast

import numpy as np
import numpy.typing as npt

from ..errors import StorageError
from ..ranges import Int64Array, Integers, coalesce_ranges
from ..retries import display_url
from .mapping import map_file

__all__ = ["ByteSource", "FileObject", "MappedFile", "Source"]


class ByteSource(Protocol):
    """The bytes of one file.

    Attributes
    ----------
    url
        Display name; never contains credentials.
    size
        Bytes of the file.
    memory : (size,) uint8 or None
        The whole file, where it can be mapped into memory (local files).
    """

    url: str
    size: int
    memory: npt.NDArray[np.uint8] | None

    def read(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset`` on, or :class:`StorageError`."""
        ...

    def read_up_to(self, offset: int, size: int) -> bytes:
        """At most ``size`` bytes from ``offset`` on; fewer only at the end of the file."""
        ...

    def read_ranges(self, offsets: Integers, sizes: Integers) -> list[bytes]:
        """Many ranges, each in full, in the order asked for; close ones are read together."""
        ...

    def close(self) -> None:
        """Give back what the operating system or the network holds open."""
        ...


class Source(ABC):
    """What every source does the same way: check ranges, merge them, cut the answers."""

    def __init__(self, url: str, size: int) -> None:
        self.url = url
        self.size = size
        self.memory: npt.NDArray[np.uint8] | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}, {self.size} bytes{', closed' if self._closed else ''}>"

    def read(self, offset: int, size: int) -> bytes:
        """One range, in full."""
        return self.read_ranges([offset], [size])[0]

    def read_up_to(self, offset: int, size: int) -> bytes:
        """One range, fewer bytes only at the end of the file."""
        start = min(offset, self.size)
        return self.read(start, min(size, self.size - start))

    def read_ranges(self, offsets: Integers, sizes: Integers) -> list[bytes]:
        """Many ranges, each in full."""
        starts, lengths = np.asarray(offsets, np.int64), np.asarray(sizes, np.int64)
        self._check(starts, lengths)
        merged = coalesce_ranges(starts, lengths)
        wanted = np.flatnonzero(merged.sizes)
        answers = [b""] * len(merged.sizes)
        fetched = self._fetch(merged.offsets[wanted], merged.sizes[wanted]) if wanted.size else []
        for number, answer in zip(wanted.tolist(), fetched, strict=True):
            answers[number] = answer
        cuts = zip(merged.requests.tolist(), merged.positions.tolist(), lengths.tolist(), strict=True)
        return [answers[request][position : position + length] for request, position, length in cuts]

    def close(self) -> None:
        """Refuse to read from now on."""
        self._closed = True
        self.memory = None

    @abstractmethod
    def _fetch(self, offsets: Int64Array, sizes: Int64Array) -> list[bytes]:
        """The bytes of each range, each of its full length; the ranges lie inside the file and are not empty."""

    def _check(self, offsets: Int64Array, sizes: Int64Array) -> None:
        if self._closed:
            raise StorageError(f"{self.url} is closed; open it again to read from it", url=self.url)
        # Compared without adding up, which could overflow for offsets from a damaged file.
        left = self.size - np.minimum(offsets, self.size)
        outside = (offsets < 0) | (sizes < 0) | (offsets > self.size) | (sizes > left)
        if outside.any():
            first = int(np.flatnonzero(outside)[0])
            offset, size = int(offsets[first]), int(sizes[first])
            message = f"{self.url}: {size} bytes at byte {offset} lie outside the file, which has {self.size} bytes"
            raise StorageError(message, url=self.url, ranges=[(offset, size)])


class MappedFile(Source):
    """A local file, mapped into memory.

    The operating system ends a process that reads a mapped file past an end that was cut off meanwhile: don't shorten
    files that are open; write a new one and rename it over the old one.
    """

    def __init__(self, path: str, *, url: str | None = None) -> None:
        shown = url or path
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise StorageError(f"{shown} is {kind}; a file was expected", url=shown)
        super().__init__(shown, status.st_size)
        # An empty file cannot be mapped.
        self.memory = map_file(path, self.size) if self.size else np.empty(0, np.uint8)

    def read_ranges(self, offsets: Integers, sizes: Integers) -> list[bytes]:
        """Many ranges, each in full; merging them would save nothing here."""
        starts, lengths = np.asarray(offsets, np.int64), np.asarray(sizes, np.int64)
        self._check(starts, lengths)
        return self._fetch(starts, lengths)

    def _fetch(self, offsets: Int64Array, sizes: Int64Array) -> list[bytes]:
        memory = cast("npt.NDArray[np.uint8]", self.memory)
        return [
            memory[start : start + size].tobytes() for start, size in zip(offsets.tolist(), sizes.tolist(), strict=True)
        ]


class FileObject(Source):
    """An open binary file object with ``seek`` and ``read``; one reader at a time. Closing it is left to its owner."""

    def __init__(self, file: IO[bytes]) -> None:
        name = getattr(file, "name", None)
        url = display_url(name) if isinstance(name, str) else f"<{type(file).__name__}>"
        self._file = file
        self._lock = threading.Lock()
        try:
            size = file.seek(0, os.SEEK_END)
        except (OSError, ValueError) as error:  # ValueError: it is closed
            raise StorageError(f"{url} cannot be read as a file with seek and read: {error}", url=url) from error
        super().__init__(url, size if size is not None else file.tell())

    def _fetch(self, offsets: Int64Array, sizes: Int64Array) -> list[bytes]:
        with self._lock:
            return [self._read_one(start, size) for start, size in zip(offsets.tolist(), sizes.tolist(), strict=True)]

    def _read_one(self, offset: int, size: int) -> bytes:
        parts: list[bytes] = []
        missing = size
        try:
            self._file.seek(offset)
            while missing > 0 and (part := self._file.read(missing)):
                parts.append(part)
                missing -= len(part)
            data = b"".join(parts)
        except (OSError, ValueError, TypeError) as error:  # ValueError: closed by its owner; TypeError: opened as text
            reading = f"{self.url}: cannot read {size} bytes at byte {offset}"
            message = f"{reading} (is it open, and in binary mode?): {error}"
            raise StorageError(message, url=self.url, ranges=[(offset, size)]) from error
        if len(data) != size:
            message = f"{self.url}: {len(data)} bytes instead of {size} at byte {offset}"
            raise StorageError(message, url=self.url, ranges=[(offset, size)])
        return data
