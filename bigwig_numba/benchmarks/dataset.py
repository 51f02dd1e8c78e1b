"""How fast the dataset makes batches, where its time goes, and how long a training loop waits for them."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..collection import BigWigCollection
from ..dataset import BigWigDataset, DatasetStats
from ..engine.choose import why_no_cuda
from ..opening import PathLike

__all__ = ["DatasetResult", "Workload", "run_dataset_benchmark"]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What batches are made of.

    Parameters
    ----------
    batch_size, sequence_length, window_size, dtype, n_threads
        As of the dataset.
    super_batch_size
        As of the dataset; None for ``batch_size``.
    n_batches
        To measure over, after one epoch of a tenth as many to compile and to fill caches.
    n_channels
        Of the model's convolutions.
    """

    batch_size: int = 256
    super_batch_size: int | None = None
    sequence_length: int = 2_048
    window_size: int = 1
    dtype: str = "float32"
    n_threads: int = 4
    n_batches: int = 100
    n_channels: int = 128


@dataclass(frozen=True)
class DatasetResult:
    """One line of the benchmark.

    Parameters
    ----------
    consumer
        What was done with the batches.
    device
        Where they were made.
    n_tracks
        Files.
    batches_per_second, gigabytes_per_second
        Handed over, the first left out; bytes of values and encoded sequences.
    wait_share
        Share of the time that the consumer waited for a batch. A model's step is waited for before the next batch is
        asked for, so that what is left is the share in which it was at work.
    first_wait_seconds
        Until the first batch.
    stage_shares
        Of the workers' time.
    """

    consumer: str
    device: str
    n_tracks: int
    batches_per_second: float
    gigabytes_per_second: float
    wait_share: float
    first_wait_seconds: float
    stage_shares: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, consumer: str, device: str, n_tracks: int, stats: DatasetStats) -> DatasetResult:
        """From what the dataset counted."""
        bytes_per_batch = stats.n_bytes / max(1, stats.n_batches)
        return cls(
            consumer=consumer,
            device=device,
            n_tracks=n_tracks,
            batches_per_second=stats.batches_per_second,
            gigabytes_per_second=stats.batches_per_second * bytes_per_batch / 1e9,
            wait_share=stats.wait_share,
            first_wait_seconds=stats.first_wait_seconds,
            stage_shares=stats.stage_shares,
        )

    def line(self) -> str:
        """For people."""
        stages = ", ".join(f"{stage} {share:.0%}" for stage, share in self.stage_shares.items() if share >= 0.005)
        return (
            f"{self.consumer:<20} {self.device:<5} {self.batches_per_second:>9.1f} batches/s "
            f"{self.gigabytes_per_second:>8.2f} GB/s   waited {self.wait_share:>6.1%}   {stages}"
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def run_dataset_benchmark(
    tracks: Sequence[PathLike],
    genome: PathLike | None,
    workload: Workload,
    *,
    devices: Sequence[str] | None = None,
    chrom_aliases: Any = None,
) -> Iterator[DatasetResult]:
    """Measure a loop that only takes batches, then one that trains a small model (if PyTorch is installed).

    Parameters
    ----------
    tracks, genome
        Paths; without a genome batches have no sequences, and no model is trained.
    workload
        What to make.
    devices
        ``"cpu"``, ``"cuda"``; all that work by default.
    chrom_aliases
        As of the dataset.
    """
    for device in devices or (("cpu",) if why_no_cuda() else ("cpu", "cuda")):
        with (
            BigWigCollection(tracks, device=device) as collection,
            _dataset(collection, genome, workload, chrom_aliases) as dataset,
        ):
            yield _measure("nothing", dataset, dataset.batches, lambda batch: None, workload)
            if genome is not None and importlib.util.find_spec("torch"):
                step = _training_step(len(collection), workload, device)
                torch_dataset = importlib.import_module("..pytorch", __package__).PytorchBigWigDataset(dataset)
                yield _measure("small torch model", dataset, torch_dataset.__iter__, step, workload)


def _dataset(
    collection: BigWigCollection, genome: PathLike | None, workload: Workload, chrom_aliases: Any
) -> BigWigDataset:
    settings = asdict(workload)
    n_batches = settings.pop("n_batches")
    del settings["n_channels"]
    return BigWigDataset(None, collection, genome, batches_per_epoch=n_batches, chrom_aliases=chrom_aliases, **settings)


def _measure(
    consumer: str,
    dataset: BigWigDataset,
    batches: Callable[[], Iterator[Any]],
    consume: Callable[[Any], None],
    workload: Workload,
) -> DatasetResult:
    for _, batch in zip(range(max(2, workload.n_batches // 10)), batches(), strict=False):
        consume(batch)
    for batch in batches():
        consume(batch)
    n_tracks, device = len(dataset.bigwig_collection), dataset.bigwig_collection.device
    return DatasetResult.of(consumer, device, n_tracks, dataset.stats)


def _training_step(n_tracks: int, workload: Workload, device: str) -> Callable[[Any], None]:
    """Forward and backward pass of four convolutions at the resolution of the bins, and a step of Adam."""
    import torch
    from torch import nn

    n_channels, width = workload.n_channels, workload.window_size
    layers: list[Any] = [nn.Conv1d(4, n_channels, 15, padding=7), nn.ReLU(), nn.AvgPool1d(width)]
    for _ in range(3):
        layers += [nn.Conv1d(n_channels, n_channels, 5, padding=2), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Conv1d(n_channels, n_tracks, 1)).to(device)
    optimizer = torch.optim.Adam(model.parameters())
    n_bins = workload.sequence_length // width

    def step(batch: Any) -> None:
        sequences, values = batch
        predicted = model(sequences.transpose(1, 2))[:, :, :n_bins].transpose(1, 2)
        loss = nn.functional.mse_loss(predicted, values.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()  # waits for the step

    return step
