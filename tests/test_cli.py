"""The command line: the demo's numbers are those of the files, errors are one line, exit codes mean what they say."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyBigWig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.cli.arguments import positive_integer
from bigwig_numba.demo import _draw_batches
from bigwig_numba.example_data import ExampleData, example_data
from bigwig_numba.version import __version__
from tests.conftest import Run

SMALL = ["--batches", "3", "--batch-size", "4", "--sequence-length", "2048"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ExampleData:
    return example_data(tmp_path_factory.mktemp("example"), chromosome_length=60_000)


@pytest.fixture
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than the batches; with it the demo runs in the other tests."""
    monkeypatch.setattr("bigwig_numba.demo.can_plot", lambda: False)


def run_small(run: Run, data: ExampleData, *arguments: object) -> dict[str, Any]:
    status, out, _ = run("demo", "--bigwigs", *data.bigwig_paths, "--device", "cpu", "--json", *SMALL, *arguments)
    assert status == 0
    result: dict[str, Any] = json.loads(out)
    return result


def pybigwig_values(path: Path, chromosome: str, start: int, end: int) -> npt.NDArray[np.float64]:
    """Values, 0 where there is nothing; writers leave out a chromosome without data."""
    with pyBigWig.open(str(path)) as file:
        if chromosome not in file.chroms():
            return np.zeros(end - start)
        return np.nan_to_num(file.values(chromosome, start, end, numpy=True))


def pybigwig_checksum(data: ExampleData, *, n_batches: int, batch_size: int, length: int) -> str:
    checksum = hashlib.blake2b(digest_size=8)
    for windows in _draw_batches(
        data.chromosome_sizes, n_batches=n_batches, batch_size=batch_size, length=length, seed=0
    ):
        values = [
            [pybigwig_values(path, chromosome, int(start), int(end)) for path in data.bigwig_paths]
            for chromosome, start, end in zip(windows.chromosomes, windows.starts, windows.ends, strict=True)
        ]
        checksum.update(np.array(values, "<f4").transpose(0, 2, 1).tobytes())
    return checksum.hexdigest()


def test_checksum_is_that_of_pybigwigs_values(run: Run, data: ExampleData) -> None:
    result = run_small(run, data)
    assert result["shape"] == [4, 2048, 8]
    assert result["checksum"] == pybigwig_checksum(data, n_batches=3, batch_size=4, length=2048)


@pytest.mark.gpu
def test_checksum_is_the_same_on_the_gpu(run: Run, data: ExampleData) -> None:
    result = run_small(run, data, "--device", "cuda")
    assert result["device"].startswith("CUDA, ")
    assert result["checksum"] == run_small(run, data)["checksum"]


@pytest.mark.usefixtures("no_picture")
def test_checksum_depends_on_the_windows(run: Run, data: ExampleData) -> None:
    checksums = {run_small(run, data, *more)["checksum"] for more in ([], ["--batches", 2], ["--sequence-length", 512])}
    assert len(checksums) == 3


@pytest.mark.usefixtures("no_picture")
def test_window_size_makes_bins(run: Run, data: ExampleData) -> None:
    assert run_small(run, data, "--window-size", 100)["shape"] == [4, 20, 8]


def test_report_says_device_speed_shape_and_checksum(run: Run, data: ExampleData) -> None:
    status, out, err = run("demo", "--bigwigs", data.bigwig_paths[0].parent, "--device", "cpu", *SMALL)
    assert status == 0
    assert "CPU" in out
    assert "windows/s" in out
    assert "(4, 2048, 8), float32" in out
    assert run_small(run, data)["checksum"] in out
    assert err == "", "progress bars are for terminals only"


