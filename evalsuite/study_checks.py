"""What can be wrong with a study whose file reads well: names, cells, options and tasks that do not go together; no model is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from evalsuite.cards import VALIDATION, metrics_of
from evalsuite.config import Study, TaskEntry
from evalsuite.embedders.neighbours import SENTENCES, check_embedder
from evalsuite.engines import ENGINES, kinds_of
from evalsuite.errors import Fault, UserError, nearest
from evalsuite.models import ModelEntry
from evalsuite.plan import PlannedModel, PlannedTask, Selection
from evalsuite.prompts import check_letters
from evalsuite.strategies.base import Strategy
from evalsuite.tasks import Task, TaskCard, pool_split, validation_split
from evalsuite.types import Kind

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Faults:
    """Collects faults on the way; `attempt` turns a step's UserError into faults and goes on."""

    file: str
    found: list[Fault] = field(default_factory=list)

    def add(self, key: str, value: str, allowed: str) -> None:
        """One more fault of the study file."""
        self.found.append(Fault(file=self.file, key=key, value=value, allowed=allowed))

    def attempt(self, step: Callable[[], T]) -> T | None:
        """The step's result, or None with its faults noted."""
        try:
            return step()
        except UserError as error:
            self.found.extend(error.faults)
            return None

    def settle(self) -> None:
        """Raise what was found, each fault once.

        Raises:
            UserError: if there is any.
        """
        if self.found:
            raise UserError(list(dict.fromkeys(self.found)))


def check_names(faults: Faults, study: Study, chosen: Selection, registry: Mapping[str, ModelEntry], tasks: Mapping[str, Task]) -> None:
    """Models, tasks, engine and what the command line chose of them are known."""
    for name in study.models if chosen.models is None else [name for name in study.models if name in chosen.models]:
        if name not in registry:
            faults.add("models", name, f"no such model; {nearest(name, registry)}")
    for entry in study.tasks:
        _check_task_entry(faults, entry, tasks)
    if study.engine.name not in ENGINES:
        faults.add("engine.name", study.engine.name, nearest(study.engine.name, ENGINES))
    for what, names, known in (
        ("--models", chosen.models, study.models),
        ("--tasks", chosen.tasks, tuple(entry.name for entry in study.tasks)),
    ):
        for name in names or ():
            if name not in known:
                faults.add(what, name, f"not in this study; {nearest(name, known)}")
    for task in study.data:
        if task not in {entry.name for entry in study.tasks}:
            faults.add("data", task, f"not a task of this study; {nearest(task, [entry.name for entry in study.tasks])}")


def _check_task_entry(faults: Faults, entry: TaskEntry, tasks: Mapping[str, Task]) -> None:
    if entry.name not in tasks:
        faults.add("tasks", entry.name, f"no such task; {nearest(entry.name, tasks)}")
        return
    card = tasks[entry.name].card
    if entry.metric is not None and entry.metric not in card.metrics:
        faults.add(f"tasks.{entry.name}.metric", entry.metric, f"one of {', '.join(card.metrics)}")
    if tasks[entry.name].foreign is not None and entry.split not in (None, card.split):
        faults.add(f"tasks.{entry.name}.split", str(entry.split), f"{card.split}: its own configuration decides what is evaluated")
    elif entry.split is not None and entry.split not in card.splits:
        faults.add(f"tasks.{entry.name}.split", entry.split, f"one of {', '.join(card.splits)}")
    others = [split for split in card.splits if split != (entry.split or card.split)]
    if entry.exemplar_split is not None and entry.exemplar_split not in others:
        allowed = f"another split than the evaluated one: {', '.join(others) or 'there is none'}"
        faults.add(f"tasks.{entry.name}.exemplar_split", entry.exemplar_split, allowed)


def check_analysis(faults: Faults, study: Study) -> None:
    """Everything that the analysis names is in the study."""
    _check_primary(faults, study)
    _check_secondary(faults, study)
    _check_pooled(faults, study)
    _check_ladder(faults, study)


def _check_primary(faults: Faults, study: Study) -> None:
    primary = study.analysis.primary
    for key, value, entries in (
        ("strategy", primary.strategy, study.strategies),
        ("perturbation", primary.perturbation, study.perturbations),
    ):
        labels = [entry.label for entry in entries]
        if value is not None and value not in labels:
            faults.add(f"analysis.primary.{key}", value, f"not in this study; {nearest(value, labels)}")


