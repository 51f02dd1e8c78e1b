"""One file's chromosomes and blocks as flat sorted arrays: (chromosome, start, end) to a run of blocks.

A bigWig's R tree exists so that a program can find blocks without reading the whole index. Here the index is read once,
level by level, and only the leaves are kept: three sorted arrays answer any query by two binary searches, for thousands
of windows at a time. That also makes the extents in the upper nodes, which some writers get wrong, unimportant.

Positions are *genome positions*: the chromosomes of a file laid end to end in the order of their ids, in int64, because
genomes pass 2**32 bases. The file's own chromosome ids do not leave this module, except in :class:`Chromosomes`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import numpy.typing as npt

from . import bbi
from .bbi import Header, NodeFormat, StructuredArray, Summary, ZoomHeader, unexpected
from .errors import ChromNotFoundError, FormatError
from .storage import ByteSource

__all__ = ["BlockIndex", "Chromosomes", "FileIndex", "read_file_index", "read_zoom_index"]

logger = logging.getLogger(__name__)

Int64Array = npt.NDArray[np.int64]

# The header, the zoom headers, the summary and the chromosomes of most assemblies.
FIRST_READ = 64 * 1024
# The index of nearly every file in one request, without asking for 100 MB because an offset is damaged.
LARGEST_READ_AHEAD = 8 * 1024 * 1024
# Two items a node make 2**64 items in as many levels; a deeper tree is damage.
MAX_TREE_DEPTH = 64


@dataclass(frozen=True, slots=True, eq=False)
class Chromosomes:
    """The chromosomes of a file, in the order of their ids.

    Attributes
    ----------
    names
        (C,) names.
    lengths : (C,) int64
        Bases.
    ids : (C,) uint32
        The file's own numbers, ascending; not always 0, 1, 2, ...
    genome_starts : (C,) int64
        Genome position of a chromosome's first base.

    Examples
    --------
    >>> chromosomes = Chromosomes(
    ...     ("chr1", "chr2"), np.array([1_000, 800]), np.array([0, 1], np.uint32), np.array([0, 1_000]))
    >>> chromosomes.row("chr2", url="a.bw"), chromosomes.as_dict()
    (1, {'chr1': 1000, 'chr2': 800})
    """

    names: tuple[str, ...]
    lengths: Int64Array
    ids: npt.NDArray[np.uint32]
    genome_starts: Int64Array
    _rows: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rows", {name: row for row, name in enumerate(self.names)})

    def __len__(self) -> int:
        return len(self.names)

    def row(self, name: str, *, url: str) -> int:
        """Row of the chromosome in these arrays.

        Raises
        ------
        ChromNotFoundError
            If there is none; the error names similar ones.
        """
        row = self._rows.get(name)
        if row is None:
            raise ChromNotFoundError.for_name(str(name), self.names, url=url)
        return row

    def as_dict(self) -> dict[str, int]:
        """Name to length in bases, in the order of the ids."""
        return dict(zip(self.names, self.lengths.tolist(), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class BlockIndex:
    """The leaves of an R tree, sorted by start.

    Attributes
    ----------
    starts, ends : (K,) int64
        Genome positions that a block's items lie in.
    reaches : (K,) int64
        The largest of ``ends`` up to here. In an orderly file that is ``ends``; where blocks overlap, it is what keeps
        a binary search right.
    offsets, sizes : (K,) int64
        Bytes of the block in the file.

    Examples
    --------
    >>> ends = np.array([100, 250, 400])
    >>> blocks = BlockIndex(np.array([0, 100, 300]), ends, ends, np.array([64, 90, 120]), np.array([26, 30, 20]))
    >>> blocks.run(240, 310)  # blocks 1 and 2
    (1, 3)
    """

    starts: Int64Array
    ends: Int64Array
    reaches: Int64Array
    offsets: Int64Array
    sizes: Int64Array

    def __len__(self) -> int:
        return len(self.starts)

    def run(self, start: int, end: int) -> tuple[int, int]:
        """First and last (exclusive) of the blocks that may have items in genome positions [start, end)."""
        first = int(np.searchsorted(self.reaches, start, "right"))
        last = int(np.searchsorted(self.starts, end, "left"))
        return first, max(first, last)


@dataclass(frozen=True, slots=True, eq=False)
class FileIndex:
    """All that is known of a file before a block is read.

    Attributes
    ----------
    url
        Display name of the file.
    header, zoom_headers, summary
        As in the file; ``summary`` is None in files of version 1 and where the writer left it out.
    chromosomes
        Names, lengths, and where they lie in genome positions.
    blocks
        Where the data's blocks lie.

    Examples
    --------
    See :func:`read_file_index`.
    """

    url: str
    header: Header
    zoom_headers: tuple[ZoomHeader, ...]
    summary: Summary | None
    chromosomes: Chromosomes
    blocks: BlockIndex

    def __repr__(self) -> str:
        return f"<FileIndex of {self.url}: {len(self.chromosomes)} chromosomes, {len(self.blocks)} blocks>"


def read_file_index(source: ByteSource) -> FileIndex:
    """Read a bigWig's header, chromosomes and index.

    Parameters
    ----------
    source
        The file. Most files take two reads: the start, and the index; a large chromosome tree takes a third.

    Raises
    ------
    FormatError
        If this is no bigWig, or is damaged or cut off; it says what was expected where.

    Examples
    --------
    >>> import contextlib, tempfile
    >>> from bigwig_numba.storage import open_source
    >>> from bigwig_numba.write import write_bigwig
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = f"{folder.name}/track.bw"
    >>> write_bigwig(path, {"chr1": 5_000}, [("chr1", 1_000, np.arange(3_000.0))])
    >>> with contextlib.closing(open_source(path)) as source:
    ...     index = read_file_index(source)
    >>> index.header.version, index.chromosomes.as_dict(), len(index.blocks)
    (4, {'chr1': 5000}, 3)
    >>> index.blocks.run(2_500, 2_600)  # the second block has these bases
    (1, 2)
    >>> folder.cleanup()
    """
    url = source.url
    reader = _Reader(source)
    header = bbi.parse_header(reader.read(0, bbi.HEADER_SIZE), url=url)
    zoom_size = header.zoom_level_count * bbi.ZOOM_HEADER_SIZE
    zoom_headers = bbi.parse_zoom_headers(reader.read(bbi.HEADER_SIZE, zoom_size), header, url=url)
    reader.expect_parts(header, zoom_headers)
    summary = None
    if header.summary_offset:
        summary = bbi.parse_summary(reader.read(header.summary_offset, bbi.SUMMARY_SIZE), header, url=url)
    chromosomes = _read_chromosomes(reader, header)
    if header.index_offset:
        blocks = _read_blocks(reader, header, header.index_offset, chromosomes, every_item_is_a_block=True)
    else:
        _check_finished(reader, header)
        blocks = _block_index(np.empty(0, bbi.index_nodes(header).leaf), chromosomes, url=url, offset=0, file_size=0)
    return FileIndex(url, header, zoom_headers, summary, chromosomes, blocks)


def read_zoom_index(source: ByteSource, file_index: FileIndex, level: int) -> BlockIndex:
    """Read where the blocks of a zoom level lie.

    Parameters
    ----------
    source
        The file.
    file_index
        What :func:`read_file_index` read from it.
    level
        Number of the zoom level in ``file_index.zoom_headers``.

    Raises
    ------
    FormatError
        If that level's index is damaged or cut off.

    Examples
    --------
    >>> import contextlib
    >>> from bigwig_numba.example_data import example_data
    >>> from bigwig_numba.storage import open_source
    >>> with contextlib.closing(open_source(example_data(chromosome_length=50_000).bigwig_paths[1])) as source:
    ...     index = read_file_index(source)
    ...     zoom = read_zoom_index(source, index, level=0)
    >>> index.zoom_headers[0].reduction_level, len(index.blocks), len(zoom)
    (160, 8, 3)
    """
    reader = _Reader(source, read_start=False)
    reader.expect_parts(file_index.header, file_index.zoom_headers)
    offset = file_index.zoom_headers[level].index_offset
    return _read_blocks(reader, file_index.header, offset, file_index.chromosomes, every_item_is_a_block=False)


class _Reader:
    """Reads the parts of one file in few requests, by reading on to where the next part starts."""

    def __init__(self, source: ByteSource, *, read_start: bool = True) -> None:
        self.url = source.url
        self.size = source.size
        self._source = source
        self._pieces: list[tuple[int, bytes]] = [(0, source.read_up_to(0, FIRST_READ))] if read_start else []
        self._landmarks = np.array([source.size], np.int64)
        self._index_offset = 0

    def expect_parts(self, header: Header, zoom_headers: tuple[ZoomHeader, ...]) -> None:
        """Learn where parts of the file start, and so how far it makes sense to read on."""
        starts = {
            header.chromosome_tree_offset,
            header.data_offset,
            header.index_offset,
            header.auto_sql_offset,
            header.summary_offset,
            header.extension_offset,
            *(offset for zoom in zoom_headers for offset in (zoom.data_offset, zoom.index_offset)),
        }
        self._landmarks = np.array([*sorted(start for start in starts if 0 < start < self.size), self.size], np.int64)
        self._index_offset = header.index_offset

    def next_parts(self, offsets: Int64Array) -> Int64Array:
        """Where the next part of the file starts after each offset; the end of the file if none does."""
        after = np.searchsorted(self._landmarks, offsets, "right")
        return self._landmarks[np.minimum(after, len(self._landmarks) - 1)]

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes, fewer at the end of the file."""
        size = max(0, min(size, self.size - offset))
        held = self._held(offset, size)
        if held is not None:
            return held
        stop = int(self.next_parts(np.array([offset]))[0])
        if stop == self._index_offset:  # some writers have the chromosomes just before it: both in one request
            stop = int(self.next_parts(np.array([stop]))[0])
        piece = self._source.read_up_to(offset, max(size, min(stop - offset, LARGEST_READ_AHEAD)))
        self._pieces.append((offset, piece))
        return piece[:size]

    def read_many(self, offsets: Int64Array, sizes: Int64Array) -> list[bytes]:
        """Ranges inside the file; those not read yet in one call."""
        answers = [self._held(offset, size) for offset, size in zip(offsets.tolist(), sizes.tolist(), strict=True)]
        missing = [number for number, answer in enumerate(answers) if answer is None]
        if missing:
            fetched = self._source.read_ranges(offsets[missing], sizes[missing])
            for number, data in zip(missing, fetched, strict=True):
                answers[number] = data
        return cast("list[bytes]", answers)

    def _held(self, offset: int, size: int) -> bytes | None:
        for start, piece in self._pieces:
            if start <= offset and offset + size <= start + len(piece):
                return piece[offset - start : offset - start + size]
        return b"" if size == 0 else None


