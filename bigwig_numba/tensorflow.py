"""The dataset for TensorFlow: a ``tf.data.Dataset``, or tensors one batch after another, through DLPack."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from .batch import Batch
from .dataset import BigWigDataset

__all__ = ["batches", "to_dataset", "to_tensor"]

FIELDS = ("chromosomes", "starts", "ends", "sequences", "values", "track_indices", "track_mask", "reverse_complement")
"""Of a batch, those that may be tensors."""


def to_dataset(dataset: BigWigDataset) -> Any:
    """A ``tf.data.Dataset`` of whole batches; each time it is gone through is an epoch.

    Batches are made ahead by the dataset's own threads; there is no need for ``prefetch``. On the CPU tensors share
    their memory with the batch. On a GPU ``tf.data``, which works on the host, copies them there: take :func:`batches`.

    Parameters
    ----------
    dataset
        Gives ``(sequences, values)``, with ``track_indices`` and ``track_names`` if it samples tracks; or, with
        ``return_batch_objects``, dictionaries of what a :class:`~bigwig_numba.batch.Batch` has.

    Returns
    -------
    tf.data.Dataset
        Values that are bfloat16 are ``tf.bfloat16``, strings ``tf.string``.

    Examples
    --------
    >>> from bigwig_numba.example_data import example_data
    >>> data = example_data(chromosome_length=50_000)
    >>> dataset = BigWigDataset(
    ...     None, data.bigwig_paths, data.reference_genome_path, batch_size=8, batches_per_epoch=1, window_size=100,
    ...     dtype="bfloat16", device="cpu")
    >>> for sequences, values in to_dataset(dataset):
    ...     print(sequences.shape, values.shape, values.dtype)
    (8, 1000, 4) (8, 10, 8) <dtype: 'bfloat16'>
    >>> dataset.close()
    """
    waiting: dict[int, list[Any]] = {}
    tickets = itertools.count()
    specs = _specs(dataset)

    def issue_tickets() -> Iterator[int]:
        """What tf.data takes from Python by copying is only the number of a batch."""
        mine = []
        try:
            for batch in batches(dataset, convert=lambda batch, dtype: _flat(batch, dtype, dataset)):
                ticket = next(tickets)
                mine.append(ticket)
                waiting[ticket] = batch
                yield ticket
        finally:
            for ticket in mine:
                waiting.pop(ticket, None)

    def redeem(ticket: Any) -> Any:
        flat = tf.nest.flatten(specs)
        tensors = tf.py_function(lambda number: waiting.pop(int(number)), [ticket], [spec.dtype for spec in flat])
        for tensor, spec in zip(tensors, flat, strict=True):
            tensor.set_shape(spec.shape)
        return tf.nest.pack_sequence_as(specs, tensors)

    numbers = tf.data.Dataset.from_generator(issue_tickets, output_signature=tf.TensorSpec((), tf.int64))
    return numbers.map(redeem, num_parallel_calls=1)


def batches(dataset: BigWigDataset, *, convert: Callable[[Batch, str], Any] | None = None) -> Iterator[Any]:
    """The batches of a dataset's next epoch, with tensors on the device on which they were made.

    Parameters
    ----------
    dataset
        Says whether they are tuples or :class:`~bigwig_numba.batch.Batch`.
    convert
        Makes something else of a batch and the type of its values.

    Yields
    ------
    tuple or Batch
        As of the dataset.

    Examples
    --------
    >>> from bigwig_numba.example_data import example_data
    >>> data = example_data(chromosome_length=50_000)
    >>> with BigWigDataset(
    ...     None, data.bigwig_paths, data.reference_genome_path, batch_size=8, batches_per_epoch=1, device="cpu"
    ... ) as dataset:
    ...     for sequences, values in batches(dataset):
    ...         print(sequences.shape, values.shape, values.dtype)
    (8, 1000, 4) (8, 1000, 8) <dtype: 'float32'>
    """
    make = convert or (_as_batch if dataset.settings.return_batch_objects else _as_tuple)
    dtype = dataset.settings.dtype
    return dataset.iterate(lambda batch: make(batch, dtype), consumer_stream="unknown")  # TensorFlow does not tell


def to_tensor(array: Any, *, dtype: str | None = None) -> Any:
    """A tensor that shares an array's memory; strings are copied, and what is neither stays as it is.

    Parameters
    ----------
    array
        NumPy or CuPy, or a list of strings.
    dtype
        ``"bfloat16"`` takes uint16 for its bits.

    Examples
    --------
    >>> to_tensor(np.array([0x3F80, 0x4000], np.uint16), dtype="bfloat16").numpy().tolist()
    [1.0, 2.0]
    """
    if hasattr(array, "__dlpack__") and array.dtype.kind in "biuf":
        tensor = _from_dlpack(array)
        return tf.bitcast(tensor, tf.bfloat16) if dtype == "bfloat16" and array.dtype == np.uint16 else tensor
    is_text = isinstance(array, list | tuple | np.ndarray) and all(isinstance(text, str) for text in array)
    return tf.constant(list(array), tf.string) if is_text else array


def _from_dlpack(array: Any) -> Any:
    """TensorFlow ends the process if it slices memory that does not begin at a multiple of 64 bytes: copy such."""
    is_host = isinstance(array, np.ndarray)
    address = array.ctypes.data if is_host else array.data.ptr
    if (
        address % 64
        or array.dtype.kind == "b"
        or not array.flags.c_contiguous
        or (is_host and not array.flags.writeable)
    ):
        return tf.constant(array if is_host else array.get())
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def _as_tuple(batch: Batch, dtype: str) -> Any:
    return _as_batch(batch, dtype).as_tuple()


def _as_batch(batch: Batch, dtype: str) -> Batch:
    tensors = {name: to_tensor(getattr(batch, name)) for name in FIELDS if name != "values"}
    others = {"track_names": batch.track_names, "other_batched": batch.other_batched, "other": batch.other}
    return Batch(values=to_tensor(batch.values, dtype=dtype), **tensors, **others)


def _flat(batch: Batch, dtype: str, dataset: BigWigDataset) -> list[Any]:
    """Tensors in the order in which TensorFlow flattens :func:`_specs`."""
    tensors = _as_batch(batch, dtype)
    if dataset.settings.return_batch_objects:
        return [getattr(tensors, name) for name in sorted(_spec_of_batch(dataset))]
    flat = [tensor for tensor in (tensors.sequences, tensors.values) if tensor is not None]
    if tensors.track_indices is not None:
        flat += [tensors.track_indices, to_tensor(tensors.track_names)]
    return flat


def _specs(dataset: BigWigDataset) -> Any:
    """What the elements of the ``tf.data.Dataset`` are."""
    specs = _spec_of_batch(dataset)
    if dataset.settings.return_batch_objects:
        return specs
    names = ("sequences", "values", "track_indices")
    elements = tuple(specs[name] for name in names if name in specs)
    if "track_indices" in specs:
        elements += (tf.TensorSpec(specs["track_indices"].shape, tf.string),)
    return elements if len(elements) > 1 else elements[0]


def _spec_of_batch(dataset: BigWigDataset) -> dict[str, Any]:
    """The fields of a batch that are there, with shapes and types."""
    shapes = dataset.shapes
    specs = {
        "chromosomes": tf.TensorSpec((None,), tf.string),
        "starts": tf.TensorSpec((None,), tf.int64),
        "ends": tf.TensorSpec((None,), tf.int64),
        "values": tf.TensorSpec((None, *shapes.values), tf.as_dtype(dataset.settings.dtype)),
        "reverse_complement": tf.TensorSpec((None,), tf.bool),
    }
    if shapes.sequences is not None:
        dtype = tf.string if shapes.sequence_dtype == "str" else tf.as_dtype(shapes.sequence_dtype)
        specs["sequences"] = tf.TensorSpec((None, *shapes.sequences), dtype)
    if shapes.has_track_indices:
        specs["track_indices"] = tf.TensorSpec((shapes.n_tracks,), tf.int64)
    if shapes.has_track_mask:
        specs["track_mask"] = tf.TensorSpec((shapes.n_tracks,), tf.bool)
    return specs
