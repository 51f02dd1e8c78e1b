"""The exception tree: one base class, one class per kind of trouble, each with the facts as attributes.

::

    BigWigError
    ├ FormatError(ValueError)          the bytes are not what the format says
    │   └ BlockDecodeError             one block cannot be decoded
    ├ StorageError(OSError)            bytes cannot be had
    │   └ StaleFileError               a remote file is not the one that was opened
    ├ ChromNotFoundError(KeyError)     no chromosome of that name
    ├ WindowError(ValueError)          rows of a query that make no sense
    ├ ConfigError(ValueError)          an argument that makes no sense
    ├ WorkerError(RuntimeError)        a failure in the background
    └ DeviceError(RuntimeError)        no GPU, or not enough of it

``FileNotFoundError`` and ``PermissionError`` are not wrapped: they already say what is wrong.
All of them can be pickled, because they travel between processes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = [
    "BigWigError",
    "BlockDecodeError",
    "ChromNotFoundError",
    "ConfigError",
    "DeviceError",
    "FormatError",
    "StaleFileError",
    "StorageError",
    "WindowError",
    "WorkerError",
]

MAX_NAMES_COMPARED = 10_000  # comparing spelling is slow; an assembly of a million contigs must not stall an error
MAX_NAMES_SHOWN = 5
MITOCHONDRIAL_NAMES = ("chrM", "M", "MT", "chrMT")


def _rebuild(error_class: type[BigWigError], args: tuple[Any, ...], facts: dict[str, Any]) -> BigWigError:
    """Make an unpickled error without going through its keyword-only constructor."""
    error: BigWigError = error_class.__new__(error_class, *args)
    error.args = args
    error.__dict__.update(facts)
    return error


class BigWigError(Exception):
    """Base class of every error that bigwig_numba raises on purpose.

    Parameters
    ----------
    message
        What happened, in a sentence that names the file, the place and what to do.

    Examples
    --------
    >>> from bigwig_numba.regions import tile
    >>> try:
    ...     tile({"chr1": 100}, 0)
    ... except BigWigError as error:
    ...     print(type(error).__name__, "-", error)
    ConfigError - width is 0, expected a whole number from 1 to 68719476736
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


