"""Commands on files (info, values, stats, validate): they print what pyBigWig says, as text and as JSON."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pyBigWig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba import cli
from bigwig_numba.cli.arguments import Range, parse_range, range_text
from bigwig_numba.cli.output import as_json, size_text, sparkline
from tests.conftest import CorpusFile, Run
from tests.corpus import DAMAGED

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_.*]{0,12}", fullmatch=True)


@pytest.fixture(scope="module")
def track(corpus_file: CorpusFile) -> Path:
    """A file with all section types and zoom levels."""
    return corpus_file("zoom levels")[0]


# --- ranges


@given(name=NAMES, start=st.integers(0, 2**40), length=st.integers(0, 2**40))
def test_a_range_that_was_printed_reads_back(name: str, start: int, length: int) -> None:
    assert parse_range(range_text(name, start, start + length)) == Range(name, start, start + length)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chr1:305,000-306,000", Range("chr1", 305_000, 306_000)),
        ("chr1:305_000..306_000", Range("chr1", 305_000, 306_000)),
        ("chr1:305000\N{EN DASH}306000", Range("chr1", 305_000, 306_000)),
        (" chr1 ", Range("chr1")),
        ("HLA-A*01:01:01:01:5-10", Range("HLA-A*01:01:01:01", 5, 10)),
    ],
)
def test_ranges_as_people_write_them(text: str, expected: Range) -> None:
    assert parse_range(text) == expected


@pytest.mark.parametrize("text", ["", "chr1:", "chr1:100", "chr1:100-", "chr1:-5-10", "chr1 100 200", "chr1:,-,"])
def test_what_is_no_range_says_how_to_write_one(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"write CHROM:START-END"):
        parse_range(text)


# --- output


def test_json_has_no_nan() -> None:
    made = as_json({"a": np.array([1.5, np.nan], np.float32), "b": (Path("x"), np.int64(3), float("inf"))})
    assert json.loads(json.dumps(made, allow_nan=False)) == {"a": [1.5, None], "b": ["x", 3, None]}


def test_a_sparkline_goes_from_zero_to_the_highest() -> None:
    assert sparkline([0, 7, 14, np.nan]) == "▁▄█·"
    assert sparkline([5, 5]) == "██"
    assert sparkline([np.nan]) == "·"
    assert sparkline([-4, 0]) == "▁█"


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (1_000, "1 kB"), (3_456_789, "3.46 MB")])
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


# --- info


def test_info_says_what_pybigwig_says(run: Run, track: Path) -> None:
    status, out, _ = run("info", track, "--json")
    (found,) = json.loads(out)
    with pyBigWig.open(str(track)) as file:
        header, chroms = file.header(), file.chroms()
        means = file.stats("chr1", 0, chroms["chr1"], nBins=60)
    assert status == 0
    assert found["chromosomes"] == chroms
    assert found["header"]["version"] == header["version"]
    assert len(found["zoom_levels"]) == header["nLevels"]
    assert found["summary"]["bases_covered"] == header["nBasesCovered"]
    assert found["summary"]["max"] == pytest.approx(header["maxVal"], abs=1)
    assert found["bytes"] == track.stat().st_size
    assert set(found["section_types"]) == {"bedGraph", "variableStep", "fixedStep"}
    assert sum(found["section_types"].values()) == found["blocks"]
    profile = [np.nan if mean is None else mean for mean in found["profiles"]["chr1"]]
    np.testing.assert_allclose(profile, np.array(means, np.float64), rtol=1e-5)


def test_info_reads_like_a_summary(run: Run, track: Path, corpus_file: CorpusFile) -> None:
    status, out, err = run("info", track, corpus_file("empty")[0], corpus_file("version 1, no summary")[0])
    assert (status, err) == (0, "")
    for words in ("bigWig version 4, little-endian", "% fixedStep", "1:10, 1:40, 1:160", "zooms", "none", "chr1 "):
        assert words in out
    assert out.count("file ") == 3


def test_info_of_files_of_every_kind_is_printed(run: Run, corpus_file: CorpusFile) -> None:
    names = ["big-endian", "uncompressed", "6 Gbp genome", "over 65,535 chromosomes", "item count 0"]
    status, out, err = run("info", *(corpus_file(name)[0] for name in names))
    assert (status, err) == (0, "")
    assert "big-endian" in out


def test_types_of_many_blocks_are_those_of_some_of_them(run: Run, corpus_file: CorpusFile) -> None:
    status, out, _ = run("info", corpus_file("blocks of one item")[0], "--json")
    (found,) = json.loads(out)
    assert status == 0
    assert found["blocks"] == 1_300
    assert 900 <= found["section_types"]["bedGraph"] <= 1_000


def test_info_of_a_damaged_file_says_what_can_be_said(run: Run, tmp_path: Path) -> None:
    DAMAGED["a truncated block"]().write(tmp_path / "bad.bw")
    status, out, err = run("info", "bad.bw")
    assert status == 0
    assert "3 blocks, zlib" in out
    assert "warning: no sparklines: bad.bw: the block at bytes" in " ".join(err.split()).replace(f"{tmp_path}/", "")


# --- values


def printed_values(out: str) -> np.ndarray:
    return np.array([float(line.split("\t")[3]) for line in out.splitlines()], np.float32)


def test_values_are_those_of_pybigwig(run: Run, track: Path) -> None:
    status, out, _ = run("values", track, "chr1:1,200-1,500")
    with pyBigWig.open(str(track)) as file:
        expected = np.array(file.values("chr1", 1_200, 1_500), np.float32)
    assert status == 0
    np.testing.assert_array_equal(printed_values(out), expected)
    assert out.splitlines()[0].startswith("chr1\t1200\t1201\t")


def test_one_based_ranges_start_one_earlier(run: Run, track: Path) -> None:
    assert run("values", track, "chr1:1,201-1,500", "--one-based") == run("values", track, "chr1:1,200-1,500")


def test_joined_values_are_the_intervals(run: Run, corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("bedgraph only")
    _, out, _ = run("values", path, "chr1:100-900", "--join")
    rows = [line.split("\t") for line in out.splitlines()]
    found = np.full(800, np.nan, np.float32)
    for _, start, end, value in rows:
        found[int(start) - 100 : int(end) - 100] = float(value)
    np.testing.assert_array_equal(found, recipe.track.values("chr1", 100, 900).astype(np.float32))
    assert len(rows) < 800 / 2


def test_values_in_bins_are_means(run: Run, track: Path) -> None:
    _, out, _ = run("values", track, "chr1:1,200-1,530", "--window-size", 100)
    with pyBigWig.open(str(track)) as file:
        expected = file.stats("chr1", 1_200, 1_500, nBins=3, exact=True) + file.stats("chr1", 1_500, 1_530, exact=True)
    np.testing.assert_allclose(printed_values(out), np.array(expected, np.float32), rtol=1e-6)


def test_pieces_of_long_ranges_change_nothing(run: Run, track: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run("values", track, "chr1", "--join"), run("values", track, "chr1", "--window-size", 7)
    monkeypatch.setattr("bigwig_numba.cli.values.PIECE", 100)
    assert (run("values", track, "chr1", "--join"), run("values", track, "chr1", "--window-size", 7)) == whole


def test_values_as_json(run: Run, track: Path) -> None:
    _, out, _ = run("values", track, "chr1:0-2", "chrX:4,990-4,992", "--json")
    first, second = json.loads(out)
    assert (first["chromosome"], first["start"], first["end"], len(first["intervals"])) == ("chr1", 0, 2, 2)
    assert second["chromosome"] == "chrX"
    assert second["intervals"][0]["value"] is None


# --- stats


@pytest.mark.parametrize("statistic", ["mean", "min", "max", "sum", "std"])
def test_stats_are_those_of_pybigwig(run: Run, track: Path, statistic: str) -> None:
    _, out, _ = run("stats", track, "chr1:1,000-3,000", "chr2", "--bins", 4, "--statistics", statistic, "--json")
    with pyBigWig.open(str(track)) as file:
        expected = [
            *file.stats("chr1", 1_000, 3_000, nBins=4, type=statistic, exact=True),
            *file.stats("chr2", 0, file.chroms()["chr2"], nBins=4, type=statistic, exact=True),
        ]
    assert [row[statistic] for row in json.loads(out)] == pytest.approx(expected, rel=1e-6, nan_ok=True)


def test_without_ranges_each_chromosome_has_a_line(run: Run, track: Path) -> None:
    _, out, _ = run("stats", track)
    header, *rows = (line.split("\t") for line in out.splitlines())
    assert header == ["chromosome", "start", "end", "mean", "min", "max", "sum", "std", "coverage"]
    with pyBigWig.open(str(track)) as file:
        assert {row[0]: int(row[2]) for row in rows} == file.chroms()


def test_stats_of_a_bed_file(run: Run, track: Path, tmp_path: Path) -> None:
    (tmp_path / "peaks.bed").write_text("chr1\t100\t200\tpeak\nchr2\t50\t90\tpeak\n")
    _, out, _ = run("stats", track, "--bed", "peaks.bed", "--statistics", "mean")
    assert [line.split("\t")[:3] for line in out.splitlines()[1:]] == [["chr1", "100", "200"], ["chr2", "50", "90"]]


def test_approximate_stats_come_from_zooms(run: Run, track: Path) -> None:
    _, out, _ = run("stats", track, "chr1", "--approximate", "--statistics", "mean", "--json")
    with pyBigWig.open(str(track)) as file:
        (expected,) = file.stats("chr1", 0, file.chroms()["chr1"])
    assert json.loads(out)[0]["mean"] == pytest.approx(expected, rel=1e-6)


# --- validate


def test_valid_files_are_status_0(run: Run, track: Path) -> None:
    status, out, err = run("validate", track)
    assert (status, err) == (0, "")
    assert out.startswith(f"{track}: valid: ")


def test_damage_is_status_1_and_said(run: Run, track: Path, tmp_path: Path) -> None:
    DAMAGED["a truncated block"]().write(tmp_path / "bad.bw")
    status, out, _ = run("validate", track, "bad.bw")
    assert status == 1
    assert f"{track}: valid" in out
    assert "bad.bw: NOT VALID: 3 blocks, 200 items, 1 error" in out
    assert "error: block 1 chr1:1,000-1,200 (bytes " in out
    assert "its compressed data ends too early" in out


def test_validation_as_json(run: Run, tmp_path: Path) -> None:
    DAMAGED["a truncated block"]().write(tmp_path / "bad.bw")
    status, out, _ = run("validate", "bad.bw", "--json")
    (report,) = json.loads(out)
    assert status == 1
    assert report["is_valid"] is False
    assert report["findings"][0]["chromosome"] == "chr1"


def test_files_after_one_that_is_missing_are_looked_at(run: Run, track: Path) -> None:
    status, out, err = run("validate", "missing.bw", track)
    assert status == 1
    assert "missing.bw" in err
    assert f"{track}: valid" in out


def test_of_many_findings_some_are_printed(run: Run, corpus_file: CorpusFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigwig_numba.cli.validate.MOST_FINDINGS", 2)
    path, _ = corpus_file("stored NaN")
    assert "and 2 more; --all shows them" in run("validate", path)[1]
    assert run("validate", path, "--all")[1].count("warning: ") == 4


def test_on_a_terminal_validation_shows_progress(run: Run, track: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    _, out, err = run("validate", track)
    assert "block" in err
    assert "\r" not in out


# --- all of them

EVERY_COMMAND = ["demo", "info", "values", "stats", "batch", "plot", "validate", "bench"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "no/such/file.bw"], "no/such/file.bw"),
        (["values", "TRACK", "1:5-10"], "did you mean 'chr1'?"),
        (["values", "TRACK", "chr1:10-5"], "END must be above START"),
        (["values", "TRACK", "chr1:90,000-90,001"], "begins past the chromosome's end at 9,000"),
        (["values", "TRACK", "chr1:0-5", "--one-based"], "chr1:0-5"),
        (["stats", "TRACK", "chr1", "--bed", "none.bed"], "none.bed"),
    ],
)
def test_error_is_one_line_of_advice_and_status_1(run: Run, track: Path, arguments: list[str], message: str) -> None:
    status, out, err = run(*(str(track) if word == "TRACK" else word for word in arguments))
    assert (status, out) == (1, "")
    assert err.startswith(f"bigwig-numba {arguments[0]}: error: ")
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_help_says_what_a_command_does(run: Run, command: str) -> None:
    status, out, _ = run(command, "--help")
    assert status == 0
    assert len(out) > 300
    if command not in ("demo", "bench"):
        assert "example: bigwig-numba" in " ".join(out.split())
        assert "--json" in out


def test_the_program_says_its_commands_and_exit_statuses(run: Run) -> None:
    _, out, _ = run("--help")
    assert all(f"\n    {command} " in out for command in EVERY_COMMAND)
    assert "exit status:" in out
    assert "130  interrupted" in out


def test_who_reads_no_further_gets_no_traceback(track: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with io.TextIOWrapper(os.fdopen(writer, "wb"), write_through=True) as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert cli.main(["values", str(track), "chr1"]) == 141
