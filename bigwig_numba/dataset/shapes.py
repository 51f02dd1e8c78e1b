"""What all batches of a dataset have in common, for frameworks that want to know before the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..encoders import SequenceEncoder
from ..samplers import SampledTracks, TrackSampler
from .reading import BatchReader, SequenceReader

__all__ = ["BatchShapes"]


@dataclass(frozen=True)
class BatchShapes:
    """Shapes of a sample, and which fields there are.

    Attributes
    ----------
    values
        Of one sample, (B, T) or (T, B); T is None where a custom sampler of tracks decides.
    sequences
        Of one sample, () for a string; None without a genome.
    sequence_dtype
        Its type, ``"str"`` for strings; None without a genome.
    n_tracks
        T of a batch, or None.
    has_track_indices, has_track_mask
        Whether batches have these.
    """

    values: tuple[int | None, ...]
    sequences: tuple[int, ...] | None
    sequence_dtype: str | None
    n_tracks: int | None
    has_track_indices: bool
    has_track_mask: bool

    @classmethod
    def of(cls, reader: BatchReader, tracks: TrackSampler | None) -> BatchShapes:
        """Of what a reader gives."""
        settings = reader.values.settings
        if tracks is None:
            n_tracks: int | None = len(reader.track_names)
        else:
            n_tracks = tracks.sub_sample if isinstance(tracks, SampledTracks) else None
        values = (settings.n_bins, n_tracks)
        sequences, dtype = _of_sequences(reader.sequences, settings.sequence_length)
        return cls(
            values=values if settings.layout == "BLT" else values[::-1],
            sequences=sequences,
            sequence_dtype=dtype,
            n_tracks=n_tracks,
            has_track_indices=tracks is not None,
            has_track_mask=reader.has_track_mask,
        )


def _of_sequences(sequences: SequenceReader | None, length: int) -> tuple[tuple[int, ...] | None, str | None]:
    if sequences is None:
        return None, None
    encoder = sequences.encoder
    if encoder is None:
        return (), "str"
    if isinstance(encoder, SequenceEncoder):
        shape = (length, encoder.n_channels)
        return shape if sequences.layout == "BLT" else shape[::-1], "float32"
    tried: Any = encoder(["A" * length])  # nothing else says what it gives
    return tuple(tried.shape[1:]), str(np.dtype(tried.dtype).name)
