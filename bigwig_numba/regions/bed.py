"""Read regions from files: BED3 to BED12, narrowPeak, broadPeak, gzipped or not, BigBed; local or remote."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..bbi import BIGWIG_MAGIC
from ..errors import ConfigError, FormatError
from ..storage import PathOrFile, open_source
from .bigbed import is_bigbed, read_bigbed_fields
from .frames import MAX_POSITION, Int64Array

__all__ = ["read_bed"]

BedFormat = Literal["auto", "bed", "narrowPeak", "broadPeak"]

# Columns by number, as in UCSC's "Data File Formats" (BED) and ENCODE's narrowPeak (BED6+4) and broadPeak (BED6+3).
BED_COLUMNS = ("chrom", "start", "end", "name", "score", "strand")
PEAK_COLUMNS = (*BED_COLUMNS, "signal", "p_value", "q_value", "summit")
BROAD_PEAK_COLUMNS = PEAK_COLUMNS[:9]
COLUMNS_OF_FORMAT = {"bed": BED_COLUMNS, "narrowPeak": PEAK_COLUMNS, "broadPeak": BROAD_PEAK_COLUMNS}
NUMBER_COLUMNS = ("score", "signal", "p_value", "q_value")
STRANDS = ("+", "-", ".")

# Empty lines, comments, and what is meant for a genome browser.
NOT_A_RECORD = re.compile(r"\s*(#|$|(track|browser)(\s|$))")

GZIP_MAGIC = b"\x1f\x8b"
BIGWIG_MAGICS = (BIGWIG_MAGIC.to_bytes(4, "little"), BIGWIG_MAGIC.to_bytes(4, "big"))


def read_bed(
    path: PathOrFile,
    *,
    file_format: BedFormat = "auto",
    n_columns: int | None = None,
    storage_options: dict[str, Any] | None = None,
) -> pd.DataFrame:
    r"""Read the regions of a BED, narrowPeak, broadPeak or BigBed file.

    Parameters
    ----------
    path
        A local path, a URL that fsspec opens, or an open binary file. Whether it is gzipped (also by bgzip) or BigBed
        is seen from its first bytes.
    file_format
        What the columns after the sixth mean. ``"auto"`` takes names that end in ``.narrowPeak`` or ``.broadPeak``
        (``.gz``, ``.bb`` or ``.bigBed`` may follow) by their word, and files of exactly ten columns for narrowPeak
        where these can be nothing else, because ENCODE's narrowPeak files are named ``.bed.gz``.
    n_columns
        How many columns to read, for files whose later ones are not BED's (BED3+, BED4+); all that mean something by
        default.
    storage_options
        Passed to fsspec.

    Returns
    -------
    pandas.DataFrame
        In the file's order: ``chrom`` str, ``start`` and ``end`` int64, and those that the file has of ``name`` str,
        ``score`` float64, ``strand`` str (``+``, ``-`` or ``.``); of narrowPeak and broadPeak also ``signal``,
        ``p_value`` and ``q_value`` float64 (the latter two as -log10, -1 for none), of narrowPeak ``summit`` int64, as
        a position on the chromosome, -1 for none.

    Raises
    ------
    FileNotFoundError, PermissionError
        As they are.
    FormatError
        The file is damaged or no BED; the message names the line.
    StorageError
        The file cannot be read.
    ConfigError
        An argument that makes no sense.

    Examples
    --------
    >>> import io
    >>> read_bed(io.BytesIO(b"track name=peaks\nchr1\t100\t200\tfirst\nchr1\t150\t300\tsecond\n"))
      chrom  start  end    name
    0  chr1    100  200   first
    1  chr1    150  300  second
    """
    if file_format not in ("auto", *COLUMNS_OF_FORMAT):
        message = f"file_format is {file_format!r}, expected 'auto', {', '.join(map(repr, COLUMNS_OF_FORMAT))}"
        raise ConfigError(message, argument="file_format", value=file_format)
    if n_columns is not None and not 3 <= n_columns <= len(PEAK_COLUMNS):
        message = f"n_columns is {n_columns!r}, expected a whole number from 3 to {len(PEAK_COLUMNS)}"
        raise ConfigError(message, argument="n_columns", value=n_columns)
    source = open_source(path, storage_options=storage_options)
    try:
        url, data = source.url, source.read(0, source.size)
    finally:
        source.close()
    if data[:4] in BIGWIG_MAGICS:
        raise FormatError(f"{url} is a BigWig file: it holds a signal, and regions were expected", url=url, offset=0)
    if is_bigbed(data):
        fields, lines = read_bigbed_fields(data, url=url), None
    else:
        fields, lines = _read_fields(_inflated(data, url), url)
    columns = _columns(fields, url, file_format)[:n_columns]
    return _Fields(fields, url, lines).frame(columns)


class _Fields:
    """The fields of a file as text (N, number of columns), and how each column becomes numbers."""

    def __init__(self, fields: pd.DataFrame, url: str, lines: npt.NDArray[np.int64] | None) -> None:
        self._fields = fields
        self._url = url
        self._lines = lines  # (N,) numbers in the file, from 1; None where records have none

    def frame(self, columns: tuple[str, ...]) -> pd.DataFrame:
        frame = pd.DataFrame({"chrom": self._fields[0].astype("str")})
        frame["start"] = self._positions(1, "start")
        frame["end"] = self._positions(2, "end")
        self._refuse(frame["end"] < frame["start"], "the end is before the start")
        for number, name in enumerate(columns[3:], start=3):
            if name == "summit":
                frame[name] = self._summits(number, frame)
            elif name in NUMBER_COLUMNS:
                frame[name] = self._numbers(number, name)
            else:
                frame[name] = self._fields[number].astype("str")
        if "strand" in frame:
            hint = f"; pass n_columns=3 if column 6 is no strand, expected {', '.join(STRANDS)}"
            self._refuse(~frame["strand"].isin(STRANDS), f"the strand makes no sense{hint}")
        return frame

    def _positions(self, number: int, name: str) -> Int64Array:
        values = pd.to_numeric(self._fields[number], errors="coerce")
        in_range = (values >= 0) & (values <= MAX_POSITION) & (values % 1 == 0)
        self._refuse(~in_range, f"the {name} is no position ({name} is column {number + 1})")
        return values.to_numpy().astype(np.int64)

    def _numbers(self, number: int, name: str) -> npt.NDArray[np.float64]:
        text = self._fields[number]
        values = pd.to_numeric(text, errors="coerce")
        hint = f"; pass n_columns={number} to leave it out"
        self._refuse(values.isna() & (text != "."), f"column {number + 1} ({name}) is no number{hint}")
        return values.to_numpy().astype(np.float64)

    def _summits(self, number: int, frame: pd.DataFrame) -> Int64Array:
        offsets = pd.to_numeric(self._fields[number], errors="coerce")
        inside = (offsets >= -1) & (offsets < np.maximum(frame["end"] - frame["start"], 1)) & (offsets % 1 == 0)
        self._refuse(~inside, f"column {number + 1}, the summit's offset from the start, is not inside the region")
        return np.where(offsets < 0, -1, frame["start"] + offsets).astype(np.int64)

    def _refuse(self, wrong: pd.Series[bool], why: str) -> None:
        rows = np.flatnonzero(wrong.to_numpy())
        if not len(rows):
            return
        where = f"record {rows[0] + 1}" if self._lines is None else f"line {self._lines[rows[0]]}"
        fields = " ".join(map(str, self._fields.iloc[rows[0]].tolist()))
        more = f" (and in {len(rows) - 1} more)" if len(rows) > 1 else ""
        raise FormatError(f"{self._url}, {where}: {why}{more}, in {fields[:200]!r}", url=self._url)


def _inflated(data: bytes, url: str) -> bytes:
    if not data.startswith(GZIP_MAGIC):
        return data
    try:
        return gzip.decompress(data)  # bgzip's many members too
    except (EOFError, OSError, zlib.error) as error:
        raise FormatError(f"{url} is gzipped, and damaged or cut short: {error}", url=url) from error


def _read_fields(data: bytes, url: str) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """Fields as text (N, number of columns), and their line numbers (N,), counted from 1."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"{url} is no text: {error}", url=url, offset=error.start) from None
    lines = [
        line for line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1) if not NOT_A_RECORD.match(line[1])
    ]
    numbers = np.array([number for number, _ in lines], dtype=np.int64)
    if not lines:
        return pd.DataFrame({number: pd.Series(dtype="str") for number in range(3)}), numbers
    # Tabs let names hold spaces; without tabs any spaces separate.
    separator = "\t" if lines[0][1].count("\t") >= 2 else None
    n_fields = len(lines[0][1].split(separator))
    if n_fields < 3:
        message = f"{url}, line {numbers[0]}: {n_fields} columns, expected at least chrom, start and end"
        raise FormatError(f"{message}, in {lines[0][1][:200]!r}", url=url)
    for number, line in lines:
        count = line.count("\t") + 1 if separator else len(line.split())
        if count != n_fields:
            message = f"{url}, line {number}: {count} columns, expected {n_fields} as in line {numbers[0]}"
            raise FormatError(f"{message}, in {line[:200]!r}", url=url)
    # Beyond ten columns a file is BED12 or has columns of its own after BED6.
    n_used = n_fields if n_fields <= len(PEAK_COLUMNS) else len(BED_COLUMNS)
    fields = pd.read_csv(
        io.StringIO("\n".join(line for _, line in lines)),
        sep=separator or r"\s+",
        header=None,
        names=list(range(n_fields)),
        usecols=list(range(n_used)),
        dtype="str",
        na_filter=False,
        quoting=csv.QUOTE_NONE,
    )
    return fields, numbers


