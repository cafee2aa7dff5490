"""From scores to estimates and to paired answers: the labelled layer above the arrays (pandas).

Rows are answers: one per sample, variant and replicate of a cell, for each metric. This module decides what a missing
answer counts as (DESIGN 2.1), pairs the answers of two models, and averages replicates and variants within a sample.
A cell that still holds failures has counts but no numbers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from evalsuite.config import Exclusion
from evalsuite.metrics.base import Metric
from evalsuite.stats.arrays import FloatArray, IntArray, cluster_t_interval, partition
from evalsuite.stats.columns import names_in, objects_in, taken
from evalsuite.stats.ordering import sorted_cells
from evalsuite.stats.set_metrics import Predictions, set_metric_interval
from evalsuite.types import STATUSES

Missing = Literal["incorrect", "drop"]
MISSING_STATUSES = ("unparsed", "truncated", "too_long")
"""Statuses that follow the study's missing rule."""
CELL = ("task", "metric", "strategy", "perturbation", "model")
"""What names a cell."""
UNIT = ["sample_id", "variant", "replicate"]
"""What names one answer within a cell and metric."""
NEEDED_COLUMNS = ("task", "metric", "strategy", "perturbation", "model", *UNIT, "group", "value", "status")
KEPT_COLUMNS = (
    "group", "value", "status", "content_hash", "answer_index", "answer_indices", "target", "label_mass", "first_index", "first_target",
    "suggested_index", "strict_kept", "votes",
)  # fmt: skip
ESTIMATE_COUNTS = ("n_samples", "n_groups", "n_excluded", "n_answers", *(f"n_{status}" for status in STATUSES))
ESTIMATE_COLUMNS = (
    "task", "metric", "strategy", "perturbation", "model", *ESTIMATE_COUNTS, "mean", "se", "ci_low", "ci_high", "ci_level",
    "label_mass", "established", "status_note",
)  # fmt: skip
"""Columns of `estimate_frame`, in its order."""


def estimate_frame(
    scores: pd.DataFrame,
    metrics: Mapping[str, Metric],
    *,
    missing: Missing,
    exclude: Sequence[Exclusion],
    level: float,
    cells: Cells | None = None,
) -> pd.DataFrame:
    """One row per model and condition: counts by status, and the mean (or set value) with its interval over groups.

    Replicates and variants are averaged within a sample first; for a set metric every answer is one entry of the table that
    the metric is computed from. Intervals: `arrays.cluster_t_interval`, `set_metrics.set_metric_interval`. A refused answer
    leaves its model's mean; an excluded sample leaves every count but `n_excluded`, which counts it whether it was asked or not.

    Args:
        scores: columns of scores.parquet (DESIGN 5), at least `NEEDED_COLUMNS`.
        metrics: records of all metrics in `scores`, by name.
        missing: what `unparsed`, `truncated` and `too_long` count as: the metric's worst value, or nothing.
        exclude: samples that the study leaves out.
        level: confidence level in (0, 1).
        cells: the same scores as `split_conditions` cuts them; None: they are cut here.

    Returns:
        task, metric, strategy, perturbation, model, n_samples, n_groups, n_excluded, n_answers, n_<status> for each status,
        mean, se, ci_low, ci_high, ci_level, label_mass (mean over answers that have one), established, status_note. `mean`
        to `ci_high` are null where failures remain (`established` false) or nothing is left. No scores: the columns, no rows.

    Raises:
        ValueError: the table is not one of scores; see `split_conditions`.
    """
    rows = []
    n_classes = class_counts(scores, metrics)
    for condition, models in (split_conditions(scores, metrics) if cells is None else cells).items():
        metric = metrics[condition.metric]
        left_out = excluded_samples(exclude, condition.task)
        for model in sorted(models):
            cell = models[model]
            units = pair_units(cell, cell, metric, missing, left_out)
            included = cell[~cell.index.get_level_values("sample_id").isin(list(left_out))]
            by_status = included["status"].value_counts()
            row: dict[str, Any] = {**condition.columns(), "model": model}
            row |= {"n_samples": units.n_samples, "n_groups": units.n_groups, "n_excluded": units.n_all_samples - units.n_samples}
            row |= {"n_answers": len(included), **{f"n_{status}": int(by_status.get(status, 0)) for status in STATUSES}}
            row |= estimate_of(units, metric, n_classes.get(condition.task, 0), level)
            row["label_mass"] = float(included["label_mass"].mean()) if included["label_mass"].notna().any() else np.nan
            row |= {"established": not units.faults and units.n_samples > 0, "status_note": "; ".join(units.faults)}
            rows.append(row)
    types: dict[str, Any] = dict.fromkeys(ESTIMATE_COUNTS, "int64") | {"established": "bool"}
    return pd.DataFrame(rows, columns=list(ESTIMATE_COLUMNS)).astype(types)


