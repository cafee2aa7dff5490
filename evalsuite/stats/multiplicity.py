"""Correction for several comparisons. NumPy only."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from evalsuite.stats.arrays import FloatArray


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
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p-values must be a list of numbers in [0, 1]")
    m = p.size if n_tests is None else n_tests
    if m < p.size:
        raise ValueError(f"{p.size} p-values in a family of {m} tests")
    order = np.argsort(p, kind="stable")
    # Tests that count as p = 1 come last in the order, so that they only raise the factors of those before them.
    stepped = np.minimum(1.0, p[order] * np.arange(m, m - p.size, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(stepped) if p.size else stepped
    return adjusted


def smallest_attainable_p(n_resamples: int) -> float:
    """The smallest p that a randomisation test with n_resamples can give: 1 / (1 + n_resamples).

    Enumerations give no smaller one: they are used where 2^G <= n_resamples, and their smallest p is 2 / 2^G.

    Args:
        n_resamples: at least 1.
    """
    if n_resamples < 1:
        raise ValueError("n_resamples must be at least 1")
    return 1 / (1 + n_resamples)


def reachable(n_family: int, n_resamples: int, alpha: float, correction: Literal["holm", "none"]) -> bool:
    """Whether any comparison of a family can be significant with so many resamples, however large its difference.

    Holm's first step multiplies the smallest p by the size of the family.

    Args:
        n_family: comparisons of the family, at least 0.
        n_resamples: at least 1.
        alpha: level of the family.
        correction: of the family.
    """
    factor = max(n_family, 1) if correction == "holm" else 1
    return factor * smallest_attainable_p(n_resamples) <= alpha
