"""32-bit integer operations for both targets, CPU and CUDA, as Numba extensions.

Numba widens: ``uint32 + uint32`` is a ``uint64``, and casting the result back does not narrow a shift. On a GPU that
doubles the instructions of everything here, so the kernels spell 32-bit arithmetic with the functions of this file.
Each is an ``@intrinsic``: the type checker sees a signature, the compiler gets one instruction.

=====================  ====================================================================
``add sub mul``        arithmetic modulo 2**32
``shl shr``            shifts; the amount must be below 32 (the instruction does not check)
``band bor``           bitwise and, or
``least``              the smaller of two
``choose``             one of two
``add_where``          a sum where a condition holds
``reverse_where``      another word's bits, reversed, where one holds
``words_before``       a quarter of a position
``funnel_right``       the low word of ``high:low >> (amount & 31)``
``funnel_left``        the high word of ``high:low << (amount & 31)``
``reverse_bits``       bit 0 becomes bit 31
``count_ones``         population count
``leading_zeros``      number of zero bits above the highest one
``guard_bytes``        a byte of ones for each half of two words whose highest bit is set
``less_guards``        a number less one for each such byte of a word
``swap_bytes``         little-endian to big-endian and back
``order_bytes``        that, or nothing, as an order says
``pick_bytes``         some bytes of a word, as a selector says
``pick_byte``          a byte of two words
``float_from_bits``    the float32 with these bits
``bits_from_float``    the bits of this float32
``fused_multiply_add`` ``a * b + c`` in float32, rounded once
``rounded_add``        ``a + b`` in float32, rounded by itself: never fused with a product
``rounded_multiply``   ``a * b`` in float32, likewise
``plus minus times``   Python's operators between numbers of any types, each rounded by itself
``divided_by``         Python's ``/``, in float32
``less less_equal``    Python's ``<`` and ``<=``
``greater``            Python's ``>``
``greater_equal``      Python's ``>=``
``equal not_equal``    Python's ``==`` and ``!=``
``smaller larger``     Python's ``min`` and ``max`` of two
``as_float``           a whole number as float32
``make_cast``          makes a conversion to a given type
``vote_any``           true on every lane of a warp if true on one
``ballot``             bit i is set if the predicate is true on lane i
``match_any``          bit i is set if lane i has the same value
``shuffle``            the value that another lane has
``sync_warp``          wait for the warp; what its lanes wrote to memory is seen by all
``anchored``           an array in shared memory whose address stays in a register
=====================  ====================================================================

On the CPU the last six behave as in a warp of one lane, so code for warps runs there with one.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

_I1, _I32, _I64 = (ir.IntType(bits) for bits in (1, 32, 64))
_F32 = ir.FloatType()
_WARP = ir.Constant(_I32, 0xFFFFFFFF)


def _is_cuda(context):
    return "CUDA" in type(context).__name__


def _call(builder, name, result, arguments):
    """Call the LLVM intrinsic of this name; its arguments have the type of the result."""
    function_type = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), arguments)


def _inline_ptx(builder, instruction, arguments):
    """One PTX instruction on 32-bit registers: ``$0`` is the result, ``$1`` and on the arguments."""
    function_type = ir.FunctionType(_I32, [_I32] * len(arguments))
    constraints = ",".join(["=r"] + ["r"] * len(arguments))
    return builder.call(ir.InlineAsm(function_type, instruction, constraints), arguments)


def _binary(operation):
    """An intrinsic (uint32, uint32) -> uint32 that is this one LLVM instruction."""

    @intrinsic
    def word_operation(typing_context, left, right):
        def generate(context, builder, signature, arguments):
            return getattr(builder, operation)(*arguments)

        return types.uint32(types.uint32, types.uint32), generate

    return word_operation


add = _binary("add")
sub = _binary("sub")
mul = _binary("mul")
shl = _binary("shl")
shr = _binary("lshr")
band = _binary("and_")
bor = _binary("or_")


def _unary(name):
    """An intrinsic uint32 -> uint32 that is this one LLVM intrinsic, on both targets."""

    @intrinsic
    def word_operation(typing_context, word):
        def generate(context, builder, signature, arguments):
            return _call(builder, name, _I32, list(arguments))

        return types.uint32(types.uint32), generate

    return word_operation


reverse_bits = _unary("llvm.bitreverse.i32")
count_ones = _unary("llvm.ctpop.i32")


@intrinsic
def guard_bytes(typing_context, left, right):
    """A byte of ones for each of the four 16-bit halves whose highest bit is set, of zeros for the others.

    On CUDA one instruction (``prmt`` can repeat a byte's sign); the bytes' order is not said.
    """

    def generate(context, builder, signature, arguments):
        if _is_cuda(context):
            return _inline_ptx(builder, "prmt.b32 $0, $1, $2, 0xFDB9;", list(arguments))
        mask, ones = ir.Constant(_I32, 0x00010001), ir.Constant(_I32, 0xFF)
        low, high = (
            builder.mul(builder.and_(builder.lshr(word, ir.Constant(_I32, 15)), mask), ones) for word in arguments
        )
        return builder.or_(low, builder.shl(high, ir.Constant(_I32, 8)))

    return types.uint32(types.uint32, types.uint32), generate


@intrinsic
def less_guards(typing_context, guards, number):
    """``number`` less one for each byte of ones of ``guard_bytes``: on CUDA a dot product, one instruction."""

    def generate(context, builder, signature, arguments):
        if _is_cuda(context):
            return _inline_ptx(builder, "dp4a.s32.s32 $0, $1, 0x01010101, $2;", list(arguments))
        ones = _call(builder, "llvm.ctpop.i32", _I32, [arguments[0]])
        return builder.sub(arguments[1], builder.lshr(ones, ir.Constant(_I32, 3)))

    return types.uint32(types.uint32, types.uint32), generate


def _swapped(context, builder, word, order):
    """The word's bytes in an order. LLVM's own swap becomes six instructions, so CUDA gets the one by name."""
    if _is_cuda(context):
        return _inline_ptx(builder, "prmt.b32 $0, $1, $1, $2;", [word, order])
    is_swapped = builder.icmp_unsigned("==", order, ir.Constant(_I32, SWAPPED_BYTES))
    return builder.select(is_swapped, _call(builder, "llvm.bswap.i32", _I32, [word]), word)


SAME_BYTES, SWAPPED_BYTES = 0x3210, 0x0123


@intrinsic
def swap_bytes(typing_context, word):
    """The bytes of a uint32, the other way round."""

    def generate(context, builder, signature, arguments):
        return _swapped(context, builder, arguments[0], ir.Constant(_I32, SWAPPED_BYTES))

    return types.uint32(types.uint32), generate


@intrinsic
def order_bytes(typing_context, word, order):
    """The bytes of a uint32 as they are (``SAME_BYTES``), or the other way round (``SWAPPED_BYTES``)."""

    def generate(context, builder, signature, arguments):
        return _swapped(context, builder, *arguments)

    return types.uint32(types.uint32, types.uint32), generate


@intrinsic
def pick_bytes(typing_context, word, selector):
    """The bytes of a uint32 that the four lowest hexadecimal digits of ``selector``, each below 4, name."""

    def generate(context, builder, signature, arguments):
        word, selector = arguments
        if _is_cuda(context):
            return _inline_ptx(builder, "prmt.b32 $0, $1, $1, $2;", [word, selector])
        three, ones = ir.Constant(_I32, 3), ir.Constant(_I32, 0xFF)
        picked = ir.Constant(_I32, 0)
        for number in range(4):
            digit = builder.and_(builder.lshr(selector, ir.Constant(_I32, 4 * number)), three)
            byte = builder.and_(builder.lshr(word, builder.shl(digit, three)), ones)
            picked = builder.or_(picked, builder.shl(byte, ir.Constant(_I32, 8 * number)))
        return picked

    return types.uint32(types.uint32, types.uint32), generate


PICK_BYTE = 0x8880


@intrinsic
def pick_byte(typing_context, low, high, number):
    """Byte ``number - PICK_BYTE``, below 8, of two words whose bytes are below 128.

    On CUDA one instruction: the number's other digits ask for the sign of the lowest byte, repeated, which is 0.
    """

    def generate(context, builder, signature, arguments):
        low, high, number = arguments
        if _is_cuda(context):
            return _inline_ptx(builder, "prmt.b32 $0, $1, $2, $3;", arguments)
        number = builder.and_(number, ir.Constant(_I32, 7))
        both = builder.or_(builder.zext(low, _I64), builder.shl(builder.zext(high, _I64), ir.Constant(_I64, 32)))
        shifted = builder.lshr(both, builder.zext(builder.shl(number, ir.Constant(_I32, 3)), _I64))
        return builder.and_(builder.trunc(shifted, _I32), ir.Constant(_I32, 0xFF))

    return types.uint32(types.uint32, types.uint32, types.uint32), generate


@intrinsic
def leading_zeros(typing_context, word):
    """The number of zero bits above the highest one; 32 for 0."""

    def generate(context, builder, signature, arguments):
        function_type = ir.FunctionType(_I32, [_I32, _I1])
        count = cgutils.get_or_insert_function(builder.module, function_type, "llvm.ctlz.i32")
        return builder.call(count, [arguments[0], ir.Constant(_I1, 0)])

    return types.uint32(types.uint32), generate


@intrinsic
def least(typing_context, left, right):
    """The smaller of two uint32."""

    def generate(context, builder, signature, arguments):
        return builder.select(builder.icmp_unsigned("<", *arguments), *arguments)

    return types.uint32(types.uint32, types.uint32), generate


def _where(operation, ptx):
    """An intrinsic (word, *operands, condition): the operation's result where the condition holds, else ``word``."""

    def generate(context, builder, signature, arguments):
        word, *operands, condition = arguments
        if _is_cuda(context):
            flag = builder.zext(_as_flag(builder, condition), _I32)
            numbers = ", ".join(f"${number}" for number in range(1, len(operands) + 1))
            flag_number = len(operands) + 1
            code = f"{{ .reg .pred p; setp.ne.u32 p, ${flag_number}, 0; @p {ptx} $0, {numbers}; }}"
            function_type = ir.FunctionType(_I32, [_I32] * (len(operands) + 2))
            constraints = ",".join(["=r", *["r"] * (len(operands) + 1), "0"])
            return builder.call(ir.InlineAsm(function_type, code, constraints), [*operands, flag, word])
        return builder.select(_as_flag(builder, condition), operation(builder, word, *operands), word)

    return generate


@intrinsic
def add_where(typing_context, word, addend, condition):
    """``word + addend`` where the condition holds, else ``word``: on CUDA one instruction, carried out or not."""

    def add_words(builder, word, same, addend):
        return builder.add(same, addend)

    generate = _where(add_words, "add.u32")

    def generate_add(context, builder, signature, arguments):
        word, addend, condition = arguments
        return generate(context, builder, signature, [word, word, addend, condition])

    return types.uint32(types.uint32, types.uint32, types.boolean), generate_add


@intrinsic
def reverse_where(typing_context, word, other, condition):
    """The bits of ``other`` the other way round where the condition holds, else ``word``."""

    def reverse(builder, word, other):
        return _call(builder, "llvm.bitreverse.i32", _I32, [other])

    return types.uint32(types.uint32, types.uint32, types.boolean), _where(reverse, "brev.b32")


@intrinsic
def words_before(typing_context, position):
    """``position >> 2``. LLVM would take four times it for a mask, which costs an address an instruction more."""

    def generate(context, builder, signature, arguments):
        if _is_cuda(context):
            return _inline_ptx(builder, "shr.u32 $0, $1, 2;", list(arguments))
        return builder.lshr(arguments[0], ir.Constant(_I32, 2))

    return types.uint32(types.uint32), generate


@intrinsic
def choose(typing_context, condition, word, other):
    """``word`` where the condition is true, else ``other``, both uint32; what an ``if`` may be, but never a branch."""

    def generate(context, builder, signature, arguments):
        condition, word, other = arguments
        return builder.select(_as_flag(builder, condition), word, other)

    return types.uint32(types.boolean, types.uint32, types.uint32), generate


def _funnel(llvm_name, ptx):
    """A funnel shift (high, low, amount). LLVM's own becomes nine PTX instructions, so CUDA gets the one by name."""

    @intrinsic
    def funnel_shift(typing_context, high, low, amount):
        def generate(context, builder, signature, arguments):
            high_word, low_word, bits = arguments
            if _is_cuda(context):
                return _inline_ptx(builder, ptx, [low_word, high_word, bits])
            return _call(builder, llvm_name, _I32, [high_word, low_word, bits])

        return types.uint32(types.uint32, types.uint32, types.uint32), generate

    return funnel_shift


funnel_right = _funnel("llvm.fshr.i32", "shf.r.wrap.b32 $0, $1, $2, $3;")
funnel_left = _funnel("llvm.fshl.i32", "shf.l.wrap.b32 $0, $1, $2, $3;")


@intrinsic
def float_from_bits(typing_context, word):
    """The float32 whose bits are this uint32."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], _F32)

    return types.float32(types.uint32), generate


@intrinsic
def bits_from_float(typing_context, value):
    """The bits of this float32, as uint32."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], _I32)

    return types.uint32(types.float32), generate


@intrinsic
def fused_multiply_add(typing_context, left, right, addend):
    """``left * right + addend`` in float32, rounded once. On CUDA by name: of 1, LLVM makes a sum that may be fused."""

    def generate(context, builder, signature, arguments):
        if _is_cuda(context):
            function_type = ir.FunctionType(_F32, [_F32] * 3)
            return builder.call(ir.InlineAsm(function_type, "fma.rn.f32 $0, $1, $2, $3;", "=f,f,f,f"), arguments)
        return _call(builder, "llvm.fma.f32", _F32, list(arguments))

    return types.float32(types.float32, types.float32, types.float32), generate


def _rounded(nvvm_name, operation):
    """A float32 operation that rounds by itself. On CUDA the compiler may fuse a plain product and sum into one."""

    @intrinsic
    def float_operation(typing_context, left, right):
        def generate(context, builder, signature, arguments):
            if _is_cuda(context):
                return _call(builder, nvvm_name, _F32, list(arguments))
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
    if not _is_cuda(context):
        return getattr(builder, operation)(left, right)
    suffix = "f" if left.type == _F32 else "d"
    return _call(builder, f"llvm.nvvm.{operation[1:]}.rn.{suffix}", left.type, [left, right])


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
    if left.type == _I64:
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


def _warp_call(builder, name, result, arguments):
    """Call an NVVM intrinsic for the whole warp."""
    function_type = ir.FunctionType(result, [_I32, *(argument.type for argument in arguments)])
    function = cgutils.get_or_insert_function(builder.module, function_type, name)
    return builder.call(function, [_WARP, *arguments])


def _as_flag(builder, value):
    """A boolean as one bit."""
    return value if value.type == _I1 else builder.icmp_unsigned("!=", value, ir.Constant(value.type, 0))


@intrinsic
def vote_any(typing_context, predicate):
    """True on every lane of the warp where any lane's predicate is true; on the CPU the predicate itself.

    At the head of a divergent loop this makes the lanes of a warp meet again: without it they run one after another.
    """

    def generate(context, builder, signature, arguments):
        if not _is_cuda(context):
            return arguments[0]
        return _warp_call(builder, "llvm.nvvm.vote.any.sync", _I1, [_as_flag(builder, arguments[0])])

    return types.boolean(types.boolean), generate


@intrinsic
def ballot(typing_context, predicate):
    """Bit i of the uint32 is set if the predicate is true on lane i."""

    def generate(context, builder, signature, arguments):
        flag = _as_flag(builder, arguments[0])
        if not _is_cuda(context):
            return builder.zext(flag, _I32)
        return _warp_call(builder, "llvm.nvvm.vote.ballot.sync", _I32, [flag])

    return types.uint32(types.boolean), generate


@intrinsic
def match_any(typing_context, value):
    """Bit i of the uint32 is set if lane i has the same value (uint32)."""

    def generate(context, builder, signature, arguments):
        if not _is_cuda(context):
            return ir.Constant(_I32, 1)
        return _warp_call(builder, "llvm.nvvm.match.any.sync.i32", _I32, list(arguments))

    return types.uint32(types.uint32), generate


@intrinsic
def shuffle(typing_context, value, lane):
    """The value (uint32) that lane ``lane`` has."""

    def generate(context, builder, signature, arguments):
        if not _is_cuda(context):
            return arguments[0]
        return _warp_call(builder, "llvm.nvvm.shfl.sync.idx.i32", _I32, [*arguments, ir.Constant(_I32, 31)])

    return types.uint32(types.uint32, types.uint32), generate


@intrinsic
def sync_warp(typing_context):
    """Wait until all lanes of the warp are here; what they wrote to memory before is seen by all after."""

    def generate(context, builder, signature, arguments):
        if _is_cuda(context):
            function_type = ir.FunctionType(ir.VoidType(), [_I32])
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
        if not _is_cuda(context):
            context.nrt.incref(builder, array_type, arguments[0])
            return arguments[0]
        parts = context.make_array(array_type)(context, builder, arguments[0])
        in_shared = ir.PointerType(parts.data.type.pointee, addrspace=3)
        address = builder.ptrtoint(builder.addrspacecast(parts.data, in_shared), _I32)
        zero, all_lanes = ir.Constant(_I32, 0), ir.Constant(_I32, 31)
        address = _warp_call(builder, "llvm.nvvm.shfl.sync.idx.i32", _I32, [address, zero, all_lanes])
        parts.data = builder.addrspacecast(builder.inttoptr(address, in_shared), parts.data.type)
        return parts._getvalue()

    return array(array), generate
