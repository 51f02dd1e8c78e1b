"""S3 through s3fs: each file's address is signed once, its ranges are then plain HTTP requests.

A request through botocore costs 1 to 2 ms of CPU, most of it for signing and for reading the answer; a plain one
costs a tenth of a millisecond. s3fs gives credentials, endpoint and region, and signs the address (*presigned URL*; the
range is not part of what is signed). Where a server refuses such an address, or where options of s3fs ask for more
than an address can say, each request is signed by botocore instead. Signed addresses never leave this module.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import time
import urllib.request
import weakref
from typing import Any

import aiohttp
from yarl import URL

from ..retries import PASSING_CODES, HttpStatusError
from .clients import AsyncClient, FileVersion, RangeAnswer, RangeRequest
from .web_client import CONTENT_RANGE, range_header, read_answer

__all__ = ["S3Client", "s3_storage_options"]

logger = logging.getLogger(__name__)

SIGNED_FOR = 6 * 3_600  # seconds that a signed address is good for; credentials may end sooner
SIGN_AGAIN = 15 * 60  # seconds of its use
# What a server answers that does not take a signed address: other region, no such signature, expired credentials.
REFUSALS = frozenset((301, 307, 400, 401, 403, 405, 501))
SIGN_EACH_FOR = 60.0  # seconds without signed addresses after one was refused
PLAIN_CLIENT_OPTIONS = frozenset(
    (
        *("endpoint_url", "region_name", "use_ssl", "verify"),
        *("aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
    )
)
PLAIN_CONFIG = frozenset(
    ("signature_version", "max_pool_connections", "retries", "connect_timeout", "read_timeout", "region_name", "s3")
)


def s3_storage_options(storage_options: dict[str, Any], *, n_in_flight: int, timeout: float) -> dict[str, Any]:
    """Options for s3fs that are not its defaults, unless the user set them.

    Its pool has 10 connections; botocore would sign addresses by a method that newer regions refuse; retries are up to
    this package, once; a bucket's region is asked for, as a signed address holds it.
    """
    config = {
        "max_pool_connections": n_in_flight,
        "signature_version": "s3v4",
        "retries": {"total_max_attempts": 1},
        "connect_timeout": timeout,
        "read_timeout": timeout,
        **(storage_options.get("config_kwargs") or {}),
    }
    return {"cache_regions": True, **storage_options, "config_kwargs": config}


class S3Client(AsyncClient):
    """``s3://`` through s3fs."""

    tells_versions = True

    def __init__(self, file_system: Any, *, n_in_flight: int, timeout: float) -> None:
        super().__init__(file_system, n_in_flight=n_in_flight, timeout=timeout)
        self._clients: dict[str, asyncio.Task[Any]] = {}
        self._addresses: dict[str, tuple[URL, float]] = {}
        self._proxies: dict[str, str | None] = {}
        self._session: aiohttp.ClientSession | None = None
        self._sign_each_until = float("inf") if _needs_botocore(file_system) else 0.0

    async def get_one(self, request: RangeRequest) -> RangeAnswer:
        """One range, by a signed address if the server takes one."""
        from botocore.exceptions import BotoCoreError, NoCredentialsError

        try:
            return await self._get_either_way(request)
        except NoCredentialsError as error:
            raise PermissionError(str(error)) from None
        except BotoCoreError as error:
            raise ConnectionError(f"{type(error).__name__}: the S3 endpoint cannot be reached") from error

    async def _get_either_way(self, request: RangeRequest) -> RangeAnswer:
        if time.monotonic() < self._sign_each_until:
            return await self._get_by_botocore(request)
        try:
            return await self._get_by_address(request)
        except HttpStatusError as refusal:
            if refusal.status not in REFUSALS or refusal.code in PASSING_CODES:
                raise
        answer = await self._get_by_botocore(request)  # raises if it is refused that way, too
        if time.monotonic() >= self._sign_each_until:
            logger.info("the S3 endpoint refused a signed address; requests are signed one by one for a while")
        self._sign_each_until = time.monotonic() + SIGN_EACH_FOR
        self._addresses.clear()
        return answer

    async def _get_by_address(self, request: RangeRequest) -> RangeAnswer:
        try:
            if self._session is None:
                self._session = self._new_session()
            address = await self._address(request.path)
            async with self._session.get(
                address, headers=range_header(request), allow_redirects=False, proxy=self._proxy_for(address)
            ) as response:
                return await read_answer(response, request)
        except aiohttp.ClientError as error:  # its text may hold the address
            raise ConnectionError(f"{type(error).__name__} while reading from S3") from None

    async def _address(self, path: str) -> URL:
        address, signed_at = self._addresses.get(path, (None, 0.0))
        if address is None or time.monotonic() > signed_at + SIGN_AGAIN:
            client, parameters = await self._client_for(path)
            signed = await client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=SIGNED_FOR)
            address = URL(signed, encoded=True)
            self._addresses[path] = (address, time.monotonic())
        return address

    async def _get_by_botocore(self, request: RangeRequest) -> RangeAnswer:
        from botocore.exceptions import ClientError

        client, parameters = await self._client_for(request.path)
        parameters["Range"] = range_header(request)["Range"]
        try:
            response = await client.get_object(
                **self._file_system._get_s3_method_kwargs(client.get_object, **parameters)
            )
            async with response["Body"] as body:
                data = await body.read()
        except ClientError as error:
            return _refused(error.response)
        found = CONTENT_RANGE.match(response.get("ContentRange") or "")
        size = int(found[3]) if found else int(response["ContentLength"])
        return RangeAnswer(data, FileVersion(size, response.get("ETag")))

    async def _client_for(self, path: str) -> tuple[Any, dict[str, Any]]:
        """The botocore client of the bucket's region, and what names the object."""
        bucket, key, version_id = self._file_system.split_path(path)
        if bucket not in self._clients:
            self._clients[bucket] = asyncio.create_task(self._make_client(bucket))
        try:
            client = await asyncio.shield(self._clients[bucket])
        except BaseException:
            self._clients.pop(bucket, None)
            raise
        parameters = {"Bucket": bucket, "Key": key}
        return client, parameters | ({"VersionId": version_id} if version_id else {})

    async def _make_client(self, bucket: str) -> Any:
        await self._file_system.set_session()
        return await self._file_system.get_s3(bucket)

    def _proxy_for(self, address: URL) -> str | None:
        """The environment's proxy; aiohttp, left to itself, would look for it in a thread for each request."""
        host = address.host or ""
        if host not in self._proxies:
            bypassed = urllib.request.proxy_bypass(host)
            self._proxies[host] = None if bypassed else urllib.request.getproxies().get(address.scheme)
        return self._proxies[host]

    def _new_session(self) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=_certificates(self._file_system)),
            timeout=aiohttp.ClientTimeout(total=None, connect=self._timeout, sock_read=self._timeout),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        weakref.finalize(self, _close_session, self._file_system.loop, session)
        return session


