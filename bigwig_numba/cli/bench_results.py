"""What the benchmarks' commands share: the files that they read, and how they print results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..example_data import example_data
from ..opening import find_paths
from .output import as_json as as_json_value
from .output import print_json

BIGWIG_EXTENSIONS = (".bigWig", ".bw", ".bigwig")


class Result(Protocol):
    """What is printed of a measurement."""

    def line(self) -> str:
        """For people."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        ...


R = TypeVar("R", bound=Result)


def bigwig_files(paths: Sequence[str] | None) -> list[str]:
    """The files that paths, folders and globs stand for, sorted; without any, tracks on a small made genome."""
    paths = paths or [str(path) for path in example_data().bigwig_paths]
    return sorted(find_paths(paths, BIGWIG_EXTENSIONS, crawl=True, storage_options=None))


def print_results(
    results: Iterable[R], *, as_json: bool, facts: Mapping[str, Any] | None = None, output: Path | None = None
) -> list[R]:
    """Print each result when it is there, or all in the end as JSON: a list, or with facts, an object; return them.

    ``output`` is a file that has, as JSON, those that are there, whenever the program may be ended.
    """
    printed: list[R] = []
    for result in results:
        printed.append(result)
        if not as_json:
            print(result.line(), flush=True)
        if output is not None:
            unfinished = output.with_name(output.name + ".unfinished")
            unfinished.write_text(json.dumps(as_json_value([each.as_dict() for each in printed]), indent=2))
            unfinished.replace(output)
    if as_json:
        listed = [result.as_dict() for result in printed]
        print_json(listed if facts is None else {**facts, "results": listed})
    return printed
