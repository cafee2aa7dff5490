"""A study with a secondary family, from its file to the report: faults, the plan, verdicts behind the gate, and the words for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from evalsuite.errors import UserError
from evalsuite.plan import Selection
from evalsuite.preview import preview, preview_lines
from evalsuite.resolve import resolve
from evalsuite.study import run_study
from tests.planted import Project, make_project

PERTURBATIONS = "[none, {name: shuffle_choices, variants: 3}]"
STRATEGIES = "[zero_shot, {id: cloze, name: zero_shot, format: cloze}]"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    made.models(first="stub:first", knows=f"stub:key?sheet={made.sheet}", again="stub:first")
    return made


def study(project: Project, secondary: str, **changes: str) -> Path:
    analysis = f"{{margin: 0.2, n_resamples: 1000, correction: benjamini_hochberg, secondary: {secondary}}}"
    content = {"models": "[first, knows]", "strategies": STRATEGIES, "perturbations": PERTURBATIONS, "analysis": analysis}
    return project.study("gated", **{**content, **changes})


@pytest.mark.parametrize(
    ("secondary", "key", "value", "allowed"),
    [
        ("{strategies: [clozes]}", "analysis.secondary.strategies", "clozes", "not in this study"),
        ("{perturbations: [typos]}", "analysis.secondary.perturbations", "typos", "not in this study"),
        ("{strategies: [zero_shot]}", "analysis.secondary.strategies", "zero_shot", "primary cell itself"),
        ("{strategies: [cloze], perturbations: [none]}", "analysis.secondary.perturbations", "none", "primary cell itself"),
        ("{strategies: [cloze, cloze]}", "analysis.secondary.strategies", "cloze", "each name once"),
        ("{}", "analysis.secondary", "", "at least one"),
    ],
)
def test_cells_that_the_study_does_not_have_are_refused(project: Project, secondary: str, key: str, value: str, allowed: str) -> None:
    with pytest.raises(UserError) as raised:
        resolve(study(project, secondary))
    (fault,) = raised.value.faults
    assert (fault.key, fault.value) == (key, value)
    assert allowed in fault.allowed
    assert fault.file.endswith("gated.yaml")


def test_the_plan_counts_both_families_and_states_the_cells(project: Project) -> None:
    file = study(project, "{strategies: [cloze], perturbations: [shuffle_choices]}")
    plan = resolve(file)
    assert (plan.n_family, plan.n_secondary) == (1, 2)
    assert plan.statement["secondary"] == {
        "strategies": [{"id": "cloze", "name": "zero_shot", "format": "cloze"}],
        "perturbations": [{"id": "shuffle_choices", "name": "shuffle_choices", "variants": 3}],
    }
    text = "\n".join(preview_lines(preview(file, Selection(), project.store)))
    assert "1 comparisons in the primary family and 2 in the secondary one" in text
    assert "power 80%" in text
    assert "disagree on 20%" in text


@pytest.mark.parametrize(("b", "opened"), [("first", True), ("again", False)])
def test_a_secondary_family_from_file_to_report(project: Project, repository: Path, b: str, opened: bool) -> None:
    pairs = {"first": "[[knows, first]]", "again": "[[again, first]]"}[b]
    file = study(project, "{strategies: [cloze], perturbations: [shuffle_choices]}", models="[first, knows, again]", pairs=pairs)
    out = project.folder / "out"
    run_study(file, store=project.store, out=out)
    rows = pd.read_csv(out / "comparisons.csv", keep_default_na=False, na_values=[""])
    stated = rows[rows["role"] != "exploratory"]
    assert stated[["strategy", "perturbation", "role"]].to_numpy().tolist() == [
        ["zero_shot", "none", "primary"],
        ["cloze", "none", "secondary"],
        ["zero_shot", "shuffle_choices", "secondary"],
    ]
    # A model and itself are equivalent: no primary difference is significant, so that nothing is claimed of the same answers elsewhere.
    assert stated["verdict"].tolist() == (["a_better"] * 3 if opened else ["equivalent", "inconclusive", "inconclusive"])
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "Benjamini-Hochberg" in text
    assert "Holm" not in text
    assert "Secondary comparisons" in text
    assert ("so that the verdicts here count" in text) == opened
    assert ("so that nothing is claimed here" in text) != opened
    script = [sys.executable, str(repository / "scripts" / "recompute_comparisons.py"), str(out)]
    confirmed = subprocess.run(script, capture_output=True, text=True, check=False)
    assert confirmed.returncode == 0, confirmed.stdout + confirmed.stderr
