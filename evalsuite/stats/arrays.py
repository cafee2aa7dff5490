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

SMALLEST = float(np.finfo(np.float64).tiny)
"""What a p-value is given as that is too small for a float64: no p is 0."""


def partition(names: Sequence[str] | npt.NDArray[np.str_]) -> Groups:
    """Number the groups of a table once, in the order of their sorted names.

    Args:
        names: group name of each of n samples; n may be 0.
    """
    if len(names) == 0:
        empty = np.zeros(0, dtype=np.int64)
        return Groups(names=(), index=empty, sizes=empty)
    texts = np.asarray(names, dtype=str)
    if (texts[1:] >= texts[:-1]).all():  # in order already, as most tables are: nothing to sort
        new = np.append(True, texts[1:] != texts[:-1])
        index = np.cumsum(new) - 1
        return Groups(names=tuple(texts[new].tolist()), index=index, sizes=np.bincount(index))
    unique, inverse, counts = np.unique(texts, return_inverse=True, return_counts=True)
    return Groups(names=tuple(unique.tolist()), index=inverse.astype(np.int64), sizes=counts.astype(np.int64))


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


def t_tail(statistic: float, df: int) -> float:
    """P(T > statistic) of Student's t. Never 0: what is below the smallest normal float64 (2.2e-308) is given as that."""
    return max(float(stats.t.sf(statistic, df)), SMALLEST)


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


def least_variation(group_sizes: npt.ArrayLike, margin: float, span: float = 1.0) -> LeastVariation:
    """The least that a mean of paired right-or-wrong differences can vary if its true value is the margin.

    The bound is ours. A difference d of two right-or-wrong values is -1, 0 or 1, so that d^2 = |d| and
    var d = E|d| - (E d)^2 >= |E d| - (E d)^2 = margin (1 - margin) at |E d| = margin, reached when all discordance is on one
    side. How much a group hangs together is unknown where nothing differs, so that each group is taken as all-or-nothing:
    var(mean) = margin (1 - margin) sum_g n_g^2 / n^2. With single samples it is the restricted variance of Tango 1998 (Stat. Med.
    17:891) where no pair is discordant. Without it, answers that never differ have se 0 and would be equivalent with
    certainty, though a true difference of 0.03 shows in only 37 % of samples of 15 (1 - 0.97^15).

    Such a mean moves in steps of sum_g n_g^2 / n^2. The interval is widened by half a step (the continuity correction of the
    binomial): the floor alone leaves an error of up to 0.066 at alpha 0.05, with it the error stays below 0.05 for one-sided
    discordance (exact sums over the binomial, margins 0.01 to 0.2, n up to 1,500).

    Args:
        group_sizes: samples of each of G groups, each at least 1; not empty.
        margin: true difference that must not be called equivalent, > 0.
        span: distance between the metric's worst and best value, > 0; the margin is read in units of it.

    Returns:
        Standard error and half step in the metric's unit; a margin at or above the span has the standard error 0.
    """
    sizes = np.asarray(group_sizes, dtype=np.float64)
    if sizes.size == 0 or sizes.min() < 1:
        raise ValueError("group sizes must be at least 1, and there must be a group")
    if not (margin > 0 and span > 0):
        raise ValueError(f"margin = {margin} and span = {span} must be above 0")
    share = float(sizes @ sizes / sizes.sum() ** 2)
    return LeastVariation(se=float(np.sqrt(max(margin * (span - margin), 0.0) * share)), half_step=span * share / 2)


def equivalence_test(interval: Interval, margin: float, alpha: float, least: LeastVariation | None = None) -> Equivalence:
    """One-sided t tests of difference > -margin and of difference < margin, at alpha each; both together are equivalence.

    The 1 - 2 alpha interval lies inside +-margin exactly when the larger p is at most alpha. Source: Schuirmann 1987 (J. Pharmacokinet.
    Biopharm. 15:657); each test alone is one of non-inferiority, as in ICH E9 1998 (Stat. Med. 18:1905), section 3.3.2. The difference is
    one of paired means with the cluster-robust standard error, raised to `least`.

    Args:
        interval: of the difference, at any level; its estimate, se and degrees of freedom are used.
        margin: in the metric's own unit, > 0.
        alpha: in (0, 0.5).
        least: floor of the standard error and half step that the interval is widened by on both sides; None: neither. It holds for
            either side alone: it is what a mean varies at least if its true value is one of the two margins.

    Returns:
        Limits of the 1 - 2 alpha interval and the p of both tests. No variation seen and no floor: NaN limits and p = 1, since data that
        do not vary say nothing about what they have not shown. Unknown se: NaN limits and p.
    """
    if not margin > 0:
        raise ValueError(f"margin = {margin}: must be above 0")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha = {alpha}: must lie between 0 and 0.5")
    floor = least or LeastVariation(se=0.0, half_step=0.0)
    lower, upper = (
        t_interval(interval.estimate, max(interval.se, floor.se, own), interval.df, 1 - 2 * alpha)
        for own in (floor.se_at_lower, floor.se_at_upper)
    )
    if np.isnan(lower.se):
        return Equivalence(low=np.nan, high=np.nan, p_above=np.nan, p_below=np.nan)
    if lower.se == 0 or upper.se == 0:
        return Equivalence(low=np.nan, high=np.nan, p_above=1.0, p_below=1.0)
    above = t_tail((margin + interval.estimate - floor.half_step) / lower.se, lower.df)
    below = t_tail((margin - interval.estimate - floor.half_step) / upper.se, upper.df)
    return Equivalence(low=lower.low - floor.half_step, high=upper.high + floor.half_step, p_above=above, p_below=below)


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
class LeastVariation:
    """What an equivalence test takes for granted beside the data; see `least_variation`."""

    se: float
    """Least standard error of the difference."""
    half_step: float
    """Half of the step in which the difference moves."""
    se_at_lower: float = 0.0
    """Least standard error of the test against -margin alone, where more is known; see `restricted.with_discordance`."""
    se_at_upper: float = 0.0
    """Least standard error of the test against +margin likewise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Equivalence:
    """Result of two one-sided tests."""

    low: float
    """Lower limit of the 1 - 2 alpha interval."""
    high: float
    """Upper limit of the 1 - 2 alpha interval."""
    p_above: float
    """One-sided p of difference > -margin; NaN where no interval exists."""
    p_below: float
    """One-sided p of difference < margin; NaN where no interval exists."""

    @property
    def p_value(self) -> float:
        """The larger of the two, that of equivalence."""
        return max(self.p_above, self.p_below)
