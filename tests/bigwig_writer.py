"""Writes BigWig files by hand, so that tests can have what no real file shows.

The layout follows Kent et al. 2010 (Bioinformatics 26:2204, supplementary tables 5 to 19), in this order:

    header | zoom headers | summary | chromosome B+ tree | section count | blocks | R tree | zoom levels | magic
    64 B   | 24 B each    | 40 B    | names, ids, sizes  | 8 B           |        |        | optional    | 4 B

A file is a list of :class:`Section`, which :class:`Layout` says how to write. Nothing is checked: damaged files are
written by asking for them (unsorted items, a compressor that returns rubbish, a buffer size that lies).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

BEDGRAPH, VARIABLE_STEP, FIXED_STEP = 1, 2, 3

BIGWIG_MAGIC = 0x888FFC26
CHROMOSOME_TREE_MAGIC = 0x78CA8C91
INDEX_MAGIC = 0x2468ACE0

HEADER_SIZE, ZOOM_HEADER_SIZE, SUMMARY_SIZE = 64, 24, 40
ZOOM_RECORDS_PER_BLOCK = 512

Compressor = Callable[[bytes], bytes]
Box = tuple[int, int, int, int]
"""Where an R tree entry says its data lies: start chrom_id, start, end chrom_id, end."""


def deflate(level: int = 6, *, strategy: int = zlib.Z_DEFAULT_STRATEGY, pieces: int = 1) -> Compressor:
    """A compressor with zlib's `level` and `strategy`; `pieces` > 1 cuts the stream by full flushes into sub-blocks."""

    def compress(payload: bytes) -> bytes:
        stream = zlib.compressobj(level, zlib.DEFLATED, zlib.MAX_WBITS, 9, strategy)
        piece_size = -(-len(payload) // pieces)
        compressed = b""
        for begin in range(0, len(payload), piece_size):
            compressed += stream.compress(payload[begin : begin + piece_size])
            if begin + piece_size < len(payload):
                compressed += stream.flush(zlib.Z_FULL_FLUSH)
        return compressed + stream.flush()

    return compress


DEFAULT_COMPRESSOR = deflate()
STORED = deflate(0)
FIXED_HUFFMAN = deflate(6, strategy=zlib.Z_FIXED)


@dataclass(frozen=True, eq=False)
class Section:
    """One section: items of one kind on one chromosome.

    Attributes
    ----------
    chrom : str
        The chromosome's name.
    kind : int
        1 bedGraph, 2 variableStep, 3 fixedStep.
    starts, ends : (N,) int64
        Bases [start, end) of the items, on the chromosome.
    values : (N,) float32
        One value per item.
    step, span : int
        The header's fields. bedGraph ignores both, variableStep the step.
    bounds : (start, end)
        What the section's header and its R tree entry claim.
    box : Box, optional
        A wider R tree entry than `bounds` (leaves that span chromosomes).
    compress : Compressor, optional
        For this section; the layout's otherwise.
    """

    chrom: str
    kind: int
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    step: int
    span: int
    bounds: tuple[int, int]
    box: Box | None = None
    compress: Compressor | None = None

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        name = {BEDGRAPH: "bedgraph", VARIABLE_STEP: "variable_step", FIXED_STEP: "fixed_step"}[self.kind]
        return f"<{name} {self.chrom}:{self.bounds[0]}-{self.bounds[1]}, {len(self)} items>"


def bedgraph(
    chrom: str, starts: npt.ArrayLike, ends: npt.ArrayLike, values: npt.ArrayLike, *, step: int = 0, span: int = 0
) -> Section:
    """Items with a start and an end each. `step` and `span` are written, and mean nothing here."""
    return _section(chrom, BEDGRAPH, np.asarray(starts, np.int64), np.asarray(ends, np.int64), values, step, span)


def variable_step(chrom: str, starts: npt.ArrayLike, values: npt.ArrayLike, *, span: int = 1) -> Section:
    """Items with a start each, all `span` bases long."""
    starts = np.asarray(starts, np.int64)
    return _section(chrom, VARIABLE_STEP, starts, starts + span, values, 0, span)


def fixed_step(chrom: str, start: int, values: npt.ArrayLike, *, step: int = 1, span: int = 1) -> Section:
    """Items of `span` bases, `step` bases from start to start."""
    values = np.asarray(values, np.float32)
    starts = start + step * np.arange(len(values), dtype=np.int64)
    return _section(chrom, FIXED_STEP, starts, starts + span, values, step, span)


def empty_section(chrom: str, kind: int, start: int, end: int, *, step: int = 1, span: int = 1) -> Section:
    """A section that claims [start, end) and has no items."""
    nothing = np.empty(0, np.int64)
    return Section(chrom, kind, nothing, nothing, np.empty(0, np.float32), step, span, (start, end))


def _section(
    chrom: str,
    kind: int,
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    values: npt.ArrayLike,
    step: int,
    span: int,
) -> Section:
    bounds = (int(starts.min()), int(ends.max()))
    return Section(chrom, kind, starts, ends, np.asarray(values, np.float32), step, span, bounds)


def cut(section: Section, items: int) -> list[Section]:
    """The section as several, of at most `items` items each, as writers cut a chromosome's data."""
    cuts = []
    for begin in range(0, len(section), items):
        part = slice(begin, begin + items)
        starts, ends, values = section.starts[part], section.ends[part], section.values[part]
        cuts.append(_section(section.chrom, section.kind, starts, ends, values, section.step, section.span))
    return [replace(one, compress=section.compress) for one in cuts]


@dataclass(frozen=True)
class Layout:
    """How the file is written; every field has the value that UCSC's programs would give it, more or less."""

    byte_order: str = "<"
    version: int = 4
    compressed: bool | None = None
    """Uncompressed files have a buffer size of 0. Compression came with version 3, and is the default from there."""
    compress: Compressor = DEFAULT_COMPRESSOR
    summary: bool = True
    """The total summary came with version 2, so version 1 never has it."""
    chromosome_ids: Mapping[str, int] | None = None
    """In the order of the chromosome sizes by default."""
    chromosome_node_size: int = 256
    key_size: int | None = None
    """Bytes per chromosome name; the longest name's by default."""
    index_node_size: int = 256
    pad_nodes: bool = True
    """Nodes that are not full take their whole room, as UCSC writes them, or none, as libBigWig does."""
    zoom_reductions: Sequence[int] = ()
    uncompress_buffer_size: int | None = None
    """What the header claims; the longest block by default."""
    hole: int = 0
    """Bytes left out before the blocks: a sparse file, with blocks past 2^32."""
    sort_sections: bool = True


class Image:
    """A file that grows at its end, and remembers where things were put."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, bytes]] = []
        self.end = 0

    def append(self, data: bytes) -> int:
        offset = self.end
        self.pieces.append((offset, data))
        self.end += len(data)
        return offset

    def skip(self, size: int) -> int:
        self.end += size
        return self.end - size

    def put(self, offset: int, data: bytes) -> None:
        self.pieces.append((offset, data))

    def write_to(self, file: BinaryIO) -> None:
        for offset, data in self.pieces:
            file.seek(offset)
            file.write(data)


def write_bigwig(
    destination: str | Path | BinaryIO, chrom_sizes: Mapping[str, int], sections: Iterable[Section], **options: Any
) -> None:
    """Write `sections` to a path or a seekable file object; `options` are the fields of :class:`Layout`."""
    image = file_image(chrom_sizes, list(sections), Layout(**options))
    if isinstance(destination, str | Path):
        with open(destination, "wb") as file:
            image.write_to(file)
    else:
        image.write_to(destination)


def file_image(chrom_sizes: Mapping[str, int], sections: list[Section], layout: Layout) -> Image:
    order = layout.byte_order
    compressed = layout.version >= 3 if layout.compressed is None else layout.compressed
    ids = layout.chromosome_ids or {name: row for row, name in enumerate(chrom_sizes)}
    if layout.sort_sections:
        sections = sorted(sections, key=lambda section: (ids[section.chrom], section.bounds))
    with_summary = layout.summary and layout.version >= 2

    image = Image()
    image.skip(HEADER_SIZE)
    zoom_headers_offset = image.skip(ZOOM_HEADER_SIZE * len(layout.zoom_reductions))
    summary_offset = image.append(summary_bytes(sections, order)) if with_summary else 0
    tree_offset = image.append(chromosome_tree_bytes(chrom_sizes, ids, layout, image.end))

    image.skip(layout.hole)
    data_offset = image.append(struct.pack(order + "Q", len(sections)))
    payloads = [section_payload(section, ids[section.chrom], order) for section in sections]
    compressors = [(section.compress or layout.compress) if compressed else bytes for section in sections]
    boxes = [section_box(section, ids[section.chrom]) for section in sections]
    index_offset = append_blocks(image, payloads, compressors, boxes, layout)

    largest = max(map(len, payloads), default=1)
    zoom_headers = b""
    for reduction in layout.zoom_reductions:
        header, longest = append_zoom_level(image, sections, ids, chrom_sizes, reduction, compressed, layout)
        zoom_headers += header
        largest = max(largest, longest)
    image.append(struct.pack(order + "I", BIGWIG_MAGIC))

    if not compressed:
        buffer_size = 0
    elif layout.uncompress_buffer_size is not None:
        buffer_size = layout.uncompress_buffer_size
    else:
        buffer_size = largest
    offsets = (tree_offset, data_offset, index_offset)
    header = struct.pack(order + "IHHQQQ", BIGWIG_MAGIC, layout.version, len(layout.zoom_reductions), *offsets)
    header += struct.pack(order + "HHQQIQ", 0, 0, 0, summary_offset, buffer_size, 0)
    image.put(0, header)
    image.put(zoom_headers_offset, zoom_headers)
    return image


# --- sections


def section_payload(section: Section, chrom_id: int, order: str) -> bytes:
    """The 24-byte header and the items, not compressed."""
    header = struct.pack(
        order + "IIIIIBBH", chrom_id, *section.bounds, section.step, section.span, section.kind, 0, len(section)
    )
    columns = {"start": section.starts, "end": section.ends, "value": section.values}
    names = {BEDGRAPH: ["start", "end", "value"], VARIABLE_STEP: ["start", "value"], FIXED_STEP: ["value"]}
    fields = [(name, order + ("f4" if name == "value" else "u4")) for name in names[section.kind]]
    items = np.empty(len(section), fields)
    for name, _ in fields:
        items[name] = columns[name]
    return header + items.tobytes()


def section_box(section: Section, chrom_id: int) -> Box:
    start, end = section.bounds
    return section.box or (chrom_id, start, chrom_id, end)


def append_blocks(
    image: Image, payloads: Sequence[bytes], compressors: Sequence[Compressor], boxes: Sequence[Box], layout: Layout
) -> int:
    """Append the compressed payloads and an R tree of them; the tree's offset."""
    values = []
    for payload, compress in zip(payloads, compressors, strict=True):
        block = compress(payload)
        values.append(struct.pack(layout.byte_order + "QQ", image.append(block), len(block)))
    items_per_slot = 1 if len(payloads) < 2 else max(1, len(payloads[0]) // 12)
    return image.append(index_bytes(boxes, values, layout, image.end, items_per_slot))


# --- trees


def tree_bytes(
    keys: Sequence[Any],
    values: Sequence[bytes],
    *,
    node_size: int,
    offset: int,
    pack: Callable[[Any], bytes],
    merge: Callable[[Sequence[Any]], Any],
    layout: Layout,
) -> bytes:
    """A tree of `node_size` children a node, as both trees of the format are: root first, leaves last.

    A leaf's item is its key and its value, an inner node's item the merged key of a child and the child's offset.
    """
    levels = [_in_nodes(list(keys), node_size)]
    while len(levels[-1]) > 1:
        levels.append(_in_nodes([merge(node) for node in levels[-1]], node_size))
    levels.reverse()

    value_size = len(values[0]) if values else 0
    key_size = len(pack(keys[0])) if keys else 0
    written = b""
    for depth, nodes in enumerate(levels):
        is_leaf = depth == len(levels) - 1
        item_size = key_size + (value_size if is_leaf else 8)
        child_item_size = key_size + (value_size if depth >= len(levels) - 2 else 8)
        child = offset + sum(_node_bytes(node, node_size, item_size, layout) for node in nodes)
        children = iter(values) if is_leaf else _offsets(levels[depth + 1], child, node_size, child_item_size, layout)
        level = []
        for node in nodes:
            head = struct.pack(layout.byte_order + "BBH", is_leaf, 0, len(node))
            body = b"".join(pack(key) + next(children) for key in node)
            level.append((head + body).ljust(_node_bytes(node, node_size, item_size, layout), b"\0"))
        written += b"".join(level)
        offset = child
    return written


def _in_nodes(keys: list[Any], node_size: int) -> list[list[Any]]:
    return [keys[begin : begin + node_size] for begin in range(0, len(keys), node_size)] or [[]]


def _node_bytes(node: list[Any], node_size: int, item_size: int, layout: Layout) -> int:
    return 4 + item_size * (node_size if layout.pad_nodes else len(node))


def _offsets(nodes: list[list[Any]], offset: int, node_size: int, item_size: int, layout: Layout) -> Any:
    for node in nodes:
        yield struct.pack(layout.byte_order + "Q", offset)
        offset += _node_bytes(node, node_size, item_size, layout)


def chromosome_tree_bytes(chrom_sizes: Mapping[str, int], ids: Mapping[str, int], layout: Layout, offset: int) -> bytes:
    """The B+ tree of names, ordered by name, whatever the ids."""
    order = layout.byte_order
    names = sorted(name.encode() for name in chrom_sizes)
    key_size = layout.key_size or max(map(len, names), default=1)
    header = struct.pack(
        order + "IIIIQQ", CHROMOSOME_TREE_MAGIC, layout.chromosome_node_size, key_size, 8, len(names), 0
    )
    return header + tree_bytes(
        names,
        [struct.pack(order + "II", ids[name.decode()], chrom_sizes[name.decode()]) for name in names],
        node_size=layout.chromosome_node_size,
        offset=offset + len(header),
        pack=lambda name: name.ljust(key_size, b"\0"),
        merge=lambda names: names[0],
        layout=layout,
    )


def index_bytes(
    boxes: Sequence[Box], values: Sequence[bytes], layout: Layout, offset: int, items_per_slot: int
) -> bytes:
    """The R tree of the blocks, which lie before `offset`."""
    order = layout.byte_order
    whole = merge_boxes(boxes) if boxes else (0, 0, 0, 0)
    header = struct.pack(
        order + "IIQIIIIQII", INDEX_MAGIC, layout.index_node_size, len(boxes), *whole, offset, items_per_slot, 0
    )
    return header + tree_bytes(
        boxes,
        values,
        node_size=layout.index_node_size,
        offset=offset + len(header),
        pack=lambda box: struct.pack(order + "IIII", *box),
        merge=merge_boxes,
        layout=layout,
    )


def merge_boxes(boxes: Sequence[Box]) -> Box:
    return (*min(box[:2] for box in boxes), *max(box[2:] for box in boxes))


# --- summaries


def covered_items(sections: Iterable[Section]) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Starts, ends (int64) and values (float64) of the items whose value is a number."""
    listed = list(sections)
    starts = np.concatenate([section.starts for section in listed] or [np.empty(0, np.int64)])
    ends = np.concatenate([section.ends for section in listed] or [np.empty(0, np.int64)])
    values = np.concatenate([section.values for section in listed] or [np.empty(0, np.float32)]).astype(np.float64)
    covered = ~np.isnan(values)
    return starts[covered], ends[covered], values[covered]


def summary_bytes(sections: Iterable[Section], order: str) -> bytes:
    starts, ends, values = covered_items(sections)
    lengths = ends - starts
    low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
    with np.errstate(invalid="ignore"):  # infinities of both signs
        sums = (float((lengths * values).sum()), float((lengths * values**2).sum()))
    return struct.pack(order + "Qdddd", int(lengths.sum()), low, high, *sums)


def append_zoom_level(
    image: Image,
    sections: Sequence[Section],
    ids: Mapping[str, int],
    chrom_sizes: Mapping[str, int],
    reduction: int,
    compressed: bool,
    layout: Layout,
) -> tuple[bytes, int]:
    """Append one zoom level; its header, and the bytes of its longest block before compression."""
    by_chromosome = []
    for name in sorted({section.chrom for section in sections}, key=lambda name: ids[name]):
        of_chromosome = [section for section in sections if section.chrom == name]
        by_chromosome.append(zoom_records(of_chromosome, ids[name], chrom_sizes[name], reduction, layout.byte_order))
    records = np.concatenate(by_chromosome) if by_chromosome else np.empty(0, zoom_record_type(layout.byte_order))
    blocks = [records[i : i + ZOOM_RECORDS_PER_BLOCK] for i in range(0, len(records), ZOOM_RECORDS_PER_BLOCK)]
    boxes = [
        (int(first["chrom_id"]), int(first["start"]), int(last["chrom_id"]), int(last["end"]))
        for first, last in ((block[0], block[-1]) for block in blocks)
    ]
    # Joining arrays brings them to this machine's byte order.
    payloads = [block.astype(zoom_record_type(layout.byte_order)).tobytes() for block in blocks]
    data_offset = image.append(struct.pack(layout.byte_order + "I", len(records)))
    compressors = [layout.compress if compressed else bytes] * len(payloads)
    index_offset = append_blocks(image, payloads, compressors, boxes, layout)
    header = struct.pack(layout.byte_order + "IIQQ", reduction, 0, data_offset, index_offset)
    return header, max(map(len, payloads), default=0)


def zoom_record_type(order: str) -> np.dtype[Any]:
    integers = [(name, order + "u4") for name in ("chrom_id", "start", "end", "valid_count")]
    return np.dtype(integers + [(name, order + "f4") for name in ("min", "max", "sum", "sum_squares")])


def zoom_records(
    sections: Sequence[Section], chrom_id: int, chrom_size: int, reduction: int, order: str
) -> npt.NDArray[Any]:
    """One record per stretch of `reduction` bases (counted from 0) that has a covered base."""
    starts, ends, values = covered_items(sections)
    first_bins = starts // reduction
    pieces = (ends - 1) // reduction - first_bins + 1
    item = np.repeat(np.arange(len(starts)), pieces)
    bins = first_bins[item] + np.arange(len(item)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    lengths = np.minimum(ends[item], (bins + 1) * reduction) - np.maximum(starts[item], bins * reduction)
    unique, where = np.unique(bins, return_inverse=True)

    records = np.zeros(len(unique), zoom_record_type(order))
    records["chrom_id"] = chrom_id
    records["start"] = unique * reduction
    records["end"] = np.minimum((unique + 1) * reduction, chrom_size)
    records["valid_count"] = np.bincount(where, weights=lengths)
    records["sum"] = np.bincount(where, weights=lengths * values[item])
    records["sum_squares"] = np.bincount(where, weights=lengths * values[item] ** 2)
    lows, highs = np.full(len(unique), np.inf), np.full(len(unique), -np.inf)
    np.minimum.at(lows, where, values[item])
    np.maximum.at(highs, where, values[item])
    records["min"], records["max"] = lows, highs
    return records
