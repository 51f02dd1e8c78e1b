"""A statistic on the GPU: the same bins as on the CPU, and how fast it is beside the mean."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cupy
import numpy as np
import numpy.typing as npt
from numba import cuda

from ..collection import BigWigCollection
from ..engine.launcher import KernelLauncher
from ..example_data import example_data
from ..kernels.statistic import Statistic, device_functions
from .sections import Bin

THREADS = 128
CHROMOSOME = "chr1"
LENGTH = 400_000  # bases of the example's first chromosome
WINDOW = 16_384
WINDOW_SIZE = 32
N_WINDOWS = 2_048
REPEATS = 20


@dataclass(frozen=True)
class Speed:
    """How fast the reduce kernel is.

    Parameters
    ----------
    gpu
        Its name.
    own, mean
        GB/s of output, float32, of one's own statistic and of the built-in mean.
    window_size
        Bases of a bin.
    """

    gpu: str
    own: float
    mean: float
    window_size: int


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


def measure_speed(statistic: Statistic, mean: Statistic) -> Speed:
    """Time the reduce kernel, by events, in batches of the example tracks, one's own and the mean in turn."""
    with tempfile.TemporaryDirectory() as folder:
        paths = example_data(folder, chromosome_length=LENGTH).bigwig_paths
        with BigWigCollection(paths, device="cuda", store="device") as collection:
            starts = np.random.default_rng(0).integers(0, LENGTH - WINDOW, N_WINDOWS)
            seconds: dict[Statistic, list[float]] = {statistic: [], mean: []}
            n_bytes = 0
            for repeat in range(REPEATS + 2):
                for each, times in seconds.items():
                    before = collection.stage_seconds["reduce"]
                    batch = collection.get_batch(
                        [CHROMOSOME] * N_WINDOWS, starts, starts + WINDOW, WINDOW_SIZE, statistic=each
                    )
                    if repeat > 1:
                        times.append(collection.stage_seconds["reduce"] - before)
                    n_bytes = batch.nbytes
    own, other = (n_bytes / float(np.median(seconds[each])) / 1e9 for each in (statistic, mean))
    name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.runtime.getDevice())["name"].decode()
    return Speed(name, own, other, WINDOW_SIZE)


def capability() -> tuple[int, int]:
    """Compute capability of the current GPU."""
    text = cupy.cuda.Device().compute_capability
    return int(text[:-1]), int(text[-1])
