"""One's own kernels in place of the built-in ones: small objects that say what inflates, and what reduces.

The built-in inflate kernels go by name: ``"auto"`` takes the longest blocks by warp and the others by lane, as is
fastest; ``"lanes"`` and ``"warps"`` take all blocks one way. On the CPU all three are the decoder of tables.

An own one is an ``InflateKernel``: either a function for one stream, which the library runs on the CPU and, a stream a
thread, on the GPU; or a whole CUDA kernel.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from ..importing import import_object
from .jit import njit
from .sections import check_section
from .statistic import Statistic

__all__ = [
    "BUILTIN_INFLATE",
    "InflateKernel",
    "ReduceKernel",
    "get_inflate_kernel",
    "get_reduce_kernel",
    "inflate_streams",
]

BUILTIN_INFLATE = ("auto", "lanes", "warps")
"""Names of the built-in ways to inflate."""


@dataclass(frozen=True)
class InflateKernel:
    """An implementation of inflating blocks.

    Parameters
    ----------
    name
        What tables of benchmarks call it.
    decode
        ``decode(data, source, size, words, base, capacity, scratch) -> (status, n_bytes)``, made by ``numba.njit``:
        inflate one zlib stream, on one thread, on either device.

        - ``data`` (N,) uint32: compressed streams; this one is ``size`` bytes from word ``source`` on. At least 16 zero
          bytes follow it.
        - ``words`` (W,) uint32: the output; bytes go to word ``base`` and on, first bytes into low bits. At most
          ``capacity`` bytes may be written, rounded up to a word. What was there before is undefined.
        - ``scratch`` (``scratch_words``,) int32: memory of the thread, undefined at first.
        - ``status`` is 0, or a ``bigwig_numba.kernels.statuses.BlockStatus`` that says what is wrong with the stream;
          ``n_bytes`` is how many bytes came out. It must not raise, and must end on any input.
    scratch_words
        int32 numbers that ``decode`` gets; on the GPU in local memory.
    cuda
        ``cuda(data, table, words, results, first, last)``, made by ``numba.cuda.jit``: a whole CUDA kernel that
        inflates places ``first`` to ``last`` of ``table[ORDER]`` and writes ``results[STATUS]`` and
        ``results[COUNT]`` of each block; ``bigwig_numba.kernels.launch`` tells the arrays, ``kernels.launch_swapped``
        is a kernel to begin with. Taken on the GPU instead of ``decode``.
    threads
        Threads of a CUDA block.
    streams_per_group
        Streams that a CUDA block inflates: 1 where it works together, as many as threads where each is for itself.
    """

    name: str
    decode: Callable[..., Any] | None = None
    scratch_words: int = 1024
    cuda: Callable[..., Any] | None = None
    threads: int = 128
    streams_per_group: int = 128

    def __post_init__(self) -> None:
        if self.decode is None and self.cuda is None and self.name not in BUILTIN_INFLATE:
            message = f"inflate kernel {self.name!r} has neither decode nor cuda"
            raise ConfigError(message, argument="decode", value=None)
        if self.scratch_words < 1 or self.threads < 1 or self.streams_per_group < 1:
            message = f"inflate kernel {self.name!r}: scratch_words, threads and streams_per_group must be at least 1"
            raise ConfigError(message, argument="threads", value=self.threads)

    @property
    def is_builtin(self) -> bool:
        """Whether the library's own decoders do it."""
        return self.decode is None and self.cuda is None


@dataclass(frozen=True)
class ReduceKernel:
    """An implementation of reducing items to bins.

    Parameters
    ----------
    name
        What messages call it.
    cpu
        ``cpu(statistic) -> function``, as ``kernels.loops.make_reduce_range``: the function reduces a range of (window,
        track) pairs. None: the built-in one.
    cuda
        ``cuda(statistic) -> kernel``, as ``kernels.launch.make_reduce_windows``. None: the built-in one.

    Notes
    -----
    ``statistic`` is a ``Statistic``, or a tuple of them for a last axis of the output. ``kernels.windows`` has
    ``make_reduce_bins(statistic)``, what both built-in ones are made of.
    """

    name: str
    cpu: Callable[[Statistic | tuple[Statistic, ...]], Any] | None = None
    cuda: Callable[[Statistic | tuple[Statistic, ...]], Any] | None = None


