"""TensorFlow: a tf.data.Dataset without copies, whatever the batch has, that ends its threads when it is left."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from bigwig_numba.engine.cpu import aligned_empty
from tests.conftest import on_host
from tests.dataset_world import STRAND_PAIR, World
from tests.prefetch_threads import prefetch_threads, threads_that_garbage_does_not_hold

pytestmark = pytest.mark.frameworks("tensorflow")

ARGUMENTS: dict[str, Any] = {"reverse_complement": 0.5, "strand_pairs": [STRAND_PAIR], "return_batch_objects": False}


@pytest.fixture(scope="module")
def tf() -> Any:
    """Imported by the tests that need it only: it takes seconds."""
    return importlib.import_module("tensorflow")


@pytest.fixture(scope="module")
def adapter() -> Any:
    return importlib.import_module("bigwig_numba.tensorflow")


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    yield
    assert threads_that_garbage_does_not_hold() == []


def as_float32(bits: Any) -> Any:
    return (bits.astype(np.uint32) << 16).view(np.float32)


@pytest.mark.parametrize("layout", ["BLT", "BTL"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_elements_are_the_batches(world: World, tf: Any, adapter: Any, dtype: str, layout: str) -> None:
    arguments = {**ARGUMENTS, "dtype": dtype, "layout": layout}
    with world.dataset(**arguments) as plain, world.dataset(**arguments) as dataset:
        elements = adapter.to_dataset(dataset)
        sequence_spec, value_spec = elements.element_spec
        assert value_spec.dtype == getattr(tf, dtype)
        for _ in range(2):  # two epochs, which differ
            for (one, two), (sequences, values) in zip(plain, elements, strict=True):
                assert sequence_spec.is_compatible_with(sequences)
                assert value_spec.is_compatible_with(values)
                np.testing.assert_array_equal(sequences.numpy(), one)
                expected = as_float32(two) if dtype == "bfloat16" else two
                np.testing.assert_array_equal(values.numpy().astype(expected.dtype), expected)


def test_a_tensor_shares_the_memory_of_an_array(tf: Any, adapter: Any) -> None:
    for dtype in (np.float32, np.uint16):
        array = aligned_empty((4, 16), dtype)
        array[...] = 0
        tensor = adapter.to_tensor(array)
        array[1, 2] = 5
        assert float(tensor.numpy()[1, 2]) == 5.0


def test_memory_that_tensorflow_cannot_take_is_copied(tf: Any, adapter: Any) -> None:
    """It would end the process when such a tensor is sliced."""
    memory = aligned_empty((100,), np.float32)
    memory[...] = np.arange(100)
    misaligned, read_only = memory[1:], memory.view()
    read_only.flags.writeable = False
    for array in (misaligned, read_only, memory[::2]):
        tensor = adapter.to_tensor(array)
        np.testing.assert_array_equal((tensor[3:] + 0).numpy(), array[3:])


def test_slices_of_a_super_batch_can_be_sliced_again(world: World, tf: Any, adapter: Any) -> None:
    with world.dataset(**ARGUMENTS, batch_size=3, super_batch_size=12, window_size=64) as dataset:
        for sequences, values in adapter.to_dataset(dataset):
            assert (values[1:, :, 1:] + 0).shape == (2, 1, 3)
            assert (sequences[:, 5:] * 2).shape == (3, 91, 4)


def test_batch_objects_become_dictionaries(world: World, tf: Any, adapter: Any) -> None:
    with world.dataset(sub_sample_tracks=2, sequence_encoder=None) as plain:
        expected = list(plain)
    with world.dataset(sub_sample_tracks=2, sequence_encoder=None) as dataset:
        for element, batch in zip(adapter.to_dataset(dataset), expected, strict=True):
            assert [name.decode() for name in element["chromosomes"].numpy()] == list(batch.chromosomes)
            assert element["starts"].numpy().tolist() == batch.starts.tolist()
            assert element["track_indices"].numpy().tolist() == batch.track_indices.tolist()
            assert [text.decode() for text in element["sequences"].numpy()] == batch.sequences
            assert element["reverse_complement"].dtype == tf.bool


def test_sampled_tracks_come_with_their_names(world: World, tf: Any, adapter: Any) -> None:
    with world.dataset(return_batch_objects=False, sub_sample_tracks=2) as dataset:
        for _, values, track_indices, track_names in adapter.to_dataset(dataset).take(1):
            assert values.shape == (6, 8, 2)
            assert [name.decode() for name in track_names.numpy()] == [str(world.tracks[i]) for i in track_indices]


def test_a_function_of_strings_gives_any_shape(world: World, tf: Any, adapter: Any) -> None:
    def counts(sequences: list[str]) -> Any:
        return np.array([[text.count(base) for base in "ACGT"] for text in sequences], np.int32)

    with world.dataset(return_batch_objects=False, sequence_encoder=counts) as dataset:
        sequences, _ = next(iter(adapter.to_dataset(dataset)))
        assert (sequences.shape, sequences.dtype) == ((6, 4), tf.int32)


def test_without_a_genome_elements_are_values(world: World, tf: Any, adapter: Any) -> None:
    with world.dataset(return_batch_objects=False, reference_genome_path=None) as dataset:
        assert next(iter(adapter.to_dataset(dataset))).shape == (6, 8, 4)


def test_an_epoch_ends_where_a_stream_ends(world: World, tf: Any, adapter: Any) -> None:
    spots = [("chr1", 900 + 7 * number) for number in range(20)]
    with world.dataset(custom_position_sampler=spots, batches_per_epoch=None, **ARGUMENTS) as dataset:
        assert [len(values) for _, values in adapter.to_dataset(dataset)] == [6, 6, 6, 2]


def test_leaving_the_loop_ends_the_threads(world: World, tf: Any, adapter: Any) -> None:
    with world.dataset(return_batch_objects=False, batches_per_epoch=100) as dataset:
        elements = iter(adapter.to_dataset(dataset))
        next(elements)
        assert prefetch_threads()
        del elements
        gc.collect()
        assert prefetch_threads() == []


def test_an_error_reaches_the_loop_with_its_words(world: World, tf: Any, adapter: Any) -> None:
    def encode(sequences: list[str]) -> Any:
        if "".join(sequences).strip("A"):  # not what is tried for its shape
            raise ZeroDivisionError("in the encoder")
        return np.zeros((len(sequences), 1), np.float32)

    with (
        world.dataset(return_batch_objects=False, sequence_encoder=encode) as dataset,
        pytest.raises(tf.errors.OpError, match="in the encoder"),
    ):
        list(adapter.to_dataset(dataset))


def test_a_model_can_be_fitted(world: World, tf: Any, adapter: Any) -> None:
    with world.dataset(return_batch_objects=False) as dataset:
        layers = [tf.keras.layers.Flatten(), tf.keras.layers.Dense(32), tf.keras.layers.Reshape((8, 4))]
        model = tf.keras.Sequential(layers)
        model.compile(optimizer="sgd", loss="mse")
        history = model.fit(adapter.to_dataset(dataset), epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2


@pytest.mark.gpu
def test_tensors_stay_on_the_gpu(world: World, tf: Any, adapter: Any) -> None:
    with world.dataset() as plain, world.dataset(device="cuda") as dataset:
        for one, other in zip(plain, adapter.batches(dataset), strict=True):
            assert "GPU" in other.values.device
            np.testing.assert_allclose(other.values.numpy(), on_host(one.values), rtol=1e-6)
