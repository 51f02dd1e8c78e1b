"""Where example data lies and comes from: environment variables, a ``.env`` file, defaults; read whenever asked for.

``from bigwig_numba import config; config.bigwig_dir`` looks for ``BIGWIG_NUMBA_BIGWIG_DIR`` in the environment, then in
the nearest ``.env`` file (in the current folder or one above it), then takes the default. Nothing is read at import.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .cache import cache_folder
from .errors import ConfigError

__all__ = ["PREFIX", "Config", "read_config"]

PREFIX = "BIGWIG_NUMBA_"
GENOME_NAME = "GRCh38_no_alt_analysis_set_GCA_000001405.15"
ENCODE = "https://www.encodeproject.org"


@dataclass(frozen=True)
class Config:
    """What can be configured; each field is also an attribute of the module.

    Attributes
    ----------
    example_data_dir
        Folder of what :func:`~bigwig_numba.download_example_data.download_example_data` fetches; by default
        ``downloads`` in the package's cache folder.
    bigwig_dir
        Folder of BigWig files; by default ``bigwig`` in ``example_data_dir``.
    reference_genome
        FASTA file; by default GRCh38 without alternative contigs in ``example_data_dir``.
    reference_genome_url
        Where it is downloaded from, gzipped.
    reference_genome_checksum
        MD5 of the gzipped file; empty: what ENCODE publishes about it.
    encode_url
        The ENCODE portal, or a mirror of it.

    Examples
    --------
    >>> import dataclasses
    >>> mirrored = dataclasses.replace(read_config({}), encode_url="https://encode.example.org")
    >>> mirrored.encode_url
    'https://encode.example.org'
    """

    example_data_dir: Path
    bigwig_dir: Path
    reference_genome: Path
    reference_genome_url: str
    reference_genome_checksum: str
    encode_url: str


def read_config(environment: Mapping[str, str] | None = None, *, folder: Path | None = None) -> Config:
    """The configuration as it is now.

    Parameters
    ----------
    environment
        Variables; by default those of this process.
    folder
        Where to begin looking for a ``.env`` file; by default the current folder.

    Raises
    ------
    ConfigError
        A line of the ``.env`` file is no ``NAME=value``.

    Examples
    --------
    >>> read_config({"BIGWIG_NUMBA_EXAMPLE_DATA_DIR": "/data"}).bigwig_dir.as_posix()
    '/data/bigwig'
    """
    variables = {**_read_env_file(folder or Path.cwd()), **(os.environ if environment is None else environment)}

    def value(name: str, default: str | Path) -> str:
        return os.path.expandvars(variables.get(PREFIX + name.upper()) or str(default))

    def path(name: str, default: Path) -> Path:
        return Path(value(name, default)).expanduser().absolute()

    data = path("example_data_dir", cache_folder() / "downloads")
    encode_url = value("encode_url", ENCODE).rstrip("/")
    genome_file = f"files/{GENOME_NAME}/@@download/{GENOME_NAME}.fasta.gz"
    return Config(
        example_data_dir=data,
        bigwig_dir=path("bigwig_dir", data / "bigwig"),
        reference_genome=path("reference_genome", data / f"{GENOME_NAME}.fasta"),
        reference_genome_url=value("reference_genome_url", f"{encode_url}/{genome_file}"),
        reference_genome_checksum=value("reference_genome_checksum", ""),
        encode_url=encode_url,
    )


def _read_env_file(folder: Path) -> dict[str, str]:
    """Variables of this package in the nearest ``.env`` file; of others nothing is read."""
    path = next((place / ".env" for place in (folder, *folder.parents) if (place / ".env").is_file()), None)
    if path is None:
        return {}
    variables = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not name.strip().upper().startswith(PREFIX):
            continue
        if not equals:
            message = f"{path}, line {number}: {line.strip()!r} has no '=', expected NAME=value"
            raise ConfigError(message, argument=".env", value=line)
        variables[name.strip().upper()] = _unquoted(value.strip())
    return variables


def _unquoted(value: str) -> str:
    """A value without its quotes, or without the comment behind it."""
    if value[:1] in ("'", '"') and value.find(value[0], 1) > 0:
        return value[1 : value.find(value[0], 1)]
    return value.split(" #")[0].rstrip()


def __getattr__(name: str) -> Any:
    if name in {field.name for field in fields(Config)}:
        return getattr(read_config(), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
