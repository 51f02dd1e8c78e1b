"""The laws of merging byte ranges."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.ranges import CoalescedRanges, coalesce_ranges

ranges = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 60)), max_size=40)
gaps = st.integers(0, 50)
limits = st.integers(1, 200)


def coalesce(asked: list[tuple[int, int]], max_gap: int, max_size: int) -> CoalescedRanges:
    return coalesce_ranges([o for o, _ in asked], [s for _, s in asked], max_gap=max_gap, max_size=max_size)


def requests_of(merged: CoalescedRanges) -> list[tuple[int, int]]:
    return list(zip(merged.offsets.tolist(), merged.sizes.tolist(), strict=True))


@given(asked=ranges, max_gap=gaps, max_size=limits)
def test_each_range_lies_in_its_request(asked: list[tuple[int, int]], max_gap: int, max_size: int) -> None:
    merged = coalesce(asked, max_gap, max_size)
    file = np.random.default_rng(0).bytes(600)
    answers = [file[offset : offset + size] for offset, size in requests_of(merged)]
    for (offset, size), request, position in zip(asked, merged.requests, merged.positions, strict=True):
        assert answers[request][position : position + size] == file[offset : offset + size]


@given(asked=ranges, max_gap=gaps, max_size=limits)
def test_a_request_is_only_larger_than_the_limit_for_one_range(
    asked: list[tuple[int, int]], max_gap: int, max_size: int
) -> None:
    merged = coalesce(asked, max_gap, max_size)
    members = np.bincount(merged.requests, minlength=len(merged.sizes))
    assert (members >= 1).all()
    assert ((merged.sizes <= max_size) | (members == 1)).all()


@given(asked=ranges, max_gap=gaps)
def test_without_a_limit_requests_are_further_apart_than_the_gap(asked: list[tuple[int, int]], max_gap: int) -> None:
    merged = coalesce(asked, max_gap, 10_000)
    gaps_left = merged.offsets[1:] - (merged.offsets + merged.sizes)[:-1]
    assert (gaps_left > max_gap).all()


@given(asked=ranges, max_gap=gaps, max_size=limits)
def test_no_request_holds_a_longer_run_of_unwanted_bytes_than_the_gap(
    asked: list[tuple[int, int]], max_gap: int, max_size: int
) -> None:
    wanted = np.zeros(700, np.bool_)
    for offset, size in asked:
        wanted[offset : offset + size] = True
        # Nothing is asked for of an empty range, but it is a place that a request may reach to.
        wanted[offset] |= size == 0
    for offset, size in requests_of(coalesce(asked, max_gap, max_size)):
        unwanted = "".join(".x"[bit] for bit in (~wanted[offset : offset + size]).astype(int))
        assert max(map(len, unwanted.split("."))) <= max_gap


@given(asked=ranges, max_gap=gaps, max_size=limits, order=st.randoms(use_true_random=False))
def test_the_requests_do_not_depend_on_the_order_of_the_ranges(
    asked: list[tuple[int, int]], max_gap: int, max_size: int, order: np.random.Generator
) -> None:
    distinct = sorted(set(asked))
    shuffled = list(distinct)
    order.shuffle(shuffled)
    assert {*requests_of(coalesce(shuffled, max_gap, max_size))} == {
        *requests_of(coalesce(distinct, max_gap, max_size))
    }


@given(asked=ranges, max_gap=gaps, max_waste=st.floats(0, 3))
def test_unwanted_bytes_stay_below_the_limit_and_the_smallest_gaps_are_read(
    asked: list[tuple[int, int]], max_gap: int, max_waste: float
) -> None:
    wanted = np.zeros(700, np.bool_)
    for offset, size in asked:
        wanted[offset : offset + size] = True
    offsets, sizes = [offset for offset, _ in asked], [size for _, size in asked]
    merged = coalesce_ranges(offsets, sizes, max_gap=max_gap, max_size=10_000, max_waste=max_waste)
    read = np.zeros(700, np.bool_)
    for offset, size in requests_of(merged):
        read[offset : offset + size] = True
    n_wanted, n_read = int(wanted.sum()), int(read.sum())
    assert n_read <= (1 + max_waste) * n_wanted
    left = (merged.offsets[1:] - (merged.offsets + merged.sizes)[:-1]).tolist()
    if left and min(left) <= max_gap:  # one more would be too much
        assert n_read + min(left) > (1 + max_waste) * n_wanted


def test_offsets_past_2_to_the_32_keep_their_place() -> None:
    merged = coalesce_ranges([2**40, 2**40 + 100, 5], [10, 10, 10], max_gap=1000)
    assert requests_of(merged) == [(5, 10), (2**40, 110)]
    assert merged.positions.tolist() == [0, 100, 0]
