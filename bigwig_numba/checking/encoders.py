"""Sequence encoders: windows of a made genome of all letters, and of files, on both strands, in types and layouts."""

from __future__ import annotations

import importlib
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..encoders import SequenceEncoder, compile_encoder
from ..errors import ConfigError
from ..genome import ReferenceGenome
from ..kernels import sequence, sequence_context
from ..kernels.sequence import BASES_PER_PIECE, LETTERS, N_CODES
from ..kernels.sequence_context import MOST_BASES
from .comparing import DTYPES, Answers, compare
from .result import Comparison, Speed
from .subject import Kernel, Subject, random_windows

__all__ = ["EncoderSubject"]

LENGTHS = (61, BASES_PER_PIECE + 37)  # of windows: the kernels cut the longer in two
WINDOW, N_WINDOWS = 512, 8  # of each real file
LAYOUTS = {"BLT": "channels last", "BTL": "channels first"}

Text = Callable[[str, int, int], str]
"""Chromosome, start and end to letters; N outside the chromosome."""


@dataclass(frozen=True)
class Place:
    """A window."""

    chromosome: str
    start: int
    end: int
    is_reversed: bool


@dataclass(frozen=True, eq=False)
class Case:
    """Windows of one length, and what plain Python gives for all bases and channels, in this order."""

    places: Sequence[Place]
    answers: Answers
    codes: Sequence[tuple[int, ...]]


