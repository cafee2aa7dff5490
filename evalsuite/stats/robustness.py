"""Does one model of a pair lose more under a perturbation than the other? Differences in differences, corrected over all perturbations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from evalsuite.stats.contrasts import PlannedContrast, Side, contrast_row
from evalsuite.stats.design import MIN_GROUPS, AnalysisDesign
from evalsuite.stats.judged_under import judged_metric, judged_under
from evalsuite.stats.multiplicity import adjusted, reachable
from evalsuite.stats.paired import units_in
from evalsuite.stats.perturbed import Perturbed
from evalsuite.stats.tables import Cells, Condition, PairedUnits
from evalsuite.types import Tell, untold

NUMBERS = ("difference_before", "difference", "contrast", "ci_low", "ci_high", "ci_level", "p_value", "p_adjusted")
COUNTS = ("n_family", "n_samples", "n_groups")
COLUMNS = (
    "task", "metric", "strategy", "perturbation", "model_a", "model_b", "difference_before", "difference", "contrast", "ci_low", "ci_high",
    "ci_level", "p_value", "p_adjusted", "n_family", "n_samples", "n_groups", "verdict", "status_note",
)  # fmt: skip


SMALL_P = 20
"""Resamples as extreme as what was seen, itself among them, up to which more are drawn in a large family."""


def robustness_frame(
    cells: Cells,
    design: AnalysisDesign,
    perturbations: Mapping[str, Perturbed],
    strategies: Iterable[str] = (),
    tell: Tell = untold,
) -> pd.DataFrame:
    """Every pair, task and perturbation but the reference: how a pair's difference changes, with a verdict.

    contrast = (a - b under the perturbation) - (a - b under the reference), the mean over the samples that both models have under both;
    positive: a holds better. The strategy is `judged_under`, the metric `judged_metric` (accuracy for metrics of a set of classes).
    Interval and p are those of `contrasts.contrast_row`: cluster-robust t, and sign flips of the groups' sums; a p that is among the
    smallest which the study's resamples allow is replaced by one from as many as the family needs (`enough_resamples`).

    The family is pairs x tasks x perturbations of the whole study, without the tasks' perturbations that no strategy of it can ask. The
    correction is the study's (`design.correction`). A row counts as p = 1 in it where it cannot be tested: faults, fewer than `MIN_GROUPS`
    groups, no answer of a model readable under the reference (what it loses from nothing says nothing), or no row at all, since a task or
    pair was not run. A model that could be read before and cannot be read at all under the perturbation is tested under the rule
    `incorrect`: it may be said to lose more, never to hold as well.

    Source: difference in differences, Angrist and Pischke 2009 (Mostly Harmless Econometrics, ch. 5); Fisher 1935; Miller 2024 (arXiv
    2411.00640); Holm 1979. The family and the verdict are ours.

    Args:
        cells: answers by condition and model, from `tables.split_conditions`.
        design: pairs, primary cell, missing rule, exclusions, alpha, correction, resamples, seed.
        perturbations: id to what it is, in the study's order; those that only the scores name come last.
        strategies: strategy ids in the study's order.
        tell: told of progress, in contrasts.

    Returns:
        `COLUMNS`, by task, perturbation and pair. `verdict`: `a_holds_better` or `b_holds_better` where p_adjusted <= alpha,
        `not_established` where `status_note` says why it cannot be tested, else `inconclusive`. Does not depend on the order of rows.
    """
    names = [name for name in studied(cells, perturbations) if name != design.primary_perturbation]
    order = tuple(strategies)
    under = {(task, name): judged_under(cells, design, name, task, order) for task in design.primary_metric for name in names}
    ran = {where.task for where in cells}
    # Where a task has scores, a perturbation without a strategy is one that no strategy of the study can ask.
    left_out = {(task, name) for (task, name), strategy in under.items() if strategy is None and task in ran}
    wanted = [
        _Wanted(task=task, perturbation=name, strategy=strategy, pair=pair)
        for (task, name), strategy in under.items()
        if (task, name) not in left_out
        for pair in design.pairs
    ]
    n_family = family_size(design, len(names), len(left_out))
    looked = _Looked(cells=cells, design=design, n_resamples=enough_resamples(design, n_family))
    rows = []
    for each in wanted:
        rows.append(_row(looked, each) | {"n_family": n_family})
        tell("robustness", len(rows), len(wanted))
    frame = pd.DataFrame(_concluded(rows, design, n_family), columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(NUMBERS, "float64") | dict.fromkeys(COUNTS, "int64"))


def studied(cells: Cells, perturbations: Iterable[str]) -> tuple[str, ...]:
    """Perturbation ids in the study's order, then those that only the scores name."""
    return tuple(dict.fromkeys([*perturbations, *sorted({where.perturbation for where in cells})]))


def family_size(design: AnalysisDesign, n_perturbations: int, n_left_out: int) -> int:
    """Comparisons of the family: those of the whole study, whatever part of it ran.

    Args:
        design: pairs and tasks.
        n_perturbations: of the study, without the reference.
        n_left_out: (task, perturbation) that no strategy of the study can ask.
    """
    n_pairs = len(design.pairs) if design.n_pairs is None else design.n_pairs
    return n_pairs * ((len(design.primary_metric) + len(design.not_run)) * n_perturbations - n_left_out)


