"""Variance parts and cautions in the report."""

from __future__ import annotations

from evalsuite.report.blocks import Figure, Notice, Paragraph, Table
from evalsuite.report.cautions import MAX_LISTED, cautions_section
from evalsuite.report.figures import draw
from evalsuite.report.plots.answers import StackPlot
from evalsuite.report.variance import variance_section
from tests.unit.report_answer_frames import analyses, cautions, variance
from tests.unit.report_findings import CLINICAL, GENERALIST, TASKS, findings


def test_no_parts_no_section() -> None:
    assert variance_section(findings()) is None


def test_one_comparison_is_told_what_would_halve_its_error() -> None:
    section = variance_section(findings(analyses=analyses(variance=variance(several=False))))
    assert section is not None
    lead = section.blocks[0]
    assert isinstance(lead, Paragraph)
    assert lead.text == f"To halve the standard error of {CLINICAL} − {GENERALIST} on {TASKS[0]}: 2,000 samples instead of 500."


def test_several_comparisons_are_counted_and_drawn() -> None:
    section = variance_section(findings(analyses=analyses()))
    assert section is not None
    lead, figure, table = section.blocks
    assert isinstance(lead, Paragraph)
    assert "The largest part of the variance, of 2 comparisons: samples in 1 and replicates in 1." in lead.text
    assert "halve the standard error, at the numbers in the table: more samples in 1 and more replicates in 1." in lead.text
    assert isinstance(figure, Figure)
    assert isinstance(figure.plot, StackPlot)
    assert figure.plot.parts == ("samples", "replicates")
    assert [row.parts for group in figure.plot.groups for row in group.rows] == [(70.0, 30.0), (20.0, 80.0)]
    assert "samples make 20 to 70% of it" in figure.caption
    svg = draw(figure.plot).svg.decode()
    assert ">replicates</text>" in svg
    assert isinstance(table, Table)
    assert [cell.text for cell in table.rows[1]][-4:] == ["3", "30.0", "2.0", "–"]


def test_where_nothing_varies_there_is_a_table_but_no_figure() -> None:
    frame = variance(several=False).assign(share=float("nan"))
    section = variance_section(findings(analyses=analyses(variance=frame)))
    assert section is not None
    assert [type(block) for block in section.blocks] == [Paragraph, Table]


def test_few_cautions_stand_one_by_one() -> None:
    section = cautions_section(findings(analyses=analyses()))
    assert section is not None
    said = [(block.level, block.text) for block in section.blocks if isinstance(block, Notice)]
    assert said == [("warning", f"{TASKS[0]}: What the floor of it means."), ("note", f"{TASKS[1]}: What the ceiling of it means.")]


def test_many_cautions_are_summed_up_above_their_table() -> None:
    section = cautions_section(findings(analyses=analyses(cautions=cautions(n_warnings=MAX_LISTED))))
    assert section is not None
    notice, table = section.blocks
    assert isinstance(notice, Notice)
    assert notice.text == f"Scores that chance alone can explain ({MAX_LISTED})."
    assert isinstance(table, Table)
    assert len(table.rows) == MAX_LISTED + 1


def test_no_cautions_no_section() -> None:
    assert cautions_section(findings()) is None
