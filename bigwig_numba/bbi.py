"""Bytes to structures: the BBI container's headers and tree nodes. Pure functions, no input or output.

A bigWig is a header, zoom headers, a B+ tree that gives each chromosome name an id and a length, blocks of data, an
R tree that says where the blocks lie on the genome, and the same again (blocks and R tree) per zoom level.
Everything is in the byte order of the machine that wrote the file; the first four bytes tell which.

Both trees are made of the same kind of node: one byte "is a leaf", one byte of padding, a 16-bit item count, then the
items. They differ in what an item is, so one :class:`NodeFormat` describes a tree and one function parses its nodes,
all nodes of a level at once.

Source of the format: W. J. Kent et al., "BigWig and BigBed: enabling browsing of large distributed datasets",
Bioinformatics 26 (2010), supplementary tables 5 to 19.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from .errors import FormatError

__all__ = [
    "HEADER_SIZE",
    "ChromosomeTreeHeader",
    "Header",
    "IndexHeader",
    "NodeFormat",
    "StructuredArray",
    "Summary",
    "ZoomHeader",
    "chromosome_tree_nodes",
    "index_nodes",
    "node_sizes",
    "parse_chromosome_tree_header",
    "parse_header",
    "parse_index_header",
    "parse_nodes",
    "parse_summary",
    "parse_zoom_headers",
    "unexpected",
    "zoom_items",
]

ByteOrder = Literal["<", ">"]
StructuredArray = npt.NDArray[np.void]
Int64Array = npt.NDArray[np.int64]

BIGWIG_MAGIC = 0x888FFC26
BIGBED_MAGIC = 0x8789F2EB
CHROMOSOME_TREE_MAGIC = 0x78CA8C91
INDEX_MAGIC = 0x2468ACE0

KNOWN_VERSIONS = range(1, 5)
MAX_NODE_ITEMS = 0xFFFF  # the item count of a node has 16 bits, whatever the tree's header says

_HEADER = np.dtype(
    [
        ("magic", "u4"),
        ("version", "u2"),
        ("zoom_level_count", "u2"),
        ("chromosome_tree_offset", "u8"),
        ("data_offset", "u8"),
        ("index_offset", "u8"),
        ("field_count", "u2"),
        ("defined_field_count", "u2"),
        ("auto_sql_offset", "u8"),
        ("summary_offset", "u8"),
        ("uncompress_buffer_size", "u4"),
        ("extension_offset", "u8"),
    ]
)
_ZOOM_HEADER = np.dtype([("reduction_level", "u4"), ("reserved", "u4"), ("data_offset", "u8"), ("index_offset", "u8")])
_SUMMARY = np.dtype([("bases_covered", "u8"), ("min", "f8"), ("max", "f8"), ("sum", "f8"), ("sum_squares", "f8")])
_CHROMOSOME_TREE_HEADER = np.dtype(
    [
        ("magic", "u4"),
        ("block_size", "u4"),
        ("key_size", "u4"),
        ("value_size", "u4"),
        ("item_count", "u8"),
        ("reserved", "u8"),
    ]
)
_INDEX_HEADER = np.dtype(
    [
        ("magic", "u4"),
        ("block_size", "u4"),
        ("item_count", "u8"),
        ("start_chrom_id", "u4"),
        ("start_base", "u4"),
        ("end_chrom_id", "u4"),
        ("end_base", "u4"),
        ("end_file_offset", "u8"),
        ("items_per_slot", "u4"),
        ("reserved", "u4"),
    ]
)
_NODE_HEAD = np.dtype([("is_leaf", "u1"), ("reserved", "u1"), ("count", "u2")])
_EXTENT = [("start_chrom_id", "u4"), ("start_base", "u4"), ("end_chrom_id", "u4"), ("end_base", "u4")]
_ZOOM_ITEM = np.dtype(
    [
        ("chrom_id", "u4"),
        ("start", "u4"),
        ("end", "u4"),
        ("bases_covered", "u4"),
        ("min", "f4"),
        ("max", "f4"),
        ("sum", "f4"),
        ("sum_squares", "f4"),
    ]
)

HEADER_SIZE = _HEADER.itemsize
ZOOM_HEADER_SIZE = _ZOOM_HEADER.itemsize
SUMMARY_SIZE = _SUMMARY.itemsize
CHROMOSOME_TREE_HEADER_SIZE = _CHROMOSOME_TREE_HEADER.itemsize
INDEX_HEADER_SIZE = _INDEX_HEADER.itemsize
NODE_HEAD_SIZE = _NODE_HEAD.itemsize


@dataclass(frozen=True, slots=True)
class Header:
    """The first 64 bytes of a bigWig: its version and where everything is.

    Offsets are bytes from the start of the file; 0 where the file has no such part.
    ``uncompress_buffer_size`` is the size in bytes of the largest inflated block, 0 if blocks are not compressed.
    """

    byte_order: ByteOrder
    version: int
    zoom_level_count: int
    chromosome_tree_offset: int
    data_offset: int
    index_offset: int
    field_count: int
    defined_field_count: int
    auto_sql_offset: int
    summary_offset: int
    uncompress_buffer_size: int
    extension_offset: int

    @property
    def compressed(self) -> bool:
        """Whether blocks are zlib streams."""
        return self.uncompress_buffer_size > 0

    @property
    def big_endian(self) -> bool:
        """Whether numbers of the file have their highest byte first."""
        return self.byte_order == ">"


@dataclass(frozen=True, slots=True)
class ZoomHeader:
    """One zoom level: bases per zoom item, and the file offsets of its blocks and of its R tree."""

    reduction_level: int
    data_offset: int
    index_offset: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What the file says about all its values together, base by base.

    ``bases_covered`` counts bases with a value; ``sum`` and ``sum_squares`` run over those bases.
    Where it is 0, ``min`` and ``max`` are NaN.
    """

    bases_covered: int
    min: float
    max: float
    sum: float
    sum_squares: float

    @property
    def mean(self) -> float:
        """Mean over the covered bases; NaN if there are none."""
        return self.sum / self.bases_covered if self.bases_covered else math.nan

    @property
    def std(self) -> float:
        """Sample standard deviation (n - 1) over the covered bases; 0 for one base, NaN for none.

        Computed from the sums as UCSC's tools do: ``sqrt((sum_squares - sum**2 / n) / (n - 1))``.
        """
        if self.bases_covered < 2:
            return 0.0 if self.bases_covered else math.nan
        squares = self.sum_squares - self.sum * (self.sum / self.bases_covered)
        # min() and max() would turn a NaN in the file into a number.
        return 0.0 if squares < 0 else math.sqrt(squares / (self.bases_covered - 1))


