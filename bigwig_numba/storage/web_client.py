"""HTTP: a range as one request, whose answer also says how large the file is and which version."""

from __future__ import annotations

import re
from typing import Any

import aiohttp

from ..retries import HttpStatusError, RefusedError, WrongLengthError
from .clients import AsyncClient, FileVersion, RangeAnswer, RangeRequest

__all__ = ["WebClient", "range_header", "read_answer"]

CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
ACTUAL_SIZE = re.compile(rb"(<)(Actual)ObjectSize>(\d+)<")  # S3 tells the size there; in group 3, as above
ERROR_CODE = re.compile(rb"<Code>(\w{1,64})</Code>")
LARGEST_ERROR = 4_096  # bytes of a refusal that are looked at
NO_RANGES = "the server does not support byte ranges; download the file, or read it through simplecache::"


class WebClient(AsyncClient):
    """``http://`` and ``https://`` through the session of fsspec's file system."""

    tells_versions = True

    async def get_one(self, request: RangeRequest) -> RangeAnswer:
        """One range."""
        session = await self._file_system.set_session()
        options = dict(self._file_system.kwargs)
        headers = {**options.pop("headers", {}), **range_header(request)}
        options.setdefault("timeout", aiohttp.ClientTimeout(total=None, connect=self._timeout, sock_read=self._timeout))
        url = self._file_system.encode_url(request.path)
        async with session.get(url, headers=headers, **options) as response:
            return await read_answer(response, request)


def range_header(request: RangeRequest) -> dict[str, str]:
    """What asks for a range, as it stands in the file."""
    return {"Range": f"bytes={request.offset}-{request.offset + request.size - 1}", "Accept-Encoding": "identity"}


async def read_answer(response: Any, request: RangeRequest) -> RangeAnswer:
    """The body of an answer to a range request, and the file's size and version from its head.

    Raises
    ------
    RefusedError
        The server sends the whole file, whatever the range; its body is not read.
    HttpStatusError
        Any other refusal.
    """
    headers = response.headers
    tag = _strong(headers.get("ETag")) or headers.get("Last-Modified")
    found = CONTENT_RANGE.match(headers.get("Content-Range", ""))
    if response.status == 206 and found is not None and found[1] is not None:
        if not found[3].isdigit():
            raise RefusedError("the server does not say how large it is")
        if int(found[1]) != request.offset:
            raise WrongLengthError(f"the answer starts at byte {found[1]} instead of {request.offset}")
        return RangeAnswer(await response.read(), FileVersion(int(found[3]), tag))
    if response.status == 200:
        size = headers.get("Content-Length", "")
        if request.offset or not size.isdigit() or int(size) > request.size:
            response.close()  # else the rest of the body would be read, to use the connection again
            raise RefusedError(NO_RANGES)
        return RangeAnswer(await response.read(), FileVersion(int(size), tag))
    body = await response.content.read(LARGEST_ERROR)
    past_end = found or ACTUAL_SIZE.search(body)
    if response.status == 416 and past_end is not None and past_end[3].isdigit():
        return RangeAnswer(b"", FileVersion(int(past_end[3]), tag))
    code = ERROR_CODE.search(body)
    raise HttpStatusError(response.status, code[1].decode() if code else "")


def _strong(tag: str | None) -> str | None:
    """An ETag without the mark of a weak one: proxies that compress add it."""
    return tag.removeprefix("W/") if tag else None
