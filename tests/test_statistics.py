"""Statistics of a bin: the same in Python and compiled, and NumPy's float64 answers to a millionth."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from bigwig_numba.errors import ConfigError
from bigwig_numba.kernels.statistic import device_functions
from bigwig_numba.kernels.statistics import builtin_statistics, get_statistic
from tests.painting import STATISTICS, reduce_bins

NAN, INF = math.nan, math.inf
LARGEST = float(np.finfo(np.float32).max)
Items = list[tuple[float, int]]
"""Values, each with the bases of the bin that it covers."""

every_statistic = pytest.mark.parametrize("name", STATISTICS)
moderate = st.floats(-1e6, 1e6, width=32)
any_number = st.floats(allow_nan=False, width=32)


def items_of(values: st.SearchStrategy[float]) -> st.SearchStrategy[Items]:
    return st.lists(st.tuples(values, st.integers(1, 300)), max_size=30)


# --- the same source, compiled and not


@functools.cache
def compiled(name: str) -> Callable[..., np.float32]:
    """A bin's answer from arrays of values and lengths, as the kernels compute it."""
    init, update, finish = device_functions(get_statistic(name))

    @njit
    def answer(values, lengths, window_size, default):  # type: ignore[no-untyped-def]
        state = init()
        for i in range(values.size):
            state = update(state, values[i], np.int64(lengths[i]))
        return finish(state, np.int64(window_size), default)

    return answer


def plain(name: str) -> Callable[..., np.float32]:
    """The same without a compiler."""

    def answer(values: Any, lengths: Any, window_size: Any, default: Any) -> np.float32:
        items = zip(values, lengths, strict=True)
        return get_statistic(name).of_items(items, window_size=window_size, default_value=default)

    return answer


def answer(
    name: str,
    values: npt.ArrayLike,
    lengths: npt.ArrayLike = 1,
    *,
    uncovered: int = 0,
    default: float = NAN,
    how: Callable[[str], Callable[..., np.float32]] = compiled,
) -> np.float32:
    """What our function makes of a bin of items and `uncovered` bases; `lengths` one for all, or one each."""
    values = np.asarray(values, np.float32)
    lengths = np.broadcast_to(np.asarray(lengths, np.uint32), values.shape).copy()
    window_size = np.uint32(int(lengths.sum()) + uncovered)
    return np.float32(how(name)(values, lengths, window_size, np.float32(default)))


def expected(
    name: str, values: npt.ArrayLike, lengths: npt.ArrayLike = 1, *, uncovered: int = 0, default: float = NAN
) -> float:
    """What the bin's bases, one by one, reduce to in float64."""
    bases = np.repeat(np.asarray(values, np.float32), lengths)
    bases = np.concatenate([bases, np.full(uncovered, NAN, np.float32)])
    return float(reduce_bins(bases, len(bases), statistic=name, default_value=default)[0])


def assert_right(
    name: str, values: npt.ArrayLike, lengths: npt.ArrayLike = 1, rtol: float = 1e-6, atol: float = 0, **options: Any
) -> None:
    ours, theirs = answer(name, values, lengths, **options), expected(name, values, lengths, **options)
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)


def unzip(items: Items) -> tuple[list[float], list[int]]:
    return [value for value, _ in items], [length for _, length in items]


def bits(value: float | np.float32) -> int:
    """Of any NaN the same."""
    return int(np.float32(NAN if np.isnan(value) else value).view(np.uint32))


@every_statistic
@given(items=items_of(any_number), uncovered=st.integers(0, 50), default=st.sampled_from([0.0, -0.0, 2.5, NAN, INF]))
def test_compiled_and_plain_python_give_the_same_bits(name: str, items: Items, uncovered: int, default: float) -> None:
    options = {"uncovered": uncovered or not items, "default": default}
    ours, theirs = answer(name, *unzip(items), **options), answer(name, *unzip(items), **options, how=plain)
    if name == "log_mean":  # logarithms of C and of Python differ in the last place
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=2.0**-16)
    else:
        assert bits(ours) == bits(theirs)


