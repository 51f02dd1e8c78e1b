"""Which tracks a batch has: a random subset, or what an iterable says."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..arguments import track_numbers
from ..errors import ConfigError
from ..regions.frames import check_integer
from .keyed import Draw, check_seed, keyed_generator
from .numbered import NumberedStream
from .windows import Int64Array

__all__ = ["SampledTracks", "StreamTracks", "TrackSampler"]

ARGUMENT = "custom_track_sampler"


@runtime_checkable
class TrackSampler(Protocol):
    """What gives the tracks of batches; a batch with all tracks needs none.

    Examples
    --------
    One of one's own, for ``BigWigDataset(custom_track_sampler=...)``: two tracks after another.

    >>> class TwoByTwo:
    ...     def tracks(self, *, epoch, number):
    ...         return np.array([2 * number, 2 * number + 1]) % 8
    >>> isinstance(TwoByTwo(), TrackSampler), TwoByTwo().tracks(epoch=0, number=5).tolist()
    (True, [2, 3])
    """

    def tracks(self, *, epoch: int, number: int) -> Int64Array | None:
        """Tracks (T,) int64 of a batch. None: a stream of them has ended, and with it the epoch."""
        ...


class SampledTracks:
    """A new random subset of the tracks for each batch, in ascending order.

    Parameters
    ----------
    n_tracks
        Of the collection.
    sub_sample
        How many a batch has.
    seed
        0 to 2**64 - 1.
    strand_pairs
        Tracks of the two strands of one experiment, which are drawn both or not at all: the reverse complement of a
        sample needs them both.

    Raises
    ------
    ConfigError
        More tracks than there are, or a number that cannot be made of pairs.

    Examples
    --------
    >>> sampler = SampledTracks(40, 3, seed=1)
    >>> tracks = sampler.tracks(epoch=0, number=0)
    >>> len(set(tracks.tolist())), (tracks == sampler.tracks(epoch=0, number=0)).all()
    (3, np.True_)
    """

    def __init__(
        self, n_tracks: int, sub_sample: int, *, seed: int, strand_pairs: Sequence[tuple[int, int]] = ()
    ) -> None:
        self.n_tracks = check_integer(n_tracks, "n_tracks", at_least=1)
        self.sub_sample = check_integer(sub_sample, "sub_sample_tracks", at_least=1)
        self.seed = check_seed(seed)
        if self.sub_sample > self.n_tracks:
            self._refuse(f"there are {self.n_tracks} tracks")
        self._pairs = np.asarray(strand_pairs, dtype=np.int64).reshape(-1, 2)
        self._singles = np.setdiff1d(np.arange(self.n_tracks), self._pairs)
        n_singles, n_pairs = len(self._singles), len(self._pairs)
        fewest = max(0, -(-(self.sub_sample - n_singles) // 2))
        self._pair_counts = np.arange(fewest, min(n_pairs, self.sub_sample // 2) + 1)
        if not len(self._pair_counts):
            self._refuse(f"strand pairs stay together, and there are {n_pairs} of them and {n_singles} other tracks")
        n_subsets = [
            math.comb(n_pairs, many) * math.comb(n_singles, self.sub_sample - 2 * many) for many in self._pair_counts
        ]
        self._chances = [many / sum(n_subsets) for many in n_subsets]  # each possible subset is equally likely

    def tracks(self, *, epoch: int, number: int) -> Int64Array:
        """Tracks (T,) int64 of a batch."""
        generator = keyed_generator(self.seed, Draw.TRACKS, epoch=epoch, number=number)
        if not len(self._pairs):
            return np.sort(generator.choice(self.n_tracks, self.sub_sample, replace=False))
        n_pairs = int(generator.choice(self._pair_counts, p=self._chances))
        singles = generator.choice(self._singles, self.sub_sample - 2 * n_pairs, replace=False)
        pairs = generator.choice(self._pairs, n_pairs, replace=False)
        return np.sort(np.concatenate([singles, pairs.ravel()]))

    def _refuse(self, why: str) -> None:
        message = f"sub_sample_tracks is {self.sub_sample}, but {why}"
        raise ConfigError(message, argument="sub_sample_tracks", value=self.sub_sample)


class StreamTracks:
    """The sets of tracks of an iterable, one a batch, in its order.

    A list, and anything whose ``__iter__`` begins anew, is gone through again and again, each epoch from the first; a
    generator goes on where the last epoch ended, and when it ends so does the epoch.

    Parameters
    ----------
    tracks
        Of sequences of track numbers.

    Examples
    --------
    >>> sampler = StreamTracks([[0, 1], [2, 3]])
    >>> [sampler.tracks(epoch=0, number=number).tolist() for number in range(3)]
    [[0, 1], [2, 3], [0, 1]]
    """

    def __init__(self, tracks: Iterable[Any]) -> None:
        if isinstance(tracks, str | bytes) or not isinstance(tracks, Iterable):
            message = f"{ARGUMENT} is of type {type(tracks).__name__}, expected an iterable of lists of track numbers"
            raise ConfigError(message, argument=ARGUMENT, value=type(tracks).__name__)
        again = not isinstance(tracks, Iterator)
        begin = functools.partial(_cycle if again else _once, tracks)
        self._sets: NumberedStream[Any] = NumberedStream(begin, begins_again=again, argument=ARGUMENT)

    def tracks(self, *, epoch: int, number: int) -> Int64Array | None:
        """Tracks (T,) int64 of a batch, or None if the stream has ended before it."""
        chosen = self._sets.item(epoch=epoch, number=number)
        return None if chosen is None else track_numbers(chosen)


def _cycle(sets: Iterable[Any]) -> Iterator[Any]:
    """Again and again, without keeping the items; an empty iterable ends at once."""
    found = True
    while found:
        found = False
        for chosen in sets:
            found = True
            yield chosen


def _once(sets: Iterable[Any]) -> Iterator[Any]:
    return iter(sets)
