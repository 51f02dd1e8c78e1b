"""Which tests of a parallel run share a process: those of a file, and all that compile every statistic.

A function that is compiled takes a second or two, and each process compiles for itself. So tests that compile the same
ones are best run by one process, one after the other.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from xdist.scheduler import LoadScopeScheduling

COMPILE_STATISTICS = {"test_checking", "test_end_to_end", "test_engines", "test_own_statistics", "test_statistics"}
"""Files with tests of every statistic."""


class ByFile(LoadScopeScheduling):
    """Gives a process whole files; those with most tests first."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "statistics" if PurePosixPath(file).stem in COMPILE_STATISTICS else file