class _Tree:
    """A tree of one file, read level by level.

    Nodes of a sound tree do not overlap, so together they are no larger than the file; a tree whose nodes are, or that
    leads back to a node, is damaged. That bounds the work for any input.
    """

    def __init__(self, reader: _Reader, root: int, layout: NodeFormat, *, block_size: int) -> None:
        self._reader = reader
        self._root = root
        self._layout = layout
        self._largest_node = layout.largest_node(block_size)
        self._last_offset = reader.size - bbi.NODE_HEAD_SIZE

    def leaves(self) -> StructuredArray:
        """All leaf items."""
        leaves = [np.empty(0, self._layout.leaf)]
        level = self._checked_offsets(np.array([self._root], np.uint64))
        visited = level
        bytes_left = self._reader.size
        for _ in range(MAX_TREE_DEPTH):
            heads, sizes = self._heads(level)
            bytes_left -= int(sizes.sum())
            if bytes_left < 0:
                raise self._damage("that fits into the file", "nodes that are larger together")
            found, children = bbi.parse_nodes(self._whole(heads, level, sizes), self._layout)
            leaves.append(found)
            if not len(children):
                return np.concatenate(leaves)
            level = self._checked_offsets(children["child_offset"])
            visited = np.concatenate([visited, level])
            if len(np.unique(visited)) < len(visited):
                raise self._damage("without cycles", "a node that is reached twice")
        raise self._damage(f"of at most {MAX_TREE_DEPTH} levels", "more")

    def _checked_offsets(self, offsets: npt.NDArray[np.uint64]) -> Int64Array:
        outside = np.flatnonzero((offsets < bbi.HEADER_SIZE) | (offsets > max(self._last_offset, 0)))
        if outside.size:
            inside = f"with nodes from byte {bbi.HEADER_SIZE} to {self._last_offset}"
            raise self._damage(inside, f"one at byte {offsets[outside[0]]}; the file is truncated or damaged")
        return offsets.astype(np.int64)

    def _heads(self, level: Int64Array) -> tuple[list[bytes], Int64Array]:
        """The nodes of a level as far as their sizes can be guessed, and their true sizes.

        A node ends where the next node or another part of the file starts, and has no more items than the tree's
        header says.
        """
        order = np.argsort(level)
        room = np.empty(len(level), np.int64)
        room[order] = np.diff(level[order], append=self._reader.size)
        room = np.minimum(room, self._reader.next_parts(level) - level)
        guesses = np.clip(room, bbi.NODE_HEAD_SIZE, self._largest_node)
        heads = self._reader.read_many(level, np.minimum(guesses, self._reader.size - level))
        sizes = bbi.node_sizes(heads, self._layout, url=self._reader.url, offsets=level)
        past_end = np.flatnonzero(sizes > self._reader.size - level)
        if past_end.size:
            node = int(past_end[0])
            offset = int(level[node])
            expected = f"a node of the {self._layout.tree} of {sizes[node]} bytes"
            found = f"{self._reader.size - offset} bytes; the file is truncated or damaged"
            raise unexpected(expected, found, url=self._reader.url, offset=offset)
        return heads, sizes

    def _whole(self, heads: list[bytes], level: Int64Array, sizes: Int64Array) -> list[bytes]:
        """The nodes in full; those whose size was guessed too small are read again."""
        short = np.flatnonzero(sizes > np.array([len(head) for head in heads]))
        again = dict(zip(short.tolist(), self._reader.read_many(level[short], sizes[short]), strict=True))
        return [again.get(number, head) for number, head in enumerate(heads)] if again else heads

    def _damage(self, expected: str, found: str) -> FormatError:
        return unexpected(f"the {self._layout.tree} {expected}", found, url=self._reader.url, offset=self._root)


