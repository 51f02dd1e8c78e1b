"""A small made genome, drawn chromosome by chromosome: genes, sequence, and eight tracks as arrays (no files).

Genes, enhancers, CTCF sites and silenced domains are placed first; then sequencing fragments are drawn around them and
piled up, so that the tracks look like what they are named after and agree with each other. The sequence has the CTCF
motif under the CTCF peaks and more G and C at promoters, so a model has something to learn.

Everything is drawn as integers from ``numpy.random.RandomState``, whose streams are frozen (NEP 19), and changed by
exactly rounded operations only: the content depends on neither the machine nor the version of NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["CTCF_MOTIF", "TRACKS", "DrawTrack", "Floats", "IntegerStream", "Landscape", "draw_landscape"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

BASES_PER_GENE = 15_000
BASES_PER_ENHANCER = 12_000
BASES_PER_CTCF_SITE = 15_000
CTCF_MOTIF = b"TGGCCACCAGGGGGCGCTA"  # consensus of JASPAR MA0139


class IntegerStream:
    """Uniform integers that depend on the keys alone: one width on every system, a stream that NumPy keeps frozen."""

    def __init__(self, *keys: int) -> None:
        self._state = np.random.RandomState(keys)

    def integers(self, low: int, high: int, size: int | tuple[int, ...]) -> Integers:
        """Draw integers in [low, high)."""
        drawn: Integers = self._state.randint(low, high, size, dtype=np.int64)
        return drawn


@dataclass(frozen=True)
class Landscape:
    """What lies where on one made chromosome; positions in bases.

    Attributes
    ----------
    sequence
        (length,) uint8, ASCII.
    gene_starts, gene_ends
        (genes,) int64.
    on_plus_strand
        (genes,) bool.
    expressions
        (genes,) int64, 0 for a silenced gene.
    exon_starts, exon_ends, exon_genes
        (exons,) int64; the last says which gene.
    enhancers, enhancer_strengths
        (enhancers,) int64.
    ctcf_sites, ctcf_strengths
        (sites,) int64.
    """

    sequence: npt.NDArray[np.uint8]
    gene_starts: Integers
    gene_ends: Integers
    on_plus_strand: npt.NDArray[np.bool_]
    expressions: Integers
    exon_starts: Integers
    exon_ends: Integers
    exon_genes: Integers
    enhancers: Integers
    enhancer_strengths: Integers
    ctcf_sites: Integers
    ctcf_strengths: Integers

    @property
    def length(self) -> int:
        """Bases."""
        return len(self.sequence)

    @property
    def promoters(self) -> Integers:
        """(genes,) where transcription of each gene starts."""
        return np.where(self.on_plus_strand, self.gene_starts, self.gene_ends)


def draw_landscape(random: IntegerStream, length: int) -> Landscape:
    """Place everything on a chromosome and draw its sequence.

    Parameters
    ----------
    random
        Where the integers come from.
    length
        Bases of the chromosome; at least 40,000.

    Returns
    -------
    Landscape

    Examples
    --------
    >>> landscape = draw_landscape(IntegerStream(0), 45_000)
    >>> len(landscape.promoters), landscape.sequence[20_000:20_010].tobytes()
    (3, b'GACGCATTTC')
    """
    n_genes = length // BASES_PER_GENE
    gene_starts = np.arange(n_genes) * BASES_PER_GENE + 2_000 + random.integers(0, 4_000, n_genes)
    gene_ends = gene_starts + random.integers(2_500, 8_000, n_genes)
    exon_counts = random.integers(2, 7, n_genes)
    exon_genes = np.repeat(np.arange(n_genes), exon_counts)
    exon_numbers = np.arange(len(exon_genes)) - np.repeat(np.cumsum(exon_counts) - exon_counts, exon_counts)
    exon_distances = ((gene_ends - gene_starts) // exon_counts)[exon_genes]
    exon_starts = gene_starts[exon_genes] + exon_numbers * exon_distances
    exon_ends = exon_starts + np.minimum(random.integers(120, 600, len(exon_genes)), exon_distances - 50)
    expressions = 2 ** random.integers(0, 7, n_genes) * (random.integers(0, 10, n_genes) >= 3)
    on_plus_strand = random.integers(0, 2, n_genes) == 1
    enhancers = np.sort(random.integers(1_000, length - 1_000, length // BASES_PER_ENHANCER))
    ctcf_sites = np.sort(random.integers(1_000, length - 1_000, length // BASES_PER_CTCF_SITE))
    promoters = np.where(on_plus_strand, gene_starts, gene_ends)
    return Landscape(
        sequence=_draw_sequence(random, length, promoters=promoters, ctcf_sites=ctcf_sites),
        gene_starts=gene_starts,
        gene_ends=gene_ends,
        on_plus_strand=on_plus_strand,
        expressions=expressions,
        exon_starts=exon_starts,
        exon_ends=exon_ends,
        exon_genes=exon_genes,
        enhancers=enhancers,
        enhancer_strengths=random.integers(20, 160, len(enhancers)),
        ctcf_sites=ctcf_sites,
        ctcf_strengths=random.integers(30, 300, len(ctcf_sites)),
    )


def _draw_sequence(
    random: IntegerStream, length: int, *, promoters: Integers, ctcf_sites: Integers
) -> npt.NDArray[np.uint8]:
    """Draw bases, richer in G and C near promoters, with a CTCF motif at each site and unknown bases at both ends."""
    near_promoter = _pile_up(length, promoters - 400, promoters + 400) > 0
    is_gc = random.integers(0, 100, length) < np.where(near_promoter, 64, 41)
    is_second = random.integers(0, 2, length) == 1
    sequence = np.where(is_gc, np.where(is_second, ord("C"), ord("G")), np.where(is_second, ord("T"), ord("A")))
    motif = np.frombuffer(CTCF_MOTIF, np.uint8)
    reverse_complement = np.frombuffer(CTCF_MOTIF[::-1].translate(bytes.maketrans(b"ACGT", b"TGCA")), np.uint8)
    reverse = random.integers(0, 2, len(ctcf_sites)) == 1
    at_motif = (ctcf_sites - len(motif) // 2)[:, None] + np.arange(len(motif))
    sequence[at_motif] = np.where(reverse[:, None], reverse_complement, motif)
    telomere = min(1_000, length // 100)
    sequence[:telomere] = sequence[length - telomere :] = ord("N")
    return sequence.astype(np.uint8)


# ------------------------------------------------------------------------------------------------ the tracks


def _pile_up(length: int, starts: Integers, ends: Integers) -> Integers:
    """Count, for each base, the fragments [start, end) that cover it."""
    steps = np.bincount(np.clip(starts, 0, length), minlength=length + 1)
    steps = steps - np.bincount(np.clip(ends, 0, length), minlength=length + 1)
    coverage: Integers = np.cumsum(steps)[:length]
    return coverage


def _pile_up_around(
    random: IntegerStream, length: int, centres: Integers, counts: Integers, *, spread: int, fragment: int
) -> Integers:
    """Pile up `counts` fragments of `fragment` bases around each centre, bell-shaped over `spread` bases each side."""
    middles = np.repeat(centres, counts)
    # A mean of three uniform integers is bell-shaped enough, and exact.
    middles = middles + random.integers(-spread, spread + 1, (3, len(middles))).sum(axis=0) // 3
    return _pile_up(length, middles - fragment // 2, middles + fragment // 2)


def _background(random: IntegerStream, length: int, *, bases_per_fragment: int, fragment: int) -> Integers:
    starts = random.integers(0, length, length // bases_per_fragment)
    return _pile_up(length, starts, starts + fragment)


def _fold_change(coverage: Integers, *, local: int) -> Floats:
    """Divide coverage by its mean over `local` bases around, with a pseudocount of 1, rounded as peak callers do."""
    sums = np.concatenate([[0], np.cumsum(coverage)])
    firsts = np.maximum(np.arange(len(coverage)) - local // 2, 0)
    lasts = np.minimum(firsts + local, len(coverage))
    means = (sums[lasts] - sums[firsts]) / (lasts - firsts)
    ratios: Floats = np.round((coverage + 1) / (means // 0.125 * 0.125 + 1), 3)
    return ratios


def _mean_bins(values: Integers, bin_length: int) -> Floats:
    """Replace values by their means over bins of `bin_length` bases; the last, shorter bin is left without values."""
    full = len(values) // bin_length * bin_length
    binned = np.full(len(values), np.nan)
    binned[:full] = np.repeat(values[:full].reshape(-1, bin_length).sum(axis=1) / bin_length, bin_length)
    return binned


def _without_zeros(coverage: Integers, *, scale: float = 1.0) -> Floats:
    """Scale; where nothing was seen there is no value, as in files made from sparse bedGraph."""
    return np.where(coverage > 0, coverage * scale, np.nan)


def _draw_atac_seq(random: IntegerStream, landscape: Landscape) -> Floats:
    """Counts of open-chromatin fragments, zeros included."""
    centres = np.concatenate([landscape.promoters, landscape.enhancers, landscape.ctcf_sites])
    counts = np.concatenate(
        [landscape.expressions * 3 + 5, landscape.enhancer_strengths, landscape.ctcf_strengths // 3]
    )
    open_chromatin = _pile_up_around(random, landscape.length, centres, counts, spread=350, fragment=110)
    background = _background(random, landscape.length, bases_per_fragment=150, fragment=110)
    return (open_chromatin + background).astype(np.float64)


def _draw_ctcf(random: IntegerStream, landscape: Landscape) -> Floats:
    """Fold change over the surroundings, narrow peaks."""
    bound = _pile_up_around(
        random, landscape.length, landscape.ctcf_sites, landscape.ctcf_strengths, spread=120, fragment=160
    )
    background = _background(random, landscape.length, bases_per_fragment=60, fragment=160)
    return _fold_change(bound + background, local=10_000)


def _draw_gc_percent(random: IntegerStream, landscape: Landscape) -> Floats:
    """Per cent of G and C in bins of 20 bases: a value nearly everywhere."""
    is_gc = (landscape.sequence == ord("G")) | (landscape.sequence == ord("C"))
    return np.where(landscape.sequence == ord("N"), np.nan, _mean_bins(is_gc * 100, 20))


def _draw_h3k27ac(random: IntegerStream, landscape: Landscape) -> Floats:
    """Fold change, peaks beside promoters and enhancers."""
    centres = np.concatenate([landscape.promoters, landscape.enhancers])
    counts = np.concatenate([landscape.expressions * 4, landscape.enhancer_strengths * 2])
    left = _pile_up_around(random, landscape.length, centres - 350, counts, spread=500, fragment=180)
    right = _pile_up_around(random, landscape.length, centres + 350, counts, spread=500, fragment=180)
    background = _background(random, landscape.length, bases_per_fragment=50, fragment=180)
    return _fold_change(left + right + background, local=20_000)


def _draw_h3k27me3(random: IntegerStream, landscape: Landscape) -> Floats:
    """Mean coverage in bins of 25 bases, broad domains over silenced genes."""
    silenced = landscape.expressions == 0
    middles = (landscape.gene_starts + landscape.gene_ends)[silenced] // 2
    domains = _pile_up_around(random, landscape.length, middles, np.full(len(middles), 900), spread=9_000, fragment=200)
    background = _background(random, landscape.length, bases_per_fragment=80, fragment=200)
    return _mean_bins(domains + background, 25)


def _draw_h3k4me3(random: IntegerStream, landscape: Landscape) -> Floats:
    """Fold change, broad peaks at active promoters."""
    counts = landscape.expressions * 12 + 10
    marked = _pile_up_around(random, landscape.length, landscape.promoters, counts, spread=1_000, fragment=180)
    background = _background(random, landscape.length, bases_per_fragment=60, fragment=180)
    return _fold_change(marked + background, local=20_000)


def _draw_rna_seq(random: IntegerStream, landscape: Landscape, *, plus_strand: bool) -> Floats:
    """Reads per 4 million over the exons of one strand; nothing elsewhere."""
    on_strand = landscape.on_plus_strand[landscape.exon_genes] == plus_strand
    starts, ends = landscape.exon_starts[on_strand], landscape.exon_ends[on_strand]
    expressions = landscape.expressions[landscape.exon_genes][on_strand]
    exons = np.repeat(np.arange(len(starts)), expressions * (ends - starts) // 50)
    read_starts = starts[exons] + random.integers(0, 1 << 30, len(exons)) % (ends - starts)[exons]
    return _without_zeros(
        _pile_up(landscape.length, read_starts, np.minimum(read_starts + 75, ends[exons])), scale=0.25
    )


def _draw_rna_seq_minus(random: IntegerStream, landscape: Landscape) -> Floats:
    return _draw_rna_seq(random, landscape, plus_strand=False)


def _draw_rna_seq_plus(random: IntegerStream, landscape: Landscape) -> Floats:
    return _draw_rna_seq(random, landscape, plus_strand=True)


DrawTrack = Callable[[IntegerStream, Landscape], Floats]
"""Gives one value per base of a chromosome, (length,) float64, NaN where the track has none."""

TRACKS: Mapping[str, DrawTrack] = {
    "atac_seq": _draw_atac_seq,
    "ctcf": _draw_ctcf,
    "gc_percent": _draw_gc_percent,
    "h3k27ac": _draw_h3k27ac,
    "h3k27me3": _draw_h3k27me3,
    "h3k4me3": _draw_h3k4me3,
    "rna_seq_minus": _draw_rna_seq_minus,
    "rna_seq_plus": _draw_rna_seq_plus,
}
