"""Paired differences as figures: the tasks of one pair, all pairs, and everything at a glance."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from evalsuite.report.blocks import Data, Figure, slug
from evalsuite.report.figures.canvas import INK, MUTED, limits, model_style
from evalsuite.report.findings import Findings, Pair, data_of, main_rows, of_pair, pairs_of, pooled_name, pooled_rows, records
from evalsuite.report.plots.differences import ForestPlot, ForestRow, GridCell, GridPlot
from evalsuite.report.sentences import Row, pooled_metric, why_not_established
from evalsuite.report.verdicts import VERDICTS, Verdict
from evalsuite.report.words import VERDICT_NAMES, Scale, counted, interval, language_name, number, scale_of, share

MAX_FORESTS = 6
"""Most pairs that have a forest plot each; above, the grid shows all of them."""

MAX_COLUMNS = 12
"""Most columns of one grid; further ones stand in a second grid."""

MAX_UPRIGHT = 4
"""Most pairs that stand side by side in a grid; more stand below each other."""

NAMES: tuple[tuple[Verdict, str], ...] = tuple(VERDICT_NAMES.items())
"""Meaning of each marker, from the side of the first model."""


def forest_figure(findings: Findings, pair: Pair, *, grouped: bool = False) -> Figure:
    """Paired differences of one pair by task and, below them, over all tasks where those can be pooled.

    Args:
        findings: the axis spans all pairs of it, so that figures can be laid side by side.
        pair: the pair.
        grouped: tasks stand under their families, with what each family and language comes to.
    """
    rows = main_rows(findings, findings.comparisons)
    own = of_pair(rows, pair)
    # One axis has one unit: metrics outside [0, 1] stand in the table, not in the figure, where there are others to draw.
    drawn = [row for row in own if scale_of(findings, row["metric"]).factor == 100] or own
    scale = scale_of(findings, drawn[0]["metric"])
    same_unit = [row for row in records(rows) if scale_of(findings, row["metric"]) == scale]
    pooled = records(findings.analyses.pooled) if scale.factor == 100 else []
    over_all = pooled_of(findings, pair, "all") if len(own) > 1 and scale.factor == 100 else None
    forest = _grouped(findings, pair, drawn) if grouped else [_row(findings, row, row["task"]) for row in drawn]
    forest += [pooled_row(findings, over_all, pooled_name(findings), kind="total")] if over_all else []
    style = model_style(findings.study.models)
    plot = ForestPlot(
        left=pair[1],
        right=pair[0],
        color_left=style[pair[1]][0],
        color_right=style[pair[0]][0],
        axis=_axis(scale, drawn[0]["ci_level"]),
        margin=_margin(findings, drawn, scale),
        limits=_limits(findings, [*same_unit, *pooled], scale),
        rows=tuple(forest),
        names=NAMES,
    )
    alt = (
        f"Forest plot with one row per task. Across: {pair[0]} minus {pair[1]}; to the right of zero favours {pair[0]}. "
        f"The margin of ±{plot.margin:g}{scale.difference_unit} is shaded. {spoken_rows(plot.rows)}"
    )
    caption = f"Paired differences, {pair[0]} minus {pair[1]}: {_reading(plot)}"
    if over_all and over_all["difference"] is not None:
        caption = f"{caption[:-1]}; over {pooled_name(findings)} (diamond) {_with_interval(over_all, scale)}."
    name = f"{'groups' if grouped else 'forest'}_{stems(findings)[pair]}"
    return Figure(name=name, plot=plot, caption=caption, alt=alt, data=data_of(_data(findings, rows, pair)))


def pairs_figure(findings: Findings, rows: Sequence[Row], *, over: str) -> Figure:
    """One difference per pair, one below the other.

    Args:
        findings: for colours and scales.
        rows: one per pair, all of one unit; of the frame `pooled`, or comparisons of one task.
        over: what they are taken over, for caption and alternative text.
    """
    scale = scale_of(findings, _metric(findings, rows[0]))
    forest = []
    for row in rows:
        made = _numbers(findings, row, scale, _color(findings, row))
        forest.append(ForestRow(label=row["model_a"], second=f"− {row['model_b']}", **made))
    plot = ForestPlot(
        left="second better",
        right="first better",
        color_left=MUTED,
        color_right=MUTED,
        axis=_axis(scale, rows[0]["ci_level"]),
        margin=_margin(findings, rows, scale),
        limits=_limits(findings, rows, scale),
        rows=tuple(forest),
        names=NAMES,
    )
    alt = (
        f"Forest plot with one row per pair, over {over}. Across: first model minus second; to the right of zero favours the first. "
        f"The margin of ±{plot.margin:g}{scale.difference_unit} is shaded. {spoken_rows(plot.rows)}"
    )
    caption = f"First model minus second over {over}, one row per pair: {_reading(plot)}"
    frame = pd.DataFrame(list(rows))
    return Figure(name="pairs", plot=plot, caption=caption, alt=alt, data=data_of(frame))


def overview_figures(findings: Findings) -> tuple[Figure, ...]:
    """The verdict of every comparison of the primary cell in a grid of tasks and pairs; none where there is one pair or one task."""
    rows = main_rows(findings, findings.comparisons)
    if len(pairs_of(rows)) < 2 or rows["task"].nunique() < 2:
        return ()
    cells = {}
    for row in records(rows):
        text = "" if row["difference"] is None else number(row["difference"], scale_of(findings, row["metric"]), signed=True)
        cells[(row["model_a"], row["model_b"]), row["task"]] = GridCell(verdict=row["verdict"], color=_color(findings, row), text=text)
    caption = f"{counted(len(cells), 'comparison')} at a glance, first model of each pair minus the second: {_said(cells.values())}."
    return grid_figures(cells, NAMES, name="overview", caption=caption, data=data_of(rows))


def grid_figures(
    cells: Mapping[tuple[Pair, str], GridCell], names: tuple[tuple[Verdict, str], ...], *, name: str, caption: str, data: Data
) -> tuple[Figure, ...]:
    """One marker per pair and task (or whatever else stands in its place), in as many grids as the columns need.

    Args:
        cells: ((model_a, model_b), column) to its marker, in the order in which pairs and columns appear.
        names: what each marker means.
        name: file stem.
        caption: one sentence that reads the figure.
        data: the numbers.
    """
    pairs = list(dict.fromkeys(pair for pair, _ in cells))
    tasks = list(dict.fromkeys(task for _, task in cells))
    words = dict(names)
    alt = "Grid with one marker per comparison. " + " ".join(
        f"{a} minus {b}: {', '.join(f'{task} {words[cells[(a, b), task].verdict]}' for task in tasks if ((a, b), task) in cells)}."
        for a, b in pairs
    )
    # The longer side goes down the page; pairs, whose names are long, do so wherever they would crowd each other.
    upright = len(pairs) <= MAX_UPRIGHT and len(tasks) > len(pairs)
    labels = {pair: (pair[0], f"− {pair[1]}") for pair in pairs}
    if upright:
        grid = tuple(tuple(cells.get((pair, task)) for pair in pairs) for task in tasks)
        plot = GridPlot(rows=tuple((task, "") for task in tasks), columns=tuple(labels.values()), cells=grid, names=names)
        return (Figure(name=name, plot=plot, caption=caption, alt=alt, data=data),)
    found = []
    for at in range(0, len(tasks), MAX_COLUMNS):
        part = tasks[at : at + MAX_COLUMNS]
        grid = tuple(tuple(cells.get((pair, task)) for task in part) for pair in pairs)
        plot = GridPlot(rows=tuple(labels.values()), columns=tuple((task, "") for task in part), cells=grid, names=names)
        whole = len(tasks) <= MAX_COLUMNS
        stem = name if whole else f"{name}_{at // MAX_COLUMNS + 1}"
        said = caption if whole else f"{caption} Here columns {at + 1} to {at + len(part)} of {len(tasks)}."
        found.append(Figure(name=stem, plot=plot, caption=said, alt=alt, data=data))
    return tuple(found)


def pooled_of(findings: Findings, pair: Pair, scope: str) -> Row | None:
    """The pooled difference of a pair in a scope; None where there is none."""
    rows = of_pair(pooled_rows(findings, scope), pair)
    return rows[0] if rows else None


def pools(findings: Findings) -> bool:
    """True where the difference of any pair over all tasks is known."""
    rows = pooled_rows(findings)
    return bool(len(rows) and rows["difference"].notna().any())


def pooled_row(findings: Findings, row: Row, label: str, *, kind: str) -> ForestRow:
    """A pooled difference as a row of its own pair's forest plot."""
    made = _numbers(findings, row, scale_of(findings, pooled_metric(findings, row)), _color(findings, row))
    return ForestRow(label=label, kind="total" if kind == "total" else "subtotal", **made)


