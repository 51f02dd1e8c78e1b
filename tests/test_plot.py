"""The picture of a window shows every track, keeps every peak, and can be written in each format."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.patches import StepPatch

from bigwig_numba.errors import ConfigError
from bigwig_numba.plot import MOST_COLUMNS, MOST_TRACKS, PICTURE_FORMATS, plot_tracks, save_picture

NAMES = ["atac", "ctcf", "rna"]


def waves(n_bins: int, n_tracks: int = 3) -> np.ndarray:
    return np.sin(np.arange(n_bins * n_tracks, dtype=np.float32)).reshape(n_bins, n_tracks)


def texts(figure: object) -> str:
    from matplotlib.text import Text

    return "\n".join(text.get_text() for text in figure.findobj(Text))  # type: ignore[attr-defined]


def test_each_track_has_its_name_and_all_share_genome_coordinates() -> None:
    figure = plot_tracks(waves(100), NAMES, chromosome="chr7", start=5_000, window_size=20)
    assert [axes.get_ylabel() for axes in figure.axes] == NAMES
    assert {axes.get_xlim() for axes in figure.axes} == {(5_000, 7_000)}
    assert "chr7:5,000\N{EN DASH}7,000" in texts(figure)


def test_a_track_keeps_its_colour_whatever_the_window() -> None:
    def colours(start: int) -> list[object]:
        figure = plot_tracks(waves(50), NAMES, chromosome="chr1", start=start)
        return [axes.findobj(StepPatch)[0].get_facecolor() for axes in figure.axes]

    assert colours(0) == colours(1_000)
    assert len(set(colours(0))) == len(NAMES)


@given(n_bins=st.integers(1, 3 * MOST_COLUMNS), peak=st.floats(0, 1, exclude_max=True), sign=st.sampled_from([1, -1]))
def test_no_peak_is_lost_in_a_wide_window(n_bins: int, peak: float, sign: int) -> None:
    values = np.zeros((n_bins, 1), np.float32)
    values[int(peak * n_bins)] = sign
    (axes,) = plot_tracks(values, ["one"], chromosome="chr1", start=0).axes
    (patch,) = axes.findobj(StepPatch)
    heights, edges, _ = patch.get_data()
    assert heights.tolist().count(sign) == 1
    assert len(heights) <= MOST_COLUMNS
    assert edges[0] == 0
    assert edges[-1] == n_bins
    column = int(np.flatnonzero(heights)[0])
    assert edges[column] <= int(peak * n_bins) < edges[column + 1]


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_a_track_with_nothing_to_draw_is_a_flat_line(value: float) -> None:
    (axes,) = plot_tracks(np.full((10, 1), value, np.float32), ["none"], chromosome="chr1", start=0).axes
    assert axes.findobj(StepPatch) == []
    assert axes.get_ylim() == (0, 1)


def test_of_too_many_tracks_the_first_are_drawn_and_the_title_says_so() -> None:
    figure = plot_tracks(waves(10, 100), [str(n) for n in range(100)], chromosome="chr1", start=0)
    assert len(figure.axes) == MOST_TRACKS
    assert f"{MOST_TRACKS} of 100 tracks" in texts(figure)


@pytest.mark.parametrize("shape", [(10,), (10, 2), (0, 3)])
def test_values_that_do_not_fit_the_names_are_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"\(bins, tracks\) is needed"):
        plot_tracks(np.zeros(shape, np.float32), NAMES, chromosome="chr1", start=0)


@pytest.mark.parametrize(("suffix", "magic"), list(zip(PICTURE_FORMATS, (b"\x89PNG", b"%PDF", b"<?xml"), strict=True)))
def test_each_format_can_be_written(tmp_path: Path, suffix: str, magic: bytes) -> None:
    path = tmp_path / f"window{suffix.upper()}"
    save_picture(plot_tracks(waves(100), NAMES, chromosome="chr1", start=0), path)
    assert path.read_bytes().startswith(magic)


def test_the_picture_is_not_blank(tmp_path: Path) -> None:
    save_picture(plot_tracks(waves(100), NAMES, chromosome="chr1", start=0), tmp_path / "window.png")
    pixels = matplotlib.image.imread(tmp_path / "window.png")
    assert pixels.shape[1] == 1440
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > len(NAMES)


def test_another_ending_is_an_error_that_names_the_formats(tmp_path: Path) -> None:
    figure = plot_tracks(waves(10), NAMES, chromosome="chr1", start=0)
    with pytest.raises(ConfigError, match=r"\.png, \.pdf, \.svg"):
        save_picture(figure, tmp_path / "window.bw")
