"""A stream read once, in order, whose items are asked for by number, from several threads and not quite in order."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from ..errors import ConfigError

__all__ = ["NumberedStream"]

Item = TypeVar("Item")

N_REMEMBERED = 1024
"""Items kept after they were read, for threads and ranks that ask not quite in order."""


class NumberedStream(Generic[Item]):
    """Items of a stream, by epoch and number.

    Parameters
    ----------
    begin
        Gives an iterator over the items. It is called for each epoch, or once if the stream cannot begin again.
    begins_again
        Whether it gives the items from the first on each time. If not, an epoch goes on where the last one ended.
    argument
        What the caller calls the stream, for messages.
    """

    def __init__(self, begin: Callable[[], Iterator[Item]], *, begins_again: bool, argument: str) -> None:
        self._begin = begin
        self._begins_again = begins_again
        self._argument = argument
        self._lock = threading.Lock()
        self._epoch: int | None = None
        self._iterator: Iterator[Item] | None = None
        self._failure: BaseException | None = None
        self._n_read = 0
        self._remembered: OrderedDict[int, Item] = OrderedDict()

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy in another process begins anew; a generator cannot go there at all, and pickle says so.
        begin = functools.partial(NumberedStream, begins_again=self._begins_again, argument=self._argument)
        return begin, (self._begin,)

    def item(self, *, epoch: int, number: int) -> Item | None:
        """Item ``number`` of an epoch, None where the stream has ended before it.

        What the stream raises is raised, and again by each later call: after an exception a generator has ended, which
        must not look like the end of the data.

        Raises
        ------
        ConfigError
            An item long gone of a stream that cannot begin again.
        """
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if epoch != self._epoch:
                self._start(epoch)
            if number in self._remembered:
                return self._remembered[number]
            if number < self._n_read:
                self._go_back(epoch, number)
            try:
                return self._read_to(number)
            except BaseException as error:
                self._failure = error
                raise

    def _start(self, epoch: int) -> None:
        if self._iterator is None or self._begins_again:
            self._iterator = self._begin()
        self._epoch, self._n_read = epoch, 0
        self._remembered.clear()

    def _go_back(self, epoch: int, number: int) -> None:
        if not self._begins_again:
            message = (
                f"{self._argument} has been read past batch {number} of epoch {epoch} and cannot begin again, as it "
                "is an iterator: give a list, or an object whose __iter__ begins anew"
            )
            raise ConfigError(message, argument=self._argument, value=number)
        self._start(epoch)

    def _read_to(self, number: int) -> Item | None:
        assert self._iterator is not None
        while self._n_read <= number:
            try:
                item = next(self._iterator)
            except StopIteration:
                return None
            self._remembered[self._n_read] = item
            self._n_read += 1
            if len(self._remembered) > N_REMEMBERED:
                self._remembered.popitem(last=False)
        return self._remembered[number]
