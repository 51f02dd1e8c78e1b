"""Predictions out: tile a genome, run a model on its sequence, and write what it says as BigWig tracks.

    python examples/predict_to_bigwig.py                                     # a small made genome
    python examples/predict_to_bigwig.py --genome hg38.fa --chromosomes chr21 chr22 --output predictions

The model here looks for a motif and counts G and C, with PyTorch if that is installed and else with NumPy. Put yours in
its place: it takes one-hot bases (windows, bases, 4) and gives (windows, bins, tracks).
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

import bigwig_numba
from bigwig_numba import regions
from bigwig_numba.example_data import example_data
from bigwig_numba.genome import ReferenceGenome

MOTIF = "CCACNAGRKGGCRSY"  # close to that of CTCF, as IUPAC letters
IUPAC = dict(zip("ACGTRYSKN", ("A", "C", "G", "T", "AG", "CT", "CG", "GT", "ACGT"), strict=True))
TRACKS = ("motif", "gc")

PREDICTED = 2_048  # bases of a window that are predicted
MARGIN = 256  # bases on both sides that the model sees besides
BIN_SIZE = 32
BATCH_SIZE = 64

Model = Callable[[np.ndarray], np.ndarray]


def motif_weights() -> np.ndarray:
    """(2, 4, length): log-odds of each base on both strands, with pseudocounts."""
    allowed = np.array([[letter in IUPAC[code] for letter in "ACGT"] for code in MOTIF], np.float32) + 0.05
    log_odds = np.log2(allowed / allowed.sum(axis=1, keepdims=True) / 0.25).T
    return np.stack([log_odds, log_odds[::-1, ::-1]]).astype(np.float32)


def numpy_model(one_hot: np.ndarray) -> np.ndarray:
    """(windows, bases, 4) to (windows, bins, 2)."""
    weights = motif_weights()
    patches = np.lib.stride_tricks.sliding_window_view(
        one_hot, weights.shape[2], axis=1
    )  # (windows, places, 4, length)
    return to_bins(np.einsum("spcl,tcl->stp", patches, weights, optimize=True), one_hot)


def torch_model(one_hot: np.ndarray) -> np.ndarray:
    """The same as a convolution of PyTorch, on the GPU if there is one."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.inference_mode():
        bases = torch.from_numpy(one_hot).to(device).transpose(1, 2)
        scores = torch.nn.functional.conv1d(bases, torch.from_numpy(motif_weights()).to(device))
    return to_bins(scores.cpu().numpy(), one_hot)


def to_bins(scores: np.ndarray, one_hot: np.ndarray) -> np.ndarray:
    """Scores (windows, strands, places) and bases to (windows, bins, 2), without the margins."""
    inside = slice(MARGIN, MARGIN + PREDICTED)
    motif = np.maximum(scores.max(axis=1), 0)[:, inside].reshape(len(scores), -1, BIN_SIZE).max(axis=2)
    gc = one_hot[:, inside, 1:3].sum(axis=2).reshape(len(scores), -1, BIN_SIZE).mean(axis=2)
    return np.stack([motif, gc], axis=2)


def predictions(genome: ReferenceGenome, windows: pd.DataFrame, model: Model) -> Iterator[tuple[str, int, np.ndarray]]:
    """Pieces for ``write_bigwig``: chromosome, first base, and values (bins, tracks)."""
    for first in range(0, len(windows), BATCH_SIZE):
        rows = windows.iloc[first : first + BATCH_SIZE]
        seen = regions.pad(rows, MARGIN)  # windows may hang over the ends of a chromosome: N is there
        values = model(genome.one_hot(seen["chrom"], seen["start"], seen["end"]))
        yield from zip(rows["chrom"], rows["start"], values, strict=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--genome", metavar="FASTA", help="a small made genome without")
    parser.add_argument("--chromosomes", nargs="+", metavar="NAME", help="all by default")
    parser.add_argument("--output", type=Path, default=Path("predictions"), metavar="FOLDER")
    parser.add_argument("--model", choices=("auto", "numpy", "torch"), default="auto")
    options = parser.parse_args(arguments)

    has_torch = options.model == "torch" or (options.model == "auto" and importlib.util.find_spec("torch"))
    model = torch_model if has_torch else numpy_model
    with ReferenceGenome(options.genome or example_data().reference_genome_path, device="cpu") as genome:
        sizes = {name: genome.chromosome_sizes[name] for name in options.chromosomes or genome.chromosome_sizes}
        # Whole windows, the last one of a chromosome shifted back: overlaps get the mean of both predictions.
        windows = regions.tile(sizes, PREDICTED, last="shift")
        options.output.mkdir(parents=True, exist_ok=True)
        paths = [options.output / f"{name}.bw" for name in TRACKS]
        bigwig_numba.write_bigwig(paths, sizes, predictions(genome, windows, model), bin_size=BIN_SIZE)

    for path in paths:
        with bigwig_numba.open(path) as track:
            name = next(iter(sizes))
            best = track.intervals_frame(include_chromosomes=name, threshold=None).nlargest(1, "value").iloc[0]
            print(f"{path}: highest on {name} at {best['start']:,}, {best['value']:.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