def grouped_tasks(findings: Findings, pair: Pair) -> dict[str, list[str]]:
    """Family to its tasks, of the families that hold several tasks of a pair and have a pooled difference."""
    tasks = {row["task"] for row in of_pair(main_rows(findings, findings.comparisons), pair)}
    found = {}
    for row in of_pair(pooled_rows(findings, "family:"), pair):
        family = row["scope"].partition(":")[2]
        members = [task for task, own in findings.labels.families.items() if own == family and task in tasks]
        if len(members) > 1:
            found[family] = members
    return found


def several_languages(findings: Findings, pair: Pair) -> list[Row]:
    """Pooled rows of the languages of a pair; none where there is only one."""
    rows: list[Row] = list(of_pair(pooled_rows(findings, "language:"), pair))
    return rows if len(rows) > 1 else []


def verdict_color(verdict: Verdict, color_a: str, color_b: str) -> str:
    """The colour of whoever is better; ink where they are the same, muted where nothing is known."""
    return {"a_better": color_a, "b_better": color_b, "equivalent": INK}.get(verdict, MUTED)


def stems(findings: Findings) -> dict[Pair, str]:
    """Pair to the part of a file name that stands for it; unique, of bounded length."""
    found: dict[Pair, str] = {}
    for pair in pairs_of(findings.comparisons):
        stem = slug(*(name[:48] for name in pair))
        taken = sum(other == stem or other.startswith(f"{stem}_pair") for other in found.values())
        found[pair] = f"{stem}_pair{taken + 1}" if taken else stem
    return found


