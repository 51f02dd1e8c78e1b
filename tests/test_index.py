"""Indexes: all blocks of a file in flat sorted arrays, in few requests, whatever the file's shape; damage is told."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from itertools import accumulate
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyBigWig
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigwig_numba.errors import ChromNotFoundError, FormatError
from bigwig_numba.index import BlockIndex, FileIndex, read_file_index, read_zoom_index
from bigwig_numba.storage import ByteSource, Integers, open_source
from tests.bigwig_writer import bedgraph, write_bigwig
from tests.conftest import CorpusFile
from tests.corpus import CORPUS, DAMAGED, SIZES, Recipe, mixed, offsets, overwrite
from tests.strategies import recipes

LITTLE_ENDIAN_MAGIC = b"\x26\xfc\x8f\x88"

Leaf = tuple[int, int, int, int, int, int]
"""start chrom_id, start, end chrom_id, end, offset, size: as in the file."""


def index_of(path: Path) -> FileIndex:
    return read_file_index(open_source(path))


def index_of_bytes(data: bytes) -> FileIndex:
    return read_file_index(open_source(io.BytesIO(data)))


def written(recipe: Recipe) -> bytes:
    file = io.BytesIO()
    write_bigwig(file, recipe.chrom_sizes, recipe.sections, **recipe.options)
    return file.getvalue()


class CountedRequests:
    """A source that counts calls, as a remote file would count requests, and remembers their bytes."""

    def __init__(self, source: ByteSource) -> None:
        self.source, self.url, self.size = source, source.url, source.size
        self.memory: npt.NDArray[np.uint8] | None = None
        self.sizes: list[int] = []

    def read(self, offset: int, size: int) -> bytes:
        return self.read_ranges([offset], [size])[0]

    def read_up_to(self, offset: int, size: int) -> bytes:
        return self.read(offset, min(size, self.size - offset))

    def read_ranges(self, offsets: Integers, sizes: Integers) -> list[bytes]:
        self.sizes.append(int(np.sum(sizes)))
        return self.source.read_ranges(offsets, sizes)

    def close(self) -> None:
        self.source.close()


# --- what is in the index


def leaves_in_file(data: bytes) -> list[Leaf]:
    """The leaves of a little- or big-endian file's R tree, one at a time, by the book."""
    order = "<" if data[:4] == LITTLE_ENDIAN_MAGIC else ">"
    (root,) = struct.unpack_from(order + "Q", data, 24)

    def below(node: int) -> list[Leaf]:
        is_leaf, _, count = struct.unpack_from(order + "BBH", data, node)
        if is_leaf:
            return [struct.unpack_from(order + "IIIIQQ", data, node + 4 + 32 * item) for item in range(count)]
        children = [struct.unpack_from(order + "IIIIQ", data, node + 4 + 24 * item)[4] for item in range(count)]
        return [leaf for child in children for leaf in below(child)]

    return below(root + 48)


def assert_has_leaves(index: FileIndex, leaves: Sequence[Leaf]) -> None:
    """The index holds these leaves in genome positions, cut at the ends of chromosomes and sorted."""
    chromosomes, blocks = index.chromosomes, index.blocks
    rows = {int(chrom_id): row for row, chrom_id in enumerate(chromosomes.ids)}

    def position(chrom_id: int, base: int) -> int:
        row = rows[chrom_id]
        return int(chromosomes.genome_starts[row] + min(base, chromosomes.lengths[row]))

    expected = [(position(*leaf[:2]), position(*leaf[2:4]), *leaf[4:]) for leaf in leaves]
    columns = (blocks.starts, blocks.ends, blocks.offsets, blocks.sizes)
    assert sorted(zip(*(column.tolist() for column in columns), strict=True)) == sorted(expected)
    assert (np.diff(blocks.starts) >= 0).all()
    assert blocks.reaches.tolist() == np.maximum.accumulate(blocks.ends).tolist()


