"""Named zlib streams for decoders: good ones at the format's edges, and damaged ones with the reason for each.

zlib judges both lists in `test_deflate_streams.py`: its output for the good ones, its message for the damaged ones.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from tests.deflate_encoder import (
    DISTANCE_BASES,
    FIXED_DISTANCE_LENGTHS,
    LENGTH_BASES,
    CodeLengthRun,
    Dynamic,
    Fixed,
    Match,
    Reserved,
    Stored,
    SubBlock,
    Symbols,
    deflate_stream,
    expand,
    runs_of_lengths,
    zlib_header,
    zlib_stream,
    zlib_wrap,
)


@dataclass(frozen=True)
class ValidStream:
    name: str
    stream: bytes
    """With the zlib wrapper."""
    output: bytes

    @property
    def raw(self) -> bytes:
        """Without the wrapper: no header, no checksum."""
        return self.stream[2:-4]


@dataclass(frozen=True)
class DamagedStream:
    name: str
    stream: bytes
    reason: str
    zlib_says: str | None
    """A part of zlib's message; None where zlib cannot object."""
    capacity: int = 1 << 16
    """Bytes that the reader has for the output."""
    in_checksum: bool = False
    """Only who computes or looks for the Adler-32 checksum can see it."""


def noise(n: int, *, n_symbols: int = 256, seed: int = 0) -> bytes:
    """(n,) random bytes below `n_symbols`."""
    draw = random.Random(seed).randbytes(n)
    return draw if n_symbols == 256 else bytes(byte % n_symbols for byte in draw)


def lengths(n: int, **by_symbol: int) -> list[int]:
    """(n,) code lengths, `s65=2` for symbol 65, 0 for the others."""
    return [by_symbol.get(f"s{symbol}", 0) for symbol in range(n)]


# --- good streams

SKEWED = [*range(1, 15), 15, 15]
"""Code lengths of 16 symbols that use every length up to 15."""


def skewed_literals() -> list[int]:
    """The sixteen symbols 65 to 78, 256 and 257 (a match of 3 bytes) with lengths 1 to 15, 15."""
    table = [0] * 258
    for symbol, length in zip([*range(65, 79), 257, 256], SKEWED, strict=True):
        table[symbol] = length
    return table


def valid_sub_blocks() -> dict[str, Sequence[SubBlock]]:
    """The sub-blocks of every good stream that is built here."""
    return {**framing_streams(), **fixed_streams(), **dynamic_streams()}


def framing_streams() -> dict[str, Sequence[SubBlock]]:
    """How sub-blocks follow each other."""
    in_turn: list[list[SubBlock]] = [
        [
            Dynamic([*noise(n + 1, seed=n), Match(3 + n, 1)]),
            Stored(noise(n, seed=-n)),
            Fixed([*noise(n, seed=n), Match(258 - n, 1 + n)]),
        ]
        for n in range(40)
    ]
    offsets: list[list[SubBlock]] = [[Fixed([200] * n), Stored(noise(n, seed=n))] for n in range(1, 9)]
    between: list[SubBlock] = [Fixed([]), Fixed([*b"ab"]), Stored(b""), Dynamic([]), Fixed([Match(4, 2)]), Stored(b"")]
    return {
        "empty stored": [Stored(b"")],
        "empty fixed": [Fixed([])],
        "empty dynamic: a one-symbol literal code, no distance code": [Dynamic([])],
        "empty sub-blocks between others": between,
        "stored of 65,535 bytes": [Stored(noise(65_535))],
        "stored after every bit offset": list(chain(*offsets)),
        "many sub-blocks of every kind in turn": list(chain(*in_turn)),
    }


