"""Byte ranges from anywhere: local files (memory-mapped), whatever fsspec opens, open file objects.

Nothing here knows about bigWig. A :class:`ByteSource` answers "these bytes of this file, please", for many ranges at
once; it merges ranges that lie close together, checks the length of every answer and tries again where that may help.
"""

from __future__ import annotations

import os
import re
import stat
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import IO, Any, Protocol, cast

import fsspec
import numpy as np
import numpy.typing as npt
from fsspec.asyn import AsyncFileSystem
from fsspec.core import url_to_fs

from .errors import ConfigError, StorageError
from .ranges import CoalescedRanges, Int64Array, Integers, coalesce_ranges
from .retries import RefusedError, RetryPolicy, WrongLengthError, display_url, may_pass, retried

__all__ = [
    "ByteSource",
    "CoalescedRanges",
    "FileObject",
    "FsspecFile",
    "MappedFile",
    "PathOrFile",
    "RetryPolicy",
    "coalesce_ranges",
    "display_url",
    "list_files",
    "open_source",
]

PathOrFile = str | os.PathLike[str] | IO[bytes]

# s3fs is slower with its default of 128 requests at a time.
CONCURRENT_REQUESTS = 16


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


class _Source(ABC):
    """What every source does the same way: check ranges, merge them, cut the answers."""

    def __init__(self, url: str, size: int) -> None:
        self.url = url
        self.size = size
        self.memory: npt.NDArray[np.uint8] | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}, {self.size} bytes{', closed' if self._closed else ''}>"

    def read(self, offset: int, size: int) -> bytes:
        return self.read_ranges([offset], [size])[0]

    def read_up_to(self, offset: int, size: int) -> bytes:
        start = min(offset, self.size)
        return self.read(start, min(size, self.size - start))

    def read_ranges(self, offsets: Integers, sizes: Integers) -> list[bytes]:
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


class MappedFile(_Source):
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
        mapped = np.memmap(path, np.uint8, mode="r", shape=(self.size,)) if self.size else np.empty(0, np.uint8)
        self.memory = mapped.view(np.ndarray)

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


class FileObject(_Source):
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


class FsspecFile(_Source):
    """A file of any file system that fsspec knows.

    Parameters
    ----------
    path
        URL, chained or not.
    storage_options
        Passed to fsspec.
    retry_policy
        What to do when reads fail.
    """

    def __init__(
        self, path: str, *, storage_options: dict[str, Any] | None = None, retry_policy: RetryPolicy | None = None
    ) -> None:
        self._url_with_secrets = path
        self._storage_options = storage_options or {}
        self._retry_policy = retry_policy or RetryPolicy()
        url = display_url(path)
        self._connect()
        super().__init__(url, retried(self._ask_size, path, policy=self._retry_policy, doing="learn its size"))

    def _connect(self) -> None:
        self._file_system, self._path = url_to_fs(self._url_with_secrets, **self._storage_options)
        self._process = os.getpid()

    def _ask_size(self) -> int:
        info = self._file_system.info(self._path)
        size = info.get("size")
        if info.get("type") == "directory":
            raise RefusedError("it is a directory; a file was expected")
        if size is None:
            raise RefusedError("the server does not say how large it is")
        if _is_http(self._file_system) and size > 1:
            self._require_byte_ranges(int(size))
        return int(size)

    def _require_byte_ranges(self, size: int) -> None:
        """Ask an HTTP server for the last byte: one that ignores byte ranges would send the whole file each time."""
        with self._file_system.open(self._path, "rb", size=size, cache_type="none") as file:
            file.seek(size - 1)
            try:
                file.read(1)
            except ValueError as error:
                raise RefusedError(
                    "the server does not support byte ranges; download the file, or read it through simplecache::"
                ) from error

    def _fetch(self, offsets: Int64Array, sizes: Int64Array) -> list[bytes]:
        if self._process != os.getpid():  # the connections and the thread behind them stayed in the parent process
            self._connect()
        answers: list[bytes | None] = [None] * len(offsets)
        options: dict[str, Any] = {}
        if isinstance(self._file_system, AsyncFileSystem):
            options["batch_size"] = self._file_system.batch_size or CONCURRENT_REQUESTS

        def ask_for_missing() -> None:
            missing = [number for number, answer in enumerate(answers) if answer is None]
            starts = offsets[missing]
            stops = starts + sizes[missing]
            paths = [self._path] * len(missing)
            got = self._file_system.cat_ranges(paths, starts.tolist(), stops.tolist(), on_error="return", **options)
            failures: list[BaseException] = []
            for number, answer in zip(missing, got, strict=True):
                if isinstance(answer, BaseException):
                    failures.append(answer)
                elif len(answer) != sizes[number]:
                    expected = f"instead of {sizes[number]} at byte {offsets[number]}"
                    failures.append(WrongLengthError(f"{len(answer)} bytes {expected}"))
                else:
                    answers[number] = bytes(answer)
            if failures:
                # One that cannot be cured by trying again decides.
                raise min(failures, key=may_pass)

        try:
            retried(ask_for_missing, self._url_with_secrets, policy=self._retry_policy, doing="read")
        except StorageError as error:
            error.ranges = tuple(
                (int(offsets[number]), int(sizes[number])) for number, answer in enumerate(answers) if answer is None
            )
            raise
        return cast("list[bytes]", answers)


