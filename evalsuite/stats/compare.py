"""Paired comparisons and verdicts: comparisons.csv from scores and a pre-stated analysis (DESIGN 2.6).

A comparison is one pair in one condition. Those of the primary cell with each task's primary metric are the primary family, those of the
stated further cells the secondary one; all others are exploratory. Its numbers come from `arrays`, `bootstrap`, `randomisation` and
`set_metrics`; here they are oriented so that positive favours a. `verdicts` corrects them and turns them into words.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from evalsuite.metrics.base import Metric
from evalsuite.seeds import derive_seed
from evalsuite.stats.arrays import (
    FloatArray,
    IntArray,
    Interval,
    LeastVariation,
    cluster_t_interval,
    equivalence_test,
    least_variation,
    partition,
)
from evalsuite.stats.bootstrap import cluster_bootstrap
from evalsuite.stats.design import MIN_GROUPS, AnalysisDesign, Role
from evalsuite.stats.differences import sample_differences
from evalsuite.stats.randomisation import McNemar, Randomisation, mcnemar_p, sign_flip_p
from evalsuite.stats.restricted import with_discordance
from evalsuite.stats.set_metrics import OfCounts, macro_f1_of_counts, set_metric_comparison
from evalsuite.stats.tables import (
    Cells,
    Condition,
    PairedUnits,
    class_counts,
    excluded_samples,
    pair_units,
    sample_means,
    split_conditions,
)
from evalsuite.stats.verdicts import adjudicate
from evalsuite.types import Tell, untold

OF_COUNTS: Mapping[str, OfCounts] = MappingProxyType({"macro_f1": macro_f1_of_counts})
"""Fast forms of set metrics, by metric name; used only where they agree with the metric itself."""

NUMBERS = (
    "mean_a", "mean_b", "difference", "ci_low", "ci_high", "p_value", "p_adjusted", "equivalence_low", "equivalence_high",
    "p_equivalence", "p_equivalence_adjusted", "p_mcnemar", "boot_low", "boot_high", "p_a_noninferior", "p_a_noninferior_adjusted",
    "p_b_noninferior", "p_b_noninferior_adjusted", "bca_low", "bca_high", "p_mcnemar_mid",
)  # fmt: skip
CLAIMS = ("within_margin", "a_noninferior", "b_noninferior")
COUNTS = ("n_samples", "n_groups", "n_excluded", "n_failed", "n_a_missing", "n_b_missing")
COLUMNS = (
    "task", "metric", "strategy", "perturbation", "model_a", "model_b", "family", "role", "n_samples", "n_groups", "n_excluded",
    "mean_a", "mean_b", "difference", "ci_low", "ci_high", "ci_level", "p_value", "p_adjusted", "method", "margin",
    "equivalence_low", "equivalence_high", "p_equivalence", "p_equivalence_adjusted", "within_margin", "verdict",
    "subset", "p_mcnemar", "boot_low", "boot_high", "n_failed", "status_note", "n_a_missing", "n_b_missing",
    "p_a_noninferior", "p_a_noninferior_adjusted", "p_b_noninferior", "p_b_noninferior_adjusted", "a_noninferior", "b_noninferior",
    "bca_low", "bca_high", "p_mcnemar_mid",
)  # fmt: skip
"""comparisons.csv: the contract's columns in its order, then ours."""


def compare_frames(scores: pd.DataFrame, design: AnalysisDesign, tell: Tell = untold, *, cells: Cells | None = None) -> pd.DataFrame:
    """All comparisons of a study, families first, with verdicts.

    Primary family: `design.pairs` x tasks of `design.primary_metric` in the primary cell; each has a row even without scores. The
    correction runs over `design.n_family` tests, of which those that cannot be made (faults, fewer than `MIN_GROUPS` groups, no row in a
    study that was narrowed) count as p = 1; equivalence and the two non-inferiorities are corrected in families of their own. Secondary
    family: the same in each of `design.secondary_cells`, of `design.n_secondary` tests, behind the gate of the primary one
    (`verdicts.adjudicate`). Exploratory rows: every other condition in `scores` of which a pair has any scores, and for the primary
    condition one row `without:<tag>` per tag that touches its samples. They have no adjusted p; their verdict is read off the unadjusted p,
    which their role says. After a changed analysis (`design.exploratory`) every row is exploratory.

    A pair with failures, answers of one side only or renditions that differ has counts and a note, no numbers, and the
    verdict `not_established`; with fewer than `MIN_GROUPS` groups it has its numbers and the same verdict. So has a pair without
    a difference of which one side has no readable answer at all: the missing rule may call it worse, not as good.

    Args:
        scores: columns of scores.parquet.
        design: the analysis.
        tell: told of progress, in comparisons.
        cells: the same scores as `tables.split_conditions` cuts them; None: they are cut here.

    Returns:
        `COLUMNS`; nulls where a number does not exist. Does not depend on the order of rows of `scores`.

    Raises:
        ValueError: the table is not one of scores (`tables.split_conditions`), a primary metric has no record, or a family
            has more rows than was stated.
    """
    unknown = sorted(set(design.primary_metric.values()) - set(design.metrics))
    if unknown:
        raise ValueError(f"no record of the metrics {', '.join(unknown)}")
    cells = split_conditions(scores, design.metrics) if cells is None else cells
    n_classes = class_counts(scores, design.metrics)
    rows = []
    wanted = list(planned_comparisons(cells, design))
    for planned in wanted:
        rows.append(compare_pair(planned, cells.get(planned.condition, {}), n_classes.get(planned.condition.task, 0), design))
        tell("comparing", len(rows), len(wanted))
    return as_frame(adjudicate(rows, design))


