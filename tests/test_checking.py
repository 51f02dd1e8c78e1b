"""`check`: right statistics pass, wrong ones are told with numbers and lines, and machine code is looked at."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import njit

import bigwig_numba
from bigwig_numba import Statistic, check, cli
from bigwig_numba.checking import assembly
from bigwig_numba.checking.assembly import why_no_assembler
from bigwig_numba.checking.report import CheckResult
from bigwig_numba.checking.sections import bins_of, made_sections
from bigwig_numba.errors import ConfigError
from bigwig_numba.kernels.sections import check_section
from tests.conftest import CorpusFile
from tests.own_statistics import OWN, SHARE_ABOVE, add, nothing, per_base

needs_assembler = pytest.mark.skipif(why_no_assembler() is not None, reason=str(why_no_assembler()))


@pytest.fixture(autouse=True)
def no_assembler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Machine code takes seconds: only tests of it make it."""
    if "machine_code" not in request.node.name:
        monkeypatch.setattr("bigwig_numba.checking.report.why_no_assembler", lambda: "the test does without")


# --- what is compared


def test_made_sections_are_sections_of_all_types_in_both_byte_orders() -> None:
    sections = made_sections()
    assert len({section.name for section in sections}) == 6
    for section in sections:
        status, count = check_section(
            section.words, np.uint64(0), np.uint32(section.words.nbytes), True, section.big_endian
        )
        assert (status, count) == (0, section.values.size)
        assert np.isnan(section.values).any()


def test_bins_are_of_all_kinds() -> None:
    bins = [each for section in made_sections() for _, some in bins_of(section) for each in some]
    assert {len(each.items) for each in bins} >= {0, 1, 2, 3, 5}
    assert {each.window_size for each in bins} == {1, 7, 64, 1_000}
    assert any(math.isnan(each.default_value) for each in bins)
    assert not any(np.isnan(value) for each in bins for value, _ in each.items)
    assert all(sum(n_bases for _, n_bases in each.items) <= each.window_size for each in bins)


@pytest.mark.parametrize("name", ["share_above", "range", "roots", "std", "last"])
def test_right_statistics_pass(name: str) -> None:
    result = check(OWN.get(name, name))
    assert result.ok, str(result)
    assert sum(each.n_bins for each in result.comparisons if each.where.startswith("CPU")) == 6 * 720
    exact = name != "roots"
    assert all(each.n_same == each.n_bins for each in result.comparisons) or not exact


def test_real_files_are_compared_too(corpus_file: CorpusFile) -> None:
    path, _ = corpus_file("mixed section kinds")
    result = check(SHARE_ABOVE, [path])
    assert result.comparisons[-1].where.endswith(path.name)
    assert result.comparisons[-1].n_bins == result.comparisons[-1].n_same > 100


# --- what is told


def raises(state, window_size, default):  # type: ignore[no-untyped-def]
    return 1 // int(state)


def text(state, window_size, default):  # type: ignore[no-untyped-def]
    return str(state)


def test_an_exception_of_plain_python_is_told_with_its_line() -> None:
    result = check(Statistic("raises", nothing, add, raises))
    assert not result.ok
    assert "ZeroDivisionError" in result.problems[0]
    assert "return 1 // int(state)" in result.problems[0]
    assert "raises: WRONG" in str(result)


def test_a_function_that_does_not_compile_is_a_result() -> None:
    result = check(Statistic("text", nothing, add, text))
    assert not result.ok
    assert "finish cannot be compiled" in result.problems[0]
    assert len(result.problems[0]) < 400


def test_numbers_that_differ_are_told_with_the_bin() -> None:
    def finish(state, window_size, default):  # type: ignore[no-untyped-def]
        return state

    @njit
    def finish_otherwise(state, window_size, default):  # type: ignore[no-untyped-def]
        return state * np.float32(1.01)

    finish_otherwise.py_func = finish
    result = check(Statistic("differs", nothing, add, finish_otherwise))
    assert not result.ok
    assert "items [(" in result.problems[0]
    assert "WRONG" in str(result)


def test_something_else_is_an_error() -> None:
    with pytest.raises(ConfigError, match="expected a Statistic"):
        check(add)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="unknown statistic"):
        check("median")