def estimate_of(units: PairedUnits, metric: Metric, n_classes: int, level: float) -> dict[str, float]:
    """Mean (or set value), standard error and limits of side a; all NaN where faults remain or nothing is left."""
    numbers = dict.fromkeys(("mean", "se", "ci_low", "ci_high"), np.nan) | {"ci_level": level}
    if units.faults or units.n_samples == 0:
        return numbers
    if metric.of_set is not None:
        interval = set_metric_interval(metric.of_set, units.predictions(n_classes), level)
    else:
        means = sample_means(units)
        interval = cluster_t_interval(means.a, partition(means.groups).index, level)
    return numbers | {"mean": interval.estimate, "se": interval.se, "ci_low": interval.low, "ci_high": interval.high}


def split_conditions(scores: pd.DataFrame, metrics: Mapping[str, Metric]) -> dict[Condition, dict[str, pd.DataFrame]]:
    """Cut the table into cells: condition -> model -> its answers, indexed and sorted by `UNIT`.

    Raises:
        ValueError: a column is missing, a metric is unknown, a status is unknown, a value does not go with its status or is not
            finite, an answer stands twice, or a sample has no group or several.
    """
    check_scores(scores, metrics)
    cells: dict[Condition, dict[str, pd.DataFrame]] = {}
    found = sorted_cells(scores, CELL, UNIT)
    kept = scores.reindex(columns=list(KEPT_COLUMNS))
    kept = kept.assign(value=pd.to_numeric(kept["value"]).astype(float), label_mass=pd.to_numeric(kept["label_mass"]).astype(float))
    table = pd.DataFrame({name: taken(kept[name], found.order) for name in KEPT_COLUMNS}, copy=False)
    for begin, end in itertools.pairwise(found.bounds):
        task, metric, strategy, perturbation, model = found.cell_at(begin)
        condition = Condition(task=task, metric=metric, strategy=strategy, perturbation=perturbation)
        index = units_index(found.names[len(CELL) :], found.codes[len(CELL) :, begin:end])
        cells.setdefault(condition, {})[model] = table.iloc[begin:end].set_axis(index, axis=0)
    return cells


def units_index(names: Sequence[pd.Index[Any]], codes: IntArray) -> pd.MultiIndex:
    """The index of a cell from the sorted names of all of a study and their numbers in it, (3, n); holds those names only that it needs."""
    levels: list[Any] = []
    numbers: list[Any] = []
    for known, own in zip(names, codes, strict=True):
        used = np.zeros(len(known), dtype=bool)
        used[own] = True
        levels.append(known[used])
        numbers.append((np.cumsum(used) - 1)[own])
    return pd.MultiIndex(levels=levels, codes=numbers, names=UNIT, verify_integrity=False)


