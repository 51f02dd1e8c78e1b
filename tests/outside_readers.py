"""What other BigWig readers say: pyBigWig, and pybigtools for what pyBigWig refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pybigtools
import pyBigWig

Values = Callable[[str, int, int], npt.NDArray[np.float32]]


def pybigwig_values(path: Path) -> Values:
    """(chrom, start, end) → (end - start,) float32, NaN where nothing is; windows inside the chromosome only."""
    file = pyBigWig.open(str(path))
    return lambda chrom, start, end: np.asarray(file.values(chrom, start, end), np.float32)


def pybigtools_values(path: Path) -> Values:
    """As `pybigwig_values`; positions below 2^31 only."""
    file = pybigtools.open(str(path))
    return lambda chrom, start, end: np.asarray(file.values(chrom, start, end, fillna=None), np.float32)


READERS = {"pyBigWig": pybigwig_values, "pybigtools": pybigtools_values}
