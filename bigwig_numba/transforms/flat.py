"""Values of either device as the kernels take them: flat, and 16-bit floats as their bits."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.cpu import aligned_empty
from ..errors import ConfigError
from ..kernels.windows import BFLOAT16, FLOAT16, FLOAT32

__all__ = ["FlatValues", "launch", "to_device_of"]

DTYPE_CODES = {"float32": FLOAT32, "float16": FLOAT16, "uint16": BFLOAT16}
THREADS = 256  # per CUDA block


@dataclass(frozen=True, slots=True, eq=False)
class FlatValues:
    """Values (samples, bins, tracks[, ...]) of either device.

    Parameters
    ----------
    array
        C-contiguous, NumPy or CuPy.
    """

    array: Any

    @classmethod
    def of(cls, values: Any) -> FlatValues:
        """Take values as they are; of an array that is not contiguous, a copy that is.

        Raises
        ------
        ConfigError
            Fewer than three axes, or another type than float32, float16 and uint16 (bfloat16 as its bits).
        """
        dtype, n_axes = str(getattr(values, "dtype", None)), getattr(values, "ndim", 0)
        if n_axes < 3 or dtype not in DTYPE_CODES:
            found = f"{type(values).__name__} of {n_axes} axes and type {dtype}"
            expected = "an array (samples, bins, tracks) of float32, float16, or uint16 that holds bfloat16"
            raise ConfigError(f"values are {found}, expected {expected}", argument="values", value=found)
        return cls(values if values.flags.c_contiguous else values.copy(order="C"))

    def empty_like(self, dtype: npt.DTypeLike) -> FlatValues:
        """Uninitialised values of the same shape on the same device."""
        return FlatValues(self._empty(self.array.shape, dtype))

    def _empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Any:
        if self.is_on_host:
            return aligned_empty(shape, dtype)
        import cupy

        return cupy.empty(shape, dtype)

    @property
    def is_on_host(self) -> bool:
        """Whether NumPy has it."""
        return isinstance(self.array, np.ndarray)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Samples, bins, tracks."""
        n_samples, n_bins, n_tracks = self.array.shape[:3]
        return n_samples, n_bins, n_tracks

    @property
    def n_inner(self) -> int:
        """Values per sample, bin and track: more than 1 if there are several statistics."""
        return int(np.prod(self.array.shape[3:], dtype=np.int64))

    @property
    def dtype_code(self) -> int:
        """The kernels' number for the type."""
        return DTYPE_CODES[str(self.array.dtype)]

    @property
    def bits(self) -> Any:
        """The values, flat, as unsigned integers: to be moved, whatever they mean (Numba has no float16 on the CPU)."""
        return self.array.reshape(-1).view(np.dtype(f"u{self.array.itemsize}"))

    @property
    def single_and_half(self) -> tuple[Any, Any]:
        """The values, flat, as float32 and as uint16; of the type that they are not, one that no kernel looks at."""
        flat = self.array.reshape(-1)
        if self.dtype_code == FLOAT32:
            return flat, self._empty((1,), np.uint16)
        return self._empty((1,), np.float32), flat.view(np.uint16)


def to_device_of(values: FlatValues, array: npt.NDArray[Any]) -> Any:
    """The array where the values are; a copy to the GPU is not waited for."""
    if values.is_on_host:
        return array
    import cupy

    return cupy.asarray(array, blocking=False)


def launch(kernel: Any, n_threads: int, *arguments: Any, name: str | None) -> None:
    """Launch a CUDA kernel with at least so many threads, on the current stream; nothing is waited for."""
    _launcher().launch(kernel, -(-n_threads // THREADS), THREADS, *arguments, name=name)


@functools.cache
def _launcher() -> Any:
    """One for the process: it keeps machine code that was loaded."""
    from ..engine.launcher import KernelLauncher

    return KernelLauncher()