def fixed_streams() -> dict[str, Sequence[SubBlock]]:
    """The fixed code, and copies from near and far."""
    distances = [*DISTANCE_BASES, *(base - 1 for base in DISTANCE_BASES[1:]), 32_768]
    overlaps = [Match(length, distance) for distance in range(1, 10) for length in (3, 10, 64, 258)]
    length_258 = Symbols((("literal", 284), (31, 5), ("distance", 0)))
    return {
        "fixed: every literal": [Fixed(list(range(256)))],
        "fixed: every length": [Fixed([7, *(Match(length, 1) for length in range(3, 259))])],
        "fixed: the ends of every distance code's range": [
            Stored(noise(32_768, seed=1)),
            Fixed([Match(3, distance) for distance in distances]),
        ],
        "fixed: length 258 as symbol 284 with all extra bits": [Fixed([97, length_258])],
        "fixed: copies that overlap themselves": [Fixed([*b"abcdefghi", *overlaps])],
        "distance 32,768 across sub-blocks": [
            Stored(noise(32_768, seed=1)),
            Dynamic([Match(258, 32_768), 1, Match(3, 32_768)]),
            Fixed([Match(258, 32_768)]),
        ],
    }


def dynamic_streams() -> dict[str, Sequence[SubBlock]]:
    """Codes at the edges of what a sub-block may describe."""
    every_pair = [Match(length, distance) for length in LENGTH_BASES for distance in DISTANCE_BASES]
    all_codes = Dynamic(
        [*range(256), *every_pair], literal_lengths=[8] * 226 + [9] * 60, distance_lengths=[5] * 28 + [4] * 2
    )
    longest_codes = Dynamic(
        [*range(65, 79), *(Match(3, base) for base in DISTANCE_BASES[:16])],
        literal_lengths=skewed_literals(),
        distance_lengths=SKEWED,
    )
    ending_in_two = lengths(260, s65=2, s256=2, s257=2, s259=2)
    repeat_into_distances = Dynamic(
        [65, Match(3, 1)],
        literal_lengths=ending_in_two,
        distance_lengths=[2, 2, 2, 2],
        runs=[*runs_of_lengths(ending_in_two[:259]), CodeLengthRun(2), CodeLengthRun(16, 4)],
    )
    seven_bits = Dynamic(
        [*range(65, 79)],
        literal_lengths=skewed_literals(),
        distance_lengths=[0],
        code_length_lengths=[2, *[6] * 13, 7, 7, 6, 6, 1],
    )
    return {
        "dynamic: a run, distance 1 and length 258 many times": [Dynamic([0, *[Match(258, 1)] * 100])],
        "dynamic: code lengths up to 15 for literals and distances": [Stored(noise(200)), longest_codes],
        "dynamic: one-symbol distance code": [Dynamic([*b"abc", Match(5, 1), 100, Match(258, 1)])],
        "dynamic: one-symbol distance code, not the first": [Dynamic([*b"abcde", Match(5, 5), Match(9, 6)])],
        "dynamic: all 286 literals and lengths, all 30 distances": [Stored(noise(32_768, seed=1)), all_codes],
        "dynamic: a repeat from the literal lengths into the distance lengths": [repeat_into_distances],
        "dynamic: repeats of every kind": [
            Dynamic([*noise(500, n_symbols=40, seed=3), *range(200, 256), Match(100, 17)]),
            Dynamic([*b"a", *[Match(3, 1)] * 4]),
        ],
        "dynamic: code length code of 7 bits": [seven_bits],
    }


def compressor_streams() -> Iterator[tuple[str, bytes, bytes]]:
    """Name, stream and output of what zlib itself writes."""
    plain = noise(5_000, n_symbols=5, seed=7) + bytes(3_000) + noise(5_000, seed=8) + bytes(range(256)) * 20
    for level in range(10):
        yield f"zlib level {level}", zlib.compress(plain, level), plain
    strategies = {"filtered": zlib.Z_FILTERED, "huffman only": zlib.Z_HUFFMAN_ONLY, "rle": zlib.Z_RLE}
    for name, strategy in {**strategies, "fixed": zlib.Z_FIXED}.items():
        stream = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS, 9, strategy)
        yield f"zlib {name}", stream.compress(plain) + stream.flush(), plain
    for flush in (zlib.Z_PARTIAL_FLUSH, zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_BLOCK):
        stream = zlib.compressobj(9)
        pieces = [stream.compress(plain[i : i + 1_000]) + stream.flush(flush) for i in range(0, len(plain), 1_000)]
        yield f"zlib flush {int(flush)}", b"".join(pieces) + stream.flush(), plain
    for window_bits in range(9, 16):
        stream = zlib.compressobj(6, zlib.DEFLATED, window_bits)
        yield f"zlib window of 2^{window_bits}", stream.compress(plain) + stream.flush(), plain


