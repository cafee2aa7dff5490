"""scripts/run_study.sbatch: as a plain script, and under a real Slurm where ../shared brings one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalsuite.store import Store
from tests.planted import Project, make_project

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "run_study.sbatch"
N_REQUESTS = 400
N_BEFORE = 40


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SLURM_") and not name.startswith("SLURM_C")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VENV", str(Path(sys.executable).parent.parent))
    return made


@pytest.fixture(scope="module")
def slurm(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which a private Slurm of one node answers."""
    start = shared / "slurm" / "start-slurm.sh"
    if not start.is_file() or os.geteuid() != 0 or not Path("/usr/sbin/slurmctld").is_file():
        pytest.skip("needs Slurm (../shared/slurm/start-slurm.sh installs and starts it) and root")
    folder = tmp_path_factory.mktemp("slurm")
    port = 20_000 + os.getpid() % 10_000
    environment = os.environ | {"SLURM_CI_DIR": str(folder), "SLURM_CI_GPUS": "1", "SLURM_CI_BASEPORT": str(port)}
    try:
        done = subprocess.run(["bash", start], env=environment, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            pytest.skip(f"Slurm does not start here: {done.stderr[-300:]}")
        yield {"SLURM_CONF": str(folder / "etc" / "slurm.conf")}
    finally:
        stop = shared / "slurm" / "stop-slurm.sh"
        subprocess.run(["bash", stop, "--purge"], env=environment, capture_output=True, check=False, timeout=120)


@pytest.fixture
def submit(slurm: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)
    return slurm


def n_lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


def sbatch(*arguments: str) -> str:
    """Submit with what a test machine has; returns the job's number."""
    small = ["--parsable", "--cpus-per-task=1", "--mem=512M", "--time=10", *arguments]
    return subprocess.run(["sbatch", *small], check=True, capture_output=True, text=True, timeout=30).stdout.strip()


def state(job: str) -> dict[str, str]:
    done = subprocess.run(["scontrol", "-o", "show", "job", job], check=True, capture_output=True, text=True, timeout=30)
    return dict(field.partition("=")[::2] for field in done.stdout.split() if "=" in field)


def wait_for(job: str, *states: str, limit_s: float = 90) -> dict[str, str]:
    end = time.monotonic() + limit_s
    while (found := state(job))["JobState"] not in states:
        assert time.monotonic() < end, found
        time.sleep(0.3)
    return found


def test_its_syntax_is_right() -> None:
    subprocess.run(["bash", "-n", SCRIPT], check=True)
    text = SCRIPT.read_text(encoding="utf-8")
    assert "--partition=" not in text.replace("--partition=…", "")
    assert "module load" not in text


def test_it_runs_without_slurm_and_passes_options_and_exit_codes_on(project: Project) -> None:
    project.models(first="stub:first", other="stub:uniform")
    study = project.study(models="[first, other]")
    command = ["bash", str(SCRIPT)]
    done = subprocess.run([*command, study, "--store", project.store, "--limit", "20"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((project.folder / "reports" / "planted" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["selection"]["limit"] == 20
    done = subprocess.run([*command, "gone.yaml"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "gone.yaml" in done.stderr
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2
    done = subprocess.run([*command, study], env=os.environ | {"VENV": "/nowhere"}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "VENV = /nowhere: holds no bin/evalsuite" in done.stderr


def test_without_slurm_a_signal_stops_it_and_says_how_to_go_on(project: Project) -> None:
    log = project.folder / "asked.log"
    project.models(first=f"stub:uniform?delay_s=0.02&log={log}", other="stub:first")
    command = ["bash", str(SCRIPT), str(project.study(models="[first, other]")), "--store", str(project.store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and n_lines(log) < N_BEFORE:
            time.sleep(0.01)
        process.send_signal(signal.SIGUSR1)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "stopped; everything answered so far is in the store" in said
    assert "submit it again: sbatch scripts/run_study.sbatch" in said
    with Store(project.store) as store:
        assert store.stats().n_answers >= N_BEFORE - 1


def test_under_slurm_it_ends_and_leaves_a_report(submit: dict[str, str], project: Project) -> None:
    project.models(first="stub:first", other="stub:uniform")
    job = sbatch(str(SCRIPT), str(project.study(models="[first, other]")), "--store", str(project.store))
    bad = sbatch(str(SCRIPT), "gone.yaml")
    assert wait_for(job, "COMPLETED", "FAILED")["JobState"] == "COMPLETED"
    log = (project.folder / f"evalsuite-{job}.log").read_text(encoding="utf-8")
    assert f"job {job} on" in log
    assert "HF_HUB_OFFLINE         1" in log
    assert "CUDA_VISIBLE_DEVICES   0" in log  # --gres gave it the one GPU that there is
    assert "ended with exit code 0" in log
    assert (project.folder / "reports" / "planted" / "report.html").is_file()
    assert wait_for(bad, "COMPLETED", "FAILED")["ExitCode"] == "2:0"


def test_under_slurm_it_goes_on_when_the_time_is_up(submit: dict[str, str], project: Project) -> None:
    log = project.folder / "asked.log"
    project.models(first=f"stub:uniform?delay_s=0.02&log={log}", other=f"stub:first?log={log}")
    job = sbatch(str(SCRIPT), str(project.study(models="[first, other]")), "--store", str(project.store))
    wait_for(job, "RUNNING")
    end = time.monotonic() + 60
    while n_lines(log) < N_BEFORE:
        assert time.monotonic() < end
        time.sleep(0.05)
    # what --signal=B:USR1@300 does five minutes before the end
    subprocess.run(["scancel", "--signal=USR1", "--batch", job], check=True, timeout=30)
    found = wait_for(job, "COMPLETED", "FAILED", "TIMEOUT", "CANCELLED")
    said = (project.folder / f"evalsuite-{job}.log").read_text(encoding="utf-8")
    assert found["JobState"] == "COMPLETED", said
    assert found["Restarts"] == "1"
    assert "ended with exit code 143" in said
    assert "start 2: evalsuite run" in said
    assert "ended with exit code 0" in said
    assert (project.folder / "reports" / "planted" / "report.html").is_file()
    # only the answer that was on its way may have been asked for twice
    assert N_REQUESTS <= n_lines(log) <= N_REQUESTS + 1
