"""PyTorch: tensors that share the batch's memory, DataLoaders with and without workers, and going on where one was."""

from __future__ import annotations

import importlib
import itertools
from typing import Any

import numpy as np
import pytest

from bigwig_numba.batch import Batch
from tests.conftest import on_host
from tests.dataset_world import STRAND_PAIR, World
from tests.prefetch_threads import prefetch_threads

pytestmark = [pytest.mark.frameworks("torch", "torchdata"), pytest.mark.usefixtures("no_thread_left")]

ARGUMENTS: dict[str, Any] = {"reverse_complement": 0.5, "jitter": 5, "strand_pairs": [STRAND_PAIR]}
SPOTS = [("chr1", 900 + 7 * number) for number in range(20)]


@pytest.fixture(scope="module")
def torch() -> Any:
    """Imported by the tests that need it only: it takes seconds."""
    return importlib.import_module("torch")


@pytest.fixture(scope="module")
def adapter() -> Any:
    return importlib.import_module("bigwig_numba.pytorch")


def starts(batches: Any) -> list[list[int]]:
    return [batch.starts.tolist() for batch in batches]


class TestTensors:
    @pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
    def test_are_the_arrays_of_the_batch(self, world: World, torch: Any, adapter: Any, dtype: str, device: str) -> None:
        arguments = {**ARGUMENTS, "dtype": dtype, "device": device}
        with world.dataset(**arguments) as plain:
            tensors = adapter.PytorchBigWigDataset(world.dataset(**arguments))
            for one, other in zip(plain, tensors, strict=True):
                assert isinstance(other, adapter.PytorchBatch)
                assert other.values.dtype == getattr(torch, dtype)
                assert other.values.device.type == device
                bits = other.values.view(torch.int16) if dtype == "bfloat16" else other.values
                values = on_host(one.values)
                values = values.view(np.int16) if dtype == "bfloat16" else values
                np.testing.assert_array_equal(bits.cpu().numpy(), values)
                np.testing.assert_array_equal(other.sequences.cpu().numpy(), on_host(one.sequences))
                assert other.starts.tolist() == one.starts.tolist()
                assert list(other.chromosomes) == list(one.chromosomes)
                assert other.other_batched["region"].tolist() == one.other_batched["region"].tolist()

    def test_share_memory(self, torch: Any, adapter: Any) -> None:
        values, bits = np.zeros((2, 3), np.float32), np.zeros((2, 3), np.uint16)
        batch = Batch(["chr1"] * 2, np.arange(2), np.arange(2), values=values, sequences=bits)
        tensors = adapter.PytorchBatch.from_batch(batch)
        values[0, 0], bits[0, 0] = 5, 7
        assert (float(tensors.values[0, 0]), int(tensors.sequences[0, 0])) == (5.0, 7)
        assert adapter.to_tensor(bits, dtype="bfloat16").data_ptr() == bits.ctypes.data

    def test_tuples_by_default(self, world: World, torch: Any, adapter: Any) -> None:
        dataset = adapter.PytorchBigWigDataset(world.dataset(return_batch_objects=False))
        sequences, values = next(iter(dataset))
        assert (tuple(sequences.shape), tuple(values.shape)) == ((6, 96, 4), (6, 8, 4))
        dataset = adapter.PytorchBigWigDataset(world.dataset(return_batch_objects=False, sub_sample_tracks=2))
        _, values, track_indices, track_names = next(iter(dataset))
        assert values.shape[2] == len(track_indices) == len(track_names) == 2
        assert isinstance(track_indices, torch.Tensor)

    def test_a_batch_moves_and_slices(self, world: World, torch: Any, adapter: Any) -> None:
        batch = next(iter(adapter.PytorchBigWigDataset(world.dataset())))
        assert batch.to(torch.float64).values.dtype == torch.float64
        assert batch[2:4].values.shape[0] == len(batch[2:4]) == 2

    @pytest.mark.gpu
    def test_memory_is_kept_until_pytorch_has_read_it(self, world: World, torch: Any, adapter: Any) -> None:
        arguments: dict[str, Any] = {"device": "cuda", "batches_per_epoch": 40, "window_size": 1}
        with world.dataset(**arguments) as plain:
            expected = [float(on_host(batch.values).sum(dtype=np.float64)) for batch in plain]
        stream, sums = torch.cuda.Stream(), []
        with torch.cuda.stream(stream):
            ballast = torch.ones((3_000, 3_000), device="cuda")
            for batch in adapter.PytorchBigWigDataset(world.dataset(**arguments)):
                ballast = ballast @ ballast * 0
                sums.append(batch.values.double().sum())
                del batch
            found = [float(total) for total in sums]
        np.testing.assert_allclose(found, expected, rtol=1e-9)


