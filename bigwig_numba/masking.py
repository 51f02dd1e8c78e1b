"""Collections that go on without tracks that cannot be read: those have no chromosomes, so they give the default."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .bbi import Header
from .errors import BigWigError, FormatError, StorageError
from .index import BlockIndex, Chromosomes, FileIndex
from .storage import ByteSource, FileObject
from .track_table import TrackTable

__all__ = ["MASKABLE", "empty_index", "empty_source", "failed_tracks", "without_tracks"]

MASKABLE = (StorageError, FormatError, FileNotFoundError, PermissionError)
"""Errors that are the fault of a file: others are told whatever ``on_error`` says."""


def empty_index(url: str) -> FileIndex:
    """The index of a file without chromosomes."""
    nothing = np.empty(0, np.int64)
    zeros = {field.name: 0 for field in dataclasses.fields(Header) if field.name != "byte_order"}
    header = Header("<", **zeros)
    return FileIndex(
        url=url,
        header=header,
        zoom_headers=(),
        summary=None,
        chromosomes=Chromosomes((), nothing, nothing.astype(np.uint32), nothing),
        blocks=BlockIndex(nothing, nothing, nothing, nothing, nothing),
    )


def empty_source() -> ByteSource:
    """A file without bytes."""
    return FileObject(io.BytesIO())


def without_tracks(table: TrackTable, masked: npt.NDArray[np.bool_]) -> TrackTable:
    """The same table, in which some tracks have no chromosomes and no blocks.

    Parameters
    ----------
    table
        Of all tracks.
    masked
        (T,) bool.
    """
    counts = np.diff(table.first_leaf)
    kept = np.repeat(~masked, counts)
    return dataclasses.replace(
        table,
        leaf_starts=table.leaf_starts[kept],
        leaf_reaches=table.leaf_reaches[kept],
        leaf_offsets=table.leaf_offsets[kept],
        leaf_sizes=table.leaf_sizes[kept],
        first_leaf=np.concatenate(([0], np.cumsum(np.where(masked, 0, counts)))),
        genome_starts=np.where(masked, -1, table.genome_starts),
        genome_ends=np.where(masked, -1, table.genome_ends),
        chrom_ids=np.where(masked, np.uint32(0), table.chrom_ids),
    )


def failed_tracks(error: BaseException, urls: Sequence[str]) -> dict[int, BaseException]:
    """Tracks whose files an error is about, by the error of each.

    Parameters
    ----------
    error
        One of :data:`MASKABLE`; where several files failed, its cause is an ``ExceptionGroup`` of theirs.
    urls
        (T,) display names of the files.
    """
    cause = error.__cause__
    errors = cause.exceptions if isinstance(cause, ExceptionGroup) else (error,)
    by_url = {_url(one): one for one in errors if isinstance(one, MASKABLE)}
    return {track: by_url[url] for track, url in enumerate(urls) if url in by_url}


def _url(error: BaseException) -> str:
    return str(getattr(error, "url", "") if isinstance(error, BigWigError) else getattr(error, "filename", ""))
