"""Writes DEFLATE streams bit by bit (RFC 1951, in the zlib wrapper of RFC 1950): what no compressor writes, and damage.

A stream is a list of sub-blocks, each a list of tokens: a literal byte, or a :class:`Match`::

    zlib_stream([Fixed([*b"abc", Match(length=3, distance=3)]), Stored(b"tail")])
"""

from __future__ import annotations

import functools
import heapq
import itertools
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

END_OF_BLOCK = 256
LENGTH_BASES = (*range(3, 11), 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258)
LENGTH_EXTRA_BITS = (0,) * 8 + (1,) * 4 + (2,) * 4 + (3,) * 4 + (4,) * 4 + (5,) * 4 + (0,)
DISTANCE_BASES = (1, 2, *(base for power in range(1, 15) for base in (2**power + 1, 3 * 2 ** (power - 1) + 1)))
DISTANCE_EXTRA_BITS = tuple(max(0, symbol // 2 - 1) for symbol in range(30))
CODE_LENGTH_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
FIXED_LITERAL_LENGTHS = (8,) * 144 + (9,) * 112 + (7,) * 24 + (8,) * 8
FIXED_DISTANCE_LENGTHS = (5,) * 32
ZLIB_HEADER = b"\x78\x9c"


@dataclass(frozen=True)
class Match:
    """Copy `length` bytes (3 to 258) from `distance` bytes back (1 to 32,768)."""

    length: int
    distance: int


@dataclass(frozen=True)
class Symbols:
    """Bits of a sub-block as they are, for what no encoder means: pairs of (table, symbol), or (value, bit count)."""

    fields: tuple[tuple[str, int] | tuple[int, int], ...]


Token = int | Match | Symbols


@dataclass(frozen=True)
class Stored:
    data: bytes
    length: int | None = None
    """What the length field says, if not the truth."""
    complement: int | None = None


@dataclass(frozen=True)
class Fixed:
    tokens: Sequence[Token]
    end: bool = True
    """Whether an end-of-block symbol follows the tokens."""


@dataclass(frozen=True)
class CodeLengthRun:
    """A symbol of the code length alphabet: 0 to 15 a length; 16 repeats the last one, 17 and 18 repeat 0."""

    symbol: int
    repeat: int = 1


@dataclass(frozen=True)
class Dynamic:
    """A sub-block with codes of its own; what is not given is made from the tokens' frequencies."""

    tokens: Sequence[Token]
    literal_lengths: Sequence[int] | None = None
    distance_lengths: Sequence[int] | None = None
    runs: Sequence[CodeLengthRun] | None = None
    code_length_lengths: Sequence[int] | None = None
    """By symbol of the code length alphabet (19 of them), at most 7."""
    end: bool = True


@dataclass(frozen=True)
class Reserved:
    """A sub-block of type 3, which means nothing."""


SubBlock = Stored | Fixed | Dynamic | Reserved


@functools.cache
def reversed_code(code: int, bits: int) -> int:
    return int(format(code, f"0{bits}b")[::-1], 2)


class BitWriter:
    """Packs fields into bytes, the first bit into the lowest place."""

    def __init__(self) -> None:
        self.done = bytearray()
        self.pending = 0
        self.pending_bits = 0

    def write(self, value: int, bits: int) -> None:
        self.pending |= value << self.pending_bits
        self.pending_bits += bits
        while self.pending_bits >= 8:
            self.done.append(self.pending & 0xFF)
            self.pending >>= 8
            self.pending_bits -= 8

    def write_code(self, code: int, bits: int) -> None:
        """A Huffman code goes in from its highest bit."""
        self.write(reversed_code(code, bits), bits)

    def align(self) -> None:
        if self.pending_bits:
            self.write(0, 8 - self.pending_bits)

    def to_bytes(self) -> bytes:
        self.align()
        return bytes(self.done)


# --- Huffman codes


def codes_from_lengths(lengths: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Symbol → (code, bits), numbered as RFC 1951 3.2.2 says; damaged lengths give damaged codes that still fit."""
    counts = Counter(length for length in lengths if length)
    code, first_codes = 0, {}
    for bits in range(1, 16):
        code = (code + counts[bits - 1]) << 1
        first_codes[bits] = code
    codes = {}
    for symbol, bits in enumerate(lengths):
        if bits:
            codes[symbol] = (first_codes[bits] & ((1 << bits) - 1), bits)
            first_codes[bits] += 1
    return codes


def lengths_from_frequencies(frequencies: Counter[int], n_symbols: int, *, limit: int) -> list[int]:
    """Huffman's code lengths, none over `limit`: frequencies are flattened until that holds."""
    lengths = [0] * n_symbols
    if len(frequencies) == 1:
        lengths[next(iter(frequencies))] = 1
        return lengths
    heap: list[tuple[int, int, tuple[int, ...]]] = [(count, symbol, (symbol,)) for symbol, count in frequencies.items()]
    heapq.heapify(heap)
    while len(heap) > 1:
        first, second = heapq.heappop(heap), heapq.heappop(heap)
        together = first[2] + second[2]
        for symbol in together:
            lengths[symbol] += 1
        heapq.heappush(heap, (first[0] + second[0], min(together), together))
    if max(lengths) > limit:
        flatter = Counter({symbol: count // 2 + 1 for symbol, count in frequencies.items()})
        return lengths_from_frequencies(flatter, n_symbols, limit=limit)
    return lengths


def length_symbol(length: int) -> tuple[int, int, int]:
    """Symbol, extra value, extra bits of a match length."""
    row = max(i for i, base in enumerate(LENGTH_BASES) if base <= length)
    return 257 + row, length - LENGTH_BASES[row], LENGTH_EXTRA_BITS[row]


def distance_symbol(distance: int) -> tuple[int, int, int]:
    row = max(i for i, base in enumerate(DISTANCE_BASES) if base <= distance)
    return row, distance - DISTANCE_BASES[row], DISTANCE_EXTRA_BITS[row]


# --- sub-blocks


def write_tokens(
    writer: BitWriter,
    tokens: Iterable[Token],
    *,
    literal_lengths: Sequence[int],
    distance_lengths: Sequence[int],
    end: bool,
) -> None:
    codes = {"literal": codes_from_lengths(literal_lengths), "distance": codes_from_lengths(distance_lengths)}
    for token in itertools.chain(tokens, [END_OF_BLOCK] if end else []):
        if isinstance(token, int):
            writer.write_code(*codes["literal"][token])
        elif isinstance(token, Match):
            symbol, extra, bits = length_symbol(token.length)
            writer.write_code(*codes["literal"][symbol])
            writer.write(extra, bits)
            symbol, extra, bits = distance_symbol(token.distance)
            writer.write_code(*codes["distance"][symbol])
            writer.write(extra, bits)
        else:
            for table_or_value, symbol_or_bits in token.fields:
                if isinstance(table_or_value, str):
                    writer.write_code(*codes[table_or_value][symbol_or_bits])
                else:
                    writer.write(table_or_value, symbol_or_bits)


def token_frequencies(tokens: Iterable[Token]) -> tuple[Counter[int], Counter[int]]:
    literals, distances = Counter([END_OF_BLOCK]), Counter[int]()
    for token in tokens:
        if isinstance(token, int):
            literals[token] += 1
        elif isinstance(token, Match):
            literals[length_symbol(token.length)[0]] += 1
            distances[distance_symbol(token.distance)[0]] += 1
        else:
            for table, symbol in token.fields:
                if table == "literal":
                    literals[symbol] += 1
                elif table == "distance":
                    distances[symbol] += 1
    return literals, distances


def runs_of_lengths(lengths: Sequence[int]) -> list[CodeLengthRun]:
    """The lengths as runs, as long as the format allows."""
    runs = []
    for length, group in itertools.groupby(lengths):
        left = len(list(group))
        if length:
            runs.append(CodeLengthRun(length))
            left -= 1
        while left:
            if length == 0 and left >= 11:
                run = CodeLengthRun(18, min(left, 138))
            elif length == 0 and left >= 3:
                run = CodeLengthRun(17, left)
            elif length and left >= 3:
                run = CodeLengthRun(16, min(left, 6))
            else:
                run = CodeLengthRun(length)
            runs.append(run)
            left -= run.repeat
    return runs


def write_dynamic(writer: BitWriter, block: Dynamic) -> None:
    literals, distances = token_frequencies(block.tokens)
    literal_lengths = block.literal_lengths or trim(lengths_from_frequencies(literals, 286, limit=15), 257)
    distance_lengths = block.distance_lengths or trim(
        lengths_from_frequencies(distances, 30, limit=15) if distances else [0], 1
    )
    runs = block.runs or runs_of_lengths([*literal_lengths, *distance_lengths])
    code_length_lengths = block.code_length_lengths or lengths_from_frequencies(
        with_two_symbols(Counter(run.symbol for run in runs)), 19, limit=7
    )
    in_order = trim([code_length_lengths[symbol] for symbol in CODE_LENGTH_ORDER], 4)
    writer.write(len(literal_lengths) - 257, 5)
    writer.write(len(distance_lengths) - 1, 5)
    writer.write(len(in_order) - 4, 4)
    for length in in_order:
        writer.write(length, 3)
    codes = codes_from_lengths(code_length_lengths)
    for run in runs:
        writer.write_code(*codes[run.symbol])
        if run.symbol >= 16:
            least, bits = {16: (3, 2), 17: (3, 3), 18: (11, 7)}[run.symbol]
            writer.write(run.repeat - least, bits)
    write_tokens(
        writer, block.tokens, literal_lengths=literal_lengths, distance_lengths=distance_lengths, end=block.end
    )


def trim(lengths: Sequence[int], at_least: int) -> list[int]:
    """Without the zeros at the end, which need not be sent."""
    used = max((i + 1 for i, length in enumerate(lengths) if length), default=0)
    return list(lengths[: max(used, at_least)])


def with_two_symbols(frequencies: Counter[int]) -> Counter[int]:
    """The code length code must be complete, so it needs two symbols even where one is used."""
    return frequencies if len(frequencies) > 1 else frequencies | Counter([0, 1])


def deflate_stream(blocks: Sequence[SubBlock], *, final: bool = True) -> bytes:
    """The raw stream; the last sub-block has the final bit unless `final` is False."""
    writer = BitWriter()
    for row, block in enumerate(blocks):
        writer.write(int(final and row == len(blocks) - 1), 1)
        writer.write({Stored: 0, Fixed: 1, Dynamic: 2, Reserved: 3}[type(block)], 2)
        if isinstance(block, Stored):
            writer.align()
            length = len(block.data) if block.length is None else block.length
            writer.write(length, 16)
            writer.write(length ^ 0xFFFF if block.complement is None else block.complement, 16)
            writer.done += block.data
        elif isinstance(block, Fixed):
            codes = {"literal_lengths": FIXED_LITERAL_LENGTHS, "distance_lengths": FIXED_DISTANCE_LENGTHS}
            write_tokens(writer, block.tokens, **codes, end=block.end)
        elif isinstance(block, Dynamic):
            write_dynamic(writer, block)
    return writer.to_bytes()


def expand(blocks: Iterable[SubBlock]) -> bytes:
    """What the sub-blocks stand for."""
    output = bytearray()
    for block in blocks:
        if isinstance(block, Stored):
            output += block.data
        for token in block.tokens if isinstance(block, Fixed | Dynamic) else ():
            if isinstance(token, int):
                output.append(token)
            elif isinstance(token, Match):
                for _ in range(token.length):
                    output.append(output[-token.distance])
    return bytes(output)


def zlib_wrap(raw: bytes, output: bytes, *, header: bytes = ZLIB_HEADER, adler: int | None = None) -> bytes:
    checksum = zlib.adler32(output) if adler is None else adler
    return header + raw + checksum.to_bytes(4, "big")


def zlib_stream(blocks: Sequence[SubBlock], *, header: bytes = ZLIB_HEADER, adler: int | None = None) -> bytes:
    return zlib_wrap(deflate_stream(blocks), expand(blocks), header=header, adler=adler)


def zlib_header(
    *, method: int = 8, window: int = 7, dictionary: int = 0, level: int = 2, check: int | None = None
) -> bytes:
    """The two bytes before the raw stream, with a right check unless `check` is given."""
    first = window << 4 | method
    second = level << 6 | dictionary << 5
    right = -(first << 8 | second) % 31
    return bytes([first, second | (right if check is None else check)])
