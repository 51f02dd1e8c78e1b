"""Real example data: BigWig files and the human reference genome, from ENCODE."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from .config import GENOME_NAME, Config, read_config
from .download import download, unzip
from .errors import StorageError

__all__ = ["DownloadedData", "download_example_data"]

ACCESSIONS = ("ENCFF270YCY", "ENCFF270ISQ")
"""The BigWig files: those of bigwig-loader's examples that are at ENCODE."""

SECONDS_OF_SILENCE = 60.0
MD5 = re.compile(r"[0-9a-fA-F]{32}")


@dataclass(frozen=True)
class DownloadedData:
    """Where the files are.

    Attributes
    ----------
    bigwig_paths
        The BigWig files.
    reference_genome_path
        The FASTA file, not compressed.
    """

    bigwig_paths: tuple[Path, ...]
    reference_genome_path: Path


def download_example_data(*, progress: bool = True, config: Config | None = None) -> DownloadedData:
    """Download the reference genome GRCh38 (1 GB, 3 GB unzipped) and two BigWig files, unless they are there.

    Each file is compared with the MD5 that ENCODE publishes of it. What was interrupted goes on where it stopped.

    Parameters
    ----------
    progress
        Whether to show progress bars, if standard error is a terminal.
    config
        Where from and where to; by default :mod:`bigwig_numba.config` as it is now.

    Raises
    ------
    StorageError
        A file, or what ENCODE says about it, cannot be had.

    Examples
    --------
    >>> data = download_example_data()  # doctest: +SKIP
    >>> [path.name for path in data.bigwig_paths]  # doctest: +SKIP
    ['ENCFF270YCY.bigWig', 'ENCFF270ISQ.bigWig']
    """
    config = config or read_config()
    paths = []
    for accession in ACCESSIONS:
        path = config.bigwig_dir / f"{accession}.bigWig"
        url = f"{config.encode_url}/files/{accession}/@@download/{accession}.bigWig"
        paths.append(download(url, path, md5=_published_md5(accession, config), progress=progress))
    return DownloadedData(tuple(paths), _download_genome(config, progress=progress))


def _download_genome(config: Config, *, progress: bool) -> Path:
    path = config.reference_genome
    if path.is_file():
        return path  # it got its name when it was complete
    compressed = path.with_name(path.name + ".gz")
    md5 = config.reference_genome_checksum or _published_md5(GENOME_NAME, config)
    download(config.reference_genome_url, compressed, md5=md5, progress=progress)
    unzip(compressed, path)
    compressed.unlink()
    return path


def _published_md5(name: str, config: Config) -> str:
    """The MD5 that the portal publishes of one of its files."""
    url = f"{config.encode_url}/files/{name}/?format=json"
    try:
        answer = requests.get(url, headers={"Accept": "application/json"}, timeout=SECONDS_OF_SILENCE)
        answer.raise_for_status()
        described: Any = answer.json()
    except requests.RequestException as error:  # of the connection, the status, or of what is no JSON
        raise StorageError(f"{url}, which has the checksum, cannot be read ({error})", url=url) from error
    md5 = described.get("md5sum") if isinstance(described, dict) else None
    if not isinstance(md5, str) or not MD5.fullmatch(md5):
        raise StorageError(f"{url} has no md5sum (found {md5!r}), so {name} could not be checked", url=url)
    return md5
