"""Code of the README and of docs/s3.md that needs a bucket, PyTorch or TensorFlow runs where there is one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

import bigwig_numba
from bigwig_numba import write_bigwig
from bigwig_numba.example_data import example_data
from tests.local_servers import S3Server

ROOT = Path(__file__).parent.parent
TRACKS = ("one.bw", "deeper/two.bw")
SIZES = {"chr1": 400_000, "chr7": 100_000}


def code_that_needs(what: str, page: str) -> str:
    """All blocks of a page that are not run without it."""
    pattern = rf"^<!-- not run without {what} -->\n```python\n(.*?)^```"
    found: list[str] = re.findall(pattern, (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert found
    return "\n".join(found)


@pytest.fixture
def my_bucket(moto_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracks that all may read, in a bucket that is found without a word of where it is."""
    file_system = fsspec.filesystem("s3", **moto_server.storage_options)
    file_system.mkdirs("my-bucket", exist_ok=True)
    windows = [(name, 0, np.arange(size) // 100 + 1) for name, size in SIZES.items()]
    write_bigwig(tmp_path / "track.bw", SIZES, windows, progress=False)
    for name in TRACKS:
        file_system.put_file(str(tmp_path / "track.bw"), f"my-bucket/tracks/{name}", ACL="public-read")
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")


@pytest.mark.usefixtures("my_bucket")
@pytest.mark.parametrize("page", ["README.md", "docs/s3.md"])
def test_tracks_of_a_bucket_become_a_batch(page: str) -> None:
    namespace: dict[str, Any] = {name: getattr(bigwig_numba, name) for name in ("BigWigCollection", "RemoteOptions")}
    exec(compile(code_that_needs("a bucket", page), page, "exec"), namespace)
    with namespace.get("tracks") or namespace["collection"] as collection:
        batch = namespace["batch"]
        assert batch.shape[2] == len(collection) == len(TRACKS)
        assert batch[0, 0, 0] > 0


@pytest.mark.frameworks("torch", "tensorflow")
@pytest.mark.filterwarnings("ignore")  # of the frameworks
def test_the_readmes_loops_go_through_batches(tmp_path: Path) -> None:
    namespace: dict[str, Any] = {"data": example_data()}
    for framework in ("torch", "tensorflow"):
        code = code_that_needs(framework, "README.md")
        exec(compile(code, "README.md", "exec"), namespace)
        assert tuple(namespace["sequences"].shape) == (64, 2048, 4)
        assert namespace["values"].shape[0] == 64
        namespace["dataset"].close()
