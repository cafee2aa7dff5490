"""Prompts that were chosen on a validation split: whose won, how far the candidates lay apart, and every one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from evalsuite.report.blocks import Block, Bullets, Cell, Column, Figure, Listing, Paragraph, Table, data_of_rows
from evalsuite.report.figures.canvas import MUTED, limits, model_style
from evalsuite.report.findings import Findings
from evalsuite.report.plots.means import DotPanel, DotPlot, DotRow
from evalsuite.report.prepared import Made, count_of, whole
from evalsuite.report.words import SHARES, Scale, listed, number, scale_of


def candidates_of(made: Made) -> list[Mapping[str, Any]]:
    """The candidates of a choice of prompts, in the order in which ties go."""
    listed_ones = made.facts.get("candidates")
    return [entry for entry in listed_ones if isinstance(entry, Mapping)] if isinstance(listed_ones, list | tuple) else []


def _winner(made: Made) -> Mapping[str, Any] | None:
    candidates, at = candidates_of(made), count_of(made, "winner")
    return candidates[at] if at is not None and 0 <= at < len(candidates) else None


def _candidate(entry: Mapping[str, Any] | None) -> str:
    """A candidate in words."""
    if entry is None:
        return "not determined: answers failed"
    seed = entry.get("exemplar_seed")
    return str(entry.get("template", "–")) + ("" if seed is None else f", exemplar seed {seed}")


def _means(made: Made) -> list[float]:
    return [
        float(entry["mean"]) for entry in candidates_of(made) if isinstance(entry.get("mean"), int | float) and not pd.isna(entry["mean"])
    ]


def selection_blocks(findings: Findings, chosen: Sequence[Made]) -> list[Block]:
    """Whose prompt won, how far apart the candidates were, and every candidate on demand."""
    blocks: list[Block] = [Paragraph(text=_selection_said(findings, chosen))]
    lenders = dict.fromkeys(
        f"Under {made.strategy} every model runs with the prompt that won for {made.facts['lender']}."
        for made in chosen
        if made.facts.get("lender")
    )
    blocks += [Bullets(items=tuple(lenders))] if lenders else []
    blocks += [*_spread_figures(findings, chosen), _winners_table(findings, chosen), *_candidate_tables(findings, chosen)]
    return [*blocks, *_templates(chosen)]


def _selection_said(findings: Findings, chosen: Sequence[Made]) -> str:
    splits = list(dict.fromkeys(str(made.facts.get("split", "–")) for made in chosen))
    text = f"Prompts were chosen on the {listed(splits)} split, never on the evaluated one, by their mean there; ties go to the first."
    spreads = [
        (max(means) - min(means), made) for made in chosen if len(means := _means(made)) > 1 and _metric_scale(findings, made) == SHARES
    ]
    if spreads:
        widest, made = max(spreads, key=lambda item: item[0])
        text += f" Best and worst candidate are up to {number(widest, SHARES)} points apart there ({made.model} on {made.task})."
    return text


def _metric(made: Made) -> str:
    return str(made.facts.get("metric", "accuracy"))


def _metric_scale(findings: Findings, made: Made) -> Scale:
    return scale_of(findings, _metric(made))


def _worst(findings: Findings, made: Made) -> float | None:
    """The mean of the worst candidate."""
    known = findings.metrics.get(_metric(made))
    means = _means(made)
    return None if not means else min(means) if known is None or known.higher_is_better else max(means)


def _winners_table(findings: Findings, chosen: Sequence[Made]) -> Table:
    heads = (("Task", False), ("Strategy", False), ("Model", False), ("Winner", False), ("Of", True), ("Mean there", True), ("Worst", True))
    rows, values = [], []
    for made in chosen:
        scale, winner, worst = _metric_scale(findings, made), _winner(made), _worst(findings, made)
        best = winner.get("mean") if winner else None
        n = count_of(made, "n_validation")
        who = made.model if not made.facts.get("lender") else f"{made.facts['lender']}, for all models"
        entry = [made.task, made.strategy, who, _candidate(winner), str(len(candidates_of(made)))]
        entry += [number(best, scale), number(worst, scale), whole(n), str(made.facts.get("split", "–"))]
        rows.append(tuple(Cell(text=text) for text in entry))
        values.append([made.task, made.strategy, made.model, _candidate(winner), len(candidates_of(made)), best, worst, n])
    columns = [Column(label=label, kind="number" if numeric else "text") for label, numeric in heads]
    columns += [Column(label="Questions", kind="number"), Column(label="Split")]
    names = ["task", "strategy", "model", "winner", "n_candidates", "mean", "worst", "n_validation"]
    note = "Mean there: of the winner on the validation questions, where it was picked as the best of several, which flatters it."
    data = data_of_rows(names, values)
    return Table(name="prompts_chosen", title="Prompts that were chosen", columns=tuple(columns), rows=tuple(rows), data=data, note=note)


def _candidate_tables(findings: Findings, chosen: Sequence[Made]) -> list[Table]:
    """Every candidate, one table per model, on demand."""
    tables: list[Table] = []
    failed = any(entry.get("n_failed") for made in chosen for entry in candidates_of(made))
    for at, model in enumerate(dict.fromkeys(made.model for made in chosen), 1):
        rows, values = [], []
        for made in (made for made in chosen if made.model == model):
            won = _winner(made)
            for entry in candidates_of(made):
                mean, n_missing, n_failed = (entry.get(key) for key in ("mean", "n_missing", "n_failed"))
                known = None if mean is None or pd.isna(mean) else float(mean)
                texts = [made.task, made.strategy, _candidate(entry), number(known, _metric_scale(findings, made))]
                texts += [whole(None if n_missing is None else int(n_missing)), *([whole(int(n_failed or 0))] if failed else [])]
                texts.append("chosen" if entry is won else "")
                rows.append(tuple(Cell(text=text) for text in texts))
                place = [made.task, made.strategy, model, entry.get("template"), entry.get("exemplar_seed")]
                values.append([*place, known, n_missing, n_failed, entry is won])
        columns = [Column(label=label) for label in ("Task", "Strategy", "Candidate")]
        numbers = ("Mean", "Missing", *(["Failed"] if failed else []))
        columns += [*(Column(label=label, kind="number") for label in numbers), Column(label="Chosen")]
        names = ["task", "strategy", "model", "template", "exemplar_seed", "mean", "n_missing", "n_failed", "chosen"]
        title = f"All candidates, {model}"
        data = data_of_rows(names, values)
        table = Table(name=f"candidates_{at}", title=title, columns=tuple(columns), rows=tuple(rows), data=data, note="", folded=True)
        tables.append(table)
    return tables


def _templates(chosen: Sequence[Made]) -> list[Listing]:
    """What each template is, on demand; none where it was not recorded."""
    found: dict[str, str] = {}
    for made in chosen:
        templates = made.facts.get("templates")
        for name, parts in templates.items() if isinstance(templates, Mapping) else ():
            if isinstance(parts, Mapping):
                found.setdefault(str(name), ", ".join(f"{part} {value!r}" for part, value in parts.items() if part != "name"))
    text = "\n".join(f"{name}: {parts}" for name, parts in found.items())
    return [Listing(title="The templates", text=text)] if found else []


def _spread_figures(findings: Findings, chosen: Sequence[Made]) -> list[Figure]:
    """From the worst to the best candidate, a line per model; none where fewer than two models chose."""
    drawn = [made for made in chosen if len(_means(made)) > 1 and _metric_scale(findings, made) == SHARES]
    if len({made.model for made in drawn}) < 2:
        return []
    style = model_style(findings.study.models)
    panels, ends, spoken = [], [], []
    several = len({made.strategy for made in drawn}) > 1
    for task, strategy in dict.fromkeys((made.task, made.strategy) for made in drawn):
        rows, label = [], f"{task}, {strategy}" if several else task
        for made in (made for made in drawn if (made.task, made.strategy) == (task, strategy)):
            means, won = [100 * mean for mean in _means(made)], _winner(made)
            best = max(means) if won is None or won.get("mean") is None else 100 * float(won["mean"])
            color, marker = style.get(made.model, (MUTED, 0))
            rows.append(DotRow(model=made.model, color=color, marker=marker, mean=best, low=min(means), high=max(means)))
            ends += means
            spoken.append(f"{label}, {made.model}: {min(means):.1f} to {max(means):.1f}.")
        panels.append(DotPanel(label=label, chance=None, rows=tuple(rows)))
    plot = DotPlot(axis="percent right on the validation questions", limits=limits(ends), panels=tuple(panels))
    caption = "Candidates on the validation questions: each line runs from the worst to the best prompt, the mark is the one chosen."
    alt = f"Dot plot with one row per model: range of the candidates' means. {' '.join(spoken)}"
    names = ["strategy", "task", "model", "mean"]
    data = data_of_rows(names, [[made.strategy, made.task, made.model, mean] for made in drawn for mean in _means(made)])
    return [Figure(name="prompts_chosen", plot=plot, caption=caption, alt=alt, data=data)]
