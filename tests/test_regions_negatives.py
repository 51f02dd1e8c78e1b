"""sample_negatives: lengths and GC content of the peaks, outside peaks and blacklist; composition against counting."""

from __future__ import annotations

import gzip
import logging
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bigwig_numba.errors import ChromNotFoundError, ConfigError, FormatError, WindowError
from bigwig_numba.regions import composition, sample_negatives
from bigwig_numba.regions.composition import Composition
from tests.region_frames import Row, left_alone, region_frame, rows_of

N_BINS = 20


class MadeGenome:
    """Chromosomes in memory; `as_codes` gives ASCII codes instead of text."""

    def __init__(self, sequences: Mapping[str, str], *, as_codes: bool = False) -> None:
        self.sequences = sequences
        self.as_codes = as_codes
        self.chrom_sizes = {name: len(sequence) for name, sequence in sequences.items()}

    def fetch(self, chrom: str, start: int, end: int) -> str | npt.NDArray[np.uint8]:
        letters = self.sequences[chrom][start:end]
        return np.frombuffer(letters.encode(), dtype=np.uint8) if self.as_codes else letters


def made_sequence(length: int, seed: int) -> str:
    """Stretches of 500 bases with GC contents from 0.2 to 0.8, some letters in lower case, a run of N every 20 kb."""
    random = np.random.default_rng(seed)
    gc = np.repeat(random.uniform(0.2, 0.8, length // 500 + 1), 500)[:length]
    is_gc, which = random.random(length) < gc, random.integers(0, 2, length)
    letters = np.where(is_gc, np.frombuffer(b"GC", np.uint8)[which], np.frombuffer(b"AT", np.uint8)[which])
    letters[random.random(length) < 0.3] |= 0x20  # in lower case
    letters[np.arange(length) % 20_000 < 300] = ord("N")
    return letters.tobytes().decode()


GENOME = MadeGenome({"chr1": made_sequence(600_000, 1), "chr2": made_sequence(400_000, 2), "chrM": "ACGT" * 4_000})


def made_peaks(n: int, *, seed: int = 3, lengths: tuple[int, int] = (200, 201)) -> pd.DataFrame:
    """Peaks on chr1 and chr2, richer in G and C than the genome."""
    random = np.random.default_rng(seed)
    names = random.choice(["chr1", "chr2"], 9 * n).tolist()
    starts, sizes = random.integers(300, 390_000, 9 * n).tolist(), random.integers(*lengths, 9 * n).tolist()
    rows = [(name, start, start + size) for name, start, size in zip(names, starts, sizes, strict=True)]
    shares = [share_of_gc(GENOME, row) for row in rows]
    rich = [row for row, share in zip(rows, shares, strict=True) if random.random() < share - 0.3 and share < 0.7]
    return region_frame(rich[:n])


def share_of_gc(genome: MadeGenome, row: tuple[str, int, int]) -> float:
    chrom, start, end = row
    letters = genome.sequences[chrom][max(start, 0) : end].upper()
    known = sum(letters.count(base) for base in "ACGT")
    return (letters.count("G") + letters.count("C")) / known if known else np.nan


def shares_per_bin(genome: MadeGenome, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    shares = np.array([share_of_gc(genome, row) for row in rows_of(frame)])
    # The exact edges are binary fractions' neighbours: nudge them, as 0.15 * 20 is not 3 in floating point.
    bins = np.minimum(np.floor(shares * N_BINS + 1e-9), N_BINS - 1).astype(int)
    return np.bincount(bins, minlength=N_BINS) / len(frame)


def overlaps_any(row: tuple[str, int, int], others: list[tuple[str, int, int]]) -> bool:
    return any(row[0] == other[0] and row[1] < other[2] and other[1] < row[2] for other in others)


@st.composite
def small_genomes(draw: st.DrawFn) -> tuple[MadeGenome, list[tuple[str, int, int]]]:
    """Chromosomes of some letters, and peaks with a known base."""
    texts = st.text("ACGTNacgtn", min_size=20, max_size=60)
    genome = MadeGenome({"chr1": draw(texts), "chr2": draw(texts)})
    rows = draw(
        st.lists(st.tuples(st.sampled_from(["chr1", "chr2"]), st.integers(0, 19), st.integers(1, 9)), max_size=4)
    )
    peaks = [(name, start, min(start + length, genome.chrom_sizes[name])) for name, start, length in rows]
    return genome, [row for row in peaks if not np.isnan(share_of_gc(genome, row))]


def bin_by_hand(genome: MadeGenome, row: tuple[str, int, int], n_bins: int) -> int:
    letters = genome.sequences[row[0]][row[1] : row[2]].upper()
    known = sum(letters.count(base) for base in "ACGT")
    return min((letters.count("G") + letters.count("C")) * n_bins // known, n_bins - 1) if known else -1


def rows_like(
    genome: MadeGenome, peak: Row, names: Iterable[str], free: Mapping[str, Any], n_bins: int, max_unknown: float
) -> set[Row]:
    """All rows that may be a negative of this peak, as a look at each place says."""
    length, rows = peak[2] - peak[1], set()
    for name in names:
        for start in range(genome.chrom_sizes[name] - length + 1):
            row = (name, start, start + length)
            unknown = genome.sequences[name][start : start + length].upper().count("N")
            is_free = free[name][start : start + length].all() and unknown <= max_unknown * length
            if is_free and bin_by_hand(genome, row, n_bins) == bin_by_hand(genome, peak, n_bins):
                rows.add(row)
    return rows


class TestNegatives:
    @given(small_genomes(), st.integers(1, 5), st.integers(0, 3), st.sampled_from([0.0, 0.3, 1.0]))
    def test_lie_where_a_search_of_all_places_finds_room(
        self, made: tuple[MadeGenome, list[tuple[str, int, int]]], n_bins: int, buffer: int, max_unknown: float
    ) -> None:
        genome, peaks = made
        free = {name: np.ones(size, dtype=bool) for name, size in genome.chrom_sizes.items()}
        for name, start, end in peaks:
            free[name][max(start - buffer, 0) : end + buffer] = False
        names = dict.fromkeys(name for name, _, _ in peaks)
        assume(any(free[name].any() for name in names))
        room = [rows_like(genome, peak, names, free, n_bins, max_unknown) for peak in peaks]
        found = sample_negatives(
            region_frame(peaks), genome, gc_bins=n_bins, buffer=buffer, max_unknown=max_unknown, overlapping=True,
            allow_fewer=True,
        )  # fmt: skip
        assert found["peak"].tolist() == [number for number, places in enumerate(room) if places]
        assert all(row in room[peak] for row, peak in zip(rows_of(found), found["peak"], strict=True))

    @pytest.mark.parametrize("ratio", [1, 2, 0.5, 1.3])
    @pytest.mark.parametrize("lengths", [(200, 201), (50, 400)])
    def test_have_the_gc_content_of_the_peaks(self, ratio: float, lengths: tuple[int, int]) -> None:
        peaks = made_peaks(300, lengths=lengths)
        with left_alone(peaks):
            negatives = sample_negatives(peaks, GENOME, ratio=ratio, gc_bins=N_BINS, overlapping=True)
        assert len(negatives) == round(300 * ratio)
        difference = shares_per_bin(GENOME, negatives) - shares_per_bin(GENOME, peaks)
        assert np.abs(difference).max() <= 0.01
        background = sample_negatives(peaks, GENOME, ratio=ratio, gc_bins=None, overlapping=True)
        assert np.abs(shares_per_bin(GENOME, background) - shares_per_bin(GENOME, peaks)).max() > 0.05

    def test_belong_to_a_peak_with_its_length_and_bin(self) -> None:
        peaks = made_peaks(100, lengths=(50, 400))
        negatives = sample_negatives(peaks, GENOME, ratio=2, gc_bins=N_BINS)
        assert negatives["peak"].tolist() == np.repeat(np.arange(100), 2).tolist()
        for row, peak, gc in zip(rows_of(negatives), negatives["peak"], negatives["gc"], strict=True):
            chrom, start, end = rows_of(peaks)[peak]
            assert row[2] - row[1] == end - start
            assert gc == share_of_gc(GENOME, row)
            assert int(gc * N_BINS + 1e-9) == int(share_of_gc(GENOME, (chrom, start, end)) * N_BINS + 1e-9)

    def test_lie_on_their_chromosomes_outside_peaks_and_blacklist_and_each_other(self) -> None:
        peaks = made_peaks(200)
        blacklist = region_frame([("chr1", 0, 50_000), ("chr2", 100_000, 110_000), ("unknown", 0, 10)])
        avoided = [(chrom, start - 75, end + 75) for chrom, start, end in rows_of(peaks) + rows_of(blacklist)]
        negatives = rows_of(sample_negatives(peaks, GENOME, blacklist=blacklist, buffer=75))
        for number, row in enumerate(negatives):
            assert 0 <= row[1] < row[2] <= GENOME.chrom_sizes[row[0]]
            assert row[0] in ("chr1", "chr2")
            assert not overlaps_any(row, avoided)
            assert not overlaps_any(row, negatives[:number])

    def test_may_overlap_each_other_where_that_is_asked_for(self) -> None:
        negatives = rows_of(sample_negatives(made_peaks(500), GENOME, ratio=3, overlapping=True))
        assert any(overlaps_any(row, negatives[:number]) for number, row in enumerate(negatives))

    @pytest.mark.parametrize("max_unknown", [0.0, 0.4])
    def test_limit_unknown_bases(self, max_unknown: float) -> None:
        peaks = made_peaks(300)
        negatives = rows_of(sample_negatives(peaks, GENOME, ratio=3, max_unknown=max_unknown, overlapping=True))
        shares = [GENOME.sequences[chrom][start:end].count("N") / (end - start) for chrom, start, end in negatives]
        assert (max(shares) > 0) is (max_unknown > 0)
        assert max(shares) <= max_unknown

    def test_have_a_gc_content_however_many_bases_may_be_unknown(self) -> None:
        genome = MadeGenome({"chr1": "G" * 900 + "N" * 20_000})
        peaks = region_frame([("chr1", 0, 100), ("chr1", 100, 300)])
        negatives = sample_negatives(peaks, genome, ratio=5, max_unknown=1.0, overlapping=True)
        assert negatives["gc"].tolist() == [1.0] * 10

    def test_are_spread_evenly_over_all_places(self) -> None:
        peaks = region_frame([("chrM", 8_000, 8_010)])
        starts = sample_negatives(peaks, GENOME, ratio=20_000, gc_bins=None, overlapping=True)["start"].to_numpy()
        counts, _ = np.histogram(starts, bins=np.arange(0, 16_001, 1_000))
        expected = np.full(16, 20_000 / 15_972 * 1_000)
        expected[[7, 8]] -= [9 * expected[0] / 1_000, 10 * expected[0] / 1_000]
        expected[15] -= 9 * expected[0] / 1_000
        # Chi-squared with 15 degrees of freedom passes 37.7 once in a thousand times; the seed is fixed.
        assert ((counts - expected) ** 2 / expected).sum() < 37.7

    def test_the_first_and_the_last_place_can_be_drawn(self) -> None:
        genome = MadeGenome({"chr1": "ACGT" * 25})
        peaks = region_frame([("chr1", 40, 60)])
        starts = set(sample_negatives(peaks, genome, ratio=2_000, gc_bins=1, overlapping=True)["start"])
        assert starts == {*range(21), *range(60, 81)}

    def test_fill_all_room_that_there_is(self) -> None:
        genome = MadeGenome({"chr1": "ACGT" * 10})
        negatives = sample_negatives(
            region_frame([("chr1", 0, 4)]), genome, ratio=36, allow_fewer=True, overlapping=False
        )
        assert 18 <= 4 * len(negatives) <= 36

    def test_depend_on_the_seed_alone(self) -> None:
        peaks = made_peaks(50)
        first, second = (sample_negatives(peaks, GENOME, seed=5) for _ in range(2))
        pd.testing.assert_frame_equal(first, second)
        assert rows_of(first) != rows_of(sample_negatives(peaks, GENOME, seed=6))
        as_codes = MadeGenome(GENOME.sequences, as_codes=True)
        pd.testing.assert_frame_equal(first, sample_negatives(peaks, as_codes, seed=5))

    def test_are_drawn_on_the_chromosomes_that_are_asked_for(self) -> None:
        negatives = sample_negatives(made_peaks(50), GENOME, gc_bins=1, chromosomes="chrM")
        assert set(negatives["chrom"]) == {"chrM"}

    def test_peaks_may_hang_over_the_ends(self) -> None:
        genome = MadeGenome({"chr1": "G" * 100 + "A" * 900 + "G" * 1_000})
        negatives = sample_negatives(region_frame([("chr1", -50, 60), ("chr1", 1_950, 2_060)]), genome)
        assert negatives["gc"].tolist() == [1.0, 1.0]


class TestRefusals:
    def test_where_no_place_is_left_the_bins_are_named(self, caplog: pytest.LogCaptureFixture) -> None:
        genome = MadeGenome({"chr1": "G" * 100 + "A" * 900})
        peaks = region_frame([("chr1", 0, 100), ("chr1", 100, 200)])
        with pytest.raises(ConfigError, match=r"1 of 2 negatives \(1 with GC content from 0.95 to 1\)"):
            sample_negatives(peaks, genome)
        with caplog.at_level(logging.WARNING):
            negatives = sample_negatives(peaks, genome, allow_fewer=True)
        assert negatives["peak"].tolist() == [1]
        assert "1 of 2 negatives" in caplog.text

    def test_nothing_to_draw_for_or_to_draw_on(self) -> None:
        with pytest.raises(ConfigError, match="peaks is empty"):
            sample_negatives(region_frame([]), GENOME)
        with pytest.raises(ConfigError, match="chromosomes is empty"):
            sample_negatives(region_frame([("chr1", 0, 50)]), GENOME, chromosomes=[])

    def test_no_room_at_all(self) -> None:
        genome = MadeGenome({"chr1": "ACGT" * 10})
        with pytest.raises(ConfigError, match="cover all chromosomes"):
            sample_negatives(region_frame([("chr1", 0, 40)]), genome)

    def test_peaks_without_gc_content_are_named(self) -> None:
        genome = MadeGenome({"chr1": "N" * 50 + "ACGT" * 100})
        with pytest.raises(WindowError, match="row 1: chr1, 0, 50") as caught:
            sample_negatives(region_frame([("chr1", 100, 150), ("chr1", 0, 50), ("chr1", 60, 60)]), genome)
        assert caught.value.rows == (1, 2)

    def test_unknown_chromosomes(self) -> None:
        with pytest.raises(ChromNotFoundError, match="did you mean 'chr1'"):
            sample_negatives(region_frame([("1", 0, 50)]), GENOME)

    @pytest.mark.parametrize(
        "options", [{"ratio": 0}, {"ratio": np.nan}, {"gc_bins": 0}, {"max_unknown": 1.1}, {"buffer": -1}]
    )
    def test_arguments_that_make_no_sense(self, options: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match=next(iter(options))):
            sample_negatives(region_frame([("chr1", 0, 50)]), GENOME, **options)

    def test_genomes_that_are_none(self, tmp_path: Path) -> None:
        peaks = region_frame([("chr1", 0, 50)])

        class Codes:
            def fetch(self, chrom: str, start: int, end: int) -> npt.NDArray[np.uint8]:
                return np.zeros(end - start, dtype=np.uint8)

        with pytest.raises(ConfigError, match="fetch"):
            sample_negatives(peaks, {"chr1": "ACGT"})  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="chrom_sizes is None"):
            sample_negatives(peaks, Codes())
        with pytest.raises(ConfigError, match="letters in ASCII"):
            sample_negatives(peaks, Codes(), chrom_sizes={"chr1": 100})
        with pytest.raises(ConfigError, match="do chrom_sizes belong"):
            sample_negatives(peaks, MadeGenome({"chr1": "ACGT" * 20}), chrom_sizes={"chr1": 100})
        (tmp_path / "bad.fa").write_text(">chr1\nACGT\nACGTACGT\nAC\n")
        with pytest.raises(FormatError, match=r"bad\.fa"):
            sample_negatives(peaks, tmp_path / "bad.fa")


class TestComposition:
    @given(
        st.lists(st.text("ACGTacgtNnRS", min_size=1, max_size=200), min_size=1, max_size=4),
        st.sampled_from([64, 128]),
        st.data(),
    )
    def test_counts_as_counting_does(self, sequences: list[str], chunk: int, data: st.DataObject) -> None:
        genome = MadeGenome({str(number): sequence for number, sequence in enumerate(sequences)})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(composition, "CHUNK", chunk)
            counted = Composition(genome, genome.chrom_sizes)
        for name, sequence in genome.sequences.items():
            edges = st.integers(0, len(sequence))
            start, end = sorted((data.draw(edges), data.draw(edges)))
            letters = sequence[start:end].upper()
            first = counted.first_positions[name]
            starts, ends = np.array([first + start]), np.array([first + end])
            assert counted.gc_counts(starts, ends)[0] == letters.count("G") + letters.count("C")
            assert counted.unknown_counts(starts, ends)[0] == sum(letter not in "ACGT" for letter in letters)


class TestFiles:
    def test_a_fasta_file_and_a_genome_give_the_same(self, tmp_path: Path) -> None:
        path = tmp_path / "genome.fa"
        lines = [f">{name} made\n" + "\n".join(textwrapped(sequence)) for name, sequence in GENOME.sequences.items()]
        path.write_text("\n".join(lines) + "\n")
        peaks = made_peaks(50)
        pd.testing.assert_frame_equal(sample_negatives(peaks, path), sample_negatives(peaks, GENOME))

    def test_yeast(self, real_data: Path, tmp_path: Path) -> None:
        path = tmp_path / "sacCer3.fa"
        with gzip.open(real_data / "genome" / "sacCer3.R64-1-1.toplevel.fa.gz") as packed, path.open("wb") as file:
            shutil.copyfileobj(packed, file)
        genome = MadeGenome(
            {record.split(None, 1)[0]: "".join(record.splitlines()[1:]) for record in path.read_text().split(">")[1:]}
        )
        random = np.random.default_rng(0)
        names = random.choice(["II", "IV", "VII", "XII"], 3_000)
        starts = random.integers(0, 800_000, 3_000)
        peaks = region_frame(
            [(str(name), int(start), int(start) + 300) for name, start in zip(names, starts, strict=True)]
        )
        # Promoters and such are poorer in GC than the genome: take the poorer third.
        gc = np.array([share_of_gc(genome, row) for row in rows_of(peaks)])
        peaks = peaks[gc < np.quantile(gc, 1 / 3)]
        negatives = sample_negatives(peaks, path, ratio=2, gc_bins=N_BINS)
        assert len(negatives) == 2 * len(peaks) > 1_900
        difference = shares_per_bin(genome, negatives) - shares_per_bin(genome, peaks)
        assert np.abs(difference).max() <= 0.01
        assert set(negatives["chrom"]) == {"II", "IV", "VII", "XII"}


def textwrapped(sequence: str) -> list[str]:
    return [sequence[start : start + 60] for start in range(0, len(sequence), 60)]
