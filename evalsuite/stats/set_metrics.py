"""Metrics that are functions of a whole cell (macro-F1 and the like) on plain arrays. NumPy and SciPy only.

Everything such a metric reads is the table of counts (target, prediction), so each group is kept as its own table:
leaving a group out, drawing groups, and swapping the two models' answers within groups are sums of tables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from evalsuite.stats.arrays import BLOCK_CELLS, FloatArray, IntArray, Interval, checked_values, t_interval
from evalsuite.stats.randomisation import TOLERANCE, Randomisation, flipped_sums, is_exact, p_of_counts

OfSet = Callable[[IntArray, IntArray, int], float]
"""(targets, predictions, n_classes) -> value, as `metrics.base.Metric.of_set`; must not depend on the order of samples."""
OfCounts = Callable[[FloatArray], FloatArray]
"""The same metric from (m, C, C + 1) tables of counts (rows targets, last column no answer) -> m values."""


def macro_f1_of_counts(counts: FloatArray) -> FloatArray:
    """Macro-averaged F1 of (m, C, C + 1) tables of counts, over the classes that occur as target or as prediction.

    F1_c = 2 TP_c / (targets_c + predictions_c); a class that occurs in neither is left out; no class at all: 0. Source: van
    Rijsbergen 1979 (F1), averaged over classes as scikit-learn's `f1_score(average="macro")`.
    """
    n_classes = counts.shape[-2]
    right = np.diagonal(counts[..., :n_classes], axis1=-2, axis2=-1)
    occurs = counts.sum(axis=-1) + counts[..., :n_classes].sum(axis=-2)
    f1 = np.divide(2 * right, occurs, out=np.zeros_like(occurs), where=occurs > 0)
    return np.asarray(f1.sum(axis=-1) / np.maximum((occurs > 0).sum(axis=-1), 1))


def group_tables(data: Predictions, predictions: IntArray) -> FloatArray:
    """Counts of (target, prediction) per group: (G, C, C + 1); the last column is no answer (-1).

    Raises:
        ValueError: a target is not in 0..C-1, a prediction not in -1..C-1, or lengths differ.
    """
    n = data.n_classes
    targets, index, n_groups = checked_values(data.targets, data.group_index)
    if len(predictions) != len(targets):
        raise ValueError("targets and predictions differ in length")
    if len(targets) and (targets.min() < 0 or targets.max() >= n or predictions.min() < -1 or predictions.max() >= n):
        raise ValueError("a target is not in 0..C-1 or a prediction not in -1..C-1")
    column = np.where(predictions < 0, n, predictions)
    cell = (index * n + targets.astype(np.int64)) * (n + 1) + column
    return np.bincount(cell, minlength=n_groups * n * (n + 1)).reshape(n_groups, n, n + 1).astype(np.float64)


def evaluate_tables(of_set: OfSet, tables: FloatArray) -> FloatArray:
    """Value of a set metric for each of (m, C, C + 1) tables, by writing each table out as samples."""
    n_classes = tables.shape[1]
    targets = np.repeat(np.arange(n_classes), n_classes + 1)
    predictions = np.tile(np.append(np.arange(n_classes), -1), n_classes)
    values = np.empty(len(tables))
    for row, table in enumerate(np.rint(tables).astype(np.int64).reshape(len(tables), -1)):
        values[row] = of_set(np.repeat(targets, table), np.repeat(predictions, table), n_classes)
    return values


def jackknife_interval(full: float, without: FloatArray, level: float) -> Interval:
    """Interval of a statistic from its values with each group left out in turn.

    Pseudo-values G f - (G - 1) f_(-g) are treated like the groups of a mean: their standard error is that of
    `arrays.cluster_t_interval` over groups of one, t with G - 1 degrees of freedom. The interval stands around the statistic
    itself, not around the mean of the pseudo-values, so that the printed difference is its centre. Source: Tukey 1958 (Ann.
    Math. Statist. 29:614); Efron and Stein 1981 (Ann. Statist. 9:586) for the variance about the statistic.

    Args:
        full: the statistic on all groups.
        without: the statistic without group g, for each of G groups.
        level: in (0, 1).
    """
    n_groups = len(without)
    if n_groups < 2:
        return t_interval(full, np.nan, 0, level)
    # The pseudo-values' standard error; of equal values exactly 0, not the rounding error of G f - (G - 1) f.
    spread = (n_groups - 1) * (without - without.mean())
    se = 0.0 if np.ptp(without) <= 1e-13 else float(np.sqrt(spread @ spread / (n_groups * (n_groups - 1))))
    return t_interval(full, se, n_groups - 1, level)


def set_metric_interval(of_set: OfSet, data: Predictions, level: float) -> Interval:
    """A set metric of one model (`pred_a`) with its jackknife interval; see `jackknife_interval`.

    Degenerate cases: no samples, all NaN; one group, the value with NaN limits.
    """
    tables = group_tables(data, data.pred_a)
    if not len(tables):
        return t_interval(np.nan, np.nan, 0, level)
    total = tables.sum(axis=0)
    values = evaluate_tables(of_set, np.concatenate([total[None], total - tables]) if len(tables) > 1 else total[None])
    return jackknife_interval(float(values[0]), values[1:], level)


def swap_test(evaluate: OfCounts, tables_a: FloatArray, tables_b: FloatArray, n_resamples: int, seed: int) -> Randomisation:
    """Approximate randomisation: the two models' answers are swapped in random groups; statistic |f(a) - f(b)|.

    Groups in which both have the same counts change nothing and are left out; exact when 2^(groups that differ) <=
    n_resamples. Source: Noreen 1989 (Computer-Intensive Methods for Testing Hypotheses); Yeh 2000 (COLING, 947-953) for
    F-measures. p as in `randomisation.p_of_counts`.
    """
    shape = tables_a.shape[1:]
    difference = (tables_a - tables_b).reshape(len(tables_a), -1)
    difference = difference[(difference != 0).any(axis=1)]
    # Columns in which no group differs stay zero under any swap.
    used = (difference != 0).any(axis=0)
    both = (tables_a + tables_b).sum(axis=0).reshape(-1)
    observed = abs(float(np.subtract(*evaluate(np.stack([tables_a.sum(axis=0), tables_b.sum(axis=0)])))))
    n_extreme, n_looked_at = 0, 0
    for flipped in flipped_sums(np.ascontiguousarray(difference[:, used]), n_resamples, seed):
        # Small parts, since each row of `flipped` becomes two full tables.
        for part in np.array_split(flipped, max(1, len(flipped) * both.size * 4 // BLOCK_CELLS)):
            shift = np.zeros((len(part), both.size))
            shift[:, used] = part
            swapped = evaluate(((both + shift) / 2).reshape(-1, *shape)) - evaluate(((both - shift) / 2).reshape(-1, *shape))
            n_extreme += int((np.abs(swapped) >= observed - TOLERANCE).sum())
        n_looked_at += len(flipped)
    exact = is_exact(len(difference), n_resamples)
    return Randomisation(p_value=p_of_counts(n_extreme, n_looked_at, exact=exact), exact=exact, n_resamples=n_looked_at)


def set_metric_comparison(
    of_set: OfSet, data: Predictions, level: float, n_resamples: int, seed: int, of_counts: OfCounts | None = None
) -> SetComparison:
    """Compare two models on a metric of the whole cell: f(a) - f(b), interval, p.

    Interval: `jackknife_interval` over groups. p: `swap_test`.

    Args:
        of_set: the metric; defines every value.
        data: targets and both models' predictions, one row per answer.
        level: in (0, 1).
        n_resamples: at least 1.
        seed: seed of the swaps.
        of_counts: the same metric from tables, used for the resamples if it agrees with `of_set` on the data, on the data
            without each group and on a swap; without it 300 groups and 10,000 resamples take seconds instead of parts.

    Returns:
        Values and interval NaN without samples; limits NaN for one group; p = 1 where the models' answers are the same.
    """
    if n_resamples < 1:
        raise ValueError("n_resamples must be at least 1")
    tables_a, tables_b = group_tables(data, data.pred_a), group_tables(data, data.pred_b)
    n_groups = len(tables_a)
    if n_groups == 0:
        nothing = Randomisation(p_value=1.0, exact=True, n_resamples=1)
        return SetComparison(value_a=np.nan, value_b=np.nan, interval=t_interval(np.nan, np.nan, 0, level), test=nothing)
    totals = np.stack([tables_a.sum(axis=0), tables_b.sum(axis=0)])
    even = np.arange(n_groups)[:, None, None] % 2 == 0
    swapped = np.stack([np.where(even, tables_b, tables_a).sum(axis=0), np.where(even, tables_a, tables_b).sum(axis=0)])
    left_out = np.concatenate([totals[0] - tables_a, totals[1] - tables_b]) if n_groups > 1 else totals[:0]
    probes = np.concatenate([totals, swapped, left_out])
    values = evaluate_tables(of_set, probes)
    # The two forms are written in different places; one that changes its mind about absent classes must not decide p in silence.
    agree = of_counts is not None and np.allclose(of_counts(probes), values, rtol=0, atol=1e-9)
    evaluate = of_counts if of_counts is not None and agree else partial(evaluate_tables, of_set)
    without_a, without_b = np.split(values[4:], 2)
    return SetComparison(
        value_a=float(values[0]),
        value_b=float(values[1]),
        interval=jackknife_interval(float(values[0] - values[1]), without_a - without_b, level),
        test=swap_test(evaluate, tables_a, tables_b, n_resamples, seed),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """Answers of one or two models to the same samples, as class numbers."""

    targets: IntArray
    """Right classes, 0..C-1, one per answer."""
    pred_a: IntArray
    """Predicted classes of the first model; -1: no answer."""
    pred_b: IntArray
    """Predicted classes of the second model; for one model the same as `pred_a`."""
    n_classes: int
    """C."""
    group_index: IntArray
    """Group number of each answer, see `arrays.checked_values`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SetComparison:
    """Result of `set_metric_comparison`."""

    value_a: float
    """f(a)."""
    value_b: float
    """f(b)."""
    interval: Interval
    """Of f(a) - f(b)."""
    test: Randomisation
    """Of f(a) = f(b)."""
