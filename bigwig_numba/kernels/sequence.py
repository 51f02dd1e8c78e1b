"""Windows of a genome to any encoding of their bases: look up the base's four bits, copy a row of a small table.

A base is four bits, one per letter that it may be, as in BAM files (SAM specification, section 4.2.3)::

    code    A 0001   C 0010   G 0100   T 1000     R is A or G 0101   N is any 1111     (IUPAC: a set is a union)
            its complement is the same bits from right to left: A 0001 <-> T 1000, R 0101 <-> Y 1010, N <-> N

    bases   two to a byte, the first in its low half; lower case in the FASTA makes no difference

              base  0   1     2   3     4   5     6   7
                  [ A | C ] [ G | N ] [ T | R ] [ A | A ]
    window                ^───────────────^  origin = 3, length = 4
             forwards     row of the table = code          N  T  R  A
             reversed     read from the end, row 16 + code  A  R  T  N, complemented: T  Y  A  N

    table   32 rows: what to write for each code, and then what to write for the complement of each code

              row  1 (A)          1  0  0  0          row 17 (A, complemented)   0  0  0  1
              row  5 (A or G)    .5  0 .5  0          row 21 (R, complemented)   0 .5  0 .5
              row 15 (N)        .25 .25 .25 .25       row 31                    .25 .25 .25 .25

What is outside the chromosome is N. As a row is copied, not computed, one kernel serves every encoding: one-hot in
float32 or in half precision, the codes themselves, the letters of a string. A row is cut into *parts*, equal unsigned
words. If a base's channels lie side by side (samples, bases, channels) a part is as many of them as go into 8 bytes,
and a warp's 32 threads write 256 bytes that follow each other. If they do not (samples, channels, bases) a part is one
channel, and the threads of a warp have neighbouring bases.

=============  ===========  ======  ====================================================================
array          shape        dtype   what
=============  ===========  ======  ====================================================================
bases          (N / 2,)     uint8   the genome, each chromosome from a byte of its own
windows        (4, S)       int64   per window, see the rows below
table          (32, P)      uint    the parts to write: uint8, uint16, uint32 or uint64
out            (S * L * P)  uint    as the table: part p of base i of window s is written to element
                                    ``s * L * P + i * base_stride + p * part_stride``
unknown_runs   (3, R)       int64   runs of bases that are not exactly A, C, G or T: first base, end, and
                                    how many bases the runs before have
=============  ===========  ======  ====================================================================
"""

import functools

import numpy as np
from numba import types

from .jit import njit

ORIGIN, CLIP_FIRST, CLIP_LAST, REVERSED = range(4)
"""Rows of windows: place of the window's first base among ``bases`` (it need not be there); of the window's bases,
those ``[first, last)`` that lie on the chromosome; whether it is reversed and complemented (1) or not (0)."""

RUN_START, RUN_END, RUN_BEFORE = range(3)

N_CODES = 16
N_ROWS = 32
UNKNOWN = 15
LETTERS = "-ACMGRSVTWYHKDBN"
"""The letter of each code (IUPAC, Cornish-Bowden 1985). Code 0, no base at all, does not occur."""

BASES_PER_PIECE = 2_048  # of a window, for a CUDA block, or for one item of a thread's range on the CPU
THREADS = 256  # of a CUDA block

_W = np.uint64


# --- the slow way


def encode_slowly(sequence: str, start: int, end: int, *, reverse_complement: bool, encode):
    """What the kernels must give for one window: plain Python, a letter at a time.

    Parameters
    ----------
    sequence : str
        The chromosome.
    start, end : int
        The window; it may hang over the ends of the chromosome.
    reverse_complement : bool
        Whether to read the other strand.
    encode : callable
        From a code to what is written for it.

    Returns
    -------
    list
        ``end - start`` of what ``encode`` gives.
    """
    letters = [sequence[place].upper() if 0 <= place < len(sequence) else "N" for place in range(start, end)]
    codes = [LETTERS.find("T" if letter == "U" else letter) for letter in letters]
    codes = [code if code > 0 else UNKNOWN for code in codes]
    if reverse_complement:
        codes = [complement.py_func(code) for code in reversed(codes)]
    return [encode(code) for code in codes]


# --- device functions


@njit(nogil=True, cache=True)
def complement(code):
    """The code of the base on the other strand: the four bits from right to left."""
    return (code & 1) << 3 | (code & 2) << 1 | (code & 4) >> 1 | (code & 8) >> 3


@njit(nogil=True, forceinline=True)
def code_in(byte, place):
    """The code of base ``place``, which is in the low half of its byte if it is even, else in the high half."""
    return _W(byte >> np.uint8((place & _W(1)) << _W(2))) & _W(15)


@njit(nogil=True, forceinline=True)
def encode_bases(
    bases, windows, table, out, length, base_stride, part_stride, window, index, stop, step, first_part, part_step
):  # fmt: skip
    """Write bases ``index, index + step, ...`` below ``stop`` of one window, and of each ``first_part``, and so on.

    Arrays are not passed on from here: on the CPU that would cost two atomic operations a base.
    """
    origin, clip_first, clip_last = windows[ORIGIN, window], windows[CLIP_FIRST, window], windows[CLIP_LAST, window]
    is_reversed = windows[REVERSED, window] != 0
    n_parts = _W(table.shape[1])
    place_of_window = _W(window) * _W(length) * n_parts
    while index < stop:
        read_index = length - 1 - index if is_reversed else index
        row = _W(UNKNOWN)
        if clip_first <= read_index and read_index < clip_last:
            place = _W(origin + read_index)
            row = code_in(bases[place >> _W(1)], place)
        if is_reversed:
            row += _W(N_CODES)
        target = place_of_window + _W(index) * _W(base_stride)
        part = _W(first_part)
        while part < n_parts:
            out[target + part * _W(part_stride)] = table[row, part]
            part += _W(part_step)
        index += step


