"""Pictures show every track, every peak and every base, and can be written in each format; reprs help."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from bigwig_numba import BigWig, BigWigCollection
from bigwig_numba.errors import ChromNotFoundError, ConfigError, WindowError
from bigwig_numba.example_data import ExampleData, example_data
from bigwig_numba.plot import (
    LONGEST_LINE,
    MOST_COLUMNS,
    MOST_TRACKS,
    PICTURE_FORMATS,
    _in_lines,
    plot_batch,
    plot_tracks,
    save_picture,
)
from bigwig_numba.reprs import facts_html
from bigwig_numba.sequence_strip import letter_heights

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


@given(st.text(st.characters(codec="ascii", categories=["L", "N"], include_characters="_-. "), max_size=120))
def test_long_names_take_two_lines_at_most(name: str) -> None:
    lines = _in_lines(name).split("\n")
    assert len(lines) <= 2
    assert max(len(line) for line in lines) <= LONGEST_LINE
    if len(name) <= 2 * LONGEST_LINE and " " not in name:
        assert "".join(lines) == name


def test_names_break_at_separators() -> None:
    assert _in_lines("bigwig_chr9_4000000_6000000_K562_RNA") == "bigwig_chr9_4000000_\n6000000_K562_RNA"


@pytest.mark.parametrize(("top", "text"), [(0.123456, "0.123"), (70.81, "70.8"), (1_492.4, "1,492"), (2e9, "2e+09")])
def test_scales_are_numbers_that_one_reads(top: float, text: str) -> None:
    figure = plot_tracks(np.full((3, 1), top), ["one"], chromosome="chr1", start=0)
    assert f"[0, {text}]" in texts(figure).split("\n")


def test_a_scale_goes_from_the_lowest_to_the_highest_value_and_has_zero() -> None:
    figure = plot_tracks(np.array([[-2.0, 5.0, -3.0], [4.0, 6.0, -1.0]]), ["a", "b", "c"], chromosome="chr1", start=0)
    assert {"[-2, 4]", "[0, 6]", "[-3, 0]"} <= set(texts(figure).split("\n"))


# --- scale bars, one scale, sequences


@pytest.mark.parametrize(
    ("length", "text"), [(7, "1 bp"), (100, "20 bp"), (9_999, "1 kb"), (20_000, "2 kb"), (3_000_000, "500 kb")]
)
def test_the_scale_bar_is_a_round_length(length: int, text: str) -> None:
    figure = plot_tracks(waves(length // min(length, 500)), NAMES, chromosome="chr1", start=50, end=50 + length)
    (bar,) = [line for line in figure.axes[0].lines if line.get_gid() == "scale bar"]
    left, right = bar.get_xdata()
    assert text in texts(figure)
    assert right == 50 + length
    assert right - left == int(text.split()[0]) * {"bp": 1, "kb": 1_000}[text.split()[1]]


def test_with_one_scale_all_tracks_have_the_same_limits_and_say_so() -> None:
    values = waves(100) * [1, 5, 20]
    limits = {axes.get_ylim() for axes in plot_tracks(values, NAMES, chromosome="chr1", start=0).axes}
    assert len(limits) == 3
    figure = plot_tracks(values, NAMES, chromosome="chr1", start=0, same_scale=True)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert "one scale" in texts(figure)


def one_hot(letters: str) -> np.ndarray:
    return np.array([[letter == base for base in "ACGT"] for letter in letters], np.float32)


def letters_drawn(axes: Axes) -> int:
    """A letter's outline ends once, but for A, whose counter ends too."""
    return sum(int((patch.get_path().codes == 79).sum()) for patch in axes.patches)


@pytest.mark.parametrize("letters", ["C", "GTTC", "CGT" * 50])
def test_short_sequences_are_letters(letters: str) -> None:
    figure = plot_tracks(waves(len(letters)), NAMES, chromosome="chr1", start=10, sequence=one_hot(letters))
    assert [axes.get_ylabel() for axes in figure.axes] == ["sequence", *NAMES]
    assert letters_drawn(figure.axes[0]) == len(letters)
    assert {axes.get_xlim() for axes in figure.axes} == {(10, 10 + len(letters))}


