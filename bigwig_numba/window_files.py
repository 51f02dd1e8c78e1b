"""Windows of many tracks to a file (``.npz``, ``.npy``, ``.zarr``), a batch at a time: it may be larger than memory."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .collection import BigWigCollection
from .errors import ConfigError
from .regions.frames import as_regions

__all__ = ["WINDOW_FILE_FORMATS", "write_windows"]

WINDOW_FILE_FORMATS = (".npz", ".npy", ".zarr")
DTYPES = ("float32", "float16")

Shape = tuple[int, int, int]


def write_windows(
    path: str | os.PathLike[str],
    collection: BigWigCollection,
    regions: pd.DataFrame,
    *,
    window_size: int = 1,
    statistic: str = "mean",
    default_value: float = 0.0,
    dtype: str = "float32",
    batch_size: int = 256,
    progress: Callable[[int], object] | None = None,
) -> Shape:
    """Write the windows of all tracks of a collection to one array (windows, bins, tracks) on disk.

    Parameters
    ----------
    path
        Ends in ``.npy`` (the array alone), ``.npz`` or ``.zarr`` (``values``, ``chromosomes``, ``starts``, ``ends``,
        ``tracks``). What is there is replaced, once the new file is complete.
    collection
        The tracks.
    regions
        Frame with ``chrom``, ``start`` and ``end``; all of one length.
    window_size, statistic, default_value
        As for :meth:`bigwig_numba.BigWigCollection.get_batch`.
    dtype
        ``"float32"`` or ``"float16"``.
    batch_size
        Windows read at a time.
    progress
        Called with the number of windows after each batch.

    Returns
    -------
    (S, B, T)
        The array's shape.

    Raises
    ------
    ConfigError
        For another ending or type, or if zarr is missing.
    WindowError, ChromNotFoundError
        As from ``get_batch``, with rows of the batch.

    Examples
    --------
    >>> import tempfile
    >>> from bigwig_numba.example_data import example_data
    >>> folder = tempfile.TemporaryDirectory()
    >>> paths = example_data(folder.name, chromosome_length=50_000).bigwig_paths
    >>> peaks = pd.DataFrame({"chrom": ["chr1", "chr2"], "start": [1_000, 2_000], "end": [1_512, 2_512]})
    >>> with BigWigCollection(paths, device="cpu") as tracks:
    ...     write_windows(f"{folder.name}/peaks.npz", tracks, peaks, window_size=32)
    (2, 16, 8)
    >>> np.load(f"{folder.name}/peaks.npz")["starts"]
    array([1000, 2000])
    >>> folder.cleanup()
    """
    path = Path(path)
    _check_arguments(path, dtype, batch_size=batch_size, window_size=window_size)
    regions = as_regions(regions, argument="regions")
    shape = (len(regions), _only_length(regions) // window_size, len(collection))
    read = partial(
        collection.get_batch, window_size=window_size, default_value=default_value, statistic=statistic, dtype=dtype
    )
    with (
        _replacing(path) as unfinished,
        _ARRAYS[path.suffix](unfinished, shape, dtype, _labels(regions, collection)) as out,
    ):
        for first in range(0, len(regions), batch_size):
            rows = regions.iloc[first : first + batch_size]
            batch = read(rows["chrom"].to_numpy(), rows["start"].to_numpy(), rows["end"].to_numpy())
            out[first : first + len(rows)] = batch if isinstance(batch, np.ndarray) else batch.get()
            if progress is not None:
                progress(len(rows))
    return shape


def _check_arguments(path: Path, dtype: str, **numbers: int) -> None:
    if path.suffix not in WINDOW_FILE_FORMATS:
        message = f"windows cannot be written as {path.name!r}; end the name in {', '.join(WINDOW_FILE_FORMATS)}"
        raise ConfigError(message, argument="path", value=path)
    if dtype not in DTYPES:
        raise ConfigError(f"dtype is {dtype!r}, expected one of {', '.join(DTYPES)}", argument="dtype", value=dtype)
    for name, value in numbers.items():
        if value < 1:
            raise ConfigError(f"{name} is {value}, expected 1 or more", argument=name, value=value)


def _only_length(regions: pd.DataFrame) -> int:
    """Bases of each region, all alike."""
    lengths = (regions["end"] - regions["start"]).unique()
    if len(lengths) != 1:
        message = f"regions have {len(lengths)} different lengths, expected one; see bigwig_numba.regions.resize"
        raise ConfigError(message, argument="regions", value=len(lengths))
    return int(lengths[0])


def _labels(regions: pd.DataFrame, collection: BigWigCollection) -> dict[str, npt.NDArray[Any]]:
    return {
        "chromosomes": np.array(regions["chrom"].tolist(), dtype=np.str_),
        "starts": regions["start"].to_numpy(np.int64),
        "ends": regions["end"].to_numpy(np.int64),
        "tracks": np.array(collection.bigwig_paths, dtype=np.str_),
    }


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A path beside this one to write to; it takes this one's place when all went well, and is gone otherwise."""
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield unfinished
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(unfinished, path)
    finally:
        if unfinished.is_dir():
            shutil.rmtree(unfinished)
        else:
            unfinished.unlink(missing_ok=True)


@contextmanager
def _npy(path: Path, shape: Shape, dtype: str, labels: dict[str, npt.NDArray[Any]]) -> Iterator[Any]:
    """An array mapped from disk."""
    if 0 in shape:  # which cannot be mapped
        np.save(path, np.empty(shape, dtype))
        yield np.empty(shape, dtype)
        return
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
    yield out
    out.flush()


@contextmanager
def _npz(path: Path, shape: Shape, dtype: str, labels: dict[str, npt.NDArray[Any]]) -> Iterator[Any]:
    """An array mapped from a file of its own, which goes into the archive in the end."""
    values_path = path.with_suffix(".values.npy")
    try:
        with _npy(values_path, shape, dtype, labels) as out:
            yield out
        values = np.load(values_path, mmap_mode="r" if 0 not in shape else None)
        np.savez(path, values=values, **labels)  # type: ignore[arg-type] # NumPy's own names are other ones
    finally:
        values_path.unlink(missing_ok=True)


@contextmanager
def _zarr(path: Path, shape: Shape, dtype: str, labels: dict[str, npt.NDArray[Any]]) -> Iterator[Any]:
    """An array in a Zarr group, in chunks of whole windows."""
    try:
        zarr = importlib.import_module("zarr")
    except ImportError as error:
        message = f"{path.suffix} needs zarr ({error}); pip install 'bigwig-numba[dask]', or write .npz"
        raise ConfigError(message, argument="path", value=path) from error
    group = zarr.open_group(path, mode="w")
    window_bytes = max(1, shape[1] * shape[2] * np.dtype(dtype).itemsize)
    chunk = max(1, min(shape[0], 4_000_000 // window_bytes))  # some 4 MB, as Zarr advises
    out = group.create_array(
        "values", shape=shape, dtype=dtype, chunks=(chunk, max(shape[1], 1), shape[2]),
        dimension_names=("window", "bin", "track"),
    )  # fmt: skip
    for name, label in labels.items():
        if label.dtype.kind == "U":
            group.attrs[name] = label.tolist()  # Zarr 3 has no settled type for text
        else:
            group.create_array(name, data=label)
    yield out


_ARRAYS: dict[str, Callable[..., Any]] = {".npy": _npy, ".npz": _npz, ".zarr": _zarr}
