"""Plain functions compiled: the same numbers as in Python, of the same types, and errors that help."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.importing import import_object
from bigwig_numba.kernels.arithmetic import bits_from_float, float_from_bits, fused_multiply_add
from bigwig_numba.kernels.compiling import compile_function, explain_error, has_source

GLOBAL = 2.5
PAIR = (0.1, 3)
any_number = st.floats(allow_nan=True, width=32)


def helper(value, n=2):  # type: ignore[no-untyped-def]
    return value * GLOBAL + n


def products(value, n):  # type: ignore[no-untyped-def]
    return value * n + GLOBAL, 2 * value, value / 3, n / value if value != 0 else 0.0, -value


def whole_numbers(value, n):  # type: ignore[no-untyped-def]
    return n * n + 1, n - 7, n // 3, n % 5, n << 2 & 6


def powers(value, n):  # type: ignore[no-untyped-def]
    return value**2, n**2, n**0.5, math.log(n), math.exp(-abs(value))


def assignments(value, n):  # type: ignore[no-untyped-def]
    total = value
    total += n
    total *= 0.1
    total -= math.pi
    total /= n
    for i in range(3):
        total += i * value
    return total


def comparisons(value, n):  # type: ignore[no-untyped-def]
    return value < n, value <= 0.1, n > 2.5, n >= 3, value == value, value != n, 0 < n < 5


def extremes(value, n):  # type: ignore[no-untyped-def]
    return min(value, n), max(1, value, n * 0.5), max(n, 4), abs(value)


def calls(value, n):  # type: ignore[no-untyped-def]
    return helper(value), helper(value, n), float(n) * value, PAIR[0] * value + PAIR[1]


def roots(value, n):  # type: ignore[no-untyped-def]
    return math.sqrt(n) * value, math.sqrt(abs(value))


def make_closure() -> Callable[..., Any]:
    factor, shift = 0.3, (1, 0.7)

    def inner(value, n):  # type: ignore[no-untyped-def]
        return value * factor + shift[0] * shift[1] + n

    return inner


def two_lambdas() -> tuple[Callable[..., Any], Callable[..., Any]]:
    return (lambda value, n: value * 0.1 + n), (lambda value, n: (value - 0.1, n) if n > 2 else (value + 0.1, n))


FUNCTIONS = (
    *(products, whole_numbers, assignments, comparisons, extremes, calls, roots),
    *(make_closure(), *two_lambdas()),
)


def as_kept(answer: Any) -> list[Any]:
    """Numbers as a statistic's state keeps them."""
    numbers = answer if isinstance(answer, tuple) else (answer,)
    return [np.float32(number) if isinstance(number, float | np.floating) else int(number) for number in numbers]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__qualname__.replace(".<locals>", ""))
@given(value=any_number, n=st.integers(1, 1 << 24))
def test_numbers_are_those_of_python_to_the_last_bit(function: Any, value: float, n: int) -> None:
    with np.errstate(all="ignore"):
        ours, theirs = compile_function(function)(np.float32(value), n), function(np.float32(value), n)
    np.testing.assert_equal(as_kept(ours), as_kept(theirs))


@given(value=any_number, n=st.integers(1, 1 << 24))
def test_powers_and_logarithms_are_those_of_python_but_for_the_last_places(value: float, n: int) -> None:
    with np.errstate(all="ignore"):
        ours, theirs = compile_function(powers)(np.float32(value), n), powers(np.float32(value), n)
    np.testing.assert_allclose(as_kept(ours), as_kept(theirs), rtol=1e-6, atol=2.0**-126)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (products, "UniTuple(float32 x 5)"),
        (whole_numbers, "UniTuple(int64 x 5)"),
        (assignments, "float32"),
        (extremes, "Tuple(float32, float32, int64, float32)"),
        (calls, "UniTuple(float32 x 4)"),
        (roots, "UniTuple(float32 x 2)"),
        (make_closure(), "float32"),
    ],
)
def test_floats_have_32_bits_and_whole_numbers_64(function: Any, expected: str) -> None:
    compiled = compile_function(function)
    compiled(np.float32(1), 3)
    assert [str(signature.return_type) for signature in compiled.nopython_signatures] == [expected]


