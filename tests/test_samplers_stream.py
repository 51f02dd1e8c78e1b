"""Positions and tracks of someone else's: lists, generators, what is wrong with them, and several threads at once."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.errors import ChromNotFoundError, ConfigError, WindowError
from bigwig_numba.samplers import PositionSampler, StreamTracks, StreamWindows, TrackSampler, stream_windows
from bigwig_numba.samplers.numbered import N_REMEMBERED, NumberedStream
from tests.sampling import SIZES, epoch_of, triples

POSITIONS = [("chr1", center) for center in range(20, 90, 10)]


def stream(positions: Any, **changes: Any) -> StreamWindows:
    arguments: dict[str, Any] = {"sequence_length": 10, "batch_size": 3, "chromosome_sizes": SIZES}
    return StreamWindows(positions, **(arguments | changes))


def centers(some: StreamWindows, epoch: int = 0) -> list[list[int]]:
    return [windows.centers.tolist() for windows in epoch_of(some, epoch)]


@given(
    st.lists(st.tuples(st.sampled_from(sorted(SIZES)), st.integers(-20, 320)), max_size=30),
    st.integers(1, 45),
    st.integers(1, 9),
)
def test_windows_are_those_positions_that_fit_in_their_order(
    positions: list[tuple[str, int]], length: int, batch_size: int
) -> None:
    starts = [(name, center - length // 2) for name, center in positions]
    fitting = [(name, start, start + length) for name, start in starts if 0 <= start <= SIZES[name] - length]
    batches = list(epoch_of(stream(positions, sequence_length=length, batch_size=batch_size)))
    assert [row for windows in batches for row in triples(windows)] == fitting
    assert all(len(windows) == batch_size for windows in batches[:-1])
    assert all(1 <= len(windows) <= batch_size for windows in batches)


def test_a_list_is_there_each_epoch() -> None:
    some = stream(POSITIONS)
    assert centers(some, 0) == centers(some, 1) == [[20, 30, 40], [50, 60, 70], [80]]


def test_a_generator_ends_the_epoch_and_all_after_it() -> None:
    some = stream(iter(POSITIONS))
    assert centers(some, 0) == [[20, 30, 40], [50, 60, 70], [80]]
    assert centers(some, 1) == []


def test_a_generator_goes_on_in_the_next_epoch() -> None:
    some = stream(iter(POSITIONS), batches_per_epoch=1)
    assert [centers(some, epoch) for epoch in range(4)] == [[[20, 30, 40]], [[50, 60, 70]], [[80]], []]


def test_an_object_that_begins_anew_does_so_each_epoch() -> None:
    class Anew:
        def __iter__(self) -> Iterator[tuple[str, int]]:
            yield from POSITIONS

    some = stream(Anew(), batches_per_epoch=2)
    assert centers(some, 0) == centers(some, 1) == [[20, 30, 40], [50, 60, 70]]


def test_nothing_is_read_ahead_of_the_batch() -> None:
    positions = iter(POSITIONS)
    stream(positions).batch(epoch=0, number=0)
    assert next(positions) == POSITIONS[3]


def test_positions_with_unknown_bases_are_passed_over() -> None:
    some = stream(POSITIONS, unknown_counts=lambda chromosomes, starts, ends: (starts % 20 == 5) * 2)
    assert centers(some) == [[20, 40, 60], [80]]


def test_mappings_bring_what_else_they_have() -> None:
    rows = [{"chromosome": name, "center": center, "weight": center / 2} for name, center in POSITIONS]
    batches = list(epoch_of(stream(rows)))
    assert [windows.other["weight"].tolist() for windows in batches] == [[10, 15, 20], [25, 30, 35], [40]]


def test_batches_may_be_asked_for_in_any_order() -> None:
    some = stream(POSITIONS)
    asked = [some.batch(epoch=0, number=number) for number in (2, 0, 1, 3, 0)]
    assert [None if windows is None else windows.centers.tolist() for windows in asked] == [
        *([80], [20, 30, 40], [50, 60, 70], None, [20, 30, 40])
    ]


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns after each microsecond."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
@pytest.mark.parametrize("make", [list, iter])
def test_threads_get_each_its_own_batch(make: Any) -> None:
    some = stream(make([("chr1", 10 + number % 277) for number in range(1_000)]), batch_size=1)
    with ThreadPoolExecutor(8) as threads:
        batches = threads.map(lambda number: some.batch(epoch=0, number=number), range(1_000))
        found = [None if windows is None else int(windows.centers[0]) for windows in batches]
    assert found == [10 + number % 277 for number in range(1_000)]


class TestNumberedStream:
    """Long after they were read, items of a list can be had again, those of a generator cannot."""

    def test_a_list_is_read_again(self) -> None:
        some = NumberedStream(lambda: iter(range(3000)), begins_again=True, argument="numbers")
        assert [some.item(epoch=0, number=number) for number in (2999, 3, 2999)] == [2999, 3, 2999]

    def test_a_generator_cannot_be(self) -> None:
        some = NumberedStream(lambda: iter(range(3000)), begins_again=False, argument="numbers")
        assert some.item(epoch=0, number=2999) == 2999
        assert some.item(epoch=0, number=3000 - N_REMEMBERED) == 3000 - N_REMEMBERED
        with pytest.raises(ConfigError, match=r"numbers has been read past batch 3 .* give a list"):
            some.item(epoch=0, number=3)

    def test_a_copy_in_another_process_begins_anew(self) -> None:
        some = stream(POSITIONS)
        some.batch(epoch=0, number=1)
        assert centers(pickle.loads(pickle.dumps(some))) == centers(some)


class TestWhatIsWrongWithAStream:
    """Errors name the item."""

    @pytest.mark.parametrize(
        "item", [("chr1",), ("chr1", 1, 2), "chr1", 5, None, {"chromosome": "chr1"}, {"chrom": "chr1", "center": 3}]
    )
    def test_no_position(self, item: Any) -> None:
        with pytest.raises(ConfigError, match="expected a position"):
            stream([item]).batch(epoch=0, number=0)

    @pytest.mark.parametrize("item", [("chr1", "here"), ("chr1", None)])
    def test_no_number(self, item: Any) -> None:
        with pytest.raises(ConfigError, match="center must be"):
            stream([item]).batch(epoch=0, number=0)

    def test_no_whole_number(self) -> None:
        with pytest.raises(WindowError, match="center is no whole number"):
            stream([("chr1", 50.5)]).batch(epoch=0, number=0)

    def test_other_keys(self) -> None:
        items = [{"chromosome": "chr1", "center": 50}, {"chromosome": "chr1", "center": 50, "weight": 1}]
        with pytest.raises(ConfigError, match=r"weight.*expected a position with the keys chromosome, center"):
            stream(items).batch(epoch=0, number=0)

    def test_a_chromosome_without_a_size(self) -> None:
        with pytest.raises(ChromNotFoundError, match="did you mean 'chr1'"):
            stream([("1", 50)]).batch(epoch=0, number=0)

    @pytest.mark.parametrize("positions", [5, "chr1", {"chromosome": "chr1", "center": 5}])
    def test_no_iterable(self, positions: Any) -> None:
        with pytest.raises(ConfigError, match="expected an iterable"):
            stream(positions)

    def test_its_own_error_is_raised_and_never_taken_for_its_end(self) -> None:
        def broken() -> Iterator[tuple[str, int]]:
            yield from POSITIONS[:3]
            raise OSError("the disk is gone")

        some = stream(broken())
        assert some.batch(epoch=0, number=0) is not None
        for _ in range(2):
            with pytest.raises(OSError, match="the disk is gone"):
                some.batch(epoch=0, number=1)

    def test_endless_positions_that_cannot_be_had(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def outside() -> Iterator[tuple[str, int]]:
            while True:
                yield "chr1", 0

        monkeypatch.setattr(stream_windows, "MOST_REFUSED", 1_000)
        with pytest.raises(ConfigError, match="none of the last 1,002 positions could be had"):
            stream(outside()).batch(epoch=0, number=0)


class TestStreamTracks:
    """`custom_track_sampler`."""

    def test_a_list_is_gone_through_again_and_again(self) -> None:
        some = StreamTracks([[0, 1], [2]])
        for epoch in range(2):
            tracks = [some.tracks(epoch=epoch, number=number) for number in range(3)]
            assert [chosen.tolist() for chosen in tracks if chosen is not None] == [[0, 1], [2], [0, 1]]

    def test_a_generator_ends(self) -> None:
        some = StreamTracks(iter([[0, 1], np.array([2])]))
        assert [some.tracks(epoch=0, number=number) is None for number in range(3)] == [False, False, True]

    def test_an_empty_list_has_no_tracks(self) -> None:
        assert StreamTracks([]).tracks(epoch=0, number=0) is None

    @pytest.mark.parametrize("tracks", [["a"], [0.5], 3])
    def test_what_is_no_set_of_tracks(self, tracks: Any) -> None:
        with pytest.raises(ConfigError, match="track_indices must be a sequence of whole numbers"):
            StreamTracks([tracks]).tracks(epoch=0, number=0)

    def test_what_is_no_iterable(self) -> None:
        with pytest.raises(ConfigError, match="expected an iterable of lists"):
            StreamTracks(3)  # type: ignore[arg-type]

    def test_it_is_a_track_sampler(self) -> None:
        assert isinstance(StreamTracks([]), TrackSampler)
        assert isinstance(stream([]), PositionSampler)
