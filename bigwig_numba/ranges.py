"""A pure planner: many byte ranges in, fewer requests out.

Reading a file over a network costs by the request more than by the byte, so ranges that lie close together are read
together, with the bytes between them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["CoalescedRanges", "Int64Array", "Integers", "coalesce_ranges"]

Int64Array = npt.NDArray[np.int64]
Integers = Sequence[int] | Int64Array

# A request to an object store costs as much time as some hundred kilobytes more in a running one.
MAX_GAP = 64 * 1024
# Large enough that latency does not count, small enough that several run side by side.
MAX_REQUEST = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CoalescedRanges:
    """Requests that cover ranges: what to read, and where in it each range lies.

    Attributes
    ----------
    offsets, sizes : (R,) int64
        The requests, in ascending order, in bytes.
    requests : (N,) int64
        For each range the request that contains it.
    positions : (N,) int64
        For each range the byte of that request where it starts.
    """

    offsets: Int64Array
    sizes: Int64Array
    requests: Int64Array
    positions: Int64Array


def coalesce_ranges(
    offsets: Integers,
    sizes: Integers,
    *,
    max_gap: int = MAX_GAP,
    max_size: int = MAX_REQUEST,
    max_waste: float = math.inf,
) -> CoalescedRanges:
    """Merge ranges that lie close together into fewer requests.

    Parameters
    ----------
    offsets, sizes : (N,) int
        The ranges in bytes, in any order; they may overlap.
    max_gap
        Unwanted bytes between two ranges that are read rather than asked for separately.
    max_size
        Bytes of a request at most, except for a range that is larger by itself.
    max_waste
        Unwanted bytes in all, at most, as a part of the wanted ones. The smallest gaps are read first, as each saves
        one request.

    Examples
    --------
    >>> merged = coalesce_ranges([100, 0, 5000], [50, 80, 10], max_gap=20)
    >>> merged.offsets.tolist(), merged.sizes.tolist(), merged.requests.tolist(), merged.positions.tolist()
    ([0, 5000], [150, 10], [0, 0, 1], [100, 0, 0])
    """
    starts = np.asarray(offsets, np.int64)
    stops = starts + np.asarray(sizes, np.int64)
    order = np.lexsort((stops, starts))  # by both: the requests must not depend on the order of the ranges
    sorted_starts, reached = starts[order], np.maximum.accumulate(stops[order])
    apart = _gaps_not_read(sorted_starts, reached, max_gap=max_gap, max_waste=max_waste)
    bounds = np.concatenate(([0], np.flatnonzero(apart) + 1, [len(starts)])) if len(starts) else np.zeros(1, np.int64)
    first_of_request = _split_large(bounds, sorted_starts, reached, max_size)
    request_offsets = sorted_starts[first_of_request]
    request_ends = np.maximum.reduceat(stops[order], first_of_request) if len(starts) else first_of_request
    requests = np.empty(len(starts), np.int64)
    requests[order] = np.searchsorted(first_of_request, np.arange(len(starts)), "right") - 1
    return CoalescedRanges(
        offsets=request_offsets,
        sizes=request_ends - request_offsets,
        requests=requests,
        positions=starts - request_offsets[requests],
    )


def _gaps_not_read(starts: Int64Array, reached: Int64Array, *, max_gap: int, max_waste: float) -> npt.NDArray[np.bool_]:
    """Whether ranges i and i + 1 stay apart."""
    gaps = starts[1:] - reached[:-1]
    apart = gaps > max_gap
    if math.isinf(max_waste) or not len(gaps):
        return apart
    wanted = float(reached[-1] - starts[0] - np.maximum(gaps, 0).sum())
    candidates = np.flatnonzero((gaps > 0) & ~apart)
    candidates = candidates[np.argsort(gaps[candidates], kind="stable")]
    too_much = np.cumsum(gaps[candidates]) > max_waste * wanted
    apart[candidates[too_much]] = True
    return apart


def _split_large(bounds: Int64Array, starts: Int64Array, reached: Int64Array, max_size: int) -> Int64Array:
    """The first range of each request: groups between bounds, those that are too large in several."""
    begins, ends = bounds[:-1], bounds[1:]
    if not len(begins):
        return begins
    large = np.flatnonzero(reached[ends - 1] - starts[begins] > max_size)
    if not len(large):
        return begins
    more: list[int] = []
    for begin, end in zip(begins[large].tolist(), ends[large].tolist(), strict=True):
        while begin < end:
            more.append(begin)
            fitting = int(np.searchsorted(reached[begin:end], starts[begin] + max_size, "right"))
            begin += max(fitting, 1)
    return np.unique(np.concatenate((begins, np.asarray(more, np.int64))))
