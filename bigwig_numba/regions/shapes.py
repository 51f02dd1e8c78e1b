"""Regions row by row: pad, resize around the centre or the summit, clip to the chromosomes, tile with windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ChromNotFoundError, ConfigError
from .frames import Int64Array, as_regions, check_chrom_sizes, check_integer, new_regions, refuse_rows

__all__ = ["clip_to_chromosomes", "pad", "resize", "tile"]

NO_SUMMIT = -1


def pad(frame: pd.DataFrame, bases: int, *, chrom_sizes: Mapping[str, int] | None = None) -> pd.DataFrame:
    """Make regions longer by the same number of bases on both sides.

    Parameters
    ----------
    frame
        Regions.
    bases
        How many, on each side.
    chrom_sizes
        Chromosome to length; with it regions are clipped to their chromosome, as by :func:`clip_to_chromosomes`.
        Without it they may hang over either end, where a batch has its default value.

    Returns
    -------
    pandas.DataFrame
        With all columns and the index.

    Raises
    ------
    ConfigError
        ``bases`` is negative.
    ChromNotFoundError
        A chromosome that ``chrom_sizes`` does not have.

    Examples
    --------
    >>> peaks = pd.DataFrame({"chrom": ["chr1"], "start": [5], "end": [20]})
    >>> pad(peaks, 10)
      chrom  start  end
    0  chr1     -5   30
    >>> pad(peaks, 10, chrom_sizes={"chr1": 25})
      chrom  start  end
    0  chr1      0   25
    """
    bases = check_integer(bases, "bases", at_least=0)
    regions = as_regions(frame)
    padded = regions.assign(start=regions["start"] - bases, end=regions["end"] + bases)
    return padded if chrom_sizes is None else clip_to_chromosomes(padded, chrom_sizes)


def resize(frame: pd.DataFrame, width: int, *, around: Literal["centre", "summit"] = "centre") -> pd.DataFrame:
    """Give all regions one width.

    Parameters
    ----------
    frame
        Regions; with a column ``summit`` (a position on the chromosome, as :func:`read_bed` gives it) to resize around
        it.
    width
        Bases.
    around
        What comes to lie at base ``width // 2`` of the new region: the region's middle, ``(start + end) // 2``, or its
        summit.

    Returns
    -------
    pandas.DataFrame
        With all columns and the index. The regions may hang over an end of their chromosome.

    Raises
    ------
    ConfigError
        ``width`` is less than 1, ``around`` is another word, or there is no column ``summit``.
    WindowError
        Regions without a summit (-1); ``rows`` says which.

    Examples
    --------
    >>> peaks = pd.DataFrame({"chrom": ["chr1"], "start": [100], "end": [201], "summit": [110]})
    >>> resize(peaks, 20)
      chrom  start  end  summit
    0  chr1    140  160     110
    >>> resize(peaks, 20, around="summit")
      chrom  start  end  summit
    0  chr1    100  120     110
    """
    width = check_integer(width, "width", at_least=1)
    regions = as_regions(frame)
    middle = _summits(regions) if around == "summit" else (regions["start"] + regions["end"]) // 2
    if around not in ("centre", "summit"):
        raise ConfigError(f"around is {around!r}, expected 'centre' or 'summit'", argument="around", value=around)
    starts = middle - width // 2
    return regions.assign(start=starts, end=starts + width)


def clip_to_chromosomes(
    frame: pd.DataFrame, chrom_sizes: Mapping[str, int], *, whole_rows: bool = False
) -> pd.DataFrame:
    """Cut off what hangs over the ends of chromosomes.

    Parameters
    ----------
    frame
        Regions.
    chrom_sizes
        Chromosome to length in bases.
    whole_rows
        Leave out regions that hang over, whole, instead of cutting them: windows of one width stay so.

    Returns
    -------
    pandas.DataFrame
        With all columns and the index, without the regions that have no base on their chromosome.

    Raises
    ------
    ChromNotFoundError
        A chromosome that ``chrom_sizes`` does not have.

    Examples
    --------
    >>> windows = pd.DataFrame({"chrom": "chr1", "start": [-5, 10, 95, 100], "end": [5, 20, 105, 110]})
    >>> clip_to_chromosomes(windows, {"chr1": 100})
      chrom  start  end
    0  chr1      0    5
    1  chr1     10   20
    2  chr1     95  100
    >>> clip_to_chromosomes(windows, {"chr1": 100}, whole_rows=True)
      chrom  start  end
    1  chr1     10   20
    """
    regions = as_regions(frame)
    lengths = _lengths(regions, check_chrom_sizes(chrom_sizes))
    starts = np.maximum(regions["start"].to_numpy(), 0)
    ends = np.minimum(regions["end"].to_numpy(), lengths)
    kept = starts < ends
    if whole_rows:
        kept &= (starts == regions["start"].to_numpy()) & (ends == regions["end"].to_numpy())
    clipped: pd.DataFrame = regions.assign(start=starts, end=ends)[kept]
    return clipped


def tile(
    regions: pd.DataFrame | Mapping[str, int],
    width: int,
    *,
    step: int | None = None,
    last: Literal["drop", "cut", "shift"] = "drop",
) -> pd.DataFrame:
    """Lay windows of one width over regions or whole chromosomes, from each one's start on.

    Parameters
    ----------
    regions
        A frame of regions, or chromosome to length in bases for whole chromosomes.
    width
        Bases of a window.
    step
        Bases from one window to the next; ``width`` by default, so that they touch.
    last
        What becomes of the bases at the end that no whole window covers: ``"drop"`` leaves them out, ``"cut"`` covers
        them by a shorter window, ``"shift"`` by a whole one that ends with the region (and overlaps the one before;
        regions shorter than ``width`` get no window).

    Returns
    -------
    pandas.DataFrame
        The windows in the order of the regions, with the other columns of their regions and a new index.

    Raises
    ------
    ConfigError
        ``width`` or ``step`` is less than 1, ``step`` leaves holes although ``last`` asks to cover all, or ``last`` is
        another word.

    Examples
    --------
    >>> tile({"chr1": 25, "chr2": 8}, 10)
      chrom  start  end
    0  chr1      0   10
    1  chr1     10   20
    >>> tile({"chr1": 25, "chr2": 8}, 10, last="shift")
      chrom  start  end
    0  chr1      0   10
    1  chr1     10   20
    2  chr1     15   25
    """
    width = check_integer(width, "width", at_least=1)
    step = width if step is None else check_integer(step, "step", at_least=1)
    if last not in ("drop", "cut", "shift"):
        raise ConfigError(f"last is {last!r}, expected 'drop', 'cut' or 'shift'", argument="last", value=last)
    if last != "drop" and step > width:
        message = f"step is {step} with last={last!r}, expected at most the width, {width}: windows would leave holes"
        raise ConfigError(message, argument="step", value=step)
    checked = _whole_chromosomes(regions) if isinstance(regions, Mapping) else as_regions(regions, argument="regions")
    starts, ends = checked["start"].to_numpy(), checked["end"].to_numpy()
    counts = _window_counts(ends - starts, width, step, last=last)
    rows = np.repeat(np.arange(len(checked)), counts)
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    window_starts = starts[rows] + nth * step
    window_ends = np.minimum(window_starts + width, ends[rows])
    if last == "shift":
        window_starts = window_ends - width
    windows = checked.iloc[rows].reset_index(drop=True)
    return windows.assign(start=window_starts, end=window_ends)


def _window_counts(lengths: Int64Array, width: int, step: int, *, last: str) -> Int64Array:
    """(N,) windows of each region."""
    after_first = lengths - width
    if last == "drop":
        return np.maximum(after_first // step + 1, 0)
    covering = np.maximum(-(-after_first // step), 0) + 1
    fits = lengths > 0 if last == "cut" else after_first >= 0
    return np.where(fits, covering, 0)


def _whole_chromosomes(chrom_sizes: Mapping[str, int]) -> pd.DataFrame:
    sizes = check_chrom_sizes(chrom_sizes)
    lengths = np.array(list(sizes.values()), dtype=np.int64)
    return new_regions(np.array(list(sizes), dtype=object), np.zeros_like(lengths), lengths)


def _lengths(regions: pd.DataFrame, sizes: dict[str, int]) -> Int64Array:
    """(N,) length of each region's chromosome."""
    names = pd.Index(regions["chrom"].unique())
    for name in names:
        if name not in sizes:
            raise ChromNotFoundError.for_name(name, sizes, url="chrom_sizes")
    lengths = np.array([sizes[name] for name in names], dtype=np.int64)
    rows: npt.NDArray[np.intp] = names.get_indexer(regions["chrom"])
    return lengths[rows]


def _summits(regions: pd.DataFrame) -> pd.Series[int]:
    if "summit" not in regions.columns:
        message = "around is 'summit', but frame has no column summit; read narrowPeak, or resize around 'centre'"
        raise ConfigError(message, argument="around", value="summit")
    summits = regions["summit"].astype(np.int64)
    why = "have no summit: leave them out, or resize them around 'centre'"
    refuse_rows(summits.to_numpy() == NO_SUMMIT, regions, argument="frame", why=why)
    return summits