def get_inflate_kernel(kernel: str | InflateKernel) -> InflateKernel:
    """The kernel of a name (``"auto"``, ``"lanes"``, ``"warps"``), of a ``module:name``, or the object itself.

    Raises
    ------
    ConfigError
        An unknown name, or something else than an ``InflateKernel``.

    Examples
    --------
    >>> get_inflate_kernel("lanes")
    InflateKernel(name='lanes', ...)
    """
    if isinstance(kernel, str) and ":" not in kernel:
        if kernel not in BUILTIN_INFLATE:
            names = ", ".join(map(repr, BUILTIN_INFLATE))
            message = f"inflate is {kernel!r}, expected {names}, 'module:name' or an InflateKernel"
            raise ConfigError(message, argument="inflate", value=kernel)
        return InflateKernel(kernel)
    found = import_object(kernel) if isinstance(kernel, str) else kernel
    return _checked(found, InflateKernel, "inflate", kernel)


def get_reduce_kernel(kernel: str | ReduceKernel) -> ReduceKernel:
    """The kernel of the name ``"auto"``, of a ``module:name``, or the object itself.

    Raises
    ------
    ConfigError
        An unknown name, or something else than a ``ReduceKernel``.
    """
    if kernel == "auto":
        return ReduceKernel("auto")
    if isinstance(kernel, str) and ":" not in kernel:
        message = f"reduce is {kernel!r}, expected 'auto', 'module:name' or a ReduceKernel"
        raise ConfigError(message, argument="reduce", value=kernel)
    found = import_object(kernel) if isinstance(kernel, str) else kernel
    return _checked(found, ReduceKernel, "reduce", kernel)


Kind = TypeVar("Kind")


def _checked(found: Any, kind: type[Kind], argument: str, given: Any) -> Kind:
    if not isinstance(found, kind):
        name = kind.__name__
        message = f"{argument} is {given!r}, an object of type {type(found).__name__}, expected one of type {name}"
        raise ConfigError(message, argument=argument, value=given)
    return found


@functools.lru_cache(maxsize=64)
def make_inflate_range(kernel: InflateKernel) -> Any:
    """The function that takes the place of ``loops.inflate_range`` for a kernel with ``decode``.

    Checksums are the decoder's business, and it does not stop early.

    Raises
    ------
    ConfigError
        The kernel is for GPUs only.
    """
    if kernel.decode is None:
        message = f"inflate kernel {kernel.name!r} has no decode, so it runs on a GPU only: take device='cuda'"
        raise ConfigError(message, argument="inflate", value=kernel.name)
    decode, scratch_words = kernel.decode, kernel.scratch_words

    @njit(nogil=True)
    def inflate_range(
        first, last, data, offsets, sizes, compressed, capacities, stops, big_endian, verify, output, words, bases,
        counts, statuses
    ):  # fmt: skip
        data_words = data.view(np.uint32)
        scratch = np.empty(scratch_words, np.int32)
        for block in range(first, last):
            status, n_bytes = 0, sizes[block]
            if compressed[block]:
                status, n_bytes = decode(
                    data_words, np.int64(offsets[block] // 4), np.int64(sizes[block]), words, np.int64(bases[block]),
                    np.int64(capacities[block]), scratch,
                )  # fmt: skip
            else:
                start = np.int64(bases[block]) * 4
                output[start : start + sizes[block]] = data[offsets[block] : offsets[block] + sizes[block]]
            counts[block] = 0
            if status == 0:
                status, counts[block] = check_section(words, bases[block], np.uint32(n_bytes), True, big_endian[block])
            statuses[block] = status

    return inflate_range


@functools.lru_cache(maxsize=64)
def _make_inflate_all(kernel: InflateKernel) -> Any:
    decode, scratch_words = kernel.decode, kernel.scratch_words

    @njit(nogil=True)
    def inflate_all(data, sources, sizes, words, slot, capacity, statuses, lengths):
        scratch = np.empty(scratch_words, np.int32)
        for stream in range(sizes.size):
            statuses[stream], lengths[stream] = decode(
                data, sources[stream], sizes[stream], words, stream * slot, capacity, scratch
            )

    return inflate_all


def inflate_streams(
    kernel: InflateKernel,
    data: npt.NDArray[np.uint32],
    sources: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    words: npt.NDArray[np.uint32],
    slot: int,
    capacity: int,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Inflate streams on one thread of the CPU, with nothing around the decoder.

    Parameters
    ----------
    kernel
        With ``decode``.
    data : (N,) uint32
        Streams.
    sources, sizes : (K,) int64
        Word at which each begins, and its bytes.
    words : (K * slot,) uint32
        Written: stream i from word ``i * slot`` on.
    slot
        Words from one to the next.
    capacity
        Most bytes of each.

    Returns
    -------
    statuses : (K,) int32
    lengths : (K,) int64
        Bytes that came out.
    """
    statuses, lengths = np.empty(sizes.size, np.int32), np.empty(sizes.size, np.int64)
    _make_inflate_all(kernel)(data, sources, sizes, words, slot, capacity, statuses, lengths)
    return statuses, lengths
