"""Run a ReadPlan on the CPU: fetch, inflate, check and reduce on all cores, with the kernels' device functions."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..kernels.inflate.table import OUTPUT_SLACK
from ..kernels.keeping import forget_stale_code
from ..kernels.loops import check_neighbours, expand_range, inflate_range, make_reduce_range
from ..kernels.swapping import InflateKernel, ReduceKernel, make_inflate_range
from ..parallel import ThreadTeam
from ..plan import ReadPlan, TrackTable, WindowRequest
from ..storage import ByteSource
from .buffers import BufferPool
from .check import check_output, raise_for_statuses
from .parts import Part, parts_of_request
from .reduction import Reduction
from .sources import SourceTable
from .stages import StageClock
from .store import CompressedBlocks, fetch_blocks, slot_sizes
from .worth_keeping import KeptRegions

ALIGNMENT = 64  # bytes; TensorFlow ends the process on less, JAX copies
WORKING_SET = 1 << 30  # bytes of inflated blocks; a batch that needs more is made in parts
SMALLEST_PIECE = 8  # blocks or (window, track) pairs; below that a thread costs more than it does


@dataclass(frozen=True, slots=True)
class InflatedBlocks:
    """Inflated blocks, side by side.

    Parameters
    ----------
    words : (W,) uint32
        All sections, as they stand in the files.
    bases : (K,) uint64
        Word at which each block begins.
    counts : (K,) uint32
        Items that can be read from it; 0 for a damaged block.
    statuses : (K,) int32
        A ``BlockStatus`` each.
    """

    words: npt.NDArray[np.uint32]
    bases: npt.NDArray[np.uint64]
    counts: npt.NDArray[np.uint32]
    statuses: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Items:
    """Items of many blocks, in the order of the blocks.

    Parameters
    ----------
    blocks : (N,) int64
        The plan's block that each came from.
    chrom_ids : (N,) uint32
        File-local chromosome.
    starts, ends : (N,) int64
        Bases, 0-based, half-open.
    values : (N,) float32
    """

    blocks: npt.NDArray[np.int64]
    chrom_ids: npt.NDArray[np.uint32]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]


def aligned_empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An uninitialised array whose memory starts at a multiple of 64 bytes."""
    dtype = np.dtype(dtype)
    n_bytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = np.empty(n_bytes + ALIGNMENT, np.uint8)
    first = -memory.ctypes.data % ALIGNMENT
    return memory[first : first + n_bytes].view(dtype).reshape(shape)


