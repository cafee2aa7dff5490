"""What each perturbation does to each model: its change, what it keeps and flips, as sentences, heat maps and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import get_args

import pandas as pd

from evalsuite.perturbations.base import Family
from evalsuite.report.blocks import Block, Bullets, DataFile, Figure, Paragraph, Table, slug
from evalsuite.report.findings import Findings, data_of, in_order, primary_metrics, primary_strategy, records
from evalsuite.report.plots.heat import HeatCell, HeatGroup, HeatPlot
from evalsuite.report.sentences import Row
from evalsuite.report.tables import Shown, number_column, table_of, text_column, zero_width
from evalsuite.report.words import SHARES, counted, interval, listed, number, scale_of, share
from evalsuite.stats.design import MIN_GROUPS

MAX_TASKS = 6
"""Most tasks that have a heat map each; all of them stand in the table."""

MAX_ACROSS = 4
"""Most perturbations that stand beside each other; where there are more, and more than models, they go down the page."""

MAX_DOWN = 24
"""Most perturbations below each other in one heat map; further families stand in another."""

MAX_SAID = 6
"""Most perturbations that a sentence names one by one."""

REASONS = "abcdefghijklmnopqrstuvwxyz"
"""Marks of reasons why there is no number; further ones share the last."""


def at_judged_strategy(findings: Findings, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of `perturbed`, or of a frame like it, at the strategy that each perturbation is judged under.

    It is the one that the frame `robustness` names; without pairs the primary one where both were asked, else the first of the study.
    """
    own = findings.analyses.robustness
    named = {(row["task"], row["perturbation"]): str(row["strategy"]) for row in records(own)}
    order = list(dict.fromkeys([primary_strategy(findings.study), *(entry.label for entry in findings.study.strategies)]))
    rows = records(frame)
    compared = {_place(row) for row in rows if row.get("mean_before") is not None}
    found: dict[tuple[str, str], str] = {}
    for row in sorted(rows, key=lambda row: (_place(row) not in compared, _rank(order, str(row["strategy"])))):
        found.setdefault((row["task"], row["perturbation"]), str(row["strategy"]))
    found |= {key: strategy for key, strategy in named.items() if key in found}
    kept = [found[row["task"], row["perturbation"]] == row["strategy"] for row in rows]
    return frame[kept]


