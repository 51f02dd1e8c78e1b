"""Batches of blocks along the genome: stretches without holes, and in each the blocks that reach into it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from bigwig_numba import interval_batches
from bigwig_numba.interval_batches import ChromosomeLookup, IntervalBatch, plan_batches
from bigwig_numba.kernels.intervals import STRIDE
from tests.conftest import CorpusFile
from tests.engines import Tracks

NAMES = ("chr1", "chr2", "chr10", "chrX")
FILES = ("mixed section kinds", "deep index", "bedgraph only")


@pytest.fixture(scope="module")
def tracks(corpus_file: CorpusFile) -> Tracks:
    return Tracks.open(*(corpus_file(name)[0] for name in FILES))


def batches_of(tracks: Tracks, batch_size: int) -> list[IntervalBatch]:
    lookup = ChromosomeLookup.of(tracks.table, NAMES)
    return list(plan_batches(tracks.table, lookup, batch_size=batch_size))


def spans_on_line(tracks: Tracks) -> dict[int, tuple[int, int]]:
    """Leaf to its start and end on the line, by a loop."""
    table, spans = tracks.table, {}
    for leaf in range(len(table.leaf_starts)):
        track = int(np.searchsorted(table.first_leaf, leaf, side="right")) - 1
        for place, name in enumerate(NAMES):
            if name not in table.chromosome_names:
                continue
            row = table.chromosome_names.index(name)
            begin, end = table.genome_starts[row, track], table.genome_ends[row, track]
            if begin >= 0 and begin <= table.leaf_starts[leaf] < end:
                shift = place * STRIDE - begin
                spans[leaf] = (int(table.leaf_starts[leaf] + shift), int(table.leaf_reaches[leaf] + shift))
    return spans


@pytest.mark.parametrize("batch_size", [1, 2, 7, 1_000])
def test_a_batch_has_the_blocks_that_reach_into_its_stretch(tracks: Tracks, batch_size: int) -> None:
    batches, spans = batches_of(tracks, batch_size), spans_on_line(tracks)
    assert len(spans) > 50
    assert all(one.stop == other.first for one, other in pairwise(batches))
    assert batches[0].first == min(start for start, _ in spans.values())
    assert batches[-1].stop > len(NAMES) * STRIDE
    for batch in batches:
        assert batch.first < batch.stop
        reaching = [leaf for leaf, (start, end) in spans.items() if start < batch.stop and end > batch.first]
        assert batch.plan.block_leaves.tolist() == reaching
        starting = [leaf for leaf, (start, _) in spans.items() if batch.first <= start < batch.stop]
        assert len(starting) <= max(batch_size, len(FILES))


def test_plans_say_where_blocks_are_and_which_follow_each_other(tracks: Tracks) -> None:
    (batch,) = batches_of(tracks, 1_000)
    plan, table = batch.plan, tracks.table
    np.testing.assert_array_equal(plan.block_offsets, table.leaf_offsets[plan.block_leaves])
    np.testing.assert_array_equal(plan.block_sizes, table.leaf_sizes[plan.block_leaves])
    for block in range(1, plan.n_blocks):
        neighbours = plan.block_leaves[block] == plan.block_leaves[block - 1] + 1
        assert plan.block_follows[block] == (neighbours and plan.block_tracks[block] == plan.block_tracks[block - 1])


def test_large_blocks_come_in_smaller_batches(tracks: Tracks, monkeypatch: pytest.MonkeyPatch) -> None:
    largest = int(tracks.table.capacities.max())
    monkeypatch.setattr(interval_batches, "MOST_BYTES", 5 * largest)
    limited = batches_of(tracks, 1_000)
    assert [batch.first for batch in limited] == [batch.first for batch in batches_of(tracks, 5)]
    assert len(limited) > 5
