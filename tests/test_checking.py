"""`check`: what is right passes, what is wrong is told with numbers and lines, and machine code is looked at."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import njit

import bigwig_numba
from bigwig_numba import BigWigCollection, SequenceEncoder, Statistic, check, cli
from bigwig_numba.checking import assembly
from bigwig_numba.checking.assembly import why_no_assembler
from bigwig_numba.checking.result import CheckResult
from bigwig_numba.checking.sections import answer_compiled, bins_of, made_sections
from bigwig_numba.checking.statistics import StatisticSubject
from bigwig_numba.errors import ConfigError
from bigwig_numba.kernels.loops import make_reduce_range
from bigwig_numba.kernels.sections import check_section
from bigwig_numba.kernels.sequence import BASES_PER_PIECE
from bigwig_numba.transforms import Function, Power, SoftClip
from tests.conftest import CorpusFile
from tests.genomes import random_genome, write_fasta
from tests.own_functions import BY_CODE, CPG, STRONG, TEXT, one_of_codes, root, squash
from tests.own_statistics import OWN, SHARE_ABOVE, add, nothing

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


@pytest.mark.parametrize("name", ["share_above", "roots"])
def test_right_statistics_pass(name: str) -> None:
    result = check(OWN.get(name, name))
    assert result.ok, str(result)
    assert sum(each.n_numbers for each in result.comparisons if each.where.startswith("CPU")) == 6 * 720
    exact = name != "roots"
    assert all(each.n_same == each.n_numbers for each in result.comparisons) or not exact


def test_real_files_are_compared_too(corpus_file: CorpusFile) -> None:
    path, _ = corpus_file("mixed section kinds")
    result = check(SHARE_ABOVE, [path])
    assert result.comparisons[-1].where.endswith(path.name)
    assert result.comparisons[-1].n_numbers == result.comparisons[-1].n_same > 100


def test_what_is_checked_is_what_batches_are_made_with(corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("mixed section kinds")
    (section, *_), (window, *_) = made_sections(), recipe.windows(700, count=1, seed=3)
    left, bins = next(bins_of(section))
    answer_compiled(SHARE_ABOVE, section, left, bins)
    signatures = make_reduce_range(SHARE_ABOVE).signatures
    with BigWigCollection(path, device="cpu") as collection:
        collection.get_batch(*([each] for each in window), window_size=7, statistic=SHARE_ABOVE)
    assert make_reduce_range(SHARE_ABOVE).signatures == signatures


def test_several_statistics_are_compared_in_one_kernel() -> None:
    result = check(["mean", SHARE_ABOVE])
    assert (result.name, result.ok) == ("mean, share_above", True)
    assert sum(each.n_same for each in result.comparisons if each.where.startswith("CPU")) == 2 * 6 * 720


@pytest.mark.parametrize("encoder", [CPG, STRONG, BY_CODE], ids=lambda encoder: encoder.name)
def test_right_encoders_pass_in_each_type_and_layout(encoder: SequenceEncoder) -> None:
    result = check(encoder)
    assert (result.kind, result.name, result.ok) == ("sequence encoder", encoder.name, True), str(result)
    on_cpu = [each for each in result.comparisons if each.where.startswith("CPU")]
    assert {each.where for each in on_cpu} == {
        f"CPU: {dtype}, channels {layout}"
        for dtype in ("float32", "float16", "bfloat16")
        for layout in ("first", "last")
    }
    n_bases = 2 * (2 * 8 * 61 + 2 * (BASES_PER_PIECE + 37))
    assert {each.n_numbers for each in on_cpu} == {n_bases * encoder.n_channels}
    assert all(each.n_same > each.n_numbers * 0.5 for each in on_cpu)
    assert encoder is not CPG or all(each.n_same == each.n_numbers for each in on_cpu)


def test_fasta_files_are_compared_too(tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "some.fa", random_genome({"chr1": 3_000, "chr2": 40}))
    last = check(CPG, [path]).comparisons[-1]
    assert last.where.endswith("some.fa")
    assert last.n_same == last.n_numbers == 8 * 512


@pytest.mark.parametrize("transform", [squash, [Power(0.75), SoftClip(8), squash]], ids=["function", "list"])
def test_right_transforms_pass_in_each_type(transform: Any) -> None:
    result = check(transform)
    assert (result.kind, result.ok, result.warnings) == ("track transform", True, ()), str(result)
    assert "squash" in result.name
    for each in result.comparisons:
        assert each.n_same + each.n_close == each.n_numbers == 2 * 80 * 3
        assert each.n_same == each.n_numbers or transform is not squash


def test_transforms_are_compared_on_the_values_of_files(corpus_file: CorpusFile) -> None:
    path, _ = corpus_file("mixed section kinds")
    last = check(squash, [path]).comparisons[-1]
    assert (last.where, last.n_same) == (f"CPU: {path.name}", last.n_numbers)


# --- what is told


def raises(state, window_size, default):  # type: ignore[no-untyped-def]
    return 1 // int(state)


RAISES = Statistic("raises", nothing, add, raises)


def text(state, window_size, default):  # type: ignore[no-untyped-def]
    return str(state)


def test_an_exception_of_plain_python_is_told_with_its_line() -> None:
    result = check(RAISES)
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


def differing(python: Any, compiled: Any) -> Any:
    """What says to be one function in Python and is another one compiled."""
    function = njit(compiled)
    function.py_func = python
    return function


def test_bases_that_differ_are_told_with_their_neighbours() -> None:
    different = differing(one_of_codes, lambda codes, channel: 1.0 if codes[1] == 15 else codes[channel])
    result = check(SequenceEncoder("differs", 2, different, context=(1, 0)))
    assert not result.ok
    assert re.search(r"of channel 0 of [A-Z]\[N\] plain Python gives 15.0, compiled it gives 1.0", result.problems[0])


def test_values_that_differ_are_told_with_their_track() -> None:
    different = differing(lambda value, track: value, lambda value, track: value + (track == 3))
    result = check(Function(different))
    assert not result.ok
    assert "CPU: float32: of the value" in result.problems[0]
    assert "of track 3 plain Python gives" in result.problems[0]


def test_what_has_no_value_in_python_is_no_error_where_it_is_none_compiled() -> None:
    result = check(root)
    assert result.ok
    assert "ValueError: math domain error (line" in result.warnings[0]
    assert "return math.sqrt(value)" in result.warnings[0]
    assert all(each.n_undefined > 10 for each in result.comparisons)


def test_encoders_that_raise_or_do_not_compile_are_results() -> None:
    table = check(SequenceEncoder("raises", 1, lambda code, channel: 1 / (code - 5)))
    assert "raises: WRONG" in str(table)
    assert "ZeroDivisionError" in str(table)
    assert "the function of encoder 'text' cannot be compiled" in check(TEXT).problems[0]
    assert "the transform <lambda> cannot be compiled" in check(lambda value: value + "a").problems[0]


def test_something_else_is_an_error() -> None:
    with pytest.raises(ConfigError, match="expected a Statistic"):
        check(add)  # type: ignore[arg-type]
    for nothing_to_check in (3, [], [add], [SHARE_ABOVE, squash], Statistic):
        with pytest.raises(ConfigError, match="cannot check"):
            check(nothing_to_check)
    with pytest.raises(ConfigError, match="unknown statistic"):
        check("median")


def test_what_is_missing_is_noted() -> None:
    result = check("onehot")
    assert result.code is None
    assert any("the test does without" in note for note in result.notes)
    assert "note: no machine code" in str(result)


# --- machine code


def in_64_bits(state, window_size, default):  # type: ignore[no-untyped-def]
    return np.float64(state) / window_size


@njit
def fused(state, value, n_bases):  # type: ignore[no-untyped-def]
    return state + value * np.float32(n_bases)


@needs_assembler
@pytest.mark.parametrize(
    ("statistic", "words"),
    [
        (SHARE_ABOVE, []),
        (Statistic("fused, 64 bits", nothing, fused, in_64_bits), ["made by numba.njit", "64-bit floats"]),
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
    instructions = (
        *("IADD3 R1, R1, 1 ;", "DFMA R2, R2, R4, R6 ;", "IMAD.WIDE R2, R2, R4, R6 ;", "LDG.E.64 R2, [R4.64] ;"),
        *("@P0 IADD3.X R3, R5, R7, RZ, P1, !PT ;", "SHF.R.U32.HI R2, RZ, 0x5, R2 ;"),
    )
    listing = "".join(f"        /*{16 * i:04x}*/  {text}\n" for i, text in enumerate(instructions)) + "   .text\n"
    tool = tmp_path / "nvdisasm"
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{listing}END\n", encoding="utf-8")
    tool.chmod(0o755)
    find = assembly.find_tool
    monkeypatch.setattr(assembly, "find_tool", lambda name: str(tool) if name == "nvdisasm" else find(name))
    not_kept_yet = (8, 6)  # no other test asks for this GPU
    code = assembly.assemble(*StatisticSubject([SHARE_ABOVE]).kernels()[0], not_kept_yet)
    assert (code.n_instructions, code.n_sass_float64, code.n_sass_int64) == (6, 1, 2)


@needs_assembler
@pytest.mark.parametrize(("own", "reference"), [(STRONG, "one-hot"), (squash, "scale")])
def test_machine_code_of_encoders_and_transforms_is_looked_at(own: Any, reference: str) -> None:
    result = check(own)
    assert (result.reference, result.warnings) == (reference, ())
    assert result.code is not None
    assert result.code_of_reference is not None
    assert result.code != result.code_of_reference
    assert result.code.spill_bytes == result.code.n_float64 == 0
    assert reference in str(result)


def test_without_the_assembler_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "find_tool", lambda name: None)
    assert "pip install" in str(assembly.why_no_assembler())


# --- on the GPU


@pytest.mark.gpu
def test_the_gpu_answers_the_same_bins_and_is_timed() -> None:
    result = check(SHARE_ABOVE)
    on_gpu = [each for each in result.comparisons if each.where.startswith("GPU")]
    assert [each.n_numbers for each in on_gpu] == [6 * 720]
    assert on_gpu[0].n_same == on_gpu[0].n_numbers
    assert result.speed is not None
    assert result.speed.own > 0
    assert "GB/s" in str(result)


@pytest.mark.gpu
@pytest.mark.parametrize(
    "own",
    [["mean", SHARE_ABOVE], CPG, STRONG, BY_CODE, squash, [Power(0.5), root]],
    ids=["two statistics", "CpG", "strong", "by code", "squash", "power, root"],
)
def test_the_gpu_is_right_and_timed_for_everything(own: Any) -> None:
    result = check(own)
    assert result.ok, str(result)
    assert any(each.where.startswith("GPU") for each in result.comparisons)
    assert result.speed is not None
    assert result.speed.own > 0
    assert result.speed.reference > 0


# --- the command


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = cli.main(["check", *words])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_the_command_checks_what_a_file_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(
        "from bigwig_numba import SequenceEncoder\n"
        "mine = SequenceEncoder('mine', 2, lambda codes, channel: codes[channel] / 4, context=(1, 0))\n",
        encoding="utf-8",
    )
    status, out, _ = run(capsys, f"{tmp_path / 'mine.py'}:mine", "--json")
    result = json.loads(out)
    assert (status, result["ok"], result["name"]) == (0, True, "mine")
    assert len(result["comparisons"]) >= 6
    status, out, _ = run(capsys, "tests.own_statistics:SHARE_ABOVE")
    assert (status, out.splitlines()[0]) == (0, "share_above: right")
    status, out, _ = run(capsys, "tests.own_functions:squash")
    assert status == 0
    assert out.startswith("squash: right")
    status, out, _ = run(capsys, "tests.own_functions:TEXT")
    assert status == 1
    assert out.startswith("text: WRONG")


def test_the_command_fails_for_wrong_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "tests.test_checking:RAISES")
    assert status == 1
    assert "ZeroDivisionError" in out


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
    result: Any = check(SHARE_ABOVE)
    assert replace(result, problems=("x",)).ok is False
    assert result.as_dict()["comparisons"][0]["n_numbers"] == 720
    assert isinstance(result, CheckResult)
    assert bigwig_numba.check is check
