"""The first screen: one sentence per pair over all tasks, what could not enter, one figure."""

from __future__ import annotations

import dataclasses
from typing import Any

import pandas as pd
import pytest

from evalsuite.report import answers, build
from evalsuite.report.blocks import Answer, Figure, Report, slug
from evalsuite.report.findings import Findings
from evalsuite.report.forests import stems
from evalsuite.report.markdown import render_markdown
from evalsuite.report.plots.differences import ForestPlot, GridPlot
from evalsuite.stats.analyses import Analyses
from tests.unit.report_analyses import LABELS, analyses, pooled, pooled_row
from tests.unit.report_findings import CLINICAL, GENERALIST, TASKS, comparison_row, comparisons, estimates, findings, study

THIRD = "a-third"


def with_pooled(frame: pd.DataFrame, **changes: Any) -> Findings:
    return findings(analyses=analyses(pooled=frame), labels=LABELS, **changes)


def first(found: Findings) -> Answer:
    return answers(found)[0]


def figures(report: Report) -> list[Figure]:
    return [block for block in report.sections[0].blocks if isinstance(block, Figure)]


def two_pairs(**changes: Any) -> Findings:
    """A second pair that is worse over all tasks."""
    other = {"model_a": THIRD, "model_b": GENERALIST}
    rows = [pooled_row(), pooled_row(**other, difference=-0.04, ci_low=-0.06, ci_high=-0.02, verdict="b_better")]
    return with_pooled(
        pd.DataFrame(rows),
        comparisons=pd.concat([comparisons(), comparisons().assign(**other)]),
        study=study(models=[CLINICAL, GENERALIST, THIRD], pairs=[[CLINICAL, GENERALIST], [THIRD, GENERALIST]]),
        **changes,
    )


def test_the_sentence_names_what_the_mean_is_taken_over() -> None:
    answer = first(with_pooled(pooled()))
    assert answer.sentence == (
        "Over the 1,834 distinct questions of 4 tasks, pocket-clinical answers 7.2 points more questions right than pocket-generalist "
        "(95% interval 5.1 to 9.3; p = 0.0002)."
    )
    assert answer.tally == (
        "By task: better on 1 of 5 tasks, worse on 1, the same within the margin of ±3.0 points on 1, cannot tell on 1, "
        "not established on 1"
    )
    assert answer.details == ("Not in this mean: restricted_notes (macro_f1 is not right or wrong per sample).",)


def test_the_sentences_of_single_tasks_stay_reachable() -> None:
    answer = first(with_pooled(pooled()))
    assert answer.folded
    assert [found.verdict for found in answer.findings] == ["a_better", "b_better", "equivalent", "inconclusive", "not_established"]
    assert answer.findings == first(findings()).findings


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"verdict": "equivalent", "difference": 0.004, "equivalence_low": -0.01, "equivalence_high": 0.018,
          "p_equivalence_adjusted": 0.01},
         ("questions of 4 tasks, pocket-clinical and pocket-generalist are the same within the margin of ±3.0 points (difference +0.4; "
          "90% interval −1.0 to 1.8; p = 0.0100 for equivalence).")),
        ({"verdict": "inconclusive", "difference": 0.01}, "questions of 4 tasks, this study cannot tell: neither"),
        ({"verdict": "b_better", "difference": -0.04, "ci_low": -0.06, "ci_high": -0.02}, "answers 4.0 points fewer questions right than"),
        ({"verdict": "not_established", "status_note": "9 groups, 10 are needed"},
         "Over 4 tasks, no verdict on pocket-clinical against pocket-generalist is established: 9 groups, 10 are needed."),
        ({"within_margin": True, "difference": 0.01}, "; the difference is real but smaller than the margin of ±3.0 points."),
        ({"n_tasks": 1, "tasks": "pubmedqa", "n_questions": 500.0}, "Over the 500 distinct questions of pubmedqa, pocket-clinical answers"),
    ],
)  # fmt: skip
def test_each_pooled_verdict_has_its_own_wording(changes: dict[str, Any], said: str) -> None:
    assert said in first(with_pooled(pd.DataFrame([pooled_row(**changes)]))).sentence


def test_tasks_that_count_the_same_are_said_to() -> None:
    found = with_pooled(pooled(), study=study(analysis={"pooling": "tasks"}))
    assert first(found).sentence.startswith("With each of 4 tasks counting the same, pocket-clinical answers 7.2 points more")


def test_a_changed_analysis_makes_the_pooled_answer_exploratory() -> None:
    row = pooled_row(role="exploratory", p_adjusted=None, p_equivalence_adjusted=None)
    said = first(with_pooled(pd.DataFrame([row]), comparisons=comparisons().assign(role="exploratory", p_adjusted=None))).sentence
    assert said.startswith("Exploratory: Over the 1,834 distinct questions")
    assert "p < 0.0001, not corrected" in said


def test_the_correction_runs_over_the_pairs() -> None:
    assert [answer.sentence.partition("p = 0.0002")[2] for answer in answers(two_pairs())] == [" after Holm over 2 pairs)."] * 2


@pytest.mark.parametrize(("strict", "said"), [(TASKS, "right in exactly the asked form than"), (TASKS[:1], "questions right than")])
def test_strict_readings_are_named_only_where_all_tasks_have_them(strict: tuple[str, ...], said: str) -> None:
    entries: Any = [{"name": name, "metric": "accuracy_strict"} if name in strict else name for name in TASKS]
    assert said in first(with_pooled(pooled(), study=study(tasks=entries, exclude=[]))).sentence


