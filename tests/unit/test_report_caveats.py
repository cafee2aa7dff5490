"""What a reader must be told beside a number: what is missing, partial, uncorrected, without width or not a sample."""

from __future__ import annotations

import csv
import io
from typing import Any

import pandas as pd
import pytest

from evalsuite.config import Study
from evalsuite.metrics import METRICS
from evalsuite.report import build
from evalsuite.report.blocks import Cell, Data, Definitions, Notice, Report, Table, blocks_of, figures_of, tables_of
from evalsuite.report.notices import part_notice
from evalsuite.report.write import csv_text
from tests.unit.report_findings import CLINICAL, GENERALIST, TASKS, comparison_row, comparisons, estimates, findings, scores, study


def table(report: Report, name: str) -> Table:
    return next(block for block in tables_of(report) if block.name == name)


def heads(shown: Table) -> list[str]:
    return [column.label for column in shown.columns]


def column(shown: Table, label: str) -> list[Cell]:
    at = heads(shown).index(label)
    return [row[at] for row in shown.rows]


def first_screen(report: Report) -> str:
    return " ".join(block.text for block in report.sections[0].blocks if isinstance(block, Notice) and block.level == "warning")


def glossary(report: Report) -> dict[str, str]:
    return {term: meaning for block in blocks_of(report) if isinstance(block, Definitions) for term, meaning in block.items}


def silent(n_a_missing: int, n_b_missing: int, tasks: tuple[str, ...] = TASKS) -> dict[str, Any]:
    """Frames in which the models left so many of 500 answers unanswered on every task."""
    n_missing = estimates(tasks)["model"].map({CLINICAL: n_a_missing, GENERALIST: n_b_missing})
    counts: dict[str, Any] = {
        "n_scored": 500 - n_missing,
        "n_unparsed": n_missing,
        "n_truncated": 0,
        "n_too_long": 0,
        "n_refused": 0,
        "n_failed": 0,
    }
    return {
        "estimates": estimates(tasks).assign(**counts),
        "comparisons": comparisons(tasks).assign(n_a_missing=n_a_missing, n_b_missing=n_b_missing, n_failed=0),
    }


def with_tasks(entries: list[Any]) -> Study:
    return Study.model_validate(study().model_dump() | {"tasks": entries})


def test_a_silent_model_is_named_on_the_first_screen() -> None:
    report = build(findings(tasks=TASKS[:2], **silent(3, 500, TASKS[:2])))
    said = first_screen(report)
    assert "Many answers are missing (unparsed, truncated or too long) and count as wrong: pocket-generalist on " in said
    assert f"{TASKS[0]} (500 of 500) and {TASKS[1]} (500 of 500)" in said
    assert "pocket-clinical on" not in said
    assert "Many answers are missing" not in first_screen(build(findings(**silent(3, 24))))


def test_silence_on_many_tasks_is_summed_up() -> None:
    frames = silent(0, 200)
    assert "pocket-generalist on 5 tasks (40% of the answers)" in first_screen(build(findings(**frames)))
    fewer = frames["comparisons"].assign(n_b_missing=lambda frame: frame["task"].map({TASKS[0]: 100}).fillna(200))
    assert "pocket-generalist on 5 tasks (20% to 40% of the answers)" in first_screen(build(findings(**frames | {"comparisons": fewer})))


def test_missing_and_failed_answers_stand_beside_the_differences() -> None:
    shown = table(build(findings(**silent(3, 24))), "differences")
    assert {cell.text for cell in column(shown, "Missing a / b")} == {"3 / 24"}
    assert "Failed" not in heads(shown)
    shown = table(build(findings()), "differences")
    assert "Missing a / b" not in heads(shown)
    assert [(cell.text, cell.alert) for cell in column(shown, "Failed")][-2:] == [("0", False), ("12", True)]


def test_p_values_are_those_of_the_verdict_and_say_what_was_done_to_them() -> None:
    report = build(findings(comparisons=comparisons().assign(p_value=0.0333)))
    primary = table(report, "differences")
    assert [cell.text for cell in column(primary, "p")] == ["0.0001", "0.0024", "1.00", "0.82", "–"]
    assert "p-values are Holm-adjusted within the family." in primary.note
    assert {cell.text for cell in column(table(report, "exploratory_differences"), "p, not corrected")} == {"0.0333"}
    changed = comparisons().assign(role="exploratory", p_adjusted=None, p_equivalence_adjusted=None)
    shown = table(build(findings(comparisons=changed)), "differences")
    assert "not corrected, since the comparisons are exploratory" in shown.note
    assert "Holm" not in shown.note
    assert column(shown, "p, not corrected")[0].text == "< 0.0001"


