"""A batch as the CUDA kernels take it, made of a plan of the host's or planned on the GPU itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import cupy
import numpy as np
import numpy.typing as npt

from ..kernels import launch
from ..plan import BlockPlace, ReadPlan
from .buffers import BufferPool
from .schedule import blocks_by_warp, longest_first

__all__ = ["DeviceBatch", "batch_of_plan", "upload"]

NEVER_STOP = 0xFFFFFFFF
ALIGNMENT = 64  # bytes, of the arrays in one upload


@dataclass(frozen=True, slots=True, eq=False)
class DeviceBatch:
    """What the kernels need to know of a batch; all arrays are on the device.

    Attributes
    ----------
    n_blocks
        K.
    table
        (9, K) int64, see ``kernels.launch``.
    n_words
        Words that the inflated blocks take.
    n_by_warp
        How many blocks, the longest, inflate by a warp each.
    runs
        (3, S, T) int32, see ``kernels.launch``.
    windows
        (3, S) int64.
    scales
        (T,) float32.
    window_size
        Bases of a bin.
    place_of
        Number of a block to its place, for messages.
    block_leaves
        (K,) int64, number of each block among all leaves; None if the plan came from the host.
    is_complete
        Whether all blocks are within reach; others have a negative SOURCE_WORD in the table.
    """

    n_blocks: int
    table: Any
    n_words: int
    n_by_warp: int
    runs: Any
    windows: Any
    scales: Any
    window_size: int
    place_of: Callable[[int], BlockPlace]
    block_leaves: Any = None
    is_complete: bool = True


def batch_of_plan(
    plan: ReadPlan,
    source_words: npt.NDArray[np.int64],
    scales: npt.NDArray[np.float32],
    pinned: BufferPool,
    stack: ExitStack,
) -> DeviceBatch:
    """Bring a plan to the device.

    Parameters
    ----------
    plan
        Of the host.
    source_words
        (K,) int64, where each block begins in the array of compressed words that the kernels will be given.
    scales
        (T,) float32, of the plan's tracks.
    pinned, stack
        Buffers to copy through, which are lent until the stack closes; by then the copies must have ended.
    """
    room = (plan.block_capacities + 3) // 4 + launch.SLACK_WORDS
    ends = np.cumsum(room)
    table = np.zeros((launch.TABLE_ROWS, max(1, plan.n_blocks)), np.int64)
    if plan.n_blocks:
        table[launch.SOURCE_WORD] = source_words
        table[launch.SIZE] = plan.block_sizes
        table[launch.CAPACITY] = plan.block_capacities
        table[launch.STOP] = np.minimum(plan.block_stops, NEVER_STOP)
        table[launch.COMPRESSED] = plan.block_compressed
        table[launch.BIG_ENDIAN] = plan.block_big_endian
        table[launch.BASE] = ends - room
        table[launch.FOLLOWS] = plan.block_follows
        table[launch.ORDER] = longest_first(plan.block_sizes)
    runs = np.stack([plan.first_blocks, plan.last_blocks, plan.chrom_ids.view(np.int32)])
    windows = np.stack([plan.window_starts, plan.clip_starts, plan.clip_ends])
    on_device = upload([table, runs, windows, scales], pinned, stack)
    return DeviceBatch(
        n_blocks=plan.n_blocks,
        table=on_device[0],
        n_words=int(ends[-1]) if plan.n_blocks else 0,
        n_by_warp=blocks_by_warp(plan.block_sizes),
        runs=on_device[1],
        windows=on_device[2],
        scales=on_device[3],
        window_size=plan.window_size,
        place_of=plan.place_of,
    )


def upload(arrays: Sequence[npt.NDArray[Any]], pinned: BufferPool, stack: ExitStack) -> list[Any]:
    """Copies of small arrays on the device, by one transfer that is not waited for."""
    starts = np.concatenate(([0], np.cumsum([-(-array.nbytes // ALIGNMENT) * ALIGNMENT for array in arrays])))
    buffer = stack.enter_context(pinned.lend(int(starts[-1])))
    for start, array in zip(starts.tolist(), arrays, strict=False):
        buffer[start : start + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    copy = cupy.empty(int(starts[-1]), np.uint8)
    copy.set(buffer)
    return [
        copy[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        for start, array in zip(starts.tolist(), arrays, strict=False)
    ]
