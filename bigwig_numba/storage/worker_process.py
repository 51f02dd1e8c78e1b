"""What a process does that sends requests for another one: see ``processes``, which starts it and gives it jobs."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import pickle
import socket
import threading
from collections import deque

from ..errors import ConfigError
from .processes import LENGTH, PLACE, RangeTable, Reply, Start
from .remote import FileRange, RemoteFile, RemoteReader

__all__ = ["main"]

PACKAGE = __name__.partition(".")[0]


def main(descriptor: int) -> None:
    """Answer jobs, each in a thread, until the other end of the socket is closed."""
    channel = socket.socket(fileno=descriptor)
    worker: _Worker | ConfigError
    start = _receive(channel, LENGTH.unpack(_receive(channel, LENGTH.size))[0])
    try:
        worker = _Worker(pickle.loads(start))
    except Exception as error:  # noqa: BLE001 - whatever an object raises that is not at home here
        message = f"RemoteOptions or storage_options cannot be read in another process ({type(error).__name__})"
        worker = ConfigError(f"{message}; leave processes at 0", argument="processes", value=None)
    while True:
        try:
            place, descriptors, _, _ = socket.recv_fds(channel, PLACE.size, 2)
        except OSError:
            place = b""
        if not place:
            os._exit(0)  # the other process is gone: nobody waits for what threads are doing
        threading.Thread(target=_answer, args=(worker, *PLACE.unpack(place), *descriptors), daemon=True).start()


def _receive(channel: socket.socket, size: int) -> bytes:
    received = channel.recv(size, socket.MSG_WAITALL)
    if len(received) < size:
        os._exit(0)
    return received


class _Worker:
    """Reads the ranges of jobs."""

    def __init__(self, start: Start) -> None:
        self.log: deque[tuple[str, int, str]] = deque()
        self._reader = RemoteReader(start.storage_options, dataclasses.replace(start.options, processes=0))
        self._files: dict[str, RemoteFile] = {}
        logger = logging.getLogger(PACKAGE)
        logger.setLevel(logging.INFO)
        logger.addHandler(_Collect(self.log))

    def read(self, job: RangeTable, memory: int) -> dict[int, Exception]:
        """Read ranges to their places; what became of those that cannot be read."""
        files = [self._files.setdefault(url, self._reader.open(url)) for url in job.urls]
        for file, version in zip(files, job.versions, strict=True):
            if version is not None and version != file.version:
                file.learn(version)
        rows = zip(job.files.tolist(), job.offsets.tolist(), job.sizes.tolist(), strict=True)
        outcomes = self._reader.read([FileRange(files[file], offset, size) for file, offset, size in rows])
        failures: dict[int, Exception] = {}
        for number, (place, outcome) in enumerate(zip(job.places.tolist(), outcomes, strict=True)):
            if isinstance(outcome, Exception):
                failures[number] = outcome
            else:
                _write(memory, outcome, place)
        return failures


class _Collect(logging.Handler):
    """Keeps what is logged for the other process, which has the user's handlers."""

    def __init__(self, log: deque[tuple[str, int, str]]) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.append((record.name, record.levelno, record.getMessage()))


def _answer(worker: _Worker | ConfigError, place: int, size: int, memory: int, reply: int) -> None:
    """Do a job and reply. If nobody waits for the reply any more, that is no trouble."""
    try:
        if isinstance(worker, ConfigError):
            raise worker
        failures = worker.read(pickle.loads(os.pread(memory, size, place)), memory)
        text = pickle.dumps(Reply(failures, None, [worker.log.popleft() for _ in range(len(worker.log))]))
    except Exception as error:  # noqa: BLE001 - it is raised where the ranges are wanted
        text = pickle.dumps(Reply({}, error, []))
    finally:
        os.close(memory)
    with open(reply, "wb", buffering=0) as answer, contextlib.suppress(OSError):
        _write(answer.fileno(), LENGTH.pack(len(text)) + text)


def _write(descriptor: int, data: bytes, place: int | None = None) -> None:
    """All of it."""
    rest = memoryview(data)
    while len(rest):
        written = os.write(descriptor, rest) if place is None else os.pwrite(descriptor, rest, place)
        place = None if place is None else place + written
        rest = rest[written:]
