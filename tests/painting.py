"""The oracle: sections painted onto NumPy arrays base by base, and bins reduced from the painting in float64.

What the numbers mean is the design's, in one place and as plainly as can be:

- a base is covered when an item lies on it whose value is not NaN;
- the scale multiplies (in float32) what the file holds, never the default;
- what no item covers, and what lies outside the chromosome, has the default;
- a NaN default means "leave them out", and gives NaN where nothing is left.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tests.bigwig_writer import Section

STATISTICS = ("mean", "sum", "min", "max", "std", "coverage", "sum_of_squares", "log_mean", "last")

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PaintedTrack:
    """What a file holds: its chromosomes and sections; `scale` as the collection's argument."""

    chrom_sizes: Mapping[str, int]
    sections: Sequence[Section]
    scale: float = 1.0
    painted: dict[tuple[str, int, int], Floats] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Windows that were asked for: tests reduce the same ones in many ways."""

    def values(self, chrom: str, start: int, end: int) -> Floats:
        """(end - start,) float32 as in the file, NaN where nothing is; the window may hang over the ends."""
        window = (chrom, int(start), int(end))
        if window not in self.painted:
            self.painted[window] = paint((each for each in self.sections if each.chrom == chrom), start, end)
        return self.painted[window].copy()

    def intervals(self, chrom: str, start: int, end: int) -> list[tuple[int, int, float]]:
        """The items that overlap [start, end), whole, in the file's order."""
        found = []
        for section in self.sections:
            if section.chrom != chrom:
                continue
            hits = np.flatnonzero((section.starts < end) & (section.ends > start))
            found += [(int(section.starts[i]), int(section.ends[i]), float(section.values[i])) for i in hits]
        return sorted(found, key=lambda interval: interval[:2])


def paint(sections: Iterable[Section], start: int, end: int) -> Floats:
    """(end - start,) float32: the sections' items over [start, end), NaN where none is; a later item wins."""
    canvas = np.full(end - start, np.nan, np.float32)
    for section in sections:
        for i in np.flatnonzero((section.starts < end) & (section.ends > start)):
            canvas[max(section.starts[i] - start, 0) : section.ends[i] - start] = section.values[i]
    return canvas


def reduce_bins(
    values: Floats, window_size: int, *, statistic: str = "mean", default_value: float = 0.0, scale: float = 1.0
) -> Doubles:
    """(B,) float64 of (L,) float32 painted values; the partial last bin is dropped.

    >>> reduce_bins(np.array([1, 3, np.nan, np.nan, np.nan], np.float32), 2, default_value=7.0)
    array([2., 7.])
    >>> reduce_bins(np.array([1, np.nan, 3, np.nan], np.float32), 4, default_value=np.nan)
    array([2.])
    """
    n_bins = len(values) // window_size
    scaled = values[: n_bins * window_size].astype(np.float32) * np.float32(scale)
    bases = scaled.reshape(n_bins, window_size).astype(np.float64)
    covered = ~np.isnan(bases)
    if statistic == "coverage":
        return np.asarray(covered.sum(axis=1) / window_size)
    if statistic == "last":
        last = bases[np.arange(n_bins), window_size - 1 - covered[:, ::-1].argmax(axis=1)]
        return np.where(covered.any(axis=1), last, default_value)
    if not math.isnan(default_value):
        bases = np.where(covered, bases, default_value)
    with np.errstate(invalid="ignore"):  # infinities of both signs
        return reduce_rows(bases, statistic)


def reduce_rows(bases: Doubles, statistic: str) -> Doubles:
    """(B,) of (B, bases), leaving NaN out; NaN where a row has nothing else.

    The standard deviation is the sample's (n - 1), and 0 for one base, as pyBigWig's.
    """
    counted = ~np.isnan(bases)
    counts = counted.sum(axis=1)
    some = np.maximum(counts, 1)
    sums = np.where(counted, bases, -0.0).sum(axis=1, initial=-0.0)  # so that -0.0 alone stays -0.0
    if statistic == "sum":
        reduced = sums
    elif statistic == "mean":
        reduced = sums / some
    elif statistic == "min":
        reduced = np.where(counted, bases, np.inf).min(axis=1, initial=np.inf)
    elif statistic == "max":
        reduced = np.where(counted, bases, -np.inf).max(axis=1, initial=-np.inf)
    elif statistic == "std":
        deviations = np.where(counted, bases - (sums / some)[:, None], 0.0)
        reduced = np.sqrt((deviations**2).sum(axis=1) / np.maximum(counts - 1, 1))
    elif statistic == "sum_of_squares":
        reduced = np.where(counted, bases**2, 0.0).sum(axis=1)
    elif statistic == "log_mean":
        with np.errstate(divide="ignore"):
            reduced = np.where(counted, np.log1p(bases), 0.0).sum(axis=1) / some
    else:
        raise ValueError(f"no statistic {statistic!r}; there are {STATISTICS}")
    return np.where(counts > 0, reduced, np.nan)


def expected_batch(
    tracks: Sequence[PaintedTrack],
    chromosomes: Sequence[str],
    starts: Sequence[int],
    ends: Sequence[int],
    *,
    window_size: int = 1,
    default_value: float = 0.0,
    statistic: str = "mean",
) -> Doubles:
    """(S, B, T) float64: what `BigWigCollection.get_batch` must return, before rounding to its dtype."""
    return np.stack(
        [
            np.stack(
                [
                    reduce_bins(
                        track.values(chrom, start, end),
                        window_size,
                        statistic=statistic,
                        default_value=default_value,
                        scale=track.scale,
                    )
                    for track in tracks
                ],
                axis=-1,
            )
            for chrom, start, end in zip(chromosomes, starts, ends, strict=True)
        ]
    )
