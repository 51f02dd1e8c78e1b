"""The program ``bigwig-numba``: commands to functions, errors to exit statuses.

Results go to standard output, progress and errors to standard error. A command's function returns its exit status, or
None for 0.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from ..errors import BigWigError
from ..version import __version__
from .batch import add_batch
from .bench import add_bench
from .cache import add_cache
from .check import add_check
from .demo import add_demo
from .info import add_info
from .plot import add_plot
from .regions import add_regions
from .stats import add_stats
from .validate import add_validate
from .values import add_values

__all__ = ["main"]

EXIT_FAILURE = 1  # argparse uses 2 for usage
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE: who reads the output has enough

EPILOG = """\
exit status:
  0    done; validate: no file has errors
  1    an error, told in one line on standard error; validate: a file has errors
  2    wrong usage
  130  interrupted

bigwig-numba COMMAND --help says more. Results go to standard output, as JSON with --json; progress bars are shown on a
terminal only. Files may be local, s3://, https:// or anything else that fsspec opens.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments
        Words after the program's name; by default those of this process.

    Returns
    -------
    int
        Exit status: 0; 1 for an error (one line on standard error) and for files that ``validate`` finds damaged; 130
        if interrupted, 141 if nobody reads the output any more. Wrong usage exits with 2.

    Examples
    --------
    >>> main(["demo", "--bigwigs", "there/is/no/such.bw"])
    1
    """
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int | None] = options.run
    try:
        status = run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at its end
        return EXIT_BROKEN_PIPE
    except (BigWigError, OSError) as error:
        print(f"bigwig-numba {options.command}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_FAILURE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    return status or 0


COMMANDS = (
    add_demo,
    add_info,
    add_values,
    add_stats,
    add_batch,
    add_plot,
    add_validate,
    add_regions,
    add_check,
    add_cache,
    add_bench,
)
"""Each adds a command and says what runs it (``set_defaults(run=...)``), in the order that ``--help`` shows."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bigwig-numba",
        description="BigWig files to arrays, on CPU and GPU.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"bigwig-numba {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add_command in COMMANDS:
        add_command(commands)
    return parser
