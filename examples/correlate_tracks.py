"""How alike are tracks? Their correlations over the bins of a whole genome, as a clustered heat map.

    python examples/correlate_tracks.py                                # a small made genome with eight tracks
    python examples/correlate_tracks.py tracks/*.bw --bin-size 10000 --output correlation.png

Dask reads the genome in pieces on the cores of this machine, or on a cluster: make a ``dask.distributed.Client``.
Needs ``pip install 'bigwig-numba[dask,plot]' scipy``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dask
import dask.array
import numpy as np
from matplotlib.figure import Figure
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from bigwig_numba import BigWigCollection
from bigwig_numba.example_data import example_data

GREY, INK = "#8a8a8a", "#222222"


def correlations(values: dask.array.Array) -> np.ndarray:
    """(T, T) Pearson correlations of the logarithms of values (B, T), from sums over bins: one pass over the files."""
    logs = dask.array.sign(values) * dask.array.log1p(abs(values))
    logs = logs.astype("float64")
    sums, products = dask.compute(logs.sum(axis=0), logs.T @ logs)
    covariances = products / len(values) - np.outer(sums, sums) / len(values) ** 2
    deviations = np.sqrt(np.maximum(np.diag(covariances), 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        matrix = covariances / np.outer(deviations, deviations)
    matrix = np.clip(np.nan_to_num(matrix), -1, 1)  # a track without any signal is like no other
    np.fill_diagonal(matrix, 1)
    return matrix


def draw(matrix: np.ndarray, names: Sequence[str], path: Path, *, title: str) -> list[int]:
    """Draw the heat map with its tree; the order of the tracks is returned."""
    n = len(names)
    tree = hierarchy.linkage(squareform(1 - matrix, checks=False), "average", optimal_ordering=True)
    side, labels = max(0.36 * n, 2.4), 0.085 * max(map(len, names))  # inches
    figure = Figure(figsize=(side + labels + 2.2, side + labels + 0.5), layout="constrained")
    branches, heat, scale = figure.subplots(1, 3, width_ratios=(1, side, 0.14))
    shown: dict[str, Any] = hierarchy.dendrogram(
        tree, orientation="left", ax=branches, color_threshold=0, above_threshold_color=GREY, no_labels=True
    )
    order = shown["leaves"]
    for line in branches.collections:
        line.set_linewidth(0.9)
    branches.axis("off")
    image = heat.imshow(
        matrix[np.ix_(order, order)],
        cmap="RdBu_r",
        vmin=-1,
        vmax=1,
        aspect="auto",
        origin="lower",
        interpolation="none",
    )
    heat.set_xticks(range(n), [names[number] for number in order], rotation=90, fontsize=8, color=INK)
    heat.set_yticks(range(n), [names[number] for number in order], fontsize=8, color=INK)
    heat.yaxis.tick_right()
    heat.tick_params(length=0)
    heat.spines[:].set_visible(False)
    if n <= 12:
        for row, column in np.ndindex(n, n):
            number = matrix[order[row], order[column]]
            colour = "white" if abs(number) > 0.65 else INK
            heat.text(column, row, f"{round(number, 2) + 0.0:.2f}", ha="center", va="center", fontsize=7, color=colour)
    bar = figure.colorbar(image, cax=scale, ticks=(-1, 0, 1))
    bar.set_label("correlation", fontsize=8, color=INK)
    bar.outline.set_visible(False)
    scale.tick_params(length=0, labelsize=8)
    figure.suptitle(title, fontsize=10, color=INK)
    figure.savefig(path, dpi=200)
    return list(order)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "tracks", nargs="*", metavar="BIGWIG", help="files, folders, globs; a small made genome without"
    )
    parser.add_argument("--bin-size", type=int, default=1_000, metavar="N", help="bases")
    parser.add_argument("--chromosomes", nargs="+", metavar="NAME", help="all by default")
    parser.add_argument("--output", type=Path, default=Path("correlation.png"), metavar="FILE")
    options = parser.parse_args(arguments)

    with BigWigCollection(options.tracks or example_data().bigwig_paths, device="cpu") as collection:
        matrix = collection.to_dask(options.bin_size, options.chromosomes)
        names = [Path(path).stem for path in collection.bigwig_paths]
        alike = correlations(matrix.values)
    title = f"{len(names)} tracks, {len(matrix.values):,} bins of {options.bin_size:,} bases"
    order = draw(alike, names, options.output, title=title)

    np.fill_diagonal(alike, -np.inf)
    for number in order:
        closest = int(alike[number].argmax())
        print(f"{names[number]:<30} most like {names[closest]:<30} {alike[number, closest]:.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
