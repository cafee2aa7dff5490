"""What perturbations do to each model's answers: its score, its drop, its flips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from evalsuite.metrics.base import Metric
from evalsuite.stats.arrays import cluster_t_interval, partition
from evalsuite.stats.columns import objects_in
from evalsuite.stats.design import MIN_GROUPS, AnalysisDesign
from evalsuite.stats.differences import sample_differences
from evalsuite.stats.judged_under import judged_metric, placed
from evalsuite.stats.ratios import ratio_interval
from evalsuite.stats.tables import UNIT, Cells, Condition, PairedUnits, excluded_samples, pair_units, sample_means
from evalsuite.types import Tell, untold

CHANGE = ("mean_before", "mean", "change", "ci_low", "ci_high")
SAME = ("consistency", "consistency_low", "consistency_high")
FLIPS = ("p_right_to_wrong", "p_wrong_to_right")
"""Each with its `_low` and `_high`."""
COUNTS = ("n_samples", "n_groups", "n_refused", "n_compared")
COLUMNS = (
    "task", "metric", "strategy", "perturbation", "model", "n_samples", "n_groups", "n_refused", "mean_before", "mean", "change", "ci_low",
    "ci_high", "ci_level", "n_compared", "consistency", "consistency_low", "consistency_high", "p_right_to_wrong", "p_right_to_wrong_low",
    "p_right_to_wrong_high", "n_right_before", "p_wrong_to_right", "p_wrong_to_right_low", "p_wrong_to_right_high", "n_wrong_before",
    "note",
)  # fmt: skip


def perturbed_frame(
    cells: Cells,
    design: AnalysisDesign,
    perturbations: Mapping[str, Perturbed],
    strategies: Iterable[str] = (),
    tell: Tell = untold,
) -> pd.DataFrame:
    """Every model under every perturbation, beside its own answers to the same samples under the reference.

    The reference is the primary perturbation at the same strategy. Every rendition is paired with the reference's rendition of the same
    sample and replicate; pairs are averaged within a sample, samples into the mean. `tables.pair_units` decides what is paired: excluded
    samples leave; refused ones leave both sides and are counted; failed answers, or a sample that only one side has, forbid every number.
    Answers that are missing follow the study's rule: `incorrect`, they count as the metric's worst value (wrong before or after); `drop`,
    the pair leaves.

    Consistency asks whether the same original choice was taken (all of them, where several are right). A pair with an unread answer is not
    consistent under `incorrect`, even where neither could be read, and leaves under `drop`. Choices that a perturbation added have no
    original index and count as one choice. Flip rates: of the samples right (wrong) before, the share that is wrong (right) now.

    Metrics of a set of classes have no value per sample: `accuracy` of the same answers stands for them (`judged_under.judged_metric`).

    Source: paired means with clusters, Miller 2024 (arXiv 2411.00640), `arrays.cluster_t_interval`; flip rates are ratios of sums with a
    linearised interval, Cochran 1977, `ratios.ratio_interval`; consistency over renditions as in Elazar et al. 2021 (TACL 9:1012).

    Args:
        cells: answers by condition and model, from `tables.split_conditions`.
        design: primary metrics, strategy and perturbation, missing rule, exclusions, alpha.
        perturbations: id to what it is, in the study's order.
        strategies: strategy ids in the study's order.
        tell: told of progress, in cells.

    Returns:
        `COLUMNS`, one row per task, strategy, perturbation but the reference, and model; shares in [0, 1]. `change` is oriented: negative
        loses, and it is `mean` - `mean_before` where higher is better. `n_right_before` and `n_wrong_before`: samples with at least one
        such answer. Numbers that do not exist are null: all of them after a fault; consistency where the perturbation does not preserve
        the meaning or answers are no choices; flips of metrics that are not right or wrong; limits of flips from fewer than `MIN_GROUPS`
        groups. `note` says why, except for the meaning. Does not depend on the order of rows of the scores.
    """
    wanted = list(perturbed_cells(cells, design, placed(perturbations), placed(strategies)))
    rows = []
    for where, model in wanted:
        rows.append(_row(cells, design, where, model, perturbations.get(where.perturbation)))
        tell("perturbed answers", len(rows), len(wanted))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = [*CHANGE, "ci_level", *SAME, *(f"{name}{end}" for name in FLIPS for end in ("", "_low", "_high"))]
    types: dict[str, Any] = dict.fromkeys(numbers, "float64") | dict.fromkeys(COUNTS, "int64")
    return frame.astype(types | dict.fromkeys(("n_right_before", "n_wrong_before"), "Int64"))


def perturbed_cells(
    cells: Cells, design: AnalysisDesign, perturbations: Mapping[str, int], strategies: Mapping[str, int]
) -> Iterator[tuple[Condition, str]]:
    """(condition, model) of every perturbed cell on the metric that its task is judged on, in the order of the table.

    A task without such a metric is there with its primary one.

    Args:
        cells: answers by condition and model.
        design: tasks and reference.
        perturbations: place of each in the study; others come last, by name.
        strategies: likewise.
    """
    for task, primary in design.primary_metric.items():
        metric = judged_metric(cells, design, task) or primary
        found = [where for where in cells if (where.task, where.metric) == (task, metric)]
        found.sort(key=lambda where: (strategies.get(where.strategy, len(strategies)), where.strategy,
                                      perturbations.get(where.perturbation, len(perturbations)), where.perturbation))  # fmt: skip
        for where in found:
            if where.perturbation != design.primary_perturbation:
                yield from ((where, model) for model in sorted(cells[where]))


def reference_of(where: Condition, design: AnalysisDesign) -> Condition:
    """The condition that a perturbed one is set against."""
    return replace(where, perturbation=design.primary_perturbation)


def beside_reference(cell: pd.DataFrame, reference: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both cells with one row for each pair of a rendition and a reference's rendition of the same sample and replicate.

    Pairs are numbered within sample and replicate, in place of the variants. What only one side has stays on that side alone. Hashes of
    the contents, which differ on purpose, are taken out.

    Args:
        cell: answers under a perturbation, from `tables.split_conditions`.
        reference: answers of the same model under the reference.
    """
    cell, reference = cell.assign(content_hash=None), reference.assign(content_hash=None)
    if all((side.index.get_level_values("variant") == 0).all() for side in (cell, reference)):
        return cell, reference
    own = ["sample_id", "replicate"]
    ends = [side.index.to_frame(index=False)[own].assign(**{at: np.arange(len(side))}) for side, at in ((cell, "a"), (reference, "b"))]
    pairs = ends[0].merge(ends[1], on=own, how="outer").sort_values([*own, "a", "b"], kind="stable", ignore_index=True)
    pairs["variant"] = pairs.groupby(own, sort=False).cumcount()
    index = pd.MultiIndex.from_frame(pairs[UNIT])
    there = [pairs[at].notna().to_numpy() for at in ("a", "b")]
    sides = [
        side.take(pairs.loc[has, at].to_numpy(dtype=np.int64)).set_axis(index[has])
        for side, at, has in zip((cell, reference), ("a", "b"), there, strict=True)
    ]
    return sides[0], sides[1]


