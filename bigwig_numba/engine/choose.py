"""Which engine runs a collection's plans: CUDA where there is a GPU and what it needs, else the CPU."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Sequence
from typing import Any, Protocol, cast

from ..errors import ConfigError, DeviceError
from ..parallel import ThreadTeam
from ..plan import ReadPlan
from ..storage import ByteSource
from .reduction import Reduction

__all__ = ["DEVICES", "Engine", "choose_engine", "why_no_cuda"]

logger = logging.getLogger(__name__)

DEVICES = ("auto", "cuda", "cpu")


class Engine(Protocol):
    """What runs plans.

    Attributes
    ----------
    name
        ``"cpu"`` or ``"cuda"``.
    team
        Threads for work on the host.
    """

    name: str
    team: ThreadTeam

    def run(
        self, plan: ReadPlan, sources: Sequence[ByteSource], reduction: Reduction, *, out: Any | None = None
    ) -> Any:
        """Values of a plan's windows, (S, B, T), as an array of the engine's device."""
        ...

    def close(self) -> None:
        """Give back threads and device memory; a later run takes them again."""
        ...


def choose_engine(device: str = "auto") -> Engine:
    """Make the engine for a device.

    Parameters
    ----------
    device
        ``"auto"`` takes CUDA if it works here, else the CPU; ``"cuda"`` and ``"cpu"`` insist.

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
        logger.debug("Taking the CPU engine%s", f": {reason}" if reason else "")
        return _make("cpu", "CpuEngine")
    return _make("cuda", "CudaEngine")


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


def _make(module: str, name: str) -> Engine:
    """Import an engine's module only now, as the other one's libraries may be missing."""
    return cast(Engine, getattr(importlib.import_module(f".{module}", __package__), name)())
