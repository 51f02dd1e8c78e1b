"""Which windows may be had: those inside their chromosome, with few unknown bases."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arguments import number
from ..chromosome_names import sorted_chromosomes
from ..errors import ChromNotFoundError, ConfigError
from ..regions.frames import check_integer
from .windows import Int64Array

__all__ = ["MOST_REFUSED", "UnknownCounts", "WindowLimits"]

UnknownCounts = Callable[[npt.NDArray[Any], Int64Array, Int64Array], npt.NDArray[Any]]
"""(chromosomes, starts, ends), each (S,), to the number of unknown bases in each window, (S,)."""

MOST_REFUSED = 1_000_000
"""So many positions in a row that may not be had are an error: else a genome of N would be searched for ever."""


@dataclass(frozen=True, eq=False)
class WindowLimits:
    """What a window must keep to.

    Parameters
    ----------
    chromosome_sizes
        Name to length in bases.
    unknown_counts
        Gives the number of unknown bases in windows; None: they are not counted.
    maximum_unknown_bases_fraction
        More than this share of a window's bases may not be unknown.

    Raises
    ------
    ConfigError
        A share outside 0 to 1, or sizes that are none.
    """

    chromosome_sizes: Mapping[str, int]
    unknown_counts: UnknownCounts | None = None
    maximum_unknown_bases_fraction: float = 0.1

    def __post_init__(self) -> None:
        fraction = self.maximum_unknown_bases_fraction
        if not 0 <= number(fraction, "maximum_unknown_bases_fraction") <= 1:
            message = f"maximum_unknown_bases_fraction is {fraction}, expected 0 to 1"
            raise ConfigError(message, argument="maximum_unknown_bases_fraction", value=fraction)
        for name, size in self.chromosome_sizes.items():
            check_integer(size, f"chromosome_sizes[{name!r}]", at_least=0)

    def sizes(self, chromosomes: Iterable[Any]) -> Int64Array:
        """Lengths (S,) of chromosomes in bases.

        Raises
        ------
        ChromNotFoundError
            A name without a length.
        """
        names = list(chromosomes)
        sizes = np.fromiter(map(self.chromosome_sizes.get, names, itertools.repeat(-1)), np.int64, len(names))
        unknown = np.flatnonzero(sizes < 0)
        if len(unknown):
            known = sorted_chromosomes(self.chromosome_sizes)
            raise ChromNotFoundError.for_name(str(names[unknown[0]]), known, url="The table of chromosome sizes")
        return sizes

    def are_known(self, chromosomes: npt.NDArray[Any], starts: Int64Array, ends: Int64Array) -> npt.NDArray[np.bool_]:
        """Whether windows (S,) have few enough unknown bases."""
        if self.unknown_counts is None or not len(starts):
            return np.ones(len(starts), dtype=np.bool_)
        counts = np.asarray(self.unknown_counts(chromosomes, starts, ends))
        return np.asarray(counts <= self.maximum_unknown_bases_fraction * (ends - starts), dtype=np.bool_)