def _read_chromosomes(reader: _Reader, header: Header) -> Chromosomes:
    offset = header.chromosome_tree_offset
    head = reader.read(offset, bbi.CHROMOSOME_TREE_HEADER_SIZE)
    tree = bbi.parse_chromosome_tree_header(head, header, url=reader.url)
    layout = bbi.chromosome_tree_nodes(tree, header, url=reader.url, size=reader.size)
    if tree.item_count:
        root = offset + bbi.CHROMOSOME_TREE_HEADER_SIZE
        leaves = _Tree(reader, root, layout, block_size=tree.block_size).leaves()
    else:
        leaves = np.empty(0, layout.leaf)
    if len(leaves) < tree.item_count:
        raise unexpected(f"a tree of {tree.item_count} chromosomes", f"{len(leaves)}", url=reader.url, offset=offset)
    leaves = leaves[np.argsort(leaves["id"], kind="stable")]
    ids = leaves["id"].astype(np.uint32)
    lengths = leaves["length"].astype(np.int64)
    names = _decode_names(reader, leaves["key"].tolist(), offset)
    twice = np.flatnonzero(ids[1:] == ids[:-1])
    if twice.size or len(set(names)) < len(names):
        found = f"id {ids[twice[0]]} twice" if twice.size else "a name twice"
        raise unexpected("chromosomes with a name and an id of their own", found, url=reader.url, offset=offset)
    genome_starts = np.zeros(len(ids), np.int64)
    np.cumsum(lengths[:-1], out=genome_starts[1:])
    return Chromosomes(names, lengths, ids, genome_starts)


