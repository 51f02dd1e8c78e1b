"""Moving average along bins."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ConfigError
from ..kernels.transforms import average_range
from ..regions.frames import check_integer
from .flat import FlatValues, launch

__all__ = ["moving_average"]


def moving_average(values: Any, width: int) -> Any:
    """Average each bin with its neighbours, along bins.

    Bin b becomes the mean of bins ``b - width // 2`` to ``b + (width - 1) // 2``, both included. Bins beyond the first
    and the last count as 0, and the sum is always divided by ``width``, as ``numpy.convolve(..., mode="same")`` and
    bigwig-loader do it: averages near the ends are drawn towards 0. NaN makes NaN of each average that it is in, and of
    no other.

    Parameters
    ----------
    values : (S, B, T) float32 or float16, or uint16 with the bits of bfloat16
        NumPy or CuPy; not changed. More axes may follow.
    width
        In bins, 1 to B. With 1 the values are returned as they are.

    Returns
    -------
    (S, B, T) array
        New memory of the same type on the same device; within 2.4e-7 of the exact average of absolute values, whatever
        the width, before it is rounded to 16 bits.

    Raises
    ------
    ConfigError
        A width that is not between 1 and B.

    Examples
    --------
    >>> values = np.array([0, 3, 0, 6, 0], np.float32).reshape(1, 5, 1)
    >>> moving_average(values, 3).ravel()
    array([1., 1., 3., 2., 2.], dtype=float32)
    """
    flat = FlatValues.of(values)
    n_samples, n_bins, n_tracks = flat.shape
    width = check_integer(width, "moving_average_window_size", at_least=1)
    if width == 1:
        return values
    if width > n_bins:
        message = f"moving_average_window_size is {width}, expected 1 to {n_bins}, the number of bins"
        raise ConfigError(message, argument="moving_average_window_size", value=width)
    averages = flat.empty_like(flat.array.dtype)
    if not averages.array.size:
        return averages.array
    sums = averages if averages.array.dtype == np.float32 else flat.empty_like(np.float32)
    n_lines, n_pieces = n_tracks * flat.n_inner, -(-n_bins // width)
    arrays = (*flat.single_and_half, flat.dtype_code, sums.array.reshape(-1), *averages.single_and_half)
    if flat.is_on_host:
        average_range(0, n_samples, *arrays, width, n_bins, n_lines)
    else:
        from ..kernels.launch_transforms import average_bins

        n_threads = n_samples * n_pieces * n_lines
        arguments = (*arrays, width, n_bins, n_lines, n_pieces, n_threads)
        launch(average_bins, n_threads, *arguments, name="average_bins")
    return averages.array
