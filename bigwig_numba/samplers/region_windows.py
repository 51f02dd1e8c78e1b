"""Every region once per epoch, in an order that is new each epoch."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ConfigError
from ..regions.frames import as_regions, check_integer
from .keyed import Draw, check_seed, keyed_generator
from .limits import UnknownCounts, WindowLimits
from .windows import Int64Array, Windows

__all__ = ["RegionWindows"]

logger = logging.getLogger(__name__)


class RegionWindows:
    """A window around the middle of each region, each once per epoch.

    The middle is ``(start + end) // 2``; to have windows around summits resize the regions around them first. Jitter is
    :class:`~bigwig_numba.transforms.Augmentation`'s. The last batch of an epoch has what is left. Regions whose window
    would leave the chromosome, or has too many unknown bases, are left out, and a warning says how many.

    Parameters
    ----------
    regions
        Frame with ``chrom``, ``start`` and ``end``; it is not changed.
    sequence_length
        Of the windows, in bases.
    batch_size
        Windows of a batch.
    seed
        0 to 2**64 - 1: another gives another order.
    chromosome_sizes
        Name to length in bases.
    shuffle
        False: in the order of the frame, for evaluation.
    unknown_counts, maximum_unknown_bases_fraction
        As in :class:`RandomWindows`.

    Raises
    ------
    ConfigError
        An argument that makes no sense, or no region that can be had.
    ChromNotFoundError
        A region on a chromosome without a size.
    WindowError
        Positions in the frame that make no sense.

    Examples
    --------
    >>> regions = pd.DataFrame({"chrom": "chr1", "start": [100, 200, 300], "end": [120, 220, 320]})
    >>> sampler = RegionWindows(
    ...     regions, sequence_length=10, batch_size=2, seed=1, chromosome_sizes={"chr1": 1000})
    >>> batches = [sampler.batch(epoch=0, number=number) for number in range(sampler.n_batches(0))]
    >>> sorted(int(start) for batch in batches for start in batch.starts)
    [105, 205, 305]
    """

    def __init__(
        self,
        regions: pd.DataFrame,
        *,
        sequence_length: int,
        batch_size: int,
        seed: int,
        chromosome_sizes: Mapping[str, int],
        shuffle: bool = True,
        unknown_counts: UnknownCounts | None = None,
        maximum_unknown_bases_fraction: float = 0.1,
    ) -> None:
        length = self.sequence_length = check_integer(sequence_length, "sequence_length", at_least=1)
        self.batch_size = check_integer(batch_size, "batch_size", at_least=1)
        self.seed = check_seed(seed)
        self.shuffle = shuffle
        frame = as_regions(regions, argument="regions")
        limits = WindowLimits(chromosome_sizes, unknown_counts, maximum_unknown_bases_fraction)
        codes, names = pd.factorize(frame["chrom"])
        starts = (frame["start"].to_numpy() + frame["end"].to_numpy()) // 2 - length // 2
        sizes = limits.sizes(names)[codes] if len(frame) else np.empty(0, dtype=np.int64)
        chromosomes = np.asarray(names, dtype=object)[codes]
        inside = np.flatnonzero((starts >= 0) & (starts + length <= sizes))
        known = limits.are_known(chromosomes[inside], starts[inside], starts[inside] + length)
        self._rows = inside[known]
        self._chromosomes, self._starts = chromosomes[self._rows], starts[self._rows]
        self._order: tuple[int, Int64Array] | None = None
        _report(len(frame), len(inside), len(self._rows), length)

    def n_batches(self, epoch: int) -> int:
        """Batches of an epoch, the last of which may be smaller."""
        return -(-len(self._rows) // self.batch_size)

    def batch(self, *, epoch: int, number: int) -> Windows:
        """Windows of a batch; beyond the last the epoch begins again. ``other["region"]`` is the region's row."""
        first = number % self.n_batches(epoch) * self.batch_size
        chosen = self._epoch_order(epoch)[first : first + self.batch_size]
        starts = self._starts[chosen]
        return Windows(
            self._chromosomes[chosen],
            starts,
            starts + self.sequence_length,
            np.zeros(len(chosen), dtype=np.bool_),
            {"region": self._rows[chosen]},
        )

    def _epoch_order(self, epoch: int) -> npt.NDArray[np.int64]:
        """The regions in the order of an epoch; that of the last epoch asked for is kept."""
        kept = self._order  # another thread may replace it at any time
        if kept is None or kept[0] != epoch:
            order = np.arange(len(self._rows))
            if self.shuffle:
                order = keyed_generator(self.seed, Draw.ORDER, epoch=epoch).permutation(order)
            kept = self._order = (epoch, order)
        return kept[1]


def _report(n_regions: int, n_inside: int, n_kept: int, length: int) -> None:
    """Warn of regions that are left out; refuse if all are."""
    outside, unknown = n_regions - n_inside, n_inside - n_kept
    lost = (
        f"around {outside} a window of {length} bases (sequence_length) leaves the chromosome, and around {unknown} it "
        "has too many unknown (N) bases (maximum_unknown_bases_fraction)"
    )
    if not n_kept:
        message = f"regions: none of the {n_regions} can be had: {lost}"
        raise ConfigError(message, argument="regions", value=n_regions)
    if n_kept < n_regions:
        logger.warning("%d of %d regions are left out: %s", n_regions - n_kept, n_regions, lost)