def _decode_names(reader: _Reader, keys: list[bytes], offset: int) -> tuple[str, ...]:
    try:
        return tuple(key.partition(b"\0")[0].decode() for key in keys)
    except UnicodeDecodeError as error:
        raise unexpected(
            "chromosome names in UTF-8", f"{error.object[:64]!r}", url=reader.url, offset=offset
        ) from error


def _check_finished(reader: _Reader, header: Header) -> None:
    """A file without an index is empty, or its writer was interrupted. A finished file ends as it starts."""
    magic = reader.read(0, 4)
    if reader.read(reader.size - 4, 4) != magic:
        raise unexpected("the offset of the R tree", "0; writing this file was not finished", url=reader.url, offset=24)


def _read_blocks(
    reader: _Reader, header: Header, offset: int, chromosomes: Chromosomes, *, every_item_is_a_block: bool
) -> BlockIndex:
    """Read an R tree. In that of the data every item is a block; for zoom levels some writers count otherwise."""
    head = bbi.parse_index_header(reader.read(offset, bbi.INDEX_HEADER_SIZE), header, url=reader.url, offset=offset)
    root = offset + bbi.INDEX_HEADER_SIZE
    layout = bbi.index_nodes(header)
    if head.item_count == 0 and root >= reader.size:
        leaves = np.empty(0, layout.leaf)
    else:
        leaves = _Tree(reader, root, layout, block_size=head.block_size).leaves()
    if every_item_is_a_block and len(leaves) * max(head.items_per_slot, 1) < head.item_count:
        raise unexpected(f"an R tree of {head.item_count} blocks", f"{len(leaves)}", url=reader.url, offset=offset)
    return _block_index(leaves, chromosomes, url=reader.url, offset=offset, file_size=reader.size)


