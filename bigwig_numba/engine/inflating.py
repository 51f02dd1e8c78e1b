"""Inflate blocks that are on the device: two kernels, side by side where both have work."""

from __future__ import annotations

from typing import Any

import cupy

from ..kernels import launch, launch_swapped
from ..kernels.inflate.lane_codes import N_LANES
from ..kernels.inflate.warp_layout import N_WARPS
from ..kernels.swapping import InflateKernel
from .launcher import KernelLauncher


class GpuInflater:
    """Inflates blocks that are on the device; nothing is waited for.

    Parameters
    ----------
    launcher
        Compiles and launches the kernels.
    kernel
        What inflates; by default the built-in kernels, both.
    """

    def __init__(self, launcher: KernelLauncher, kernel: InflateKernel | None = None) -> None:
        self.launcher = launcher
        self.kernel = InflateKernel("auto") if kernel is None else kernel
        self._side_streams: dict[int, Any] = {}

    def run(self, data: Any, table: Any, words: Any, results: Any, *, n_by_warp: int) -> None:
        """Inflate the K blocks of a table.

        Parameters
        ----------
        data : (N / 4,) uint32
            Compressed blocks.
        table : (9, K) int64
            Where they are and where they go, see ``kernels.launch``.
        words : (W,) uint32
            Inflated blocks, written.
        results : (4, K) int32
            What became of each block, written; see ``kernels.launch``. A kernel of one's own writes the first two rows.
        n_by_warp
            How many, the longest, get a warp each; the others get a lane each. See ``schedule.blocks_by_warp``.
        """
        n_blocks = table.shape[1]
        if not self.kernel.is_builtin:
            self._by_own(data, table, words, results)
            return
        n_by_warp = {"lanes": 0, "warps": n_blocks}.get(self.kernel.name, n_by_warp)
        if not 0 < n_by_warp < n_blocks:
            self._launch(data, table, words, results, n_by_warp)
            return
        # Side by side: each kernel leaves the other room on every multiprocessor.
        main, side = cupy.cuda.get_current_stream(), self._side_stream()
        side.wait_event(main.record())
        with side:
            self._by_warp(data, table, words, results, n_by_warp)
        self._by_lane(data, table, words, results, n_by_warp)
        main.wait_event(side.record())

    def _launch(self, data: Any, table: Any, words: Any, results: Any, n_by_warp: int) -> None:
        if n_by_warp:
            self._by_warp(data, table, words, results, n_by_warp)
        else:
            self._by_lane(data, table, words, results, 0)

    def _by_own(self, data: Any, table: Any, words: Any, results: Any) -> None:
        own, n_blocks = self.kernel, table.shape[1]
        kernel = launch_swapped.make_inflate_by_thread(own) if own.cuda is None else own.cuda
        n_groups = -(-n_blocks // own.streams_per_group)
        self.launcher.launch(kernel, n_groups, own.threads, data, table, words, results, 0, n_blocks)

    def _by_warp(self, data: Any, table: Any, words: Any, results: Any, n_blocks: int) -> None:
        n_groups = -(-n_blocks // N_WARPS)
        self.launcher.launch(
            launch.inflate_blocks_by_warp, n_groups, N_WARPS * launch.LANES, data, table, words, results, n_blocks,
            name="inflate_blocks_by_warp",
        )  # fmt: skip

    def _by_lane(self, data: Any, table: Any, words: Any, results: Any, first: int) -> None:
        n_groups = -(-(table.shape[1] - first) // N_LANES)
        self.launcher.launch(
            launch.inflate_blocks_by_lane, n_groups, N_LANES, data, table, words, results, first,
            name="inflate_blocks_by_lane",
        )  # fmt: skip

    def _side_stream(self) -> Any:
        device = cupy.cuda.runtime.getDevice()
        if device not in self._side_streams:
            self._side_streams[device] = cupy.cuda.Stream(non_blocking=True)
        return self._side_streams[device]
