"""`bigwig-numba bench intervals` compares rows with pyBigWig's, and says so when they differ."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bigwig_numba import BigWigCollection
from bigwig_numba.example_data import ExampleData, example_data
from tests.conftest import Run


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ExampleData:
    return example_data(tmp_path_factory.mktemp("example"), chromosome_length=50_000)


def bench(run: Run, data: ExampleData, *arguments: object) -> tuple[int, str, str]:
    return run("bench", "intervals", "--files", *data.bigwig_paths[:3], "--repeats", 1, "--devices", "cpu", *arguments)


@pytest.mark.parametrize("arguments", [(), ("--no-merge", "--threshold", -1)])
def test_rows_are_those_of_pybigwig(run: Run, data: ExampleData, arguments: tuple[object, ...]) -> None:
    status, out, _ = bench(run, data, "--json", *arguments)
    assert status == 0
    theirs, ours, everything = json.loads(out)
    assert (theirs["reader"], ours["reader"]) == ("pyBigWig", "bigwig_numba CPU")
    assert ours["agrees"] is True
    assert ours["n_rows"] == theirs["n_rows"] > 0
    assert ours["n_blocks"] == theirs["n_blocks"] > 0
    assert everything["n_rows"] > ours["n_rows"]
    assert everything["chromosomes"] == "3 chromosomes"


def test_other_rows_are_an_error(run: Run, data: ExampleData, monkeypatch: pytest.MonkeyPatch) -> None:
    original = BigWigCollection.intervals

    def forget_the_last(self: BigWigCollection, *arguments: Any, **options: Any) -> Any:
        return original(self, *arguments, **options).iloc[:-1]

    monkeypatch.setattr(BigWigCollection, "intervals", forget_the_last)
    status, out, err = bench(run, data)
    assert status == 1
    assert "DIFFERS" in out
    assert "not those of pyBigWig" in err
