"""The kernels of sequences: codes are sets of letters; any window of any genome is what plain Python makes of it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.engine.sequences import CpuSequences, SequenceWindows, TableLayout, count_unknown
from bigwig_numba.kernels.sequence import (
    BASES_PER_PIECE,
    LETTERS,
    complement,
    encode_slowly,
    gather_range,
    pack_letters,
)
from bigwig_numba.packed_genome import CODE_OF_LETTER, IS_KNOWN
from bigwig_numba.parallel import ThreadTeam
from tests.genomes import IUPAC, Windows, encoded_slowly, genomes, random_genome, windows_on

CODES = np.array([*range(16), *map(complement.py_func, range(16))], np.uint8)[:, None]
"""The table that writes codes."""

COMPLEMENT_OF_BASE = {"A": "T", "C": "G", "G": "C", "T": "A"}


def letters_of(code: int) -> set[str]:
    return {base for bit, base in enumerate("ACGT") if code >> bit & 1}


# --- codes


def test_a_code_is_the_set_of_bases_that_its_letter_stands_for() -> None:
    for letter, bases in IUPAC.items():
        assert letters_of(CODE_OF_LETTER[ord(letter)]) == set(bases)
        assert CODE_OF_LETTER[ord(letter.lower())] == CODE_OF_LETTER[ord(letter)]


def test_the_complement_of_a_code_is_the_set_of_the_complements() -> None:
    for code in range(16):
        assert letters_of(complement(code)) == {COMPLEMENT_OF_BASE[base] for base in letters_of(code)}
        assert complement(code) == complement.py_func(code)
        assert complement(complement(code)) == code


def test_what_is_no_nucleotide_has_no_code_and_what_stands_for_any_base_is_n() -> None:
    letters = {chr(number) for number in np.flatnonzero(CODE_OF_LETTER)}
    assert {letter for letter in letters if letter.isalpha()} == {*IUPAC, "X", *(c.lower() for c in [*IUPAC, "X"])}
    assert {CODE_OF_LETTER[ord(letter)] for letter in letters if letter in "Xx-.*"} == {15}


def test_bases_are_known_if_they_are_exactly_one() -> None:
    known = {chr(number) for number in np.flatnonzero(IS_KNOWN)}
    assert known == {letter for letter in map(chr, range(128)) if len(IUPAC.get(letter.upper(), "")) == 1}


def test_the_slow_twin_is_right_where_one_can_see_it() -> None:
    def window(start: int, end: int, *, reverse_complement: bool) -> str:
        return "".join(
            encode_slowly("ACgNtRU", start, end, reverse_complement=reverse_complement, encode=LETTERS.__getitem__)
        )

    assert window(0, 7, reverse_complement=False) == "ACGNTRT"
    assert window(-2, 3, reverse_complement=False) == "NNACG"
    assert window(5, 9, reverse_complement=True) == "NNAY"
    assert window(100, 102, reverse_complement=False) == "NN"


# --- packing


def packed(text: str) -> tuple[int, npt.NDArray[np.uint8]]:
    """The first letter that is no base, and two bases a byte."""
    letters = np.frombuffer(text.encode(), np.uint8)
    bases = np.full((len(text) + 1) // 2, 0xFF, np.uint8)
    return pack_letters(letters, CODE_OF_LETTER, bases), bases


def test_two_bases_are_in_a_byte_the_first_in_its_low_half() -> None:
    assert [f"{byte:02x}" for byte in packed("ACGTN")[1]] == ["21", "84", "0f"]


@given(st.text("ACGTNacgtn\nE7", max_size=20))
def test_packing_tells_the_first_letter_that_is_no_base(text: str) -> None:
    wrong = [place for place, letter in enumerate(text) if letter in "\nE7"]
    assert packed(text)[0] == (wrong[0] if wrong else -1)


# --- windows


class Genome:
    """A genome in memory, put together without the modules above the engine."""

    def __init__(self, sequences: dict[str, str]) -> None:
        self.bases = np.concatenate([packed(sequence)[1] for sequence in sequences.values()])
        self.lengths = dict(zip(sequences, map(len, sequences.values()), strict=True))
        even = [(length + 1) // 2 * 2 for length in self.lengths.values()]
        self.firsts = dict(zip(sequences, itertools.accumulate([0, *even]), strict=False))

    def place(self, windows: Windows) -> SequenceWindows:
        return SequenceWindows.place(
            np.array([self.firsts[name] for name in windows.chromosomes], np.int64),
            np.array([self.lengths[name] for name in windows.chromosomes], np.int64),
            np.array(windows.starts, np.int64),
            windows.length,
            windows.reverse_complement,
        )


@pytest.fixture(scope="module")
def team() -> ThreadTeam:
    return ThreadTeam(2)


def table_of_values(n_channels: int, dtype: str) -> npt.NDArray[Any]:
    """Another value in each row and channel, so that nothing can be mixed up unseen."""
    return (np.arange(32 * n_channels) % 256).reshape(32, n_channels).astype(dtype)


CHANNELS_AND_TYPES = [(1, "u1"), (3, "u1"), (4, "f4"), (4, "u2"), (4, "f2"), (5, "f4"), (3, "u2"), (300, "u2")]


@given(data=st.data(), genome=genomes(), kind=st.sampled_from(CHANNELS_AND_TYPES), channels_last=st.booleans())
def test_every_base_gets_the_row_of_its_code(
    data: st.DataObject, genome: dict[str, str], kind: tuple[int, str], channels_last: bool, team: ThreadTeam
) -> None:
    windows = data.draw(windows_on(genome))
    table = table_of_values(*kind)
    made = Genome(genome)
    out = CpuSequences(made.bases, team).encode(made.place(windows), TableLayout(table, channels_last))
    forwards = np.array(encoded_slowly(genome, windows, int), dtype=int).reshape(len(windows.starts), windows.length)
    # Codes are complemented by the twin already: the row for a reversed window is 16 + the code before.
    rows = np.where(windows.reverse_complement[:, None], 16 + CODES[16 + forwards, 0], forwards)
    expected = table[rows]
    np.testing.assert_array_equal(out, expected if channels_last else expected.swapaxes(1, 2), strict=True)


@pytest.mark.parametrize("length", [BASES_PER_PIECE - 1, BASES_PER_PIECE, 5 * BASES_PER_PIECE + 77])
@pytest.mark.parametrize("channels_last", [True, False])
def test_long_windows_are_made_of_pieces(length: int, channels_last: bool, team: ThreadTeam) -> None:
    genome = random_genome({"chr1": 30_001})
    windows = Windows(["chr1"] * 3, [-5, 11, 29_000], length, np.array([False, True, True]))
    made = Genome(genome)
    out = CpuSequences(made.bases, team).encode(made.place(windows), TableLayout(CODES, channels_last))
    np.testing.assert_array_equal(out.reshape(3, length), encoded_slowly(genome, windows, int))


@given(data=st.data(), genome=genomes())
def test_windows_can_be_encoded_from_a_copy_of_their_bytes(data: st.DataObject, genome: dict[str, str]) -> None:
    # This is what a genome goes through that does not fit on the GPU.
    windows = data.draw(windows_on(genome))
    made = Genome(genome)
    placed = made.place(windows)
    slot = windows.length // 2 + 1
    gathered, moved = np.full(slot * placed.n_windows, 0xFF, np.uint8), np.empty_like(placed.table)
    gather_range(0, placed.n_windows, made.bases, placed.table, slot, gathered, moved)
    team = ThreadTeam(1)
    out = CpuSequences(gathered, team).encode(SequenceWindows(moved, windows.length), TableLayout(CODES))
    np.testing.assert_array_equal(out, CpuSequences(made.bases, team).encode(placed, TableLayout(CODES)))


def test_bases_beyond_2_to_the_32_are_found(tmp_path: Path, team: ThreadTeam) -> None:
    # As in wheat and axolotl. The file is a hole with four bytes at its end.
    path, n_bytes = tmp_path / "bases.bin", 2_200_000_000
    with path.open("wb") as file:
        file.truncate(n_bytes)
        file.seek(n_bytes - 4)
        file.write(packed("ACGTTGCA")[1].tobytes())
    bases = np.memmap(path, np.uint8, mode="r")
    length = 2 * n_bytes
    assert length > 2**32
    place = np.array([0, 0], np.int64), np.array([length, length], np.int64), np.array([length - 5, length - 2])
    windows = SequenceWindows.place(*place, 4, np.array([False, True]))
    out = CpuSequences(bases, team).encode(windows, TableLayout(CODES))
    assert ["".join(LETTERS[code] for code in row) for row in out[:, :, 0]] == ["TTGC", "NNTG"]
    runs = np.array([[7, length - 3], [9, length], [0, 2]], np.int64)
    assert count_unknown(windows, runs, team).tolist() == [2, 4]


@given(data=st.data(), genome=genomes())
def test_unknown_bases_are_counted(data: st.DataObject, genome: dict[str, str]) -> None:
    windows = data.draw(windows_on(genome))
    made = Genome(genome)
    edges = [
        (made.firsts[name] + place, made.firsts[name] + place + 1)
        for name, sequence in genome.items()
        for place, letter in enumerate(sequence)
        if len(IUPAC[letter.upper()]) > 1
    ]
    starts, ends = np.array(edges, np.int64).reshape(-1, 2).T
    runs = np.stack([starts, ends, np.arange(len(starts))])
    codes = np.array(encoded_slowly(genome, windows, int), dtype=int).reshape(len(windows.starts), windows.length)
    expected = (~np.isin(codes, [1, 2, 4, 8])).sum(axis=1)
    np.testing.assert_array_equal(count_unknown(made.place(windows), runs, ThreadTeam(1)), expected)


# --- what is written in one go


@pytest.mark.parametrize(
    ("n_channels", "dtype", "address", "n_bytes"),
    [
        (4, "f4", 64, 8),
        (4, "f2", 64, 8),
        (4, "f4", 4, 4),  # an output that starts in the middle of another array
        (4, "u2", 6, 2),
        (5, "f4", 64, 4),
        (3, "u1", 64, 1),
    ],
)
def test_channels_that_lie_side_by_side_are_written_in_the_largest_words_that_fit(
    n_channels: int, dtype: str, address: int, n_bytes: int
) -> None:
    table = table_of_values(n_channels, dtype)
    parts = TableLayout(table).parts(address)
    assert parts.dtype == np.dtype(f"u{n_bytes}")
    np.testing.assert_array_equal(parts.view(dtype), table)


def test_channels_that_do_not_are_written_one_by_one() -> None:
    assert TableLayout(table_of_values(4, "f2"), channels_last=False).parts(64).dtype == np.uint16
