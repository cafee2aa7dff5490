"""Every rendition of a question at once: right in all of them, right in any."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from evalsuite.report.blocks import Block, Bullets, Paragraph, Table
from evalsuite.report.findings import Findings, in_order, primary_strategy, records
from evalsuite.report.sentences import Row
from evalsuite.report.tables import Shown, number_column, table_of, text_column, zero_width
from evalsuite.report.words import SHARES, counted, interval, number, scale_of, share

OVER_ALL = "meaning-preserving"
"""Scope of the rows over all perturbations of that family and the reference together."""

MAX_SAID = 12
"""Most rows that are put into sentences."""


def worst_blocks(findings: Findings) -> list[Block]:
    """How many questions survive every rendition, in sentences and a table; none where nothing has several renditions."""
    frame = findings.analyses.worst
    if not len(frame):
        return []
    frame = _in_order(findings, frame)
    rows: list[Row] = [row for row in records(frame) if row["scope"] == OVER_ALL and scale_of(findings, row["metric"]) == SHARES]
    known = [row for row in rows if row["worst"] is not None and row["mean"] is not None]
    lead = [row for row in known if row["strategy"] == primary_strategy(findings.study)]
    said = lead or [row for row in known if row["strategy"] == known[0]["strategy"]]
    blocks: list[Block] = []
    if said:
        reference = findings.study.analysis.primary.perturbation
        beside = "the unperturbed question" if reference == "none" else reference
        text = f"Worst case over all meaning-preserving renditions and {beside} together, under "
        blocks.append(Paragraph(text=f"{text}{said[0]['strategy']}:"))
        blocks.append(Bullets(items=tuple(_said(row, said) for row in said[:MAX_SAID])))
    if len(said) > MAX_SAID:
        blocks.append(Paragraph(text=f"{counted(len(said) - MAX_SAID, 'further row')}: in the table.", small=True))
    return [*blocks, _table(findings, frame)]


def _in_order(findings: Findings, frame: pd.DataFrame) -> pd.DataFrame:
    """By task and strategy as the study lists them, the scope of all first, then perturbations in its order, then models."""
    scopes = [OVER_ALL, *(entry.label for entry in findings.study.perturbations)]
    ordered = in_order(findings, frame.reset_index(drop=True)).reset_index(drop=True)
    places = [scopes.index(name) if name in scopes else len(scopes) for name in ordered["scope"]]
    heads = list(dict.fromkeys(zip(ordered["task"], ordered["strategy"], strict=True)))
    keys = [heads.index(head) for head in zip(ordered["task"], ordered["strategy"], strict=True)]
    order = sorted(range(len(ordered)), key=lambda at: (keys[at], places[at], ordered["scope"].iloc[at], at))
    return ordered.iloc[order].reset_index(drop=True)


def _said(row: Row, rows: Sequence[Row]) -> str:
    where = f" on {row['task']}" if len({other["task"] for other in rows}) > 1 else ""
    flat = row["worst_low"] is None or zero_width(row["worst_low"], row["worst_high"])
    limits = "" if flat else f" (interval {interval(row['worst_low'], row['worst_high'], SHARES)})"
    return (
        f"{row['model']}{where}: {number(row['mean'], SHARES)}% right on average over {int(row['n_variants'])} renditions, "
        f"{number(row['worst'], SHARES)}%{limits} of {counted(int(row['n_samples']), 'question')} right in every one, "
        f"{number(row['best'], SHARES)}% in at least one."
    )


def _table(findings: Findings, frame: pd.DataFrame) -> Table:
    several = {name: frame[name].nunique() > 1 for name in ("task", "metric", "strategy")}

    def valued(label: str, key: str) -> Shown:
        return number_column(label, lambda row: number(row[key], scale_of(findings, row["metric"])))

    def between(row: Row) -> str:
        limits = interval(row["worst_low"], row["worst_high"], scale_of(findings, row["metric"]))
        return limits + " *" * zero_width(row["worst_low"], row["worst_high"])

    def task(row: Row) -> str:
        return str(row["task"])

    columns: list[Shown] = [text_column("Task", task)] if several["task"] else []
    columns += [text_column("Renditions of", lambda row: f"all {OVER_ALL}" if row["scope"] == OVER_ALL else str(row["scope"]))]
    columns += [text_column("Model", lambda row: str(row["model"]))]
    columns += [text_column("Metric", lambda row: str(row["metric"]))] if several["metric"] else []
    columns += [text_column("Strategy", lambda row: str(row["strategy"]))] if several["strategy"] else []
    columns += [
        number_column("How many", lambda row: "–" if row["n_variants"] is None else f"{int(row['n_variants']):,}"),
        valued("Mean", "mean"),
        valued("Right in every one", "worst"),
        number_column(f"{share(1 - findings.study.analysis.alpha)} interval", between),
        valued("Right in any", "best"),
        valued("Lowest mean", "lowest"),
        number_column("Samples", lambda row: "–" if row["n_samples"] is None else f"{int(row['n_samples']):,}"),
    ]
    columns += [text_column("Note", lambda row: str(row["note"] or ""))] if frame["note"].fillna("").any() else []
    note = (
        "Each sample with all its renditions; those that a perturbation refused leave. Right in every one: the share of samples whose "
        "answer is right however the question is put, which can only fall with more renditions. Lowest mean: that of the rendition with "
        "the fewest right answers."
    )
    if any(zero_width(row["worst_low"], row["worst_high"]) for row in records(frame)):
        note += " * All samples alike: the interval knows nothing of samples not seen."
    return table_of(frame, columns, name="worst", title="Worst case over renditions", note=note)
