"""Wins, ties and losses: in how many comparisons a difference stands out at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from evalsuite.report.blocks import Figure, Section
from evalsuite.report.figures.canvas import MUTED, model_style
from evalsuite.report.findings import Findings, data_of, in_order, records
from evalsuite.report.plots.differences import SharePlot, ShareRow
from evalsuite.report.sentences import Row
from evalsuite.report.tables import Shown, number_column, table_of, text_column
from evalsuite.report.words import SHARES, counted, interval, number, sentence_case, share

ALL_PAIRS = "all pairs"

PARTS = (("Won", "win", "n_wins"), ("Tied", "tie", "n_ties"), ("Lost", "loss", "n_losses"))
"""Head, column of the share, column of the count."""


def win_shares_section(findings: Findings) -> Section | None:
    """Stacked bars per pair and over all of them, and the shares with their intervals."""
    frame = _ordered(findings)
    if not len(frame):
        return None
    rows = records(frame)
    style = model_style(findings.study.models)
    plot = SharePlot(axis="percent of the comparisons", rows=tuple(_bar(row, style) for row in rows))
    alt = "Stacked bars of wins, ties and losses of the first model of each pair. " + " ".join(
        f"{_named(row)}: {', '.join(f'{number(row[key], SHARES)}% {head.lower()}' for head, key, _ in PARTS)}." for row in rows
    )
    figure = Figure(name="win_shares", plot=plot, caption=_reading(rows), alt=alt, data=data_of(frame))
    level = share(rows[0]["ci_level"])
    shown: list[Shown] = [text_column("Pair", _named), _count("Comparisons", "n_comparisons")]
    for head, key, n in PARTS:
        shown += [_count(head, n), _share(f"{head} %", key), _between(f"{level} interval", key)]
    note = f"{sentence_case(str(rows[0]['method'] or '').rstrip('.'))}." if rows[0]["method"] else ""
    note = f"{note} A tie is no proof of equality: it says only that no difference stood out.".strip()
    table = table_of(frame, shown, name="win_shares", title="Wins, ties and losses of the first model of each pair", note=note)
    return Section(anchor="win_shares", title="Wins, ties and losses", blocks=(figure, table))


def _ordered(findings: Findings) -> pd.DataFrame:
    """Pairs as the study lists them, then the row over all of them where there are several; none without numbers."""
    frame = findings.analyses.shares
    if not len(frame):
        return frame
    frame = frame[frame["win"].notna()].reset_index(drop=True)
    whole = frame["model_a"] == ""
    pairs = in_order(findings, frame[~whole])
    return pd.concat([pairs, frame[whole]]) if len(pairs) != 1 else pairs


def _bar(row: Row, style: Mapping[str, tuple[str, int]]) -> ShareRow:
    total = row["model_a"] == ""
    return ShareRow(
        label=ALL_PAIRS if total else row["model_a"],
        second="" if total else f"− {row['model_b']}",
        win=100 * row["win"],
        tie=100 * row["tie"],
        loss=100 * row["loss"],
        color_win=MUTED if total else style[row["model_a"]][0],
        color_loss=MUTED if total else style[row["model_b"]][0],
        total=total,
    )


def _reading(rows: Sequence[Row]) -> str:
    """The row over all pairs, or the only pair, in one sentence."""
    row = rows[-1]
    who = "the first model of a pair" if row["model_a"] == "" else f"{row['model_a']} against {row['model_b']}"
    n = {key: int(row[key]) for _, _, key in PARTS}
    over = counted(int(row["n_comparisons"]), "comparison")
    return f"Of {over}, each taken alone and not corrected, {who} wins {n['n_wins']}, ties {n['n_ties']} and loses {n['n_losses']}."


def _named(row: Row) -> str:
    return ALL_PAIRS if row["model_a"] == "" else f"{row['model_a']} − {row['model_b']}"


def _count(head: str, key: str) -> Shown:
    return number_column(head, lambda row: "–" if row[key] is None else f"{int(row[key]):,}")


def _share(head: str, key: str) -> Shown:
    return number_column(head, lambda row: number(row[key], SHARES))


def _between(head: str, key: str) -> Shown:
    return number_column(head, lambda row: interval(row[f"{key}_low"], row[f"{key}_high"], SHARES))
