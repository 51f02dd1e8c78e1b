"""Random positions in regions: every base of every region is equally likely to be a window's centre."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ConfigError
from ..regions.frames import as_regions, check_integer
from .keyed import Draw, check_seed, keyed_generator
from .limits import MOST_REFUSED, UnknownCounts, WindowLimits
from .windows import Int64Array, Windows

__all__ = ["RandomWindows"]

logger = logging.getLogger(__name__)

FEWEST_DRAWN = 64  # a round of drawing again costs the same for one position and for these many
MOST_DRAWN = 65_536
GUIDE_ROUNDS = 8


class RandomWindows:
    """Windows around random positions in regions.

    A position is a window's centre: the window begins ``sequence_length // 2`` bases before it. Each region is drawn in
    proportion to the number of positions in it from which the window stays on the chromosome; a position in two
    regions counts twice. Windows with too many unknown bases are drawn again.

    Parameters
    ----------
    regions
        Frame with ``chrom``, ``start`` and ``end``; it is not changed. Regions without a position are left out.
    sequence_length
        Of the windows, in bases.
    batch_size
        Windows of a batch.
    seed
        0 to 2**64 - 1: another gives other positions.
    chromosome_sizes
        Name to length in bases.
    batches_per_epoch
        By default so many that the windows are as long as the regions together:
        bases of all regions // ``sequence_length`` // ``batch_size``, at least 1.
    unknown_counts
        Function of chromosomes, starts and ends, (S,) each, to the number of unknown bases of each window, (S,). None:
        any bases will do.
    maximum_unknown_bases_fraction
        Windows with a larger share of unknown bases are drawn again.
    repeat_same_positions
        Draw ``buffer_size`` positions once and go through them in order, again and again, each epoch from the first.
        For seeing whether a model can learn by heart.
    buffer_size
        How many positions are repeated; it means nothing else.

    Raises
    ------
    ConfigError
        An argument that makes no sense; regions none of whose positions can be drawn, which for unknown bases is found
        out at the first batch.
    ChromNotFoundError
        A region on a chromosome without a size.
    WindowError
        Positions in the frame that make no sense.

    Examples
    --------
    >>> regions = pd.DataFrame({"chrom": ["chr1", "chr2"], "start": [1000, 500], "end": [1001, 501]})
    >>> sampler = RandomWindows(
    ...     regions, sequence_length=100, batch_size=4, seed=1, chromosome_sizes={"chr1": 5000, "chr2": 5000})
    >>> windows = sampler.batch(epoch=0, number=0)
    >>> sorted({(name, int(start)) for name, start in zip(windows.chromosomes, windows.starts)})
    [('chr1', 950), ('chr2', 450)]
    """

    def __init__(
        self,
        regions: pd.DataFrame,
        *,
        sequence_length: int,
        batch_size: int,
        seed: int,
        chromosome_sizes: Mapping[str, int],
        batches_per_epoch: int | None = None,
        unknown_counts: UnknownCounts | None = None,
        maximum_unknown_bases_fraction: float = 0.1,
        repeat_same_positions: bool = False,
        buffer_size: int = 100_000,
    ) -> None:
        self.sequence_length = check_integer(sequence_length, "sequence_length", at_least=1)
        self.batch_size = check_integer(batch_size, "batch_size", at_least=1)
        self.seed = check_seed(seed)
        self.repeat_same_positions = repeat_same_positions
        self.buffer_size = check_integer(buffer_size, "buffer_size", at_least=1)
        self._limits = WindowLimits(chromosome_sizes, unknown_counts, maximum_unknown_bases_fraction)
        frame = as_regions(regions, argument="regions")
        if batches_per_epoch is None:
            n_bases = int((frame["end"] - frame["start"]).sum())
            batches_per_epoch = max(1, n_bases // self.sequence_length // self.batch_size)
        self._n_batches = check_integer(batches_per_epoch, "batches_per_epoch", at_least=1)
        self._centers = _CenterLine(frame, self.sequence_length, self._limits)

    def n_batches(self, epoch: int) -> int:
        """Batches of an epoch: ``batches_per_epoch``, the same for all."""
        return self._n_batches

    def batch(self, *, epoch: int, number: int) -> Windows:
        """Windows of batch ``number`` of an epoch; any number has some. ``other["region"]`` is the region's row."""
        if self.repeat_same_positions:
            places = (number * self.batch_size + np.arange(self.batch_size)) % self.buffer_size
            return self._windows(self._repeated_places[places])
        generator = keyed_generator(self.seed, Draw.POSITIONS, epoch=epoch, number=number)
        return self._windows(self._draw(generator, self.batch_size))

    @functools.cached_property
    def _repeated_places(self) -> Int64Array:
        return self._draw(keyed_generator(self.seed, Draw.REPEATED_POSITIONS), self.buffer_size)

    def _windows(self, places: Int64Array) -> Windows:
        rows, chromosomes, centers = self._centers.read(places)
        return Windows.around(chromosomes, centers, length=self.sequence_length, other={"region": rows})

    def _draw(self, generator: np.random.Generator, n: int) -> Int64Array:
        """Places (n,) on the line of centres whose windows may be had."""
        if self._limits.unknown_counts is None:
            return generator.integers(self._centers.n_places, size=n)
        kept: list[Int64Array] = []
        n_missing, n_drawn, n_refused = n, n, 0
        while n_missing:
            places = generator.integers(self._centers.n_places, size=n_drawn)
            windows = self._windows(places)
            good = places[self._limits.are_known(windows.chromosomes, windows.starts, windows.ends)][:n_missing]
            kept.append(good)
            n_missing -= len(good)
            n_refused = 0 if len(good) else n_refused + n_drawn
            if n_refused >= MOST_REFUSED:
                self._refuse()
            # What is missing, and more where little is found.
            n_drawn = max(n_missing, FEWEST_DRAWN) if len(good) else min(2 * n_drawn, MOST_DRAWN)
        return np.concatenate(kept)

    def _refuse(self) -> None:
        share = self._limits.maximum_unknown_bases_fraction
        raise ConfigError(
            f"regions: of the last {MOST_REFUSED:,} positions drawn from them, none had a window of "
            f"{self.sequence_length} bases with at most {share:.0%} unknown (N) ones. Take other regions, or raise "
            "maximum_unknown_bases_fraction.",
            argument="regions",
            value=self._centers.n_places,
        )


