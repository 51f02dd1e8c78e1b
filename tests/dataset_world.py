"""What tests of the dataset share: a small genome with tracks, and batches computed anew by pyfaidx and pyBigWig."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyBigWig
import pyfaidx

from bigwig_numba.batch import Batch
from bigwig_numba.dataset import BigWigDataset
from tests.bigwig_writer import bedgraph, cut, fixed_step, write_bigwig
from tests.conftest import on_host
from tests.genomes import IUPAC

SIZES = {"chr1": 12_000, "chr2": 7_000, "chr10": 3_000}
COMPLEMENT = str.maketrans("ACGTURYSWKMBDHVN", "TGCAAYRSWMKVHDBN")
STRAND_PAIR = (2, 3)


@dataclass(frozen=True)
class World:
    """Files of a small genome."""

    fasta: Path
    tracks: list[Path]

    def dataset(self, regions: pd.DataFrame | None = None, **arguments: Any) -> BigWigDataset:
        """Of these files: small, on the CPU, with batches as objects, unless said otherwise."""
        defaults: dict[str, Any] = {
            "sequence_length": 96,
            "center_bin_to_predict": 64,
            "window_size": 8,
            "batch_size": 6,
            "batches_per_epoch": 7,
            "n_threads": 2,
            "return_batch_objects": True,
            "device": "cpu",
            "seed": 3,
        }
        arguments = {**defaults, **arguments}
        collection = arguments.pop("collection", self.tracks)
        genome = arguments.pop("reference_genome_path", self.fasta)
        return BigWigDataset(REGIONS if regions is None else regions, collection, genome, **arguments)


REGIONS = pd.DataFrame(
    {"chrom": ["chr1", "chr1", "chr2", "chr10"], "start": [500, 6_000, 300, 100], "end": [3_000, 6_400, 6_000, 2_500]}
)


def make_world(folder: Path) -> World:
    """A genome with soft-masked, unknown and IUPAC bases, and four tracks with gaps; the last two are strands."""
    random = np.random.default_rng(5)
    fasta = folder / "genome.fa"
    with fasta.open("w") as file:
        for name, size in SIZES.items():
            letters = random.choice(list("ACGTacgt"), size)
            letters[random.integers(0, size, size // 40)] = "N"
            letters[random.integers(0, size, 20)] = random.choice(list("RYSWKMBDHVrk"), 20)
            letters[:50] = "N"
            sequence = "".join(letters)
            file.write(f">{name}\n" + "".join(f"{sequence[i : i + 60]}\n" for i in range(0, size, 60)))
    tracks = []
    for number, name in enumerate(["dense", "sparse", "minus", "plus"]):
        sections = []
        for chrom, size in SIZES.items():
            if number == 0:
                sections += cut(fixed_step(chrom, 0, random.gamma(2.0, 3.0, size).astype(np.float32)), 500)
            else:
                edges = np.sort(random.choice(size, size // 8 * 2, replace=False)).reshape(-1, 2)
                values = random.integers(1, 50, len(edges)).astype(np.float32)
                sections += cut(bedgraph(chrom, edges[:, 0], edges[:, 1], values), 60)
        tracks.append(folder / f"{number}_{name}.bw")
        write_bigwig(tracks[-1], SIZES, sections)
    return World(fasta, tracks)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a batch should have been made: the same arguments, in plain code, a sample at a time."""

    sequence_length: int
    target_length: int
    window_size: int
    default_value: float = 0.0
    moving_average: int = 1
    unknown_base: float = 0.25
    layout: str = "BLT"
    strand_pairs: Sequence[tuple[int, int]] = ()

    @classmethod
    def of(cls, dataset: BigWigDataset) -> Recipe:
        settings = dataset.settings
        return cls(
            sequence_length=settings.sequence_length,
            target_length=settings.center_bin_to_predict or settings.sequence_length,
            window_size=settings.window_size,
            default_value=settings.default_value,
            moving_average=settings.moving_average_window_size,
            unknown_base=settings.unknown_base,
            layout=settings.layout,
            strand_pairs=[STRAND_PAIR],
        )

    def check(self, batch: Batch, world: World) -> None:
        """Compare a batch with what pyfaidx and pyBigWig say."""
        tracks = range(len(world.tracks)) if batch.track_indices is None else batch.track_indices.tolist()
        with pyfaidx.Fasta(str(world.fasta)) as fasta:
            sequences = [self.sequence(fasta, *sample) for sample in samples(batch)]
        files = [pyBigWig.open(str(path)) for path in world.tracks]
        values = [self.values(files, tracks, *sample) for sample in samples(batch)]
        expected_sequences, expected_values = np.stack(sequences), np.stack(values)
        if self.layout == "BTL":
            expected_sequences, expected_values = expected_sequences.swapaxes(1, 2), expected_values.swapaxes(1, 2)
        np.testing.assert_allclose(on_host(batch.sequences), expected_sequences, rtol=1e-6)
        assert on_host(batch.values).shape == expected_values.shape
        np.testing.assert_allclose(on_host(batch.values), expected_values, rtol=2e-6, atol=1e-5)

    def sequence(self, fasta: Any, chrom: str, start: int, end: int, reverse: bool) -> npt.NDArray[np.float32]:
        """(L, 4): the target begins as many bases into it on either strand."""
        before = self.sequence_length // 2 - self.target_length // 2
        first = end + before - self.sequence_length if reverse else start - before
        letters = letters_of(fasta, chrom, first, first + self.sequence_length)
        letters = letters[::-1].translate(COMPLEMENT) if reverse else letters
        return np.array([one_hot(letter, self.unknown_base) for letter in letters], np.float32)

    def values(
        self, files: Sequence[Any], tracks: Sequence[int], chrom: str, start: int, end: int, reverse: bool
    ) -> npt.NDArray[np.float64]:
        """(B, T), float64."""
        partner = {**dict(self.strand_pairs), **{b: a for a, b in self.strand_pairs}}
        columns = []
        for track in tracks:
            shown = partner.get(track, track) if reverse else track
            bases = values_of(files[shown], chrom, start, end)
            covered = (end - start) // self.window_size * self.window_size
            bases = bases[len(bases) - covered :] if reverse else bases[:covered]  # a partial bin is the strand's last
            bases = np.where(np.isnan(bases), self.default_value, bases)
            bins = bases.reshape(-1, self.window_size).mean(axis=1)
            if self.moving_average > 1:
                bins = np.convolve(bins, np.ones(self.moving_average) / self.moving_average, mode="same")
            columns.append(bins[::-1] if reverse else bins)
        return np.stack(columns, axis=1)


