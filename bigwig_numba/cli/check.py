"""``bigwig-numba check``."""

from __future__ import annotations

import argparse
import re

from ..checking import check
from .arguments import Commands, add_json
from .output import print_json

EXIT_WRONG = 1


def add_check(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "check",
        help="compare functions of your own with plain Python, and see what the compilers made of them",
        description="Compare a statistic, a sequence encoder or a transform with itself in plain Python, on made input "
        "of all kinds and on files of yours; say what it takes on a GPU (registers, spills, 64-bit instructions; no "
        "GPU is needed for that), and where there is a GPU, how fast it is beside the built-in mean, one-hot or scale. "
        "The exit status is 1 if numbers are wrong.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "own", metavar="NAME",
        help="module:name or file.py:name of a Statistic, a list of them, a SequenceEncoder, a transform or a function "
        "of (value) or (value, track); or the name of a built-in statistic",
    )  # fmt: skip
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="BigWig files to compare on, too; for an encoder, FASTA files"
    )
    parser.add_argument(
        "--capability", type=_capability, metavar="X.Y",
        help="compute capability to compile for; by default that of the GPU that is there, else 9.0",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what is made and drawn")
    add_json(parser)
    parser.set_defaults(run=_check)


def _capability(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,2})\.(\d)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a compute capability like 9.0")
    return int(found[1]), int(found[2])


def _check(options: argparse.Namespace) -> int:
    result = check(options.own, options.files, capability=options.capability, seed=options.seed)
    if options.json:
        print_json(result.as_dict())
    else:
        print(result)
    return 0 if result.ok else EXIT_WRONG
