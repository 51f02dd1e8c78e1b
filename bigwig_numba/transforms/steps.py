"""What may be done to the values of a track, one after another: built-in steps and users' own functions."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..arguments import number
from ..errors import ConfigError
from ..kernels import transforms as kernels
from ..kernels.compiling import compile_as

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

    def of_value(self, value: float | np.float32, *, track: int = 0) -> np.float32:
        """What a value becomes in plain Python, where ``print`` and a debugger work in functions of your own.

        Parameters
        ----------
        value
            Of a bin.
        track
            Its track's number in the collection.

        Returns
        -------
        numpy.float32
            The same bits as compiled, except for powers, logarithms and other functions of ``math``.

        Examples
        --------
        >>> Chain(Scale(2), lambda value: value + 1).of_value(3)
        np.float32(7.0)
        """
        with np.errstate(all="ignore"):
            return np.float32(self._of_single(np.float32(value), track))

    def _of_single(self, value: np.float32, track: int) -> Any:
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

    def _of_single(self, value: np.float32, track: int) -> Any:
        return value * np.float32(self.factor)

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

    def _of_single(self, value: np.float32, track: int) -> Any:
        lowest, highest = map(np.float32, self._limits())
        return highest if value > highest else lowest if value < lowest else value

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

    def _of_single(self, value: np.float32, track: int) -> Any:
        threshold = np.float32(self.threshold)
        return threshold + np.sqrt(value - threshold) if value > threshold else value

    def steps(self) -> tuple[Step, ...]:
        """As the kernels take it."""
        return (Step(kernels.SOFT_CLIP, float(self.threshold)),)


@dataclass(frozen=True)
class Log1p(Transform):
    """Replace x by log(1 + x), the natural logarithm; NaN below -1."""

    def _of_single(self, value: np.float32, track: int) -> Any:
        return np.log1p(value)

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

    def _of_single(self, value: np.float32, track: int) -> Any:
        return value ** np.float32(self.exponent)  # not np.power, which makes NaN of -inf on some processors

    def steps(self) -> tuple[Step, ...]:
        """As the kernels take it."""
        return (Step(kernels.POWER, float(self.exponent)),)


@dataclass(frozen=True)
class Function(Transform):
    """Your own function of one value, compiled for the CPU and into the CUDA kernel.

    Parameters
    ----------
    function
        ``function(value)`` or ``function(value, track)``: value a float32, which may be NaN, track the number of the
        track in the collection (int); it returns a number. Plain Python of what a :class:`~bigwig_numba.Statistic` may
        use: numbers, ``if``, loops, ``math``, and plain functions of the same kind; floats are float32.

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
        compiled: Any = kernels.make_own_step(self.function, self._takes_track)
        compile_as(
            compiled, kernels.OWN_STEP, what=f"the transform {self.name}", argument="function", value=self.function
        )
        return compiled

    @property
    def name(self) -> str:
        """What the function is called."""
        return str(getattr(self.function, "__name__", repr(self.function)))

    @functools.cached_property
    def _takes_track(self) -> bool:
        try:
            n_arguments = len(inspect.signature(_plain(self.function)).parameters)
        except (TypeError, ValueError) as error:  # written in C, or no function at all
            self._refuse(f"is no Python function: {error}", error)
        if n_arguments not in (1, 2):
            self._refuse(f"takes {n_arguments} arguments, expected (value) or (value, track)")
        return n_arguments == 2

    def _refuse(self, why: str, cause: Exception | None = None) -> Any:
        message = f"the transform {self.name} {why}"
        raise ConfigError(message, argument="function", value=self.function) from cause

    def _of_single(self, value: np.float32, track: int) -> Any:
        function = _plain(self.function)
        return function(value, track) if self._takes_track else function(value)

    def steps(self) -> tuple[Step, ...]:
        """As the kernels take it."""
        return (Step(kernels.OWN, function=self.compiled),)

    def __reduce__(self) -> tuple[Any, ...]:
        return Function, (self.function,)


def _plain(function: Any) -> Callable[..., Any]:
    """The Python function of what ``numba.njit`` made; any other function as it is."""
    return getattr(function, "py_func", function)  # type: ignore[no-any-return]


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

    def _of_single(self, value: np.float32, track: int) -> Any:
        for transform in self.transforms:
            value = transform.of_value(value, track=track)
        return value

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
