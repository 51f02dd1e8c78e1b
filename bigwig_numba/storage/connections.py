"""From a URL to the client that reads it; one client per file system and host, so that limits hold per endpoint."""

from __future__ import annotations

from typing import Any, cast

from fsspec.asyn import AsyncFileSystem
from fsspec.core import url_to_fs

from ..errors import ConfigError
from ..retries import display_url
from .clients import AsyncClient, FsspecClient, RangeClient
from .options import RemoteOptions

__all__ = ["Connections", "find_file_system", "is_url", "is_web_server"]


class Connections:
    """Clients, made when first needed.

    Parameters
    ----------
    storage_options
        Passed to fsspec.
    options
        Limits, and which client.
    """

    def __init__(self, storage_options: dict[str, Any] | None, options: RemoteOptions) -> None:
        self._storage_options = storage_options or {}
        self._options = options
        self._clients: dict[tuple[int, str], RangeClient] = {}

    def client_for(self, url: str) -> tuple[RangeClient, str, Any]:
        """The client that reads a URL, the path as it wants it, and the file system behind it."""
        n_in_flight = self._options.requests_in_flight(web_server=False)
        storage_options = self._storage_options
        is_s3 = url.startswith(("s3://", "s3a://")) and "::" not in url
        if is_s3:
            from .s3_client import s3_storage_options

            timeout = self._options.timeout
            storage_options = s3_storage_options(storage_options, n_in_flight=n_in_flight, timeout=timeout)
        file_system, path = find_file_system(url, storage_options)
        host = url.partition("://")[2].partition("/")[0] if is_web_server(file_system) else ""
        key = (id(file_system), host)
        if key not in self._clients:
            self._clients[key] = self._make_client(file_system, is_s3=is_s3)
        return self._clients[key], path, file_system

    def _make_client(self, file_system: Any, *, is_s3: bool) -> RangeClient:
        if not isinstance(file_system, AsyncFileSystem):
            return FsspecClient(file_system)
        web = is_web_server(file_system)
        make: type[AsyncClient] = AsyncClient
        if is_s3 and self._options.client == "obstore":
            from .obstore_client import ObstoreClient as make
        elif is_s3:
            from .s3_client import S3Client as make
        elif web:
            from .web_client import WebClient as make
        n_in_flight = self._options.requests_in_flight(web_server=web)
        return make(file_system, n_in_flight=n_in_flight, timeout=self._options.timeout)


def find_file_system(path: str, storage_options: dict[str, Any] | None) -> tuple[Any, str]:
    """The fsspec file system of a path or URL, and the path as that has it.

    Raises
    ------
    ConfigError
        For a protocol that there is not, or one whose package is not installed.
    """
    try:
        return cast("tuple[Any, str]", url_to_fs(path, **(storage_options or {})))
    except (ValueError, ImportError) as error:
        message = f"{display_url(path)} cannot be opened: {error}"
        raise ConfigError(message, argument="path", value=display_url(path)) from None


def is_url(path: str) -> bool:
    """Whether fsspec has to find out where this is."""
    return "://" in path or "::" in path


def is_web_server(file_system: Any) -> bool:
    """Whether a file system speaks plain HTTP."""
    protocol = file_system.protocol
    return "http" in ((protocol,) if isinstance(protocol, str) else protocol)
