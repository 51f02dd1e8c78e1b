"""One's own functions on the GPU: answers of statistics, and how fast kernels are beside the built-in ones."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cupy
import numpy as np
import numpy.typing as npt
from numba import cuda

from ..collection import BigWigCollection
from ..encoders import SequenceEncoder, one_hot_encoder
from ..engine.launcher import KernelLauncher
from ..example_data import example_data
from ..genome import ReferenceGenome
from ..kernels.statistic import Statistic, device_functions
from ..transforms import TrackTransforms, Transform
from .result import Speed
from .sections import Bin

THREADS = 128
CHROMOSOME = "chr1"
LENGTH = 400_000  # bases of the example's first chromosome
GENOME_LENGTH = 16 << 20
BUSY_BYTES, BUSY_TIMES = 256 << 20, 40  # 3 ms on an H200
WINDOW = 16_384
WINDOW_SIZE = 32
N_WINDOWS = 2_048
REPEATS = 20


def make_answer_bins(statistic: Statistic) -> Any:
    """The kernel that gives each bin its answer from a list of items: the statistic's functions and nothing else."""
    init, update, finish = device_functions(statistic)

    @cuda.jit
    def answer_bins(values, lengths, firsts, window_sizes, defaults, answers):  # type: ignore[no-untyped-def]
        i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        if i < answers.size:
            state = init()
            for item in range(firsts[i], firsts[i + 1]):
                state = update(state, values[item], lengths[item])
            answers[i] = finish(state, window_sizes[i], defaults[i])

    return answer_bins


def answer_on_gpu(statistic: Statistic, bins: Sequence[Bin]) -> npt.NDArray[np.float32]:
    """(n_bins,) answers of the GPU."""
    items = [item for some in bins for item in some.items]
    arrays = (
        np.array([float(value) for value, _ in items] or [0.0], np.float32),
        np.array([n_bases for _, n_bases in items] or [0], np.int64),
        np.cumsum([0, *(len(some.items) for some in bins)], dtype=np.int64),
        np.array([some.window_size for some in bins], np.int64),
        np.array([some.default_value for some in bins], np.float32),
    )
    answers = cupy.empty(len(bins), np.float32)
    n_groups = -(-len(bins) // THREADS)
    KernelLauncher().launch(make_answer_bins(statistic), n_groups, THREADS, *map(cupy.asarray, arrays), answers)
    return np.asarray(answers.get())


def measure_statistics(asked: Statistic | list[Statistic], mean: Statistic) -> Speed:
    """Time the reduce kernel in batches of the example tracks, with one's own statistics and the mean in turn."""
    with tempfile.TemporaryDirectory() as folder:
        paths = example_data(folder, chromosome_length=LENGTH).bigwig_paths
        with BigWigCollection(paths, device="cuda", store="device") as collection:
            starts = np.random.default_rng(0).integers(0, LENGTH - WINDOW, N_WINDOWS)
            where = ([CHROMOSOME] * N_WINDOWS, starts, starts + WINDOW, WINDOW_SIZE)

            def reduce(statistic: Statistic | list[Statistic]) -> tuple[float, int]:
                before = collection.stage_seconds["reduce"]
                batch = collection.get_batch(*where, statistic=statistic)
                return collection.stage_seconds["reduce"] - before, batch.nbytes

            own, other = _in_turn(lambda: reduce(asked), lambda: reduce(mean))
    return Speed(_name(), own, other, f"output, bins of {WINDOW_SIZE}")


def measure_encoders(encoder: SequenceEncoder) -> Speed:
    """Time the encoding kernel on a genome that lies on the device, one's own and one-hot in turn."""
    bases = np.random.default_rng(0).choice(np.frombuffer(b"ACGT", np.uint8), GENOME_LENGTH)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "made.fa")
        path.write_bytes(b">" + CHROMOSOME.encode() + b"\n" + bases.tobytes() + b"\n")
        with ReferenceGenome(path, device="cuda", cache=False) as genome:
            starts = np.random.default_rng(1).integers(0, GENOME_LENGTH - WINDOW, N_WINDOWS)
            where = ([CHROMOSOME] * N_WINDOWS, starts, starts + WINDOW)
            outs: dict[int, Any] = {}

            def encode(which: SequenceEncoder) -> tuple[float, int]:
                out = outs.get(which.n_channels)
                if out is None:
                    out = outs[which.n_channels] = genome.encode(*where, encoder=which)
                return _seconds(lambda: genome.encode(*where, encoder=which, out=out)), out.nbytes

            own, other = _in_turn(lambda: encode(encoder), lambda: encode(one_hot_encoder()))
    return Speed(_name(), own, other, f"output, float32, {encoder.n_channels} channels beside 4")


def measure_transforms(transform: Transform, scale: Transform) -> Speed:
    """Time the kernel that takes values through their steps, one's own and a factor in turn."""
    shape = (64, 4_096, 128)
    values = cupy.random.default_rng(0).random(shape, dtype=np.float32)
    batch = cupy.empty_like(values)

    def apply(transforms: TrackTransforms) -> tuple[float, int]:
        batch[...] = values
        return _seconds(lambda: transforms.apply(batch)), 2 * batch.nbytes

    of_own, of_scale = (TrackTransforms(each, ["made"] * shape[2]) for each in (transform, scale))
    own, other = _in_turn(lambda: apply(of_own), lambda: apply(of_scale))
    return Speed(_name(), own, other, "read and written, float32")


def _in_turn(own: Callable[[], tuple[float, int]], other: Callable[[], tuple[float, int]]) -> tuple[float, float]:
    """GB/s of two runs, each of which gives its seconds and bytes: the median of several, one and the other in turn."""
    measured = np.array([[run() for run in (own, other)] for _ in range(REPEATS + 2)])[2:]
    seconds, n_bytes = np.median(measured, axis=0).T
    speed = n_bytes / seconds / 1e9
    return float(speed[0]), float(speed[1])


def _seconds(run: Callable[[], object]) -> float:
    """What the current stream takes for it, by events. It is kept busy before, until the host has asked for all."""
    started, ended = cupy.cuda.Event(), cupy.cuda.Event()
    busy = cupy.empty(BUSY_BYTES, np.uint8)
    for _ in range(BUSY_TIMES):
        busy.fill(0)
    started.record()
    run()
    ended.record()
    ended.synchronize()
    return float(cupy.cuda.get_elapsed_time(started, ended)) / 1e3


def _name() -> str:
    return str(cupy.cuda.runtime.getDeviceProperties(cupy.cuda.runtime.getDevice())["name"].decode())


def capability() -> tuple[int, int]:
    """Compute capability of the current GPU."""
    text = cupy.cuda.Device().compute_capability
    return int(text[:-1]), int(text[-1])
