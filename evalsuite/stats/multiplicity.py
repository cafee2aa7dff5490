"""Correction for several comparisons. NumPy only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from evalsuite.stats.arrays import FloatArray


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Holm's step-down adjusted p-values; comparing them with alpha keeps the family-wise error rate at alpha.

    adjusted_(i) = max_{j <= i} min(1, (m - j + 1) p_(j)), in the order of the given p-values. Source: Holm 1979 (Scand. J.
    Statist. 6:65); adjusted form as in Wright 1992 (Biometrics 48:1005).

    Args:
        p_values: m numbers in [0, 1]; the family, and nothing but the family. m may be 0.

    Raises:
        ValueError: a number is outside [0, 1] or NaN.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p-values must be a list of numbers in [0, 1]")
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(1.0, p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(stepped) if p.size else stepped
    return adjusted
