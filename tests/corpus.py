"""The synthetic corpus: small files that show what no real file does, each with the painting it must read back as.

`CORPUS` are good files, `DISORDERED` break the format's order, `DAMAGED` cannot be read, wholly or in one place.
A recipe is cheap; `write` makes the file.
"""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.bigwig_writer import (
    FIXED_HUFFMAN,
    FIXED_STEP,
    STORED,
    Section,
    bedgraph,
    cut,
    deflate,
    empty_section,
    fixed_step,
    variable_step,
    write_bigwig,
)
from tests.painting import PaintedTrack

Window = tuple[str, int, int]

SIZES = {"chr10": 6_000, "chr2": 4_321, "chr1": 9_000, "chrM": 150, "chrX": 5_000, "chr1_random": 700}
"""Not in the order of the names, so neither are the ids; the last chromosome has no data."""


@dataclass(frozen=True)
class Recipe:
    """What a file holds and how it is written."""

    chrom_sizes: Mapping[str, int]
    sections: Sequence[Section]
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of :class:`tests.bigwig_writer.Layout`."""
    readers: tuple[str, ...] = ("pyBigWig", "pybigtools")
    """Which outside readers can read such a file."""

    @functools.cached_property
    def track(self) -> PaintedTrack:
        return PaintedTrack(self.chrom_sizes, self.sections)

    def write(self, path: Path) -> Path:
        write_bigwig(path, self.chrom_sizes, self.sections, **self.options)
        return path

    def windows(self, length: int, *, count: int = 40, seed: int = 0, inside: bool = False) -> list[Window]:
        """Windows of `length` around the edges of sections and chromosomes, and anywhere; they hang over the ends.

        With `inside`, windows are cut at the chromosome's ends (pyBigWig takes no others), so lengths differ.
        """
        draw = np.random.default_rng(seed)
        chromosomes = list(self.chrom_sizes)
        anchors = [(section.chrom, edge) for section in self.sections for edge in section.bounds]
        names = [chromosomes[i] for i in draw.integers(len(chromosomes), size=count)]
        anchors += [(name, int(draw.integers(self.chrom_sizes[name] + 1))) for name in names]
        chosen = [anchors[i] for i in draw.integers(len(anchors), size=count)]
        edges = chromosomes if len(chromosomes) <= 8 else [chromosomes[0], chromosomes[-1]]
        chosen += [(name, edge) for name in edges for edge in (0, self.chrom_sizes[name])]
        starts = [(name, anchor - int(draw.integers(length + 1))) for name, anchor in chosen]
        windows = [(name, start, start + length) for name, start in starts]
        if inside:
            cut_windows = [(name, max(start, 0), min(end, self.chrom_sizes[name])) for name, start, end in windows]
            windows = [window for window in cut_windows if window[1] < window[2]]
        return windows


# --- sections


def mixed_sections(sizes: Mapping[str, int] = SIZES, *, seed: int = 1, items: int = 40) -> list[Section]:
    """The three kinds in turn on every chromosome but the last, from the first base to the last; no value is -0.0."""
    draw = np.random.default_rng(seed)
    sections = []
    for name, size in list(sizes.items())[:-1]:
        position = 0
        for turn in range(100):
            n = int(draw.integers(1, items + 1))
            numbers = draw.normal(size=n).round(2) + 0.0
            span = int(draw.integers(1, 15))
            starts = position + np.cumsum(draw.integers(span, 3 * span + 1, size=n)) - span
            section = (
                bedgraph(name, starts, starts + draw.integers(1, span + 1, size=n), numbers),
                variable_step(name, starts, numbers, span=span),
                fixed_step(name, position, numbers, step=span + turn % 4, span=span),
            )[turn % 3]
            if section.bounds[1] >= size:
                break
            sections.append(section)
            position = section.bounds[1] + int(draw.integers(0, 60)) * (turn % 2)
        sections.append(bedgraph(name, [size - 1], [size], [9.5]))
    return sections


def mixed(**options: Any) -> Recipe:
    """Mixed sections, written in one way or another."""
    return Recipe(SIZES, mixed_sections(), options)


def dense(n: int, *, chrom: str = "chr1", per_section: int = 1024) -> list[Section]:
    """bedGraph items without gaps, 1 to 4 bases each."""
    draw = np.random.default_rng(n)
    edges = np.concatenate([[0], np.cumsum(draw.integers(1, 5, size=n))])
    return cut(bedgraph(chrom, edges[:-1], edges[1:], draw.gamma(2.0, size=n).round(3)), per_section)


# --- recipes


def with_each_compressor() -> Recipe:
    """Every block is compressed in another way."""
    kinds = [deflate(level) for level in range(10)] + [FIXED_HUFFMAN, deflate(6, pieces=4), deflate(0, pieces=3)]
    kinds += [deflate(6, strategy=strategy) for strategy in (zlib.Z_RLE, zlib.Z_HUFFMAN_ONLY, zlib.Z_FILTERED)]
    sections = dense(8_000, per_section=500)
    return Recipe(
        {"chr1": 30_000, "chr2": 10},
        [replace(section, compress=kinds[i % len(kinds)]) for i, section in enumerate(sections)],
    )


def long_blocks(items: int) -> Recipe:
    """Blocks of bedGraph `items`, the last one shorter."""
    return Recipe({"chr1": 100_000}, dense(int(items * 2.3), per_section=items))


def longest_blocks() -> Recipe:
    """65,535 items, as many as a section can hold."""
    values = np.random.default_rng(2).normal(size=65_535).round(1) + 0.0
    return Recipe({"chr1": 200_000}, [fixed_step("chr1", 100, values, step=3, span=2)])


def stored_values(*values: float) -> Recipe:
    """Unusual numbers in each kind of section."""
    n = len(values)
    starts = np.arange(n) * 10
    sections = [
        bedgraph("chr1", starts, starts + 7, values),
        variable_step("chr1", 1_000 + starts, values, span=5),
        fixed_step("chr1", 2_000, values, step=6, span=6),
        fixed_step("chr1", 3_000, np.repeat(values, 3)),
    ]
    return Recipe({"chr1": 3_500}, sections)


def empty_sections() -> Recipe:
    """Sections without items between others, of each kind."""
    sections = mixed_sections()
    last = sections[-1].chrom
    nothing = [empty_section(name, kind, 10 * kind, 5_000) for kind in (1, 2, 3) for name in ("chr10", "chr1")]
    return Recipe(SIZES, [*sections, *nothing, empty_section(last, FIXED_STEP, 4_999, 5_000, step=0, span=0)])


def wide_boxes() -> Recipe:
    """R tree leaves whose box reaches over the neighbouring sections, and so into other chromosomes."""
    ids = {name: row for row, name in enumerate(SIZES)}
    sections = sorted(mixed_sections(), key=lambda section: (ids[section.chrom], section.bounds))
    widened = []
    for row, section in enumerate(sections):
        before, after = sections[max(row - 2, 0)], sections[min(row + 2, len(sections) - 1)]
        box = (ids[before.chrom], before.bounds[0], ids[after.chrom], after.bounds[1])
        widened.append(replace(section, box=box))
    return Recipe(SIZES, widened, {"index_node_size": 4})


def giant_genome() -> Recipe:
    """Positions past 2^31, chromosomes past it, and a genome past 2^32."""
    sizes = {"chr1": 2_200_000_000, "chr3": 2_900_000_000, "chr2": 1_500_000_000, "chr4": 4_200_000_000}
    sections = []
    for seed, (name, size) in enumerate(sizes.items()):
        numbers = np.random.default_rng(seed).normal(size=300).round(2) + 0.0
        sections.append(fixed_step(name, 0, numbers, step=5, span=3))
        sections.append(variable_step(name, size // 2 + 7 * np.arange(300), numbers, span=4))
        sections.append(bedgraph(name, size - 3_000 + 10 * np.arange(300), size - 2_990 + 10 * np.arange(300), numbers))
    across = 2**31 - 100 + 10 * np.arange(20)
    sections += [variable_step(name, across, np.arange(20), span=10) for name in ("chr1", "chr3", "chr4")]
    return Recipe(sizes, sections, readers=("pyBigWig",))


def many_chromosomes() -> Recipe:
    """More than 65,535 chromosomes, data on one in a hundred."""
    sizes = {f"contig{i:05d}": 500 + i % 7 for i in range(66_000)}
    with_data = [*list(sizes)[::100], list(sizes)[-1]]
    sections = [bedgraph(name, [3, 100], [40, 500], [i, -i]) for i, name in enumerate(with_data)]
    return Recipe(sizes, sections)


def one_item_blocks() -> Recipe:
    """Many blocks of one item."""
    sections = [*dense(1_000, per_section=1), *dense(300, chrom="chr2", per_section=1)]
    return Recipe({"chr1": 20_000, "chr2": 9_000}, sections)


def long_items() -> Recipe:
    """Items that are longer than many windows."""
    edges = np.arange(0, 2_000_001, 100_003)
    return Recipe({"chr1": 2_000_000}, [bedgraph("chr1", edges[:-1], edges[1:], np.arange(len(edges) - 1))])


def bedgraph_with_step_and_span() -> Recipe:
    """Writers leave step and span in the headers of bedGraph sections; they mean nothing there."""
    sections = dense(500, per_section=100)
    return Recipe({"chr1": 3_000}, [replace(section, step=7, span=3) for section in sections])


def sparse_chromosome_ids() -> Recipe:
    """Ids that leave gaps, out of every order; pyBigWig crashes on them."""
    ids = dict(zip(SIZES, (70_000, 3, 999, 0, 12, 5), strict=True))
    return Recipe(SIZES, mixed_sections(), {"chromosome_ids": ids}, readers=("pybigtools",))


BIG_ENDIAN = {"byte_order": ">"}
ONLY_PYBIGTOOLS = ("pybigtools",)

CORPUS: dict[str, Callable[[], Recipe]] = {
    "mixed section kinds": mixed,
    "bedgraph only": lambda: Recipe({"chr1": 20_000}, dense(3_000)),
    "version 1, no summary": partial(mixed, version=1),
    "version 1, compressed": partial(mixed, version=1, compressed=True),
    "version 2": partial(mixed, version=2),
    "version 3": partial(mixed, version=3),
    "version 4, no summary": partial(mixed, summary=False),
    "zoom levels": partial(mixed, zoom_reductions=(10, 40, 160)),
    "big-endian": lambda: replace(mixed(**BIG_ENDIAN, zoom_reductions=(16,)), readers=ONLY_PYBIGTOOLS),
    "big-endian, deep trees": lambda: replace(
        mixed(**BIG_ENDIAN, chromosome_node_size=2, index_node_size=2), readers=ONLY_PYBIGTOOLS
    ),
    "big-endian, uncompressed, version 1": lambda: replace(
        mixed(**BIG_ENDIAN, version=1, pad_nodes=False), readers=ONLY_PYBIGTOOLS
    ),
    "two-level chromosome tree": partial(mixed, chromosome_node_size=3),
    "three-level chromosome tree": partial(mixed, chromosome_node_size=2),
    "deep index": partial(mixed, index_node_size=2),
    "unpadded nodes": partial(mixed, pad_nodes=False, index_node_size=5, chromosome_node_size=4),
    "long chromosome names": partial(mixed, key_size=200),
    "uncompressed": partial(mixed, compressed=False),
    "stored deflate": partial(mixed, compress=STORED),
    "fixed deflate": partial(mixed, compress=FIXED_HUFFMAN),
    "multi-block deflate": partial(mixed, compress=deflate(9, pieces=5)),
    "each compressor": with_each_compressor,
    "empty": lambda: Recipe(SIZES, []),
    "empty, version 1": lambda: Recipe(SIZES, [], {"version": 1}),
    "item count 0": empty_sections,
    "blocks of 32,760 bytes": partial(long_blocks, 2_728),
    "blocks of 120 KB": partial(long_blocks, 10_000),
    "blocks of 65,535 items": longest_blocks,
    "blocks of one item": one_item_blocks,
    "long items": long_items,
    "stored NaN": partial(stored_values, 1.5, np.nan, -2.5, np.nan, np.nan, 4.0),
    "stored infinities": partial(stored_values, 1.0, np.inf, 2.0, 3.0, -np.inf, 5.0),
    "zeros and the smallest numbers": partial(stored_values, 0.0, -0.0, 2.0**-149, -(2.0**-126), 3.0),
    "leaves that span chromosomes": wide_boxes,
    "6 Gbp genome": giant_genome,
    "over 65,535 chromosomes": many_chromosomes,
    "sparse chromosome ids": sparse_chromosome_ids,
    "bedgraph with step and span": bedgraph_with_step_and_span,
    "blocks past 2^32": partial(mixed, hole=2**32 + 4096, index_node_size=8),
}


# --- files that break the format's order: pyBigWig's answer, or a clear error


def overlapping_items() -> Recipe:
    """Items that overlap inside a section."""
    starts = np.arange(0, 500, 10)
    return Recipe({"chr1": 1_000}, [bedgraph("chr1", starts, starts + 25, np.arange(50))])


def unsorted_items() -> Recipe:
    """Items in no order inside a section."""
    starts = np.random.default_rng(3).permutation(np.arange(0, 500, 10))
    return Recipe({"chr1": 1_000}, [bedgraph("chr1", starts, starts + 10, np.arange(50))])


def overlapping_sections() -> Recipe:
    """Sections that overlap, with a long item under many short ones."""
    sections = [bedgraph("chr1", [0], [900], [1.0]), *dense(100, per_section=20)]
    return Recipe({"chr1": 1_000}, sections)


def overlap_across_an_empty_section() -> Recipe:
    """The same, with a section without items between those that overlap; files hold sections by start and end."""
    sections = overlapping_sections().sections
    return Recipe({"chr1": 1_000}, [*sections, empty_section("chr1", 1, 0, 901)])


def boxes_out_of_order() -> Recipe:
    """R tree leaves whose boxes reach into the neighbouring chromosomes, so that their starts are not in file order."""
    ids = {name: row for row, name in enumerate(SIZES)}
    widened = []
    for section in mixed_sections():
        row = ids[section.chrom]
        widened.append(replace(section, box=(max(row - 1, 0), section.bounds[0], row + 1, section.bounds[1])))
    return Recipe(SIZES, widened)


def past_the_end() -> Recipe:
    """Items past the chromosome's end."""
    return Recipe({"chr1": 100, "chr2": 100}, [fixed_step("chr1", 80, np.arange(20), step=4, span=4)])


