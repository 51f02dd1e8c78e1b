"""One open BigWig file: its chromosomes, values, intervals and statistics."""

from __future__ import annotations

import operator
import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from .bbi import Header, Summary
from .binning import STATISTICS, bin_edges, bin_statistic
from .engine.check import raise_for_statuses
from .engine.cpu import CpuEngine, Items
from .engine.reduction import Reduction
from .engine.store import fetch_blocks
from .errors import ConfigError, StorageError, WindowError
from .file_blocks import count_section_types, inflate_numbered
from .index import BlockIndex, read_zoom_index
from .interval_frames import IntervalOptions, read_intervals
from .kernels.statistics import get_statistic
from .opening import open_file
from .plan import ReadPlan, TrackTable, plan_windows
from .plot import MOST_BINS, plot_tracks, track_names
from .reprs import facts_html
from .retries import display_url
from .storage import PathOrFile, RemoteReader
from .zooms import choose_zoom_level, read_zoom_items, zoom_statistic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BigWig", "Intervals", "open"]


class Intervals(NamedTuple):
    """Intervals of one chromosome, in the order of the file.

    Attributes
    ----------
    starts, ends : (N,) int64
        Bases [start, end), 0-based.
    values : (N,) float32
        A value each.

    Examples
    --------
    See :meth:`BigWig.intervals`.
    """

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]


