"""Fixtures for all tests: real files, the synthetic corpus, servers on localhost, the GPU gate."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, settings

from tests.corpus import CORPUS, Recipe
from tests.local_servers import FileServer, S3Server
from tests.prefetch_threads import threads_that_stay

if TYPE_CHECKING:
    from tests.dataset_world import World

pytest_plugins = ["tests.own_environment", "tests.remote_tracks"]  # fixtures that several modules share

settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("suite")

REAL_DATA_VARIABLE = "BIGWIG_NUMBA_REAL_DATA"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-gpu", action="store_true", help="without a GPU, fail its tests instead of skipping them"
    )
    parser.addoption(
        "--require-frameworks",
        action="store_true",
        help="without PyTorch, TensorFlow or JAX, fail their tests instead of skipping them",
    )


def why_no_gpu() -> str | None:
    """What the GPU tests lack, or None. Numba alone says yes in its simulator, so CuPy is asked first."""
    try:
        import cupy
    except ImportError as error:
        return f"CuPy cannot be imported ({error})"
    if not cupy.cuda.is_available():
        return "CuPy finds no CUDA device"
    from numba import cuda

    return None if cuda.is_available() else "numba-cuda finds no CUDA device"


def pytest_runtest_setup(item: pytest.Item) -> None:
    check_frameworks(item)
    if item.get_closest_marker("gpu") is None:
        return
    reason = why_no_gpu()
    if reason and item.config.getoption("--require-gpu"):
        pytest.fail(f"--require-gpu was given, but {reason}", pytrace=False)
    if reason:
        pytest.skip(reason)


def check_frameworks(item: pytest.Item) -> None:
    """Skip or fail a test marked ``frameworks("torch", ...)`` if one of them is not installed."""
    marker = item.get_closest_marker("frameworks")
    missing = [name for name in marker.args if importlib.util.find_spec(name) is None] if marker else []
    if missing and item.config.getoption("--require-frameworks"):
        pytest.fail(f"--require-frameworks was given, but {', '.join(missing)} cannot be imported", pytrace=False)
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed; .ci/run has them")


def real_data_folder(config: pytest.Config) -> Path:
    """Where real files would be; they are not part of the repository."""
    return Path(os.environ.get(REAL_DATA_VARIABLE, config.rootpath.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data(pytestconfig: pytest.Config) -> Path:
    """The folder with real BigWig files in `bigwig/`."""
    folder = real_data_folder(pytestconfig)
    if not (folder / "bigwig").is_dir():
        pytest.skip(f"no real data: {folder / 'bigwig'} is not there; set {REAL_DATA_VARIABLE} to a folder that has it")
    return folder


@pytest.fixture(scope="session", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """Each device in turn, as collections take it."""
    return str(request.param)


def on_host(batch: Any) -> npt.NDArray[Any]:
    """A batch of either device as a NumPy array."""
    return np.asarray(batch.get() if hasattr(batch, "get") else batch)


CorpusFile = Callable[[str], tuple[Path, Recipe]]


@pytest.fixture(scope="session")
def corpus_file(tmp_path_factory: pytest.TempPathFactory) -> CorpusFile:
    """Name in `CORPUS` → the written file and its recipe; each is written once a session."""
    folder = tmp_path_factory.mktemp("corpus")
    written: dict[str, tuple[Path, Recipe]] = {}

    def file(name: str) -> tuple[Path, Recipe]:
        if name not in written:
            recipe = CORPUS[name]()
            written[name] = recipe.write(folder / f"{name.replace(' ', '_').replace(',', '')}.bw"), recipe
        return written[name]

    return file


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A small genome with four tracks, for datasets; not to be written to."""
    from tests.dataset_world import make_world

    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def no_thread_left() -> Iterator[None]:
    """Threads that read ahead have ended when the test has."""
    yield
    assert threads_that_stay() == []


@pytest.fixture
def range_server(tmp_path: Path) -> Iterator[FileServer]:
    """HTTP on localhost with range requests, over an empty folder."""
    with FileServer(tmp_path, ranges=True) as server:
        yield server


@pytest.fixture
def no_range_server(tmp_path: Path) -> Iterator[FileServer]:
    """HTTP on localhost that answers a range request with the whole file."""
    with FileServer(tmp_path, ranges=False) as server:
        yield server


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    """An S3 server on localhost: its address, and the storage options with which s3fs finds it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield S3Server(f"http://{host}:{port}")
    server.stop()


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in an empty folder; give its exit status, standard output and standard error."""
    from bigwig_numba import cli

    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            status = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = int(stop.code or 0)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run
