"""Inflating: every decoder gives what zlib gives or says why not, and touches nothing but its slots.

That last law is checked in each test here: `tests/decoders.py` lays streams and slots into memory that shows it.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from functools import cache
from itertools import cycle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.kernels.inflate import deflate, reference
from bigwig_numba.kernels.statuses import BlockStatus
from tests import deflate_encoder as encoder
from tests.bigwig_writer import Section, section_payload
from tests.decoders import (
    DECODERS,
    ITEM_BYTES,
    NEVER,
    STATUS_OF_MESSAGE,
    Decoder,
    Job,
    can_see,
    inflate_one,
    section_of,
    stream_of_copies,
    zlib_says,
)
from tests.deflate_streams import DAMAGED_STREAMS, VALID_STREAMS, DamagedStream, noise
from tests.strategies import sub_blocks

SECTION_STATUSES = {
    BlockStatus.SECTION_TOO_SHORT,
    BlockStatus.UNKNOWN_SECTION_TYPE,
    BlockStatus.ITEMS_OUT_OF_ORDER,
}
"""What no decoder says: the stream is good, what it holds is not."""


@pytest.fixture(params=DECODERS)
def decoder(request: pytest.FixtureRequest) -> Decoder:
    """Each decoder."""
    return DECODERS[request.param]


@pytest.fixture(params=[name for name, decoder in DECODERS.items() if decoder.sees_wrapper])
def fast_decoder(request: pytest.FixtureRequest) -> Decoder:
    """Each decoder that engines run: it reads ahead, and takes whole zlib streams."""
    return DECODERS[request.param]


# --- named streams


def test_the_tables_of_the_format_are_the_encoders() -> None:
    assert deflate.LENGTH_BASE == encoder.LENGTH_BASES
    assert deflate.LENGTH_EXTRA_BITS == encoder.LENGTH_EXTRA_BITS
    assert deflate.DISTANCE_BASE == encoder.DISTANCE_BASES
    assert deflate.DISTANCE_EXTRA_BITS == encoder.DISTANCE_EXTRA_BITS
    assert deflate.CODE_LENGTH_ORDER == encoder.CODE_LENGTH_ORDER


def test_every_valid_stream_inflates_into_a_slot_of_its_size(decoder: Decoder) -> None:
    results = decoder.inflate([Job(valid.stream, len(valid.output)) for valid in VALID_STREAMS])
    for valid, inflated in zip(VALID_STREAMS, results, strict=True):
        assert inflated.status == BlockStatus.GOOD, valid.name
        assert inflated.output == valid.output, valid.name
        assert not inflated.stopped


@pytest.mark.parametrize("name", ["lane", "warp"])
def test_the_gpus_decoders_tell_where_the_checksum_stands(name: str) -> None:
    jobs = [Job(valid.stream, len(valid.output)) for valid in VALID_STREAMS]
    for valid, inflated in zip(VALID_STREAMS, DECODERS[name].inflate(jobs), strict=True):
        checksum = zlib.adler32(valid.output).to_bytes(4, "big")
        assert valid.stream[inflated.end : inflated.end + 4] == checksum, valid.name
    for damaged in DAMAGED_STREAMS:
        inflated = inflate_one(DECODERS[name], damaged.stream, capacity=damaged.capacity)
        assert (inflated.end > 0) == (inflated.status == BlockStatus.GOOD), damaged.name


@pytest.mark.parametrize("damaged", DAMAGED_STREAMS, ids=lambda damaged: damaged.name)
def test_every_damaged_stream_ends_in_the_status_that_zlibs_message_means(
    damaged: DamagedStream, decoder: Decoder
) -> None:
    status = inflate_one(decoder, damaged.stream, capacity=damaged.capacity).status
    expected = STATUS_OF_MESSAGE[damaged.zlib_says]
    if not can_see(decoder, damaged):
        assert decoder.name == "reference" or status == BlockStatus.GOOD
    elif expected == BlockStatus.INPUT_EXHAUSTED and decoder.sees_wrapper:
        assert status != BlockStatus.GOOD  # who reads ahead may object to the padding first
    else:
        assert status == expected


def test_a_named_stream_reaches_every_status_that_a_stream_can_have() -> None:
    verifying = DECODERS["table, verifying"]
    reached = {inflate_one(verifying, damaged.stream, capacity=damaged.capacity).status for damaged in DAMAGED_STREAMS}
    assert reached == set(BlockStatus) - SECTION_STATUSES - {BlockStatus.GOOD}
    assert reached == set(STATUS_OF_MESSAGE.values())


def test_every_status_has_words_of_its_own() -> None:
    assert len({status.words for status in BlockStatus}) == len(BlockStatus)
    error = reference.InflateError(BlockStatus.NO_SUCH_CODE)
    assert str(error) == BlockStatus.NO_SUCH_CODE.words


@pytest.mark.parametrize("padding", [b"\0", b"\xff", noise(97)], ids=["zeros", "ones", "noise"])
@pytest.mark.parametrize("at_front", [True, False], ids=["at the front", "at the back"])
def test_each_stream_alone_between_closed_pages_whatever_follows_it(
    padding: bytes, at_front: bool, fast_decoder: Decoder
) -> None:
    for valid in VALID_STREAMS:
        job = Job(valid.stream, len(valid.output))
        (inflated,) = fast_decoder.inflate([job], padding=padding, at_front=at_front)
        assert (inflated.status, inflated.output) == (BlockStatus.GOOD, valid.output), valid.name
    for damaged in DAMAGED_STREAMS:
        job = Job(damaged.stream, damaged.capacity)
        (inflated,) = fast_decoder.inflate([job], padding=padding, at_front=at_front)
        assert (inflated.status != BlockStatus.GOOD) == can_see(fast_decoder, damaged), damaged.name


@pytest.mark.parametrize("padding", [b"\0", b"\xff", b"\x03\0"], ids=["zeros", "ones", "an empty sub-block"])
def test_no_part_of_a_stream_passes_for_a_stream(padding: bytes, fast_decoder: Decoder) -> None:
    whole = [zlib.compress(output, level) for output in (b"", b"a", b"abcabcabcd" * 3) for level in (0, 1, 9)]
    jobs = [Job(stream[:size]) for stream in whole for size in range(len(stream))]
    wrong = [
        job.stream
        for job, inflated in zip(jobs, fast_decoder.inflate(jobs, padding=padding), strict=True)
        if inflated.status == BlockStatus.GOOD
    ]
    assert wrong == []


@pytest.mark.parametrize("padding", [b"\0", b"\xff", noise(97)], ids=["zeros", "ones", "noise"])
def test_no_part_of_a_stream_is_read_beyond_its_slot(padding: bytes, fast_decoder: Decoder) -> None:
    dynamic = zlib.compress(noise(400, n_symbols=9, seed=5) * 2, 9)
    stored = encoder.zlib_stream([encoder.Stored(noise(40)), encoder.Fixed([*noise(40), encoder.Match(20, 7)])])
    for stream in (dynamic, stored):
        for size in range(len(stream)):
            (inflated,) = fast_decoder.inflate([Job(stream[:size], 1_000)], padding=padding)
            assert inflated.status != BlockStatus.GOOD


def test_a_slot_one_byte_too_small_is_too_small(decoder: Decoder) -> None:
    streams = [valid for valid in VALID_STREAMS if 0 < len(valid.output) < 30_000]
    results = decoder.inflate([Job(valid.stream, len(valid.output) - 1) for valid in streams])
    assert {inflated.status for inflated in results} == {BlockStatus.OUTPUT_FULL}


@pytest.mark.parametrize("length", [3, 4, 5, 8, 9, 33])
def test_copies_come_from_any_distance_to_any_alignment(length: int, decoder: Decoder) -> None:
    copies = stream_of_copies(length, far=decoder.sees_wrapper)
    inflated = inflate_one(decoder, copies.stream, capacity=len(copies.output))
    assert (inflated.status, inflated.output) == (BlockStatus.GOOD, copies.output)


def test_one_sub_block_in_the_fixed_codes_copies_from_any_distance_to_any_alignment(decoder: Decoder) -> None:
    near, far = range(1, 41), (64, 65, 127, 128, 129, 250, 300)
    copies = [
        token
        for length in (*range(3, 20), 35, 258)
        for distance in (*near, *far)
        for token in (*noise(1 + length * distance % 3, seed=length), encoder.Match(length, distance))
    ]
    blocks: list[encoder.SubBlock] = [encoder.Fixed([*noise(300), *copies])]
    output = encoder.expand(blocks)
    inflated = inflate_one(decoder, encoder.zlib_stream(blocks), capacity=len(output))
    assert (inflated.status, inflated.output) == (BlockStatus.GOOD, output)


def test_any_one_wrong_bit_of_a_short_stream_ends_as_zlib_says(fast_decoder: Decoder) -> None:
    section = section_payload(section_of(1, 3, seed=0), 0, "<")
    whole = zlib.compress(section)
    jobs = [
        Job((int.from_bytes(whole, "little") ^ 1 << bit).to_bytes(len(whole), "little"), len(section))
        for bit in range(8 * len(whole))
    ]
    assert whole[2] & 7 == 0b011, "one sub-block in the fixed codes"
    for bit, (job, inflated) in enumerate(zip(jobs, fast_decoder.inflate(jobs), strict=True)):
        is_good, output = expected_after_damage(fast_decoder, job)
        assert (inflated.status == BlockStatus.GOOD) == is_good, f"bit {bit}"
        assert not is_good or inflated.output == output, f"bit {bit}"


def test_damaged_streams_leave_the_others_of_a_batch_alone(decoder: Decoder) -> None:
    small = [valid for valid in VALID_STREAMS if len(valid.stream) < 4_000]
    jobs, outputs = [], []
    for valid, damaged in zip(cycle(small), DAMAGED_STREAMS, strict=False):
        jobs += [Job(damaged.stream, damaged.capacity), Job(valid.stream, len(valid.output))]
        outputs.append(valid.output)
    assert [inflated.output for inflated in decoder.inflate(jobs)[1::2]] == outputs


# --- random streams

runs = st.tuples(st.binary(min_size=1, max_size=12), st.integers(1, 200)).map(lambda run: run[0] * run[1])
structured_data = st.lists(st.binary(max_size=100) | runs, max_size=8).map(b"".join)


zlib_settings = st.fixed_dictionaries(
    {
        "level": st.integers(0, 9),
        "wbits": st.integers(9, 15),
        "memLevel": st.integers(1, 9),
        "strategy": st.sampled_from(
            [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED]
        ),
    }
)


@given(data=structured_data, settings=zlib_settings)
def test_inflating_undoes_compressing(data: bytes, settings: dict[str, int], decoder: Decoder) -> None:
    compressor = zlib.compressobj(**settings)
    inflated = inflate_one(decoder, compressor.compress(data) + compressor.flush(), capacity=len(data))
    assert (inflated.status, inflated.output) == (BlockStatus.GOOD, data)


@given(blocks=sub_blocks())
def test_inflating_gives_what_the_sub_blocks_stand_for(blocks: list[encoder.SubBlock], decoder: Decoder) -> None:
    output = encoder.expand(blocks)
    inflated = inflate_one(decoder, encoder.zlib_stream(blocks), capacity=len(output))
    assert (inflated.status, inflated.output) == (BlockStatus.GOOD, output)


@st.composite
def damaged_streams(draw: st.DrawFn) -> Job:
    """A stream with bits flipped, bytes inserted or left out, and room for about what came out before that."""
    data = draw(structured_data)
    stream = bytearray(zlib.compress(data, draw(st.sampled_from([0, 1, 6, 9]))))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(stream)))
        damage = draw(st.sampled_from(["flip", "flip", "insert", "leave out", "truncate"]))
        if damage == "flip" and place < len(stream):
            stream[place] ^= 1 << draw(st.integers(0, 7))
        elif damage == "insert":
            stream[place:place] = draw(st.binary(min_size=1, max_size=5))
        elif damage == "leave out":
            del stream[place : place + draw(st.integers(1, 5))]
        elif damage == "truncate":
            del stream[place:]
    return Job(bytes(stream), max(0, len(data) + draw(st.integers(-3, 300))))


def expected_after_damage(decoder: Decoder, job: Job) -> tuple[bool, bytes]:
    """Whether the stream is good for this decoder, and its output if it is; zlib decides."""
    output = zlib_says(job.stream, wrapped=decoder.sees_wrapper)
    if output is None or len(output) > job.capacity:
        return False, b""
    if decoder.verifies:
        try:
            zlib.decompressobj().decompress(job.stream)
        except zlib.error:
            return False, b""
    return True, output


@given(jobs=st.lists(damaged_streams(), min_size=1, max_size=6), padding=st.binary(min_size=1, max_size=8))
def test_random_damage_ends_in_a_status_or_in_what_zlib_gives(
    jobs: list[Job], padding: bytes, decoder: Decoder
) -> None:
    good = Job(zlib.compress(b"between the damaged ones"))
    batch = [job for damaged in jobs for job in (damaged, good)]
    results = decoder.inflate(batch, padding=padding)
    for job, inflated in zip(batch, results, strict=True):
        is_good, output = expected_after_damage(decoder, job)
        assert (inflated.status == BlockStatus.GOOD) == is_good
        if is_good:
            assert inflated.output == output


def short_jobs() -> list[Job]:
    """Sections of few items in the fixed codes, with much else that may stand beside them."""
    jobs = [Job(zlib.compress(noise(9)), 8), Job(zlib.compress(noise(900, n_symbols=3))), Job(zlib.compress(b"", 0))]
    for n_items in (1, 2, 7, 40):
        section = section_of(1, n_items, seed=n_items)
        payload = section_payload(section, 0, "<")
        compressor = zlib.compressobj(strategy=zlib.Z_FIXED)
        stream = compressor.compress(payload) + compressor.flush()
        raw = encoder.deflate_stream([encoder.Fixed([*payload[:n_items], encoder.Match(5, n_items + 1)])])
        too_far = encoder.zlib_wrap(raw, b"")
        jobs += [Job(stream, len(payload)), Job(stream, len(payload), int(section.starts[n_items // 2])), Job(too_far)]
        jobs += [Job(stream, len(payload) - 1), Job(stream[: len(stream) // 2]), Job(stream[:-4])]
    return jobs


@given(jobs=st.lists(st.sampled_from(short_jobs()), min_size=1, max_size=7))
def test_what_becomes_of_a_stream_is_not_its_neighbours_business(jobs: list[Job], fast_decoder: Decoder) -> None:
    for job, beside in zip(jobs, fast_decoder.inflate(jobs), strict=True):
        alone = inflate_one(fast_decoder, **vars(job))
        assert (beside.status, beside.stopped) == (alone.status, alone.stopped)
        assert beside.output == alone.output or alone.status != BlockStatus.GOOD


# --- stopping early


section_kinds = pytest.mark.parametrize("kind", ITEM_BYTES, ids=["bedGraph", "variableStep", "fixedStep"])
byte_orders = pytest.mark.parametrize("order", "<>", ids=["little-endian", "big-endian"])


@section_kinds
@byte_orders
@given(
    n_items=st.integers(0, 1_500), seed=st.integers(0, 9), where=st.floats(-0.1, 1.1), level=st.sampled_from([0, 1, 6])
)
def test_stopping_early_never_changes_items_that_start_before_the_stop(
    kind: int, order: str, n_items: int, seed: int, where: float, level: int, fast_decoder: Decoder
) -> None:
    section = section_of(kind, n_items + 1, seed)
    payload = section_payload(section, 0, order)
    begin, end = section.bounds
    stop = max(0, int(begin + where * (end - begin)))
    inflated = inflate_one(
        fast_decoder, zlib.compress(payload, level), capacity=len(payload), stop=stop, big_endian=order == ">"
    )
    n_wanted = int((section.starts < stop).sum())
    wanted = payload[: struct.calcsize("6I") + n_wanted * ITEM_BYTES[kind]]
    assert inflated.status == BlockStatus.GOOD
    assert inflated.output.startswith(wanted)
    assert inflated.output == payload if not inflated.stopped else payload.startswith(inflated.output)


@section_kinds
@byte_orders
@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED], ids=["codes of its own", "fixed codes"])
def test_most_of_a_long_section_is_left_out_when_its_head_is_enough(
    kind: int, order: str, strategy: int, fast_decoder: Decoder
) -> None:
    section = section_of(kind, 5_000, seed=0)
    payload = section_payload(section, 0, order)
    compressor = zlib.compressobj(strategy=strategy, memLevel=9)
    stream = compressor.compress(payload) + compressor.flush()
    job = Job(stream, len(payload), int(section.starts[500]), order == ">")
    (inflated,) = fast_decoder.inflate([job])
    assert inflated.stopped
    assert inflated.output == payload[: len(inflated.output)]
    assert len(payload) / 11 < len(inflated.output) < len(payload) / 5


@cache
def section_with_values_like_headers(kind: int, order: str, n_stored: int) -> tuple[Section, bytes, bytes]:
    """A section, its bytes, and a stream of them: the first stored, the others in fixed codes."""
    section = section_of(kind, 5_000, seed=0)
    # Values that look like the byte of another type, and like far positions.
    section = replace(section, values=np.full(5_000, 0x3F010101, np.uint32).view(np.float32))
    payload = section_payload(section, 0, order)
    blocks = [encoder.Stored(payload[:n_stored]), encoder.Fixed([*payload[n_stored:]])]
    return section, payload, encoder.zlib_stream(blocks)


@section_kinds
@byte_orders
@pytest.mark.parametrize("n_stored", [30, 500, 4_097, 9_000])
def test_a_section_is_known_by_its_header_also_when_that_came_out_long_ago(
    kind: int, order: str, n_stored: int, fast_decoder: Decoder
) -> None:
    section, payload, stream = section_with_values_like_headers(kind, order, n_stored)
    n_wanted = 4_000
    stop = int(section.starts[n_wanted])
    inflated = inflate_one(fast_decoder, stream, capacity=len(payload), stop=stop, big_endian=order == ">")
    assert inflated.stopped
    assert inflated.output.startswith(payload[: 24 + n_wanted * ITEM_BYTES[kind]])


@section_kinds
def test_without_a_stop_nothing_is_left_out(kind: int, fast_decoder: Decoder) -> None:
    payload = section_payload(section_of(kind, 5_000, seed=0), 0, "<")
    inflated = inflate_one(fast_decoder, zlib.compress(payload), capacity=len(payload), stop=NEVER)
    assert (inflated.output, inflated.stopped) == (payload, False)


@given(data=st.binary(min_size=24, max_size=48), repeats=st.integers(1, 60), stop=st.integers(0, NEVER - 1))
def test_what_is_no_section_may_stop_anywhere_but_is_never_changed(
    data: bytes, repeats: int, stop: int, fast_decoder: Decoder
) -> None:
    content = data * repeats
    inflated = inflate_one(fast_decoder, zlib.compress(content), capacity=len(content), stop=stop)
    assert inflated.status == BlockStatus.GOOD
    assert content.startswith(inflated.output)
    assert inflated.stopped or len(inflated.output) == len(content)
