"""Ordered windows that cover regions or whole chromosomes, for evaluation and prediction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..chromosome_names import sorted_chromosomes
from ..errors import ConfigError
from ..regions.frames import as_regions, check_integer
from .limits import WindowLimits
from .windows import Int64Array, Windows

__all__ = ["TiledWindows"]


class TiledWindows:
    """Windows side by side over regions or whole chromosomes, in order, each base of them covered.

    What lies side by side is the part of a window that is to be predicted, its target: ``target_length`` bases around
    the centre. The sequence reaches out on both sides of it. ::

        region   ==================================
        targets  [----------][----------][----------]     target_length; stride from start to start
        sequence    [......[----------]......]            sequence_length, here of the second

    The last target of a region hangs over its end where the length does not fit, and sequences may hang over the ends
    of chromosomes, where bases are N and values the default: nothing is left out, nothing is moved. ``inside_starts``
    and ``inside_ends`` say which part of a target lies in its region. Unknown bases are no reason to leave a tile out.

    Parameters
    ----------
    regions
        Frame with ``chrom``, ``start`` and ``end``, which is not changed; what hangs over a chromosome is cut off. None
        for whole chromosomes, in natural order.
    sequence_length
        Of the windows, in bases.
    batch_size
        Windows of a batch; the last has what is left.
    chromosome_sizes
        Name to length in bases.
    target_length
        Bases of a window that are to be predicted; by default all.
    stride
        Bases from one target's start to the next's; by default ``target_length``. With less they overlap, with more
        they leave gaps.
    chromosomes
        Which whole chromosomes, in which order; by default all. Not together with ``regions``.

    Raises
    ------
    ConfigError
        An argument that makes no sense, or nothing to cover.
    ChromNotFoundError
        A chromosome without a size.
    WindowError
        Positions in the frame that make no sense.

    Examples
    --------
    >>> sampler = TiledWindows(
    ...     None, sequence_length=40, target_length=20, batch_size=3, chromosome_sizes={"chr1": 50})
    >>> windows = sampler.batch(epoch=0, number=0)
    >>> windows.starts, windows.target(20)[0]
    (array([-10,  10,  30]), array([ 0, 20, 40]))
    >>> windows.other["inside_ends"]
    array([20, 40, 50])
    """

    def __init__(
        self,
        regions: pd.DataFrame | None,
        *,
        sequence_length: int,
        batch_size: int,
        chromosome_sizes: Mapping[str, int],
        target_length: int | None = None,
        stride: int | None = None,
        chromosomes: Iterable[str] | None = None,
    ) -> None:
        self.sequence_length = check_integer(sequence_length, "sequence_length", at_least=1)
        self.batch_size = check_integer(batch_size, "batch_size", at_least=1)
        target_length = self.sequence_length if target_length is None else target_length
        self.target_length = check_integer(target_length, "target_length", at_least=1)
        self.stride = check_integer(self.target_length if stride is None else stride, "stride", at_least=1)
        limits = WindowLimits(chromosome_sizes)
        frame = _frame_to_cover(regions, chromosomes, limits)
        codes, names = pd.factorize(frame["chrom"])
        sizes = limits.sizes(names)[codes] if len(frame) else np.empty(0, dtype=np.int64)
        self._names, self._codes = np.asarray(names, dtype=object), codes
        self._starts = np.clip(frame["start"].to_numpy(), 0, sizes)
        self._ends = np.clip(frame["end"].to_numpy(), 0, sizes)
        lengths = self._ends - self._starts
        to_cover = -(-(lengths - self.target_length) // self.stride) + 1
        self._last_tiles = np.cumsum(np.minimum(np.maximum(to_cover, 1), -(-lengths // self.stride)))
        self.n_tiles = int(self._last_tiles[-1]) if len(frame) else 0
        if not self.n_tiles:
            message = f"regions: none of the {len(frame)} has a base on its chromosome, so there is nothing to tile"
            raise ConfigError(message, argument="regions", value=len(frame))

    def n_batches(self, epoch: int) -> int:
        """Batches that cover everything; the same for each epoch."""
        return -(-self.n_tiles // self.batch_size)

    def batch(self, *, epoch: int, number: int) -> Windows:
        """Windows of a batch, the same in each epoch; beyond the last it begins again.

        ``other`` has, (S,) int64 each: ``tile``, number of the window from 0; ``region``, row of the region, or
        place of the chromosome in their order; ``inside_starts`` and ``inside_ends``, the part of the target that lies
        in the region, as positions on the chromosome.
        """
        first = number % self.n_batches(epoch) * self.batch_size
        tiles = np.arange(first, min(first + self.batch_size, self.n_tiles))
        regions = np.searchsorted(self._last_tiles, tiles, side="right")
        places = tiles - np.where(regions > 0, self._last_tiles[regions - 1], 0)
        targets = self._starts[regions] + places * self.stride
        inside_ends: Int64Array = np.minimum(targets + self.target_length, self._ends[regions])
        other: dict[str, npt.NDArray[Any]] = {
            "tile": tiles,
            "region": regions,
            "inside_starts": targets,
            "inside_ends": inside_ends,
        }
        return Windows.around(
            self._names[self._codes[regions]],
            targets + self.target_length // 2,
            length=self.sequence_length,
            other=other,
        )


def _frame_to_cover(
    regions: pd.DataFrame | None, chromosomes: Iterable[str] | None, limits: WindowLimits
) -> pd.DataFrame:
    """The regions, checked, or whole chromosomes as regions."""
    if regions is not None:
        if chromosomes is not None:
            message = "chromosomes is given together with regions, expected one of them"
            raise ConfigError(message, argument="chromosomes", value=chromosomes)
        return as_regions(regions, argument="regions")
    if chromosomes is None:
        names = sorted_chromosomes(limits.chromosome_sizes)
    else:
        names = [chromosomes] if isinstance(chromosomes, str) else list(chromosomes)
    return pd.DataFrame({"chrom": pd.Series(names, dtype="str"), "start": 0, "end": limits.sizes(names)})