def _row(cells: Cells, design: AnalysisDesign, where: Condition, model: str, what: Perturbed | None) -> dict[str, Any]:
    cell, reference = cells[where][model], cells.get(reference_of(where, design), {}).get(model)
    metric, excluded = design.metrics[where.metric], excluded_samples(design.exclude, where.task)
    row: dict[str, Any] = where.columns() | {"model": model, "ci_level": 1 - design.alpha} | dict.fromkeys(COUNTS, 0)
    row["n_refused"] = n_refused([cell] if reference is None else [cell, reference], excluded)
    if metric.of_set is not None:
        return row | {"note": f"{metric.name} has no value per sample, and there is no accuracy of these answers"}
    if reference is None:
        return row | {"note": f"no answers under {design.primary_perturbation}"}
    sides = beside_reference(cell, reference)
    units = pair_units(*sides, metric, design.missing, excluded)
    row |= {"n_samples": units.n_samples, "n_groups": units.n_groups}
    if units.faults:
        # Pairs repeat an answer where there are variants; what failed is counted on each side by itself.
        named = ((where.perturbation, cell), (design.primary_perturbation, reference))
        alone = [(name, pair_units(side, side, metric, design.missing, excluded)) for name, side in named]
        own = [f"{name}: {fault}" for name, side in alone for fault in side.faults]
        return row | {"note": "; ".join(own or units.faults)}
    if not units.n_samples:
        return row | {"note": "no answers left: every sample was refused, excluded or unread"}
    notes = [f"{units.n_groups} groups, {MIN_GROUPS} are needed"] if units.n_groups < MIN_GROUPS else []
    silent = [
        name for name, n_scored in ((where.perturbation, units.n_a_scored), (design.primary_perturbation, units.n_b_scored)) if not n_scored
    ]
    notes += [f"no answer could be read under {name}" for name in silent]
    row |= _change(units, metric, design)
    parts = [flips(units, metric, 1 - design.alpha)]
    if what is not None and what.preserves_meaning:
        parts.append(_consistency(*sides, metric, design, excluded))
    for numbers, remarks in parts:
        row |= numbers
        notes += remarks
    return row | {"note": "; ".join(notes)}


