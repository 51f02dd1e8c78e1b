"""Numbers as NumPy and Python have them, for both targets: floats that round once, operators, comparisons, casts.

Numba extensions like those of ``bits``. Numba would take 64 bits for most, and a GPU's compiler fuses a product with a
sum, which then rounds once less.

======================  =======================================================================
``float_from_bits``     the float32 with these bits
``bits_from_float``     the bits of this float32
``fused_multiply_add``  ``a * b + c`` in float32, rounded once
``rounded_add``         ``a + b`` in float32, rounded by itself: never fused with a product
``rounded_multiply``    ``a * b`` in float32, likewise
``plus minus times``    Python's operators between numbers of any types, each rounded by itself
``divided_by``          Python's ``/``, in float32
``less less_equal``     Python's ``<`` and ``<=``
``greater``             Python's ``>``
``greater_equal``       Python's ``>=``
``equal not_equal``     Python's ``==`` and ``!=``
``smaller larger``      Python's ``min`` and ``max`` of two
``as_float``            a whole number as float32
``make_cast``           makes a conversion to a given type
======================  =======================================================================
"""

from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from .generating import F32, I32, I64, call, is_cuda


@intrinsic
def float_from_bits(typing_context, word):
    """The float32 whose bits are this uint32."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], F32)

    return types.float32(types.uint32), generate


@intrinsic
def bits_from_float(typing_context, value):
    """The bits of this float32, as uint32."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], I32)

    return types.uint32(types.float32), generate


@intrinsic
def fused_multiply_add(typing_context, left, right, addend):
    """``left * right + addend`` in float32, rounded once. On CUDA by name: of 1, LLVM makes a sum that may be fused."""

    def generate(context, builder, signature, arguments):
        if is_cuda(context):
            function_type = ir.FunctionType(F32, [F32] * 3)
            return builder.call(ir.InlineAsm(function_type, "fma.rn.f32 $0, $1, $2, $3;", "=f,f,f,f"), arguments)
        return call(builder, "llvm.fma.f32", F32, list(arguments))

    return types.float32(types.float32, types.float32, types.float32), generate


def _rounded(nvvm_name, operation):
    """A float32 operation that rounds by itself. On CUDA the compiler may fuse a plain product and sum into one."""

    @intrinsic
    def float_operation(typing_context, left, right):
        def generate(context, builder, signature, arguments):
            if is_cuda(context):
                return call(builder, nvvm_name, F32, list(arguments))
            return getattr(builder, operation)(*arguments)

        return types.float32(types.float32, types.float32), generate

    return float_operation


rounded_add = _rounded("llvm.nvvm.add.rn.f", "fadd")
rounded_multiply = _rounded("llvm.nvvm.mul.rn.f", "fmul")


def _number(*operands):
    """The type that numbers are calculated in: float64 if one is, float32 if one is a float, else int64.

    As in NumPy, where Python's numbers adapt to those of an array (NEP 50), and unlike in Numba, where
    float32 * int is a float64.
    """
    kinds = [types.unliteral(operand) for operand in operands]
    if not all(isinstance(kind, types.Float | types.Integer | types.Boolean) for kind in kinds):
        raise TypingError(f"expected numbers, not {' and '.join(map(str, kinds))}")
    if types.float64 in kinds:
        return types.float64
    return types.float32 if any(isinstance(kind, types.Float) for kind in kinds) else types.int64


def _round(context, builder, operation, left, right):
    """A sum or product of floats that rounds by itself, on CUDA too."""
    if not is_cuda(context):
        return getattr(builder, operation)(left, right)
    suffix = "f" if left.type == F32 else "d"
    return call(builder, f"llvm.nvvm.{operation[1:]}.rn.{suffix}", left.type, [left, right])


def _negative(builder, value):
    """``-value``, as NVVM's LLVM knows it, which is older than the instruction for it."""
    return builder.fsub(ir.Constant(value.type, -0.0), value)


def _arithmetic(generate_float, int_operation):
    """An intrinsic for a Python operator between numbers; ``_number`` says in which type."""

    @intrinsic
    def operation(typing_context, left, right):
        kind = _number(left, right)

        def generate(context, builder, signature, arguments):
            if kind == types.int64:
                return getattr(builder, int_operation)(*arguments)
            return generate_float(context, builder, *arguments)

        return kind(kind, kind), generate

    return operation


plus = _arithmetic(lambda context, builder, left, right: _round(context, builder, "fadd", left, right), "add")
minus = _arithmetic(
    lambda context, builder, left, right: _round(context, builder, "fadd", left, _negative(builder, right)), "sub"
)
times = _arithmetic(lambda context, builder, left, right: _round(context, builder, "fmul", left, right), "mul")


@intrinsic
def divided_by(typing_context, left, right):
    """``left / right``: float32 for whole numbers too. Division by 0 gives infinity or NaN."""
    kind = types.float64 if _number(left, right) == types.float64 else types.float32

    def generate(context, builder, signature, arguments):
        return builder.fdiv(*arguments)

    return kind(kind, kind), generate


@intrinsic
def as_float(typing_context, number):
    """A whole number as float32; a float as it is."""
    kind = types.float64 if _number(number) == types.float64 else types.float32

    def generate(context, builder, signature, arguments):
        return arguments[0]

    return kind(kind), generate


def _compare(builder, operator, left, right):
    """One bit; with a NaN only ``!=`` is true."""
    if left.type == I64:
        return builder.icmp_signed(operator, left, right)
    return (builder.fcmp_unordered if operator == "!=" else builder.fcmp_ordered)(operator, left, right)


def _comparison(operator):
    """An intrinsic for a comparison of numbers."""

    @intrinsic
    def comparison(typing_context, left, right):
        kind = _number(left, right)

        def generate(context, builder, signature, arguments):
            return _compare(builder, operator, *arguments)

        return types.boolean(kind, kind), generate

    return comparison


less, less_equal, greater, greater_equal, equal, not_equal = map(_comparison, ("<", "<=", ">", ">=", "==", "!="))


def _extreme(operator):
    """An intrinsic for Python's ``min`` or ``max`` of two numbers: the first unless the second is beyond it."""

    @intrinsic
    def extreme(typing_context, left, right):
        kind = _number(left, right)

        def generate(context, builder, signature, arguments):
            left_value, right_value = arguments
            return builder.select(_compare(builder, operator, right_value, left_value), right_value, left_value)

        return kind(kind, kind), generate

    return extreme


smaller, larger = _extreme("<"), _extreme(">")


def _fits(value, target):
    """Whether numbers, or tuples of as many numbers, are to be converted."""
    if isinstance(target, types.BaseTuple):
        are_tuples = isinstance(value, types.BaseTuple) and len(value) == len(target)
        return are_tuples and all(_fits(inner, slot) for inner, slot in zip(value, target, strict=True))
    return isinstance(types.unliteral(value), types.Number | types.Boolean)


def make_cast(target):
    """An intrinsic that converts a number, or a tuple of numbers, to this Numba type."""

    @intrinsic
    def cast(typing_context, value):
        if not _fits(value, target):
            raise TypingError(f"the result is {value}, expected {target}")

        def generate(context, builder, signature, arguments):
            return arguments[0]  # converted already, as any argument is to its parameter's type

        return target(target), generate

    return cast
