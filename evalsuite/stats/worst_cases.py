"""The worst case over renditions: how much of a score is left if an answer counts only where it is right in every rendition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from evalsuite.metrics.base import Metric
from evalsuite.stats.arrays import FloatArray, IntArray, cluster_t_interval, partition
from evalsuite.stats.design import MIN_GROUPS, AnalysisDesign
from evalsuite.stats.judged_under import judged_metric, placed
from evalsuite.stats.perturbed import Perturbed
from evalsuite.stats.tables import UNIT, Cells, PairedUnits, excluded_samples, pair_units
from evalsuite.types import Tell, untold

TOGETHER = "meaning-preserving"
"""Scope, and family, of the perturbations that are looked at together with the reference."""
LEAST_SHARE = 0.5
"""Share of the samples that a rendition must have to be looked at as the lowest: a mean of a few samples is low by chance."""
NUMBERS = ("mean", "worst", "worst_low", "worst_high", "best", "lowest")
COUNTS = ("n_variants", "n_samples", "n_groups")
COLUMNS = (
    "task", "metric", "strategy", "model", "scope", "n_variants", "n_samples", "n_groups", "mean", "worst", "worst_low", "worst_high",
    "best", "lowest", "note",
)  # fmt: skip


def worst_frame(
    cells: Cells,
    design: AnalysisDesign,
    perturbations: Mapping[str, Perturbed],
    strategies: Iterable[str] = (),
    tell: Tell = untold,
) -> pd.DataFrame:
    """Each model's score where only the worst of several renditions of a sample counts, and where only the best does.

    Scopes: a perturbation with several variants, over these; and `meaning-preserving`, over all renditions of all perturbations of that
    family and of the reference (the primary perturbation), under one strategy. A sample's worst is taken within a replicate and averaged
    over replicates; for right-or-wrong metrics `worst` is the share of samples that are right in every rendition, `best` of those right in
    any. Missing answers follow the study's rule: `incorrect`, the metric's worst value; `drop`, that rendition leaves. Refused renditions
    leave, excluded samples too. A sample enters with the renditions that are left of it, if they are at least two within a replicate.

    Metrics of a set of classes: `accuracy` of the same answers stands for them (`judged_under.judged_metric`), or there is no row.

    Source: the accuracy in the worst case over renditions, as in robust accuracy under a set of perturbations (Madry et al. 2018, ICLR)
    and in Ribeiro, Singh and Guestrin 2018 (ACL, semantically equivalent adversaries); interval `arrays.cluster_t_interval`.

    Args:
        cells: answers by condition and model, from `tables.split_conditions`.
        design: primary metrics and perturbation, missing rule, exclusions, alpha.
        perturbations: id to what it is, in the study's order.
        strategies: strategy ids in the study's order.
        tell: told of progress, in rows.

    Returns:
        `COLUMNS`; shares in [0, 1], at the level 1 - alpha. `n_variants`: renditions that are left of any sample, the reference among
        them in the scope of all. `mean`: over renditions within a sample, then over samples. `lowest`: the lowest mean of one rendition,
        among those that at least `LEAST_SHARE` of the samples have. Nulls and a `note` after failed answers, where a sample lacks a
        perturbation of its scope without having been refused, and where nothing is left. Does not depend on the order of rows.
    """
    wanted = list(_scopes(cells, design, perturbations, placed(strategies)))
    rows = []
    for task, metric, strategy, model, scope, members in wanted:
        row: dict[str, Any] = {"task": task, "metric": metric, "strategy": strategy, "model": model, "scope": scope}
        rows.append(row | dict.fromkeys(COUNTS, 0) | _numbers(members, design, task, design.metrics[metric]))
        tell("worst cases", len(rows), len(wanted))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(NUMBERS, "float64") | dict.fromkeys(COUNTS, "int64"))


Members = Mapping[str, pd.DataFrame | None]
"""Perturbation id to a model's answers under it; None: there are none."""


