"""Compressed blocks to where the GPU decodes them: kept there, copied from memory beside it, or from their files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import cupy
import numpy as np
import numpy.typing as npt

from ..kernels import launch, resident
from ..parallel import ThreadTeam
from ..plan import ReadPlan
from ..storage import ByteSource
from .buffers import BufferPool
from .device_batch import DeviceBatch, upload
from .keeping import BlockKeeper
from .launcher import KernelLauncher
from .resident import ResidentBlocks
from .stages import StageClock
from .store import BlockRanges, fetch_blocks, slot_sizes

__all__ = ["BlockSupply"]

THREADS = 256
COPY_BYTES = 1 << 24  # a piece that is worth a transfer of its own while the next ones are being fetched


class BlockSupply:
    """Brings the compressed blocks of batches into device memory; what is kept there already stays where it is.

    Parameters
    ----------
    launcher, team, pinned, clock
        What it works with, and counts its time to.
    """

    def __init__(self, launcher: KernelLauncher, team: ThreadTeam, pinned: BufferPool, clock: StageClock) -> None:
        self._launcher, self._team, self._pinned, self._clock = launcher, team, pinned, clock

    def fetch(
        self, plan: ReadPlan | BlockRanges, sources: Sequence[ByteSource], stack: ExitStack
    ) -> tuple[Any, npt.NDArray[np.int64]]:
        """Bring blocks from their files; transfers run while the next blocks are being fetched.

        Parameters
        ----------
        plan, sources
            What to read.
        stack
            Holds the pinned buffer; the transfers must have ended when it closes.

        Returns
        -------
        data : (N,) uint32
            On the device.
        words : (K,) int64
            Where each block begins in it, on the host.
        """
        with self._clock.measure("fetch"):
            n_bytes = int(slot_sizes(plan.block_sizes).sum())
            buffer = stack.enter_context(self._pinned.lend(n_bytes))
            data = cupy.empty(max(1, n_bytes // 4), np.uint32)
            words, copied = buffer.view(np.uint32), 0

            def copy(filled: int) -> None:
                nonlocal copied
                if filled - copied >= COPY_BYTES or filled == n_bytes:
                    data[copied // 4 : filled // 4].set(words[copied // 4 : filled // 4])
                    copied = filled

            blocks = fetch_blocks(plan, sources, allocate=lambda *_: buffer, team=self._team, done=copy)
        return data, blocks.offsets // 4

    def supply(
        self,
        batch: DeviceBatch,
        kept: ResidentBlocks | None,
        keeper: BlockKeeper,
        sources: Sequence[ByteSource],
        stack: ExitStack,
    ) -> Any:
        """Bring the blocks of a batch that was planned on the device, and write into its table where they are.

        Returns
        -------
        (N,) uint32
            What the table's words count from. Blocks that were fetched lie outside of it, so words may be negative, or
            large: the device's memory is one address space.
        """
        held = None
        if kept is not None:
            held = self.reach(kept, batch)
        if batch.is_complete:
            return held
        missing = cupy.flatnonzero(batch.table[launch.SOURCE_WORD] < 0) if kept is not None else slice(None)
        leaves = batch.block_leaves[missing].get()
        keeper.count_streamed(int(keeper.tracks.leaf_sizes[leaves].sum()))
        data, words = self.fetch(BlockRanges.of_leaves(keeper.tracks, leaves), sources, stack)
        if held is None:
            held = data
        else:
            stack.callback(lambda _: None, data)  # nothing else refers to it while kernels read it
            words = words + (data.data.ptr - held.data.ptr) // 4
        batch.table[launch.SOURCE_WORD, missing] = upload([words], self._pinned, stack)[0]
        return held

    def reach(self, kept: ResidentBlocks, batch: DeviceBatch) -> Any:
        """Kept blocks in device memory: where they are, or copied from pinned memory by a kernel.

        The batch's table then says where; words of blocks that are not held stay negative.
        """
        if kept.is_on_device:
            return kept.data
        words = batch.table[launch.SOURCE_WORD]
        slots = cupy.where(words < 0, 0, slot_sizes(batch.table[launch.SIZE]) // 4)
        ends = cupy.cumsum(slots)
        data = cupy.zeros(max(1, int(ends[-1])), np.uint32)
        targets = cupy.where(words < 0, words, ends - slots)
        self._launcher.launch(
            resident.copy_to_device, max(1, -(-batch.n_blocks * launch.LANES // THREADS)), THREADS, kept.data,
            batch.table, targets, data, name="copy_to_device",
        )  # fmt: skip
        batch.table[launch.SOURCE_WORD] = targets
        return data
