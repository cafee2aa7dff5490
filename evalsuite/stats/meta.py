"""Random-effects meta-analysis over tasks: what the mean difference would be if tasks were drawn from a population of tasks.

Sensitivity only: it takes tasks to be independent, which tasks that share questions are not. The verdict is that of `pooling`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, stats

from evalsuite.stats.arrays import SMALLEST, FloatArray, Interval, t_interval, t_tail
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.pooling import Pair, PrimaryUnits, is_share, primary_rows
from evalsuite.stats.tables import PairedUnits
from evalsuite.types import Tell, untold

MIN_TASKS = 3
"""Fewer tasks give no interval: with two, Student's t has one degree of freedom and multiplies the standard error by 12.7."""

NUMBERS = ("difference", "ci_low", "ci_high", "ci_level", "p_value", "tau2", "i2", "p_heterogeneity")
COLUMNS = (
    "model_a", "model_b", "n_tasks", "difference", "ci_low", "ci_high", "ci_level", "tau2", "i2", "p_heterogeneity", "method",
    "assumption", "p_value", "tasks", "left_out",
)  # fmt: skip
METHOD = "random effects over tasks, Paule-Mandel; interval of Hartung, Knapp, Sidik and Jonkman, never narrower than that of known weights"


def meta_frame(comparisons: pd.DataFrame, units: PrimaryUnits, design: AnalysisDesign, tell: Tell = untold) -> pd.DataFrame:
    """One row per pair with at least two tasks: differences of the primary cell, combined by `combine`.

    Right-or-wrong metrics only, as in `pooling`. A task without a verdict, or with a standard error of 0, has no usable weight; it
    is left out by name. That a model never differs on a task is evidence too, so that leaving it out moves the mean away from 0.

    Args:
        comparisons: from `compare.compare_frames`; a difference's standard error is read off its interval.
        units: from `pooling.primary_units`; says which groups stand in several tasks.
        design: pairs, primary cell and alpha.
        tell: told of progress, in pairs.

    Returns:
        `COLUMNS`; `assumption` says whether tasks are independent here.
    """
    rows = []
    for number, pair in enumerate(design.pairs):
        effects, left_out = effects_of(primary_rows(comparisons, design, pair), design)
        if len(effects) > 1:
            differences, errors = np.array(list(effects.values())).T
            rows.append(
                _row(pair, list(effects), left_out, combine(differences, errors, 1 - design.alpha), assumption_of(effects, units[pair]))
            )
        tell("meta-analysis", number + 1, len(design.pairs))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({**dict.fromkeys(NUMBERS, "float64"), "n_tasks": "int64"})


def effects_of(rows: pd.DataFrame, design: AnalysisDesign) -> tuple[dict[str, tuple[float, float]], dict[str, str]]:
    """Task to difference and standard error, and tasks of right-or-wrong metrics that have none, with the reason."""
    effects, left_out = {}, {}
    for row in rows.to_dict("records"):
        task = str(row["task"])
        if not is_share(design.metrics[row["metric"]]):
            continue
        half = (row["ci_high"] - row["ci_low"]) / 2
        if row["verdict"] == "not_established":
            left_out[task] = str(row["status_note"])
        elif not half > 0:
            left_out[task] = "its differences do not vary"
        else:
            effects[task] = float(row["difference"]), float(half / stats.t.ppf(0.5 + row["ci_level"] / 2, row["n_groups"] - 1))
    return effects, left_out


