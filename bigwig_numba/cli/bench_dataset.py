"""``bigwig-numba bench dataset``."""

from __future__ import annotations

import argparse
import dataclasses

from ..benchmarks.dataset import Workload, run_dataset_benchmark
from ..errors import ConfigError
from ..example_data import example_data
from .arguments import Commands, positive_integer
from .bench_results import print_results

DEFAULTS = Workload()


def add_bench_dataset(benchmarks: Commands[argparse.ArgumentParser]) -> None:
    """Add the benchmark to the program."""
    parser = benchmarks.add_parser(
        "dataset",
        help="the training dataset: batches/s, time by stage, and how long a training loop waits",
        description="Go through epochs of random windows with one-hot sequences: first taking batches only, then "
        "training a small PyTorch model, if PyTorch is installed.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--files", nargs="+", metavar="PATH_OR_URL", help="files, folders or globs; a small made genome without"
    )
    parser.add_argument("--genome", metavar="FASTA", help="the reference genome of --files")
    parser.add_argument("--chrom-aliases", choices=("chr",), help="take chr1 for 1 and 1 for chr1")
    parser.add_argument("--devices", nargs="+", choices=("cpu", "cuda"), help="where to compute; all by default")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default=DEFAULTS.dtype, help="of values")
    numbers = {
        "--batch-size": "samples of a batch",
        "--super-batch-size": "samples to read at a time; the batch size without",
        "--sequence-length": "bases of a sample",
        "--window-size": "bases of a bin",
        "--n-threads": "reads at a time",
        "--n-batches": "batches to measure over",
        "--n-channels": "of the model's convolutions",
    }
    for name, explanation in numbers.items():
        default = getattr(DEFAULTS, name.removeprefix("--").replace("-", "_"))
        parser.add_argument(name, type=positive_integer, default=default, metavar="N", help=explanation)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.set_defaults(run=_bench_dataset)


def _bench_dataset(options: argparse.Namespace) -> None:
    if options.genome and not options.files:
        raise ConfigError("--genome needs --files, the tracks on it", argument="--genome", value=options.genome)
    if not options.files:
        data = example_data()
        options.files, options.genome = list(data.bigwig_paths), data.reference_genome_path
    workload = Workload(**{field.name: getattr(options, field.name) for field in dataclasses.fields(Workload)})
    found = run_dataset_benchmark(
        options.files, options.genome, workload, devices=options.devices, chrom_aliases=options.chrom_aliases
    )
    print_results(found, as_json=options.json, facts={"workload": dataclasses.asdict(workload)})
