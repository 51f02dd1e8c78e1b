"""Example files, a genome and eight tracks: the same on every machine, written once, kept in the user's cache."""

from __future__ import annotations

import itertools
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pybigtools
import pyfaidx
from tqdm.auto import tqdm

from bigwig_numba.cache import cache_folder
from bigwig_numba.errors import ConfigError, StorageError
from bigwig_numba.example_genome import TRACKS, DrawTrack, IntegerStream, Landscape, draw_landscape

__all__ = ["ExampleData", "example_data"]

logger = logging.getLogger(__name__)

Row = tuple[str, int, int, float]
"""Chromosome, start, end and value: a line of bedGraph."""

CONTENT_VERSION = 1  # part of the folder's name: raise it with any change of what is written
SHORTEST_CHROMOSOME = 50_000
CHROMOSOME_TENTHS = {"chr1": 10, "chr2": 9, "chr3": 8}  # length of each, in tenths of the longest
BASES_PER_FASTA_LINE = 60


@dataclass(frozen=True)
class ExampleData:
    """Where the example data lies.

    Attributes
    ----------
    bigwig_paths
        The BigWig files, in the order of their names.
    reference_genome_path
        The FASTA file; its index (``.fai``) lies beside it.
    chromosome_sizes
        Name to length in bases.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     data = example_data(folder, chromosome_length=50_000)
    >>> data.bigwig_paths[0].name, data.reference_genome_path.name, data.chromosome_sizes["chr1"]
    ('atac_seq.bw', 'genome.fa', 50000)
    """

    bigwig_paths: tuple[Path, ...]
    reference_genome_path: Path
    chromosome_sizes: Mapping[str, int]


