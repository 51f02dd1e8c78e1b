"""``bigwig-numba values``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from ..bigwig import BigWig
from .arguments import (
    RANGES,
    Commands,
    add_json,
    add_one_based,
    add_storage_options,
    parse_range,
    positive_integer,
    storage_options,
)
from .output import print_json, print_row

PIECE = 1_000_000  # bases read at a time

Row = tuple[str, int, int, float]


def add_values(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "values",
        help="the values of ranges, base by base or in bins",
        description="Print the values of ranges: chromosome, start, end and value between tabs, nan where the file has "
        "nothing. " + RANGES,
        epilog="example: bigwig-numba values track.bw chr1:305,000-305,010",
    )
    parser.add_argument("file", metavar="FILE", help="a path or URL")
    parser.add_argument("ranges", nargs="+", type=parse_range, metavar="RANGE", help="CHROM:START-END, or CHROM")
    parser.add_argument(
        "--window-size", type=positive_integer, default=1, metavar="N",
        help="bases per bin, whose means are printed; the last bin of a range may be shorter (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--join", action="store_true", help="print neighbours of equal value as one line, and no nan: bedGraph"
    )
    add_one_based(parser)
    add_storage_options(parser)
    add_json(parser)
    parser.set_defaults(run=_values)


def _values(options: argparse.Namespace) -> None:
    with BigWig(options.file, storage_options=storage_options(options)) as bigwig:
        ranges = [
            range_.on(bigwig.chroms, url=bigwig.path, one_based=options.one_based) for range_ in options.ranges
        ]  # all are looked at before anything is printed
        found = []
        for chromosome, start, end in ranges:
            rows = _rows(bigwig, chromosome, start, end, options.window_size)
            rows = _joined(rows) if options.join else rows
            if options.json:
                place = {"chromosome": chromosome, "start": start, "end": end}
                found.append(
                    {**place, "intervals": [{"start": row[1], "end": row[2], "value": row[3]} for row in rows]}
                )
            else:
                for row in rows:
                    print_row(row)
    if options.json:
        print_json(found)


def _rows(bigwig: BigWig, chromosome: str, start: int, end: int, window_size: int) -> Iterator[Row]:
    """Bins of a range, read some at a time."""
    piece = max(1, PIECE // window_size) * window_size
    for first in range(start, end, piece):
        last = min(first + piece, end)
        if window_size == 1:
            values = bigwig.values(chromosome, first, last)
            for base, value in zip(range(first, last), values, strict=True):
                yield chromosome, base, base + 1, value
            continue
        whole = first + (last - first) // window_size * window_size
        if whole > first:
            means = bigwig.stats(chromosome, first, whole, n_bins=(whole - first) // window_size)
            for left, value in zip(range(first, whole, window_size), means.astype(np.float32), strict=True):
                yield chromosome, left, left + window_size, value
        if whole < last:
            yield chromosome, whole, last, bigwig.stats(chromosome, whole, last).astype(np.float32)[0]


def _joined(rows: Iterator[Row]) -> Iterator[Row]:
    held: Row | None = None
    for row in rows:
        if held is not None and held[2] == row[1] and held[3] == row[3]:
            held = (held[0], held[1], row[2], held[3])
            continue
        if held is not None:
            yield held
        held = None if np.isnan(row[3]) else row
    if held is not None:
        yield held
