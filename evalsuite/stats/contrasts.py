"""Differences in differences: does a pair differ more under one condition than under another? Exploratory, not corrected.

Two strategies, two languages of the same questions, or two sizes of the same two models; `robustness` makes those of perturbations of
the same parts. Positive contrasts mean that a gains more under the first condition.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd

from evalsuite.metrics.base import Metric
from evalsuite.seeds import derive_seed
from evalsuite.stats.arrays import cluster_t_interval, partition, t_tail
from evalsuite.stats.design import MIN_GROUPS, AnalysisDesign
from evalsuite.stats.differences import group_means, sample_differences
from evalsuite.stats.paired import condition_under, units_in
from evalsuite.stats.randomisation import sign_flip_p
from evalsuite.stats.set_metrics import evaluate_tables, group_tables, jackknife_interval
from evalsuite.stats.tables import Cells, Condition, PairedUnits
from evalsuite.types import Tell, untold

Kind = Literal["strategy", "perturbation", "language", "size"]

SIZE_RATIO = 1.5
"""Two generalists are of different size from this ratio of their parameters on."""
COLUMNS = (
    "kind", "model_a", "model_b", "other_a", "other_b", "task", "other_task", "metric", "first", "second", "difference_first",
    "difference_second", "contrast", "ci_low", "ci_high", "ci_level", "p_value", "n_samples", "n_groups", "status_note", "method",
)  # fmt: skip
NUMBERS = ("difference_first", "difference_second", "contrast", "ci_low", "ci_high", "ci_level", "p_value")


def contrast_frame(
    cells: Cells,
    design: AnalysisDesign,
    *,
    languages: Mapping[str, str],
    models: Mapping[str, Mapping[str, Any]],
    n_classes: Mapping[str, int],
    tell: Tell = untold,
) -> pd.DataFrame:
    """All contrasts of a study, on each task's primary metric.

    Strategies: each other one against the primary one, at the primary perturbation, over the samples that both models have under
    both. Languages: two tasks of different language with
    global groups in common (`Sample.group`), over these groups, each counting once, by its mean over samples. Sizes: two pairs of
    a biomedical and a generalist model whose names differ in the size only, on the same samples; first is the larger.

    The contrast is the mean of d_first - d_second over samples, with `arrays.cluster_t_interval`; p by sign flips of the groups'
    sums, which takes the contrast to be symmetric around 0 if there is none. Metrics of a set of classes: the difference of the
    two differences f(a) - f(b), with its jackknife over groups and Student's t. Source: difference in differences, Angrist and Pischke 2009
    (Mostly Harmless Econometrics, ch. 5); sign flips, Fisher 1935; the interval, Miller 2024 (arXiv 2411.00640).

    Args:
        cells: answers by condition and model.
        design: pairs, primary cell, missing rule, alpha, resamples, seed.
        languages: task to ISO 639-1; tasks without one take no part in contrasts of languages.
        models: model to `domain` and `parameters_b`; unknown sizes take no part in contrasts of sizes.
        n_classes: task to number of classes, for metrics of a set.
        tell: told of progress.

    Returns:
        `COLUMNS`, one row per contrast of which any answers exist. Faults of either condition: counts and `status_note`, no numbers.
        `n_samples`: samples that enter; languages: those of both tasks. Does not depend on the order of rows.
    """
    wanted = list(planned_contrasts(cells, design, languages, models))

    @cache
    def units_of(side: Side) -> PairedUnits:
        return units_in(cells, design, side.condition, (side.a, side.b))

    rows = []
    for planned in wanted:
        rows.append(contrast_row(planned, units_of, design, n_classes))
        tell("contrasting", len(rows), len(wanted))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype({**dict.fromkeys(NUMBERS, "float64"), "n_samples": "int64", "n_groups": "int64"})


def planned_contrasts(
    cells: Cells, design: AnalysisDesign, languages: Mapping[str, str], models: Mapping[str, Mapping[str, Any]]
) -> Iterator[PlannedContrast]:
    """Which contrasts there are, in the order of the table."""
    yield from strategy_contrasts(cells, design)
    yield from language_contrasts(cells, design, languages)
    yield from size_contrasts(cells, design, models)


def strategy_contrasts(cells: Cells, design: AnalysisDesign) -> Iterator[PlannedContrast]:
    """Every other strategy of each task against the primary one, with all else as in the primary cell."""
    for task in design.primary_metric:
        primary = primary_condition(design, task)
        found = [
            condition
            for condition in cells
            if (condition.task, condition.metric, condition.perturbation) == (task, primary.metric, primary.perturbation)
            and condition != primary
        ]
        for condition in sorted(found):
            for a, b in design.pairs:
                if a in cells[condition] or b in cells[condition]:
                    sides = [Side(condition=where, a=a, b=b, label=where.strategy) for where in (condition, primary)]
                    yield PlannedContrast(kind="strategy", first=sides[0], second=sides[1])


def language_contrasts(cells: Cells, design: AnalysisDesign, languages: Mapping[str, str]) -> Iterator[PlannedContrast]:
    """Pairs of tasks in different languages, in the study's order, that hold the same groups."""
    groups = {task: groups_of(cells.get(primary_condition(design, task), {})) for task in design.primary_metric}
    for first, second in combinations(design.primary_metric, 2):
        codes = languages.get(first), languages.get(second)
        if None in codes or codes[0] == codes[1] or not groups[first] & groups[second]:
            continue
        for a, b in design.pairs:
            sides = [
                Side(condition=primary_condition(design, task), a=a, b=b, label=str(code))
                for task, code in zip((first, second), codes, strict=True)
            ]
            yield PlannedContrast(kind="language", first=sides[0], second=sides[1])


