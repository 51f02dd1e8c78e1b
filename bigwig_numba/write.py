"""Write BigWig files from windows in any order: predictions to look at in a genome browser, or to read again."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pybigtools
from tqdm.auto import tqdm

from .errors import ChromNotFoundError, ConfigError, StorageError, WindowError
from .regions.frames import MAX_POSITION, check_chrom_sizes, check_integer
from .storage import display_url

__all__ = ["write_bigwig"]

PathLike = str | os.PathLike[str]
Overlaps = Literal["mean", "last"]
Int64Array = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]
Runs = tuple[Int64Array, Int64Array, Float32Array]  # starts, ends and values (N,) of intervals, sorted, disjoint

SPOOL_BYTES = 1 << 28  # of windows that are kept in memory; more go to a temporary file
CELLS_AT_A_TIME = 1 << 20
MAX_LENGTH = 2**32 - 1  # the format has 32 bits for a position


def write_bigwig(
    path: PathLike | Sequence[PathLike],
    chrom_sizes: Mapping[str, int],
    windows: Iterable[tuple[str, int, Any]],
    *,
    bin_size: int = 1,
    overlaps: Overlaps = "mean",
    progress: bool = True,
) -> None:
    """Write one BigWig file per track from pieces of the genome.

    Files appear under their names when all of them are complete; until then, and after an error, what was there before
    stays. Windows are kept in memory up to 256 MB and in a temporary file beside the first path beyond that.

    Parameters
    ----------
    path
        Local path of the file, or a list of T paths, one per track.
    chrom_sizes
        Chromosome to length in bases. Those without values are left out of the file, as UCSC's writers do.
    windows
        Pieces ``(chrom, start, values)``, in any order: the first base, 0-based, and an array (B,), or (B, T) for
        T paths, with one value per bin and track. Values become float32. Where they are NaN the file has a gap. What
        hangs over an end of the chromosome is cut off.
    bin_size
        Bases of a bin. Windows need not start at multiples of it.
    overlaps
        What a base gets on which several windows have a value: their ``"mean"``, or the ``"last"`` one that was given.
    progress
        Show a progress bar, if standard error is a terminal.

    Raises
    ------
    ConfigError
        An argument that makes no sense, or no values at all for a track.
    WindowError
        A window that makes no sense; ``rows`` says which, counted from 0.
    ChromNotFoundError
        A window on a chromosome that ``chrom_sizes`` does not have.
    StorageError
        The file could not be written.

    Examples
    --------
    >>> import bigwig_numba.bigwig, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = f"{folder.name}/predictions.bw"
    >>> windows = [("chr1", 20, np.array([1.0, 2.0])), ("chr1", 0, np.array([5.0, np.nan, 3.0]))]
    >>> write_bigwig(path, {"chr1": 100}, windows, bin_size=10)
    >>> with bigwig_numba.bigwig.open(path) as track:
    ...     track.values("chr1", 0, 45)[::10].tolist()
    [5.0, nan, 2.0, 2.0, nan]
    >>> folder.cleanup()
    """
    paths = _check_paths(path)
    sizes = _check_sizes(chrom_sizes)
    bin_size = check_integer(bin_size, "bin_size", at_least=1)
    if overlaps not in ("mean", "last"):
        message = f"overlaps is {overlaps!r}, expected 'mean' or 'last'"
        raise ConfigError(message, argument="overlaps", value=overlaps)
    hidden = None if progress else True  # None hides the bar where standard error is no terminal
    with contextlib.ExitStack() as stack:
        # In the folders of the targets, for renaming is atomic within a file system only.
        folders = {
            parent: Path(stack.enter_context(tempfile.TemporaryDirectory(dir=parent, prefix=".write_bigwig.")))
            for parent in dict.fromkeys(target.parent for target in paths)
        }
        spool = stack.enter_context(
            tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES, dir=os.fspath(folders[paths[0].parent]))
        )
        store = _Store(spool, sizes, len(paths), bin_size)
        for number, window in enumerate(tqdm(windows, desc="windows", unit=" windows", disable=hidden)):
            store.add(number, window)
        parts = [folders[target.parent] / f"{track}.bw" for track, target in enumerate(paths)]
        total = len(paths) * len(store.chromosomes)
        with tqdm(total=total, desc="writing", unit=" chromosomes", disable=hidden) as bar:
            for track, (part, target) in enumerate(zip(parts, paths, strict=True)):
                _write_track(part, target, sizes, _track_runs(store, track, overlaps, bar))
        for part, target in zip(parts, paths, strict=True):
            os.replace(part, target)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """The windows (N,) of one chromosome, in the order in which they were given.

    Attributes
    ----------
    starts, ends
        Positions.
    offsets
        Byte of the spool where a window's values begin, track after track.
    """

    starts: Int64Array
    ends: Int64Array
    offsets: Int64Array


class _Store:
    """All windows: where they lie in memory, what they hold in a file."""

    def __init__(self, spool: Any, sizes: Mapping[str, int], n_tracks: int, bin_size: int) -> None:
        self._spool = spool
        self._n_tracks = n_tracks
        self._pieces: dict[str, list[tuple[int, int, int]]] = {}
        self.sizes = sizes
        self.bin_size = bin_size

    @property
    def chromosomes(self) -> list[str]:
        """Names of those that have windows, in the order of the file."""
        return [name for name in self.sizes if name in self._pieces]

    def add(self, number: int, window: Any) -> None:
        """Keep a window, ``(chrom, start, values)``, once it is checked."""
        chrom, start, values = self._check(number, window)
        offset = self._spool.tell()
        self._spool.write(np.ascontiguousarray(values.T).tobytes())
        self._pieces.setdefault(chrom, []).append((start, start + len(values) * self.bin_size, offset))

    def pieces(self, chrom: str) -> _Pieces:
        return _Pieces(*np.array(self._pieces[chrom], dtype=np.int64).T)

    def read(self, pieces: _Pieces, number: int, track: int, first_bin: int, stop_bin: int) -> Float32Array:
        """(stop_bin - first_bin,) values of a window of a chromosome in one track."""
        n_bins = int(pieces.ends[number] - pieces.starts[number]) // self.bin_size
        self._spool.seek(int(pieces.offsets[number]) + 4 * (track * n_bins + first_bin))
        return np.frombuffer(self._spool.read(4 * (stop_bin - first_bin)), dtype=np.float32)

    def _check(self, number: int, window: Any) -> tuple[str, int, Float32Array]:
        """The chromosome, the start and the values (B, T) of a window."""
        try:
            chrom, start, values = window
        except (TypeError, ValueError):
            raise WindowError(f"window {number} is no triple, expected (chrom, start, values)", rows=[number]) from None
        if chrom not in self.sizes:
            raise ChromNotFoundError.for_name(str(chrom), self.sizes, url="chrom_sizes")
        where = f"window {number} ({chrom}, {start})"
        if not isinstance(start, int | np.integer) or not -MAX_POSITION <= int(start) <= MAX_POSITION:
            raise WindowError(f"{where} has a start that is no position on a chromosome", rows=[number])
        array = self._to_float32(values, where, number)
        first = int(start)
        end = first + len(array) * self.bin_size
        if len(array) and (end <= 0 or first >= self.sizes[chrom]):
            message = f"{where} ends at {end} and lies outside the chromosome, which has {self.sizes[chrom]} bases"
            raise WindowError(message, rows=[number])
        return str(chrom), first, array

    def _to_float32(self, values: Any, where: str, number: int) -> Float32Array:
        try:
            with np.errstate(over="ignore"):  # what becomes infinite is refused below
                array = np.asarray(values).astype(np.float32)
        except (TypeError, ValueError) as error:
            raise WindowError(f"{where} has values that are no numbers: {error}", rows=[number]) from None
        if array.ndim == 1:
            array = array[:, None]
        if array.ndim != 2 or array.shape[1] != self._n_tracks:
            shapes = f"(bins, {self._n_tracks})" + (" or (bins,)" if self._n_tracks == 1 else "")
            message = f"{where} has values of shape {np.shape(values)}, expected {shapes}: one column per path"
            raise WindowError(message, rows=[number])
        if np.isinf(array).any():
            raise WindowError(f"{where} has values that are infinite in float32, which no browser draws", rows=[number])
        return array


def _track_runs(store: _Store, track: int, overlaps: Overlaps, bar: Any) -> Iterator[tuple[str, Runs]]:
    """What one track's file holds: chromosome and intervals, in order."""
    for chrom in store.chromosomes:
        for position, step, values in _sweep(store, store.pieces(chrom), track, overlaps):
            yield chrom, _runs(position, step, values, store.sizes[chrom])
        bar.update()


