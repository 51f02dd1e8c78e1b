"""Draw negatives: regions like the peaks in length and GC content, outside peaks and blacklist."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ChromNotFoundError, ConfigError
from .composition import Composition, GenomeReader, open_genome
from .frames import Int64Array, as_regions, check_integer, new_regions, refuse_rows
from .intervals import subtract

__all__ = ["sample_negatives"]

logger = logging.getLogger(__name__)

FEWEST_DRAWS = 1 << 14  # of a round
MOST_DRAWS = 1 << 21
DRAWS_PER_WANTED = 8
# A bin is given up when so many draws in a row found nothing for any that is still wanted.
MOST_FRUITLESS_DRAWS = 1 << 25
FRUITLESS_DRAWS_PER_BASE = 16  # a place is missed by them all once in 10 million times


def sample_negatives(
    peaks: pd.DataFrame,
    genome: GenomeReader | str | os.PathLike[str],
    *,
    ratio: float = 1.0,
    gc_bins: int | None = 20,
    max_unknown: float = 0.0,
    blacklist: pd.DataFrame | None = None,
    buffer: int = 0,
    chromosomes: str | Iterable[str] | None = None,
    chrom_sizes: Mapping[str, int] | None = None,
    overlapping: bool = False,
    allow_fewer: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """Draw regions that are no peaks, with the peaks' lengths and their distribution of GC content.

    Every negative belongs to a peak: it has its length, and its share of G and C falls into the same bin. All
    places where that is so are equally likely, as far as negatives drawn before leave them free.

    Parameters
    ----------
    peaks
        Regions.
    genome
        The path of a FASTA file, or an object whose ``fetch(chrom, start, end)`` gives letters, as text or ASCII codes
        in uint8. Each chromosome is read once; a human genome takes 0.8 GB of memory meanwhile.
    ratio
        Negatives per peak. With 2.5, half of the peaks of each bin have two and half have three.
    gc_bins
        Bins of equal width into which shares of G and C from 0 to 1 fall; None for no matching. The share is that of
        the known bases, A, C, G and T in either case.
    max_unknown
        Share of a negative's bases, from 0 to 1, that may be unknown.
    blacklist
        Regions to stay out of. Chromosomes that the genome does not have are simply not matched.
    buffer
        Bases around peaks and blacklist to stay out of, too.
    chromosomes
        Where to draw; by default those that have peaks.
    chrom_sizes
        Chromosome to length in bases; by default as the FASTA file or the genome's ``chrom_sizes`` says.
    overlapping
        Whether negatives may overlap each other.
    allow_fewer
        Where there are no places left, return fewer and log a warning, instead of raising an error.
    seed
        The same arguments with the same seed give the same negatives.

    Returns
    -------
    pandas.DataFrame
        chrom, start, end; ``gc``, the share of G and C, float64 (NaN without known bases); ``peak``, int64, the row
        number of the peak that a negative belongs to. In order of the peaks, with a new index.

    Raises
    ------
    ConfigError
        An argument that makes no sense; or no places left, without ``allow_fewer``.
    WindowError
        Peaks that are empty, or have no known base and so no GC content; ``rows`` says which.
    ChromNotFoundError
        A chromosome that the genome does not have.

    Examples
    --------
    >>> import numpy as np
    >>> class MadeGenome:
    ...     chrom_sizes = {"chr1": 10_000}
    ...     def fetch(self, chrom, start, end):
    ...         return ("ACGT" * 2_500)[start:end]
    >>> peaks = pd.DataFrame({"chrom": "chr1", "start": [1_000, 5_000], "end": [1_100, 5_200]})
    >>> negatives = sample_negatives(peaks, MadeGenome(), ratio=2)
    >>> (negatives["end"] - negatives["start"]).tolist(), negatives["gc"].tolist()
    ([100, 100, 200, 200], [0.5, 0.5, 0.5, 0.5])
    """
    _check_arguments(ratio, gc_bins, max_unknown)
    buffer = check_integer(buffer, "buffer", at_least=0)
    regions = as_regions(peaks, argument="peaks")
    where = _names_to_draw_on(regions, chromosomes)
    composition, sizes = _read_composition(genome, chrom_sizes, dict.fromkeys([*where, *regions["chrom"]]))
    random = np.random.default_rng(seed)
    matcher = _Matcher(composition, gc_bins)
    wanted = _wanted(regions, matcher, sizes, ratio, random)
    places = _places(composition, {name: sizes[name] for name in where}, regions, blacklist, buffer)
    starts = _draw(wanted, places, matcher, max_unknown, overlapping=overlapping, random=random)
    found = starts >= 0
    if not found.all():
        _report_missing(wanted, found, matcher, allow_fewer=allow_fewer, ratio=ratio)
    return _negatives(wanted.peaks[found], starts[found], wanted.lengths[found], composition)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Negatives (N,) to be found: the row number of each one's peak, its length, and its bin."""

    peaks: Int64Array
    lengths: Int64Array
    bins: Int64Array


