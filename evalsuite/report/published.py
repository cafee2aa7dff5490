"""Published beside reproduced: printed numbers of the papers that a study names, next to its own, with what was not alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from evalsuite.published.reproduce import Beside, beside
from evalsuite.report.blocks import Block, Bullets, Cell, Column, Figure, Paragraph, Section, Table
from evalsuite.report.figures.canvas import limits
from evalsuite.report.findings import Findings, data_of, in_order, main_rows, records
from evalsuite.report.plots.published import BesidePlot, BesideRow
from evalsuite.report.published_differences import GRIM_WORDS, PRINTED, READINGS
from evalsuite.report.tables import Row, Shown, table_of
from evalsuite.report.words import counted, interval, listed, number, share

MAX_FIGURE_ROWS = 60
"""Most rows of the figure; beyond, the table serves better."""


def published_section(findings: Findings) -> Section | None:
    """Printed numbers beside ours, per model and per pair; None where the study names no paper."""
    if not findings.papers:
        return None
    found = beside(
        findings.papers,
        main_rows(findings, findings.estimates),
        main_rows(findings, findings.comparisons),
        findings.analyses.shares,
        findings.measured,
    )
    found = replace(found, values=in_order(findings, found.values), pairs=in_order(findings, found.pairs))
    blocks: list[Block] = [Paragraph(text=_said(findings, found))]
    blocks += [figure for figure in (_figure(findings, found.values, pairs=False), _figure(findings, found.pairs, pairs=True)) if figure]
    if len(found.pairs):
        blocks.append(_table(findings, found.pairs, name="published_pairs", title="Differences of pairs, published beside reproduced"))
    if len(found.values):
        blocks.append(_table(findings, found.values, name="published_values", title="Scores of models, published beside reproduced"))
    if len(found.rates):
        blocks.append(_rates_table(findings, found.rates))
    faults = _faults(findings, found)
    if faults:
        blocks += [Paragraph(text="Known faults of the published numbers above:"), Bullets(items=faults)]
    return Section(anchor="published", title="Published beside reproduced", blocks=tuple(blocks))


def _said(findings: Findings, found: Beside) -> str:
    """What was looked for, what was found, and how many agree."""
    papers = listed([paper.reference for paper in findings.papers])
    if not len(found.values) and not len(found.pairs):
        unread = " ".join(f"{paper.reference}: {paper.not_read}" for paper in findings.papers if paper.not_read)
        none = "no printed number is of a model, a task and a metric of this study, so nothing stands beside its own."
        return f"{papers}: {none} {unread}".strip()
    texts = [f"Printed numbers of {papers}, beside those of this study's primary cell."]
    for rows, what in ((found.pairs, "printed difference"), (found.values, "printed score")):
        judged = rows[rows["inside"].notna()]
        if len(judged):
            n_inside = int(judged["inside"].astype(bool).sum())
            texts.append(f"{n_inside:,} of {counted(len(judged), what)} lie inside our interval.")
    n_alike = int(found.values["comparable"].astype(bool).sum() + found.pairs["comparable"].astype(bool).sum())
    n_all = len(found.values) + len(found.pairs)
    texts.append(
        f"{n_alike:,} of {n_all:,} were asked and scored alike as far as the papers tell; of the others agreement and disagreement mean "
        "little, and what differs stands beside each. Our interval holds our sampling error only, not that of the printed number."
    )
    return " ".join(texts)


def _figure(findings: Findings, rows: pd.DataFrame, *, pairs: bool) -> Figure | None:
    if not 0 < len(rows) <= MAX_FIGURE_ROWS:
        return None
    found = records(rows)
    # Pairs are headings, which have room for two names; their rows are tasks.
    heads = [_name(row, pairs=True) if pairs else str(row["task"]) for row in found]
    groups = []
    for head in dict.fromkeys(heads):
        own = [row for row, of in zip(found, heads, strict=True) if of == head]
        labels = [str(row["task" if pairs else "model"]) for row in own]
        groups.append((head, tuple(_row(row, label, several=labels.count(label) > 1) for row, label in zip(own, labels, strict=True))))
    drawn = [row for _, own in groups for row in own]
    level = share(1 - findings.study.analysis.alpha)
    ends = [value for row in drawn for value in (row.mean, row.low, row.high, row.printed)]
    what = "difference in points" if pairs else "score, percent"
    plot = BesidePlot(
        axis=f"{what}, {level} interval", limits=limits(ends, around=[0.0] if pairs else []), groups=tuple(groups), zero=pairs
    )
    n_inside = sum(row["inside"] is True for row in records(rows))
    caption = (
        f"{'Differences' if pairs else 'Scores'} measured here (dots with intervals) and printed (diamonds): {n_inside:,} of "
        f"{counted(len(rows), 'printed number')} lie inside; hollow ones were not asked or scored as here."
    )
    alt = f"{'Differences of pairs' if pairs else 'Scores of models'} by task, measured and printed. " + " ".join(
        f"{row['task']}, {_name(row, pairs=pairs)}: {number(row['reproduced'], PRINTED)} here, {number(row['published'], PRINTED)} printed."
        for row in records(rows)
    )
    return Figure(name="published_pairs" if pairs else "published_values", plot=plot, caption=caption, alt=alt, data=data_of(rows))


def _row(row: Row, label: str, *, several: bool) -> BesideRow:
    mean, low, high, printed = (None if row[key] is None else 100 * row[key] for key in ("reproduced", "ci_low", "ci_high", "published"))
    return BesideRow(
        label=f"{label} ({row['setting']})" if several else label,
        mean=mean,
        low=low,
        high=high,
        printed=printed,
        doubtful=row["grim"] == "impossible",
        alike=bool(row["comparable"]),
    )


def _name(row: Row, *, pairs: bool) -> str:
    return f"{row['model_a']} − {row['model_b']}" if pairs else str(row["model"])


def _table(findings: Findings, rows: pd.DataFrame, *, name: str, title: str) -> Table:
    pairs = "model_a" in rows
    signed = {"signed": pairs}
    shown: list[Shown] = [
        (Column(label="Pair" if pairs else "Model"), lambda row: Cell(text=_name(row, pairs=pairs))),
        (Column(label="Task"), lambda row: Cell(text=row["task"])),
        (Column(label="Paper"), lambda row: Cell(text=f"{row['paper']}{row['version'] if row['version'][:1] == 'v' else ''}")),
        (Column(label="Setting there"), lambda row: Cell(text=row["setting"] or "–")),
        _figures("Published", lambda row: number(row["published"], PRINTED, **signed)),
        _figures("Reproduced", lambda row: number(row["reproduced"], PRINTED, **signed)),
        _figures("Reproduced − published", lambda row: number(row["difference"], PRINTED, signed=True)),
        _figures(f"Our {share(1 - findings.study.analysis.alpha)} interval", lambda row: interval(row["ci_low"], row["ci_high"], PRINTED)),
        (Column(label="Published inside"), lambda row: Cell(text=_yes(row["inside"]))),
        _figures("n there", lambda row: "not stated" if row["n_published"] is None else f"{row['n_published']:,.0f} ({row['n_status']})"),
        _figures("n here", lambda row: f"{row['n_reproduced']:,.0f}"),
        (Column(label="Known by"), lambda row: Cell(text=READINGS[row["reading"]])),
        (Column(label="GRIM"), lambda row: Cell(text=GRIM_WORDS[row["grim"]], alert=row["grim"] == "impossible")),
        (Column(label="Not alike"), lambda row: Cell(text=row["differs"] or "nothing known", alert="other base" in row["differs"])),
        (Column(label="Not known"), lambda row: Cell(text=row["unknown"] or "–")),
    ]
    note = (
        "Percent, differences in points. Known by: read where the authors print it, derived from it, or second-hand. GRIM: whether the "
        "printed value can arise from that many items. Not alike: what was asked or scored otherwise there than here."
    )
    return table_of(rows, shown, name=name, title=title, note=note)


def _rates_table(findings: Findings, rows: pd.DataFrame) -> Table:
    shown: list[Shown] = [
        (Column(label="Share of"), lambda row: Cell(text={"win": "wins", "tie": "ties", "loss": "losses"}[row["rate"]])),
        (Column(label="Paper"), lambda row: Cell(text=f"{row['paper']}{row['version'] if row['version'][:1] == 'v' else ''}")),
        (Column(label="Over"), lambda row: Cell(text=row["printed_task"])),
        _figures("Published", lambda row: number(row["published"], PRINTED)),
        _figures("Reproduced", lambda row: number(row["reproduced"], PRINTED)),
        _figures(f"Our {share(1 - findings.study.analysis.alpha)} interval", lambda row: interval(row["ci_low"], row["ci_high"], PRINTED)),
        (Column(label="Published inside"), lambda row: Cell(text=_yes(row["inside"]))),
        _figures("Comparisons here", lambda row: f"{row['n_reproduced']:,.0f}"),
        (Column(label="Not alike"), lambda row: Cell(text=row["differs"])),
    ]
    note = "Percent of comparisons, each a pair on a task, in which the biomedical model wins, ties or loses."
    return table_of(rows, shown, name="published_rates", title="Wins, ties and losses, published beside reproduced", note=note)


def _faults(findings: Findings, found: Beside) -> tuple[str, ...]:
    """Known faults of the papers that touch what stands in the tables."""
    tasks = {str(task) for rows in (found.values, found.pairs, found.rates) for task in rows["printed_task"]}
    return tuple(
        f"{paper.reference}: {defect.text}"
        for paper in findings.papers
        for defect in paper.defects
        if tasks & {record.task.name for record in paper.records} and (not defect.tasks or tasks & set(defect.tasks))
    )


def _yes(inside: bool | None) -> str:
    return "–" if inside is None else "yes" if inside else "no"


def _figures(label: str, text: Callable[[Row], str]) -> Shown:
    return Column(label=label, kind="number"), lambda row: Cell(text=text(row))
