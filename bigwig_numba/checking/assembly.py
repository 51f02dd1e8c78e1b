"""What the compilers made of a kernel: PTX, and what NVIDIA's assembler says of it. No GPU is needed."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest import mock

__all__ = ["MachineCode", "assemble", "compile_to_ptx", "find_tool", "why_no_assembler"]

INTEGERS_OF_64_BITS = r"\bU?(?:I[A-Z]+\d?|LEA|SHF|F2I|I2F)\S*\.(?:X|EX|WIDE|[SU]?64)\b"
"""SASS of half an operation or of a whole one: ``IADD3.X`` adds with carry, ``IMAD.WIDE`` has a product of 64 bits."""


@dataclass(frozen=True)
class MachineCode:
    """A kernel.

    Parameters
    ----------
    registers
        Of a thread; a multiprocessor with 65,536 runs 2,048 threads of at most 32, 1,024 of at most 64.
    spill_bytes
        Written to and read from memory because registers did not suffice.
    n_float64, n_int64
        PTX instructions on 64-bit floats and integers. Any kernel needs some of the latter, for addresses.
    n_fusable
        Sums of float32 that the assembler may fuse with a product, so that the GPU rounds otherwise than the CPU.
    n_instructions, n_sass_float64, n_sass_int64
        Machine instructions, those on 64-bit floats, and those that are one half or both of an operation on 64-bit
        integers; None where NVIDIA's disassembler is missing.
    """

    registers: int
    spill_bytes: int
    n_float64: int
    n_int64: int
    n_fusable: int
    n_instructions: int | None = None
    n_sass_float64: int | None = None
    n_sass_int64: int | None = None


def find_tool(name: str) -> str | None:
    """Path of a tool of NVIDIA's: from its wheel, or as the shell finds it."""
    wheels = importlib.util.find_spec("nvidia")
    for folder in (wheels.submodule_search_locations or ()) if wheels else ():
        for found in sorted(Path(folder).glob(f"*/bin/{name}")):
            return str(found)
    return shutil.which(name)


def why_no_assembler() -> str | None:
    """What is missing for ``assemble``, in words; None if nothing is."""
    if importlib.util.find_spec("numba_cuda") is None:
        return "numba-cuda is not installed (pip install 'bigwig-numba[test]' brings what is needed)"
    if find_tool("ptxas") is None:
        return "ptxas is not installed (pip install nvidia-cuda-nvcc-cu12)"
    return None


def compile_to_ptx(kernel: Any, signature: tuple[Any, ...], capability: tuple[int, int]) -> str:
    """PTX of what ``numba.cuda.jit`` made, for arguments of these Numba types."""
    cuda: Any = importlib.import_module("numba.cuda")
    with _device_of(capability):
        ptx, _ = cuda.compile_ptx(kernel.py_func, signature, cc=capability)
    return str(ptx)


@contextmanager
def _device_of(capability: tuple[int, int]) -> Iterator[None]:
    """Pretend that there is such a GPU: compiling a call inside a kernel asks for it, and looks at nothing else."""
    device = SimpleNamespace(compute_capability=capability)
    with mock.patch("numba.cuda.dispatcher.get_current_device", return_value=device):
        yield


@functools.lru_cache(maxsize=16)
def assemble(kernel: Any, signature: tuple[Any, ...], capability: tuple[int, int]) -> MachineCode:
    """Compile and assemble a kernel.

    Parameters
    ----------
    kernel
        What ``numba.cuda.jit`` made.
    signature
        Numba's types of its arguments.
    capability
        Compute capability of the GPU, for instance (9, 0).
    """
    ptx = compile_to_ptx(kernel, signature, capability)
    with TemporaryDirectory() as folder:
        source, binary = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
        source.write_text(ptx, encoding="utf-8")
        command = [
            str(find_tool("ptxas")),
            "-v",
            f"-arch=sm_{capability[0]}{capability[1]}",
            str(source),
            "-o",
            str(binary),
        ]
        report = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        instructions = _disassemble(binary)
    code = [line for line in ptx.splitlines() if line.rstrip().endswith(";") and not line.lstrip().startswith(".")]
    return MachineCode(
        registers=_number(report, r"Used (\d+) registers"),
        spill_bytes=_number(report, r"(\d+) bytes spill stores") + _number(report, r"(\d+) bytes spill loads"),
        n_float64=_count(code, r"\.f64\b"),
        n_int64=_count(code, r"\.[sub]64\b"),
        n_fusable=_count(code, r"\b(?:add|sub)\.f32\b"),
        n_instructions=None if instructions is None else len(instructions),
        n_sass_float64=None
        if instructions is None
        else _count(instructions, r"\bD(?:ADD|MUL|FMA|SETP|MNMX)\b|\.F64\b"),
        n_sass_int64=None if instructions is None else _count(instructions, INTEGERS_OF_64_BITS),
    )


def _disassemble(binary: Path) -> list[str] | None:
    """The machine's instructions; None where there is no disassembler."""
    tool = find_tool("nvdisasm")
    if tool is None:
        return None
    done = subprocess.run([tool, str(binary)], capture_output=True, text=True, check=False)
    return re.findall(r"^\s+/\*[0-9a-f]+\*/\s+(.*;)", done.stdout, re.MULTILINE) if done.returncode == 0 else None


def _number(text: str, pattern: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


def _count(lines: list[str], pattern: str) -> int:
    return sum(re.search(pattern, line) is not None for line in lines)
