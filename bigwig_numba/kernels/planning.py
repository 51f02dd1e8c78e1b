"""From sorted windows and a file's leaves to runs of unique blocks: searches and one sweep per track. CPU.

The picture, for windows ``w0 .. w3`` on one chromosome and one track's leaves (``#`` where items are)::

    leaves            0####   1###    2#####    3####      4#####  5###   6####
    windows, sorted by start    w0────       w1──────────────  w2──────         w3──
    run [first, last)           [1, 3)       [3, 5)            [4, 6)           [7, 7)
    unique blocks               leaves 1 2 3 4 5: w0 needs blocks [0, 2), w1 [2, 4), w2 [3, 5), w3 none

1. All windows have one length, so sorted by start they are sorted by end too, and so are the runs that they need: a
   search starts where the one before it ended.
2. The runs of a track, one after another, touch each leaf first where ``listed_to`` stands. A leaf's number among the
   track's blocks is its number in the file less the leaves skipped so far: arithmetic, no look-up.
3. So each track numbers and counts its blocks. After a running sum of the counts it lists them where they belong.

=====================  ==========  ======  ==========================================================================
array                  shape       dtype   what
=====================  ==========  ======  ==========================================================================
LeafArrays             (L,) ...            see ``plan.TrackTable``
SortedRequest          (S,) ...            windows by chromosome and start, and the files asked for
runs                   (3, T, S)   int32   per sorted window: first and last of its run of the track's own blocks, and
                                           the leaf of the file that the run ends before
counts                 (T,)        int64   unique blocks of a track
first_block            (T + 1,)    int64   running sum of the counts
BlockArrays            (K,) ...            see ``plan.ReadPlan``
PairArrays             (S, T) ...          the runs of blocks in the order asked for, and the chromosomes in the files
=====================  ==========  ======  ==========================================================================

``find_runs`` and ``list_blocks`` work on a range ``[first, last)`` of tracks: pieces for ``parallel.ThreadTeam``.
"""

from typing import Any, NamedTuple

import numpy as np

from .jit import njit

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
    follows: Any


class PairArrays(NamedTuple):
    """The (S, T) arrays of a ``ReadPlan`` that are being written."""

    first_blocks: Any
    last_blocks: Any
    chrom_ids: Any


@njit(nogil=True, cache=True)
def clip_windows(rows, starts, ends, lengths, window_size, most, clip_starts, clip_ends):
    """Write the part of each window's whole bins that lies on its chromosome; False if a window makes no sense."""
    length = ends[0] - starts[0]
    whole = length // window_size * window_size
    for window in range(starts.size):
        row, start, end = rows[window], starts[window], ends[window]
        if not (0 <= row < lengths.size and -most <= start <= end <= most and end - start == length):
            return False
        clip_starts[window] = min(max(start, 0), lengths[row])
        clip_ends[window] = min(max(start + whole, 0), lengths[row])
    return True


@njit(nogil=True, cache=True)
def group_windows(order, rows, starts, ends, sorted_starts, sorted_ends, first_window, group_rows):
    """Write the arrays of a ``SortedRequest``, and return how many groups there are."""
    n_groups = 0
    for place in range(order.size):
        window = order[place]
        sorted_starts[place], sorted_ends[place] = starts[window], ends[window]
        if n_groups == 0 or rows[window] != group_rows[n_groups - 1]:
            first_window[n_groups], group_rows[n_groups] = place, rows[window]
            n_groups += 1
    first_window[n_groups] = order.size
    return n_groups


@njit(nogil=True, cache=True)
def first_above(values, low, key, step):
    """The first index from ``low`` on with ``values[index] > key``: steps double until past it, then halve.

    ``step`` is about how far it will be: 1 where it is near, as many as there are for plain bisection.
    """
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
def groups_in_file_order(group_starts):
    """The groups as their chromosomes follow each other in a file; those that it lacks come first."""
    for group in range(1, group_starts.size):
        if group_starts[group - 1] > group_starts[group]:
            return np.argsort(group_starts)
    return np.arange(group_starts.size)


