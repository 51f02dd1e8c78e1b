"""Remote files: opening and batches through a simulated network, beside the bare client, pyBigWig and pybigtools.

The server is :mod:`.object_server`, in a process of its own, with a fixed latency. Every reader reads the same files
from it, in the same process as this benchmark, and every value is compared with that of the local file.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import fsspec
import numpy as np
import numpy.typing as npt

from ..cache import cache_folder
from ..collection import BigWigCollection
from ..storage import Body, FileRange, RemoteOptions
from ..write import write_bigwig
from .object_server import ObjectServer

__all__ = ["RemoteResult", "RemoteWorkload", "run_remote_benchmark"]

Answer = TypeVar("Answer")

BUCKET = "tracks"
OURS, OURS_WEB = "bigwig_numba, s3://", "bigwig_numba, http://"
N_BASES = 100_000_000
BIN_SIZE = 20
PIECE = 5_000_000  # bases written at a time
N_PEER_WINDOWS = 8  # the peers read one range after the other: a few windows tell how long one takes
N_STEPS = 8
N_FIRST = 8  # files to open before anything is measured


@dataclass(frozen=True, slots=True)
class RemoteWorkload:
    """What is read.

    Attributes
    ----------
    n_files
        Opened.
    n_tracks
        Of them, read from in a batch.
    n_windows
        Of a batch.
    window_bases
        Length of each.
    latency
        Seconds between a request and its answer.
    bandwidth
        Bytes per second of each process of the server; None for no limit.
    processes
        Numbers of processes that send requests, each of which is measured.
    server_processes
        That answer them.
    """

    n_files: int = 200
    n_tracks: int = 16
    n_windows: int = 256
    window_bases: int = 2_048
    latency: float = 0.05
    bandwidth: float | None = None
    processes: tuple[int, ...] = (1, 2, 4)
    server_processes: int = 1


@dataclass(frozen=True, slots=True)
class RemoteResult:
    """One measurement.

    Attributes
    ----------
    what
        Opening, or a batch, and how.
    client
        Who read.
    seconds
        Until everything was there; for the peers, projected from a few windows.
    cpu_seconds
        Of this process, all threads together, without those of other processes that send requests.
    requests
        That the server saw.
    n_bytes
        That it sent.
    right
        Whether the values were those of the local file; None where there are none to compare.
    note
        What else there is to say.
    """

    what: str
    client: str
    seconds: float
    cpu_seconds: float
    requests: int
    n_bytes: int
    right: bool | None = None
    note: str = ""

    def line(self) -> str:
        """For people."""
        rate = self.requests / self.seconds if self.seconds else 0.0
        wrong = "  WRONG VALUES" if self.right is False else ""
        return (
            f"{self.what:<23} {self.client:<23} {self.seconds:8.3f} s {self.cpu_seconds:7.3f} s CPU "
            f"{self.requests:6,} requests {rate:6,.0f}/s "
            f"{self.n_bytes / 1e6:8.1f} MB  {self.note}{wrong}"
        )

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def run_remote_benchmark(workload: RemoteWorkload | None = None) -> Iterator[RemoteResult]:
    """Measure, one result after the other.

    Parameters
    ----------
    workload
        What is read; the default is 200 files, and batches of 256 windows of 16 tracks, at 50 ms.
    """
    workload = workload or RemoteWorkload()
    with tempfile.TemporaryDirectory(prefix="bigwig_numba_bench_") as folder:
        local = _lay_out(Path(folder), workload.n_files)
        with ObjectServer(
            folder,
            latency=workload.latency,
            bandwidth=workload.bandwidth,
            n_processes=workload.server_processes,
        ) as server:
            bench = _Bench(workload, server, local, Path(folder))
            yield from bench.opening()
            yield from bench.batches()
            yield from bench.prefetching()
            yield from bench.peers()


class _Bench:
    """The measurements, over one server."""

    def __init__(self, workload: RemoteWorkload, server: ObjectServer, local: Path, folder: Path) -> None:
        self.workload = workload
        self.server = server
        self.local = local
        self.folder = folder
        names = [f"track_{number:04d}.bw" for number in range(workload.n_files)]
        self.urls = [f"s3://{BUCKET}/{name}" for name in names]
        self.web_urls = [f"{server.url}/{BUCKET}/{name}" for name in names]
        self.storage_options = {"key": "key", "secret": "secret", "endpoint_url": server.url}
        draw = np.random.default_rng(0)
        self.starts = draw.integers(0, N_BASES - workload.window_bases, (2 * N_STEPS, workload.n_windows))
        with BigWigCollection([local], device="cpu") as collection:
            self.expected = self._batch(collection, 0)

    def opening(self) -> Iterator[RemoteResult]:
        """All files cold, known, and known from a listing; and the bare client with as many requests."""
        remote = RemoteOptions()
        self._connect(remote)
        cold, _ = self._timed("open cold", OURS, self._open, self.urls, remote, fresh=True)
        yield cold
        n_rounds = cold.requests // self.workload.n_files
        for client, options in self._bare_clients():
            file_system = fsspec.filesystem("s3", **self.storage_options, **options)
            file_system.cat_file(self.urls[0], start=0, end=10)
            n_bytes = cold.n_bytes // cold.requests
            yield self._timed("as many requests", client, self._bare, file_system, n_rounds, n_bytes)[0]
        if _is_installed("obstore"):
            other = replace(remote, client="obstore")
            self._connect(other)
            yield self._timed("open cold", "obstore, s3://", self._open, self.urls, other, fresh=True)[0]
        self._connect(remote, self.web_urls)
        result, _ = self._timed("open cold", OURS_WEB, self._open, self.web_urls, remote, fresh=True)
        yield replace(result, note=f"{remote.requests_in_flight(web_server=True)} at a time")
        self._open(self.urls, remote)
        yield self._timed("open known", OURS, self._open, self.urls, remote)[0]
        yield self._timed("open known, listed", OURS, self._open, [f"s3://{BUCKET}/*.bw"], remote)[0]

    def batches(self) -> Iterator[RemoteResult]:
        """A batch by each client, and by the bare one for the same ranges."""
        needed = self._needed_bytes()
        for client, urls, remote in self._clients():
            with self._tracks(urls, remote) as collection:
                asked = _listen(collection)
                self._batch(collection, 1)  # connections
                asked.clear()
                result, values = self._timed("batch", client, self._batch, collection, 0)
                note = f"{result.n_bytes / needed:.2f} x bytes needed"
                yield replace(result, right=self._is_right(values), note=note)
                if client == OURS:
                    yield from self._bare_batches(list(asked))
        yield from self._several_processes()
        yield from self._cached()

    def _several_processes(self) -> Iterator[RemoteResult]:
        """The same batch by several processes, and by one with as many requests in flight as the most have."""
        most = max(self.workload.processes, default=1)
        for client, urls, remote in self._clients():
            many = most * remote.requests_in_flight(web_server=client == OURS_WEB)
            ways = [(f"{many} in flight", replace(remote, concurrency=many))]
            ways += [
                (f"{n} process{'es' if n > 1 else ''}", replace(remote, processes=n)) for n in self.workload.processes
            ]
            for how, options in ways:
                with self._tracks(urls, options) as collection:
                    self._batch(collection, 1)  # connections
                    self._batch(collection, 2)
                    result, values = self._timed(f"batch, {how}", client, self._batch, collection, 0)
                    yield replace(result, right=self._is_right(values))

    def _bare_batches(self, asked: Sequence[FileRange]) -> Iterator[RemoteResult]:
        paths = [piece.file.full_url for piece in asked]
        starts = [piece.offset for piece in asked]
        ends = [piece.offset + piece.size for piece in asked]
        for client, options in self._bare_clients():
            file_system = fsspec.filesystem("s3", **self.storage_options, **options)
            file_system.cat_ranges(paths[:256], starts[:256], ends[:256])
            yield self._timed("the same ranges", client, file_system.cat_ranges, paths, starts, ends)[0]

    def _cached(self) -> Iterator[RemoteResult]:
        caches: dict[str, dict[str, Any]] = {
            "in memory": {"cache_bytes": 1 << 30},
            "on disk": {"cache_dir": self.folder / "blocks"},
        }
        for where, kept in caches.items():
            with self._tracks(self.urls, RemoteOptions(), **kept) as collection:
                self._batch(collection, 0)
                result, values = self._timed(f"batch, kept {where}", OURS, self._batch, collection, 0)
                yield replace(result, right=self._is_right(values))

    def prefetching(self) -> Iterator[RemoteResult]:
        """Batches read ahead by two threads, behind training steps that take as long as a batch."""
        with self._tracks(self.urls, RemoteOptions()) as collection, ThreadPoolExecutor(2) as executor:
            self._batch(collection, N_STEPS)
            alone = self._timed("", "", self._batch, collection, N_STEPS + 1)[0].seconds
            result, waited = self._timed("prefetched", OURS, self._train, collection, executor, alone)
        share = waited / ((N_STEPS - 1) * alone)
        yield replace(result, note=f"{N_STEPS} steps of {alone:.2f} s; waited {share:.1%} after the first")

    def _train(self, collection: BigWigCollection, executor: ThreadPoolExecutor, step_seconds: float) -> float:
        """Seconds that steps waited for batches; nothing hides the first batch."""
        waited = 0.0
        ahead = [executor.submit(self._batch, collection, number) for number in range(2)]
        for number in range(N_STEPS):
            asked = time.perf_counter()
            ahead[number].result()
            waited += (time.perf_counter() - asked) * (number > 0)
            if number + 2 < N_STEPS:
                ahead.append(executor.submit(self._batch, collection, number + 2))
            time.sleep(step_seconds)
        return waited

    def peers(self) -> Iterator[RemoteResult]:
        """Opening a file and reading windows by the peers, projected to the batch and to all files."""
        for name, arguments in (("pyBigWig", {}), ("pybigtools", {"fillna": None})):
            if not _is_installed(name) or getattr(importlib.import_module(name), "remote", 1) == 0:
                continue  # pyBigWig's wheels are built without libcurl: build it from source where that is installed
            client, url = f"{name}, http://", self.web_urls[0]
            result, file = self._timed("open", client, importlib.import_module(name).open, url)
            n_files = self.workload.n_files
            yield replace(result, seconds=result.seconds * n_files, note=f"1 file measured, times {n_files}")
            starts = self.starts[0][:N_PEER_WINDOWS].tolist()
            result, values = self._timed("batch", client, self._read_windows, file, starts, arguments)
            right = np.array_equal(np.nan_to_num(values), self.expected[: len(values), :, 0])
            times = self.workload.n_windows * self.workload.n_tracks / len(starts)
            note = f"{len(starts)} windows of 1 track measured, times {times:.0f}"
            yield replace(result, seconds=result.seconds * times, right=right, note=note)

    def _read_windows(self, file: Any, starts: Sequence[int], arguments: dict[str, Any]) -> npt.NDArray[np.float32]:
        length = self.workload.window_bases
        return np.array([file.values("chr1", start, start + length, **arguments) for start in starts], np.float32)

    def _clients(self) -> list[tuple[str, Sequence[str], RemoteOptions]]:
        remote = RemoteOptions()
        clients: list[tuple[str, Sequence[str], RemoteOptions]] = [
            (OURS, self.urls, remote),
            (OURS_WEB, self.web_urls, remote),
        ]
        if _is_installed("obstore"):
            clients.append(("obstore, s3://", self.urls, replace(remote, client="obstore")))
        return clients

    def _bare_clients(self) -> Iterator[tuple[str, dict[str, Any]]]:
        yield "s3fs", {}
        n_in_flight = RemoteOptions().requests_in_flight(web_server=False)
        yield f"s3fs, {n_in_flight} connections", {"config_kwargs": {"max_pool_connections": n_in_flight}}

    def _bare(self, file_system: Any, n_rounds: int, n_bytes: int) -> None:
        """As many requests as opening sends, of as many bytes."""
        for _ in range(n_rounds):
            n_files = len(self.urls)
            answers = file_system.cat_ranges(self.urls, [0] * n_files, [n_bytes] * n_files)
            assert all(isinstance(answer, bytes) for answer in answers)

    def _connect(self, remote: RemoteOptions, urls: Sequence[str] | None = None) -> None:
        """Make the client and its first connection, which has to be done once a process."""
        with BigWigCollection(
            (urls or self.urls)[:N_FIRST], device="cpu", storage_options=self._options_for(urls or self.urls),
            remote=replace(remote, keep_indexes=False),
        ):  # fmt: skip
            pass

    def _open(self, urls: Sequence[str], remote: RemoteOptions, *, fresh: bool = False) -> None:
        remote = replace(remote, keep_indexes=not fresh)
        with BigWigCollection(urls, device="cpu", storage_options=self._options_for(urls), remote=remote) as collection:
            assert len(collection) == self.workload.n_files

    def _tracks(self, urls: Sequence[str], remote: RemoteOptions, **kept: Any) -> BigWigCollection:
        options = self._options_for(urls)
        chosen = urls[: self.workload.n_tracks]
        return BigWigCollection(chosen, device="cpu", storage_options=options, remote=remote, **kept)

    def _options_for(self, urls: Sequence[str]) -> dict[str, Any] | None:
        return self.storage_options if urls[0].startswith("s3://") else None

    def _batch(self, collection: BigWigCollection, number: int) -> npt.NDArray[np.float32]:
        starts = self.starts[number]
        values: npt.NDArray[np.float32] = collection.get_batch(
            ["chr1"] * len(starts), starts, starts + self.workload.window_bases
        )
        return values

    def _is_right(self, values: npt.NDArray[np.float32]) -> bool:
        return bool((values == self.expected).all())

    def _needed_bytes(self) -> int:
        """Bytes of the blocks that a batch needs."""
        with self._tracks(self.urls, RemoteOptions(max_waste=0.0)) as collection:
            before = self.server.traffic
            self._batch(collection, 0)
            return (self.server.traffic - before).n_bytes

    def _timed(
        self, what: str, client: str, run: Callable[..., Answer], *arguments: Any, **options: Any
    ) -> tuple[RemoteResult, Answer]:
        before = self.server.traffic
        began, cpu_began = time.perf_counter(), time.process_time()
        answer = run(*arguments, **options)
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
        traffic = self.server.traffic - before
        return RemoteResult(what, client, seconds, cpu_seconds, traffic.requests, traffic.n_bytes), answer


def _lay_out(folder: Path, n_files: int) -> Path:
    """One made file under many names: readers keep their caches by name, and the server's disk is not measured."""
    made = cache_folder() / f"bench_remote_v1_{N_BASES}_{BIN_SIZE}.bw"
    if not made.is_file():
        made.parent.mkdir(parents=True, exist_ok=True)
        draw = np.random.default_rng(0)
        pieces = (
            ("chr1", start, draw.gamma(1.0, 10.0, PIECE // BIN_SIZE).astype(np.float32).round(2))
            for start in range(0, N_BASES, PIECE)
        )
        write_bigwig(made, {"chr1": N_BASES}, pieces, bin_size=BIN_SIZE)
    bucket = folder / BUCKET
    bucket.mkdir()
    for number in range(n_files):
        os.symlink(made, bucket / f"track_{number:04d}.bw")
    return made


def _listen(collection: BigWigCollection) -> list[FileRange]:
    """What a collection asks for from now on."""
    asked: list[FileRange] = []
    reader = collection._tracks.reader
    read = reader.read_bodies

    def listened(ranges: Sequence[FileRange]) -> list[Body | Exception]:
        asked.extend(ranges)
        return read(ranges)

    reader.read_bodies = listened  # type: ignore[method-assign]
    return asked


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