class EncoderSubject(Subject):
    """An encoder, with context or without.

    Parameters
    ----------
    encoder
        One's own.
    """

    kind, reference = "sequence encoder", "one-hot"

    def __init__(self, encoder: SequenceEncoder) -> None:
        self.encoder = encoder
        self.name = encoder.name

    def compile(self) -> None:
        """Its function; of a table, what plain Python gives for all codes."""
        if self.encoder.context is not None:
            compile_encoder(self.encoder)
            return
        codes_and_channels = itertools.product(range(1, N_CODES), range(self.encoder.n_channels))
        raised = Answers.of(self.encoder.encode, codes_and_channels).raised
        for what in raised.values():
            message = f"the function of encoder {self.name!r} raises {what.text}"
            raise ConfigError(message, argument="encode", value=self.encoder.encode)
        self.encoder.values()

    def functions(self) -> Mapping[str, Any]:
        """One, if it is not only called for the table."""
        return {} if self.encoder.context is None else {"encode": self.encoder.encode}

    def compare(self, devices: Sequence[str], files: Sequence[str], seed: int) -> Iterator[Comparison]:
        """A comparison for each device, type and layout; and one for each FASTA file."""
        genome = _made_genome(seed)
        cases = [self._case(_windows_on(genome, length), _text_of(genome)) for length in LENGTHS]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "made.fa")
            path.write_text("".join(f">{name}\n{text}\n" for name, text in genome.items()), encoding="ascii")
            for device in devices:
                with ReferenceGenome(path, device=device, cache=False) as reference:
                    for dtype, layout in itertools.product(DTYPES, LAYOUTS):
                        yield self._compare(f"{dtype}, {LAYOUTS[layout]}", reference, cases, dtype, layout)
        for file in files:
            yield self._compare_file(file, devices[-1], seed)

    def _compare_file(self, path: str, device: str, seed: int) -> Comparison:
        """Random windows of a FASTA file, on either strand."""
        with ReferenceGenome(path, device=device, cache=False) as genome:
            chromosomes, starts = random_windows(genome.chromosome_sizes, N_WINDOWS, WINDOW, seed)
            places = [
                Place(name, start, start + WINDOW, number % 2 == 1)
                for number, (name, start) in enumerate(zip(chromosomes, starts.tolist(), strict=True))
            ]
            case = self._case(places, lambda name, start, end: genome.strings([name], [start], [end])[0])
            return self._compare(os.path.basename(path), genome, [case], "float32", "BLT")

    def _case(self, places: Sequence[Place], text: Text) -> Case:
        """What plain Python makes of windows; it gets their neighbours from ``text``, more than it looks at."""
        codes = list[tuple[int, ...]]()
        for place in places:
            letters = text(place.chromosome, place.start - MOST_BASES, place.end + MOST_BASES)
            seen = self.encoder.codes_of(letters, reverse_complement=place.is_reversed)
            codes += seen[MOST_BASES : len(seen) - MOST_BASES]
        channels = range(self.encoder.n_channels)
        return Case(places, Answers.of(self.encoder.of_codes, itertools.product(codes, channels)), codes)

    def _compare(
        self, what: str, genome: ReferenceGenome, cases: Sequence[Case], dtype: str, layout: str
    ) -> Comparison:
        compiled = [self._encode(genome, case.places, dtype, layout) for case in cases]
        codes = [each for case in cases for each in case.codes]
        before, n_channels = self.encoder.neighbours[0], self.encoder.n_channels

        def describe(i: int) -> str:
            seen = "".join(LETTERS[code] for code in codes[i // n_channels])
            return f"channel {i % n_channels} of {seen[:before]}[{seen[before]}]{seen[before + 1 :]}"

        return compare(
            f"{'GPU' if genome.device == 'cuda' else 'CPU'}: {what}",
            Answers.joined(case.answers for case in cases),
            np.concatenate(compiled),
            scales=1.0,
            describe=describe,
            dtype=dtype,
        )

    def _encode(self, genome: ReferenceGenome, places: Sequence[Place], dtype: str, layout: Any) -> Any:
        """Of all windows, bases and channels, in this order, on the host."""
        encoded = genome.encode(
            [place.chromosome for place in places],
            [place.start for place in places],
            [place.end for place in places],
            encoder=self.encoder,
            reverse_complement=np.array([place.is_reversed for place in places]),
            dtype=dtype,
            layout=layout,
        )
        on_host = encoded.get() if hasattr(encoded, "get") else encoded
        return (on_host if layout == "BLT" else on_host.swapaxes(1, 2)).reshape(-1)

    def kernels(self) -> tuple[Kernel, Kernel]:
        """The encoding kernel; that of tables is one-hot's."""
        one_hot = sequence.make_encode_windows(), sequence.ENCODE_ARGUMENTS
        if self.encoder.context is None:
            return one_hot, one_hot
        own = sequence_context.make_encode_windows(self.encoder.encode, self.encoder.n_bases)
        return (own, sequence_context.ENCODE_ARGUMENTS), one_hot

    def measure_speed(self) -> Speed:
        """Of the encoding kernel, over a made genome that lies on the device."""
        gpu: Any = importlib.import_module("bigwig_numba.checking.gpu")
        return gpu.measure_encoders(self.encoder)  # type: ignore[no-any-return]


def _made_genome(seed: int) -> dict[str, str]:
    """Chromosomes of all letters in both cases, with a run of N, and one of a few bases."""
    rng = np.random.default_rng(seed)
    letters = list(f"{LETTERS[1:]}U" + "ACGT" * 10)
    text = "".join(rng.choice(letters + [letter.lower() for letter in letters], max(LENGTHS) + 200))
    return {"made": f"{text[:700]}{'N' * 50}{text[700:]}", "short": text[:7]}


def _text_of(genome: Mapping[str, str]) -> Text:
    def text(chromosome: str, start: int, end: int) -> str:
        letters = genome[chromosome]
        return "".join(letters[place] if 0 <= place < len(letters) else "N" for place in range(start, end))

    return text


def _windows_on(genome: Mapping[str, str], length: int) -> list[Place]:
    """On either strand: over the ends, outside, at even and odd bases, and over the run of N."""
    starts = [
        (name, start)
        for name, text in genome.items()
        for start in (-length - 3, -5, 0, 1, 690, len(text) - length, len(text) - 6, len(text) + 2)
    ]
    some = starts if length < BASES_PER_PIECE else [("made", 1), ("made", 190)]
    return [Place(name, start, start + length, is_reversed) for name, start in some for is_reversed in (False, True)]
