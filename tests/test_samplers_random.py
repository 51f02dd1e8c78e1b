"""Random positions: every base of every region, equally likely, in windows that are on the chromosome and known."""

from __future__ import annotations

import math
import pickle
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bigwig_numba.errors import ChromNotFoundError, ConfigError, WindowError
from bigwig_numba.samplers import Draw, PositionSampler, RandomWindows, keyed_generator, random_windows
from tests.sampling import SIZES, assert_drawn_in_proportion, binomial_bounds, epoch_of, frame, frames, same, triples


def sampler(regions: pd.DataFrame, **changes: Any) -> RandomWindows:
    arguments: dict[str, Any] = {"sequence_length": 10, "batch_size": 500, "seed": 1, "chromosome_sizes": SIZES}
    return RandomWindows(regions, **(arguments | changes))


def drawn_centers(some: RandomWindows, n_batches: int) -> list[tuple[str, int]]:
    batches = [some.batch(epoch=0, number=number) for number in range(n_batches)]
    return [pair for batch in batches for pair in zip(batch.chromosomes, batch.centers.tolist(), strict=True)]


def possible_centers(regions: pd.DataFrame, length: int) -> list[tuple[str, int]]:
    """Every base of every region around which the window is on the chromosome, once per region."""
    return [
        (name, center)
        for name, start, end in regions.itertuples(index=False)
        for center in range(start, end)
        if center - length // 2 >= 0 and center - length // 2 + length <= SIZES[name]
    ]


def never(chromosomes: Any, starts: Any, ends: Any) -> Any:
    """A genome of N."""
    return ends - starts


@pytest.mark.parametrize(("n", "p"), [(4, 0.5), (100, 0.5), (200, 0.001), (50, 0.99)])
def test_the_bounds_of_these_tests_are_those_of_the_binomial_distribution(n: int, p: float) -> None:
    chances = [math.comb(n, k) * Fraction(p) ** k * (1 - Fraction(p)) ** (n - k) for k in range(n + 1)]
    lowest, highest = binomial_bounds(n, p)
    assert sum(chances[:lowest]) < 1e-9 <= sum(chances[: lowest + 1])
    assert sum(chances[highest + 1 :]) < 1e-9 <= sum(chances[highest:])


@given(frames(), st.integers(1, 45))
def test_the_centers_drawn_are_the_possible_ones(regions: pd.DataFrame, length: int) -> None:
    possible = Counter(possible_centers(regions, length))
    assume(possible)
    drawn = Counter(drawn_centers(sampler(regions, sequence_length=length, batch_size=20_000), 1))
    # Of at most 480 equally likely places 20,000 draws miss one with a probability of 480 * exp(-41).
    assert set(drawn) == set(possible)


def test_each_base_of_each_region_is_equally_likely() -> None:
    regions = frame(("chr2", 50, 51), ("chr1", 20, 60), ("chr1", 100, 107), ("chr2", 80, 81))
    drawn = Counter(drawn_centers(sampler(regions), 40))
    assert_drawn_in_proportion(drawn, dict.fromkeys(possible_centers(regions, 10), 1))


def test_a_region_is_drawn_in_proportion_to_its_length() -> None:
    regions = frame(("chr1", 20, 120), ("chr1", 200, 201), ("chr2", 20, 70))
    rows = np.concatenate([batch.other["region"] for batch in epoch_of(sampler(regions, batches_per_epoch=60))])
    assert_drawn_in_proportion(Counter(rows.tolist()), {0: 100, 1: 1, 2: 50})


def test_the_center_is_in_the_region_that_is_named() -> None:
    regions = frame(("chr1", 20, 60), ("chr2", 30, 31), ("chr1", 5, 5), ("chr3", 8, 30))
    windows = sampler(regions).batch(epoch=0, number=0)
    rows = regions.iloc[windows.other["region"]]
    assert windows.chromosomes.tolist() == rows["chrom"].tolist()
    assert ((rows["start"].to_numpy() <= windows.centers) & (windows.centers < rows["end"].to_numpy())).all()


