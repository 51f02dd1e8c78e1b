"""What a statistic may call beside operators and ``math``: the same number in plain Python and in compiled code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import numbers
from .compiling import runs_as

__all__ = ["bits_from_float", "float_from_bits", "fused_multiply_add"]


@runs_as(numbers.fused_multiply_add)
def fused_multiply_add(left: Any, right: Any, addend: Any) -> np.float32:
    """``left * right + addend`` in float32, rounded once: where ``addend`` is ``-(left * right)``, what rounding lost.

    In float64 the product is exact; the sum is rounded to odd, so that rounding to float32 sees on which side of a tie
    it is (Boldo and Melquiond 2008).

    Examples
    --------
    >>> third = np.float32(1 / 3)
    >>> fused_multiply_add(third, third, -(third * third))
    np.float32(-1.6556845e-09)
    """
    with np.errstate(all="ignore"):
        product, term = np.float64(np.float32(left)) * np.float64(np.float32(right)), np.float64(np.float32(addend))
        total = product + term
        part = total - product
        lost = (product - (total - part)) + (term - part)
        if lost != 0 and math.isfinite(lost) and total.view(np.int64) & 1 == 0:
            total = np.nextafter(total, math.copysign(math.inf, lost))
        return np.float32(total)


@runs_as(numbers.bits_from_float)
def bits_from_float(value: Any) -> np.uint32:
    """The bits of this float32.

    Examples
    --------
    >>> hex(bits_from_float(1.0))
    '0x3f800000'
    """
    return np.float32(value).view(np.uint32)


@runs_as(numbers.float_from_bits)
def float_from_bits(word: Any) -> np.float32:
    """The float32 with these bits.

    Examples
    --------
    >>> float_from_bits(0x3F800000)
    np.float32(1.0)
    """
    return np.uint32(word).view(np.float32)