def spoken_rows(rows: Sequence[ForestRow]) -> str:
    """Rows of a forest plot for those who cannot see them."""
    labels = [f"{row.label} {row.second}".strip() for row in rows if row.kind != "heading"]
    details = [row.detail for row in rows if row.kind != "heading"]
    return " ".join(f"{label}: {detail}." for label, detail in zip(labels, details, strict=True))


def shown(value: float | None, factor: float) -> float | None:
    """A stored value in shown units."""
    return None if value is None else value * factor


def _grouped(findings: Findings, pair: Pair, rows: Sequence[Row]) -> list[ForestRow]:
    """Tasks under their families, each with what it comes to; then the languages."""
    families = grouped_tasks(findings, pair)
    placed = {task for members in families.values() for task in members}
    forest = []
    for family, members in families.items():
        forest.append(ForestRow(label=family, kind="heading"))
        forest += [_row(findings, row, row["task"]) for row in rows if row["task"] in members]
        over = pooled_of(findings, pair, f"family:{family}")
        forest += [pooled_row(findings, over, f"all of {family}", kind="subtotal")] if over else []
    single = [_row(findings, row, row["task"]) for row in rows if row["task"] not in placed]
    if single:
        forest.append(ForestRow(label="other tasks" if families else "by task", kind="heading"))
    forest += single
    languages = several_languages(findings, pair)
    if languages:
        forest.append(ForestRow(label="by language", kind="heading"))
    for row in languages:
        forest.append(pooled_row(findings, row, f"all in {language_name(row['scope'].partition(':')[2])}", kind="subtotal"))
    return forest


def _row(findings: Findings, row: Row, label: str) -> ForestRow:
    return ForestRow(label=label, **_numbers(findings, row, scale_of(findings, row["metric"]), _color(findings, row)))


def _numbers(findings: Findings, row: Row, scale: Scale, color: str | None) -> Mapping[str, Any]:
    """What every row of a forest plot shows, whatever it is called."""
    detail = _with_interval(row, scale)
    if row["difference"] is None:
        reason = why_not_established(findings, row)
        # A long reason would run into the plot; it stands in the sentence.
        detail = reason if len(reason) <= 32 else "no numbers"
    return {
        "detail": detail,
        "verdict": row["verdict"],
        "difference": shown(row["difference"], scale.factor),
        "low": shown(row["ci_low"], scale.factor),
        "high": shown(row["ci_high"], scale.factor),
        "color": color or (INK if row["verdict"] == "equivalent" else MUTED),
    }


def _color(findings: Findings, row: Row) -> str:
    style = model_style(findings.study.models)
    return verdict_color(row["verdict"], style[row["model_a"]][0], style[row["model_b"]][0])


def _with_interval(row: Row, scale: Scale) -> str:
    return f"{number(row['difference'], scale, signed=True)} ({interval(row['ci_low'], row['ci_high'], scale)})"


def _metric(findings: Findings, row: Row) -> str:
    return pooled_metric(findings, row) if "scope" in row else str(row["metric"])


def _axis(scale: Scale, level: float) -> str:
    return f"difference{f' in{scale.difference_unit}' if scale.difference_unit else ''}, {share(level)} interval"


def _margin(findings: Findings, rows: Sequence[Row], scale: Scale) -> float:
    margins = [row["margin"] if row["margin"] is not None else findings.study.analysis.margin for row in rows]
    return float(round(max(margins) * scale.factor, 10))


def _limits(findings: Findings, rows: Sequence[Row], scale: Scale) -> tuple[float, float]:
    """Ends of an axis that holds all intervals of some rows and the margin."""
    margin = _margin(findings, rows, scale)
    ends = [shown(row[key], scale.factor) for row in rows for key in ("difference", "ci_low", "ci_high")]
    return limits(ends, around=(-1.2 * margin, 1.2 * margin))


def _reading(plot: ForestPlot) -> str:
    """How many of each verdict: the intervals, which are not corrected for the family, may say something else at the edge."""
    return f"{_said([row for row in plot.rows if row.kind == 'single'])}; the shaded band is the margin of ±{plot.margin:g}."


def _said(marks: Collection[ForestRow | GridCell]) -> str:
    n = {verdict: sum(mark.verdict == verdict for mark in marks) for verdict in VERDICTS}
    return ", ".join(f"{n[verdict]} {VERDICT_NAMES[verdict]}" for verdict in VERDICTS if n[verdict])


def _data(findings: Findings, rows: pd.DataFrame, pair: Pair) -> pd.DataFrame:
    """Comparisons of a pair, and below them its pooled differences with their scope."""
    own = rows[(rows["model_a"] == pair[0]) & (rows["model_b"] == pair[1])]
    pooled = findings.analyses.pooled
    if not len(pooled):
        return own
    added = pooled[(pooled["model_a"] == pair[0]) & (pooled["model_b"] == pair[1])]
    return pd.concat([own.astype(object), added.astype(object)], ignore_index=True) if len(added) else own