# --- against float64


@every_statistic
@given(items=items_of(moderate), uncovered=st.integers(0, 50), default=st.sampled_from([0.0, 2.5, NAN]))
def test_every_statistic_is_numpys_to_a_millionth(name: str, items: Items, uncovered: int, default: float) -> None:
    # Sums whose terms cancel are right to 40 bits of the largest term; below 2**-126 float32 has fewer digits.
    atol = 2.0**-40 * max([abs(value) for value, _ in items], default=0.0) + 2.0**-126
    assert_right(name, *unzip(items), uncovered=uncovered + (not items), default=default, atol=atol)


@functools.cache
def a_million_values() -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).gamma(0.5, size=1_000_000).astype(np.float32)


@every_statistic
@pytest.mark.parametrize("uncovered", [0, 7])
@pytest.mark.parametrize("first", [0.1, 1e4, -3e-5])
def test_a_million_items_of_a_base(name: str, first: float, uncovered: int) -> None:
    values = a_million_values().copy()
    values[0] = first
    # Squares are of differences from the first value: one 1,000 deviations off costs their sum 20 bits of 48.
    far_off = name == "std" and first == 1e4
    assert_right(name, values, uncovered=uncovered, default=2.5, rtol=1e-4 if far_off else 1e-6)


@every_statistic
@pytest.mark.parametrize("default", [0.0, 2.5, NAN])
def test_millions_of_bases_of_long_items(name: str, default: float) -> None:
    values, lengths = [0.1, 7.3, -0.3, 1e-3, 0.1], [999_983, 77_777, 1_200_007, 1, 54_321]
    assert_right(name, values, lengths, uncovered=12_345, default=default)


@pytest.mark.parametrize(
    "values",
    {
        "a small one between large ones": [1e8, 1.0, -1e8],
        "small ones under large ones": [3e9, *[0.1] * 10, -3e9],
        "a long alternation": [*[16_777_217.0, -16_777_216.0] * 5_000, 0.25],
        "ever smaller": [*(2.0**-i for i in range(40)), *(-(2.0**-i) for i in range(39))],
    }.values(),
)
@pytest.mark.parametrize("name", ["sum", "mean"])
def test_sums_whose_terms_cancel_keep_what_is_left(name: str, values: list[float]) -> None:
    exact = math.fsum(np.asarray(values, np.float32).tolist()) / (len(values) if name == "mean" else 1)
    np.testing.assert_allclose(answer(name, values), exact, rtol=1e-6)


@every_statistic
@pytest.mark.parametrize("magnitude", [1e-38, 1e-30, 1e-15, 1e12, 1e18, 1e30])
def test_magnitude_does_not_matter(name: str, magnitude: float) -> None:
    magnitude = math.sqrt(magnitude) if name == "sum_of_squares" else magnitude
    values, lengths = np.array([1.0, 3.7, -2.2, 1.1, 9.0]) * magnitude, [10, 1, 500, 30, 4]
    assert_right(name, values, lengths, atol=2.0**-148)  # half of the smallest float32


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sum_larger_than_any_float32_is_infinite(sign: int) -> None:
    for values, lengths in (([LARGEST], 4), ([LARGEST, LARGEST], 1), ([LARGEST, 1.0, LARGEST, 5.0], 9)):
        assert answer("sum", np.multiply(values, sign), lengths) == sign * INF
    assert answer("mean", [sign * LARGEST], 4) in (sign * np.float32(LARGEST), sign * INF)


# --- numbers that are not like others


@pytest.mark.parametrize("name", ["mean", "sum", "min", "max"])
@pytest.mark.parametrize(("n_items", "length"), [(1, 1), (1, 5), (2, 3)])
def test_the_sign_of_zero_is_kept(name: str, n_items: int, length: int) -> None:
    assert bits(answer(name, [-0.0] * n_items, length)) == bits(-0.0)


