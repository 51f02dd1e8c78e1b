"""Servers on localhost for tests of remote files: HTTP with and without ranges, and the address of an S3 server."""

from __future__ import annotations

import re
import threading
import zlib
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class S3Server:
    """Where an S3 server listens."""

    endpoint_url: str

    @property
    def storage_options(self) -> dict[str, Any]:
        """For fsspec; the credentials are made up."""
        return {"key": "test-key", "secret": "test-secret", "endpoint_url": self.endpoint_url}


class FileServer:
    """Serves the files of a folder on a free port of localhost, and notes every request.

    Attributes
    ----------
    folder : Path
        What is served.
    requests : list of (method, path, range header or None)
        In the order of their arrival.
    """

    def __init__(self, folder: Path, *, ranges: bool) -> None:
        self.folder = folder
        self.requests: list[tuple[str, str, str | None]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(self, ranges=ranges))
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{name}"

    def __enter__(self) -> FileServer:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def handler_for(file_server: FileServer, *, ranges: bool) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def do_GET(self) -> None:
            self.answer(with_body=True)

        def answer(self, *, with_body: bool) -> None:
            asked = self.headers.get("Range")
            file_server.requests.append((self.command, self.path, asked))
            path = file_server.folder / self.path.lstrip("/")
            if not path.is_file():
                self.send_error(404)
                return
            body = path.read_bytes()
            tag = zlib.crc32(body)
            part = requested_part(asked, len(body)) if ranges and asked else None
            if part is not None and part[0] >= len(body):
                self.send_error(416)
                return
            self.send_response(206 if part else 200)
            if part:
                self.send_header("Content-Range", f"bytes {part[0]}-{part[1] - 1}/{len(body)}")
                body = body[slice(*part)]
            if ranges:
                self.send_header("Accept-Ranges", "bytes")
            self.send_header("ETag", f'"{tag:08x}"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def requested_part(header: str, size: int) -> tuple[int, int] | None:
    """[first, last) of `bytes=first-last`, `bytes=first-` or `bytes=-count`."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header)
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1 if last else size)
