"""Objects by name: ``module:name`` or ``path/to/file.py:name`` to what is there."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import ConfigError

__all__ = ["import_object"]


def import_object(text: str) -> Any:
    """What a module, or a file of Python, calls by a name.

    Parameters
    ----------
    text
        ``"package.module:name"`` or ``"folder/file.py:name"``. Modules are also looked for in the current folder.

    Returns
    -------
    object

    Raises
    ------
    ConfigError
        No such module, file or name; the message says which.

    Examples
    --------
    >>> import_object("math:pi")
    3.141592653589793
    >>> import_object("math:tau2")
    Traceback (most recent call last):
        ...
    bigwig_numba.errors.ConfigError: 'math:tau2': math has no tau2
    """
    source, colon, name = text.rpartition(":")
    if not colon or not source or not name.isidentifier():
        message = f"{text!r} is no name of an object: write module:name or file.py:name"
        raise ConfigError(message, argument="name", value=text)
    module = _load_file(Path(source), text) if source.endswith(".py") else _import_module(source, text)
    try:
        return getattr(module, name)
    except AttributeError:
        raise ConfigError(f"{text!r}: {source} has no {name}", argument="name", value=text) from None


def _import_module(source: str, text: str) -> ModuleType:
    sys.path.insert(0, "")  # a program's path begins with where it is installed, not with the current folder
    try:
        return importlib.import_module(source)
    except ImportError as error:
        raise ConfigError(f"{text!r} cannot be imported: {error}", argument="name", value=text) from error
    finally:
        sys.path.remove("")


def _load_file(path: Path, text: str) -> ModuleType:
    """The module of a file; each file is run once."""
    if not path.is_file():
        raise ConfigError(f"{text!r}: there is no file {path}", argument="name", value=text)
    known = f"bigwig_numba_file_{path.resolve()}"
    if known not in sys.modules:
        spec = importlib.util.spec_from_file_location(known, path)
        if spec is None or spec.loader is None:
            raise ConfigError(f"{text!r}: {path} is no file of Python", argument="name", value=text)
        module = importlib.util.module_from_spec(spec)
        sys.modules[known] = module  # before it runs: dataclasses look there
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[known]
            raise
    return sys.modules[known]