def _check_secondary(faults: Faults, study: Study) -> None:
    """The cells of the secondary family are cells of the study, none of them the primary one, each named once."""
    primary, secondary = study.analysis.primary, study.analysis.secondary
    if secondary is None:
        return
    if not secondary.strategies and not secondary.perturbations:
        faults.add("analysis.secondary", "", "at least one strategy or perturbation beside the primary ones, or no such key")
    for key, names, entries, own in (
        ("strategies", secondary.strategies, study.strategies, primary.strategy or study.strategies[0].label),
        ("perturbations", secondary.perturbations, study.perturbations, primary.perturbation),
    ):
        labels = [entry.label for entry in entries]
        for name in dict.fromkeys(names):
            if name not in labels:
                faults.add(f"analysis.secondary.{key}", name, f"not in this study; {nearest(name, labels)}")
            elif name == own:
                faults.add(f"analysis.secondary.{key}", name, "that is the primary cell itself; name others")
            elif names.count(name) > 1:
                faults.add(f"analysis.secondary.{key}", name, "each name once")


def _check_pooled(faults: Faults, study: Study) -> None:
    """The tasks of the mean over tasks are tasks of the study, each named once."""
    named, known = study.analysis.pooled_tasks or (), [entry.name for entry in study.tasks]
    for name in dict.fromkeys(named):
        if name not in known:
            faults.add("analysis.pooled_tasks", name, f"not in this study; {nearest(name, known)}")
        elif named.count(name) > 1:
            faults.add("analysis.pooled_tasks", name, "each name once")


def _check_ladder(faults: Faults, study: Study) -> None:
    """The rungs of the ladder, and its last rung without one part each, are strategies of the study, each named once."""
    known = [entry.label for entry in study.strategies]
    for key, named in (("ladder", study.ladder), ("leave_one_out", study.leave_one_out)):
        for name in dict.fromkeys(named):
            if name not in known:
                faults.add(key, name, f"not in this study; {nearest(name, known)}")
            elif named.count(name) > 1:
                faults.add(key, name, "each name once")
    if len(study.ladder) == 1:
        faults.add("ladder", study.ladder[0], "at least two strategies, each with one part more than the one before")
    if study.leave_one_out and not study.ladder:
        faults.add("leave_one_out", ", ".join(study.leave_one_out), "needs a `ladder`: each is its last rung without one part")
    for name in study.leave_one_out:
        if study.ladder and name == study.ladder[-1]:
            faults.add("leave_one_out", name, "that is the whole of the ladder, its last rung; name what lacks one part of it")


def check_fit(
    faults: Faults,
    study: Study,
    chosen: Selection,
    built: Mapping[str, Strategy],
    registry: Mapping[str, ModelEntry],
    tasks: Mapping[str, Task],
) -> None:
    """Engine, strategies and the sampling options go with the models and tasks that they would meet."""
    lettered: set[str] = set()
    own = [name for name in study.models if name in registry]
    names = list(dict.fromkeys((*own, *lenders_of(built))))
    if study.engine.name == "stub" and not all(registry[name].is_stub or registry[name].endpoint for name in names):
        faults.add("engine.name", "stub", "answers only for models whose path is `stub:<behaviour>`")
    if study.engine.name == "openai" and not all(registry[name].endpoint for name in names):
        faults.add("engine.name", "openai", "answers only for models with an `endpoint:`, which need no mention of it here")
    for entry in study.tasks:
        if chosen.tasks is not None and entry.name not in chosen.tasks:
            continue
        card = tasks[entry.name].card
        for label, strategy in built.items():
            try:
                letters = strategy.form_for(card) != "native" and "next" in strategy.kinds_for(card)
            except ValueError as error:
                faults.add(f"strategies.{label}", "", f"does not fit task {entry.name}: {error}")
                continue
            # Who chooses a prompt is asked as it will be; who lends reasoning only writes.
            lettered.update((*own, *((strategy.lender,) if strategy.trial and strategy.lender else ())) if letters else ())
            if wants_pool(strategy, card) and pool_split(card, entry.split or card.split, entry.exemplar_split) is None:
                faults.add(f"strategies.{label}", "", f"needs exemplars, and task {entry.name} has no exemplar split")
    for name in names:
        fault = check_letters(registry[name].chat, name) if name in lettered else None
        if fault is not None:
            faults.found.append(fault)


