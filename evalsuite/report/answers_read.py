"""Format failures: how many answers could be read, what the asked form costs, and whether that could be the whole difference."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from evalsuite.report.blocks import Block, Bullets, DataFile, Figure, Paragraph, Section, Table
from evalsuite.report.findings import Findings, data_of, in_order, main_rows, primary_metrics, records, whole
from evalsuite.report.instructions import contracts
from evalsuite.report.plots.answers import StackGroup, StackPlot, StackRow
from evalsuite.report.sentences import MISSING, Row
from evalsuite.report.tables import Shown, number_column, several_answers, table_of, text_column
from evalsuite.report.words import SHARES, counted, interval, listed, number, share
from evalsuite.stats.right_answers import STRICT
from evalsuite.types import STATUSES

CELL = ("task", "strategy", "perturbation")

PARTS = {
    "scored": "read",
    "unparsed": "unparsed",
    "truncated": "truncated",
    "too_long": "too long",
    "refused": "does not apply",
    "failed": "failed",
}
"""Status to its name in the figure, in the order of the bars' parts."""

MAX_CELLS = 10
"""Most cells (task and strategy) in the figure: those with the most answers that were not read."""

MAX_ROWS = 40
"""Most rows of the table of statuses: those with the largest shares of unread answers."""

LITTLE_MASS = 0.5
"""Label mass below which a model mostly wanted to say something else than a label."""


def answers_read_section(findings: Findings) -> Section | None:
    """Shares of answers by status and the price of the asked form; absent where all answers were read and none was generated."""
    frame = status_frame(findings)
    if not len(frame):
        return None
    blocks: list[Block] = [Paragraph(text=_lead(findings, frame))]
    said = format_or_knowledge(findings)
    blocks += [Bullets(items=tuple(said))] if said else []
    blocks += _figure(frame)
    blocks += _status_table(findings, frame)
    blocks += _reading_table(findings, frame)
    blocks.append(DataFile(name="answers_read_all_cells", text="Answers by status in all of these cells, unrounded", data=data_of(frame)))
    return Section(anchor="answers_read", title="Format failures", blocks=tuple(blocks))


def status_frame(findings: Findings) -> pd.DataFrame:
    """Estimates of each task's primary metric in the cells with generated answers or with any that was not read; both readings beside them.

    Adds `n_answers`, `generated`, and `lenient`, `strict`, `penalty`, `penalty_low`, `penalty_high` where the cell has both readings.
    """
    rows = whole(findings.estimates)
    metrics = primary_metrics(findings)
    rows = rows[rows["metric"] == rows["task"].map(metrics).fillna(rows["metric"])]
    counts = [f"n_{status}" for status in STATUSES]
    rows = rows.assign(n_answers=rows[counts].fillna(0).sum(axis=1).astype(int))
    scores, keys = findings.scores, ["model", *CELL]
    told = {*keys, "finish_reason"} <= set(scores.columns)
    written = scores.loc[scores["finish_reason"] != "none", keys] if told else scores.iloc[:0].reindex(columns=keys)
    generated = set(written[keys].drop_duplicates().itertuples(index=False, name=None))
    rows = rows.assign(generated=[key in generated for key in rows[keys].itertuples(index=False, name=None)])
    rows = rows[rows["n_answers"] > 0]
    # A cell is shown for all models or for none, so that they can be held against each other.
    worth = rows["generated"] | (rows["n_scored"].fillna(0) < rows["n_answers"])
    rows = rows[worth.groupby([rows[key] for key in CELL]).transform("any").astype(bool)]
    return in_order(findings, rows.merge(both_readings(findings), on=keys, how="left"))


def both_readings(findings: Findings) -> pd.DataFrame:
    """Both readings of the written answers of tasks whose card asks for both; of others they are told where contracts are perturbed."""
    both = [name for name, card in findings.cards.items() if any(metric.endswith(STRICT) for metric in card.metrics)]
    numbers = ["lenient", "strict", "penalty", "penalty_low", "penalty_high"]
    kept = findings.analyses.contracts_kept.reindex(columns=["model", *CELL, *numbers]).astype(dict.fromkeys(("model", *CELL), "object"))
    return kept[kept["task"].isin(both) & kept["penalty"].notna() & ~kept["perturbation"].isin(contracts(findings))]


def _not_read(row: Row) -> int:
    """Answers that are missing by what the model did."""
    return sum(int(row[f"n_{status}"] or 0) for status in MISSING)


