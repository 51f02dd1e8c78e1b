"""Statistics, one or several in one kernel: bins of made sections and of files."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bigwig import open as open_bigwig
from ..collection import BigWigCollection
from ..kernels.statistic import compile_for_cpu
from ..kernels.statistics import Statistic, get_statistic
from .comparing import Answers, compare
from .result import Comparison, Speed
from .sections import Bin, answer_compiled, bins_of, made_sections
from .subject import Kernel, Subject, random_windows

__all__ = ["StatisticSubject"]

WINDOW, WINDOW_SIZE, N_WINDOWS = 4_096, 128, 8  # of each real file


class StatisticSubject(Subject):
    """Statistics that a batch asks for together.

    Parameters
    ----------
    statistics
        At least one.
    """

    kind, reference = "statistic", "mean"

    def __init__(self, statistics: Sequence[Statistic]) -> None:
        self.statistics = tuple(statistics)
        self.name = ", ".join(statistic.name for statistic in statistics)

    @property
    def together(self) -> Statistic | tuple[Statistic, ...]:
        """As kernels take them."""
        return self.statistics if len(self.statistics) > 1 else self.statistics[0]

    @property
    def asked(self) -> Statistic | list[Statistic]:
        """As a batch is asked for."""
        return list(self.statistics) if len(self.statistics) > 1 else self.statistics[0]

    def compile(self) -> None:
        """Each by itself."""
        for statistic in self.statistics:
            compile_for_cpu(statistic)

    def functions(self) -> Mapping[str, Any]:
        """Three each."""
        parts = [(statistic, part) for statistic in self.statistics for part in ("init", "update", "finish")]
        of_one = len(self.statistics) == 1
        return {part if of_one else f"{each.name}: {part}": getattr(each, part) for each, part in parts}

    def compare(self, devices: Sequence[str], files: Sequence[str], seed: int) -> Iterator[Comparison]:
        """On the CPU a comparison per made section, on the GPU one of all of them; one per file."""
        every_bin, every_answer = list[Bin](), list[Answers]()
        for section in made_sections(seed):
            bins, compiled = list[Bin](), list[npt.NDArray[np.float32]]()
            for left, some in bins_of(section):
                bins += some
                compiled.append(answer_compiled(self.together, section, left, some))
            answers = self._plain(bins)
            yield self._compare(f"CPU: {section.name}", bins, answers, np.concatenate(compiled))
            every_bin += bins
            every_answer.append(answers)
        if "cuda" in devices:
            gpu: Any = importlib.import_module("bigwig_numba.checking.gpu")
            on_gpu = np.stack([gpu.answer_on_gpu(statistic, every_bin) for statistic in self.statistics], axis=1)
            yield self._compare("GPU: all of these", every_bin, Answers.joined(every_answer), on_gpu)
        for path in files:
            yield self._compare_file(path, devices[-1], seed)

    def _compare_file(self, path: str, device: str, seed: int) -> Comparison:
        """Random windows of a real file, through a collection."""
        with open_bigwig(path) as bigwig, BigWigCollection([path], device=device) as collection:
            chromosomes, starts = random_windows(bigwig.chroms, N_WINDOWS, WINDOW, seed)
            batch: Any = collection.get_batch(chromosomes, starts, starts + WINDOW, WINDOW_SIZE, statistic=self.asked)
            compiled = np.asarray(batch.get() if hasattr(batch, "get") else batch)
            bins = [
                Bin(_items_of_file(bigwig, chrom, edge, edge + WINDOW_SIZE), WINDOW_SIZE, 0.0)
                for chrom, start in zip(chromosomes, starts.tolist(), strict=True)
                for edge in range(start, start + WINDOW, WINDOW_SIZE)
            ]
        where = f"{'GPU' if device == 'cuda' else 'CPU'}: {os.path.basename(path)}"
        return self._compare(where, bins, self._plain(bins), compiled)

    def _plain(self, bins: Sequence[Bin]) -> Answers:
        """Of each bin, the answer of each statistic."""

        def of_bin(some_bin: Bin, statistic: Statistic) -> np.float32:
            return statistic.of_items(
                some_bin.items, window_size=some_bin.window_size, default_value=some_bin.default_value
            )

        return Answers.of(of_bin, ((some_bin, statistic) for some_bin in bins for statistic in self.statistics))

    def _compare(
        self, where: str, bins: Sequence[Bin], answers: Answers, compiled: npt.NDArray[np.float32]
    ) -> Comparison:
        n_statistics = len(self.statistics)
        largest = np.array([max((abs(value) for value, _ in each.items), default=0.0) for each in bins])

        def describe(i: int) -> str:
            whose = f"{self.statistics[i % n_statistics].name} of " if n_statistics > 1 else ""
            return f"{whose}{bins[i // n_statistics]}"

        return compare(where, answers, compiled, scales=np.repeat(largest, n_statistics), describe=describe)

    def kernels(self) -> tuple[Kernel, Kernel]:
        """The reduce kernel."""
        return _reduce_kernel(self.together), _reduce_kernel(get_statistic("mean"))

    def measure_speed(self) -> Speed:
        """Of the reduce kernel, in batches of example tracks."""
        gpu: Any = importlib.import_module("bigwig_numba.checking.gpu")
        return gpu.measure_statistics(self.asked, get_statistic("mean"))  # type: ignore[no-any-return]


@functools.lru_cache(maxsize=16)
def _reduce_kernel(statistic: Statistic | tuple[Statistic, ...]) -> Kernel:
    launch: Any = importlib.import_module("bigwig_numba.kernels.launch")
    return launch.make_reduce_windows(statistic), launch.REDUCE_ARGUMENTS


def _items_of_file(bigwig: Any, chrom: str, start: int, end: int) -> tuple[tuple[np.float32, int], ...]:
    end = min(end, bigwig.chroms[chrom])
    found = bigwig.intervals(chrom, start, end) if start < end else None
    if found is None:
        return ()
    lengths = np.minimum(found.ends, end) - np.maximum(found.starts, start)
    kept = ~np.isnan(found.values) & (lengths > 0)
    return tuple(zip(found.values[kept], lengths[kept].tolist(), strict=True))
