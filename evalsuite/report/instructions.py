"""Output contracts: right, right as asked, and valid; and how much of a pair's difference is format."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from evalsuite.report.blocks import Block, Bullets, Figure, Paragraph, Section, Table
from evalsuite.report.figures.canvas import limits, model_style
from evalsuite.report.findings import Findings, data_of, in_order, pairs_of, records
from evalsuite.report.plots.dumbbell import DumbbellGroup, DumbbellPlot, DumbbellRow
from evalsuite.report.sentences import Row
from evalsuite.report.tables import Shown, number_column, table_of, text_column
from evalsuite.report.words import SHARES, counted, interval, number, sentence_case, share
from evalsuite.stats.design import MIN_GROUPS

FAMILY = "instruction-guided"
"""Family of the perturbations that ask for an exact form."""

CELL = ("task", "strategy", "perturbation")

MAX_FIGURES = 6
"""Most charts, one per task and strategy; the rest is in the table."""

MAX_ROWS = 48
"""Most rows of a chart; contracts that cost least are left out beyond."""

MAX_SAID = 8
"""Most sentences about pairs: those with the largest part of format."""


def instructions_section(findings: Findings) -> Section | None:
    """Strict against lenient accuracy under every contract, and the parts of every pair's difference; None without contracts."""
    kept = contract_rows(findings, findings.analyses.contracts_kept)
    if not len(kept):
        return None
    parts = contract_rows(findings, findings.analyses.format_parts)
    blocks: list[Block] = [Paragraph(text=_lead(records(kept))), *_said(parts, kept)]
    blocks += _figures(findings, kept)
    blocks.append(_kept_table(kept))
    blocks += [_parts_table(parts)] if len(parts) else []
    title = "Instructions: knowing the answer and writing it as told"
    return Section(anchor="instructions", title=title, blocks=tuple(blocks))


def _said(parts: pd.DataFrame, kept: pd.DataFrame) -> list[Block]:
    """The differences of which format is a part, the largest parts first, and how many have none."""
    known = [row for row in records(parts) if row["format"] is not None and row["n_groups"] >= MIN_GROUPS]
    if not known:
        return []
    said = [row for row in known if number(row["format"], SHARES) != "0.0"]
    said.sort(key=lambda row: -abs(row["format"]))
    several = [key for key in CELL if parts[key].nunique() > 1]
    small = "Exploratory: none of this belongs to the pre-stated family, and a part whose interval holds 0 may be chance."
    if len(said) > MAX_SAID:
        small += f" These are the {MAX_SAID} largest parts of format; all stand in the table."
    if len(said) < len(known):
        small += f" In {len(known) - len(said):,} of {counted(len(known), 'difference')} format has no part."
    # Two models without a right answer in the form asked for are not level in it: nothing was there to compare.
    floors = {(*(row[key] for key in CELL), row["model"]) for row in records(kept) if row["strict"] == 0}
    lost = [all((*(row[key] for key in CELL), row[side]) in floors for side in ("model_a", "model_b")) for row in said]
    items = tuple(part_sentence(row, several, none_right=own) for row, own in zip(said[:MAX_SAID], lost[:MAX_SAID], strict=True))
    return [*([Bullets(items=items)] if items else []), Paragraph(text=small, small=True)]


