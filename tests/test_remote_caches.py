"""What was read once is not read again: indexes under URL and version, blocks up to a number of bytes."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigwig_numba.bigwig import BigWig
from bigwig_numba.block_cache import BlockCache
from bigwig_numba.cli import main
from bigwig_numba.collection import BigWigCollection
from bigwig_numba.errors import ConfigError
from bigwig_numba.index import read_file_index
from bigwig_numba.index_cache import IndexCache, KnownFile
from bigwig_numba.storage import FileVersion, open_source
from tests.conftest import CorpusFile
from tests.corpus import CORPUS
from tests.local_servers import S3Server
from tests.remote_tracks import (
    BUCKET,
    OPTIONS,
    batch,
    open_tracks,
    storage_options,
)
from tests.slow_server import CHANGED, SlowServer, always

KEEPING = dataclasses.replace(OPTIONS, keep_indexes=True)
MEBIBYTE = 1 << 20
FILE, OTHER = "ab" * 16, "cd" * 16


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of the user's."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("BIGWIG_NUMBA_CACHE", str(folder))
    return folder


def ranges_asked(proxy: SlowServer) -> list[str]:
    return [seen.range for seen in proxy.seen if seen.range]


# --- indexes


def test_a_known_file_opens_with_one_small_request(
    cache: Path, proxy: SlowServer, track_files: list[Path], local_tracks: BigWigCollection
) -> None:
    with open_tracks(proxy, track_files, remote=KEEPING):
        pass
    proxy.reset_counts()
    with open_tracks(proxy, track_files, remote=KEEPING) as collection:
        assert ranges_asked(proxy) == ["bytes=0-0"] * len(track_files)
        np.testing.assert_array_equal(batch(collection), batch(local_tracks))


def test_a_known_file_that_was_listed_opens_without_any_request(
    cache: Path, proxy: SlowServer, local_tracks: BigWigCollection
) -> None:
    options: dict[str, Any] = {"device": "cpu", "remote": KEEPING, "storage_options": storage_options(proxy)}
    place = f"s3://{BUCKET}/*.bw"
    with BigWigCollection(place, **options):
        pass
    proxy.reset_counts()
    with BigWigCollection(place, **options) as collection:
        assert ranges_asked(proxy) == []
        assert collection.chromosome_sizes == local_tracks.chromosome_sizes


def test_one_file_is_kept_like_many(cache: Path, proxy: SlowServer, track_files: list[Path]) -> None:
    url = f"s3://{BUCKET}/{track_files[0].name}"
    with BigWig(url, storage_options=storage_options(proxy)) as first:
        expected = first.values("chr1", 0, 500)
    proxy.reset_counts()
    with BigWig(url, storage_options=storage_options(proxy)) as again:
        assert ranges_asked(proxy) == ["bytes=0-0"]
        np.testing.assert_array_equal(again.values("chr1", 0, 500), expected)


def test_a_file_that_changed_is_read_again(
    cache: Path, bucket: S3Server, proxy: SlowServer, track_files: list[Path]
) -> None:
    changing = fsspec.filesystem("s3", **bucket.storage_options)
    url = f"s3://{BUCKET}-changing/a.bw"
    changing.mkdirs(f"{BUCKET}-changing", exist_ok=True)
    for path in (track_files[0], track_files[1], track_files[1]):
        changing.put_file(str(path), url)
        with BigWig(url, storage_options=storage_options(proxy)) as remote, BigWig(path) as local:
            np.testing.assert_array_equal(remote.values("chr1", 0, 20_000), local.values("chr1", 0, 20_000))


def test_an_index_of_no_known_version_is_not_kept(tmp_path: Path, track_files: list[Path]) -> None:
    index = read_file_index(open_source(track_files[0]))
    IndexCache(tmp_path).keep("https://host/a.bw", KnownFile(FileVersion(3, None), index))
    assert IndexCache(tmp_path).find("https://host/a.bw") is None


@pytest.mark.parametrize("damage", [b"", b"BNINDEX1", b"rubbish" * 100, None])
def test_a_damaged_entry_is_made_again(
    damage: bytes | None, cache: Path, proxy: SlowServer, track_files: list[Path], local_tracks: BigWigCollection
) -> None:
    with open_tracks(proxy, track_files, remote=KEEPING):
        pass
    entries = sorted(cache.rglob("*.index"))
    assert len(entries) == len(track_files)
    for entry in entries:
        data = bytearray(entry.read_bytes())
        data[len(data) // 2] ^= 1
        entry.write_bytes(bytes(data) if damage is None else damage)
    for requests in (2, 1):  # then it is kept again
        proxy.reset_counts()
        with open_tracks(proxy, track_files, remote=KEEPING) as collection:
            assert len(ranges_asked(proxy)) == requests * len(track_files)
            np.testing.assert_array_equal(batch(collection, count=2), batch(local_tracks, count=2))


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_an_index_comes_back_as_it_was_kept(name: str, corpus_file: CorpusFile, tmp_path: Path) -> None:
    path, _ = corpus_file(name)
    index = read_file_index(open_source(path))
    cache = IndexCache(tmp_path)
    cache.keep(str(path), KnownFile(FileVersion(7, '"tag"'), index))
    found = cache.find(str(path))
    assert found is not None
    assert found.version == FileVersion(7, '"tag"')
    assert (found.index.header, found.index.zoom_headers) == (index.header, index.zoom_headers)
    assert repr(found.index.summary) == repr(index.summary)  # NaN is not equal to itself
    assert found.index.chromosomes.names == index.chromosomes.names
    for part in ("chromosomes", "blocks"):
        kept, original = getattr(found.index, part), getattr(index, part)
        for attribute in [field.name for field in dataclasses.fields(original) if field.name not in ("names", "_rows")]:
            np.testing.assert_array_equal(getattr(kept, attribute), getattr(original, attribute))
            assert getattr(kept, attribute).dtype == getattr(original, attribute).dtype


def test_a_folder_that_cannot_be_written_to_is_done_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, proxy: SlowServer, track_files: list[Path]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BIGWIG_NUMBA_CACHE", str(tmp_path / "file"))
    with open_tracks(proxy, track_files, remote=KEEPING) as collection:
        assert len(collection) == len(track_files)


def _keep_many_times(folder: Path, url: str, path: Path, count: int) -> None:
    index = read_file_index(open_source(path))
    for number in range(count):
        IndexCache(folder).keep(url, KnownFile(FileVersion(number, "tag"), index))


def test_processes_may_share_the_folder(tmp_path: Path, track_files: list[Path]) -> None:
    url = "s3://bucket/a.bw"
    _keep_many_times(tmp_path, url, track_files[0], 1)
    arguments = (tmp_path, url, track_files[0], 20)
    writer = multiprocessing.get_context("spawn").Process(target=_keep_many_times, args=arguments)
    writer.start()
    while writer.is_alive():
        _keep_many_times(tmp_path, url, track_files[0], 1)
        assert IndexCache(tmp_path).find(url) is not None
        writer.join(0.001)
    assert writer.exitcode == 0
    assert [path.suffix for path in tmp_path.iterdir()] == [".index"]


def test_no_secret_is_in_any_cache(cache: Path, proxy: SlowServer, track_files: list[Path]) -> None:
    with open_tracks(proxy, track_files, remote=KEEPING, cache_dir=cache, cache_bytes=4 * MEBIBYTE) as collection:
        batch(collection)
    web = f"{proxy.url.replace('http://', 'http://me:test-secret@')}/{BUCKET}/{track_files[0].name}?sig=test-secret"
    with BigWigCollection([web], device="cpu", remote=KEEPING, cache_dir=cache, cache_bytes=4 * MEBIBYTE):
        pass
    written = [path for path in cache.rglob("*") if path.is_file()]
    assert {path.suffix for path in written} >= {".index", ".blocks"}
    for path in written:
        content = path.read_bytes()
        assert not [secret for secret in (b"test-key", b"test-secret", b"Signature") if secret in content]
        assert "secret" not in path.name


# --- blocks of collections


@pytest.mark.parametrize("on_disk", [True, False])
def test_an_epoch_of_known_windows_asks_for_nothing(
    on_disk: bool, tmp_path: Path, proxy: SlowServer, track_files: list[Path], local_tracks: BigWigCollection
) -> None:
    kept: dict[str, Any] = {"cache_dir": tmp_path} if on_disk else {"cache_bytes": 64 * MEBIBYTE}
    with open_tracks(proxy, track_files, **kept) as collection:
        for _ in range(2):
            proxy.reset_counts()
            np.testing.assert_array_equal(batch(collection), batch(local_tracks))
        assert proxy.seen == []
        np.testing.assert_array_equal(batch(collection, seed=1), batch(local_tracks, seed=1))
        assert proxy.seen != []


def test_a_later_process_finds_the_blocks_on_disk_and_another_version_does_not(
    tmp_path: Path, proxy: SlowServer, track_files: list[Path], local_tracks: BigWigCollection
) -> None:
    with open_tracks(proxy, track_files, cache_dir=tmp_path, cache_bytes=4 * MEBIBYTE) as collection:
        batch(collection)
    with open_tracks(proxy, track_files, cache_dir=tmp_path, cache_bytes=4 * MEBIBYTE) as collection:
        proxy.reset_counts()
        np.testing.assert_array_equal(batch(collection), batch(local_tracks))
        assert proxy.seen == []
    proxy.fault_for = always(CHANGED)
    with open_tracks(proxy, track_files, cache_dir=tmp_path, cache_bytes=4 * MEBIBYTE) as collection:
        proxy.reset_counts()
        batch(collection)
        assert proxy.seen != []


# --- the block cache itself


Blocks = list[tuple[int, bytes]]


def content_at(addresses: Any, sizes: list[int]) -> list[bytes]:
    import ctypes

    return [ctypes.string_at(int(address), size) for address, size in zip(addresses, sizes, strict=True)]


def found_blocks(cache: BlockCache, file: str, blocks: Blocks) -> list[bytes | None]:
    """What the cache has at the places of these blocks."""
    sizes = [len(block) for _, block in blocks]
    cached = cache.find(file, np.array([offset for offset, _ in blocks], np.int64), np.array(sizes, np.int64))
    found: list[bytes | None] = []
    for address, size in zip(cached.addresses.tolist(), sizes, strict=True):
        found.append(content_at([address], [size])[0] if address else None)
    return found


@given(
    sizes=st.lists(st.integers(1, 40_000), min_size=1, max_size=80),
    n_cut=st.integers(0, 80),
    on_disk=st.booleans(),
)
@settings(max_examples=25)
def test_a_block_is_found_as_it_was_or_not_at_all_and_the_last_ones_are_found(
    sizes: list[int], n_cut: int, on_disk: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    draw = np.random.default_rng(len(sizes))
    blocks = [(number * 50_000, draw.bytes(size)) for number, size in enumerate(sizes)]
    folder = tmp_path_factory.mktemp("blocks") if on_disk else None
    cache = BlockCache(MEBIBYTE, folder)
    for part in (blocks[:n_cut], blocks[n_cut:]):
        cache.add(FILE, [offset for offset, _ in part], [block for _, block in part])
    found = found_blocks(cache, FILE, blocks)
    assert {got == block for got, (_, block) in zip(found, blocks, strict=True) if got is not None} <= {True}
    assert found[-1] == blocks[-1][1]
    if sum(sizes) < MEBIBYTE // 2:
        assert None not in found
    assert found_blocks(cache, OTHER, blocks) == [None] * len(blocks)
    assert cache.n_bytes <= MEBIBYTE
    cache.close()
    if folder is not None:
        assert sum(path.stat().st_size for path in folder.rglob("*.blocks")) <= MEBIBYTE
        assert found_blocks(BlockCache(MEBIBYTE, folder), FILE, blocks) == found


def test_caches_of_two_processes_share_the_bound(tmp_path: Path) -> None:
    one, two = BlockCache(MEBIBYTE, tmp_path), BlockCache(MEBIBYTE, tmp_path)
    for number in range(60):
        for cache in (one, two):
            cache.add(FILE, [number * 50_000], [bytes([number]) * 50_000])
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.blocks")) <= MEBIBYTE
    assert found_blocks(one, FILE, [(59 * 50_000, bytes([59]) * 50_000)]) == [bytes([59]) * 50_000]


def test_a_block_of_another_process_that_was_damaged_on_disk_is_not_found(tmp_path: Path) -> None:
    blocks = [(0, b"a" * 1_000), (5_000, b"b" * 1_000)]
    cache = BlockCache(MEBIBYTE, tmp_path)
    cache.add(FILE, [0, 5_000], [block for _, block in blocks])
    cache.close()
    [segment] = tmp_path.rglob("*.blocks")
    data = bytearray(segment.read_bytes())
    data[1_500] ^= 1
    segment.write_bytes(bytes(data))
    assert found_blocks(BlockCache(MEBIBYTE, tmp_path), FILE, blocks) == [blocks[0][1], None]


@pytest.mark.parametrize("rubbish", [b"", b"x", b"\xff" * 44 * 3])
def test_a_damaged_table_is_no_danger(rubbish: bytes, tmp_path: Path) -> None:
    cache = BlockCache(MEBIBYTE, tmp_path)
    cache.add(FILE, [0], [b"a" * 1_000])
    cache.close()
    [table] = tmp_path.rglob("*.table")
    table.write_bytes(rubbish)
    assert found_blocks(BlockCache(MEBIBYTE, tmp_path), FILE, [(0, b"a" * 1_000)]) == [None]


def test_a_disk_that_cannot_be_written_to_is_done_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    cache = BlockCache(MEBIBYTE, tmp_path / "file")
    cache.add(FILE, [0], [b"abc"])
    assert found_blocks(cache, FILE, [(0, b"abc")]) == [None]
    assert len(caplog.records) == 1


def test_a_cache_that_is_too_small_to_be_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="cache_bytes is 10, expected 1,048,576 or more"):
        BlockCache(10)


# --- the command


def test_the_command_tells_and_clears(
    cache: Path, proxy: SlowServer, track_files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with open_tracks(proxy, track_files, remote=KEEPING, cache_dir=cache, cache_bytes=4 * MEBIBYTE) as collection:
        batch(collection)
    (cache / "other").write_bytes(b"1234")
    assert main(["cache", "info"]) == 0
    told = capsys.readouterr().out
    assert re.search(rf"indexes\s+{len(track_files)} files", told)
    assert re.search(r"blocks\s+\d+ files", told)
    assert str(cache) in told
    assert main(["cache", "clear"]) == 0
    capsys.readouterr()
    assert [path.name for path in cache.rglob("*") if path.is_file()] == ["other"]
    assert main(["cache", "info"]) == 0
    assert re.search(r"indexes\s+0 files", capsys.readouterr().out)


def test_the_command_clears_another_folder_of_blocks(tmp_path: Path, cache: Path) -> None:
    blocks = BlockCache(MEBIBYTE, tmp_path / "blocks")
    blocks.add(FILE, [0], [b"abc"])
    blocks.close()
    assert main(["cache", "clear", "--cache-dir", str(tmp_path / "blocks")]) == 0
    assert [path for path in (tmp_path / "blocks").rglob("*") if path.is_file()] == []
    assert os.path.isdir(tmp_path / "blocks")


# --- threads


@pytest.mark.parametrize("on_disk", [True, False])
def test_threads_may_share_a_collection_and_its_small_cache(
    on_disk: bool, tmp_path: Path, proxy: SlowServer, track_files: list[Path], local_tracks: BigWigCollection
) -> None:
    kept: dict[str, Any] = {"cache_bytes": MEBIBYTE, "cache_dir": tmp_path if on_disk else None}
    seeds = [0, 1, 2, 0, 1, 2, 3, 0]
    with open_tracks(proxy, track_files, **kept) as collection, ThreadPoolExecutor(4) as executor:
        batches = list(executor.map(lambda seed: batch(collection, seed=seed), seeds))
    for seed, values in zip(seeds, batches, strict=True):
        np.testing.assert_array_equal(values, batch(local_tracks, seed=seed))
