"""Does a specialist's advantage survive the prompting? The difference of each pair on every rung, and its change from the first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from evalsuite.report.blocks import Block, Bullets, Figure, Paragraph, Section, Table
from evalsuite.report.figures.canvas import MUTED, limits, model_style
from evalsuite.report.findings import Findings, Pair, data_of, pairs_of, records
from evalsuite.report.forests import NAMES, shown, spoken_rows, verdict_color
from evalsuite.report.ladder import lead_scope, scale_for, scope_words
from evalsuite.report.plots.differences import ForestPlot, ForestRow
from evalsuite.report.sentences import Row
from evalsuite.report.tables import Shown, number_column, table_of, text_column
from evalsuite.report.verdicts import Verdict
from evalsuite.report.words import SHARES, counted, interval, number, p_number, p_phrase, sentence_case, share
from evalsuite.stats.ladder import ALL

MAX_ROWS = 30
"""Most rows of one forest plot; pairs beyond stand in further figures."""

CHANGES: tuple[tuple[Verdict, str], ...] = (
    ("a_better", "first gains"),
    ("b_better", "second gains"),
    ("inconclusive", "cannot tell"),
    ("not_established", "not established"),
)
"""Meaning of each marker of a change."""


def ladder_pairs_section(findings: Findings) -> Section | None:
    """The difference of every pair under every rung; absent without a ladder or pairs."""
    frame = findings.analyses.ladder_pairs
    if not len(frame):
        return None
    frame = _in_order(findings, frame)
    rows: list[Row] = list(records(frame))
    scope = lead_scope(rows)
    own = [row for row in rows if row["scope"] == scope]
    blocks: list[Block] = [Paragraph(text=_lead(findings, scope)), Bullets(items=tuple(_said(findings, own)))]
    if scale_for(findings, own[0]) == SHARES:
        blocks += _figures(findings, frame, own, changes=False)
        blocks += _figures(findings, frame, [row for row in own if row["against"]], changes=True)
    blocks += _tables(findings, frame, scope)
    return Section(anchor="survives", title=_title(findings, rows), blocks=tuple(blocks))


def _in_order(findings: Findings, frame: pd.DataFrame) -> pd.DataFrame:
    """Pairs, then scopes as the study lists them with the mean over tasks first, then rungs."""
    models, tasks = list(findings.study.models), [ALL, *(entry.name for entry in findings.study.tasks)]
    pairs = [tuple(pair) for pair in findings.study.pairs or ()]

    def rank(row: Row) -> tuple[object, ...]:
        pair = (row["model_a"], row["model_b"])
        places = [order.index(name) if name in order else len(order) for order, name in ((models, pair[0]), (models, pair[1]))]
        task = tasks.index(row["scope"]) if row["scope"] in tasks else len(tasks)
        return (task, pairs.index(pair) if pair in pairs else len(pairs), *places, *pair, row["step"])

    found = frame.to_dict("records")
    return frame.iloc[sorted(range(len(found)), key=lambda at: rank({str(key): value for key, value in found[at].items()}))].reset_index(
        drop=True
    )


def _title(findings: Findings, rows: Sequence[Row]) -> str:
    def is_specialist(row: Row) -> bool:
        domains = [findings.models.get(row[side], {}).get("domain") for side in ("model_a", "model_b")]
        return domains == ["biomedical", "generalist"]

    whose = "specialist's advantage" if any(is_specialist(row) for row in rows) else "difference"
    return f"Does the {whose} survive the prompting? (exploratory)"


def _lead(findings: Findings, scope: str) -> str:
    first, last = findings.study.ladder[0], findings.study.ladder[-1]
    return (
        f"Both models of each pair under every strategy of the ladder, over {scope_words(findings, scope)}: their difference on each rung, "
        f"and the change of it against {first} (a difference in differences), down to {last}. Exploratory: not corrected, not pre-stated."
    )


def verdict_on(findings: Findings, row: Row) -> Verdict:
    """What a difference says, read off its plain p-value."""
    return _read(findings, row["difference"], row["p_value"], row["status_note"])


def verdict_on_change(findings: Findings, row: Row) -> Verdict:
    """What a change says, likewise."""
    return _read(findings, row["contrast"], row["contrast_p"], row["contrast_note"])


def _read(findings: Findings, value: float | None, p_value: float | None, note: str) -> Verdict:
    if value is None or p_value is None or note:
        return "not_established"
    if p_value > findings.study.analysis.alpha or value == 0:
        return "inconclusive"
    return "a_better" if value > 0 else "b_better"


def _said(findings: Findings, rows: Sequence[Row]) -> list[str]:
    """A sentence per pair: the difference on the first and the last rung, and what became of it."""
    said = []
    for pair in pairs_of(pd.DataFrame(list(rows))):
        own = [row for row in rows if (row["model_a"], row["model_b"]) == pair]
        said.append(f"{pair[0]} against {pair[1]}: {_survives(findings, pair, own)}")
    return said


def _survives(findings: Findings, pair: Pair, rows: Sequence[Row]) -> str:
    first, last = rows[0], rows[-1]
    lost = [row for row in (first, last) if verdict_on(findings, row) == "not_established"]
    if lost:
        notes = [f"{row['strategy']}: {_note(row, pair)}" for row in lost]
        return f"nothing can be said, {'; '.join(notes)}."
    scale = scale_for(findings, first)
    ends = [
        f"{number(row['difference'], scale, signed=True)} under {row['strategy']} ({interval(row['ci_low'], row['ci_high'], scale)})"
        for row in (first, last)
    ]
    became = {
        "a_better": f"{pair[0]} is better under {last['strategy']}",
        "b_better": f"{pair[1]} is better under {last['strategy']}",
        "inconclusive": f"under {last['strategy']} no difference is established",
    }[verdict_on(findings, last)]
    if verdict_on(findings, first) == verdict_on(findings, last) != "inconclusive":
        better = pair[0] if last["difference"] > 0 else pair[1]
        became = f"{better} is better under both"
    return f"{ends[0]}, {ends[1]}, in{scale.difference_unit or ' the metric'}: {became}; {_change(findings, pair, last)}."


def _change(findings: Findings, pair: Pair, row: Row) -> str:
    """What the whole ladder did to a difference."""
    verdict = verdict_on_change(findings, row)
    if verdict == "not_established":
        return f"the change cannot be judged ({row['contrast_note'] or 'no number'})"
    scale = scale_for(findings, row)
    size = f"{number(row['contrast'], scale, signed=True)} ({share(row['ci_level'])} interval "
    size += f"{interval(row['contrast_low'], row['contrast_high'], scale)}; {p_phrase(row['contrast_p'])}, not corrected)"
    words = {
        "a_better": f"the ladder adds more to {pair[0]} than to {pair[1]}",
        "b_better": f"the ladder adds more to {pair[1]} than to {pair[0]}",
        "inconclusive": "the change cannot be told from none",
    }
    return f"{words[verdict]}, {size}"


def _note(row: Row, pair: Pair) -> str:
    """The note of a comparison, which speaks of sides a and b, with the models' names."""
    sides = {"a": pair[0], "b": pair[1]}
    named = re.compile(r"(?<= of )[ab]\b(?: and b\b)?")
    return named.sub(lambda found: " and ".join(sides[side] for side in found[0].split(" and ")), str(row["status_note"] or "no number"))


