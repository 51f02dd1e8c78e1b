"""Look at every block of a file: does it inflate, is it in order, does the index say where it is, do the sums agree."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .bbi import StructuredArray, zoom_items
from .engine.cpu import CpuEngine, InflatedBlocks, Items
from .errors import FormatError
from .file_blocks import Int64Array, count_section_types, inflate_numbered, number_batches
from .index import BlockIndex, Chromosomes, FileIndex, read_file_index, read_zoom_index
from .kernels.statuses import BlockStatus
from .storage import ByteSource, PathOrFile, open_source
from .zooms import inflate_zoom_block

__all__ = ["Finding", "ValidationReport", "validate"]

Severity = Literal["error", "warning"]
Part = Literal["file", "block", "items", "values", "summary", "zoom level"]
Progress = Callable[[int, int], None]

SUMMARY_TOLERANCE = 1e-3  # relative; writers add up float32 values in float32 or float64, in any order
ZOOM_BATCH = 256  # blocks of some 16 KB read at a time


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a file.

    Attributes
    ----------
    severity
        ``"error"``: values are lost, wrong, or cannot be read. ``"warning"``: the file reads, but look at it.
    part
        Of the file: ``"file"`` (header, chromosomes, index), ``"block"``, ``"items"``, ``"values"``, ``"summary"`` or
        ``"zoom level"``.
    message
        What is wrong, in words.
    offset, size
        Bytes of the file where it is; None where it has no one place.
    block
        Number of the block in the order of the genome, or of the zoom level's.
    chromosome, start, end
        What the index says that the block covers, 0-based and half-open.

    Examples
    --------
    >>> print(Finding("error", "block", "its Adler-32 checksum is wrong", offset=18_135, size=4_444, block=4,
    ...               chromosome="chr1", start=99_862, end=126_318))
    error: block 4 chr1:99,862-126,318 (bytes 18,135 to 22,579): its Adler-32 checksum is wrong
    """

    severity: Severity
    part: Part
    message: str
    offset: int | None = None
    size: int | None = None
    block: int | None = None
    chromosome: str | None = None
    start: int | None = None
    end: int | None = None

    def __str__(self) -> str:
        place = "" if self.chromosome is None else f" {self.chromosome}:{self.start:,}-{self.end:,}"
        number = "" if self.block is None else f" {self.block:,}"
        length = "" if self.size is None else f" to {(self.offset or 0) + self.size:,}"
        at = "" if self.offset is None else f" (bytes {self.offset:,}{length})"
        return f"{self.severity}: {self.part}{number}{place}{at}: {self.message}"


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What a look at all of a file found.

    Attributes
    ----------
    url
        The file.
    n_blocks, n_zoom_blocks
        Blocks of values and of zoom levels that were looked at.
    section_types
        How many of the readable blocks are of which type.
    n_items
        Items in them.
    bases_covered
        Bases that they give a value to; NaN counts as none.
    findings
        What is wrong, in the order of the file's parts and of the genome.

    Examples
    --------
    >>> import io
    >>> report = validate(io.BytesIO(b"<html>".ljust(64)))
    >>> report.is_valid, [finding.part for finding in report.errors]
    (False, ['file'])
    """

    url: str
    n_blocks: int = 0
    n_zoom_blocks: int = 0
    section_types: dict[str, int] = field(default_factory=dict)
    n_items: int = 0
    bases_covered: int = 0
    findings: tuple[Finding, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that are errors."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def is_valid(self) -> bool:
        """Whether there is no error; there may be warnings."""
        return not self.errors


def validate(
    path_or_url: PathOrFile, *, storage_options: dict[str, Any] | None = None, progress: Progress | None = None
) -> ValidationReport:
    """Read all of a bigWig file and say what is wrong with it, and where.

    Every block is inflated to its end and its checksum compared; its items must be in order, on a chromosome that
    there is, and where the index says. Zoom levels are read too, and the summary is compared with the values.

    Parameters
    ----------
    path_or_url, storage_options
        As for :class:`bigwig_numba.BigWig`.
    progress
        Called with the number of blocks done and of all blocks, now and then.

    Returns
    -------
    ValidationReport

    Raises
    ------
    FileNotFoundError, PermissionError, StorageError
        If the file cannot be read; that says nothing about what is in it.

    Examples
    --------
    >>> from bigwig_numba.example_data import example_data
    >>> report = validate(example_data(chromosome_length=50_000).bigwig_paths[0])
    >>> report.is_valid, report.findings
    (True, ())
    """
    source = open_source(path_or_url, storage_options=storage_options)
    engine = CpuEngine(verify=True)
    try:
        try:
            index = read_file_index(source)
        except FormatError as error:
            finding = Finding("error", "file", _without_url(error, source.url), offset=error.offset)
            return ValidationReport(source.url, findings=(finding,))
        totals, findings = _check_blocks(source, index, engine, progress)
        if not any(finding.severity == "error" for finding in findings):  # of what can be read all is known
            findings += _check_summary(index, totals)
        n_zoom_blocks = 0
        for level in range(len(index.zoom_headers)):
            n_blocks, found = _check_zoom_level(source, index, level)
            n_zoom_blocks += n_blocks
            findings += found
    finally:
        engine.close()
        source.close()
    return ValidationReport(
        source.url,
        n_blocks=len(index.blocks),
        n_zoom_blocks=n_zoom_blocks,
        section_types=totals.section_types,
        n_items=totals.n_items,
        bases_covered=totals.bases_covered,
        findings=tuple(findings),
    )


@dataclass(frozen=True, slots=True)
class _Totals:
    """What the blocks hold together."""

    n_items: int = 0
    section_types: dict[str, int] = field(default_factory=dict)
    bases_covered: int = 0
    lowest: float = np.inf
    highest: float = -np.inf
    sum: float = 0.0

    def plus(self, items: Items, section_types: dict[str, int]) -> _Totals:
        has_value = ~np.isnan(items.values)
        values = items.values[has_value].astype(np.float64)
        n_bases = (items.ends - items.starts)[has_value]
        names = {*self.section_types, *section_types}
        with np.errstate(invalid="ignore", over="ignore"):  # infinity is told as a finding of its own
            total = float((values * n_bases).sum())
        return _Totals(
            n_items=self.n_items + len(items.values),
            section_types={name: self.section_types.get(name, 0) + section_types.get(name, 0) for name in names},
            bases_covered=self.bases_covered + int(n_bases.sum()),
            lowest=min(self.lowest, values.min(initial=np.inf)),
            highest=max(self.highest, values.max(initial=-np.inf)),
            sum=self.sum + total,
        )


def _check_blocks(
    source: ByteSource, index: FileIndex, engine: CpuEngine, progress: Progress | None
) -> tuple[_Totals, list[Finding]]:
    """Inflate all blocks, a few megabytes at a time. Each batch begins with the last block of the one before it."""
    totals, findings = _Totals(), list[Finding]()
    everything = np.arange(len(index.blocks), dtype=np.int64)
    for numbers in number_batches(index, everything):
        overlap = int(numbers[0] > 0)
        numbers = np.concatenate((numbers[:1] - 1, numbers)) if overlap else numbers
        plan, inflated = inflate_numbered(source, index, engine, numbers)
        items = engine.expand(inflated, plan)
        damaged = np.flatnonzero(inflated.statuses[overlap:]) + overlap
        for block in damaged.tolist():
            words = BlockStatus(int(inflated.statuses[block])).words
            findings.append(_block_finding(index, int(numbers[block]), "error", "block", words))
        new = items.blocks >= overlap
        items = Items(*(getattr(items, array.name)[new] for array in dataclasses.fields(Items)))
        totals = totals.plus(items, count_section_types(_from_block(inflated, overlap)))
        findings += _check_items(index, numbers, items)
        if progress is not None:
            progress(int(numbers[-1]) + 1, len(everything))
    findings.sort(key=lambda finding: finding.block or 0)
    return totals, findings


def _from_block(inflated: InflatedBlocks, first: int) -> InflatedBlocks:
    return InflatedBlocks(inflated.words, inflated.bases[first:], inflated.counts[first:], inflated.statuses[first:])


def _check_items(index: FileIndex, numbers: Int64Array, items: Items) -> Iterator[Finding]:
    """Items where the index says that they are, on chromosomes that there are; values that are numbers."""
    chromosomes = index.chromosomes
    rows, known = _chromosome_rows(chromosomes, items.chrom_ids)
    lengths, genome_starts = chromosomes.lengths[rows], chromosomes.genome_starts[rows]
    starts = genome_starts + np.minimum(items.starts, lengths)
    ends = genome_starts + np.minimum(items.ends, lengths)
    leaves = numbers[items.blocks]
    outside = (starts < index.blocks.starts[leaves]) | (ends > index.blocks.ends[leaves])
    past_end = items.ends > lengths
    severity: Severity
    part: Part
    for wrong, severity, part, what in (
        (~known, "error", "items", "on a chromosome id that the file does not name"),
        (known & past_end, "error", "items", "past the end of the chromosome"),
        (known & outside, "error", "items", "outside what the index says of the block, where queries miss them"),
        (np.isnan(items.values), "warning", "values", "with the value NaN; they count as no value"),
        (np.isinf(items.values), "warning", "values", "with an infinite value"),
    ):
        counts = np.bincount(items.blocks[wrong], minlength=1)
        for block in np.flatnonzero(counts).tolist():
            n_items = int((items.blocks == block).sum())
            message = f"{int(counts[block]):,} of {n_items:,} items {what}"
            yield _block_finding(index, int(numbers[block]), severity, part, message)


def _check_summary(index: FileIndex, totals: _Totals) -> Iterator[Finding]:
    summary = index.summary
    if summary is None or not totals.bases_covered:
        return
    offset = index.header.summary_offset
    pairs = (
        ("bases covered", summary.bases_covered, totals.bases_covered),
        ("minimum", summary.min, totals.lowest),
        ("maximum", summary.max, totals.highest),
        ("sum", summary.sum, totals.sum),
    )
    scale = max(abs(totals.lowest), abs(totals.highest))
    for name, said, found in pairs:
        allowed = SUMMARY_TOLERANCE * (scale * totals.bases_covered if name == "sum" else max(scale, abs(found)))
        if name == "bases covered":
            allowed = SUMMARY_TOLERANCE * totals.bases_covered
        if math.isfinite(found) and not abs(said - found) <= allowed:
            message = f"{name} is {said:,.7g} in the file's summary, {found:,.7g} in its blocks"
            yield Finding("warning", "summary", message, offset=offset)


def _check_zoom_level(source: ByteSource, index: FileIndex, level: int) -> tuple[int, list[Finding]]:
    """Number of a zoom level's blocks, and what is wrong with them."""
    name = f"1:{index.zoom_headers[level].reduction_level:,}"
    try:
        blocks = read_zoom_index(source, index, level)
    except FormatError as error:
        message = f"level {name}: {_without_url(error, source.url)}"
        return 0, [Finding("error", "zoom level", message, offset=error.offset)]
    findings, n_overfull = [], 0
    for first in range(0, len(blocks), ZOOM_BATCH):
        offsets, sizes = blocks.offsets[first : first + ZOOM_BATCH], blocks.sizes[first : first + ZOOM_BATCH]
        for number, data in enumerate(source.read_ranges(offsets, sizes), first):
            try:
                n_overfull += _overfull_items(data, index, offset=int(blocks.offsets[number]), url=source.url)
            except FormatError as error:
                message = f"level {name}: {_without_url(error, source.url)}"
                finding = Finding("error", "zoom level", message, block=number)
                findings.append(_located(finding, index, blocks))
    if n_overfull:
        message = f"level {name}: {n_overfull:,} items count more bases than they have; coverage from zooms is too high"
        findings.append(Finding("warning", "zoom level", message, offset=index.zoom_headers[level].data_offset))
    return len(blocks), findings