def planned_comparisons(cells: Mapping[Condition, Mapping[str, pd.DataFrame]], design: AnalysisDesign) -> Iterator[Planned]:
    """Which comparisons there are, in the order of the table: the families, subsets of the primary one, then everything else."""
    family = [
        Condition(task=task, metric=metric, strategy=design.primary_strategy, perturbation=design.primary_perturbation)
        for task, metric in design.primary_metric.items()
    ]
    further = [
        Condition(task=task, metric=metric, strategy=strategy, perturbation=perturbation)
        for strategy, perturbation in design.secondary_cells
        for task, metric in design.primary_metric.items()
    ]
    stated = [*family, *([] if design.exploratory else further)]
    for condition in stated:
        for a, b in design.pairs:
            yield Planned(condition=condition, a=a, b=b, role=design.role_of(**condition.columns()))
    for condition in family:
        tags = design.tags.get(condition.task, {})
        for a, b in design.pairs:
            models = cells.get(condition, {})
            present = {sample for model in (a, b) if model in models for sample in models[model].index.get_level_values("sample_id")}
            for tag in sorted({tag for sample in present for tag in tags.get(sample, ())}):
                tagged = frozenset(sample for sample in present if tag in tags.get(sample, ()))
                yield Planned(condition=condition, a=a, b=b, role="exploratory", subset=f"without:{tag}", left_out=tagged)
    for condition in sorted(set(cells) - set(stated)):
        for a, b in design.pairs:
            if a in cells[condition] or b in cells[condition]:
                yield Planned(condition=condition, a=a, b=b, role="exploratory")


def compare_pair(planned: Planned, cells: Mapping[str, pd.DataFrame], n_classes: int, design: AnalysisDesign) -> dict[str, Any]:
    """One row before correction: counts always, numbers unless faults forbid them."""
    condition = planned.condition
    metric = design.metrics[condition.metric]
    excluded = excluded_samples(design.exclude, condition.task) | planned.left_out
    units = pair_units(cells.get(planned.a), cells.get(planned.b), metric, design.missing, excluded)
    row: dict[str, Any] = {**dict.fromkeys(COLUMNS), **condition.columns(), "model_a": planned.a, "model_b": planned.b}
    row |= {"family": planned.role, "role": planned.role, "subset": planned.subset, "margin": design.margin, "method": ""}
    row |= {"n_samples": units.n_samples, "n_groups": units.n_groups, "n_excluded": units.n_all_samples - units.n_samples}
    row |= {"n_failed": units.n_failed, "n_a_missing": units.n_a_missing, "n_b_missing": units.n_b_missing}
    row |= {"status_note": "; ".join(units.faults) or note_of(units), "ci_level": 1 - design.alpha}
    row["unread"] = [side for side, n_scored in (("a", units.n_a_scored), ("b", units.n_b_scored)) if not n_scored]
    if units.faults or units.n_samples == 0:
        return row
    # Sorted, so that (b, a) sees the same signs and has the same p as (a, b).
    names = sorted((planned.a, planned.b))
    seed = derive_seed(design.seed, condition.task, condition.metric, condition.strategy, condition.perturbation, *names)
    if metric.of_set is not None:
        return row | set_numbers(units, metric, n_classes, design, seed)
    return row | mean_numbers(units, metric, design, seed)


def note_of(units: PairedUnits) -> str:
    """Why paired answers without faults are too few for a verdict; empty if they are enough."""
    if units.n_samples == 0 and units.n_a_missing + units.n_b_missing:
        return f"no answers left: {units.n_a_missing} of a and {units.n_b_missing} of b were missing"
    if units.n_samples == 0:
        return "no answers left: every sample was refused or excluded"
    return f"{units.n_groups} groups, {MIN_GROUPS} are needed" if units.n_groups < MIN_GROUPS else ""


def mean_numbers(units: PairedUnits, metric: Metric, design: AnalysisDesign, seed: int) -> dict[str, Any]:
    """Numbers of a comparison of means over samples."""
    means = sample_means(units)
    groups = partition(means.groups)
    index = groups.index
    differences = sample_differences(units, metric).values
    interval = cluster_t_interval(differences, index, 1 - design.alpha)
    test = sign_flip_p(differences, index, design.n_resamples, seed)
    resampled = cluster_bootstrap(differences, index, 1 - design.alpha, design.n_resamples, seed)
    mcnemar = mcnemar_of(means.a, means.b, metric) if len(index) == units.n_groups else None
    return {
        **shared_numbers(interval, test),
        **margin_numbers(interval, floor_of(groups.sizes, metric, design, interval.se, differences, index), design),
        "method": f"sign-flip over groups, {test.method}; cluster-robust t",
        "mean_a": float(means.a.mean()),
        "mean_b": float(means.b.mean()),
        "p_mcnemar": None if mcnemar is None else mcnemar.p_value,
        "p_mcnemar_mid": None if mcnemar is None else mcnemar.p_mid,
        "boot_low": resampled.low,
        "boot_high": resampled.high,
        "bca_low": resampled.bca_low,
        "bca_high": resampled.bca_high,
    }


