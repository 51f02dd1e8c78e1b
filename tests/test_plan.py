"""Planning: each (window, track) gets the run of blocks that it needs, and each block comes once."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba import plan as plan_module
from bigwig_numba.bbi import Header
from bigwig_numba.errors import ConfigError, WindowError
from bigwig_numba.index import BlockIndex, Chromosomes, FileIndex
from bigwig_numba.parallel import ThreadTeam
from bigwig_numba.plan import UNKNOWN_STOP, ReadPlan, TrackTable, plan_windows

NAMES = ("chr1", "chr2", "chr3")
Leaf = tuple[int, int]
Window = tuple[str, int, int]


# --- files made by hand


def file_index(
    sizes: dict[str, int], leaves: Sequence[Leaf], *, capacity: int = 100, byte_order: Any = "<", url: str = "a.bw"
) -> FileIndex:
    """A file with these chromosomes, in this order, and these leaves (genome positions)."""
    lengths = np.array(list(sizes.values()), np.int64)
    ids = 7 + np.arange(len(sizes), dtype=np.uint32)
    chromosomes = Chromosomes(tuple(sizes), lengths, ids, np.cumsum(lengths) - lengths)
    starts, ends = np.array(sorted(leaves), np.int64).reshape(-1, 2).T
    offsets = 1000 + 50 * np.arange(len(starts), dtype=np.int64)
    blocks = BlockIndex(starts, ends, np.maximum.accumulate(ends), offsets, 10 + np.arange(len(starts), dtype=np.int64))
    header = Header(byte_order, 4, 0, 0, 0, 0, 0, 0, 0, 0, capacity, 0)
    return FileIndex(url, header, (), None, chromosomes, blocks)


def plan(
    files: Sequence[FileIndex], windows: Sequence[Window], *, window_size: int = 1, tracks: Sequence[int] | None = None
) -> ReadPlan:
    table = TrackTable.from_indexes(files)
    return plan_windows(
        table,
        np.array([table.chromosome_names.index(name) for name, _, _ in windows], np.int64),
        starts=np.array([start for _, start, _ in windows], np.int64),
        ends=np.array([end for _, _, end in windows], np.int64),
        window_size=window_size,
        track_indices=None if tracks is None else np.array(tracks, np.int64),
        team=ThreadTeam(2),
    )


def runs(made: ReadPlan) -> list[list[tuple[int, int]]]:
    pairs = np.stack((made.first_blocks, made.last_blocks), axis=-1)
    return [[(first, last) for first, last in row] for row in pairs.tolist()]


# --- the slow, obvious twin


@dataclass
class SlowBlock:
    leaf: int
    windows: list[tuple[str, int]]
    """Chromosome and clipped end of the windows that need it."""

    @property
    def stop(self) -> int:
        ends = [end for _, end in self.windows]
        return max(ends) if len({chrom for chrom, _ in self.windows}) == 1 else UNKNOWN_STOP


@dataclass
class SlowPlan:
    clips: list[tuple[int, int]]
    blocks: list[tuple[int, SlowBlock]]
    """File number and block."""
    needs: list[list[list[int]]]
    """The blocks of each window and track."""


def slow_plan(
    files: Sequence[FileIndex], windows: Sequence[Window], window_size: int, tracks: Sequence[int]
) -> SlowPlan:
    """Loops over tracks, windows and leaves, with a dictionary of the blocks met."""
    sizes = [file.chromosomes.as_dict() for file in files]
    clips, blocks, needs = [], [], [[[] for _ in tracks] for _ in windows]
    for chrom, start, end in windows:
        length = max(size.get(chrom, 0) for size in sizes)
        stop = start + (end - start) // window_size * window_size
        clips.append((min(max(start, 0), length), min(max(stop, 0), length)))
    for column, track in enumerate(tracks):
        file, met = files[track], {}
        for row, (chrom, _, _) in enumerate(windows):
            needs[row][column] = leaves_needed(file, chrom, *clips[row])
            for leaf in needs[row][column]:
                met.setdefault(leaf, SlowBlock(leaf, [])).windows.append((chrom, clips[row][1]))
        numbers = {leaf: len(blocks) + place for place, leaf in enumerate(sorted(met))}
        blocks += [(track, met[leaf]) for leaf in sorted(met)]
        for row in range(len(windows)):
            needs[row][column] = [numbers[leaf] for leaf in needs[row][column]]
    return SlowPlan(clips, blocks, needs)


def leaves_needed(file: FileIndex, chrom: str, start: int, end: int) -> list[int]:
    """From the first leaf that reaches past the start to the last that starts before the end."""
    if chrom not in file.chromosomes.names:
        return []
    row = file.chromosomes.row(chrom, url=file.url)
    length, offset = int(file.chromosomes.lengths[row]), int(file.chromosomes.genome_starts[row])
    start, end = offset + min(start, length), offset + min(end, length)
    reaching = [leaf for leaf, leaf_end in enumerate(file.blocks.ends) if leaf_end > start]
    starting = [leaf for leaf, leaf_start in enumerate(file.blocks.starts) if leaf_start < end]
    return list(range(reaching[0], starting[-1] + 1)) if start < end and reaching and starting else []


@st.composite
def file_indexes(draw: st.DrawFn) -> FileIndex:
    """Chromosomes in any order, some lacking, of a length of their own; leaves in disorder that may span them."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    sizes = {name: draw(st.integers(0, 40)) for name in names}
    leaf = st.tuples(st.integers(0, 120), st.integers(1, 25)).map(lambda drawn: (drawn[0], drawn[0] + drawn[1]))
    capacity, byte_order = draw(st.sampled_from([0, 64])), draw(st.sampled_from("<>"))
    return file_index(sizes, draw(st.lists(leaf, max_size=20)), capacity=capacity, byte_order=byte_order)


