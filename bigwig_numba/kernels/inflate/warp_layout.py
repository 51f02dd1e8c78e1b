"""What the files of the warp decoder agree on: sizes, the fields of a table's entry, and what stands in ``made``.

Entries, from the lowest bit::

    of a literal        5 taken | 9 byte                   | 0 | 0
    of a length         5 taken | 9 made                   | 1 | 0
    with extra bits     5 taken | 9 made                   | 1 | CLOSER
    of the end          5 taken | 9 unused                 | 0 | CLOSER
    of a distance       5 taken | 5 code length | 2 highest bits
    of a code length    5 taken | 5 code length | 5 symbol

``taken`` is the number of bits of input, with extra bits; ``made`` that of bytes of output, before extra bits, whose
number follows from it. A distance less 1 is its highest bits and, behind them, its extra bits. NONE is no entry; LONG
is a code that is longer than the table's index.

Elements of ``made``: below 256 a byte; from ``POINTER`` on a copy of what stands 1 and more elements before it.
"""

import numpy as np

_U = np.uint32

LITERAL_BITS, DISTANCE_BITS, LENGTH_CODE_BITS = 10, 8, 7
LITERAL_ENTRIES, DISTANCE_ENTRIES = 1 << LITERAL_BITS, 1 << DISTANCE_BITS
ENTRIES_PER_WARP, WORDS_PER_WARP = 320, 32
N_WARPS = 2  # of a CUDA block, each with a stream of its own: 8 such blocks fit on a multiprocessor

# A stretch of the stream, which the lanes share: each lane's run-up and part in bits, and its room in elements.
RUN_UP = 320
LEAST_PART, MOST_PART = 8, 288
ROOM = 138
FIRST_ROOM = 328  # of lane 0, which keeps its run-up too; at least 258, so that any match fits
TYPICAL_BYTES = 104  # of a part: that many leave few parts without room
ROOM_SLACK = 4  # behind each: one element may be written there
# From room to room: 71 words, so that lanes meet in different banks.
ROOM_STEP = ROOM + ROOM_SLACK
MOST_LANES = 32
MADE_PER_WARP = FIRST_ROOM + ROOM_SLACK + (MOST_LANES - 1) * ROOM_STEP + MOST_LANES  # all lanes read, the last room too
HEADER_WORDS = 144  # a dynamic sub-block's header takes 4,530 bits at most
STAGED_WORDS = (RUN_UP + MOST_LANES * MOST_PART) // 32 + 6  # a symbol may begin at the last bit

DISTANCE_ROW = _U(288)  # of the entries in the order of their codes
LITERAL_WORDS, DISTANCE_WORDS = _U(0), _U(16)
CURSORS, FIRST_CODES = _U(320), _U(336)  # scratch, behind the code lengths
POINTER = _U(0x8000)

TAKEN = _U(31)
VALUE_SHIFT, VALUE = _U(5), _U(511)  # a literal's byte, or what a length makes
IS_MATCH, CLOSER = _U(1 << 14), _U(1 << 15)
NONE, LONG = CLOSER, _U(0xFFFF)
CODE_SHIFT, HIGHEST_SHIFT, SYMBOL_SHIFT = _U(5), _U(10), _U(10)
