"""Several processes that send requests for this one: ranges go to them, bytes come back through shared memory.

::

    this process ── jobs ──┬─> worker 0 ──┐ writes bodies to
                           ├─> worker 1 ──┤ their places in
                           └─> worker 2 ──┘ one piece of memory, which this process maps

Workers are new interpreters that import this package and not the user's script, so a script needs no
``if __name__ == "__main__"`` for them. The memory has no name, so nothing can be left behind: it is gone with its last
user, however that one ends. A worker ends when this process does, as its socket is closed then.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import pickle
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import ConfigError, WorkerError
from ..ranges import Int64Array
from .clients import FileVersion
from .options import RemoteOptions

__all__ = ["LENGTH", "PLACE", "Body", "RangeTable", "Reply", "RequestProcesses", "Start"]

Body = bytes | memoryview

PLACE = struct.Struct("<qq")  # of a job in the shared memory: first byte, bytes
LENGTH = struct.Struct("<q")  # of a reply
LOOK_AFTER = 1.0  # seconds without a reply after which it is asked whether the worker still runs
PROGRAM = "import sys; sys.path[:] = {path!r}; from bigwig_numba.storage.worker_process import main; main({descriptor})"


@dataclass(frozen=True, slots=True)
class Start:
    """What a worker needs to know, once."""

    storage_options: dict[str, Any] | None = field(repr=False)
    options: RemoteOptions


@dataclass(frozen=True, slots=True, eq=False)
class RangeTable:
    """Ranges of files, and where in the shared memory they go.

    Attributes
    ----------
    urls, versions
        (F,) the files, as the user gave them.
    files : (N,) int64
        The file of each range.
    offsets, sizes : (N,) int64
        Bytes in the file.
    places : (N,) int64
        Where in the shared memory.
    """

    urls: Sequence[str] = field(repr=False)
    versions: Sequence[FileVersion | None]
    files: Int64Array
    offsets: Int64Array
    sizes: Int64Array
    places: Int64Array

    def part(self, first: int, last: int) -> RangeTable:
        """Some of the ranges, and their files."""
        used, files = np.unique(self.files[first:last], return_inverse=True)
        return RangeTable(
            urls=[self.urls[file] for file in used.tolist()],
            versions=[self.versions[file] for file in used.tolist()],
            files=files.astype(np.int64),
            offsets=self.offsets[first:last],
            sizes=self.sizes[first:last],
            places=self.places[first:last],
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """What a worker says when the bytes of a job are in their places.

    Attributes
    ----------
    failures
        What became of ranges that could not be read, by their number in the job.
    raised
        What became of the job as a whole, if it failed.
    log
        Logger, level and text of what was logged meanwhile.
    """

    failures: dict[int, Exception]
    raised: Exception | None
    log: list[tuple[str, int, str]]


@dataclass(frozen=True, slots=True, eq=False)
class _Worker:
    """A running worker, and the process that it belongs to: a fork of that has a copy of this, but no worker."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    lock: threading.Lock
    owner: int


class _EndedError(Exception):
    """A worker is no more."""


class RequestProcesses:
    """Workers, started when first needed and again if one ends.

    Parameters
    ----------
    n_processes
        How many.
    storage_options, options
        As for ``RemoteReader``; each worker has one with them.
    """

    def __init__(self, n_processes: int, storage_options: dict[str, Any] | None, options: RemoteOptions) -> None:
        if not hasattr(socket, "send_fds"):
            message = "processes of RemoteOptions needs Unix sockets, which this system does not have; leave it at 0"
            raise ConfigError(message, argument="processes", value=n_processes)
        self.n_processes = n_processes
        self._start = Start(storage_options, options)
        self._workers: list[_Worker] = []
        self._lock = threading.Lock()
        weakref.finalize(self, _end, self._workers)

    def __repr__(self) -> str:
        return f"<RequestProcesses, {len(self._workers)} of {self.n_processes} started>"

    def close(self) -> None:
        """End the workers."""
        with self._lock:
            _end(self._workers)

    def read(self, table: RangeTable, n_parts: int) -> list[Body | Exception]:
        """Read ranges with ``n_parts`` of the workers; each in full, or the error that remains of it.

        Raises
        ------
        WorkerError
            A worker ended twice, for instance for lack of memory.
        ConfigError
            Options that cannot be sent to another process.
        """
        for is_last_try in (False, True):
            workers = self._running_workers()
            try:
                return _read(workers[:n_parts], table)
            except _EndedError as error:
                self._drop(workers)
                if is_last_try:
                    message = f"a process that reads remote files ended twice ({error}); is there memory for it?"
                    raise WorkerError(message) from None
            except BaseException:  # Ctrl-C: nothing is to go on in the background
                self._drop(workers)
                raise
        raise AssertionError

    def _running_workers(self) -> list[_Worker]:
        with self._lock:
            if not self._workers:
                try:
                    start = pickle.dumps(self._start)
                except Exception:  # noqa: BLE001 - whatever an object that cannot be pickled raises
                    message = "with processes in RemoteOptions, it and storage_options must be picklable; one is not"
                    raise ConfigError(message, argument="processes", value=self.n_processes) from None
                try:
                    for _ in range(self.n_processes):
                        self._workers.append(_start_worker(start))
                except BaseException:
                    _end(self._workers)
                    raise
            return list(self._workers)

    def _drop(self, workers: list[_Worker]) -> None:
        with self._lock:
            if self._workers and self._workers[0] is workers[0]:  # else another thread has done it
                _end(self._workers)


