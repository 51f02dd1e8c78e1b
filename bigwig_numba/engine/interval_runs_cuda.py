"""Find runs of intervals on the GPU: inflate, count, write, sort and join; only what is left comes to the host."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import cupy
import numpy as np

from ..errors import DeviceError
from ..kernels import launch, launch_intervals
from ..plan import ReadPlan, TrackTable
from ..storage import ByteSource
from .check import raise_for_statuses
from .cuda import CudaEngine
from .device_batch import DeviceBatch, batch_of_plan
from .interval_runs import RunQuery, Runs
from .resident import ResidentBlocks

__all__ = ["CudaRunFinder"]

THREADS = 128  # per CUDA block


class CudaRunFinder:
    """Finds runs on the device that is current when it is made; each thread on a stream of its own.

    Parameters
    ----------
    engine
        Fetches, inflates, and launches kernels.
    query
        What is wanted.
    tracks
        Of which plans will be.
    """

    n_at_a_time = 3  # one is being fetched, one inflated, one on its way to the host

    def __init__(self, engine: CudaEngine, query: RunQuery, tracks: TrackTable) -> None:
        self._engine, self._query = engine, query
        self._kept = _kept_blocks(engine, tracks)
        self._device = cupy.cuda.Device().id
        self._thread = threading.local()
        self._chromosomes = (
            cupy.asarray(query.scales),
            cupy.asarray(query.first_ids),
            cupy.asarray(np.stack([query.offsets, query.lengths])),
            cupy.asarray(query.ids),
        )
        self._cuts = cupy.asarray(np.stack([query.cut_starts, query.cut_ends]))
        cupy.cuda.get_current_stream().synchronize()  # other streams will read them

    def find(self, plan: ReadPlan, sources: Sequence[ByteSource], first: int, stop: int) -> Runs:
        """Runs of the items that start in [first, stop) of the line, in host memory."""
        try:
            with cupy.cuda.Device(self._device), self._stream(), ExitStack() as stack:
                data, batch = self._bring(plan, sources, stack)
                words, results = self._engine.inflate(data, batch)
                block_tracks = cupy.asarray(plan.block_tracks)
                found = self._find(batch, words, results, block_tracks, (first, stop))
                runs = Runs(*(array.get() for array in _sorted_runs(*found, self._query.gap)))
                raise_for_statuses(results[launch.STATUS, : plan.n_blocks].get(), plan, sources)
        except cupy.cuda.memory.OutOfMemoryError as error:
            raise DeviceError(
                f"not enough GPU memory for {plan.n_blocks} blocks at a time ({error}): take a smaller batch_size"
            ) from error
        return runs

    def _bring(self, plan: ReadPlan, sources: Sequence[ByteSource], stack: ExitStack) -> tuple[Any, DeviceBatch]:
        """Compressed words on the device and where the blocks are in them: kept ones, if all are kept."""
        kept, supply, scales = self._kept, self._engine.supply, self._query.scales
        if kept is not None and (kept.words[plan.block_leaves] >= 0).all():
            return supply.reach_batch(kept, plan, scales, stack)
        data, source_words = supply.fetch(plan, sources, stack)
        return data, batch_of_plan(plan, source_words, scales, self._engine.pinned, stack)

    def _find(
        self, batch: DeviceBatch, words: Any, results: Any, block_tracks: Any, span: tuple[int, int]
    ) -> tuple[Any, Any, Any]:
        """Starts, ends and values (N,) of the runs of each block, one block after another."""
        threshold = self._query.threshold
        options = (np.float32(0.0 if threshold is None else threshold), int(threshold is not None), self._query.gap)
        places = cupy.zeros(batch.n_blocks, np.int64)
        n_groups = -(-batch.n_blocks // THREADS)

        def run(writing: int, runs: tuple[Any, Any, Any]) -> None:
            self._engine.launcher.launch(
                launch_intervals.find_interval_runs, n_groups, THREADS, batch.table, words, results, block_tracks,
                *self._chromosomes, *options, *span, self._cuts, writing, places, *runs, name="find_interval_runs",
            )  # fmt: skip

        run(0, _empty_runs(1))
        ends = cupy.cumsum(places)
        n_runs = int(ends[-1])  # waits for the GPU: the host has to know how much memory to take
        places = ends - places
        runs = _empty_runs(max(1, n_runs))
        if n_runs:
            run(1, runs)
        starts, run_ends, values = runs
        return starts[:n_runs], run_ends[:n_runs], values[:n_runs]

    def _stream(self) -> Any:
        if not hasattr(self._thread, "stream"):
            self._thread.stream = cupy.cuda.Stream(non_blocking=True)
        return self._thread.stream


def _kept_blocks(engine: CudaEngine, tracks: TrackTable) -> ResidentBlocks | None:
    """The blocks of these tracks that stay on the device or beside it; None if there are none, or of other tracks."""
    keeper = engine.keeper
    planner = keeper.planner() if keeper is not None and keeper.tracks is tracks else None
    return None if planner is None else planner.blocks


def _empty_runs(n_runs: int) -> tuple[Any, Any, Any]:
    return cupy.empty(n_runs, np.int64), cupy.empty(n_runs, np.int64), cupy.empty(n_runs, np.float32)


def _sorted_runs(starts: Any, ends: Any, values: Any, gap: int) -> tuple[Any, Any, Any]:
    """As ``interval_runs.sorted_runs``, on the device."""
    order = cupy.argsort(starts, kind="stable")
    starts, values = starts[order], values[order]
    if gap < 0 or not starts.size:
        return starts, ends[order], values
    ends = cupy.sort(ends)
    is_first = cupy.ones(starts.size, np.bool_)
    is_first[1:] = starts[1:] > ends[:-1] + gap
    first = cupy.flatnonzero(is_first)
    last = cupy.concatenate((first[1:], cupy.asarray([starts.size]))) - 1
    # The largest value of each run is the last one, once they are sorted by run and value.
    runs = cupy.cumsum(is_first, dtype=np.float64)
    by_value = cupy.lexsort(cupy.stack([values.astype(np.float64), runs]))
    return starts[first], ends[last], values[by_value[last]]
