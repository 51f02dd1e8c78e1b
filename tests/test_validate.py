"""Validation: whole files have no errors, each kind of damage is found where it is, and only that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pytest

from bigwig_numba.validation import Finding, validate
from tests.bigwig_writer import write_bigwig
from tests.conftest import CorpusFile
from tests.corpus import CORPUS, DAMAGED, DISORDERED, Recipe, dense, mixed, offsets

ODD_VALUES = {"stored NaN", "stored infinities"}


def n_values(recipe: Recipe) -> int:
    return sum(len(section) for section in recipe.sections)


@pytest.mark.parametrize("name", CORPUS)
def test_whole_files_are_valid_and_all_of_them_is_looked_at(corpus_file: CorpusFile, name: str) -> None:
    path, recipe = corpus_file(name)
    report = validate(path)
    assert report.errors == ()
    assert {finding.part for finding in report.findings} == ({"values"} if name in ODD_VALUES else set())
    assert report.n_blocks == len(recipe.sections)
    assert report.n_items == n_values(recipe)


@pytest.mark.parametrize("name", DISORDERED)
def test_disorder_is_an_error(tmp_path: Path, name: str) -> None:
    report = validate(DISORDERED[name]().write(tmp_path / "file.bw"))
    assert not report.is_valid
    assert {finding.part for finding in report.errors} <= {"block", "items"}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_found_where_it_is(tmp_path: Path, name: str) -> None:
    recipe = DAMAGED[name]()
    report = validate(recipe.write(tmp_path / "file.bw"))
    (error,) = report.errors
    if recipe.broken is None:
        assert (error.part, report.n_blocks) == ("file", 0)
    else:
        assert (error.part, error.block) == ("block", 1)
        assert (error.chromosome, error.start, error.end) == recipe.broken


def test_every_flipped_bit_of_a_block_is_found_in_that_block(tmp_path: Path) -> None:
    """What still inflates is betrayed by its Adler-32 checksum."""
    path = tmp_path / "file.bw"
    write_bigwig(path, {"chr1": 20_000}, dense(1_000, per_section=200))
    good = path.read_bytes()
    assert validate(path).findings == ()
    first = offsets(bytearray(good))[1] + 8
    for bit in range(0, 8 * 300, 7):
        damaged = bytearray(good)
        damaged[first + bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        found = validate(path).errors
        assert [finding.part for finding in found[:1]] == ["block"], f"bit {bit}"
        assert found[0].offset is not None
        assert found[0].size is not None
        assert found[0].offset <= first + bit // 8 < found[0].offset + found[0].size


def test_batches_of_blocks_change_nothing(corpus_file: CorpusFile, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = corpus_file("bedgraph only")
    whole = validate(path)
    monkeypatch.setattr("bigwig_numba.file_blocks.BATCH_BYTES", 1)
    assert validate(path) == whole


def test_blocks_that_overlap_across_batches_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = DISORDERED["overlapping sections"]().write(tmp_path / "file.bw")
    whole = validate(path)
    monkeypatch.setattr("bigwig_numba.file_blocks.BATCH_BYTES", 1)
    assert validate(path).errors == whole.errors


def test_items_that_the_index_hides_are_an_error(tmp_path: Path) -> None:
    path = Recipe({"chr1": 20_000}, dense(1_000, per_section=200)).write(tmp_path / "file.bw")
    data = bytearray(path.read_bytes())
    leaf = offsets(data)[2] + 48 + 4
    data[leaf + 12 : leaf + 16] = np.uint32(100).tobytes()  # the first leaf's end
    path.write_bytes(data)
    (error,) = validate(path).errors
    assert (error.part, error.block, error.end) == ("items", 0, 100)
    assert "where queries miss them" in error.message


def test_a_summary_that_is_wrong_is_a_warning(tmp_path: Path) -> None:
    path = mixed().write(tmp_path / "file.bw")
    data = bytearray(path.read_bytes())
    data[64 + 16 : 64 + 24] = np.float64(1e6).tobytes()  # the maximum
    path.write_bytes(data)
    report = validate(path)
    assert report.is_valid
    (warning,) = report.findings
    assert (warning.part, warning.offset) == ("summary", 64)
    assert "maximum is 1,000,000" in warning.message


def test_a_damaged_zoom_level_is_an_error(tmp_path: Path) -> None:
    path = mixed(zoom_reductions=(10, 40)).write(tmp_path / "file.bw")
    assert validate(path).n_zoom_blocks > 2
    data = bytearray(path.read_bytes())
    zoom_data = int(np.frombuffer(bytes(data[64 + 24 + 8 : 64 + 24 + 16]), "<u8")[0])  # of the second level
    data[zoom_data + 4 : zoom_data + 8] = b"oops"
    path.write_bytes(data)
    (error,) = validate(path).errors
    assert (error.part, error.offset) == ("zoom level", zoom_data + 4)
    assert "level 1:40: " in error.message


def test_progress_ends_with_all_blocks(corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("mixed section kinds")
    calls: list[tuple[int, int]] = []
    validate(path, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (len(recipe.sections), len(recipe.sections))


def test_remote_files_and_open_files_are_read_as_well(corpus_file: CorpusFile) -> None:
    path, _ = corpus_file("zoom levels")
    memory = fsspec.filesystem("memory")
    memory.pipe("/validate/file.bw", path.read_bytes())
    local, remote = validate(path), validate("memory://validate/file.bw")
    with path.open("rb") as opened:
        assert replace(validate(opened), url="") == replace(remote, url="") == replace(local, url="")
    memory.rm("/validate", recursive=True)


def test_a_file_that_cannot_be_read_is_no_finding(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        validate(tmp_path / "none.bw")


def test_a_finding_reads_as_a_sentence_with_its_place() -> None:
    finding = Finding("error", "block", "it is gone", offset=1_000, size=24, block=7, chromosome="chr1", start=0, end=9)
    assert str(finding) == "error: block 7 chr1:0-9 (bytes 1,000 to 1,024): it is gone"


def test_real_files_are_valid_but_for_known_ones(real_data: Path) -> None:
    """Of the real bigWig files, one has a damaged index; the others' errors are that they are no bigWig."""
    reports = [validate(path) for path in sorted((real_data / "bigwig").glob("*.[bB][wi]*"))]
    damaged = {Path(report.url).name for report in reports if any(error.part != "file" for error in report.errors)}
    assert damaged == {"rtracklayer__bed.bw"}
    assert sum(report.is_valid for report in reports) > 60
