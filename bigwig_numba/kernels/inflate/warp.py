"""Inflate with one warp per stream: the GPU's decoder for few blocks and for long ones. All lanes decode at once.

The picture: where the next symbol begins is known only when the one before it is decoded. But a decoder that starts at
the wrong bit is soon right: codes differ in length, so sooner or later one of its symbols ends where a true one ends,
and from there on both are the same. Half of all wrong starts are right again after 35 bits, 99 of 100 after 300. So
the stream is cut into parts, a lane for each, and a lane begins a run-up before its part::

    stream   |---------------|---------------|---------------|---------------|
    lane 0   [==============>:
    lane 1        - - - - - -[==============>:                    - - run-up, thrown away
    lane 2                        - - - - - -[==============>:    === kept
    lane 3                                        - - - - - -[==============>:

Whether that went well is known afterwards: a lane is right if it began to keep exactly where the lane before it, itself
right, went out of its part; lane 0 always is. The stretch ends behind the last right lane, and the next one begins
there. A guess that failed costs time, never a byte.

A lane does not know the bytes that others make, so what it keeps for each byte of its part is the byte, or how far back
that is of which it is a copy. When all are done, their bytes are counted, and from the first to the last the pointers
are followed, by all lanes together: what is older is bytes by then.

===============  =========  =======  ==========================================================================
array            shape      dtype    what
===============  =========  =======  ==========================================================================
data             (N / 4,)   uint32   compressed bytes, each stream from a word of its own
output           (W,)       uint32   a slot per stream, from a word of its own, of its capacity and 4 bytes more
literal_table    (1024,)    uint16   entry by the next 10 bits; LONG where the code is longer, or none
distance_table   (256,)     uint16   entry by the next 8 bits; NONE where the code is longer, or none
made             (4766,)    uint16   of each lane, the bytes of its part or pointers; then the bytes of the stretch;
                                     before, the code lengths of the sub-block, and scratch
staged           (304,)     uint32   the words of input of the stretch
entries          (320,)     uint16   entries in the order of their codes: literal/length [0, 288), distance [288, 320)
words            (32,)      uint32   per code length what to add for an index: literal/length, then distance
===============  =========  =======  ==========================================================================

All but the first two are in shared memory, one of each per warp: 14 KB, so that 16 warps are on a multiprocessor at a
time, four for each of its schedulers. What is in an entry stands in ``warp_layout``. The files of the decoder:
``warp_header`` and ``warp_codes`` (what the codes are), ``warp_symbols`` (the next symbol), ``warp_parts`` (a lane's
part), ``warp_output`` (bytes).

With one lane the same source is a plain decoder, which is how it is tested on a machine without a GPU.
"""

import numpy as np

from ..bits import add, band, bor, least, mul, shl, shr, sub, swap_bytes
from ..jit import njit
from ..sections import HEADER_BYTES
from ..statuses import (
    BAD_ZLIB_HEADER,
    DISTANCE_BEFORE_START,
    GOOD,
    INPUT_EXHAUSTED,
    NO_SUCH_CODE,
    OUTPUT_FULL,
    RESERVED_SUB_BLOCK_TYPE,
    STORED_LENGTH_MISMATCH,
)
from ..warps import shuffle, sync_warp, vote_any
from .warp_header import make_tables
from .warp_input import peek, stage
from .warp_layout import (
    FIRST_ROOM,
    HEADER_WORDS,
    LEAST_PART,
    MOST_PART,
    ROOM,
    RUN_UP,
    TYPICAL_BYTES,
)
from .warp_output import copy_stored, resolve, room_of, write_words
from .warp_parts import ENDED, FAILED, decode_part, right_lanes, sum_before

_U = np.uint32
_W = np.uint64


