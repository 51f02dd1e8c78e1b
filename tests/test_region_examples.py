"""The examples about regions, predictions and whole genomes run, and do what they say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

import bigwig_numba
from bigwig_numba import BigWigCollection, regions
from bigwig_numba.example_data import ExampleData, example_data
from bigwig_numba.genome import ReferenceGenome

EXAMPLES = Path(__file__).parent.parent / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ExampleData:
    return example_data(tmp_path_factory.mktemp("example"), chromosome_length=150_000)


def test_predictions_read_back_as_the_model_said(
    data: ExampleData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = load("predict_to_bigwig")
    arguments = ["--genome", str(data.reference_genome_path), "--output", str(tmp_path), "--chromosomes", "chr2"]
    models = ["numpy", "torch"] if importlib.util.find_spec("torch") else ["numpy"]
    for model in models:
        assert example.main([*arguments, "--model", model]) == 0
        with ReferenceGenome(data.reference_genome_path, device="cpu") as genome:
            one_hot = genome.one_hot(["chr2"], [4_096 - example.MARGIN], [6_144 + example.MARGIN])
        expected = example.numpy_model(one_hot)[0]
        with BigWigCollection([tmp_path / "motif.bw", tmp_path / "gc.bw"], sort=False, device="cpu") as tracks:
            assert tracks.chromosome_sizes == {"chr2": data.chromosome_sizes["chr2"]}
            batch = tracks.get_batch(["chr2"], [4_096], [6_144], window_size=example.BIN_SIZE)
        np.testing.assert_allclose(batch[0], expected, rtol=1e-5, atol=1e-5)
    assert "highest on chr2" in capsys.readouterr().out


def test_the_model_finds_its_motif_on_both_strands(data: ExampleData) -> None:
    example = load("predict_to_bigwig")
    motif = "CCACTAGGGGGCGCC"
    other = motif[::-1].translate(str.maketrans("ACGT", "TGCA"))
    for site in (motif, other):
        letters = np.array(list("A" * 1_000 + site + "A" * 1_545))
        one_hot = (letters[:, None] == np.array(list("ACGT")))[None].astype(np.float32)
        scores = example.numpy_model(one_hot)[0, :, 0]
        assert scores.argmax() == (1_000 - example.MARGIN) // example.BIN_SIZE


def test_correlations_are_numpys(data: ExampleData, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = load("correlate_tracks")
    paths = [str(path) for path in data.bigwig_paths]
    picture = tmp_path / "correlation.png"
    assert example.main([*paths, "--bin-size", "500", "--output", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "most like" in capsys.readouterr().out
    with BigWigCollection(paths, device="cpu") as tracks:
        matrix = tracks.to_dask(500)
        found = example.correlations(matrix.values)
        bins = matrix.bins
        values = tracks.get_batch(bins["chrom"], bins["start"], bins["end"], window_size=500)[:, 0].astype(np.float64)
    expected = np.corrcoef(np.sign(values) * np.log1p(np.abs(values)), rowvar=False)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_training_regions_are_active_where_they_say_so(
    data: ExampleData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = load("regions_for_training")
    (path,) = (path for path in data.bigwig_paths if path.stem == "atac_seq")
    arguments = [str(path), "--genome", str(data.reference_genome_path), "--output", str(tmp_path), "--threshold", "30"]
    assert example.main(arguments) == 0
    assert "inactive" in capsys.readouterr().out
    parts = {name: regions.read_bed(tmp_path / f"{name}.bed") for name in ("train", "validation", "test")}
    assert {name: set(part["chrom"]) for name, part in parts.items()} == {
        "train": {"chr1"}, "validation": {"chr2"}, "test": {"chr3"},
    }  # fmt: skip
    everything = pd.concat(parts.values(), ignore_index=True)
    assert set(everything["end"] - everything["start"]) == {1_024}
    is_active = (everything["name"] == "active").to_numpy()
    with bigwig_numba.open(path) as track:
        rows = zip(everything["chrom"], everything["start"], everything["end"], strict=True)
        highest = np.array([np.nanmax(track.values(*row)) for row in rows])
    assert is_active.sum() > 10
    assert (highest[is_active] > 30).all()
    assert (~is_active).any()
    assert (highest[~is_active] <= 30).all()
