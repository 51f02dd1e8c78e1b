"""Compiled functions on several threads: a range of items split into pieces, each piece one call that releases the GIL.

Python's own threads do it, not Numba's: those end the process when it was forked (GNU OpenMP) or when two threads call
at once (workqueue), and a loader lives among forked workers and prefetching threads.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PIECES_PER_THREAD = 4  # some pieces take longer than others; this many even it out at little cost


def available_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ThreadTeam:
    """A fixed number of threads for compiled functions; started when first needed, and again after a fork.

    Parameters
    ----------
    n_threads
        How many; by default as many as the process may use cores.

    Examples
    --------
    >>> import numpy as np
    >>> squares = np.zeros(5)
    >>> def square(first, last, numbers, squares):
    ...     squares[first:last] = numbers[first:last] ** 2
    >>> ThreadTeam(2).run(square, 5, np.arange(5.0), squares)
    >>> squares
    array([ 0.,  1.,  4.,  9., 16.])
    """

    def __init__(self, n_threads: int | None = None) -> None:
        self.n_threads = n_threads or available_cores()
        self._executor: ThreadPoolExecutor | None = None
        self._process = os.getpid()
        self._lock = threading.Lock()

    def run(self, function: Callable[..., Any], n_items: int, *arguments: Any, smallest: int = 1) -> None:
        """Call ``function(first, last, *arguments)`` for pieces of ``range(n_items)``, of ``smallest`` items or more.

        Every piece runs to its end, then the first exception is raised.
        """
        n_pieces = min(self.n_threads * PIECES_PER_THREAD, n_items // max(1, smallest))
        if self.n_threads == 1 or n_pieces <= 1:
            if n_items > 0:
                function(0, n_items, *arguments)
            return
        edges = [n_items * piece // n_pieces for piece in range(n_pieces + 1)]
        executor = self._running_executor()
        futures = [executor.submit(function, first, last, *arguments) for first, last in itertools.pairwise(edges)]
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            raise errors[0]

    def close(self) -> None:
        """End the threads; a later ``run`` starts them again."""
        with self._lock:
            if self._executor is not None and self._process == os.getpid():
                self._executor.shutdown()
            self._executor = None

    def _running_executor(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._executor is None or self._process != os.getpid():  # a forked process inherits no threads
                self._process = os.getpid()
                self._executor = ThreadPoolExecutor(self.n_threads, thread_name_prefix="bigwig_numba")
            return self._executor

    def __reduce__(self) -> tuple[type[ThreadTeam], tuple[int]]:
        return ThreadTeam, (self.n_threads,)
