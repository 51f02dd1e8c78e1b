"""Machine code that was kept of other sources is not used."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from types import ModuleType

import pytest
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher

from bigwig_numba.kernels import loops, windows
from bigwig_numba.kernels.keeping import forget_stale_code


def kept_code(folder: Path) -> Path:
    index = folder / "inflate" / "__pycache__" / "table.inflate-1.py311.nbi"
    index.parent.mkdir(parents=True, exist_ok=True)
    index.write_bytes(b"kept")
    return index


def test_what_was_kept_goes_when_a_source_has_changed_and_only_then(tmp_path: Path) -> None:
    forget = forget_stale_code.__wrapped__
    index = kept_code(tmp_path)
    forget(tmp_path)  # nobody knows of which sources
    assert not index.exists()
    index = kept_code(tmp_path)
    forget(tmp_path)
    assert index.exists()
    (tmp_path / "__pycache__" / "sources.digest").write_text("of other sources")
    forget(tmp_path)
    assert not index.exists()


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    forget_stale_code.__wrapped__(tmp_path / "not there")
    assert not (tmp_path / "not there").exists()


@pytest.mark.parametrize("module", [loops, windows])
def test_what_closures_call_is_kept(module: ModuleType) -> None:
    tree = ast.parse(inspect.getsource(module))
    makers = [node for node in tree.body if isinstance(node, ast.FunctionDef) and "make_" in node.name]
    closures = [inner for maker in makers for inner in ast.walk(maker) if isinstance(inner, ast.FunctionDef)]
    names = {
        node.func.id
        for closure in closures
        for node in ast.walk(closure)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    called = {name: getattr(module, name) for name in names if isinstance(getattr(module, name, None), Dispatcher)}
    assert len(called) > 0
    assert [name for name, function in called.items() if not isinstance(function._cache, FunctionCache)] == []
