"""The dataset for PyTorch: tensors that share their memory with the batch, in a ``DataLoader`` or without."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from .batch import Batch
from .dataset import BigWigDataset, DatasetStats
from .errors import ConfigError

__all__ = ["PytorchBatch", "PytorchBigWigDataset", "to_tensor"]

MOST_WORKERS = 1_024


@dataclass(eq=False, repr=False)
class PytorchBatch(Batch):
    """A batch whose arrays are tensors; otherwise as :class:`~bigwig_numba.batch.Batch`.

    Chromosomes, names and sequences that are strings stay as they are.

    Examples
    --------
    >>> batch = Batch(["chr1", "chr2"], [100, 200], [110, 210], values=np.ones((2, 10, 3), np.float32))
    >>> tensors = PytorchBatch.from_batch(batch)
    >>> tensors.values.sum(), tensors.to("cpu", torch.float64).values.dtype
    (tensor(60.), torch.float64)
    """

    @classmethod
    def from_batch(cls, batch: Batch, dtype: str = "float32") -> Self:
        """Make tensors of a batch's arrays, without copying.

        Parameters
        ----------
        batch
            Of a dataset or loader.
        dtype
            What the values are; ``"bfloat16"`` comes as its bits.
        """
        arrays = {field.name: getattr(batch, field.name) for field in fields(batch)}
        tensors = {name: _converted(value) for name, value in arrays.items()}
        if batch.values is not None:
            tensors["values"] = to_tensor(batch.values, dtype=dtype)
        return cls(**tensors)

    def to(self, *arguments: Any, **keywords: Any) -> Self:
        """The batch with its sequences and values as ``torch.Tensor.to`` gives them, for instance on another device."""
        moved = {
            name: tensor.to(*arguments, **keywords)
            for name in ("sequences", "values")
            if isinstance(tensor := getattr(self, name), torch.Tensor)
        }
        return type(self)(**{**{field.name: getattr(self, field.name) for field in fields(self)}, **moved})

    def pin_memory(self) -> Self:
        """The batch in pinned memory; a ``DataLoader`` with ``pin_memory=True`` asks for it."""
        pinned = {
            name: tensor.pin_memory()
            for name in ("sequences", "values")
            if isinstance(tensor := getattr(self, name), torch.Tensor)
        }
        return type(self)(**{**{field.name: getattr(self, field.name) for field in fields(self)}, **pinned})


class PytorchBigWigDataset(IterableDataset):  # type: ignore[misc]  # Any, where PyTorch is not installed
    """:class:`~bigwig_numba.dataset.BigWigDataset` as a PyTorch dataset of whole batches.

    Give it to ``DataLoader(dataset, batch_size=None)``, or go through it directly. The threads of the dataset make
    batches ahead, so ``num_workers=0`` is right, and on a GPU the only choice. On the CPU workers share the batches, in
    the order that they would have without.

    Parameters
    ----------
    *arguments, **keywords
        Those of :class:`~bigwig_numba.dataset.BigWigDataset`; or one, a dataset that is there. With
        ``return_batch_objects`` batches are :class:`PytorchBatch`.

    Attributes
    ----------
    dataset
        The dataset that does the work.

    Examples
    --------
    >>> from bigwig_numba.example_data import example_data
    >>> data = example_data(chromosome_length=50_000)
    >>> dataset = PytorchBigWigDataset(
    ...     None, data.bigwig_paths, data.reference_genome_path, batch_size=8, batches_per_epoch=2, window_size=100,
    ...     dtype="bfloat16", device="cpu")
    >>> for sequences, values in torch.utils.data.DataLoader(dataset, batch_size=None):
    ...     print(sequences.shape, values.shape, values.dtype)
    torch.Size([8, 1000, 4]) torch.Size([8, 10, 8]) torch.bfloat16
    torch.Size([8, 1000, 4]) torch.Size([8, 10, 8]) torch.bfloat16
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__()
        given = arguments[0] if len(arguments) == 1 and not keywords else None
        self.dataset = given if isinstance(given, BigWigDataset) else BigWigDataset(*arguments, **keywords)
        self._was_loaded = False  # in this worker
        # Workers are started anew each epoch and know of no earlier one: the epoch of each is kept in shared memory.
        self._epochs_of_workers = torch.zeros(MOST_WORKERS, dtype=torch.int64).share_memory_()

    def __iter__(self) -> Iterator[Any]:
        """Batches of the next epoch, or of the rest of one after :meth:`load_state_dict`."""
        worker = get_worker_info()
        if worker is not None:
            return self._iterate_in_worker(worker.id, worker.num_workers)
        return self.dataset.iterate(self._converter(), consumer_stream=_current_stream)

    def _iterate_in_worker(self, worker: int, n_workers: int) -> Iterator[Any]:
        """Each worker has each ``n_workers``-th batch: a DataLoader takes them in turn, so the order is kept."""
        if self.dataset.bigwig_collection.device != "cpu":
            message = (
                f"num_workers is {n_workers}, but tensors on the GPU cannot be handed from process to process. Use "
                "num_workers=0: the dataset makes batches ahead by itself; or device='cpu'"
            )
            raise ConfigError(message, argument="num_workers", value=n_workers)
        self.dataset.check_can_be_shared()
        self._epochs_of_workers[worker] = self._choose_epoch(worker, n_workers)
        batches = self.dataset.iterate(self._converter(), part=worker, n_parts=n_workers)
        return self._until_the_end(batches, worker)

    def _choose_epoch(self, worker: int, n_workers: int) -> int:
        """Set the epoch that this worker begins; returns the one with which a worker started later goes on."""
        progress, was_loaded = self.dataset.progress, self._was_loaded
        self._was_loaded = False
        if was_loaded:
            # A loader restored at the end of an epoch starts workers, and at once others in their place.
            return progress.position.epoch + (progress.position.step > 0)
        if progress.is_new and progress.position.step:
            message = (
                "The state was loaded in this process, for num_workers=0. To go on with workers, take torchdata's "
                "StatefulDataLoader and load its state"
            )
            raise ConfigError(message, argument="num_workers", value=n_workers)
        if progress.is_new:
            self.dataset.set_epoch(max(self.dataset.epoch, int(self._epochs_of_workers[worker])))
        return self.dataset.epoch + (1 if progress.is_new else 2)

    def _until_the_end(self, batches: Iterator[Any], worker: int) -> Iterator[Any]:
        yield from batches
        epochs = self._epochs_of_workers
        epochs[worker] = max(int(epochs[worker]), self.dataset.epoch)

    def _converter(self) -> Any:
        as_batch, dtype = self.dataset.settings.return_batch_objects, self.dataset.settings.dtype
        return functools.partial(_convert, dtype=dtype, as_batch=as_batch)

    def __len__(self) -> int:
        """Batches of an epoch on this rank; a TypeError where only a stream of positions knows."""
        return len(self.dataset)

    @property
    def stats(self) -> DatasetStats:
        """As :attr:`BigWigDataset.stats`."""
        return self.dataset.stats

    def set_epoch(self, epoch: int) -> None:
        """As :meth:`BigWigDataset.set_epoch`; for workers that are started later too."""
        self.dataset.set_epoch(epoch)
        self._epochs_of_workers.fill_(epoch)

    def state_dict(self) -> dict[str, Any]:
        """As :meth:`BigWigDataset.state_dict`; torchdata's ``StatefulDataLoader`` asks for it."""
        worker = get_worker_info()
        return {**self.dataset.state_dict(), "n_workers": 0 if worker is None else worker.num_workers}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As :meth:`BigWigDataset.load_state_dict`."""
        worker = get_worker_info()
        n_workers = 0 if worker is None else worker.num_workers
        if isinstance(state, Mapping) and state.get("n_workers", n_workers) != n_workers:
            message = f"The state is of num_workers={state['n_workers']}, and this is num_workers={n_workers}"
            raise ConfigError(message, argument="num_workers", value=n_workers)
        self.dataset.load_state_dict(state)
        self._was_loaded = worker is not None

    def reset_gpu(self) -> None:
        """As :meth:`BigWigDataset.reset_gpu`."""
        self.dataset.reset_gpu()

    def close(self) -> None:
        """As :meth:`BigWigDataset.close`."""
        self.dataset.close()

    def __repr__(self) -> str:
        return f"Pytorch{self.dataset!r}"


PytorchBigWigDataset.__signature__ = inspect.signature(BigWigDataset)


def to_tensor(array: Any, *, dtype: str | None = None) -> torch.Tensor:
    """A tensor that shares an array's memory.

    Parameters
    ----------
    array
        NumPy or CuPy.
    dtype
        ``"bfloat16"`` takes uint16 for its bits.

    Returns
    -------
    torch.Tensor
        On the array's device, in the order of PyTorch's current stream.

    Examples
    --------
    >>> to_tensor(np.array([0x3F80, 0x4000], np.uint16), dtype="bfloat16")
    tensor([1., 2.], dtype=torch.bfloat16)
    """
    is_bfloat16 = dtype == "bfloat16" and array.dtype == np.uint16
    tensor: torch.Tensor = torch.from_dlpack(array.view(np.int16) if is_bfloat16 else array)
    return tensor.view(torch.bfloat16) if is_bfloat16 else tensor


def _convert(batch: Batch, *, dtype: str, as_batch: bool) -> Any:
    tensors = PytorchBatch.from_batch(batch, dtype)
    return tensors if as_batch else tensors.as_tuple()


def _converted(value: Any) -> Any:
    """Arrays of numbers as tensors, also in lists and mappings; anything else as it is."""
    if isinstance(value, Mapping):
        return {name: _converted(array) for name, array in value.items()}
    if isinstance(value, list) and any(hasattr(item, "dtype") for item in value):
        return [_converted(array) for array in value]
    is_number = hasattr(value, "__dlpack__") and not isinstance(value, torch.Tensor) and value.dtype.kind in "biuf"
    return to_tensor(value) if is_number else value


class _StreamAddress:
    """A CUDA stream as others ask for it: by the CUDA stream protocol, which PyTorch's own streams may lack."""

    def __init__(self, address: int) -> None:
        self.address = address

    def __cuda_stream__(self) -> tuple[int, int]:
        """Version of the protocol, and the stream."""
        return 0, self.address


def _current_stream() -> Any:
    """PyTorch's current CUDA stream, as CuPy's."""
    import cupy

    address = torch.cuda.current_stream().cuda_stream
    from_external = getattr(cupy.cuda.Stream, "from_external", None)
    if from_external is None:  # CuPy before 14
        return cupy.cuda.ExternalStream(address)
    return from_external(_StreamAddress(address))
