"""From sorted windows and a file's leaves to runs of unique blocks: searches and one sweep per track. CPU.

The picture, for windows ``w0 .. w3`` on one chromosome and one track's leaves (``#`` where items are)::

    leaves            0####   1###    2#####    3####      4#####  5###   6####
    windows, sorted by start    w0────       w1──────────────  w2──────         w3──
    run [first, last)           [1, 3)       [3, 5)            [4, 6)           [7, 7)
    unique blocks               leaves 1 2 3 4 5: w0 needs blocks [0, 2), w1 [2, 4), w2 [3, 5), w3 none

1. All windows have one length, so sorted by start they are sorted by end too, and so are the runs that they need: a
   search starts where the one before it ended.
2. The runs of a track, one after another, touch each leaf first where ``listed_to`` stands. A leaf's number among the
   blocks is its number in the file less the leaves skipped so far: arithmetic, no look-up.
3. Tracks first count their blocks; after a running sum each knows where its blocks go, and writes them.

=====================  ==========  ======  ==========================================================================
array                  shape       dtype   what
=====================  ==========  ======  ==========================================================================
LeafArrays             (L,) ...            see ``plan.TrackTable``
SortedRequest          (S,) ...            windows by chromosome and start, and the files asked for
runs                   (2, T, S)   int32   first and last of each sorted window: leaves of the file, then blocks
counts                 (T,)        int64   unique blocks of a track
first_block            (T + 1,)    int64   running sum of the counts
BlockArrays            (K,) ...            see ``plan.ReadPlan``
first_blocks, ...      (S, T)      int32   the runs of blocks in the order asked for
pair_chrom_ids         (S, T)      uint32  file-local chromosome of each (window, track)
=====================  ==========  ======  ==========================================================================

The last three functions work on a range ``[first, last)`` of tracks or tiles: pieces for ``parallel.ThreadTeam``.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

UNKNOWN_STOP = 2**32  # bigWig positions are 32 bits wide, so no item starts here or later
LARGEST_SECTION = 24 + 65_535 * 12  # bytes: a header, and bedGraph items as many as its 16 bits can count
TILE_WINDOWS = 16  # windows written together: 16 int32 are a cache line


class LeafArrays(NamedTuple):
    """The arrays of a ``TrackTable``, as compiled functions take them."""

    starts: Any
    reaches: Any
    offsets: Any
    sizes: Any
    first_leaf: Any
    genome_starts: Any
    genome_ends: Any
    capacities: Any
    big_endian: Any


class SortedRequest(NamedTuple):
    """The windows by chromosome and start, and the files that they ask for.

    ``order`` (S,) int64 says which window comes i-th; ``clip_starts`` and ``clip_ends`` (S,) int64 are in that order.
    In it, ``first_window[g]`` to ``first_window[g + 1]`` lie on chromosome ``group_rows[g]``. ``files`` (T,) int64.
    """

    order: Any
    clip_starts: Any
    clip_ends: Any
    first_window: Any
    group_rows: Any
    files: Any


class BlockArrays(NamedTuple):
    """The (K,) arrays of a ``ReadPlan`` that are being written."""

    leaves: Any
    tracks: Any
    offsets: Any
    sizes: Any
    capacities: Any
    compressed: Any
    big_endian: Any
    stops: Any


@njit(nogil=True, cache=True)
def first_above(values, low, key):
    """The first index from ``low`` on with ``values[index] > key``: steps double until past it, then halve."""
    step = 1
    high = low
    while high < values.size and values[high] <= key:
        low = high + 1
        high += step
        step *= 2
    high = min(high, values.size)
    while low < high:
        middle = (low + high) >> 1
        if values[middle] <= key:
            low = middle + 1
        else:
            high = middle
    return low


@njit(nogil=True, cache=True)
def groups_in_file_order(leaves, request, file):
    """The groups as their chromosomes follow each other in a file; those that it lacks come first."""
    return np.argsort(leaves.genome_starts[:, file][request.group_rows])


@njit(nogil=True, cache=True)
def find_runs_of_track(track, leaves, request, runs):
    """Write the run of leaves that each window needs of one track, and return how many leaves are in any."""
    file = request.files[track]
    starts = leaves.starts[leaves.first_leaf[file] : leaves.first_leaf[file + 1]]
    reaches = leaves.reaches[leaves.first_leaf[file] : leaves.first_leaf[file + 1]]
    count, first, last = 0, 0, 0
    for group in groups_in_file_order(leaves, request, file):
        genome_start = leaves.genome_starts[request.group_rows[group], file]
        genome_end = leaves.genome_ends[request.group_rows[group], file]  # -1, as the start, where the file lacks it
        for window in range(request.first_window[group], request.first_window[group + 1]):
            start = genome_start + request.clip_starts[window]
            end = min(genome_start + request.clip_ends[window], genome_end)
            runs[0, track, window] = runs[1, track, window] = 0
            if start < end:
                listed_to = last
                first = first_above(reaches, first, start)
                last = first_above(starts, max(first, last), end - 1)
                if first < last:
                    runs[0, track, window] = first
                    runs[1, track, window] = last
                    count += last - max(first, listed_to)
    return count


@njit(nogil=True, cache=True)
def write_block(block, leaf, file, leaves, blocks):
    """Copy what the plan keeps of a leaf."""
    capacity = leaves.capacities[file]
    blocks.leaves[block] = leaf
    blocks.tracks[block] = file
    blocks.offsets[block] = leaves.offsets[leaf]
    blocks.sizes[block] = leaves.sizes[leaf]
    blocks.capacities[block] = min(capacity, LARGEST_SECTION) if capacity > 0 else leaves.sizes[leaf]
    blocks.compressed[block] = capacity > 0
    blocks.big_endian[block] = leaves.big_endian[file]


@njit(nogil=True, cache=True)
def list_blocks_of_track(track, leaves, request, first_block, runs, blocks):
    """Write the blocks of one track, and turn its runs of leaves into runs of blocks."""
    file = request.files[track]
    n_listed = first_block[track]
    listed_to = 0  # leaves before this one are listed or skipped
    for group in groups_in_file_order(leaves, request, file):
        of_other_chromosomes = n_listed
        for window in range(request.first_window[group], request.first_window[group + 1]):
            first, last = np.int64(runs[0, track, window]), np.int64(runs[1, track, window])
            if first < last:
                listed_to = max(listed_to, first)
                for leaf in range(listed_to, last):
                    write_block(n_listed, leaves.first_leaf[file] + leaf, file, leaves, blocks)
                    n_listed += 1
                listed_to = max(listed_to, last)
                first += n_listed - listed_to
                last += n_listed - listed_to
                runs[0, track, window] = first
                runs[1, track, window] = last
                # Later windows of a chromosome don't end earlier, so the last one to write has the furthest stop.
                for block in range(first, last):
                    shared = block < of_other_chromosomes
                    blocks.stops[block] = UNKNOWN_STOP if shared else request.clip_ends[window]


@njit(nogil=True, cache=True)
def find_runs(first, last, leaves, request, runs, counts):
    """Runs of leaves and number of unique blocks of tracks ``[first, last)``."""
    for track in range(first, last):
        counts[track] = find_runs_of_track(track, leaves, request, runs)


@njit(nogil=True, cache=True)
def list_blocks(first, last, leaves, request, first_block, runs, blocks):
    """Blocks, and runs of blocks, of tracks ``[first, last)``."""
    for track in range(first, last):
        list_blocks_of_track(track, leaves, request, first_block, runs, blocks)


@njit(nogil=True, cache=True)
def write_pairs(first, last, request, runs, chrom_ids, first_blocks, last_blocks, pair_chrom_ids):
    """Bring tiles ``[first, last)`` of the runs from (T, S) in sorted order to (S, T) in the order asked for."""
    group = 0
    for tile in range(first, last):
        windows = range(tile * TILE_WINDOWS, min((tile + 1) * TILE_WINDOWS, request.order.size))
        for track in range(request.files.size):
            for window in windows:
                row = request.order[window]
                first_blocks[row, track] = runs[0, track, window]
                last_blocks[row, track] = runs[1, track, window]
        for window in windows:
            while request.first_window[group + 1] <= window:
                group += 1
            for track in range(request.files.size):
                chrom_id = chrom_ids[request.group_rows[group], request.files[track]]
                pair_chrom_ids[request.order[window], track] = chrom_id
