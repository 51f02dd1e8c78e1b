"""Regions to train, validate and test on: active places of tracks, as many inactive ones, split by chromosome.

    python examples/regions_for_training.py                               # ATAC-seq on a small made genome
    python examples/regions_for_training.py tracks/*.bw --genome hg38.fa --blacklist hg38-blacklist.v2.bed.gz \
        --threshold 5 --validation chr8 --test chr9 --output regions

With --peaks it takes yours instead, narrowPeak or BED. The result is three BED files; the name says what a region is.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bigwig_numba import BigWigCollection, regions
from bigwig_numba.example_data import example_data


def active_regions(tracks: BigWigCollection, threshold: float, blacklist: pd.DataFrame | None) -> pd.DataFrame:
    """Where any track is above the threshold; what lies close together is one region."""
    return tracks.intervals(
        "standard", blacklist=blacklist, blacklist_buffer=500, threshold=threshold, merge=True, merge_allow_gap=200
    )


def windows_around(peaks: pd.DataFrame, length: int, sizes: dict[str, int]) -> pd.DataFrame:
    """Windows of one length around summits, or centres; those that hang over an end of a chromosome are left out."""
    has_summits = "summit" in peaks and (peaks["summit"] >= 0).all()
    windows = regions.resize(peaks, length, around="summit" if has_summits else "centre")
    return regions.clip_to_chromosomes(windows, sizes, whole_rows=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tracks", nargs="*", metavar="BIGWIG", help="files, folders, globs; a made one without")
    parser.add_argument("--genome", metavar="FASTA", help="for negatives of the same GC content")
    parser.add_argument("--peaks", metavar="FILE", help="regions to take instead of those where tracks are active")
    parser.add_argument("--blacklist", metavar="FILE", help="regions to stay out of")
    parser.add_argument("--threshold", type=float, default=40.0, metavar="X", help="active is above it")
    parser.add_argument("--length", type=int, default=1_024, metavar="N", help="bases of a window")
    parser.add_argument("--validation", nargs="+", default=["chr2"], metavar="CHROM")
    parser.add_argument("--test", nargs="+", default=["chr3"], metavar="CHROM")
    parser.add_argument("--output", type=Path, default=Path("regions"), metavar="FOLDER")
    options = parser.parse_args(arguments)

    data = None if options.tracks else example_data()
    blacklist = regions.read_bed(options.blacklist) if options.blacklist else None
    paths = options.tracks or [path for path in data.bigwig_paths if path.stem == "atac_seq"]
    with BigWigCollection(paths) as tracks:
        peaks = (
            regions.read_bed(options.peaks) if options.peaks else active_regions(tracks, options.threshold, blacklist)
        )
        positives = windows_around(peaks, options.length, tracks.chromosome_sizes)

    negatives = regions.sample_negatives(
        positives,
        options.genome or data.reference_genome_path,
        blacklist=blacklist,
        buffer=options.length,
        allow_fewer=True,
    )
    both = pd.concat([positives.assign(name="active"), negatives.assign(name="inactive")], ignore_index=True)
    both = both[["chrom", "start", "end", "name"]].sort_values(["chrom", "start"], kind="stable")

    split = regions.split_by_chromosome(both, validation=options.validation, test=options.test)
    options.output.mkdir(parents=True, exist_ok=True)
    for name in ("train", "validation", "test"):
        frame = getattr(split, name)
        regions.write_bed(frame, options.output / f"{name}.bed")
        counts = frame["name"].value_counts()
        print(f"{name:<12}{counts.get('active', 0):>8,} active {counts.get('inactive', 0):>8,} inactive")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
