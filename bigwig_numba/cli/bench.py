"""``bigwig-numba bench``: one subcommand per benchmark."""

from __future__ import annotations

import argparse

from .arguments import Commands
from .bench_dataset import add_bench_dataset
from .bench_inflate import add_bench_inflate
from .bench_intervals import add_bench_intervals
from .bench_remote import add_bench_remote
from .bench_windows import add_bench_windows

BENCHMARKS = (add_bench_inflate, add_bench_windows, add_bench_intervals, add_bench_dataset, add_bench_remote)


def add_bench(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser("bench", help="measure this library beside others")
    benchmarks = parser.add_subparsers(dest="benchmark", metavar="WHAT", required=True)
    for add_benchmark in BENCHMARKS:
        add_benchmark(benchmarks)
