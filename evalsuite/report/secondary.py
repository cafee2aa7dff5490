"""The section about the secondary family: comparisons that were stated beforehand too, behind the gate of the primary ones."""

from __future__ import annotations

import pandas as pd

from evalsuite.report.blocks import Block, Paragraph, Section
from evalsuite.report.findings import Findings, family_size, in_order, records, whole
from evalsuite.report.tables import comparison_table, estimate_table, p_note
from evalsuite.report.words import p_phrase

CELLS = ("strategy", "perturbation")


def secondary_section(findings: Findings) -> Section | None:
    """Estimates and comparisons of the secondary family, and whether it could be tested."""
    estimates, comparisons = (in_order(findings, secondary_rows(frame)) for frame in (findings.estimates, findings.comparisons))
    if not len(comparisons):
        return None
    title, note = "Paired differences, secondary", p_note(findings, comparisons)
    blocks: list[Block] = [
        Paragraph(text=gate_text(findings)),
        comparison_table(findings, comparisons, name="secondary_differences", title=title, note=note, cells=CELLS),
    ]
    if len(estimates):
        note = "Scores in the cells of the secondary comparisons."
        blocks.append(estimate_table(findings, estimates, name="secondary_scores", title="Scores, secondary", note=note, cells=CELLS))
    return Section(anchor="secondary", title="Secondary comparisons", blocks=tuple(blocks))


def secondary_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the secondary family over all samples; none if the frame has no roles."""
    rows = whole(frame)
    return rows[rows["role"] == "secondary"] if "role" in rows else rows.iloc[:0]


def gate_text(findings: Findings) -> str:
    """What the gate is, and whether the primary family opened it."""
    alpha = findings.study.analysis.alpha
    rows = whole(findings.comparisons)
    found = [row["p_adjusted"] for row in records(rows[rows["role"] == "primary"])]
    tested = [p for p in found if p is not None]
    if not tested or len(tested) < (family_size(findings) or len(found)):
        state = "Not every primary comparison could be tested, so that nothing is claimed here"
    elif max(tested) > alpha:
        state = (
            f"Not every primary difference is significant (the largest adjusted {p_phrase(max(tested))}), so that nothing is claimed here"
        )
    else:
        state = f"All primary differences are significant (the largest adjusted {p_phrase(max(tested))}), so that the verdicts here count"
    return (
        "These comparisons were stated beforehand as a second family. They are tested only where every primary difference is significant: "
        "no adjusted p-value here, of a difference or against the margin, is below the largest one of the primary differences. "
        f"{state}."
    )
