"""What a sampler gives, ``Windows``, and what a sampler is, ``PositionSampler``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

__all__ = ["PositionSampler", "Windows"]

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Windows of a batch: where its sequences lie.

    Parameters
    ----------
    chromosomes
        (S,) names, an array of objects.
    starts, ends
        (S,) int64 positions on the chromosome in bases, 0-based and half-open; all windows have one length. Windows of
        a tiling may hang over an end of the chromosome, those of other samplers do not.
    reverse_complement
        (S,) bool, whether the sample is read on the other strand.
    other
        More about each sample: name to array (S, ...), for instance the row of its region.

    Examples
    --------
    >>> windows = Windows.around(np.array(["chr1", "chr2"], object), np.array([100, 205]), length=10)
    >>> windows.starts, windows.ends
    (array([ 95, 200]), array([105, 210]))
    >>> windows.target(4)
    (array([ 98, 203]), array([102, 207]))
    >>> len(windows[:1])
    1
    """

    chromosomes: npt.NDArray[Any]
    starts: Int64Array
    ends: Int64Array
    reverse_complement: npt.NDArray[np.bool_]
    other: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    @classmethod
    def around(
        cls,
        chromosomes: npt.NDArray[Any],
        centers: Int64Array,
        *,
        length: int,
        reverse_complement: npt.NDArray[np.bool_] | None = None,
        other: Mapping[str, npt.NDArray[Any]] | None = None,
    ) -> Windows:
        """Windows of one length around centres: each begins ``length // 2`` bases before its centre.

        Parameters
        ----------
        chromosomes, centers
            (S,) names and positions.
        length
            In bases.
        reverse_complement, other
            As in the class; on the forward strand, and nothing more, by default.
        """
        starts = centers - length // 2
        if reverse_complement is None:
            reverse_complement = np.zeros(len(starts), dtype=np.bool_)
        return cls(chromosomes, starts, starts + length, reverse_complement, {} if other is None else other)

    @property
    def centers(self) -> Int64Array:
        """(S,) int64."""
        return self.starts + (self.ends - self.starts) // 2

    def target(self, length: int) -> tuple[Int64Array, Int64Array]:
        """Starts and ends (S,) of the part of ``length`` bases around the same centres: what is to be predicted."""
        starts = self.centers - length // 2
        return starts, starts + length

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, rows: slice) -> Windows:
        other = {name: array[rows] for name, array in self.other.items()}
        return Windows(self.chromosomes[rows], self.starts[rows], self.ends[rows], self.reverse_complement[rows], other)


@runtime_checkable
class PositionSampler(Protocol):
    """What gives the windows of batches.

    Batches of an epoch have numbers, across all ranks. A sampler answers the same for the same numbers, in any order
    and from any thread.

    Examples
    --------
    One of one's own, for ``BigWigDataset(custom_position_sampler=...)``: windows that move along a chromosome.

    >>> class AlongChr1:
    ...     def batch(self, *, epoch, number):
    ...         centers = 1_000 * np.arange(4 * number + 1, 4 * number + 5)
    ...         return Windows.around(np.full(4, "chr1", dtype=object), centers, length=200)
    ...     def n_batches(self, epoch):
    ...         return 3
    >>> isinstance(AlongChr1(), PositionSampler)
    True
    >>> AlongChr1().batch(epoch=0, number=1).starts
    array([4900, 5900, 6900, 7900])
    """

    def batch(self, *, epoch: int, number: int) -> Windows | None:
        """Windows of one batch.

        Where :meth:`n_batches` is known every number has an answer: beyond the last, random positions go on and others
        begin again, so that all ranks can take equally many. Where it is not, None says that the epoch is over.
        """
        ...

    def n_batches(self, epoch: int) -> int | None:
        """Batches of an epoch, or None where only the stream of positions knows."""
        ...
