"""Differences by task, by family and over all tasks, and whether another way of taking the mean would say something else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from evalsuite.report.answer import shows_tasks
from evalsuite.report.blocks import Block, Cell, Column, Paragraph, Raw, Section, Table, data_of_rows
from evalsuite.report.findings import Findings, Pair, main_rows, of_pair, pairs_of, pooled_rows
from evalsuite.report.forests import MAX_FORESTS, forest_figure, grouped_tasks, overview_figures, pools, several_languages
from evalsuite.report.words import SHARES, counted, interval, listed, number, p_number, share
from evalsuite.stats.meta import MIN_TASKS


def tasks_across_section(findings: Findings) -> Section | None:
    """Forest plots by task and family, the grid of all comparisons, and the pooled difference by other methods."""
    pairs = pairs_of(main_rows(findings, findings.comparisons))
    blocks: list[Block] = list(overview_figures(findings)) if pools(findings) or shows_tasks(findings) else []
    grouped = {pair for pair in pairs if grouped_tasks(findings, pair) or several_languages(findings, pair)}
    if len(pairs) <= MAX_FORESTS:
        blocks += [forest_figure(findings, pair, grouped=pair in grouped) for pair in pairs if pair in grouped or not shows_tasks(findings)]
    elif blocks:
        text = f"With {len(pairs)} pairs, forest plots of single pairs are left out; every difference stands under “Paired differences”."
        blocks.append(Paragraph(text=text, small=True))
    if grouped and len(pairs) <= MAX_FORESTS:
        text = (
            "What families and languages come to is exploratory: it was not stated beforehand, and its p-values are not corrected. Within "
            "each mean a question counts once, however many tasks hold it."
        )
        blocks.append(Paragraph(text=text, small=True))
    blocks += methods_blocks(findings)
    return Section(anchor="across", title="By task, and over all tasks", blocks=tuple(blocks)) if blocks else None


def methods_blocks(findings: Findings) -> list[Block]:
    """The pooled difference of each pair by every method that was used, and one sentence on whether they agree; empty without others."""
    rows: list[tuple[Raw, ...]] = []
    said: dict[Pair, set[str]] = {}
    main = pooled_rows(findings)
    for pair in pairs_of(main) if len(main) else []:
        found = _methods(findings, pair)
        if len(found) > 1:
            rows += [(*pair, *row) for row in found]
            said[pair] = {_side(row[3], row[4], 1.0 if row[1] == "odds ratio" else 0.0) for row in found} - {""}
    if not rows:
        return []
    columns = ("model_a", "model_b", "method", "measure", "estimate", "low", "high", "p_value", "note")
    several = len(said) > 1
    heads = [
        *(["Pair"] if several else []),
        "Method",
        "Result",
        f"{share(main['ci_level'].iloc[0])} interval",
        "p",
        "What it takes for granted",
    ]
    kinds: dict[str, Any] = {"Result": "number", "p": "number", heads[-3]: "number"}
    title = "The same question by other methods" + ("" if several else f", {rows[0][0]} − {rows[0][1]}")
    table = Table(
        name="methods",
        title=title,
        columns=tuple(Column(label=head, kind=kinds.get(head, "text")) for head in heads),
        rows=tuple(_shown(row, several=several) for row in rows),
        data=data_of_rows(columns, rows),
        note=_note(findings),
    )
    return [Paragraph(text=_agreement(said)), table]


def _note(findings: Findings) -> str:
    """How to read the table, of no more methods than were used."""
    said = ["The verdict rests on the first line of a pair; p-values are not corrected here."]
    meta = findings.analyses.meta
    if len(meta):
        said.append("The meta-analysis asks about tasks like these that were not run, so that its interval is wider where tasks differ.")
        if meta["ci_low"].isna().any():
            said.append(f"From fewer than {MIN_TASKS} tasks nothing is said about others: no interval is given.")
    if len(findings.analyses.mixed):
        said.append("An odds ratio above 1 favours the first model.")
    return " ".join(said)


def _methods(findings: Findings, pair: Pair) -> list[tuple[Any, ...]]:
    """(method, measure, estimate, low, high, p, note) of each way to pool the tasks of a pair; the pre-stated one first."""
    found: list[tuple[Any, ...]] = []
    points = "difference"
    analyses = findings.analyses
    for row in of_pair(pooled_rows(findings), pair):
        # Of a single task the mean is the comparison itself, whose other methods stand under “Sensitivity”.
        if row["difference"] is None or (row["n_tasks"] == 1 and not len(analyses.mixed)):
            return []
        n = counted(int(row["n_groups"]), "independent group")
        weighed = "each task counts the same" if findings.study.analysis.pooling == "tasks" else "each distinct question counts the same"
        ends = (row["ci_low"], row["ci_high"])
        found.append((f"mean difference, {weighed}", points, row["difference"], *ends, row["p_value"], f"{n}, whatever task they stand in"))
        if row.get("boot_low") is not None:
            note = "nothing about the shape of the distribution; needs many groups"
            found.append(("the same, bootstrap over groups", points, row["difference"], row["boot_low"], row["boot_high"], None, note))
    for row in of_pair(analyses.meta, pair) if len(analyses.meta) else []:
        name = f"random-effects meta-analysis of {counted(int(row['n_tasks']), 'task')}"
        note = str(row["assumption"] or "")
        if row["i2"] is not None:
            note = f"{note.rstrip('.')}; {100 * row['i2']:.0f}% of the variation is between tasks (I²)".removeprefix("; ")
        found.append((name, points, row["difference"], row["ci_low"], row["ci_high"], row.get("p_value"), note))
    for row in of_pair(analyses.mixed, pair) if len(analyses.mixed) else []:
        ends = (row["ci_low"], row["ci_high"])
        found.append(("mixed-effects logistic model", "odds ratio", row["odds_ratio"], *ends, row.get("p_value"), str(row["note"] or "")))
    return found


def _shown(row: Sequence[Raw], *, several: bool) -> tuple[Cell, ...]:
    model_a, model_b, method, measure, estimate, low, high, p, note = row
    text: Callable[[Any], str] = _ratio if measure == "odds ratio" else lambda value: number(value, SHARES, signed=True)
    result = f"{text(estimate)}{' (odds ratio)' if measure == 'odds ratio' else ' points'}" if estimate is not None else "–"
    between = "–" if low is None or high is None else f"{_ratio(low)} to {_ratio(high)}"
    ends = between if measure == "odds ratio" else interval(_float(low), _float(high), SHARES)
    cells = [result, ends, p_number(_float(p)), str(note)]
    return tuple(Cell(text=cell) for cell in (*([f"{model_a} − {model_b}"] if several else []), str(method), *cells))


def _float(value: Raw) -> float | None:
    return None if value is None else float(value)


def _ratio(value: Any) -> str:
    return "–" if value is None else f"{value:.2f}"


def _side(low: float | None, high: float | None, nothing: float) -> str:
    """On which side of no difference an interval lies; empty where there is none."""
    if low is None or high is None:
        return ""
    return "above" if low > nothing else "below" if high < nothing else "across"


def _agreement(said: dict[Pair, set[str]]) -> str:
    """Whether the intervals of all methods lie on the same side of no difference, pair by pair."""
    apart = [f"{a} against {b}" for (a, b), sides in said.items() if len(sides) > 1]
    if not apart:
        whose = "" if len(said) == 1 else f" for {'both' if len(said) == 2 else f'all {len(said)}'} pairs"
        sides = next(iter(said.values())) if len(said) == 1 else set()
        where = {"above": ", all above zero", "below": ", all below zero", "across": ", all reaching across zero"}
        side = where.get("".join(sides), "")
        return f"Other ways to take the mean say the same{whose}: their intervals lie on the same side of no difference{side}."
    rest = len(said) - len(apart)
    others = f" For the other {counted(rest, 'pair')} they agree." if rest else ""
    return f"The methods do not agree on {listed(apart)}: some intervals exclude “no difference” and others do not.{others}"
