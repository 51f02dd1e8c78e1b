"""Items to bins: the walk over blocks and items meets what a slow twin finds by looking at everything."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from bigwig_numba.kernels.bits import add, mul, shr
from bigwig_numba.kernels.numbers import bits_from_float
from bigwig_numba.kernels.statistics import Statistic, get_statistic
from bigwig_numba.kernels.windows import (
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    bfloat16_bits,
    float16_bits,
    make_fill_bins,
    make_reduce_bins,
    place_bins,
    seek_items,
    whole_bins,
)
from tests.bigwig_writer import FIXED_STEP, Section, bedgraph, empty_section, fixed_step, section_payload, variable_step
from tests.strategies import sections_of, stored_values

# --- half precision


@njit
def round_all(values, halves, brains):  # type: ignore[no-untyped-def]
    for i in range(values.size):
        halves[i] = float16_bits(values[i])
        brains[i] = bfloat16_bits(values[i])


def rounded(values: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.float32]]:
    """float16, and bfloat16 as float32."""
    halves, brains = np.empty(values.size, np.uint16), np.empty(values.size, np.uint16)
    round_all(values, halves, brains)
    return halves.view(np.float16), (brains.astype(np.uint32) << 16).view(np.float32)


def rounded_to_bfloat16(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The nearest multiple of the spacing of numbers of 8 significant bits, ties to even; by arithmetic."""
    with np.errstate(invalid="ignore", over="ignore"):
        doubles = values.astype(np.float64)
        spacing = np.ldexp(1.0, np.maximum(np.frexp(doubles)[1], -125) - 8)
        return np.asarray(np.rint(doubles / spacing) * spacing, np.float32)


def assert_equal_with_signs(ours: npt.NDArray[Any], theirs: npt.NDArray[Any]) -> None:
    np.testing.assert_array_equal(ours, theirs, strict=True)
    numbers = ~np.isnan(theirs)
    np.testing.assert_array_equal(np.signbit(ours)[numbers], np.signbit(theirs)[numbers])


def assert_rounded_right(values: npt.NDArray[np.float32]) -> None:
    halves, brains = rounded(values)
    with np.errstate(over="ignore"):
        assert_equal_with_signs(halves, values.astype(np.float16))
    assert_equal_with_signs(brains, rounded_to_bfloat16(values))


def with_neighbours(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The values and their next float32 on both sides."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.concatenate(
            [values, np.nextafter(values, np.float32(np.inf)), np.nextafter(values, -np.float32(np.inf))]
        )


def test_every_float16_every_midpoint_and_their_neighbours_are_rounded_to_nearest_even() -> None:
    halves = np.arange(1 << 16, dtype=np.uint32).astype(np.uint16).view(np.float16)
    ordered = np.sort(halves[np.isfinite(halves)]).astype(np.float32)
    midpoints = (ordered[1:] + ordered[:-1]) / np.float32(2)
    around_infinity = np.array([65_504, 65_519, 65_520, 65_535, 65_536, 1e30], np.float32)
    assert_rounded_right(with_neighbours(np.concatenate([ordered, midpoints, around_infinity, -around_infinity])))
    assert_rounded_right(halves.astype(np.float32))  # with infinities and NaN


def test_every_bfloat16_every_midpoint_and_their_neighbours_are_rounded_to_nearest_even() -> None:
    upper = np.arange(1 << 16, dtype=np.uint32) << 16
    assert_rounded_right(
        np.concatenate([(upper | low).view(np.float32) for low in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF)])
    )


def test_random_numbers_are_rounded_to_nearest_even() -> None:
    patterns = np.random.default_rng(0).integers(0, 2**32, size=1_000_000, dtype=np.uint32)
    assert_rounded_right(patterns.view(np.float32))


def test_nan_stays_nan_whatever_its_bits() -> None:
    payloads = np.array([0x7F800001, 0x7F80FFFF, 0x7FC00000, 0x7FFFFFFF, 0xFF800001, 0xFFFFFFFF], np.uint32)
    for numbers in rounded(payloads.view(np.float32)):
        assert np.isnan(numbers).all()


# --- a statistic that remembers what it met

SPREAD = 0x9E3779B1  # odd; makes one base more or less show in the upper bits


@njit
def fingerprint_init():  # type: ignore[no-untyped-def]
    return np.uint32(1)


@njit
def fingerprint_update(state, value, n_bases):  # type: ignore[no-untyped-def]
    return mul(add(mul(state, np.uint32(31)), add(bits_from_float(value), n_bases)), np.uint32(SPREAD))