def valid_streams() -> list[ValidStream]:
    """Every good stream, zlib-wrapped."""
    outputs = [(name, blocks, expand_all(blocks)) for name, blocks in valid_sub_blocks().items()]
    built = [ValidStream(name, zlib_wrap(deflate_stream(blocks), output), output) for name, blocks, output in outputs]
    built += [ValidStream(*stream) for stream in compressor_streams()]
    hello = [Fixed([*b"hello"])]
    for level in range(4):
        header = zlib_header(level=level)
        built.append(ValidStream(f"header level {level}", zlib_stream(hello, header=header), b"hello"))
    return built


def expand_all(blocks: Sequence[SubBlock]) -> bytes:
    """What the sub-blocks stand for; the one stream of raw symbols is 259 times the letter a."""
    as_matches = [
        replace(block, tokens=[Match(258, 1) if isinstance(token, Symbols) else token for token in block.tokens])
        if isinstance(block, Fixed)
        else block
        for block in blocks
    ]
    return expand(as_matches)


# --- damaged streams


Damage = dict[str, tuple[str, Sequence[SubBlock]]]
"""Name → what zlib says, and the sub-blocks."""


def two_symbols(*tokens: int, distance_lengths: Sequence[int] = (0,), **rest: Any) -> Dynamic:
    """A sub-block of the symbols A and end-of-block, a bit each, unless `rest` says otherwise."""
    fields = {"literal_lengths": lengths(257, s65=1, s256=1), "distance_lengths": distance_lengths, **rest}
    return Dynamic(tokens or [65], **fields)


def damaged_code_sets() -> Damage:
    """Code lengths that make no code."""

    def literal(*tokens: int, **by_symbol: int) -> list[SubBlock]:
        return [two_symbols(*tokens, literal_lengths=lengths(257, **by_symbol))]

    def distance(*distance_lengths: int) -> list[SubBlock]:
        return [two_symbols(distance_lengths=distance_lengths)]

    def code_length(**by_symbol: int) -> list[SubBlock]:
        return [two_symbols(code_length_lengths=lengths(19, **by_symbol))]

    def many_literals(n: int) -> list[SubBlock]:
        return [two_symbols(literal_lengths=[8] * (512 - n) + [9] * (2 * n - 512))]

    literals, distances, code_lengths = (
        "invalid literal/lengths set",
        "invalid distances set",
        "invalid code lengths set",
    )
    too_many = "too many length or distance symbols"
    one_too_many = [two_symbols(literal_lengths=[15, *skewed_literals()[1:]])]
    return {
        "over-subscribed literal code": (literals, literal(s65=1, s66=1, s256=1)),
        "literal code over-subscribed by one of 15 bits": (literals, one_too_many),
        "incomplete literal code": (literals, literal(s65=2, s66=2, s256=2)),
        "one-symbol literal code of two bits": (literals, literal(256, s256=2)),
        "no end-of-block code": ("missing end-of-block", [two_symbols(literal_lengths=lengths(257, s65=1), end=False)]),
        "over-subscribed distance code": (distances, distance(1, 1, 1)),
        "incomplete distance code": (distances, distance(2, 2, 2)),
        "one-symbol distance code of two bits": (distances, distance(2)),
        "over-subscribed code length code": (code_lengths, code_length(s0=1, s1=1, s17=1, s18=1)),
        "incomplete code length code": (code_lengths, code_length(s0=3, s1=3, s17=3, s18=3)),
        "287 literal and length codes": (too_many, many_literals(287)),
        "288 literal and length codes": (too_many, many_literals(288)),
        "31 distance codes": (too_many, distance(*[5] * 30, 4)),
        "32 distance codes": (too_many, distance(*FIXED_DISTANCE_LENGTHS)),
    }


