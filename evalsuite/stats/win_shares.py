"""Shares of comparisons that are won, tied and lost, with intervals that know that comparisons share questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from threadpoolctl import threadpool_limits

from evalsuite.metrics.base import Metric
from evalsuite.seeds import derive_seed
from evalsuite.stats.arrays import BLOCK_CELLS, FloatArray, group_sums, partition
from evalsuite.stats.compare import OF_COUNTS
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.differences import sample_differences
from evalsuite.stats.pooling import Pair, PrimaryUnits, primary_rows
from evalsuite.stats.set_metrics import evaluate_tables, group_tables
from evalsuite.stats.tables import PairedUnits
from evalsuite.types import Tell, untold

MAX_RESAMPLES = 2_000
"""Most resamples; shares are coarse, and their limits move little with more."""

OUTCOMES = (("win", "n_wins", 1), ("tie", "n_ties", 0), ("loss", "n_losses", -1))
LIMITS = tuple(f"{name}{end}" for name, _, _ in OUTCOMES for end in ("", "_low", "_high"))
COLUMNS = ("model_a", "model_b", "n_comparisons", "n_wins", "n_ties", "n_losses", *LIMITS, "ci_level", "method", "n_left_out")

Outcomes = npt.NDArray[np.int8]
"""1 win, 0 tie, -1 loss of a."""


def share_frame(
    comparisons: pd.DataFrame, units: PrimaryUnits, design: AnalysisDesign, n_classes: Mapping[str, int], tell: Tell = untold
) -> pd.DataFrame:
    """Wins, ties and losses of a over the tasks of each pair in the primary cell, and over all pairs and tasks.

    A win is a comparison whose 1 - alpha interval lies above 0, a loss one whose interval lies below, a tie any other: nothing is
    corrected for the number of comparisons, and a tie is no proof of equality. Source: Jeong et al. 2024 (arXiv 2411.04118), which
    prints such shares; how its interval was made could not be read (a percentile bootstrap, as far as is remembered). Ours is that of
    the comparison (`compare`), cluster-robust t.

    Comparisons without a verdict (`not_established`) are neither: they are left out and counted.

    The limits of the shares: the global groups of all tasks are drawn with replacement, together for all pairs and tasks, so that linked
    questions and shared ones stay together; each comparison is classified anew (`classify`), and the shares' percentiles are taken.
    They say how the shares would vary with new questions for the same tasks. They are rough: noise that is drawn anew comes on top of
    the noise that is in the data, which makes ties rarer than in the data (of comparisons without any true difference, about 83 % tie
    at level 0.95 in place of 95 %). Limits that leave the share itself out are therefore moved to it.

    Args:
        comparisons: from `compare.compare_frames`.
        units: from `pooling.primary_units`.
        design: pairs, primary cell, alpha, resamples (at most `MAX_RESAMPLES` are used), seed.
        n_classes: task to number of classes, for metrics of a set (`tables.class_counts`).
        tell: told of progress, in resamples.

    Returns:
        `COLUMNS`, pairs in order, then a row over all of them whose models are empty; nulls for a pair without a verdict. No rows if
        there is no comparison with one.
    """
    seen, keys, n_left_out = outcomes_of(comparisons, design)
    if not keys:
        return as_frame([])
    forms = [linear_form(units[pair][task], design.metrics[design.primary_metric[task]], n_classes.get(task, 0)) for pair, task in keys]
    n_resamples = min(design.n_resamples, MAX_RESAMPLES)
    seed = derive_seed(design.seed, "win shares", design.primary_strategy, design.primary_perturbation)
    parts = []
    # These products are small: threads of a linear algebra library would wait for each other far longer than they compute.
    with threadpool_limits(limits=1, user_api="blas"):
        for part in resampled_outcomes(forms, [task for _, task in keys], 1 - design.alpha, n_resamples, seed):
            parts.append(part)
            tell("resampling wins", sum(len(done) for done in parts), n_resamples)
    redrawn = np.concatenate(parts)
    method = (
        f"win: the {100 * (1 - design.alpha):g}% interval of the paired difference (cluster-robust t) lies above 0; loss: below; "
        f"tie: neither; not corrected; intervals of the shares: {n_resamples:,} resamples of the question groups of all tasks "
        "together, rough, since they make ties rarer than they are"
    )
    rows = []
    for pair in (*design.pairs, ("", "")):
        own = np.array([pair in (key[0], ("", "")) for key in keys])
        shares = shares_of(seen[own], redrawn[:, own], 1 - design.alpha) if own.any() else {}
        counted = {"n_comparisons": int(own.sum()), "n_left_out": n_left_out[pair] if pair in n_left_out else sum(n_left_out.values())}
        counted |= {count: int((seen[own] == value).sum()) for _, count, value in OUTCOMES}
        rows.append({"model_a": pair[0], "model_b": pair[1], "ci_level": 1 - design.alpha, "method": method, **counted, **shares})
    return as_frame(rows)


def outcomes_of(comparisons: pd.DataFrame, design: AnalysisDesign) -> tuple[Outcomes, list[tuple[Pair, str]], dict[Pair, int]]:
    """Outcome, and pair and task, of each comparison with a verdict; and per pair how many of the study's tasks have none."""
    outcomes: list[int] = []
    keys: list[tuple[Pair, str]] = []
    n_left_out = {}
    for pair in design.pairs:
        rows = primary_rows(comparisons, design, pair)
        rows = rows[rows["verdict"] != "not_established"]
        outcomes.extend(np.where(rows["ci_low"] > 0, 1, np.where(rows["ci_high"] < 0, -1, 0)).tolist())
        keys.extend((pair, str(task)) for task in rows["task"])
        n_left_out[pair] = len(design.primary_metric) + len(design.not_run) - len(rows)
    return np.array(outcomes, dtype=np.int8), keys, n_left_out


