"""How many G and C, and how many unknown bases, any stretch of a genome has: counted once, asked many times."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyfaidx

from ..errors import ConfigError, FormatError, StorageError
from .frames import Int64Array, check_chrom_sizes

__all__ = ["Composition", "GenomeReader", "open_genome"]

CHUNK = 1 << 22  # bases read at a time; a multiple of 64
WORD_BITS = 64

IS_GC = np.zeros(256, dtype=np.bool_)
IS_GC[np.frombuffer(b"GCgc", dtype=np.uint8)] = True
IS_KNOWN = np.zeros(256, dtype=np.bool_)
IS_KNOWN[np.frombuffer(b"ACGTacgt", dtype=np.uint8)] = True


class GenomeReader(Protocol):
    """What is needed of a genome."""

    def fetch(self, chrom: str, start: int, end: int) -> str | bytes | npt.NDArray[np.uint8]:
        """Bases [start, end) as letters: text, or (end - start,) ASCII codes."""
        ...


class Composition:
    """Counts of G and C, and of unknown bases, on one line of chromosomes, each starting at a multiple of 64.

    G and C are kept as one bit per base with a running count per 64 bases, so that a human genome takes 0.8 GB and a
    window of any length costs two look-ups. Unknown bases (all but A, C, G and T) come in few, long runs: their starts,
    ends and running lengths are kept.

    Parameters
    ----------
    genome
        Where the bases are read from, each once.
    sizes
        Chromosome to length in bases, of those on the line, in its order.

    Attributes
    ----------
    first_positions
        Chromosome to the position on the line with which it begins.
    """

    def __init__(self, genome: GenomeReader, sizes: Mapping[str, int]) -> None:
        lengths = np.array(list(sizes.values()), dtype=np.int64)
        padded = -(-lengths // WORD_BITS) * WORD_BITS
        firsts = np.cumsum(padded) - padded
        self.first_positions = dict(zip(sizes, firsts.tolist(), strict=True))
        # One word more than there are bases, so that the end of the line can be asked for.
        self._bits = np.zeros(int(padded.sum()) // WORD_BITS + 1, dtype="<u8")
        edges: list[Int64Array] = []
        for chrom, first in self.first_positions.items():
            for start in range(0, sizes[chrom], CHUNK):
                bases = _fetch(genome, chrom, start, min(start + CHUNK, sizes[chrom]))
                self._pack(IS_GC[bases], first + start)
                edges.append(first + start + _edges(~IS_KNOWN[bases]))
        self._before = np.zeros(len(self._bits) + 1, dtype=np.int64)
        np.cumsum(np.bitwise_count(self._bits), out=self._before[1:], dtype=np.int64)
        runs = np.concatenate(edges).reshape(-1, 2) if edges else np.empty((0, 2), dtype=np.int64)
        self._unknown_starts, self._unknown_ends = np.ascontiguousarray(runs.T)
        self._unknown_before = np.append(0, np.cumsum(self._unknown_ends - self._unknown_starts))

    def gc_counts(self, starts: Int64Array, ends: Int64Array) -> Int64Array:
        """(N,) bases of each interval of the line that are G or C."""
        return self._gc_before(ends) - self._gc_before(starts)

    def unknown_counts(self, starts: Int64Array, ends: Int64Array) -> Int64Array:
        """(N,) bases of each interval of the line that are none of A, C, G and T."""
        return self._unknown_up_to(ends) - self._unknown_up_to(starts)

    def _pack(self, is_gc: npt.NDArray[np.bool_], position: int) -> None:
        packed = np.packbits(is_gc, bitorder="little")
        self._bits.view(np.uint8)[position // 8 : position // 8 + len(packed)] = packed

    def _gc_before(self, positions: Int64Array) -> Int64Array:
        words = positions // WORD_BITS
        below = (np.uint64(1) << (positions % WORD_BITS).astype(np.uint64)) - np.uint64(1)
        counts: Int64Array = self._before[words] + np.bitwise_count(self._bits[words] & below)
        return counts

    def _unknown_up_to(self, positions: Int64Array) -> Int64Array:
        runs = np.searchsorted(self._unknown_starts, positions, side="right")
        # The last run that starts before the position may reach past it.
        last_ends = np.append(0, self._unknown_ends)[runs]
        counts: Int64Array = self._unknown_before[runs] - np.maximum(last_ends - positions, 0)
        return counts


def open_genome(
    genome: GenomeReader | str | os.PathLike[str], chrom_sizes: Mapping[str, int] | None
) -> tuple[GenomeReader, dict[str, int], Callable[[], None]]:
    """Prepare a genome for reading.

    Parameters
    ----------
    genome
        A FASTA file, or what has a ``fetch``.
    chrom_sizes
        Chromosome to length in bases; by default those of the FASTA file, or of the genome's ``chrom_sizes``.

    Returns
    -------
    genome, chrom_sizes, close
        ``close`` closes what was opened here.

    Raises
    ------
    ConfigError
        The genome has no ``fetch``, or lengths of chromosomes are not to be had.
    FormatError
        The file is no FASTA.
    """
    if isinstance(genome, str | os.PathLike):
        fasta = _Fasta(os.fspath(genome))
        return fasta, check_chrom_sizes(fasta.chrom_sizes if chrom_sizes is None else chrom_sizes), fasta.close
    if not callable(getattr(genome, "fetch", None)):
        message = f"genome is of type {type(genome).__name__}, expected the path of a FASTA file, or what has a fetch"
        raise ConfigError(message, argument="genome", value=genome)
    sizes = getattr(genome, "chrom_sizes", None) if chrom_sizes is None else chrom_sizes
    if sizes is None:
        message = "chrom_sizes is None, expected chromosome to length in bases: the genome does not say them"
        raise ConfigError(message, argument="chrom_sizes", value=None)
    return genome, check_chrom_sizes(sizes), lambda: None


class _Fasta:
    """A FASTA file as a genome."""

    def __init__(self, path: str) -> None:
        try:
            self._fasta = pyfaidx.Fasta(path, as_raw=True)
        except (pyfaidx.FastaIndexingError, pyfaidx.UnsupportedCompressionFormat, UnicodeDecodeError) as error:
            raise FormatError(f"{path} cannot be read as FASTA: {error}", url=path) from error
        self._path = path
        self.chrom_sizes = {str(name): len(self._fasta[name]) for name in self._fasta.keys()}  # noqa: SIM118

    def fetch(self, chrom: str, start: int, end: int) -> str:
        try:
            return str(self._fasta[chrom][start:end])
        except pyfaidx.FetchError as error:
            raise StorageError(f"{self._path}: cannot read {chrom}:{start}-{end}: {error}", url=self._path) from error

    def close(self) -> None:
        self._fasta.close()


def _fetch(genome: GenomeReader, chrom: str, start: int, end: int) -> npt.NDArray[np.uint8]:
    """(end - start,) ASCII codes."""
    letters = genome.fetch(chrom, start, end)
    if isinstance(letters, str):
        # A letter outside ASCII is as unknown as N.
        letters = letters.encode("ascii", errors="replace")
    bases = np.frombuffer(letters, dtype=np.uint8) if isinstance(letters, bytes) else np.asarray(letters)
    if bases.shape != (end - start,) or bases.dtype != np.uint8:
        message = (
            f"genome.fetch({chrom!r}, {start}, {end}) gave {bases.dtype} {bases.shape}, "
            f"expected {end - start} letters; do chrom_sizes belong to this genome?"
        )
        raise ConfigError(message, argument="genome", value=genome)
    if bases.size and bases.max() < ord("A"):
        message = f"genome.fetch({chrom!r}, {start}, {end}) gave numbers up to {bases.max()}, expected letters in ASCII"
        raise ConfigError(message, argument="genome", value=genome)
    return bases


def _edges(mask: npt.NDArray[Any]) -> Int64Array:
    """(2 * runs,) starts and ends of the runs of True, in turns."""
    return np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
