"""What each part of the prompting adds: the ladder of a study as sentences, figures and tables, one model at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from evalsuite.report.blocks import Block, Bullets, Figure, Paragraph, Section, Table
from evalsuite.report.figures.canvas import limits, model_style
from evalsuite.report.findings import Findings, data_of, pooled_name, records
from evalsuite.report.forests import shown
from evalsuite.report.ladder_printed import printed_tables
from evalsuite.report.plots.answers import Curve, CurvePanel, CurvePlot, CurvePoint
from evalsuite.report.plots.ladder import LadderMark, LadderPlot, LadderRung
from evalsuite.report.sentences import Row
from evalsuite.report.tables import Shown, number_column, table_of, text_column
from evalsuite.report.words import SHARES, Scale, counted, interval, listed, number, p_number, scale_of, sentence_case, share
from evalsuite.stats.ladder import ALL
from evalsuite.stats.pooling import is_share

MAX_MODELS = 6
"""Most models in one panel: more marks on a rung cannot be told apart."""

MAX_PANELS = 9
"""Most tasks in the small multiples; all of them stand in the table."""

APART = 0.09
"""Distance of two models on one rung of the small multiples."""


def ladder_section(findings: Findings) -> Section | None:
    """What each rung adds within each model; absent without a ladder."""
    frame = findings.analyses.ladder
    if not len(frame):
        return None
    frame = in_ladder_order(findings, frame)
    rows: list[Row] = list(records(frame))
    scope = lead_scope(rows)
    own = [row for row in rows if row["scope"] == scope]
    blocks: list[Block] = [Paragraph(text=_lead(findings, own)), Bullets(items=tuple(_said(findings, own)))]
    blocks += _ladder_figures(findings, frame, own)
    blocks += _task_figures(findings, frame, [row for row in rows if row["scope"] != ALL])
    blocks += _left_out_figures(findings, frame, own)
    blocks += _tables(findings, frame, scope)
    blocks += printed_tables(findings, rows)
    return Section(anchor="ladder", title="What each part of the prompting adds (exploratory)", blocks=tuple(blocks))


def in_ladder_order(findings: Findings, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows by scope and model as the study lists them, the mean over tasks first, then by rung."""
    orders = {"scope": [ALL, *(entry.name for entry in findings.study.tasks)], "model": list(findings.study.models)}
    kinds = ["rung", "whole", "left_out"]
    ranked = frame.assign(
        **{f"_{name}": [order.index(entry) if entry in order else len(order) for entry in frame[name]] for name, order in orders.items()},
        _kind=[kinds.index(kind) for kind in frame["kind"]],
    )
    keys = ["_scope", "scope", "_model", "model", "_kind", "step"]
    return ranked.sort_values(keys, kind="stable")[list(frame.columns)].reset_index(drop=True)


def lead_scope(rows: Sequence[Row]) -> str:
    """What the section leads with: the mean over tasks where it is over several, else the first task."""
    over = next((str(row["tasks"]) for row in rows if row["scope"] == ALL), "")
    tasks = [str(row["scope"]) for row in rows if row["scope"] != ALL]
    return ALL if "," in over or not tasks else tasks[0]


def scope_words(findings: Findings, scope: str) -> str:
    """A scope in a sentence."""
    return pooled_name(findings) if scope == ALL else scope


def scale_for(findings: Findings, row: Row) -> Scale:
    """How the numbers of a row are shown; means over tasks are shares."""
    return SHARES if row["scope"] == ALL else scale_of(findings, row["metric"])


def measured(findings: Findings, rows: Sequence[Row]) -> str:
    """What the means of some rows are of, as a label."""
    metrics = {row["metric"] for row in rows if row["scope"] != ALL}
    if all(name not in findings.metrics or is_share(findings.metrics[name]) for name in metrics):
        return "right answers"
    return metrics.pop() if len(metrics) == 1 else "score"


def stands_out(row: Row) -> bool:
    """Whether the interval of the difference holds no 0, and nothing forbids to read it."""
    return not row["status_note"] and row["ci_low"] is not None and (row["ci_low"] > 0 or row["ci_high"] < 0)


def judged(row: Row) -> bool:
    """Whether there is a difference that may be read."""
    return row["difference"] is not None and row["ci_low"] is not None and not row["status_note"]


def with_interval(row: Row, scale: Scale) -> str:
    """`+2.2 (0.4 to 4.0)`."""
    return f"{number(row['difference'], scale, signed=True)} ({interval(row['ci_low'], row['ci_high'], scale)})"


