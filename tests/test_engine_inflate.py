"""Inflating as engines do it: many blocks at a time, on the CPU and by each kernel of the GPU."""

from __future__ import annotations

import importlib
import io
import random
import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.engine.cpu import CpuEngine
from bigwig_numba.engine.schedule import blocks_by_warp, longest_first
from bigwig_numba.engine.store import fetch_blocks
from bigwig_numba.kernels import launch
from bigwig_numba.kernels.inflate.lane import OUTPUT_SLACK
from bigwig_numba.kernels.sections import check_section
from bigwig_numba.kernels.statuses import BlockStatus
from bigwig_numba.plan import ReadPlan
from bigwig_numba.storage import ByteSource, open_source
from tests.bigwig_writer import section_payload
from tests.conftest import CorpusFile
from tests.decoders import DECODERS, ITEM_BYTES, NEVER, STATUS_OF_MESSAGE, Job, can_see, section_of, stream_of_copies
from tests.deflate_streams import DAMAGED_STREAMS, VALID_STREAMS, ValidStream, noise
from tests.engines import Engine, Tracks, make_engine, to_host

HOW_MANY_BY_WARP: dict[str, Callable[[npt.NDArray[np.int64]], int]] = {
    "by lane": lambda sizes: 0,
    "by warp": lambda sizes: sizes.size,
    "side by side": lambda sizes: sizes.size // 3,
}


