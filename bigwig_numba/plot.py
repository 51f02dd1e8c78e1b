"""Tracks of one window as a picture (needs matplotlib, the extra ``plot``)."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bigwig_numba.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PICTURE_FORMATS", "can_plot", "plot_tracks", "save_picture"]

PICTURE_FORMATS = (".png", ".pdf", ".svg")
MOST_TRACKS = 24
MOST_COLUMNS = 2_000  # more than a page of paper resolves
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F6A4D", "#4B4B9B")
"""Told apart by colour-blind readers too: after Okabe and Ito (2008), brown and indigo in place of yellow and black."""
GREY = "#555555"

Floats = npt.NDArray[np.floating]


def can_plot() -> bool:
    """Whether matplotlib is installed.

    Returns
    -------
    bool

    Examples
    --------
    >>> isinstance(can_plot(), bool)
    True
    """
    return importlib.util.find_spec("matplotlib") is not None


def plot_tracks(
    values: Floats, track_names: Sequence[str], *, chromosome: str, start: int, window_size: int = 1
) -> Figure:
    """Draw the tracks of one window below each other, over genome coordinates.

    Parameters
    ----------
    values
        (B, T) float, one window of a batch in host memory; NaN is drawn as nothing.
    track_names
        T names, drawn at the left. Of more than 24 tracks the first 24 are drawn.
    chromosome
        Name of the chromosome.
    start
        First base of the window, 0-based.
    window_size
        Bases per bin.

    Returns
    -------
    matplotlib.figure.Figure
        Not tied to any window system; save it with :func:`save_picture`.

    Raises
    ------
    ConfigError
        If `values` and `track_names` do not fit together, or matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> figure = plot_tracks(np.eye(8), list("abcdefgh"), chromosome="chr1", start=1_000)
    >>> len(figure.axes)
    8
    """
    if values.ndim != 2 or values.shape[1] != len(track_names) or values.size == 0:
        message = f"values of shape {values.shape} do not fit {len(track_names)} track names; (bins, tracks) is needed"
        raise ConfigError(message, argument="values", value=values.shape)
    if not can_plot():
        message = 'matplotlib is not installed; pip install "bigwig-numba[plot]"'
        raise ConfigError(message, argument="values", value=values.shape)
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    n_bins, n_tracks = values.shape[0], min(values.shape[1], MOST_TRACKS)
    end = start + n_bins * window_size
    figure = Figure(
        figsize=(7.2, 0.9 + 0.48 * n_tracks),  # inches; the width of a page with two columns
        layout=ConstrainedLayoutEngine(hspace=0.0, h_pad=0.03),
    )
    rows = np.atleast_1d(figure.subplots(n_tracks, 1, sharex=True))
    for track, axes in enumerate(rows):
        column = np.asarray(values[:, track], dtype=np.float64)
        _draw_track(axes, column, start=start, window_size=window_size, colour=COLOURS[track % len(COLOURS)])
        axes.set_ylabel(track_names[track], rotation=0, ha="right", va="center", fontsize=8, labelpad=8)
    _label_positions(rows[-1], chromosome, start, end)
    hidden = values.shape[1] - n_tracks
    more = f" \N{MIDDLE DOT} {n_tracks} of {values.shape[1]} tracks" if hidden else ""
    rows[0].set_title(f"{chromosome}:{start:,}\N{EN DASH}{end:,}{more}", fontsize=9, loc="left", pad=8)
    return figure


def save_picture(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, PDF or SVG, by the ending of the path; text stays text in PDF and SVG.

    Parameters
    ----------
    figure
        From :func:`plot_tracks`.
    path
        Where to; one of :data:`PICTURE_FORMATS`.

    Raises
    ------
    ConfigError
        If the path ends in something else.
    """
    if path.suffix.lower() not in PICTURE_FORMATS:
        message = f"a picture cannot be written as {path.name!r}; end the name in {', '.join(PICTURE_FORMATS)}"
        raise ConfigError(message, argument="path", value=path)
    import matplotlib

    with matplotlib.rc_context({"pdf.fonttype": 42, "svg.fonttype": "none"}):
        figure.savefig(path, dpi=200)


def _draw_track(axes: Axes, values: npt.NDArray[np.float64], *, start: int, window_size: int, colour: str) -> None:
    """Fill between zero and the values, with the range of values at the right."""
    highest, lowest, bins_per_column = _envelope(values)
    edges = start + np.minimum(np.arange(len(highest) + 1) * bins_per_column, len(values)) * window_size
    for part in (highest, lowest):
        if part.any():
            axes.stairs(part, edges, fill=True, color=colour, linewidth=0)
    top, bottom = highest.max(), lowest.min()
    # An empty track gets a flat line at the bottom.
    axes.set_ylim(bottom * 1.08, 1.0 if top == bottom else top * 1.08)
    axes.set_yticks([])
    axes.tick_params(axis="x", bottom=False, labelbottom=False)
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set(position=("data", 0.0), linewidth=0.6, color=colour)
    label = f"[{bottom:.3g}, {top:.3g}]" if bottom < 0 else f"{top:.3g}"
    axes.annotate(
        label,
        (1, 1),
        xycoords="axes fraction",
        xytext=(3, 0),
        textcoords="offset points",
        va="top",
        fontsize=6.5,
        color=GREY,
    )


def _envelope(
    values: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], int]:
    """Give the highest value (at least 0) and lowest (at most 0) of each column of the picture, and bins per column."""
    bins_per_column = -(-len(values) // MOST_COLUMNS)
    column_starts = np.arange(0, len(values), bins_per_column)
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    highest = np.maximum(np.maximum.reduceat(finite, column_starts), 0.0)
    lowest = np.minimum(np.minimum.reduceat(finite, column_starts), 0.0)
    return highest, lowest, bins_per_column


def _label_positions(axes: Axes, chromosome: str, start: int, end: int) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlim(start, end)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda position, _: f"{position:,.0f}"))
    axes.tick_params(axis="x", bottom=True, labelbottom=True, labelsize=7.5, length=3, width=0.6, color=GREY)
    axes.set_xlabel(f"Position on {chromosome} (bp)", fontsize=8)
