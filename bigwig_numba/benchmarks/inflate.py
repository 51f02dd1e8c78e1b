"""How fast blocks inflate: the library's decoders beside nvCOMP, zlib and libdeflate, every byte compared."""

from __future__ import annotations

import importlib
import math
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.choose import why_no_cuda
from ..kernels.gather import ALIGNMENT, PADDING
from ..kernels.inflate.table import OUTPUT_SLACK, inflate_many
from ..kernels.swapping import InflateKernel, inflate_streams
from .blocks import BlockSet, made_blocks, real_blocks

REPEATS = 7
POISON = 0xAAAAAAAA
L2_BYTES = 64 << 20  # inputs rotate over more than this, so that no run finds its input in the GPU's cache


@dataclass(frozen=True)
class InflateResult:
    """One line of the benchmark.

    Parameters
    ----------
    decoder
        What was measured.
    n_blocks
        Blocks inflated at a time.
    milliseconds
        Median of several runs.
    gigabytes_per_second
        Inflated bytes by time.
    right
        Whether every byte of every block was right. What is wrong is not timed: its time is NaN.
    problem
        What is wrong, where that is known.
    """

    decoder: str
    n_blocks: int
    milliseconds: float
    gigabytes_per_second: float
    right: bool
    problem: str = ""

    def line(self) -> str:
        """For people."""
        verdict = "every byte right" if self.right else f"WRONG {self.problem}".rstrip()
        return (
            f"{self.decoder:<24} {self.n_blocks:>8,} blocks {self.milliseconds:>10.3f} ms "
            f"{self.gigabytes_per_second:>8.2f} GB/s  {verdict}"
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def run_inflate_benchmark(
    n_blocks: Sequence[int],
    *,
    n_items: int = 1_024,
    files: Sequence[str] | None = None,
    kernels: Sequence[InflateKernel] = (),
) -> Iterator[InflateResult]:
    """Measure all decoders that there are, one result after another.

    Parameters
    ----------
    n_blocks
        Numbers of blocks to inflate at a time on the GPU.
    n_items
        Items of a made block.
    files
        Draw blocks from these files instead.
    kernels
        More kernels to measure beside the built-in ones.
    """
    blocks = real_blocks(files) if files else made_blocks(2_048, n_items=n_items)
    if why_no_cuda() is None:
        for number in n_blocks:
            yield from measure_gpu(blocks, number, kernels)
    yield from measure_cpu(blocks, kernels)


def race_inflate_kernels(
    kernels: Sequence[InflateKernel], *, n_blocks: int = 2_048, n_items: int = 1_024
) -> list[InflateResult]:
    """Measure one's own kernels beside the library's on made blocks: on the GPU if there is one, and on the CPU.

    Parameters
    ----------
    kernels
        One's own.
    n_blocks
        Blocks at a time.
    n_items
        Items of a block, 12 bytes each.
    """
    blocks = made_blocks(n_blocks, n_items=n_items)
    on_gpu = list(measure_gpu(blocks, n_blocks, kernels)) if why_no_cuda() is None else []
    return on_gpu + list(measure_cpu(blocks, kernels))


@dataclass(frozen=True)
class _Copies:
    """``n_blocks`` draws from a block set, laid out in one buffer, as often as it takes to exceed the cache."""

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]  # (copies, n_blocks)
    sizes: npt.NDArray[np.int64]
    which: npt.NDArray[np.int64]


