"""Going through the epochs of a dataset: which comes next, what was handed over, and where to go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..batch import Batch
from ..prefetch import Prefetcher
from .stats import StatsKeeper

__all__ = ["BatchIterator", "Position", "Progress"]


@dataclass(frozen=True, slots=True)
class Position:
    """Between two batches: how many of which epoch have been handed over."""

    epoch: int
    step: int


class Progress:
    """Where a dataset is. Of several iterators the one that began last counts.

    Attributes
    ----------
    position
        What has been handed over of which epoch.
    is_new
        Whether the next iterator begins there; else an epoch is under way, and it begins the next one.

    Examples
    --------
    >>> progress, first, second = Progress(), object(), object()
    >>> progress.begin(first)
    Position(epoch=0, step=0)
    >>> progress.advance(first)
    >>> progress.position
    Position(epoch=0, step=1)
    >>> progress.begin(second)  # the first was left in the middle
    Position(epoch=1, step=0)
    """

    def __init__(self) -> None:
        self.position = Position(0, 0)
        self.is_new = True
        self._owner: object = None

    def set(self, position: Position) -> None:
        """What the next iterator begins with."""
        self.position, self.is_new, self._owner = position, True, None

    def begin(self, owner: object) -> Position:
        """Take what comes next: what was set, else the epoch after the one that was left."""
        if not self.is_new:
            self.position = Position(self.position.epoch + 1, 0)
        self.is_new, self._owner = False, owner
        return self.position

    def advance(self, owner: object) -> None:
        """A batch was handed over."""
        if owner is self._owner:
            self.position = Position(self.position.epoch, self.position.step + 1)

    def finish(self, owner: object) -> None:
        """The epoch is over."""
        if owner is self._owner:
            self.set(Position(self.position.epoch + 1, 0))


class BatchIterator(Iterator[Any]):
    """Batches of one epoch, or of the rest of one. Nothing is begun before the first is asked for.

    Parameters
    ----------
    begin
        Starts the pipeline at a position.
    progress
        Of the dataset.
    stats
        Of the dataset.
    convert
        Makes of each batch what the consumer wants.
    """

    def __init__(
        self,
        begin: Callable[[Position], Prefetcher[Batch]],
        *,
        progress: Progress,
        stats: StatsKeeper,
        convert: Callable[[Batch], Any],
    ) -> None:
        self._begin = begin
        self._progress = progress
        self._stats = stats
        self._convert = convert
        self._owner = object()
        self._prefetcher: Prefetcher[Batch] | None = None
        self._ended = False

    def __next__(self) -> Any:
        if self._ended:
            raise StopIteration
        asked = time.perf_counter()
        if self._prefetcher is None:
            self._stats.begin(asked)
            self._prefetcher = self._begin(self._progress.begin(self._owner))
        try:
            batch = next(self._prefetcher)
        except StopIteration:
            self._progress.finish(self._owner)
            self.close()
            raise
        except BaseException:
            self._ended = True
            raise
        self._progress.advance(self._owner)
        self._stats.count(batch, asked)
        return self._convert(batch)

    def close(self) -> None:
        """End the threads; there are no more batches."""
        self._ended = True
        if self._prefetcher is not None:
            self._prefetcher.close()
