"""How intrinsics write their code: LLVM's functions, single PTX instructions, and which target it is for."""

from llvmlite import ir
from numba.core import cgutils

I1, I32, I64 = (ir.IntType(bits) for bits in (1, 32, 64))
F32 = ir.FloatType()


def is_cuda(context):
    """Whether code is generated for a GPU."""
    return "CUDA" in type(context).__name__


def call(builder, name, result, arguments):
    """Call the LLVM intrinsic of this name; its arguments have the type of the result."""
    function_type = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), arguments)


def inline_ptx(builder, instruction, arguments):
    """One PTX instruction on 32-bit registers: ``$0`` is the result, ``$1`` and on the arguments."""
    function_type = ir.FunctionType(I32, [I32] * len(arguments))
    constraints = ",".join(["=r"] + ["r"] * len(arguments))
    return builder.call(ir.InlineAsm(function_type, instruction, constraints), arguments)


def as_flag(builder, value):
    """A boolean as one bit."""
    return value if value.type == I1 else builder.icmp_unsigned("!=", value, ir.Constant(value.type, 0))
