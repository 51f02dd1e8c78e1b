"""Downloads: resumed, compared, and complete or not there; against servers on localhost."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from bigwig_numba.config import Config, read_config
from bigwig_numba.download import download, md5_of, unzip
from bigwig_numba.download_example_data import ACCESSIONS, download_example_data
from bigwig_numba.errors import StorageError
from tests.local_servers import FileServer

CONTENT = bytes(range(256)) * 5_000


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def served(range_server: FileServer) -> FileServer:
    (range_server.folder / "file.bin").write_bytes(CONTENT)
    return range_server


def test_a_file_comes_whole(served: FileServer, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file.bin"
    assert download(served.url("file.bin"), path, md5=md5(CONTENT).upper()) == path
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


def test_what_is_there_is_not_downloaded_again(served: FileServer, tmp_path: Path) -> None:
    path = tmp_path / "here.bin"
    path.write_bytes(CONTENT)
    download(served.url("file.bin"), path, md5=md5(CONTENT))
    assert served.requests == []


def test_what_is_there_but_other_is_replaced(served: FileServer, tmp_path: Path) -> None:
    path = tmp_path / "here.bin"
    path.write_bytes(b"an older version")
    download(served.url("file.bin"), path, md5=md5(CONTENT))
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("n_there", [1, 70_000, len(CONTENT)])
def test_an_interrupted_download_goes_on(served: FileServer, tmp_path: Path, n_there: int) -> None:
    part = tmp_path / "got.bin.part"
    part.write_bytes(CONTENT[:n_there])
    path = download(served.url("file.bin"), tmp_path / "got.bin", md5=md5(CONTENT))
    assert [request[2] for request in served.requests] == [f"bytes={n_there}-"]
    assert path.read_bytes() == CONTENT
    assert not part.exists()


def test_a_server_without_ranges_sends_all_again(no_range_server: FileServer, tmp_path: Path) -> None:
    (no_range_server.folder / "file.bin").write_bytes(CONTENT)
    (tmp_path / "got.bin.part").write_bytes(CONTENT[:1_000])
    path = download(no_range_server.url("file.bin"), tmp_path / "got.bin", md5=md5(CONTENT))
    assert path.read_bytes() == CONTENT


def test_a_connection_that_breaks_is_taken_up_again(
    served: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server hangs up after a part of each answer."""
    handler = served.server.RequestHandlerClass
    whole = handler.answer  # type: ignore[attr-defined]

    def answer(self, *, with_body: bool) -> None:  # type: ignore[no-untyped-def]
        write = self.wfile.write
        self.wfile.write = lambda data: write(data[:400_000] if len(data) > 400_000 else data)
        whole(self, with_body=with_body)
        self.close_connection = True

    monkeypatch.setattr(handler, "answer", answer)
    path = download(served.url("file.bin"), tmp_path / "got.bin", md5=md5(CONTENT))
    assert path.read_bytes() == CONTENT
    assert len(served.requests) == 4


def test_other_bytes_than_expected_are_refused_and_deleted(served: FileServer, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=f"MD5 {md5(CONTENT)}, expected 0000"):
        download(served.url("file.bin"), tmp_path / "got.bin", md5="0" * 32)
    assert list(tmp_path.glob("got*")) == []


def test_what_is_not_there_is_said(served: FileServer, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nothing\.bin answers 404"):
        download(served.url("nothing.bin"), tmp_path / "got.bin", md5="0" * 32)
    with pytest.raises(StorageError, match="cannot be downloaded"):
        download("http://127.0.0.1:9/file.bin", tmp_path / "got.bin", md5="0" * 32)


def test_damaged_gzip_leaves_nothing_under_the_name(tmp_path: Path) -> None:
    packed = tmp_path / "genome.gz"
    packed.write_bytes(gzip.compress(CONTENT)[:-100])
    with pytest.raises(StorageError, match="cannot be unzipped"):
        unzip(packed, tmp_path / "genome")
    assert not (tmp_path / "genome").exists()


@pytest.fixture
def portal(range_server: FileServer, tmp_path: Path) -> Config:
    """An ENCODE of our own, and where its files go."""
    genome = "GRCh38_no_alt_analysis_set_GCA_000001405.15"
    files = {f"{name}.bigWig": (name, name.encode() * 100) for name in ACCESSIONS}
    files[f"{genome}.fasta.gz"] = (genome, gzip.compress(b">chr1\nACGT\n"))
    for file_name, (name, content) in files.items():
        folder = range_server.folder / "files" / name
        (folder / "@@download").mkdir(parents=True)
        (folder / "@@download" / file_name).write_bytes(content)
        (folder / "about.json").write_text(json.dumps({"md5sum": md5(content), "file_size": len(content)}))
    target = tmp_path / "downloads"
    environment = {
        "BIGWIG_NUMBA_ENCODE_URL": range_server.url(""),
        "BIGWIG_NUMBA_EXAMPLE_DATA_DIR": str(target),
    }
    return read_config(environment, folder=tmp_path)


@pytest.fixture
def answers_about_files(range_server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """`files/NAME/?format=json` is a file's description."""
    handler = range_server.server.RequestHandlerClass
    whole = handler.answer  # type: ignore[attr-defined]

    def answer(self, *, with_body: bool) -> None:  # type: ignore[no-untyped-def]
        self.path = self.path.replace("/?format=json", "/about.json")
        whole(self, with_body=with_body)

    monkeypatch.setattr(handler, "answer", answer)


@pytest.mark.usefixtures("answers_about_files")
class TestExampleData:
    def test_tracks_and_genome_come_with_the_checksums_that_are_published(self, portal: Config) -> None:
        data = download_example_data(config=portal, progress=False)
        assert [path.name for path in data.bigwig_paths] == [f"{name}.bigWig" for name in ACCESSIONS]
        assert data.bigwig_paths[0].parent == portal.bigwig_dir
        assert data.reference_genome_path.read_text() == ">chr1\nACGT\n"
        assert md5_of(data.bigwig_paths[0]) == md5(ACCESSIONS[0].encode() * 100)
        assert list(portal.example_data_dir.glob("*.gz")) == []

    def test_a_second_time_nothing_is_downloaded(self, portal: Config, range_server: FileServer) -> None:
        download_example_data(config=portal, progress=False)
        range_server.requests.clear()
        download_example_data(config=portal, progress=False)
        assert [path for _, path, _ in range_server.requests if "@@download" in path] == []

    def test_a_checksum_of_ones_own_counts(self, portal: Config) -> None:
        with pytest.raises(StorageError, match="expected ffff"):
            download_example_data(config=replace(portal, reference_genome_checksum="f" * 32), progress=False)

    def test_without_a_published_checksum_nothing_is_taken(self, portal: Config, range_server: FileServer) -> None:
        (range_server.folder / "files" / ACCESSIONS[0] / "about.json").write_text("{}")
        with pytest.raises(StorageError, match="no md5sum"):
            download_example_data(config=portal, progress=False)
        (range_server.folder / "files" / ACCESSIONS[0] / "about.json").write_text("no JSON")
        with pytest.raises(StorageError, match="cannot be read"):
            download_example_data(config=portal, progress=False)
