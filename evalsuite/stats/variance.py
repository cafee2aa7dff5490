"""Where the uncertainty of a paired difference comes from, and how many of what would halve it.

Generalisability theory by the method of moments: the variance of the mean difference is cut into parts for samples, for variants and
replicates within samples, and, where strategies of the study differ in nothing else, for exemplar seeds and prompts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from evalsuite.metrics.base import Metric
from evalsuite.stats.arrays import FloatArray, cluster_t_interval, partition
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.differences import Differences, sample_differences
from evalsuite.stats.paired import units_under
from evalsuite.stats.tables import Cells, PairedUnits

Strategies = Mapping[str, tuple[str, Mapping[str, Any]]]
"""Strategy id to its name and its options, defaults filled in; in the study's order."""

FACETS = (("exemplar_seeds", ("exemplar_seed",)), ("prompts", ("template", "system")))
"""Parts that strategies can differ in, and the options that make the difference."""
COLUMNS = ("model_a", "model_b", "task", "strategy", "metric", "part", "n", "variance", "share", "se_now", "n_to_halve", "note")


def variance_frame(cells: Cells, design: AnalysisDesign, strategies: Strategies) -> pd.DataFrame:
    """Variance parts of the paired difference of every pair and task, on its primary metric at the primary perturbation.

    For the primary strategy, and for the first of any other strategies that differ only in exemplar seed or prompt. A pair and task
    has rows only where more than samples can be told apart: several replicates, variants, exemplar seeds or prompts. Faults, metrics of
    a set of classes and fewer than two groups leave it out.

    Args:
        cells: answers by condition and model.
        design: pairs, primary cell, missing rule, exclusions.
        strategies: of the study.

    Returns:
        `COLUMNS`. `n`: how many of the part the mean rests on now. `variance`: of one of them. `share`: of the variance of the mean, over
        all parts; NaN where nothing varies. `se_now`: root of that variance. `n_to_halve`: how many of this part alone would halve it,
        rounded up; NaN where no number would. See `parts_of`.
    """
    families = strategy_families(strategies)
    bases = dict.fromkeys([design.primary_strategy, *(family.members[0] for family in families)])
    rows: list[dict[str, Any]] = []
    for task, name in design.primary_metric.items():
        metric = design.metrics[name]
        if metric.of_set is not None:
            continue
        for pair in design.pairs:
            units_of = partial(units_under, cells, design, task, pair)
            for base in bases:
                crossed = [family for family in families if base == first_of(family, design)]
                named = {"model_a": pair[0], "model_b": pair[1], "task": task, "strategy": base, "metric": name}
                if base == design.primary_strategy or crossed:
                    rows.extend(named | row for row in part_rows(base, crossed, units_of, metric))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(("n", "variance", "share", "se_now", "n_to_halve"), "float64"))


def first_of(family: Family, design: AnalysisDesign) -> str:
    """The strategy of a family whose mean is cut into parts: the primary one where it belongs to it."""
    return design.primary_strategy if design.primary_strategy in family.members else family.members[0]


def strategy_families(strategies: Strategies) -> tuple[Family, ...]:
    """Sets of two and more strategies that differ in the options of one facet only.

    Args:
        strategies: in the study's order, which is kept.
    """
    found: list[Family] = []
    for facet, keys in FACETS:
        alike: dict[str, dict[str, str]] = {}
        for strategy, (name, options) in strategies.items():
            rest = json.dumps([name, {key: value for key, value in options.items() if key not in keys}], sort_keys=True, default=str)
            own = json.dumps([options.get(key) for key in keys], default=str)
            # The same options under two ids are the same strategy, and say nothing about the facet.
            alike.setdefault(rest, {}).setdefault(own, strategy)
        found.extend(Family(facet=facet, members=tuple(members.values())) for members in alike.values() if len(members) > 1)
    return tuple(found)


def part_rows(base: str, crossed: Sequence[Family], units_of: Callable[[str], PairedUnits], metric: Metric) -> Iterator[dict[str, Any]]:
    """Rows of one pair, task and strategy; none where only samples vary."""
    units = units_of(base)
    if units.faults or units.n_groups < 2:
        return
    own = sample_differences(units, metric)
    facets: list[FacetPart] = []
    for family in crossed:
        others = [units_of(strategy) for strategy in family.members if strategy != base]
        facet = facet_part(family.facet, [own, *(sample_differences(other, metric) for other in others if not other.faults)])
        facets.extend([facet] if facet is not None else [])
    if not facets and len(units.samples) == units.n_samples:
        return
    parts = parts_of(units, metric, facets)
    total = math.fsum(part.of_mean for part in parts)
    for part in parts:
        yield {
            "part": part.name,
            "n": part.n,
            "variance": part.variance,
            "share": part.of_mean / total if total > 0 else np.nan,
            "se_now": math.sqrt(total),
            "n_to_halve": n_to_halve(part, total),
            "note": part.note,
        }


