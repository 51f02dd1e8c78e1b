"""A warp of 32 lanes in plain Python: kernels' sources run by a thread per lane, so that lanes meet without a GPU."""

from __future__ import annotations

import ast
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bigwig_numba.kernels
from bigwig_numba.kernels import statuses

WORD = 0xFFFFFFFF
KERNELS = Path(bigwig_numba.kernels.__file__).parent


class Warp:
    """What lanes tell each other: each leaves a value, waits for all, and reads those of the others."""

    def __init__(self, n_lanes: int = 32) -> None:
        self.n_lanes = n_lanes
        self._barrier = threading.Barrier(n_lanes)
        self._values: list[Any] = [0] * n_lanes
        self._here = threading.local()

    def run(self, function: Any, *arguments: Any) -> list[Any]:
        """What ``function(*arguments, lane, n_lanes)`` returns on each lane."""
        results: list[Any] = [None] * self.n_lanes
        errors: list[BaseException] = []

        def work(lane: int) -> None:
            self._here.lane = lane
            try:
                results[lane] = function(*arguments, lane, self.n_lanes)
            except BaseException as error:  # noqa: BLE001 - raised again by the caller
                errors.append(error)
                self._barrier.abort()

        threads = [threading.Thread(target=work, args=(lane,)) for lane in range(self.n_lanes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        causes = [error for error in errors if not isinstance(error, threading.BrokenBarrierError)]
        if errors:
            raise (causes or errors)[0]
        return results

    def exchange(self, value: Any) -> list[Any]:
        """The values of all lanes."""
        self._values[self._here.lane] = value
        self._barrier.wait(30)
        values = list(self._values)
        self._barrier.wait(30)
        return values

    def bits(self) -> dict[str, Any]:
        """The functions of ``kernels.bits`` that kernels for warps use."""

        def ballot(predicate: bool) -> int:
            return sum(1 << lane for lane, value in enumerate(self.exchange(bool(predicate))) if value)

        def match_any(value: int) -> int:
            return sum(1 << lane for lane, other in enumerate(self.exchange(value)) if other == value)

        return {
            "add": lambda a, b: (a + b) & WORD,
            "sub": lambda a, b: (a - b) & WORD,
            "mul": lambda a, b: (a * b) & WORD,
            "shl": lambda a, b: (a << b) & WORD,
            "shr": lambda a, b: a >> b,
            "band": lambda a, b: a & b,
            "bor": lambda a, b: a | b,
            "least": min,
            "count_ones": lambda a: a.bit_count(),
            "leading_zeros": lambda a: 32 - a.bit_length(),
            "reverse_bits": lambda a: int(f"{a:032b}"[::-1], 2),
            "swap_bytes": lambda a: int.from_bytes(a.to_bytes(4, "little"), "big"),
            "funnel_right": lambda high, low, by: ((high << 32 | low) >> (by & 31)) & WORD,
            "funnel_left": lambda high, low, by: ((high << 32 | low) << (by & 31) >> 32) & WORD,
            "vote_any": lambda predicate: any(self.exchange(bool(predicate))),
            "ballot": ballot,
            "match_any": match_any,
            "shuffle": lambda value, lane: self.exchange(value)[lane],
            "sync_warp": lambda: self.exchange(None) and None,
        }


def njit(**_: Any) -> Any:
    """In place of Numba's: the function as it is."""
    return lambda function: function


def load(name: str, warp: Warp, loaded: dict[str, dict[str, Any]] | None = None) -> dict[str, Any]:
    """The names of the kernel module ``name`` (``inflate.warp``), with what it imports, as plain Python for a warp."""
    if loaded is None:
        loaded = {"bits": warp.bits(), "memory": {}, "jit": {"njit": njit}, "statuses": vars(statuses)}
    if name in loaded:
        return loaded[name]
    path = KERNELS / (name.replace(".", "/") + ".py")
    tree = ast.parse(path.read_text())
    names: dict[str, Any] = {
        "np": SimpleNamespace(uint32=lambda value: int(value) & WORD, uint64=int, uint16=int, uint8=int, int32=int),
        "njit": njit,
    }
    body = []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level:
            parent = name.split(".")[: len(name.split(".")) - node.level]
            source = load(".".join([*parent, node.module or ""]), warp, loaded)
            names.update({alias.asname or alias.name: source.get(alias.name) for alias in node.names})
        elif not isinstance(node, ast.Import | ast.ImportFrom):
            body.append(node)
    exec(compile(ast.Module(body, []), str(path), "exec"), names)
    loaded[name] = names
    return names
