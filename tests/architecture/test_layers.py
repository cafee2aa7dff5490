"""The layer contract is kept, is the one of the design, and bites."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter with the pyproject.toml and the package that stand in a folder."""
    command = [sys.executable, "-c", "import sys; from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    # PYTHONSAFEPATH off and the folder first: the package of the folder is checked, not the installed one
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), os.environ["PYTHONPATH"]])}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def package_with(folder: Path, modules: dict[str, str]) -> Path:
    """A package `evalsuite` with the given modules beside the real layer contract."""
    package = folder / "evalsuite"
    package.mkdir()
    for name, source in {"__init__": "", "types": "", "errors": "", **modules}.items():
        (package / f"{name}.py").write_text(source, encoding="utf-8")
    (folder / "pyproject.toml").write_text((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"), encoding="utf-8")
    return folder


def test_imports_go_down_only() -> None:
    done = lint_imports(REPOSITORY)
    assert done.returncode == 0, done.stdout


def test_an_import_upwards_is_found(tmp_path: Path) -> None:
    done = lint_imports(package_with(tmp_path, {"plan": "", "config": "def f():\n    from evalsuite import plan\n"}))
    assert done.returncode == 1
    assert "evalsuite.config is not allowed to import evalsuite.plan" in done.stdout


def test_an_import_between_neighbours_is_found(tmp_path: Path) -> None:
    done = lint_imports(package_with(tmp_path, {"scoring": "", "runner": "import evalsuite.scoring\n"}))
    assert done.returncode == 1
    assert "evalsuite.runner is not allowed to import evalsuite.scoring" in done.stdout


def test_a_module_without_a_layer_is_found(tmp_path: Path) -> None:
    done = lint_imports(package_with(tmp_path, {"stray": ""}))
    assert done.returncode == 1
    assert "evalsuite.stray" in done.stdout


def test_a_downward_import_is_fine(tmp_path: Path) -> None:
    done = lint_imports(package_with(tmp_path, {"plan": "import evalsuite.types\nimport evalsuite.config\n", "config": ""}))
    assert done.returncode == 0, done.stdout


def test_every_layer_of_the_design_has_its_place() -> None:
    design = (
        "cli > report > cluster > interop > audit > stats : scoring : runner > plan > store : engines : strategies : perturbations"
        " > task_sources > tasks > data > prompts > formats : answers : metrics > models > config > types : errors"
    )
    contract = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"][0]
    layers = [[name.strip(" ()") for name in layer.split("|")] for layer in contract["layers"]]
    place = {name: number for number, layer in enumerate(layers) for name in layer}
    wanted = [[name.strip() for name in layer.split(":")] for layer in design.split(">")]
    places = [{place[name] for name in layer} for layer in wanted]
    assert all(len(numbers) == 1 for numbers in places)
    assert [min(numbers) for numbers in places] == sorted({min(numbers) for numbers in places})
