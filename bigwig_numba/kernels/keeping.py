"""What kept machine code depends on: a digest of every source file that kernels are made of.

Only linked CUDA kernels are kept by it, each in a module of its own. Closures for the CPU are compiled in each process:
kept ones gave wrong numbers now and then, probably as Numba numbers their symbols per process, so that code of two
processes can carry one name.
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
