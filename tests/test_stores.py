"""Where compressed blocks live changes no value: streamed, kept on the device or beside it, all or some of them."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bigwig_numba import BigWigCollection
from bigwig_numba.errors import BlockDecodeError, ConfigError
from tests.bigwig_writer import write_bigwig
from tests.conftest import CorpusFile, on_host
from tests.corpus import CORPUS, DAMAGED, Window
from tests.engines import assert_same_bits

NAN = float("nan")
TOGETHER = ("mixed section kinds", "big-endian", "uncompressed", "big-endian, uncompressed, version 1", "stored NaN")


def batch_of(collection: BigWigCollection, windows: Sequence[Window], **arguments: Any) -> Any:
    chromosomes, starts, ends = zip(*windows, strict=True)
    return on_host(collection.get_batch(chromosomes, starts, ends, **arguments))


def open_collection(paths: Sequence[Path], **arguments: Any) -> BigWigCollection:
    return BigWigCollection(paths, sort=False, **arguments)


@pytest.mark.gpu
@pytest.mark.parametrize("store", ["host", "device"])
@pytest.mark.parametrize("name", CORPUS)
def test_every_file_gives_the_same_numbers_from_every_store(name: str, store: str, corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file(name)
    with (
        open_collection([path], device="cpu") as plain,
        open_collection([path], device="cuda", store=store) as kept,
    ):
        for window_size, default in ((1, NAN), (11, 0.0)):
            windows = recipe.windows(520, seed=window_size)
            ours = batch_of(kept, windows, window_size=window_size, default_value=default)
            theirs = batch_of(plain, windows, window_size=window_size, default_value=default)
            if window_size == 1:
                assert_same_bits(ours, theirs)
            else:
                np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=2.0**-126)


@pytest.mark.gpu
@pytest.mark.parametrize("store_bytes", [None, 0, 2_000, 20_000])
@pytest.mark.parametrize("store", ["stream", "host", "device"])
def test_files_of_all_kinds_together(store: str, store_bytes: int | None, corpus_file: CorpusFile) -> None:
    files = [corpus_file(name) for name in TOGETHER]
    windows = [window for _, recipe in files for window in recipe.windows(700, count=10, seed=3)]
    paths = [path for path, _ in files]
    arguments = {"track_indices": [4, 0, 2, 2], "default_value": NAN}
    with (
        open_collection(paths, device="cpu") as plain,
        open_collection(paths, device="cuda", store=store, store_bytes=store_bytes) as kept,
    ):
        for _ in range(2):
            assert_same_bits(batch_of(kept, windows, **arguments), batch_of(plain, windows, **arguments))
        held = kept.memory["store on device"] + kept.memory["store on host"]
        assert (held > 0) == (store != "stream" and store_bytes != 0)


@pytest.mark.gpu
def test_auto_keeps_blocks_once_as_many_bytes_were_streamed(corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("mixed section kinds")
    with open_collection([path], device="cuda", store="auto") as collection:
        held = []
        for seed in range(12):
            batch_of(collection, recipe.windows(2_000, seed=seed))
            held.append(collection.memory["store on device"])
    assert held[0] == 0
    assert held[-1] > 0


@pytest.mark.gpu
def test_an_allocation_that_fails_falls_back_to_streaming(
    corpus_file: CorpusFile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cupy = importlib.import_module("cupy")
    keeping = importlib.import_module("bigwig_numba.engine.keeping")

    def fail(*_: Any, **__: Any) -> None:
        raise cupy.cuda.memory.OutOfMemoryError(1, 2, 3)

    monkeypatch.setattr(keeping, "load_blocks", fail)
    path, recipe = corpus_file("mixed section kinds")
    windows = recipe.windows(310)
    with (
        open_collection([path], device="cpu") as plain,
        open_collection([path], device="cuda", store="device") as kept,
        caplog.at_level(logging.WARNING, "bigwig_numba"),
    ):
        for _ in range(2):
            assert_same_bits(batch_of(kept, windows), batch_of(plain, windows))
    assert sum("do not fit into GPU memory" in message for message in caplog.messages) == 1


@pytest.mark.gpu
@pytest.mark.parametrize("store", ["host", "device"])
def test_a_damaged_block_is_named(store: str, tmp_path: Path) -> None:
    recipe = DAMAGED["a block of noise"]()
    path = recipe.write(tmp_path / "damaged.bw")
    assert recipe.broken is not None
    assert recipe.healthy is not None
    with open_collection([path], device="cuda", store=store) as collection:
        with pytest.raises(BlockDecodeError, match=r"damaged\.bw: the block at bytes"):
            batch_of(collection, [recipe.broken])
        batch_of(collection, [recipe.healthy])


@pytest.mark.gpu
@pytest.mark.parametrize("working_set", [1, 30_000])
def test_a_batch_from_a_store_that_exceeds_the_working_set(working_set: int, corpus_file: CorpusFile) -> None:
    files = [corpus_file(name) for name in TOGETHER]
    windows = files[0][1].windows(310, count=23, seed=5)
    paths = [path for path, _ in files]
    with (
        open_collection(paths, device="cpu") as plain,
        open_collection(paths, device="cuda", store="device") as kept,
    ):
        kept._tracks.engine.working_set = working_set  # type: ignore[attr-defined]
        assert_same_bits(batch_of(kept, windows), batch_of(plain, windows))


@pytest.mark.parametrize("arguments", [{"store": "disk"}, {"store_bytes": -1}, {"store_bytes": 0.5}])
def test_arguments_that_make_no_sense(arguments: dict[str, Any], tmp_path: Path) -> None:
    path = write_bigwig(tmp_path / "one.bw", {"chr1": 100}, [])
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        open_collection([path], device="cpu", **arguments)


def test_the_cpu_reads_files_where_they_are_whatever_the_store(corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("mixed section kinds")
    with open_collection([path], device="cpu", store="device") as kept, open_collection([path], device="cpu") as plain:
        assert_same_bits(batch_of(kept, recipe.windows(310)), batch_of(plain, recipe.windows(310)))
        assert kept.memory["index"] > 0


def test_stage_seconds_add_up(corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("mixed section kinds")
    with open_collection([path], device="cpu") as collection:
        batch_of(collection, recipe.windows(310))
        before = collection.stage_seconds
        batch_of(collection, recipe.windows(310))
        after = collection.stage_seconds
    assert set(after) == {"plan", "fetch", "copy", "inflate", "reduce"}
    assert all(after[stage] > before[stage] > 0 for stage in ("plan", "fetch", "inflate", "reduce"))


@pytest.mark.gpu
def test_only_blocks_of_regions_are_kept(corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("deep index")
    windows = recipe.windows(310)
    chromosome, start, _ = windows[0]
    regions = pd.DataFrame({"chrom": [chromosome, "nowhere"], "start": [max(start, 0), 5], "end": [start + 310, 10]})
    with (
        open_collection([path], device="cpu") as plain,
        open_collection([path], device="cuda", store="device") as whole,
        open_collection([path], device="cuda", store="device", store_regions=regions) as kept,
    ):
        for _ in range(2):
            assert_same_bits(batch_of(kept, windows), batch_of(plain, windows))
            batch_of(whole, windows)
        assert 0 < kept.memory["store on device"] < whole.memory["store on device"]
