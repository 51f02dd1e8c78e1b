"""The examples of docs/regions.md run, and show what the page says."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent / "docs" / "regions.md"
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def test_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    # Blanked, not cut out, so that failures name the page's lines.
    blocks = re.compile(r"(```python\n.*?```)", re.DOTALL).split(text)
    code = "".join(block[9:-3] if number % 2 else re.sub(".", "", block) for number, block in enumerate(blocks))
    examples = doctest.DocTestParser().get_doctest(code, {}, PAGE.name, str(PAGE), 0)
    assert len(examples.examples) > 20
    failed, _ = doctest.DocTestRunner(optionflags=FLAGS).run(examples)
    assert failed == 0