def linear_form(units: PairedUnits, metric: Metric, n_classes: int) -> LinearForm:
    """A comparison as a ratio of two sums over groups, which is what can be resampled by counting.

    Means over samples are such a ratio. A metric of a set is replaced by the mean of its jackknife pseudo-values, moved to the value
    itself: on the data the ratio and its standard error are exactly those of `set_metrics.jackknife_interval`, on resamples they are
    its linear approximation.

    Args:
        units: paired answers without faults.
        metric: their metric.
        n_classes: number of classes, for a metric of a set.
    """
    if metric.of_set is None:
        differences = sample_differences(units, metric)
        groups = partition(differences.groups)
        sums, bounds = group_sums(differences.values, groups.index), group_sums(np.abs(differences.values), groups.index)
        # What cancels within a group leaves a rounding error, whose sign means nothing.
        return LinearForm(
            names=groups.names, sums=np.where(np.abs(sums) <= 1e-12 * bounds, 0.0, sums), sizes=groups.sizes.astype(np.float64)
        )
    names, data = partition(units.groups).names, units.predictions(n_classes)
    tables = np.stack([group_tables(data, data.pred_a), group_tables(data, data.pred_b)])
    totals, fast = tables.sum(axis=1), OF_COUNTS.get(metric.name)
    exact = evaluate_tables(metric.of_set, totals)
    without = (totals[:, None] - tables).reshape(-1, *tables.shape[2:])
    agrees = fast is not None and np.allclose(fast(totals), exact, rtol=0, atol=1e-9)
    values: FloatArray = fast(without) if fast is not None and agrees else evaluate_tables(metric.of_set, without)
    without_a, without_b = np.split(values, 2)
    full, left = exact[0] - exact[1], without_a - without_b
    pseudo = full + (len(left) - 1) * (left.mean() - left)
    return LinearForm(names=names, sums=pseudo if metric.higher_is_better else -pseudo, sizes=np.ones(len(left)))