def test_without_correction_nothing_speaks_of_holm() -> None:
    report = build(findings(study=study(analysis={"correction": "none"}), selection={"limit": 40}))
    assert "Holm" not in repr(report)
    assert "adjusted within" not in repr(report)
    assert "Part of the study only: --limit 40. It belongs to a pre-stated family of 5 comparisons." in first_screen(report)


def test_a_part_of_the_study_says_so_and_shows_what_was_run() -> None:
    selection = {"models": None, "tasks": (TASKS[0], TASKS[1]), "limit": 40, "shard": None, "engine": None}
    entries = [{"name": TASKS[0], "limit": 25}, *TASKS[1:]]
    found = findings(tasks=TASKS[:2], study=with_tasks(entries), selection=selection)
    report = build(found)
    assert (
        f"Part of the study only: --limit 40, --tasks {TASKS[0]},{TASKS[1]}. "
        "The correction runs over the whole pre-stated family of 5 comparisons." in first_screen(report)
    )
    assert [cell.text for cell in column(table(report, "tasks"), "Limit")] == ["25 samples", "40 samples"]
    assert [cell.text for cell in column(table(report, "tasks"), "Samples asked")] == ["4", "4"]
    for whole in ({}, {"models": None, "tasks": None, "limit": None, "engine": "stub"}):
        assert "Part of the study" not in first_screen(build(findings(selection=whole)))


def test_the_family_of_a_study_without_pairs_can_be_told() -> None:
    selection = {"models": (CLINICAL, GENERALIST)}
    known = build(findings(study=study(pairs=None), selection={**selection, "n_family": 20}))
    assert f"--models {CLINICAL},{GENERALIST}. The correction runs over the whole pre-stated family of 20 comparisons." in first_screen(
        known
    )
    assert "after Holm over 20 comparisons" in repr(known.sections[0])
    # Whoever does not know the number says none.
    unknown = build(findings(study=study(pairs=None), selection=selection))
    assert "over the whole pre-stated family." in first_screen(unknown)
    assert "after Holm over the whole family" in repr(unknown.sections[0])


def test_only_models_that_were_run_are_listed() -> None:
    shown = build(findings(study=study(models=[CLINICAL, GENERALIST, "never-run"])))
    for name in ("models", "cost"):
        assert [cell.text for cell in column(table(shown, name), "Model")] == [CLINICAL, GENERALIST]


def test_named_exclusions_are_listed_and_counted() -> None:
    excluded = {TASKS[1]: {"q900": "wrong key", "q1": "asked all the same"}, TASKS[0]: {"q901": "no figure"}}
    report = build(findings(excluded=excluded))
    rows = [tuple(cell.text for cell in row) for row in table(report, "excluded_samples").rows]
    assert rows == [(TASKS[0], "q901", "no figure"), (TASKS[1], "q900", "wrong key"), (TASKS[1], "q1", "asked all the same")]
    # `n_excluded` counts samples excluded by name, with scores or without.
    assert [cell.text for cell in column(table(report, "differences"), "Left out")] == ["1", "1", "1", "1", "1"]
    assert "excluded by name" in table(report, "differences").note
    bare = build(findings(excluded={}))
    assert "excluded_samples" not in [shown.name for shown in tables_of(bare)]
    assert {cell.text for cell in column(table(bare, "differences"), "Left out")} == {"1"}
    study_only = build(findings())
    assert [cell.text for cell in column(table(study_only, "differences"), "Left out")][:2] == ["1", "1"]


def test_intervals_without_width_are_marked() -> None:
    flat = estimates().query("subset == 'all'").copy()
    alike = (flat["task"] == TASKS[0]) & (flat["model"] == CLINICAL)
    flat.loc[alike, ["mean", "ci_low", "ci_high"]] = 1.0
    report = build(findings(estimates=flat))
    shown = table(report, "scores")
    assert [cell.text.endswith(" *") for cell in column(shown, "Interval")] == [True] + [False] * 9
    assert "* An interval of width zero: all answers alike; the t interval knows nothing of answers not seen." in shown.note
    assert "1 of width zero: all answers alike" in figures_of(report)[1].caption
    plain = build(findings())
    assert "width zero" not in table(plain, "scores").note
    assert "width zero" not in figures_of(plain)[1].caption
    rows = pd.DataFrame([comparison_row(TASKS[0], difference=0.0, ci_low=0.0, ci_high=0.0)])
    shown = table(build(findings(tasks=TASKS[:1], comparisons=rows)), "differences")
    assert column(shown, "95% interval")[0].text == "0.0 to 0.0 *"
    assert "all differences alike" in shown.note


