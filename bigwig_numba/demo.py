"""The demo: seeded random windows of many tracks, streamed as batches, counted, checksummed and drawn."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from bigwig_numba.collection import BigWigCollection
from bigwig_numba.errors import ConfigError
from bigwig_numba.example_data import example_data
from bigwig_numba.parallel import available_cores
from bigwig_numba.plot import PICTURE_FORMATS, can_plot, plot_tracks, save_picture, track_names

__all__ = ["DemoResult", "run_demo"]

DEFAULT_PICTURE = Path("bigwig-numba-demo.png")
CHECKSUM_BYTES = 8


@dataclass(frozen=True)
class DemoResult:
    """What a run of the demo found.

    Attributes
    ----------
    bigwig_paths
        The tracks, in the order of the last axis.
    device
        What computed the batches, with its name.
    n_batches
        Batches streamed.
    shape
        (windows, bins, tracks) of each batch.
    dtype
        Of each batch.
    open_seconds
        Time to open the tracks and read their indexes.
    first_batch_seconds
        Time of the first batch, kernels compiled on the way; not part of `seconds`.
    seconds
        Time of all batches, the first once more, without checksums and pictures.
    windows_per_second
        Windows of all tracks, so ``n_batches * shape[0] / seconds``.
    checksum
        BLAKE2b over the batches' bytes; with ``window_size=1`` the same on every device.
    picture
        Where the picture of one window was written; None if matplotlib is not installed.
    """

    bigwig_paths: tuple[str, ...]
    device: str
    n_batches: int
    shape: tuple[int, int, int]
    dtype: str
    open_seconds: float
    first_batch_seconds: float
    seconds: float
    windows_per_second: float
    checksum: str
    picture: Path | None


@dataclass(frozen=True)
class Windows:
    """The windows of one batch: chromosome names (S,) and positions (S,) int64."""

    chromosomes: list[str]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


def run_demo(
    bigwigs: Sequence[str] | None = None,
    *,
    device: str = "auto",
    n_batches: int = 50,
    batch_size: int = 32,
    sequence_length: int = 16_384,
    window_size: int = 1,
    seed: int = 0,
    picture: str | Path | None = None,
    progress: bool = False,
) -> DemoResult:
    """Stream seeded random windows of some tracks as batches and draw the window with the most in it.

    Parameters
    ----------
    bigwigs
        Paths or URLs of BigWig files or of folders of them; by default the tracks of
        :func:`bigwig_numba.example_data.example_data`, which are made on first use.
    device
        ``"auto"`` (a GPU if there is one), ``"cpu"`` or ``"cuda"``.
    n_batches
        Batches to stream.
    batch_size
        Windows per batch.
    sequence_length
        Bases per window.
    window_size
        Bases per bin.
    seed
        Of the positions.
    picture
        Where to write the picture (.png, .pdf or .svg); by default ``bigwig-numba-demo.png`` in the current folder,
        if matplotlib is installed.
    progress
        Whether to show progress bars, if standard error is a terminal.

    Returns
    -------
    DemoResult

    Raises
    ------
    ConfigError
        If no chromosome is as long as `sequence_length`, a number is not positive, or a picture was asked for by name
        that cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> from bigwig_numba.example_data import example_data
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tracks = [str(path) for path in example_data(folder, chromosome_length=100_000).bigwig_paths]
    ...     result = run_demo(tracks, device="cpu", n_batches=2, batch_size=4, picture=f"{folder}/window.png")
    >>> result.shape
    (4, 16384, 8)
    """
    _check_numbers(n_batches=n_batches, batch_size=batch_size, window_size=window_size)
    if sequence_length < window_size:
        message = f"sequence_length={sequence_length} holds no bin of window_size={window_size} bases"
        raise ConfigError(message, argument="sequence_length", value=sequence_length)
    picture_path = _picture_path(picture)
    paths = list(bigwigs) if bigwigs else [str(path) for path in example_data(progress=progress).bigwig_paths]

    began = time.perf_counter()
    with BigWigCollection(paths, device=device) as collection:
        open_seconds = time.perf_counter() - began
        batches = _draw_batches(
            collection.chromosome_sizes, n_batches=n_batches, batch_size=batch_size, length=sequence_length, seed=seed
        )
        streamed = _stream(collection, batches, window_size, progress=progress)
        if picture_path is not None:
            _draw_fullest_window(collection.bigwig_paths, batches[0], streamed.first_batch, window_size, picture_path)
        return DemoResult(
            bigwig_paths=tuple(collection.bigwig_paths),
            device=_device_name(collection.device),
            n_batches=n_batches,
            shape=streamed.first_batch.shape,
            dtype=str(streamed.first_batch.dtype),
            open_seconds=open_seconds,
            first_batch_seconds=streamed.first_batch_seconds,
            seconds=streamed.seconds,
            windows_per_second=n_batches * batch_size / streamed.seconds,
            checksum=streamed.checksum,
            picture=picture_path,
        )


def _check_numbers(**numbers: int) -> None:
    for argument, value in numbers.items():
        if value < 1:
            raise ConfigError(f"{argument}={value} must be at least 1", argument=argument, value=value)


def _picture_path(asked: str | Path | None) -> Path | None:
    """Where the picture goes, checked before the work; None for no picture because none was asked for by name."""
    if asked is None:
        return DEFAULT_PICTURE if can_plot() else None
    path = Path(asked)
    if not can_plot():
        message = f'{path} needs matplotlib; pip install "bigwig-numba[plot]"'
    elif path.suffix.lower() not in PICTURE_FORMATS:
        message = f"{path} is no picture; end the name in {', '.join(PICTURE_FORMATS)}"
    elif not path.absolute().parent.is_dir():
        message = f"the folder of {path} does not exist; make it first"
    else:
        return path
    raise ConfigError(message, argument="picture", value=asked)


def _draw_batches(
    sizes: Mapping[str, int], *, n_batches: int, batch_size: int, length: int, seed: int
) -> list[Windows]:
    """Draw windows that lie on a chromosome, each place as likely as any other."""
    roomy = {name: size for name, size in sizes.items() if size >= length}
    if not roomy:
        longest = max(sizes.values(), default=0)
        message = f"no chromosome has sequence_length={length} bases; the longest has {longest}"
        raise ConfigError(message, argument="sequence_length", value=length)
    names = list(roomy)
    places = np.array([size - length + 1 for size in roomy.values()], np.int64)
    first_places = np.cumsum(places) - places
    # RandomState's streams are frozen (NEP 19): the checksum of a file depends on the seed alone.
    drawn = np.random.RandomState(seed).randint(0, places.sum(), (n_batches, batch_size), dtype=np.int64)
    rows = np.searchsorted(first_places, drawn, side="right") - 1
    starts = drawn - first_places[rows]
    return [
        Windows([names[row] for row in batch_rows], batch_starts, batch_starts + length)
        for batch_rows, batch_starts in zip(rows, starts, strict=True)
    ]


@dataclass(frozen=True)
class _Streamed:
    """What going through all batches gave: the first, (S, B, T) on the host, times, and the checksum of all."""

    first_batch: npt.NDArray[np.floating]
    first_batch_seconds: float
    seconds: float
    checksum: str


def _stream(collection: BigWigCollection, batches: Sequence[Windows], window_size: int, *, progress: bool) -> _Streamed:
    """Get the first batch, which compiles kernels, and then all of them against the clock."""
    seconds = 0.0
    checksum = hashlib.blake2b(digest_size=CHECKSUM_BYTES)
    with tqdm(total=len(batches), desc="Compiling kernels", unit="batch", disable=None if progress else True) as bar:
        values, first_batch_seconds = _timed_batch(collection, batches[0], window_size)
        first_batch = _on_host(values)
        bar.set_description("Streaming batches")
        bar.reset()
        for windows in batches:
            values, batch_seconds = _timed_batch(collection, windows, window_size)
            seconds += batch_seconds
            checksum.update(_on_host(values).tobytes())
            bar.update()
    return _Streamed(first_batch, first_batch_seconds, seconds, checksum.hexdigest())


def _timed_batch(collection: BigWigCollection, windows: Windows, window_size: int) -> tuple[Any, float]:
    """Get a batch, (S, B, T) on the collection's device, and the seconds until it was there."""
    began = time.perf_counter()
    values = collection.get_batch(windows.chromosomes, windows.starts, windows.ends, window_size=window_size)
    if collection.device == "cuda":
        values.device.synchronize()
    return values, time.perf_counter() - began


def _on_host(values: Any) -> npt.NDArray[np.floating]:
    host: npt.NDArray[np.floating] = values if isinstance(values, np.ndarray) else values.get()
    return host


def _device_name(device: str) -> str:
    if device != "cuda":
        return f"CPU, {available_cores()} cores"
    import cupy

    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    return f"CUDA, {properties['name'].decode()}"


def _draw_fullest_window(
    paths: Sequence[str], windows: Windows, values: npt.NDArray[np.floating], window_size: int, picture: Path
) -> None:
    """Draw the window in which most tracks reach high, each beside its highest in the batch."""
    heights = np.abs(np.nan_to_num(values)).max(axis=1)  # (S, T)
    relative = heights / np.maximum(heights.max(axis=0), np.finfo(np.float32).tiny)
    row = int(np.sqrt(relative).mean(axis=1).argmax())  # many tracks that reach high, rather than a few to the top
    figure = plot_tracks(
        values[row],
        track_names(paths),
        chromosome=windows.chromosomes[row],
        start=int(windows.starts[row]),
        window_size=window_size,
    )
    save_picture(figure, picture)
