"""Are one's own functions right, and what became of them: against plain Python, in machine code, and in GB/s."""

from .report import check
from .result import CheckResult

__all__ = ["CheckResult", "check"]
