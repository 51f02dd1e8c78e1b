"""Train the small model of pytorch_training.py with PyTorch Lightning.

    python examples/lightning_training.py --steps 200

Of several processes (``Trainer(devices=8)``) each takes its own batches: the dataset asks torch.distributed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_training import SmallModel
from torch.utils.data import DataLoader
from training_data import dataset_arguments, parse_options, report

from bigwig_numba.pytorch import PytorchBigWigDataset


class Training(lightning.LightningModule):
    """What to minimise, and how."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model
        self.losses: list[torch.Tensor] = []

    def training_step(self, batch: Any, number: int) -> torch.Tensor:
        """The loss of a batch."""
        sequences, values = batch
        loss = torch.nn.functional.mse_loss(self.model(sequences), values)
        self.losses.append(loss.detach())
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=3e-3)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example; returns its exit status."""
    options = parse_options(__doc__ or "", arguments)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    lightning.seed_everything(0, verbose=False)
    keywords: dict[str, Any] = dataset_arguments(options)
    dataset = PytorchBigWigDataset(**keywords)
    collection = keywords["collection"]
    training = Training(SmallModel(len(collection)))
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="gpu" if collection.device == "cuda" else "cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(training, DataLoader(dataset, batch_size=None, num_workers=0))
    status = report([float(loss) for loss in training.losses], dataset.stats)
    dataset.close()
    collection.close()
    return status


if __name__ == "__main__":
    raise SystemExit(main())
