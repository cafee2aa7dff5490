"""Eyes-off: what was sealed, when it was opened, and whether what was seen in the open holds on it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from evalsuite.report.blocks import Block, Cell, Column, Notice, Paragraph, Section, Table, data_of_rows
from evalsuite.report.findings import Findings, in_order, pooled_name, primary_strategy, records
from evalsuite.report.sentences import Row
from evalsuite.report.tables import Shown, number_column, table_of, text_column, zero_width
from evalsuite.report.words import SHARES, Scale, counted, interval, listed, number, scale_of, share
from evalsuite.seals import Holdout
from evalsuite.stats.eyes_off import POOLED

OPEN, SEALED = "Eyes-on", "Eyes-off"
MAX_NAMED = 6
"""Most models whose change is told in a sentence."""


def seal_notice(findings: Findings) -> tuple[Notice, ...]:
    """What the first screen must say of the seal: that it was opened, and whether the study was changed since."""
    holdout = findings.holdout
    if holdout is None or holdout.opening is None:
        return ()
    date = holdout.opening.date
    if holdout.changed:
        text = f"The study was changed after its seal was opened on {date} ({', '.join(holdout.changed)}): {_after(holdout)}"
        return (Notice(level="warning", text=text),)
    if holdout.unsealed:
        return (Notice(level="note", text=f"These results are about the sealed part of the study alone, opened on {date}."),)
    return (Notice(level="note", text=f"The sealed part of this study was opened on {date}; these results are about the rest."),)


def eyes_off_section(findings: Findings) -> Section | None:
    """The sealed part; absent where the study seals nothing."""
    holdout = findings.holdout
    if holdout is None:
        return None
    blocks: list[Block] = [Paragraph(text=_lead(holdout))]
    if holdout.seen:
        days = listed(list(holdout.seen))
        text = f"Versions of this study that sealed nothing or other groups were stated or run on this store on {days}"
        blocks.append(Notice(level="warning", text=f"{text}: part of what is sealed now may have been seen then."))
    if holdout.unsealed and holdout.absent:
        blocks.append(Notice(level="note", text=f"Nothing stands beside the sealed part: {holdout.absent}."))
    blocks.append(_counts(holdout))
    means, differences = (in_order(findings, frame) for frame in (findings.eyes_off.models, findings.eyes_off.pairs))
    blocks += [Paragraph(text=text) for text in _reading(findings, means, differences)]
    blocks += [_table(findings, frame, name, title) for frame, name, title in _frames(means, differences) if len(frame)]
    return Section(anchor="eyes_off", title=SEALED, blocks=tuple(blocks))


def _frames(means: pd.DataFrame, differences: pd.DataFrame) -> list[tuple[pd.DataFrame, str, str]]:
    return [
        (differences, "eyes_off_pairs", "Paired differences, first − second, on both parts"),
        (means, "eyes_off_models", "Means on both parts"),
    ]


def _after(holdout: Holdout) -> str:
    if holdout.unsealed:
        return "it is no longer the study that it was opened for."
    return "what was chosen since was chosen with the sealed part known, and nothing of it is left unseen."


def _lead(holdout: Holdout) -> str:
    """How much is sealed and, where it was opened, when and after how much looking."""
    sealed = f"{share(holdout.share)} of the groups of the evaluated splits are sealed, by a seeded draw"
    opening = holdout.opening
    if opening is None:
        return f"{sealed}; nothing in this report knows of them. “evalsuite run STUDY --unseal” scores them, once."
    when = f"{sealed}. The seal was opened on {opening.date}, {_runs(opening.n_runs, opening.n_plans)}"
    if holdout.unsealed:
        return f"{when}. This report scores them and nothing else."
    return f"{when}. Nothing of it enters this report, but what is chosen since then may rest on it."


def _runs(n_runs: int, n_plans: int) -> str:
    """After how many runs, as a clause."""
    if not n_runs:
        return "before any run of the study on this store had made a report"
    plans = " of one plan" if n_plans == 1 else f" of {n_plans:,} different plans"
    return f"after {counted(n_runs, 'run')} of the study on this store{plans if n_runs > 1 else ''}"


def _counts(holdout: Holdout) -> Table:
    """How much is sealed of each task."""
    heads = (Column(label="Task"), Column(label="Samples sealed", kind="number"), Column(label="Groups sealed", kind="number"))
    cells = tuple(
        (Cell(text=task), Cell(text=f"{n_samples:,}"), Cell(text=f"{n_groups:,}")) for task, (n_samples, n_groups) in holdout.sealed.items()
    )
    data = data_of_rows(("task", "n_samples", "n_groups"), [(task, *counts) for task, counts in holdout.sealed.items()])
    note = "Tasks that share groups are drawn from together, so that a question is sealed in all of them or in none."
    return Table(name="sealed", title="What is sealed", columns=heads, rows=cells, data=data, note=note if len(cells) > 1 else "")


def _reading(findings: Findings, means: pd.DataFrame, differences: pd.DataFrame) -> list[str]:
    """A sentence per pair and one for all models, of the primary strategy, over all tasks or the only one."""
    texts = []
    for row in _chief(findings, differences):
        scale = _scale(findings, row)
        own = f"{_signed(row['on'], scale)}{scale.difference_unit} in the open, {_signed(row['off'], scale)} on the sealed part"
        texts.append(f"{row['model_a']} − {row['model_b']}, {_where(findings, row)}: {own}; {_change(row, scale)}")
    chief = _chief(findings, means)
    if 0 < len(chief) <= MAX_NAMED:
        scale = _scale(findings, chief[0])
        said = [f"{row['model']} {_signed(row['gap'], scale)} ({interval(row['gap_low'], row['gap_high'], scale)})" for row in chief]
        unit = f", in{scale.difference_unit}" if scale.difference_unit else ""
        texts.append(f"Mean on the sealed part less that in the open, {_where(findings, chief[0])}{unit}: {listed(said)}.")
    return texts


def _chief(findings: Findings, frame: pd.DataFrame) -> list[Row]:
    """Rows of the primary strategy over all tasks, or over the only one, that have numbers."""
    rows = [row for row in records(frame) if row["strategy"] == primary_strategy(findings.study)]
    pooled = [row for row in rows if row["metric"] == POOLED]
    alone = rows if len({row["task"] for row in rows}) == 1 else []
    return [row for row in pooled or alone if row["gap"] is not None]


def _change(row: Row, scale: Scale) -> str:
    """The change from the open to the sealed part, and what its interval allows to say."""
    between = interval(row["gap_low"], row["gap_high"], scale)
    text = f"a change of {_signed(row['gap'], scale)} ({share(row['ci_level'])} interval {between})"
    if row["gap_low"] is None:
        return f"{text}, of which nothing can be said with so few groups."
    if row["gap_low"] <= 0 <= row["gap_high"]:
        return f"{text}, which chance alone can explain."
    return f"{text}, more than chance alone explains."


def _table(findings: Findings, frame: pd.DataFrame, name: str, title: str) -> Table:
    level = share(frame["ci_level"].iloc[0])
    paired = "model_a" in frame
    rows = records(frame)
    shown: list[Shown] = []
    if len({row["strategy"] for row in rows}) > 1:
        shown.append(text_column("Strategy", lambda row: row["strategy"]))
    shown.append(
        text_column("Pair", lambda row: f"{row['model_a']} − {row['model_b']}")
        if paired
        else text_column("Model", lambda row: row["model"])
    )
    shown.append(text_column("Task", lambda row: pooled_name(findings) if row["metric"] == POOLED else row["task"]))
    if len({row["metric"] for row in rows} - {POOLED}) > 1:
        shown.append(text_column("Metric", lambda row: "right answers" if row["metric"] == POOLED else row["metric"]))
    for label, key in ((OPEN, "on"), (SEALED, "off")):
        shown += _part(findings, label, key, signed=paired)
    shown.append(number_column(f"{SEALED} − {OPEN.lower()}", lambda row: _signed(row["gap"], _scale(findings, row))))
    shown.append(number_column(f"{level} interval", lambda row: interval(row["gap_low"], row["gap_high"], _scale(findings, row))))
    if any(row["status_note"] for row in rows):
        shown.append(text_column("Note", lambda row: row["status_note"] or "–"))
    note = f"Intervals at {level}; the last is one for independent samples, since the two parts share no group. "
    note += "Exploratory: nothing is corrected for the number of rows."
    if any(zero_width(row[f"{key}_low"], row[f"{key}_high"]) for row in rows for key in ("on", "off")):
        note += " * An interval of width zero: the t interval knows nothing of answers not seen."
        note += "" if paired else " The last interval then takes each group for one answer."
    return table_of(frame, shown, name=name, title=title, note=note)


def _part(findings: Findings, label: str, key: str, *, signed: bool) -> Sequence[Shown]:
    def value(row: Row) -> str:
        return number(row[key], _scale(findings, row), signed=signed)

    def between(row: Row) -> str:
        low, high = row[f"{key}_low"], row[f"{key}_high"]
        return interval(low, high, _scale(findings, row)) + (" *" if zero_width(low, high) else "")

    def size(row: Row) -> str:
        return f"{int(row[f'{key}_n_samples']):,}"

    return number_column(label, value), number_column("Interval", between), number_column("n", size)


def _scale(findings: Findings, row: Row) -> Scale:
    return SHARES if row["metric"] == POOLED else scale_of(findings, row["metric"])


def _signed(value: float | None, scale: Scale) -> str:
    return number(value, scale, signed=True)


def _where(findings: Findings, row: Row) -> str:
    return f"over {pooled_name(findings)}" if row["metric"] == POOLED else str(row["task"])
