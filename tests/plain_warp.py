"""A warp of 32 lanes in plain Python: kernels' sources run by a thread per lane, so that lanes meet without a GPU."""

from __future__ import annotations

import ast
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bigwig_numba.kernels
from bigwig_numba.kernels import bits, statuses

WORD = 0xFFFFFFFF
KERNELS = Path(bigwig_numba.kernels.__file__).parent


def _reversed(word: int) -> int:
    return int(f"{word:032b}"[::-1], 2)


class Memory:
    """One stretch of bytes for all arrays, so that they have addresses."""

    def __init__(self) -> None:
        self.bytes = bytearray(64)

    def array(self, dtype: str, values: Sequence[int]) -> Array:
        """A new array of ``uint8`` or ``uint32``, from a multiple of 64 bytes on."""
        array = Array(self, len(self.bytes), {"uint8": 1, "uint32": 4}[dtype])
        self.bytes += bytes(-(-len(values) * array.item // 64) * 64)
        for index, value in enumerate(values):
            array[index] = value
        return array

    def load(self, address: int, size: int = 4) -> int:
        assert 64 <= address <= len(self.bytes) - size, "read outside of all arrays"
        return int.from_bytes(self.bytes[address : address + size], "little")

    def store(self, address: int, value: int, size: int = 4) -> None:
        assert 64 <= address <= len(self.bytes) - size, "written outside of all arrays"
        self.bytes[address : address + size] = value.to_bytes(size, "little")

    def functions(self) -> dict[str, Any]:
        """The functions of ``kernels.memory`` that the lane decoder uses."""

        def load_four_words(address: int, group: int, wanted: bool, *words: int) -> tuple[int, ...]:
            assert address % 16 == 0
            there = address + 16 * group
            return tuple(self.load(there + 4 * number) for number in range(4)) if wanted else words

        def store_four_words(address: int, group: int, wanted: bool, *words: int) -> None:
            assert address % 16 == 0
            for number, word in enumerate(words if wanted else ()):
                self.store(address + 16 * group + 4 * number, word)

        return {
            "address_of": lambda array, index: array.first + array.item * index,
            "shared_address_of": lambda array, offset: array.first + offset,
            "steady": lambda address, lane: address,
            "load_word": lambda address, index: self.load(address + 4 * index),
            "store_word": lambda address, index, word: self.store(address + 4 * index, word),
            "load_shared_word": lambda address, offset: self.load((address + offset) & WORD),
            "load_shared_byte": lambda address, offset: self.load((address + offset) & WORD, 1),
            "store_shared_word": lambda address, offset, word: self.store((address + offset) & WORD, word),
            "load_four_words": load_four_words,
            "store_four_words": store_four_words,
        }


@dataclass(frozen=True)
class Array:
    """Part of a memory, by elements."""

    memory: Memory
    first: int
    item: int

    def __getitem__(self, index: int) -> int:
        return self.memory.load(self.first + self.item * index, self.item)

    def __setitem__(self, index: int, value: int) -> None:
        self.memory.store(self.first + self.item * index, value & ((1 << 8 * self.item) - 1), self.item)


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
        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-4)  # lanes wait for each other all the time, so let threads change places often
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(before)
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

    def together(self) -> dict[str, Any]:
        """The functions of ``kernels.warps``."""

        def ballot(predicate: bool) -> int:
            return sum(1 << lane for lane, value in enumerate(self.exchange(bool(predicate))) if value)

        def match_any(value: int) -> int:
            return sum(1 << lane for lane, other in enumerate(self.exchange(value)) if other == value)

        return {
            "vote_any": lambda predicate: any(self.exchange(bool(predicate))),
            "ballot": ballot,
            "match_any": match_any,
            "shuffle": lambda value, lane: self.exchange(value)[lane],
            "sync_warp": lambda: self.exchange(None) and None,
        }

    @staticmethod
    def bits() -> dict[str, Any]:
        """The functions of ``kernels.bits`` that kernels for warps use."""
        return {
            "add": lambda a, b: (a + b) & WORD,
            "sub": lambda a, b: (a - b) & WORD,
            "mul": lambda a, b: (a * b) & WORD,
            "shl": lambda a, b: (a << b) & WORD,
            "shr": lambda a, b: a >> b,
            "band": lambda a, b: a & b,
            "bor": lambda a, b: a | b,
            "least": min,
            "choose": lambda condition, a, b: a if condition else b,
            "add_where": lambda a, b, condition: (a + b) & WORD if condition else a,
            "reverse_where": lambda a, b, condition: _reversed(b) if condition else a,
            "words_before": lambda position: position >> 2,
            "guard_bytes": lambda a, b: sum(
                ((a | b << 32) >> 16 * half + 15 & 1) * 0xFF << 8 * half for half in range(4)
            ),
            "less_guards": lambda guards, number: (number - guards.bit_count() // 8) & WORD,
            "pick_bytes": lambda a, digits: sum((a >> (digits >> 4 * i & 3) * 8 & 0xFF) << 8 * i for i in range(4)),
            "pick_byte": lambda a, b, number: (a | b << 32) >> (number - bits.PICK_BYTE) * 8 & 0xFF,
            "SAME_BYTES": bits.SAME_BYTES,
            "PICK_BYTE": bits.PICK_BYTE,
            "count_ones": lambda a: a.bit_count(),
            "leading_zeros": lambda a: 32 - a.bit_length(),
            "reverse_bits": _reversed,
            "swap_bytes": lambda a: int.from_bytes(a.to_bytes(4, "little"), "big"),
            "funnel_right": lambda high, low, by: ((high << 32 | low) >> (by & 31)) & WORD,
            "funnel_left": lambda high, low, by: ((high << 32 | low) << (by & 31) >> 32) & WORD,
        }


def njit(**_: Any) -> Any:
    """In place of Numba's: the function as it is."""
    return lambda function: function


def load(
    name: str, warp: Warp, loaded: dict[str, dict[str, Any]] | None = None, memory: Memory | None = None
) -> dict[str, Any]:
    """The names of the kernel module ``name`` (``inflate.warp``), with what it imports, as plain Python for a warp."""
    if loaded is None:
        functions = {} if memory is None else memory.functions()
        loaded = {
            "bits": warp.bits(),
            "warps": warp.together(),
            "numbers": {},
            "memory": functions,
            "jit": {"njit": njit},
            "statuses": vars(statuses),
        }
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