def _start_worker(start: bytes) -> _Worker:
    """A new interpreter; what it is to know, secrets too, goes through its socket only."""
    ours, theirs = socket.socketpair()
    with theirs:
        path = [entry for entry in sys.path if isinstance(entry, str)]
        program = PROGRAM.format(path=path, descriptor=theirs.fileno())
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C is for this process, which then ends the workers
        )
    worker = _Worker(process, ours, threading.Lock(), os.getpid())
    with contextlib.suppress(OSError):  # it has ended; who sends it a job will notice
        ours.sendall(LENGTH.pack(len(start)) + start)
    return worker


def _end(workers: list[_Worker]) -> None:
    """End workers and empty the list; they have nothing to lose."""
    while workers:
        worker = workers.pop()
        if worker.owner != os.getpid():
            worker.channel.close()
            worker.process.returncode = 0  # not a child of this fork: nothing to wait for
            continue
        worker.process.kill()
        with worker.lock:
            worker.channel.close()
        worker.process.wait()


def _read(workers: Sequence[_Worker], table: RangeTable) -> list[Body | Exception]:
    """Give each worker its share, wait for all, and map what they wrote."""
    bounds = np.linspace(0, len(table.sizes), len(workers) + 1).astype(np.int64).tolist()
    n_bytes = int(table.sizes.sum())
    memory = _nameless_file()
    replies: list[int] = []
    try:
        os.ftruncate(memory, n_bytes)
        for worker, first, last in zip(workers, bounds[:-1], bounds[1:], strict=True):
            replies.append(_send(worker, pickle.dumps(table.part(first, last)), memory))
        answers = [_wait(worker, reply) for worker, reply in zip(workers, replies, strict=True)]
        for answer in answers:
            for name, level, text in answer.log:
                logging.getLogger(name).log(level, "%s", text)
        for answer in answers:
            if answer.raised is not None:
                raise answer.raised
        mapped = memoryview(mmap.mmap(memory, n_bytes, prot=mmap.PROT_READ))
    finally:
        os.close(memory)
        for reply in replies:
            os.close(reply)
    pieces = zip(table.places.tolist(), table.sizes.tolist(), strict=True)
    outcomes: list[Body | Exception] = [mapped[place : place + size] for place, size in pieces]
    for first, answer in zip(bounds, answers, strict=False):
        for number, failure in answer.failures.items():
            outcomes[first + number] = failure
    return outcomes


def _send(worker: _Worker, job: bytes, memory: int) -> int:
    """Send a job: it is written behind the place of the bodies, and its place and a pipe to reply go to the worker.

    Returns the other end of the pipe.
    """
    place = os.fstat(memory).st_size
    os.pwrite(memory, job, place)
    reply, theirs = os.pipe()
    try:
        with worker.lock:
            socket.send_fds(worker.channel, [PLACE.pack(place, len(job))], [memory, theirs])
    except OSError as error:
        os.close(reply)
        raise _EndedError(_how_it_ended(worker)) from error
    finally:
        os.close(theirs)
    return reply


def _wait(worker: _Worker, reply: int) -> Reply:
    """The reply to a job."""
    received = bytearray()
    while len(received) < LENGTH.size or len(received) < LENGTH.size + LENGTH.unpack_from(received)[0]:
        waiting = select.poll()
        waiting.register(reply, select.POLLIN)
        if not waiting.poll(LOOK_AFTER * 1_000):
            if worker.process.poll() is not None:
                raise _EndedError(_how_it_ended(worker))
            continue
        piece = os.read(reply, 1 << 16)
        if not piece:
            raise _EndedError(_how_it_ended(worker))
        received += piece
    answer: Reply = pickle.loads(received[LENGTH.size :])
    return answer


def _how_it_ended(worker: _Worker) -> str:
    try:
        status = worker.process.wait(LOOK_AFTER)
    except subprocess.TimeoutExpired:
        return "no answer"
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def _nameless_file() -> int:
    """Memory that other processes can be given, as a descriptor; where the system has none, a file without a name."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("bigwig_numba")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
