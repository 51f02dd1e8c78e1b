"""Many BigWig files as one coordinate system: windows of any of them, as one array (samples, bins, tracks)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from .arguments import check_out, dtype_name, integer, known_rows, number, positions, track_numbers
from .chromosome_names import Include, select_chromosomes, sorted_chromosomes
from .collection_settings import Settings
from .engine.reduction import Reduction
from .errors import ConfigError
from .interval_frames import IntervalOptions
from .kernels.statistics import Statistic, get_statistics
from .kernels.swapping import InflateKernel, ReduceKernel
from .matrix import GenomeMatrix, lazy_matrix
from .open_tracks import OpenTracks
from .opening import PathLike, find_listed
from .plan import request_windows
from .plot import plot_region, track_names
from .reprs import facts_html, table_html
from .scale import scales_of_paths
from .storage import RemoteOptions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BigWigCollection"]


class BigWigCollection:
    """Many BigWig files, one track each, read together.

    Parameters
    ----------
    bigwig_path
        A file, a directory, a glob, each local or remote (what fsspec opens), or a list of them.
    file_extensions
        Ends of names, in any case, that count as BigWig files in directories.
    crawl
        Whether to look into subdirectories.
    scale
        Factors for the values of files, keyed by full or partial path, with or without extension, or by folder; the
        longest match counts, and files before folders. 1 where nothing matches.
    first_n_files
        Take only so many files, after sorting.
    sort
        Sort the files by path; otherwise a list keeps its order. Tracks are in this order.
    device
        ``"cuda"``, ``"cpu"``, or ``"auto"`` for CUDA where it works and else the CPU.
    store
        Where compressed blocks live for the GPU. ``"stream"``: in their files, read for each batch. ``"device"``: all
        of them in GPU memory, loaded once; then a batch takes nothing from the host but positions. ``"host"``: in
        pinned memory beside it. ``"auto"``: streamed at first; local files move to the GPU once as many bytes have
        been streamed as that takes, as far as half of the free memory goes. What does not fit is streamed. The CPU
        reads files where they are, whatever this says.
    store_bytes
        At most so many bytes for them; by default all, for ``"auto"`` half of the free memory.
    store_regions
        Frame (``chrom``, ``start``, ``end``) of where windows will be: only blocks of these regions are kept there.
    storage_options
        Passed to fsspec, for instance credentials.
    on_error
        What becomes of a file that cannot be read, when it is opened or later: ``"raise"`` its error, or ``"mask"``:
        its track has default values from then on, ``valid_tracks`` says so, and one warning does. Where no file can be
        read, the error is raised.
    cache_dir
        Folder on a local disk in which blocks of remote files are kept that were read once; processes may share it.
    cache_bytes
        Bytes of blocks that are kept at most, in ``cache_dir`` or, without it, in memory. By default nothing is kept in
        memory, and 10 GiB in ``cache_dir``.
    remote
        How remote files are read: limits, retries, the cost model of requests.
    inflate
        What inflates blocks: ``"auto"``, on a GPU also ``"lanes"`` or ``"warps"``, or one's own ``InflateKernel``, as
        it is or as ``"module:name"``.
    reduce
        What makes bins of items: ``"auto"``, or one's own ``ReduceKernel``, likewise.
    verify
        Whether to compare the Adler-32 checksum of each block that is read. Blocks are then inflated to their end, also
        where a window needs but their head. Needs the built-in decoders.

    Attributes
    ----------
    bigwig_paths
        The files, in track order.

    Raises
    ------
    FileNotFoundError, PermissionError
        As they are.
    FormatError
        A file is no BigWig or is damaged.
    ConfigError
        No files, or an argument that makes no sense.
    DeviceError
        ``device="cuda"`` where it does not work.

    Examples
    --------
    >>> from bigwig_numba.example_data import example_data
    >>> paths = example_data(chromosome_length=50_000).bigwig_paths
    >>> with BigWigCollection(paths, device="cpu", first_n_files=2) as collection:
    ...     print(collection.chromosome_sizes)
    ...     batch = collection.get_batch(["chr1", "chr2"], [10_000, 2_000], [12_048, 4_048], window_size=32)
    ...     print(batch.shape)
    {'chr1': 50000, 'chr2': 45000, 'chr3': 40000}
    (2, 64, 2)
    """

    def __init__(
        self,
        bigwig_path: PathLike | Iterable[PathLike],
        file_extensions: Sequence[str] = (".bigWig", ".bw", ".bigwig"),
        crawl: bool = True,
        scale: Mapping[PathLike, float] | None = None,
        first_n_files: int | None = None,
        *,
        sort: bool = True,
        device: str = "auto",
        store: str = "auto",
        store_bytes: int | None = None,
        store_regions: pd.DataFrame | None = None,
        storage_options: dict[str, Any] | None = None,
        on_error: str = "raise",
        cache_dir: PathLike | None = None,
        cache_bytes: int | None = None,
        remote: RemoteOptions | None = None,
        inflate: str | InflateKernel = "auto",
        reduce: str | ReduceKernel = "auto",
        verify: bool = False,
    ) -> None:
        if first_n_files is not None and integer(first_n_files, "first_n_files") < 1:
            message = f"first_n_files is {first_n_files}, expected 1 or more, or None for all"
            raise ConfigError(message, argument="first_n_files", value=first_n_files)
        settings = Settings(
            device=device, store=store, store_bytes=store_bytes, store_regions=store_regions,
            storage_options=storage_options, on_error=on_error,
            cache_dir=None if cache_dir is None else os.fspath(cache_dir), cache_bytes=cache_bytes, remote=remote,
            inflate=inflate, reduce=reduce, verify=verify,
        )  # fmt: skip
        reader = settings.new_reader()
        listed = find_listed(bigwig_path, file_extensions, reader, crawl=crawl)
        listed = (sorted(listed, key=lambda file: file.path) if sort else listed)[:first_n_files]
        paths = [file.path for file in listed]
        versions = {file.path: file.version for file in listed if file.version is not None}
        self._use(OpenTracks(paths, scales_of_paths(paths, scale), settings, reader=reader, versions=versions))

    def _use(self, tracks: OpenTracks) -> None:
        self.bigwig_paths = tracks.paths
        self._tracks = tracks

    def get_batch(
        self,
        chromosomes: Sequence[str] | npt.NDArray[Any],
        start: Sequence[int] | npt.NDArray[Any],
        end: Sequence[int] | npt.NDArray[Any],
        window_size: int = 1,
        default_value: float = 0.0,
        out: Any | None = None,
        *,
        dtype: npt.DTypeLike = "float32",
        track_indices: Sequence[int] | npt.NDArray[Any] | None = None,
        statistic: str | Statistic | Sequence[str | Statistic] = "mean",
    ) -> Any:
        """Values of windows in all tracks, or some.

        Parameters
        ----------
        chromosomes
            (S,) names, one per window.
        start, end
            (S,) positions on the chromosome in bases, 0-based and half-open. All windows have one length. They may
            hang over an end of the chromosome, or lie outside it: there the default is what one gets.
        window_size
            Bases per bin, ``B = (end - start) // window_size``: a partial last bin is dropped. With 1 the values of
            the file come as they are.
        default_value
            What bases count as that no item covers, or whose value is NaN. With NaN they don't count at all, and a
            bin without any other is NaN.
        out
            (S, B, T), C-contiguous and of the right type, on the collection's device: to be written to and returned.
            By default a new array each time.
        dtype
            ``"float32"``, ``"float16"`` or ``"bfloat16"``, rounded to nearest even.
        track_indices
            (T,) numbers of the tracks to read, in the order wanted; all by default.
        statistic
            Of a bin's bases: ``"mean"``, ``"sum"``, ``"min"``, ``"max"``, ``"std"``, ``"coverage"``,
            ``"sum_of_squares"``, ``"log_mean"`` (of log(1 + value)), ``"last"``, or one's own, a ``Statistic``. A list
            of them gives a last axis, and reads the files once.

        Returns
        -------
        (S, B, T) array, or (S, B, T, number of statistics) for a list of them
            NumPy on the CPU, CuPy on CUDA. bfloat16 comes as its bits, uint16, as neither of them has it.

        Raises
        ------
        WindowError
            Windows of several lengths, or that end before they start; ``rows`` says which.
        ChromNotFoundError
            A chromosome that no file has. Where only some files lack it, those give the default.
        ConfigError
            Any other argument that makes no sense.
        BlockDecodeError, FormatError
            What a window needs of a file is damaged.
        """
        tracks = self._tracks
        files = None if track_indices is None else track_numbers(track_indices)
        request = request_windows(
            tracks.table,
            known_rows(chromosomes, tracks.rows, url=tracks.name),
            starts=positions(start, "start"),
            ends=positions(end, "end"),
            window_size=integer(window_size, "window_size"),
            track_indices=files,
        )
        reduction = Reduction(
            statistic=get_statistics(statistic),
            default_value=number(default_value, "default_value"),
            dtype=dtype_name(dtype),
            scales=tracks.scales if files is None else tracks.scales[files],
        )
        if out is not None:
            check_out(out, device=self.device)
        return tracks.batch(request, reduction, out=out)

    def intervals(
        self,
        include_chromosomes: Include = "all",
        exclude_chromosomes: Iterable[str] | None = None,
        blacklist: pd.DataFrame | None = None,
        blacklist_buffer: int = 0,
        padding: int = 0,
        merge: bool = False,
        threshold: float | None = 0.0,
        merge_allow_gap: int = 0,
        batch_size: int = 4096,
    ) -> pd.DataFrame:
        """Intervals of all tracks with a value above a threshold: where there is signal to train on.

        In this order: values are scaled, and those not above the threshold left out; what lies in the blacklist is cut
        out; what is left is padded and, with ``merge``, joined; where that reached into the blacklist again, it is cut
        out again. NaN in a file is no value. With ``on_error="mask"`` a file that cannot be read meanwhile is masked as
        in :meth:`get_batch`, and the intervals are those of the others.

        Parameters
        ----------
        include_chromosomes
            ``"all"``, ``"standard"`` (human: 1 to 22, X, Y and M, with or without ``chr``), a name, or names.
        exclude_chromosomes
            Names to leave out.
        blacklist
            Regions (columns ``chrom``, ``start``, ``end``) that the result keeps clear of. Chromosomes that no file has
            are not matched. The frame is not changed.
        blacklist_buffer
            Bases around each of its regions that are left out with it.
        padding
            Bases to add on both sides, as far as the chromosome goes.
        merge
            Join intervals, of one track or several, that overlap, touch, or are at most ``merge_allow_gap`` bases
            apart once they are padded. The value is the largest.
        threshold
            Values must be larger, both as float32; None keeps all.
        merge_allow_gap
            Bases that merging bridges.
        batch_size
            Blocks that are inflated at a time, about: what memory is needed, besides the result, grows with it.

        Returns
        -------
        pandas.DataFrame
            ``chrom`` str, ``start`` and ``end`` int64, ``value`` float32; sorted by chromosome in natural order and by
            start, those of equal start by track.

        Raises
        ------
        ChromNotFoundError
            A name in ``include_chromosomes`` that no file has.
        ConfigError, WindowError
            An argument that makes no sense.
        BlockDecodeError, FormatError
            A file is damaged.

        Examples
        --------
        >>> from bigwig_numba.example_data import example_data
        >>> paths = example_data(chromosome_length=50_000).bigwig_paths
        >>> with BigWigCollection(paths, device="cpu", first_n_files=2) as collection:
        ...     print(collection.intervals(threshold=40, merge=True, merge_allow_gap=200, padding=50).head(2))
          chrom  start    end  value
        0  chr1   3835   4207   75.0
        1  chr1  28688  28833   45.0
        """
        options = IntervalOptions(
            include_chromosomes=include_chromosomes, exclude_chromosomes=exclude_chromosomes, blacklist=blacklist,
            blacklist_buffer=blacklist_buffer, padding=padding, merge=merge, threshold=threshold,
            merge_allow_gap=merge_allow_gap, batch_size=batch_size,
        )  # fmt: skip
        return self._tracks.intervals(options)

    def plot(
        self,
        chrom: str,
        start: int | None = None,
        end: int | None = None,
        *,
        track_indices: Sequence[int] | npt.NDArray[Any] | None = None,
        names: Sequence[str] | None = None,
        window_size: int | None = None,
        statistic: str | Statistic = "mean",
        same_scale: bool = False,
    ) -> Figure:
        """Draw a region of all tracks, or some, below each other (needs matplotlib, the extra ``plot``).

        Parameters
        ----------
        chrom
            Name of the chromosome.
        start, end
            The region [start, end) in bases, 0-based; the whole chromosome by default.
        track_indices
            (T,) numbers of the tracks to draw, in the order wanted; all by default, of which 24 are drawn.
        names
            T names to write at the tracks; by default those of the files.
        window_size
            Bases per bin; by default as many as make at most 1,000 bins.
        statistic
            Of a bin, as in :meth:`get_batch`. Bases without a value don't count.
        same_scale
            Whether all tracks have one scale.

        Returns
        -------
        matplotlib.figure.Figure
            Notebooks show it; ``figure.savefig("region.svg")`` writes it.

        Raises
        ------
        WindowError, ChromNotFoundError, ConfigError, BlockDecodeError, FormatError
            As in :meth:`get_batch`; ``ConfigError`` also where matplotlib is missing.
        """
        return plot_region(
            self, chrom, start, end, track_indices=track_indices, names=names, window_size=window_size,
            statistic=statistic, same_scale=same_scale,
        )  # fmt: skip

    def to_dask(
        self,
        bin_size: int,
        chromosomes: Iterable[str] | None = None,
        statistic: str | Statistic = "mean",
        **options: Any,
    ) -> GenomeMatrix:
        """All bins of whole chromosomes in all tracks, as a lazy Dask array. Needs the extra ``dask``.

        Pieces of chromosomes are chunks. Each process that computes one opens the files for itself, once, so the array
        can be computed by threads, processes, or a ``dask.distributed`` cluster that sees the same paths.

        Parameters
        ----------
        bin_size
            Bases of a bin; what is left of a chromosome beyond its last whole bin is left out.
        chromosomes
            Names, in the order wanted; all in natural order by default.
        statistic
            As in :meth:`get_batch`.
        **options
            ``default_value`` (0) and ``dtype`` (``"float32"`` or ``"float16"``) as in :meth:`get_batch`;
            ``bins_per_chunk``, by default some million values; ``device``, ``"cuda"`` for CuPy chunks on GPU workers,
            by default that of this collection.

        Returns
        -------
        GenomeMatrix
            ``values``, the (bins, tracks) array; ``bins``, its frame of bins; ``to_zarr(url)``.

        Raises
        ------
        ChromNotFoundError
            A chromosome that no file has.
        ConfigError
            Any other argument that makes no sense.
        ImportError
            Dask is missing.
        """
        return lazy_matrix(self, bin_size, chromosomes, statistic, **options)

    def chromosomes(
        self, include_chromosomes: Include = "all", exclude_chromosomes: Iterable[str] | None = None
    ) -> set[str]:
        """Names of the chromosomes that any file has.

        Parameters
        ----------
        include_chromosomes
            ``"all"``, ``"standard"`` (human: 1 to 22, X, Y and M, with or without ``chr``), a name, or names. Names
            that no file has are left out.
        exclude_chromosomes
            Names to leave out.
        """
        return set(select_chromosomes(self._tracks.rows, include_chromosomes, exclude_chromosomes))

    def get_chromosomes_present_in_all_files(
        self, include_chromosomes: Include = "all", exclude_chromosomes: Iterable[str] | None = None
    ) -> list[str]:
        """Names of the chromosomes that every file has, in natural order: standard ones first, chr2 before chr10.

        Parameters
        ----------
        include_chromosomes, exclude_chromosomes
            As in :meth:`chromosomes`.
        """
        in_all = np.all(self._tracks.table.genome_starts >= 0, axis=1)
        names = [name for name, row in self._tracks.rows.items() if in_all[row]]
        return select_chromosomes(names, include_chromosomes, exclude_chromosomes)

    @property
    def chromosome_sizes(self) -> dict[str, int]:
        """Name to length in bases, in natural order; the largest length where files disagree."""
        lengths, rows = self._tracks.table.chromosome_lengths, self._tracks.rows
        return {name: int(lengths[rows[name]]) for name in sorted_chromosomes(rows)}

    @property
    def device(self) -> str:
        """Where batches are made: ``"cpu"`` or ``"cuda"``."""
        return self._tracks.engine.name

    @property
    def on_error(self) -> str:
        """What becomes of a file that cannot be read: ``"raise"`` or ``"mask"``."""
        return self._tracks.settings.on_error

    @property
    def valid_tracks(self) -> npt.NDArray[np.bool_]:
        """(T,) bool: the tracks that can be read. All, unless ``on_error="mask"`` let others become default values."""
        return self._tracks.valid.copy()

    @property
    def stage_seconds(self) -> dict[str, float]:
        """Seconds that batches took so far, by stage; those of batches made side by side add up."""
        return self._tracks.engine.clock.seconds

    @property
    def memory(self) -> dict[str, int]:
        """Bytes that are held for the next batches: the index, kept blocks on the device and on the host, buffers."""
        return {"index": self._tracks.table.n_bytes, **self._tracks.engine.memory}

    def reset_gpu(self) -> None:
        """Forget everything on the GPU; the next batch is made on what is then the current one. Nothing on the CPU."""
        self._tracks.reset_gpu()

    def close(self) -> None:
        """Close the files and give back threads and device memory. The collection gives no more batches."""
        self._tracks.close()

    def __len__(self) -> int:
        """Number of tracks."""
        return len(self.bigwig_paths)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = ", closed" if self._tracks.is_closed else ""
        content = f"{len(self)} tracks, {len(self._tracks.rows)} chromosomes, {self._tracks.n_blocks:,} blocks"
        return f"BigWigCollection({content}, device={self.device!r}{state})"

    def _repr_html_(self) -> str:
        tracks = table_html(("", "track", "file"), [
            (str(number), name, path)
            for number, (name, path) in enumerate(zip(track_names(self.bigwig_paths), self.bigwig_paths, strict=True))
        ])  # fmt: skip
        facts = {"device": self.device, "blocks": f"{self._tracks.n_blocks:,}"}
        return facts_html(f"BigWigCollection of {len(self)} tracks", facts, self.chromosome_sizes) + tracks

    def __getstate__(self) -> dict[str, Any]:
        """What opens the same files again: maps, sockets and threads cannot travel to another process."""
        return {"paths": self.bigwig_paths, "scales": self._tracks.scales, "settings": self._tracks.settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._use(OpenTracks(**state, reader=state["settings"].new_reader()))
