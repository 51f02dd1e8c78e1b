"""What tests of engines share: making them, plans for open files, arrays of either device on the host."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bigwig_numba.engine.cpu import CpuEngine
from bigwig_numba.engine.reduction import Reduction
from bigwig_numba.index import read_file_index
from bigwig_numba.kernels.statistics import get_statistic
from bigwig_numba.plan import ReadPlan, TrackTable, WindowRequest, plan_windows, request_windows
from bigwig_numba.storage import ByteSource, open_source
from tests.corpus import Window

Engine = Any
"""`CpuEngine` or `CudaEngine`; the latter cannot be imported without CuPy."""


def make_engine(name: str) -> Engine:
    if name.startswith("cuda"):
        return importlib.import_module("bigwig_numba.engine.cuda").CudaEngine(verify=name == "cuda, verifying")
    return {"one thread": CpuEngine(1), "two threads": CpuEngine(2), "verifying": CpuEngine(2, verify=True)}[name]


@dataclass(frozen=True)
class Tracks:
    """Open files."""

    sources: Sequence[ByteSource]
    table: TrackTable

    @classmethod
    def open(cls, *paths: Path) -> Tracks:
        sources = [open_source(path) for path in paths]
        return cls(sources, TrackTable.from_indexes([read_file_index(source) for source in sources]))

    def plan(self, windows: Sequence[Window], window_size: int = 1) -> ReadPlan:
        return plan_windows(self.table, **_positions(self.table, windows), window_size=window_size)

    def request(self, windows: Sequence[Window], window_size: int = 1) -> WindowRequest:
        return request_windows(self.table, **_positions(self.table, windows), window_size=window_size)

    def reduction(self, statistic: str = "mean", default: float = 0.0, dtype: str = "float32") -> Reduction:
        scales = np.linspace(1, 0.3, self.table.n_tracks, dtype=np.float32)
        return Reduction(get_statistic(statistic), default, dtype, scales)


def _positions(table: TrackTable, windows: Sequence[Window]) -> dict[str, npt.NDArray[np.int64]]:
    names = table.chromosome_names
    return {
        "chromosome_rows": np.array([names.index(name) for name, _, _ in windows], np.int64),
        "starts": np.array([start for _, start, _ in windows], np.int64),
        "ends": np.array([end for _, _, end in windows], np.int64),
    }


def to_host(array: Any) -> npt.NDArray[Any]:
    return np.asarray(array.get() if hasattr(array, "get") else array)


def assert_same_bits(ours: npt.NDArray[Any], theirs: npt.NDArray[Any]) -> None:
    """Equal to the last bit, the sign of zero included; any NaN equals any other."""
    np.testing.assert_array_equal(ours, theirs, strict=True)
    if ours.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(ours)[~np.isnan(ours)], np.signbit(theirs)[~np.isnan(theirs)])
