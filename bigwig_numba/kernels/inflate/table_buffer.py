"""The bit buffers of the CPU's decoder: 64 bits, of which the lowest come next, filled 8 bytes at a time.

Two of a kind. One comes with the number of its bits, which each symbol lowers. It is filled up, and a symbol can be
looked up before. In the other the highest bit is set when it is filled, so that the zeros above that bit count what was
taken since: symbols do nothing for it. It is filled anew, from the byte of the first bit that is left.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..jit import njit
from ..memory import load_64
from .calls import IN_LINE

_U = np.uint64
_HIGHEST_BIT = 1 << 63


@intrinsic
def leading_zeros_64(typing_context, word):
    """The number of zero bits above the highest one of a uint64, which must not be 0."""

    def generate(context, builder, signature, arguments):
        i64, i1 = ir.IntType(64), ir.IntType(1)
        count = cgutils.get_or_insert_function(builder.module, ir.FunctionType(i64, [i64, i1]), "llvm.ctlz.i64")
        return builder.call(count, [arguments[0], ir.Constant(i1, 1)])

    return types.int64(types.uint64), generate


@njit(**IN_LINE)
def refill(data, position, buffer, n_bits):
    """Fill the buffer up to 56 bits or more. The lowest six bits of ``n_bits`` count: entries are taken off whole."""
    buffer |= load_64(data, position) << _U(n_bits & 63)
    return position + ((~n_bits & 63) >> 3), buffer, n_bits & 63 | 56


@njit(**IN_LINE)
def fill_from(data, position):
    """A buffer of 63 bits that counts what is taken."""
    return load_64(data, position) | _U(_HIGHEST_BIT)


@njit(**IN_LINE)
def refill_from(data, position, buffer):
    """Fill a buffer, filled from ``position`` before, with 56 bits or more. Returns from where it is now, and it."""
    taken = leading_zeros_64(buffer)
    position += taken >> 3
    return position, fill_from(data, position) >> _U(taken & 7)
