"""Cost against accuracy: what is drawn, and what is said of it."""

from __future__ import annotations

from evalsuite.report.blocks import Figure, Table
from evalsuite.report.cost import cost_section
from evalsuite.report.figures import draw
from evalsuite.report.plots.answers import CostPlot
from tests.unit.report_answer_frames import analyses, costs
from tests.unit.report_findings import CLINICAL, GENERALIST, findings


def test_no_costs_no_section() -> None:
    assert cost_section(findings()) is None


def test_best_strategy_and_its_price_are_named() -> None:
    section = cost_section(findings(analyses=analyses()))
    assert section is not None
    figure, table = section.blocks
    assert isinstance(figure, Figure)
    assert isinstance(table, Table)
    assert f"few5 has the most right answers for {CLINICAL} (+4.0 points for 5 times the tokens)" in figure.caption
    assert f"zero_shot has the most right answers for {GENERALIST}" in figure.caption
    assert isinstance(figure.plot, CostPlot)
    assert [(point.strategy, point.cost, point.mean) for point in figure.plot.points] == [
        ("zero_shot", 100.0, 50.0), ("zero_shot", 100.0, 45.0), ("few5", 500.0, 54.0), ("few5", 500.0, 41.0),
    ]  # fmt: skip
    assert [cell.text for cell in table.rows[0]] == ["zero_shot", CLINICAL, "1", "98.0", "2.0", "2,000", "50.0", "47.0 to 53.0"]
    assert "each distinct question counts the same" in table.note


def test_equal_costs_are_a_table_without_a_figure() -> None:
    section = cost_section(findings(analyses=analyses(costs=costs(prompt_tokens=50.0))))
    assert section is not None
    assert [type(block) for block in section.blocks] == [Table]


def test_without_a_mean_there_is_only_the_price() -> None:
    section = cost_section(findings(analyses=analyses(costs=costs(mean=None, ci_low=None, ci_high=None))))
    assert section is not None
    (table,) = section.blocks
    assert isinstance(table, Table)
    assert "Right %" not in [column.label for column in table.columns]


def test_names_of_strategies_do_not_touch() -> None:
    section = cost_section(findings(analyses=analyses()))
    assert section is not None
    figure = section.blocks[0]
    assert isinstance(figure, Figure)
    svg = draw(figure.plot).svg.decode()
    assert ">zero_shot</text>" in svg
    assert ">few5</text>" in svg
