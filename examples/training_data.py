"""What the training examples share: their options, and the dataset that these ask for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from bigwig_numba import BigWigCollection, regions
from bigwig_numba.example_data import example_data
from bigwig_numba.transforms import Log1p

SEQUENCE_LENGTH = 1_024
CENTER = 512  # bases in the middle whose values are predicted, so that a model sees what lies around them
BIN = 32
N_BINS = CENTER // BIN


def parse_options(description: str, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Paths and steps; without paths a small made genome with eight tracks is used."""
    parser = argparse.ArgumentParser(
        description=description.partition("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--tracks", nargs="+", metavar="BIGWIG", help="files, folders, globs; made ones without")
    parser.add_argument("--genome", metavar="FASTA", help="reference genome of the tracks")
    parser.add_argument("--regions", metavar="BED", help="where to draw samples; from whole chromosomes without")
    parser.add_argument("--chrom-aliases", choices=("chr",), help="take chr1 for 1 and 1 for chr1")
    parser.add_argument("--steps", type=int, default=100, metavar="N", help="batches to train on")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="samples of a batch")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")
    options = parser.parse_args(arguments)
    if (options.tracks is None) != (options.genome is None):
        parser.error("--tracks and --genome belong together")
    if options.tracks is None:
        data = example_data()
        options.tracks, options.genome = [str(path) for path in data.bigwig_paths], str(data.reference_genome_path)
    return options


def dataset_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Arguments of ``BigWigDataset``: random windows, either strand, log(1 + x) of each track in bins of 32 bases."""
    collection = BigWigCollection(options.tracks, device=options.device)
    return {
        "regions_of_interest": regions.read_bed(options.regions) if options.regions else None,
        "collection": collection,
        "reference_genome_path": options.genome,
        "sequence_length": SEQUENCE_LENGTH,
        "center_bin_to_predict": CENTER,
        "window_size": BIN,
        "batch_size": options.batch_size,
        "super_batch_size": 4 * options.batch_size,
        "batches_per_epoch": options.steps,
        "reverse_complement": 0.5,
        "transforms": Log1p(),
        "chrom_aliases": options.chrom_aliases,
    }


def report(losses: Sequence[float], stats: object) -> int:
    """Say how training went; 1 if the loss did not fall."""
    tenth = max(1, len(losses) // 10)
    first, last = float(np.mean(losses[:tenth])), float(np.mean(losses[-tenth:]))
    print(f"loss {first:.4f} at first, {last:.4f} at last, over {len(losses)} steps")
    print(stats)
    return 0 if last < first else 1
