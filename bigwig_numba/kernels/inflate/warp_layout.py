"""What the parts of the warp decoder agree on: sizes, and the fields of a table's entry.

Entries, from the lowest bit::

    literal table    6 taken | 9 made | MATCH | END | LONG | 4 code length | 3 extra bits        for a length
                     6 taken | 9 made |   0   |  0  |  0   | 6 unused      | 8 byte              for a literal
    distance table   6 taken | 4 code length | 4 extra bits | 2 unused | 16 base

``taken`` is the number of bits of input, ``made`` that of bytes of output (before a length's extra bits). The lowest
18 bits of a literal's entry are at once what a lane tells the others of its guess.
"""

import numpy as np

_U = np.uint32

LITERAL_BITS, DISTANCE_BITS, LENGTH_CODE_BITS = 10, 8, 7
LITERAL_ENTRIES, DISTANCE_ENTRIES = 1 << LITERAL_BITS, 1 << DISTANCE_BITS
RING_BYTES = 4096
STAGED_WORDS = 64
SYMBOLS_PER_WARP, WORDS_PER_WARP, LENGTHS_PER_WARP = 320, 96, 320

RING_MASK = _U(RING_BYTES - 1)
STAGED_MASK = _U(STAGED_WORDS - 1)
FAR = _U(2048)  # matches from further back are read from the output: what they need has been flushed by then
MOST_PER_STEP = _U(1024)  # bytes after which a step ends: with a match of 258 more the ring keeps what FAR promises
FLUSH = _U(512)
DISTANCE_SYMBOLS = _U(288)
LITERAL_WORDS, DISTANCE_WORDS, CURSORS, FIRST_CODES, MARKS = _U(0), _U(16), _U(32), _U(48), _U(64)

# What a lane guessed: 6 bits of input taken, 9 bits of output made, and what it is.
TAKEN, MADE_SHIFT, MADE = _U(63), _U(6), _U(511)
IS_MATCH, IS_END, IS_LONG, IS_BAD = _U(1 << 15), _U(1 << 16), _U(1 << 17), _U(1 << 18)
GUESS = _U((1 << 18) - 1)
LENGTH_SHIFT, EXTRA_SHIFT, BYTE_SHIFT = _U(18), _U(22), _U(24)
HAS_BYTES = _U(1 << 17)
