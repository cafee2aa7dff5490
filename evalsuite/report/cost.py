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

PER_ANSWER = {
    "tokens": ("tokens", "prompt and output (logarithmic)"),
    "calls": ("calls", "(logarithmic)"),
    "seconds": ("engine seconds", "(logarithmic)"),
}
"""What an answer takes, in words."""

NOT_TESTED = "That is what was seen, not a test of one strategy against another; intervals stand in the table."
"""Ends the reading of the figure: the strategy with the highest mean is picked after the fact."""


def cost_section(findings: Findings) -> Section | None:
    """Tokens and calls per answer beside the share of right ones, per model and strategy; drawn where the costs differ."""
    frame = findings.analyses.costs
    if not len(frame):
        return None
    frame = in_order(findings, frame)
    rows = records(frame)
    spent = ("tokens", "calls", *(["seconds"] if "seconds" in frame else []))
    blocks: list[Block] = [figure for what in spent for figure in _figure(findings, frame, rows, what)]
    tasks = str(rows[0]["tasks"]).split(",")
    shown: list[Shown] = [
        text_column("Strategy", lambda row: row["strategy"]),
        text_column("Model", lambda row: row["model"]),
        number_column("Calls", lambda row: f"{row['calls']:.3g}"),
        number_column("Prompt tokens", lambda row: _tokens(row["prompt_tokens"])),
        number_column("Output tokens", lambda row: _tokens(row["output_tokens"])),
        *([number_column("Engine seconds", lambda row: _seconds(row["seconds"]))] if "seconds" in frame else []),
        *_preparation_columns(frame),
        number_column("Answers", lambda row: f"{int(row['n_answers']):,}"),
    ]
    if rows[0]["mean"] is not None:
        level = share(rows[0]["ci_level"])
        shown.append(number_column("Right %", lambda row: number(row["mean"], SHARES)))
        shown.append(number_column(f"{level} interval", lambda row: interval(row["ci_low"], row["ci_high"], SHARES)))
    note = f"Means per answer over {_which(tasks)}. {_counted_how(rows[0])}Tokens are each model's own: tokenizers differ."
    note += _alone(frame)
    if rows[0]["left_out"]:
        note += f" Left out: {rows[0]['left_out']}."
    table = table_of(frame, shown, name="cost_by_strategy", title="What an answer takes and what it is worth", note=note)
    return Section(anchor="cost", title="Cost against accuracy", blocks=(*blocks, table))


def _preparation_columns(frame: pd.DataFrame) -> list[Shown]:
    """What was prepared for all answers together; none where nothing was."""
    if "prepare_calls" not in frame:
        return []
    columns = [
        number_column("Preparation: calls", lambda row: _total(row["prepare_calls"])),
        number_column("Preparation: tokens", lambda row: _total(_prepared(row))),
        number_column("the same per answer", lambda row: _each(_prepared(row), row["n_answers"])),
    ]
    if "prepare_seconds" in frame:
        columns.append(number_column("Preparation: engine seconds", lambda row: _seconds(row["prepare_seconds"])))
    return columns


def _alone(frame: pd.DataFrame) -> str:
    """How costs are counted where strategies share requests or preparation; empty where the report shows neither."""
    said = []
    if "prepare_calls" in frame or "seconds" in frame:
        said.append("The cost of a strategy is what it would take alone: requests that it shares with other strategies count in each.")
    if "prepare_calls" in frame:
        said.append(
            "Preparation is made once per model and task (once per task where one model prepares for all) and shared by all samples: "
            "totals over these tasks, and what that is for each of these answers. It is not in the other columns."
        )
    if "seconds" in frame:
        said.append(
            "Engine seconds: per request that an engine was asked, times the requests of an answer; they differ from run to run. A dash: "
            "nothing was asked anew."
        )
    return "".join(f" {text}" for text in said)


def _prepared(row: Row) -> float | None:
    """Tokens of preparation; None where they were not recorded."""
    parts = (row["prepare_prompt_tokens"], row["prepare_output_tokens"])
    return None if None in parts else float(sum(parts))


