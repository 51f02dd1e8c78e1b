"""The training examples run, and their loss falls."""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bigwig_numba.example_data import example_data
from tests.prefetch_threads import prefetch_threads

EXAMPLES = Path(__file__).parent.parent / "examples"
FRAMEWORKS = {
    "framework_agnostic": (),
    "jax_training": ("jax",),
    "lightning_training": ("torch", "pytorch_lightning"),
    "pytorch_training": ("torch",),
    "tensorflow_training": ("tensorflow",),
}


@pytest.fixture
def scripts_find_each_other(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As when they are started as scripts."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield
    for name in {"training_data", "pytorch_training"} & (set(sys.modules) - before):
        del sys.modules[name]


@pytest.mark.filterwarnings("ignore")  # of the frameworks
@pytest.mark.usefixtures("scripts_find_each_other")
@pytest.mark.parametrize(
    "example", [pytest.param(name, marks=pytest.mark.frameworks(*needed)) for name, needed in FRAMEWORKS.items()]
)
def test_loss_falls(
    example: str, device: str, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    data = example_data(tmp_path_factory.getbasetemp(), chromosome_length=100_000)
    main = runpy.run_path(str(EXAMPLES / f"{example}.py"))["main"]
    paths = ["--tracks", *map(str, data.bigwig_paths), "--genome", str(data.reference_genome_path)]
    assert main([*paths, "--device", device, "--steps", "12", "--batch-size", "8"]) == 0
    found = re.search(r"loss (\S+) at first, (\S+) at last, over 12 steps", capsys.readouterr().out)
    assert found
    assert float(found[2]) < 0.8 * float(found[1])
    assert prefetch_threads() == []


@pytest.mark.usefixtures("scripts_find_each_other")
def test_real_tracks_and_genome_are_options(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(EXAMPLES / "framework_agnostic.py"))["main"]
    track = real_data / "bigwig" / "scMappability__sacCer3_50.bw"
    genome = real_data / "genome" / "sacCer3.R64-1-1.toplevel.fa.gz"
    arguments = ["--tracks", str(track), "--genome", str(genome), "--chrom-aliases", "chr", "--device", "cpu"]
    assert main([*arguments, "--steps", "40"]) == 0
    assert "over 40 steps" in capsys.readouterr().out


def test_every_training_example_is_tested() -> None:
    training = {path.stem for path in EXAMPLES.glob("*.py") if "from training_data import" in path.read_text()}
    assert training == {*FRAMEWORKS, "s3_training"}  # which test_s3_example runs