def samples(batch: Batch) -> Iterator[tuple[str, int, int, bool]]:
    return zip(
        batch.chromosomes.tolist(),
        batch.starts.tolist(),
        batch.ends.tolist(),
        batch.reverse_complement.tolist(),
        strict=True,
    )


def letters_of(fasta: Any, chrom: str, start: int, end: int) -> str:
    size = len(fasta[chrom])
    inside = str(fasta[chrom][max(start, 0) : min(end, size)]).upper() if start < size and end > 0 else ""
    return "N" * max(0, min(-start, end - start)) + inside + "N" * max(0, min(end - size, end - start))


def one_hot(letter: str, unknown_base: float) -> list[float]:
    if letter == "N":
        return [unknown_base] * 4
    return [(base in IUPAC[letter]) / len(IUPAC[letter]) for base in "ACGT"]


def values_of(file: Any, chrom: str, start: int, end: int) -> npt.NDArray[np.float64]:
    bases = np.full(end - start, np.nan)
    size = file.chroms(chrom)
    first, last = max(start, 0), min(end, size)
    if first < last:
        bases[first - start : last - start] = file.values(chrom, first, last, numpy=True)
    return bases


def same_batches(ones: Sequence[Batch], others: Sequence[Batch]) -> bool:
    """Whether batches are equal in all they have, to the bit."""
    return len(ones) == len(others) and all(
        fields(one) == fields(other) for one, other in zip(ones, others, strict=True)
    )


def fields(batch: Batch) -> dict[str, Any]:
    """All of a batch, as things that compare."""
    return {name: plain(value) for name, value in vars(batch).items()}


def plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if hasattr(value, "dtype"):
        array = on_host(value)
        return array.tolist() if array.dtype == object else (array.shape, str(array.dtype), array.tobytes())
    return value


def positions(batches: Sequence[Batch]) -> list[tuple[str, int]]:
    """(chromosome, start of the target) of all samples."""
    return [(chrom, start) for batch in batches for chrom, start, _, _ in samples(batch)]
