"""The price of the asked form: right answers by the lenient reading that are none by the strict one."""

from __future__ import annotations

from typing import Any

import pandas as pd

from evalsuite.metrics.base import Metric
from evalsuite.stats.arrays import cluster_t_interval, partition
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.tables import Cells, Condition, excluded_samples, pair_units, sample_means

STRICT = "_strict"
"""How the name of a metric ends that is another one under the strict reading."""
COLUMNS = (
    "model", "task", "strategy", "perturbation", "metric", "n_samples", "n_groups", "lenient", "strict", "penalty", "ci_low", "ci_high",
    "ci_level",
)  # fmt: skip


def reading_frame(scores: pd.DataFrame, cells: Cells, design: AnalysisDesign) -> pd.DataFrame:
    """Lenient and strict score of the same generated answers, and their paired difference, per model and cell.

    Where a task has a metric under both readings and the cell holds generated text; log-probabilities have one reading only. Missing
    answers count as wrong under either reading, whatever the study's rule: dropping what the strict reading cannot read would drop what
    is to be shown. Interval of the mean difference: `arrays.cluster_t_interval`. Cells with failed answers are left out.

    Args:
        scores: columns of scores.parquet; `finish_reason` tells generated text.
        cells: the same scores by condition and model.
        design: exclusions and level.

    Returns:
        `COLUMNS`, `penalty` = lenient - strict.
    """
    rows: list[dict[str, Any]] = []
    cell_columns = ["task", "strategy", "perturbation", "model"]
    written = scores[scores["finish_reason"] != "none"] if "finish_reason" in scores else scores.iloc[:0]
    generated = set(written[cell_columns].drop_duplicates().itertuples(index=False, name=None))
    for condition, models in cells.items():
        lenient = design.metrics[condition.metric]
        strict = design.metrics.get(f"{condition.metric}{STRICT}")
        if strict is None or not both_readings(lenient, strict):
            continue
        twin = Condition(task=condition.task, metric=strict.name, strategy=condition.strategy, perturbation=condition.perturbation)
        excluded = excluded_samples(design.exclude, condition.task)
        for model in sorted(set(models) & set(cells.get(twin, {}))):
            if (condition.task, condition.strategy, condition.perturbation, model) not in generated:
                continue
            units = pair_units(models[model], cells[twin][model], lenient, "incorrect", excluded)
            if units.faults or not units.n_samples:
                continue
            means = sample_means(units)
            index = partition(means.groups).index
            interval = cluster_t_interval(means.a - means.b, index, 1 - design.alpha)
            row: dict[str, Any] = {"model": model, **condition.columns(), "n_samples": units.n_samples, "n_groups": units.n_groups}
            row |= {"lenient": float(means.a.mean()), "strict": float(means.b.mean()), "penalty": interval.estimate}
            rows.append(row | {"ci_low": interval.low, "ci_high": interval.high, "ci_level": 1 - design.alpha})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def both_readings(lenient: Metric, strict: Metric) -> bool:
    """Whether two metrics are the same per-sample metric under the two readings."""
    readings = (lenient.reading, strict.reading) == ("lenient", "strict")
    return readings and lenient.of_set is None and strict.of_set is None and (lenient.worst, lenient.best) == (strict.worst, strict.best)
