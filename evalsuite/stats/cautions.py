"""What the scores themselves warn of, as sentences: ceilings, floors, duplicates, keys that contradict each other, unequal sets.

Counts only: no text and no id of a sample is in any of them, so that restricted tasks can be spoken of.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd

from evalsuite.metrics.base import Metric
from evalsuite.stats.arrays import group_sums, partition
from evalsuite.stats.calibration import right_positions
from evalsuite.stats.design import MIN_GROUPS, AnalysisDesign
from evalsuite.stats.differences import sample_differences
from evalsuite.stats.tables import MISSING_STATUSES, Cells, Condition, estimate_of, excluded_samples, pair_units

Level = Literal["warning", "note"]
READ = (
    "task", "strategy", "perturbation", "model", "sample_id", "group", "content_hash", "target", "status", "shown_position",
    "answer_index", "shown_targets",
)  # fmt: skip
"""Columns of the scores that are read; those that are absent say nothing."""
COLUMNS = ("level", "kind", "task", "model", "text")

CEILING = 0.95
"""Share of the metric's range from which on a mean leaves no room for a difference."""
N_DIFFERING, N_EFFECTIVE = 10, 20
"""Groups that differ, and groups in effect, below which an interval is approximate (docs/simulation.md)."""
ONE_LETTER = 0.9
"""Share of answers at one place from which on a model answers by place."""


def caution_frame(
    scores: pd.DataFrame, cells: Cells, design: AnalysisDesign, *, chances: Mapping[str, float | None], n_classes: Mapping[str, int]
) -> pd.DataFrame:
    """Everything that a reader of the primary comparisons must be warned of and that scores alone can tell.

    Ceiling: both models of a pair have at least `CEILING` of the metric's range; a difference can hardly show. Floor: the intervals
    of both reach chance; neither is known to know anything, so that a tie means nothing. Thin: `thin_evidence`. Duplicates: the same
    content under several groups of one task counts as independent, and is not. Contradictory keys: the same content with different targets.
    Unlinked: the same content in two tasks without a group in common, which resampling and pooling take for different questions.
    Unequal sets: the models of a task are not scored on the same samples. One letter: a model answers the same place in more than
    `ONE_LETTER` of its answers, though the right ones are not there. Content is `content_hash`: question, context, choices and
    references, not the target of a choice.

    Args:
        scores: columns of scores.parquet.
        cells: the same by condition and model, from `tables.split_conditions`.
        design: pairs, primary cell, missing rule, alpha; other conditions than the primary cells are not looked at.
        chances: task to the expected value of a uniform guess; None or absent: no meaning, so no floor.
        n_classes: task to number of classes, for metrics of a set.

    Returns:
        `COLUMNS`, warnings before notes, in the order of the study's tasks. Does not depend on the order of rows.
    """
    found: list[Caution] = []
    own = scores.loc[scores["metric"] == scores["task"].map(design.primary_metric)].reindex(columns=list(READ))
    parts = {task: own[own["task"] == task] for task in design.primary_metric}
    contents = {task: contents_of(part, design) for task, part in parts.items()}
    for task, name in design.primary_metric.items():
        means = primary_means(cells, design, task, n_classes.get(task, 0))
        here = (parts[task]["strategy"] == design.primary_strategy) & (parts[task]["perturbation"] == design.primary_perturbation)
        rows = parts[task][here]
        found.extend(ceilings(task, means, design.metrics[name], design.pairs))
        found.extend(floors(task, means, design.metrics[name], design.pairs, chances.get(task)))
        found.extend(thin_evidence(cells.get(condition_of(design, task), {}), design, task))
        found.extend(repeated_content(task, contents[task]))
        found.extend(unequal_sets(task, rows, drop=design.missing == "drop"))
        found.extend(one_letter(task, rows))
    found.extend(unlinked(contents))
    ordered = sorted(found, key=lambda caution: caution.level != "warning")
    return pd.DataFrame([asdict(caution) for caution in ordered], columns=list(COLUMNS))


def primary_means(cells: Cells, design: AnalysisDesign, task: str, n_classes: int) -> pd.DataFrame:
    """Model to mean and lower limit in the primary cell, as `tables.estimate_of`; NaN where failures remain."""
    name = design.primary_metric[task]
    metric = design.metrics[name]
    excluded = excluded_samples(design.exclude, task)
    found = {
        model: estimate_of(pair_units(cell, cell, metric, design.missing, excluded), metric, n_classes, 1 - design.alpha)
        for model, cell in cells.get(condition_of(design, task), {}).items()
    }
    return pd.DataFrame.from_dict(found, orient="index", columns=["mean", "se", "ci_low", "ci_high", "ci_level"])