def _overfull_items(data: bytes, index: FileIndex, *, offset: int, url: str) -> int:
    """How many items of a zoom level's block say that more bases are covered than they have; some UCSC tools did so.

    ``FormatError`` if the block cannot be inflated or makes no sense.
    """
    inflated = inflate_zoom_block(data, url=url, offset=offset) if index.header.compressed else data
    items: StructuredArray = zoom_items(inflated, index.header.byte_order)
    rows, known = _chromosome_rows(index.chromosomes, items["chrom_id"].astype(np.uint32))
    starts, ends = items["start"].astype(np.int64), items["end"].astype(np.int64)
    for wrong, what in (
        (~known, "on a chromosome id that the file does not name"),
        (starts >= ends, "end before they start"),
        (known & (starts >= index.chromosomes.lengths[rows]), "past the end of the chromosome"),
    ):
        if wrong.any():
            raise FormatError(f"{int(wrong.sum()):,} of {len(items):,} items {what}", url=url, offset=offset)
    return int((items["bases_covered"] > ends - starts).sum())


def _chromosome_rows(
    chromosomes: Chromosomes, ids: npt.NDArray[np.uint32]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Row of each file-local chromosome id, and whether there is one; row 0 where not."""
    rows = np.minimum(np.searchsorted(chromosomes.ids, ids), max(len(chromosomes) - 1, 0))
    known = chromosomes.ids[rows] == ids if len(chromosomes) else np.zeros(len(ids), np.bool_)
    return np.where(known, rows, 0), known


def _block_finding(index: FileIndex, number: int, severity: Severity, part: Part, message: str) -> Finding:
    return _located(Finding(severity, part, message, block=number), index, index.blocks)


def _located(finding: Finding, index: FileIndex, blocks: BlockIndex) -> Finding:
    """The finding with the place of its block in the file and on the genome."""
    number, chromosomes = finding.block or 0, index.chromosomes
    position = int(blocks.starts[number])
    # Of chromosomes of length 0 that begin at one position, the last counts.
    row = max(int(np.searchsorted(chromosomes.genome_starts, position, "right")) - 1, 0)
    first = int(chromosomes.genome_starts[row])
    return dataclasses.replace(
        finding,
        offset=int(blocks.offsets[number]),
        size=int(blocks.sizes[number]),
        chromosome=chromosomes.names[row],
        start=position - first,
        end=int(blocks.ends[number]) - first,
    )


def _without_url(error: FormatError, url: str) -> str:
    return str(error).removeprefix(f"{url}: ")
