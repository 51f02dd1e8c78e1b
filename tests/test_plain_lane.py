"""The lane decoder with many lanes, on a machine without a GPU: its source in plain Python, a thread per lane.

What is tested here is what one lane's stream must not change for another; the rest is in ``test_inflate.py``.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from bigwig_numba.benchmarks.blocks import made_blocks
from bigwig_numba.kernels.inflate import lane_codes
from bigwig_numba.kernels.statuses import BlockStatus
from tests.bigwig_writer import section_payload
from tests.decoders import DECODERS, NEVER, Job, can_see, section_of
from tests.deflate_streams import DAMAGED_STREAMS
from tests.plain_warp import Memory, Warp, load

CAPACITY = 4_096


def inflate(jobs: Sequence[Job]) -> list[tuple[int, bytes, int]]:
    """Status, bytes and end of each stream, a lane for each and one that has none."""
    memory, warp = Memory(), Warp(len(jobs) + 1)
    slot = CAPACITY + 16
    streams = [job.stream + bytes(-len(job.stream) % 4 + 4 * (1 + number % 2)) for number, job in enumerate(jobs)]
    firsts = np.cumsum([0, *map(len, streams)]) // 4  # also from odd words on
    data = memory.array("uint32", np.frombuffer(b"".join(streams), "<u4").tolist())
    output = memory.array("uint32", [0xAAAAAAAA] * ((len(jobs) + 1) * slot // 4))
    lanes = lane_codes.N_LANES
    scratch = [
        memory.array("uint8", [0xAA] * lanes * lane_codes.SYMBOLS_PER_LANE),
        memory.array("uint32", [0xAAAAAAAA] * lanes * lane_codes.WORDS_PER_LANE),
        memory.array("uint8", [0xAA] * lanes * lane_codes.DISTANCE_WORDS_PER_LANE),
    ]
    lengths = [memory.array("uint8", [0xAA] * lane_codes.LENGTHS_PER_LANE) for _ in range(len(jobs) + 1)]
    decode = load("inflate.lane", warp, memory=memory)["inflate_lane"]

    def work(lane: int, n_lanes: int) -> Any:
        live = lane < len(jobs)
        job = jobs[lane if live else 0]
        return decode(
            data, int(firsts[lane if live else 0]), len(job.stream), output, lane * slot // 4, job.capacity, job.stop,
            job.big_endian, *scratch, lengths[lane], lane, live,
        )  # fmt: skip

    results = warp.run(work)[: len(jobs)]
    written = memory.bytes[output.first : output.first + (len(jobs) + 1) * slot]
    return [
        (int(status), bytes(written[lane * slot : lane * slot + n_bytes]), end)
        for lane, (status, n_bytes, end) in enumerate(results)
    ]


def in_sub_blocks(contents: Sequence[bytes], level: int = 6) -> bytes:
    compressor = zlib.compressobj(level)
    parts = [compressor.compress(content) + compressor.flush(zlib.Z_FULL_FLUSH) for content in contents]
    return b"".join(parts) + compressor.flush()


SECTION = made_blocks(1, n_items=120).sections[0]
STEPS = section_payload(section_of(3, 300, 5), 1, "<")
STARTS = np.frombuffer(SECTION, "<u4")[6::3]
JOBS = {
    "whole": Job(zlib.compress(SECTION), CAPACITY),
    "stops early": Job(zlib.compress(SECTION), CAPACITY, stop=int(STARTS[70])),
    "stops early, by steps": Job(zlib.compress(STEPS), CAPACITY, stop=1_000 + 9 * 150),
    "sub-blocks of all kinds": Job(
        in_sub_blocks([SECTION[:500], bytes(range(256)), b"abc" * 50, SECTION[500:]]), CAPACITY
    ),
    "stored": Job(zlib.compress(SECTION, 0), CAPACITY),
    "short": Job(zlib.compress(b"abcabcabcd"), CAPACITY),
    "long matches": Job(zlib.compress(bytes(700) + b"ab" * 300 + b"xyz" * 200), CAPACITY),
    "no room": Job(zlib.compress(SECTION), 700),
}


def test_streams_side_by_side_end_as_each_should() -> None:
    for (name, job), (status, output, end) in zip(JOBS.items(), inflate(list(JOBS.values())), strict=True):
        content = zlib.decompress(job.stream)
        if len(content) > job.capacity:
            assert status == BlockStatus.OUTPUT_FULL, name
        elif job.stop != NEVER:
            assert (status, end) == (BlockStatus.GOOD, 0), name
            assert len(content) / 2 < len(output) < len(content), name
            assert content.startswith(output), name
        else:
            assert (status, end, output) == (BlockStatus.GOOD, len(job.stream) - 4, content), name


def test_a_stream_that_stopped_early_stays_so_while_others_go_on() -> None:
    stopped, other = inflate([JOBS["stops early"], JOBS["sub-blocks of all kinds"]])
    assert (stopped[0], stopped[2]) == (BlockStatus.GOOD, 0)
    assert other[2] > 0
    assert 24 + 70 * 12 <= len(stopped[1]) < len(SECTION)
    assert SECTION.startswith(stopped[1])


def test_damaged_streams_leave_the_others_right() -> None:
    of_each_kind = {stream.zlib_says: stream for stream in DAMAGED_STREAMS if len(stream.stream) < 200}.values()
    jobs = [Job(stream.stream, min(stream.capacity, CAPACITY)) for stream in of_each_kind]
    *damaged, whole = inflate([*jobs, JOBS["whole"]])
    assert whole == (BlockStatus.GOOD, SECTION, len(JOBS["whole"].stream) - 4)
    for stream, (status, *_) in zip(of_each_kind, damaged, strict=True):
        assert (status != BlockStatus.GOOD) == can_see(DECODERS["lane"], stream), stream.name
