"""What to do when a read fails: try again where that may help, then one error that says why, without secrets."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from .errors import StorageError

__all__ = ["RefusedError", "RetryPolicy", "WrongLengthError", "display_url", "may_pass", "retried"]

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


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
    wait
        What to wait with; tests replace it.
    """

    tries: int = 4
    first_wait: float = 0.25
    factor: float = 4.0
    wait: Callable[[float], None] = time.sleep

    def waits(self) -> Iterator[float | None]:
        """Seconds to wait after each attempt that fails; None after the last."""
        for attempt in range(self.tries - 1):
            yield self.first_wait * self.factor**attempt
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
    url = display_url(path)
    for tries, wait in enumerate(policy.waits(), start=1):
        try:
            return action()
        except Exception as error:  # noqa: BLE001 - file systems raise anything; it leaves here as one of three kinds
            failure = error
        if wait is None or not may_pass(failure):
            break
        logger.info("%s: try %d to %s failed (%s)", url, tries, doing, type(failure).__name__)
        policy.wait(wait)
    # The text of an error and its cause may hold the URL as it was given.
    secret = url != path
    raise _translated(_reason(failure), url, doing=doing, tries=tries, secret=secret) from (None if secret else failure)


def _reason(error: BaseException) -> BaseException:
    """The trouble behind an error: fsspec's http calls any with the first request FileNotFoundError."""
    cause = error.__cause__
    from_http = cause is not None and (isinstance(cause, TimeoutError) or type(cause).__module__.startswith("aiohttp"))
    return cause if isinstance(error, FileNotFoundError) and cause is not None and from_http else error


def may_pass(error: BaseException) -> bool:
    """Whether trying again may help."""
    reason = _reason(error)
    status = getattr(reason, "status", None)
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
        advice = "check the credentials in storage_options or the environment"
        return PermissionError(errno.EACCES, f"{os.strerror(errno.EACCES)}; {advice}", url)
    if isinstance(reason, RefusedError | WrongLengthError):
        detail = str(reason)
    elif secret:
        detail = type(reason).__name__ + (f" (status {status})" if status is not None else "")
    else:
        detail = f"{type(reason).__name__}: {reason}"
    after = f" after {tries} tries" if tries > 1 else ""
    return StorageError(f"{url}: cannot {doing}{after}: {detail}", url=url)
