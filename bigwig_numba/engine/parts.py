"""Cut a request that would not fit into memory: fewer tracks at a time, and fewer windows where one track is too much.

Blocks of different tracks are different blocks, so cutting between tracks inflates nothing twice. Cutting between
windows inflates a block again for each part that needs it, so windows are cut only where a single track does not fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..parallel import ThreadTeam
from ..plan import ReadPlan, TrackTable, WindowRequest, plan_request

__all__ = ["Part", "parts_of_request"]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A plan that fits, and where its values go.

    Attributes
    ----------
    plan
        What to read.
    first_window, first_track
        Where the plan's values begin in the output.
    """

    plan: ReadPlan
    first_window: int = 0
    first_track: int = 0


def parts_of_request(
    tracks: TrackTable, request: WindowRequest, *, most_bytes: int, team: ThreadTeam | None = None
) -> Iterator[Part]:
    """Plan a request in parts whose inflated blocks take ``most_bytes`` at most, or one window's blocks of one track.

    Parameters
    ----------
    tracks, request, team
        As for ``plan.plan_request``.
    most_bytes
        For the inflated blocks of a part.

    Yields
    ------
    Part
        One that is the whole request, where that fits.
    """
    plan = plan_request(tracks, request, team=team)
    if int(plan.block_capacities.sum()) <= most_bytes:
        yield Part(plan)
        return
    for first, last in _cut_tracks(plan, most_bytes):
        if last - first > 1:
            yield Part(_of_tracks(plan, first, last), first_track=first)
        else:
            yield from _cut_windows(tracks, request.of_tracks(first, last), most_bytes, team, first)


def _cut_windows(
    tracks: TrackTable, request: WindowRequest, most_bytes: int, team: ThreadTeam | None, track: int, window: int = 0
) -> Iterator[Part]:
    """Halve the windows of one track until their blocks fit."""
    plan = plan_request(tracks, request, team=team)
    if int(plan.block_capacities.sum()) <= most_bytes or plan.n_windows <= 1:
        yield Part(plan, first_window=window, first_track=track)
        return
    middle = plan.n_windows // 2
    for first, last in ((0, middle), (middle, plan.n_windows)):
        yield from _cut_windows(tracks, request.of_windows(first, last), most_bytes, team, track, window + first)


def _cut_tracks(plan: ReadPlan, most_bytes: int) -> Iterator[tuple[int, int]]:
    """Ranges of tracks, each as many as fit, at least one."""
    sums = np.concatenate(([0], np.cumsum(plan.block_capacities)))
    first, begin, previous = 0, 0, 0
    for track, end in enumerate(sums[_first_blocks_of_tracks(plan)[1:]].tolist()):
        if track > first and end - begin > most_bytes:
            yield first, track
            first, begin = track, previous
        previous = end
    yield first, plan.n_tracks


def _first_blocks_of_tracks(plan: ReadPlan) -> npt.NDArray[np.int64]:
    """(T + 1,) where each track's blocks begin: a plan lists them track by track."""
    has_blocks = (plan.last_blocks > plan.first_blocks).any(axis=0)
    numbers = np.zeros(plan.n_tracks + 1, np.int64)
    numbers[1:][has_blocks] = np.diff(np.append(np.flatnonzero(~plan.block_follows), plan.n_blocks))
    return np.cumsum(numbers)


def _of_tracks(plan: ReadPlan, first: int, last: int) -> ReadPlan:
    """The part of a plan that is about tracks ``[first, last)``."""
    edges = _first_blocks_of_tracks(plan)
    blocks = slice(int(edges[first]), int(edges[last]))

    def runs(numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        # Empty runs are (0, 0) in the whole plan, and stay it.
        return np.ascontiguousarray(np.maximum(numbers[:, first:last] - np.int32(blocks.start), 0))

    return replace(
        plan,
        n_tracks=last - first,
        chrom_ids=np.ascontiguousarray(plan.chrom_ids[:, first:last]),
        first_blocks=runs(plan.first_blocks),
        last_blocks=runs(plan.last_blocks),
        block_leaves=plan.block_leaves[blocks],
        block_tracks=plan.block_tracks[blocks],
        block_offsets=plan.block_offsets[blocks],
        block_sizes=plan.block_sizes[blocks],
        block_capacities=plan.block_capacities[blocks],
        block_compressed=plan.block_compressed[blocks],
        block_big_endian=plan.block_big_endian[blocks],
        block_stops=plan.block_stops[blocks],
        block_follows=plan.block_follows[blocks],
    )
