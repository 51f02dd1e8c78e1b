"""``bigwig-numba cache``: what is kept of remote files, and its end."""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import block_cache, index_cache
from ..cache import cache_folder
from .arguments import Commands


@dataclass(frozen=True, slots=True)
class KeptFiles:
    """One kind of what is kept: how many files, their bytes, and where."""

    kind: str
    n_files: int
    n_bytes: int
    folder: str


def add_cache(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "cache",
        help="say what is kept of remote files, or remove it",
        description="Indexes of remote files are kept in the user's cache folder; blocks of their data, where a "
        "collection was opened with cache_dir, in that folder.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, run, text in (("info", _info, "files, bytes, folder"), ("clear", _clear, "remove all of it")):
        action = actions.add_parser(name, help=text)
        action.add_argument(
            "--cache-dir", type=Path, metavar="FOLDER", help="where blocks are kept; by default the user's cache folder"
        )
        action.set_defaults(run=run)
        if name == "info":
            action.add_argument("--json", action="store_true", help="print the result as JSON")


def _folders(options: argparse.Namespace) -> dict[str, Path]:
    return {
        "indexes": cache_folder() / index_cache.FOLDER,
        "blocks": (options.cache_dir or cache_folder()) / block_cache.FOLDER,
    }


def _info(options: argparse.Namespace) -> None:
    kept = []
    for kind, folder in _folders(options).items():
        sizes = [path.stat().st_size for path in folder.glob("*") if path.is_file()]
        kept.append(KeptFiles(kind, len(sizes), sum(sizes), str(folder)))
    if options.json:
        print(json.dumps([asdict(one) for one in kept], indent=2))
        return
    for one in kept:
        print(f"{one.kind:<8} {one.n_files} files, {one.n_bytes / 1e6:,.1f} MB in {one.folder}")


def _clear(options: argparse.Namespace) -> None:
    for kind, folder in _folders(options).items():
        if folder.is_dir():
            shutil.rmtree(folder)
            print(f"{kind:<8} removed from {folder}")
        else:
            print(f"{kind:<8} none in {folder}")
