"""`bigwig-numba regions`: each operation writes what the function of that name gives."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bigwig_numba import BigWigCollection, regions
from bigwig_numba.example_data import ExampleData, example_data
from tests.conftest import Run

PEAKS = (
    "chr1\t2000\t2600\tpeak_1\t900\t.\t12.5\t8.1\t6\t250\n"
    "chr1\t2500\t2900\tpeak_2\t400\t.\t5.5\t4.1\t2\t100\n"
    "chr2\t5000\t5300\tpeak_3\t700\t.\t8\t6.3\t4.4\t10\n"
    "chr3\t9000\t9500\tpeak_4\t800\t.\t9\t7\t5.2\t300\n"
)
OTHERS = "chr1\t2550\t2560\nchrUn_1\t0\t900\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ExampleData:
    return example_data(tmp_path_factory.mktemp("example"), chromosome_length=60_000)


@pytest.fixture
def peaks(tmp_path: Path) -> pd.DataFrame:
    (tmp_path / "peaks.narrowPeak").write_text(PEAKS)
    (tmp_path / "others.bed").write_text(OTHERS)
    (tmp_path / "sizes").write_text("chr1\t60000\nchr2\t54000\nchr3\t9200\n")
    return regions.read_bed(tmp_path / "peaks.narrowPeak")


def bed(frame: pd.DataFrame) -> str:
    text = io.StringIO()
    regions.write_bed(frame, text)
    return text.getvalue()


def printed(run: Run, *arguments: object) -> str:
    status, out, err = run("regions", *arguments)
    assert (status, err) == (0, "")
    return out


def test_set_operations(run: Run, tmp_path: Path, peaks: pd.DataFrame) -> None:
    others = regions.read_bed(tmp_path / "others.bed")
    file, other = tmp_path / "peaks.narrowPeak", tmp_path / "others.bed"
    assert printed(run, "merge", file) == bed(regions.merge(peaks))
    assert printed(run, "subtract", file, other, "--buffer", 5, "--columns", 4) == bed(
        regions.subtract(peaks[["chrom", "start", "end", "name"]], others, buffer=5)
    )
    assert printed(run, "subtract", file, other, "--whole-rows") == bed(peaks.iloc[2:])
    assert printed(run, "intersect", file, other, "--whole-rows") == bed(peaks.iloc[:2])
    assert printed(run, "intersect", file, other, "--columns", 3).count("chr1\t2550\t2560\n") == 2


def test_shapes(run: Run, tmp_path: Path, peaks: pd.DataFrame) -> None:
    file, sizes = tmp_path / "peaks.narrowPeak", tmp_path / "sizes"
    beds = peaks[["chrom", "start", "end"]]
    lengths = {"chr1": 60_000, "chr2": 54_000, "chr3": 9_200}
    three = ("--columns", 3)
    assert printed(run, "pad", file, 10, *three) == bed(regions.pad(beds, 10))
    assert printed(run, "pad", file, 10, "--sizes", sizes, *three) == bed(regions.pad(beds, 10, chrom_sizes=lengths))
    assert printed(run, "resize", file, 100, *three) == bed(regions.resize(beds, 100))
    assert printed(run, "clip", file, "--sizes", sizes, *three) == bed(regions.clip_to_chromosomes(beds, lengths))
    assert printed(run, "tile", 100, "--step", 50, "--file", file).startswith("chr1\t2000\t2100\tpeak_1")
    assert printed(run, "tile", 7_000, "--sizes", sizes, "--last", "shift") == bed(
        regions.tile(lengths, 7_000, last="shift")
    )
    around = [line.split("\t")[1:3] for line in printed(run, "resize", file, 100, "--around", "summit").splitlines()]
    assert around[0] == ["2200", "2300"]


def test_sizes_come_from_bigwig_files_too(run: Run, tmp_path: Path, data: ExampleData) -> None:
    assert printed(run, "tile", 20_000, "--sizes", data.bigwig_paths[0]) == bed(
        regions.tile(data.chromosome_sizes, 20_000)
    )


def test_commands_can_be_joined(run: Run, tmp_path: Path, peaks: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(PEAKS.encode())))
    assert printed(run, "merge", "-") == bed(regions.merge(peaks))


def test_output_goes_to_a_file(run: Run, tmp_path: Path, peaks: pd.DataFrame) -> None:
    assert printed(run, "merge", tmp_path / "peaks.narrowPeak", "-o", tmp_path / "merged.bed") == ""
    assert (tmp_path / "merged.bed").read_text() == bed(regions.merge(peaks))


def test_splits_by_chromosome(run: Run, tmp_path: Path, peaks: pd.DataFrame) -> None:
    arguments = ("--validation", "chr2", "--test", "chr3", "--prefix", tmp_path / "atac")
    status, out, err = run("regions", "split", tmp_path / "peaks.narrowPeak", *arguments)
    assert (status, out) == (0, "")
    assert "2 regions in" in err
    assert (tmp_path / "atac.train.bed").read_text() == bed(peaks.iloc[:2])
    assert (tmp_path / "atac.test.bed").read_text() == bed(peaks.iloc[3:])


def test_intervals_of_tracks(run: Run, data: ExampleData, tmp_path: Path) -> None:
    (tmp_path / "others.bed").write_text("chr1\t0\t30000\n")
    options = ("--threshold", 3, "--merge", "--merge-allow-gap", 50, "--padding", 10, "--device", "cpu")
    more = ("--include", "chr1", "chr3", "--blacklist", tmp_path / "others.bed", "--blacklist-buffer", 7)
    with BigWigCollection(data.bigwig_paths[:2], device="cpu") as tracks:
        expected = tracks.intervals(
            ["chr1", "chr3"], blacklist=regions.read_bed(tmp_path / "others.bed"), blacklist_buffer=7, padding=10,
            merge=True, threshold=3, merge_allow_gap=50,
        )  # fmt: skip
        everything = tracks.intervals(threshold=None)
    assert len(expected) > 3
    assert printed(run, "intervals", *data.bigwig_paths[:2], *options, *more) == bed(expected)
    out = printed(run, "intervals", *data.bigwig_paths[:2], "--threshold", "none", "--device", "cpu")
    assert out.count("\n") == len(everything)


def test_filters_by_signal(run: Run, data: ExampleData, tmp_path: Path) -> None:
    windows = regions.tile(data.chromosome_sizes, 1_000)
    regions.write_bed(windows, tmp_path / "windows.bed")
    out = printed(
        run, "filter", tmp_path / "windows.bed", *data.bigwig_paths[:2], "--minimum", 3_000, "--over-tracks", "max",
        "--device", "cpu",
    )  # fmt: skip
    with BigWigCollection(data.bigwig_paths[:2], device="cpu") as tracks:
        kept = regions.filter_by_signal(windows, tracks, minimum=3_000, over_tracks="max")
    assert 0 < len(kept) < len(windows)
    assert out == bed(kept)


def test_draws_negatives_with_their_peaks_names(
    run: Run, data: ExampleData, tmp_path: Path, peaks: pd.DataFrame
) -> None:
    arguments = ("--ratio", 2, "--seed", 3, "--gc-bins", 10, "--allow-fewer")
    out = printed(run, "negatives", tmp_path / "peaks.narrowPeak", data.reference_genome_path, *arguments)
    drawn = regions.sample_negatives(peaks, data.reference_genome_path, ratio=2, seed=3, gc_bins=10, allow_fewer=True)
    assert len(drawn) > 4
    assert out == bed(drawn.assign(name=peaks["name"].to_numpy()[drawn["peak"]]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("clip", "peaks.narrowPeak", "--sizes", "genome.fa"), "genome.fa.fai"),
        (("clip", "peaks.narrowPeak", "--sizes", "others.bed"), "chrUn_1"),
        (("merge", "nothing.bed"), "nothing.bed"),
        (("split", "peaks.narrowPeak", "--validation", "2", "--test", "chr3"), "did you mean 'chr2'"),
        (("resize", "peaks.narrowPeak", "10000"), "clip_to_chromosomes"),
    ],
)
def test_errors_are_one_line(
    run: Run,
    tmp_path: Path,
    peaks: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "others.bed").write_text("chrUn_1\tx\t900\n")
    status, out, err = run("regions", *arguments)
    assert (status, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1
    assert np.array_equal(peaks["summit"], [2250, 2600, 5010, 9300])
