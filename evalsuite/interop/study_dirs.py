"""A finished out directory as exporters need it: its cells one by one, with what is known of model, task and prompts."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from evalsuite import strategies
from evalsuite.config import Study, load_study
from evalsuite.errors import Fault, UserError
from evalsuite.interop.score_sets import IMPORTED, own_record, read_scores
from evalsuite.metrics.base import Metric
from evalsuite.out_dir import OutDir
from evalsuite.outputs import SCORES_SCHEMA
from evalsuite.plugins import load_specs
from evalsuite.stats.tables import MISSING_STATUSES, estimate_frame

CELL = ["model", "task", "strategy", "perturbation"]
ANSWER = ["sample_id", "variant", "replicate"]


@dataclass(frozen=True, kw_only=True)
class StudyDir:
    """What an out directory holds."""

    folder: Path
    """Where it lies."""
    study: Study
    """The study as run."""
    manifest: Mapping[str, Any] = field(repr=False)
    """manifest.json."""
    scores: pd.DataFrame = field(repr=False)
    """scores.parquet."""
    finished: float
    """Unix time at which the scores were written."""

    @property
    def missing(self) -> Any:
        """The study's rule for answers that could not be read."""
        return self.study.analysis.missing

    def record(self, task: str, metric: str) -> Metric:
        """The record of a metric.

        Raises:
            UserError: nobody here knows it.
        """
        found = own_record(self.manifest, task, metric)
        if found is None:
            allowed = "is no metric of ours, and manifest.json does not describe it: run `evalsuite report` on the folder"
            raise UserError(Fault(file=str(self.folder / "scores.parquet"), key="metric", value=metric, allowed=allowed))
        return found

    def n_shots(self, strategy: str) -> int:
        """Exemplars of a strategy id; 0 where it takes none of its own."""
        entry = next(entry for entry in self.study.strategies if entry.label == strategy)
        options = load_specs(strategies)[entry.name].options.model_validate(dict(entry.options))
        return int(getattr(options, "shots", 0) or 0)

    def label(self, task: str, strategy: str, perturbation: str) -> str:
        """Name of a cell where only a task name fits: that of the task in the primary cell, else with what differs from it."""
        primary = self.study.analysis.primary
        parts = [task]
        parts += [strategy] if strategy != primary.strategy else []
        parts += [perturbation] if perturbation != primary.perturbation else []
        return "@".join(parts)


@dataclass(frozen=True, kw_only=True)
class StudyCell:
    """One model's answers in one condition."""

    label: str
    """`StudyDir.label`."""
    task: str
    """Task name."""
    strategy: str
    """Strategy id."""
    perturbation: str
    """Perturbation id."""
    scores: pd.DataFrame = field(repr=False)
    """Its rows of scores.parquet, in the order of sample, variant and replicate."""
    planned: Mapping[tuple[str, int, int], tuple[str | None, list[str] | None]] = field(repr=False)
    """(sample, variant, replicate) to prompt and choices; None where the task is restricted. Choices also where a perturbation may have
    changed their order: targets are positions in the original order."""
    metrics: Mapping[str, Metric]
    """Its metrics."""
    estimates: Mapping[str, Mapping[str, Any]]
    """Metric to its row of estimates (`stats.tables.estimate_frame`) at 95 %, under the study's missing rule."""


def open_study_dir(folder: str | Path) -> StudyDir:
    """Read an out directory.

    Raises:
        UserError: it is not one of a finished run, or it is an import.
    """
    out = OutDir(Path(folder))
    for path in (out.scores, out.plan, out.study, out.manifest):
        if not path.exists() and not (path != out.manifest and _is_import(out)):
            raise UserError(Fault(file=str(path), key="", value="", allowed="missing: give the out directory of a finished run"))
    if _is_import(out):
        raise UserError(Fault(file=str(folder), key="", value="", allowed="was imported; what it was made from can be given on as it is"))
    return StudyDir(
        folder=Path(folder),
        study=load_study(out.study),
        manifest=json.loads(out.manifest.read_text(encoding="utf-8")),
        scores=read_scores(out),
        finished=out.scores.stat().st_mtime,
    )


