"""What an answer took and what it was worth: tokens and calls beside the share of right answers, per model and strategy.

The cost of a strategy is what it would take alone: a request that several strategies ask counts in each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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

PREPARED = {"n_calls": "prepare_calls", "n_prompt_tokens": "prepare_prompt_tokens", "n_output_tokens": "prepare_output_tokens"}
"""Column of the preparations to column of the frame, where anything was prepared."""
TIMED = ("seconds", "prepare_seconds")
"""Columns of the frame where the study is timed."""


def cost_frame(
    scores: pd.DataFrame,
    cells: Cells,
    design: AnalysisDesign,
    preparations: pd.DataFrame | None = None,
    timings: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Mean cost of an answer and mean share of right ones, per model and strategy at the primary perturbation.

    Both are over the same answers: of the tasks that every model has under every strategy without failures and whose primary metric
    is right or wrong per sample; `left_out` names the others with the reason. Where no task is of that kind, costs are over the
    tasks in common and there is no mean. Excluded samples and refused answers leave both; missing answers count in the mean by the
    study's rule, and in the cost always, since they were paid for.

    The mean has the weights of the study's pooled difference (`pooling.sample_weights`: a question that stands in several tasks counts
    once) and the interval of `pooling.weighted_interval`. Costs are plain means over answers; tokens are each model's own, so that
    models with other tokenizers are compared with care. What a strategy prepares, once per model and task, stands beside as a total over
    these tasks: all its answers share it. Seconds, which differ from run to run, are there only if timings are given: engine seconds per
    request that was asked, times the requests of an answer.

    Args:
        scores: columns of scores.parquet.
        cells: the same scores by condition and model.
        design: primary metrics and perturbation, missing rule, exclusions, weights.
        preparations: model, task, strategy, facts and the columns of `PREPARED` of every preparation that asked anything; missing numbers
            are NaN, and make the total one. None or empty: nothing was prepared.
        timings: model, task, strategy, stage (`prepare`, `answer`), n_asked, engine_s; None: no seconds.

    Returns:
        `COLUMNS`, then the values of `PREPARED` where anything was prepared, then `TIMED` where timings are given (NaN where nothing was
        asked anew in one of the tasks). No rows where models and strategies have no task in common, or the scores no costs.
    """
    if not set(SPENT) <= set(scores.columns):
        return pd.DataFrame(columns=list(COLUMNS))
    columns = [*COLUMNS, *(PREPARED.values() if anything_prepared(preparations) else ()), *(TIMED if timings is not None else ())]
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
        made = [] if preparations is None or not len(preparations) else list(preparations_for(preparations, model, strategy, tasks))
        if anything_prepared(preparations):
            row |= {name: float(sum(own[column] for own in made)) for column, name in PREPARED.items()}
        if timings is not None:
            row |= seconds_of(timings, paid, made, model, strategy)
        rows.append(row | (pooled_mean({task: units[task][strategy, model] for task in shares}, design) if shares else {}))
    return pd.DataFrame(rows, columns=columns)


def anything_prepared(preparations: pd.DataFrame | None) -> bool:
    """Whether any preparation asked anything, as far as is known; one without a number may have."""
    return preparations is not None and len(preparations) > 0 and bool((preparations["n_calls"].fillna(1.0) > 0).any())


def preparations_for(preparations: pd.DataFrame, model: str, strategy: str, tasks: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What stands behind the answers of a model: its own preparation of each task or, where it has none, the one that is lent to all."""
    rows = preparations[(preparations["strategy"] == strategy) & preparations["task"].isin(list(tasks))]
    for _, part in rows.groupby("task", sort=True):
        found: list[dict[Any, Any]] = part.to_dict("records")
        own = [row for row in found if row["model"] == model]
        lent = [row for row in found if is_lent(row["facts"])]
        yield from own or lent[:1]


def is_lent(facts: Any) -> bool:
    """Whether a preparation was made with one model for all of them: chains of a named source, or a prompt of a named lender."""
    if not isinstance(facts, Mapping):
        return False
    chains, selection = facts.get("chains") or {}, facts.get("selection") or {}
    return chains.get("source", "self") != "self" or selection.get("lender") is not None


def seconds_of(timings: pd.DataFrame, paid: pd.DataFrame, made: Sequence[Mapping[str, Any]], model: str, strategy: str) -> dict[str, float]:
    """Engine seconds per answer, and of all preparation: seconds per request that was asked, times the requests it takes.

    Args:
        timings: as for `cost_frame`.
        paid: answers of the model under the strategy.
        made: preparations behind them, from `preparations_for`.
        model: registry name.
        strategy: strategy id.

    Returns:
        `TIMED`; NaN where no request of a task was timed.
    """

    def per_request(who: str, task: str, stage: str) -> float:
        same = (timings["model"] == who) & (timings["task"] == task) & (timings["strategy"] == strategy) & (timings["stage"] == stage)
        n_asked = float(timings.loc[same, "n_asked"].sum())
        return float(timings.loc[same, "engine_s"].sum()) / n_asked if n_asked else np.nan

    answering = [
        per_request(model, str(task), "answer") * float(part["n_calls"].sum())
        for task, part in paid.groupby("task", sort=True, observed=True)
    ]
    preparing = [per_request(own["model"], own["task"], "prepare") * own["n_calls"] for own in made if own["n_calls"] != 0]
    return {"seconds": sum(answering) / len(paid) if len(paid) else np.nan, "prepare_seconds": float(sum(preparing))}


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
