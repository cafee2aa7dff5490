"""Strict against lenient under output contracts, and the parts of a pair's difference, as the report tells them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from evalsuite.report import Findings
from evalsuite.report.answers_read import answers_read_section
from evalsuite.report.blocks import Bullets, Figure, Paragraph, Section, Table
from evalsuite.report.figures import draw
from evalsuite.report.instructions import MAX_SAID, instructions_section, part_sentence
from evalsuite.report.plots.dumbbell import DumbbellPlot
from evalsuite.stats.analyses import Analyses, Labels
from evalsuite.stats.perturbed import Perturbed
from tests.unit.report_findings import CLINICAL, GENERALIST, TASKS, card, findings, scores, study

CONTRACTS = Labels(
    perturbations={
        "none": Perturbed(name="none", family="meaning-preserving", preserves_meaning=True),
        "json": Perturbed(name="contract", family="instruction-guided", preserves_meaning=True, options={"form": "json"}),
        "letter": Perturbed(name="contract", family="instruction-guided", preserves_meaning=True, options={"form": "letter"}),
    }
)


def kept_row(model: str, perturbation: str, strict: float, lenient: float, validity: float, **changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "task": TASKS[0], "strategy": "zero_shot", "perturbation": perturbation, "model": model, "n_samples": 200, "n_groups": 180,
        "ci_level": 0.95, "note": "",
    }  # fmt: skip
    for name, value in (("strict", strict), ("lenient", lenient), ("validity", validity), ("penalty", lenient - strict)):
        content |= {name: value, f"{name}_low": value - 0.05, f"{name}_high": value + 0.05}
    return content | changes


def part_row(strict: float, knowledge: float, form: float, **changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "task": TASKS[0], "strategy": "zero_shot", "perturbation": "json", "model_a": "A", "model_b": "B", "n_samples": 200,
        "n_groups": 180, "ci_level": 0.95, "note": "",
    }  # fmt: skip
    for name, value in (("strict_difference", strict), ("knowledge", knowledge), ("format", form)):
        content |= {name: value, f"{name}_low": value - 0.02, f"{name}_high": value + 0.03}
    return content | changes


def made(kept: list[dict[str, Any]], parts: list[dict[str, Any]] | None = None) -> Findings:
    analyses = Analyses(contracts_kept=pd.DataFrame(kept), format_parts=pd.DataFrame(parts or []))
    return findings(analyses=analyses, labels=CONTRACTS, study=study(perturbations=["none"]))


def kept_rows() -> list[dict[str, Any]]:
    """Two contracts, the study's own form beside them, and a cell of votes without a strict score."""
    return [
        kept_row(CLINICAL, "none", 0.60, 0.62, 0.97),
        kept_row(CLINICAL, "letter", 0.45, 0.45, 1.0),
        kept_row(GENERALIST, "letter", float("nan"), 0.30, 0.90, note="answers by vote"),
        kept_row(CLINICAL, "json", 0.28, 0.40, 0.61),
        kept_row(GENERALIST, "json", 0.34, 0.36, 0.95),
    ]


def section_of(found: Findings) -> Section:
    section = instructions_section(found)
    assert section is not None
    return section


def one(section: Section, kind: type[Any]) -> Any:
    (block,) = [block for block in section.blocks if isinstance(block, kind)]
    return block


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def test_absent_without_contracts() -> None:
    assert instructions_section(findings(labels=CONTRACTS)) is None
    assert instructions_section(made([kept_row(CLINICAL, "none", 0.6, 0.62, 0.97)])) is None
    # Which perturbations are contracts is what the labels say, not what they are called.
    assert instructions_section(findings(analyses=Analyses(contracts_kept=pd.DataFrame(kept_rows())))) is None