def open_source(
    path: PathOrFile, *, storage_options: dict[str, Any] | None = None, retry_policy: RetryPolicy | None = None
) -> ByteSource:
    """Open a file for reading byte ranges.

    Parameters
    ----------
    path
        A local path, a URL that fsspec opens (``s3://``, ``https://``, ``memory://``, chained
        ``simplecache::s3://...``), or an open binary file object.
    storage_options
        Passed to fsspec, as for :func:`fsspec.open`.
    retry_policy
        For remote files; four tries by default.

    Raises
    ------
    FileNotFoundError, PermissionError
        As they are.
    StorageError
        If the file cannot be read for any other reason.
    ConfigError
        If ``path`` is nothing that can be opened.
    """
    if not isinstance(path, str | os.PathLike):
        if not (hasattr(path, "seek") and hasattr(path, "read")):
            message = f"path must be a path, a URL or an open file with seek and read, not {type(path).__name__}"
            raise ConfigError(message, argument="path", value=path)
        return FileObject(path)
    name = os.fspath(path)
    if not _is_url(name):
        return MappedFile(os.path.expanduser(name))
    file_system, _ = _file_system(name, storage_options)
    if getattr(file_system, "local_file", False):  # file://, or a cache that keeps a copy of the whole file
        policy = retry_policy or RetryPolicy()
        local = retried(
            lambda: fsspec.open_local(name, **(storage_options or {})), name, policy=policy, doing="make a local copy"
        )
        return MappedFile(cast(str, local), url=display_url(name))
    return FsspecFile(name, storage_options=storage_options, retry_policy=retry_policy)


def list_files(
    path: str | os.PathLike[str],
    *,
    extensions: Sequence[str] = (),
    crawl: bool = True,
    storage_options: dict[str, Any] | None = None,
    retry_policy: RetryPolicy | None = None,
) -> list[str]:
    """The files that a directory, a glob or a single path stands for.

    Parameters
    ----------
    path
        A directory, local or remote; a pattern with ``*``, ``?`` or ``[...]``; or one file, which is not looked at.
        HTTP directories must end with a slash, and ``?`` is no wildcard there.
    extensions
        Ends of file names, in any case, that count in a directory; all files by default. A pattern is taken as it is.
    crawl
        Whether to look into subdirectories, in depth.
    storage_options, retry_policy
        As for :func:`open_source`.

    Returns
    -------
    list of str
        Sorted; empty if nothing matches.

    Raises
    ------
    FileNotFoundError, PermissionError, StorageError, ConfigError
        As for :func:`open_source`.
    """
    name = os.fspath(path)
    endings = tuple(extension.lower() for extension in extensions)
    is_local = not _is_url(name)
    if is_local and os.path.isfile(name):
        return [name]
    file_system, root = _file_system(name, storage_options)

    def find() -> list[str]:
        if _is_pattern(name, http=_is_http(file_system)) and not (is_local and os.path.exists(name)):
            return _files_that_match(file_system, root)
        if _is_directory(file_system, root, name=name, endings=endings, is_local=is_local):
            below = _files_below(file_system, root, crawl=crawl)
            return [entry for entry in below if not endings or entry.lower().endswith(endings)]
        return [name]

    found = retried(find, name, policy=retry_policy or RetryPolicy(), doing="list it")
    if is_local or found == [name]:
        return sorted(found)
    return sorted(_url_of(entry, like=name) for entry in found)


def _files_below(file_system: Any, root: str, *, crawl: bool) -> list[str]:
    """All files in a directory, and with ``crawl`` below it. Not fsspec's ``find``, which leaves out what fails."""
    found: list[str] = []
    pending, visited = [root], {root.rstrip("/")}
    while pending:
        for entry in file_system.ls(pending.pop(), detail=True):
            path = entry["name"]
            if entry["type"] != "directory":
                found.append(path)
            elif crawl and path.rstrip("/") not in visited:
                visited.add(path.rstrip("/"))
                pending.append(path)
    return found


def _files_that_match(file_system: Any, pattern: str) -> list[str]:
    entries = file_system.glob(pattern, detail=True)
    if not entries:
        # glob finds nothing in a directory that cannot be listed; listing it says why.
        before_wildcard = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
        file_system.ls(before_wildcard.rpartition("/")[0], detail=False)
    return [entry for entry, info in entries.items() if info.get("type") != "directory"]


def _is_directory(file_system: Any, root: str, *, name: str, endings: tuple[str, ...], is_local: bool) -> bool:
    if is_local:
        return os.path.isdir(os.path.expanduser(name))
    if _is_http(file_system):  # asking would download the file to look for links in it
        return name.endswith("/")
    if endings and name.lower().endswith(endings):
        return False
    return bool(file_system.isdir(root))


def _url_of(entry: str, *, like: str) -> str:
    """The full URL of an entry that a file system listed, chained as ``like`` is."""
    links = like.split("::")
    place = next(number for number, link in enumerate(links) if "://" in link)
    links[place] = entry if "://" in entry else f"{links[place].partition('://')[0]}://{entry.lstrip('/')}"
    if links[place].startswith("file://"):
        links[place] = f"file://{entry}"
    return "::".join(links)


def _file_system(path: str, storage_options: dict[str, Any] | None) -> tuple[Any, str]:
    try:
        return cast("tuple[Any, str]", url_to_fs(path, **(storage_options or {})))
    except ValueError as error:
        message = f"{display_url(path)} cannot be opened: {error}"
        raise ConfigError(message, argument="path", value=display_url(path)) from None


def _is_url(path: str) -> bool:
    return "://" in path or "::" in path


def _is_http(file_system: Any) -> bool:
    protocol = file_system.protocol
    return "http" in ((protocol,) if isinstance(protocol, str) else protocol)


def _is_pattern(path: str, *, http: bool) -> bool:
    return any(wildcard in path for wildcard in ("*" if http else "*?["))