def _needs_botocore(file_system: Any) -> bool:
    """Whether requests need more than an address: customer keys, requester pays, proxies of its own."""
    config = getattr(file_system, "config_kwargs", None) or {}
    options = getattr(file_system, "client_kwargs", None) or {}
    return bool(
        getattr(file_system, "req_kw", None)
        or getattr(file_system, "s3_additional_kwargs", None)
        or set(options) - PLAIN_CLIENT_OPTIONS
        or set(config) - PLAIN_CONFIG
    )


def _certificates(file_system: Any) -> ssl.SSLContext | bool:
    """Which certificates count, as botocore has it: its option ``verify``, a file or not at all; an environment's."""
    options = getattr(file_system, "client_kwargs", None) or {}
    verify = options.get("verify", os.environ.get("AWS_CA_BUNDLE", True))
    return ssl.create_default_context(cafile=verify) if isinstance(verify, str) else bool(verify)


def _refused(response: dict[str, Any]) -> RangeAnswer:
    """What botocore raised as an error: the end of a file as an answer, everything else by its status."""
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(response.get("Error", {}).get("Code", ""))
    if status == 416:
        headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        found = CONTENT_RANGE.match(headers.get("content-range", ""))
        size = found[3] if found else str(response.get("Error", {}).get("ActualObjectSize", "0"))
        return RangeAnswer(b"", FileVersion(int(size), None))
    raise HttpStatusError(status, code)


def _close_session(loop: asyncio.AbstractEventLoop, session: aiohttp.ClientSession) -> None:
    """Close the connections; at the end of the process the loop may have gone already."""
    if loop.is_running():
        asyncio.run_coroutine_threadsafe(session.close(), loop)