def combine(differences: FloatArray, errors: FloatArray, level: float) -> Combined:
    """Random-effects mean of independent differences.

    Weights w = 1 / (se^2 + tau^2) with `variance_between`. Interval: t with k - 1 degrees of freedom and the variance
    sum w (d - mean)^2 / ((k - 1) sum w) of Hartung and Knapp 2001 (Stat. Med. 20:3875) and Sidik and Jonkman 2002 (Stat. Med. 21:3153),
    but at least 1 / sum w: where tasks agree by chance better than their standard errors allow, it would be narrower than with one
    true difference (Röver, Knapp and Friede 2015, BMC Med. Res. Methodol. 15:99). Heterogeneity: Cochran's Q with weights 1 / se^2,
    I^2 = max(0, 1 - (k - 1) / Q) (Higgins and Thompson 2002, Stat. Med. 21:1539).

    Args:
        differences: k of them, k at least 2.
        errors: their standard errors, above 0, taken as known.
        level: in (0, 1).

    Returns:
        The mean and what it stands on; limits and p are NaN below `MIN_TASKS`.

    Raises:
        ValueError: fewer than two differences, or a standard error not above 0.
    """
    if len(differences) < 2 or not (errors > 0).all():
        raise ValueError("a meta-analysis needs two differences or more, with standard errors above 0")
    df, tau2 = len(differences) - 1, variance_between(differences, errors)
    mean, total, spread = weighted_spread(differences, errors, tau2)
    q = weighted_spread(differences, errors, 0.0)[2]
    se = float(np.sqrt(max(spread / df, 1.0) / total))
    known = len(differences) >= MIN_TASKS
    return Combined(
        interval=t_interval(mean, se if known else np.nan, df, level),
        p_value=2 * t_tail(abs(mean) / se, df) if known else np.nan,
        tau2=tau2,
        i2=max(0.0, 1 - df / q) if q > 0 else 0.0,
        p_heterogeneity=max(float(stats.chi2.sf(q, df)), SMALLEST),
    )


def variance_between(differences: FloatArray, errors: FloatArray) -> float:
    """The variance of true differences between tasks, tau^2, that explains their spread: sum w (d - mean)^2 = k - 1, or 0.

    The sum falls as tau^2 grows, so that there is one solution, or none where the standard errors alone explain more than the spread.
    Source: Paule and Mandel 1982 (J. Res. NBS 87:377). Solved here by bracketing: statsmodels' Newton steps (`combine_effects`, 0.15)
    return 0 where rounding carries them past the solution.
    """
    df = len(differences) - 1

    def surplus(tau2: float) -> float:
        return weighted_spread(differences, errors, tau2)[2] - df

    if surplus(0.0) <= 0:
        return 0.0
    # With tau^2 of the whole spread every weight is below its inverse, so that the sum is below 1.
    most = float(((differences - differences.mean()) ** 2).sum())
    return float(optimize.brentq(surplus, 0.0, most, xtol=1e-14, rtol=1e-12))


def weighted_spread(differences: FloatArray, errors: FloatArray, tau2: float) -> tuple[float, float, float]:
    """Weighted mean, sum of weights and sum w (d - mean)^2 for the weights w = 1 / (se^2 + tau^2)."""
    weights = 1 / (errors**2 + tau2)
    mean = float(weights @ differences / weights.sum())
    return mean, float(weights.sum()), float(weights @ (differences - mean) ** 2)


def assumption_of(effects: Mapping[str, tuple[float, float]], units: Mapping[str, PairedUnits]) -> str:
    """That tasks are taken to be independent, and how many groups say otherwise."""
    names, n_tasks = np.unique(np.concatenate([np.unique(units[task].groups) for task in effects]), return_counts=True)
    n_repeated = int((n_tasks > 1).sum())
    taken = "takes the tasks to be independent of one another and drawn from many"
    if not n_repeated:
        return f"{taken}; no question group stands in two of them"
    return f"{taken}; they are not: {n_repeated:,} of {len(names):,} question groups stand in more than one task"


def _row(pair: Pair, tasks: list[str], left_out: Mapping[str, str], combined: Combined, assumption: str) -> dict[str, Any]:
    interval = combined.interval
    return {
        "model_a": pair[0],
        "model_b": pair[1],
        "n_tasks": len(tasks),
        "difference": interval.estimate,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "ci_level": interval.level,
        "tau2": combined.tau2,
        "i2": combined.i2,
        "p_heterogeneity": combined.p_heterogeneity,
        "method": METHOD,
        "assumption": assumption,
        "p_value": combined.p_value,
        "tasks": ",".join(tasks),
        "left_out": "; ".join(f"{task} ({why})" for task, why in left_out.items()),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Combined:
    """Result of a random-effects meta-analysis."""

    interval: Interval
    """Of the mean over the population of tasks."""
    p_value: float
    """Two-sided, of a mean of 0; NaN without an interval."""
    tau2: float
    """Variance between tasks, in squared shares."""
    i2: float
    """Part of the variation of the differences that is between tasks, in [0, 1)."""
    p_heterogeneity: float
    """Of all tasks having the same difference."""
