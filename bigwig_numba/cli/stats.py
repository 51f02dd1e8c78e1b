"""``bigwig-numba stats``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..bigwig import BigWig
from ..binning import STATISTICS, bin_edges
from ..regions import read_bed
from .arguments import (
    RANGES,
    Commands,
    Range,
    add_json,
    add_one_based,
    add_storage_options,
    parse_range,
    positive_integer,
    storage_options,
)
from .output import print_json, print_row


def add_stats(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    known = ", ".join(STATISTICS)
    parser = commands.add_parser(
        "stats",
        help="statistics of ranges, of a BED file's regions, or of each chromosome",
        description=f"Print statistics ({known}) over the covered bases of ranges, between tabs under a header line; "
        "nan where nothing is covered. Without ranges: of each chromosome. " + RANGES,
        epilog="example: bigwig-numba stats track.bw chr1:300,000-320,000 --bins 4 --statistics mean max",
    )
    parser.add_argument("file", metavar="FILE", help="a path or URL")
    parser.add_argument("ranges", nargs="*", type=parse_range, metavar="RANGE", help="CHROM:START-END, or CHROM")
    parser.add_argument("--bed", metavar="FILE", help="also of the regions in a BED, narrowPeak or BigBed file")
    parser.add_argument("--bins", type=positive_integer, default=1, metavar="N", help="bins per range (default: 1)")
    parser.add_argument(
        "--statistics", nargs="+", choices=STATISTICS, default=list(STATISTICS), metavar="NAME",
        help=f"which, of {known} (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--approximate", action="store_true", help="from zoom levels where they are fine enough: reads far less"
    )
    add_one_based(parser)
    add_storage_options(parser)
    add_json(parser)
    parser.set_defaults(run=_stats)


def _stats(options: argparse.Namespace) -> None:
    with BigWig(options.file, storage_options=storage_options(options)) as bigwig:
        rows = _rows(bigwig, _places(bigwig, options), options)
        if options.json:
            print_json(list(rows))
            return
        print_row(["chromosome", "start", "end", *options.statistics])
        for row in rows:
            print_row(row.values())


def _places(bigwig: BigWig, options: argparse.Namespace) -> list[tuple[str, int, int]]:
    sizes = bigwig.chroms
    ranges = list(options.ranges)
    if not ranges and options.bed is None:
        ranges = [Range(name) for name, length in sizes.items() if length]
    places = [range_.on(sizes, url=bigwig.path, one_based=options.one_based) for range_ in ranges]
    if options.bed is not None:
        regions = read_bed(options.bed, n_columns=3, storage_options=storage_options(options))
        rows = zip(regions["chrom"], regions["start"].tolist(), regions["end"].tolist(), strict=True)
        places += [Range(*row).on(sizes, url=bigwig.path) for row in rows]
    return places


def _rows(bigwig: BigWig, places: list[tuple[str, int, int]], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    exact = not options.approximate
    for chromosome, start, end in places:
        edges = bin_edges(start, end, options.bins).tolist()
        answers = [
            bigwig.stats(chromosome, start, end, n_bins=options.bins, statistic=statistic, exact=exact)
            for statistic in options.statistics
        ]
        for left, right, values in zip(edges, edges[1:], np.transpose(answers), strict=False):
            place = {"chromosome": chromosome, "start": left, "end": right}
            yield {**place, **dict(zip(options.statistics, values, strict=True))}
