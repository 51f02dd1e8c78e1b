"""Work done ahead of its consumer: threads, a bounded number of results in waiting, and the order of the items kept.

::

    items ──(one at a time)──> worker, worker, worker ──> results in waiting ──(in order)──> consumer
             groups of items    each on its own stream      at most ``depth``     waits for the events

No timeout ends anything: a worker waits until there is room, the consumer until its result is there, and both are woken
when the iterator is closed, dropped or fails.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, Self, TypeVar

from .errors import WorkerError

__all__ = ["HostStreams", "Prefetcher", "Streams"]

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

SECONDS_TO_END = 10.0
"""For the threads of a dropped iterator to end. It may be dropped by the garbage collector at any place, also while
this thread holds what they wait for; then they end a moment later, by themselves."""


class Streams(Protocol):
    """How results cross from worker threads to the consumer."""

    def worker(self) -> AbstractContextManager[Any]:
        """Entered by each worker thread around all of its work."""
        ...

    def record(self) -> Any:
        """Called by a worker after a group of results: a mark of what is still under way."""
        ...

    def hand_over(self, result: Any, mark: Any) -> Any:
        """Called by the consumer: the result, safe to use on the consumer's stream."""
        ...

    def close(self) -> None:
        """Called once all workers have ended."""
        ...


