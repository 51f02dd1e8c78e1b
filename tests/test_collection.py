"""The collection: which files, in which order and scale; windows of all of them; and what it refuses."""

from __future__ import annotations

import io
import logging
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigwig_numba import opening
from bigwig_numba.collection import BigWigCollection
from bigwig_numba.errors import ChromNotFoundError, ConfigError, FormatError, StorageError, WindowError
from tests.bigwig_writer import bedgraph, fixed_step, write_bigwig
from tests.corpus import Recipe
from tests.painting import PaintedTrack, expected_batch
from tests.strategies import recipes, windows

TRACKS = {
    "liver/a.bw": PaintedTrack(
        {"chr1": 300, "chr2": 200},
        [fixed_step("chr1", 10, np.arange(1, 101), step=2, span=2), bedgraph("chr2", [0, 50], [40, 60], [5, -7])],
    ),
    "liver/b.bigWig": PaintedTrack({"chr2": 200, "chr10": 50}, [bedgraph("chr2", [30, 90], [60, 200], [1, 2])]),
    "brain/deep/c.bigwig": PaintedTrack({"chr1": 300, "chrUn_1": 80}, [fixed_step("chr1", 290, np.ones(10))]),
}


def write(folder: Path, tracks: dict[str, PaintedTrack] = TRACKS) -> Path:
    for name, track in tracks.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bigwig(path, track.chrom_sizes, track.sections)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write(tmp_path_factory.mktemp("tracks"))
    (folder / "liver" / "notes.txt").write_text("no BigWig file")
    return folder


@pytest.fixture
def collection(folder: Path) -> BigWigCollection:
    """Tracks in the order of ``TRACKS``."""
    return BigWigCollection([folder / name for name in TRACKS], sort=False, device="cpu")


def names(collection: BigWigCollection) -> list[str]:
    return [Path(path).name for path in collection.bigwig_paths]


# --- which files


@pytest.mark.parametrize("kind", [str, Path])
def test_a_directory_is_searched_in_depth_and_sorted(folder: Path, kind: Callable[[Path], Any]) -> None:
    collection = BigWigCollection(kind(folder), device="cpu")
    assert collection.bigwig_paths == sorted(str(folder / name) for name in TRACKS)
    assert len(collection) == 3


@pytest.mark.parametrize(
    ("query", "options", "found"),
    [
        ("liver/a.bw", {}, ["a.bw"]),
        ("liver", {"crawl": False}, ["a.bw", "b.bigWig"]),
        ("", {"file_extensions": (".BIGWIG",)}, ["c.bigwig", "b.bigWig"]),
        ("", {"file_extensions": ".bw"}, ["a.bw"]),
        ("**/*.b*", {}, ["c.bigwig", "a.bw", "b.bigWig"]),
        ("", {"first_n_files": 2}, ["c.bigwig", "a.bw"]),
    ],
)
def test_a_file_a_directory_or_a_glob_stands_for_files(
    folder: Path, query: str, options: dict[str, Any], found: list[str]
) -> None:
    assert names(BigWigCollection(folder / query, device="cpu", **options)) == found


@pytest.mark.parametrize(
    ("sort", "found"),
    [(True, ["c.bigwig", "a.bw", "a.bw", "b.bigWig"]), (False, ["a.bw", "b.bigWig", "c.bigwig", "a.bw"])],
)
def test_a_list_may_mix_them_and_keeps_its_order_unless_sorted(folder: Path, sort: bool, found: list[str]) -> None:
    places = [folder / "liver", str(folder / "brain/**/*"), folder / "liver" / "a.bw"]
    assert names(BigWigCollection(iter(places), sort=sort, device="cpu")) == found


