"""The report of two sets of scores side by side: one table, and everything a reader must know before believing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from evalsuite.interop.pairing import SideBySide, not_stated_lines
from evalsuite.out_dir import OutDir, write_text
from evalsuite.report.blocks import Block, Cell, Column, Notice, Paragraph, Report, Section, Table
from evalsuite.report.findings import data_of, records
from evalsuite.report.words import VERDICT_NAMES, p_number, share
from evalsuite.report.write import write_report


def write_side_by_side(result: SideBySide, folder: Path) -> list[Path]:
    """Write comparisons.csv, report.html, report.md and the table.

    Args:
        result: the comparison.
        folder: where; made if it is not there.

    Returns:
        The files.

    Raises:
        UserError: the folder holds a study or scores, whose files these would replace.
    """
    out = OutDir(folder)
    out.check_free()
    out.make()
    write_text(out.comparisons, result.comparisons.to_csv(index=False, lineterminator="\n"))
    return [out.comparisons, *write_report(side_by_side_report(result), folder)]


def side_by_side_report(result: SideBySide) -> Report:
    """The report as data."""
    frame = result.comparisons
    first, second = frame["model_a"].iloc[0], frame["model_b"].iloc[0]
    said = " ".join(not_stated_lines(result))
    blocks: list[Block] = [Notice(level="warning", text=f"{said[:1].upper()}{said[1:]}.")]
    blocks += [Notice(level="note", text=f"{note[:1].upper()}{note[1:]}.") for note in result.notes]
    blocks.append(_table(frame, first, second))
    places = f"A: {first}, scores in {result.a.folder.name}. B: {second}, scores in {result.b.folder.name}."
    blocks.append(Paragraph(text=places, small=True))
    question = f"Does {first} do better than {second} on the same samples?"
    section = Section(anchor="comparison", title="Comparison", blocks=tuple(blocks))
    return Report(study=f"{first} against {second}", question=question, sections=(section,))


def _table(frame: pd.DataFrame, first: str, second: str) -> Table:
    level = share(float(frame["ci_level"].iloc[0]))
    names = ["task", "metric", *(key for key in ("strategy", "perturbation") if frame[key].nunique() > 1)]
    heads = ["Samples", "Groups", "A", "B", "Difference", f"{level} interval", "p", "p adjusted"]
    columns = [Column(label=name.capitalize()) for name in names] + [Column(label=head, kind="number") for head in heads]
    rows = tuple(_row(row, names) for row in records(frame))
    note = (
        "Numbers are in the metric's unit; a difference above zero favours A. Intervals are cluster-robust t over groups, "
        "p is from sign flips over groups."
    )
    return Table(
        name="comparisons",
        title=f"Paired differences, {first} − {second}",
        columns=(*columns, Column(label="Verdict")),
        rows=rows,
        data=data_of(frame),
        note=note,
    )


def _row(row: Mapping[str, Any], names: Sequence[str]) -> tuple[Cell, ...]:
    numbers = [_number(row[key], signed=key == "difference") for key in ("mean_a", "mean_b", "difference")]
    interval = "–" if row["ci_low"] is None else f"{_number(row['ci_low'], signed=True)} to {_number(row['ci_high'], signed=True)}"
    texts = [*(str(row[name]) for name in names), f"{row['n_samples']:,}", f"{row['n_groups']:,}", *numbers, interval]
    texts += [p_number(row["p_value"]), p_number(row["p_adjusted"])]
    why = f" ({row['status_note']})" if row["status_note"] else ""
    verdict = Cell(text=f"{VERDICT_NAMES[row['verdict']]}{why}", alert=row["verdict"] == "not_established")
    return (*(Cell(text=text) for text in texts), verdict)


def _number(value: float | None, *, signed: bool) -> str:
    return "–" if value is None else (f"{value:+.4f}" if signed else f"{value:.4f}").replace("-", "−")
