"""Other readers of windows, each behind the same two functions; imported only when they are measured."""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]

MANY_WINDOWS = 512  # a reader without workers takes seconds for a batch of more


@dataclass(frozen=True, slots=True)
class Windows:
    """A batch to read: names, (S,) int64 starts and ends, bases of a bin."""

    chromosomes: list[str]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    window_size: int


@dataclass(frozen=True)
class Reader:
    """An open peer: what gives the values of windows, and what closes it."""

    values: Callable[[Windows], Any]
    close: Callable[[], None]


@dataclass(frozen=True)
class Peer:
    """How to open a peer.

    Parameters
    ----------
    module
        What must be installed.
    open
        Files to a ``Reader``.
    most_windows
        Batches of more are not measured.
    """

    module: str
    open: Callable[[Sequence[str]], Reader]
    most_windows: int = MANY_WINDOWS

    def suits(self, n_windows: int) -> bool:
        """Whether a batch of so many windows takes no more than some seconds."""
        return n_windows <= self.most_windows


def _binned(values: Float32, window_size: int) -> Float32:
    filled = np.nan_to_num(values)
    if window_size == 1:
        return filled
    return cast(Float32, filled[: len(filled) // window_size * window_size].reshape(-1, window_size).mean(1))


def _read_all(handles: Sequence[Any], windows: Windows, read: Callable[[Any, str, int, int], Float32]) -> Float32:
    n_bins = int(windows.ends[0] - windows.starts[0]) // windows.window_size
    out = np.empty((len(windows.chromosomes), n_bins, len(handles)), np.float32)
    places = list(zip(windows.chromosomes, windows.starts.tolist(), windows.ends.tolist(), strict=True))
    for track, handle in enumerate(handles):
        for row, (chromosome, start, end) in enumerate(places):
            out[row, :, track] = _binned(read(handle, chromosome, start, end), windows.window_size)
    return out


def _read_with_pybigwig(handle: Any, chromosome: str, start: int, end: int) -> Float32:
    return cast(Float32, handle.values(chromosome, start, end, numpy=True))


def _read_with_pybigtools(handle: Any, chromosome: str, start: int, end: int) -> Float32:
    return np.asarray(handle.values(chromosome, start, end), np.float32)


def _open_pybigwig(files: Sequence[str]) -> Reader:
    import pyBigWig

    handles = [pyBigWig.open(file) for file in files]
    return Reader(
        lambda windows: _read_all(handles, windows, _read_with_pybigwig),
        lambda: [handle.close() for handle in handles].clear(),
    )


def _open_pybigtools(files: Sequence[str]) -> Reader:
    import pybigtools

    handles = [pybigtools.open(file) for file in files]
    return Reader(
        lambda windows: _read_all(handles, windows, _read_with_pybigtools),
        lambda: [handle.close() for handle in handles].clear(),
    )


class _WorkerFiles:
    """The files that a worker process keeps open, from its first job on."""

    handles: Sequence[Any] = ()

    @classmethod
    def open(cls, files: Sequence[str]) -> None:
        import pyBigWig

        cls.handles = [pyBigWig.open(file) for file in files]

    @classmethod
    def read(cls, windows: Windows) -> Float32:
        return _read_all(cls.handles, windows, _read_with_pybigwig)


def _open_pybigwig_processes(files: Sequence[str], *, n_processes: int) -> Reader:
    pool = ProcessPoolExecutor(
        n_processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_WorkerFiles.open,
        initargs=(list(files),),
    )

    def values(windows: Windows) -> Float32:
        parts = [
            Windows(
                windows.chromosomes[i::n_processes],
                windows.starts[i::n_processes],
                windows.ends[i::n_processes],
                windows.window_size,
            )
            for i in range(min(n_processes, len(windows.chromosomes)))
        ]
        answers = list(pool.map(_WorkerFiles.read, parts))
        out = np.empty((len(windows.chromosomes), *answers[0].shape[1:]), np.float32)
        for i, answer in enumerate(answers):
            out[i::n_processes] = answer
        return out

    return Reader(values, pool.shutdown)


def _open_bigwig_loader(files: Sequence[str]) -> Reader:
    import cupy
    from bigwig_loader.collection import BigWigCollection as PeerCollection

    collection = PeerCollection(list(files))

    def values(windows: Windows) -> Any:
        batch = collection.get_batch(windows.chromosomes, windows.starts, windows.ends, window_size=windows.window_size)
        cupy.cuda.Device().synchronize()
        return batch

    return Reader(values, collection.reset_gpu)


PEERS = {
    "pyBigWig, 1 process": Peer("pyBigWig", _open_pybigwig),
    "pyBigWig, 2 processes": Peer("pyBigWig", functools.partial(_open_pybigwig_processes, n_processes=2)),
    "pyBigWig, 16 processes": Peer(
        "pyBigWig", functools.partial(_open_pybigwig_processes, n_processes=16), most_windows=10**6
    ),
    "pybigtools": Peer("pybigtools", _open_pybigtools),
    "bigwig-loader": Peer("bigwig_loader", _open_bigwig_loader, most_windows=10**6),
}
"""Name to peer, in the order in which they are measured; the first one that measures a shape is the standard."""
