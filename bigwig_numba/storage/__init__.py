"""Byte ranges from anywhere: local files (memory-mapped), whatever fsspec opens, open file objects.

Nothing here knows about bigWig. A :class:`ByteSource` answers "these bytes of this file, please", for many ranges at
once. Remote files share a :class:`RemoteReader`, which reads from many of them at a time::

    RemoteFile ─┐                                   ┌ S3Client   signed addresses over HTTP, else botocore
    RemoteFile ─┼─ RemoteReader ── Connections ─────┼ WebClient  http://, https://
    RemoteFile ─┘  checks, retries  one per endpoint └ AsyncClient, FsspecClient  every other file system of fsspec
"""

from __future__ import annotations

from ..ranges import CoalescedRanges, Integers, coalesce_ranges
from ..retries import RetryPolicy, display_url
from .clients import FileVersion
from .digests import digest_of_url
from .listing import Listed, find_files, list_files
from .opening import PathOrFile, open_source, open_unread
from .options import RemoteOptions
from .processes import Body
from .remote import FileRange, RemoteFile, RemoteReader, raise_failure
from .sources import ByteSource, FileObject, MappedFile

__all__ = [
    "Body",
    "ByteSource",
    "CoalescedRanges",
    "FileObject",
    "FileRange",
    "FileVersion",
    "Integers",
    "Listed",
    "MappedFile",
    "PathOrFile",
    "RemoteFile",
    "RemoteOptions",
    "RemoteReader",
    "RetryPolicy",
    "coalesce_ranges",
    "digest_of_url",
    "display_url",
    "find_files",
    "list_files",
    "open_source",
    "open_unread",
    "raise_failure",
]
