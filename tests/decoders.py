"""The decoders behind one call, in memory that shows what they may not touch.

Input lies between two pages that end the process when they are read::

    | no access |  stream + room to read ahead | ... | last stream + room to read ahead | no access |

Output slots, and the scratch memory of a lane, lie in poison, which must be there afterwards.
"""

from __future__ import annotations

import ctypes
import mmap
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from numba import njit

from bigwig_numba.kernels.inflate import lane, lane_codes, reference, table, warp, warp_layout
from bigwig_numba.kernels.statuses import BlockStatus
from tests import deflate_encoder as encoder
from tests.bigwig_writer import Section, bedgraph, fixed_step, variable_step
from tests.deflate_streams import DamagedStream, ValidStream, noise

Bytes = npt.NDArray[np.uint8]

NEVER = 0xFFFFFFFF
"""A position at which no decoder stops early."""
POISON = 0xA5
GUARD = 512
"""Bytes of poison around each output slot."""


@dataclass(frozen=True)
class Job:
    """A zlib stream, and how to inflate it."""

    stream: bytes
    capacity: int = 1 << 16
    stop: int = NEVER
    big_endian: bool = False


@dataclass(frozen=True)
class Inflated:
    """What became of a stream; after damage the output means nothing."""

    status: BlockStatus
    output: bytes
    stopped: bool = False
    end: int = 0
    """Bytes of the stream before its checksum; only the GPU's decoders tell."""


class Decoder(Protocol):
    """What the tests know of a decoder."""

    name: str
    sees_wrapper: bool
    """Whether it looks at the zlib header, and for four bytes of checksum."""
    verifies: bool
    """Whether it compares the checksum."""

    def inflate(self, jobs: Sequence[Job], *, padding: bytes = b"\0", at_front: bool = False) -> list[Inflated]:
        """Inflate streams one after another, as a batch.

        `padding` is repeated after each stream; `at_front` lays the first stream behind the first closed page, else
        the last one is before the last.
        """
        ...


def inflate_one(decoder: Decoder, stream: bytes, **options: Any) -> Inflated:
    return decoder.inflate([Job(stream, **options)])[0]


# --- memory


