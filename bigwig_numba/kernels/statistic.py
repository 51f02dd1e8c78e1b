"""A statistic: three plain Python functions over a small state, which run in Python, on the CPU and on the GPU.

A bin meets the items that overlap it one after another, from left to right::

    state = init()
    state = update(state, value, n_bases)      for each item: its value (float32), bases of the bin that it covers (int)
    answer = finish(state, window_size, default)

How they are compiled is told in ``compiling``: an operation on floats is one on float32 that rounds by itself, whole
numbers are exact. A slot of the state keeps the type that ``init`` gives it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np

from ..errors import ConfigError
from .compiling import compile_as, compile_function, is_typed_in
from .jit import njit
from .numbers import make_cast

__all__ = ["Statistic", "compile_for_cpu", "device_functions"]

_PARAMETERS = {"init": (), "update": ("state", "value", "n_bases"), "finish": ("state", "window_size", "default")}


@dataclass(frozen=True)
class Statistic:
    """How the items of a bin become one number: three plain Python functions, which this library compiles.

    Parameters
    ----------
    name
        What people call it.
    init
        ``init() -> state``: what is known of a bin before its first item, a number or a flat tuple of numbers. It tells
        the types too: ``0.0`` is a float32, ``0`` a whole number (int64), ``numpy.uint32(0)`` and the like are kept as
        they are. A slot never changes its type.
    update
        ``update(state, value, n_bases) -> state``: one item more, from left to right. ``value`` is a float32, already
        scaled and never NaN; ``n_bases``, an int of at least 1, says how many bases of the bin it covers.
    finish
        ``finish(state, window_size, default) -> number``: the bin's answer, from its width in bases (int) and
        what uncovered bases count as (float32; NaN: nothing).

    Raises
    ------
    ConfigError
        A function with other parameters, or an ``init`` that gives no numbers.

    Notes
    -----
    The functions may use numbers, tuples, ``if``, loops, ``math``, and plain functions of the same kind. Each operation
    is rounded to float32, in Python (when run by ``of_items``), on the CPU and on the GPU, so all three give the same
    bits; functions of ``math`` may differ in the last place. In Python, a quotient of two whole numbers has 64 bits.

    Examples
    --------
    >>> def nothing_yet():
    ...     return 0.0, 0
    >>> def add_item(state, value, n_bases):
    ...     total, n_covered = state
    ...     return total + value * n_bases, n_covered + n_bases
    >>> def divide(state, window_size, default):
    ...     total, n_covered = state
    ...     return total / n_covered if n_covered > 0 else default
    >>> covered_mean = Statistic("covered mean", nothing_yet, add_item, divide)
    >>> covered_mean.of_items([(1.0, 3), (5.0, 1)], window_size=8)
    np.float32(2.0)
    """

    name: str
    init: Callable[..., Any] = field(repr=False)
    update: Callable[..., Any] = field(repr=False)
    finish: Callable[..., Any] = field(repr=False)

    def __post_init__(self) -> None:
        for part, names in _PARAMETERS.items():
            _check_parameters(self.name, part, getattr(self, part), names)
        _slot_types(self)
        for function in (self.init, self.update, self.finish):
            if is_typed_in(function):
                compile_function(function)  # not later: the source of what was typed in may be forgotten by then

    def of_items(
        self, items: Iterable[tuple[float | np.float32, int]], *, window_size: int, default_value: float = 0.0
    ) -> np.float32:
        """The answer for one bin in plain Python, where ``print`` and a debugger work.

        Parameters
        ----------
        items
            Values, each with the number of the bin's bases that it covers.
        window_size
            Bases of the bin.
        default_value
            What uncovered bases count as; NaN: nothing.

        Returns
        -------
        numpy.float32
            The same bits as compiled, except for functions of ``math``.

        Examples
        --------
        >>> from bigwig_numba.kernels.statistics import get_statistic
        >>> get_statistic("mean").of_items([(1.0, 3), (5.0, 1)], window_size=8)
        np.float32(1.0)
        """
        init, update, finish = (_plain(function) for function in (self.init, self.update, self.finish))
        types = _slot_types(self)
        with np.errstate(all="ignore"):
            state = _as_slots(init(), types)
            for value, n_bases in items:
                state = _as_slots(update(state, np.float32(value), int(n_bases)), types)
            return np.float32(finish(state, int(window_size), np.float32(default_value)))


def _check_parameters(name: str, part: str, function: Any, names: tuple[str, ...]) -> None:
    expected = f"{part}({', '.join(names)})"
    if not callable(function):
        message = f"statistic {name!r}: {part} is {function!r}, expected a function {expected}"
        raise ConfigError(message, argument=part, value=function)
    try:
        inspect.signature(_plain(function)).bind(*names)
    except (TypeError, ValueError) as error:
        message = f"statistic {name!r}: {part} must be a function {expected}, but it cannot be called so: {error}"
        raise ConfigError(message, argument=part, value=function) from None


def _plain(function: Any) -> Callable[..., Any]:
    """The Python function of what ``numba.njit`` made; any other function as it is."""
    return getattr(function, "py_func", function)


def _slot_types(statistic: Statistic) -> tuple[type[np.generic], ...] | type[np.generic]:
    """The NumPy type of each slot, or of the one number that is the state."""
    state = _plain(statistic.init)()
    return (
        tuple(_slot_type(statistic, slot) for slot in state) if type(state) is tuple else _slot_type(statistic, state)
    )


def _slot_type(statistic: Statistic, slot: Any) -> type[np.generic]:
    if isinstance(slot, np.number | np.bool_):
        return type(slot)
    weak: dict[type, type[np.generic]] = {float: np.float32, int: np.int64, bool: np.bool_}
    if type(slot) not in weak:
        message = f"statistic {statistic.name!r}: init gives {slot!r} in its state, expected a number: 0.0, 0 or True"
        raise ConfigError(message, argument="init", value=slot)
    return weak[type(slot)]


def _as_slots(state: Any, types: Any) -> Any:
    """A state as Python functions get it: floats of their type, whole numbers as ``int`` (they are exact)."""
    if isinstance(types, tuple):
        return tuple(_as_slots(slot, kind) for slot, kind in zip(state, types, strict=True))
    number = types(state)
    return number if isinstance(number, np.floating) else number.item()


@functools.lru_cache(maxsize=256)
def device_functions(statistic: Statistic) -> tuple[Any, Any, Any]:
    """``init``, ``update`` and ``finish`` compiled, with states and answers of fixed types.

    Kernels call ``update(state, float32, int64)`` and ``finish(state, int64, float32)``, which gives a float32.
    """
    init, update, finish = map(compile_function, (statistic.init, statistic.update, statistic.finish))
    as_state, as_single = make_cast(_state_type(statistic)), make_cast(numba.types.float32)

    @njit(nogil=True, error_model="numpy")
    def typed_init():
        return as_state(init())

    @njit(nogil=True, error_model="numpy")
    def typed_update(state, value, n_bases):
        return as_state(update(state, value, n_bases))

    @njit(nogil=True, error_model="numpy")
    def typed_finish(state, window_size, default):
        return as_single(finish(state, window_size, default))

    return typed_init, typed_update, typed_finish


def _state_type(statistic: Statistic) -> Any:
    """The Numba type of the state."""
    types = _slot_types(statistic)
    if isinstance(types, tuple):
        return numba.types.Tuple([numba.from_dtype(np.dtype(kind)) for kind in types])
    return numba.from_dtype(np.dtype(types))


@functools.lru_cache(maxsize=256)
def compile_for_cpu(statistic: Statistic) -> None:
    """Compile a statistic's functions, to see that they can be.

    Raises
    ------
    ConfigError
        With what Numba has to say.
    """
    state, single, whole = _state_type(statistic), numba.types.float32, numba.types.int64
    signatures = {"init": (), "update": (state, single, whole), "finish": (state, whole, single)}
    for part, function in zip(signatures, device_functions(statistic), strict=True):
        compile_as(
            function, signatures[part], what=f"statistic {statistic.name!r}: {part}", argument=part,
            value=getattr(statistic, part),
        )  # fmt: skip
