"""A paper's printed ladder beside ours: the ablation of Medprompt on GPT-4, rung by rung. Beside, never compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalsuite.published.records import Paper, Record
from evalsuite.report.blocks import Cell, Column, Table, data_of_rows
from evalsuite.report.findings import Findings
from evalsuite.report.sentences import Row
from evalsuite.report.words import SHARES, number
from evalsuite.stats.ladder import ALL

PAPER = "2311.16452"
"""Nori et al. 2023, Medprompt."""

MAX_MODELS = 6
"""Most models beside the printed numbers; the others stand in the ladder's own table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What a strategy is made of, as far as the paper's ladder tells strategies apart."""

    exemplars: str
    """`none`, `drawn` (fixed or random) or `knn`."""
    reasoning: bool
    """Whether the model reasons before it answers."""
    ensemble: bool
    """Whether several orders of the choices vote."""


PRINTED: Mapping[str, Parts] = {
    "zero-shot": Parts(exemplars="none", reasoning=False, ensemble=False),
    "+ random 5-shot": Parts(exemplars="drawn", reasoning=False, ensemble=False),
    "+ random 5-shot + self-generated CoT": Parts(exemplars="drawn", reasoning=True, ensemble=False),
    "+ kNN 5-shot + CoT": Parts(exemplars="knn", reasoning=True, ensemble=False),
    "+ 5x choice-shuffle ensemble (= Medprompt)": Parts(exemplars="knn", reasoning=True, ensemble=True),
}
"""The paper's settings, in its order, to what they are made of."""


def printed_tables(findings: Findings, rows: Sequence[Row]) -> list[Table]:
    """One table per task that the paper prints the ladder of, ours beside it; none unless the study names the paper.

    Args:
        findings: its papers, and the options of its strategies.
        rows: of the frame `ladder`.
    """
    paper = next((paper for paper in findings.papers if paper.id == PAPER), None)
    if paper is None:
        return []
    printed = [record for setting in PRINTED for record in paper.records if record.setting == setting]
    tables: list[Table] = []
    for name in dict.fromkeys(record.task.name for record in printed):
        records = [record for record in printed if record.task.name == name]
        tables.append(_table(findings, paper, records, rows, name=f"ladder_printed{'' if not tables else f'_{len(tables) + 1}'}"))
    return tables


def parts_of(name: str, options: Mapping[str, Any]) -> Parts | None:
    """What one of our strategies is made of; None for one that the paper's ladder does not know (draws at a temperature).

    Args:
        name: strategy name.
        options: all its options, defaults filled in.
    """
    if name not in ("zero_shot", "few_shot", "cot", "choice_shuffle", "medprompt"):
        return None
    exemplars = "none" if name == "zero_shot" or not options.get("shots") else "knn" if options.get("exemplars") == "knn" else "drawn"
    return Parts(
        exemplars=exemplars,
        reasoning=name == "cot" or (name == "medprompt" and bool(options.get("reasoning", True))),
        ensemble=name in ("choice_shuffle", "medprompt") and int(options.get("ensemble", 5)) > 1,
    )


def _table(findings: Findings, paper: Paper, printed: Sequence[Record], rows: Sequence[Row], *, name: str) -> Table:
    scope = next((task for task in printed[0].task.ours if any(row["scope"] == task for row in rows)), ALL)
    own = [row for row in rows if row["scope"] == scope and row["kind"] == "rung"]
    models = list(dict.fromkeys(row["model"] for row in own))[:MAX_MODELS]
    ours = _by_parts(findings)
    means = {(row["model"], row["strategy"]): row for row in own}
    columns = ["setting", "printed", "printed_gain", "strategy", *(f"{what}{model}" for model in models for what in ("", "gain, "))]
    shown: list[tuple[Cell, ...]] = []
    values: list[list[Any]] = []
    before: float | None = None
    for record in printed:
        strategy = ours.get(PRINTED[record.setting], "")
        gain = None if before is None else record.stored - before
        found = [means.get((model, strategy), {}) for model in models]
        numbers = [entry for row in found for entry in (row.get("mean"), row.get("difference"))]
        values.append([record.setting, record.stored, gain, strategy, *numbers])
        texts = [record.setting, record.printed, number(gain, SHARES, signed=True), strategy or "not in this study"]
        texts += [number(entry, SHARES, signed=bool(at % 2)) for at, entry in enumerate(numbers)]
        shown.append(tuple(Cell(text=text) for text in texts))
        before = record.stored
    heads = [("Setting there", "text"), (f"{printed[0].model.name} there", "number"), ("gain", "number"), ("Here", "text")]
    return Table(
        name=name,
        title=f"The printed ladder of {paper.reference} beside ours, {printed[0].task.name}",
        columns=(
            *(Column(label=label, kind="number" if kind == "number" else "text") for label, kind in heads),
            *(Column(label=label, kind="number") for model in models for label in (model, "gain")),
        ),
        rows=tuple(shown),
        data=data_of_rows(columns, values),
        note=_note(scope, printed, models, own),
    )


def _by_parts(findings: Findings) -> dict[Parts, str]:
    """What a rung is made of to its strategy; the first of several alike."""
    found: dict[Parts, str] = {}
    for strategy in findings.study.ladder:
        if strategy in findings.labels.strategies:
            parts = parts_of(*findings.labels.strategies[strategy])
            if parts is not None:
                found.setdefault(parts, strategy)
    return found


def _note(scope: str, printed: Sequence[Record], models: Sequence[str], rows: Sequence[Row]) -> str:
    there = printed[0].task.name
    text = "Percent right; gain: points against the rung before, there the one above, here that of this study's ladder. "
    if scope == ALL:
        text += f"This study does not ask {there}: ours are over its own pooled tasks, and only the shape of the ladder can be looked at. "
    else:
        text += f"Ours are on {scope}. "
    text += "Another model, other words around the questions and other exemplars stand behind the printed numbers, and nothing is tested."
    n_more = len({row["model"] for row in rows}) - len(models)
    return text + (f" {n_more} further models: in the table of the ladder." if n_more else "")
