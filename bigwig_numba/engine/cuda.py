"""Run requests and plans on the GPU: compressed blocks to where kernels reach them, then three kernels in a row."""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import cupy
import numpy as np

from ..errors import DeviceError
from ..kernels import launch, launch_checksums
from ..kernels.keeping import forget_stale_code
from ..kernels.statistics import Statistic
from ..kernels.swapping import InflateKernel, ReduceKernel
from ..parallel import ThreadTeam
from ..plan import ReadPlan, TrackTable, WindowRequest
from ..storage import ByteSource
from .check import check_output, raise_for_statuses
from .device_batch import NEVER_STOP, DeviceBatch
from .inflating import GpuInflater
from .keeping import BlockKeeper
from .launcher import KernelLauncher
from .parts import parts_of_request
from .pinned import pinned_buffers
from .reduction import Reduction
from .resident import ResidentBlocks
from .sources import SourceTable
from .stages import StageClock
from .supply import BlockSupply
from .worth_keeping import KeptRegions

logger = logging.getLogger(__name__)

THREADS = 256  # per CUDA block, for kernels that share nothing
WANTED_THREADS = 1 << 19  # enough to fill any GPU; what is beyond goes into more bins a thread
MOST_BINS_PER_THREAD = 256  # which share the search for their first item
MOST_BASES_PER_THREAD = 8_192  # wide bins have many items each
WORKING_SET = 1 << 32  # bytes of inflated blocks at a time; a batch that needs more is made in parts
FEW_PAIRS = 1_024  # (window, track) pairs that the host plans while the GPU would wait for its first answer


