"""``bigwig-numba validate``."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import Any

from tqdm.auto import tqdm

from ..validation import ValidationReport, validate
from .arguments import Commands, add_json, add_storage_options, storage_options
from .output import count_text, print_json

MOST_FINDINGS = 20  # shown of a file, if not all are asked for


def add_validate(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "validate",
        help="read every block of files, and say what is wrong where",
        description="Read every block of BigWig files: whether it inflates and its checksum is right, its items are in "
        "order, on chromosomes that there are, and where the index says; read the zoom levels; compare the summary "
        "with the values. Errors mean lost or wrong values, warnings that the file reads but is odd. The exit status "
        "is 0 if all files could be read and none has errors, else 1.",
        epilog="example: bigwig-numba validate tracks/*.bw",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a path or URL")
    parser.add_argument(
        "--all", action="store_true", help=f"print all findings of a file; by default the first {MOST_FINDINGS}"
    )
    add_storage_options(parser)
    add_json(parser)
    parser.set_defaults(run=_validate)


def _validate(options: argparse.Namespace) -> int:
    found: list[dict[str, Any]] = []
    for path in options.files:
        try:
            report = _validate_one(path, storage_options(options))
        except OSError as error:  # the other files are looked at all the same
            print(f"bigwig-numba validate: error: {path} cannot be read: {error}", file=sys.stderr)
            found.append({"url": path, "is_valid": False, "error": str(error)})
            continue
        found.append({**dataclasses.asdict(report), "is_valid": report.is_valid})
        if not options.json:
            print(_text(report, None if options.all else MOST_FINDINGS), flush=True)
    if options.json:
        print_json(found)
    return int(not all(report["is_valid"] for report in found))


def _validate_one(path: str, options: dict[str, Any] | None) -> ValidationReport:
    with tqdm(desc=path, unit="block", disable=None, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return validate(path, storage_options=options, progress=show)


def _text(report: ValidationReport, most: int | None) -> str:
    n_errors, n_warnings = len(report.errors), len(report.findings) - len(report.errors)
    verdict = "valid" if report.is_valid else "NOT VALID"
    counts = [count_text(report.n_blocks, "block"), count_text(report.n_items, "item")]
    counts += [count_text(number, noun) for number, noun in ((n_errors, "error"), (n_warnings, "warning")) if number]
    lines = [f"{report.url}: {verdict}: {', '.join(counts)}"]
    lines += [f"  {finding}" for finding in report.findings[:most]]
    if most is not None and len(report.findings) > most:
        lines.append(f"  and {len(report.findings) - most:,} more; --all shows them")
    return "\n".join(lines)
