"""Where the time of batches goes: seconds by stage, added up over the life of an engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["STAGES", "StageClock"]

STAGES = ("plan", "fetch", "copy", "inflate", "reduce")
"""In the order of the flow: plan and fetch on the host, copy over PCIe, the kernels."""


class StageClock:
    """Adds up seconds by stage; several threads may use it.

    Examples
    --------
    >>> clock = StageClock()
    >>> clock.add("fetch", 0.5)
    >>> with clock.measure("plan"):
    ...     pass
    >>> clock.seconds["fetch"], clock.seconds["plan"] < 0.1
    (0.5, True)
    """

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._lock = threading.Lock()

    @property
    def seconds(self) -> dict[str, float]:
        """A copy of what there is so far."""
        with self._lock:
            return dict(self._seconds)

    def add(self, stage: str, seconds: float) -> None:
        """Count more seconds to a stage of ``STAGES``."""
        with self._lock:
            self._seconds[stage] += seconds

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Count the time of a ``with`` block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - start)