def parts_of(units: PairedUnits, metric: Metric, facets: Sequence[FacetPart] = ()) -> tuple[Part, ...]:
    """Parts of the variance of the mean difference; each at least 0.

    The variance of the mean over samples is estimated as in the interval, robust to dependence within groups. From it go the parts that
    lie within samples, estimated from sums of squares: replicates of one variant of one sample, and variants of one sample,

        s_r^2 = SS_replicates / (N - C)        s_v^2 = (SS_variants - (C - n) s_r^2) / (N - sum_s sum_v K_sv^2 / K_s)

    with N answers, C pairs of sample and variant, n samples, K answers of each. What is left belongs to samples. With one variant,
    K replicates and single groups this is the balanced analysis of variance, and Miller's equation for K answers per question. An
    exemplar seed (prompt) is crossed with samples (`facet_part`): its own part stands beside the variance of the mean, which was
    seen under one of them only; its interaction with samples, `residual`, is cut off samples.

    Source: Searle, Casella and McCulloch 1992 (Variance Components, ch. 3 to 5); Brennan 2001 (Generalizability Theory); Miller
    2024 (arXiv 2411.00640), resampling. The variance over groups in place of the one over samples is ours.

    Args:
        units: paired answers of at least two groups.
        metric: orients; must have a value per sample.
        facets: of these samples.
    """
    answers = units.a - units.b
    sample = partition(units.samples)
    cell = partition(np.char.add(np.char.add(units.samples, "\0"), units.variants.astype(str)))
    n_answers, n_cells, n_samples = len(answers), len(cell.sizes), len(sample.sizes)
    own = sample_differences(units, metric)
    whole = cluster_t_interval(own.values, partition(own.groups).index, 0.95).se ** 2
    of_cells = mean_by(answers, cell.index)
    of_samples = mean_by(answers, sample.index)
    n_per_sample = sample.sizes[sample.index]
    # Sums over answers: sum_s sum_v K_sv^2 / K_s, and the same over K_s^2.
    weighted = float((cell.sizes[cell.index] / n_per_sample).sum())
    squared = float((cell.sizes[cell.index] / n_per_sample.astype(np.float64) ** 2).sum())
    within: list[Part] = []
    replicates = 0.0
    if n_answers > n_cells:
        replicates = float(((answers - of_cells[cell.index]) ** 2).sum()) / (n_answers - n_cells)
        of_mean = replicates * float((1 / sample.sizes).sum()) / n_samples**2
        within.append(Part(name="replicates", n=n_answers / n_cells, variance=replicates, of_mean=of_mean, reducible=of_mean))
    if n_cells > n_samples:
        squares = float(((of_cells[cell.index] - of_samples[sample.index]) ** 2).sum())
        variants = (squares - (n_cells - n_samples) * replicates) / (n_answers - weighted)
        kept = max(variants, 0.0)
        of_mean = kept * squared / n_samples**2
        reducible = of_mean + sum(part.of_mean for part in within)
        note = negative(variants)
        within.insert(0, Part(name="variants", n=n_cells / n_samples, variance=kept, of_mean=of_mean, reducible=reducible, note=note))
    noise = sum(part.of_mean for part in within if part.name == "replicates")
    residuals = [max(facet.interaction - noise, 0.0) for facet in facets]
    left = whole - sum(part.of_mean for part in within) - sum(residuals)
    samples = max(left, 0.0)
    inside = samples + sum(part.of_mean for part in within) + sum(residuals)
    n_groups = len(np.unique(own.groups))
    groups = "" if n_groups == n_samples else f"in {n_groups} groups; the variance counts how they hang together"
    note = "; ".join(filter(None, (groups, negative(left))))
    first = Part(name="samples", n=n_samples, variance=n_samples * samples, of_mean=samples, reducible=inside, note=note)
    # Another seed or prompt is answered anew, so that replicates' noise is averaged over them too.
    crossed = [
        Part(
            name=facet.name,
            n=1,
            variance=facet.variance,
            of_mean=facet.variance,
            reducible=facet.variance + residual + noise,
            note=facet.note,
        )
        for facet, residual in zip(facets, residuals, strict=True)
    ]
    rest = sum(residuals)
    names = " and ".join(facet.name.replace("_", " ") for facet in facets)
    tail = Part(name="residual", n=n_samples, variance=n_samples * rest, of_mean=rest, reducible=0.0, note=f"samples together with {names}")
    return (first, *within, *crossed, *((tail,) if facets else ()))


