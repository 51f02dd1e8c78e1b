"""count_signal and filter_by_signal against tracks that are written and summed base by base."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.collection import BigWigCollection
from bigwig_numba.errors import ChromNotFoundError, ConfigError
from bigwig_numba.regions import count_signal, filter_by_signal, signal
from bigwig_numba.write import write_bigwig
from tests.region_frames import CHROMOSOMES, left_alone, region_frame, region_frames, rows_of

LENGTH = 60
VALUES = {
    name: np.random.default_rng(number).integers(0, 9, (LENGTH, 3)).astype(np.float32)
    for number, name in enumerate(CHROMOSOMES)
}


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory, device: str) -> Iterator[BigWigCollection]:
    folder = tmp_path_factory.mktemp("tracks")
    paths = [folder / f"{number}.bw" for number in range(3)]
    with_gaps = [(name, 0, np.where(values == 0, np.nan, values)) for name, values in VALUES.items()]
    write_bigwig(paths, dict.fromkeys(CHROMOSOMES, LENGTH), with_gaps)
    with BigWigCollection(paths, device=device) as collection:
        yield collection


def counted_by_hand(frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    sums = [VALUES[chrom][max(start, 0) : max(end, 0)].sum(axis=0) for chrom, start, end in rows_of(frame)]
    return np.array(sums, dtype=float).reshape(len(frame), 3)


@given(region_frames(min_size=1))
def test_counts_are_sums_over_bases(tracks: BigWigCollection, frame: pd.DataFrame) -> None:
    with left_alone(frame):
        counts = count_signal(frame, tracks, batch_size=3)
    expected = counted_by_hand(frame)
    np.testing.assert_array_equal(counts, expected[:, : counts.shape[1]])


def test_batches_may_be_cut_short(tracks: BigWigCollection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "MAX_BINS", 20)
    frame = region_frame([("chr2", start, start + 7 * (1 + start % 5)) for start in range(20)])
    np.testing.assert_array_equal(count_signal(frame, tracks), counted_by_hand(frame))


def test_regions_of_one_length_are_read_as_one_bin_each() -> None:
    asked: list[dict[str, Any]] = []

    class Recorder:
        def get_batch(self, chromosomes: Any, start: Any, end: Any, **options: Any) -> Any:
            asked.append(options)
            return np.zeros((len(start), (end[0] - start[0]) // options["window_size"], 1), dtype=np.float32)

    count_signal(region_frame([("1", start, start + 1000) for start in range(10)]), Recorder())
    assert [options["window_size"] for options in asked] == [1000]


@pytest.mark.parametrize("over_tracks", ["sum", "mean", "min", "max"])
def test_keeps_regions_within_the_limits(tracks: BigWigCollection, over_tracks: Any) -> None:
    frame = region_frame([("chrX", start, start + 5) for start in range(50)]).set_index(pd.Index(range(7, 57)))
    totals = getattr(np, over_tracks)(counted_by_hand(frame), axis=1)
    low, high = np.sort(totals)[[10, 35]]
    with left_alone(frame):
        kept = filter_by_signal(frame, tracks, minimum=low, maximum=high, over_tracks=over_tracks)
    pd.testing.assert_frame_equal(kept, frame[(totals >= low) & (totals <= high)])
    assert 0 < len(kept) < 50


@given(
    region_frames(min_size=1), st.sampled_from(["sum", "mean", "min", "max"]), st.integers(0, 300), st.integers(0, 300)
)
def test_keeps_what_a_count_by_hand_keeps(
    tracks: BigWigCollection, frame: pd.DataFrame, over_tracks: Any, minimum: int, more: int
) -> None:
    low, high = minimum + 0.5, minimum + more + 0.9  # no total, nor third of one, is equal to either
    kept = filter_by_signal(frame, tracks, minimum=low, maximum=high, over_tracks=over_tracks)
    totals = getattr(np, over_tracks)(counted_by_hand(frame), axis=1)
    wanted = [number for number, total in enumerate(totals) if low <= total <= high]
    assert rows_of(kept) == [rows_of(frame)[number] for number in wanted]
    assert kept["label"].tolist() == [frame["label"].iloc[number] for number in wanted]


def test_nothing_is_asked_for_no_regions(tracks: BigWigCollection) -> None:
    assert len(filter_by_signal(region_frame([]), tracks)) == 0
    empty = region_frame([("chr2", 5, 5)])
    assert rows_of(filter_by_signal(empty, tracks)) == rows_of(empty)
    assert len(filter_by_signal(empty, tracks, minimum=1)) == 0


def test_refuses_what_makes_no_sense(tracks: BigWigCollection) -> None:
    with pytest.raises(ConfigError, match="minimum is 2"):
        filter_by_signal(region_frame([]), tracks, minimum=2, maximum=1)
    with pytest.raises(ConfigError, match="'median'"):
        filter_by_signal(region_frame([]), tracks, over_tracks="median")  # type: ignore[arg-type]
    with pytest.raises(ChromNotFoundError, match="did you mean 'chr2'"):
        count_signal(region_frame([("2", 0, 5)]), tracks)
