"""What can be checked: a statistic, an encoder and a transform have this in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .result import Comparison, Speed

__all__ = ["Kernel", "Subject", "random_windows"]

Kernel = tuple[Any, tuple[Any, ...]]
"""What ``numba.cuda.jit`` made, and Numba's types of its arguments."""


class Subject(ABC):
    """Something of one's own that is checked."""

    kind: ClassVar[str]
    """What it is."""
    reference: ClassVar[str]
    """The built-in one that its machine code and speed are shown beside."""
    name: str
    """What people call it."""

    @abstractmethod
    def compile(self) -> None:
        """Compile it for the CPU; ``ConfigError`` says why it cannot be."""

    @abstractmethod
    def functions(self) -> Mapping[str, Any]:
        """Name of a part to the user's function, of all that are compiled."""

    @abstractmethod
    def compare(self, devices: Sequence[str], files: Sequence[str], seed: int) -> Iterator[Comparison]:
        """Compare it with plain Python on each device, on what is made and on files."""

    @abstractmethod
    def kernels(self) -> tuple[Kernel, Kernel]:
        """The CUDA kernel with it, and with the built-in one."""

    @abstractmethod
    def measure_speed(self) -> Speed:
        """Time both on the GPU."""


def random_windows(
    sizes: Mapping[str, int], count: int, length: int, seed: int
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Chromosomes and starts of windows, anywhere on chromosomes of these lengths."""
    rng = np.random.default_rng(seed)
    names, lengths = list(sizes), np.array(list(sizes.values()))
    chosen = rng.choice(len(names), count, p=lengths / lengths.sum())
    starts = (rng.random(count) * np.maximum(0, lengths[chosen] - length)).astype(np.int64)
    return [names[number] for number in chosen], starts
