"""Arguments of queries, checked: positions, numbers, names of types; what is wrong is said in a ConfigError."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .chromosome_names import sorted_chromosomes
from .errors import ChromNotFoundError, ConfigError, WindowError
from .plan import MAX_POSITION

__all__ = [
    "check_out",
    "dtype_name",
    "integer",
    "known_rows",
    "number",
    "positions",
    "rows_of_names",
    "track_numbers",
]


def positions(values: Any, argument: str) -> npt.NDArray[np.int64]:
    """A new (S,) int64 array. Whole numbers may come as floats, as pandas has them in a column with gaps."""
    array = _sequence(values, argument, kinds="iuf")
    if array.dtype.kind != "i":
        in_range = (array >= -MAX_POSITION) & (array <= MAX_POSITION)  # no NaN is
        rows = np.flatnonzero(~(in_range & (array == np.trunc(array)))).tolist()
        if rows:
            raise WindowError(f"{argument} is no whole number, or out of range, in rows {rows[:10]}", rows=rows)
    return array.astype(np.int64)


def track_numbers(values: Any) -> npt.NDArray[np.int64]:
    """A new (T,) int64 array."""
    return _sequence(values, "track_indices", kinds="iu").astype(np.int64)


def _sequence(values: Any, argument: str, *, kinds: str) -> npt.NDArray[Any]:
    """A one-dimensional array of numbers of these kinds."""
    try:
        array = np.asarray(values)
        if array.dtype == object:  # a row of a data frame with columns of several types
            array = np.asarray(array.tolist())
    except (TypeError, ValueError) as error:  # CuPy's arrays, ragged lists
        message = f"{argument} must be a sequence of whole numbers on the host ({error})"
        raise ConfigError(message, argument=argument, value=values) from None
    if array.ndim == 1 and array.size == 0:
        return np.empty(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in kinds:
        found = f"{type(values).__name__} of {array.ndim} dimensions and type {array.dtype}"
        message = f"{argument} must be a sequence of whole numbers, not {found}"
        raise ConfigError(message, argument=argument, value=values)
    return array


def rows_of_names(
    names: Any, rows: Mapping[str, int], argument: str = "chromosomes"
) -> tuple[list[Any], npt.NDArray[np.int64]]:
    """The names as a list, and the (S,) int64 row of each; -1 where it has none."""
    if isinstance(names, str | bytes):
        raise ConfigError(f"{argument} is {names!r}, expected one name per window", argument=argument, value=names)
    try:
        listed = np.asarray(names).tolist() if hasattr(names, "__array__") else list(names)
        # All in C: thousands of names take a tenth of a millisecond.
        found = np.fromiter(map(rows.get, listed, itertools.repeat(-1)), dtype=np.int64, count=len(listed))
    except TypeError as error:
        message = f"{argument} must be a sequence of names, one per window ({error})"
        raise ConfigError(message, argument=argument, value=names) from None
    return listed, found


def known_rows(chromosomes: Any, rows: Mapping[str, int], *, url: str) -> npt.NDArray[np.int64]:
    """(S,) int64 row of each window's chromosome; ``ChromNotFoundError`` with near misses where it has none."""
    names, found = rows_of_names(chromosomes, rows)
    unknown = np.flatnonzero(found < 0)
    if len(unknown):
        raise ChromNotFoundError.for_name(str(names[unknown[0]]), sorted_chromosomes(rows), url=url)
    return found


def check_out(out: Any, *, device: str, owner: str = "collection") -> None:
    """Raise ``ConfigError`` unless an array to be written to is on its owner's device, and writeable."""
    is_host = isinstance(out, np.ndarray)
    if is_host is not (device == "cpu") or not hasattr(out, "flags"):
        expected = "a NumPy array" if device == "cpu" else "a CuPy array"
        message = f"out is of type {type(out).__name__}, expected {expected}: the {owner} is on {device!r}"
        raise ConfigError(message, argument="out", value=type(out).__name__)
    if is_host and not out.flags.writeable:
        raise ConfigError("out is read-only, expected an array to write to", argument="out", value=out.shape)


def integer(value: Any, argument: str) -> int:
    """A whole number; truth values are none."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError("it is a truth value")
        return operator.index(value)
    except TypeError as error:
        message = f"{argument} is {value!r}, expected a whole number ({error})"
        raise ConfigError(message, argument=argument, value=value) from None


def number(value: Any, argument: str) -> float:
    """A number as a float."""
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{argument} is {value!r}, expected a number ({error})", argument=argument, value=value
        ) from None


def dtype_name(dtype: Any) -> str:
    """The name of a type: as given, or as NumPy (and ml_dtypes) call it."""
    if isinstance(dtype, str):
        return dtype
    try:
        return str(np.dtype(dtype).name)
    except TypeError as error:
        raise ConfigError(f"dtype is {dtype!r}, which is no type ({error})", argument="dtype", value=dtype) from None