class CpuEngine:
    """Runs plans with NumPy arrays and compiled functions on the CPU.

    Parameters
    ----------
    n_threads
        Threads to use; by default as many as the process may use cores.
    working_set
        Bytes of inflated blocks at a time, at most.
    verify
        Whether to compare each block's Adler-32 checksum. It costs about a tenth of the time of inflating, and blocks
        are then inflated to their end.
    """

    name = "cpu"

    def __init__(self, n_threads: int | None = None, *, working_set: int = WORKING_SET, verify: bool = False) -> None:
        forget_stale_code()
        self.team = ThreadTeam(n_threads)
        self.clock = StageClock()
        self._buffers = BufferPool()
        self.working_set = working_set
        self.verify = verify
        self.use(InflateKernel("auto"), ReduceKernel("auto"))

    def use(self, inflate: InflateKernel, reduce: ReduceKernel) -> None:
        """Take these kernels from now on."""
        self._inflate_range = inflate_range if inflate.is_builtin else make_inflate_range(inflate)
        self._make_reduce_range = make_reduce_range if reduce.cpu is None else functools.lru_cache(reduce.cpu)

    def batch(
        self,
        request: WindowRequest,
        tracks: TrackTable,
        sources: Sequence[ByteSource],
        reduction: Reduction,
        *,
        out: npt.NDArray[Any] | None = None,
    ) -> npt.NDArray[Any]:
        """Values of the windows that are asked for, made in parts where they need more than the working set.

        Parameters
        ----------
        request
            Windows and tracks.
        tracks, sources
            The files.
        reduction
            Statistic, default, scales and output type.
        out : (S, B, T)
            Written to if given: C-contiguous, of the reduction's type.

        Returns
        -------
        (S, B, T) float32 or float16, or uint16 with the bits of bfloat16
            ``out``, or new memory that starts at a multiple of 64 bytes.

        Raises
        ------
        BlockDecodeError
            When a block that is needed is damaged.
        StorageError
            When a file cannot be read.
        """
        out = _output(out, request.shape, reduction)
        if out.size == 0:
            return out
        parts = parts_of_request(tracks, request, most_bytes=self.working_set, team=self.team)
        while True:
            with self.clock.measure("plan"):
                part = next(parts, None)
            if part is None:
                return out
            self._run_part(part, sources, reduction, out)

    def run(
        self,
        plan: ReadPlan,
        sources: Sequence[ByteSource],
        reduction: Reduction,
        *,
        out: npt.NDArray[Any] | None = None,
    ) -> npt.NDArray[Any]:
        """Values of a plan's windows, whatever memory that takes; otherwise as ``batch``."""
        out = _output(out, (plan.n_windows, plan.n_bins, plan.n_tracks), reduction)
        self._run_part(Part(plan), sources, reduction, out)
        return out

    def _run_part(self, part: Part, sources: Sequence[ByteSource], reduction: Reduction, out: npt.NDArray[Any]) -> None:
        n_compressed, n_inflated = int(slot_sizes(part.plan.block_sizes).sum()), int(_room(part.plan).sum())
        with self._buffers.lend(n_compressed) as compressed, self._buffers.lend(n_inflated) as output:
            with self.clock.measure("fetch"):
                blocks = fetch_blocks(part.plan, sources, allocate=lambda *_: compressed, team=self.team)
            with self.clock.measure("inflate"):
                inflated = self.inflate(blocks, part.plan, output=output)
                raise_for_statuses(inflated.statuses, part.plan, sources)
            with self.clock.measure("reduce"):
                self._reduce(part, inflated, reduction, out)

    def keep(
        self,
        tracks: TrackTable,
        sources: SourceTable,
        *,
        store: str,
        most_bytes: int | None,
        regions: KeptRegions | None,
    ) -> None:
        """Nothing to do: blocks are read where they are."""

    @property
    def memory(self) -> dict[str, int]:
        """Bytes that are held for the next batches, by kind."""
        return {"buffers": self._buffers.n_bytes}

    def inflate(
        self, blocks: CompressedBlocks, plan: ReadPlan, *, output: npt.NDArray[np.uint8] | None = None
    ) -> InflatedBlocks:
        """Inflate and check the plan's blocks; damaged ones are told by their status.

        Blocks of which the plan needs only a part are inflated only so far. They go to ``output``, or to new memory.
        """
        n_blocks = plan.n_blocks
        starts = np.concatenate(([0], np.cumsum(_room(plan))))
        if output is None:
            output = np.empty(int(starts[-1]), np.uint8)  # memory that is not touched costs nothing: a loose bound does
        words = output.view(np.uint32)
        inflated = InflatedBlocks(
            words, (starts[:-1] // 4).astype(np.uint64), np.zeros(n_blocks, np.uint32), np.zeros(n_blocks, np.int32)
        )
        stops = np.full(n_blocks, 1 << 32, np.int64) if self.verify else plan.block_stops
        self.team.run(
            self._inflate_range, n_blocks, blocks.data, blocks.offsets, blocks.sizes, plan.block_compressed,
            plan.block_capacities, stops, plan.block_big_endian, self.verify, output, words, inflated.bases,
            inflated.counts, inflated.statuses, smallest=SMALLEST_PIECE,
        )  # fmt: skip
        check_neighbours(
            0, n_blocks, words, inflated.bases, inflated.counts, plan.block_big_endian, plan.block_follows,
            inflated.statuses,
        )  # fmt: skip
        return inflated

    def expand(self, inflated: InflatedBlocks, plan: ReadPlan) -> Items:
        """All items of inflated blocks, of whatever section type."""
        places = np.concatenate(([0], np.cumsum(inflated.counts, dtype=np.int64)))
        n_items = int(places[-1])
        items = Items(
            np.empty(n_items, np.int64), np.empty(n_items, np.uint32), np.empty(n_items, np.int64),
            np.empty(n_items, np.int64), np.empty(n_items, np.float32),
        )  # fmt: skip
        self.team.run(
            expand_range, plan.n_blocks, inflated.words, inflated.bases, inflated.counts, plan.block_big_endian,
            places, items.chrom_ids, items.starts, items.ends, items.values, items.blocks, smallest=SMALLEST_PIECE,
        )  # fmt: skip
        return items

    def close(self) -> None:
        """End the engine's threads."""
        self.team.close()
        self._buffers.close()

    def _reduce(self, part: Part, inflated: InflatedBlocks, reduction: Reduction, out: npt.NDArray[Any]) -> None:
        plan, n_tracks = part.plan, out.shape[2]
        flat = out.reshape(-1)
        nothing = np.empty(0, np.float32)
        single, half = (flat, nothing.view(np.uint16)) if out.dtype == np.float32 else (nothing, flat.view(np.uint16))
        scales = reduction.scales[part.first_track : part.first_track + plan.n_tracks]
        self.team.run(
            self._make_reduce_range(reduction.statistic), plan.n_windows * plan.n_tracks, inflated.words,
            inflated.bases, inflated.counts, plan.block_big_endian, plan.first_blocks, plan.last_blocks,
            plan.chrom_ids, plan.window_starts, plan.clip_starts, plan.clip_ends, plan.n_bins, plan.window_size, scales,
            np.float32(reduction.default_value), single, half, reduction.dtype_code,
            part.first_window * plan.n_bins * n_tracks + part.first_track, n_tracks, smallest=SMALLEST_PIECE,
        )  # fmt: skip


def _room(plan: ReadPlan) -> npt.NDArray[np.int64]:
    """(K,) bytes that each block's inflated bytes are given."""
    return (plan.block_capacities + OUTPUT_SLACK + 15) // 16 * 16


def _output(out: npt.NDArray[Any] | None, shape: tuple[int, int, int], reduction: Reduction) -> npt.NDArray[Any]:
    """The caller's array, or a new one; several statistics give it a last axis."""
    full_shape = reduction.output_shape(shape)
    out = aligned_empty(full_shape, reduction.array_dtype) if out is None else out
    check_output(out, full_shape, reduction)
    return out