@st.composite
def queries(draw: st.DrawFn) -> tuple[list[FileIndex], list[Window], int, list[int] | None]:
    files = draw(st.lists(file_indexes(), max_size=4))
    known = sorted({name for file in files for name in file.chromosomes.names})
    length = draw(st.integers(0, 45))
    starts = st.integers(-50, 60)
    windows = draw(st.lists(st.tuples(st.sampled_from(known), starts), max_size=12)) if known else []
    tracks = draw(st.none() | st.lists(st.sampled_from(range(len(files))), max_size=5)) if files else None
    return files, [(chrom, start, start + length) for chrom, start in windows], draw(st.integers(1, 20)), tracks


@given(queries())
def test_a_plan_is_what_loops_over_tracks_windows_and_leaves_give(query: Any) -> None:
    files, windows, window_size, tracks = query
    made = plan(files, windows, window_size=window_size, tracks=tracks)
    tracks = range(len(files)) if tracks is None else tracks
    slow = slow_plan(files, windows, window_size, tracks)

    assert list(zip(made.clip_starts.tolist(), made.clip_ends.tolist(), strict=True)) == slow.clips
    assert [[list(range(*run)) for run in row] for row in runs(made)] == slow.needs
    assert made.block_tracks.tolist() == [track for track, _ in slow.blocks]
    assert made.block_offsets.tolist() == [files[track].blocks.offsets[block.leaf] for track, block in slow.blocks]
    assert made.block_sizes.tolist() == [files[track].blocks.sizes[block.leaf] for track, block in slow.blocks]
    assert made.block_stops.tolist() == [block.stop for _, block in slow.blocks]
    for column, track in enumerate(tracks):
        ids = dict(zip(files[track].chromosomes.names, files[track].chromosomes.ids.tolist(), strict=True))
        assert made.chrom_ids[:, column].tolist() == [ids.get(chrom, 0) for chrom, _, _ in windows]


@given(queries())
def test_every_leaf_that_overlaps_a_window_is_among_its_blocks(query: Any) -> None:
    files, windows, _, _ = query
    made = plan(files, windows)
    for (chrom, _, _), start, end, row in zip(windows, made.clip_starts, made.clip_ends, runs(made), strict=True):
        for file, (first, last) in zip(files, row, strict=True):
            if chrom not in file.chromosomes.names:
                continue
            chromosome = file.chromosomes.row(chrom, url=file.url)
            genome_start = file.chromosomes.genome_starts[chromosome]
            end_here = min(end, file.chromosomes.lengths[chromosome])
            overlap = (file.blocks.starts < genome_start + end_here) & (file.blocks.ends > genome_start + start)
            overlap &= start < end_here
            assert set(file.blocks.offsets[overlap]) <= set(made.block_offsets[first:last])


def test_many_windows_in_pieces_are_planned_as_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    files = [
        file_index(
            dict.fromkeys(random.permutation(NAMES).tolist(), 50_000),
            [(start, start + 100) for start in random.integers(0, 150_000, 800).tolist()],
        )
        for _ in range(7)
    ]
    windows = [(NAMES[row], start, start + 300) for row, start in random.integers(0, (3, 49_700), (500, 2)).tolist()]
    at_once = plan(files, windows)
    monkeypatch.setattr(plan_module, "SMALLEST_PIECE", 1)
    in_pieces = plan(files, windows)
    for field in ReadPlan.__slots__:
        assert np.array_equal(getattr(in_pieces, field), getattr(at_once, field)), field
    slow = slow_plan(files, windows, 1, range(7))
    assert [[list(range(*run)) for run in row] for row in runs(at_once)] == slow.needs


