"""The command line: a module per command, ``program`` for what they share."""

from .program import main

__all__ = ["main"]
