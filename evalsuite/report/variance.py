"""Variance parts: where the uncertainty of a difference comes from, and what would halve it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from evalsuite.report.blocks import Block, Figure, Paragraph, Section
from evalsuite.report.findings import Findings, data_of, in_order, records
from evalsuite.report.plots.answers import StackGroup, StackPlot, StackRow
from evalsuite.report.sentences import Row
from evalsuite.report.tables import Shown, number_column, table_of, text_column
from evalsuite.report.words import SHARES, listed, number, scale_of

PARTS = {
    "samples": "samples",
    "replicates": "replicates",
    "variants": "variants",
    "prompts": "prompts",
    "exemplar_seeds": "exemplar seeds",
    "residual": "interaction with samples",
}
"""Part to its name, in the order in which bars are stacked."""

MAX_GROUPS = 12
"""Most pairs and tasks in the figure; all of them stand in the table."""

KEY = ("model_a", "model_b", "task", "strategy")


def variance_section(findings: Findings) -> Section | None:
    """Shares of the variance of each mean difference by part, and how many of each would halve its standard error."""
    frame = findings.analyses.variance
    if not len(frame):
        return None
    frame = in_order(findings, frame)
    rows = records(frame)
    blocks: list[Block] = [Paragraph(text=_lead(rows)), *_figure(frame, rows)]
    several = {key: frame[key].nunique() > 1 for key in ("task", "strategy", "metric")}
    shown: list[Shown] = [
        text_column("Pair", lambda row: f"{row['model_a']} − {row['model_b']}"),
        *(text_column(key.capitalize(), partial(_text, key)) for key in several if key == "task" or several[key]),
        text_column("Part", lambda row: _name(row["part"])),
        number_column("Number now", lambda row: _whole(row["n"])),
        number_column("Share of the variance %", lambda row: number(row["share"], SHARES)),
        number_column("Standard error", lambda row: number(row["se_now"], scale_of(findings, row["metric"]))),
        number_column("Number to halve it", lambda row: _whole(row["n_to_halve"])),
    ]
    if bool(frame["note"].fillna("").astype(bool).any()):
        shown.append(text_column("Note", lambda row: row["note"] or "–"))
    note = (
        "Shares of the variance of the mean difference. Standard error: of that mean, over all parts. Number to halve it: of this part "
        "alone, all others as they are; a dash where no number would do."
    )
    table = table_of(frame, shown, name="variance", title="Where the uncertainty comes from", note=note)
    return Section(anchor="variance", title="Where the uncertainty comes from", blocks=(*blocks, table))


def _text(key: str, row: Row) -> str:
    return str(row[key])


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"


def _name(part: str) -> str:
    return PARTS.get(part, part.replace("_", " "))


def _groups(rows: Sequence[Row]) -> dict[tuple[str, ...], list[Row]]:
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in KEY), []).append(row)
    return found


def _lead(rows: Sequence[Row]) -> str:
    """To halve the standard error of each comparison: the cheapest way by parts, counted over comparisons where there are several."""
    groups = _groups(rows)
    if len(groups) == 1:
        ((a, b, task, _), own) = next(iter(groups.items()))
        ways = [f"{_whole(row['n_to_halve'])} {_name(row['part'])} instead of {_whole(row['n'])}" for row in own if row["n_to_halve"]]
        return f"To halve the standard error of {a} − {b} on {task}: {' or '.join(ways) or 'more of one part alone would not do'}."
    largest: dict[str, int] = {}
    for own in groups.values():
        known = [row for row in own if row["share"] is not None]
        if known:
            part = max(known, key=lambda row: row["share"])["part"]
            largest[part] = largest.get(part, 0) + 1
    said = listed([f"{_name(part)} in {n}" for part, n in sorted(largest.items(), key=lambda item: -item[1])])
    parts = [part for part in dict.fromkeys(row["part"] for row in rows) if part != "residual"]
    enough = {part: sum(row["n_to_halve"] is not None for row in rows if row["part"] == part) for part in parts}
    text = f"The largest part of the variance, of {len(groups)} comparisons: {said}." if said else "Nothing varies."
    would = [f"more {_name(part)} in {n}" for part, n in enough.items() if n]
    never = [_name(part) for part, n in enough.items() if not n]
    text += f" What alone would halve the standard error, at the numbers in the table: {listed(would)}." if would else ""
    return text + (f" No number of {' or '.join(never)} alone would." if never else "")


def _figure(frame: pd.DataFrame, rows: Sequence[Row]) -> list[Figure]:
    groups = {key: own for key, own in _groups(rows).items() if all(row["share"] is not None for row in own)}
    if not groups:
        return []
    names = [*PARTS, *(part for part in dict.fromkeys(row["part"] for row in rows) if part not in PARTS)]
    present = [part for part in names if any(row["part"] == part for own in groups.values() for row in own)][:6]
    strategies = {key[3] for key in groups}
    stacks: dict[str, list[StackRow]] = {}
    for key in list(groups)[:MAX_GROUPS]:
        shares = {row["part"]: 100 * row["share"] for row in groups[key]}
        label = key[2] if len(strategies) == 1 else f"{key[2]}, {key[3]}"
        parts = tuple(shares.get(part, 0.0) for part in present)
        stacks.setdefault(f"{key[0]} − {key[1]}", []).append(StackRow(label=label, parts=parts))
    plot = StackPlot(
        axis="percent of the variance of the mean difference",
        parts=tuple(_name(part) for part in present),
        groups=tuple(StackGroup(label=label, rows=tuple(own)) for label, own in stacks.items()),
    )
    alt = "Stacked bars, one per pair and task: parts of the variance of the mean difference. " + " ".join(
        f"{group.label}, {row.label}: {', '.join(f'{name} {part:.0f}%' for name, part in zip(plot.parts, row.parts, strict=True))}."
        for group in plot.groups
        for row in group.rows
    )
    left_out = len(groups) - min(len(groups), MAX_GROUPS)
    more = f" {left_out} further comparisons: in the table." if left_out else ""
    first = [row.parts[0] for group in plot.groups for row in group.rows]
    span = f"{min(first):.0f}%" if round(min(first)) == round(max(first)) else f"{min(first):.0f} to {max(first):.0f}%"
    caption = f"Parts of the variance of each mean difference: {plot.parts[0]} make {span} of it.{more}"
    return [Figure(name="variance", plot=plot, caption=caption, alt=alt, data=data_of(frame))]
