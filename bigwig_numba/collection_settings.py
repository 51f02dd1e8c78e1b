"""How a collection reads its files: what another process needs, besides their paths, to open them alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .arguments import integer
from .block_cache import BlockCache
from .engine.choose import STORES, Engine, choose_engine
from .engine.sources import SourceTable
from .engine.worth_keeping import KeptRegions
from .errors import ConfigError
from .kernels.swapping import InflateKernel, ReduceKernel, get_inflate_kernel, get_reduce_kernel
from .plan import TrackTable
from .regions.frames import as_regions
from .storage import RemoteOptions, RemoteReader

__all__ = ["Settings"]

DEFAULT_CACHE_BYTES = 10 * 1024**3


@dataclass(frozen=True, slots=True)
class Settings:
    """The arguments of a collection that are not about which files."""

    device: str
    store: str
    store_bytes: int | None
    store_regions: pd.DataFrame | None
    storage_options: dict[str, Any] | None
    on_error: str = "raise"
    cache_dir: str | None = None
    cache_bytes: int | None = None
    remote: RemoteOptions | None = None
    inflate: str | InflateKernel = "auto"
    reduce: str | ReduceKernel = "auto"
    verify: bool = False

    def __post_init__(self) -> None:
        if self.on_error not in ("raise", "mask"):
            message = f"on_error is {self.on_error!r}, expected 'raise' or 'mask'"
            raise ConfigError(message, argument="on_error", value=self.on_error)
        if self.store not in STORES:
            message = f"store is {self.store!r}, expected one of {', '.join(map(repr, STORES))}"
            raise ConfigError(message, argument="store", value=self.store)
        if self.store_bytes is not None and integer(self.store_bytes, "store_bytes") < 0:
            message = f"store_bytes is {self.store_bytes}, expected 0 or more, or None"
            raise ConfigError(message, argument="store_bytes", value=self.store_bytes)

    def new_reader(self) -> RemoteReader:
        """What reads remote files, with the cache of their blocks if one is wanted."""
        cache = None
        if self.cache_dir is not None or self.cache_bytes is not None:
            size = DEFAULT_CACHE_BYTES if self.cache_bytes is None else integer(self.cache_bytes, "cache_bytes")
            cache = BlockCache(size, self.cache_dir)
        return RemoteReader(self.storage_options, self.remote, block_cache=cache)

    def new_engine(self, tracks: TrackTable, sources: SourceTable) -> Engine:
        """What makes batches of these files."""
        inflate = get_inflate_kernel(self.inflate)
        if self.verify and not inflate.is_builtin:
            message = f"verify=True needs the built-in decoders, inflate kernel {inflate.name!r} has no checksums"
            raise ConfigError(message, argument="verify", value=self.verify)
        engine = choose_engine(self.device, verify=self.verify)
        engine.use(inflate, get_reduce_kernel(self.reduce))
        self.keep(engine, tracks, sources)
        return engine

    def keep(self, engine: Engine, tracks: TrackTable, sources: SourceTable) -> None:
        """Tell an engine which files it will read, and where their blocks shall live."""
        regions = None if self.store_regions is None else _rows_of_regions(self.store_regions, tracks)
        engine.keep(tracks, sources, store=self.store, most_bytes=self.store_bytes, regions=regions)


def _rows_of_regions(frame: pd.DataFrame, tracks: TrackTable) -> KeptRegions:
    """Regions as rows of the track table; those on chromosomes that no file has hold nothing to keep."""
    regions = as_regions(frame)
    rows = pd.Index(tracks.chromosome_names).get_indexer(pd.Index(regions["chrom"]))
    known = rows >= 0
    return KeptRegions(
        rows[known].astype(np.int64), regions["start"].to_numpy()[known], regions["end"].to_numpy()[known]
    )
