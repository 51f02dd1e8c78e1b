"""Find BigWig files, open them and read their indexes, many at a time.

Remote files are read in rounds, each of which has requests to many files in flight together: their starts, then their
indexes, then what is still missing. Where the index of a file is known, one small request asks whether it changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from .errors import BigWigError, ConfigError, StaleFileError
from .index import FileIndex, read_file_index
from .index_cache import IndexCache, KnownFile
from .ranges import Integers, coalesce_ranges
from .storage import (
    ByteSource,
    FileRange,
    FileVersion,
    Listed,
    PathOrFile,
    RemoteFile,
    RemoteReader,
    find_files,
    open_unread,
)

__all__ = ["Opened", "PathLike", "find_listed", "find_paths", "open_file", "open_files"]

PathLike = str | os.PathLike[str]

MAX_CONCURRENT_OPENS = 16  # local files whose index is read at one time
MANY_FILES = 32  # from here on a progress bar is worth its line
GROUP_SIZE = 64  # remote files that go through the rounds together
CONCURRENT_GROUPS = 4  # while one is parsed, the others have their requests in flight
MOST_ROUNDS = 200  # an index has at most 64 levels, each read twice
OPENING_ERRORS = (BigWigError, OSError)
"""What can be the matter with a file: all else is a mistake in a program."""


@dataclass(slots=True)
class Opened:
    """Files and their indexes, in the order of their paths; what could not be opened has an error instead."""

    sources: dict[int, ByteSource] = field(default_factory=dict)
    indexes: dict[int, FileIndex] = field(default_factory=dict)
    errors: dict[int, Exception] = field(default_factory=dict)

    def close(self) -> None:
        """Close all files."""
        for source in self.sources.values():
            source.close()


def find_paths(
    bigwig_path: PathLike | Iterable[PathLike],
    file_extensions: Sequence[str],
    *,
    crawl: bool,
    storage_options: dict[str, Any] | None,
) -> list[str]:
    """The files that a path, a directory, a glob, or a list of them stands for; at least one."""
    found = find_listed(bigwig_path, file_extensions, RemoteReader(storage_options), crawl=crawl)
    return [listed.path for listed in found]


def find_listed(
    bigwig_path: PathLike | Iterable[PathLike], file_extensions: Sequence[str], reader: RemoteReader, *, crawl: bool
) -> list[Listed]:
    """As :func:`find_paths`, with the versions of files that a listing told."""
    places = [bigwig_path] if isinstance(bigwig_path, str | os.PathLike) else bigwig_path
    extensions = (file_extensions,) if isinstance(file_extensions, str) else tuple(file_extensions)
    try:
        places = [os.fspath(place) for place in places]
    except TypeError as error:
        message = f"bigwig_path must be a path or a list of paths ({error})"
        raise ConfigError(message, argument="bigwig_path", value=bigwig_path) from None
    found = [file for place in places for file in find_files(place, reader, extensions=extensions, crawl=crawl)]
    if not found:
        message = f"No BigWig file found in {bigwig_path!r}; in directories, names that end in {extensions} count"
        raise ConfigError(message, argument="bigwig_path", value=bigwig_path)
    return found


def open_files(
    paths: Sequence[str],
    reader: RemoteReader,
    *,
    storage_options: dict[str, Any] | None = None,
    versions: Mapping[str, FileVersion] | None = None,
    on_error: str = "raise",
) -> Opened:
    """Open files and read their indexes, many at a time.

    Parameters
    ----------
    paths
        Local paths and URLs.
    reader
        Reads the remote ones.
    storage_options
        Passed to fsspec.
    versions
        Of remote files, as far as a listing told them.
    on_error
        ``"raise"`` for the first file that cannot be opened, after closing all; ``"mask"`` to go on without it.
    """
    opened = Opened()
    try:
        hidden = None if len(paths) >= MANY_FILES else True  # None: shown on a terminal only
        with tqdm(total=len(paths), desc="Opening BigWig files", disable=hidden) as bar:
            _open_all(paths, reader, storage_options, versions or {}, opened, bar, stop=on_error == "raise")
    except BaseException:
        opened.close()
        raise
    if opened.errors and (on_error == "raise" or len(opened.errors) == len(paths)):
        opened.close()
        raise opened.errors[min(opened.errors)]
    return opened


def open_file(
    path: PathOrFile, reader: RemoteReader, *, storage_options: dict[str, Any] | None = None
) -> tuple[ByteSource, FileIndex]:
    """Open one file, or file object, and read its index."""
    if isinstance(path, str | os.PathLike):
        opened = open_files([os.fspath(path)], reader, storage_options=storage_options)
        return opened.sources[0], opened.indexes[0]
    source: ByteSource = open_unread(path, reader, storage_options=storage_options)
    return source, read_file_index(source)


def _open_all(
    paths: Sequence[str],
    reader: RemoteReader,
    storage_options: dict[str, Any] | None,
    versions: Mapping[str, FileVersion],
    opened: Opened,
    bar: Any,
    *,
    stop: bool,
) -> None:
    remote: dict[int, RemoteFile] = {}

    def open_one(number: int) -> None:
        try:
            source = open_unread(paths[number], reader, storage_options=storage_options)
            if isinstance(source, RemoteFile):
                remote[number] = source
                return
            opened.sources[number] = source
            opened.indexes[number] = read_file_index(source)
        except OPENING_ERRORS as error:
            opened.errors[number] = error
        bar.update()

    with ThreadPoolExecutor(max(1, min(len(paths), MAX_CONCURRENT_OPENS))) as executor:
        for _ in executor.map(open_one, range(len(paths))):
            if stop and opened.errors:
                executor.shutdown(cancel_futures=True)
                return
    opened.sources.update(remote)
    numbers = sorted(remote)

    def read_group(begin: int) -> None:
        if stop and opened.errors:
            return
        group = {number: remote[number] for number in numbers[begin : begin + GROUP_SIZE]}
        told = {number: versions[paths[number]] for number in group if paths[number] in versions}
        _RemoteIndexes(reader, group, opened, bar).read(told)

    with ThreadPoolExecutor(CONCURRENT_GROUPS) as executor:
        for _ in executor.map(read_group, range(0, len(numbers), GROUP_SIZE)):
            pass


class _RemoteIndexes:
    """Reads the indexes of some remote files in rounds."""

    def __init__(self, reader: RemoteReader, files: dict[int, RemoteFile], opened: Opened, bar: Any) -> None:
        self._reader = reader
        self._files = files
        self._opened = opened
        self._bar = bar
        self._cache = IndexCache() if reader.options.keep_indexes else None
        self._endpoints = {number: reader.endpoint(file) for number, file in files.items()}

    def read(self, versions: Mapping[int, FileVersion]) -> None:
        """Read all; ``versions`` are those that a listing told."""
        unknown = self._take_known(versions)
        for last_try in (False, True):
            changed = self._read_unknown(unknown, last_try=last_try)
            if not changed:
                return
            unknown = changed  # a file changed between its start and its index: from the start again

    def _take_known(self, versions: Mapping[int, FileVersion]) -> list[int]:
        """Files whose index is known are done if they did not change; the numbers of the others."""
        if self._cache is None:
            return list(self._files)
        known = {
            number: found
            for number, file in self._files.items()
            if (found := self._cache.find(file.full_url, endpoint=self._endpoints[number])) is not None
        }
        for number in known.keys() & versions.keys():
            self._files[number].learn(versions[number])
        to_ask = [number for number in known if number not in versions]
        answers = self._reader.learn_versions([self._files[number] for number in to_ask])
        for number, answer in zip(to_ask, answers, strict=True):
            if isinstance(answer, Exception):
                self._fail(number, answer)
        for number, found in known.items():
            version = self._files[number].version
            if version is not None and version.tag is not None and version == found.version:
                self._finish(number, found.index)
        return [n for n in self._files if n not in self._opened.indexes and n not in self._opened.errors]

    def _read_unknown(self, numbers: Sequence[int], *, last_try: bool) -> list[int]:
        """Read indexes from the files; the numbers of files that changed meanwhile."""
        starts = self._reader.read_starts([self._files[number] for number in numbers])
        held: dict[int, _HeldRanges] = {}
        changed: list[int] = []
        for number, start in zip(numbers, starts, strict=True):
            if isinstance(start, Exception):
                self._fail(number, start)
            else:
                held[number] = _HeldRanges(self._files[number].url, self._files[number].size)
                held[number].add(0, start)
        for _ in range(MOST_ROUNDS):
            wanted = [
                FileRange(self._files[n], *piece) for n, source in held.items() for piece in self._parse(n, source)
            ]
            held = {number: source for number, source in held.items() if source.missing}
            if not wanted:
                break
            owners = [number for number, source in held.items() for _ in source.missing]
            for number, piece, data in zip(owners, wanted, self._reader.read(wanted), strict=True):
                if isinstance(data, StaleFileError) and not last_try:
                    changed += [number] if number not in changed else []
                elif isinstance(data, Exception):
                    self._fail(number, data)
                else:
                    held[number].add(piece.offset, data)
            held = {n: source for n, source in held.items() if n not in changed and n not in self._opened.errors}
        return changed

    def _parse(self, number: int, source: _HeldRanges) -> list[tuple[int, int]]:
        """Read the index from what is there: it is finished, or tells which ranges are missing."""
        source.missing = []
        try:
            index = read_file_index(source)
        except _MissingRanges as missing:
            source.missing = missing.ranges
        except BigWigError as error:
            self._fail(number, error)
        else:
            file = self._files[number]
            if self._cache is not None and file.version is not None:
                self._cache.keep(file.full_url, KnownFile(file.version, index), endpoint=self._endpoints[number])
            self._finish(number, index)
        return source.missing

    def _finish(self, number: int, index: FileIndex) -> None:
        self._opened.indexes[number] = index
        self._bar.update()

    def _fail(self, number: int, error: Exception) -> None:
        if number not in self._opened.errors:
            self._opened.errors[number] = error
            self._bar.update()


class _MissingRanges(Exception):
    """Reading an index needs ranges that were not fetched yet."""

    def __init__(self, ranges: list[tuple[int, int]]) -> None:
        super().__init__()
        self.ranges = ranges


class _HeldRanges:
    """A file of which some ranges are in memory: a source that asks for the others by an exception.

    So an index is read by the same code from every source; what was parsed before is parsed again, at most a few
    times, which is cheap beside a request.
    """

    def __init__(self, url: str, size: int) -> None:
        self.url = url
        self.size = size
        self.memory: npt.NDArray[np.uint8] | None = None
        self.missing: list[tuple[int, int]] = []
        self._pieces: list[tuple[int, bytes]] = []

    def add(self, offset: int, data: bytes) -> None:
        """Hold a range."""
        self._pieces.append((offset, data))

    def read(self, offset: int, size: int) -> bytes:
        """A range that is held."""
        return self.read_ranges([offset], [size])[0]

    def read_up_to(self, offset: int, size: int) -> bytes:
        """A range that is held, or ends with the file."""
        start = min(offset, self.size)
        return self.read(start, min(size, self.size - start))

    def read_ranges(self, offsets: Integers, sizes: Integers) -> list[bytes]:
        """Ranges that are held."""
        wanted = [(int(offset), int(size)) for offset, size in zip(offsets, sizes, strict=True)]
        found = [self._held(offset, size) for offset, size in wanted]
        if any(data is None for data in found):
            raise _MissingRanges(_merged([wanted[n] for n, data in enumerate(found) if data is None]))
        return [data for data in found if data is not None]

    def close(self) -> None:
        """Nothing is open."""

    def _held(self, offset: int, size: int) -> bytes | None:
        for start, piece in self._pieces:
            if start <= offset and offset + size <= start + len(piece):
                return piece[offset - start : offset - start + size]
        return b"" if size == 0 else None


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges as few requests."""
    requests = coalesce_ranges([offset for offset, _ in ranges], [size for _, size in ranges])
    return list(zip(requests.offsets.tolist(), requests.sizes.tolist(), strict=True))
