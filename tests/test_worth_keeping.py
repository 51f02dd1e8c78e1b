"""Which leaves are kept: all of the regions' and no others, and of too many those that cover most bases a byte."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.engine.store import slot_sizes
from bigwig_numba.engine.worth_keeping import KeptRegions, choose_leaves, leaves_of_regions
from bigwig_numba.plan import TrackTable, plan_windows
from tests.conftest import CorpusFile
from tests.engines import Tracks

NAMES = ("mixed section kinds", "deep index", "leaves that span chromosomes", "empty")
EVERYTHING = 1 << 40


@pytest.fixture(scope="module")
def table(corpus_file: CorpusFile) -> TrackTable:
    return Tracks.open(*(corpus_file(name)[0] for name in NAMES)).table


def regions_of(*regions: tuple[int, int, int]) -> KeptRegions:
    rows, starts, ends = np.array(regions, np.int64).reshape(-1, 3).T
    return KeptRegions(rows, starts, ends)


def planned(table: TrackTable, row: int, start: int, end: int) -> npt.NDArray[np.int64]:
    """What a window over the region needs."""
    plan = plan_windows(table, np.array([row]), starts=np.array([start]), ends=np.array([end]), window_size=1)
    return np.sort(plan.block_leaves)


@given(regions=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9_000), st.integers(0, 3_000)), max_size=5))
def test_the_leaves_of_regions_are_those_that_windows_over_them_need(
    table: TrackTable, regions: list[tuple[int, int, int]]
) -> None:
    inside = [
        (row, min(start, int(table.chromosome_lengths[row])), min(start + length, int(table.chromosome_lengths[row])))
        for row, start, length in regions
    ]
    needed = [planned(table, *region) for region in inside if region[1] < region[2]]
    kept = leaves_of_regions(table, regions_of(*(region for region in inside if region[1] < region[2])))
    assert kept.tolist() == sorted(set(np.concatenate([np.empty(0, np.int64), *needed]).tolist()))


def test_all_leaves_are_kept_where_they_fit(table: TrackTable) -> None:
    assert choose_leaves(table, EVERYTHING).tolist() == list(range(len(table.leaf_sizes)))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_of_too_many_those_that_cover_most_bases_a_byte(table: TrackTable, share: float) -> None:
    slots = slot_sizes(table.leaf_sizes)
    most = int(slots.sum() * share)
    kept = choose_leaves(table, most)
    assert slots[kept].sum() <= most
    worth = np.maximum(table.leaf_reaches - table.leaf_starts, 1) / slots
    left_out = np.setdiff1d(np.arange(len(slots)), kept)
    assert len(left_out)
    assert worth[kept].min(initial=np.inf) >= worth[left_out].max()
