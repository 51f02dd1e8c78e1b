"""How fast all intervals of whole files are found, filtered and merged: each device beside pyBigWig, rows compared."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..collection import BigWigCollection
from ..engine.choose import why_no_cuda
from ..regions.intervals import merge as merge_regions

__all__ = ["IntervalsResult", "run_intervals_benchmark"]


@dataclass(frozen=True)
class IntervalsResult:
    """One line of the benchmark.

    Parameters
    ----------
    reader
        What was measured.
    chromosomes
        How many, or the name if it is one.
    n_tracks, n_blocks
        Files, and blocks of theirs that were read.
    n_rows
        Intervals found.
    seconds
        Median of the runs.
    agrees
        Whether the rows are pyBigWig's; None if they were not compared.
    """

    reader: str
    chromosomes: str
    n_tracks: int
    n_blocks: int
    n_rows: int
    seconds: float
    agrees: bool | None = None

    def line(self) -> str:
        """For people."""
        verdict = {None: "", True: "every row as pyBigWig's", False: "DIFFERS"}[self.agrees]
        return (
            f"{self.reader:<18} {self.chromosomes:<16} {self.n_tracks} tracks {self.n_blocks:>9,} blocks "
            f"{self.seconds:>9.3f} s {self.n_blocks / self.seconds:>12,.0f} blocks/s {self.n_rows:>11,} rows  {verdict}"
        ).rstrip()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def run_intervals_benchmark(
    files: Sequence[str],
    *,
    threshold: float | None = 0.0,
    merge: bool = True,
    batch_size: int = 4096,
    devices: Sequence[str] | None = None,
    repeats: int = 3,
    peer_chromosome: str | None = None,
) -> Iterator[IntervalsResult]:
    """Measure ``BigWigCollection.intervals`` on each device, and pyBigWig on one chromosome.

    Parameters
    ----------
    files
        One track each.
    threshold, merge, batch_size
        As ``BigWigCollection.intervals`` takes them.
    devices
        ``"cpu"``, ``"cuda"``; by default both where there is a GPU.
    repeats
        Runs on whole files, after one on the peer's chromosome that compiles.
    peer_chromosome
        What pyBigWig reads, and where rows are compared; by default the shortest that has blocks. It makes a Python
        object of each number, so a whole genome would take hours.
    """
    devices = devices or (["cpu"] if why_no_cuda() else ["cuda", "cpu"])
    with BigWigCollection(files, sort=False, device="cpu") as collection:
        name = peer_chromosome or _shortest_with_blocks(collection)
    expected = None
    if importlib.util.find_spec("pyBigWig") is not None:
        start = time.perf_counter()
        expected = _read_with_pybigwig(files, name, threshold, merge=merge)
        seconds = time.perf_counter() - start
        with BigWigCollection(files, sort=False, device="cpu") as collection:
            n_blocks = _count_blocks(collection, [name])
        yield IntervalsResult("pyBigWig", name, len(files), n_blocks, len(expected), seconds)
    for device in devices:
        with BigWigCollection(files, sort=False, device=device) as collection:
            frame = collection.intervals([name], threshold=threshold, merge=merge, batch_size=batch_size)
            agrees = None if expected is None else _same_rows(frame, expected)
            for names in ([name], sorted(collection.chromosomes())):
                times = []
                for _ in range(repeats):
                    start = time.perf_counter()
                    frame = collection.intervals(names, threshold=threshold, merge=merge, batch_size=batch_size)
                    times.append(time.perf_counter() - start)
                yield IntervalsResult(
                    f"bigwig_numba {device.upper()}", names[0] if len(names) == 1 else f"{len(names)} chromosomes",
                    len(files), _count_blocks(collection, names), len(frame), float(np.median(times)),
                    agrees if names == [name] else None,
                )  # fmt: skip


def _shortest_with_blocks(collection: BigWigCollection) -> str:
    by_length = sorted(collection.chromosome_sizes.items(), key=lambda item: item[1])
    return next((name for name, _ in by_length if _count_blocks(collection, [name])), by_length[0][0])


def _count_blocks(collection: BigWigCollection, names: Sequence[str]) -> int:
    """Blocks that have data of these chromosomes."""
    tracks = collection._tracks.table
    count = 0
    for name in names:
        row = tracks.chromosome_names.index(name)
        for track in np.flatnonzero(tracks.genome_starts[row] >= 0).tolist():
            leaves = slice(int(tracks.first_leaf[track]), int(tracks.first_leaf[track + 1]))
            first = np.searchsorted(tracks.leaf_reaches[leaves], tracks.genome_starts[row, track], side="right")
            last = np.searchsorted(tracks.leaf_starts[leaves], tracks.genome_ends[row, track], side="left")
            count += max(int(last - first), 0)
    return count


def _read_with_pybigwig(files: Sequence[str], name: str, threshold: float | None, *, merge: bool) -> pd.DataFrame:
    """The same by pyBigWig, NumPy and this package's ``regions.merge``."""
    import pyBigWig

    frames = []
    for file in files:
        with pyBigWig.open(file) as track:
            found = track.intervals(name) if name in track.chroms() else None
        table = np.array(found or np.empty((0, 3)), np.float64)
        values = table[:, 2].astype(np.float32)
        kept: npt.NDArray[np.bool_] = (table[:, 0] < table[:, 1]) & ~np.isnan(values)
        if threshold is not None:
            kept &= values > np.float32(threshold)
        frames.append(
            pd.DataFrame({"chrom": name, "start": table[kept, 0], "end": table[kept, 1], "value": values[kept]})
        )
    frame = pd.concat(frames, ignore_index=True).astype({"start": "int64", "end": "int64"})
    if merge:
        return merge_regions(frame, aggregate={"value": "max"})
    return frame.sort_values("start", kind="stable", ignore_index=True)


def _same_rows(frame: pd.DataFrame, expected: pd.DataFrame) -> bool:
    return all(np.array_equal(frame[name].to_numpy(), expected[name].to_numpy()) for name in ("start", "end", "value"))