def test_remote_directories_are_searched_too(folder: Path) -> None:
    remote = fsspec.filesystem("memory")
    for name in TRACKS:
        remote.pipe(f"/test_collection/{name}", (folder / name).read_bytes())
    with BigWigCollection("memory://test_collection", device="cpu") as collection:
        assert collection.bigwig_paths == sorted(f"memory://test_collection/{name}" for name in TRACKS)
        local = BigWigCollection(folder, device="cpu")
        query = (["chr1", "chr2"], [0, 50], [100, 150])
        assert np.array_equal(collection.get_batch(*query), local.get_batch(*query))
    remote.rm("/test_collection", recursive=True)


@pytest.mark.parametrize(
    ("path", "options", "error", "message"),
    [
        ("no_such_file.bw", {}, FileNotFoundError, "no_such_file"),
        ("liver/notes.txt", {}, FormatError, "notes.txt"),
        ("liver", {"file_extensions": (".bedgraph",)}, ConfigError, r"No BigWig file found in .*liver.*\.bedgraph"),
        ("liver/*.wig", {}, ConfigError, "No BigWig file found"),
        ("liver", {"first_n_files": 0}, ConfigError, "first_n_files is 0"),
        ("liver", {"first_n_files": 1.5}, ConfigError, "first_n_files is 1.5"),
        ("liver", {"device": "gpu"}, ConfigError, "'auto', 'cuda', 'cpu'"),
        ("liver", {"scale": {"a": "much"}}, ConfigError, "'much' for a"),
    ],
)
def test_what_cannot_be_opened_is_named(
    folder: Path, path: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        BigWigCollection(folder / path, **{"device": "cpu", **options})


@pytest.mark.parametrize("paths", [[], 5, [5], None])
def test_no_paths_are_refused(paths: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        BigWigCollection(paths, device="cpu")
    assert caught.value.argument == "bigwig_path"


def test_if_one_file_fails_all_others_are_closed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    open_unread = opening.open_unread

    def remember(*arguments: Any, **options: Any) -> Any:
        opened.append(open_unread(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr(opening, "open_unread", remember)
    with pytest.raises(FormatError, match=r"notes\.txt"):
        BigWigCollection([*(folder / name for name in TRACKS), folder / "liver/notes.txt"], sort=False, device="cpu")
    assert len(opened) == 4
    assert all(source.memory is None for source in opened)  # closed


@pytest.mark.parametrize(("terminal", "many", "shown"), [(True, 1, True), (False, 1, False), (True, 100, False)])
def test_many_files_open_with_a_progress_bar_on_a_terminal(
    folder: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool, many: int, shown: bool
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(opening, "MANY_FILES", many)
    BigWigCollection(folder, device="cpu")
    assert ("Opening BigWig files: 100%" in screen.getvalue()) is shown


# --- batches


def test_scales_multiply_what_files_hold_and_not_the_default(folder: Path) -> None:
    collection = BigWigCollection(folder, scale={"liver/a": 3.0, "brain": 0.5}, device="cpu")
    batch = collection.get_batch(["chr1"], [285], [305], default_value=10.0)
    assert batch[0, :, 0].tolist() == [10.0] * 5 + [0.5] * 10 + [10.0] * 5
    assert collection.get_batch(["chr1"], [10], [12], track_indices=[1, 0]).tolist() == [[[3.0, 0.0], [3.0, 0.0]]]


small_numbers = st.integers(-50, 50).map(float) | st.just(float("nan"))


@st.composite
def collections(draw: st.DrawFn) -> tuple[list[Recipe], list[tuple[str, int, int]]]:
    files = draw(st.lists(recipes(values=small_numbers), min_size=1, max_size=4))
    sizes: dict[str, int] = {}
    for file in files:
        for name, size in file.chrom_sizes.items():
            sizes[name] = max(size, sizes.get(name, 0))
    return files, draw(windows(sizes))


@settings(max_examples=40)
@given(
    drawn=collections(),
    window_size=st.sampled_from([1, 1, 2, 7, 400]),
    default_value=st.sampled_from([0.0, 2.5, float("nan")]),
    statistic=st.sampled_from(["mean", "sum", "min", "max", "coverage"]),
)
def test_a_batch_is_the_painting_of_its_files(
    drawn: Any, window_size: int, default_value: float, statistic: str
) -> None:
    files, queries = drawn
    chromosomes, starts, ends = zip(*queries, strict=True)
    tracks = [PaintedTrack(file.chrom_sizes, file.sections) for file in files]
    query = {"window_size": window_size, "default_value": default_value, "statistic": statistic}
    expected = expected_batch(tracks, chromosomes, starts, ends, **query)
    with tempfile.TemporaryDirectory() as folder:
        paths = [file.write(Path(folder) / f"{number}.bw") for number, file in enumerate(files)]
        with BigWigCollection(paths, device="cpu") as collection:
            batch = collection.get_batch(chromosomes, starts, ends, **query)
    assert batch.dtype == np.float32
    assert batch.shape == expected.shape
    if window_size == 1:
        assert np.array_equal(batch, expected, equal_nan=True)
    np.testing.assert_allclose(batch, expected, rtol=1e-6)


QUERY = (["chr1", "chr2", "chr2"], [10, 20, 150], [60, 70, 200])


def expected(tracks: Sequence[int] = (0, 1, 2), **options: Any) -> npt.NDArray[np.float64]:
    return expected_batch([list(TRACKS.values())[track] for track in tracks], *QUERY, **options)


def as_bfloat16(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """The upper half of float32, rounded to nearest even."""
    bits = values.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


@pytest.mark.parametrize(
    ("dtype", "converted"),
    [
        ("float32", lambda values: values),
        (np.float32, lambda values: values),
        ("float16", lambda values: values.astype(np.float16)),
        (np.dtype("float16"), lambda values: values.astype(np.float16)),
        ("bfloat16", as_bfloat16),
    ],
)
def test_output_types_round_to_nearest_even(collection: BigWigCollection, dtype: Any, converted: Any) -> None:
    options: dict[str, Any] = {"window_size": 7, "default_value": 0.1}
    values = collection.get_batch(*QUERY, **options)
    batch = collection.get_batch(*QUERY, **options, dtype=dtype)
    assert batch.dtype == converted(values).dtype
    assert np.array_equal(batch, converted(values))


@pytest.mark.parametrize("tracks", [[0], [2, 0], [1, 1, 1], np.array([2, 1], np.int32), range(3), []])
def test_tracks_may_be_chosen_and_ordered(collection: BigWigCollection, tracks: Any) -> None:
    batch = collection.get_batch(*QUERY, track_indices=tracks)
    assert batch.shape == (3, 50, len(tracks))
    if len(tracks):
        assert np.array_equal(batch, expected(tracks))


@pytest.mark.parametrize(
    "convert",
    [
        tuple,
        np.array,
        lambda column: np.array(column, dtype=object),
        lambda column: __import__("pandas").Series(column),
    ],
    ids=["tuple", "array", "objects", "Series"],
)
def test_windows_may_come_in_any_sequence(collection: BigWigCollection, convert: Callable[[Any], Any]) -> None:
    assert np.array_equal(collection.get_batch(*map(convert, QUERY)), expected())


@pytest.mark.parametrize("dtype", [np.uint64, np.int8, np.float64])
def test_positions_may_be_of_any_type_that_holds_whole_numbers(collection: BigWigCollection, dtype: Any) -> None:
    starts, ends = np.array([10], dtype), np.array([60], dtype)
    assert np.array_equal(collection.get_batch(["chr1"], starts, ends), expected()[:1])


def test_each_batch_is_a_new_array_unless_one_is_given(collection: BigWigCollection) -> None:
    first, second = collection.get_batch(*QUERY), collection.get_batch(*QUERY)
    assert not np.shares_memory(first, second)
    out = np.full((3, 50, 3), 7, np.float32)
    assert collection.get_batch(*QUERY, out=out) is out
    assert np.array_equal(out, expected())


@pytest.mark.parametrize(("window_size", "shape"), [(1, (1, 0, 3)), (50, (1, 0, 3))])
def test_windows_without_a_whole_bin_give_no_bins(
    collection: BigWigCollection, window_size: int, shape: tuple[int, ...]
) -> None:
    length = 0 if window_size == 1 else 49
    assert collection.get_batch(["chr1"], [10], [10 + length], window_size=window_size).shape == shape


def test_no_windows_give_an_empty_batch(collection: BigWigCollection) -> None:
    assert collection.get_batch([], [], []).shape == (0, 0, 3)


# --- what a batch refuses


@pytest.mark.parametrize(
    ("starts", "ends", "rows"),
    [
        ([10, 20, 30], [60, 70, 81], (2,)),
        ([10, 70, 30], [60, 20, 80], (1,)),
        ([10.5, 20, 30], [60, 70, 80], (0,)),
        ([10, np.nan, np.inf], [60, 70, 80], (1, 2)),
        (np.array([2**64 - 1, 0, 0], np.uint64), [5, 5, 5], (0,)),
        ([10, 20], [60, 70, 80], (2,)),
    ],
)
def test_windows_that_make_no_sense_are_named_by_row(
    collection: BigWigCollection, starts: Any, ends: Any, rows: tuple[int, ...]
) -> None:
    with pytest.raises(WindowError) as caught:
        collection.get_batch(QUERY[0], starts, ends)
    assert caught.value.rows == rows


@pytest.mark.parametrize(("name", "meant"), [("1", "chr1"), (2, "chr2"), ("CHR10", "chr10"), ("chrUn1", "chrUn_1")])
def test_a_chromosome_that_no_file_has_names_near_misses(collection: BigWigCollection, name: Any, meant: str) -> None:
    with pytest.raises(ChromNotFoundError, match=f"did you mean '{meant}'") as caught:
        collection.get_batch(["chr1", name], [0, 0], [10, 10])
    assert caught.value.url == f"collection of {collection.bigwig_paths[0]} and 2 more"


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("chromosomes", "chr1"),
        ("chromosomes", None),
        ("chromosomes", [["chr1"], ["chr1"], ["chr1"]]),
        ("start", 10),
        ("start", [[10], [20], [30]]),
        ("start", ["10", "20", "30"]),
        ("end", [True, True, False]),
        ("end", [[1], [1, 2]]),
        ("end", [60, None, 200]),
        ("end", [2**70, 2**70, 2**70]),
        ("window_size", 0),
        ("window_size", 1.5),
        ("window_size", True),
        ("default_value", "nothing"),
        ("default_value", None),
        ("dtype", "float64"),
        ("dtype", np.int32),
        ("dtype", "f99"),
        ("dtype", 5),
        ("statistic", "median"),
        ("track_indices", [3]),
        ("track_indices", [-1]),
        ("track_indices", [0.0]),
        ("track_indices", [True, False, True]),
        ("track_indices", 1),
        ("out", np.empty((3, 50, 2), np.float32)),
        ("out", np.empty((3, 50, 3), np.float64)),
        ("out", np.empty((3, 3, 50), np.float32).swapaxes(1, 2)),
        ("out", [[[0.0]]]),
        ("out", np.broadcast_to(np.float32(0), (3, 50, 3))),
        ("out", SimpleNamespace(shape=(3, 50, 3), flags=None)),
    ],
)
def test_an_argument_that_makes_no_sense_is_named(collection: BigWigCollection, argument: str, value: Any) -> None:
    arguments = dict(zip(("chromosomes", "start", "end"), QUERY, strict=True)) | {argument: value}
    with pytest.raises(ConfigError) as caught:
        collection.get_batch(**arguments)
    assert caught.value.argument == argument


# --- chromosomes


def test_chromosomes_are_those_of_any_file_or_of_all(folder: Path, collection: BigWigCollection) -> None:
    assert collection.chromosomes() == {"chr1", "chr2", "chr10", "chrUn_1"}
    assert collection.chromosomes("standard") == {"chr1", "chr2", "chr10"}
    assert collection.chromosomes("chr2") == {"chr2"}
    assert collection.chromosomes(["chr1", "chr10", "chr99"], exclude_chromosomes=["chr10"]) == {"chr1"}
    assert collection.chromosomes(exclude_chromosomes="chr1") == {"chr2", "chr10", "chrUn_1"}
    assert collection.get_chromosomes_present_in_all_files() == []
    liver = BigWigCollection(folder / "liver", device="cpu")
    assert liver.get_chromosomes_present_in_all_files() == ["chr2"]
    assert liver.get_chromosomes_present_in_all_files(exclude_chromosomes=["chr2"]) == []


def test_chromosome_sizes_are_in_natural_order_with_standard_ones_first(tmp_path: Path) -> None:
    wanted = [
        "chr1",
        "chr2",
        "chr10",
        "chr22",
        "chrM",
        "chrX",
        "chrY",
        "chr1_random",
        "chr2_alt",
        "chr10_alt",
        "scaffold7",
    ]
    lengths = {name: 100 + number for number, name in enumerate(wanted)}
    write_bigwig(tmp_path / "a.bw", {name: lengths[name] for name in sorted(wanted, reverse=True)}, [])
    collection = BigWigCollection(tmp_path / "a.bw", device="cpu")
    assert list(collection.chromosome_sizes.items()) == list(lengths.items())
    assert collection.get_chromosomes_present_in_all_files() == wanted
    assert collection.get_chromosomes_present_in_all_files("standard") == wanted[:7]


def test_where_files_disagree_on_a_length_the_largest_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tracks = {
        f"{size}.bw": PaintedTrack({"chr1": size}, [fixed_step("chr1", size - 5, np.ones(5))]) for size in (50, 90)
    }
    write(tmp_path, tracks)
    with caplog.at_level(logging.WARNING):
        collection = BigWigCollection(tmp_path, device="cpu")
    assert collection.chromosome_sizes == {"chr1": 90}
    assert len(caplog.records) == 1
    batch = collection.get_batch(["chr1"], [0], [90])
    assert np.array_equal(batch, expected_batch(list(tracks.values()), ["chr1"], [0], [90]))


# --- devices


def test_a_collection_on_cuda_takes_no_numpy_array_to_write_to(collection: BigWigCollection) -> None:
    collection._tracks.engine = SimpleNamespace(name="cuda", team=collection._tracks.engine.team)
    with pytest.raises(ConfigError, match="expected a CuPy array: the collection is on 'cuda'"):
        collection.get_batch(*QUERY, out=np.empty((3, 50, 3), np.float32))


def test_resetting_the_gpu_does_no_harm_on_the_cpu(collection: BigWigCollection) -> None:
    before = collection.get_batch(*QUERY)
    collection.reset_gpu()
    assert np.array_equal(collection.get_batch(*QUERY), before)
    assert collection.device == "cpu"


# --- closing, printing, pickling


def test_a_closed_collection_says_so(folder: Path) -> None:
    with BigWigCollection(folder, device="cpu") as collection:
        collection.get_batch(*QUERY)
        sources = list(collection._tracks.sources)
    assert all(source.memory is None for source in sources)
    collection.close()  # once more does nothing
    with pytest.raises(StorageError, match=r"collection of .*c\.bigwig and 2 more is closed"):
        collection.get_batch(*QUERY)
    assert repr(collection).endswith("device='cpu', closed)")


def test_a_collection_can_be_printed(collection: BigWigCollection) -> None:
    assert repr(collection) == "BigWigCollection(3 tracks, 4 chromosomes, 4 blocks, device='cpu')"


def test_a_pickled_collection_opens_the_same_files_in_the_same_order_and_scale(folder: Path) -> None:
    paths = [os.path.relpath(folder / name) for name in TRACKS]
    collection = BigWigCollection(paths, scale={"a": 2.0}, sort=False, device="cpu")
    again = pickle.loads(pickle.dumps(collection))
    assert again.bigwig_paths == paths
    assert np.array_equal(again.get_batch(*QUERY), collection.get_batch(*QUERY))
    collection.close()
    assert again.get_batch(*QUERY).any()