def _draw(blocks: BlockSet, n_blocks: int, *, most_copies: int = 64) -> _Copies:
    rng = np.random.default_rng(n_blocks)
    lengths = np.array([len(stream) for stream in blocks.streams])
    mean_slot = int(lengths.mean()) + PADDING
    copies = int(np.clip(2 * L2_BYTES // (mean_slot * n_blocks), 1, most_copies))
    n_draws = copies * n_blocks
    which = (
        np.arange(n_draws) % len(blocks.streams)
        if n_draws <= len(blocks.streams)
        else rng.integers(0, len(blocks.streams), n_draws)
    )
    sizes = lengths[which]
    slots = -(-(sizes + PADDING) // ALIGNMENT) * ALIGNMENT
    offsets = np.concatenate(([0], np.cumsum(slots)))
    data = np.zeros(int(offsets[-1]), np.uint8)
    for offset, block in zip(offsets[:-1].tolist(), which.tolist(), strict=True):
        stream = blocks.streams[block]
        data[offset : offset + len(stream)] = np.frombuffer(stream, np.uint8)
    shape = (copies, n_blocks)
    return _Copies(data, offsets[:-1].reshape(shape), sizes.reshape(shape), which.reshape(shape))


def measure_gpu(blocks: BlockSet, n_blocks: int, kernels: Sequence[InflateKernel] = ()) -> Iterator[InflateResult]:
    """Time the GPU's decoder, one's own, and nvCOMP's where its library is found, on ``n_blocks`` blocks at a time."""
    import cupy

    from . import nvcomp
    from .gpu_runs import LibraryRun, NvcompRun

    drawn = _draw(blocks, n_blocks)
    data = cupy.asarray(drawn.data)
    runs: list[Any] = [LibraryRun(data, drawn, blocks.capacity)]
    runs += [LibraryRun(data, drawn, blocks.capacity, kernel=kernel) for kernel in kernels]
    library = nvcomp.find_library()
    if library:
        runs.append(NvcompRun(library, data, drawn, blocks.capacity))
    for run in runs:
        right = run.is_right(blocks, drawn.which)
        milliseconds = run.time(REPEATS) if right else math.nan
        n_bytes = np.array([len(section) for section in blocks.sections])[drawn.which].sum(axis=1).mean()
        yield InflateResult(run.name, n_blocks, milliseconds, float(n_bytes) / milliseconds / 1e6, right)


def measure_cpu(blocks: BlockSet, kernels: Sequence[InflateKernel] = ()) -> Iterator[InflateResult]:
    """Time the CPU's decoder on one thread, one's own, zlib, and libdeflate where ``deflate`` is installed."""
    n_bytes = sum(map(len, blocks.sections))
    decoders: list[tuple[str, Callable[[], list[bytes]]]] = [
        ("bigwig_numba, 1 thread", _LibraryOnCpu(blocks).run),
        *((f"{kernel.name}, 1 thread", _OwnOnCpu(blocks, kernel).run) for kernel in kernels if kernel.decode),
        ("zlib", lambda: [zlib.decompress(stream) for stream in blocks.streams]),
    ]
    try:
        deflate = importlib.import_module("deflate")
    except ImportError:
        pass
    else:
        pairs = list(zip(blocks.streams, map(len, blocks.sections), strict=True))
        decoders.append(
            ("libdeflate", lambda: [bytes(deflate.zlib_decompress(stream, size)) for stream, size in pairs])
        )
    for name, run in decoders:
        inflated = run()
        right = tuple(inflated) == blocks.sections
        milliseconds = _median_milliseconds(run) if right else math.nan
        problem = "" if right else _first_difference(inflated, blocks.sections)
        yield InflateResult(name, len(blocks.streams), milliseconds, n_bytes / milliseconds / 1e6, right, problem)


def _median_milliseconds(run: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1e3


def _first_difference(inflated: Sequence[bytes], sections: Sequence[bytes]) -> str:
    """Where the first wrong block differs from what it should be."""
    if len(inflated) != len(sections):
        return "(a block was refused)"
    block = next(i for i, section in enumerate(sections) if inflated[i] != section)
    ours, theirs = inflated[block], sections[block]
    if len(ours) != len(theirs):
        return f"(block {block}: {len(ours):,} bytes instead of {len(theirs):,})"
    byte = next(i for i, value in enumerate(theirs) if ours[i] != value)
    return f"(block {block}: byte {byte:,} is {ours[byte]} instead of {theirs[byte]})"


class _LibraryOnCpu:
    """The CPU engine's inflating, for one thread, without what surrounds it."""

    def __init__(self, blocks: BlockSet) -> None:
        self.drawn = _draw(blocks, len(blocks.streams), most_copies=1)
        slot = -(-(blocks.capacity + OUTPUT_SLACK) // 16) * 16
        n_blocks = len(blocks.streams)
        self.output = np.empty(n_blocks * slot, np.uint8)
        self.starts = np.arange(n_blocks) * slot
        self.lengths = [len(section) for section in blocks.sections]
        self.capacity = blocks.capacity
        self.statuses = np.empty(n_blocks, np.int32)

    def run(self) -> list[bytes]:
        inflate_many(
            self.drawn.data, self.drawn.offsets[0], self.drawn.sizes[0], self.output, self.starts, self.capacity,
            self.statuses,
        )  # fmt: skip
        if self.statuses.any():
            return []
        return [
            self.output[start : start + length].tobytes()
            for start, length in zip(self.starts.tolist(), self.lengths, strict=True)
        ]


class _OwnOnCpu:
    """The same of a decoder of one's own, over poisoned memory."""

    def __init__(self, blocks: BlockSet, kernel: InflateKernel) -> None:
        self.drawn = _draw(blocks, len(blocks.streams), most_copies=1)
        self.kernel = kernel
        self.slot = blocks.capacity // 4 + OUTPUT_SLACK // 4
        self.words = np.full(len(blocks.streams) * self.slot, POISON, np.uint32)
        self.capacity = blocks.capacity

    def run(self) -> list[bytes]:
        statuses, lengths = inflate_streams(
            self.kernel, self.drawn.data.view(np.uint32), self.drawn.offsets[0] // 4, self.drawn.sizes[0], self.words,
            self.slot, self.capacity,
        )  # fmt: skip
        if statuses.any():
            return []
        starts = np.arange(lengths.size) * self.slot * 4
        output = self.words.view(np.uint8)
        return [
            output[start : start + length].tobytes()
            for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)
        ]
