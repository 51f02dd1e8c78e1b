"""Plan batches on the GPU, which is sent a few kilobytes of positions."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import cupy
import numpy as np
import numpy.typing as npt

from ..kernels import launch, resident
from ..plan import BlockPlace, TrackTable, WindowRequest
from .buffers import BufferPool
from .device_batch import SORTED_FROM, DeviceBatch, Layout, Transfer
from .launcher import KernelLauncher
from .resident import NOT_HELD, ResidentBlocks
from .schedule import LONG, MOST_BLOCKS_BY_WARP, MOST_LONG_BLOCKS

__all__ = ["ResidentPlanner"]

THREADS = 256


class ResidentPlanner:
    """The leaves of all files on the device, and the kernels that find those which windows need.

    Parameters
    ----------
    tracks
        The files.
    blocks
        Those that are kept within the GPU's reach, if any.
    launcher
        Compiles and launches the kernels.
    """

    def __init__(self, tracks: TrackTable, blocks: ResidentBlocks | None, launcher: KernelLauncher) -> None:
        self.tracks, self.blocks = tracks, blocks
        self.launcher = launcher
        self.n_leaves = len(tracks.leaf_sizes)
        words = np.full(self.n_leaves, NOT_HELD) if blocks is None else blocks.words
        leaves = np.stack([tracks.leaf_starts, tracks.leaf_reaches, tracks.leaf_sizes, words])
        self._leaves = cupy.asarray(leaves)
        self._first_leaf = cupy.asarray(tracks.first_leaf)
        chromosomes = np.stack([tracks.genome_starts, tracks.genome_ends, tracks.chrom_ids.astype(np.int64)])
        self._chromosomes = cupy.asarray(chromosomes)
        self._file_facts = cupy.asarray(np.stack([tracks.capacities, tracks.big_endian.astype(np.int64)]))
        largest = max(int(tracks.capacities.max(initial=0)), _largest_uncompressed(tracks))
        self.slot_words = launch.slot_words(largest)

    @property
    def n_bytes(self) -> int:
        """Bytes of device memory that the leaves take."""
        return int(self._leaves.nbytes + self._chromosomes.nbytes)

    def plan(
        self, request: WindowRequest, scales: npt.NDArray[np.float32], pinned: BufferPool, stack: ExitStack
    ) -> DeviceBatch:
        """Find the blocks that a request needs.

        Parameters
        ----------
        request
            Windows and tracks.
        scales
            (T,) float32, of these tracks.
        pinned, stack
            As for ``device_batch.upload``.
        """
        n_windows, n_tracks = len(request.starts), len(request.files)
        layout: Layout = [((4, n_windows), np.int64), ((n_tracks,), np.int64), ((n_tracks,), np.float32)]
        transfer = Transfer(layout, pinned, stack)
        positions, transfer.host[1][:], transfer.host[2][:] = transfer.host[0], request.files, scales
        positions[resident.ROW], positions[resident.START] = request.chromosome_rows, request.starts
        positions[resident.CLIP_START], positions[resident.CLIP_END] = request.clip_starts, request.clip_ends
        transfer.send()
        queries, files, device_scales = transfer.device
        marks = cupy.zeros((3, self.n_leaves + 1), np.uint32)
        runs = cupy.empty((3, n_windows, n_tracks), np.int32)
        pairs = _groups(n_windows * n_tracks)
        self.launcher.launch(
            resident.find_leaves, pairs, THREADS, self._leaves, self._first_leaf, self._chromosomes, files, queries,
            marks, runs, name="find_leaves",
        )  # fmt: skip
        numbers = cupy.cumsum(marks[resident.NEEDED].view(np.int32), dtype=np.int32)
        self.launcher.launch(resident.number_runs, pairs, THREADS, numbers, runs, name="number_runs")
        n_blocks, with_mark = numbers[-2:].get().tolist() if self.n_leaves else (0, 0)  # waits for the GPU
        table, keys, block_leaves = self._list_blocks(marks, numbers, n_blocks)
        return DeviceBatch(
            n_blocks=n_blocks,
            table=table,
            n_words=n_blocks * self.slot_words,
            n_by_warp=_order(table, keys, n_blocks),
            runs=runs,
            windows=queries[resident.START :],
            scales=device_scales,
            window_size=request.window_size,
            place_of=lambda block: self._place(int(block_leaves[block])),
            block_leaves=block_leaves[:n_blocks],
            is_complete=with_mark == n_blocks,  # the last mark says that something is missing
        )

    def _list_blocks(self, marks: Any, numbers: Any, n_blocks: int) -> tuple[Any, Any, Any]:
        table = cupy.empty((launch.TABLE_ROWS, max(1, n_blocks)), np.int64)
        keys = cupy.empty(max(1, n_blocks), np.uint16)
        block_leaves = cupy.empty(max(1, n_blocks), np.int64)
        self.launcher.launch(
            resident.list_blocks, _groups(self.n_leaves), THREADS, self._leaves, self._first_leaf, self._file_facts,
            marks, numbers, self.slot_words, table, keys, block_leaves, name="list_blocks",
        )  # fmt: skip
        return table, keys, block_leaves

    def _place(self, leaf: int) -> BlockPlace:
        track = int(np.searchsorted(self.tracks.first_leaf, leaf, side="right")) - 1
        return BlockPlace(track, int(self.tracks.leaf_offsets[leaf]), int(self.tracks.leaf_sizes[leaf]))


def _order(table: Any, keys: Any, n_blocks: int) -> int:
    """Sort the table's order by how long blocks will take, the longest first; how many get a warp each."""
    if n_blocks > SORTED_FROM:
        table[launch.ORDER] = cupy.argsort(keys)
    if n_blocks <= MOST_BLOCKS_BY_WARP:
        return n_blocks
    work = resident.LARGEST_KEY - keys.astype(np.int32)
    return min(MOST_LONG_BLOCKS, int(cupy.count_nonzero(work > LONG * work.mean())))


def _groups(n_threads: int) -> int:
    return max(1, -(-n_threads // THREADS))


def _largest_uncompressed(tracks: TrackTable) -> int:
    """Bytes of the largest block of files whose blocks are not compressed; 0 where there are none."""
    plain = np.repeat(tracks.capacities == 0, np.diff(tracks.first_leaf))
    return int(tracks.leaf_sizes[plain].max(initial=0))
