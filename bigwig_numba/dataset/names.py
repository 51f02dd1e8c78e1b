"""One set of chromosome names for regions, genome and tracks: which names mean the same, and how long they are."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..chromosome_names import sorted_chromosomes
from ..errors import ChromNotFoundError
from ..genome import ReferenceGenome

__all__ = ["ChromAliases", "ChromosomeNames"]

logger = logging.getLogger(__name__)

ChromAliases = Literal["chr"] | Mapping[str, str] | None


class ChromosomeNames:
    """Translates the user's names of chromosomes to those of the tracks, and knows their lengths.

    Parameters
    ----------
    track_sizes
        Name to length in bases, of the tracks.
    genome
        Whose lengths count; it translates names by itself. None: the tracks' lengths count.
    chrom_aliases
        Which other names are meant: ``"chr"`` takes ``chr1`` for ``1`` and ``1`` for ``chr1``; a mapping takes its keys
        and values for the same.

    Examples
    --------
    >>> names = ChromosomeNames({"chr1": 100, "chr2": 80}, genome=None, chrom_aliases="chr")
    >>> names.of_tracks(np.array(["1", "chr2"], object))
    array(['chr1', 'chr2'], dtype=object)
    >>> names.sizes(["1"])
    {'chr1': 100, 'chr2': 80, '1': 100}
    """

    def __init__(
        self, track_sizes: Mapping[str, int], *, genome: ReferenceGenome | None, chrom_aliases: ChromAliases
    ) -> None:
        self._track_sizes = dict(track_sizes)
        self._genome = genome
        self._genome_sizes = None if genome is None else genome.chromosome_sizes
        self._aliases = chrom_aliases
        self._track_names = {name: name for name in track_sizes}

    def of_tracks(self, names: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Names (S,) as the tracks have them.

        Raises
        ------
        ChromNotFoundError
            No track has one; the message says which are alike, and how to allow them.
        """
        known = self._track_names
        for name in dict.fromkeys(names.tolist()):
            if name not in known:
                known[name] = self._track_name(name)
        translated = np.empty(len(names), dtype=object)
        translated[:] = [known[name] for name in names.tolist()]
        return translated

    def sizes(self, region_names: Iterable[str]) -> dict[str, int]:
        """Lengths of all chromosomes by all names that are known: of genome, tracks and regions.

        Raises
        ------
        ChromNotFoundError
            A region's chromosome that the genome or all tracks lack.
        """
        names = list(dict.fromkeys(region_names))
        self.of_tracks(np.array(names, dtype=object))
        if self._genome is None or self._genome_sizes is None:
            own = {name: self._track_sizes[self._track_names[name]] for name in names}
            return {**self._track_sizes, **own}
        sizes = {**self._genome_sizes, **{name: self._genome_sizes[self._genome.name_of(name)] for name in names}}
        for name, of_genome in self._names_in_both():
            sizes[name] = self._genome_sizes[of_genome]
            if sizes[name] != self._track_sizes[name]:
                logger.warning(
                    "%s has %d bases in the reference genome and %d in the tracks: they may be of different assemblies",
                    name, sizes[name], self._track_sizes[name],
                )  # fmt: skip
        return sizes

    def in_all(self) -> list[str]:
        """Names of the tracks' chromosomes that the genome has too, in natural order.

        Raises
        ------
        ChromNotFoundError
            There are none.
        """
        names = sorted_chromosomes(self._track_sizes)
        if self._genome is None:
            return names
        both = {name for name, _ in self._names_in_both()}
        if not both:
            self._genome.name_of(names[0])  # says why
        return [name for name in names if name in both]

    def _names_in_both(self) -> Iterator[tuple[str, str]]:
        """Names of the tracks' chromosomes with their names in the genome."""
        assert self._genome is not None
        for name in self._track_sizes:
            try:
                yield name, self._genome.name_of(name)
            except ChromNotFoundError:
                continue

    def _track_name(self, name: str) -> str:
        candidates = [name]
        if isinstance(self._aliases, Mapping):
            candidates.append(self._aliases.get(name, name))
            candidates += [key for key, meant in self._aliases.items() if meant == name]
        other_style = str(name).removeprefix("chr") if str(name).startswith("chr") else f"chr{name}"
        if self._aliases == "chr":
            candidates.append(other_style)
        found = next((candidate for candidate in candidates if candidate in self._track_sizes), None)
        if found is not None:
            return found
        error = ChromNotFoundError.for_name(str(name), sorted_chromosomes(self._track_sizes), url="The collection")
        if other_style not in self._track_sizes:
            raise error
        advised = f"{error}. If they are the same chromosome, chrom_aliases='chr' takes {name!r} for {other_style!r}"
        raise ChromNotFoundError(advised, name=str(name), near_misses=error.near_misses, url=error.url)
