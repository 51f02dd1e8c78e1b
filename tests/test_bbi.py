"""The BBI container's structures, from bytes made by hand with struct, in both byte orders."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba import bbi
from bigwig_numba.bbi import ByteOrder, Header, ZoomHeader
from bigwig_numba.errors import FormatError

BYTE_ORDERS: list[ByteOrder] = ["<", ">"]
byte_order = pytest.mark.parametrize("order", BYTE_ORDERS)


def header_bytes(order: ByteOrder = "<", *, magic: int = bbi.BIGWIG_MAGIC, version: int = 4, zooms: int = 3) -> bytes:
    return struct.pack(order + "IHHQQQHHQQIQ", magic, version, zooms, 344, 2**40, 2**41, 7, 8, 9, 304, 32_768, 11)


def header(order: ByteOrder = "<") -> Header:
    return bbi.parse_header(header_bytes(order), url="a.bw")


@byte_order
def test_the_header_reads_the_same_in_both_byte_orders(order: ByteOrder) -> None:
    parsed = header(order)
    assert (parsed.byte_order, parsed.big_endian, parsed.version, parsed.zoom_level_count) == (
        order,
        order == ">",
        4,
        3,
    )
    offsets = (parsed.chromosome_tree_offset, parsed.data_offset, parsed.index_offset, parsed.auto_sql_offset)
    assert offsets == (344, 2**40, 2**41, 9)
    assert (parsed.field_count, parsed.defined_field_count) == (7, 8)
    assert (parsed.summary_offset, parsed.uncompress_buffer_size, parsed.extension_offset) == (304, 32_768, 11)
    assert parsed.compressed


@pytest.mark.parametrize(
    ("data", "offset", "words"),
    [
        (b"", 0, "an empty file"),
        (b"\x26\xfc", 0, "26 fc"),
        (b"track type=bigWig", 0, "'track type=bigWi'"),
        (b"\x1f\x8b\x08\x00" + bytes(60), 0, "a gzip file"),
        (bytes(64), 0, "00 00 00 00"),
        (header_bytes(magic=bbi.BIGBED_MAGIC), 0, "this is a BigBed file"),
        (header_bytes(">", magic=bbi.BIGBED_MAGIC), 0, "this is a BigBed file"),
        (header_bytes()[:63], 0, "63 bytes; the file is truncated"),
        (header_bytes(version=0), 4, "found 0"),
        (header_bytes(version=5), 4, "a bigWig version from 1 to 4 at byte 4, found 5"),
    ],
)
def test_what_is_no_bigwig_is_refused_with_what_was_there(data: bytes, offset: int, words: str) -> None:
    with pytest.raises(FormatError) as caught:
        bbi.parse_header(data, url="dir/a.bw")
    assert words in str(caught.value)
    assert str(caught.value).startswith("dir/a.bw: ")
    assert (caught.value.url, caught.value.offset) == ("dir/a.bw", offset)


@byte_order
def test_zoom_headers(order: ByteOrder) -> None:
    data = b"".join(struct.pack(order + "IIQQ", 10 * i, 0, 2**33 + i, 2**34 + i) for i in (1, 2, 3))
    expected = tuple(ZoomHeader(10 * i, 2**33 + i, 2**34 + i) for i in (1, 2, 3))
    assert bbi.parse_zoom_headers(data, header(order), url="a.bw") == expected
    with pytest.raises(FormatError, match="3 zoom headers"):
        bbi.parse_zoom_headers(data[:-1], header(order), url="a.bw")


@byte_order
@given(values=st.lists(st.integers(-1000, 1000), min_size=1, max_size=30))
def test_the_summary_gives_mean_and_sample_std(order: ByteOrder, values: list[int]) -> None:
    squares = float(np.square(values).sum())
    data = struct.pack(order + "Qdddd", len(values), min(values), max(values), sum(values), squares)
    summary = bbi.parse_summary(data, header(order), url="a.bw")
    assert (summary.bases_covered, summary.min, summary.max) == (len(values), min(values), max(values))
    assert summary.mean == pytest.approx(np.mean(values))
    assert summary.std == pytest.approx(np.std(values, ddof=1) if len(values) > 1 else 0.0, abs=1e-5)


def test_the_summary_of_nothing_is_not_a_number() -> None:
    start_values = struct.pack("<Qdddd", 0, 1.8e308, -1.8e308, 0, 0)
    summary = bbi.parse_summary(start_values, header(), url="a.bw")
    assert all(math.isnan(number) for number in (summary.min, summary.max, summary.mean, summary.std))


def test_a_summary_whose_squares_were_rounded_down_has_no_spread() -> None:
    summary = bbi.parse_summary(struct.pack("<Qdddd", 3, 1, 1, 3, 2.999), header(), url="a.bw")
    assert summary.std == 0.0


def tree_header_bytes(
    order: ByteOrder = "<", *, magic: int = bbi.CHROMOSOME_TREE_MAGIC, key: int = 5, value: int = 8, items: int = 2
) -> bytes:
    return struct.pack(order + "IIIIQQ", magic, 256, key, value, items, 0)


@byte_order
def test_the_chromosome_tree_header(order: ByteOrder) -> None:
    tree = bbi.parse_chromosome_tree_header(tree_header_bytes(order), header(order), url="a.bw")
    assert (tree.block_size, tree.key_size, tree.value_size, tree.item_count) == (256, 5, 8, 2)


@pytest.mark.parametrize(
    ("data", "offset", "words"),
    [
        (tree_header_bytes()[:31], 344, "31 bytes"),
        (tree_header_bytes(magic=7), 344, "0x78ca8c91 at byte 344, found 0x00000007"),
        (tree_header_bytes(value=4), 356, "4 bytes"),
        (tree_header_bytes(key=0), 352, "0 bytes"),
    ],
)
def test_a_damaged_chromosome_tree_header_is_refused(data: bytes, offset: int, words: str) -> None:
    with pytest.raises(FormatError, match=words) as caught:
        bbi.parse_chromosome_tree_header(data, header(), url="a.bw")
    assert caught.value.offset == offset


def test_chromosome_names_longer_than_the_file_are_refused() -> None:
    tree = bbi.parse_chromosome_tree_header(tree_header_bytes(key=2**31), header(), url="a.bw")
    with pytest.raises(FormatError, match="2147483656 bytes"):
        bbi.chromosome_tree_nodes(tree, header(), url="a.bw", size=10_000)


@byte_order
def test_the_index_header(order: ByteOrder) -> None:
    data = struct.pack(order + "IIQIIIIQII", bbi.INDEX_MAGIC, 256, 2**33, 1, 2, 3, 4, 2**35, 1024, 0)
    index = bbi.parse_index_header(data, header(order), url="a.bw", offset=99)
    assert (index.block_size, index.item_count, index.end_file_offset, index.items_per_slot) == (
        256,
        2**33,
        2**35,
        1024,
    )
    assert (index.start_chrom_id, index.start_base, index.end_chrom_id, index.end_base) == (1, 2, 3, 4)
    with pytest.raises(FormatError, match="0x2468ace0 at byte 99") as caught:
        bbi.parse_index_header(bytes(48), header(order), url="a.bw", offset=99)
    assert caught.value.offset == 99


@byte_order
def test_nodes_of_a_level_are_parsed_together_leaves_apart_from_inner_nodes(order: ByteOrder) -> None:
    layout = bbi.index_nodes(header(order))
    leaf = struct.pack(order + "BBH", 1, 0, 2) + b"".join(
        struct.pack(order + "IIIIQQ", 0, start, 0, start + 5, 2**40 + start, 30) for start in (10, 20)
    )
    inner = struct.pack(order + "BBH", 0, 0, 1) + struct.pack(order + "IIIIQ", 1, 2, 3, 4, 2**41)
    nodes = [inner, leaf + b"padding", inner]
    assert bbi.node_sizes(nodes, layout, url="a.bw", offsets=np.array([0, 1, 2])).tolist() == [28, 68, 28]
    leaves, children = bbi.parse_nodes(nodes, layout)
    assert leaves["start_base"].tolist() == [10, 20]
    assert leaves["offset"].tolist() == [2**40 + 10, 2**40 + 20]
    assert children["child_offset"].tolist() == [2**41, 2**41]


@byte_order
@pytest.mark.parametrize("value_size", [8, 13])
def test_chromosome_nodes_of_any_key_and_value_size(order: ByteOrder, value_size: int) -> None:
    tree = bbi.parse_chromosome_tree_header(tree_header_bytes(order, value=value_size), header(order), url="a.bw")
    layout = bbi.chromosome_tree_nodes(tree, header(order), url="a.bw", size=1000)
    items = [(b"chr1", 7, 100), (b"chr10", 3, 2**32 - 1)]
    body = [struct.pack(order + "5sII", *item) + bytes(value_size - 8) for item in items]
    leaves, children = bbi.parse_nodes([struct.pack(order + "BBH", 1, 0, 2) + b"".join(body)], layout)
    assert [tuple(leaf)[:3] for leaf in leaves.tolist()] == items
    assert len(children) == 0


def test_a_node_that_is_neither_leaf_nor_inner_is_refused_with_its_place() -> None:
    nodes = [struct.pack("<BBH", is_leaf, 0, 0) for is_leaf in (0, 1, 7)]
    with pytest.raises(FormatError, match="R tree, which starts with 0 or 1 at byte 30, found 7"):
        bbi.node_sizes(nodes, bbi.index_nodes(header()), url="a.bw", offsets=np.array([10, 20, 30]))


def test_no_node_is_expected_to_be_larger_than_its_item_count_allows() -> None:
    layout = bbi.index_nodes(header())
    assert layout.largest_node(256) == 4 + 256 * 32
    assert layout.largest_node(2**32 - 1) == 4 + 65_535 * 32


@byte_order
def test_zoom_items(order: ByteOrder) -> None:
    data = struct.pack(order + "IIIIffff", 3, 100, 200, 60, -1.5, 9.0, 30.0, 500.0)
    items = bbi.zoom_items(data * 2 + b"rest", order)
    assert len(items) == 2
    assert items[1].tolist() == (3, 100, 200, 60, -1.5, 9.0, 30.0, 500.0)
