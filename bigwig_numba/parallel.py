"""Compiled functions on several threads: a range of items split into pieces, each piece one call that releases the GIL.

Python's own threads do it, not Numba's: those end the process when it was forked (GNU OpenMP) or when two threads call
at once (workqueue), and a loader lives among forked workers and prefetching threads.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PIECES_PER_THREAD = 4  # some pieces take longer than others; this many even it out at little cost


def available_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Pieces:
    """The pieces of one ``ThreadTeam.run``: who is free takes the next, mostly also the thread that called.

    So what is little is done before any other thread is awake. Handing a task over takes as long as some pieces: who
    is woken wakes two more.
    """

    def __init__(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], edges: list[int], executor: ThreadPoolExecutor
    ) -> None:
        self._function, self._arguments, self._edges, self._executor = function, arguments, edges, executor
        self._n_pieces = len(edges) - 1
        self._numbers = itertools.count()
        self._ended: queue.SimpleQueue[tuple[int, BaseException | None]] = queue.SimpleQueue()
        self._errors: dict[int, BaseException | None] = {}  # of the pieces that are known to have ended

    def wake_helpers(self, thread: int, n_threads: int) -> None:
        """Hand the work to those that this thread, of so many, has to wake: thread 0 wakes 1, and 1 wakes 2 and 3."""
        for other in range(max(1, 2 * thread), min(2 * thread + 2, n_threads)):
            self._executor.submit(self._help, other, n_threads)

    def run_and_collect(self, done: Callable[[int], None] | None, running: bool) -> None:
        """Run pieces, and wait for all; call ``done`` in their order; raise the error of the first that has one."""
        in_order = 0
        try:
            while len(self._errors) < self._n_pieces:
                running = running and self._run_one()
                while len(self._errors) < self._n_pieces and not (running and self._ended.empty()):
                    self._collect_one()
                    while in_order in self._errors and self._errors[in_order] is None:
                        in_order += 1
                        if done is not None:
                            done(self._edges[in_order])
        except BaseException:
            self._stop()
            raise
        if in_order < self._n_pieces:
            error = self._errors[in_order]
            assert error is not None
            raise error

    def _help(self, thread: int, n_threads: int) -> None:
        with contextlib.suppress(RuntimeError):  # the team is being closed: who is awake runs all
            self.wake_helpers(thread, n_threads)
        while self._run_one():
            pass

    def _run_one(self) -> bool:
        """Run the next piece; False if there is none left."""
        piece = next(self._numbers)
        if piece >= self._n_pieces:
            return False
        try:
            self._function(self._edges[piece], self._edges[piece + 1], *self._arguments)
            self._ended.put((piece, None))
        except BaseException as error:  # noqa: BLE001 - it is raised by whoever collects
            self._ended.put((piece, error))
        return True

    def _collect_one(self) -> None:
        piece, error = self._ended.get()
        self._errors[piece] = error

    def _stop(self) -> None:
        """Begin no piece any more, and wait for those under way, which still use the arrays."""
        n_begun = self._n_pieces
        while next(self._numbers) < self._n_pieces:
            n_begun -= 1
        while len(self._errors) < n_begun:
            self._collect_one()


class ThreadTeam:
    """A fixed number of threads for compiled functions; started when first needed, and again after a fork.

    Parameters
    ----------
    n_threads
        How many, the caller's own included; by default as many as the process may use cores.

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
        pieces = _Pieces(function, arguments, edges, self._running_executor())
        # Of many pieces, this thread runs none where it has to tell at once that some have ended.
        takes_part = done is None or n_pieces <= self.n_threads
        pieces.wake_helpers(0, min(self.n_threads, n_pieces) + (not takes_part))
        pieces.run_and_collect(done, takes_part)

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
