"""The section of the report in which answers are looked through one by one."""

from __future__ import annotations

from evalsuite.report.blocks import Explorer, Paragraph, Section
from evalsuite.report.explorer_tables import ExplorerData
from evalsuite.report.findings import Findings
from evalsuite.report.words import counted


def explorer_section(findings: Findings) -> Section | None:
    """Every compared answer of both models of a pair; None where the findings hold none."""
    data = findings.explorer
    if data is None:
        return None
    return Section(anchor="explorer", title="Answers side by side", blocks=(Paragraph(text=_lead(data)), Explorer(data=data)))


def _lead(data: ExplorerData) -> str:
    """How many rows there are, how many show a disagreement, and of what no text is shown."""
    n_rows, n_apart = len(data.rows) + data.n_beyond, int((data.rows["outcome"] < 2).sum()) + data.n_apart_beyond
    text = (
        f"Every answer that enters a comparison, with the prompt as sent: {counted(n_rows, 'row')}, one per pair, condition and sample."
        f" In {n_apart:,} of them one model does better than the other; those of the primary cell are shown first."
    )
    restricted = [task.name for task in data.tasks if task.restricted]
    return f"{text} Of restricted tasks ({', '.join(restricted)}) only status and outcome are shown." if restricted else text
