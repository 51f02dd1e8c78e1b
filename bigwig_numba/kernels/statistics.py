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
def std_init():
    """First value; unit; head and rest of the sum and of the sum of squares; bases covered."""
    return _F(0), _F(0), _F(0), _F(0), _F(0), _F(0), _U(0)


@njit(nogil=True)
def std_update(state, value, n_bases):
    """Sums of (value - first) and of its square, in units of a power of two.

    The shift by the bin's first value keeps what matters from cancelling, the unit keeps squares from leaving float32:
    it is the exponent of the largest difference so far.
    """
    first, unit, head, rest, square_head, square_rest, n_covered = state
    if n_covered == _U(0):
        first = value
    shifted = rounded_add(value, -first)
    magnitude = float_from_bits(band(bits_from_float(shifted), _EXPONENT))
    if magnitude > unit:
        if unit > _F(0):
            ratio = unit / magnitude
            head, rest = head * ratio, rest * ratio
            square_head, square_rest = square_head * ratio * ratio, square_rest * ratio * ratio
        unit = magnitude
    if unit > _F(0):
        shifted = shifted / unit
    head, rest = _add_product(head, rest, shifted, n_bases)
    square = rounded_multiply(shifted, shifted)
    square_head, square_rest = _add_product(square_head, square_rest, square, n_bases)
    square_error = fused_multiply_add(shifted, shifted, -square)
    square_rest = rounded_add(square_rest, rounded_multiply(square_error, _F(n_bases)))
    return first, unit, head, rest, square_head, square_rest, _U(n_covered + n_bases)


@njit(nogil=True)
def std_finish(state, window_size, default):
    """The standard deviation of a sample (n - 1): 0 of one base, the default of none."""
    if _counts(default, state[6], window_size):
        state = std_update(state, default, _U(window_size - state[6]))
    answer = default
    if state[6] == _U(1):
        answer = rounded_add(state[0], -state[0])  # 0, unless the value is no number
    elif state[6] > _U(1):
        answer = state[1] * _F(math.sqrt(_spread(state) / _F(state[6] - _U(1))))
        if state[1] == _F(0):
            answer = state[2]  # all values are the first one; or none of them is a number
    return _F(answer)


@njit(nogil=True)
def _spread(state):
    """Sum of squares - (sum)**2 / n, in pairs of float32 throughout: the two may agree in most of their digits."""
    _, _, head, rest, square_head, square_rest, n_covered = state
    count = _F(n_covered)
    square = rounded_multiply(head, head)
    square_error = fused_multiply_add(head, head, -square)
    square_error = fused_multiply_add(rounded_multiply(_F(2), head), rest, square_error)
    quotient = square / count
    quotient_error = rounded_add(fused_multiply_add(-quotient, count, square), square_error) / count
    spread = rounded_add(rounded_add(square_head, -quotient), rounded_add(square_rest, -quotient_error))
    if spread < _F(0):  # not max(): it would make 0 of what is no number
        spread = _F(0)
    return spread


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
