"""Transforms of all tracks, compiled to one pass over the values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arguments import track_numbers
from ..errors import ConfigError
from ..kernels.transforms import make_transform_range
from ..scale import keys_of_paths, unused_keys
from .flat import FlatValues, launch, to_device_of
from .steps import Step, Transform, as_transform

__all__ = ["TrackTransforms"]

ARGUMENT = "transforms"


class TrackTransforms:
    """What is done to the values of each track, on the device that they are on.

    Parameters
    ----------
    transforms
        A :class:`Transform`, a list of them, or a function, for all tracks; or a mapping of track number, or full or
        partial path as for ``scale``, to such. A number comes before a path; tracks that are not named stay as they
        are.
    paths
        Of the collection's files, in track order.

    Raises
    ------
    ConfigError
        Something that is no transform, or a key that names no track.

    Examples
    --------
    >>> from bigwig_numba.transforms import Log1p, Scale
    >>> transforms = TrackTransforms({"liver": [Scale(2), Log1p()], 1: Scale(10)}, ["liver/a.bw", "brain/b.bw"])
    >>> values = np.ones((1, 1, 2), np.float32)
    >>> transforms.apply(values)
    array([[[ 1.0986123, 10.       ]]], dtype=float32)
    """

    def __init__(
        self,
        transforms: Transform | Callable[..., Any] | Sequence[Any] | Mapping[Any, Any],
        paths: Sequence[str],
    ) -> None:
        self.transforms = _of_each_track(transforms, list(paths))

    def apply(self, values: Any, *, track_indices: Any | None = None) -> Any:
        """Transform values in place.

        Parameters
        ----------
        values : (S, B, T) float32 or float16, or uint16 with the bits of bfloat16
            NumPy or CuPy, written to. More axes may follow. A value is rounded once, after all steps.
        track_indices
            (T,) which tracks of the collection these are; all by default.

        Returns
        -------
        (S, B, T) array
            ``values``; of an array that is not C-contiguous, a transformed copy.

        Raises
        ------
        ConfigError
            Tracks that do not fit the values.
        """
        codes, parameters, functions = self._program
        flat = FlatValues.of(values)
        tracks = self._tracks(flat.shape[2], track_indices)
        if not codes.shape[1] or not flat.array.size:
            return values
        n_samples, n_bins, _ = flat.shape
        tables = [to_device_of(flat, array) for array in (codes, parameters, tracks)]
        arguments = (*flat.single_and_half, flat.dtype_code, *tables, flat.n_inner)
        if flat.is_on_host:
            make_transform_range(functions)(0, n_samples * n_bins, *arguments)
        else:
            from ..kernels.launch_transforms import make_transform_values

            name = None if functions else "transform_values"
            launch(make_transform_values(functions), flat.array.size, *arguments, flat.array.size, name=name)
        return flat.array

    @functools.cached_property
    def _program(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32], tuple[Any, ...]]:
        """Codes (N, steps), their numbers (N, steps, 2), and users' functions."""
        programs = [() if transform is None else transform.steps() for transform in self.transforms]
        functions = tuple(dict.fromkeys(step.function for steps in programs for step in steps if step.function))
        n_steps = max(map(len, programs), default=0)
        codes = np.zeros((len(programs), n_steps), dtype=np.int32)
        parameters = np.zeros((len(programs), n_steps, 2), dtype=np.float32)
        for track, steps in enumerate(programs):
            for place, step in enumerate(steps):
                codes[track, place] = step.code
                parameters[track, place] = _numbers(step, functions)
        return codes, parameters, functions

    def _tracks(self, n_tracks: int, track_indices: Any | None) -> npt.NDArray[np.int64]:
        n_known = len(self.transforms)
        tracks = np.arange(n_known) if track_indices is None else track_numbers(track_indices)
        if len(tracks) != n_tracks or (n_tracks and not 0 <= tracks.min() <= tracks.max() < n_known):
            message = (
                f"values have {n_tracks} tracks, and track_indices are {tracks.tolist()[:10]}: expected one per track, "
                f"from 0 to {n_known - 1}"
            )
            raise ConfigError(message, argument="track_indices", value=track_indices)
        return tracks

    def __getstate__(self) -> dict[str, Any]:
        # Compiled functions are made anew: those of another process are not the same to Numba's cache of kernels.
        return {"transforms": self.transforms}


def _numbers(step: Step, functions: tuple[Any, ...]) -> tuple[float, float]:
    return (functions.index(step.function), 0.0) if step.function else (step.first, step.second)


def _of_each_track(transforms: Any, paths: list[str]) -> list[Transform | None]:
    """The transform of each track, None for none."""
    if not isinstance(transforms, Mapping):
        return [as_transform(transforms)] * len(paths)
    by_number = {key: as_transform(value) for key, value in transforms.items() if isinstance(key, int | np.integer)}
    by_path = {key: as_transform(value) for key, value in transforms.items() if key not in by_number}
    wrong = [key for key in by_number if not 0 <= key < len(paths)]
    matches = keys_of_paths(paths, by_path)
    unused = wrong or unused_keys(matches, by_path)
    if unused:
        message = f"{ARGUMENT} has {unused[0]!r}, which names none of the {len(paths)} tracks, like {paths[0]!r}"
        raise ConfigError(message, argument=ARGUMENT, value=unused[0])
    found = [None if key is None else by_path[key] for key in matches]
    return [by_number.get(track, transform) for track, transform in enumerate(found)]
