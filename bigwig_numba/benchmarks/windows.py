"""How fast batches of random windows come: this library's devices and stores beside other readers, values compared."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..collection import BigWigCollection
from ..engine.choose import why_no_cuda
from .first_batch import FirstBatchResult, measure_first_batch
from .peers import PEERS, Windows

logger = logging.getLogger(__name__)

FEWEST_BATCHES, MOST_BATCHES = 3, 200  # to take the median of
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
    *(Shape(n_windows, 1_000, 1) for n_windows in (1, 16, 64, 256, 1_024, 4_096)),
    Shape(256, 131_072, 128),
)


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
    milliseconds, slow_milliseconds
        Median of batches, each of fresh random windows; what the slowest tenth of them took at least.
    n_batches
        Measured.
    stages
        Milliseconds of a batch by stage, where the reader tells; stages overlap, so they may add up to more.
    agrees
        Whether the first batch equals the first reader's, to 1e-4; None for the first reader.
    """

    reader: str
    shape: str
    n_tracks: int
    milliseconds: float
    slow_milliseconds: float
    n_batches: int
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
            f"({self.slow_milliseconds:.2f}, {self.n_batches} batches) "
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
    seconds: float = 2.0,
) -> Iterator[WindowsResult | FirstBatchResult]:
    """Measure every reader that there is at every shape, then new processes, one result after another.

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
        Of ``peers.PEERS``; those that are not installed are left out, and those that fail, with a warning.
    seconds
        For the measured batches of a reader and a shape, which are 3 at least and 200 at most; as long again at most to
        warm up.
    """
    devices = devices or (["cpu"] if why_no_cuda() else ["cuda", "cpu"])
    expected: dict[Shape, Float32] = {}
    for name in peers:
        if importlib.util.find_spec(PEERS[name].module) is not None:
            yield from _measure_peer(name, files, shapes, expected, seconds)
    for device in devices:
        for store in stores if device == "cuda" else ("stream",):
            yield from _measure_library(files, shapes, device, store, expected, seconds)
    for device in devices:
        yield _measure_new_process(files, shapes[0], device, stores[0])


def _measure_peer(
    name: str, files: Sequence[str], shapes: Sequence[Shape], expected: dict[Shape, Float32], seconds: float
) -> Iterator[WindowsResult]:
    sizes = _chromosome_sizes(files)
    try:
        with contextlib.closing(PEERS[name].open(files)) as reader:
            for shape in shapes:
                if PEERS[name].suits(shape.n_windows):
                    yield _measure(name, shape, len(files), sizes, reader.values, expected, seconds)
    except Exception:  # whatever goes wrong in another program, the others are still to be measured
        logger.warning("%s failed", name, exc_info=True)


def _chromosome_sizes(files: Sequence[str]) -> dict[str, int]:
    with BigWigCollection(files, sort=False, device="cpu") as collection:
        return collection.chromosome_sizes


def _measure_library(
    files: Sequence[str],
    shapes: Sequence[Shape],
    device: str,
    store: str,
    expected: dict[Shape, Float32],
    seconds: float,
) -> Iterator[WindowsResult]:
    name = _reader_name(device, store)
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
            sizes = collection.chromosome_sizes
            yield _measure(name, shape, len(files), sizes, values, expected, seconds, lambda: collection.stage_seconds)


def _reader_name(device: str, store: str) -> str:
    return "bigwig_numba CPU" if device == "cpu" else f"bigwig_numba CUDA, {store}"


def _measure_new_process(files: Sequence[str], shape: Shape, device: str, store: str) -> FirstBatchResult:
    windows = random_windows(np.random.default_rng(0), _chromosome_sizes(files), shape)
    rows = windows.chromosomes, windows.starts.tolist(), windows.ends.tolist(), windows.window_size
    return measure_first_batch(_reader_name(device, store), files, rows, device=device, store=store)


def _measure(
    reader: str,
    shape: Shape,
    n_tracks: int,
    sizes: dict[str, int],
    values: Callable[[Windows], Any],
    expected: dict[Shape, Float32],
    seconds: float,
    stages: Callable[[], dict[str, float]] = dict,
) -> WindowsResult:
    rng = np.random.default_rng(shape.n_windows + shape.length)

    def run() -> tuple[float, Any]:
        windows = random_windows(rng, sizes, shape)
        start = time.perf_counter()
        batch = values(windows)
        return time.perf_counter() - start, batch

    _, batch = run()  # all readers' first windows are the same
    got = np.asarray(batch.get() if hasattr(batch, "get") else batch)
    agrees = None if shape not in expected else bool(np.allclose(got, expected[shape], TOLERANCE, TOLERANCE))
    expected.setdefault(shape, got)
    _repeat(run, fewest=0, most=WARM_UP - 1, seconds=seconds)
    before = stages()
    times = np.array(_repeat(run, fewest=FEWEST_BATCHES, most=MOST_BATCHES, seconds=seconds)) * 1e3
    share = {name: (total - before.get(name, 0.0)) / times.size * 1e3 for name, total in stages().items()}
    median, slow = np.quantile(times, [0.5, 0.9]).tolist()
    return WindowsResult(reader, str(shape), n_tracks, median, slow, times.size, share, agrees)


def _repeat(run: Callable[[], tuple[float, Any]], *, fewest: int, most: int, seconds: float) -> list[float]:
    """The seconds of runs: as many as begin in the time given, but not fewer or more than said."""
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < fewest or (len(times) < most and time.perf_counter() - started < seconds):
        times.append(run()[0])
    return times


def random_windows(rng: np.random.Generator, sizes: dict[str, int], shape: Shape) -> Windows:
    """Windows drawn over the chromosomes that are long enough, in proportion to their length."""
    names = [name for name, size in sizes.items() if size > shape.length]
    lengths = np.array([sizes[name] for name in names], np.float64)
    rows = rng.choice(len(names), shape.n_windows, p=lengths / lengths.sum())
    starts = rng.integers(0, (lengths[rows] - shape.length).astype(np.int64))
    return Windows([names[row] for row in rows], starts, starts + shape.length, shape.window_size)
