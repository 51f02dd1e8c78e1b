"""``bigwig-numba plot``."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..collection import BigWigCollection
from ..errors import ConfigError
from ..plot import PICTURE_FORMATS, can_plot, save_picture
from .arguments import (
    RANGES,
    Commands,
    add_json,
    add_one_based,
    add_statistic,
    add_storage_options,
    parse_range,
    positive_integer,
    storage_options,
)
from .output import print_json


def add_plot(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "plot",
        help="draw the tracks of a range",
        description="Draw the tracks of a range below each other, as PNG, PDF or SVG. " + RANGES,
        epilog="example: bigwig-numba plot tracks/*.bw chr1:605,000-625,000 --output promoter.svg",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="files, folders, globs or URLs, in this order")
    parser.add_argument("range", type=parse_range, metavar="RANGE", help="CHROM:START-END, or CHROM")
    parser.add_argument("--output", type=Path, metavar="FILE", help="by default CHROM_START-END.png")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="of the tracks; by default those of the files")
    parser.add_argument(
        "--window-size",
        type=positive_integer,
        metavar="N",
        help="bases per bin; by default at most 1,000 bins are drawn",
    )
    add_statistic(parser)
    parser.add_argument("--same-scale", action="store_true", help="one scale for all tracks")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")
    add_one_based(parser)
    add_storage_options(parser)
    add_json(parser)
    parser.set_defaults(run=_plot)


def _plot(options: argparse.Namespace) -> None:
    if not can_plot():
        message = 'pictures need matplotlib; pip install "bigwig-numba[plot]"'
        raise ConfigError(message, argument="output", value=options.output)
    with BigWigCollection(
        options.files, sort=False, device=options.device, storage_options=storage_options(options)
    ) as tracks:
        chromosome, start, end = options.range.on(
            tracks.chromosome_sizes, url="none of the files", one_based=options.one_based
        )
        output = options.output or Path(f"{chromosome}_{start}-{end}.png")
        if output.suffix.lower() not in PICTURE_FORMATS:
            message = f"{output} is no picture; end the name in {', '.join(PICTURE_FORMATS)}"
            raise ConfigError(message, argument="output", value=output)
        figure = tracks.plot(
            chromosome,
            start,
            end,
            window_size=options.window_size,
            statistic=options.statistic,
            names=options.names,
            same_scale=options.same_scale,
        )
        save_picture(figure, output)
        n_tracks = len(tracks)
    if options.json:
        place = {"chromosome": chromosome, "start": start, "end": end}
        print_json({"output": str(output), **place, "tracks": n_tracks})
    else:
        print(output)
