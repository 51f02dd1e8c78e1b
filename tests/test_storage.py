"""Every source of bytes keeps the same promises; failures are retried or told, never passed on as data."""

from __future__ import annotations

import io
import logging
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from bigwig_numba.errors import ConfigError, StorageError
from bigwig_numba.storage import (
    ByteSource,
    MappedFile,
    RetryPolicy,
    display_url,
    list_files,
    open_source,
)
from tests.local_servers import FileServer, S3Server

DATA = np.random.default_rng(0).bytes(300_000)
NO_WAIT = RetryPolicy(wait=lambda seconds: None)

ranges = st.lists(st.tuples(st.integers(0, len(DATA)), st.integers(0, 5_000)), max_size=20)


# --- what every source promises


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def memory_url() -> Iterator[str]:
    fsspec.filesystem("memory").pipe("/bucket/data.bin", DATA)
    yield "memory://bucket/data.bin"
    fsspec.filesystem("memory").rm("/bucket", recursive=True)


@pytest.fixture
def s3(moto_server: S3Server) -> dict[str, Any]:
    """Storage options for a server that has s3://storage/data.bin and two more files."""
    file_system = fsspec.filesystem("s3", **moto_server.storage_options)
    file_system.mkdirs("storage", exist_ok=True)
    for name in ("data.bin", "deep/one.bw", "deep/two.BW"):
        file_system.pipe(f"storage/{name}", DATA)
    return moto_server.storage_options


