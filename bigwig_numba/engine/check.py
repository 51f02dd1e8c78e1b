"""What engines check: the caller's output array, and the status that the kernels wrote for each block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import BlockDecodeError, ConfigError
from ..kernels.statuses import BlockStatus
from ..plan import ReadPlan
from ..storage import ByteSource
from .reduction import Reduction


def raise_for_statuses(statuses: npt.NDArray[np.int32], plan: ReadPlan, sources: Sequence[ByteSource]) -> None:
    """Raise for the first block whose status is not good.

    Parameters
    ----------
    statuses : (K,) int32
        A ``BlockStatus`` per block of the plan.
    plan
        Tells file and byte range of each block.
    sources
        The files, as ``plan.block_tracks`` numbers them.

    Raises
    ------
    BlockDecodeError
        Naming file, byte range and what is wrong; it says how many more blocks of the batch are damaged.
    """
    damaged = np.flatnonzero(statuses)
    if damaged.size == 0:
        return
    block = int(damaged[0])
    status = BlockStatus(int(statuses[block]))
    url = sources[int(plan.block_tracks[block])].url
    offset, size = int(plan.block_offsets[block]), int(plan.block_sizes[block])
    others = (
        f" ({damaged.size - 1} more of this batch's {statuses.size} blocks are damaged)" if damaged.size > 1 else ""
    )
    raise BlockDecodeError(
        f"{url}: the block at bytes {offset:,} to {offset + size:,} cannot be read: {status.words}{others}. "
        "Other parts of the file may be readable; fetch the file again or leave these regions out.",
        url=url,
        block=block,
        offset=offset,
        size=size,
        status=int(status),
    )


def check_output(out: Any, shape: tuple[int, ...], reduction: Reduction) -> None:
    """Raise ``ConfigError`` unless ``out`` is a C-contiguous array of this shape and of the reduction's type."""
    if out.shape == shape and out.dtype == reduction.array_dtype and out.flags.c_contiguous:
        return
    raise ConfigError(
        f"out must be a C-contiguous array of shape {shape} and type {np.dtype(reduction.array_dtype)}, "
        f"not of shape {out.shape} and type {out.dtype}{'' if out.flags.c_contiguous else ' (not contiguous)'}",
        argument="out",
        value=out.shape,
    )
