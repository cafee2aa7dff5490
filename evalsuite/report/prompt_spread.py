"""Many prompts for the same questions: how far a model's score moves with them, and whether the order of a pair holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from evalsuite.report.blocks import Block, Bullets, Figure, Paragraph, Table
from evalsuite.report.figures.canvas import limits, model_style
from evalsuite.report.findings import Findings, data_of, in_order, primary_metrics, records
from evalsuite.report.forests import shown
from evalsuite.report.plots.means import DotPanel, DotPlot, DotRow
from evalsuite.report.sentences import Row
from evalsuite.report.tables import Shown, number_column, table_of, text_column
from evalsuite.report.words import SHARES, Scale, counted, number, scale_of

MAX_SAID = 12
"""Most pairs that have a sentence."""

AGREEMENT = Scale(factor=1.0, n_digits=2, unit="", difference_unit="")
CELL = ("task", "strategy", "perturbation")


def prompt_blocks(findings: Findings) -> list[Block]:
    """Mean, worst and best prompt of each model, and who is ahead in how many; none without a perturbation of prompts."""
    spread, ranks = findings.analyses.prompt_spread, findings.analyses.prompt_ranks
    if not len(spread):
        return []
    spread = in_order(findings, spread.reset_index(drop=True))
    blocks: list[Block] = [Paragraph(text=_lead(spread))]
    if len(ranks):
        ranks = in_order(findings, ranks.reset_index(drop=True))
        known: list[Row] = [row for row in records(ranks) if row["p_a_ahead"] is not None]
        blocks += [Bullets(items=tuple(_said(findings, row, spread) for row in known[:MAX_SAID]))] if known else []
        if len(known) > MAX_SAID:
            blocks.append(Paragraph(text=f"{counted(len(known) - MAX_SAID, 'further row')}: in the table.", small=True))
    blocks += _figure(findings, spread)
    blocks.append(_spread_table(findings, spread))
    return [*blocks, *([_rank_table(findings, ranks)] if len(ranks) else [])]


def _lead(spread: pd.DataFrame) -> str:
    counts = sorted({int(n) for n in spread["n_prompts"].dropna()})
    n = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}" if counts else "Several"
    return (
        f"The same questions under {n} prompts (system prompt, template, exemplars): how far scores move with the wording alone, "
        "and whether the order of a pair holds. The prompts are those of the study, not a sample of all prompts: nothing is tested here."
    )


def _scale(findings: Findings, task: str) -> Scale:
    """How a task's scores are shown; a metric of a set is judged by accuracy, a share as well."""
    metric = primary_metrics(findings).get(task)
    return scale_of(findings, metric) if metric else SHARES


def _where(row: Row, frame: pd.DataFrame) -> str:
    """What tells a row's cell apart, as words."""
    several = {name: frame[name].nunique() > 1 for name in CELL}
    text = f"on {row['task']}"
    text += f" under {row['perturbation']}" if several["perturbation"] else ""
    return text + (f" ({row['strategy']})" if several["strategy"] else "")


def _said(findings: Findings, row: Row, spread: pd.DataFrame) -> str:
    """One pair over the prompts of one cell."""
    scale = _scale(findings, row["task"])
    n, pair = int(row["n_prompts"]), (row["model_a"], row["model_b"])
    # The frame's shares count a tie half for either side; whole prompts are said.
    tied = round(float(row["p_tied"]) * n)
    ahead = [round(float(row[key]) * n - tied / 2) for key in ("p_a_ahead", "p_b_ahead")]
    where, of = _where(row, spread), counted(n, "prompt")
    if ahead[0] == ahead[1]:
        text = f"{pair[0]} and {pair[1]} are each ahead of the other {where} in {ahead[0]} of {of}"
        text = f"{pair[0]} and {pair[1]} are level {where}" if tied == n else text
    else:
        leads, other = pair if ahead[0] > ahead[1] else (pair[1], pair[0])
        text = f"{leads} is ahead of {other} {where} in {max(ahead)} of {of}" + (f", behind in {min(ahead)}" if min(ahead) else "")
    text += f", tied in {tied}{f' of {of}' if tied == n else ''}" if tied else ""
    text += f"; {pair[0]} minus {pair[1]} runs from {number(row['difference_low'], scale, signed=True)} to "
    text += f"{number(row['difference_high'], scale, signed=True)}{scale.difference_unit}, "
    text += f"{number(row['difference_mean'], scale, signed=True)} on average"
    own = spread[(spread[list(CELL)] == [row[name] for name in CELL]).all(axis=1)]
    # Of two models it says no more than the count does.
    if row["kendall_w"] is not None and own["model"].nunique() > 2:
        text += f". Prompts agree on the order of all models with Kendall's W = {number(row['kendall_w'], AGREEMENT)}"
    return f"{text}."


