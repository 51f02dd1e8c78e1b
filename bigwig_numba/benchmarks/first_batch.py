"""What a new process takes from import to its first batch, once others have left compiled kernels in the cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..collection import BigWigCollection
from ..errors import BigWigError

N_PROCESSES = 3
PROGRAM = f"import time; started = time.perf_counter(); from {__name__} import report; report(started)"


@dataclass(frozen=True)
class FirstBatchResult:
    """One line of the benchmark.

    Parameters
    ----------
    reader
        Device and store.
    shape
        ``WINDOWSxBASES/BIN``.
    n_tracks
        Files.
    import_seconds, open_seconds, batch_seconds
        Importing the package, opening the files, the first batch: of the process in the middle of three.
    """

    reader: str
    shape: str
    n_tracks: int
    import_seconds: float
    open_seconds: float
    batch_seconds: float

    @property
    def seconds(self) -> float:
        """From import to the first batch."""
        return self.import_seconds + self.open_seconds + self.batch_seconds

    def line(self) -> str:
        """For people."""
        return (
            f"{self.shape:>16} x {self.n_tracks} {self.reader:<28} {self.seconds:>10.2f} s  from import to the first "
            f"batch of a new process: import {self.import_seconds:.2f}, open {self.open_seconds:.2f}, "
            f"batch {self.batch_seconds:.2f}"
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "seconds": self.seconds}


def measure_first_batch(
    reader: str, files: Sequence[str], windows: tuple[list[str], list[int], list[int], int], *, device: str, store: str
) -> FirstBatchResult:
    """Start processes, one after the other, that read a batch and end; the one in the middle is told of.

    Parameters
    ----------
    reader
        What to call it.
    files
        One track each.
    windows
        Chromosomes, starts, ends, bases of a bin.
    device, store
        As of the collection.
    """
    job = json.dumps({"files": list(files), "windows": windows, "device": device, "store": store})
    answers = sorted((_run(job) for _ in range(N_PROCESSES)), key=sum)
    shape = f"{len(windows[0])}x{windows[2][0] - windows[1][0]}/{windows[3]}"
    return FirstBatchResult(reader, shape, len(files), *answers[len(answers) // 2])


def _run(job: str) -> list[float]:
    # The package is found where this process found it, wherever it was started.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=job, capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        raise BigWigError(f"a new process could not read a batch:\n{done.stderr}")
    return [float(number) for number in done.stdout.split()]


def report(started: float) -> None:
    """Read the batch that standard input describes; write the seconds of importing, opening and reading."""
    imported = time.perf_counter()
    job = json.load(sys.stdin)
    chromosomes, starts, ends, window_size = job["windows"]
    with BigWigCollection(job["files"], sort=False, device=job["device"], store=job["store"]) as collection:
        opened = time.perf_counter()
        batch: Any = collection.get_batch(chromosomes, starts, ends, window_size=window_size)
        np.asarray(batch.get() if hasattr(batch, "get") else batch)  # waits for the GPU
        ended = time.perf_counter()
    sys.stdout.write(f"{imported - started} {opened - imported} {ended - opened}\n")