def test_a_letter_stands_at_its_base_in_its_colour() -> None:
    figure = plot_tracks(waves(3), NAMES, chromosome="chr1", start=100, sequence=one_hot("CGT"))
    places = {patch.get_facecolor()[:3]: patch.get_path().get_extents() for patch in figure.axes[0].patches}
    assert len(places) == 3
    assert sorted((int(box.x0), int(box.x1)) for box in places.values()) == [(100, 100), (101, 101), (102, 102)]
    assert all(box.height == pytest.approx(1) for box in places.values())


@given(shares=st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=1, max_size=20))
def test_letters_are_as_high_as_what_is_known(shares: list[list[float]]) -> None:
    heights = letter_heights(np.array(shares))
    assert (heights >= 0).all()
    assert (heights.sum(axis=1) <= 1 + 1e-9).all()
    assert letter_heights(np.full((1, 4), 0.25)).sum() == 0
    assert letter_heights(one_hot("G")).tolist() == [[0, 0, 1, 0]]


def test_long_sequences_are_gc_content() -> None:
    sequence = np.concatenate((one_hot("GC" * 240), one_hot("AT" * 240), np.full((480, 4), 0.25, np.float32)))
    figure = plot_tracks(waves(10), NAMES, chromosome="chr1", start=0, window_size=96, sequence=sequence)
    (patch,) = figure.axes[0].findobj(StepPatch)
    heights, edges, _ = patch.get_data()
    assert figure.axes[0].get_ylabel() == "GC content"
    assert heights[edges[1:] <= 480].tolist() == [1.0] * 80
    assert heights[edges[1:] > 480].tolist() == [0.0] * 160


@dataclass
class Sample:
    """What is drawn of a batch."""

    chromosomes: Any
    starts: Any
    ends: Any
    values: Any
    sequences: Any = None
    track_names: Any = None
    track_indices: Any = None
    reverse_complement: Any = None

    def __len__(self) -> int:
        return len(self.starts)


def sample(**changes: Any) -> Sample:
    values = np.arange(2 * 8 * 3, dtype=np.float32).reshape(2, 8, 3)
    names = [f"tracks/{name}.bw" for name in NAMES]
    return Sample(**{
        "chromosomes": ["chr1", "chr2"], "starts": [100, 200], "ends": [116, 216], "values": values,
        "sequences": ["ACGT" * 8] * 2, "track_names": names, **changes,
    })  # fmt: skip


def heights_of(figure: Figure, track: int) -> list[float]:
    (patch,) = figure.axes[track].findobj(StepPatch)
    return list(patch.get_data()[0])


def test_a_sample_is_drawn_with_its_sequence_around_its_values() -> None:
    figure = plot_batch(sample(), 1)
    assert [axes.get_ylabel() for axes in figure.axes] == ["sequence", *NAMES]
    assert {axes.get_xlim() for axes in figure.axes} == {(192, 224)}, "32 bases around the middle of 200 to 216"
    (patch,) = figure.axes[2].findobj(StepPatch)
    assert patch.get_data()[1].tolist() == list(range(200, 217, 2))
    assert heights_of(figure, 2) == sample().values[1, :, 1].tolist()
    assert figure.axes[0].get_title(loc="left") == "chr2:192\N{EN DASH}224"


def test_a_sample_of_the_other_strand_runs_backwards() -> None:
    figure = plot_batch(sample(reverse_complement=np.array([True, False])), 0)
    assert "chr1:92\N{EN DASH}124 \N{MIDDLE DOT} \N{MINUS SIGN} strand" in texts(figure)
    assert heights_of(figure, 1) == sample().values[0, :, 0].tolist(), "as the model sees it"
    assert figure.axes[-1].get_xlim() == (-124, -92)
    assert figure.axes[-1].xaxis.get_major_formatter()(-100, 0) == "100"