def _scopes(
    cells: Cells, design: AnalysisDesign, perturbations: Mapping[str, Perturbed], strategies: Mapping[str, int]
) -> Iterator[tuple[str, str, str, str, str, Members]]:
    """Task, metric, strategy, model, scope and what belongs to it, in the order of the table."""
    kept = {name for name, what in perturbations.items() if what.family == TOGETHER and what.preserves_meaning}
    for task in design.primary_metric:
        metric = judged_metric(cells, design, task)
        found: dict[str, dict[str, Mapping[str, pd.DataFrame]]] = {}
        for where in cells:
            if (where.task, where.metric) == (task, metric):
                found.setdefault(where.strategy, {})[where.perturbation] = cells[where]
        for strategy in sorted(found, key=lambda name: (strategies.get(name, len(strategies)), name)):
            asked = found[strategy]
            order = dict.fromkeys([*(name for name in perturbations if name in asked), *sorted(asked)])
            together = [name for name in order if name in kept and name != design.primary_perturbation]
            several = [name for name in order if any(n_variants(cell) > 1 for cell in asked[name].values())]
            for model in sorted({model for models in asked.values() for model in models}):
                for name in several:
                    if model in asked[name]:
                        yield task, str(metric), strategy, model, name, {name: asked[name][model]}
                if together:
                    members = [design.primary_perturbation, *together]
                    yield task, str(metric), strategy, model, TOGETHER, {name: asked.get(name, {}).get(model) for name in members}


def n_variants(cell: pd.DataFrame) -> int:
    """Most variants that any sample has."""
    return int(cell.index.get_level_values("variant").max()) + 1 if len(cell) else 0


def _numbers(members: Members, design: AnalysisDesign, task: str, metric: Metric) -> dict[str, Any]:
    """Counts, numbers and note of one scope."""
    excluded = excluded_samples(design.exclude, task)
    absent = [name for name, cell in members.items() if cell is None]
    if absent:
        return {"note": f"no answers under {', '.join(absent)}"}
    given = [cell for cell in members.values() if cell is not None]
    stacked, n_replicates = stack(given)
    units = pair_units(stacked, stacked, metric, design.missing, excluded)
    n_lacking = n_incomplete(given, excluded)
    faults = [*units.faults, *([f"{n_lacking} samples lack a rendition without having been refused"] if n_lacking else [])]
    if faults:
        return {"note": "; ".join(faults)}
    cases = worst_cases(units, n_replicates, higher_is_better=metric.higher_is_better)
    n_samples = len(cases.groups)
    if not n_samples:
        return {"note": "no sample has two renditions"}
    groups = partition(cases.groups)
    interval = cluster_t_interval(cases.worst, groups.index, 1 - design.alpha)
    numbers = {"worst": interval.estimate, "worst_low": interval.low, "worst_high": interval.high, "lowest": cases.lowest}
    numbers |= {"mean": float(cases.mean.mean()), "best": float(cases.best.mean())}
    few = f"{len(groups.names)} groups, {MIN_GROUPS} are needed" if len(groups.names) < MIN_GROUPS else ""
    silent = "" if units.n_a_scored else "no answer could be read"
    counts = {"n_variants": cases.n_renditions, "n_samples": n_samples, "n_groups": len(groups.names)}
    return {**counts, **numbers, "note": "; ".join(filter(None, (few, silent)))}


def stack(given: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, int]:
    """Renditions of one model's answers as one cell: as variant the rendition's number times the number of replicates, plus the replicate.

    `tables.PairedUnits` holds variants but no replicates, and both are needed.

    Args:
        given: cells of one task, metric, strategy and model; the variants of each follow those of the one before.

    Returns:
        The cell, and the number of replicates.
    """
    n_replicates = max((int(cell.index.get_level_values("replicate").max()) + 1 for cell in given if len(cell)), default=1)
    samples, codes, replicates = [], [], []
    offset = 0
    for cell in given:
        replicate = cell.index.get_level_values("replicate").to_numpy(dtype=np.int64)
        variant = cell.index.get_level_values("variant").to_numpy(dtype=np.int64)
        samples.append(cell.index.get_level_values("sample_id").to_numpy(dtype=object))
        codes.append((offset + variant) * n_replicates + replicate)
        replicates.append(replicate)
        offset += n_variants(cell)
    index = pd.MultiIndex.from_arrays([np.concatenate(part) for part in (samples, codes, replicates)], names=UNIT)
    columns = ["group", "value", "status", "content_hash"]
    return pd.concat([cell[columns] for cell in given], ignore_index=True).set_axis(index), n_replicates


