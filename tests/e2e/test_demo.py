"""The demo study on the real pocket checkpoints: what the exposure ledger implies holds, and the numbers stand up to recomputation."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock
from scipy import stats

from evalsuite.plan import Selection
from evalsuite.rescoring import report_study
from evalsuite.results import Result
from evalsuite.study import run_study

POCKET = Path("evalsuite/pocket")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(repository: Path, place: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The demo study, asked once for all workers: whoever comes second finds every answer in the store."""
    base = tmp_path_factory.getbasetemp()
    together = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with FileLock(together / "demo.lock"):
        # A shard of one part is the whole study and stops short of a report, which is made below.
        run_study(repository / "studies/demo.yaml", store=together / "demo-store", selection=Selection(shard=(1, 1)))
    shutil.copytree(together / "demo-store", place / "store")
    return run_study(repository / "studies/demo.yaml", store=place / "store", out=place / "out")


@pytest.fixture(scope="module")
def primary(demo: Result) -> pd.DataFrame:
    assert demo.comparisons is not None
    return demo.comparisons[demo.comparisons.role == "primary"].set_index(["model_a", "model_b", "task"])


def expectations(repository: Path) -> list[dict[str, object]]:
    return json.loads((repository / POCKET / "expectations.json").read_text(encoding="utf-8"))


def by_sample(demo: Result, model: str, task: str) -> pd.DataFrame:
    assert demo.scores is not None
    rows = demo.scores.query(
        "model == @model and task == @task and strategy == 'zero_shot' and perturbation == 'none' and metric == 'accuracy'"
    )
    return rows.set_index("sample_id")


@pytest.mark.xdist_group("demo")
def test_every_answer_is_scored_or_its_status_says_why(demo: Result) -> None:
    assert demo.n_failed == 0
    assert demo.scores is not None
    letters = demo.scores[demo.scores.task != "pocket_format_en"]
    shares = letters.groupby("strategy").status.value_counts(normalize=True)
    for strategy in ("zero_shot", "three_shot", "cloze"):
        assert shares[strategy, "scored"] == 1
    assert set(demo.scores.status) <= {"scored", "unparsed", "truncated"}
    assert demo.scores.value.notna().equals(demo.scores.status == "scored")


@pytest.mark.xdist_group("demo")
def test_the_directions_that_the_ledger_implies_hold(repository: Path, demo: Result, primary: pd.DataFrame) -> None:
    checked = 0
    for expected in expectations(repository):
        if "pair" not in expected:
            continue
        a, b = expected["pair"]  # type: ignore[misc]
        if (a, b, expected["task"]) not in primary.index:
            continue
        row = primary.loc[(a, b, expected["task"])]
        checked += 1
        if expected["direction"] == "a_better":
            assert row.verdict == "a_better", expected
        else:
            assert row.verdict != "a_better", expected
    assert checked >= 4


@pytest.mark.xdist_group("demo")
def test_facts_that_nobody_saw_sit_at_chance_and_taught_ones_above(repository: Path, demo: Result) -> None:
    stated = [expected for expected in expectations(repository) if "checkpoint" in expected]
    at_chance = [expected for expected in stated if expected["accuracy"] == "chance"]
    assert len(at_chance) >= 4
    for expected in stated:
        rows = by_sample(demo, str(expected["checkpoint"]), str(expected["task"]))
        means = rows.groupby("group").value.mean()
        test = stats.ttest_1samp(means, 0.25)
        if expected["accuracy"] == "chance":
            # four checkpoints are looked at: Bonferroni at 1 %
            assert test.pvalue > 0.01 / len(at_chance), (expected, means.mean())
        else:
            assert test.statistic > 0, (expected, means.mean())
            assert test.pvalue < 0.001, (expected, means.mean())


@pytest.mark.xdist_group("demo")
def test_the_same_checkpoint_twice_is_not_different(primary: pd.DataFrame) -> None:
    twins = primary.loc[("pocket-generalist-twin", "pocket-generalist")]
    assert (twins.difference == 0).all()
    assert twins.verdict.isin(["equivalent", "inconclusive"]).all()
    assert (twins.p_value == 1).all()


@pytest.mark.xdist_group("demo")
def test_the_evaluation_is_large_enough_and_grouped_by_fact(demo: Result) -> None:
    assert demo.scores is not None
    samples = demo.scores[["task", "sample_id", "group"]].drop_duplicates()
    assert len(samples) >= 1000
    english, spanish = (set(samples[samples.task == f"pocket_clinical_{language}"].group) for language in ("en", "es"))
    assert english == spanish


@pytest.mark.xdist_group("demo")
def test_comparisons_are_recomputed_by_an_independent_script(repository: Path, demo: Result) -> None:
    command = [sys.executable, str(repository / "scripts/recompute_comparisons.py"), str(demo.out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.xdist_group("demo")
def test_a_second_run_loads_no_model_and_asks_nothing(repository: Path, place: Path, demo: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("an engine was opened")

    monkeypatch.setattr("evalsuite.runner.open_engine", refuse)
    again = run_study(repository / "studies/demo.yaml", store=place / "store", out=place / "again")
    assert sum(run.n_asked for run in again.runs) == 0
    for name in ("scores.parquet", "comparisons.csv", "report.html", "report.md"):
        assert (place / "again" / name).read_bytes() == (place / "out" / name).read_bytes()


@pytest.mark.xdist_group("demo")
def test_a_report_from_files_is_the_same_report(place: Path, demo: Result) -> None:
    before = (place / "out/report.html").read_bytes()
    assert report_study(place / "out", store=place / "store").n_failed == 0
    assert (place / "out/report.html").read_bytes() == before


@pytest.mark.xdist_group("demo")
def test_the_report_says_what_these_models_are_and_holds_no_path_of_this_machine(place: Path, demo: Result, repository: Path) -> None:
    text = (place / "out/report.html").read_text(encoding="utf-8")
    assert "not a medical model" in text
    assert str(repository) not in text
    assert str(place) not in text
    assert "&lt;|user|&gt;" in text  # one prompt as sent, escaped