@pytest.mark.parametrize("row", [("chr1", 100, 101), ("chr1", 100, 150)])
def test_one_region_is_enough(row: tuple[str, int, int]) -> None:
    windows = sampler(frame(row)).batch(epoch=0, number=0)
    assert set(windows.centers.tolist()) == set(range(row[1], row[2]))


def test_a_stretch_of_the_line_with_many_short_regions_is_searched_as_well() -> None:
    short = [("chr1", place, place + 1) for place in range(10, 10_010, 2)]
    regions = frame(("chr1", 20_000, 90_000_000), *short)
    some = sampler(regions, chromosome_sizes={"chr1": 100_000_000}, batch_size=1)
    line = some._centers
    places = np.arange(line.n_places - 5_100, line.n_places)
    rows, _, centers = line.read(places)
    twin = np.concatenate([np.arange(90_000_000 - 100, 90_000_000), np.arange(10, 10_010, 2)])
    assert centers.tolist() == twin.tolist()
    assert rows.tolist() == [0] * 100 + list(range(1, 5_001))


@given(frames(), st.integers(1, 45), st.integers(0, 3), st.integers(0, 50))
def test_windows_are_on_their_chromosome(regions: pd.DataFrame, length: int, epoch: int, number: int) -> None:
    assume(possible_centers(regions, length))
    windows = sampler(regions, sequence_length=length, batch_size=50).batch(epoch=epoch, number=number)
    assert len(windows) == 50
    for name, start, end in triples(windows):
        assert start >= 0
        assert end == start + length <= SIZES[name]


@given(frames())
def test_the_frame_is_not_changed(regions: pd.DataFrame) -> None:
    assume(possible_centers(regions, 10))
    regions.index = pd.Index(range(7, 7 + len(regions)))
    before = regions.copy(deep=True)
    sampler(regions).batch(epoch=0, number=0)
    pd.testing.assert_frame_equal(regions, before)


def test_the_frame_may_change_afterwards() -> None:
    regions = frame(("chr1", 20, 60))
    some = sampler(regions)
    before = some.batch(epoch=0, number=0)
    regions["start"] = 59
    assert same(some.batch(epoch=0, number=0), before)


def test_a_batch_depends_on_its_numbers_alone() -> None:
    regions = frame(("chr1", 20, 250), ("chr2", 20, 90))
    forward = [triples(windows) for windows in epoch_of(sampler(regions, batches_per_epoch=5))]
    some = sampler(regions, batches_per_epoch=5)
    backward = [triples(some.batch(epoch=0, number=number)) for number in reversed(range(5))]
    assert forward == backward[::-1]


@pytest.mark.parametrize("other", [{"epoch": 1, "number": 0}, {"epoch": 0, "number": 1}])
def test_epochs_and_batches_differ(other: dict[str, int]) -> None:
    some = sampler(frame(("chr1", 20, 250)))
    assert not same(some.batch(epoch=0, number=0), some.batch(**other))


def test_seeds_differ() -> None:
    regions = frame(("chr1", 20, 250))
    assert not same(sampler(regions).batch(epoch=0, number=0), sampler(regions, seed=2).batch(epoch=0, number=0))


def test_a_copy_in_another_process_draws_the_same() -> None:
    some = sampler(frame(("chr1", 20, 250)))
    copy = pickle.loads(pickle.dumps(some))
    assert same(some.batch(epoch=2, number=3), copy.batch(epoch=2, number=3))


def test_an_epoch_is_as_long_as_its_regions_by_default() -> None:
    regions = frame(("chr1", 20, 260), ("chr2", 20, 90))
    assert sampler(regions, batch_size=3).n_batches(0) == 310 // 10 // 3
    assert sampler(regions, batch_size=3, batches_per_epoch=7).n_batches(0) == 7


def test_an_epoch_has_a_batch_at_least() -> None:
    assert sampler(frame(("chr1", 20, 21))).n_batches(0) == 1


def test_it_is_a_position_sampler() -> None:
    assert isinstance(sampler(frame(("chr1", 20, 21))), PositionSampler)


