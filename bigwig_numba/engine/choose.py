"""Which engine runs a collection's plans: CUDA where there is a GPU and what it needs, else the CPU."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Sequence
from typing import Any, Protocol, cast

from ..errors import ConfigError, DeviceError
from ..kernels.swapping import InflateKernel, ReduceKernel
from ..parallel import ThreadTeam
from ..plan import ReadPlan, TrackTable, WindowRequest
from ..storage import ByteSource
from .reduction import Reduction
from .sources import SourceTable
from .stages import StageClock
from .worth_keeping import KeptRegions

__all__ = ["DEVICES", "STORES", "Engine", "choose_device", "choose_engine", "why_no_cuda"]

logger = logging.getLogger(__name__)

DEVICES = ("auto", "cuda", "cpu")
STORES = ("auto", "stream", "host", "device")


class Engine(Protocol):
    """What runs plans.

    Attributes
    ----------
    name
        ``"cpu"`` or ``"cuda"``.
    team
        Threads for work on the host.
    clock
        Where the time of batches went.
    """

    name: str
    team: ThreadTeam
    clock: StageClock

    def batch(
        self,
        request: WindowRequest,
        tracks: TrackTable,
        sources: Sequence[ByteSource],
        reduction: Reduction,
        *,
        out: Any | None = None,
    ) -> Any:
        """Values of the windows that are asked for, (S, B, T), as an array of the engine's device."""
        ...

    def run(
        self, plan: ReadPlan, sources: Sequence[ByteSource], reduction: Reduction, *, out: Any | None = None
    ) -> Any:
        """Values of a plan's windows, (S, B, T), as an array of the engine's device."""
        ...

    def use(self, inflate: InflateKernel, reduce: ReduceKernel) -> None:
        """Take these kernels from now on."""
        ...

    def keep(
        self,
        tracks: TrackTable,
        sources: SourceTable,
        *,
        store: str,
        most_bytes: int | None,
        regions: KeptRegions | None,
    ) -> None:
        """Say which files will be read, and where their compressed blocks shall live, of ``STORES``."""
        ...

    @property
    def memory(self) -> dict[str, int]:
        """Bytes that are held for the next batches, by kind."""
        ...

    def close(self) -> None:
        """Give back threads and device memory; a later run takes them again."""
        ...


def choose_engine(device: str = "auto", *, verify: bool = False) -> Engine:
    """Make the engine for a device.

    Parameters
    ----------
    device
        ``"auto"`` takes CUDA if it works here, else the CPU; ``"cuda"`` and ``"cpu"`` insist.
    verify
        Whether to compare each block's Adler-32 checksum.

    Returns
    -------
    Engine

    Raises
    ------
    DeviceError
        ``"cuda"`` where it does not work; the message says why and what to install.
    ConfigError
        Any other name.

    Examples
    --------
    >>> choose_engine("cpu").name
    'cpu'
    """
    if choose_device(device) == "cpu":
        return _make("cpu", "CpuEngine", verify)
    return _make("cuda", "CudaEngine", verify)


def choose_device(device: str = "auto") -> str:
    """``"cuda"`` or ``"cpu"``, by the same rules as :func:`choose_engine`, with the same errors."""
    if device not in DEVICES:
        names = ", ".join(map(repr, DEVICES))
        raise ConfigError(f"device is {device!r}, expected one of {names}", argument="device", value=device)
    reason = None if device == "cpu" else why_no_cuda()
    if device == "cuda" and reason is not None:
        raise DeviceError(
            f"device='cuda' needs an NVIDIA GPU, CuPy and numba-cuda, but {reason}. Install them with "
            "pip install 'bigwig-numba[cuda12]' or 'bigwig-numba[cuda13]' (the CUDA version that nvidia-smi shows), "
            "or take device='cpu'."
        )
    if device == "cpu" or reason is not None:
        logger.debug("Taking the CPU%s", f": {reason}" if reason else "")
        return "cpu"
    return "cuda"


def why_no_cuda() -> str | None:
    """What keeps CUDA from working here, in words; None if nothing does.

    CuPy is asked first: Numba's simulator says that it is available anywhere.
    """
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        return f"CuPy cannot be imported ({error})"
    try:
        if not cupy.cuda.is_available():
            return "CuPy finds no GPU"
    except Exception as error:  # noqa: BLE001 - CuPy's errors of a broken driver share no base class with anything named here
        return f"CuPy cannot use the GPU ({error})"
    if importlib.util.find_spec("numba_cuda") is None:
        return "numba-cuda is not installed"
    try:
        if not importlib.import_module("numba.cuda").is_available():
            return "numba-cuda finds no GPU or no CUDA toolkit"
    except Exception as error:  # noqa: BLE001 - a toolkit that does not fit the driver ends in errors of many kinds
        return f"numba-cuda cannot use the GPU ({error})"
    return None


def _make(module: str, name: str, verify: bool) -> Engine:
    """Import an engine's module only now, as the other one's libraries may be missing."""
    return cast(Engine, getattr(importlib.import_module(f".{module}", __package__), name)(verify=verify))