def damaged_repeats() -> Damage:
    """Repeats of code lengths from nowhere, or into nowhere."""
    two = lengths(257, s65=1, s256=1)
    from_nowhere = two_symbols(runs=[CodeLengthRun(16, 3), *runs_of_lengths([*two[3:], 0])])
    message = "invalid bit length repeat"
    damage: Damage = {"repeat of the last length where there is none": (message, [from_nowhere])}
    for symbol, times in ((16, 3), (17, 3), (18, 11), (18, 138)):
        into_nowhere = two_symbols(runs=[*runs_of_lengths(two), CodeLengthRun(symbol, times)])
        damage[f"repeat by symbol {symbol} past the end, {times} times"] = message, [into_nowhere]
    return damage


def damaged_symbols() -> Damage:
    """Symbols that mean nothing, and copies from before the start."""
    far, literal, distance = "invalid distance too far back", "invalid literal/length code", "invalid distance code"

    def copy(symbol: int, distance_symbol: int) -> list[SubBlock]:
        return [Fixed([65, Symbols((("literal", symbol), ("distance", distance_symbol)))])]

    def length_then_bit(bit: int, distance_lengths: list[int]) -> list[SubBlock]:
        return [Dynamic([65, Symbols((("literal", 257), (bit, 1)))], distance_lengths=distance_lengths)]

    missing_literal = [Dynamic([Symbols(((1, 1),))], distance_lengths=[0], end=False)]
    return {
        "fixed code 286": (literal, copy(286, 0)),
        "fixed code 287": (literal, copy(287, 0)),
        "fixed distance code 30": (distance, copy(257, 30)),
        "fixed distance code 31": (distance, copy(257, 31)),
        "a copy where there is no distance code": (distance, length_then_bit(0, [0])),
        "the missing half of a one-symbol distance code": (distance, length_then_bit(1, [1])),
        "the missing half of a one-symbol literal code": (literal, missing_literal),
        "a copy as the first thing": (far, [Fixed([Match(3, 1)])]),
        "distance one byte before the start": (far, [Fixed([*b"ab", Match(3, 3)])]),
        "distance before the start, in a later sub-block": (far, [Stored(b"abc"), Dynamic([100, Match(3, 5)])]),
        "distance 32,768 after 32,767 bytes": (far, [Stored(bytes(32_767)), Fixed([Match(3, 32_768)])]),
    }


def damaged_framing() -> Damage:
    """Sub-blocks of no type, stored lengths that contradict themselves."""
    kind, stored = "invalid block type", "invalid stored block lengths"
    return {
        "reserved sub-block type 3": (kind, [Reserved()]),
        "reserved sub-block type 3 after a good one": (kind, [Stored(b"good"), Reserved()]),
        "stored length and its complement differ": (stored, [Stored(b"abc", complement=3)]),
        "stored length and its complement differ by a bit": (stored, [Stored(b"abc", complement=3 ^ 0x7FFF)]),
    }


def damaged_sub_blocks() -> Damage:
    """All damage inside the raw stream; damaged codes also where a good sub-block comes first."""
    codes = {**damaged_code_sets(), **damaged_repeats()}
    later = {
        f"{name}, in a second sub-block": (message, [Fixed([*b"first"]), *blocks])
        for name, (message, blocks) in codes.items()
    }
    return {**codes, **later, **damaged_symbols(), **damaged_framing()}


