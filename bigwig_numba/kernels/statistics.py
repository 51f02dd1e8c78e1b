"""The built-in statistics, written as one's own would be: plain Python functions, see ``statistic``.

Sums are kept as two float32, a head and what rounding left over (Dekker 1971, Knuth's TwoSum), so a mean of millions
of bases is right to one unit in the last place without 64-bit arithmetic, which GPUs lack in width. ``a * b``
is split into product and error by one fused multiply-add. All this rests on compiled operators that round as they
are written, see ``compiling``.

A bin's uncovered bases count as bases of value ``default``; where the default is NaN they don't count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..errors import ConfigError
from .arithmetic import bits_from_float, float_from_bits, fused_multiply_add
from .statistic import Statistic, compile_for_cpu

__all__ = ["Statistic", "builtin_names", "builtin_statistics", "get_statistic", "get_statistics", "is_builtin"]


def _add_product(head, rest, value, n_bases):
    """``head + rest + value * n_bases`` as a new head and rest, the rest below the head's last place.

    What is only sometimes needed is calculated always, and then chosen: on a GPU a branch costs more than three sums.
    """
    product = value * n_bases
    total = head + product
    part = total - head
    error = (head - (total - part)) + (product - part)
    error = (error + fused_multiply_add(value, n_bases, -product)) + rest
    new_head = total + error
    new_rest = error - (new_head - total)
    if error != 0 and error == error:  # -0.0 + 0.0 would be 0.0; infinity has no error to speak of
        return new_head, new_rest
    return total, 0.0


def _collapse(head, rest):
    """Head and rest as one float32: the head alone where the rest is 0, as -0.0 + 0.0 would be 0.0."""
    return head + rest if rest != 0 else head


def _counts(default, n_covered, window_size):
    """Whether the bin has uncovered bases and a default to give them."""
    return default == default and n_covered < window_size


def sum_init():
    """Head and rest of the sum, bases covered. The head is -0.0, to which -0.0 can be added without becoming 0.0."""
    return -0.0, 0.0, np.uint32(0)


def sum_update(state, value, n_bases):
    """One item more."""
    head, rest, n_covered = state
    head, rest = _add_product(head, rest, value, n_bases)
    return head, rest, n_covered + n_bases


def _with_default(state, window_size, default):
    """Head, rest and number of bases, uncovered ones too if they count."""
    head, rest, n_covered = state
    if _counts(default, n_covered, window_size):
        head, rest, n_covered = sum_update(state, default, window_size - n_covered)
    return head, rest, n_covered


def sum_finish(state, window_size, default):
    """The sum; the default where nothing is covered."""
    head, rest, n_bases = _with_default(state, window_size, default)
    return _collapse(head, rest) if n_bases != 0 else default


def mean_finish(state, window_size, default):
    """The sum by the bases that count; the default where none does."""
    head, rest, n_bases = _with_default(state, window_size, default)
    return _collapse(head, rest) / n_bases if n_bases != 0 else default


def sum_of_squares_update(state, value, n_bases):
    """One item more."""
    return sum_update(state, value * value, n_bases)


def sum_of_squares_finish(state, window_size, default):
    """The sum of squares; the default's square (NaN) where nothing is covered and it does not count."""
    return sum_finish(state, window_size, default * default)


def _log_of_one_more(value):
    """log(1 + value); NaN below -1."""
    if value > -1:
        return np.float32(math.log1p(value))
    return np.float32(-math.inf) if value == -1 else np.float32(math.nan)


def log_mean_update(state, value, n_bases):
    """One item more."""
    return sum_update(state, _log_of_one_more(value), n_bases)


def log_mean_finish(state, window_size, default):
    """The mean of the logarithms."""
    return mean_finish(state, window_size, _log_of_one_more(default))


def extreme_init():
    """The extreme so far, bases covered."""
    return math.nan, np.uint32(0)


def min_update(state, value, n_bases):
    """One item more."""
    lowest, n_covered = state
    if n_covered == 0 or value < lowest:
        lowest = value
    return lowest, n_covered + n_bases


def min_finish(state, window_size, default):
    """The lowest value."""
    lowest, n_covered = state
    if _counts(default, n_covered, window_size):
        lowest, n_covered = min_update(state, default, 1)
    return lowest


def max_update(state, value, n_bases):
    """One item more."""
    highest, n_covered = state
    if n_covered == 0 or value > highest:
        highest = value
    return highest, n_covered + n_bases


def max_finish(state, window_size, default):
    """The highest value."""
    highest, n_covered = state
    if _counts(default, n_covered, window_size):
        highest, n_covered = max_update(state, default, 1)
    return highest


def last_init():
    """The last value, whether there is one."""
    return 0.0, False


def last_update(state, value, n_bases):
    """One item more."""
    return value, True


def last_finish(state, window_size, default):
    """The value of the bin's last covered base; the default where none is covered."""
    value, is_covered = state
    return value if is_covered else default


def coverage_init():
    """Bases covered."""
    return np.uint32(0)


def coverage_update(state, value, n_bases):
    """One item more."""
    return state + n_bases


def coverage_finish(state, window_size, default):
    """The share of the bin that is covered, whatever the default."""
    return state / window_size


