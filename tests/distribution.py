"""Which tests of a parallel run share a process, and which are first.

A function that is compiled takes a second or two, and each process compiles for itself. So tests that compile the same
ones are best run by one process, one after the other. What takes long is begun early, so that no process is left with
it while the others have ended.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from xdist.scheduler import LoadScopeScheduling

COMPILE_STATISTICS = {
    *("report", "test_checking", "test_dataset", "test_end_to_end", "test_engines", "test_matrix"),
    *("test_own_statistics", "test_plot", "test_ptx_own", "test_statistics", "test_swapping"),
}
"""Files with tests of every statistic, or of several; `report` is of `bigwig_numba/checking`."""

FIRST = (
    # The first two compile nothing that both need. What the second compiles and Numba keeps, the third finds.
    *("test_ptx", "statistics", "test_inflate"),
    *("test_docs_code", "test_real_files", "test_interval_frames", "test_packaging", "test_windows"),
    *("test_remote", "test_transforms", "test_plain_warp", "test_cli"),
)
"""What takes longest: files, by their stems, and those that compile statistics."""


class ByFile(LoadScopeScheduling):
    """Gives a process whole files: those of `FIRST`, in that order, then those with most tests."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        stem = PurePosixPath(file).stem
        return "statistics" if stem in COMPILE_STATISTICS else stem if stem in FIRST else file

    def _assign_work_unit(self, node: Any) -> None:
        first = next((scope for scope in FIRST if scope in self.workqueue), None)
        if first is not None:
            self.workqueue.move_to_end(first, last=False)
        super()._assign_work_unit(node)