def truncated_streams() -> Iterator[DamagedStream]:
    """Streams that end too early, in every part of a stream."""
    dynamic = zlib.compress(noise(3_000, n_symbols=9, seed=5), 9)
    cuts = {"nothing at all": 0, "half a zlib header": 1, "the zlib header only": 2, "the first byte only": 3}
    cuts |= {"in the code lengths": 12, "half of it": len(dynamic) // 2, "a byte before the checksum": len(dynamic) - 5}
    for name, size in cuts.items():
        yield DamagedStream(f"truncated: {name}", dynamic[:size], "the input ends early", "incomplete or truncated")
    stored = zlib_stream([Stored(b"abcdef")])
    for name, size in {"after the type": 3, "in the length": 4, "in the complement": 6, "in the bytes": 10}.items():
        stream = stored[:size]
        yield DamagedStream(f"truncated stored: {name}", stream, "the input ends early", "incomplete or truncated")
    for name, block in (
        ("no end-of-block symbol", Fixed([*b"abcdefgh"], end=False)),
        ("in a length's extra bits", Fixed([65, 200, Symbols((("literal", 284),))], end=False)),
        ("before the distance", Fixed([65, 66, 200, Symbols((("literal", 285),))], end=False)),
        ("in a distance's extra bits", Fixed([65, Symbols((("literal", 257), ("distance", 29)))], end=False)),
    ):
        stream = zlib_header() + deflate_stream([block])
        yield DamagedStream(f"truncated: {name}", stream, "the input ends early", "incomplete or truncated")
    endless = zlib_header() + deflate_stream([Stored(b"abc"), Fixed([*b"def"])], final=False)
    yield DamagedStream("no final sub-block", endless, "the last sub-block is not final", "incomplete or truncated")


def wrapper_damage() -> Iterator[DamagedStream]:
    """Damage in the zlib header and the checksum."""
    hello: list[SubBlock] = [Fixed([*b"hello"])]
    for name, header, message in (
        ("compression method 7", zlib_header(method=7), "unknown compression method"),
        ("compression method 0", zlib_header(method=0), "unknown compression method"),
        ("a window of 64 KB", zlib_header(window=8), "invalid window size"),
        ("header check wrong", zlib_header(check=0), "incorrect header check"),
        ("preset dictionary", zlib_header(dictionary=1), "Error 2"),
        ("a gzip header", b"\x1f\x8b", "incorrect header check"),
    ):
        yield DamagedStream(name, zlib_stream(hello, header=header), "the zlib header", message)
    raw = deflate_stream(hello)
    yield DamagedStream("no zlib header", raw, "the zlib header", "incorrect header check")
    wrong = zlib_wrap(raw, b"hello", adler=zlib.adler32(b"hellp"))
    yield DamagedStream("wrong checksum", wrong, "the checksum", "incorrect data check", in_checksum=True)
    for missing in (1, 4):
        cut = zlib_wrap(raw, b"hello")[:-missing]
        name = f"{missing} bytes of the checksum missing"
        yield DamagedStream(name, cut, "the checksum", "incomplete or truncated", in_checksum=True)


def too_long_streams() -> Iterator[DamagedStream]:
    """Good streams, but with more output than the reader has room for; only the reader can know."""
    for name, block in (
        ("by a literal", Fixed([*noise(101)])),
        ("by the end of a copy", Fixed([*b"a", Match(100, 1)])),
        ("by a copy of 258", Dynamic([*noise(100), Match(258, 50)])),
        ("by stored bytes", Stored(noise(101))),
        ("by far", Stored(noise(65_535))),
    ):
        stream = zlib_stream([block])
        yield DamagedStream(f"output longer than capacity {name}", stream, "the output's room", None, capacity=100)


def damaged_streams() -> list[DamagedStream]:
    """Every damaged stream."""
    damaged = [
        DamagedStream(name, zlib_header() + deflate_stream(blocks) + bytes(4), name, message)
        for name, (message, blocks) in damaged_sub_blocks().items()
    ]
    return [*damaged, *truncated_streams(), *wrapper_damage(), *too_long_streams()]


VALID_STREAMS = valid_streams()
DAMAGED_STREAMS = damaged_streams()