def test_means_below_chance_do_not_reach_down_to_it() -> None:
    low = estimates()
    primary = (low["task"] == TASKS[1]) & (low["strategy"] == "zero_shot") & (low["perturbation"] == "none")
    low.loc[primary & (low["model"] == CLINICAL), ["mean", "ci_low", "ci_high"]] = [0.10, 0.05, 0.15]
    low.loc[primary & (low["model"] == GENERALIST), ["mean", "ci_low", "ci_high"]] = [0.26, 0.21, 0.31]
    caption = figures_of(build(findings(estimates=low)))[1].caption
    assert "1 of 9 intervals reach down to chance (dashed), 1 lies wholly below it (pocket-clinical on headqa_es)." in caption


def test_the_caption_of_the_forest_follows_the_verdicts_not_the_intervals() -> None:
    rows = comparisons().assign(verdict=lambda frame: frame["verdict"].replace("b_better", "inconclusive"))
    caption = figures_of(build(findings(comparisons=rows)))[0].caption
    assert "1 better, 1 same within margin, 2 cannot tell, 1 not established;" in caption
    assert "can disagree at the edge" in glossary(build(findings()))["interval"]


def test_set_metrics_are_not_described_as_means() -> None:
    assert "as an entry of its own" in glossary(build(findings()))["set metrics"]
    assert "false negative of its class" in glossary(build(findings()))["set metrics"]
    method = "answers swapped within groups, exact; jackknife t over groups"
    frame = comparisons().assign(metric="macro_f1", method=method, boot_low=None, boot_high=None, p_mcnemar=None)
    both = pd.concat([comparisons(TASKS[:1]), frame[frame["task"] != TASKS[0]]])
    entries = [TASKS[0], *({"name": name, "metric": "macro_f1"} for name in TASKS[1:])]
    found = findings(comparisons=both, study=with_tasks(entries), metrics=METRICS, estimates=estimates().assign(metric="macro_f1"))
    report = build(found)
    shown = table(report, "sensitivity")
    assert heads(shown)[1:6] == ["Interval", "Bootstrap, percentile", "p", "p, McNemar", "Method of p; of the interval"]
    assert [cell.text for cell in column(shown, "Method of p; of the interval")][1:] == [method] * 4
    assert "as no class" in table(report, "scores").note
    assert "as no class" not in table(build(findings()), "scores").note


@pytest.mark.parametrize("repeated", ["variant", "replicate"])
def test_counts_of_perturbed_cells_are_counts_of_answers(repeated: str) -> None:
    further = scores().assign(perturbation="shuffle_choices", **{repeated: 1})
    report = build(findings(scores=pd.concat([scores(), further])))
    assert "Answers scored" in heads(table(report, "exploratory_scores"))
    assert "Scored" in heads(table(report, "scores"))
    assert "counted in answers" not in table(report, "scores").note


def test_texts_in_csv_files_never_run_as_formulas() -> None:
    texts = ("=1+1", "+x", "-x", "@x", "\tx", "\rx", "x=1", "")
    data = Data(columns=("text", "number"), rows=tuple((text, -0.5) for text in texts))
    lines = list(csv.reader(io.StringIO(csv_text(data), newline="")))[1:]
    assert [line[0] for line in lines] == ["'=1+1", "'+x", "'-x", "'@x", "'\tx", "'\rx", "x=1", ""]
    assert {line[1] for line in lines} == {"-0.5"}
    assert csv_text(Data(columns=("n",), rows=((-3,), (-1e-9,)))) == "n\n-3\n-1e-09\n"


def test_a_part_of_a_study_whose_analysis_was_changed_is_not_said_to_be_corrected() -> None:
    found = findings(comparisons=comparisons().assign(role="exploratory"), selection={"limit": 40})
    (notice,) = part_notice(found)
    assert notice.text == "Part of the study only: --limit 40. It belongs to a pre-stated family of 5 comparisons."