@functools.lru_cache(maxsize=64)
def _reduce_kernel(statistic: Statistic | tuple[Statistic, ...]) -> Any:
    """The kernel of this statistic; compiled at its first launch."""
    return launch.make_reduce_windows(statistic)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What all parts of a batch have in common: the files, how bins are made, and the whole output."""

    tracks: TrackTable
    sources: Sequence[ByteSource]
    reduction: Reduction
    out: Any


@dataclass(frozen=True, slots=True)
class Corner:
    """Where the values of a part begin in the output: its first window and track."""

    window: int
    track: int


class CudaEngine:
    """Makes batches on the current CuPy device and stream; arrays come out as CuPy arrays on the device.

    Parameters
    ----------
    n_threads
        Host threads that copy blocks into pinned memory; by default as many as the process may use cores.
    working_set
        Bytes of inflated blocks at a time, at most.
    verify
        Whether to compare each block's Adler-32 checksum. Blocks are then inflated to their end.
    """

    name = "cuda"

    def __init__(self, n_threads: int | None = None, *, working_set: int = WORKING_SET, verify: bool = False) -> None:
        forget_stale_code()
        self.team = ThreadTeam(n_threads)
        self.launcher = KernelLauncher()
        self.pinned = pinned_buffers()
        self.clock = StageClock()
        self.working_set = working_set
        self.verify = verify
        self.supply = BlockSupply(self.launcher, self.team, self.pinned, self.clock)
        self.keeper: BlockKeeper | None = None
        self.use(InflateKernel("auto"), ReduceKernel("auto"))

    def use(self, inflate: InflateKernel, reduce: ReduceKernel) -> None:
        """Take these kernels from now on."""
        self.inflater = GpuInflater(self.launcher, inflate)
        self._reduce_kernel = _reduce_kernel if reduce.cuda is None else functools.lru_cache(reduce.cuda)
        self._keeps_reduce_kernel = reduce.cuda is None

    def keep(
        self,
        tracks: TrackTable,
        sources: SourceTable,
        *,
        store: str,
        most_bytes: int | None,
        regions: KeptRegions | None,
    ) -> None:
        """Say which files will be read, and where their compressed blocks shall live; see ``BlockKeeper``."""
        self.keeper = BlockKeeper(
            tracks, sources, store=store, most_bytes=most_bytes, regions=regions, launcher=self.launcher,
            team=self.team, pinned=self.pinned,
        )  # fmt: skip

    def batch(
        self,
        request: WindowRequest,
        tracks: TrackTable,
        sources: Sequence[ByteSource],
        reduction: Reduction,
        *,
        out: Any | None = None,
    ) -> Any:
        """Values of the windows that are asked for, as ``CpuEngine.batch``, but on the GPU.

        Returns
        -------
        (S, B, T) cupy.ndarray, float32 or float16, or uint16 with the bits of bfloat16
            ``out``, or new memory.

        Raises
        ------
        BlockDecodeError
            When a block is damaged.
        StorageError
            When a file cannot be read.
        DeviceError
            When the GPU has not enough memory.
        """
        with _out_of_memory_explained(request.shape):
            out = _output(out, request.shape, reduction)
            if out.size == 0:
                return out
            self._make(request, Job(tracks, sources, reduction, out), Corner(0, 0))
        return out

    def run(
        self, plan: ReadPlan, sources: Sequence[ByteSource], reduction: Reduction, *, out: Any | None = None
    ) -> Any:
        """Values of a plan's windows, whatever memory that takes; otherwise as ``batch``."""
        shape = (plan.n_windows, plan.n_bins, plan.n_tracks)
        with _out_of_memory_explained(shape):
            out = _output(out, shape, reduction)
            if out.size:
                self._run_plan(plan, Job(TrackTable.from_indexes([]), sources, reduction, out), Corner(0, 0))
        return out

    def inflate(self, data: Any, batch: DeviceBatch) -> tuple[Any, Any]:
        """Inflate and check blocks. Nothing is waited for.

        Parameters
        ----------
        data : (N,) uint32
            Compressed blocks.
        batch
            Where they are in it.

        Returns
        -------
        words : (n_words,) uint32
            On the device.
        results : (4, K) int32
            What became of each block, see ``kernels.launch``, on the device.
        """
        words = cupy.empty(max(1, batch.n_words), np.uint32)
        # Kernels of one's own write but some of the rows.
        new = cupy.empty if self.inflater.kernel.is_builtin else cupy.zeros
        results = new((launch.RESULT_ROWS, max(1, batch.n_blocks)), np.int32)
        if batch.n_blocks:
            if self.verify:
                batch.table[launch.STOP] = NEVER_STOP  # a checksum is that of all bytes
            self.inflater.run(data, batch.table, words, results, n_by_warp=batch.n_by_warp)
            n_groups = -(-batch.n_blocks * launch.LANES // THREADS)
            if self.verify:
                self.launcher.launch(
                    launch_checksums.check_checksums, n_groups, THREADS, data, batch.table, words, results,
                    batch.n_blocks, name="check_checksums",
                )  # fmt: skip
            self.launcher.launch(
                launch.check_order, n_groups, THREADS, batch.table, words, results, batch.n_blocks, name="check_order"
            )
        return words, results

    @property
    def memory(self) -> dict[str, int]:
        """Bytes that are held for the next batches, by kind."""
        kept = {"index": 0, "device": 0, "host": 0} if self.keeper is None else self.keeper.n_bytes
        return {
            "index on device": kept["index"],
            "store on device": kept["device"],
            "store on host": kept["host"],
            "buffers": self.pinned.n_bytes,
        }

    def close(self) -> None:
        """End the engine's threads, and give back the memory that it and CuPy keep."""
        self.team.close()
        self.pinned.close()
        self.keeper = None
        cupy.get_default_memory_pool().free_all_blocks()
        cupy.get_default_pinned_memory_pool().free_all_blocks()

    def _make(self, request: WindowRequest, job: Job, corner: Corner) -> None:
        """Make the values of a request, whose first window and track stand at this corner of the output."""
        n_windows, _, n_tracks = request.shape
        planner = self.keeper.planner() if self.keeper is not None and n_windows * n_tracks > FEW_PAIRS else None
        if self.keeper is None or planner is None:
            self._make_of_host_plan(request, job, corner)
            return
        with ExitStack() as stack:
            with self.clock.measure("plan"):
                scales = job.reduction.scales[corner.track : corner.track + n_tracks]
                batch = planner.plan(request, scales, self.pinned, stack)
            if batch.n_words * 4 <= self.working_set or n_windows * n_tracks == 1:
                marks = _Marks()
                data = self.supply.supply(batch, planner.blocks, self.keeper, job.sources, stack)
                self._compute(data, batch, job, corner, marks)
                return
        for half, first in _halves(request):
            self._make(half, job, Corner(corner.window + first.window, corner.track + first.track))

    def _make_of_host_plan(self, request: WindowRequest, job: Job, corner: Corner) -> None:
        parts = parts_of_request(job.tracks, request, most_bytes=self.working_set, team=self.team)
        while True:
            with self.clock.measure("plan"):
                part = next(parts, None)
            if part is None:
                return
            planner = None if self.keeper is None else self.keeper.planner()
            first = Corner(corner.window + part.first_window, corner.track + part.first_track)
            self._run_plan(part.plan, job, first, None if planner is None else planner.blocks)

    def _run_plan(self, plan: ReadPlan, job: Job, corner: Corner, kept: ResidentBlocks | None = None) -> None:
        """Make a plan of the host's, of blocks that are kept, if all are, or else are fetched for it."""
        with ExitStack() as stack:
            marks = _Marks()
            scales = job.reduction.scales[corner.track : corner.track + plan.n_tracks]
            if kept is not None and (kept.words[plan.block_leaves] >= 0).all():
                data, batch = self.supply.reach_batch(kept, plan, scales, stack)
            else:
                data, batch = self.supply.fetch_batch(plan, scales, job.sources, stack)
                if self.keeper is not None:
                    self.keeper.count_streamed(int(plan.block_sizes.sum()))
            self._compute(data, batch, job, corner, marks)

    def _compute(self, data: Any, batch: DeviceBatch, job: Job, corner: Corner, marks: _Marks) -> None:
        """Inflate and reduce a batch, whose first window and track stand at this corner of the output."""
        marks.set("copy")
        words, results = self.inflate(data, batch)
        marks.set("inflate")
        self._reduce(batch, words, results, job, corner)
        marks.set("reduce")
        # The batch is handed over: the one place that waits for the GPU.
        with self.pinned.lend(results.shape[1] * results.itemsize) as buffer:
            statuses = results[launch.STATUS].get(out=buffer.view(np.int32))
            marks.count(self.clock)
            raise_for_statuses(statuses[: batch.n_blocks], batch, job.sources)

    def _reduce(self, batch: DeviceBatch, words: Any, results: Any, job: Job, corner: Corner) -> None:
        reduction, out = job.reduction, job.out
        n_windows, n_tracks = batch.runs.shape[1:]
        n_bins = out.shape[1]
        bins_per_thread = _bins_per_thread(n_windows * n_bins * n_tracks, batch.window_size)
        n_threads = n_windows * -(-n_bins // bins_per_thread) * n_tracks
        flat = out.reshape(-1)
        nothing = cupy.empty(1, np.float32)
        is_single = reduction.array_dtype is np.float32
        single, half = (flat, nothing.view(np.uint16)) if is_single else (nothing, flat.view(np.uint16))
        self.launcher.launch(
            self._reduce_kernel(reduction.statistic), -(-n_threads // launch.REDUCE_THREADS), launch.REDUCE_THREADS,
            batch.table, words, results,
            batch.runs, batch.windows, batch.scales, single, half, n_bins, bins_per_thread, batch.window_size,
            np.float32(reduction.default_value), reduction.dtype_code,
            corner.window * n_bins * out.shape[2] + corner.track, out.shape[2],
            name=reduction.kernel_name if self._keeps_reduce_kernel else None,
        )  # fmt: skip


class _Marks:
    """Events between the stages of one batch; their times are read once the batch has been waited for."""

    def __init__(self) -> None:
        self._events = [("", cupy.cuda.get_current_stream().record())]

    def set(self, stage: str) -> None:
        """Say that a stage has been launched."""
        self._events.append((stage, cupy.cuda.get_current_stream().record()))

    def count(self, clock: StageClock) -> None:
        """Add the times up."""
        self._events[-1][1].synchronize()  # fetching the statuses of no blocks waits for nothing
        for (_, before), (stage, after) in itertools.pairwise(self._events):
            clock.add(stage, cupy.cuda.get_elapsed_time(before, after) / 1e3)


def _output(out: Any | None, shape: tuple[int, int, int], reduction: Reduction) -> Any:
    """The caller's array, or a new one; several statistics give it a last axis."""
    full_shape = reduction.output_shape(shape)
    out = cupy.empty(full_shape, reduction.array_dtype) if out is None else out
    check_output(out, full_shape, reduction)
    return out


def _bins_per_thread(n_values: int, window_size: int) -> int:
    """How many bins a thread of the reduce kernel makes."""
    most = max(1, min(MOST_BINS_PER_THREAD, MOST_BASES_PER_THREAD // window_size))
    return max(1, min(most, n_values // WANTED_THREADS))


def _halves(request: WindowRequest) -> Iterator[tuple[WindowRequest, Corner]]:
    """A request in two, each with its corner: by tracks, which share no blocks, if there are several."""
    n_windows, _, n_tracks = request.shape
    if n_tracks > 1:
        middle = n_tracks // 2
        yield request.of_tracks(0, middle), Corner(0, 0)
        yield request.of_tracks(middle, n_tracks), Corner(0, middle)
    else:
        middle = n_windows // 2
        yield request.of_windows(0, middle), Corner(0, 0)
        yield request.of_windows(middle, n_windows), Corner(middle, 0)


@contextmanager
def _out_of_memory_explained(shape: tuple[int, int, int]) -> Iterator[None]:
    try:
        yield
    except cupy.cuda.memory.OutOfMemoryError as error:
        raise DeviceError(
            f"not enough GPU memory for a batch of (windows, bins, tracks) = {shape} ({error}). Ask for fewer windows "
            "or tracks at a time, or free memory that other arrays hold (collection.reset_gpu() gives back what CuPy "
            "keeps for reuse)."
        ) from error