def _add_pair(head, rest, value, error):
    """``head + rest + value + error`` as a new head and rest."""
    total = head + value
    part = total - head
    lost = (head - (total - part)) + (value - part)
    rest = (rest + error) + lost
    head = total + rest
    return head, (total - head) + rest


def _power_of_two(value):
    """The largest power of two up to the absolute value, and no subnormal one."""
    return float_from_bits(max(bits_from_float(value) & 0x7F800000, 0x00800000))


def std_init():
    """Mean (head, rest); unit; squared deviations from the mean (head, rest) in units squared; bases covered."""
    return 0.0, 0.0, 0.0, 0.0, 0.0, np.uint32(0)


def std_update(state, value, n_bases):
    """One item more, added to mean and squared deviations as Chan et al. 1983 do: nothing large is ever subtracted.

    The unit is a power of two near the largest deviation, so that squares stay in the range of float32.
    """
    mean, mean_rest, unit, spread, spread_rest, n_covered = state
    n_now = n_covered + n_bases
    if n_covered == 0:
        mean, spread = value, value - value  # not a number if the value is infinite
    else:
        total = value - mean
        part = total - value
        lost = (value - (total - part)) + (-mean - part)
        deviation = total + (lost - mean_rest)
        if deviation != 0:
            share = np.float32(n_bases) / n_now
            step = deviation * share
            mean, mean_rest = _add_pair(mean, mean_rest, step, fused_multiply_add(deviation, share, -step))
            if unit == 0 or abs(deviation) > unit * 1073741824.0:  # 2**30
                larger = _power_of_two(deviation)
                ratio = unit / larger
                spread = spread * ratio * ratio
                spread_rest = spread_rest * ratio * ratio
                unit = larger
            scaled = deviation / unit
            square = scaled * scaled
            weight = n_covered * share
            product = square * weight
            spread, spread_rest = _add_pair(spread, spread_rest, product, fused_multiply_add(square, weight, -product))
    return mean, mean_rest, unit, spread, spread_rest, n_now


def std_finish(state, window_size, default):
    """The standard deviation of a sample (n - 1): 0 of one base, the default of none."""
    if _counts(default, state[5], window_size):
        state = std_update(state, default, window_size - state[5])
    _, _, unit, spread, spread_rest, n_bases = state
    answer = default
    if n_bases != 0:
        answer = spread + spread_rest
        if answer > 0:  # neither 0 nor what is not a number
            answer = math.sqrt(answer / (n_bases - 1)) * unit
    return answer


BUILTIN = (
    Statistic("mean", sum_init, sum_update, mean_finish),
    Statistic("sum", sum_init, sum_update, sum_finish),
    Statistic("min", extreme_init, min_update, min_finish),
    Statistic("max", extreme_init, max_update, max_finish),
    Statistic("std", std_init, std_update, std_finish),
    Statistic("coverage", coverage_init, coverage_update, coverage_finish),
    Statistic("sum_of_squares", sum_init, sum_of_squares_update, sum_of_squares_finish),
    Statistic("log_mean", sum_init, log_mean_update, log_mean_finish),
    Statistic("last", last_init, last_update, last_finish),
)


def builtin_statistics() -> dict[str, Statistic]:
    """The statistics by name.

    ``log_mean`` is the mean of log(1 + value). ``last`` is the value of a bin's last covered base: there, and in
    ``coverage``, uncovered bases count for nothing whatever the default.
    """
    return {statistic.name: statistic for statistic in BUILTIN}


def is_builtin(statistic: Statistic) -> bool:
    """Whether this is one of the library's own."""
    return statistic in BUILTIN


def builtin_names(statistic: Statistic | tuple[Statistic, ...]) -> str | None:
    """One name for one or several built-in statistics, under which code may be kept; None if one is the user's."""
    statistics = statistic if isinstance(statistic, tuple) else (statistic,)
    return "_".join(each.name for each in statistics) if all(map(is_builtin, statistics)) else None


def get_statistic(statistic: str | Statistic) -> Statistic:
    """The statistic of this name; a ``Statistic`` is returned as it is.

    Raises
    ------
    ConfigError
        For a name that no statistic has, and for a statistic that cannot be compiled.

    Examples
    --------
    >>> get_statistic("mean").name
    'mean'
    """
    known = builtin_statistics()
    if isinstance(statistic, Statistic):
        if not is_builtin(statistic):
            compile_for_cpu(statistic)
        return statistic
    if not isinstance(statistic, str) or statistic not in known:
        raise ConfigError(
            f"unknown statistic {statistic!r}: choose one of {', '.join(known)}", argument="statistic", value=statistic
        )
    return known[statistic]


def get_statistics(
    statistic: str | Statistic | Sequence[str | Statistic],
) -> Statistic | tuple[Statistic, ...]:
    """A statistic, or a tuple of them for a list.

    Raises
    ------
    ConfigError
        As ``get_statistic``; an empty list too.

    Examples
    --------
    >>> [statistic.name for statistic in get_statistics(["mean", "max"])]
    ['mean', 'max']
    """
    if isinstance(statistic, str | Statistic):
        return get_statistic(statistic)
    if not isinstance(statistic, Sequence) or not statistic:
        message = f"statistic is {statistic!r}, expected a name, a Statistic, or a list of one or more of them"
        raise ConfigError(message, argument="statistic", value=statistic)
    return tuple(map(get_statistic, statistic))