def check_scores(scores: pd.DataFrame, metrics: Mapping[str, Metric]) -> None:
    """Refuse a table that is not one of scores; messages name columns, metrics and counts, never a text.

    Raises:
        ValueError: as in `split_conditions`.
    """
    absent = [name for name in NEEDED_COLUMNS if name not in scores.columns]
    if absent:
        raise ValueError(f"the scores lack the columns {', '.join(absent)}")
    empty = [name for name in NEEDED_COLUMNS if name != "value" and scores[name].isna().any()]
    if empty:
        raise ValueError(f"empty entries in the columns {', '.join(empty)} of the scores")
    for column, known in (("status", set(STATUSES)), ("metric", set(metrics))):
        unknown = sorted(set(map(str, scores[column].unique())) - known)
        if unknown:
            raise ValueError(f"unknown {column} in the scores: {', '.join(unknown)}")
    value = pd.to_numeric(scores["value"]).astype(float)
    scored = scores["status"] == "scored"
    n_wrong = int((scored != np.isfinite(value)).sum())
    if n_wrong:
        raise ValueError(f"{n_wrong} scores have a value without the status `scored`, or no finite value with it")
    n_twice = int(scores.duplicated(["task", "metric", "strategy", "perturbation", "model", *UNIT]).sum())
    if n_twice:
        raise ValueError(f"{n_twice} answers stand twice in the scores")
    pairs = scores[["task", "sample_id", "group"]].drop_duplicates()
    if pairs.duplicated(["task", "sample_id"]).any():
        raise ValueError("a sample has two groups")


def excluded_samples(exclude: Sequence[Exclusion], task: str) -> frozenset[str]:
    """Ids of the samples of a task that the study leaves out."""
    return frozenset(entry.sample_id for entry in exclude if entry.task == task)


def class_counts(scores: pd.DataFrame, metrics: Mapping[str, Metric]) -> dict[str, int]:
    """Number of classes of each task that has a set metric: the largest class among targets and answers, plus one."""
    of_sets = {name for name, metric in metrics.items() if metric.of_set is not None}
    part = scores[scores["metric"].isin(list(of_sets))] if of_sets else scores.iloc[:0]
    counts: dict[str, int] = {}
    for task, rows in part.groupby("task", observed=True):
        known = [class_numbers(rows[name]) for name in ("target", "answer_index") if name in rows]
        counts[str(task)] = int(max((numbers.max() for numbers in known if numbers.size), default=-1)) + 1
    return counts


def class_number(entry: Any) -> int:
    """A class as an integer: -1 for none, -2 for several (no single class). Targets are text such as `2` or `0,3`."""
    if isinstance(entry, str):
        entry = [int(part) for part in entry.split(",") if part.strip()]
    if isinstance(entry, list | tuple | np.ndarray):
        return -1 if len(entry) == 0 else int(entry[0]) if len(entry) == 1 else -2
    return -1 if entry is None or pd.isna(entry) else int(entry)


def class_numbers(column: pd.Series[Any]) -> IntArray:
    """`class_number` of each entry."""
    return np.fromiter((class_number(entry) for entry in column), dtype=np.int64, count=len(column))


