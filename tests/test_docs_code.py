"""Every page's code runs and shows what the page says; its pictures are made by the commands that it shows.

Blocks of a page run in order, in one folder and one namespace:

- ``python``: what ``print(...)  # ...`` promises is compared; with ``>>>``, as doctests.
- ``console``: `bigwig-numba` commands after ``$ `` run, and what they print is compared; ``...`` is anything.
- ``bash``: lines that begin with ``bigwig-numba`` run.

A block after ``<!-- not run by the tests: ... -->`` does not run. One after ``<!-- not run without torch -->`` runs in
``test_dataset_page.py`` or ``test_docs_elsewhere.py``, where that module is installed; or, there, a bucket is.
"""

from __future__ import annotations

import contextlib
import doctest
import glob
import io
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest

from bigwig_numba import cli
from bigwig_numba.example_data import ExampleData, example_data

DOCS = Path(__file__).parent.parent / "docs"
PAGES = {str(path.relative_to(DOCS)): path for path in sorted(DOCS.rglob("*.md"))}
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
BLOCK = re.compile(r"^(<!-- not run.*?-->\n+)?```(\w+)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block that is to be run."""

    language: str
    code: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        if not match[1]:
            yield Block(match[2], match[3], text.count("\n", 0, match.start(3)))


@pytest.fixture(scope="session")
def example() -> ExampleData:
    return example_data()


@pytest.fixture
def folder(tmp_path: Path, example: ExampleData, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder but for `example/`, which is what `example_data("example")` would make."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "example").mkdir()
    made = example.bigwig_paths[0].parent
    (tmp_path / "example" / made.name).symlink_to(made, target_is_directory=True)
    return tmp_path


def run_python(block: Block, page: Path, namespace: dict[str, Any]) -> None:
    if ">>> " in block.code:
        run_doctest(block, page, namespace)
        return
    # Empty lines before it, so that errors name the page's lines.
    code = compile("\n" * block.line + block.code, str(page), "exec")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, namespace)
    promises = re.findall(r"^ *print\(.*\)  # (.*)$", block.code, re.MULTILINE)
    shown = printed.getvalue().splitlines()
    if promises:
        assert len(shown) == len(promises), f"{page}:{block.line}: {shown}"
    for line, promise in zip(shown, promises, strict=False):
        assert promise == line or promise.startswith(line + ":"), f"{page}:{block.line}: {line}"


def run_doctest(block: Block, page: Path, namespace: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(block.code, {}, page.name, str(page), block.line)
    test.globs = namespace  # not a copy: the next block goes on with it
    failures = io.StringIO()
    failed, _ = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=failures.write, clear_globs=False)
    assert not failed, failures.getvalue()


def run_command(command: str) -> tuple[int, str]:
    """Status and what was printed; globs are expanded as a shell does."""
    program, *words = shlex.split(command)
    assert program == "bigwig-numba"
    arguments = [path for word in words for path in (sorted(glob.glob(word)) or [word])]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        status = cli.main(arguments)
    return status, printed.getvalue()


def run_console(block: Block, page: Path) -> None:
    for part in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
        line, _, expected = part.partition("\n")
        if not line.startswith("bigwig-numba "):
            continue
        command, _, otherwise = line.partition(" || ")
        status, printed = run_command(command)
        if status and otherwise.startswith("echo "):
            printed += shlex.split(otherwise)[1].replace("$?", str(status)) + "\n"
            status = 0
        assert status == 0, f"{page}:{block.line}: {command}: {printed}"
        same = doctest.OutputChecker().check_output(expected, printed, FLAGS)
        assert same, f"{page}:{block.line}: {command}\nexpected\n{expected}\nprinted\n{printed}"


def run_bash(block: Block, page: Path) -> None:
    for line in block.code.replace("\\\n", " ").splitlines():
        if line.startswith("bigwig-numba "):
            assert run_command(line)[0] == 0, f"{page}:{block.line}: {line}"


@pytest.mark.parametrize("name", PAGES)
def test_code_of_a_page_runs(name: str, folder: Path) -> None:
    page = PAGES[name]
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.language == "python":
            run_python(block, page, namespace)
        elif block.language == "console":
            run_console(block, page)
        elif block.language == "bash":
            run_bash(block, page)
    for picture in DOCS.joinpath("images").glob("*.png"):
        made = folder / picture.name
        if made.exists():
            assert matplotlib.image.imread(picture).shape == matplotlib.image.imread(made).shape, picture.name


def test_most_code_of_the_pages_runs() -> None:
    runnable = sum(block.language in ("python", "console", "bash") for page in PAGES.values() for block in blocks(page))
    excused = sum(
        text.count("<!-- not run by") for text in (page.read_text(encoding="utf-8") for page in PAGES.values())
    )
    assert runnable > 20
    assert excused < runnable / 3


def test_a_promise_that_is_not_kept_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1 + 1)  # 3\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md:1: 2"):
        run_python(next(blocks(page)), page, {})
