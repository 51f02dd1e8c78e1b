"""From a file to numbers: what `BigWig` and `BigWigCollection` return is the painting of what was written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bigwig_numba
from bigwig_numba import BigWigCollection
from bigwig_numba.errors import BigWigError, BlockDecodeError, FormatError
from tests.conftest import CorpusFile, on_host
from tests.corpus import CORPUS, DAMAGED, DISORDERED, Recipe, Window
from tests.local_servers import FileServer, S3Server
from tests.outside_readers import pybigwig_values
from tests.painting import STATISTICS, PaintedTrack, expected_batch
from tests.strategies import finite_values, recipes, windows

WINDOW_SIZES = (1, 2, 11, 128)
DEFAULTS = (0.0, 2.5, float("nan"))


def get_batch(collection: BigWigCollection, wanted: Sequence[Window], **options: Any) -> npt.NDArray[Any]:
    """(S, B, T) on the host."""
    chromosomes, starts, ends = zip(*wanted, strict=True)
    return on_host(collection.get_batch(list(chromosomes), np.array(starts), np.array(ends), **options))


def expected(tracks: Sequence[PaintedTrack], wanted: Sequence[Window], **options: Any) -> npt.NDArray[np.float64]:
    return expected_batch(tracks, *zip(*wanted, strict=True), **options)


def assert_same_bits(ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32]) -> None:
    """Equal to the last bit, the sign of zero included; any NaN equals any other."""
    assert ours.dtype == theirs.dtype == np.float32
    np.testing.assert_array_equal(ours, theirs)
    numbers = ~np.isnan(theirs)
    np.testing.assert_array_equal(ours.view(np.uint32)[numbers], theirs.view(np.uint32)[numbers])


# --- one file


@pytest.mark.parametrize("name", CORPUS)
def test_values_are_the_painting(name: str, corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file(name)
    with bigwig_numba.open(path) as bigwig:
        assert bigwig.chroms == recipe.chrom_sizes
        for window in recipe.windows(500):
            assert_same_bits(bigwig.values(*window), recipe.track.values(*window))


@pytest.mark.parametrize("name", CORPUS)
def test_intervals_are_the_items_that_overlap(name: str, corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file(name)
    with bigwig_numba.open(path) as bigwig:
        for window in recipe.windows(500, seed=1):
            starts, ends, values = bigwig.intervals(*window)
            assert (starts.dtype, ends.dtype, values.dtype) == (np.int64, np.int64, np.float32)
            ours = np.stack([starts, ends, values], axis=1)
            np.testing.assert_array_equal(ours, np.reshape(recipe.track.intervals(*window), (-1, 3)))


@given(recipe=recipes())
def test_random_files_read_back_as_painted(recipe: Recipe, tmp_path: Path) -> None:
    with bigwig_numba.open(recipe.write(tmp_path / "random.bw")) as bigwig:
        for name, size in recipe.chrom_sizes.items():
            assert_same_bits(bigwig.values(name, 0, size), recipe.track.values(name, 0, size))
            intervals = np.stack(bigwig.intervals(name, 0, size), axis=1)
            np.testing.assert_array_equal(intervals, np.reshape(recipe.track.intervals(name, 0, size), (-1, 3)))


# --- batches


@pytest.mark.parametrize("name", CORPUS)
def test_a_batch_of_single_bases_is_the_painting_bit_for_bit(name: str, device: str, corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file(name)
    wanted = recipe.windows(300, seed=2)
    batch = get_batch(BigWigCollection(path, device=device), wanted, default_value=np.nan)
    assert_same_bits(batch, expected([recipe.track], wanted, default_value=np.nan).astype(np.float32))


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("window_size", WINDOW_SIZES)
def test_bins_are_the_painting_reduced(window_size: int, statistic: str, device: str, corpus_file: CorpusFile) -> None:
    names = ["mixed section kinds", "stored NaN", "big-endian", "zeros and the smallest numbers"]
    files = [corpus_file(name) for name in names]
    collection = BigWigCollection([path for path, _ in files], sort=False, device=device)
    wanted = [window for _, recipe in files for window in recipe.windows(700, count=12, seed=3)]
    for default_value in DEFAULTS:
        options = {"window_size": window_size, "statistic": statistic, "default_value": default_value}
        batch = get_batch(collection, wanted, **options)
        painted = expected([recipe.track for _, recipe in files], wanted, **options)
        assert batch.shape == (len(wanted), 700 // window_size, len(files))
        logarithms = statistic == "log_mean"  # of float32, which round before and after
        limits = {"rtol": 1e-5, "atol": 2.0**-16} if logarithms else {"rtol": 1e-6, "atol": 2.0**-126}
        np.testing.assert_allclose(batch, painted, **limits)


def test_large_positions_count_in_batches_like_small_ones(device: str, corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("6 Gbp genome")
    wanted = recipe.windows(2_048, seed=4)
    batch = get_batch(BigWigCollection(path, device=device), wanted, window_size=128)
    np.testing.assert_allclose(batch, expected([recipe.track], wanted, window_size=128), rtol=1e-6, atol=2.0**-126)


def test_long_items_fill_every_bin_they_cover(device: str, corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("long items")
    wanted = recipe.windows(300_000, count=3, seed=4)
    for statistic in STATISTICS:
        options = {"window_size": 100_000, "statistic": statistic}
        batch = get_batch(BigWigCollection(path, device=device), wanted, **options)
        np.testing.assert_allclose(batch, expected([recipe.track], wanted, **options), rtol=1e-6)


def test_a_track_without_the_chromosome_is_default_there(device: str, corpus_file: CorpusFile) -> None:
    files = [corpus_file(name) for name in ("mixed section kinds", "long items", "empty")]
    collection = BigWigCollection([path for path, _ in files], sort=False, device=device)
    wanted = [("chrM", -20, 180), ("chr1", 0, 200), ("chr10", 5_900, 6_100)]
    batch = get_batch(collection, wanted, default_value=2.5)
    assert_same_bits(batch, expected([r.track for _, r in files], wanted, default_value=2.5).astype(np.float32))
    assert np.all(batch[[0, 2], :, 1] == 2.5)


def test_track_indices_choose_and_order_tracks(device: str, corpus_file: CorpusFile) -> None:
    files = [corpus_file(name) for name in ("mixed section kinds", "bedgraph only", "stored NaN")]
    collection = BigWigCollection([path for path, _ in files], sort=False, device=device)
    wanted = [("chr1", 10, 210), ("chr1", 1_000, 1_200)]
    for chosen in ([2, 0], [1], [0, 1, 2]):
        batch = get_batch(collection, wanted, track_indices=np.array(chosen))
        assert_same_bits(batch, expected([files[i][1].track for i in chosen], wanted).astype(np.float32))


def test_scale_multiplies_what_the_file_holds_and_not_the_default(device: str, corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("mixed section kinds")
    collection = BigWigCollection(path, scale={str(path): 0.3}, device=device)
    wanted = recipe.windows(220, count=10, seed=5)
    scaled = PaintedTrack(recipe.chrom_sizes, recipe.sections, scale=0.3)
    batch = get_batch(collection, wanted, default_value=2.5)
    assert_same_bits(batch, expected([scaled], wanted, default_value=2.5).astype(np.float32))
    batch = get_batch(collection, wanted, default_value=2.5, window_size=11)
    np.testing.assert_allclose(batch, expected([scaled], wanted, default_value=2.5, window_size=11), rtol=1e-6)


@pytest.mark.parametrize("default_value", DEFAULTS)
def test_half_precision_is_rounded_to_nearest_even(default_value: float, device: str, corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("mixed section kinds")
    collection = BigWigCollection(path, device=device)
    wanted = recipe.windows(300, seed=6)
    painted = expected([recipe.track], wanted, default_value=default_value).astype(np.float32)
    halves = get_batch(collection, wanted, default_value=default_value, dtype="float16")
    np.testing.assert_array_equal(halves, painted.astype(np.float16), strict=True)
    brains = get_batch(collection, wanted, default_value=default_value, dtype="bfloat16").view(np.uint16)
    as_float32 = (brains.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(as_float32, rounded_to_bfloat16(painted))


def rounded_to_bfloat16(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Nearest float32 of eight significant bits, ties to even; by arithmetic, not by bits."""
    significands, exponents = np.frexp(values.astype(np.float64))
    return np.asarray(np.ldexp(np.rint(significands * 2**8), exponents - 8), np.float32)


