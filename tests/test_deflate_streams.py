"""The streams that decoders are tested with are what they claim to be: zlib's word on each."""

from __future__ import annotations

import zlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.deflate_encoder import SubBlock, expand, lengths_from_frequencies, zlib_stream
from tests.deflate_streams import DAMAGED_STREAMS, SKEWED, VALID_STREAMS, DamagedStream, ValidStream
from tests.strategies import sub_blocks


@pytest.mark.parametrize("valid", VALID_STREAMS, ids=lambda valid: valid.name)
def test_zlib_inflates_every_valid_stream(valid: ValidStream) -> None:
    assert zlib.decompress(valid.stream) == valid.output
    assert zlib.decompress(valid.raw, wbits=-15) == valid.output


@pytest.mark.parametrize("damaged", DAMAGED_STREAMS, ids=lambda damaged: damaged.name)
def test_zlib_rejects_every_damaged_stream_for_its_reason(damaged: DamagedStream) -> None:
    if damaged.zlib_says:
        with pytest.raises(zlib.error, match=damaged.zlib_says):
            zlib.decompress(damaged.stream)
    else:
        assert len(zlib.decompress(damaged.stream)) > damaged.capacity


def test_damaged_checksums_hide_good_data() -> None:
    hidden = [damaged.stream for damaged in DAMAGED_STREAMS if damaged.in_checksum]
    assert [zlib.decompressobj(wbits=-15).decompress(stream[2:]) for stream in hidden] == [b"hello"] * 3


def test_names_are_unique() -> None:
    names = [valid.name for valid in VALID_STREAMS] + [damaged.name for damaged in DAMAGED_STREAMS]
    assert len(set(names)) == len(names)


@given(sub_blocks())
def test_zlib_inflates_random_sub_blocks(blocks: list[SubBlock]) -> None:
    assert zlib.decompress(zlib_stream(blocks)) == expand(blocks)


@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=60), st.sampled_from([7, 15]))
def test_code_lengths_make_a_complete_code_within_the_limit(counts: list[int], limit: int) -> None:
    lengths = lengths_from_frequencies(Counter(dict(enumerate(counts))), len(counts), limit=limit)
    assert max(lengths) <= limit
    assert sum(2.0**-length for length in lengths) == 1


def test_the_skewed_code_is_complete_and_uses_all_fifteen_lengths() -> None:
    assert set(SKEWED) == set(range(1, 16))
    assert sum(2.0**-length for length in SKEWED) == 1
