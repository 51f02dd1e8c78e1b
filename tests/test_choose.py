"""Which engine is chosen: CUDA where everything it needs works, and an explanation where something does not."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from bigwig_numba.engine import choose
from bigwig_numba.errors import ConfigError, DeviceError


class FakeCuda:
    """Stands for ``cupy`` and for ``numba.cuda``."""

    def __init__(self, answer: bool | Exception) -> None:
        self.cuda = self
        self.answer = answer

    def is_available(self) -> bool:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("cupy", "has_numba_cuda", "numba_cuda", "reason"),
    [
        (None, True, True, "CuPy cannot be imported"),
        (False, True, True, "CuPy finds no GPU"),
        (RuntimeError("driver too old"), True, True, "driver too old"),
        (True, False, True, "numba-cuda is not installed"),
        (True, True, False, "numba-cuda finds no GPU or no CUDA toolkit"),
        (True, True, RuntimeError("no libnvvm"), "no libnvvm"),
        (True, True, True, None),
    ],
)
def test_cuda_is_taken_where_all_of_it_works_and_is_explained_where_not(
    monkeypatch: pytest.MonkeyPatch, cupy: Any, has_numba_cuda: bool, numba_cuda: Any, reason: str | None
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None if cupy is None else FakeCuda(cupy))
    monkeypatch.setitem(sys.modules, "numba.cuda", FakeCuda(numba_cuda))
    find_spec = {"find_spec": lambda name: object() if has_numba_cuda else None}
    monkeypatch.setattr(choose.importlib, "util", SimpleNamespace(**find_spec))
    monkeypatch.setattr(choose, "_make", lambda module, name, verify: SimpleNamespace(name=module))
    assert choose.choose_engine("cpu").name == "cpu"
    assert choose.choose_engine("auto").name == ("cpu" if reason else "cuda")
    if reason is None:
        assert choose.choose_engine("cuda").name == "cuda"
    else:
        with pytest.raises(DeviceError, match=reason) as caught:
            choose.choose_engine("cuda")
        assert "pip install 'bigwig-numba[cuda12]'" in str(caught.value)


@pytest.mark.parametrize("device", ["gpu", "CPU", None, 0])
def test_a_device_that_does_not_exist_is_refused(device: Any) -> None:
    with pytest.raises(ConfigError, match="expected one of 'auto', 'cuda', 'cpu'"):
        choose.choose_engine(device)
