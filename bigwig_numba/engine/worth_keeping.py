"""Which leaves are worth keeping within the GPU's reach: those of regions, and of these as many as fit. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..plan import TrackTable
from .store import slot_sizes

__all__ = ["KeptRegions", "choose_leaves", "leaves_of_regions"]


@dataclass(frozen=True, slots=True, eq=False)
class KeptRegions:
    """Regions whose blocks shall be kept.

    Attributes
    ----------
    chromosome_rows, starts, ends
        (R,) int64, rows of the table's ``chromosome_names``, and positions [start, end) on the chromosome.
    """

    chromosome_rows: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


def choose_leaves(tracks: TrackTable, most_bytes: int, regions: KeptRegions | None = None) -> npt.NDArray[np.int64]:
    """The leaves worth keeping in so many bytes: all if they fit, else those that cover most bases a byte.

    A window falls on a leaf the more often, the more bases this covers.

    Parameters
    ----------
    tracks
        The files.
    most_bytes
        For the blocks.
    regions
        Where windows will be; anywhere by default.

    Returns
    -------
    (k,) int64
        Ascending.
    """
    wanted = np.arange(len(tracks.leaf_sizes)) if regions is None else leaves_of_regions(tracks, regions)
    slots = slot_sizes(tracks.leaf_sizes[wanted])
    if int(slots.sum()) <= most_bytes:
        return wanted
    bases = np.maximum(tracks.leaf_reaches[wanted] - tracks.leaf_starts[wanted], 1)
    best_first = np.argsort(-(bases / slots), kind="stable")
    n_kept = int(np.searchsorted(np.cumsum(slots[best_first]), most_bytes, side="right"))
    return np.sort(wanted[best_first[:n_kept]])


def leaves_of_regions(tracks: TrackTable, regions: KeptRegions) -> npt.NDArray[np.int64]:
    """(k,) int64, ascending: the leaves that may have items in any of the regions."""
    steps = np.zeros(len(tracks.leaf_sizes) + 1, np.int64)  # +1 where a run of leaves begins, -1 where it has ended
    for track in range(tracks.n_tracks):
        first, last = int(tracks.first_leaf[track]), int(tracks.first_leaf[track + 1])
        genome_starts = tracks.genome_starts[regions.chromosome_rows, track]
        there = genome_starts >= 0
        starts, ends = (genome_starts + regions.starts)[there], (genome_starts + regions.ends)[there]
        ends = np.minimum(ends, tracks.genome_ends[regions.chromosome_rows, track][there])
        begins = np.searchsorted(tracks.leaf_reaches[first:last], starts, side="right")
        stops = np.maximum(np.searchsorted(tracks.leaf_starts[first:last], ends, side="left"), begins)
        np.add.at(steps, first + begins, 1)
        np.add.at(steps, first + stops, -1)
    return np.flatnonzero(np.cumsum(steps[:-1]))
