"""A batch as the CUDA kernels take it, made of a plan of the host's or planned on the GPU itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import cupy
import numpy as np
import numpy.typing as npt

from ..kernels import launch
from ..kernels.tables import NEVER_STOP, fill_table
from ..plan import BlockPlace, ReadPlan
from .buffers import BufferPool
from .schedule import blocks_by_warp, longest_first

__all__ = [
    "NEVER_STOP", "SORTED_FROM", "DeviceBatch", "Layout", "Transfer", "batch_of_plan", "fill_batch", "layout_of_plan",
    "upload",
]  # fmt: skip

ALIGNMENT = 64  # bytes, of the arrays in one transfer
SORTED_FROM = 2_048  # blocks; fewer inflate all at once, in whatever order

Layout = list[tuple[tuple[int, ...], type[np.generic]]]


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


class Transfer:
    """Arrays that are filled in pinned memory and go to the device side by side, by one copy or a few.

    Parameters
    ----------
    layout
        Shape and type of each.
    pinned, stack
        The pool, whose buffer is lent until the stack closes; by then the copies must have ended.

    Attributes
    ----------
    host, device
        The arrays, and what they will be on the device.
    starts
        Where each begins, in bytes, and where the last one ends.
    n_sent
        Bytes that have been sent.
    """

    def __init__(self, layout: Layout, pinned: BufferPool, stack: ExitStack) -> None:
        starts = [0]
        for shape, dtype in layout:
            n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
            starts.append(starts[-1] + -(-n_bytes // ALIGNMENT) * ALIGNMENT)
        self.starts, self.n_sent = starts, 0
        self._buffer = stack.enter_context(pinned.lend(starts[-1]))
        self._memory = cupy.empty(max(1, starts[-1]), np.uint8)
        places = list(zip(layout, starts, strict=False))
        self.host = [np.ndarray(shape, dtype, self._buffer, start) for (shape, dtype), start in places]
        self.device = [cupy.ndarray(shape, dtype, self._memory.data + start) for (shape, dtype), start in places]

    def send(self, end: int | None = None) -> None:
        """Copy what has not been copied yet, to the end or so many bytes; nothing is waited for."""
        first, last = self.n_sent, self.starts[-1] if end is None else end
        if last > first:
            self._memory[first:last].set(self._buffer[first:last])
            self.n_sent = last


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
        As for ``Transfer``.
    """
    transfer = Transfer(layout_of_plan(plan, scales), pinned, stack)
    batch = fill_batch(transfer, plan, source_words, scales)
    transfer.send()
    return batch


def layout_of_plan(plan: ReadPlan, scales: npt.NDArray[np.float32]) -> Layout:
    """The arrays of a plan that go to the device."""
    shape = plan.first_blocks.shape
    return [
        ((launch.TABLE_ROWS, max(1, plan.n_blocks)), np.int64),
        ((3, *shape), np.int32),
        ((3, shape[0]), np.int64),
        (scales.shape, np.float32),
    ]


def fill_batch(
    transfer: Transfer, plan: ReadPlan, source_words: npt.NDArray[np.int64], scales: npt.NDArray[np.float32]
) -> DeviceBatch:
    """Write a plan to the last arrays of a transfer, which are those of ``layout_of_plan``; they are yet to be sent."""
    table, runs, windows, device_scales = transfer.host[-4:]
    on_device = transfer.device[-4:]
    n_words = fill_table(
        table, source_words, plan.block_sizes, plan.block_capacities, plan.block_stops, plan.block_compressed,
        plan.block_big_endian, plan.block_follows,
    )  # fmt: skip
    if plan.n_blocks > SORTED_FROM:
        table[launch.ORDER] = longest_first(plan.block_sizes)
    runs[0], runs[1], runs[2] = plan.first_blocks, plan.last_blocks, plan.chrom_ids.view(np.int32)
    windows[0], windows[1], windows[2] = plan.window_starts, plan.clip_starts, plan.clip_ends
    device_scales[:] = scales
    return DeviceBatch(
        n_blocks=plan.n_blocks,
        table=on_device[0],
        n_words=n_words,
        n_by_warp=blocks_by_warp(plan.block_sizes),
        runs=on_device[1],
        windows=on_device[2],
        scales=on_device[3],
        window_size=plan.window_size,
        place_of=plan.place_of,
    )


def upload(arrays: Sequence[npt.NDArray[Any]], pinned: BufferPool, stack: ExitStack) -> list[Any]:
    """Copies of small arrays on the device, by one transfer that is not waited for."""
    transfer = Transfer([(array.shape, array.dtype.type) for array in arrays], pinned, stack)
    for target, array in zip(transfer.host, arrays, strict=True):
        target[...] = array
    transfer.send()
    return transfer.device
