"""`bigwig-numba bench windows` compares values, keeps what it has measured so far, and times new processes."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bigwig_numba.benchmarks import first_batch, peers
from bigwig_numba.benchmarks.windows import WindowsResult
from bigwig_numba.cli.bench_results import print_results
from bigwig_numba.errors import BigWigError
from bigwig_numba.example_data import ExampleData, example_data
from tests.conftest import Run

PEER = "pyBigWig, 1 process"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ExampleData:
    return example_data(tmp_path_factory.mktemp("example"), chromosome_length=50_000)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """New processes take seconds: their program runs in this one."""

    def run(command: Sequence[str], *, input: str, **_: object) -> subprocess.CompletedProcess[str]:
        assert list(command[:2]) == [sys.executable, "-c"]
        monkeypatch.setattr(sys, "stdin", io.StringIO(input))
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(command[2], {})
        return subprocess.CompletedProcess(command, 0, out.getvalue(), "")

    monkeypatch.setattr(subprocess, "run", run)


def bench(run: Run, data: ExampleData, *arguments: object) -> tuple[int, str, str]:
    shapes = ("--shapes", "4x1,000/1", "2x4096/128")
    options = ("--devices", "cpu", "--seconds", 0.01, "--peers", PEER)
    return run("bench", "windows", "--files", *data.bigwig_paths[:3], *shapes, *options, *arguments)


@pytest.mark.usefixtures("here")
def test_values_are_those_of_pybigwig_and_a_new_process_is_timed(run: Run, data: ExampleData, tmp_path: Path) -> None:
    status, out, _ = bench(run, data, "--json", "--output", tmp_path / "results.json")
    assert status == 0
    *rows, new_process = json.loads(out)
    assert [(row["reader"], row["shape"], row["agrees"]) for row in rows] == [
        (PEER, "4x1000/1", None),
        (PEER, "2x4096/128", None),
        ("bigwig_numba CPU", "4x1000/1", True),
        ("bigwig_numba CPU", "2x4096/128", True),
    ]
    for row in rows:
        assert 3 <= row["n_batches"] <= 200
        assert 0 < row["milliseconds"] <= row["slow_milliseconds"]
    assert rows[-1]["stages"]["inflate"] > 0
    parts = [new_process[f"{part}_seconds"] for part in ("import", "open", "batch")]
    assert min(parts) > 0
    assert new_process["seconds"] == pytest.approx(sum(parts))
    assert (tmp_path / "results.json").read_text() == out.rstrip()


@pytest.mark.usefixtures("here")
def test_other_values_are_an_error(run: Run, data: ExampleData, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(files: Sequence[str]) -> peers.Reader:
        reader = peer.open(files)
        return peers.Reader(lambda windows: np.nextafter(reader.values(windows) * 1.001, 9), reader.close)

    peer = peers.PEERS[PEER]
    monkeypatch.setitem(peers.PEERS, PEER, replace(peer, open=wrong))
    status, out, err = bench(run, data)
    assert status == 1
    assert "disagree" in err
    assert "DIFFERS" in out


@pytest.mark.usefixtures("here")
def test_a_peer_that_fails_leaves_the_others(
    run: Run, data: ExampleData, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(files: Sequence[str]) -> Any:
        raise OSError("its library is broken")

    monkeypatch.setitem(peers.PEERS, PEER, replace(peers.PEERS[PEER], open=fail))
    status, out, _ = bench(run, data)
    assert (status, PEER in out, out.count("bigwig_numba CPU")) == (0, False, 3)
    assert "its library is broken" in caplog.text


def test_what_was_measured_is_kept_when_the_program_ends_early(tmp_path: Path) -> None:
    def results() -> Any:
        yield WindowsResult("a reader", "4x1000/1", 3, 1.5, 2.0, 3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        print_results(results(), as_json=True, output=tmp_path / "results.json")
    (row,) = json.loads((tmp_path / "results.json").read_text())
    assert row["milliseconds"] == 1.5
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_a_new_process_that_fails_says_why(data: ExampleData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_batch, "PROGRAM", "raise SystemExit('no room')")
    with pytest.raises(BigWigError, match="no room"):
        first_batch.measure_first_batch("r", ["a.bw"], (["chr1"], [0], [10], 1), device="cpu", store="stream")
