"""Figures of printed differences: all of them at a glance, and those with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import pandas as pd

from evalsuite.published.records import SHARES, Paper
from evalsuite.report.blocks import Figure
from evalsuite.report.figures.canvas import limits
from evalsuite.report.findings import data_of, records
from evalsuite.report.plots.published import BesidePlot, BesideRow, MatrixCell, MatrixPlot
from evalsuite.report.tables import Row
from evalsuite.report.words import Scale, counted, listed, number, share

MAX_COLUMNS = 9
"""Most columns of a matrix; more become several figures."""
MAX_ROWS = 20
"""Most rows of one figure of intervals, unless one task alone has more."""
POINTS = Scale(factor=100.0, n_digits=1, unit="%", difference_unit=" points")


def plain_task(paper: Paper, task: str) -> str:
    """A task's name without the benchmark's, where all tasks of the paper carry it."""
    prefixes = {record.task.name.partition("/")[0] for record in paper.records if "/" in record.task.name}
    head, slash, rest = task.partition("/")
    return rest if slash and prefixes == {head} else task


def column_heads(paper: Paper, rows: pd.DataFrame) -> list[str]:
    """What the column of each difference is headed with: its task and, on a second line, its metric or part where that is not plain."""
    found = records(rows)
    settings: dict[tuple[str, str], set[str]] = {}
    metrics: dict[str, set[str]] = {}
    for row in found:
        settings.setdefault((row["task"], row["metric"]), set()).add(row["setting"])
        metrics.setdefault(row["task"], set()).add(row["metric"])
    heads = []
    for row in found:
        metric, task = str(row["metric"]), str(row["task"])
        known = metric == "accuracy" or (len(metrics[task]) == 1 and metric.startswith(("acc ", "difference ", "mean ", "task score")))
        setting = row["setting"] if len(settings[task, metric]) > 1 else ""
        # `accuracy task1` is named by its part; what a printed task name says of its origin stands in the table.
        said = [] if known else [metric.removeprefix("accuracy ")]
        second = " ".join([*said, *([setting] if setting else [])])
        heads.append("\n".join(part for part in (plain_task(paper, task).split(" mean of ")[0], second) if part))
    return heads


def matrix_figures(paper: Paper, rows: pd.DataFrame, *, name: str) -> list[Figure]:
    """Pairs by tasks as coloured numbers, at most `MAX_COLUMNS` columns a figure; none without rows.

    Args:
        paper: for names.
        rows: of `published.differences`.
        name: stem of the figures' names.
    """
    kept = rows[rows["unit"].isin(SHARES)].reset_index(drop=True)
    if not len(kept):
        return []
    kept = kept.assign(head=column_heads(paper, kept))
    heads = list(dict.fromkeys(kept["head"]))
    n_figures = ceil(len(heads) / MAX_COLUMNS)
    size = ceil(len(heads) / n_figures)
    figures = []
    for at in range(n_figures):
        part = heads[at * size : (at + 1) * size]
        own = kept[kept["head"].isin(part)]
        figures.append(_matrix(own, part, name if n_figures == 1 else f"{name}_{at + 1}"))
    return figures


def _matrix(rows: pd.DataFrame, heads: Sequence[str], name: str) -> Figure:
    found = {(row["model_b"], row["model_a"], row["head"]): row for row in records(rows)}
    groups = []
    for base in dict.fromkeys(rows["model_b"]):
        names = ranked(rows[rows["model_b"] == base])
        groups.append((f"minus {base}", tuple((model, tuple(_cell(found.get((base, model, head))) for head in heads)) for model in names)))
    plot = MatrixPlot(
        columns=tuple((head.partition("\n")[0], head.partition("\n")[2]) for head in heads),
        groups=tuple(groups),
        gain="biomedical model higher",
        loss="generalist higher",
    )
    n_up, n_down = int((rows["difference"] > 0).sum()), int((rows["difference"] < 0).sum())
    what = "means over several tasks" if rows["overall"].all() else "numbers"
    caption = (
        f"Printed {what}, biomedical model minus generalist in points: {n_up:,} of {counted(len(rows), 'difference')} favour the "
        f"biomedical model (+), {n_down:,} the generalist (−); rows with most gains first below each generalist; a dot: not printed."
    )
    alt = "Matrix of differences in points, one row per pair and one column per task. " + " ".join(
        f"{row['model_a']} minus {row['model_b']}, {row['head']}: {_text(row['difference'])}." for row in records(rows)
    )
    return Figure(name=name, plot=plot, caption=caption, alt=alt, data=data_of(rows.drop(columns="head")))


def ranked(rows: pd.DataFrame) -> list[str]:
    """The biomedical models of some differences to one generalist, those with most gains first, else in the paper's order."""
    gains = rows.groupby("model_a", sort=False)["difference"].agg(lambda values: int((values > 0).sum()))
    order = list(gains.index)
    return sorted(order, key=lambda model: (-gains[model], order.index(model)))