class _CenterLine:
    """All possible centres of all regions, one after another on one line.

    Parameters
    ----------
    frame
        Checked regions.
    length
        Of windows, in bases.
    limits
        With the sizes of chromosomes.
    """

    def __init__(self, frame: pd.DataFrame, length: int, limits: WindowLimits) -> None:
        codes, names = pd.factorize(frame["chrom"])
        sizes = limits.sizes(names)[codes] if len(frame) else np.empty(0, dtype=np.int64)
        firsts = np.maximum(frame["start"].to_numpy(), length // 2)
        lasts = np.minimum(frame["end"].to_numpy(), sizes - length + length // 2 + 1)
        counts = np.maximum(lasts - firsts, 0)
        self._rows = np.flatnonzero(counts)
        if not len(self._rows):
            raise ConfigError(
                f"regions: none of the {len(frame)} has a position around which a window of {length} bases "
                "(sequence_length) lies on its chromosome, so nothing can be drawn",
                argument="regions",
                value=len(frame),
            )
        n_empty = len(frame) - len(self._rows)
        if n_empty:
            message = (
                "%d of %d regions are never drawn: they have no position whose window of %d bases is on the chromosome"
            )
            logger.warning(message, n_empty, len(frame), length)
        self._names = np.asarray(names, dtype=object)
        self._codes = codes[self._rows]
        self._ends = np.cumsum(counts[self._rows])
        # Place on the line plus this is the position on the chromosome.
        self._shifts = firsts[self._rows] - (self._ends - counts[self._rows])
        self.n_places = int(self._ends[-1])
        self._make_guide()

    def _make_guide(self) -> None:
        """For each stretch of 2**k places the region of the first: searching 4,096 places then takes 0.05 ms."""
        self._stretch = max(0, self.n_places.bit_length() - (2 * len(self._ends)).bit_length())
        firsts = np.arange((self.n_places >> self._stretch) + 1) << self._stretch
        self._guide = np.searchsorted(self._ends, firsts, side="right")

    def _regions(self, places: Int64Array) -> npt.NDArray[np.intp]:
        """The region (S,) of each place: the first that ends behind it."""
        found: npt.NDArray[np.intp] = self._guide[places >> self._stretch]
        for _ in range(GUIDE_ROUNDS):
            before = self._ends[found] <= places
            if not before.any():
                return found
            found += before
        return np.searchsorted(self._ends, places, side="right")  # many short regions lie in one stretch

    def read(self, places: Int64Array) -> tuple[npt.NDArray[np.intp], npt.NDArray[Any], Int64Array]:
        """Rows of regions in the frame, chromosomes and centres, (S,) each, of places on the line."""
        regions = self._regions(places)
        return self._rows[regions], self._names[self._codes[regions]], places + self._shifts[regions]