@njit
def fingerprint_finish(state, window_size, default):  # type: ignore[no-untyped-def]
    return np.float32(shr(state, np.uint32(8))) + default  # 24 bits: a float32 holds them


FINGERPRINT = Statistic("fingerprint", fingerprint_init, fingerprint_update, fingerprint_finish)
"""A number that depends on every value and length that the bin meets, and on their order."""


def fingerprint(met: Sequence[tuple[np.float32, int]]) -> float:
    state = 1
    for value, n_bases in met:
        state = (state * 31 + int(value.view(np.uint32)) + n_bases) * SPREAD % 2**32
    return float(state >> 8)


# --- blocks and bins

SIZE = 100_000
"""Of the chromosome; sections of random tracks end long before."""


@dataclass(frozen=True)
class Block:
    """A section in memory."""

    chrom_id: int
    section: Section
    order: str = "<"
    damaged: bool = False
    """Told to have no items that can be read."""


@dataclass(frozen=True)
class Bins:
    """What is asked of one (window, track)."""

    left: int
    n_bins: int
    window_size: int
    scale: float = 1.0
    chromosome_size: int = SIZE

    @property
    def clip(self) -> tuple[int, int]:
        """The part that lies on the chromosome."""
        end = self.left + self.n_bins * self.window_size
        return min(max(self.left, 0), self.chromosome_size), min(max(end, 0), self.chromosome_size)


@functools.cache
def reduce_bins(statistic: Statistic) -> Callable[..., int]:
    return make_reduce_bins(statistic)


@functools.cache
def reduce_in_columns(statistic: Statistic) -> Callable[..., None]:
    """What a thread of the CUDA kernel does: columns of a few bins, in which only those that differ are written."""
    fill_bins = make_fill_bins(statistic, mark=True)

    @njit
    def reduce(  # type: ignore[no-untyped-def]
        words, bases, counts, big_endian, first_block, last_block, chrom_id,
        left, clip_start, clip_end, n_bins, window_size, scale, default, single, half, column_bins,
    ):  # fmt: skip
        cursor = seek_items(words, bases, counts, big_endian, first_block, last_block, chrom_id, max(left, clip_start))
        bins = place_bins(left, clip_start, clip_end, n_bins, window_size)
        done = 0
        while done < n_bins:
            column, some = np.full(column_bins, np.float32(np.nan)), min(column_bins, n_bins - done)
            cursor, bins, marks = fill_bins(
                words, bases, counts, big_endian, last_block, chrom_id, cursor, bins,
                some, window_size, scale, default, column, half, FLOAT32, 0, 1,
            )  # fmt: skip
            for row in range(some):
                if marks >> np.uint32(row) & np.uint32(1):
                    answer = column[row]
                single[done + row] = answer
            done += some

    return reduce  # type: ignore[no-any-return]


