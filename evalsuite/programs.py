"""The programs of a plan: each model's preparations, then one program per variant of a sample and cell.

Both the runner (engine and store) and re-scoring (store alone) drive the same programs; they differ in the source only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from evalsuite.cards import metrics_of
from evalsuite.config import Study
from evalsuite.embedders.neighbours import Nearest
from evalsuite.embedders.written import written_vectors
from evalsuite.formats import default_wording
from evalsuite.models import ChatEntry
from evalsuite.plan import Item, Plan, PlannedModel, Refused, limited
from evalsuite.strategies.base import Context, Prepared, Renders
from evalsuite.tasks import Task
from evalsuite.types import Answer, Asking, Request, Response, Sample
from evalsuite.waves import Finished, Source, drive


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparation:
    """What a strategy prepares once per model and task."""

    model: str
    """Registry name of the model that prepares; of a lender where the study names one."""
    task: str
    """Task name."""
    strategy: str
    """Strategy id."""


Preparations = Mapping[Preparation, Finished[Preparation, Prepared]]
"""What was prepared."""

Recall = Callable[[Preparation], Mapping[str, Any] | None]
"""The facts of a preparation from when the study ran; None: prepare."""


def _afresh(name: Preparation) -> Mapping[str, Any] | None:
    """Nothing is known."""
    del name
    return None


def unprepared(name: Preparation) -> Mapping[str, Any]:
    """For previews: nothing is known, and nothing is prepared either."""
    del name
    return {}


def context_for(plan: Plan, model: PlannedModel, task: str, renderer: Renders, replicate: int = 0) -> Context:
    """What strategies may know of one model, task and replicate of a plan."""
    planned = plan.tasks[task]
    context = context_of(plan.study, model.entry.chat, planned.task, renderer, lambda: planned.pool, replicate)
    return replace(
        context,
        questions=lambda: questions_of(plan, task),
        validation=lambda split, limit: limited(planned.validation[split or planned.validation_split or ""], limit, plan.study.seed),
        validation_split=planned.validation_split,
        metric=metrics_of(planned.task)[planned.metric],
        vectors=written_vectors(plan.file.parent),
    )


def questions_of(plan: Plan, task: str) -> tuple[Sample, ...]:
    """Every question that a plan asks of a task, each once, without what is right."""
    asked = (
        shown if shown.dialogue is None else shown.dialogue.first
        for perturbation in plan.perturbations
        for shown in plan.variants[task, perturbation]
        if not isinstance(shown, Refused)
    )
    found = {(shown.id, shown.context, shown.question, shown.choices): shown for shown in asked}
    return tuple(replace(sample, targets=(), references=(), quantity=None) for sample in found.values())


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


def prepare_all(
    plan: Plan,
    model: PlannedModel,
    renderer: Renders,
    source: Source,
    *,
    recall: Recall = _afresh,
    nearest: Nearest | None = None,
    lends: bool = False,
) -> dict[Preparation, Finished[Preparation, Prepared]]:
    """Drive a model's preparations to their end; results are the states that `answers_of` needs.

    Args:
        plan: the study.
        model: the model that prepares.
        renderer: renders for it.
        source: answers its requests.
        recall: gives the facts of preparations that are not to be made again.
        nearest: looks neighbours up; None where nothing is prepared.
        lends: True: what the model prepares for all models; False: what it prepares for itself.
    """
    programs = []
    for task in plan.tasks:
        context = context_for(plan, model, task, renderer)
        # All strategies look the same questions up.
        context = replace(context, nearest=nearest, questions=cache(context.questions))
        for label, strategy in plan.strategies.items():
            if strategy.lender == (model.name if lends else None):
                name = Preparation(model=model.name, task=task, strategy=label)
                programs.append((name, strategy.prepare(replace(context, recorded=recall(name)))))
    # Preparations embed and search: not beside an engine that computes.
    return {finished.name: finished for finished in drive(programs, source, beside=False)}


def answers_of(
    plan: Plan, model: PlannedModel, renderer: Renders, source: Source, prepared: Preparations
) -> Iterator[Finished[Item, Answer]]:
    """Drive a model's programs; refused samples are no programs and are not among what is yielded."""
    return drive(_programs(plan, model, renderer, prepared), source)


def state_for(plan: Plan, model: str, task: str, strategy: str, prepared: Preparations) -> Any:
    """What a model's programs of a task and strategy receive: its own preparation's state, or the lender's."""
    return prepared[Preparation(model=plan.strategies[strategy].lender or model, task=task, strategy=strategy)].result.state


def _programs(plan: Plan, model: PlannedModel, renderer: Renders, prepared: Preparations) -> Iterator[tuple[Item, Asking[Answer]]]:
    for cell in plan.cells(model.name):
        context = context_for(plan, model, cell.task, renderer, cell.replicate)
        strategy = plan.strategies[cell.strategy]
        state = state_for(plan, model.name, cell.task, cell.strategy, prepared)
        for shown in plan.shown(cell):
            if not isinstance(shown, Refused):
                yield Item(cell=cell, sample=shown), strategy.answer(shown, state, context)


def stand_in(request: Request) -> Response:
    """What a model might answer, for previews that go on behind a first turn; never a result."""
    return Response(
        text="A" if request.kind == "generate" else "",
        finish_reason="stop" if request.kind == "generate" else "none",
        logprobs=(-1.0,) * len(request.candidates),
        continuation_logprobs=tuple((-1.0,) * len(ids) for ids in request.continuations),
    )


def n_programs(plan: Plan, model: str) -> int:
    """How many items a model has to answer."""
    return sum(not isinstance(shown, Refused) for cell in plan.cells(model) for shown in plan.shown(cell))
