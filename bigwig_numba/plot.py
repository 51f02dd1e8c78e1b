"""Tracks of one window as a picture (needs matplotlib, the extra ``plot``)."""

from __future__ import annotations

import importlib.util
import math
import operator
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bigwig_numba.errors import ConfigError
from bigwig_numba.sequence_strip import GC_CONTENT, draw_sequence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "MOST_BINS",
    "PICTURE_FORMATS",
    "can_plot",
    "plot_batch",
    "plot_region",
    "plot_tracks",
    "save_picture",
    "track_names",
]

PICTURE_FORMATS = (".png", ".pdf", ".svg")
MOST_TRACKS = 24
MOST_COLUMNS = 2_000  # more than a page of paper resolves
LONGEST_LINE = 24  # letters of a track's name
MOST_BINS = 1_000  # that a region is read in to be drawn
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F6A4D", "#4B4B9B")
"""Told apart by colour-blind readers too: after Okabe and Ito (2008), brown and indigo in place of yellow and black."""
GREY = "#555555"
TRACK_HEIGHT, SEQUENCE_HEIGHT, MARGIN = 0.48, 0.24, 0.95  # inches

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


def track_names(paths: Sequence[str]) -> list[str]:
    """Names for tracks: those of the files without endings, with the folder's where that is not enough.

    Parameters
    ----------
    paths
        Of the files, or URLs.

    Returns
    -------
    list of str

    Examples
    --------
    >>> track_names(["a/ctcf.bw", "a/atac.bigWig", "s3://bucket/b/atac.bw?version=2"])
    ['ctcf', 'a/atac', 'b/atac']
    """
    places = [PurePosixPath(path.split("?")[0].replace("\\", "/")) for path in paths]
    counts = Counter(place.stem for place in places)
    return [place.stem if counts[place.stem] == 1 else f"{place.parent.name}/{place.stem}" for place in places]