@njit(nogil=True, forceinline=True)
def _part_bits(n_bits, n_bytes, bits_left, n_lanes):
    """Bits of a lane's part: what makes some ``TYPICAL_BYTES`` bytes, if ``n_bits`` make ``n_bytes``.

    Then less, so that all stretches up to the end of the stream are equally long: a short last one would leave most
    lanes without work.
    """
    bits = least(_U(_U(n_bits * _U(TYPICAL_BYTES)) // _U(n_bytes + _U(1))), _U(MOST_PART))
    if bits < _U(LEAST_PART):
        bits = _U(LEAST_PART)
    if bits_left > _U(RUN_UP):
        in_parts = sub(bits_left, _U(RUN_UP))
        n_parts = mul(add(_U(sub(in_parts, _U(1)) // mul(bits, n_lanes)), _U(1)), n_lanes)
        bits = add(_U(sub(in_parts, _U(1)) // n_parts), _U(1))
    return bits


@njit(nogil=True, forceinline=True)
def _run_up(part_bits):
    """Bits of a lane's run-up: few where symbols are short, and a part makes much of few bits."""
    return least(_U(RUN_UP), shl(part_bits, _U(3)))


@njit(nogil=True, forceinline=True)
def _what_to_look_at(output, output_base, stop, big_endian):
    """What tells whether a section has passed ``stop``, from its header.

    1 or 2: the type of a section whose items carry their starts. Otherwise, for fixedStep, the number of bytes up to
    the end of the first item that starts there or later. 2**32 - 1: nothing.
    """
    kind, look_at = band(output[output_base + _W(5)], _U(0xFF)), _U(0xFFFFFFFF)
    if kind == _U(1) or kind == _U(2):
        look_at = kind
    elif kind == _U(3):
        start, step = output[output_base + _W(1)], output[output_base + _W(3)]
        if big_endian:
            start, step = swap_bytes(start), swap_bytes(step)
        if stop <= start:
            look_at = _U(HEADER_BYTES + 4)
        elif step != _U(0):
            item = add(_U(_U(sub(sub(stop, start), _U(1))) // step), _U(1))
            if item < _U(1 << 20):  # a section has fewer
                look_at = add(_U(HEADER_BYTES + 4), shl(item, _U(2)))
    return look_at


@njit(nogil=True, forceinline=True)
def _has_passed(output, output_base, position, stop, big_endian):
    """Whether the last whole item so far starts at or after ``stop``, as ``sections.has_passed``."""
    passed = False
    if position >= _U(HEADER_BYTES):
        look_at = _what_to_look_at(output, output_base, stop, big_endian)
        passed = position >= look_at
        if look_at < _U(HEADER_BYTES):
            item = shl(sub(_U(4), look_at), _U(2))
            last = add(_U(HEADER_BYTES), _U(_U(_U(sub(position, _U(HEADER_BYTES)) // item) - _U(1)) * item))
            start = output[output_base + _W(shr(last, _U(2)))]
            if big_endian:
                start = swap_bytes(start)
            passed = position >= add(_U(HEADER_BYTES), item) and start >= stop
    return passed


@njit(nogil=True, forceinline=True)
def _decode_stretch(
    data, base, last_word, bit, bits_left, part, made, staged, literal_table, distance_table, literal_code,
    distance_code, entries, words, lane, n_lanes,
):  # fmt: skip
    """Decode the stretch from ``bit`` on, in parts of ``part`` bits, to ``made``.

    Returns the number of right lanes, the bit behind the last one and how that ended, this lane's number of bytes, the
    place of its first one in the stretch, and the number of bytes of all.
    """
    here, run_up = band(bit, _U(31)), _run_up(part)
    # The words of the stretch, and three more: a symbol may begin at its last bit.
    n_words = add(shr(add(run_up, mul(part, n_lanes)), _U(5)), _U(4))
    stage(data, base, last_word, staged, shr(bit, _U(5)), n_words, lane, n_lanes)
    start, room = add(here, mul(part, lane)), room_of(lane)
    begin, end = add(start, run_up), add(room, _U(ROOM))
    if lane == _U(0):
        begin, end = start, _U(FIRST_ROOM)
    limit = least(add(add(start, run_up), part), add(here, bits_left))
    has_part = begin < limit
    if not has_part:
        start = limit
    entry_bit, exit_bit, n_made, outcome = decode_part(
        staged, start, begin, limit, room, end, made, literal_table, distance_table, literal_code, distance_code,
        entries, words,
    )  # fmt: skip
    n_parts = right_lanes(entry_bit, exit_bit, outcome, has_part, lane, n_lanes)
    if lane >= n_parts:
        n_made = _U(0)
    first, total = sum_before(n_made, lane, n_lanes)
    last = sub(n_parts, _U(1))
    return n_parts, add(bit, sub(shuffle(exit_bit, last), here)), shuffle(outcome, last), n_made, first, total


@njit(nogil=True)
def inflate_warp(
    data, base, size, output, output_base, capacity, stop, big_endian, literal_table, distance_table, made, staged,
    entries, words, lane, n_lanes,
):  # fmt: skip
    """Inflate the zlib stream of ``size`` bytes from word ``base`` of ``data`` to word ``output_base`` of ``output``.

    All lanes of a warp call it with the same stream. Returns, the same on all lanes, the status, the number of bytes
    that came out, and that of the stream before its checksum: 0 where decoding did not get there, because of damage or
    because it stopped early, at an item from ``stop`` on (2**32 - 1: never).
    """
    last_word = shr(add(size, _U(3)), _U(2))  # one beyond the stream: its slot is longer
    last_bit = shl(size, _U(3))
    status, position, bit = GOOD, _U(0), _U(16)
    header = data[base]
    check = bor(shl(band(header, _U(0xFF)), _U(8)), band(shr(header, _U(8)), _U(0xFF)))
    if band(header, _U(0x208F)) != _U(0x8) or _U(check % _U(31)) != _U(0):
        status = BAD_ZLIB_HEADER
    n_bits, n_bytes = last_bit, capacity  # how many bits make how many bytes, as far as is known
    final, stopped = False, False
    while not final and status == GOOD and not stopped:
        stage(data, base, last_word, staged, shr(bit, _U(5)), _U(HEADER_WORDS), lane, n_lanes)
        here = band(bit, _U(31))
        origin = sub(bit, here)
        bits = peek(staged, here)
        final = band(bits, _U(1)) != _U(0)
        kind = band(shr(bits, _U(1)), _U(3))
        here = add(here, _U(3))
        decoding = False
        if add(origin, here) > last_bit:
            status = INPUT_EXHAUSTED
        elif kind == _U(3):
            status = RESERVED_SUB_BLOCK_TYPE
        elif kind == _U(0):
            here = band(add(here, _U(7)), _U(0xFFFFFFF8))
            bits = peek(staged, here)
            bit = add(add(origin, here), _U(32))
            many = band(bits, _U(0xFFFF))
            if band(add(many, shr(bits, _U(16))), _U(0xFFFF)) != _U(0xFFFF):
                status = STORED_LENGTH_MISMATCH
            elif add(position, many) > capacity:
                status = OUTPUT_FULL
            elif add(bit, shl(many, _U(3))) > last_bit:
                status = INPUT_EXHAUSTED
            else:
                copy_stored(data, base, shr(bit, _U(3)), many, output, output_base, position, lane, n_lanes)
                position, bit = add(position, many), add(bit, shl(many, _U(3)))
        else:
            status, here, literal_code, distance_code = make_tables(
                kind == _U(2), staged, here, literal_table, distance_table, entries, words, made, lane, n_lanes
            )
            decoding, bit = status == GOOD, add(origin, here)
            while decoding:
                bits_left = sub(last_bit, bit)
                part = _part_bits(n_bits, n_bytes, bits_left, n_lanes)
                n_parts, end, outcome, n_made, first, total = _decode_stretch(
                    data, base, last_word, bit, bits_left, part, made, staged, literal_table, distance_table,
                    literal_code, distance_code, entries, words, lane, n_lanes,
                )  # fmt: skip
                n_bits, n_bytes, bit = add(sub(end, bit), _U(1)), total, end
                if outcome == ENDED:
                    decoding = False
                elif outcome == FAILED:
                    status = NO_SUCH_CODE
                if bit > last_bit or (decoding and bit == last_bit):
                    status = INPUT_EXHAUSTED
                if add(position, total) > capacity:
                    status = OUTPUT_FULL
                if status == GOOD:
                    sync_warp()
                    is_good = resolve(output, output_base, made, position, n_parts, n_made, first, lane, n_lanes)
                    if vote_any(not is_good):
                        status = DISTANCE_BEFORE_START
                    write_words(output, output_base, made, position, total, lane, n_lanes)
                    position = add(position, total)
                    if decoding and stop != _U(0xFFFFFFFF):  # noqa: SIM102
                        if _has_passed(output, output_base, position, stop, big_endian):
                            stopped = True
                decoding = decoding and status == GOOD and not stopped
    end = _U(0)
    if status == GOOD and not stopped:
        end = shr(add(bit, _U(7)), _U(3))
        if add(end, _U(4)) > size:
            status, end = INPUT_EXHAUSTED, _U(0)
    return status, position, end
