"""The open files of a collection and the engine that makes batches of them, without files that fail if so wished."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from .collection_settings import Settings
from .engine.reduction import Reduction
from .engine.sources import SourceTable
from .errors import StorageError
from .interval_frames import IntervalOptions, read_intervals
from .masking import MASKABLE, empty_index, empty_source, failed_tracks, without_tracks
from .opening import open_files
from .plan import TrackTable, WindowRequest
from .storage import FileVersion, RemoteReader, display_url

__all__ = ["OpenTracks"]

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class OpenTracks:
    """Files that are read together, one track each, until they are closed.

    Parameters
    ----------
    paths
        Of the files, in track order.
    scales
        (T,) float32, what the values of each file are multiplied with.
    settings
        How they are read.
    reader
        Reads the remote ones; closed with the files.
    versions
        Of remote files, as far as a listing told them.

    Attributes
    ----------
    table
        What planning knows of the files; those that failed have no chromosomes.
    rows
        Chromosome to its row of the table.
    valid
        (T,) bool: the tracks that can be read.
    engine
        What makes batches.
    reader
        What was given.
    name
        Of all of them together, for messages.
    """

    def __init__(
        self,
        paths: list[str],
        scales: npt.NDArray[np.float32],
        settings: Settings,
        *,
        reader: RemoteReader,
        versions: Mapping[str, FileVersion] | None = None,
    ) -> None:
        self.paths = paths
        self.scales = scales
        self.settings = settings
        self.reader = reader
        opened = open_files(
            paths, reader, storage_options=settings.storage_options, versions=versions, on_error=settings.on_error
        )
        tracks = range(len(paths))
        self._urls = [display_url(path) for path in paths]
        self.name = f"collection of {self._urls[0]}" + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
        self.valid = np.array([track not in opened.errors for track in tracks], dtype=np.bool_)
        self._masking = threading.Lock()
        _warn_of(opened.errors)
        sources = [empty_source() if track in opened.errors else opened.sources[track] for track in tracks]
        self._sources: SourceTable | None = SourceTable(sources)
        self.table = TrackTable.from_indexes(
            [opened.indexes.get(track) or empty_index(self._urls[track]) for track in tracks]
        )
        self.rows = {name: row for row, name in enumerate(self.table.chromosome_names)}
        self.engine = settings.new_engine(self.table, self._sources)

    @property
    def sources(self) -> SourceTable:
        """The files; an error once they are closed."""
        if self._sources is None:
            raise StorageError(f"The {self.name} is closed; make a new one", url=self.name)
        return self._sources

    @property
    def is_closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._sources is None

    @property
    def n_blocks(self) -> int:
        """Of all files that can be read."""
        return len(self.table.leaf_starts)

    def batch(self, request: WindowRequest, reduction: Reduction, *, out: Any | None = None) -> Any:
        """The batch of a request, (S, B, T) or (S, B, T, statistics) on the engine's device."""
        sources = self.sources
        return self._masked(lambda table: self.engine.batch(request, table, sources, reduction, out=out))

    def intervals(self, options: IntervalOptions) -> pd.DataFrame:
        """The intervals that options ask for; all are read once more without a file that fails meanwhile."""
        sources = self.sources
        return self._masked(
            lambda table: read_intervals(table, sources, self.engine, self.scales, options, name=self.name)
        )

    def _masked(self, read: Callable[[TrackTable], Answer]) -> Answer:
        """What is read of a table; if files fail, and that is wished, of one without them."""
        while True:
            table = self.table  # without the tracks that failed so far
            try:
                return read(table)
            except MASKABLE as error:
                if self.settings.on_error == "raise" or not self._mask(error, table):
                    raise

    def reset_gpu(self) -> None:
        """Make the engine anew, on what is then the current GPU."""
        self.engine.close()
        self.engine = self.settings.new_engine(self.table, self.sources)

    def close(self) -> None:
        """Close the files and give back what the engine holds; closing twice does nothing."""
        if self._sources is not None:
            self._sources.close()
            self._sources = None
            self.engine.close()
            self.reader.close()

    def _mask(self, error: BaseException, used: TrackTable) -> bool:
        """Do without the tracks that an error is about; False if there are none to do without, or no others."""
        with self._masking:
            failed = failed_tracks(error, self._urls)
            new = {track: failure for track, failure in failed.items() if self.valid[track]}
            if not new:
                return bool(failed) and used is not self.table  # another thread has done it meanwhile
            if len(new) == self.valid.sum():
                return False
            self.valid[list(new)] = False
            self.table = without_tracks(self.table, ~self.valid)
            self.settings.keep(self.engine, self.table, self.sources)
        _warn_of(new)
        return True


def _warn_of(errors: Mapping[int, BaseException]) -> None:
    for track, error in errors.items():
        logger.warning("Track %d has default values from now on: %s", track, error)
