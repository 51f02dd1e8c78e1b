"""What tests of sequences share: random genomes as text, FASTA files, windows, and their encoding in plain Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from bigwig_numba.kernels.sequence import encode_slowly

IUPAC = {
    "A": "A", "C": "C", "G": "G", "T": "T", "U": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
    "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT",
}  # fmt: skip
"""Letter to the bases that it stands for."""

ALPHABET = "".join(IUPAC) + "".join(IUPAC).lower() + "ACGT" * 4


@dataclass(frozen=True)
class Windows:
    """A query: columns of one length."""

    chromosomes: Sequence[str]
    starts: Sequence[int]
    length: int
    reverse_complement: npt.NDArray[np.bool_]

    @property
    def query(self) -> tuple[Sequence[str], Sequence[int], list[int]]:
        """Names, starts and ends, as methods of a genome take them."""
        return self.chromosomes, self.starts, [start + self.length for start in self.starts]


def genomes() -> st.SearchStrategy[dict[str, str]]:
    """Name to sequence: one to four chromosomes of up to 60 bases, of all letters in both cases."""
    names = st.sampled_from(["chr1", "chr2", "chrX", "scaffold|7"])
    return st.dictionaries(names, st.text(ALPHABET, max_size=60), min_size=1)


@st.composite
def windows_on(draw: st.DrawFn, genome: Mapping[str, str]) -> Windows:
    """One to eight windows on it, over its ends and beyond them."""
    length = draw(st.integers(0, 70))
    places = draw(
        st.lists(st.tuples(st.sampled_from(list(genome)), st.integers(-80, 80), st.booleans()), min_size=1, max_size=8)
    )
    return Windows(
        [name for name, _, _ in places],
        [start for _, start, _ in places],
        length,
        np.array([flag for _, _, flag in places], dtype=np.bool_),
    )


def random_genome(lengths: Mapping[str, int], letters: str = ALPHABET, seed: int = 0) -> dict[str, str]:
    """Name to a random sequence of this length."""
    rng = np.random.default_rng(seed)
    return {name: "".join(rng.choice(list(letters), length)) for name, length in lengths.items()}


def random_windows(genome: Mapping[str, str], count: int, length: int, seed: int = 0) -> Windows:
    """Windows anywhere on it, some over its ends."""
    rng = np.random.default_rng(seed)
    names = [list(genome)[row] for row in rng.integers(0, len(genome), count)]
    starts = [int(rng.integers(-length, len(genome[name]) + 1)) for name in names]
    return Windows(names, starts, length, rng.integers(0, 2, count) == 1)


def fasta_text(genome: Mapping[str, str], *, width: int = 7, newline: str = "\n") -> str:
    """FASTA with lines of this width, and a description behind each name."""
    lines = []
    for name, sequence in genome.items():
        lines.append(f">{name} made up")
        lines += [sequence[start : start + width] for start in range(0, len(sequence), width)]
    return newline.join(lines) + newline


def write_fasta(path: Path, genome: Mapping[str, str], **how: Any) -> Path:
    path.write_bytes(fasta_text(genome, **how).encode())
    return path


def encoded_slowly(genome: Mapping[str, str], windows: Windows, encode: Any) -> list[list[Any]]:
    """What each base of each window becomes, (S, L)."""
    return [
        encode_slowly(genome[name], start, start + windows.length, reverse_complement=bool(flag), encode=encode)
        for name, start, flag in zip(windows.chromosomes, windows.starts, windows.reverse_complement, strict=True)
    ]


def one_hot_of(letter: str, unknown_base: float = 0.25) -> list[float]:
    """A letter's four channels, from the table of IUPAC."""
    bases = IUPAC[letter]
    return [unknown_base if letter == "N" else float(base in bases) / len(bases) for base in "ACGT"]
