"""Positions that someone else chooses: any iterable of (chromosome, center)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arguments import positions as whole_numbers
from ..errors import ConfigError
from ..regions.frames import check_integer
from .limits import MOST_REFUSED, UnknownCounts, WindowLimits
from .numbered import NumberedStream
from .windows import Int64Array, Windows

__all__ = ["StreamWindows"]

ARGUMENT = "custom_position_sampler"


class StreamWindows:
    """Windows around the positions of an iterable, in its order.

    Positions whose window would leave the chromosome, or has too many unknown bases, are passed over. A list, and
    anything whose ``__iter__`` begins anew, gives the same positions each epoch; a generator, which cannot, goes on
    where the last epoch ended, and when it ends so does the epoch. The last batch has what is left.

    A batch is read from the stream when it, or a later one, is first asked for. Each rank reads the whole stream and
    leaves out what belongs to others, so the stream must be the same for all.

    Parameters
    ----------
    positions
        Of tuples ``(chromosome, center)``, or mappings with these keys. What else a mapping has, the same keys in each,
        goes to ``other``.
    sequence_length
        Of the windows, in bases.
    batch_size
        Windows of a batch.
    chromosome_sizes
        Name to length in bases.
    batches_per_epoch
        End the epoch after so many; by default where the stream ends.
    unknown_counts, maximum_unknown_bases_fraction
        As in :class:`RandomWindows`.

    Raises
    ------
    ConfigError
        An argument that makes no sense; when it is met, an item that is no position, or a million that cannot be had.
    ChromNotFoundError
        When it is met, a position on a chromosome without a size.

    Examples
    --------
    >>> sampler = StreamWindows(
    ...     [("chr1", 50), ("chr1", 2), ("chr1", 70)], sequence_length=10, batch_size=8,
    ...     chromosome_sizes={"chr1": 100})
    >>> sampler.batch(epoch=0, number=0).starts
    array([45, 65])
    >>> sampler.batch(epoch=0, number=1) is None
    True
    """

    def __init__(
        self,
        positions: Iterable[Any],
        *,
        sequence_length: int,
        batch_size: int,
        chromosome_sizes: Mapping[str, int],
        batches_per_epoch: int | None = None,
        unknown_counts: UnknownCounts | None = None,
        maximum_unknown_bases_fraction: float = 0.1,
    ) -> None:
        if isinstance(positions, str | bytes | Mapping) or not isinstance(positions, Iterable):
            message = f"{ARGUMENT} is of type {type(positions).__name__}, expected an iterable of (chromosome, center)"
            raise ConfigError(message, argument=ARGUMENT, value=type(positions).__name__)
        self.sequence_length = check_integer(sequence_length, "sequence_length", at_least=1)
        self.batch_size = check_integer(batch_size, "batch_size", at_least=1)
        if batches_per_epoch is not None:
            check_integer(batches_per_epoch, "batches_per_epoch", at_least=1)
        self.batches_per_epoch = batches_per_epoch
        self._limits = WindowLimits(chromosome_sizes, unknown_counts, maximum_unknown_bases_fraction)
        self._positions = positions
        begins_again = not isinstance(positions, Iterator)
        self._batches = NumberedStream(self._read, begins_again=begins_again, argument=ARGUMENT)

    def n_batches(self, epoch: int) -> int | None:
        """None: only the stream knows."""
        return None

    def batch(self, *, epoch: int, number: int) -> Windows | None:
        """Windows of a batch, or None if the epoch has ended before it."""
        if self.batches_per_epoch is not None and number >= self.batches_per_epoch:
            return None
        return self._batches.item(epoch=epoch, number=number)

    def _read(self) -> Iterator[Windows]:
        """Batches of the positions that may be had. Nothing is read ahead of the batch."""
        positions = iter(self._positions)
        kept: list[_Positions] = []
        n_missing, n_refused = self.batch_size, 0
        while items := list(itertools.islice(positions, n_missing)):
            some = self._allowed(_Positions.parse(items))
            n_refused = 0 if len(some.centers) else n_refused + len(items)
            if n_refused >= MOST_REFUSED:
                message = (
                    f"{ARGUMENT}: none of the last {n_refused:,} positions could be had; a window of "
                    f"{self.sequence_length} bases around them leaves the chromosome or has too many unknown (N) bases"
                )
                raise ConfigError(message, argument=ARGUMENT, value=n_refused)
            kept.append(some)
            n_missing -= len(some.centers)
            if not n_missing:
                yield self._windows(_Positions.join(kept))
                kept, n_missing = [], self.batch_size
        last = _Positions.join(kept)
        if len(last.centers):
            yield self._windows(last)

    def _windows(self, some: _Positions) -> Windows:
        return Windows.around(some.chromosomes, some.centers, length=self.sequence_length, other=some.other)

    def _allowed(self, some: _Positions) -> _Positions:
        windows = self._windows(some)
        sizes = self._limits.sizes(some.chromosomes)
        allowed = np.flatnonzero((windows.starts >= 0) & (windows.ends <= sizes))
        starts, ends = windows.starts[allowed], windows.ends[allowed]
        return some.take(allowed[self._limits.are_known(some.chromosomes[allowed], starts, ends)])


@dataclass(frozen=True, slots=True, eq=False)
class _Positions:
    """Positions (N,) as arrays, with what else their mappings had."""

    chromosomes: npt.NDArray[Any]
    centers: Int64Array
    other: Mapping[str, npt.NDArray[Any]]

    @classmethod
    def parse(cls, items: list[Any]) -> _Positions:
        names = np.empty(len(items), dtype=object)
        if isinstance(items[0], Mapping):
            columns = _columns(items)
            names[:] = columns.pop("chromosome")
            centers = columns.pop("center")
            other = {key: np.asarray(column) for key, column in columns.items()}
        else:
            names[:], centers = _pairs(items)
            other = {}
        return cls(names, whole_numbers(centers, "center"), other)

    def take(self, rows: npt.NDArray[np.intp]) -> _Positions:
        other = {key: column[rows] for key, column in self.other.items()}
        return _Positions(self.chromosomes[rows], self.centers[rows], other)

    @classmethod
    def join(cls, parts: list[_Positions]) -> _Positions:
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls(np.empty(0, dtype=object), np.empty(0, dtype=np.int64), {})
        keys = parts[0].other.keys()
        if any(part.other.keys() != keys for part in parts):
            raise _no_position(sorted(keys), "with the same keys as the items before")
        other = {key: np.concatenate([part.other[key] for part in parts]) for key in keys}
        chromosomes, centers = (np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__[:2])
        return cls(chromosomes, centers, other)


def _columns(items: list[Any]) -> dict[str, list[Any]]:
    """The columns of a list of mappings."""
    keys = items[0].keys()
    if not {"chromosome", "center"} <= keys:
        raise _no_position(items[0], "with the keys chromosome and center")
    wrong = next((item for item in items if not isinstance(item, Mapping) or item.keys() != keys), None)
    if wrong is not None:
        raise _no_position(wrong, f"with the keys {', '.join(map(str, keys))} as the item before")
    return {key: [item[key] for item in items] for key in keys}


def _pairs(items: list[Any]) -> tuple[list[Any], list[Any]]:
    try:
        names, centers = zip(*((name, center) for name, center in items), strict=True)
    except (TypeError, ValueError):
        wrong = next((item for item in items if not _is_pair(item)), items[0])
        raise _no_position(wrong, "as (chromosome, center)") from None
    return list(names), list(centers)


def _is_pair(item: Any) -> bool:
    return hasattr(item, "__len__") and len(item) == 2


def _no_position(item: Any, expected: str) -> ConfigError:
    message = f"{ARGUMENT} gave {item!r}, expected a position {expected}"
    return ConfigError(message, argument=ARGUMENT, value=item)