@pytest.mark.parametrize("name", ["mean", "sum", "min", "max"])
@pytest.mark.parametrize("default", [-0.0, 0.0])
def test_a_default_of_either_zero_is_kept(name: str, default: float) -> None:
    assert bits(answer(name, [], uncovered=1, default=default)) == bits(default)


@every_statistic
@pytest.mark.parametrize(
    "values",
    {
        "one": [INF],
        "among others": [1.0, -INF, 5.0],
        "first": [INF, 5.0, 4.0],
        "twice": [INF, 5.0, INF],
        "both": [INF, 1.0, -INF],
    }.values(),
)
@pytest.mark.parametrize("length", [1, 3])
def test_infinities_are_numpys(name: str, values: list[float], length: int) -> None:
    np.testing.assert_equal(float(answer(name, values, length)), expected(name, values, length))


@given(value=any_number, length=st.integers(1, 9))
def test_a_constant_is_its_own_mean_and_extreme(value: float, length: int) -> None:
    for name in ("min", "max"):
        assert bits(answer(name, [value], length)) == bits(value)
    if abs(value) <= LARGEST / 9:
        np.testing.assert_array_max_ulp(answer("mean", [value], length), np.float32(value), maxulp=1)
        assert bits(answer("sum", [value], length)) == bits(np.float32(np.float64(value) * length))


# --- standard deviation


@pytest.mark.parametrize("value", [0.1, -3e7, 1e-20, 2.0**-149, 1e30])
def test_a_constant_does_not_deviate(value: float) -> None:
    assert answer("std", [value]) == 0
    assert answer("std", [value] * 3, [1, 1_000, 77]) == 0


@pytest.mark.parametrize("first", [1e3, 1e6, -1e8])
@pytest.mark.parametrize("n", [3, 1_000, 100_000, 500_000])
def test_a_far_off_first_value_costs_no_digits(first: float, n: int) -> None:
    assert_right("std", [first, *np.random.default_rng(n).normal(size=n)])


@pytest.mark.parametrize("mean", [1e3, 1e5, 1e7])
def test_a_small_deviation_from_a_large_mean_keeps_its_digits(mean: float) -> None:
    assert_right("std", mean + np.random.default_rng(0).normal(size=2_000), 1 + np.arange(2_000) % 3)


# --- uncovered bases


@pytest.mark.parametrize(
    ("name", "zero", "two_and_a_half", "nan"),
    [
        ("mean", 1.0, 2.25, 2.0),
        ("sum", 4.0, 9.0, 4.0),
        ("min", 0.0, 1.0, 1.0),
        ("max", 3.0, 3.0, 3.0),
        ("std", math.sqrt(2), math.sqrt(0.75), math.sqrt(2)),
        ("coverage", 0.5, 0.5, 0.5),
    ],
)
def test_uncovered_bases_have_the_default_and_with_nan_do_not_count(
    name: str, zero: float, two_and_a_half: float, nan: float
) -> None:
    answers = [answer(name, [1.0, 3.0], uncovered=2, default=default) for default in (0.0, 2.5, NAN)]
    np.testing.assert_allclose(answers, [zero, two_and_a_half, nan], rtol=1e-7)


@every_statistic
@pytest.mark.parametrize("default", [0.0, 2.5, NAN, -INF])
def test_a_bin_without_items_is_all_default(name: str, default: float) -> None:
    options = {"uncovered": 6, "default": default}
    ours, theirs = answer(name, [], **options), expected(name, [], **options)
    np.testing.assert_allclose(ours, theirs, rtol=1e-7)  # a logarithm is rounded; all others are exact


# --- names


def test_statistics_are_found_by_name() -> None:
    assert sorted(builtin_statistics()) == sorted(STATISTICS)
    for name in STATISTICS:
        assert get_statistic(name).name == name


def test_an_unknown_name_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'median'.*mean, sum, min, max, std, coverage") as caught:
        get_statistic("median")
    assert (caught.value.argument, caught.value.value) == ("statistic", "median")
