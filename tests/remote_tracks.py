"""Example tracks on an S3 server behind a slow proxy: fixtures for tests of remote collections."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import numpy.typing as npt
import pytest

from bigwig_numba.collection import BigWigCollection
from bigwig_numba.example_data import example_data
from bigwig_numba.retries import RetryPolicy
from bigwig_numba.storage import RemoteOptions
from tests.local_servers import FileServer, S3Server
from tests.slow_server import SlowServer

BUCKET = "tracks"
N_TRACKS = 4
AT_ONCE = RetryPolicy(wait=float)  # a function that can be pickled and does not wait
OPTIONS = RemoteOptions(retry_policy=AT_ONCE, timeout=20, keep_indexes=False)

Values = npt.NDArray[np.float32]


@pytest.fixture(scope="session")
def track_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Local BigWig files, each larger than what opening reads of it."""
    paths = example_data(tmp_path_factory.mktemp("tracks"), chromosome_length=400_000).bigwig_paths
    return sorted(paths, key=lambda path: -path.stat().st_size)[:N_TRACKS]


@pytest.fixture(scope="session")
def bucket(moto_server: S3Server, track_files: list[Path]) -> S3Server:
    """The server, with the files in a bucket."""
    file_system = fsspec.filesystem("s3", **moto_server.storage_options)
    file_system.mkdirs(BUCKET, exist_ok=True)
    for path in track_files:
        file_system.put_file(str(path), f"{BUCKET}/{path.name}")
    return moto_server


@pytest.fixture(scope="session")
def s3_proxy(bucket: S3Server) -> Iterator[SlowServer]:
    """In front of the S3 server. One for all tests, as s3fs takes its time for each new address."""
    with SlowServer(bucket.endpoint_url, unchanging=f"/{BUCKET}/") as server:
        yield server


@pytest.fixture
def proxy(s3_proxy: SlowServer) -> SlowServer:
    """In front of the S3 server, as if it were new."""
    s3_proxy.reset()
    return s3_proxy


@pytest.fixture
def web_proxy(track_files: list[Path]) -> Iterator[SlowServer]:
    """In front of a web server that has the files."""
    with FileServer(track_files[0].parent, ranges=True) as files, SlowServer(files.url("").rstrip("/")) as server:
        yield server


def storage_options(proxy: SlowServer) -> dict[str, Any]:
    return {"key": "test-key", "secret": "test-secret", "endpoint_url": proxy.url}


def urls(track_files: list[Path]) -> list[str]:
    return [f"s3://{BUCKET}/{path.name}" for path in track_files]


def open_tracks(proxy: SlowServer, track_files: list[Path], **options: Any) -> BigWigCollection:
    """The files through the proxy, on the CPU, in the order of `track_files`."""
    kept = {"sort": False, "device": "cpu", "remote": OPTIONS, "storage_options": storage_options(proxy), **options}
    return BigWigCollection(urls(track_files), **kept)


def batch(collection: BigWigCollection, *, seed: int = 0, count: int = 10, **options: Any) -> Values:
    """Windows anywhere on the chromosomes, (S, 64, T)."""
    draw = np.random.default_rng(seed)
    sizes = collection.chromosome_sizes
    names = draw.choice(sorted(sizes), count)
    starts = np.array([draw.integers(-500, sizes[name]) for name in names])
    values: Values = collection.get_batch(names, starts, starts + 1_024, window_size=16, **options)
    return values


@pytest.fixture(scope="session")
def local_tracks(track_files: list[Path]) -> Iterator[BigWigCollection]:
    with BigWigCollection(track_files, sort=False, device="cpu") as collection:
        yield collection
