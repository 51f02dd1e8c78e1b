"""Memory as the CPU reads it: eight bytes at any address, and copies from a raw address. None of it checks bounds.

Numba extensions like those of ``bits``; the caller checks.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_I8, _I64 = ir.IntType(8), ir.IntType(64)


def _byte_pointer(context, builder, array_type, array, index):
    """The address of element ``index`` of a uint8 array, unchecked."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(builder.bitcast(data, _I8.as_pointer()), [index])


@intrinsic
def load_64(typing_context, array, index):
    """The 8 bytes from ``array[index]`` on as a uint64; ``array`` is uint8, any alignment. CPU only, unchecked."""

    def generate(context, builder, signature, arguments):
        address = _byte_pointer(context, builder, signature.args[0], arguments[0], arguments[1])
        word = builder.load(builder.bitcast(address, _I64.as_pointer()))
        word.align = 1
        return word

    return types.uint64(array, types.int64), generate


@intrinsic
def store_64(typing_context, array, index, word):
    """Write a uint64 to the 8 bytes from ``array[index]`` on; any alignment. CPU only, unchecked."""

    def generate(context, builder, signature, arguments):
        address = _byte_pointer(context, builder, signature.args[0], arguments[0], arguments[1])
        store = builder.store(arguments[2], builder.bitcast(address, _I64.as_pointer()))
        store.align = 1
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint64), generate


@intrinsic
def copy_from_address(typing_context, destination, offset, address, size):
    """Copy ``size`` bytes from a raw address to ``destination[offset:]`` (uint8). CPU only, unchecked.

    Thousands of memory maps cannot be passed to a compiled function as arrays; their addresses can.
    """

    def generate(context, builder, signature, arguments):
        target = _byte_pointer(context, builder, signature.args[0], arguments[0], arguments[1])
        source = builder.inttoptr(arguments[2], _I8.as_pointer())
        cgutils.raw_memcpy(builder, target, source, arguments[3], 1)
        return context.get_dummy_value()

    return types.void(destination, types.int64, types.uintp, types.int64), generate
