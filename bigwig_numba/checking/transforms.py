"""Track transforms: values of all kinds and types, in several tracks, and those of files."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bigwig import open as open_bigwig
from ..kernels.transforms import OWN
from ..transforms import Chain, Function, Scale, TrackTransforms, Transform
from ..transforms.steps import as_transform
from .comparing import DTYPES, Answers, compare, numbers_of, stored_as
from .result import Comparison, Speed
from .subject import Kernel, Subject, random_windows

__all__ = ["TransformSubject"]

SPECIAL = (
    *(np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45, 1e-39, 1e-30, -1e-30, 6e-8, -6e-8),
    *(1.0, -1.0, 0.5, -2.0, 3.0, 384.0, 65_504.0, 65_520.0, -1e5, 1e12, -1e12, 3.4e38),
)
"""Not numbers, infinite, subnormal in float32 and in float16, and at the ends of the types."""
N_SAMPLES, N_BINS = 2, 80
TRACKS = (3, 0, 1)  # of five
WINDOW, N_WINDOWS = 4_096, 8  # of each real file


class TransformSubject(Subject):
    """A transform, a list of them, or a function.

    Parameters
    ----------
    given
        As :class:`~bigwig_numba.transforms.TrackTransforms` takes it for all tracks.
    """

    kind, reference = "track transform", "scale"

    def __init__(self, given: Any) -> None:
        self.given = given
        self.name = _name_of(given)

    def compile(self) -> None:
        """As it is made into a transform."""
        self._transform  # noqa: B018  # made now, and kept

    @functools.cached_property
    def _transform(self) -> Transform:
        return as_transform(self.given)

    def functions(self) -> Mapping[str, Any]:
        """Those of all steps that are the user's."""
        return {each.name: each.function for each in _own_functions(self._transform)}

    def compare(self, devices: Sequence[str], files: Sequence[str], seed: int) -> Iterator[Comparison]:
        """A comparison for each device and type; and one for each file."""
        rng = np.random.default_rng(seed)
        shape = (N_SAMPLES, N_BINS, len(TRACKS))
        values = (rng.gamma(0.7, 4.0, shape) * rng.choice([1, 1, 1, -1, 0, 1e3, 1e-3], shape)).astype(np.float32)
        values[0, : len(SPECIAL)] = np.array(SPECIAL, np.float32)[:, None]
        for device in devices:
            for dtype in DTYPES:
                yield self._compare(dtype, device, stored_as(values, dtype), dtype, TRACKS)
        for path in files:
            yield self._compare(os.path.basename(path), devices[-1], _values_of_file(path, seed), "float32", (0,))

    def _compare(
        self, what: str, device: str, stored: npt.NDArray[Any], dtype: str, tracks: Sequence[int]
    ) -> Comparison:
        transform = self._transform
        values = numbers_of(stored, dtype)
        track_of = np.tile(tracks, stored.size // len(tracks)).tolist()
        answers = Answers.of(
            lambda value, track: transform.of_value(value, track=track), zip(values, track_of, strict=True)
        )
        batch: Any = stored.copy()
        if device == "cuda":
            import cupy

            batch = cupy.asarray(stored)
        applied = TrackTransforms(transform, ["made"] * (max(tracks) + 1)).apply(batch, track_indices=tracks)
        return compare(
            f"{'GPU' if device == 'cuda' else 'CPU'}: {what}",
            answers,
            applied.get() if device == "cuda" else applied,
            scales=np.abs(values),
            describe=lambda i: f"the value {values[i]} of track {track_of[i]}",
            dtype=dtype,
        )

    def kernels(self) -> tuple[Kernel, Kernel]:
        """The kernel of all steps, with the user's functions and without."""
        launch: Any = importlib.import_module("bigwig_numba.kernels.launch_transforms")
        functions = tuple(step.function for step in self._transform.steps() if step.code == OWN)
        own, scale = ((launch.make_transform_values(each), launch.TRANSFORM_ARGUMENTS) for each in (functions, ()))
        return own, scale

    def measure_speed(self) -> Speed:
        """Of the kernel, over values that lie on the device."""
        gpu: Any = importlib.import_module("bigwig_numba.checking.gpu")
        return gpu.measure_transforms(self._transform, Scale(2))  # type: ignore[no-any-return]


def _name_of(given: Any) -> str:
    if isinstance(given, list | tuple | Chain):
        return ", ".join(map(_name_of, given.transforms if isinstance(given, Chain) else given))
    function = given.function if isinstance(given, Function) else given
    return str(getattr(function, "__name__", repr(given)))


def _own_functions(transform: Transform) -> list[Function]:
    if isinstance(transform, Chain):
        return [each for part in transform.transforms for each in _own_functions(part)]
    return [transform] if isinstance(transform, Function) else []


def _values_of_file(path: str, seed: int) -> npt.NDArray[np.float32]:
    """(1, bins, 1): the value of each item that random windows meet."""
    with open_bigwig(path) as bigwig:
        chromosomes, starts = random_windows(bigwig.chroms, N_WINDOWS, WINDOW, seed)
        found = [
            bigwig.intervals(chrom, start, min(start + WINDOW, bigwig.chroms[chrom]))
            for chrom, start in zip(chromosomes, starts.tolist(), strict=True)
        ]
    values = np.concatenate([np.empty(0, np.float32), *(each.values for each in found if each is not None)])
    return values[None, :, None]