def _sweep(store: _Store, pieces: _Pieces, track: int, overlaps: Overlaps) -> Iterator[tuple[int, int, Float32Array]]:
    """Go along a chromosome: position, bases of a cell, and values of the cells, NaN in gaps."""
    # Every edge of every bin is the edge of a cell, also where windows do not lie on one grid.
    step = int(np.gcd.reduce(pieces.starts - pieces.starts[0], initial=store.bin_size))
    order = np.argsort(pieces.starts, kind="stable")
    starts = pieces.starts[order]
    reaches = np.maximum.accumulate(pieces.ends[order])
    position = int(starts[0])
    while position < reaches[-1]:
        first = int(np.searchsorted(reaches, position, side="right"))
        position = max(position, int(starts[first]))
        stop_position = min(position + CELLS_AT_A_TIME * step, int(reaches[-1]))
        stop = int(np.searchsorted(starts, stop_position, side="left"))
        numbers = np.sort(order[first:stop])  # as they were given
        numbers = numbers[pieces.ends[numbers] > position]
        canvas = _Canvas(position, stop_position, step, overlaps)
        for number in numbers.tolist():
            canvas.paint(store, pieces, number, track)
        yield position, step, canvas.values()
        position = stop_position


class _Canvas:
    """The cells (N,) of a stretch of a chromosome, and the windows painted onto them so far."""

    def __init__(self, start: int, end: int, step: int, overlaps: Overlaps) -> None:
        self._start, self._end, self._step = start, end, step
        n_cells = (end - start) // step
        self._takes_last = overlaps == "last"
        self._sums = np.zeros(n_cells)
        self._counts = np.zeros(n_cells, dtype=np.int32)

    def paint(self, store: _Store, pieces: _Pieces, number: int, track: int) -> None:
        start, bin_size, step = int(pieces.starts[number]), store.bin_size, self._step
        first, stop = max(start, self._start), min(int(pieces.ends[number]), self._end)
        first_bin, stop_bin = (first - start) // bin_size, -(-(stop - start) // bin_size)
        values = np.repeat(store.read(pieces, number, track, first_bin, stop_bin), bin_size // step)
        cut = (first - start - first_bin * bin_size) // step
        values = values[cut : cut + (stop - first) // step]
        cells = slice((first - self._start) // step, (stop - self._start) // step)
        has_value = ~np.isnan(values)
        if self._takes_last:
            np.copyto(self._sums[cells], values, where=has_value)
            self._counts[cells] |= has_value
        else:
            np.add(self._sums[cells], values, out=self._sums[cells], where=has_value)
            self._counts[cells] += has_value

    def values(self) -> Float32Array:
        """(N,) NaN where nothing was painted."""
        means = np.full(len(self._sums), np.nan)
        np.divide(self._sums, self._counts, out=means, where=self._counts > 0)
        return means.astype(np.float32)


def _runs(position: int, step: int, values: Float32Array, length: int) -> Runs:
    """Intervals of one value each, from values (N,) per cell, cut off at the ends of the chromosome."""
    is_first = np.ones(len(values), dtype=np.bool_)
    is_first[1:] = values[1:] != values[:-1]
    first = np.flatnonzero(is_first)
    stop = np.append(first[1:], len(values))
    starts = np.clip(position + first * step, 0, length)
    ends = np.clip(position + stop * step, 0, length)
    kept = ~np.isnan(values[first]) & (starts < ends)
    return starts[kept], ends[kept], values[first][kept]


def _write_track(part: Path, target: Path, sizes: Mapping[str, int], track_runs: Iterator[tuple[str, Runs]]) -> None:
    """Write one file and look whether it holds what it should.

    pybigtools prints what goes wrong while it writes, or what the iterator raises, and returns as if all were well.
    """
    failures: list[BaseException] = []
    n_bases = 0

    def items() -> Iterator[tuple[str, int, int, float]]:
        nonlocal n_bases
        try:
            for chrom, (starts, ends, values) in track_runs:
                n_bases += int((ends - starts).sum())
                yield from zip(itertools.repeat(chrom), starts.tolist(), ends.tolist(), values.tolist())
        except BaseException as error:  # noqa: BLE001  raised again below, out of pybigtools' hands
            failures.append(error)

    remaining = items()
    first = next(remaining, None)
    if first is not None:
        pybigtools.open(str(part), "w").write(dict(sizes), itertools.chain([first], remaining))
    if failures:
        raise failures[0]
    if first is None:
        message = f"windows hold no values for {target}, and a BigWig file needs at least one"
        raise ConfigError(message, argument="windows", value=None)
    try:
        n_written = pybigtools.open(str(part)).info()["summary"]["basesCovered"]
    except pybigtools.BBIReadError as error:
        raise StorageError(f"{target} could not be written: is the disk full?", url=str(target)) from error
    if n_written != n_bases:
        message = f"{target} could not be written: it has values on {n_written} of {n_bases} bases; is the disk full?"
        raise StorageError(message, url=str(target))


def _check_paths(path: Any) -> list[Path]:
    names = [os.fspath(name) for name in ([path] if isinstance(path, str | os.PathLike) else path)]
    if not names:
        raise ConfigError("path is an empty list, expected one path per track", argument="path", value=path)
    for name in names:
        if "://" in name:
            message = f"path is {display_url(name)}, expected a local path; copy the file when it is complete"
            raise ConfigError(message, argument="path", value=display_url(name))
    targets = [Path(os.path.abspath(os.path.expanduser(name))) for name in names]
    if len(set(targets)) < len(targets):
        raise ConfigError("path names a file twice, expected one path per track", argument="path", value=path)
    return targets


def _check_sizes(chrom_sizes: Mapping[str, int]) -> dict[str, int]:
    """Lengths in the order of the file: readers look for names in the order of their bytes."""
    sizes = check_chrom_sizes(chrom_sizes)
    for name, length in sizes.items():
        if length > MAX_LENGTH:
            message = f"chrom_sizes[{name!r}] is {length}, expected at most {MAX_LENGTH}: the format has 32 bits for it"
            raise ConfigError(message, argument="chrom_sizes", value=length)
    return dict(sorted(sizes.items(), key=lambda item: item[0].encode()))
