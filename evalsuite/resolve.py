"""From a study file to a plan: finds every fault that needs no loaded model, and raises all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evalsuite import perturbations, strategies
from evalsuite.config import EngineEntry, PluginEntry, Study, TaskEntry, faults_of, load_study
from evalsuite.data import load_split, pool_without
from evalsuite.engines import check_settings
from evalsuite.errors import nearest
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
from evalsuite.serving import restricted_to_hosts, settings_for
from evalsuite.strategies.base import Strategy
from evalsuite.study_checks import (
    Faults,
    check_analysis,
    check_exclusions,
    check_fit,
    check_kinds,
    check_metrics,
    check_names,
    check_pools,
    check_samples,
    wants_pool,
)
from evalsuite.task_sources import expand
from evalsuite.tasks import Task, find_tasks, pool_split
from evalsuite.types import Sample, Tell, untold


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
    faults = Faults(str(file))
    registry = load_registry() if recorded is None else {name: model.entry for name, model in recorded.items()}
    expanded = expand(study.tasks, study.include_path)
    study = study.model_copy(update={"tasks": expanded.entries})
    tasks = {**find_tasks(), **expanded.tasks}
    study = _with_engine(study, chosen)
    check_names(faults, study, chosen, registry, tasks)
    built_strategies = _build(faults, "strategies", study.strategies, load_specs(strategies))
    built_perturbations: Mapping[str, Perturb] = _build(faults, "perturbations", study.perturbations, load_specs(perturbations))
    check_analysis(faults, study)
    faults.settle()
    check_fit(faults, study, chosen, built_strategies, registry, tasks)
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
    check_kinds(faults, found_models, built_strategies, [task.task.card for task in found_tasks.values()])
    check_samples(faults, found_tasks)
    check_exclusions(faults, study, found_tasks)
    check_metrics(faults, found_tasks)
    check_pools(faults, built_strategies, found_tasks)
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
    faults: Faults, study: Study, entries: Mapping[str, ModelEntry], recorded: Mapping[str, PlannedModel] | None, tell: Tell
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
    faults: Faults,
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


def _build(faults: Faults, key: str, entries: Iterable[PluginEntry], specs: Mapping[str, Any]) -> dict[str, Any]:
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
