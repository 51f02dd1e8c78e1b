"""Compiled functions that are kept: found by another dispatcher, told apart by their name, never mixed up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import njit

from bigwig_numba.kernels.keeping import keep_compiled, source_digest


def adder(number: int) -> Any:
    """A function of a closure, kept as the adder of this number."""

    @njit
    def add(values: Any) -> Any:
        return values[0] + number

    return keep_compiled(add, f"add {number}")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    return tmp_path


INTEGERS, FLOATS = np.arange(3), np.arange(3.0)


def test_another_dispatcher_finds_what_was_compiled(cache: Path) -> None:
    assert adder(5)(INTEGERS) == 5
    second = adder(5)
    assert second(INTEGERS) == 5
    assert sum(second.stats.cache_hits.values()) == 1
    assert sum(second.stats.cache_misses.values()) == 0


def test_functions_of_the_same_code_are_told_apart_by_their_name(cache: Path) -> None:
    assert [adder(number)(INTEGERS) for number in (1, 2, 3)] == [1, 2, 3]
    again = [adder(number) for number in (3, 1, 2)]
    assert [add(INTEGERS) for add in again] == [3, 1, 2]
    assert all(sum(add.stats.cache_hits.values()) == 1 for add in again)


def test_each_key_has_files_of_its_own(cache: Path) -> None:
    """Processes that save at the same time number their files alike."""
    for number in (1, 2):
        for values in (INTEGERS, FLOATS):
            adder(number)(values)
    names = [path.name for path in cache.rglob("*.nbc")]
    assert len(names) == 4
    assert all(name.endswith(".1.nbc") for name in names)


def test_a_changed_source_is_compiled_anew(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert adder(7)(INTEGERS) == 7
    changed: Callable[[], str] = lambda: "other sources"  # noqa: E731
    monkeypatch.setattr("bigwig_numba.kernels.keeping.source_digest", changed)
    second = adder(7)
    assert second(INTEGERS) == 7
    assert sum(second.stats.cache_misses.values()) == 1


def test_the_digest_does_not_change_by_itself() -> None:
    assert source_digest() == source_digest()
    assert len(source_digest()) == 32
