"""Correction for several comparisons: within a family, and of a second family behind a first. Plain arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from evalsuite.config import Correction
from evalsuite.stats.arrays import FloatArray


def adjusted(p_values: npt.ArrayLike, correction: Correction, n_tests: int | None = None) -> FloatArray:
    """Adjusted p-values of a family under its correction, in the order of the given ones; to be compared with the family's alpha.

    Args:
        p_values: numbers in [0, 1], of nothing but the family. May be empty.
        correction: `holm` keeps the chance of any false claim at alpha, `benjamini_hochberg` the expected share of false claims among
            the claims; `none` leaves every p as it is.
        n_tests: size of the family as it was stated beforehand; tests without a p-value count as p = 1. None: as many as p-values.

    Raises:
        ValueError: a number is outside [0, 1] or NaN, or there are more of them than tests.
    """
    if correction == "holm":
        return holm(p_values, n_tests)
    if correction == "benjamini_hochberg":
        return benjamini_hochberg(p_values, n_tests)
    return checked_family(p_values, n_tests)[0]


def holm(p_values: npt.ArrayLike, n_tests: int | None = None) -> FloatArray:
    """Holm's step-down adjusted p-values; comparing them with alpha keeps the family-wise error rate at alpha.

    adjusted_(i) = max_{j <= i} min(1, (m - j + 1) p_(j)), in the order of the given p-values. Source: Holm 1979 (Scand. J.
    Statist. 6:65); adjusted form as in Wright 1992 (Biometrics 48:1005).

    Args:
        p_values: numbers in [0, 1]; those of the family that could be computed, and nothing but the family. May be empty.
        n_tests: m, the size of the family as it was stated beforehand; tests without a p-value count as p = 1. None: as many
            as there are p-values.

    Raises:
        ValueError: a number is outside [0, 1] or NaN, or there are more of them than tests.
    """
    p, m = checked_family(p_values, n_tests)
    order = np.argsort(p, kind="stable")
    # Tests that count as p = 1 come last in the order, so that they only raise the factors of those before them.
    stepped = np.minimum(1.0, p[order] * np.arange(m, m - p.size, -1))
    adjusted_p = np.empty_like(p)
    adjusted_p[order] = np.maximum.accumulate(stepped)
    return adjusted_p


def benjamini_hochberg(p_values: npt.ArrayLike, n_tests: int | None = None) -> FloatArray:
    """Benjamini and Hochberg's step-up adjusted p-values; comparing them with alpha keeps the false discovery rate at alpha.

    adjusted_(i) = min_{j >= i} min(1, m p_(j) / j), in the order of the given p-values. That is proved for independent tests and for some
    that depend positively on one another, not for every dependence. Source: Benjamini and Hochberg 1995 (J. R. Stat. Soc. B 57:289);
    dependence: Benjamini and Yekutieli 2001 (Ann. Statist. 29:1165).

    Args:
        p_values: as for `holm`.
        n_tests: as for `holm`; tests without a p-value count as p = 1.

    Raises:
        ValueError: as for `holm`.
    """
    p, m = checked_family(p_values, n_tests)
    order = np.argsort(p, kind="stable")
    # Tests that count as p = 1 come last in the order, where m p / j is at least 1: they lower no other.
    stepped = np.minimum(1.0, p[order] * m / np.arange(1, p.size + 1))
    adjusted_p = np.empty_like(p)
    adjusted_p[order] = np.minimum.accumulate(stepped[::-1])[::-1]
    return adjusted_p


def gate(primary_adjusted: npt.ArrayLike, n_tests: int) -> float:
    """The p-value at which a primary family lets a secondary one be tested: its largest adjusted p.

    Serial gatekeeping: at level alpha the secondary family is looked at only where every primary comparison is significant, so that a
    secondary adjusted p is never below this number. With Holm in both families the chance of any false claim in the two together stays at
    alpha: if a primary null hypothesis is true, the gate opens only by an error that the primary family already pays for. Source: Maurer,
    Hothorn and Lehmacher 1995 (Biometrie in der chemisch-pharmazeutischen Industrie 6:3); Westfall and Krishen 2001 (J. Stat. Plan.
    Inference 99:25).

    Args:
        primary_adjusted: adjusted p-values of the primary comparisons that could be tested.
        n_tests: size of the primary family as it was stated.

    Returns:
        1 if any primary comparison could not be tested, or if there is none.
    """
    p, m = checked_family(primary_adjusted, n_tests)
    return 1.0 if p.size < m or p.size == 0 else float(p.max())


def behind_gate(p_values: npt.ArrayLike, opened_at: float, correction: Correction, n_tests: int | None = None) -> FloatArray:
    """Adjusted p-values of a secondary family: the larger of each one's own, within the family, and of the gate's.

    Args:
        p_values: as for `adjusted`, of the secondary family.
        opened_at: from `gate`.
        correction: of the secondary family.
        n_tests: its size.
    """
    return np.maximum(adjusted(p_values, correction, n_tests), opened_at)


def checked_family(p_values: npt.ArrayLike, n_tests: int | None) -> tuple[FloatArray, int]:
    """p-values as an array and the size of their family.

    Raises:
        ValueError: a number is outside [0, 1] or NaN, or there are more of them than tests.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p-values must be a list of numbers in [0, 1]")
    m = p.size if n_tests is None else n_tests
    if m < p.size:
        raise ValueError(f"{p.size} p-values in a family of {m} tests")
    return p, m


def smallest_attainable_p(n_resamples: int) -> float:
    """The smallest p that a randomisation test with n_resamples can give: 1 / (1 + n_resamples).

    Enumerations give no smaller one: they are used where 2^G <= n_resamples, and their smallest p is 2 / 2^G.

    Args:
        n_resamples: at least 1.
    """
    if n_resamples < 1:
        raise ValueError("n_resamples must be at least 1")
    return 1 / (1 + n_resamples)


def reachable(n_family: int, n_resamples: int, alpha: float, correction: Correction) -> bool:
    """Whether a comparison of a family can be significant with so many resamples, however large its difference.

    Holm multiplies the smallest p by the size of the family. So does Benjamini-Hochberg for a comparison that stands alone; where all
    comparisons are at the smallest p it multiplies by one, but a family must not depend on that to find its first difference.

    Args:
        n_family: comparisons of the family, at least 0.
        n_resamples: at least 1.
        alpha: level of the family.
        correction: of the family.
    """
    factor = 1 if correction == "none" else max(n_family, 1)
    return factor * smallest_attainable_p(n_resamples) <= alpha


def worst_level(n_family: int, alpha: float, correction: Correction) -> float:
    """The level that a comparison of a family is tested at if no other of its comparisons is significant.

    Args:
        n_family: comparisons of the family, at least 0.
        alpha: level of the family.
        correction: of the family.
    """
    return alpha if correction == "none" else alpha / max(n_family, 1)
