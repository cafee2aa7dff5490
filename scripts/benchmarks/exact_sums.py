"""Errors of the equivalence test on single samples without any draw: a sum over the counts of discordant answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from benchmarks.error_rates import ALPHA, LEVEL
from evalsuite.stats.arrays import equivalence_test, least_variation, t_interval
from evalsuite.stats.restricted import with_discordance

NEGLIGIBLE = 1e-9
"""Probability of the counts that are left out."""


def equivalence_error(margin: float, only_b: float, n_samples: int) -> ExactRate:
    """How often the test calls models equivalent whose true difference is exactly the margin.

    Args:
        margin: true difference; only a is right on `margin + only_b` of the samples.
        only_b: share of samples on which only b is right.
        n_samples: single samples.
    """
    only_a = margin + only_b
    least = least_variation(np.ones(n_samples), margin)
    error = 0.0
    for a in range(*_likely(n_samples, only_a)):
        for b in range(*_likely(n_samples, only_b)):
            mean = (a - b) / n_samples
            se = float(np.sqrt(max((a + b) / n_samples - mean**2, 0.0) / (n_samples - 1)))
            differences = np.repeat([1.0, -1.0, 0.0], [a, b, n_samples - a - b])
            floor = with_discordance(least, differences, np.arange(n_samples), margin)
            if equivalence_test(t_interval(mean, se, n_samples - 1, LEVEL), margin, ALPHA, floor).p_value <= ALPHA:
                error += _probability(a, b, n_samples, only_a, only_b)
    return ExactRate(margin=margin, only_b=only_b, n_samples=n_samples, share=error)


def _likely(n: int, p: float) -> tuple[int, int]:
    """The counts of a binomial, all but those whose probability is negligible, as a range."""
    return int(stats.binom.ppf(NEGLIGIBLE, n, p)), int(stats.binom.isf(NEGLIGIBLE, n, p)) + 1


def _probability(a: int, b: int, n: int, only_a: float, only_b: float) -> float:
    """Of a and b answers that only one model has right, by the trinomial distribution."""
    ways = special.gammaln(n + 1) - special.gammaln(a + 1) - special.gammaln(b + 1) - special.gammaln(n - a - b + 1)
    return float(np.exp(ways + special.xlogy(a, only_a) + special.xlogy(b, only_b) + special.xlogy(n - a - b, 1 - only_a - only_b)))


@dataclass(frozen=True, kw_only=True, slots=True)
class ExactRate:
    """A share that is no estimate."""

    margin: float
    """Margin and true difference."""
    only_b: float
    """Share of samples on which only b is right."""
    n_samples: int
    """Single samples."""
    share: float
    """Probability of the verdict."""
