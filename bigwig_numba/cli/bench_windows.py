"""``bigwig-numba bench windows``."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..benchmarks.peers import PEERS
from ..benchmarks.windows import DEFAULT_SHAPES, Shape, WindowsResult, run_windows_benchmark
from ..errors import BigWigError
from .arguments import Commands
from .bench_results import bigwig_files, print_results


def add_bench_windows(benchmarks: Commands[argparse.ArgumentParser]) -> None:
    """Add the benchmark to the program."""
    parser = benchmarks.add_parser(
        "windows",
        help="batches of random windows: milliseconds beside pyBigWig, pybigtools and bigwig-loader",
        description="Read batches of fresh random windows from all tracks, on each device and from each store, beside "
        "the other readers that are installed. Values are compared. Then start new processes and time them from import "
        "to the first batch, of the first shape.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--files", nargs="+", metavar="PATH_OR_URL", help="files, folders or globs; a small made genome without"
    )
    parser.add_argument(
        "--shapes", nargs="+", type=_shape, default=DEFAULT_SHAPES, metavar="WINDOWSxBASES/BIN", help="what a batch is"
    )
    parser.add_argument("--devices", nargs="+", choices=("cpu", "cuda"), help="where to compute; all by default")
    parser.add_argument(
        "--stores", nargs="+", choices=("stream", "host", "device"), default=("stream", "device"),
        help="where compressed blocks live on a GPU",
    )  # fmt: skip
    parser.add_argument(
        "--peers", nargs="*", choices=tuple(PEERS), default=tuple(PEERS), help="readers to measure, if installed"
    )
    parser.add_argument(
        "--seconds", type=float, default=2.0, metavar="S", help="for the batches of a reader and a shape, at least 3"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the results as JSON, after each one anew")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw time against batch size (.png, .pdf, .svg)")
    parser.set_defaults(run=_bench_windows)


def _shape(text: str) -> Shape:
    try:
        return Shape.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not WINDOWSxBASES/BIN, for instance 256x1000/1") from None


def _bench_windows(options: argparse.Namespace) -> None:
    found = run_windows_benchmark(
        bigwig_files(options.files),
        shapes=options.shapes,
        devices=options.devices,
        stores=options.stores,
        peers=options.peers,
        seconds=options.seconds,
    )
    printed = print_results(found, as_json=options.json, output=options.output)
    results = [result for result in printed if isinstance(result, WindowsResult)]
    if options.plot:
        from ..benchmarks.plot import plot_batch_times

        plot_batch_times(results, options.plot)
    if any(result.agrees is False for result in results):
        raise BigWigError("readers disagree on values")
