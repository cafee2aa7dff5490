"""How ensembles voted: votes that are missing are counted and shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from evalsuite.report.blocks import Block, Paragraph, Table
from evalsuite.report.findings import Findings, in_order, records
from evalsuite.report.sentences import Row
from evalsuite.report.tables import Shown, number_column, table_of, text_column
from evalsuite.report.words import SHARES, counted, number

MAX_ROWS = 20
"""Rows above which the table is shown on demand."""


def vote_blocks(findings: Findings) -> list[Block]:
    """How many votes were cast and lost, and the table; empty without ensembles."""
    frame = findings.analyses.votes
    if not len(frame):
        return []
    frame = in_order(findings, frame)
    return [Paragraph(text=_votes_said(records(frame))), _votes_table(frame)]


def _votes_said(rows: Sequence[Row]) -> str:
    """How many votes there were, how many could not be read, and where most were lost."""
    n_answers = sum(int(row["n_answers"]) for row in rows)
    n_votes = sum(row["n_answers"] * row["members"] for row in rows)
    lost = sum(row["n_answers"] * row["members"] * row["votes_missing"] for row in rows)
    text = f"Ensembles gave {counted(n_answers, 'answer')} from {counted(round(n_votes), 'vote')}. "
    if not round(lost):
        return f"{text}Every vote could be read."
    worst = max(rows, key=lambda row: row["votes_missing"])
    text += f"{round(lost):,} of them ({number(lost / n_votes, SHARES)}%) could not be read and count for no choice"
    text += f"; the largest share is that of {worst['model']} on {worst['task']} under {worst['strategy']} "
    text += f"({number(worst['votes_missing'], SHARES)}%)."
    silent = sum(int(row["n_silent"]) for row in rows)
    return text + (
        f" {counted(silent, 'answer')} had no readable vote at all and {'is' if silent == 1 else 'are'} missing." if silent else ""
    )


def _votes_table(frame: pd.DataFrame) -> Table:
    def part(label: str, key: str) -> Shown:
        return number_column(label, lambda row: number(row[key], SHARES))

    shown: list[Shown] = [
        text_column("Task", lambda row: row["task"]),
        text_column("Strategy", lambda row: row["strategy"]),
        text_column("Model", lambda row: row["model"]),
        number_column("Answers", lambda row: f"{int(row['n_answers']):,}"),
        number_column("Votes each", lambda row: f"{row['members']:.3g}"),
        part("Votes missing %", "votes_missing"),
        part("Answers with a missing vote %", "answers_missing"),
        number_column("Without any vote", lambda row: f"{int(row['n_silent']):,}"),
        part("Agreement %", "agreement"),
        part("Ties %", "ties"),
        *([part("Outvoted %", "outvoted")] if frame["outvoted"].fillna(0).any() else []),
    ]
    note = (
        "Missing: a member whose answer could not be read; it votes for nothing. Agreement: mean share of the readable votes that the "
        "answer got. Ties: answers in which several choices got the most votes; the one that was voted for first is taken."
    )
    if any(shown_column.label == "Outvoted %" for shown_column, _ in shown):
        note += " Outvoted: answers that another choice got more votes than, since probabilities or ranks were averaged."
    table = table_of(frame, shown, name="votes", title="How the ensembles voted", note=note)
    return replace(table, folded=len(frame) > MAX_ROWS)
