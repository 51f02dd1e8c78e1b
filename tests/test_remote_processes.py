"""Several processes that send requests: outcomes are those of one, and the processes never outlive who started them."""

from __future__ import annotations

import _thread
import dataclasses
import gc
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from bigwig_numba.errors import ConfigError
from bigwig_numba.retries import RetryPolicy
from bigwig_numba.storage import FileRange, RemoteFile, RemoteOptions, RemoteReader
from bigwig_numba.storage.processes import RequestProcesses
from tests.remote_tracks import OPTIONS, storage_options, urls
from tests.slow_server import (
    CHANGED,
    FORBIDDEN,
    HANG,
    MISSING,
    RESET,
    SHORT,
    UNAVAILABLE,
    Fault,
    SlowServer,
    always,
    first,
)

TWO = dataclasses.replace(OPTIONS, processes=2, concurrency=3)


@pytest.fixture(autouse=True)
def however_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges go to other processes."""
    monkeypatch.setattr("bigwig_numba.storage.remote.SMALLEST_SHARE", 1)


@pytest.fixture(scope="module")
def two(s3_proxy: SlowServer) -> Iterator[RemoteReader]:
    """Reads with two processes, which are started once for all tests here."""
    reader = RemoteReader(storage_options(s3_proxy), TWO)
    yield reader
    reader.close()


def ranges(reader: RemoteReader, track_files: list[Path]) -> list[FileRange]:
    """Some of each file, far apart, and one that is empty."""
    files = [reader.open(url) for url in urls(track_files)]
    assert not [error for error in reader.learn_versions(files) if isinstance(error, Exception)]
    return [FileRange(file, offset, size) for file in files for offset, size in ((7, 100), (5, 0), (40_000, 1_000))]


def expected(track_files: list[Path], asked: list[FileRange]) -> list[bytes]:
    data = {path.name: path.read_bytes() for path in track_files}
    return [data[file.url.rpartition("/")[2]][offset : offset + size] for file, offset, size in asked]


def running(reader: RemoteReader) -> list[Any]:
    assert reader._processes is not None
    return [worker.process for worker in reader._processes._workers]


def test_ranges_arrive_in_full_and_each_process_has_its_own_limit(
    two: RemoteReader, proxy: SlowServer, track_files: list[Path]
) -> None:
    asked = ranges(two, track_files)
    assert two.n_in_flight(asked[0].file) == 6
    proxy.close_gate(6)
    outcomes = two.read_bodies(asked)
    assert [bytes(outcome) for outcome in outcomes if not isinstance(outcome, Exception)] == expected(
        track_files, asked
    )
    assert proxy.most_in_flight == 6
    assert [isinstance(outcome, memoryview) for outcome in outcomes] == [piece.size > 0 for piece in asked]
    assert two.read(asked) == expected(track_files, asked)


def test_what_passes_changes_nothing_and_is_logged_here(
    two: RemoteReader, proxy: SlowServer, track_files: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bigwig_numba")
    asked = ranges(two, track_files)
    proxy.fault_for = first(UNAVAILABLE, 3)
    assert two.read(asked) == expected(track_files, asked)
    told = [record.getMessage() for record in caplog.records if record.name == "bigwig_numba.retries"]
    assert [line for line in told if "try 1 to read" in line]


@pytest.mark.parametrize("fault", [RESET, FORBIDDEN, MISSING, CHANGED, SHORT], ids=str)
def test_what_does_not_pass_is_what_one_process_would_say(
    fault: Fault, two: RemoteReader, proxy: SlowServer, track_files: list[Path]
) -> None:
    one = RemoteReader(storage_options(proxy), OPTIONS)
    told = []
    for reader in (one, two):
        asked = ranges(reader, track_files)
        proxy.fault_for = always(fault, path=track_files[1].name)
        outcomes = reader.read(asked)
        proxy.fault_for = lambda seen: None
        told.append([repr(outcome) for outcome in outcomes])
        assert len([outcome for outcome in outcomes if isinstance(outcome, Exception)]) == 2
    assert told[0] == told[1]


def test_no_secret_is_told(two: RemoteReader, track_files: list[Path]) -> None:
    two.read(ranges(two, track_files))
    told = [
        repr(two),
        repr(two._processes),
        repr(vars(two._processes)),
        *(repr(process.args) for process in running(two)),
    ]
    assert not [text for text in told if "test-secret" in text or "test-key" in text]


def test_a_process_that_is_killed_is_replaced(two: RemoteReader, track_files: list[Path]) -> None:
    asked = ranges(two, track_files)
    two.read(asked)
    before = running(two)
    os.kill(before[1].pid, signal.SIGKILL)
    assert two.read(asked) == expected(track_files, asked)
    assert not {process.pid for process in before} & {process.pid for process in running(two)}
    assert all(process.returncode is not None for process in before)


def test_after_ctrl_c_nothing_goes_on(two: RemoteReader, proxy: SlowServer, track_files: list[Path]) -> None:
    asked = ranges(two, track_files)
    two.read(asked)
    before = running(two)

    def interrupted(seen: object) -> Fault:
        _thread.interrupt_main()
        return HANG

    proxy.fault_for = interrupted
    with pytest.raises(KeyboardInterrupt):
        two.read(asked)
    assert running(two) == []
    assert all(process.returncode is not None for process in before)


def test_processes_end_with_their_reader_or_when_nobody_can_ask_them_any_more() -> None:
    processes = RequestProcesses(1, None, RemoteOptions())
    [unwanted] = processes._running_workers()
    del processes
    gc.collect()
    assert unwanted.process.returncode is not None
    processes = RequestProcesses(1, None, RemoteOptions())
    [orphan] = processes._running_workers()
    orphan.channel.close()  # as the system does with those of a process that ends
    assert orphan.process.wait(60) == 0
    processes.close()


def test_files_that_no_other_process_can_see_are_read_here() -> None:
    fsspec.filesystem("memory").pipe("/seen/here", bytes(range(100)))
    reader = RemoteReader(None, TWO)
    file: RemoteFile = reader.open("memory://seen/here")
    reader.learn_versions([file])
    assert reader.read([FileRange(file, 5, 2), FileRange(file, 50, 3)]) == [b"\5\6", b"234"]
    assert reader._processes is None


def test_options_that_cannot_travel_are_refused(proxy: SlowServer, track_files: list[Path]) -> None:
    options = dataclasses.replace(TWO, retry_policy=RetryPolicy(wait=lambda seconds: None))
    reader = RemoteReader(storage_options(proxy), options)
    with pytest.raises(ConfigError, match="must be picklable"):
        reader.read(ranges(reader, track_files))
