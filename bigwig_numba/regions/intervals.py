"""Regions as sets of bases: merge, subtract, intersect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ConfigError
from .frames import GenomeLine, Int64Array, as_regions, check_integer

__all__ = ["covered_by", "intersect", "merge", "overlapping_rows", "subtract"]


def merge(frame: pd.DataFrame, *, max_gap: int = 0, aggregate: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """Join regions that overlap, touch, or lie at most ``max_gap`` bases apart.

    Parameters
    ----------
    frame
        Regions, in any order, nested or not. Empty ones are left out.
    max_gap
        Bases that may lie between two regions that are joined.
    aggregate
        Column to what becomes of it, as in :meth:`pandas.DataFrame.agg`: ``{"score": "max"}``. Other columns are left
        out.

    Returns
    -------
    pandas.DataFrame
        chrom, start, end and the aggregated columns; chromosomes in order of their first appearance, sorted by start
        within them; with a new index.

    Raises
    ------
    ConfigError
        ``max_gap`` is negative, or ``aggregate`` names a column that is not there.
    WindowError
        Regions that make no sense.

    Examples
    --------
    >>> peaks = pd.DataFrame({"chrom": "chr1", "start": [10, 12, 40], "end": [30, 15, 50], "score": [-3.0, -1.0, 2.0]})
    >>> merge(peaks, aggregate={"score": "max"})
      chrom  start  end  score
    0  chr1     10   30   -1.0
    1  chr1     40   50    2.0
    """
    max_gap = check_integer(max_gap, "max_gap", at_least=0)
    regions = _not_empty(as_regions(frame))
    columns = dict(aggregate or {})
    for name in columns:
        if name not in regions.columns or name in ("chrom", "start", "end"):
            message = f"aggregate names {name!r}, expected columns of frame besides chrom, start and end"
            raise ConfigError(message, argument="aggregate", value=aggregate)
    line = GenomeLine.under(regions, gap=max_gap)
    starts, ends = line.place(regions)
    order = np.argsort(starts, kind="stable")
    first, merged_ends = _runs(starts[order], ends[order], max_gap=max_gap)
    merged = line.read(starts[order][first], merged_ends)
    if columns:
        run_of_row = np.repeat(np.arange(len(first)), np.diff(first, append=len(order)))
        groups = regions.iloc[order].groupby(run_of_row, sort=True)
        merged = merged.join(groups[list(columns)].agg(columns))
    return merged


def subtract(frame: pd.DataFrame, other: pd.DataFrame, *, buffer: int = 0, whole_rows: bool = False) -> pd.DataFrame:
    """Take away what lies in other regions, for instance a blacklist.

    Parameters
    ----------
    frame
        Regions to cut.
    other
        What to cut out. Chromosomes that ``frame`` does not have are simply not matched: a blacklist of another naming
        style (``1`` instead of ``chr1``) takes nothing away.
    buffer
        Bases on both sides of each region of ``other`` that are cut out with it.
    whole_rows
        Leave out the regions that overlap ``other`` in any base, whole, instead of cutting them.

    Returns
    -------
    pandas.DataFrame
        The parts that are left, with all columns of their regions, in the order of the regions and with a new index.
        With ``whole_rows`` the regions that are left, with their index. Empty regions are left out.

    Raises
    ------
    ConfigError
        ``buffer`` is negative.
    WindowError
        Regions that make no sense.

    Examples
    --------
    >>> peaks = pd.DataFrame({"chrom": ["chr1", "chr2"], "start": [0, 0], "end": [100, 100], "name": ["a", "b"]})
    >>> blacklist = pd.DataFrame({"chrom": ["chr1"], "start": [20], "end": [30]})
    >>> subtract(peaks, blacklist, buffer=5)
      chrom  start  end name
    0  chr1      0   15    a
    1  chr1     35  100    a
    2  chr2      0  100    b
    >>> subtract(peaks, blacklist, whole_rows=True)
      chrom  start  end name
    1  chr2      0  100    b
    """
    buffer = check_integer(buffer, "buffer", at_least=0)
    regions = _not_empty(as_regions(frame))
    cut_out = as_regions(other, argument="other")
    if whole_rows:
        cut_out = _not_empty(cut_out)
        widened = cut_out.assign(start=cut_out["start"] - buffer, end=cut_out["end"] + buffer)
        return regions[~overlapping_rows(regions, widened)]
    line = GenomeLine.under(regions)
    other_starts, other_ends = covered_by(line, cut_out, buffer=buffer)
    # What is left between them, from before the first chromosome to after the last.
    end_of_line = np.array([line.stride * max(len(line.names), 1)], dtype=np.int64)
    gap_starts = np.concatenate([np.array([-1], dtype=np.int64), other_ends])
    gap_ends = np.concatenate([other_starts, end_of_line])
    return _cut(regions, line, gap_starts, gap_ends)


def intersect(frame: pd.DataFrame, other: pd.DataFrame, *, whole_rows: bool = False) -> pd.DataFrame:
    """Keep what lies in other regions.

    Parameters
    ----------
    frame
        Regions to cut.
    other
        What to keep. Its overlapping regions count once. Chromosomes that ``frame`` does not have are not matched.
    whole_rows
        Keep the regions that overlap ``other`` in any base, whole, instead of cutting them.

    Returns
    -------
    pandas.DataFrame
        The parts that are kept, with all columns of their regions, in the order of the regions and with a new index.
        With ``whole_rows`` the regions that are kept, with their index. Empty regions are left out.

    Raises
    ------
    WindowError
        Regions that make no sense.

    Examples
    --------
    >>> peaks = pd.DataFrame({"chrom": "chr1", "start": [0, 50], "end": [40, 60]})
    >>> genes = pd.DataFrame({"chrom": "chr1", "start": [10, 15], "end": [20, 30]})
    >>> intersect(peaks, genes)
      chrom  start  end
    0  chr1     10   30
    """
    regions = _not_empty(as_regions(frame))
    kept = _not_empty(as_regions(other, argument="other"))
    if whole_rows:
        return regions[overlapping_rows(regions, kept)]
    line = GenomeLine.under(regions)
    return _cut(regions, line, *_disjoint(line, kept))


def overlapping_rows(regions: pd.DataFrame, other: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """(N,) whether each region of a checked frame shares a base with any of another checked frame."""
    line = GenomeLine.under(regions)
    starts, ends = line.place(regions)
    other_starts, other_ends = _disjoint(line, other)
    first, stop = _overlapping_runs(starts, ends, other_starts, other_ends)
    return (stop > first) & (ends > starts)


def covered_by(line: GenomeLine, regions: pd.DataFrame | None, *, buffer: int = 0) -> tuple[Int64Array, Int64Array]:
    """Starts and ends (M,) on the line of what a checked frame covers: sorted, disjoint, not touching."""
    if regions is None:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    regions = _not_empty(regions)
    return _disjoint(line, regions.assign(start=regions["start"] - buffer, end=regions["end"] + buffer))


def _not_empty(regions: pd.DataFrame) -> pd.DataFrame:
    return regions[regions["end"] > regions["start"]]


def _runs(starts: Int64Array, ends: Int64Array, *, max_gap: int) -> tuple[Int64Array, Int64Array]:
    """Intervals (N,), sorted by start, to the number of the first of each run (M,) and the run's end (M,)."""
    # A nested interval ends before the one around it: how far a run reaches is the running maximum.
    reaches = np.maximum.accumulate(ends)
    is_first = np.ones(len(starts), dtype=np.bool_)
    is_first[1:] = starts[1:] > reaches[:-1] + max_gap
    first = np.flatnonzero(is_first)
    last = np.append(first[1:], len(starts)) - 1 if len(first) else first
    return first, reaches[last]


