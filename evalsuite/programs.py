"""The programs of a plan: each model's preparations, then one program per variant of a sample and cell.

Both the runner (engine and store) and re-scoring (store alone) drive the same programs; they differ in the source only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evalsuite.formats import default_wording
from evalsuite.plan import Item, Plan, PlannedModel, Refused
from evalsuite.strategies.base import Context, Renders
from evalsuite.types import Answer, Asking
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
    """What strategies may know of one model, task and replicate."""
    planned, study, chat = plan.tasks[task], plan.study, model.entry.chat
    card = planned.task.card
    return Context(
        renderer=renderer,
        card=card,
        wording=card.wording or default_wording(card.language),
        pool=lambda: planned.pool,
        # A template's own end marks stop every generation of that model; they are marks, not a condition.
        decoding=study.decoding.model_copy(update={"stop": tuple(dict.fromkeys((*study.decoding.stop, *chat.stop)))}),
        shots_as=study.prompting.shots_as,
        system=study.prompting.system,
        seed=study.seed,
        replicate=replicate,
        thinking=chat.thinking,
        foreign=planned.task.foreign,
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
