"""Memory that is kept for the next batch: taking it from the system anew costs as much as a batch, or more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

__all__ = ["BufferPool"]

SMALLEST = 1 << 16  # bytes
MOST_KEPT = 8  # buffers; as many batches may be under way at a time without a new allocation


def _new_memory(n_bytes: int) -> npt.NDArray[np.uint8]:
    return np.empty(n_bytes, np.uint8)


class BufferPool:
    """Lends buffers; sizes are rounded up to powers of two, so that batches of about one size share them.

    Parameters
    ----------
    allocate
        Number of bytes to a new (n,) uint8 array.
    settle
        Called before a buffer comes back from a ``with`` block that failed: nobody may be writing to it any more.

    Examples
    --------
    >>> pool = BufferPool()
    >>> with pool.lend(100_000) as buffer:
    ...     print(buffer.nbytes, pool.n_bytes)
    100000 131072
    """

    def __init__(
        self,
        allocate: Callable[[int], npt.NDArray[np.uint8]] = _new_memory,
        settle: Callable[[], object] = lambda: None,
    ) -> None:
        self._allocate, self._settle = allocate, settle
        self._free: list[npt.NDArray[np.uint8]] = []
        self._lock = threading.Lock()
        self.n_bytes = 0

    @contextmanager
    def lend(self, n_bytes: int) -> Iterator[npt.NDArray[np.uint8]]:
        """A buffer of ``n_bytes`` bytes for a ``with`` block, at the end of which nobody may write to it any more."""
        buffer = self._take(max(n_bytes, SMALLEST))
        try:
            yield buffer[:n_bytes]
        except BaseException:
            self._settle()
            raise
        finally:
            self._give_back(buffer)

    def close(self) -> None:
        """Give free buffers back to the system."""
        with self._lock:
            self.n_bytes -= sum(buffer.nbytes for buffer in self._free)
            self._free.clear()

    def _take(self, n_bytes: int) -> npt.NDArray[np.uint8]:
        with self._lock:
            fitting = [buffer for buffer in self._free if buffer.nbytes >= n_bytes]
            if fitting:
                smallest = min(fitting, key=lambda buffer: buffer.nbytes)
                self._free = [buffer for buffer in self._free if buffer is not smallest]
                return smallest
        size = 1 << (n_bytes - 1).bit_length()
        buffer = self._allocate(size)
        with self._lock:
            self.n_bytes += size
        return buffer

    def _give_back(self, buffer: npt.NDArray[np.uint8]) -> None:
        with self._lock:
            self._free.append(buffer)
            if len(self._free) > MOST_KEPT:
                self._free.sort(key=lambda kept: kept.nbytes)
                self.n_bytes -= self._free.pop(0).nbytes
