"""A plan's blocks as the table that the CUDA kernels take, row by row in one pass. CPU; see ``launch`` for the rows."""

import numpy as np

from .jit import njit
from .launch import (
    BASE,
    BIG_ENDIAN,
    CAPACITY,
    COMPRESSED,
    FOLLOWS,
    ORDER,
    SIZE,
    SOURCE_WORD,
    STOP,
    slot_words,
)

NEVER_STOP = 0xFFFFFFFF
_slot_words = njit(slot_words)


@njit(nogil=True, cache=True)
def fill_table(table, source_words, sizes, capacities, stops, compressed, big_endian, follows):
    """Write all rows, the order that of the plan, and return how many words the inflated blocks take."""
    n_words = np.int64(0)
    for block in range(sizes.size):
        table[SOURCE_WORD, block] = source_words[block]
        table[SIZE, block] = sizes[block]
        table[CAPACITY, block] = capacities[block]
        table[STOP, block] = min(stops[block], NEVER_STOP)
        table[COMPRESSED, block] = compressed[block]
        table[BIG_ENDIAN, block] = big_endian[block]
        table[BASE, block] = n_words
        table[FOLLOWS, block] = follows[block]
        table[ORDER, block] = block
        n_words += _slot_words(capacities[block])
    return n_words
