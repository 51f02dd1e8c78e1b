"""One batch: where its windows lie, their sequences and values, and what belongs to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .errors import ConfigError
from .plot import plot_batch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Batch"]

Rows = slice | Sequence[int] | np.ndarray[Any, Any]
"""Which samples to take: a slice, numbers of samples, or (S,) bool."""


@dataclass(eq=False)
class Batch:
    """Samples side by side. Of the dataset: all set; as a query to a loader: only the first three need be.

    Parameters
    ----------
    chromosomes
        (S,) names.
    starts, ends
        (S,) the stretch of each chromosome that ``values`` shows, in bases, 0-based and half-open.
    track_indices
        (T,) numbers of the tracks in ``values``; None for all.
    sequences
        (S, L, 4) encoded bases, or a list of S strings; None without a reference genome.
    values
        (S, B, T) NumPy or CuPy array; bfloat16 as its bits, uint16.
    track_names
        (T,) paths of the tracks.
    other_batched
        Anything else with one row per sample: arrays by name, or a list of arrays.
    other
        Anything else; it is kept as it is.
    track_mask
        (T,) bool, False where a track could not be read and shows its default; None if none may fail.
    reverse_complement
        (S,) bool, which samples show the other strand: their sequences and bins run from ``ends`` to ``starts``.

    Examples
    --------
    >>> batch = Batch(["chr1", "chr2"], [100, 200], [110, 210], values=np.zeros((2, 10, 3), np.float32))
    >>> batch[:1]
    Batch(1 sample, starts=[100], values=(1, 10, 3))
    >>> len(batch)
    2
    """

    chromosomes: Any
    starts: Any
    ends: Any
    track_indices: Any = None
    sequences: Any = None
    values: Any = None
    track_names: Sequence[str] | None = None
    other_batched: Mapping[str, Any] | Sequence[Any] | None = None
    other: Any = None
    track_mask: Any = None
    reverse_complement: Any = None

    @classmethod
    def from_args(cls, query: Self | tuple[Any, Any, Any] | Mapping[str, Any]) -> Self:
        """A query in any of its forms as a batch.

        Parameters
        ----------
        query
            A batch, (chromosomes, starts, ends), or a mapping of this class' arguments.

        Raises
        ------
        ConfigError
            It is something else.
        """
        if isinstance(query, cls):
            return query
        try:
            if isinstance(query, Mapping):
                return cls(**query)
            if isinstance(query, tuple | list) and len(query) == 3:
                return cls(*query)
        except TypeError as error:
            raise ConfigError(f"A query has the wrong fields ({error})", argument="query", value=query) from None
        message = (
            f"A query is {type(query).__name__}, expected a Batch, (chromosomes, starts, ends), or a mapping of the "
            "arguments of Batch"
        )
        raise ConfigError(message, argument="query", value=query)

    def as_tuple(self) -> tuple[Any, ...]:
        """``(sequences, values)``; and ``track_indices, track_names`` if they were chosen."""
        if self.track_indices is None:
            return self.sequences, self.values
        return self.sequences, self.values, self.track_indices, self.track_names

    def __getitem__(self, rows: Rows) -> Self:
        """The batch with some of the samples; arrays are views where NumPy's indexing gives views."""
        others = self.other_batched
        return replace(
            self,
            chromosomes=_take(self.chromosomes, rows),
            starts=_take(self.starts, rows),
            ends=_take(self.ends, rows),
            sequences=_take(self.sequences, rows),
            values=_take(self.values, rows),
            reverse_complement=_take(self.reverse_complement, rows),
            other_batched=(
                {name: _take(array, rows) for name, array in others.items()}
                if isinstance(others, Mapping)
                else None
                if others is None
                else [_take(array, rows) for array in others]
            ),
        )

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.starts)

    def plot(self, sample: int = 0, *, same_scale: bool = False) -> Figure:
        """Draw one sample: its sequence and its tracks; see :func:`bigwig_numba.plot.plot_batch`.

        Parameters
        ----------
        sample
            Which; negative ones count from the end.
        same_scale
            Whether all tracks have one scale.

        Returns
        -------
        matplotlib.figure.Figure
            Notebooks show it; ``figure.savefig("sample.svg")`` writes it.
        """
        return plot_batch(self, sample, same_scale=same_scale)

    def __repr__(self) -> str:
        starts = np.asarray(self.starts[:3]).tolist()
        shown = f"[{', '.join(map(str, starts))}{', ...' if len(self) > len(starts) else ''}]"
        shapes = {"sequences": self.sequences, "values": self.values}
        described = "".join(
            f", {name}={tuple(array.shape) if hasattr(array, 'shape') else f'{len(array)} strings'}"
            for name, array in shapes.items()
            if array is not None
        )
        return f"Batch({len(self)} sample{'s' if len(self) != 1 else ''}, starts={shown}{described})"


def _take(samples: Any, rows: Rows) -> Any:
    """Some rows of an array, a tensor or a list; None stays None."""
    if samples is None or isinstance(rows, slice) or hasattr(samples, "shape"):
        return None if samples is None else samples[rows]
    numbers = np.arange(len(samples))[np.asarray(rows)]
    return [samples[number] for number in numbers]
