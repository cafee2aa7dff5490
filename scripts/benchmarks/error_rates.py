"""How often intervals miss and tests err on simulated answers, with the package's own functions."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from math import sqrt
from typing import Any

import numpy as np

from benchmarks.paired_answers import Kind, Setting, answers_from, draw, linked_uniforms
from evalsuite.seeds import derive_seed
from evalsuite.stats.arrays import cluster_t_interval, equivalence_test, least_variation
from evalsuite.stats.bootstrap import cluster_bootstrap
from evalsuite.stats.multiplicity import holm
from evalsuite.stats.pooling import Weights, sample_weights, task_counts, weighted_interval
from evalsuite.stats.randomisation import mcnemar_p, sign_flip_p
from evalsuite.stats.restricted import with_discordance

LEVEL, ALPHA = 0.95, 0.05
N_RESAMPLES = 999
"""Of each test and bootstrap: with 999, p <= 0.05 happens with probability 0.05 exactly where p is uniform."""
N_LOOKED_AT = 1000
"""Repeats from which the shape of the groups' differences is taken."""
ROUNDING = 1e-12
"""By how much a limit may miss the true value."""


def coverage(setting: Setting, n_repeats: int, seed: int) -> list[Rate]:
    """How often the cluster-robust t interval holds the true difference, and what the rules of `Rate.rules` need."""
    differences, index = draw(setting, n_repeats, np.random.default_rng(derive_seed(seed, "coverage", repr(setting))))
    n_inside = 0
    for row in differences:
        interval = cluster_t_interval(row, index, LEVEL)
        n_inside += interval.low - ROUNDING <= setting.true_difference <= interval.high + ROUNDING
    n_seen = min(n_repeats, N_LOOKED_AT)
    cells = (np.arange(n_seen)[:, None] * setting.n_groups + index).ravel()
    sums = np.bincount(cells, weights=differences[:n_seen].ravel()).reshape(n_seen, -1)
    residuals = sums - setting.group_sizes * setting.true_difference
    return [
        Rate(
            setting=setting,
            method="t",
            share=n_inside / n_repeats,
            n_repeats=n_repeats,
            n_differing=float(np.count_nonzero(sums) / n_seen),
            skewness=float((residuals**3).mean() / (residuals**2).mean() ** 1.5),
        )
    ]


def coverage_beside_bootstrap(setting: Setting, n_repeats: int, seed: int) -> list[Rate]:
    """The same of three intervals on the same draws; a bootstrap interval that does not exist does not cover."""
    rng = np.random.default_rng(derive_seed(seed, "bootstrap", repr(setting)))
    differences, index = draw(setting, n_repeats, rng)
    n_inside = {"t": 0, "percentile": 0, "BCa": 0}
    for row, drawn in zip(differences, rng.integers(2**62, size=n_repeats), strict=True):
        interval = cluster_t_interval(row, index, LEVEL)
        limits = cluster_bootstrap(row, index, LEVEL, N_RESAMPLES, int(drawn))
        ends = {"t": (interval.low, interval.high), "percentile": (limits.low, limits.high), "BCa": (limits.bca_low, limits.bca_high)}
        for name, (low, high) in ends.items():
            n_inside[name] += low - ROUNDING <= setting.true_difference <= high + ROUNDING
    return [Rate(setting=setting, method=name, share=n / n_repeats, n_repeats=n_repeats) for name, n in n_inside.items()]


def false_positives(setting: Setting, n_repeats: int, seed: int) -> list[Rate]:
    """How often sign flips (single samples: McNemar too) find a difference at `ALPHA`."""
    rng = np.random.default_rng(derive_seed(seed, "null", repr(setting)))
    differences, index = draw(setting, n_repeats, rng)
    n_found = {"sign flips": 0, "t": 0} | ({"McNemar": 0} if setting.sizes == "single" else {})
    for row, drawn in zip(differences, rng.integers(2**62, size=n_repeats), strict=True):
        n_found["sign flips"] += sign_flip_p(row, index, N_RESAMPLES, int(drawn)).p_value <= ALPHA
        interval = cluster_t_interval(row, index, LEVEL)
        n_found["t"] += not interval.low - ROUNDING <= 0 <= interval.high + ROUNDING
        if "McNemar" in n_found:
            n_found["McNemar"] += mcnemar_p(int((row > 0).sum()), int((row < 0).sum())).p_value <= ALPHA
    return [Rate(setting=setting, method=name, share=n / n_repeats, n_repeats=n_repeats) for name, n in n_found.items()]


def equivalence_errors(setting: Setting, n_repeats: int, seed: int) -> list[Rate]:
    """How often models are called equivalent whose true difference is exactly the margin."""
    differences, index = draw(setting, n_repeats, np.random.default_rng(derive_seed(seed, "equivalence", repr(setting))))
    margin = setting.true_difference
    least = least_variation(setting.group_sizes, margin)
    n_found = 0
    for row in differences:
        floor = with_discordance(least, row, index, margin)
        n_found += equivalence_test(cluster_t_interval(row, index, LEVEL), margin, ALPHA, floor).p_value <= ALPHA
    return [Rate(setting=setting, method="two one-sided tests", share=n_found / n_repeats, n_repeats=n_repeats)]


