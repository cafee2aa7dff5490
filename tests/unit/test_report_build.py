"""Findings to blocks: sections appear where their data do, tables show what the frames hold, nothing restricted gets in."""

from __future__ import annotations

import csv
import dataclasses
import io

import numpy as np
import pandas as pd
import pytest

from evalsuite.metrics.base import Metric
from evalsuite.report import build
from evalsuite.report.blocks import (
    Cell,
    Figure,
    Listing,
    Notice,
    Paragraph,
    Report,
    Section,
    Table,
    blocks_of,
    data_files_of,
    figures_of,
    slug,
    tables_of,
)
from evalsuite.report.build import SECTIONS
from evalsuite.report.findings import Findings
from evalsuite.report.plots.differences import ForestPlot
from evalsuite.report.plots.means import DotPlot
from evalsuite.report.write import csv_text
from evalsuite.stats.compare import compare_frames
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.tables import estimate_frame
from tests.unit.report_findings import CLINICAL, GENERALIST, TASKS, card, comparisons, estimates, findings, manifest, models, study


def table(report: Report, name: str) -> Table:
    return next(block for block in tables_of(report) if block.name == name)


def column(shown: Table, label: str) -> list[Cell]:
    at = [head.label for head in shown.columns].index(label)
    return [row[at] for row in shown.rows]


def anchors(report: Report) -> list[str]:
    return [section.anchor for section in report.sections]


def test_all_sections_in_reading_order() -> None:
    assert anchors(build(findings())) == [
        "answer", "differences", "scores", "answers_read", "subsets", "exploratory", "tasks", "run", "prompts", "excluded", "reproduce",
        "glossary",
    ]  # fmt: skip


def test_sections_without_data_are_absent() -> None:
    bare = findings(
        tasks=TASKS[:1], study=study(TASKS[:1], exclude=[]), estimates=estimates(TASKS[:1])[:1], comparisons=comparisons()[:0], prompts={},
        prompt_differences={}, manifest={}, command="", cards={TASKS[0]: card(TASKS[0], splits={})},
    )  # fmt: skip
    report = build(bare)
    assert anchors(report) == ["answer", "scores", "tasks", "run", "glossary"]
    assert any(isinstance(block, Paragraph) and "No pair" in block.text for block in blocks_of(report))


def test_a_section_is_one_builder() -> None:
    def extra(found: Findings) -> Section | None:
        return Section(anchor="extra", title="Extra", blocks=(Paragraph(text=found.study.study),))

    assert anchors(build(findings(), sections=(*SECTIONS, extra)))[-1] == "extra"


def test_tables_are_rectangular_and_names_unique() -> None:
    report = build(findings())
    for shown in tables_of(report):
        assert {len(row) for row in shown.rows} == {len(shown.columns)}
    names = [*(shown.name for shown in tables_of(report)), *(file.name for file in data_files_of(report))]
    assert len(names) == len(set(names))


def test_failures_are_flagged_on_the_first_screen_and_in_the_table() -> None:
    report = build(findings())
    failure = [block for block in report.sections[0].blocks if isinstance(block, Notice) and block.level == "failure"]
    assert len(failure) == 1
    assert "restricted_notes (pocket-clinical)" in failure[0].text
    failed = column(table(report, "scores"), "Failed")
    assert [cell.text for cell in failed if cell.alert] == ["12"]
    assert [cell.text for cell in column(table(report, "differences"), "Verdict") if cell.alert] == ["not established"]


def test_no_failure_no_flag() -> None:
    report = build(findings(estimates=estimates().assign(n_failed=0)))
    assert not [block for block in blocks_of(report) if isinstance(block, Notice) and block.level == "failure"]
    assert "Failed" not in [head.label for head in table(report, "scores").columns]


def test_every_status_that_occurs_has_a_column_and_the_others_are_named() -> None:
    every = estimates().assign(n_unparsed=1, n_truncated=2, n_too_long=3, n_refused=4, n_failed=5)
    labels = [head.label for head in table(build(findings(estimates=every)), "scores").columns]
    assert labels[-7:-1] == ["Scored", "Unparsed", "Truncated", "Too long", "Refused", "Failed"]
    assert "No answer was too long or refused." in table(build(findings()), "scores").note


def test_scores_are_percent_with_chance_and_dashes_for_nothing() -> None:
    shown = table(build(findings()), "scores")
    assert [cell.text for cell in column(shown, "Accuracy %")][:2] == ["67.2", "36.0"]
    assert column(shown, "Interval")[0].text == "63.0 to 71.4"
    assert column(shown, "Chance")[4].text == "33.3"
    assert column(shown, "Accuracy %")[8].text == "–"


