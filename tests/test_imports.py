"""Imports go one way, and importing the package does nothing but import."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import bigwig_numba

PACKAGE = Path(bigwig_numba.__file__).parent

ORDER = [
    *("errors", "version", "cache", "parallel", "importing"),
    *("bbi", "ranges", "retries", "block_cache", "storage", "index", "index_cache", "opening"),
    *("kernels", "track_table", "plan", "engine"),
    *("chromosome_names", "regions", "interval_batches", "interval_frames"),
    *("sequence_strip", "plot", "reprs"),
    *("binning", "zooms", "file_blocks", "bigwig", "validation"),
    *("matrix", "scale", "arguments", "masking", "collection_settings", "open_tracks", "collection"),
    *("encoders", "fasta", "packed_genome", "genome"),
    *("write", "window_files"),
    *("samplers", "distributed", "transforms"),
    *("batch", "prefetch", "gpu_streams", "loader", "dataset", "pytorch", "tensorflow", "jax"),
    *("config", "download", "download_example_data"),
    *("example_genome", "example_data", "demo", "checking"),
    "benchmarks",
    *("cli", "__main__"),
]
"""Modules and subpackages, low to high: each imports from those before it only. A new one gets its place here."""


def modules() -> dict[str, Path]:
    """Dotted name below the package → file; the package's own `__init__`, the facade over all, is left out."""
    paths = (path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
    return {".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imports(module: str, path: Path, known: set[str]) -> set[str]:
    """Modules of the package that a module imports, anywhere in it, for types too."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ["bigwig_numba", *package][: len(package) + 2 - node.level] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{source}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "bigwig_numba":
                found.add(nearest_module(name.removeprefix("bigwig_numba").removeprefix("."), known))
    return found


def nearest_module(name: str, known: set[str]) -> str:
    """The module that a dotted name is, or is in; the facade is ''."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


MODULES = modules()


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    """Module → modules of the package that it imports."""
    return {module: imports(module, path, set(MODULES)) - {module} for module, path in MODULES.items()}


def place(module: str) -> int:
    return ORDER.index(module.split(".")[0])


def test_every_module_has_a_place() -> None:
    assert {module.split(".")[0] for module in MODULES} == set(ORDER)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_module_imports_from_lower_layers_only(module: str, graph: dict[str, set[str]]) -> None:
    assert "" not in graph[module], "the package itself is for users; import from the module that has the name"
    package = module.split(".")[0]
    outside = {other for other in graph[module] if other.split(".")[0] != package}
    assert {other for other in outside if place(other) >= place(module)} == set()


def test_no_module_imports_itself_in_a_circle(graph: dict[str, set[str]]) -> None:
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def run_python(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *options], capture_output=True, text=True, check=True)


@pytest.mark.parametrize("module", ["bigwig_numba", "bigwig_numba.cli"])
def test_importing_prints_nothing_and_needs_no_gpu_library_or_framework(module: str) -> None:
    done = run_python("-c", f"import {module}, sys; print('imported', *sys.modules)")
    assert (done.stdout.partition(" ")[0], done.stderr) == ("imported", "")
    loaded = set(done.stdout.split())
    assert module in loaded
    assert loaded & {"cupy", "numba.cuda", "torch", "tensorflow", "jax", "matplotlib", "dask", "zarr"} == set()


def test_importing_compiles_nothing_and_reads_no_environment_file() -> None:
    program = """
import sys
from numba.core import event
opened = []
sys.addaudithook(lambda name, arguments: opened.append(str(arguments[0])) if name == "open" else None)
with event.install_recorder("numba:compile") as recorder:
    import bigwig_numba.cli
print(len(recorder.buffer), sum(path.endswith(".env") for path in opened), len(opened) > 0)
"""
    assert run_python("-W", "error:::bigwig_numba", "-c", program).stdout.split() == ["0", "0", "True"]
