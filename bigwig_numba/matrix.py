"""A whole genome in bins, (bins, tracks), as a lazy Dask array: computed piece by piece, by whatever runs Dask."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import os
import pickle
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from .chromosome_names import sorted_chromosomes
from .errors import ChromNotFoundError, ConfigError
from .regions.frames import check_integer
from .regions.shapes import tile

if TYPE_CHECKING:
    import dask.array

__all__ = ["GenomeMatrix", "lazy_matrix"]

VALUES_PER_PIECE = 1 << 22  # 16 MB of float32: enough work for a task, and some hundred tasks for a genome
DTYPES = ("float32", "float16")


class _Collection(Protocol):
    """What is needed of a ``BigWigCollection``."""

    bigwig_paths: list[str]

    @property
    def chromosome_sizes(self) -> dict[str, int]: ...

    @property
    def device(self) -> str: ...

    def __len__(self) -> int: ...

    def __getstate__(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True, eq=False)
class GenomeMatrix:
    """Values of all bins of some chromosomes in all tracks, not computed yet.

    Attributes
    ----------
    values : dask.array.Array
        (B, T), one chunk per piece of a chromosome.
    bin_size
        Bases of a bin.
    chromosome_sizes
        Chromosomes and their lengths in bases, in the order of the rows. What is left of one beyond its last whole bin
        is in no bin.
    tracks
        Paths of the files, in the order of the columns.

    Examples
    --------
    >>> from bigwig_numba import BigWigCollection
    >>> from bigwig_numba.example_data import example_data
    >>> with BigWigCollection(example_data(chromosome_length=50_000).bigwig_paths, device="cpu") as tracks:
    ...     matrix = tracks.to_dask(1_000, ["chr2", "chr1"])
    >>> matrix.values.shape, matrix.rows("chr1")
    ((95, 8), slice(45, 95, None))
    >>> matrix.values[matrix.rows("chr1")].mean(axis=0).compute(scheduler="threads").shape
    (8,)
    """

    values: dask.array.Array
    bin_size: int
    chromosome_sizes: Mapping[str, int]
    tracks: Sequence[str] = field(repr=False)

    @property
    def bins(self) -> pd.DataFrame:
        """(B,) ``chrom``, ``start`` and ``end`` of each row; made anew each time."""
        return tile(self.chromosome_sizes, self.bin_size)

    def rows(self, chrom: str) -> slice:
        """Rows of a chromosome."""
        first = 0
        for name, size in self.chromosome_sizes.items():
            last = first + size // self.bin_size
            if name == chrom:
                return slice(first, last)
            first = last
        raise ChromNotFoundError.for_name(chrom, self.chromosome_sizes, url="the matrix")

    def to_zarr(
        self,
        url: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        storage_options: dict[str, Any] | None = None,
        compute: bool = True,
    ) -> Any:
        """Compute all values and write them as array ``values`` of a Zarr group.

        The group's attributes say what the rows and columns are: ``bin_size``, ``chromosome_names``,
        ``chromosome_sizes`` (two lists) and ``tracks``.

        Parameters
        ----------
        url
            A folder, local or remote (what fsspec opens).
        overwrite
            Replace what is there; without it that is an error.
        storage_options
            Passed to fsspec.
        compute
            Whether to write now; otherwise a Dask object is returned that does when it is computed.

        Returns
        -------
        None, or a Dask object

        Raises
        ------
        FileExistsError
            There is something already.
        """
        zarr = _import("zarr")
        location = os.fspath(url)
        try:
            group = zarr.open_group(location, mode="w" if overwrite else "w-", storage_options=storage_options)
        except (FileExistsError, zarr.errors.ContainsGroupError) as error:
            raise FileExistsError(f"{location} is there already; overwrite=True replaces it") from error
        group.attrs.update(
            {
                "bin_size": self.bin_size,
                "chromosome_names": list(self.chromosome_sizes),
                "chromosome_sizes": list(self.chromosome_sizes.values()),
                "tracks": list(self.tracks),
            }
        )
        longest = max((max(lengths, default=1) for lengths in self.values.chunks), default=1)
        # Zarr has chunks of one length; two tasks must not write to one chunk.
        even = self.values.map_blocks(_on_host, dtype=self.values.dtype, meta=np.empty((0, 0), self.values.dtype))
        even = even.rechunk((max(min(longest, len(even)), 1), -1))
        return even.to_zarr(location, component="values", storage_options=storage_options, compute=compute)


def lazy_matrix(
    collection: _Collection,
    bin_size: int,
    chromosomes: Iterable[str] | None = None,
    statistic: Any = "mean",
    *,
    default_value: float = 0.0,
    dtype: str = "float32",
    bins_per_chunk: int | None = None,
    device: str | None = None,
) -> GenomeMatrix:
    """Lay out the matrix; see ``BigWigCollection.to_dask``."""
    bin_size = check_integer(bin_size, "bin_size", at_least=1)
    if dtype not in DTYPES:
        raise ConfigError(f"dtype is {dtype!r}, expected 'float32' or 'float16'", argument="dtype", value=dtype)
    sizes = _sizes(collection, chromosomes)
    n_tracks = len(collection)
    if bins_per_chunk is None:
        bins_per_chunk = max(VALUES_PER_PIECE // max(n_tracks, 1), 1)
    pieces = tile(
        {name: size // bin_size for name, size in sizes.items() if size >= bin_size},
        check_integer(bins_per_chunk, "bins_per_chunk", at_least=1),
        last="cut",
    )
    device = collection.device if device is None else device
    # The recipe names the files; each process opens them once, however many pieces it makes.
    state = collection.__getstate__()
    state["settings"] = dataclasses.replace(state["settings"], device=device)
    recipe = pickle.dumps((type(collection), state))
    reading = {"window_size": bin_size, "statistic": statistic, "default_value": default_value, "dtype": dtype}
    values = _lazy_values(recipe, pieces, reading, n_tracks=n_tracks, like=_empty(device, dtype))
    return GenomeMatrix(values, bin_size, sizes, list(collection.bigwig_paths))


def _lazy_values(
    recipe: bytes, pieces: pd.DataFrame, reading: dict[str, Any], *, n_tracks: int, like: Any
) -> dask.array.Array:
    """(B, T), a chunk for each piece of a chromosome; ``like`` says what the chunks are."""
    array, delayed = _import("dask.array"), _import("dask.delayed").delayed
    dtype = np.dtype(reading["dtype"])
    if pieces.empty:
        return array.from_array(np.empty((0, n_tracks), dtype), chunks=(-1, -1))
    token = _import("dask.base").tokenize(recipe, pickle.dumps(reading), pieces)
    numbers = array.arange(len(pieces), chunks=1, dtype=np.int64)[:, None]
    return numbers.map_blocks(
        _read_piece,
        recipe=delayed(recipe, name=f"bigwig-recipe-{token}"),
        pieces=delayed(pieces, name=f"bigwig-pieces-{token}"),
        reading=reading,
        chunks=(tuple((pieces["end"] - pieces["start"]).tolist()), (n_tracks,)),
        dtype=dtype,
        meta=like,
        name=f"bigwig-matrix-{token}",
    )


def _sizes(collection: _Collection, chromosomes: Iterable[str] | None) -> dict[str, int]:
    """Wanted chromosomes, in the order that was asked for, or natural order, with their lengths."""
    sizes = collection.chromosome_sizes
    names = sorted_chromosomes(sizes) if chromosomes is None else list(chromosomes)
    if isinstance(chromosomes, str):
        names = [chromosomes]
    for name in names:
        if name not in sizes:
            raise ChromNotFoundError.for_name(str(name), sizes, url="the collection")
    if len(set(names)) < len(names):
        message = "chromosomes names one twice, expected each once"
        raise ConfigError(message, argument="chromosomes", value=names)
    return {name: sizes[name] for name in names}


def _read_piece(number: Any, *, recipe: bytes, pieces: pd.DataFrame, reading: dict[str, Any]) -> Any:
    """Values (bins of the piece, T); on the worker."""
    piece = pieces.iloc[int(number[0, 0])]
    width = reading["window_size"]
    batch = _collection_of(recipe).get_batch(
        [piece["chrom"]], [piece["start"] * width], [piece["end"] * width], **reading
    )
    return batch[0]


_opening = threading.Lock()  # the threads of a worker begin together, and one of them opens the files for all


def _collection_of(recipe: bytes) -> Any:
    with _opening:
        return _open_collection(recipe)


@functools.lru_cache(maxsize=4)
def _open_collection(recipe: bytes) -> Any:
    """An open collection, kept for this process: opening hundreds of files for each piece would take all the time."""
    kind, state = pickle.loads(recipe)
    collection = kind.__new__(kind)
    collection.__setstate__(state)
    return collection


def _on_host(values: Any) -> npt.NDArray[Any]:
    return np.asarray(values.get() if hasattr(values, "get") else values)


def _empty(device: str, dtype: str) -> Any:
    """What kind of array the chunks are; NumPy's where CuPy is missing here, though the workers may have it."""
    if device == "cuda":
        try:
            return _import("cupy").empty((0, 0), dtype)
        except ImportError:
            pass
    return np.empty((0, 0), dtype)


def _import(name: str) -> Any:
    """A module of an optional package."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"{name} cannot be imported ({error}): pip install 'bigwig-numba[dask]'") from error
