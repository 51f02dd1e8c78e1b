"""Hypothesis strategies: random tracks with random layouts, random windows over them, random DEFLATE sub-blocks."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.bigwig_writer import (
    BEDGRAPH,
    FIXED_HUFFMAN,
    FIXED_STEP,
    STORED,
    VARIABLE_STEP,
    Section,
    bedgraph,
    deflate,
    empty_section,
    fixed_step,
    variable_step,
)
from tests.corpus import Recipe
from tests.deflate_encoder import Dynamic, Fixed, Match, Stored, SubBlock, Token, expand

Window = tuple[str, int, int]

chromosome_names = st.text("abcXYZ0129_.-", min_size=1, max_size=12)
finite_values = st.floats(-1e6, 1e6, width=32) | st.sampled_from([0.0, -0.0, 1.0, 2.0**-149, 2.0**-126, 16_777_217.0])
stored_values = st.one_of(*[finite_values] * 8, st.just(float("nan")))
sub_block_kinds = st.lists(st.sampled_from([Stored, Fixed, Dynamic]), min_size=1, max_size=5)
literals_and_matches = st.lists(
    st.tuples(st.none() | st.integers(0, 255), st.integers(3, 258), st.integers(1, 32_768)), max_size=20
)
compressors = st.sampled_from([deflate(), deflate(1), deflate(9, pieces=3), STORED, FIXED_HUFFMAN])


@st.composite
def sections_of(draw: st.DrawFn, chrom: str, values: st.SearchStrategy[float]) -> list[Section]:
    """Sorted sections of random kinds that do not overlap; gaps and touching items both come up."""
    sections, position = [], draw(st.integers(0, 50))
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from([BEDGRAPH, VARIABLE_STEP, FIXED_STEP, 0]))
        numbers = draw(st.lists(values, min_size=1, max_size=12))
        n, span, gap = len(numbers), draw(st.integers(1, 20)), draw(st.integers(0, 20))
        if kind == FIXED_STEP:
            section = fixed_step(chrom, position, numbers, step=span + gap, span=span)
        elif kind == VARIABLE_STEP:
            gaps = draw(st.lists(st.integers(0, 20), min_size=n, max_size=n))
            starts = position + np.cumsum([0, *gaps[1:]]) + span * np.arange(n)
            section = variable_step(chrom, starts, numbers, span=span)
        elif kind == BEDGRAPH:
            steps = draw(st.lists(st.integers(0, 20), min_size=2 * n, max_size=2 * n))
            edges = position + np.cumsum(steps) + np.repeat(np.arange(n), 2)
            section = bedgraph(chrom, edges[::2], edges[1::2] + 1, numbers, step=gap, span=span)
        else:
            section = empty_section(chrom, draw(st.integers(1, 3)), position, position + span, step=gap, span=span)
        sections.append(section)
        position = section.bounds[1] + draw(st.integers(0, 30))
    return sections


@st.composite
def layouts(draw: st.DrawFn, byte_orders: str = "<>") -> dict[str, Any]:
    """Options of the writer."""
    return {
        "byte_order": draw(st.sampled_from(byte_orders)),
        "version": draw(st.integers(1, 4)),
        "compressed": draw(st.sampled_from([None, True, False])),
        "compress": draw(compressors),
        "chromosome_node_size": draw(st.integers(2, 6)),
        "index_node_size": draw(st.integers(2, 6)),
        "pad_nodes": draw(st.booleans()),
        "zoom_reductions": draw(st.sampled_from([(), (10,), (16, 64, 256)])),
        "key_size": draw(st.sampled_from([None, 12, 40])),
    }


@st.composite
def recipes(draw: st.DrawFn, *, byte_orders: str = "<>", values: st.SearchStrategy[float] = stored_values) -> Recipe:
    """A small random file: some chromosomes, some of them without data, and a layout."""
    names = draw(st.lists(chromosome_names, min_size=1, max_size=5, unique=True))
    by_chromosome = {name: draw(sections_of(name, values)) for name in names}
    sizes = {name: draw(st.integers(1, 50)) for name in names}
    for name, listed in by_chromosome.items():
        sizes[name] += max((section.bounds[1] for section in listed), default=1) - 1
    sections = list(chain(*by_chromosome.values()))
    return Recipe(sizes, sections, draw(layouts(byte_orders)))


@st.composite
def windows(draw: st.DrawFn, chrom_sizes: dict[str, int], *, max_length: int = 300) -> list[Window]:
    """Windows of one length, which may hang over the ends of their chromosomes or lie outside."""
    length = draw(st.integers(1, max_length))
    chromosomes = draw(st.lists(st.sampled_from(sorted(chrom_sizes)), min_size=1, max_size=6))
    starts = [draw(st.integers(-length - 3, chrom_sizes[chrom] + 3)) for chrom in chromosomes]
    return [(chrom, start, start + length) for chrom, start in zip(chromosomes, starts, strict=True)]


@st.composite
def sub_blocks(draw: st.DrawFn) -> list[SubBlock]:
    """Sub-blocks of a good DEFLATE stream."""
    blocks: list[SubBlock] = []
    for kind in draw(sub_block_kinds):
        if kind is Stored:
            blocks.append(Stored(draw(st.binary(max_size=40))))
            continue
        tokens: list[Token] = []
        n_before = len(expand(blocks))
        for literal, length, distance in draw(literals_and_matches):
            if literal is not None or n_before == 0:
                tokens.append(literal or 0)
                n_before += 1
            else:
                tokens.append(Match(length, 1 + (distance - 1) % n_before))
                n_before += length
        blocks.append(kind(tokens))
    return blocks