class OneByteAtATime(io.BytesIO):
    """A file object that may return less than asked for, as the protocol allows."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 999))


PLACES = ["path", "pathlike", "file url", "memory", "chained", "http", "s3", "bytes", "open file", "short reads"]


@pytest.fixture(params=PLACES)
def source(request: pytest.FixtureRequest, file: Path, tmp_path: Path) -> Iterator[ByteSource]:
    place: str = request.param
    opened: ByteSource
    with file.open("rb") as open_file:
        if place == "http":
            opened = open_source(request.getfixturevalue("range_server").url("data.bin"))
        elif place == "s3":
            opened = open_source("s3://storage/data.bin", storage_options=request.getfixturevalue("s3"))
        elif place == "memory":
            opened = open_source(request.getfixturevalue("memory_url"))
        elif place == "chained":
            options = {"simplecache": {"cache_storage": str(tmp_path / "cache")}}
            opened = open_source("simplecache::" + request.getfixturevalue("memory_url"), storage_options=options)
        else:
            made: dict[str, Any] = {
                "path": str(file),
                "pathlike": file,
                "file url": file.as_uri(),
                "bytes": io.BytesIO(DATA),
                "open file": open_file,
                "short reads": OneByteAtATime(DATA),
            }
            opened = open_source(made[place])
        yield opened
        opened.close()


def test_size_and_whole_content(source: ByteSource) -> None:
    assert source.size == len(DATA)
    assert source.read(0, len(DATA)) == DATA


def test_many_ranges_come_back_in_order_and_in_full(source: ByteSource) -> None:
    draw = np.random.default_rng(1)
    offsets = draw.integers(0, len(DATA) - 5_000, size=30)
    sizes = draw.integers(0, 5_000, size=30)
    expected = [DATA[offset : offset + size] for offset, size in zip(offsets, sizes, strict=True)]
    assert source.read_ranges(offsets, sizes) == expected
    assert source.read_ranges([], []) == []


def test_read_up_to_stops_at_the_end(source: ByteSource) -> None:
    assert source.read_up_to(len(DATA) - 10, 100) == DATA[-10:]
    assert source.read_up_to(len(DATA), 100) == b""
    assert source.read_up_to(2**70, 100) == b""


@pytest.mark.parametrize(("offset", "size"), [(len(DATA) - 5, 6), (len(DATA) + 1, 0), (-1, 5), (0, 2**62), (5, -1)])
def test_what_lies_outside_the_file_is_an_error(source: ByteSource, offset: int, size: int) -> None:
    with pytest.raises(StorageError, match="outside the file, which has 300000 bytes") as caught:
        source.read_ranges([0, offset], [10, size])
    assert caught.value.ranges == ((offset, size),)
    assert caught.value.url == source.url


def test_a_closed_source_says_so(source: ByteSource) -> None:
    source.close()
    source.close()
    assert source.memory is None
    with pytest.raises(StorageError, match="closed"):
        source.read(0, 1)


def test_memory_is_the_file_where_there_is_one(source: ByteSource, request: pytest.FixtureRequest) -> None:
    place = request.node.callspec.params["source"]
    mapped = place in ("path", "pathlike", "file url", "chained")  # simplecache keeps a local copy
    assert (source.memory is not None) == mapped
    if source.memory is not None:
        assert source.memory.tobytes() == DATA


@given(asked=ranges)
def test_ranges_are_cut_out_right_however_they_are_merged(asked: list[tuple[int, int]]) -> None:
    source = open_source(io.BytesIO(DATA))
    inside = [(offset, min(size, len(DATA) - offset)) for offset, size in asked]
    answers = source.read_ranges([offset for offset, _ in inside], [size for _, size in inside])
    assert answers == [DATA[offset : offset + size] for offset, size in inside]


# --- local files


def test_an_empty_file_is_a_source_of_no_bytes(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    source = open_source(tmp_path / "empty")
    assert (source.size, source.read_up_to(0, 10)) == (0, b"")
    assert source.memory is not None
    assert source.memory.shape == (0,)


def test_the_home_directory_may_be_a_tilde(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(file.parent))
    assert open_source("~/data.bin").size == len(DATA)


def test_a_missing_file_is_pythons_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_source(tmp_path / "missing.bw")


def test_a_directory_or_a_pipe_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is a directory"):
        open_source(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="not a regular file"):
        open_source(tmp_path / "pipe")


# --- file objects


def test_a_text_file_object_is_refused(file: Path) -> None:
    with file.open("r", encoding="latin-1") as text, pytest.raises(StorageError, match="binary mode"):
        open_source(text).read(0, 10)  # type: ignore[arg-type]


def test_a_file_object_that_its_owner_closed_is_an_error(file: Path) -> None:
    with file.open("rb") as owned:
        source = open_source(owned)
    with pytest.raises(StorageError, match="is it open"):
        source.read(0, 10)
    with pytest.raises(StorageError, match="seek and read"):
        open_source(owned)


def test_a_file_object_that_shrank_is_an_error() -> None:
    shrinking = io.BytesIO(DATA)
    source = open_source(shrinking)
    shrinking.truncate(100)
    with pytest.raises(StorageError, match="40 bytes instead of 50 at byte 60") as caught:
        source.read(60, 50)
    assert caught.value.ranges == ((60, 50),)


def test_closing_the_source_leaves_the_file_object_open() -> None:
    owned = io.BytesIO(DATA)
    open_source(owned).close()
    assert not owned.closed


@pytest.mark.parametrize("nonsense", [42, None, b"path", fsspec.open("memory://x"), ["a.bw"]])
def test_what_is_no_path_is_a_configuration_error(nonsense: Any) -> None:
    with pytest.raises(ConfigError, match="path must be a path, a URL or an open file"):
        open_source(nonsense)


def test_an_unknown_protocol_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="gopher"):
        open_source("gopher://host/a.bw")


# --- remote files that fail


class FlakyFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """Memory that raises, or cuts short, what the test queued."""

    protocol = "flaky"
    failures: ClassVar[list[Exception | int | None]] = []
    cachable = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("flaky://", "memory://")))

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        data: bytes = super().cat_file(path, start, end, **options)
        failure = self.failures.pop(0) if self.failures else None
        if isinstance(failure, Exception):
            raise failure
        return data if failure is None else data[:failure]


@pytest.fixture
def flaky(memory_url: str) -> str:
    fsspec.register_implementation("flaky", FlakyFileSystem, clobber=True)
    FlakyFileSystem.failures = []
    return memory_url.replace("memory", "flaky")


def http_error(status: int) -> aiohttp.ClientResponseError:
    url = URL("https://user:secret@host/a.bw?token=secret")
    info = aiohttp.RequestInfo(url, "GET", {}, url)  # type: ignore[arg-type]
    return aiohttp.ClientResponseError(info, (), status=status, message="told by the server")


TRANSIENT: list[Exception | int] = [
    ConnectionResetError("reset"),
    TimeoutError(),
    OSError("weather"),
    http_error(503),
    http_error(429),
    aiohttp.ClientPayloadError("broke off"),
    7,
]


@pytest.mark.parametrize("failure", TRANSIENT, ids=repr)
def test_what_may_pass_is_tried_again(flaky: str, failure: Exception | int) -> None:
    waited: list[float] = []
    source = open_source(flaky, retry_policy=RetryPolicy(wait=waited.append, jitter=0))
    FlakyFileSystem.failures = [failure, failure]
    assert source.read(10, 20) == DATA[10:30]
    assert waited == [0.25, 1.0]


@pytest.mark.parametrize("failure", TRANSIENT, ids=repr)
def test_what_does_not_pass_becomes_a_storage_error(flaky: str, failure: Exception | int) -> None:
    waited: list[float] = []
    source = open_source(flaky, retry_policy=RetryPolicy(wait=waited.append))
    FlakyFileSystem.failures = [failure] * 20
    with pytest.raises(StorageError, match="after 4 tries") as caught:
        source.read(10, 20)
    assert len(waited) == 3
    assert caught.value.ranges == ((10, 20),)
    assert "flaky://bucket/data.bin" in str(caught.value)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (FileNotFoundError("gone"), FileNotFoundError),
        (http_error(404), FileNotFoundError),
        (PermissionError("no"), PermissionError),
        (http_error(403), PermissionError),
        (http_error(401), PermissionError),
        (http_error(400), StorageError),
        (TypeError("a mistake in a file system"), StorageError),
    ],
    ids=repr,
)
def test_what_cannot_pass_is_told_at_once(flaky: str, failure: Exception, expected: type[Exception]) -> None:
    source = open_source(flaky, retry_policy=RetryPolicy(wait=lambda seconds: pytest.fail("it waited")))
    FlakyFileSystem.failures = [failure]
    with pytest.raises(expected, match=r"flaky://bucket/data\.bin"):
        source.read(10, 20)


def test_only_ranges_that_failed_are_asked_for_again(flaky: str) -> None:
    source = open_source(flaky, retry_policy=NO_WAIT)
    far_apart = [0, 100_000, 200_000]
    FlakyFileSystem.failures = [None, ConnectionResetError(), None, ConnectionResetError()]
    assert source.read_ranges(far_apart, [5, 6, 7]) == [DATA[0:5], DATA[100_000:100_006], DATA[200_000:200_007]]
    assert FlakyFileSystem.failures == []


def test_a_lasting_failure_of_one_range_is_not_hidden_by_a_passing_one_of_another(flaky: str) -> None:
    source = open_source(flaky, retry_policy=NO_WAIT)
    FlakyFileSystem.failures = [ConnectionResetError(), PermissionError()]
    with pytest.raises(PermissionError):
        source.read_ranges([0, 200_000], [5, 5])


# --- HTTP


def test_a_server_without_ranges_is_refused_before_the_file_is_sent(no_range_server: FileServer, file: Path) -> None:
    with pytest.raises(StorageError, match="does not support byte ranges"):
        open_source(no_range_server.url("data.bin"))
    assert [method for method, _, _ in no_range_server.requests] == ["GET"]


def test_a_missing_url_is_a_missing_file(range_server: FileServer) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.bw"):
        open_source(range_server.url("missing.bw"), retry_policy=NO_WAIT)


def test_a_server_that_is_not_there_is_a_storage_error(range_server: FileServer) -> None:
    range_server.server.server_close()
    with pytest.raises(StorageError, match="cannot learn its size after 4 tries"):
        open_source(range_server.url("data.bin"), retry_policy=NO_WAIT)


def test_close_ranges_are_one_request(range_server: FileServer, file: Path) -> None:
    source = open_source(range_server.url("data.bin"))
    range_server.requests.clear()
    source.read_ranges([1_000, 5, 200_000, 2_000], [10, 10, 10, 10])
    asked = sorted(header for _, _, header in range_server.requests if header)
    assert asked == ["bytes=200000-200009", "bytes=5-2009"]


def _read_in_child(source: ByteSource, answers: Any) -> None:
    answers.put(source.read(7, 5))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_remote_file_can_be_read_after_a_fork(range_server: FileServer, file: Path) -> None:
    source = open_source(range_server.url("data.bin"))
    assert source.read(0, 5) == DATA[:5]
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_read_in_child, args=(source, answers))
    child.start()
    assert answers.get(timeout=30) == DATA[7:12]
    child.join()


# --- secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:secret@host:80/dir/a.bw?sig=secret&x=1", "https://host:80/dir/a.bw"),
        ("s3://bucket/dir/a@b.bw?versionId=secret", "s3://bucket/dir/a@b.bw"),
        ("ftp://me:secret@host/a.bw", "ftp://host/a.bw"),
        ("https://host?secret", "https://host"),
        ("simplecache::https://me:secret@host/a.bw", "simplecache::https://host/a.bw"),
        ("zip://a.bw::https://host/x.zip?secret", "zip://a.bw::https://host/x.zip"),
        ("/data/a?b@c.bw", "/data/a?b@c.bw"),
        ("relative/me:x@y.bw", "relative/me:x@y.bw"),
    ],
)
def test_display_names_hold_no_credentials(url: str, shown: str) -> None:
    assert display_url(url) == shown


def test_no_error_or_log_tells_a_secret(range_server: FileServer, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "bigwig_numba")
    secret_url = range_server.url("data.bin").replace("http://", "http://me:secret@") + "?sig=secret"
    range_server.server.server_close()
    with pytest.raises(StorageError) as caught:
        open_source(secret_url, retry_policy=NO_WAIT)
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert not [error for error in chain if "secret" in repr(error)]
    told = [record.getMessage() for record in caplog.records if record.name.startswith("bigwig_numba")]
    assert len(told) == 3
    assert not [line for line in told if "secret" in line]


def test_a_source_shows_itself_without_secrets(range_server: FileServer, file: Path) -> None:
    source = open_source(range_server.url("data.bin").replace("http://", "http://me:secret@"))
    assert source.read(0, 10) == DATA[:10]
    assert source.url == range_server.url("data.bin")
    assert repr(source) == f"<RemoteFile {source.url}, 300000 bytes>"
    mapped = MappedFile(str(file))
    mapped.close()
    assert repr(mapped) == f"<MappedFile {file}, 300000 bytes, closed>"


# --- directories and patterns


FILES = ["b.bw", "a.bigWig", "notes.txt", "deep/c.BW", "deep/deeper/d.bigwig", "deep/e.bw.bai"]
EXTENSIONS = (".bigWig", ".bw", ".bigwig")

List = Callable[..., list[str]]


@pytest.fixture(params=["local", "memory", "chained"])
def lists(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[List]:
    """A function that lists below a folder with FILES, and tells names relative to it."""
    memory = fsspec.filesystem("memory")
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        memory.pipe(f"/folder/{name}", b"")
    base = {"local": f"{tmp_path}/", "memory": "memory://folder/", "chained": "simplecache::memory://folder/"}[
        request.param
    ]

    def relative(name: str = "", **options: Any) -> list[str]:
        found = list_files(base + name, **{"extensions": EXTENSIONS, **options})
        assert all(path.startswith(base) for path in found)
        return [path.removeprefix(base) for path in found]

    yield relative
    memory.rm("/folder", recursive=True)


def test_a_directory_is_searched_in_depth_for_extensions_in_any_case(lists: List) -> None:
    assert lists() == ["a.bigWig", "b.bw", "deep/c.BW", "deep/deeper/d.bigwig"]


def test_without_crawling_only_the_directory_itself_is_searched(lists: List) -> None:
    assert lists(crawl=False) == ["a.bigWig", "b.bw"]
    assert lists("deep", crawl=False) == ["deep/c.BW"]


def test_a_pattern_is_taken_as_it_is(lists: List) -> None:
    assert lists("*.bw") == ["b.bw"]
    assert lists("deep/*") == ["deep/c.BW", "deep/e.bw.bai"]
    assert lists("**/*.b[iw]*") == ["a.bigWig", "b.bw", "deep/deeper/d.bigwig", "deep/e.bw.bai"]
    assert lists("nothing*") == []


def test_one_file_is_itself(lists: List) -> None:
    assert lists("b.bw") == ["b.bw"]
    assert lists("missing.bw") == ["missing.bw"]


def test_a_path_with_wildcards_that_exists_is_no_pattern(tmp_path: Path) -> None:
    (tmp_path / "a[1].bw").touch()
    (tmp_path / "[x]").mkdir()
    (tmp_path / "[x]" / "b.bw").touch()
    assert list_files(tmp_path / "a[1].bw") == [str(tmp_path / "a[1].bw")]
    assert list_files(tmp_path / "[x]") == [str(tmp_path / "[x]" / "b.bw")]


def test_a_bucket_is_a_directory(s3: dict[str, Any]) -> None:
    found = list_files("s3://storage", extensions=EXTENSIONS, storage_options=s3)
    assert found == ["s3://storage/deep/one.bw", "s3://storage/deep/two.BW"]
    assert list_files("s3://storage/*/one*", storage_options=s3) == ["s3://storage/deep/one.bw"]


def test_an_http_file_is_not_downloaded_to_look_for_links(range_server: FileServer, file: Path) -> None:
    assert list_files(range_server.url("data.bin")) == [range_server.url("data.bin")]
    assert range_server.requests == []


def test_file_urls_stay_urls(tmp_path: Path) -> None:
    (tmp_path / "a.bw").touch()
    assert list_files(tmp_path.as_uri()) == [f"file://{tmp_path}/a.bw"]


def test_a_directory_that_cannot_be_listed_is_told_without_secrets(range_server: FileServer) -> None:
    url = range_server.url("dir/").replace("http://", "http://me:secret@")
    range_server.server.server_close()
    with pytest.raises(StorageError, match=r"dir/: cannot list it after 4 tries") as caught:
        list_files(url, retry_policy=NO_WAIT)
    assert "secret" not in str(caught.value)


def test_a_missing_bucket_is_a_missing_file(s3: dict[str, Any]) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list_files("s3://nowhere/*.bw", storage_options=s3)


def test_a_subdirectory_that_cannot_be_listed_is_not_left_out(memory_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.filesystem("memory").pipe("/bucket/locked/a.bw", DATA)
    listed = MemoryFileSystem.ls

    def ls(self: MemoryFileSystem, path: str, **options: Any) -> Any:
        if path.endswith("locked"):
            raise PermissionError(path)
        return listed(self, path, **options)

    monkeypatch.setattr(MemoryFileSystem, "ls", ls)
    with pytest.raises(PermissionError):
        list_files("memory://bucket")


def test_mapped_files_hold_no_descriptor(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.bin" for number in range(60)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * 100)
    program = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (40, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from bigwig_numba.storage import MappedFile
files = [MappedFile(f"{tmp_path}/{{number}}.bin") for number in range(60)]
print(all(file.read(99, 1) == bytes([number]) for number, file in enumerate(files)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_a_part_of_a_mapped_file_outlives_it(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"0123456789")
    source = MappedFile(str(path))
    assert source.memory is not None
    part = source.memory[3:5]
    source.close()
    del source
    assert part.tobytes() == b"34"
    with pytest.raises(ValueError, match="read-only"):
        part[0] = 1
