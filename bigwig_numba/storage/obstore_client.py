"""S3 through obstore, a client in Rust: an optional extra, for where signed addresses are refused.

It takes its options from those of s3fs: ``key``, ``secret``, ``token``, ``endpoint_url``, ``anon`` and the region.
"""

from __future__ import annotations

import re
from typing import Any

from ..errors import ConfigError
from ..retries import HttpStatusError, RefusedError
from .clients import AsyncClient, FileVersion, RangeAnswer, RangeRequest

__all__ = ["ObstoreClient"]

DEFAULT_REGION = "us-east-1"
RANGE_NOT_SATISFIABLE = re.compile(r"\b416 Range Not Satisfiable\b")  # not any 416: ports and times are in it too


class ObstoreClient(AsyncClient):
    """``s3://`` through the package obstore, on the event loop of fsspec's file system."""

    tells_versions = True

    def __init__(self, file_system: Any, *, n_in_flight: int, timeout: float) -> None:
        super().__init__(file_system, n_in_flight=n_in_flight, timeout=timeout)
        try:
            import obstore
        except ImportError as error:
            message = 'client="obstore" of RemoteOptions needs a package: pip install "bigwig-numba[obstore]"'
            raise ConfigError(message, argument="client", value="obstore") from error
        self._obstore = obstore
        self._stores: dict[str, Any] = {}

    async def get_one(self, request: RangeRequest) -> RangeAnswer:
        """One range."""
        bucket, key, version_id = self._file_system.split_path(request.path)
        options: Any = {"range": (request.offset, request.offset + request.size)}
        if version_id:
            options["version"] = version_id
        errors = self._obstore.exceptions
        try:
            result = await self._obstore.get_async(self._store(bucket), key, options=options)
            data = bytes(await result.bytes_async())
        except errors.NotFoundError:
            raise HttpStatusError(404) from None
        except (errors.PermissionDeniedError, errors.UnauthenticatedError):
            raise HttpStatusError(403) from None
        except errors.GenericError as error:
            if RANGE_NOT_SATISFIABLE.search(str(error)):  # which has no class of its own
                raise RefusedError("it is empty, or shorter than the range asked for") from None
            raise ConnectionError(f"{type(error).__name__} of obstore") from None  # its text may hold an address
        return RangeAnswer(data, FileVersion(int(result.meta["size"]), result.meta["e_tag"]))

    def _store(self, bucket: str) -> Any:
        if bucket not in self._stores:
            self._stores[bucket] = self._obstore.store.S3Store(bucket, **self._options())
        return self._stores[bucket]

    def _options(self) -> dict[str, Any]:
        file_system = self._file_system
        client = file_system.client_kwargs or {}
        endpoint = file_system.endpoint_url or client.get("endpoint_url")
        told = {
            "access_key_id": file_system.key,
            "secret_access_key": file_system.secret,
            "session_token": file_system.token,
            "endpoint": endpoint,
            "region": client.get("region_name") or (DEFAULT_REGION if endpoint else None),
            "skip_signature": file_system.anon or None,
        }
        return {
            **{name: value for name, value in told.items() if value is not None},
            "client_options": {"allow_http": str(endpoint).startswith("http://"), "timeout": f"{self._timeout}s"},
            "retry_config": {"max_retries": 0},  # up to this package, once
        }
