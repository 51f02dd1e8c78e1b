"""A reference genome as four bits a base, made once from a FASTA file and kept in the user's cache as a memory map.

::

    <cache folder>/genomes/<name>-<digest of place, size, times or checksums>/
        bases.bin           two bases a byte, the chromosomes one after another, each from a byte of its own
        unknown_runs.npy    (2, R) int64, where bases that are not exactly A, C, G or T start and end
        genome.json         names and lengths, in the order of the FASTA

A folder is written under another name and renamed when it is complete: readers see all of it or nothing. A FASTA that
changed has another digest. Processes that need the same genome at the same time wait for the first one to make it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from .cache import cache_folder
from .errors import FormatError, StorageError
from .fasta import Fasta, fasta_version, open_fasta
from .kernels.sequence import LETTERS, pack_letters
from .retries import display_url

__all__ = ["PackedGenome", "read_genome"]

logger = logging.getLogger(__name__)

FORMAT = 1  # raise it with any change of what is kept
MANY_BASES = 100_000_000  # from here on a progress bar is worth its line

Int64Array = npt.NDArray[np.int64]


def _code_of_letter() -> npt.NDArray[np.uint8]:
    """(256,) the code of each ASCII letter, in both cases; 0 for what is no base."""
    codes = np.zeros(256, dtype=np.uint8)
    for code, letter in enumerate(LETTERS):
        codes[[ord(letter), ord(letter.lower())]] = code
    codes[[ord(letter) for letter in "Uu"]] = LETTERS.index("T")
    codes[[ord(letter) for letter in "Xx-.*"]] = LETTERS.index("N")  # masked, gaps, and what else stands for any base
    return codes


CODE_OF_LETTER = _code_of_letter()
IS_KNOWN = np.isin(np.arange(256), [ord(letter) for letter in "ACGTUacgtu"])


@dataclass(frozen=True, slots=True, eq=False)
class PackedGenome:
    """The bases of a genome, and where which chromosome is.

    Attributes
    ----------
    names
        (C,) of the chromosomes, in the order of the FASTA.
    lengths
        (C,) int64, bases.
    first_bases
        (C,) int64, place of a chromosome's first base; even.
    bases
        (N / 2,) uint8, codes of ``kernels.sequence``, two a byte, the first in the low half.
    unknown_runs
        (3, R) int64, see ``kernels.sequence``.
    """

    names: tuple[str, ...]
    lengths: Int64Array
    first_bases: Int64Array
    bases: npt.NDArray[np.uint8]
    unknown_runs: Int64Array

    @classmethod
    def assemble(cls, lengths: dict[str, int], bases: npt.NDArray[np.uint8], unknown_edges: Int64Array) -> PackedGenome:
        """Put together what was read, in this process or another; ``unknown_edges`` (2, R) are starts and ends."""
        sizes = np.array(list(lengths.values()), dtype=np.int64)
        starts, ends = unknown_edges
        before = np.cumsum(ends - starts) - (ends - starts)
        return cls(
            names=tuple(lengths),
            lengths=sizes,
            first_bases=_first_bases(sizes),
            bases=bases,
            unknown_runs=np.stack([starts, ends, before]),
        )


def read_genome(path: str, *, storage_options: dict[str, Any] | None = None, cache: bool = True) -> PackedGenome:
    """The genome of a FASTA file: from the cache, or read and put there.

    Parameters
    ----------
    path
        A local path, or a URL that fsspec opens.
    storage_options
        Passed to fsspec.
    cache
        Whether to keep it on disk. Otherwise it is read anew, into this process's memory: half a byte a base.

    Raises
    ------
    FileNotFoundError, PermissionError
        As they are.
    FormatError
        The file is no FASTA of nucleotides.
    StorageError
        The file cannot be read, changed while it was, or the cache not be written to.
    """
    version = fasta_version(path, storage_options)
    if not cache or version is None:
        if cache:
            logger.warning("%s: its server does not say when it changes, so it is read anew", display_url(path))
        with tempfile.TemporaryDirectory(prefix="bigwig_numba_") as scratch:
            return _read_into_memory(path, Path(scratch), storage_options)
    digest = hashlib.blake2b(f"{FORMAT} {version}".encode(), digest_size=16).hexdigest()
    folder = cache_folder() / "genomes" / f"{_stem(path)}-{digest}"
    found = _load(folder)
    if found is not None:
        return found
    with _writing_errors(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(folder.parent / f".{folder.name}.lock"):
            found = _load(folder)  # another process may have made it meanwhile
            return _make(folder, path, storage_options, version) if found is None else found


def _stem(path: str) -> str:
    """A short name for people who look into the cache."""
    name = PurePosixPath(display_url(path)).name.removesuffix(".gz")
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:40].lstrip(".") or "genome"


def _first_bases(lengths: Int64Array) -> Int64Array:
    """(C,) places of the first bases; each chromosome starts with a byte of its own."""
    even = (lengths + 1) // 2 * 2
    return np.cumsum(even) - even


def _n_bytes(lengths: dict[str, int]) -> int:
    return sum((length + 1) // 2 for length in lengths.values())


def _load(folder: Path) -> PackedGenome | None:
    """What is in the cache, if it is there and whole."""
    try:
        description = json.loads((folder / "genome.json").read_text(encoding="utf-8"))
        lengths = {str(name): int(length) for name, length in description["chromosomes"]}
        unknown_edges = np.load(folder / "unknown_runs.npy")
        path = folder / "bases.bin"
        n_bytes = _n_bytes(lengths)
        if path.stat().st_size != n_bytes:
            raise ValueError(f"{path} has {path.stat().st_size} bytes, expected {n_bytes}")
        bases = np.memmap(path, np.uint8, mode="r") if n_bytes else np.empty(0, np.uint8)  # nothing cannot be mapped
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("%s is damaged and will be made again: %s", folder, error)
        return None
    return PackedGenome.assemble(lengths, bases.view(np.ndarray), unknown_edges)


def _make(folder: Path, path: str, storage_options: dict[str, Any] | None, version: str) -> PackedGenome:
    """Write a genome's folder: first under another name, then all of it appears at once."""
    logger.info("Encoding %s to %s", display_url(path), folder)
    with tempfile.TemporaryDirectory(prefix=".writing_", dir=folder.parent, ignore_cleanup_errors=True) as temporary:
        scratch, made = Path(temporary, "scratch"), Path(temporary, "made")
        scratch.mkdir()
        made.mkdir()
        with open_fasta(path, scratch, storage_options=storage_options) as fasta:
            with (made / "bases.bin").open("wb") as file:
                unknown_edges = _pack(fasta, lambda packed: file.write(packed.data))
            np.save(made / "unknown_runs.npy", unknown_edges)
            description = {"source": fasta.url, "chromosomes": list(fasta.lengths.items())}
        (made / "genome.json").write_text(json.dumps(description), encoding="utf-8")
        if fasta_version(path, storage_options) != version:
            message = f"{display_url(path)} changed while it was read; open it again when it is complete"
            raise StorageError(message, url=display_url(path))
        if folder.exists():
            folder.rename(Path(temporary, "damaged"))
        made.rename(folder)
    found = _load(folder)
    if found is None:
        message = f"{folder} vanished or was damaged as soon as it was written; is someone clearing the cache?"
        raise StorageError(message, url=str(folder))
    return found


