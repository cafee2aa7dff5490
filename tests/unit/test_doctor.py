"""`doctor`: quick, never fails, and says what is missing for what."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from evalsuite.engines import _cuda
from evalsuite.listings import doctor_lines, machine

LIMIT_S = 3.0


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without programs: a folder that is all of PATH."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    _cuda._n_listed.cache_clear()
    return tmp_path


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


def missing() -> list[str]:
    lines = doctor_lines()
    return [line.strip() for line in lines[lines.index("missing") + 1 :]]


def test_it_answers_at_once_and_exits_with_0() -> None:
    began = time.perf_counter()
    bare_start = subprocess.run([sys.executable, "-c", "import click"], check=True)
    bare_s = time.perf_counter() - began
    assert bare_start.returncode == 0
    code = "import sys; sys.argv = ['evalsuite', 'doctor']; from evalsuite.cli import main; main()"
    heavy = "; print(sorted({'torch', 'transformers', 'vllm', 'datasets', 'pandas'} & set(sys.modules)))"
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - began - bare_s < LIMIT_S
    loaded = subprocess.run(
        [sys.executable, "-c", f"import sys; from evalsuite.listings import doctor_lines; doctor_lines(){heavy}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "[]"


def test_a_bare_machine(bare: Path) -> None:
    said = missing()
    assert "large models: no GPU (no nvidia-smi)" in said
    assert "sbatch scripts/run_study.sbatch: no sbatch on the PATH" in said
    lines = doctor_lines()
    assert "GPUs: none (no nvidia-smi): models run on the CPU" in lines
    assert any(line.startswith("  vllm ") and "supported: >=0." in line for line in lines)
    assert any(line.startswith("  transformers     transformers ") and line.endswith("ready on cpu") for line in lines)
    assert any(line.startswith("  hub cache") and "GiB free" in line for line in lines)


def test_gpus_and_slurm_are_seen(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bare, "sbatch", "")
    program(
        bare, "nvidia-smi", "case $1 in -L) echo 'GPU 0: H'; echo 'GPU 1: H';; *) echo 'H, 81920, 550.1'; echo 'H, 81920, 550.1';; esac"
    )
    lines = doctor_lines()
    assert "GPUs: 2, driver 550.1, 80 GiB each or more" in lines
    assert "  2 x H" in lines
    assert f"slurm: {bare / 'sbatch'}" in lines
    assert not any("no GPU" in line for line in lines)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert "GPUs: 2, 1 of them visible ($CUDA_VISIBLE_DEVICES), driver 550.1, 80 GiB each or more" in doctor_lines()


def test_a_torch_without_cuda_beside_gpus_is_said(bare: Path) -> None:
    program(bare, "nvidia-smi", "case $1 in -L) echo 'GPU 0: H';; *) echo 'H, 81920, 550.1';; esac")
    origin = Path(str(machine.importlib.util.find_spec("torch").origin)).with_name("version.py")
    if "cuda: Optional[str] = None" not in origin.read_text(encoding="utf-8"):
        pytest.skip("the installed torch is built with CUDA")
    assert any("built without CUDA, so the GPUs here cannot be used" in line for line in doctor_lines())
    assert any(line.startswith("engine transformers:") and "without CUDA" in line for line in missing())


def test_a_driver_that_hangs_does_not_hold_it_up(bare: Path) -> None:
    program(bare, "nvidia-smi", "exec /bin/sleep 30")
    began = time.perf_counter()
    assert "GPUs: none (nvidia-smi does not answer): models run on the CPU" in doctor_lines()
    assert time.perf_counter() - began < LIMIT_S


def test_missing_libraries_are_named_with_what_they_are_for(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = machine.version

    def version(name: str) -> str:
        if name in ("pandas", "lm-eval"):
            raise machine.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(machine, "version", version)
    said = missing()
    assert "statistics and reports: pandas is not installed (pip install pandas)" in said
    assert any(line.startswith("`lm_eval:` tasks: lm-eval is not installed") for line in said)
