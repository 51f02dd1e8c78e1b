"""32-bit integer operations for both targets, CPU and CUDA, as Numba extensions.

Numba widens: ``uint32 + uint32`` is a ``uint64``, and casting the result back does not narrow a shift. On a GPU that
doubles the instructions of everything here, so the kernels spell 32-bit arithmetic with the functions of this file.
Each is an ``@intrinsic``: the type checker sees a signature, the compiler gets one instruction.

=================  ====================================================================
``add sub mul``    arithmetic modulo 2**32
``shl shr``        shifts; the amount must be below 32 (the instruction does not check)
``band bor``       bitwise and, or
``least``          the smaller of two
``choose``         one of two
``add_where``      a sum where a condition holds
``reverse_where``  another word's bits, reversed, where one holds
``words_before``   a quarter of a position
``funnel_right``   the low word of ``high:low >> (amount & 31)``
``funnel_left``    the high word of ``high:low << (amount & 31)``
``reverse_bits``   bit 0 becomes bit 31
``count_ones``     population count
``leading_zeros``  number of zero bits above the highest one
``guard_bytes``    a byte of ones for each half of two words whose highest bit is set
``less_guards``    a number less one for each such byte of a word
``swap_bytes``     little-endian to big-endian and back
``order_bytes``    that, or nothing, as an order says
``pick_bytes``     some bytes of a word, as a selector says
``pick_byte``      a byte of two words
=================  ====================================================================
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .generating import I1, I32, I64, as_flag, call, inline_ptx, is_cuda


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
            return call(builder, name, I32, list(arguments))

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
        if is_cuda(context):
            return inline_ptx(builder, "prmt.b32 $0, $1, $2, 0xFDB9;", list(arguments))
        mask, ones = ir.Constant(I32, 0x00010001), ir.Constant(I32, 0xFF)
        low, high = (
            builder.mul(builder.and_(builder.lshr(word, ir.Constant(I32, 15)), mask), ones) for word in arguments
        )
        return builder.or_(low, builder.shl(high, ir.Constant(I32, 8)))

    return types.uint32(types.uint32, types.uint32), generate


@intrinsic
def less_guards(typing_context, guards, number):
    """``number`` less one for each byte of ones of ``guard_bytes``: on CUDA a dot product, one instruction."""

    def generate(context, builder, signature, arguments):
        if is_cuda(context):
            return inline_ptx(builder, "dp4a.s32.s32 $0, $1, 0x01010101, $2;", list(arguments))
        ones = call(builder, "llvm.ctpop.i32", I32, [arguments[0]])
        return builder.sub(arguments[1], builder.lshr(ones, ir.Constant(I32, 3)))

    return types.uint32(types.uint32, types.uint32), generate


def _swapped(context, builder, word, order):
    """The word's bytes in an order. LLVM's own swap becomes six instructions, so CUDA gets the one by name."""
    if is_cuda(context):
        return inline_ptx(builder, "prmt.b32 $0, $1, $1, $2;", [word, order])
    is_swapped = builder.icmp_unsigned("==", order, ir.Constant(I32, SWAPPED_BYTES))
    return builder.select(is_swapped, call(builder, "llvm.bswap.i32", I32, [word]), word)


SAME_BYTES, SWAPPED_BYTES = 0x3210, 0x0123


@intrinsic
def swap_bytes(typing_context, word):
    """The bytes of a uint32, the other way round."""

    def generate(context, builder, signature, arguments):
        return _swapped(context, builder, arguments[0], ir.Constant(I32, SWAPPED_BYTES))

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
        if is_cuda(context):
            return inline_ptx(builder, "prmt.b32 $0, $1, $1, $2;", [word, selector])
        three, ones = ir.Constant(I32, 3), ir.Constant(I32, 0xFF)
        picked = ir.Constant(I32, 0)
        for number in range(4):
            digit = builder.and_(builder.lshr(selector, ir.Constant(I32, 4 * number)), three)
            byte = builder.and_(builder.lshr(word, builder.shl(digit, three)), ones)
            picked = builder.or_(picked, builder.shl(byte, ir.Constant(I32, 8 * number)))
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
        if is_cuda(context):
            return inline_ptx(builder, "prmt.b32 $0, $1, $2, $3;", arguments)
        number = builder.and_(number, ir.Constant(I32, 7))
        both = builder.or_(builder.zext(low, I64), builder.shl(builder.zext(high, I64), ir.Constant(I64, 32)))
        shifted = builder.lshr(both, builder.zext(builder.shl(number, ir.Constant(I32, 3)), I64))
        return builder.and_(builder.trunc(shifted, I32), ir.Constant(I32, 0xFF))

    return types.uint32(types.uint32, types.uint32, types.uint32), generate


@intrinsic
def leading_zeros(typing_context, word):
    """The number of zero bits above the highest one; 32 for 0."""

    def generate(context, builder, signature, arguments):
        function_type = ir.FunctionType(I32, [I32, I1])
        count = cgutils.get_or_insert_function(builder.module, function_type, "llvm.ctlz.i32")
        return builder.call(count, [arguments[0], ir.Constant(I1, 0)])

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
        if is_cuda(context):
            flag = builder.zext(as_flag(builder, condition), I32)
            numbers = ", ".join(f"${number}" for number in range(1, len(operands) + 1))
            flag_number = len(operands) + 1
            code = f"{{ .reg .pred p; setp.ne.u32 p, ${flag_number}, 0; @p {ptx} $0, {numbers}; }}"
            function_type = ir.FunctionType(I32, [I32] * (len(operands) + 2))
            constraints = ",".join(["=r", *["r"] * (len(operands) + 1), "0"])
            return builder.call(ir.InlineAsm(function_type, code, constraints), [*operands, flag, word])
        return builder.select(as_flag(builder, condition), operation(builder, word, *operands), word)

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
        return call(builder, "llvm.bitreverse.i32", I32, [other])

    return types.uint32(types.uint32, types.uint32, types.boolean), _where(reverse, "brev.b32")


@intrinsic
def words_before(typing_context, position):
    """``position >> 2``. LLVM would take four times it for a mask, which costs an address an instruction more."""

    def generate(context, builder, signature, arguments):
        if is_cuda(context):
            return inline_ptx(builder, "shr.u32 $0, $1, 2;", list(arguments))
        return builder.lshr(arguments[0], ir.Constant(I32, 2))

    return types.uint32(types.uint32), generate


@intrinsic
def choose(typing_context, condition, word, other):
    """``word`` where the condition is true, else ``other``, both uint32; what an ``if`` may be, but never a branch."""

    def generate(context, builder, signature, arguments):
        condition, word, other = arguments
        return builder.select(as_flag(builder, condition), word, other)

    return types.uint32(types.boolean, types.uint32, types.uint32), generate


def _funnel(llvm_name, ptx):
    """A funnel shift (high, low, amount). LLVM's own becomes nine PTX instructions, so CUDA gets the one by name."""

    @intrinsic
    def funnel_shift(typing_context, high, low, amount):
        def generate(context, builder, signature, arguments):
            high_word, low_word, bits = arguments
            if is_cuda(context):
                return inline_ptx(builder, ptx, [low_word, high_word, bits])
            return call(builder, llvm_name, I32, [high_word, low_word, bits])

        return types.uint32(types.uint32, types.uint32, types.uint32), generate

    return funnel_shift


funnel_right = _funnel("llvm.fshr.i32", "shf.r.wrap.b32 $0, $1, $2, $3;")
funnel_left = _funnel("llvm.fshl.i32", "shf.l.wrap.b32 $0, $1, $2, $3;")