SMALL = [name for name in CORPUS if name != "blocks past 2^32"]


@pytest.mark.parametrize("name", SMALL)
def test_every_leaf_of_the_corpus_is_in_the_index(name: str, corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file(name)
    index = index_of(path)
    leaves = leaves_in_file(path.read_bytes())
    assert len(leaves) == len(recipe.sections)
    assert_has_leaves(index, leaves)


@given(recipe=recipes())
def test_every_leaf_of_a_random_file_is_in_the_index(recipe: Recipe) -> None:
    data = written(recipe)
    assert_has_leaves(index_of_bytes(data), leaves_in_file(data))


@pytest.mark.parametrize("name", CORPUS)
def test_chromosomes_are_in_the_order_of_their_ids(name: str, corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file(name)
    ids = recipe.options.get("chromosome_ids") or {name: row for row, name in enumerate(recipe.chrom_sizes)}
    by_id = sorted(recipe.chrom_sizes, key=ids.__getitem__)
    chromosomes = index_of(path).chromosomes
    assert list(chromosomes.as_dict().items()) == [(name, recipe.chrom_sizes[name]) for name in by_id]
    assert chromosomes.ids.tolist() == sorted(ids.values())
    ends = list(accumulate(recipe.chrom_sizes[name] for name in by_id))
    assert chromosomes.genome_starts.tolist() == [0, *ends[:-1]]


def test_blocks_past_2_to_the_32_are_found(corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("blocks past 2^32")
    blocks = index_of(path).blocks
    assert len(blocks) == len(recipe.sections)
    assert blocks.offsets.min() > 2**32


def test_genome_positions_pass_2_to_the_32(corpus_file: CorpusFile) -> None:
    index = index_of(corpus_file("6 Gbp genome")[0])
    assert index.blocks.ends[-1] == sum(CORPUS["6 Gbp genome"]().chrom_sizes.values())


def test_the_parts_that_a_file_lacks_are_absent(corpus_file: CorpusFile) -> None:
    bare = index_of(corpus_file("version 1, no summary")[0])
    assert (bare.summary, bare.zoom_headers) == (None, ())
    full = index_of(corpus_file("zoom levels")[0])
    assert [zoom.reduction_level for zoom in full.zoom_headers] == [10, 40, 160]
    assert full.summary is not None


# --- runs


def brute_force_run(blocks: BlockIndex, start: int, end: int) -> set[int]:
    return {number for number in range(len(blocks)) if blocks.starts[number] < end and blocks.ends[number] > start}


spans = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 40)), max_size=30)


@given(spans=spans, start=st.integers(0, 250), length=st.integers(1, 60))
def test_a_run_has_every_block_that_overlaps_even_where_blocks_overlap(
    spans: list[tuple[int, int]], start: int, length: int
) -> None:
    starts = np.array(sorted(span[0] for span in spans), np.int64)
    ends = starts + np.array([length for _, length in spans], np.int64)
    nothing = np.zeros(len(starts), np.int64)
    blocks = BlockIndex(starts, ends, np.maximum.accumulate(ends), nothing, nothing)
    first, last = blocks.run(start, start + length)
    assert 0 <= first <= last <= len(blocks)
    needed = brute_force_run(blocks, start, start + length)
    assert needed <= set(range(first, last))
    if (np.diff(ends) >= 0).all() and not needed:
        assert all(starts[number] == ends[number] or ends[number] <= start for number in range(first, last))


def test_in_an_orderly_file_a_run_has_only_blocks_that_overlap(corpus_file: CorpusFile) -> None:
    blocks = index_of(corpus_file("blocks of one item")[0]).blocks
    for start in range(0, 29_000, 777):
        first, last = blocks.run(start, start + 100)
        assert set(range(first, last)) == brute_force_run(blocks, start, start + 100)


# --- requests


