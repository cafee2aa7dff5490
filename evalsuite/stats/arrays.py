"""Groups, intervals and equivalence on plain arrays. NumPy and SciPy only.

The unit of resampling is the group: samples of one group (one vignette, one record, one question in two languages) are
not independent, groups are. Groups are numbered once (`partition`), and every method reads the same numbering.
Values are floats in the metric's own unit; no function here knows a missing value, NaN and infinity are errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BLOCK_CELLS = 2_000_000
"""Most float64 numbers that a resampling method holds at once (16 MB)."""


def partition(names: Sequence[str] | npt.NDArray[np.str_]) -> Groups:
    """Number the groups of a table once, in the order of their sorted names.

    Args:
        names: group name of each of n samples; n may be 0.
    """
    if len(names) == 0:
        empty = np.zeros(0, dtype=np.int64)
        return Groups(names=(), index=empty, sizes=empty)
    unique, inverse, counts = np.unique(np.asarray(names, dtype=str), return_inverse=True, return_counts=True)
    return Groups(names=tuple(map(str, unique)), index=inverse.astype(np.int64), sizes=counts.astype(np.int64))


def checked_values(values: npt.ArrayLike, group_index: npt.ArrayLike) -> tuple[FloatArray, IntArray, int]:
    """Values, group numbers and the number of groups, after checking that they fit together.

    Args:
        values: n numbers, or n rows of numbers.
        group_index: n integers that use each of 0..G-1 at least once.

    Raises:
        ValueError: lengths differ, a value is not finite, or a group number is negative or unused.
    """
    numbers = np.asarray(values, dtype=np.float64)
    index = np.asarray(group_index, dtype=np.int64)
    if index.ndim != 1 or numbers.shape[:1] != index.shape:
        raise ValueError(f"values have the shape {numbers.shape}, group numbers {index.shape}")
    if not np.isfinite(numbers).all():
        raise ValueError("a value is not finite; missing answers are decided upon before any statistic")
    if index.size == 0:
        return numbers, index, 0
    if index.min() < 0 or (np.bincount(index) == 0).any():
        raise ValueError("group numbers must use each of 0..G-1; take them from `partition`")
    return numbers, index, int(index.max()) + 1


def group_sums(values: npt.ArrayLike, group_index: npt.ArrayLike) -> FloatArray:
    """Sum of the values of each group: (n,) -> (G,), or (n, K) -> (G, K)."""
    numbers, index, n_groups = checked_values(values, group_index)
    if numbers.ndim == 1:
        return np.bincount(index, weights=numbers, minlength=n_groups).astype(np.float64)
    sums = np.zeros((n_groups, *numbers.shape[1:]))
    np.add.at(sums, index, numbers)
    return sums


def t_interval(estimate: float, se: float, df: int, level: float) -> Interval:
    """estimate -+ t(df) * se at a confidence level.

    se = 0 gives the zero-width interval at the estimate; df < 1 or an unknown se (NaN) gives NaN limits, since one group
    says nothing about how groups vary.

    Raises:
        ValueError: the level is not in (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level = {level}: must lie between 0 and 1")
    if df < 1 or np.isnan(se):
        return Interval(estimate=estimate, low=np.nan, high=np.nan, se=np.nan, df=max(df, 0), level=level)
    half = 0.0 if se == 0 else float(stats.t.ppf(0.5 + level / 2, df)) * se
    return Interval(estimate=estimate, low=estimate - half, high=estimate + half, se=se, df=df, level=level)


def cluster_t_interval(values: npt.ArrayLike, group_index: npt.ArrayLike, level: float) -> Interval:
    """Interval of the mean over samples, with a variance that is robust to dependence within groups.

    se^2 = 1/n^2 * G/(G-1) * sum_g (sum_{i in g} (x_i - mean))^2, and Student's t with G - 1 degrees of freedom. With groups
    of one sample this is the one-sample t interval. Used on differences it is the paired interval.

    Source: Miller 2024 (arXiv 2411.00640), clustered and paired standard errors; the factor G/(G-1) and the degrees of
    freedom are those of Cameron and Miller 2015 (J. Human Resources 50:317), as in inspect_ai.

    Args:
        values: n finite numbers.
        group_index: n group numbers, see `checked_values`.
        level: confidence level in (0, 1).

    Returns:
        The interval. Degenerate cases: n = 0, all NaN; one group, the mean with NaN limits; every group's residuals sum to
        zero (all values equal, or differences that cancel in each group), a zero-width interval with se 0.
    """
    numbers, index, n_groups = checked_values(values, group_index)
    if numbers.ndim != 1:
        raise ValueError("values must be one-dimensional")
    if numbers.size == 0:
        return t_interval(np.nan, np.nan, 0, level)
    if np.ptp(numbers) == 0:
        # The mean of equal floats can differ from them in the last bit, which would make se tiny instead of 0.
        return t_interval(float(numbers[0]), 0.0, n_groups - 1, level)
    mean = float(numbers.mean())
    if n_groups < 2:
        return t_interval(mean, np.nan, 0, level)
    residuals = group_sums(numbers - mean, index)
    variance = n_groups / (n_groups - 1) * float(residuals @ residuals) / numbers.size**2
    return t_interval(mean, float(np.sqrt(variance)), n_groups - 1, level)


def equivalence_test(interval: Interval, margin: float, alpha: float) -> Equivalence:
    """Two one-sided t tests of |difference| < margin, at alpha each.

    The 1 - 2 alpha interval lies inside +-margin exactly when p <= alpha. Source: Schuirmann 1987 (J. Pharmacokinet.
    Biopharm. 15:657); the difference of paired means with the cluster-robust standard error.

    Args:
        interval: of the difference, at any level; its estimate, se and degrees of freedom are used.
        margin: in the metric's own unit, > 0.
        alpha: in (0, 0.5).

    Returns:
        Limits of the 1 - 2 alpha interval and the larger of the two one-sided p. se = 0: p is 0 inside the margin and 1
        at or beyond it. Unknown se: NaN limits and p.
    """
    if not margin > 0:
        raise ValueError(f"margin = {margin}: must be above 0")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha = {alpha}: must lie between 0 and 0.5")
    inner = t_interval(interval.estimate, interval.se, interval.df, 1 - 2 * alpha)
    distance = margin - abs(interval.estimate)
    if np.isnan(inner.se):
        p_value = np.nan
    elif inner.se == 0:
        p_value = 0.0 if distance > 0 else 1.0
    else:
        # The larger of the two one-sided p belongs to the limit that the estimate is nearer to.
        p_value = float(stats.t.sf(distance / inner.se, inner.df))
    return Equivalence(low=inner.low, high=inner.high, p_value=p_value)


def draw_group_counts(multiplicities: IntArray, n_resamples: int, rng: np.random.Generator) -> IntArray:
    """How often each kind of group is drawn when G groups are drawn with replacement: (n_resamples, n kinds).

    Groups that are alike need not be told apart: the counts of their kinds are multinomial, the same distribution as drawing
    single groups, and far fewer numbers where values are right or wrong.

    Args:
        multiplicities: number of groups of each kind, summing to G.
        n_resamples: number of draws.
        rng: source of randomness.
    """
    n_groups = int(multiplicities.sum())
    return np.asarray(rng.multinomial(n_groups, multiplicities / n_groups, size=n_resamples), dtype=np.int64)


def cluster_bootstrap_interval(
    values: npt.ArrayLike, group_index: npt.ArrayLike, level: float, n_resamples: int, seed: int
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over samples; whole groups are drawn with replacement.

    Each resample is a ratio, the sum of the drawn groups' values over the number of their samples. Source: Davison and
    Hinkley 1997, Bootstrap Methods and their Application (resampling of clusters; percentile limits). Shown as sensitivity: it is
    too narrow for few groups. Memory is bounded by `BLOCK_CELLS`.

    Returns:
        (low, high); NaN for fewer than two groups.

    Raises:
        ValueError: level or number of resamples out of range, or values as in `checked_values`.
    """
    if not 0 < level < 1 or n_resamples < 1:
        raise ValueError("level must lie between 0 and 1 and n_resamples be at least 1")
    numbers, index, n_groups = checked_values(values, group_index)
    if n_groups < 2:
        return np.nan, np.nan
    sums = np.column_stack([group_sums(numbers, index), np.bincount(index, minlength=n_groups)])
    kinds, multiplicities = np.unique(sums, axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    means = np.empty(n_resamples)
    few_kinds = len(kinds) <= 32
    block = max(1, BLOCK_CELLS // (len(kinds) if few_kinds else n_groups))
    for start in range(0, n_resamples, block):
        size = min(block, n_resamples - start)
        if few_kinds:
            totals = draw_group_counts(multiplicities, size, rng) @ kinds
        else:
            # 32-bit draws are the faster ones, 64-bit indices the faster look-up.
            drawn = rng.integers(0, n_groups, size=(size, n_groups), dtype=np.int32).astype(np.intp)
            totals = np.column_stack([np.take(column, drawn).sum(axis=1) for column in sums.T])
        means[start : start + size] = totals[:, 0] / totals[:, 1]
    low, high = np.quantile(means, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


@dataclass(frozen=True, kw_only=True, slots=True)
class Groups:
    """The groups of a table, numbered."""

    names: tuple[str, ...]
    """Sorted names of the G groups."""
    index: IntArray
    """For each sample the number of its group, 0..G-1."""
    sizes: IntArray
    """Samples per group, each at least 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """An estimate with its uncertainty, in the metric's unit."""

    estimate: float
    """The value of the statistic on the data; NaN without data."""
    low: float
    """Lower limit; NaN where no interval exists."""
    high: float
    """Upper limit; NaN where no interval exists."""
    se: float
    """Standard error; 0 where the data do not vary, NaN where no interval exists."""
    df: int
    """Degrees of freedom, G - 1; 0 where no interval exists."""
    level: float
    """Confidence level in (0, 1)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Equivalence:
    """Result of two one-sided tests."""

    low: float
    """Lower limit of the 1 - 2 alpha interval."""
    high: float
    """Upper limit of the 1 - 2 alpha interval."""
    p_value: float
    """Larger of the two one-sided p; NaN where no interval exists."""
