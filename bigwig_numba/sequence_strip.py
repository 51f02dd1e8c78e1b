"""The sequence above a picture's tracks: letters where there is room for them, else the share of G and C."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["GC_CONTENT", "LETTERS", "MOST_LETTERS", "draw_sequence", "letter_heights"]

BASES = "ACGT"
LETTERS, GC_CONTENT = "sequence", "GC content"
BASE_COLOURS = ("#009E73", "#0072B2", "#E69F00", "#D55E00")
"""Of A, C, G and T: the usual green, blue, yellow and red in the shades of Okabe and Ito (2008)."""
GREY = "#8A8A8A"
MOST_LETTERS = 160  # in the width of a page; narrower ones cannot be told apart
GC_COLUMNS = 240

Floats = npt.NDArray[np.floating]


def letter_heights(sequence: Floats) -> npt.NDArray[np.float64]:
    """Heights of letters as in a sequence logo: a base's share of what is known of a position.

    Parameters
    ----------
    sequence
        (L, 4) float, shares of A, C, G and T: 1 for a known base, 0.25 each for N, 0.5 and 0.5 for R.

    Returns
    -------
    (L, 4) float64
        0 to 1: share times information, ``(2 - entropy) / 2`` in bits (Schneider and Stephens 1990). N has no height.

    Examples
    --------
    >>> letter_heights(np.array([[1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], [0.5, 0, 0.5, 0]])).tolist()
    [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.25, 0.0, 0.25, 0.0]]
    """
    shares = np.asarray(sequence, dtype=np.float64)
    total = shares.sum(axis=1, keepdims=True)
    shares = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)
    entropy = -np.sum(shares * np.log2(shares, out=np.zeros_like(shares), where=shares > 0), axis=1, keepdims=True)
    heights: npt.NDArray[np.float64] = np.where(total > 0, shares * (2 - entropy) / 2, 0.0)
    return heights


def draw_sequence(axes: Axes, sequence: Floats, *, start: int) -> str:
    """Draw a sequence over genome coordinates.

    Parameters
    ----------
    axes
        To draw on; its height becomes 0 to 1.
    sequence
        (L, 4) float, shares of A, C, G and T.
    start
        Position of the first base.

    Returns
    -------
    str
        What was drawn: :data:`LETTERS` or :data:`GC_CONTENT`.

    Raises
    ------
    ConfigError
        If `sequence` has another shape.
    """
    if sequence.ndim != 2 or sequence.shape[1] != len(BASES) or not len(sequence):
        message = f"sequence has shape {sequence.shape}; (bases, 4) is needed"
        raise ConfigError(message, argument="sequence", value=sequence.shape)
    axes.set_ylim(0, 1)
    if len(sequence) <= MOST_LETTERS:
        _draw_letters(axes, letter_heights(sequence), start)
        return LETTERS
    _draw_gc_content(axes, np.asarray(sequence, dtype=np.float64), start)
    return GC_CONTENT


def _draw_letters(axes: Axes, heights: npt.NDArray[np.float64], start: int) -> None:
    """One path per base, each letter stretched to its cell, small ones below."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    order = np.argsort(heights, axis=1, kind="stable")
    bottoms = np.zeros_like(heights)
    tops = np.cumsum(np.take_along_axis(heights, order, axis=1), axis=1)
    np.put_along_axis(bottoms, order, tops - np.take_along_axis(heights, order, axis=1), axis=1)
    for base, colour in enumerate(BASE_COLOURS):
        places = np.flatnonzero(heights[:, base] > 0)
        if not len(places):
            continue
        corners = np.column_stack((start + places + 0.04, bottoms[places, base]))
        sizes = np.column_stack((np.full(len(places), 0.92), heights[places, base]))
        outline, codes = _unit_letter(BASES[base])
        vertices = (outline * sizes[:, np.newaxis] + corners[:, np.newaxis]).reshape(-1, 2)
        letters = Path(vertices, np.tile(codes, len(places)))
        axes.add_patch(PathPatch(letters, facecolor=colour, linewidth=0))


def _unit_letter(letter: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """A letter's outline, (V, 2) vertices stretched to the unit square, and (V,) codes of what each ends."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    outline = TextPath((0, 0), letter, size=1, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    vertices = np.asarray(outline.vertices, dtype=np.float64)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    return (vertices - low) / (high - low), np.asarray(outline.codes, dtype=np.uint8)


def _draw_gc_content(axes: Axes, sequence: npt.NDArray[np.float64], start: int) -> None:
    """Share of G and C among the known bases, in columns; nothing where no base is known."""
    width = -(-len(sequence) // GC_COLUMNS)
    firsts = np.arange(0, len(sequence), width)
    is_known = sequence.max(axis=1) > 0.5
    n_known = np.add.reduceat(is_known.astype(np.float64), firsts)
    n_gc = np.add.reduceat(np.where(is_known, sequence[:, 1] + sequence[:, 2], 0.0), firsts)
    share = np.divide(n_gc, n_known, out=np.zeros_like(n_gc), where=n_known > 0)
    edges = start + np.append(firsts, len(sequence))
    axes.stairs(share, edges, fill=True, color=GREY, linewidth=0)
