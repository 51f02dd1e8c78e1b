"""Statistics from zoom levels: pyBigWig's answers, from zoom items made by hand and by others' programs."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyBigWig
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigwig_numba.bbi import ZoomHeader, zoom_items
from bigwig_numba.bigwig import BigWig
from bigwig_numba.binning import bin_edges
from bigwig_numba.errors import FormatError
from bigwig_numba.index import read_file_index, read_zoom_index
from bigwig_numba.storage import open_source
from bigwig_numba.zooms import choose_zoom_level, read_zoom_items, zoom_statistic
from tests.conftest import CorpusFile
from tests.corpus import Recipe, mixed
from tests.strategies import recipes

AS_PYBIGWIG = ("mean", "min", "max", "coverage")
"""std is compared by itself, because pyBigWig fails where rounding makes a variance negative."""


def items(*rows: tuple[int, int, int, float, float, float, float]) -> npt.NDArray[np.void]:
    """Zoom items: start, end, bases covered, min, max, sum, sum of squares."""
    return zoom_items(b"".join(struct.pack("<IIIIffff", 0, *row) for row in rows), "<")


def one_bin(statistic: str, start: int, end: int, zoomed: npt.NDArray[np.void]) -> float:
    return float(zoom_statistic(zoomed, edges=bin_edges(start, end, 1), statistic=statistic)[0])


# --- the level


def pybigwig_level(reductions: list[int], length: int, n_bins: int) -> int | None:
    """pyBigWig's choice, as a sweep over files with constant levels shows it: the first of the coarsest that fit."""
    fitting = [(reduction, -number) for number, reduction in enumerate(reductions) if reduction <= length / n_bins / 2]
    return -max(fitting)[1] if fitting else None


@given(
    reductions=st.lists(st.integers(1, 500), max_size=6),
    start=st.integers(0, 1_000),
    length=st.integers(1, 4_000),
    n_bins=st.integers(1, 20),
)
def test_the_coarsest_level_with_two_items_a_bin_is_chosen(
    reductions: list[int], start: int, length: int, n_bins: int
) -> None:
    headers = [ZoomHeader(reduction, 0, 0) for reduction in reductions]
    assert choose_zoom_level(headers, start, start + length, n_bins) == pybigwig_level(reductions, length, n_bins)


# --- what becomes of items


def test_a_bin_takes_the_share_of_an_item_that_it_overlaps() -> None:
    zoomed = items((100, 200, 60, 1, 9, 300, 2_000), (200, 300, 50, -3, 4, 20, 500))
    assert one_bin("mean", 100, 300, zoomed) == pytest.approx(320 / 110)
    assert one_bin("mean", 150, 210, zoomed) == pytest.approx((150 + 2) / (30 + 5))
    assert one_bin("sum", 150, 210, zoomed) == pytest.approx(152)
    assert one_bin("coverage", 150, 210, zoomed) == pytest.approx(35 / 60)
    assert one_bin("std", 150, 250, zoomed) == pytest.approx(((1_250 - 160**2 / 55) / 54) ** 0.5)
    assert (one_bin("min", 150, 201, zoomed), one_bin("max", 199, 250, zoomed)) == (-3, 9)


def test_coverage_inside_one_item_is_the_items_own() -> None:
    """pyBigWig counts all of the item's bases there, and more than the bin has."""
    zoomed = items((100, 200, 60, 1, 9, 300, 2_000))
    assert one_bin("coverage", 120, 140, zoomed) == pytest.approx(0.6)


def test_where_no_item_is_there_is_no_number() -> None:
    zoomed = items((100, 200, 60, 1, 9, 300, 2_000))
    for statistic in (*AS_PYBIGWIG, "sum", "std"):
        answers = zoom_statistic(zoomed, edges=bin_edges(0, 300, 3), statistic=statistic)
        assert np.isnan(answers).tolist() == [True, False, True]


def test_one_base_has_no_spread_and_a_negative_variance_is_none() -> None:
    assert np.isnan(one_bin("std", 100, 200, items((100, 200, 1, 5, 5, 5, 25))))
    assert one_bin("std", 100, 200, items((100, 200, 100, 2, 2, 200, 399.9))) == 0.0


def test_items_of_other_chromosomes_and_outside_the_region_are_left_out(corpus_file: CorpusFile) -> None:
    path, _ = corpus_file("zoom levels")
    source = open_source(path)
    index = read_file_index(source)
    blocks = read_zoom_index(source, index, 0)
    row = index.chromosomes.row("chr2", url="a.bw")
    found = read_zoom_items(source, index, blocks, row=row, start=500, end=900)
    assert len(found) > 10
    assert set(found["chrom_id"]) == {index.chromosomes.ids[row]}
    assert (found["end"] > 500).all()
    assert (found["start"] < 900).all()


# --- against pyBigWig


def assert_answers_as_pybigwig(path: Path, windows: list[tuple[str, int, int]], n_bins: int) -> None:
    with pyBigWig.open(str(path)) as theirs, BigWig(path) as ours:
        for chrom, start, end in windows:
            for statistic in AS_PYBIGWIG:
                expected = np.array(theirs.stats(chrom, start, end, nBins=n_bins, type=statistic), np.float64)
                answers = ours.stats(chrom, start, end, n_bins, statistic, exact=False)
                where = f"{statistic} of {n_bins} bins of {chrom}:{start}-{end} of {path.name}"
                np.testing.assert_allclose(answers, expected, rtol=1e-12, atol=1e-12, err_msg=where)
            assert_std_as_pybigwig(theirs, ours, chrom, start, end, n_bins)


