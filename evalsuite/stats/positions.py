"""Position bias: which places models answer, beside where the right choices stand, and the log-odds of preferring a place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from evalsuite.stats.arrays import FloatArray, IntArray, Interval, group_sums, t_interval
from evalsuite.stats.columns import numbers_in
from evalsuite.stats.design import MIN_GROUPS, AnalysisDesign
from evalsuite.stats.judged_under import judged_metric
from evalsuite.stats.tables import Cells, excluded_samples
from evalsuite.types import Tell, untold

READ = ("shown_position", "shown_targets", "n_choices")
"""Columns of scores.parquet that places are read from; older scores that lack one have no rows."""
USED = ("strategy", "perturbation", "model", "sample_id", "variant", "replicate", "group", "status", "answer_indices", *READ)
NUMBERS = ("share_answered", "share_right", "log_odds", "ci_low", "ci_high", "ci_level")
COUNTS = ("n_choices", "position", "n_answers", "n_samples")
COLUMNS = (
    "task", "strategy", "perturbation", "model", "n_choices", "position", "n_answers", "n_samples", "share_answered", "share_right",
    "log_odds", "ci_low", "ci_high", "ci_level", "note",
)  # fmt: skip


def position_frame(
    scores: pd.DataFrame,
    cells: Cells,
    design: AnalysisDesign,
    perturbations: Iterable[str] = (),
    strategies: Iterable[str] = (),
    tell: Tell = untold,
) -> pd.DataFrame:
    """How often each shown place is answered and is right, and the preference for it, by number of choices.

    For the reference (the primary perturbation) and every perturbation that moves right choices: one under which any sample's right choice
    stands at another place than under the reference. Scores of the reference alone have no rows. Answers that could not be read have no
    place and leave under either missing rule, as do answers of several choices, answers by a label that is not listed, samples without
    one right choice among the listed, refused and excluded ones. Failed answers forbid the numbers. Each sample counts once, its answers
    sharing its weight.

    `log_odds` of a place k is the logarithm of how much more often k is taken than the average other place, for reasons other than being
    right. It is read off wrong answers, where being right plays no part: h is the number of wrong answers at k among the m wrong answers
    to samples whose right choice is elsewhere; without a preference h/m is 1/(n - 1), since n - 1 places are wrong. So
    log_odds = logit(h/m) - logit(1/(n - 1)). In Luce's choice model, where the odds of wrong places are as b_1 : ... : b_n, this is, for
    any one right place, the logarithm of b_k over the mean b of the other wrong places. With two choices a wrong answer has one place
    only; the same quantity, log(b_1/b_2), is then half of logit(share of k where k is right) + logit(share of k where it is not).

    0: no preference. Where one of the counts h and m - h is 0, 0.5 is added to both, so that a model that always answers k has
    log(2 m + 1) + log(n - 2). In the data's own order better distractors may stand at some places; in drawn orders they do not.

    Interval: linearised share, cluster-robust over groups (`arrays.t_interval`, G - 1 degrees of freedom), carried to the log-odds by the
    delta method; only with `MIN_GROUPS` groups of answers that are counted. Where a count is 0 nothing varies: the variance is then that of
    the corrected log-odds, 1/(h + 0.5) + 1/(m - h + 0.5), and the limit towards 0 is set from a log-odds that is corrected in the same way,
    both with the number of groups for m.

    Source: selection bias over option places, Zheng et al. 2023 (arXiv 2309.03882; their RStd is the spread of recall over places) and
    Pezeshkpour & Hruschka 2023 (arXiv 2308.11483); choice model, Luce 1959 (Individual Choice Behavior) and 1963 (Handbook of Mathematical
    Psychology 1:103); 0.5, Haldane 1956 (Ann. Hum. Genet. 20:309) and Anscombe 1956 (Biometrika 43:461), its variance Gart and Zweifel
    1967 (Biometrika 54:181); reading it off wrong answers, and groups in place of answers where a count is 0, are ours.

    Args:
        scores: columns of scores.parquet, with `READ`.
        cells: the same answers by condition and model; they say which metric a task is judged on.
        design: tasks, reference, exclusions, alpha.
        perturbations: perturbation ids in the study's order.
        strategies: strategy ids likewise.
        tell: told of progress, in cells.

    Returns:
        `COLUMNS`; a row per cell, number of choices and place, shown places counted from 0. `n_answers` and `n_samples`: what is counted
        in the cell with that many choices. `share_right`: of these samples, those whose right choice stands there. Nulls and a `note`
        where a number does not exist. Does not depend on the order of rows.
    """
    rows: list[dict[str, Any]] = []
    perturbed = bool((scores["perturbation"] != design.primary_perturbation).any())
    tasks = design.primary_metric if perturbed and set(READ) <= set(scores.columns) else {}
    for at, task in enumerate(tasks, 1):
        metric = judged_metric(cells, design, task) or design.primary_metric[task]
        asked = (scores["task"] == task) & (scores["metric"] == metric) & (scores["status"] != "refused")
        asked &= ~scores["sample_id"].isin(list(excluded_samples(design.exclude, task)))
        own = scores.loc[asked, [name for name in USED if name in scores]]
        names = {"strategy": tuple(strategies), "perturbation": tuple(perturbations), "model": ()}
        for cell, answers in looked_at(own, design.primary_perturbation, names):
            rows.extend({"task": task, **cell, **row} for row in rows_of(answers, 1 - design.alpha))
        tell("positions", at, len(tasks))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(NUMBERS, "float64") | dict.fromkeys(COUNTS, "int64"))


def looked_at(rows: pd.DataFrame, reference: str, names: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[dict[str, str], Places]]:
    """The cells of a task in which places are counted, in the order of the table: the reference, and what moves right choices.

    Args:
        rows: answers of one task on one metric that were asked and are not excluded.
        reference: perturbation id.
        names: strategies, perturbations and models in the study's order; what it does not name comes last, by name.
    """
    if rows.empty:
        return
    sample = pd.factorize(rows["sample_id"], sort=True)[0]
    places = _places(rows, sample)
    perturbed = (rows["perturbation"] != reference).to_numpy()
    # Where a sample's right choice stands under the reference, the first place of several renditions; all models are shown the same.
    home = np.full(sample.max() + 1, np.nan)
    np.fmin.at(home, sample[~perturbed], places.right[~perturbed])
    moved = perturbed & np.isfinite(places.right) & np.isfinite(home[sample]) & (places.right != home[sample])
    wanted = {reference, *rows.loc[moved, "perturbation"].unique()}
    codes, orders = [], []
    for column, known in names.items():
        order = list(dict.fromkeys([*known, *sorted(rows[column].unique())]))
        codes.append(pd.Categorical(rows[column], categories=order).codes.astype(np.int64))
        orders.append(order)
    by = np.lexsort((rows["replicate"].to_numpy(dtype=np.int64), rows["variant"].to_numpy(dtype=np.int64), sample, *reversed(codes)))
    keys = np.column_stack(codes)[by]
    starts = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]).any(axis=1)])
    for start, end in zip(starts, [*starts[1:], len(by)], strict=True):
        cell = {name: order[code] for name, order, code in zip(names, orders, keys[start], strict=True)}
        if cell["perturbation"] in wanted:
            yield cell, places.taken(by[start:end])


def _places(rows: pd.DataFrame, sample: IntArray) -> Places:
    """Answers as arrays."""
    answered = pd.to_numeric(rows["shown_position"]).astype(float).where(rows["status"] == "scored")
    if "answer_indices" in rows:
        several = rows["answer_indices"].astype("string").str.contains(",", regex=False).fillna(False).astype(bool)
        answered = answered.mask(several)
    # Several right choices are joined by commas, which is no number.
    right = numbers_in(rows["shown_targets"]).to_numpy()
    n_choices = pd.to_numeric(rows["n_choices"]).to_numpy(dtype=np.float64, na_value=np.nan)
    return Places(
        sample=sample.astype(np.int64),
        group=pd.factorize(rows["group"], sort=True)[0].astype(np.int64),
        n_choices=n_choices,
        # What is not listed has no place among the others.
        right=np.where(right < n_choices, right, np.nan),
        answered=np.where(answered.to_numpy() < n_choices, answered.to_numpy(), np.nan),
        failed=(rows["status"] == "failed").to_numpy(),
    )


def rows_of(places: Places, level: float) -> Iterator[dict[str, Any]]:
    """Rows of one cell, by number of choices and place."""
    n_failed = int(places.failed.sum())
    for n in sorted({int(n) for n in places.n_choices[places.n_choices >= 2]}):
        counted = places.taken(np.flatnonzero((places.n_choices == n) & np.isfinite(places.right) & np.isfinite(places.answered)))
        _, index, sizes = np.unique(counted.sample, return_inverse=True, return_counts=True)
        weights = 1 / sizes[index]
        base = {"n_choices": n, "n_answers": len(index), "n_samples": len(sizes), "ci_level": level}
        for k in range(n):
            row: dict[str, Any] = base | {"position": k}
            if n_failed or not len(index):
                yield row | {"note": f"{n_failed} failed answers" if n_failed else "no answer could be read"}
                continue
            preferred = preference(counted, weights, k, n, level)
            shares = [float(weights[where == k].sum() / weights.sum()) for where in (counted.answered, counted.right)]
            row |= {"share_answered": shares[0], "share_right": shares[1], "log_odds": preferred.interval.estimate}
            yield row | {"ci_low": preferred.interval.low, "ci_high": preferred.interval.high, "note": preferred.note}


def preference(places: Places, weights: FloatArray, k: int, n: int, level: float) -> Preference:
    """The log-odds of preferring place k of n, with its interval; see `position_frame`.

    Args:
        places: answers to samples with n choices, each with one answered and one right place.
        weights: of each answer, above 0.
        k: place, 0 to n - 1.
        n: number of choices, at least 2.
        level: confidence level in (0, 1).
    """
    here, right_here = places.answered == k, places.right == k
    wrong = places.answered != places.right
    if not wrong.any():
        return Preference(interval=t_interval(np.nan, np.nan, 0, level), note="no wrong answers")
    # With two choices a wrong answer has nowhere else to go: recall of k and false calls of k, each half.
    among = [right_here, ~right_here] if n == 2 else [wrong & ~right_here]
    parts = [_logit(here[part], weights[part]) for part in among if part.any()]
    if len(parts) < len(among):
        note = "the right choice stands there always or never" if n == 2 else "no wrong answers where it could have been taken"
        return Preference(interval=t_interval(np.nan, np.nan, 0, level), note=note)
    expected = 0.0 if n == 2 else float(np.log(n - 2))
    estimate = sum(part.estimate for part in parts) / len(parts) + expected
    note = "a count is 0: 0.5 added to both" if any(part.empty for part in parts) else ""
    counted = np.logical_or.reduce(among)
    groups = np.unique(places.group[counted], return_inverse=True)[1].astype(np.int64)
    n_groups = int(groups.max()) + 1
    if n_groups < MIN_GROUPS:
        few = f"wrong answers in {n_groups} groups, {MIN_GROUPS} are needed for an interval"
        return Preference(interval=t_interval(estimate, np.nan, 0, level), note="; ".join(filter(None, (note, few))))
    influence = np.zeros(len(weights))
    variance, below, above = 0.0, 0.0, 0.0
    for part, own in zip(parts, among, strict=True):
        influence[own] = part.influence / len(parts)
        if part.empty:
            # One answer per group, so that answers that hang together do not count as many.
            n_own = len(np.unique(places.group[own]))
            variance += (2 + 1 / (n_own + 0.5)) / len(parts) ** 2
            excess = max(abs(part.estimate) - float(np.log(2 * n_own + 1)), 0.0) / len(parts)
            below, above = (below + excess, above) if part.estimate > 0 else (below, above + excess)
    sums = group_sums(influence[counted], groups)
    variance += n_groups / (n_groups - 1) * float(sums @ sums)
    interval = t_interval(estimate, float(np.sqrt(variance)), n_groups - 1, level)
    return Preference(interval=replace(interval, low=interval.low - below, high=interval.high + above), note=note)


def _logit(taken: npt.NDArray[np.bool_], weights: FloatArray) -> _Logit:
    """Log-odds of a weighted share, and what each answer adds to it in first order."""
    hits, misses = float(weights[taken].sum()), float(weights[~taken].sum())
    empty = bool(taken.all() or not taken.any())
    added = 0.5 if empty else 0.0
    share = hits / (hits + misses)
    influence = np.zeros(len(taken)) if empty else weights * (taken - share) / (hits * misses / (hits + misses))
    return _Logit(estimate=float(np.log((hits + added) / (misses + added))), influence=influence, empty=empty)


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """Answers as places; arrays of one length, sorted by sample within a cell."""

    sample: IntArray
    """Number of the sample."""
    group: IntArray
    """Number of the group."""
    n_choices: FloatArray
    """Choices shown; NaN without choices."""
    right: FloatArray
    """Place of the right choice; NaN where there is not just one, or it is not listed."""
    answered: FloatArray
    """Place of the answer; NaN where there is not just one."""
    failed: npt.NDArray[np.bool_]
    """Whether the answer failed."""

    def taken(self, at: npt.NDArray[np.intp]) -> Places:
        """These answers."""
        columns = {name: getattr(self, name)[at] for name in ("sample", "group", "n_choices", "right", "answered", "failed")}
        return Places(**columns)


@dataclass(frozen=True, kw_only=True, slots=True)
class Preference:
    """The preference for a place."""

    interval: Interval
    """Log-odds with limits; NaN where they do not exist."""
    note: str = ""
    """Why something does not exist."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Logit:
    """Log-odds of a share."""

    estimate: float
    """Natural logarithm of the odds."""
    influence: FloatArray
    """What each answer adds to the estimate in first order."""
    empty: bool
    """Whether a count was 0, and 0.5 was added to both."""
