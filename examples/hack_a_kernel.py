"""Your own kernels: a statistic in ten lines, checked and run; then a DEFLATE decoder, raced against the built-in ones.

    python examples/hack_a_kernel.py

It runs on a laptop; where there is a GPU, the same functions run on it. ``docs/hacking.md`` explains what happens here.
"""

from __future__ import annotations

import tempfile

import numpy as np
from numba import njit

import bigwig_numba
from bigwig_numba.benchmarks.inflate import race_inflate_kernels
from bigwig_numba.example_data import example_data

# --- a statistic: how many bases of a bin are above a threshold, as a share of those that are covered

THRESHOLD = 3.0


def init():
    """Bases above, bases covered."""
    return 0, 0


def update(state, value, n_bases):
    """One item more."""
    n_above, n_covered = state
    return n_above + (n_bases if value > THRESHOLD else 0), n_covered + n_bases


def finish(state, window_size, default):
    """The share; the default where nothing is covered."""
    n_above, n_covered = state
    return n_above / n_covered if n_covered > 0 else default


share_above = bigwig_numba.Statistic("share_above", init, update, finish)

# --- an inflate kernel: one zlib stream, one thread, a bit at a time (RFC 1951); slow, short, and right

END, TOO_LONG, BROKEN = 12, 11, 9  # as `bigwig_numba.kernels.statuses` numbers what is wrong with a block
LITERALS, DISTANCES, LENGTHS, OFFSETS = 0, 304, 352, 672  # where things are in `scratch`, int32 words
ORDER = np.array([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15])


@njit
def bits(data, source, position, n):
    """``n`` bits from bit ``position`` of the stream on."""
    place = source + position // 32
    pair = np.uint64(data[place]) | np.uint64(data[place + 1]) << np.uint64(32)
    return np.int64(pair >> np.uint64(position % 32)) & ((1 << n) - 1)


@njit
def build(scratch, table, lengths, n_symbols):
    """A canonical code from its lengths: how many codes there are of each length, and the symbols in order."""
    for length in range(16):
        scratch[table + length] = 0
    for symbol in range(n_symbols):
        scratch[table + scratch[lengths + symbol]] += 1
    scratch[table] = 0
    scratch[OFFSETS + 1] = 0
    for length in range(1, 15):
        scratch[OFFSETS + length + 1] = scratch[OFFSETS + length] + scratch[table + length]
    for symbol in range(n_symbols):
        length = scratch[lengths + symbol]
        if length > 0:
            scratch[table + 16 + scratch[OFFSETS + length]] = symbol
            scratch[OFFSETS + length] += 1


@njit
def symbol_at(data, source, position, scratch, table):
    """The symbol whose code begins at a bit, and the bit after it; -1 if there is none."""
    code, first, index = 0, 0, 0
    for length in range(1, 16):
        code = 2 * code + bits(data, source, position, 1)
        position += 1
        count = scratch[table + length]
        if code < first + count:
            return scratch[table + 16 + index + code - first], position
        index += count
        first = 2 * (first + count)
    return -1, position


@njit
def put(words, base, place, byte):
    """Write a byte of the output."""
    word, shift = base + place // 4, np.uint32(8 * (place % 4))
    old = words[word] if shift > 0 else np.uint32(0)
    words[word] = old | np.uint32(byte) << shift


@njit
def read_codes(data, source, position, scratch):
    """The two codes of a sub-block with codes of its own; the bit after them, or -1."""
    n_literals, n_distances = 257 + bits(data, source, position, 5), 1 + bits(data, source, position + 5, 5)
    n_lengths = 4 + bits(data, source, position + 10, 4)
    position += 14
    for i in range(19):
        scratch[LENGTHS + ORDER[i]] = bits(data, source, position + 3 * i, 3) if i < n_lengths else 0
    position += 3 * n_lengths
    build(scratch, LITERALS, LENGTHS, 19)
    done, wanted = 0, n_literals + n_distances
    while done < wanted:
        symbol, position = symbol_at(data, source, position, scratch, LITERALS)
        value, times, extra = symbol, 1, 0
        if symbol < 0 or (symbol == 16 and done == 0):
            return -1
        if symbol > 15:
            value = scratch[LENGTHS + done - 1] if symbol == 16 else 0
            extra = 7 if symbol == 18 else symbol - 14
            times = (11 if symbol == 18 else 3) + bits(data, source, position, extra)
        position += extra
        if done + times > wanted:
            return -1
        for _ in range(times):
            scratch[LENGTHS + done] = value
            done += 1
    build(scratch, DISTANCES, LENGTHS + n_literals, n_distances)
    build(scratch, LITERALS, LENGTHS, n_literals)
    return position


