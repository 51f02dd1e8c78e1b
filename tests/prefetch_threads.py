"""The threads that read ahead: none of them may outlive what they read for."""

from __future__ import annotations

import gc
import threading

PATIENCE = 20.0  # seconds after which a test that hangs fails


def prefetch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("bigwig_numba prefetch")]


def threads_that_stay() -> list[threading.Thread]:
    """Those that have not been told to end; others may be at their last batch."""
    for thread in prefetch_threads():
        thread.join(PATIENCE)
    return prefetch_threads()


def threads_that_garbage_does_not_hold() -> list[threading.Thread]:
    """The same once cycles of objects, which frameworks make of iterators, are collected; that takes long."""
    if prefetch_threads():
        gc.collect()
    return threads_that_stay()
