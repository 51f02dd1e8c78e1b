"""``bigwig-numba bench remote``."""

from __future__ import annotations

import argparse

from ..benchmarks.remote import RemoteWorkload, run_remote_benchmark
from ..errors import BigWigError
from .arguments import Commands, positive_integer
from .bench_results import print_results


def add_bench_remote(benchmarks: Commands[argparse.ArgumentParser]) -> None:
    """Add the benchmark to the program."""
    default = RemoteWorkload()
    parser = benchmarks.add_parser(
        "remote",
        help="open files and read batches over a simulated network: beside s3fs, pyBigWig and pybigtools",
        description="Start an object store on localhost that answers after a fixed time; open files from it, cold and "
        "known; read batches of random windows; compare every value with the local file's.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--files", type=positive_integer, default=default.n_files, metavar="N", help="files to open")
    parser.add_argument("--tracks", type=positive_integer, default=default.n_tracks, metavar="N", help="of a batch")
    parser.add_argument("--windows", type=positive_integer, default=default.n_windows, metavar="N", help="of a batch")
    parser.add_argument(
        "--sequence-length", type=positive_integer, default=default.window_bases, metavar="N", help="bases per window"
    )
    parser.add_argument("--latency", type=float, default=default.latency * 1e3, metavar="MS", help="milliseconds")
    parser.add_argument("--bandwidth", type=float, metavar="MB_PER_S", help="of all answers together; no limit without")
    parser.add_argument(
        "--processes", type=positive_integer, nargs="+", default=list(default.processes), metavar="N",
        help="numbers of processes that send requests, each measured",
    )  # fmt: skip
    parser.add_argument(
        "--server-processes", type=positive_integer, default=default.server_processes, metavar="N",
        help="processes of the server: a quarter of the cores keeps it out of the measurement",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.set_defaults(run=_bench_remote)


def _bench_remote(options: argparse.Namespace) -> None:
    workload = RemoteWorkload(
        n_files=options.files,
        n_tracks=options.tracks,
        n_windows=options.windows,
        window_bases=options.sequence_length,
        latency=options.latency / 1e3,
        bandwidth=options.bandwidth * 1e6 if options.bandwidth else None,
        processes=tuple(options.processes),
        server_processes=options.server_processes,
    )
    results = print_results(run_remote_benchmark(workload), as_json=options.json)
    if any(result.right is False for result in results):
        raise BigWigError("a reader gave wrong values")