DISORDERED: dict[str, Callable[[], Recipe]] = {
    "overlapping items": overlapping_items,
    "unsorted items": unsorted_items,
    "overlapping sections": overlapping_sections,
    "overlap across an empty section": overlap_across_an_empty_section,
    "leaves whose boxes are out of order": boxes_out_of_order,
    "items past the chromosome's end": past_the_end,
}


# --- damaged files


@dataclass(frozen=True)
class DamagedRecipe:
    """A file with one thing wrong."""

    recipe: Recipe
    edit: Callable[[bytearray], bytes | bytearray] = bytearray
    """What becomes of the good file's bytes."""
    broken: Window | None = None
    """The window that cannot be read; None if the file cannot even be opened."""
    healthy: Window | None = None
    """A window that can."""

    def write(self, path: Path) -> Path:
        self.recipe.write(path)
        path.write_bytes(self.edit(bytearray(path.read_bytes())))
        return path


def offsets(data: bytearray) -> tuple[int, int, int]:
    """Where the chromosome tree, the data and the R tree lie in a little-endian file."""
    tree, blocks, index = struct.unpack_from("<QQQ", data, 8)
    return tree, blocks, index


def overwrite(data: bytearray, offset: int, new: bytes) -> bytearray:
    data[offset : offset + len(new)] = new
    return data


