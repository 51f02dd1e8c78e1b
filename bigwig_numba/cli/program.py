"""The program ``bigwig-numba``: commands to functions, errors to exit statuses.

Results go to standard output, progress and errors to standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from ..errors import BigWigError
from ..version import __version__
from .bench import add_bench
from .demo import add_demo

__all__ = ["main"]

EXIT_FAILURE = 1  # argparse uses 2 for usage
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments
        Words after the program's name; by default those of this process.

    Returns
    -------
    int
        Exit status: 0, 1 for an error (one line on standard error), 130 if interrupted. Wrong usage exits with 2.

    Examples
    --------
    >>> main(["demo", "--bigwigs", "there/is/no/such.bw"])
    1
    """
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], None] = options.run
    try:
        run(options)
        sys.stdout.flush()
    except (BigWigError, OSError) as error:
        print(f"bigwig-numba {options.command}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_FAILURE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


COMMANDS = (add_demo, add_bench)
"""Each adds a command and says what runs it (``set_defaults(run=...)``), in the order that ``--help`` shows."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bigwig-numba", description="BigWig files to arrays, on CPU and GPU.")
    parser.add_argument("--version", action="version", version=f"bigwig-numba {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add_command in COMMANDS:
        add_command(commands)
    return parser
