"""Each region once per epoch; tiles that cover everything: both against plain loops."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bigwig_numba.errors import ChromNotFoundError, ConfigError
from bigwig_numba.samplers import PositionSampler, RegionWindows, TiledWindows
from tests.sampling import SIZES, epoch_of, frame, frames, same, triples

ARGUMENTS: dict[str, Any] = {"sequence_length": 10, "batch_size": 3, "chromosome_sizes": SIZES}


def regions_sampler(regions: pd.DataFrame, **changes: Any) -> RegionWindows:
    return RegionWindows(regions, **({"seed": 1} | ARGUMENTS | changes))


def tiles_sampler(regions: pd.DataFrame | None, **changes: Any) -> TiledWindows:
    return TiledWindows(regions, **(ARGUMENTS | changes))


def middle_windows(regions: pd.DataFrame, length: int) -> list[tuple[str, int, int]]:
    """The window around the middle of each region, where it is on the chromosome."""
    starts = [(name, (start + end) // 2 - length // 2) for name, start, end in regions.itertuples(index=False)]
    return [(name, start, start + length) for name, start in starts if 0 <= start <= SIZES[name] - length]


class TestRegionWindows:
    """`sampling="regions"`."""

    REGIONS = frame(*(("chr1", start, start + 7) for start in range(10, 280, 10)))

    @given(frames(), st.integers(1, 45), st.integers(1, 9), st.integers(0, 3))
    def test_each_region_is_drawn_once_per_epoch(
        self, regions: pd.DataFrame, length: int, batch_size: int, epoch: int
    ) -> None:
        expected = middle_windows(regions, length)
        assume(expected)
        some = regions_sampler(regions, sequence_length=length, batch_size=batch_size)
        drawn = [row for windows in epoch_of(some, epoch) for row in triples(windows)]
        assert sorted(drawn) == sorted(expected)

    @given(frames(), st.integers(1, 45))
    def test_without_shuffling_they_come_in_their_order(self, regions: pd.DataFrame, length: int) -> None:
        expected = middle_windows(regions, length)
        assume(expected)
        some = regions_sampler(regions, sequence_length=length, shuffle=False)
        assert [row for windows in epoch_of(some) for row in triples(windows)] == expected

    @pytest.mark.parametrize(("start", "is_there"), [(-1, False), (0, True), (30, True), (31, False)])
    def test_a_window_may_reach_to_the_ends_of_its_chromosome(self, start: int, is_there: bool) -> None:
        regions = frame(("chr3", start, start + 10), ("chr1", 50, 60))
        (windows,) = epoch_of(regions_sampler(regions, shuffle=False))
        assert (("chr3", start, start + 10) in triples(windows)) is is_there

    def test_the_row_of_the_region_comes_with_each(self) -> None:
        for windows in epoch_of(regions_sampler(self.REGIONS)):
            rows = self.REGIONS.iloc[windows.other["region"]]
            assert windows.centers.tolist() == ((rows["start"] + rows["end"]) // 2).tolist()

    def test_the_order_is_new_each_epoch_and_another_by_seed(self) -> None:
        orders = [
            tuple(row for windows in epoch_of(some, epoch) for row in triples(windows))
            for some, epoch in itertools.product((regions_sampler(self.REGIONS, seed=seed) for seed in (1, 2)), (0, 1))
        ]
        assert len(set(orders)) == 4
        assert {tuple(sorted(order)) for order in orders} == {tuple(sorted(orders[0]))}

    def test_every_place_of_the_order_is_open_to_every_region(self) -> None:
        some = regions_sampler(self.REGIONS[:3], batch_size=1)
        orders = {
            tuple(int(windows.starts[0]) for windows in epoch_of(some, epoch)) for epoch in range(100)
        }  # one of 6 is missing with a probability of 6 * (5 / 6)**100
        assert len(orders) == 6

    def test_epochs_may_be_asked_for_in_any_order(self) -> None:
        numbers = [(0, 1), (3, 0), (0, 2), (1, 0), (0, 1)]
        some = regions_sampler(self.REGIONS)
        asked = [triples(some.batch(epoch=epoch, number=number)) for epoch, number in numbers]
        fresh = [triples(regions_sampler(self.REGIONS).batch(epoch=epoch, number=number)) for epoch, number in numbers]
        assert asked == fresh

    def test_the_last_batch_has_what_is_left_and_then_it_begins_again(self) -> None:
        some = regions_sampler(self.REGIONS[:7])
        assert some.n_batches(0) == 3
        assert [len(windows) for windows in epoch_of(some)] == [3, 3, 1]
        assert same(some.batch(epoch=0, number=3), some.batch(epoch=0, number=0))

    def test_regions_that_cannot_be_had_are_left_out_and_told_of(self, caplog: pytest.LogCaptureFixture) -> None:
        regions = frame(("chr1", 0, 2), ("chr1", 50, 60), ("chr1", 70, 80), ("chr3", 38, 40))
        some = regions_sampler(regions, unknown_counts=lambda chromosomes, starts, ends: (starts == 50) * 2)
        (windows,) = epoch_of(some)
        assert triples(windows) == [("chr1", 70, 80)]
        assert "3 of 4 regions are left out: around 2 a window of 10 bases" in caplog.text
        assert "around 1 it has too many unknown (N) bases" in caplog.text

    @pytest.mark.parametrize("regions", [frame(), frame(("chr1", 0, 2))])
    def test_none_left_is_an_error(self, regions: pd.DataFrame) -> None:
        with pytest.raises(ConfigError, match="can be had"):
            regions_sampler(regions)

    def test_the_frame_is_not_changed(self) -> None:
        regions = self.REGIONS.set_index(self.REGIONS.index[::-1])
        before = regions.copy(deep=True)
        list(epoch_of(regions_sampler(regions)))
        pd.testing.assert_frame_equal(regions, before)

    def test_a_copy_in_another_process_draws_the_same(self) -> None:
        some = regions_sampler(self.REGIONS)
        assert same(pickle.loads(pickle.dumps(some)).batch(epoch=1, number=1), some.batch(epoch=1, number=1))

    def test_it_is_a_position_sampler(self) -> None:
        assert isinstance(regions_sampler(self.REGIONS), PositionSampler)


def plain_tiles(regions: pd.DataFrame, target: int, stride: int) -> list[tuple[str, int, int, int]]:
    """Chromosome, target start, target end, row; one after another until the end of the region is reached."""
    tiles = []
    for row, (name, start, end) in enumerate(regions.itertuples(index=False)):
        start, end = max(0, start), min(end, SIZES[name])
        place = start
        while place < end:
            tiles.append((name, place, place + target, row))
            if place + target >= end:
                break
            place += stride
    return tiles


class TestTiledWindows:
    """`sampling="tile"`."""

    @given(frames(), st.integers(1, 45), st.integers(1, 45), st.integers(1, 60), st.integers(1, 9))
    def test_tiles_are_those_of_a_plain_loop(
        self, regions: pd.DataFrame, length: int, target: int, stride: int, batch_size: int
    ) -> None:
        expected = plain_tiles(regions, target, stride)
        assume(expected)
        some = tiles_sampler(
            regions, sequence_length=length, target_length=target, stride=stride, batch_size=batch_size
        )
        batches = list(epoch_of(some))
        found = [
            (name, start, end, row)
            for windows in batches
            for name, start, end, row in zip(
                windows.chromosomes, *windows.target(target), windows.other["region"], strict=True
            )
        ]
        assert found == expected
        assert some.n_tiles == len(expected)
        assert [len(windows) for windows in batches[:-1]] == [batch_size] * (len(batches) - 1)
        assert np.concatenate([windows.other["tile"] for windows in batches]).tolist() == list(range(len(expected)))
        assert all((windows.ends - windows.starts == length).all() for windows in batches)

    @given(frames(), st.integers(1, 45))
    def test_side_by_side_they_cover_each_base_of_each_region_once(self, regions: pd.DataFrame, target: int) -> None:
        assume(plain_tiles(regions, target, target))
        covered: list[tuple[int, int]] = []
        for windows in epoch_of(tiles_sampler(regions, target_length=target)):
            inside = zip(
                windows.other["region"], windows.other["inside_starts"], windows.other["inside_ends"], strict=True
            )
            covered += [(row, base) for row, start, end in inside for base in range(start, end)]
        assert covered == [
            (row, base)
            for row, (name, start, end) in enumerate(regions.itertuples(index=False))
            for base in range(max(0, start), min(end, SIZES[name]))
        ]

    def test_sequences_reach_out_around_targets_and_over_the_ends_of_chromosomes(self) -> None:
        (windows,) = epoch_of(tiles_sampler(frame(("chr3", 0, 40)), sequence_length=30, target_length=20))
        assert triples(windows) == [("chr3", -5, 25), ("chr3", 15, 45)]

    def test_predictions_can_be_put_back(self) -> None:
        """What is written to the inside of each target makes the genome whole again."""
        truth = {name: np.arange(size) + 1000 * row for row, (name, size) in enumerate(SIZES.items())}
        built = {name: np.full(size, -1) for name, size in SIZES.items()}
        for windows in epoch_of(tiles_sampler(None, target_length=16)):
            for place, (name, start) in enumerate(zip(windows.chromosomes, windows.target(16)[0], strict=True)):
                prediction = np.full(16, -2)
                on_chromosome = truth[name][start : start + 16]
                prediction[: len(on_chromosome)] = on_chromosome
                first, last = windows.other["inside_starts"][place], windows.other["inside_ends"][place]
                built[name][first:last] = prediction[first - start : last - start]
        assert all((built[name] == truth[name]).all() for name in SIZES)

    def test_whole_chromosomes_come_in_natural_order_or_in_that_given(self) -> None:
        sizes = {"chr10": 10, "chr2": 10, "chr1": 10}
        for chosen, expected in [(None, ["chr1", "chr2", "chr10"]), (["chr10", "chr1"], ["chr10", "chr1"])]:
            (windows,) = epoch_of(tiles_sampler(None, chromosome_sizes=sizes, chromosomes=chosen))
            assert windows.chromosomes.tolist() == expected
        (windows,) = epoch_of(tiles_sampler(None, chromosome_sizes=sizes, chromosomes="chr2"))
        assert windows.chromosomes.tolist() == ["chr2"]

    def test_each_epoch_is_the_same_and_beyond_its_end_it_begins_again(self) -> None:
        some = tiles_sampler(None)
        n_batches = some.n_batches(0)
        assert same(some.batch(epoch=0, number=2), some.batch(epoch=5, number=2))
        assert same(some.batch(epoch=0, number=2), some.batch(epoch=0, number=n_batches + 2))

    @pytest.mark.parametrize("regions", [frame(), frame(("chr1", 5, 5)), frame(("chr1", 300, 310))])
    def test_nothing_to_cover_is_an_error(self, regions: pd.DataFrame) -> None:
        with pytest.raises(ConfigError, match="nothing to tile"):
            tiles_sampler(regions)

    def test_chromosomes_without_a_size(self) -> None:
        with pytest.raises(ChromNotFoundError, match="did you mean 'chr1'"):
            tiles_sampler(None, chromosomes=["1"])

    def test_regions_and_chromosomes_together(self) -> None:
        with pytest.raises(ConfigError, match="together with regions"):
            tiles_sampler(frame(("chr1", 5, 50)), chromosomes=["chr1"])

    @pytest.mark.parametrize("argument", ["sequence_length", "batch_size", "target_length", "stride"])
    def test_numbers_below_1(self, argument: str) -> None:
        with pytest.raises(ConfigError, match=argument):
            tiles_sampler(None, **{argument: 0})

    def test_it_is_a_position_sampler(self) -> None:
        assert isinstance(tiles_sampler(None), PositionSampler)
