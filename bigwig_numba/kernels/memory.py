"""Memory by address: eight bytes anywhere, copies from a raw address, words by address. None of it checks bounds.

Numba extensions like those of ``bits``; the caller checks. An array's element costs a multiplication and additions of
64 bits; where the address is at hand in a register, it costs one instruction or none.

==============================================  ====================================================================
``load_64 store_64``                            eight bytes of a uint8 array, at any alignment; CPU only
``copy_from_address``                           bytes from a raw address to a uint8 array; CPU only
``address_of shared_address_of``                where something of an array stands
``steady``                                      the same address, in a register that stays
``load_word store_word``                        the word that is so many words after an address; on a GPU, in its memory
``load_four_words store_four_words``            the same of four words, if wanted
``load_shared_word load_shared_byte``           what is so many bytes after an address in shared memory
``store_shared_word``                           the word that is so many bytes after one
==============================================  ====================================================================
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .generating import I32, I64, is_cuda
from .jit import njit
from .warps import shuffle

_I8 = ir.IntType(8)
_GLOBAL, _SHARED = 1, 3  # CUDA's address spaces
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def _byte_pointer(context, builder, array_type, array, index):
    """The address of element ``index`` of a uint8 array, unchecked."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(builder.bitcast(data, _I8.as_pointer()), [index])


@intrinsic
def load_64(typing_context, array, index):
    """The 8 bytes from ``array[index]`` on as a uint64; ``array`` is uint8, any alignment. CPU only, unchecked."""

    def generate(context, builder, signature, arguments):
        address = _byte_pointer(context, builder, signature.args[0], arguments[0], arguments[1])
        word = builder.load(builder.bitcast(address, I64.as_pointer()))
        word.align = 1
        return word

    return types.uint64(array, types.int64), generate


@intrinsic
def store_64(typing_context, array, index, word):
    """Write a uint64 to the 8 bytes from ``array[index]`` on; any alignment. CPU only, unchecked."""

    def generate(context, builder, signature, arguments):
        address = _byte_pointer(context, builder, signature.args[0], arguments[0], arguments[1])
        store = builder.store(arguments[2], builder.bitcast(address, I64.as_pointer()))
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


@intrinsic
def address_of(typing_context, array, index):
    """The address of element ``index`` (uint64) of an array; on a GPU, of one in its memory."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(builder.gep(data, [arguments[1]]), I64)

    return types.uint64(array, types.uint64), generate


@intrinsic
def shared_address_of(typing_context, array, offset):
    """The address ``offset`` bytes (uint32) into an array that, on a GPU, is in shared memory."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        if is_cuda(context):
            data = builder.addrspacecast(data, ir.PointerType(data.type.pointee, addrspace=_SHARED))
        return builder.add(builder.ptrtoint(data, I64), builder.zext(arguments[1], I64))

    return types.uint64(array, types.uint32), generate


_IF = "{{ .reg .pred p; setp.ne.u32 p, ${1}, 0; {0} }}"  # an instruction on a condition, in PTX


def _scratch(builder, kind):
    """Memory that may be read and written where nothing is wanted."""
    return cgutils.alloca_once(builder, kind)


def _word_after(context, builder, address, index):
    """Where the word stands that is ``index`` words after an address."""
    space = _GLOBAL if is_cuda(context) else 0
    return builder.gep(builder.inttoptr(address, ir.PointerType(I32, addrspace=space)), [builder.zext(index, I64)])


@intrinsic
def load_word(typing_context, address, index):
    """The word that is ``index`` (uint32) words after an address; on a GPU, in its memory."""

    def generate(context, builder, signature, arguments):
        return builder.load(_word_after(context, builder, *arguments))

    return types.uint32(types.uint64, types.uint32), generate


@intrinsic
def store_word(typing_context, address, index, word):
    """Write the word that is ``index`` (uint32) words after an address; on a GPU, in its memory."""

    def generate(context, builder, signature, arguments):
        builder.store(arguments[2], _word_after(context, builder, *arguments[:2]))
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint32, types.uint32), generate


def _four_words_at(context, builder, address, group):
    """Where the four words stand that are ``16 * group`` bytes after an address."""
    four = ir.PointerType(ir.ArrayType(I32, 4), addrspace=_GLOBAL if is_cuda(context) else 0)
    return builder.gep(builder.inttoptr(address, four), [builder.zext(group, I64)])


