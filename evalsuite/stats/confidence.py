"""How well probabilities of choices say how often they are right, on plain arrays. NumPy and SciPy only.

An answer has a probability for each of its choices. Its confidence is the probability of the choice that was taken. Answers
of one group are not independent, so that every variance here is taken over groups (`arrays`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from evalsuite.stats.arrays import FloatArray, IntArray, cluster_t_interval, partition

MAX_BINS = 10
"""Most bins of a reliability diagram."""
ANSWERS_PER_BIN = 20
"""Answers that each bin shall hold on average; fewer answers have fewer bins."""
SUM_TOLERANCE = 1e-6
"""How far the probabilities of one answer may be from the sum of 1."""


def judge(p_choices: Sequence[Sequence[float] | FloatArray], chosen: npt.ArrayLike, targets: npt.ArrayLike) -> Judged:
    """Confidence, correctness, Brier score and surprise of each of n answers.

    Brier = sum_k (p_k - [k is right])^2, the original form over all choices: 0 is perfect, 2 is certainty in a wrong choice, and a
    uniform guess among K choices has 1 - 1/K. Source: Brier 1950 (Monthly Weather Review 78:1). NLL = -ln p(right choice); a
    probability that was rounded to 0 counts as the smallest normal float64 (708 nats).

    Args:
        p_choices: for each answer the probabilities of its choices, at least two; their number may differ between answers.
        chosen: for each answer the position of the choice that was taken.
        targets: for each answer the position of the one right choice.

    Raises:
        ValueError: lengths differ, a position does not exist, or probabilities are not in [0, 1] or do not sum to 1.
    """
    taken, right = np.asarray(chosen, dtype=np.int64), np.asarray(targets, dtype=np.int64)
    n_choices = np.fromiter(map(len, p_choices), dtype=np.int64, count=len(p_choices))
    if taken.shape != n_choices.shape or right.shape != n_choices.shape:
        raise ValueError("as many rows of probabilities, choices and targets are needed")
    if (n_choices < 2).any() or (np.minimum(taken, right) < 0).any() or (np.maximum(taken, right) >= n_choices).any():
        raise ValueError("a choice or target has no probability, or there are fewer than two choices")
    if not len(p_choices):
        nothing = np.zeros(0)
        return Judged(confidence=nothing, right=nothing, brier=nothing, nll=nothing)
    flat = np.concatenate([np.asarray(p, dtype=np.float64) for p in p_choices])
    starts = np.concatenate([[0], np.cumsum(n_choices)[:-1]])
    sums = np.add.reduceat(flat, starts)
    if not (((flat >= 0) & (flat <= 1 + SUM_TOLERANCE)).all() and (np.abs(sums - 1) <= SUM_TOLERANCE).all()):
        raise ValueError("probabilities must lie in [0, 1] and sum to 1")
    p_right = flat[starts + right]
    distances = flat.copy()
    distances[starts + right] -= 1
    return Judged(
        confidence=np.minimum(flat[starts + taken], 1.0),
        right=(taken == right).astype(np.float64),
        brier=np.add.reduceat(distances**2, starts),
        nll=-np.log(np.clip(p_right, np.finfo(np.float64).tiny, 1.0)),
    )


def bin_numbers(confidence: npt.ArrayLike, n_bins: int | None = None) -> IntArray:
    """Bins of about equal numbers of answers, in the order of confidence; equal confidences always share a bin.

    A run of equal confidences goes where its middle falls, so that the bins do not depend on the order of rows; where runs are
    long there are fewer bins than asked for. Bins of equal mass have less bias than bins of equal width: Roelofs, Cain, Shlens and
    Mozer 2022 (AISTATS, arXiv 2012.08668); Nixon et al. 2019 (arXiv 1904.01685).

    Args:
        confidence: n numbers.
        n_bins: at least 1; None: one per `ANSWERS_PER_BIN` answers, at least 1 and at most `MAX_BINS`.

    Returns:
        For each answer its bin, 0-based and without gaps.
    """
    values, index, counts = np.unique(np.asarray(confidence, dtype=np.float64), return_inverse=True, return_counts=True)
    n = int(counts.sum())
    wanted = min(max(n // ANSWERS_PER_BIN, 1), MAX_BINS) if n_bins is None else n_bins
    if wanted < 1:
        raise ValueError(f"n_bins = {wanted}: must be at least 1")
    if not len(values):
        return np.zeros(0, dtype=np.int64)
    # Twice the middle of each run, in whole numbers, so that no rounding moves a run across an edge.
    middle = 2 * np.cumsum(counts) - counts
    return np.asarray(np.unique(wanted * middle // (2 * n), return_inverse=True)[1][index], dtype=np.int64)


def calibration_error(judged: Judged, groups: Sequence[str] | npt.NDArray[np.str_], bins: IntArray) -> CalibrationError:
    """How far confidence and accuracy are apart, over bins: mean distance, root mean square, and the latter without its bias.

    With gap_b = accuracy_b - confidence_b and w_b = n_b / n: ece = sum_b w_b |gap_b| (Naeini, Cooper and Hauskrecht 2015, AAAI;
    Guo et al. 2017, arXiv 1706.04599) and rms^2 = sum_b w_b gap_b^2. Both are too large, since a gap that is noise counts as a gap:
    also perfectly calibrated answers have some. E gap_b^2 is the true one plus the variance of gap_b, hence

        rms_debiased^2 = sum_b w_b (gap_b^2 - se_b^2)

    is unbiased for the squared error of the bins (Kumar, Liang and Ma 2019, arXiv 1909.10155, their debiased estimator of the l2
    error; the same correction of the Brier score's reliability: Ferro and Fricker 2012, Q. J. R. Meteorol. Soc. 138:1954). Theirs takes
    se_b^2 = accuracy_b (1 - accuracy_b) / (n_b - 1); ours is the cluster-robust one of `arrays.cluster_t_interval`, which is the same
    for single answers and one confidence per bin. It can be negative; the root then keeps the sign: less than chance alone gives.
    A cut at 0 would bring the bias back. What differs within a bin is not seen by any of the three.

    Args:
        judged: n answers.
        groups: names of their groups.
        bins: from `bin_numbers`.

    Returns:
        All three in [-1, 1]; NaN without answers; the debiased one NaN where a bin holds one group only.
    """
    gaps = judged.right - judged.confidence
    if not gaps.size:
        return CalibrationError(ece=np.nan, rms=np.nan, rms_debiased=np.nan)
    names = np.asarray(groups, dtype=str)
    absolute = square = debiased = 0.0
    for number in range(int(bins.max()) + 1):
        inside = bins == number
        found = cluster_t_interval(gaps[inside], partition(names[inside]).index, 0.95)
        weight = float(inside.mean())
        absolute += weight * abs(found.estimate)
        square += weight * found.estimate**2
        debiased += weight * (found.estimate**2 - found.se**2)
    root = float(np.sign(debiased) * np.sqrt(abs(debiased)))
    return CalibrationError(ece=absolute, rms=float(np.sqrt(square)), rms_debiased=root)


def share_interval(right: npt.ArrayLike, groups: Sequence[str] | npt.NDArray[np.str_], level: float) -> tuple[float, float]:
    """Interval of a share, robust to dependence within groups, that keeps a width where all answers are right or all wrong.

    Wilson's interval (1927, J. Am. Stat. Assoc. 22:209) with the effective number of answers n a (1 - a) / (n se^2) in the place of n and
    Student's t with G - 1 degrees of freedom in that of the normal quantile: Korn and Graubard 1998 (Survey Methodology 24:193) for
    effective numbers, Dean and Pagano 2015 (J. Survey Stat. Methodol. 3:484) for Wilson's form with them. The effective number is n at
    most. Where nothing varies it is n^2 / sum_g n_g^2, each group all-or-nothing, since such data do not show how groups hang together.

    Args:
        right: n numbers, each 0 or 1.
        groups: names of their groups.
        level: confidence level in (0, 1).

    Returns:
        (low, high) within [0, 1]; NaN for fewer than two groups.
    """
    values = np.asarray(right, dtype=np.float64)
    numbered = partition(groups)
    if len(numbered.sizes) < 2:
        return np.nan, np.nan
    found = cluster_t_interval(values, numbered.index, level)
    share, n = found.estimate, float(values.size)
    spread = share * (1 - share)
    effective = n
    if spread == 0:
        effective = n**2 / float(numbered.sizes @ numbered.sizes)
    elif found.se > 0:  # groups whose answers offset each other can have se 0, which says no more than that they are not alike
        effective = min(n, spread / found.se**2)
    factor = float(stats.t.ppf(0.5 + level / 2, found.df)) ** 2 / effective
    center, half = (share + factor / 2) / (1 + factor), float(np.sqrt(factor * (spread + factor / 4))) / (1 + factor)
    # At shares of 0 and 1 an end is the share itself; rounding must not push it past.
    return max(min(center - half, share), 0.0), min(max(center + half, share), 1.0)


def selective_accuracy(confidence: npt.ArrayLike, right: npt.ArrayLike, coverages: npt.ArrayLike) -> FloatArray:
    """Accuracy on the most confident share of the answers, for each of several shares.

    Equal confidences are taken in random order: the accuracy is its expected value over all orders, so that it neither depends
    on the order of rows nor favours any. A share of k answers, k not whole, takes the next answer in part. At coverage 1 it is
    the accuracy. Source: El-Yaniv and Wiener 2010 (J. Mach. Learn. Res. 11:1605), risk and coverage; Geifman and El-Yaniv 2017 (arXiv
    1705.08500).

    Args:
        confidence: n numbers.
        right: n numbers, each 0 or 1.
        coverages: shares in (0, 1].

    Returns:
        One accuracy per coverage; NaN without answers.

    Raises:
        ValueError: lengths differ or a coverage is outside (0, 1].
    """
    shares, values = np.asarray(coverages, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if not ((shares > 0) & (shares <= 1)).all():
        raise ValueError("a coverage must lie in (0, 1]")
    levels, index = np.unique(-np.asarray(confidence, dtype=np.float64), return_inverse=True)
    if index.shape != values.shape:
        raise ValueError("as many confidences as answers are needed")
    if not values.size:
        return np.full(shares.shape, np.nan)
    # Within a run of equal confidences the expected number of right answers grows evenly.
    n_taken = np.concatenate([[0], np.cumsum(np.bincount(index, minlength=len(levels)))])
    n_right = np.concatenate([[0], np.cumsum(np.bincount(index, weights=values, minlength=len(levels)))])
    wanted = shares * values.size
    return np.asarray(np.interp(wanted, n_taken, n_right) / wanted, dtype=np.float64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """Answers with probabilities, held against the right choice; arrays of one length."""

    confidence: FloatArray
    """Probability of the choice that was taken, in [0, 1]."""
    right: FloatArray
    """1 if that choice is the right one, else 0."""
    brier: FloatArray
    """Brier score over all choices, in [0, 2]; lower is better."""
    nll: FloatArray
    """Minus the natural logarithm of the right choice's probability."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationError:
    """Distance of confidence and accuracy; see `calibration_error`."""

    ece: float
    """Mean absolute gap, in [0, 1]; too large by chance alone."""
    rms: float
    """Root mean squared gap, in [0, 1], at least `ece`; too large likewise."""
    rms_debiased: float
    """Signed root of the unbiased mean squared gap; about 0 for calibrated answers, negative: less than chance alone gives."""
