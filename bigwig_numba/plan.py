"""Windows x tracks to a ``ReadPlan``: the unique blocks, and which run of them each (window, track) needs. Pure.

``TrackTable`` holds the leaves of all files, ``plan_windows`` finds what a batch needs of them; how, is told in
``kernels/planning.py``. Shape letters: S windows, B bins, T tracks, K blocks, C chromosomes, L leaves.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ConfigError, WindowError
from .kernels.planning import (
    UNKNOWN_STOP,
    BlockArrays,
    PairArrays,
    SortedRequest,
    clip_windows,
    find_runs,
    group_windows,
    list_blocks,
)
from .parallel import ThreadTeam
from .track_table import TrackTable

__all__ = [
    "UNKNOWN_STOP",
    "BlockPlace",
    "ReadPlan",
    "TrackTable",
    "WindowRequest",
    "checked_length",
    "plan_request",
    "plan_windows",
    "request_windows",
]

Integers = npt.NDArray[np.int64]

MAX_POSITION = 2**62  # positions further out would overflow the arithmetic below
MAX_BLOCKS = 2**31 - 1  # block numbers of a plan are int32
SMALLEST_PIECE = 16_384  # (window, track) pairs: 0.4 ms; threads wake one after another, 0.07 ms each or more
BLOCK_TYPES = BlockArrays(
    leaves=np.int64, tracks=np.int32, offsets=np.int64, sizes=np.int64, capacities=np.int64, compressed=np.bool_,
    big_endian=np.bool_, stops=np.int64, follows=np.bool_,
)  # fmt: skip
PAIR_TYPES = PairArrays(first_blocks=np.int32, last_blocks=np.int32, chrom_ids=np.uint32)


@dataclass(frozen=True, slots=True)
class BlockPlace:
    """Where a block is: the number of its file, offset and size in bytes."""

    track: int
    offset: int
    size: int


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
    block_leaves
        (K,) int64, the block's number among the leaves of the ``TrackTable``.
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
    block_leaves: Integers
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

    def place_of(self, block: int) -> BlockPlace:
        """Where a block of the plan is."""
        return BlockPlace(int(self.block_tracks[block]), int(self.block_offsets[block]), int(self.block_sizes[block]))

    def __repr__(self) -> str:
        megabytes = int(self.block_sizes.sum()) / 1e6
        return (
            f"ReadPlan({self.n_windows} windows x {self.n_bins} bins of {self.window_size} bases x "
            f"{self.n_tracks} tracks, {self.n_blocks} blocks of {megabytes:.3f} MB in all)"
        )


@dataclass(frozen=True, slots=True, eq=False)
class WindowRequest:
    """Windows and tracks that were asked for, checked.

    Attributes
    ----------
    n_bins, window_size
        B, and the width of a bin in bases.
    chromosome_rows
        (S,) int64, rows of the table's ``chromosome_names``.
    starts
        (S,) int64, position of the first bin on the chromosome; may be negative.
    clip_starts, clip_ends
        (S,) int64, the part of the window's whole bins that lies on the chromosome.
    files
        (T,) int64, the file of each track.
    """

    n_bins: int
    window_size: int
    chromosome_rows: Integers
    starts: Integers
    clip_starts: Integers
    clip_ends: Integers
    files: Integers

    @property
    def shape(self) -> tuple[int, int, int]:
        """(S, B, T)."""
        return len(self.starts), self.n_bins, len(self.files)

    def of_tracks(self, first: int, last: int) -> WindowRequest:
        """The same windows of tracks ``[first, last)`` only."""
        return replace(self, files=self.files[first:last])

    def of_windows(self, first: int, last: int) -> WindowRequest:
        """Windows ``[first, last)`` only, in all tracks."""
        part = slice(first, last)
        return replace(
            self,
            chromosome_rows=self.chromosome_rows[part],
            starts=self.starts[part],
            clip_starts=self.clip_starts[part],
            clip_ends=self.clip_ends[part],
        )


def request_windows(
    tracks: TrackTable,
    chromosome_rows: Integers,
    *,
    starts: Integers,
    ends: Integers,
    window_size: int,
    track_indices: Integers | None = None,
) -> WindowRequest:
    """Check what is asked for; arguments and errors are those of :func:`plan_windows`."""
    files = _checked_files(tracks, track_indices)
    if window_size < 1:
        raise ConfigError(
            f"window_size is {window_size}, expected 1 or more", argument="window_size", value=window_size
        )
    clip_starts, clip_ends = np.empty(len(starts), np.int64), np.empty(len(starts), np.int64)
    if not 0 < len(starts) == len(ends) == len(chromosome_rows) or not clip_windows(
        chromosome_rows, starts, ends, tracks.chromosome_lengths, min(window_size, MAX_POSITION), MAX_POSITION,
        clip_starts, clip_ends,
    ):  # fmt: skip
        checked_length(len(tracks.chromosome_names), chromosome_rows, starts, ends)  # says what makes no sense
    return WindowRequest(
        n_bins=int(ends[0] - starts[0]) // window_size if len(starts) else 0,
        window_size=window_size,
        chromosome_rows=chromosome_rows,
        starts=starts,
        clip_starts=clip_starts,
        clip_ends=clip_ends,
        files=files,
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
    request = request_windows(
        tracks, chromosome_rows, starts=starts, ends=ends, window_size=window_size, track_indices=track_indices
    )
    return plan_request(tracks, request, team=team)


def plan_request(tracks: TrackTable, request: WindowRequest, *, team: ThreadTeam | None = None) -> ReadPlan:
    """Find the blocks that a checked request needs; see :func:`plan_windows`."""
    ordered = _sort_windows(request)
    runs, first_block = _find_runs(tracks, ordered, team)
    blocks, pairs = _list_blocks(tracks, ordered, runs, first_block, team)
    return ReadPlan(
        n_windows=len(request.starts),
        n_tracks=len(request.files),
        n_bins=request.n_bins,
        window_size=request.window_size,
        window_starts=request.starts,
        clip_starts=request.clip_starts,
        clip_ends=request.clip_ends,
        chrom_ids=pairs.chrom_ids,
        first_blocks=pairs.first_blocks,
        last_blocks=pairs.last_blocks,
        block_leaves=blocks.leaves,
        block_tracks=blocks.tracks,
        block_offsets=blocks.offsets,
        block_sizes=blocks.sizes,
        block_capacities=blocks.capacities,
        block_compressed=blocks.compressed,
        block_big_endian=blocks.big_endian,
        block_stops=blocks.stops,
        block_follows=blocks.follows,
    )


def _sort_windows(request: WindowRequest) -> SortedRequest:
    """The windows by chromosome and start."""
    # Both ends of equally long windows grow with the start, clipped or not, so their sum sorts by both.
    order = np.argsort((request.chromosome_rows << 34) + request.clip_starts + request.clip_ends)
    n_windows = len(order)
    clip_starts, clip_ends = np.empty(n_windows, np.int64), np.empty(n_windows, np.int64)
    first_window, group_rows = np.empty(n_windows + 1, np.int64), np.empty(n_windows, np.int64)
    n_groups = group_windows(
        order, request.chromosome_rows, request.clip_starts, request.clip_ends, clip_starts, clip_ends, first_window,
        group_rows,
    )  # fmt: skip
    return SortedRequest(
        order=order,
        clip_starts=clip_starts,
        clip_ends=clip_ends,
        first_window=first_window[: n_groups + 1],
        group_rows=group_rows[:n_groups],
        files=request.files,
    )


def _run(team: ThreadTeam | None, function: Callable[..., None], request: SortedRequest, *arguments: Any) -> None:
    """Call a function on the range of tracks, in pieces of enough (window, track) pairs where there is a team."""
    n_tracks, n_windows = len(request.files), len(request.order)
    if team is None:
        function(0, n_tracks, *arguments)
    else:
        team.run(function, n_tracks, *arguments, smallest=-(-SMALLEST_PIECE // max(1, n_windows)))


def _find_runs(
    tracks: TrackTable, request: SortedRequest, team: ThreadTeam | None
) -> tuple[npt.NDArray[np.int32], Integers]:
    """Runs of each track's own blocks, (3, T, S), and where the blocks of each track begin, (T + 1,)."""
    n_tracks, n_windows = len(request.files), len(request.order)
    runs = np.empty((3, n_tracks, n_windows), dtype=np.int32)
    first_block = np.zeros(n_tracks + 1, dtype=np.int64)
    _run(team, find_runs, request, tracks.leaves, request, runs, first_block[1:])
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
) -> tuple[BlockArrays, PairArrays]:
    """The blocks, track by track, and what each (window, track) needs of them."""
    n_blocks, shape = int(first_block[-1]), (len(request.order), len(request.files))
    arrays = _side_by_side([((n_blocks,), dtype) for dtype in BLOCK_TYPES] + [(shape, dtype) for dtype in PAIR_TYPES])
    blocks, pairs = BlockArrays(*arrays[: len(BLOCK_TYPES)]), PairArrays(*arrays[len(BLOCK_TYPES) :])
    _run(team, list_blocks, request, tracks.leaves, request, first_block, runs, tracks.chrom_ids, blocks, pairs)
    return blocks, pairs


def _side_by_side(wanted: Sequence[tuple[tuple[int, ...], type[np.generic]]]) -> list[npt.NDArray[Any]]:
    """Uninitialised arrays of these shapes and types, from one piece of memory.

    The C library keeps freed memory if it is less than twice its largest piece so far. Of twelve pieces it kept little,
    and pages that are new each time cost as much as all of planning. Sizes are rounded up, so that they come again.
    """
    sizes = [(math.prod(shape) * np.dtype(dtype).itemsize + 63) // 64 * 64 for shape, dtype in wanted]
    n_bytes = sum(sizes)
    step = 1 << max(n_bytes.bit_length() - 4, 0)
    memory = np.empty(-(-n_bytes // step) * step, np.uint8)
    places = itertools.accumulate(sizes, initial=0)
    return [np.ndarray(shape, dtype, memory, place) for (shape, dtype), place in zip(wanted, places, strict=False)]


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


def checked_length(n_chromosomes: int, chromosome_rows: Integers, starts: Integers, ends: Integers) -> int:
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