def check_trials(faults: Faults, study: Study, chosen: Selection, built: Mapping[str, Strategy], tasks: Mapping[str, Task]) -> None:
    """Prompts are chosen on a split that the task has and that is not evaluated."""
    for entry in study.tasks:
        if tasks[entry.name].foreign is not None or (chosen.tasks is not None and entry.name not in chosen.tasks):
            continue
        card, split = tasks[entry.name].card, entry.split or tasks[entry.name].card.split
        others = ", ".join(name for name in card.splits if name != split) or "none"
        for label, strategy in built.items():
            trial = strategy.trial
            if trial is None or validation_split(card, split, trial.split) is not None:
                continue
            key = f"strategies.{label}.validation"
            if trial.split is None:
                faults.add(key, "", f"to be named: task {entry.name} has no split called {', '.join(VALIDATION)} beside the evaluated "
                                    f"{split}; its others: {others}")  # fmt: skip
            elif trial.split == split:
                faults.add(key, split, f"that is the evaluated split of {entry.name}; its others: {others}")
            else:
                faults.add(key, trial.split, f"no such split of {entry.name}; its others: {others}")


def check_validation(faults: Faults, built: Mapping[str, Strategy], planned: Mapping[str, PlannedTask]) -> None:
    """There is something to choose prompts on, and exemplars for each of its questions, which is never its own exemplar."""
    for label, strategy in built.items():
        trial = strategy.trial
        if trial is None:
            continue
        for name, task in planned.items():
            split = validation_split(task.task.card, task.split, trial.split)
            if split is None or split not in task.validation:
                continue
            key, groups = f"strategies.{label}.validation", {sample.group for sample in task.pool}
            if not task.validation[split]:
                allowed = f"holds no question of {name} that is not evaluated too or an exemplar (groups and questions count); another one"
                faults.add(key, split, allowed)
            elif len(groups) == strategy.n_shots and any(sample.group in groups for sample in task.validation[split]):
                allowed = f"holds exemplars of {name}, of which there are {len(groups)} groups: one more than `shots` are needed"
                faults.add(key, split, allowed)


def lenders_of(built: Mapping[str, Strategy]) -> tuple[str, ...]:
    """Models that prepare a strategy for all models, in the order named."""
    return tuple(dict.fromkeys(strategy.lender for strategy in built.values() if strategy.lender is not None))


def check_lenders(faults: Faults, built: Mapping[str, Strategy], registry: Mapping[str, ModelEntry]) -> None:
    """Models that prepare for all models are known, in the study or not."""
    for label, strategy in built.items():
        if strategy.lender is not None and strategy.lender not in registry:
            key = f"strategies.{label}.{'prompt_from' if strategy.trial is not None else 'cot_from'}"
            faults.add(key, strategy.lender, f"no such model; {nearest(strategy.lender, registry)}")


def check_embedders(faults: Faults, study: Study) -> None:
    """What makes texts comparable is known and here; a study that is scored again needs it no more to find exemplars."""
    for number, entry in enumerate(study.strategies):
        for key in ("embedder", "utility"):
            name = entry.options.get(key)
            if not isinstance(name, str) or (key == "utility" and not name.startswith(SENTENCES)):
                continue
            wrong = check_embedder(name, Path(faults.file).parent)
            if wrong is not None:
                faults.add(f"strategies.{number}.{key}", name, wrong)


def check_kinds(
    faults: Faults,
    models: Mapping[str, PlannedModel],
    lenders: Mapping[str, PlannedModel],
    built: Mapping[str, Strategy],
    cards: Sequence[TaskCard],
) -> None:
    """Every strategy finds an engine that can answer what it asks (DESIGN 2.3); who only lends is asked for what it lends alone."""
    for name, model in {**lenders, **models}.items():
        able = kinds_of(model.settings.name, model.checkpoint.path, model.settings)
        advice = "; a server gives text only, so use format: generate" if model.checkpoint.served and able == {"generate"} else ""
        for label, strategy in built.items():
            if name not in models and strategy.lender != name:
                continue
            lacking = sorted({kind for card in cards for kind in _kinds(strategy, card, lends=name not in models)} - able)
            if lacking:
                allowed = f"asks {', '.join(lacking)}, which engine {model.settings.name} cannot answer{advice}"
                faults.add(f"strategies.{label}", name, allowed)


