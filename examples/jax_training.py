"""Train a small JAX model to predict tracks from sequence.

python examples/jax_training.py --steps 200
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from training_data import N_BINS, dataset_arguments, parse_options, report

from bigwig_numba.dataset import BigWigDataset
from bigwig_numba.jax import batches

LEARNING_RATE = 0.05
MOMENTUM = 0.9


def convolve(inputs: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """(S, L, C) with a kernel (width, C, D) to (S, L / stride, D)."""
    return jax.lax.conv_general_dilated(inputs, kernel, (stride,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"))


def predict(parameters: dict[str, jax.Array], sequences: jax.Array) -> jax.Array:
    """Two convolutions over the sequence, and a mean over each bin: (S, L, 4) to (S, B, T)."""
    hidden = jax.nn.relu(convolve(sequences, parameters["motifs"], stride=4))
    hidden = jax.nn.relu(convolve(hidden, parameters["mixing"]))
    bins = hidden.reshape(hidden.shape[0], 2 * N_BINS, -1, hidden.shape[2]).mean(axis=2)
    middle = bins[:, N_BINS // 2 : N_BINS // 2 + N_BINS]
    return middle @ parameters["tracks"] + parameters["offsets"]


def first_parameters(n_tracks: int, n_channels: int = 32) -> dict[str, jax.Array]:
    """Random ones."""
    one, two, three = jax.random.split(jax.random.key(0), 3)
    return {
        "motifs": jax.random.normal(one, (19, 4, n_channels)) * (19 * 4) ** -0.5,
        "mixing": jax.random.normal(two, (9, n_channels, n_channels)) * (9 * n_channels) ** -0.5,
        "tracks": jax.random.normal(three, (n_channels, n_tracks)) * n_channels**-0.5,
        "offsets": jnp.zeros(n_tracks),
    }


@jax.jit
def step(
    parameters: dict[str, jax.Array], velocity: dict[str, jax.Array], sequences: jax.Array, values: jax.Array
) -> tuple[Any, Any, jax.Array]:
    """One step of gradient descent with momentum."""

    def loss_of(parameters: dict[str, jax.Array]) -> jax.Array:
        return jnp.mean((predict(parameters, sequences) - values) ** 2)

    loss, gradients = jax.value_and_grad(loss_of)(parameters)
    velocity = jax.tree.map(lambda old, gradient: MOMENTUM * old - LEARNING_RATE * gradient, velocity, gradients)
    return jax.tree.map(jnp.add, parameters, velocity), velocity, loss


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example; returns its exit status."""
    options = parse_options(__doc__ or "", arguments)
    keywords = dataset_arguments(options)
    collection = keywords["collection"]
    with BigWigDataset(**keywords) as dataset, collection:
        parameters = first_parameters(len(collection))
        velocity = jax.tree.map(jnp.zeros_like, parameters)
        losses = []
        for sequences, values in batches(dataset):
            parameters, velocity, loss = step(parameters, velocity, sequences, values)
            losses.append(loss)
        return report([float(loss) for loss in losses], dataset.stats)


if __name__ == "__main__":
    raise SystemExit(main())
