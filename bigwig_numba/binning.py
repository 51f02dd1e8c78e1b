"""Bins of one region in float64: which part of which interval falls into which bin, and what the bin's statistic is.

The kernels answer for thousands of windows with bins of one width; this answers for one region and any number of bins,
whose edges are pyBigWig's, and is the precise reference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["STATISTICS", "Overlaps", "bin_edges", "bin_statistic", "find_overlaps"]

STATISTICS = ("mean", "min", "max", "sum", "std", "coverage")

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """Pairs of an interval and a bin that share bases.

    Attributes
    ----------
    intervals, bins : (P,) int64
        Numbers of the interval and of the bin.
    n_bases : (P,) int64
        Bases that they share, at least 1.
    """

    intervals: Int64Array
    bins: Int64Array
    n_bases: Int64Array


def bin_edges(start: int, end: int, n_bins: int) -> Int64Array:
    """Edges of ``n_bins`` bins over [start, end), as equal as whole bases allow; some are empty if there are more bins.

    Returns
    -------
    (n_bins + 1,) int64
        ``start + i * (end - start) // n_bins``, as in pyBigWig.

    Examples
    --------
    >>> bin_edges(0, 10, 3).tolist()
    [0, 3, 6, 10]
    """
    # Quotient and remainder apart, so that no product passes 2**63.
    whole, rest = divmod(end - start, n_bins)
    numbers = np.arange(n_bins + 1, dtype=np.int64)
    return start + numbers * whole + numbers * rest // n_bins


def find_overlaps(starts: Int64Array, ends: Int64Array, edges: Int64Array) -> Overlaps:
    """Pair intervals with bins.

    Parameters
    ----------
    starts, ends : (N,) int64
        The intervals [start, end), in any order; what lies outside the edges is left out.
    edges : (B + 1,) int64
        Ascending edges of the bins.
    """
    starts, ends = np.clip(starts, edges[0], edges[-1]), np.clip(ends, edges[0], edges[-1])
    first_bins = np.searchsorted(edges, starts, "right") - 1
    counts = np.where(ends > starts, np.searchsorted(edges, ends, "left") - first_bins, 0)
    intervals = np.repeat(np.arange(len(starts)), counts)
    bins = np.arange(len(intervals)) - np.repeat(np.cumsum(counts) - counts - first_bins, counts)
    n_bases = np.minimum(ends[intervals], edges[bins + 1]) - np.maximum(starts[intervals], edges[bins])
    shared = n_bases > 0  # an empty bin between two others shares nothing
    return Overlaps(intervals[shared], bins[shared], n_bases[shared])


def bin_statistic(
    starts: Int64Array, ends: Int64Array, values: npt.NDArray[np.floating], *, edges: Int64Array, statistic: str
) -> Float64Array:
    """A statistic of each bin over its covered bases.

    Parameters
    ----------
    starts, ends : (N,) int64
        Intervals [start, end), in any order.
    values : (N,)
        Their values; where NaN, the interval covers nothing.
    edges : (B + 1,) int64
        Ascending edges of the bins.
    statistic
        ``mean``, ``min``, ``max``, ``sum``, ``std`` (sample, n - 1; 0 for one base) or ``coverage`` (covered part).

    Returns
    -------
    (B,) float64
        NaN where nothing is covered, for coverage 0; NaN in a bin without bases.

    Examples
    --------
    >>> starts, ends, values = np.array([0, 4]), np.array([2, 6]), np.array([1.0, 3.0])
    >>> bin_statistic(starts, ends, values, edges=bin_edges(0, 9, 3), statistic="mean").tolist()
    [1.0, 3.0, nan]
    """
    covered = ~np.isnan(values)
    numbers = values[covered].astype(np.float64)
    overlaps = find_overlaps(starts[covered], ends[covered], edges)
    n_bins = len(edges) - 1
    paired, bins = numbers[overlaps.intervals], overlaps.bins
    weights = overlaps.n_bases.astype(np.float64)
    n_covered = np.bincount(bins, weights, n_bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        if statistic == "coverage":
            return n_covered / np.diff(edges)
        if statistic in ("min", "max"):
            return _extremes(paired, bins, n_bins, statistic)
        sums = np.bincount(bins, weights * paired, n_bins)
        if statistic == "sum":
            return np.where(n_covered > 0, sums, np.nan)
        means = sums / n_covered
        if statistic == "mean":
            return means
        # Deviations from the mean, because a difference of large sums of squares loses what matters.
        squares = np.bincount(bins, weights * (paired - means[bins]) ** 2, n_bins)
        return np.where(n_covered > 0, np.sqrt(squares / np.maximum(n_covered - 1, 1)), np.nan)


def _extremes(values: Float64Array, bins: Int64Array, n_bins: int, statistic: str) -> Float64Array:
    extremes = np.full(n_bins, np.nan)
    (np.fmin if statistic == "min" else np.fmax).at(extremes, bins, values)
    return extremes
