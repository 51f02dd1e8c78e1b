"""What can be wrong with a block: one number a block, written by the kernels, put into words by the engines.

Kernels never raise. They write one of these per block and go on with the others.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class BlockStatus(IntEnum):
    """Status of one block after inflating and checking it; 0 is good."""

    GOOD = 0
    BAD_ZLIB_HEADER = 1
    RESERVED_SUB_BLOCK_TYPE = 2
    STORED_LENGTH_MISMATCH = 3
    TOO_MANY_CODES = 4
    BAD_LENGTH_CODE = 5
    BAD_LENGTH_REPEAT = 6
    BAD_LITERAL_CODE = 7
    BAD_DISTANCE_CODE = 8
    NO_SUCH_CODE = 9
    DISTANCE_BEFORE_START = 10
    OUTPUT_FULL = 11
    INPUT_EXHAUSTED = 12
    CHECKSUM_MISMATCH = 13
    SECTION_TOO_SHORT = 14
    UNKNOWN_SECTION_TYPE = 15
    ITEMS_OUT_OF_ORDER = 16

    @property
    def words(self) -> str:
        """What went wrong, as a sentence fragment for an error message."""
        return _WORDS[self]


# The same numbers for compiled functions.
GOOD = np.int32(BlockStatus.GOOD)
BAD_ZLIB_HEADER = np.int32(BlockStatus.BAD_ZLIB_HEADER)
RESERVED_SUB_BLOCK_TYPE = np.int32(BlockStatus.RESERVED_SUB_BLOCK_TYPE)
STORED_LENGTH_MISMATCH = np.int32(BlockStatus.STORED_LENGTH_MISMATCH)
TOO_MANY_CODES = np.int32(BlockStatus.TOO_MANY_CODES)
BAD_LENGTH_CODE = np.int32(BlockStatus.BAD_LENGTH_CODE)
BAD_LENGTH_REPEAT = np.int32(BlockStatus.BAD_LENGTH_REPEAT)
BAD_LITERAL_CODE = np.int32(BlockStatus.BAD_LITERAL_CODE)
BAD_DISTANCE_CODE = np.int32(BlockStatus.BAD_DISTANCE_CODE)
NO_SUCH_CODE = np.int32(BlockStatus.NO_SUCH_CODE)
DISTANCE_BEFORE_START = np.int32(BlockStatus.DISTANCE_BEFORE_START)
OUTPUT_FULL = np.int32(BlockStatus.OUTPUT_FULL)
INPUT_EXHAUSTED = np.int32(BlockStatus.INPUT_EXHAUSTED)
CHECKSUM_MISMATCH = np.int32(BlockStatus.CHECKSUM_MISMATCH)
SECTION_TOO_SHORT = np.int32(BlockStatus.SECTION_TOO_SHORT)
UNKNOWN_SECTION_TYPE = np.int32(BlockStatus.UNKNOWN_SECTION_TYPE)
ITEMS_OUT_OF_ORDER = np.int32(BlockStatus.ITEMS_OUT_OF_ORDER)

_WORDS = {
    BlockStatus.GOOD: "good",
    BlockStatus.BAD_ZLIB_HEADER: "it does not start with a zlib header",
    BlockStatus.RESERVED_SUB_BLOCK_TYPE: "a DEFLATE sub-block has the reserved type 3",
    BlockStatus.STORED_LENGTH_MISMATCH: "a stored sub-block's length contradicts its complement",
    BlockStatus.TOO_MANY_CODES: "a sub-block announces more than 286 literal/length or 30 distance codes",
    BlockStatus.BAD_LENGTH_CODE: "the code for code lengths is over-subscribed or incomplete",
    BlockStatus.BAD_LENGTH_REPEAT: "a code length is repeated before the first or past the last",
    BlockStatus.BAD_LITERAL_CODE: "the literal/length code is over-subscribed, incomplete or cannot end the sub-block",
    BlockStatus.BAD_DISTANCE_CODE: "the distance code is over-subscribed or incomplete",
    BlockStatus.NO_SUCH_CODE: "bits that are no code of the sub-block",
    BlockStatus.DISTANCE_BEFORE_START: "a match reaches back before the start of the output",
    BlockStatus.OUTPUT_FULL: "it inflates to more bytes than the file's header allows",
    BlockStatus.INPUT_EXHAUSTED: "its compressed data ends too early",
    BlockStatus.CHECKSUM_MISMATCH: "its Adler-32 checksum is wrong",
    BlockStatus.SECTION_TOO_SHORT: "the section ends before its last item",
    BlockStatus.UNKNOWN_SECTION_TYPE: "the section type is not 1 (bedGraph), 2 (variableStep) or 3 (fixedStep)",
    BlockStatus.ITEMS_OUT_OF_ORDER: "its items are not sorted, or overlap each other or those of the block before it",
}
