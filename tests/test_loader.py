"""The loader: any iterable of queries, in order, with their values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from bigwig_numba import BigWigCollection
from bigwig_numba.batch import Batch
from bigwig_numba.errors import ChromNotFoundError, ConfigError, WorkerError
from bigwig_numba.loader import QueryLoader
from tests.conftest import on_host
from tests.dataset_world import World
from tests.prefetch_threads import prefetch_threads, threads_that_stay


@pytest.fixture
def collection(world: World, device: str) -> Iterator[BigWigCollection]:
    with BigWigCollection(world.tracks, device=device) as collection:
        yield collection


def queries(n: int = 5) -> Iterator[Batch]:
    """Of growing sizes, with something of their own."""
    for number in range(n):
        starts = 1_000 * number + np.arange(number + 1) * 7
        tracks = [1, 3] if number % 2 else None
        yield Batch(["chr1"] * len(starts), starts, starts + 64, track_indices=tracks, other=number)


def test_each_query_comes_back_with_its_values(collection: BigWigCollection) -> None:
    batches = list(QueryLoader(queries(), collection, window_size=8, default_value=-1.0, statistic="max"))
    assert [batch.other for batch in batches] == list(range(5))
    for batch in batches:
        expected = collection.get_batch(
            batch.chromosomes, batch.starts, batch.ends, 8, -1.0, track_indices=batch.track_indices, statistic="max"
        )
        np.testing.assert_array_equal(on_host(batch.values), on_host(expected))


def test_slices_leave_nothing_out(collection: BigWigCollection) -> None:
    whole = list(QueryLoader(queries(), collection))
    sliced = list(QueryLoader(queries(), collection, slice_size=2))
    assert [len(batch) for batch in sliced] == [1, 2, 2, 1, 2, 2, 2, 2, 1]
    for number in range(5):
        parts = [on_host(batch.values) for batch in sliced if batch.other == number]
        np.testing.assert_array_equal(np.concatenate(parts), on_host(whole[number].values))


def test_a_query_that_cannot_be_answered_is_met_where_it_is(collection: BigWigCollection) -> None:
    asked: list[Any] = [(["chr1"], [0], [10]), (["chrX"], [0], [10]), (["chr1"], [0], [10])]
    batches = iter(QueryLoader(asked, collection))
    assert next(batches).values.shape == (1, 10, 4)
    with pytest.raises(WorkerError, match="chrX") as caught:
        next(batches)
    assert isinstance(caught.value.__cause__, ChromNotFoundError)
    assert caught.value.batch == 1
    del batches
    assert threads_that_stay() == []


def test_leaving_the_loop_leaves_no_thread(collection: BigWigCollection) -> None:
    for _ in QueryLoader(queries(50), collection):
        break
    assert prefetch_threads() == []


def test_sizes_that_make_no_sense_are_named(collection: BigWigCollection) -> None:
    with pytest.raises(ConfigError, match="slice_size is 0"):
        QueryLoader(queries(), collection, slice_size=0)
