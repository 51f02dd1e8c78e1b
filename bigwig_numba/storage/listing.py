"""The files that a directory or a pattern stands for, local or remote, and what the listing says of their versions."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..retries import RetryPolicy, retried
from .clients import FileVersion
from .connections import find_file_system, is_url, is_web_server
from .remote import RemoteReader

__all__ = ["Listed", "find_files", "list_files"]

Entries = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that was found: its path or URL, and its version if a listing told it."""

    path: str
    version: FileVersion | None = None


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
    file_system, root = find_file_system(name, storage_options)
    found = _find(name, file_system, root, extensions, crawl=crawl, policy=retry_policy or RetryPolicy())
    return [listed.path for listed in found]


def find_files(
    path: str | os.PathLike[str], reader: RemoteReader, *, extensions: Sequence[str] = (), crawl: bool = True
) -> list[Listed]:
    """As :func:`list_files`, over a reader's connections, with the versions that listings tell."""
    name = os.fspath(path)
    if not is_url(name):
        file_system, root = find_file_system(name, None)
    else:
        file_system, root = reader.file_system(name)
    return _find(name, file_system, root, extensions, crawl=crawl, policy=reader.options.retry_policy)


def _find(
    name: str, file_system: Any, root: str, extensions: Sequence[str], *, crawl: bool, policy: RetryPolicy
) -> list[Listed]:
    endings = tuple(extension.lower() for extension in extensions)
    is_local = not is_url(name)
    if is_local and os.path.isfile(name):
        return [Listed(name)]

    def find() -> Entries | None:
        file_system.invalidate_cache()
        if _is_pattern(name, http=is_web_server(file_system)) and not (is_local and os.path.exists(name)):
            return _files_that_match(file_system, root)
        if _is_directory(file_system, root, name=name, endings=endings, is_local=is_local):
            below = _files_below(file_system, root, crawl=crawl)
            return {entry: info for entry, info in below.items() if not endings or entry.lower().endswith(endings)}
        return None

    found = retried(find, name, policy=policy, doing="list it")
    if found is None:
        return [Listed(name)]
    if is_local:
        return [Listed(entry) for entry in sorted(found)]
    listed = [Listed(_url_of(entry, like=name), FileVersion.from_listing(dict(info))) for entry, info in found.items()]
    return sorted(listed, key=lambda file: file.path)


def _files_below(file_system: Any, root: str, *, crawl: bool) -> Entries:
    """All files in a directory, and with ``crawl`` below it.

    Object stores list all that begins so in pages of a thousand. Elsewhere not fsspec's ``find``, which leaves out
    directories that fail.
    """
    if crawl and _is_object_store(file_system):
        found = file_system.find(root, detail=True)
        return {entry: info for entry, info in found.items() if not entry.endswith("/")}
    files: dict[str, Mapping[str, Any]] = {}
    pending, visited = [root], {root.rstrip("/")}
    while pending:
        for entry in file_system.ls(pending.pop(), detail=True):
            path = entry["name"]
            if entry["type"] != "directory":
                files[path] = entry
            elif crawl and path.rstrip("/") not in visited:
                visited.add(path.rstrip("/"))
                pending.append(path)
    return files


def _files_that_match(file_system: Any, pattern: str) -> Entries:
    entries: dict[str, Mapping[str, Any]] = file_system.glob(pattern, detail=True)
    if not entries:
        # glob finds nothing in a directory that cannot be listed; listing it says why.
        before_wildcard = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
        file_system.ls(before_wildcard.rpartition("/")[0], detail=False)
    return {entry: info for entry, info in entries.items() if info.get("type") != "directory"}


def _is_directory(file_system: Any, root: str, *, name: str, endings: tuple[str, ...], is_local: bool) -> bool:
    if is_local:
        return os.path.isdir(os.path.expanduser(name))
    if is_web_server(file_system):  # asking would download the file to look for links in it
        return name.endswith("/")
    if endings and name.lower().endswith(endings):
        return False
    return bool(file_system.isdir(root))


def _is_object_store(file_system: Any) -> bool:
    protocol = file_system.protocol
    return bool({"s3", "gs", "abfs"} & set((protocol,) if isinstance(protocol, str) else protocol))


def _url_of(entry: str, *, like: str) -> str:
    """The full URL of an entry that a file system listed, chained as ``like`` is."""
    links = like.split("::")
    place = next(number for number, link in enumerate(links) if "://" in link)
    links[place] = entry if "://" in entry else f"{links[place].partition('://')[0]}://{entry.lstrip('/')}"
    if links[place].startswith("file://"):
        links[place] = f"file://{entry}"
    return "::".join(links)


def _is_pattern(path: str, *, http: bool) -> bool:
    return any(wildcard in path for wildcard in ("*" if http else "*?["))
