"""What kept machine code depends on: a digest of every source file that kernels are made of.

Linked CUDA kernels are kept by it, each in a module of its own. Functions for the CPU are kept by Numba, which looks at
the one file that a function is in: after a change of another, say ``bits.py``, it would go on with what it kept.

Closures for the CPU are compiled in each process: kept ones gave wrong numbers now and then, probably as Numba numbers
their symbols per process, so that code of two processes can carry one name. The functions that they call are kept, as
they are no closures themselves, which halves the seconds until the first batch.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from pathlib import Path

__all__ = ["forget_stale_code", "source_digest"]

FOLDER = Path(__file__).parent


@functools.cache
def source_digest() -> str:
    """Changes with any source file that kernels are made of."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(FOLDER.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@functools.cache
def forget_stale_code(folder: Path = FOLDER) -> None:
    """Delete the indexes of what Numba kept of functions in ``folder``, if any source of kernels has changed since."""
    stamp = folder / "__pycache__" / "sources.digest"
    with contextlib.suppress(OSError):  # there is none yet
        if stamp.read_text() == source_digest():
            return
    with contextlib.suppress(OSError):  # not ours to write: then nobody changes the sources there either
        for index in folder.rglob("__pycache__/*.nbi"):
            index.unlink(missing_ok=True)
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(source_digest())