def pair_units(
    cell_a: pd.DataFrame | None, cell_b: pd.DataFrame | None, metric: Metric, missing: Missing, excluded: Collection[str]
) -> PairedUnits:
    """Pair the answers of two models to the same renditions of the same samples, under the missing rule.

    In this order: excluded samples leave; an answer that either side refused leaves on both; failures, answers that only
    one side has and renditions that differ between the sides are faults, and leave; then `incorrect` puts the metric's
    worst value (set metrics: class -1) where an answer is missing, `drop` takes the pair out.

    Args:
        cell_a: answers of a, from `split_conditions`; None if there are none.
        cell_b: answers of b likewise; the same table to look at one model.
        metric: the metric of both.
        missing: the rule.
        excluded: sample ids that leave; those that nobody was asked count among all samples too.
    """
    if cell_a is None or cell_b is None:
        other = cell_a if cell_a is not None else cell_b
        n_all = len(set(excluded).union(() if other is None else other.index.get_level_values("sample_id")))
        return empty_units(n_all, "no scores of " + " and ".join(side for side, cell in (("a", cell_a), ("b", cell_b)) if cell is None))
    index = cell_a.index if cell_a.index.equals(cell_b.index) else cell_a.index.union(cell_b.index)
    sides = [cell if cell.index is index or cell.index.equals(index) else cell.reindex(index) for cell in (cell_a, cell_b)]
    # Plain arrays from here on: this is done for every pair in every condition by every analysis.
    samples = names_in(index, "sample_id")
    status_a, status_b = (objects_in(side["status"]) for side in sides)
    hash_a, hash_b = (objects_in(side["content_hash"]) for side in sides)
    asked = ~np.isin(samples, np.array(list(excluded), dtype=str)) & (status_a != "refused") & (status_b != "refused")
    failed = (status_a == "failed").astype(int) + (0 if cell_a is cell_b else (status_b == "failed").astype(int))
    alone = pd.isna(status_a) | pd.isna(status_b)
    differs = pd.notna(hash_a) & pd.notna(hash_b) & (hash_a != hash_b)
    faults = [
        f"{int(count)} {what}"
        for count, what in (
            (failed[asked].sum(), "failed answers"),
            (alone[asked].sum(), "answers that only one side has"),
            (differs[asked].sum(), "renditions that differ between the sides"),
        )
        if count
    ]
    kept = asked & (failed == 0) & ~alone & ~differs
    # A metric without a worst value has nothing that a missing answer could count as.
    if missing == "drop" or not math.isfinite(metric.worst):
        kept &= (status_a == "scored") & (status_b == "scored")
    classes = None
    if metric.of_set is not None:
        joined = pd.concat([side.add_suffix(f"_{name}") for name, side in zip("ab", sides, strict=True)], axis=1)[kept]
        classes = paired_classes(joined)
        faults.extend(class_faults(joined, *classes))
    value_a, value_b = (side["value"].to_numpy(dtype=np.float64)[kept] for side in sides)
    return PairedUnits(
        samples=samples[kept],
        groups=sides[0]["group"].to_numpy(dtype=object)[kept].astype(str),
        variants=index.get_level_values("variant").to_numpy(dtype=np.int64)[kept],
        a=np.where(np.isnan(value_a), metric.worst, value_a),
        b=np.where(np.isnan(value_b), metric.worst, value_b),
        classes=classes,
        n_all_samples=len(set(samples.tolist()).union(excluded)),
        n_failed=int(failed[asked].sum()),
        n_a_missing=sum(int((status_a[asked] == status).sum()) for status in MISSING_STATUSES),
        n_b_missing=sum(int((status_b[asked] == status).sum()) for status in MISSING_STATUSES),
        n_a_scored=int((status_a[kept] == "scored").sum()),
        n_b_scored=int((status_b[kept] == "scored").sum()),
        faults=tuple(faults),
    )


def paired_classes(joined: pd.DataFrame) -> tuple[IntArray, IntArray, IntArray]:
    """Targets, and the classes that a and b answered (-1 unless scored), of paired answers."""
    answered = [np.where(joined[f"status_{side}"] == "scored", class_numbers(joined[f"answer_index_{side}"]), -1) for side in "ab"]
    return class_numbers(joined["target_a"]), answered[0], answered[1]


def class_faults(joined: pd.DataFrame, targets: IntArray, answers_a: IntArray, answers_b: IntArray) -> list[str]:
    """What forbids a set metric: no single target class, or a value that is not the agreement of answer and target."""
    faults = []
    n_without = int(((targets < 0) | (class_numbers(joined["target_b"]) != targets)).sum())
    if n_without:
        faults.append(f"{n_without} answers without one target class")
    for side, answers in (("a", answers_a), ("b", answers_b)):
        scored = (joined[f"status_{side}"] == "scored").to_numpy()
        agrees = joined[f"value_{side}"].to_numpy(dtype=np.float64) == (answers == targets)
        if (scored & ~agrees).any():
            faults.append(f"{int((scored & ~agrees).sum())} values of {side} that differ from the agreement of answer and target")
    return faults