def in_memory(blocks: Sequence[Block]) -> tuple[npt.NDArray[Any], ...]:
    """words, bases, counts and byte orders as kernels get them, with rubbish between the blocks."""
    payloads = [section_payload(block.section, block.chrom_id, block.order) for block in blocks]
    padded = [b"\xee" * 16 + payload for payload in payloads]
    bases = np.cumsum([0, *map(len, padded)])[:-1] + 16
    counts = np.array([0 if block.damaged else len(block.section) for block in blocks], np.uint32)
    words = np.frombuffer(b"".join(padded) + b"\xee" * 16, np.uint32)
    return words, (bases // 4).astype(np.uint64), counts, np.array([block.order == ">" for block in blocks], np.bool_)


def walk(
    blocks: Sequence[Block], chrom_id: int, run: tuple[int, int], bins: Bins, *, statistic: Statistic = FINGERPRINT,
    default: float = 0.0, dtype: int = FLOAT32, stride: int = 3,
) -> npt.NDArray[Any]:  # fmt: skip
    """(n_bins,) float32, or uint16 with the bits; nothing else of the output may be written."""
    single, half = (
        np.full(bins.n_bins * stride + 5, np.nan, np.float32),
        np.full(bins.n_bins * stride + 5, 7, np.uint16),
    )
    reduce_bins(statistic)(
        *in_memory(blocks), *run, np.uint32(chrom_id), bins.left, *bins.clip,
        bins.n_bins, bins.window_size, np.float32(bins.scale), np.float32(default), single, half, dtype, 2, stride,
    )  # fmt: skip
    written = 2 + stride * np.arange(bins.n_bins)
    assert np.isnan(np.delete(single, written)).all()
    assert (np.delete(half, written) == 7).all()
    return single[written] if dtype == FLOAT32 else half[written]


def walk_in_columns(
    blocks: Sequence[Block], chrom_id: int, run: tuple[int, int], bins: Bins, column_bins: int
) -> npt.NDArray[np.float32]:
    """(n_bins,) as the CUDA kernel makes them."""
    single = np.full(bins.n_bins, np.nan, np.float32)
    reduce_in_columns(FINGERPRINT)(
        *in_memory(blocks), *run, np.uint32(chrom_id), bins.left, *bins.clip, bins.n_bins, bins.window_size,
        np.float32(bins.scale), np.float32(0), single, np.empty(0, np.uint16), column_bins,
    )  # fmt: skip
    return single


def look_at_everything(blocks: Sequence[Block], chrom_id: int, bins: Bins) -> list[float]:
    """The twin: each bin's fingerprint from all items of all blocks."""
    fingerprints = []
    for i in range(bins.n_bins):
        begin = bins.left + i * bins.window_size
        begin, end = max(begin, bins.clip[0]), min(begin + bins.window_size, bins.clip[1])
        met = []
        for block in blocks:
            if block.chrom_id == chrom_id and not block.damaged:
                for start, stop, value in zip(
                    block.section.starts, block.section.ends, block.section.values, strict=True
                ):
                    covered = int(min(stop, end) - max(start, begin))
                    if covered > 0 and not np.isnan(value):
                        met.append((np.float32(value * np.float32(bins.scale)), covered))
        fingerprints.append(fingerprint(met))
    return fingerprints


def needed_run(blocks: Sequence[Block], chrom_id: int, bins: Bins) -> tuple[int, int]:
    """The blocks from the first to the last that overlap the window."""
    begin, end = bins.clip
    hits = [
        i
        for i, block in enumerate(blocks)
        if block.chrom_id == chrom_id and block.section.bounds[0] < end and block.section.bounds[1] > begin
    ]
    return (hits[0], hits[-1] + 1) if hits else (0, 0)


@st.composite
def files(draw: st.DrawFn) -> list[Block]:
    """Blocks of some chromosomes in a file's order, in either byte order each; some damaged."""
    blocks = []
    for chrom_id in sorted(draw(st.sets(st.integers(0, 5), min_size=1, max_size=3))):
        for section in draw(sections_of("any", stored_values)):
            order, damaged = draw(st.sampled_from("<>")), draw(st.sampled_from([False] * 6 + [True]))
            blocks.append(Block(chrom_id, section, order, damaged))
    return blocks


@st.composite
def bins_over(draw: st.DrawFn, blocks: Sequence[Block]) -> Bins:
    """A window near the blocks, which may hang over the chromosome's start."""
    furthest = max([block.section.bounds[1] for block in blocks], default=0)
    scale = draw(st.sampled_from([1.0, 0.3, -2.0]))
    left = draw(st.integers(-60, furthest + 20))
    return Bins(left, draw(st.integers(1, 12)), draw(st.sampled_from([1, 2, 11, 64, 500])), scale)


@given(data=st.data())
def test_bins_meet_the_items_that_overlap_them_in_order(data: st.DataObject) -> None:
    blocks = data.draw(files())
    bins = data.draw(bins_over(blocks))
    for chrom_id in sorted({block.chrom_id for block in blocks} | {3}):
        first, last = needed_run(blocks, chrom_id, bins)
        if first < last:  # a run may have more than it needs on both sides, of other chromosomes too
            run = data.draw(st.integers(0, first)), data.draw(st.integers(last, len(blocks)))
        else:
            edges = data.draw(st.tuples(st.integers(0, len(blocks)), st.integers(0, len(blocks))))
            run = (min(edges), max(edges))
        expected = look_at_everything(blocks[slice(*run)], chrom_id, bins)
        assert walk(blocks, chrom_id, run, bins).tolist() == expected


@given(data=st.data())
def test_bins_made_in_pieces_are_the_bins_made_at_once(data: st.DataObject) -> None:
    blocks = data.draw(files())
    whole = data.draw(bins_over(blocks))
    run = (0, len(blocks))
    for chrom_id in {block.chrom_id for block in blocks}:
        in_pieces = [
            walk(blocks, chrom_id, run, replace(whole, left=whole.left + i * whole.window_size, n_bins=1)).tolist()
            for i in range(whole.n_bins)
        ]
        assert list(chain(*in_pieces)) == walk(blocks, chrom_id, run, whole).tolist()


@given(data=st.data())
def test_columns_of_bins_have_the_same_numbers(data: st.DataObject) -> None:
    blocks = data.draw(files())
    bins = replace(data.draw(bins_over(blocks)), n_bins=data.draw(st.integers(1, 100)))
    column_bins = data.draw(st.sampled_from([1, 5, 16, 32]))
    for chrom_id in {block.chrom_id for block in blocks}:
        expected = look_at_everything(blocks, chrom_id, bins)
        assert walk_in_columns(blocks, chrom_id, (0, len(blocks)), bins, column_bins).tolist() == expected


LARGEST = 2**32 - 1
"""Bases of the largest chromosome that the format has."""


def moved(section: Section, by: int) -> Section:
    begin, end = section.bounds
    return replace(section, starts=section.starts + by, ends=section.ends + by, bounds=(begin + by, end + by))


@st.composite
def bins_anywhere(draw: st.DrawFn) -> Bins:
    """Windows of all widths around both ends of the largest chromosome, and far outside."""
    width = draw(st.sampled_from([1, 3, 50, 2**20 + 1, 2**31, LARGEST, 2**32, 2**33]))
    edge = draw(st.sampled_from([0, 2**31, LARGEST, -width, LARGEST - width, -(2**32), 2**33]))
    left = edge + draw(st.integers(-300, 300))
    return Bins(left, draw(st.integers(1, 40 if width < 100 else 4)), width, chromosome_size=LARGEST)


@given(data=st.data())
def test_positions_are_right_up_to_32_bits_and_around_them(data: st.DataObject) -> None:
    sections = data.draw(sections_of("any", stored_values))
    length = sections[-1].bounds[1] if sections else 0
    places = sorted(data.draw(st.sets(st.sampled_from([0, 2**31 - 30, LARGEST - length]), max_size=3)))
    blocks = [Block(2, moved(section, place)) for place in places for section in sections]
    bins = data.draw(bins_anywhere())
    expected = look_at_everything(blocks, 2, bins)
    assert walk(blocks, 2, (0, len(blocks)), bins).tolist() == expected
    assert walk_in_columns(blocks, 2, (0, len(blocks)), bins, 16).tolist() == expected


@pytest.mark.parametrize("window_size", [1, 2, 7, 40])
@pytest.mark.parametrize("end", [150, LARGEST])
def test_every_window_that_hangs_over_an_end_of_its_chromosome(end: int, window_size: int) -> None:
    # Long items and long gaps, of which many bins are alike, at both ends.
    edges = np.array([[0, 60], [60, 61], [100, 103], [103, 150]])
    values = [2.0, 3.0, 5.0, 7.0]
    blocks = [Block(2, moved(bedgraph("any", *edges.T, values), place)) for place in sorted({0, end - 150})]
    for edge in (0, end):
        for left in range(edge - 3 * window_size - 5, edge + 5):
            bins = Bins(left, 12, window_size, chromosome_size=end)
            expected = look_at_everything(blocks, 2, bins)
            assert walk(blocks, 2, (0, len(blocks)), bins).tolist() == expected
            assert walk_in_columns(blocks, 2, (0, len(blocks)), bins, 5).tolist() == expected


@given(data=st.data())
def test_an_item_is_found_however_long_the_others_are_and_whatever_the_header_claims(data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.sampled_from([1, 1, 1, 2, 30, 5_000]), min_size=1, max_size=300))
    edges = np.cumsum([data.draw(st.integers(0, 1_000)), *lengths])
    begin, end = data.draw(st.lists(st.integers(0, LARGEST), min_size=2, max_size=2))
    values = np.arange(len(lengths))
    section = replace(bedgraph("any", edges[:-1], edges[1:], values), bounds=(begin, end))
    position = data.draw(st.integers(0, int(edges[-1]) - 1))
    bins = Bins(position, 1, 1, chromosome_size=LARGEST)
    assert walk([Block(2, section)], 2, (0, 1), bins).tolist() == look_at_everything([Block(2, section)], 2, bins)


