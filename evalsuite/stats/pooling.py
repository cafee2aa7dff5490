"""One number for a study: the mean paired difference over the distinct questions of its tasks.

Tasks repeat each other: translations, versions with four and with five options, subsets. A mean of the tasks' means would count such
questions twice and take them for independent. Here a question that stands in several tasks has one weight, split among them, and all
that hangs together, in whatever task, is one group (DESIGN 2.7).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from evalsuite.metrics.base import Metric
from evalsuite.seeds import derive_seed
from evalsuite.stats.arrays import (
    FloatArray,
    IntArray,
    Interval,
    LeastVariation,
    checked_values,
    equivalence_test,
    group_sums,
    partition,
    t_interval,
)
from evalsuite.stats.bootstrap import resampled_ratios
from evalsuite.stats.design import MIN_GROUPS, AnalysisDesign, Role
from evalsuite.stats.differences import sample_differences
from evalsuite.stats.paired import units_under
from evalsuite.stats.randomisation import sign_flip_p
from evalsuite.stats.restricted import with_discordance
from evalsuite.stats.tables import Cells, PairedUnits, sample_means
from evalsuite.stats.verdicts import adjudicate
from evalsuite.types import Tell, untold

Pair = tuple[str, str]
PrimaryUnits = Mapping[Pair, Mapping[str, PairedUnits]]
"""Pair to task to their paired answers in the primary cell, in the order of the study."""
Weights = Literal["questions", "tasks"]

NUMBERS = (
    "n_questions", "mean_a", "mean_b", "difference", "se", "ci_low", "ci_high", "ci_level", "p_value", "p_adjusted", "margin",
    "equivalence_low", "equivalence_high", "p_equivalence", "p_equivalence_adjusted", "boot_low", "boot_high", "p_a_noninferior",
    "p_a_noninferior_adjusted", "p_b_noninferior", "p_b_noninferior_adjusted",
)  # fmt: skip
COUNTS = ("n_tasks", "n_samples", "n_groups")
CLAIMS = ("within_margin", "a_noninferior", "b_noninferior")
COLUMNS = (
    "scope", "model_a", "model_b", "strategy", "perturbation", "tasks", "n_tasks", "n_samples", "n_questions", "n_groups", "mean_a",
    "mean_b", "difference", "se", "ci_low", "ci_high", "ci_level", "p_value", "p_adjusted", "margin", "equivalence_low",
    "equivalence_high", "p_equivalence", "p_equivalence_adjusted", "within_margin", "verdict", "role", "boot_low", "boot_high",
    "left_out", "status_note", "method", "pooling", "p_a_noninferior", "p_a_noninferior_adjusted", "p_b_noninferior",
    "p_b_noninferior_adjusted", "a_noninferior", "b_noninferior",
)  # fmt: skip

COUNTED = {"questions": "each distinct question counts the same", "tasks": "each task counts the same, repeated questions once"}


def primary_units(cells: Cells, design: AnalysisDesign) -> dict[Pair, dict[str, PairedUnits]]:
    """Paired answers of every pair and task in the primary cell, faults and all; see `tables.pair_units`."""
    return {
        pair: {task: units_under(cells, design, task, pair, design.primary_strategy) for task in design.primary_metric}
        for pair in design.pairs
    }


def primary_rows(comparisons: pd.DataFrame, design: AnalysisDesign, pair: Pair) -> pd.DataFrame:
    """Comparisons of a pair in the primary cell over all samples, one per task, whatever role they have."""
    metrics = comparisons["task"].map(dict(design.primary_metric))
    inside = (comparisons["strategy"] == design.primary_strategy) & (comparisons["perturbation"] == design.primary_perturbation)
    own = (comparisons["model_a"] == pair[0]) & (comparisons["model_b"] == pair[1]) & (comparisons["subset"] == "all")
    return comparisons[inside & own & (comparisons["metric"] == metrics)]


def pooled_frame(
    units: PrimaryUnits, design: AnalysisDesign, *, languages: Mapping[str, str], families: Mapping[str, str], tell: Tell = untold
) -> pd.DataFrame:
    """The mean paired difference over tasks, per scope and pair.

    The estimand: the mean of d = a - b over the distinct questions of the tasks, in the primary cell, with the weights of
    `sample_weights`. Only metrics that are right or wrong per sample enter, as the share of right answers; a task with another metric
    is no part of the estimand, and `left_out` says so. A task of the estimand that cannot enter (failures, answers of one side only, no
    samples, not run) takes the numbers and the verdict with it: what was stated beforehand does not lose a task in silence.

    Interval: `weighted_interval`. p: sign flips of the sums of w d over the global groups, all tasks of a group at once. Sensitivity:
    percentile bootstrap over global groups. Equivalence and non-inferiority: `arrays.equivalence_test` with
    `least_pooled_variation`, raised by `restricted.with_discordance`. Over one task all numbers are those of its comparison, resamples
    included. Correction: over the pairs of the study (`design.n_pairs`), a family of its own, in the scope `all`; other scopes are
    exploratory and read off the plain p. Verdicts as in `compare`; a side without any readable answer in one
    of the tasks allows no verdict but a difference.

    Args:
        units: from `primary_units`.
        design: the analysis.
        languages: task to ISO 639-1; a scope `language:<code>` for each where the tasks have several.
        families: task to family; a scope `family:<name>` for each with two tasks or more, unless it is the whole study.
        tell: told of progress, in scopes and pairs.

    Returns:
        `COLUMNS`; no rows where no task has a right-or-wrong metric. Does not depend on the order of rows of the scores.
    """
    wanted = [(scope, pair) for scope in scopes_of(design, languages, families) for pair in design.pairs]
    rows = []
    for scope, pair in wanted:
        rows.append(pooled_row(scope, pair, units[pair], design))
        tell("pooling", len(rows), len(wanted))
    for row in adjudicate(rows, replace(design, n_family=design.n_pairs)):
        if row["unread"] and row["status_note"].startswith("no answer of"):
            row["status_note"] += f" in {row['silent']}"
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    types: dict[str, Any] = {**dict.fromkeys(NUMBERS, "float64"), **dict.fromkeys(COUNTS, "int64"), **dict.fromkeys(CLAIMS, "boolean")}
    return frame.astype(types)


def scopes_of(design: AnalysisDesign, languages: Mapping[str, str], families: Mapping[str, str]) -> Iterator[Scope]:
    """`all` (the tasks that the study pools), then languages and families by name; none of them without a task of the estimand."""
    tasks = [task for task, name in design.primary_metric.items() if is_share(design.metrics[name])]
    if not tasks:
        return
    if any(design.pools(task) for task in tasks):
        yield whole_study(design)
    for kind, labels in (("language", languages), ("family", families)):
        for label in sorted({labels[task] for task in tasks if task in labels}):
            members = [task for task in tasks if labels.get(task) == label]
            if members != tasks and (kind == "language" or len(members) > 1):
                whole = tuple(task for task in design.primary_metric if labels.get(task) == label)
                yield Scope(name=f"{kind}:{label}", tasks=whole, role="exploratory")


def whole_study(design: AnalysisDesign) -> Scope:
    """The tasks of the mean that was stated beforehand."""
    tasks = tuple(task for task in design.primary_metric if design.pools(task))
    return Scope(name="all", tasks=tasks, role="exploratory" if design.exploratory else "primary")


def is_share(metric: Metric) -> bool:
    """Whether a mean of the metric is a share of right answers: right or wrong per sample, worst and best one apart."""
    return metric.binary and metric.of_set is None and abs(metric.best - metric.worst) == 1


def pooled_row(scope: Scope, pair: Pair, units: Mapping[str, PairedUnits], design: AnalysisDesign) -> dict[str, Any]:
    """One row before correction: counts always, numbers unless a task of the estimand is missing."""
    outside, lost = left_out_of(scope, units, design)
    tasks = [task for task in scope.tasks if task not in outside and task not in lost]
    entered = {task: units[task] for task in tasks}
    pooled = pooled_samples(entered, {task: design.metrics[design.primary_metric[task]] for task in tasks})
    groups = partition(pooled.groups)
    row: dict[str, Any] = {**dict.fromkeys(COLUMNS), "scope": scope.name, "model_a": pair[0], "model_b": pair[1], "role": scope.role}
    row |= {"strategy": design.primary_strategy, "perturbation": design.primary_perturbation, "pooling": design.pooling, "method": ""}
    row |= {"tasks": ",".join(tasks), "n_tasks": len(tasks), "n_samples": len(pooled.groups), "n_groups": len(groups.names)}
    row |= {"left_out": with_reasons({**lost, **outside})}
    silent = silent_tasks(entered)
    row |= {"ci_level": 1 - design.alpha, "margin": design.margin, "status_note": "", "unread": list(silent)}
    row["silent"] = ", ".join(dict.fromkeys(task for named in silent.values() for task in named))
    if lost:
        row["status_note"] = f"without {with_reasons(lost)} it is not the mean that was stated"
        return row
    if len(groups.names) < MIN_GROUPS:
        row["status_note"] = f"{len(groups.names)} groups, {MIN_GROUPS} are needed"
    # One task: the resamples of its comparison, so that both say the same. Sorted, so that (b, a) has the same p as (a, b).
    named = (tasks[0], design.primary_metric[tasks[0]]) if len(tasks) == 1 else ("pooled", scope.name)
    seed = derive_seed(design.seed, *named, design.primary_strategy, design.primary_perturbation, *sorted(pair))
    return row | pooled_numbers(pooled, groups.index, seed, design)


def left_out_of(scope: Scope, units: Mapping[str, PairedUnits], design: AnalysisDesign) -> tuple[dict[str, str], dict[str, str]]:
    """Tasks that are no part of the estimand, and tasks of it that cannot enter, each with the reason."""
    outside, lost = {}, {}
    for task in scope.tasks:
        name = design.primary_metric[task]
        if not is_share(design.metrics[name]):
            outside[task] = f"{name} is not right or wrong per sample"
        elif units[task].faults:
            lost[task] = "; ".join(units[task].faults)
        elif not units[task].n_samples:
            lost[task] = "no answers left"
    for task, name in design.not_run.items() if scope.name == "all" else ():
        if not design.pools(task):
            continue
        # A metric without a record may be right or wrong.
        if name not in design.metrics or is_share(design.metrics[name]):
            lost[task] = "not run"
    return outside, lost


def with_reasons(left_out: Mapping[str, str]) -> str:
    """Tasks with why they are left out, those of one reason together: `t, u (not run); v (1 failed answers)`."""
    reasons = dict.fromkeys(left_out.values())
    return "; ".join(f"{', '.join(task for task, why in left_out.items() if why == reason)} ({reason})" for reason in reasons)


def silent_tasks(entered: Mapping[str, PairedUnits]) -> dict[str, list[str]]:
    """Side (`a`, `b`) to the tasks in which not one of its answers could be read; sides without such a task are absent."""
    silent = {
        "a": [task for task, units in entered.items() if not units.n_a_scored],
        "b": [task for task, units in entered.items() if not units.n_b_scored],
    }
    return {side: tasks for side, tasks in silent.items() if tasks}


def pooled_samples(entered: Mapping[str, PairedUnits], metrics: Mapping[str, Metric]) -> PooledSamples:
    """Samples of several tasks below each other: shares of right answers of either side and their difference.

    Args:
        entered: task to paired answers without faults.
        metrics: task to its metric, of `is_share`.
    """
    nothing = np.zeros(0)
    tasks, groups, sides, differences = [nothing.astype(np.int64)], [np.zeros(0, dtype=str)], [np.zeros((2, 0))], [nothing]
    for number, (task, units) in enumerate(entered.items()):
        means, metric = sample_means(units), metrics[task]
        groups.append(means.groups)
        tasks.append(np.full(len(means.groups), number))
        sides.append((np.stack([means.a, means.b]) - metric.worst) / (metric.best - metric.worst))
        differences.append(sample_differences(units, metric).values)
    a, b = np.concatenate(sides, axis=1)
    return PooledSamples(tasks=np.concatenate(tasks), groups=np.concatenate(groups), a=a, b=b, differences=np.concatenate(differences))


def pooled_numbers(pooled: PooledSamples, index: IntArray, seed: int, design: AnalysisDesign) -> dict[str, Any]:
    """Numbers of a pooled difference; `index` numbers the groups of its samples."""
    level = 1 - design.alpha
    counts = task_counts(pooled.tasks, index)
    weights = sample_weights(counts, pooled.tasks, index, design.pooling)
    interval = weighted_interval(pooled.differences, weights, index, level)
    test = sign_flip_p(weights * pooled.differences, index, design.n_resamples, seed)
    sums, sizes = group_sums(weights * pooled.differences, index), group_sums(weights, index)
    boot = np.full(2, np.nan)
    if len(sums) > 1:
        boot = np.quantile(
            resampled_ratios(sums, sizes, design.n_resamples, np.random.default_rng(seed)), [0.5 - level / 2, 0.5 + level / 2]
        )
    plain = least_pooled_variation(sizes, counts > 0, design.margin)
    least = with_discordance(plain, pooled.differences, index, design.margin, weights=weights, n_distinct=counts.max(axis=1))
    against_margin = equivalence_test(interval, design.margin, design.alpha, least)
    return {
        "n_questions": float(counts.max(axis=1).sum()),
        "mean_a": float(weights @ pooled.a / weights.sum()),
        "mean_b": float(weights @ pooled.b / weights.sum()),
        "difference": interval.estimate,
        "se": interval.se,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "p_value": test.p_value,
        "equivalence_low": against_margin.low,
        "equivalence_high": against_margin.high,
        "p_equivalence": against_margin.p_value,
        "p_a_noninferior": against_margin.p_above,
        "p_b_noninferior": against_margin.p_below,
        "boot_low": float(boot[0]),
        "boot_high": float(boot[1]),
        "method": f"{COUNTED[design.pooling]}; sign-flip over groups of all tasks, {test.method}; cluster-robust t",
    }


def weighed(pooled: PooledSamples, rule: Weights) -> tuple[IntArray, IntArray, FloatArray]:
    """Group number of each sample, `task_counts` of the groups, and `sample_weights`: what every mean over tasks needs."""
    index = partition(pooled.groups).index
    counts = task_counts(pooled.tasks, index)
    return index, counts, sample_weights(counts, pooled.tasks, index, rule)


def task_counts(tasks: IntArray, groups: IntArray) -> IntArray:
    """Samples of each group in each task, (G, T), from the task number and the group number of each sample."""
    n_tasks, n_groups = int(tasks.max()) + 1, int(groups.max()) + 1
    return np.bincount(groups * n_tasks + tasks, minlength=n_groups * n_tasks).reshape(n_groups, n_tasks)


def sample_weights(counts: IntArray, tasks: IntArray, groups: IntArray, rule: Weights) -> FloatArray:
    """Weight of each sample in a mean over tasks that may repeat each other's questions.

    `questions`: with n_gt samples of group g in task t, each sample of g has the weight max_t n_gt / sum_t n_gt. A question in two tasks
    counts once, half in each; a vignette with three questions in one task counts three; the group counts as often as in the task that
    holds most of it.

    `tasks`: the same with s_gt = n_gt / n_t, the part of task t that group g is, in place of n_gt: each sample of g in task t has the
    weight max_t s_gt / sum_t s_gt / n_t. Tasks that share nothing have the same total weight, tasks of the same questions have that of one
    task together, and a task with some questions in common with others loses weight for those alone. No threshold says when two tasks
    are one: a few duplicates between two large benchmarks must not halve both.

    Source: ours; the unit that is listed in several frames and counted once is that of multiplicity weights, Mecatti 2007 (Survey
    Methodology 33:151).

    Args:
        counts: from `task_counts`.
        tasks: task number of each sample.
        groups: group number of each sample.
        rule: what counts the same.

    Returns:
        Weights above 0; all 1 where there is one task.
    """
    if counts.shape[1] == 1:
        return np.ones(len(groups))
    sizes = np.ones(counts.shape[1]) if rule == "questions" else counts.sum(axis=0).astype(np.float64)
    parts = counts / sizes
    return np.asarray((parts.max(axis=1) / parts.sum(axis=1))[groups] / sizes[tasks], dtype=np.float64)


def weighted_interval(values: FloatArray, weights: FloatArray, group_index: IntArray, level: float) -> Interval:
    """Interval of a weighted mean over samples, robust to dependence within groups.

    The mean is a ratio of two sums over groups, of w x and of w. Its linearised variance is G/(G-1) sum_g (sum_{i in g} w_i (x_i - mean))^2
    over (sum w)^2; Student's t with G - 1 degrees of freedom. With weights of 1 it is `arrays.cluster_t_interval`.

    Source: linearised ratio, Cochran 1977 (Sampling Techniques, 3rd ed., ch. 6 and 9A); clusters as in Miller 2024 (arXiv 2411.00640).

    Args:
        values: n finite numbers.
        weights: n weights above 0, taken as known.
        group_index: n group numbers, see `arrays.checked_values`.
        level: in (0, 1).

    Returns:
        The interval; degenerate cases as in `arrays.cluster_t_interval`.
    """
    numbers, index, n_groups = checked_values(values, group_index)
    if numbers.size == 0:
        return t_interval(np.nan, np.nan, 0, level)
    if np.ptp(numbers) == 0:
        return t_interval(float(numbers[0]), 0.0, n_groups - 1, level)
    mean = float(weights @ numbers / weights.sum())
    if n_groups < 2:
        return t_interval(mean, np.nan, 0, level)
    residuals = group_sums(weights * (numbers - mean), index)
    variance = n_groups / (n_groups - 1) * float(residuals @ residuals) / float(weights.sum()) ** 2
    return t_interval(mean, float(np.sqrt(variance)), n_groups - 1, level)


def least_pooled_variation(group_weights: FloatArray, stands_in: npt.NDArray[np.bool_], margin: float) -> LeastVariation:
    """The least that a weighted mean of right-or-wrong differences is taken to vary if its true value is the margin m.

    `arrays.least_variation` with weights: a group with the weight W_g that is all-or-nothing moves the mean by W_g / W, W = sum W_g. If
    every group differs with the chance m, all in one direction, the variance is m (1 - m) sum W_g^2 / W^2; a group that can differ in
    part varies less, so that all-or-nothing is the cautious reading, as there.

    But the difference may sit in some tasks only. If it sits in a stratum s that is the part p_s = W_s / W of the mean, its groups
    differ with the chance m / p_s, and the variance is m / p_s (1 - m / p_s) sum_{g in s} W_g^2 / W^2: more than the above where s
    holds the heavy groups, as a small task does under the rule `tasks`. The floor is the largest over the strata and the whole; strata
    are the groups that stand in the same set of tasks, and one with p_s <= m cannot hold the difference. The half step is likewise
    that of the coarsest of these. With groups of one weight the whole decides, and over one task it is `arrays.least_variation`.

    Args:
        group_weights: W_g of each of G groups, above 0.
        stands_in: (G, T), whether group g has samples in task t.
        margin: above 0, in shares.
    """
    shares = group_weights / group_weights.sum()
    numbers: dict[bytes, int] = {}
    strata = [numbers.setdefault(row.tobytes(), len(numbers)) for row in np.packbits(stands_in, axis=1)]
    parts = np.append(np.bincount(strata, weights=shares), 1.0)
    squares = np.append(np.bincount(strata, weights=shares**2), shares @ shares)
    holds = parts > margin
    chance = margin / parts[holds]
    variance = (squares[holds] * chance * (1 - chance)).max(initial=0.0)
    step = (squares[holds] / parts[holds]).max(initial=0.0)
    return LeastVariation(se=float(np.sqrt(variance)), half_step=float(step) / 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """Tasks that are pooled."""

    name: str
    """`all`, `language:<code>` or `family:<name>`."""
    tasks: tuple[str, ...]
    """Tasks of the scope, those that are no part of the estimand among them."""
    role: Role
    """`primary` for the scope that was stated beforehand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PooledSamples:
    """Samples of several tasks; arrays of one length."""

    tasks: IntArray
    """Number of the task, in the order in which tasks entered."""
    groups: npt.NDArray[np.str_]
    """Global group names."""
    a: FloatArray
    """Shares of right answers of a, over replicates and variants."""
    b: FloatArray
    """The same of b."""
    differences: FloatArray
    """a - b, positive favours a."""
