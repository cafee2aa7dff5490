"""Under which strategy and on which metric a perturbation is judged: asked by every table of perturbations, answered here once."""

from __future__ import annotations

from collections.abc import Iterable

from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.tables import Cells

FALLBACK = "accuracy"
"""What stands for a metric of a set of classes: the same answers, right or wrong, one value per sample."""


def judged_under(cells: Cells, design: AnalysisDesign, perturbation: str, task: str, order_of_strategies: Iterable[str]) -> str | None:
    """The strategy at which a perturbation of a task is judged: the primary one if it ran there beside the reference, else the first.

    The reference is the primary perturbation at the same strategy. What ran is read off the answers of any model on any metric.

    Source: ours.

    Args:
        cells: answers by condition and model.
        design: primary strategy and perturbation.
        perturbation: its id.
        task: task name.
        order_of_strategies: strategy ids in the study's order; strategies that it does not name come last, by name.

    Returns:
        A strategy id; None where the perturbation and the reference ran together under none.
    """
    ran = {
        wanted: {where.strategy for where, models in cells.items() if (where.task, where.perturbation) == (task, wanted) and models}
        for wanted in (perturbation, design.primary_perturbation)
    }
    both = ran[perturbation] & ran[design.primary_perturbation]
    order = (design.primary_strategy, *order_of_strategies, *sorted(both))
    return next((strategy for strategy in order if strategy in both), None)


def judged_metric(cells: Cells, design: AnalysisDesign, task: str) -> str | None:
    """The metric on which perturbations of a task are judged: its primary one, or `FALLBACK` where that is one of a set of classes.

    A metric of a set has no value per sample, so that there is nothing to set a perturbed answer against.

    Args:
        cells: answers by condition and model.
        design: primary metrics and their records.
        task: a task of the design.

    Returns:
        Metric name; None where the primary metric is one of a set and the scores of the task hold no `FALLBACK`.
    """
    primary = design.primary_metric[task]
    if design.metrics[primary].of_set is None:
        return primary
    held = FALLBACK in design.metrics and any((where.task, where.metric) == (task, FALLBACK) for where in cells)
    return FALLBACK if held else None


def placed(names: Iterable[str]) -> dict[str, int]:
    """Place of each name in the order of the study, from 0."""
    return {name: at for at, name in enumerate(names)}
