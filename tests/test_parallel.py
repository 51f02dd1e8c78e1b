"""Threads for compiled functions: every item once, every error told, and no thread lost to a fork."""

from __future__ import annotations

import os
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.parallel import ThreadTeam, available_cores


@given(n_threads=st.integers(1, 4), n_items=st.integers(0, 200), smallest=st.integers(1, 50))
def test_every_item_is_in_exactly_one_piece(n_threads: int, n_items: int, smallest: int) -> None:
    pieces = []
    team = ThreadTeam(n_threads)
    team.run(lambda first, last, extra: pieces.append((first, last, extra)), n_items, "extra", smallest=smallest)
    team.close()
    items = [item for first, last, _ in sorted(pieces) for item in range(first, last)]
    assert items == list(range(n_items))
    assert all(last - first >= min(smallest, n_items) for first, last, _ in pieces)


def test_pieces_run_on_as_many_threads_as_there_are() -> None:
    both = threading.Barrier(2, timeout=30)  # passed only if two pieces run at one time
    names: set[str] = set()

    def piece(first: int, last: int) -> None:
        if first in (0, 1):
            both.wait()
        names.add(threading.current_thread().name)

    ThreadTeam(2).run(piece, 8)
    helper, own = sorted(names, key=lambda name: not name.startswith("bigwig_numba"))
    assert helper.startswith("bigwig_numba")
    assert own == threading.current_thread().name


@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_first_error_is_raised_after_all_pieces_ran(n_threads: int) -> None:
    done = np.zeros(8, np.bool_)

    def piece(first: int, last: int) -> None:
        done[first:last] = True
        if last > 4:
            raise ValueError(f"piece from {first}")

    team = ThreadTeam(n_threads)
    with pytest.raises(ValueError, match=r"piece from [04]"):
        team.run(piece, 8)
    assert done.all()
    team.run(lambda first, last: None, 8)


def test_after_an_error_of_the_caller_no_piece_runs_any_more() -> None:
    running: list[int] = []

    def piece(first: int, last: int) -> None:
        running.append(first)
        running.remove(first)

    def done(last: int) -> None:
        raise KeyError(last)

    team = ThreadTeam(3)
    for _ in range(20):
        with pytest.raises(KeyError, match="1"):
            team.run(piece, 12, done=done)
        assert running == []
    team.close()


@pytest.mark.parametrize("n_items", [3, 100])
def test_what_has_ended_is_told_in_order_and_at_last_all(n_items: int) -> None:
    team, ended, told = ThreadTeam(3), np.zeros(n_items, np.bool_), []

    def piece(first: int, last: int) -> None:
        ended[first:last] = True

    def done(last: int) -> None:
        assert ended[:last].all()
        told.append(last)

    team.run(piece, n_items, done=done)
    team.close()
    assert told == sorted(set(told))
    assert told[-1] == n_items


def test_a_closed_team_starts_again() -> None:
    team, sums = ThreadTeam(2), []
    for _ in range(2):
        team.run(lambda first, last: sums.append(last - first), 10)
        team.close()
    team.close()
    assert sum(sums) == 20


def test_a_forked_process_gets_threads_of_its_own() -> None:
    team = ThreadTeam(2)
    team.run(lambda first, last: None, 10)
    child = os.fork()
    if child == 0:
        done: list[int] = []
        team.run(lambda first, last: done.append(last - first), 10)
        os._exit(0 if sum(done) == 10 else 1)
    assert os.waitpid(child, 0)[1] == 0
    team.close()


def test_a_team_is_pickled_without_its_threads() -> None:
    team = ThreadTeam(3)
    team.run(lambda first, last: None, 10)
    again = pickle.loads(pickle.dumps(team))
    assert again.n_threads == 3
    again.run(lambda first, last: None, 10)
    again.close()
    team.close()


def test_by_default_there_is_a_thread_per_core_that_may_be_used() -> None:
    assert ThreadTeam().n_threads == available_cores() == len(os.sched_getaffinity(0))