class TestRepeatedPositions:
    """`repeat_same_positions`: the first buffer of positions, again and again."""

    REGIONS = frame(("chr1", 20, 250), ("chr2", 20, 90))

    def repeated(self, **changes: Any) -> RandomWindows:
        return sampler(self.REGIONS, repeat_same_positions=True, **({"buffer_size": 12, "batch_size": 5} | changes))

    def test_each_epoch_has_the_same(self) -> None:
        some = self.repeated()
        for number in range(4):
            assert same(some.batch(epoch=0, number=number), some.batch(epoch=9, number=number))

    def test_all_positions_of_the_buffer_are_repeated_in_their_order(self) -> None:
        some = self.repeated()
        drawn = [row for number in range(12) for row in triples(some.batch(epoch=0, number=number))]
        assert drawn == drawn[:12] * 5
        assert len(set(drawn[:12])) > 6

    @given(st.integers(1, 40))
    def test_they_do_not_depend_on_the_batch_size(self, batch_size: int) -> None:
        drawn = triples(self.repeated(batch_size=batch_size).batch(epoch=0, number=0))
        whole = triples(self.repeated(batch_size=40).batch(epoch=0, number=0))
        assert drawn == whole[:batch_size]

    def test_positions_with_unknown_bases_are_not_among_them(self) -> None:
        some = self.repeated(unknown_counts=lambda chromosomes, starts, ends: (starts % 2) * 10)
        assert not any(start % 2 for number in range(4) for _, start, _ in triples(some.batch(epoch=0, number=number)))


class TestUnknownBases:
    """Windows with too many unknown bases are drawn again."""

    REGIONS = frame(("chr1", 20, 120))

    def test_a_share_up_to_the_maximum_is_allowed(self) -> None:
        counts = {start: start % 11 for start in range(300)}  # 0 to 10 of 10 bases

        def unknown(chromosomes: Any, starts: Any, ends: Any) -> Any:
            return np.array([counts[start] for start in starts.tolist()])

        some = sampler(self.REGIONS, unknown_counts=unknown, maximum_unknown_bases_fraction=0.3)
        drawn = {start for _, start, _ in triples(some.batch(epoch=0, number=0))}
        assert drawn == {start for start in range(15, 115) if start % 11 <= 3}

    def test_what_is_left_stays_equally_likely(self) -> None:
        some = sampler(self.REGIONS, unknown_counts=lambda chromosomes, starts, ends: np.where(starts % 10 < 7, 10, 0))
        drawn = Counter(center for _, center in drawn_centers(some, 40))
        assert_drawn_in_proportion(drawn, {center: 1 for center in range(20, 120) if (center - 5) % 10 >= 7})

    def test_a_batch_is_full_however_rare_known_windows_are(self) -> None:
        some = sampler(
            frame(("chr1", 500, 900_000)),
            chromosome_sizes={"chr1": 1_000_000},
            batch_size=4,
            unknown_counts=lambda chromosomes, starts, ends: np.where(starts % 5_000 == 0, 0, 10),
        )
        starts = some.batch(epoch=0, number=0).starts
        assert len(starts) == 4
        assert (starts % 5_000 == 0).all()

    def test_nothing_known_is_an_error_that_says_so(self) -> None:
        some = sampler(self.REGIONS, unknown_counts=never)
        with pytest.raises(ConfigError, match=r"none had a window of 10 bases with at most 10% unknown .* Take other"):
            some.batch(epoch=0, number=0)

    def test_counting_them_changes_nothing_where_there_are_none(self) -> None:
        counted = sampler(self.REGIONS, unknown_counts=lambda chromosomes, starts, ends: np.zeros(len(starts)))
        assert same(counted.batch(epoch=0, number=3), sampler(self.REGIONS).batch(epoch=0, number=3))


