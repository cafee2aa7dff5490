"""What was chosen in the open beside what nobody had seen: the same means on two disjoint parts of the same tasks, and their difference."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pandas as pd
from scipy import stats

from evalsuite.metrics.base import Metric
from evalsuite.stats.arrays import Interval, cluster_t_interval, partition
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.differences import sample_differences
from evalsuite.stats.paired import units_under
from evalsuite.stats.pooling import is_share, pooled_samples, weighed, weighted_interval
from evalsuite.stats.set_metrics import set_metric_comparison, set_metric_interval
from evalsuite.stats.tables import (
    Cells,
    PairedUnits,
    class_counts,
    sample_means,
    split_conditions,
)
from evalsuite.stats.unpaired import unpaired_interval

Side = Literal["on", "off"]
PART_COLUMNS = ("on", "on_low", "on_high", "on_n_samples", "on_n_groups", "off", "off_low", "off_high", "off_n_samples", "off_n_groups")
"""Value, interval and size on the open part and on the sealed one; over several tasks `n_samples` counts distinct questions."""
GAP_COLUMNS = ("gap", "gap_low", "gap_high", "ci_level", "status_note")
"""Sealed minus open, with its interval."""
MODEL_COLUMNS = ("strategy", "model", "task", "metric", *PART_COLUMNS, *GAP_COLUMNS)
PAIR_COLUMNS = ("strategy", "model_a", "model_b", "task", "metric", *PART_COLUMNS, *GAP_COLUMNS)
POOLED = "pooled"
"""What stands in the column `metric` of a mean over several tasks; its `task` is null."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EyesOff:
    """Both parts side by side."""

    models: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(MODEL_COLUMNS)))
    """Means of models."""
    pairs: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(PAIR_COLUMNS)))
    """Paired differences of pairs, positive favours `model_a`."""


def eyes_off_frames(on: pd.DataFrame, off: pd.DataFrame, design: AnalysisDesign, strategies: Sequence[str]) -> EyesOff:
    """Every model's mean and every pair's difference on both parts, under each strategy at the primary perturbation.

    Missing answers count by the study's rule. Over tasks: as `pooling.pooled_frame` does, with its weights, within each part; a task of
    the stated mean that cannot enter on either part takes the numbers with it. The parts share no group, so that their difference has
    an interval for independent samples: `share_gap` for means that are shares of right answers, `square_and_add` for all others.

    Args:
        on: columns of scores.parquet, of the part that was never sealed.
        off: the same of the sealed part.
        design: the analysis.
        strategies: strategy ids, in the order wanted.

    Returns:
        `MODEL_COLUMNS` and `PAIR_COLUMNS`; numbers are NaN where `status_note` says why. Does not depend on the order of rows.
    """
    parts: dict[Side, Cells] = {"on": split_conditions(on, design.metrics), "off": split_conditions(off, design.metrics)}
    counts = [class_counts(scores, design.metrics) for scores in (on, off)]
    n_classes = {task: max(count.get(task, 0) for count in counts) for task in design.primary_metric}
    models = sorted({model for models in parts["off"].values() for model in models})
    alone: list[dict[str, Any]] = []
    paired: list[dict[str, Any]] = []
    for strategy in strategies:
        for a, b in [*((name, name) for name in models), *design.pairs]:
            names = {"strategy": strategy, **({"model": a} if a == b else {"model_a": a, "model_b": b})}
            rows = _rows(parts, design, n_classes, strategy, (a, b))
            (alone if a == b else paired).extend({**names, **row} for row in rows)
    return EyesOff(models=_frame(alone, MODEL_COLUMNS), pairs=_frame(paired, PAIR_COLUMNS))


def share_gap(off: Interval, on: Interval, n_off: float, n_on: float) -> tuple[float, float]:
    """Interval of off - on for two independent shares of right answers whose samples may stand in groups.

    Newcombe's interval (`unpaired.unpaired_interval`) with the effective number of samples of each share in place of the plain one:
    n* = p (1 - p) / se^2, times (z / t)^2 for the degrees of freedom of se, at most n. A share of 0 or 1, and one that does not vary
    between groups, is taken to rest on as many samples as it has groups: each group all-or-nothing.

    Source: Newcombe 1998 (Stat. Med. 17:873), method 10; effective numbers after Korn and Graubard 1998 (Survey Methodology 24:193), in
    Wilson's interval as in Franco et al. 2019 (J. Surv. Stat. Methodol. 7:334).

    Args:
        off: share in [0, 1] with its cluster-robust standard error.
        on: likewise.
        n_off: samples behind it, above 0.
        n_on: likewise.

    Returns:
        Limits; NaN where either share has fewer than two groups.
    """
    if min(off.df, on.df) < 1:
        return math.nan, math.nan
    sizes = [effective_number(part, n) for part, n in ((off, n_off), (on, n_on))]
    # Weighted means can pass the ends by a rounding error.
    share_off, share_on = (min(max(part.estimate, 0.0), 1.0) for part in (off, on))
    return unpaired_interval(share_off, sizes[0], share_on, sizes[1], level=off.level)


def effective_number(share: Interval, n_samples: float) -> float:
    """Independent samples that a share is worth; see `share_gap`."""
    spread = share.estimate * (1 - share.estimate)
    if spread <= 1e-12 or not share.se > 0:
        return float(share.df + 1)
    z, t = stats.norm.ppf((1 + share.level) / 2), stats.t.ppf((1 + share.level) / 2, share.df)
    return float(min(spread / share.se**2 * (z / t) ** 2, n_samples))


