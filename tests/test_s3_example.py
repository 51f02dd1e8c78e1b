"""The example trains from s3:// URLs, and its loss falls."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import fsspec
import pytest

from bigwig_numba.example_data import example_data
from tests.local_servers import S3Server
from tests.slow_server import SlowServer

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.frameworks("torch")
@pytest.mark.filterwarnings("ignore")  # of the framework
def test_a_model_is_trained_from_a_bucket_with_keys_from_the_environment(
    moto_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = example_data(tmp_path / "data", chromosome_length=100_000)
    bucket = fsspec.filesystem("s3", **moto_server.storage_options)
    bucket.mkdirs("training", exist_ok=True)
    for path in (*data.bigwig_paths[:3], data.reference_genome_path):
        bucket.put_file(str(path), f"training/{path.name}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    before = set(sys.modules)
    main = runpy.run_path(str(EXAMPLES / "s3_training.py"))["main"]
    with SlowServer(moto_server.endpoint_url) as server:
        places = ["--tracks", "s3://training/*.bw", "--genome", "s3://training/genome.fa", "--endpoint-url", server.url]
        kept = ["--cache-dir", str(tmp_path / "blocks"), "--cache-gb", "0.1"]
        assert main([*places, *kept, "--device", "cpu", "--steps", "12", "--batch-size", "8"]) == 0
        assert {seen.path.rpartition("/")[2] for seen in server.seen if seen.range} >= {
            path.name for path in data.bigwig_paths[:3]
        }
    for name in {"training_data", "pytorch_training"} & (set(sys.modules) - before):
        del sys.modules[name]
    told = capsys.readouterr().out
    assert "3 of 3 tracks could be read" in told
    found = re.search(r"loss (\S+) at first, (\S+) at last, over 12 steps", told)
    assert found
    assert float(found[2]) < 0.8 * float(found[1])