def test_table_and_lead_hold_the_numbers() -> None:
    section = section_of(made(kept_rows()))
    table = one(section, Table)
    assert texts(table) == [
        ["json", CLINICAL, "28.0 (23.0 to 33.0)", "40.0 (35.0 to 45.0)", "61.0 (56.0 to 66.0)", "12.0 (7.0 to 17.0)", "200", ""],
        ["json", GENERALIST, "34.0 (29.0 to 39.0)", "36.0 (31.0 to 41.0)", "95.0 (90.0 to 100.0)", "2.0 (−3.0 to 7.0)", "200", ""],
        ["letter", CLINICAL, "45.0 (40.0 to 50.0)", "45.0 (40.0 to 50.0)", "100.0 (95.0 to 105.0)", "0.0 (−5.0 to 5.0)", "200", ""],
        ["letter", GENERALIST, "–", "30.0 (25.0 to 35.0)", "90.0 (85.0 to 95.0)", "–", "200", "answers by vote"],
    ]
    lead = section.blocks[0]
    assert isinstance(lead, Paragraph)
    assert "under 2 output contracts" in lead.text
    assert f"Most is lost by {CLINICAL} under json: 12.0 points." in lead.text
    assert f"Least kept is json, by {CLINICAL}: 61.0% of its answers." in lead.text


def test_the_chart_shows_strict_lenient_and_valid() -> None:
    figure = one(section_of(made(kept_rows())), Figure)
    assert isinstance(figure.plot, DumbbellPlot)
    drawn = {(group.label, row.model): (row.strict, row.lenient, row.validity) for group in figure.plot.groups for row in group.rows}
    assert drawn["json", CLINICAL] == pytest.approx((28, 40, 61))
    assert drawn["letter", GENERALIST] == (None, 30, 90)
    assert figure.caption.startswith(f"{TASKS[0]}, zero_shot: json costs {CLINICAL} most, 12.0 points: 40.0% right leniently read, ")
    assert figure.caption.endswith(" 28.0% right as asked, 61.0% as asked at all.")
    assert f"json, {CLINICAL}: right as asked 28%, right leniently read 40%, as asked 61%." in figure.alt
    svg = draw(figure.plot).svg.decode()
    assert all(f">{text}</text>" in svg for text in ("right, as asked", "right, leniently read", "as asked, right or wrong", "json"))


def test_every_task_has_its_chart_and_names_are_told() -> None:
    rows = [*kept_rows(), *(row | {"task": TASKS[1]} for row in kept_rows())]
    section = section_of(made(rows))
    assert [block.name for block in section.blocks if isinstance(block, Figure)] == ["contracts_1", "contracts_2"]
    assert [column.label for column in one(section, Table).columns[:3]] == ["Task", "Contract", "Model"]
    assert "under json (" in section.blocks[0].text  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((0.062, 0.004, 0.058), "Under json, of the 6.2 points by which A is ahead of B, 5.8 are format and 0.4 knowledge"),
        # The same from the other side: the interval turns with it.
        ((-0.062, -0.004, -0.058), "Under json, of the 6.2 points by which B is ahead of A, 5.8 are format and 0.4 knowledge"),
        ((0.03, -0.02, 0.05), "Under json, A is 3.0 points ahead of B by format alone: leniently read it is 2.0 behind"),
        ((0.03, 0.05, -0.02), "Under json, A is 3.0 points ahead of B, though format costs it 2.0 more: leniently read it is 5.0 ahead"),
        ((-0.03, -0.05, 0.02), "Under json, B is 3.0 points ahead of A, though format costs it 2.0 more: leniently read it is 5.0 ahead"),
        ((0.0, 0.0, 0.0), "Under json, A and B are level"),
        ((0.0, -0.04, 0.04), "Under json, A and B are level: leniently read, B is 4.0 points ahead, and format takes it back"),
        # What rounds to nothing has no sign.
        ((0.02, 0.0204, -0.0004), "Under json, of the 2.0 points by which A is ahead of B, 0.0 are format and 2.0 knowledge"),
    ],
)
def test_parts_in_words(numbers: tuple[float, float, float], expected: str) -> None:
    said = part_sentence(part_row(*numbers))
    assert said.startswith(f"{expected} (95% interval of the part of format ")
    low, high = (numbers[2] - 0.02, numbers[2] + 0.03) if numbers[0] >= 0 else (-numbers[2] - 0.03, -numbers[2] + 0.02)
    assert f"{low * 100:.1f} to {high * 100:.1f}".replace("-", "−") in said
    assert said.endswith("; n = 200).")