class TestWhatMakesNoSense:
    """Errors that say what to do."""

    @pytest.mark.parametrize(
        "regions", [frame(), frame(("chr1", 5, 5)), frame(("chr3", 0, 2)), frame(("chr1", 298, 400))]
    )
    def test_regions_without_a_possible_center(self, regions: pd.DataFrame) -> None:
        with pytest.raises(ConfigError, match="so nothing can be drawn"):
            sampler(regions)

    def test_windows_longer_than_the_chromosome(self) -> None:
        with pytest.raises(ConfigError, match=r"a window of 301 bases \(sequence_length\)"):
            sampler(frame(("chr1", 0, 300)), sequence_length=301)

    def test_some_regions_without_one_are_told_of(self, caplog: pytest.LogCaptureFixture) -> None:
        some = sampler(frame(("chr1", 0, 3), ("chr1", 50, 60)))
        assert "1 of 2 regions are never drawn" in caplog.text
        assert set(some.batch(epoch=0, number=0).other["region"].tolist()) == {1}

    def test_a_chromosome_without_a_size(self) -> None:
        with pytest.raises(ChromNotFoundError, match=r"no chromosome '1'; did you mean 'chr1'\?"):
            sampler(frame(("1", 0, 3)))

    def test_a_region_that_ends_before_it_starts(self) -> None:
        with pytest.raises(WindowError, match="end before they start"):
            sampler(frame(("chr1", 30, 3)))

    @pytest.mark.parametrize(
        ("argument", "value"),
        [
            ("sequence_length", 0),
            ("batch_size", 0),
            ("batch_size", 2.5),
            ("seed", -1),
            ("seed", 2**64),
            ("seed", 1.5),
            ("batches_per_epoch", 0),
            ("buffer_size", 0),
            ("maximum_unknown_bases_fraction", 1.5),
            ("maximum_unknown_bases_fraction", float("nan")),
        ],
    )
    def test_arguments(self, argument: str, value: Any) -> None:
        with pytest.raises(ConfigError, match=argument) as caught:
            sampler(frame(("chr1", 30, 50)), **{argument: value})
        assert caught.value.argument == argument

    def test_numbers_below_0(self) -> None:
        with pytest.raises(ConfigError, match="both count from 0"):
            sampler(frame(("chr1", 30, 50))).batch(epoch=0, number=-1)


def test_the_search_for_known_windows_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    n_asked = 0

    def count(chromosomes: Any, starts: Any, ends: Any) -> Any:
        nonlocal n_asked
        n_asked += len(starts)
        return ends - starts

    monkeypatch.setattr(random_windows, "MOST_REFUSED", 10_000)
    with pytest.raises(ConfigError):
        sampler(frame(("chr1", 30, 50)), unknown_counts=count).batch(epoch=0, number=0)
    assert 10_000 <= n_asked < 30_000


class TestKeyedGenerator:
    """One generator per seed, kind of draw, epoch and batch."""

    KEYS = st.tuples(
        st.integers(0, 2**64 - 1), st.sampled_from(list(Draw)), st.integers(0, 2**40), st.integers(0, 2**40)
    )

    @given(KEYS, KEYS)
    def test_numbers_are_equal_if_and_only_if_keys_are(
        self, one: tuple[int, Draw, int, int], other: tuple[int, Draw, int, int]
    ) -> None:
        numbers = [
            keyed_generator(seed, draw, epoch=epoch, number=number).integers(2**60, size=4).tolist()
            for seed, draw, epoch, number in (one, other, one)
        ]
        assert numbers[0] == numbers[2]
        assert (numbers[0] == numbers[1]) is (one == other)

    def test_each_part_of_the_key_matters(self) -> None:
        keys = [
            *((1, draw, 0, 0) for draw in Draw),
            *((seed, Draw.ORDER, 0, 0) for seed in (0, 2, 2**63, 2**64 - 1)),
            *((1, Draw.ORDER, epoch, 0) for epoch in (1, 2**40)),
            *((1, Draw.ORDER, 0, number) for number in (1, 2**40)),
        ]
        numbers = {
            tuple(keyed_generator(seed, draw, epoch=epoch, number=number).integers(2**60, size=4).tolist())
            for seed, draw, epoch, number in keys
        }
        assert len(numbers) == len(keys)

    def test_neighbouring_batches_share_no_numbers(self) -> None:
        drawn = [keyed_generator(1, Draw.POSITIONS, number=number).integers(2**62, size=1000) for number in range(20)]
        assert len(np.unique(np.concatenate(drawn))) == 20_000
