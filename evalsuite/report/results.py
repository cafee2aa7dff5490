"""Sections about what was found. Each builder returns its section, or None where its data are absent."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from evalsuite.report.blocks import (
    Block,
    DataFile,
    DotPanel,
    DotPlot,
    DotRow,
    Figure,
    ForestPlot,
    ForestRow,
    Notice,
    Paragraph,
    Section,
    slug,
)
from evalsuite.report.figures import limits, model_style
from evalsuite.report.findings import Findings, Pair, data_of, in_order, main_rows, other_rows, pairs_of, parts, records
from evalsuite.report.tables import Row, chance_of, comparison_table, estimate_table, sensitivity_table
from evalsuite.report.words import answers, counted, interval, listed, number, scale_of, share, why_not_established


def answer_section(findings: Findings) -> Section | None:
    """The first screen: the answer for each pair, what must be known before believing it, and the forest plots."""
    said = answers(findings)
    none = Paragraph(text="No pair of models is compared in this study; it reports scores only.")
    blocks: list[Block] = [*(said or (none,)), *notices(findings)]
    blocks.extend(forest_figure(findings, pair) for pair in pairs_of(main_rows(findings, findings.comparisons)))
    return Section(anchor="answer", title="Answer", blocks=tuple(blocks))


def notices(findings: Findings) -> tuple[Notice, ...]:
    """What must not be overlooked: failures, a changed analysis, models that are test instruments."""
    found: list[Notice] = []
    failed = findings.estimates[findings.estimates["n_failed"].fillna(0) > 0]
    if len(failed):
        where = [f"{task} ({model})" for task, model in dict.fromkeys(zip(failed["task"], failed["model"], strict=True))]
        text = (
            f"Answers failed for reasons that are not the models': {listed(where)}. The comparisons that need them are not established "
            "until the study is run again without failures, or the samples are excluded by name for all models."
        )
        found.append(Notice(level="failure", text=text))
    if findings.manifest.get("analysis_changes"):
        text = (
            "The analysis was changed after the first answer; what the change touches is exploratory. "
            "The changes stand under “How to reproduce it”."
        )
        found.append(Notice(level="warning", text=text))
    notes = [(name, str(info.get("note") or "")) for name, info in findings.models.items() if name in findings.study.models]
    instruments = [(name, note) for name, note in notes if "test instrument" in note.lower()]
    if instruments:
        same = dict.fromkeys(note[:1].lower() + note[1:].rstrip(".") for _, note in instruments)
        text = (
            f"{listed([name for name, _ in instruments])}: {'; '.join(same)}. "
            "These results say nothing about any model that is meant for medical use."
        )
        found.append(Notice(level="warning", text=text))
    return tuple(found)


def forest_figure(findings: Findings, pair: Pair) -> Figure:
    """Paired differences of one pair; the axis spans all pairs so that figures can be laid side by side."""
    rows = main_rows(findings, findings.comparisons)
    own = rows[(rows["model_a"] == pair[0]) & (rows["model_b"] == pair[1])]
    # One axis has one unit: metrics outside [0, 1] stand in the table, not in the figure, where there are others to draw.
    shares = [row for row in records(own) if scale_of(findings, row["metric"]).factor == 100] or records(own)
    scale = scale_of(findings, shares[0]["metric"])
    drawable = [row for row in records(rows) if scale_of(findings, row["metric"]) == scale]
    margins = [row["margin"] if row["margin"] is not None else findings.study.analysis.margin for row in shares]
    ends = [_shown(row[key], scale.factor) for row in drawable for key in ("difference", "ci_low", "ci_high")]
    style = model_style(findings.study.models)
    forest = tuple(_forest_row(findings, row) for row in shares)
    plot = ForestPlot(
        model_a=pair[0],
        model_b=pair[1],
        color_a=style[pair[0]][0],
        color_b=style[pair[1]][0],
        axis=f"difference{f' in{scale.difference_unit}' if scale.difference_unit else ''}, {share(shares[0]['ci_level'])} interval",
        margin=round(max(margins) * scale.factor, 10),
        limits=limits(ends, around=[margin * scale.factor * side for margin in margins for side in (-1.2, 1.2)]),
        rows=forest,
    )
    alt = (
        f"Forest plot with one row per task. Across: {pair[0]} minus {pair[1]}; to the right of zero favours {pair[0]}. "
        f"The margin of ±{plot.margin:g}{scale.difference_unit} is shaded. " + " ".join(f"{row.label}: {row.detail}." for row in forest)
    )
    caption = f"Paired differences, {pair[0]} minus {pair[1]}: {_forest_reading(plot)}"
    return Figure(name=f"forest_{slug(*pair)}", plot=plot, caption=caption, alt=alt, data=data_of(own))


def _forest_row(findings: Findings, row: Row) -> ForestRow:
    scale = scale_of(findings, row["metric"])
    difference = row["difference"]
    detail = f"{number(difference, scale, signed=True)} ({interval(row['ci_low'], row['ci_high'], scale)})"
    if difference is None:
        reason = why_not_established(findings, row)
        # A long reason would run into the plot; it stands in the sentence.
        detail = reason if len(reason) <= 32 else "no numbers"
    return ForestRow(
        label=row["task"],
        detail=detail,
        verdict=row["verdict"],
        difference=_shown(difference, scale.factor),
        low=_shown(row["ci_low"], scale.factor),
        high=_shown(row["ci_high"], scale.factor),
    )


def _forest_reading(plot: ForestPlot) -> str:
    drawn = [row for row in plot.rows if row.low is not None and row.high is not None and row.verdict != "not_established"]
    if not drawn:
        return "no comparison is established."
    above = sum(row.low > 0 for row in drawn if row.low is not None)
    below = sum(row.high < 0 for row in drawn if row.high is not None)
    return (
        f"of {counted(len(drawn), 'interval')}, {above} above zero (favouring {plot.model_a}), {below} below zero "
        f"(favouring {plot.model_b}), {len(drawn) - above - below} across it; the shaded band is the margin of ±{plot.margin:g}."
    )


def _shown(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def differences_section(findings: Findings) -> Section | None:
    """Every pre-stated comparison with everything its verdict rests on, and the sensitivity of its interval and p-value to the method."""
    rows = main_rows(findings, findings.comparisons)
    if not len(rows):
        return None
    correction = "Holm-adjusted within the family" if findings.study.analysis.correction == "holm" else "not corrected"
    note = (
        f"First model minus second, in points unless the metric is no share; p-values are {correction}. Left out: samples that "
        "either model has and the comparison has not (excluded by name, refused on either side, or missing under the rule “drop”)."
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
    note = f"An answer that is unparsed, truncated or too long {rule}. Intervals are at {share(1 - findings.study.analysis.alpha)}."
    table = estimate_table(findings, rows, name="scores", title="Scores in the primary cell", note=note)
    return Section(anchor="scores", title="Scores", blocks=(*dot_figures(findings, rows), table))


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
                DotPanel(label=f"{task} {metric}" if several else task, chance=_shown(chance_of(findings, own[0]), factor), rows=dots)
            )
        axis = f"{listed(sorted({row['metric'].replace('_', ' ') for row in rows}))}{', percent' if factor == 100 else ''}"
        ends = limits(
            [_shown(row[key], factor) for row in rows for key in ("mean", "ci_low", "ci_high")],
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
    low, mean, high = (_shown(row[key], factor) for key in ("ci_low", "mean", "ci_high"))
    return DotRow(model=row["model"], color=color, marker=marker, mean=mean, low=low, high=high)


def _dot_reading(plot: DotPlot) -> str:
    drawn = [(panel, row) for panel in plot.panels for row in panel.rows if row.mean is not None]
    at_chance = sum(panel.chance is not None and row.low is not None and row.low <= panel.chance for panel, row in drawn)
    with_chance = sum(panel.chance is not None and row.low is not None for panel, row in drawn)
    text = f"Scores with intervals, {counted(len(drawn), 'mean')} over {counted(len(plot.panels), 'task')}"
    return f"{text}; {at_chance} of {with_chance} intervals reach down to chance (dashed)." if with_chance else f"{text}."


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
    """Other strategies, perturbations and metrics: outside the family, hence without a claim."""
    blocks: list[Block] = []
    cells = ("strategy", "perturbation")
    estimates, comparisons = (other_rows(findings, frame) for frame in (findings.estimates, findings.comparisons))
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
        text="These results were not part of the pre-stated family. They may suggest a next study; they decide nothing in this one. "
        "Their p-values are not adjusted, and their verdicts are read off those."
    )
    return Section(anchor="exploratory", title="Other strategies, perturbations and metrics (exploratory)", blocks=(lead, *blocks))
