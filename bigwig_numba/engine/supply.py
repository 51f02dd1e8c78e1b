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
from .device_batch import DeviceBatch, Layout, Transfer, batch_of_plan, fill_batch, layout_of_plan, upload
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
            transfer, words = self._gather(plan, sources, [], stack)
            transfer.send()
        return transfer.device[0], words

    def fetch_batch(
        self, plan: ReadPlan, scales: npt.NDArray[np.float32], sources: Sequence[ByteSource], stack: ExitStack
    ) -> tuple[Any, DeviceBatch]:
        """``fetch`` and ``batch_of_plan`` in one, and, of few blocks, in one transfer."""
        with self._clock.measure("fetch"):
            transfer, words = self._gather(plan, sources, layout_of_plan(plan, scales), stack)
            batch = fill_batch(transfer, plan, words, scales)
            transfer.send()
        return transfer.device[0], batch

    def _gather(
        self, plan: ReadPlan | BlockRanges, sources: Sequence[ByteSource], others: Layout, stack: ExitStack
    ) -> tuple[Transfer, npt.NDArray[np.int64]]:
        """Bring blocks into the first array of a transfer, whole pieces on their way to the device already."""
        n_bytes = int(slot_sizes(plan.block_sizes).sum())
        transfer = Transfer([((max(1, n_bytes // 4),), np.uint32), *others], self._pinned, stack)
        buffer = transfer.host[0].view(np.uint8)[:n_bytes]

        def copy(filled: int) -> None:
            if filled - transfer.n_sent >= COPY_BYTES or filled == n_bytes >= COPY_BYTES:
                transfer.send(filled)

        blocks = fetch_blocks(plan, sources, allocate=lambda *_: buffer, team=self._team, done=copy)
        return transfer, blocks.offsets // 4

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
        targets = cupy.where(words < 0, words, ends - slots)
        return self._copy_kept(kept, batch, targets, int(ends[-1]))

    def reach_batch(
        self, kept: ResidentBlocks, plan: ReadPlan, scales: npt.NDArray[np.float32], stack: ExitStack
    ) -> tuple[Any, DeviceBatch]:
        """``reach`` and ``batch_of_plan`` in one, for a plan of the host's all of whose blocks are kept."""
        words = kept.words[plan.block_leaves]
        if kept.is_on_device or plan.n_blocks == 0:
            return kept.data, batch_of_plan(plan, words, scales, self._pinned, stack)
        transfer = Transfer([(words.shape, np.int64), *layout_of_plan(plan, scales)], self._pinned, stack)
        batch = fill_batch(transfer, plan, words, scales)
        slots = slot_sizes(plan.block_sizes) // 4
        ends = np.cumsum(slots)
        transfer.host[0][:] = ends - slots
        transfer.send()
        return self._copy_kept(kept, batch, transfer.device[0], int(ends[-1])), batch

    def _copy_kept(self, kept: ResidentBlocks, batch: DeviceBatch, targets: Any, n_words: int) -> Any:
        """Copy blocks from pinned memory to these words of new device memory, and say so in the batch's table."""
        data = cupy.zeros(max(1, n_words), np.uint32)
        self._launcher.launch(
            resident.copy_to_device, max(1, -(-batch.n_blocks * launch.LANES // THREADS)), THREADS, kept.data,
            batch.table, targets, data, name="copy_to_device",
        )  # fmt: skip
        batch.table[launch.SOURCE_WORD] = targets
        return data
