"""Statistics from zoom levels: an approximation that reads few blocks, with pyBigWig's answers.

A zoom level is a list of items that each summarise some bases: how many have a value, and those values' minimum,
maximum, sum and sum of squares. Of an item's count and sums a bin takes the share of the item's bases that it overlaps;
minimum and maximum it takes of every item that it touches.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import cast

import numpy as np

from .bbi import StructuredArray, ZoomHeader, zoom_items
from .binning import Float64Array, Int64Array, find_overlaps
from .errors import FormatError
from .index import BlockIndex, FileIndex
from .storage import ByteSource

__all__ = ["choose_zoom_level", "inflate_zoom_block", "read_zoom_items", "zoom_statistic"]

MAX_INFLATED_SIZE = 64 * 1024 * 1024  # writers make zoom blocks of some 30 KB; a larger bound only keeps memory safe


def choose_zoom_level(zoom_headers: Sequence[ZoomHeader], start: int, end: int, n_bins: int) -> int | None:
    """The coarsest zoom level with at least two items' worth of bases in a bin; None if the bins are too small for any.

    Examples
    --------
    >>> levels = [ZoomHeader(10, 0, 0), ZoomHeader(40, 0, 0)]
    >>> choose_zoom_level(levels, 0, 100, 1), choose_zoom_level(levels, 0, 100, 5), choose_zoom_level(levels, 0, 100, 6)
    (1, 0, None)
    """
    fitting = [number for number, zoom in enumerate(zoom_headers) if 2 * zoom.reduction_level * n_bins <= end - start]
    return max(fitting, key=lambda number: zoom_headers[number].reduction_level, default=None)


def read_zoom_items(
    source: ByteSource, file_index: FileIndex, blocks: BlockIndex, *, row: int, start: int, end: int
) -> StructuredArray:
    """The items of a zoom level that overlap a region.

    Parameters
    ----------
    source
        The file.
    file_index
        Its header and chromosomes.
    blocks
        Where the level's blocks lie, from :func:`~bigwig_numba.index.read_zoom_index`.
    row
        The chromosome's row in ``file_index.chromosomes``.
    start, end
        The region on the chromosome, in bases.

    Returns
    -------
    (N,) structured
        Fields ``chrom_id``, ``start``, ``end``, ``bases_covered``, ``min``, ``max``, ``sum``, ``sum_squares``.

    Raises
    ------
    FormatError
        If a block of the level cannot be inflated.
    """
    genome_start = int(file_index.chromosomes.genome_starts[row])
    length = int(file_index.chromosomes.lengths[row])
    first, last = blocks.run(genome_start + min(max(start, 0), length), genome_start + min(max(end, 0), length))
    offsets, sizes = blocks.offsets[first:last], blocks.sizes[first:last]
    header = file_index.header
    sections = source.read_ranges(offsets, sizes)
    if header.compressed:
        sections = [
            inflate_zoom_block(section, url=source.url, offset=offset)
            for section, offset in zip(sections, offsets.tolist(), strict=True)
        ]
    items = np.concatenate([zoom_items(section, header.byte_order) for section in [b"", *sections]])
    wanted = items["chrom_id"] == file_index.chromosomes.ids[row]
    return cast(StructuredArray, items[wanted & (items["start"] < end) & (items["end"] > start)])


def zoom_statistic(items: StructuredArray, *, edges: Int64Array, statistic: str) -> Float64Array:
    """A statistic of each bin from zoom items.

    Parameters
    ----------
    items : (N,) structured
        As :func:`read_zoom_items` gives them.
    edges : (B + 1,) int64
        Ascending edges of the bins.
    statistic
        ``mean``, ``min``, ``max``, ``sum``, ``std`` or ``coverage``.

    Returns
    -------
    (B,) float64
        NaN where no item with covered bases overlaps.
    """
    starts, ends = items["start"].astype(np.int64), items["end"].astype(np.int64)
    overlaps = find_overlaps(starts, ends, edges)
    n_bins, bins = len(edges) - 1, overlaps.bins
    paired = items[overlaps.intervals]
    if statistic in ("min", "max"):
        extremes = np.full(n_bins, np.nan)
        (np.fmin if statistic == "min" else np.fmax).at(extremes, bins, paired[statistic].astype(np.float64))
        return extremes

    shares = overlaps.n_bases / (ends - starts)[overlaps.intervals]

    def total(field: str) -> Float64Array:
        return cast(Float64Array, np.bincount(bins, shares * paired[field].astype(np.float64), n_bins))

    n_covered = total("bases_covered")
    with np.errstate(invalid="ignore", divide="ignore"):
        if statistic == "coverage":
            return np.where(n_covered > 0, n_covered / np.diff(edges), np.nan)
        sums = np.where(n_covered > 0, total("sum"), np.nan)
        if statistic == "sum":
            return sums
        if statistic == "mean":
            return sums / n_covered
        squares = total("sum_squares") - sums * sums / n_covered
        # The shares make counts that are no whole numbers; with one base or less there is no spread to speak of.
        return np.where(n_covered > 1, np.sqrt(np.maximum(squares, 0) / (n_covered - 1)), np.nan)


def inflate_zoom_block(block: bytes, *, url: str, offset: int) -> bytes:
    """Inflate a block of a zoom level, at byte ``offset`` of the file; ``FormatError`` if it cannot be."""
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(block, MAX_INFLATED_SIZE)
    except zlib.error as error:
        found = f"{url}: expected a block of a zoom level at byte {offset}, found what zlib cannot inflate: {error}"
        raise FormatError(found, url=url, offset=offset) from error
    if not inflater.eof:
        found = f"{url}: expected a block of a zoom level at byte {offset}, found one that does not end"
        raise FormatError(found, url=url, offset=offset)
    return data
