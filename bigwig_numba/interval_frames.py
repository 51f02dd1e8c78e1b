"""All intervals of whole chromosomes as one frame: above a threshold, outside a blacklist, padded, merged."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .chromosome_names import STANDARD_CHROMOSOMES, Include, sorted_chromosomes
from .engine.interval_runs import RunFinder, RunQuery, Runs, choose_run_finder
from .errors import ChromNotFoundError, ConfigError
from .interval_batches import ChromosomeLookup, IntervalBatch, plan_batches
from .kernels.intervals import LARGEST_GAP, STRIDE
from .plan import TrackTable
from .regions.frames import GenomeLine, as_regions, check_integer
from .regions.intervals import covered_by, subtract
from .regions.shapes import pad
from .storage import ByteSource

__all__ = ["IntervalOptions", "read_intervals"]


@dataclass(frozen=True, slots=True, eq=False)
class IntervalOptions:
    """What of the intervals is wanted; see ``BigWigCollection.intervals``."""

    include_chromosomes: Include = "all"
    exclude_chromosomes: Iterable[str] | None = None
    blacklist: pd.DataFrame | None = None
    blacklist_buffer: int = 0
    padding: int = 0
    merge: bool = False
    threshold: float | None = 0.0
    merge_allow_gap: int = 0
    batch_size: int = 4096

    def __post_init__(self) -> None:
        for argument, least in (("blacklist_buffer", 0), ("padding", 0), ("merge_allow_gap", 0), ("batch_size", 1)):
            check_integer(getattr(self, argument), argument, at_least=least)
        is_number = isinstance(self.threshold, int | float | np.number) and not isinstance(self.threshold, bool)
        if self.threshold is not None and not (is_number and not math.isnan(float(self.threshold))):
            message = f"threshold is {self.threshold!r}, expected a number, or None to keep all values"
            raise ConfigError(message, argument="threshold", value=self.threshold)

    @property
    def gap(self) -> int:
        """Bases between intervals, before they are padded, that merging bridges; -1 where nothing is merged."""
        # Padding brings both sides nearer, and cutting at the chromosome's ends changes nothing about that.
        return min(self.merge_allow_gap + 2 * self.padding, LARGEST_GAP) if self.merge else -1


def read_intervals(
    tracks: TrackTable,
    sources: Sequence[ByteSource],
    engine: Any,
    scales: npt.NDArray[np.float32],
    options: IntervalOptions,
    *,
    name: str,
) -> pd.DataFrame:
    """Read all intervals that the options ask for.

    Parameters
    ----------
    tracks, sources
        The files.
    engine
        Where they are inflated, filtered and merged.
    scales
        (T,) float32, what the values of each file are multiplied with.
    options
        What is wanted.
    name
        Of the collection, for messages.

    Returns
    -------
    pandas.DataFrame
        ``chrom`` str, ``start`` and ``end`` int64, ``value`` float32, sorted by chromosome in natural order and start.
    """
    names = _wanted_chromosomes(tracks, options, name)
    line = GenomeLine(pd.Index(names, dtype="object"), lowest=0, stride=STRIDE)
    lookup = ChromosomeLookup.of(tracks, names)
    blacklist = None if options.blacklist is None else as_regions(options.blacklist, argument="blacklist")
    cut_starts, cut_ends = covered_by(line, blacklist, buffer=options.blacklist_buffer)
    query = RunQuery(
        scales=scales,
        first_ids=lookup.first_ids,
        ids=lookup.ids,
        offsets=lookup.offsets,
        lengths=lookup.lengths,
        cut_starts=cut_starts,
        cut_ends=cut_ends,
        threshold=None if options.threshold is None else float(options.threshold),
        gap=options.gap,
    )
    batches = plan_batches(tracks, lookup, batch_size=options.batch_size)
    runs = _join(_find_runs(batches, sources, choose_run_finder(engine, query, tracks)), options.gap)
    frame = line.read(runs.starts, runs.ends).assign(value=runs.values)
    if options.padding:
        sizes = dict(zip(tracks.chromosome_names, tracks.chromosome_lengths.tolist(), strict=True))
        frame = pad(frame, options.padding, chrom_sizes=sizes)
    if blacklist is not None and (options.padding or options.gap > 0):  # what was cut out may be covered again
        frame = subtract(frame, blacklist, buffer=options.blacklist_buffer)
    return frame.reset_index(drop=True)


def _wanted_chromosomes(tracks: TrackTable, options: IntervalOptions, name: str) -> list[str]:
    """In natural order."""
    present = set(tracks.chromosome_names)
    include, exclude = options.include_chromosomes, options.exclude_chromosomes
    if isinstance(include, str) and include in ("all", "standard"):
        wanted = present & STANDARD_CHROMOSOMES if include == "standard" else present
    else:
        wanted = {include} if isinstance(include, str) else set(include)
        unknown = sorted(wanted - present)
        if unknown:
            raise ChromNotFoundError.for_name(unknown[0], sorted_chromosomes(present), url=name)
    return sorted_chromosomes(wanted - ({exclude} if isinstance(exclude, str) else set(exclude or ())))


def _find_runs(batches: Iterator[IntervalBatch], sources: Sequence[ByteSource], finder: RunFinder) -> Iterator[Runs]:
    """The runs of each batch, in their order; the next ones are under way meanwhile."""
    with ThreadPoolExecutor(finder.n_at_a_time, thread_name_prefix="bigwig_numba") as executor:
        ahead: deque[Future[Runs]] = deque()
        for batch in batches:
            ahead.append(executor.submit(finder.find, batch.plan, sources, batch.first, batch.stop))
            if len(ahead) >= finder.n_at_a_time:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _join(parts: Iterable[Runs], gap: int) -> Runs:
    """One after another; with a gap that is not -1, the last run of a part goes on in the next parts."""
    starts, ends, values = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for part in parts:
        if not len(part.starts):
            continue
        first = 0
        if gap >= 0 and len(ends[-1]):
            # Runs of a part are further apart than the gap, so only the last one of all before can meet them.
            first = int(np.searchsorted(part.starts, ends[-1][-1] + gap, side="right"))
            ends[-1][-1] = max(ends[-1][-1], part.ends[:first].max(initial=0))
            values[-1][-1] = max(values[-1][-1], part.values[:first].max(initial=-np.inf))
        if first < len(part.starts):
            starts.append(part.starts[first:])
            ends.append(part.ends[first:])
            values.append(part.values[first:])
    return Runs(np.concatenate(starts), np.concatenate(ends), np.concatenate(values))