def with_child_of_root(child: Callable[[bytearray, int], int]) -> DamagedRecipe:
    """The first child of the R tree's root is `child(data, index offset)`."""

    def edit(data: bytearray) -> bytearray:
        index = offsets(data)[2]
        return overwrite(data, index + 48 + 4 + 16, struct.pack("<Q", child(data, index)))

    return DamagedRecipe(mixed(index_node_size=4), edit)


def with_leaf(offset: int | None = None, size: int | None = None) -> DamagedRecipe:
    """The first leaf of a one-node R tree points somewhere else."""

    def edit(data: bytearray) -> bytearray:
        at = offsets(data)[2] + 48 + 4 + 16
        good_offset, good_size = struct.unpack_from("<QQ", data, at)
        return overwrite(data, at, struct.pack("<QQ", offset or good_offset, size or good_size))

    return DamagedRecipe(mixed(), edit)


def with_block(payload_edit: Callable[[bytes], bytes]) -> DamagedRecipe:
    """One block of three is compressed from an edited payload, or replaced."""
    sections = [fixed_step("chr1", start, np.arange(100), step=2, span=2) for start in (0, 1_000, 2_000)]
    sections[1] = replace(sections[1], compress=payload_edit)
    recipe = Recipe({"chr1": 3_000}, sections)
    return DamagedRecipe(recipe, broken=("chr1", 1_000, 1_200), healthy=("chr1", 2_000, 2_200))


