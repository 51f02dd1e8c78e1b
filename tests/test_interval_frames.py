"""`intervals` against a brute-force twin, base by base where bases matter, and against pyBigWig on real files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyBigWig
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bigwig_numba
from bigwig_numba import BigWigCollection
from bigwig_numba.chromosome_names import sorted_chromosomes
from bigwig_numba.errors import BlockDecodeError, ChromNotFoundError, ConfigError, StorageError, WindowError
from tests.bigwig_writer import Section, bedgraph, write_bigwig
from tests.conftest import CorpusFile, real_data_folder
from tests.corpus import CORPUS, DAMAGED, Recipe
from tests.painting import PaintedTrack
from tests.region_frames import left_alone, region_frame, runs
from tests.strategies import recipes

Row = tuple[str, int, int, float]
Item = tuple[int, int, float]
Regions = Sequence[tuple[str, int, int]]


@dataclass(frozen=True)
class Options:
    """Arguments of `intervals`, with the blacklist as rows."""

    blacklist: Regions = ()
    blacklist_buffer: int = 0
    padding: int = 0
    merge: bool = False
    threshold: float | None = 0.0
    merge_allow_gap: int = 0
    batch_size: int = 4096

    @property
    def arguments(self) -> dict[str, Any]:
        blacklist = region_frame(list(self.blacklist)) if self.blacklist else None
        return {**vars(self), "blacklist": blacklist}


# --- the twin


def brute_force(recipes: Sequence[Recipe], options: Options, scales: Sequence[float] | None = None) -> list[Row]:
    """What `intervals` must give, by loops over items and bases."""
    sizes: dict[str, int] = {}
    for recipe in recipes:
        for name, size in recipe.chrom_sizes.items():
            sizes[name] = max(size, sizes.get(name, 0))
    allowed = {name: allowed_bases(name, size, options) for name, size in sizes.items()}
    tracks = [by_chromosome(recipe) for recipe in recipes]
    found: list[Row] = []
    for name in sorted_chromosomes({name for track in tracks for name in track}):
        rows = sorted(
            (
                (name, *piece, value)
                for track, scale in zip(tracks, scales or [1.0] * len(tracks), strict=True)
                for start, end, value in items_above(track.get(name), name, scale, options.threshold)
                for piece in pieces_of(start, end, allowed[name])
            ),
            key=lambda row: row[1],
        )
        rows = [(name, max(s - options.padding, 0), min(e + options.padding, sizes[name]), v) for name, s, e, v in rows]
        rows = merged(rows, options.merge_allow_gap) if options.merge else rows
        found += [(name, *piece, value) for _, s, e, value in rows for piece in pieces_of(s, e, allowed[name])]
    return found


def by_chromosome(recipe: Recipe) -> dict[str, PaintedTrack]:
    """Chromosomes that have sections, each as a track of its own."""
    sections: dict[str, list[Section]] = {}
    for section in recipe.sections:
        sections.setdefault(section.chrom, []).append(section)
    return {name: PaintedTrack({name: recipe.chrom_sizes[name]}, listed) for name, listed in sections.items()}


def items_above(track: PaintedTrack | None, name: str, scale: float, threshold: float | None) -> Iterator[Item]:
    for start, end, value in track.intervals(name, 0, track.chrom_sizes[name]) if track else ():
        scaled = np.float32(value) * np.float32(scale)
        if not np.isnan(scaled) and (threshold is None or scaled > np.float32(threshold)):
            yield start, end, float(scaled)


def allowed_bases(name: str, size: int, options: Options) -> Any:
    """(size,) bool; None where nothing is excluded."""
    if not any(chrom == name for chrom, _, _ in options.blacklist):
        return None
    allowed = np.ones(size, bool)
    for chrom, start, end in options.blacklist:
        if chrom == name and start < end:
            allowed[max(start - options.blacklist_buffer, 0) : max(end + options.blacklist_buffer, 0)] = False
    return allowed


def pieces_of(start: int, end: int, allowed: Any) -> list[tuple[int, int]]:
    return [(start, end)] if allowed is None else runs(allowed[start:end], start=start)


def merged(rows: Sequence[Row], gap: int) -> list[Row]:
    """Rows of one chromosome, sorted by start."""
    found: list[Row] = []
    for name, start, end, value in rows:
        if found and start <= found[-1][2] + gap:
            found[-1] = (name, found[-1][1], max(end, found[-1][2]), max(value, found[-1][3]))
        else:
            found.append((name, start, end, value))
    return found


def assert_columns(frame: pd.DataFrame) -> None:
    assert frame.dtypes.astype(str).to_dict() == {"chrom": "str", "start": "int64", "end": "int64", "value": "float32"}
    assert frame.index.equals(pd.RangeIndex(len(frame)))


def rows_of(frame: pd.DataFrame) -> list[Row]:
    assert_columns(frame)
    return list(zip(*(frame[name].tolist() for name in frame), strict=True))


# --- against the twin


@st.composite
def option_sets(draw: st.DrawFn, names: Sequence[str]) -> Options:
    """Small numbers, so that gaps, buffers and padding matter."""
    position = st.integers(-20, 400)
    region = st.tuples(st.sampled_from([*names, "chrUnknown"]), position, position)
    return Options(
        blacklist=[(name, min(a, b), max(a, b)) for name, a, b in draw(st.lists(region, max_size=6))],
        blacklist_buffer=draw(st.sampled_from([0, 0, 1, 7])),
        padding=draw(st.sampled_from([0, 0, 1, 9, 10_000])),
        merge=draw(st.booleans()),
        threshold=draw(st.sampled_from([None, 0.0, -1.0, 0.5, -np.inf])),
        merge_allow_gap=draw(st.sampled_from([0, 0, 1, 25, 2**36])),
        batch_size=draw(st.integers(1, 5)),
    )


@settings(max_examples=100)
@given(st.data())
def test_equals_the_brute_force_twin(device: str, data: st.DataObject) -> None:
    files = data.draw(st.lists(recipes(), min_size=1, max_size=3))
    options = data.draw(option_sets(sorted({name for recipe in files for name in recipe.chrom_sizes})))
    scales = data.draw(st.lists(st.sampled_from([1.0, -2.0, 0.25]), min_size=len(files), max_size=len(files)))
    with TemporaryDirectory() as folder:
        paths = [recipe.write(Path(folder, f"{number}.bw")) for number, recipe in enumerate(files)]
        arguments = options.arguments
        blacklist = arguments["blacklist"]
        with (
            BigWigCollection(paths, device=device, scale=dict(zip(paths, scales, strict=True))) as collection,
            left_alone(*([] if blacklist is None else [blacklist])),
        ):
            frame = collection.intervals(**arguments)
    assert rows_of(frame) == brute_force(files, options, scales)


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_every_item_of_the_corpus_is_there(name: str, corpus_file: CorpusFile, device: str) -> None:
    path, recipe = corpus_file(name)
    with BigWigCollection(path, device=device) as collection:
        for options in (Options(threshold=None, batch_size=7), Options(threshold=0.5, merge=True, padding=3)):
            frame = collection.intervals(**options.arguments)
            assert rows_of(frame) == brute_force([recipe], options)


def test_the_batch_size_changes_nothing(corpus_file: CorpusFile, device: str) -> None:
    paths = [corpus_file(name)[0] for name in ("mixed section kinds", "bedgraph only", "long items")]
    with BigWigCollection(paths, device=device) as collection:
        for merge in (False, True):
            whole = collection.intervals(threshold=0.3, merge=merge)
            assert len(whole) > 100
            for batch_size in (1, 10, 64):
                frame = collection.intervals(threshold=0.3, merge=merge, batch_size=batch_size)
                pd.testing.assert_frame_equal(frame, whole)


@pytest.mark.gpu
@pytest.mark.parametrize("store", ["device", "host"])
def test_blocks_that_are_kept_are_not_fetched_again(
    store: str, corpus_file: CorpusFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [corpus_file(name)[0] for name in ("mixed section kinds", "bedgraph only", "long items")]
    with BigWigCollection(paths, device="cpu") as plain, BigWigCollection(paths, device="cuda", store=store) as kept:
        monkeypatch.setattr(kept._tracks.engine.supply, "fetch", None)  # type: ignore[attr-defined]
        for options in (Options(threshold=0.3, batch_size=10), Options(threshold=0.3, merge=True)):
            frame = kept.intervals(**options.arguments)
            pd.testing.assert_frame_equal(frame, plain.intervals(**options.arguments))


# --- what the peer has wrong


def intervals_of(tmp_path: Path, items: Sequence[Item], **options: Any) -> list[Item]:
    starts, ends, values = zip(*items, strict=True)
    path = tmp_path / "track.bw"
    write_bigwig(path, {"chr1": 1_000}, [bedgraph("chr1", starts, ends, values)])
    with bigwig_numba.open(path) as track:
        return [row[1:] for row in rows_of(track.intervals_frame(**options))]


def test_the_last_interval_keeps_its_value(tmp_path: Path) -> None:
    items = [(0, 5, 1.0), (5, 9, 2.0), (20, 30, 7.0)]
    assert intervals_of(tmp_path, items, merge=True) == [(0, 9, 2.0), (20, 30, 7.0)]
    assert intervals_of(tmp_path, items[2:], merge=True) == [(20, 30, 7.0)]


def test_the_largest_of_negative_values_is_negative(tmp_path: Path) -> None:
    items = [(0, 5, -3.0), (5, 9, -2.0)]
    assert intervals_of(tmp_path, items, merge=True, threshold=None) == [(0, 9, -2.0)]


def test_zero_is_a_threshold_and_none_is_none(tmp_path: Path) -> None:
    items = [(0, 5, 0.0), (5, 9, 2.0), (9, 10, -1.0)]
    assert intervals_of(tmp_path, items) == items[1:2]
    assert intervals_of(tmp_path, items, threshold=None) == items


def test_an_interval_in_a_long_one_of_another_track_does_not_end_it(tmp_path: Path) -> None:
    for number, items in enumerate([([0], [500]), ([10, 600], [20, 610])]):
        write_bigwig(tmp_path / f"{number}.bw", {"chr1": 1_000}, [bedgraph("chr1", *items, [1.0] * len(items[0]))])
    with BigWigCollection(tmp_path, device="cpu") as collection:
        for batch_size in (1, 100):
            frame = collection.intervals(merge=True, batch_size=batch_size)
            assert rows_of(frame) == [("chr1", 0, 500, 1.0), ("chr1", 600, 610, 1.0)]


def test_buffers_and_padding_do_not_wrap_below_zero(tmp_path: Path) -> None:
    blacklist = pd.DataFrame({"chrom": ["chr1", "chrOther"], "start": [3, 0], "end": [6, 9]})
    unsigned = blacklist.astype({"start": "uint32", "end": "uint32"})
    with left_alone(unsigned):
        found = intervals_of(tmp_path, [(0, 90, 1.0)], blacklist=unsigned, blacklist_buffer=10, padding=50)
    assert found == [(16, 140, 1.0)]


def test_what_is_blacklisted_is_no_peak(tmp_path: Path) -> None:
    """Neither its value nor its padding is left."""
    blacklist = region_frame([("chr1", 100, 200)])
    items = [(90, 100, 1.0), (100, 200, 99.0), (500, 510, 2.0)]
    found = intervals_of(tmp_path, items, blacklist=blacklist, padding=20, merge=True, merge_allow_gap=100)
    assert found == [(70, 100, 1.0), (480, 530, 2.0)]
    assert intervals_of(tmp_path, items[1:], blacklist=blacklist, padding=20) == [(480, 530, 2.0)]


# --- chromosomes


def test_chromosomes_are_included_and_excluded(corpus_file: CorpusFile) -> None:
    path, _ = corpus_file("mixed section kinds")
    with BigWigCollection(path, device="cpu") as collection:

        def chromosomes(**options: Any) -> list[str]:
            return list(collection.intervals(threshold=None, **options)["chrom"].unique())

        assert chromosomes() == ["chr1", "chr2", "chr10", "chrM", "chrX"]
        assert chromosomes(include_chromosomes="standard", exclude_chromosomes=["chrM"]) == [
            "chr1",
            "chr2",
            "chr10",
            "chrX",
        ]
        assert chromosomes(include_chromosomes=["chrX", "chr2"]) == ["chr2", "chrX"]
        assert chromosomes(include_chromosomes="chr10", exclude_chromosomes="chr10") == []
        with pytest.raises(ChromNotFoundError, match="did you mean 'chr10'"):
            chromosomes(include_chromosomes=["10"])


# --- real files


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each real file there is; without, one that skips and says why."""
    if "real_name" not in metafunc.fixturenames:
        return
    folder = real_data_folder(metafunc.config) / "bigwig"
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    names = [path.name for path in files if path.open("rb").read(4) == b"\x26\xfc\x8f\x88"]
    metafunc.parametrize("real_name", names or ["no real data"])