@pytest.mark.parametrize("name", CORPUS)
def test_opening_takes_at_most_three_requests(name: str, corpus_file: CorpusFile) -> None:
    source = CountedRequests(open_source(corpus_file(name)[0]))
    read_file_index(source)
    assert len(source.sizes) <= 3


def test_a_large_index_is_one_request_of_its_own_size(tmp_path: Path) -> None:
    """Blocks of one item, with data and zoom levels around the index."""
    starts = np.arange(9_000) * 10
    sections = [bedgraph("chr1", [start], [start + 5], [1.0]) for start in starts]
    path = tmp_path / "many.bw"
    write_bigwig(path, {"chr1": 100_000}, sections, zoom_reductions=(100,), hole=10_000_000)
    source = CountedRequests(open_source(path))
    index = read_file_index(source)
    assert len(index.blocks) == 9_000
    assert len(source.sizes) == 2
    next_part = index.zoom_headers[0].data_offset
    assert source.sizes[1] == next_part - index.header.index_offset


def test_reading_stays_bounded_where_an_offset_is_damaged(tmp_path: Path) -> None:
    path = mixed(hole=2**30).write(tmp_path / "sparse.bw")
    with path.open("r+b") as file:
        file.seek(24)
        file.write(struct.pack("<Q", 4096))
    source = CountedRequests(open_source(path))
    with pytest.raises(FormatError, match="R tree"):
        read_file_index(source)
    assert sum(source.sizes) < 20_000_000


# --- zoom levels


def test_a_zoom_level_has_an_index_of_its_own(corpus_file: CorpusFile) -> None:
    path, _ = corpus_file("zoom levels")
    source = open_source(path)
    index = read_file_index(source)
    counted = CountedRequests(source)
    for level, zoom in enumerate(index.zoom_headers):
        blocks = read_zoom_index(counted, index, level)
        assert len(blocks) > 0
        assert (blocks.offsets > zoom.data_offset).all()
        assert (blocks.offsets < zoom.index_offset).all()
    assert len(counted.sizes) == len(index.zoom_headers)


# --- names


def test_an_unknown_chromosome_is_answered_with_the_one_that_was_meant(corpus_file: CorpusFile) -> None:
    chromosomes = index_of(corpus_file("mixed section kinds")[0]).chromosomes
    assert chromosomes.row("chr2", url="a.bw") == list(SIZES).index("chr2")
    with pytest.raises(ChromNotFoundError, match=r"a\.bw has no chromosome '2'; did you mean 'chr2'"):
        chromosomes.row("2", url="a.bw")


# --- files that break the order


def test_leaves_past_a_chromosomes_end_do_not_leak_into_the_next() -> None:
    sizes = {"chr1": 100, "chr2": 100}
    sections = [bedgraph("chr1", [50, 150], [150, 300], [1, 2]), bedgraph("chr2", [0], [100], [3])]
    blocks = index_of_bytes(written(Recipe(sizes, sections))).blocks
    assert blocks.ends.tolist() == [100, 200]


def test_a_leaf_that_tells_nothing_is_found_by_whoever_asks_for_its_chromosome() -> None:
    """Such leaves are in files of an early rtracklayer; their blocks cannot be read."""
    data = bytearray(written(mixed()))
    first_leaf = offsets(data)[2] + 48 + 4
    index = index_of_bytes(overwrite(data, first_leaf, struct.pack("<IIIIQQ", 0, 0, 0, 0, 0, 0)))
    assert index.blocks.run(0, SIZES["chr10"])[0] == 0
    senseless = int(np.flatnonzero(index.blocks.sizes == 0)[0])
    for start in range(0, SIZES["chr10"], 500):
        first, last = index.blocks.run(start, start + 10)
        assert first <= senseless < last
    first, last = index.blocks.run(SIZES["chr10"], SIZES["chr10"] + 4_000)
    assert not first <= senseless < last


# --- what other writers leave out


