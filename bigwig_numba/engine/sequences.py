"""Encode windows of a genome: how an output is laid out, and the kernel run on the CPU's threads.

``cuda_sequences`` does the same on the GPU; nothing here needs one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from ..kernels import sequence_context
from ..kernels.sequence import (
    BASES_PER_PIECE,
    CLIP_FIRST,
    CLIP_LAST,
    ORIGIN,
    REVERSED,
    count_unknown_range,
    encode_range,
    make_encode_windows,
)
from ..parallel import ThreadTeam
from .cpu import aligned_empty

__all__ = [
    "LAYOUTS",
    "CpuSequences",
    "FunctionLayout",
    "OutputLayout",
    "SequenceWindows",
    "Sequences",
    "TableLayout",
    "count_unknown",
]

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
    n_neighbours
        Bases that are read of each window besides, before and after it; the table is of all that are read.
    """

    table: npt.NDArray[np.int64]
    length: int
    n_neighbours: int = 0

    @property
    def n_read(self) -> int:
        """Bases that are read of each window."""
        return self.length + self.n_neighbours

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
        context: tuple[int, int] = (0, 0),
    ) -> SequenceWindows:
        """Windows from their chromosomes' first base and length, and their start on it; (S,) each.

        ``context`` says how many bases are read before and after each window, in the order of its strand.
        """
        before, after = context
        n_read = length + before + after
        starts = starts - np.where(is_reversed, after, before)
        table = np.empty((4, len(starts)), dtype=np.int64)
        table[ORIGIN] = first_bases + starts
        table[CLIP_FIRST] = np.clip(-starts, 0, n_read)
        table[CLIP_LAST] = np.maximum(np.clip(chromosome_lengths - starts, 0, n_read), table[CLIP_FIRST])
        table[REVERSED] = is_reversed
        return cls(table, length, before + after)


class OutputLayout(Protocol):
    """What is written for a base, and where; says which kernel does it, and what that takes."""

    cuda_name: ClassVar[str | None]
    """Of the CUDA kernel among those that are kept on disk; None: it is not kept."""

    @property
    def n_channels(self) -> int:
        """Numbers that a base becomes, C."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the output."""
        ...

    @property
    def channels_last(self) -> bool:
        """Whether the output is (S, L, C), or else (S, C, L)."""
        ...

    def cpu_kernel(self) -> Any:
        """The function of a range of pieces of windows."""
        ...

    def cuda_kernel(self) -> Any:
        """The kernel that takes a piece of a window per CUDA block."""
        ...

    def arguments(self, out: Any, address: int, length: int) -> tuple[int, tuple[Any, ...]]:
        """Words that are written for a base, and what kernels take after the bases and the windows.

        Parameters
        ----------
        out
            The output, of either device, and its address there.
        length
            Bases of a window.
        """
        ...


def shape_of(layout: OutputLayout, windows: SequenceWindows) -> tuple[int, int, int]:
    """Of the output."""
    inner = (windows.length, layout.n_channels) if layout.channels_last else (layout.n_channels, windows.length)
    return (windows.n_windows, *inner)


def strides_of(layout: OutputLayout, length: int, n_words: int) -> tuple[int, int]:
    """Words from a base to the next, and from a word of it to the next."""
    return (n_words, 1) if layout.channels_last else (1, length)


@dataclass(frozen=True, slots=True, eq=False)
class TableLayout:
    """A row of a table is written for a base.

    Parameters
    ----------
    table
        (32, C) what each code, and each complemented code, becomes; of the output's type.
    channels_last
        Whether the output is (S, L, C), or else (S, C, L).
    """

    cuda_name: ClassVar[str | None] = "encode_windows"
    table: npt.NDArray[Any]
    channels_last: bool = True

    @property
    def n_channels(self) -> int:
        """Numbers that a base becomes."""
        return int(self.table.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the output."""
        return self.table.dtype

    def parts(self, address: int) -> npt.NDArray[Any]:
        """(32, P) unsigned: the table in the largest words that an output at this address can be written in."""
        n_bytes = self.table.itemsize
        if self.channels_last:
            n_bytes = math.gcd(n_bytes * self.table.shape[1], LARGEST_PART, address)
        return self.table.view(np.dtype(f"u{n_bytes}"))

    def cpu_kernel(self) -> Any:
        """One for all tables."""
        return encode_range

    def cuda_kernel(self) -> Any:
        """One for all tables."""
        return make_encode_windows()

    def arguments(self, out: Any, address: int, length: int) -> tuple[int, tuple[Any, ...]]:
        """The table and the output in parts."""
        parts = self.parts(address)
        n_parts = parts.shape[1]
        return n_parts, (parts, out.reshape(-1).view(parts.dtype), length, *strides_of(self, length, n_parts))


@dataclass(frozen=True, slots=True, eq=False)
class FunctionLayout:
    """A user's function is called for a base with its neighbours.

    Parameters
    ----------
    encode
        ``encode(codes, channel)`` of ``n_bases`` codes that follow each other.
    n_bases
        How many; the windows' ``n_neighbours`` and one.
    n_channels
        C.
    dtype_name
        ``"float32"``, ``"float16"`` or ``"bfloat16"``; the output of the last is uint16.
    channels_last
        Whether the output is (S, L, C), or else (S, C, L).
    """

    cuda_name: ClassVar[str | None] = None
    encode: Callable[[tuple[int, ...], int], float]
    n_bases: int
    n_channels: int
    dtype_name: str = "float32"
    channels_last: bool = True

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the output."""
        return np.dtype("uint16" if self.dtype_name == "bfloat16" else self.dtype_name)

    def cpu_kernel(self) -> Any:
        """Made once for a function."""
        return sequence_context.make_encode_range(self.encode, self.n_bases)

    def cuda_kernel(self) -> Any:
        """Made once for a function."""
        return sequence_context.make_encode_windows(self.encode, self.n_bases)

    def arguments(self, out: Any, address: int, length: int) -> tuple[int, tuple[Any, ...]]:
        """The output as float32 and as uint16, as Numba has no float16 on the CPU; the kernel writes to one of them."""
        half = out.reshape(-1).view(np.uint16)
        single = half[: half.size // 2 * 2].view(np.float32)
        dtype = sequence_context.DTYPES[self.dtype_name]
        strides = strides_of(self, length, self.n_channels)
        return self.n_channels, (single, half, dtype, self.n_channels, length, *strides)


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
            smallest = max(1, SMALLEST_PIECE // min(windows.length, BASES_PER_PIECE))
            _, arguments = layout.arguments(out, out.ctypes.data, windows.length)
            self._team.run(
                layout.cpu_kernel(), windows.n_pieces, self._bases, windows.table, *arguments, smallest=smallest
            )
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
    shape, dtype = shape_of(layout, windows), layout.dtype
    if out is None:
        return allocate(shape, dtype)
    if out.shape != shape or out.dtype != dtype or not out.flags.c_contiguous:
        found = f"of shape {out.shape} and type {out.dtype}{'' if out.flags.c_contiguous else ' (not contiguous)'}"
        message = f"out must be a C-contiguous array of shape {shape} and type {dtype}, not {found}"
        raise ConfigError(message, argument="out", value=out.shape)
    return out
