"""What engines check: the caller's output array, and the status that the kernels wrote for each block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import BlockDecodeError, ConfigError
from ..kernels.statuses import BlockStatus
from ..plan import BlockPlace
from ..storage import ByteSource
from .reduction import Reduction


class HasPlaces(Protocol):
    """What knows where its blocks are: a plan of the host's or of the device's."""

    @property
    def place_of(self) -> Callable[[int], BlockPlace]:
        """Number of a block to its place."""
        ...


def raise_for_statuses(statuses: npt.NDArray[np.int32], plan: HasPlaces, sources: Sequence[ByteSource]) -> None:
    """Raise for the first block whose status is not good.

    Parameters
    ----------
    statuses : (K,) int32
        A ``BlockStatus`` per block of the plan.
    plan
        Tells file and byte range of each block.
    sources
        The files, as the plan numbers them.

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
    place = plan.place_of(block)
    url, offset, size = sources[place.track].url, place.offset, place.size
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