def test_exploratory_and_subset_rows_stand_in_their_own_tables() -> None:
    report = build(findings())
    assert len(table(report, "scores").rows) == 10
    assert len(table(report, "exploratory_scores").rows) == 20
    assert len(table(report, "subset_scores").rows) == 1
    assert [cell.text for cell in column(table(report, "subset_differences"), "Subset")] == ["without:key_doubtful"]
    assert column(table(report, "subset_differences"), "Samples")[0].text == "471"
    assert {cell.text for cell in column(table(report, "exploratory_differences"), "Strategy")} == {"few5"}


def test_data_equal_the_frames() -> None:
    found = findings()
    report = build(found)
    everything = next(file for file in data_files_of(report) if file.name == "comparisons")
    back = pd.read_csv(io.StringIO(csv_text(everything.data)), keep_default_na=False, na_values=[""])
    expected = found.comparisons.assign(
        status_note=found.comparisons["status_note"].replace("", np.nan), within_margin=found.comparisons["within_margin"].astype(object)
    )
    expected = expected.fillna(np.nan)
    pd.testing.assert_frame_equal(back, expected.reset_index(drop=True), check_dtype=False)
    shown = table(report, "scores")
    primary = found.estimates[(found.estimates["role"] == "primary") & (found.estimates["subset"] == "all")]
    back = pd.read_csv(io.StringIO(csv_text(shown.data)))
    pd.testing.assert_frame_equal(back, primary.reset_index(drop=True), check_dtype=False)


def test_estimates_without_role_and_subset_are_accepted() -> None:
    plain = estimates().query("subset == 'all'").drop(columns=["role", "subset", "label_mass", "ci_level"])
    report = build(findings(estimates=plain))
    assert len(table(report, "scores").rows) == 10
    assert "Label mass" not in [head.label for head in table(report, "scores").columns]


def test_order_of_rows_of_the_frames_does_not_matter() -> None:
    found = findings()
    shuffled = dataclasses.replace(found, estimates=found.estimates[::-1], comparisons=found.comparisons[::-1])
    ours, theirs = build(found), build(shuffled)
    assert [section for section in ours.sections if section.anchor != "differences"] == [
        section for section in theirs.sections if section.anchor != "differences"
    ]
    assert table(ours, "differences") == table(theirs, "differences")


def test_forest_plots_share_one_axis_and_show_the_margin() -> None:
    third = {"model_a": GENERALIST, "model_b": "a-third"}
    other = comparisons().assign(**third, difference=-comparisons()["difference"], ci_low=-0.6, ci_high=-0.1)
    both = study(models=[CLINICAL, GENERALIST, "a-third"], pairs=[[CLINICAL, GENERALIST], [GENERALIST, "a-third"]])
    found = findings(comparisons=pd.concat([comparisons(), other]), study=both)
    plots = [figure.plot for figure in figures_of(build(found)) if isinstance(figure.plot, ForestPlot)]
    assert len(plots) == 2
    assert plots[0].limits == plots[1].limits
    assert plots[0].limits[0] < -60
    assert [plot.margin for plot in plots] == [3.0, 3.0]
    assert plots[0].color_left == plots[1].color_right
    assert plots[0].color_right != plots[1].color_left


def test_figures_carry_reading_alternative_and_numbers() -> None:
    forest, dots, *_ = figures_of(build(findings()))
    assert "1 better, 1 worse, 1 same within margin, 1 cannot tell, 1 not established; the shaded band" in forest.caption
    assert "pubmedqa: +0.4 (−1.5 to 2.3)." in forest.alt
    assert len(forest.data.rows) == 5
    assert isinstance(dots.plot, DotPlot)
    assert dots.caption.endswith("0 of 9 intervals reach down to chance (dashed).")
    assert len(dots.data.rows) == 10
    assert {row.color for panel in dots.plot.panels for row in panel.rows if row.model == CLINICAL} == {forest_plot(forest).color_right}


def forest_plot(figure: Figure) -> ForestPlot:
    assert isinstance(figure.plot, ForestPlot)
    return figure.plot


def test_restricted_prompts_never_enter_the_report() -> None:
    secret = "SYNTHETIC-PATIENT-TEXT"
    found = findings(
        prompts={("restricted_notes", "zero_shot"): {CLINICAL: secret, GENERALIST: secret}},
        prompt_differences={((CLINICAL, GENERALIST), "restricted_notes"): f"- {secret}"},
    )
    report = build(found)
    assert secret not in repr(report)
    assert "restricted_notes: not shown: restricted data." in [b.text for b in blocks_of(report) if isinstance(b, Paragraph)]


def test_a_prompt_of_an_open_task_that_is_absent_was_never_sent() -> None:
    report = build(findings(prompts={("pubmedqa", "zero_shot"): {CLINICAL: None}}, prompt_differences={}))
    texts = [block.text for block in blocks_of(report) if isinstance(block, Paragraph)]
    assert "pubmedqa, zero_shot, pocket-clinical: nothing was sent." in texts
    assert not [text for text in texts if "restricted data" in text]