def pybigwig_file(path: Path, *, entries: bool) -> bytes:
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader([("chr1", 1_000), ("chr2", 500)])
        if entries:
            file.addEntries(["chr1"], [10], ends=[20], values=[1.5])
    return path.read_bytes()


def test_a_file_without_an_index_is_empty(tmp_path: Path) -> None:
    """pyBigWig writes no R tree if there are no entries."""
    index = index_of_bytes(pybigwig_file(tmp_path / "empty.bw", entries=False))
    assert index.chromosomes.as_dict() == {"chr1": 1_000, "chr2": 500}
    assert (len(index.blocks), index.header.index_offset) == (0, 0)


def test_a_file_whose_writing_was_interrupted_is_not_taken_for_empty(tmp_path: Path) -> None:
    data = bytearray(pybigwig_file(tmp_path / "a.bw", entries=True))
    overwrite(data, 24, bytes(8))
    with pytest.raises(FormatError, match="not finished"):
        index_of_bytes(data[:-4])


# --- damage


UNOPENABLE = [name for name, recipe in DAMAGED.items() if recipe().broken is None]


@pytest.mark.parametrize("name", UNOPENABLE)
def test_damage_is_told_with_the_name_of_the_file(name: str, tmp_path: Path) -> None:
    path = DAMAGED[name]().write(tmp_path / "damaged.bw")
    with pytest.raises(FormatError, match=r"damaged\.bw: ") as caught:
        index_of(path)
    assert caught.value.url == str(path)
    assert caught.value.offset is not None


def leaf_bytes(data: bytes, leaf: Leaf) -> bytes:
    return struct.pack(("<" if data[:4] == LITTLE_ENDIAN_MAGIC else ">") + "IIIIQQ", *leaf)


Edit = Callable[[bytearray], bytearray]


def edit_index(at: int, fields: str, *values: int) -> Edit:
    """Overwrite fields ``at`` bytes after the start of the R tree's header."""
    return lambda data: overwrite(data, offsets(data)[2] + at, struct.pack("<" + fields, *values))


def edit_tree(at: int, fields: str, *values: int) -> Edit:
    """Overwrite fields ``at`` bytes after the start of the chromosome tree's header."""
    return lambda data: overwrite(data, offsets(data)[0] + at, struct.pack("<" + fields, *values))


ONE_NODE = mixed()
DEEP = mixed(index_node_size=2, chromosome_node_size=2)
KEY = len("chr1_random")

EDITS: dict[str, tuple[Recipe, Edit, str]] = {
    "fewer blocks than announced": (ONE_NODE, edit_index(48 + 2, "H", 3), "R tree of [0-9]+ blocks .*found 3"),
    "an index node of 65,535 items": (ONE_NODE, edit_index(48 + 2, "H", 65_535), "truncated"),
    "an index node that is no node": (ONE_NODE, edit_index(48, "B", 2), "starts with 0 or 1 at byte .* found 2"),
    "a leaf taken for an inner node": (ONE_NODE, edit_index(48, "B", 0), "R tree"),
    "an inner node taken for a leaf": (DEEP, edit_index(48, "B", 1), "R tree"),
    "a leaf of a chromosome without a name": (ONE_NODE, edit_index(52, "I", 99), "chromosome id 99"),
    "a leaf that ends on a chromosome without a name": (ONE_NODE, edit_index(52 + 8, "I", 99), "chromosome id 99"),
    "a leaf that ends chromosomes before it starts": (ONE_NODE, edit_index(52, "I", 4), "chromosomes in order"),
    "a child in the header": (DEEP, edit_index(52 + 16, "Q", 8), "one at byte 8"),
    "a child past 2^63": (DEEP, edit_index(52 + 16, "Q", 2**64 - 1), "one at byte 18446744073709551615"),
    "two children at one place": (
        DEEP,
        lambda data: overwrite(data, offsets(data)[2] + 76 + 16, data[offsets(data)[2] + 68 : offsets(data)[2] + 76]),
        "reached twice",
    ),
    "fewer chromosomes than announced": (ONE_NODE, edit_tree(16, "Q", 7), "tree of 7 chromosomes .*found 6"),
    "a chromosome tree node of 65,535 items": (ONE_NODE, edit_tree(32 + 2, "H", 65_535), "chromosome tree"),
    "two chromosomes of one id": (ONE_NODE, edit_tree(36 + KEY, "I", 1), "id 1 twice"),
    "two chromosomes of one name": (
        ONE_NODE,
        lambda data: overwrite(data, offsets(data)[0] + 36 + KEY + 8, b"chr1".ljust(KEY, b"\0")),
        "a name twice",
    ),
    "a name that is no text": (ONE_NODE, edit_tree(36, "B", 0xFF), "UTF-8"),
    "names of 2^31 bytes": (ONE_NODE, edit_tree(8, "I", 2**31), "fits into the file"),
    "a chromosome tree in the header": (ONE_NODE, lambda data: overwrite(data, 8, bytes(8)), "chromosome tree"),
    "zoom levels past the end": (ONE_NODE, lambda data: overwrite(data, 6, b"\xff\xff"), "65535 zoom headers"),
    "a summary past the end": (ONE_NODE, lambda data: overwrite(data, 44, b"\xff" * 8), "summary"),
}


