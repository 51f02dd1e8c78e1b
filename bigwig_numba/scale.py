"""Which scaling factor belongs to which file: full or partial paths, names without extension, folders."""

from __future__ import annotations

import logging
import math
import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from .errors import ConfigError

__all__ = ["scales_of_paths"]

logger = logging.getLogger(__name__)

Parts = tuple[str, ...]


def scales_of_paths(
    paths: Sequence[str], scale: Mapping[str | os.PathLike[str], float] | None
) -> npt.NDArray[np.float32]:
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
    factors = {_key_parts(key): _checked_factor(key, factor) for key, factor in scale.items()}
    used: set[Parts] = set()
    scales = np.ones(len(paths), dtype=np.float32)
    for number, path in enumerate(paths if factors else ()):
        match = next((part for part in _parts_to_look_for(path) if part in factors), None)
        if match is not None:
            scales[number] = factors[match]
            used.add(match)
    unused = [str(key) for key in scale if _key_parts(key) not in used]
    if unused:
        logger.warning("No file is scaled by %d of the keys of scale: %s", len(unused), ", ".join(unused[:10]))
    return scales


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


def _key_parts(key: str | os.PathLike[str]) -> Parts:
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
