"""Draw benchmarks: throughput against the number of blocks, time against the size of a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .inflate import InflateResult
from .windows import Shape, WindowsResult

Points = dict[str, list[tuple[int, float]]]
"""Of each reader, windows of a batch and its milliseconds."""


def plot_throughput(results: Sequence[InflateResult], path: Path) -> None:
    """Draw GB/s against blocks, a line for each decoder that was measured at several numbers of blocks, to a file."""
    import matplotlib.figure

    points: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for result in results:
        points[result.decoder].append((result.n_blocks, result.gigabytes_per_second))
    figure = matplotlib.figure.Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    for decoder, measured in points.items():
        if len(measured) > 1:
            numbers, speeds = zip(*sorted(measured), strict=True)
            axes.plot(numbers, speeds, marker="o", label=decoder)
        else:
            axes.axhline(measured[0][1], linestyle="--", linewidth=1, color="0.6")
            axes.annotate(decoder, (0.01, measured[0][1]), xycoords=("axes fraction", "data"), va="bottom", color="0.4")
    axes.set(xscale="log", yscale="log", xlabel="blocks at a time", ylabel="GB/s of inflated bytes")
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=200)


def plot_batch_times(results: Sequence[WindowsResult], path: Path) -> None:
    """Draw milliseconds against windows of a batch, to a file, a panel for each length of windows.

    A line for each reader; or, where only one size of batch was measured, a bar.
    """
    import matplotlib.figure

    panels: dict[tuple[int, int], Points] = defaultdict(lambda: defaultdict(list))
    for result in results:
        shape = Shape.parse(result.shape)
        panels[shape.length, shape.window_size][result.reader].append((shape.n_windows, result.milliseconds))
    figure = matplotlib.figure.Figure(figsize=(6.0 * len(panels), 4.0), layout="constrained")
    for axes, ((length, window_size), readers) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        sizes = sorted({n_windows for points in readers.values() for n_windows, _ in points})
        title = f"{length:,} bases, bins of {window_size:,}"
        if len(sizes) == 1:
            _draw_bars(axes, readers)
            title = f"{sizes[0]:,} windows of {title}"
        else:
            _draw_lines(axes, readers)
        axes.set_title(title)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=200)


def _draw_lines(axes: Any, readers: Points) -> None:
    for reader, points in readers.items():
        numbers, times = zip(*sorted(points), strict=True)
        axes.plot(numbers, times, marker="o", label=reader)
    axes.set(xscale="log", yscale="log", xlabel="windows in a batch", ylabel="milliseconds a batch")
    axes.legend(frameon=False, fontsize="small")


def _draw_bars(axes: Any, readers: Points) -> None:
    """The first reader on top, in the colors of the lines."""
    times = [points[0][1] for points in readers.values()]
    bars = axes.barh(list(readers), times, color=[f"C{number}" for number in range(len(times))], height=0.6)
    axes.bar_label(bars, [f"{time:,.3g}" for time in times], padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set(xlabel="milliseconds a batch")
