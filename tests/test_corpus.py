"""The corpus is what it says it is: outside readers read every file as its painting.

Little-endian files are pyBigWig's to judge (and pybigtools'), big-endian ones and gaps in the ids pybigtools' alone.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyBigWig
import pytest
from hypothesis import given

from tests.bigwig_writer import section_payload
from tests.conftest import CorpusFile
from tests.corpus import CORPUS, DAMAGED, Recipe, Window
from tests.outside_readers import READERS
from tests.painting import reduce_bins
from tests.strategies import recipes

FILES_AND_READERS = [(name, reader) for name, recipe in CORPUS.items() for reader in recipe().readers]


def assert_reads_as_painted(path: Path, recipe: Recipe, reader: str, windows: list[Window]) -> None:
    values = READERS[reader](path)
    for window in windows:
        np.testing.assert_array_equal(values(*window), recipe.track.values(*window), err_msg=f"{window} of {path.name}")


@pytest.mark.parametrize(("name", "reader"), FILES_AND_READERS)
def test_outside_readers_read_the_corpus_as_painted(name: str, reader: str, corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file(name)
    assert_reads_as_painted(path, recipe, reader, recipe.windows(700, inside=True))


@given(recipe=recipes(byte_orders="<"))
def test_pybigwig_reads_random_files_as_painted(recipe: Recipe, tmp_path: Path) -> None:
    assert_reads_as_painted(recipe.write(tmp_path / "a.bw"), recipe, "pyBigWig", whole_chromosomes(recipe))


@given(recipe=recipes())
def test_pybigtools_reads_random_files_of_both_byte_orders_as_painted(recipe: Recipe, tmp_path: Path) -> None:
    assert_reads_as_painted(recipe.write(tmp_path / "a.bw"), recipe, "pybigtools", whole_chromosomes(recipe))


WITH_INTERVALS = [name for name, reader in FILES_AND_READERS if reader == "pyBigWig" and name != "6 Gbp genome"]
"""pyBigWig's intervals wrap around past 2^31, though its values do not."""


@pytest.mark.parametrize("name", WITH_INTERVALS)
def test_pybigwig_gives_the_painted_intervals(name: str, corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file(name)
    with pyBigWig.open(str(path)) as file:
        for window in recipe.windows(700, inside=True, seed=1):
            np.testing.assert_array_equal(file.intervals(*window) or [], recipe.track.intervals(*window) or [])


@pytest.mark.parametrize("statistic", ["mean", "sum", "min", "max", "std", "coverage"])
def test_bins_are_reduced_as_pybigwig_reduces_them_exactly(statistic: str, corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("mixed section kinds")
    with pyBigWig.open(str(path)) as file:
        for chrom, start, end in recipe.windows(120, inside=True, seed=2):
            bases = recipe.track.values(chrom, start, end)
            ours = reduce_bins(bases, end - start, statistic=statistic, default_value=np.nan)[0]
            (theirs,) = file.stats(chrom, start, end, type=statistic, exact=True)
            nothing = 0.0 if statistic == "coverage" else np.nan
            np.testing.assert_allclose(ours, nothing if theirs is None else theirs, rtol=1e-6, atol=1e-6)


def test_summary_and_zoom_levels_agree_with_the_painting(corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("zoom levels")
    bases = np.concatenate([recipe.track.values(*window) for window in whole_chromosomes(recipe)])
    covered = bases[~np.isnan(bases)].astype(np.float64)
    with pyBigWig.open(str(path)) as file:
        header = file.header()
        assert (header["nLevels"], header["nBasesCovered"]) == (3, len(covered))
        for chrom, size in recipe.chrom_sizes.items():
            bins = reduce_bins(recipe.track.values(chrom, 0, size), 160, default_value=np.nan)
            zoomed = file.stats(chrom, 0, len(bins) * 160, nBins=len(bins), exact=False) if len(bins) else []
            np.testing.assert_allclose(np.array(zoomed, float), bins, rtol=1e-5)
    mean, std = summary_of(path)
    np.testing.assert_allclose((mean, std), (covered.mean(), covered.std(ddof=1)), rtol=1e-9)


def test_the_corpus_shows_what_its_names_say(corpus_file: CorpusFile) -> None:
    """A sample of what outside readers do not tell apart."""
    assert depth_of_chromosome_tree(corpus_file("mixed section kinds")[0]) == 1
    assert depth_of_chromosome_tree(corpus_file("two-level chromosome tree")[0]) == 2
    assert depth_of_chromosome_tree(corpus_file("three-level chromosome tree")[0]) == 3
    assert {section.kind for section in CORPUS["mixed section kinds"]().sections} == {1, 2, 3}
    assert first_block_offset(corpus_file("blocks past 2^32")[0]) > 2**32
    assert sum(CORPUS["6 Gbp genome"]().chrom_sizes.values()) > 6_000_000_000
    assert len(section_payload(CORPUS["blocks of 32,760 bytes"]().sections[0], 0, "<")) == 32_760


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_done(name: str, tmp_path: Path) -> None:
    damaged = DAMAGED[name]()
    good, bad = damaged.recipe, damaged.write(tmp_path / "damaged.bw")
    intact = replace(good, sections=[replace(section, compress=None) for section in good.sections])
    assert bad.read_bytes() != intact.write(tmp_path / "good.bw").read_bytes()
    if damaged.healthy:
        expected = good.track.values(*damaged.healthy)
        np.testing.assert_array_equal(READERS["pyBigWig"](bad)(*damaged.healthy), expected)


def whole_chromosomes(recipe: Recipe) -> list[Window]:
    return [(name, 0, size) for name, size in recipe.chrom_sizes.items()]


def summary_of(path: Path) -> tuple[float, float]:
    """Mean and sample standard deviation from a little-endian file's summary."""
    data = path.read_bytes()
    (offset,) = struct.unpack_from("<Q", data, 44)
    n, _, _, total, squares = struct.unpack_from("<Qdddd", data, offset)
    return total / n, ((squares - total**2 / n) / (n - 1)) ** 0.5


def depth_of_chromosome_tree(path: Path) -> int:
    data = path.read_bytes()
    (tree,) = struct.unpack_from("<Q", data, 8)
    (key_size,) = struct.unpack_from("<I", data, tree + 8)
    node, depth = tree + 32, 1
    while data[node] == 0:
        (node,) = struct.unpack_from("<Q", data, node + 4 + key_size)
        depth += 1
    return depth


def first_block_offset(path: Path) -> int:
    """Of a little-endian file, which may be sparse."""

    def unpack(offset: int, fields: str) -> tuple[int, ...]:
        file.seek(offset)
        return struct.unpack(fields, file.read(struct.calcsize(fields)))

    with path.open("rb") as file:
        node, is_leaf = unpack(24, "<Q")[0] + 48, 0
        while not is_leaf:
            is_leaf, *_, node = unpack(node, "<BBHIIIIQ")
    return node
