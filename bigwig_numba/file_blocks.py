"""Blocks of one file by their numbers, whatever windows say: for those who look at a file as such."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from .engine.cpu import CpuEngine, InflatedBlocks
from .engine.store import fetch_blocks
from .index import FileIndex
from .kernels.sections import BEDGRAPH, FIXED_STEP, VARIABLE_STEP
from .plan import UNKNOWN_STOP, ReadPlan
from .storage import ByteSource

__all__ = ["SECTION_TYPES", "count_section_types", "inflate_numbered", "number_batches", "plan_blocks"]

Int64Array = npt.NDArray[np.int64]

SECTION_TYPES = {BEDGRAPH: "bedGraph", VARIABLE_STEP: "variableStep", FIXED_STEP: "fixedStep"}
BATCH_BYTES = 8 * 1024 * 1024  # of inflated blocks at a time: 2 million items at most, of 32 bytes each in memory


def plan_blocks(index: FileIndex, numbers: Int64Array, *, whole: bool = True) -> ReadPlan:
    """Plan the reading of blocks, for no window.

    Parameters
    ----------
    index
        The file's index.
    numbers
        (K,) int64, ascending rows of ``index.blocks``.
    whole
        Whether to inflate all of a block, or only its header and first items.

    Returns
    -------
    ReadPlan
        Of no windows and one track.

    Examples
    --------
    See :func:`count_section_types`, which looks at the blocks that such a plan reads.
    """
    header, n_blocks = index.header, len(numbers)
    sizes = index.blocks.sizes[numbers]
    return ReadPlan(
        n_windows=0,
        n_tracks=1,
        n_bins=0,
        window_size=1,
        window_starts=np.empty(0, np.int64),
        clip_starts=np.empty(0, np.int64),
        clip_ends=np.empty(0, np.int64),
        chrom_ids=np.empty((0, 1), np.uint32),
        first_blocks=np.empty((0, 1), np.int32),
        last_blocks=np.empty((0, 1), np.int32),
        block_leaves=numbers,
        block_tracks=np.zeros(n_blocks, np.int32),
        block_offsets=index.blocks.offsets[numbers],
        block_sizes=sizes,
        block_capacities=np.full(n_blocks, header.uncompress_buffer_size, np.int64) if header.compressed else sizes,
        block_compressed=np.full(n_blocks, header.compressed, np.bool_),
        block_big_endian=np.full(n_blocks, header.big_endian, np.bool_),
        block_stops=np.full(n_blocks, UNKNOWN_STOP if whole else 0, np.int64),
        block_follows=np.diff(numbers, prepend=-2) == 1,
    )


def inflate_numbered(
    source: ByteSource, index: FileIndex, engine: CpuEngine, numbers: Int64Array, *, whole: bool = True
) -> tuple[ReadPlan, InflatedBlocks]:
    """Read and inflate blocks; their statuses say which are damaged.

    Parameters
    ----------
    source, index
        The file.
    engine
        Inflates them.
    numbers, whole
        As for :func:`plan_blocks`.

    Returns
    -------
    plan, inflated
        What was read, and what came of it.

    Examples
    --------
    See :func:`count_section_types`.
    """
    plan = plan_blocks(index, numbers, whole=whole)
    return plan, engine.inflate(fetch_blocks(plan, [source], team=engine.team), plan)


def number_batches(index: FileIndex, numbers: Int64Array) -> Iterator[Int64Array]:
    """Cut block numbers into runs that inflate to some 8 MB at most.

    Parameters
    ----------
    index
        The file's index.
    numbers
        (K,) int64.

    Yields
    ------
    (k,) int64
        At least one number each.
    """
    largest = index.header.uncompress_buffer_size or int(index.blocks.sizes[numbers].max(initial=1))
    step = max(1, BATCH_BYTES // max(largest, 1))
    for first in range(0, len(numbers), step):
        yield numbers[first : first + step]


def count_section_types(inflated: InflatedBlocks) -> dict[str, int]:
    """How many of the readable blocks are of which type.

    Parameters
    ----------
    inflated
        Blocks, damaged ones among them or not.

    Returns
    -------
    dict
        Type to number, for the types that are there.

    Examples
    --------
    >>> import contextlib, tempfile
    >>> from bigwig_numba.index import read_file_index
    >>> from bigwig_numba.storage import open_source
    >>> from bigwig_numba.write import write_bigwig
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = f"{folder.name}/track.bw"
    >>> write_bigwig(path, {"chr1": 5_000}, [("chr1", 1_000, np.arange(3_000.0))])
    >>> engine = CpuEngine(1)
    >>> with contextlib.closing(open_source(path)) as source:
    ...     plan, inflated = inflate_numbered(source, read_file_index(source), engine, np.array([0, 2]))
    >>> plan.n_blocks, inflated.counts.tolist(), count_section_types(inflated)
    (2, [1024, 952], {'bedGraph': 2})
    >>> engine.close()
    >>> folder.cleanup()
    """
    bases = inflated.bases[(inflated.statuses == 0) & (inflated.counts > 0)]
    kinds = np.bincount(inflated.words[bases + np.uint64(5)] & np.uint32(0xFF), minlength=max(SECTION_TYPES) + 1)
    return {name: int(kinds[kind]) for kind, name in SECTION_TYPES.items() if kinds[kind]}