def test_what_is_missing_is_noted() -> None:
    result = check("max")
    assert result.code is None
    assert any("the test does without" in note for note in result.notes)
    assert "note: no machine code" in str(result)


# --- machine code


def in_64_bits(state, value, n_bases):  # type: ignore[no-untyped-def]
    return state + np.float32(np.float64(value) * n_bases)


@njit
def fused(state, value, n_bases):  # type: ignore[no-untyped-def]
    return state + value * np.float32(n_bases)


@needs_assembler
@pytest.mark.parametrize(
    ("statistic", "words"),
    [
        (Statistic("plain", nothing, add, per_base), []),
        (Statistic("in 64 bits", nothing, in_64_bits, per_base), ["64-bit floats"]),
        (Statistic("fused", nothing, fused, per_base), ["made by numba.njit"]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_machine_code_is_looked_at(statistic: Statistic, words: list[str]) -> None:
    result = check(statistic, capability=(8, 0))
    assert result.ok
    assert result.capability == (8, 0)
    assert len(result.warnings) == len(words)
    for warning, word in zip(result.warnings, words, strict=True):
        assert word in warning
    assert result.code is not None
    assert 20 < result.code.registers <= 64
    assert result.code.spill_bytes == 0
    assert "sm_80" in str(result)
    assert "registers" in str(result)


@needs_assembler
def test_machine_instructions_are_counted_where_there_is_a_disassembler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = "        /*0000*/  IADD3 R1, R1, 1 ;\n        /*0010*/  DFMA R2, R2, R4, R6 ;\n   .text\n"
    tool = tmp_path / "nvdisasm"
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{listing}END\n", encoding="utf-8")
    tool.chmod(0o755)
    find = assembly.find_tool
    monkeypatch.setattr(assembly, "find_tool", lambda name: str(tool) if name == "nvdisasm" else find(name))
    code = assembly.assemble(Statistic("listed", nothing, add, per_base), (8, 0))
    assert (code.n_instructions, code.n_sass_float64) == (2, 1)


def test_without_the_assembler_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "find_tool", lambda name: None)
    assert "pip install" in str(assembly.why_no_assembler())


# --- on the GPU


@pytest.mark.gpu
def test_the_gpu_answers_the_same_bins_and_is_timed() -> None:
    result = check(SHARE_ABOVE)
    on_gpu = [each for each in result.comparisons if each.where.startswith("GPU")]
    assert [each.n_bins for each in on_gpu] == [6 * 720]
    assert on_gpu[0].n_same == on_gpu[0].n_bins
    assert result.speed is not None
    assert result.speed.own > 0
    assert "GB/s" in str(result)


# --- the command


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = cli.main(["check", *words])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_the_command_checks_a_statistic_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(
        "from bigwig_numba import Statistic\n"
        "mine = Statistic('mine', lambda: 0.0, lambda state, value, n: max(state, value), lambda state, w, d: state)\n",
        encoding="utf-8",
    )
    status, out, _ = run(capsys, f"{tmp_path / 'mine.py'}:mine", "--json")
    result = json.loads(out)
    assert (status, result["ok"], result["name"]) == (0, True, "mine")
    assert len(result["comparisons"]) >= 6
    status, out, _ = run(capsys, "tests.own_statistics:RANGE")
    assert status == 0
    assert out.startswith("range: right")


def test_the_command_fails_for_wrong_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "tests.test_checking:RAISES")
    assert status == 1
    assert "ZeroDivisionError" in out


RAISES = Statistic("raises", nothing, add, raises)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_such_module_here:x", "cannot be imported"),
        ("math:no_such_name", "math has no no_such_name"),
        ("math:pi", "expected a Statistic"),
        ("no/such/file.py:x", "there is no file"),
        ("nonsense", "unknown statistic"),
    ],
)
def test_the_command_says_what_it_cannot_find(name: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, name)
    assert (status, out) == (1, "")
    assert words in err


def test_results_are_data() -> None:
    result: Any = check("min")
    assert replace(result, problems=("x",)).ok is False
    assert result.as_dict()["comparisons"][0]["n_bins"] == 720
    assert isinstance(result, CheckResult)
    assert bigwig_numba.check is check