@dataclass(frozen=True, slots=True)
class ChromosomeTreeHeader:
    """Head of the B+ tree of chromosomes: items per node, bytes of a name, bytes of a value, number of chromosomes."""

    block_size: int
    key_size: int
    value_size: int
    item_count: int


@dataclass(frozen=True, slots=True)
class IndexHeader:
    """Head of an R tree: items per node, number of items, the genome span it covers, end of the data in the file."""

    block_size: int
    item_count: int
    start_chrom_id: int
    start_base: int
    end_chrom_id: int
    end_base: int
    end_file_offset: int
    items_per_slot: int


@dataclass(frozen=True, slots=True)
class NodeFormat:
    """What the nodes of one tree look like: the layout of an item of a leaf and of an item of an inner node.

    Every inner item has a field ``child_offset``.
    """

    tree: str
    leaf: np.dtype[np.void]
    child: np.dtype[np.void]
    byte_order: ByteOrder

    def largest_node(self, block_size: int) -> int:
        """Bytes of a node with ``block_size`` items."""
        return NODE_HEAD_SIZE + min(block_size, MAX_NODE_ITEMS) * max(self.leaf.itemsize, self.child.itemsize)


def unexpected(expected: str, found: str, *, url: str, offset: int) -> FormatError:
    """The error to raise for bytes that are not what the format says."""
    return FormatError(f"{url}: expected {expected} at byte {offset}, found {found}", url=url, offset=offset)


def parse_header(data: bytes, *, url: str) -> Header:
    """Read the header of a bigWig.

    Parameters
    ----------
    data
        The start of the file, 64 bytes or more.
    url
        Display name of the file, for errors.

    Raises
    ------
    FormatError
        If this is a BigBed or not a BBI file at all, is too short, or has an unknown version.
    """
    byte_order = _detect_byte_order(data, url=url)
    record = _record(data, _HEADER, byte_order, what="the header", url=url, offset=0)
    fields = {name: int(record[name]) for name in _HEADER.fields or () if name != "magic"}
    if fields["version"] not in KNOWN_VERSIONS:
        raise unexpected(
            f"a bigWig version from {KNOWN_VERSIONS[0]} to {KNOWN_VERSIONS[-1]}",
            str(fields["version"]),
            url=url,
            offset=4,
        )
    return Header(byte_order=byte_order, **fields)