def facet_part(name: str, differences: Sequence[Differences]) -> FacetPart | None:
    """What varies between strategies that differ in one thing: k columns of differences over the samples that all have.

    Two-way random effects without replication, sample by strategy, m_k the mean of column k about the grand mean and x_sk what is
    left of a difference when its sample's mean over columns is taken off:

        interaction (of a mean over the samples) = sum_k var(mean_s x_sk) / (k - 1)        variance = sum_k m_k^2 / (k - 1) - interaction

    With single groups this is (MS_k - MS_residual) / n and MS_residual / n; with groups the variances are robust to dependence
    within them. Source: Searle, Casella and McCulloch 1992, ch. 4; Brennan 2001, ch. 2; the clusters are ours.

    Args:
        name: of the part.
        differences: of two strategies at least; else there is nothing to say, and None comes back.
    """
    if len(differences) < 2:
        return None
    table = pd.concat([pd.Series(entry.values, index=entry.names) for entry in differences], axis=1, join="inner")
    groups = pd.Series(differences[0].groups, index=differences[0].names).reindex(table.index)
    index = partition(groups.to_numpy(dtype=str)).index
    n_groups = len(np.unique(index))
    if n_groups < 2:
        return None
    values = table.to_numpy(dtype=np.float64)
    df = values.shape[1] - 1
    centred = values - values.mean(axis=1, keepdims=True)
    errors = [cluster_t_interval(column, index, 0.95).se ** 2 for column in centred.T]
    interaction = float(sum(errors)) / df
    means = centred.mean(axis=0)
    estimate = float(means @ means) / df - interaction
    kind = name.replace("_", " ")
    note = "; ".join(filter(None, (f"from {df + 1} {kind}; no interval of a single strategy holds this part", negative(estimate))))
    # The interaction is needed for a mean over all samples of the first strategy, not over those that all strategies have.
    scaled = interaction * len(table) / len(differences[0].names)
    return FacetPart(name=name, variance=max(estimate, 0.0), interaction=scaled, note=note)


def n_to_halve(part: Part, total: float) -> float:
    """How many of a part, all other numbers as they are, would halve the standard error; NaN where none would.

    The variance of the mean must fall to a quarter; what the part does not divide stays.
    """
    room = total / 4 - (total - part.reducible)
    if part.reducible <= 0 or room <= 1e-12 * total:
        return math.nan
    return float(math.ceil(part.n * part.reducible / room - 1e-9))


def mean_by(values: FloatArray, index: Any) -> FloatArray:
    """Mean of the values with each number."""
    return np.asarray(np.bincount(index, weights=values) / np.bincount(index), dtype=np.float64)


def negative(estimate: float) -> str:
    """What to say of an estimate below 0, which its part shows as 0."""
    return "the estimate was below 0 and is set to 0" if estimate < -1e-15 else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """Strategies that differ in one thing."""

    facet: str
    """Name of the part."""
    members: tuple[str, ...]
    """Their ids in the study's order, at least two."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FacetPart:
    """What one facet adds; see `facet_part`."""

    name: str
    """Name of the part."""
    variance: float
    """Between its levels, at least 0."""
    interaction: float
    """Variance of a mean over samples, under one level, that is its interaction with samples and all noise within them."""
    note: str
    """What it rests on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One part of the variance of a mean."""

    name: str
    """samples, variants, replicates, exemplar_seeds, prompts or residual."""
    n: float
    """How many there are now: samples in all, variants per sample, replicates per variant, strategies in one mean (1)."""
    variance: float
    """Of one of them, at least 0."""
    of_mean: float
    """What it adds to the variance of the mean."""
    reducible: float
    """What of the variance of the mean falls in proportion to their number: the part itself and what lies within it."""
    note: str = ""
    """What a reader must know."""
