"""Re-scoring: what was edited takes effect without a model, old and new are printed, and nothing edited later passes for pre-stated."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result

from evalsuite.cli import main
from tests.planted import Project, make_pair


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return make_pair(tmp_path)


def called(*words: str) -> Result:
    done = CliRunner().invoke(main, [*words, "--store", "store"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def edit(**analysis: object) -> None:
    file = Path("out/study.yaml")
    study = yaml.safe_load(file.read_text(encoding="utf-8"))
    study["analysis"].update(analysis)
    file.write_text(yaml.safe_dump(study), encoding="utf-8")


def test_run_ends_with_the_verdicts(project: Project) -> None:
    shown = called("run", "planted.yaml", "--out", "out").stdout
    lines = [line.split() for line in shown.splitlines() if line.strip()]
    n_first = sum(target == 0 for target in project.targets.values())
    first = f"{n_first / 2:.1f}"
    row = next(line for line in lines if line[0] == "planted")
    assert row[:3] == ["planted", "100.0", first]
    assert row[-1] == "better"
    assert lines[-1] == ["out/report.html"]


def test_json_holds_the_numbers_unrounded_and_nothing_else_is_printed(project: Project) -> None:
    content = json.loads(called("run", "planted.yaml", "--out", "out", "--json").stdout)
    row = next(row for row in content["comparisons"] if row["role"] == "primary")
    n_first = sum(target == 0 for target in project.targets.values())
    assert row["difference"] == pytest.approx(1 - n_first / 200, abs=1e-12)
    assert (row["verdict"], row["n_samples"], row["p_mcnemar"]) == ("a_better", 200, None)
    assert content["counts_by_status"] == {"scored": 400}
    assert (content["n_failed"], content["rescored"]) == (0, None)
    assert content["requests"]["first"]["asked"] == 200


def test_nothing_edited_changes_nothing(project: Project) -> None:
    called("run", "planted.yaml", "--out", "out")
    before = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file() and path.name != "manifest.json"}
    shown = called("report", "out").stdout
    assert "Before" not in shown
    assert "another way" not in shown
    assert {path: path.read_bytes() for path in before} == before


def test_a_changed_metric_and_margin_are_printed_old_and_new_and_become_exploratory(project: Project) -> None:
    called("run", "planted.yaml", "--out", "out")
    file = Path("out/study.yaml")
    study = yaml.safe_load(file.read_text(encoding="utf-8"))
    study["tasks"][0]["metric"] = "accuracy_strict"
    study["analysis"]["margin"] = 0.1
    file.write_text(yaml.safe_dump(study), encoding="utf-8")
    content = json.loads(called("report", "out", "--json").stdout)
    changed = {row["what"]: (row["before"], row["now"]) for row in content["rescored"]}
    assert changed["metric"] == ("accuracy", "accuracy_strict")
    assert changed["margin"] == ("20.0", "10.0")
    assert changed["verdict"] == ("better", "worse")
    assert changed["role"] == ("primary", "exploratory")
    assert changed["first"] == ("100.0", "0.0")
    assert {change["key"] for change in content["analysis_changes"]} == {"margin", "metrics"}
    assert all(row["role"] == "exploratory" for row in content["comparisons"])
    assert "exploratory" in Path("out/model_card.md").read_text(encoding="utf-8")
    assert "Before" not in called("report", "out").stdout  # nothing changed since the last time


def test_answers_that_are_read_in_another_way_are_counted(project: Project) -> None:
    called("run", "planted.yaml", "--out", "out")
    scores = pd.read_parquet("out/scores.parquet")
    chosen = scores.index[(scores.model == "chatty") & (scores.metric == "accuracy")][:7]
    scores.loc[chosen, "value"] = 0.0  # as an older rule of reading would have had it
    scores.to_parquet("out/scores.parquet")
    shown = called("report", "out").stdout
    assert "chatty on planted, accuracy: 7 of 200 answers are read in another way than before" in shown


def test_the_model_card_states_what_its_reader_must_know(project: Project) -> None:
    card = Path("out/model_card.md")
    called("run", "planted.yaml", "--out", "out")
    text = card.read_text(encoding="utf-8")
    assert "| planted | 100.0 |" in text
    assert "greedy" in text
    assert "p (Holm)" in text
    assert "revision by contents" in text
    assert str(project.folder) not in text
