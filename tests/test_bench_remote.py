"""The benchmark of remote reading runs, compares values, and its server is a server."""

from __future__ import annotations

import json
import re
from pathlib import Path

import aiohttp
import fsspec
import pytest

from bigwig_numba.benchmarks import remote
from bigwig_numba.benchmarks.object_server import ObjectServer, Traffic
from bigwig_numba.cli import main


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A small file, in a cache of the test's own."""
    monkeypatch.setenv("BIGWIG_NUMBA_CACHE", str(tmp_path))
    monkeypatch.setattr(remote, "N_BASES", 200_000)
    monkeypatch.setattr(remote, "PIECE", 100_000)
    monkeypatch.setattr(remote, "N_STEPS", 2)


@pytest.mark.usefixtures("small")
def test_the_command_measures_every_reader_and_compares_values(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--files", "3", "--tracks", "2", "--windows", "5", "--latency", "0", "--json"]
    assert main(["bench", "remote", *arguments]) == 0
    results = json.loads(capsys.readouterr().out)
    opened = {(result["what"], result["client"]): result for result in results}
    assert opened["open known", "bigwig_numba, s3://"]["requests"] == 3
    assert opened["open known, listed", "bigwig_numba, s3://"]["requests"] == 1
    assert opened["open cold", "bigwig_numba, s3://"]["requests"] <= 9
    right = {result["client"]: result["right"] for result in results if result["what"] == "batch"}
    assert {"bigwig_numba, s3://", "bigwig_numba, http://", "obstore, s3://", "pybigtools, http://"} <= right.keys()
    assert set(right.values()) == {True}
    assert opened["batch, kept on disk", "bigwig_numba, s3://"]["requests"] == 0


@pytest.mark.usefixtures("small")
def test_lines_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--files", "1", "--tracks", "1", "--windows", "2", "--latency", "0", "--bandwidth", "1000"]
    assert main(["bench", "remote", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if re.search(r"\d s +\S+ s CPU +[\d,]+ requests +[\d,]+/s +\S+ MB", line)]) > 10


def test_the_server_speaks_http_and_s3(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    for number in range(5):
        (tmp_path / "bucket" / f"{number}.bin").write_bytes(bytes(range(100)))
    with ObjectServer(tmp_path, n_processes=2) as server:
        s3 = fsspec.filesystem("s3", key="k", secret="s", endpoint_url=server.url)
        assert s3.cat_file("bucket/1.bin", start=10, end=13) == bytes([10, 11, 12])
        assert s3.ls("bucket", detail=False) == [f"bucket/{number}.bin" for number in range(5)]
        before = server.traffic
        web = fsspec.filesystem("http")
        assert web.cat_file(f"{server.url}/bucket/2.bin", 90, 200) == bytes(range(90, 100))
        assert web.info(f"{server.url}/bucket/2.bin")["size"] == 100
        assert server.traffic - before == Traffic(2, 10)
        with pytest.raises(FileNotFoundError):
            web.cat_file(f"{server.url}/bucket/none", 0, 10)
        with pytest.raises(aiohttp.ClientResponseError, match="416"):
            web.cat_file(f"{server.url}/bucket/2.bin", 100, 110)
