"""What became of first answers, and who yields more, as the report tells it."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from evalsuite.report.blocks import Bullets, Paragraph, Section, Table
from evalsuite.report.findings import records
from evalsuite.report.second_turns import pair_sentences, second_turns_section, suggestions
from evalsuite.stats.analyses import Analyses, Labels
from evalsuite.stats.perturbed import Perturbed
from tests.unit.report_findings import CLINICAL, GENERALIST, TASKS, findings

NAN = math.nan
LED = {"helped": "right", "misled": "wrong"}
"""Two suggestions and what they suggest."""


def turn_row(model: str, perturbation: str = "are_you_sure", **changes: Any) -> dict[str, Any]:
    """A doubt, after which a fifth of the right answers are given up."""
    content: dict[str, Any] = {
        "task": TASKS[0], "strategy": "zero_shot", "perturbation": perturbation, "model": model, "n_samples": 200, "n_groups": 180,
        "n_first_unread": 0, "first": 0.6, "final": 0.55, "kept": 0.75, "abandoned": 0.2, "abandoned_low": 0.13, "abandoned_high": 0.27,
        "corrected": 0.1, "corrected_low": 0.04, "corrected_high": 0.16, "adopted": NAN, "adopted_low": NAN, "adopted_high": NAN,
        "n_right_first": 120, "n_wrong_first": 80, "n_adoptable": 0, "ci_level": 0.95, "note": "nothing is suggested",
    }  # fmt: skip
    return content | changes


def suggested(model: str, share: float, **changes: Any) -> dict[str, Any]:
    """A suggestion that a share of the answers follow."""
    content: dict[str, Any] = {
        "perturbation": "colleague", "adopted": share, "adopted_low": share - 0.05, "adopted_high": share + 0.05, "n_adoptable": 150,
        "note": "",
    }  # fmt: skip
    return turn_row(model, **(content | changes))


def section_of(*rows: dict[str, Any]) -> Section:
    section = second_turns_section(findings(analyses=Analyses(second_turns=pd.DataFrame(list(rows)))))
    assert section is not None
    return section


def table_of(section: Section) -> Table:
    (table,) = [block for block in section.blocks if isinstance(block, Table)]
    return table


def said_of(*rows: dict[str, Any]) -> list[str]:
    return pair_sentences(records(pd.DataFrame(list(rows))), CLINICAL, GENERALIST)


def test_absent_without_second_turns() -> None:
    assert second_turns_section(findings()) is None


def test_table_holds_shares_intervals_and_counts() -> None:
    table = table_of(
        section_of(turn_row(GENERALIST), turn_row(CLINICAL, abandoned=NAN, abandoned_low=NAN, abandoned_high=NAN, n_right_first=0))
    )
    assert [column.label for column in table.columns] == [
        "Second turn", "Model", "Right first %", "Right at the end %", "Kept %", "Given up %", "Corrected %", "Samples",
    ]  # fmt: skip
    rows = {row[1].text: [cell.text for cell in row[2:]] for row in table.rows}
    assert rows[GENERALIST] == ["60.0", "55.0", "75.0", "20.0 (13.0 to 27.0), n 120", "10.0 (4.0 to 16.0), n 80", "200"]
    assert rows[CLINICAL][3] == "–"
    # The data keep what the screen leaves out.
    assert {"adopted_low", "n_groups"} <= set(table.data.columns)


def test_suggestions_and_unread_first_answers_have_columns_where_there_are_any() -> None:
    table = table_of(section_of(suggested(GENERALIST, 0.4, n_first_unread=3), turn_row(GENERALIST)))
    assert [column.label for column in table.columns][-4:] == ["Corrected %", "Followed %", "Samples", "First not read"]
    followed = {row[0].text: row[-3].text for row in table.rows}
    assert followed == {"colleague": "40.0 (35.0 to 45.0), n 150", "are_you_sure": "–"}
    assert not any(column.label == "Note" for column in table.columns)
    noted = table_of(section_of(turn_row(GENERALIST, note="nothing is suggested; no first answer was right")))
    assert [row[-1].text for row in noted.rows] == ["no first answer was right"]


def test_who_yields_more_in_one_condition() -> None:
    (said,) = said_of(turn_row(CLINICAL, abandoned=0.32, abandoned_low=0.2, abandoned_high=0.44), turn_row(GENERALIST))
    assert said == (
        f"{CLINICAL} gives up right answers more often than {GENERALIST} after are_you_sure: {CLINICAL} 32.0% (20.0 to 44.0), "
        f"{GENERALIST} 20.0% (13.0 to 27.0)."
    )
    (other,) = said_of(turn_row(CLINICAL), turn_row(GENERALIST, abandoned=0.5))
    assert other.startswith(f"{GENERALIST} gives up right answers more often than {CLINICAL} after")
    (level,) = said_of(turn_row(CLINICAL), turn_row(GENERALIST))
    assert level.startswith(f"{CLINICAL} gives up right answers as often as {GENERALIST} after")


def test_suggestions_are_told_apart_from_doubts() -> None:
    doubts = [turn_row(CLINICAL), turn_row(GENERALIST, abandoned=0.4)]
    # Whoever is told the right answer and changes to it gives nothing up: such turns do not count among doubts.
    suggestions = [suggested(CLINICAL, 0.8, abandoned=0.9), suggested(GENERALIST, 0.3, abandoned=0.0)]
    first, second = said_of(*doubts, *suggestions)
    assert first.startswith(f"{GENERALIST} gives up right answers more often than {CLINICAL} after are_you_sure")
    assert second == (
        f"{CLINICAL} takes over what is suggested more often than {GENERALIST} after colleague: {CLINICAL} 80.0% (75.0 to 85.0), "
        f"{GENERALIST} 30.0% (25.0 to 35.0)."
    )


def test_right_suggestions_are_told_apart_from_wrong_ones() -> None:
    # The first model follows the right ones more often, the second the wrong ones: together they would cancel.
    turns = [(model, name, 0.6 if (model == CLINICAL) == (name == "helped") else 0.2) for model in (CLINICAL, GENERALIST) for name in LED]
    rows = [suggested(model, share, perturbation=name) for model, name, share in turns]
    found = pair_sentences(records(pd.DataFrame(rows)), CLINICAL, GENERALIST, LED)
    assert [text.partition(" after ")[0] for text in found] == [
        f"{CLINICAL} takes over the right choice where it is suggested more often than {GENERALIST}",
        f"{GENERALIST} takes over the wrong choice that is suggested more often than {CLINICAL}",
    ]


def test_another_question_in_the_second_turn_is_no_answer_given_up() -> None:
    other = Perturbed(name="ask_again", family="two-step", preserves_meaning=False, options={"then": "negated"})
    rows = [turn_row(CLINICAL, "negated", abandoned=0.9), turn_row(GENERALIST, "negated"), turn_row(CLINICAL), turn_row(GENERALIST)]
    found = findings(analyses=Analyses(second_turns=pd.DataFrame(rows)), labels=Labels(perturbations={"negated": other}))
    made = second_turns_section(found)
    assert made is not None
    texts = [block.text for block in made.blocks if isinstance(block, Paragraph)]
    assert "Most right answers are given up by" in texts[0]
    assert "2 kinds of second turn" in texts[0]
    assert "negated" not in f"{texts} {[block.items for block in made.blocks if isinstance(block, Bullets)]}"
    assert {row[0].text for row in table_of(made).rows} == {"negated", "are_you_sure"}


def test_what_is_suggested_is_read_off_the_options() -> None:
    known = {
        name: Perturbed(name="suggestion", family="two-step", preserves_meaning=True, options={"right": kind == "right"})
        for name, kind in LED.items()
    }
    doubt = Perturbed(name="are_you_sure", family="two-step", preserves_meaning=True)
    assert suggestions(findings(labels=Labels(perturbations=known | {"sure": doubt}))) == LED


def test_over_several_conditions_the_widest_gap_is_named() -> None:
    rows = [turn_row(CLINICAL, task=task, abandoned=share) for task, share in zip(TASKS, (0.3, 0.6, 0.1), strict=False)]
    rows += [turn_row(GENERALIST, task=task) for task in TASKS[:3]]
    (said,) = said_of(*rows)
    assert said.startswith(
        f"{CLINICAL} gives up right answers more often than {GENERALIST} in 2 of 3 conditions, less often in 1; furthest apart "
    )
    assert f"after are_you_sure ({TASKS[1]}): {CLINICAL} 60.0%" in said
    # The widest gap may be on the other side than most are.
    rows[2] = turn_row(CLINICAL, task=TASKS[2], abandoned=0.95)
    rows[:2] = [turn_row(CLINICAL, task=task, abandoned=0.15) for task in TASKS[:2]]
    (other,) = said_of(*rows)
    assert f"in 2 of 3 conditions, less often in 1; furthest apart, the other way round, after are_you_sure ({TASKS[2]})" in other
    # A condition that one model lacks, or that has no number, is no comparison.
    assert said_of(rows[0]) == []
    assert said_of(rows[0], turn_row(GENERALIST, abandoned=NAN, abandoned_low=NAN, abandoned_high=NAN)) == []
    # Neither is a share of so few that it has no interval.
    assert said_of(rows[0], turn_row(GENERALIST, abandoned=1.0, abandoned_low=NAN, abandoned_high=NAN)) == []


def test_sentences_are_called_exploratory() -> None:
    section = section_of(turn_row(CLINICAL), turn_row(GENERALIST, abandoned=0.5, abandoned_low=0.4, abandoned_high=0.6))
    assert any(isinstance(block, Bullets) and len(block.items) == 1 for block in section.blocks)
    (small,) = [block.text for block in section.blocks if isinstance(block, Paragraph) and block.small]
    assert small.startswith("Exploratory")
    # How many conditions are left out would else be nobody's guess.
    assert "conditions count where both shares rest on 10 groups or more" in small
    lead = section.blocks[0]
    assert isinstance(lead, Paragraph)
    assert lead.text.endswith(f"Most right answers are given up by {GENERALIST} after are_you_sure: 50.0% (40.0 to 60.0) of 120.")


def test_the_largest_share_is_said_to_be_that_of_enough_groups() -> None:
    few = turn_row(GENERALIST, abandoned=0.9, abandoned_low=NAN, abandoned_high=NAN)
    lead = section_of(turn_row(CLINICAL), few).blocks[0]
    assert isinstance(lead, Paragraph)
    assert lead.text.endswith(": 20.0% (13.0 to 27.0) of 120, among the shares that rest on 10 groups or more.")
