"""The dataset's benchmark: what it reports, on the command line too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bigwig_numba import cli
from bigwig_numba.example_data import example_data

SMALL = ["--batch-size", "8", "--sequence-length", "256", "--n-batches", "4", "--n-channels", "4", "--devices", "cpu"]
STAGES = {"draw", "sequence", "plan", "fetch", "inflate", "reduce", "transform"}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    data = example_data(tmp_path_factory.mktemp("example"), chromosome_length=50_000)
    return ["--files", *map(str, data.bigwig_paths[:3]), "--genome", str(data.reference_genome_path)]


def test_batches_and_stages_are_counted(paths: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "dataset", *paths[:4], *SMALL, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["workload"]["n_batches"] == 4
    (result,) = report["results"]
    assert (result["consumer"], result["device"], result["n_tracks"]) == ("nothing", "cpu", 3)
    assert result["batches_per_second"] > 0
    assert set(result["stage_shares"]) >= STAGES - {"sequence"}
    assert sum(result["stage_shares"].values()) == pytest.approx(1)


@pytest.mark.frameworks("torch")
def test_a_model_is_trained_beside_it(paths: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "dataset", *paths, *SMALL, "--window-size", "16", "--dtype", "bfloat16"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:20].strip() for line in lines] == ["nothing", "small torch model"]
    assert all("waited" in line and "sequence" in line for line in lines)


def test_a_genome_without_tracks_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "dataset", "--genome", str(tmp_path / "genome.fa")]) == 1
    assert "--files" in capsys.readouterr().err
