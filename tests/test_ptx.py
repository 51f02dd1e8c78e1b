"""The CUDA kernels compile, for old and new GPUs, on a machine without one; ptxas says what became of them."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numba
import pytest
from numba.core.types import float32, int32, int64, uint16, uint32

from bigwig_numba.kernels import launch
from bigwig_numba.kernels.statistics import builtin_statistics

CAPABILITIES = [(7, 5), (8, 0), (9, 0)]


def array(dtype: Any, n_dimensions: int) -> Any:
    return numba.types.Array(dtype, n_dimensions, "C")


DATA = WORDS = array(uint32, 1)
TABLE, RESULTS = array(int64, 2), array(int32, 2)
RUNS, WINDOWS, SCALES = array(int32, 3), array(int64, 2), array(float32, 1)
SINGLE, HALF = array(float32, 1), array(uint16, 1)


@dataclass(frozen=True)
class Kernel:
    """A kernel as the engine launches it, and what it may take."""

    make: Callable[[], Any]
    signature: tuple[Any, ...]
    registers: int
    shared: int = 0
    stack: int = 0


def reduce_kernel(name: str) -> Kernel:
    """The kernel of a statistic: 256 threads of 64 registers, four times on a multiprocessor."""
    signature = (TABLE, WORDS, RESULTS, RUNS, WINDOWS, SCALES, SINGLE, HALF, int64, int64, int64, float32, int64)
    return Kernel(lambda: launch.make_reduce_windows(builtin_statistics()[name]), signature, registers=64)


INFLATE = (DATA, TABLE, WORDS, RESULTS, int64)
KERNELS = {
    # A warp a CUDA block; shared memory is what limits them: 13 by lane, 20 by warp on an H200's multiprocessor.
    "inflate by lane": Kernel(lambda: launch.inflate_blocks_by_lane, INFLATE, 64, shared=16_384, stack=320),
    "inflate by warp": Kernel(lambda: launch.inflate_blocks_by_warp, INFLATE, 96, shared=11_264),
    "check order": Kernel(lambda: launch.check_order, (TABLE, WORDS, RESULTS, int64), 40),
    **{f"reduce, {name}": reduce_kernel(name) for name in builtin_statistics()},
}


@dataclass(frozen=True)
class Assembled:
    """PTX, and ptxas's report on it."""

    ptx: str
    report: str

    def number(self, pattern: str) -> int:
        """The number before some words of the report; 0 where they are missing."""
        found = re.search(rf"(\d+) {pattern}", self.report)
        return int(found[1]) if found else 0


def find_ptxas() -> str | None:
    """NVIDIA's assembler, out of its wheel or the path."""
    wheels = importlib.util.find_spec("nvidia")
    folders = [Path(folder) for folder in (wheels.submodule_search_locations or [])] if wheels else []
    found = [str(path) for folder in folders for path in sorted(folder.glob("*/bin/ptxas"))]
    return found[0] if found else shutil.which("ptxas")


@pytest.fixture(scope="module", autouse=True)
def toolkit() -> None:
    """numba-cuda and ptxas; what CI installs may be missing elsewhere."""
    missing = [
        name
        for name, is_there in {
            "numba-cuda": importlib.util.find_spec("numba_cuda") is not None,
            "ptxas (nvidia-cuda-nvcc-cu12)": find_ptxas() is not None,
        }.items()
        if not is_there
    ]
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"CI has no {' and no '.join(missing)}: install the extra 'test'")
    if missing:
        pytest.skip(f"no {' and no '.join(missing)}: install the extra 'test'")


def assemble_ptx(ptx: str, capability: tuple[int, int]) -> str:
    """ptxas's report."""
    ptxas = find_ptxas()
    assert ptxas is not None
    with TemporaryDirectory() as folder:
        source, binary = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
        source.write_text(ptx)
        architecture = f"-arch=sm_{capability[0]}{capability[1]}"
        command = [ptxas, "-v", architecture, str(source), "-o", str(binary)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        return run.stderr


@functools.cache
def assembled(name: str, capability: tuple[int, int]) -> Assembled:
    """A kernel compiled and assembled, once for all tests."""
    from numba import cuda
    from numba.cuda import dispatcher

    kernel = KERNELS[name]
    with pytest.MonkeyPatch.context() as patch:
        # Compiling a call inside a kernel asks for the device, of which only this is looked at.
        patch.setattr(dispatcher, "get_current_device", lambda: SimpleNamespace(compute_capability=capability))
        ptx, _ = cuda.compile_ptx(kernel.make().py_func, kernel.signature, cc=capability)
    return Assembled(ptx, assemble_ptx(ptx, capability))


def on_each_gpu(names: Iterable[str]) -> Any:
    """Cases of these kernels. Statistics differ in few lines: all for the oldest GPU, two for the others."""
    few = {"reduce, sum", "reduce, min", "reduce, max", "reduce, coverage"}
    cases = [(name, gpu) for name in names for gpu in CAPABILITIES if name not in few or gpu == CAPABILITIES[0]]
    ids = [f"{name}, sm_{gpu[0]}{gpu[1]}" for name, gpu in cases]
    return pytest.mark.parametrize(("name", "capability"), cases, ids=ids)


@on_each_gpu(KERNELS)
def test_nothing_is_spilled_and_the_budget_is_kept(name: str, capability: tuple[int, int]) -> None:
    kernel, code = KERNELS[name], assembled(name, capability)
    used = re.search(r"Used (\d+) registers", code.report)
    assert used, code.report
    assert code.number("bytes spill stores") == 0
    assert code.number("bytes spill loads") == 0
    assert int(used[1]) <= kernel.registers
    assert code.number("bytes smem") <= kernel.shared
    assert code.number("bytes stack frame") <= kernel.stack


@on_each_gpu(KERNELS)
def test_there_is_no_64_bit_float(name: str, capability: tuple[int, int]) -> None:
    assert re.findall(r".*\.f64\b.*", assembled(name, capability).ptx) == []


@on_each_gpu(name for name in KERNELS if name.startswith("reduce"))
def test_nothing_is_left_that_the_assembler_may_fuse(name: str, capability: tuple[int, int]) -> None:
    # PTX ISA: a sum without a rounding modifier may be fused with the product before it. CPU and GPU would then differ.
    assert re.findall(r"\b(?:add|sub)\.f32", assembled(name, capability).ptx) == []


@on_each_gpu(["inflate by lane", "inflate by warp"])
def test_decoders_shift_by_one_instruction_and_vote(name: str, capability: tuple[int, int]) -> None:
    code = assembled(name, capability)
    assert f".target sm_{capability[0]}{capability[1]}" in code.ptx
    assert "shf.r.wrap.b32" in code.ptx
    assert re.search(r"vote\.sync\.any|vote\.any\.sync", code.ptx)