class FencedMemory:
    """Bytes between two pages without access."""

    def __init__(self, n_bytes: int) -> None:
        n_pages = -(-n_bytes // mmap.PAGESIZE)
        memory = np.frombuffer(mmap.mmap(-1, (n_pages + 2) * mmap.PAGESIZE), np.uint8)
        libc = ctypes.CDLL(None, use_errno=True)
        for page in (0, n_pages + 1):
            address = ctypes.c_void_p(memory.ctypes.data + page * mmap.PAGESIZE)
            if libc.mprotect(address, ctypes.c_size_t(mmap.PAGESIZE), 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        self.bytes: Bytes = memory[mmap.PAGESIZE : -mmap.PAGESIZE]


INPUT = FencedMemory(1 << 20)


def lay_out_input(
    jobs: Sequence[Job], rooms: Sequence[int], alignment: int, padding: bytes, at_front: bool
) -> npt.NDArray[np.int64]:
    """Write the streams to `INPUT`, each with its room, and return where they start."""
    slots = [-(-room // alignment) * alignment for room in rooms]
    ends = np.cumsum([0, *slots])
    starts = ends[:-1] + (0 if at_front else len(INPUT.bytes) - ends[-1])
    for job, start, slot in zip(jobs, starts, slots, strict=True):
        filled = job.stream + (padding * slot)[: slot - len(job.stream)]
        INPUT.bytes[start : start + slot] = np.frombuffer(filled, np.uint8)
    return np.asarray(starts, np.int64)


class OutputSlots:
    """A slot per job, a multiple of 4 from the start of the memory, in poison."""

    def __init__(self, jobs: Sequence[Job], slack: int) -> None:
        self.rooms = np.array([-(-(job.capacity + slack) // 4) * 4 for job in jobs], np.int64)
        ends = np.cumsum(self.rooms + GUARD) + GUARD
        self.starts = ends - GUARD - self.rooms
        self.bytes: Bytes = np.full(int(ends[-1]), POISON, np.uint8)

    def read(self, job: int, n_bytes: int) -> bytes:
        return self.bytes[self.starts[job] : self.starts[job] + n_bytes].tobytes()

    def assert_guards_are_untouched(self) -> None:
        edges = [0, *np.stack([self.starts, self.starts + self.rooms], axis=1).ravel(), len(self.bytes)]
        for begin, end in zip(edges[::2], edges[1::2], strict=True):
            wrong = np.flatnonzero(self.bytes[begin:end] != POISON)
            assert wrong.size == 0, f"written outside the slots, {wrong + begin} of slots from {self.starts}"


# --- decoders


class ReferenceDecoder:
    """Raw DEFLATE only; it never stops early and cannot write anywhere."""

    name = "reference"
    sees_wrapper = verifies = False

    def inflate(self, jobs: Sequence[Job], *, padding: bytes = b"\0", at_front: bool = False) -> list[Inflated]:
        return [self._inflate(job) for job in jobs]

    def _inflate(self, job: Job) -> Inflated:
        try:
            return Inflated(BlockStatus.GOOD, reference.inflate(job.stream[2:], capacity=job.capacity))
        except reference.InflateError as error:
            return Inflated(error.status, b"")


@njit(nogil=True)
def run_table(data, firsts, sizes, output, starts, capacities, stops, big_endian, verify, statuses, lengths, ends):  # type: ignore[no-untyped-def]
    table.inflate_blocks(
        data, firsts, sizes, np.ones(firsts.size, np.bool_), output, starts, capacities,
        np.where(stops == NEVER, np.int64(1 << 32), stops), big_endian, verify, table.make_tables(), statuses, lengths,
        ends,
    )  # fmt: skip


class TableDecoder:
    """The CPU's decoder."""

    sees_wrapper = True

    def __init__(self, *, verifies: bool = False) -> None:
        self.name = "table, verifying" if verifies else "table"
        self.verifies = verifies

    def inflate(self, jobs: Sequence[Job], *, padding: bytes = b"\0", at_front: bool = False) -> list[Inflated]:
        sizes = [len(job.stream) for job in jobs]
        firsts = lay_out_input(jobs, [size + table.INPUT_SLACK for size in sizes], 1, padding, at_front)
        slots = OutputSlots(jobs, table.OUTPUT_SLACK)
        statuses, lengths, ends = (np.full(len(jobs), -1) for _ in range(3))
        run_table(
            INPUT.bytes, firsts, np.array(sizes), slots.bytes, slots.starts, np.array([job.capacity for job in jobs]),
            np.array([job.stop for job in jobs]), np.array([job.big_endian for job in jobs]), self.verifies, statuses,
            lengths, ends,
        )  # fmt: skip
        slots.assert_guards_are_untouched()
        results = np.stack([statuses, lengths, ends], axis=1)
        return [
            Inflated(BlockStatus(status), slots.read(job, n_bytes), status == BlockStatus.GOOD and end == 0)
            for job, (status, n_bytes, end) in enumerate(results.tolist())
        ]


class WordDecoder:
    """What the GPU's two decoders have in common: memory of 32-bit words, and scratch memory."""

    name: str
    sees_wrapper, verifies = True, False

    def inflate(self, jobs: Sequence[Job], *, padding: bytes = b"\0", at_front: bool = False) -> list[Inflated]:
        rooms = [4 * (-(-len(job.stream) // 4) + 1) for job in jobs]  # whole words, and one more
        firsts = lay_out_input(jobs, rooms, 4, padding, at_front)
        slots = OutputSlots(jobs, lane.OUTPUT_SLACK)
        results = np.zeros((len(jobs), 3), np.int64)
        self.run(
            INPUT.bytes.view(np.uint32), (firsts // 4).astype(np.uint64),
            np.array([len(job.stream) for job in jobs], np.uint32), slots.bytes.view(np.uint32),
            (slots.starts // 4).astype(np.uint64), np.array([job.capacity for job in jobs], np.uint32),
            np.array([job.stop for job in jobs], np.uint32), np.array([job.big_endian for job in jobs]), results,
        )  # fmt: skip
        slots.assert_guards_are_untouched()
        return [
            Inflated(BlockStatus(status), slots.read(job, n_bytes), status == BlockStatus.GOOD and end == 0, end)
            for job, (status, n_bytes, end) in enumerate(results.tolist())
        ]

    def run(self, *arguments: Any) -> None:
        """Call the compiled loop over the jobs, with scratch memory."""
        raise NotImplementedError


def poisoned(size: int, dtype: type[np.generic]) -> npt.NDArray[Any]:
    return np.full(size * np.dtype(dtype).itemsize, POISON, np.uint8).view(dtype)


N_LANES = lane_codes.N_LANES


@njit(nogil=True)
def run_lane(
    data,
    firsts,
    sizes,
    output,
    starts,
    capacities,
    stops,
    big_endian,
    results,
    symbols,
    words,
    distance_words,
    lengths,
):  # type: ignore[no-untyped-def]
    for job in range(firsts.size):
        status, n_bytes, end = lane.inflate_lane(
            data, firsts[job], sizes[job], output, starts[job], capacities[job], stops[job], big_endian[job],
            symbols, words, distance_words, lengths, np.uint32(job % N_LANES), True,
        )  # fmt: skip
        results[job, 0], results[job, 1], results[job, 2] = status, n_bytes, end


class LaneDecoder(WordDecoder):
    """A lane per stream, one lane at a time, in the scratch memory of a whole warp."""

    name = "lane"

    def run(self, *arguments: Any) -> None:
        symbols = poisoned(N_LANES * lane_codes.SYMBOLS_PER_LANE, np.uint8)
        words = poisoned(N_LANES * lane_codes.WORDS_PER_LANE, np.uint32)
        distance_words = poisoned(N_LANES * lane_codes.DISTANCE_WORDS_PER_LANE, np.uint8)
        run_lane(*arguments, symbols, words, distance_words, poisoned(lane_codes.LENGTHS_PER_LANE, np.uint8))
        n_jobs = len(arguments[1])
        for scratch in (symbols, words, distance_words):
            of_idle_lanes = scratch.reshape(-1, N_LANES)[:, n_jobs:]
            assert (of_idle_lanes == poisoned(1, scratch.dtype.type)).all(), "another lane's scratch memory was written"


@njit(nogil=True)
def run_warp(
    data, firsts, sizes, output, starts, capacities, stops, big_endian, results, literal_table, distance_table, made,
    staged, entries, words,
):  # type: ignore[no-untyped-def]  # fmt: skip
    for job in range(firsts.size):
        status, n_bytes, end = warp.inflate_warp(
            data, firsts[job], sizes[job], output, starts[job], capacities[job], stops[job], big_endian[job],
            literal_table, distance_table, made, staged, entries, words, np.uint32(0), np.uint32(1),
        )  # fmt: skip
        results[job, 0], results[job, 1], results[job, 2] = status, n_bytes, end


class WarpDecoder(WordDecoder):
    """A warp per stream; here a warp of one lane."""

    name = "warp"

    def run(self, *arguments: Any) -> None:
        sizes: list[tuple[int, type[np.generic]]] = [
            (warp_layout.LITERAL_ENTRIES, np.uint16),
            (warp_layout.DISTANCE_ENTRIES, np.uint16),
            (warp_layout.MADE_PER_WARP, np.uint16),
            (warp_layout.STAGED_WORDS, np.uint32),
            (warp_layout.ENTRIES_PER_WARP, np.uint16),
            (warp_layout.WORDS_PER_WARP, np.uint32),
        ]
        guarded = [poisoned(size + GUARD, dtype) for size, dtype in sizes]
        run_warp(*arguments, *(scratch[: -GUARD // 2][GUARD // 2 :] for scratch in guarded))
        for scratch in guarded:
            edges = scratch[np.r_[: GUARD // 2, -GUARD // 2 : 0]]
            assert (edges == poisoned(1, scratch.dtype.type)).all(), "written outside the scratch memory"


DECODERS: dict[str, Decoder] = {
    decoder.name: decoder
    for decoder in (ReferenceDecoder(), TableDecoder(), TableDecoder(verifies=True), LaneDecoder(), WarpDecoder())
}


# --- streams to copy in


def stream_of_copies(length: int, *, far: bool = True) -> ValidStream:
    """Matches of one length from many distances, each to every alignment.

    Decoders keep what came out last in rings (of 64 and 4,096 bytes), and copy by words.
    """
    near, ring_sizes = range(1, 140), (*range(240, 260), *range(2_030, 2_070, 3), *range(4_080, 4_110, 3))
    tokens: list[encoder.Token] = []
    for distance in (*near, *ring_sizes, 8_192, 10_000) if far else near:
        for literals in range(4):
            tokens += [*noise(literals, seed=distance), encoder.Match(length, distance)]
    blocks = [encoder.Stored(noise(10_000)), encoder.Fixed(tokens)]
    return ValidStream(f"copies of {length}", encoder.zlib_stream(blocks), encoder.expand(blocks))


# --- sections to stop in

ITEM_BYTES = {1: 12, 2: 8, 3: 4}
"""By section type."""


def section_of(kind: int, n_items: int, seed: int) -> Section:
    """Items with gaps, values of two digits: they compress like real ones."""
    draw = np.random.default_rng(seed)
    values = draw.normal(size=n_items).round(2)
    starts = 1_000 + np.cumsum(draw.integers(5, 12, size=n_items))
    if kind == 1:
        return bedgraph("chr1", starts, starts + draw.integers(0, 6, size=n_items), values)
    if kind == 2:
        return variable_step("chr1", starts, values, span=5)
    return fixed_step("chr1", 1_000, values, step=9, span=4)


# --- the oracle


def zlib_says(stream: bytes, *, wrapped: bool = True) -> bytes | None:
    """What zlib makes of a stream, whatever its checksum; None if it is damaged.

    Without `wrapped` neither the first two bytes count nor what follows the end.
    """
    raw = zlib.decompressobj(wbits=-15)
    try:
        output = raw.decompress(stream[2:])
        if not raw.eof:
            return None
        end = len(stream) - len(raw.unused_data)
        if not wrapped:
            return output
        if len(stream) < end + 4:
            return None
        return zlib.decompress(stream[:end] + zlib.adler32(output).to_bytes(4, "big"))
    except zlib.error:
        return None


STATUS_OF_MESSAGE = {
    "unknown compression method": BlockStatus.BAD_ZLIB_HEADER,
    "invalid window size": BlockStatus.BAD_ZLIB_HEADER,
    "incorrect header check": BlockStatus.BAD_ZLIB_HEADER,
    "Error 2": BlockStatus.BAD_ZLIB_HEADER,  # a preset dictionary
    "invalid block type": BlockStatus.RESERVED_SUB_BLOCK_TYPE,
    "invalid stored block lengths": BlockStatus.STORED_LENGTH_MISMATCH,
    "too many length or distance symbols": BlockStatus.TOO_MANY_CODES,
    "invalid code lengths set": BlockStatus.BAD_LENGTH_CODE,
    "invalid bit length repeat": BlockStatus.BAD_LENGTH_REPEAT,
    "invalid literal/lengths set": BlockStatus.BAD_LITERAL_CODE,
    "missing end-of-block": BlockStatus.BAD_LITERAL_CODE,
    "invalid distances set": BlockStatus.BAD_DISTANCE_CODE,
    "invalid literal/length code": BlockStatus.NO_SUCH_CODE,
    "invalid distance code": BlockStatus.NO_SUCH_CODE,
    "invalid distance too far back": BlockStatus.DISTANCE_BEFORE_START,
    "incomplete or truncated": BlockStatus.INPUT_EXHAUSTED,
    "incorrect data check": BlockStatus.CHECKSUM_MISMATCH,
    None: BlockStatus.OUTPUT_FULL,  # zlib has all the room it wants
}
"""zlib's message → our status."""


def can_see(decoder: Decoder, damaged: DamagedStream) -> bool:
    """Whether the damage is in what this decoder looks at."""
    status = STATUS_OF_MESSAGE[damaged.zlib_says]
    in_wrapper = damaged.in_checksum or status == BlockStatus.BAD_ZLIB_HEADER
    compares = decoder.verifies or status != BlockStatus.CHECKSUM_MISMATCH
    return compares and (decoder.sees_wrapper or not in_wrapper)
