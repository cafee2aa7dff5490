"""A folder of scores, wherever it came from: an out directory of a study, or an import; one model of it at a time."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from evalsuite.errors import Fault, UserError, nearest
from evalsuite.metrics import METRICS
from evalsuite.metrics.base import Metric
from evalsuite.out_dir import OutDir
from evalsuite.outputs import SCORES_SCHEMA
from evalsuite.stats.tables import NEEDED_COLUMNS
from evalsuite.types import Answer, Sample

IMPORTED = "imported"
"""Key of manifest.json that only an import has."""


@dataclass(frozen=True, kw_only=True)
class ScoreSet:
    """The scores of one model."""

    folder: Path
    """Where they were read."""
    model: str
    """Name of the model in them."""
    scores: pd.DataFrame = field(repr=False)
    """Its rows of scores.parquet."""
    higher_is_better: Mapping[tuple[str, str], bool | None]
    """(task, metric) to direction as the source states it, None where it does not; metrics that are ours are not in it."""
    facts: Mapping[tuple[str, str], str]
    """(task or empty for all, what) to how the answers came about: engine, dtype, versions, prompting."""
    manifest: Mapping[str, Any] = field(repr=False)
    """manifest.json."""


def open_scores(folder: str | Path, model: str | None = None) -> ScoreSet:
    """Read the scores of one model.

    Args:
        folder: an out directory or an import.
        model: which model; None where there is only one.

    Raises:
        UserError: no scores there, no such model, or several and none was named.
    """
    out = OutDir(Path(folder))
    scores = read_scores(out)
    models = sorted(set(scores["model"]))
    if model is None and len(models) != 1:
        allowed = f"holds {len(models)} models, name one: {', '.join(models)}"
        raise UserError(Fault(file=str(folder), key="model", value="", allowed=allowed))
    chosen = models[0] if model is None else model
    if chosen not in models:
        raise UserError(Fault(file=str(folder), key="model", value=chosen, allowed=f"no scores of it; {nearest(chosen, models)}"))
    manifest = _manifest(out)
    imported = manifest.get(IMPORTED)
    return ScoreSet(
        folder=Path(folder),
        model=chosen,
        scores=scores[scores["model"] == chosen].reset_index(drop=True),
        higher_is_better=_directions(imported) if imported else {},
        manifest=manifest,
        facts=_imported_facts(imported, chosen) if imported else _own_facts(manifest, chosen),
    )


def metric_record(scores: ScoreSet, task: str, name: str, values: pd.Series[float]) -> Metric | None:
    """The record of a metric as far as statistics need it; None where its source does not say which direction is better.

    A metric of ours has its own record. For a foreign one the bounds are read off the values: 0 and 1 where all lie between
    them, else the least and greatest value seen; they matter only to the equivalence test of answers that never differ.

    Args:
        scores: where the metric stands.
        task: its task.
        name: its name.
        values: all values of it on both sides.
    """
    if (task, name) not in scores.higher_is_better:
        return own_record(scores.manifest, task, name)
    better = scores.higher_is_better[task, name]
    if better is None:
        return None
    known = values.dropna()
    in_unit = bool(known.between(0, 1).all())
    low, high = (0.0, 1.0) if in_unit or known.empty else (float(known.min()), float(known.max()))
    return foreign_metric(name, higher_is_better=better, low=low, high=high, binary=in_unit and bool(known.isin([0.0, 1.0]).all()))


def own_record(manifest: Mapping[str, Any], task: str, name: str) -> Metric | None:
    """The record of a metric of ours, or of a task's own as manifest.json describes it; None if neither is known."""
    described = manifest.get("data", {}).get(task, {}).get("own_metrics", {}).get(name)
    if described is None:
        return METRICS.get(name)
    low, high = (math.inf * sign if bound is None else bound for sign, bound in ((-1, described["low"]), (1, described["high"])))
    return foreign_metric(name, higher_is_better=described["higher_is_better"], low=low, high=high, binary=described["binary"])


def foreign_metric(name: str, *, higher_is_better: bool, low: float, high: float, binary: bool) -> Metric:
    """A record of a metric that was computed elsewhere."""
    return Metric(
        name=name,
        summary="Computed elsewhere; imported with its values.",
        source="imported",
        higher_is_better=higher_is_better,
        worst=low if higher_is_better else high,
        best=high if higher_is_better else low,
        binary=binary,
        reading="lenient",
        applies="choice",
        value=_never,
    )


def _never(sample: Sample, answer: Answer) -> float:
    del sample, answer
    raise ValueError("an imported metric cannot be computed here")


def read_scores(out: OutDir) -> pd.DataFrame:
    """All columns of scores.parquet, those that the file lacks empty.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    if not out.scores.exists():
        allowed = "missing: give an out directory of a finished run, or a folder made by `evalsuite import`"
        raise UserError(Fault(file=str(out.scores), key="", value="", allowed=allowed))
    try:
        scores = pd.read_parquet(out.scores)
    except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
        fault = Fault(file=str(out.scores), key="", value=type(error).__name__, allowed="a readable, undamaged Parquet file")
        raise UserError(fault) from None
    absent = [name for name in (*NEEDED_COLUMNS, "content_hash") if name not in scores.columns]
    if absent:
        raise UserError(Fault(file=str(out.scores), key="", value=", ".join(absent), allowed="columns are missing: it holds no scores"))
    return scores.reindex(columns=SCORES_SCHEMA.names)  # columns that were added later are empty in older files


def _manifest(out: OutDir) -> dict[str, Any]:
    try:
        content = json.loads(out.manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        fault = Fault(file=str(out.manifest), key="", value="", allowed="missing or damaged: without it nobody knows what the scores are")
        raise UserError(fault) from None
    return content if isinstance(content, dict) else {}


def _directions(imported: Mapping[str, Any]) -> dict[tuple[str, str], bool | None]:
    return {(entry["task"], entry["metric"]): entry["higher_is_better"] for entry in imported["metrics"] if not entry["ours"]}


def _imported_facts(imported: Mapping[str, Any], model: str) -> dict[tuple[str, str], str]:
    """Facts of a model's runs; what is equal for all its tasks stands once."""
    own = [run for run in imported["runs"] if run["model"] == model]
    return {(run["task"], key): _text(value) for run in own for key, value in run["conditions"].items()}


def _own_facts(manifest: Mapping[str, Any], model: str) -> dict[tuple[str, str], str]:
    weights = manifest.get("weights", {}).get(model, {})
    conditions = manifest.get("conditions", {})
    facts = {"engine": weights.get("engine"), "dtype": weights.get("dtype"), "quantisation": weights.get("quantisation")}
    facts |= {f"{part}.{key}": value for part in ("decoding", "prompting") for key, value in conditions.get(part, {}).items()}
    return {("", key): _text(value) for key, value in facts.items()}


def _text(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
