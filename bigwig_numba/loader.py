"""Values for any iterable of queries, made ahead in background threads: the dataset's pipeline without its sampling."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from .arguments import integer
from .batch import Batch
from .collection import BigWigCollection
from .errors import ConfigError
from .kernels.statistics import Statistic
from .prefetch import HostStreams, Prefetcher, Streams

__all__ = ["ConsumerStream", "QueryLoader", "streams_for"]

ConsumerStream = Callable[[], Any] | Literal["unknown"] | None

Query = Batch | tuple[Any, Any, Any] | Mapping[str, Any]


class QueryLoader:
    """Go through queries, and get each back with its values.

    Parameters
    ----------
    queries
        Of :class:`~bigwig_numba.batch.Batch`, of ``(chromosomes, starts, ends)``, or of mappings of the arguments of
        ``Batch``. Each query's windows have one length; ``track_indices`` chooses tracks. What else a query has stays
        with it.
    collection
        Where the values come from.
    window_size, default_value, dtype, statistic
        As of :meth:`BigWigCollection.get_batch`.
    slice_size
        Hand out batches of so many samples, cut from the queries, of which the last may be smaller. By default a query
        is a batch.
    n_threads
        Queries that are read at a time.

    Raises
    ------
    WorkerError
        While iterating, at the query where it belongs; its cause says what was wrong.

    Examples
    --------
    >>> from bigwig_numba.example_data import example_data
    >>> paths = example_data(chromosome_length=50_000).bigwig_paths
    >>> queries = ((["chr1"] * 3, [start, start + 100, start + 200], [start + 64, start + 164, start + 264])
    ...            for start in range(10_000, 12_000, 1_000))
    >>> with BigWigCollection(paths, device="cpu") as collection:
    ...     for batch in QueryLoader(queries, collection, window_size=16, slice_size=2):
    ...         print(batch)
    Batch(2 samples, starts=[10000, 10100], values=(2, 4, 8))
    Batch(1 sample, starts=[10200], values=(1, 4, 8))
    Batch(2 samples, starts=[11000, 11100], values=(2, 4, 8))
    Batch(1 sample, starts=[11200], values=(1, 4, 8))
    """

    def __init__(
        self,
        queries: Iterable[Query],
        collection: BigWigCollection,
        *,
        window_size: int = 1,
        default_value: float = 0.0,
        dtype: str = "float32",
        statistic: str | Statistic = "mean",
        slice_size: int | None = None,
        n_threads: int = 4,
    ) -> None:
        for name, value in (("slice_size", slice_size), ("n_threads", n_threads)):
            if value is not None and integer(value, name) < 1:
                raise ConfigError(f"{name} is {value}, expected 1 or more", argument=name, value=value)
        self._queries = queries
        self._collection = collection
        self._reading: dict[str, Any] = {
            "window_size": window_size,
            "default_value": default_value,
            "dtype": dtype,
            "statistic": statistic,
        }
        self._slice_size = slice_size
        self._n_threads = n_threads

    def __iter__(self) -> Iterator[Batch]:
        """The queries with their values; each time ``queries`` is gone through anew."""
        streams = streams_for(self._collection.device)
        with Prefetcher(self._queries, self._read, n_threads=self._n_threads, streams=streams) as batches:
            for batch in batches:
                yield from self._slices(batch)

    def _read(self, queries: list[Query]) -> list[Batch]:
        batches = map(Batch.from_args, queries)
        return [replace(batch, values=self._values(batch)) for batch in batches]

    def _values(self, batch: Batch) -> Any:
        return self._collection.get_batch(
            batch.chromosomes, batch.starts, batch.ends, track_indices=batch.track_indices, **self._reading
        )

    def _slices(self, batch: Batch) -> Iterator[Batch]:
        size = self._slice_size or len(batch)
        for first in range(0, len(batch), size):
            yield batch[first : first + size]


def streams_for(device: str, consumer_stream: ConsumerStream = None) -> Streams:
    """How batches cross from the threads of a device to their consumer.

    Parameters
    ----------
    device
        ``"cpu"`` or ``"cuda"``.
    consumer_stream
        Gives the CUDA stream on which the consumer works; CuPy's current one by default. ``"unknown"`` for a consumer
        that does not tell: it gets batches that are complete, and their memory is kept until the whole GPU is idle.
    """
    if device == "cpu":
        return HostStreams()
    module = importlib.import_module(".gpu_streams", __package__)  # needs CuPy
    streams: Streams = module.CudaStreams(module.WholeDevice if consumer_stream == "unknown" else consumer_stream)
    return streams
