"""What is done to finished values (samples, bins, tracks): steps per track, moving average, mirroring.

Values are float32, or 16-bit floats of which the kernels see the bits. Arrays are flat; ``inner`` is the number of
values per (sample, bin, track), 1 unless there are several statistics. Shape letters: S samples, B bins, T tracks.

=========== ================  =======  =================================================================
array       shape             dtype    what
=========== ================  =======  =================================================================
single      (S * B * T * I,)  float32  the values, if ``dtype`` is FLOAT32
half        (S * B * T * I,)  uint16   their bits, if it is FLOAT16 or BFLOAT16; the other one is not read
codes       (N, steps)        int32    per track of the collection, what to do; NOTHING where it has fewer steps
parameters  (N, steps, 2)     float32  with which numbers
tracks      (T,)              int64    which track of the collection each of the values' tracks is
values      (S * B * T * I,)  uint32   the bits of values that only change places; uint16 of 16-bit ones
is_reversed (S,)              uint8    1: mirror the sample
partners    (T,)              int64    the track on the other strand; itself where there is none
sums        (S * B * T * I,)  float32  scratch
=========== ================  =======  =================================================================
"""

import functools
import math

import numpy as np
from numba import types

from .bits import shl
from .compiling import compile_function
from .jit import njit
from .numbers import float_from_bits, make_cast, rounded_add, rounded_multiply
from .windows import FLOAT16, FLOAT32, bfloat16_bits, float16_bits

NOTHING, SCALE, CLIP, SOFT_CLIP, LOG1P, POWER, OWN = range(7)
LINE = 256  # values that the CPU works on at a time; with their neighbours of other tracks they fit its nearest cache

_F = np.float32
_U = np.uint32
_SUBNORMAL = _F(2.0**-24)  # the unit of float16 below 2**-14


@njit(nogil=True)
def float16_value(bits):
    """The float32 that a float16 with these bits (uint16) is; every one is."""
    sign, magnitude = (np.int64(bits) & 0x8000) << 16, np.int64(bits) & 0x7FFF
    if magnitude >= 0x7C00:  # infinity, not a number
        return float_from_bits(_U(sign | 0x7F800000 | (magnitude & 0x3FF) << 13))
    if magnitude < 0x400:
        value = rounded_multiply(_F(magnitude), _SUBNORMAL)
        return value if sign == 0 else -value
    return float_from_bits(_U(sign | (magnitude << 13) + 0x38000000))


@njit(nogil=True)
def value_at(single, half, place, dtype):
    """A value as float32."""
    if dtype == FLOAT32:
        return single[place]
    if dtype == FLOAT16:
        return float16_value(half[place])
    return float_from_bits(shl(_U(half[place]), _U(16)))


@njit(nogil=True)
def put_value(single, half, place, value, dtype):
    """Write a float32, rounded to the type of the values."""
    if dtype == FLOAT32:
        single[place] = value
    elif dtype == FLOAT16:
        half[place] = float16_bits(value)
    else:
        half[place] = bfloat16_bits(value)


@njit(nogil=True)
def built_in_step(value, code, first, second):
    """A value after one of the built-in steps; what is not a number stays so."""
    if code == SCALE:
        value = rounded_multiply(value, first)
    elif code == CLIP:
        if value < first:
            value = first
        if value > second:
            value = second
    elif code == SOFT_CLIP:
        if value > first:
            value = rounded_add(first, _F(math.sqrt(rounded_add(value, -first))))
    elif code == LOG1P:
        value = _F(math.log1p(value))
    elif code == POWER:
        value = _F(math.pow(value, first))
    return value


OWN_STEP = (types.float32, types.int64)
"""With what kernels call a user's function: a value and its track."""


def make_own_step(function, takes_track: bool):
    """The device function (value, track) -> float32 of a user's plain one of (value, track), or of (value)."""
    own, as_single = compile_function(function), make_cast(types.float32)

    @njit(nogil=True, error_model="numpy")
    def of_value(value, track):
        return as_single(own(value))

    @njit(nogil=True, error_model="numpy")
    def of_value_and_track(value, track):
        return as_single(own(value, track))

    return of_value_and_track if takes_track else of_value


@njit(nogil=True)
def _no_function(index, value, track):
    return value


def _choose_function(functions):
    """The device function that calls number ``index`` of some functions (value, track) -> value."""
    if not functions:
        return _no_function
    own, others = functions[0], _choose_function(functions[1:])

    @njit(nogil=True)
    def call_function(index, value, track):
        if index == 0:
            return own(value, track)
        return others(index - 1, value, track)

    return call_function


def make_one_step(functions):
    """The device function that does one step, built-in or a user's, to a value."""
    call_function = _choose_function(functions)

    @njit(nogil=True, error_model="numpy")
    def one_step(value, code, first, second, track):
        if code == OWN:
            return call_function(np.int64(first), value, track)
        return built_in_step(value, code, first, second)

    return one_step


