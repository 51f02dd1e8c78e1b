"""One open file: values, intervals and statistics as painted and as pyBigWig, from anywhere, with errors that help."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyBigWig
import pytest
from hypothesis import given

from bigwig_numba.bigwig import BigWig
from bigwig_numba.bigwig import open as open_bigwig
from bigwig_numba.binning import STATISTICS
from bigwig_numba.errors import (
    BlockDecodeError,
    ChromNotFoundError,
    ConfigError,
    FormatError,
    StorageError,
    WindowError,
)
from tests.conftest import CorpusFile
from tests.corpus import CORPUS, DAMAGED, SIZES, Recipe, mixed
from tests.local_servers import FileServer, S3Server
from tests.strategies import recipes


def assert_reads_as_painted(bigwig: BigWig, recipe: Recipe, windows: list[tuple[str, int, int]]) -> None:
    for window in windows:
        np.testing.assert_array_equal(bigwig.values(*window), recipe.track.values(*window), err_msg=str(window))
        painted = [interval for interval in recipe.track.intervals(*window) if interval[0] < interval[1]]
        found = zip(*(column.tolist() for column in bigwig.intervals(*window)), strict=True)
        np.testing.assert_array_equal(list(found) or [], painted or [], err_msg=str(window))


# --- values and intervals


@pytest.mark.parametrize("name", CORPUS)
def test_the_corpus_reads_as_painted(name: str, corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file(name)
    with open_bigwig(path) as bigwig:
        assert_reads_as_painted(bigwig, recipe, recipe.windows(400, count=15))


@given(recipe=recipes())
def test_random_files_read_as_painted(recipe: Recipe, tmp_path: Path) -> None:
    with BigWig(recipe.write(tmp_path / "a.bw")) as bigwig:
        windows = [(name, start, size + 7) for name, size in recipe.chrom_sizes.items() for start in (-5, size // 2)]
        assert_reads_as_painted(bigwig, recipe, windows)


def test_values_and_intervals_have_the_promised_types(corpus_file: CorpusFile) -> None:
    with BigWig(corpus_file("mixed section kinds")[0]) as bigwig:
        assert bigwig.values("chr1", -10, 90).dtype == np.float32
        assert bigwig.values("chr1", -10, 90).shape == (100,)
        for window in (("chr1", 0, 500), ("chr1", 20_000, 20_100), ("chr1_random", 0, 700)):
            starts, ends, values = bigwig.intervals(*window)
            assert (starts.dtype, ends.dtype, values.dtype) == (np.int64, np.int64, np.float32)
            assert len(starts) == len(ends) == len(values)


def test_intervals_past_2_to_the_31_are_whole(corpus_file: CorpusFile) -> None:
    with BigWig(corpus_file("6 Gbp genome")[0]) as bigwig:
        found = bigwig.intervals("chr4", 2**31 - 5, 2**31 + 5)
    assert found.starts.tolist() == [2**31 - 10, 2**31]
    assert found.ends.tolist() == [2**31, 2**31 + 10]


# --- what the file says of itself


def test_chroms_header_and_summary(corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("zoom levels")
    with BigWig(path) as bigwig, pyBigWig.open(str(path)) as theirs:
        assert list(bigwig.chroms.items()) == list(SIZES.items()) == list(theirs.chroms().items())
        assert (bigwig.header.version, bigwig.header.zoom_level_count, bigwig.header.big_endian) == (4, 3, False)
        bases = np.concatenate([recipe.track.values(name, 0, size) for name, size in SIZES.items()]).astype(np.float64)
        summary = bigwig.summary
        assert summary is not None
        assert summary.bases_covered == np.isfinite(bases).sum() == theirs.header()["nBasesCovered"]
        assert (summary.min, summary.max) == (np.nanmin(bases), np.nanmax(bases))
        assert summary.mean == pytest.approx(np.nanmean(bases))
        assert summary.std == pytest.approx(np.nanstd(bases, ddof=1))


def test_a_file_of_version_1_has_no_summary(corpus_file: CorpusFile) -> None:
    with BigWig(corpus_file("version 1, no summary")[0]) as bigwig:
        assert bigwig.summary is None


def test_it_shows_what_it_is(corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("mixed section kinds")
    bigwig = BigWig(path)
    assert repr(bigwig) == f"<BigWig {path}: 6 chromosomes, {len(recipe.sections)} blocks>"
    bigwig.close()
    assert repr(bigwig).endswith("blocks, closed>")


# --- statistics


@pytest.mark.parametrize("statistic", STATISTICS)
def test_exact_statistics_of_real_files_are_pybigwigs(statistic: str, real_data: Path) -> None:
    draw = np.random.default_rng(6)
    for path in sorted((real_data / "bigwig").iterdir()):
        if path.read_bytes()[:4] != b"\x26\xfc\x8f\x88" or path.name in EXCEPTIONS:
            continue
        with BigWig(path) as ours, pyBigWig.open(str(path)) as theirs:
            name = str(draw.choice(list(ours.chroms)))
            for n_bins in (1, 13):
                start = int(draw.integers(0, max(1, ours.chroms[name] - n_bins)))
                window = (name, start, min(start + 100_000, ours.chroms[name]))
                if window[2] - window[1] < n_bins:
                    continue
                nothing = 0.0 if statistic == "coverage" else np.nan
                answers = theirs.stats(*window, nBins=n_bins, type=statistic, exact=True)
                expected = [nothing if answer is None else answer for answer in answers]
                where = f"{path.name} {window}"
                ours_of_them = ours.stats(*window, n_bins, statistic)
                np.testing.assert_allclose(ours_of_them, expected, rtol=1e-6, atol=1e-6, err_msg=where)


EXCEPTIONS = {
    "rtracklayer__bed.bw": "its blocks are damaged",
    "jbrowse__empty.bigWig": "its intervals have no bases, of which pyBigWig nevertheless gives minimum and maximum",
}


def test_statistics_have_one_number_a_bin(corpus_file: CorpusFile) -> None:
    with BigWig(corpus_file("zoom levels")[0]) as bigwig:
        for exact in (True, False):
            answers = bigwig.stats("chr1", 0, 9_000, n_bins=7, exact=exact)
            assert (answers.shape, answers.dtype) == ((7,), np.float64)


def test_zoom_levels_approximate_the_exact_answers(corpus_file: CorpusFile) -> None:
    """Also the sum, which pyBigWig takes for a sum of means."""
    with BigWig(corpus_file("zoom levels")[0]) as bigwig:
        for statistic in ("mean", "sum", "coverage"):
            exact, approximate = (bigwig.stats("chr1", 0, 8_000, 5, statistic, exact) for exact in (True, False))
            np.testing.assert_allclose(approximate, exact, rtol=0.1, atol=0.02 * np.abs(exact).max())


def test_bins_too_small_for_zoom_levels_are_answered_exactly(corpus_file: CorpusFile) -> None:
    with BigWig(corpus_file("zoom levels")[0]) as bigwig:
        for statistic in STATISTICS:
            exact, approximate = (bigwig.stats("chr1", 0, 190, 10, statistic, exact) for exact in (True, False))
            np.testing.assert_array_equal(approximate, exact)


def test_where_nothing_is_covered_only_exact_coverage_has_a_number(corpus_file: CorpusFile) -> None:
    with BigWig(corpus_file("zoom levels")[0]) as bigwig:
        for n_bins in (1, 50):
            for statistic in STATISTICS:
                assert np.isnan(bigwig.stats("chr1_random", 0, 700, n_bins, statistic, False)).all()
                exact = bigwig.stats("chr1_random", 0, 700, n_bins, statistic)
                assert (exact == 0).all() if statistic == "coverage" else np.isnan(exact).all()


def test_bins_without_bases_are_not_a_number(corpus_file: CorpusFile) -> None:
    with BigWig(corpus_file("bedgraph only")[0]) as bigwig:
        for statistic in STATISTICS:
            assert np.isnan(bigwig.stats("chr1", 100, 102, 4, statistic)).tolist() == [True, False, True, False]


# --- mistakes of the caller


@pytest.fixture
def bigwig(corpus_file: CorpusFile) -> BigWig:
    return BigWig(corpus_file("zoom levels")[0])


CALLS: dict[str, Callable[[BigWig, str, int, int], Any]] = {
    "values": BigWig.values,
    "intervals": BigWig.intervals,
    "stats": BigWig.stats,
    "stats from zoom levels": lambda file, chrom, start, end: file.stats(chrom, start, end, exact=False),
}
call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@call
def test_an_unknown_chromosome_is_answered_with_the_likely_one(bigwig: BigWig, call: Callable[..., Any]) -> None:
    with pytest.raises(ChromNotFoundError, match="has no chromosome '1'; did you mean 'chr1'") as caught:
        call(bigwig, "1", 0, 1_000)
    assert caught.value.url == bigwig.path


@call
@pytest.mark.parametrize(("start", "end"), [(10, 10), (10, 5)])
def test_a_window_without_bases_is_an_error(bigwig: BigWig, call: Callable[..., Any], start: int, end: int) -> None:
    with pytest.raises(WindowError, match=f"from {start} to {end}"):
        call(bigwig, "chr1", start, end)


@call
def test_positions_are_integers(bigwig: BigWig, call: Callable[..., Any]) -> None:
    with pytest.raises(TypeError):
        call(bigwig, "chr1", 0.5, 10)
    call(bigwig, "chr1", np.int32(0), np.uint64(1_000))


def test_an_unknown_statistic_and_no_bins_are_errors(bigwig: BigWig) -> None:
    with pytest.raises(ConfigError, match=r"median.*choose one of mean, min, max, sum, std, coverage"):
        bigwig.stats("chr1", 0, 10, statistic="median")
    with pytest.raises(ConfigError, match="n_bins is 0"):
        bigwig.stats("chr1", 0, 10, n_bins=0)


# --- open and closed


@call
def test_a_closed_file_says_so(bigwig: BigWig, call: Callable[..., Any]) -> None:
    with bigwig:
        pass
    bigwig.close()
    with pytest.raises(StorageError, match="is closed"):
        call(bigwig, "chr1", 0, 1_000)


def test_what_was_read_at_opening_outlives_closing(bigwig: BigWig) -> None:
    bigwig.close()
    assert bigwig.chroms["chr1"] == 9_000
    assert bigwig.header.version == 4


def test_threads_read_the_same_file_at_the_same_time(bigwig: BigWig) -> None:
    windows = [("chr1", start, start + 3_000) for start in range(0, 6_000, 100)]
    alone = [bigwig.values(*window) for window in windows]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda window: bigwig.values(*window), windows))
    np.testing.assert_array_equal(together, alone)


# --- pickling


def test_a_pickled_file_opens_itself_again(
    corpus_file: CorpusFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = corpus_file("mixed section kinds")[0]
    monkeypatch.chdir(path.parent)
    with BigWig(path.name) as original:
        expected = original.values("chr1", 0, 3_000)
        pickled = pickle.dumps(original)
    monkeypatch.chdir(tmp_path)
    with pickle.loads(pickled) as copy:
        np.testing.assert_array_equal(copy.values("chr1", 0, 3_000), expected)


def test_what_cannot_be_opened_again_cannot_be_pickled(bigwig: BigWig) -> None:
    bigwig.close()
    with pytest.raises(StorageError, match="is closed"):
        pickle.dumps(bigwig)
    with (
        BigWig(io.BytesIO(Path(bigwig.path).read_bytes())) as from_object,
        pytest.raises(TypeError, match="by its path"),
    ):
        pickle.dumps(from_object)


# --- from anywhere


PLACES = ["path", "file url", "file object", "memory", "cached", "http", "s3"]


@pytest.mark.parametrize("place", PLACES)
def test_a_file_reads_the_same_from_everywhere(place: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    recipe = mixed(zoom_reductions=(10, 40))
    path = recipe.write(tmp_path / "a.bw")
    location, options = put(path, place, request)
    with open_bigwig(location, storage_options=options) as bigwig:
        assert_reads_as_painted(bigwig, recipe, recipe.windows(300, count=10))
        means = bigwig.stats("chr1", 0, 9_000, 5, exact=False)
        if place != "file object":
            with pickle.loads(pickle.dumps(bigwig)) as copy:
                np.testing.assert_array_equal(copy.stats("chr1", 0, 9_000, 5, exact=False), means)


def put(path: Path, place: str, request: pytest.FixtureRequest) -> tuple[Any, dict[str, Any] | None]:
    """Bring a file to a place; what to open, with which storage options."""
    data = path.read_bytes()
    if place == "http":
        server: FileServer = request.getfixturevalue("range_server")
        return server.url(path.name), None
    if place == "s3":
        s3: S3Server = request.getfixturevalue("moto_server")
        file_system = fsspec.filesystem("s3", **s3.storage_options)
        file_system.mkdirs("bigwigs", exist_ok=True)
        file_system.pipe("bigwigs/a.bw", data)
        return "s3://bigwigs/a.bw", s3.storage_options
    if place in ("memory", "cached"):
        fsspec.filesystem("memory").pipe("/bigwigs/a.bw", data)
        cache = {"simplecache": {"cache_storage": str(path.parent / "cache")}}
        return ("memory://bigwigs/a.bw", None) if place == "memory" else ("simplecache::memory://bigwigs/a.bw", cache)
    return {"path": path, "file url": path.as_uri(), "file object": io.BytesIO(data)}[place], None


def test_a_url_is_shown_without_credentials(range_server: FileServer) -> None:
    mixed().write(range_server.folder / "a.bw")
    with BigWig(range_server.url("a.bw").replace("http://", "http://me:secret@")) as bigwig:
        assert bigwig.path == range_server.url("a.bw")
        assert "secret" not in repr(bigwig)
        with pytest.raises(ChromNotFoundError) as caught:
            bigwig.values("1", 0, 10)
        assert "secret" not in str(caught.value)


def test_opening_over_http_takes_few_requests(range_server: FileServer) -> None:
    mixed().write(range_server.folder / "a.bw")
    with BigWig(range_server.url("a.bw")):
        assert [method for method, _, _ in range_server.requests] == ["GET"]


# --- damage


@pytest.mark.parametrize("name", [name for name, recipe in DAMAGED.items() if recipe().broken is not None])
def test_a_damaged_block_is_told_and_the_others_read(name: str, tmp_path: Path) -> None:
    damaged = DAMAGED[name]()
    path = damaged.write(tmp_path / "damaged.bw")
    assert damaged.broken is not None
    assert damaged.healthy is not None
    with BigWig(path) as bigwig:
        np.testing.assert_array_equal(bigwig.values(*damaged.healthy), damaged.recipe.track.values(*damaged.healthy))
        for read in (bigwig.values, bigwig.intervals, bigwig.stats):
            with pytest.raises(BlockDecodeError, match=r"damaged\.bw"):
                read(*damaged.broken)


def test_a_file_that_is_no_bigwig_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "notes.bw").write_text("chr1\t0\t10\t1.5\n" * 10)
    with pytest.raises(FormatError, match=r"notes\.bw: expected a bigWig"):
        open_bigwig(tmp_path / "notes.bw")
