"""From a path, URL or file object to a source of bytes."""

from __future__ import annotations

import dataclasses
import os
from typing import IO, Any, cast

import fsspec

from ..errors import ConfigError
from ..retries import RetryPolicy, display_url, retried
from .connections import find_file_system, is_url
from .options import RemoteOptions
from .remote import RemoteFile, RemoteReader
from .sources import ByteSource, FileObject, MappedFile

__all__ = ["PathOrFile", "open_source", "open_unread"]

REMOTE_FOR_SURE = ("s3://", "http://", "https://")

PathOrFile = str | os.PathLike[str] | IO[bytes]


def open_source(
    path: PathOrFile,
    *,
    storage_options: dict[str, Any] | None = None,
    retry_policy: RetryPolicy | None = None,
    remote: RemoteOptions | None = None,
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
        For remote files; that of ``remote`` by default.
    remote
        How remote files are read.

    Raises
    ------
    FileNotFoundError, PermissionError
        As they are.
    StorageError
        If the file cannot be read for any other reason.
    ConfigError
        If ``path`` is nothing that can be opened.
    """
    options = remote or RemoteOptions()
    if retry_policy is not None:
        options = dataclasses.replace(options, retry_policy=retry_policy)
    source = open_unread(path, RemoteReader(storage_options, options), storage_options=storage_options)
    if isinstance(source, RemoteFile):
        [version] = source.reader.learn_versions([source])
        if isinstance(version, Exception):
            raise version
    return source


def open_unread(path: PathOrFile, reader: RemoteReader, *, storage_options: dict[str, Any] | None) -> ByteSource:
    """Open a file; of a remote one nothing is read yet, not even its size."""
    if not isinstance(path, str | os.PathLike):
        if not (hasattr(path, "seek") and hasattr(path, "read")):
            message = f"path must be a path, a URL or an open file with seek and read, not {type(path).__name__}"
            raise ConfigError(message, argument="path", value=path)
        return FileObject(path)
    name = os.fspath(path)
    if not is_url(name):
        return MappedFile(os.path.expanduser(name))
    if name.startswith(REMOTE_FOR_SURE) and "::" not in name:  # asking fsspec for each of thousands takes its time
        return reader.open(name)
    file_system, _ = find_file_system(name, storage_options)
    if getattr(file_system, "local_file", False):  # file://, or a cache that keeps a copy of the whole file
        policy = reader.options.retry_policy
        local = retried(
            lambda: fsspec.open_local(name, **(storage_options or {})), name, policy=policy, doing="make a local copy"
        )
        return MappedFile(cast(str, local), url=display_url(name))
    return reader.open(name)