@functools.lru_cache(maxsize=64)
def make_transform_range(functions):
    """The CPU's loop over (sample, bin) rows; compiled when first called.

    A line of a track's values goes through one step after the other, so that each is a loop of a single operation.
    """
    one_step = make_one_step(functions)

    @njit(nogil=True, error_model="numpy")
    def transform_range(first, last, single, half, dtype, codes, parameters, tracks, n_inner):
        stride = tracks.size * n_inner
        line = np.empty(LINE, np.float32)
        for top in range(first, last, LINE):
            n_rows = min(LINE, last - top)
            for column in range(stride):
                track, origin = tracks[column // n_inner], top * stride + column
                for row in range(n_rows):
                    line[row] = value_at(single, half, origin + row * stride, dtype)
                for step in range(codes.shape[1]):
                    code, one, two = codes[track, step], parameters[track, step, 0], parameters[track, step, 1]
                    for row in range(n_rows):
                        line[row] = one_step(line[row], code, one, two, track)
                for row in range(n_rows):
                    put_value(single, half, origin + row * stride, line[row], dtype)

    return transform_range


@njit(nogil=True)
def _add(head, rest, value):
    """``head + rest + value`` as a new head and what rounding left over (Knuth's TwoSum)."""
    total = rounded_add(head, value)
    part = rounded_add(total, -head)
    error = rounded_add(rounded_add(head, -rounded_add(total, -part)), rounded_add(value, -part))
    if error == error:  # infinity has no error to speak of
        rest = rounded_add(rest, error)
    return total, rest


@njit(nogil=True, error_model="numpy")
def average_piece(single, half, dtype, sums, new_single, new_half, first_bin, width, n_bins, place, stride):
    """Moving averages of ``width`` bins, from ``first_bin`` on, of one sample and track.

    ::

        bins read            [ first half: width  ][ second half: width ]
        a window             .......[ suffix       ][ prefix ]...........

    Each window over these 2 x width bins is the end of the first half and the start of the second. So two passes, one
    backward over the first half and one forward over the second, make all of them: two additions a bin whatever the
    width, and nothing is ever subtracted, so that a large value, infinity or NaN leaves no trace outside its windows.

    Bin b is at ``place + b * stride``. Bins outside [0, n_bins) count as 0.
    """
    left = first_bin - width // 2
    head, rest = _F(0), _F(0)
    for offset in range(width - 1, -1, -1):
        source, target = left + offset, first_bin + offset
        if 0 <= source < n_bins:
            head, rest = _add(head, rest, value_at(single, half, place + source * stride, dtype))
        if target < n_bins:
            sums[place + target * stride] = rounded_add(head, rest)
    head, rest = _F(0), _F(0)
    for offset in range(min(width, n_bins - first_bin)):
        target, source = place + (first_bin + offset) * stride, left + width + offset
        total = rounded_add(sums[target], rounded_add(head, rest))
        put_value(new_single, new_half, target, total / _F(width), dtype)
        if source < n_bins:
            head, rest = _add(head, rest, value_at(single, half, place + source * stride, dtype))
    return 0


@njit(nogil=True, cache=True)
def average_range(first, last, single, half, dtype, sums, new_single, new_half, width, n_bins, n_lines):
    """The CPU's loop over samples; ``n_lines`` is the number of tracks times ``inner``."""
    for sample in range(first, last):
        for first_bin in range(0, n_bins, width):
            for line in range(n_lines):
                average_piece(
                    single, half, dtype, sums, new_single, new_half, first_bin, width, n_bins,
                    sample * n_bins * n_lines + line, n_lines,
                )  # fmt: skip


@njit(nogil=True)
def swap_mirrored(values, place, mirrored):
    """Swap a value with its mirror image, if that comes later: so each pair is swapped once."""
    if place < mirrored:
        value = values[place]
        values[place] = values[mirrored]
        values[mirrored] = value
    return 0


@njit(nogil=True, cache=True)
def mirror_range(first, last, values, is_reversed, partners, n_bins, n_inner):
    """The CPU's loop over samples: bins in reverse order, tracks swapped with their partners."""
    n_tracks = partners.size
    for sample in range(first, last):
        if is_reversed[sample]:
            for number in range((n_bins + 1) // 2):
                row, mirrored_row = sample * n_bins + number, sample * n_bins + n_bins - 1 - number
                for track in range(n_tracks):
                    place = (row * n_tracks + track) * n_inner
                    mirrored = (mirrored_row * n_tracks + partners[track]) * n_inner
                    for inner in range(n_inner):
                        swap_mirrored(values, place + inner, mirrored + inner)
