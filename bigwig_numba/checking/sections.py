"""Made sections of all types, with gaps, NaN and numbers of many sizes; their bins, and what the CPU makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..kernels.loops import make_reduce_range
from ..kernels.sections import BEDGRAPH, FIXED_STEP, VARIABLE_STEP
from ..kernels.statistics import Statistic
from ..kernels.windows import FLOAT32

__all__ = ["Bin", "Section", "answer_compiled", "bins_of", "made_sections"]

WINDOW_SIZES = (1, 7, 64, 1_000)
DEFAULTS = (0.0, 2.5, float("nan"))
MOST_BINS = 60
KINDS = {BEDGRAPH: "bedGraph", VARIABLE_STEP: "variableStep", FIXED_STEP: "fixedStep"}
Items = tuple[tuple[np.float32, int], ...]


@dataclass(frozen=True, eq=False)
class Section:
    """Items, and the words that a file would hold.

    Parameters
    ----------
    name
        What it is.
    words : (W,) uint32
        Header and items, as they stand in a file.
    big_endian
        The byte order of the words.
    starts, ends : (N,) int64
        Of the items.
    values : (N,) float32
        Some are NaN.
    """

    name: str
    words: npt.NDArray[np.uint32]
    big_endian: bool
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]

    def items(self, start: int, end: int) -> Items:
        """Values that lie on [start, end), each with how many of its bases; NaN is left out."""
        first, last = np.searchsorted(self.ends, start, "right"), np.searchsorted(self.starts, end)
        part = slice(int(first), int(last))
        lengths = np.minimum(self.ends[part], end) - np.maximum(self.starts[part], start)
        kept = ~np.isnan(self.values[part]) & (lengths > 0)
        return tuple(zip(self.values[part][kept], lengths[kept].tolist(), strict=True))


@dataclass(frozen=True)
class Bin:
    """A bin as a statistic sees it."""

    items: Items
    window_size: int
    default_value: float

    def __str__(self) -> str:
        shown = ", ".join(f"({float(value)!r}, {n_bases})" for value, n_bases in self.items[:4])
        more = f", and {len(self.items) - 4} more" if len(self.items) > 4 else ""
        return f"items [{shown}{more}], window_size={self.window_size}, default_value={self.default_value}"


def made_sections(seed: int = 0, n_items: int = 200) -> list[Section]:
    """A section of each type in either byte order."""
    rng = np.random.default_rng(seed)
    return [_section(kind, big_endian, rng, n_items) for kind in KINDS for big_endian in (False, True)]


def _section(kind: int, big_endian: bool, rng: np.random.Generator, n_items: int) -> Section:
    step, span = (12, 9) if kind == FIXED_STEP else (0, 9)
    if kind == FIXED_STEP:
        starts = 100 + step * np.arange(n_items, dtype=np.int64)
    else:
        gaps = np.where(rng.random(n_items) < 0.5, 0, rng.geometric(1 / 20, n_items))
        room = rng.geometric(1 / 12, n_items) if kind == BEDGRAPH else np.full(n_items, span)
        starts = 100 + np.cumsum(gaps + room) - room
    ends = starts + (room if kind == BEDGRAPH else span)
    values = (rng.gamma(0.7, 4.0, n_items) * rng.choice([1, 1, 1, -1, 0, 1e12, 1e-12], n_items)).astype(np.float32)
    values[rng.random(n_items) < 0.05] = np.nan
    columns = [*(starts, ends)[: 3 - kind], values.view(np.uint32)]
    items = np.stack(columns, axis=1).astype(np.uint32).ravel()
    header = np.array([0, starts[0], ends[-1], step, span, 0], np.uint32)
    words = np.concatenate([header, items])
    words = words.byteswap() if big_endian else words
    count = n_items.to_bytes(2, "big" if big_endian else "little")
    words[5] = np.frombuffer(bytes([kind, 0]) + count, np.uint32)[0]
    order = "big-endian" if big_endian else "little-endian"
    return Section(f"{KINDS[kind]}, {order}", words, big_endian, starts, ends, values)


def bins_of(section: Section) -> Iterator[tuple[int, list[Bin]]]:
    """Left edge and neighbouring bins of several widths and defaults, from before the section on; some are empty."""
    for window_size in WINDOW_SIZES:
        left = 60 if window_size < 64 else 100 - window_size
        edges = [left + i * window_size for i in range(MOST_BINS)]
        items = [section.items(edge, edge + window_size) for edge in edges]
        for default_value in DEFAULTS:
            yield left, [Bin(some, window_size, default_value) for some in items]


def answer_compiled(
    statistic: Statistic | tuple[Statistic, ...], section: Section, left: int, bins: list[Bin]
) -> npt.NDArray[np.float32]:
    """(n_bins,) answers of neighbouring bins, as the CPU's engine makes them; of several statistics, (n_bins, n)."""
    n_statistics = len(statistic) if isinstance(statistic, tuple) else 1
    answers = np.empty(len(bins) * n_statistics, np.float32)
    window_size = bins[0].window_size
    # One window of one track, whose run of blocks is the section. The types are the engine's: it is compiled for both.
    run = np.zeros((1, 1), np.int32), np.ones((1, 1), np.int32), np.zeros((1, 1), np.uint32)
    window = np.array([left]), np.array([max(0, left)]), np.array([left + len(bins) * window_size])
    make_reduce_range(statistic)(
        0, 1, section.words, np.zeros(1, np.uint64), np.array([section.values.size], np.uint32),
        np.array([section.big_endian]), *run, *window, len(bins), window_size, np.ones(1, np.float32),
        np.float32(bins[0].default_value), answers, np.empty(0, np.uint16), FLOAT32, 0, 1,
    )  # fmt: skip
    return answers