def plot_tracks(
    values: Floats,
    track_names: Sequence[str],
    *,
    chromosome: str,
    start: int,
    window_size: int = 1,
    end: int | None = None,
    same_scale: bool = False,
    sequence: Floats | None = None,
    sequence_start: int | None = None,
    reverse: bool = False,
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
        First base of the first bin, 0-based.
    window_size
        Bases per bin.
    end
        Where the picture ends; by default where the bins (and the sequence) do.
    same_scale
        Whether all tracks have one scale, for tracks of one unit. By default each has its own, so that none is flat.
    sequence
        (L, 4) float, shares of A, C, G and T: drawn above the tracks, as letters up to 160 bases, else as GC content.
    sequence_start
        First base of the sequence; `start` by default.
    reverse
        Whether bins and sequence are those of the other strand: they run from the window's end to its start, and so
        do the positions in the picture.

    Returns
    -------
    matplotlib.figure.Figure
        Not tied to any window system; save it with :func:`save_picture`. Notebooks show it.

    Raises
    ------
    ConfigError
        If `values` and `track_names` do not fit together, or matplotlib is not installed.

    Notes
    -----
    The numbers at the right are the bottom and the top of a track's scale. A column of the picture shows the highest
    and the lowest of its bins, so that no peak is lost.

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
    n_tracks = min(values.shape[1], MOST_TRACKS)
    first, last = start, start + values.shape[0] * window_size
    sequence_start = start if sequence_start is None else sequence_start
    if sequence is not None:
        first, last = min(first, sequence_start), max(last, sequence_start + len(sequence))
    last = last if end is None else end
    figure, rows = _new_figure(n_tracks, with_sequence=sequence is not None)
    title = _title(chromosome, first, last, reverse=reverse, n_tracks=values.shape[1], same_scale=same_scale)
    rows[0].set_title(title, fontsize=9, loc="left", pad=8)
    if reverse:  # drawn from left to right all the same, at negative positions
        start, sequence_start = -start - values.shape[0] * window_size, -sequence_start - _length(sequence)
        first, last = -last, -first
    if sequence is not None:
        _draw_strip(rows[0], sequence, sequence_start)
    columns = [_columns_of(values[:, track], start=start, window_size=window_size) for track in range(n_tracks)]
    _draw_tracks(rows[-n_tracks:], columns, track_names, same_scale=same_scale)
    _label_positions(rows[-1], chromosome, first, last)
    _draw_scale_bar(rows[0], first, last)
    return figure


def plot_region(
    collection: Any,
    chromosome: str,
    start: int | None,
    end: int | None,
    *,
    track_indices: Sequence[int] | npt.NDArray[Any] | None,
    names: Sequence[str] | None,
    window_size: int | None,
    statistic: Any,
    same_scale: bool,
) -> Figure:
    """Draw a region of a collection; see :meth:`bigwig_numba.BigWigCollection.plot`, which has the defaults.

    Parameters
    ----------
    collection
        A :class:`bigwig_numba.BigWigCollection`.
    chromosome, start, end, track_indices, names, window_size, statistic, same_scale
        As there.

    Returns
    -------
    matplotlib.figure.Figure
    """
    length = collection.chromosome_sizes.get(chromosome, 1)  # get_batch says what is wrong with another name
    start = 0 if start is None else operator.index(start)
    end = length if end is None else operator.index(end)
    if window_size is None:
        window_size = max(1, -(-(end - start) // MOST_BINS))
    last = start + -(-(end - start) // window_size) * window_size  # the last bin may hang over the picture's edge
    values = collection.get_batch(
        [chromosome], [start], [last], window_size, np.nan, track_indices=track_indices, statistic=statistic
    )
    paths = collection.bigwig_paths
    paths = paths if track_indices is None else [paths[track] for track in track_indices]
    return plot_tracks(
        _on_host(values[0]), names or track_names(paths), chromosome=chromosome, start=start, end=end,
        window_size=window_size, same_scale=same_scale,
    )  # fmt: skip


def plot_batch(batch: Any, sample: int, *, same_scale: bool = False) -> Figure:
    """Draw one sample of a batch: its sequence, if it has one, and its tracks.

    Parameters
    ----------
    batch
        A :class:`bigwig_numba.batch.Batch`, with arrays of any framework and device.
    sample
        Which; negative ones count from the end.
    same_scale
        As for :func:`plot_tracks`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ConfigError
        If the batch has no values or no such sample.

    Notes
    -----
    Where the values show only the middle of the sequence, the picture is as wide as the sequence. A sample of the other
    strand is drawn as the model sees it, from the end of the window to its start.

    Examples
    --------
    >>> from bigwig_numba.batch import Batch
    >>> batch = Batch(["chr1"], [1_000], [1_008], sequences=["ACGTACGT"], values=np.ones((1, 4, 3), np.float32))
    >>> figure = plot_batch(batch, 0)
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['sequence', 'track 0', 'track 1', 'track 2']
    """
    if batch.values is None or not -len(batch) <= sample < len(batch):
        what = "has no values" if batch.values is None else f"has {len(batch)} samples, none of them number {sample}"
        raise ConfigError(f"the batch {what}", argument="sample", value=sample)
    values = _on_host(batch.values[sample])
    start, end = int(batch.starts[sample]), int(batch.ends[sample])
    sequence = None if batch.sequences is None else _shares(batch.sequences[sample])
    centre = start + (end - start) // 2
    reverse = batch.reverse_complement is not None and bool(batch.reverse_complement[sample])
    return plot_tracks(
        values,
        _names_of_tracks(batch, values.shape[1]),
        chromosome=str(batch.chromosomes[sample]),
        start=start,
        window_size=max(1, (end - start) // max(len(values), 1)),
        same_scale=same_scale,
        sequence=sequence,
        sequence_start=centre - _length(sequence) // 2,
        reverse=reverse,
    )


def _names_of_tracks(batch: Any, n_tracks: int) -> list[str]:
    """Names for the last axis of the batch's values."""
    numbers = range(n_tracks) if batch.track_indices is None else np.asarray(_on_host(batch.track_indices)).tolist()
    if batch.track_names is None:
        return [f"track {number}" for number in numbers]
    paths = [str(path) for path in batch.track_names]
    return track_names(paths if len(paths) == n_tracks else [paths[number] for number in numbers])


def _on_host(array: Any) -> npt.NDArray[Any]:
    """Any array or tensor in host memory; bfloat16, which comes as its bits, as float32."""
    if hasattr(array, "detach"):  # PyTorch; NumPy lacks its bfloat16
        array = array.detach().cpu()
        array = array.float() if array.is_floating_point() else array
    host = np.asarray(array.get() if hasattr(array, "get") else array)
    return (host.astype(np.uint32) << 16).view(np.float32) if host.dtype == np.uint16 else host


def _shares(sequence: Any) -> npt.NDArray[Any]:
    """Letters, or encoded bases of either layout, as (L, 4) shares of A, C, G and T."""
    if isinstance(sequence, str):
        letters = np.frombuffer(sequence.upper().encode(), np.uint8)
        shares: npt.NDArray[Any] = letters[:, np.newaxis] == np.frombuffer(b"ACGT", np.uint8)
        return shares.astype(np.float32)
    encoded: npt.NDArray[Any] = _on_host(sequence).astype(np.float32)
    is_transposed = encoded.ndim == 2 and encoded.shape[1] != 4 and encoded.shape[0] == 4
    return encoded.transpose() if is_transposed else encoded


def _length(sequence: Floats | None) -> int:
    return 0 if sequence is None else len(sequence)


def save_picture(figure: Figure, path: str | os.PathLike[str]) -> None:
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

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_picture(plot_tracks(np.eye(2), ["a", "b"], chromosome="chr1", start=0), f"{folder}/region.svg")
    ...     Path(f"{folder}/region.svg").read_text().startswith("<?xml")
    True
    """
    path = Path(path)
    if path.suffix.lower() not in PICTURE_FORMATS:
        message = f"a picture cannot be written as {path.name!r}; end the name in {', '.join(PICTURE_FORMATS)}"
        raise ConfigError(message, argument="path", value=path)
    import matplotlib

    # The same picture is the same file: no date, and ids of SVG elements that do not change.
    settings: Any = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "bigwig_numba"}
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower())
    with matplotlib.rc_context(settings):
        figure.savefig(path, dpi=200, metadata=metadata)


def _title(chromosome: str, first: int, last: int, *, reverse: bool, n_tracks: int, same_scale: bool) -> str:
    """Where the picture is, and what one has to know to read it."""
    parts = [f"{chromosome}:{first:,}\N{EN DASH}{last:,}"]
    if reverse:
        parts.append("\N{MINUS SIGN} strand")
    if n_tracks > MOST_TRACKS:
        parts.append(f"{MOST_TRACKS} of {n_tracks} tracks")
    if same_scale:
        parts.append("one scale")
    return " \N{MIDDLE DOT} ".join(parts)


def _new_figure(n_tracks: int, *, with_sequence: bool) -> tuple[Figure, Any]:
    """A figure and its rows, top to bottom, that share positions."""
    if not can_plot():
        message = 'matplotlib is not installed; pip install "bigwig-numba[plot]"'
        raise ConfigError(message, argument="values", value="a picture")
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    heights = [SEQUENCE_HEIGHT] * with_sequence + [TRACK_HEIGHT] * n_tracks
    figure = Figure(
        figsize=(7.2, MARGIN + sum(heights)),  # inches; the width of a page with two columns
        layout=ConstrainedLayoutEngine(hspace=0.0, h_pad=0.03),
    )
    rows = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    return figure, rows


def _prepare_strip(axes: Axes) -> None:
    """No frame and no ticks."""
    axes.set_yticks([])
    axes.tick_params(axis="x", bottom=False, labelbottom=False)
    for side in ("top", "left", "right", "bottom"):
        axes.spines[side].set_visible(False)


def _label(axes: Axes, name: str) -> None:
    axes.set_ylabel(_in_lines(name), rotation=0, ha="right", va="center", fontsize=8, labelpad=8)


def _in_lines(name: str) -> str:
    """A long name on two lines, broken where it has a separator; the middle of a very long one is left out."""
    if len(name) <= LONGEST_LINE:
        return name
    if len(name) > 2 * LONGEST_LINE:
        name = f"{name[: LONGEST_LINE - 1]}\N{HORIZONTAL ELLIPSIS}{name[-LONGEST_LINE:]}"
    fitting = range(len(name) - LONGEST_LINE, LONGEST_LINE + 1)
    middle = len(name) // 2
    after_separators = [place for place in fitting if name[place - 1] in "_-. /\N{HORIZONTAL ELLIPSIS}"]
    place = min(after_separators or [middle], key=lambda place: abs(place - middle))
    return f"{name[:place].rstrip()}\n{name[place:]}"


def _note(axes: Axes, text: str) -> None:
    """Small text at the upper right."""
    axes.annotate(
        text, (1, 1), xycoords="axes fraction", xytext=(3, 0), textcoords="offset points", va="top", fontsize=6.5,
        color=GREY,
    )  # fmt: skip


def _draw_strip(axes: Axes, sequence: Floats, start: int) -> None:
    _prepare_strip(axes)
    drawn = draw_sequence(axes, sequence, start=start)
    _label(axes, drawn)
    if drawn == GC_CONTENT:
        _note(axes, "[0, 100 %]")


def _draw_tracks(rows: Any, columns: Sequence[_Columns], names: Sequence[str], *, same_scale: bool) -> None:
    """One track per row, each on its own scale or all on one that has room for all."""
    limits = [(float(track.lowest.min()), float(track.highest.max())) for track in columns]
    if same_scale:
        limits = [(min(low for low, _ in limits), max(high for _, high in limits))] * len(columns)
    for number, axes in enumerate(rows):
        _draw_track(axes, columns[number], limits[number], colour=COLOURS[number % len(COLOURS)])
        _label(axes, names[number])


def _draw_track(axes: Axes, columns: _Columns, limits: tuple[float, float], *, colour: str) -> None:
    """Fill between zero and the values, with the scale at the right."""
    _prepare_strip(axes)
    for part in (columns.highest, columns.lowest):
        if part.any():
            axes.stairs(part, columns.edges, fill=True, color=colour, linewidth=0)
    bottom, top = limits
    # An empty track gets a flat line at the bottom.
    axes.set_ylim(bottom * 1.08, 1.0 if top == bottom else top * 1.08)
    axes.hlines(0, columns.edges[0], columns.edges[-1], color=colour, linewidth=0.6, clip_on=False)
    _note(axes, f"[{_number_text(bottom)}, {_number_text(top)}]" if top > bottom else "0")


def _number_text(number: float) -> str:
    """Three digits, or all of those before the point."""
    return f"{number:,.0f}" if 1_000 <= abs(number) < 1e7 else f"{number:.3g}"


@dataclass(frozen=True, slots=True)
class _Columns:
    """What a track shows: (C,) highest values, at least 0, and lowest, at most 0, and (C + 1,) edges on the genome."""

    highest: npt.NDArray[np.float64]
    lowest: npt.NDArray[np.float64]
    edges: npt.NDArray[np.int64]


def _columns_of(values: Floats, *, start: int, window_size: int) -> _Columns:
    """Bins to columns of the picture, of which a page has room for some."""
    bins_per_column = -(-len(values) // MOST_COLUMNS)
    first_bins = np.arange(0, len(values), bins_per_column)
    finite = np.nan_to_num(np.asarray(values, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    return _Columns(
        np.maximum(np.maximum.reduceat(finite, first_bins), 0.0),
        np.minimum(np.minimum.reduceat(finite, first_bins), 0.0),
        start + np.append(first_bins, len(values)) * window_size,
    )


def _label_positions(axes: Axes, chromosome: str, start: int, end: int) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlim(start, end)
    axes.spines["bottom"].set(visible=True, linewidth=0.6, color=GREY, position=("outward", 4))  # clear of the track
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda position, _: f"{abs(position):,.0f}"))
    axes.tick_params(axis="x", bottom=True, labelbottom=True, labelsize=7.5, length=3, width=0.6, color=GREY)
    axes.set_xlabel(f"Position on {chromosome} (bp)", fontsize=8)


def _draw_scale_bar(axes: Axes, start: int, end: int) -> None:
    """A bar of a round number of bases at the right, above the first row."""
    from matplotlib.transforms import ScaledTranslation, blended_transform_factory

    length = _round_length((end - start) / 5)
    points = axes.figure.dpi_scale_trans
    above = blended_transform_factory(axes.transData, axes.transAxes) + ScaledTranslation(0, 10 / 72, points)
    axes.plot([end - length, end], [1, 1], color="black", linewidth=1.4, solid_capstyle="butt", transform=above,
              clip_on=False, scalex=False, scaley=False, gid="scale bar")  # fmt: skip
    middle = blended_transform_factory(axes.transData, axes.transAxes) + ScaledTranslation(-4 / 72, 10 / 72, points)
    axes.text(end - length, 1, _length_text(length), transform=middle, ha="right", va="center", fontsize=7.5)


def _round_length(length: float) -> int:
    """The largest of 1, 2, 5, 10, 20, ... that is not above `length`, and at least 1."""
    power = 10 ** math.floor(math.log10(max(length, 1)))
    return int(max(step * power for step in (1, 2, 5) if step * power <= max(length, 1)))


def _length_text(length: int) -> str:
    for unit, name in ((1_000_000, "Mb"), (1_000, "kb")):
        if length >= unit:
            return f"{length // unit:,} {name}"
    return f"{length} bp"
