"""Contamination flags: what the registry declares that each model was trained on, held against the tasks of the study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from evalsuite.report.blocks import Cell, Column, Paragraph, Raw, Section, Table, data_of_rows
from evalsuite.report.findings import Findings
from evalsuite.report.words import counted, listed

Flag = Literal["test", "unsplit", "relative", "other_split", "not_named", "none", "unknown"]

FLAGS: tuple[tuple[Flag, str, bool], ...] = (
    ("test", "Trained on the split that is asked", True),
    ("unsplit", "Trained on it, split not said", True),
    ("relative", "Trained on a task of its family", True),
    ("other_split", "Trained on another split", False),
    ("not_named", "Not among what is declared", False),
    ("none", "Declared: none", False),
    ("unknown", "Unknown", False),
)
"""Flag, head of its column, whether it must be seen; of several that hold for a task the first counts."""

MAX_NAMED = 6
"""Most tasks that a cell of the table names; the CSV file has them all."""


def contamination_section(findings: Findings) -> Section | None:
    """One row per model with the tasks under each flag; absent where the registry says nothing about any model."""
    models = [name for name in findings.study.models if name in findings.labels.models]
    tasks = {entry.name: entry.split or findings.cards[entry.name].split for entry in findings.study.tasks if entry.name in findings.cards}
    if not models or not tasks:
        return None
    flags = {model: {task: flag_of(findings, model, task, split) for task, split in tasks.items()} for model in models}
    raw: list[tuple[Raw, ...]] = [
        (model, task, tasks[task], flag, _declared(findings.labels.models[model]), findings.labels.models[model].get("knowledge_cutoff"))
        for model, own in flags.items()
        for task, flag in own.items()
    ]
    data = data_of_rows(("model", "task", "split", "flag", "trained_on", "knowledge_cutoff"), raw)
    present = [(flag, head, alert) for flag, head, alert in FLAGS if any(flag in own.values() for own in flags.values())]
    rows = []
    for model, own in flags.items():
        cells = [_cell([task for task, found in own.items() if found == flag], len(tasks), alert=alert) for flag, _, alert in present]
        rows.append((Cell(text=model), *cells, Cell(text=str(findings.labels.models[model].get("knowledge_cutoff") or "unknown"))))
    heads = (Column(label="Model"), *(Column(label=head) for _, head, _ in present), Column(label="Knowledge up to"))
    note = (
        "As the registry (models.yaml, trained_on and knowledge_cutoff) declares; nothing was measured. What is not declared may have been "
        "read all the same."
    )
    title = "Tasks by what is declared of each model's training"
    table = Table(name="contamination", title=title, columns=heads, rows=tuple(rows), data=data, note=note)
    return Section(anchor="contamination", title="Contamination flags", blocks=(Paragraph(text=_reading(flags)), table))


def flag_of(findings: Findings, model: str, task: str, split: str) -> Flag:
    """What is declared of a model and a task.

    Tasks of one family repeat each other's questions, so that training on one of them is training on the others. An entry that
    names the family itself counts as naming each of its tasks.
    """
    declared = findings.labels.models[model].get("trained_on")
    if declared is None:
        return "unknown"
    families = {name: card.family or name for name, card in findings.cards.items()} | dict(findings.labels.families)
    family = families.get(task, task)
    found: set[Flag] = {"not_named" if declared else "none"}
    for entry in declared:
        name, _, part = str(entry).partition("/")
        if name in (task, family):
            found.add("unsplit" if not part else "test" if part == split else "other_split")
        elif families.get(name, _family_by_name(name, families)) == family:
            # Another rendition of the same questions: its other splits are other splits of this task too.
            found.add("other_split" if part and part != split else "relative")
    return next(flag for flag, _, _ in FLAGS if flag in found)


def _family_by_name(name: str, families: Mapping[str, str]) -> str:
    """Family of a task that is not part of the study: the longest family of the study that its name begins with, else its own name."""
    return max((family for family in families.values() if name.startswith(f"{family}_")), key=len, default=name)


def _declared(entry: Mapping[str, Any]) -> str | None:
    declared: Iterable[str] | None = entry.get("trained_on")
    return None if declared is None else " ".join(declared) or "none"


def _cell(tasks: list[str], n_tasks: int, *, alert: bool) -> Cell:
    if not tasks:
        return Cell(text="–")
    return Cell(text="all tasks" if len(tasks) == n_tasks and n_tasks > 1 else _some(tasks, "task"), alert=alert)


def _some(names: Sequence[str], noun: str) -> str:
    """Names one by one, or how many where there are many."""
    return listed(names) if len(names) <= MAX_NAMED else counted(len(names), noun)


def _reading(flags: Mapping[str, Mapping[str, Flag]]) -> str:
    """One sentence; never that a model has not seen a task, which no declaration shows."""
    alerts = {flag for flag, _, alert in FLAGS if alert}
    flagged = {model: [task for task, flag in own.items() if flag in alerts] for model, own in flags.items()}
    flagged = {model: tasks for model, tasks in flagged.items() if tasks}
    unknown = [model for model, own in flags.items() if "unknown" in own.values()]
    if flagged:
        named = [f"{model} ({_some(tasks, 'task')})" for model, tasks in flagged.items()]
        text = f"Declared to have been trained on what is asked here, or on what repeats it: {listed(named)}; such scores may be memory."
    else:
        text = "No model is declared to have been trained on what is asked here."
    if unknown:
        text += f" Of {_some(unknown, 'model')} it is not known."
    return f"{text} That is no proof that anything was unseen."