def condition_of(design: AnalysisDesign, task: str) -> Condition:
    """The primary condition of a task."""
    metric = design.primary_metric[task]
    return Condition(task=task, metric=metric, strategy=design.primary_strategy, perturbation=design.primary_perturbation)


def thin_evidence(models: Mapping[str, pd.DataFrame], design: AnalysisDesign, task: str) -> Iterator[Caution]:
    """Pairs whose interval is only approximate: few groups differ at all, or a few large groups hold most of the samples.

    Simulated coverage of the 95 % interval keeps within two points of 95 from `N_EFFECTIVE` effective groups, (sum n_g)^2 / sum n_g^2 (Kish
    1965), and `N_DIFFERING` groups that differ on; below it falls to 82 % or rises to 99 %. Pairs that never differ, and those
    without a verdict, are told elsewhere. Metrics of a set are left out.
    """
    metric = design.metrics[design.primary_metric[task]]
    excluded = excluded_samples(design.exclude, task)
    few, uneven = [], []
    for pair in design.pairs if metric.of_set is None else ():
        units = pair_units(models.get(pair[0]), models.get(pair[1]), metric, design.missing, excluded)
        if units.faults or units.n_groups < MIN_GROUPS:
            continue
        paired = sample_differences(units, metric)
        groups = partition(paired.groups)
        sizes = groups.sizes
        n_differing = int(np.count_nonzero(np.abs(group_sums(paired.values, groups.index)) > 1e-12))
        if 0 < n_differing < N_DIFFERING:
            few.append(pair)
        elif sizes.sum() ** 2 / (sizes @ sizes) < N_EFFECTIVE:
            uneven.append(pair)
    for found, what in ((few, f"Fewer than {N_DIFFERING} groups differ at all"), (uneven, f"Fewer than {N_EFFECTIVE} groups in effect")):
        if found:
            text = f"{what}: {listed(found, design.pairs)}. The p-value holds, the interval is approximate."
            yield Caution(level="note", kind="thin", task=task, text=text)


def contents_of(rows: pd.DataFrame, design: AnalysisDesign) -> pd.DataFrame:
    """sample_id, group, content_hash and target of the samples of a task as the data set has them, each once.

    Perturbed samples have another content, so that unperturbed ones are read where there are any.
    """
    plain = rows[rows["perturbation"] == "none"]
    shown = plain if len(plain) else rows[rows["perturbation"] == design.primary_perturbation]
    columns = shown[["sample_id", "group", "content_hash", "target"]]
    return columns.dropna(subset=["content_hash"]).drop_duplicates("sample_id")


def ceilings(task: str, means: pd.DataFrame, metric: Metric, pairs: Sequence[tuple[str, str]]) -> Iterator[Caution]:
    """Pairs of which both models leave no room."""
    span = metric.best - metric.worst
    if not math.isfinite(span):
        return
    share = (means["mean"] - metric.worst) / span
    full = [pair for pair in pairs if all(share.get(model, math.nan) >= CEILING for model in pair)]
    if full:
        text = f"Both have {CEILING:.0%} or more of the best possible {metric.name}: {listed(full, pairs)}. A difference can hardly show."
        yield Caution(level="note", kind="ceiling", task=task, text=text)


def floors(task: str, means: pd.DataFrame, metric: Metric, pairs: Sequence[tuple[str, str]], chance: float | None) -> Iterator[Caution]:
    """Pairs of which neither model is above chance."""
    if chance is None or not metric.higher_is_better:
        return
    low = [pair for pair in pairs if all(means["ci_low"].get(model, math.nan) <= chance for model in pair)]
    if low:
        text = f"Neither is above chance ({chance:.0%}), going by its interval: {listed(low, pairs)}. A tie says nothing."
        yield Caution(level="warning", kind="floor", task=task, text=text)


