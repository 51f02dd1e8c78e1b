"""Many BigWig files as one coordinate system: windows of any of them, as one array (samples, bins, tracks)."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from .arguments import dtype_name, integer, number, positions, track_numbers
from .chromosome_names import STANDARD_CHROMOSOMES, sorted_chromosomes
from .engine.choose import choose_engine
from .engine.reduction import Reduction
from .engine.sources import SourceTable
from .errors import ChromNotFoundError, ConfigError, StorageError
from .kernels.statistics import Statistic, get_statistic
from .opening import PathLike, find_paths, open_files
from .plan import ReadPlan, TrackTable, plan_windows
from .scale import scales_of_paths

__all__ = ["BigWigCollection"]

logger = logging.getLogger(__name__)

Include = Literal["all", "standard"] | str | Iterable[str]


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
    storage_options
        Passed to fsspec, for instance credentials.

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
    >>> import tempfile
    >>> from bigwig_numba.example_data import example_data
    >>> folder = tempfile.TemporaryDirectory()
    >>> paths = example_data(folder.name, chromosome_length=50_000).bigwig_paths
    >>> with BigWigCollection(paths, device="cpu", first_n_files=2) as collection:
    ...     print(collection.chromosome_sizes)
    ...     batch = collection.get_batch(["chr1", "chr2"], [10_000, 2_000], [12_048, 4_048], window_size=32)
    ...     print(batch.shape)
    {'chr1': 50000, 'chr2': 45000, 'chr3': 40000}
    (2, 64, 2)
    >>> folder.cleanup()
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
        storage_options: dict[str, Any] | None = None,
    ) -> None:
        if first_n_files is not None and integer(first_n_files, "first_n_files") < 1:
            message = f"first_n_files is {first_n_files}, expected 1 or more, or None for all"
            raise ConfigError(message, argument="first_n_files", value=first_n_files)
        paths = find_paths(bigwig_path, file_extensions, crawl=crawl, storage_options=storage_options)
        paths = (sorted(paths) if sort else paths)[:first_n_files]
        self._open(paths, scales_of_paths(paths, scale), device, storage_options)

    def _open(
        self,
        paths: list[str],
        scales: npt.NDArray[np.float32],
        device: str,
        storage_options: dict[str, Any] | None,
    ) -> None:
        self.bigwig_paths = paths
        self._scales = scales
        self._requested_device = device
        self._storage_options = storage_options
        self._engine = choose_engine(device)
        sources, indexes = open_files(paths, storage_options)
        self._sources: SourceTable | None = SourceTable(sources)
        self._name = f"collection of {sources[0].url}" + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
        self._tracks = TrackTable.from_indexes(indexes)
        self._rows = {name: row for row, name in enumerate(self._tracks.chromosome_names)}

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
        statistic: str | Statistic = "mean",
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
            ``"mean"``, ``"sum"``, ``"min"``, ``"max"``, ``"std"``, ``"coverage"``, or one's own, of a bin's bases.

        Returns
        -------
        (S, B, T) array
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
        sources = self._open_sources()
        files = None if track_indices is None else track_numbers(track_indices)
        plan = self._plan(chromosomes, start, end, window_size=window_size, files=files)
        reduction = Reduction(
            statistic=get_statistic(statistic),
            default_value=number(default_value, "default_value"),
            dtype=dtype_name(dtype),
            scales=self._scales if files is None else self._scales[files],
        )
        if out is not None:
            self._check_out(out)
        return self._engine.run(plan, sources, reduction, out=out)

    def _plan(
        self, chromosomes: Any, start: Any, end: Any, *, window_size: int, files: npt.NDArray[np.int64] | None
    ) -> ReadPlan:
        return plan_windows(
            self._tracks,
            self._chromosome_rows(chromosomes),
            starts=positions(start, "start"),
            ends=positions(end, "end"),
            window_size=integer(window_size, "window_size"),
            track_indices=files,
            team=self._engine.team,
        )

    def _chromosome_rows(self, chromosomes: Any) -> npt.NDArray[np.int64]:
        """Row of each window's chromosome in the track table."""
        if isinstance(chromosomes, str | bytes):
            message = f"chromosomes is {chromosomes!r}, expected one name per window"
            raise ConfigError(message, argument="chromosomes", value=chromosomes)
        try:
            names = np.asarray(chromosomes).tolist() if hasattr(chromosomes, "__array__") else list(chromosomes)
            # All in C: thousands of names take a tenth of a millisecond.
            rows = np.fromiter(map(self._rows.get, names, itertools.repeat(-1)), dtype=np.int64, count=len(names))
        except TypeError as error:
            message = f"chromosomes must be a sequence of names, one per window ({error})"
            raise ConfigError(message, argument="chromosomes", value=chromosomes) from None
        unknown = np.flatnonzero(rows < 0)
        if len(unknown):
            known = sorted_chromosomes(self._rows)
            raise ChromNotFoundError.for_name(str(names[unknown[0]]), known, url=self._name)
        return rows

    def _check_out(self, out: Any) -> None:
        is_host = isinstance(out, np.ndarray)
        expected = "a NumPy array" if self.device == "cpu" else "a CuPy array"
        if is_host is not (self.device == "cpu") or not hasattr(out, "flags"):
            message = f"out is of type {type(out).__name__}, expected {expected}: the collection is on {self.device!r}"
            raise ConfigError(message, argument="out", value=type(out).__name__)
        if is_host and not out.flags.writeable:
            raise ConfigError("out is read-only, expected an array to write to", argument="out", value=out.shape)

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
        return set(self._select(np.ones(len(self._rows), dtype=np.bool_), include_chromosomes, exclude_chromosomes))

    def get_chromosomes_present_in_all_files(
        self, include_chromosomes: Include = "all", exclude_chromosomes: Iterable[str] | None = None
    ) -> list[str]:
        """Names of the chromosomes that every file has, in natural order: standard ones first, chr2 before chr10.

        Parameters
        ----------
        include_chromosomes, exclude_chromosomes
            As in :meth:`chromosomes`.
        """
        in_all = np.all(self._tracks.genome_starts >= 0, axis=1, keepdims=True)[:, 0]
        return self._select(in_all, include_chromosomes, exclude_chromosomes)

    def _select(self, present: npt.NDArray[np.bool_], include: Include, exclude: Iterable[str] | None) -> list[str]:
        names = {name for name, row in self._rows.items() if present[row]}
        if include == "standard":
            names &= STANDARD_CHROMOSOMES
        elif include != "all":
            names &= {include} if isinstance(include, str) else set(include)
        return sorted_chromosomes(names - ({exclude} if isinstance(exclude, str) else set(exclude or ())))

    @property
    def chromosome_sizes(self) -> dict[str, int]:
        """Name to length in bases, in natural order; the largest length where files disagree."""
        lengths = self._tracks.chromosome_lengths
        return {name: int(lengths[self._rows[name]]) for name in sorted_chromosomes(self._rows)}

    @property
    def device(self) -> str:
        """Where batches are made: ``"cpu"`` or ``"cuda"``."""
        return self._engine.name

    def reset_gpu(self) -> None:
        """Forget everything on the GPU; the next batch is made on what is then the current one. Nothing on the CPU."""
        self._engine.close()
        self._engine = choose_engine(self._requested_device)

    def close(self) -> None:
        """Close the files and give back threads and device memory. The collection gives no more batches."""
        if self._sources is not None:
            self._sources.close()
            self._sources = None
            self._engine.close()

    def _open_sources(self) -> SourceTable:
        if self._sources is None:
            raise StorageError(f"The {self._name} is closed; make a new one", url=self._name)
        return self._sources

    def __len__(self) -> int:
        """Number of tracks."""
        return len(self.bigwig_paths)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        n_blocks = len(self._tracks.leaf_starts)
        state = ", closed" if self._sources is None else ""
        return (
            f"BigWigCollection({len(self)} tracks, {len(self._rows)} chromosomes, {n_blocks:,} blocks, "
            f"device={self.device!r}{state})"
        )

    def __getstate__(self) -> dict[str, Any]:
        """What opens the same files again: maps, sockets and threads cannot travel to another process."""
        return {
            "paths": self.bigwig_paths,
            "scales": self._scales,
            "device": self._requested_device,
            "storage_options": self._storage_options,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._open(**state)
