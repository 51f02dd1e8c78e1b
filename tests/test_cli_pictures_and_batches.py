"""Commands that write: `batch` writes what `get_batch` gives, `plot` draws the tracks of a range."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pyBigWig
import pytest
import zarr

from bigwig_numba import BigWigCollection
from bigwig_numba.example_data import ExampleData, example_data
from bigwig_numba.window_files import write_windows
from tests.conftest import Run

BED = "chr1\t10000\t10600\npeak_1\nchr3\t0\t400\tpeak_2\nchr2\t20000\t20100\tpeak_3\n".replace("\npeak_1", "\tpeak_1")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ExampleData:
    return example_data(tmp_path_factory.mktemp("example"), chromosome_length=60_000)


def test_every_device_writes_the_same_windows_and_draws(run: Run, data: ExampleData, device: str) -> None:
    Path("peaks.bed").write_text(BED)
    files = ["--bigwigs", *data.bigwig_paths, "--device", device, "--json"]
    more = ["--regions", "peaks.bed", "--sequence-length", 1_024, "--window-size", 32, "--output", "out.npy"]
    status, out, _ = run("batch", *files, *more)
    assert (status, json.loads(out)["device"]) == (0, device)
    np.testing.assert_allclose(np.load("out.npy"), oracle(data, 1_024, 32), rtol=1e-5, atol=1e-6)
    assert run("plot", *data.bigwig_paths, "chr1:10,000-30,000", "--device", device, "--output", "a.png")[0] == 0


@pytest.fixture
def batch(run: Run, data: ExampleData, tmp_path: Path) -> Run:
    (tmp_path / "peaks.bed").write_text(BED)
    files = ["--bigwigs", *data.bigwig_paths, "--device", "cpu"]
    return lambda *more: run("batch", *files, "--regions", "peaks.bed", *more)


def oracle(data: ExampleData, length: int, window_size: int) -> np.ndarray:
    """Means by pyBigWig of windows around the regions' centres; uncovered bases and places outside count as 0."""
    windows = []
    for chromosome, centre in (("chr1", 10_300), ("chr3", 200), ("chr2", 20_050)):
        tracks = []
        for path in data.bigwig_paths:
            with pyBigWig.open(str(path)) as file:
                bases = np.zeros(length)
                first = max(0, length // 2 - centre)
                start, end = centre - length // 2 + first, centre - length // 2 + length
                if chromosome in file.chroms():
                    bases[first:] = np.nan_to_num(file.values(chromosome, start, end, numpy=True))
                tracks.append(bases.reshape(-1, window_size).mean(axis=1))
        windows.append(np.stack(tracks, axis=1))
    return np.stack(windows)


@pytest.mark.parametrize("ending", [".npz", ".npy", ".zarr"])
def test_batches_are_pybigwigs_means(batch: Run, data: ExampleData, ending: str) -> None:
    more = ["--sequence-length", 1_024, "--window-size", 32, "--batch-size", 2, "--output", f"out{ending}"]
    status, out, err = batch(*more)
    assert (status, err) == (0, "")
    assert "(3, 32, 8), float32" in out
    opened = {".npz": np.load, ".npy": np.load, ".zarr": zarr.open_group}[ending](f"out{ending}")  # type: ignore[operator]
    values = np.asarray(opened if ending == ".npy" else opened["values"])
    np.testing.assert_allclose(values, oracle(data, 1_024, 32), rtol=1e-5, atol=1e-6)
    if ending == ".npz":
        assert opened["chromosomes"].tolist() == ["chr1", "chr3", "chr2"]
        assert opened["tracks"].tolist() == sorted(map(str, data.bigwig_paths))
    if ending == ".zarr":
        assert opened.attrs["chromosomes"] == ["chr1", "chr3", "chr2"]
    if ending != ".npy":
        assert np.asarray(opened["ends"][:] - opened["starts"][:]).tolist() == [1_024] * 3
    assert [path.name for path in Path().iterdir() if path.name.startswith(".")] == [], "nothing is left over"


def test_half_precision_and_defaults_and_json(batch: Run) -> None:
    more = ["--sequence-length", 512, "--dtype", "float16", "--default-value", "nan", "--output", "out.npy", "--json"]
    status, out, _ = batch(*more)
    assert status == 0
    assert json.loads(out) == {"output": "out.npy", "shape": [3, 512, 8], "dtype": "float16", "device": "cpu"}
    values = np.load("out.npy")
    assert values.dtype == np.float16
    assert np.isnan(values[1, :56]).all(), "the window hangs over the start of chr3"


def test_what_is_there_is_replaced_only_by_what_is_complete(batch: Run) -> None:
    Path("out.npz").write_text("old")
    status, _, err = batch("--sequence-length", 512, "--window-size", 32, "--statistic", "max", "--output", "out.npz")
    assert (status, err) == (0, "")
    assert np.load("out.npz")["values"].shape == (3, 16, 8)
    Path("peaks.bed").write_text("chr9\t0\t512\n")
    before = Path("out.npz").read_bytes()
    status, _, err = batch("--output", "out.npz")
    assert status == 1
    assert "chr9" in err
    assert Path("out.npz").read_bytes() == before
    assert sorted(path.name for path in Path().iterdir()) == ["out.npz", "peaks.bed"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ["--output", "out.npz"],
            "regions of 3 lengths, 100 to 600; an array needs one length: give --sequence-length",
        ),
        (["--sequence-length", 64, "--output", "out.csv"], ".npz, .npy, .zarr"),
        (["--sequence-length", 64, "--output", "no/such/folder/out.npy"], "no/such/folder"),
    ],
)
def test_batch_errors_are_advice(batch: Run, more: list[object], message: str) -> None:
    status, _, err = batch(*more)
    assert status == 1
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize("ending", ["npz", "npy"])
def test_windows_without_bins_make_an_empty_array(data: ExampleData, tmp_path: Path, ending: str) -> None:
    import pandas as pd

    regions = pd.DataFrame({"chrom": ["chr1"], "start": [5], "end": [10]})
    with BigWigCollection(data.bigwig_paths, device="cpu") as tracks:
        assert write_windows(tmp_path / f"out.{ending}", tracks, regions, window_size=50) == (1, 0, 8)