UNREADABLE = {
    "cgpBigWig__G.TEST_wsig_overlap.bw": "not sorted, or overlap",
    "rtracklayer__bed.bw": "cannot be read",
}


def test_unmerged_and_above_nothing_they_are_those_of_pybigwig(real_data: Path, real_name: str) -> None:
    """But those without a base, of which jbrowse__empty.bigWig has nothing else."""
    path = real_data / "bigwig" / real_name
    with bigwig_numba.open(path) as track, pyBigWig.open(str(path)) as theirs:
        if real_name in UNREADABLE:
            with pytest.raises(BlockDecodeError, match=UNREADABLE[real_name]):
                track.intervals_frame(threshold=None)
            return
        frame = track.intervals_frame(threshold=None, batch_size=300)
        items = {name: np.reshape(theirs.intervals(name) or [], (-1, 3)) for name in theirs.chroms()}
    items = {name: rows[rows[:, 0] < rows[:, 1]] for name, rows in items.items()}
    names = sorted_chromosomes(items)
    assert_columns(frame)
    assert frame["chrom"].tolist() == list(chain(*(repeat(name, len(items[name])) for name in names)))
    expected = np.concatenate([np.empty((0, 3)), *(items[name] for name in names)])  # float64 holds all of them
    np.testing.assert_array_equal(frame[["start", "end", "value"]].to_numpy(np.float64), expected)


