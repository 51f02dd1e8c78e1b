"""From a dataset's regions and settings to what is drawn: windows and tracks of each step, augmented."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..distributed import Shard
from ..errors import ConfigError
from ..samplers import (
    PositionSampler,
    RandomWindows,
    RegionWindows,
    SampledTracks,
    StreamTracks,
    StreamWindows,
    TiledWindows,
    TrackSampler,
    Windows,
)
from ..samplers.limits import WindowLimits
from ..samplers.windows import Int64Array
from ..transforms import Augmentation
from .names import ChromosomeNames
from .settings import DatasetSettings

__all__ = ["Drawing", "DrawnBatch", "make_position_sampler", "make_track_sampler"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class DrawnBatch:
    """What a batch is to be made of.

    Parameters
    ----------
    windows
        Of the sequences, jittered, with the strand of each.
    tracks
        (T,) int64, or None for all.
    """

    windows: Windows
    tracks: Int64Array | None


@dataclass(frozen=True, eq=False)
class Drawing:
    """Draws batches: a pure function of epoch and step.

    Parameters
    ----------
    positions, tracks
        Samplers; without the second every batch has all tracks.
    augmentation
        Of the windows.
    seed
        Of the augmentation.
    limits
        What moved windows must keep to.
    shard
        Which of an epoch's batches are this process's.
    """

    positions: PositionSampler
    tracks: TrackSampler | None
    augmentation: Augmentation
    seed: int
    limits: WindowLimits
    shard: Shard

    def n_steps(self, epoch: int) -> int | None:
        """Steps of an epoch, None where only a stream of positions knows."""
        return self.shard.n_steps(self.positions.n_batches(epoch))

    def batch(self, *, epoch: int, step: int) -> DrawnBatch | None:
        """What the batch of a step is made of, None if the epoch is over."""
        number = self.shard.number_of(self.positions, epoch=epoch, step=step, tracks=self.tracks)
        windows = None if number is None else self.positions.batch(epoch=epoch, number=number)
        if number is None or windows is None:
            return None
        tracks = None
        if self.tracks is not None:
            tracks = self.tracks.tracks(epoch=epoch, number=number)
            if tracks is None:
                return None
        windows = self.augmentation.windows(
            windows,
            seed=self.seed,
            epoch=epoch,
            number=number,
            chromosome_sizes=self.limits.chromosome_sizes,
            unknown_counts=self.limits.unknown_counts,
            maximum_unknown_bases_fraction=self.limits.maximum_unknown_bases_fraction,
        )
        return DrawnBatch(windows, tracks)


def make_position_sampler(
    settings: DatasetSettings,
    regions: pd.DataFrame | None,
    *,
    limits: WindowLimits,
    names: ChromosomeNames,
    custom: Iterable[Any] | PositionSampler | None,
) -> PositionSampler:
    """The sampler that the settings ask for.

    Parameters
    ----------
    settings
        ``sampling`` and what belongs to it.
    regions
        Frame with ``chrom``, ``start``, ``end``; None for whole chromosomes.
    limits
        With the sizes of all chromosomes that regions and positions may name.
    names
        Of chromosomes, for whole ones.
    custom
        A sampler, or an iterable of positions, to take instead.
    """
    shape: dict[str, Any] = {
        "sequence_length": settings.sequence_length,
        "batch_size": settings.batch_size,
        "chromosome_sizes": limits.chromosome_sizes,
    }
    unknown: dict[str, Any] = {
        "unknown_counts": limits.unknown_counts,
        "maximum_unknown_bases_fraction": limits.maximum_unknown_bases_fraction,
    }
    if isinstance(custom, PositionSampler):
        return custom
    if custom is not None:
        n_batches = _batches_of_stream(settings, regions, custom)
        return StreamWindows(custom, batches_per_epoch=n_batches, **shape, **unknown)
    if settings.sampling == "tile":
        chromosomes = names.in_all() if regions is None else None
        return TiledWindows(
            regions, target_length=settings.target_length, stride=settings.stride, chromosomes=chromosomes, **shape
        )
    if settings.sampling == "regions":
        if regions is None:
            message = "regions_of_interest is None, but sampling='regions' needs a frame of regions"
            raise ConfigError(message, argument="regions_of_interest", value=None)
        return RegionWindows(regions, seed=settings.seed, **shape, **unknown)
    return RandomWindows(
        _whole_chromosomes(names.in_all(), limits) if regions is None else regions,
        seed=settings.seed,
        batches_per_epoch=settings.batches_per_epoch,
        repeat_same_positions=settings.repeat_same_positions,
        buffer_size=settings.position_sampler_buffer_size,
        **shape,
        **unknown,
    )


def _whole_chromosomes(names: Sequence[str], limits: WindowLimits) -> pd.DataFrame:
    ends = [limits.chromosome_sizes[name] for name in names]
    return pd.DataFrame({"chrom": pd.Series(names, dtype="str"), "start": 0, "end": ends})


def _batches_of_stream(settings: DatasetSettings, regions: pd.DataFrame | None, custom: Iterable[Any]) -> int | None:
    """After how many batches an epoch of a stream ends, if not with the stream.

    A list is an epoch, whatever its length. Of what may be endless an epoch is as long as one of the regions, as in
    bigwig-loader; a generator goes on in the next.
    """
    if settings.batches_per_epoch is not None or isinstance(custom, Sized) or regions is None or not len(regions):
        return settings.batches_per_epoch
    n_bases = int((regions["end"] - regions["start"]).sum())
    return max(1, n_bases // settings.sequence_length // settings.batch_size)


def make_track_sampler(
    settings: DatasetSettings,
    *,
    n_tracks: int,
    strand_pairs: tuple[tuple[int, int], ...],
    custom: Iterable[Any] | TrackSampler | None,
) -> TrackSampler | None:
    """The sampler of tracks, None if every batch has all."""
    if isinstance(custom, TrackSampler):
        return custom
    if custom is not None:
        return StreamTracks(custom)
    if settings.sub_sample_tracks is None:
        return None
    return SampledTracks(n_tracks, settings.sub_sample_tracks, seed=settings.seed, strand_pairs=strand_pairs)
