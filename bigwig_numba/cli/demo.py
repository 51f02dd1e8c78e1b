"""``bigwig-numba demo``."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from ..demo import DemoResult, run_demo
from .arguments import Commands, positive_integer


def add_demo(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
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
    parser.add_argument("--batches", type=positive_integer, default=50, metavar="N", help="batches to stream")
    parser.add_argument("--batch-size", type=positive_integer, default=32, metavar="N", help="windows per batch")
    parser.add_argument(
        "--sequence-length", type=positive_integer, default=16_384, metavar="N", help="bases per window"
    )
    parser.add_argument("--window-size", type=positive_integer, default=1, metavar="N", help="bases per bin")
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