def test_prompts_are_shown_once_with_all_who_received_them() -> None:
    titles = [block.title for block in blocks_of(build(findings())) if isinstance(block, Listing)]
    assert "pocket_clinical_en, zero_shot, as sent to pocket-clinical and pocket-generalist" in titles
    assert "headqa_es, zero_shot, as sent to pocket-clinical" in titles
    assert "headqa_es, difference from the prompt of pocket-generalist to that of pocket-clinical" in titles


def test_models_show_what_is_not_pinned_and_short_hashes() -> None:
    shown = table(build(findings()), "models")
    assert [(cell.text, cell.alert) for cell in column(shown, "Revision")] == [("not pinned", True), ("0123456789ab", False)]
    assert len(column(shown, "Fingerprint")[0].text) == 12
    assert len(str(shown.data.rows[0][5])) > 40


def test_test_instruments_are_announced() -> None:
    def said(found: Findings) -> bool:
        return any(isinstance(block, Notice) and "test instruments, not medical models" in block.text for block in blocks_of(build(found)))

    assert said(findings())
    assert not said(findings(models={name: info | {"note": None} for name, info in models().items()}))


def test_changes_of_the_analysis_are_printed() -> None:
    change = {"key": "analysis.margin", "old": 0.03, "new": 0.05, "date": "2025-01-02"}
    report = build(findings(manifest=manifest(analysis_changes=[change])))
    assert [cell.text for cell in table(report, "analysis_changes").rows[0]] == ["analysis.margin", "0.03", "0.05", "2025-01-02"]
    assert any(isinstance(block, Notice) and "changed after it was first stated" in block.text for block in blocks_of(report))
    assert "after the first answer" not in repr((report, build(findings())))


def test_only_known_keys_of_the_manifest_are_shown() -> None:
    assert "/somewhere/secret" not in repr(build(findings()))


def test_exclusions_by_name_and_by_reason() -> None:
    report = build(findings())
    assert [cell.text for cell in table(report, "excluded_samples").rows[0]][1:] == ["q17", "the figure that it asks about is missing"]
    assert [cell.text for cell in table(report, "excluded_rows").rows[0]] == ["pocket_clinical_en", "test", "image missing", "7"]


def test_cost_counts_each_answer_once_however_many_metrics() -> None:
    assert [cell.text for cell in table(build(findings()), "cost").rows[0]] == [CLINICAL, "20", "20", "1,230", "20"]


def test_slug() -> None:
    assert slug("a/b c", "é") == "a_b_c_x"


def accuracy() -> Metric:
    return Metric(
        name="accuracy", summary="share right", source="-", higher_is_better=True, worst=0.0, best=1.0, binary=True, reading="lenient",
        applies="choice", value=lambda *_: 0.0,
    )  # fmt: skip


def test_the_real_statistics_fit() -> None:
    """Frames as `evalsuite.stats` makes them, with a clear winner, go through whole."""
    rng = np.random.default_rng(7)
    rows = [
        {"task": task, "metric": "accuracy", "strategy": "zero_shot", "perturbation": "none", "model": model, "sample_id": f"q{at}",
         "variant": 0,
         "replicate": 0, "group": f"g{at}", "value": float(rng.random() < share), "status": "scored"}
        for task in TASKS[:2] for model, share in ((CLINICAL, 0.9), (GENERALIST, 0.4)) for at in range(80)
    ]  # fmt: skip
    scores = pd.DataFrame(rows)
    metrics = {"accuracy": accuracy()}
    design = AnalysisDesign(
        study="s", pairs=((CLINICAL, GENERALIST),), primary_strategy="zero_shot", primary_perturbation="none",
        primary_metric=dict.fromkeys(TASKS[:2], "accuracy"), metrics=metrics, n_resamples=500,
        tags={TASKS[0]: {"q1": ("key_doubtful",)}},
    )  # fmt: skip
    found = findings(
        tasks=TASKS[:2], scores=scores, metrics=metrics, comparisons=compare_frames(scores, design),
        estimates=estimate_frame(scores, metrics, missing="incorrect", exclude=(), level=0.95),
    )  # fmt: skip
    report = build(found)
    (first, *_) = report.sections[0].blocks
    assert getattr(first, "sentence", "") == f"{CLINICAL} is better than {GENERALIST} on 2 of 2 tasks."
    assert "after Holm over 2 comparisons" in repr(first)
    assert len(table(report, "subset_differences").rows) == 1
    assert len(table(report, "sensitivity").rows) == 2


@pytest.mark.parametrize("name", ["scores", "differences"])
def test_csv_floats_read_back_equal(name: str) -> None:
    data = table(build(findings()), name).data
    at = data.columns.index("ci_low")
    lines = list(csv.reader(io.StringIO(csv_text(data))))[1:]
    assert [float(line[at]) if line[at] else None for line in lines] == [row[at] for row in data.rows]
