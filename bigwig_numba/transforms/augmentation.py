"""Augmentation: the reverse complement and jitter, the same for sequence and tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arguments import number as as_number
from ..arguments import track_numbers
from ..errors import ConfigError
from ..kernels.transforms import mirror_range
from ..regions.frames import check_integer
from ..samplers.keyed import Draw, check_seed, keyed_generator
from ..samplers.limits import UnknownCounts, WindowLimits
from ..samplers.windows import Int64Array, Windows
from .flat import FlatValues, launch, to_device_of

__all__ = ["Augmentation"]

JITTER_TRIES = 10


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How samples are varied.

    :meth:`windows` decides, from (seed, epoch, number of the batch) alone; the sequence is then read as the windows
    say, and :meth:`values` does to the tracks what was decided. Positions do not depend on it.

    Parameters
    ----------
    reverse_complement
        Probability, 0 to 1, with which a sample is read on the other strand.
    jitter
        Windows are moved by up to so many bases to either side, each distance equally likely. One that would leave the
        chromosome is not drawn; one that brings too many unknown bases is drawn again, and given up after ten times.
    strand_pairs
        Pairs of tracks, by number in the collection, that are the two strands of one experiment: the reverse complement
        swaps them.

    Raises
    ------
    ConfigError
        An argument that makes no sense, for instance a track in two pairs.

    Examples
    --------
    >>> augmentation = Augmentation(reverse_complement=1, strand_pairs=[(0, 1)])
    >>> windows = Windows.around(np.array(["chr1"], object), np.array([500]), length=6)
    >>> windows = augmentation.windows(windows, seed=1, epoch=0, number=0, chromosome_sizes={"chr1": 1000})
    >>> values = np.array([[[1, 10], [2, 20], [3, 30]]], np.float32)
    >>> augmentation.values(values, windows.reverse_complement)[0]
    array([[30.,  3.],
           [20.,  2.],
           [10.,  1.]], dtype=float32)
    """

    reverse_complement: float = 0.0
    jitter: int = 0
    strand_pairs: Sequence[tuple[int, int]] = ()

    def __post_init__(self) -> None:
        chance = self.reverse_complement
        if not 0 <= as_number(chance, "reverse_complement") <= 1:
            message = f"reverse_complement is {chance}, expected a probability from 0 to 1"
            raise ConfigError(message, argument="reverse_complement", value=chance)
        check_integer(self.jitter, "jitter", at_least=0)
        object.__setattr__(self, "strand_pairs", _checked_pairs(self.strand_pairs))

    def windows(
        self,
        windows: Windows,
        *,
        seed: int,
        epoch: int,
        number: int,
        chromosome_sizes: Mapping[str, int],
        unknown_counts: UnknownCounts | None = None,
        maximum_unknown_bases_fraction: float = 0.1,
    ) -> Windows:
        """Windows of a batch, moved, and with the strand on which each is read.

        Parameters
        ----------
        windows
            As a sampler gives them. A strand that it chose is turned around where the other one is drawn.
        seed, epoch, number
            What the sampler was asked for.
        chromosome_sizes, unknown_counts, maximum_unknown_bases_fraction
            As the sampler's.
        """
        check_seed(seed)
        if self.jitter:
            limits = WindowLimits(chromosome_sizes, unknown_counts, maximum_unknown_bases_fraction)
            shifts = self._shifts(keyed_generator(seed, Draw.JITTER, epoch=epoch, number=number), windows, limits)
            windows = replace(windows, starts=windows.starts + shifts, ends=windows.ends + shifts)
        if self.reverse_complement:
            generator = keyed_generator(seed, Draw.STRAND, epoch=epoch, number=number)
            turned = generator.random(len(windows)) < self.reverse_complement
            windows = replace(windows, reverse_complement=windows.reverse_complement ^ turned)
        return windows

    def _shifts(self, generator: np.random.Generator, windows: Windows, limits: WindowLimits) -> Int64Array:
        """By how many bases (S,) windows are moved."""
        room = limits.sizes(windows.chromosomes) - windows.ends
        lowest = -np.clip(windows.starts, 0, self.jitter)
        highest = np.clip(room, 0, self.jitter)
        shifts = np.zeros(len(windows), dtype=np.int64)
        rows = np.arange(len(windows))
        for _ in range(JITTER_TRIES):
            drawn = generator.integers(lowest[rows], highest[rows], endpoint=True)
            starts, ends = windows.starts[rows] + drawn, windows.ends[rows] + drawn
            are_known = limits.are_known(windows.chromosomes[rows], starts, ends)
            shifts[rows[are_known]] = drawn[are_known]
            rows = rows[~are_known]
            if not len(rows):
                break
        return shifts

    def values(
        self, values: Any, reverse_complement: npt.NDArray[np.bool_], *, track_indices: Any | None = None
    ) -> Any:
        """Mirror, in place, the values of samples that are read on the other strand.

        Their bins are put in reverse order and the tracks of strand pairs swapped. Do this last: a moving average of
        even width is not the same from the other side.

        Parameters
        ----------
        values : (S, B, T) float32 or float16, or uint16 with the bits of bfloat16
            NumPy or CuPy, written to. More axes may follow.
        reverse_complement
            (S,) bool, of the windows.
        track_indices
            (T,) which tracks of the collection these are; all by default.

        Returns
        -------
        (S, B, T) array
            ``values``; of an array that is not C-contiguous, a changed copy.

        Raises
        ------
        ConfigError
            One track of a strand pair is not among the values.
        """
        if not np.any(reverse_complement):
            return values
        flat = FlatValues.of(values)
        n_samples, n_bins, n_tracks = flat.shape
        if len(reverse_complement) != n_samples:
            message = f"reverse_complement has {len(reverse_complement)} samples, and values have {n_samples}"
            raise ConfigError(message, argument="reverse_complement", value=len(reverse_complement))
        numbers = np.arange(n_tracks) if track_indices is None else track_numbers(track_indices)
        host = (np.asarray(reverse_complement, dtype=np.uint8), self._partners(numbers))
        is_reversed, partners = (to_device_of(flat, array) for array in host)
        arguments = (flat.bits, is_reversed, partners, n_bins, flat.n_inner)
        if flat.is_on_host:
            mirror_range(0, n_samples, *arguments)
        elif flat.array.size:
            from ..kernels.launch_transforms import mirror_samples

            launch(mirror_samples, flat.array.size, *arguments, name="mirror_samples")
        return flat.array

    def _partners(self, numbers: Int64Array) -> Int64Array:
        """For each track (T,) of values the place among them of its other strand, or its own."""
        places = {int(track): place for place, track in enumerate(numbers)}
        partners = np.arange(len(numbers))
        for pair in self.strand_pairs:
            there = [track for track in pair if track in places]
            if len(there) == 1:
                message = (
                    f"strand pair {tuple(pair)}: only track {there[0]} is among the values, so it has no other strand "
                    "for the reverse complement. Read both tracks of a pair, or neither."
                )
                raise ConfigError(message, argument="strand_pairs", value=tuple(pair))
            if there:
                first, second = places[pair[0]], places[pair[1]]
                partners[first], partners[second] = second, first
        return partners


def _checked_pairs(pairs: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    if any(len(pair) != 2 for pair in pairs):
        message = f"strand_pairs is {pairs!r}, expected pairs of track numbers"
        raise ConfigError(message, argument="strand_pairs", value=pairs)
    checked = tuple(
        (check_integer(one, "strand_pairs", at_least=0), check_integer(other, "strand_pairs", at_least=0))
        for one, other in pairs
    )
    tracks = [track for pair in checked for track in pair]
    twice = next((track for track in tracks if tracks.count(track) > 1), None)
    if twice is not None:
        message = f"strand_pairs has track {twice} twice, expected each track in one pair at most"
        raise ConfigError(message, argument="strand_pairs", value=pairs)
    return checked
