"""The answers of two models in one condition, paired as the analysis says: its missing rule and its exclusions."""

from __future__ import annotations

from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.tables import Cells, Condition, PairedUnits, excluded_samples, pair_units


def units_in(cells: Cells, design: AnalysisDesign, where: Condition, pair: tuple[str, str]) -> PairedUnits:
    """Paired answers of two models (or of one with itself) in a condition, faults and all; see `tables.pair_units`."""
    models = cells.get(where, {})
    excluded = excluded_samples(design.exclude, where.task)
    return pair_units(models.get(pair[0]), models.get(pair[1]), design.metrics[where.metric], design.missing, excluded)


def condition_under(design: AnalysisDesign, task: str, strategy: str) -> Condition:
    """A task's condition under a strategy: its primary metric, the primary perturbation."""
    return Condition(task=task, metric=design.primary_metric[task], strategy=strategy, perturbation=design.primary_perturbation)


def units_under(cells: Cells, design: AnalysisDesign, task: str, pair: tuple[str, str], strategy: str) -> PairedUnits:
    """Paired answers of two models under a strategy, on a task's primary metric at the primary perturbation."""
    return units_in(cells, design, condition_under(design, task, strategy), pair)
