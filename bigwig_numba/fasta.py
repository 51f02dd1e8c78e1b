"""FASTA files, plain or compressed, local or remote: names, lengths, and the letters from first to last, by pyfaidx.

pyfaidx reads plain text from a disk. What is compressed, or lies elsewhere, is copied into a folder that goes when the
reading is done. The index is made there too: nothing is written beside the user's file, and an index that stands there
is not believed, as one that belongs to another version of the file gives wrong letters without a word.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyfaidx
from fsspec import open_local
from tqdm.auto import tqdm

from .errors import FormatError, StorageError
from .retries import RetryPolicy, display_url, retried
from .storage import ByteSource, RemoteFile, open_source
from .storage.connections import find_file_system, is_url

__all__ = ["Fasta", "fasta_version", "open_fasta"]

BASES_AT_A_TIME = 1 << 24  # even, so that chunks of a chromosome can be packed by themselves
BYTES_AT_A_TIME = 1 << 24
MANY_BYTES = 100_000_000  # from here on a progress bar is worth its line
GZIP_MAGIC = b"\x1f\x8b"


class Fasta:
    """An open FASTA file.

    Parameters
    ----------
    faidx
        The file, as pyfaidx has it.
    url
        Display name for errors.

    Attributes
    ----------
    lengths : dict of str to int
        Name of each sequence to its bases, in the order of the file.
    """

    def __init__(self, faidx: Any, *, url: str) -> None:
        self.url = url
        self.lengths: dict[str, int] = {str(name): int(record.rlen) for name, record in faidx.index.items()}
        self._faidx = faidx

    def letters(self, name: str) -> Iterator[npt.NDArray[np.uint8]]:
        """The bases of a sequence as ASCII, some millions at a time; all chunks but the last are of even length."""
        length = self.lengths[name]
        for start in range(0, length, BASES_AT_A_TIME):
            end = min(start + BASES_AT_A_TIME, length)
            try:
                letters = self._faidx.fetch(name, start + 1, end).encode("ascii")
            except (UnicodeError, pyfaidx.FetchError) as error:
                message = f"{self.url}: {name}:{start:,}-{end:,} cannot be read as letters: {error}"
                raise FormatError(message, url=self.url) from error
            if len(letters) != end - start:
                message = f"{self.url}: {name} has {start + len(letters):,} bases, expected {length:,}; did it change?"
                raise FormatError(message, url=self.url)
            yield np.frombuffer(letters, dtype=np.uint8)


def fasta_version(path: str, storage_options: dict[str, Any] | None = None) -> str | None:
    """What changes with the content of a file: size, and times or a server's tag. None where no one says.

    Raises
    ------
    FileNotFoundError, PermissionError, StorageError
        The file cannot be found, or not be asked.
    """
    local = _local_path(path, storage_options)
    if local is not None:
        status = os.stat(local)
        # Copying with times kept changes the time of the inode (ctime) at least.
        return f"{os.path.realpath(local)} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
    with contextlib.closing(open_source(path, storage_options=storage_options)) as source:
        if not isinstance(source, RemoteFile) or source.version is None or source.version.tag is None:
            return None
        return f"{source.url} {source.reader.endpoint(source)} {source.version}"


@contextlib.contextmanager
def open_fasta(path: str, folder: Path, *, storage_options: dict[str, Any] | None = None) -> Iterator[Fasta]:
    """Open a FASTA file for reading it through.

    Parameters
    ----------
    path
        A local path, or a URL that fsspec opens. Plain text, gzip or bgzip: the content tells, not the name.
    folder
        An empty folder for an index and, if the file is compressed or remote, a copy of plain text.
    storage_options
        Passed to fsspec.

    Raises
    ------
    FileNotFoundError, PermissionError
        As they are.
    FormatError
        The file is no FASTA, or its compressed data is damaged.
    StorageError
        The file cannot be read, or the folder not be written to.
    """
    url = display_url(path)
    plain = folder / "genome.fa"  # pyfaidx goes by the ending
    local = _local_path(path, storage_options)
    source = open_source(path if local is None else local, storage_options=storage_options if local is None else None)
    try:
        if local is not None and source.read_up_to(0, 2) != GZIP_MAGIC:
            plain.symlink_to(os.path.abspath(local))
        else:
            _copy_as_text(source, plain, url=url)
    finally:
        source.close()
    _check_beginning(plain, url)
    try:
        faidx = pyfaidx.Faidx(str(plain), as_raw=True)
    except (pyfaidx.FastaIndexingError, ValueError) as error:  # ValueError: a name twice, or no text
        reason = str(error).replace(str(plain), url)
        raise FormatError(f"{url} cannot be read as FASTA: {reason}", url=url) from error
    try:
        yield Fasta(faidx, url=url)
    finally:
        faidx.close()


def _local_path(path: str, storage_options: dict[str, Any] | None) -> str | None:
    """Where the file lies on this machine, if it does: as it is, or as the copy that a file system of fsspec keeps."""
    if not is_url(path):
        return os.path.expanduser(path)
    file_system, _ = find_file_system(path, storage_options)
    if not getattr(file_system, "local_file", False):
        return None
    local = retried(
        lambda: open_local(path, **(storage_options or {})), path, policy=RetryPolicy(), doing="make a local copy"
    )
    return str(local)


class _Reader(io.RawIOBase):
    """A byte source as a stream."""

    def __init__(self, source: ByteSource, bar: Any) -> None:
        self._source = source
        self._bar = bar
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._source.read_up_to(self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        self._bar.update(len(data))
        return len(data)


def _copy_as_text(source: ByteSource, target: Path, *, url: str) -> None:
    """Write a source, decompressed if it is compressed, to a file."""
    hidden = None if source.size >= MANY_BYTES else True  # None: shown on a terminal only
    bar = tqdm(total=source.size, desc=f"Copying {url}", unit="B", unit_scale=True, disable=hidden)
    with bar, io.BufferedReader(_Reader(source, bar), BYTES_AT_A_TIME) as stream:
        is_compressed = stream.peek(2)[:2] == GZIP_MAGIC
        text: Any = gzip.GzipFile(fileobj=stream) if is_compressed else stream
        with _open_for_writing(target) as file:
            try:
                shutil.copyfileobj(text, file, BYTES_AT_A_TIME)
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                message = f"{url} cannot be decompressed ({error}); it is damaged or cut off: fetch it again"
                raise FormatError(message, url=url) from error


@contextlib.contextmanager
def _open_for_writing(path: Path) -> Iterator[io.BufferedWriter]:
    """A file whose errors say that it is the copy that cannot be written."""
    try:
        file = path.open("wb")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error}", url=str(path)) from error
    with file:
        yield file


def _check_beginning(plain: Path, url: str) -> None:
    """Raise unless the text begins as FASTA does; what pyfaidx says of other files depends on its version."""
    with plain.open("rb") as file:
        beginning = file.read(4096)
    if beginning.lstrip()[:1] not in (b">", b";"):
        found = f"it starts with {beginning[:16]!r}" if beginning else "it is empty"
        message = f"{url} is no FASTA: expected a first line like '>chr1', but {found}"
        raise FormatError(message, url=url)
