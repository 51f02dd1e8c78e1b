"""Check one's own statistic: the numbers, the machine code, the speed, and what to do about each."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from types import FunctionType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bigwig import open as open_bigwig
from ..collection import BigWigCollection
from ..engine.choose import why_no_cuda
from ..errors import ConfigError
from ..kernels.compiling import has_source
from ..kernels.statistics import Statistic, get_statistic
from .assembly import MachineCode, assemble, why_no_assembler
from .sections import Bin, Section, answer_compiled, answer_plain, bins_of, made_sections

__all__ = ["CheckResult", "Comparison", "check"]

CLOSE = 1e-6
"""Of the number, or of the bin's largest value up to 1: so close are numbers that agree. ``math`` is not exact."""
DEFAULT_CAPABILITY = (9, 0)
MORE_REGISTERS = 16  # than the mean's kernel has
WINDOW, WINDOW_SIZE, N_WINDOWS = 4_096, 128, 8  # of each real file


@dataclass(frozen=True)
class Comparison:
    """Bins of one kind, compared with plain Python.

    Parameters
    ----------
    where
        On which device, and bins of what.
    n_bins
        How many.
    n_same
        How many are the same to the last bit; any NaN is the same as any other.
    n_close
        How many of the others are within a millionth.
    first_wrong
        What the first of the rest gives; empty if all agree.
    """

    where: str
    n_bins: int
    n_same: int
    n_close: int
    first_wrong: str = ""

    def __str__(self) -> str:
        n_wrong = self.n_bins - self.n_same - self.n_close
        close = f", {self.n_close:,} within a millionth" if self.n_close else ""
        wrong = f", {n_wrong:,} WRONG" if n_wrong else ""
        return f"{self.where:<36} {self.n_bins:>6,} bins: {self.n_same:,} the same to the last bit{close}{wrong}"


@dataclass(frozen=True)
class CheckResult:
    """What ``check`` found; ``print`` it.

    Parameters
    ----------
    name
        Of the statistic.
    problems
        What is wrong, as advice; empty if nothing is.
    warnings
        What could be better.
    comparisons
        With plain Python, a line for each kind of bins.
    capability
        Compute capability that was compiled for.
    code, code_of_mean
        The reduce kernel of the statistic and of the built-in mean; None where NVIDIA's assembler is missing.
    speed
        GB/s beside the mean; None without a GPU.
    notes
        What was left out, and why.
    """

    name: str
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    capability: tuple[int, int] = DEFAULT_CAPABILITY
    code: MachineCode | None = None
    code_of_mean: MachineCode | None = None
    speed: Any | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; warnings may be left."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"ok": self.ok}

    def __repr__(self) -> str:
        verdict = "right" if self.ok else "WRONG"
        lines = [f"{self.name}: {verdict}" + (", with warnings" if self.ok and self.warnings else "")]
        lines += [f"  problem: {problem}" for problem in self.problems]
        lines += [f"  warning: {warning}" for warning in self.warnings]
        lines += [f"  {comparison}" for comparison in self.comparisons]
        lines += [f"  {line}" for line in self._code_lines()]
        if self.speed is not None:
            speed = self.speed
            lines.append(
                f"  {speed.gpu}, bins of {speed.window_size}: {speed.own:.1f} GB/s, mean {speed.mean:.1f} GB/s"
            )
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])

    def _code_lines(self) -> list[str]:
        if self.code is None or self.code_of_mean is None:
            return []
        words = {
            "registers": "registers",
            "spill_bytes": "bytes spilled",
            "n_float64": "64-bit float instructions (PTX)",
            "n_int64": "64-bit integer instructions (PTX)",
            "n_fusable": "sums that may be fused (PTX)",
            "n_sass_float64": "64-bit float instructions (SASS)",
            "n_instructions": "instructions (SASS)",
        }
        lines = [f"{f'sm_{self.capability[0]}{self.capability[1]}':<36} {'own':>6} {'mean':>6}"]
        for attribute, text in words.items():
            own, mean = getattr(self.code, attribute), getattr(self.code_of_mean, attribute)
            if own is not None:
                lines.append(f"{text:<36} {own:>6,} {mean:>6,}")
        return lines