class FormatError(BigWigError, ValueError):
    """A file is not a bigWig, or is damaged.

    Parameters
    ----------
    message
        What was expected where, and what was there.
    url
        Display name of the file, without credentials.
    offset
        Byte of the file where the trouble is, if it has one place.

    Examples
    --------
    >>> import io
    >>> import bigwig_numba
    >>> try:
    ...     bigwig_numba.open(io.BytesIO(b"<html>".ljust(64)))
    ... except FormatError as error:
    ...     print(error.url, error.offset)
    <BytesIO> 0
    """

    def __init__(self, message: str, *, url: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.url = url
        self.offset = offset


class BlockDecodeError(FormatError):
    """One block of a file cannot be inflated or its section makes no sense.

    Parameters
    ----------
    message
        What is wrong with the block.
    url
        Display name of the file, without credentials.
    block
        Number of the block in the batch or in the file's index.
    offset
        First byte of the block in the file.
    size
        Bytes of the block in the file.
    status
        The kernel's status of the block (0 is good).

    Examples
    --------
    >>> from bigwig_numba.kernels.statuses import BlockStatus
    >>> error = BlockDecodeError("a.bw is damaged", url="a.bw", block=4, offset=18_135, size=4_444, status=13)
    >>> print(BlockStatus(error.status).words)
    its Adler-32 checksum is wrong
    """

    def __init__(self, message: str, *, url: str, block: int, offset: int, size: int, status: int) -> None:
        super().__init__(message, url=url, offset=offset)
        self.block = block
        self.size = size
        self.status = status


class StorageError(BigWigError, OSError):
    """Bytes of a file cannot be read.

    Parameters
    ----------
    message
        What failed, and after how many tries.
    url
        Display name of the file, without credentials.
    ranges
        The byte ranges ``(offset, size)`` that failed, if the trouble is with ranges.

    Examples
    --------
    >>> error = StorageError("a.bw cannot be read after 5 tries", url="a.bw", ranges=[(0, 64)])
    >>> error.url, error.ranges
    ('a.bw', ((0, 64),))
    """

    def __init__(self, message: str, *, url: str, ranges: Iterable[tuple[int, int]] = ()) -> None:
        super().__init__(message)
        self.url = url
        self.ranges = tuple(ranges)


class StaleFileError(StorageError):
    """A remote file changed while it was open. What was read before is of the old version; open it again."""


class ChromNotFoundError(BigWigError, KeyError):
    """A chromosome name that a file, or a collection, does not have.

    Parameters
    ----------
    message
        The name, where it was looked for, and names near it.
    name
        The name that was asked for.
    near_misses
        Names that exist and look alike, likeliest first.
    url
        Display name of the file, without credentials, or of the collection.

    Examples
    --------
    >>> from bigwig_numba.regions import clip_to_chromosomes
    >>> import pandas as pd
    >>> try:
    ...     clip_to_chromosomes(pd.DataFrame({"chrom": ["1"], "start": [0], "end": [10]}), {"chr1": 100})
    ... except ChromNotFoundError as error:
    ...     print(error.name, error.near_misses)
    1 ('chr1',)
    """

    def __init__(self, message: str, *, name: str, near_misses: Sequence[str] = (), url: str = "") -> None:
        super().__init__(message)
        self.name = name
        self.near_misses = tuple(near_misses)
        self.url = url

    @classmethod
    def for_name(cls, name: str, known: Iterable[str], *, url: str) -> ChromNotFoundError:
        """Build the error for a name, with the names that were probably meant.

        Parameters
        ----------
        name
            The name that was asked for.
        known
            The names that exist.
        url
            Display name of the file or of the collection.

        Examples
        --------
        >>> print(ChromNotFoundError.for_name("1", ["chr1", "chr2"], url="a.bw"))
        a.bw has no chromosome '1'; did you mean 'chr1'? (2 chromosomes: chr1, chr2)
        """
        names = list(known)
        near_misses = _near_misses(name, names)
        meant = f"; did you mean {' or '.join(repr(near) for near in near_misses)}?" if near_misses else ""
        shown = ", ".join(names[:MAX_NAMES_SHOWN]) + (", ..." if len(names) > MAX_NAMES_SHOWN else "")
        there = f" ({len(names)} chromosome{'s' if len(names) != 1 else ''}: {shown})" if names else " (it has none)"
        return cls(f"{url} has no chromosome {name!r}{meant}{there}", name=name, near_misses=near_misses, url=url)


class WindowError(BigWigError, ValueError):
    """Windows of a query that make no sense.

    Parameters
    ----------
    message
        Which rows and why.
    rows
        Row numbers of the offending windows in the query.

    Examples
    --------
    >>> from bigwig_numba.regions import merge
    >>> import pandas as pd
    >>> try:
    ...     merge(pd.DataFrame({"chrom": ["chr1", "chr1"], "start": [0, 30], "end": [10, 20]}))
    ... except WindowError as error:
    ...     print(error, error.rows)
    1 regions of frame end before they start (row 1: chr1, 30, 20) (1,)
    """

    def __init__(self, message: str, *, rows: Iterable[int]) -> None:
        super().__init__(message)
        self.rows = tuple(rows)


class ConfigError(BigWigError, ValueError):
    """An argument with a value that is not allowed.

    Parameters
    ----------
    message
        The argument, its value and what is allowed.
    argument
        Name of the argument.
    value
        What was given.

    Examples
    --------
    >>> from bigwig_numba.regions import tile
    >>> try:
    ...     tile({"chr1": 100}, 10, last="keep")
    ... except ConfigError as error:
    ...     print(error, "-", error.argument, error.value)
    last is 'keep', expected 'drop', 'cut' or 'shift' - last keep
    """

    def __init__(self, message: str, *, argument: str, value: object) -> None:
        super().__init__(message)
        self.argument = argument
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        # The value may be anything the user passed, also what cannot be pickled; its repr always can.
        return _rebuild, (type(self), self.args, {**self.__dict__, "value": repr(self.value)})


class WorkerError(BigWigError, RuntimeError):
    """A failure in the background, raised at the batch where it belongs; its cause is the original error.

    Parameters
    ----------
    message
        What was being done.
    batch
        Number of the batch, counted from 0.
    """

    def __init__(self, message: str, *, batch: int | None = None) -> None:
        super().__init__(message)
        self.batch = batch


class DeviceError(BigWigError, RuntimeError):
    """No usable GPU, or out of its memory; the message says what to do."""


def _near_misses(name: str, known: Sequence[str]) -> list[str]:
    """Names that were probably meant: the other naming style first, then other case, then like spelling."""
    there = set(known)
    bare = name[3:] if name.lower().startswith("chr") else name
    candidates = [bare, f"chr{bare}"]
    if name in MITOCHONDRIAL_NAMES:
        candidates.extend(MITOCHONDRIAL_NAMES)
    found = [candidate for candidate in candidates if candidate in there and candidate != name]
    folded = {candidate.casefold() for candidate in (name, *candidates)}
    found += [other for other in known if other.casefold() in folded]
    if not found:
        found = difflib.get_close_matches(name, known[:MAX_NAMES_COMPARED], n=3, cutoff=0.7)
    return list(dict.fromkeys(found))[:3]
