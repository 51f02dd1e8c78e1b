"""Real files from many programs: what pyBigWig says of each, we say; what is no bigWig is refused by name.

Each bigWig gives 200 windows: half where its data is, the ends of up to 20 chromosomes, the rest anywhere.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyBigWig
import pytest

import bigwig_numba
from bigwig_numba import BigWigCollection
from bigwig_numba.errors import BlockDecodeError, FormatError
from tests.conftest import on_host, real_data_folder
from tests.painting import reduce_bins

BIGWIG_MAGIC = b"\x26\xfc\x8f\x88"
N_WINDOWS = 200
LENGTH = 512
DAMAGED_BLOCKS = "rtracklayer__bed.bw"
"""All blocks of its chr1 are damaged; its other chromosomes have none."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each file there is; without real data, one that skips and says why."""
    folder = real_data_folder(metafunc.config) / "bigwig"
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    bigwigs = [path.name for path in files if path.open("rb").read(4) == BIGWIG_MAGIC]
    others = sorted({path.name for path in files} - set(bigwigs))
    for fixture, names in (("bigwig_name", bigwigs), ("other_name", others)):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, [name for name in names if name != DAMAGED_BLOCKS] or ["no real data"])


@dataclass(frozen=True, eq=False)
class Oracle:
    """Windows of a file, and what pyBigWig reads there."""

    path: Path
    chromosomes: list[str]
    starts: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    """(S, LENGTH), NaN where nothing is and outside the chromosome."""

    @property
    def ends(self) -> npt.NDArray[np.int64]:
        return self.starts + LENGTH

    def bins(self, window_size: int, default_value: float) -> npt.NDArray[np.float64]:
        """(S, B) means."""
        n_bins = LENGTH // window_size
        whole = np.ascontiguousarray(self.values[:, : n_bins * window_size])
        return reduce_bins(whole.ravel(), window_size, default_value=default_value).reshape(-1, n_bins)


@cache
def oracle_of(path: Path) -> Oracle:
    with pyBigWig.open(str(path)) as file:
        sizes = file.chroms()
        chromosomes, starts = zip(*draw_windows(file, sizes, seed=zlib.crc32(path.name.encode())), strict=True)
        values = np.full((len(starts), LENGTH), np.nan, np.float32)
        for row, (name, start) in enumerate(zip(chromosomes, starts, strict=True)):
            first, last = max(start, 0), min(start + LENGTH, sizes[name])
            if first < last:
                values[row, first - start : last - start] = file.values(name, first, last)
    return Oracle(path, list(chromosomes), np.array(starts), values)


