"""The tracks and the genome of a dataset: as they are given, or opened from paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..collection import BigWigCollection
from ..errors import ConfigError
from ..genome import ReferenceGenome

__all__ = ["open_collection", "open_genome"]


def open_collection(arguments: Mapping[str, Any]) -> BigWigCollection:
    """The collection among a dataset's arguments, or a new one on the device that they name."""
    given, device = arguments["collection"], arguments["device"]
    if not isinstance(given, BigWigCollection):
        names = ("file_extensions", "crawl", "scale", "first_n_files", "device", "storage_options")
        return BigWigCollection(given, **{name: arguments[name] for name in names})
    if device not in ("auto", given.device):
        message = f"device is {device!r}, and the collection is on {given.device!r}; they have to be the same"
        raise ConfigError(message, argument="device", value=device)
    return given


def open_genome(arguments: Mapping[str, Any], device: str) -> ReferenceGenome | None:
    """The genome among a dataset's arguments, or a new one on the tracks' device; None without."""
    given = arguments["reference_genome_path"]
    if isinstance(given, ReferenceGenome) and given.device != device:
        message = f"The reference genome is on {given.device!r}, and the tracks are on {device!r}; open it on the same"
        raise ConfigError(message, argument="reference_genome_path", value=given)
    if given is None or isinstance(given, ReferenceGenome):
        return given
    return ReferenceGenome(
        given,
        device=device,
        chrom_aliases=arguments["chrom_aliases"],
        storage_options=arguments["storage_options"],
    )
