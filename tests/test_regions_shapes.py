"""pad, resize, clip_to_chromosomes and tile, and what is done chromosome by chromosome, row by row in plain Python."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.errors import ChromNotFoundError, ConfigError, WindowError
from bigwig_numba.regions import (
    clip_to_chromosomes,
    fold_by_chromosome,
    pad,
    resize,
    split_by_chromosome,
    standard_chromosomes,
    tile,
)
from tests.region_frames import CHROMOSOMES, Row, left_alone, region_frame, region_frames, rows_of

SIZES = dict(zip(CHROMOSOMES, (40, 64, 7), strict=True))

frames = region_frames()


def clipped_by_hand(row: Row) -> Row:
    chrom, start, end = row
    return chrom, max(start, 0), min(end, SIZES[chrom])


class TestPad:
    @given(frames, st.integers(0, 20))
    def test_adds_to_both_sides(self, frame: pd.DataFrame, bases: int) -> None:
        with left_alone(frame):
            padded = pad(frame, bases)
        assert rows_of(padded) == [(chrom, start - bases, end + bases) for chrom, start, end in rows_of(frame)]
        pd.testing.assert_frame_equal(padded[["label", "score"]], frame[["label", "score"]])

    @given(frames, st.integers(0, 20))
    def test_with_lengths_is_clipped(self, frame: pd.DataFrame, bases: int) -> None:
        padded = pad(frame, bases, chrom_sizes=SIZES)
        pd.testing.assert_frame_equal(padded, clip_to_chromosomes(pad(frame, bases), SIZES))

    def test_of_unsigned_positions_does_not_wrap(self) -> None:
        frame = region_frame([("1", 3, 5)]).astype({"start": "uint32", "end": "uint32"})
        assert rows_of(pad(frame, 10)) == [("1", -7, 15)]

    def test_refuses_to_shrink(self) -> None:
        with pytest.raises(ConfigError, match="bases is -1"):
            pad(region_frame([("1", 3, 5)]), -1)


class TestResize:
    @given(frames, st.integers(1, 50))
    def test_puts_the_centre_at_half_of_the_width(self, frame: pd.DataFrame, width: int) -> None:
        with left_alone(frame):
            resized = resize(frame, width)
        for (chrom, start, end), (old_chrom, old_start, old_end) in zip(rows_of(resized), rows_of(frame), strict=True):
            assert (chrom, end - start) == (old_chrom, width)
            assert start + width // 2 == (old_start + old_end) // 2
        assert resized.index.equals(frame.index)

    @given(frames, st.integers(1, 50))
    def test_puts_the_summit_at_half_of_the_width(self, frame: pd.DataFrame, width: int) -> None:
        frame = frame.assign(summit=frame["start"].astype("int64").abs() + 3)
        resized = resize(frame, width, around="summit")
        assert (resized["start"] + width // 2).tolist() == frame["summit"].tolist()
        assert set(resized["end"] - resized["start"]) <= {width}

    def test_an_even_width_keeps_an_even_region_in_place(self) -> None:
        assert rows_of(resize(region_frame([("1", 100, 200)]), 100)) == [("1", 100, 200)]

    def test_regions_without_a_summit_are_named(self) -> None:
        frame = region_frame([("1", 0, 9), ("1", 20, 29)]).assign(summit=[4, -1])
        with pytest.raises(WindowError, match="row 1: 1, 20, 29") as caught:
            resize(frame, 5, around="summit")
        assert caught.value.rows == (1,)

    def test_needs_summits_and_known_words(self) -> None:
        with pytest.raises(ConfigError, match="no column summit"):
            resize(region_frame([]), 5, around="summit")
        with pytest.raises(ConfigError, match="'middle'"):
            resize(region_frame([]), 5, around="middle")  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="width is 0"):
            resize(region_frame([]), 0)


class TestClip:
    @given(frames)
    def test_leaves_what_is_on_the_chromosome(self, frame: pd.DataFrame) -> None:
        with left_alone(frame):
            clipped = clip_to_chromosomes(frame, SIZES)
        expected = [clipped_by_hand(row) for row in rows_of(frame)]
        assert rows_of(clipped) == [row for row in expected if row[1] < row[2]]

    @given(frames)
    def test_by_whole_rows_leaves_what_needs_no_clipping(self, frame: pd.DataFrame) -> None:
        clipped = clip_to_chromosomes(frame, SIZES, whole_rows=True)
        assert rows_of(clipped) == [row for row in rows_of(frame) if clipped_by_hand(row) == row and row[1] < row[2]]

    def test_an_unknown_chromosome_is_an_error_with_near_misses(self) -> None:
        with pytest.raises(ChromNotFoundError, match="did you mean 'chr1'"):
            clip_to_chromosomes(region_frame([("1", 0, 5)]), {"chr1": 10})

    @pytest.mark.parametrize("sizes", [{"chr1": 0}, {"chr1": 1.5}, {"chr1": "10"}, [("chr1", 10)]])
    def test_lengths_that_are_none(self, sizes: dict[str, int]) -> None:
        with pytest.raises(ConfigError, match="chrom_sizes"):
            clip_to_chromosomes(region_frame([("chr1", 0, 5)]), sizes)


def tiled_by_hand(row: Row, width: int, step: int, last: str) -> list[Row]:
    chrom, start, end = row
    windows = [(chrom, first, first + width) for first in range(start, end, step) if first + width <= end]
    covered = windows[-1][2] if windows else start
    if covered < end and last == "cut":
        first = windows[-1][1] + step if windows else start
        windows.append((chrom, first, end))
    if covered < end and last == "shift" and end - start >= width:
        windows.append((chrom, end - width, end))
    return windows


class TestTile:
    @given(frames, st.integers(1, 20), st.integers(1, 30), st.sampled_from(["drop", "cut", "shift"]))
    def test_lays_windows_from_the_start_on(
        self, frame: pd.DataFrame, width: int, step: int, last: Literal["drop", "cut", "shift"]
    ) -> None:
        step = step if last == "drop" else min(step, width)
        with left_alone(frame):
            windows = tile(frame, width, step=step, last=last)
        expected = [tiled_by_hand(row, width, step, last) for row in rows_of(frame)]
        assert rows_of(windows) == [window for of_row in expected for window in of_row]
        assert windows["label"].tolist() == np.repeat(frame["label"], [len(of_row) for of_row in expected]).tolist()

    @given(st.integers(1, 70), st.sampled_from(["cut", "shift"]))
    def test_covers_whole_chromosomes_once(self, width: int, last: Literal["cut", "shift"]) -> None:
        windows = tile(SIZES, width, last=last)
        for chrom, size in SIZES.items():
            if last == "shift" and size < width:
                assert chrom not in set(windows["chrom"])
                continue
            bases = [set(range(start, end)) for name, start, end in rows_of(windows) if name == chrom]
            assert set.union(*bases) == set(range(size))
            assert len(bases) == -(-size // width)

    def test_refuses_holes_where_all_is_to_be_covered(self) -> None:
        with pytest.raises(ConfigError, match="step is 11"):
            tile(SIZES, 10, step=11, last="cut")
        with pytest.raises(ConfigError, match="'keep'"):
            tile(SIZES, 10, last="keep")  # type: ignore[arg-type]


class TestStandardChromosomes:
    @given(frames, st.sets(st.sampled_from([*CHROMOSOMES, "chrUnknown"])))
    def test_keeps_the_rows_with_their_names(self, frame: pd.DataFrame, names: set[str]) -> None:
        with left_alone(frame):
            kept = standard_chromosomes(frame, names=names)
        wanted = [number for number, (chrom, _, _) in enumerate(rows_of(frame)) if chrom in names]
        assert rows_of(kept) == [rows_of(frame)[number] for number in wanted]
        assert kept["label"].tolist() == [frame["label"].iloc[number] for number in wanted]
        assert kept.index.tolist() == [frame.index[number] for number in wanted]

    def test_leaves_out_contigs_haplotypes_and_decoys(self) -> None:
        names = ["chr1", "22", "chrX", "chrM", "MT", "chrUn_KI270302v1", "chr6_GL000250v2_alt", "chr23", "hs37d5"]
        frame = region_frame([(name, 0, 1) for name in names])
        assert standard_chromosomes(frame)["chrom"].tolist() == names[:5]

    def test_takes_the_names_of_another_genome(self) -> None:
        frame = region_frame([("chrIV", 0, 1), ("chr1", 0, 1)])
        assert rows_of(standard_chromosomes(frame, names=["chrIV"])) == [("chrIV", 0, 1)]


class TestSplit:
    @given(frames)
    def test_every_region_is_in_one_set_with_its_chromosome(self, frame: pd.DataFrame) -> None:
        frame = pd.concat([frame, region_frame([(name, 0, 1) for name in CHROMOSOMES])])
        with left_alone(frame):
            split = split_by_chromosome(frame, validation="chr10", test=["chrX"])
        assert set(split.train["chrom"]) == {"chr2"}
        assert set(split.validation["chrom"]) == {"chr10"}
        assert set(split.test["chrom"]) == {"chrX"}
        together = pd.concat([split.train, split.validation, split.test])
        assert sorted(rows_of(together)) == sorted(rows_of(frame))

    def test_takes_training_chromosomes_by_name(self) -> None:
        frame = region_frame([(str(number), 0, 1) for number in range(5)])
        split = split_by_chromosome(frame, train=["0", "1"], validation=["2"], test=["3", "99"])
        assert [len(part) for part in (split.train, split.validation, split.test)] == [2, 1, 1]

    @pytest.mark.parametrize(
        "sets", [{"validation": "1", "test": "1"}, {"validation": "1", "test": "2", "train": ["2", "3"]}]
    )
    def test_refuses_a_chromosome_in_two_sets(self, sets: dict[str, str]) -> None:
        with pytest.raises(ConfigError, match="expected each chromosome in one set"):
            split_by_chromosome(region_frame([("1", 0, 1), ("2", 0, 1), ("3", 0, 1)]), **sets)

    def test_refuses_a_set_without_regions(self) -> None:
        frame = region_frame([("chr1", 0, 1), ("chr2", 0, 1)])
        with pytest.raises(
            ChromNotFoundError, match=r"frame \(validation\) has no chromosome '1'; did you mean 'chr1'"
        ):
            split_by_chromosome(frame, validation="1", test="chr2")
        with pytest.raises(ConfigError, match="train has no chromosomes"):
            split_by_chromosome(frame, validation="chr1", test="chr2")


class TestFolds:
    @given(st.lists(st.integers(1, 30), min_size=3, max_size=12), st.data())
    def test_every_region_is_tested_once_and_validated_once(self, counts: list[int], data: st.DataObject) -> None:
        frame = region_frame([(f"c{number}", 0, 1) for number, count in enumerate(counts) for _ in range(count)])
        n_folds = data.draw(st.integers(3, len(counts)))
        splits = fold_by_chromosome(frame, n_folds)
        for part in ("test", "validation"):
            together = pd.concat([getattr(split, part) for split in splits])
            assert sorted(together.index) == frame.index.tolist()
        for split, following in zip(splits, [*splits[1:], splits[0]], strict=True):
            pd.testing.assert_frame_equal(split.validation, following.test)
            assert len(split.train) + len(split.validation) + len(split.test) == len(frame)

    def test_folds_are_about_equally_large(self) -> None:
        # Regions in proportion to the lengths of human chromosomes 1 to 20, in Mb.
        lengths = [248, 242, 198, 190, 181, 170, 159, 145, 138, 133, 135, 133, 114, 107, 101, 90, 83, 80, 58, 64]
        frame = region_frame([(f"chr{number}", 0, 1) for number, n in enumerate(lengths, 1) for _ in range(n)])
        sizes = [len(split.test) for split in fold_by_chromosome(frame, 5)]
        assert max(sizes) - min(sizes) <= 0.1 * len(frame) / 5

    def test_does_not_depend_on_the_order_of_the_regions(self) -> None:
        frame = region_frame([(f"c{number % 7}", number, number + 1) for number in range(50)])
        for one, other in zip(fold_by_chromosome(frame, 3), fold_by_chromosome(frame[::-1], 3), strict=True):
            assert set(one.test["chrom"]) == set(other.test["chrom"])

    @pytest.mark.parametrize(("n_folds", "why"), [(2, "from 3"), (4, "with regions, 3")])
    def test_refuses_too_few_and_too_many(self, n_folds: int, why: str) -> None:
        with pytest.raises(ConfigError, match=why):
            fold_by_chromosome(region_frame([("1", 0, 1), ("2", 0, 1), ("3", 0, 1)]), n_folds)
