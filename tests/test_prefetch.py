"""The pipeline: order, bounds, failures where they belong, and nothing left behind."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.errors import WorkerError
from bigwig_numba.prefetch import HostStreams, Prefetcher
from tests.prefetch_threads import PATIENCE, prefetch_threads, threads_that_stay

pytestmark = pytest.mark.usefixtures("no_thread_left")


def squares(numbers: list[int]) -> list[int]:
    return [number**2 for number in numbers]


def endless() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


@given(n_items=st.integers(0, 20), n_threads=st.integers(1, 4), group_size=st.integers(1, 5), depth=st.integers(1, 5))
def test_results_come_in_order_and_all_of_them(n_items: int, n_threads: int, group_size: int, depth: int) -> None:
    results = Prefetcher(range(n_items), squares, n_threads=n_threads, group_size=group_size, depth=depth)
    assert list(results) == squares(list(range(n_items)))


def test_a_slow_item_holds_its_successors_back_and_loses_none() -> None:
    others_done = threading.Event()

    def work(items: list[int]) -> list[int]:
        if items == [0]:
            assert others_done.wait(PATIENCE)
        elif items == [2]:
            others_done.set()
        return items

    assert list(Prefetcher(range(6), work, n_threads=3)) == list(range(6))


def test_work_begins_before_it_is_asked_for_and_stops_at_the_bound() -> None:
    begun: list[int] = []
    full = threading.Event()

    def work(items: list[int]) -> list[int]:
        begun.extend(items)
        if len(begun) == 3:
            full.set()
        return items

    with Prefetcher(endless(), work, n_threads=2, depth=3) as results:
        assert full.wait(PATIENCE)
        assert len(begun) == 3
        assert next(results) == 0


@pytest.mark.parametrize("group_size", [1, 2, 4, 10])
@pytest.mark.parametrize("n_threads", [1, 4])
def test_a_failure_is_raised_at_its_item_with_its_cause(group_size: int, n_threads: int) -> None:
    def work(items: list[int]) -> list[int]:
        if 5 in items:
            raise OSError("the disk is gone")
        return items

    results = Prefetcher(range(9), work, n_threads=n_threads, group_size=group_size, first_item=100)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(WorkerError, match=r"Batch 105 could not be made: OSError: the disk is gone") as caught:
        next(results)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.batch == 105
    assert next(results, "ended") == "ended"


@pytest.mark.parametrize("group_size", [1, 2, 4])
def test_a_failure_of_the_source_is_raised_after_what_it_gave(group_size: int) -> None:
    def source() -> Iterator[int]:
        yield from range(3)
        raise KeyError("no more")

    results = Prefetcher(source(), squares, n_threads=2, group_size=group_size)
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    with pytest.raises(WorkerError) as caught:
        next(results)
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_failure_does_not_wait_for_work_that_comes_after_it() -> None:
    release = threading.Event()

    def work(items: list[int]) -> list[int]:
        if items == [0]:
            raise ValueError("at once")
        assert release.wait(PATIENCE)
        return items

    results = Prefetcher(range(8), work, n_threads=2)
    with pytest.raises(WorkerError):
        next(results)
    assert not release.is_set()
    release.set()
    results.close()


class Broken(HostStreams):
    """Streams of a device that is gone, before or after the work."""

    def __init__(self, when: str) -> None:
        self.when = when

    def worker(self) -> Any:
        return super().worker() if self.when == "after" else 1 / 0

    def record(self) -> None:
        raise ZeroDivisionError("division by zero")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_thread_that_cannot_work_is_a_failure_and_no_endless_wait(when: str) -> None:
    results = Prefetcher(range(9), squares, n_threads=2, streams=Broken(when))
    with pytest.raises(WorkerError, match="division by zero"):
        next(results)
    assert next(results, "ended") == "ended"


def test_leaving_the_loop_ends_the_threads() -> None:
    for number in Prefetcher(endless(), squares, n_threads=3):
        if number == 4:
            break
    assert prefetch_threads() == []


def test_an_exception_in_the_loop_ends_the_threads() -> None:
    def train() -> None:
        for _ in Prefetcher(endless(), squares, n_threads=3):
            raise RuntimeError("diverged")

    with pytest.raises(RuntimeError, match="diverged"):
        train()
    assert prefetch_threads() == []


def test_interrupting_a_wait_ends_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while the traceback, and with it the iterator, is kept, as shells do."""
    results = Prefetcher(endless(), squares, n_threads=2)

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(results._line, "next_group", interrupt)
    with pytest.raises(KeyboardInterrupt) as kept:
        next(results)
    assert kept.value.__traceback__ is not None
    assert prefetch_threads() == []


def test_dropping_a_reference_cycle_ends_the_threads() -> None:
    cycle: dict[str, Any] = {"results": Prefetcher(endless(), squares, n_threads=3)}
    cycle["itself"] = cycle
    assert len(prefetch_threads()) == 3
    del cycle
    gc.collect()
    assert threads_that_stay() == []


class Held:
    """Something that can be watched."""


@pytest.mark.parametrize("end", [lambda results: results.close(), lambda results: None], ids=["closed", "dropped"])
def test_nothing_that_was_made_is_kept(end: Callable[[Any], None]) -> None:
    made: list[weakref.ref[Held]] = []

    def work(items: list[int]) -> list[Held]:
        result = Held()
        made.append(weakref.ref(result))
        return [result]

    results = Prefetcher(endless(), work, n_threads=2)
    next(results)
    next(results)
    end(results)
    del results
    assert [reference() for reference in made if reference() is not None] == []


def test_a_failure_holds_no_cycle() -> None:
    """Else what the failed call held, GPU memory too, would stay until the garbage collector comes."""

    class Trouble(RuntimeError):
        pass

    def work(items: list[int]) -> list[int]:
        raise Trouble("here")

    gc.collect()
    gc.disable()
    try:
        error: WorkerError | None = None
        try:
            next(Prefetcher(range(3), work, n_threads=1))
        except WorkerError as caught:
            error = caught
        assert error is not None
        cause = weakref.ref(error.__cause__)  # type: ignore[arg-type]
        del error
        assert cause() is None
    finally:
        gc.enable()


def test_a_program_ends_with_an_iterator_open() -> None:
    program = """
        from itertools import count
        from bigwig_numba.prefetch import HostStreams, Prefetcher
        results = Prefetcher(count(), lambda items: items, n_threads=3)
        print(next(results))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_ctrl_c_ends_a_program_that_waits() -> None:
    program = """
        import os, signal, threading
        from bigwig_numba.prefetch import HostStreams, Prefetcher
        waiting = threading.Event()
        def work(items):
            if items == [1]:
                os.kill(os.getpid(), signal.SIGINT)
            return items
        try:
            for item in Prefetcher(range(100), work, n_threads=1, depth=1):
                if item == 0:
                    continue
        except KeyboardInterrupt:
            print("interrupted", [thread.name for thread in threading.enumerate()])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "interrupted ['MainThread']\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_copy_says_so_instead_of_waiting_forever() -> None:
    with Prefetcher(endless(), squares, n_threads=2) as results:
        next(results)
        child = os.fork()
        if child == 0:  # pragma: no cover
            try:
                next(results)
            except WorkerError:
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
