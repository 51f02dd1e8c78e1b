"""What the lanes of a warp do together: vote, tell each other words, wait for each other.

Numba extensions like those of ``bits``. On the CPU they behave as in a warp of one lane, so code for warps runs there
with one.

=============  ================================================================
``vote_any``   true on every lane of a warp if true on one
``ballot``     bit i is set if the predicate is true on lane i
``match_any``  bit i is set if lane i has the same value
``shuffle``    the value that another lane has
``sync_warp``  wait for the warp; what its lanes wrote to memory is seen by all
``anchored``   an array in shared memory whose address stays in a register
=============  ================================================================
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .generating import I1, I32, as_flag, is_cuda

_WARP = ir.Constant(I32, 0xFFFFFFFF)


def _warp_call(builder, name, result, arguments):
    """Call an NVVM intrinsic for the whole warp."""
    function_type = ir.FunctionType(result, [I32, *(argument.type for argument in arguments)])
    function = cgutils.get_or_insert_function(builder.module, function_type, name)
    return builder.call(function, [_WARP, *arguments])


@intrinsic
def vote_any(typing_context, predicate):
    """True on every lane of the warp where any lane's predicate is true; on the CPU the predicate itself.

    At the head of a divergent loop this makes the lanes of a warp meet again: without it they run one after another.
    """

    def generate(context, builder, signature, arguments):
        if not is_cuda(context):
            return arguments[0]
        return _warp_call(builder, "llvm.nvvm.vote.any.sync", I1, [as_flag(builder, arguments[0])])

    return types.boolean(types.boolean), generate


@intrinsic
def ballot(typing_context, predicate):
    """Bit i of the uint32 is set if the predicate is true on lane i."""

    def generate(context, builder, signature, arguments):
        flag = as_flag(builder, arguments[0])
        if not is_cuda(context):
            return builder.zext(flag, I32)
        return _warp_call(builder, "llvm.nvvm.vote.ballot.sync", I32, [flag])

    return types.uint32(types.boolean), generate


@intrinsic
def match_any(typing_context, value):
    """Bit i of the uint32 is set if lane i has the same value (uint32)."""

    def generate(context, builder, signature, arguments):
        if not is_cuda(context):
            return ir.Constant(I32, 1)
        return _warp_call(builder, "llvm.nvvm.match.any.sync.i32", I32, list(arguments))

    return types.uint32(types.uint32), generate


@intrinsic
def shuffle(typing_context, value, lane):
    """The value (uint32) that lane ``lane`` has."""

    def generate(context, builder, signature, arguments):
        if not is_cuda(context):
            return arguments[0]
        return _warp_call(builder, "llvm.nvvm.shfl.sync.idx.i32", I32, [*arguments, ir.Constant(I32, 31)])

    return types.uint32(types.uint32, types.uint32), generate


@intrinsic
def sync_warp(typing_context):
    """Wait until all lanes of the warp are here; what they wrote to memory before is seen by all after."""

    def generate(context, builder, signature, arguments):
        if is_cuda(context):
            function_type = ir.FunctionType(ir.VoidType(), [I32])
            wait = cgutils.get_or_insert_function(builder.module, function_type, "llvm.nvvm.bar.warp.sync")
            builder.call(wait, [_WARP])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def anchored(typing_context, array):
    """The same array in shared memory, its address in a register; on the CPU the array itself.

    The assembler takes the address of shared memory for something cheap and calculates it again where it is used. On
    sm_90 that reads a special register each time, for tens of cycles, in the middle of a loop. What comes out of a
    shuffle it cannot calculate again.
    """

    def generate(context, builder, signature, arguments):
        array_type = signature.args[0]
        if not is_cuda(context):
            context.nrt.incref(builder, array_type, arguments[0])
            return arguments[0]
        parts = context.make_array(array_type)(context, builder, arguments[0])
        in_shared = ir.PointerType(parts.data.type.pointee, addrspace=3)
        address = builder.ptrtoint(builder.addrspacecast(parts.data, in_shared), I32)
        zero, all_lanes = ir.Constant(I32, 0), ir.Constant(I32, 31)
        address = _warp_call(builder, "llvm.nvvm.shfl.sync.idx.i32", I32, [address, zero, all_lanes])
        parts.data = builder.addrspacecast(builder.inttoptr(address, in_shared), parts.data.type)
        return parts._getvalue()

    return array(array), generate