def empty_units(n_all_samples: int, fault: str) -> PairedUnits:
    """Paired answers of a comparison that cannot be made, and why."""
    nothing, names = np.zeros(0), np.zeros(0, dtype=str)
    return PairedUnits(
        samples=names, groups=names, variants=np.zeros(0, dtype=np.int64), a=nothing, b=nothing, classes=None,
        n_all_samples=n_all_samples, n_failed=0, n_a_missing=0, n_b_missing=0, n_a_scored=0, n_b_scored=0,
        faults=(fault,),
    )  # fmt: skip


def sample_means(units: PairedUnits) -> SampleMeans:
    """Average replicates and variants within each sample; samples in the order of their ids."""
    if len(units.samples) > 1 and (units.samples[1:] > units.samples[:-1]).all():
        return SampleMeans(groups=units.groups, a=units.a, b=units.b)  # one answer of each, in order already: nothing to average
    _, first, index, counts = np.unique(units.samples, return_index=True, return_inverse=True, return_counts=True)
    return SampleMeans(
        groups=units.groups[first],
        a=np.bincount(index, weights=units.a, minlength=len(counts)) / counts,
        b=np.bincount(index, weights=units.b, minlength=len(counts)) / counts,
    )


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Condition:
    """What a comparison holds fixed beside the models."""

    task: str
    """Task name."""
    metric: str
    """Metric name."""
    strategy: str
    """Strategy id."""
    perturbation: str
    """Perturbation id."""

    def columns(self) -> dict[str, Any]:
        """As the first four columns of every table."""
        return {"task": self.task, "metric": self.metric, "strategy": self.strategy, "perturbation": self.perturbation}


Cells = Mapping[Condition, Mapping[str, pd.DataFrame]]
"""Condition to model to its answers, from `split_conditions`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedUnits:
    """Answers of two models to the same renditions of the same samples; arrays of one length, sorted by sample."""

    samples: npt.NDArray[np.str_]
    """Sample ids; several answers per sample where there are variants or replicates."""
    groups: npt.NDArray[np.str_]
    """Group names."""
    variants: IntArray
    """Number of the variant of its sample that each answer is about."""
    a: FloatArray
    """Values of a under the missing rule."""
    b: FloatArray
    """Values of b under the missing rule."""
    classes: tuple[IntArray, IntArray, IntArray] | None
    """Set metrics: targets, answers of a, answers of b (-1: none); else None."""
    n_all_samples: int
    """Samples that either side has, before anything leaves, and those that the study excludes by name."""
    n_failed: int
    """Failed answers of both sides, after exclusions and refusals."""
    n_a_missing: int
    """Answers of a with a status in `MISSING_STATUSES`, after exclusions and refusals."""
    n_b_missing: int
    """The same of b."""
    n_a_scored: int
    """Scored answers of a among those that are left."""
    n_b_scored: int
    """The same of b."""
    faults: tuple[str, ...]
    """What forbids any number; empty if nothing does."""

    @property
    def n_samples(self) -> int:
        """Samples that are left."""
        return len(np.unique(self.samples))

    @property
    def n_groups(self) -> int:
        """Groups that are left."""
        return len(np.unique(self.groups))

    def predictions(self, n_classes: int) -> Predictions:
        """As input of a set metric; ValueError without classes."""
        if self.classes is None:
            raise ValueError("these answers have no classes")
        targets, pred_a, pred_b = self.classes
        return Predictions(targets=targets, pred_a=pred_a, pred_b=pred_b, n_classes=n_classes, group_index=partition(self.groups).index)


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleMeans:
    """One value per sample and model."""

    groups: npt.NDArray[np.str_]
    """Group names."""
    a: FloatArray
    """Means of a."""
    b: FloatArray
    """Means of b."""