@njit
def fixed_codes(scratch):
    """The two codes of a sub-block without codes of its own."""
    for symbol in range(288):
        scratch[LENGTHS + symbol] = 8 if symbol < 144 else 9 if symbol < 256 else 7 if symbol < 280 else 8
    build(scratch, LITERALS, LENGTHS, 288)
    for symbol in range(30):
        scratch[LENGTHS + symbol] = 5
    build(scratch, DISTANCES, LENGTHS, 30)


@njit
def copy_match(data, source, position, symbol, words, base, place, capacity, scratch):
    """A match: bytes that came before, once more. The bit after it and the bytes written; -1 and a status if wrong."""
    extra = 0 if symbol < 265 or symbol == 285 else (symbol - 261) // 4
    length = 258 if symbol == 285 else symbol - 254 if symbol < 265 else 3 + ((4 + (symbol - 1) % 4) << extra)
    length += bits(data, source, position, extra)
    symbol, position = symbol_at(data, source, position + extra, scratch, DISTANCES)
    extra = 0 if symbol < 4 else symbol // 2 - 1
    distance = 1 + (symbol if symbol < 4 else (2 + symbol % 2) << extra) + bits(data, source, position, extra)
    if symbol < 0 or symbol > 29 or distance > place:
        return -1, BROKEN
    if place + length > capacity:
        return -1, TOO_LONG
    for place in range(place, place + length):  # noqa: B020 - a match may overlap what it writes
        back = place - distance
        put(words, base, place, words[base + back // 4] >> np.uint32(8 * (back % 4)) & np.uint32(255))
    return position + extra, length


@njit
def decode(data, source, size, words, base, capacity, scratch):
    """Inflate a stream; the signature is that of ``bigwig_numba.InflateKernel``. Returns status and bytes."""
    position, place, end = 16, 0, 8 * size  # two bytes of zlib's header; the checksum is left out
    is_last = False
    while not is_last:
        if position + 3 > end:
            return END, place
        is_last, kind = bits(data, source, position, 1) == 1, bits(data, source, position + 1, 2)
        position += 3
        if kind == 0:
            position = (position + 7) // 8 * 8
            length = bits(data, source, position, 16)
            position += 32
            if position + 8 * length > end or place + length > capacity:
                return END, place
            for _ in range(length):
                put(words, base, place, bits(data, source, position, 8))
                position, place = position + 8, place + 1
            continue
        if kind == 1:
            fixed_codes(scratch)
        else:
            position = read_codes(data, source, position, scratch)
        symbol = 0
        while symbol != 256:
            if position < 0 or kind == 3:
                return BROKEN, place
            if position > end:
                return END, place
            symbol, position = symbol_at(data, source, position, scratch, LITERALS)
            if symbol < 0 or symbol > 285:
                return BROKEN, place
            if symbol < 256:
                if place == capacity:
                    return TOO_LONG, place
                put(words, base, place, symbol)
                place += 1
            elif symbol > 256:
                position, written = copy_match(data, source, position, symbol, words, base, place, capacity, scratch)
                if position < 0:
                    return written, place
                place += written
    return 0, place


plain_inflate = bigwig_numba.InflateKernel("plain_inflate", decode)


def main() -> None:
    """Check the statistic, run it, race the decoder."""
    print(share_above.of_items([(5.0, 2), (1.0, 6)], window_size=10), "in plain Python, where print and pdb work")
    print(bigwig_numba.check(share_above))
    with tempfile.TemporaryDirectory() as folder:
        paths = example_data(folder, chromosome_length=50_000).bigwig_paths
        windows = (["chr1", "chr2"], [10_000, 2_000], [12_048, 4_048])
        with bigwig_numba.BigWigCollection(paths) as collection:
            batch = collection.get_batch(*windows, window_size=128, statistic=["mean", share_above])
            print(f"{batch.shape}: windows, bins, tracks, statistics, on {collection.device}")
        with bigwig_numba.BigWigCollection(paths, inflate=plain_inflate) as collection:
            same = collection.get_batch(*windows, window_size=128, statistic=["mean", share_above])
            print("own decoder, same batch:", bool((same == batch).all()))
    for result in race_inflate_kernels([plain_inflate], n_blocks=64, n_items=256):
        print(result.line())


if __name__ == "__main__":
    main()
