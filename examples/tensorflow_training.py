"""Train a small Keras model to predict tracks from sequence, on a tf.data.Dataset.

python examples/tensorflow_training.py --steps 200
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from training_data import N_BINS, SEQUENCE_LENGTH, dataset_arguments, parse_options, report

from bigwig_numba.dataset import BigWigDataset
from bigwig_numba.tensorflow import to_dataset


def small_model(n_tracks: int, n_channels: int = 32) -> Any:
    """Two convolutions over the sequence, and a mean over each bin: (S, L, 4) to (S, B, T)."""
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            layers.Input((SEQUENCE_LENGTH, 4)),
            layers.Conv1D(n_channels, 19, strides=4, padding="same", activation="relu"),
            layers.Conv1D(n_channels, 9, padding="same", activation="relu"),
            layers.AveragePooling1D(8),
            layers.Cropping1D(N_BINS // 2),  # the bins in the middle are predicted
            layers.Conv1D(n_tracks, 1),
        ]
    )


class KeepLosses(tf.keras.callbacks.Callback):
    """The loss of each step; Keras itself gives the mean since the epoch began."""

    def __init__(self) -> None:
        super().__init__()
        self.means: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Keep it."""
        self.means.append(float(logs["loss"]))

    @property
    def losses(self) -> list[float]:
        """Of the steps."""
        sums = [mean * (step + 1) for step, mean in enumerate(self.means)]
        return [total - before for total, before in zip(sums, [0.0, *sums], strict=False)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example; returns its exit status."""
    options = parse_options(__doc__ or "", arguments)
    tf.keras.utils.set_random_seed(0)
    keywords = dataset_arguments(options)
    collection = keywords["collection"]
    with BigWigDataset(**keywords) as dataset, collection:
        model, keep = small_model(len(collection)), KeepLosses()
        model.compile(optimizer=tf.keras.optimizers.Adam(3e-3), loss="mse")
        model.fit(to_dataset(dataset), epochs=1, verbose=0, callbacks=[keep])
        return report(keep.losses, dataset.stats)


if __name__ == "__main__":
    raise SystemExit(main())
