"""The blocks of whole chromosomes in batches, from one end of the genome to the other, all tracks side by side. Pure.

::

    line        chr1                                   chr2
    track 0     ####  ####  #######  ####  ###         #####  ####
    track 1       ######   ####  ##  ###   ####        ###  ######
    batches     |    0      |   1      |   2           |   |  3
                                ^ begins where a block begins; a block that reaches over is read in both, and each of
                                  its items counts in the batch in which it starts

So each batch answers for a stretch of the line alone, and the answers follow each other sorted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .kernels.intervals import STRIDE
from .kernels.planning import LARGEST_SECTION, UNKNOWN_STOP
from .plan import ReadPlan, TrackTable, plan_windows

__all__ = ["ChromosomeLookup", "IntervalBatch", "plan_batches"]

Int64Array = npt.NDArray[np.int64]

END_OF_LINE = 2**62
MOST_BYTES = 1 << 30  # of the inflated blocks of a batch


@dataclass(frozen=True, slots=True, eq=False)
class ChromosomeLookup:
    """Which chromosomes of each file are wanted, and where they lie on the line.

    Attributes
    ----------
    first_ids
        (T + 1,) int64: those of file t are ``first_ids[t]`` to ``first_ids[t + 1]`` of the others.
    ids
        (C,) uint32, the file's numbers, ascending in each file.
    offsets, lengths
        (C,) int64, where the chromosome begins on the line, -1 if it is not wanted; its bases in the file.
    genome_starts
        (C,) int64, where it begins among the file's chromosomes; ascending in each file, as the numbers are.
    """

    first_ids: Int64Array
    ids: npt.NDArray[np.uint32]
    offsets: Int64Array
    lengths: Int64Array
    genome_starts: Int64Array

    @classmethod
    def of(cls, tracks: TrackTable, names: Sequence[str]) -> ChromosomeLookup:
        """Look up chromosomes, which lie on the line in the order of ``names``."""
        places = {name: number * STRIDE for number, name in enumerate(names)}
        offsets = np.array([places.get(name, -1) for name in tracks.chromosome_names], np.int64)
        columns, rows = np.nonzero(tracks.genome_starts.T >= 0)  # file by file
        genome_starts = tracks.genome_starts[rows, columns]
        order = np.lexsort((genome_starts, columns))
        rows, columns = rows[order], columns[order]
        return cls(
            first_ids=np.searchsorted(columns, np.arange(tracks.n_tracks + 1)).astype(np.int64),
            ids=np.ascontiguousarray(tracks.chrom_ids[rows, columns]),
            offsets=offsets[rows],
            lengths=tracks.genome_ends[rows, columns] - tracks.genome_starts[rows, columns],
            genome_starts=genome_starts[order],
        )


@dataclass(frozen=True, slots=True, eq=False)
class IntervalBatch:
    """Some blocks, and the stretch [first, stop) of the line that they answer for."""

    plan: ReadPlan
    first: int
    stop: int


@dataclass(frozen=True, slots=True, eq=False)
class _Reaches:
    """Blocks on the line (N,), sorted by start; a block whose index entry spans chromosomes is there several times."""

    leaves: Int64Array
    starts: Int64Array
    ends: Int64Array


def plan_batches(tracks: TrackTable, lookup: ChromosomeLookup, *, batch_size: int) -> Iterator[IntervalBatch]:
    """Plans for all blocks of the wanted chromosomes.

    Parameters
    ----------
    tracks
        The files.
    lookup
        Their chromosomes.
    batch_size
        Blocks of a batch, besides those that reach into it; fewer where blocks are so large that they would take more
        than a gigabyte.
    """
    largest = min(max(tracks.capacities.max(initial=1), tracks.leaf_sizes.max(initial=1)), LARGEST_SECTION)
    batch_size = min(batch_size, max(MOST_BYTES // int(largest), 1))
    reaches = _blocks_on_line(tracks, lookup)
    nothing = np.empty(0, np.int64)
    template = plan_windows(tracks, nothing, starts=nothing, ends=nothing, window_size=1)
    carried = nothing  # rows of `reaches` that may go on in the next batch
    first_row = 0
    while first_row < len(reaches.leaves):
        last_row = _end_of_batch(reaches.starts, first_row, batch_size)
        first = int(reaches.starts[first_row])
        stop = int(reaches.starts[last_row]) if last_row < len(reaches.starts) else END_OF_LINE
        rows = np.concatenate((carried[reaches.ends[carried] > first], np.arange(first_row, last_row)))
        yield IntervalBatch(_plan_leaves(template, tracks, np.unique(reaches.leaves[rows])), first, stop)
        first_row, carried = last_row, rows


def _end_of_batch(starts: Int64Array, first_row: int, batch_size: int) -> int:
    """Where the next batch begins: at a start of its own, so that no batch answers for nothing."""
    last_row = first_row + batch_size
    if last_row >= len(starts):
        return len(starts)
    before = int(np.searchsorted(starts, starts[last_row], side="left"))
    return before if before > first_row else int(np.searchsorted(starts, starts[last_row], side="right"))


def _blocks_on_line(tracks: TrackTable, lookup: ChromosomeLookup) -> _Reaches:
    """All blocks that may have items on wanted chromosomes."""
    parts = [_blocks_of_track(tracks, lookup, track) for track in range(tracks.n_tracks)]
    leaves, starts, ends = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.argsort(starts, kind="stable")
    return _Reaches(leaves[order], starts[order], ends[order])


def _blocks_of_track(
    tracks: TrackTable, lookup: ChromosomeLookup, track: int
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Leaves, starts and ends on the line of one file's blocks, once for each wanted chromosome that they may touch."""
    leaves = np.arange(tracks.first_leaf[track], tracks.first_leaf[track + 1])
    first_id, last_id = lookup.first_ids[track], lookup.first_ids[track + 1]
    genome_starts = lookup.genome_starts[first_id:last_id]
    starts, ends = tracks.leaf_starts[leaves], tracks.leaf_reaches[leaves]
    first = np.searchsorted(genome_starts, starts, side="right") - 1
    counts = np.maximum(np.searchsorted(genome_starts, ends, side="left") - first, 1)
    rows = np.repeat(np.arange(len(leaves)), counts)
    ids = first[rows] + np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    offsets, begins = lookup.offsets[first_id:last_id][ids], genome_starts[ids]
    wanted = offsets >= 0
    rows, offsets, begins = rows[wanted], offsets[wanted], begins[wanted]
    line_starts = offsets + np.maximum(starts[rows] - begins, 0)
    return leaves[rows], line_starts, offsets + np.minimum(ends[rows] - begins, STRIDE)


def _plan_leaves(template: ReadPlan, tracks: TrackTable, leaves: Int64Array) -> ReadPlan:
    """A plan of these blocks, ascending, to be read whole, and of no windows."""
    files = (np.searchsorted(tracks.first_leaf, leaves, side="right") - 1).astype(np.int32)
    sizes, capacities = tracks.leaf_sizes[leaves], tracks.capacities[files]
    follows = np.zeros(len(leaves), np.bool_)
    follows[1:] = (files[1:] == files[:-1]) & (np.diff(leaves) == 1)
    return dataclasses.replace(
        template,
        block_leaves=leaves,
        block_tracks=files,
        block_offsets=tracks.leaf_offsets[leaves],
        block_sizes=sizes,
        block_capacities=np.where(capacities > 0, np.minimum(capacities, LARGEST_SECTION), sizes),
        block_compressed=capacities > 0,
        block_big_endian=tracks.big_endian[files],
        block_stops=np.full(len(leaves), UNKNOWN_STOP, np.int64),
        block_follows=follows,
    )
