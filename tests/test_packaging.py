"""What is installed is what is here: the wheel, the versions, the dependencies, the README's commands and code."""

from __future__ import annotations

import itertools
import os
import re
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

import hatchling.build
import pytest

import bigwig_numba
from bigwig_numba import cli
from bigwig_numba.version import __version__

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project: dict[str, Any] = tomllib.load(file)["project"]
    return project


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return zipfile.ZipFile(folder / hatchling.build.build_wheel(str(folder)))


def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


def test_wheel_holds_the_package_with_its_types_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "bigwig_numba").rglob("*.py")}
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert shipped == there | {"bigwig_numba/py.typed"}


def test_wheel_has_the_licence_and_the_command(wheel: zipfile.ZipFile) -> None:
    text = {Path(name).name: wheel.read(name).decode() for name in wheel.namelist() if ".dist-info/" in name}
    assert "Apache License" in text["LICENSE"]
    assert metadata(wheel)["License-Expression"] == "Apache-2.0"
    assert "bigwig-numba = bigwig_numba.cli:main" in text["entry_points.txt"]
    assert callable(cli.main)


def test_versions_agree(wheel: zipfile.ZipFile) -> None:
    assert bigwig_numba.__version__ == __version__ == metadata(wheel)["Version"]
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] in ("Unreleased", __version__)
    assert [heading for heading in headings if heading != "Unreleased"][:1] in ([], [__version__])


def test_numpy_is_kept_below_what_breaks_numba_cuda(project: dict[str, Any]) -> None:
    assert "numpy>=2.0,<2.5" in project["dependencies"]


CONDA_NAMES = {"matplotlib": "matplotlib-base", "cupy-cuda12x": "cupy"}
WITHOUT_CONDA = {"bigwig-numba", "nvidia-cuda-nvcc-cu12", "nvidia-cuda-nvrtc-cu12"}  # itself; part of cuda-version=12


def test_conda_environment_is_the_same_set(project: dict[str, Any]) -> None:
    extras = project["optional-dependencies"]
    wanted = set()
    chosen = [extras[name] for name in ("cuda12", "plot", "dask", "test", "dev")]
    for requirement in itertools.chain(project["dependencies"], *chosen):
        name, bounds = re.fullmatch(r"([\w.-]+)(?:\[.*\])?(.*)", requirement).groups()  # type: ignore[union-attr]
        if name not in WITHOUT_CONDA:
            wanted.add(CONDA_NAMES.get(name, name) + bounds)
    lines = (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines()
    there = {line.split("#")[0].strip().removeprefix("- ") for line in lines}
    assert wanted - there == set()


def commands() -> list[str]:
    """The README's commands that make a virtual environment."""
    return re.findall(r"^python3 -m venv .*$", README, re.MULTILINE)


def test_readme_has_two_set_up_commands_and_ci_runs_the_second() -> None:
    demo, tests = commands()
    assert demo.endswith(".venv/bin/bigwig-numba demo")
    assert tests.endswith("-m pytest -n 2")
    assert [line for line in README.splitlines() if line.endswith("-m pytest -n 2")] == [tests]
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "test_command=$(grep -- '-m pytest -n 2$' README.md)" in script.read_text(encoding="utf-8")


def test_extras_of_the_commands_exist(project: dict[str, Any]) -> None:
    for text in (README, (ROOT / ".ci" / "run").read_text(encoding="utf-8")):
        for extras in re.findall(r'"\.\[([\w,]+)\]"', text):
            assert set(extras.split(",")) <= project["optional-dependencies"].keys()


def test_readme_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    local = [link for link in links if not link.startswith("http")]
    assert local
    assert [link for link in local if not (ROOT / link).exists()] == []


def test_readme_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """All Python blocks in turn, but those whose comment says that they are not run; what they print is as they say."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"(<!-- not run .*?-->\n)?```python\n(.*?)```", README, re.DOTALL)
    run = [code for excuse, code in blocks if not excuse]
    assert len(run) >= 2
    namespace: dict[str, Any] = {}
    for code in run:
        exec(compile(code, "README.md", "exec"), namespace)
    printed = capsys.readouterr().out.splitlines()
    promised = [text for code in run for text in re.findall(r"print\(.*\)  # (.*)", code)]
    assert len(printed) == len(promised)
    assert all(promise.startswith(line) for line, promise in zip(printed, promised, strict=True))


def test_readme_has_the_demos_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["demo", "--device", "cpu"]) == 0
    (checksum,) = re.findall(r"^checksum +(\w+)$", capsys.readouterr().out, re.MULTILINE)
    assert f"`{checksum}`" in README
