"""Launch Numba's CUDA kernels through CuPy, and keep their machine code on disk.

Numba compiles; it does not launch: its launch costs about 30 microseconds per array argument, and a small batch takes
three launches of five arrays and more. Kernels of this package are kept in the user's cache folder, under a name that
changes with any of their source files, so that a second process need not compile.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import cupy
import numba
import numpy as np
from numba.np import numpy_support

from ..cache import cache_folder
from ..kernels.keeping import source_digest

logger = logging.getLogger(__name__)


class KernelLauncher:
    """Compiles kernels when they are first launched with arguments of certain types, and launches them.

    Parameters
    ----------
    folder
        Where machine code is kept; by default ``kernels`` in the user's cache folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = cache_folder() / "kernels" if folder is None else folder
        self._functions: dict[tuple[Any, ...], Any] = {}
        self._modules: list[Any] = []  # a function is valid as long as its module lives

    def launch(self, kernel: Any, n_groups: int, n_threads: int, *arguments: Any, name: str | None = None) -> None:
        """Launch a kernel on the current device and stream; nothing is waited for.

        Parameters
        ----------
        kernel
            What ``numba.cuda.jit`` made.
        n_groups, n_threads
            CUDA blocks, and threads of each.
        *arguments
            C-contiguous CuPy arrays, integers (int64) and NumPy scalars.
        name
            Of the kernel in the cache. Without it the kernel is compiled anew in each process, as those must be whose
            source this package does not know.
        """
        # Numba's types would take longer to make than the launch.
        kinds = tuple([(a.dtype.char, a.ndim) if isinstance(a, cupy.ndarray) else type(a) for a in arguments])
        key = (kernel, kinds, cupy.cuda.runtime.getDevice())
        function = self._functions.get(key)
        if function is None:
            function = self._functions[key] = self._load(kernel, tuple(map(_numba_type, arguments)), name)
        flat: list[Any] = []
        for argument in arguments:
            if isinstance(argument, cupy.ndarray):
                flat += _array_arguments(argument.data.ptr, argument.itemsize, argument.shape)
            else:
                flat.append(np.int64(argument) if isinstance(argument, int) else argument)
        function((n_groups,), (n_threads,), tuple(flat))

    def _load(self, kernel: Any, types: tuple[Any, ...], name: str | None) -> Any:
        """The kernel's function, from the cache or compiled."""
        entry, binary = self._compile(kernel, types) if name is None else self._from_cache(kernel, types, name)
        module = cupy.cuda.function.Module()
        module.load(binary)
        self._modules.append(module)
        return module.get_function(entry)

    def _from_cache(self, kernel: Any, types: tuple[Any, ...], name: str) -> tuple[str, bytes]:
        capability = cupy.cuda.Device().compute_capability
        facts = (name, str(types), capability, numba.__version__, _numba_cuda_version(), source_digest())
        path = self.folder / f"{name}-{hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()}.cubin"
        try:
            entry, _, binary = path.read_bytes().partition(b"\n")
        except OSError:
            logger.info("Compiling the kernel %s for compute capability %s", name, capability)
            entry_name, binary = self._compile(kernel, types)
            _write_atomically(path, entry_name.encode() + b"\n" + binary)
            return entry_name, binary
        return entry.decode(), binary

    @staticmethod
    def _compile(kernel: Any, types: tuple[Any, ...]) -> tuple[str, bytes]:
        """Name and machine code of the kernel for these argument types."""
        compiled = kernel.compile(types)
        cubin = compiled._codelibrary.get_cubin()  # Numba has no public way to the linked code
        return compiled.entry_name, bytes(getattr(cubin, "code", cubin))


def _numba_type(argument: Any) -> Any:
    if isinstance(argument, cupy.ndarray):
        return numba.types.Array(numpy_support.from_dtype(argument.dtype), argument.ndim, "C")
    if isinstance(argument, int):
        return numba.types.int64
    return numpy_support.from_dtype(argument.dtype)


@functools.lru_cache(maxsize=1024)  # memory is used again, so most arrays of a batch were there in the one before
def _array_arguments(address: int, itemsize: int, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """A contiguous array as Numba's kernels take it: two unused pointers, size, itemsize, address, shape, strides."""
    strides = [itemsize * math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    return tuple(map(np.int64, (0, 0, math.prod(shape), itemsize, address, *shape, *strides)))


def _numba_cuda_version() -> str:
    import numba_cuda

    return str(numba_cuda.__version__)


def _write_atomically(path: Path, content: bytes) -> None:
    """Other processes see the whole file or none. Without a place to write, each process compiles for itself."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as temporary:
            temporary.write(content)
        os.replace(temporary.name, path)
    except OSError as error:
        logger.warning("%s cannot be written (%s): kernels will be compiled in each process", path, error)
