"""What is simulated: the grid of `simulate.py` and of the bench module `coverage`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import sqrt

from benchmarks.error_rates import (
    Family,
    Pooled,
    Rate,
    coverage,
    coverage_beside_bootstrap,
    equivalence_errors,
    false_positives,
    family_errors,
    pooled_rates,
    rates_of,
)
from benchmarks.exact_sums import ExactRate, equivalence_error
from benchmarks.paired_answers import Kind, Setting, Sizes
from evalsuite.stats.pooling import Weights

SEED = 4
N_GROUPS = (5, 10, 20, 50, 200)
ACCURACIES = (0.1, 0.3, 0.5, 0.7, 0.9)
DIFFERENCES = (0.0, 0.05, 0.1)
CLUSTERS: tuple[tuple[Sizes, float], ...] = (
    ("single", 0.0),
    ("five", 0.0),
    ("five", 0.3),
    ("unequal", 0.0),
    ("unequal", 0.3),
    ("dominant", 0.3),
)
HARDEST: tuple[tuple[Sizes, float], ...] = (("single", 0.0), ("five", 0.3), ("unequal", 0.3), ("dominant", 0.3))
EQUIVALENCE_CLUSTERS: tuple[tuple[Sizes, float, tuple[int, ...]], ...] = (
    ("single", 0.0, (150, 300, 1200)),
    ("five", 0.0, (200,)),
    ("five", 0.3, (200,)),
    ("unequal", 0.3, (200,)),
)
RULES: tuple[Weights, ...] = ("questions", "tasks")
MARGIN = 0.03
EVEN, UNEVEN, SKEWED = (
    (Kind(),),
    (Kind(share=0.5, correlation=0.9), Kind(share=0.5, correlation=0.1)),
    (Kind(share=0.8, difference=0.05), Kind(share=0.2, difference=-0.2)),
)
"""No true difference: groups of one kind; half of them with many discordant answers and half with few; a slightly better on most
and much worse on the others, so that signs are no coin tosses though the mean is 0."""


def coverage_cases(n_groups: Sequence[int] = N_GROUPS) -> list[Setting]:
    """Every combination of the grid."""
    return [
        Setting(n_groups=n, sizes=sizes, icc=icc, accuracy=accuracy, kinds=(Kind(difference=difference),))
        for difference in DIFFERENCES
        for sizes, icc in CLUSTERS
        for n in n_groups
        for accuracy in ACCURACIES
    ]


def bootstrap_cases() -> list[Setting]:
    """Few groups to many, where the accuracy is in the middle and where it is near the edge."""
    return [
        Setting(n_groups=n, sizes=sizes, icc=icc, accuracy=accuracy, kinds=(Kind(difference=0.05),))
        for sizes, icc in HARDEST[:3]
        for n in N_GROUPS
        for accuracy in (0.5, 0.9)
    ]


def null_cases() -> list[Setting]:
    """No true difference, in three ways."""
    return [
        Setting(n_groups=n, sizes=sizes, icc=icc, accuracy=accuracy, kinds=kinds)
        for kinds in (EVEN, UNEVEN, SKEWED)
        for sizes, icc in HARDEST
        for n in (10, 20, 50, 200)
        for accuracy in ((0.5,) if kinds is SKEWED else (0.1, 0.5))
    ]


def equivalence_cases() -> list[Setting]:
    """A true difference of the margin, with none to many answers that differ in the other direction."""
    return [
        Setting(n_groups=n, sizes=sizes, icc=icc, kinds=(kind_with(MARGIN, only_b),))
        for sizes, icc, group_counts in EQUIVALENCE_CLUSTERS
        for n in group_counts
        for only_b in (0.0, 0.002, 0.007, 0.02, 0.05)
    ]


def exact_cases() -> list[tuple[float, float, int]]:
    """Margin, share on which only b is right, and single samples."""
    return [(margin, only_b, n) for margin in (0.02, 0.03) for n in (300, 1200, 2000) for only_b in (0.0, 0.002, 0.007, 0.02)]


def kind_with(difference: float, only_b: float, accuracy: float = 0.5) -> Kind:
    """The kind on whose samples only b is right with a given probability."""
    a, b = accuracy + difference / 2, accuracy - difference / 2
    return Kind(difference=difference, correlation=(b - only_b - a * b) / sqrt(a * (1 - a) * b * (1 - b)))


def families() -> list[Family]:
    """Ten tasks over the same groups: none, four, nine with a true difference."""
    setting = Setting(n_groups=50, sizes="five", icc=0.3)
    return [Family(setting=setting, n_true=n, difference=0.15 if n else 0.0) for n in (0, 4, 9)]


def pooled_cases() -> list[Pooled]:
    """Means over tasks, with and without a true difference, under both rules."""
    return [
        Pooled(
            setting=Setting(n_groups=n, icc=0.5, accuracy=accuracy, kinds=(Kind(difference=difference),)), n_others=3 * n // 2, rule=rule
        )
        for rule in RULES
        for difference in (0.0, 0.1)
        for n in (20, 100)
        for accuracy in (0.3, 0.5)
    ]


def simulate(n_repeats: int, n_groups: Sequence[int] = N_GROUPS) -> Simulation:
    """Everything, with `n_repeats` draws of each case (bootstrap: a fifth of them).

    Args:
        n_repeats: at least 5.
        n_groups: of the coverage grid.
    """
    run = partial(rates_of, n_repeats=n_repeats, seed=SEED)
    return Simulation(
        n_repeats=n_repeats,
        coverage=run(coverage, coverage_cases(n_groups)),
        bootstrap=rates_of(coverage_beside_bootstrap, bootstrap_cases(), n_repeats // 5, SEED),
        null=run(false_positives, null_cases()),
        equivalence=run(equivalence_errors, equivalence_cases()),
        exact_equivalence=[equivalence_error(*case) for case in exact_cases()],
        families=run(family_errors, families()),
        pooled=run(pooled_rates, pooled_cases()),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulation:
    """What was found."""

    n_repeats: int
    """Draws of each case."""
    coverage: list[Rate]
    """Of the cluster-robust t interval."""
    bootstrap: list[Rate]
    """Of t, percentile and BCa intervals on the same draws."""
    null: list[Rate]
    """False positives."""
    equivalence: list[Rate]
    """False verdicts of equivalence."""
    exact_equivalence: list[ExactRate]
    """The same on single samples by exact sums."""
    families: list[Rate]
    """Errors in a family of tasks."""
    pooled: list[Rate]
    """Of means over tasks."""
