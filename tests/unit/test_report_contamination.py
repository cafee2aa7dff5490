"""Contamination flags: what is declared, no more."""

from __future__ import annotations

from typing import Any

import pytest

from evalsuite.report.blocks import Paragraph, Table
from evalsuite.report.contamination import contamination_section, flag_of
from tests.unit.report_answer_frames import labels
from tests.unit.report_findings import CLINICAL, GENERALIST, TASKS, findings


@pytest.mark.parametrize(
    ("declared", "task", "expected"),
    [
        (None, "headqa_es", "unknown"),
        ((), "headqa_es", "none"),
        (("headqa_es/test",), "headqa_es", "test"),
        (("headqa_es/train",), "headqa_es", "other_split"),
        (("headqa_es",), "headqa_es", "unsplit"),
        (("headqa/test",), "headqa_es", "test"),  # the family's own name
        (("casimedicos_es/test",), "headqa_es", "relative"),  # the same questions in another task of the study's registry
        (("casimedicos_es/train",), "headqa_es", "other_split"),
        (("headqa_en/test",), "headqa_es", "relative"),  # not of the study, known by the family's name in front
        (("headqa_en/train", "headqa_es/test"), "headqa_es", "test"),  # the gravest counts
        (("pubmedqa/test",), "headqa_es", "not_named"),
        (("headqa_es/test",), "medmcqa", "not_named"),
    ],
)
def test_flags(declared: Any, task: str, expected: str) -> None:
    found = findings(labels=labels(**{CLINICAL: {"trained_on": declared}}))
    assert flag_of(found, CLINICAL, task, "test") == expected


def test_absent_without_registry_entries() -> None:
    assert contamination_section(findings()) is None


def test_section_names_what_is_declared_and_claims_nothing_else() -> None:
    section = contamination_section(findings(labels=labels()))
    assert section is not None
    lead, table = section.blocks
    assert isinstance(lead, Paragraph)
    assert isinstance(table, Table)
    assert f"{CLINICAL} (headqa_es); such scores may be memory." in lead.text
    assert f"Of {GENERALIST} it is not known." in lead.text
    assert lead.text.endswith("That is no proof that anything was unseen.")
    heads = [column.label for column in table.columns]
    clinical = dict(zip(heads, table.rows[0], strict=True))
    assert (clinical["Trained on the split that is asked"].text, clinical["Trained on the split that is asked"].alert) == (
        "headqa_es",
        True,
    )
    assert (clinical["Trained on another split"].text, clinical["Trained on another split"].alert) == ("medmcqa", False)
    assert clinical["Knowledge up to"].text == "2023-12"
    assert {head: cell.text for head, cell in zip(heads, table.rows[1], strict=True)}["Unknown"] == "all tasks"
    assert len(table.data.rows) == 2 * len(TASKS)


def test_declared_none_is_still_no_proof() -> None:
    found = findings(labels=labels(**{name: {"trained_on": ()} for name in (CLINICAL, GENERALIST)}))
    section = contamination_section(found)
    assert section is not None
    lead = section.blocks[0]
    assert isinstance(lead, Paragraph)
    assert lead.text == "No model is declared to have been trained on what is asked here. That is no proof that anything was unseen."