def n_refused(sides: Iterable[pd.DataFrame], excluded: Iterable[str]) -> int:
    """Samples of which an answer was refused on any side, without excluded ones."""
    names = [side.index.get_level_values("sample_id")[(side["status"] == "refused").to_numpy()] for side in sides]
    return len({str(name) for each in names for name in each} - set(excluded))


def _change(units: PairedUnits, metric: Metric, design: AnalysisDesign) -> dict[str, float]:
    """Both means, and the mean change with its interval."""
    means, differences = sample_means(units), sample_differences(units, metric)
    interval = cluster_t_interval(differences.values, partition(differences.groups).index, 1 - design.alpha)
    before = {"mean_before": float(means.b.mean()), "mean": float(means.a.mean())}
    return before | {"change": interval.estimate, "ci_low": interval.low, "ci_high": interval.high}


def flips(units: PairedUnits, metric: Metric, level: float) -> tuple[dict[str, Any], list[str]]:
    """How often right answers became wrong and wrong ones right, and what a reader must know; nothing where values are not right or wrong.

    Args:
        units: a: the perturbed answers; b: the unperturbed ones; no faults, at least one sample.
        metric: of both.
        level: confidence level in (0, 1).
    """
    if not metric.binary:
        return {}, [f"{metric.name} is not right or wrong: no flips"]
    found: dict[str, Any] = {}
    notes = []
    right, right_before = units.a == metric.best, units.b == metric.best
    kinds = (("p_right_to_wrong", "right", ~right, right_before), ("p_wrong_to_right", "wrong", right, ~right_before))
    for name, word, flipped, before in kinds:
        means = sample_means(replace(units, a=(flipped & before).astype(np.float64), b=before.astype(np.float64)))
        n_groups = len(np.unique(means.groups[means.b > 0]))
        found |= dict(zip((name, f"{name}_low", f"{name}_high"), ratio_interval(means.a, means.b, means.groups, level), strict=True))
        found[f"n_{word}_before"] = int((means.b > 0).sum())
        if not n_groups:
            notes.append(f"nothing was {word} before")
        elif n_groups < MIN_GROUPS:
            notes.append(f"{word} before in {n_groups} groups, {MIN_GROUPS} are needed for an interval")
    return found, notes


def _consistency(
    cell: pd.DataFrame, reference: pd.DataFrame, metric: Metric, design: AnalysisDesign, excluded: frozenset[str]
) -> tuple[dict[str, Any], list[str]]:
    """How often the same original choice was taken; sides as `beside_reference` gives them."""
    other = reference if cell.index.equals(reference.index) else reference.reindex(cell.index)
    answered = [side[["answer_index", "answer_indices"]].notna().any(axis=1).to_numpy() for side in (cell, other)]
    if metric.applies != "choice" and not all(side.any() for side in answered):
        return {}, ["answers are no choices: no consistency"]
    value = same_choice(cell, other).astype(np.float64)
    units = pair_units(cell.assign(value=value), reference, metric, design.missing, excluded)
    means = sample_means(units)
    interval = cluster_t_interval(means.a, partition(means.groups).index, 1 - design.alpha)
    numbers = dict(zip(SAME, (interval.estimate, interval.low, interval.high), strict=True))
    return {"n_compared": units.n_samples, **numbers}, []


def same_choice(cell: pd.DataFrame, other: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Whether two answers took the same original choices; never where either could not be read.

    Args:
        cell: answers with `status`, `answer_index`, and `answer_indices` where several choices can be taken.
        other: answers in the same rows.
    """
    read = (cell["status"] == "scored").to_numpy() & (other["status"] == "scored").to_numpy()
    one, two = (pd.to_numeric(side["answer_index"]).to_numpy(dtype=np.float64, na_value=np.nan) for side in (cell, other))
    all_one, all_two = (objects_in(side["answer_indices"]) for side in (cell, other))
    both_lists = pd.notna(all_one) & pd.notna(all_two)
    return np.asarray(read & np.where(both_lists, all_one == all_two, one == two), dtype=np.bool_)


@dataclass(frozen=True, kw_only=True, slots=True)
class Perturbed:
    """What a perturbation of the study is."""

    name: str
    """Plugin name."""
    family: str
    """As `perturbations.base.Family`."""
    preserves_meaning: bool
    """Whether answers can be compared with the unperturbed ones, choice by choice."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """All its options, defaults filled in."""
