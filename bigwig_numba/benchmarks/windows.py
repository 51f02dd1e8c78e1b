"""How fast batches of random windows come: this library's devices and stores beside other readers, values compared."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..collection import BigWigCollection
from ..engine.choose import why_no_cuda
from .peers import PEERS, Windows

REPEATS = 7
WARM_UP = 3
TOLERANCE = 1e-4  # relative; other readers add up in another order and precision
Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shape:
    """Windows of a batch, bases of a window, bases of a bin.

    Examples
    --------
    >>> Shape.parse("4,096x1000/1")
    Shape(n_windows=4096, length=1000, window_size=1)
    >>> str(Shape(256, 131_072, 128))
    '256x131072/128'
    """

    n_windows: int
    length: int
    window_size: int

    @classmethod
    def parse(cls, text: str) -> Shape:
        """Read ``WINDOWSxBASES/BIN``; raises ``ValueError`` for anything else."""
        n_windows, _, rest = text.replace(",", "").partition("x")
        length, _, window_size = rest.partition("/")
        return cls(int(n_windows), int(length), int(window_size or 1))

    def __str__(self) -> str:
        return f"{self.n_windows}x{self.length}/{self.window_size}"


DEFAULT_SHAPES = (
    Shape(1, 1_000, 1), Shape(16, 1_000, 1), Shape(256, 1_000, 1), Shape(4_096, 1_000, 1), Shape(256, 131_072, 128),
)  # fmt: skip


@dataclass(frozen=True)
class WindowsResult:
    """One line of the benchmark.

    Parameters
    ----------
    reader
        What was measured.
    shape
        ``WINDOWSxBASES/BIN``.
    n_tracks
        Files.
    milliseconds
        Median of batches, each of fresh random windows.
    stages
        Milliseconds of a batch by stage, where the reader tells; stages overlap, so they may add up to more.
    agrees
        Whether the last batch equals the first reader's, to 1e-4; None for the first reader.
    """

    reader: str
    shape: str
    n_tracks: int
    milliseconds: float
    stages: dict[str, float] = field(default_factory=dict)
    agrees: bool | None = None

    @property
    def window_tracks_per_second(self) -> float:
        """Windows of one track by time."""
        return int(self.shape.split("x")[0]) * self.n_tracks / self.milliseconds * 1e3

    def line(self) -> str:
        """For people."""
        stages = ", ".join(f"{name} {value:.2f}" for name, value in self.stages.items())
        verdict = {None: "", True: "agrees", False: "DIFFERS"}[self.agrees]
        return (
            f"{self.shape:>16} x {self.n_tracks} {self.reader:<28} {self.milliseconds:>10.2f} ms "
            f"{self.window_tracks_per_second:>12,.0f} window-tracks/s  {verdict:<8} {stages}"
        ).rstrip()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "window_tracks_per_second": self.window_tracks_per_second}


def run_windows_benchmark(
    files: Sequence[str],
    *,
    shapes: Sequence[Shape] = DEFAULT_SHAPES,
    devices: Sequence[str] | None = None,
    stores: Sequence[str] = ("stream", "device"),
    peers: Sequence[str] = tuple(PEERS),
) -> Iterator[WindowsResult]:
    """Measure every reader that there is at every shape, one result after another.

    Parameters
    ----------
    files
        One track each.
    shapes
        What a batch is.
    devices
        ``"cpu"``, ``"cuda"``; by default both where there is a GPU.
    stores
        Where compressed blocks live on the GPU.
    peers
        Of ``peers.PEERS``; those that are not installed are left out.
    """
    devices = devices or (["cpu"] if why_no_cuda() else ["cuda", "cpu"])
    expected: dict[Shape, Float32] = {}
    for name in peers:
        if importlib.util.find_spec(PEERS[name].module) is not None:
            yield from _measure_peer(name, files, shapes, expected)
    for device in devices:
        for store in stores if device == "cuda" else ("stream",):
            yield from _measure_library(files, shapes, device, store, expected)


def _measure_peer(
    name: str, files: Sequence[str], shapes: Sequence[Shape], expected: dict[Shape, Float32]
) -> Iterator[WindowsResult]:
    with BigWigCollection(files, sort=False, device="cpu") as collection:
        sizes = collection.chromosome_sizes
    reader = PEERS[name].open(files)
    try:
        for shape in shapes:
            if PEERS[name].suits(shape.n_windows):
                yield _measure(name, shape, len(files), sizes, reader.values, expected)
    finally:
        reader.close()


def _measure_library(
    files: Sequence[str], shapes: Sequence[Shape], device: str, store: str, expected: dict[Shape, Float32]
) -> Iterator[WindowsResult]:
    name = "bigwig_numba CPU" if device == "cpu" else f"bigwig_numba CUDA, {store}"
    with BigWigCollection(files, sort=False, device=device, store=store) as collection:

        def values(windows: Windows) -> Any:
            batch = collection.get_batch(
                windows.chromosomes, windows.starts, windows.ends, window_size=windows.window_size
            )
            if device == "cuda":
                import cupy

                cupy.cuda.Device().synchronize()
            return batch

        for shape in shapes:
            yield _measure(
                name, shape, len(files), collection.chromosome_sizes, values, expected, lambda: collection.stage_seconds
            )


def _measure(
    reader: str,
    shape: Shape,
    n_tracks: int,
    sizes: dict[str, int],
    values: Callable[[Windows], Any],
    expected: dict[Shape, Float32],
    stages: Callable[[], dict[str, float]] = dict,
) -> WindowsResult:
    rng = np.random.default_rng(shape.n_windows + shape.length)
    times = []
    before = stages()
    for number in range(WARM_UP + REPEATS):
        windows = random_windows(rng, sizes, shape)
        if number == WARM_UP:
            before = stages()
        start = time.perf_counter()
        batch = values(windows)
        times.append(time.perf_counter() - start)
    got = np.asarray(batch.get() if hasattr(batch, "get") else batch)
    agrees = None if shape not in expected else bool(np.allclose(got, expected[shape], TOLERANCE, TOLERANCE))
    expected.setdefault(shape, got)
    share = {name: (seconds - before.get(name, 0.0)) / REPEATS * 1e3 for name, seconds in stages().items()}
    return WindowsResult(reader, str(shape), n_tracks, float(np.median(times[WARM_UP:])) * 1e3, share, agrees)


def random_windows(rng: np.random.Generator, sizes: dict[str, int], shape: Shape) -> Windows:
    """Windows drawn over the chromosomes that are long enough, in proportion to their length."""
    names = [name for name, size in sizes.items() if size > shape.length]
    lengths = np.array([sizes[name] for name in names], np.float64)
    rows = rng.choice(len(names), shape.n_windows, p=lengths / lengths.sum())
    starts = rng.integers(0, (lengths[rows] - shape.length).astype(np.int64))
    return Windows([names[row] for row in rows], starts, starts + shape.length, shape.window_size)