@njit(nogil=True, forceinline=True)
def unknown_before(unknown_runs, place):
    """How many of the genome's bases before ``place`` are not exactly A, C, G or T: bisection over the runs."""
    low, high = 0, unknown_runs.shape[1]
    while low < high:
        middle = (low + high) // 2
        if unknown_runs[RUN_START, middle] < place:
            low = middle + 1
        else:
            high = middle
    if low == 0:
        return np.int64(0)
    run = low - 1
    reached = min(place, unknown_runs[RUN_END, run])
    return unknown_runs[RUN_BEFORE, run] + reached - unknown_runs[RUN_START, run]


# --- the CPU's kernels: ranges [first, last) for the threads of a team


@njit(nogil=True, cache=True)
def encode_range(first, last, bases, windows, table, out, length, base_stride, part_stride):
    """Encode pieces ``[first, last)``: of each window as many as it has pieces of ``BASES_PER_PIECE`` bases."""
    n_pieces = (length + BASES_PER_PIECE - 1) // BASES_PER_PIECE
    for item in range(first, last):
        window, start = item // n_pieces, item % n_pieces * BASES_PER_PIECE
        stop = min(start + BASES_PER_PIECE, length)
        encode_bases(bases, windows, table, out, length, base_stride, part_stride, window, start, stop, 1, 0, 1)


@njit(nogil=True, cache=True)
def count_unknown_range(first, last, unknown_runs, windows, length, counts):
    """Bases of windows ``[first, last)`` that are not exactly A, C, G or T, those outside the chromosome included."""
    for window in range(first, last):
        start = windows[ORIGIN, window] + windows[CLIP_FIRST, window]
        n_inside = windows[CLIP_LAST, window] - windows[CLIP_FIRST, window]
        inside = unknown_before(unknown_runs, start + n_inside) - unknown_before(unknown_runs, start)
        counts[window] = length - n_inside + inside


@njit(nogil=True, cache=True)
def gather_range(first, last, bases, windows, slot, gathered, moved):
    """Copy the bytes of windows ``[first, last)`` to slots of ``gathered``, and say in ``moved`` where they are now.

    ``moved`` is as ``windows``, for the bases in ``gathered``; a slot has ``slot`` bytes, enough for any window.
    """
    for window in range(first, last):
        clip_first, clip_last = windows[CLIP_FIRST, window], windows[CLIP_LAST, window]
        start = windows[ORIGIN, window] + clip_first
        byte, n_bytes = start // 2, 0
        if clip_first < clip_last:
            n_bytes = (start + clip_last - clip_first + 1) // 2 - byte
        target = window * slot
        gathered[target : target + n_bytes] = bases[byte : byte + n_bytes]
        moved[ORIGIN, window] = 2 * target + start % 2 - clip_first
        moved[CLIP_FIRST, window], moved[CLIP_LAST, window] = clip_first, clip_last
        moved[REVERSED, window] = windows[REVERSED, window]


@njit(nogil=True, cache=True)
def pack_letters(letters, code_of_letter, packed):
    """Letters (ASCII) to codes, two to a byte. Returns the first that ``code_of_letter`` has no code for, or -1."""
    wrong = -1
    for place in range(letters.size - 1, -1, -1):
        code = code_of_letter[letters[place]]
        if code == 0:
            wrong = place
        if place % 2:
            packed[place // 2] = code << 4
        elif place == letters.size - 1:
            packed[place // 2] = code
        else:
            packed[place // 2] |= code
    return wrong


# --- the CUDA kernel

ENCODE_ARGUMENTS = (
    *(types.uint8[::1], types.int64[:, ::1], types.uint64[:, ::1], types.uint64[::1]),
    *(types.int64, types.int64, types.int64, types.int64),
)
"""The types of what ``encode_windows`` takes, with parts of 8 bytes."""


@functools.cache
def make_encode_windows():
    """The CUDA kernel: a CUDA block per piece of a window. Made when asked for, as it needs numba-cuda.

    ``threads_per_base`` neighbouring threads share the parts of a base; the next ones have the next base.
    """
    from numba import cuda

    @cuda.jit
    def encode_windows(bases, windows, table, out, length, base_stride, part_stride, threads_per_base):
        n_pieces = (length + BASES_PER_PIECE - 1) // BASES_PER_PIECE
        window, start = cuda.blockIdx.x // n_pieces, cuda.blockIdx.x % n_pieces * BASES_PER_PIECE
        stop = min(start + BASES_PER_PIECE, length)
        bases_at_a_time = THREADS // threads_per_base
        index, first_part = cuda.threadIdx.x // threads_per_base, cuda.threadIdx.x % threads_per_base
        if index < bases_at_a_time:
            encode_bases(
                bases, windows, table, out, length, base_stride, part_stride, window, start + index, stop,
                bases_at_a_time, first_part, threads_per_base,
            )  # fmt: skip

    return encode_windows
