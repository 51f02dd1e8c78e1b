"""Where files go that can be made again: example data, compiled kernels."""

from __future__ import annotations

import os
from pathlib import Path

ENVIRONMENT_VARIABLE = "BIGWIG_NUMBA_CACHE"


def cache_folder() -> Path:
    """The user's cache folder for this package; it need not exist.

    Returns
    -------
    Path
        ``$BIGWIG_NUMBA_CACHE``, else ``bigwig_numba`` in ``$XDG_CACHE_HOME``, else in ``~/.cache``.

    Examples
    --------
    >>> cache_folder().is_absolute()
    True
    """
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    parent = os.environ.get("XDG_CACHE_HOME")
    return (Path(parent) if parent else Path.home() / ".cache") / "bigwig_numba"
