"""timings.json of an out directory: filled by runs that ask, kept by runs that do not, begun anew by another plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evalsuite.plan import Selection
from evalsuite.results import Result
from evalsuite.study import run_study
from tests.planted import Project, make_project

STRATEGIES = "[zero_shot, {id: again, name: zero_shot, format: letters}, {id: cloze, name: zero_shot, format: cloze}]"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = make_project(tmp_path)
    made.models(first="stub:first")
    monkeypatch.chdir(tmp_path)
    return made


def ran(project: Project, selection: Selection | None = None) -> Result:
    study = project.study(models="[first]", strategies=STRATEGIES, analysis="{n_resamples: 1000, primary: {strategy: zero_shot}}")
    return run_study(study, selection, store=project.store, out=project.folder / "out")


def timings(project: Project) -> dict[tuple[str, str], dict[str, Any]]:
    rows = json.loads((project.folder / "out" / "timings.json").read_text())
    assert all(row["model"] == "first" and row["task"] == "planted" and row["engine_s"] > 0 for row in rows)
    return {(row["strategy"], row["stage"]): row for row in rows}


def test_runs_add_up_and_a_request_of_two_strategies_counts_in_both(project: Project) -> None:
    ran(project, Selection(shard=(1, 2)))
    assert not (project.folder / "out").exists()
    (run,) = ran(project).runs
    rest = timings(project)
    n_rest = rest["cloze", "answer"]["n_asked"]
    assert 0 < n_rest < 200
    # zero_shot and again are the same requests under two names.
    assert run.n_asked == 2 * n_rest
    assert {name: row["n_asked"] for name, row in rest.items()} == {
        ("again", "answer"): n_rest,
        ("cloze", "answer"): n_rest,
        ("zero_shot", "answer"): n_rest,
    }
    asked_alone = rest["cloze", "answer"]["engine_s"] + rest["zero_shot", "answer"]["engine_s"]
    assert asked_alone <= run.engine_s + 1e-5  # rounded
    assert rest["again", "answer"]["engine_s"] == rest["zero_shot", "answer"]["engine_s"]
    # Nothing is asked any more: what is known stays as it is.
    ran(project)
    assert timings(project) == rest
    # Another plan.
    ran(project, Selection(limit=20))
    assert timings(project) == {}
