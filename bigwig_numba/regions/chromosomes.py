"""Regions chromosome by chromosome: the standard ones; training, validation and test sets; folds."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import pandas as pd

from ..chromosome_names import STANDARD_CHROMOSOMES
from ..errors import ChromNotFoundError, ConfigError
from .frames import as_regions, check_integer

__all__ = ["STANDARD_CHROMOSOMES", "Split", "fold_by_chromosome", "split_by_chromosome", "standard_chromosomes"]


@dataclass(frozen=True, slots=True)
class Split:
    """Regions to train on, to choose a model by, and to say how good it is by; no chromosome is in two of them.

    Attributes
    ----------
    train, validation, test
        Region frames, with the index of the frame that was split.

    Examples
    --------
    >>> peaks = pd.DataFrame({"chrom": ["chr1", "chr2", "chr3"], "start": 100, "end": 200})
    >>> split = split_by_chromosome(peaks, validation="chr2", test="chr3")
    >>> split.train.index.tolist(), split.validation.index.tolist(), split.test.index.tolist()
    ([0], [1], [2])
    """

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame


def standard_chromosomes(frame: pd.DataFrame, *, names: Collection[str] = STANDARD_CHROMOSOMES) -> pd.DataFrame:
    """Keep the regions on standard chromosomes: no unplaced contigs, alternative haplotypes, decoys.

    Parameters
    ----------
    frame
        Regions.
    names
        What counts as standard; human by default: 1 to 22, X, Y and M, with or without ``chr``.

    Returns
    -------
    pandas.DataFrame
        With all columns and the index.

    Examples
    --------
    >>> peaks = pd.DataFrame({"chrom": ["chr1", "chrUn_KI270302v1"], "start": [0, 0], "end": [10, 10]})
    >>> standard_chromosomes(peaks)
      chrom  start  end
    0  chr1      0   10
    """
    regions = as_regions(frame)
    return regions[regions["chrom"].isin(list(names))]


def split_by_chromosome(
    frame: pd.DataFrame,
    *,
    validation: str | Iterable[str],
    test: str | Iterable[str],
    train: str | Iterable[str] | None = None,
) -> Split:
    """Split regions by chromosome, so that no sequence is both trained on and tested on.

    Parameters
    ----------
    frame
        Regions.
    validation, test
        Names of the chromosomes of each set.
    train
        Names of the chromosomes to train on; all others by default.

    Returns
    -------
    Split

    Raises
    ------
    ConfigError
        A chromosome in two sets.
    ChromNotFoundError
        A set for which the frame has no regions, because none of its names is there.

    Examples
    --------
    >>> peaks = pd.DataFrame({"chrom": ["chr1", "chr2", "chr8", "chr9"], "start": 0, "end": 10})
    >>> split = split_by_chromosome(peaks, validation="chr8", test="chr9")
    >>> split.train
      chrom  start  end
    0  chr1      0   10
    1  chr2      0   10
    """
    regions = as_regions(frame)
    sets = {"validation": _names(validation), "test": _names(test)}
    held_out = {name for names in sets.values() for name in names}
    sets["train"] = _names(train) if train is not None else set(regions["chrom"].unique()) - held_out
    for one, other in (("validation", "test"), ("train", "validation"), ("train", "test")):
        both = sets[one] & sets[other]
        if both:
            message = f"{', '.join(sorted(both))} in both {one} and {other}, expected each chromosome in one set"
            raise ConfigError(message, argument=other, value=sorted(both))
    return Split(**{argument: _rows_on(regions, names, argument) for argument, names in sets.items()})


def fold_by_chromosome(frame: pd.DataFrame, n_folds: int) -> list[Split]:
    """Split regions into folds by chromosome, for cross-validation.

    The chromosome with most regions goes to the fold with fewest, and so on: folds are about equally large, and the
    same for the same regions.

    Parameters
    ----------
    frame
        Regions, on at least ``n_folds`` chromosomes.
    n_folds
        How many; at least 3.

    Returns
    -------
    list of Split
        In split ``i``, fold ``i`` is the test set, the next fold (the first after the last) the validation set, and
        the others are for training.

    Raises
    ------
    ConfigError
        Fewer than three folds, or more than chromosomes.

    Examples
    --------
    >>> peaks = pd.DataFrame({"chrom": ["chr1", "chr1", "chr2", "chr3", "chr4"], "start": 0, "end": 10})
    >>> [split.test["chrom"].unique().tolist() for split in fold_by_chromosome(peaks, 3)]
    [['chr1'], ['chr2', 'chr4'], ['chr3']]
    """
    n_folds = check_integer(n_folds, "n_folds", at_least=3)
    regions = as_regions(frame)
    counts = regions["chrom"].value_counts()
    by_size = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    if n_folds > len(by_size):
        message = f"n_folds is {n_folds}, expected at most the number of chromosomes with regions, {len(by_size)}"
        raise ConfigError(message, argument="n_folds", value=n_folds)
    folds: list[set[str]] = [set() for _ in range(n_folds)]
    sizes = [0] * n_folds
    for name, count in by_size:
        smallest = sizes.index(min(sizes))
        folds[smallest].add(str(name))
        sizes[smallest] += count
    return [
        split_by_chromosome(regions, validation=folds[(number + 1) % n_folds], test=folds[number])
        for number in range(n_folds)
    ]


def _names(names: str | Iterable[str]) -> set[str]:
    return {names} if isinstance(names, str) else set(names)


def _rows_on(regions: pd.DataFrame, names: set[str], argument: str) -> pd.DataFrame:
    found = regions[regions["chrom"].isin(names)]
    if found.empty:
        if not names:
            raise ConfigError(f"{argument} has no chromosomes, expected one or more", argument=argument, value=names)
        raise ChromNotFoundError.for_name(min(names), regions["chrom"].unique(), url=f"frame ({argument})")
    return found
