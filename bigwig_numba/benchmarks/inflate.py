"""How fast blocks inflate: the library's decoders beside nvCOMP, zlib and libdeflate, every byte compared."""

from __future__ import annotations

import importlib
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.choose import why_no_cuda
from ..engine.store import ALIGNMENT, PADDING
from ..kernels.inflate.table import OUTPUT_SLACK, inflate_many
from .blocks import BlockSet, made_blocks, real_blocks

REPEATS = 7
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
        Whether every byte of every block was right.
    """

    decoder: str
    n_blocks: int
    milliseconds: float
    gigabytes_per_second: float
    right: bool

    def line(self) -> str:
        """For people."""
        verdict = "every byte right" if self.right else "WRONG"
        return (
            f"{self.decoder:<24} {self.n_blocks:>8,} blocks {self.milliseconds:>10.3f} ms "
            f"{self.gigabytes_per_second:>8.2f} GB/s  {verdict}"
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def run_inflate_benchmark(
    n_blocks: Sequence[int], *, n_items: int = 1_024, files: Sequence[str] | None = None
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
    """
    blocks = real_blocks(files) if files else made_blocks(2_048, n_items=n_items)
    if why_no_cuda() is None:
        for number in n_blocks:
            yield from measure_gpu(blocks, number)
    yield from measure_cpu(blocks)


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


def measure_gpu(blocks: BlockSet, n_blocks: int) -> Iterator[InflateResult]:
    """Time the GPU's decoder, and nvCOMP's where its library is found, on ``n_blocks`` blocks at a time."""
    import cupy

    from . import nvcomp
    from .gpu_runs import LibraryRun, NvcompRun

    drawn = _draw(blocks, n_blocks)
    data = cupy.asarray(drawn.data)
    runs: list[Any] = [LibraryRun(data, drawn, blocks.capacity)]
    library = nvcomp.find_library()
    if library:
        runs.append(NvcompRun(library, data, drawn, blocks.capacity))
    for run in runs:
        milliseconds = run.time(REPEATS)
        n_bytes = np.array([len(section) for section in blocks.sections])[drawn.which].sum(axis=1).mean()
        yield InflateResult(
            run.name, n_blocks, milliseconds, float(n_bytes) / milliseconds / 1e6, run.is_right(blocks, drawn.which)
        )


def measure_cpu(blocks: BlockSet) -> Iterator[InflateResult]:
    """Time the CPU's decoder on one thread, zlib, and libdeflate where the package ``deflate`` is installed."""
    n_bytes = sum(map(len, blocks.sections))
    decoders: list[tuple[str, Callable[[], list[bytes]]]] = [
        ("bigwig_numba, 1 thread", _LibraryOnCpu(blocks).run),
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
        right = tuple(run()) == blocks.sections
        times = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            run()
            times.append(time.perf_counter() - started)
        milliseconds = float(np.median(times)) * 1e3
        yield InflateResult(name, len(blocks.streams), milliseconds, n_bytes / milliseconds / 1e6, right)


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
