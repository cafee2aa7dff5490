"""Ratios of two sums with an interval over groups: shares of those samples to which a question applies at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from evalsuite.stats.arrays import cluster_t_interval, group_sums, partition, t_interval
from evalsuite.stats.design import MIN_GROUPS


def ratio_interval(
    numerators: npt.ArrayLike, denominators: npt.ArrayLike, groups: Sequence[str] | npt.NDArray[np.str_], level: float
) -> tuple[float, float, float]:
    """sum(x) / sum(y) over samples, with a linearised interval that is robust to dependence within groups.

    R = sum x / sum y; e_i = x_i - R y_i; se^2 = 1/(sum y)^2 * G/(G-1) * sum_g (sum_{i in g} e_i)^2, and Student's t with G - 1 degrees of
    freedom. Samples with x = y = 0 say nothing about the ratio and leave first, so that G counts the groups that do. Where every y is 1
    this is `arrays.cluster_t_interval`.

    Source: the linearised variance of a ratio, Cochran 1977 (Sampling Techniques, 3rd ed., section 6.3); over clusters, Särndal, Swensson
    and Wretman 1992 (Model Assisted Survey Sampling, section 5.6); the factor and the degrees of freedom, Cameron and Miller 2015
    (J. Human Resources 50:317).

    Args:
        numerators: n finite numbers, such as 1 for a sample that was right and became wrong.
        denominators: n finite numbers at least 0, such as 1 for a sample that was right.
        groups: name of each sample's group.
        level: confidence level in (0, 1).

    Returns:
        Ratio and limits. All NaN where the denominators sum to 0; NaN limits with fewer than `MIN_GROUPS` groups, since a linearisation
        from few groups is too poor. All residuals zero: a zero-width interval. Limits are not cut at 0 and 1.

    Raises:
        ValueError: lengths differ, a number is not finite, a denominator is negative.
    """
    x, y = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    names = np.asarray(groups, dtype=str)
    if not x.ndim == y.ndim == names.ndim == 1 or not len(x) == len(y) == len(names):
        raise ValueError(f"numerators, denominators and groups have the shapes {x.shape}, {y.shape}, {names.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a number is not finite; missing answers are decided upon before any statistic")
    if (y < 0).any():
        raise ValueError("a denominator is negative")
    applies = (x != 0) | (y != 0)
    x, y, index = x[applies], y[applies], partition(names[applies]).index
    total = float(y.sum())
    if total == 0:
        return np.nan, np.nan, np.nan
    n_groups = int(index.max()) + 1
    if np.ptp(y) == 0:
        # Equal denominators: a mean, without the last-bit noise of residuals that ought to be zero.
        interval = cluster_t_interval(x / y[0], index, level)
    else:
        ratio = float(x.sum()) / total
        residuals = x - ratio * y
        # What is left of residuals that cancel is noise of their last bits, no variation.
        residuals[np.abs(residuals) <= 1e-12 * np.maximum(np.abs(x), np.abs(ratio * y))] = 0.0
        sums = group_sums(residuals, index)
        se = np.nan if n_groups < 2 else float(np.sqrt(n_groups / (n_groups - 1) * float(sums @ sums))) / total
        interval = t_interval(ratio, se, n_groups - 1, level)
    if n_groups < MIN_GROUPS:
        return interval.estimate, np.nan, np.nan
    return interval.estimate, interval.low, interval.high