def interval_figures(paper: Paper, rows: pd.DataFrame) -> list[Figure]:
    """Differences that have an interval, tasks packed into figures of at most `MAX_ROWS` rows.

    Args:
        paper: for names.
        rows: of `published.differences`, with intervals.
    """
    rows = rows.assign(head=[head.replace("\n", " ") for head in column_heads(paper, rows)]).reset_index(drop=True)
    packs: list[list[str]] = []
    for head in dict.fromkeys(rows["head"]):
        n_rows = int((rows["head"] == head).sum())
        fits = packs and sum(int((rows["head"] == other).sum()) for other in packs[-1]) + n_rows <= MAX_ROWS
        packs[-1].append(head) if fits else packs.append([head])
    return [_intervals(rows[rows["head"].isin(pack)], pack) for pack in packs]


def _intervals(rows: pd.DataFrame, heads: Sequence[str]) -> Figure:
    groups = []
    for head in heads:
        own = rows[rows["head"] == head]
        for base in dict.fromkeys(own["model_b"]):
            below = own[own["model_b"] == base].sort_values("difference", ascending=False, kind="stable")
            groups.append((f"{head}, minus {base}" if len(heads) > 1 else f"minus {base}", tuple(_row(row) for row in records(below))))
    level = share(float(rows["ci_level"].iloc[0]))
    where = listed(list(heads)) if len(heads) <= 3 else counted(len(heads), "task")
    plot = BesidePlot(
        axis=f"biomedical model − generalist{f', {heads[0]}' if len(heads) == 1 else ''}, points",
        limits=limits([100 * value for column in ("ci_low", "ci_high") for value in rows[column]], around=[0.0]),
        groups=tuple(groups),
        zero=True,
        interval=f"{level} interval for unpaired answers",
    )
    above, below_zero = int((rows["ci_low"] > 0).sum()), int((rows["ci_high"] < 0).sum())
    caption = (
        f"{where}: of {counted(len(rows), 'printed difference')} {above:,} have an interval for unpaired answers wholly above zero and "
        f"{below_zero:,} wholly below; {len(rows) - above - below_zero:,} hold zero. Nothing was tested, and nothing is corrected."
    )
    alt = "Differences in points with intervals for unpaired answers. " + " ".join(
        f"{row['head']}, {row['model_a']} minus {row['model_b']}: {_text(row['difference'])}." for row in records(rows)
    )
    stem = "".join(letter if letter.isalnum() else "_" for letter in heads[0].lower())
    return Figure(name=f"intervals_{stem}", plot=plot, caption=caption, alt=alt, data=data_of(rows.drop(columns="head")))


def _row(row: Row) -> BesideRow:
    return BesideRow(
        label=str(row["model_a"]),
        printed=100 * row["difference"],
        printed_low=100 * row["ci_low"],
        printed_high=100 * row["ci_high"],
        doubtful="impossible" in (row["grim_a"], row["grim_b"]),
    )


def _cell(row: Row | None) -> MatrixCell | None:
    if row is None:
        return None
    doubtful = "impossible" in (row["grim_a"], row["grim_b"])
    return MatrixCell(value=100 * row["difference"], text=_text(row["difference"]), doubtful=doubtful)


def _text(difference: float) -> str:
    return number(difference, POINTS, signed=True)
