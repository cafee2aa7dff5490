"""From a study file to a plan: finds every fault that needs no loaded model, and raises all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evalsuite import strategies
from evalsuite.collection import seldom_collected
from evalsuite.config import EngineEntry, PluginEntry, Study, TaskEntry, faults_of, load_study
from evalsuite.data import LoadedSplit, load_split, pool_without
from evalsuite.engines import check_settings
from evalsuite.errors import nearest
from evalsuite.models import ModelEntry, default_pairs, find_checkpoint, load_registry
from evalsuite.needs import check_needs, unmet_needs
from evalsuite.overlap import without_repeats, without_twins
from evalsuite.perturbations.base import Perturb, PerturbationSpec
from evalsuite.perturbations.found import perturbation_specs
from evalsuite.plan import (
    Plan,
    PlannedModel,
    PlannedTask,
    Refused,
    Selection,
    analysis_statement,
    limited,
    sharded,
    variants_of,
)
from evalsuite.plugins import load_specs
from evalsuite.seals import sealed_groups
from evalsuite.serving import restricted_to_hosts, settings_for
from evalsuite.strategies.base import Strategy
from evalsuite.study_checks import (
    Faults,
    check_analysis,
    check_embedders,
    check_exclusions,
    check_fit,
    check_holdout,
    check_kinds,
    check_lenders,
    check_metrics,
    check_names,
    check_pools,
    check_samples,
    check_trials,
    check_unseal,
    check_validation,
    lenders_of,
    wants_pool,
)
from evalsuite.task_sources import expand
from evalsuite.tasks import Task, TaskCard, find_tasks, pool_split, validation_split
from evalsuite.types import Need, Sample, Tell, untold


@seldom_collected()
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
    check_unseal(faults, study, chosen)
    built_strategies = _build(faults, "strategies", study.strategies, load_specs(strategies))
    specs = perturbation_specs()
    built_perturbations: Mapping[str, Perturb] = _build(faults, "perturbations", study.perturbations, specs)
    check_analysis(faults, study)
    check_lenders(faults, built_strategies, registry)
    faults.settle()
    check_fit(faults, study, chosen, built_strategies, registry, tasks)
    check_trials(faults, study, chosen, built_strategies, tasks)
    faults.settle()
    unmet = _unmet(faults, study, built_strategies, specs, _cards(study, chosen, tasks))
    if recorded is None:
        check_embedders(faults, study)
        _check_hosts(faults, study, chosen, built_strategies, registry, tasks)
    faults.settle()

    names = [name for name in study.models if chosen.models is None or name in chosen.models]
    entries = [entry for entry in study.tasks if chosen.tasks is None or entry.name in chosen.tasks]
    found_models = _plan_models(faults, study, {name: registry[name] for name in names}, recorded, tell)
    lending = [name for name in lenders_of(built_strategies) if name not in found_models]
    further = _plan_models(faults, study, {name: registry[name] for name in lending}, recorded, tell)
    # What is sealed of a task depends on the tasks that it shares groups with, whichever of them are run.
    splits = _read_splits(faults, study, [(entry, tasks[entry.name]) for entry in (study.tasks if study.holdout else entries)], tell)
    found_tasks = _plan_tasks(faults, study, chosen, [(entry, tasks[entry.name]) for entry in entries], built_strategies, splits)
    faults.settle()
    lenders = {name: model for name, model in {**found_models, **further}.items() if name in lenders_of(built_strategies)}
    _check_planned(faults, study, built_strategies, found_models, further, found_tasks)
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
        variants=_variants(found_tasks, built_perturbations, study.seed, tell),
        statement=_statement(study, all_pairs, tasks),
        lenders=lenders,
        unmet=unmet,
    )


def _statement(study: Study, pairs: Sequence[tuple[str, str]], tasks: Mapping[str, Task]) -> dict[str, Any]:
    metrics = {entry.name: entry.metric or tasks[entry.name].card.metric for entry in study.tasks}
    splits = {entry.name: entry.split or tasks[entry.name].card.split for entry in study.tasks}
    return analysis_statement(study, pairs, metrics=metrics, splits=splits)


def _cards(study: Study, chosen: Selection, tasks: Mapping[str, Task]) -> list[TaskCard]:
    """Cards of the tasks that are run."""
    return [tasks[entry.name].card for entry in study.tasks if chosen.tasks is None or entry.name in chosen.tasks]


def _unmet(
    faults: Faults, study: Study, built: Mapping[str, Strategy], specs: Mapping[str, PerturbationSpec], cards: Sequence[TaskCard]
) -> dict[tuple[str, str, str], frozenset[Need]]:
    """What strategies lack of what perturbations need; names and options are known to be in order."""
    checked = ((entry, specs[entry.name]) for entry in study.perturbations)
    needs = {entry.label: spec.needs(spec.options.model_validate(entry.options)) for entry, spec in checked}
    unmet = unmet_needs(needs, built, cards)
    check_needs(faults, study, unmet, cards)
    return unmet


def _variants(
    planned: Mapping[str, PlannedTask], built: Mapping[str, Perturb], seed: int, tell: Tell
) -> dict[tuple[str, str], tuple[Sample | Refused, ...]]:
    shown = {}
    for name, task in planned.items():
        for number, (label, perturb) in enumerate(built.items(), start=1):
            shown[name, label] = variants_of(task.samples, perturb, seed, label)
            tell(f"perturbing {name}", number, len(built))
    return shown


def _check_hosts(
    faults: Faults,
    study: Study,
    chosen: Selection,
    built: Mapping[str, Strategy],
    registry: Mapping[str, ModelEntry],
    tasks: Mapping[str, Task],
) -> None:
    """Restricted texts go to no host that the study does not name; who lends is asked about questions of the task too."""
    names = [name for name in study.models if chosen.models is None or name in chosen.models]
    own = {name: registry[name] for name in (*names, *lenders_of(built))}
    for host, allowed in restricted_to_hosts(study, own, _cards(study, chosen, tasks)):
        faults.add("engine.send_restricted_to", host, allowed)


def _check_planned(
    faults: Faults,
    study: Study,
    built: Mapping[str, Strategy],
    models: Mapping[str, PlannedModel],
    lenders: Mapping[str, PlannedModel],
    planned: Mapping[str, PlannedTask],
) -> None:
    """What only shows once models and data are found; `lenders` are those that are not among `models`."""
    check_kinds(faults, models, lenders, built, [task.task.card for task in planned.values()])
    check_holdout(faults, study, planned)
    check_samples(faults, planned)
    check_exclusions(faults, study, planned)
    check_metrics(faults, planned)
    check_pools(faults, built, planned)
    check_validation(faults, built, planned)


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
    splits: Mapping[str, LoadedSplit],
) -> dict[str, PlannedTask]:
    groups = {name: {sample.group for sample in data.samples} for name, data in splits.items()}
    sealed = frozenset[str]() if study.holdout is None else sealed_groups(groups, study.holdout, study.seed)
    planned = {}
    for entry, task in entries:
        if entry.name not in splits:
            continue
        with_pool = any(wants_pool(strategy, task.card) for strategy in built.values())
        found = faults.attempt(partial(_plan_task, entry, task, splits[entry.name], study, chosen, with_pool, sealed))
        if found is not None:
            planned[entry.name] = faults.attempt(partial(_with_validation, found, study, built)) or found
    return planned


def _with_validation(planned: PlannedTask, study: Study, built: Mapping[str, Strategy]) -> PlannedTask:
    """A task with the splits on which prompts are chosen: nothing of the evaluated split, whatever the limit, nor what the pool repeats."""
    card, data = planned.task.card, planned.data.samples
    named = [validation_split(card, planned.split, strategy.trial.split) for strategy in built.values() if strategy.trial is not None]
    evaluated = {sample.group for sample in data} | planned.sealed
    found = {}
    for split in dict.fromkeys(name for name in named if name is not None):
        samples = without_repeats(pool_without(load_split(planned.task, split, study.data).samples, evaluated), data)
        # Those that would be shown their own answer go; the pool stays, since it is what is tried.
        found[split] = without_twins(samples, planned.pool)
    return replace(planned, validation=found)


def _read_splits(faults: Faults, study: Study, entries: Sequence[tuple[TaskEntry, Task]], tell: Tell) -> dict[str, LoadedSplit]:
    """The evaluated splits that can be read, by task."""
    splits = {}
    for number, (entry, task) in enumerate(entries, start=1):
        data = faults.attempt(partial(load_split, task, entry.split or task.card.split, study.data))
        if data is not None:
            splits[entry.name] = data
        tell("reading data", number, len(entries))
    return splits


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


def _plan_task(
    entry: TaskEntry, task: Task, data: LoadedSplit, study: Study, chosen: Selection, with_pool: bool, sealed: frozenset[str]
) -> PlannedTask:
    card = task.card
    split = entry.split or card.split
    # Sealed before it is limited: what is sealed must not change with --limit.
    part = [sample for sample in data.samples if (sample.group in sealed) == chosen.unseal]
    other = {sample.id for sample in data.samples} - {sample.id for sample in part}
    # Limited first: an exclusion must not bring in samples that would not have been asked.
    excluded = {item.sample_id: item.reason for item in study.exclude if item.task == entry.name and item.sample_id not in other}
    limits = [limit for limit in (entry.limit, chosen.limit) if limit is not None]
    chosen_samples = sharded(limited(part, min(limits, default=None), study.seed), chosen.shard)
    pool: tuple[Sample, ...] = ()
    n_pool_duplicates = 0
    exemplar_split = pool_split(card, split, entry.exemplar_split) if with_pool else None
    if exemplar_split is not None:
        exemplars = load_split(task, exemplar_split, study.data)
        # Of the whole split, not of the limited one: exemplars must not change with --limit.
        of_other_groups = pool_without(exemplars.samples, {sample.group for sample in data.samples} | sealed)
        pool = without_repeats(of_other_groups, data.samples)
        n_pool_duplicates = len(of_other_groups) - len(pool)
    return PlannedTask(
        task=task,
        split=split,
        metric=entry.metric or card.metric,
        data=data,
        samples=tuple(sample for sample in chosen_samples if sample.id not in excluded),
        excluded=excluded,
        pool=pool,
        n_pool_duplicates=n_pool_duplicates,
        sealed=sealed,
    )
