"""Compiled functions on several threads: a range of items split into pieces, each piece one call that releases the GIL.

Python's own threads do it, not Numba's: those end the process when it was forked (GNU OpenMP) or when two threads call
at once (workqueue), and a loader lives among forked workers and prefetching threads.
"""

from __future__ import annotations

import itertools
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
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

    def run(
        self,
        function: Callable[..., Any],
        n_items: int,
        *arguments: Any,
        smallest: int = 1,
        done: Callable[[int], None] | None = None,
    ) -> None:
        """Call ``function(first, last, *arguments)`` for pieces of ``range(n_items)``, of ``smallest`` items or more.

        The first exception is raised once no piece runs any more. ``done(last)`` is called in this thread, each
        time that the pieces up to ``last`` have ended.
        """
        n_pieces = min(self.n_threads * PIECES_PER_THREAD, n_items // max(1, smallest))
        if self.n_threads == 1 or n_pieces <= 1:
            if n_items > 0:
                function(0, n_items, *arguments)
                if done is not None:
                    done(n_items)
            return
        edges = [n_items * piece // n_pieces for piece in range(n_pieces + 1)]
        numbers = itertools.count()  # shared: who is free takes the next piece
        ended: queue.SimpleQueue[tuple[int, BaseException | None]] = queue.SimpleQueue()

        def work() -> None:
            while (piece := next(numbers)) < n_pieces:
                try:
                    function(edges[piece], edges[piece + 1], *arguments)
                    ended.put((piece, None))
                except BaseException as error:  # noqa: BLE001 - it is raised by whoever called `run`
                    ended.put((piece, error))

        executor = self._running_executor()
        # A task a thread: handing one over takes as long as some pieces.
        tasks = [executor.submit(work) for _ in range(min(self.n_threads, n_pieces))]
        try:
            self._collect(edges, ended, done)
        except BaseException:
            for _ in range(n_pieces):  # no piece is begun any more, and those under way still have their arrays
                next(numbers)
            wait(tasks)
            raise

    @staticmethod
    def _collect(
        edges: list[int],
        ended: queue.SimpleQueue[tuple[int, BaseException | None]],
        done: Callable[[int], None] | None,
    ) -> None:
        """Wait for all pieces; call ``done`` in their order; raise the error of the first that has one."""
        n_pieces, in_order = len(edges) - 1, 0
        errors: dict[int, BaseException | None] = {}
        for _ in range(n_pieces):
            piece, errors[piece] = ended.get()
            while in_order in errors and errors[in_order] is None:
                in_order += 1
                if done is not None:
                    done(edges[in_order])
        if in_order < n_pieces:
            error = errors[in_order]
            assert error is not None
            raise error

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
