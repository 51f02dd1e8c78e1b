"""Files from HTTP: resumed where a download stopped, checked by MD5, and under their name only when complete."""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import requests
from tqdm.auto import tqdm

from .errors import StorageError

__all__ = ["download", "md5_of", "unzip"]

logger = logging.getLogger(__name__)

PIECE = 1 << 16  # bytes; as much may be lost where a connection breaks
SECONDS_OF_SILENCE = 60.0
TRIES_IN_VAIN = 3
RANGE_NOT_SATISFIABLE = 416


def download(url: str, path: Path, *, md5: str, progress: bool = True) -> Path:
    """Download a file, unless it is there.

    What has come so far is kept in ``<name>.part`` and a later call goes on from there. The file gets its name when its
    checksum is right, so what has the name is complete.

    Parameters
    ----------
    url
        http or https.
    path
        Where to write it; the folder is made.
    md5
        What its MD5 must be, in hexadecimal.
    progress
        Whether to show a progress bar, if standard error is a terminal.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    StorageError
        The server does not answer as it should, or what came is not what was expected (it is deleted then).
    """
    if path.is_file():
        if md5_of(path) == md5.lower():
            return path
        logger.warning("%s is not what %s has; downloading it again", path, url)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    _fetch(url, part, progress=progress)
    found = md5_of(part)
    if found != md5.lower():
        part.unlink()
        message = f"{url} gave a file with MD5 {found}, expected {md5}; what came is deleted, try again"
        raise StorageError(message, url=url)
    os.replace(part, path)
    return path


def _fetch(url: str, part: Path, *, progress: bool) -> None:
    """All of it, however often the connection breaks, as long as something comes each time."""
    n_in_vain = 0
    while n_in_vain < TRIES_IN_VAIN:
        n_before = _size(part)
        try:
            _fetch_rest(url, part, progress=progress)
            return
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            n_in_vain = 0 if _size(part) > n_before else n_in_vain + 1
            logger.info("%s: %s; going on from byte %d", url, error, _size(part))
            last = error
    message = f"{url} cannot be downloaded ({last}); what has come is kept, try again"
    raise StorageError(message, url=url) from last


def _fetch_rest(url: str, part: Path, *, progress: bool) -> None:
    """Append what is missing; if the server does not know ranges, all of it from the first byte."""
    n_there = _size(part)
    headers = {"Range": f"bytes={n_there}-"} if n_there else {}
    # Compressed transfer would make byte positions mean something else.
    headers["Accept-Encoding"] = "identity"
    with requests.get(url, headers=headers, stream=True, timeout=SECONDS_OF_SILENCE) as answer:
        if answer.status_code == RANGE_NOT_SATISFIABLE:
            return  # nothing is missing, or the checksum will say
        if not answer.ok:
            raise StorageError(f"{url} answers {answer.status_code} {answer.reason}", url=url)
        resumed = answer.status_code == requests.codes.partial_content
        n_there = n_there if resumed else 0
        n_missing = int(answer.headers.get("Content-Length", 0))
        hidden = None if progress else True  # None: shown on a terminal only
        with (
            part.open("ab" if resumed else "wb") as file,
            _bar(part.name.removesuffix(".part"), n_there, n_there + n_missing, hidden=hidden) as bar,
        ):
            for piece in answer.iter_content(PIECE):
                file.write(piece)
                bar.update(len(piece))
        if n_missing and _size(part) < n_there + n_missing:
            raise requests.ConnectionError("the connection ended before the file")


def _bar(name: str, n_there: int, n_bytes: int, *, hidden: bool | None) -> Any:
    return tqdm(
        total=n_bytes or None, initial=n_there, unit="B", unit_scale=True, unit_divisor=1024, desc=name, disable=hidden
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def md5_of(path: Path) -> str:
    """MD5 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def unzip(compressed: Path, path: Path) -> Path:
    """Write a gzipped file's content, under its name only once it is complete.

    Raises
    ------
    StorageError
        It is no gzip file, or is damaged.
    """
    part = path.with_name(path.name + ".part")
    try:
        with gzip.open(compressed, "rb") as source, part.open("wb") as file:
            shutil.copyfileobj(source, file, PIECE)
    except (gzip.BadGzipFile, EOFError) as error:
        raise StorageError(
            f"{compressed} cannot be unzipped ({error}); delete it and try again", url=str(compressed)
        ) from error
    os.replace(part, path)
    return path
