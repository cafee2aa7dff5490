"""Tasks, strategies and perturbations: lines for their `list`, `show` and `check`."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from evalsuite.config import TaskEntry, load_study
from evalsuite.data import load_split, locate
from evalsuite.errors import Fault, UserError, nearest
from evalsuite.formats import default_wording, lay_out
from evalsuite.listings.renditions import RULE, rendition_of, renditions, second_turn
from evalsuite.listings.tokens import Showing, able_to_show, asked_study, chosen_strategy, request_lines
from evalsuite.perturbations.base import PerturbationSpec, Refusal
from evalsuite.perturbations.found import perturbation_specs
from evalsuite.prompts import conversation
from evalsuite.strategies.manners import wording_under
from evalsuite.strategies.options import FormatOptions
from evalsuite.task_sources import PREFIX, expand
from evalsuite.tasks import Task, find_tasks
from evalsuite.types import Manner, Sample


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
    made = renditions(samples[showing.number], showing.perturbation, asked_study(task, showing))
    if isinstance(made, Refusal):
        return [*lines, "", f"sample {samples[showing.number].id}: refused by {showing.perturbation}: {made.reason}"]
    shown = able_to_show(task, showing)
    for one in made:
        lines += ["", *_sample_lines(task, one, shown)]
    return lines


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


def spec_lines(specs: Mapping[str, Any], about: Callable[[Any], str] | None = None) -> list[str]:
    """Plugins with the defaults of their options and their sources; then what each option means, once.

    Args:
        specs: by name.
        about: more of a plugin, in one line; None: nothing.
    """
    lines = []
    meanings: dict[str, dict[str, list[str]]] = {}
    for name, spec in specs.items():
        lines.append(f"{name}: {spec.summary}")
        lines += [] if about is None else wrapped(about(spec))
        fields = spec.options.model_fields
        lines += wrapped(", ".join(f"{option} {_default(info)}" for option, info in fields.items()))
        if spec.source != "-":
            lines.append(f"    source: {spec.source}")
        for option, info in fields.items():
            meanings.setdefault(option, {}).setdefault(f"{_allowed(info)}{info.description or ''}", []).append(name)
    if meanings:
        lines += ["", "Options; above with their defaults (-: left out)."]
    for option, told in meanings.items():
        for meaning, names in told.items():
            whose = f" ({', '.join(names)})" if len(told) > 1 else ""
            lines += wrapped(f"{option}{whose}: {meaning}", first="")
    return lines


def perturbation_spec_lines() -> list[str]:
    """Perturbations with what they ask of a model, where they have words, their options and sources."""

    def about(spec: PerturbationSpec) -> str:
        words = "" if spec.languages is None else f"; words in {', '.join(sorted(spec.languages))}"
        if callable(spec.preserves_meaning):
            return f"{spec.family}; its options decide whether the meaning is preserved{words}"
        meaning = "meaning-preserving" if spec.preserves_meaning else "target-changing"
        return f"{spec.family}{'' if meaning == spec.family else f'; {meaning}'}{words}"

    return spec_lines(perturbation_specs(), about)


def wrapped(text: str, first: str = "    ") -> list[str]:
    """A text in lines of at most 110 characters, all but the first indented; none for no text."""
    return textwrap.wrap(text, 110, initial_indent=first, subsequent_indent="    ", break_on_hyphens=False)


def _default(info: FieldInfo) -> str:
    """A default as study.yaml would say it."""
    if info.is_required():
        return "(needed)"
    if info.default is None:
        return "-"
    if isinstance(info.default, frozenset | tuple):
        return f"[{', '.join(sorted(map(str, info.default)))}]"
    return str(info.default).lower() if isinstance(info.default, bool) else str(info.default)


def _allowed(info: FieldInfo) -> str:
    """The words that are allowed, where these are a few."""
    kinds = [info.annotation, *get_args(info.annotation)]
    words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    return f"{', '.join(map(str, words))}. " if words else ""


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
    if showing.strategy is not None:
        try:
            chosen = chosen_strategy(asked_study(task, showing), showing)[1].form_for(card)
        except ValueError as error:
            raise UserError(Fault(file="command line", key="--strategy", value=showing.strategy, allowed=str(error))) from None
    head = f"sample {sample.id}, group {sample.group}, format {chosen}{rendition_of(sample, showing.perturbation)}"
    if chosen == "native":
        return [head, "its words are its own framework's: name a --model to see them", f"right: {right}"]
    wording = wording_under(sample.manner or Manner(), card.wording or default_wording(card.language))
    opening = sample if sample.dialogue is None else sample.dialogue.first
    system = None if sample.manner is None else sample.manner.system
    messages = conversation(wording.instruction, [], lay_out(opening, chosen, wording), system)
    return [head, RULE, *(message.text for message in messages), RULE, *second_turn(sample, chosen, wording), f"right: {right}"]