def check(
    statistic: str | Statistic,
    files: Iterable[str | os.PathLike[str]] = (),
    *,
    capability: tuple[int, int] | None = None,
    seed: int = 0,
) -> CheckResult:
    """Compare a statistic with itself in plain Python, and say what the compilers made of it.

    Compared are bins of made sections: all section types in both byte orders, bins of 1 to 1,000 bases, empty ones, NaN
    stored in the file, values from 1e-12 to 1e12, and the defaults 0, 2.5 and NaN. Where there is a GPU, it answers the
    same bins, and is timed.

    Parameters
    ----------
    statistic
        One's own; the name of a built-in one for comparison.
    files
        Real files, of which random windows are compared too.
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
        Something else than a statistic.

    Examples
    --------
    >>> def init():
    ...     return 0.0
    >>> def update(state, value, n_bases):
    ...     return max(state, value * n_bases)
    >>> def finish(state, window_size, default):
    ...     return state
    >>> result = check(Statistic("largest item", init, update, finish))
    >>> result.ok
    True
    """
    given: Any = statistic
    if not isinstance(given, str | Statistic):
        message = f"cannot check {statistic!r}, expected a Statistic (or the name of a built-in one)"
        raise ConfigError(message, argument="statistic", value=statistic)
    name = statistic if isinstance(statistic, str) else statistic.name
    try:
        found = get_statistic(statistic)
    except ConfigError as error:
        if isinstance(statistic, str):
            raise
        return CheckResult(name, problems=(str(error),))
    no_cuda = why_no_cuda()
    gpu: Any = None if no_cuda else importlib.import_module("bigwig_numba.checking.gpu")
    if capability is None:
        capability = DEFAULT_CAPABILITY if gpu is None else gpu.capability()
    comparisons = _compare_made(found, made_sections(seed), gpu)
    comparisons += [_compare_file(found, os.fspath(path), gpu, seed) for path in files]
    notes = [] if gpu else [f"not compared and timed on a GPU: {no_cuda}"]
    no_assembler = why_no_assembler()
    code = of_mean = None
    if no_assembler:
        notes.append(f"no machine code: {no_assembler}")
    else:
        code, of_mean = (assemble(each, capability) for each in (found, get_statistic("mean")))
    wrong = [each for each in comparisons if each.first_wrong]
    problems = [f"{wrong[0].where}: {wrong[0].first_wrong}"] if wrong else []
    return CheckResult(
        name,
        problems=tuple(problems),
        warnings=tuple(_warnings(found, code, of_mean)),
        comparisons=tuple(comparisons),
        capability=capability,
        code=code,
        code_of_mean=of_mean,
        speed=None if gpu is None else gpu.measure_speed(found, get_statistic("mean")),
        notes=tuple(notes),
    )


def _compare_made(statistic: Statistic, sections: Sequence[Section], gpu: Any) -> list[Comparison]:
    """A comparison per section on the CPU, and one of all bins on the GPU."""
    comparisons, every_bin, every_answer = [], list[Bin](), list[np.float32 | str]()
    for section in sections:
        bins, plain, compiled = list[Bin](), list[np.float32 | str](), []
        for left, some in bins_of(section):
            bins += some
            plain += [answer_plain(statistic, each) for each in some]
            compiled.append(answer_compiled(statistic, section, left, some))
        comparisons.append(_compare(f"CPU: {section.name}", bins, plain, np.concatenate(compiled)))
        every_bin += bins
        every_answer += plain
    if gpu is not None:
        comparisons.append(
            _compare("GPU: all of these", every_bin, every_answer, gpu.answer_on_gpu(statistic, every_bin))
        )
    return comparisons


