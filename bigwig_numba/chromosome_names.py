"""Names of chromosomes: the standard ones, and their natural order."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["STANDARD_CHROMOSOMES", "sorted_chromosomes"]

STANDARD_CHROMOSOMES = frozenset(
    prefix + name for prefix in ("chr", "") for name in (*map(str, range(1, 23)), "X", "Y", "M", "MT")
)


def sorted_chromosomes(names: Iterable[str]) -> list[str]:
    """Natural order, standard chromosomes first: chr1, chr2, chr10, chrX, chr1_random."""

    def key(name: str) -> tuple[bool, list[tuple[bool, int, str]]]:
        pieces = re.split(r"(\d+)", name)
        return name not in STANDARD_CHROMOSOMES, [(not p.isdigit(), int(p) if p.isdigit() else 0, p) for p in pieces]

    return sorted(names, key=key)
