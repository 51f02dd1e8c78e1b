"""Is one's own statistic right, and what became of it: against plain Python, in machine code, and in GB/s."""

from .report import CheckResult, check

__all__ = ["CheckResult", "check"]
