"""``bigwig-numba bench inflate``."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..benchmarks.inflate import run_inflate_benchmark
from ..errors import BigWigError
from ..kernels.swapping import get_inflate_kernel
from .arguments import Commands, positive_integer
from .bench_results import print_results


def add_bench_inflate(benchmarks: Commands[argparse.ArgumentParser]) -> None:
    """Add the benchmark to the program."""
    parser = benchmarks.add_parser(
        "inflate",
        help="inflate blocks: GB/s beside nvCOMP, zlib and libdeflate",
        description="Inflate zlib streams like those of BigWig files, and compare every byte. If there is a GPU: on "
        "it, beside nvCOMP where its library is found (NVCOMP_SO names it, or the package nvidia-libnvcomp). On one "
        "thread of the CPU: beside zlib, and libdeflate where the package deflate is installed.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--blocks", nargs="+", type=positive_integer, default=[1, 512, 2_048, 8_192, 32_768, 131_072], metavar="N",
        help="numbers of blocks to inflate at a time on the GPU",
    )  # fmt: skip
    parser.add_argument(
        "--items", type=positive_integer, default=1_024, metavar="N", help="items of a made block, 12 bytes each"
    )
    parser.add_argument(
        "--files", nargs="+", metavar="PATH_OR_URL", help="draw the blocks from these files instead of making them"
    )
    parser.add_argument(
        "--kernel", nargs="+", default=[], metavar="MODULE:NAME",
        help="race kernels of your own too: objects of type InflateKernel, as module:name or file.py:name",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw throughput against blocks (.png, .pdf, .svg)")
    parser.set_defaults(run=_bench_inflate)


def _bench_inflate(options: argparse.Namespace) -> None:
    kernels = [get_inflate_kernel(name) for name in options.kernel]
    found = run_inflate_benchmark(options.blocks, n_items=options.items, files=options.files, kernels=kernels)
    results = print_results(found, as_json=options.json)
    if options.plot:
        from bigwig_numba.benchmarks.plot import plot_throughput

        plot_throughput(results, options.plot)
    if not all(result.right for result in results):
        raise BigWigError("a decoder gave wrong bytes")
