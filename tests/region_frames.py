"""Region frames for tests: drawn by Hypothesis, and painted base by base as the oracle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import pandas as pd
from hypothesis import strategies as st

LOWEST, HIGHEST = -8, 64  # positions of drawn regions; some hang over the start of their chromosome
CHROMOSOMES = ("chr2", "chr10", "chrX")

Canvas = dict[str, npt.NDArray[np.bool_]]
Row = tuple[str, int, int]


def region_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """Rows (chrom, start, end) as a frame."""
    names, starts, ends = zip(*rows, strict=True) if rows else ((), (), ())
    return pd.DataFrame(
        {"chrom": pd.Series(list(names), dtype="str"), "start": np.array(starts, int), "end": np.array(ends, int)}
    )


def rows_of(frame: pd.DataFrame) -> list[Row]:
    columns = (frame["chrom"].tolist(), frame["start"].tolist(), frame["end"].tolist())
    return [(str(chrom), int(start), int(end)) for chrom, start, end in zip(*columns, strict=True)]


@st.composite
def region_rows(draw: st.DrawFn, *, chromosomes: Sequence[str] = CHROMOSOMES, min_size: int = 0) -> list[Row]:
    """Rows in any order: empty, equal, nested, touching."""
    interval = st.tuples(st.sampled_from(chromosomes), st.integers(LOWEST, HIGHEST), st.integers(LOWEST, HIGHEST)).map(
        lambda row: (row[0], min(row[1:]), max(row[1:]))
    )
    return draw(st.lists(interval, min_size=min_size, max_size=14))


@st.composite
def region_frames(draw: st.DrawFn, *, chromosomes: Sequence[str] = CHROMOSOMES, min_size: int = 0) -> pd.DataFrame:
    """Frames as callers have them: any index, a column of their own, positions of several types."""
    frame = region_frame(draw(region_rows(chromosomes=chromosomes, min_size=min_size)))
    frame["label"] = [f"region {number}" for number in range(len(frame))]
    frame["score"] = np.array([draw(st.integers(-9, 9)) for _ in range(len(frame))], dtype=float)
    frame.index = pd.Index(draw(st.permutations(range(100, 100 + len(frame)))), dtype="int64")
    dtype = draw(st.sampled_from(["int64", "int32", "int8", "float64", "uint32", "uint8", "Int64"]))
    if dtype.startswith("u"):
        frame = frame[frame["start"] >= 0]
    return frame.astype({"start": dtype, "end": dtype})


def painted(rows: Sequence[Row], *, margin: int = 0) -> Canvas:
    """Which bases rows cover, on each chromosome from LOWEST - margin to HIGHEST + margin."""
    canvas = {name: np.zeros(HIGHEST - LOWEST + 2 * margin, dtype=bool) for name in (*CHROMOSOMES, "chrUnknown")}
    for chrom, start, end in rows:
        first = start - LOWEST + margin
        canvas[chrom][max(first, 0) : max(end - start + first, 0)] = True
    return canvas


def runs(mask: npt.NDArray[np.bool_], *, start: int) -> list[tuple[int, int]]:
    """Runs of True as positions, when the first base has position ``start``."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False)) + start
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


@contextmanager
def left_alone(*frames: pd.DataFrame) -> Iterator[None]:
    """Whatever happens inside changes none of these frames."""
    before = [frame.copy(deep=True) for frame in frames]
    yield
    for frame, copy in zip(frames, before, strict=True):
        pd.testing.assert_frame_equal(frame, copy)
