"""The part of recompute_comparisons.py for the sensitivity columns: bootstrap limits within Monte Carlo error, and McNemar's p."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

N_DRAWS = 4000
LIMITS = ("boot_low", "boot_high", "bca_low", "bca_high")


def bootstrap_faults(row: Mapping[str, Any], groups: Sequence[Sequence[float]], analysis: Mapping[str, Any]) -> list[str]:
    """Percentile and BCa limits of the mean again, from fresh draws of whole groups.

    Allowed is five standard errors of a quantile of that many draws (for BCa: with that of the share below the estimate) and one step
    of the mean. Limits that hang on whether a draw falls beyond the estimate at all are not looked at.
    """
    sums, sizes = np.array([math.fsum(group) for group in groups]), np.array([len(group) for group in groups])
    n, estimate = sizes.sum(), sums.sum() / sizes.sum()
    if len(groups) < 2:
        return [f"{name} is printed as {row[name]}, there is one group" for name in LIMITS if not pd.isna(row[name])]
    drawn = np.random.default_rng(20240726).integers(0, len(groups), (N_DRAWS, len(groups)))
    means = np.sort(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    tail = analysis["alpha"] / 2
    expected = dict(zip(LIMITS, np.quantile(means, [tail, 1 - tail]), strict=False))
    share = float(np.mean(means < estimate - 1e-12) + np.mean(np.abs(means - estimate) <= 1e-12) / 2)
    without = (sums.sum() - sums) / (n - sizes)
    u = without.mean() - without
    varies = np.ptp(without) > 1e-12
    if varies and 0.005 < share < 0.995:
        z0, a = stats.norm.ppf(share), np.sum(u**3) / (6 * np.sum(u**2) ** 1.5)
        z = z0 + stats.norm.ppf([tail, 1 - tail])
        if (1 - a * z > 0.05).all():
            expected |= dict(zip(LIMITS[2:], np.quantile(means, stats.norm.cdf(z0 + z / (1 - a * z))), strict=True))
    if not varies:
        expected |= dict.fromkeys(LIMITS[2:], math.nan)
    both = math.sqrt(1 / N_DRAWS + 1 / analysis["n_resamples"])
    in_quantile, in_z0 = math.sqrt(tail * (1 - tail)) / stats.norm.pdf(stats.norm.ppf(tail)), 2.5
    step = max(float(np.abs(sums).max()) / n, 1e-9)
    faults = []
    for name, value in expected.items():
        allowed = 5 * float(means.std()) * both * math.hypot(in_quantile, in_z0 if name.startswith("bca") else 0.0) + step
        same = math.isnan(value) if pd.isna(row[name]) else abs(row[name] - value) <= allowed
        if not same:
            faults.append(f"{name} is printed as {row[name]}, recomputed as {value:.6f} +- {allowed:.6f}")
    return faults


def mcnemar(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """Exact and mid p of paired answers of which every one is 0 or 1, by the sum over the binomial distribution."""
    only_a, only_b = sum(x > y for x, y in zip(a, b, strict=True)), sum(x < y for x, y in zip(a, b, strict=True))
    n = only_a + only_b
    point = [math.comb(n, k) / 2**n for k in range(n + 1)]
    observed = point[only_a]
    exact = math.fsum(p for p in point if p <= observed * (1 + 1e-9))
    # Half of the outcomes that are exactly as unlikely as the one observed, which are two unless it is the middle one.
    return min(exact, 1.0), min(exact, 1.0) - (observed / 2 if only_a == only_b else observed)
