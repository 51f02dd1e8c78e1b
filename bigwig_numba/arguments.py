"""Arguments of queries, checked: positions, numbers, names of types; what is wrong is said in a ConfigError."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ConfigError, WindowError
from .plan import MAX_POSITION

__all__ = ["dtype_name", "integer", "number", "positions", "track_numbers"]


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
