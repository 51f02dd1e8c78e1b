"""Windows x tracks to a ``ReadPlan``: the unique blocks, and which run of them each (window, track) needs. Pure.

``TrackTable`` holds the leaves of all files, ``plan_windows`` finds what a batch needs of them; how, is told in
``kernels/planning.py``. Shape letters: S windows, B bins, T tracks, K blocks, C chromosomes, L leaves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .errors import ConfigError, WindowError
from .kernels.planning import (
    TILE_WINDOWS,
    UNKNOWN_STOP,
    BlockArrays,
    LeafArrays,
    SortedRequest,
    find_runs,
    list_blocks,
    write_pairs,
)
from .parallel import ThreadTeam

if TYPE_CHECKING:
    from .index import FileIndex

__all__ = ["UNKNOWN_STOP", "ReadPlan", "TrackTable", "plan_windows"]

logger = logging.getLogger(__name__)

Integers = npt.NDArray[np.int64]

MAX_POSITION = 2**62  # positions further out would overflow the arithmetic below
MAX_BLOCKS = 2**31 - 1  # block numbers of a plan are int32
SMALLEST_PIECE = 4_096  # (window, track) pairs: about 0.1 ms, below which a thread costs more than it does


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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ReadPlan:
    """What a batch needs: the seam between coordinates and bytes.

    Attributes
    ----------
    n_windows, n_tracks, n_bins, window_size
        S, T, B, and the width of a bin in bases.
    window_starts
        (S,) int64, position of the first bin on the chromosome; may be negative.
    clip_starts, clip_ends
        (S,) int64, the part of the window's whole bins that lies on the chromosome.
    chrom_ids
        (S, T) uint32, the file's number of the window's chromosome: what a section must carry to count.
    first_blocks, last_blocks
        (S, T) int32, the run ``[first, last)`` of the plan's blocks that (window, track) needs.
    block_tracks
        (K,) int32, the file that a block is in (a row of the ``TrackTable``, not of the requested tracks).
    block_offsets, block_sizes
        (K,) int64, bytes in the file.
    block_capacities
        (K,) int64, bytes once inflated, at most.
    block_compressed, block_big_endian
        (K,) bool.
    block_follows
        (K,) bool, whether the block before it in the plan stands before it in the same file, too.
    block_stops
        (K,) int64, no window needs a base of the block at or after this position of its chromosome;
        ``UNKNOWN_STOP`` where windows on several chromosomes meet in one block.
    """

    n_windows: int
    n_tracks: int
    n_bins: int
    window_size: int
    window_starts: Integers
    clip_starts: Integers
    clip_ends: Integers
    chrom_ids: npt.NDArray[np.uint32]
    first_blocks: npt.NDArray[np.int32]
    last_blocks: npt.NDArray[np.int32]
    block_tracks: npt.NDArray[np.int32]
    block_offsets: Integers
    block_sizes: Integers
    block_capacities: Integers
    block_compressed: npt.NDArray[np.bool_]
    block_big_endian: npt.NDArray[np.bool_]
    block_stops: Integers
    block_follows: npt.NDArray[np.bool_]

    @property
    def n_blocks(self) -> int:
        """Number of unique blocks, K."""
        return len(self.block_tracks)

    def __repr__(self) -> str:
        megabytes = int(self.block_sizes.sum()) / 1e6
        return (
            f"ReadPlan({self.n_windows} windows x {self.n_bins} bins of {self.window_size} bases x "
            f"{self.n_tracks} tracks, {self.n_blocks} blocks of {megabytes:.3f} MB in all)"
        )


def plan_windows(
    tracks: TrackTable,
    chromosome_rows: Integers,
    *,
    starts: Integers,
    ends: Integers,
    window_size: int,
    track_indices: Integers | None = None,
    team: ThreadTeam | None = None,
) -> ReadPlan:
    """Find the blocks that windows need, each once, ordered by (track as requested, leaf).

    Parameters
    ----------
    tracks
        The files.
    chromosome_rows
        (S,) int64, rows of ``tracks.chromosome_names``.
    starts, ends
        (S,) int64, positions on the chromosome; one length for all. They may lie outside the chromosome.
    window_size
        Bases per bin. ``B = (end - start) // window_size``: a partial last bin is dropped.
    track_indices
        (T,) int64, files to read, in the order of the last axis; all if None.
    team
        Threads to plan with; without them the calling thread does it all.

    Returns
    -------
    ReadPlan

    Raises
    ------
    WindowError
        Rows whose length differs from the others', that end before they start, or are out of range.
    ConfigError
        A track index or a window size that does not exist.
    """
    files = _checked_files(tracks, track_indices)
    if window_size < 1:
        raise ConfigError(
            f"window_size is {window_size}, expected 1 or more", argument="window_size", value=window_size
        )
    length = _checked_length(len(tracks.chromosome_names), chromosome_rows, starts, ends)
    n_bins = length // window_size
    chromosome_lengths = tracks.chromosome_lengths[chromosome_rows]
    clip_starts = np.clip(starts, 0, chromosome_lengths)
    clip_ends = np.clip(starts + n_bins * window_size, 0, chromosome_lengths)
    request = _sort_windows(chromosome_rows, clip_starts, clip_ends, files)
    runs, first_block = _find_runs(tracks, request, team)
    blocks = _list_blocks(tracks, request, runs, first_block, team)
    first_blocks, last_blocks, chrom_ids = _write_pairs(tracks, request, runs, team)
    return ReadPlan(
        n_windows=len(starts),
        n_tracks=len(files),
        n_bins=n_bins,
        window_size=window_size,
        window_starts=starts,
        clip_starts=clip_starts,
        clip_ends=clip_ends,
        chrom_ids=chrom_ids,
        first_blocks=first_blocks,
        last_blocks=last_blocks,
        block_tracks=blocks.tracks,
        block_offsets=blocks.offsets,
        block_sizes=blocks.sizes,
        block_capacities=blocks.capacities,
        block_compressed=blocks.compressed,
        block_big_endian=blocks.big_endian,
        block_stops=blocks.stops,
        block_follows=_follow(first_block),
    )


def _follow(first_block: Integers) -> npt.NDArray[np.bool_]:
    """All blocks but the first of each track: (K,) from where the blocks of each track begin, (T + 1,)."""
    follows = np.ones(int(first_block[-1]), dtype=np.bool_)
    follows[first_block[:-1][np.diff(first_block) > 0]] = False
    return follows


def _sort_windows(
    chromosome_rows: Integers, clip_starts: Integers, clip_ends: Integers, files: Integers
) -> SortedRequest:
    # Both ends of equally long windows grow with the start, clipped or not, so their sum sorts by both.
    order = np.argsort((chromosome_rows << 34) + clip_starts + clip_ends)
    rows = chromosome_rows[order]
    is_first = np.ones(len(rows), dtype=np.bool_)
    np.not_equal(rows[1:], rows[:-1], out=is_first[1:])
    first_window = np.flatnonzero(is_first)
    return SortedRequest(
        order=order,
        clip_starts=clip_starts[order],
        clip_ends=clip_ends[order],
        first_window=np.append(first_window, len(rows)),
        group_rows=rows[first_window],
        files=files,
    )


def _run(team: ThreadTeam | None, function: Callable[..., None], n_items: int, pairs: int, *arguments: Any) -> None:
    """Call a function on a range of items, in pieces of enough (window, track) pairs where there is a team."""
    if team is None:
        function(0, n_items, *arguments)
    else:
        team.run(function, n_items, *arguments, smallest=-(-SMALLEST_PIECE // max(1, pairs)))


def _find_runs(
    tracks: TrackTable, request: SortedRequest, team: ThreadTeam | None
) -> tuple[npt.NDArray[np.int32], Integers]:
    """Runs of leaves, (2, T, S), and where the blocks of each track begin, (T + 1,)."""
    n_tracks, n_windows = len(request.files), len(request.order)
    runs = np.empty((2, n_tracks, n_windows), dtype=np.int32)
    first_block = np.zeros(n_tracks + 1, dtype=np.int64)
    _run(team, find_runs, n_tracks, n_windows, tracks.leaves, request, runs, first_block[1:])
    np.cumsum(first_block, out=first_block)
    if first_block[-1] > MAX_BLOCKS:
        message = f"The windows need {first_block[-1]} blocks, more than {MAX_BLOCKS}: ask for fewer windows or tracks"
        raise WindowError(message, rows=())
    return runs, first_block


def _list_blocks(
    tracks: TrackTable,
    request: SortedRequest,
    runs: npt.NDArray[np.int32],
    first_block: Integers,
    team: ThreadTeam | None,
) -> BlockArrays:
    """The unique blocks; the runs of leaves become runs of blocks."""
    n_blocks = int(first_block[-1])
    blocks = BlockArrays(
        tracks=np.empty(n_blocks, dtype=np.int32),
        offsets=np.empty(n_blocks, dtype=np.int64),
        sizes=np.empty(n_blocks, dtype=np.int64),
        capacities=np.empty(n_blocks, dtype=np.int64),
        compressed=np.empty(n_blocks, dtype=np.bool_),
        big_endian=np.empty(n_blocks, dtype=np.bool_),
        stops=np.empty(n_blocks, dtype=np.int64),
    )
    n_tracks, n_windows = len(request.files), len(request.order)
    _run(team, list_blocks, n_tracks, n_windows, tracks.leaves, request, first_block, runs, blocks)
    return blocks


def _write_pairs(
    tracks: TrackTable, request: SortedRequest, runs: npt.NDArray[np.int32], team: ThreadTeam | None
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.uint32]]:
    """The runs of blocks, and the file's chromosome, of each (window, track), (S, T)."""
    shape = (len(request.order), len(request.files))
    pairs = (np.empty(shape, dtype=np.int32), np.empty(shape, dtype=np.int32), np.empty(shape, dtype=np.uint32))
    n_tiles = -(-shape[0] // TILE_WINDOWS)
    _run(team, write_pairs, n_tiles, TILE_WINDOWS * shape[1], request, runs, tracks.chrom_ids, *pairs)
    return pairs


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


def _checked_files(tracks: TrackTable, track_indices: Integers | None) -> Integers:
    """The requested files, none of which is out of range."""
    if track_indices is None:
        return np.arange(tracks.n_tracks, dtype=np.int64)
    files = np.ascontiguousarray(track_indices, dtype=np.int64)
    wrong = files[(files < 0) | (files >= tracks.n_tracks)]
    if len(wrong):
        expected = f"expected 0 to {tracks.n_tracks - 1}" if tracks.n_tracks else "there are no tracks"
        raise ConfigError(f"track_indices has {wrong[0]}, {expected}", argument="track_indices", value=track_indices)
    return files


def _checked_length(n_chromosomes: int, chromosome_rows: Integers, starts: Integers, ends: Integers) -> int:
    """The one length of the windows in bases; 0 if there are none."""
    if not len(chromosome_rows) == len(starts) == len(ends):
        sizes = (len(chromosome_rows), len(starts), len(ends))
        raise WindowError(
            f"There are {sizes[0]} chromosomes, {sizes[1]} starts and {sizes[2]} ends, expected as many of each",
            rows=range(min(sizes), max(sizes)),
        )
    if len(starts) == 0:
        return 0
    _refuse((chromosome_rows < 0) | (chromosome_rows >= n_chromosomes), "are on a chromosome that does not exist")
    beyond = (np.minimum(starts, ends) < -MAX_POSITION) | (np.maximum(starts, ends) > MAX_POSITION)
    _refuse(beyond, f"have a position beyond {MAX_POSITION}")
    lengths = ends - starts
    _refuse(lengths < 0, "end before they start")
    if (lengths != lengths[0]).any():
        values, counts = np.unique(lengths, return_counts=True)
        length = values[counts.argmax()]
        _refuse(lengths != length, f"are not {length} bases long as the others are; windows of a batch have one length")
    return int(lengths[0])


def _refuse(wrong: npt.NDArray[np.bool_], reason: str) -> None:
    """Raise for the rows that are wrong, if any."""
    rows = np.flatnonzero(wrong).tolist()
    if rows:
        shown = ", ".join(map(str, rows[:10])) + (", ..." if len(rows) > 10 else "")
        raise WindowError(f"{len(rows)} of {len(wrong)} windows {reason}: rows {shown}", rows=rows)
