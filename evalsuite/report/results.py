"""Sections about what was found. Each builder returns its section, or None where its data are absent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from evalsuite.report.blocks import Block, DataFile, Figure, Notice, Paragraph, Section, slug
from evalsuite.report.figures.canvas import limits, model_style
from evalsuite.report.findings import (
    Findings,
    Pair,
    data_of,
    family_size,
    in_order,
    is_set_metric,
    main_rows,
    narrowed,
    other_rows,
    pairs_of,
    parts,
    records,
)
from evalsuite.report.plots import VERDICTS, DotPanel, DotPlot, DotRow, ForestPlot, ForestRow
from evalsuite.report.tables import Row, chance_of, comparison_table, estimate_table, p_note, sensitivity_table, zero_width
from evalsuite.report.words import (
    VERDICT_NAMES,
    answers,
    counted,
    interval,
    listed,
    missing_answers,
    missing_rule,
    number,
    scale_of,
    share,
    why_not_established,
)

MAX_NAMED = 4
"""Most tasks or models that a notice or caption names one by one."""


def answer_section(findings: Findings) -> Section | None:
    """The first screen: the answer for each pair, what must be known before believing it, and the forest plots."""
    said = answers(findings)
    none = Paragraph(text="No pair of models is compared in this study; it reports scores only.")
    blocks: list[Block] = [*(said or (none,)), *notices(findings)]
    blocks.extend(forest_figure(findings, pair) for pair in pairs_of(main_rows(findings, findings.comparisons)))
    return Section(anchor="answer", title="Answer", blocks=tuple(blocks))


def notices(findings: Findings) -> tuple[Notice, ...]:
    """What must not be overlooked: failures, a changed analysis, models that are test instruments."""
    found: list[Notice] = [*part_notice(findings)]
    failed = in_order(findings, findings.estimates[findings.estimates["n_failed"].fillna(0) > 0])
    if len(failed):
        where = [f"{task} ({', '.join(dict.fromkeys(own['model']))})" for task, own in failed.groupby("task", sort=False)]
        text = (
            f"Answers failed for reasons that are not the models': {listed(where)}. The comparisons that need them are not established "
            "until the study is run again without failures, or the samples are excluded by name for all models."
        )
        found.append(Notice(level="failure", text=text))
    if findings.manifest.get("analysis_changes"):
        text = (
            "The analysis was changed after it was first stated; what the change touches is exploratory. "
            "The changes stand under “How to reproduce it”."
        )
        found.append(Notice(level="warning", text=text))
    found.extend(missing_notice(findings))
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


def part_notice(findings: Findings) -> tuple[Notice, ...]:
    """What part of the study was run, where it was not the whole."""
    if not narrowed(findings):
        return ()
    chosen = [(key, findings.selection.get(key)) for key in ("limit", "models", "tasks")]
    options = [f"--{key} {value if key == 'limit' else ','.join(value)}" for key, value in chosen if value]
    n_family = family_size(findings)
    size = "" if n_family is None else f" of {counted(n_family, 'comparison')}"
    corrected = "The correction runs over the whole" if findings.study.analysis.correction != "none" else "It belongs to a"
    text = f"Part of the study only: {', '.join(options)}. {corrected} pre-stated family{size}."
    return (Notice(level="warning", text=text),)


def missing_notice(findings: Findings) -> tuple[Notice, ...]:
    """Models that gave no answer to many of the questions that they are compared on."""
    rows = records(main_rows(findings, findings.comparisons))
    silent: dict[str, dict[str, tuple[int, int]]] = {}
    for row in rows:
        for model, counts in missing_answers(findings, row).items():
            # A model has the same answers in every pair, but for those that its opponent refused.
            of_task = silent.setdefault(model, {})
            of_task[row["task"]] = max(of_task.get(row["task"], counts), counts)
    if not silent:
        return ()
    dropped = findings.study.analysis.missing == "drop"
    rule = "leave the comparison on both sides" if dropped else f"{listed(sorted(_rules(findings, rows)))}"
    warned = (
        "What is left are the questions that both sides answered, which need not be like the others."
        if dropped
        else "Such a difference tells first of all who answered at all."
    )
    where = "; ".join(f"{model} on {_tasks_with_counts(of_task)}" for model, of_task in silent.items())
    text = f"Many answers are missing (unparsed, truncated or too long) and {rule}: {where}. {warned}"
    return (Notice(level="warning", text=text),)


def _rules(findings: Findings, rows: Sequence[Row]) -> set[str]:
    return {missing_rule(findings, row["metric"]) for row in rows if missing_answers(findings, row)}


def _tasks_with_counts(of_task: Mapping[str, tuple[int, int]]) -> str:
    if len(of_task) <= MAX_NAMED:
        return listed([f"{task} ({n:,} of {n_all:,})" for task, (n, n_all) in of_task.items()])
    shares = [round(n / n_all, 2) for n, n_all in of_task.values()]
    ends = list(dict.fromkeys(share(end) for end in (min(shares), max(shares))))
    return f"{len(of_task)} tasks ({' to '.join(ends)} of the answers)"


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
    """How many of each verdict: the intervals, which are not corrected for the family, may say something else at the edge."""
    n = {verdict: sum(row.verdict == verdict for row in plot.rows) for verdict in VERDICTS}
    said = ", ".join(f"{n[verdict]} {VERDICT_NAMES[verdict]}" for verdict in VERDICTS if n[verdict])
    return f"{said}; the shaded band is the margin of ±{plot.margin:g}."


def _shown(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


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
