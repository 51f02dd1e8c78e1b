"""Every function of `kernels/memory.py` on the CPU: it moves the bytes that Python's slices name, and no others."""

from __future__ import annotations

import operator
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit, types

from bigwig_numba.kernels import memory
from tests.decoders import FencedMemory

N_BYTES = 48
ADDRESSES = 2**64

contents = st.binary(min_size=N_BYTES, max_size=N_BYTES)
words = st.integers(0, 2**32 - 1)
numbers = st.integers(0, 8) | words | st.sampled_from([0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
"""How far from an address, in words or so: those from 2**31 on, too, are not negative."""
addresses = st.integers(0, ADDRESSES - 1) | st.sampled_from([0, 1, 2**32 - 1, 2**32, 2**63, ADDRESSES - 1])


def bytes_of(content: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(content, np.uint8)


def address_before(array: npt.NDArray[Any], place: int, distance: int) -> np.uint64:
    """The address that lies ``distance`` bytes before byte ``place`` of an array."""
    return np.uint64((array.ctypes.data + place - distance) % ADDRESSES)


def with_bytes(content: bytes, place: int, new: bytes) -> bytes:
    return content[:place] + new + content[place + len(new) :]


# --- eight bytes, and copies


@njit
def move_64(source, read_at, target, write_at):  # type: ignore[no-untyped-def]
    word = memory.load_64(source, read_at)
    memory.store_64(target, write_at, word)
    return word


@njit
def copy(destination, offset, address, size):  # type: ignore[no-untyped-def]
    memory.copy_from_address(destination, offset, address, size)


@given(content=contents, read_at=st.integers(0, N_BYTES - 8), write_at=st.integers(0, N_BYTES - 8))
def test_64_bits_move_from_and_to_any_alignment(content: bytes, read_at: int, write_at: int) -> None:
    poison = b"\xa5" * N_BYTES
    target = bytes_of(poison).copy()
    word = move_64(bytes_of(content), read_at, target, write_at)
    assert operator.index(word) == struct.unpack_from("<Q", content, read_at)[0]
    assert target.tobytes() == with_bytes(poison, write_at, content[read_at : read_at + 8])


@given(content=st.binary(max_size=40), offset=st.integers(0, 8), skipped=st.integers(0, 40))
def test_bytes_are_copied_from_an_address(content: bytes, offset: int, skipped: int) -> None:
    skipped, poison = min(skipped, len(content)), b"\xa5" * N_BYTES
    source, target = bytes_of(content), bytes_of(poison).copy()
    copy(target, offset, np.uint64(source.ctypes.data + skipped), len(content) - skipped)
    assert target.tobytes() == with_bytes(poison, offset, content[skipped:])


# --- addresses


@njit
def all_addresses(array, index, offset):  # type: ignore[no-untyped-def]
    return memory.address_of(array, index), memory.shared_address_of(array, offset)


@njit
def keep(address):  # type: ignore[no-untyped-def]
    return memory.steady(address, np.uint32(0))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint32])
@given(index=st.integers(0, 2**40), offset=words)
def test_an_address_counts_from_an_arrays_first_byte(
    dtype: type[np.unsignedinteger[Any]], index: int, offset: int
) -> None:
    array = np.zeros(4, dtype)
    in_memory, in_shared = all_addresses(array, np.uint64(index), np.uint32(offset))
    assert in_memory == array.ctypes.data + index * array.itemsize
    assert in_shared == array.ctypes.data + offset


@given(address=addresses)
def test_a_steady_address_is_the_same_address(address: int) -> None:
    assert keep(np.uint64(address)) == address
    (signature,) = keep.nopython_signatures
    assert signature.return_type == types.uint64


# --- words by address


@njit
def load_each(number, word_from, byte_from):  # type: ignore[no-untyped-def]
    return (
        memory.load_word(word_from, number),
        memory.load_shared_word(byte_from, number),
        memory.load_shared_byte(byte_from, number),
    )


@njit
def store_each(number, first_from, first_word, second_from, second_word):  # type: ignore[no-untyped-def]
    memory.store_word(first_from, number, first_word)
    memory.store_shared_word(second_from, number, second_word)


@njit
def load_four(address, group, wanted, first, second, third, fourth):  # type: ignore[no-untyped-def]
    return memory.load_four_words(address, group, wanted, first, second, third, fourth)


@njit
def load_groups(address, wanted, given_words):  # type: ignore[no-untyped-def]
    """A row of them: where there is one only, the compiler loads it late, in a branch, whatever was asked for."""
    for group in range(wanted.size):
        first, second, third, fourth = given_words[group]
        loaded = memory.load_four_words(address, np.uint32(group), wanted[group], first, second, third, fourth)
        for number in range(4):
            given_words[group, number] = loaded[number]


@njit
def store_four(address, group, wanted, first, second, third, fourth):  # type: ignore[no-untyped-def]
    memory.store_four_words(address, group, wanted, first, second, third, fourth)


@given(content=contents, index=st.integers(0, N_BYTES // 4 - 1), number=numbers)
def test_a_word_is_loaded_so_many_words_or_bytes_after_an_address(content: bytes, index: int, number: int) -> None:
    array, place = bytes_of(content), 4 * index
    loaded = load_each(
        np.uint32(number), address_before(array, place, 4 * number), address_before(array, place, number)
    )
    word = int.from_bytes(content[place : place + 4], "little")
    assert loaded == (word, word, content[place])
    (signature,) = load_each.nopython_signatures
    assert set(signature.return_type) == {types.uint32}


@given(content=contents, places=st.permutations(range(0, N_BYTES, 4)), new=st.tuples(words, words), number=numbers)
def test_a_stored_word_changes_four_bytes(content: bytes, places: list[int], new: tuple[int, int], number: int) -> None:
    array = bytes_of(content).copy()
    first, second = places[:2]
    store_each(
        np.uint32(number),
        *(address_before(array, first, 4 * number), np.uint32(new[0])),
        *(address_before(array, second, number), np.uint32(new[1])),
    )
    expected = with_bytes(content, first, struct.pack("<I", new[0]))
    assert array.tobytes() == with_bytes(expected, second, struct.pack("<I", new[1]))


@given(content=contents, place=st.integers(0, N_BYTES // 4 - 4), number=numbers)
def test_four_words_are_loaded_where_they_are_wanted(content: bytes, place: int, number: int) -> None:
    array = bytes_of(content)
    from_here = address_before(array, 4 * place, 16 * number)
    expected = struct.unpack_from("<4I", content, 4 * place)
    assert load_four(from_here, np.uint32(number), True, *map(np.uint32, (1, 2, 3, 4))) == expected


@given(content=contents, place=st.integers(0, N_BYTES // 4 - 4), number=numbers, new=st.tuples(*[words] * 4))
def test_four_words_are_stored_where_they_are_wanted(
    content: bytes, place: int, number: int, new: tuple[int, int, int, int]
) -> None:
    array = bytes_of(content).copy()
    store_four(address_before(array, 4 * place, 16 * number), np.uint32(number), True, *map(np.uint32, new))
    assert array.tobytes() == with_bytes(content, 4 * place, struct.pack("<4I", *new))


FENCED = FencedMemory(1).bytes
CLOSED = {
    "none": 0,
    "before memory": FENCED.ctypes.data - 16,
    "after memory": FENCED.ctypes.data + FENCED.size,
    "the last": ADDRESSES - 16,
}
"""Addresses at which nothing can be read or written."""


@pytest.mark.parametrize("where", CLOSED)
@given(given_words=st.tuples(*[words] * 4), number=st.sampled_from([0, 0xFFFFFFFF]))
def test_words_that_are_not_wanted_are_not_looked_at(
    where: str, given_words: tuple[int, int, int, int], number: int
) -> None:
    from_here = (np.uint64((CLOSED[where] - 16 * number) % ADDRESSES), np.uint32(number))
    assert load_four(*from_here, False, *map(np.uint32, given_words)) == given_words


@pytest.mark.parametrize("where", CLOSED)
def test_words_that_are_not_wanted_are_not_stored_where_nothing_can_be(where: str) -> None:
    store_four(np.uint64(CLOSED[where]), np.uint32(0), False, *map(np.uint32, (1, 2, 3, 4)))


@given(content=contents, place=st.integers(0, N_BYTES // 4 - 4), new=st.tuples(*[words] * 4))
def test_words_that_are_not_wanted_change_nothing(content: bytes, place: int, new: tuple[int, int, int, int]) -> None:
    array = bytes_of(content).copy()
    store_four(address_before(array, 4 * place, 0), np.uint32(0), False, *map(np.uint32, new))
    assert array.tobytes() == content


@given(wanted=st.tuples(st.booleans(), st.booleans()), content=st.binary(min_size=32, max_size=32))
def test_of_groups_at_the_end_of_memory_and_beyond_the_wanted_ones_are_loaded(
    wanted: tuple[bool, bool], content: bytes
) -> None:
    FENCED[-32:] = bytes_of(content)
    loaded = np.arange(16, dtype=np.uint32).reshape(4, 4)
    expected = loaded.copy()
    expected[:2][list(wanted)] = np.frombuffer(content, np.uint32).reshape(2, 4)[list(wanted)]
    load_groups(address_before(FENCED, FENCED.size, 32), np.array([*wanted, False, False]), loaded)
    np.testing.assert_array_equal(loaded, expected)
