"""Right or wrong, answer by answer: what measures that count answers are made of, whatever a task is compared on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pandas as pd

from evalsuite.metrics.base import Metric
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.tables import Cells, Condition

STRICT = "_strict"
"""How the name of a metric ends that is another one under the strict reading."""


def right_metric(metrics: Mapping[str, Metric], primary: str, scored: frozenset[str]) -> Metric | None:
    """The metric of a task that says of each answer, leniently read, whether it is right; None: the task has none.

    The task's primary metric if it does, else accuracy or a quantity within its tolerance, else a metric of a set: its value per answer is
    accuracy, and so it comes back without its function of the set.

    Args:
        metrics: all metrics by name.
        primary: name of the one that the task is compared on.
        scored: names of the metrics that the task's answers are scored by.
    """
    order = dict.fromkeys((primary, primary.removesuffix(STRICT), "accuracy", "within_tolerance", *sorted(scored)))
    known = [metrics[name] for name in order if name in scored and name in metrics]
    lenient = [metric for metric in known if metric.reading == "lenient" and metric.applies in ("choice", "quantity")]
    found = next((metric for metric in lenient if metric.binary and metric.of_set is None), None)
    found = found or next((metric for metric in lenient if metric.of_set is not None), None)
    return None if found is None else replace(found, of_set=None, binary=True)


def right_cells(cells: Cells, design: AnalysisDesign) -> Iterator[tuple[Condition, Metric, Mapping[str, pd.DataFrame]]]:
    """Each (task, strategy, perturbation) once, in sorted order: its condition, its metric and its answers by model; see `right_metric`.

    Args:
        cells: answers by condition and model.
        design: primary metrics.
    """
    scored: dict[str, set[str]] = {}
    for condition in cells:
        scored.setdefault(condition.task, set()).add(condition.metric)
    own = {
        task: right_metric(design.metrics, design.primary_metric.get(task, "accuracy"), frozenset(names)) for task, names in scored.items()
    }
    for condition in sorted(cells):
        metric = own[condition.task]
        if metric is not None and condition.metric == metric.name:
            yield condition, metric, cells[condition]
