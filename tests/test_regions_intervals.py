"""merge, subtract and intersect against regions painted base by base."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.errors import ConfigError, WindowError
from bigwig_numba.regions import intersect, merge, subtract
from tests.region_frames import (
    CHROMOSOMES,
    LOWEST,
    Row,
    left_alone,
    painted,
    region_frame,
    region_frames,
    rows_of,
    runs,
)

ALL_NAMES = (*CHROMOSOMES, "chrUnknown")
frames = region_frames()
others = region_frames(chromosomes=ALL_NAMES)


def merged_by_hand(rows: list[Row], max_gap: int) -> list[Row]:
    canvas = painted(rows)
    merged: list[Row] = []
    names = dict.fromkeys(chrom for chrom, start, end in rows if start < end)
    for chrom in names:
        for start, end in runs(canvas[chrom], start=LOWEST):
            if merged and merged[-1][0] == chrom and start - merged[-1][2] <= max_gap:
                merged[-1] = (chrom, merged[-1][1], end)
            else:
                merged.append((chrom, start, end))
    return merged


def cut_by_hand(rows: list[Row], other: list[Row], *, keep: bool, buffer: int = 0) -> list[Row]:
    """Each row's bases that lie in (keep) or outside the other regions."""
    margin = 2 * buffer
    canvas = painted([(c, s - buffer, e + buffer) for c, s, e in other if s < e], margin=margin)
    parts = []
    for chrom, start, end in rows:
        first = start - LOWEST + margin
        mask = canvas[chrom][first : first + end - start]
        parts += [(chrom, *part) for part in runs(mask if keep else ~mask, start=start)]
    return parts


class TestMerge:
    @given(frames, st.integers(0, 5))
    def test_covers_the_same_bases_in_as_few_regions_as_the_gap_allows(self, frame: pd.DataFrame, max_gap: int) -> None:
        with left_alone(frame):
            merged = merge(frame, max_gap=max_gap)
        assert rows_of(merged) == merged_by_hand(rows_of(frame), max_gap)

    @given(frames)
    def test_aggregates_each_run_alone(self, frame: pd.DataFrame) -> None:
        merged = merge(frame, aggregate={"score": "max", "label": "count"})
        rows = [(*row, score) for row, score in zip(rows_of(frame), frame["score"], strict=True) if row[1] < row[2]]
        for chrom, start, end, score, count in merged.itertuples(index=False, name=None):
            inside = [row[3] for row in rows if row[0] == chrom and start <= row[1] < end]
            assert (score, count) == (max(inside), len(inside))

    def test_keeps_a_nested_region_from_ending_the_run(self) -> None:
        assert rows_of(merge(region_frame([("1", 0, 100), ("1", 10, 20), ("1", 50, 60)]))) == [("1", 0, 100)]

    def test_keeps_the_last_region(self) -> None:
        assert rows_of(merge(region_frame([("1", 0, 1), ("2", 5, 6)]))) == [("1", 0, 1), ("2", 5, 6)]

    def test_takes_the_maximum_of_negative_values(self) -> None:
        frame = region_frame([("1", 0, 5), ("1", 3, 9)]).assign(value=[-2.0, -1.0])
        assert merge(frame, aggregate={"value": "max"})["value"].tolist() == [-1.0]

    def test_does_not_join_the_end_of_a_chromosome_with_the_start_of_the_next(self) -> None:
        frame = region_frame([("1", 90, 100), ("2", 0, 10)])
        assert len(merge(frame, max_gap=1000)) == 2

    def test_keeps_positions_of_the_largest_genomes(self) -> None:
        rows = [(f"contig{number}", 2**33, 2**33 + 7) for number in range(2000)]
        assert rows_of(merge(region_frame(rows))) == rows

    @pytest.mark.parametrize("max_gap", [-1, 1.5, "1", True])
    def test_refuses_gaps_that_are_none(self, max_gap: object) -> None:
        with pytest.raises(ConfigError, match="max_gap"):
            merge(region_frame([]), max_gap=max_gap)  # type: ignore[arg-type]

    def test_refuses_columns_that_are_not_there(self) -> None:
        with pytest.raises(ConfigError, match="'value'"):
            merge(region_frame([("1", 0, 1)]), aggregate={"value": "max"})


