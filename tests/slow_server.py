"""A proxy in front of a server on localhost: it adds latency, limits bandwidth, counts, and does what networks do."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-encoding", "date", "server"}


@dataclass(frozen=True)
class Fault:
    """What happens to a request instead of a good answer.

    `status` answers with it and S3's error `code`; `reset` ends the connection before any answer; `hang` never answers;
    `cut` sends the head and half of the body, then ends the connection; `short` says and sends half of the body;
    `tag` answers with another ETag.
    """

    status: int = 0
    code: str = ""
    reset: bool = False
    hang: bool = False
    cut: bool = False
    short: bool = False
    tag: str = ""


RESET, HANG, CUT, SHORT = Fault(reset=True), Fault(hang=True), Fault(cut=True), Fault(short=True)
UNAVAILABLE, SLOW_DOWN = Fault(503, "ServiceUnavailable"), Fault(503, "SlowDown")
INTERNAL, REQUEST_TIMEOUT = Fault(500, "InternalError"), Fault(400, "RequestTimeout")
FORBIDDEN, MISSING = Fault(403, "AccessDenied"), Fault(404, "NoSuchKey")
CHANGED = Fault(tag='"another"')

FaultFor = Callable[["Seen"], Fault | None]
Answer = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Seen:
    """A request as it arrived, and its number among all."""

    number: int
    method: str
    path: str
    query: str
    range: str | None


@dataclass
class SlowServer:
    """A proxy on a free port, in a thread of its own. A context manager.

    Attributes
    ----------
    upstream : str
        Where requests go on to.
    latency : float
        Seconds before each answer.
    bandwidth : float
        Bytes per second of all answers together.
    gate : int
        Nothing is answered until so many requests are in work at one time; then it stays open.
    fault_for : function
        Called with each request; may be replaced at any time.
    seen : list of Seen
        All requests, in the order of their arrival.
    n_bytes : int
        Of all bodies that were sent.
    most_in_flight : int
        Requests that were in work at one time, at most.
    unchanging : str
        How paths begin of files that never change: upstream is asked but once for each of their ranges.
    """

    upstream: str
    latency: float = 0.0
    bandwidth: float = float("inf")
    gate: int = 0
    fault_for: FaultFor = lambda seen: None
    seen: list[Seen] = field(default_factory=list)
    n_bytes: int = 0
    most_in_flight: int = 0
    unchanging: str = ""

    def __enter__(self) -> SlowServer:
        self._known: dict[tuple[str, str], Answer] = {}
        self._numbers = itertools.count()
        self._in_flight = 0
        self._line_free_at = 0.0
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def reset(self) -> None:
        """Be as new, with nothing in work."""
        self.latency, self.bandwidth, self.gate, self.fault_for = 0.0, float("inf"), 0, lambda seen: None
        asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result(30)
        self._line_free_at = 0.0
        self._numbers = itertools.count()
        self.reset_counts()

    async def _finish(self) -> None:
        self._open_gate.set()
        self._let_go.set()
        while self._in_flight:
            await asyncio.sleep(0.001)
        self._let_go.clear()

    def close_gate(self, n_requests: int) -> None:
        """Let nothing pass until so many requests are there."""
        self.gate = n_requests
        self._open_gate.clear()

    def reset_counts(self) -> None:
        self.seen.clear()
        self.n_bytes = self.most_in_flight = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def _run(self, ready: threading.Event) -> None:
        self._loop, self._stop, self._open_gate = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        self._let_go = asyncio.Event()
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(auto_decompress=False, connector=connector) as self._client:
            runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self._port = runner.addresses[0][1]
            ready.set()
            await self._stop.wait()
            self._let_go.set()
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        seen = Seen(
            next(self._numbers), request.method, request.path, request.query_string, request.headers.get("Range")
        )
        self.seen.append(seen)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        if self._in_flight >= self.gate:
            self._open_gate.set()
        try:
            return await self._answer(request, self.fault_for(seen) or Fault())
        finally:
            self._in_flight -= 1

    async def _answer(self, request: web.BaseRequest, fault: Fault) -> web.StreamResponse:
        await self._open_gate.wait()
        if self.latency:
            await asyncio.sleep(self.latency)
        transport = request.transport
        assert transport is not None
        if fault.hang:
            await self._let_go.wait()
        if fault.reset or fault.hang:
            transport.abort()
            return web.Response()
        if fault.status:
            body = f"<Error><Code>{fault.code}</Code><Message>made up</Message></Error>".encode()
            return web.Response(status=fault.status, body=body, content_type="application/xml")
        status, headers, body = await self._ask_upstream(request)
        if fault.tag:
            headers = {name: value for name, value in headers.items() if name.lower() != "etag"} | {"ETag": fault.tag}
        if fault.short:
            body = body[: len(body) // 2]
        await self._wait_for_line(len(body))
        if request.method == "HEAD":
            return web.Response(status=status, headers=headers)
        headers["Content-Length"] = str(len(body))
        response = web.StreamResponse(status=status, headers=headers)
        await response.prepare(request)
        sent = body[: len(body) // 2] if fault.cut else body
        self.n_bytes += len(sent)
        await response.write(sent)
        if fault.cut:
            transport.close()
        return response

    async def _wait_for_line(self, n_bytes: int) -> None:
        """All answers share one line."""
        begins = max(self._line_free_at, self._loop.time())
        self._line_free_at = begins + n_bytes / self.bandwidth
        if self.bandwidth < float("inf"):
            await asyncio.sleep(self._line_free_at - self._loop.time())

    async def _ask_upstream(self, request: web.BaseRequest) -> Answer:
        key = request.path, request.headers.get("Range", "")
        if request.method == "GET" and key in self._known:
            status, kept, body = self._known[key]
            return status, dict(kept), body
        data = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        url = aiohttp.client.URL(f"{self.upstream}{request.raw_path}", encoded=True)
        async with self._client.request(request.method, url, headers=headers, data=data or None) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            body = await answer.read()
            never_changes = self.unchanging and request.path.startswith(self.unchanging)
            if never_changes and request.method == "GET" and answer.status == 206:
                self._known[key] = answer.status, dict(kept), body
            return answer.status, kept, body


def first(fault: Fault, count: int = 1, *, of: str = "GET") -> FaultFor:
    """The first `count` range requests meet the fault."""
    left = itertools.count()
    return lambda seen: fault if seen.method == of and seen.range and next(left) < count else None


def always(fault: Fault, *, path: str = "") -> FaultFor:
    """All range requests whose path has this in it meet the fault."""
    return lambda seen: fault if seen.range and path in seen.path else None
