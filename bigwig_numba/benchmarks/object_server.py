"""A small object store on localhost for benchmarks: S3's and HTTP's reading side, with a network's latency.

It runs in a process of its own, so that its work is not counted as the client's, and answers ``GET`` with ranges,
``HEAD`` and S3's listing of a bucket. Each answer comes a fixed time after its request; the bytes of all answers share
one bandwidth. Signatures are not looked at. A folder is a bucket; one server speaks to s3fs, obstore, and plain HTTP.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from dataclasses import dataclass
from email.utils import formatdate
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import numpy as np

__all__ = ["ObjectServer", "Traffic"]

LARGEST_HEAD = 64 * 1024  # bytes of a request's head
LARGEST_PAGE = 1_000  # objects of a listing, as S3 has it


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went over the wire.

    Attributes
    ----------
    requests
        Answered so far.
    n_bytes
        Bytes of bodies.
    """

    requests: int
    n_bytes: int

    def __sub__(self, other: Traffic) -> Traffic:
        return Traffic(self.requests - other.requests, self.n_bytes - other.n_bytes)


class ObjectServer:
    """Serve the subfolders of a folder as buckets, from a process of its own. A context manager.

    Parameters
    ----------
    folder
        Its subfolders are the buckets, the files in them the objects.
    latency
        Seconds between a request and its answer.
    bandwidth
        Bytes per second of all answers of a process together; None for no limit.
    n_processes
        Processes that share the connections to one port, so that the server is not what is measured.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        latency: float = 0.0,
        bandwidth: float | None = None,
        n_processes: int = 1,
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._running: list[tuple[BaseProcess, Connection]] = []
        port = 0
        for _ in range(n_processes):
            control, theirs = context.Pipe()
            arguments = (str(Path(folder).absolute()), port, latency, bandwidth, theirs)
            process = context.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            theirs.close()
            port = control.recv()
            self._running.append((process, control))
        self.url = f"http://127.0.0.1:{port}"

    @property
    def traffic(self) -> Traffic:
        """What was asked for so far."""
        for _, control in self._running:
            control.send("traffic")
        counts = np.array([control.recv() for _, control in self._running]).sum(axis=0)
        return Traffic(*counts.tolist())

    def close(self) -> None:
        """End the processes."""
        for process, control in self._running:
            if process.is_alive():
                process.terminate()
            process.join()
            control.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Store:
    """The folder, the clock of the simulated network, and the counts."""

    def __init__(self, folder: Path, latency: float, bandwidth: float | None) -> None:
        self.folder = folder
        self.latency = latency
        self.bandwidth = bandwidth
        self.requests = self.n_bytes = 0
        self._line_free_at = 0.0
        self._objects: dict[str, tuple[int, int, str, str]] = {}  # descriptor, size, ETag, date

    def sent_at(self, now: float, n_bytes: int) -> float:
        """When an answer has arrived that is asked for now."""
        ready = now + self.latency
        if self.bandwidth:
            self._line_free_at = ready = max(ready, self._line_free_at) + n_bytes / self.bandwidth
        return ready

    def answer(self, method: str, target: str, asked: str | None) -> tuple[bytes, bytes]:
        """Head and body of the response."""
        parts = urlsplit(target)
        name = unquote(parts.path).strip("/")
        query = parse_qs(parts.query)
        if "list-type" in query or "prefix" in query:
            body = self._listing(name, query)
            return _head("200 OK", len(body), ["Content-Type: application/xml"]), body
        try:
            descriptor, size, tag, date = self._open(name)
        except OSError:
            body = b"<Error><Code>NoSuchKey</Code><Message>There is no such key.</Message></Error>"
            return _head("404 Not Found", len(body), ["Content-Type: application/xml"]), body
        headers = [f'ETag: "{tag}"', f"Last-Modified: {date}", "Accept-Ranges: bytes"]
        if method == "HEAD":
            return _head("200 OK", size, headers), b""
        if not asked:
            return _head("200 OK", size, headers), os.pread(descriptor, size, 0)
        first_text, _, last_text = asked.removeprefix("bytes=").partition("-")
        first = int(first_text) if first_text else max(0, size - int(last_text))
        last = min(int(last_text), size - 1) if first_text and last_text else size - 1
        if first >= size:
            return _head("416 Range Not Satisfiable", 0, [f"Content-Range: bytes */{size}"]), b""
        headers.append(f"Content-Range: bytes {first}-{last}/{size}")
        return _head("206 Partial Content", last - first + 1, headers), os.pread(descriptor, last - first + 1, first)

    def _open(self, name: str) -> tuple[int, int, str, str]:
        if name not in self._objects:
            descriptor = os.open(self.folder / name, os.O_RDONLY)
            status = os.fstat(descriptor)
            if not name or os.path.isdir(self.folder / name):
                os.close(descriptor)
                raise IsADirectoryError(name)
            tag = f"{status.st_size:x}-{status.st_mtime_ns:x}"
            self._objects[name] = (descriptor, status.st_size, tag, formatdate(status.st_mtime, usegmt=True))
        return self._objects[name]

    def _listing(self, bucket: str, query: dict[str, list[str]]) -> bytes:
        """A page of a bucket's objects; prefixes that end at a delimiter are not told apart from none."""
        prefix = query.get("prefix", [""])[0]
        after = query.get("continuation-token", query.get("start-after", [""]))[0]
        folder = self.folder / bucket
        names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        names = [name for name in names if name.startswith(prefix) and name > after]
        page, rest = names[:LARGEST_PAGE], names[LARGEST_PAGE:]
        entries = []
        for name in page:
            _, size, tag, _ = self._open(f"{bucket}/{name}")
            entries.append(
                f"<Contents><Key>{escape(name)}</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified>"
                f"<ETag>&quot;{tag}&quot;</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            )
        more = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if rest else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{escape(bucket)}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(page)}</KeyCount>"
            f"<IsTruncated>{str(bool(rest)).lower()}</IsTruncated>{more}{''.join(entries)}</ListBucketResult>"
        ).encode()


class _Connection(asyncio.Protocol):
    """One client: requests one after another, each answered when its bytes have crossed the simulated network."""

    def __init__(self, store: _Store) -> None:
        self._store = store
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            self._respond(head.decode("latin-1"))
        if len(self._received) > LARGEST_HEAD:
            self._transport.abort()

    def _respond(self, request: str) -> None:
        first_line, *lines = request.split("\r\n")
        method, target, _ = first_line.split(" ")
        asked = next((line.partition(":")[2].strip() for line in lines if line.lower().startswith("range:")), None)
        head, body = self._store.answer(method, target, asked)
        self._store.requests += 1
        self._store.n_bytes += len(body)
        self._loop.call_at(self._store.sent_at(self._loop.time(), len(body)), self._transport.write, head + body)


def _head(status: str, size: int, headers: list[str]) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {size}", *headers, "", ""]).encode("latin-1")


def _serve(folder: str, port: int, latency: float, bandwidth: float | None, control: Connection) -> None:
    """Run the server, on any port for 0, until the process is ended or the other end of ``control`` is closed."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        store = _Store(Path(folder), latency, bandwidth)
        server = await loop.create_server(lambda: _Connection(store), "127.0.0.1", port, backlog=1_024, reuse_port=True)
        finished = asyncio.Event()

        def answer_control() -> None:
            try:
                control.recv()
                control.send((store.requests, store.n_bytes))
            except (EOFError, OSError):
                finished.set()

        control.send(server.sockets[0].getsockname()[1])
        loop.add_reader(control.fileno(), answer_control)
        await finished.wait()

    asyncio.run(run())
