"""Statistics as users write them: from the documentation, in a few lines, without a thought of types."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bigwig_numba import Statistic

THRESHOLD = 3.0


def nothing_above():  # type: ignore[no-untyped-def]
    return 0, 0


def add_above(state, value, n_bases):  # type: ignore[no-untyped-def]
    n_above, n_covered = state
    return n_above + (n_bases if value > THRESHOLD else 0), n_covered + n_bases


def share(state, window_size, default):  # type: ignore[no-untyped-def]
    n_above, n_covered = state
    return n_above / n_covered if n_covered > 0 else default


def nothing():  # type: ignore[no-untyped-def]
    return 0.0


def add(state, value, n_bases):  # type: ignore[no-untyped-def]
    return state + value * n_bases


def per_base(state, window_size, default):  # type: ignore[no-untyped-def]
    return state / window_size


def no_range():  # type: ignore[no-untyped-def]
    return math.inf, -math.inf


def widen(state, value, n_bases):  # type: ignore[no-untyped-def]
    return min(state[0], value), max(state[1], value)


def width(state, window_size, default):  # type: ignore[no-untyped-def]
    lowest, highest = state
    return highest - lowest if highest >= lowest else default


def add_root(state, value, n_bases):  # type: ignore[no-untyped-def]
    state += math.sqrt(abs(value)) * n_bases
    return state


SHARE_ABOVE = Statistic("share_above", nothing_above, add_above, share)
PER_BASE = Statistic("per_base", nothing, add, per_base)
RANGE = Statistic("range", no_range, widen, width)
ROOTS = Statistic("roots", nothing, add_root, per_base)
OWN = {statistic.name: statistic for statistic in (SHARE_ABOVE, PER_BASE, RANGE, ROOTS)}
SEVERAL: list[str | Statistic] = ["max", SHARE_ABOVE, "mean", "max"]
"""Built-in ones and one's own, one of them twice; each other list is a compilation of seconds."""


def expected_bins(
    name: str, painted: npt.NDArray[np.float32], window_size: int, default: float
) -> npt.NDArray[np.float64]:
    """(B,) float64 of (L,) painted bases, NaN where none is covered: what NumPy makes of each bin."""
    bins = painted[: len(painted) // window_size * window_size].reshape(-1, window_size).astype(np.float64)
    n_covered = (~np.isnan(bins)).sum(axis=1)
    if name == "per_base":
        return np.asarray(np.nansum(bins, axis=1) / window_size)
    if name == "roots":
        return np.asarray(np.nansum(np.sqrt(np.abs(bins)), axis=1) / window_size)
    if name == "share_above":
        answers = (bins > THRESHOLD).sum(axis=1) / np.maximum(n_covered, 1)
    else:
        answers = np.fmax.reduce(bins, axis=1) - np.fmin.reduce(bins, axis=1)
    return np.where(n_covered > 0, answers, default)