def test_one_task_speaks_for_itself() -> None:
    alone = first(findings(tasks=TASKS[:1], analyses=analyses(), labels=LABELS))
    assert alone.sentence.startswith("On pocket_clinical_en, ")
    assert (alone.findings, alone.tally, alone.details) == ((), "", ())


def test_a_mean_that_is_not_the_stated_one_is_not_given() -> None:
    note = "without medmcqa (not run) it is not the mean that was stated"
    numbers: dict[str, Any] = dict.fromkeys(("difference", "ci_low", "ci_high", "mean_a", "mean_b", "p_value", "p_adjusted", "n_questions"))
    found = with_pooled(pd.DataFrame([pooled_row(**numbers, verdict="not_established", status_note=note)]))
    answer = first(found)
    assert answer.sentence == first(findings()).sentence
    assert answer.details == (f"No mean over all tasks is given: {note}.",)
    (figure,) = figures(build(found))
    assert "over all tasks" not in figure.caption


def test_several_pairs_stand_in_one_figure() -> None:
    (figure,) = figures(build(two_pairs()))
    plot = figure.plot
    assert isinstance(plot, ForestPlot)
    assert [(row.label, row.second, row.verdict) for row in plot.rows] == [
        (CLINICAL, f"− {GENERALIST}", "a_better"), (THIRD, f"− {GENERALIST}", "b_better"),
    ]  # fmt: skip
    assert (
        figure.caption
        == "First model minus second over all tasks, one row per pair: 1 better, 1 worse; the shaded band is the margin of ±3."
    )
    assert f"{THIRD} − {GENERALIST}: −4.0 (−6.0 to −2.0)." in figure.alt
    # Whoever is better lends the row its colour; scopes below the whole do not stretch the axis.
    by_task = next(block.plot for section in build(two_pairs()).sections for block in section.blocks
                   if isinstance(block, Figure) and isinstance(block.plot, ForestPlot) and block.name.startswith("forest_"))  # fmt: skip
    assert (plot.rows[0].color, plot.rows[1].color) == (by_task.color_right, by_task.color_left)
    assert -10 < plot.limits[0] < plot.limits[1] < 12


def test_one_pair_shows_its_tasks_and_the_mean_below_them() -> None:
    (figure,) = figures(build(with_pooled(pooled())))
    assert isinstance(figure.plot, ForestPlot)
    assert [row.kind for row in figure.plot.rows] == ["single"] * 5 + ["total"]
    assert figure.plot.rows[-1].difference == pytest.approx(7.2)
    assert figure.caption.endswith("the shaded band is the margin of ±3; over all tasks (diamond) +7.2 (5.1 to 9.3).")
    assert "scope" in figure.data.columns


def test_several_pairs_on_one_task_stand_in_one_figure() -> None:
    other = pd.DataFrame([comparison_row(TASKS[0], model_a=THIRD)])
    both = pd.concat([comparisons(TASKS[:1]), other])
    models = study(TASKS[:1], models=[CLINICAL, GENERALIST, THIRD], pairs=[[CLINICAL, GENERALIST], [THIRD, GENERALIST]])
    (figure,) = figures(build(findings(tasks=TASKS[:1], comparisons=both, study=models)))
    assert isinstance(figure.plot, ForestPlot)
    assert [row.label for row in figure.plot.rows] == [CLINICAL, THIRD]
    assert "over pocket_clinical_en" in figure.caption


def many_pairs(n: int) -> Findings:
    names = [f"clinical-{at:02d}" for at in range(n)]
    frame = pd.concat([comparisons().assign(model_a=name) for name in names])
    pairs = [[name, GENERALIST] for name in names]
    rows = pd.DataFrame([pooled_row(model_a=name) for name in names])
    scored = estimates().assign(model=lambda own: own["model"].replace(CLINICAL, names[0]))
    models = study(models=[*names, GENERALIST], pairs=pairs)
    return findings(analyses=Analyses(pooled=rows), comparisons=frame, estimates=scored, study=models)


def test_many_pairs_have_their_figure_first_and_a_bounded_number_of_figures() -> None:
    report = build(many_pairs(20))
    kinds = [type(block).__name__ for block in report.sections[0].blocks]
    assert kinds.index("Figure") < kinds.index("Answer")
    assert kinds.count("Answer") == 20
    across = next(section for section in report.sections if section.anchor == "across")
    assert [type(block.plot) for block in across.blocks if isinstance(block, Figure)] == [GridPlot]
    few = [type(block).__name__ for block in build(many_pairs(3)).sections[0].blocks]
    assert few.index("Answer") < few.index("Figure")


def test_file_names_of_pairs_are_unique_and_short() -> None:
    odd = [("a/b", "c"), ("a_b", "c"), ("x" * 300, "y" * 300), ("x" * 300 + "1", "y" * 300)]
    frame = pd.concat([comparisons(TASKS[:1]).assign(model_a=a, model_b=b) for a, b in odd])
    found = stems(dataclasses.replace(findings(), comparisons=frame))
    assert list(found) == odd
    assert len(set(found.values())) == 4
    assert all(len(stem) < 120 and slug(stem) == stem for stem in found.values())


def test_markdown_has_sentence_tally_and_what_was_left_out() -> None:
    text = render_markdown(build(with_pooled(pooled())))
    for said in ("**Over the 1,834 distinct questions", "\n\nBy task: better on 1 of 5 tasks", "\n\nNot in this mean: restricted\\_notes"):
        assert said in text