def _figures(findings: Findings, frame: pd.DataFrame, rows: Sequence[Row], *, changes: bool) -> list[Figure]:
    """Forest plots with one row per pair and rung, as many as keep each readable."""
    pairs = pairs_of(pd.DataFrame(list(rows))) if rows else []
    if not pairs:
        return []
    keys = ("contrast", "contrast_low", "contrast_high") if changes else ("difference", "ci_low", "ci_high")
    ends = limits([shown(row[key], 100) for row in rows for key in keys], around=(-1.0, 1.0))
    per_figure = max(1, MAX_ROWS // (1 + len({row["strategy"] for row in rows})))
    figures = []
    for at in range(0, len(pairs), per_figure):
        part = pairs[at : at + per_figure]
        stem = "ladder_changes" if changes else "ladder_pairs"
        name = stem if len(pairs) <= per_figure else f"{stem}_{at // per_figure + 1}"
        own = [row for row in rows if (row["model_a"], row["model_b"]) in part]
        figures.append(_forest(findings, frame, own, ends, name=name, changes=changes))
    return figures


def _forest(findings: Findings, frame: pd.DataFrame, rows: Sequence[Row], ends: tuple[float, float], *, name: str, changes: bool) -> Figure:
    pairs = pairs_of(pd.DataFrame(list(rows)))
    style = model_style(findings.study.models)
    one = pairs[0] if len(pairs) == 1 else None
    forest: list[ForestRow] = []
    spoken = []
    for pair in pairs:
        own = [_forest_row(findings, row, changes=changes) for row in rows if (row["model_a"], row["model_b"]) == pair]
        forest += [*([] if one else [ForestRow(label=f"{pair[0]} − {pair[1]}", kind="heading")]), *own]
        spoken.append(f"{pair[0]} minus {pair[1]}: {spoken_rows(own)}")
    first = findings.study.ladder[0]
    what = f"change of the difference against {first}" if changes else "difference"
    plot = ForestPlot(
        left=one[1] if one else "second gains" if changes else "second better",
        right=one[0] if one else "first gains" if changes else "first better",
        color_left=style[one[1]][0] if one else MUTED,
        color_right=style[one[0]][0] if one else MUTED,
        axis=f"{'change' if changes else 'difference'} in points, {share(rows[0]['ci_level'])} interval",
        margin=None,
        limits=ends,
        rows=tuple(forest),
        names=CHANGES if changes else NAMES,
    )
    drawn = [row for row in forest if row.kind == "single"]
    n = sum(row.verdict in ("a_better", "b_better") for row in drawn)
    whose = f"{one[0]} minus {one[1]}" if one else "first model minus second"
    caption = f"{sentence_case(what)}, {whose}, by rung: "
    caption += f"{n} of {counted(len(drawn), 'change' if changes else 'difference')} {'stands' if n == 1 else 'stand'} out."
    alt = (
        f"Forest plot with one row per rung; to the right of zero the first model {'gains' if changes else 'is better'}. {' '.join(spoken)}"
    )
    return Figure(name=name, plot=plot, caption=caption, alt=alt, data=data_of(frame))


def _forest_row(findings: Findings, row: Row, *, changes: bool) -> ForestRow:
    value, low, high = (
        row[key] for key in (("contrast", "contrast_low", "contrast_high") if changes else ("difference", "ci_low", "ci_high"))
    )
    verdict = verdict_on_change(findings, row) if changes else verdict_on(findings, row)
    style = model_style(findings.study.models)
    detail = "no number" if value is None else f"{number(value, SHARES, signed=True)} ({interval(low, high, SHARES)})"
    return ForestRow(
        label=f"{int(row['step']) + 1}  {row['strategy']}",
        detail=detail,
        verdict=verdict,
        difference=shown(value, 100),
        low=shown(low, 100),
        high=shown(high, 100),
        color=verdict_color(verdict, style[row["model_a"]][0], style[row["model_b"]][0]),
    )


def _tables(findings: Findings, frame: pd.DataFrame, scope: str) -> list[Table]:
    note = (
        "Difference: first model minus second, under this strategy. Change: this difference minus that on the first rung, over the "
        "questions that both models answered on both; positive: the first model gains. Exploratory, not corrected."
    )
    title = "Differences of pairs on every rung"
    tables = [_table(findings, frame[frame["scope"] == scope], "ladder_pairs", f"{title}, {scope_words(findings, scope)}", note)]
    others = frame[(frame["scope"] != scope) & ((frame["scope"] != ALL) | frame["tasks"].str.contains(","))]
    if len(others):
        tables.append(replace(_table(findings, others, "ladder_pairs_tasks", f"{title}, by task", ""), folded=True))
    return tables


def _table(findings: Findings, frame: pd.DataFrame, name: str, title: str, note: str) -> Table:
    level = share(frame["ci_level"].iloc[0])

    def valued(label: str, key: str, *, signed: bool = False) -> Shown:
        return number_column(label, lambda row: number(row[key], scale_for(findings, row), signed=signed))

    columns: list[Shown] = [text_column("Task", lambda row: scope_words(findings, row["scope"]))] if frame["scope"].nunique() > 1 else []
    columns += [
        text_column("Pair", lambda row: f"{row['model_a']} − {row['model_b']}"),
        text_column("Strategy", lambda row: f"{int(row['step']) + 1}  {row['strategy']}"),
        valued("First", "mean_a"),
        valued("Second", "mean_b"),
        valued("Difference", "difference", signed=True),
        number_column(f"{level} interval", lambda row: interval(row["ci_low"], row["ci_high"], scale_for(findings, row))),
        number_column("p", lambda row: p_number(row["p_value"])),
        valued("Change", "contrast", signed=True),
        number_column("its interval", lambda row: interval(row["contrast_low"], row["contrast_high"], scale_for(findings, row))),
        number_column("p of the change", lambda row: p_number(row["contrast_p"])),
        number_column("Samples", lambda row: f"{int(row['n_samples']):,}"),
    ]
    noted = (frame["status_note"].fillna("") + frame["contrast_note"].fillna("")).any()
    columns += [text_column("Note", _notes)] if noted else []
    return table_of(frame, columns, name=name, title=title, note=note)


def _notes(row: Row) -> str:
    pair = (row["model_a"], row["model_b"])
    notes = [_note(row, pair)] if row["status_note"] else []
    notes += [f"change: {row['contrast_note']}"] if row["contrast_note"] else []
    return "; ".join(notes)
