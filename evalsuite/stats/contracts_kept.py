"""Knowing the answer and writing it as asked: strict and lenient scores of the same answers, and how much of a difference is form.

Strict: the output keeps its exact contract and the answer is right. Lenient: the answer is right as a careful reader would read it.
Validity: the output keeps its contract, whatever it answers. Penalty: lenient minus strict, what the form costs. Source: a strict and a
loose score beside each other are those of IFEval (Zhou et al. 2023, arXiv 2311.07911); the parts of a difference are ours and exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from evalsuite.metrics.base import Metric
from evalsuite.stats.arrays import FloatArray, cluster_t_interval, partition
from evalsuite.stats.design import MIN_GROUPS, AnalysisDesign
from evalsuite.stats.right_answers import STRICT, right_cells
from evalsuite.stats.tables import Cells, Condition, PairedUnits, SampleMeans, excluded_samples, pair_units, sample_means

CONTRACT_COLUMNS = (
    "task", "strategy", "perturbation", "model", "n_samples", "n_groups", "strict", "strict_low", "strict_high", "lenient", "lenient_low",
    "lenient_high", "validity", "validity_low", "validity_high", "penalty", "penalty_low", "penalty_high", "ci_level", "note",
)  # fmt: skip
PART_COLUMNS = (
    "task", "strategy", "perturbation", "model_a", "model_b", "strict_difference", "strict_difference_low", "strict_difference_high",
    "knowledge", "knowledge_low", "knowledge_high", "format", "format_low", "format_high", "ci_level", "n_samples", "n_groups", "note",
)  # fmt: skip
WRITTEN = ("scored", "unparsed", "truncated")
"""Statuses of answers of which something was written, be it nothing at all."""
VOTED = "answers by vote have a strict score only where the task has a strict metric"


def contracts_kept_frame(cells: Cells, design: AnalysisDesign) -> pd.DataFrame:
    """Strict and lenient score, validity and penalty of every model in every cell of written answers.

    An answer that could not be read, or was cut off, is wrong under either reading whatever the study's missing rule: dropping it would
    drop what is to be shown. A prompt that was too long had no output; it follows the rule. Refused and excluded samples leave; failures
    forbid numbers. Variants and replicates are averaged within a sample; intervals: `arrays.cluster_t_interval`, that of the penalty over
    its per-sample differences.

    The strict score is that of the task's strict metric where it has one, else right by the lenient reading with the contract kept: one
    output that keeps its contract is read alike by both (`answers.read_lenient`, `ask.read_under_contract`). Votes may differ, so that they
    have no strict score without such a metric.

    Args:
        cells: answers by condition and model; `strict_kept` tells written answers.
        design: missing rule, exclusions and level.

    Returns:
        `CONTRACT_COLUMNS`; shares in [0, 1], NaN where there is no number, with a `note`. Which metric says what is right:
        `right_answers.right_metric`.
    """
    rows: list[dict[str, Any]] = []
    for written in written_cells(cells, design):
        for model in sorted(written.lenient):
            row = {**written.columns(), "model": model, "ci_level": 1 - design.alpha}
            rows.append(row | _kept_numbers(written.of_pair(model, model, design), 1 - design.alpha))
    return _typed(rows, CONTRACT_COLUMNS)


def format_parts_frame(cells: Cells, design: AnalysisDesign) -> pd.DataFrame:
    """How much of a pair's strict difference is knowledge and how much is form, over the samples that both have.

    strict_a - strict_b = (lenient_a - lenient_b) + (penalty_b - penalty_a), sample by sample: the first part is `knowledge`, the second
    `format`; positive parts favour a. Missing rule, intervals and strict scores as in `contracts_kept_frame`.

    Args:
        cells: answers by condition and model.
        design: pairs, missing rule, exclusions and level.

    Returns:
        `PART_COLUMNS`, a row for every pair in every cell of which either side has written answers.
    """
    rows: list[dict[str, Any]] = []
    for written in written_cells(cells, design):
        for a, b in design.pairs:
            if a in written.lenient or b in written.lenient:
                row = {**written.columns(), "model_a": a, "model_b": b, "ci_level": 1 - design.alpha}
                rows.append(row | _part_numbers(written.of_pair(a, b, design), 1 - design.alpha))
    return _typed(rows, PART_COLUMNS)


def written_cells(cells: Cells, design: AnalysisDesign) -> Iterator[Written]:
    """Every (task, strategy, perturbation) with written answers under a contract, in sorted order."""
    for condition, metric, models in right_cells(cells, design):
        if any(cell["strict_kept"].notna().any() for cell in models.values()):
            twin = Condition(
                task=condition.task, metric=f"{metric.name}{STRICT}", strategy=condition.strategy, perturbation=condition.perturbation
            )
            strict = cells.get(twin, {})
            views = {model: _views(cell, strict.get(model)) for model, cell in models.items()}
            yield Written(
                condition=condition,
                metric=metric,
                lenient={model: own[0] for model, own in views.items()},
                strict={model: own[1] for model, own in views.items()},
                kept={model: own[2] for model, own in views.items()},
            )


def _views(cell: pd.DataFrame, strict: pd.DataFrame | None) -> tuple[pd.DataFrame, pd.DataFrame | None, pd.DataFrame]:
    """A model's answers valued leniently, strictly (None: no value can be told) and by validity; all with the same statuses."""
    written = cell["status"].isin(WRITTEN).to_numpy()
    status = np.where(written, "scored", cell["status"].to_numpy(dtype=object))
    kept = np.array([entry is True or entry == 1 for entry in cell["strict_kept"]], dtype=np.float64)
    right = cell["value"].fillna(0.0).to_numpy(dtype=np.float64)
    if strict is not None and strict.index.equals(cell.index):
        exact = strict["value"].fillna(0.0).to_numpy(dtype=np.float64)
    elif cell["votes"].notna().any():
        exact = None
    else:
        exact = right * kept

    def valued(values: npt.NDArray[np.float64]) -> pd.DataFrame:
        return cell.assign(status=status, value=np.where(written, values, np.nan))

    return valued(right), None if exact is None else valued(exact), valued(kept)


