"""What is shipped is whole: the wheel, installed away from the repository, runs the demo."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
IGNORED = {"__pycache__"}

pytestmark = pytest.mark.xdist_group("wheel")


def run(command: list[str | Path], folder: Path) -> str:
    """Run a command; its output, or a failed test that shows it."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def files_under(folder: Path) -> set[str]:
    """Relative paths of the files below a folder, caches left out."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if not IGNORED & set(path.parts)}


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(wheel, sdist), built without a network."""
    folder = tmp_path_factory.mktemp("dist")
    # not `python -m build` from the repository itself: a folder build/ there would be taken for the module
    run([sys.executable, "-m", "build", "--no-isolation", "--wheel", "--sdist", "--outdir", folder, REPOSITORY], folder)
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def installed(distributions: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that has evalsuite from the wheel and every other library from the current one."""
    folder = tmp_path_factory.mktemp("elsewhere") / "environment"
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    python = folder / "bin" / "python"
    # before the .pth, or pip would see the editable install and replace that one
    run([sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", distributions[0]], folder)
    site = Path(run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder).strip())
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python.parent


def test_wheel_carries_package_plugins_registry_and_studies(distributions: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(distributions[0]) as wheel:
        carried = set(wheel.namelist())
    wanted = {f"evalsuite/{path}" for path in files_under(REPOSITORY / "evalsuite")}
    wanted |= {f"evalsuite/bundled/{folder}/{path}" for folder in ("tasks", "studies") for path in files_under(REPOSITORY / folder)}
    wanted |= {"evalsuite/bundled/models.yaml", "evalsuite/py.typed"}
    assert wanted - carried == set()
    tops = {name.split("/")[0] for name in carried}
    assert {top for top in tops if not top.startswith("evalsuite")} == set()
    assert any(name.endswith("licenses/LICENSE") for name in carried)


def test_sdist_holds_no_reports_and_no_shared_files(distributions: tuple[Path, Path]) -> None:
    with tarfile.open(distributions[1]) as archive:
        tops = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    assert {"evalsuite", "tasks", "tests", "pyproject.toml", "LICENSE"} <= tops
    assert not {"reports", "shared", ".venv", ".evalsuite", "dist"} & tops


def test_demo_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    for needed in ("studies/demo.yaml", "evalsuite/cli/base.py", "models.yaml"):
        if not (REPOSITORY / needed).exists():
            pytest.skip(f"there is no {needed} yet")
    package = Path(run([installed / "python", "-c", "import evalsuite; print(evalsuite.__file__)"], tmp_path).strip()).parent
    assert installed.parent in package.parents, "the editable install shadows the wheel"
    study = package / "bundled" / "studies" / "demo.yaml"
    run([installed / "evalsuite", "run", study, "--limit", "20", "--out", tmp_path / "out", "--store", tmp_path / "store"], tmp_path)
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<html" in report
    assert (tmp_path / "out" / "comparisons.csv").stat().st_size > 0
