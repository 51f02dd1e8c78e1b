"""Write regions as BED, narrowPeak or bedGraph."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, TextIO

import numpy as np
import pandas as pd

from .bed import BED_COLUMNS, PEAK_COLUMNS
from .frames import as_regions, refuse_rows

__all__ = ["write_bed"]

NO_NUMBER = "."
ROWS_AT_A_TIME = 100_000


def write_bed(frame: pd.DataFrame, path: str | os.PathLike[str] | TextIO) -> None:
    """Write regions as lines of text, which :func:`read_bed` reads again.

    Parameters
    ----------
    frame
        Regions. With all the columns of narrowPeak (``name``, ``score``, ``strand``, ``signal``, ``p_value``,
        ``q_value``, ``summit``) they are written as narrowPeak; with ``value`` and without ``name`` as bedGraph;
        else as BED, with those of ``name``, ``score`` and ``strand`` before which none is missing. Other columns are
        left out.
    path
        A local path, or an open text file.

    Raises
    ------
    ConfigError, WindowError
        This is no frame of regions, or starts are negative, or a name has tabs or line ends; ``rows`` says which.

    Examples
    --------
    >>> import sys
    >>> peaks = pd.DataFrame({"chrom": "chr1", "start": [5, 40], "end": [20, 60], "name": ["a", "b"]})
    >>> write_bed(peaks, sys.stdout)
    chr1	5	20	a
    chr1	40	60	b
    """
    regions = as_regions(frame)
    why = "begin before their chromosome, which BED cannot say; clip_to_chromosomes cuts them"
    refuse_rows((regions["start"] < 0).to_numpy(), regions, argument="frame", why=why)
    columns = _columns(regions)
    for name in columns:
        if not pd.api.types.is_numeric_dtype(regions[name].dtype):
            unfit = regions[name].astype("str").str.contains(r"[\t\r\n]", regex=True).to_numpy(dtype=bool)
            refuse_rows(unfit, regions, argument="frame", why=f"have a {name} with a tab or a line end")
    if isinstance(path, str | os.PathLike):
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(_lines(regions, columns))
    else:
        path.writelines(_lines(regions, columns))


def _columns(regions: pd.DataFrame) -> tuple[str, ...]:
    if set(PEAK_COLUMNS) <= set(regions.columns):
        return PEAK_COLUMNS
    if "value" in regions.columns and "name" not in regions.columns:
        return ("chrom", "start", "end", "value")
    there = [name in regions.columns for name in BED_COLUMNS]
    return BED_COLUMNS[: there.index(False) if False in there else len(there)]


def _lines(regions: pd.DataFrame, columns: tuple[str, ...]) -> Iterator[str]:
    for first in range(0, len(regions), ROWS_AT_A_TIME):
        rows = regions.iloc[first : first + ROWS_AT_A_TIME]
        texts = [_texts(rows, name) for name in columns]
        yield from ("\t".join(fields) + "\n" for fields in zip(*texts, strict=True))


def _texts(rows: pd.DataFrame, name: str) -> list[str]:
    if name == "summit":  # narrowPeak counts from the start; -1 is none in both
        offsets = np.where(rows["summit"] >= 0, rows["summit"] - rows["start"], -1)
        return list(map(str, offsets.tolist()))
    return list(map(_text, rows[name].to_numpy()))  # NumPy, as float32 has a shorter text than its float


def _text(value: Any) -> str:
    """The shortest text that reads back as the same number; whole numbers without a point."""
    if isinstance(value, float | np.floating):
        return NO_NUMBER if np.isnan(value) else str(value).removesuffix(".0")
    return str(value)
