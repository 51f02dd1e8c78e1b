"""The example data is the same everywhere, whole or not there, and looks like what it says it is."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyBigWig
import pyfaidx
import pytest

from bigwig_numba import example_data as example_data_module
from bigwig_numba.cache import cache_folder
from bigwig_numba.errors import ConfigError, StorageError
from bigwig_numba.example_data import ExampleData, example_data
from bigwig_numba.example_genome import CTCF_MOTIF

LENGTH = 120_000
CONTENT = "231e2b7037a7900a0fb362b3be235531"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ExampleData:
    return example_data(tmp_path_factory.mktemp("example"), chromosome_length=LENGTH)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def values_of(data: ExampleData, track: str, chromosome: str = "chr1") -> npt.NDArray[np.float32]:
    (path,) = (path for path in data.bigwig_paths if path.stem == track)
    with pyBigWig.open(str(path)) as file:
        values: npt.NDArray[np.float32] = file.values(chromosome, 0, data.chromosome_sizes[chromosome], numpy=True)
    return values


def test_content_depends_on_neither_machine_nor_library_versions(data: ExampleData) -> None:
    """What pyBigWig and pyfaidx decode has the digest it had when the content's version was made."""
    digest = hashlib.blake2b(digest_size=16)
    for path in data.bigwig_paths:
        for chromosome in data.chromosome_sizes:
            digest.update(values_of(data, path.stem, chromosome).astype("<f4").tobytes())
    with pyfaidx.Fasta(str(data.reference_genome_path)) as genome:
        for chromosome in data.chromosome_sizes:
            digest.update(str(genome[chromosome]).encode())
    assert digest.hexdigest() == CONTENT, "if this change is meant, raise CONTENT_VERSION too"


def test_same_arguments_give_the_same_bytes(data: ExampleData, tmp_path: Path) -> None:
    again = example_data(tmp_path, chromosome_length=LENGTH)
    assert files_of(tmp_path) == files_of(data.bigwig_paths[0].parent)
    assert again.chromosome_sizes == data.chromosome_sizes


def test_another_seed_gives_another_genome(data: ExampleData, tmp_path: Path) -> None:
    other = example_data(tmp_path, chromosome_length=LENGTH, seed=1)
    mine, others = files_of(data.bigwig_paths[0].parent), files_of(other.bigwig_paths[0].parent)
    assert mine.keys() == others.keys()
    assert {name for name in mine if mine[name] == others[name]} == {"genome.fa.fai"}


def test_paths_are_sorted_and_files_cover_the_genome(data: ExampleData) -> None:
    assert list(data.bigwig_paths) == sorted(data.bigwig_paths)
    assert len(data.bigwig_paths) == 8
    assert data.chromosome_sizes == {"chr1": 120_000, "chr2": 108_000, "chr3": 96_000}
    with pyfaidx.Fasta(str(data.reference_genome_path)) as genome:
        assert {name: len(genome[name]) for name in genome.keys()} == data.chromosome_sizes  # noqa: SIM118
    for path in data.bigwig_paths:
        with pyBigWig.open(str(path)) as file:
            assert file.chroms() == data.chromosome_sizes


def test_tracks_are_of_different_kinds(data: ExampleData) -> None:
    counts, fold_change, reads = (values_of(data, track) for track in ("atac_seq", "h3k27ac", "rna_seq_plus"))
    assert np.array_equal(counts, np.round(counts))
    assert (counts == 0).any(), "zeros are written"
    assert not np.array_equal(fold_change, np.round(fold_change))
    assert np.isnan(reads).any()
    assert (reads[~np.isnan(reads)] > 0).all(), "zeros are left out"


def test_gc_percent_is_that_of_the_sequence(data: ExampleData) -> None:
    with pyfaidx.Fasta(str(data.reference_genome_path)) as genome:
        bases = np.array(list(str(genome["chr1"][40_000:42_000])))
    expected = np.isin(bases, ["G", "C"]).reshape(-1, 20).mean(axis=1) * 100
    assert values_of(data, "gc_percent")[40_000:42_000:20] == pytest.approx(expected)


def test_ctcf_peaks_lie_on_the_motif(data: ExampleData) -> None:
    with pyfaidx.Fasta(str(data.reference_genome_path)) as genome:
        sequence = str(genome["chr1"])
        reverse = str(genome["chr1"][:].reverse.complement)
    motif = CTCF_MOTIF.decode()
    sites = [place for place in range(LENGTH) if sequence.startswith(motif, place)]
    sites += [LENGTH - place - len(motif) for place in range(LENGTH) if reverse.startswith(motif, place)]
    ctcf = values_of(data, "ctcf")
    assert len(sites) == LENGTH // 15_000
    assert min(ctcf[site] for site in sites) > 5 * np.nanmean(ctcf)


def test_second_call_writes_nothing(data: ExampleData) -> None:
    folder = data.bigwig_paths[0].parent
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert example_data(folder.parent, chromosome_length=LENGTH) == data
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_missing_file_is_made_again(tmp_path: Path) -> None:
    data = example_data(tmp_path, chromosome_length=50_000)
    whole = files_of(tmp_path)
    data.bigwig_paths[3].unlink()
    example_data(tmp_path, chromosome_length=50_000)
    assert files_of(tmp_path) == whole


def test_interrupted_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(example_data_module.TRACKS, "h3k27ac", interrupt)
    with pytest.raises(KeyboardInterrupt):
        example_data(tmp_path, chromosome_length=50_000)
    assert list(tmp_path.iterdir()) == []


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from bigwig_numba.cache import cache_folder
from bigwig_numba.errors import StorageError
from bigwig_numba.example_data import _write_bigwig, example_data
folder = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    {write}
except StorageError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("write", "message"),
    [
        ("example_data(folder)", "cannot be written to"),
        (
            "_write_bigwig(folder / 'a.bw', dict(chr1=10**6), [('chr1', n, n + 1, 0.5 * n) for n in range(10**5)])",
            "is there room on the disk?",
        ),
    ],
)
def test_full_disk_is_an_error(tmp_path: Path, write: str, message: str) -> None:
    """A limit on the size of files, in a process of its own, stands for a full disk."""
    program = FULL_DISK.format(write=write)
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert message in done.stdout
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_writers_at_the_same_time_do_not_disturb_each_other(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda _: example_data(tmp_path, chromosome_length=50_000), range(3)))
    assert made[0] == made[1] == made[2]
    assert len(list(tmp_path.iterdir())) == 1, "no temporary folder is left"
    assert files_of(tmp_path).keys() >= {path.name for path in made[0].bigwig_paths}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"chromosome_length": 49_999}, "chromosome_length"), ({"seed": -1}, "seed"), ({"seed": 2**32}, "seed")],
)
def test_bad_argument_is_named(tmp_path: Path, arguments: dict[str, int], named: str) -> None:
    with pytest.raises(ConfigError, match=f"{named}={arguments[named]}"):
        example_data(tmp_path, **arguments)


def test_unwritable_folder_is_an_error_that_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="BIGWIG_NUMBA_CACHE"):
        example_data(tmp_path / "file", chromosome_length=50_000)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"BIGWIG_NUMBA_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, lambda: Path("/a")),
        ({"XDG_CACHE_HOME": "/b"}, lambda: Path("/b/bigwig_numba")),
        ({"BIGWIG_NUMBA_CACHE": "~/c"}, lambda: Path.home() / "c"),
    ],
)
def test_cache_folder_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: Callable[[], Path]
) -> None:
    for name in ("BIGWIG_NUMBA_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == expected()