def enough_resamples(design: AnalysisDesign, n_family: int) -> int:
    """The study's number of sign flips, or twice the fewest by which one change of the family could be established, if that is more.

    Perturbations make the family many times that of the study's comparisons, for which the number was set: with 10,000 flips the smallest p
    is 1/10,001, which Holm brings above 0.05 in a family of 501. They are drawn only where p is at most `SMALL_P` of the first ones: for
    any x above that the final p is at most x only where the first is, for any x below only where the second is, and both are valid, so
    that the final p is. Source: ours.

    Args:
        design: resamples, alpha and correction.
        n_family: from `family_size`.
    """
    if reachable(n_family, design.n_resamples, design.alpha, design.correction):
        return design.n_resamples
    return math.ceil(2 * n_family / design.alpha)


def _row(looked: _Looked, wanted: _Wanted) -> dict[str, Any]:
    """One row before correction; `unread` holds the sides that nothing could be read of under the perturbation."""
    design, cells = looked.design, looked.cells
    primary = design.primary_metric[wanted.task]
    metric = judged_metric(cells, design, wanted.task)
    row: dict[str, Any] = {"task": wanted.task, "metric": metric or primary, "strategy": wanted.strategy or design.primary_strategy}
    row |= {"perturbation": wanted.perturbation, "model_a": wanted.pair[0], "model_b": wanted.pair[1], "ci_level": 1 - design.alpha}
    row |= {"testable": False, "unread": "", "n_samples": 0, "n_groups": 0, "p_adjusted": np.nan}
    if wanted.strategy is None:
        return row | {"status_note": "no scores of this task"}
    if metric is None:
        return row | {"status_note": f"{primary} has no value per sample, and there is no accuracy of these answers"}
    sides = [
        Side(
            condition=Condition(task=wanted.task, metric=metric, strategy=wanted.strategy, perturbation=name),
            a=wanted.pair[0], b=wanted.pair[1], label=name,
        )
        for name in (wanted.perturbation, design.primary_perturbation)
    ]  # fmt: skip
    planned = PlannedContrast(kind="perturbation", first=sides[0], second=sides[1])
    found = contrast_row(planned, looked.units, design, {})
    if looked.n_resamples > design.n_resamples and found.get("p_value", np.nan) * (design.n_resamples + 1) <= SMALL_P:
        found = contrast_row(planned, looked.units, replace(design, n_resamples=looked.n_resamples), {})
    if not found["status_note"] and not found["n_samples"]:
        found["status_note"] = "no answers left"
    row |= {key: found.get(key, np.nan) for key in ("contrast", "ci_low", "ci_high", "p_value", "n_samples", "n_groups", "status_note")}
    row |= {"difference": found.get("difference_first", np.nan), "difference_before": found.get("difference_second", np.nan)}
    now, before = (looked.units(side) for side in sides)
    row["unread"] = "".join(side for side, n_scored in (("a", now.n_a_scored), ("b", now.n_b_scored)) if not n_scored)
    readable_before = min(before.n_a_scored, before.n_b_scored) > 0
    return row | {"testable": bool(np.isfinite(row["p_value"]) and row["n_groups"] >= MIN_GROUPS and readable_before)}


def _concluded(rows: list[dict[str, Any]], design: AnalysisDesign, n_family: int) -> list[dict[str, Any]]:
    """The rows with adjusted p and verdict."""
    tested = [row for row in rows if row["testable"]]
    p_values = adjusted([row["p_value"] for row in tested], design.correction, n_family)
    for row, p in zip(tested, p_values, strict=True):
        row["p_adjusted"] = float(p)
    for row in rows:
        row["verdict"] = (
            verdict_of(row["contrast"], row["p_adjusted"], row["unread"], design.alpha) if row["testable"] else "not_established"
        )
    return rows


def verdict_of(contrast: float, p_adjusted: float, unread: str, alpha: float) -> str:
    """The verdict of a contrast that can be tested.

    Args:
        contrast: positive: a holds better.
        p_adjusted: within the family.
        unread: sides (`a`, `b`, `ab` or none) of which no answer could be read under the perturbation: they may lose, they do not hold.
        alpha: of the family.
    """
    if p_adjusted <= alpha and contrast != 0:
        winner = "a" if contrast > 0 else "b"
        return "not_established" if winner in unread else f"{winner}_holds_better"
    return "not_established" if unread else "inconclusive"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wanted:
    """One contrast to be made."""

    task: str
    """Task name."""
    perturbation: str
    """Perturbation id."""
    strategy: str | None
    """Strategy that it is judged under; None: the task has no scores."""
    pair: tuple[str, str]
    """(a, b)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Looked:
    """Paired answers, looked up."""

    cells: Cells
    """Of all models."""
    design: AnalysisDesign
    """The analysis."""
    n_resamples: int
    """Sign flips of a change whose p is small."""
    references: dict[Side, PairedUnits] = field(default_factory=dict)
    """What was paired already under the reference, which every perturbation is set against."""
    last: dict[Side, PairedUnits] = field(default_factory=dict)
    """The last perturbed side; more of them would only take memory."""

    def units(self, side: Side) -> PairedUnits:
        """A pair's answers in one condition."""
        reference = side.condition.perturbation == self.design.primary_perturbation
        kept = self.references if reference else self.last
        if side not in kept:
            if not reference:
                kept.clear()
            kept[side] = units_in(self.cells, self.design, side.condition, (side.a, side.b))
        return kept[side]