def with_payload(offset: int, new: bytes) -> DamagedRecipe:
    """One block inflates well, to a section whose header is wrong."""
    return with_block(lambda payload: zlib.compress(bytes(overwrite(bytearray(payload), offset, new))))


DAMAGED: dict[str, Callable[[], DamagedRecipe]] = {
    "an empty file": lambda: DamagedRecipe(mixed(), lambda data: b""),
    "a text file": lambda: DamagedRecipe(mixed(), lambda data: b"track type=bedGraph\nchr1\t0\t100\t1.5\n" * 10),
    "a BigBed": lambda: DamagedRecipe(mixed(), lambda data: overwrite(data, 0, struct.pack("<I", 0x8789F2EB))),
    "half a header": lambda: DamagedRecipe(mixed(), lambda data: data[:40]),
    "cut in the chromosome tree": lambda: DamagedRecipe(mixed(), lambda data: data[: offsets(data)[0] + 60]),
    "cut in the blocks": lambda: DamagedRecipe(mixed(), lambda data: data[: offsets(data)[1] + 100]),
    "cut in the index": lambda: DamagedRecipe(mixed(), lambda data: data[: offsets(data)[2] + 100]),
    "chromosome tree magic": lambda: DamagedRecipe(mixed(), lambda data: overwrite(data, offsets(data)[0], b"oops")),
    "index magic": lambda: DamagedRecipe(mixed(), lambda data: overwrite(data, offsets(data)[2], b"oops")),
    "index offset past the end": lambda: DamagedRecipe(
        mixed(), lambda data: overwrite(data, 24, struct.pack("<Q", 2**40))
    ),
    "a cycle in the index": lambda: with_child_of_root(lambda data, index: index + 48),
    "an index node past the end": lambda: with_child_of_root(lambda data, index: len(data) + 10),
    "a block past the end": partial(with_leaf, offset=2**40),
    "a block of absurd size": partial(with_leaf, size=2**50),
    "a block of noise": lambda: with_block(lambda payload: b"\xfe" * 80),
    "a block of zeros": lambda: with_block(lambda payload: bytes(80)),
    "a truncated block": lambda: with_block(lambda payload: zlib.compress(payload)[:60]),
    "a block with a bad code": lambda: with_block(lambda payload: b"\x78\x9c\x07" + zlib.compress(payload)[3:]),
    "a block shorter than its header": lambda: with_block(lambda payload: zlib.compress(payload[:20])),
    "a block with fewer items than it says": lambda: with_block(lambda payload: zlib.compress(payload[:-50])),
    "an unknown section kind": partial(with_payload, 20, b"\x09"),
    "a block longer than the header's buffer size": lambda: with_block(
        lambda payload: zlib.compress(payload + bytes(100_000))
    ),
}