def test_plot_draws_the_tracks_of_a_range(run: Run, data: ExampleData) -> None:
    status, out, err = run("plot", *data.bigwig_paths[:3], "chr1:10,000-30,000", "--output", "range.svg")
    assert (status, out, err) == (0, "range.svg\n", "")
    texts = [element.text for element in ET.parse("range.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert {"atac_seq", "ctcf", "gc_percent", "chr1:10,000\N{EN DASH}30,000", "Position on chr1 (bp)"} <= set(texts)
    assert "2 kb" in texts, "a scale bar"


def test_the_same_picture_is_the_same_file(run: Run, data: ExampleData) -> None:
    for name in ("one.svg", "two.svg"):
        run("plot", *data.bigwig_paths[:2], "chr1:10,000-30,000", "--output", name)
    assert Path("one.svg").read_bytes() == Path("two.svg").read_bytes()


def test_plot_has_a_name_of_its_own_and_takes_names(run: Run, data: ExampleData) -> None:
    more = ["--names", "ATAC", "--one-based", "--same-scale", "--json"]
    status, out, _ = run("plot", data.bigwig_paths[0], "chr1:10,001-30,000", *more)
    assert status == 0
    assert json.loads(out) == {
        "output": "chr1_10000-30000.png", "chromosome": "chr1", "start": 10_000, "end": 30_000, "tracks": 1,
    }  # fmt: skip
    assert Path("chr1_10000-30000.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["chr7:1-2"], "none of the files has no chromosome 'chr7'"),
        (["chr1:1-2", "--output", "a.txt"], ".png, .pdf, .svg"),
        (["chr1:1-2", "--names", "a", "b"], "2 track names"),
    ],
)
def test_plot_errors_are_advice(run: Run, data: ExampleData, more: list[str], message: str) -> None:
    status, _, err = run("plot", data.bigwig_paths[0], *more)
    assert status == 1
    assert message in err
