"""Frames as tables: each column is a head and a function of a row, so that what is shown and its head cannot drift apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from evalsuite.report.blocks import Cell, Column, Table
from evalsuite.report.findings import Findings, data_of, pairs_of, records
from evalsuite.report.words import CORRECTIONS, VERDICT_NAMES, interval, listed, number, p_number, scale_of, share
from evalsuite.types import STATUSES

Row = Mapping[str, Any]
Shown = tuple[Column, Callable[[Row], Cell]]
"""One column of a table."""

MISSING_HEAD = "Missing a / b"

SENSITIVITY = ("boot_low", "boot_high", "p_mcnemar", "bca_low", "bca_high", "p_mcnemar_mid")


def table_of(frame: pd.DataFrame, shown: Sequence[Shown], *, name: str, title: str, note: str = "") -> Table:
    """A frame through columns; the whole frame is the data."""
    rows = tuple(tuple(cell(row) for _, cell in shown) for row in records(frame))
    return Table(name=name, title=title, columns=tuple(column for column, _ in shown), rows=rows, data=data_of(frame), note=note)


def comparison_table(findings: Findings, frame: pd.DataFrame, *, name: str, title: str, note: str = "", cells: Sequence[str] = ()) -> Table:
    """Comparisons as a table.

    Args:
        findings: for scales and levels.
        frame: comparisons, at least one.
        name: file stem.
        title: what it holds; a single pair is named here instead of in every row.
        note: how to read it.
        cells: columns that tell rows outside the primary cell apart (strategy, perturbation, subset); such a table shows means
            instead of what only matters to a verdict.
    """
    pairs = pairs_of(frame)
    several = frame["metric"].nunique() > 1
    roles = set(frame["role"])
    level, inner = share(frame["ci_level"].iloc[0]), share(1 - 2 * findings.study.analysis.alpha)
    verdict = (Column(label="Verdict"), _verdict_cell)
    difference = [
        _valued(findings, "Difference", "difference", signed=True),
        _between(findings, f"{level} interval", "ci_low", "ci_high"),
        _p("p", roles, "p_adjusted", "p_value"),
    ]
    equivalence = [
        _between(findings, f"{inner} interval", "equivalence_low", "equivalence_high"),
        _p("p equiv.", roles, "p_equivalence_adjusted", "p_equivalence"),
    ]
    means = [_valued(findings, "First", "mean_a"), _valued(findings, "Second", "mean_b")]
    counts = [_counted("Samples", "n_samples"), _counted("Groups", "n_groups"), _left_out()]
    shown = [*_pair(pairs), _named("Task", "task"), *([_named("Metric", "metric")] if several else [])]
    shown += [_named(cell.capitalize(), cell) for cell in cells]
    shown += [*means, *difference, counts[0], verdict] if cells else [verdict, *_lost(frame), *difference, *equivalence, *counts]
    if any(column.label == MISSING_HEAD for column, _ in shown):
        note += f" {MISSING_HEAD}: answers of the first and of the second model that were unparsed, truncated or too long."
    note = f"{note} {zero_width_note(frame)}".strip()
    return table_of(frame, shown, name=name, title=_titled(title, pairs), note=note)


def sensitivity_table(findings: Findings, frame: pd.DataFrame) -> Table | None:
    """Interval and p-value by a second method each; None where the analysis gave neither."""
    given = [key for key in SENSITIVITY if key in frame and bool(frame[key].notna().any())]
    if not given:
        return None
    pairs = pairs_of(frame)
    shown = [
        *_pair(pairs),
        _named("Task", "task"),
        _between(findings, "Interval", "ci_low", "ci_high"),
        *([_between(findings, "Bootstrap, percentile", "boot_low", "boot_high")] if "boot_low" in given else []),
        *([_between(findings, "Bootstrap, BCa", "bca_low", "bca_high")] if "bca_low" in given else []),
        number_column("p", lambda row: p_number(row["p_value"])),
        *([number_column("p, McNemar", lambda row: p_number(row["p_mcnemar"]))] if "p_mcnemar" in given else []),
        *([number_column("p, McNemar mid-p", lambda row: p_number(row["p_mcnemar_mid"]))] if "p_mcnemar_mid" in given else []),
        (Column(label="Method of p; of the interval"), lambda row: Cell(text=row["method"] or "–")),
    ]
    note = (
        "The verdicts rest on the first p, made as the method says. Bootstrap (percentile limits; BCa: bias-corrected and accelerated "
        "ones) and McNemar (exact; mid-p) are shown to see whether the method matters, where they apply. p-values in this table are not "
        f"adjusted. {zero_width_note(frame)}"
    ).strip()
    keys = ["task", "metric", "strategy", "perturbation", "model_a", "model_b", "ci_low", "ci_high", "p_value", *given, "method"]
    return table_of(frame[keys], shown, name="sensitivity", title=_titled("Sensitivity to the method", pairs), note=note)


def estimate_table(findings: Findings, frame: pd.DataFrame, *, name: str, title: str, note: str, cells: Sequence[str] = ()) -> Table:
    """Estimates as a table; a status has a column where it occurs at all, and the note names those that never do.

    Args:
        findings: for scales and chance levels.
        frame: estimates, at least one.
        name: file stem.
        title: what it holds.
        note: how to read it.
        cells: columns that tell rows outside the primary cell apart; such a table leaves out chance, groups and label mass.
    """
    metrics = list(dict.fromkeys(frame["metric"]))
    present = [status for status in STATUSES if status == "scored" or frame[f"n_{status}"].fillna(0).any()]
    massed = not cells and "label_mass" in frame and bool(frame["label_mass"].notna().any())
    single = metrics[0].replace("_", " ").capitalize() + (" %" if scale_of(findings, metrics[0]).unit else "")
    shown = [_named("Task", "task"), _named("Model", "model"), *([_named("Metric", "metric")] if len(metrics) > 1 else [])]
    shown += [_named(cell.capitalize(), cell) for cell in cells]
    shown += [_valued(findings, "Mean" if len(metrics) > 1 else single, "mean"), _between(findings, "Interval", "ci_low", "ci_high")]
    if not cells:
        shown.append(number_column("Chance", lambda row: number(chance_of(findings, row), scale_of(findings, row["metric"]))))
    shown += [_counted("Samples", "n_samples"), *([] if cells else [_counted("Groups", "n_groups")])]
    heads = {"scored": "Answers scored"} if several_answers(findings, frame) else {}
    shown += [
        _counted(heads.get(status) or status.replace("_", " ").capitalize(), f"n_{status}", alert=status == "failed") for status in present
    ]
    if heads:
        note += " Statuses are counted in answers, of which a sample has several (variants, replicates)."
    if massed:
        shown.append(number_column("Label mass", lambda row: "–" if row["label_mass"] is None else f"{100 * row['label_mass']:.1f}"))
        note += " Label mass: share of the next-token probability, in percent, that falls on the choice labels at all."
    absent = [status.replace("_", " ") for status in STATUSES if status not in present]
    if absent:
        note += f" No answer was {listed(absent).replace(' and ', ' or ')}."
    return table_of(frame, shown, name=name, title=title, note=f"{note} {zero_width_note(frame)}".strip())


def several_answers(findings: Findings, frame: pd.DataFrame) -> bool:
    """True where a sample has more than one answer (variants, replicates) in any cell of a frame."""
    cell = ["task", "strategy", "perturbation"]
    if not {*cell, "variant", "replicate"} <= set(findings.scores.columns):
        return findings.study.replicates > 1
    repeated = findings.scores.loc[(findings.scores["variant"] > 0) | (findings.scores["replicate"] > 0), cell]
    cells = set(repeated.drop_duplicates().itertuples(index=False, name=None))
    return any(key in cells for key in frame[cell].itertuples(index=False, name=None))


def zero_width(low: float | None, high: float | None) -> bool:
    """True for an interval without width, up to rounding errors."""
    return low is not None and high is not None and abs(high - low) < 1e-9


def zero_width_note(frame: pd.DataFrame) -> str:
    """What the asterisk at an interval means; empty where no interval of a frame is without width."""
    if not any(zero_width(row["ci_low"], row["ci_high"]) for row in records(frame)):
        return ""
    what = "differences" if "difference" in frame else "answers"
    return f"* An interval of width zero: all {what} alike; the t interval knows nothing of answers not seen."


def p_note(findings: Findings, frame: pd.DataFrame) -> str:
    """What was done to the p-values of a table of comparisons."""
    method = CORRECTIONS[findings.study.analysis.correction]
    stated = f"{method}-adjusted within the family" if method else "not corrected for the number of comparisons, as the study asks"
    roles = set(frame["role"])
    exploratory = "not corrected, since the comparisons are exploratory"
    if "exploratory" not in roles:
        return f"p-values are {stated}."
    return f"p-values are {exploratory}." if roles == {"exploratory"} else f"p-values are {stated}, or {exploratory}, where it says so."


def chance_of(findings: Findings, row: Row) -> float | None:
    """Expected value of a uniform guess; None where the card states none for this metric."""
    card = findings.cards.get(row["task"])
    return card.chance if card and card.metric == row["metric"] else None


def _titled(title: str, pairs: Sequence[tuple[str, str]]) -> str:
    return title if len(pairs) > 1 else f"{title}, {pairs[0][0]} − {pairs[0][1]}"


def _pair(pairs: Sequence[tuple[str, str]]) -> list[Shown]:
    return [(Column(label="Pair"), lambda row: Cell(text=f"{row['model_a']} − {row['model_b']}"))] if len(pairs) > 1 else []


def _named(label: str, key: str) -> Shown:
    return Column(label=label), lambda row: Cell(text=str(row[key]))


def text_column(label: str, text: Callable[[Row], str]) -> Shown:
    """A column of texts."""
    return Column(label=label), lambda row: Cell(text=text(row))


def number_column(label: str, text: Callable[[Row], str]) -> Shown:
    """A column of numbers, aligned right."""
    return Column(label=label, kind="number"), lambda row: Cell(text=text(row))


def _valued(findings: Findings, label: str, key: str, *, signed: bool = False) -> Shown:
    return number_column(label, lambda row: number(row[key], scale_of(findings, row["metric"]), signed=signed))


def _between(findings: Findings, label: str, low: str, high: str) -> Shown:
    def text(row: Row) -> str:
        return interval(row[low], row[high], scale_of(findings, row["metric"])) + (" *" if zero_width(row[low], row[high]) else "")

    return number_column(label, text)


def _p(label: str, roles: set[str], adjusted: str, raw: str) -> Shown:
    """The p-value that the verdict was read off; one that is not corrected is never shown as if it were."""
    mixed = len(roles) > 1

    def text(row: Row) -> str:
        if row["role"] != "exploratory":
            return p_number(row[adjusted])
        return p_number(row[raw]) + (", not corrected" if mixed and row[raw] is not None else "")

    return number_column(f"{label}, not corrected" if roles == {"exploratory"} else label, text)


def _left_out() -> Shown:
    def text(row: Row) -> str:
        return "–" if row["n_excluded"] is None else f"{int(row['n_excluded']):,}"

    return number_column("Left out", text)


def _lost(frame: pd.DataFrame) -> list[Shown]:
    """Missing answers of either side and failed ones of both, where there are any."""
    shown = []
    sides = ["n_a_missing", "n_b_missing"]
    if set(sides) <= set(frame.columns) and frame[sides].fillna(0).to_numpy().any():
        shown.append(
            number_column(MISSING_HEAD, lambda row: " / ".join("–" if row[side] is None else f"{int(row[side]):,}" for side in sides))
        )
    if "n_failed" in frame and frame["n_failed"].fillna(0).any():
        shown.append(_counted("Failed", "n_failed", alert=True))
    return shown


def _counted(label: str, key: str, *, alert: bool = False) -> Shown:
    column = Column(label=label, kind="number")
    return column, lambda row: Cell(text="–" if row[key] is None else f"{int(row[key]):,}", alert=alert and bool(row[key]))


def _verdict_cell(row: Row) -> Cell:
    within = row["within_margin"] and row["verdict"] in ("a_better", "b_better")
    return Cell(text=VERDICT_NAMES[row["verdict"]] + (", within margin" if within else ""), alert=row["verdict"] == "not_established")
