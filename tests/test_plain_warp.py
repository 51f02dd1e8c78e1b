"""The warp decoder with many lanes, on a machine without a GPU: its source in plain Python, a thread per lane."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from bigwig_numba.benchmarks.blocks import made_blocks
from bigwig_numba.kernels.inflate import warp_layout
from bigwig_numba.kernels.statuses import GOOD
from tests.plain_warp import Warp, load

NEVER = 0xFFFFFFFF
SCRATCH = (
    warp_layout.LITERAL_ENTRIES, warp_layout.DISTANCE_ENTRIES, warp_layout.MADE_PER_WARP, warp_layout.STAGED_WORDS,
    warp_layout.ENTRIES_PER_WARP, warp_layout.WORDS_PER_WARP,
)  # fmt: skip


def inflate(stream: bytes, capacity: int, *, n_lanes: int = 8, stop: int = NEVER) -> tuple[int, bytes]:
    """Status and bytes of the decoder; an index outside of its memory is an IndexError."""
    warp = Warp(n_lanes)
    data = np.frombuffer(stream + bytes(-len(stream) % 4 + 4), np.uint32).tolist()
    output = [0xAAAAAAAA] * (-(-capacity // 4) + 2)
    scratch = [[0xAA] * size for size in SCRATCH]
    decode = load("inflate.warp", warp)["inflate_warp"]
    results = warp.run(decode, data, 0, len(stream), output, 0, capacity, stop, False, *scratch)
    assert len(set(results)) == 1, "the lanes disagree"
    status, n_bytes, _ = results[0]
    return int(status), np.array(output, np.uint32).tobytes()[:n_bytes]


def section(n_items: int) -> bytes:
    return made_blocks(1, n_items=n_items).sections[0]


CONTENTS = {
    "a section": section(60),
    "few lengths": np.random.default_rng(1).integers(0, 3, 500).astype(np.uint8).tobytes(),
    "one byte over and over": bytes(400),
    "nothing": b"",
    "all bytes, twice": bytes(range(256)) * 2,
}


@pytest.mark.parametrize("name", CONTENTS)
def test_eight_lanes_give_what_zlib_gives(name: str) -> None:
    content = CONTENTS[name]
    assert inflate(zlib.compress(content, 9), len(content)) == (GOOD, content)


def test_thirty_two_lanes_guess_where_symbols_begin() -> None:
    content = section(40)
    assert inflate(zlib.compress(content), len(content), n_lanes=32) == (GOOD, content)


def test_several_sub_blocks_of_all_kinds() -> None:
    contents = (section(20), bytes(range(50)), b"abcabcabc" * 5)
    compressor = zlib.compressobj(6)
    stream = b"".join(compressor.compress(content) + compressor.flush(zlib.Z_FULL_FLUSH) for content in contents)
    stream += compressor.flush()
    assert inflate(stream, 1_000) == (GOOD, b"".join(contents))


def test_it_stops_behind_the_last_item_that_is_wanted() -> None:
    content = section(200)
    starts = np.frombuffer(content, "<u4")[6::3]
    status, decoded = inflate(zlib.compress(content), len(content), stop=int(starts[20]))
    assert status == GOOD
    assert 24 + 20 * 12 <= len(decoded) < len(content)
    assert content.startswith(decoded)


@pytest.mark.parametrize("position", [4, 30, 200, 350])
def test_a_changed_byte_ends_in_a_status_or_in_other_bytes(position: int) -> None:
    content = section(60)
    stream = bytearray(zlib.compress(content))
    stream[position % len(stream)] ^= 0x5A
    status, decoded = inflate(bytes(stream), len(content))
    assert status != GOOD or len(decoded) <= len(content)


def test_output_that_does_not_fit_is_refused() -> None:
    content = section(60)
    status, _ = inflate(zlib.compress(content), len(content) - 1)
    assert status != GOOD