def _kept_numbers(paired: PairedWritten, level: float) -> dict[str, Any]:
    if paired.values is None:
        return paired.counts()
    (lenient, kept), strict = paired.values, paired.strict
    parts = {"lenient": lenient.a, "validity": kept.a}
    if strict is not None:
        parts |= {"strict": strict.a, "penalty": lenient.a - strict.a}
    return paired.counts() | _intervals(parts, lenient.groups, level)


def _part_numbers(paired: PairedWritten, level: float) -> dict[str, Any]:
    if paired.values is None or paired.strict is None:
        return paired.counts()
    lenient, strict = paired.values[0], paired.strict
    parts = {
        "strict_difference": strict.a - strict.b,
        "knowledge": lenient.a - lenient.b,
        "format": (lenient.b - strict.b) - (lenient.a - strict.a),
    }
    return paired.counts() | _intervals(parts, lenient.groups, level)


def _intervals(parts: Mapping[str, FloatArray], groups: npt.NDArray[np.str_], level: float) -> dict[str, float]:
    """Mean and limits of each part's per-sample values, as columns."""
    index = partition(groups).index
    row: dict[str, float] = {}
    for name, values in parts.items():
        # Means over the same variants that ought to be equal differ in their last bits.
        interval = cluster_t_interval(np.where(np.abs(values) <= 1e-12, 0.0, values), index, level)
        row |= {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return row


def _typed(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(columns))
    texts = {"task", "strategy", "perturbation", "model", "model_a", "model_b", "note"}
    counts = {"n_samples", "n_groups"}
    return frame.astype({name: "int64" if name in counts else "float64" for name in columns if name not in texts})


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """The written answers of one (task, strategy, perturbation) under three values each; tables as `tables.split_conditions` gives them."""

    condition: Condition
    """Where."""
    metric: Metric
    """What says that an answer is right."""
    lenient: Mapping[str, pd.DataFrame]
    """Model to its answers; 1 where right."""
    strict: Mapping[str, pd.DataFrame | None]
    """Model to its answers; 1 where right and the contract kept. None: cannot be told."""
    kept: Mapping[str, pd.DataFrame]
    """Model to its answers; 1 where the contract was kept."""

    def columns(self) -> dict[str, str]:
        """As the first three columns of a table."""
        return {"task": self.condition.task, "strategy": self.condition.strategy, "perturbation": self.condition.perturbation}

    def of_pair(self, a: str, b: str, design: AnalysisDesign) -> PairedWritten:
        """The values of two models (or of one with itself) on the samples that both have."""
        excluded = excluded_samples(design.exclude, self.condition.task)

        def paired(view: Mapping[str, pd.DataFrame | None]) -> PairedUnits:
            return pair_units(view.get(a), view.get(b), self.metric, design.missing, excluded)

        units = paired(self.lenient)
        counts = {"n_samples": units.n_samples, "n_groups": units.n_groups}
        if units.faults or not units.n_samples:
            return PairedWritten(**counts, values=None, strict=None, note="; ".join(units.faults) or "no answers are left")
        told = self.strict[a] is not None and self.strict[b] is not None
        # The three views of a cell have the same statuses, so that the same answers are left in each.
        strict = sample_means(paired(self.strict)) if told else None
        few = f"{units.n_groups} groups, {MIN_GROUPS} are needed" if units.n_groups < MIN_GROUPS else ""
        return PairedWritten(
            **counts,
            values=(sample_means(units), sample_means(paired(self.kept))),
            strict=strict,
            note="; ".join(note for note in (few, "" if told else VOTED) if note),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedWritten:
    """Values of two models on the same samples, means over variants and replicates."""

    n_samples: int
    """Samples that are left."""
    n_groups: int
    """Their groups."""
    values: tuple[SampleMeans, SampleMeans] | None
    """Lenient, and contract kept; None where faults forbid numbers or nothing is left."""
    strict: SampleMeans | None
    """Strict; None where there is none."""
    note: str
    """What a reader must know."""

    def counts(self) -> dict[str, Any]:
        """As columns of a table."""
        return {"n_samples": self.n_samples, "n_groups": self.n_groups, "note": self.note}
