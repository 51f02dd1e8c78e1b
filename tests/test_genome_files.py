"""FASTA files of all kinds are read once and kept; what changed or is damaged is never served; errors are advice."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import random
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyfaidx
import pytest

from bigwig_numba import fasta, packed_genome
from bigwig_numba.cache import cache_folder
from bigwig_numba.errors import BigWigError, FormatError, StorageError
from bigwig_numba.fasta import open_fasta
from bigwig_numba.genome import ReferenceGenome
from bigwig_numba.packed_genome import PackedGenome, read_genome
from bigwig_numba.storage import FileVersion, RemoteReader
from tests.genomes import fasta_text, random_genome, write_fasta
from tests.local_servers import FileServer, S3Server

SEQUENCES = random_genome({"chr1": 3001, "chr2": 64, "empty": 0, "odd name|9.1": 5})
TEXT = fasta_text(SEQUENCES, width=60).encode()
OTHER = random_genome({"chr1": 3001, "chr2": 64, "empty": 0, "odd name|9.1": 5}, seed=1)
NAMES = [name.split()[0] for name in SEQUENCES]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test: the folder for genomes, which need not exist."""
    monkeypatch.setenv("BIGWIG_NUMBA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "genomes"


def upper(sequences: dict[str, str]) -> list[str]:
    return [sequence.upper().replace("U", "T") for sequence in sequences.values()]


def all_of(genome: PackedGenome) -> list[str]:
    """Every chromosome as text, unpacked by NumPy."""
    letters = np.frombuffer(b"-ACMGRSVTWYHKDBN", np.uint8)
    codes = np.stack([genome.bases & 15, genome.bases >> 4], axis=1).reshape(-1)
    spans = zip(genome.first_bases.tolist(), genome.lengths.tolist(), strict=True)
    return [letters[codes[first : first + length]].tobytes().decode() for first, length in spans]


def kept(cache: Path) -> list[Path]:
    """Genomes in the cache; nothing unfinished may lie beside them."""
    entries = list(cache.iterdir()) if cache.exists() else []
    assert not [entry for entry in entries if entry.name.startswith(".writing")]
    return [entry for entry in entries if not entry.name.endswith(".lock")]


def bgzip(data: bytes, block: int = 500) -> bytes:
    """Blocked gzip: members that say their size, and an empty one at the end (SAM specification, section 4.1)."""
    members = []
    for start in range(0, len(data) + block, block):
        piece = data[start : start + block]
        compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
        body = compressor.compress(piece) + compressor.flush()
        size = len(body) + 25
        header = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0" + size.to_bytes(2, "little")
        members.append(header + body + zlib.crc32(piece).to_bytes(4, "little") + len(piece).to_bytes(4, "little"))
    return b"".join(members)


KINDS: dict[str, bytes] = {
    "genome.fa": TEXT,
    "genome.fasta.gz": gzip.compress(TEXT),
    "bgzipped.fa.gz": bgzip(TEXT),
    "gzip without its ending.fa": gzip.compress(TEXT),
    "plain with the ending.gz": TEXT,
    "windows newlines.fa": fasta_text(SEQUENCES, width=60, newline="\r\n").encode(),
    "one line each.fa": fasta_text(SEQUENCES, width=10_000).encode(),
    "no newline at the end.fa": TEXT.rstrip(b"\n"),
    "comment.fa": b"; of old\n" + TEXT,
}


# --- kinds of files


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("cached", [True, False])
def test_every_kind_of_fasta_is_read(name: str, cached: bool, tmp_path: Path, cache: Path) -> None:
    path = tmp_path / name
    path.write_bytes(KINDS[name])
    genome = read_genome(str(path), cache=cached)
    assert genome.names == tuple(NAMES)
    assert all_of(genome) == upper(SEQUENCES)
    assert sorted(os.listdir(tmp_path)) == sorted([name, *(["cache"] if cached else [])])
    assert len(kept(cache)) == cached


def test_reading_goes_by_pieces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "genome.fa", SEQUENCES, width=60)
    whole = read_genome(str(path), cache=False)
    monkeypatch.setattr(fasta, "BASES_AT_A_TIME", 62)
    in_pieces = read_genome(str(path), cache=False)
    np.testing.assert_array_equal(in_pieces.bases, whole.bases)
    # A run of unknown bases may be cut in two: what they count is the same.
    assert in_pieces.unknown_runs[1].sum() - in_pieces.unknown_runs[0].sum() == sum(
        len([letter for letter in text if letter not in "ACGT"]) for text in upper(SEQUENCES)
    )


