"""Cost against accuracy: what more tokens and calls buy."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from evalsuite.report.blocks import Block, Figure, Section
from evalsuite.report.figures.canvas import limits, model_style
from evalsuite.report.findings import Findings, data_of, in_order, primary_strategy, records
from evalsuite.report.plots.answers import CostPlot, CostPoint
from evalsuite.report.sentences import Row
from evalsuite.report.tables import Shown, number_column, table_of, text_column
from evalsuite.report.words import SHARES, counted, interval, listed, number, share
from evalsuite.stats.pooling import COUNTED

MIN_SPREAD = 1.05
"""Dearest over cheapest answer from which on a figure against cost shows anything."""

NOT_TESTED = "That is what was seen, not a test of one strategy against another; intervals stand in the table."
"""Ends the reading of the figure: the strategy with the highest mean is picked after the fact."""


def cost_section(findings: Findings) -> Section | None:
    """Tokens and calls per answer beside the share of right ones, per model and strategy; drawn where the costs differ."""
    frame = findings.analyses.costs
    if not len(frame):
        return None
    frame = in_order(findings, frame)
    rows = records(frame)
    blocks: list[Block] = [*_figure(findings, frame, rows)]
    tasks = str(rows[0]["tasks"]).split(",")
    shown: list[Shown] = [
        text_column("Strategy", lambda row: row["strategy"]),
        text_column("Model", lambda row: row["model"]),
        number_column("Calls", lambda row: f"{row['calls']:.3g}"),
        number_column("Prompt tokens", lambda row: _tokens(row["prompt_tokens"])),
        number_column("Output tokens", lambda row: _tokens(row["output_tokens"])),
        number_column("Answers", lambda row: f"{int(row['n_answers']):,}"),
    ]
    if rows[0]["mean"] is not None:
        level = share(rows[0]["ci_level"])
        shown.append(number_column("Right %", lambda row: number(row["mean"], SHARES)))
        shown.append(number_column(f"{level} interval", lambda row: interval(row["ci_low"], row["ci_high"], SHARES)))
    note = f"Means per answer over {_which(tasks)}. {_counted_how(rows[0])}Tokens are each model's own: tokenizers differ."
    if rows[0]["left_out"]:
        note += f" Left out: {rows[0]['left_out']}."
    table = table_of(frame, shown, name="cost_by_strategy", title="What an answer takes and what it is worth", note=note)
    return Section(anchor="cost", title="Cost against accuracy", blocks=(*blocks, table))


def _which(tasks: Sequence[str]) -> str:
    return listed(tasks) if len(tasks) <= 6 else counted(len(tasks), "task")


def _counted_how(row: Row) -> str:
    if row["mean"] is None:
        return ""
    return f"In “Right”, {COUNTED[row['pooling']]}, as in the pooled difference. "


def _tokens(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _spent(row: Row) -> float:
    return float(row["prompt_tokens"] + row["output_tokens"])


def _figure(findings: Findings, frame: pd.DataFrame, rows: Sequence[Row]) -> list[Figure]:
    drawn = [row for row in rows if row["mean"] is not None and _spent(row) > 0]
    costs = [_spent(row) for row in drawn]
    if len(drawn) < 2 or max(costs) / min(costs) < MIN_SPREAD:
        return []
    style = model_style(findings.study.models)
    low, high = limits([100 * row["mean"] for row in drawn])
    points = tuple(
        CostPoint(
            model=row["model"],
            strategy=row["strategy"],
            color=style[row["model"]][0],
            marker=style[row["model"]][1],
            cost=_spent(row),
            mean=100 * row["mean"],
        )
        for row in drawn
    )
    plot = CostPlot(
        x_axis="tokens per answer, prompt and output (logarithmic)",
        y_axis="right answers, percent",
        y_limits=(max(low - 1, 0.0), min(high + 1, 100.0)),
        points=points,
    )
    alt = "Scatter plot with one point per model and strategy. Across: tokens per answer, logarithmic; up: right answers in percent. "
    alt += " ".join(f"{point.strategy}, {point.model}: {_tokens(point.cost)} tokens, {point.mean:.1f}%." for point in points)
    return [Figure(name="cost", plot=plot, caption=_reading(findings, drawn), alt=alt, data=data_of(frame))]


def _reading(findings: Findings, rows: Sequence[Row]) -> str:
    """For each model the strategy with the most right answers, and what it takes against the primary one."""
    primary = primary_strategy(findings.study)
    if len({row["strategy"] for row in rows}) == 1:
        cheap, dear = min(rows, key=_spent), max(rows, key=_spent)
        times = f"{_spent(dear) / _spent(cheap):.2g} times the tokens of {cheap['model']}"
        right = f"{number(dear['mean'], SHARES)}% right against {number(cheap['mean'], SHARES)}%"
        return f"Under the same strategy an answer of {dear['model']} takes {times}, with {right}."
    best: dict[str, list[str]] = {}
    for model in dict.fromkeys(row["model"] for row in rows):
        own = {row["strategy"]: row for row in rows if row["model"] == model}
        # Of equally good strategies the cheapest.
        top = max(own.values(), key=lambda row: (row["mean"], -_spent(row)))
        base = own.get(primary)
        if base is None or top is base:
            best.setdefault(top["strategy"], []).append(model)
        else:
            more = number(top["mean"] - base["mean"], SHARES, signed=True)
            best.setdefault(top["strategy"], []).append(f"{model} ({more} points for {_spent(top) / _spent(base):.2g} times the tokens)")
    said = [f"{strategy} has the most right answers for {listed(models)}" for strategy, models in best.items()]
    return f"Right answers against tokens; grey lines join the models under one strategy: {'; '.join(said)}. {NOT_TESTED}"