def square_and_add(off: Interval, on: Interval) -> tuple[float, float]:
    """Interval of off - on for two independent estimates, from the interval of each; NaN where one has none.

    Source: Zou and Donner 2008 (Stat. Med. 27:1693).
    """
    gap = off.estimate - on.estimate
    below = math.hypot(off.estimate - off.low, on.high - on.estimate)
    above = math.hypot(off.high - off.estimate, on.estimate - on.low)
    return gap - below, gap + above


def _rows(
    parts: Mapping[Side, Cells], design: AnalysisDesign, n_classes: Mapping[str, int], strategy: str, pair: tuple[str, str]
) -> Iterator[dict[str, Any]]:
    """Rows of a model (twice the same name) or pair under a strategy: one per task, then their mean where there are several."""
    alone = pair[0] == pair[1]
    entered: dict[str, dict[Side, PairedUnits]] = {}
    for task, name in design.primary_metric.items():
        metric = design.metrics[name]
        units = {side: units_under(cells, design, task, pair, strategy) for side, cells in parts.items()}
        made = {side: _of_task(own, metric, design, n_classes.get(task, 0), alone=alone) for side, own in units.items()}
        sizes: dict[Side, float] = {side: own.n_samples for side, own in units.items()}
        row = {"task": task, "metric": name, **_counts(units), "status_note": _note({task: units})}
        yield row | _gap(made, sizes, design, shares=alone and is_share(metric) and {metric.worst, metric.best} == {0, 1})
        if is_share(metric) and design.pools(task):
            entered[task] = units
    if len(entered) < 2:
        return
    lost = [f"{task} not run" for task in design.not_run if design.pools(task)]
    note = "; ".join([*lost, *([_note(entered)] if _note(entered) else [])])
    row = {"task": None, "metric": POOLED, "status_note": note}
    pooled = {side: _of_tasks({task: units[side] for task, units in entered.items()}, design, alone=alone) for side in parts}
    sizes = {side: own.n_questions for side, own in pooled.items()}
    row |= {
        f"{side}_n_{what}": round(n) for side, own in pooled.items() for what, n in (("samples", sizes[side]), ("groups", own.n_groups))
    }
    made = {side: None if note else own.interval for side, own in pooled.items()}
    yield row | _gap(made, sizes, design, shares=alone)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pooled:
    """Several tasks of one part."""

    interval: Interval | None
    n_groups: int
    n_questions: float


def _of_task(units: PairedUnits, metric: Metric, design: AnalysisDesign, n_classes: int, *, alone: bool) -> Interval | None:
    """Mean of a model, or difference of a pair; None where faults forbid it or nothing is left."""
    level = 1 - design.alpha
    if units.faults or not units.n_samples:
        return None
    if metric.of_set is not None:
        data = units.predictions(n_classes)
        if alone:
            return set_metric_interval(metric.of_set, data, level)
        # Its interval is of no resample: one is enough.
        made = set_metric_comparison(metric.of_set, data, level, 1, design.seed).interval
        turned = replace(made, estimate=-made.estimate, low=-made.high, high=-made.low)
        return made if metric.higher_is_better else turned
    means = sample_means(units)
    values = means.a if alone else sample_differences(units, metric).values
    return cluster_t_interval(values, partition(means.groups).index, level)


def _of_tasks(entered: Mapping[str, PairedUnits], design: AnalysisDesign, *, alone: bool) -> _Pooled:
    """The mean over tasks of one part, with the weights of the study's pooled difference within that part."""
    usable = {task: units for task, units in entered.items() if not units.faults and units.n_samples}
    if not usable:
        return _Pooled(interval=None, n_groups=0, n_questions=0.0)
    pooled = pooled_samples(usable, {task: design.metrics[design.primary_metric[task]] for task in usable})
    index, counts, weights = weighed(pooled, design.pooling)
    interval = weighted_interval(pooled.a if alone else pooled.differences, weights, index, 1 - design.alpha)
    questions = float(counts.max(axis=1).sum())
    return _Pooled(interval=interval, n_groups=len(counts), n_questions=questions)


def _gap(made: Mapping[Side, Interval | None], sizes: Mapping[Side, float], design: AnalysisDesign, *, shares: bool) -> dict[str, Any]:
    """Values and intervals of both parts, and sealed minus open; what is not known is absent."""
    row: dict[str, Any] = {"ci_level": 1 - design.alpha}
    for side, own in made.items():
        if own is not None:
            row |= {side: own.estimate, f"{side}_low": own.low, f"{side}_high": own.high}
    on, off = made["on"], made["off"]
    if on is None or off is None:
        return row
    low, high = share_gap(off, on, sizes["off"], sizes["on"]) if shares else square_and_add(off, on)
    return row | {"gap": off.estimate - on.estimate, "gap_low": low, "gap_high": high}


def _counts(units: Mapping[Side, PairedUnits]) -> dict[str, int]:
    return {f"{side}_n_{what}": getattr(own, f"n_{what}") for side, own in units.items() for what in ("samples", "groups")}


def _note(entered: Mapping[str, Mapping[Side, PairedUnits]]) -> str:
    """Why numbers are absent; empty where none are."""
    words: dict[Side, str] = {"on": "eyes-on", "off": "eyes-off"}
    notes = []
    for task, units in entered.items():
        for side, own in units.items():
            why = "; ".join("not asked" if fault.startswith("no scores") else fault for fault in own.faults)
            why = why or ("" if own.n_samples else "no answers left")
            notes += [f"{task}, {words[side]}: {why}"] if why else []
    return "; ".join(notes)


def _frame(rows: list[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(columns))
    counts = [name for name in columns if "_n_" in name]
    numbers = [name for name in (*PART_COLUMNS, *GAP_COLUMNS) if name not in counts and name != "status_note"]
    return frame.astype({**dict.fromkeys(counts, "int64"), **dict.fromkeys(numbers, "float64")})