def _compare_file(statistic: Statistic, path: str, gpu: Any, seed: int) -> Comparison:
    """Random windows of a real file, through a collection on the GPU if there is one."""
    with open_bigwig(path) as bigwig, BigWigCollection([path], device="cpu" if gpu is None else "cuda") as collection:
        rng = np.random.default_rng(seed)
        names = list(bigwig.chroms)
        lengths = np.array([bigwig.chroms[name] for name in names])
        chosen = rng.choice(len(names), N_WINDOWS, p=lengths / lengths.sum())
        starts = (rng.random(N_WINDOWS) * np.maximum(0, lengths[chosen] - WINDOW)).astype(np.int64)
        chromosomes = [names[number] for number in chosen]
        batch = collection.get_batch(chromosomes, starts, starts + WINDOW, WINDOW_SIZE, statistic=statistic)
        compiled = np.asarray(batch.get() if hasattr(batch, "get") else batch)[:, :, 0].ravel()
        bins = [
            Bin(_items_of_file(bigwig, chrom, edge, edge + WINDOW_SIZE), WINDOW_SIZE, 0.0)
            for chrom, start in zip(chromosomes, starts.tolist(), strict=True)
            for edge in range(start, start + WINDOW, WINDOW_SIZE)
        ]
    plain = [answer_plain(statistic, each) for each in bins]
    return _compare(f"{'CPU' if gpu is None else 'GPU'}: {os.path.basename(path)}", bins, plain, compiled)


def _items_of_file(bigwig: Any, chrom: str, start: int, end: int) -> tuple[tuple[np.float32, int], ...]:
    end = min(end, bigwig.chroms[chrom])
    found = bigwig.intervals(chrom, start, end) if start < end else None
    if found is None:
        return ()
    lengths = np.minimum(found.ends, end) - np.maximum(found.starts, start)
    kept = ~np.isnan(found.values) & (lengths > 0)
    return tuple(zip(found.values[kept], lengths[kept].tolist(), strict=True))


def _compare(
    where: str, bins: Sequence[Bin], plain: Sequence[np.float32 | str], compiled: npt.NDArray[np.float32]
) -> Comparison:
    failed = np.array([isinstance(answer, str) for answer in plain])
    expected = np.array([np.nan if isinstance(answer, str) else answer for answer in plain], np.float32)
    both_nan = np.isnan(expected) & np.isnan(compiled)
    same = ~failed & (both_nan | (expected.view(np.uint32) == compiled.view(np.uint32)))
    with np.errstate(invalid="ignore"):
        largest = np.array([max((abs(value) for value, _ in each.items), default=0.0) for each in bins])
        within = CLOSE * np.maximum(np.abs(expected), np.minimum(1.0, largest))  # sums of other signs lose digits
        close = ~failed & ~same & (np.abs(compiled - expected) <= within)
    wrong = np.flatnonzero(~(same | close))
    first_wrong = ""
    if wrong.size:
        i = int(wrong[0])
        answer = f"raises {plain[i]}" if failed[i] else f"gives {plain[i]}"
        first_wrong = f"of {bins[i]} plain Python {answer}, compiled it gives {compiled[i]}"
    return Comparison(where, len(bins), int(same.sum()), int(close.sum()), first_wrong)


def _warnings(statistic: Statistic, code: MachineCode | None, of_mean: MachineCode | None) -> list[str]:
    found = []
    for part in ("init", "update", "finish"):
        function = getattr(statistic, part)
        as_numba = "its arithmetic is Numba's: 64 bits where whole numbers meet floats, and fused on the GPU"
        if not isinstance(function, FunctionType):
            found.append(f"{part} was made by numba.njit, so {as_numba}. Hand over the plain function.")
        elif not has_source(function):
            found.append(f"Python has no source of {part}, so {as_numba}. Define it in a file or a notebook's cell.")
    if code is None or of_mean is None:
        return found
    if code.n_float64:
        found.append(
            f"{code.n_float64} instructions on 64-bit floats, which most GPUs are 32 or 64 times slower at. They come "
            "from numpy.float64, or from a function of 64-bit numbers: wrap its argument in numpy.float32(...)."
        )
    if code.n_fusable:
        found.append(
            f"{code.n_fusable} sums may be fused with a product, in functions of `math` or in functions made by "
            "numba.njit: the GPU's numbers may differ from the CPU's in the last place."
        )
    if code.spill_bytes:
        found.append(f"registers do not suffice: {code.spill_bytes} bytes go through memory. Make the state smaller.")
    if code.registers > of_mean.registers + MORE_REGISTERS:
        found.append(f"{code.registers} registers, so a multiprocessor runs fewer threads. Make the state smaller.")
    return found