def _disjoint(line: GenomeLine, regions: pd.DataFrame) -> tuple[Int64Array, Int64Array]:
    """Starts and ends (M,) on the line of what regions cover: sorted, disjoint, not touching."""
    starts, ends = line.place(regions)
    order = np.argsort(starts, kind="stable")
    first, merged_ends = _runs(starts[order], ends[order], max_gap=0)
    return starts[order][first], merged_ends


def _overlapping_runs(
    starts: Int64Array, ends: Int64Array, other_starts: Int64Array, other_ends: Int64Array
) -> tuple[Int64Array, Int64Array]:
    """[first, stop) of the sorted, disjoint others that overlap each interval (N,)."""
    return np.searchsorted(other_ends, starts, side="right"), np.searchsorted(other_starts, ends, side="left")


def _cut(regions: pd.DataFrame, line: GenomeLine, other_starts: Int64Array, other_ends: Int64Array) -> pd.DataFrame:
    """The parts of regions that lie in sorted, disjoint intervals of the line."""
    starts, ends = line.place(regions)
    first, stop = _overlapping_runs(starts, ends, other_starts, other_ends)
    counts = np.maximum(stop - first, 0)
    rows = np.repeat(np.arange(len(regions)), counts)
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    others = first[rows] + nth
    part_starts = np.maximum(starts[rows], other_starts[others])
    part_ends = np.minimum(ends[rows], other_ends[others])
    kept = part_starts < part_ends
    rows, part_starts, part_ends = rows[kept], part_starts[kept], part_ends[kept]
    parts: pd.DataFrame = regions.iloc[rows].reset_index(drop=True)
    shift = regions["start"].to_numpy()[rows] - starts[rows]
    return parts.assign(start=part_starts + shift, end=part_ends + shift)
