"""Format failures: counts, the price of the asked form, and whether either could be the whole difference."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from evalsuite.report.answers_read import answers_read_section, format_or_knowledge, status_frame
from evalsuite.report.blocks import Figure, Paragraph, Table
from evalsuite.report.figures import draw
from evalsuite.report.plots.answers import StackPlot
from evalsuite.types import STATUSES
from tests.unit.report_answer_frames import analyses
from tests.unit.report_findings import CLINICAL, GENERALIST, TASKS, card, comparison_row, comparisons, estimates, findings, scores, study

CARDS = {name: card(name, metrics=("accuracy", "accuracy_strict")) for name in TASKS}
"""Cards that ask for both readings."""


def clean() -> pd.DataFrame:
    """Estimates in which every answer was read."""
    frame = estimates()
    frame[[f"n_{status}" for status in STATUSES]] = 0
    return frame.assign(n_scored=500)


def test_absent_where_all_was_read_and_nothing_generated() -> None:
    assert answers_read_section(findings(estimates=clean())) is None


def test_generated_cells_are_listed_though_all_was_read() -> None:
    found = findings(estimates=clean())
    generated = found.scores.assign(finish_reason="stop")
    frame = status_frame(findings(estimates=clean(), scores=generated))
    assert set(frame["strategy"]) == {"zero_shot"}
    assert len(frame) == 2 * len(TASKS)
    assert frame["n_answers"].eq(500).all()


def test_shares_are_of_all_answers() -> None:
    section = answers_read_section(findings(analyses=analyses(), cards=CARDS, scores=scores().assign(finish_reason="stop")))
    assert section is not None
    figure = next(block for block in section.blocks if isinstance(block, Figure))
    assert isinstance(figure.plot, StackPlot)
    for group in figure.plot.groups:
        for row in group.rows:
            assert sum(row.parts) == pytest.approx(100)
    lead = section.blocks[0]
    assert isinstance(lead, Paragraph)
    # Unparsed 2 at + truncated at, five tasks, two models, three cells; refused ones and failures are no fault of the form.
    assert lead.text.startswith("180 of ")
    assert f"costs at most 15.0 points ({GENERALIST} on {TASKS[0]}, zero_shot)" in lead.text


def test_models_that_lost_nothing_share_a_bar() -> None:
    frame = clean()
    frame.loc[(frame["model"] == CLINICAL) & (frame["strategy"] == "zero_shot"), ["n_scored", "n_unparsed"]] = [400, 100]
    more = pd.concat([frame, frame[frame["model"] == GENERALIST].assign(model="third")])
    wide = study(models=[CLINICAL, GENERALIST, "third"], pairs=[[CLINICAL, GENERALIST]])
    section = answers_read_section(findings(estimates=more, study=wide))
    assert section is not None
    figure = next(block for block in section.blocks if isinstance(block, Figure))
    assert isinstance(figure.plot, StackPlot)
    assert [row.label for row in figure.plot.groups[0].rows] == [CLINICAL, "2 other models"]
    assert ">unparsed</text>" in draw(figure.plot).svg.decode()


def test_the_price_of_the_form_has_its_interval() -> None:
    section = answers_read_section(findings(analyses=analyses(), cards=CARDS, scores=scores().assign(finish_reason="stop")))
    assert section is not None
    (table,) = [block for block in section.blocks if isinstance(block, Table) and block.name == "format_penalty"]
    assert len(table.rows) == 1
    assert [cell.text for cell in table.rows[0][-5:]] == ["50.0", "35.0", "15.0", "14.0 to 16.0", "500"]
    assert "Not shown: 1 row in which both readings agree." in table.note
    # A task whose card asks for one reading has no such table: its contract is nobody's question there.
    bare = answers_read_section(findings(analyses=analyses(), scores=scores().assign(finish_reason="stop")))
    assert bare is not None
    assert not any(isinstance(block, Table) and block.name == "format_penalty" for block in bare.blocks)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # b is 31.2 points behind; 160 of its 500 answers are missing: 32 points.
        ({"n_a_missing": 0, "n_b_missing": 160}, f"{GENERALIST} is 31.2 points behind, 32.0% of its answers are missing"),
        # 31.0 points do not reach.
        ({"n_a_missing": 0, "n_b_missing": 155}, "on no task could missing answers alone"),
        # Missing answers of the better side make nothing smaller.
        ({"n_a_missing": 400, "n_b_missing": 0}, "on no task could missing answers alone"),
        # Without a difference there is nothing to explain.
        ({"n_a_missing": 9, "n_b_missing": 9, "difference": 0.0}, "on no task could missing answers alone"),
    ],
)
def test_whether_format_could_be_the_whole_difference(changes: dict[str, Any], expected: str) -> None:
    rows = pd.DataFrame([comparison_row(TASKS[0], **changes)]).astype({"within_margin": "boolean"})
    said = format_or_knowledge(findings(comparisons=rows))
    assert len(said) == 1
    assert expected in said[0]


def test_under_the_rule_drop_nothing_is_said_of_it() -> None:
    rows = comparisons().assign(n_a_missing=0, n_b_missing=400)
    assert format_or_knowledge(findings(comparisons=rows, study=study(analysis={"missing": "drop"}))) == []


def test_little_label_mass_is_named() -> None:
    frame = estimates()
    frame.loc[frame["task"] == TASKS[2], "label_mass"] = 0.31
    section = answers_read_section(findings(estimates=frame))
    assert section is not None
    lead = section.blocks[0]
    assert isinstance(lead, Paragraph)
    assert (
        f"In 2 primary cells less than half of the next-token probability falls on the labels, least for {CLINICAL} on {TASKS[2]}"
        in lead.text
    )
