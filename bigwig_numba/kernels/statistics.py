"""Statistics of a bin: three small functions over a tuple, the same source in Python, on the CPU and on the GPU.

A bin meets the items that overlap it one after another, from left to right::

    state = init()
    state = update(state, value, n_bases)      for each item: its value (float32), bases of the bin it covers (uint32)
    answer = finish(state, window_size, default)

Sums are kept as two float32, a head and what rounding left over (Dekker 1971, Knuth's TwoSum), so a mean of millions
of bases is right to one unit in the last place without 64-bit arithmetic, which GPUs lack in width. ``a * b``
is split into product and error by one fused multiply-add.

A bin's uncovered bases count as bases of value ``default``; where the default is NaN they don't count.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from ..errors import ConfigError
from .bits import band, bits_from_float, float_from_bits, fused_multiply_add, rounded_add, rounded_multiply

_F = np.float32
_U = np.uint32
_EXPONENT = _U(0x7F800000)  # of a float32's bits


@dataclass(frozen=True)
class Statistic:
    """How the items of a bin become one number.

    Parameters
    ----------
    name
        What users call it.
    init, update, finish
        Compiled functions (``numba.njit``) as the module's docstring describes them.
    """

    name: str
    init: Callable[..., Any]
    update: Callable[..., Any]
    finish: Callable[..., Any]


@njit(nogil=True)
def _add_product(head, rest, value, n_bases):
    """``head + rest + value * n_bases`` as a new head and rest, the rest below the head's last place."""
    weight = _F(n_bases)
    product = rounded_multiply(value, weight)
    total = rounded_add(head, product)
    part = rounded_add(total, -head)
    error = rounded_add(rounded_add(head, -rounded_add(total, -part)), rounded_add(product, -part))
    error = rounded_add(rounded_add(error, fused_multiply_add(value, weight, -product)), rest)
    head, rest = total, _F(0)
    if error != _F(0) and error == error:  # -0.0 + 0.0 would be 0.0; infinity has no error to speak of
        head = rounded_add(total, error)
        rest = rounded_add(error, -rounded_add(head, -total))
    return head, rest


@njit(nogil=True)
def _collapse(head, rest):
    """Head and rest as one float32: the head alone where the rest is 0, as -0.0 + 0.0 would be 0.0."""
    total = head
    if rest != _F(0):
        total = rounded_add(head, rest)
    return total


@njit(nogil=True)
def _counts(default, n_covered, window_size):
    """Whether the bin has uncovered bases and a default to give them."""
    return default == default and n_covered < window_size


@njit(nogil=True)
def sum_init():
    """Head and rest of the sum, bases covered."""
    return _F(0), _F(0), _U(0)


@njit(nogil=True)
def sum_update(state, value, n_bases):
    """One item more."""
    head, rest, n_covered = state
    if n_covered == _U(0):
        head = rounded_multiply(value, _F(n_bases))  # not 0 + value: that would turn -0.0 into 0.0
        rest = fused_multiply_add(value, _F(n_bases), -head)
        if rounded_add(rest, -rest) != _F(0):  # the head is infinite
            rest = _F(0)
    else:
        head, rest = _add_product(head, rest, value, n_bases)
    return head, rest, _U(n_covered + n_bases)


@njit(nogil=True)
def sum_finish(state, window_size, default):
    """The sum; the default where nothing is covered."""
    if _counts(default, state[2], window_size):
        state = sum_update(state, default, _U(window_size - state[2]))
    total = _collapse(state[0], state[1])
    if state[2] == _U(0):
        total = default
    return total


@njit(nogil=True)
def mean_finish(state, window_size, default):
    """The sum by the bases that count; the default where none does."""
    if _counts(default, state[2], window_size):
        state = sum_update(state, default, _U(window_size - state[2]))
    mean = default
    if state[2] != _U(0):
        mean = _collapse(state[0], state[1]) / _F(state[2])
    return mean


@njit(nogil=True)
def extreme_init():
    """The extreme so far, bases covered."""
    return _F(math.nan), _U(0)


@njit(nogil=True)
def min_update(state, value, n_bases):
    """One item more."""
    lowest, n_covered = state
    if n_covered == _U(0) or value < lowest:
        lowest = value
    return lowest, _U(n_covered + n_bases)


@njit(nogil=True)
def min_finish(state, window_size, default):
    """The lowest value."""
    if _counts(default, state[1], window_size):
        state = min_update(state, default, _U(1))
    return state[0]


@njit(nogil=True)
def max_update(state, value, n_bases):
    """One item more."""
    highest, n_covered = state
    if n_covered == _U(0) or value > highest:
        highest = value
    return highest, _U(n_covered + n_bases)


@njit(nogil=True)
def max_finish(state, window_size, default):
    """The highest value."""
    if _counts(default, state[1], window_size):
        state = max_update(state, default, _U(1))
    return state[0]