def size_contrasts(cells: Cells, design: AnalysisDesign, models: Mapping[str, Mapping[str, Any]]) -> Iterator[PlannedContrast]:
    """Pairs of pairs that are the same two models in two sizes, the larger first.

    Both pairs set a biomedical a against a generalist b. The generalists differ in size by `SIZE_RATIO` or more, and a and b of
    either pair by less; the names of both a, and of both b, are the same but for the size in them (`without_size`): other
    families would differ in more than size.
    """
    sized = {pair: size for pair in design.pairs if (size := size_of_pair(pair, models)) is not None}
    for one, other in combinations(sized, 2):
        large, small = (one, other) if sized[one] >= sized[other] else (other, one)
        same = all(without_size(x) == without_size(y) for x, y in zip(large, small, strict=True))
        if not same or sized[large] < SIZE_RATIO * sized[small]:
            continue
        for task in design.primary_metric:
            condition = primary_condition(design, task)
            if any(model in cells.get(condition, {}) for model in (*large, *small)):
                sides = [Side(condition=condition, a=pair[0], b=pair[1], label=size_name(sized[pair])) for pair in (large, small)]
                yield PlannedContrast(kind="size", first=sides[0], second=sides[1])


def size_of_pair(pair: tuple[str, str], models: Mapping[str, Mapping[str, Any]]) -> float | None:
    """Parameters of b in billions, if a is biomedical, b a generalist, and both are of about that size; else None."""
    a, b = (models.get(name, {}) for name in pair)
    if (a.get("domain"), b.get("domain")) != ("biomedical", "generalist") or not a.get("parameters_b") or not b.get("parameters_b"):
        return None
    sizes = float(a["parameters_b"]), float(b["parameters_b"])
    return sizes[1] if max(sizes) < SIZE_RATIO * min(sizes) else None


def without_size(name: str) -> str:
    """A model's name without the parts that state a number of parameters, such as `8b` or `0.5B`."""
    return "-".join(part for part in re.split(r"[^A-Za-z0-9.]+", name) if not re.fullmatch(r"\d+([.]\d+)?[bm]", part, re.IGNORECASE))


def size_name(parameters_b: float) -> str:
    """A number of parameters, given in billions, as people write it: `70.6B`, `500M`."""
    return f"{parameters_b:.3g}B" if parameters_b >= 1 else f"{1000 * parameters_b:.3g}M"


def primary_condition(design: AnalysisDesign, task: str) -> Condition:
    """The primary cell of a task."""
    return condition_under(design, task, design.primary_strategy)


def groups_of(models: Mapping[str, pd.DataFrame]) -> frozenset[str]:
    """Names of the groups of which any model has an answer."""
    return frozenset(str(group) for cell in models.values() for group in cell["group"].unique())


def contrast_row(
    planned: PlannedContrast, units_of: Callable[[Side], PairedUnits], design: AnalysisDesign, n_classes: Mapping[str, int]
) -> dict[str, Any]:
    """One row: counts always, numbers unless faults forbid them."""
    sides = (planned.first, planned.second)
    units = [units_of(side) for side in sides]
    row = planned.columns() | {"ci_level": 1 - design.alpha, "n_samples": 0, "n_groups": 0, "status_note": "", "method": ""}
    faults = [f"{side.label}: {fault}" for side, unit in zip(sides, units, strict=True) for fault in unit.faults]
    metrics = {side.condition.metric for side in sides}
    if len(metrics) > 1:
        faults.append(f"the tasks are compared on different metrics, {' and '.join(sorted(metrics))}")
    if faults:
        return row | {"status_note": "; ".join(faults)}
    metric = design.metrics[planned.first.condition.metric]
    kept = [shared_units(unit, other, by_group=planned.kind == "language") for unit, other in (units, units[::-1])]
    n_groups = kept[0].n_groups
    row["n_samples"] = sum(unit.n_samples for unit in kept) if planned.kind == "language" else kept[0].n_samples
    row |= {"n_groups": n_groups, "status_note": "; ".join(remarks(planned, kept))}
    if not n_groups:
        return row
    if metric.of_set is not None:
        return row | set_contrast(kept, metric, [n_classes.get(side.condition.task, 0) for side in sides], 1 - design.alpha)
    return row | mean_contrast(kept, metric, planned, design)


