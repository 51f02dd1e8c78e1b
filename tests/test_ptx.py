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
from numba.core.types import float32, int32, int64, uint8, uint16, uint32, uint64

from bigwig_numba.kernels import launch, launch_checksums, launch_intervals, launch_transforms, resident
from bigwig_numba.kernels.sequence import make_encode_windows
from bigwig_numba.kernels.statistics import builtin_statistics
from bigwig_numba.transforms import Function

CAPABILITIES = [(7, 5), (8, 0), (9, 0)]


def array(dtype: Any, n_dimensions: int) -> Any:
    return numba.types.Array(dtype, n_dimensions, "C")


DATA = WORDS = array(uint32, 1)
TABLE, RESULTS = array(int64, 2), array(int32, 2)
RUNS, WINDOWS, SCALES = array(int32, 3), array(int64, 2), array(float32, 1)
SINGLE, HALF = array(float32, 1), array(uint16, 1)
NUMBERS, POSITIONS, MARKS = array(int32, 1), array(int64, 1), array(uint32, 2)


@dataclass(frozen=True)
class Kernel:
    """A kernel as the engine launches it, and what it may take."""

    make: Callable[[], Any]
    signature: tuple[Any, ...]
    registers: int
    shared: int = 0
    stack: int = 0


def reduce_kernel(name: str) -> Kernel:
    """The kernel of a statistic: 128 threads of 80 registers, each with a column of bins, six times an SM."""
    make = lambda: launch.make_reduce_windows(builtin_statistics()[name])  # noqa: E731
    return Kernel(make, launch.REDUCE_ARGUMENTS, registers=80, shared=8_192)


def encode_kernel(part: Any) -> Kernel:
    """The kernel of sequences that writes this type: 256 threads of 40 registers, six times on a multiprocessor."""
    signature = (array(uint8, 1), WINDOWS, array(part, 2), array(part, 1), int64, int64, int64, int64)
    return Kernel(make_encode_windows, signature, registers=40)


VALUES = (SINGLE, HALF, int64)
STEPS = (array(int32, 2), array(float32, 3), POSITIONS)
OWN_FUNCTIONS = tuple(
    Function(function).compiled
    for function in (lambda value: value * value, lambda value, track: -value if track > 1 else value)
)
TRANSFORM_KERNELS = {
    **{
        f"transform values, {len(own)} own functions": Kernel(
            functools.partial(launch_transforms.make_transform_values, own), (*VALUES, *STEPS, int64, int64), 40
        )
        for own in ((), OWN_FUNCTIONS)
    },
    "average bins": Kernel(
        lambda: launch_transforms.average_bins, (*VALUES, SINGLE, SINGLE, HALF, int64, int64, int64, int64, int64), 64
    ),
    **{
        f"mirror samples, {part}": Kernel(
            lambda: launch_transforms.mirror_samples, (array(part, 1), array(uint8, 1), POSITIONS, int64, int64), 40
        )
        for part in (uint16, uint32)
    },
}
INFLATE = (DATA, TABLE, WORDS, RESULTS, int64)
LINE = array(int64, 1)  # positions of many chromosomes
INTERVAL_RUNS = (
    *(TABLE, WORDS, RESULTS, array(int32, 1), SCALES, LINE, TABLE, WORDS, float32, int64, int64, int64, int64),
    *(TABLE, int64, LINE, LINE, LINE, SCALES),
)
KERNELS = {
    # Shared memory is what limits them: eight CUDA blocks of two warps on an H200's multiprocessor, of either. 128
    # registers are the most with which 16 warps fit.
    "inflate by lane": Kernel(lambda: launch.inflate_blocks_by_lane, INFLATE, 128, shared=27_648, stack=320),
    "inflate by warp": Kernel(lambda: launch.inflate_blocks_by_warp, INFLATE, 96, shared=28_160),
    **{f"encode windows, {part}": encode_kernel(part) for part in (uint8, uint64)},
    "check order": Kernel(lambda: launch.check_order, (TABLE, WORDS, RESULTS, int64), 40),
    "check checksums": Kernel(lambda: launch_checksums.check_checksums, (DATA, TABLE, WORDS, RESULTS, int64), 40),
    "find interval runs": Kernel(lambda: launch_intervals.find_interval_runs, INTERVAL_RUNS, 64),
    "find leaves": Kernel(
        lambda: resident.find_leaves, (TABLE, POSITIONS, array(int64, 3), POSITIONS, TABLE, MARKS, RUNS), 64
    ),
    "number runs": Kernel(lambda: resident.number_runs, (NUMBERS, RUNS), 40),
    "list blocks": Kernel(
        lambda: resident.list_blocks, (TABLE, POSITIONS, TABLE, MARKS, NUMBERS, int64, TABLE, HALF, POSITIONS), 64
    ),
    "copy to device": Kernel(lambda: resident.copy_to_device, (DATA, TABLE, POSITIONS, DATA), 40),
    **TRANSFORM_KERNELS,
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
def made(name: str) -> Any:
    """A kernel, and with it the device functions that it calls: typed and lowered once, as they know no capability."""
    return KERNELS[name].make()


@functools.cache
def assembled(name: str, capability: tuple[int, int]) -> Assembled:
    """A kernel compiled and assembled, once for all tests."""
    from numba import cuda
    from numba.cuda import dispatcher

    with pytest.MonkeyPatch.context() as patch:
        # Compiling a call inside a kernel asks for the device, of which only this is looked at.
        patch.setattr(dispatcher, "get_current_device", lambda: SimpleNamespace(compute_capability=capability))
        ptx, _ = cuda.compile_ptx(made(name).py_func, KERNELS[name].signature, cc=capability)
    return Assembled(ptx, assemble_ptx(ptx, capability))


def on_each_gpu(names: Iterable[str]) -> Any:
    """Cases of these kernels. Statistics differ in few lines: all for the oldest GPU, two for the others."""
    few = {f"reduce, {name}" for name in builtin_statistics() if name not in ("mean", "std")}
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


# A logarithm is NVIDIA's, and may differ from the CPU's in the last place.
@on_each_gpu(name for name in KERNELS if name.startswith("reduce") and name != "reduce, log_mean")
def test_nothing_is_left_that_the_assembler_may_fuse(name: str, capability: tuple[int, int]) -> None:
    # PTX ISA: a sum without a rounding modifier may be fused with the product before it. CPU and GPU would then differ.
    assert re.findall(r"\b(?:add|sub)\.f32", assembled(name, capability).ptx) == []


@on_each_gpu(["inflate by lane", "inflate by warp"])
def test_decoders_shift_by_one_instruction_and_vote(name: str, capability: tuple[int, int]) -> None:
    code = assembled(name, capability)
    assert f".target sm_{capability[0]}{capability[1]}" in code.ptx
    assert "shf.r.wrap.b32" in code.ptx
    assert re.search(r"vote\.sync\.any|vote\.any\.sync", code.ptx)
