"""The lazy genome matrix equals `get_batch`, on threads, processes and a cluster that loses a worker; Zarr too."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import zarr
from dask.distributed import Client, LocalCluster, wait
from hypothesis import given, settings
from hypothesis import strategies as st

from bigwig_numba import BigWigCollection
from bigwig_numba.errors import ChromNotFoundError, ConfigError
from bigwig_numba.matrix import GenomeMatrix
from tests.conftest import CorpusFile, on_host

NAMES = ("mixed section kinds", "bedgraph only", "uncompressed")


@pytest.fixture(scope="module")
def tracks(corpus_file: CorpusFile) -> Iterator[BigWigCollection]:
    with BigWigCollection([corpus_file(name)[0] for name in NAMES], sort=False, device="cpu") as collection:
        yield collection


def eager(collection: BigWigCollection, matrix: GenomeMatrix, **options: Any) -> npt.NDArray[np.float32]:
    """The same values by `get_batch`, window after window of one bin."""
    bins = matrix.bins
    batch = collection.get_batch(
        bins["chrom"].tolist(), bins["start"], bins["end"], window_size=matrix.bin_size, **options
    )
    return on_host(batch)[:, 0]


# --- equal to get_batch


@settings(max_examples=12)
@given(st.sampled_from([1_000, 333, 64]), st.integers(3, 40), st.sampled_from(["mean", "max", "coverage"]))
def test_equals_get_batch(tracks: BigWigCollection, bin_size: int, bins_per_chunk: int, statistic: str) -> None:
    names = ["chr2", "chr1", "chrM"]
    matrix = tracks.to_dask(bin_size, names, statistic, bins_per_chunk=bins_per_chunk)
    values = matrix.values.compute(scheduler="threads")
    np.testing.assert_array_equal(values, eager(tracks, matrix, statistic=statistic))
    assert matrix.values.shape == values.shape == (len(matrix.bins), 3)
    assert max(matrix.values.chunks[0]) <= bins_per_chunk
    expected = [(name, start) for name in names for start in range(0, tracks.chromosome_sizes[name], bin_size)]
    whole = [(name, start) for name, start in expected if start + bin_size <= tracks.chromosome_sizes[name]]
    assert list(zip(matrix.bins["chrom"], matrix.bins["start"], strict=True)) == whole
    assert [matrix.bins["chrom"][matrix.rows(name)].unique().tolist() for name in ("chr2", "chr1")] == [
        ["chr2"],
        ["chr1"],
    ]


def test_all_chromosomes_come_in_natural_order(tracks: BigWigCollection) -> None:
    matrix = tracks.to_dask(100)
    assert matrix.bins["chrom"].unique().tolist() == list(tracks.chromosome_sizes)
    assert matrix.values.shape[1] == len(tracks)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_defaults_and_types_are_those_of_get_batch(tracks: BigWigCollection, dtype: str) -> None:
    matrix = tracks.to_dask(50, ["chr1"], default_value=np.nan, dtype=dtype)
    assert matrix.values.dtype == dtype
    np.testing.assert_array_equal(
        matrix.values.compute(scheduler="threads"), eager(tracks, matrix, default_value=np.nan, dtype=dtype)
    )


@pytest.mark.gpu
def test_chunks_are_of_cupy_on_the_gpu(corpus_file: CorpusFile) -> None:
    import cupy

    paths = [corpus_file(name)[0] for name in NAMES]
    with BigWigCollection(paths, sort=False, device="cuda") as collection:
        matrix = collection.to_dask(100, bins_per_chunk=30)
        values = matrix.values.compute(scheduler="threads")
        assert isinstance(matrix.values._meta, cupy.ndarray)
        assert isinstance(values, cupy.ndarray)
        np.testing.assert_array_equal(on_host(values), eager(collection, matrix))


# --- processes


def kill_worker_once(values: Any, marker: str) -> Any:
    """End this process as a lack of memory would, at the first call."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
        os.kill(os.getpid(), signal.SIGKILL)
    except FileExistsError:
        pass
    return values


