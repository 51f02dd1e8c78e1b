"""The command line. Results go to standard output, progress and errors to standard error."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bigwig_numba.benchmarks.inflate import InflateResult, run_inflate_benchmark
from bigwig_numba.demo import DemoResult, run_demo
from bigwig_numba.errors import BigWigError
from bigwig_numba.version import __version__

__all__ = ["main"]

EXIT_FAILURE = 1  # argparse uses 2 for usage
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments
        Words after the program's name; by default those of this process.

    Returns
    -------
    int
        Exit status: 0, 1 for an error (one line on standard error), 130 if interrupted. Wrong usage exits with 2.

    Examples
    --------
    >>> main(["demo", "--bigwigs", "there/is/no/such.bw"])
    1
    """
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], None] = options.run
    try:
        run(options)
        sys.stdout.flush()
    except (BigWigError, OSError) as error:
        print(f"bigwig-numba {options.command}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_FAILURE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    """One function below adds each command and says what runs it (``set_defaults(run=...)``)."""
    parser = argparse.ArgumentParser(prog="bigwig-numba", description="BigWig files to arrays, on CPU and GPU.")
    parser.add_argument("--version", action="version", version=f"bigwig-numba {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_demo(commands)
    _add_bench(commands)
    return parser


def _positive_integer(text: str) -> int:
    try:
        number = int(text.replace(",", "").replace("_", ""))
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return number


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "demo",
        help="stream batches of windows from example tracks, or your own, and draw one",
        description="Stream seeded random windows of many tracks as batches; say the device, windows/s and a "
        "checksum; draw one window. Without --bigwigs, a small genome with eight tracks is made (once, some seconds).",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--bigwigs", nargs="+", metavar="PATH_OR_URL", help="your own tracks: files, folders, globs, s3:// or https://"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")
    parser.add_argument("--batches", type=_positive_integer, default=50, metavar="N", help="batches to stream")
    parser.add_argument("--batch-size", type=_positive_integer, default=32, metavar="N", help="windows per batch")
    parser.add_argument(
        "--sequence-length", type=_positive_integer, default=16_384, metavar="N", help="bases per window"
    )
    parser.add_argument("--window-size", type=_positive_integer, default=1, metavar="N", help="bases per bin")
    parser.add_argument("--output", type=Path, metavar="FILE", help="picture (.png, .pdf, .svg) to write")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> None:
    result = run_demo(
        options.bigwigs,
        device=options.device,
        n_batches=options.batches,
        batch_size=options.batch_size,
        sequence_length=options.sequence_length,
        window_size=options.window_size,
        picture=options.output,
        progress=True,
    )
    if options.json:
        print(json.dumps(dataclasses.asdict(result), default=str, indent=2))
    else:
        print(_demo_report(result))


def _demo_report(result: DemoResult) -> str:
    n_tracks = result.shape[2]
    picture = result.picture or 'none, matplotlib is missing: pip install "bigwig-numba[plot]"'
    lines = {
        "tracks": f"{n_tracks}, opened in {result.open_seconds:.2f} s",
        "device": result.device,
        "batches": f"{result.n_batches} of (windows, bins, tracks) = {result.shape}, {result.dtype}",
        "first batch": f"{result.first_batch_seconds:.2f} s, kernels compiled on the way",
        "speed": f"{result.windows_per_second:,.0f} windows/s, each of all {n_tracks} tracks",
        "checksum": result.checksum,
        "picture": picture,
    }
    return "\n".join(f"{name:<12} {value}" for name, value in lines.items())


def _add_bench(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    benchmarks = commands.add_parser("bench", help="measure this library beside others").add_subparsers(
        dest="benchmark", metavar="WHAT", required=True
    )
    parser = benchmarks.add_parser(
        "inflate",
        help="inflate blocks: GB/s beside nvCOMP, zlib and libdeflate",
        description="Inflate zlib streams like those of BigWig files, and compare every byte. If there is a GPU: on "
        "it, beside nvCOMP where its library is found (NVCOMP_SO names it, or the package nvidia-libnvcomp). On one "
        "thread of the CPU: beside zlib, and libdeflate where the package deflate is installed.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--blocks", nargs="+", type=_positive_integer, default=[1, 512, 2_048, 8_192, 32_768, 131_072], metavar="N",
        help="numbers of blocks to inflate at a time on the GPU",
    )  # fmt: skip
    parser.add_argument(
        "--items", type=_positive_integer, default=1_024, metavar="N", help="items of a made block, 12 bytes each"
    )
    parser.add_argument(
        "--files", nargs="+", metavar="PATH_OR_URL", help="draw the blocks from these files instead of making them"
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw throughput against blocks (.png, .pdf, .svg)")
    parser.set_defaults(run=_bench_inflate)


def _bench_inflate(options: argparse.Namespace) -> None:
    results: list[InflateResult] = []
    for result in run_inflate_benchmark(options.blocks, n_items=options.items, files=options.files):
        results.append(result)
        if not options.json:
            print(result.line(), flush=True)
    if options.json:
        print(json.dumps([result.as_dict() for result in results], indent=2))
    if options.plot:
        from bigwig_numba.benchmarks.plot import plot_throughput

        plot_throughput(results, options.plot)
    if not all(result.right for result in results):
        raise BigWigError("a decoder gave wrong bytes")
