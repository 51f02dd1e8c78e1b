"""What to do when a read fails: try again where that may help, then one error that says why, without secrets."""

from __future__ import annotations

import errno
import logging
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from .errors import BigWigError, StorageError

__all__ = [
    "PASSING_CODES",
    "HttpStatusError",
    "RefusedError",
    "RetryPolicy",
    "WrongLengthError",
    "display_url",
    "may_pass",
    "retried",
    "retried_many",
]

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

# What S3 answers with a status that says otherwise.
PASSING_CODES = frozenset(("SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "InternalError"))


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to try again when a read fails for a reason that may pass.

    Parameters
    ----------
    tries
        Attempts in all. Four ride out the short refusals that object stores answer under load.
    first_wait
        Seconds before the second attempt.
    factor
        By which each wait is longer than the one before.
    jitter
        Part of a wait that is left to chance, so that many processes do not come back at the same moment.
    wait
        What to wait with; tests replace it.
    """

    tries: int = 4
    first_wait: float = 0.25
    factor: float = 4.0
    jitter: float = 0.5
    wait: Callable[[float], None] = time.sleep

    def waits(self) -> Iterator[float | None]:
        """Seconds to wait after each attempt that fails; None after the last."""
        for attempt in range(self.tries - 1):
            yield self.first_wait * self.factor**attempt * (1 - self.jitter * random.random())
        yield None


def display_url(path: str) -> str:
    """A path or URL as it may be shown: without user, password and query string (where signatures are).

    Examples
    --------
    >>> display_url("https://me:secret@example.org/a.bw?X-Amz-Signature=abc")
    'https://example.org/a.bw'
    >>> display_url("simplecache::s3://bucket/a.bw")
    'simplecache::s3://bucket/a.bw'
    """
    return "::".join(_without_secrets(link) if "://" in link else link for link in path.split("::"))


def _without_secrets(url: str) -> str:
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}".partition("?")[0]


class WrongLengthError(Exception):
    """An answer that is shorter or longer than asked for; a connection that broke looks like this."""


class HttpStatusError(Exception):
    """An answer with a status that says no.

    Parameters
    ----------
    status
        The number, as in HTTP.
    code
        The server's word for it, as S3 sends one.
    """

    def __init__(self, status: int, code: str = "") -> None:
        super().__init__(f"the server answered {status}{f' ({code})' if code else ''}")
        self.status = status
        self.code = code


class RefusedError(Exception):
    """Something that will be the same next time."""


def retried(action: Callable[[], Result], path: str, *, policy: RetryPolicy, doing: str) -> Result:
    """Run ``action``; try again while its failures may pass, then raise what says best why it failed.

    Parameters
    ----------
    action
        What to do.
    path
        The path or URL as the user gave it, for errors; secrets in it are not shown.
    policy
        How often to try.
    doing
        What ``action`` does, as in "cannot read".

    Raises
    ------
    FileNotFoundError, PermissionError
        At once.
    StorageError
        For everything else, once trying again does not help.
    """

    def once(numbers: Sequence[int]) -> list[Any]:
        try:
            return [action()]
        except Exception as error:  # noqa: BLE001 - file systems raise anything; it leaves here as one of three kinds
            return [error]

    [outcome] = retried_many(once, [path], policy=policy, doing=doing)
    if isinstance(outcome, Exception):
        raise outcome
    return cast(Result, outcome)


def retried_many(
    ask: Callable[[Sequence[int]], Sequence[Any]], paths: Sequence[str], *, policy: RetryPolicy, doing: str
) -> list[Any]:
    """Ask for many things at once; again for those that failed, while that may help.

    Parameters
    ----------
    ask
        Called with the numbers of the things wanted; returns what became of each, an exception if it failed.
    paths
        The path or URL behind each thing, as the user gave it, for errors; secrets in it are not shown.
    policy
        How often to try.
    doing
        What ``ask`` does, as in "cannot read".

    Returns
    -------
    list
        What became of each thing. Exceptions among them are those that :func:`retried` raises.
    """
    outcomes: list[Any] = [None] * len(paths)
    missing: Sequence[int] = range(len(paths))
    for tries, wait in enumerate(policy.waits() if paths else (), start=1):
        again = []
        for number, outcome in zip(missing, ask(missing), strict=True):
            outcomes[number] = outcome
            if isinstance(outcome, BaseException):
                if wait is not None and may_pass(outcome):
                    again.append(number)
                else:
                    outcomes[number] = _told(outcome, paths[number], doing=doing, tries=tries)
        if not again or wait is None:
            break
        first = again[0]
        url, others = display_url(paths[first]), f" (and of {len(again) - 1} others)" if len(again) > 1 else ""
        logger.info("%s: try %d to %s%s failed (%s)", url, tries, doing, others, type(outcomes[first]).__name__)
        policy.wait(wait)
        missing = again
    return outcomes


def _told(failure: BaseException, path: str, *, doing: str, tries: int) -> BaseException:
    """The error that says what remains of a failure. The text of its cause may hold the URL as it was given."""
    if isinstance(failure, BigWigError) or not isinstance(failure, Exception):
        return failure
    url = display_url(path)
    secret = url != path
    error = _translated(_reason(failure), url, doing=doing, tries=tries, secret=secret)
    error.__cause__ = None if secret else failure
    error.__suppress_context__ = True
    return error


def _reason(error: BaseException) -> BaseException:
    """The trouble behind an error: fsspec's http calls any with the first request FileNotFoundError."""
    cause = error.__cause__
    from_http = cause is not None and (isinstance(cause, TimeoutError) or type(cause).__module__.startswith("aiohttp"))
    return cause if isinstance(error, FileNotFoundError) and cause is not None and from_http else error


def may_pass(error: BaseException) -> bool:
    """Whether trying again may help."""
    reason = _reason(error)
    if isinstance(reason, BigWigError):
        return False
    status = getattr(reason, "status", None)
    if isinstance(reason, HttpStatusError) and reason.code in PASSING_CODES:
        return True
    if isinstance(status, int):
        return status >= 500 or status in (408, 429)
    if isinstance(reason, FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError):
        return False
    return isinstance(reason, OSError | WrongLengthError) or type(reason).__module__.startswith("aiohttp")


def _translated(reason: BaseException, url: str, *, doing: str, tries: int, secret: bool) -> Exception:
    """The error to raise; its text repeats that of ``reason`` only where no secret can be in it."""
    status = getattr(reason, "status", None)
    if isinstance(reason, FileNotFoundError) or status in (404, 410):
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url)
    if isinstance(reason, PermissionError) or status in (401, 403):
        advice = (
            "check the credentials in storage_options or the environment, or ask without any: {'anon': True} for s3"
        )
        return PermissionError(errno.EACCES, f"{os.strerror(errno.EACCES)}; {advice}", url)
    if isinstance(reason, RefusedError | WrongLengthError | HttpStatusError):
        detail = str(reason)
    elif secret:
        detail = type(reason).__name__ + (f" (status {status})" if status is not None else "")
    else:
        detail = f"{type(reason).__name__}: {reason}"
    after = f" after {tries} tries" if tries > 1 else ""
    return StorageError(f"{url}: cannot {doing}{after}: {detail}", url=url)
