"""The site has all pages, links lead somewhere, and figures are what their script draws."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from bigwig_numba import errors
from bigwig_numba.cli import program
from bigwig_numba.kernels.statuses import BlockStatus

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
CONFIG = (DOCS / "site" / "mkdocs.yml").read_text(encoding="utf-8")
PAGES = sorted(DOCS.rglob("*.md"))
COMMANDS = [add_command.__name__.removeprefix("add_") for add_command in program.COMMANDS]


def figures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw", DOCS / "figures" / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["draw"] = importlib.util.module_from_spec(spec)  # dataclasses look for it there
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_the_navigation_once() -> None:
    listed = re.findall(r"([\w/-]+\.md)$", CONFIG, re.MULTILINE)
    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL))
    local = [link for link in links if not link.startswith("http")]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("name", figures().FIGURES)
def test_figures_are_what_their_script_draws(name: str) -> None:
    module = figures()
    assert (DOCS / "images" / f"{name}.svg").read_text(encoding="utf-8") == module.FIGURES[name]().svg()


def test_every_picture_is_shown() -> None:
    shown = " ".join(page.read_text(encoding="utf-8") for page in [*PAGES, ROOT / "README.md"])
    pictures = [path.name for path in (DOCS / "images").iterdir()]
    assert [name for name in pictures if f"images/{name}" not in shown] == []


def test_the_page_of_errors_has_all_of_them() -> None:
    text = (DOCS / "errors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)`", text, re.MULTILINE)
    assert set(errors.__all__) - {"BigWigError"} <= set(rows)
    for status in list(BlockStatus)[1:]:
        assert f"| {status.value} `{status.name}` | {status.words} |" in text


def test_the_page_of_the_command_line_has_all_commands() -> None:
    text = (DOCS / "command-line.md").read_text(encoding="utf-8")
    headings = " ".join(re.findall(r"^## (.*)", text, re.MULTILINE)).split()
    assert [name for name in COMMANDS if f"`{name}`" not in text and name not in headings] == []


def test_ci_builds_the_site_and_treats_warnings_as_errors() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"mkdocs build --strict .*-f docs/site/mkdocs\.yml", script)
