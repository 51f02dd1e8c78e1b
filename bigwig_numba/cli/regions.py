"""``bigwig-numba regions``: BED files to BED files, one subcommand per operation."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from .. import regions
from ..bigwig import BigWig
from ..collection import BigWigCollection
from ..errors import ConfigError, FormatError
from ..storage import open_source
from .arguments import Commands, positive_integer

Operation = Callable[[argparse.Namespace], pd.DataFrame | None]

EPILOG = """\
Regions are read from BED3 to BED12, narrowPeak, broadPeak and BigBed, gzipped or not, local or remote; - is standard
input. The result goes to standard output, or to --output, as BED (intervals as bedGraph), as far as columns are there.

examples:
  bigwig-numba regions merge peaks.narrowPeak --max-gap 100
  bigwig-numba regions resize peaks.narrowPeak 2048 --around summit | bigwig-numba regions subtract - blacklist.bed.gz
  bigwig-numba regions intervals tracks/*.bw --threshold 5 --merge --padding 200 > active.bedGraph
  bigwig-numba regions negatives peaks.narrowPeak genome.fa --ratio 2 --blacklist blacklist.bed.gz > negatives.bed
  bigwig-numba regions split peaks.bed --validation chr8 --test chr9 chr10 --prefix atac
"""


def add_regions(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "regions",
        help="merge, cut, resize, tile and split BED files; find active regions; draw negatives",
        description="Work on regions of the genome, from BED to BED.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    operations = parser.add_subparsers(dest="operation", metavar="OPERATION", required=True)
    for add in (_add_set_operations, _add_shapes, _add_chromosomes, _add_signal, _add_negatives):
        add(operations)


def _add(operations: Any, name: str, run: Operation, text: str) -> argparse.ArgumentParser:
    """A subcommand that reads regions."""
    parser: argparse.ArgumentParser = operations.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", formatter_class=_Formatter
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="file to write instead of standard output")
    parser.set_defaults(run=lambda options: _write(run(options), options.output))
    return parser


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults, but not that of what is off or left out."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False) else super()._get_help_string(action)


def _add_file(parser: argparse.ArgumentParser, name: str = "file", text: str = "regions: a path, a URL, or -") -> None:
    parser.add_argument(name, metavar=name.upper(), help=text)
    if name == "file":
        parser.add_argument(
            "--columns", type=positive_integer, metavar="N",
            help="read only so many columns, where later ones are not BED's",
        )  # fmt: skip


def _add_sizes(parser: argparse.ArgumentParser, *, required: bool, text: str) -> None:
    parser.add_argument(
        "--sizes", required=required, metavar="FILE", help=f"{text}: chrom.sizes, a FASTA's .fai, or a BigWig file"
    )


def _add_set_operations(operations: Any) -> None:
    merge = _add(
        operations, "merge", lambda options: regions.merge(_read(options), max_gap=options.max_gap),
        "join regions that overlap, touch or lie close together",
    )  # fmt: skip
    _add_file(merge)
    merge.add_argument("--max-gap", type=int, default=0, metavar="N", help="bases that may lie between them")
    subtract = _add(
        operations, "subtract",
        lambda options: regions.subtract(
            _read(options), _read_bed(options.other), buffer=options.buffer, whole_rows=options.whole_rows
        ),
        "cut out what lies in other regions",
    )  # fmt: skip
    subtract.add_argument("--buffer", type=int, default=0, metavar="N", help="bases around them that go too")
    intersect = _add(
        operations, "intersect",
        lambda options: regions.intersect(_read(options), _read_bed(options.other), whole_rows=options.whole_rows),
        "keep what lies in other regions",
    )  # fmt: skip
    for parser in (subtract, intersect):
        _add_file(parser)
        _add_file(parser, "other", "the other regions")
        parser.add_argument(
            "--whole-rows", action="store_true", help="keep or leave out whole regions instead of cutting them"
        )


def _add_shapes(operations: Any) -> None:
    pad = _add(
        operations, "pad",
        lambda options: regions.pad(_read(options), options.bases, chrom_sizes=_read_sizes(options.sizes)),
        "add bases on both sides",
    )  # fmt: skip
    _add_file(pad)
    pad.add_argument("bases", type=int, metavar="BASES")
    _add_sizes(pad, required=False, text="clip to these chromosomes")
    resize = _add(
        operations, "resize",
        lambda options: regions.resize(_read(options), options.width, around=options.around),
        "give all regions one width",
    )  # fmt: skip
    _add_file(resize)
    resize.add_argument("width", type=positive_integer, metavar="WIDTH")
    resize.add_argument("--around", choices=("centre", "summit"), default="centre", help="what stays in the middle")
    clip = _add(
        operations, "clip",
        lambda options: regions.clip_to_chromosomes(
            _read(options), _read_sizes(options.sizes) or {}, whole_rows=options.whole_rows
        ),
        "cut off what hangs over the ends of chromosomes",
    )  # fmt: skip
    _add_file(clip)
    _add_sizes(clip, required=True, text="the chromosomes")
    clip.add_argument("--whole-rows", action="store_true", help="leave out such regions instead")
    tile = _add(operations, "tile", _tile, "lay windows of one width over regions, or over whole chromosomes")
    tile.add_argument("width", type=positive_integer, metavar="WIDTH")
    over = tile.add_mutually_exclusive_group(required=True)
    over.add_argument("--file", metavar="FILE", help="regions: a path, a URL, or -")
    over.add_argument("--sizes", metavar="FILE", help="chrom.sizes, a FASTA's .fai, or a BigWig file")
    tile.add_argument("--step", type=positive_integer, metavar="N", help="bases from one window to the next")
    tile.add_argument(
        "--last", choices=("drop", "cut", "shift"), default="drop", help="what becomes of bases that are left over"
    )


def _add_chromosomes(operations: Any) -> None:
    standard = _add(
        operations, "standard", lambda options: regions.standard_chromosomes(_read(options)),
        "leave out contigs, haplotypes and decoys",
    )  # fmt: skip
    _add_file(standard)
    split = _add(operations, "split", _split, "write PREFIX.train.bed, .validation.bed and .test.bed by chromosome")
    _add_file(split)
    split.add_argument("--validation", nargs="+", required=True, metavar="CHROM", help="chromosomes")
    split.add_argument("--test", nargs="+", required=True, metavar="CHROM", help="chromosomes")
    split.add_argument("--train", nargs="+", metavar="CHROM", help="chromosomes; all others by default")
    split.add_argument("--prefix", default="regions", help="of the files")


def _add_signal(operations: Any) -> None:
    intervals = _add(
        operations, "intervals", _intervals, "find the intervals of tracks with a value above a threshold, as bedGraph"
    )
    intervals.add_argument("tracks", nargs="+", metavar="BIGWIG", help="files, folders or globs")
    intervals.add_argument(
        "--threshold", type=lambda text: None if text == "none" else float(text), default=0.0, metavar="X",
        help="values must be larger; none keeps all",
    )  # fmt: skip
    intervals.add_argument("--merge", action="store_true", help="join neighbours; the largest value counts")
    intervals.add_argument("--merge-allow-gap", type=int, default=0, metavar="N", help="bases that merging bridges")
    intervals.add_argument("--padding", type=int, default=0, metavar="N", help="bases to add on both sides")
    intervals.add_argument("--include", nargs="+", metavar="CHROM", help="chromosomes, or the word standard")
    intervals.add_argument("--exclude", nargs="+", metavar="CHROM", help="chromosomes")
    intervals.add_argument("--blacklist", metavar="FILE", help="regions to leave out")
    intervals.add_argument("--blacklist-buffer", type=int, default=0, metavar="N", help="bases around them")
    keep = _add(operations, "filter", _filter, "keep regions by the signal that tracks have in them")
    _add_file(keep)
    keep.add_argument("tracks", nargs="+", metavar="BIGWIG", help="files, folders or globs")
    keep.add_argument("--minimum", type=float, default=float("-inf"), metavar="X", help="of the sum over the bases")
    keep.add_argument("--maximum", type=float, default=float("inf"), metavar="X")
    keep.add_argument("--over-tracks", choices=("sum", "mean", "min", "max"), default="sum")
    for parser in (intervals, keep):
        parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")


def _add_negatives(operations: Any) -> None:
    parser = _add(
        operations, "negatives", _negatives, "draw regions that are no peaks, of the same lengths and GC content"
    )
    _add_file(parser)
    parser.add_argument("genome", metavar="FASTA")
    parser.add_argument("--ratio", type=float, default=1.0, metavar="X", help="negatives per peak")
    parser.add_argument("--blacklist", metavar="FILE", help="regions that they keep clear of")
    parser.add_argument("--buffer", type=int, default=0, metavar="N", help="bases around peaks and blacklist")
    parser.add_argument("--gc-bins", type=positive_integer, default=20, metavar="N", help="of GC content that match")
    parser.add_argument("--no-gc", action="store_true", help="don't match GC content")
    parser.add_argument("--max-unknown", type=float, default=0.0, metavar="X", help="share of unknown bases allowed")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--allow-fewer", action="store_true", help="no error if there is no place for some")


def _tile(options: argparse.Namespace) -> pd.DataFrame:
    over = _read_bed(options.file) if options.file else _read_sizes(options.sizes) or {}
    return regions.tile(over, options.width, step=options.step, last=options.last)


def _split(options: argparse.Namespace) -> None:
    parts = regions.split_by_chromosome(
        _read(options), validation=options.validation, test=options.test, train=options.train
    )
    for name in ("train", "validation", "test"):
        path = f"{options.prefix}.{name}.bed"
        regions.write_bed(getattr(parts, name), path)
        print(f"{len(getattr(parts, name)):>10,} regions in {path}", file=sys.stderr)


def _intervals(options: argparse.Namespace) -> pd.DataFrame:
    include: Any = options.include or "all"
    with BigWigCollection(options.tracks, device=options.device) as tracks:
        return tracks.intervals(
            include_chromosomes="standard" if include == ["standard"] else include,
            exclude_chromosomes=options.exclude,
            blacklist=_read_bed(options.blacklist) if options.blacklist else None,
            blacklist_buffer=options.blacklist_buffer,
            padding=options.padding,
            merge=options.merge,
            threshold=options.threshold,
            merge_allow_gap=options.merge_allow_gap,
        )


def _filter(options: argparse.Namespace) -> pd.DataFrame:
    with BigWigCollection(options.tracks, device=options.device) as tracks:
        return regions.filter_by_signal(
            _read(options), tracks, minimum=options.minimum, maximum=options.maximum, over_tracks=options.over_tracks
        )


def _negatives(options: argparse.Namespace) -> pd.DataFrame:
    peaks = _read(options)
    drawn = regions.sample_negatives(
        peaks,
        options.genome,
        ratio=options.ratio,
        blacklist=_read_bed(options.blacklist) if options.blacklist else None,
        buffer=options.buffer,
        gc_bins=None if options.no_gc else options.gc_bins,
        max_unknown=options.max_unknown,
        seed=options.seed,
        allow_fewer=options.allow_fewer,
    )
    names = peaks["name"].tolist() if "name" in peaks else [f"peak_{number}" for number in range(1, len(peaks) + 1)]
    return drawn.assign(name=[names[row] for row in drawn["peak"]])


def _read(options: argparse.Namespace) -> pd.DataFrame:
    return _read_bed(options.file, n_columns=options.columns)


def _read_bed(path: str, *, n_columns: int | None = None) -> pd.DataFrame:
    if path != "-":
        return regions.read_bed(path, n_columns=n_columns)
    return regions.read_bed(io.BytesIO(sys.stdin.buffer.read()), n_columns=n_columns)


def _read_sizes(path: str | None) -> dict[str, int] | None:
    """Chromosomes and lengths of a BigWig file, or of the first two columns of a text."""
    if path is None:
        return None
    if path.lower().endswith((".bw", ".bigwig")):
        with BigWig(path) as bigwig:
            return bigwig.chroms
    if path.lower().endswith((".fa", ".fasta", ".fa.gz", ".fasta.gz")):
        message = f"--sizes is {path}, a FASTA; give its index, {path}.fai (samtools faidx makes it)"
        raise ConfigError(message, argument="sizes", value=path)
    source = open_source(path)
    try:
        lines = source.read(0, source.size).decode(errors="replace").splitlines()
    finally:
        source.close()
    sizes = {}
    for number, line in enumerate(lines, start=1):
        fields = line.split("\t") if "\t" in line else line.split()
        if len(fields) >= 2 and fields[1].isdigit():
            sizes[fields[0]] = int(fields[1])
        elif line.strip() and not line.startswith("#"):
            raise FormatError(f"{path}, line {number}: expected a name and a length, found {line[:80]!r}", url=path)
    return sizes


def _write(frame: pd.DataFrame | None, output: str | None) -> None:
    if frame is not None:
        regions.write_bed(frame, Path(output) if output else sys.stdout)
