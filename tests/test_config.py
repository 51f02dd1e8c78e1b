"""The configuration: environment before `.env` before defaults, read when asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from bigwig_numba import config
from bigwig_numba.cache import cache_folder
from bigwig_numba.config import read_config
from bigwig_numba.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a `.env` file above it."""
    (tmp_path / ".env").write_text(
        "# a comment\n\n"
        "OTHER=thing\n"
        "export BIGWIG_NUMBA_EXAMPLE_DATA_DIR='/data/with space'\n"
        "bigwig_numba_encode_url = http://mirror/  # of ours\n"
    )
    below = tmp_path / "project" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    return below


def test_defaults_lie_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert config.example_data_dir == cache_folder() / "downloads"
    assert config.bigwig_dir == cache_folder() / "downloads" / "bigwig"
    assert config.reference_genome.name == "GRCh38_no_alt_analysis_set_GCA_000001405.15.fasta"


def test_a_file_above_the_current_folder_counts(folder: Path) -> None:
    assert config.bigwig_dir == Path("/data/with space/bigwig")
    assert config.encode_url == "http://mirror"
    assert config.reference_genome_url.startswith("http://mirror/files/")


def test_the_environment_comes_first_and_is_read_each_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGWIG_NUMBA_EXAMPLE_DATA_DIR", "/elsewhere")
    assert config.bigwig_dir == Path("/elsewhere/bigwig")
    monkeypatch.setenv("BIGWIG_NUMBA_BIGWIG_DIR", "$HOME/tracks")
    monkeypatch.setenv("HOME", "/home/someone")
    assert config.bigwig_dir == Path("/home/someone/tracks")


def test_a_line_without_a_value_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BIGWIG_NUMBA_BIGWIG_DIR\n")
    with pytest.raises(ConfigError, match=r"\.env, line 1"):
        read_config({}, folder=tmp_path)


def test_what_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_thing"):
        config.no_such_thing  # noqa: B018