def parse_zoom_headers(data: bytes, header: Header, *, url: str) -> tuple[ZoomHeader, ...]:
    """Read the zoom headers, which follow the header; ``data`` starts at byte 64 of the file."""
    layout = _ZOOM_HEADER.newbyteorder(header.byte_order)
    size = header.zoom_level_count * layout.itemsize
    _require(data, size, what=f"{header.zoom_level_count} zoom headers", url=url, offset=HEADER_SIZE)
    records = np.frombuffer(data, layout, count=header.zoom_level_count)
    return tuple(
        ZoomHeader(int(record["reduction_level"]), int(record["data_offset"]), int(record["index_offset"]))
        for record in records
    )


def parse_summary(data: bytes, header: Header, *, url: str) -> Summary:
    """Read the summary of all values; ``data`` starts at ``header.summary_offset``."""
    offset = header.summary_offset
    record = _record(data, _SUMMARY, header.byte_order, what="the summary", url=url, offset=offset)
    values = {name: float(record[name]) for name in ("min", "max", "sum", "sum_squares")}
    bases_covered = int(record["bases_covered"])
    if not bases_covered:  # writers leave there what they start from: 0, or the largest number as the minimum
        values |= {"min": math.nan, "max": math.nan}
    return Summary(bases_covered=bases_covered, **values)


def parse_chromosome_tree_header(data: bytes, header: Header, *, url: str) -> ChromosomeTreeHeader:
    """Read the head of the chromosome tree; ``data`` starts at ``header.chromosome_tree_offset``."""
    offset, what = header.chromosome_tree_offset, "the chromosome tree"
    record = _record(data, _CHROMOSOME_TREE_HEADER, header.byte_order, what=what, url=url, offset=offset)
    _check_magic(int(record["magic"]), CHROMOSOME_TREE_MAGIC, what=what, url=url, offset=offset)
    tree = ChromosomeTreeHeader(
        **{name: int(record[name]) for name in ("block_size", "key_size", "value_size", "item_count")}
    )
    if tree.value_size < 8:
        raise unexpected(
            "chromosome values of at least 8 bytes (id and length)",
            f"{tree.value_size} bytes",
            url=url,
            offset=offset + 12,
        )
    if tree.key_size < 1 and tree.item_count:
        raise unexpected("chromosome names of at least 1 byte", f"{tree.key_size} bytes", url=url, offset=offset + 8)
    return tree


def parse_index_header(data: bytes, header: Header, *, url: str, offset: int) -> IndexHeader:
    """Read the head of an R tree, that of the data or of a zoom level; ``data`` starts at ``offset`` of the file."""
    record = _record(data, _INDEX_HEADER, header.byte_order, what="the R tree", url=url, offset=offset)
    _check_magic(int(record["magic"]), INDEX_MAGIC, what="the R tree", url=url, offset=offset)
    names = [name for name in _INDEX_HEADER.fields or () if name not in ("magic", "reserved")]
    return IndexHeader(**{name: int(record[name]) for name in names})


def chromosome_tree_nodes(tree: ChromosomeTreeHeader, header: Header, *, url: str, size: int) -> NodeFormat:
    """Layout of the chromosome tree's nodes: leaf items ``key, id, length``, inner items ``key, child_offset``.

    ``size`` is the size of the file in bytes; names longer than that are damage.
    """
    item_size = tree.key_size + tree.value_size
    if item_size > size:
        offset = header.chromosome_tree_offset + 8
        raise unexpected(
            "a chromosome tree that fits into the file", f"items of {item_size} bytes", url=url, offset=offset
        )
    key = ("key", f"S{tree.key_size}") if tree.key_size else ("key", "V0")
    leaf: list[Any] = [key, ("id", "u4"), ("length", "u4")]
    if tree.value_size > 8:
        leaf.append(("unused", f"V{tree.value_size - 8}"))
    return _node_format("chromosome tree", leaf, [key, ("child_offset", "u8")], header.byte_order)


def index_nodes(header: Header) -> NodeFormat:
    """Layout of an R tree's nodes: leaf items ``extent, offset, size``, inner items ``extent, child_offset``."""
    leaf = [*_EXTENT, ("offset", "u8"), ("size", "u8")]
    return _node_format("R tree", leaf, [*_EXTENT, ("child_offset", "u8")], header.byte_order)