@dataclass(frozen=True, slots=True)
class _Places:
    """Intervals (M,) of the line, sorted and disjoint, in which negatives may lie."""

    starts: Int64Array
    ends: Int64Array

    def draw(self, lengths: Int64Array, random: np.random.Generator) -> tuple[Int64Array, npt.NDArray[np.bool_]]:
        """Start (N,) of an interval of each length, and whether it lies in one place.

        Those that do are spread evenly over all starts that are possible for their length.
        """
        stops: Int64Array = np.cumsum(self.ends - self.starts)
        drawn = random.integers(0, stops[-1], len(lengths), dtype=np.int64)
        rows = np.searchsorted(stops, drawn, side="right")
        starts: Int64Array = self.ends[rows] - (stops[rows] - drawn)
        return starts, starts + lengths <= self.ends[rows]


@dataclass(frozen=True, slots=True)
class _Matcher:
    """Which bin of GC content an interval of the line belongs to; all to one where nothing is to be matched."""

    composition: Composition
    n_bins: int | None

    def bins(self, starts: Int64Array, ends: Int64Array) -> Int64Array:
        """(N,) bin of each interval; -1 without known bases."""
        if self.n_bins is None:
            return np.zeros(len(starts), dtype=np.int64)
        known = ends - starts - self.composition.unknown_counts(starts, ends)
        # In whole numbers: a share on the edge of two bins falls into the same one for every length.
        bins = self.composition.gc_counts(starts, ends) * self.n_bins // np.maximum(known, 1)
        return np.where(known > 0, np.minimum(bins, self.n_bins - 1), -1)


def _names_to_draw_on(regions: pd.DataFrame, chromosomes: str | Iterable[str] | None) -> list[str]:
    names = [chromosomes] if isinstance(chromosomes, str) else regions["chrom"] if chromosomes is None else chromosomes
    unique = list(dict.fromkeys(names))
    if regions.empty or not unique:
        what = "peaks" if regions.empty else "chromosomes"
        raise ConfigError(f"{what} is empty, expected one or more", argument=what, value=unique)
    return unique


def _read_composition(
    genome: GenomeReader | str | os.PathLike[str], chrom_sizes: Mapping[str, int] | None, names: Collection[str]
) -> tuple[Composition, dict[str, int]]:
    """The composition of chromosomes, and their lengths."""
    reader, sizes, close = open_genome(genome, chrom_sizes)
    try:
        for name in names:
            if name not in sizes:
                raise ChromNotFoundError.for_name(name, sizes, url="the genome")
        needed = {name: sizes[name] for name in names}
        return Composition(reader, needed), needed
    finally:
        close()


