"""Position bias: which places are taken where they are wrong, and how often each is answered and right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from evalsuite.report.blocks import Block, Bullets, DataFile, Figure, Paragraph, Table, slug
from evalsuite.report.drops import at_judged_strategy, in_families, reason_marks, reasons_said
from evalsuite.report.findings import Findings, data_of, in_order, records
from evalsuite.report.plots.heat import HeatCell, HeatGroup, HeatPlot
from evalsuite.report.sentences import Row
from evalsuite.report.tables import Shown, number_column, table_of, text_column
from evalsuite.report.words import SHARES, Scale, counted, interval, number, share

REORDERINGS = ("shuffle_choices", "cyclic_shift", "gold_at")
"""Perturbations by plugin name that do nothing but move the choices."""

MAX_TASKS = 6
"""Most tasks that have a figure each; all of them stand in the table."""

ONE_PLACE = 0.999
"""Share of right choices from which on a place holds them all: then a bias cannot be told from being right."""

LOG_ODDS = Scale(factor=1.0, n_digits=2, unit="", difference_unit="")


def position_blocks(findings: Findings) -> list[Block]:
    """Where models answer more often than the right choice stands there; none without choices."""
    frame = findings.analyses.positions
    if not len(frame):
        return []
    reference = findings.study.analysis.primary.perturbation
    kinds = findings.labels.perturbations
    plugins = {name: kinds[name].name if name in kinds else name for name in frame["perturbation"].unique()}
    kept = frame[[name == reference or plugins[name] in REORDERINGS for name in frame["perturbation"]]]
    if not len(kept):
        return []
    ordered = _in_order(findings, kept)
    lead = _lead_rows(findings, ordered)
    said = _said(findings, lead)
    blocks: list[Block] = []
    if said:
        text = (
            "Does the place of a choice matter? Read off wrong answers: the log-odds of a place say how much more often it is taken than "
            "the average other wrong place; 0: no liking for it."
        )
        blocks += [Paragraph(text=text), Bullets(items=tuple(said))]
    blocks += [*_figures(findings, lead), _table(ordered)]
    if len(frame) > len(kept):
        what = "Places under every perturbation that moves right choices, unrounded"
        blocks.append(DataFile(name="positions_all", text=what, data=data_of(in_order(findings, frame.reset_index(drop=True)))))
    return blocks


def _in_order(findings: Findings, frame: pd.DataFrame) -> pd.DataFrame:
    """Tasks, then the reference, then perturbations; strategies, models and places within."""
    reference = findings.study.analysis.primary.perturbation
    ordered = in_families(findings, frame.sort_values(["n_choices", "position"], kind="stable"))
    tasks = list(dict.fromkeys(ordered["task"]))
    keys = zip(ordered["task"], ordered["perturbation"], strict=True)
    ranks = [(tasks.index(task), perturbation != reference, at) for at, (task, perturbation) in enumerate(keys)]
    return ordered.iloc[[rank[-1] for rank in sorted(ranks)]].reset_index(drop=True)


def _lead_rows(findings: Findings, frame: pd.DataFrame) -> list[Row]:
    """What is drawn and said: the judged strategy, the commonest number of choices, right choices in more than one place."""
    rows: list[Row] = list(records(at_judged_strategy(findings, frame)))
    n_answers: dict[tuple[str, str], dict[int, int]] = {}
    for row in rows:
        of = n_answers.setdefault((row["task"], row["perturbation"]), {})
        of[int(row["n_choices"])] = of.get(int(row["n_choices"]), 0) + int(row["n_answers"] or 0)
    common = {key: max(sorted(of), key=lambda n: of[n]) for key, of in n_answers.items()}
    rows = [row for row in rows if int(row["n_choices"]) == common[row["task"], row["perturbation"]]]
    fixed = {_cell(row) for row in rows if (row["share_right"] or 0.0) > ONE_PLACE}
    return [row for row in rows if _cell(row) not in fixed]


def _cell(row: Row) -> tuple[str, str]:
    return row["task"], row["perturbation"]


def _clear(row: Row) -> bool:
    return row["ci_low"] is not None and row["ci_high"] is not None and (row["ci_low"] > 0 or row["ci_high"] < 0)


def _said(findings: Findings, rows: Sequence[Row]) -> list[str]:
    """The place that each model likes or avoids most on unperturbed questions, where its interval holds no 0."""
    reference = findings.study.analysis.primary.perturbation
    on = "on unperturbed questions" if reference == "none" else f"under {reference}"
    own = [row for row in rows if row["perturbation"] == reference and row["log_odds"] is not None]
    several = len({row["task"] for row in own}) > 1
    said = []
    for model in dict.fromkeys(row["model"] for row in own):
        of = [row for row in own if row["model"] == model]
        clear = [row for row in of if _clear(row)]
        if not clear:
            said.append(f"{model}, {on}: none of {counted(len(of), 'place')} has an interval of the log-odds without 0.")
            continue
        most = max(clear, key=lambda row: abs(float(row["log_odds"])))
        where = f" on {most['task']}" if several else ""
        shares = f"{number(most['share_answered'], SHARES)}% of the answers and {number(most['share_right'], SHARES)}% of the right choices"
        limits = f"{share(most['ci_level'])} interval {interval(most['ci_low'], most['ci_high'], LOG_ODDS)}, not corrected"
        said.append(
            f"{model}, {on}: {len(clear)} of {counted(len(of), 'place')} {_has(len(clear))} an interval of the log-odds without 0; "
            f"furthest off is place {int(most['position']) + 1}{where}, {number(most['log_odds'], LOG_ODDS, signed=True)} ({limits}), "
            f"with {shares}."
        )
    return said


def _has(n: int) -> str:
    return "has" if n == 1 else "have"


def _figures(findings: Findings, rows: Sequence[Row]) -> list[Figure]:
    """Per task, models against places, one group of places per perturbation."""
    tasks = [
        task
        for task in dict.fromkeys(row["task"] for row in rows)
        if any(row["log_odds"] is not None for row in rows if row["task"] == task)
    ]
    largest = max((abs(row["log_odds"]) for row in rows if row["log_odds"] is not None), default=0.0) or 1.0
    figures = []
    for task in tasks[:MAX_TASKS]:
        own = [row for row in rows if row["task"] == task]
        name = "positions_shown" if len(tasks) == 1 else f"positions_{slug(str(task)[:60])}"
        figures.append(_figure(findings, own, name=name, largest=largest))
    return figures


def _figure(findings: Findings, rows: Sequence[Row], *, name: str, largest: float) -> Figure:
    order = list(findings.study.models)
    models = sorted(dict.fromkeys(row["model"] for row in rows), key=lambda model: order.index(model) if model in order else len(order))
    groups = {
        perturbation: sorted({int(row["position"]) for row in rows if row["perturbation"] == perturbation})
        for perturbation in dict.fromkeys(row["perturbation"] for row in rows)
    }
    of = {(row["model"], row["perturbation"], int(row["position"])): row for row in rows}
    reference = findings.study.analysis.primary.perturbation
    columns = tuple(
        HeatGroup(label="unperturbed" if perturbation == reference == "none" else perturbation, names=tuple(str(at + 1) for at in places))
        for perturbation, places in groups.items()
    )
    marks = reason_marks([str(row["note"] or "no number") for row in rows if row["log_odds"] is None])
    cells = tuple(
        tuple(_heat_cell(of.get((model, perturbation, at)), marks) for perturbation, places in groups.items() for at in places)
        for model in models
    )
    plot = HeatPlot(
        rows=(HeatGroup(label="", names=tuple(models)),),
        columns=columns,
        cells=cells,
        largest=largest,
        gain="liked",
        loss="avoided",
    )
    drawn = [cell for row in cells for cell in row if cell is not None and cell.value is not None]
    n = sum(cell.clear for cell in drawn)
    task = rows[0]["task"]
    caption = (
        f"Log-odds of taking a place as shown where it is wrong, on {task}: {n} of {len(drawn)} {_has(n)} an interval without 0 (bold, not "
        f"corrected).{reasons_said(marks)}"
    )
    spoken = " ".join(_spoken([row for row in rows if row["model"] == model], model) for model in models)
    alt = f"Heat map of models and places of choices on {task}; log-odds of each place. {spoken}"
    return Figure(name=name, plot=plot, caption=caption, alt=alt, data=data_of(pd.DataFrame(list(rows))))


def _heat_cell(row: Row | None, marks: Mapping[str, str]) -> HeatCell | None:
    if row is None:
        return None
    if row["log_odds"] is None:
        return HeatCell(value=None, text=marks[str(row["note"] or "no number")])
    return HeatCell(value=row["log_odds"], text=number(row["log_odds"], LOG_ODDS, signed=True), clear=_clear(row))


def _spoken(rows: Sequence[Row], model: str) -> str:
    said = [f"{row['perturbation']} {int(row['position']) + 1} {number(row['log_odds'], LOG_ODDS, signed=True)}" for row in rows]
    return f"{model}: {', '.join(said)}."


def _table(frame: pd.DataFrame) -> Table:
    several = {name: frame[name].nunique() > 1 for name in ("task", "strategy", "n_choices")}
    levels = frame["ci_level"].dropna()
    columns: list[Shown] = [text_column("Task", lambda row: str(row["task"]))] if several["task"] else []
    columns += [text_column("Perturbation", lambda row: str(row["perturbation"]))]
    columns += [text_column("Strategy", lambda row: str(row["strategy"]))] if several["strategy"] else []
    columns += [text_column("Model", lambda row: str(row["model"]))]
    columns += [number_column("Choices", lambda row: str(int(row["n_choices"])))] if several["n_choices"] else []
    columns += [
        number_column("Place", lambda row: str(int(row["position"]) + 1)),
        number_column("Answered %", lambda row: number(row["share_answered"], SHARES)),
        number_column("Right there %", lambda row: number(row["share_right"], SHARES)),
        number_column("Log-odds", lambda row: number(row["log_odds"], LOG_ODDS, signed=True)),
        number_column(
            f"{share(levels.iloc[0])} interval" if len(levels) else "Interval",
            lambda row: interval(row["ci_low"], row["ci_high"], LOG_ODDS),
        ),
        number_column("Answers", lambda row: "–" if row["n_answers"] is None else f"{int(row['n_answers']):,}"),
        number_column("Samples", lambda row: "–" if row["n_samples"] is None else f"{int(row['n_samples']):,}"),
    ]
    columns += [text_column("Note", lambda row: str(row["note"] or ""))] if frame["note"].fillna("").any() else []
    note = (
        "Places as shown, from 1. Answered: share of the answers that could be read; right there: share of the same samples whose right "
        "choice stands there. Log-odds: of taking the place among wrong answers, against the average other wrong place; not corrected."
    )
    table = table_of(frame, columns, name="positions", title="Answers and right choices by place", note=note)
    return replace(table, folded=True)