def example_data(
    folder: str | os.PathLike[str] | None = None,
    *,
    chromosome_length: int = 2_000_000,
    seed: int = 0,
    progress: bool = False,
) -> ExampleData:
    """Return the example data, writing it first if it is not there yet (some seconds).

    Parameters
    ----------
    folder
        Where to keep it; by default :func:`bigwig_numba.cache.cache_folder`. Each set of arguments has a subfolder.
    chromosome_length
        Bases of the longest of the three chromosomes. The default, 2 million, makes 15 MB of files.
    seed
        Another seed, from 0 to 2^32 - 1, makes another genome.
    progress
        Whether to show a progress bar while writing, if standard error is a terminal.

    Returns
    -------
    ExampleData

    Raises
    ------
    ConfigError
        If the chromosomes would be too short to hold a gene, or the seed is out of range.
    StorageError
        If the folder cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     data = example_data(folder, chromosome_length=100_000)
    ...     print(data.chromosome_sizes)
    ...     print([path.name for path in data.bigwig_paths[:3]])
    {'chr1': 100000, 'chr2': 90000, 'chr3': 80000}
    ['atac_seq.bw', 'ctcf.bw', 'gc_percent.bw']
    """
    if chromosome_length < SHORTEST_CHROMOSOME:
        message = f"chromosome_length={chromosome_length} is too short for genes; use at least {SHORTEST_CHROMOSOME}"
        raise ConfigError(message, argument="chromosome_length", value=chromosome_length)
    if not 0 <= seed < 2**32:
        raise ConfigError(f"seed={seed} is out of range; use one from 0 to 2^32 - 1", argument="seed", value=seed)
    parent = cache_folder() if folder is None else Path(folder)
    home = parent / f"example_data_v{CONTENT_VERSION}_seed{seed}_length{chromosome_length}"
    sizes = {name: chromosome_length * tenths // 10 for name, tenths in CHROMOSOME_TENTHS.items()}
    data = ExampleData(
        bigwig_paths=tuple(home / f"{name}.bw" for name in sorted(TRACKS)),
        reference_genome_path=home / "genome.fa",
        chromosome_sizes=sizes,
    )
    try:
        if not _is_complete(data):
            _write_atomically(home, sizes, seed=seed, progress=progress)
    except OSError as error:
        message = f"example data cannot be written to {parent} ({error}); set BIGWIG_NUMBA_CACHE to a folder that can"
        raise StorageError(message, url=str(parent)) from error
    return data


def _is_complete(data: ExampleData) -> bool:
    index_path = data.reference_genome_path.with_suffix(".fa.fai")
    return all(path.is_file() for path in (*data.bigwig_paths, data.reference_genome_path, index_path))


def _write_atomically(home: Path, sizes: Mapping[str, int], *, seed: int, progress: bool) -> None:
    """Write into a temporary folder beside `home` and rename it: a reader sees all of the files or none."""
    home.parent.mkdir(parents=True, exist_ok=True)
    logger.info("writing example data to %s", home)
    with tempfile.TemporaryDirectory(prefix=".writing_", dir=home.parent, ignore_cleanup_errors=True) as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        _write_files(made, sizes, seed=seed, progress=progress)
        if home.exists() and not _same_files(home, made):
            home.rename(Path(temporary) / "incomplete")  # someone removed files from it
        try:
            made.rename(home)
        except OSError:
            if not home.exists():
                raise
            # Another process was quicker; its files are the same.


def _same_files(home: Path, made: Path) -> bool:
    return {path.name for path in made.iterdir()} <= {path.name for path in home.iterdir()}


def _write_files(folder: Path, sizes: Mapping[str, int], *, seed: int, progress: bool) -> None:
    landscapes = {
        name: draw_landscape(IntegerStream(seed, row), length) for row, (name, length) in enumerate(sizes.items())
    }
    genome_path = folder / "genome.fa"
    with genome_path.open("wb") as file:
        for name, landscape in landscapes.items():
            file.write(f">{name}\n".encode() + _fasta_lines(landscape.sequence))
    pyfaidx.Faidx(str(genome_path)).close()
    bar = tqdm(sorted(TRACKS), desc="Making example data", unit="track", disable=None if progress else True)
    for number, track in enumerate(bar):
        rows = _bedgraph_rows(TRACKS[track], landscapes, seed=seed, number=number)
        _write_bigwig(folder / f"{track}.bw", sizes, rows)


def _fasta_lines(sequence: npt.NDArray[np.uint8]) -> bytes:
    full = len(sequence) // BASES_PER_FASTA_LINE * BASES_PER_FASTA_LINE
    lines = np.insert(sequence[:full].reshape(-1, BASES_PER_FASTA_LINE), BASES_PER_FASTA_LINE, ord("\n"), axis=1)
    last_line = sequence[full:].tobytes()
    return lines.tobytes() + (last_line + b"\n" if last_line else b"")


def _bedgraph_rows(draw_track: DrawTrack, landscapes: Mapping[str, Landscape], *, seed: int, number: int) -> list[Row]:
    """Give the runs of equal values of a track, NaN left out."""
    rows: list[Row] = []
    for chromosome, (name, landscape) in enumerate(landscapes.items()):
        values = draw_track(IntegerStream(seed, 1 + number, chromosome), landscape)
        changes = np.flatnonzero(values[1:] != values[:-1]) + 1
        starts = np.concatenate([[0], changes])
        ends = np.concatenate([changes, [len(values)]])
        run_values = values[starts]
        covered = ~np.isnan(run_values)
        runs = (array[covered].tolist() for array in (starts, ends, run_values))
        rows += zip(itertools.repeat(name), *runs)
    return rows


def _write_bigwig(path: Path, sizes: Mapping[str, int], rows: list[Row]) -> None:
    """Write through pybigtools, and look whether all was written.

    pybigtools 0.3 drops an error that is raised while it takes rows, so it is given a list; where the disk is full it
    panics, which is no ``Exception``.
    """
    covered = sum(end - start for _, start, end, _ in rows)
    try:
        pybigtools.open(str(path), "w").write(dict(sizes), iter(rows))
        with pybigtools.open(str(path)) as file:
            written = file.info()["summary"]["basesCovered"]
    except BaseException as error:
        if type(error).__name__ not in ("BBIReadError", "PanicException"):
            raise
        written = error
    if written != covered:
        message = f"{path} was not written as it should be (pybigtools: {written}); is there room on the disk?"
        raise StorageError(message, url=str(path))
