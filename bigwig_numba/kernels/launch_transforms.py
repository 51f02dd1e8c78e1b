"""The CUDA kernels of what is done to finished values: a thread a value, or a stretch of bins; see ``transforms``."""

import functools

import numpy as np
from numba import cuda, types

from .transforms import average_piece, make_one_step, put_value, swap_mirrored, value_at

TRANSFORM_ARGUMENTS = (
    *(types.float32[::1], types.uint16[::1], types.int64),
    *(types.int32[:, ::1], types.float32[:, :, ::1], types.int64[::1], types.int64, types.int64),
)
"""The types of what ``transform_values`` takes."""


@functools.lru_cache(maxsize=64)
def make_transform_values(functions):
    """The kernel that takes each value through the steps of its track; compiled at its first launch."""
    one_step = make_one_step(functions)

    @cuda.jit
    def transform_values(single, half, dtype, codes, parameters, tracks, n_inner, n_values):
        place = np.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
        if place < n_values:
            track = tracks[place // n_inner % tracks.size]
            value = value_at(single, half, place, dtype)
            for step in range(codes.shape[1]):
                one, two = parameters[track, step, 0], parameters[track, step, 1]
                value = one_step(value, codes[track, step], one, two, track)
            put_value(single, half, place, value, dtype)

    return transform_values


@cuda.jit
def average_bins(single, half, dtype, sums, new_single, new_half, width, n_bins, n_lines, n_pieces, n_threads):
    """A thread per piece of ``width`` bins of a line; neighbouring threads have neighbouring lines, the last axis."""
    thread = np.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if thread < n_threads:
        line, piece = thread % n_lines, thread // n_lines
        sample, first_bin = piece // n_pieces, piece % n_pieces * width
        average_piece(
            single, half, dtype, sums, new_single, new_half, first_bin, width, n_bins,
            sample * n_bins * n_lines + line, n_lines,
        )  # fmt: skip


@cuda.jit
def mirror_samples(values, is_reversed, partners, n_bins, n_inner):
    """A thread per value; the first half of each sample's swap with the second."""
    place = np.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    inner, column = place % n_inner, place // n_inner
    row, track = column // partners.size, column % partners.size
    sample, number = row // n_bins, row % n_bins
    if sample < is_reversed.size and is_reversed[sample] != 0:
        mirrored_row = sample * n_bins + n_bins - 1 - number
        swap_mirrored(values, place, (mirrored_row * partners.size + partners[track]) * n_inner + inner)
