"""Planted engines get exactly the scores, statuses and verdicts that theory gives."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from evalsuite.results import Result
from evalsuite.study import run_study
from tests.planted import Project, make_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return made


def ran(project: Project, name: str = "planted", **changes: str) -> Result:
    return run_study(project.study(name, **changes), store=project.store, out=project.folder / "out" / name)


def scores_of(
    result: Result, model: str, metric: str = "accuracy", strategy: str = "zero_shot", perturbation: str = "none"
) -> pd.DataFrame:
    frame = result.scores
    assert frame is not None
    wanted = (frame.model == model) & (frame.metric == metric) & (frame.strategy == strategy) & (frame.perturbation == perturbation)
    return frame[wanted].set_index("sample_id")


def comparison(result: Result, **wanted: str) -> pd.Series:
    rows = result.comparisons
    assert rows is not None
    for column, value in {"metric": "accuracy", "subset": "all", **wanted}.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def test_always_the_first_choice_and_knowing_the_key(project: Project) -> None:
    project.models(first="stub:first", knows=f"stub:key?sheet={project.sheet}")
    result = ran(project, models="[first, knows]")
    first, knows = scores_of(result, "first"), scores_of(result, "knows")
    assert set(first.status) == set(knows.status) == {"scored"}
    assert {sample: value == 1 for sample, value in first.value.items()} == {s: t == 0 for s, t in project.targets.items()}
    assert (first.answer_index == 0).all()
    assert (knows.value == 1).all()
    share = sum(target == 0 for target in project.targets.values()) / len(project.targets)
    row = comparison(result)
    assert (row.model_a, row.model_b, row.verdict, row.role) == ("knows", "first", "a_better", "primary")
    assert row.difference == pytest.approx(1 - share, abs=1e-12)
    assert (row.mean_a, row.mean_b, row.n_samples, row.n_groups) == (1.0, pytest.approx(share), 200, 40)
    assert row.ci_low <= row.difference <= row.ci_high


@pytest.mark.parametrize("form", ["letters", "cloze", "generate"])
def test_knowing_the_key_is_right_in_every_format_and_order(project: Project, form: str) -> None:
    project.models(first="stub:first", knows=f"stub:key?sheet={project.sheet}")
    strategies = f"[{{name: zero_shot, format: {form}}}]"
    result = ran(project, models="[first, knows]", strategies=strategies, perturbations="[none, {name: shuffle_choices, variants: 3}]")
    for perturbation, n in (("none", 200), ("shuffle_choices", 600)):
        rows = scores_of(result, "knows", perturbation=perturbation)
        assert len(rows) == n
        assert (rows.value == 1).all()
        # The original index comes back whatever the order in which the choices were shown.
        assert {sample: int(index) for sample, index in rows.answer_index.items()} == dict(project.targets)
    shuffled = scores_of(result, "knows", perturbation="shuffle_choices")
    assert (shuffled.answer_index != shuffled.shown_position).any() or form == "cloze"


def test_a_uniform_guesser_sits_at_chance_and_depends_on_nothing_but_the_seed(project: Project) -> None:
    project.models(one="stub:uniform?seed=1", two="stub:uniform?seed=2")
    result = ran(project, models="[one, two]", pairs="[[one, two]]")
    row = comparison(result)
    assert abs(row.mean_a - 0.25) < 0.1
    assert abs(row.mean_b - 0.25) < 0.1
    assert row.verdict in ("inconclusive", "equivalent")
    again = run_study(
        project.study(models="[two, one]", pairs="[[one, two]]"), store=project.folder / "fresh", out=project.folder / "again"
    )
    pd.testing.assert_series_equal(scores_of(result, "one").value, scores_of(again, "one").value)


def test_the_same_engine_under_two_names_is_not_different(project: Project) -> None:
    project.models(one="stub:uniform?seed=1", same="stub:uniform?seed=1")
    row = comparison(ran(project, models="[one, same]"))
    assert (row.difference, row.ci_low, row.ci_high, row.p_value) == (0, 0, 0, 1)
    assert row.verdict == "equivalent"
    # With a margin of 3 points, 40 groups of five could hide a difference even if no answer differs.
    narrow = comparison(ran(project, "narrow", models="[one, same]", analysis="{margin: 0.03, n_resamples: 1000}"))
    assert (narrow.difference, narrow.p_value, narrow.verdict) == (0, 1, "inconclusive")


def test_silence_is_counted_and_told_not_hidden_in_a_zero(project: Project) -> None:
    project.models(silent="stub:silent", first="stub:first")
    generate = "[{name: zero_shot, format: generate}]"
    result = ran(project, models="[silent, first]", strategies=generate)
    rows = scores_of(result, "silent")
    assert set(rows.status) == {"unparsed"}
    assert rows.value.isna().all()
    row = comparison(result)
    assert (row.mean_b, row.n_b_missing, row.verdict) == (0.0, 200, "a_better")
    report = (project.folder / "out" / "planted" / "report.html").read_text(encoding="utf-8")
    assert "unparsed" in report
    drop = "{missing: drop, margin: 0.2, n_resamples: 1000}"
    dropped = ran(project, "dropped", models="[silent, first]", strategies=generate, analysis=drop)
    assert comparison(dropped).verdict == "not_established"
    assert comparison(dropped).n_samples == 0


def test_chatter_is_read_leniently_and_breaks_the_contract(project: Project) -> None:
    project.models(first="stub:first", chatty=f"stub:chatty?sheet={project.sheet}")
    result = ran(project, models="[first, chatty]", strategies="[{name: zero_shot, format: generate}]")
    lenient, strict = scores_of(result, "chatty"), scores_of(result, "chatty", "accuracy_strict")
    assert (lenient.value == 1).all()
    assert set(strict.status) == {"unparsed"}
    assert comparison(result, metric="accuracy").verdict == "a_better"
    assert comparison(result, metric="accuracy_strict").mean_a == 0


def test_failures_forbid_a_verdict_until_they_are_repaired(project: Project) -> None:
    log = project.folder / "asked.log"
    project.models(first="stub:first", fails=f"stub:fails?every=10&recovers=true&log={log}")
    result = ran(project, models="[first, fails]")
    rows = scores_of(result, "fails")
    n_failed = int((rows.status == "failed").sum())
    assert 5 <= n_failed <= 40
    assert result.n_failed == n_failed
    assert rows.value[rows.status == "failed"].isna().all()
    row = comparison(result)
    assert (row.verdict, row.n_failed) == ("not_established", n_failed)
    assert pd.isna(row.difference)
    n_asked = len(log.read_text().splitlines())
    repaired = ran(project, models="[first, fails]")
    assert len(log.read_text().splitlines()) == n_asked + n_failed
    assert repaired.n_failed == 0
    assert comparison(repaired).verdict == "equivalent"


def test_a_permanent_failure_can_be_excluded_by_name_for_all_models(project: Project) -> None:
    project.models(first="stub:first", fails="stub:fails?every=40&transient=false")
    result = ran(project, models="[first, fails]")
    failed = sorted(scores_of(result, "fails").query("status == 'failed'").index)
    assert failed
    again = ran(project, models="[first, fails]")
    assert again.runs[1].n_asked == 0
    exclude = json.dumps([{"task": "planted", "sample_id": sample, "reason": "the engine fails on it"} for sample in failed])
    without = ran(project, "without", models="[first, fails]", exclude=exclude)
    row = comparison(without)
    assert row.verdict == "equivalent"
    assert row.n_samples == 200 - len(failed)


def test_prompts_over_the_context_are_too_long_and_never_cropped(project: Project) -> None:
    project.models(first="stub:first", short="stub:first?n_context_tokens=20")
    rows = scores_of(ran(project, models="[first, short]"), "short")
    assert set(rows.status) == {"too_long"}
    assert rows.value.isna().all()


def test_macro_f1_is_a_function_of_the_whole_cell(project: Project) -> None:
    project.models(first="stub:first", knows=f"stub:key?sheet={project.sheet}")
    result = ran(project, models="[first, knows]", tasks="[{name: planted, metric: macro_f1}]")
    row = comparison(result, metric="macro_f1")
    n_first = sum(target == 0 for target in project.targets.values())
    precision, recall = n_first / 200, 1.0
    assert row.mean_a == pytest.approx(1.0)
    assert row.mean_b == pytest.approx(2 * precision * recall / (precision + recall) / 4)
    assert row.verdict == "a_better"


def test_a_refusing_perturbation_leaves_the_pair_on_both_sides(project: Project) -> None:
    rows = [json.loads(line) for line in (project.folder / "tasks/planted/planted.jsonl").read_text().splitlines()]
    for row in rows[:30]:
        row["options"][1] = "All of the above"
        row["answer"] = 0
    (project.folder / "tasks/planted/planted.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    project.models(first="stub:first", other="stub:uniform?seed=3")
    result = ran(project, models="[first, other]", perturbations="[none, shuffle_choices]")
    for model in ("first", "other"):
        assert (scores_of(result, model, perturbation="shuffle_choices").status == "refused").sum() == 30
    assert comparison(result, perturbation="shuffle_choices").n_samples == 170
    assert comparison(result, perturbation="none").n_samples == 200
