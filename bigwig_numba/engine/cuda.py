"""Run a ReadPlan on the GPU: fetch into pinned memory, copy, and three kernels without a stop between them."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import Any

import cupy
import cupyx
import numpy as np
import numpy.typing as npt

from ..errors import DeviceError
from ..kernels import launch
from ..kernels.statistics import Statistic, builtin_statistics
from ..parallel import ThreadTeam
from ..plan import ReadPlan
from ..storage import ByteSource
from .check import check_output, raise_for_statuses
from .inflating import GpuInflater
from .launcher import KernelLauncher
from .reduction import Reduction
from .schedule import blocks_by_warp, longest_first
from .store import CompressedBlocks, fetch_blocks

logger = logging.getLogger(__name__)

THREADS = 256  # per CUDA block, for kernels that share nothing
WANTED_THREADS = 1 << 19  # enough to fill any GPU; what is beyond goes into more bins a thread
MOST_BINS_PER_THREAD = 32
NEVER_STOP = 0xFFFFFFFF


@functools.lru_cache(maxsize=64)
def _reduce_kernel(statistic: Statistic) -> Any:
    """The kernel of this statistic; compiled at its first launch."""
    return launch.make_reduce_windows(statistic)


class CudaEngine:
    """Runs plans on the current CuPy device and stream; arrays come out as CuPy arrays on the device.

    Parameters
    ----------
    n_threads
        Host threads that copy blocks into pinned memory; by default as many as the process may use cores.
    """

    name = "cuda"

    def __init__(self, n_threads: int | None = None) -> None:
        self.team = ThreadTeam(n_threads)
        self.launcher = KernelLauncher()
        self.inflater = GpuInflater(self.launcher)

    def run(
        self,
        plan: ReadPlan,
        sources: Sequence[ByteSource],
        reduction: Reduction,
        *,
        out: Any | None = None,
    ) -> Any:
        """Values of a plan's windows, as ``CpuEngine.run``, but on the GPU.

        Returns
        -------
        (S, B, T) cupy.ndarray, float32 or float16, or uint16 with the bits of bfloat16
            ``out``, or new memory.

        Raises
        ------
        BlockDecodeError
            When a block of the plan is damaged.
        StorageError
            When a file cannot be read.
        DeviceError
            When the GPU has not enough memory.
        """
        shape = (plan.n_windows, plan.n_bins, plan.n_tracks)
        try:
            out = cupy.empty(shape, reduction.array_dtype) if out is None else out
            check_output(out, shape, reduction)
            if out.size == 0:
                return out
            blocks = fetch_blocks(plan, sources, allocate=cupyx.empty_pinned, team=self.team)
            table, n_words = _block_table(plan, blocks)
            words, results = self.inflate(blocks, table, n_words)
            self._reduce(plan, table, words, results, reduction, out)
            # The batch is handed over: the one place that waits for the GPU.
            raise_for_statuses(results[launch.STATUS, : plan.n_blocks].get(), plan, sources)
        except cupy.cuda.memory.OutOfMemoryError as error:
            raise DeviceError(
                f"not enough GPU memory for {plan!r} ({error}). Ask for fewer windows or tracks at a time, or free "
                "memory that other arrays hold (collection.reset_gpu() gives back what CuPy keeps for reuse)."
            ) from error
        return out

    def inflate(self, blocks: CompressedBlocks, table: Any, n_words: int) -> tuple[Any, Any]:
        """Inflate and check blocks. Nothing is waited for.

        Parameters
        ----------
        blocks
            Compressed, in host memory.
        table : (9, K) int64
            A row per property, see ``kernels.launch``; on the device.
        n_words
            Words that the inflated blocks take.

        Returns
        -------
        words : (n_words,) uint32
            On the device.
        results : (2, K) int32
            Status and number of items of each block, on the device.
        """
        n_blocks = blocks.sizes.size
        words = cupy.empty(max(1, n_words), np.uint32)
        results = cupy.zeros((2, max(1, n_blocks)), np.int32)
        if n_blocks:
            data = cupy.empty(blocks.data.size // 4, np.uint32)
            data.set(blocks.data.view(np.uint32))  # from pinned memory: not waited for
            self.inflater.run(data, table, words, results, n_by_warp=blocks_by_warp(blocks.sizes))
            n_groups = -(-n_blocks * launch.LANES // THREADS)
            self.launcher.launch(
                launch.check_order, n_groups, THREADS, table, words, results, n_blocks, name="check_order"
            )
        return words, results

    def close(self) -> None:
        """End the engine's threads, and give back the memory that CuPy keeps for reuse."""
        self.team.close()
        cupy.get_default_memory_pool().free_all_blocks()
        cupy.get_default_pinned_memory_pool().free_all_blocks()

    def _reduce(self, plan: ReadPlan, table: Any, words: Any, results: Any, reduction: Reduction, out: Any) -> None:
        bins_per_thread = int(np.clip(out.size // WANTED_THREADS, 1, MOST_BINS_PER_THREAD))
        n_threads = plan.n_windows * -(-plan.n_bins // bins_per_thread) * plan.n_tracks
        runs = np.stack([plan.first_blocks, plan.last_blocks, plan.chrom_ids.view(np.int32)])
        windows = np.stack([plan.window_starts, plan.clip_starts, plan.clip_ends])
        flat = out.reshape(-1)
        nothing = cupy.empty(1, np.float32)
        is_single = reduction.array_dtype is np.float32
        single, half = (flat, nothing.view(np.uint16)) if is_single else (nothing, flat.view(np.uint16))
        is_builtin = builtin_statistics().get(reduction.statistic.name) == reduction.statistic
        self.launcher.launch(
            _reduce_kernel(reduction.statistic), -(-n_threads // THREADS), THREADS, table, words, results,
            _to_device(runs), _to_device(windows), _to_device(reduction.scales), single, half, plan.n_bins,
            bins_per_thread, plan.window_size, np.float32(reduction.default_value), reduction.dtype_code,
            name=f"reduce_windows_{reduction.statistic.name}" if is_builtin else None,
        )  # fmt: skip


def _block_table(plan: ReadPlan, blocks: CompressedBlocks) -> tuple[Any, int]:
    """The device's table of blocks, and how many words they take once inflated."""
    room = (plan.block_capacities + 3) // 4 + launch.SLACK_WORDS
    ends = np.cumsum(room)
    table = np.empty((launch.TABLE_ROWS, max(1, plan.n_blocks)), np.int64)
    if plan.n_blocks == 0:
        table[:] = 0
        return _to_device(table), 0
    table[launch.SOURCE_WORD] = blocks.offsets // 4
    table[launch.SIZE] = blocks.sizes
    table[launch.CAPACITY] = plan.block_capacities
    table[launch.STOP] = np.minimum(plan.block_stops, NEVER_STOP)
    table[launch.COMPRESSED] = plan.block_compressed
    table[launch.BIG_ENDIAN] = plan.block_big_endian
    table[launch.BASE] = ends - room
    table[launch.FOLLOWS] = plan.block_follows
    table[launch.ORDER] = longest_first(blocks.sizes)
    return _to_device(table), int(ends[-1])


def _to_device(array: npt.NDArray[Any]) -> Any:
    """A copy on the device, asynchronous on the current stream: through pinned memory, which CuPy keeps until then."""
    return cupy.asarray(array, blocking=False)
