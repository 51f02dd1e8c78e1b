"""Collections of remote files: few requests, all in flight, the same values as local ones whatever the network does."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest

from bigwig_numba.bigwig import BigWig
from bigwig_numba.collection import BigWigCollection
from bigwig_numba.errors import BigWigError, ConfigError, StaleFileError, StorageError
from bigwig_numba.storage import RemoteOptions
from tests.local_servers import FileServer
from tests.remote_tracks import (
    AT_ONCE,
    BUCKET,
    OPTIONS,
    batch,
    open_tracks,
    storage_options,
    urls,
)
from tests.slow_server import (
    CHANGED,
    CUT,
    FORBIDDEN,
    HANG,
    INTERNAL,
    MISSING,
    REQUEST_TIMEOUT,
    RESET,
    SHORT,
    SLOW_DOWN,
    UNAVAILABLE,
    Fault,
    SlowServer,
    always,
    first,
)

IMPATIENT = dataclasses.replace(OPTIONS, timeout=0.3)

OpenRemote = Callable[..., BigWigCollection]


@pytest.fixture(params=["s3", "each request signed", "obstore", "http"])
def slow(request: pytest.FixtureRequest, track_files: list[Path]) -> tuple[SlowServer, OpenRemote]:
    """A proxy, and what opens the files through it by one of the clients."""
    client: str = request.param
    server: SlowServer = request.getfixturevalue("web_proxy" if client == "http" else "proxy")

    def open_remote(*, remote: RemoteOptions = OPTIONS, **options: Any) -> BigWigCollection:
        if client == "http":
            places = [f"{server.url}/{path.name}" for path in track_files]
            return BigWigCollection(places, sort=False, device="cpu", remote=remote, **options)
        if client == "obstore":
            remote = dataclasses.replace(remote, client="obstore")
        kept = storage_options(server)
        if client == "each request signed":
            kept["requester_pays"] = True
        return open_tracks(server, track_files, remote=remote, **{"storage_options": kept, **options})

    return server, open_remote


# --- requests


def test_a_cold_file_opens_with_three_requests_at_most_and_all_files_at_a_time(
    slow: tuple[SlowServer, OpenRemote], track_files: list[Path]
) -> None:
    server, open_remote = slow
    server.close_gate(len(track_files))
    with open_remote():
        for path in track_files:
            assert 1 <= len([seen for seen in server.seen if seen.path.endswith(path.name)]) <= 3
        assert server.most_in_flight == len(track_files)


def test_a_batch_is_read_in_few_requests_that_run_side_by_side(
    slow: tuple[SlowServer, OpenRemote], local_tracks: BigWigCollection
) -> None:
    server, open_remote = slow
    with open_remote() as collection:
        server.reset_counts()
        batch(collection, count=6)
        n_requests = len(server.seen)
        assert n_requests >= len(collection)
        server.close_gate(n_requests)
        values = batch(collection, count=6)
        assert server.most_in_flight == n_requests
    np.testing.assert_array_equal(values, batch(local_tracks, count=6))


def test_no_endpoint_gets_more_requests_at_a_time_than_allowed(
    slow: tuple[SlowServer, OpenRemote], local_tracks: BigWigCollection
) -> None:
    server, open_remote = slow
    with open_remote(remote=dataclasses.replace(OPTIONS, concurrency=3, max_waste=0)) as collection:
        server.latency = 0.01
        np.testing.assert_array_equal(batch(collection), batch(local_tracks))
        assert len(server.seen) > 3
        assert server.most_in_flight <= 3


def test_not_many_more_bytes_are_read_than_needed(proxy: SlowServer, track_files: list[Path]) -> None:
    def n_bytes(max_waste: float) -> int:
        remote = dataclasses.replace(OPTIONS, max_waste=max_waste, latency=10.0)
        with open_tracks(proxy, track_files, remote=remote) as collection:
            proxy.reset_counts()
            batch(collection)
            return proxy.n_bytes

    needed = n_bytes(0)
    assert needed < n_bytes(0.25) <= 1.25 * needed
    assert n_bytes(100) > 1.25 * needed


@pytest.mark.parametrize("place", ["memory", "chained memory", "simplecache", "blockcache"])
def test_any_file_system_of_fsspec_gives_the_same_values(
    place: str, track_files: list[Path], local_tracks: BigWigCollection, web_proxy: SlowServer, tmp_path: Path
) -> None:
    memory = fsspec.filesystem("memory")
    for path in track_files:
        memory.pipe(f"/remote/{path.name}", path.read_bytes())
    cache = {"cache_storage": str(tmp_path)}
    base, options = {
        "memory": ("memory://remote/", {}),
        "chained memory": ("simplecache::memory://remote/", {"simplecache": cache}),
        "simplecache": (f"simplecache::{web_proxy.url}/", {"simplecache": cache}),
        "blockcache": (f"blockcache::{web_proxy.url}/", {"blockcache": cache}),
    }[place]
    places = [base + path.name for path in track_files]
    with BigWigCollection(places, sort=False, device="cpu", remote=OPTIONS, storage_options=options) as collection:
        np.testing.assert_array_equal(batch(collection), batch(local_tracks))
    memory.rm("/remote", recursive=True)


# --- what passes


PASSING = [RESET, UNAVAILABLE, SLOW_DOWN, INTERNAL, REQUEST_TIMEOUT, CUT]


@pytest.mark.parametrize("fault", PASSING, ids=str)
def test_what_passes_changes_nothing(
    fault: Fault, slow: tuple[SlowServer, OpenRemote], local_tracks: BigWigCollection
) -> None:
    server, open_remote = slow
    server.fault_for = first(fault, 3)
    with open_remote() as collection:
        server.fault_for = first(fault, 5)
        np.testing.assert_array_equal(batch(collection), batch(local_tracks))


def test_a_body_that_is_shorter_than_asked_for_is_asked_for_again(
    web_proxy: SlowServer, proxy: SlowServer, track_files: list[Path], local_tracks: BigWigCollection
) -> None:
    with open_tracks(proxy, track_files) as collection:
        proxy.fault_for = first(SHORT, 5)
        np.testing.assert_array_equal(batch(collection), batch(local_tracks))


def test_a_server_that_does_not_answer_is_asked_again(
    slow: tuple[SlowServer, OpenRemote], local_tracks: BigWigCollection
) -> None:
    server, open_remote = slow
    with open_remote(remote=IMPATIENT) as collection:
        server.fault_for = first(HANG, 2)
        np.testing.assert_array_equal(batch(collection, count=3), batch(local_tracks, count=3))


def test_waits_grow_and_are_left_to_chance(proxy: SlowServer, track_files: list[Path]) -> None:
    waited: list[float] = []
    policy = dataclasses.replace(AT_ONCE, wait=waited.append)
    with open_tracks(proxy, track_files, remote=dataclasses.replace(OPTIONS, retry_policy=policy)) as collection:
        proxy.fault_for = always(SLOW_DOWN)
        with pytest.raises(StorageError):
            batch(collection)
    limits = [(0.125, 0.25), (0.5, 1.0), (2.0, 4.0)]
    assert len(waited) == 3
    assert all(low <= seconds <= high for seconds, (low, high) in zip(waited, limits, strict=True))
    assert waited != [0.25, 1.0, 4.0]


# --- what does not pass


@pytest.mark.parametrize("fault", [RESET, SLOW_DOWN, CUT, SHORT], ids=str)
def test_what_does_not_pass_is_a_storage_error_with_file_and_ranges(
    fault: Fault, slow: tuple[SlowServer, OpenRemote], track_files: list[Path]
) -> None:
    server, open_remote = slow
    broken = track_files[1].name
    with open_remote() as collection:
        server.reset_counts()
        server.fault_for = always(fault, path=broken)
        with pytest.raises(StorageError, match=rf"{broken}: cannot read after 4 tries") as caught:
            batch(collection)
        asked = [seen.range for seen in server.seen if broken in seen.path]
    # A client tries a connection that it used before once more by itself, or finds that it has ended before it asks.
    assert {asked.count(one) for one in asked} <= ({4} if not fault.reset else set(range(1, 9)))
    assert {f"bytes={offset}-{offset + size - 1}" for offset, size in caught.value.ranges} == set(asked)


@pytest.mark.parametrize(("fault", "error"), [(FORBIDDEN, PermissionError), (MISSING, FileNotFoundError)], ids=str)
def test_what_is_forbidden_or_missing_is_told_apart_and_asked_for_once(
    fault: Fault, error: type[Exception], slow: tuple[SlowServer, OpenRemote], track_files: list[Path]
) -> None:
    server, open_remote = slow
    name = track_files[2].name
    with open_remote() as collection:
        server.reset_counts()
        server.fault_for = always(fault, path=name)
        with pytest.raises(error, match=name):
            batch(collection)
        asked = [(seen.range, "Signature" in seen.query) for seen in server.seen if name in seen.path]
    assert len(asked) == len(set(asked))


def test_several_files_that_fail_are_all_told(proxy: SlowServer, track_files: list[Path]) -> None:
    with open_tracks(proxy, track_files) as collection:
        proxy.fault_for = always(RESET)
        with pytest.raises(StorageError) as caught:
            batch(collection)
    assert isinstance(caught.value.__cause__, ExceptionGroup)
    assert {error.url for error in caught.value.__cause__.exceptions if isinstance(error, StorageError)} == {
        *urls(track_files)
    }


def test_a_file_that_changes_while_it_is_open_is_an_error_at_once(
    slow: tuple[SlowServer, OpenRemote], track_files: list[Path]
) -> None:
    server, open_remote = slow
    name = track_files[0].name
    with open_remote() as collection:
        server.fault_for = always(CHANGED, path=name)
        server.reset_counts()
        with pytest.raises(StaleFileError, match=rf"{name} has changed since it was opened; open it again"):
            batch(collection)
        asked = [seen.range for seen in server.seen if name in seen.path]
        assert len(asked) == len(set(asked))
    with open_remote() as collection:
        assert batch(collection).shape[2] == len(track_files)


def test_a_file_that_changes_between_its_start_and_its_index_is_read_again(
    proxy: SlowServer, track_files: list[Path], local_tracks: BigWigCollection
) -> None:
    name = track_files[0].name
    old_start = first(CHANGED)
    proxy.fault_for = lambda seen: old_start(seen) if name in seen.path else None
    with open_tracks(proxy, track_files) as collection:
        np.testing.assert_array_equal(batch(collection), batch(local_tracks))
    starts = [seen for seen in proxy.seen if name in seen.path and seen.range == "bytes=0-65535"]
    assert len(starts) == 2


def test_a_file_of_any_file_system_that_changed_is_noticed(
    track_files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bigwig_numba.storage.remote.CHECK_AGAIN", 0.0)
    memory = fsspec.filesystem("memory")
    memory.pipe("/changing/a.bw", track_files[0].read_bytes())
    with BigWig("memory://changing/a.bw") as bigwig:
        assert bigwig.values("chr1", 0, 1_000).shape == (1_000,)
        memory.pipe("/changing/a.bw", track_files[1].read_bytes())
        with pytest.raises(StaleFileError, match=r"a\.bw has changed"):
            bigwig.values("chr1", 0, 1_000)
    memory.rm("/changing", recursive=True)


# --- going on without tracks


def test_a_track_that_cannot_be_opened_is_masked(
    slow: tuple[SlowServer, OpenRemote],
    track_files: list[Path],
    local_tracks: BigWigCollection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server, open_remote = slow
    name = track_files[1].name
    server.fault_for = always(MISSING, path=name)
    with open_remote(on_error="mask") as collection:
        assert collection.valid_tracks.tolist() == [True, False, True, True]
        values = batch(collection, default_value=-1.0)
        batch(collection)
    expected = batch(local_tracks, default_value=-1.0)
    expected[:, :, 1] = -1.0
    np.testing.assert_array_equal(values, expected)
    assert [record.getMessage() for record in caplog.records if name in record.getMessage()] == [
        f"Track 1 has default values from now on: [Errno 2] No such file or directory: '{collection.bigwig_paths[1]}'"
    ]


@pytest.mark.parametrize("fault", [RESET, FORBIDDEN, CHANGED], ids=str)
def test_a_track_that_fails_later_is_masked_from_then_on(
    fault: Fault,
    proxy: SlowServer,
    track_files: list[Path],
    local_tracks: BigWigCollection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with open_tracks(proxy, track_files, on_error="mask") as collection:
        assert collection.valid_tracks.all()
        proxy.fault_for = always(fault, path=track_files[2].name)
        values = batch(collection, track_indices=[3, 2, 0], default_value=np.nan)
        assert collection.valid_tracks.tolist() == [True, True, False, True]
        proxy.fault_for = lambda seen: None
        assert not batch(collection)[:, :, 2].any()
    expected = batch(local_tracks, track_indices=[3, 2, 0], default_value=np.nan)
    expected[:, :, 1] = np.nan
    np.testing.assert_array_equal(values, expected)
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_a_track_that_fails_while_intervals_are_read_is_left_out(
    proxy: SlowServer, track_files: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    wanted: dict[str, Any] = {"include_chromosomes": "chr2", "batch_size": 20, "threshold": 10}
    with open_tracks(proxy, track_files, on_error="mask") as collection:
        later = itertools.count()
        proxy.fault_for = lambda seen: RESET if track_files[2].name in seen.path and next(later) > 0 else None
        found = collection.intervals(**wanted)
        assert collection.valid_tracks.tolist() == [True, True, False, True]
    with BigWigCollection([*track_files[:2], track_files[3]], sort=False, device="cpu") as others:
        pd.testing.assert_frame_equal(found, others.intervals(**wanted))
    assert len(found) > 20
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_several_tracks_may_fail_in_one_batch(proxy: SlowServer, track_files: list[Path]) -> None:
    with open_tracks(proxy, track_files, on_error="mask") as collection:
        broken = {track_files[0].name, track_files[3].name}
        proxy.fault_for = lambda seen: RESET if seen.path.rpartition("/")[2] in broken else None
        batch(collection)
        assert collection.valid_tracks.tolist() == [False, True, True, False]


def test_if_no_track_is_left_the_error_is_raised(proxy: SlowServer, track_files: list[Path]) -> None:
    with open_tracks(proxy, track_files, on_error="mask") as collection:
        proxy.fault_for = always(RESET)
        with pytest.raises(StorageError):
            batch(collection)
        assert collection.valid_tracks.all()
    with pytest.raises(StorageError):
        open_tracks(proxy, track_files, on_error="mask")


def test_what_is_not_the_fault_of_a_file_is_raised_whatever_the_policy(
    proxy: SlowServer, track_files: list[Path]
) -> None:
    with open_tracks(proxy, track_files, on_error="mask") as collection, pytest.raises(BigWigError, match="chr99"):
        collection.get_batch(["chr99"], [0], [10])
    with pytest.raises(ConfigError, match="on_error is 'ignore'"):
        open_tracks(proxy, track_files, on_error="ignore")


# --- S3 in particular


def test_where_signed_addresses_are_refused_each_request_is_signed(
    proxy: SlowServer, track_files: list[Path], local_tracks: BigWigCollection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "bigwig_numba")
    proxy.fault_for = lambda seen: FORBIDDEN if "Signature" in seen.query else None
    with open_tracks(proxy, track_files) as collection:
        np.testing.assert_array_equal(batch(collection), batch(local_tracks))
    refused = [seen for seen in proxy.seen if "Signature" in seen.query]
    assert 0 < len(refused) <= len(track_files)
    assert len(proxy.seen) > 2 * len(refused)
    assert len([record for record in caplog.records if "refused a signed address" in record.getMessage()]) == 1


def test_globs_and_directories_of_a_bucket_are_listed_page_by_page(
    proxy: SlowServer, track_files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moto.settings.get_s3_default_max_keys", lambda: 2)
    options: dict[str, Any] = {"device": "cpu", "remote": OPTIONS, "storage_options": storage_options(proxy)}
    for place in (f"s3://{BUCKET}", f"s3://{BUCKET}/**/*.bw", f"s3://{BUCKET}/*.bw"):
        proxy.reset_counts()
        with BigWigCollection(place, **options) as collection:
            assert collection.bigwig_paths == sorted(urls(track_files))
        pages = [seen for seen in proxy.seen if "list-type" in seen.query]
        assert len(pages) >= 2, place


def test_no_secret_is_told(proxy: SlowServer, track_files: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "bigwig_numba")
    told: list[str] = []
    with open_tracks(proxy, track_files) as collection:
        told += [repr(collection), repr(collection._tracks.sources[0]), str(collection._tracks.sources[0])]
        for fault in (RESET, FORBIDDEN, UNAVAILABLE, CHANGED):
            proxy.fault_for = always(fault)
            with pytest.raises((BigWigError, OSError)) as caught:
                batch(collection)
            error: BaseException | None = caught.value
            while error is not None:
                told.append(repr(error))
                error = error.__cause__
    told += [record.getMessage() for record in caplog.records if record.name.startswith("bigwig_numba")]
    assert len(told) > 10
    assert not [text for text in told if "test-key" in text or "test-secret" in text or "Signature" in text]


# --- HTTP in particular


def test_without_byte_ranges_a_file_is_refused_unless_a_copy_was_asked_for(
    track_files: list[Path], local_tracks: BigWigCollection, tmp_path: Path
) -> None:
    with FileServer(track_files[0].parent, ranges=False) as files, SlowServer(files.url("").rstrip("/")) as server:
        places = [f"{server.url}/{path.name}" for path in track_files]
        options: dict[str, Any] = {"sort": False, "device": "cpu", "remote": OPTIONS}
        with pytest.raises(StorageError, match=r"does not support byte ranges; .* simplecache::"):
            BigWigCollection(places, **options)
        cache = {"simplecache": {"cache_storage": str(tmp_path)}}
        copies = [f"simplecache::{place}" for place in places]
        with BigWigCollection(copies, storage_options=cache, **options) as collection:
            np.testing.assert_array_equal(batch(collection), batch(local_tracks))


# --- processes


def _read_in_child(collection: BigWigCollection, answers: Any) -> None:
    answers.put(batch(collection).tobytes())


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_collection_works_in_a_forked_process(
    proxy: SlowServer, track_files: list[Path], local_tracks: BigWigCollection
) -> None:
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    with open_tracks(proxy, track_files) as collection:
        batch(collection)
        child = context.Process(target=_read_in_child, args=(collection, answers))
        child.start()
        assert answers.get(timeout=60) == batch(local_tracks).tobytes()
        child.join()


def test_a_collection_can_be_pickled_with_how_it_reads(
    proxy: SlowServer, track_files: list[Path], local_tracks: BigWigCollection
) -> None:
    with open_tracks(proxy, track_files) as collection, pickle.loads(pickle.dumps(collection)) as other:
        np.testing.assert_array_equal(batch(other), batch(local_tracks))


@pytest.mark.parametrize(
    "options",
    [
        {"latency": -1.0},
        {"bandwidth": 0.0},
        {"concurrency": 0},
        {"client": "curl"},
        {"timeout": 0.0},
        {"processes": -1},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        RemoteOptions(**options)
