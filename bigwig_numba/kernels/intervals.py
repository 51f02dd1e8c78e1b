"""Items of a section -> runs: filtered by value, cut by what is excluded, neighbours joined. CPU, and what CUDA calls.

::

    items       [==3==)[=1=)[==7==)[=2=)    [=4=)     value > 1.5
    kept        [=====)     [=====)[===)    [===)
    excluded                   ##
    cut         [=====)     [=)  [)[===)    [===)
    runs        [==3==)     [7)  [==7==)    [=4=)     at most `gap` bases apart: one; the largest value

Positions are on one *line* on which every chromosome has a stretch of its own: chromosome ``c`` of the answer begins at
``c * STRIDE``, so that intervals of several chromosomes and files sort as numbers. A section is on one chromosome.

==============  ========  =======  ================================================================================
array           shape     dtype    what
==============  ========  =======  ================================================================================
words           (W,)      uint32   inflated blocks, see ``sections``
bases, counts   (K,)      uint64,  where each block begins, and its items
                          uint32
block_tracks    (K,)      int32    the file that it is from
scales          (T,)      float32  what the file's values are multiplied with
first_ids       (T + 1,)  int64    where a file's chromosomes begin in the next three
ids             (C,)      uint32   chromosome numbers of a file, ascending
offsets         (C,)      int64    where on the line the chromosome begins; -1 if it is not wanted
lengths         (C,)      int64    its bases
cut_starts      (M,)      int64    what is excluded, on the line: sorted, disjoint, not touching
cut_ends        (M,)      int64
places          (K,)      int64    number of runs of a block, then where the first of them is written
starts, ends    (N,)      int64    runs, on the line
values          (N,)      float32  the largest value of each
==============  ========  =======  ================================================================================

Two passes call the same function: the first counts the runs of each section, the second writes them. A run that goes on
in the next section is two for now; ``engine.interval_runs`` joins them.
"""

import numpy as np

from .jit import njit
from .sections import item_end, item_start, item_value, section_type, word_at
from .warps import vote_any

STRIDE = 2**33  # no position of the format comes near: stretches are further apart than any gap that is allowed
LARGEST_GAP = 2**32 - 1

_U = np.uint32


@njit(nogil=True)
def chromosome_of(chrom_id, first, last, ids):
    """Where ``chrom_id`` is in ``ids[first:last]``; -1 if it is not."""
    low, high = first, last
    while vote_any(low < high):
        if low < high:
            middle = (low + high) >> 1
            if ids[middle] < chrom_id:
                low = middle + 1
            else:
                high = middle
    found = np.int64(-1)
    if low < last and ids[low] == chrom_id:
        found = low
    return found


@njit(nogil=True)
def first_ending_after(position, ends):
    """The first of these ascending ends that is above ``position``."""
    low, high = np.int64(0), np.int64(ends.size)
    while vote_any(low < high):
        if low < high:
            middle = (low + high) >> 1
            if ends[middle] <= position:
                low = middle + 1
            else:
                high = middle
    return low


@njit(nogil=True)
def find_runs_of_section(
    words, base, count, big_endian, offset, length, scale, threshold, has_threshold, gap, first, stop, cut_starts,
    cut_ends, writing, place, starts, ends, values,
):  # fmt: skip
    """Number of runs of a section; with ``writing`` they are written from ``place`` on.

    Only items that start in [first, stop) of the line, and before the chromosome's end, count. A ``gap`` of -1 joins
    nothing. One iteration looks at one item, or at what a cut has left of it: all lanes of a warp stay together.
    """
    kind = _U(0)
    cut = np.int64(0)
    n_cuts = np.int64(cut_ends.size)
    position = np.int64(0)
    if count > _U(0):
        kind = section_type(words, base, big_endian)
        position = offset + np.int64(item_start(words, base, kind, _U(0), big_endian))
    if n_cuts > 0:  # the same for all lanes, which vote in there
        cut = first_ending_after(position, cut_ends)
    index = _U(0)
    n_runs = np.int64(0)
    resume = np.int64(-1)  # what an item has before this was cut out or is done
    run_start, run_end, run_value = np.int64(0), np.int64(0), np.float32(0)
    is_open = False
    while vote_any(index < count):
        if index < count:
            item = item_start(words, base, kind, index, big_endian)
            start = offset + np.int64(item)
            end = offset + np.int64(item_end(words, base, kind, index, item, big_endian))
            value = np.float32(item_value(words, base, kind, index, big_endian) * scale)
            kept = value == value and first <= start and start < stop and start < offset + length
            if has_threshold:
                kept = kept and value > threshold
            start = max(start, resume)
            is_used_up = True
            if kept and cut < n_cuts:
                if cut_ends[cut] <= start:  # a cut that is passed: look at the item again with the next one
                    cut += 1
                    kept = False
                    is_used_up = False
                elif cut_starts[cut] < end:
                    is_used_up = cut_ends[cut] >= end
                    resume = cut_ends[cut]
                    end = cut_starts[cut]
            if kept and start < end:
                if is_open and start <= run_end + gap:
                    run_end = end
                    run_value = max(run_value, value)
                else:
                    if is_open:
                        if writing:
                            starts[place + n_runs] = run_start
                            ends[place + n_runs] = run_end
                            values[place + n_runs] = run_value
                        n_runs += 1
                    is_open = True
                    run_start, run_end, run_value = start, end, value
            if is_used_up:
                index = _U(index + _U(1))
    if is_open:
        if writing:
            starts[place + n_runs] = run_start
            ends[place + n_runs] = run_end
            values[place + n_runs] = run_value
        n_runs += 1
    return n_runs


@njit(nogil=True)
def find_runs_of_block(
    words, base, count, big_endian, track, scales, first_ids, ids, offsets, lengths, threshold, has_threshold, gap,
    first, stop, cut_starts, cut_ends, writing, place, starts, ends, values,
):  # fmt: skip
    """Number of runs of a block, 0 if its chromosome is not wanted. A lane without a block comes with a count of 0."""
    offset, length = np.int64(-1), np.int64(0)
    chrom_id = _U(0)
    first_id, last_id = np.int64(0), np.int64(0)
    if count > _U(0):
        chrom_id = word_at(words, base, big_endian)
        first_id, last_id = first_ids[track], first_ids[track + 1]
    found = chromosome_of(chrom_id, first_id, last_id, ids)
    if found >= 0:
        offset, length = offsets[found], lengths[found]
    if offset < 0:
        count = _U(0)
    return find_runs_of_section(
        words, base, count, big_endian, offset, length, scales[track], threshold, has_threshold, gap, first, stop,
        cut_starts, cut_ends, writing, place, starts, ends, values,
    )  # fmt: skip


@njit(nogil=True, cache=True)
def find_runs_range(
    first_block, last_block, words, bases, counts, big_endian, block_tracks, scales, first_ids, ids, offsets, lengths,
    threshold, has_threshold, gap, first, stop, cut_starts, cut_ends, writing, places, starts, ends, values,
):  # fmt: skip
    """Blocks ``[first_block, last_block)``: their numbers of runs to ``places``, or the runs themselves."""
    for block in range(first_block, last_block):
        n_runs = find_runs_of_block(
            words, np.uint64(bases[block]), _U(counts[block]), big_endian[block], block_tracks[block], scales,
            first_ids, ids, offsets, lengths, threshold, has_threshold, gap, first, stop, cut_starts, cut_ends,
            writing, places[block], starts, ends, values,
        )  # fmt: skip
        if not writing:
            places[block] = n_runs
