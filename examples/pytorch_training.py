"""Train a small PyTorch model to predict tracks from sequence.

python examples/pytorch_training.py                                        # a small made genome
python examples/pytorch_training.py --tracks tracks/ --genome hg38.fa --regions peaks.bed --steps 10000
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from training_data import N_BINS, dataset_arguments, parse_options, report

from bigwig_numba.pytorch import PytorchBatch, PytorchBigWigDataset


class SmallModel(nn.Module):
    """Two convolutions over the sequence, and a mean over each bin: (S, L, 4) to (S, B, T)."""

    def __init__(self, n_tracks: int, n_bins: int = N_BINS, n_channels: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(4, n_channels, kernel_size=19, stride=4, padding=9),
            nn.ReLU(),
            nn.Conv1d(n_channels, n_channels, kernel_size=9, padding=4),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(2 * n_bins),  # the sequence is twice as long as what is predicted
            nn.Conv1d(n_channels, n_tracks, kernel_size=1),
        )
        self.n_bins = n_bins

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """Predict the bins in the middle."""
        first = self.n_bins // 2
        predicted: torch.Tensor = self.layers(sequences.transpose(1, 2)).transpose(1, 2)
        return predicted[:, first : first + self.n_bins]


def train(model: nn.Module, batches: Iterable[PytorchBatch]) -> list[float]:
    """One epoch; the loss of each step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for batch in batches:
        # batch.sequences is (batch, 1024, 4), batch.values (batch, 16, tracks); both are where the model is.
        loss = nn.functional.mse_loss(model(batch.sequences), batch.values.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())  # read later: asking for the number here would wait for the GPU
    return [float(loss) for loss in losses]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example; returns its exit status."""
    options = parse_options(__doc__ or "", arguments)
    torch.manual_seed(0)
    keywords: dict[str, Any] = dataset_arguments(options)
    dataset = PytorchBigWigDataset(**keywords, return_batch_objects=True, dtype="bfloat16")
    # The dataset reads ahead in threads of its own: num_workers stays 0, and batches come whole.
    loader = DataLoader(dataset, batch_size=None, num_workers=0)
    collection = keywords["collection"]
    losses = train(SmallModel(len(collection)).to(collection.device), loader)
    status = report(losses, dataset.stats)
    dataset.close()
    collection.close()
    return status


if __name__ == "__main__":
    raise SystemExit(main())
