"""What a paired study of a given size can establish, before anything runs.

Source: Miller 2024 (arXiv 2411.00640) equations 9 and 10 for paired differences, with the design effect
1 + (m - 1) * icc of cluster sampling (Kish 1965) and t quantiles on G - 1 degrees of freedom as in the primary analysis.
Groups are taken to be of one size. Equivalence has the floor of `arrays.least_variation`, as in the analysis of right or wrong answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from evalsuite.stats.arrays import least_variation


@dataclass(frozen=True, kw_only=True, slots=True)
class Assumptions:
    """What is assumed of data that nobody has seen."""

    discordance: float = 0.2
    """Share of samples on which exactly one of two models is right, in (0, 1]; the variance of the paired difference at no difference."""
    icc: float = 0.3
    """Correlation of paired differences within a group, in [0, 1]."""
    power: float = 0.8
    """Probability of finding a difference of the stated size."""


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


def attainable(n_samples: int, n_groups: int, *, alpha: float, margin: float, assumptions: Assumptions | None = None) -> Attainable:
    """Smallest detectable difference and reach of the equivalence verdict.

    Args:
        n_samples: samples of the comparison.
        n_groups: groups among them.
        alpha: two-sided level of this comparison (the family's level divided by its size: the worst case of Holm).
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
    design_effect = 1 + (n_samples / n_groups - 1) * assumed.icc
    se = math.sqrt(assumed.discordance * design_effect / n_samples)
    t = stats.t(n_groups - 1)
    # Two one-sided tests both succeed with probability 2 * Phi((margin - half step - t * floored se) / se) - 1 when the models
    # are equal.
    least = least_variation([1] * n_groups, margin)
    reach = float(t.ppf(1 - alpha)) * max(se, least.se) + least.half_step + float(t.ppf((1 + assumed.power) / 2)) * se
    return Attainable(
        n_samples=n_samples,
        n_groups=n_groups,
        se=se,
        smallest_difference=float(t.ppf(1 - alpha / 2) + t.ppf(assumed.power)) * se,
        equivalent_reachable=reach <= margin,
        established=n_groups >= 10,
    )
