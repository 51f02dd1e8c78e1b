"""What planning needs to know of many files, in flat arrays. Shape letters: T tracks, C chromosomes, L leaves."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .kernels.planning import LeafArrays

if TYPE_CHECKING:
    from .index import FileIndex

__all__ = ["TrackTable"]

logger = logging.getLogger(__name__)

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TrackTable:
    """What planning needs to know of T files, in flat arrays.

    Attributes
    ----------
    leaf_starts, leaf_reaches
        (L,) int64, genome positions of the file: where a leaf starts, and the furthest end of the leaves up to it.
    leaf_offsets, leaf_sizes
        (L,) int64, bytes in the file.
    first_leaf
        (T + 1,) int64: the leaves of file t are ``first_leaf[t]`` to ``first_leaf[t + 1]``.
    genome_starts, genome_ends
        (C, T) int64, genome positions of a chromosome in a file; -1 where the file lacks it.
    chrom_ids
        (C, T) uint32, the chromosome's number in the file; 0 where the file lacks it.
    chromosome_names
        (C,), in order of first appearance.
    chromosome_lengths
        (C,) int64, bases: the largest over the files.
    capacities
        (T,) int64, bytes of the largest inflated block; 0 where blocks are not compressed.
    big_endian
        (T,) bool.
    """

    leaf_starts: Integers
    leaf_reaches: Integers
    leaf_offsets: Integers
    leaf_sizes: Integers
    first_leaf: Integers
    genome_starts: Integers
    genome_ends: Integers
    chrom_ids: npt.NDArray[np.uint32]
    chromosome_names: tuple[str, ...]
    chromosome_lengths: Integers
    capacities: Integers
    big_endian: npt.NDArray[np.bool_]

    @property
    def n_tracks(self) -> int:
        """Number of files."""
        return len(self.first_leaf) - 1

    @property
    def n_bytes(self) -> int:
        """Bytes that the arrays take."""
        return sum(getattr(self, field.name).nbytes for field in fields(self) if field.name != "chromosome_names")

    @property
    def leaves(self) -> LeafArrays:
        """The arrays as compiled functions take them."""
        return LeafArrays(
            starts=self.leaf_starts,
            reaches=self.leaf_reaches,
            offsets=self.leaf_offsets,
            sizes=self.leaf_sizes,
            first_leaf=self.first_leaf,
            genome_starts=self.genome_starts,
            genome_ends=self.genome_ends,
            capacities=self.capacities,
            big_endian=self.big_endian,
        )

    @classmethod
    def from_indexes(cls, indexes: Sequence[FileIndex]) -> TrackTable:
        """Flatten the indexes of files; where they disagree on a chromosome's length, the largest counts.

        Parameters
        ----------
        indexes
            One per file, in track order.
        """
        names, rows = _number_chromosomes(indexes)
        shape = (len(names), len(indexes))
        genome_starts = np.full(shape, -1, dtype=np.int64)
        genome_ends = np.full(shape, -1, dtype=np.int64)
        chrom_ids = np.zeros(shape, dtype=np.uint32)
        for track, (index, file_rows) in enumerate(zip(indexes, rows, strict=True)):
            genome_starts[file_rows, track] = index.chromosomes.genome_starts
            genome_ends[file_rows, track] = index.chromosomes.genome_starts + index.chromosomes.lengths
            chrom_ids[file_rows, track] = index.chromosomes.ids
        lengths = np.where(genome_starts >= 0, genome_ends - genome_starts, -1)
        _warn_of_disagreement(names, lengths, [index.url for index in indexes])
        blocks = [index.blocks for index in indexes]
        first_leaf = np.zeros(len(indexes) + 1, dtype=np.int64)
        np.cumsum([len(block.starts) for block in blocks], out=first_leaf[1:])
        capacities = [index.header.uncompress_buffer_size for index in indexes]
        return cls(
            leaf_starts=_concatenate([block.starts for block in blocks]),
            leaf_reaches=_concatenate([block.reaches for block in blocks]),
            leaf_offsets=_concatenate([block.offsets for block in blocks]),
            leaf_sizes=_concatenate([block.sizes for block in blocks]),
            first_leaf=first_leaf,
            genome_starts=genome_starts,
            genome_ends=genome_ends,
            chrom_ids=chrom_ids,
            chromosome_names=names,
            chromosome_lengths=lengths.max(axis=1, initial=0),
            capacities=np.array(capacities, dtype=np.int64),
            big_endian=np.array([index.header.big_endian for index in indexes], dtype=np.bool_),
        )


def _number_chromosomes(indexes: Sequence[FileIndex]) -> tuple[tuple[str, ...], list[npt.NDArray[np.intp]]]:
    """All chromosome names, and per file the row of each of its chromosomes."""
    numbers: dict[str, int] = {}
    known: dict[tuple[str, ...], npt.NDArray[np.intp]] = {}  # files of one assembly share their names
    rows = []
    for index in indexes:
        names = index.chromosomes.names
        if names not in known:
            known[names] = np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.intp)
        rows.append(known[names])
    return tuple(numbers), rows


def _concatenate(arrays: Sequence[Integers]) -> Integers:
    return np.concatenate(arrays) if len(arrays) else np.empty(0, dtype=np.int64)


def _warn_of_disagreement(names: Sequence[str], lengths: Integers, urls: Sequence[str]) -> None:
    """Log one warning if files differ in a chromosome's length, which is a sign of different assemblies."""
    if not lengths.size:
        return
    largest = lengths.max(axis=1)
    differing = np.flatnonzero(((lengths >= 0) & (lengths < largest[:, None])).any(axis=1))
    if len(differing) == 0:
        return
    row = differing[0]
    present = np.flatnonzero(lengths[row] >= 0)
    shortest, longest = present[lengths[row, present].argmin()], present[lengths[row, present].argmax()]
    logger.warning(
        "Files disagree on the length of %d chromosome(s), so they may be of different assemblies: %s has %d bases in "
        "%s and %d in %s. The largest counts.",
        len(differing),
        names[row],
        lengths[row, shortest],
        urls[shortest],
        lengths[row, longest],
        urls[longest],
    )
