"""Windows of a genome to an encoding of one's own: a function of a base and its neighbours, called in the kernel.

A window is read together with the neighbours that its first and last base have, here 2 before and 1 after each::

    genome          ... A C G T T G C A C C T ...
    window                  ^───────^                length = 5
    read                ^─────────────^              2 + 5 + 1: row ORIGIN of ``windows`` is of the first base read
    base 0              A C[G]T                      encode((A, C, G, T), channel)
    base 1                C G[T]T                    encode((C, G, T, T), channel)

Of the other strand the same is read from its end, complemented: 1 before and 2 after the window in the genome. So the
function sees its sequence from 5' to 3' in either case, and what a base becomes does not depend on the window that it
is in. Outside the chromosome, as everywhere, is N.

=============  ===========  =======  ===================================================================
array          shape        dtype    what
=============  ===========  =======  ===================================================================
bases          (N / 2,)     uint8    the genome; see ``sequence``
windows        (4, S)       int64    per window, of what is read; see ``sequence``
single         (S * L * C)  float32  the output, if ``dtype`` is FLOAT32: channel c of base i of window s is
                                     written to element ``s * L * C + i * base_stride + c * channel_stride``
half           (S * L * C)  uint16   its bits, if it is FLOAT16 or BFLOAT16
=============  ===========  =======  ===================================================================
"""

import functools

import numpy as np
from numba import types

from .compiling import compile_function
from .jit import njit
from .numbers import make_cast
from .sequence import (
    BASES_PER_PIECE,
    CLIP_FIRST,
    CLIP_LAST,
    ORIGIN,
    REVERSED,
    THREADS,
    UNKNOWN,
    code_in,
    complement,
)
from .windows import BFLOAT16, FLOAT16, FLOAT32, bfloat16_bits, float16_bits

CODES_PER_WORD = 16
MOST_BASES = 2 * CODES_PER_WORD  # that a function may see at a time
DTYPES = {"float32": FLOAT32, "float16": FLOAT16, "bfloat16": BFLOAT16}

ENCODE_ARGUMENTS = (
    *(types.uint8[::1], types.int64[:, ::1], types.float32[::1], types.uint16[::1]),
    *(types.int64, types.int64, types.int64, types.int64, types.int64, types.int64),
)
"""The types of what the CUDA kernel takes."""

_W = np.uint64


def encode_signature(n_bases: int):
    """The types with which kernels call a function of ``n_bases`` codes and a channel."""
    return types.UniTuple(types.int64, n_bases), types.int64


@functools.lru_cache(maxsize=64)
def make_typed_encode(encode):
    """The device function (codes, channel) -> float32 of a user's plain one."""
    own, as_single = compile_function(encode), make_cast(types.float32)

    @njit(nogil=True, error_model="numpy")
    def typed_encode(codes, channel):
        return as_single(own(codes, channel))

    return typed_encode


@functools.cache
def make_unpack(first, n_bases):
    """The device function that gives codes ``first, first + 1, ...`` of two words as a tuple: those of two halves.

    Code k is four bits of the low word, k x 4 from the right, or from the 16th on of the high word, but the tuple
    begins with the last of them.
    """
    if n_bases > 1:
        n_left = n_bases // 2
        left, right = make_unpack(first + n_bases - n_left, n_left), make_unpack(first, n_bases - n_left)

        @njit(nogil=True, forceinline=True)
        def unpack(low, high):
            return left(low, high) + right(low, high)

        return unpack
    shift, is_high = _W(4 * (first % CODES_PER_WORD)), first >= CODES_PER_WORD

    @njit(nogil=True, forceinline=True)
    def unpack_one(low, high):
        return (np.int64((high if is_high else low) >> shift) & 15,)

    return unpack_one


def make_encode_neighbours(encode, n_bases):
    """The device function that writes some bases of one window; see ``sequence.encode_bases``.

    The codes that the function sees are shifted through two words: of a base's neighbour, only the last are new. Arrays
    are not passed on, as there.
    """
    typed_encode, unpack = make_typed_encode(encode), make_unpack(0, n_bases)

    @njit(nogil=True, forceinline=True, error_model="numpy")
    def encode_neighbours(
        bases, windows, single, half, dtype, n_channels, length, base_stride, channel_stride, window, index, stop, step,
        first_channel, channel_step,
    ):  # fmt: skip
        origin, clip_first, clip_last = windows[ORIGIN, window], windows[CLIP_FIRST, window], windows[CLIP_LAST, window]
        is_reversed, last = windows[REVERSED, window] != 0, length + n_bases - 2
        place_of_window = window * length * n_channels
        low, high, place = _W(0), _W(0), index
        while index < stop:
            place = max(place, index)
            while place < index + n_bases:
                read = last - place if is_reversed else place
                code = np.int64(UNKNOWN)
                if clip_first <= read and read < clip_last:
                    number = _W(origin + read)
                    code = np.int64(code_in(bases[number >> _W(1)], number))
                if is_reversed:
                    code = complement(code)
                high = high << _W(4) | low >> _W(60)
                low = low << _W(4) | _W(code)
                place += 1
            codes = unpack(low, high)
            target = place_of_window + index * base_stride
            channel = first_channel
            while channel < n_channels:
                value, element = typed_encode(codes, channel), _W(target + channel * channel_stride)
                if dtype == FLOAT32:
                    single[element] = value
                elif dtype == FLOAT16:
                    half[element] = float16_bits(value)
                else:
                    half[element] = bfloat16_bits(value)
                channel += channel_step
            index += step

    return encode_neighbours


@functools.lru_cache(maxsize=64)
def make_encode_range(encode, n_bases):
    """The CPU's kernel: pieces ``[first, last)`` of windows, as ``sequence.encode_range``. Compiled when called."""
    encode_neighbours = make_encode_neighbours(encode, n_bases)

    @njit(nogil=True, error_model="numpy")
    def encode_range(first, last, bases, windows, single, half, dtype, n_channels, length, base_stride, channel_stride):
        n_pieces = (length + BASES_PER_PIECE - 1) // BASES_PER_PIECE
        for item in range(first, last):
            window, start = item // n_pieces, item % n_pieces * BASES_PER_PIECE
            stop = min(start + BASES_PER_PIECE, length)
            encode_neighbours(
                bases, windows, single, half, dtype, n_channels, length, base_stride, channel_stride, window, start,
                stop, 1, 0, 1,
            )  # fmt: skip

    return encode_range


@functools.lru_cache(maxsize=64)
def make_encode_windows(encode, n_bases):
    """The CUDA kernel: a CUDA block per piece of a window. Made when asked for, as it needs numba-cuda."""
    from numba import cuda

    encode_neighbours = make_encode_neighbours(encode, n_bases)

    @cuda.jit
    def encode_windows(
        bases, windows, single, half, dtype, n_channels, length, base_stride, channel_stride, threads_per_base
    ):
        n_pieces = (length + BASES_PER_PIECE - 1) // BASES_PER_PIECE
        window, start = cuda.blockIdx.x // n_pieces, cuda.blockIdx.x % n_pieces * BASES_PER_PIECE
        stop = min(start + BASES_PER_PIECE, length)
        bases_at_a_time = THREADS // threads_per_base
        index, first_channel = cuda.threadIdx.x // threads_per_base, cuda.threadIdx.x % threads_per_base
        if index < bases_at_a_time:
            encode_neighbours(
                bases, windows, single, half, dtype, n_channels, length, base_stride, channel_stride, window,
                start + index, stop, bases_at_a_time, first_channel, threads_per_base,
            )  # fmt: skip

    return encode_windows