def contract_rows(findings: Findings, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of perturbations that ask for an exact form, in the order of the study; none of a frame without rows."""
    if not len(frame):
        return frame
    return in_order(findings, frame[frame["perturbation"].isin(contracts(findings))].reset_index(drop=True))


def contracts(findings: Findings) -> list[str]:
    """Perturbations that ask for an exact form, in the order of the study."""
    return [name for name, known in findings.labels.perturbations.items() if known.family == FAMILY]


def part_sentence(row: Row, several: Sequence[str] = (), *, none_right: bool = False) -> str:
    """How much of a pair's difference under a contract is knowledge and how much is format, from the side of the model that is ahead.

    Args:
        row: of `format_parts`, with numbers.
        several: which of `CELL` must be named.
        none_right: whether no answer of either model is right in the form asked for.
    """
    a, b, gap = row["model_a"], row["model_b"], row["strict_difference"]
    where = f"under {row['perturbation']}" + "".join(f", {row[key]}" for key in ("task", "strategy") if key in several)
    sign = -1 if gap < 0 else 1
    ahead, behind = (a, b) if sign > 0 else (b, a)
    knowledge, form = (number(sign * row[key], SHARES) for key in ("knowledge", "format"))
    low, high = (row["format_low"], row["format_high"]) if sign > 0 else (-row["format_high"], -row["format_low"])
    evidence = f"({share(row['ci_level'])} interval of the part of format {interval(low, high, SHARES)}; n = {int(row['n_samples']):,})"
    points, is_behind, is_less = number(abs(gap), SHARES), knowledge.startswith("−"), form.startswith("−")
    if points == "0.0" and none_right:
        return sentence_case(f"{where}, no answer of {a} or {b} is right as asked; {_gains(row)} {evidence}.")
    if points == "0.0":
        of = "" if not (is_behind or is_less) else f": {_gains(row)}, and format takes it back"
        return sentence_case(f"{where}, {a} and {b} are level{of} {evidence}.")
    if is_behind:
        text = f"{where}, {ahead} is {points} points ahead of {behind} by format alone: leniently read it is {knowledge[1:]} behind"
    elif is_less:
        text = f"{where}, {ahead} is {points} points ahead of {behind}, though format costs it {form[1:]} more: leniently read it is "
        text += f"{knowledge} ahead"
    else:
        text = f"{where}, of the {points} points by which {ahead} is ahead of {behind}, {form} are format and {knowledge} knowledge"
    return sentence_case(f"{text} {evidence}.")


def _gains(row: Row) -> str:
    """Who is ahead in knowledge, where format makes both level."""
    ahead = row["model_a"] if row["knowledge"] > 0 else row["model_b"]
    return f"leniently read, {ahead} is {number(abs(row['knowledge']), SHARES)} points ahead"


def _lead(rows: Sequence[Row]) -> str:
    """What strict, lenient and valid mean, which contract costs most, and which is kept least."""
    n = len({row["perturbation"] for row in rows})
    text = (
        f"The same questions under {counted(n, 'output contract')}, each answer judged three ways: right (read as a careful reader would), "
        "right exactly as asked, and as asked at all. What a contract costs is the first minus the second."
    )
    enough = [row for row in rows if row["n_groups"] >= MIN_GROUPS] or rows
    priced = [row for row in enough if row["penalty"] is not None]
    if priced:
        top = max(priced, key=lambda row: row["penalty"])
        if number(top["penalty"], SHARES) == "0.0":
            text += " No contract cost any model a right answer."
        else:
            text += f" Most is lost by {top['model']} under {condition(rows, top)}: {number(top['penalty'], SHARES)} points."
    valid = [row for row in enough if row["validity"] is not None]
    if valid:
        least = min(valid, key=lambda row: row["validity"])
        text += f" Least kept is {condition(rows, least)}, by {least['model']}: {number(least['validity'], SHARES)}% of its answers"
        n_alike = sum(row["validity"] == least["validity"] for row in valid) - 1
        text += f", as in {counted(n_alike, 'more row')} of the table." if n_alike else "."
    return text


def condition(rows: Sequence[Row], row: Row) -> str:
    """The condition of a row, with what there is several of."""
    named = [row[key] for key in ("task", "strategy") if len({other[key] for other in rows}) > 1]
    return str(row["perturbation"]) + (f" ({', '.join(named)})" if named else "")


def _figures(findings: Findings, frame: pd.DataFrame) -> list[Figure]:
    """A chart per task and strategy."""
    style = model_style(findings.study.models)
    cells = list(dict.fromkeys(frame[["task", "strategy"]].itertuples(index=False, name=None)))
    found = []
    for at, (task, strategy) in enumerate(cells[:MAX_FIGURES], 1):
        own = frame[(frame["task"] == task) & (frame["strategy"] == strategy)]
        drawn, n_more = _fitting(own)
        groups = [
            DumbbellGroup(label=str(name), rows=tuple(_row(row, style[row["model"]][0]) for row in records(part)))
            for name, part in drawn.groupby("perturbation", sort=False)
        ]
        values = [value for group in groups for row in group.rows for value in (row.strict, row.lenient, row.validity)]
        plot = DumbbellPlot(axis="percent of the answers", limits=limits(values), groups=tuple(groups))
        where = f"{task}, {strategy}"
        caption = f"{where}: {_caption(records(drawn))}"
        caption += f" {counted(n_more, 'contract')} that cost least: in the table." if n_more else ""
        caption += f" {counted(len(cells) - MAX_FIGURES, 'further chart')} not drawn." if at == MAX_FIGURES and len(cells) > at else ""
        name = "contracts" + (f"_{at}" if len(cells) > 1 else "")
        found.append(Figure(name=name, plot=plot, caption=caption, alt=_alt(plot), data=data_of(own)))
    return found


def _fitting(frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The contracts that a chart has room for, those that cost most first to stay; and how many it has none for."""
    names = list(dict.fromkeys(frame["perturbation"]))
    n = max(1, MAX_ROWS // max(1, frame["model"].nunique()))
    costs = frame.groupby("perturbation")["penalty"].max().fillna(-1.0)
    kept = sorted(names, key=lambda name: -costs[name])[:n]
    return frame[frame["perturbation"].isin(kept)], len(names) - len(kept)


def _caption(rows: Sequence[Row]) -> str:
    priced = [row for row in rows if row["penalty"] is not None]
    if not priced:
        return "how often each contract was kept."
    top = max(priced, key=lambda row: row["penalty"])
    if number(top["penalty"], SHARES) == "0.0":
        return "every right answer was written as asked."
    lenient, strict, valid = (number(top[key], SHARES) for key in ("lenient", "strict", "validity"))
    return (
        f"{top['perturbation']} costs {top['model']} most, {number(top['penalty'], SHARES)} points: {lenient}% right leniently read, "
        f"{strict}% right as asked, {valid}% as asked at all."
    )


def _alt(plot: DumbbellPlot) -> str:
    said = [
        f"{group.label}, {row.model}: " + ", ".join(f"{name} {_whole(value)}" for name, value in _named(row)) + "."
        for group in plot.groups
        for row in group.rows
    ]
    return f"Dumbbell chart in blocks per contract, one row per model, {plot.axis}. {' '.join(said)}"


def _named(row: DumbbellRow) -> tuple[tuple[str, float | None], ...]:
    return (("right as asked", row.strict), ("right leniently read", row.lenient), ("as asked", row.validity))


def _whole(value: float | None) -> str:
    return "no value" if value is None else f"{value:.0f}%"


def _row(row: Row, color: str) -> DumbbellRow:
    strict, lenient, validity = (None if row[key] is None else 100 * row[key] for key in ("strict", "lenient", "validity"))
    return DumbbellRow(model=row["model"], color=color, strict=strict, lenient=lenient, validity=validity)


def _kept_table(frame: pd.DataFrame) -> Table:
    shown = [
        *cell_columns(frame),
        text_column("Model", partial(_text, "model")),
        number_column("Right, as asked %", partial(spanned, "strict")),
        number_column("Right, leniently read %", partial(spanned, "lenient")),
        number_column("As asked %", partial(spanned, "validity")),
        number_column("Penalty", partial(spanned, "penalty")),
        number_column("Samples", lambda row: f"{int(row['n_samples']):,}"),
        *noted(frame),
    ]
    note = (
        f"In brackets the {_level(frame)} interval. As asked: the whole output keeps the contract, right or wrong. Penalty: leniently read "
        "minus as asked, in points. Answers that could not be read or were cut off count as wrong."
    )
    return table_of(frame, shown, name="contracts_kept", title="Right, right as asked, and as asked", note=note)


def _parts_table(frame: pd.DataFrame) -> Table:
    pairs = pairs_of(frame)
    shown = [
        *([text_column("Pair", lambda row: f"{row['model_a']} − {row['model_b']}")] if len(pairs) > 1 else []),
        *cell_columns(frame),
        number_column("Difference as asked", partial(spanned, "strict_difference", signed=True)),
        number_column("Knowledge", partial(spanned, "knowledge", signed=True)),
        number_column("Format", partial(spanned, "format", signed=True)),
        number_column("Samples", lambda row: f"{int(row['n_samples']):,}"),
        *noted(frame),
    ]
    note = (
        f"In points, first model minus second, in brackets the {_level(frame)} interval. Knowledge: the difference leniently read. Format: "
        "the second model's penalty minus the first's. The two add up to the difference as asked, but for rounding."
    )
    whose = "" if len(pairs) > 1 else f", {pairs[0][0]} − {pairs[0][1]}"
    return table_of(frame, shown, name="format_parts", title=f"How much of a difference is format{whose}", note=note)


def cell_columns(frame: pd.DataFrame, head: str = "Contract") -> list[Shown]:
    """Task and strategy where there are several, and the perturbation under its own head."""
    several = [key for key in ("task", "strategy") if frame[key].nunique() > 1]
    named = [text_column(key.capitalize(), partial(_text, key)) for key in several]
    return [*named, text_column(head, partial(_text, "perturbation"))]


def spanned(key: str, row: Row, *, signed: bool = False) -> str:
    """A share or difference with its interval: `28.0 (22.1 to 33.9)`; a dash where there is none."""
    low, high = row[f"{key}_low"], row[f"{key}_high"]
    return number(row[key], SHARES, signed=signed) + ("" if low is None or high is None else f" ({interval(low, high, SHARES)})")


def noted(frame: pd.DataFrame) -> list[Shown]:
    """A column of notes, where there are any."""
    return [text_column("Note", lambda row: str(row["note"] or ""))] if frame["note"].fillna("").any() else []


def _level(frame: pd.DataFrame) -> str:
    return share(frame["ci_level"].iloc[0])


def _text(key: str, row: Row) -> str:
    return str(row[key])
