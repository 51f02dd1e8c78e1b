"""Pinned host memory, through which transfers to the GPU run beside everything else."""

from __future__ import annotations

import cupy
import cupyx
import numpy as np

from .buffers import BufferPool

__all__ = ["pinned_buffers"]


def pinned_buffers() -> BufferPool:
    """A pool of pinned buffers. After a failure the current stream's transfers are waited for."""
    return BufferPool(
        lambda n_bytes: cupyx.empty_pinned(n_bytes, np.uint8),
        settle=lambda: cupy.cuda.get_current_stream().synchronize(),
    )