def _figure(findings: Findings, spread: pd.DataFrame) -> list[Figure]:
    """Mean of each model with the range from its worst to its best prompt; none where the metric is no share."""
    rows: list[Row] = [row for row in records(spread) if _scale(findings, row["task"]) == SHARES]
    if not any(row["mean"] is not None for row in rows):
        return []
    style = model_style(findings.study.models)
    cells = list(dict.fromkeys(tuple(row[name] for name in CELL) for row in rows))
    panels = []
    for cell in cells:
        own = [row for row in rows if tuple(row[name] for name in CELL) == cell]
        panels.append(
            DotPanel(
                label=_cell_named(own[0], rows),
                chance=None,
                rows=tuple(
                    DotRow(
                        model=row["model"],
                        color=style[row["model"]][0],
                        marker=style[row["model"]][1],
                        mean=shown(row["mean"], 100),
                        low=shown(row["worst"], 100),
                        high=shown(row["best"], 100),
                    )
                    for row in own
                ),
            )
        )
    ends = limits([shown(row[key], 100) for row in rows for key in ("mean", "worst", "best")])
    plot = DotPlot(axis="percent: mean, worst and best prompt", limits=ends, panels=tuple(panels))
    known = [row for row in rows if row["range"] is not None]
    widest = max(known, key=lambda row: float(row["range"]))
    caption = f"Mean over prompts, with the range from the worst to the best one: {widest['model']} moves most, by "
    caption += f"{number(widest['range'], SHARES)} points {_where(widest, spread)}."
    spoken = " ".join(
        f"{_cell_named(row, rows)}, {row['model']}: {number(row['mean'], SHARES)}, {number(row['worst'], SHARES)} to "
        f"{number(row['best'], SHARES)}."
        for row in rows
    )
    alt = f"Dot plot with one row per model: mean over prompts in percent, with a line from the worst to the best prompt. {spoken}"
    return [Figure(name="prompt_spread_shown", plot=plot, caption=caption, alt=alt, data=data_of(spread))]


def _cell_named(row: Row, rows: Sequence[Row]) -> str:
    """The task of a row, with what there is several of."""
    return ", ".join(str(row[name]) for name in CELL if name == "task" or len({other[name] for other in rows}) > 1)


def _cell_columns(frame: pd.DataFrame) -> list[Shown]:
    def column(name: str) -> Shown:
        return text_column(name.capitalize(), lambda row: str(row[name]))

    return [column(name) for name in CELL if name == "task" or frame[name].nunique() > 1]


def _spread_table(findings: Findings, frame: pd.DataFrame) -> Table:
    def valued(label: str, key: str) -> Shown:
        return number_column(label, lambda row: number(row[key], _scale(findings, row["task"])))

    columns = [
        *_cell_columns(frame),
        text_column("Model", lambda row: str(row["model"])),
        number_column("Prompts", lambda row: "–" if row["n_prompts"] is None else str(int(row["n_prompts"]))),
        valued("Mean", "mean"),
        valued("Worst", "worst"),
        valued("Best", "best"),
        valued("Range", "range"),
        valued("SD", "sd"),
    ]
    columns += [text_column("Note", lambda row: str(row["note"] or ""))] if frame["note"].fillna("").any() else []
    note = "Over the samples that have an answer under every prompt. Range: best minus worst; SD: standard deviation over prompts."
    return table_of(frame, columns, name="prompt_spread", title="Scores over prompts", note=note)


def _rank_table(findings: Findings, frame: pd.DataFrame) -> Table:
    def valued(label: str, key: str) -> Shown:
        return number_column(label, lambda row: number(row[key], _scale(findings, row["task"]), signed=True))

    columns = [
        text_column("Pair", lambda row: f"{row['model_a']} − {row['model_b']}"),
        *_cell_columns(frame),
        number_column("Prompts", lambda row: "–" if row["n_prompts"] is None else str(int(row["n_prompts"]))),
        number_column("First ahead %", lambda row: number(row["p_a_ahead"], SHARES)),
        number_column("Second ahead %", lambda row: number(row["p_b_ahead"], SHARES)),
        valued("Difference, mean", "difference_mean"),
        valued("Smallest", "difference_low"),
        valued("Largest", "difference_high"),
        number_column("Kendall's W", lambda row: number(row["kendall_w"], AGREEMENT)),
    ]
    columns += [text_column("Note", lambda row: str(row["note"] or ""))] if frame["note"].fillna("").any() else []
    note = (
        "Share of prompts under which either model of the pair is ahead; a tie counts half. Kendall's W: agreement of the prompts on the "
        "order of all models of the task, 0 to 1; it is the same for every pair of a task."
    )
    table = table_of(frame, columns, name="prompt_ranks", title="Order of pairs over prompts", note=note)
    return replace(table, folded=len(frame) > MAX_SAID)
