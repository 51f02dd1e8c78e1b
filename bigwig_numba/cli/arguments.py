"""What the commands' arguments share: types."""

from __future__ import annotations

import argparse

Commands = argparse._SubParsersAction  # what ``add_subparsers`` gives; argparse has no public name for it


def positive_integer(text: str) -> int:
    """A whole number of at least 1; ``1,000`` and ``1_000`` are fine."""
    try:
        number = int(text.replace(",", "").replace("_", ""))
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return number
