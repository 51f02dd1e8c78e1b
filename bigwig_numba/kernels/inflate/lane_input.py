"""A lane's bit reader: three words of the stream in registers, in which a turn finds all its bits.

In the loop that decodes, the words after them are in registers too, a queue that is filled by four.
"""

import numpy as np

from ..bits import add, choose, funnel_left, least, sub
from ..jit import njit
from ..memory import load_word

_U = np.uint32


@njit(nogil=True, forceinline=True)
def refill(data_from, last_word, low, high, following, index, bit):
    """Move the bit reader on by a word if ``bit`` left the lowest of its three words.

    ``index`` is that of ``following``; it may run past the stream's end, the reads stay on its last word.
    """
    if bit >= _U(32):
        bit = sub(bit, _U(32))
        low, high, index = high, following, add(index, _U(1))
        following = load_word(data_from, least(index, last_word))
    return low, high, following, index, bit


@njit(nogil=True, forceinline=True)
def next_bits(first, second, third, bit):
    """The 32 bits from ``bit``, below 64, of three words on, whose highest bits are the first."""
    bits = funnel_left(first, second, bit)
    if bit >= _U(32):
        bits = funnel_left(second, third, bit)
    return bits


@njit(nogil=True, forceinline=True)
def start_queue(data_from, last_word, index, wanted):
    """The four words from number ``index`` on, where they are ``wanted``."""
    first = second = third = fourth = _U(0)
    if wanted:
        first = load_word(data_from, least(index, last_word))
        second = load_word(data_from, least(add(index, _U(1)), last_word))
        third = load_word(data_from, least(add(index, _U(2)), last_word))
        fourth = load_word(data_from, least(add(index, _U(3)), last_word))
    return first, second, third, fourth


@njit(nogil=True, forceinline=True)
def move_queue(queue, by_one):
    """The queue without its first word where it has been taken, and if so, with any word as the last."""
    first, second, third, fourth = queue
    return choose(by_one, second, first), choose(by_one, third, second), choose(by_one, fourth, third), fourth
