"""The plan: a study resolved into models, data, strategies and cells; pure but for reading files.

`resolve` finds every fault that can be found without loading a model and raises them together. What it returns holds
all that a run, a re-scoring or a report needs; nothing later looks a name up again.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from evalsuite.config import SHOWN_ONLY, Exclusion, PluginEntry, Secondary, Study
from evalsuite.data import LoadedSplit, content_hash
from evalsuite.engines.base import EngineSettings
from evalsuite.errors import Fault, UserError
from evalsuite.models import Checkpoint, ModelEntry
from evalsuite.perturbations.base import Perturb, Refusal
from evalsuite.perturbations.renditions import broken_promise
from evalsuite.seeds import derive_seed
from evalsuite.store import Identity
from evalsuite.strategies.base import Strategy
from evalsuite.tasks import Task, validation_split
from evalsuite.types import Cell, Need, Request, Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What the command line narrows a study to; never part of the pre-stated analysis."""

    models: tuple[str, ...] | None = None
    """Only these models; None: all."""
    tasks: tuple[str, ...] | None = None
    """Only these tasks; None: all."""
    limit: int | None = None
    """Most samples per task, as whole groups; None: all."""
    engine: str | None = None
    """Another engine than the study's."""
    shard: tuple[int, int] | None = None
    """(i, n): only the i-th (1-based) of n parts of the groups."""
    unseal: bool = False
    """True: the sealed part of the tasks, and nothing but it."""

    def as_json(self) -> dict[str, Any]:
        """As it is recorded; `unseal` only where it is set, so that records of studies without a sealed part stay as they are."""
        return {key: value for key, value in asdict(self).items() if key != "unseal" or value}


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedModel:
    """A model of the study with its files found."""

    name: str
    """Registry name."""
    entry: ModelEntry
    """Registry entry."""
    checkpoint: Checkpoint
    """Where its files lie, and their fingerprint."""
    settings: EngineSettings
    """How it will be loaded, nothing left `auto`."""

    @property
    def identity(self) -> Identity:
        """Who answers, as part of request keys."""
        return Identity(
            fingerprint=self.checkpoint.fingerprint,
            engine=self.settings.name,
            dtype=self.settings.dtype,
            quantisation=self.settings.quantisation,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedTask:
    """A task of the study with its samples read."""

    task: Task
    """The plugin."""
    split: str
    """The evaluated split."""
    metric: str
    """Metric of the comparison."""
    data: LoadedSplit
    """The split as read, whole."""
    samples: tuple[Sample, ...]
    """Samples that this run asks: limited, sharded, without the study's exclusions."""
    excluded: Mapping[str, str]
    """Sample id to reason, of the study's exclusions in this task."""
    pool: tuple[Sample, ...]
    """Exemplar pool, none of whose groups or questions is in the evaluated split; empty if no strategy wants it."""
    n_pool_duplicates: int = 0
    """Samples of other groups that the pool lacks because an evaluated question says the same (`overlap.near_identical`)."""
    sealed: frozenset[str] = frozenset()
    """Groups that are sealed in every task of the study; empty without a holdout."""
    validation: Mapping[str, tuple[Sample, ...]] = field(default_factory=dict)
    """Splits on which prompts are chosen, by name, without groups and questions of the evaluated split; empty if nothing is chosen."""

    @property
    def validation_split(self) -> str | None:
        """The split on which prompts are chosen where the study names none; None: the task has none."""
        return validation_split(self.task.card, self.split, None)

    @property
    def name(self) -> str:
        """Task name."""
        return self.task.card.name

    @property
    def n_sealed(self) -> tuple[int, int]:
        """Samples and groups of the split that are sealed."""
        groups = [sample.group for sample in self.data.samples if sample.group in self.sealed]
        return len(groups), len(set(groups))


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """A sample to which a perturbation does not apply."""

    sample: Sample
    """The sample as it is."""
    reason: str
    """Why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One variant of one sample in one cell."""

    cell: Cell
    """The condition."""
    sample: Sample
    """The sample as shown."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A resolved study."""

    study: Study
    """The study as written, defaults filled in."""
    file: Path
    """Where it was written."""
    selection: Selection
    """What the command line narrowed it to."""
    models: Mapping[str, PlannedModel]
    """By name, in the study's order."""
    pairs: tuple[tuple[str, str], ...]
    """(a, b) among the selected models."""
    tasks: Mapping[str, PlannedTask]
    """By name, in the study's order."""
    strategies: Mapping[str, Strategy]
    """By id, in the study's order."""
    perturbations: Mapping[str, Perturb]
    """By id, in the study's order."""
    variants: Mapping[tuple[str, str], tuple[Sample | Refused, ...]]
    """(task, perturbation) to what is shown, in the samples' order."""
    statement: Mapping[str, Any]
    """The pre-stated analysis, JSON-ready; independent of the selection."""
    unmet: Mapping[tuple[str, str, str], frozenset[Need]] = field(default_factory=dict)
    """(task, strategy, perturbation) of cells that are left out, since the strategy lacks what the perturbation needs: what it lacks."""
    lenders: Mapping[str, PlannedModel] = field(default_factory=dict)
    """Models that prepare a strategy for all models, by name; among `models` or not."""

    def cells(self, model: str) -> Iterator[Cell]:
        """All cells of a model, in a fixed order."""
        for task in self.tasks:
            for strategy in self.strategies:
                for perturbation in self.perturbations:
                    if (task, strategy, perturbation) in self.unmet:
                        continue
                    for replicate in range(self.study.replicates):
                        yield Cell(model=model, task=task, strategy=strategy, perturbation=perturbation, replicate=replicate)

    def shown(self, cell: Cell) -> Iterator[Sample | Refused]:
        """What a cell shows, variants of one sample together."""
        return iter(self.variants[cell.task, cell.perturbation])

    @property
    def sealed(self) -> dict[str, tuple[int, int]]:
        """Task to its sealed samples and groups, whichever part is run; none without a holdout."""
        return {} if self.study.holdout is None else {name: task.n_sealed for name, task in self.tasks.items()}

    @property
    def own_exclusions(self) -> tuple[Exclusion, ...]:
        """The study's exclusions; what lies on the other side of a seal is no sample of this run."""
        return tuple(item for item in self.study.exclude if item.task not in self.tasks or item.sample_id in self.tasks[item.task].excluded)

    @property
    def primary_strategy(self) -> str:
        """Strategy id of the primary cell."""
        return self.study.analysis.primary.strategy or next(iter(self.strategies))

    @property
    def n_family(self) -> int:
        """Comparisons of the pre-stated family: pairs times tasks of the whole study, whatever part of it runs."""
        return len(self.statement["pairs"]) * len(self.statement["metrics"])

    @property
    def n_secondary(self) -> int:
        """Comparisons of the pre-stated secondary family: pairs times tasks times its cells; 0 without one."""
        return self.n_family * sum(len(cells) for cells in self.statement.get("secondary", {}).values())

    def as_run(self) -> Study:
        """The study with pairs, splits, metrics and primary strategy spelled out, so that it can be read without the registry."""
        pairs = tuple((str(a), str(b)) for a, b in self.statement["pairs"])
        metrics = self.statement["metrics"]
        tasks = tuple(
            entry.model_copy(
                update={
                    "metric": metrics[entry.name],
                    "split": self.tasks[entry.name].split if entry.name in self.tasks else entry.split,
                }
            )
            for entry in self.study.tasks
        )
        primary = self.study.analysis.primary.model_copy(update={"strategy": self.primary_strategy})
        analysis = self.study.analysis.model_copy(update={"primary": primary})
        return self.study.model_copy(update={"pairs": pairs, "tasks": tasks, "analysis": analysis})

    @cached_property
    def digest(self) -> str:
        """sha256 over everything that decides what is asked and how it is judged, without the file's place."""
        content = {
            "study": self.as_run().model_dump(mode="json", exclude={"data", "include_path", *SHOWN_ONLY}),
            "selection": [
                self.selection.limit,
                self.selection.shard,
                self.selection.engine,
                *(["unseal"] if self.selection.unseal else []),
            ],
            "models": {name: model.checkpoint.fingerprint for name, model in {**self.lenders, **self.models}.items()},
            "tasks": {
                name: [task.split, task.metric, [[sample.id, content_hash(sample)] for sample in task.samples]]
                for name, task in self.tasks.items()
            },
        }
        tried = {
            name: {split: [[sample.id, content_hash(sample)] for sample in samples] for split, samples in task.validation.items()}
            for name, task in self.tasks.items()
            if task.validation
        }
        if tried:
            content["validation"] = tried
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def limited(samples: Sequence[Sample], limit: int | None, seed: int) -> tuple[Sample, ...]:
    """Whole groups in the order of a seeded hash of their names until the limit would be passed; at least one group.

    The order does not depend on the limit, so fewer samples are always a subset of more; nor on the task, so that
    linked tasks keep the same groups (peers take the first rows: field notes P14).

    Args:
        samples: all samples, any order.
        limit: most samples; None keeps all.
        seed: study seed.
    """
    if limit is None or len(samples) <= limit:
        return tuple(samples)
    sizes: dict[str, int] = {}
    for sample in samples:
        sizes[sample.group] = sizes.get(sample.group, 0) + 1
    kept: set[str] = set()
    n_kept = 0
    for group in sorted(sizes, key=lambda name: (derive_seed(seed, "limit", name), name)):
        if kept and n_kept + sizes[group] > limit:
            break
        kept.add(group)
        n_kept += sizes[group]
    return tuple(sample for sample in samples if sample.group in kept)


def sharded(samples: Sequence[Sample], shard: tuple[int, int] | None) -> tuple[Sample, ...]:
    """The samples whose group falls into part i of n; the parts are disjoint and cover everything."""
    if shard is None:
        return tuple(samples)
    number, n_parts = shard
    return tuple(sample for sample in samples if derive_seed(0, "shard", sample.group) % n_parts == number - 1)


def variants_of(samples: Sequence[Sample], perturb: Perturb, seed: int, label: str = "") -> tuple[Sample | Refused, ...]:
    """What a perturbation shows of each sample.

    Raises:
        UserError: it raised, or what it made breaks what renditions promise (`perturbations.renditions`); `label` is what it is called.
    """
    shown: list[Sample | Refused] = []
    for sample in samples:
        try:
            made = perturb(sample, seed)
        except Exception as error:
            # What was raised may hold the sample's text.
            wrong = Fault(file=f"perturbation {label}", key=f"sample {sample.id}", value="", allowed=f"raised {type(error).__name__}")
            raise UserError(wrong) from error
        if (broken := broken_promise(sample, made)) is not None:
            raise UserError(Fault(file=f"perturbation {label}", key=f"sample {sample.id}", value="", allowed=broken))
        if isinstance(made, Refusal):
            shown.append(Refused(sample=sample, reason=made.reason))
        else:
            shown.extend(made)
    return tuple(shown)


def analysis_statement(
    study: Study, pairs: Sequence[tuple[str, str]], metrics: Mapping[str, str], splits: Mapping[str, str]
) -> dict[str, Any]:
    """What is pre-stated, of the whole study whatever part of it runs (DESIGN 2.6).

    Args:
        study: the study.
        pairs: its pairs, defaults resolved.
        metrics: task name to metric of the comparison.
        splits: task name to evaluated split.
    """
    analysis = study.analysis
    strategy = analysis.primary.strategy or study.strategies[0].label
    return {
        "pairs": [list(pair) for pair in pairs],
        "metrics": dict(metrics),
        "tasks": {entry.name: [splits[entry.name], entry.limit] for entry in study.tasks},
        # What the primary cell is, not only what it is called.
        "primary_strategy": _stated(study.strategies, strategy),
        "primary_perturbation": _stated(study.perturbations, analysis.primary.perturbation),
        "decoding": study.decoding.model_dump(mode="json"),
        "prompting": study.prompting.model_dump(mode="json"),
        "replicates": study.replicates,
        "alpha": analysis.alpha,
        "margin": analysis.margin,
        "correction": analysis.correction,
        "missing": analysis.missing,
        "n_resamples": analysis.n_resamples,
        "seed": study.seed,
        "exclude": [[entry.task, entry.sample_id] for entry in study.exclude],
        # Keys that are younger than the first stores stand here only where a study sets them.
        **({"secondary": _stated_secondary(study, analysis.secondary)} if analysis.secondary else {}),
        **({"pooling": analysis.pooling} if analysis.pooling != "questions" else {}),
        **({"pooled_tasks": list(analysis.pooled_tasks)} if analysis.pooled_tasks else {}),
        **({"holdout": study.holdout} if study.holdout is not None else {}),
    }


def _stated_secondary(study: Study, secondary: Secondary) -> dict[str, list[dict[str, Any]]]:
    return {
        "strategies": [_stated(study.strategies, label) for label in secondary.strategies],
        "perturbations": [_stated(study.perturbations, label) for label in secondary.perturbations],
    }


def _stated(entries: Sequence[PluginEntry], label: str) -> dict[str, Any]:
    entry = next(entry for entry in entries if entry.label == label)
    return {"id": label, "name": entry.name, **entry.options}


def statement_changes(stated: Mapping[str, Any], now: Mapping[str, Any], made: float) -> list[dict[str, Any]]:
    """What differs between the analysis stated first and the present one; empty if nothing does.

    Args:
        stated: the analysis stated first.
        now: the present one.
        made: Unix time at which the present one was first stated.
    """
    date = datetime.datetime.fromtimestamp(made, tz=datetime.UTC).date().isoformat()
    return [
        {"key": key, "old": stated.get(key), "new": now.get(key), "date": date}
        for key in sorted(stated.keys() | now.keys())
        if stated.get(key) != now.get(key)
    ]


def tokens_needed(request: Request) -> int:
    """Tokens that a request needs of the context: the prompt, and what is generated or scored behind it."""
    n_prompt = len(request.prompt.token_ids)
    if request.sampling is not None:
        return n_prompt + request.sampling.max_tokens
    return n_prompt + max((len(ids) for ids in request.continuations), default=0)


def context_tokens(model: PlannedModel) -> int | None:
    """Context length by configuration and models.yaml; None where neither says (the stub engine knows its own)."""
    limits = [] if model.settings.max_model_len is None else [model.settings.max_model_len]
    length = model.checkpoint.config.get("max_position_embeddings")
    limits += [int(length)] if length else []
    return min(limits, default=None)
