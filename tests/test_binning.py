"""Bins of one region against NumPy on painted bases, for any number of bins."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.binning import STATISTICS, bin_edges, bin_statistic, find_overlaps
from tests.painting import reduce_rows

values = st.floats(-100, 100, width=32) | st.just(float("nan"))
gaps_lengths_values = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), values), max_size=20)
regions = st.tuples(st.integers(0, 150), st.integers(1, 200))
numbers_of_bins = st.integers(1, 30)

Spans = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]


def spans(listed: list[tuple[int, int, float]]) -> Spans:
    """Starts, ends and values of intervals that do not overlap."""
    edges = np.cumsum([step for gap, length, _ in listed for step in (gap, length)], dtype=np.int64)
    return edges[::2], edges[1::2], np.array([value for *_, value in listed], np.float32)


@given(start=st.integers(-(2**40), 2**40), length=st.integers(1, 2**40), n_bins=st.integers(1, 3000))
def test_edges_are_the_rounded_down_fractions_of_the_region(start: int, length: int, n_bins: int) -> None:
    expected = [start + number * length // n_bins for number in range(n_bins + 1)]
    assert bin_edges(start, start + length, n_bins).tolist() == expected


@pytest.mark.parametrize("statistic", STATISTICS)
@given(listed=gaps_lengths_values, region=regions, n_bins=numbers_of_bins)
def test_a_statistic_is_that_of_the_painted_bases(
    statistic: str, listed: list[tuple[int, int, float]], region: tuple[int, int], n_bins: int
) -> None:
    start, end = region[0], sum(region)
    starts, ends, numbers = spans(listed)
    painting = np.full(2_000, np.nan)
    for first, last, value in zip(starts, ends, numbers, strict=True):
        painting[first:last] = value
    edges = bin_edges(start, end, n_bins)
    bins = [painting[first:last][None] for first, last in pairwise(edges)]
    if statistic == "coverage":
        expected = [np.mean(~np.isnan(bases)) if bases.size else np.nan for bases in bins]
    else:
        expected = [reduce_rows(bases, statistic)[0] for bases in bins]
    answers = bin_statistic(starts, ends, numbers, edges=edges, statistic=statistic)
    np.testing.assert_allclose(answers, expected, rtol=1e-9, atol=1e-9)


@given(listed=gaps_lengths_values, region=regions, n_bins=numbers_of_bins, seed=st.integers(0, 9))
def test_the_order_of_the_intervals_does_not_matter(
    listed: list[tuple[int, int, float]], region: tuple[int, int], n_bins: int, seed: int
) -> None:
    starts, ends, numbers = spans(listed)
    order = np.random.default_rng(seed).permutation(len(starts))
    edges = bin_edges(region[0], sum(region), n_bins)
    straight = bin_statistic(starts, ends, numbers, edges=edges, statistic="mean")
    shuffled = bin_statistic(starts[order], ends[order], numbers[order], edges=edges, statistic="mean")
    np.testing.assert_allclose(straight, shuffled, rtol=1e-12)


@given(listed=gaps_lengths_values, region=regions, n_bins=numbers_of_bins)
def test_overlaps_share_at_least_a_base_and_none_is_lost(
    listed: list[tuple[int, int, float]], region: tuple[int, int], n_bins: int
) -> None:
    start, end = region[0], sum(region)
    starts, ends, _ = spans(listed)
    overlaps = find_overlaps(starts, ends, bin_edges(start, end, n_bins))
    assert (overlaps.n_bases > 0).all()
    inside = np.maximum(np.minimum(ends, end) - np.maximum(starts, start), 0)
    assert np.bincount(overlaps.intervals, overlaps.n_bases, len(starts)).tolist() == inside.tolist()


def test_std_keeps_its_digits_beside_a_large_mean() -> None:
    numbers = np.array([1e7, 1e7 + 1, 1e7 + 2], np.float32)
    starts = np.arange(3)
    answer = bin_statistic(starts, starts + 1, numbers, edges=bin_edges(0, 3, 1), statistic="std")
    assert answer.tolist() == [1.0]
