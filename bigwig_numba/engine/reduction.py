"""How bins are made of items: what both engines take beside the plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from ..kernels.statistics import Statistic, builtin_names
from ..kernels.windows import BFLOAT16, FLOAT16, FLOAT32

DTYPE_CODES = {"float32": FLOAT32, "float16": FLOAT16, "bfloat16": BFLOAT16}


@dataclass(frozen=True)
class Reduction:
    """Statistic, default, output type and scales of a batch.

    Parameters
    ----------
    statistic
        How the items that overlap a bin become its value; several give the output a last axis.
    default_value
        What an uncovered base counts as; NaN: it does not count.
    dtype
        ``"float32"``, ``"float16"`` or ``"bfloat16"``.
    scales : (T,) float32
        What each track's values are multiplied with; the default is not.
    """

    statistic: Statistic | tuple[Statistic, ...]
    default_value: float
    dtype: str
    scales: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.dtype not in DTYPE_CODES:
            raise ConfigError(
                f"dtype {self.dtype!r} is not one of {', '.join(DTYPE_CODES)}", argument="dtype", value=self.dtype
            )

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, ...]:
        """(S, B, T), and for several statistics (S, B, T, number of statistics)."""
        return (*shape, len(self.statistic)) if isinstance(self.statistic, tuple) else shape

    @property
    def kernel_name(self) -> str | None:
        """Name under which the compiled kernel may be kept; None if it has functions of the user's."""
        names = builtin_names(self.statistic)
        return None if names is None else f"reduce_windows_{names}"

    @property
    def dtype_code(self) -> int:
        """The kernels' number for ``dtype``."""
        return DTYPE_CODES[self.dtype]

    @property
    def array_dtype(self) -> type[np.float32] | type[np.float16] | type[np.uint16]:
        """The NumPy type that holds it; bfloat16 is held as its bits, uint16."""
        if self.dtype_code == FLOAT32:
            return np.float32
        return np.float16 if self.dtype_code == FLOAT16 else np.uint16
