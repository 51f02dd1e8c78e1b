"""From drawn windows to batches: sequences and values read together, transformed, and cut into batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..batch import Batch
from ..collection import BigWigCollection
from ..encoders import SequenceEncoder, StringEncoder
from ..engine.cpu import ALIGNMENT, aligned_empty
from ..genome import ReferenceGenome
from ..kernels.statistics import Statistic
from ..samplers import Windows
from ..samplers.windows import Int64Array
from ..transforms import Augmentation, TrackTransforms, moving_average
from .sampling import DrawnBatch
from .settings import DatasetSettings, Layout
from .stats import WorkClock

__all__ = ["BatchReader", "NameOf", "SequenceReader", "ValueReader"]

NameOf = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
"""From names (S,) as the user has them to names as the tracks have them."""


@dataclass(frozen=True, eq=False)
class SequenceReader:
    """Reads and encodes the sequences of windows.

    Parameters
    ----------
    genome
        Where from.
    encoder
        Of bases, of a list of strings, or None for strings.
    layout
        Of encoded bases: ``"BLT"`` for (S, L, 4), ``"BTL"`` for (S, 4, L).
    """

    genome: ReferenceGenome
    encoder: SequenceEncoder | StringEncoder | None
    layout: Layout

    @property
    def reads_together(self) -> bool:
        """Whether the windows of several batches may be encoded in one call."""
        return self.encoder is None or isinstance(self.encoder, SequenceEncoder)

    def read(self, windows: Windows) -> Any:
        """Encoded bases (S, L, C), or (S, C, L), or what the encoder makes of the strings."""
        place = (windows.chromosomes, windows.starts, windows.ends)
        flipped = windows.reverse_complement
        if isinstance(self.encoder, SequenceEncoder):
            return self.genome.encode(*place, encoder=self.encoder, reverse_complement=flipped, layout=self.layout)
        strings = self.genome.strings(*place, reverse_complement=flipped)
        return strings if self.encoder is None else self.encoder(strings)


@dataclass(frozen=True, eq=False)
class ValueReader:
    """Reads the values of windows: reduced to bins, smoothed, transformed, turned to the strand of the sample.

    Parameters
    ----------
    collection
        Where from.
    settings
        Of the dataset.
    statistic
        Of the bins.
    name_of
        Translates chromosome names.
    transforms
        Of the tracks, or None.
    augmentation
        Turns samples.
    """

    collection: BigWigCollection
    settings: DatasetSettings
    statistic: str | Statistic
    name_of: NameOf
    transforms: TrackTransforms | None
    augmentation: Augmentation

    def read(self, windows: Windows, tracks: Int64Array | None, clock: WorkClock) -> Any:
        """(S, B, T), or (S, T, B), of the middle of the windows."""
        settings = self.settings
        starts, ends = self.bins(windows)
        values = self.collection.get_batch(
            self.name_of(windows.chromosomes),
            starts,
            ends,
            window_size=settings.window_size,
            default_value=settings.default_value,
            dtype=settings.dtype,
            track_indices=tracks,
            statistic=self.statistic,
        )
        with clock.measure("transform"):
            values = moving_average(values, settings.moving_average_window_size)
            if self.transforms is not None:
                values = self.transforms.apply(values, track_indices=tracks)
            values = self.augmentation.values(values, windows.reverse_complement, track_indices=tracks)
            return _with_bins_last(values) if settings.layout == "BTL" else values

    def target(self, windows: Windows) -> tuple[Int64Array, Int64Array]:
        """Starts and ends (S,) of what is to be predicted, on the chromosome.

        It begins as many bases into the sequence on whichever strand that is read.
        """
        offset, length = self.settings.first_target_base, self.settings.target_length
        on_reverse = windows.ends - offset - length
        starts = np.where(windows.reverse_complement, on_reverse, windows.starts + offset)
        return starts, starts + length

    def bins(self, windows: Windows) -> tuple[Int64Array, Int64Array]:
        """Starts and ends (S,) of the whole bins in it: the first bin begins where the sample's strand does."""
        starts, ends = self.target(windows)
        covered = self.settings.n_bins * self.settings.window_size
        starts = np.where(windows.reverse_complement, ends - covered, starts)
        return starts, starts + covered


