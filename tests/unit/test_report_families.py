"""Words for what stands beside the primary verdicts: non-inferiority, Benjamini-Hochberg, the secondary family, sensitivity."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from evalsuite.report.findings import Findings, records
from evalsuite.report.glossary import glossary_section
from evalsuite.report.results import exploratory_section
from evalsuite.report.secondary import gate_text, secondary_section
from evalsuite.report.sentences import sentence
from evalsuite.report.tables import sensitivity_table
from tests.unit import report_findings as made

NONINFERIOR = {
    "p_a_noninferior": 0.003, "p_a_noninferior_adjusted": 0.012, "p_b_noninferior": 0.4, "p_b_noninferior_adjusted": 1.0,
    "a_noninferior": True, "b_noninferior": False,
}  # fmt: skip


def study_with(**analysis: Any) -> Any:
    return made.study(analysis={"margin": 0.03, **analysis})


def secondary_findings(p_values: tuple[float | None, ...], **changes: Any) -> Findings:
    """Primary rows with given adjusted p, and few-shot rows as the secondary family."""
    frame = made.comparisons()
    primary = frame["role"] == "primary"
    frame.loc[primary, "p_adjusted"] = [float("nan") if p is None else p for p in p_values]
    few = (frame["strategy"] == "few5") & (frame["subset"] == "all")
    frame.loc[few, ["role", "family"]] = "secondary"
    frame.loc[few, "p_adjusted"] = 0.04
    return made.findings(comparisons=frame, study=study_with(secondary={"strategies": ["few5"]}, **changes))


def test_a_model_that_is_not_worse_is_said_to_be_so_where_the_study_cannot_tell() -> None:
    findings = made.findings()
    row = made.comparison_row("medmcqa")
    plain = sentence(findings, row)
    assert "not worse" not in plain
    said = sentence(findings, row | NONINFERIOR)
    words = f"; but {made.CLINICAL} is not worse than {made.GENERALIST} by more than the margin (p = 0.0120 after Holm over 5 comparisons)"
    assert said == plain.removesuffix(".") + words + "."
    both = sentence(findings, row | NONINFERIOR | {"b_noninferior": True, "p_b_noninferior_adjusted": 0.03})
    assert f"{words}, and {made.GENERALIST} is not worse than {made.CLINICAL} by more than the margin (p = 0.0300" in both
    exploratory = sentence(findings, row | NONINFERIOR | {"role": "exploratory", "p_a_noninferior_adjusted": None, "p_adjusted": None})
    assert "by more than the margin (p = 0.0030, not corrected)" in exploratory
    for verdict in ("pocket_clinical_en", "headqa_es", "pubmedqa", "restricted_notes"):
        other = made.comparison_row(verdict)
        assert sentence(findings, other | NONINFERIOR) == sentence(findings, other)


@pytest.mark.parametrize("correction", ["holm", "benjamini_hochberg", "none"])
def test_the_correction_that_was_used_is_named_and_no_other(correction: str) -> None:
    findings = made.findings(study=study_with(correction=correction))
    section = glossary_section(findings)
    assert section is not None
    text = repr(section)
    said = sentence(findings, made.comparison_row("medmcqa"))
    assert (
        ("Benjamini and Hochberg" in text)
        == ("after Benjamini-Hochberg over 5 comparisons" in said)
        == (correction == "benjamini_hochberg")
    )
    assert ("Holm 1979" in text) == ("after Holm" in said) == (correction == "holm")
    assert ("within a family of their own" in text) == (correction != "none")
    assert "Westfall" not in text
    gated = glossary_section(made.findings(study=study_with(correction=correction, secondary={"strategies": ["few5"]})))
    assert "Westfall & Krishen 2001" in repr(gated)


@pytest.mark.parametrize(
    ("p_values", "words"),
    [
        (
            (0.01, 0.02, 0.03, 0.04, 0.0004),
            "All primary differences are significant (the largest adjusted p = 0.0400), so that the",
        ),
        (
            (0.01, 0.02, 0.03, 0.06, 0.0004),
            "Not every primary difference is significant (the largest adjusted p = 0.0600), so that nothing",
        ),
        ((0.01, 0.02, 0.03, 0.04, None), "Not every primary comparison could be tested, so that nothing"),
        ((None,) * 5, "Not every primary comparison could be tested, so that nothing"),
    ],
)
def test_the_gate_is_told_as_it_is(p_values: tuple[float | None, ...], words: str) -> None:
    assert words in gate_text(secondary_findings(p_values))


def test_secondary_rows_stand_in_a_section_of_their_own() -> None:
    findings = secondary_findings((0.01, 0.02, 0.03, 0.04, 0.001))
    section = secondary_section(findings)
    assert section is not None
    (table,) = [block for block in section.blocks if getattr(block, "name", "") == "secondary_differences"]
    assert len(table.rows) == len(made.TASKS)
    assert "Holm-adjusted" in table.note
    assert any(cell.text == "0.0400" for row in table.rows for cell in row)
    exploratory = repr(exploratory_section(findings))
    assert "exploratory_differences" not in exploratory  # none is left
    rows = findings.comparisons
    row = records(rows[rows["role"] == "secondary"])[0]
    assert sentence(findings, row).startswith("Secondary: On ")
    assert "after Holm within the secondary family" in sentence(findings, row)
    assert secondary_section(made.findings()) is None


def test_sensitivity_shows_both_bootstraps_and_both_mcnemar_values() -> None:
    frame = made.comparisons().iloc[:3].assign(bca_low=0.1234, bca_high=0.2341, p_mcnemar_mid=0.0321)
    table = sensitivity_table(made.findings(), frame)
    assert table is not None
    assert [column.label for column in table.columns] == [
        "Task", "Interval", "Bootstrap, percentile", "Bootstrap, BCa", "p", "p, McNemar", "p, McNemar mid-p",
        "Method of p; of the interval",
    ]  # fmt: skip
    texts = [cell.text for cell in table.rows[0]]
    assert "12.3 to 23.4" in texts
    assert "0.0321" in texts
    assert {"bca_low", "p_mcnemar_mid"} <= set(table.data.columns)
    older = sensitivity_table(made.findings(), made.comparisons().iloc[:3])
    assert older is not None
    assert "Bootstrap, BCa" not in [column.label for column in older.columns]
    nothing = made.comparisons().iloc[:3].assign(boot_low=pd.NA, boot_high=pd.NA, p_mcnemar=pd.NA)
    assert sensitivity_table(made.findings(), nothing) is None