@pytest.fixture(params=["cpu", *(pytest.param(name, marks=pytest.mark.gpu) for name in HOW_MANY_BY_WARP)])
def inflater(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The CPU's engine, and the GPU's with either of its kernels, and with both."""
    if request.param == "cpu":
        return CpuEngine(2)
    monkeypatch.setattr("bigwig_numba.engine.device_batch.blocks_by_warp", HOW_MANY_BY_WARP[request.param])
    return make_engine("cuda")


def plan_of(jobs: Sequence[Job], tracks: Tracks) -> tuple[ReadPlan, ByteSource]:
    """A plan of no windows, with streams as blocks, and the file that they are in."""
    sizes = np.array([len(job.stream) for job in jobs], np.int64)
    stops = np.array([job.stop for job in jobs], np.int64)
    plan = replace(
        tracks.plan([]),
        block_tracks=np.zeros(len(jobs), np.int32),
        block_offsets=np.cumsum(sizes) - sizes,
        block_sizes=sizes,
        block_capacities=np.array([job.capacity for job in jobs], np.int64),
        block_compressed=np.ones(len(jobs), np.bool_),
        block_big_endian=np.array([job.big_endian for job in jobs], np.bool_),
        block_stops=np.where(stops == NEVER, 1 << 32, stops),
        block_follows=np.zeros(len(jobs), np.bool_),
    )
    return plan, open_source(io.BytesIO(b"".join(job.stream for job in jobs)))


@dataclass(frozen=True)
class Blocks:
    """What an engine inflated."""

    statuses: list[int]
    counts: list[int]
    outputs: list[bytes]
    """As long as the capacity; from a GPU, those of good streams."""


def inflate_blocks(engine: Engine, jobs: Sequence[Job], tracks: Tracks) -> Blocks:
    plan, source = plan_of(jobs, tracks)
    if engine.name == "cuda":
        with ExitStack() as stack:
            data, source_words = engine.supply.fetch(plan, [source], stack)
            batch_of_plan = importlib.import_module("bigwig_numba.engine.device_batch").batch_of_plan
            batch = batch_of_plan(plan, source_words, np.empty(0, np.float32), engine.pinned, stack)
            words, results = engine.inflate(data, batch)
            found, bases = to_host(results), to_host(batch.table)[launch.BASE]
            return Blocks(
                found[launch.STATUS].tolist(), found[launch.COUNT].tolist(), written_bytes(words, bases, found, jobs)
            )
    inflated = engine.inflate(fetch_blocks(plan, [source]), plan)
    memory = inflated.words.tobytes()
    outputs = [memory[4 * int(base) :][: job.capacity] for base, job in zip(inflated.bases, jobs, strict=True)]
    return Blocks(inflated.statuses.tolist(), inflated.counts.tolist(), outputs)


def written_bytes(
    words: Any, bases: npt.NDArray[np.int64], results: npt.NDArray[np.int32], jobs: Sequence[Job]
) -> list[bytes]:
    """What the slots of good streams hold, on the device: nothing unwritten is read, as sanitizers look for that."""
    is_whole, is_good = results[launch.END] > 0, results[launch.STATUS] == BlockStatus.GOOD
    n_bytes = np.where(is_whole | is_good, results[launch.N_BYTES], 0)
    n_words = np.where(is_whole, -(-n_bytes // 4), n_bytes // 4)  # the last word of one that stopped may be unwritten
    slots = [to_host(words[base : base + n]).tobytes() for base, n in zip(bases, n_words, strict=True)]
    return [slot[: job.capacity] for slot, job in zip(slots, jobs, strict=True)]


@pytest.fixture
def tracks(corpus_file: CorpusFile) -> Tracks:
    return Tracks.open(corpus_file("mixed section kinds")[0])


def section_status(output: bytes) -> int:
    """What becomes of a good stream whose content was not made to be a section."""
    words = np.frombuffer(output + bytes(-len(output) % 4 + 24), np.uint32)
    return int(check_section(words, np.uint64(0), np.uint32(len(output)), True, False)[0])


@pytest.mark.parametrize("seed", range(3))
def test_streams_of_all_sorts_inflate_side_by_side(seed: int, inflater: Engine, tracks: Tracks) -> None:
    streams = [*VALID_STREAMS, *DAMAGED_STREAMS, *(stream_of_copies(length) for length in (3, 4, 8, 9, 33, 258))]
    random.Random(seed).shuffle(streams)
    capacities = [len(stream.output) if isinstance(stream, ValidStream) else stream.capacity for stream in streams]
    jobs = [Job(stream.stream, capacity) for stream, capacity in zip(streams, capacities, strict=True)]
    blocks = inflate_blocks(inflater, jobs, tracks)
    for stream, status, output in zip(streams, blocks.statuses, blocks.outputs, strict=True):
        if isinstance(stream, ValidStream):
            assert output == stream.output, stream.name
            assert status == section_status(output), stream.name
        elif can_see(DECODERS["table"], stream):
            expected = STATUS_OF_MESSAGE[stream.zlib_says]
            is_truncated = expected == BlockStatus.INPUT_EXHAUSTED  # then the padding may be objected to first
            assert status == expected or (is_truncated and status != BlockStatus.GOOD), stream.name


def test_a_stream_goes_into_a_slot_of_its_size_between_others(inflater: Engine, tracks: Tracks) -> None:
    outputs = [noise(n, n_symbols=3, seed=n) for n in range(1, 400)]
    too_long = [zlib.compress(noise(n + 1, n_symbols=3, seed=n)) for n in range(1, 400)]
    jobs = [
        job
        for output, long in zip(outputs, too_long, strict=True)
        for job in (Job(zlib.compress(output), len(output)), Job(long, len(output)))
    ]
    blocks = inflate_blocks(inflater, jobs, tracks)
    assert blocks.outputs[::2] == outputs
    assert set(blocks.statuses[1::2]) == {BlockStatus.OUTPUT_FULL}


def test_blocks_that_stop_early_have_all_items_before_the_stop(inflater: Engine, tracks: Tracks) -> None:
    draw = np.random.default_rng(0)
    jobs, wanted, n_whole = [], [], 0
    for i in range(120):
        kind, order, n_items = 1 + i % 3, "<>"[i // 3 % 2], int(draw.integers(1, 2_000))
        section = section_of(kind, n_items, seed=i)
        payload = section_payload(section, 0, order)
        stop = int(draw.integers(section.bounds[0], section.bounds[1]))
        n_wanted = int((section.starts < stop).sum())
        jobs.append(Job(zlib.compress(payload, int(draw.integers(0, 10))), len(payload), stop, order == ">"))
        wanted.append((n_wanted, payload[: 24 + n_wanted * ITEM_BYTES[kind]]))
        n_whole += n_items
    blocks = inflate_blocks(inflater, jobs, tracks)
    assert set(blocks.statuses) == {BlockStatus.GOOD}
    assert all(count >= n for count, (n, _) in zip(blocks.counts, wanted, strict=True))
    assert all(output.startswith(head) for output, (_, head) in zip(blocks.outputs, wanted, strict=True))
    assert sum(blocks.counts) < 0.8 * n_whole


@given(sizes=st.lists(st.integers(0, 1 << 19), max_size=50))
def test_the_longest_streams_come_first(sizes: list[int]) -> None:
    order = longest_first(np.array(sizes, np.int64)).tolist()
    assert sorted(order) == list(range(len(sizes)))
    words = [min(sizes[i] // 4, 0xFFFF) for i in order]  # a difference of less than a word does not matter
    assert words == sorted(words, reverse=True)


def test_few_blocks_get_a_warp_each_and_of_many_the_long_ones() -> None:
    few, many = np.full(10, 3_000), np.full(200_000, 3_000)
    assert blocks_by_warp(few) == 10
    assert blocks_by_warp(many) == 0
    many[::1_000] = 50_000
    assert blocks_by_warp(many) == 200


@given(capacity=st.integers(0, 1 << 31) | st.integers(0, 64))
def test_a_slot_has_room_for_what_is_written_behind_its_bytes_and_ends_where_the_next_may_begin(capacity: int) -> None:
    n_words = launch.slot_words(capacity)
    assert n_words % 4 == 0
    assert 0 <= 4 * n_words - (capacity + OUTPUT_SLACK) < 16