def _columns(fields: pd.DataFrame, url: str, file_format: BedFormat) -> tuple[str, ...]:
    """What the columns of a file mean, as far as it has them."""
    found: str = file_format
    if file_format == "auto":
        name = url.lower().partition("?")[0]
        for ending in (".gz", ".bgz", ".bb", ".bigbed"):
            name = name.removesuffix(ending)
        named = [peaks for peaks in ("narrowPeak", "broadPeak") if name.endswith(f".{peaks.lower()}")]
        found = named[0] if named else "narrowPeak" if _looks_like_narrow_peak(fields) else "bed"
    columns = COLUMNS_OF_FORMAT[found]
    if found != "bed" and fields.shape[1] < len(columns) and len(fields):
        message = f"{url} has {fields.shape[1]} columns, expected {len(columns)} of {found}; file_format='bed' reads it"
        raise FormatError(message, url=url)
    return columns[: fields.shape[1]]


def _looks_like_narrow_peak(fields: pd.DataFrame) -> bool:
    """Whether ten columns end in three numbers and a summit inside the region; BED10 is not a format of its own."""
    if fields.shape[1] != len(PEAK_COLUMNS) or not len(fields):
        return False
    numbers = fields[[1, 2, *range(6, 10)]].apply(pd.to_numeric, errors="coerce")
    if numbers.isna().to_numpy().any():
        return False
    offsets = numbers[9]
    return bool(((offsets >= -1) & (offsets < numbers[2] - numbers[1]) & (offsets % 1 == 0)).all())
