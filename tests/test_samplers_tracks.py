"""Random subsets of tracks: each equally likely, pairs of strands kept together."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.errors import ConfigError
from bigwig_numba.samplers import SampledTracks, TrackSampler
from tests.sampling import assert_drawn_in_proportion


def drawn(some: SampledTracks, n: int) -> Counter[tuple[int, ...]]:
    return Counter(tuple(some.tracks(epoch=0, number=number).tolist()) for number in range(n))


@given(st.integers(1, 40), st.data())
def test_a_subset_has_so_many_different_tracks_in_order(n_tracks: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, n_tracks))
    tracks = SampledTracks(n_tracks, n, seed=data.draw(st.integers(0, 5))).tracks(epoch=1, number=2).tolist()
    assert tracks == sorted(set(tracks))
    assert len(tracks) == n
    assert set(tracks) <= set(range(n_tracks))


def test_each_subset_is_equally_likely() -> None:
    counts = drawn(SampledTracks(5, 2, seed=1), 4_000)
    assert_drawn_in_proportion(counts, dict.fromkeys(combinations(range(5), 2), 1))


@pytest.mark.parametrize("n", [2, 3, 4])
def test_each_subset_of_whole_pairs_is_equally_likely(n: int) -> None:
    pairs = [(0, 3), (5, 1)]
    whole = [
        chosen
        for chosen in combinations(range(6), n)
        if all((one in chosen) == (other in chosen) for one, other in pairs)
    ]
    assert len(whole) == sum(math.comb(2, many) * math.comb(2, n - 2 * many) for many in range(3) if n >= 2 * many)
    assert_drawn_in_proportion(drawn(SampledTracks(6, n, seed=1, strand_pairs=pairs), 3_000), dict.fromkeys(whole, 1))


def test_batches_epochs_and_seeds_differ_and_repeat() -> None:
    def tracks(seed: int, epoch: int, number: int) -> list[int]:
        return SampledTracks(1000, 20, seed=seed).tracks(epoch=epoch, number=number).tolist()

    numbers = [(1, 0, 0), (2, 0, 0), (1, 1, 0), (1, 0, 1)]
    assert len({tuple(tracks(*some)) for some in numbers}) == 4
    assert [tracks(*some) for some in numbers] == [tracks(*some) for some in numbers]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4, 5), "sub_sample_tracks is 5, but there are 4 tracks"),
        ((4, 0), "sub_sample_tracks is 0, expected a whole number from 1"),
        ((0, 1), "n_tracks is 0"),
        ((4, 1, [(0, 1), (2, 3)]), "strand pairs stay together, and there are 2 of them and 0 other tracks"),
    ],
)
def test_what_makes_no_sense(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SampledTracks(*arguments[:2], seed=1, strand_pairs=arguments[2] if len(arguments) > 2 else ())


def test_it_is_a_track_sampler() -> None:
    assert isinstance(SampledTracks(4, 2, seed=1), TrackSampler)
