"""What the scores themselves warn of, where readers look: right after the answer."""

from __future__ import annotations

from evalsuite.report.blocks import Block, Cell, Column, Notice, Section, Table
from evalsuite.report.findings import Findings, data_of, records
from evalsuite.report.sentences import Row

MAX_LISTED = 6
"""Most warnings that are listed one by one."""

KINDS = {
    "ceiling": "scores at the ceiling, where no difference can show",
    "floor": "scores that chance alone can explain",
    "duplicates": "samples that stand twice",
    "contradictory_keys": "the same question with different keys",
    "unlinked": "questions in two tasks that are counted as different ones",
    "unequal_sets": "models that are scored on different samples",
    "one_letter": "models that answer by place",
}
"""Kind of caution to what it is about; other kinds are shown by their name."""


def cautions_section(findings: Findings) -> Section | None:
    """Warnings one by one or, where there are many, by kind with the list in a table below."""
    frame = findings.analyses.cautions
    if not len(frame):
        return None
    rows = records(frame)
    blocks: list[Block] = []
    if len(rows) <= MAX_LISTED:
        blocks += [Notice(level="warning" if row["level"] == "warning" else "note", text=_named(row)) for row in rows]
    else:
        counts: dict[str, int] = {}
        for row in rows:
            if row["level"] == "warning":
                counts[str(row["kind"])] = counts.get(str(row["kind"]), 0) + 1
        said = "; ".join(f"{KINDS.get(kind, kind.replace('_', ' '))} ({n})" for kind, n in counts.items())
        blocks += [Notice(level="warning", text=f"{said[:1].upper()}{said[1:]}.")] if counts else []
        columns = (Column(label="Task"), Column(label="Level"), Column(label="What the scores show"))
        cells = tuple((Cell(text=str(r["task"] or "–")), Cell(text=str(r["level"])), Cell(text=str(r["text"]))) for r in rows)
        blocks.append(Table(name="cautions", title="What the scores warn of", columns=columns, rows=cells, data=data_of(frame)))
    return Section(anchor="cautions", title="Before these numbers are relied on", blocks=tuple(blocks))


def _named(row: Row) -> str:
    """The text, with its task before it; a task is part of no text."""
    return f"{row['task']}: {row['text']}" if row["task"] else str(row["text"])