@njit(nogil=True)
def coverage_init():
    """Bases covered."""
    return (_U(0),)


@njit(nogil=True)
def coverage_update(state, value, n_bases):
    """One item more."""
    return (_U(state[0] + n_bases),)


@njit(nogil=True)
def coverage_finish(state, window_size, default):
    """The share of the bin that is covered, whatever the default."""
    return _F(state[0]) / _F(window_size)


@njit(nogil=True)
def _add_pair(head, rest, value, error):
    """``head + rest + value + error`` as a new head and rest."""
    total = rounded_add(head, value)
    part = rounded_add(total, -head)
    lost = rounded_add(rounded_add(head, -rounded_add(total, -part)), rounded_add(value, -part))
    rest = rounded_add(rounded_add(rest, error), lost)
    head = rounded_add(total, rest)
    return head, rounded_add(rounded_add(total, -head), rest)


@njit(nogil=True)
def _power_of_two(value):
    """The largest power of two up to the absolute value, and no subnormal one."""
    return float_from_bits(max(_U(0x00800000), band(bits_from_float(value), _EXPONENT)))


@njit(nogil=True)
def std_init():
    """Mean (head, rest); unit; squared deviations from the mean (head, rest) in units squared; bases covered."""
    return _F(0), _F(0), _F(0), _F(0), _F(0), _U(0)


@njit(nogil=True)
def std_update(state, value, n_bases):
    """One item more, added to mean and squared deviations as Chan et al. 1983 do: nothing large is ever subtracted.

    The unit is a power of two near the largest deviation, so that squares stay in the range of float32.
    """
    mean, mean_rest, unit, spread, spread_rest, n_covered = state
    n_now = _U(n_covered + n_bases)
    if n_covered == _U(0):
        mean, spread = value, rounded_add(value, -value)  # not a number if the value is infinite
    else:
        total = rounded_add(value, -mean)
        part = rounded_add(total, -value)
        lost = rounded_add(rounded_add(value, -rounded_add(total, -part)), rounded_add(-mean, -part))
        deviation = rounded_add(total, rounded_add(lost, -mean_rest))
        if deviation != _F(0):
            share = _F(n_bases) / _F(n_now)
            step = rounded_multiply(deviation, share)
            mean, mean_rest = _add_pair(mean, mean_rest, step, fused_multiply_add(deviation, share, -step))
            if unit == _F(0) or abs(deviation) > rounded_multiply(unit, _F(2.0**30)):
                larger = _power_of_two(deviation)
                ratio = unit / larger
                spread = rounded_multiply(rounded_multiply(spread, ratio), ratio)
                spread_rest = rounded_multiply(rounded_multiply(spread_rest, ratio), ratio)
                unit = larger
            scaled = deviation / unit
            square = rounded_multiply(scaled, scaled)
            weight = rounded_multiply(_F(n_covered), share)
            product = rounded_multiply(square, weight)
            spread, spread_rest = _add_pair(spread, spread_rest, product, fused_multiply_add(square, weight, -product))
    return mean, mean_rest, unit, spread, spread_rest, n_now


@njit(nogil=True)
def std_finish(state, window_size, default):
    """The standard deviation of a sample (n - 1): 0 of one base, the default of none."""
    if _counts(default, state[5], window_size):
        state = std_update(state, default, _U(window_size - state[5]))
    answer = default
    if state[5] != _U(0):
        answer = rounded_add(state[3], state[4])
        if answer > _F(0):  # neither 0 nor what is not a number
            answer = rounded_multiply(_F(math.sqrt(answer / _F(state[5] - _U(1)))), state[2])
    return _F(answer)


def builtin_statistics() -> dict[str, Statistic]:
    """The statistics by name."""
    statistics = (
        Statistic("mean", sum_init, sum_update, mean_finish),
        Statistic("sum", sum_init, sum_update, sum_finish),
        Statistic("min", extreme_init, min_update, min_finish),
        Statistic("max", extreme_init, max_update, max_finish),
        Statistic("std", std_init, std_update, std_finish),
        Statistic("coverage", coverage_init, coverage_update, coverage_finish),
    )
    return {statistic.name: statistic for statistic in statistics}


def get_statistic(statistic: str | Statistic) -> Statistic:
    """The statistic of this name; a ``Statistic`` is returned as it is.

    Raises
    ------
    ConfigError
        For a name that no statistic has.

    Examples
    --------
    >>> get_statistic("mean").name
    'mean'
    """
    if isinstance(statistic, Statistic):
        return statistic
    known = builtin_statistics()
    if not isinstance(statistic, str) or statistic not in known:
        raise ConfigError(
            f"unknown statistic {statistic!r}: choose one of {', '.join(known)}", argument="statistic", value=statistic
        )
    return known[statistic]
