"""What the commands' arguments share: types, and options that several commands have."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ChromNotFoundError, WindowError
from ..kernels.statistics import builtin_statistics

Commands = argparse._SubParsersAction  # what ``add_subparsers`` gives; argparse has no public name for it

RANGES = (
    "Ranges are CHROM:START-END, 0-based and without END, as in BED; with --one-based they are as genome browsers "
    "show them. Commas are fine; CHROM alone is all of it."
)
_RANGE = re.compile(r"(?P<chromosome>.+):(?P<start>[\d,_]+)(?:-|\N{EN DASH}|\.\.)(?P<end>[\d,_]+)")


@dataclass(frozen=True, slots=True)
class Range:
    """Bases [start, end) of a chromosome, 0-based; of all of it if both are None."""

    chromosome: str
    start: int | None = None
    end: int | None = None

    def on(self, sizes: Mapping[str, int], *, url: str, one_based: bool = False) -> tuple[str, int, int]:
        """Chromosome, start and end among chromosomes of these sizes; an error where there is no such place."""
        length = sizes.get(self.chromosome)
        if length is None:
            raise ChromNotFoundError.for_name(self.chromosome, sizes, url=url)
        if self.start is None or self.end is None:
            return self.chromosome, 0, length
        start = self.start - one_based
        if not 0 <= start < self.end:
            raise WindowError(f"{self}: the range has no bases; END must be above START", rows=(0,))
        if start >= length:
            raise WindowError(f"{self}: the range begins past the chromosome's end at {length:,}", rows=(0,))
        return self.chromosome, start, self.end

    def __str__(self) -> str:
        return range_text(self.chromosome, self.start, self.end)


def range_text(chromosome: str, start: int | None = None, end: int | None = None) -> str:
    """``chr1:305,000-306,000``, or the chromosome alone."""
    return chromosome if start is None else f"{chromosome}:{start:,}-{end:,}"


def parse_range(text: str) -> Range:
    """A range as people write it; ``chr1:305,000-306,000``, ``chr1:305000..306000`` and ``chr1`` are fine."""
    text = text.strip()
    match = _RANGE.fullmatch(text)
    if match:
        start, end = (_whole_number(match[name]) for name in ("start", "end"))
        if start is not None and end is not None:
            return Range(match["chromosome"], start, end)
    elif text and not re.search(r":[-.,_\d]*$|\s", text):
        return Range(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no range; write CHROM:START-END, for instance chr1:305,000-306,000")


def positive_integer(text: str) -> int:
    """A whole number of at least 1; ``1,000`` and ``1_000`` are fine."""
    number = _whole_number(text)
    if number is None or number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return number


def _whole_number(text: str) -> int | None:
    try:
        return int(text.replace(",", "").replace("_", ""))
    except ValueError:
        return None


def _storage_option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def add_storage_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--storage-option``, which may be given several times."""
    parser.add_argument(
        "--storage-option", action="append", type=_storage_option, default=[], dest="storage_options",
        metavar="NAME=VALUE",
        help="an option for fsspec where files are remote, for instance anon=true for public buckets; may be repeated",
    )  # fmt: skip


def add_one_based(parser: argparse.ArgumentParser) -> None:
    """Add ``--one-based``."""
    parser.add_argument(
        "--one-based", action="store_true", help="ranges count from 1 and include END, as in genome browsers"
    )


def add_statistic(parser: argparse.ArgumentParser) -> None:
    """Add ``--statistic``, one of the library's own."""
    names = tuple(builtin_statistics())
    parser.add_argument(
        "--statistic", choices=names, default="mean", metavar="NAME",
        help=f"of a bin: {', '.join(names)} (default: mean)",
    )  # fmt: skip


def storage_options(options: argparse.Namespace) -> dict[str, Any] | None:
    """What ``--storage-option`` gave, as readers take it."""
    return dict(options.storage_options) or None
