"""JAX: arrays through DLPack, bfloat16 too."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from bigwig_numba.engine.cpu import aligned_empty
from tests.conftest import on_host
from tests.dataset_world import STRAND_PAIR, World
from tests.prefetch_threads import prefetch_threads

pytestmark = [pytest.mark.frameworks("jax"), pytest.mark.usefixtures("no_thread_left")]


@pytest.fixture(scope="module")
def adapter() -> Any:
    return importlib.import_module("bigwig_numba.jax")


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_arrays_are_those_of_the_batch(world: World, adapter: Any, dtype: str, device: str) -> None:
    arguments: dict[str, Any] = {"reverse_complement": 0.5, "strand_pairs": [STRAND_PAIR], "dtype": dtype}
    with world.dataset(**arguments, device=device) as plain, world.dataset(**arguments, device=device) as dataset:
        for one, other in zip(plain, adapter.batches(dataset), strict=True):
            assert str(other.values.dtype) == dtype
            values = np.asarray(other.values)
            values = values.view(np.uint16) if dtype == "bfloat16" else values
            np.testing.assert_array_equal(values, on_host(one.values))
            np.testing.assert_array_equal(np.asarray(other.sequences), on_host(one.sequences))


def test_an_array_shares_the_memory_of_the_batch(adapter: Any) -> None:
    values = aligned_empty((4, 16), np.float32)
    values[...] = 1
    assert adapter.to_array(values).unsafe_buffer_pointer() == values.ctypes.data


def test_tuples_by_default_and_strings_as_they_are(world: World, adapter: Any) -> None:
    with world.dataset(return_batch_objects=False, sequence_encoder=None) as dataset:
        sequences, values = next(adapter.batches(dataset))
    assert isinstance(sequences, list)
    assert values.shape == (6, 8, 4)


def test_leaving_the_loop_leaves_no_thread(world: World, adapter: Any) -> None:
    with world.dataset() as dataset:
        for _ in adapter.batches(dataset):
            break
        assert prefetch_threads() == []
