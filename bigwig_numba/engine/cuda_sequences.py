"""Encode windows of a genome on the GPU: one kernel, over bases that lie on the device, or that each batch brings.

::

    the genome fits          bases on the device ──────────────────────────────> kernel ──> output
    it does not              memory map ──> pinned memory ──> bases of the windows ──> kernel ──> output
                                       team's threads    copy

A human genome has 1.5 GB. It goes to the device with the first batch.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import cupy
import numpy as np
import numpy.typing as npt

from ..errors import DeviceError
from ..kernels.sequence import THREADS, gather_range
from ..parallel import ThreadTeam
from .launcher import KernelLauncher
from .pinned import pinned_buffers
from .sequences import OutputLayout, SequenceWindows, checked_output

logger = logging.getLogger(__name__)

RESIDENT_SHARE = 0.25  # of the free memory: what a genome may take at most to lie on the device
SMALLEST_GATHER = 1 << 18  # bytes: about 0.1 ms, below which a thread costs more than it does


class CudaSequences:
    """Encodes windows on the current CuPy device and stream.

    Parameters
    ----------
    bases
        (N / 2,) uint8, the genome, on the host; see ``kernels.sequence``.
    team
        Threads for the host's work; they stay their owner's.
    resident_share
        Share of a device's free memory, when first used, that the genome may take to lie there.
    """

    def __init__(
        self, bases: npt.NDArray[np.uint8], team: ThreadTeam, *, resident_share: float = RESIDENT_SHARE
    ) -> None:
        self._bases = bases
        self._team = team
        self._resident_share = resident_share
        self._launcher = KernelLauncher()
        self._pinned = pinned_buffers()
        self._resident: dict[int, Any] = {}  # device number to its copy, or None where there is no room
        self._lock = threading.Lock()

    def encode(self, windows: SequenceWindows, layout: OutputLayout, *, out: Any | None = None) -> Any:
        """The output, on the device, in the order of the current stream. Only a genome not on the device is waited for.

        Raises
        ------
        DeviceError
            Not enough memory on the device.
        """
        try:
            out = checked_output(out, windows, layout, cupy.empty)
            if out.size:
                bases = self._bases_on_device()
                if bases is None:
                    self._encode_gathered(windows, layout, out)
                else:
                    self._launch(bases, _to_device(windows.table), windows, layout, out)
        except cupy.cuda.memory.OutOfMemoryError as error:
            raise DeviceError(
                f"not enough GPU memory for the sequences of {windows.n_windows} windows of {windows.length} bases "
                f"({error}). Ask for fewer windows at a time, or free memory that other arrays hold."
            ) from error
        return out

    def close(self) -> None:
        """Give back the device's copy of the genome and pinned memory; the next batch brings it again."""
        with self._lock:
            self._resident.clear()
        self._pinned.close()

    def _bases_on_device(self) -> Any | None:
        device = cupy.cuda.runtime.getDevice()
        with self._lock:  # several threads may come with their first batch at once
            if device not in self._resident:
                self._resident[device] = self._upload()
            return self._resident[device]

    def _upload(self) -> Any | None:
        """The genome on the current device, ready for any stream; None if it takes too much of the free memory."""
        room = int(cupy.cuda.runtime.memGetInfo()[0] * self._resident_share)
        if self._bases.size > room:
            logger.info("The genome, %d bytes, stays on the host: %d may lie on the device", self._bases.size, room)
            return None
        bases = cupy.empty(self._bases.size, np.uint8)
        bases.set(self._bases)
        cupy.cuda.get_current_stream().synchronize()  # others will read it from streams of their own
        return bases

    def _encode_gathered(self, windows: SequenceWindows, layout: OutputLayout, out: Any) -> None:
        """Bring the bytes of the windows, each into a slot, and encode from there."""
        slot = windows.n_read // 2 + 1  # an odd start touches one byte more
        moved = np.empty_like(windows.table)
        bases = cupy.empty(windows.n_windows * slot, np.uint8)
        with self._pinned.lend(bases.size) as gathered:
            self._team.run(
                gather_range, windows.n_windows, self._bases, windows.table, slot, gathered, moved,
                smallest=max(1, SMALLEST_GATHER // slot),
            )  # fmt: skip
            bases.set(gathered)
            copied = cupy.cuda.get_current_stream().record()
            self._launch(bases, _to_device(moved), windows, layout, out)
            copied.synchronize()

    def _launch(self, bases: Any, table: Any, windows: SequenceWindows, layout: OutputLayout, out: Any) -> None:
        n_words, arguments = layout.arguments(out, out.data.ptr, windows.length)
        on_device = [_to_device(each) if isinstance(each, np.ndarray) else each for each in arguments]
        threads_per_base = min(n_words, THREADS) if layout.channels_last else 1
        self._launcher.launch(
            layout.cuda_kernel(), windows.n_pieces, THREADS, bases, table, *on_device, threads_per_base,
            name=layout.cuda_name,
        )  # fmt: skip


def _to_device(array: npt.NDArray[Any]) -> Any:
    """A copy on the device, asynchronous on the current stream: through pinned memory, which CuPy keeps until then."""
    return cupy.asarray(array, blocking=False)