def resampled_outcomes(forms: Sequence[LinearForm], tasks: Sequence[str], level: float, n_resamples: int, seed: int) -> Iterator[Outcomes]:
    """Outcomes of K comparisons on resamples of their groups, in blocks of rows that together are (n_resamples, K).

    Everything that an interval needs is a sum over groups (`moments`), so that a resample is a vector of counts and a block of them a
    matrix product per task.

    Args:
        forms: K comparisons.
        tasks: task of each; comparisons of one task are multiplied together.
        level: of the intervals, in (0, 1).
        n_resamples: at least 1.
        seed: of the draws.
    """
    groups = {name: number for number, name in enumerate(sorted({name for form in forms for name in form.names}))}
    n_groups = len(groups)
    plans = []
    for task in dict.fromkeys(tasks):
        own = [number for number, other in enumerate(tasks) if other == task]
        union = sorted({groups[name] for number in own for name in forms[number].names})
        place = {number: row for row, number in enumerate(union)}
        table = np.zeros((len(union), 6, len(own)))
        for column, number in enumerate(own):
            table[[place[groups[name]] for name in forms[number].names], :, column] = moments(forms[number])
        # The groups of a task often stand together, and then need not be copied.
        together = len(union) == union[-1] - union[0] + 1
        plans.append((np.array(own), slice(union[0], union[-1] + 1) if together else np.array(union), table))
    critical = critical_values(max(n_groups, 2), level)
    rng = np.random.default_rng(seed)
    block = max(1, BLOCK_CELLS // n_groups)
    for start in range(0, n_resamples, block):
        n_rows = min(block, n_resamples - start)
        drawn = rng.integers(0, n_groups, size=(n_rows, n_groups))
        counts = np.stack([np.bincount(row, minlength=n_groups) for row in drawn]).astype(np.float64)
        outcomes = np.zeros((n_rows, len(forms)), dtype=np.int8)
        for members, rows, table in plans:
            sums = (counts[:, rows] @ table.reshape(len(table), -1)).reshape(n_rows, 6, len(members))
            outcomes[:, members] = classify(sums, critical)
        yield outcomes


def moments(form: LinearForm) -> FloatArray:
    """What `classify` sums over groups, (G, 6): the sum, the size, their squares and product, and 1 for the group itself."""
    s, n = form.sums, form.sizes
    return np.column_stack([s, n, s * s, s * n, n * n, np.ones(len(s))])


def critical_values(n_groups: int, level: float) -> FloatArray:
    """Student's t quantile of a two-sided interval by the number of groups, 0..n_groups; infinite below two."""
    return np.concatenate([[np.inf, np.inf], stats.t.ppf(0.5 + level / 2, np.arange(1, n_groups))])


def classify(sums: FloatArray, critical: FloatArray) -> Outcomes:
    """Outcomes from summed moments, by the interval of `arrays.cluster_t_interval`.

    sum_g (s_g - r n_g)^2 = sum s^2 - 2 r sum s n + r^2 sum n^2 with the ratio r = sum s / sum n. With fewer than two groups there is no
    interval: a tie.

    Args:
        sums: (rows, 6, K), see `moments`.
        critical: from `critical_values`.
    """
    s, n, ss, sn, nn, n_groups = np.moveaxis(sums, 1, 0)
    ratio = np.divide(s, n, out=np.zeros_like(s), where=n > 0)
    spread = np.maximum(ss - 2 * ratio * sn + ratio**2 * nn, 0.0)
    # Of equal differences exactly 0, not the rounding error of the three sums.
    spread[spread <= 1e-12 * ss] = 0.0
    scale = np.divide(n_groups, (n_groups - 1) * n**2, out=np.zeros_like(s), where=n_groups > 1)
    drawn = np.rint(n_groups).astype(np.int64)
    reach = np.where(drawn > 1, critical[drawn], 1.0) * np.sqrt(scale * spread)
    return np.where((drawn < 2) | (np.abs(ratio) <= reach), 0, np.sign(ratio)).astype(np.int8)


def shares_of(seen: Outcomes, redrawn: Outcomes, level: float) -> dict[str, float]:
    """Share of each outcome with its limits.

    Args:
        seen: outcomes of K comparisons.
        redrawn: (resamples, K), the same on resamples.
        level: of the limits.
    """
    shares: dict[str, float] = {}
    for name, _, value in OUTCOMES:
        share = float((seen == value).mean())
        low, high = np.quantile((redrawn == value).mean(axis=1), [0.5 - level / 2, 0.5 + level / 2])
        shares |= {name: share, f"{name}_low": min(float(low), share), f"{name}_high": max(float(high), share)}
    return shares


def as_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table of `COLUMNS` with fixed types, empty or not."""
    counts = dict.fromkeys(("n_comparisons", "n_left_out", *(count for _, count, _ in OUTCOMES)), "int64")
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({**dict.fromkeys((*LIMITS, "ci_level"), "float64"), **counts})


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearForm:
    """A difference as a ratio of two sums over groups."""

    names: tuple[str, ...]
    """Sorted names of the groups."""
    sums: FloatArray
    """Sum of each group's differences, positive favours a."""
    sizes: FloatArray
    """Samples of each group."""
