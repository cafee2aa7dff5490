"""The programs of a plan: each model's preparations, then one program per variant of a sample and cell.

Both the runner (engine and store) and re-scoring (store alone) drive the same programs; they differ in the source only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalsuite.config import Study
from evalsuite.formats import default_wording
from evalsuite.models import ChatEntry
from evalsuite.plan import Item, Plan, PlannedModel, Refused
from evalsuite.strategies.base import Context, Renders
from evalsuite.tasks import Task
from evalsuite.types import Answer, Asking, Sample
from evalsuite.waves import Finished, Source, drive


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparation:
    """What a strategy prepares once per model and task."""

    model: str
    """Registry name."""
    task: str
    """Task name."""
    strategy: str
    """Strategy id."""


def context_for(plan: Plan, model: PlannedModel, task: str, renderer: Renders, replicate: int = 0) -> Context:
    """What strategies may know of one model, task and replicate of a plan."""
    planned = plan.tasks[task]
    return context_of(plan.study, model.entry.chat, planned.task, renderer, lambda: planned.pool, replicate)


def context_of(
    study: Study, chat: ChatEntry, task: Task, renderer: Renders, pool: Callable[[], Sequence[Sample]], replicate: int = 0
) -> Context:
    """What strategies may know of one task under a study's conditions.

    Args:
        study: the conditions.
        chat: the model's chat entry.
        task: the task.
        renderer: renders for the model.
        pool: gives the exemplar pool when it is wanted.
        replicate: number of the draw.
    """
    return Context(
        renderer=renderer,
        card=task.card,
        wording=task.card.wording or default_wording(task.card.language),
        pool=pool,
        # A template's own end marks stop every generation of that model; they are marks, not a condition.
        decoding=study.decoding.model_copy(update={"stop": tuple(dict.fromkeys((*study.decoding.stop, *chat.stop)))}),
        shots_as=study.prompting.shots_as,
        system=study.prompting.system,
        seed=study.seed,
        replicate=replicate,
        thinking=chat.thinking,
        foreign=task.foreign,
    )


def prepare_all(plan: Plan, model: PlannedModel, renderer: Renders, source: Source) -> dict[Preparation, Finished[Preparation, Any]]:
    """Drive a model's preparations to their end; results are the states that `answers_of` needs."""
    programs = (
        (Preparation(model=model.name, task=task, strategy=label), strategy.prepare(context_for(plan, model, task, renderer)))
        for task in plan.tasks
        for label, strategy in plan.strategies.items()
    )
    return {finished.name: finished for finished in drive(programs, source)}


def answers_of(
    plan: Plan,
    model: PlannedModel,
    renderer: Renders,
    source: Source,
    prepared: Mapping[Preparation, Finished[Preparation, Any]],
) -> Iterator[Finished[Item, Answer]]:
    """Drive a model's programs; refused samples are no programs and are not among what is yielded."""
    return drive(_programs(plan, model, renderer, prepared), source)


def _programs(
    plan: Plan, model: PlannedModel, renderer: Renders, prepared: Mapping[Preparation, Finished[Preparation, Any]]
) -> Iterator[tuple[Item, Asking[Answer]]]:
    for cell in plan.cells(model.name):
        context = context_for(plan, model, cell.task, renderer, cell.replicate)
        strategy = plan.strategies[cell.strategy]
        state = prepared[Preparation(model=model.name, task=cell.task, strategy=cell.strategy)].result
        for shown in plan.shown(cell):
            if not isinstance(shown, Refused):
                yield Item(cell=cell, sample=shown), strategy.answer(shown, state, context)


def n_programs(plan: Plan, model: str) -> int:
    """How many items a model has to answer."""
    return sum(not isinstance(shown, Refused) for cell in plan.cells(model) for shown in plan.shown(cell))
