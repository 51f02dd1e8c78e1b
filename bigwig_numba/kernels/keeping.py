"""Keep compiled functions across processes under a key of one's own: what they are made of, not where they stand.

Numba's ``cache=True`` looks at one source file and at the functions that a closure refers to, which differ in each
process. A function of this package is made of several files; it is kept under a digest of all of them.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache, IndexDataCacheFile

__all__ = ["keep_compiled", "source_digest"]


@functools.cache
def source_digest() -> str:
    """Changes with any source file that kernels are made of."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class _KeyedCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache, in its place and format, with another key, and files of its own for each key.

    Numba numbers the files of a function; two processes that save different keys at once can come to the same number,
    and then one finds the other's code. With a file per key, they can only write the same.
    """

    def __init__(self, function: Any, name: str) -> None:
        super().__init__(function)
        self._key_name = name

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return sig, codegen.magic_tuple(), self._key_name, source_digest()

    def _load_overload(self, sig: Any, target_context: Any) -> Any:
        self._choose_file(sig, target_context.codegen())
        return super()._load_overload(sig, target_context)

    def _save_overload(self, sig: Any, data: Any) -> None:
        self._choose_file(sig, data.codegen)
        super()._save_overload(sig, data)

    def _choose_file(self, sig: Any, codegen: Any) -> None:
        key = hashlib.blake2b(repr(self._index_key(sig, codegen)).encode(), digest_size=16).hexdigest()
        self._cache_file = IndexDataCacheFile(
            cache_path=self._cache_path,
            filename_base=f"{self._impl.filename_base}-{key}",
            source_stamp=self._impl.locator.get_source_stamp(),
        )


def keep_compiled(dispatcher: Any, name: str) -> Any:
    """Keep what a function made by ``numba.njit`` is compiled to; ``name`` tells it from others of the same code."""
    dispatcher._cache = _KeyedCache(dispatcher.py_func, name)
    return dispatcher