@dataclass(frozen=True, eq=False)
class BatchReader:
    """Makes batches of what was drawn.

    Parameters
    ----------
    values, sequences
        Readers; without the second batches have no sequences.
    track_names
        Path of each track of the collection.
    clock
        Takes the time.
    """

    values: ValueReader
    sequences: SequenceReader | None
    track_names: Sequence[str]
    clock: WorkClock

    def read(self, drawn: Sequence[DrawnBatch]) -> list[Batch]:
        """One batch for each; those with the same tracks are read together."""
        if len(drawn) > 1 and any(one.tracks is not None for one in drawn):
            return [batch for one in drawn for batch in self.read([one])]
        tracks = drawn[0].tracks
        windows = joined_windows([one.windows for one in drawn])
        rows = _rows([len(one.windows) for one in drawn])
        sequences = self._sequences(windows, rows)
        values = self.values.read(windows, tracks, self.clock)
        starts, ends = self.values.target(windows)
        names = list(self.track_names) if tracks is None else [self.track_names[track] for track in tracks]
        return [
            Batch(
                chromosomes=windows.chromosomes[taken],
                starts=starts[taken],
                ends=ends[taken],
                track_indices=tracks,
                sequences=sequence,
                values=own_memory(values[taken]),
                track_names=names,
                other_batched=one.windows.other or None,
                track_mask=self._track_mask(tracks),
                reverse_complement=windows.reverse_complement[taken],
            )
            for one, taken, sequence in zip(drawn, rows, sequences, strict=True)
        ]

    def _sequences(self, windows: Windows, rows: list[slice]) -> list[Any]:
        """Of each batch."""
        if self.sequences is None:
            return [None] * len(rows)
        with self.clock.measure("sequence"):
            if not self.sequences.reads_together:
                return [self.sequences.read(windows[taken]) for taken in rows]
            sequences = self.sequences.read(windows)
            return [own_memory(sequences[taken]) for taken in rows]

    @property
    def has_track_mask(self) -> bool:
        """Whether tracks may fail: if not, one that does is an error."""
        return self.values.collection.on_error == "mask"

    def _track_mask(self, tracks: Int64Array | None) -> npt.NDArray[np.bool_] | None:
        """(T,) which tracks could be read."""
        if not self.has_track_mask:
            return None
        valid = self.values.collection.valid_tracks
        return valid if tracks is None else valid[tracks]


def joined_windows(parts: Sequence[Windows]) -> Windows:
    """Windows of several batches, one after another, without their ``other``."""
    if len(parts) == 1:
        return parts[0]
    return Windows(
        np.concatenate([part.chromosomes for part in parts]),
        np.concatenate([part.starts for part in parts]),
        np.concatenate([part.ends for part in parts]),
        np.concatenate([part.reverse_complement for part in parts]),
    )


def own_memory(samples: Any) -> Any:
    """Part of a larger array as it is, or copied if it begins at an address that TensorFlow and JAX cannot take."""
    if isinstance(samples, np.ndarray):
        if samples.ctypes.data % ALIGNMENT == 0 and samples.flags.c_contiguous:
            return samples
        own = aligned_empty(samples.shape, samples.dtype)
        own[...] = samples
        return own
    if hasattr(samples, "data") and hasattr(samples.data, "ptr"):
        return samples if samples.data.ptr % ALIGNMENT == 0 and samples.flags.c_contiguous else samples.copy()
    return samples


def _with_bins_last(values: Any) -> Any:
    """(S, T, B) of (S, B, T), in memory of its own."""
    turned = values.transpose(0, 2, 1)
    return own_memory(turned) if isinstance(values, np.ndarray) else turned.copy()


def _rows(sizes: Sequence[int]) -> list[slice]:
    ends = np.cumsum(sizes).tolist()
    return [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