def test_who_asks_for_64_bits_gets_them() -> None:
    def precise(value):  # type: ignore[no-untyped-def]
        return np.float64(value) * 0.5 + 1

    assert compile_function(precise)(np.float32(0.1)) == np.float64(np.float32(0.1)) * 0.5 + 1


def test_division_by_zero_is_infinite_and_raises_nothing() -> None:
    def ratio(left, right):  # type: ignore[no-untyped-def]
        return left / right

    assert compile_function(ratio)(1, 0) == math.inf
    assert compile_function(ratio)(np.float32(-1), 0) == -math.inf
    assert math.isnan(compile_function(ratio)(0, 0))


def fused(left, right, addend):  # type: ignore[no-untyped-def]
    return fused_multiply_add(left, right, addend), fused_multiply_add(left, right, -(left * right))


@given(left=any_number, right=any_number, addend=any_number)
def test_arithmetic_for_python_is_that_of_the_processor(left: float, right: float, addend: float) -> None:
    numbers = [np.float32(number) for number in (left, right, addend)]
    with np.errstate(all="ignore"):
        np.testing.assert_equal(compile_function(fused)(*numbers), fused(*numbers))


def there_and_back(word):  # type: ignore[no-untyped-def]
    return bits_from_float(float_from_bits(word))


@given(word=st.integers(0, 2**32 - 1).filter(lambda word: word & 0x7FFFFFFF <= 0x7F800000))
def test_bits_of_floats_are_those_of_the_processor(word: int) -> None:
    assert compile_function(there_and_back)(np.uint32(word)) == there_and_back(word) == word


# --- where the source comes from


def write_module(path: Path, body: str) -> Callable[..., Any]:
    path.write_text(f"def scaled(value, n):\n    return {body}\n", encoding="utf-8")
    return import_object(f"{path}:scaled")  # type: ignore[no-any-return]


def test_a_function_without_source_is_compiled_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    namespace: dict[str, Any] = {}
    exec("def scaled(value, n): return value * n", namespace)
    with caplog.at_level(logging.WARNING, "bigwig_numba"):
        assert compile_function(namespace["scaled"])(np.float32(2), 3) == 6
    assert "no source of scaled" in caplog.text
    assert not has_source(namespace["scaled"])
    assert has_source(helper)


def test_a_file_that_was_changed_since_it_was_imported_is_not_believed(tmp_path: Path) -> None:
    scaled = write_module(tmp_path / "mine.py", "value * n")
    (tmp_path / "mine.py").write_text("def scaled(value, n):\n    return value - n\n", encoding="utf-8")
    assert not has_source(scaled)
    assert compile_function(scaled)(np.float32(2), 3) == 6


def test_a_file_that_was_not_is(tmp_path: Path) -> None:
    scaled = write_module(tmp_path / "mine.py", "value * n")
    assert has_source(scaled)
    assert compile_function(scaled)(np.float32(2), 3) == 6


# --- what cannot be compiled


def error_of(function: Callable[..., Any]) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - Numba's errors are of many types
        compile_function(function)((np.float32(1), np.float32(2)))
    return explain_error(caught.value)


def wrong_operand(state):  # type: ignore[no-untyped-def]
    return state + 1


def wrong_place(state):  # type: ignore[no-untyped-def]
    return state[7]


def wrong_method(state):  # type: ignore[no-untyped-def]
    return state[0].mean()


def unknown_name(state):  # type: ignore[no-untyped-def]
    return nowhere_to_be_found(state)  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "words", "code"),
    [
        (wrong_operand, "expected numbers, not UniTuple(float32 x 2) and Literal[int](1)", "return state + 1"),
        (wrong_place, "tuple index out of range", "return state[7]"),
        (wrong_method, "Unknown attribute 'mean' of type float32", "return state[0].mean()"),
        (unknown_name, "name 'nowhere_to_be_found' is not defined", ""),
    ],
)
def test_an_error_says_what_is_wrong_and_in_which_line(function: Any, words: str, code: str) -> None:
    message = error_of(function)
    assert words.partition(" and ")[0] in message
    assert code in message
    assert len(message) < 300
