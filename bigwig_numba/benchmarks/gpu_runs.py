"""One decoder on the GPU, ready to be timed: inputs and outputs in device memory, a different input at each run."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import cupy
import numpy as np

from ..engine.inflating import GpuInflater
from ..engine.launcher import KernelLauncher
from ..engine.schedule import blocks_by_warp, longest_first
from ..kernels import launch
from ..kernels.swapping import InflateKernel
from .blocks import BlockSet
from .nvcomp import NvcompDeflate

POISON = 0xAA
COMPARED_AT_ONCE = 4096  # blocks


class _GpuRun(abc.ABC):
    """What the decoders share: timing by events, and comparing every byte."""

    name: str

    def __init__(self, n_copies: int, n_blocks: int, capacity: int) -> None:
        self.n_copies, self.n_blocks = n_copies, n_blocks
        self.slot = launch.slot_words(capacity) * 4
        self.output = cupy.empty(n_blocks * self.slot, np.uint8)

    @abc.abstractmethod
    def start(self, copy: int) -> None:
        """Decompress the blocks of this copy; nothing is waited for."""

    def time(self, repeats: int) -> float:
        """Median milliseconds of a run, by events; the first runs are not counted."""
        times = [_milliseconds(self.start, repeat % self.n_copies) for repeat in range(repeats + 2)]
        return float(np.median(times[2:]))

    def is_right(self, blocks: BlockSet, which: Any) -> bool:
        """Whether a run over poisoned memory leaves the right bytes in every block."""
        self.output[:] = POISON
        self.start(0)
        expected = np.zeros((len(blocks.sections), self.slot), np.uint8)
        for row, section in zip(expected, blocks.sections, strict=True):
            row[: len(section)] = np.frombuffer(section, np.uint8)
        lengths = cupy.asarray(np.array([len(section) for section in blocks.sections]))
        expected, rows = cupy.asarray(expected), cupy.asarray(which[0])
        output = self.output.reshape(self.n_blocks, self.slot)
        places = cupy.arange(self.slot)[None]
        for first in range(0, self.n_blocks, COMPARED_AT_ONCE):
            some = rows[first : first + COMPARED_AT_ONCE]
            same = output[first : first + COMPARED_AT_ONCE] == expected[some]
            if not bool((same | (places >= lengths[some][:, None])).all()):
                return False
        return True


class LibraryRun(_GpuRun):
    """Inflating by this library; the host has sorted the streams by size, as the engine does."""

    def __init__(
        self, data: Any, drawn: Any, capacity: int, *, n_by_warp: int | None = None, kernel: InflateKernel | None = None
    ) -> None:
        super().__init__(drawn.sizes.shape[0], drawn.sizes.shape[1], capacity)
        self.n_by_warp = blocks_by_warp(drawn.sizes[0]) if n_by_warp is None else n_by_warp
        self.name = "bigwig_numba" if n_by_warp is None else f"bigwig_numba, {n_by_warp} by warp"
        self.name = self.name if kernel is None else kernel.name
        self.data = data.view(np.uint32)
        self.tables = []
        for offsets, sizes in zip(drawn.offsets, drawn.sizes, strict=True):
            table = np.zeros((launch.TABLE_ROWS, self.n_blocks), np.int64)
            table[launch.SOURCE_WORD], table[launch.SIZE] = offsets // 4, sizes
            table[launch.CAPACITY], table[launch.STOP], table[launch.COMPRESSED] = capacity, 0xFFFFFFFF, 1
            table[launch.BASE] = np.arange(self.n_blocks) * (self.slot // 4)
            table[launch.ORDER] = longest_first(sizes)
            self.tables.append(cupy.asarray(table))
        self.results = cupy.empty((launch.RESULT_ROWS, self.n_blocks), np.int32)
        self.words = self.output.view(np.uint32)
        self.inflater = GpuInflater(KernelLauncher(), kernel)

    def start(self, copy: int) -> None:
        """Decompress the blocks of this copy."""
        self.inflater.run(self.data, self.tables[copy], self.words, self.results, n_by_warp=self.n_by_warp)


class NvcompRun(_GpuRun):
    """nvCOMP on the same streams, without their zlib headers."""

    name = "nvCOMP"

    def __init__(self, library: str, data: Any, drawn: Any, capacity: int) -> None:
        super().__init__(drawn.sizes.shape[0], drawn.sizes.shape[1], capacity)
        self.decoder = NvcompDeflate(library)
        self.decoder.prepare(self.n_blocks, capacity)
        # nvCOMP wants streams on 4-byte boundaries: it gets a copy of the data that is moved by the two header bytes.
        self.moved = cupy.concatenate((data[2:], data[:2]))
        self.streams = cupy.asarray(drawn.offsets.astype(np.uint64)) + np.uint64(self.moved.data.ptr)
        self.sizes = cupy.asarray((drawn.sizes - 6).astype(np.uint64))
        self.outputs = cupy.arange(self.n_blocks, dtype=np.uint64) * self.slot + np.uint64(self.output.data.ptr)
        self.capacities = cupy.full(self.n_blocks, capacity, np.uint64)

    def start(self, copy: int) -> None:
        """Decompress the blocks of this copy."""
        self.decoder.run(self.streams[copy], self.sizes[copy], self.outputs, self.capacities)


def _milliseconds(work: Callable[[int], None], copy: int) -> float:
    before, after = cupy.cuda.Event(), cupy.cuda.Event()
    before.record()
    work(copy)
    after.record()
    after.synchronize()
    return float(cupy.cuda.get_elapsed_time(before, after))
