"""For all tests, those in docstrings too: their own environment, when cycles are sought, who runs what in parallel."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests write to no cache of the user's, and take no credentials or proxies from the environment."""
    with pytest.MonkeyPatch.context() as environment:
        cache = str(tmp_path_factory.mktemp("cache"))
        environment.setenv("XDG_CACHE_HOME", cache)
        environment.setenv("BIGWIG_NUMBA_CACHE", cache)
        for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
            environment.delenv(name)
        environment.setenv("AWS_CONFIG_FILE", os.devnull)
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


def pytest_configure() -> None:
    """Look for cycles less often: compiling makes millions of objects, and that is a tenth of the suite's time."""
    gc.set_threshold(5_000, 20, 50)


def pytest_collection_finish() -> None:
    """Nor among the modules and tests that are there to the end; what tests make is looked at as ever."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist nobody asks
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``-n`` and no other wish, files are given to processes as a whole."""
    from tests.distribution import ByFile

    return ByFile(config, log) if config.getoption("dist") == "load" else None