# --- single facts


def test_windows_that_share_a_block_have_it_once() -> None:
    files = [file_index({"chr1": 100}, [(0, 10), (10, 20), (30, 40), (40, 50)])]
    made = plan(files, [("chr1", 35, 45), ("chr1", 5, 15), ("chr1", 12, 22), ("chr1", 20, 30)])
    assert made.block_offsets.tolist() == [1000, 1050, 1100, 1150]
    assert runs(made) == [[(2, 4)], [(0, 2)], [(1, 2)], [(0, 0)]]


def test_a_block_may_stop_where_the_last_window_that_needs_it_ends() -> None:
    files = [file_index({"chr1": 100}, [(0, 10), (10, 90), (90, 100)])]
    made = plan(files, [("chr1", 5, 15), ("chr1", 20, 30), ("chr1", 95, 105)])
    assert made.block_stops.tolist() == [15, 30, 100]


def test_a_block_of_windows_on_two_chromosomes_has_no_known_stop() -> None:
    files = [file_index({"chr1": 100, "chr2": 100}, [(0, 50), (50, 150), (150, 200)])]
    made = plan(files, [("chr1", 90, 100), ("chr2", 0, 10), ("chr2", 70, 80)])
    assert made.block_stops.tolist() == [UNKNOWN_STOP, 80]


def test_capacities_are_the_headers_unless_blocks_are_not_compressed_or_the_header_claims_too_much() -> None:
    capacities = [500, 0, 2**32 - 1]
    files = [file_index({"chr1": 10}, [(0, 10)], capacity=capacity, byte_order=">") for capacity in capacities]
    made = plan(files, [("chr1", 0, 10)])
    largest_section = 24 + 12 * 65_535
    assert made.block_capacities.tolist() == [500, made.block_sizes[1], largest_section]
    assert made.block_compressed.tolist() == [True, False, True]
    assert made.block_big_endian.all()


def test_tracks_come_in_the_order_asked_for_and_may_come_twice() -> None:
    files = [file_index({"chr1": 10}, [(0, 5 + track)]) for track in range(3)]
    made = plan(files, [("chr1", 0, 10)], tracks=[2, 0, 2])
    assert made.block_tracks.tolist() == [2, 0, 2]
    assert runs(made) == [[(0, 1), (1, 2), (2, 3)]]


def test_genome_positions_past_32_bits_are_planned() -> None:
    sizes = {"chr1": 4_000_000_000, "chr2": 4_000_000_000}
    files = [file_index(sizes, [(0, 10), (4_000_000_000, 4_000_000_010), (7_999_999_990, 8_000_000_000)])]
    made = plan(files, [("chr2", 3_999_999_980, 4_000_000_080), ("chr2", -90, 10)])
    assert runs(made) == [[(1, 2)], [(0, 1)]]
    assert made.block_stops.tolist() == [10, 4_000_000_000]


def test_a_partial_last_bin_is_not_planned_for() -> None:
    files = [file_index({"chr1": 100}, [(0, 10), (10, 20), (20, 30)])]
    made = plan(files, [("chr1", 0, 29)], window_size=10)
    assert (made.n_bins, made.clip_ends.tolist(), made.n_blocks) == (2, [20], 2)


@pytest.mark.parametrize(
    ("files", "windows", "window_size", "shape"),
    [
        ([], [], 1, (0, 0, 0)),
        ([file_index({"chr1": 10}, [(0, 10)])], [], 1, (0, 0, 1)),
        ([file_index({"chr1": 10}, [])], [("chr1", 0, 10)], 1, (1, 10, 1)),
        ([file_index({"chr1": 10}, [(0, 10)])], [("chr1", 5, 5)], 1, (1, 0, 1)),
        ([file_index({"chr1": 10}, [(0, 10)])], [("chr1", 0, 10)], 11, (1, 0, 1)),
        ([file_index({"chr1": 10}, [(0, 10)])], [("chr1", -100, -90)], 1, (1, 10, 1)),
        ([file_index({"chr1": 10}, [(0, 10)])], [("chr1", 10, 20)], 1, (1, 10, 1)),
    ],
)
def test_a_query_that_needs_nothing_has_no_blocks(
    files: list[FileIndex], windows: list[Window], window_size: int, shape: tuple[int, int, int]
) -> None:
    made = plan(files, windows, window_size=window_size)
    assert (made.n_windows, made.n_bins, made.n_tracks) == shape
    assert made.n_blocks == 0
    assert made.first_blocks.shape == made.last_blocks.shape == made.chrom_ids.shape == shape[::2]