def _lead(findings: Findings, rows: Sequence[Row]) -> str:
    alpha = findings.study.analysis.alpha
    steps = [row for row in rows if row["kind"] == "rung" and row["against"]]
    known = [row for row in steps if judged(row)]
    up, down = (sum(stands_out(row) and (row["difference"] > 0) is gain for row in known) for gain in (True, False))
    chance = f"{alpha * len(known):.1f}".removesuffix(".0")
    ladder = " → ".join(findings.study.ladder)
    text = f"Each strategy has one part more than the one before it: {ladder}. Over {scope_words(findings, rows[0]['scope'])}, "
    if not known:
        return f"{text}none of {counted(len(steps), 'step')} can be judged."
    text += (
        f"{up} of {counted(len(known), 'step')} (a model and what is added) have a {share(1 - alpha)} interval above 0 and {down} "
        f"below it, where about {chance} would be off 0 by chance alone."
    )
    lost = len(steps) - len(known)
    text += f" {lost} more cannot be judged." if lost else ""
    return f"{text} Differences are within one model, on the same questions. Exploratory: nothing is corrected, none of it was pre-stated."


def _said(findings: Findings, rows: Sequence[Row]) -> list[str]:
    """A sentence per model: from where to where, the steps that stand out, what is missing without a part."""
    said = []
    for model in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == model]
        scale = scale_for(findings, own[0])
        rungs = [row for row in own if row["kind"] == "rung"]
        whole = next(row for row in own if row["kind"] == "whole")
        parts = [f"{model}: {_whole(rungs, whole, scale)}"]
        steps = [row for row in rungs if row["against"]]
        clear = [f"{row['strategy']} {with_interval(row, scale)}" for row in steps if stands_out(row)]
        dim = [row["strategy"] for row in steps if judged(row) and not stands_out(row)]
        if clear:
            parts.append(f"steps whose interval excludes 0: {', '.join(clear)}")
        if dim:
            parts.append(f"not told from 0: {listed(dim)}" if clear or len(dim) < len(steps) else "no single step is told from 0")
        without = [row for row in own if row["kind"] == "left_out" and judged(row)]
        if without:
            less = [f"{row['strategy']} {with_interval(row, scale)}" for row in without]
            parts.append(f"without one part, against {without[0]['against']}: {', '.join(less)}")
        lost = [row for row in own if row["status_note"] and row["kind"] != "whole"]
        if lost:
            names = listed(list(dict.fromkeys(row["strategy"] for row in lost)))
            parts.append(f"not judged: {names} ({'; '.join(dict.fromkeys(row['status_note'] for row in lost))})")
        said.append(". ".join(_capital(part) for part in parts) + ".")
    return said


def _capital(text: str) -> str:
    """A clause as a sentence; a model's name at its start stays as it is."""
    first = text.split(" ", 1)[0]
    return text if first.endswith(":") else text[:1].upper() + text[1:]


def _whole(rungs: Sequence[Row], whole: Row, scale: Scale) -> str:
    first, last = rungs[0], rungs[-1]
    ends = f"{number(first['mean'], scale)}{scale.unit} under {first['strategy']}, {number(last['mean'], scale)}{scale.unit} under "
    ends += str(last["strategy"])
    if whole["difference"] is None:
        return f"{ends}; what the whole ladder adds is not known"
    level = share(whole["ci_level"])
    size = f"{number(whole['difference'], scale, signed=True)}{scale.difference_unit}"
    return f"{ends}; the whole ladder adds {size} ({level} interval {interval(whole['ci_low'], whole['ci_high'], scale)})"


