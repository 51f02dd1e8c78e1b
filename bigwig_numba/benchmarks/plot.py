"""Draw benchmarks: throughput against the number of blocks, time against the size of a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from .inflate import InflateResult
from .windows import Shape, WindowsResult


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
        axes.legend(frameon=False)
    figure.savefig(path, dpi=200)


def plot_batch_times(results: Sequence[WindowsResult], path: Path) -> None:
    """Draw milliseconds against windows of a batch, a panel for each length of windows, a line for each reader."""
    import matplotlib.figure

    panels: dict[tuple[int, int], dict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        shape = Shape.parse(result.shape)
        panels[shape.length, shape.window_size][result.reader].append((shape.n_windows, result.milliseconds))
    figure = matplotlib.figure.Figure(figsize=(5.2 * len(panels), 4.0), layout="constrained")
    for axes, ((length, window_size), readers) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        for reader, points in readers.items():
            numbers, times = zip(*sorted(points), strict=True)
            axes.plot(numbers, times, marker="o", label=reader)
        axes.set(xscale="log", yscale="log", xlabel="windows in a batch", ylabel="milliseconds a batch")
        axes.set_title(f"{length:,} bases, bins of {window_size:,}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    figure.savefig(path, dpi=200)