@pytest.mark.parametrize("name", EDITS)
def test_each_kind_of_damage_is_told_as_what_it_is(name: str) -> None:
    recipe, edit, words = EDITS[name]
    with pytest.raises(FormatError, match=words):
        index_of_bytes(edit(bytearray(written(recipe))))


def test_a_chain_of_nodes_without_end_is_cut_off() -> None:
    """Each node has one child, the next node: no cycle, but no tree either."""
    data = bytearray(written(ONE_NODE))
    (index,) = struct.unpack_from("<Q", data, 24)
    size = 28
    root = len(data)
    chain = b"".join(
        struct.pack("<BBHIIIIQ", 0, 0, 1, 0, 0, 0, 9, root + 48 + size * (number + 1)) for number in range(10_000)
    )
    data += data[index : index + 48] + chain
    overwrite(data, 24, struct.pack("<Q", root))
    with pytest.raises(FormatError, match="at most 64 levels"):
        index_of_bytes(data)


def test_nodes_that_overlap_do_not_multiply_the_work() -> None:
    """Thousands of children, each a different view of the same large node."""
    data = bytearray(written(ONE_NODE))
    (index,) = struct.unpack_from("<Q", data, 24)
    n = 3_000
    root, first = len(data), len(data) + 48 + 4 + 24 * n
    children = b"".join(struct.pack("<IIIIQ", 0, 0, 0, 9, first + 4 * number) for number in range(n))
    heads = struct.pack("<BBH", 1, 0, 60_000) * n
    data += data[index : index + 48] + struct.pack("<BBH", 0, 0, n) + children + heads + bytes(2_000_000)
    overwrite(data, 24, struct.pack("<Q", root))
    with pytest.raises(FormatError, match="larger together"):
        index_of_bytes(data)


@cache
def small_files() -> tuple[bytes, ...]:
    """Whole files of some kilobytes: shallow, deep, big-endian."""
    recipe = Recipe({"chr1": 300, "chr2": 200}, [bedgraph("chr1", [10 * i], [10 * i + 5], [i]) for i in range(9)])
    options = ({}, {"index_node_size": 2, "chromosome_node_size": 2}, {"byte_order": ">", "zoom_reductions": (10,)})
    return tuple(written(replace(recipe, options={**layout, "pad_nodes": False})) for layout in options)


