"""How the commands print: tables, JSON, sparklines, sizes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

BARS = "▁▂▃▄▅▆▇█"
NOTHING = "·"  # of a sparkline, where there is no value


def print_json(value: Any) -> None:
    """Print as JSON; NaN and infinity, which JSON lacks, as null."""
    print(json.dumps(as_json(value), indent=2))


def as_json(value: Any) -> Any:
    """Lists, dicts, numbers and strings of whatever comes: arrays, NumPy's numbers, paths."""
    if isinstance(value, Mapping):
        return {str(name): as_json(inner) for name, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return as_json(value.tolist())
    if isinstance(value, list | tuple):
        return [as_json(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def print_row(values: Iterable[object]) -> None:
    """Print one line of values between tabs, numbers as short as they can be told apart."""
    print("\t".join(number_text(value) if isinstance(value, float | np.floating) else str(value) for value in values))


def number_text(value: float | np.floating[Any]) -> str:
    """The shortest text that reads back as the same number of the same type: ``0.1``, ``3``, ``nan``."""
    text = str(value.item() if isinstance(value, np.float64) else value)
    return text.removesuffix(".0")


def print_fields(fields: Mapping[str, str]) -> None:
    """Print names and values below each other."""
    width = max(len(name) for name in fields) + 2
    for name, value in fields.items():
        print(f"{name:<{width}}{value}".rstrip())


def sparkline(values: Sequence[float] | np.ndarray[Any, np.dtype[np.floating[Any]]]) -> str:
    """A row of bars from 0 (or the lowest value, if below) to the highest; a dot where there is no value.

    >>> sparkline([0.0, 1.0, 2.0, float("nan"), 4.0])
    '▁▂▄·█'
    """
    numbers = np.asarray(values, dtype=np.float64)
    finite = numbers[np.isfinite(numbers)]
    lowest, highest = min(0.0, finite.min(initial=0.0)), finite.max(initial=0.0)
    span = highest - lowest or 1.0
    levels = np.nan_to_num((numbers - lowest) / span * (len(BARS) - 1), nan=-1, posinf=len(BARS) - 1, neginf=0)
    return "".join(NOTHING if level < 0 else BARS[int(level)] for level in levels)


def size_text(n_bytes: int) -> str:
    """Bytes as people read them: ``512 B``, ``3.4 MB``."""
    size, units = float(n_bytes), ["B", "kB", "MB", "GB", "TB"]
    while size >= 999.5 and len(units) > 1:
        size /= 1_000
        units.pop(0)
    return f"{size:.3g} {units[0]}"


def count_text(number: int, noun: str) -> str:
    """``1 block``, ``1,024 blocks``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