def test_bfloat16_bits_tensors_and_either_layout_are_understood() -> None:
    values = sample().values
    bits = (values.view(np.uint32) >> 16).astype(np.uint16)
    encoded = np.stack([one_hot("ACGT" * 8)] * 2)
    expected = heights_of(plot_batch(sample(), 1), 3)
    for changes in ({"values": bits}, {"sequences": encoded}, {"sequences": encoded.transpose(0, 2, 1)}):
        figure = plot_batch(sample(**changes), -1)
        assert heights_of(figure, 3) == expected
        assert letters_drawn(figure.axes[0]) == letters_drawn(plot_batch(sample(), 1).axes[0])


def test_names_are_those_of_the_tracks_that_were_taken() -> None:
    four = ["a/x.bw", "b/x.bw", "y.bw", "z.bw"]
    names = lambda **changes: [axes.get_ylabel() for axes in plot_batch(sample(**changes), 0).axes[1:]]  # noqa: E731
    assert names(track_names=four, track_indices=np.array([3, 0, 1])) == ["z", "a/x", "b/x"]
    assert names(track_names=None) == ["track 0", "track 1", "track 2"]


@pytest.mark.parametrize(("changes", "number"), [({"values": None}, 0), ({}, 2), ({}, -3)])
def test_a_sample_that_there_is_not_is_an_error(changes: dict[str, Any], number: int) -> None:
    with pytest.raises(ConfigError, match="the batch has"):
        plot_batch(sample(**changes), number)


# --- methods


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ExampleData:
    return example_data(tmp_path_factory.mktemp("example"), chromosome_length=60_000)


def test_a_collection_draws_a_region_of_its_tracks(data: ExampleData) -> None:
    with BigWigCollection(data.bigwig_paths, device="cpu") as tracks:
        figure = tracks.plot("chr1", 10_000, 30_000, track_indices=[2, 0], statistic="max")
        expected = tracks.get_batch(["chr1"], [10_000], [30_000], 20, np.nan, track_indices=[2, 0], statistic="max")[0]
        whole = tracks.plot("chr3")
    assert [axes.get_ylabel() for axes in figure.axes] == ["gc_percent", "atac_seq"]
    np.testing.assert_array_equal(heights_of(figure, 0), np.nan_to_num(expected[:, 0]))
    assert whole.axes[0].get_xlim() == (0, data.chromosome_sizes["chr3"])


def test_a_file_draws_its_means(data: ExampleData) -> None:
    with BigWig(data.bigwig_paths[0]) as track:
        figure = track.plot("chr1", 10_000, 10_200)
        expected = track.values("chr1", 10_000, 10_200)
        assert track.plot("chr2").axes[0].get_xlim() == (0, track.chroms["chr2"])
    np.testing.assert_allclose(heights_of(figure, 0), np.nan_to_num(expected))
    assert figure.axes[0].get_ylabel() == "atac_seq"


def test_windows_that_make_no_sense_are_errors(data: ExampleData) -> None:
    with BigWigCollection(data.bigwig_paths, device="cpu") as tracks:
        with pytest.raises(ChromNotFoundError, match="chr1"):
            tracks.plot("1")
        with pytest.raises((WindowError, ConfigError)):
            tracks.plot("chr1", 500, 500)


def test_notebooks_show_what_is_in_a_file_and_a_collection(data: ExampleData) -> None:
    with BigWig(data.bigwig_paths[0]) as track, BigWigCollection(data.bigwig_paths, device="cpu") as tracks:
        of_file, of_collection = track._repr_html_(), tracks._repr_html_()
    for html in (of_file, of_collection):
        ET.fromstring(html if html.endswith("</div>") else f"<div>{html}</div>")  # well-formed
        assert "<td>chr1</td><td>60,000</td>" in html
    assert "bigWig version 4, little-endian" in of_file
    assert "<td>7</td><td>rna_seq_plus</td>" in of_collection


def test_html_is_escaped_and_long_tables_are_cut() -> None:
    html = facts_html("<b>.bw", {"a & b": "<"}, {f"chr{n}": n for n in range(20)})
    assert "<b>.bw" not in html
    assert "a &amp; b" in html
    assert "and 8 more" in html