@pytest.mark.parametrize("file", range(3))
def test_a_file_cut_off_anywhere_is_refused(file: int) -> None:
    """What follows the last leaf, zoom levels and the magic number that ends the file, is not needed to open it."""
    data = small_files()[file]
    last_leaf_ends = data.rindex(leaf_bytes(data, leaves_in_file(data)[-1])) + 32
    for length in range(last_leaf_ends):
        with pytest.raises(FormatError):
            index_of_bytes(data[:length])
    whole, cut = index_of_bytes(data), index_of_bytes(data[:last_leaf_ends])
    assert cut.blocks.offsets.tolist() == whole.blocks.offsets.tolist()


def parts_of(data: bytes) -> list[int]:
    """Where parts start that are read when a file is opened."""
    order = "<" if data[:4] == LITTLE_ENDIAN_MAGIC else ">"
    return [0, *struct.unpack_from(order + "Q", data, 8), *struct.unpack_from(order + "Q", data, 24)]


flips = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 300), st.integers(0, 255) | st.sampled_from([0, 1, 255])), max_size=6
)


@settings(max_examples=400)
@given(file=st.integers(0, 2), flips=flips, kept=st.none() | st.floats(0, 1))
def test_damaged_bytes_give_a_format_error_or_a_sound_index(
    file: int, flips: list[tuple[int, int, int]], kept: float | None
) -> None:
    data = bytearray(small_files()[file])
    parts = parts_of(data)
    for part, position, value in flips:
        data[min(parts[part] + position, len(data) - 1)] = value
    if kept is not None:
        data = data[: int(kept * len(data))]
    try:
        index = index_of_bytes(data)
    except FormatError:
        return
    assert_is_sound(index.blocks, len(data))
    for level in range(len(index.zoom_headers)):
        try:
            assert_is_sound(read_zoom_index(open_source(io.BytesIO(data)), index, level), len(data))
        except FormatError:
            continue


def assert_is_sound(blocks: BlockIndex, size: int) -> None:
    assert (np.diff(blocks.starts) >= 0).all()
    assert (blocks.reaches >= blocks.ends).all()
    assert (blocks.offsets >= 0).all()
    assert (blocks.sizes >= 0).all()
    assert (blocks.offsets + blocks.sizes <= size).all()


# --- real files


def test_real_files_give_pybigwigs_chromosomes_and_header_and_all_their_leaves(real_data: Path) -> None:
    opened = 0
    for path in sorted((real_data / "bigwig").iterdir()):
        if path.read_bytes()[:4] != LITTLE_ENDIAN_MAGIC:
            continue
        source = CountedRequests(open_source(path))
        index = read_file_index(source)
        assert len(source.sizes) <= 3
        with pyBigWig.open(str(path)) as file:
            assert list(index.chromosomes.as_dict().items()) == list(file.chroms().items())
            assert_is_header(index, file.header())
        if path.name != "rtracklayer__bed.bw":  # its leaves are damaged
            assert_has_leaves(index, leaves_in_file(path.read_bytes()))
        opened += 1
    assert opened == 84


def assert_is_header(index: FileIndex, theirs: dict[str, int]) -> None:
    """pyBigWig cuts the numbers of the summary to integers."""
    summary = index.summary
    assert summary is not None
    assert (index.header.version, len(index.zoom_headers)) == (theirs["version"], theirs["nLevels"])
    assert summary.bases_covered == theirs["nBasesCovered"]
    if summary.bases_covered:
        ours = (summary.min, summary.max, summary.sum, summary.sum_squares)
        assert [int(number) for number in ours] == [theirs[k] for k in ("minVal", "maxVal", "sumData", "sumSquared")]


def test_real_files_that_are_no_bigwig_are_refused_by_name(real_data: Path) -> None:
    refused = 0
    for path in sorted((real_data / "bigwig").iterdir()):
        if path.read_bytes()[:4] == LITTLE_ENDIAN_MAGIC:
            continue
        with pytest.raises(FormatError, match=path.name):
            index_of(path)
        refused += 1
    assert refused == 19