def shared_units(units: PairedUnits, other: PairedUnits, *, by_group: bool) -> PairedUnits:
    """The answers to samples (or in groups) that the other condition has too; counts of statuses stay those of the whole condition."""
    kept = np.isin(units.groups, other.groups) if by_group else np.isin(units.samples, other.samples)
    classes = None if units.classes is None else (units.classes[0][kept], units.classes[1][kept], units.classes[2][kept])
    columns = {name: getattr(units, name)[kept] for name in ("samples", "groups", "variants", "a", "b")}
    return replace(units, **columns, classes=classes)


def remarks(planned: PlannedContrast, kept: Sequence[PairedUnits]) -> Iterator[str]:
    """What a reader of the numbers must know."""
    if not kept[0].n_groups:
        yield "no samples that both conditions have"
        return
    if kept[0].n_groups < MIN_GROUPS:
        yield f"{kept[0].n_groups} groups, {MIN_GROUPS} are needed"
    silent = [
        (model, side.label)
        for side, unit in zip((planned.first, planned.second), kept, strict=True)
        for model, n_scored in ((side.a, unit.n_a_scored), (side.b, unit.n_b_scored))
        if not n_scored
    ]
    for model, label in silent:
        yield f"no answer of {model} could be read under {label}"


def mean_contrast(kept: Sequence[PairedUnits], metric: Metric, planned: PlannedContrast, design: AnalysisDesign) -> dict[str, Any]:
    """Numbers of a contrast of means over samples (languages: over groups)."""
    differences = [sample_differences(unit, metric) for unit in kept]
    if planned.kind == "language":
        differences = [group_means(entry) for entry in differences]
    # Both have the same samples (groups) by now, in the order of their names.
    first, second = differences
    raw = first.values - second.values
    values = np.where(np.abs(raw) <= 1e-12 * np.maximum(1, np.abs(first.values)), 0.0, raw)
    index = partition(first.groups).index
    interval = cluster_t_interval(values, index, 1 - design.alpha)
    test = sign_flip_p(values, index, design.n_resamples, planned.seed(design.seed))
    return {
        "difference_first": float(first.values.mean()),
        "difference_second": float(second.values.mean()),
        "contrast": interval.estimate,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "p_value": test.p_value,
        "method": f"sign-flip over groups, {test.method}; cluster-robust t",
    }


def set_contrast(kept: Sequence[PairedUnits], metric: Metric, n_classes: Sequence[int], level: float) -> dict[str, Any]:
    """Numbers of a contrast of a metric of the whole cell: jackknife over the groups that both conditions have."""
    if metric.of_set is None:
        raise ValueError(f"{metric.name} is no metric of a set")
    sign = 1 if metric.higher_is_better else -1
    gains = []
    for unit, n in zip(kept, n_classes, strict=True):
        data = unit.predictions(n)
        values = []
        for answers in (data.pred_a, data.pred_b):
            tables = group_tables(data, answers)
            total = tables.sum(axis=0)
            left_out = total - tables if len(tables) > 1 else tables[:0]
            values.append(evaluate_tables(metric.of_set, np.concatenate([total[None], left_out])))
        gains.append(sign * (values[0] - values[1]))
    contrast = gains[0] - gains[1]
    interval = jackknife_interval(float(contrast[0]), contrast[1:], level)
    if interval.se > 0:
        p_value = 2 * t_tail(abs(interval.estimate) / interval.se, interval.df)
    else:
        p_value = 1.0 if interval.se == 0 and abs(interval.estimate) < 1e-12 else np.nan
    return {
        "difference_first": float(gains[0][0]),
        "difference_second": float(gains[1][0]),
        "contrast": interval.estimate,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "p_value": p_value,
        "method": "jackknife t over groups",
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """A pair under one condition."""

    condition: Condition
    """Where."""
    a: str
    """The model that positive differences favour."""
    b: str
    """The other model."""
    label: str
    """What the condition is called in the contrast."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedContrast:
    """One contrast to be made."""

    kind: Kind
    """What differs between the conditions."""
    first: Side
    """Positive contrasts: a gains more here."""
    second: Side
    """The condition that it is set against."""

    def columns(self) -> dict[str, Any]:
        """As columns of the table."""
        other = self.kind == "size"
        return {
            "kind": self.kind,
            "model_a": self.first.a,
            "model_b": self.first.b,
            "other_a": self.second.a if other else "",
            "other_b": self.second.b if other else "",
            "task": self.first.condition.task,
            "other_task": self.second.condition.task if self.kind == "language" else "",
            "metric": self.first.condition.metric,
            "first": self.first.label,
            "second": self.second.label,
        }

    def seed(self, study_seed: int) -> int:
        """Seed of its signs; (b, a) has the same as (a, b), hence the same p."""
        models = [name for side in (self.first, self.second) for name in sorted((side.a, side.b))]
        tasks = self.first.condition.task, self.second.condition.task
        return derive_seed(study_seed, "contrast", self.kind, *tasks, self.first.label, self.second.label, *models)
