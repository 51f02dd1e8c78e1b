"""Every operation of `bits.py`, `numbers.py` and `warps.py` on the CPU: what Python's integers and IEEE arithmetic say.

And the tables in their docstrings and in that of `memory.py`: they name every function.
"""

from __future__ import annotations

import ast
import ctypes
import inspect
import re
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit, types

from bigwig_numba.kernels import bits, memory, numbers, warps

WORD = 2**32
EDGES = [0, 1, 2, 31, 32, 0xFF, 0x7FFFFFFF, 0x80000000, 0x80000001, WORD - 2, WORD - 1]

HALVES = [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF]

words = st.integers(0, WORD - 1) | st.sampled_from(EDGES)
single_floats = words.map(lambda word: np.uint32(word).view(np.float32))
"""Every pattern of bits: subnormals, infinities, NaN."""


@njit
def all_word_operations(left, right, amount):  # type: ignore[no-untyped-def]
    """Each operation on words once, so that one compilation serves all tests."""
    return (
        bits.add(left, right),
        bits.sub(left, right),
        bits.mul(left, right),
        bits.shl(left, amount),
        bits.shr(left, amount),
        bits.band(left, right),
        bits.bor(left, right),
        bits.least(left, right),
        bits.funnel_right(left, right, amount),
        bits.funnel_left(left, right, amount),
        bits.reverse_bits(left),
        bits.count_ones(left),
        bits.leading_zeros(left),
        bits.words_before(left),
        bits.swap_bytes(left),
        bits.order_bytes(left, bits.SAME_BYTES),
        bits.order_bytes(left, bits.SWAPPED_BYTES),
        numbers.bits_from_float(numbers.float_from_bits(left)),
    )


@njit
def all_conditional_operations(condition, word, other):  # type: ignore[no-untyped-def]
    return (
        bits.choose(condition, word, other),
        bits.add_where(word, other, condition),
        bits.reverse_where(word, other, condition),
    )


@njit
def all_byte_operations(left, right, selector, number):  # type: ignore[no-untyped-def]
    guards = bits.guard_bytes(left, right)
    return (
        guards,
        bits.less_guards(guards, number),
        bits.pick_bytes(left, selector),
        bits.pick_byte(left, right, number),
    )


@njit
def all_float_operations(left, right, addend):  # type: ignore[no-untyped-def]
    return (
        numbers.rounded_add(left, right),
        numbers.rounded_multiply(left, right),
        numbers.fused_multiply_add(left, right, addend),
        numbers.rounded_add(numbers.rounded_multiply(left, right), addend),
    )


# The law of each operation in the order of `all_word_operations`: of two words and a shift amount below 32.
LAWS: dict[str, Callable[[int, int, int], int]] = {
    "add": lambda left, right, amount: (left + right) % WORD,
    "sub": lambda left, right, amount: (left - right) % WORD,
    "mul": lambda left, right, amount: left * right % WORD,
    "shl": lambda left, right, amount: (left << amount) % WORD,
    "shr": lambda left, right, amount: left >> amount,
    "band": lambda left, right, amount: left & right,
    "bor": lambda left, right, amount: left | right,
    "least": lambda left, right, amount: min(left, right),
    "funnel_right": lambda left, right, amount: ((left << 32 | right) >> amount) % WORD,
    "funnel_left": lambda left, right, amount: ((left << 32 | right) << amount) >> 32 & (WORD - 1),
    "reverse_bits": lambda left, right, amount: int(f"{left:032b}"[::-1], 2),
    "count_ones": lambda left, right, amount: left.bit_count(),
    "leading_zeros": lambda left, right, amount: 32 - left.bit_length(),
    "words_before": lambda left, right, amount: left // 4,
    "swap_bytes": lambda left, right, amount: int.from_bytes(left.to_bytes(4, "little"), "big"),
    "order_bytes, same": lambda left, right, amount: left,
    "order_bytes, swapped": lambda left, right, amount: int.from_bytes(left.to_bytes(4, "little"), "big"),
    "a float's bits": lambda left, right, amount: left,
}


@pytest.mark.parametrize("name", LAWS)
@given(left=words, right=words, amount=st.integers(0, 31))
def test_word_operation_is_what_its_law_says(name: str, left: int, right: int, amount: int) -> None:
    results = all_word_operations(np.uint32(left), np.uint32(right), np.uint32(amount))
    assert results[list(LAWS).index(name)] == LAWS[name](left, right, amount)


@given(left=words, right=words, amount=words)
def test_a_funnel_shift_takes_its_amount_modulo_32(left: int, right: int, amount: int) -> None:
    results = dict(zip(LAWS, all_word_operations(np.uint32(left), np.uint32(right), np.uint32(amount)), strict=True))
    for name in ("funnel_right", "funnel_left"):
        assert results[name] == LAWS[name](left, right, amount % 32)


