"""``bigwig-numba bench intervals``."""

from __future__ import annotations

import argparse

from ..benchmarks.intervals import run_intervals_benchmark
from ..errors import BigWigError
from .arguments import Commands, positive_integer
from .bench_results import bigwig_files, print_results


def add_bench_intervals(benchmarks: Commands[argparse.ArgumentParser]) -> None:
    """Add the benchmark to the program."""
    parser = benchmarks.add_parser(
        "intervals",
        help="all intervals of whole files above a threshold, merged: seconds beside pyBigWig",
        description="Find the intervals of all tracks above a threshold and merge them, on each device; one chromosome "
        "by pyBigWig too, whose rows are compared.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--files", nargs="+", metavar="PATH_OR_URL", help="files, folders or globs; a small made genome without"
    )
    parser.add_argument("--threshold", type=float, default=0.0, metavar="X", help="values must be larger")
    parser.add_argument("--no-merge", action="store_true", help="leave neighbours apart")
    parser.add_argument(
        "--batch-size", type=positive_integer, default=4_096, metavar="N", help="blocks inflated at a time"
    )
    parser.add_argument("--devices", nargs="+", choices=("cpu", "cuda"), help="where to compute; all by default")
    parser.add_argument("--repeats", type=positive_integer, default=3, metavar="N", help="runs; the median counts")
    parser.add_argument(
        "--peer-chromosome", metavar="NAME", help="what pyBigWig reads; the shortest one with data by default"
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.set_defaults(run=_bench_intervals)


def _bench_intervals(options: argparse.Namespace) -> None:
    found = run_intervals_benchmark(
        bigwig_files(options.files),
        threshold=options.threshold,
        merge=not options.no_merge,
        batch_size=options.batch_size,
        devices=options.devices,
        repeats=options.repeats,
        peer_chromosome=options.peer_chromosome,
    )
    results = print_results(found, as_json=options.json)
    if any(result.agrees is False for result in results):
        raise BigWigError("intervals are not those of pyBigWig")