def repeated_content(task: str, contents: pd.DataFrame) -> Iterator[Caution]:
    """Contents that stand in several groups, and contents with several keys."""
    by_content = contents.groupby("content_hash", observed=True)
    spread = by_content["group"].nunique()
    spread = spread[spread > 1]
    if len(spread):
        n_samples = int(contents["content_hash"].isin(spread.index).sum())
        text = (
            f"{counted(len(spread), 'question stands', 'questions stand')} in {n_samples} samples of different groups:"
            " they count as independent and are not."
        )
        yield Caution(level="warning", kind="duplicates", task=task, text=text)
    n_keys = int((by_content["target"].nunique() > 1).sum())
    if n_keys:
        text = f"{counted(n_keys, 'question stands', 'questions stand')} there twice or more with different keys: nobody is right on both."
        yield Caution(level="warning", kind="contradictory_keys", task=task, text=text)


def unequal_sets(task: str, rows: pd.DataFrame, *, drop: bool) -> Iterator[Caution]:
    """Models of a task that are not scored on the same samples, failures aside: those are told elsewhere."""
    left = rows["status"] == "refused"
    left |= rows["status"].isin(MISSING_STATUSES) if drop else False
    sets = [frozenset(part["sample_id"]) for _, part in rows[~left].groupby("model", observed=True)]
    if len(set(sets)) > 1:
        sizes = [len(samples) for samples in sets]
        several = f"{min(sizes)} to {max(sizes)}" if min(sizes) < max(sizes) else f"{sizes[0]} each"
        common = len(frozenset.intersection(*sets))
        text = f"The models are scored on different samples ({several}, {common} in common): pairs cannot be set against each other."
        yield Caution(level="warning", kind="unequal_sets", task=task, text=text)


def one_letter(task: str, rows: pd.DataFrame) -> Iterator[Caution]:
    """Models that answer one place nearly always, where the right answers are not nearly always shown at one place."""
    positions = right_positions(rows)
    for model, part in rows.groupby("model", observed=True):
        places = part["shown_position"].dropna()
        keys = positions.loc[places.index].value_counts(normalize=True)
        if len(places) < MIN_GROUPS or (len(keys) and keys.iloc[0] > ONE_LETTER):
            continue
        share = float(places.value_counts(normalize=True).iloc[0])
        if share > ONE_LETTER:
            place = int(places.mode().iloc[0]) + 1
            text = f"{model} chooses choice {place} as shown in {share:.0%} of {len(places)} answers: it answers by place, not by content."
            yield Caution(level="warning", kind="one_letter", task=task, model=str(model), text=text)


def unlinked(contents: Mapping[str, pd.DataFrame]) -> Iterator[Caution]:
    """The same content in two tasks without a group in common."""
    known = [table["content_hash"].drop_duplicates() for table in contents.values()]
    # Sets are made only of what stands in several tasks: of all contents they would take seconds.
    several = pd.concat(known)[lambda hashes: hashes.duplicated()] if known else ()
    repeated = {task: table[table["content_hash"].isin(several)] for task, table in contents.items()}
    groups = {task: table.groupby("content_hash", observed=True)["group"].agg(frozenset) for task, table in repeated.items()}
    for one, other in combinations(groups, 2):
        both = groups[one].index.intersection(groups[other].index)
        n_apart = sum(groups[one][content].isdisjoint(groups[other][content]) for content in both)
        if n_apart:
            text = (
                f"{counted(n_apart, 'question stands', 'questions stand')} both in {one} and in {other} under different groups:"
                " resampling and pooling take them for different ones."
            )
            yield Caution(level="warning", kind="unlinked", task=f"{one}, {other}", text=text)


def listed(found: Sequence[tuple[str, str]], pairs: Sequence[tuple[str, str]]) -> str:
    """Pairs in a sentence; several that are all there are need no names."""
    return f"all {len(pairs)} pairs" if len(found) == len(pairs) > 1 else "; ".join(f"{a} and {b}" for a, b in found)


def counted(n: int, one: str, several: str) -> str:
    """A number with its words."""
    return f"{n} {one if n == 1 else several}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Caution:
    """One sentence of warning."""

    level: Level
    """`warning`: a number may mislead; `note`: good to know."""
    kind: str
    """ceiling, floor, thin, duplicates, contradictory_keys, unlinked, unequal_sets or one_letter."""
    task: str
    """Task, or two of them joined by a comma."""
    model: str = ""
    """Model where it is about one, else empty."""
    text: str
    """The sentence; names tasks and models, never a sample."""