def _chunks(models: Sequence[str]) -> list[list[str]]:
    """Models in panels of at most `MAX_MODELS`, as even as can be."""
    n = -(-len(models) // MAX_MODELS)
    size = -(-len(models) // max(n, 1))
    return [list(models[at : at + size]) for at in range(0, len(models), max(size, 1))]


def _ladder_figures(findings: Findings, frame: pd.DataFrame, rows: Sequence[Row]) -> list[Figure]:
    rungs = [row for row in rows if row["kind"] == "rung"]
    what, over = sentence_case(measured(findings, rungs)), scope_words(findings, rungs[0]["scope"])
    caption = f"{what} on each rung, and what each adds to the one above it, over {over}"
    return _figures(findings, frame, rungs, name="ladder", caption=caption, minus="the rung above")


def _left_out_figures(findings: Findings, frame: pd.DataFrame, rows: Sequence[Row]) -> list[Figure]:
    without = [row for row in rows if row["kind"] == "left_out"]
    if not without:
        return []
    last = without[0]["against"]
    whole = [{**row, "difference": None, "against": ""} for row in rows if row["kind"] == "rung" and row["strategy"] == last]
    caption = f"The last rung, {last}, and the same without one part each, over {scope_words(findings, rows[0]['scope'])}"
    return _figures(findings, frame, [*whole, *without], name="ladder_left_out", caption=caption, minus=last)


def _figures(findings: Findings, frame: pd.DataFrame, rows: Sequence[Row], *, name: str, caption: str, minus: str) -> list[Figure]:
    """One figure per handful of models, all on the same axes; none where the metric is no share."""
    if scale_for(findings, rows[0]) != SHARES:
        return []
    ends = limits([shown(row[key], 100) for row in rows for key in ("mean", "mean_low", "mean_high")])
    spans = limits([shown(row[key], 100) for row in rows for key in ("difference", "ci_low", "ci_high")], around=(-1.0, 1.0))
    level = share(rows[0]["ci_level"])
    ordered = name == "ladder"
    chunks = _chunks(list(dict.fromkeys(row["model"] for row in rows)))
    figures = []
    for at, models in enumerate(chunks, 1):
        rungs = []
        for place, strategy in enumerate(dict.fromkeys(row["strategy"] for row in rows), 1):
            marks = [_mark(findings, row) for model in models for row in rows if (row["model"], row["strategy"]) == (model, strategy)]
            label = f"{place}  {strategy}" if ordered else strategy
            rungs.append(LadderRung(label=label, marks=tuple(marks), first=place == 1))
        plot = LadderPlot(
            axis=f"{measured(findings, rows)}, percent",
            difference_axis=f"points over {minus if len(minus) <= 22 else 'the whole'}",
            limits=ends,
            difference_limits=spans,
            rungs=tuple(rungs),
            joined=ordered,
        )
        drawn = [mark for rung in rungs for mark in rung.marks if mark.difference is not None]
        n = sum(mark.clear for mark in drawn)
        part = f" ({listed(models)})" if len(chunks) > 1 else ""
        have = f"{n} of {counted(len(drawn), 'difference')} {'has' if n == 1 else 'have'}"
        said = f"{caption}{part}: {have} a {level} interval without 0 (filled)."
        alt = f"Rungs from top to bottom; means on the left, differences minus {minus} on the right. {_spoken(rungs)}"
        stem = name if len(chunks) == 1 else f"{name}_{at}"
        figures.append(Figure(name=stem, plot=plot, caption=said, alt=alt, data=data_of(frame)))
    return figures


def _mark(findings: Findings, row: Row) -> LadderMark:
    color, marker = model_style(findings.study.models)[row["model"]]
    return LadderMark(
        model=row["model"],
        color=color,
        marker=marker,
        mean=shown(row["mean"], 100),
        low=shown(row["mean_low"], 100),
        high=shown(row["mean_high"], 100),
        difference=shown(row["difference"], 100),
        difference_low=shown(row["ci_low"], 100),
        difference_high=shown(row["ci_high"], 100),
        clear=row["difference"] is not None and stands_out(row),
    )


def _spoken(rungs: Sequence[LadderRung]) -> str:
    """A ladder for those who cannot see it."""

    def one(mark: LadderMark) -> str:
        mean = "no number" if mark.mean is None else f"{mark.mean:.1f}%"
        return f"{mark.model} {mean}" + ("" if mark.difference is None else f" ({mark.difference:+.1f})")

    return " ".join(f"{rung.label}: {', '.join(one(mark) for mark in rung.marks)}." for rung in rungs)


def _task_figures(findings: Findings, frame: pd.DataFrame, rows: Sequence[Row]) -> list[Figure]:
    """Small multiples, one panel per task; none where there is one task."""
    rungs = [row for row in rows if row["kind"] == "rung" and row["mean"] is not None and scale_for(findings, row) == SHARES]
    tasks = list(dict.fromkeys(row["scope"] for row in rungs))
    if len(tasks) < 2:
        return []
    ladder = findings.study.ladder
    low, high = limits([100 * row[key] for row in rungs for key in ("mean", "mean_low", "mean_high") if row[key] is not None])
    chunks = _chunks(list(dict.fromkeys(row["model"] for row in rungs)))
    names = ", ".join(f"{at} {strategy}" for at, strategy in enumerate(ladder, 1))
    figures = []
    for at, models in enumerate(chunks, 1):
        own = [row for row in rungs if row["model"] in models]
        panels = tuple(CurvePanel(label=task, curves=_curves(findings, own, models, task)) for task in tasks[:MAX_PANELS])
        plot = CurvePlot(
            x_axis="rung of the ladder",
            y_axis=f"{measured(findings, rungs)}, percent, {share(rows[0]['ci_level'])} intervals",
            x_limits=(0.5, len(ladder) + 0.5),
            y_limits=(max(low, -2.0), min(high, 102.0)),
            diagonal="",
            panels=panels,
        )
        more = f" {counted(len(tasks) - MAX_PANELS, 'further task')}: in the table." if len(tasks) > MAX_PANELS else ""
        alt = "Curves, one panel per task. Across: rungs of the ladder; up: right answers in percent. " + " ".join(
            f"{panel.label}, {curve.model}: {', '.join(f'{point.y:.1f}' for point in curve.points)}."
            for panel in panels
            for curve in panel.curves
        )
        stem = "ladder_tasks" if len(chunks) == 1 else f"ladder_tasks_{at}"
        figures.append(Figure(name=stem, plot=plot, caption=f"The same by task, by rung: {names}.{more}", alt=alt, data=data_of(frame)))
    return figures


def _curves(findings: Findings, rows: Sequence[Row], models: Sequence[str], task: str) -> tuple[Curve, ...]:
    style = model_style(findings.study.models)
    curves = []
    for place, model in enumerate(models):
        apart = APART * (place - (len(models) - 1) / 2)
        points = tuple(
            CurvePoint(x=row["step"] + 1 + apart, y=100 * row["mean"], low=shown(row["mean_low"], 100), high=shown(row["mean_high"], 100))
            for row in rows
            if (row["model"], row["scope"]) == (model, task)
        )
        if points:
            curves.append(Curve(model=model, color=style[model][0], marker=style[model][1], points=points))
    return tuple(curves)


def _tables(findings: Findings, frame: pd.DataFrame, scope: str) -> list[Table]:
    """The numbers of the scope that the section leads with, and those of all others on demand."""
    lead = frame[frame["scope"] == scope]
    note = (
        "Difference: this strategy minus the one it is set against, within the model, over the questions answered under both. Steps: the "
        "rungs by number, each against the one above it; whole: the last rung against the first; less one: the last rung without one part, "
        "against the last rung. p is not corrected."
    )
    where = scope_words(findings, scope)
    tables = [_table(findings, lead, name="ladder", title=f"What each part of the prompting adds, {where}", note=note)]
    # Over one task the mean over tasks is that task's.
    others = frame[(frame["scope"] != scope) & ((frame["scope"] != ALL) | frame["tasks"].str.contains(","))]
    if len(others):
        table = _table(findings, others, name="ladder_tasks", title="What each part of the prompting adds, by task", note="")
        tables.append(replace(table, folded=True))
    return tables


def _table(findings: Findings, frame: pd.DataFrame, *, name: str, title: str, note: str) -> Table:
    level = share(frame["ci_level"].iloc[0])
    several = frame["scope"].nunique() > 1
    kinds = {"whole": "whole", "left_out": "less one"}
    columns: list[Shown] = [text_column("Task", lambda row: scope_words(findings, row["scope"]))] if several else []
    columns += [
        text_column("Model", lambda row: row["model"]),
        text_column("Strategy", lambda row: row["strategy"]),
        text_column("Set against", lambda row: row["against"] or "–"),
        text_column("Step", lambda row: kinds.get(row["kind"], str(int(row["step"]) + 1))),
        number_column("Mean", lambda row: number(row["mean"], scale_for(findings, row))),
        number_column(f"{level} interval", lambda row: interval(row["mean_low"], row["mean_high"], scale_for(findings, row))),
        number_column("Difference", lambda row: number(row["difference"], scale_for(findings, row), signed=True)),
        number_column("its interval", lambda row: interval(row["ci_low"], row["ci_high"], scale_for(findings, row))),
        number_column("p", lambda row: p_number(row["p_value"])),
        number_column("Samples", lambda row: f"{int(row['n_samples']):,}"),
        number_column("Groups", lambda row: f"{int(row['n_groups']):,}"),
    ]
    columns += [text_column("Note", lambda row: row["status_note"])] if frame["status_note"].fillna("").any() else []
    return table_of(frame, columns, name=name, title=title, note=note)
