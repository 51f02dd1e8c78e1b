"""Regions of a genome as pandas frames: read them, change them, split them, and draw negatives for them."""

from .bed import read_bed
from .bed_writer import write_bed
from .chromosomes import (
    STANDARD_CHROMOSOMES,
    Split,
    fold_by_chromosome,
    split_by_chromosome,
    standard_chromosomes,
)
from .intervals import intersect, merge, subtract
from .negatives import sample_negatives
from .shapes import clip_to_chromosomes, pad, resize, tile
from .signal import count_signal, filter_by_signal

__all__ = [
    "STANDARD_CHROMOSOMES",
    "Split",
    "clip_to_chromosomes",
    "count_signal",
    "filter_by_signal",
    "fold_by_chromosome",
    "intersect",
    "merge",
    "pad",
    "read_bed",
    "resize",
    "sample_negatives",
    "split_by_chromosome",
    "standard_chromosomes",
    "subtract",
    "tile",
    "write_bed",
]
