"""A study of more requests than a wave takes: the same bytes as from one wave, nothing asked twice, nothing lost by Ctrl-C."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from evalsuite import programs
from evalsuite.engines import stub
from evalsuite.runner import ModelRun
from evalsuite.study import load_scores, run_study
from evalsuite.waves import drive
from tests.planted import Project, files_of, make_project

CHANGES = {
    "strategies": "[{id: letters, name: zero_shot}, {id: cot, name: cot, shots: 0}]",
    "perturbations": "[none, cyclic_shift, {name: gold_at, slot: 0}]",
    "tasks": "[{name: planted, limit: 15}]",
    "models": "[first, other]",
}
ROWS = ("scores.parquet", "plan.parquet")
"""Files whose rows stand in the order in which they were finished."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return made


def models(project: Project, tmp_path: Path) -> list[Path]:
    logs = [tmp_path / f"{name}.log" for name in ("first", "other")]
    project.models(first=f"stub:uniform?seed=1&log={logs[0]}", other=f"stub:uniform?seed=2&log={logs[1]}")
    return logs


def asked_in(log: Path) -> Counter[str]:
    return Counter(log.read_text(encoding="utf-8").split())


@pytest.mark.parametrize("interpreted", [True, False])
def test_many_waves_of_two_cohorts_give_the_bytes_of_one_wave(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreted: bool
) -> None:
    # The stub answers in the interpreter; as other engines it is asked while another thread goes on with programs.
    monkeypatch.setattr(stub, "INTERPRETED", interpreted)
    logs = models(project, tmp_path)
    file = project.study("planted", **CHANGES)
    whole = run_study(file, store=tmp_path / "calm-store", out=tmp_path / "calm")
    calm = [asked_in(log) for log in logs]
    for log in logs:
        log.unlink()
    monkeypatch.setattr(programs, "drive", partial(drive, n_alive=8))
    parts = run_study(file, store=project.store, out=tmp_path / "out")
    # Renditions of one sample that are alike fall into different cohorts, and are asked once for all.
    assert [asked_in(log) for log in logs] == calm
    assert {count for log in calm for count in log.values()} == {1}
    assert sum(run.n_known for run in parts.runs) > sum(run.n_known for run in whole.runs) == 0
    assert files_of(tmp_path / "out", *ROWS) == files_of(tmp_path / "calm", *ROWS)
    names = ["model", "strategy", "perturbation", "sample_id", "variant", "metric"]
    frames = [load_scores(tmp_path / name).sort_values(names).reset_index(drop=True) for name in ("calm", "out")]
    assert len(frames[0]) > 15
    assert frames[0].astype(str).equals(frames[1].astype(str))


@pytest.mark.parametrize("interpreted", [True, False])
def test_an_interrupt_between_two_answers_loses_neither(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreted: bool
) -> None:
    monkeypatch.setattr(stub, "INTERPRETED", interpreted)
    logs = models(project, tmp_path)
    file = project.study("planted", **CHANGES)
    monkeypatch.setattr(programs, "drive", partial(drive, n_alive=8))

    def stop(n_asked: int, run: ModelRun) -> None:
        if run.n_asked >= n_asked:
            raise KeyboardInterrupt

    for n_asked in (5, 20):
        with pytest.raises(KeyboardInterrupt):
            run_study(file, store=project.store, out=tmp_path / "out", watch=partial(stop, n_asked))
    run_study(file, store=project.store, out=tmp_path / "out")
    assert {count for log in logs for count in asked_in(log).values()} == {1}
