"""What engines are asked for, and answer, when they look for intervals; the CPU's way of finding them.

A *run* is an interval, or several neighbouring ones joined, on the line of ``kernels.intervals``.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from ..kernels.intervals import find_runs_range
from ..plan import ReadPlan, TrackTable
from ..storage import ByteSource
from .check import raise_for_statuses
from .cpu import CpuEngine
from .store import fetch_blocks

__all__ = ["CpuRunFinder", "RunFinder", "RunQuery", "Runs", "choose_run_finder", "sorted_runs"]

Int64Array = npt.NDArray[np.int64]

SMALLEST_PIECE = 8  # blocks; below that a thread costs more than it does


@dataclass(frozen=True, slots=True, eq=False)
class RunQuery:
    """Which items of T files are wanted, and what becomes of them.

    Attributes
    ----------
    scales : (T,) float32
        What each file's values are multiplied with.
    first_ids : (T + 1,) int64
        The chromosomes of file t are ``first_ids[t]`` to ``first_ids[t + 1]`` of the next three.
    ids : (C,) uint32
        The file's own numbers, ascending in each file.
    offsets, lengths : (C,) int64
        Where on the line the chromosome begins, -1 if it is not wanted; its bases.
    cut_starts, cut_ends : (M,) int64
        What is excluded, on the line: sorted, disjoint, not touching.
    threshold
        Values must be larger, once scaled; None for all values.
    gap
        Runs at most so many bases apart are joined; -1 joins nothing.
    """

    scales: npt.NDArray[np.float32]
    first_ids: Int64Array
    ids: npt.NDArray[np.uint32]
    offsets: Int64Array
    lengths: Int64Array
    cut_starts: Int64Array
    cut_ends: Int64Array
    threshold: float | None
    gap: int


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Runs on the line, sorted by start; if they were joined, more than the gap apart.

    Attributes
    ----------
    starts, ends : (N,) int64
    values : (N,) float32
        The largest value in each.
    """

    starts: Int64Array
    ends: Int64Array
    values: npt.NDArray[np.float32]


class RunFinder(Protocol):
    """Finds the runs of a plan's blocks, on one engine; several threads may use it.

    Attributes
    ----------
    n_at_a_time
        Plans that are worth working on at a time.
    """

    n_at_a_time: int

    def find(self, plan: ReadPlan, sources: Sequence[ByteSource], first: int, stop: int) -> Runs:
        """Runs of the items that start in [first, stop) of the line, in host memory."""
        ...


def choose_run_finder(engine: Any, query: RunQuery, tracks: TrackTable) -> RunFinder:
    """The finder of an engine; that of CUDA is imported only now, as CuPy may be missing.

    Parameters
    ----------
    engine
        Fetches and inflates.
    query
        What is wanted.
    tracks
        Of which plans will be: blocks that the engine keeps of these are not fetched again.
    """
    if engine.name == "cpu":
        return CpuRunFinder(engine, query)
    on_cuda = importlib.import_module(".interval_runs_cuda", __package__)
    return cast(RunFinder, on_cuda.CudaRunFinder(engine, query, tracks))


class CpuRunFinder:
    """Finds runs with the CPU engine.

    Parameters
    ----------
    engine
        Inflates, and has the threads.
    query
        What is wanted.
    """

    n_at_a_time = 2  # one is being fetched while the other is worked on

    def __init__(self, engine: CpuEngine, query: RunQuery) -> None:
        self._engine, self._query = engine, query

    def find(self, plan: ReadPlan, sources: Sequence[ByteSource], first: int, stop: int) -> Runs:
        """Runs of the items that start in [first, stop) of the line."""
        team, query = self._engine.team, self._query
        inflated = self._engine.inflate(fetch_blocks(plan, sources, team=team), plan)
        raise_for_statuses(inflated.statuses, plan, sources)
        places = np.zeros(plan.n_blocks, np.int64)

        def run(writing: bool, runs: Runs) -> None:
            team.run(
                find_runs_range, plan.n_blocks, inflated.words, inflated.bases, inflated.counts, plan.block_big_endian,
                plan.block_tracks, query.scales, query.first_ids, query.ids, query.offsets, query.lengths,
                np.float32(0.0 if query.threshold is None else query.threshold), query.threshold is not None,
                query.gap, first, stop, query.cut_starts, query.cut_ends, writing, places, runs.starts, runs.ends,
                runs.values, smallest=SMALLEST_PIECE,
            )  # fmt: skip

        run(False, _empty_runs(0))
        ends = np.cumsum(places)
        places = ends - places
        runs = _empty_runs(int(ends[-1]) if plan.n_blocks else 0)
        run(True, runs)
        return sorted_runs(runs, query.gap)


def _empty_runs(n_runs: int) -> Runs:
    return Runs(np.empty(n_runs, np.int64), np.empty(n_runs, np.int64), np.empty(n_runs, np.float32))


def sorted_runs(runs: Runs, gap: int) -> Runs:
    """Sort the runs of many blocks by start, those of one start by track, and join neighbours.

    A run begins where all before it have ended: as many ends as starts lie before it. So the i-th start begins one if
    it lies beyond the i-th smallest end before it, with the ends sorted by themselves, nested or not.
    """
    order = np.argsort(runs.starts, kind="stable")  # a merge of the tracks' sorted parts
    starts, ends, values = runs.starts[order], runs.ends[order], runs.values[order]
    if gap < 0 or not len(starts):
        return Runs(starts, ends, values)
    ends.sort(kind="stable")
    is_first = np.ones(len(starts), np.bool_)
    is_first[1:] = starts[1:] > ends[:-1] + gap
    first = np.flatnonzero(is_first)
    last = np.append(first[1:], len(starts)) - 1
    return Runs(starts[first], ends[last], np.maximum.reduceat(values, first))
