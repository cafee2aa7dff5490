"""Tasks, strategies and perturbations: lines for their `list`, `show` and `check`."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from evalsuite.config import TaskEntry, load_study
from evalsuite.data import load_split, locate
from evalsuite.errors import Fault, UserError, nearest
from evalsuite.formats import default_wording, lay_out
from evalsuite.listings.tokens import RULE, Showing, request_lines
from evalsuite.plugins import load_specs
from evalsuite.prompts import conversation
from evalsuite.strategies.options import FormatOptions
from evalsuite.task_sources import PREFIX, expand
from evalsuite.tasks import Task, find_tasks
from evalsuite.types import Sample


def task_lines() -> list[str]:
    """One line per task: name, kind, language, evaluated split and size, metric, and where its data would be read."""
    tasks = find_tasks()
    width = max(len(name) for name in tasks)
    lines = []
    for name, task in sorted(tasks.items()):
        card = task.card
        n_rows = card.splits[card.split].n_rows
        where = _data_place(task, card.split)
        size = "?" if n_rows is None else str(n_rows)
        lines.append(f"{name:{width}}  {card.kind:8} {card.language}  {card.split}: {size:>6}  {card.metric:16} {where}")
    return lines


def task_card_lines(name: str, showing: Showing) -> list[str]:
    """A task's card and, where its data are and may be shown, one sample as it is asked; of a restricted task only if that is wanted."""
    task = _task(name, showing.study)
    card = task.card
    lines = [f"{name}: {card.description}"]
    for key in ("kind", "language", "licence", "citation", "hub_id", "hub_config", "revision", "metric", "metrics", "chance", "restricted"):
        value: Any = getattr(card, key)
        lines.append(f"  {key:12} {'none' if value is None else value}")
    for split, expected in card.splits.items():
        left_out = "".join(f", {n} left out: {reason}" for reason, n in expected.excluded.items())
        role = " (evaluated)" if split == card.split else " (exemplars)" if split == card.exemplar_split else ""
        lines.append(f"  split {split}: {'unknown' if expected.n_rows is None else expected.n_rows} rows{left_out}{role}")
    lines.extend(f"  known issue {issue}: {text}" for issue, text in card.known_issues.items())
    if card.restricted and not showing.restricted:
        return [*lines, "  samples are restricted and not shown; --show-restricted shows one on this terminal"]
    data = load_study(showing.study).data if showing.study is not None else {}
    samples = load_split(task, card.split, data).samples
    if showing.number >= len(samples):
        raise UserError(Fault(file="command line", key="--sample", value=str(showing.number), allowed=f"0 to {len(samples) - 1}"))
    return [*lines, "", *_sample_lines(task, samples[showing.number], showing)]


def task_check_lines(names: tuple[str, ...]) -> tuple[list[str], bool]:
    """Whether tasks can be read here; the second value is False if a named task cannot, or any has bad data."""
    lines: list[str] = []
    complete = True
    tasks = find_tasks()
    for name in names or tuple(sorted(tasks)):
        task = _task(name)
        for split in task.card.splits:
            try:
                place = locate(task, split, {})
            except UserError as error:
                lines.append(f"{name}/{split}: {error.faults[0].allowed}")
                complete = complete and not (names and split == task.card.split)
                continue
            if place.path is None:
                lines.append(f"{name}/{split}: on the hub, not read")
                continue
            try:
                data = load_split(task, split, {})
            except UserError as error:
                complete = False
                lines.extend(f"{name}/{split}: {fault}" for fault in error.faults)
                continue
            lines.append(f"{name}/{split}: {len(data.samples)} samples, {len(data.excluded)} left out")
    return lines, complete


def spec_lines(package: ModuleType) -> list[str]:
    """Plugins of a package with their options, defaults and sources."""
    lines = []
    for name, spec in load_specs(package).items():
        lines.append(f"{name}: {spec.summary}")
        for option, info in spec.options.model_fields.items():
            default = "required" if info.is_required() else f"default {info.default!r}"
            lines.append(f"    {option}: {default}")
        if spec.source != "-":
            lines.append(f"    source: {spec.source}")
    return lines


def _data_place(task: Task, split: str) -> str:
    try:
        place = locate(task, split, {})
    except UserError:
        return "no data here"
    return place.how


def _task(name: str, study: Path | None = None) -> Task:
    """The task; one of lm-evaluation-harness is looked for in the study's `include_path` too."""
    if name.startswith(PREFIX):
        found = expand([TaskEntry(name=name)], load_study(study).include_path if study else ()).tasks
        if len(found) != 1:
            raise UserError(Fault(file="tasks", key="", value=name, allowed=f"one task; it is a group of {', '.join(sorted(found))}"))
        return next(iter(found.values()))
    tasks = find_tasks()
    if name not in tasks:
        raise UserError(Fault(file="tasks", key="", value=name, allowed=f"no such task; {nearest(name, tasks)}"))
    return tasks[name]


def _sample_lines(task: Task, sample: Sample, showing: Showing) -> list[str]:
    card = task.card
    right = ", ".join(sample.choices[target] for target in sample.targets) or " | ".join(sample.references)
    if showing.model is not None:
        return [*request_lines(task, sample, showing), f"right: {right}"]
    chosen = FormatOptions.model_validate({"format": showing.form}).form_for(card)
    head = f"sample {sample.id}, group {sample.group}, format {chosen}"
    if chosen == "native":
        return [head, "its words are its own framework's: name a --model to see them", f"right: {right}"]
    wording = card.wording or default_wording(card.language)
    messages = conversation(wording.instruction, [], lay_out(sample, chosen, wording))
    return [head, RULE, *(message.text for message in messages), RULE, f"right: {right}"]