def _each(value: float | None, n: float) -> str:
    return "–" if value is None else _tokens(value / n) if value else "0"


def _total(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _which(tasks: Sequence[str]) -> str:
    return listed(tasks) if len(tasks) <= 6 else counted(len(tasks), "task")


def _counted_how(row: Row) -> str:
    if row["mean"] is None:
        return ""
    return f"In “Right”, {COUNTED[row['pooling']]}, as in the pooled difference. "


def _tokens(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _spent(row: Row, what: str = "tokens") -> float:
    """What an answer took; 0 where it is not known."""
    return float(row["prompt_tokens"] + row["output_tokens"] if what == "tokens" else row[what] or 0.0)


def _figure(findings: Findings, frame: pd.DataFrame, rows: Sequence[Row], what: str) -> list[Figure]:
    drawn = [row for row in rows if row["mean"] is not None and _spent(row, what) > 0]
    costs = [_spent(row, what) for row in drawn]
    if len(drawn) < 2 or max(costs) / min(costs) < MIN_SPREAD:
        return []
    style = model_style(findings.study.models)
    low, high = limits([100 * row["mean"] for row in drawn])
    rungs = {strategy: at for at, strategy in enumerate(findings.study.ladder, 1)}
    points = tuple(
        CostPoint(
            model=row["model"],
            strategy=row["strategy"],
            color=style[row["model"]][0],
            marker=style[row["model"]][1],
            cost=_spent(row, what),
            mean=100 * row["mean"],
            rung=rungs.get(row["strategy"], 0),
        )
        for row in drawn
    )
    noun, how = PER_ANSWER[what]
    plot = CostPlot(
        x_axis=f"{noun} per answer, {how}" if what == "tokens" else f"{noun} per answer {how}",
        y_axis="right answers, percent",
        y_limits=(max(low - 1, 0.0), min(high + 1, 100.0)),
        points=points,
    )
    alt = f"Scatter plot with one point per model and strategy. Across: {noun} per answer, logarithmic; up: right answers in percent. "
    alt += " ".join(f"{point.strategy}, {point.model}: {_amount(point.cost, what)} {noun}, {point.mean:.1f}%." for point in points)
    caption = _reading(findings, drawn) if what == "tokens" else _range(rows, drawn, what)
    if findings.study.ladder:
        caption += " Numbers are the rungs of the ladder, joined within each model; preparation is not in it."
    return [Figure(name="cost" if what == "tokens" else f"cost_{what}", plot=plot, caption=caption, alt=alt, data=data_of(frame))]


def _amount(value: float, what: str) -> str:
    return _tokens(value) if what == "tokens" else f"{value:.3g}"


def _range(rows: Sequence[Row], drawn: Sequence[Row], what: str) -> str:
    """The cheapest and the dearest strategy by something else than tokens, and what could not be drawn."""
    cheap, dear = (pick(drawn, key=lambda row: _spent(row, what)) for pick in (min, max))
    noun = PER_ANSWER[what][0]
    ends = f"{_amount(_spent(cheap, what), what)} ({cheap['strategy']}) to {_amount(_spent(dear, what), what)} ({dear['strategy']})"
    absent = dict.fromkeys(row["strategy"] for row in rows if row[what] is None)
    lost = f" Not drawn for every model: {listed(list(absent))}, of which nothing was asked anew." if absent else ""
    return f"Right answers against {noun} per answer, from {ends}.{lost}"


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
            ratio = f"{_spent(top) / _spent(base):.2g}"
            times = "as many" if ratio == "1" else f"{ratio} times the"
            best.setdefault(top["strategy"], []).append(f"{model} ({more} points for {times} tokens)")
    said = [f"{strategy} has the most right answers for {listed(models)}" for strategy, models in best.items()]
    joined = "" if findings.study.ladder else "; grey lines join the models under one strategy"
    return f"Right answers against tokens{joined}: {'; '.join(said)}. {NOT_TESTED}"