def zoom_items(data: bytes, byte_order: ByteOrder) -> StructuredArray:
    """The summary items of an inflated block of a zoom level; a trailing part of an item is left out."""
    layout = _ZOOM_ITEM.newbyteorder(byte_order)
    return cast(StructuredArray, np.frombuffer(data, layout, count=len(data) // layout.itemsize))


def node_sizes(heads: Sequence[bytes], layout: NodeFormat, *, url: str, offsets: Int64Array) -> Int64Array:
    """Bytes of each node, from its first four bytes.

    Parameters
    ----------
    heads
        The nodes; of each at least 4 bytes.
    layout
        The tree's layout.
    url
        Display name of the file, for errors.
    offsets : (N,) int64
        Where each node starts in the file, for errors.

    Returns
    -------
    (N,) int64
        Bytes, the head included.
    """
    head = _node_heads(heads, layout)
    wrong = np.flatnonzero(head["is_leaf"] > 1)
    if wrong.size:
        first = int(wrong[0])
        found = f"{int(head['is_leaf'][first])}"
        raise unexpected(
            f"a node of the {layout.tree}, which starts with 0 or 1", found, url=url, offset=int(offsets[first])
        )
    item_sizes = np.where(head["is_leaf"] == 1, layout.leaf.itemsize, layout.child.itemsize)
    return NODE_HEAD_SIZE + head["count"].astype(np.int64) * item_sizes


def parse_nodes(nodes: Sequence[bytes], layout: NodeFormat) -> tuple[StructuredArray, StructuredArray]:
    """The items of many nodes of a tree, all leaf items together and all inner items together.

    Parameters
    ----------
    nodes
        Whole nodes, at least as many bytes each as :func:`node_sizes` says.
    layout
        The tree's layout.

    Returns
    -------
    leaves
        (L,) of ``layout.leaf``, in the order of the nodes.
    children
        (M,) of ``layout.child``, in the order of the nodes.
    """
    head = _node_heads(nodes, layout)
    parsed = []
    for is_leaf, item in ((1, layout.leaf), (0, layout.child)):
        counts = np.where(head["is_leaf"] == is_leaf, head["count"], 0).tolist()
        body = b"".join(
            [
                node[NODE_HEAD_SIZE : NODE_HEAD_SIZE + count * item.itemsize]
                for node, count in zip(nodes, counts, strict=True)
            ]
        )
        parsed.append(cast(StructuredArray, np.frombuffer(body, item)))
    return parsed[0], parsed[1]


def _node_format(tree: str, leaf: list[Any], child: list[Any], byte_order: ByteOrder) -> NodeFormat:
    return NodeFormat(
        tree=tree,
        leaf=np.dtype(leaf).newbyteorder(byte_order),
        child=np.dtype(child).newbyteorder(byte_order),
        byte_order=byte_order,
    )


def _node_heads(nodes: Sequence[bytes], layout: NodeFormat) -> StructuredArray:
    joined = b"".join([node[:NODE_HEAD_SIZE] for node in nodes])
    return cast(StructuredArray, np.frombuffer(joined, _NODE_HEAD.newbyteorder(layout.byte_order)))


def _detect_byte_order(data: bytes, *, url: str) -> ByteOrder:
    orders: tuple[ByteOrder, ByteOrder] = ("<", ">")
    for byte_order in orders:
        magic = int.from_bytes(data[:4], "little" if byte_order == "<" else "big")
        if len(data) >= 4 and magic == BIGWIG_MAGIC:
            return byte_order
        if len(data) >= 4 and magic == BIGBED_MAGIC:
            raise FormatError(
                f"{url}: this is a BigBed file; BigBed holds annotations, only bigWig holds a signal", url=url, offset=0
            )
    raise unexpected("a bigWig, which starts with 26 fc 8f 88 or 88 8f fc 26", _describe(data), url=url, offset=0)


def _describe(data: bytes) -> str:
    """What bytes look like to someone who wonders why they are no bigWig."""
    if not data:
        return "an empty file"
    start = data[:16]
    text = start.decode("ascii", "replace")
    readable = f" ({text!r})" if text.isprintable() and "\N{REPLACEMENT CHARACTER}" not in text else ""
    kind = ", a gzip file" if start.startswith(b"\x1f\x8b") else ""
    return f"{start.hex(' ')}{readable}{kind}"


def _record(
    data: bytes, layout: np.dtype[np.void], byte_order: ByteOrder, *, what: str, url: str, offset: int
) -> np.void:
    _require(data, layout.itemsize, what=what, url=url, offset=offset)
    return cast(np.void, np.frombuffer(data, layout.newbyteorder(byte_order), count=1)[0])


def _require(data: bytes, size: int, *, what: str, url: str, offset: int) -> None:
    if len(data) < size:
        raise unexpected(f"{what} ({size} bytes)", f"{len(data)} bytes; the file is truncated", url=url, offset=offset)


def _check_magic(magic: int, wanted: int, *, what: str, url: str, offset: int) -> None:
    if magic != wanted:
        raise unexpected(f"{what}, which starts with {wanted:#010x}", f"{magic:#010x}", url=url, offset=offset)