@njit
def whole_bins_of(n_bases, window_size):  # type: ignore[no-untyped-def]
    return whole_bins(np.uint32(n_bases), np.float32(1) / np.float32(window_size))


@given(window_size=st.integers(1, 2**20), n_bins=st.integers(0, 2**20), off=st.integers(-1, 1))
def test_bins_are_counted_exactly_up_to_a_million_bases(window_size: int, n_bins: int, off: int) -> None:
    n_bases = min(max(0, n_bins % (2**20 // window_size + 1) * window_size + off), 2**20)
    assert whole_bins_of(n_bases, window_size) == n_bases // window_size


@pytest.mark.parametrize("n_bases", [2**20 + 1, 2**31, LARGEST])
@pytest.mark.parametrize("window_size", [1, 3, 1_000, 2**20, 2**20 + 1, LARGEST])
def test_of_more_bases_never_too_many_bins_are_counted(n_bases: int, window_size: int) -> None:
    assert whole_bins_of(n_bases, window_size) <= n_bases // window_size


def long_run() -> list[Block]:
    """Forty blocks of all kinds, with gaps and without."""
    sections, position = [], 0
    for i in range(40):
        values = np.arange(20) + i
        starts = position + 7 * np.arange(20)
        sections.append(
            (
                bedgraph("any", starts, starts + 1 + np.arange(20) % 7, values),
                variable_step("any", starts, values, span=5),
                fixed_step("any", position, values, step=7, span=7),
            )[i % 3]
        )
        position = sections[-1].bounds[1] + 50 * (i % 2)
    return [Block(2, section, "<>"[i % 2]) for i, section in enumerate(sections)]


@pytest.mark.parametrize("bins", [Bins(-30, 700, 11), Bins(2_000, 300, 1), Bins(3_333, 3, 1_000), Bins(6_500, 4, 500)])
def test_windows_over_many_blocks(bins: Bins) -> None:
    blocks = long_run()
    around = [Block(1, block.section) for block in blocks[:3]], [Block(3, block.section) for block in blocks[:3]]
    everything = [*around[0], *blocks, *around[1]]
    expected = look_at_everything(blocks, 2, bins)
    assert walk(blocks, 2, (0, len(blocks)), bins).tolist() == expected
    assert walk(everything, 2, (0, len(everything)), bins).tolist() == expected


@pytest.mark.parametrize("place", [0, 1, 2, 3])
@pytest.mark.parametrize("claim", [0, 150, SIZE])
def test_an_empty_section_may_claim_to_lie_anywhere(place: int, claim: int) -> None:
    blocks = [Block(2, fixed_step("any", start, np.arange(20), step=5, span=5)) for start in (0, 100, 200)]
    blocks.insert(place, Block(2, empty_section("any", FIXED_STEP, claim, claim + 1)))
    for bins in (Bins(0, 300, 1), Bins(50, 10, 1), Bins(120, 3, 20), Bins(290, 10, 1)):
        assert walk(blocks, 2, (0, 4), bins).tolist() == look_at_everything(blocks, 2, bins)


def test_items_of_no_bases_count_nowhere() -> None:
    blocks = [Block(2, bedgraph("any", [5, 5, 5, 9, 12], [5, 5, 9, 9, 12], [1, 2, 3, 4, 5]))]
    bins = Bins(0, 14, 1)
    assert walk(blocks, 2, (0, 1), bins).tolist() == look_at_everything(blocks, 2, bins)
    met = fingerprint([(np.float32(3), 4)])
    assert walk(blocks, 2, (0, 1), Bins(0, 1, 14)).tolist() == [met]


def test_positions_near_the_end_of_32_bits_are_not_signed() -> None:
    last = 2**32 - 1
    section = bedgraph("any", [2**31 - 5, last - 10], [2**31 + 5, last], [1.0, 2.0])
    words, single = np.frombuffer(section_payload(section, 2, "<"), np.uint32), np.empty(3, np.float32)
    default, no_half = np.float32(np.nan), np.empty(0, np.uint16)
    for left, expected in ((2**31 - 15, [np.nan, 1.0, np.nan]), (last - 20, [np.nan, 2.0, np.nan])):
        reduce_bins(get_statistic("mean"))(
            words, np.zeros(1, np.uint64), np.full(1, 2, np.uint32), np.zeros(1, np.bool_), 0, 1, np.uint32(2),
            left, left, left + 30, 3, 10, np.float32(1), default, single, no_half, FLOAT32, 0, 1,
        )  # fmt: skip
        np.testing.assert_array_equal(single, np.array(expected, np.float32))


@pytest.mark.parametrize("dtype", [FLOAT16, BFLOAT16], ids=["float16", "bfloat16"])
def test_half_precision_is_the_single_precision_rounded(dtype: int) -> None:
    values = np.random.default_rng(5).normal(size=50) * 10.0 ** np.arange(-25, 25)
    blocks = [Block(2, fixed_step("any", 10, values))]
    options = {"statistic": get_statistic("mean"), "default": 2.5}
    single = walk(blocks, 2, (0, 1), Bins(0, 70, 1), **options)
    bits = walk(blocks, 2, (0, 1), Bins(0, 70, 1), **options, dtype=dtype)
    expected = rounded(single)[dtype == BFLOAT16]
    ours = bits.view(np.float16) if dtype == FLOAT16 else (bits.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(ours, expected)
    assert (single[10:60] == values.astype(np.float32)).all()
    assert (single[[0, 9, 60, 69]] == 2.5).all()
