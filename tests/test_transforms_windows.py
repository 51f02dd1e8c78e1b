"""Augmentation of windows: strand and jitter, each from random numbers of its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.errors import ConfigError
from bigwig_numba.samplers import RandomWindows, Windows
from bigwig_numba.transforms import Augmentation
from tests.sampling import SIZES, assert_drawn_in_proportion, binomial_bounds, frame, same, triples

NUMBERS: dict[str, Any] = {"seed": 1, "epoch": 2, "number": 3, "chromosome_sizes": SIZES}


def windows_at(*starts: int, length: int = 10) -> Windows:
    chromosomes = np.array(["chr1"] * len(starts), dtype=object)
    return Windows.around(chromosomes, np.array(starts, np.int64) + length // 2, length=length)


def shifts(before: Windows, after: Windows) -> list[int]:
    return (after.starts - before.starts).tolist()


def test_nothing_is_done_by_default() -> None:
    windows = windows_at(50, 60)
    assert Augmentation().windows(windows, **NUMBERS) is windows


@pytest.mark.parametrize("chance", [0.0, 0.3, 0.5, 1.0])
def test_samples_are_turned_with_the_probability_given(chance: float) -> None:
    turned = Augmentation(reverse_complement=chance).windows(windows_at(*[50] * 2_000), **NUMBERS).reverse_complement
    lowest, highest = binomial_bounds(2_000, chance) if chance else (0, 0)
    assert lowest <= turned.sum() <= highest


def test_a_strand_that_the_sampler_chose_is_turned_around() -> None:
    windows = replace(windows_at(50, 60), reverse_complement=np.array([True, False]))
    assert Augmentation(reverse_complement=1).windows(windows, **NUMBERS).reverse_complement.tolist() == [False, True]


def test_each_distance_is_equally_likely() -> None:
    before = windows_at(*[100] * 3_000)
    after = Augmentation(jitter=3).windows(before, **NUMBERS)
    assert_drawn_in_proportion(Counter(shifts(before, after)), dict.fromkeys(range(-3, 4), 1))
    assert (after.ends - after.starts == 10).all()


def test_near_the_ends_of_a_chromosome_each_distance_that_stays_on_it_is() -> None:
    before = windows_at(*[1] * 2_000, *[288] * 2_000)
    moved = shifts(before, Augmentation(jitter=5).windows(before, **NUMBERS))
    assert_drawn_in_proportion(Counter(moved[:2_000]), dict.fromkeys(range(-1, 6), 1))
    assert_drawn_in_proportion(Counter(moved[2_000:]), dict.fromkeys(range(-5, 3), 1))


@given(st.lists(st.integers(0, 290), min_size=1, max_size=20), st.integers(0, 400), st.integers(0, 5))
def test_windows_stay_on_their_chromosome(starts: list[int], jitter: int, number: int) -> None:
    before = windows_at(*starts)
    after = Augmentation(jitter=jitter).windows(before, **(NUMBERS | {"number": number}))
    assert ((after.starts >= 0) & (after.ends <= 300)).all()
    assert (np.abs(after.starts - before.starts) <= jitter).all()


def test_windows_of_a_tiling_that_hang_over_an_end_do_not_leave_it_further() -> None:
    before = windows_at(-4, 296)
    moved = np.array(
        [shifts(before, Augmentation(jitter=3).windows(before, **(NUMBERS | {"number": n}))) for n in range(99)]
    )
    assert set(moved[:, 0].tolist()) == {0, 1, 2, 3}
    assert set(moved[:, 1].tolist()) == {-3, -2, -1, 0}


def test_windows_are_not_moved_to_unknown_bases() -> None:
    def unknown(chromosomes: Any, starts: Any, ends: Any) -> Any:
        return np.where((starts < 100) | (starts % 2 == 1), 10, 0)

    before = windows_at(*[100] * 1_000)
    after = Augmentation(jitter=4).windows(before, unknown_counts=unknown, **NUMBERS)
    given_up = (6 / 9) ** 10  # all ten draws fail, and the sample stays where it is
    moved = (1 - given_up) / 3
    assert_drawn_in_proportion(Counter(shifts(before, after)), {0: moved + given_up, 2: moved, 4: moved})


def test_windows_stay_where_they_are_if_all_around_is_unknown() -> None:
    before = windows_at(50, 60)
    after = Augmentation(jitter=4).windows(before, unknown_counts=lambda names, starts, ends: ends - starts, **NUMBERS)
    assert shifts(before, after) == [0, 0]


def test_the_given_windows_are_not_changed() -> None:
    before = windows_at(50, 60)
    Augmentation(jitter=4, reverse_complement=1).windows(before, **NUMBERS)
    assert triples(before) == [("chr1", 50, 60), ("chr1", 60, 70)]
    assert not before.reverse_complement.any()


@pytest.mark.parametrize("change", [{"seed": 2}, {"epoch": 0}, {"number": 0}])
def test_what_is_drawn_depends_on_seed_epoch_and_batch_alone(change: dict[str, int]) -> None:
    before, augmentation = windows_at(*range(50, 90)), Augmentation(jitter=9, reverse_complement=0.5)
    after = augmentation.windows(before, **NUMBERS)
    assert same(after, augmentation.windows(before, **NUMBERS))
    other = augmentation.windows(before, **(NUMBERS | change))
    assert shifts(before, other) != shifts(before, after)
    assert other.reverse_complement.tolist() != after.reverse_complement.tolist()


def test_the_strand_has_nothing_to_do_with_the_distance() -> None:
    before = windows_at(*[100] * 4_000)
    after = Augmentation(jitter=1, reverse_complement=0.5).windows(before, **NUMBERS)
    pairs = Counter(zip(shifts(before, after), after.reverse_complement.tolist(), strict=True))
    assert_drawn_in_proportion(pairs, {(shift, turned): 1 for shift in (-1, 0, 1) for turned in (False, True)})


def test_switching_one_on_changes_neither_the_other_nor_positions() -> None:
    sampler = RandomWindows(frame(("chr1", 20, 250)), sequence_length=10, batch_size=40, seed=1, chromosome_sizes=SIZES)
    before = sampler.batch(epoch=2, number=3)
    both = Augmentation(jitter=5, reverse_complement=0.5).windows(before, **NUMBERS)
    moved = Augmentation(jitter=5).windows(before, **NUMBERS)
    turned = Augmentation(reverse_complement=0.5).windows(before, **NUMBERS)
    assert triples(both) == triples(moved)
    assert both.reverse_complement.tolist() == turned.reverse_complement.tolist()
    assert triples(turned) == triples(before) == triples(sampler.batch(epoch=2, number=3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reverse_complement": 1.5}, "reverse_complement is 1.5"),
        ({"reverse_complement": "often"}, "reverse_complement is 'often'"),
        ({"jitter": -1}, "jitter is -1"),
        ({"jitter": 0.5}, "jitter is 0.5"),
        ({"strand_pairs": [(0, 1, 2)]}, "expected pairs of track numbers"),
        ({"strand_pairs": [(0, 1), (1, 2)]}, "strand_pairs has track 1 twice"),
        ({"strand_pairs": [(3, 3)]}, "strand_pairs has track 3 twice"),
        ({"strand_pairs": [(-1, 3)]}, "strand_pairs is -1"),
    ],
)
def test_what_makes_no_sense(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Augmentation(**arguments)