def test_runs_of_unknown_bases_are_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "genome.fa"
    path.write_text(">a\nNNACGTRNu\n>b\nNAN\n")
    runs = read_genome(str(path), cache=False).unknown_runs
    assert runs.tolist() == [[0, 6, 10, 12], [2, 8, 11, 13], [0, 2, 4, 5]]


def test_an_index_beside_the_file_is_not_believed_and_none_is_written(tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "genome.fa", SEQUENCES, width=60)
    pyfaidx.Faidx(str(path)).close()
    index = path.with_suffix(".fa.fai")
    write_fasta(path, OTHER, width=50)  # other line ends: the old index points between them
    os.utime(index)
    before = index.read_bytes()
    assert all_of(read_genome(str(path))) == upper(OTHER)
    assert index.read_bytes() == before


def test_a_read_only_folder_is_fine(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    path = write_fasta(folder / "genome.fa", SEQUENCES)
    folder.chmod(0o555)
    try:
        assert all_of(read_genome(str(path))) == upper(SEQUENCES)
    finally:
        folder.chmod(0o755)


# --- remote files


@pytest.fixture
def in_memory() -> Iterator[str]:
    yield "memory://test_genome/genome.fa"
    fsspec.filesystem("memory").rm("/test_genome", recursive=True)


@pytest.mark.parametrize("content", [TEXT, gzip.compress(TEXT)])
def test_remote_files_are_read_and_kept(content: bytes, in_memory: str, cache: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/test_genome/genome.fa", content)
    assert all_of(read_genome(in_memory)) == upper(SEQUENCES)
    memory.pipe("/test_genome/genome.fa", fasta_text(OTHER, width=60).encode())
    assert all_of(read_genome(in_memory)) == upper(OTHER)
    assert len(kept(cache)) == 2


def test_files_on_web_servers_are_read(range_server: FileServer) -> None:
    (range_server.folder / "genome.fa.gz").write_bytes(bgzip(TEXT))
    assert all_of(read_genome(range_server.url("genome.fa.gz"))) == upper(SEQUENCES)


def test_what_no_one_says_the_version_of_is_read_each_time(
    in_memory: str, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(RemoteReader, "learn_versions", sizes_only(RemoteReader.learn_versions))
    for sequences in (SEQUENCES, OTHER):  # of the same size
        fsspec.filesystem("memory").pipe("/test_genome/genome.fa", fasta_text(sequences, width=60).encode())
        assert all_of(read_genome(in_memory)) == upper(sequences)
    assert kept(cache) == []
    assert "does not say when it changes, so it is read anew" in caplog.text


def sizes_only(learn_versions: Callable[..., Any]) -> Callable[..., Any]:
    """As a server does that sends neither tags nor times."""

    def learn(self: RemoteReader, files: Any) -> Any:
        versions = [FileVersion(version.size) for version in learn_versions(self, files)]
        for file, version in zip(files, versions, strict=True):
            file.learn(version)
        return versions

    return learn


def test_files_on_s3_are_read_and_kept(moto_server: S3Server, cache: Path) -> None:
    s3 = fsspec.filesystem("s3", **moto_server.storage_options)
    s3.makedirs("genomes", exist_ok=True)
    for sequences in (SEQUENCES, OTHER):  # of the same size
        s3.pipe("genomes/genome.fa", fasta_text(sequences, width=60).encode())
        genome = read_genome("s3://genomes/genome.fa", storage_options=moto_server.storage_options)
        assert all_of(genome) == upper(sequences)
    assert len(kept(cache)) == 2


@pytest.mark.parametrize("url", ["file://{}", "simplecache::file://{}"])
def test_files_that_fsspec_has_on_this_machine_are_read_there(url: str, tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "genome.fa", SEQUENCES)
    assert all_of(read_genome(url.format(path))) == upper(SEQUENCES)


# --- the cache


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_fasta(tmp_path / "genome.fa", SEQUENCES)


@pytest.fixture
def no_reading(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Called, it makes reading a FASTA file an error."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the FASTA file is being read")

    return lambda: monkeypatch.setattr(packed_genome, "open_fasta", refuse)


def test_a_file_is_read_once_and_mapped_afterwards(path: Path, no_reading: Callable[[], None]) -> None:
    read_genome(str(path))
    no_reading()
    again = read_genome(str(path))
    assert all_of(again) == upper(SEQUENCES)
    assert isinstance(again.bases.base, np.memmap)
    assert not again.bases.flags.writeable


def test_another_path_to_the_same_file_shares_it(path: Path, no_reading: Callable[[], None], tmp_path: Path) -> None:
    link = tmp_path / "link" / "genome.fa"
    link.parent.mkdir()
    link.symlink_to(path)
    read_genome(str(path))
    no_reading()
    assert all_of(read_genome(str(link))) == upper(SEQUENCES)


@pytest.mark.parametrize("change", ["content", "content, times kept", "another file, times kept"])
def test_a_file_that_changed_is_read_again(change: str, path: Path, tmp_path: Path) -> None:
    read_genome(str(path))
    status = path.stat()
    if change == "another file, times kept":
        other = write_fasta(tmp_path / "other.fa", OTHER)
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        other.rename(path)
    else:
        write_fasta(path, OTHER)
    if change == "content, times kept":
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert all_of(read_genome(str(path))) == upper(OTHER)


def cut_off(folder: Path) -> None:
    bases = folder / "bases.bin"
    bases.write_bytes(bases.read_bytes()[:-1])


DAMAGE: dict[str, Callable[[Path], object]] = {
    "bases cut off": cut_off,
    "bases missing": lambda folder: (folder / "bases.bin").unlink(),
    "runs missing": lambda folder: (folder / "unknown_runs.npy").unlink(),
    "runs damaged": lambda folder: (folder / "unknown_runs.npy").write_bytes(b"\x93NUMPY"),
    "no JSON": lambda folder: (folder / "genome.json").write_text("{"),
    "other JSON": lambda folder: (folder / "genome.json").write_text(json.dumps({"chromosomes": 5})),
    "no names": lambda folder: (folder / "genome.json").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_copy_is_made_again(damage: str, path: Path, cache: Path, no_reading: Callable[[], None]) -> None:
    read_genome(str(path))
    [folder] = kept(cache)
    DAMAGE[damage](folder)
    assert all_of(read_genome(str(path))) == upper(SEQUENCES)
    assert kept(cache) == [folder]
    no_reading()
    read_genome(str(path))


def test_a_file_that_changes_while_it_is_read_is_an_error(
    path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = packed_genome._pack

    def pack_slowly(*arguments: Any) -> Any:
        write_fasta(path, OTHER)
        return pack(*arguments)

    monkeypatch.setattr(packed_genome, "_pack", pack_slowly)
    with pytest.raises(StorageError, match=r"genome\.fa changed while it was read; open it again"):
        read_genome(str(path))
    assert kept(cache) == []


def read_in_process(path: str, start: Any, answers: Any) -> None:
    reads = []
    original = packed_genome.open_fasta

    def counted(*arguments: Any, **options: Any) -> Any:
        reads.append(1)
        return original(*arguments, **options)

    packed_genome.open_fasta = counted
    start.wait()
    answers.put((all_of(read_genome(path)), len(reads)))


def test_processes_that_start_together_read_it_once(path: Path, cache: Path) -> None:
    context = multiprocessing.get_context("fork")
    start, answers = context.Barrier(4), context.Queue()
    processes = [context.Process(target=read_in_process, args=(str(path), start, answers)) for _ in range(4)]
    for process in processes:
        process.start()
    got = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert [texts for texts, _ in got] == [upper(SEQUENCES)] * 4
    assert sum(n_reads for _, n_reads in got) == 1
    assert len(kept(cache)) == 1


def test_without_locks_each_reads_it_and_one_copy_stays(
    path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError("no locks on this file system")

    monkeypatch.setattr(packed_genome.fcntl, "flock", no_locks)
    pack = packed_genome._pack

    def pack_while_another_does(*arguments: Any) -> Any:
        monkeypatch.setattr(packed_genome, "_pack", pack)
        read_genome(str(path))
        return pack(*arguments)

    monkeypatch.setattr(packed_genome, "_pack", pack_while_another_does)
    assert all_of(read_genome(str(path))) == upper(SEQUENCES)
    assert len(kept(cache)) == 1


def test_a_cache_that_cannot_be_written_to_says_what_to_do(path: Path) -> None:
    cache_folder().write_text("a file where the folder would be")
    with pytest.raises(StorageError, match=r"set BIGWIG_NUMBA_CACHE to a folder that can, or .* cache=False"):
        read_genome(str(path))
    assert all_of(read_genome(str(path), cache=False)) == upper(SEQUENCES)


def test_a_full_disk_is_an_error_and_leaves_nothing(path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packed_genome, "_pack", lambda fasta, write: full())
    with pytest.raises(StorageError, match="No space left on device"):
        read_genome(str(path))
    assert kept(cache) == []


# --- what is no FASTA

SHORT = gzip.compress(random.Random(0).randbytes(100) + TEXT)
NO_FASTA: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "no FASTA: .* it is empty"),
    "text": (b"chr1\t0\t100\n", r"no FASTA: expected a first line like '>chr1', but it starts with b'chr1"),
    "2bit": (b"\x43\x27\x41\x1a" + bytes(100), "no FASTA"),
    "zip": (b"PK\x03\x04" + bytes(100), "no FASTA"),
    "comments only": (b"; nothing\n; here\n", "cannot be read as FASTA"),
    "binary after a name": (b">chr1\nACGT\n\xff\xfe\xfd\xfc\n", "cannot be read as FASTA"),
    "a name twice": (b">chr1\nACGT\n>chr1\nTTTT\n", "chr1"),
    "no name": (b">\nACGT\n", "cannot be read as FASTA"),
    "ragged lines": (b">chr1\nACGT\nAC\nACGT\n", "cannot be read as FASTA: .*not consistent"),
    "proteins": (b">P12345\nACGT\n>P2\nMKVLE\n", r"P2 has 'L' at position 3, expected a nucleotide.*proteins\?"),
    "spaces": (b">chr1\nACGTACGTAC\nGT CGTACGT\n", r"chr1 has ' ' at position 12"),
    "cut gzip": (gzip.compress(TEXT)[:-20], "cannot be decompressed .* cut off"),
    "damaged gzip": (SHORT[:40] + bytes(30) + SHORT[70:], "cannot be decompressed"),
    "gzip of something else": (gzip.compress(b"hello"), "no FASTA"),
}


@pytest.mark.parametrize("name", NO_FASTA)
@pytest.mark.parametrize("cached", [True, False])
def test_what_is_no_fasta_of_nucleotides_is_an_error(name: str, cached: bool, tmp_path: Path, cache: Path) -> None:
    content, message = NO_FASTA[name]
    path = tmp_path / "genome.fa"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message) as caught:
        ReferenceGenome(path, device="cpu", cache=cached)
    assert str(caught.value).startswith(str(path))
    assert caught.value.url == str(path)
    assert kept(cache) == []


@pytest.mark.parametrize("url", ["{}/no_such.fa", "file://{}/no_such.fa", "memory://{}/no_such.fa"])
def test_a_file_that_is_not_there_is_a_file_not_found_error(url: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no_such\.fa"):
        ReferenceGenome(url.format(tmp_path), device="cpu")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is a directory; a file was expected"):
        ReferenceGenome(tmp_path, device="cpu")


def test_a_protocol_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BigWigError, match="cannot be opened"):
        ReferenceGenome("s4://bucket/genome.fa", device="cpu")


def test_secrets_in_a_url_are_not_shown(range_server: FileServer) -> None:
    with pytest.raises(FileNotFoundError, match="no_such") as caught:
        ReferenceGenome(range_server.url("no_such.fa") + "?signature=secret", device="cpu")
    assert "secret" not in str(caught.value)


def test_pieces_of_a_chromosome_are_of_the_length_that_the_index_says(tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "genome.fa", SEQUENCES, width=60)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with open_fasta(str(path), scratch) as opened:
        path.write_bytes(TEXT[:500])
        with pytest.raises(FormatError, match=r"chr1 has 4\d\d bases, expected 3,001; did it change\?"):
            list(opened.letters("chr1"))
    shutil.rmtree(scratch)
