"""kill -9 at any point loses nothing but what was in flight, and leaves no trace in the results."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from evalsuite.store import Store
from evalsuite.study import run_study
from tests.planted import Project, files_of, make_project

N_KILLS = 20
N_REQUESTS = 2 * 200 * 2
"""Two models, 200 samples, two perturbations."""

# The parent decides when to kill by how far the log of asked requests has grown, so no point depends on this machine's speed.
RUN = "import sys; from evalsuite.study import run_study; run_study(sys.argv[1], store=sys.argv[2], out=sys.argv[3])"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return made


def n_lines(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


def asked_in(logs: list[Path]) -> Counter[str]:
    """How often each model was asked each request."""
    return Counter(f"{log.stem} {line}" for log in logs for line in log.read_text().splitlines())


def test_killed_at_twenty_points_and_resumed_gives_the_same_bytes(project: Project) -> None:
    logs = [project.folder / f"{name}.log" for name in ("first", "other")]
    project.models(first=f"stub:uniform?seed=1&delay_s=0.0015&log={logs[0]}", other=f"stub:uniform?seed=2&delay_s=0.0015&log={logs[1]}")
    study = project.study(models="[first, other]", perturbations="[none, shuffle_choices]")
    undisturbed = run_study(study, store=project.folder / "undisturbed", out=project.folder / "calm")
    assert undisturbed.n_failed == 0
    calm = asked_in(logs)
    assert set(calm.values()) == {1}
    assert len(calm) == N_REQUESTS
    for log in logs:
        log.unlink()

    points = np.sort(np.random.default_rng(7).choice(np.arange(1, N_REQUESTS), size=N_KILLS, replace=False))
    n_killed = 0
    for point in points:
        command = [sys.executable, "-c", RUN, str(study), str(project.store), str(project.folder / "out")]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=project.folder) as process:
            while process.poll() is None and sum(map(n_lines, logs)) < point:
                time.sleep(0.0005)
            process.send_signal(signal.SIGKILL)
            process.wait()
        n_killed += process.returncode == -signal.SIGKILL
    assert n_killed == N_KILLS

    run_study(study, store=project.store, out=project.folder / "out")
    asked = asked_in(logs)
    assert asked.keys() == calm.keys()
    # Each kill can lose the one answer that was on its way from the engine to the journal, nothing more.
    assert sum(asked.values()) - N_REQUESTS <= N_KILLS
    assert max(asked.values()) <= 3
    assert files_of(project.folder / "out") == files_of(project.folder / "calm")
    with Store(project.store) as store:
        assert store.stats().n_answers == N_REQUESTS
        assert store.stats().damaged == ()


def test_a_finished_study_asks_nothing_and_opens_no_engine(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.models(first="stub:first", other="stub:uniform?seed=2")
    study = project.study(models="[first, other]")
    first = run_study(study, store=project.store, out=project.folder / "one")

    def refuse(*_: object) -> None:
        raise AssertionError("an engine was opened")

    monkeypatch.setattr("evalsuite.runner.open_engine", refuse)
    second = run_study(study, store=project.store, out=project.folder / "two")
    assert [run.n_asked for run in first.runs] == [200, 200]
    assert [run.n_asked for run in second.runs] == [0, 0]
    assert [run.n_known for run in second.runs] == [200, 200]
    assert files_of(project.folder / "one") == files_of(project.folder / "two")


def test_two_studies_that_share_requests_ask_them_once(project: Project) -> None:
    log = project.folder / "asked.log"
    project.models(first=f"stub:first?log={log}", other=f"stub:uniform?seed=2&log={log}")
    run_study(project.study("one", models="[first, other]"), store=project.store, out=project.folder / "one")
    assert n_lines(log) == 400
    strategies = "[zero_shot, {id: again, name: zero_shot, format: letters}]"
    second = run_study(
        project.study("two", models="[other, first]", strategies=strategies, perturbations="[none, shuffle_choices]"),
        store=project.store,
        out=project.folder / "two",
    )
    assert n_lines(log) == 800  # only the shuffled ones are new, and the second strategy sends what the first one does
    assert sum(run.n_known for run in second.runs) == 400


def test_two_processes_run_one_study_on_one_store(project: Project) -> None:
    log = project.folder / "asked.log"
    project.models(first=f"stub:uniform?seed=1&delay_s=0.001&log={log}", other=f"stub:uniform?seed=2&delay_s=0.001&log={log}")
    study = project.study(models="[first, other]")
    command = [sys.executable, "-c", RUN, str(study), str(project.store)]
    runs = [subprocess.Popen([*command, str(project.folder / name)], cwd=project.folder) for name in ("one", "two")]
    assert [process.wait() for process in runs] == [0, 0]
    assert files_of(project.folder / "one") == files_of(project.folder / "two")
    with Store(project.store) as store:
        stats = store.stats()
    assert (stats.n_answers, stats.n_conflicts, stats.damaged) == (400, 0, ())


def test_shards_fill_the_store_and_the_whole_asks_nothing_more(project: Project) -> None:
    from evalsuite.plan import Selection

    log = project.folder / "asked.log"
    project.models(first=f"stub:first?log={log}", other=f"stub:uniform?log={log}")
    study = project.study(models="[first, other]")
    for number in (1, 2, 3):
        result = run_study(study, Selection(shard=(number, 3)), store=project.store, out=project.folder / "out")
        assert result.scores is None
    assert not (project.folder / "out").exists()
    assert n_lines(log) == 400
    whole = run_study(study, store=project.store, out=project.folder / "out")
    assert sum(run.n_asked for run in whole.runs) == 0
    assert len(whole.scores) == 2 * 200 * 3