def test_out_is_filled_and_returned(device: str, corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("mixed section kinds")
    collection = BigWigCollection(path, device=device)
    first, again = recipe.windows(200, seed=7), recipe.windows(200, seed=8)
    arguments = [([w[0] for w in wanted], [w[1] for w in wanted], [w[2] for w in wanted]) for wanted in (first, again)]
    out = collection.get_batch(*arguments[0])
    assert collection.get_batch(*arguments[1], out=out) is out
    fresh = collection.get_batch(*arguments[1])
    assert fresh is not out
    assert bool((fresh == out).all())
    assert_same_bits(get_batch(collection, again), expected([recipe.track], again).astype(np.float32))


REMOTE = ("memory", "s3", "http", "simplecache and http")


@pytest.mark.parametrize("where", REMOTE)
def test_remote_files_are_read_as_local_ones(
    where: str, device: str, corpus_file: CorpusFile, moto_server: S3Server, range_server: FileServer, tmp_path: Path
) -> None:
    path, recipe = corpus_file("mixed section kinds")
    urls = {
        "memory": ("memory://somewhere/a.bw", {}),
        "s3": ("s3://bucket/a.bw", moto_server.storage_options),
        "http": (range_server.url("a.bw"), {}),
        "simplecache and http": (
            f"simplecache::{range_server.url('a.bw')}",
            {"simplecache": {"cache_storage": str(tmp_path / "kept")}},
        ),
    }
    url, options = urls[where]
    if where == "s3":
        fsspec.filesystem("s3", **options).mkdir("bucket")
    if "http" in where:
        (range_server.folder / "a.bw").write_bytes(path.read_bytes())
    else:
        with fsspec.open(url, "wb", **options) as file:
            file.write(path.read_bytes())
    wanted = recipe.windows(300, seed=9)
    batch = get_batch(BigWigCollection(url, device=device, storage_options=options), wanted)
    assert_same_bits(batch, expected([recipe.track], wanted).astype(np.float32))
    with bigwig_numba.open(url, storage_options=options) as bigwig:
        assert_same_bits(bigwig.values("chr1", 0, 9_000), recipe.track.values("chr1", 0, 9_000))


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[Recipe], list[Window], dict[str, Any]]:
    """Some random files, windows over the chromosomes of the first, and how to reduce them."""
    files = draw(st.lists(recipes(values=finite_values | st.just(float("nan"))), min_size=1, max_size=3))
    options = {
        "window_size": draw(st.sampled_from(WINDOW_SIZES)),
        "default_value": draw(st.sampled_from(DEFAULTS)),
        "statistic": draw(st.sampled_from(STATISTICS)),
    }
    return files, draw(windows(dict(files[0].chrom_sizes))), options