def family_errors(family: Family, n_repeats: int, seed: int) -> list[Rate]:
    """How often Holm finds a difference in any task that has none, and how many of the true ones it finds.

    All tasks are asked of the same groups, so that their tests hang together.
    """
    rng = np.random.default_rng(derive_seed(seed, "family", repr(family)))
    setting = family.setting
    index = np.repeat(np.arange(setting.n_groups), setting.group_sizes)
    n_wrong = n_right = n_any = 0
    for _ in range(n_repeats):
        # The group's number is the same in every task.
        numbers = linked_uniforms(np.tile(index, family.n_tasks), setting.icc, 1, rng)[0].reshape(family.n_tasks, -1)
        p_values = []
        for task, row in enumerate(numbers):
            difference = family.difference if task < family.n_true else 0.0
            of_task = replace(setting, kinds=(Kind(difference=difference, correlation=setting.kinds[0].correlation),))
            a, b = answers_from(row, np.zeros(len(row), dtype=np.int64), of_task)
            p_values.append(sign_flip_p(a.astype(float) - b, index, N_RESAMPLES, int(rng.integers(2**62))).p_value)
        found = holm(p_values) <= ALPHA
        n_wrong += bool(found[family.n_true :].any())
        n_right += int(found[: family.n_true].sum())
        n_any += bool((np.array(p_values)[family.n_true :] <= ALPHA).any())
    rates = [("Holm, any false", n_wrong / n_repeats), ("uncorrected, any false", n_any / n_repeats)]
    if family.n_true:
        rates.append(("Holm, true ones found", n_right / n_repeats / family.n_true))
    return [Rate(setting=setting, method=name, share=share, n_repeats=n_repeats, family=family) for name, share in rates]


def pooled_rates(pooled: Pooled, n_repeats: int, seed: int) -> list[Rate]:
    """The mean over three tasks, of which two ask the same questions: coverage, and errors of sign flips where nothing differs.

    Beside it the same interval with every answer taken for independent, which is what a mean over tasks without links does.
    """
    rng = np.random.default_rng(derive_seed(seed, "pooled", repr(pooled)))
    setting, n = pooled.setting, pooled.setting.n_groups
    index = np.concatenate([np.arange(n), np.arange(n), np.arange(n, n + pooled.n_others)])
    tasks = np.repeat([0, 1, 2], [n, n, pooled.n_others])
    weights = sample_weights(task_counts(tasks, index), tasks, index, pooled.rule)
    expected = np.where(tasks == 2, 0.0, setting.true_difference)
    estimand = float(weights @ expected / weights.sum())
    n_inside = {"linked": 0, "unlinked": 0}
    n_found = 0
    own = replace(setting, kinds=(Kind(difference=0.0), *setting.kinds))
    for numbers in linked_uniforms(index, setting.icc, n_repeats, rng):
        a, b = answers_from(numbers, np.where(tasks == 2, 0, 1), own)
        differences = a.astype(np.float64) - b
        for name, groups in (("linked", index), ("unlinked", np.arange(len(index)))):
            interval = weighted_interval(differences, weights, groups, LEVEL)
            n_inside[name] += interval.low - ROUNDING <= estimand <= interval.high + ROUNDING
        if estimand == 0:
            n_found += sign_flip_p(weights * differences, index, N_RESAMPLES, int(rng.integers(2**62))).p_value <= ALPHA
    rates = [("linked", n_inside["linked"]), ("unlinked", n_inside["unlinked"]), *([("sign flips", n_found)] if estimand == 0 else [])]
    return [Rate(setting=setting, method=name, share=count / n_repeats, n_repeats=n_repeats, pooled=pooled) for name, count in rates]


def rates_of(measure: Callable[..., list[Rate]], cases: Sequence[Any], n_repeats: int, seed: int) -> list[Rate]:
    """A measure on every case, on all cores; each case has a seed of its own, so that neither order nor cores matter."""
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        found = pool.map(partial(measure, n_repeats=n_repeats, seed=seed), cases)
        return [rate for rates in found for rate in rates]


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """Tasks of one study that are compared at once."""

    setting: Setting
    """Groups, accuracy, icc and correlation of each task."""
    n_tasks: int = 10
    """Tasks."""
    n_true: int = 0
    """Tasks with a true difference, the first ones."""
    difference: float = 0.0
    """That difference."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pooled:
    """Three tasks: two with the same questions (single samples, linked by group), one with questions of its own."""

    setting: Setting
    """Of the linked tasks; its icc is the correlation of the two answers to one question. The third task has no true difference."""
    n_others: int
    """Questions of the third task."""
    rule: Weights = "questions"
    """What counts the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """A share of repeats."""

    setting: Setting
    """What was drawn."""
    method: str
    """Of which interval or test."""
    share: float
    """Share of the repeats in which it covered, or erred."""
    n_repeats: int
    """Repeats."""
    n_differing: float = float("nan")
    """Coverage: mean number of groups whose differences do not sum to 0."""
    skewness: float = float("nan")
    """Coverage: skewness of the groups' summed differences about their expectation."""
    family: Family | None = None
    """Families: which one."""
    pooled: Pooled | None = None
    """Means over tasks: which ones."""

    @property
    def rules(self) -> tuple[bool, bool, bool]:
        """Coverage: whether t may be trusted by three rules that were there before this simulation.

        1. At least 20 effective groups, n^2 / sum of squared group sizes (Kish 1965; Carter, Schnepel and Steigerwald 2017, Rev. Econ.
           Stat. 99:698, for cluster-robust t).
        2. At least 10 groups are expected to differ, as for the normal limit of a count.
        3. Groups number at least 25 times the squared skewness (Cochran 1977, Sampling Techniques, section 2.15).
        """
        sizes = self.setting.group_sizes
        effective = sizes.sum() ** 2 / float(sizes @ sizes)
        return effective >= 20, self.n_differing >= 10, self.setting.n_groups >= 25 * self.skewness**2

    @property
    def error(self) -> float:
        """Monte-Carlo standard error of the share."""
        return sqrt(self.share * (1 - self.share) / self.n_repeats)
