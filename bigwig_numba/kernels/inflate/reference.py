"""The reference: DEFLATE in plain Python, a bit at a time, slow and obvious. The others are tested against it."""

from __future__ import annotations

from ..statuses import BlockStatus
from .deflate import (
    CODE_LENGTH_ORDER,
    DISTANCE_BASE,
    DISTANCE_EXTRA_BITS,
    END_OF_SUB_BLOCK,
    FIRST_LENGTH_SYMBOL,
    LENGTH_BASE,
    LENGTH_EXTRA_BITS,
    LONGEST_CODE,
    MOST_DISTANCE_CODES,
    MOST_LITERAL_CODES,
    fixed_code_lengths,
)


class InflateError(Exception):
    """A stream that is not valid; ``status`` says why."""

    def __init__(self, status: BlockStatus) -> None:
        super().__init__(status.words)
        self.status = status


class _BitReader:
    """Bits of a byte string, the lowest bit of each byte first."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def bits(self, count: int) -> int:
        """The next ``count`` bits as a number, the first one lowest."""
        value = 0
        for place in range(count):
            if self.position >= 8 * len(self.data):
                raise InflateError(BlockStatus.INPUT_EXHAUSTED)
            value |= (self.data[self.position // 8] >> (self.position % 8) & 1) << place
            self.position += 1
        return value

    def skip_to_byte(self) -> None:
        self.position = (self.position + 7) // 8 * 8


class _Code:
    """A canonical Huffman code: (length, code) -> symbol."""

    def __init__(self, lengths: list[int], status: BlockStatus, *, may_be_single: bool = True) -> None:
        self.symbols: dict[tuple[int, int], int] = {}
        code = 0
        for length in range(1, LONGEST_CODE + 1):
            code <<= 1
            for symbol, its_length in enumerate(lengths):
                if its_length == length:
                    self.symbols[length, code] = symbol
                    code += 1
        # Every code of length n takes 2**-n of the space: more than all of it is over-subscribed, less is incomplete.
        # Incomplete is fine for a code of one symbol (one bit long), or of none.
        taken = sum(2 ** (LONGEST_CODE - length) for length in lengths if length)
        single = may_be_single and max(lengths, default=0) <= 1
        if taken > 2**LONGEST_CODE or (taken < 2**LONGEST_CODE and not single):
            raise InflateError(status)

    def decode(self, reader: _BitReader) -> int:
        """The symbol whose code comes next; codes are sent from their highest bit down."""
        code = 0
        for length in range(1, LONGEST_CODE + 1):
            code = code << 1 | reader.bits(1)
            if (length, code) in self.symbols:
                return self.symbols[length, code]
        raise InflateError(BlockStatus.NO_SUCH_CODE)


def inflate(data: bytes, *, capacity: int = 1 << 30) -> bytes:
    """Inflate a raw DEFLATE stream.

    Parameters
    ----------
    data
        The stream, without zlib's header and checksum.
    capacity
        The most bytes that may come out.

    Raises
    ------
    InflateError
        When the stream is damaged or yields more than ``capacity`` bytes.

    Examples
    --------
    >>> import zlib
    >>> inflate(zlib.compress(b"ACGTACGTACGT")[2:-4])
    b'ACGTACGTACGT'
    """
    reader, output = _BitReader(data), bytearray()
    last = False
    while not last:
        last = bool(reader.bits(1))
        kind = reader.bits(2)
        if kind == 0:
            _stored(reader, output, capacity)
        elif kind == 1:
            literal_lengths, distance_lengths = (list(map(int, lengths)) for lengths in fixed_code_lengths())
            literal = _Code(literal_lengths, BlockStatus.BAD_LITERAL_CODE)
            distance = _Code([*distance_lengths, 5, 5], BlockStatus.BAD_DISTANCE_CODE)
            _symbols(reader, output, capacity, literal, distance)
        elif kind == 2:
            _symbols(reader, output, capacity, *_dynamic_codes(reader))
        else:
            raise InflateError(BlockStatus.RESERVED_SUB_BLOCK_TYPE)
    return bytes(output)


def _stored(reader: _BitReader, output: bytearray, capacity: int) -> None:
    reader.skip_to_byte()
    length, complement = reader.bits(16), reader.bits(16)
    if length != complement ^ 0xFFFF:
        raise InflateError(BlockStatus.STORED_LENGTH_MISMATCH)
    if len(output) + length > capacity:
        raise InflateError(BlockStatus.OUTPUT_FULL)
    for _ in range(length):
        output.append(reader.bits(8))


def _dynamic_codes(reader: _BitReader) -> tuple[_Code, _Code]:
    n_literal, n_distance, n_lengths = reader.bits(5) + 257, reader.bits(5) + 1, reader.bits(4) + 4
    if n_literal > MOST_LITERAL_CODES or n_distance > MOST_DISTANCE_CODES:
        raise InflateError(BlockStatus.TOO_MANY_CODES)
    lengths_of_lengths = [0] * 19
    for symbol in CODE_LENGTH_ORDER[:n_lengths]:
        lengths_of_lengths[symbol] = reader.bits(3)
    code = _Code(lengths_of_lengths, BlockStatus.BAD_LENGTH_CODE, may_be_single=False)
    lengths: list[int] = []
    while len(lengths) < n_literal + n_distance:
        symbol = code.decode(reader)
        if symbol < 16:
            lengths.append(symbol)
        elif symbol == 16:
            if not lengths:
                raise InflateError(BlockStatus.BAD_LENGTH_REPEAT)
            lengths += [lengths[-1]] * (3 + reader.bits(2))
        elif symbol == 17:
            lengths += [0] * (3 + reader.bits(3))
        else:
            lengths += [0] * (11 + reader.bits(7))
    if len(lengths) > n_literal + n_distance:
        raise InflateError(BlockStatus.BAD_LENGTH_REPEAT)
    if lengths[END_OF_SUB_BLOCK] == 0:
        raise InflateError(BlockStatus.BAD_LITERAL_CODE)
    return (
        _Code(lengths[:n_literal], BlockStatus.BAD_LITERAL_CODE),
        _Code(lengths[n_literal:], BlockStatus.BAD_DISTANCE_CODE),
    )


def _symbols(reader: _BitReader, output: bytearray, capacity: int, literal: _Code, distance: _Code) -> None:
    while (symbol := literal.decode(reader)) != END_OF_SUB_BLOCK:
        if symbol < END_OF_SUB_BLOCK:
            output.append(symbol)
        else:
            _match(reader, output, distance, symbol - FIRST_LENGTH_SYMBOL)
        if len(output) > capacity:
            raise InflateError(BlockStatus.OUTPUT_FULL)


def _match(reader: _BitReader, output: bytearray, distance_code: _Code, length_symbol: int) -> None:
    if length_symbol >= len(LENGTH_BASE):
        raise InflateError(BlockStatus.NO_SUCH_CODE)
    length = LENGTH_BASE[length_symbol] + reader.bits(LENGTH_EXTRA_BITS[length_symbol])
    symbol = distance_code.decode(reader)
    if symbol >= MOST_DISTANCE_CODES:
        raise InflateError(BlockStatus.NO_SUCH_CODE)
    distance = DISTANCE_BASE[symbol] + reader.bits(DISTANCE_EXTRA_BITS[symbol])
    if distance > len(output):
        raise InflateError(BlockStatus.DISTANCE_BEFORE_START)
    for _ in range(length):
        output.append(output[-distance])


def adler_32(content: bytes) -> int:
    """The checksum that follows a zlib stream (RFC 1950, section 9): a sum of bytes, and a sum of that sum."""
    low, high = 1, 0
    for byte in content:
        low = (low + byte) % 65_521
        high = (high + low) % 65_521
    return high << 16 | low
