"""How remote files are read: a cost model of requests, limits, retries, what is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..errors import ConfigError
from ..retries import RetryPolicy

__all__ = ["RemoteOptions"]

OBJECT_STORE_REQUESTS = 128
WEB_SERVER_REQUESTS = 32


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """How remote files are read; every collection may have its own.

    Blocks of a batch that lie near each other in a file are read in one request where that is quicker: the bytes
    between them cost ``bytes / bandwidth`` seconds, another request costs ``latency / concurrency`` seconds, as so many
    are in flight. The smallest gaps are read first, until ``max_waste`` is used up.

    Parameters
    ----------
    latency
        Seconds until a request is answered. 50 ms is what object stores take from another machine of their region.
    bandwidth
        Bytes per second of all requests together.
    concurrency
        Requests in flight at one time to one endpoint. By default 128 for object stores and 32 for web servers, which
        are shared more often.
    max_waste
        Bytes read in vain, at most, as a part of the bytes needed by a batch.
    max_request
        Bytes of one request, at most; larger ones are split, to run side by side.
    timeout
        Seconds without a byte after which a request has failed.
    retry_policy
        How often, and after how long, what failed is asked for again.
    client
        ``"fsspec"``, or ``"obstore"`` for ``s3://`` through the package of that name.
    keep_indexes
        Whether to keep indexes in the user's cache folder, so that a known file opens with one small request.
    processes
        Processes that send the requests of a batch, each with ``concurrency`` of them in flight; 0, the default, is
        this process alone. They are started at the first batch that is worth it, and end with the collection.

    Examples
    --------
    >>> RemoteOptions(latency=0.05, bandwidth=100e6, concurrency=50).max_gap(n_in_flight=50)
    100000
    """

    latency: float = 0.05
    bandwidth: float = 200e6
    concurrency: int | None = None
    max_waste: float = 0.25
    max_request: int = 8 * 1024 * 1024
    timeout: float = 30.0
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    client: Literal["fsspec", "obstore"] = "fsspec"
    keep_indexes: bool = True
    processes: int = 0

    def __post_init__(self) -> None:
        for name in ("latency", "max_waste"):
            self._require(name, getattr(self, name) >= 0, "0 or more")
        for name in ("bandwidth", "max_request", "timeout"):
            self._require(name, getattr(self, name) > 0, "more than 0")
        self._require("concurrency", self.concurrency is None or self.concurrency >= 1, "1 or more, or None")
        is_count = isinstance(self.processes, int) and self.processes >= 0
        self._require("processes", is_count, "0 or more")
        self._require("client", self.client in ("fsspec", "obstore"), "'fsspec' or 'obstore'")

    def requests_in_flight(self, *, web_server: bool) -> int:
        """How many requests an endpoint gets at one time."""
        return self.concurrency or (WEB_SERVER_REQUESTS if web_server else OBJECT_STORE_REQUESTS)

    def max_gap(self, *, n_in_flight: int) -> int:
        """Bytes that are as quick to read as another request."""
        return int(self.latency / n_in_flight * self.bandwidth)

    def _require(self, argument: str, good: bool, allowed: str) -> None:
        if not good:
            value = getattr(self, argument)
            message = f"{argument} of RemoteOptions is {value!r}, expected {allowed}"
            raise ConfigError(message, argument=argument, value=value)