def _block_index(
    leaves: StructuredArray, chromosomes: Chromosomes, *, url: str, offset: int, file_size: int
) -> BlockIndex:
    """Leaf items of a file's R tree at byte ``offset`` as sorted arrays in genome positions."""
    byte_starts, byte_sizes = leaves["offset"].astype(np.uint64), leaves["size"].astype(np.uint64)
    # Compared without adding up, which could overflow.
    outside = (byte_starts > file_size) | (byte_sizes > file_size - np.minimum(byte_starts, file_size))
    if outside.any():
        leaf = leaves[int(np.flatnonzero(outside)[0])]
        message = (
            f"expected a block of {leaf['size']} bytes at byte {leaf['offset']}, as the R tree at byte {offset} says"
        )
        found = f"{file_size} bytes in the file; it is truncated or damaged"
        raise FormatError(f"{url}: {message}, found {found}", url=url, offset=int(leaf["offset"]))

    start_rows, starts = _genome_positions(leaves["start_chrom_id"], leaves["start_base"], chromosomes, url, offset)
    end_rows, ends = _genome_positions(leaves["end_chrom_id"], leaves["end_base"], chromosomes, url, offset)
    if (start_rows > end_rows).any():
        leaf = leaves[int(np.flatnonzero(start_rows > end_rows)[0])]
        found = f"a leaf from chromosome {leaf['start_chrom_id']} to chromosome {leaf['end_chrom_id']}"
        message = f"{url}: expected an R tree at byte {offset} with chromosomes in order, found {found}"
        raise FormatError(message, url=url, offset=offset)

    # A leaf that points at no block, or ends before it starts, tells nothing about where its items are. As a leaf that
    # may have items anywhere on its chromosome it is found by whoever asks for them, who then learns of the damage.
    senseless = (byte_sizes == 0) | (byte_starts < bbi.HEADER_SIZE)
    senseless |= (start_rows == end_rows) & (leaves["start_base"] > leaves["end_base"])
    if senseless.any():
        logger.warning("%s: %d of %d leaves of the R tree make no sense", url, int(senseless.sum()), len(leaves))
        starts = np.where(senseless, chromosomes.genome_starts[start_rows], starts)
        ends = np.where(senseless, (chromosomes.genome_starts + chromosomes.lengths)[end_rows], ends)

    order = np.argsort(starts, kind="stable")
    ends = ends[order]
    return BlockIndex(
        starts=starts[order],
        ends=ends,
        reaches=np.maximum.accumulate(ends),
        offsets=byte_starts[order].astype(np.int64),
        sizes=byte_sizes[order].astype(np.int64),
    )


def _genome_positions(
    chrom_ids: npt.NDArray[np.uint32], bases: npt.NDArray[np.uint32], chromosomes: Chromosomes, url: str, offset: int
) -> tuple[Int64Array, Int64Array]:
    """Chromosome rows and genome positions; a position past a chromosome's end must not leak into the next one."""
    rows = np.searchsorted(chromosomes.ids, chrom_ids)
    known = np.zeros(len(rows), np.bool_)
    inside = rows < len(chromosomes)
    known[inside] = chromosomes.ids[rows[inside]] == chrom_ids[inside]
    if not known.all():
        unknown = chrom_ids[int(np.flatnonzero(~known)[0])]
        message = f"{url}: expected an R tree at byte {offset} of the file's {len(chromosomes)} chromosomes"
        raise FormatError(f"{message}, found chromosome id {unknown}, which has no name", url=url, offset=offset)
    return rows, chromosomes.genome_starts[rows] + np.minimum(bases.astype(np.int64), chromosomes.lengths[rows])