def test_two_models_without_a_right_answer_as_asked_are_not_called_level() -> None:
    part = part_row(0.0, 0.35, -0.35, model_a=CLINICAL, model_b=GENERALIST)
    nothing = [kept_row(CLINICAL, "json", 0.0, 0.475, 0.0), kept_row(GENERALIST, "json", 0.0, 0.125, 0.0)]
    (item,) = one(section_of(made(nothing, [part])), Bullets).items
    assert item.startswith(
        f"Under json, no answer of {CLINICAL} or {GENERALIST} is right as asked; leniently read, {CLINICAL} is 35.0 points ahead (95%"
    )
    some = [kept_row(CLINICAL, "json", 0.1, 0.475, 0.2), kept_row(GENERALIST, "json", 0.1, 0.125, 0.2)]
    (item,) = one(section_of(made(some, [part])), Bullets).items
    assert f"{CLINICAL} and {GENERALIST} are level: leniently read" in item


def test_the_least_kept_contract_is_not_alone_where_others_are_kept_as_little() -> None:
    rows = [kept_row(model, name, 0.0, 0.1, 0.0) for model in (CLINICAL, GENERALIST) for name in ("json", "letter")]
    lead = section_of(made(rows)).blocks[0]
    assert isinstance(lead, Paragraph)
    assert lead.text.endswith(": 0.0% of its answers, as in 3 more rows of the table.")


def test_pairs_are_said_by_the_size_of_their_format_part() -> None:
    parts = [
        part_row(0.1, 0.1 - at / 100, at / 100, model_a=CLINICAL, model_b=GENERALIST, task=TASKS[at % 5], strategy=f"s{at}")
        for at in range(MAX_SAID + 2)
    ]
    parts.append(part_row(0.9, 0.0, 0.9, model_a=CLINICAL, model_b=GENERALIST, n_groups=9, note="9 groups"))
    parts.append(part_row(float("nan"), float("nan"), float("nan"), model_a=CLINICAL, model_b=GENERALIST, note="2 failed answers"))
    section = section_of(made(kept_rows(), parts))
    items = one(section, Bullets).items
    assert len(items) == MAX_SAID
    assert "9.0 are format and 1.0 knowledge" in items[0]
    assert f", {TASKS[4]}, s9," in items[0]
    table = next(block for block in section.blocks if isinstance(block, Table) and block.name == "format_parts")
    assert len(table.rows) == MAX_SAID + 4
    assert table.title == f"How much of a difference is format, {CLINICAL} − {GENERALIST}"
    assert ["–", "–", "–"] in [row[3:6] for row in texts(table)]
    small = next(block for block in section.blocks if isinstance(block, Paragraph) and block.small)
    assert small.text.startswith("Exploratory")
    # The part of the first one is nothing, and that of too few groups is not spoken of.
    assert small.text.endswith(f"In 1 of {MAX_SAID + 2} differences format has no part.")
    assert not any("90.0" in item for item in items)


def test_what_is_told_here_is_not_told_again_among_format_failures() -> None:
    rows = [kept_row(model, name, 0.3, 0.5, 0.6) for model in (CLINICAL, GENERALIST) for name in ("none", "json")]
    estimates = findings().estimates
    estimates = pd.concat([estimates, estimates[estimates["perturbation"] == "none"].assign(perturbation="json")])
    generated = pd.concat([scores().assign(finish_reason="stop"), scores().assign(finish_reason="stop", perturbation="json")])
    cards = {name: card(name, metrics=("accuracy", "accuracy_strict")) for name in TASKS}
    section = answers_read_section(
        findings(analyses=Analyses(contracts_kept=pd.DataFrame(rows)), labels=CONTRACTS, estimates=estimates, scores=generated, cards=cards)
    )
    assert section is not None
    (table,) = [block for block in section.blocks if isinstance(block, Table) and block.name == "format_penalty"]
    assert {row[-6].text for row in table.rows} == {CLINICAL, GENERALIST}
    assert len(table.rows) == 2