def set_numbers(units: PairedUnits, metric: Metric, n_classes: int, design: AnalysisDesign, seed: int) -> dict[str, Any]:
    """Numbers of a comparison on a metric of the whole cell; variants and replicates enter as answers of their sample's group."""
    if metric.of_set is None:
        raise ValueError(f"{metric.name} is no metric of a set")
    level, fast = 1 - design.alpha, OF_COUNTS.get(metric.name)
    result = set_metric_comparison(metric.of_set, units.predictions(n_classes), level, design.n_resamples, seed, fast)
    interval = result.interval
    if not metric.higher_is_better:
        interval = Interval(
            estimate=-interval.estimate, low=-interval.high, high=-interval.low, se=interval.se, df=interval.df, level=level
        )
    return {
        **shared_numbers(interval, result.test),
        **margin_numbers(interval, floor_of(partition(units.groups).sizes, metric, design, interval.se), design),
        "method": f"answers swapped within groups, {result.test.method}; jackknife t over groups",
        "mean_a": result.value_a,
        "mean_b": result.value_b,
    }


def shared_numbers(interval: Interval, test: Randomisation) -> dict[str, Any]:
    """Difference, interval and p of an oriented difference."""
    return {"difference": interval.estimate, "ci_low": interval.low, "ci_high": interval.high, "p_value": test.p_value}


def floor_of(
    group_sizes: IntArray,
    metric: Metric,
    design: AnalysisDesign,
    se: float,
    differences: FloatArray | None = None,
    group_index: IntArray | None = None,
) -> LeastVariation | None:
    """What a difference is taken to vary at least in a test against the margin: what was not seen is not taken for what cannot be.

    Right-or-wrong metrics have the floor of `arrays.least_variation`, raised by the discordance that was seen
    (`restricted.with_discordance`). Metrics of a set of classes have the plain floor by analogy: exact where all classes are as
    frequent, too low for one whose score hangs on a rare class. Replicates and variants are treated as all-or-nothing too. Other
    metrics have the plain floor only where the differences do not vary at all: between bounded values a true difference of the margin
    needs a non-zero difference in at least margin / span of the samples, so that the same bound holds for seeing none of them.

    Args:
        group_sizes: samples (set metrics: answers) per group.
        metric: its kind and span.
        design: margin.
        se: standard error of the difference.
        differences: per sample; None for a metric of a set.
        group_index: of the differences.

    Returns:
        The floor; None where there is none.
    """
    span = abs(metric.best - metric.worst)
    no_variation = math.isfinite(span) and se <= 1e-12 * span
    if not (math.isfinite(span) and (metric.binary or metric.of_set is not None or no_variation)):
        return None
    least = least_variation(group_sizes, design.margin, span)
    if not metric.binary or differences is None or group_index is None:
        return least
    return with_discordance(least, differences, group_index, design.margin, span=span)


def margin_numbers(interval: Interval, least: LeastVariation | None, design: AnalysisDesign) -> dict[str, Any]:
    """Equivalence and non-inferiority of an oriented difference, under the floor of `floor_of`."""
    result = equivalence_test(interval, design.margin, design.alpha, least)
    return {
        "equivalence_low": result.low,
        "equivalence_high": result.high,
        "p_equivalence": result.p_value,
        "p_a_noninferior": result.p_above,
        "p_b_noninferior": result.p_below,
    }


def mcnemar_of(a: FloatArray, b: FloatArray, metric: Metric) -> McNemar | None:
    """McNemar's test over samples; None unless every value is the metric's worst or best."""
    both = np.concatenate([a, b])
    if not metric.binary or not np.isin(both, [metric.worst, metric.best]).all():
        return None
    return mcnemar_p(int(((a == metric.best) & (b != a)).sum()), int(((b == metric.best) & (b != a)).sum()))


def as_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table of `COLUMNS` with fixed types, empty or not."""
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    types: dict[str, Any] = {**dict.fromkeys((*NUMBERS, "ci_level", "margin"), "float64"), **dict.fromkeys(COUNTS, "int64")}
    return frame.astype({**types, **dict.fromkeys(CLAIMS, "boolean")})


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """One comparison to be made."""

    condition: Condition
    """Where."""
    a: str
    """The model that positive differences favour."""
    b: str
    """The other model."""
    role: Role
    """The family that it belongs to."""
    subset: str = "all"
    """`all`, or `without:<tag>`."""
    left_out: frozenset[str] = frozenset()
    """Sample ids that the subset leaves out."""
