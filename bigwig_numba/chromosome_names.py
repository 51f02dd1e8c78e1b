"""Names of chromosomes: the standard ones, their natural order, and choosing among them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

__all__ = ["STANDARD_CHROMOSOMES", "Include", "select_chromosomes", "sorted_chromosomes"]

Include = Literal["all", "standard"] | str | Iterable[str]

STANDARD_CHROMOSOMES = frozenset(
    prefix + name for prefix in ("chr", "") for name in (*map(str, range(1, 23)), "X", "Y", "M", "MT")
)


def sorted_chromosomes(names: Iterable[str]) -> list[str]:
    """Natural order, standard chromosomes first: chr1, chr2, chr10, chrX, chr1_random."""

    def key(name: str) -> tuple[bool, list[tuple[bool, int, str]]]:
        pieces = re.split(r"(\d+)", name)
        return name not in STANDARD_CHROMOSOMES, [(not p.isdigit(), int(p) if p.isdigit() else 0, p) for p in pieces]

    return sorted(names, key=key)


def select_chromosomes(names: Iterable[str], include: Include, exclude: Iterable[str] | None) -> list[str]:
    """Those of the names that are included (``"all"``, ``"standard"``, a name or names) and not excluded, in order."""
    selected = set(names)
    if include == "standard":
        selected &= STANDARD_CHROMOSOMES
    elif include != "all":
        selected &= {include} if isinstance(include, str) else set(include)
    return sorted_chromosomes(selected - ({exclude} if isinstance(exclude, str) else set(exclude or ())))