class BigWig:
    """One BigWig file, open for reading. It reads from several threads at a time, and can be pickled by its path.

    Parameters
    ----------
    path_or_url
        A local path; a URL that fsspec opens (``s3://``, ``https://``, ``memory://``, chained
        ``simplecache::s3://...``); or an open binary file object with ``seek`` and ``read``.
    storage_options
        Passed to fsspec, for instance credentials.

    Attributes
    ----------
    path : str
        What was opened, without user, password and query string.

    Raises
    ------
    FormatError
        If the file is no BigWig, or is damaged or cut off.
    FileNotFoundError, PermissionError
        As they are.
    StorageError
        If the file cannot be read for any other reason.

    Examples
    --------
    >>> from bigwig_numba.example_data import example_data
    >>> path = example_data(chromosome_length=50_000).bigwig_paths[0]
    >>> with BigWig(path) as bigwig:
    ...     print(bigwig.chroms)
    ...     print(bigwig.values("chr1", 1_000, 1_003).shape)
    ...     print(bigwig.stats("chr1", 0, 50_000, n_bins=5, statistic="coverage"))
    {'chr1': 50000, 'chr2': 45000, 'chr3': 40000}
    (3,)
    [1. 1. 1. 1. 1.]
    """

    def __init__(self, path_or_url: PathOrFile, *, storage_options: dict[str, Any] | None = None) -> None:
        self._location = os.fspath(path_or_url) if isinstance(path_or_url, str | os.PathLike) else None
        self._storage_options = storage_options
        reader = RemoteReader(storage_options)
        self._source, self._index = open_file(path_or_url, reader, storage_options=storage_options)
        self.path = self._source.url
        self._tracks = TrackTable.from_indexes([self._index])
        self._engine = CpuEngine()
        self._zoom_indexes: dict[int, BlockIndex] = {}
        self._closed = False

    def __repr__(self) -> str:
        content = f"{len(self._index.chromosomes)} chromosomes, {len(self._index.blocks)} blocks"
        return f"<BigWig {self.path}: {content}{', closed' if self._closed else ''}>"

    def _repr_html_(self) -> str:
        header, zooms = self.header, ", ".join(f"1:{level:,}" for level in self.zoom_levels)
        order = "big-endian" if header.big_endian else "little-endian"
        facts = {"format": f"bigWig version {header.version}, {order}", "blocks": f"{self.n_blocks:,}"}
        facts |= {"zoom levels": zooms or "none"}
        if self.summary is not None:
            low, high, mean = self.summary.min, self.summary.max, self.summary.mean
            facts["bases covered"] = f"{self.summary.bases_covered:,}"
            facts["values"] = f"{low:.6g} to {high:.6g}, mean {mean:.4g}"
        return facts_html(self.path, facts, self.chroms)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_class: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        self._require_open()
        if self._location is None:
            raise TypeError(f"{self.path} was opened as a file object, which cannot be pickled; open it by its path")
        is_local = display_url(self._location) == self._location and "://" not in self._location
        location = os.path.abspath(os.path.expanduser(self._location)) if is_local else self._location
        return _reopen, (location, self._storage_options)

    def close(self) -> None:
        """Close the file; ``chroms``, ``header`` and ``summary`` stay readable. Closing twice does nothing."""
        if not self._closed:
            self._closed = True
            self._engine.close()
            self._source.close()

    @property
    def chroms(self) -> dict[str, int]:
        """Chromosome name to length in bases, in the order of the file's chromosome ids."""
        return self._index.chromosomes.as_dict()

    @property
    def header(self) -> Header:
        """Version, byte order and where the parts of the file are."""
        return self._index.header

    @property
    def summary(self) -> Summary | None:
        """Bases covered, minimum, maximum, mean and std of all values, as the file's writer computed them, or None."""
        return self._index.summary

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._source.size

    @property
    def n_blocks(self) -> int:
        """Number of blocks, which are what is compressed and read as one."""
        return len(self._index.blocks)

    @property
    def zoom_levels(self) -> tuple[int, ...]:
        """Bases per item of each zoom level."""
        return tuple(zoom.reduction_level for zoom in self._index.zoom_headers)

    def section_types(self, most_blocks: int = 1_000) -> dict[str, int]:
        """How many blocks are of which type.

        Parameters
        ----------
        most_blocks
            Look at so many blocks, spread evenly over the file, if it has more.

        Returns
        -------
        dict
            ``"bedGraph"``, ``"variableStep"``, ``"fixedStep"``, as far as they are there, to a number of blocks.
            Damaged blocks don't count; see :func:`bigwig_numba.validate`.

        Examples
        --------
        >>> from bigwig_numba.example_data import example_data
        >>> with BigWig(example_data(chromosome_length=50_000).bigwig_paths[0]) as bigwig:
        ...     bigwig.section_types()
        {'bedGraph': 6}
        """
        self._require_open()
        numbers = np.unique(np.linspace(0, max(self.n_blocks - 1, 0), most_blocks).astype(np.int64))[: self.n_blocks]
        _, inflated = inflate_numbered(self._source, self._index, self._engine, numbers, whole=False)
        return count_section_types(inflated)

    def plot(self, chrom: str, start: int | None = None, end: int | None = None, *, statistic: str = "mean") -> Figure:
        """Draw a region (needs matplotlib, the extra ``plot``).

        Parameters
        ----------
        chrom
            Name of the chromosome.
        start, end
            The region [start, end) in bases, 0-based; the whole chromosome by default.
        statistic
            Of a bin, as for :meth:`stats`. There are at most 1,000 bins; wide regions come from zoom levels.

        Returns
        -------
        matplotlib.figure.Figure
            Notebooks show it; ``figure.savefig("region.svg")`` writes it.

        Raises
        ------
        ChromNotFoundError, WindowError, BlockDecodeError, ConfigError
            As in :meth:`stats`; ``ConfigError`` also where matplotlib is missing.
        """
        row = self._index.chromosomes.row(chrom, url=self.path)
        length = int(self._index.chromosomes.lengths[row])
        start, end = self._checked_window(0 if start is None else start, length if end is None else end)
        window_size = -(-(end - start) // MOST_BINS)
        n_bins = -(-(end - start) // window_size)
        last = start + n_bins * window_size
        values = self.stats(chrom, start, last, n_bins=n_bins, statistic=statistic, exact=False)
        return plot_tracks(
            values[:, np.newaxis], track_names([self.path]), chromosome=chrom, start=start, end=end,
            window_size=window_size,
        )  # fmt: skip

    def values(self, chrom: str, start: int, end: int) -> npt.NDArray[np.float32]:
        """The value at every base of a window.

        Parameters
        ----------
        chrom
            Name of the chromosome.
        start, end
            The window [start, end) in bases, 0-based. It may hang over the chromosome's ends.

        Returns
        -------
        (end - start,) float32
            NaN where the file has no value, and outside the chromosome.

        Raises
        ------
        ChromNotFoundError
            If the file has no such chromosome; the error names similar ones.
        WindowError
            If the window is empty.
        BlockDecodeError
            If a block of the file that is needed is damaged.

        Examples
        --------
        >>> from bigwig_numba.example_data import example_data
        >>> with BigWig(example_data(chromosome_length=50_000).bigwig_paths[0]) as bigwig:
        ...     bigwig.values("chr1", 49_998, 50_002)  # the chromosome has 50,000 bases
        array([ 1.,  1., nan, nan], dtype=float32)
        """
        plan = self._plan(chrom, start, end, window_size=1)
        reduction = Reduction(get_statistic("mean"), np.nan, "float32", np.ones(1, np.float32))
        return self._engine.run(plan, [self._source], reduction)[0, :, 0]

    def intervals(self, chrom: str, start: int, end: int) -> Intervals:
        """The intervals that overlap a window, whole, as they are in the file.

        Parameters
        ----------
        chrom
            Name of the chromosome.
        start, end
            The window [start, end) in bases, 0-based.

        Returns
        -------
        Intervals
            Starts and ends (N,) int64, values (N,) float32; N is 0 where the file has nothing.

        Raises
        ------
        ChromNotFoundError, WindowError, BlockDecodeError
            As in :meth:`values`.

        Examples
        --------
        >>> from bigwig_numba.example_data import example_data
        >>> with BigWig(example_data(chromosome_length=50_000).bigwig_paths[0]) as bigwig:
        ...     starts, ends, values = bigwig.intervals("chr1", 20_000, 20_020)
        >>> list(zip(starts.tolist(), ends.tolist(), values.tolist()))
        [(19964, 20016, 3.0), (20016, 20024, 2.0)]
        """
        row = self._index.chromosomes.row(chrom, url=self.path)
        start, end = self._checked_window(start, end)
        first, last = max(start, 0), min(end, int(self._index.chromosomes.lengths[row]))
        if first >= last:
            return Intervals(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
        items = self._read_items(self._plan(chrom, first, last, window_size=last - first))
        wanted = items.chrom_ids == self._index.chromosomes.ids[row]
        wanted &= (items.starts < last) & (items.ends > first)
        return Intervals(items.starts[wanted], items.ends[wanted], items.values[wanted])

    def intervals_frame(self, **options: Any) -> pd.DataFrame:
        """All intervals with a value above a threshold, of whole chromosomes, as a frame.

        Parameters
        ----------
        **options
            As :meth:`BigWigCollection.intervals <bigwig_numba.BigWigCollection.intervals>` takes them, with the same
            defaults: ``threshold=None`` keeps all intervals.

        Returns
        -------
        pandas.DataFrame
            ``chrom`` str, ``start`` and ``end`` int64, ``value`` float32; sorted by chromosome in natural order and by
            start.

        Raises
        ------
        ChromNotFoundError, ConfigError, WindowError, BlockDecodeError, FormatError
            As there.

        Examples
        --------
        >>> from bigwig_numba.example_data import example_data
        >>> with BigWig(example_data(chromosome_length=50_000).bigwig_paths[0]) as bigwig:
        ...     frame = bigwig.intervals_frame(include_chromosomes="chr2", threshold=None)
        >>> frame.dtypes.astype(str).to_dict()
        {'chrom': 'str', 'start': 'int64', 'end': 'int64', 'value': 'float32'}
        """
        self._require_open()
        wanted = IntervalOptions(**options)
        scales = np.ones(1, np.float32)
        return read_intervals(self._tracks, [self._source], self._engine, scales, wanted, name=self.path)

    def stats(
        self, chrom: str, start: int, end: int, n_bins: int = 1, statistic: str = "mean", exact: bool = True
    ) -> npt.NDArray[np.float64]:
        """A statistic of each of ``n_bins`` bins of a window, over their covered bases.

        Parameters
        ----------
        chrom
            Name of the chromosome.
        start, end
            The window [start, end) in bases, 0-based.
        n_bins
            Number of bins, as equal as whole bases allow: bin i starts at ``start + i * (end - start) // n_bins``.
        statistic
            ``mean``, ``min``, ``max``, ``sum``, ``std`` (sample, n - 1; 0 for one base) or ``coverage`` (the part
            of the bin's bases that has a value).
        exact
            Whether to compute from the intervals. If not, the coarsest zoom level with at least two of its items a bin
            answers, which reads far less of the file; where bins are too small for all levels, the intervals do.

        Returns
        -------
        (n_bins,) float64
            NaN where nothing is covered. Exact coverage is 0 there, and NaN only in a bin without bases (there are
            some if there are more bins than bases).

        Raises
        ------
        ChromNotFoundError, WindowError, BlockDecodeError
            As in :meth:`values`.
        ConfigError
            For a statistic that there is not, or less than one bin.

        Notes
        -----
        The answers are pyBigWig's (0.3.29), with NaN for its None, except that

        - exact coverage of nothing is 0, as everywhere in this package, and a bin without bases is always NaN;
        - from zoom levels, ``sum`` is the sum; pyBigWig adds up the means of zoom items, thousands of times too little;
        - in a bin that lies inside one zoom item, only the overlap with that item counts, so coverage cannot pass 1;
        - a variance that rounding in the zoom items made negative is 0; pyBigWig raises an error.
        """
        row = self._index.chromosomes.row(chrom, url=self.path)
        start, end = self._checked_window(start, end)
        n_bins = operator.index(n_bins)
        if n_bins < 1:
            raise ConfigError(f"n_bins is {n_bins}, expected 1 or more", argument="n_bins", value=n_bins)
        if statistic not in STATISTICS:
            known = ", ".join(STATISTICS)
            message = f"unknown statistic {statistic!r}: choose one of {known}"
            raise ConfigError(message, argument="statistic", value=statistic)
        edges = bin_edges(start, end, n_bins)
        level = None if exact else choose_zoom_level(self._index.zoom_headers, start, end, n_bins)
        if level is not None:
            blocks = self._zoom_blocks(level)
            items = read_zoom_items(self._source, self._index, blocks, row=row, start=start, end=end)
            return zoom_statistic(items, edges=edges, statistic=statistic)
        found = self.intervals(chrom, start, end)
        answers = bin_statistic(found.starts, found.ends, found.values, edges=edges, statistic=statistic)
        if statistic == "coverage" and not exact:
            answers[answers == 0] = np.nan  # as zoom levels answer
        return answers

    def _plan(self, chrom: str, start: int, end: int, *, window_size: int) -> ReadPlan:
        row = self._index.chromosomes.row(chrom, url=self.path)
        start, end = self._checked_window(start, end)
        self._require_open()
        return plan_windows(
            self._tracks,
            np.array([row], np.int64),
            starts=np.array([start], np.int64),
            ends=np.array([end], np.int64),
            window_size=window_size,
        )

    def _read_items(self, plan: ReadPlan) -> Items:
        inflated = self._engine.inflate(fetch_blocks(plan, [self._source]), plan)
        raise_for_statuses(inflated.statuses, plan, [self._source])
        return self._engine.expand(inflated, plan)

    def _zoom_blocks(self, level: int) -> BlockIndex:
        """Where the blocks of a zoom level lie, read when first needed."""
        self._require_open()
        if level not in self._zoom_indexes:
            self._zoom_indexes[level] = read_zoom_index(self._source, self._index, level)
        return self._zoom_indexes[level]

    def _checked_window(self, start: int, end: int) -> tuple[int, int]:
        start, end = operator.index(start), operator.index(end)
        if start >= end:
            raise WindowError(
                f"{self.path}: the window from {start} to {end} has no bases; end must be above start", rows=(0,)
            )
        return start, end

    def _require_open(self) -> None:
        if self._closed:
            raise StorageError(f"{self.path} is closed; open it again to read from it", url=self.path)


def open(path_or_url: PathOrFile, *, storage_options: dict[str, Any] | None = None) -> BigWig:
    """Open a BigWig file for reading; a context manager.

    Parameters
    ----------
    path_or_url, storage_options
        As for :class:`BigWig`.

    Returns
    -------
    BigWig

    Raises
    ------
    FormatError, FileNotFoundError, PermissionError, StorageError
        As for :class:`BigWig`.

    Examples
    --------
    >>> from bigwig_numba.example_data import example_data
    >>> with open(example_data(chromosome_length=50_000).bigwig_paths[0]) as bigwig:
    ...     starts, ends, values = bigwig.intervals("chr2", 100, 200)
    >>> bool((ends > 100).all() and (starts < 200).all())
    True
    """
    return BigWig(path_or_url, storage_options=storage_options)


def _reopen(path_or_url: str, storage_options: dict[str, Any] | None) -> BigWig:
    return BigWig(path_or_url, storage_options=storage_options)
