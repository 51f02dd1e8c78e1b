"""Fetching: the blocks of a plan end up side by side, wherever their files are, and nothing else is touched."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.engine.sources import SourceTable
from bigwig_numba.engine.store import fetch_blocks
from bigwig_numba.errors import FormatError, StorageError
from bigwig_numba.parallel import ThreadTeam
from bigwig_numba.plan import ReadPlan
from bigwig_numba.storage import ByteSource, MappedFile, open_source

Block = tuple[int, int, int]
"""File number, offset, size."""

CONTENTS = [np.random.default_rng(number).bytes(size) for number, size in enumerate((4_000, 1_000, 0, 2_500))]


def plan_of(blocks: Sequence[Block]) -> ReadPlan:
    """A plan of no windows, with these blocks."""
    tracks, offsets, sizes = np.array(blocks, np.int64).reshape(-1, 3).T
    nothing, no_pairs = np.empty(0, np.int64), np.empty((0, 0), np.int32)
    yes = np.ones(len(tracks), np.bool_)
    return ReadPlan(
        n_windows=0,
        n_tracks=0,
        n_bins=0,
        window_size=1,
        window_starts=nothing,
        clip_starts=nothing,
        clip_ends=nothing,
        chrom_ids=no_pairs.view(np.uint32),
        first_blocks=no_pairs,
        last_blocks=no_pairs,
        block_leaves=np.arange(len(tracks)),
        block_tracks=tracks.astype(np.int32),
        block_offsets=offsets.copy(),
        block_sizes=sizes.copy(),
        block_capacities=sizes.copy(),
        block_compressed=yes,
        block_big_endian=yes,
        block_stops=sizes.copy(),
        block_follows=yes,
    )


class RemoteSource:
    """A file that cannot be mapped; it counts its calls and lets the test look into them."""

    memory = None

    def __init__(self, content: bytes, *, url: str = "s3://bucket/a.bw", during: Callable[[], None] = lambda: None):
        self.url = url
        self.size = len(content)
        self.content = content
        self.n_calls = 0
        self.during = during

    def read(self, offset: int, size: int) -> bytes:
        raise AssertionError("blocks are read many at a time")

    read_up_to = read

    def read_ranges(self, offsets: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> list[bytes]:
        self.n_calls += 1
        self.during()
        return [self.content[offset : offset + size] for offset, size in zip(offsets, sizes, strict=True)]

    def close(self) -> None: ...


@pytest.fixture
def mapped(tmp_path: Path) -> list[ByteSource]:
    for number, content in enumerate(CONTENTS):
        (tmp_path / f"{number}.bw").write_bytes(content)
    return [open_source(tmp_path / f"{number}.bw") for number in range(len(CONTENTS))]


def check_slots(fetched: Any, contents: Sequence[bytes], blocks: Sequence[Block]) -> None:
    """Every block in its slot, aligned, followed by zeros, and no slot in another."""
    free_from = 0
    for (track, offset, size), start, kept in zip(blocks, fetched.offsets, fetched.sizes, strict=True):
        assert start % 16 == 0
        assert start >= free_from
        assert kept == size
        free_from = start + size + 32
        assert free_from <= len(fetched.data)
        assert fetched.data[start : start + size].tobytes() == contents[track][offset : offset + size]
        assert not fetched.data[start + size : free_from].any()


def fill_with_rubbish(size: int, dtype: Any) -> npt.NDArray[np.uint8]:
    return np.full(size, 255, dtype)


@st.composite
def blocks_of_files(draw: st.DrawFn) -> list[Block]:
    numbers = draw(st.lists(st.sampled_from(range(len(CONTENTS))), max_size=40))
    blocks = []
    for number in numbers:
        offset = draw(st.integers(0, len(CONTENTS[number])))
        blocks.append((number, offset, draw(st.integers(0, len(CONTENTS[number]) - offset))))
    return blocks


@given(blocks=blocks_of_files(), remote=st.lists(st.booleans(), min_size=4, max_size=4), n_threads=st.integers(0, 2))
def test_each_block_is_in_its_slot_wherever_its_file_is(
    mapped: list[ByteSource], blocks: list[Block], remote: list[bool], n_threads: int
) -> None:
    sources = [
        open_source(io.BytesIO(CONTENTS[number])) if is_remote else mapped[number]
        for number, is_remote in enumerate(remote)
    ]
    team = ThreadTeam(n_threads) if n_threads else None
    fetched = fetch_blocks(plan_of(blocks), sources, allocate=fill_with_rubbish, team=team)
    check_slots(fetched, CONTENTS, blocks)


def test_thousands_of_blocks_are_copied_in_pieces(mapped: list[ByteSource]) -> None:
    random = np.random.default_rng(0)
    blocks = [(0, offset, 100) for offset in random.integers(0, 3_900, 5_000).tolist()]
    check_slots(fetch_blocks(plan_of(blocks), SourceTable(mapped), team=ThreadTeam(2)), CONTENTS, blocks)


def test_a_plan_without_blocks_reads_nothing() -> None:
    fetched = fetch_blocks(plan_of([]), [RemoteSource(b"")])
    assert (len(fetched.data), len(fetched.offsets)) == (0, 0)


def test_each_remote_file_is_asked_once_whatever_the_order_of_its_blocks() -> None:
    sources = [RemoteSource(content) for content in CONTENTS]
    blocks = [(3, 0, 10), (0, 0, 5), (3, 20, 10), (1, 7, 5), (0, 0, 5)]
    check_slots(fetch_blocks(plan_of(blocks), sources), CONTENTS, blocks)
    assert [source.n_calls for source in sources] == [1, 1, 0, 1]


@pytest.mark.parametrize(
    ("offset", "size"), [(991, 10), (1_000, 1), (-1, 5), (0, 1_001), (5, -1), (2**63 - 1, 2**63 - 1), (2**63 - 5, 3)]
)
@pytest.mark.parametrize("is_mapped", [True, False])
def test_a_block_outside_its_file_is_refused_before_anything_is_read(
    mapped: list[ByteSource], is_mapped: bool, offset: int, size: int
) -> None:
    remote = RemoteSource(CONTENTS[1])
    sources = [mapped[0], mapped[1] if is_mapped else remote]
    with pytest.raises(FormatError, match=r"block 1 of the batch.* lies outside the file of 1,000 bytes") as caught:
        fetch_blocks(plan_of([(0, 0, 10), (1, offset, size)]), sources, allocate=lambda *_: pytest.fail("allocated"))
    assert (caught.value.url, caught.value.offset) == (sources[1].url, offset)
    assert caught.value.url in str(caught.value)
    assert remote.n_calls == 0


def test_an_answer_of_another_length_is_an_error_that_names_the_range() -> None:
    source = RemoteSource(CONTENTS[0])
    source.size += 100  # says it is longer than it is
    with pytest.raises(StorageError, match=r"1 of 2 byte ranges .* first 50 bytes at byte 3,980") as caught:
        fetch_blocks(plan_of([(0, 0, 10), (0, 3_980, 50)]), [source])
    assert caught.value.ranges == ((3_980, 50),)


def test_an_error_of_one_remote_file_reaches_the_caller() -> None:
    def fail() -> None:
        raise PermissionError("no")

    sources = [RemoteSource(bytes(10)), RemoteSource(bytes(10), during=fail)]
    with pytest.raises(PermissionError, match="no"):
        fetch_blocks(plan_of([(0, 0, 10), (1, 0, 10)]), sources)


def test_a_table_keeps_closed_memory_maps_readable_and_a_new_one_says_that_they_are_closed(tmp_path: Path) -> None:
    (tmp_path / "a.bw").write_bytes(CONTENTS[0])
    source = MappedFile(str(tmp_path / "a.bw"))
    table = SourceTable([source])
    source.close()
    blocks = [(0, 100, 50)]
    check_slots(fetch_blocks(plan_of(blocks), table), CONTENTS, blocks)
    with pytest.raises(StorageError, match="closed"):
        fetch_blocks(plan_of(blocks), [source])


def test_a_table_is_the_sequence_of_its_files(mapped: list[ByteSource]) -> None:
    table = SourceTable(mapped)
    assert list(table) == mapped
    assert table[1:] == tuple(mapped[1:])
    assert table.sizes.tolist() == [len(content) for content in CONTENTS]
