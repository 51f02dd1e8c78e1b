"""Sections: the device functions read what `struct` reads, and say what is wrong with damaged ones."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from bigwig_numba.kernels import sections
from bigwig_numba.kernels.statuses import BlockStatus
from tests.decoders import FencedMemory

HEADER = "IIIIIBBH"
"""chrom_id, start, end, step, span, type, reserved, item count."""
ITEM_FIELDS = {1: "IIf", 2: "If", 3: "f"}
KINDS = {"bedGraph": 1, "variableStep": 2, "fixedStep": 3}
WORD = 2**32
BASE = 5
"""Words before the section."""
NEVER = WORD

section_kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
byte_orders = pytest.mark.parametrize("order", "<>", ids=["little-endian", "big-endian"])
small = st.integers(0, 40)
positions = st.one_of(*[small] * 6, st.integers(WORD - 50, WORD - 1))
values = st.floats(width=32)

Item = tuple[int, int, float]


# --- made and read with struct


def header(
    order: str, kind: int, count: int, *, chrom_id: int = 0, start: int = 0, step: int = 0, span: int = 0
) -> bytes:
    return struct.pack(order + HEADER, chrom_id, start, 0, step, span, kind, 0, count)


@st.composite
def payloads(draw: st.DrawFn, kind: int, order: str, *, min_items: int = 0) -> bytes:
    """A section whose header tells the truth about its items; half of them are in order, others in any."""
    starts, span, in_order = (
        draw(st.lists(positions, min_size=min_items, max_size=12)),
        draw(small),
        draw(st.booleans()),
    )
    if in_order:
        starts = [min(start + span * i, WORD - 1) for i, start in enumerate(sorted(starts))]
    items = b""
    for i, start in enumerate(starts):
        end = draw(st.integers(start, [*starts, WORD - 1][i + 1]) if in_order else positions)
        fields = {1: (start, end), 2: (start,), 3: ()}[kind]
        items += struct.pack(order + ITEM_FIELDS[kind], *fields, draw(values))
    facts = {"chrom_id": draw(st.integers(0, WORD - 1)), "start": draw(positions), "step": draw(small)}
    return header(order, kind, len(starts), span=span, **facts) + items


def read_items(payload: bytes, order: str) -> list[Item]:
    """start, end and value of the items; positions have 32 bits."""
    _, first, _, step, span, kind, _, count = struct.unpack_from(order + HEADER, payload)
    size = struct.calcsize(order + ITEM_FIELDS[kind])
    items: list[Item] = []
    for i in range(count):
        *place, value = struct.unpack_from(order + ITEM_FIELDS[kind], payload, 24 + i * size)
        start = place[0] if place else (first + i * step) % WORD
        end = place[1] if kind == 1 else (start + span) % WORD
        items.append((start, end, value))
    return items


# --- read with the device functions


@njit
def read_section(words, base, big_endian, count, starts, ends, item_values):  # type: ignore[no-untyped-def]
    """Items with the device functions, and what the header says."""
    kind = sections.section_type(words, base, big_endian)
    for index in range(count):
        place = np.uint32(index)
        starts[index] = sections.item_start(words, base, kind, place, big_endian)
        ends[index] = sections.item_end(words, base, kind, place, starts[index], big_endian)
        item_values[index] = sections.item_value(words, base, kind, place, big_endian)
    return sections.word_at(words, base, big_endian), kind, sections.item_count(words, base, big_endian)


@njit
def usable_items(words, base, n_bytes, is_whole, big_endian):  # type: ignore[no-untyped-def]
    return sections.usable_items(words, base, n_bytes, is_whole, big_endian)


def words_of(payload: bytes) -> npt.NDArray[np.uint32]:
    """The section from word `BASE` on, in rubbish."""
    rubbish = b"\xee" * 4 * BASE
    return np.frombuffer(rubbish + payload + bytes(-len(payload) % 4) + rubbish * 3, np.uint32)


def call(
    function: Any, payload: bytes, order: str, *, n_bytes: int | None = None, is_whole: bool = True
) -> tuple[BlockStatus, int]:
    """Status and count that `usable_items` or `check_section` gives."""
    size = np.uint32(len(payload) if n_bytes is None else n_bytes)
    status, count = function(words_of(payload), np.uint64(BASE), size, is_whole, order == ">")
    return BlockStatus(status), int(count)


@section_kinds
@byte_orders
@given(data=st.data())
def test_items_and_header_are_what_struct_reads(kind: int, order: str, data: st.DataObject) -> None:
    payload = data.draw(payloads(kind, order))
    expected = read_items(payload, order)
    starts, ends = np.empty(len(expected), np.uint32), np.empty(len(expected), np.uint32)
    floats = np.empty(len(expected), np.float32)
    found = read_section(words_of(payload), np.uint64(BASE), order == ">", len(expected), starts, ends, floats)
    chrom_id, *_, count = struct.unpack_from(order + HEADER, payload)
    assert found == (chrom_id, kind, count)
    assert list(zip(starts.tolist(), ends.tolist(), strict=True)) == [item[:2] for item in expected]
    np.testing.assert_array_equal(floats, np.array([item[2] for item in expected], np.float32))


# --- headers


@byte_orders
@given(
    kind=st.integers(0, 255) | st.sampled_from([1, 2, 3]), count=st.integers(0, 60) | st.just(65_535),
    n_bytes=st.integers(0, 400), is_whole=st.booleans(),
)  # fmt: skip
def test_items_are_usable_as_far_as_type_count_and_bytes_allow(
    order: str, kind: int, count: int, n_bytes: int, is_whole: bool
) -> None:
    payload = header(order, kind, count) + bytes(376)
    found = call(usable_items, payload, order, n_bytes=n_bytes, is_whole=is_whole)
    if n_bytes < 24:
        assert found == (BlockStatus.SECTION_TOO_SHORT, 0)
    elif kind not in ITEM_FIELDS:
        assert found == (BlockStatus.UNKNOWN_SECTION_TYPE, 0)
    else:
        room = (n_bytes - 24) // struct.calcsize("<" + ITEM_FIELDS[kind])
        if count > room and is_whole:
            assert found == (BlockStatus.SECTION_TOO_SHORT, 0)
        else:
            assert found == (BlockStatus.GOOD, min(count, room))


# --- order of the items


def are_sorted_and_disjoint(items: Sequence[Item]) -> bool:
    edges = [edge for start, end, _ in items for edge in (start, end)]
    return edges == sorted(edges)


@section_kinds
@byte_orders
@given(data=st.data())
def test_a_section_is_good_if_its_items_are_sorted_and_disjoint(kind: int, order: str, data: st.DataObject) -> None:
    payload = data.draw(payloads(kind, order))
    items = read_items(payload, order)
    expected = (BlockStatus.GOOD, len(items)) if are_sorted_and_disjoint(items) else (BlockStatus.ITEMS_OUT_OF_ORDER, 0)
    assert call(sections.check_section, payload, order) == expected


@byte_orders
@pytest.mark.parametrize(
    ("edges", "is_good"),
    {
        "apart": ([(1, 3), (5, 6)], True),
        "touching": ([(1, 3), (3, 6)], True),
        "of no bases": ([(1, 1), (1, 1), (1, 4)], True),
        "overlapping by a base": ([(1, 4), (3, 6)], False),
        "in another order": ([(5, 6), (1, 3)], False),
        "backwards, not the last": ([(3, 1), (5, 6)], False),
        "backwards, the last": ([(1, 3), (6, 5)], False),
        "backwards, the only one": ([(6, 5)], False),
        "none": ([], True),
    }.values(),
)
def test_bedgraph_items_may_touch_but_not_overlap(order: str, edges: list[tuple[int, int]], is_good: bool) -> None:
    items = b"".join(struct.pack(order + "IIf", *edge, 1.0) for edge in edges)
    status, count = call(sections.check_section, header(order, 1, len(edges)) + items, order)
    assert status == (BlockStatus.GOOD if is_good else BlockStatus.ITEMS_OUT_OF_ORDER)
    assert count == (len(edges) if is_good else 0)


@byte_orders
def test_a_position_past_32_bits_is_out_of_order_not_wrapped(order: str) -> None:
    items = struct.pack(order + "3f", 1, 2, 3)
    near_the_end = header(order, 3, 3, start=WORD - 20, step=9, span=5)
    assert call(sections.check_section, near_the_end + items, order)[0] == BlockStatus.ITEMS_OUT_OF_ORDER
    assert call(sections.check_section, header(order, 3, 3, start=WORD - 24, step=9, span=5) + items, order) == (
        BlockStatus.GOOD,
        3,
    )


@section_kinds
@byte_orders
@given(data=st.data())
def test_the_items_of_an_unfinished_section_are_checked_as_far_as_they_go(
    kind: int, order: str, data: st.DataObject
) -> None:
    payload = data.draw(payloads(kind, order))
    n_bytes = data.draw(st.integers(24, len(payload)))
    there = read_items(payload, order)[: (n_bytes - 24) // struct.calcsize("<" + ITEM_FIELDS[kind])]
    found = call(sections.check_section, payload, order, n_bytes=n_bytes, is_whole=False)
    good = are_sorted_and_disjoint(there)
    assert found == ((BlockStatus.GOOD, len(there)) if good else (BlockStatus.ITEMS_OUT_OF_ORDER, 0))


# --- order of the sections


@njit
def follows(words, bases, counts, big_endian):  # type: ignore[no-untyped-def]
    return sections.follows(words, bases[1], counts[1], big_endian[1], bases[0], counts[0], big_endian[0])


@given(
    data=st.data(), kinds=st.tuples(*[st.sampled_from([1, 2, 3])] * 2), orders=st.tuples(*[st.sampled_from("<>")] * 2)
)
def test_a_section_follows_where_its_first_item_is_not_before_the_last_one_of_the_other(
    data: st.DataObject, kinds: tuple[int, int], orders: tuple[str, str]
) -> None:
    both = [data.draw(payloads(kind, order)) for kind, order in zip(kinds, orders, strict=True)]
    chrom_ids = [data.draw(st.integers(0, 2)) for _ in both]
    both = [
        struct.pack(order + "I", chrom_id) + payload[4:]
        for order, chrom_id, payload in zip(orders, chrom_ids, both, strict=True)
    ]
    before, after = (read_items(payload, order) for payload, order in zip(both, orders, strict=True))
    one_is_empty = not before or not after
    expected = one_is_empty or (chrom_ids[0], before[-1][1]) <= (chrom_ids[1], after[0][0])
    words = np.frombuffer(b"".join(both), np.uint32)
    bases = np.array([0, len(both[0]) // 4], np.uint64)
    counts = np.array([len(before), len(after)], np.uint32)
    assert follows(words, bases, counts, np.array([order == ">" for order in orders])) == expected


# --- stopping early

FENCED = FencedMemory(4_096)


def has_passed(payload: bytes, stop: int, order: str) -> bool:
    """Of a section that ends where nothing may be read."""
    start = len(FENCED.bytes) - len(payload)
    FENCED.bytes[start:] = np.frombuffer(payload, np.uint8)
    return bool(sections.has_passed(FENCED.bytes, start, len(payload), stop, order == ">"))


@section_kinds
@byte_orders
@given(data=st.data())
def test_a_section_has_passed_where_its_last_whole_item_starts_at_the_stop_or_after(
    kind: int, order: str, data: st.DataObject
) -> None:
    payload = data.draw(payloads(kind, order, min_items=8))
    n_bytes = data.draw(st.sampled_from(range(40, len(payload) + 1)))
    items = read_items(payload, order)
    n_there = (n_bytes - 24) // struct.calcsize("<" + ITEM_FIELDS[kind])
    there, around = items[:n_there], items[max(n_there - 1, 0) : n_there + 1]
    stop = data.draw(st.sampled_from([start + shift for start, _, _ in around for shift in (0, 1)]) | positions)
    in_32_bits = kind != 3 or are_sorted_and_disjoint([(start, start, 0) for start, _, _ in there])
    passed = has_passed(payload[:n_bytes], stop, order)
    if n_bytes < 48:  # it waits for a few bytes more
        assert not passed
    elif in_32_bits:
        assert passed == (there[-1][0] >= stop)
    assert not has_passed(payload[:n_bytes], NEVER, order)


@given(rubbish=st.binary(min_size=24, max_size=300), kind=st.integers(4, 255), stop=st.integers(0, NEVER))
def test_a_section_of_unknown_type_is_inflated_to_its_end(rubbish: bytes, kind: int, stop: int) -> None:
    section = rubbish[:20] + bytes([kind]) + rubbish[21:]
    assert not has_passed(section, stop, "<")
