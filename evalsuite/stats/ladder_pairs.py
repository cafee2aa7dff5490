"""Does the difference of a pair survive the prompting? Its difference on every rung of a ladder, and how that differs from the first rung.

Exploratory, not corrected. Positive differences favour a; positive contrasts mean that a gains more on this rung than on the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from evalsuite.seeds import derive_seed
from evalsuite.stats.contrasts import PlannedContrast, Side, contrast_row, shared_units
from evalsuite.stats.design import MIN_GROUPS, AnalysisDesign
from evalsuite.stats.ladder import ALL
from evalsuite.stats.paired import condition_under, units_in, units_under
from evalsuite.stats.pooling import (
    left_out_of,
    pooled_frame,
    pooled_samples,
    primary_units,
    scopes_of,
    weighed,
    weighted_interval,
    with_reasons,
)
from evalsuite.stats.randomisation import sign_flip_p
from evalsuite.stats.tables import Cells, PairedUnits

Pair = tuple[str, str]

TAKEN = ("mean_a", "mean_b", "difference", "ci_low", "ci_high", "p_value", "n_samples", "n_groups", "status_note", "method")
"""What a row has from the comparison of the pair under the strategy."""
NUMBERS = (
    "mean_a", "mean_b", "difference", "ci_low", "ci_high", "ci_level", "p_value", "contrast", "contrast_low", "contrast_high", "contrast_p",
)  # fmt: skip
COUNTS = ("step", "n_samples", "n_groups", "n_contrast")
COLUMNS = (
    "model_a", "model_b", "scope", "step", "strategy", "against", "metric", "mean_a", "mean_b", "difference", "ci_low", "ci_high",
    "ci_level", "p_value", "contrast", "contrast_low", "contrast_high", "contrast_p", "n_samples", "n_groups", "n_contrast", "tasks",
    "status_note", "contrast_note", "method",
)  # fmt: skip


def ladder_pair_frame(cells: Cells, comparisons: pd.DataFrame, design: AnalysisDesign, n_classes: Mapping[str, int]) -> pd.DataFrame:
    """The difference of every pair on every rung, and its difference to that on the first rung.

    Scopes: each task, on its primary metric (the row of `comparisons`), and `all` (`pooling.pooled_frame` under that strategy in place of
    the primary one). `contrast`: difference here minus difference on the first rung, over the samples that both models have on both
    rungs; tasks: `contrasts.contrast_row`; `all`: `pooled_contrast`. Nothing is corrected here.

    Args:
        cells: answers by condition and model.
        comparisons: from `compare.compare_frames`, of the same scores and design.
        design: pairs and ladder.
        n_classes: task to number of classes, for metrics of a set.

    Returns:
        `COLUMNS`; none without a ladder or pairs. The first rung has no contrast. `n_samples`, `n_groups`: behind the difference;
        `n_contrast`: samples behind the contrast. Failures: no number and a note of their own.
    """
    rows: list[dict[str, Any]] = []
    scope = next(iter(scopes_of(design, {}, {})), None)
    for at, strategy in enumerate(design.ladder if design.pairs else ()):
        there = _comparisons_under(comparisons, design, strategy)
        pooled: dict[Pair, dict[str, Any]] = {}
        if scope is not None:
            under = replace(design, primary_strategy=strategy, exploratory=True)
            found = pooled_frame(primary_units(cells, under), under, languages={}, families={})
            pooled = {(row["model_a"], row["model_b"]): row for row in found.to_dict("records") if row["scope"] == ALL}  # type: ignore[misc]
        for pair in design.pairs:
            row = {"model_a": pair[0], "model_b": pair[1], "step": at, "strategy": strategy, "against": design.ladder[0] if at else ""}
            for task, metric in design.primary_metric.items():
                own = there.get((*pair, task), {"status_note": "no answers", "n_samples": 0, "n_groups": 0})
                contrast = _task_contrast(cells, design, pair, task, strategy, n_classes) if at else {}
                rows.append(row | {"scope": task, "metric": metric, "tasks": task} | _taken(own) | contrast)
            if pair in pooled:
                contrast = pooled_contrast(cells, design, pair, strategy) if at else {}
                rows.append(row | {"scope": ALL, "metric": "", "tasks": pooled[pair]["tasks"]} | _taken(pooled[pair]) | contrast)
    frame = pd.DataFrame(
        [{"n_contrast": 0, "contrast_note": "", **row, "ci_level": 1 - design.alpha} for row in rows], columns=list(COLUMNS)
    )
    return frame.astype({**dict.fromkeys(NUMBERS, "float64"), **dict.fromkeys(COUNTS, "int64")})


def _taken(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row.get(key, np.nan if key not in ("status_note", "method") else "") for key in TAKEN}


def _comparisons_under(comparisons: pd.DataFrame, design: AnalysisDesign, strategy: str) -> dict[tuple[str, str, str], dict[str, Any]]:
    """(model_a, model_b, task) to the comparison over all samples under a strategy."""
    inside = (comparisons["strategy"] == strategy) & (comparisons["perturbation"] == design.primary_perturbation)
    own = comparisons[
        inside & (comparisons["subset"] == "all") & (comparisons["metric"] == comparisons["task"].map(dict(design.primary_metric)))
    ]
    return {(row["model_a"], row["model_b"], row["task"]): row for row in own.to_dict("records")}  # type: ignore[misc]


def _task_contrast(
    cells: Cells, design: AnalysisDesign, pair: Pair, task: str, strategy: str, n_classes: Mapping[str, int]
) -> dict[str, Any]:
    """Difference here minus difference on the first rung, on one task."""
    planned = _planned(design, pair, task, strategy)

    @cache
    def units_of(side: Side) -> PairedUnits:
        return units_in(cells, design, side.condition, pair)

    row = contrast_row(planned, units_of, design, n_classes)
    return {
        "contrast": row.get("contrast", np.nan),
        "contrast_low": row.get("ci_low", np.nan),
        "contrast_high": row.get("ci_high", np.nan),
        "contrast_p": row.get("p_value", np.nan),
        "n_contrast": row["n_samples"],
        "contrast_note": row["status_note"],
    }


def _planned(design: AnalysisDesign, pair: Pair, task: str, strategy: str) -> PlannedContrast:
    sides = [
        Side(condition=condition_under(design, task, label), a=pair[0], b=pair[1], label=label) for label in (strategy, design.ladder[0])
    ]
    return PlannedContrast(kind="strategy", first=sides[0], second=sides[1])


def pooled_contrast(cells: Cells, design: AnalysisDesign, pair: Pair, strategy: str) -> dict[str, Any]:
    """Difference of a pair under a strategy minus that on the ladder's first rung, as the weighted mean over the pooled tasks.

    Per sample c = d_here - d_first, over the samples that both models have under both; weights of `pooling.sample_weights`, interval of
    `pooling.weighted_interval`, p by sign flips of the groups' sums of w c, which takes the contrast to be symmetric around 0 if there
    is none. A task of the mean that cannot enter under either strategy takes the number with it.

    Source: difference in differences, Angrist and Pischke 2009 (Mostly Harmless Econometrics, ch. 5); the interval, Miller 2024
    (arXiv 2411.00640).

    Args:
        cells: answers by condition and model.
        design: a design with a ladder and at least one pooled task that is right or wrong per sample.
        pair: (a, b).
        strategy: a rung other than the first.

    Returns:
        contrast, contrast_low, contrast_high, contrast_p (NaN without a number), n_contrast, contrast_note.
    """
    scope = next(iter(scopes_of(design, {}, {})))
    first = design.ladder[0]
    units = {label: {task: units_under(cells, design, task, pair, label) for task in scope.tasks} for label in (strategy, first)}
    lost: dict[str, str] = {}
    outside: dict[str, str] = {}
    for label, own in units.items():
        outside, missing = left_out_of(scope, own, design)
        lost |= {task: why if task in design.not_run else f"{label}: {why}" for task, why in missing.items() if task not in lost}
    nothing: dict[str, Any] = dict.fromkeys(("contrast", "contrast_low", "contrast_high", "contrast_p"), np.nan) | {"n_contrast": 0}
    tasks = [task for task in scope.tasks if task not in outside]
    kept = {
        label: {task: shared_units(units[label][task], units[other][task], by_group=False) for task in tasks if task not in lost}
        for label, other in ((strategy, first), (first, strategy))
    }
    lost |= {task: "no samples that both strategies have" for task, own in kept[first].items() if not own.n_samples}
    if lost:
        return nothing | {"contrast_note": f"without {with_reasons(lost)} it is not the mean over the pooled tasks"}
    metrics = {task: design.metrics[design.primary_metric[task]] for task in tasks}
    here, before = pooled_samples(kept[strategy], metrics), pooled_samples(kept[first], metrics)
    # Both have the same samples by now, task by task in the order of their names.
    raw = here.differences - before.differences
    values = np.where(np.abs(raw) <= 1e-12, 0.0, raw)
    index, _, weights = weighed(here, design.pooling)
    interval = weighted_interval(values, weights, index, 1 - design.alpha)
    # One task: the signs of its own contrast, so that both say the same.
    seed = (
        _planned(design, pair, tasks[0], strategy).seed(design.seed)
        if len(tasks) == 1
        else derive_seed(design.seed, "contrast", "strategy", f"{ALL} tasks", strategy, first, *sorted(pair))
    )
    return {
        "contrast": interval.estimate,
        "contrast_low": interval.low,
        "contrast_high": interval.high,
        "contrast_p": sign_flip_p(weights * values, index, design.n_resamples, seed).p_value,
        "n_contrast": len(values),
        "contrast_note": f"{index.max() + 1} groups, {MIN_GROUPS} are needed" if index.max() + 1 < MIN_GROUPS else "",
    }