class HostStreams:
    """On the CPU a result is there when the call that made it returns."""

    def worker(self) -> AbstractContextManager[Any]:
        """Nothing to enter."""
        return nullcontext()

    def record(self) -> None:
        """Nothing is under way."""

    def hand_over(self, result: Any, mark: None) -> Any:
        """The result as it is."""
        return result

    def close(self) -> None:
        """Nothing to give back."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """What was raised in place of a result."""

    error: BaseException


@dataclass(slots=True)
class _Group:
    """Consecutive items that one call works on; then their outcomes."""

    number: int
    items: list[Any]
    outcomes: list[Any] = field(default_factory=list)
    mark: Any = None


class _Line(Generic[Item, Result]):
    """What workers and consumer share. It knows nothing of the iterator, so that dropping that ends the workers."""

    def __init__(
        self,
        items: Iterator[Item],
        work: Callable[[list[Item]], list[Result]],
        *,
        group_size: int,
        depth: int,
        streams: Streams,
    ) -> None:
        self.work = work
        self.group_size = group_size
        self.depth = depth
        self.streams = streams
        self.threads: list[threading.Thread] = []
        self._items = items
        self._source = threading.Lock()
        self._changed = threading.Condition()  # reentrant: a finalizer may run inside of any allocation
        self._done: dict[int, _Group] = {}
        self._n_begun = 0  # groups that a worker has room for
        self._n_taken = 0  # groups whose items were taken
        self._n_given = 0  # groups that the consumer has got
        self._n_groups: int | None = None  # in all, once the items have ended
        self._stopped = False
        self._broken: BaseException | None = None  # what ended a thread, other than a failure of its work
        self._process_id = os.getpid()

    def run_worker(self) -> None:
        """What each thread does."""
        try:
            with self.streams.worker():
                while self._wait_for_room() and (group := self._take_group()) is not None:
                    self._process(group)
                    with self._changed:
                        if not self._stopped:
                            self._done[group.number] = group
                        self._changed.notify_all()
                    del group  # nothing of a batch stays behind while this thread waits
        except BaseException as error:  # noqa: BLE001 - a thread that ends without a word would let the consumer wait
            with self._changed:
                self._broken = error
                self._changed.notify_all()

    def next_group(self) -> _Group | None:
        """The next group in order, None after the last; waits for it."""
        if os.getpid() != self._process_id:
            raise WorkerError("This iterator was made in another process, and its threads are there; make a new one")
        with self._changed:
            while self._n_given not in self._done:
                if self._stopped or self._n_given == self._n_groups:
                    return None
                if self._broken is not None:
                    return _Group(self._n_given, [], [_Failure(self._broken)])
                self._changed.wait()
            group = self._done.pop(self._n_given)
            self._n_given += 1
            self._changed.notify_all()
            return group

    def stop(self, *, patience: float | None) -> None:
        """Wake all, drop what is in waiting, and wait for the threads: as long as it takes, or so many seconds."""
        if os.getpid() != self._process_id:
            return  # a forked copy: threads and locks are the other process's
        with self._changed:
            self._stopped = True
            self._drop_waiting()
            self._changed.notify_all()
        if threading.current_thread() in self.threads:
            return  # the garbage collector ran in a worker: it ends by itself
        deadline = None if patience is None else time.monotonic() + patience
        for thread in self.threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in self.threads):
            if patience:
                logger.warning("Prefetching threads have not ended after %s s; they end after their batch", patience)
            return
        self._drop_waiting()
        self._items = iter(())
        self.streams.close()

    def _drop_waiting(self) -> None:
        for group in self._done.values():
            group.outcomes.clear()  # a failure's traceback refers to its group
        self._done.clear()

    def _wait_for_room(self) -> bool:
        with self._changed:
            while not self._stopped and self._n_groups is None and self._n_begun - self._n_given >= self.depth:
                self._changed.wait()
            self._n_begun += 1
            return not self._stopped and self._n_groups is None

    def _take_group(self) -> _Group | None:
        """The next items, None if there are none. Whatever ends the items early becomes the last outcome."""
        with self._source:
            if self._n_groups is not None or self._stopped:
                return None
            group = _Group(self._n_taken, [])
            ended = False
            try:
                while len(group.items) < self.group_size and not ended:
                    item = next(self._items, _END)
                    ended = item is _END
                    if not ended:
                        group.items.append(item)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the consumer gets it
                ended = True
                group.outcomes.append(_Failure(error))
            is_empty = not group.items and not group.outcomes
            self._n_taken += not is_empty
            if ended:
                with self._changed:
                    self._n_groups = self._n_taken
                    self._changed.notify_all()
            return None if is_empty else group

    def _process(self, group: _Group) -> None:
        """Fill in the outcomes; after a failure, item by item, so that it is met where it belongs."""
        failure_of_items = group.outcomes
        try:
            group.outcomes = list(self.work(group.items)) if group.items else []
        except BaseException as error:  # noqa: BLE001 - whatever it is, the consumer gets it
            group.outcomes = [_Failure(error)] if len(group.items) == 1 else self._process_singly(group.items)
        group.outcomes += failure_of_items
        group.items = []
        group.mark = self.streams.record()

    def _process_singly(self, items: list[Item]) -> list[Any]:
        outcomes: list[Any] = []
        for item in items:
            try:
                outcomes += self.work([item])
            except BaseException as error:  # noqa: BLE001 - whatever it is, the consumer gets it
                return [*outcomes, _Failure(error)]
        return outcomes


_END: Any = object()


class Prefetcher(Iterator[Result]):
    """Results of ``work``, one per item, in order, made ahead by background threads.

    Parameters
    ----------
    items
        Taken one after the other, by the threads in turn, never by two at a time.
    work
        From a list of at most ``group_size`` consecutive items to as many results.
    n_threads
        How many groups are worked on at a time.
    group_size
        Items per call of ``work``.
    depth
        Groups that may be under way or in waiting; one more than threads by default.
    streams
        How results cross threads; on the CPU nothing needs to be done.
    first_item
        Number of the first item, for messages.

    Raises
    ------
    WorkerError
        From ``next``, at the item where it belongs, with the original error as its cause; the iteration has then ended.

    Notes
    -----
    The threads end with the iteration, when :meth:`close` is called, and when the iterator is no longer referred to.

    Examples
    --------
    >>> list(Prefetcher(range(5), lambda numbers: [number**2 for number in numbers], n_threads=2, group_size=2))
    [0, 1, 4, 9, 16]
    """

    def __init__(
        self,
        items: Iterable[Item],
        work: Callable[[list[Item]], list[Result]],
        *,
        n_threads: int = 4,
        group_size: int = 1,
        depth: int | None = None,
        streams: Streams | None = None,
        first_item: int = 0,
    ) -> None:
        self._streams = streams or HostStreams()
        self._line = _Line(
            iter(items), work, group_size=group_size, depth=depth or n_threads + 1, streams=self._streams
        )
        self._number = first_item
        self._outcomes: list[Any] = []
        self._mark: Any = None
        self._finalizer = weakref.finalize(self, self._line.stop, patience=SECONDS_TO_END)
        for number in range(n_threads):
            # Daemons: a forgotten iterator must not keep the program from ending. The finalizer runs at exit.
            thread = threading.Thread(target=self._line.run_worker, name=f"bigwig_numba prefetch {number}", daemon=True)
            self._line.threads.append(thread)
            thread.start()

    def __next__(self) -> Result:
        try:
            return self._next()
        except WorkerError:  # raised at once: what is under way elsewhere ends by itself
            self._outcomes.clear()
            self._line.stop(patience=0.0)
            raise
        except StopIteration:
            self.close()
            raise
        except BaseException:  # Ctrl-C while waiting: a shell keeps the traceback, and with it this iterator
            self._outcomes.clear()
            self._line.stop(patience=SECONDS_TO_END)
            raise

    def _next(self) -> Result:
        while not self._outcomes:
            group = self._line.next_group()
            if group is None:
                raise StopIteration
            self._outcomes, self._mark = group.outcomes[::-1], group.mark
            group.outcomes.clear()  # a failure's traceback refers to its group
        outcome = self._outcomes.pop()
        number = self._number
        self._number += 1
        if isinstance(outcome, _Failure):
            error = outcome.error
            message = f"Batch {number} could not be made: {type(error).__name__}: {error}"
            raise WorkerError(message, batch=number) from error
        result: Result = self._streams.hand_over(outcome, self._mark)
        return result

    def close(self) -> None:
        """End the iteration and its threads; results in waiting are dropped. Nothing if it has ended."""
        self._outcomes.clear()
        self._mark = None
        if self._finalizer.detach():
            self._line.stop(patience=None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