def test_a_window_wider_than_everything_needs_all_blocks_of_its_chromosome() -> None:
    files = [file_index({"chr1": 50, "chr2": 50}, [(0, 10), (40, 50), (50, 60)])]
    made = plan(files, [("chr1", -(2**40), 2**40)], window_size=2**20)
    assert runs(made) == [[(0, 2)]]
    assert made.window_starts.tolist() == [-(2**40)]
    assert (made.clip_starts.tolist(), made.clip_ends.tolist()) == ([0], [50])


def test_where_files_disagree_on_a_length_the_largest_counts_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    files = [
        file_index({"chr1": 50, "chr2": 9}, [(0, 10), (50, 59)], url="short.bw"),
        file_index({"chr1": 80, "chr2": 8}, [(0, 10), (70, 80)], url="long.bw"),
    ]
    with caplog.at_level(logging.WARNING):
        made = plan(files, [("chr1", 40, 100)])
    assert made.clip_ends.tolist() == [80]
    assert runs(made) == [[(0, 0), (0, 1)]]  # chr2's block of the short file lies at the same genome positions
    [record] = caplog.records
    message = record.getMessage()
    assert "2 chromosome(s)" in message
    assert "chr1 has 50 bases in short.bw and 80 in long.bw" in message


def test_the_arrays_of_blocks_and_pairs_share_one_piece_of_memory_but_no_byte_of_it() -> None:
    made = plan([file_index({"chr1": 100}, [(0, 10), (10, 90), (90, 100)])], [("chr1", 5, 15), ("chr1", 9, 19)])
    blocks = [name for name in made.__slots__ if name.startswith("block_")]
    arrays = [getattr(made, name) for name in [*blocks, "first_blocks", "last_blocks", "chrom_ids"]]
    assert len({id(array.base) for array in arrays}) == 1
    assert all(array.flags.c_contiguous and array.flags.aligned for array in arrays)
    places = sorted((array.ctypes.data, array.nbytes) for array in arrays)
    assert all(place + size <= after for (place, size), (after, _) in itertools.pairwise(places))


def test_a_plan_can_be_printed() -> None:
    made = plan([file_index({"chr1": 100}, [(0, 10)])], [("chr1", 0, 20)], window_size=5)
    assert repr(made) == "ReadPlan(1 windows x 4 bins of 5 bases x 1 tracks, 1 blocks of 0.000 MB in all)"


# --- what is refused


FILE = file_index({"chr1": 100}, [(0, 10)])


@pytest.mark.parametrize(
    ("windows", "rows", "reason"),
    [
        ([("chr1", 0, 10), ("chr1", 0, 11), ("chr1", 5, 15), ("chr1", 9, 8 + 10)], (1, 3), "not 10 bases long"),
        ([("chr1", 0, 10), ("chr1", 10, 0)], (1,), "end before they start"),
        ([("chr1", 2**62 + 1, 2**62 + 2)], (0,), "beyond"),
        ([("chr1", 0, 5), ("chr1", -(2**63), 5 - 2**63)], (1,), "beyond"),
    ],
)
def test_windows_that_make_no_sense_are_named_by_row(windows: list[Window], rows: Any, reason: str) -> None:
    with pytest.raises(WindowError, match=reason) as caught:
        plan([FILE], windows)
    assert caught.value.rows == rows


def test_arrays_of_several_lengths_are_refused() -> None:
    table = TrackTable.from_indexes([FILE])
    two, three = np.zeros(2, np.int64), np.zeros(3, np.int64)
    with pytest.raises(WindowError, match="2 chromosomes, 3 starts and 3 ends") as caught:
        plan_windows(table, two, starts=three, ends=three, window_size=1)
    assert caught.value.rows == (2,)


@pytest.mark.parametrize("row", [-1, 1])
def test_a_chromosome_row_that_does_not_exist_is_refused(row: int) -> None:
    zero = np.zeros(1, np.int64)
    with pytest.raises(WindowError, match="chromosome that does not exist"):
        plan_windows(TrackTable.from_indexes([FILE]), zero + row, starts=zero, ends=zero, window_size=1)


@pytest.mark.parametrize("tracks", [[1], [-1], [0, 5]])
def test_a_track_that_does_not_exist_is_refused(tracks: list[int]) -> None:
    with pytest.raises(ConfigError, match="expected 0 to 0"):
        plan([FILE], [("chr1", 0, 10)], tracks=tracks)


def test_bins_of_no_bases_are_refused() -> None:
    with pytest.raises(ConfigError, match="window_size is 0"):
        plan([FILE], [("chr1", 0, 10)], window_size=0)
