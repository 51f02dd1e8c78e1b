"""The dataset for JAX: arrays that share their memory with the batch, through DLPack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .batch import Batch
from .dataset import BigWigDataset

__all__ = ["batches", "to_array"]


def batches(dataset: BigWigDataset) -> Iterator[Any]:
    """The batches of a dataset's next epoch, with JAX arrays.

    Parameters
    ----------
    dataset
        Says whether they are tuples or :class:`~bigwig_numba.batch.Batch`.

    Yields
    ------
    tuple or Batch
        As of the dataset. Values and encoded sequences are ``jax.Array``, on the device on which they were made.

    Examples
    --------
    >>> from bigwig_numba.example_data import example_data
    >>> data = example_data(chromosome_length=50_000)
    >>> dataset = BigWigDataset(
    ...     None, data.bigwig_paths, data.reference_genome_path, batch_size=8, batches_per_epoch=1, window_size=100,
    ...     dtype="bfloat16", device="cpu")
    >>> for sequences, values in batches(dataset):
    ...     print(sequences.shape, values.shape, values.dtype)
    (8, 1000, 4) (8, 10, 8) bfloat16
    >>> dataset.close()
    """

    def convert(batch: Batch) -> Any:
        converted = replace(
            batch,
            values=to_array(batch.values, dtype=dataset.settings.dtype),
            sequences=to_array(batch.sequences),
        )
        return converted if dataset.settings.return_batch_objects else converted.as_tuple()

    return dataset.iterate(convert, consumer_stream="unknown")  # JAX does not tell


def to_array(array: Any, *, dtype: str | None = None) -> Any:
    """A JAX array that shares an array's memory; what is no array of numbers stays as it is.

    Parameters
    ----------
    array
        NumPy or CuPy.
    dtype
        ``"bfloat16"`` takes uint16 for its bits.

    Examples
    --------
    >>> to_array(np.array([0x3F80, 0x4000], np.uint16), dtype="bfloat16")
    Array([1, 2], dtype=bfloat16)
    """
    if not hasattr(array, "__dlpack__"):
        return array
    converted = jnp.from_dlpack(array)
    if dtype == "bfloat16" and array.dtype == np.uint16:
        return jax.lax.bitcast_convert_type(converted, jnp.bfloat16)
    return converted
