"""``bigwig-numba batch``."""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm.auto import tqdm

from ..collection import BigWigCollection
from ..errors import ConfigError
from ..regions import read_bed, resize
from ..window_files import WINDOW_FILE_FORMATS, write_windows
from .arguments import Commands, add_json, add_statistic, add_storage_options, positive_integer, storage_options
from .output import print_fields, print_json, size_text


def add_batch(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "batch",
        help="windows of many tracks, from a BED file to .npz, .npy or .zarr",
        description="Read the regions of a BED, narrowPeak or BigBed file from many tracks, and write one array "
        "(windows, bins, tracks). .npz and .zarr also hold the windows (chromosomes, starts, ends) and the paths of "
        "the tracks; .npy is the array alone. The array may be larger than memory. Regions must have one length; "
        "--sequence-length gives it to them.",
        epilog="example: bigwig-numba batch --bigwigs tracks/ --regions peaks.bed --sequence-length 2048 "
        "--window-size 32 --output peaks.npz",
    )
    parser.add_argument(
        "--bigwigs", nargs="+", required=True, metavar="PATH_OR_URL", help="files, folders, globs, s3:// or https://"
    )
    parser.add_argument("--regions", required=True, metavar="FILE", help="BED, narrowPeak, broadPeak or BigBed")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help=", ".join(WINDOW_FILE_FORMATS))
    parser.add_argument(
        "--sequence-length", type=positive_integer, metavar="N", help="make all regions N bases, around their centres"
    )
    parser.add_argument(
        "--summit", action="store_true", help="with --sequence-length: around narrowPeak summits, where there are some"
    )
    parser.add_argument(
        "--window-size", type=positive_integer, default=1, metavar="N", help="bases per bin (default: 1)"
    )
    add_statistic(parser)
    parser.add_argument(
        "--default-value",
        type=float,
        default=0.0,
        metavar="X",
        help="where files have nothing; may be nan (default: 0)",
    )
    parser.add_argument("--dtype", choices=("float32", "float16"), default="float32", help="(default: float32)")
    parser.add_argument(
        "--batch-size", type=positive_integer, default=256, metavar="N", help="windows read at a time (default: 256)"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")
    add_storage_options(parser)
    add_json(parser)
    parser.set_defaults(run=_batch)


def _batch(options: argparse.Namespace) -> None:
    regions = read_bed(options.regions, storage_options=storage_options(options))
    if options.sequence_length:
        regions = resize(regions, options.sequence_length, around="summit" if options.summit else "centre")
    lengths = sorted(set((regions["end"] - regions["start"]).tolist()))
    if len(lengths) != 1:
        found = f"regions of {len(lengths)} lengths, {lengths[0]:,} to {lengths[-1]:,}" if lengths else "no regions"
        message = f"{options.regions} has {found}; an array needs one length: give --sequence-length"
        raise ConfigError(message, argument="sequence_length", value=options.sequence_length)
    with (
        BigWigCollection(options.bigwigs, device=options.device, storage_options=storage_options(options)) as tracks,
        tqdm(total=len(regions), desc="Reading windows", unit="window", disable=None, leave=False) as bar,
    ):
        shape = write_windows(
            options.output,
            tracks,
            regions,
            window_size=options.window_size,
            statistic=options.statistic,
            default_value=options.default_value,
            dtype=options.dtype,
            batch_size=options.batch_size,
            progress=bar.update,
        )
        device = tracks.device
    facts = {"output": str(options.output), "shape": shape, "dtype": options.dtype, "device": device}
    if options.json:
        print_json(facts)
    else:
        n_bytes = shape[0] * shape[1] * shape[2] * (4 if options.dtype == "float32" else 2)
        what = f"(windows, bins, tracks) = {shape}, {options.dtype}, {size_text(n_bytes)}"
        print_fields({"output": str(options.output), "values": what, "device": device})
