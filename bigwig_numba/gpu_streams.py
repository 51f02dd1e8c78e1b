"""Batches made on worker threads' CUDA streams, used on the consumer's: events order them, memory waits for its reader.

::

    worker's stream    ─[ make batch ]─● event
                                        ╲
    consumer's stream  ──────────────────[ wait ]─[ forward, backward ]─● event, when the arrays are dropped
                                                                         ╲
    worker's memory    ───────────────────────────────────────────────────[ used again ]

CuPy gives freed memory back to the stream on which it was allocated, and that stream knows nothing of the consumer's
kernels that may still read it. So each array handed out has a lease: when the last reference goes, an event is recorded
on the consumer's stream, and the memory is kept until that event has passed.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import cupy

from .batch import Batch

__all__ = ["CudaStreams", "WholeDevice"]


class CudaStreams:
    """A non-blocking stream for each worker, and the hand-over to the consumer's.

    Parameters
    ----------
    consumer
        Called at each hand-over, on the consumer's thread, for the stream that the batch will be used on; by default
        CuPy's current one.
    """

    def __init__(self, consumer: Callable[[], Any] | None = None) -> None:
        self._consumer = consumer or cupy.cuda.get_current_stream
        self._device = cupy.cuda.Device().id
        self._streams: list[Any] = []
        self._returned = _ReturnedMemory(self._device, self._streams)

    @contextmanager
    def worker(self) -> Iterator[None]:
        """A stream of the calling thread's own is current inside."""
        with cupy.cuda.Device(self._device):
            stream = cupy.cuda.Stream(non_blocking=True)
            self._streams.append(stream)
            with stream:
                yield
            stream.synchronize()

    def record(self) -> Any:
        """An event that passes when all that the calling worker has launched is done."""
        self._returned.free_what_was_read()
        return cupy.cuda.get_current_stream().record(_event())

    def hand_over(self, result: Batch, mark: Any) -> Batch:
        """The batch, its arrays leased; what the consumer's stream does from now on sees it complete."""
        stream = self._consumer()
        stream.wait_event(mark)
        return replace(
            result, values=self._leased(result.values, stream), sequences=self._leased(result.sequences, stream)
        )

    def close(self) -> None:
        """Give the memory back that nobody reads, and from now on each array's as soon as it is dropped."""
        self._returned.close()

    def _leased(self, array: Any, stream: Any) -> Any:
        if not isinstance(array, cupy.ndarray) or array.nbytes == 0:
            return array
        lease = _Lease(array, stream, self._returned)
        memory = cupy.cuda.UnownedMemory(array.data.ptr, array.nbytes, lease, self._device)
        return cupy.ndarray(array.shape, array.dtype, cupy.cuda.MemoryPointer(memory, 0), strides=array.strides)


class WholeDevice:
    """Stands in for a stream that cannot be known: waits for everything on the device."""

    def wait_event(self, event: Any) -> None:
        """Wait on the host."""
        event.synchronize()

    def record(self, event: Any) -> Any:
        """Wait for all streams, so that the event passes at once."""
        cupy.cuda.Device().synchronize()
        return cupy.cuda.Stream.null.record(event)


class _Lease:
    """Held by the arrays that share a piece of handed-out memory; its end is the end of their use."""

    def __init__(self, array: Any, stream: Any, returned: _ReturnedMemory) -> None:
        self._held = [array]
        self._stream = stream
        self._returned = returned

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self._returned.add(self._held, self._stream)


class _ReturnedMemory:
    """Arrays that were dropped, each with the event that passes once it is no longer read."""

    def __init__(self, device: int, streams: list[Any]) -> None:
        self._device = device
        self._streams = streams
        self._lock = threading.RLock()  # reentrant: a lease may end inside of any allocation
        self._waiting: deque[tuple[Any, Any]] = deque()
        self._closed = False

    def add(self, held: list[Any], stream: Any) -> None:
        """Keep what the list holds until the stream has come to this point. The list is emptied."""
        with cupy.cuda.Device(self._device):
            event = stream.record(_event())
            with self._lock:
                self._waiting.append((event, held.pop()))
                if self._closed:
                    self._free_all()

    def free_what_was_read(self) -> None:
        """Free what no kernel reads any more; nothing is waited for."""
        with self._lock:
            self._waiting = deque(entry for entry in self._waiting if not entry[0].done)

    def close(self) -> None:
        """Free all, waiting for the events; later returns are freed at once."""
        with self._lock, cupy.cuda.Device(self._device):
            self._closed = True
            self._free_all()

    def _free_all(self) -> None:
        while self._waiting:
            event, array = self._waiting.popleft()
            event.synchronize()
            del array
        pool = cupy.get_default_memory_pool()
        for stream in self._streams:
            pool.free_all_blocks(stream=stream)


def _event() -> Any:
    return cupy.cuda.Event(disable_timing=True)
