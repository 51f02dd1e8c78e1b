"""Which scaling factor belongs to which file: full or partial paths, names without extension, folders."""

from __future__ import annotations

import logging
import math
import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from .errors import ConfigError

__all__ = ["Key", "keys_of_paths", "scales_of_paths", "unused_keys"]

logger = logging.getLogger(__name__)

Key = str | os.PathLike[str]
Parts = tuple[str, ...]


def scales_of_paths(paths: Sequence[str], scale: Mapping[Key, float] | None) -> npt.NDArray[np.float32]:
    """The factor of each path.

    For ``/data/liver/ENCFF1.bw`` the keys ``/data/liver/ENCFF1.bw``, ``/data/liver/ENCFF1``, ``data/liver/ENCFF1.bw``,
    ``data/liver/ENCFF1``, ``liver/ENCFF1.bw``, ``liver/ENCFF1``, ``ENCFF1.bw`` and ``ENCFF1`` are looked for, in this
    order, then in the same way those of its folders: ``/data/liver``, ``data/liver``, ``liver``, ``/data``, ``data``.

    Parameters
    ----------
    paths
        Local paths or URLs.
    scale
        Full or partial path to factor. A key that no file matches is logged as a warning.

    Returns
    -------
    (T,) float32
        1 where no key matches.

    Raises
    ------
    ConfigError
        ``scale`` is no mapping, or a factor is no finite number.

    Examples
    --------
    >>> scales_of_paths(["/data/liver/a.bw", "s3://bucket/brain/b.bw"], {"a": 2.0, "brain": 0.5})
    array([2. , 0.5], dtype=float32)
    """
    if scale is None:
        scale = {}
    if not hasattr(scale, "items"):
        message = f"scale must map paths to factors, like {{'liver/a.bw': 2.0}}, not be {scale!r}"
        raise ConfigError(message, argument="scale", value=scale)
    factors = {key: _checked_factor(key, factor) for key, factor in scale.items()}
    matches = keys_of_paths(paths, factors)
    unused = unused_keys(matches, factors)
    if unused:
        logger.warning("No file is scaled by %d of the keys of scale: %s", len(unused), ", ".join(unused[:10]))
    return np.array([1.0 if key is None else factors[key] for key in matches], dtype=np.float32)


def keys_of_paths(paths: Sequence[str], keys: Iterable[Key]) -> list[Key | None]:
    """For each path the key that names it best, as :func:`scales_of_paths` tells; None where none does.

    Parameters
    ----------
    paths
        Local paths or URLs.
    keys
        Full or partial paths. Of two that mean the same, the later counts.
    """
    named = {_key_parts(key): key for key in keys}
    if not named:
        return [None] * len(paths)
    matches = (next((parts for parts in _parts_to_look_for(path) if parts in named), None) for path in paths)
    return [None if parts is None else named[parts] for parts in matches]


def unused_keys(matches: Iterable[Key | None], keys: Iterable[Key]) -> list[str]:
    """The keys, as text, that no path was matched with, nor with another that means the same."""
    used = {_key_parts(key) for key in matches if key is not None}
    return [str(key) for key in keys if _key_parts(key) not in used]


def _checked_factor(key: object, factor: object) -> float:
    try:
        number = float(factor)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        message = f"scale has {factor!r} for {key!s}, expected a finite number"
        raise ConfigError(message, argument="scale", value=factor)
    return number


def _parts_to_look_for(path: str) -> Iterator[Parts]:
    """Parts of a path that a key may name: those of the file, longest first, then those of its folders."""
    parts = _absolute_parts(path)
    stemmed = (*parts[:-1], posixpath.splitext(parts[-1])[0])
    for first in range(len(parts)):
        yield parts[first:]
        yield stemmed[first:]
    for end in range(len(parts) - 1, 0, -1):
        for first in range(end):
            yield parts[first:end]


def _key_parts(key: Key) -> Parts:
    """A key's parts: from the root if it is absolute, a URL, or goes up; else those anywhere in a path."""
    text = os.fspath(key)
    relative = posixpath.normpath(text.replace(os.sep, "/"))
    if "://" in text or os.path.isabs(text) or text.startswith("~") or relative.startswith(".."):
        return _absolute_parts(text)
    return tuple(relative.split("/"))


def _absolute_parts(path: str) -> Parts:
    """Parts of a path from its root on: ``/`` for local files, nothing for URLs, whose scheme is left away."""
    link = next((link for link in path.split("::") if "://" in link), f"file://{path}")
    scheme, _, path = link.partition("://")
    if scheme in ("file", "local"):
        return ("/", *os.path.abspath(os.path.expanduser(path)).replace(os.sep, "/").strip("/").split("/"))
    return tuple(path.split("?")[0].strip("/").split("/"))
