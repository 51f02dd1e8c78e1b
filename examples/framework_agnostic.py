"""Train without any framework: a linear model from base composition to tracks, in NumPy, or in CuPy on a GPU.

    python examples/framework_agnostic.py --steps 200

Batches are arrays with ``__dlpack__``, which any framework takes; here the arrays do the work themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training_data import BIN, CENTER, N_BINS, SEQUENCE_LENGTH, dataset_arguments, parse_options, report

from bigwig_numba.dataset import BigWigDataset

LEARNING_RATE = 0.5


def composition(sequences: Any) -> Any:
    """(S, L, 4) to (S, B, 4): the share of each base in each bin of the middle."""
    first = SEQUENCE_LENGTH // 2 - CENTER // 2
    middle = sequences[:, first : first + CENTER]
    return middle.reshape(len(middle), N_BINS, BIN, 4).mean(axis=2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example; returns its exit status."""
    options = parse_options(__doc__ or "", arguments)
    keywords = dataset_arguments(options)
    weights: Any = None
    losses = []
    with BigWigDataset(**keywords) as dataset, keywords["collection"]:
        for sequences, values in dataset:
            shares = composition(sequences).reshape(-1, 4)
            targets = values.reshape(len(shares), -1)
            if weights is None:
                weights = 0 * (shares.T @ targets)  # (4, T) zeros, on the device of the batch
            errors = shares @ weights - targets
            weights -= LEARNING_RATE * (shares.T @ errors) / len(shares)
            losses.append((errors**2).mean())
        return report([float(loss) for loss in losses], dataset.stats)


if __name__ == "__main__":
    raise SystemExit(main())
