"""Clients that read byte ranges of many files at a time: the interface, and two that speak to any fsspec file system.

A client answers a whole list of requests at once and hands failures back in the list, never as data: what to do about
them is decided above. Asynchronous clients keep a number of requests in flight on fsspec's own event loop, without a
thread each.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fsspec.implementations.cached import CachingFileSystem

from ..retries import RefusedError

__all__ = ["AsyncClient", "FileVersion", "FsspecClient", "Pending", "RangeAnswer", "RangeClient", "RangeRequest"]

Thing = TypeVar("Thing")
Answer = TypeVar("Answer")

# A client of another package tells nothing while bytes arrive, so a request gets this many times the time-out in all.
WHOLE_REQUEST = 10
# What file systems call the tag of a file's content, best first.
TAG_KEYS = (
    "ETag",
    "etag",
    "generation",
    "md5Hash",
    "Last-Modified",
    "LastModified",
    "last_modified",
    "mtime",
    "created",
)


@dataclass(frozen=True, slots=True)
class FileVersion:
    """What tells one version of a file from the next.

    Attributes
    ----------
    size
        Bytes.
    tag
        ETag or time of modification, as the server writes it; None if it tells neither.
    """

    size: int
    tag: str | None = None

    def differs_from(self, other: FileVersion) -> bool:
        """Whether the two cannot be the same content."""
        return self.size != other.size or (None not in (self.tag, other.tag) and self.tag != other.tag)

    @classmethod
    def from_listing(cls, info: dict[str, Any]) -> FileVersion | None:
        """The version of a file as fsspec's ``info`` and ``ls`` tell it; None if they do not tell the size."""
        size = info.get("size")
        tag = next((str(info[key]) for key in TAG_KEYS if info.get(key)), None)
        return None if size is None else cls(int(size), tag)


@dataclass(frozen=True, slots=True)
class RangeRequest:
    """Bytes of a file: its path as the client's file system has it, the first byte, and how many."""

    path: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class RangeAnswer:
    """What a server answered: bytes, fewer than asked for at the file's end, and the version if the answer told it."""

    data: bytes
    version: FileVersion | None = None


class Pending(Generic[Answer]):
    """Answers that are on their way."""

    def __init__(self, wait: Callable[[], list[Answer | BaseException]], cancel: Callable[[], object]) -> None:
        self.wait = wait
        self.cancel = cancel


class RangeClient(ABC):
    """Reads from one endpoint.

    Attributes
    ----------
    tells_versions
        Whether an answer tells the file's version, so that no other request has to ask for it.
    n_in_flight
        Requests that run at one time.
    in_any_process
        Whether another process, with the same options, reaches the same files. Not those in memory.
    """

    tells_versions = False
    in_any_process = False
    n_in_flight = 1

    @abstractmethod
    def get(self, requests: Sequence[RangeRequest]) -> Pending[RangeAnswer]:
        """Begin to read; the answers come in order, an exception for what failed."""

    @abstractmethod
    def ask_versions(self, paths: Sequence[str]) -> Pending[FileVersion]:
        """Begin to ask for versions, by one request a file."""


class FsspecClient(RangeClient):
    """Any file system of fsspec that is not asynchronous: one range after the other, when waited for."""

    def __init__(self, file_system: Any) -> None:
        self._file_system = file_system

    def get(self, requests: Sequence[RangeRequest]) -> Pending[RangeAnswer]:
        """Read when waited for."""

        def read() -> list[RangeAnswer | BaseException]:
            answers = self._file_system.cat_ranges(
                [request.path for request in requests],
                [request.offset for request in requests],
                [request.offset + request.size for request in requests],
                on_error="return",
            )
            return [answer if isinstance(answer, BaseException) else RangeAnswer(_bytes(answer)) for answer in answers]

        return Pending(read, lambda: None)

    def ask_versions(self, paths: Sequence[str]) -> Pending[FileVersion]:
        """Ask when waited for."""
        # A cache in front of a file system looks for files in listings of their directories, which HTTP has not.
        is_cache = isinstance(self._file_system, CachingFileSystem)
        file_system = self._file_system.fs if is_cache else self._file_system

        def ask(path: str) -> FileVersion | BaseException:
            try:
                file_system.invalidate_cache(path)
                return version_of_file(file_system.info(path))
            except Exception as error:  # noqa: BLE001 - file systems raise anything; it is told above
                return error

        return Pending(lambda: [ask(path) for path in paths], lambda: None)


class AsyncClient(RangeClient):
    """An asynchronous file system of fsspec; subclasses for those whose answers tell more.

    Parameters
    ----------
    file_system
        It gives the event loop, the credentials and the session.
    n_in_flight
        Requests at one time, whoever asks.
    timeout
        Seconds without a byte after which a request has failed.
    """

    in_any_process = True

    def __init__(self, file_system: Any, *, n_in_flight: int, timeout: float) -> None:
        self._file_system = file_system
        self._timeout = timeout
        self.n_in_flight = n_in_flight
        self._limit = asyncio.Semaphore(n_in_flight)

    def get(self, requests: Sequence[RangeRequest]) -> Pending[RangeAnswer]:
        """Begin to read, all in flight as far as the limit goes."""
        return self._begin(self.get_one, requests)

    def ask_versions(self, paths: Sequence[str]) -> Pending[FileVersion]:
        """Begin to ask, all in flight as far as the limit goes."""
        return self._begin(self.ask_version, paths)

    async def get_one(self, request: RangeRequest) -> RangeAnswer:
        """One range."""
        async with asyncio.timeout(WHOLE_REQUEST * self._timeout):
            data = await self._file_system._cat_file(
                request.path, start=request.offset, end=request.offset + request.size
            )
        return RangeAnswer(_bytes(data))

    async def ask_version(self, path: str) -> FileVersion:
        """One file's version."""
        if self.tells_versions:
            answer = await self.get_one(RangeRequest(path, 0, 1))
            if answer.version is None:
                raise RefusedError("the server does not say how large it is")
            return answer.version
        self._file_system.invalidate_cache(path)
        async with asyncio.timeout(self._timeout):
            return version_of_file(await self._file_system._info(path))

    def _begin(self, ask: Callable[[Thing], Awaitable[Answer]], things: Sequence[Thing]) -> Pending[Answer]:
        future: Future[list[Answer | BaseException]] = asyncio.run_coroutine_threadsafe(
            self._ask_all(ask, things), self._file_system.loop
        )
        return Pending(future.result, future.cancel)

    async def _ask_all(
        self, ask: Callable[[Thing], Awaitable[Answer]], things: Sequence[Thing]
    ) -> list[Answer | BaseException]:
        outcomes: list[Any] = [None] * len(things)
        numbered = iter(enumerate(things))

        async def work() -> None:
            for number, thing in numbered:
                async with self._limit:
                    try:
                        outcomes[number] = await ask(thing)
                    except Exception as error:  # noqa: BLE001 - file systems raise anything; it is told above
                        outcomes[number] = error

        await asyncio.gather(*(work() for _ in range(min(len(things), self.n_in_flight))))
        return outcomes


def version_of_file(info: dict[str, Any]) -> FileVersion:
    """The version that ``info`` tells, of a file whose size is known."""
    if info.get("type") == "directory":
        raise RefusedError("it is a directory; a file was expected")
    version = FileVersion.from_listing(info)
    if version is None:
        raise RefusedError("the server does not say how large it is")
    return version


def _bytes(data: Any) -> bytes:
    return data if isinstance(data, bytes) else bytes(data)
