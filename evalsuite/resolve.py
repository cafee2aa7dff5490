"""From a study file to a plan: finds every fault that needs no loaded model, and raises all of them together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from evalsuite import perturbations, strategies
from evalsuite.cards import metrics_of
from evalsuite.config import EngineEntry, PluginEntry, Study, TaskEntry, faults_of, load_study
from evalsuite.data import load_split, pool_without
from evalsuite.engines import ENGINES, check_settings, kinds_of
from evalsuite.errors import Fault, UserError, nearest
from evalsuite.models import ModelEntry, default_pairs, find_checkpoint, load_registry
from evalsuite.perturbations.base import Perturb
from evalsuite.plan import (
    Plan,
    PlannedModel,
    PlannedTask,
    Selection,
    analysis_statement,
    limited,
    sharded,
    variants_of,
)
from evalsuite.plugins import load_specs
from evalsuite.prompts import check_letters
from evalsuite.serving import restricted_to_hosts, settings_for
from evalsuite.strategies.base import Strategy
from evalsuite.task_sources import expand
from evalsuite.tasks import Task, TaskCard, find_tasks, pool_split
from evalsuite.types import Sample, Tell, untold

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Faults:
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


def resolve(
    file: str | Path,
    selection: Selection | None = None,
    recorded: Mapping[str, PlannedModel] | None = None,
    tell: Tell = untold,
) -> Plan:
    """Resolve a study file, without loading a model.

    Args:
        file: path of study.yaml.
        selection: what the command line narrows the study to.
        recorded: models as they were when the study ran; they are then looked up nowhere else, and need not be here.
        tell: told of progress.

    Raises:
        UserError: all faults of names and options together; failing none of those, all of data and checkpoints together.
    """
    study, chosen = load_study(file), selection or Selection()
    faults = _Faults(str(file))
    registry = load_registry() if recorded is None else {name: model.entry for name, model in recorded.items()}
    expanded = expand(study.tasks, study.include_path)
    study = study.model_copy(update={"tasks": expanded.entries})
    tasks = {**find_tasks(), **expanded.tasks}
    study = _with_engine(study, chosen)
    _check_names(faults, study, chosen, registry, tasks)
    built_strategies = _build(faults, "strategies", study.strategies, load_specs(strategies))
    built_perturbations: Mapping[str, Perturb] = _build(faults, "perturbations", study.perturbations, load_specs(perturbations))
    _check_primary(faults, study)
    faults.settle()
    _check_fit(faults, study, chosen, built_strategies, registry, tasks)
    if recorded is None:
        own = {name: registry[name] for name in study.models if chosen.models is None or name in chosen.models}
        cards = [tasks[entry.name].card for entry in study.tasks if chosen.tasks is None or entry.name in chosen.tasks]
        for host, allowed in restricted_to_hosts(study, own, cards):
            faults.add("engine.send_restricted_to", host, allowed)
    faults.settle()

    names = [name for name in study.models if chosen.models is None or name in chosen.models]
    entries = [entry for entry in study.tasks if chosen.tasks is None or entry.name in chosen.tasks]
    found_models = _plan_models(faults, study, {name: registry[name] for name in names}, recorded, tell)
    found_tasks = _plan_tasks(faults, study, chosen, [(entry, tasks[entry.name]) for entry in entries], built_strategies, tell)
    faults.settle()
    _check_kinds(faults, found_models, built_strategies, [task.task.card for task in found_tasks.values()])
    _check_samples(faults, found_tasks)
    _check_exclusions(faults, study, found_tasks)
    _check_metrics(faults, found_tasks)
    _check_pools(faults, built_strategies, found_tasks)
    faults.settle()
    all_pairs = study.pairs if study.pairs is not None else default_pairs(registry, study.models)
    return Plan(
        study=study,
        file=Path(file),
        selection=chosen,
        models=found_models,
        pairs=tuple((a, b) for a, b in all_pairs if a in found_models and b in found_models),
        tasks=found_tasks,
        strategies=built_strategies,
        perturbations=built_perturbations,
        variants={
            (task, perturbation): variants_of(planned.samples, perturb, study.seed)
            for task, planned in found_tasks.items()
            for perturbation, perturb in built_perturbations.items()
        },
        statement=analysis_statement(
            study,
            all_pairs,
            metrics={entry.name: entry.metric or tasks[entry.name].card.metric for entry in study.tasks},
            splits={entry.name: entry.split or tasks[entry.name].card.split for entry in study.tasks},
        ),
    )


def _plan_models(
    faults: _Faults, study: Study, entries: Mapping[str, ModelEntry], recorded: Mapping[str, PlannedModel] | None, tell: Tell
) -> dict[str, PlannedModel]:
    if recorded is not None:
        return {name: recorded[name] for name in entries}
    planned = {}
    for name, entry in entries.items():
        model = faults.attempt(partial(_plan_model, name, entry, study, tell))
        if model is None:
            continue
        planned[name] = model
        for fault in check_settings(model.checkpoint.path, model.settings):
            # The engine does not know whose setting it was given.
            ours = fault.file == "engine"
            faults.found.append(replace(fault, file=faults.file, key=f"engine.{fault.key}") if ours else fault)
    return planned


def _plan_tasks(
    faults: _Faults,
    study: Study,
    chosen: Selection,
    entries: Sequence[tuple[TaskEntry, Task]],
    built: Mapping[str, Strategy],
    tell: Tell,
) -> dict[str, PlannedTask]:
    planned = {}
    for number, (entry, task) in enumerate(entries, start=1):
        with_pool = any(wants_pool(strategy, task.card) for strategy in built.values())
        found = faults.attempt(partial(_plan_task, entry, task, study, chosen, with_pool))
        if found is not None:
            planned[entry.name] = found
        tell("reading data", number, len(entries))
    return planned


def _with_engine(study: Study, chosen: Selection) -> Study:
    if chosen.engine is None or chosen.engine == study.engine.name:
        return study
    # The study's further options belong to the engine that it names.
    was = study.engine
    entry = EngineEntry(name=chosen.engine, dtype=was.dtype, device=was.device, send_restricted_to=was.send_restricted_to)
    return study.model_copy(update={"engine": entry})


def _check_names(faults: _Faults, study: Study, chosen: Selection, registry: Mapping[str, ModelEntry], tasks: Mapping[str, Task]) -> None:
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


def _check_task_entry(faults: _Faults, entry: TaskEntry, tasks: Mapping[str, Task]) -> None:
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


def _build(faults: _Faults, key: str, entries: Iterable[PluginEntry], specs: Mapping[str, Any]) -> dict[str, Any]:
    built = {}
    for number, entry in enumerate(entries):
        spec = specs.get(entry.name)
        if spec is None:
            faults.add(key, entry.name, f"not among the {key}; {nearest(entry.name, specs)}")
            continue
        try:
            options = spec.options.model_validate(entry.options)
        except ValidationError as error:
            faults.found.extend(faults_of(error, Path(faults.file), prefix=f"{key}.{number}"))
            continue
        built[entry.label] = spec.build(options)
    return built


def _check_primary(faults: _Faults, study: Study) -> None:
    primary = study.analysis.primary
    for key, value, entries in (
        ("strategy", primary.strategy, study.strategies),
        ("perturbation", primary.perturbation, study.perturbations),
    ):
        labels = [entry.label for entry in entries]
        if value is not None and value not in labels:
            faults.add(f"analysis.primary.{key}", value, f"not in this study; {nearest(value, labels)}")


def _check_fit(
    faults: _Faults,
    study: Study,
    chosen: Selection,
    built: Mapping[str, Strategy],
    registry: Mapping[str, ModelEntry],
    tasks: Mapping[str, Task],
) -> None:
    letters = False
    names = [name for name in study.models if name in registry]
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
                letters = letters or strategy.form_for(card) == "letters"
            except ValueError as error:
                faults.add(f"strategies.{label}", "", f"does not fit task {entry.name}: {error}")
                continue
            if wants_pool(strategy, card) and pool_split(card, entry.split or card.split) is None:
                faults.add(f"strategies.{label}", "", f"needs exemplars, and task {entry.name} has no exemplar split")
    for name in names:
        fault = check_letters(registry[name].chat, name) if letters else None
        if fault is not None:
            faults.found.append(fault)


def _plan_model(name: str, entry: ModelEntry, study: Study, tell: Tell) -> PlannedModel:
    checkpoint = find_checkpoint(name, entry, tell=tell)
    return PlannedModel(name=name, entry=entry, checkpoint=checkpoint, settings=settings_for(study, entry, checkpoint))


def _plan_task(entry: TaskEntry, task: Task, study: Study, chosen: Selection, with_pool: bool) -> PlannedTask:
    card = task.card
    split = entry.split or card.split
    data = load_split(task, split, study.data)
    # Limited first: an exclusion must not bring in samples that would not have been asked.
    excluded = {item.sample_id: item.reason for item in study.exclude if item.task == entry.name}
    limits = [limit for limit in (entry.limit, chosen.limit) if limit is not None]
    chosen_samples = sharded(limited(data.samples, min(limits, default=None), study.seed), chosen.shard)
    pool: tuple[Sample, ...] = ()
    exemplar_split = pool_split(card, split) if with_pool else None
    if exemplar_split is not None:
        exemplars = load_split(task, exemplar_split, study.data)
        # Groups of the whole split, not of the limited one: exemplars must not change with --limit.
        pool = pool_without(exemplars.samples, {sample.group for sample in data.samples})
    return PlannedTask(
        task=task,
        split=split,
        metric=entry.metric or card.metric,
        data=data,
        samples=tuple(sample for sample in chosen_samples if sample.id not in excluded),
        excluded=excluded,
        pool=pool,
    )


def _check_kinds(faults: _Faults, models: Mapping[str, PlannedModel], built: Mapping[str, Strategy], cards: Sequence[TaskCard]) -> None:
    """Every strategy finds an engine that can answer what it asks (DESIGN 2.3)."""
    for name, model in models.items():
        able = kinds_of(model.settings.name, model.checkpoint.path, model.settings)
        advice = "; a server gives text only, so use format: generate" if model.checkpoint.served and able == {"generate"} else ""
        for label, strategy in built.items():
            lacking = sorted({kind for card in cards for kind in strategy.kinds_for(card)} - able)
            if lacking:
                allowed = f"asks {', '.join(lacking)}, which engine {model.settings.name} cannot answer{advice}"
                faults.add(f"strategies.{label}", name, allowed)


def _check_samples(faults: _Faults, planned: Mapping[str, PlannedTask]) -> None:
    for name, task in planned.items():
        if not task.samples:
            faults.add("tasks", name, "no samples are left (excluded, limited or sharded away)")


def _check_metrics(faults: _Faults, planned: Mapping[str, PlannedTask]) -> None:
    """One name is one metric throughout a study: a direction or bounds that differ would turn verdicts around."""
    seen: dict[str, tuple[str, tuple[object, ...]]] = {}
    for name, task in planned.items():
        for metric in metrics_of(task.task).values():
            nature = (metric.higher_is_better, metric.worst, metric.best, metric.binary)
            first, known = seen.setdefault(metric.name, (name, nature))
            if known != nature:
                faults.add("tasks", name, f"its {metric.name} has another direction or other bounds than that of {first}: two studies")


def _check_exclusions(faults: _Faults, study: Study, planned: Mapping[str, PlannedTask]) -> None:
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


def _check_pools(faults: _Faults, built: Mapping[str, Strategy], planned: Mapping[str, PlannedTask]) -> None:
    for label, strategy in built.items():
        for name, task in planned.items():
            n_groups = len({sample.group for sample in task.pool})
            if wants_pool(strategy, task.task.card) and n_groups < strategy.n_shots:
                faults.add(
                    f"strategies.{label}.shots",
                    str(strategy.n_shots),
                    f"the exemplar pool of {name} holds {n_groups} groups (those of the evaluated split left out)",
                )
