"""Where a dataset's time goes: seconds by stage, and how long the consumer waited."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..batch import Batch

__all__ = ["DatasetStats", "StatsKeeper", "WorkClock"]


@dataclass(frozen=True)
class DatasetStats:
    """Of the epoch under way, or of the last one.

    Attributes
    ----------
    n_batches, n_samples
        Handed to the consumer.
    n_bytes
        Of their values and encoded sequences.
    elapsed_seconds
        From the request for the first batch to the hand-over of the last.
    first_wait_seconds
        How long the consumer waited for the first: compiling, and filling the pipeline.
    wait_seconds
        How long it waited for all others.
    stage_seconds
        Seconds of worker threads by stage: ``"draw"``, ``"sequence"``, then the collection's, then ``"transform"``.
        Threads run side by side, so that the sum may exceed the time elapsed.

    Examples
    --------
    >>> stats = DatasetStats(
    ...     n_batches=101, n_samples=6_464, elapsed_seconds=12.0, first_wait_seconds=2.0, wait_seconds=0.5,
    ...     stage_seconds={"draw": 1.0, "inflate": 3.0})
    >>> print(stats)
    101 batches, 10.0/s; the consumer waited 5.0% of the time, and 2.00 s for the first; workers: draw 25%, inflate 75%
    """

    n_batches: int = 0
    n_samples: int = 0
    n_bytes: int = 0
    elapsed_seconds: float = 0.0
    first_wait_seconds: float = 0.0
    wait_seconds: float = 0.0
    stage_seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def batches_per_second(self) -> float:
        """After the first."""
        return (self.n_batches - 1) / self._running_seconds if self.n_batches > 1 else 0.0

    @property
    def wait_share(self) -> float:
        """Share of the time after the first batch that the consumer waited."""
        return self.wait_seconds / self._running_seconds if self.n_batches > 1 else 0.0

    @property
    def stage_shares(self) -> dict[str, float]:
        """Share of each stage in the seconds of all stages."""
        total = sum(self.stage_seconds.values())
        return {stage: part / total for stage, part in self.stage_seconds.items()} if total else {}

    @property
    def _running_seconds(self) -> float:
        return max(self.elapsed_seconds - self.first_wait_seconds, 1e-9)

    def __str__(self) -> str:
        shares = ", ".join(f"{stage} {share:.0%}" for stage, share in self.stage_shares.items())
        return (
            f"{self.n_batches} batches, {self.batches_per_second:.1f}/s; the consumer waited {self.wait_share:.1%} of "
            f"the time, and {self.first_wait_seconds:.2f} s for the first" + (f"; workers: {shares}" if shares else "")
        )


class WorkClock:
    """Adds up seconds by name; several threads may use it.

    Examples
    --------
    >>> clock = WorkClock()
    >>> with clock.measure("draw"):
    ...     pass
    >>> list(clock.seconds)
    ['draw']
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    @property
    def seconds(self) -> dict[str, float]:
        """A copy of what there is so far."""
        with self._lock:
            return dict(self._seconds)

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Count the time of a ``with`` block."""
        began = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - began
            with self._lock:
                self._seconds[name] = self._seconds.get(name, 0.0) + seconds


class StatsKeeper:
    """Counts what one consumer gets.

    Parameters
    ----------
    stage_seconds
        Seconds of the workers so far, by stage.
    """

    def __init__(self, stage_seconds: Callable[[], dict[str, float]]) -> None:
        self._stage_seconds = stage_seconds
        self._before: dict[str, float] = {}
        self._began = 0.0
        self._n_batches = self._n_samples = self._n_bytes = 0
        self._elapsed = self._first_wait = self._wait = 0.0

    def begin(self, now: float) -> None:
        """Forget what was; an epoch begins."""
        self.__init__(self._stage_seconds)  # type: ignore[misc]
        self._before, self._began = self._stage_seconds(), now

    def count(self, batch: Batch, asked: float) -> None:
        """A batch that was asked for then is handed over now."""
        now = time.perf_counter()
        if self._n_batches:
            self._wait += now - asked
        else:
            self._first_wait = now - asked
        self._elapsed = now - self._began
        self._n_batches += 1
        self._n_samples += len(batch)
        self._n_bytes += sum(_n_bytes(array) for array in (batch.values, batch.sequences))

    @property
    def stats(self) -> DatasetStats:
        """As of now."""
        seconds = {name: total - self._before.get(name, 0.0) for name, total in self._stage_seconds().items()}
        return DatasetStats(
            n_batches=self._n_batches,
            n_samples=self._n_samples,
            n_bytes=self._n_bytes,
            elapsed_seconds=self._elapsed,
            first_wait_seconds=self._first_wait,
            wait_seconds=self._wait,
            stage_seconds=seconds if self._n_batches else {},
        )


def _n_bytes(array: Any) -> int:
    return int(getattr(array, "nbytes", 0))
