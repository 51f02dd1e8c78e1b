"""A batch: a container that slices, and what counts as a query."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bigwig_numba.batch import Batch
from bigwig_numba.errors import ConfigError


@pytest.fixture
def batch() -> Batch:
    n = 5
    return Batch(
        chromosomes=[f"chr{number}" for number in range(n)],
        starts=np.arange(n),
        ends=np.arange(n) + 10,
        track_indices=np.array([4, 2]),
        sequences=np.arange(n * 8).reshape(n, 2, 4),
        values=np.arange(n * 6).reshape(n, 3, 2),
        track_names=["four", "two"],
        other_batched={"region": np.arange(n) * 10},
        other={"kept": "whole"},
        track_mask=np.array([True, False]),
        reverse_complement=np.arange(n) % 2 == 0,
    )


@pytest.mark.parametrize(
    ("rows", "taken"),
    [(slice(1, 3), [1, 2]), (slice(None, None, -2), [4, 2, 0]), ([3, 0], [3, 0]), (np.arange(5) > 3, [4])],
    ids=["slice", "steps", "numbers", "flags"],
)
def test_what_has_a_row_per_sample_is_sliced(batch: Batch, rows: Any, taken: list[int]) -> None:
    part = batch[rows]
    assert len(part) == len(taken)
    assert part.chromosomes == [f"chr{number}" for number in taken]
    np.testing.assert_array_equal(part.ends, np.array(taken) + 10)
    np.testing.assert_array_equal(part.sequences, batch.sequences[taken])
    np.testing.assert_array_equal(part.values, batch.values[taken])
    np.testing.assert_array_equal(part.other_batched["region"], np.array(taken) * 10)  # type: ignore[index, call-overload]
    np.testing.assert_array_equal(part.reverse_complement, np.array(taken) % 2 == 0)


def test_the_rest_stays_as_it_is(batch: Batch) -> None:
    part = batch[:2]
    for name in ("track_indices", "track_names", "other", "track_mask"):
        assert getattr(part, name) is getattr(batch, name)


def test_others_may_be_a_list_as_in_bigwig_loader() -> None:
    batch = Batch(["chr1"] * 3, [0, 1, 2], [3, 4, 5], other_batched=[np.arange(3), "abc"])
    assert [list(array) for array in batch[1:].other_batched] == [[1, 2], ["b", "c"]]  # type: ignore[union-attr]


def test_what_is_missing_stays_missing() -> None:
    part = Batch(["chr1"] * 3, [0, 1, 2], [3, 4, 5])[1:]
    assert (part.values, part.sequences, part.other_batched, part.reverse_complement) == (None, None, None, None)
    assert repr(part) == "Batch(2 samples, starts=[1, 2])"


@pytest.mark.parametrize(
    "query",
    [
        (["chr1"], [1], [2]),
        [["chr1"], [1], [2]],
        {"chromosomes": ["chr1"], "starts": [1], "ends": [2]},
        Batch(["chr1"], [1], [2]),
    ],
    ids=["tuple", "list", "mapping", "batch"],
)
def test_queries_come_in_many_forms(query: Any) -> None:
    batch = Batch.from_args(query)
    assert (batch.chromosomes, batch.starts, batch.ends) == (["chr1"], [1], [2])


@pytest.mark.parametrize("query", [(["chr1"], [1]), 5, {"chromosome": ["chr1"]}, {"chromosomes": ["chr1"]}])
def test_what_is_no_query_is_refused(query: Any) -> None:
    with pytest.raises(ConfigError, match="query"):
        Batch.from_args(query)


def test_tuples_have_tracks_only_if_these_were_chosen(batch: Batch) -> None:
    assert [len(item) for item in batch.as_tuple()] == [5, 5, 2, 2]
    assert len(Batch(["chr1"], [1], [2]).as_tuple()) == 2