@intrinsic
def load_four_words(typing_context, address, group, wanted, first, second, third, fourth):
    """Four words ``16 * group`` bytes after an address, a multiple of 16 on a GPU, if ``wanted``; else those given.

    For what nobody writes, and what is read on from there: the 128 bytes around it come nearer, too. Without a branch.
    """

    def generate(context, builder, signature, arguments):
        address, group, wanted, *words = arguments
        place = _four_words_at(context, builder, address, group)
        if is_cuda(context):
            function_type = ir.FunctionType(ir.LiteralStructType([I32] * 4), [I64, I32, *[I32] * 4])
            instruction = _IF.format("@p ld.global.L2::128B.v4.u32 {$0, $1, $2, $3}, [$4];", 5)
            load = ir.InlineAsm(function_type, instruction, "=r,=r,=r,=r,l,r,0,1,2,3")
            loaded = builder.call(load, [builder.ptrtoint(place, I64), builder.zext(wanted, I32), *words])
        else:
            loaded = builder.load(builder.select(wanted, place, _scratch(builder, place.type.pointee)))
        four = [builder.extract_value(loaded, number) for number in range(4)]
        if not is_cuda(context):
            four = [builder.select(wanted, new, old) for new, old in zip(four, words, strict=True)]
        return context.make_tuple(builder, signature.return_type, four)

    word = types.uint32
    return types.UniTuple(word, 4)(types.uint64, word, types.boolean, word, word, word, word), generate


@intrinsic
def store_four_words(typing_context, address, group, wanted, first, second, third, fourth):
    """Write four words ``16 * group`` bytes after an address, a multiple of 16 on a GPU, where that is ``wanted``."""

    def generate(context, builder, signature, arguments):
        address, group, wanted, *words = arguments
        place = _four_words_at(context, builder, address, group)
        if is_cuda(context):
            function_type = ir.FunctionType(ir.VoidType(), [I64, I32, *[I32] * 4])
            instruction = _IF.format("@p st.global.v4.u32 [$0], {$2, $3, $4, $5};", 1)
            store = ir.InlineAsm(function_type, instruction, "l,r,r,r,r,r,~{memory}", side_effect=True)
            builder.call(store, [builder.ptrtoint(place, I64), builder.zext(wanted, I32), *words])
        else:
            place = builder.select(wanted, place, _scratch(builder, place.type.pointee))
            for number, word in enumerate(words):
                builder.store(word, builder.gep(place, [ir.Constant(I32, 0), ir.Constant(I32, number)]))
        return context.get_dummy_value()

    word = types.uint32
    return types.void(types.uint64, word, types.boolean, word, word, word, word), generate


def _in_shared(context, builder, element, address, offset):
    """Where, ``offset`` bytes after an address in shared memory, an element stands. On a GPU 32 bits are enough."""
    if not is_cuda(context):
        return builder.inttoptr(builder.add(address, builder.zext(offset, I64)), element.as_pointer())
    near = builder.add(builder.trunc(address, I32), offset)
    return builder.inttoptr(near, ir.PointerType(element, addrspace=_SHARED))


def _load_shared(element):
    """An intrinsic that loads what stands ``offset`` bytes (uint32) after an address in shared memory, as uint32."""

    @intrinsic
    def load(typing_context, address, offset):
        def generate(context, builder, signature, arguments):
            loaded = builder.load(_in_shared(context, builder, element, *arguments))
            return loaded if element is I32 else builder.zext(loaded, I32)

        return types.uint32(types.uint64, types.uint32), generate

    return load


load_shared_word, load_shared_byte = _load_shared(I32), _load_shared(_I8)


@intrinsic
def store_shared_word(typing_context, address, offset, word):
    """Write the word that is ``offset`` bytes (uint32) after an address in shared memory."""

    def generate(context, builder, signature, arguments):
        builder.store(arguments[2], _in_shared(context, builder, I32, *arguments[:2]))
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint32, types.uint32), generate


@njit(nogil=True, forceinline=True)
def steady(address, lane):
    """The same address, in a register that stays. All lanes of a warp ask together, each with its own number.

    The assembler takes an address for something cheap and calculates it again wherever it is used, from the kernel's
    arguments or a special register. What comes out of a shuffle it cannot calculate again.
    """
    low = shuffle(np.uint32(address & _LOW), lane)
    return np.uint64(shuffle(np.uint32(address >> _HALF), lane)) << _HALF | np.uint64(low)
