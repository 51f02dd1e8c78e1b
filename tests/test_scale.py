"""Scaling factors: which key of ``scale`` a file answers to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bigwig_numba.errors import ConfigError
from bigwig_numba.scale import scales_of_paths


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["/data/liver/a.bw"], "/data/liver/a.bw"),
        (["a.bw", "liver/a", "/data/liver"], "liver/a"),
        (["a", "a.bw"], "a.bw"),
        (["liver", "a"], "a"),
        (["data", "liver", "data/liver"], "data/liver"),
        (["data", "liver"], "liver"),
        (["data", "brain"], "data"),
        ([Path("liver/a.bw"), "a"], Path("liver/a.bw")),
        (["./liver//a.bw"], "./liver//a.bw"),
        (["/liver/a.bw", "a.bigwig", "A", "iver/a.bw", "b"], None),
    ],
)
def test_the_longest_key_wins_and_files_come_before_folders(keys: list[Any], expected: Any) -> None:
    scale = {key: 2.0 + number for number, key in enumerate(keys)}
    assert scales_of_paths(["/data/liver/a.bw"], scale).tolist() == [scale.get(expected, 1.0)]


@pytest.mark.parametrize("key", ["s3://bucket/liver/a.bw", "bucket/liver/a", "liver/a.bw", "a", "s3://bucket", "liver"])
@pytest.mark.parametrize("url", ["s3://bucket/liver/a.bw", "simplecache::s3://bucket/liver/a.bw"])
def test_urls_are_scaled_as_paths_are(url: str, key: str) -> None:
    assert scales_of_paths([url], {key: 3}).tolist() == [3.0]


def test_relative_paths_are_scaled_by_full_keys_and_the_other_way_round(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    paths = ["a.bw", f"{tmp_path}/b.bw", "../c.bw", f"file://{tmp_path}/d.bw"]
    keys = [f"{tmp_path}/a.bw", "./b.bw", "../c.bw", tmp_path / "d.bw"]
    assert scales_of_paths(paths, dict(zip(keys, range(2, 6), strict=True))).tolist() == [2, 3, 4, 5]


@pytest.mark.parametrize("factor", [np.nan, np.inf, "two", None, [1]])
def test_a_factor_must_be_a_finite_number(factor: Any) -> None:
    with pytest.raises(ConfigError, match="finite number"):
        scales_of_paths(["a.bw"], {"a.bw": factor})


def test_scale_must_be_a_mapping() -> None:
    with pytest.raises(ConfigError, match="must map paths to factors"):
        scales_of_paths(["a.bw"], 2.0)  # type: ignore[arg-type]


def test_a_key_that_scales_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    scales_of_paths(["liver/a.bw"], {"a": 1.5, "liver": 2, "braim": 2})
    assert [record.getMessage() for record in caplog.records] == [
        "No file is scaled by 2 of the keys of scale: liver, braim"
    ]
