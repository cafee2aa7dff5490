"""What an answer took and what it was worth: tokens and calls beside the share of right answers, per model and strategy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.pooling import is_share
from evalsuite.stats.scaling import pooled_mean
from evalsuite.stats.tables import UNIT, Cells, PairedUnits, excluded_samples, pair_units

SPENT = {"n_calls": "calls", "n_prompt_tokens": "prompt_tokens", "n_output_tokens": "output_tokens"}
"""Column of the scores to column of the frame."""
COLUMNS = (
    "model", "strategy", "perturbation", "calls", "prompt_tokens", "output_tokens", "n_answers", "mean", "ci_low", "ci_high", "ci_level",
    "n_questions", "n_groups", "tasks", "n_tasks", "left_out", "pooling",
)  # fmt: skip


def cost_frame(scores: pd.DataFrame, cells: Cells, design: AnalysisDesign) -> pd.DataFrame:
    """Mean cost of an answer and mean share of right ones, per model and strategy at the primary perturbation.

    Both are over the same answers: of the tasks that every model has under every strategy without failures and whose primary metric
    is right or wrong per sample; `left_out` names the others with the reason. Where no task is of that kind, costs are over the
    tasks in common and there is no mean. Excluded samples and refused answers leave both; missing answers count in the mean by the
    study's rule, and in the cost always, since they were paid for.

    The mean has the weights of the study's pooled difference (`pooling.sample_weights`: a question that stands in several tasks counts
    once) and the interval of `pooling.weighted_interval`. Costs are plain means over answers; tokens are each model's own, so that
    models with other tokenizers are compared with care. Seconds are no part of it: they differ from run to run.

    Args:
        scores: columns of scores.parquet.
        cells: the same scores by condition and model.
        design: primary metrics and perturbation, missing rule, exclusions, weights.

    Returns:
        `COLUMNS`; no rows where models and strategies have no task in common, or the scores no costs.
    """
    if not set(SPENT) <= set(scores.columns):
        return pd.DataFrame(columns=list(COLUMNS))
    units, left_out = common_units(cells, design)
    shares = [task for task in units if is_share(design.metrics[design.primary_metric[task]])]
    for task in units if shares else ():
        if task not in shares:
            left_out[task] = f"{design.primary_metric[task]} is not right or wrong per sample"
    tasks = shares or list(units)
    answers = answers_of(scores, tasks, design)
    by_cell = {(str(strategy), str(model)): part for (strategy, model), part in answers.groupby(["strategy", "model"], observed=True)}
    rows: list[dict[str, Any]] = []
    for strategy, model in sorted({key for own in units.values() for key in own}) if tasks else ():
        row: dict[str, Any] = {"model": model, "strategy": strategy, "perturbation": design.primary_perturbation}
        paid = by_cell[strategy, model]
        row |= {name: float(paid[column].mean()) for column, name in SPENT.items()}
        row |= {"n_answers": len(paid), "ci_level": 1 - design.alpha, "pooling": design.pooling}
        row |= {"tasks": ",".join(tasks), "n_tasks": len(tasks)}
        row["left_out"] = "; ".join(f"{task} ({why})" for task, why in left_out.items())
        rows.append(row | (pooled_mean({task: units[task][strategy, model] for task in shares}, design) if shares else {}))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def common_units(cells: Cells, design: AnalysisDesign) -> tuple[dict[str, dict[tuple[str, str], PairedUnits]], dict[str, str]]:
    """Answers of the tasks that every model has under every strategy, by (strategy, model); and the other tasks, with the reason."""
    found: dict[str, dict[tuple[str, str], PairedUnits]] = {}
    for task, name in design.primary_metric.items():
        excluded = excluded_samples(design.exclude, task)
        for condition, models in cells.items():
            if (condition.task, condition.metric, condition.perturbation) == (task, name, design.primary_perturbation):
                for model, cell in models.items():
                    units = pair_units(cell, cell, design.metrics[name], design.missing, excluded)
                    found.setdefault(task, {})[condition.strategy, model] = units
    wanted = {key for own in found.values() for key in own}
    left_out = {}
    for task, own in found.items():
        if set(own) != wanted:
            left_out[task] = "not asked of every model under every strategy"
        elif any(each.faults or not each.n_samples for each in own.values()):
            left_out[task] = "failed answers, or none left"
    return {task: own for task, own in found.items() if task not in left_out}, left_out


def answers_of(scores: pd.DataFrame, tasks: list[str], design: AnalysisDesign) -> pd.DataFrame:
    """One row per answer at the primary perturbation, without excluded samples and refused answers."""
    rows = scores[(scores["perturbation"] == design.primary_perturbation) & scores["task"].isin(tasks) & (scores["status"] != "refused")]
    rows = rows[rows["metric"] == rows["task"].map(dict(design.primary_metric))]
    left = [rows["task"].eq(task) & rows["sample_id"].isin(list(excluded_samples(design.exclude, task))) for task in tasks]
    gone = np.logical_or.reduce(left) if left else np.zeros(len(rows), dtype=bool)
    return rows[~gone].drop_duplicates(["task", "strategy", "model", *UNIT])
