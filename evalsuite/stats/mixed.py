"""A mixed-effects logistic model over all tasks: an odds ratio beside the pooled difference, if the study asks for it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse, stats

from evalsuite.seeds import derive_seed
from evalsuite.stats.arrays import FloatArray, IntArray, partition
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.pooling import PrimaryUnits, left_out_of, whole_study
from evalsuite.stats.tables import PairedUnits
from evalsuite.types import Tell, untold

MAX_GROUPS = 2_000
"""More question groups than these are drawn from: each has an effect of its own, and a fit of this size takes seconds per pair."""

NUMBERS = ("odds_ratio", "ci_low", "ci_high", "ci_level", "sd_question", "sd_task")
COUNTS = ("n_answers", "n_groups", "n_tasks")
COLUMNS = ("model_a", "model_b", "odds_ratio", "ci_low", "ci_high", "sd_question", "sd_task", "method", "note", "ci_level", *COUNTS)
METHOD = "logistic model with random intercepts of question groups and tasks, variational Bayes"
LIMITS = "approximate: the mean-field posterior is somewhat too narrow; a question that stands in two tasks counts twice"


def mixed_frame(units: PrimaryUnits, design: AnalysisDesign, tell: Tell = untold) -> pd.DataFrame:
    """One row per pair: the odds of a right answer of a against those of b, for a question of given difficulty.

    logit P(right) = intercept + effect * (1/2 for a, -1/2 for b) + question group + task, both normal around 0; one row of data per answer,
    in the primary cell, with the tasks of `pooling.pooled_frame`. An odds ratio given the question is further from 1 than the one of
    the two overall accuracies. Its posterior is found by `fit`.

    Args:
        units: from `pooling.primary_units`.
        design: pairs, alpha, seed (of the groups that are drawn where there are more than `MAX_GROUPS`).
        tell: told of progress, in pairs.

    Returns:
        `COLUMNS`; no rows unless `design.mixed_model` is set or without tasks to pool. Nulls with a note where a task of the estimand is
        missing or every answer is the same.
    """
    rows = []
    for number, pair in enumerate(design.pairs if design.mixed_model else ()):
        outside, lost = left_out_of(whole_study(design), units[pair], design)
        entered = {task: own for task, own in units[pair].items() if task not in outside and task not in lost}
        if entered or lost:
            rows.append({"model_a": pair[0], "model_b": pair[1]} | _numbers(entered, list(lost), design))
        tell("fitting the mixed model", number + 1, len(design.pairs))
    types: dict[str, Any] = {**dict.fromkeys(NUMBERS, "float64"), **dict.fromkeys(COUNTS, "int64")}
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(types)


def _numbers(entered: Mapping[str, PairedUnits], lost: list[str], design: AnalysisDesign) -> dict[str, Any]:
    row: dict[str, Any] = {"method": METHOD, "ci_level": 1 - design.alpha, **dict.fromkeys(COUNTS, 0), "n_tasks": len(entered)}
    if lost:
        return row | {"note": f"not fitted: {', '.join(lost)} could not enter"}
    answers, drawn = answers_of(entered, design)
    row |= {"n_answers": len(answers.right), "n_groups": len(np.unique(answers.groups))}
    if np.ptp(answers.right) == 0:
        return row | {"note": "not fitted: every answer is the same"}
    fitted = fit(answers)
    half = float(stats.norm.ppf(1 - design.alpha / 2)) * fitted.se
    notes = [LIMITS, drawn, "" if fitted.converged else "the fit did not converge"]
    return row | {
        "odds_ratio": float(np.exp(fitted.effect)),
        "ci_low": float(np.exp(fitted.effect - half)),
        "ci_high": float(np.exp(fitted.effect + half)),
        "sd_question": fitted.sd_group,
        "sd_task": fitted.sd_task,
        "note": "; ".join(note for note in notes if note),
    }


def answers_of(entered: Mapping[str, PairedUnits], design: AnalysisDesign) -> tuple[Answers, str]:
    """Every answer of both sides, right or wrong, of at most `MAX_GROUPS` groups; and what was drawn, empty if all are there."""
    right, tasks, groups = [], [], []
    for number, (task, units) in enumerate(entered.items()):
        best = design.metrics[design.primary_metric[task]].best
        right.append(np.stack([units.a == best, units.b == best]))
        tasks.append(np.full(len(units.a), number))
        groups.append(units.groups)
    names, values, task = np.concatenate(groups), np.concatenate(right, axis=1), np.concatenate(tasks)
    known, drawn = np.unique(names), ""
    if len(known) > MAX_GROUPS:
        rng = np.random.default_rng(derive_seed(design.seed, "mixed model", design.study))
        kept = np.isin(names, rng.choice(known, size=MAX_GROUPS, replace=False))
        drawn = f"fitted to {MAX_GROUPS:,} of {len(known):,} question groups, drawn at random"
        names, values, task = names[kept], values[:, kept], task[kept]
    return (
        Answers(
            right=values.reshape(-1).astype(np.float64),
            side=np.repeat([0.5, -0.5], len(names)),
            groups=np.tile(partition(names).index, 2),
            tasks=np.tile(np.unique(task, return_inverse=True)[1].astype(np.int64), 2),
        ),
        drawn,
    )


def fit(answers: Answers) -> Fitted:
    """Mean and standard deviation of the variational posterior; deterministic.

    Priors as statsmodels has them: normal with sd 2 for intercept and effect on the logit scale, normal with sd 1 for the logarithms of
    the two standard deviations. Factorised normal posterior by maximising the evidence bound (mean-field variational Bayes); it
    leaves out how parameters hang together, so that standard errors are too small, in simulations by 0 to 20 %. Where one side is
    right whenever they differ the prior is what keeps the effect finite.

    Source: Blei, Kucukelbir and McAuliffe 2017 (J. Am. Stat. Assoc. 112:859); statsmodels' `BinomialBayesMixedGLM.fit_vb`.

    Args:
        answers: right and wrong ones, of two groups or more.
    """
    # Here, since it takes seconds to load and few studies ask for it.
    from statsmodels.genmod.bayes_mixed_glm import BinomialBayesMixedGLM

    n, n_groups, n_tasks = len(answers.right), int(answers.groups.max()) + 1, int(answers.tasks.max()) + 1
    rows, columns, kinds = np.arange(n), answers.groups, np.zeros(n_groups, dtype=np.int64)
    if n_tasks > 1:
        rows, columns = np.tile(rows, 2), np.concatenate([columns, n_groups + answers.tasks])
        kinds = np.repeat([0, 1], [n_groups, n_tasks])
    effects = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(n, len(kinds)))
    model = BinomialBayesMixedGLM(answers.right, np.column_stack([np.ones(n), answers.side]), effects, kinds)
    start = 2 + int(kinds.max()) + 1 + len(kinds)
    options = {"maxiter": 10_000, "maxfun": 50_000, "maxcor": 50}
    with warnings.catch_warnings():
        # Said by `converged`; intermediate steps may overflow.
        warnings.simplefilter("ignore")
        found = model.fit_vb(mean=np.zeros(start), sd=np.full(start, 0.6), fit_method="L-BFGS-B", minim_opts=options)
    spreads = np.exp(found.vcp_mean)
    return Fitted(
        effect=float(found.fe_mean[1]),
        se=float(found.fe_sd[1]),
        sd_group=float(spreads[0]),
        sd_task=float(spreads[1]) if n_tasks > 1 else np.nan,
        converged=bool(found.optim_retvals.success) and bool(np.isfinite(found.fe_mean).all()),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """Answers of both models as data of a logistic model; arrays of one length."""

    right: FloatArray
    """1 right, 0 wrong."""
    side: FloatArray
    """1/2 for a, -1/2 for b, so that the effect hangs together with the intercept as little as possible."""
    groups: IntArray
    """Number of the question group, each of 0..G-1 at least once."""
    tasks: IntArray
    """Number of the task, likewise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """Posterior of the mixed model, on the logit scale."""

    effect: float
    """Log odds ratio of a against b."""
    se: float
    """Its standard deviation."""
    sd_group: float
    """Median standard deviation of question groups."""
    sd_task: float
    """The same of tasks; NaN with one task."""
    converged: bool
    """Whether the maximum was found."""
