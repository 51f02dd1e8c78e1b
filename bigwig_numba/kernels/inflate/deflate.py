"""The DEFLATE format in numbers (RFC 1951, RFC 1950): what every decoder here shares.

A zlib stream is two header bytes, a DEFLATE stream and an Adler-32 checksum. A DEFLATE stream is a row of sub-blocks,
each with three header bits (last one?, type) and a body::

    type 0  stored    pad to a byte, length, ~length, bytes
    type 1  fixed     symbols in the code of section 3.2.6, no header
    type 2  dynamic   HLIT HDIST HCLEN, the code for code lengths, the code lengths, symbols

A symbol below 256 is a byte. 256 ends the sub-block. 257 to 285 begin a match: a length (base and extra bits), then a
distance symbol (base and extra bits): "copy length bytes from distance bytes back". Codes are canonical: a list of
code lengths says everything, shorter codes come first, and among equals the smaller symbol.
"""

from __future__ import annotations

import numpy as np

END_OF_SUB_BLOCK = 256
FIRST_LENGTH_SYMBOL = 257
MOST_LITERAL_CODES = 286
MOST_DISTANCE_CODES = 30
LONGEST_CODE = 15

# RFC 1951, section 3.2.5: the shortest length of each length symbol (257 first), and its number of extra bits.
LENGTH_BASE = (
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    13,
    15,
    17,
    19,
    23,
    27,
    31,
    35,
    43,
    51,
    59,
    67,
    83,
    99,
    115,
    131,
    163,
    195,
    227,
    258,
)
LENGTH_EXTRA_BITS = (0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0)

# The same for distance symbols: two symbols share a number of extra bits, so it has a formula.
DISTANCE_EXTRA_BITS = tuple(max(0, symbol // 2 - 1) for symbol in range(MOST_DISTANCE_CODES))
DISTANCE_BASE = tuple(
    symbol + 1 if symbol < 4 else ((2 + symbol % 2) << DISTANCE_EXTRA_BITS[symbol]) + 1
    for symbol in range(MOST_DISTANCE_CODES)
)

# Section 3.2.7: the order in which the lengths of the code for code lengths come.
CODE_LENGTH_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)


def fixed_code_lengths() -> tuple[np.ndarray, np.ndarray]:
    """Code lengths of the fixed codes (section 3.2.6): literal/length (288,) and distance (30,), both uint8."""
    literal = np.repeat(np.array([8, 9, 7, 8], np.uint8), [144, 112, 24, 8])
    return literal, np.full(MOST_DISTANCE_CODES, 5, np.uint8)
