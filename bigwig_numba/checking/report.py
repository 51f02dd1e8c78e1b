"""Check one's own functions: the numbers, the machine code, the speed, and what to do about each."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Iterable, Mapping
from types import FunctionType
from typing import Any

from ..encoders import SequenceEncoder, get_encoder
from ..engine.choose import why_no_cuda
from ..errors import ConfigError
from ..importing import import_object
from ..kernels.compiling import has_source
from ..kernels.statistics import Statistic, get_statistic
from ..transforms import Transform
from .assembly import MachineCode, assemble, why_no_assembler
from .encoders import EncoderSubject
from .result import DEFAULT_CAPABILITY, CheckResult
from .statistics import StatisticSubject
from .subject import Subject
from .transforms import TransformSubject

__all__ = ["check"]

MORE_REGISTERS = 16  # than the built-in one's kernel has: so many are told of
FEW_REGISTERS = 64  # with which a multiprocessor runs half of the threads that it can: they are never told of


def check(
    own: Any,
    files: Iterable[str | os.PathLike[str]] = (),
    *,
    capability: tuple[int, int] | None = None,
    seed: int = 0,
) -> CheckResult:
    """Compare one's own functions with themselves in plain Python, and say what the compilers made of them.

    ================ ========================================================================= ==============
    of a             compared are                                                              timed beside
    ================ ========================================================================= ==============
    statistic        bins of made sections: all section types in both byte orders, bins of 1   mean
                     to 1,000 bases, empty ones, NaN stored in the file, values from 1e-12 to
                     1e12, and the defaults 0, 2.5 and NaN
    sequence encoder windows of a made genome: all letters in both cases, runs of N, ends of   one-hot
                     chromosomes, both strands, each type and layout
    track transform  NaN, infinities, zeros, negative and subnormal values in several tracks,  scale
                     in each type
    ================ ========================================================================= ==============

    First on the CPU, then on the GPU where there is one, which is also timed.

    Parameters
    ----------
    own
        A :class:`~bigwig_numba.Statistic` or a list of them, a :class:`~bigwig_numba.encoders.SequenceEncoder`, a
        transform, a list of them, or a function of (value) or (value, track), which is one. Or where it is:
        ``"module:name"`` or ``"file.py:name"``; or the name of a built-in statistic or a registered encoder.
    files
        Real files, of which random windows are compared too: BigWig, or FASTA for an encoder.
    capability
        Compute capability of the GPU to compile for; by default that of the GPU that is there, else (9, 0).
    seed
        Of what is made and drawn.

    Returns
    -------
    CheckResult
        ``ok`` says whether nothing is wrong; printed, it is a report. A function that cannot be compiled is told there.

    Raises
    ------
    ConfigError
        Something that cannot be checked, or is not found.

    Examples
    --------
    >>> def init():
    ...     return 0.0
    >>> def update(state, value, n_bases):
    ...     return max(state, value * n_bases)
    >>> def finish(state, window_size, default):
    ...     return state
    >>> check(Statistic("largest item", init, update, finish)).ok
    True
    >>> check(lambda value, track: value / 2 if track == 1 else value).ok
    True
    """
    subject = _subject_of(import_object(own) if isinstance(own, str) and ":" in own else own)
    try:
        subject.compile()
    except ConfigError as error:
        return CheckResult(subject.name, subject.kind, problems=(str(error),))
    no_cuda, no_assembler = why_no_cuda(), why_no_assembler()
    if capability is None:
        capability = DEFAULT_CAPABILITY if no_cuda else _capability()
    devices = ["cpu"] if no_cuda else ["cpu", "cuda"]
    comparisons = tuple(subject.compare(devices, [os.fspath(path) for path in files], seed))
    code = of_reference = None
    if no_assembler is None:
        code, of_reference = (assemble(*kernel, capability) for kernel in subject.kernels())
    wrong = [each for each in comparisons if each.first_wrong]
    undefined = [each.first_undefined for each in comparisons if each.first_undefined]
    missing = {"not compared and timed on a GPU": no_cuda, "no machine code": no_assembler}
    return CheckResult(
        subject.name,
        subject.kind,
        problems=tuple(f"{each.where}: {each.first_wrong}" for each in wrong[:1]),
        warnings=(
            *_warnings_of_functions(subject.functions()),
            *(f"{text}. Say with an `if` what it shall be." for text in undefined[:1]),
            *_warnings_of_code(code, of_reference, subject.reference),
        ),
        comparisons=comparisons,
        capability=capability,
        code=code,
        code_of_reference=of_reference,
        reference=subject.reference,
        speed=None if no_cuda else subject.measure_speed(),
        notes=tuple(f"{what}: {why}" for what, why in missing.items() if why),
    )


def _subject_of(own: Any) -> Subject:
    """What can be checked, of an object or a name."""
    if isinstance(own, str):
        return _named(own)
    if isinstance(own, Statistic):
        return StatisticSubject([own])
    if isinstance(own, SequenceEncoder):
        return EncoderSubject(own)
    several = own if isinstance(own, list | tuple) and own else [own]
    if all(isinstance(each, Statistic | str) for each in several):
        return StatisticSubject([each if isinstance(each, Statistic) else get_statistic(each) for each in several])
    if all(isinstance(each, Transform) or _is_function_of_values(each) for each in several):
        return TransformSubject(own)
    message = (
        f"cannot check {own!r}, expected a Statistic or a list of them, a SequenceEncoder, a transform or a list of "
        "them, a function of (value) or (value, track), or the name of a statistic or encoder"
    )
    raise ConfigError(message, argument="own", value=own)


def _named(name: str) -> Subject:
    try:
        return StatisticSubject([get_statistic(name)])
    except ConfigError as unknown:
        try:
            encoder = get_encoder(name)
        except ConfigError:
            raise unknown from None
        return _subject_of(encoder)


def _is_function_of_values(given: Any) -> bool:
    if not callable(given) or isinstance(given, type):
        return False
    try:
        return len(inspect.signature(getattr(given, "py_func", given)).parameters) in (1, 2)
    except (TypeError, ValueError):  # written in C
        return False


def _capability() -> tuple[int, int]:
    gpu: Any = importlib.import_module("bigwig_numba.checking.gpu")
    return gpu.capability()  # type: ignore[no-any-return]


def _warnings_of_functions(functions: Mapping[str, Any]) -> list[str]:
    found = []
    for part, function in functions.items():
        as_numba = "its arithmetic is Numba's: 64 bits where whole numbers meet floats, and fused on the GPU"
        if not isinstance(function, FunctionType):
            found.append(f"{part} was made by numba.njit, so {as_numba}. Hand over the plain function.")
        elif not has_source(function):
            found.append(f"Python has no source of {part}, so {as_numba}. Define it in a file or a notebook's cell.")
    return found


def _warnings_of_code(code: MachineCode | None, of_reference: MachineCode | None, reference: str) -> list[str]:
    found = list[str]()
    if code is None or of_reference is None:
        return found
    if code.n_float64:
        found.append(
            f"{code.n_float64} instructions on 64-bit floats, which most GPUs are 32 or 64 times slower at. They come "
            "from numpy.float64, or from a function of 64-bit numbers: wrap its argument in numpy.float32(...)."
        )
    if code.n_fusable > of_reference.n_fusable:
        found.append(
            f"{code.n_fusable} sums may be fused with a product, in functions of `math` or in functions made by "
            f"numba.njit, of which the built-in {reference} has {of_reference.n_fusable}: the GPU's numbers may differ "
            "from the CPU's in the last place."
        )
    if code.spill_bytes:
        found.append(f"registers do not suffice: {code.spill_bytes} bytes go through memory. Keep fewer numbers.")
    if code.registers > max(FEW_REGISTERS, of_reference.registers + MORE_REGISTERS):
        found.append(f"{code.registers} registers, so a multiprocessor runs fewer threads. Keep fewer numbers.")
    return found
