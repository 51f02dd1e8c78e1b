"""The open files of a collection, and where in memory those are that are mapped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np

from ..storage import ByteSource

__all__ = ["SourceTable"]


class SourceTable(Sequence[ByteSource]):
    """Files in track order, and where their bytes are: looked up once, not in each batch.

    It keeps memory maps alive, so that no copy out of them can meet a file that was closed meanwhile.

    Parameters
    ----------
    sources
        One per file.

    Attributes
    ----------
    sizes
        (T,) int64, bytes of each file.
    mapped
        (T,) bool, whether the file is mapped into memory.
    is_mapped
        Whether all files are.
    addresses
        (T,) uint64, where in memory; 0 if it is not.
    """

    def __init__(self, sources: Sequence[ByteSource]) -> None:
        self._sources = tuple(sources)
        self._memories = [source.memory for source in self._sources]
        self.sizes = np.array([source.size for source in self._sources], dtype=np.int64)
        self.mapped = np.array([memory is not None for memory in self._memories], dtype=np.bool_)
        self.is_mapped = bool(self.mapped.all())
        self.addresses = np.array(
            [0 if memory is None else memory.ctypes.data for memory in self._memories], dtype=np.uint64
        )

    @overload
    def __getitem__(self, index: int) -> ByteSource: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ByteSource]: ...
    def __getitem__(self, index: int | slice) -> ByteSource | Sequence[ByteSource]:
        return self._sources[index]

    def __len__(self) -> int:
        return len(self._sources)

    def close(self) -> None:
        """Close all files."""
        for source in self._sources:
            source.close()
