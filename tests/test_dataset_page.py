"""The examples of docs/dataset.md that need a framework run where it is installed; test_docs_code.py runs the rest."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

from bigwig_numba.example_data import example_data

PAGE = Path(__file__).parent.parent / "docs" / "dataset.md"
BLOCK = re.compile(r"^(?:<!-- not run without (.*?) -->\n+)?```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
BLOCKS = [(match[1] or "", match[2]) for match in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]
NEEDED = sorted({needed for needed, _ in BLOCKS} - {""})


def marked(needed: str) -> Any:
    modules = needed.split(", ")
    return pytest.param(set(modules), marks=pytest.mark.frameworks(*modules), id=needed)


@pytest.mark.filterwarnings("ignore")  # of the frameworks
@pytest.mark.parametrize("modules", [marked(needed) for needed in NEEDED])
def test_examples_run_and_print_what_they_promise(modules: set[str], tmp_path: Path, monkeypatch: Any) -> None:
    made = example_data().bigwig_paths[0].parent
    (tmp_path / "example").mkdir()
    (tmp_path / "example" / made.name).symlink_to(made, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": PAGE.name}
    for needed, code in BLOCKS:
        if not (modules >= set(needed.split(", ")) if needed else "arguments = dict(" in code):
            continue
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, str(PAGE), "exec"), namespace)
        promised = re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE)
        assert printed.getvalue().splitlines()[: len(promised)] == promised


def test_all_frameworks_have_examples() -> None:
    assert NEEDED == ["jax", "tensorflow", "torch", "torch, pytorch_lightning"]