@given(batch=batches())
def test_random_batches_are_the_painting_reduced(
    batch: tuple[list[Recipe], list[Window], dict[str, Any]], device: str, tmp_path: Path
) -> None:
    files, wanted, options = batch
    paths = [recipe.write(tmp_path / f"{i}.bw") for i, recipe in enumerate(files)]
    ours = get_batch(BigWigCollection(paths, sort=False, device=device), wanted, **options)
    painted = expected([recipe.track for recipe in files], wanted, **options)
    np.testing.assert_allclose(ours, painted, rtol=1e-6, atol=2.0**-126)


# --- files that are not as they should be

Read = Callable[[Path, Window], npt.NDArray[np.float32]]


def read_values(path: Path, window: Window) -> npt.NDArray[np.float32]:
    with bigwig_numba.open(path) as bigwig:
        return bigwig.values(*window)


def read_batch(path: Path, window: Window) -> npt.NDArray[np.float32]:
    return get_batch(BigWigCollection(path, device="cpu"), [window], default_value=np.nan)[0, :, 0]


both_ways = pytest.mark.parametrize("read", [read_values, read_batch])


@both_ways
@pytest.mark.parametrize("name", [name for name, recipe in DAMAGED.items() if recipe().broken is None])
def test_a_file_that_cannot_be_opened_is_a_format_error_that_names_it(name: str, read: Read, tmp_path: Path) -> None:
    path = DAMAGED[name]().write(tmp_path / "damaged.bw")
    with pytest.raises(FormatError, match=path.name):
        read(path, ("chr1", 0, 100))


@both_ways
@pytest.mark.parametrize("name", [name for name, recipe in DAMAGED.items() if recipe().broken])
def test_a_damaged_block_is_an_error_where_it_is_and_nowhere_else(name: str, read: Read, tmp_path: Path) -> None:
    damaged = DAMAGED[name]()
    path = damaged.write(tmp_path / "damaged.bw")
    assert damaged.broken is not None
    assert damaged.healthy is not None
    assert_same_bits(read(path, damaged.healthy), damaged.recipe.track.values(*damaged.healthy))
    with pytest.raises(BlockDecodeError, match=path.name):
        read(path, damaged.broken)


@both_ways
@pytest.mark.parametrize("name", DISORDERED)
def test_disorder_is_read_as_pybigwig_does_or_refused(name: str, read: Read, tmp_path: Path) -> None:
    recipe = DISORDERED[name]()
    path = recipe.write(tmp_path / "disordered.bw")
    theirs = pybigwig_values(path)
    for window in recipe.windows(60, inside=True, count=20):
        ours = answer_or_error(read, path, window)
        if isinstance(ours, BigWigError):
            assert path.name in str(ours)
        else:
            assert_same_bits(ours, theirs(*window))


def answer_or_error(read: Read, path: Path, window: Window) -> npt.NDArray[np.float32] | BigWigError:
    try:
        return read(path, window)
    except BigWigError as error:
        return error