def _wanted(
    regions: pd.DataFrame, matcher: _Matcher, sizes: Mapping[str, int], ratio: float, random: np.random.Generator
) -> _Wanted:
    """Say what to look for, from the peaks."""
    lengths = (regions["end"] - regions["start"]).to_numpy()
    chrom_ends = regions["chrom"].map(sizes).to_numpy()
    first = _first_positions(regions, matcher.composition)
    starts = np.clip(regions["start"].to_numpy(), 0, chrom_ends)
    ends = np.clip(regions["end"].to_numpy(), 0, chrom_ends)
    bins = matcher.bins(first + starts, first + ends)
    why = "are empty or have no known base, so that nothing matches them: leave them out"
    refuse_rows((bins < 0) | (lengths == 0), regions, argument="peaks", why=why)
    # Shares of a negative are dealt out evenly among the peaks of a bin, starting with any of them.
    order = np.lexsort((random.random(len(regions)), bins))
    copies = np.empty(len(regions), dtype=np.int64)
    copies[order] = np.diff(np.floor(np.arange(len(regions) + 1) * ratio + 0.5)).astype(np.int64)
    rows = np.repeat(np.arange(len(regions)), copies)
    return _Wanted(rows, lengths[rows], bins[rows])


def _places(
    composition: Composition,
    sizes: Mapping[str, int],
    regions: pd.DataFrame,
    blacklist: pd.DataFrame | None,
    buffer: int,
) -> _Places:
    """Where neither peaks nor blacklist are."""
    lengths = np.array(list(sizes.values()), dtype=np.int64)
    whole = new_regions(np.array(list(sizes), dtype=object), np.zeros_like(lengths), lengths)
    columns = ["chrom", "start", "end"]
    avoided = [regions[columns]]
    if blacklist is not None:
        avoided.append(as_regions(blacklist, argument="blacklist")[columns])
    allowed = subtract(whole, pd.concat(avoided, ignore_index=True), buffer=buffer)
    if allowed.empty:
        message = "peaks and blacklist cover all chromosomes to draw from, expected room for negatives"
        raise ConfigError(message, argument="chromosomes", value=list(sizes))
    first = _first_positions(allowed, composition)
    return _Places(first + allowed["start"].to_numpy(), first + allowed["end"].to_numpy())


def _draw(
    wanted: _Wanted,
    places: _Places,
    matcher: _Matcher,
    max_unknown: float,
    *,
    overlapping: bool,
    random: np.random.Generator,
) -> Int64Array:
    """(N,) start on the line of each negative that is wanted; -1 where no place was found."""
    found = np.full(len(wanted.peaks), -1, dtype=np.int64)
    # Negatives of one length and one bin are interchangeable: a draw serves any of its class.
    lengths, length_rows = np.unique(wanted.lengths, return_inverse=True)
    n_bins = matcher.n_bins or 1
    classes = length_rows * n_bins + wanted.bins
    n_bases = int((places.ends - places.starts).sum())
    patience = min(MOST_FRUITLESS_DRAWS, max(FRUITLESS_DRAWS_PER_BASE * n_bases, FEWEST_DRAWS))
    fruitless = 0
    missing = np.arange(len(found))
    while len(missing) and fruitless < patience:
        n_draws = int(np.clip(max(DRAWS_PER_WANTED * len(missing), fruitless), FEWEST_DRAWS, MOST_DRAWS))
        drawn_lengths = length_rows[random.choice(missing, n_draws)]
        starts, fits = places.draw(lengths[drawn_lengths], random)
        starts, drawn_lengths = starts[fits], drawn_lengths[fits]
        ends = starts + lengths[drawn_lengths]
        bins = matcher.bins(starts, ends)
        good = (matcher.composition.unknown_counts(starts, ends) <= max_unknown * (ends - starts)) & (bins >= 0)
        if not overlapping:
            taken = found >= 0
            good &= ~_overlap(starts, ends, found[taken], found[taken] + wanted.lengths[taken])
        starts, drawn_classes = starts[good], (drawn_lengths * n_bins + bins)[good]
        rows, draws = _pair(classes[missing], drawn_classes)
        rows = missing[rows]
        if not overlapping:
            kept = _first_of_overlapping(starts[draws], starts[draws] + wanted.lengths[rows])
            rows, draws = rows[kept], draws[kept]
        found[rows] = starts[draws]
        fruitless = 0 if len(rows) else fruitless + n_draws
        missing = np.flatnonzero(found < 0)
    return found