@given(condition=st.booleans(), word=words, other=words)
def test_a_conditional_operation_leaves_the_word_where_its_condition_does_not_hold(
    condition: bool, word: int, other: int
) -> None:
    chosen, added, mirrored = all_conditional_operations(condition, np.uint32(word), np.uint32(other))
    if condition:
        reverse = LAWS["reverse_bits"](other, 0, 0)
        assert (chosen, added, mirrored) == (word, (word + other) % WORD, reverse)
    else:
        assert (chosen, added, mirrored) == (other, word, word)


def little_endian(word: int) -> list[int]:
    return list(word.to_bytes(4, "little"))


@given(halves=st.lists(st.sampled_from(HALVES) | st.integers(0, 0xFFFF), min_size=4, max_size=4), number=words)
def test_guards_are_bytes_of_ones_and_are_subtracted_by_their_number(halves: list[int], number: int) -> None:
    left, right = np.array(halves, np.uint16).view(np.uint32)
    guards, rest, _, _ = all_byte_operations(left, right, np.uint32(0), np.uint32(number))
    are_high = [half >= 0x8000 for half in halves]
    assert sorted(little_endian(guards)) == sorted(0xFF * is_high for is_high in are_high)
    assert rest == (number - sum(are_high)) % WORD


@given(word=words, digits=st.lists(st.integers(0, 3), min_size=4, max_size=4), higher=st.integers(0, 0xFFFF))
def test_bytes_are_picked_by_the_four_lowest_digits(word: int, digits: list[int], higher: int) -> None:
    selector = higher << 16 | sum(digit << 4 * place for place, digit in enumerate(digits))
    _, _, picked, _ = all_byte_operations(np.uint32(word), np.uint32(0), np.uint32(selector), np.uint32(0))
    assert little_endian(picked) == [little_endian(word)[digit] for digit in digits]


@given(content=st.lists(st.integers(0, 127), min_size=8, max_size=8), place=st.integers(0, 7))
def test_a_byte_is_picked_out_of_two_words_of_small_bytes(content: list[int], place: int) -> None:
    low, high = np.array(content, np.uint8).view(np.uint32)
    _, _, _, picked = all_byte_operations(low, high, np.uint32(0), np.uint32(bits.PICK_BYTE + place))
    assert picked == content[place]


def test_no_word_operation_widens() -> None:
    number = np.uint32(1)
    for operations, arguments in (
        (all_word_operations, (number, number, number)),
        (all_conditional_operations, (True, number, number)),
        (all_byte_operations, (number, number, number, number)),
    ):
        operations(*arguments)
        (signature,) = operations.nopython_signatures
        assert set(signature.return_type) == {types.uint32}


# --- float32


def fused(left: np.float32, right: np.float32, addend: np.float32) -> float:
    """The C library's fused multiply-add."""
    fmaf = ctypes.CDLL("libm.so.6").fmaf
    fmaf.restype, fmaf.argtypes = ctypes.c_float, [ctypes.c_float] * 3
    return float(fmaf(left, right, addend))


def assert_same_float(ours: float, theirs: np.float32 | float) -> None:
    """Equal to the last bit; any NaN equals any other."""
    if np.isnan(theirs):
        assert np.isnan(ours)
    else:
        assert np.float32(ours).view(np.uint32) == np.float32(theirs).view(np.uint32)


@given(left=single_floats, right=single_floats, addend=single_floats)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_float_operations_round_once_each(left: np.float32, right: np.float32, addend: np.float32) -> None:
    total, product, fma, product_then_sum = all_float_operations(left, right, addend)
    assert_same_float(total, left + right)
    assert_same_float(product, left * right)
    assert_same_float(fma, fused(left, right, addend))
    assert_same_float(product_then_sum, np.float32(left * right) + addend)


def test_a_product_and_a_sum_are_fused_only_when_asked() -> None:
    almost_one = np.float32(1 + 2**-12)
    _, square, fma, product_then_sum = all_float_operations(almost_one, almost_one, np.float32(-1 - 2**-11))
    assert square == 1 + 2**-11
    assert product_then_sum == 0.0
    assert fma == 2**-24


# --- warps


@njit
def all_warp_operations(predicate, word, lane):  # type: ignore[no-untyped-def]
    warps.sync_warp()
    return warps.vote_any(predicate), warps.ballot(predicate), warps.match_any(word), warps.shuffle(word, lane)


@given(predicate=st.booleans(), word=words)
def test_on_the_cpu_a_warp_is_one_lane(predicate: bool, word: int) -> None:
    assert all_warp_operations(predicate, np.uint32(word), np.uint32(0)) == (predicate, int(predicate), 1, word)


# --- the tables of the modules


def public_names(module: ModuleType) -> list[str]:
    """What is defined in a module, except constants."""
    names: list[str] = []
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.FunctionDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            names += [name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)]
    return [name for name in names if not name.startswith("_") and not name.isupper()]


@pytest.mark.parametrize("module", [bits, memory, numbers, warps])
def test_the_modules_table_names_each_function_once(module: ModuleType) -> None:
    rows = re.findall(r"^``([^`]+)`` ", module.__doc__ or "", re.MULTILINE)
    assert sorted(" ".join(rows).split()) == sorted(public_names(module))
