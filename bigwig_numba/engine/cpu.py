"""Run a ReadPlan on the CPU: fetch, inflate, check and reduce on all cores, with the kernels' device functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..kernels.inflate.table import OUTPUT_SLACK
from ..kernels.loops import check_neighbours, expand_range, inflate_range, make_reduce_range
from ..parallel import ThreadTeam
from ..plan import ReadPlan
from ..storage import ByteSource
from .check import check_output, raise_for_statuses
from .reduction import Reduction
from .store import CompressedBlocks, fetch_blocks

ALIGNMENT = 64  # bytes; TensorFlow ends the process on less, JAX copies
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
    verify
        Whether to compare each block's Adler-32 checksum. It costs about a tenth of the time of inflating, and blocks
        are then inflated to their end.
    """

    name = "cpu"

    def __init__(self, n_threads: int | None = None, *, verify: bool = False) -> None:
        self.team = ThreadTeam(n_threads)
        self.verify = verify

    def run(
        self,
        plan: ReadPlan,
        sources: Sequence[ByteSource],
        reduction: Reduction,
        *,
        out: npt.NDArray[Any] | None = None,
    ) -> npt.NDArray[Any]:
        """Values of a plan's windows.

        Parameters
        ----------
        plan
            What to read and where it goes.
        sources
            The files, as the plan numbers them.
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
            When a block of the plan is damaged.
        StorageError
            When a file cannot be read.
        """
        shape = (plan.n_windows, plan.n_bins, plan.n_tracks)
        out = aligned_empty(shape, reduction.array_dtype) if out is None else out
        check_output(out, shape, reduction)
        inflated = self.inflate(fetch_blocks(plan, sources, team=self.team), plan)
        raise_for_statuses(inflated.statuses, plan, sources)
        self._reduce(plan, inflated, reduction, out)
        return out

    def inflate(self, blocks: CompressedBlocks, plan: ReadPlan) -> InflatedBlocks:
        """Inflate and check the plan's blocks; damaged ones are told by their status.

        Blocks of which the plan needs only a part are inflated only so far.
        """
        n_blocks = plan.n_blocks
        room = (plan.block_capacities + OUTPUT_SLACK + 15) // 16 * 16
        starts = np.concatenate(([0], np.cumsum(room)))
        output = np.empty(int(starts[-1]), np.uint8)  # np.empty does not touch memory: a loose bound costs nothing
        words = output.view(np.uint32)
        inflated = InflatedBlocks(
            words, (starts[:-1] // 4).astype(np.uint64), np.zeros(n_blocks, np.uint32), np.zeros(n_blocks, np.int32)
        )
        stops = np.full(n_blocks, 1 << 32, np.int64) if self.verify else plan.block_stops
        self.team.run(
            inflate_range, n_blocks, blocks.data, blocks.offsets, blocks.sizes, plan.block_compressed,
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

    def _reduce(self, plan: ReadPlan, inflated: InflatedBlocks, reduction: Reduction, out: npt.NDArray[Any]) -> None:
        flat = out.reshape(-1)
        nothing = np.empty(0, np.float32)
        single, half = (flat, nothing.view(np.uint16)) if out.dtype == np.float32 else (nothing, flat.view(np.uint16))
        self.team.run(
            make_reduce_range(reduction.statistic), plan.n_windows * plan.n_tracks, inflated.words, inflated.bases,
            inflated.counts, plan.block_big_endian, plan.first_blocks, plan.last_blocks, plan.chrom_ids,
            plan.window_starts, plan.clip_starts, plan.clip_ends, plan.n_bins, plan.window_size, reduction.scales,
            np.float32(reduction.default_value), single, half, reduction.dtype_code, smallest=SMALLEST_PIECE,
        )  # fmt: skip