def draw_windows(file: pyBigWig.bigWigFile, sizes: dict[str, int], *, seed: int) -> list[tuple[str, int]]:
    """Chromosome and start; windows may hang over the ends of chromosomes."""
    draw = np.random.default_rng(seed)
    names = list(sizes)
    windows = [(name, edge - LENGTH // 2) for name in names[:20] for edge in (0, sizes[name])]
    parts = [part for name in names[:50] for part in parts_with_data(file, name, sizes[name])]
    parts = parts or [(name, 0, sizes[name]) for name in names[:50]]
    for row in draw.integers(len(parts), size=N_WINDOWS // 2):
        name, low, high = parts[row]
        anchor = edge_of_an_item(file, parts[row], draw) or int(draw.integers(low, high))
        windows.append((name, anchor - int(draw.integers(LENGTH))))
    for name in draw.choice(names, N_WINDOWS - len(windows)):
        windows.append((str(name), int(draw.integers(-LENGTH, sizes[name] + 1))))
    return windows


def parts_with_data(file: pyBigWig.bigWigFile, name: str, size: int) -> list[tuple[str, int, int]]:
    """Those of 500 parts of the chromosome that have a covered base."""
    edges = np.linspace(0, size, min(500, size) + 1).astype(np.int64).tolist()
    coverage = file.stats(name, 0, size, type="coverage", nBins=len(edges) - 1)
    return [(name, *part) for part, covered in zip(pairwise(edges), coverage, strict=True) if covered]


def edge_of_an_item(file: pyBigWig.bigWigFile, part: tuple[str, int, int], draw: np.random.Generator) -> int | None:
    """Of one near a random place of the part; where that is bare, of one anywhere in it."""
    name, low, high = part
    place = int(draw.integers(low, high))
    items = file.intervals(name, place, min(place + 2_000, high)) or file.intervals(name, low, high)
    return items[draw.integers(len(items))][draw.integers(2)] if items else None


def get_batch(collection: BigWigCollection, oracle: Oracle, **options: float) -> npt.NDArray[np.float32]:
    """(S, B)."""
    return on_host(collection.get_batch(oracle.chromosomes, oracle.starts, oracle.ends, **options))[:, :, 0]


def test_the_windows_meet_data(bigwig_name: str, real_data: Path) -> None:
    """Or the tests below would say little."""
    path = real_data / "bigwig" / bigwig_name
    with pyBigWig.open(str(path)) as file:
        is_empty = not any(start < end for name in file.chroms() for start, end, _ in file.intervals(name) or [])
    with_data = (~np.isnan(oracle_of(path).values)).any(axis=1).sum()
    assert len(oracle_of(path).starts) == N_WINDOWS
    assert is_empty or with_data >= N_WINDOWS / 4


def test_chromosomes_are_pybigwigs(bigwig_name: str, real_data: Path) -> None:
    path = real_data / "bigwig" / bigwig_name
    with pyBigWig.open(str(path)) as theirs, bigwig_numba.open(path) as ours:
        assert list(ours.chroms.items()) == list(theirs.chroms().items())


def test_values_and_intervals_are_pybigwigs(bigwig_name: str, real_data: Path) -> None:
    """Of every third window: a call each takes its time. Batches below have all of them."""
    oracle = oracle_of(real_data / "bigwig" / bigwig_name)
    with pyBigWig.open(str(oracle.path)) as theirs, bigwig_numba.open(oracle.path) as ours:
        for row, (name, start) in list(enumerate(zip(oracle.chromosomes, oracle.starts.tolist(), strict=True)))[::3]:
            first, last = max(start, 0), min(start + LENGTH, ours.chroms[name])
            if first < last:
                expected = oracle.values[row, first - start : last - start]
                np.testing.assert_array_equal(ours.values(name, first, last), expected, strict=True)
                intervals = np.reshape(theirs.intervals(name, first, last) or [], (-1, 3))
                np.testing.assert_array_equal(np.stack(ours.intervals(name, first, last), axis=1), intervals)


def test_a_batch_of_single_bases_is_pybigwigs_values(bigwig_name: str, device: str, real_data: Path) -> None:
    oracle = oracle_of(real_data / "bigwig" / bigwig_name)
    batch = get_batch(BigWigCollection(oracle.path, device=device), oracle, default_value=np.nan)
    np.testing.assert_array_equal(batch.view(np.uint32), without_nan_payload(oracle.values).view(np.uint32))


def without_nan_payload(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.where(np.isnan(values), np.float32(np.nan), values)


def test_bins_are_pybigwigs_values_reduced(bigwig_name: str, device: str, real_data: Path) -> None:
    oracle = oracle_of(real_data / "bigwig" / bigwig_name)
    collection = BigWigCollection(oracle.path, device=device)
    for window_size in (1, 2, 11, 128):
        for default_value in (0.0, 2.5, np.nan):
            batch = get_batch(collection, oracle, window_size=window_size, default_value=default_value)
            expected = oracle.bins(window_size, default_value)
            np.testing.assert_allclose(batch, expected, rtol=1e-6, err_msg=f"{window_size=}, {default_value=}")


def test_all_files_together_are_each_file_alone(device: str, real_data: Path) -> None:
    paths = [path for path in sorted((real_data / "bigwig").iterdir()) if is_good_bigwig(path)]
    oracles = [oracle_of(path) for path in paths]
    collection = BigWigCollection(paths, sort=False, device=device)
    for oracle in oracles[::20]:
        rows = slice(0, 20)
        batch = collection.get_batch(oracle.chromosomes[rows], oracle.starts[rows], oracle.ends[rows])
        together = on_host(batch)
        assert together.shape == (20, LENGTH, len(paths))
        own = together[:, :, paths.index(oracle.path)]
        np.testing.assert_array_equal(own, np.nan_to_num(oracle.values[rows], nan=0.0, posinf=np.inf, neginf=-np.inf))


def is_good_bigwig(path: Path) -> bool:
    return path.open("rb").read(4) == BIGWIG_MAGIC and path.name != DAMAGED_BLOCKS


def test_what_is_no_bigwig_is_refused_by_name(other_name: str, real_data: Path) -> None:
    path = real_data / "bigwig" / other_name
    with pytest.raises(FormatError, match=other_name):
        bigwig_numba.open(path)
    with pytest.raises(FormatError, match=other_name):
        BigWigCollection(path, device="cpu")


def test_healthy_windows_of_a_file_with_damaged_blocks_still_read(real_data: Path) -> None:
    path = real_data / "bigwig" / DAMAGED_BLOCKS
    with pyBigWig.open(str(path)) as theirs, bigwig_numba.open(path) as ours:
        for name in ("chr5", "chr19"):
            np.testing.assert_array_equal(ours.values(name, 1_000, 2_000), theirs.values(name, 1_000, 2_000))
        with pytest.raises(BlockDecodeError, match=DAMAGED_BLOCKS):
            ours.values("chr1", 1_000, 2_000)
    collection = BigWigCollection(path, device="cpu")
    assert not collection.get_batch(["chr5", "chr19"], [0, 500], [1_000, 1_500]).any()
    with pytest.raises(BlockDecodeError, match=DAMAGED_BLOCKS):
        collection.get_batch(["chr1"], [1_000], [2_000])