def lead_metric(findings: Findings, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of each task's primary metric, or of its first where that is not there."""
    primary = primary_metrics(findings)
    held = {str(task): sorted(own["metric"]) for task, own in frame.groupby("task", sort=False)}
    kept = {task: primary[task] if primary.get(task) in names else names[0] for task, names in held.items()}
    return frame[[kept[task] == metric for task, metric in zip(frame["task"], frame["metric"], strict=True)]]


def family_of(findings: Findings, perturbation: str) -> str:
    """Family of a perturbation; empty where it is not known."""
    known = findings.labels.perturbations.get(perturbation)
    return known.family if known else ""


def in_families(findings: Findings, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows in the order of the study, perturbations by family in the order of families first within a task (and pair)."""
    families = list(get_args(Family))
    ordered = in_order(findings, frame.reset_index(drop=True))
    study = [entry.label for entry in findings.study.perturbations]
    heads = [name for name in ("model_a", "model_b", "task") if name in frame]
    pairs = ordered[heads].apply(tuple, axis=1)
    places = {head: at for at, head in enumerate(dict.fromkeys(pairs))}
    ranks = [
        (places[head], _rank(families, family_of(findings, name)), _rank(study, name), name, at)
        for at, (head, name) in enumerate(zip(pairs, ordered["perturbation"], strict=True))
    ]
    return ordered.iloc[[rank[-1] for rank in sorted(ranks)]].reset_index(drop=True)


def parts_of(findings: Findings, names: Sequence[str]) -> list[list[str]]:
    """Perturbations in as many figures as they need down the page, families together where they fit.

    Args:
        findings: for the families.
        names: perturbation ids, by family.
    """
    parts: list[list[str]] = [[]]
    for _, own in groupby(names, key=lambda name: family_of(findings, name)):
        family = list(own)
        if parts[-1] and len(parts[-1]) + len(family) > MAX_DOWN:
            parts.append([])
        parts[-1] += family
    return [part[at : at + MAX_DOWN] for part in parts for at in range(0, len(part), MAX_DOWN)]


def judged_frame(findings: Findings) -> pd.DataFrame:
    """What the section leads with: changes by the primary metric at the judged strategies, without the reference itself."""
    frame = findings.analyses.perturbed
    if not len(frame):
        return frame
    frame = frame[frame["perturbation"] != findings.study.analysis.primary.perturbation]
    return in_families(findings, at_judged_strategy(findings, lead_metric(findings, frame))) if len(frame) else frame


def perturbation_label(findings: Findings, row: Row) -> str:
    """A perturbation with its strategy where that is not the primary one."""
    strategy = str(row["strategy"])
    return str(row["perturbation"]) if strategy == primary_strategy(findings.study) else f"{row['perturbation']} ({strategy})"


def reason_marks(reasons: Sequence[str]) -> dict[str, str]:
    """Reasons why there is no number, each once, to the marks that stand for them in a heat map."""
    return {reason: REASONS[min(at, len(REASONS) - 1)] for at, reason in enumerate(dict.fromkeys(reasons))}


def reasons_said(marks: Mapping[str, str]) -> str:
    """What the marks mean, as a sentence after others; empty where there are none."""
    said = [f"{mark}, {', '.join(own)}" for mark, own in groupby(marks, key=lambda reason: marks[reason])]
    return f" Hatched, no number: {'; '.join(said)}." if said else ""


def limits_of(findings: Findings, row: Row) -> str:
    """The interval of a change as shown; one of width zero is marked."""
    return interval(row["ci_low"], row["ci_high"], scale_of(findings, row["metric"])) + " *" * zero_width(row["ci_low"], row["ci_high"])


def flat_note(frame: pd.DataFrame) -> str:
    """What the mark of `limits_of` means, as a sentence after others; empty where it does not occur."""
    if not any(zero_width(row["ci_low"], row["ci_high"]) for row in records(frame)):
        return ""
    return " * An interval of width zero: all changes alike; the t interval knows nothing of answers not seen."


def drop_blocks(findings: Findings, frame: pd.DataFrame) -> list[Block]:
    """Sentences, heat maps and the table of the changes of every model.

    Args:
        findings: for names, scales and the whole frame.
        frame: `judged_frame`, at least one row.
    """
    rows: list[Row] = list(records(frame))
    blocks: list[Block] = [Bullets(items=tuple(_said(findings, rows)))]
    blocks.append(Paragraph(text=_reading(findings, rows), small=True))
    blocks += _heat_figures(findings, frame)
    blocks.append(_table(findings, frame))
    everything = findings.analyses.perturbed
    if len(everything) > len(frame):
        what = "Changes under every strategy and metric, unrounded"
        blocks.append(DataFile(name="perturbed_all", text=what, data=data_of(in_order(findings, everything))))
    return blocks


def _rank(order: Sequence[str], name: str) -> int:
    return order.index(name) if name in order else len(order)


def _place(row: Row) -> tuple[str, str, str]:
    return row["task"], row["perturbation"], row["strategy"]


def _known(row: Row) -> bool:
    """Whether there is a change with an interval that rests on enough groups to be spoken of."""
    return row["change"] is not None and row["ci_low"] is not None and row["n_groups"] >= MIN_GROUPS


def _clear(row: Row) -> bool:
    """Whether there is such a change whose interval holds no 0."""
    return _known(row) and (row["ci_low"] > 0 or row["ci_high"] < 0)


def _said(findings: Findings, rows: Sequence[Row]) -> list[str]:
    """A sentence per model: how many of its changes are clear, and where it loses and keeps most."""
    several = len({row["task"] for row in rows}) > 1
    said = []
    for model in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == model]
        known = [row for row in own if _known(row)]
        if not known:
            said.append(f"{model}: none of {counted(len(own), 'change')} has a number and an interval from {MIN_GROUPS} groups or more.")
            continue
        down, up = (sum(_clear(row) and (row["change"] < 0) is loses for row in known) for loses in (True, False))
        text = f"{model}: of {counted(len(known), 'change')}, {down} {_lie(down)} below 0 with the whole interval and {up} above it"
        shares = [row for row in known if scale_of(findings, row["metric"]) == SHARES]
        worst = min(shares, key=lambda row: float(row["change"]), default=None)
        if worst is not None and worst["change"] < 0:
            where = f"under {perturbation_label(findings, worst)}" + (f" on {worst['task']}" if several else "")
            text += f"; it loses most {where}, {number(-worst['change'], SHARES)} points "
            text += f"({share(worst['ci_level'])} interval of the change {interval(worst['ci_low'], worst['ci_high'], SHARES)})"
        kept = _least_kept(findings, known, several=several)
        lost = len(own) - len(known)
        said.append(f"{text}{kept}{f'; {lost} more {_has(lost)} no number, or fewer than {MIN_GROUPS} groups' if lost else ''}.")
    return said


def _least_kept(findings: Findings, rows: Sequence[Row], *, several: bool) -> str:
    """Where a model keeps the fewest of its choices although the meaning is preserved; empty where nothing is known."""
    kept = [row for row in rows if row["consistency"] is not None]
    if not kept:
        return ""
    least = min(kept, key=lambda row: float(row["consistency"]))
    where = f"{perturbation_label(findings, least)}" + (f" on {least['task']}" if several else "")
    n_alike = sum(row["consistency"] == least["consistency"] for row in kept) - 1
    alike = f" (as in {counted(n_alike, 'more row')})" if n_alike else ""
    return f"; where the meaning is preserved it keeps its choice least under {where}, in {number(least['consistency'], SHARES)}%{alike}"


def _reading(findings: Findings, rows: Sequence[Row]) -> str:
    alpha = findings.study.analysis.alpha
    known = sum(_known(row) for row in rows)
    chance = f"{alpha * known:.1f}".removesuffix(".0")
    text = (
        f"Changes are paired, within one model, over the samples that it has both ways. Their {share(1 - alpha)} intervals are not "
        f"corrected: of {counted(known, 'change')} about {chance} would leave 0 out by chance alone if nothing changed, and the largest of "
        "many overstates."
    )
    if any(family_of(findings, row["perturbation"]) == "target-changing" for row in rows):
        text += " Target-changing perturbations can change what a guess scores, too: one of two choices is easier to hit than one of four."
    refused = {(row["perturbation"], row["task"]): int(row["n_refused"] or 0) for row in rows}
    over = {name: sum(n for (other, _), n in refused.items() if other == name) for name, _ in refused}
    some = sorted((name for name, n in over.items() if n), key=lambda name: (-over[name], name))
    if not some:
        return f"{text} No perturbation refused a sample."
    names = [f"{name} ({over[name]:,} refused)" for name in some[:MAX_SAID]]
    more = f", and {len(some) - MAX_SAID} more: in the table" if len(some) > MAX_SAID else ""
    return f"{text} Samples to which a perturbation does not apply are refused and leave both sides: {listed(names)}{more}."


def _lie(n: int) -> str:
    return "lies" if n == 1 else "lie"


def _has(n: int) -> str:
    return "has" if n == 1 else "have"


def _heat_figures(findings: Findings, frame: pd.DataFrame) -> list[Figure]:
    """Heat maps of every task, all of the same depth of colour."""
    rows = [row for row in records(frame) if scale_of(findings, row["metric"]) == SHARES]
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    largest = max((100 * abs(row["change"]) for row in rows if row["change"] is not None), default=0.0) or 1.0
    figures: list[Figure] = []
    for task in tasks[:MAX_TASKS]:
        own = [row for row in rows if row["task"] == task]
        stem = "heat" if len(tasks) == 1 else f"heat_{slug(str(task)[:60])}"
        names = list(dict.fromkeys(row["perturbation"] for row in own))
        parts = parts_of(findings, names) if _upright(names, own) else [names]
        for at, part in enumerate(parts, 1):
            name = stem if len(parts) == 1 else f"{stem}_part{at}"
            figures.append(_heat(findings, frame, [row for row in own if row["perturbation"] in part], name=name, largest=largest))
    if len(tasks) > MAX_TASKS:
        more = f" {counted(len(tasks) - MAX_TASKS, 'further task')}: in the table."
        figures[-1] = replace(figures[-1], caption=figures[-1].caption + more)
    return figures


def _upright(order: Sequence[str], rows: Sequence[Row]) -> bool:
    """Whether perturbations go down the page: the longer side does."""
    return len(order) > max(MAX_ACROSS, len({row["model"] for row in rows}))


def _heat(findings: Findings, frame: pd.DataFrame, rows: Sequence[Row], *, name: str, largest: float) -> Figure:
    """One task: models against perturbations by family."""
    task = rows[0]["task"]
    models = list(dict.fromkeys(row["model"] for row in sorted(rows, key=lambda row: _rank(findings.study.models, row["model"]))))
    labels = {row["perturbation"]: perturbation_label(findings, row) for row in rows}
    families = {family: list(own) for family, own in groupby(labels, key=lambda entry: family_of(findings, entry))}
    marks = reason_marks([_reason(row) for row in rows if row["change"] is None])
    of = {(row["model"], row["perturbation"]): row for row in rows}
    cells = [[_cell(of.get((model, perturbation)), marks) for perturbation in labels] for model in models]
    changed = tuple(HeatGroup(label=family, names=tuple(labels[entry] for entry in own)) for family, own in families.items())
    answered = (HeatGroup(label="", names=tuple(models)),)
    everything = [row for row in records(frame) if row["task"] == task]
    upright = _upright(list(dict.fromkeys(row["perturbation"] for row in everything)), everything)
    plot = HeatPlot(
        rows=changed if upright else answered,
        columns=answered if upright else changed,
        cells=tuple(zip(*cells, strict=True)) if upright else tuple(tuple(row) for row in cells),
        largest=largest,
        gain="more right",
        loss="fewer right",
    )
    caption = _caption(findings, rows, marks, blank=any(cell is None for row in cells for cell in row))
    spoken = " ".join(f"{model}: {_spoken([of.get((model, entry)) for entry in labels], labels)}." for model in models)
    alt = f"Heat map of models and perturbations, change of the score on {task} in points. {spoken}"
    own = frame[(frame["task"] == task) & frame["perturbation"].isin(list(labels))]
    return Figure(name=name, plot=plot, caption=caption, alt=alt, data=data_of(own))


def _cell(row: Row | None, marks: Mapping[str, str]) -> HeatCell | None:
    if row is None:
        return None
    if row["change"] is None:
        return HeatCell(value=None, text=marks[_reason(row)])
    return HeatCell(value=100 * row["change"], text=number(row["change"], SHARES, signed=True), clear=_clear(row))


def _reason(row: Row) -> str:
    return str(row["note"] or "no number")


def _caption(findings: Findings, rows: Sequence[Row], marks: Mapping[str, str], *, blank: bool) -> str:
    n = sum(_clear(row) for row in rows)
    known = sum(row["change"] is not None for row in rows)
    reference = findings.study.analysis.primary.perturbation
    against = "unperturbed questions" if reference == "none" else f"the perturbation {reference}"
    text = f"Change against {against} on {rows[0]['task']}, in points: {n} of {known} {_has(n)} an interval without 0 (bold)."
    few = any(row["change"] is not None and row["n_groups"] < MIN_GROUPS for row in rows)
    text += f" A change over fewer than {MIN_GROUPS} groups is never bold." if few else ""
    text += reasons_said(marks)
    return text + (" A dot: not asked of this model." if blank else "")


def _spoken(rows: Sequence[Row | None], labels: Mapping[str, str]) -> str:
    found = [f"{labels[row['perturbation']]} {number(row['change'], SHARES, signed=True)}" for row in rows if row is not None]
    return ", ".join(found)


def _table(findings: Findings, frame: pd.DataFrame) -> Table:
    """Changes, consistency and flips at the judged strategies."""
    several = {name: frame[name].nunique() > 1 for name in ("task", "metric")}
    levels = frame["ci_level"].dropna()
    level = f"{share(levels.iloc[0])} interval" if len(levels) else "Interval"

    def valued(label: str, key: str, *, signed: bool = False) -> Shown:
        return number_column(label, lambda row: number(row[key], scale_of(findings, row["metric"]), signed=signed))

    def flips(label: str, key: str, n: str) -> Shown:
        return number_column(label, lambda row: "–" if row[key] is None else f"{number(row[key], SHARES)} of {int(row[n]):,}")

    heads: list[Shown] = [text_column("Task", lambda row: str(row["task"]))] if several["task"] else []
    heads += [text_column("Perturbation", lambda row: perturbation_label(findings, row))]
    heads += [text_column("Model", lambda row: str(row["model"]))]
    heads += [text_column("Metric", lambda row: str(row["metric"]))] if several["metric"] else []
    columns = [
        *heads,
        valued("Before", "mean_before"),
        valued("After", "mean"),
        valued("Change", "change", signed=True),
        number_column(level, lambda row: limits_of(findings, row)),
        number_column("Same choice %", lambda row: number(row["consistency"], SHARES)),
        flips("Right to wrong %", "p_right_to_wrong", "n_right_before"),
        flips("Wrong to right %", "p_wrong_to_right", "n_wrong_before"),
        number_column("Samples", lambda row: "–" if row["n_samples"] is None else f"{int(row['n_samples']):,}"),
        number_column("Refused", lambda row: f"{int(row['n_refused'] or 0):,}"),
    ]
    columns += [text_column("Note", lambda row: str(row["note"] or ""))] if frame["note"].fillna("").any() else []
    reference = findings.study.analysis.primary.perturbation
    unread = "is left out" if findings.study.analysis.missing == "drop" else "is another one"
    note = (
        f"Before: the same samples {'unperturbed' if reference == 'none' else f'under {reference}'}, under the same strategy. Same choice: "
        "the answer is the same original choice as before, where the perturbation preserves the meaning; an answer that could not be read "
        f"{unread}. Right to wrong: of the samples that were right before; wrong to right: of those that were wrong. Refused: samples to "
        "which the perturbation does not apply; they are on neither side. Intervals of all shares are in the CSV file."
    )
    note += flat_note(frame)
    return table_of(frame, columns, name="perturbed", title="What each perturbation changes", note=note)
