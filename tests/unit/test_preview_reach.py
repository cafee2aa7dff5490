"""What `plan` promises is what the analysis can give: of the samples that are shown, and of tasks that are run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evalsuite.plan import Refused, Selection
from evalsuite.preview import preview, preview_lines, reach_of
from evalsuite.resolve import resolve
from evalsuite.stats.power import attainable, needed
from tests.planted import Project, make_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    made.models(first="stub:first", knows=f"stub:key?sheet={made.sheet}")
    return made


def test_samples_that_the_primary_perturbation_refuses_are_not_counted(project: Project) -> None:
    plan = resolve(project.study(models="[first, knows]"))
    (reach,) = reach_of(plan)
    assert (reach.n_samples, reach.n_groups, reach.n_refused) == (200, 40, 0)
    shown = plan.variants["planted", "none"]
    refused = tuple(Refused(sample=sample, reason="too short") for sample in shown[:50])
    (fewer,) = reach_of(replace(plan, variants={("planted", "none"): (*refused, *shown[50:])}))
    assert (fewer.n_samples, fewer.n_groups, fewer.n_refused) == (150, 30, 50)
    assert fewer.now == attainable(150, 30, alpha=0.05, margin=0.2)
    assert fewer.for_margin == needed(0.2, 5, alpha=0.05)
    (none,) = reach_of(replace(plan, variants={("planted", "none"): tuple(Refused(sample=sample, reason="-") for sample in shown)}))
    assert (none.n_samples, none.now) == (0, None)


@pytest.mark.parametrize(("metric", "said"), [("accuracy", False), ("macro_f1", True)])
def test_a_metric_of_a_set_is_said_to_be_taken_as_a_share(project: Project, metric: str, said: bool) -> None:
    file = project.study(models="[first, knows]", tasks=f"[{{name: planted, metric: {metric}}}]")
    text = "\n".join(preview_lines(preview(file, Selection(), project.store)))
    assert ("planted: taken as a share of right answers" in text) is said


@pytest.mark.parametrize(
    ("tasks", "pooled"),
    [
        (("pocket_clinical_en", "pocket_clinical_es"), "all 2 tasks, pooled"),
        (("pocket_clinical_en", "pocket_general_en"), None),
    ],
)
def test_a_run_without_a_pooled_task_promises_no_pooled_difference(repository: Path, tasks: tuple[str, ...], pooled: str | None) -> None:
    plan = resolve(repository / "studies/demo.yaml", Selection(tasks=tasks, limit=10))
    assert [reach.name for reach in reach_of(plan)] == [*tasks, *([pooled] if pooled else [])]


def test_a_narrowed_run_of_a_study_that_pools_all_tasks_promises_no_pooled_difference(repository: Path) -> None:
    plan = resolve(repository / "studies/demo.yaml", Selection(tasks=("pocket_clinical_en", "pocket_clinical_es"), limit=10))
    study = plan.study.model_copy(update={"analysis": plan.study.analysis.model_copy(update={"pooled_tasks": None})})
    assert [reach.name for reach in reach_of(replace(plan, study=study))] == ["pocket_clinical_en", "pocket_clinical_es"]
