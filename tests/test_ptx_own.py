"""One's own functions in PTX: the same code as the built-in ones, in 32 bits, without a GPU."""

from __future__ import annotations

import functools
import inspect
import os
import re
from pathlib import Path

import pytest
from numba import types

from bigwig_numba import InflateKernel
from bigwig_numba.checking.assembly import assemble, compile_to_ptx, why_no_assembler
from bigwig_numba.checking.encoders import EncoderSubject
from bigwig_numba.checking.statistics import StatisticSubject
from bigwig_numba.checking.subject import Subject
from bigwig_numba.checking.transforms import TransformSubject
from bigwig_numba.importing import import_object
from bigwig_numba.kernels import statistics
from bigwig_numba.kernels.statistics import Statistic, get_statistic
from tests.own_functions import CPG, squash
from tests.own_statistics import OWN

CAPABILITY = (9, 0)
INFLATE_ARGUMENTS = (
    types.uint32[::1], types.int64[:, ::1], types.uint32[::1], types.int32[:, ::1], types.int64, types.int64,
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def toolkit() -> None:
    reason = why_no_assembler()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


@functools.cache
def reduce_ptx(statistic: Statistic) -> str:
    return compile_to_ptx(*StatisticSubject([statistic]).kernels()[0], CAPABILITY)


def without_names(ptx: str) -> list[str]:
    """Instructions and declarations; functions and shared memory are numbered as they come."""
    lines = (re.sub(r"_Z[\w$]+|_cudapy_smem_\d+", "name", line) for line in ptx.splitlines())
    return [line for line in lines if not line.startswith("//")]


def copied_mean(folder: Path) -> Statistic:
    """The lines of the built-in mean, in a file of the user's."""
    source = (
        inspect.getsource(statistics)
        .replace("from ..", "from bigwig_numba.")
        .replace("from .", "from bigwig_numba.kernels.")
    )
    (folder / "mine.py").write_text(
        source.replace("BUILTIN = (", "mine = Statistic('mine', sum_init, sum_update, mean_finish)\nBUILTIN = ("),
        encoding="utf-8",
    )
    return import_object(f"{folder / 'mine.py'}:mine")  # type: ignore[no-any-return]


def test_the_same_lines_become_the_same_code_whoever_wrote_them(tmp_path: Path) -> None:
    own, builtin = copied_mean(tmp_path), get_statistic("mean")
    code = without_names(reduce_ptx(builtin))
    assert own.update is not builtin.update
    assert without_names(reduce_ptx(own)) == code
    assert without_names(reduce_ptx(OWN["share_above"])) != code


@pytest.mark.parametrize("name", ["share_above", "roots"])
def test_own_statistics_have_no_64_bit_floats_and_nothing_to_fuse(name: str) -> None:
    ptx = reduce_ptx(OWN[name])
    assert re.findall(r".*\.f64\b.*", ptx) == []
    assert re.findall(r"\b(?:add|sub|fma\.rn)\.f32", ptx) == []


def test_several_statistics_fit_into_the_registers() -> None:
    several = (get_statistic("mean"), get_statistic("std"), get_statistic("max"), OWN["share_above"])
    code = assemble(*StatisticSubject(several).kernels()[0], CAPABILITY)
    assert code.spill_bytes == 0
    assert code.n_float64 == 0


@pytest.mark.parametrize("own", [EncoderSubject(CPG), TransformSubject(squash)], ids=lambda own: own.name)
def test_own_encoders_and_transforms_have_no_64_bit_floats_and_nothing_to_fuse(own: Subject) -> None:
    kernel, signature = own.kernels()[0]
    ptx = compile_to_ptx(kernel, signature, CAPABILITY)
    assert re.findall(r".*\.f64\b.*", ptx) == []
    own_lines = re.findall(r"\b(?:add|sub)\.f32", ptx)
    of_built_in = re.findall(r"\b(?:add|sub)\.f32", compile_to_ptx(*own.kernels()[1], CAPABILITY))
    assert len(own_lines) <= len(of_built_in)  # those are NVIDIA's logarithm and power


def test_the_examples_decoder_becomes_a_kernel() -> None:
    from bigwig_numba.kernels.launch_swapped import make_inflate_by_thread

    plain: InflateKernel = import_object(
        f"{Path(__file__).parent.parent / 'examples' / 'hack_a_kernel.py'}:plain_inflate"
    )
    ptx = compile_to_ptx(make_inflate_by_thread(plain), INFLATE_ARGUMENTS, CAPABILITY)
    assert "inflate_by_thread" in ptx
    assert re.findall(r".*\.f64\b.*", ptx) == []
