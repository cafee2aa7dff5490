"""What each part of the prompting adds: strategies in cumulative order, one against the next, within one model. Exploratory, not corrected.

A ladder is a list of strategies of which each has one part more than the one before; strategies left out are its last rung without one
part each. Everything is paired by sample, and positive differences favour the strategy of the row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from evalsuite.seeds import derive_seed
from evalsuite.stats.arrays import cluster_t_interval, partition
from evalsuite.stats.compare import set_numbers
from evalsuite.stats.design import MIN_GROUPS, AnalysisDesign
from evalsuite.stats.differences import sample_differences
from evalsuite.stats.pooling import (
    COUNTED,
    left_out_of,
    pooled_samples,
    scopes_of,
    weighed,
    weighted_interval,
    with_reasons,
)
from evalsuite.stats.randomisation import sign_flip_p
from evalsuite.stats.scaling import pooled_mean
from evalsuite.stats.tables import Cells, Condition, PairedUnits, estimate_of, excluded_samples, pair_units
from evalsuite.types import Tell, untold

StepKind = Literal["rung", "whole", "left_out"]

NUMBERS = ("mean", "mean_low", "mean_high", "difference", "ci_low", "ci_high", "ci_level", "p_value")
COUNTS = ("step", "n_samples", "n_groups")
COLUMNS = (
    "model", "scope", "step", "strategy", "kind", "against", "metric", "mean", "mean_low", "mean_high", "difference", "ci_low", "ci_high",
    "ci_level", "p_value", "n_samples", "n_groups", "tasks", "status_note", "method",
)  # fmt: skip
ALL = "all"
"""Scope of the mean over tasks."""


def ladder_frame(cells: Cells, design: AnalysisDesign, n_classes: Mapping[str, int], tell: Tell = untold) -> pd.DataFrame:
    """Mean of every model on every rung, and its paired difference to the rung before, at the primary perturbation.

    Scopes: each task, on its primary metric, and `all`: the mean over the tasks that the study pools, as in `pooling.pooled_frame`
    (weights, interval, what cannot enter takes the number with it). Kinds: `rung` against the one before; `whole`, the last against the
    first; `left_out`, the last rung without one part against the last rung.

    `mean` is over all answers under the strategy; the difference over the samples that have answers under both, replicates and variants
    averaged within them. Intervals: `arrays.cluster_t_interval`, `pooling.weighted_interval`; p: sign flips of the groups' sums
    (`randomisation.sign_flip_p`), which takes the two strategies to be exchangeable within a group if neither is better. Metrics of a set
    of classes: `compare.set_numbers`. Nothing is corrected, and none of it was stated beforehand.

    Source: paired differences and clusters, Miller 2024 (arXiv 2411.00640); sign flips, Fisher 1935; ablation by cumulative parts, Nori et
    al. 2023 (arXiv 2311.16452).

    Args:
        cells: answers by condition and model, from `tables.split_conditions`.
        design: ladder, primary metrics and perturbation, missing rule, exclusions, weights, alpha, resamples, seed.
        n_classes: task to number of classes, for metrics of a set.
        tell: told of progress, in models.

    Returns:
        `COLUMNS`; none without a ladder. `step` counts from 0 within its kind (`whole`: the last rung's). Failures and answers that are
        not there: no number and a `status_note`. With fewer than `MIN_GROUPS` groups, or without any readable answer: numbers and a note.
        Does not depend on the order of rows of the scores.
    """
    steps = tuple(steps_of(design))
    names = {step.strategy for step in steps}
    models = sorted({model for condition, own in cells.items() if condition.strategy in names for model in own})
    rows: list[dict[str, Any]] = []
    for at, model in enumerate(models, 1):
        looked = _Looked(cells=cells, design=design, model=model)
        for step in steps:
            rows.extend(_rows_of(looked, step, n_classes))
        tell("comparing strategies", at, len(models))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype({**dict.fromkeys(NUMBERS, "float64"), **dict.fromkeys(COUNTS, "int64")})


def steps_of(design: AnalysisDesign) -> Iterator[Step]:
    """What is set against what, in the order of the table; nothing without a ladder."""
    ladder = design.ladder
    for at, strategy in enumerate(ladder):
        yield Step(kind="rung", at=at, strategy=strategy, against=ladder[at - 1] if at else "")
    if ladder:
        yield Step(kind="whole", at=len(ladder) - 1, strategy=ladder[-1], against=ladder[0])
    for at, strategy in enumerate(design.leave_one_out if ladder else ()):
        yield Step(kind="left_out", at=at, strategy=strategy, against=ladder[-1])


def _rows_of(looked: _Looked, step: Step, n_classes: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """One row per scope."""
    design = looked.design
    for task in design.primary_metric:
        yield _task_row(looked, step, task, n_classes.get(task, 0))
    scope = next(iter(scopes_of(design, {}, {})), None)
    if scope is None:
        return
    own = {task: looked.units(task, step.strategy, step.strategy) for task in scope.tasks}
    outside, lost = left_out_of(scope, own, design)
    row = looked.row(step, scope.name)
    row |= {"metric": "", "tasks": ",".join(task for task in scope.tasks if task not in {*outside, *lost})}
    if lost:
        notes = {
            task: why if task in design.not_run else "; ".join(looked.faults(task, step.strategy)) or why for task, why in lost.items()
        }
        yield row | {"status_note": f"without {with_reasons(notes)} it is not the mean over the pooled tasks"}
        return
    entered = {task: units for task, units in own.items() if task not in outside}
    found = pooled_mean(entered, design)
    row |= {"mean": found["mean"], "mean_low": found["ci_low"], "mean_high": found["ci_high"]}
    row |= {"n_samples": sum(units.n_samples for units in entered.values()), "n_groups": found["n_groups"]}
    if step.against:
        row |= _pooled_difference(looked, step, tuple(entered))
    yield row | {"status_note": "; ".join(filter(None, (row["status_note"], *_remarks(row["n_groups"], looked, step, tuple(entered)))))}


def _task_row(looked: _Looked, step: Step, task: str, n_classes: int) -> dict[str, Any]:
    design = looked.design
    metric = design.metrics[design.primary_metric[task]]
    own = looked.units(task, step.strategy, step.strategy)
    row = looked.row(step, task) | {"metric": metric.name, "tasks": task, "n_samples": own.n_samples, "n_groups": own.n_groups}
    known = estimate_of(own, metric, n_classes, 1 - design.alpha)
    row |= {"mean": known["mean"], "mean_low": known["ci_low"], "mean_high": known["ci_high"]}
    faults = looked.faults(task, step.strategy, *([step.against] if step.against else []))
    if faults:
        return row | {"status_note": "; ".join(faults)}
    if step.against:
        units = looked.units(task, step.strategy, step.against)
        row |= {"n_samples": units.n_samples, "n_groups": units.n_groups}
        seed = _seed(looked, step, task)
        if not units.n_samples:
            pass
        elif metric.of_set is not None:
            made = set_numbers(units, metric, n_classes, design, seed)
            row |= {key: made[key] for key in ("difference", "ci_low", "ci_high", "p_value", "method")}
        else:
            differences = sample_differences(units, metric)
            index = partition(differences.groups).index
            interval = cluster_t_interval(differences.values, index, 1 - design.alpha)
            test = sign_flip_p(differences.values, index, design.n_resamples, seed)
            row |= {"difference": interval.estimate, "ci_low": interval.low, "ci_high": interval.high, "p_value": test.p_value}
            row["method"] = f"sign-flip over groups, {test.method}; cluster-robust t"
    return row | {"status_note": "; ".join(_remarks(row["n_groups"], looked, step, (task,)))}


def _pooled_difference(looked: _Looked, step: Step, tasks: tuple[str, ...]) -> dict[str, Any]:
    """The weighted mean difference of a step over tasks; a note and no number where the strategy that it is set against cannot enter."""
    design = looked.design
    notes = {task: "; ".join(looked.faults(task, step.strategy, step.against)) for task in tasks}
    notes = {task: note for task, note in notes.items() if note}
    entered = {task: looked.units(task, step.strategy, step.against) for task in tasks}
    notes |= {task: "no answers left" for task, units in entered.items() if not units.n_samples and task not in notes}
    if notes:
        return {"status_note": f"without {with_reasons(notes)} it is not the mean over the pooled tasks"}
    pooled = pooled_samples(entered, {task: design.metrics[design.primary_metric[task]] for task in tasks})
    index, counts, weights = weighed(pooled, design.pooling)
    interval = weighted_interval(pooled.differences, weights, index, 1 - design.alpha)
    # One task: the signs of its own row, so that both say the same.
    seed = _seed(looked, step, tasks[0] if len(tasks) == 1 else f"{ALL} tasks")
    test = sign_flip_p(weights * pooled.differences, index, design.n_resamples, seed)
    return {
        "difference": interval.estimate,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "p_value": test.p_value,
        "n_samples": len(pooled.groups),
        "n_groups": len(counts),
        "method": f"{COUNTED[design.pooling]}; sign-flip over groups of all tasks, {test.method}; cluster-robust t",
    }


def _remarks(n_groups: int, looked: _Looked, step: Step, tasks: tuple[str, ...]) -> Iterator[str]:
    """What a reader of the numbers must know."""
    if not n_groups:
        yield "no answers left"
        return
    if n_groups < MIN_GROUPS:
        yield f"{n_groups} groups, {MIN_GROUPS} are needed"
    for strategy in filter(None, (step.strategy, step.against)):
        silent = [task for task in tasks if not looked.units(task, strategy, strategy).n_a_scored]
        if silent:
            yield f"no answer could be read under {strategy}" + (f" in {', '.join(silent)}" if len(tasks) > 1 else "")


def _seed(looked: _Looked, step: Step, scope: str) -> int:
    """Seed of the signs; the same whichever of the two strategies comes first, hence the same p."""
    return derive_seed(looked.design.seed, "ladder", scope, looked.model, *sorted((step.strategy, step.against)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A strategy and what it is set against."""

    kind: StepKind
    """`rung`, `whole` or `left_out`."""
    at: int
    """Its place within its kind, from 0."""
    strategy: str
    """Strategy id."""
    against: str
    """Strategy id of what is subtracted; empty for the first rung."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Looked:
    """One model's answers, looked up by task and strategy."""

    cells: Cells
    """Of all models."""
    design: AnalysisDesign
    """The analysis."""
    model: str
    """The model."""
    paired: dict[tuple[str, str, str], PairedUnits] = field(default_factory=dict)
    """What was paired already, by task and the two strategies."""

    def cell(self, task: str, strategy: str) -> pd.DataFrame | None:
        """Answers in one condition; None: none."""
        metric, perturbation = self.design.primary_metric[task], self.design.primary_perturbation
        where = Condition(task=task, metric=metric, strategy=strategy, perturbation=perturbation)
        return self.cells.get(where, {}).get(self.model)

    def units(self, task: str, strategy: str, against: str) -> PairedUnits:
        """Answers under two strategies, paired."""
        key = (task, strategy, against)
        if key not in self.paired:
            metric, excluded = self.design.metrics[self.design.primary_metric[task]], excluded_samples(self.design.exclude, task)
            own, other = self.cell(task, strategy), self.cell(task, against)
            self.paired[key] = pair_units(own, other, metric, self.design.missing, excluded)
        return self.paired[key]

    def faults(self, task: str, *strategies: str) -> list[str]:
        """What forbids a number, by strategy; then what forbids only to pair the two."""
        found: list[str] = []
        for strategy in strategies:
            absent = self.cell(task, strategy) is None
            own = ("no answers",) if absent else self.units(task, strategy, strategy).faults
            found.extend(f"{strategy}: {fault}" for fault in own)
        if not found and len(strategies) == 2:
            found.extend(self.units(task, *strategies).faults)
        return found

    def row(self, step: Step, scope: str) -> dict[str, Any]:
        """A row without numbers."""
        row: dict[str, Any] = dict.fromkeys(NUMBERS, np.nan)
        row |= {"model": self.model, "scope": scope, "step": step.at, "strategy": step.strategy, "kind": step.kind}
        row |= {"against": step.against, "ci_level": 1 - self.design.alpha, "n_samples": 0, "n_groups": 0, "status_note": "", "method": ""}
        return row
