"""``bigwig-numba info``."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bigwig import BigWig
from ..errors import FormatError
from .arguments import Commands, add_json, add_storage_options, positive_integer, storage_options
from .output import count_text, number_text, print_fields, print_json, size_text, sparkline

PROFILE_BINS = 60
MOST_BLOCKS_WITHOUT_ZOOMS = 2_000  # read for the profile of a file that has no zoom level


def add_info(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "info",
        help="what is in files: header, chromosomes, blocks, zooms, a sparkline",
        description="Say what is in BigWig files: version and byte order, chromosomes, blocks and their section types, "
        "zoom levels, the summary, and the mean along the longest chromosomes as a sparkline. Of many blocks, 1,000 "
        "spread over the file tell the types.",
        epilog="example: bigwig-numba info track.bw",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a path or URL")
    parser.add_argument(
        "--chromosomes", type=positive_integer, default=3, metavar="N", help="sparklines of the N longest (default: 3)"
    )
    add_storage_options(parser)
    add_json(parser)
    parser.set_defaults(run=_info)


def _info(options: argparse.Namespace) -> None:
    found = []
    for number, path in enumerate(options.files):
        with BigWig(path, storage_options=storage_options(options)) as bigwig:
            profiles = _profiles(bigwig, options.chromosomes)
            if options.json:
                found.append(_facts(bigwig, profiles))
            else:
                print("\n" * (number > 0), end="")
                print_fields(_report(bigwig, profiles))
    if options.json:
        print_json(found)


def _profiles(bigwig: BigWig, n_chromosomes: int) -> dict[str, npt.NDArray[np.float64]]:
    """Means along the longest chromosomes, from a zoom level where there is one; nothing where that is damaged."""
    if not bigwig.zoom_levels and bigwig.n_blocks > MOST_BLOCKS_WITHOUT_ZOOMS:
        return {}
    longest = sorted(bigwig.chroms.items(), key=lambda item: item[1], reverse=True)[:n_chromosomes]
    try:
        return {
            name: bigwig.stats(name, 0, length, n_bins=min(PROFILE_BINS, length), exact=False)
            for name, length in longest
            if length
        }
    except FormatError as error:  # the rest is worth printing
        print(f"bigwig-numba info: warning: no sparklines: {error}", file=sys.stderr)
        return {}


def _facts(bigwig: BigWig, profiles: dict[str, npt.NDArray[np.float64]]) -> dict[str, Any]:
    summary = bigwig.summary
    return {
        "path": bigwig.path,
        "bytes": bigwig.size,
        "header": dataclasses.asdict(bigwig.header),
        "chromosomes": bigwig.chroms,
        "blocks": bigwig.n_blocks,
        "section_types": bigwig.section_types(),
        "zoom_levels": bigwig.zoom_levels,
        "summary": summary and {**dataclasses.asdict(summary), "mean": summary.mean, "std": summary.std},
        "profiles": profiles,
    }


def _report(bigwig: BigWig, profiles: dict[str, npt.NDArray[np.float64]]) -> dict[str, str]:
    header, chroms = bigwig.header, bigwig.chroms
    order = "big-endian" if header.big_endian else "little-endian"
    packed = f"zlib, at most {size_text(header.uncompress_buffer_size)} inflated" if header.compressed else "plain"
    types = bigwig.section_types()
    shares = ", ".join(
        name if len(types) == 1 else f"{number / sum(types.values()):.0%} {name}" for name, number in types.items()
    )
    fields = {
        "file": bigwig.path,
        "size": size_text(bigwig.size),
        "format": f"bigWig version {header.version}, {order}",
        "chromosomes": f"{len(chroms):,}, {sum(chroms.values()):,} bases",
        "blocks": f"{count_text(bigwig.n_blocks, 'block')}, {packed}" + (f"; {shares}" if shares else ""),
        "zooms": ", ".join(f"1:{level:,}" for level in bigwig.zoom_levels) or "none",
    }
    if bigwig.summary is None:
        fields["summary"] = "none"
    else:
        summary, total = bigwig.summary, sum(chroms.values())
        share = summary.bases_covered / total if total else 0.0
        fields["covered"] = f"{count_text(summary.bases_covered, 'base')} ({share:.1%})"
        fields["values"] = (
            f"{number_text(np.float32(summary.min))} to {number_text(np.float32(summary.max))}, "
            f"mean {summary.mean:.4g}, std {summary.std:.4g}"
        )
    for name, means in profiles.items():
        highest = np.nanmax(means) if np.isfinite(means).any() else 0.0
        fields[name] = f"{sparkline(means)} {chroms[name]:,} bases, highest mean {highest:.4g}"
    return fields
