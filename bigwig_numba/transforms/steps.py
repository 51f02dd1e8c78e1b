"""What may be done to the values of a track, one after another: built-in steps and users' own functions."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
from numba import njit

from ..arguments import number
from ..errors import ConfigError
from ..kernels import transforms as kernels

__all__ = ["Chain", "Clip", "Function", "Log1p", "Power", "Scale", "SoftClip", "Step", "Transform", "as_transform"]


class Step(NamedTuple):
    """One step as the kernels take it: its code, two numbers, and the compiled function if it is a user's."""

    code: int
    first: float = 0.0
    second: float = 0.0
    function: Any = None


class Transform:
    """What is done to each value of a track; the base of all."""

    def steps(self) -> tuple[Step, ...]:
        """In the order in which they are done."""
        raise NotImplementedError


def _check(value: float, argument: str, *, is_right: bool, expected: str) -> None:
    if not is_right:
        raise ConfigError(f"{argument} is {value!r}, expected {expected}", argument=argument, value=value)


@dataclass(frozen=True)
class Scale(Transform):
    """Multiply with a factor."""

    factor: float

    def __post_init__(self) -> None:
        _check(self.factor, "factor", is_right=math.isfinite(number(self.factor, "factor")), expected="a finite number")

    def steps(self) -> tuple[Step, ...]:
        """As the kernels take it."""
        return (Step(kernels.SCALE, float(self.factor)),)


@dataclass(frozen=True)
class Clip(Transform):
    """Raise what is below ``lowest`` to it, lower what is above ``highest`` to it; None: no limit. NaN stays."""

    lowest: float | None = None
    highest: float | None = None

    def __post_init__(self) -> None:
        lowest, highest = self._limits()
        _check(lowest, "lowest", is_right=lowest <= highest, expected=f"a number up to highest, {highest}")

    def _limits(self) -> tuple[float, float]:
        lowest = -math.inf if self.lowest is None else number(self.lowest, "lowest")
        return lowest, math.inf if self.highest is None else number(self.highest, "highest")

    def steps(self) -> tuple[Step, ...]:
        """As the kernels take it."""
        return (Step(kernels.CLIP, *self._limits()),)


@dataclass(frozen=True)
class SoftClip(Transform):
    """Above a threshold c, replace x by c + sqrt(x - c), as Borzoi does (Linder et al. 2025, c = 384)."""

    threshold: float

    def __post_init__(self) -> None:
        is_right = math.isfinite(number(self.threshold, "threshold"))
        _check(self.threshold, "threshold", is_right=is_right, expected="a finite number")

    def steps(self) -> tuple[Step, ...]:
        """As the kernels take it."""
        return (Step(kernels.SOFT_CLIP, float(self.threshold)),)


@dataclass(frozen=True)
class Log1p(Transform):
    """Replace x by log(1 + x), the natural logarithm; NaN below -1."""

    def steps(self) -> tuple[Step, ...]:
        """As the kernels take it."""
        return (Step(kernels.LOG1P),)


@dataclass(frozen=True)
class Power(Transform):
    """Raise to a power; NaN for negative values and an exponent that is not whole."""

    exponent: float

    def __post_init__(self) -> None:
        is_right = math.isfinite(number(self.exponent, "exponent"))
        _check(self.exponent, "exponent", is_right=is_right, expected="a finite number")

    def steps(self) -> tuple[Step, ...]:
        """As the kernels take it."""
        return (Step(kernels.POWER, float(self.exponent)),)


@dataclass(frozen=True)
class Function(Transform):
    """Your own function of one value, compiled for the CPU and into the CUDA kernel.

    Parameters
    ----------
    function
        ``function(value)`` or ``function(value, track)``: value a float32, track the number of the track in the
        collection; it returns a number. Plain Python, so that it can be tried and debugged as such, or compiled with
        ``numba.njit``; what Numba's CUDA target knows may be in it (arithmetic, ``if``, ``math``).

    Raises
    ------
    ConfigError
        Numba cannot compile it, or it takes other arguments.

    Examples
    --------
    >>> import numpy as np
    >>> def halve_the_second(value, track):
    ...     return value / 2 if track == 1 else value
    >>> from bigwig_numba.transforms import TrackTransforms
    >>> values = np.full((1, 2, 2), 6, np.float32)
    >>> TrackTransforms(Function(halve_the_second), ["a.bw", "b.bw"]).apply(values)[0]
    array([[6., 3.],
           [6., 3.]], dtype=float32)
    """

    function: Callable[..., Any]

    def __post_init__(self) -> None:
        self.compiled  # noqa: B018  # whether it can be is said now, not at the first batch

    @functools.cached_property
    def compiled(self) -> Any:
        """The device function (value, track)."""
        source = getattr(self.function, "py_func", self.function)
        compiled: Any = self.function if source is not self.function else njit(nogil=True)(source)
        compiled = compiled if self._takes_track(source) else _without_track(compiled)
        try:
            compiled.compile((numba.float32, numba.int64))
            result = compiled.overloads[(numba.float32, numba.int64)].signature.return_type
        except numba.core.errors.NumbaError as error:
            self._refuse(f"cannot be compiled: {error}", error)
        if not isinstance(result, numba.types.Number | numba.types.Boolean):
            self._refuse(f"returns {result}, expected a number")
        return compiled

    def _takes_track(self, source: Callable[..., Any]) -> bool:
        try:
            n_arguments = len(inspect.signature(source).parameters)
        except (TypeError, ValueError) as error:  # written in C, or no function at all
            self._refuse(f"is no Python function: {error}", error)
        if n_arguments not in (1, 2):
            self._refuse(f"takes {n_arguments} arguments, expected (value) or (value, track)")
        return n_arguments == 2

    def _refuse(self, why: str, cause: Exception | None = None) -> Any:
        name = getattr(self.function, "__name__", repr(self.function))
        message = f"the transform {name} {why}"
        raise ConfigError(message, argument="function", value=self.function) from cause

    def steps(self) -> tuple[Step, ...]:
        """As the kernels take it."""
        return (Step(kernels.OWN, function=self.compiled),)

    def __reduce__(self) -> tuple[Any, ...]:
        return Function, (self.function,)


def _without_track(function: Any) -> Any:
    @njit(nogil=True)
    def with_track(value, track):  # type: ignore[no-untyped-def]  # typed by Numba
        return function(value)

    return with_track


@dataclass(frozen=True, init=False)
class Chain(Transform):
    """Several transforms, one after another.

    Examples
    --------
    >>> borzoi = Chain(Power(0.75), SoftClip(384))
    >>> len(borzoi.steps())
    2
    """

    transforms: tuple[Transform, ...]

    def __init__(self, *transforms: Transform | Callable[..., Any]) -> None:
        object.__setattr__(self, "transforms", tuple(map(as_transform, transforms)))

    def steps(self) -> tuple[Step, ...]:
        """As the kernels take it."""
        return tuple(step for transform in self.transforms for step in transform.steps())


def as_transform(transform: Any) -> Transform:
    """Take a transform as it is, a function as :class:`Function`, a list as :class:`Chain`.

    Raises
    ------
    ConfigError
        It is none of them.
    """
    if isinstance(transform, Transform):
        return transform
    if isinstance(transform, list | tuple):
        return Chain(*transform)
    if callable(transform) and not isinstance(transform, type):
        return Function(transform)
    message = (
        f"{transform!r} is no transform; expected Scale, Clip, SoftClip, Log1p, Power, Chain, a list or a function"
    )
    raise ConfigError(message, argument="transforms", value=transform)