# Members of tuples are taken out before the loops: each look into a tuple counts a reference up and down.
@njit(nogil=True, cache=True)
def find_runs_of_track(track, leaves, request, runs):
    """Write the run that each window needs of one track's blocks, and return how many these are."""
    file = request.files[track]
    starts = leaves.starts[leaves.first_leaf[file] : leaves.first_leaf[file + 1]]
    reaches = leaves.reaches[leaves.first_leaf[file] : leaves.first_leaf[file + 1]]
    genome_starts = leaves.genome_starts[:, file][request.group_rows]
    genome_ends = leaves.genome_ends[:, file][request.group_rows]  # -1, as the start, where the file lacks it
    clip_starts, clip_ends, first_window = request.clip_starts, request.clip_ends, request.first_window
    firsts, lasts, leaf_ends = runs[0, track], runs[1, track], runs[2, track]
    usual_step = max(1, starts.size // max(1, clip_starts.size))
    count, first, last = 0, 0, 0
    for group in groups_in_file_order(genome_starts):
        genome_start, genome_end = genome_starts[group], genome_ends[group]
        for window in range(first_window[group], first_window[group + 1]):
            start = genome_start + clip_starts[window]
            end = min(genome_start + clip_ends[window], genome_end)
            n_blocks = 0
            if start < end:
                listed_to = last
                first = first_above(reaches, first, start, usual_step)
                last = first_above(starts, max(first, last), end - 1, 1)
                n_blocks = last - first
                if n_blocks > 0:
                    count += last - max(first, listed_to)
            firsts[window] = count - n_blocks
            lasts[window] = count
            leaf_ends[window] = last
    return count


@njit(nogil=True, cache=True)
def write_facts(first, last, file, leaves, blocks):
    """Write what is known of blocks ``[first, last)``, all of one file, from their leaves."""
    offsets, sizes, capacities = blocks.offsets[first:last], blocks.sizes[first:last], blocks.capacities[first:last]
    leaf_offsets, leaf_sizes, capacity = leaves.offsets, leaves.sizes, leaves.capacities[file]
    for block, leaf in enumerate(blocks.leaves[first:last]):
        offsets[block], sizes[block] = leaf_offsets[leaf], leaf_sizes[leaf]
    if capacity > 0:
        capacities[:] = min(capacity, LARGEST_SECTION)
    else:
        capacities[:] = sizes
    blocks.tracks[first:last] = file
    blocks.compressed[first:last] = capacity > 0
    blocks.big_endian[first:last] = leaves.big_endian[file]
    blocks.follows[first:last] = True
    blocks.follows[first : min(first + 1, last)] = False


@njit(nogil=True, cache=True)
def list_blocks_of_track(track, leaves, request, first_block, runs, blocks):
    """Write the blocks of one track: which leaves they are, and where they may stop, then all else."""
    file, begin, end = request.files[track], first_block[track], first_block[track + 1]
    block_leaves, stops = blocks.leaves[begin:end], blocks.stops[begin:end]
    clip_ends, first_window, first_leaf = request.clip_ends, request.first_window, leaves.first_leaf[file]
    firsts, lasts, leaf_ends = runs[0, track], runs[1, track], runs[2, track]
    n_listed = 0
    for group in groups_in_file_order(leaves.genome_starts[:, file][request.group_rows]):
        of_other_chromosomes = n_listed
        for window in range(first_window[group], first_window[group + 1]):
            leaf_of_block_0 = first_leaf + leaf_ends[window] - lasts[window]
            # Later windows of a chromosome don't end earlier, so the last one to write has the furthest stop.
            for block in range(firsts[window], lasts[window]):
                block_leaves[block] = leaf_of_block_0 + block
                stops[block] = UNKNOWN_STOP if block < of_other_chromosomes else clip_ends[window]
            n_listed = lasts[window]
    write_facts(begin, end, file, leaves, blocks)


@njit(nogil=True, cache=True)
def write_tile(tile, request, first_block, runs, chrom_ids, pairs):
    """Bring some windows' runs from (T, S), sorted, to (S, T) in the order asked for, as numbers among all blocks."""
    order, files, first_window, group_rows = request.order, request.files, request.first_window, request.group_rows
    begin, end = tile * TILE_WINDOWS, min((tile + 1) * TILE_WINDOWS, order.size)
    for track in range(files.size):
        firsts, lasts, before = runs[0, track], runs[1, track], first_block[track]
        first_blocks, last_blocks = pairs.first_blocks[:, track], pairs.last_blocks[:, track]
        for window in range(begin, end):
            first, last, row = firsts[window], lasts[window], order[window]
            first_blocks[row] = before + first if first < last else 0  # an empty run is (0, 0)
            last_blocks[row] = before + last if first < last else 0
    group = np.searchsorted(first_window, begin, side="right") - 1
    for window in range(begin, end):
        while first_window[group + 1] <= window:
            group += 1
        known, wanted = chrom_ids[group_rows[group]], pairs.chrom_ids[order[window]]
        for track in range(files.size):
            wanted[track] = known[files[track]]


@njit(nogil=True, cache=True)
def find_runs(first, last, leaves, request, runs, counts):
    """Runs, and number of unique blocks, of tracks ``[first, last)``."""
    for track in range(first, last):
        counts[track] = find_runs_of_track(track, leaves, request, runs)


@njit(nogil=True, cache=True)
def list_blocks(first, last, leaves, request, first_block, runs, chrom_ids, blocks, pairs):
    """Blocks of tracks ``[first, last)``, and as large a share of the tiles of pairs."""
    n_tracks, n_tiles = request.files.size, (request.order.size + TILE_WINDOWS - 1) // TILE_WINDOWS
    for track in range(first, last):
        list_blocks_of_track(track, leaves, request, first_block, runs, blocks)
        for tile in range(n_tiles * track // n_tracks, n_tiles * (track + 1) // n_tracks):
            write_tile(tile, request, first_block, runs, chrom_ids, pairs)