def _lead(findings: Findings, frame: pd.DataFrame) -> str:
    rows = records(frame)
    n_all, n_lost = sum(row["n_answers"] for row in rows), sum(_not_read(row) for row in rows)
    text = f"{n_lost:,} of {counted(n_all, 'answer')} could not be read ({number(n_lost / n_all, SHARES)}%), counted where answers were "
    text += "generated or any was not read"
    worst = max(rows, key=lambda row: _not_read(row) / row["n_answers"])
    if n_lost:
        part = number(_not_read(worst) / worst["n_answers"], SHARES)
        text += f"; the largest share is that of {worst['model']} on {worst['task']} under {worst['strategy']} ({part}%)"
    text += "."
    priced = [row for row in rows if row["penalty"] is not None]
    if priced:
        top = max(priced, key=lambda row: row["penalty"])
        text += (
            f" The asked form costs at most {number(top['penalty'], SHARES)}{SHARES.difference_unit} ({top['model']} on {top['task']}, "
            f"{top['strategy']}): so many answers are right, but not exactly as asked."
        )
    masses = [row for row in records(main_rows(findings, findings.estimates)) if row.get("label_mass") is not None]
    little = [row for row in masses if row["label_mass"] < LITTLE_MASS]
    if little:
        least = min(little, key=lambda row: row["label_mass"])
        text += (
            f" In {counted(len(little), 'primary cell')} less than half of the next-token probability falls on the labels, least for "
            f"{least['model']} on {least['task']} ({number(least['label_mass'], SHARES)}%): they mostly wanted to say something else."
        )
    return text


def format_or_knowledge(findings: Findings) -> list[str]:
    """For each pair, on which tasks the answers that one side is missing could account for its whole deficit.

    Where missing answers count as wrong, a deficit of d points with m points of missing answers on the weaker side would be gone if
    all of them had been right: exact arithmetic, no estimate. It says what could be, not what was.
    """
    if findings.study.analysis.missing != "incorrect":
        return []
    said: dict[tuple[str, str], list[str]] = {}
    pairs: list[tuple[str, str]] = []
    for row in records(main_rows(findings, findings.comparisons)):
        pair = (row["model_a"], row["model_b"])
        known = findings.metrics.get(row["metric"])
        binary = known is None or (known.binary and known.of_set is None and known.higher_is_better)
        if not binary or row["difference"] is None or not row["n_samples"] or row.get("n_a_missing") is None:
            continue
        pairs.append(pair)
        weaker, n_missing = (pair[1], row["n_b_missing"]) if row["difference"] > 0 else (pair[0], row["n_a_missing"])
        n_answers = _answers_per_sample(findings, row) * row["n_samples"]
        part = n_missing / n_answers
        if row["difference"] and part and part >= abs(row["difference"]):
            gap, lost = number(abs(row["difference"]), SHARES), number(part, SHARES)
            said.setdefault(pair, []).append(f"{row['task']} ({weaker} is {gap} points behind, {lost}% of its answers are missing)")
    found = [f"{a} − {b}: format alone could make the difference on {listed(tasks)}." for (a, b), tasks in said.items()]
    clear = [pair for pair in dict.fromkeys(pairs) if pair not in said]
    if clear:
        names = listed([f"{a} − {b}" for a, b in clear]) if len(clear) <= 3 else counted(len(clear), "further pair" if found else "pair")
        found.append(f"{names}: on no task could missing answers alone make up for the whole difference.")
    return found


def _answers_per_sample(findings: Findings, row: Row) -> int:
    estimates = whole(findings.estimates)
    same = estimates["model"] == row["model_a"]
    for column in (*CELL, "metric"):
        same &= estimates[column] == row[column]
    own = records(estimates[same])
    n_answers = sum(int(own[0][f"n_{status}"] or 0) for status in STATUSES if status != "refused") if own else 0
    return max(1, round(n_answers / own[0]["n_samples"])) if own and own[0]["n_samples"] else 1


def _figure(frame: pd.DataFrame) -> list[Figure]:
    rows = records(frame)
    cells: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        cells.setdefault(tuple(row[key] for key in CELL), []).append(row)
    unread = {key: sum(own_row["n_answers"] - (own_row["n_scored"] or 0) for own_row in own) for key, own in cells.items()}
    shares = {key: unread[key] / sum(row["n_answers"] for row in own) for key, own in cells.items()}
    kept = sorted((key for key in cells if unread[key]), key=lambda key: -shares[key])[:MAX_CELLS]
    if not kept:
        return []
    several = {at: len({key[at] for key in cells}) > 1 for at in (1, 2)}
    groups = []
    for key in (key for key in cells if key in kept):
        label = ", ".join([key[0], *(key[at] for at in (1, 2) if several[at])])
        groups.append(StackGroup(label=label, rows=_bars(cells[key])))
    plot = StackPlot(axis="percent of the answers", parts=tuple(PARTS.values()), groups=tuple(groups))
    alt = "Stacked bars, one per model, in blocks per task and strategy: shares of answers by status. " + " ".join(
        f"{group.label}, {row.label}: {', '.join(f'{name} {part:.0f}%' for name, part in zip(plot.parts, row.parts, strict=True) if part)}."
        for group in plot.groups
        for row in group.rows
    )
    n_more = sum(bool(n) for n in unread.values()) - len(kept)
    n_clean = len(cells) - sum(bool(n) for n in unread.values())
    top = max(kept, key=lambda key: shares[key])
    caption = f"Answers by what became of them: most are lost on {top[0]} under {top[1]} ({number(shares[top], SHARES)}%)."
    caption += f" {counted(n_more, 'further combination')} of task and strategy with unread answers: in the table." if n_more else ""
    caption += f" Not drawn: {counted(n_clean, 'combination')} of task and strategy in which every answer was read." if n_clean else ""
    return [Figure(name="answers_read", plot=plot, caption=caption, alt=alt, data=data_of(frame))]


