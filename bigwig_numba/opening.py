"""Find BigWig files, open them and read their indexes, many at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from tqdm.auto import tqdm

from .errors import ConfigError
from .index import FileIndex, read_file_index
from .storage import ByteSource, list_files, open_source

__all__ = ["PathLike", "find_paths", "open_files"]

PathLike = str | os.PathLike[str]

MAX_CONCURRENT_OPENS = 16  # files whose index is read at one time
MANY_FILES = 32  # from here on a progress bar is worth its line


def find_paths(
    bigwig_path: PathLike | Iterable[PathLike],
    file_extensions: Sequence[str],
    *,
    crawl: bool,
    storage_options: dict[str, Any] | None,
) -> list[str]:
    """The files that a path, a directory, a glob, or a list of them stands for; at least one."""
    places = [bigwig_path] if isinstance(bigwig_path, str | os.PathLike) else bigwig_path
    extensions = (file_extensions,) if isinstance(file_extensions, str) else tuple(file_extensions)
    try:
        places = [os.fspath(place) for place in places]
    except TypeError as error:
        message = f"bigwig_path must be a path or a list of paths ({error})"
        raise ConfigError(message, argument="bigwig_path", value=bigwig_path) from None
    paths = [
        path
        for place in places
        for path in list_files(place, extensions=extensions, crawl=crawl, storage_options=storage_options)
    ]
    if not paths:
        message = f"No BigWig file found in {bigwig_path!r}; in directories, names that end in {extensions} count"
        raise ConfigError(message, argument="bigwig_path", value=bigwig_path)
    return paths


def open_files(
    paths: Sequence[str], storage_options: dict[str, Any] | None
) -> tuple[list[ByteSource], list[FileIndex]]:
    """Open files and read their indexes, many at a time; if one fails, all are closed again."""
    with ThreadPoolExecutor(min(len(paths), MAX_CONCURRENT_OPENS)) as executor:
        futures = [executor.submit(_open_file, path, storage_options) for path in paths]
        hidden = None if len(paths) >= MANY_FILES else True  # None: shown on a terminal only
        try:
            opened = [future.result() for future in tqdm(futures, desc="Opening BigWig files", disable=hidden)]
        except BaseException:
            executor.shutdown(cancel_futures=True)
            _close_all(futures)
            raise
    return [source for source, _ in opened], [index for _, index in opened]


def _open_file(path: str, storage_options: dict[str, Any] | None) -> tuple[ByteSource, FileIndex]:
    source = open_source(path, storage_options=storage_options)
    try:
        return source, read_file_index(source)
    except BaseException:
        source.close()
        raise


def _close_all(futures: Iterable[Future[tuple[ByteSource, FileIndex]]]) -> None:
    for future in futures:
        if not future.cancelled() and future.exception() is None:
            future.result()[0].close()
