"""What a paired study of a given size can establish, and the size that establishes a given difference, before anything runs.

Equations 9 and 10 of Miller 2024 (arXiv 2411.00640) stand here as printed, for normal quantiles and independent questions. What `plan`
shows adds the design effect 1 + (m - 1) icc of cluster sampling (Kish 1965, Survey Sampling) and t quantiles on G - 1 degrees of freedom as
in the primary analysis. Groups are taken to be of one size. Equivalence has the floor of `arrays.least_variation`, as in the analysis of
right or wrong answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from evalsuite.stats.arrays import least_variation
from evalsuite.stats.design import MIN_GROUPS
from evalsuite.stats.restricted import against_at_margin

DEFAULT_POWER = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class Assumptions:
    """What is assumed of data that nobody has seen."""

    discordance: float = 0.2
    """Share of samples on which exactly one of two models is right, in (0, 1]; the variance of the paired difference at no difference."""
    icc: float = 0.3
    """Correlation of paired differences within a group, in [0, 1]."""
    power: float = DEFAULT_POWER
    """Probability of finding a difference of the stated size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Needed:
    """A size."""

    n_samples: int
    """Samples."""
    n_groups: int
    """Groups."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attainable:
    """What can be established at a size."""

    n_samples: int
    """Samples."""
    n_groups: int
    """Groups."""
    se: float
    """Standard error of the mean paired difference under the assumptions."""
    smallest_difference: float
    """Smallest true difference that is found with the stated power; in the metric's unit."""
    equivalent_reachable: bool
    """Whether two equal models would get the verdict `equivalent` with the stated power."""
    established: bool
    """Whether there are at least 10 groups, without which there is no verdict."""


def paired_variance(omega2: float, within_a: float, within_b: float, *, n_answers_a: int = 1, n_answers_b: int = 1) -> float:
    """Variance of the paired difference of one question: omega^2 + sigma_A^2 / K_A + sigma_B^2 / K_B, Miller 2024, in equation 9.

    Args:
        omega2: variance over questions of the difference of the two models' expected scores, Var x_A + Var x_B - 2 Cov(x_A, x_B).
        within_a: mean over questions of the variance of a's score on one question, sigma_A^2; 0 where answers are not sampled.
        within_b: the same of b.
        n_answers_a: K_A, answers of a per question, at least 1.
        n_answers_b: K_B likewise.

    Raises:
        ValueError: a variance is below 0 or a number of answers below 1.
    """
    if min(omega2, within_a, within_b) < 0 or min(n_answers_a, n_answers_b) < 1:
        raise ValueError("variances must not be below 0, numbers of answers not below 1")
    return omega2 + within_a / n_answers_a + within_b / n_answers_b


def questions_needed(difference: float, variance: float, *, alpha: float, power: float = DEFAULT_POWER) -> int:
    """Independent questions on which a true difference is found: (z_(alpha/2) + z_beta)^2 variance / difference^2, rounded up.

    Source: Miller 2024, equation 9.

    Args:
        difference: true difference, not 0.
        variance: of the paired difference of one question, see `paired_variance`.
        alpha: two-sided level.
        power: probability of finding it, in (0, 1).
    """
    z = float(stats.norm.isf(alpha / 2) + stats.norm.ppf(power))
    return max(1, math.ceil(z**2 * variance / difference**2 - 1e-9))


def detectable_difference(n_questions: int, variance: float, *, alpha: float, power: float = DEFAULT_POWER) -> float:
    """The true difference that is found on so many independent questions: (z_(alpha/2) + z_beta) sqrt(variance / n).

    Source: Miller 2024, equation 10.

    Args:
        n_questions: at least 1.
        variance: as for `questions_needed`.
        alpha: two-sided level.
        power: probability of finding it, in (0, 1).
    """
    return float(stats.norm.isf(alpha / 2) + stats.norm.ppf(power)) * math.sqrt(variance / n_questions)


def needed(difference: float, group_size: float, *, alpha: float, assumptions: Assumptions | None = None) -> Needed:
    """The fewest groups, and the samples in them, with which a true difference is found: the inverse of `attainable`.

    Args:
        difference: true difference, above 0.
        group_size: mean number of samples in a group, at least 1.
        alpha: two-sided level of the comparison.
        assumptions: of discordance, correlation and power.

    Returns:
        At least `MIN_GROUPS` groups, since fewer give no verdict.
    """
    assumed = assumptions or Assumptions()

    def found(n_groups: int) -> bool:
        return _quantiles(n_groups, alpha, assumed) * _standard_error(n_groups * group_size, n_groups, assumed) <= difference

    low, high = MIN_GROUPS - 1, MIN_GROUPS
    while not found(high):
        low, high = high, 2 * high
    # More groups always find smaller differences, so that halving the bracket finds the first that suffices.
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return Needed(n_samples=math.ceil(high * group_size), n_groups=high)


def attainable(n_samples: int, n_groups: int, *, alpha: float, margin: float, assumptions: Assumptions | None = None) -> Attainable:
    """Smallest detectable difference and reach of the equivalence verdict.

    Args:
        n_samples: samples of the comparison.
        n_groups: groups among them.
        alpha: two-sided level of this comparison (`multiplicity.worst_level`).
        margin: equivalence margin.
        assumptions: of discordance, correlation and power.

    Returns:
        inf for both errors with fewer than two groups.
    """
    assumed = assumptions or Assumptions()
    if n_groups < 2:
        return Attainable(
            n_samples=n_samples,
            n_groups=n_groups,
            se=math.inf,
            smallest_difference=math.inf,
            equivalent_reachable=False,
            established=False,
        )
    se = _standard_error(n_samples, n_groups, assumed)
    t = stats.t(n_groups - 1)
    # Two one-sided tests both succeed with probability 2 * Phi((margin - half step - t * floored se) / se) - 1 when the models
    # are equal.
    least = least_variation([1] * n_groups, margin)
    # Equal models differ as often in both directions; at the margin that varies a little more than what will be seen.
    against = against_at_margin(assumed.discordance / 2, assumed.discordance / 2, margin)
    at_margin = se * math.sqrt((2 * against + margin * (1 - margin)) / assumed.discordance)
    reach = float(t.ppf(1 - alpha)) * max(se, at_margin, least.se) + least.half_step + float(t.ppf((1 + assumed.power) / 2)) * se
    return Attainable(
        n_samples=n_samples,
        n_groups=n_groups,
        se=se,
        smallest_difference=_quantiles(n_groups, alpha, assumed) * se,
        equivalent_reachable=reach <= margin,
        established=n_groups >= MIN_GROUPS,
    )


def _standard_error(n_samples: float, n_groups: int, assumed: Assumptions) -> float:
    """Of the mean paired difference over groups of n_samples / n_groups each."""
    design_effect = 1 + (n_samples / n_groups - 1) * assumed.icc
    return math.sqrt(assumed.discordance * design_effect / n_samples)


def _quantiles(n_groups: int, alpha: float, assumed: Assumptions) -> float:
    """Standard errors between nothing and the difference that is found: t_(alpha/2) + t_beta, as z_(alpha/2) + z_beta in equation 10."""
    t = stats.t(n_groups - 1)
    return float(t.ppf(1 - alpha / 2) + t.ppf(assumed.power))
