"""Requests that do not fit are made in parts: the same values, whatever the working set; a part fits it."""

from __future__ import annotations

import numpy as np
import pytest

from bigwig_numba.engine.cpu import CpuEngine
from bigwig_numba.engine.parts import parts_of_request
from tests.conftest import CorpusFile
from tests.engines import Tracks, assert_same_bits

NAMES = ("mixed section kinds", "big-endian", "uncompressed", "stored NaN", "item count 0")
WORKING_SETS = (0, 1, 5_000, 30_000, 100_000, 1 << 30)


@pytest.fixture
def tracks(corpus_file: CorpusFile) -> Tracks:
    return Tracks.open(*(corpus_file(name)[0] for name in NAMES))


@pytest.mark.parametrize("working_set", WORKING_SETS)
@pytest.mark.parametrize("window_size", [1, 7])
def test_values_do_not_depend_on_the_working_set(
    working_set: int, window_size: int, tracks: Tracks, corpus_file: CorpusFile
) -> None:
    windows = corpus_file(NAMES[0])[1].windows(310, count=23, seed=window_size)
    request, reduction = tracks.request(windows, window_size), tracks.reduction(default=0.5)
    whole = CpuEngine(1).run(tracks.plan(windows, window_size), tracks.sources, reduction)
    engine = CpuEngine(1, working_set=working_set)
    assert_same_bits(engine.batch(request, tracks.table, tracks.sources, reduction), whole)


@pytest.mark.parametrize("working_set", WORKING_SETS)
def test_a_part_fits_or_is_one_window_of_one_track(working_set: int, tracks: Tracks, corpus_file: CorpusFile) -> None:
    windows = corpus_file(NAMES[0])[1].windows(310, count=23, seed=5)
    written = np.zeros((len(windows), len(NAMES)), np.int64)
    for part in parts_of_request(tracks.table, tracks.request(windows), most_bytes=working_set):
        plan = part.plan
        assert plan.block_capacities.sum() <= working_set or plan.n_windows == plan.n_tracks == 1
        last_window, last_track = part.first_window + plan.n_windows, part.first_track + plan.n_tracks
        written[part.first_window : last_window, part.first_track : last_track] += 1
    assert (written == 1).all()


def test_what_fits_is_one_part(tracks: Tracks, corpus_file: CorpusFile) -> None:
    request = tracks.request(corpus_file(NAMES[0])[1].windows(310))
    assert len(list(parts_of_request(tracks.table, request, most_bytes=1 << 30))) == 1