def test_a_cluster_of_two_processes_gives_the_same_and_survives_a_killed_worker(
    tracks: BigWigCollection, tmp_path: Path
) -> None:
    matrix = tracks.to_dask(100, bins_per_chunk=20)
    marker = str(tmp_path / "killed")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 5}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, local_directory=str(tmp_path)
        ) as cluster,
        Client(cluster) as client,
    ):
        before = {info["id"] for info in client.scheduler_info()["workers"].values()}
        assert len(before) == 2
        # Pieces are kept by the workers, so that those of the killed one must be made again, and for Zarr none.
        kept = replace(matrix, values=matrix.values.persist())
        wait(kept.values)
        assert all(client.has_what().values())
        killing = kept.values.map_blocks(kill_worker_once, marker, dtype=np.float32, meta=np.empty((0, 0), np.float32))
        values = killing.compute()
        assert Path(marker).exists()
        np.testing.assert_array_equal(values, eager(tracks, matrix))
        kept.to_zarr(tmp_path / "matrix.zarr")
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "matrix.zarr", path="values")[:], values)


def test_files_are_opened_once_by_a_process(tracks: BigWigCollection, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    original = BigWigCollection.__setstate__

    def count(self: BigWigCollection, state: dict[str, Any]) -> None:
        opened.append(state["paths"])
        original(self, state)

    monkeypatch.setattr(BigWigCollection, "__setstate__", count)
    matrix = tracks.to_dask(77, bins_per_chunk=10)
    assert matrix.values.npartitions > 20
    matrix.values.sum().compute(scheduler="threads", num_workers=8)
    assert len(opened) <= 1  # none if an earlier test has read the same files


# --- Zarr


def test_zarr_holds_the_values_and_says_what_they_are(tracks: BigWigCollection, tmp_path: Path) -> None:
    matrix = tracks.to_dask(300, bins_per_chunk=7)
    with dask.config.set(scheduler="threads"):
        matrix.to_zarr(tmp_path / "matrix.zarr")
        group = zarr.open_group(tmp_path / "matrix.zarr", mode="r")
        np.testing.assert_array_equal(group["values"][:], eager(tracks, matrix))
        sizes = dict(zip(group.attrs["chromosome_names"], group.attrs["chromosome_sizes"], strict=True))
        bins = GenomeMatrix(matrix.values, group.attrs["bin_size"], sizes, group.attrs["tracks"]).bins
        pd.testing.assert_frame_equal(bins, matrix.bins)
        assert group.attrs["tracks"] == tracks.bigwig_paths
        with pytest.raises(FileExistsError, match="overwrite=True"):
            matrix.to_zarr(tmp_path / "matrix.zarr")
        tracks.to_dask(500).to_zarr(tmp_path / "matrix.zarr", overwrite=True)
    assert zarr.open_array(tmp_path / "matrix.zarr", path="values").shape == (len(tracks.to_dask(500).bins), 3)


# --- edges


def test_chromosomes_shorter_than_a_bin_have_none(tracks: BigWigCollection) -> None:
    matrix = tracks.to_dask(10_000_000)
    assert matrix.values.compute(scheduler="threads").shape == (0, 3)
    assert len(matrix.bins) == 0
    assert set(tracks.to_dask(1_000).bins["chrom"]) == set(tracks.chromosome_sizes) - {"chrM", "chr1_random"}


def test_refuses_what_makes_no_sense(tracks: BigWigCollection) -> None:
    with pytest.raises(ConfigError, match="bin_size"):
        tracks.to_dask(0)
    with pytest.raises(ConfigError, match="dtype"):
        tracks.to_dask(10, dtype="int8")
    with pytest.raises(ConfigError, match="twice"):
        tracks.to_dask(10, ["chr1", "chr1"])
    with pytest.raises(ChromNotFoundError, match="did you mean 'chr1'"):
        tracks.to_dask(10, ["1"])
    with pytest.raises(ChromNotFoundError, match="chr3"):
        tracks.to_dask(10, ["chr1"]).rows("chr3")