def test_tracks_of_one_genome_merge_as_their_bases_do(real_data: Path, device: str) -> None:
    paths = sorted((real_data / "bigwig").glob("GAF__*.bw"))[:4]
    assert len(paths) == 4
    with BigWigCollection(paths, device=device) as collection:
        name = "chrX" if "chrX" in collection.chromosome_sizes else "X"
        size = collection.chromosome_sizes[name]
        frame = collection.intervals([name], threshold=5.0, merge=True, batch_size=500)
        largest = np.full(size, -np.inf, np.float32)
        for path in paths:
            with pyBigWig.open(str(path)) as theirs:
                for start, end, value in theirs.intervals(name) or ():
                    np.maximum(largest[start:end], np.float32(value), out=largest[start:end])
    expected = [(name, start, end, float(largest[start:end].max())) for start, end in runs(largest > 5, start=0)]
    assert len(expected) > 100
    assert rows_of(frame) == expected


# --- errors


def test_refuses_what_makes_no_sense(corpus_file: CorpusFile) -> None:
    path, _ = corpus_file("mixed section kinds")
    collection = BigWigCollection(path, device="cpu")
    for options in ({"padding": -1}, {"blacklist_buffer": 1.5}, {"merge_allow_gap": -2}, {"batch_size": 0}):
        (argument,) = options
        with pytest.raises(ConfigError, match=argument):
            collection.intervals(**options)
    for threshold in (float("nan"), "0", True):
        with pytest.raises(ConfigError, match="threshold"):
            collection.intervals(threshold=threshold)  # type: ignore[arg-type]
    with pytest.raises(WindowError, match="blacklist"):
        collection.intervals(blacklist=region_frame([("chr1", 9, 5)]))
    with pytest.raises(ConfigError, match="blacklist lacks chrom"):
        collection.intervals(blacklist=pd.DataFrame({"start": [1], "end": [2]}))
    collection.close()
    with pytest.raises(StorageError, match="closed"):
        collection.intervals()


def test_a_damaged_block_is_an_error(tmp_path: Path, device: str) -> None:
    path = DAMAGED["a block of noise"]().write(tmp_path / "track.bw")
    with (
        BigWigCollection(path, device=device) as collection,
        pytest.raises(BlockDecodeError, match=r"track\.bw: the block at bytes"),
    ):
        collection.intervals()
