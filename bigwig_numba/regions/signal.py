"""Choose regions by the signal that tracks have in them."""

from __future__ import annotations

import importlib
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ConfigError
from .frames import as_regions, check_integer

__all__ = ["BatchReader", "count_signal", "filter_by_signal"]

OverTracks = Literal["sum", "mean", "min", "max"]
OVER_TRACKS = ("sum", "mean", "min", "max")
MAX_BINS = 2**20  # of a batch, in each track


class BatchReader(Protocol):
    """What is needed of a collection: :meth:`BigWigCollection.get_batch`."""

    def get_batch(
        self,
        chromosomes: Any,
        start: Any,
        end: Any,
        window_size: int = ...,
        default_value: float = ...,
        *,
        statistic: str = ...,
    ) -> Any:
        """Values (S, B, T) of windows, on the CPU or the GPU."""
        ...


def count_signal(frame: pd.DataFrame, collection: BatchReader, *, batch_size: int = 4096) -> npt.NDArray[np.float64]:
    """Sum of the signal over the bases of each region, per track.

    Parameters
    ----------
    frame
        Regions; what hangs over an end of a chromosome counts 0, as do bases without a value.
    collection
        A :class:`BigWigCollection`, or what has its ``get_batch``; the sums are taken where it reads, on the GPU if
        there is one.
    batch_size
        Regions read at a time, at most. Regions of many lengths are read in smaller bins, and take more memory.

    Returns
    -------
    (N, T) float64
        In the order of the frame. For a track of counts per base, a region's count. If no region has a base, T is 0.

    Raises
    ------
    ChromNotFoundError
        A chromosome that no track has.

    Examples
    --------
    >>> import tempfile
    >>> from bigwig_numba.collection import BigWigCollection
    >>> from bigwig_numba.write import write_bigwig
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = f"{folder.name}/track.bw"
    >>> write_bigwig(path, {"chr1": 100}, [("chr1", 10, np.array([2.0, 2.0, 3.0]))])
    >>> peaks = pd.DataFrame({"chrom": "chr1", "start": [0, 11], "end": [11, 40]})
    >>> with BigWigCollection(path, device="cpu") as collection:
    ...     count_signal(peaks, collection)
    array([[2.],
           [5.]])
    >>> folder.cleanup()
    """
    batch_size = check_integer(batch_size, "batch_size", at_least=1)
    regions = as_regions(frame)
    lengths = (regions["end"] - regions["start"]).to_numpy()
    # Regions of like length together: a batch has windows of one length.
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    parts: list[npt.NDArray[np.float64]] = []
    first = 0
    while first < len(order):
        rows = order[first : first + batch_size]
        bin_size = int(np.gcd.reduce(lengths[rows]))
        rows = rows[: max(MAX_BINS // int(lengths[rows[-1]] // bin_size), 1)]
        parts.append(_count_batch(regions.iloc[rows], collection, bin_size))
        first += len(rows)
    counts = np.zeros((len(regions), parts[0].shape[1] if parts else 0))
    if parts:
        counts[order] = np.concatenate(parts)
    return counts


def filter_by_signal(
    frame: pd.DataFrame,
    collection: BatchReader,
    *,
    minimum: float = -np.inf,
    maximum: float = np.inf,
    over_tracks: OverTracks = "sum",
    batch_size: int = 4096,
) -> pd.DataFrame:
    """Keep regions with enough signal, and not too much.

    Parameters
    ----------
    frame, collection, batch_size
        As in :func:`count_signal`.
    minimum, maximum
        What a region's count must at least and at most be, both included.
    over_tracks
        How the counts of a region in all tracks become one: ``"min"`` with ``minimum`` asks for signal in every track,
        ``"max"`` in any.

    Returns
    -------
    pandas.DataFrame
        With all columns and the index.

    Raises
    ------
    ConfigError
        ``minimum`` is not below or equal to ``maximum``, or ``over_tracks`` is another word.
    ChromNotFoundError
        A chromosome that no track has.

    Examples
    --------
    >>> import tempfile
    >>> from bigwig_numba.collection import BigWigCollection
    >>> from bigwig_numba.write import write_bigwig
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = f"{folder.name}/track.bw"
    >>> write_bigwig(path, {"chr1": 100}, [("chr1", 10, np.array([2.0, 2.0, 3.0]))])
    >>> peaks = pd.DataFrame({"chrom": "chr1", "start": [0, 11], "end": [11, 40]})
    >>> with BigWigCollection(path, device="cpu") as collection:
    ...     filter_by_signal(peaks, collection, minimum=3)
      chrom  start  end
    1  chr1     11   40
    >>> folder.cleanup()
    """
    if not minimum <= maximum:
        message = f"minimum is {minimum} and maximum {maximum}, expected the one not above the other"
        raise ConfigError(message, argument="minimum", value=minimum)
    if over_tracks not in OVER_TRACKS:
        message = f"over_tracks is {over_tracks!r}, expected one of {', '.join(map(repr, OVER_TRACKS))}"
        raise ConfigError(message, argument="over_tracks", value=over_tracks)
    regions = as_regions(frame)
    counts = count_signal(regions, collection, batch_size=batch_size)
    if not counts.size:  # no region, or only empty ones: there was nothing to ask the tracks for
        counts = np.zeros((len(regions), 1))
    totals = getattr(np, over_tracks)(counts, axis=1)
    kept: npt.NDArray[np.bool_] = (totals >= minimum) & (totals <= maximum)
    return regions.loc[kept]


def _count_batch(regions: pd.DataFrame, collection: BatchReader, bin_size: int) -> npt.NDArray[np.float64]:
    """(S, T) sums of regions, sorted by length, each of them a whole number of bins."""
    starts = regions["start"].to_numpy()
    lengths = regions["end"].to_numpy() - starts
    chromosomes = regions["chrom"].tolist()
    values = collection.get_batch(
        chromosomes, starts, starts + lengths[-1], window_size=bin_size, default_value=0.0, statistic="sum"
    )
    # What is large stays where it is.
    xp = np if isinstance(values, np.ndarray) else importlib.import_module("cupy")
    bins = xp.arange(values.shape[1])[None, :] < xp.asarray(lengths // bin_size)[:, None]
    sums = xp.where(bins[:, :, None], values, 0).sum(axis=1, dtype=xp.float64)
    counts: npt.NDArray[np.float64] = sums.get() if hasattr(sums, "get") else sums
    return counts
