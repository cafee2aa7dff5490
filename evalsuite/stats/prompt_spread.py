"""Many prompts for one question: how far a model's score moves with the wording, and whether the order of models does.

Prompts are the variants of a perturbation `prompts`: each is a system prompt, a template and an exemplar seed, the same for all samples.
Source: the spread over formats, Sclar et al. 2024 (arXiv 2310.11324, FormatSpread); mean and best prompt and the agreement of rankings over
prompts, Mizrahi et al. 2024 (TACL 12:933), with the coefficient of concordance W of Kendall and Babington Smith 1939 (Ann. Math. Stat.
10:275).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from evalsuite.metrics.base import Metric
from evalsuite.stats.arrays import FloatArray
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.judged_under import judged_metric
from evalsuite.stats.perturbed import Perturbed
from evalsuite.stats.tables import Cells, Condition, PairedUnits, excluded_samples, pair_units

PROMPTS = "prompts"
"""Name of the perturbation whose variants are prompts."""
SPREAD_COLUMNS = ("task", "strategy", "perturbation", "model", "n_prompts", "mean", "worst", "best", "sd", "range", "note")
RANK_COLUMNS = (
    "task", "strategy", "perturbation", "model_a", "model_b", "n_prompts", "p_a_ahead", "p_b_ahead", "p_tied", "difference_mean",
    "difference_low", "difference_high", "kendall_w", "note",
)  # fmt: skip
NOISE = 1e-12
"""Means over the same samples that differ by less are equal: sums in another order differ in their last bits."""


def prompt_spread_frame(cells: Cells, design: AnalysisDesign, perturbations: Mapping[str, Perturbed]) -> pd.DataFrame:
    """Mean, worst, best, standard deviation (over prompts, n - 1) and range of a model's score over prompts.

    The score under a prompt is the mean over the samples that have an answer to every prompt, replicates averaged, of the metric that
    perturbations are judged on (`judged_under.judged_metric`: for a metric of a set the accuracy of the same answers, and the task is left
    out where the scores do not hold it). Worst and best go by the metric's direction. Missing rule, refusals, exclusions and failures as
    in `tables.pair_units`.

    Args:
        cells: answers by condition and model.
        design: primary metrics, missing rule, exclusions.
        perturbations: id to what it is; those named `prompts` count.

    Returns:
        `SPREAD_COLUMNS`, in the metric's unit; NaN with a `note` where there is no number.
    """
    rows: list[dict[str, Any]] = []
    for asked in asked_by_prompts(cells, design, perturbations):
        for model in sorted(asked.models):
            table = asked.of(model, model, design)
            row = {**asked.columns(), "model": model, "n_prompts": table.n_prompts, "note": table.note}
            if table.means is not None:
                means = table.means[0]
                low, high = float(means.min()), float(means.max())
                worst, best = (low, high) if asked.metric.higher_is_better else (high, low)
                row |= {"mean": float(means.mean()), "worst": worst, "best": best, "range": high - low}
                row["sd"] = float(means.std(ddof=1)) if len(means) > 1 else np.nan
            rows.append(row)
    return _typed(rows, SPREAD_COLUMNS)


def prompt_rank_frame(cells: Cells, design: AnalysisDesign, perturbations: Mapping[str, Perturbed]) -> pd.DataFrame:
    """How often each side of a pair is ahead over prompts, how its difference moves, and how well prompts agree about all models.

    Differences a - b per prompt, oriented so that positive favours a, over the samples that both models have under every prompt; a tie
    counts half for either side, and `p_tied` is the share of prompts with one. `kendall_w`: concordance of the prompts' rankings of all
    models that have numbers, over the samples that all of them have, corrected for ties; the same for every pair of a cell. 1: every
    prompt ranks alike. NaN with one model or one prompt, or where every prompt ties all models. Descriptive: prompts are no random sample
    of anything, so that there is no interval.

    Args:
        cells: answers by condition and model.
        design: pairs, primary metrics, missing rule, exclusions.
        perturbations: id to what it is; those named `prompts` count.

    Returns:
        `RANK_COLUMNS`, differences in the metric's unit; NaN with a `note` where there is no number.
    """
    rows: list[dict[str, Any]] = []
    for asked in asked_by_prompts(cells, design, perturbations):
        concordance, why = asked.concordance(design)
        for a, b in design.pairs:
            if a not in asked.models and b not in asked.models:
                continue
            table = asked.of(a, b, design)
            row = {**asked.columns(), "model_a": a, "model_b": b, "n_prompts": table.n_prompts, "kendall_w": concordance}
            if table.means is not None:
                raw = (table.means[0] - table.means[1]) * (1 if asked.metric.higher_is_better else -1)
                gaps = np.where(np.abs(raw) <= NOISE, 0.0, raw)
                ahead = float(np.mean((gaps > 0) + 0.5 * (gaps == 0)))
                row |= {"p_a_ahead": ahead, "p_b_ahead": 1 - ahead, "p_tied": float(np.mean(gaps == 0))}
                row |= {"difference_mean": float(gaps.mean()), "difference_low": float(gaps.min()), "difference_high": float(gaps.max())}
            rows.append(row | {"note": "; ".join(note for note in (table.note, why) if note)})
    return _typed(rows, RANK_COLUMNS)


def kendall_w(scores: FloatArray) -> float:
    """Kendall's coefficient of concordance, corrected for ties.

    W = 12 S / (m^2 (n^3 - n) - m sum_j T_j) with S the sum of squared deviations of the n rank sums from their mean, and T_j the sum of
    t^3 - t over the groups of t tied items of rater j. Source: Kendall and Gibbons 1990 (Rank Correlation Methods, 5th ed., chapter 6).

    Args:
        scores: (m, n), score of item i by rater j; equal scores share the mean of their ranks.

    Returns:
        In [0, 1]; NaN with fewer than two raters or items, or where every rater ties all items.
    """
    m, n = scores.shape
    if m < 2 or n < 2:
        return float("nan")
    ranks = np.apply_along_axis(rankdata, 1, scores)
    ties = 0.0
    for row in scores:
        counts = np.unique(row, return_counts=True)[1].astype(np.float64)
        ties += float((counts**3 - counts).sum())
    most = m**2 * (n**3 - n) - m * ties
    sums = ranks.sum(axis=0)
    return 12 * float(((sums - sums.mean()) ** 2).sum()) / most if most > 0 else float("nan")


def asked_by_prompts(cells: Cells, design: AnalysisDesign, perturbations: Mapping[str, Perturbed]) -> Iterator[Asked]:
    """Every condition under a perturbation that varies the prompt, on the metric of its task (`judged_metric`), in sorted order."""
    metrics = {task: judged_metric(cells, design, task) for task in design.primary_metric}
    for condition in sorted(cells):
        of = perturbations.get(condition.perturbation)
        if of is not None and of.name == PROMPTS and metrics.get(condition.task) == condition.metric:
            yield Asked(condition=condition, metric=design.metrics[condition.metric], models=cells[condition])


def by_prompt(units: PairedUnits) -> tuple[npt.NDArray[np.str_], FloatArray, FloatArray]:
    """Samples that have an answer to every prompt, and (sample, prompt) means of a and of b over replicates."""
    samples, rows = np.unique(units.samples, return_inverse=True)
    prompts, columns = np.unique(units.variants, return_inverse=True)
    place, shape = rows * len(prompts) + columns, (len(samples), len(prompts))
    counts = np.bincount(place, minlength=len(samples) * len(prompts)).reshape(shape)
    complete = (counts > 0).all(axis=1)
    sums = [np.bincount(place, weights=side, minlength=counts.size).reshape(shape) for side in (units.a, units.b)]
    return samples[complete], sums[0][complete] / counts[complete], sums[1][complete] / counts[complete]


def _typed(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    texts = {"task", "strategy", "perturbation", "model", "model_a", "model_b", "note"}
    frame = pd.DataFrame(rows, columns=list(columns))
    return frame.astype({name: "int64" if name == "n_prompts" else "float64" for name in columns if name not in texts})


@dataclass(frozen=True, kw_only=True, slots=True)
class ByPrompt:
    """Scores of two models under each prompt."""

    n_prompts: int
    """Prompts."""
    means: tuple[FloatArray, FloatArray] | None
    """Score of a and of b under each prompt; None where faults forbid numbers or nothing is left."""
    note: str
    """What a reader must know."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One condition whose variants are prompts."""

    condition: Condition
    """Where."""
    metric: Metric
    """Of one answer."""
    models: Mapping[str, pd.DataFrame]
    """Model to its answers."""

    def columns(self) -> dict[str, str]:
        """As the first three columns of a table."""
        return {"task": self.condition.task, "strategy": self.condition.strategy, "perturbation": self.condition.perturbation}

    def of(self, a: str, b: str, design: AnalysisDesign) -> ByPrompt:
        """Scores of two models (or of one with itself) over the samples that both have under every prompt."""
        units = self.units(a, b, design)
        n_prompts = len(np.unique(units.variants))
        if units.faults or not units.n_samples:
            return ByPrompt(n_prompts=n_prompts, means=None, note="; ".join(units.faults) or "no answers are left")
        samples, own_a, own_b = by_prompt(units)
        n_left = units.n_samples - len(samples)
        note = f"{n_left} samples without an answer to every prompt are left out" if n_left else ""
        if not len(samples):
            return ByPrompt(n_prompts=n_prompts, means=None, note=note)
        return ByPrompt(n_prompts=n_prompts, means=(own_a.mean(axis=0), own_b.mean(axis=0)), note=note)

    def units(self, a: str, b: str, design: AnalysisDesign) -> PairedUnits:
        """Paired answers."""
        excluded = excluded_samples(design.exclude, self.condition.task)
        return pair_units(self.models.get(a), self.models.get(b), self.metric, design.missing, excluded)

    def concordance(self, design: AnalysisDesign) -> tuple[float, str]:
        """Kendall's W over prompts and models, and what must be said of it."""
        own = {model: self.units(model, model, design) for model in sorted(self.models)}
        left_out = [model for model, units in own.items() if units.faults or not units.n_samples]
        tables = {model: by_prompt(units) for model, units in own.items() if model not in left_out}
        said = [f"W without {', '.join(left_out)}"] if left_out else []
        if len(tables) < 2:
            return np.nan, "; ".join([*said, "no W: one model"])
        shared = set.intersection(*(set(samples.tolist()) for samples, _, _ in tables.values()))
        if len({values.shape[1] for _, values, _ in tables.values()}) > 1 or not shared:
            return np.nan, "; ".join([*said, "no W: the models have no samples or prompts in common"])
        means = [values[np.isin(samples, sorted(shared))].mean(axis=0) for samples, values, _ in tables.values()]
        found = kendall_w(np.round(np.array(means).T * (1 if self.metric.higher_is_better else -1), 12))
        return found, "; ".join([*said, "no W: one prompt, or all tied"] if np.isnan(found) else said)
