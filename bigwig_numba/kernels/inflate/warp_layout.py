"""What the files of the warp decoder agree on: sizes, the fields of a table's entry, and what stands in ``made``.

Entries, from the lowest bit::

    of a length         6 taken | 9 made    | MATCH | END | LONG | 3 extra bits | 4 code length
    of a literal        6 taken | 9 made: 1 |   0   |  0  |  0   | 3: 0         | 8 byte
    of a distance       6 taken | 4 code length | 4 extra bits | 2 unused | 16 base
    of a code length    6 taken | 9 repeats | 3 unused           | 3 extra bits | 4 code length | 5 symbol

``taken`` is the number of bits of input, ``made`` that of bytes of output, before a length's extra bits.
NONE is no entry.

Elements of ``made``: below 256 a byte; from ``POINTER`` on a copy of what stands 1 and more elements before it.
"""

import numpy as np

_U = np.uint32

LITERAL_BITS, DISTANCE_BITS, LENGTH_CODE_BITS = 10, 8, 7
LITERAL_ENTRIES, DISTANCE_ENTRIES = 1 << LITERAL_BITS, 1 << DISTANCE_BITS
ENTRIES_PER_WARP, WORDS_PER_WARP, LENGTHS_PER_WARP = 320, 64, 320

# A stretch of the stream, which the lanes share: each lane's run-up and part in bits, and its room in elements.
RUN_UP = 320
LEAST_PART, MOST_PART = 8, 288
ROOM = 144
FIRST_ROOM = 432  # of lane 0, which keeps its run-up too; at least 258, so that any match fits
TYPICAL_BYTES = 108  # of a part: that many leave few parts without room
# From room to room: 73 words, so that lanes meet in different banks.
ROOM_STEP = ROOM + 2
MOST_LANES = 32
MADE_PER_WARP = FIRST_ROOM + (MOST_LANES - 1) * ROOM_STEP
HEADER_WORDS = 144  # a dynamic sub-block's header takes 4,530 bits at most
STAGED_WORDS = (RUN_UP + MOST_LANES * MOST_PART) // 32 + 4

DISTANCE_ROW = _U(288)  # of the entries in the order of their codes
LITERAL_WORDS, DISTANCE_WORDS, CURSORS, FIRST_CODES = _U(0), _U(16), _U(32), _U(48)
POINTER = _U(0x8000)

TAKEN, MADE_SHIFT, MADE = _U(63), _U(6), _U(511)
IS_MATCH, IS_END, IS_LONG, NONE = _U(1 << 15), _U(1 << 16), _U(1 << 17), _U(1 << 31)
EXTRA_SHIFT, VALUE_SHIFT, SYMBOL_SHIFT = _U(18), _U(21), _U(25)
