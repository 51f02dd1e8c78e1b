"""Blocks to inflate in benchmarks: made ones like those of the UCSC tools, and real ones drawn from files."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..index import read_file_index
from ..storage import open_source


@dataclass(frozen=True)
class BlockSet:
    """Different blocks, compressed, and what they inflate to.

    Parameters
    ----------
    streams
        zlib streams.
    sections
        What each inflates to.
    """

    streams: tuple[bytes, ...]
    sections: tuple[bytes, ...]

    @property
    def capacity(self) -> int:
        """Bytes of the longest section, as a multiple of 8."""
        return -(-max(map(len, self.sections)) // 8) * 8


def made_blocks(n_blocks: int, *, n_items: int = 1024, seed: int = 7, level: int = 6) -> BlockSet:
    """Sections of a made pileup, bedGraph: runs of 25 bases on average, values that go up and down by a step.

    1,024 items make 12,312 bytes, which zlib's level 6 (the UCSC tools') compresses to about 3.5 KB; 2,728 items make
    the 32,760 bytes of libBigWig.
    """
    rng = np.random.default_rng(seed)
    sections = []
    for _ in range(n_blocks):
        lengths = rng.geometric(1 / 25, n_items)
        ends = rng.integers(0, 200_000_000) + np.cumsum(lengths)
        heights = np.maximum(0, np.cumsum(rng.choice(np.array([-1, 1]), n_items)) + 5)
        items = np.empty(n_items, dtype=[("start", "<u4"), ("end", "<u4"), ("value", "<f4")])
        items["start"], items["end"], items["value"] = ends - lengths, ends, heights * np.float32(0.07313)
        header = struct.pack("<IIIIIBBH", 1, int(ends[0] - lengths[0]), int(ends[-1]), 0, 0, 1, 0, n_items)
        sections.append(header + items.tobytes())
    return BlockSet(tuple(zlib.compress(section, level) for section in sections), tuple(sections))


def real_blocks(paths: Sequence[str], *, most_per_file: int = 700, seed: int = 7) -> BlockSet:
    """Compressed blocks of bigWig files, up to ``most_per_file`` of each, drawn at random, without damaged ones."""
    rng = np.random.default_rng(seed)
    streams: list[bytes] = []
    sections: list[bytes] = []
    for path in paths:
        with contextlib.closing(open_source(path)) as source:
            index = read_file_index(source)
            chosen: npt.NDArray[np.intp] = np.arange(len(index.blocks.sizes) if index.header.compressed else 0)
            if len(chosen) > most_per_file:
                chosen = np.sort(rng.choice(len(chosen), most_per_file, replace=False))
            drawn = source.read_ranges(index.blocks.offsets[chosen], index.blocks.sizes[chosen])
        for stream in drawn:
            try:
                sections.append(zlib.decompress(stream))
            except zlib.error:
                continue
            streams.append(stream)
    return BlockSet(tuple(streams), tuple(sections))
