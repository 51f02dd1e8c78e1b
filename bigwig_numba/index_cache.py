"""Indexes of remote files, kept on disk: header, chromosomes and leaves, under the URL and the file's version.

One file per URL, written whole and renamed into place, so that processes may share the folder. A file is::

    magic | bytes of the text | text: JSON | arrays, one after another | CRC-32 of all before

Names, offsets and versions are in the text; no credentials are: the URL is the one that errors show, and the file's
name is a digest of the URL without user, password and signatures.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import struct
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .bbi import Header, Summary, ZoomHeader
from .cache import cache_folder
from .index import BlockIndex, Chromosomes, FileIndex
from .retries import display_url
from .storage import FileVersion, digest_of_url

__all__ = ["IndexCache", "KnownFile"]

logger = logging.getLogger(__name__)

FOLDER = "indexes_v1"  # raise the number with any change of the layout
MAGIC = b"BNINDEX1"
LENGTH = struct.Struct("<Q")
CHECKSUM = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class KnownFile:
    """An index, and the version of the file that it is of."""

    version: FileVersion
    index: FileIndex


class IndexCache:
    """Indexes in a folder.

    Parameters
    ----------
    folder
        By default ``indexes_v1`` in the user's cache folder.

    Examples
    --------
    >>> IndexCache().folder.name
    'indexes_v1'
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder() / FOLDER

    def find(self, url: str, *, endpoint: str = "") -> KnownFile | None:
        """The index that was kept for a URL, of whatever version; None if there is none, or it is damaged."""
        path = self._path(url, endpoint)
        try:
            data = path.read_bytes()
            return _unpacked(data, url=display_url(url))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
            logger.info("%s: what was kept of its index cannot be used (%s)", display_url(url), type(error).__name__)
            return None

    def keep(self, url: str, known: KnownFile, *, endpoint: str = "") -> None:
        """Keep an index; where that is not possible, do without. A file that tells no version is not kept."""
        if known.version.tag is None:
            return
        path = self._path(url, endpoint)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(prefix=".writing_", dir=self.folder)
            try:
                with open(descriptor, "wb") as file:
                    file.write(_packed(known))
                os.replace(temporary, path)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as error:
            logger.info("%s: its index is not kept in %s (%s)", display_url(url), self.folder, error)

    def _path(self, url: str, endpoint: str) -> Path:
        return self.folder / f"{digest_of_url(url, endpoint=endpoint)}.index"


def _packed(known: KnownFile) -> bytes:
    index = known.index
    chromosomes, blocks = index.chromosomes, index.blocks
    text = json.dumps(
        {
            "url": index.url,
            "size": known.version.size,
            "tag": known.version.tag,
            "header": dataclasses.asdict(index.header),
            "zoom_headers": [dataclasses.asdict(zoom) for zoom in index.zoom_headers],
            "summary": dataclasses.asdict(index.summary) if index.summary else None,
            "names": chromosomes.names,
            "n_blocks": len(blocks),
        }
    ).encode()
    arrays = [
        *(chromosomes.lengths, chromosomes.genome_starts, chromosomes.ids.astype(np.int64)),
        *(blocks.starts, blocks.ends, blocks.reaches, blocks.offsets, blocks.sizes),
    ]
    body = b"".join([MAGIC, LENGTH.pack(len(text)), text, *(array.astype("<i8").tobytes() for array in arrays)])
    return body + CHECKSUM.pack(zlib.crc32(body))


def _unpacked(data: bytes, *, url: str) -> KnownFile:
    body = memoryview(data)[: -CHECKSUM.size]
    if not data.startswith(MAGIC) or CHECKSUM.unpack(data[-CHECKSUM.size :])[0] != zlib.crc32(body):
        raise ValueError("it is damaged")
    [text_size] = LENGTH.unpack_from(data, len(MAGIC))
    place = len(MAGIC) + LENGTH.size
    told: dict[str, Any] = json.loads(data[place : place + text_size])
    place += text_size
    n_chromosomes, n_blocks = len(told["names"]), told["n_blocks"]
    arrays: list[npt.NDArray[np.int64]] = []
    for count in (*[n_chromosomes] * 3, *[n_blocks] * 5):
        # Copied: text of any length may come before, and arrays must be aligned.
        arrays.append(np.frombuffer(data, "<i8", count, place).astype(np.int64))
        place += 8 * count
    lengths, genome_starts, ids, *blocks = arrays
    index = FileIndex(
        url=url,
        header=Header(**told["header"]),
        zoom_headers=tuple(ZoomHeader(**zoom) for zoom in told["zoom_headers"]),
        summary=Summary(**told["summary"]) if told["summary"] else None,
        chromosomes=Chromosomes(tuple(told["names"]), lengths, ids.astype(np.uint32), genome_starts),
        blocks=BlockIndex(*blocks),
    )
    return KnownFile(FileVersion(told["size"], told["tag"]), index)