def _bars(rows: Sequence[Row]) -> tuple[StackRow, ...]:
    """A bar per model; several models of which every answer was read share one, at the end."""
    clean = [row for row in rows if row["n_scored"] == row["n_answers"]]
    apart = rows if len(clean) < 2 else [row for row in rows if row["n_scored"] != row["n_answers"]]
    bars = [StackRow(label=row["model"], parts=_parts(row)) for row in apart]
    if len(apart) < len(rows):
        bars.append(StackRow(label=f"{len(clean)} other models", parts=_parts(clean[0])))
    return tuple(bars)


def _parts(row: Row) -> tuple[float, ...]:
    return tuple(100 * int(row[f"n_{status}"] or 0) / row["n_answers"] for status in PARTS)


def _names(frame: pd.DataFrame) -> list[Shown]:
    several = [key for key in ("strategy", "perturbation") if frame[key].nunique() > 1]
    keys = ["task", *several, "model"]
    return [text_column(key.capitalize(), partial(_text, key)) for key in keys]


def _text(key: str, row: Row) -> str:
    return str(row[key])


def _status_table(findings: Findings, frame: pd.DataFrame) -> list[Table]:
    """Shares by status, of the models and cells with any answer that was not read; none where there are none."""
    unread = frame[frame["n_scored"].fillna(0) < frame["n_answers"]]
    worst = (unread["n_scored"].fillna(0) / unread["n_answers"]).sort_values(kind="stable").index[:MAX_ROWS]
    shown_rows = in_order(findings, unread.loc[worst])
    if not len(shown_rows):
        return []
    present = [status for status in STATUSES if status != "scored" and bool(shown_rows[f"n_{status}"].fillna(0).any())]

    def part(status: str) -> Shown:
        label = f"{PARTS[status].capitalize()} %"
        return number_column(label, lambda row: number(int(row[f"n_{status}"] or 0) / row["n_answers"], SHARES))

    shown = [*_names(shown_rows), number_column("Answers", lambda row: f"{row['n_answers']:,}"), part("scored"), *map(part, present)]
    if "label_mass" in shown_rows and bool(shown_rows["label_mass"].notna().any()):
        shown.append(number_column("Label mass %", lambda row: number(row["label_mass"], SHARES)))
    note = "By the primary metric of the task."
    if several_answers(findings, shown_rows):
        note += " A sample has several answers (variants, replicates)."
    n_clean, n_more = len(frame) - len(unread), len(unread) - len(shown_rows)
    note += f" Not shown: {counted(n_clean, 'row')} in which every answer was read." if n_clean else ""
    note += f" {counted(n_more, 'further row')} with fewer unread answers: in the CSV file." if n_more else ""
    return [table_of(shown_rows, shown, name="answers_read", title="Answers that were not read", note=note)]


def _reading_table(findings: Findings, frame: pd.DataFrame) -> list[Table]:
    """Both readings of the same generated answers side by side, where any answer is right by one of them only."""
    priced = frame[frame["penalty"].fillna(0) != 0]
    if not len(priced):
        return []
    shown = [
        *_names(priced),
        number_column("Right, leniently read %", lambda row: number(row["lenient"], SHARES)),
        number_column("Right, exactly as asked %", lambda row: number(row["strict"], SHARES)),
        number_column("Penalty", lambda row: number(row["penalty"], SHARES)),
        number_column(f"{share(1 - findings.study.analysis.alpha)} interval", _penalty_interval),
        number_column("Samples", lambda row: f"{int(row['n_samples']):,}"),
    ]
    note = "The same answers under two readings; unread ones count as wrong. Penalty: the first minus the second, in points."
    n_equal = int((frame["penalty"] == 0).sum())
    note += f" Not shown: {counted(n_equal, 'row')} in which both readings agree." if n_equal else ""
    return [table_of(priced, shown, name="format_penalty", title="What the asked form costs", note=note)]


def _penalty_interval(row: Row) -> str:
    return interval(row["penalty_low"], row["penalty_high"], SHARES)
