"""Cluster bootstrap of a mean over samples: percentile and BCa limits from the same resamples. NumPy and SciPy only.

Whole groups are drawn with replacement. Both limits are shown as sensitivity beside the t interval, never as the verdict: the
percentile one is too narrow for few groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from evalsuite.stats.arrays import FloatArray, checked_values, group_sums

GROUPS_PER_KIND = 32
"""Groups per kind of group from which on drawing how often each kind occurs is cheaper than drawing the groups."""

DRAWN_AT_ONCE = 64_000
"""Groups that are drawn before they are summed; small enough for a processor's cache."""


def cluster_bootstrap(values: npt.ArrayLike, group_index: npt.ArrayLike, level: float, n_resamples: int, seed: int) -> BootstrapLimits:
    """Percentile and BCa limits of the mean over samples.

    Each resample is a ratio, the sum of the drawn groups' values over the number of their samples. Source: Davison and Hinkley 1997,
    Bootstrap Methods and their Application (resampling of clusters; percentile limits); BCa as in `bca_limits`, with the jackknife over
    groups.

    Args:
        values: n finite numbers.
        group_index: n group numbers, see `arrays.checked_values`.
        level: in (0, 1).
        n_resamples: at least 1.
        seed: seed of the draws.

    Returns:
        Limits; all NaN for fewer than two groups, the BCa ones also where `bca_limits` does not exist.

    Raises:
        ValueError: level or number of resamples out of range, or values as in `checked_values`.
    """
    if not 0 < level < 1 or n_resamples < 1:
        raise ValueError("level must lie between 0 and 1 and n_resamples be at least 1")
    numbers, index, n_groups = checked_values(values, group_index)
    if n_groups < 2:
        return BootstrapLimits(low=np.nan, high=np.nan, bca_low=np.nan, bca_high=np.nan)
    sums, sizes = group_sums(numbers, index), np.bincount(index, minlength=n_groups).astype(np.float64)
    means = resampled_ratios(sums, sizes, n_resamples, np.random.default_rng(seed))
    low, high = np.quantile(means, [0.5 - level / 2, 0.5 + level / 2])
    total, n = sums.sum(), sizes.sum()
    bca_low, bca_high = bca_limits(float(total / n), means, (total - sums) / (n - sizes), level)
    return BootstrapLimits(low=float(low), high=float(high), bca_low=bca_low, bca_high=bca_high)


def resampled_ratios(sums: FloatArray, sizes: FloatArray, n_resamples: int, rng: np.random.Generator) -> FloatArray:
    """Ratios of summed sums to summed sizes of G groups that are drawn with replacement, (n_resamples,).

    Groups that are alike need not be told apart: how often each kind is drawn is multinomial, the same distribution as drawing single
    groups, and far fewer numbers where values are right or wrong.

    Args:
        sums: (G,) sums of the groups' values.
        sizes: (G,) samples of the groups, above 0.
        n_resamples: at least 1.
        rng: source of randomness.
    """
    n_groups = len(sums)
    kinds, multiplicities = np.unique(np.column_stack([sums, sizes]), axis=0, return_counts=True)
    if GROUPS_PER_KIND * len(kinds) <= n_groups:
        totals = rng.multinomial(n_groups, multiplicities / n_groups, size=n_resamples) @ kinds
        return np.asarray(totals[:, 0] / totals[:, 1], dtype=np.float64)
    same_size = np.ptp(sizes) == 0
    ratios = np.empty(n_resamples)
    block = max(1, DRAWN_AT_ONCE // n_groups)
    # Short integers are the faster ones to draw.
    kind = np.uint16 if n_groups <= 2**16 else np.int64
    for start in range(0, n_resamples, block):
        n_rows = min(block, n_resamples - start)
        drawn = rng.integers(0, n_groups, size=(n_rows, n_groups), dtype=kind)
        n_drawn = n_groups * sizes[0] if same_size else np.take(sizes, drawn).sum(axis=1)
        ratios[start : start + n_rows] = np.take(sums, drawn).sum(axis=1) / n_drawn
    return ratios


def bca_limits(estimate: float, resampled: FloatArray, without: FloatArray, level: float) -> tuple[float, float]:
    """Bias-corrected and accelerated limits from a statistic's resamples and its values with each group left out.

    z0 = Phi^-1(share of resamples below the estimate, ties half); a = sum u^3 / (6 (sum u^2)^1.5) with u the mean of `without` minus
    each of it; the limits are the quantiles of the resamples at Phi(z0 + (z0 + z) / (1 - a (z0 + z))) for z = Phi^-1((1 -+ level) / 2).
    Source: Efron 1987 (J. Am. Stat. Assoc. 82:171); the jackknife form of a as in Efron and Tibshirani 1993, equation 14.15.

    Args:
        estimate: the statistic on the data.
        resampled: the statistic on each resample.
        without: the statistic without group g, for each of G groups.
        level: in (0, 1).

    Returns:
        (low, high); NaN where no resample lies on one side of the estimate, where leaving groups out changes nothing, or where the
        acceleration is too large for the level (1 - a (z0 + z) not above 0).
    """
    # Sums in another order differ in the last bit; that is no position above or below.
    noise = 1e-12 * max(1.0, abs(estimate), float(np.abs(resampled).max(initial=0.0)))
    n_below = np.count_nonzero(resampled < estimate - noise)
    n_ties = np.count_nonzero(np.abs(resampled - estimate) <= noise)
    z0 = float(special.ndtri((n_below + n_ties / 2) / max(len(resampled), 1)))
    u = without.mean() - without
    if not np.isfinite(z0) or np.ptp(without) <= noise:
        return np.nan, np.nan
    acceleration = float((u**3).sum() / (6 * (u @ u) ** 1.5))
    z = z0 + special.ndtri([0.5 - level / 2, 0.5 + level / 2])
    shrink = 1 - acceleration * z
    if (shrink <= 0).any():
        return np.nan, np.nan
    low, high = np.quantile(resampled, special.ndtr(z0 + z / shrink))
    return float(low), float(high)


@dataclass(frozen=True, kw_only=True, slots=True)
class BootstrapLimits:
    """Limits of a mean by resampling groups, in the metric's unit; NaN where they do not exist."""

    low: float
    """Lower percentile limit."""
    high: float
    """Upper percentile limit."""
    bca_low: float
    """Lower bias-corrected and accelerated limit."""
    bca_high: float
    """Upper bias-corrected and accelerated limit."""
