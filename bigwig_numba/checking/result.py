"""What a check found: comparisons with plain Python, machine code, speed. Printed, it is a report."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .assembly import MachineCode

__all__ = ["CheckResult", "Comparison", "Speed"]

DEFAULT_CAPABILITY = (9, 0)
WORDS = {
    "registers": "registers",
    "spill_bytes": "bytes spilled",
    "n_float64": "64-bit float instructions (PTX)",
    "n_int64": "64-bit integer instructions (PTX)",
    "n_fusable": "sums that may be fused (PTX)",
    "n_sass_float64": "64-bit float instructions (SASS)",
    "n_sass_int64": "64-bit integer instructions (SASS)",
    "n_instructions": "instructions (SASS)",
}
"""Attributes of ``MachineCode`` in the order of the report."""


@dataclass(frozen=True)
class Comparison:
    """Numbers of one kind, compared with plain Python.

    Parameters
    ----------
    where
        On which device, and numbers of what.
    n_numbers
        How many.
    n_same
        How many are the same to the last bit; any NaN is the same as any other.
    n_close
        How many of the others differ by rounding: within a millionth, or by one step of a 16-bit type.
    n_undefined
        Of how many Python says that they have no value (``math.sqrt(-1.0)`` raises), where compiled code gives NaN or
        infinity.
    first_wrong, first_undefined
        What the first of the rest, and the first of these, is; empty if there is none.
    """

    where: str
    n_numbers: int
    n_same: int
    n_close: int
    n_undefined: int = 0
    first_wrong: str = ""
    first_undefined: str = ""

    def __str__(self) -> str:
        n_wrong = self.n_numbers - self.n_same - self.n_close - self.n_undefined
        more = {"the same but for rounding": self.n_close, "undefined": self.n_undefined, "WRONG": n_wrong}
        rest = "".join(f", {count:,} {words}" for words, count in more.items() if count)
        return f"{self.where:<36} {self.n_numbers:>6,} numbers: {self.n_same:,} the same to the last bit{rest}"


@dataclass(frozen=True)
class Speed:
    """How fast the kernel is.

    Parameters
    ----------
    gpu
        Its name.
    own, reference
        GB/s, of what is one's own and of the built-in one.
    what
        Which bytes are counted, and of what.
    """

    gpu: str
    own: float
    reference: float
    what: str


@dataclass(frozen=True)
class CheckResult:
    """What ``check`` found; ``print`` it.

    Parameters
    ----------
    name
        Of what was checked.
    kind
        ``"statistic"``, ``"sequence encoder"`` or ``"track transform"``.
    problems
        What is wrong, as advice; empty if nothing is.
    warnings
        What could be better.
    comparisons
        With plain Python, a line for each kind of numbers.
    capability
        Compute capability that was compiled for.
    code, code_of_reference
        The kernel with one's own functions, and with the built-in ones; None where NVIDIA's assembler is missing.
    reference
        What the built-in one is: ``"mean"``, ``"one-hot"`` or ``"scale"``.
    speed
        GB/s beside the built-in one; None without a GPU.
    notes
        What was left out, and why.
    """

    name: str
    kind: str
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    capability: tuple[int, int] = DEFAULT_CAPABILITY
    code: MachineCode | None = None
    code_of_reference: MachineCode | None = None
    reference: str = ""
    speed: Speed | None = None
    notes: tuple[str, ...] = ()

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
                f"  {speed.gpu}, {speed.what}: {speed.own:.1f} GB/s, {self.reference} {speed.reference:.1f} GB/s"
            )
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])

    def _code_lines(self) -> list[str]:
        if self.code is None or self.code_of_reference is None:
            return []
        lines = [f"{f'sm_{self.capability[0]}{self.capability[1]}':<36} {'own':>8} {self.reference:>8}"]
        for attribute, text in WORDS.items():
            own, reference = getattr(self.code, attribute), getattr(self.code_of_reference, attribute)
            if own is not None:
                lines.append(f"{text:<36} {own:>8,} {reference:>8,}")
        return lines
