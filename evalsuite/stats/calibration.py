"""Calibration of the choice probabilities of a study: frames from scores (pandas above `confidence`).

Taken from every cell whose scored answers all have a probability for each choice and one right choice each (letters and cloze
formats of single-answer tasks). Every answer enters, variants and replicates too, and answers of one group count as
dependent. Cloze probabilities are those of normalised log-probabilities (per byte by default), flatter than the model's own, so that
their calibration is that of the scores. Everything here is exploratory: no study pre-states it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from evalsuite.metrics.base import Metric
from evalsuite.seeds import derive_seed
from evalsuite.stats.arrays import IntArray, cluster_t_interval, partition
from evalsuite.stats.columns import numbers_in, rows_of
from evalsuite.stats.confidence import Judged, bin_numbers, calibration_error, judge, selective_accuracy, share_interval
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.ordering import sorted_cells
from evalsuite.stats.randomisation import sign_flip_p
from evalsuite.stats.tables import KEPT_COLUMNS, MISSING_STATUSES, UNIT, Condition, excluded_samples, pair_units, sample_means
from evalsuite.types import Answer, Sample

CELL = ["model", "task", "strategy", "perturbation"]
READ = frozenset((*CELL, *UNIT, *KEPT_COLUMNS, "metric", "p_choices", "shown_position", "shown_targets"))
"""Columns of scores that are looked at."""
PAIRED = ("group", "value", "status", "content_hash")
"""Columns that `tables.pair_units` reads where a metric has a value per answer."""
COVERAGES = tuple(round(0.05 * step, 2) for step in range(1, 21))
"""Shares of the answers at which accuracy is taken."""
CALIBRATION_COLUMNS = (
    *CELL, "n_samples", "n_groups", "accuracy", "confidence", "ece", "ece_debiased", "brier", "brier_low", "brier_high", "nll",
    "selective_50", "selective_80", "ci_level", "n_answers", "n_left_out", "n_bins", "calibration_rms", "status_note",
)  # fmt: skip
RELIABILITY_COLUMNS = (*CELL, "bin", "n_samples", "n_groups", "confidence", "accuracy", "low", "high", "n_answers", "ci_level")
SELECTIVE_COLUMNS = (*CELL, "coverage", "accuracy")
PAIR_COLUMNS = (
    "model_a", "model_b", *CELL[1:], "brier_difference", "ci_low", "ci_high", "p_value", "n_samples", "n_groups", "ci_level", "n_left_out",
    "status_note",
)  # fmt: skip


def calibration_frames(scores: pd.DataFrame, design: AnalysisDesign) -> CalibrationFrames:
    """Calibration per model and cell, and the Brier scores of each pair side by side.

    Which answers: one row per answer (of the task's primary metric where it is there), excluded samples and refused answers
    left out. `unparsed`, `truncated` and `too_long` answers have no probabilities: they leave, and `n_left_out` counts them;
    accuracy here is therefore that of the answers with probabilities, not the study's. A cell with failed answers, or with
    probabilities that are none, has counts and a `status_note`, no numbers. Cells without probabilities have no row.

    Positions: `p_choices` stand in shown order, and the right one at `shown_targets`. Scores without that column say by
    `target` where it is, but only in cells in which every answer has the same shown and original position; others have no row.

    Args:
        scores: columns of scores.parquet.
        design: the analysis: pairs, exclusions, level, resamples, seed.

    Returns:
        Four frames; empty with their columns where no cell has probabilities. Does not depend on the order of rows.
    """
    rows = answers_with_probabilities(scores, design)
    # Only what is read below, since all of it is sorted.
    rows = rows[[name for name in rows.columns if name in (*CELL, *UNIT, *PAIRED, "p_choices", "shown_position", "position")]]
    calibration: list[dict[str, Any]] = []
    reliability: list[dict[str, Any]] = []
    selective: list[dict[str, Any]] = []
    briers: dict[Condition, dict[str, pd.DataFrame]] = {}
    cells = sorted_cells(rows, CELL, UNIT)
    rows = rows.take(cells.order)
    for begin, end in itertools.pairwise(cells.bounds):
        named = dict(zip(CELL, cells.cell_at(begin), strict=True))
        cell = rows.iloc[begin:end]
        found = judged_cell(cell)
        if found is None:
            continue
        calibration.append(named | cell_numbers(found, 1 - design.alpha))
        if found.judged is not None:
            reliability.extend(named | row for row in bin_rows(found, found.judged, 1 - design.alpha))
            selective.extend(named | row for row in coverage_rows(found.judged))
            condition = Condition(metric=BRIER.name, **{name: named[name] for name in CELL[1:]})
            briers.setdefault(condition, {})[named["model"]] = brier_cell(cell, found.judged)
    return CalibrationFrames(
        calibration=as_frame(calibration, CALIBRATION_COLUMNS),
        reliability=as_frame(reliability, RELIABILITY_COLUMNS),
        selective=as_frame(selective, SELECTIVE_COLUMNS),
        calibration_pairs=as_frame(list(pair_rows(briers, design)), PAIR_COLUMNS),
    )


def answers_with_probabilities(scores: pd.DataFrame, design: AnalysisDesign) -> pd.DataFrame:
    """One row per answer of the cells with any probabilities, refused and excluded ones left out, with `position` of the right choice.

    Args:
        scores: columns of scores.parquet.
        design: primary metrics and exclusions.
    """
    if "p_choices" not in scores or not len(scores):
        return scores.iloc[:0].assign(position=np.zeros(0))
    cells = [scores[name] for name in CELL]
    some = scores["p_choices"].notna().groupby(cells, observed=True).transform("any")
    # Only what is read here, since the rows are taken and sorted several times.
    scores = scores[[name for name in scores.columns if name in READ]]
    rows = scores[some.astype(bool) & (scores["status"] != "refused")]
    for task in sorted(map(str, rows["task"].unique())):
        left_out = excluded_samples(design.exclude, task)
        if left_out:
            rows = rows[~((rows["task"] == task) & rows["sample_id"].isin(list(left_out)))]
    # Every metric repeats the probabilities; the primary one comes first, else the first by name.
    primary = rows["task"].map(dict(design.primary_metric))
    if rows.duplicated([*CELL, *UNIT]).any():
        ranked = rows.assign(_rank=(rows["metric"] != primary).astype(int)).sort_values(["_rank", "metric"], kind="stable")
        rows = ranked.drop_duplicates([*CELL, *UNIT]).drop(columns="_rank")
    return rows.assign(position=right_positions(rows))


def right_positions(rows: pd.DataFrame) -> pd.Series[float]:
    """Shown position of the one right choice of each answer; NaN where there is none, several, or nothing that tells it.

    Args:
        rows: answers; uses `shown_targets` where it is filled, else `target` under the condition of `calibration_frames`.
    """
    empty = pd.Series(np.nan, index=rows.index, dtype=float)
    shown = numbers_in(rows["shown_targets"]) if "shown_targets" in rows else empty
    if not {"target", "shown_position", "answer_index"} <= set(rows.columns):
        return shown
    told = rows["shown_targets"].notna() if "shown_targets" in rows else pd.Series(False, index=rows.index)
    moved = rows["shown_position"].notna() & (rows["shown_position"] != rows["answer_index"])
    in_order = ~moved.groupby([rows["task"], rows["strategy"], rows["perturbation"]], observed=True).transform("any").astype(bool)
    return shown.where(told, numbers_in(rows["target"]).where(in_order))


def judged_cell(cell: pd.DataFrame) -> JudgedCell | None:
    """The answers of one model in one cell, held against the right choice; None if the cell does not qualify.

    Args:
        cell: rows of `answers_with_probabilities`, sorted by `UNIT`.
    """
    scored = cell[cell["status"] == "scored"]
    if not len(scored) or scored["p_choices"].isna().any() or scored["position"].isna().any() or scored["shown_position"].isna().any():
        return None
    n_failed = int((cell["status"] == "failed").sum())
    judged, note = None, f"{n_failed} failed answers" if n_failed else ""
    if not note:
        try:
            judged = judge(rows_of(scored["p_choices"]), scored["shown_position"], scored["position"])
        except ValueError as fault:
            note = str(fault)
    return JudgedCell(
        judged=judged,
        samples=scored["sample_id"].to_numpy(dtype=str),
        groups=scored["group"].to_numpy(dtype=str),
        bins=bin_numbers(judged.confidence) if judged is not None else np.zeros(0, dtype=np.int64),
        n_left_out=int(cell["status"].isin(MISSING_STATUSES).sum()),
        note=note,
    )


def cell_numbers(found: JudgedCell, level: float) -> dict[str, Any]:
    """Columns of `calibration` beside the cell's names; numbers are NaN where the cell has a note."""
    counts = {
        "n_samples": len(np.unique(found.samples)), "n_groups": len(np.unique(found.groups)), "n_answers": len(found.samples),
        "n_left_out": found.n_left_out, "n_bins": len(np.unique(found.bins)), "ci_level": level, "status_note": found.note,
    }  # fmt: skip
    judged = found.judged
    if judged is None:
        return counts
    error = calibration_error(judged, found.groups, found.bins)
    brier = cluster_t_interval(judged.brier, partition(found.groups).index, level)
    half, most = selective_accuracy(judged.confidence, judged.right, [0.5, 0.8])
    return counts | {
        "accuracy": float(judged.right.mean()),
        "confidence": float(judged.confidence.mean()),
        "ece": error.ece,
        "ece_debiased": error.rms_debiased,
        "calibration_rms": error.rms,
        "brier": brier.estimate,
        "brier_low": brier.low,
        "brier_high": brier.high,
        "nll": float(judged.nll.mean()),
        "selective_50": float(half),
        "selective_80": float(most),
    }


def bin_rows(found: JudgedCell, judged: Judged, level: float) -> Iterator[dict[str, Any]]:
    """Columns of `reliability` beside the cell's names, one row per bin from the least confident on."""
    for number in range(int(found.bins.max()) + 1):
        inside = found.bins == number
        low, high = share_interval(judged.right[inside], found.groups[inside], level)
        yield {
            "bin": number,
            "n_samples": len(np.unique(found.samples[inside])),
            "n_groups": len(np.unique(found.groups[inside])),
            "n_answers": int(inside.sum()),
            "confidence": float(judged.confidence[inside].mean()),
            "accuracy": float(judged.right[inside].mean()),
            "low": low,
            "high": high,
            "ci_level": level,
        }


def coverage_rows(judged: Judged) -> Iterator[dict[str, float]]:
    """Columns of `selective` beside the cell's names."""
    accuracies = selective_accuracy(judged.confidence, judged.right, COVERAGES)
    for share, accuracy in zip(COVERAGES, accuracies, strict=True):
        yield {"coverage": share, "accuracy": float(accuracy)}


def brier_of(sample: Sample, answer: Answer) -> float:
    """Brier score of one answer with probabilities; see `confidence.judge`.

    Raises:
        ValueError: the answer has none, or the sample not one right choice.
    """
    if answer.p_choices is None or len(sample.targets) != 1:
        raise ValueError("a Brier score needs probabilities and one right choice")
    return float(judge([answer.p_choices], [0], sample.targets).brier[0])


BRIER = Metric(
    name="brier",
    summary="Squared distance of the choices' probabilities from certainty in the right one, 0 to 2.",
    source="Brier 1950",
    higher_is_better=False,
    worst=2.0,
    best=0.0,
    binary=False,
    reading="lenient",
    applies="choice",
    value=brier_of,
)
"""As a record that pairing understands; no column of scores."""


def brier_cell(cell: pd.DataFrame, judged: Judged) -> pd.DataFrame:
    """The answers of a cell, sorted by `UNIT`, as `tables.pair_units` takes them, with their Brier scores as values."""
    scored = (cell["status"] == "scored").to_numpy()
    values = np.full(len(cell), np.nan)
    values[scored] = judged.brier
    return cell.assign(value=values).set_index(UNIT).reindex(columns=list(PAIRED))


def pair_rows(briers: Mapping[Condition, Mapping[str, pd.DataFrame]], design: AnalysisDesign) -> Iterator[dict[str, Any]]:
    """Brier difference of each pair in each cell that both have; missing answers of either side leave on both.

    Interval and p as those of any paired mean: `arrays.cluster_t_interval` and `randomisation.sign_flip_p`, replicates and variants
    averaged within a sample. Not corrected.
    """
    for condition, models in sorted(briers.items()):
        for a, b in design.pairs:
            if a not in models or b not in models:
                continue
            units = pair_units(models[a], models[b], BRIER, "drop", ())
            place = {"task": condition.task, "strategy": condition.strategy, "perturbation": condition.perturbation}
            row = {"model_a": a, "model_b": b, **place, "n_samples": units.n_samples, "n_groups": units.n_groups}
            row |= {
                "n_left_out": units.n_all_samples - units.n_samples,
                "ci_level": 1 - design.alpha,
                "status_note": "; ".join(units.faults),
            }
            if units.faults or not units.n_samples:
                yield row
                continue
            means = sample_means(units)
            index = partition(means.groups).index
            raw = means.a - means.b
            # Sums of the same probabilities in another order differ in the last bits; that is no difference.
            differences = np.where(np.abs(raw) <= 1e-12, 0.0, raw)
            interval = cluster_t_interval(differences, index, 1 - design.alpha)
            seed = derive_seed(design.seed, "brier", *place.values(), *sorted((a, b)))
            test = sign_flip_p(differences, index, design.n_resamples, seed)
            yield row | {
                "brier_difference": interval.estimate,
                "ci_low": interval.low,
                "ci_high": interval.high,
                "p_value": test.p_value,
            }


def as_frame(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Rows as a table of these columns: counts whole, names text, everything else float; absent numbers are NaN."""
    frame = pd.DataFrame(list(rows), columns=list(columns))
    texts = {*CELL, "model_a", "model_b", "status_note"}
    return frame.astype({name: "int64" if name.startswith("n_") or name == "bin" else "float64" for name in columns if name not in texts})


def empty(columns: Sequence[str]) -> pd.DataFrame:
    """No rows, with the columns and types of `as_frame`."""
    return as_frame([], columns)


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedCell:
    """The scored answers of one model in one cell, sorted by sample; arrays of one length."""

    judged: Judged | None
    """Confidence and correctness; None where `note` says why there is none."""
    samples: np.ndarray[Any, np.dtype[np.str_]]
    """Sample ids."""
    groups: np.ndarray[Any, np.dtype[np.str_]]
    """Group names."""
    bins: IntArray
    """Bin of each answer; empty without `judged`."""
    n_left_out: int
    """Answers that were unparsed, truncated or too long."""
    note: str
    """Why there are no numbers; empty if there are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationFrames:
    """The calibration of a study."""

    calibration: pd.DataFrame = field(default_factory=lambda: empty(CALIBRATION_COLUMNS))
    """One row per model and cell. `ece_debiased` is `confidence.CalibrationError.rms_debiased`, to be read beside `calibration_rms`, whose
    bias it lacks; `brier_low` and `brier_high` bound the mean Brier score (0 to 2) at `ci_level`; `selective_50` and `selective_80` are the
    accuracy on the most confident half and four fifths."""
    reliability: pd.DataFrame = field(default_factory=lambda: empty(RELIABILITY_COLUMNS))
    """One row per bin: mean confidence, accuracy, and its interval at `ci_level`."""
    selective: pd.DataFrame = field(default_factory=lambda: empty(SELECTIVE_COLUMNS))
    """Accuracy at each of `COVERAGES`."""
    calibration_pairs: pd.DataFrame = field(default_factory=lambda: empty(PAIR_COLUMNS))
    """One row per pair and cell; `brier_difference` = a - b, negative: a is closer to the truth."""
