"""Numbers of compiled functions beside those of plain Python: the same, the same but for rounding, or wrong."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .result import Comparison

__all__ = ["DTYPES", "Answers", "compare", "numbers_of", "stored_as"]

CLOSE = 1e-6
"""Of the number, or of the largest that it was made from, up to 1: so close are float32 that agree, as ``math`` is not
exact, and what Python calculates without a float32 has 64 bits."""
STEPS = {"float32": CLOSE, "float16": 2.0**-10, "bfloat16": 2.0**-7}
"""Distance of neighbouring numbers of a type, relative to them."""
DTYPES = tuple(STEPS)


@dataclass(frozen=True)
class _Raised:
    """What plain Python raised instead of an answer."""

    text: str
    is_arithmetic: bool

    @classmethod
    def of(cls, error: Exception) -> _Raised:
        line = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} (line {line.lineno} of {line.filename}: {line.line})"
        return cls(text, isinstance(error, ValueError | ArithmeticError))


@dataclass(frozen=True, eq=False)
class Answers:
    """What plain Python gives.

    Parameters
    ----------
    expected : (N,) float32
        NaN where it raised something.
    raised
        Number of the answer to what was raised.
    """

    expected: npt.NDArray[np.float32]
    raised: dict[int, _Raised]

    @classmethod
    def of(cls, function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> Answers:
        """Call the function with each of these arguments."""
        expected, raised = list[float](), dict[int, _Raised]()
        for number, each in enumerate(arguments):
            try:
                expected.append(function(*each))
            except Exception as error:  # noqa: BLE001 - the user's code may raise anything, and is told what
                expected.append(np.nan)
                raised[number] = _Raised.of(error)
        return cls(np.array(expected, np.float32), raised)

    @classmethod
    def joined(cls, several: Iterable[Answers]) -> Answers:
        """One after another."""
        listed = list(several)
        places = np.cumsum([0, *(each.expected.size for each in listed)]).tolist()
        raised = {
            place + number: what
            for place, each in zip(places, listed, strict=False)
            for number, what in each.raised.items()
        }
        return cls(np.concatenate([each.expected for each in listed]), raised)


def compare(
    where: str,
    answers: Answers,
    compiled: npt.NDArray[Any],
    *,
    scales: npt.NDArray[Any] | float,
    describe: Callable[[int], str],
    dtype: str = "float32",
) -> Comparison:
    """Compare numbers.

    Parameters
    ----------
    where
        Of which kind.
    answers
        N of plain Python.
    compiled : (N,)
        As stored: float32, float16, or uint16 with the bits of bfloat16.
    scales : (N,) or one
        Largest number that each was made from: near 0, sums of numbers of other signs lose digits.
    describe
        What answer number i is of.
    dtype
        Of the compiled numbers.
    """
    found = numbers_of(compiled, dtype)
    expected = numbers_of(stored_as(answers.expected, dtype), dtype)
    failed = np.zeros(expected.size, np.bool_)
    failed[list(answers.raised)] = True
    arithmetic = np.zeros_like(failed)
    arithmetic[[i for i, raised in answers.raised.items() if raised.is_arithmetic]] = True
    undefined = arithmetic & ~np.isfinite(found)
    same = ~failed & (np.isnan(expected) & np.isnan(found) | (expected.view(np.uint32) == found.view(np.uint32)))
    with np.errstate(invalid="ignore"):
        within = np.maximum(STEPS[dtype] * np.abs(expected), CLOSE * np.minimum(1.0, scales))
        if dtype == "float16":
            within = np.maximum(within, 2.0**-24)  # the step of those below 2**-14
        close = ~failed & ~same & (np.abs(found.astype(np.float64) - expected) <= within)
    wrong = np.flatnonzero(~(same | close | undefined))

    def say(i: int) -> str:
        answer = f"raises {answers.raised[i].text}" if i in answers.raised else f"gives {expected[i]}"
        return f"of {describe(i)} plain Python {answer}, compiled it gives {found[i]}"

    return Comparison(
        where,
        expected.size,
        int(same.sum()),
        int(close.sum()),
        int(undefined.sum()),
        first_wrong=say(int(wrong[0])) if wrong.size else "",
        first_undefined=say(int(undefined.argmax())) if undefined.any() else "",
    )


def stored_as(values: npt.NDArray[np.float32], dtype: str) -> npt.NDArray[Any]:
    """Numbers as batches hold them, rounded to nearest even; bfloat16 as its bits."""
    if dtype != "bfloat16":
        with np.errstate(over="ignore"):
            return values.astype(dtype)
    bits = values.view(np.uint32).astype(np.uint64)
    rounded = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded)


def numbers_of(stored: npt.NDArray[Any], dtype: str) -> npt.NDArray[np.float32]:
    """What stored numbers are, flat."""
    flat = np.ascontiguousarray(stored).reshape(-1)
    if dtype == "bfloat16":
        return (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.astype(np.float32)
