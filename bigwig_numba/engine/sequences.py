"""Encode windows of a genome: how an output is laid out, and the kernel run on the CPU's threads.

``cuda_sequences`` does the same on the GPU; nothing here needs one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from ..kernels.sequence import (
    BASES_PER_PIECE,
    CLIP_FIRST,
    CLIP_LAST,
    ORIGIN,
    REVERSED,
    count_unknown_range,
    encode_range,
)
from ..parallel import ThreadTeam
from .cpu import aligned_empty

__all__ = ["LAYOUTS", "CpuSequences", "OutputLayout", "SequenceWindows", "Sequences", "count_unknown"]

LAYOUTS = ("BLT", "BTL")
SMALLEST_PIECE = 65_536  # bases, about 0.2 ms: below that a thread costs more than it does
SMALLEST_COUNT = 4_096  # windows
LARGEST_PART = 8  # bytes


@dataclass(frozen=True, slots=True, eq=False)
class SequenceWindows:
    """Where the bases of S windows of one length are.

    Attributes
    ----------
    table
        (4, S) int64, see ``kernels.sequence``.
    length
        Bases of each window, L.
    """

    table: npt.NDArray[np.int64]
    length: int

    @property
    def n_windows(self) -> int:
        """Number of windows, S."""
        return len(self.table[ORIGIN])

    @property
    def n_pieces(self) -> int:
        """Pieces of windows, as the kernels take them."""
        return self.n_windows * -(-self.length // BASES_PER_PIECE)

    @classmethod
    def place(
        cls,
        first_bases: npt.NDArray[np.int64],
        chromosome_lengths: npt.NDArray[np.int64],
        starts: npt.NDArray[np.int64],
        length: int,
        is_reversed: npt.NDArray[np.bool_],
    ) -> SequenceWindows:
        """Windows from their chromosomes' first base and length, and their start on it; (S,) each."""
        table = np.empty((4, len(starts)), dtype=np.int64)
        table[ORIGIN] = first_bases + starts
        table[CLIP_FIRST] = np.clip(-starts, 0, length)
        table[CLIP_LAST] = np.maximum(np.clip(chromosome_lengths - starts, 0, length), table[CLIP_FIRST])
        table[REVERSED] = is_reversed
        return cls(table, length)


@dataclass(frozen=True, slots=True, eq=False)
class OutputLayout:
    """What is written for a base, and where.

    Parameters
    ----------
    table
        (32, C) what each code, and each complemented code, becomes; of the output's type.
    channels_last
        Whether the output is (S, L, C), or else (S, C, L).
    """

    table: npt.NDArray[Any]
    channels_last: bool = True

    def shape(self, windows: SequenceWindows) -> tuple[int, int, int]:
        """Of the output."""
        n_channels = self.table.shape[1]
        inner = (windows.length, n_channels) if self.channels_last else (n_channels, windows.length)
        return (windows.n_windows, *inner)

    def parts(self, address: int) -> npt.NDArray[Any]:
        """(32, P) unsigned: the table in the largest words that an output at this address can be written in."""
        n_bytes = self.table.itemsize
        if self.channels_last:
            n_bytes = math.gcd(n_bytes * self.table.shape[1], LARGEST_PART, address)
        return self.table.view(np.dtype(f"u{n_bytes}"))

    def strides(self, windows: SequenceWindows, n_parts: int) -> tuple[int, int]:
        """Words from a base to the next, and from a part of it to the next."""
        return (n_parts, 1) if self.channels_last else (1, windows.length)


class Sequences(Protocol):
    """What encodes windows, on one device."""

    def encode(self, windows: SequenceWindows, layout: OutputLayout, *, out: Any | None = None) -> Any:
        """The output, as an array of the device: ``out``, or a new one."""
        ...

    def close(self) -> None:
        """Give back device memory; a later call takes it again."""
        ...


class CpuSequences:
    """Encodes windows with a team's threads.

    Parameters
    ----------
    bases
        (N / 2,) uint8, the genome; see ``kernels.sequence``.
    team
        Threads to use; they stay their owner's.
    """

    def __init__(self, bases: npt.NDArray[np.uint8], team: ThreadTeam) -> None:
        self._bases = bases
        self._team = team

    def encode(
        self, windows: SequenceWindows, layout: OutputLayout, *, out: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[Any]:
        """The output; a new one starts at a multiple of 64 bytes."""
        out = checked_output(out, windows, layout, aligned_empty)
        if out.size:
            parts = layout.parts(out.ctypes.data)
            words = out.reshape(-1).view(parts.dtype)
            smallest = max(1, SMALLEST_PIECE // min(windows.length, BASES_PER_PIECE))
            self._team.run(
                encode_range, windows.n_pieces, self._bases, windows.table, parts, words, windows.length,
                *layout.strides(windows, parts.shape[1]), smallest=smallest,
            )  # fmt: skip
        return out

    def close(self) -> None:
        """Nothing is held."""


def count_unknown(
    windows: SequenceWindows, unknown_runs: npt.NDArray[np.int64], team: ThreadTeam
) -> npt.NDArray[np.int64]:
    """(S,) int64 bases of each window that are not exactly A, C, G or T; what is outside the chromosome counts."""
    counts = np.empty(windows.n_windows, dtype=np.int64)
    team.run(
        count_unknown_range, windows.n_windows, unknown_runs, windows.table, windows.length, counts,
        smallest=SMALLEST_COUNT,
    )  # fmt: skip
    return counts


def checked_output(
    out: Any | None, windows: SequenceWindows, layout: OutputLayout, allocate: Callable[[Any, Any], Any]
) -> Any:
    """A new output from ``allocate(shape, dtype)``, or the given one if it fits."""
    shape, dtype = layout.shape(windows), layout.table.dtype
    if out is None:
        return allocate(shape, dtype)
    if out.shape != shape or out.dtype != dtype or not out.flags.c_contiguous:
        found = f"of shape {out.shape} and type {out.dtype}{'' if out.flags.c_contiguous else ' (not contiguous)'}"
        message = f"out must be a C-contiguous array of shape {shape} and type {dtype}, not {found}"
        raise ConfigError(message, argument="out", value=out.shape)
    return out