def _pair(wanted: Int64Array, drawn: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Pair things that are wanted with draws of the same class, each used once: numbers (P,) of both."""
    wanted_order, wanted_nth = _nth_of_class(wanted)
    drawn_order, drawn_nth = _nth_of_class(drawn)
    # One number for a class and a place in it, so that equal numbers are pairs.
    stride = max(len(wanted), len(drawn)) + 1
    _, first, second = np.intersect1d(
        wanted[wanted_order] * stride + wanted_nth,
        drawn[drawn_order] * stride + drawn_nth,
        assume_unique=True,
        return_indices=True,
    )
    return wanted_order[first], drawn_order[second]


def _nth_of_class(classes: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Order (N,) by class that keeps equal ones in place, and in that order the number of each within its class."""
    order = np.argsort(classes, kind="stable")
    ordered = classes[order]
    return order, np.arange(len(ordered)) - np.searchsorted(ordered, ordered, side="left")


def _overlap(
    starts: Int64Array, ends: Int64Array, taken_starts: Int64Array, taken_ends: Int64Array
) -> npt.NDArray[np.bool_]:
    """(N,) whether an interval overlaps any of disjoint ones."""
    order = np.argsort(taken_starts)
    first = np.searchsorted(taken_ends[order], starts, side="right")
    stop = np.searchsorted(taken_starts[order], ends, side="left")
    return stop > first


def _first_of_overlapping(starts: Int64Array, ends: Int64Array) -> Int64Array:
    """Numbers of intervals that do not overlap each other; some that would fit are left for the next round."""
    order = np.argsort(starts, kind="stable")
    reaches = np.maximum.accumulate(ends[order])
    kept = np.ones(len(order), dtype=np.bool_)
    kept[1:] = starts[order][1:] >= reaches[:-1]
    return order[kept]


def _negatives(peaks: Int64Array, starts: Int64Array, lengths: Int64Array, composition: Composition) -> pd.DataFrame:
    firsts = np.array(list(composition.first_positions.values()), dtype=np.int64)
    names = np.array(list(composition.first_positions), dtype=object)
    rows = np.searchsorted(firsts, starts, side="right") - 1
    ends = starts + lengths
    known = lengths - composition.unknown_counts(starts, ends)
    gc = np.where(known > 0, composition.gc_counts(starts, ends) / np.maximum(known, 1), np.nan)
    return new_regions(names[rows], starts - firsts[rows], ends - firsts[rows]).assign(gc=gc, peak=peaks)


def _first_positions(regions: pd.DataFrame, composition: Composition) -> Int64Array:
    """(N,) position on the line with which each region's chromosome begins."""
    return regions["chrom"].map(composition.first_positions).to_numpy().astype(np.int64)


def _report_missing(
    wanted: _Wanted, found: npt.NDArray[np.bool_], matcher: _Matcher, *, allow_fewer: bool, ratio: float
) -> None:
    message = f"no places left for {(~found).sum()} of {len(found)} negatives"
    if matcher.n_bins:
        bins, counts = np.unique(wanted.bins[~found], return_counts=True)
        listed = ", ".join(
            f"{count} with GC content from {bin_ / matcher.n_bins:.3g} to {(bin_ + 1) / matcher.n_bins:.3g}"
            for bin_, count in zip(bins.tolist(), counts.tolist(), strict=True)
        )
        message += f" ({listed})"
    if not allow_fewer:
        advice = "take a smaller ratio, fewer gc_bins or more chromosomes, or pass allow_fewer=True"
        raise ConfigError(f"{message}; {advice}", argument="ratio", value=ratio)
    logger.warning("%s; left out", message)


def _check_arguments(ratio: float, gc_bins: int | None, max_unknown: float) -> None:
    if not 0 < ratio < np.inf:
        raise ConfigError(f"ratio is {ratio!r}, expected a number above 0", argument="ratio", value=ratio)
    if gc_bins is not None:
        check_integer(gc_bins, "gc_bins", at_least=1)
    if not 0 <= max_unknown <= 1:
        message = f"max_unknown is {max_unknown!r}, expected a share from 0 to 1"
        raise ConfigError(message, argument="max_unknown", value=max_unknown)