@pytest.mark.usefixtures("no_picture")
def test_on_a_terminal_progress_is_shown(run: Run, data: ExampleData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    status, out, err = run("demo", "--bigwigs", *data.bigwig_paths, "--device", "cpu", *SMALL)
    assert status == 0
    assert "Streaming batches" in err
    assert "Streaming" not in out


@pytest.mark.usefixtures("no_picture")
def test_without_files_the_example_data_is_used(run: Run, data: ExampleData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigwig_numba.demo.example_data", lambda progress: data)
    status, out, _ = run("demo", "--device", "cpu", "--json", *SMALL)
    assert status == 0
    assert json.loads(out)["bigwig_paths"] == [str(path) for path in data.bigwig_paths]


def test_picture_is_written_where_asked(run: Run, data: ExampleData, tmp_path: Path) -> None:
    assert run_small(run, data, "--output", tmp_path / "window.svg")["picture"] == str(tmp_path / "window.svg")
    drawn = (tmp_path / "window.svg").read_text()
    assert all(path.stem in drawn for path in data.bigwig_paths)


def test_picture_goes_to_the_current_folder_by_default(run: Run, data: ExampleData, tmp_path: Path) -> None:
    assert run_small(run, data)["picture"] == "bigwig-numba-demo.png"
    assert (tmp_path / "bigwig-numba-demo.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_it_says_how_to_get_a_picture(
    run: Run, data: ExampleData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bigwig_numba.demo.can_plot", lambda: False)
    status, out, _ = run("demo", "--bigwigs", *data.bigwig_paths, "--device", "cpu", *SMALL)
    assert status == 0
    assert 'pip install "bigwig-numba[plot]"' in out
    status, _, err = run("demo", "--bigwigs", *data.bigwig_paths, "--device", "cpu", "--output", "a.png", *SMALL)
    assert status == 1, "a picture asked for by name is owed"
    assert 'pip install "bigwig-numba[plot]"' in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bigwigs", "no/such/file.bw"], "no/such/file.bw"),
        (["--bigwigs", "broken.bw"], "broken.bw"),
        (["--bigwigs", "gone://file.bw"], "gone"),
        (["--sequence-length", "60001"], "the longest has 60000"),
        (["--window-size", "4096"], "holds no bin of window_size=4096"),
        (["--output", "window.bmp"], ".png, .pdf, .svg"),
        (["--output", "no/such/folder/window.png"], "folder of no/such/folder/window.png does not exist"),
    ],
)
def test_error_is_one_line_and_status_1(
    run: Run, data: ExampleData, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "broken.bw").write_bytes(b"this is no bigWig file" * 10)
    status, out, err = run("demo", "--bigwigs", *data.bigwig_paths, "--device", "cpu", *SMALL, *arguments)
    assert status == 1
    assert out == ""
    assert err.startswith("bigwig-numba demo: error: ")
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["demo", "--device", "tpu"],
        ["demo", "--batches", "0"],
        ["demo", "--batch-size", "-1"],
        ["demo", "--sequence-length", "many"],
        ["demo", "--bigwigs"],
    ],
)
def test_wrong_usage_is_status_2_with_a_hint(run: Run, arguments: list[str]) -> None:
    status, out, err = run(*arguments)
    assert status == 2
    assert out == ""
    assert "usage: bigwig-numba" in err


def test_interruption_is_status_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bigwig_numba.cli.demo.run_demo", interrupt)
    assert run("demo") == (130, "", "interrupted\n")


def test_cuda_without_a_gpu_says_what_to_install(data: ExampleData) -> None:
    command = [sys.executable, "-m", "bigwig_numba", "demo", "--device", "cuda", "--bigwigs", *data.bigwig_paths]
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(command, env=hidden, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "bigwig-numba[cuda12]" in done.stderr
    assert done.stderr.count("\n") == 1


def test_version_and_help_are_to_the_point(run: Run) -> None:
    assert run("--version") == (0, f"bigwig-numba {__version__}\n", "")
    status, out, _ = run("demo", "--help")
    assert status == 0
    assert all(f"--{option}" in out for option in ("bigwigs", "device", "batches", "window-size", "output", "json"))


def test_large_numbers_may_have_separators() -> None:
    assert positive_integer("16,384") == positive_integer("16_384") == 16_384


sizes = st.dictionaries(st.sampled_from(["chr1", "chr2", "chrX", "chrM"]), st.integers(1, 10**12), min_size=1)


@given(sizes=sizes, length=st.integers(1, 10_000), seed=st.integers(0, 2**32 - 1))
def test_windows_lie_on_chromosomes_that_have_room(sizes: dict[str, int], length: int, seed: int) -> None:
    sizes["chr1"] = length + seed % 3
    for windows in _draw_batches(sizes, n_batches=2, batch_size=16, length=length, seed=seed):
        assert (windows.ends - windows.starts == length).all()
        assert (windows.starts >= 0).all()
        assert (windows.ends <= [sizes[chromosome] for chromosome in windows.chromosomes]).all()


def test_every_place_is_drawn() -> None:
    """Of 3 + 1 places for windows of 8 bases, each turns up about as often."""
    (windows,) = _draw_batches({"a": 10, "tiny": 7, "b": 8}, n_batches=1, batch_size=4_000, length=8, seed=1)
    places = list(zip(windows.chromosomes, windows.starts.tolist(), strict=True))
    counts = {place: places.count(place) for place in set(places)}
    assert counts.keys() == {("a", 0), ("a", 1), ("a", 2), ("b", 0)}
    assert min(counts.values()) > 900
