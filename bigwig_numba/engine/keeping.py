"""Which compressed blocks stay within the GPU's reach, and when they are loaded."""

from __future__ import annotations

import logging
import threading

import cupy

from ..parallel import ThreadTeam
from ..plan import TrackTable
from .buffers import BufferPool
from .launcher import KernelLauncher
from .resident import ResidentBlocks, load_blocks
from .resident_planning import ResidentPlanner
from .sources import SourceTable
from .store import slot_sizes
from .worth_keeping import KeptRegions, choose_leaves

__all__ = ["BlockKeeper"]

logger = logging.getLogger(__name__)

DEVICE_FRACTION = 0.5  # of the free memory, for "auto": models and batches need room
INDEX_FRACTION = 0.2  # of the free memory, for the index
LEAF_BYTES = 48  # that the index of a leaf takes on the device, marks included
MOST_LEAVES = 1 << 31  # their numbers are int32 on the device


class BlockKeeper:
    """The index on the device, and the blocks that stay there: loaded when it is time, streamed where memory is short.

    Parameters
    ----------
    tracks, sources
        The files.
    store
        ``"device"`` and ``"host"`` load at the first batch. ``"auto"`` loads to the device, once as many bytes have
        been streamed as loading would move: so a few batches never pay for more than twice what they need. It takes
        local files only, and at most half of the free memory; of more, it keeps the blocks that cover most bases a
        byte.
        ``"stream"`` loads nothing.
    most_bytes
        For the blocks; None for what ``store`` says, or all.
    regions
        Where windows will be, so that only blocks of these are kept; anywhere by default.
    launcher, team, pinned
        What loading and planning work with.
    """

    def __init__(
        self,
        tracks: TrackTable,
        sources: SourceTable,
        *,
        store: str,
        most_bytes: int | None,
        regions: KeptRegions | None,
        launcher: KernelLauncher,
        team: ThreadTeam,
        pinned: BufferPool,
    ) -> None:
        self.tracks = tracks
        self._sources, self._store, self._most_bytes, self._regions = sources, store, most_bytes, regions
        self._launcher, self._team, self._pinned = launcher, team, pinned
        self._total = int(slot_sizes(tracks.leaf_sizes).sum())
        self._streamed = 0
        self._planners: dict[int, ResidentPlanner | None] = {}  # by device
        self._tried: set[int] = set()  # devices to which blocks were loaded, or could not be
        self._lock = threading.Lock()

    @property
    def n_bytes(self) -> dict[str, int]:
        """Bytes that the ``"index"`` takes on the device, and blocks on the ``"device"`` and on the ``"host"``."""
        taken = {"index": 0, "device": 0, "host": 0}
        for planner in self._planners.values():
            if planner is not None:
                taken["index"] += planner.n_bytes
            if planner is not None and planner.blocks is not None:
                taken["device" if planner.blocks.is_on_device else "host"] += planner.blocks.n_bytes
        return taken

    def count_streamed(self, n_bytes: int) -> None:
        """Tell how many bytes a batch had to stream."""
        with self._lock:
            self._streamed += n_bytes

    def planner(self) -> ResidentPlanner | None:
        """What plans batches on the current device, its blocks loaded now if it is time; None if it has no room."""
        device = int(cupy.cuda.runtime.getDevice())
        with self._lock:
            if device not in self._tried and self._is_time():
                self._tried.add(device)
                self._planners[device] = self._make_planner(self._load())
            elif device not in self._planners:
                self._planners[device] = self._make_planner(None)
            return self._planners[device]

    def _is_time(self) -> bool:
        if self._store != "auto":
            return self._store != "stream" and self._total > 0
        return bool(self._sources.mapped.all()) and self._streamed >= self._total > 0

    def _make_planner(self, blocks: ResidentBlocks | None) -> ResidentPlanner | None:
        n_leaves = len(self.tracks.leaf_sizes)
        if n_leaves < MOST_LEAVES and LEAF_BYTES * n_leaves < INDEX_FRACTION * _free_bytes():
            return ResidentPlanner(self.tracks, blocks, self._launcher)
        logger.info("The index of %s blocks stays on the host: the GPU's memory has better uses", f"{n_leaves:,}")
        return None

    def _load(self) -> ResidentBlocks | None:
        for on_device in {"device": (True, False), "host": (False,)}.get(self._store, (True,)):
            try:
                return self._load_to(on_device)
            except (cupy.cuda.memory.OutOfMemoryError, cupy.cuda.runtime.CUDARuntimeError, MemoryError) as error:
                logger.warning(
                    "Compressed blocks of %s bytes do not fit into %s (%s): %s. Take fewer files, or set store_bytes.",
                    f"{self._total:,}", _place(on_device), error,
                    "trying pinned memory" if on_device and self._store == "device" else "they will be streamed",
                )  # fmt: skip
        return None

    def _load_to(self, on_device: bool) -> ResidentBlocks | None:
        most = self._room() if self._most_bytes is None else self._most_bytes
        leaves = choose_leaves(self.tracks, most, self._regions)
        if len(leaves) == 0:
            return None
        if len(leaves) < len(self.tracks.leaf_sizes) and self._regions is None:
            share = float(self.tracks.leaf_sizes[leaves].sum() / self.tracks.leaf_sizes.sum())
            logger.warning(
                "%.0f %% of the compressed bytes are kept in %s, the rest is streamed", share * 100, _place(on_device)
            )
        return load_blocks(
            self.tracks, self._sources, leaves, on_device=on_device, team=self._team, pinned=self._pinned
        )

    def _room(self) -> int:
        """Bytes that may be taken when the caller sets no limit."""
        if self._store != "auto":
            return max(self._total, 1)  # what was asked for; an allocation that fails falls back
        return int(_free_bytes() * DEVICE_FRACTION) - LEAF_BYTES * len(self.tracks.leaf_sizes)


def _free_bytes() -> int:
    """Bytes of the current device that are free, or held by CuPy for reuse."""
    return int(cupy.cuda.Device().mem_info[0]) + int(cupy.get_default_memory_pool().free_bytes())


def _place(on_device: bool) -> str:
    return "GPU memory" if on_device else "pinned memory"
