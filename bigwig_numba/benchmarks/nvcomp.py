"""nvCOMP's batched Deflate decompressor through ctypes: the peer that inflating is measured against."""

from __future__ import annotations

import ctypes
import importlib.util
import os
from pathlib import Path
from typing import Any

import cupy
import numpy as np

ENVIRONMENT_VARIABLE = "NVCOMP_SO"
_CUDA_BACKEND = 2  # decompress on the SMs; nvCOMP's other backends want hardware that is not everywhere


class _Options(ctypes.Structure):
    """nvcompBatchedDeflateDecompressOpts_t of nvCOMP 5 and 6: backend, sorting, and room that must be zero."""

    _fields_ = (("backend", ctypes.c_int), ("sort_before", ctypes.c_int), ("reserved", ctypes.c_char * 56))


def find_library() -> str | None:
    """Path of libnvcomp.so: named by ``NVCOMP_SO``, or in the package nvidia-libnvcomp; None if there is none."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named and Path(named).exists():
        return named
    package = importlib.util.find_spec("nvidia")
    for folder in package.submodule_search_locations or () if package else ():
        for found in sorted(Path(folder).glob("libnvcomp/**/libnvcomp.so*")):
            return str(found)
    return None


class NvcompDeflate:
    """Decompresses raw DEFLATE streams that are on the device already, again and again.

    Parameters
    ----------
    library
        Path of libnvcomp.so.
    """

    def __init__(self, library: str) -> None:
        shared = ctypes.CDLL(library)
        self._temporary_size = shared.nvcompBatchedDeflateDecompressGetTempSize
        size, pointer = ctypes.c_size_t, ctypes.c_void_p
        self._temporary_size.argtypes = [size, size, _Options, pointer, size]
        self._decompress = shared.nvcompBatchedDeflateDecompressAsync
        self._decompress.argtypes = [pointer] * 4 + [size, pointer, size, pointer, _Options, pointer, pointer]
        self._temporary = cupy.empty(0, np.uint8)
        self._options = _Options(_CUDA_BACKEND, 0, b"")

    def prepare(self, n_streams: int, capacity: int) -> None:
        """Allocate what ``run`` needs, outside of what is timed."""
        needed = ctypes.c_size_t()
        self._check(
            self._temporary_size(n_streams, capacity, self._options, ctypes.byref(needed), n_streams * capacity)
        )
        self._temporary = cupy.empty(max(8, needed.value), np.uint8)
        self._written = cupy.empty(n_streams, np.uint64)
        self.statuses = cupy.empty(n_streams, np.int32)

    def run(self, streams: Any, sizes: Any, outputs: Any, capacities: Any) -> None:
        """Decompress; all arguments are (n,) uint64 on the device: addresses (4-byte aligned) and bytes."""
        stream = cupy.cuda.get_current_stream()
        self._check(
            self._decompress(
                streams.data.ptr, sizes.data.ptr, capacities.data.ptr, self._written.data.ptr, streams.size,
                self._temporary.data.ptr, self._temporary.nbytes, outputs.data.ptr, self._options,
                self.statuses.data.ptr, stream.ptr,
            )
        )  # fmt: skip

    @staticmethod
    def _check(status: int) -> None:
        if status:
            raise RuntimeError(f"nvCOMP returned status {status}")
