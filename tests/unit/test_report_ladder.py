"""What each part of the prompting adds: what is said, drawn and tabled, and that nothing is said where there is no ladder."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd
import pytest

from evalsuite.published.files import load_paper
from evalsuite.report import build, write_report
from evalsuite.report.blocks import Bullets, Figure, Paragraph, Section, Table
from evalsuite.report.cost import cost_section
from evalsuite.report.figures import draw
from evalsuite.report.findings import Findings
from evalsuite.report.ladder import ladder_section
from evalsuite.report.ladder_pairs import ladder_pairs_section
from evalsuite.report.ladder_printed import PRINTED, Parts, parts_of
from evalsuite.report.plots.answers import CostPlot
from evalsuite.report.plots.differences import ForestPlot
from evalsuite.report.plots.ladder import LadderPlot
from tests.unit import report_findings
from tests.unit.ladder_findings import LADDER, LEFT_OUT, TASKS, findings, planted
from tests.unit.report_findings import CLINICAL, GENERALIST


@pytest.fixture(scope="module")
def found() -> Findings:
    return findings()


def tables(section: Section | None) -> dict[str, Table]:
    assert section is not None
    return {block.name: block for block in section.blocks if isinstance(block, Table)}


def figures(section: Section | None) -> dict[str, Figure]:
    assert section is not None
    return {block.name: block for block in section.blocks if isinstance(block, Figure)}


def bullets(section: Section | None) -> tuple[str, ...]:
    assert section is not None
    return next(block.items for block in section.blocks if isinstance(block, Bullets))


def rows_of(frame: pd.DataFrame, **wanted: object) -> list[dict[str, object]]:
    for key, value in wanted.items():
        frame = frame[frame[key] == value]
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def test_without_a_ladder_there_is_no_section() -> None:
    assert ladder_section(report_findings.findings()) is None
    assert ladder_pairs_section(report_findings.findings()) is None


def test_the_lead_counts_the_steps_whose_interval_excludes_0(found: Findings) -> None:
    section = ladder_section(found)
    assert section is not None
    lead = section.blocks[0]
    assert isinstance(lead, Paragraph)
    steps = [row for row in rows_of(found.analyses.ladder, scope="all", kind="rung") if row["against"]]
    up, down = sum(row["ci_low"] > 0 for row in steps), sum(row["ci_high"] < 0 for row in steps)  # type: ignore[operator]
    assert up > 0
    assert f"{up} of 8 steps (a model and what is added) have a 95% interval above 0 and {down} below it" in lead.text
    assert "where about 0.4 would be off 0 by chance alone" in lead.text
    assert "Exploratory: nothing is corrected" in lead.text


def test_every_model_has_a_sentence_with_the_whole_ladder_and_its_clear_steps(found: Findings) -> None:
    for model, text in zip((CLINICAL, GENERALIST), bullets(ladder_section(found)), strict=True):
        (whole,) = rows_of(found.analyses.ladder, scope="all", kind="whole", model=model)
        assert text.startswith(f"{model}: ")
        assert f"the whole ladder adds {100 * float(whole['difference']):+.1f} points" in text  # type: ignore[arg-type]
        said = re.search(r"Steps whose interval excludes 0: (.*?)\. (?:Not|Without)", text)
        assert said is not None
        clear = [row["strategy"] for row in rows_of(found.analyses.ladder, scope="all", kind="rung", model=model)
                 if row["against"] and (row["ci_low"] > 0 or row["ci_high"] < 0)]  # type: ignore[operator] # fmt: skip
        assert re.findall(r"(\w+) [+−]", said[1]) == clear
        assert "Without one part, against medprompt: without_reasoning" in text


def test_the_figure_holds_every_mean_and_difference_of_the_frame(found: Findings) -> None:
    figure = figures(ladder_section(found))["ladder"]
    assert isinstance(figure.plot, LadderPlot)
    assert [rung.label for rung in figure.plot.rungs] == [f"{at}  {name}" for at, name in enumerate(LADDER, 1)]
    for at, rung in enumerate(figure.plot.rungs):
        for mark in rung.marks:
            (row,) = rows_of(found.analyses.ladder, scope="all", kind="rung", step=at, model=mark.model)
            assert mark.mean == pytest.approx(100 * float(row["mean"]))  # type: ignore[arg-type]
            if at:
                ends = (mark.difference, mark.difference_low, mark.difference_high)
                assert ends == pytest.approx([100 * float(row[key]) for key in ("difference", "ci_low", "ci_high")])  # type: ignore[arg-type]
                assert mark.clear == (row["ci_low"] > 0 or row["ci_high"] < 0)  # type: ignore[operator]
            else:
                assert (rung.first, mark.difference) == (True, None)
    left_out = figures(ladder_section(found))["ladder_left_out"].plot
    assert isinstance(left_out, LadderPlot)
    assert [rung.label for rung in left_out.rungs] == ["medprompt", *LEFT_OUT]
    assert not left_out.joined


def test_a_metric_that_is_not_right_or_wrong_is_named() -> None:
    made = findings(tasks=TASKS[:1])
    frame = made.analyses.ladder
    other = frame[frame["scope"] != "all"].assign(metric="rougeL")
    drawn = figures(ladder_section(replace(made, analyses=replace(made.analyses, ladder=other))))["ladder"]
    assert isinstance(drawn.plot, LadderPlot)
    assert drawn.plot.axis == "rougeL, percent"
    assert "Right answers" not in drawn.caption


def test_a_panel_never_holds_more_than_six_models() -> None:
    names = [f"model-{at}" for at in range(8)]
    section = ladder_section(findings(names, TASKS[:1]))
    drawn = [figure.plot for name, figure in figures(section).items() if re.fullmatch(r"ladder_\d", name)]
    assert [len(plot.rungs[0].marks) for plot in drawn if isinstance(plot, LadderPlot)] == [4, 4]
    assert "ladder_tasks" not in figures(section)


def test_small_multiples_have_a_panel_per_task_and_figures_are_the_same_every_time(found: Findings) -> None:
    plots = {name: figure.plot for name, figure in figures(ladder_section(found)).items()}
    assert [panel.label for panel in plots["ladder_tasks"].panels] == list(TASKS)  # type: ignore[union-attr]
    for plot in plots.values():
        assert draw(plot) == draw(plot)
    svg = draw(plots["ladder"]).svg.decode()
    assert "random5_cot</text>" in svg
    assert "interval excludes 0" in svg


def test_tables_hold_every_row_and_the_rest_is_folded(found: Findings) -> None:
    own = tables(ladder_section(found))
    assert len(own["ladder"].rows) == 2 * (5 + 1 + 2)
    assert len(own["ladder_tasks"].rows) == 2 * 2 * (5 + 1 + 2)
    assert (own["ladder"].folded, own["ladder_tasks"].folded) == (False, True)
    assert "ladder_printed" not in own


def test_over_one_task_nothing_is_said_twice() -> None:
    section = ladder_section(findings(tasks=TASKS[:1]))
    assert list(tables(section)) == ["ladder"]
    assert {row[1].text for row in tables(section)["ladder"].rows} == {*LADDER, *LEFT_OUT}


def test_what_failed_is_named_and_has_no_number() -> None:
    scores = planted(tasks=TASKS[:1])
    broken = (scores["model"] == CLINICAL) & (scores["strategy"] == "random5") & (scores["sample_id"] == "medqa0003")
    scores.loc[broken, ["value", "status"]] = [None, "failed"]
    section = ladder_section(findings(tasks=TASKS[:1], scores=scores))
    text = bullets(section)[0]
    assert text.endswith("Not judged: random5 and random5_cot (random5: 1 failed answers).")
    row = next(row for row in tables(section)["ladder"].rows if (row[0].text, row[1].text) == (CLINICAL, "random5"))
    assert [cell.text for cell in row[4:8]] == ["–", "–", "–", "–"]
    plot = figures(section)["ladder"].plot
    assert isinstance(plot, LadderPlot)
    assert plot.rungs[1].marks[0].mean is None
    assert "no number" in draw(plot).svg.decode()


def test_the_papers_ladder_stands_beside_ours_and_is_not_compared(found: Findings) -> None:
    table = tables(ladder_section(replace(found, papers=(load_paper("2311.16452"),))))["ladder_printed"]
    assert [row[1].text for row in table.rows] == ["81.7", "83.9", "87.3", "88.4", "90.2"]
    assert [row[2].text for row in table.rows] == ["–", "+2.2", "+3.4", "+1.1", "+1.8"]
    assert [row[3].text for row in table.rows] == list(LADDER)
    means = {(row["model"], row["strategy"]): row["mean"] for row in rows_of(found.analyses.ladder, scope="medqa", kind="rung")}
    for row, strategy in zip(table.rows, LADDER, strict=True):
        assert row[4].text == f"{100 * float(means[CLINICAL, strategy]):.1f}"  # type: ignore[arg-type]
    assert "nothing is tested" in table.note
    assert not re.search(r"\bp\b|interval", table.note)


def test_another_task_than_the_papers_is_said_to_be_another() -> None:
    made = findings(tasks=("pubmedqa",))
    table = tables(ladder_section(replace(made, papers=(load_paper("2311.16452"),))))["ladder_printed"]
    assert "This study does not ask MedQA US (4-option)" in table.note


@pytest.mark.parametrize(
    ("name", "options", "parts"),
    [
        ("zero_shot", {"format": "letters"}, Parts(exemplars="none", reasoning=False, ensemble=False)),
        ("few_shot", {"shots": 5, "exemplars": "fixed"}, Parts(exemplars="drawn", reasoning=False, ensemble=False)),
        ("cot", {"shots": 0, "exemplars": "fixed"}, Parts(exemplars="none", reasoning=True, ensemble=False)),
        ("cot", {"shots": 5, "exemplars": "knn"}, Parts(exemplars="knn", reasoning=True, ensemble=False)),
        (
            "medprompt", {"shots": 5, "exemplars": "knn", "reasoning": True, "ensemble": 5},
            Parts(exemplars="knn", reasoning=True, ensemble=True),
        ),
        (
            "medprompt", {"shots": 5, "exemplars": "random", "reasoning": False, "ensemble": 1},
            Parts(exemplars="drawn", reasoning=False, ensemble=False),
        ),
        ("choice_shuffle", {"shots": 0, "ensemble": 5}, Parts(exemplars="none", reasoning=False, ensemble=True)),
        ("self_consistency", {"shots": 0}, None),
    ],
)  # fmt: skip
def test_strategies_are_known_by_what_they_are_made_of(name: str, options: dict[str, object], parts: Parts | None) -> None:
    assert parts_of(name, options) == parts


def test_the_papers_settings_are_those_of_its_file() -> None:
    assert set(PRINTED) <= {record.setting for record in load_paper("2311.16452").records}
    assert len(set(PRINTED.values())) == 5


def test_whether_the_advantage_survives_is_said_per_pair(found: Findings) -> None:
    section = ladder_pairs_section(found)
    assert section is not None
    assert section.title.startswith("Does the specialist's advantage survive the prompting?")
    (text,) = bullets(section)
    first, *_, last = rows_of(found.analyses.ladder_pairs, scope="all")
    assert f"{CLINICAL} against {GENERALIST}: {100 * float(first['difference']):+.1f} under zero_shot" in text  # type: ignore[arg-type]
    # Planted: 8 points ahead at first, and gains that are smaller by as much.
    assert float(last["p_value"]) > 0.05  # type: ignore[arg-type]
    assert float(last["contrast_p"]) <= 0.05  # type: ignore[arg-type]
    assert "under medprompt no difference is established" in text
    assert f"the ladder adds more to {GENERALIST} than to {CLINICAL}" in text
    plots = {name: figure.plot for name, figure in figures(section).items()}
    assert [row.label for row in plots["ladder_pairs"].rows] == [f"{at}  {name}" for at, name in enumerate(LADDER, 1)]  # type: ignore[union-attr]
    changes = plots["ladder_changes"]
    assert isinstance(changes, ForestPlot)
    assert changes.rows[-1].difference == pytest.approx(100 * float(last["contrast"]))  # type: ignore[arg-type]
    assert len(changes.rows) == len(LADDER) - 1
    assert len(tables(section)["ladder_pairs"].rows) == len(LADDER)


def test_pairs_of_generalists_have_a_difference_and_no_advantage(found: Findings) -> None:
    section = ladder_pairs_section(replace(found, models={name: {**facts, "domain": "generalist"} for name, facts in found.models.items()}))
    assert section is not None
    assert section.title.startswith("Does the difference survive")


def test_a_pair_that_failed_on_a_rung_gets_no_sentence_of_numbers() -> None:
    scores = planted(tasks=TASKS[:1])
    broken = (scores["model"] == GENERALIST) & (scores["strategy"] == "medprompt") & (scores["sample_id"] == "medqa0003")
    scores.loc[broken, ["value", "status"]] = [None, "failed"]
    (text,) = bullets(ladder_pairs_section(findings(tasks=TASKS[:1], scores=scores)))
    assert text == f"{CLINICAL} against {GENERALIST}: nothing can be said, medprompt: 1 failed answers."


def test_many_pairs_are_spread_over_several_figures() -> None:
    names = [f"model-{at}" for at in range(14)]
    drawn = figures(ladder_pairs_section(findings(names, TASKS[:1])))
    assert {"ladder_pairs_1", "ladder_pairs_2"} <= set(drawn)
    assert max(len(figure.plot.rows) for figure in drawn.values()) <= 30  # type: ignore[union-attr]


def test_cost_is_drawn_for_calls_too_and_joined_from_rung_to_rung(found: Findings) -> None:
    drawn = figures(cost_section(found))
    assert list(drawn) == ["cost", "cost_calls"]
    plot = drawn["cost_calls"].plot
    assert isinstance(plot, CostPlot)
    assert {(point.strategy, point.rung, point.cost) for point in plot.points} == {
        *((name, at, 5.0 if name == "medprompt" else 1.0) for at, name in enumerate(LADDER, 1)),
        ("without_reasoning", 0, 5.0),
    }
    assert ">5 medprompt</text>" in draw(plot).svg.decode()


def test_the_whole_report_is_written_and_hostile_names_stay_text(tmp_path: object) -> None:
    names = ("<script>alert(1)</script>", "b|c_$x$")
    write_report(build(findings(names, TASKS[:1])), tmp_path)  # type: ignore[arg-type]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")  # type: ignore[operator]
    assert "<script>alert(1)" not in page
    assert "What each part of the prompting adds" in page
    for name in ("ladder.svg", "ladder_pairs.svg", "ladder_changes.svg", "cost_calls.svg"):
        assert (tmp_path / "figures" / name).exists()  # type: ignore[operator]
