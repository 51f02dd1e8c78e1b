"""What kept machine code depends on: a digest of every source file that kernels are made of.

Only linked CUDA kernels are kept by it, each in a module of its own. Closures for the CPU are compiled in each process:
Numba numbers their symbols per process, so code that one process kept can carry the name of other code in the next,
which then calls the wrong one.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

__all__ = ["source_digest"]


@functools.cache
def source_digest() -> str:
    """Changes with any source file that kernels are made of."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