class TestDataLoader:
    @pytest.mark.parametrize("n_workers", [0, 1, 3])
    def test_workers_change_nothing(self, world: World, torch: Any, adapter: Any, n_workers: int) -> None:
        with world.dataset(**ARGUMENTS) as plain:
            expected = [starts(plain), starts(plain)]
        dataset = adapter.PytorchBigWigDataset(world.dataset(**ARGUMENTS))
        loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=n_workers)
        assert len(loader) == 7
        assert [starts(loader), starts(loader)] == expected

    def test_a_spawned_worker_too(self, world: World, torch: Any, adapter: Any) -> None:
        with world.dataset() as plain:
            expected = [starts(plain), starts(plain)]
        dataset = adapter.PytorchBigWigDataset(world.dataset())
        loader = torch.utils.data.DataLoader(
            dataset, batch_size=None, num_workers=1, multiprocessing_context="spawn", persistent_workers=True
        )
        assert [starts(loader), starts(loader)] == expected

    def test_workers_begin_with_the_epoch_that_was_set(self, world: World, torch: Any, adapter: Any) -> None:
        with world.dataset() as plain:
            plain.set_epoch(5)
            expected = starts(plain)
        dataset = adapter.PytorchBigWigDataset(world.dataset())
        dataset.set_epoch(5)
        assert starts(torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=2)) == expected

    def test_a_generator_needs_this_process_and_says_so(self, world: World, torch: Any, adapter: Any) -> None:
        dataset = adapter.PytorchBigWigDataset(world.dataset(custom_position_sampler=iter(SPOTS)))
        with pytest.raises(RuntimeError, match="ConfigError: custom_position_sampler is an iterator"):
            list(torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=2))

    @pytest.mark.gpu
    def test_workers_cannot_hand_over_what_is_on_the_gpu_and_say_so(
        self, world: World, torch: Any, adapter: Any
    ) -> None:
        dataset = adapter.PytorchBigWigDataset(world.dataset(device="cuda"))
        with pytest.raises(RuntimeError, match=r"ConfigError: num_workers is 2.*num_workers=0"):
            list(torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=2))

    def test_leaving_the_loop_leaves_no_thread(self, world: World, torch: Any, adapter: Any) -> None:
        dataset = adapter.PytorchBigWigDataset(world.dataset())
        for _ in torch.utils.data.DataLoader(dataset, batch_size=None):
            break
        assert prefetch_threads() == []


class TestResuming:
    @pytest.mark.parametrize("n_workers", [0, 2])
    @pytest.mark.parametrize("step", [0, 1, 4, 7])
    def test_a_stateful_loader_goes_on_where_it_was(
        self, world: World, torch: Any, adapter: Any, n_workers: int, step: int
    ) -> None:
        from torchdata.stateful_dataloader import StatefulDataLoader

        def loader() -> Any:
            dataset = adapter.PytorchBigWigDataset(world.dataset(**ARGUMENTS))
            return StatefulDataLoader(dataset, batch_size=None, num_workers=n_workers)

        first = loader()
        batches = iter(first)
        for _ in itertools.repeat(None, step):
            next(batches)
        state = first.state_dict()
        expected = [starts(batches), starts(first)]
        second = loader()
        second.load_state_dict(state)
        assert [starts(second), starts(second)] == expected

    @pytest.mark.parametrize("n_workers", [0, 2])
    def test_after_an_epoch_the_next_one_comes(self, world: World, torch: Any, adapter: Any, n_workers: int) -> None:
        from torchdata.stateful_dataloader import StatefulDataLoader

        with world.dataset() as plain:
            epochs = [starts(plain) for _ in range(3)]

        def loader() -> Any:
            dataset = adapter.PytorchBigWigDataset(world.dataset())
            return StatefulDataLoader(dataset, batch_size=None, num_workers=n_workers)

        first = loader()
        assert starts(first) == epochs[0]
        second = loader()
        second.load_state_dict(first.state_dict())
        assert [starts(second), starts(second)] == epochs[1:]

    def test_a_state_of_other_workers_is_refused(self, world: World, torch: Any, adapter: Any) -> None:
        dataset = adapter.PytorchBigWigDataset(world.dataset())
        next(iter(dataset))
        state = dataset.state_dict()
        dataset = adapter.PytorchBigWigDataset(world.dataset())
        dataset.load_state_dict(state)
        with pytest.raises(RuntimeError, match=r"ConfigError: .*StatefulDataLoader"):
            list(torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=2))


def test_distributed_processes_share_an_epoch(world: World, torch: Any, tmp_path: Any) -> None:
    """torch.distributed says which rank this is, also when it is initialised after the dataset was made."""
    with world.dataset(world_size=2, rank=0) as plain:
        expected = starts(plain)
    with world.dataset() as dataset:
        store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
        torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
        try:
            assert len(starts(dataset)) == 7
        finally:
            torch.distributed.destroy_process_group()
    assert len(expected) == 4