class TestSubtract:
    @given(frames, others, st.integers(0, 5))
    def test_leaves_the_bases_outside_the_other_regions(
        self, frame: pd.DataFrame, other: pd.DataFrame, buffer: int
    ) -> None:
        with left_alone(frame, other):
            left = subtract(frame, other, buffer=buffer)
        assert rows_of(left) == cut_by_hand(rows_of(frame), rows_of(other), keep=False, buffer=buffer)
        assert left.index.tolist() == list(range(len(left)))

    @given(frames, others)
    def test_by_whole_rows_leaves_those_that_nothing_is_cut_from(
        self, frame: pd.DataFrame, other: pd.DataFrame
    ) -> None:
        left = subtract(frame, other, whole_rows=True)
        expected = [
            index
            for index, row in zip(frame.index, rows_of(frame), strict=True)
            if cut_by_hand([row], rows_of(other), keep=False) == [row]
        ]
        assert left.index.tolist() == expected

    def test_parts_keep_the_columns_of_their_region(self) -> None:
        frame = region_frame([("1", 0, 10), ("1", 20, 30)]).assign(name=["a", "b"])
        left = subtract(frame, region_frame([("1", 4, 5)]))
        assert list(zip(rows_of(left), left["name"], strict=True)) == [
            (("1", 0, 4), "a"),
            (("1", 5, 10), "a"),
            (("1", 20, 30), "b"),
        ]

    def test_a_buffer_around_unsigned_positions_does_not_wrap(self) -> None:
        blacklist = region_frame([("1", 3, 5)]).astype({"start": "uint32", "end": "uint32"})
        assert rows_of(subtract(region_frame([("1", 0, 100)]), blacklist, buffer=10)) == [("1", 15, 100)]

    def test_unknown_chromosomes_of_a_blacklist_match_nothing(self) -> None:
        frame = region_frame([("chr1", 0, 10)])
        assert rows_of(subtract(frame, region_frame([("1", 0, 10)]))) == [("chr1", 0, 10)]


class TestIntersect:
    @given(frames, others)
    def test_keeps_the_bases_inside_the_other_regions(self, frame: pd.DataFrame, other: pd.DataFrame) -> None:
        with left_alone(frame, other):
            kept = intersect(frame, other)
        assert rows_of(kept) == cut_by_hand(rows_of(frame), rows_of(other), keep=True)

    @given(frames, others)
    def test_and_subtract_divide_the_bases_between_them(self, frame: pd.DataFrame, other: pd.DataFrame) -> None:
        parts = pd.concat([intersect(frame, other), subtract(frame, other)])
        assert rows_of(merge(parts).sort_values(["chrom", "start"])) == rows_of(
            merge(frame).sort_values(["chrom", "start"])
        )

    @given(frames, others)
    def test_and_subtract_divide_the_rows_between_them(self, frame: pd.DataFrame, other: pd.DataFrame) -> None:
        inside, outside = intersect(frame, other, whole_rows=True), subtract(frame, other, whole_rows=True)
        not_empty = frame.index[frame["end"] > frame["start"]]
        assert sorted([*inside.index, *outside.index]) == sorted(not_empty)
        assert set(inside.index).isdisjoint(outside.index)


class TestFrames:
    @pytest.mark.parametrize(
        ("rows", "wrong", "why"),
        [
            ([("1", 0, 5), ("1", 7, 6)], [1], "row 1: 1, 7, 6"),
            ([("1", 0, 5), (None, 7, 8)], [1], "no chromosome"),
            ([("1", 0.5, 5)], [0], "row 0: 1, 0.5, 5"),
            ([("1", 0, np.inf)], [0], "end"),
            ([("1", np.nan, 2)], [0], "no start"),
            ([("1", np.uint64(2**63), np.uint64(2**63 + 1))], [0], str(2**63)),
            ([("1", 0, 2**40)], [0], str(2**40)),
        ],
    )
    def test_rows_that_make_no_sense_are_named(
        self, rows: list[tuple[object, ...]], wrong: list[int], why: str
    ) -> None:
        with pytest.raises(WindowError, match=why) as caught:
            merge(pd.DataFrame(rows, columns=["chrom", "start", "end"]))
        assert list(caught.value.rows) == wrong

    def test_names_three_of_many_rows(self) -> None:
        frame = pd.DataFrame({"chrom": "1", "start": 10, "end": range(10)})
        with pytest.raises(WindowError, match=r"row 2: 1, 10, 2; and 7 more") as caught:
            merge(frame)
        assert len(caught.value.rows) == 10

    @pytest.mark.parametrize(
        ("frame", "why"),
        [
            ("peaks.bed", "type str"),
            (pd.DataFrame({"chrom": ["1"], "chromStart": [1], "end": [2]}), "lacks start"),
            (pd.DataFrame({"chrom": ["1"], "start": ["1"], "end": ["2"]}), "dtype"),
            (pd.DataFrame({"chrom": ["1"], "start": [True], "end": [True]}), "bool"),
        ],
    )
    def test_what_is_no_region_frame_is_refused(self, frame: pd.DataFrame, why: str) -> None:
        with pytest.raises(ConfigError, match=why):
            merge(frame)

    def test_an_empty_frame_needs_no_types(self) -> None:
        nothing = pd.DataFrame({"chrom": [], "start": [], "end": []})
        assert len(merge(nothing)) == len(subtract(nothing, nothing)) == len(intersect(nothing, nothing)) == 0

    @pytest.mark.parametrize("chrom", [[1, 2], pd.Categorical(["1", "2"])])
    def test_names_may_be_numbers_or_categories(self, chrom: object) -> None:
        frame = pd.DataFrame({"chrom": chrom, "start": [0, 5], "end": [3, 9]})
        assert rows_of(merge(frame)) == [("1", 0, 3), ("2", 5, 9)]