def _kinds(strategy: Strategy, card: TaskCard, *, lends: bool) -> frozenset[Kind]:
    """Request kinds of a strategy; of one that lends the reasoning of exemplars, only text."""
    own = strategy.kinds_for(card)
    return frozenset({"generate"}) if lends and strategy.trial is None else own


def check_unseal(faults: Faults, study: Study, chosen: Selection) -> None:
    """What is to be unsealed was sealed, and is opened as a whole: a part of it would leave the rest neither seen nor unseen."""
    if chosen.unseal and study.holdout is None:
        faults.add("holdout", "", "is not set, so that nothing is sealed and --unseal has nothing to open")
    for option, value in (("--limit", chosen.limit), ("--shard", chosen.shard)):
        if chosen.unseal and value is not None:
            shown = str(value) if isinstance(value, int) else "/".join(map(str, value))
            allowed = "not with --unseal, which opens the whole sealed part at once"
            faults.found.append(Fault(file="command line", key=option, value=shown, allowed=allowed))


def check_holdout(faults: Faults, study: Study, planned: Mapping[str, PlannedTask]) -> None:
    """The sealed share leaves groups on either side of every task."""
    for name, task in planned.items() if study.holdout is not None else ():
        n_groups, (_, n_sealed) = len({sample.group for sample in task.data.samples}), task.n_sealed
        if n_sealed in (0, n_groups):
            allowed = f"seals {n_sealed} of the {n_groups} groups of {name}, and there must be some on either side: another share or seed"
            faults.add("holdout", str(study.holdout), allowed)


def check_samples(faults: Faults, planned: Mapping[str, PlannedTask]) -> None:
    """Every task has samples left."""
    for name, task in planned.items():
        if not task.samples:
            faults.add("tasks", name, "no samples are left (excluded, limited or sharded away)")


def check_metrics(faults: Faults, planned: Mapping[str, PlannedTask]) -> None:
    """One name is one metric throughout a study: a direction or bounds that differ would turn verdicts around."""
    seen: dict[str, tuple[str, tuple[object, ...]]] = {}
    for name, task in planned.items():
        for metric in metrics_of(task.task).values():
            nature = (metric.higher_is_better, metric.worst, metric.best, metric.binary)
            first, known = seen.setdefault(metric.name, (name, nature))
            if known != nature:
                faults.add("tasks", name, f"its {metric.name} has another direction or other bounds than that of {first}: two studies")


def check_exclusions(faults: Faults, study: Study, planned: Mapping[str, PlannedTask]) -> None:
    """What the study excludes by name is there."""
    for item in study.exclude:
        if item.task not in {entry.name for entry in study.tasks}:
            faults.add("exclude", item.task, "not a task of this study")
            continue
        task = planned.get(item.task)
        if task is not None and item.sample_id not in {sample.id for sample in task.data.samples}:
            faults.add("exclude", item.sample_id, f"no such sample in task {item.task}")


def wants_pool(strategy: Strategy, card: TaskCard) -> bool:
    """Whether exemplars of our own drawing are needed; a task of another framework draws its own for its own prompts."""
    return strategy.n_shots > 0 and strategy.form_for(card) != "native"


def check_pools(faults: Faults, built: Mapping[str, Strategy], planned: Mapping[str, PlannedTask]) -> None:
    """Tasks that need exemplars have enough of them."""
    for label, strategy in built.items():
        for name, task in planned.items():
            n_groups = len({sample.group for sample in task.pool})
            if wants_pool(strategy, task.task.card) and n_groups < strategy.n_shots:
                faults.add(
                    f"strategies.{label}.shots",
                    str(strategy.n_shots),
                    f"the exemplar pool of {name} holds {n_groups} groups (those of the evaluated split left out)",
                )