def _is_import(out: OutDir) -> bool:
    try:
        return IMPORTED in json.loads(out.manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def check_failures(study: StudyDir) -> None:
    """Refuse a directory that holds failed answers: no other format knows that they are nobody's wrong answers.

    Raises:
        UserError: one fault per model and task.
    """
    failed = study.scores[study.scores["status"] == "failed"].drop_duplicates([*CELL, *ANSWER])
    faults = [
        Fault(file=str(study.folder), key=f"{model}, {task}", value=f"{len(rows)} failed answers", allowed="none: run the study again")
        for (model, task), rows in failed.groupby(["model", "task"], observed=True)
    ]
    if faults:
        raise UserError(faults)


def cells_of(study: StudyDir, model: str) -> Iterator[StudyCell]:
    """The cells of a model, sorted."""
    own = study.scores[study.scores["model"] == model]
    plan = pq.read_table(
        study.folder / "plan.parquet", columns=[*CELL, *ANSWER, "prompt", "choices"], filters=[("model", "==", model)]
    ).to_pandas()
    for (task, strategy, perturbation), rows in own.groupby(CELL[1:], sort=True, observed=True):
        here = plan[(plan["task"] == task) & (plan["strategy"] == strategy) & (plan["perturbation"] == perturbation)]
        names = here[ANSWER].itertuples(index=False, name=None)
        in_order = next(entry.name for entry in study.study.perturbations if entry.label == perturbation) == "none"
        metrics = {str(name): study.record(str(task), str(name)) for name in sorted(set(rows["metric"]))}
        estimates = estimate_frame(rows, metrics, missing=study.missing, exclude=(), level=0.95).set_index("metric")
        yield StudyCell(
            label=study.label(str(task), str(strategy), str(perturbation)),
            task=str(task),
            strategy=str(strategy),
            perturbation=str(perturbation),
            scores=rows.sort_values([*ANSWER, "metric"], kind="stable"),
            planned={
                name: (plain(prompt), plain(choices) if in_order else None)
                for name, prompt, choices in zip(names, here["prompt"], here["choices"], strict=True)
            },
            metrics=metrics,
            estimates={str(name): {str(key): value for key, value in row.items()} for name, row in estimates.to_dict("index").items()},
        )


def answers_of(cell: StudyCell) -> Iterator[tuple[tuple[str, int, int], list[dict[str, Any]]]]:
    """((sample, variant, replicate), its rows of scores.parquet, one per metric, JSON-ready) of each answer."""
    whole = {name for name in SCORES_SCHEMA.names if pa.types.is_integer(SCORES_SCHEMA.field(name).type)}
    records = (
        # a column of integers with gaps is one of floats in a frame
        {str(key): int(value) if key in whole and value == value else plain(value) for key, value in record.items()}
        for record in cell.scores.to_dict("records")
    )
    for name, own in itertools.groupby(records, key=lambda record: (record["sample_id"], record["variant"], record["replicate"])):
        yield name, list(own)


def counted_value(study: StudyDir, cell: StudyCell, record: Mapping[str, Any]) -> float | None:
    """What a score counts as: its value, what the study's missing rule makes of its absence, or None for nothing.

    Args:
        study: for the rule.
        cell: for the metric's worst value.
        record: a row of scores.parquet.
    """
    if record["status"] == "scored":
        return float(record["value"])
    counts = record["status"] in MISSING_STATUSES and study.missing == "incorrect"
    worst = cell.metrics[record["metric"]].worst
    return worst if counts and math.isfinite(worst) else None


def plain(value: Any) -> Any:
    """A value of a frame as JSON holds it: null for NaN, lists for arrays, Python's own numbers."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return None if value is None or value != value else value
