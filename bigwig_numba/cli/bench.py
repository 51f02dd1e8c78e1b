"""``bigwig-numba bench``: one subcommand per benchmark."""

from __future__ import annotations

import argparse

from .arguments import Commands
from .bench_inflate import add_bench_inflate

BENCHMARKS = (add_bench_inflate,)


def add_bench(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser("bench", help="measure this library beside others")
    benchmarks = parser.add_subparsers(dest="benchmark", metavar="WHAT", required=True)
    for add_benchmark in BENCHMARKS:
        add_benchmark(benchmarks)
