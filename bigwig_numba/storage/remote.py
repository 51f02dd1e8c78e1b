"""Remote files: ranges of many of them read in one go, every answer checked, what failed asked for again."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from ..block_cache import BlockCache
from ..errors import StaleFileError, StorageError
from ..ranges import Int64Array
from ..retries import WrongLengthError, display_url, retried_many
from .clients import FileVersion, Pending, RangeAnswer, RangeClient, RangeRequest
from .connections import Connections
from .digests import digest_of_url
from .options import RemoteOptions
from .processes import Body, RangeTable, RequestProcesses
from .sources import Source

__all__ = ["FileRange", "RemoteFile", "RemoteReader", "raise_failure"]

Answer = TypeVar("Answer")

START_SIZE = 64 * 1024  # the first request of a file: header, zoom headers, summary, chromosomes of most assemblies
SMALLEST_SHARE = 32  # ranges for which another process is worth its message
CHECK_AGAIN = 30.0  # seconds after which a file is looked at again whose client does not tell versions


class RemoteFile(Source):
    """A file that its reader can reach; its size and version are known once something was read from it.

    Parameters
    ----------
    url
        As the user gave it, perhaps with credentials in it.
    reader
        Who reads it, shared by many files.
    """

    def __init__(self, url: str, reader: RemoteReader) -> None:
        super().__init__(display_url(url), 0)
        self.full_url = url
        self.reader = reader
        self.version: FileVersion | None = None
        self.checked_at = 0.0
        self._cache_key: str | None = None

    def learn(self, version: FileVersion) -> None:
        """Take this as the version to be read from now on."""
        self.version = version
        self.size = version.size
        self.checked_at = time.monotonic()
        self._cache_key = None

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    @property
    def cache_key(self) -> str | None:
        """Digest of the file and its version, 32 hexadecimal digits; None if its version is not known."""
        if self.version is None or self.version.tag is None:
            return None
        if self._cache_key is None:
            place = digest_of_url(self.full_url, endpoint=self.reader.endpoint(self))
            text = f"{place}|{self.version.size}|{self.version.tag}"
            self._cache_key = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        return self._cache_key

    def _fetch(self, offsets: Int64Array, sizes: Int64Array) -> list[bytes]:
        ranges = [FileRange(self, offset, size) for offset, size in zip(offsets.tolist(), sizes.tolist(), strict=True)]
        outcomes = self.reader.read(ranges)
        raise_failure(ranges, outcomes)
        return cast("list[bytes]", outcomes)


class FileRange(NamedTuple):
    """``size`` bytes of a file from ``offset`` on."""

    file: RemoteFile
    offset: int
    size: int


class RemoteReader:
    """Reads ranges of many remote files at a time; every file of a collection has the same.

    Parameters
    ----------
    storage_options
        Passed to fsspec.
    options
        Limits, retries, cost model.
    block_cache
        Where blocks are kept, if they are.
    """

    def __init__(
        self,
        storage_options: dict[str, Any] | None = None,
        options: RemoteOptions | None = None,
        *,
        block_cache: BlockCache | None = None,
    ) -> None:
        self.options = options or RemoteOptions()
        self.block_cache = block_cache
        self._storage_options = storage_options
        self._processes: RequestProcesses | None = None
        self._lock = threading.Lock()
        self._reset()

    def __repr__(self) -> str:
        return f"<RemoteReader of {len(self._places)} files>"

    def close(self) -> None:
        """Finish the block cache, so that others can use what it has, and end the processes that send requests."""
        if self.block_cache is not None:
            self.block_cache.close()
        if self._processes is not None and self._process == os.getpid():
            self._processes.close()

    def open(self, url: str) -> RemoteFile:
        """A file, nothing of which is read yet."""
        return RemoteFile(url, self)

    def file_system(self, url: str) -> tuple[Any, str]:
        """The fsspec file system of a URL, and the path as that has it."""
        with self._lock:
            _, path, file_system = self._connections.client_for(url)
        return file_system, path

    def n_in_flight(self, file: RemoteFile) -> int:
        """Requests that its endpoint gets at one time, from all processes."""
        return self._place(file)[0].n_in_flight * max(1, self.options.processes)

    def endpoint(self, file: RemoteFile) -> str:
        """Where a file's URL leads, for URLs that mean different files at different endpoints."""
        file_system = self._place(file)[2]
        options = getattr(file_system, "client_kwargs", None)
        inner = options.get("endpoint_url") if isinstance(options, dict) else None
        return display_url(str(getattr(file_system, "endpoint_url", None) or inner or ""))

    def read(self, ranges: Sequence[FileRange]) -> list[bytes | Exception]:
        """Read ranges, all in flight together; each in full, or the error that remains of it.

        Files must be known: a version other than the file's own is a :class:`StaleFileError`.
        """
        return [bytes(one) if isinstance(one, memoryview) else one for one in self.read_bodies(ranges)]

    def read_bodies(self, ranges: Sequence[FileRange]) -> list[Body | Exception]:
        """As :meth:`read`; bytes that another process has read stay in the memory that is shared with it."""
        outcomes: list[Body | Exception] = [b""] * len(ranges)
        filled = [number for number, file_range in enumerate(ranges) if file_range.size]
        asked = [ranges[number] for number in filled]
        for number, answer in zip(filled, self._read_elsewhere(asked) or self._read_here(asked), strict=True):
            outcomes[number] = answer
        return outcomes

    def _read_here(self, asked: Sequence[FileRange]) -> Sequence[Body | Exception]:
        answers = self._retried(asked, lambda asked: asked.file, self._begin_get, self._checked_data, doing="read")
        self._check_again({file_range.file: None for file_range in asked}, asked, answers)
        return answers

    def _read_elsewhere(self, asked: Sequence[FileRange]) -> Sequence[Body | Exception] | None:
        """Read by other processes, as many as there is work for; None if there is none for any."""
        n_parts = min(self.options.processes, len(asked) // SMALLEST_SHARE)
        numbers = {file: number for number, file in enumerate({file_range.file: None for file_range in asked})}
        if not n_parts or not all(self._place(file)[0].in_any_process for file in numbers):
            return None
        with self._lock:
            if self._processes is None:
                self._processes = RequestProcesses(self.options.processes, self._storage_options, self.options)
        rows = [(numbers[file], offset, size) for file, offset, size in asked]
        files, offsets, sizes = np.array(rows, np.int64).T.copy()
        table = RangeTable(
            urls=[file.full_url for file in numbers], versions=[file.version for file in numbers], files=files,
            offsets=offsets, sizes=sizes, places=np.cumsum(sizes) - sizes,
        )  # fmt: skip
        return self._processes.read(table, n_parts)

    def read_starts(self, files: Sequence[RemoteFile], size: int = START_SIZE) -> list[bytes | Exception]:
        """Read the first bytes of files and learn their versions, by one request each where the client can."""
        outcomes: list[bytes | Exception] = [b""] * len(files)
        silent = [number for number, file in enumerate(files) if not self._place(file)[0].tells_versions]
        for number, outcome in zip(silent, self.learn_versions([files[number] for number in silent]), strict=True):
            if isinstance(outcome, Exception):
                outcomes[number] = outcome
        known = {number for number in silent if isinstance(outcomes[number], bytes)}
        asked = [number for number in range(len(files)) if number in known or number not in set(silent)]
        ranges = [FileRange(files[n], 0, min(size, files[n].size) if n in known else size) for n in asked]
        filled = [number for number, file_range in zip(asked, ranges, strict=True) if file_range.size]
        started = self._retried(
            [file_range for file_range in ranges if file_range.size],
            lambda file_range: file_range.file,
            self._begin_get,
            self._learned_start,
            doing="read",
        )
        for number, start in zip(filled, started, strict=True):
            outcomes[number] = start
        return outcomes

    def learn_versions(self, files: Sequence[RemoteFile]) -> list[FileVersion | Exception]:
        """Ask for the versions of files, by one small request each; what is learned is not kept for wrong ones."""

        def learned(file: RemoteFile, version: FileVersion) -> FileVersion:
            file.learn(version)
            return version

        return self._retried(files, lambda file: file, self._begin_versions, learned, doing="learn its size")

    def _retried(
        self,
        things: Sequence[Any],
        file_of: Callable[[Any], RemoteFile],
        begin: Callable[[RangeClient, Sequence[Any]], Pending[Any]],
        check: Callable[[Any, Any], Answer],
        *,
        doing: str,
    ) -> list[Answer | Exception]:
        """Ask for all things, grouped by client and all in flight; again for those whose failure may pass."""

        def ask(numbers: Sequence[int]) -> list[Any]:
            groups: dict[RangeClient, list[int]] = {}
            for number in numbers:
                groups.setdefault(self._place(file_of(things[number]))[0], []).append(number)
            begun = [(members, begin(client, [things[n] for n in members])) for client, members in groups.items()]
            outcomes: dict[int, Any] = {}
            try:
                for members, pending in begun:
                    for number, outcome in zip(members, pending.wait(), strict=True):
                        outcomes[number] = _checked(check, things[number], outcome)
            except BaseException:  # Ctrl-C: nothing is to go on in the background
                for _, pending in begun:
                    pending.cancel()
                raise
            return [outcomes[number] for number in numbers]

        names = [file_of(thing).full_url for thing in things]
        return retried_many(ask, names, policy=self.options.retry_policy, doing=doing)

    def _begin_get(self, client: RangeClient, ranges: Sequence[FileRange]) -> Pending[RangeAnswer]:
        return client.get([RangeRequest(self._place(file)[1], offset, size) for file, offset, size in ranges])

    def _begin_versions(self, client: RangeClient, files: Sequence[RemoteFile]) -> Pending[FileVersion]:
        return client.ask_versions([self._place(file)[1] for file in files])

    def _checked_data(self, file_range: FileRange, answer: RangeAnswer) -> bytes:
        file, offset, size = file_range
        if answer.version is not None:
            _require_same(file, answer.version)
            file.checked_at = time.monotonic()
        if len(answer.data) != size:
            raise WrongLengthError(f"{len(answer.data)} bytes instead of {size} at byte {offset}")
        return answer.data

    def _learned_start(self, file_range: FileRange, answer: RangeAnswer) -> bytes:
        file, _, size = file_range
        version = answer.version or cast(FileVersion, file.version)
        if len(answer.data) != min(size, version.size):
            raise WrongLengthError(f"{len(answer.data)} bytes instead of {min(size, version.size)} at byte 0")
        file.learn(version)
        return answer.data

    def _check_again(
        self, files: Iterable[RemoteFile], ranges: Sequence[FileRange], outcomes: list[bytes | Exception]
    ) -> None:
        """Look again at files whose answers did not tell their version; data of one that changed become its error."""
        due = time.monotonic() - CHECK_AGAIN
        silent = [file for file in files if file.checked_at <= due and not self._place(file)[0].tells_versions]
        if not silent:
            return
        before = {file: cast(FileVersion, file.version) for file in silent}
        changed: dict[RemoteFile, Exception] = {}
        for file, now in zip(silent, self.learn_versions(silent), strict=True):
            if isinstance(now, Exception):
                changed[file] = now
            elif before[file].differs_from(now):
                file.learn(before[file])
                file.checked_at = 0.0
                changed[file] = stale_file(file)
        for number, file_range in enumerate(ranges):
            outcomes[number] = changed.get(file_range.file, outcomes[number])

    def _place(self, file: RemoteFile) -> tuple[RangeClient, str, Any]:
        """Client, path and file system of a file; connections do not survive a fork, nor do threads behind them."""
        if self._process != os.getpid():
            self._reset()
        place = self._places.get(file.full_url)
        if place is None:
            with self._lock:
                place = self._places[file.full_url] = self._connections.client_for(file.full_url)
        return place

    def _reset(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._connections = Connections(self._storage_options, self.options)
        self._places: dict[str, tuple[RangeClient, str, Any]] = {}
        self._processes = None


def raise_failure(ranges: Sequence[FileRange], outcomes: Sequence[bytes | Exception]) -> None:
    """Raise what became of the first range that failed, if any did, with all ranges of that file that failed."""
    failed = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, Exception)]
    if not failed:
        return
    file = ranges[failed[0]].file
    error = cast(Exception, outcomes[failed[0]])
    if isinstance(error, StorageError):
        error.ranges = tuple((ranges[n].offset, ranges[n].size) for n in failed if ranges[n].file is file)
    raise error


def stale_file(file: RemoteFile) -> StaleFileError:
    """The error for a file that is not the one that was opened."""
    message = f"{file.url} has changed since it was opened; open it again to read the new version"
    return StaleFileError(message, url=file.url)


def _require_same(file: RemoteFile, version: FileVersion) -> None:
    if file.version is not None and file.version.differs_from(version):
        raise stale_file(file)


def _checked(check: Callable[[Any, Any], Answer], thing: Any, outcome: Any) -> Answer | BaseException:
    if isinstance(outcome, BaseException):
        return outcome
    try:
        return check(thing, outcome)
    except (WrongLengthError, StorageError) as error:
        return error
