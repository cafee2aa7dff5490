"""Sections about what was found. Each builder returns its section, or None where its data are absent."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from evalsuite.report.blocks import Block, DataFile, Figure, Paragraph, Section
from evalsuite.report.figures.canvas import limits, model_style
from evalsuite.report.findings import Findings, data_of, in_order, is_set_metric, main_rows, other_rows, parts, records
from evalsuite.report.forests import shown
from evalsuite.report.notices import MAX_NAMED
from evalsuite.report.plots.means import DotPanel, DotPlot, DotRow
from evalsuite.report.secondary import secondary_rows
from evalsuite.report.sentences import Row
from evalsuite.report.tables import chance_of, comparison_table, estimate_table, p_note, sensitivity_table, zero_width
from evalsuite.report.words import SHARES, counted, listed, number, scale_of, share


def differences_section(findings: Findings) -> Section | None:
    """Every pre-stated comparison with everything its verdict rests on, and the sensitivity of its interval and p-value to the method."""
    rows = main_rows(findings, findings.comparisons)
    if not len(rows):
        return None
    note = (
        f"First model minus second, in points unless the metric is no share. {p_note(findings, rows)} Left out: samples that the "
        "comparison has not (excluded by name, refused on either side, or missing under the rule “drop”)."
    )
    table = comparison_table(findings, rows, name="differences", title="Paired differences", note=note)
    sensitivity = sensitivity_table(findings, rows)
    everything = comparison_file(findings)
    return Section(anchor="differences", title="Paired differences", blocks=(table, *([sensitivity] if sensitivity else []), everything))


def comparison_file(findings: Findings) -> DataFile:
    """comparisons.csv: the whole frame."""
    return DataFile(
        name="comparisons", text="All comparisons of the study with every number, unrounded", data=data_of(findings.comparisons)
    )


def scores_section(findings: Findings) -> Section | None:
    """Means with intervals, chance and status counts in the primary cell, and the dot plot."""
    rows = main_rows(findings, findings.estimates)
    if not len(rows):
        return None
    rule = {"incorrect": "counts as the worst value of the metric", "drop": "is left out"}[findings.study.analysis.missing]
    if findings.study.analysis.missing == "incorrect" and any(is_set_metric(findings, metric) for metric in rows["metric"]):
        rule += " (metrics of a whole cell: as no class)"
    note = f"An answer that is unparsed, truncated or too long {rule}. Intervals are at {share(1 - findings.study.analysis.alpha)}."
    if any(_beyond(findings, row) for row in records(rows)):
        note += " A t interval is symmetric and can reach beyond what a mean can be; read it as reaching to that end."
    table = estimate_table(findings, rows, name="scores", title="Scores in the primary cell", note=note)
    return Section(anchor="scores", title="Scores", blocks=(*dot_figures(findings, rows), table))


def _beyond(findings: Findings, row: Row) -> bool:
    """Whether an interval reaches beyond 0 or 100%, where the metric runs between them."""
    ends = (row["ci_low"], row["ci_high"])
    return scale_of(findings, row["metric"]) == SHARES and any(end is not None and not 0 <= end <= 1 for end in ends)


def dot_figures(findings: Findings, frame: pd.DataFrame) -> tuple[Figure, ...]:
    """One dot plot per unit (shares, others), tasks from top to bottom."""
    style = model_style(findings.study.models)
    figures = []
    for factor, name in ((100.0, "scores"), (1.0, "scores_other")):
        rows = [row for row in records(frame) if scale_of(findings, row["metric"]).factor == factor]
        if not rows:
            continue
        panels = []
        for task, metric in dict.fromkeys((row["task"], row["metric"]) for row in rows):
            own = [row for row in rows if (row["task"], row["metric"]) == (task, metric)]
            dots = tuple(_dot(row, factor, style) for row in own)
            several = len({row["metric"] for row in rows if row["task"] == task}) > 1
            panels.append(
                DotPanel(label=f"{task} {metric}" if several else task, chance=shown(chance_of(findings, own[0]), factor), rows=dots)
            )
        axis = f"{listed(sorted({row['metric'].replace('_', ' ') for row in rows}))}{', percent' if factor == 100 else ''}"
        ends = limits(
            [shown(row[key], factor) for row in rows for key in ("mean", "ci_low", "ci_high")],
            around=[panel.chance or 0 for panel in panels],
        )
        plot = DotPlot(axis=axis, limits=(max(ends[0], 0.0), min(ends[1], 102.0)) if factor == 100 else ends, panels=tuple(panels))
        scale = scale_of(findings, rows[0]["metric"])
        alt = "Dot plot with one block per task and one row per model: " + " ".join(
            f"{row['task']}, {row['model']}: {'no value' if row['mean'] is None else number(row['mean'], scale) + scale.unit}."
            for row in rows
        )
        kept = frame.iloc[[at for at, row in enumerate(records(frame)) if scale_of(findings, row["metric"]).factor == factor]]
        figures.append(Figure(name=name, plot=plot, caption=_dot_reading(plot), alt=alt, data=data_of(kept)))
    return tuple(figures)


def _dot(row: Row, factor: float, style: Mapping[str, tuple[str, int]]) -> DotRow:
    color, marker = style[row["model"]]
    low, mean, high = (shown(row[key], factor) for key in ("ci_low", "mean", "ci_high"))
    return DotRow(model=row["model"], color=color, marker=marker, mean=mean, low=low, high=high)


def _dot_reading(plot: DotPlot) -> str:
    drawn = [(panel, row) for panel in plot.panels for row in panel.rows if row.mean is not None]
    intervals = [(panel, row, row.low, row.high) for panel, row in drawn if row.low is not None and row.high is not None]
    with_chance = [(panel, row, low, high, panel.chance) for panel, row, low, high in intervals if panel.chance is not None]
    text = f"Scores with intervals, {counted(len(drawn), 'mean')} over {counted(len(plot.panels), 'task')}"
    if with_chance:
        at_chance = sum(low <= chance <= high for *_, low, high, chance in with_chance)
        text += f"; {at_chance} of {counted(len(with_chance), 'interval')} reach down to chance (dashed)"
        below = [f"{row.model} on {panel.label}" for panel, row, _, high, chance in with_chance if high < chance]
        if below:
            who = f" ({listed(below)})" if len(below) <= MAX_NAMED else ""
            text += f", {len(below)} {'lies' if len(below) == 1 else 'lie'} wholly below it{who}"
    n_flat = sum(zero_width(low, high) for *_, low, high in intervals)
    if n_flat:
        text += f"; {n_flat} of width zero: all answers alike, and the t interval knows nothing of answers not seen"
    return f"{text}."


def subsets_section(findings: Findings) -> Section | None:
    """The same numbers without samples that carry a known issue."""
    blocks: list[Block] = []
    estimates, comparisons = (in_order(findings, parts(frame)) for frame in (findings.estimates, findings.comparisons))
    if len(estimates):
        note = "The same answers over fewer samples: those with the named issue are left out. Exploratory."
        blocks.append(
            estimate_table(findings, estimates, name="subset_scores", title="Scores without doubtful samples", note=note, cells=("subset",))
        )
    if len(comparisons):
        title, note = "Paired differences without doubtful samples", "Exploratory: p-values are not adjusted."
        blocks.append(comparison_table(findings, comparisons, name="subset_differences", title=title, note=note, cells=("subset",)))
    return Section(anchor="subsets", title="Without doubtful samples", blocks=tuple(blocks)) if blocks else None


def exploratory_section(findings: Findings) -> Section | None:
    """Other strategies, perturbations and metrics: outside the families, hence without a claim."""
    blocks: list[Block] = []
    cells = ("strategy", "perturbation")
    others = (other_rows(findings, frame) for frame in (findings.estimates, findings.comparisons))
    estimates, comparisons = (frame.drop(secondary_rows(frame).index) for frame in others)
    if len(estimates):
        note = "Exploratory: outside the pre-stated comparison."
        blocks.append(
            estimate_table(findings, estimates, name="exploratory_scores", title="Scores in all other cells", note=note, cells=cells)
        )
    if len(comparisons):
        title = "Paired differences in all other cells, exploratory"
        blocks.append(comparison_table(findings, comparisons, name="exploratory_differences", title=title, cells=cells))
    if not blocks:
        return None
    lead = Paragraph(
        text="These results were not part of a pre-stated family. They may suggest a next study; they decide nothing in this one. "
        "Their p-values are not adjusted, and their verdicts are read off those."
    )
    return Section(anchor="exploratory", title="Other strategies, perturbations and metrics (exploratory)", blocks=(lead, *blocks))
