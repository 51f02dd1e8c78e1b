"""Every operation of `kernels/bits.py` on the CPU: what Python's integers and IEEE arithmetic say."""

from __future__ import annotations

import ctypes
import operator
import struct
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit, types

from bigwig_numba.kernels import bits, memory

WORD = 2**32
EDGES = [0, 1, 2, 31, 32, 0xFF, 0x7FFFFFFF, 0x80000000, 0x80000001, WORD - 2, WORD - 1]

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
        bits.swap_bytes(left),
        bits.order_bytes(left, bits.SAME_BYTES),
        bits.order_bytes(left, bits.SWAPPED_BYTES),
        bits.bits_from_float(bits.float_from_bits(left)),
    )


@njit
def all_float_operations(left, right, addend):  # type: ignore[no-untyped-def]
    return (
        bits.rounded_add(left, right),
        bits.rounded_multiply(left, right),
        bits.fused_multiply_add(left, right, addend),
        bits.rounded_add(bits.rounded_multiply(left, right), addend),
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


def test_no_word_operation_widens() -> None:
    all_word_operations(np.uint32(1), np.uint32(2), np.uint32(3))
    (signature,) = all_word_operations.nopython_signatures
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
    bits.sync_warp()
    return bits.vote_any(predicate), bits.ballot(predicate), bits.match_any(word), bits.shuffle(word, lane)


@given(predicate=st.booleans(), word=words)
def test_on_the_cpu_a_warp_is_one_lane(predicate: bool, word: int) -> None:
    assert all_warp_operations(predicate, np.uint32(word), np.uint32(0)) == (predicate, int(predicate), 1, word)


# --- memory


@njit
def move_64(source, read_at, target, write_at):  # type: ignore[no-untyped-def]
    word = memory.load_64(source, read_at)
    memory.store_64(target, write_at, word)
    return word


@njit
def copy(destination, offset, address, size):  # type: ignore[no-untyped-def]
    memory.copy_from_address(destination, offset, address, size)


def bytes_of(content: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(content, np.uint8)


@given(content=st.binary(min_size=24, max_size=24), read_at=st.integers(0, 16), write_at=st.integers(0, 16))
def test_64_bits_move_from_and_to_any_alignment(content: bytes, read_at: int, write_at: int) -> None:
    target = np.full(24, 0xA5, np.uint8)
    word = move_64(bytes_of(content), read_at, target, write_at)
    assert operator.index(word) == struct.unpack_from("<Q", content, read_at)[0]
    expected = bytearray(b"\xa5" * 24)
    expected[write_at : write_at + 8] = content[read_at : read_at + 8]
    assert target.tobytes() == expected


@given(content=st.binary(max_size=40), offset=st.integers(0, 8), skipped=st.integers(0, 40))
def test_bytes_are_copied_from_an_address(content: bytes, offset: int, skipped: int) -> None:
    skipped = min(skipped, len(content))
    source, target = bytes_of(content), np.full(48, 0xA5, np.uint8)
    copy(target, offset, np.uint64(source.ctypes.data + skipped), len(content) - skipped)
    expected = bytearray(b"\xa5" * 48)
    expected[offset : offset + len(content) - skipped] = content[skipped:]
    assert target.tobytes() == expected
