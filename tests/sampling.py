"""What tests of samplers share: small genomes, region frames, and exact bounds of how often a thing may be drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from bigwig_numba.samplers import PositionSampler, Windows

SIZES = {"chr1": 300, "chr2": 120, "chr3": 40}


def frame(*rows: tuple[str, int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["chrom", "start", "end"])


@st.composite
def frames(draw: st.DrawFn, *, max_size: int = 8) -> pd.DataFrame:
    """Regions of the small genome: empty, of one base, overlapping, hanging over the ends."""
    row = st.tuples(st.sampled_from(sorted(SIZES)), st.integers(-20, 310), st.integers(0, 60))
    rows = draw(st.lists(row, min_size=1, max_size=max_size))
    return frame(*((name, start, start + length) for name, start, length in rows))


def triples(windows: Windows) -> list[tuple[str, int, int]]:
    return list(zip(windows.chromosomes.tolist(), windows.starts.tolist(), windows.ends.tolist(), strict=True))


def same(one: Windows, other: Windows) -> bool:
    """Equal in all that windows have."""
    return (
        triples(one) == triples(other)
        and one.reverse_complement.tolist() == other.reverse_complement.tolist()
        and {name: array.tolist() for name, array in one.other.items()}
        == {name: array.tolist() for name, array in other.other.items()}
    )


def epoch_of(sampler: PositionSampler, epoch: int = 0) -> Iterator[Windows]:
    """All batches of an epoch, as one process has them."""
    n_batches = sampler.n_batches(epoch)
    number = 0
    while n_batches is None or number < n_batches:
        windows = sampler.batch(epoch=epoch, number=number)
        if windows is None:
            return
        yield windows
        number += 1


def log_chance(n: int, k: int, p: float) -> float:
    """Logarithm of the binomial probability of k out of n."""
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return ways + k * math.log(p) + (n - k) * math.log1p(-p)


def binomial_bounds(n: int, p: float, *, error: float = 1e-9) -> tuple[int, int]:
    """Lowest and highest count of n draws of probability p, outside of which lie less than ``error`` on each side."""
    if p >= 1:
        return n, n
    chances = np.exp([log_chance(n, k, p) for k in range(n + 1)])
    below, above = np.cumsum(chances), np.cumsum(chances[::-1])[::-1]
    return int(np.argmax(below >= error)), n - int(np.argmax(above[::-1] >= error))


def assert_drawn_in_proportion(counts: dict[Any, int], weights: dict[Any, float]) -> None:
    """Each thing is drawn as often as its share of the weights allows, nothing else is drawn."""
    n, total = sum(counts.values()), sum(weights.values())
    assert set(counts) <= set(weights)
    for thing, weight in weights.items():
        lowest, highest = binomial_bounds(n, weight / total)
        assert lowest <= counts.get(thing, 0) <= highest, thing