def _read_into_memory(path: str, scratch: Path, storage_options: dict[str, Any] | None) -> PackedGenome:
    with open_fasta(path, scratch, storage_options=storage_options) as fasta:
        bases = np.empty(_n_bytes(fasta.lengths), dtype=np.uint8)
        n_written = 0

        def write(packed: npt.NDArray[np.uint8]) -> None:
            nonlocal n_written
            bases[n_written : n_written + len(packed)] = packed
            n_written += len(packed)

        unknown_edges = _pack(fasta, write)
    return PackedGenome.assemble(fasta.lengths, bases, unknown_edges)


def _pack(fasta: Fasta, write: Callable[[npt.NDArray[np.uint8]], object]) -> Int64Array:
    """Hand the packed bases to ``write``, a piece at a time, and return where unknown bases start and end, (2, R)."""
    total = sum(fasta.lengths.values())
    firsts = _first_bases(np.array(list(fasta.lengths.values()), dtype=np.int64))
    hidden = None if total >= MANY_BASES else True  # None: shown on a terminal only
    edges: list[Int64Array] = []
    with tqdm(total=total, desc=f"Encoding {fasta.url}", unit="base", unit_scale=True, disable=hidden) as bar:
        for name, first in zip(fasta.lengths, firsts.tolist(), strict=True):
            position = 0
            for letters in fasta.letters(name):
                packed = np.empty((len(letters) + 1) // 2, dtype=np.uint8)
                wrong = pack_letters(letters, CODE_OF_LETTER, packed)
                if wrong >= 0:
                    raise _no_base(fasta, name, position + wrong, chr(letters[wrong]))
                write(packed)
                edges.append(first + position + _edges(~IS_KNOWN[letters]))
                position += len(letters)
                bar.update(len(letters))
    runs = np.concatenate(edges).reshape(-1, 2) if edges else np.empty((0, 2), dtype=np.int64)
    return np.ascontiguousarray(runs.T)


def _edges(mask: npt.NDArray[np.bool_]) -> Int64Array:
    """(2 * runs,) starts and ends of the runs of True, in turns."""
    first, last = np.flatnonzero(mask[:1]), np.flatnonzero(mask[-1:]) + len(mask)
    return np.concatenate([first, np.flatnonzero(mask[1:] != mask[:-1]) + 1, last])


def _no_base(fasta: Fasta, name: str, position: int, letter: str) -> FormatError:
    message = (
        f"{fasta.url}: {name} has {letter!r} at position {position:,}, expected a nucleotide, one of {LETTERS[1:]} "
        "(IUPAC) in either case; is this a FASTA of proteins?"
    )
    return FormatError(message, url=fasta.url)


@contextlib.contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Let one process at a time in, where the file system can; elsewhere each does the work, and none the harm."""
    with path.open("wb") as file:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)  # given back when the file is closed, also by a process that dies
        yield


@contextlib.contextmanager
def _writing_errors(folder: Path) -> Iterator[None]:
    """Say what to do where the cache cannot be written to."""
    try:
        yield
    except OSError as error:
        of_the_fasta = isinstance(error, StorageError | FileNotFoundError) or (
            isinstance(error, PermissionError) and not str(error.filename).startswith(str(folder))
        )
        if of_the_fasta:
            raise
        message = (
            f"the encoded genome cannot be written to {folder} ({error}); set BIGWIG_NUMBA_CACHE to a folder that can, "
            "or keep it in memory with cache=False"
        )
        raise StorageError(message, url=str(folder)) from error
