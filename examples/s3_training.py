"""Train a small PyTorch model on tracks that stay in a bucket.

python examples/s3_training.py --tracks "s3://bucket/tracks/*.bw" --genome s3://bucket/genome.fa --anonymous
python examples/s3_training.py --tracks s3://bucket/tracks --genome hg38.fa --endpoint-url http://localhost:9000
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import torch
from pytorch_training import SmallModel, train
from torch.utils.data import DataLoader
from training_data import BIN, CENTER, SEQUENCE_LENGTH, report

from bigwig_numba import BigWigCollection
from bigwig_numba.genome import ReferenceGenome
from bigwig_numba.pytorch import PytorchBigWigDataset
from bigwig_numba.transforms import Log1p


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Where the tracks are, how to get at them, and what is kept of them."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--tracks", nargs="+", required=True, metavar="URL", help="files, folders, globs")
    parser.add_argument("--genome", required=True, metavar="FASTA", help="path or URL; kept in the cache when packed")
    parser.add_argument("--endpoint-url", metavar="URL", help="of MinIO, R2 and others; AWS without")
    parser.add_argument("--anonymous", action="store_true", help="ask without credentials, as public buckets allow")
    parser.add_argument("--cache-dir", metavar="FOLDER", help="keep blocks on this local disk")
    parser.add_argument("--cache-gb", type=float, metavar="GB", help="keep so much, in memory without --cache-dir")
    parser.add_argument("--steps", type=int, default=100, metavar="N", help="batches to train on")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="samples of a batch")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")
    return parser.parse_args(arguments)


def s3_options(options: argparse.Namespace) -> dict[str, Any]:
    """For fsspec. Keys come from the environment, ~/.aws or the machine's role: they are not options of a program."""
    chosen: dict[str, Any] = {}
    if options.endpoint_url:
        chosen["endpoint_url"] = options.endpoint_url
    if options.anonymous:
        chosen["anon"] = True
    return chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example; returns its exit status."""
    options = parse_options(arguments)
    torch.manual_seed(0)
    storage_options = s3_options(options)
    collection = BigWigCollection(
        options.tracks if len(options.tracks) > 1 else options.tracks[0],
        device=options.device,
        storage_options=storage_options,
        cache_dir=options.cache_dir,
        cache_bytes=int(options.cache_gb * 1e9) if options.cache_gb else None,
        on_error="mask",  # a track that fails becomes zeros, and batch.track_mask says so
    )
    is_remote = "://" in options.genome
    genome = ReferenceGenome(
        options.genome, device=collection.device, storage_options=storage_options if is_remote else None
    )
    dataset = PytorchBigWigDataset(
        regions_of_interest=None,
        collection=collection,
        reference_genome_path=genome,
        sequence_length=SEQUENCE_LENGTH,
        center_bin_to_predict=CENTER,
        window_size=BIN,
        batch_size=options.batch_size,
        super_batch_size=4 * options.batch_size,  # more ranges in flight at a time
        batches_per_epoch=options.steps,
        reverse_complement=0.5,
        transforms=Log1p(),
        return_batch_objects=True,
    )
    loader = DataLoader(dataset, batch_size=None, num_workers=0)
    losses = train(SmallModel(len(collection)).to(collection.device), loader)
    print(f"{collection.valid_tracks.sum()} of {len(collection)} tracks could be read")
    status = report(losses, dataset.stats)
    dataset.close()
    genome.close()
    collection.close()
    return status


if __name__ == "__main__":
    raise SystemExit(main())