def assert_std_as_pybigwig(theirs: pyBigWig.bigWigFile, ours: BigWig, chrom: str, start: int, end: int, n: int) -> None:
    """A difference of float32 sums of squares loses digits, and pyBigWig's loses others than ours."""
    answers = ours.stats(chrom, start, end, n, "std", exact=False)
    try:
        expected = np.array(theirs.stats(chrom, start, end, nBins=n, type="std"), np.float64)
    except RuntimeError:  # a negative variance in one of the bins
        return
    extremes = [np.abs(ours.stats(chrom, start, end, n, name, exact=False)) for name in ("min", "max")]
    np.testing.assert_array_equal(np.isnan(answers), np.isnan(expected))
    assert (np.abs(answers**2 - expected**2) <= 1e-6 * np.fmax(*extremes) ** 2 + 1e-9)[~np.isnan(answers)].all()


@settings(max_examples=30)
@given(recipe=recipes(byte_orders="<", values=st.floats(-1e3, 1e3, width=32)), n_bins=st.integers(1, 5))
def test_random_files_with_zoom_levels_answer_as_pybigwig(recipe: Recipe, n_bins: int, tmp_path: Path) -> None:
    zoomed = Recipe(recipe.chrom_sizes, recipe.sections, {**recipe.options, "zoom_reductions": (4, 16)})
    windows = [(name, start, size) for name, size in recipe.chrom_sizes.items() for start in (0, size // 3)]
    # Bins of at least a zoom item each: pyBigWig's own answers for smaller ones are from the intervals.
    fitting = [window for window in windows if window[2] - window[1] >= 8 * n_bins]
    assert_answers_as_pybigwig(zoomed.write(tmp_path / "a.bw"), fitting, n_bins)


def test_big_endian_items_are_the_same_items(tmp_path: Path) -> None:
    data = bytearray(mixed(compressed=False, zoom_reductions=(10,)).write(tmp_path / "a.bw").read_bytes())
    source = open_source(io.BytesIO(data))
    index = read_file_index(source)
    blocks = read_zoom_index(source, index, 0)
    expected = read_zoom_items(source, index, blocks, row=0, start=500, end=5_000)
    for offset, size in zip(blocks.offsets, blocks.sizes, strict=True):
        data[offset : offset + size] = np.frombuffer(data[offset : offset + size], "<u4").byteswap().tobytes()
    swapped = replace(index, header=replace(index.header, byte_order=">"))
    found = read_zoom_items(open_source(io.BytesIO(data)), swapped, blocks, row=0, start=500, end=5_000)
    assert len(found) > 100
    assert found.tolist() == expected.tolist()


def test_uncompressed_zoom_levels_answer_as_compressed_ones(tmp_path: Path) -> None:
    paths = [
        mixed(compressed=compressed, zoom_reductions=(10, 40)).write(tmp_path / f"{compressed}.bw")
        for compressed in (True, False)
    ]
    with BigWig(paths[0]) as compressed, BigWig(paths[1]) as plain:
        answers = [file.stats("chr1", 100, 8_000, 7, "mean", exact=False) for file in (compressed, plain)]
        np.testing.assert_array_equal(*answers)


HAS_EMPTY_ITEMS = "jbrowse__empty.bigWig"
"""Its intervals have no bases; pyBigWig says that such an interval has a minimum, but no mean."""


def test_real_files_answer_as_pybigwig(real_data: Path) -> None:
    draw = np.random.default_rng(5)
    compared = 0
    for path in sorted((real_data / "bigwig").iterdir()):
        if path.read_bytes()[:4] != b"\x26\xfc\x8f\x88" or path.name in (HAS_EMPTY_ITEMS, "rtracklayer__bed.bw"):
            continue
        with BigWig(path) as file:
            sizes = file.chroms
        for n_bins in (1, 3, 40):
            windows = []
            for name in draw.choice(list(sizes), size=2):
                start = int(draw.integers(0, sizes[name]))
                windows.append((str(name), start, int(draw.integers(start + 1, sizes[name] + 1))))
            with_bases = [window for window in windows if window[2] - window[1] >= n_bins]
            assert_answers_as_pybigwig(path, with_bases, n_bins)
            compared += len(with_bases)
    assert compared > 400


# --- damage


def test_a_damaged_zoom_block_is_told(tmp_path: Path) -> None:
    path = mixed(zoom_reductions=(10,)).write(tmp_path / "damaged.bw")
    source = open_source(path)
    index = read_file_index(source)
    blocks = read_zoom_index(source, index, 0)
    offset, size = int(blocks.offsets[0]), int(blocks.sizes[0])
    data = bytearray(path.read_bytes())
    for damage in (b"\xfe" * size, zlib.compress(bytes(range(256)) * 40, 0)[:size]):
        data[offset : offset + size] = damage
        path.write_bytes(data)
        with BigWig(path) as file, pytest.raises(FormatError, match=rf"damaged\.bw: .* zoom level at byte {offset}"):
            file.stats("chr10", 0, 6_000, exact=False)