def n_incomplete(given: Sequence[pd.DataFrame], excluded: frozenset[str]) -> int:
    """Samples of which some cell lacks a replicate that another one has; refused ones have a row and lack nothing."""
    asked = [cell.reset_index()[["sample_id", "replicate"]].drop_duplicates(ignore_index=True) for cell in given]
    if all(table.equals(asked[0]) for table in asked[1:]):
        return 0
    counts = pd.concat(asked).groupby(["sample_id", "replicate"]).size()
    return len({str(sample) for sample, _ in counts.index[counts < len(asked)]} - excluded)


def worst_cases(units: PairedUnits, n_replicates: int, *, higher_is_better: bool) -> Cases:
    """The worst, the best and the mean value of each sample over its renditions, and the lowest mean of one rendition.

    Args:
        units: answers of a stacked cell (`stack`), under the missing rule; side a is read.
        n_replicates: from `stack`.
        higher_is_better: what worse means.
    """
    sample = np.unique(units.samples, return_inverse=True)[1]
    rendition, replicate = np.divmod(units.variants, n_replicates)
    _, pair, sizes = np.unique(sample * n_replicates + replicate, return_inverse=True, return_counts=True)
    # Samples with a single rendition left are right in all of them too easily.
    several = sizes[pair] > 1
    order = np.flatnonzero(several)[np.argsort(pair[several], kind="stable")]
    values, rendition = units.a[order] if higher_is_better else -units.a[order], rendition[order]
    _, starts, counts = np.unique(pair[order], return_index=True, return_counts=True)
    names, first, index = np.unique(sample[order], return_index=True, return_inverse=True)
    if not len(names):
        return Cases(groups=units.groups[:0], mean=np.zeros(0), worst=np.zeros(0), best=np.zeros(0), lowest=np.nan, n_renditions=0)
    of_pair = index[starts]
    n_pairs = np.bincount(of_pair)
    sign = 1.0 if higher_is_better else -1.0
    worst, best, mean = (
        sign * np.bincount(of_pair, weights=each) / n_pairs
        for each in (np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts), np.add.reduceat(values, starts) / counts)
    )
    return Cases(
        groups=units.groups[order][first],
        mean=mean,
        worst=worst,
        best=best,
        lowest=sign * _lowest(rendition, index, values, len(names)),
        n_renditions=len(np.unique(rendition)),
    )


def _lowest(rendition: IntArray, sample: IntArray, values: FloatArray, n_samples: int) -> float:
    """The lowest mean of one rendition, replicates averaged within a sample; NaN where none has enough samples."""
    cells, cell, counts = np.unique(rendition * n_samples + sample, return_inverse=True, return_counts=True)
    means = np.bincount(cell, weights=values) / counts
    _, own, n_own = np.unique(cells // n_samples, return_inverse=True, return_counts=True)
    of_rendition = np.bincount(own, weights=means) / n_own
    enough = n_own >= LEAST_SHARE * n_samples
    return float(of_rendition[enough].min()) if enough.any() else np.nan


@dataclass(frozen=True, kw_only=True, slots=True)
class Cases:
    """What renditions make of each sample; arrays of one length, by sample id."""

    groups: npt.NDArray[np.str_]
    """Group names."""
    mean: FloatArray
    """Mean over renditions."""
    worst: FloatArray
    """Value of the worst rendition, mean over replicates."""
    best: FloatArray
    """Value of the best rendition, mean over replicates."""
    lowest: float
    """The lowest mean of one rendition."""
    n_renditions: int
    """Renditions that any sample has."""
