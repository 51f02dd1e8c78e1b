"""A file as an array, through a memory map that holds no file descriptor: thousands of files may be open."""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["map_file"]

FAILED = ctypes.c_void_p(-1).value  # what mmap(2) returns then


def map_file(path: str, size: int) -> npt.NDArray[np.uint8]:
    """The first ``size`` bytes of a file, read-only.

    Python's own map keeps a duplicate of the descriptor (``trackfd=False`` is new in 3.13), and processes may often
    have only 1,024. Where the system's ``mmap`` cannot be called, NumPy's map is taken.

    Parameters
    ----------
    path
        A regular file.
    size
        Bytes, at least 1; the file must have as many.

    Returns
    -------
    (size,) uint8
        Unmapped when the last array over it is gone.

    Raises
    ------
    OSError
        As opening the file does, or mapping it.
    """
    system = _system_calls()
    if system is None:
        return np.memmap(path, np.uint8, mode="r", shape=(size,)).view(np.ndarray)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        address = system.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
    finally:
        os.close(descriptor)
    if address == FAILED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return np.asarray(_Mapping(system, address, size))


class _Mapping:
    """Mapped memory, as NumPy takes arrays; arrays over it keep it alive."""

    def __init__(self, system: ctypes.CDLL, address: int, size: int) -> None:
        self.__array_interface__ = {"shape": (size,), "typestr": "|u1", "data": (address, True), "version": 3}
        weakref.finalize(self, system.munmap, ctypes.c_void_p(address), ctypes.c_size_t(size))


def _system_calls() -> Any | None:
    """The C library's ``mmap`` and ``munmap``; None where there are none."""
    if not (hasattr(mmap, "PROT_READ") and hasattr(mmap, "MAP_SHARED")):
        return None
    try:
        library = ctypes.CDLL(None, use_errno=True)
        call, back = library.mmap, library.munmap
    except (OSError, AttributeError):
        return None
    offset = ctypes.c_longlong if ctypes.sizeof(ctypes.c_long) == 8 else ctypes.c_long
    call.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, offset)
    call.restype = ctypes.c_void_p
    back.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    return library
