"""Scores, statistics and report again from files, without a model: what a changed margin, level, metric or reading would have said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from evalsuite.collection import give_freed_memory_back, seldom_collected
from evalsuite.conclude import conclude
from evalsuite.config import load_study
from evalsuite.data import content_hash
from evalsuite.errors import Fault, UserError
from evalsuite.manifest import analysis_part, conditions, read_manifest, recorded_models
from evalsuite.out_dir import OutDir, write_json
from evalsuite.outputs import SCORES_SCHEMA, TableWriter, recorded_contents, recorded_facts, recorded_keys
from evalsuite.plan import Plan, Refused, Selection
from evalsuite.report import rescored_table
from evalsuite.resolve import resolve
from evalsuite.results import Result, changes_of, damage_of, result_of
from evalsuite.scoring import Recorded, recall, refused_rows, score_rows
from evalsuite.store import Store, state_analysis
from evalsuite.types import Tell, untold
from evalsuite.unsealing import holdout_of

ANSWER = ("model", "task", "metric", "strategy", "perturbation", "variant", "replicate", "sample_id")
"""What names one answer's score."""


@seldom_collected()
def report_study(out: str | Path, *, store: str | Path = ".evalsuite/store", tell: Tell = untold) -> Result:
    """Scores, statistics and report again from an out directory and the store, without a model or tokenizer.

    Reads OUT_DIR/study.yaml, so that a changed margin, level or missing rule takes effect; requests are those that were
    recorded when the study ran.

    Args:
        out: the out directory of a finished run.
        store: the store that it ran on.
        tell: told of progress.

    Raises:
        UserError: the directory or the study in it is not in order.
    """
    directory, folder = OutDir(Path(out)), Path(store)
    keys, facts = recorded_keys(directory), recorded_facts(directory)
    manifest = read_manifest(directory)
    before = _before(directory, manifest)
    _check_conditions(directory, manifest)
    resolved = resolve(directory.study, Selection(**manifest["selection"]), recorded_models(manifest), tell)
    plan = replace(resolved, file=Path(manifest["study_file"]))  # the command is that of the run
    _check_contents(plan, directory)
    _check_foreign(plan, directory, manifest)
    with Store(folder) as opened:
        _check_store(opened, keys)
        with TableWriter(directory.scores, SCORES_SCHEMA) as scores_table:
            for model in plan.models.values():
                for item in recall(plan, model, opened, keys, facts):
                    for row in score_rows(plan, item.name, item.result, item.keys):
                        scores_table.add(row)
                for cell in plan.cells(model.name):
                    for row in refused_rows(plan, cell):
                        scores_table.add(row)
        damage = damage_of(opened)
    # As `study.run_study`: what recalled the answers is not kept beside the statistics.
    del keys, facts
    give_freed_memory_back()
    state_analysis(folder, plan.study.study, dict(plan.statement))
    sealed = holdout_of(plan, directory, folder)
    concluded = conclude(plan, directory, folder, changes_of(plan, folder), tell, manifest.get("versions"), sealed)
    manifest.update(analysis_part(plan, concluded.found))
    write_json(directory.manifest, manifest)
    result = result_of(plan, directory, concluded, [], damage)
    if before is None:
        return result
    notes = (*result.notes, *_read_anew(before.scores, concluded.found.scores))
    return replace(result, notes=notes, rescored=rescored_table(concluded.findings, before.comparisons, before.pooled))


@dataclass(frozen=True, kw_only=True)
class Before:
    """What the out directory held before it is scored again."""

    scores: pd.DataFrame
    """`ANSWER` columns, value and status of scores.parquet."""
    comparisons: pd.DataFrame
    """The comparisons of the primary cell as it was stated then."""
    pooled: pd.DataFrame
    """The means over tasks of then; none where they were not kept."""


def _before(out: OutDir, manifest: Mapping[str, Any]) -> Before | None:
    """What was said before; None where a file of it is gone."""
    if not out.scores.exists() or not out.comparisons.exists():
        return None
    stated = manifest["analysis"]
    frame = _read(out.comparisons)
    here = (
        (frame["strategy"] == stated["primary_strategy"]["id"])
        & (frame["perturbation"] == stated["primary_perturbation"]["id"])
        & (frame["metric"] == frame["task"].map(stated["metrics"]))
        & (frame["subset"] == "all")
    )
    pooled = _read(out.pooled) if out.pooled.exists() else pd.DataFrame()
    return Before(scores=pd.read_parquet(out.scores, columns=[*ANSWER, "value", "status"]), comparisons=frame[here], pooled=pooled)


def _read(file: Path) -> pd.DataFrame:
    """A table that an earlier report wrote; `none` and the like are names in it, not missing values."""
    return pd.read_csv(file, keep_default_na=False, na_values=[""])


def _read_anew(before: pd.DataFrame, now: pd.DataFrame) -> list[str]:
    """A line per model, task and metric of which the same answers have another score than before."""
    both = before.merge(now[[*ANSWER, "value", "status"]], on=list(ANSWER), suffixes=("_before", ""))
    no_value = both[["value", "value_before"]].isna().all(axis=1)
    same = (both["status"] == both["status_before"]) & ((both["value"] == both["value_before"]) | no_value)
    lines = []
    for (model, task, metric), part in both.assign(other=~same).groupby(["model", "task", "metric"], observed=True):
        if part["other"].any():
            counts = f"{int(part['other'].sum())} of {len(part)}"
            lines.append(f"{model} on {task}, {metric}: {counts} answers are read in another way than before")
    return lines


def _check_conditions(out: OutDir, manifest: Mapping[str, Any]) -> None:
    """Answers were given under the conditions of the run; a report under others would be about something nobody asked."""
    now = orjson.loads(orjson.dumps(conditions(load_study(out.study))))
    was = manifest["conditions"]
    allowed = "decides what is asked, and other answers would be needed: change it in your study file and run again"
    faults = [
        Fault(file=str(out.study), key=key, value="", allowed=allowed)
        for key in sorted(was.keys() | now.keys())
        if was.get(key) != now.get(key)
    ]
    if faults:
        raise UserError(faults)


def _check_contents(plan: Plan, out: OutDir) -> None:
    """The samples are those that were asked; else answers would be held against another question or key."""
    asked = recorded_contents(out)
    for task in plan.tasks:
        for perturbation in plan.perturbations:
            now = {
                (shown.id, shown.variant): content_hash(shown)
                for shown in plan.variants[task, perturbation]
                if not isinstance(shown, Refused)
            }
            n_other = sum(asked.get((task, perturbation, *name)) != digest for name, digest in now.items())
            if n_other:
                allowed = f"{n_other} of {len(now)} samples are not those that were asked: run the study again"
                raise UserError(Fault(file=str(out.folder), key=f"data of {task}, {perturbation}", value="", allowed=allowed))


def _check_foreign(plan: Plan, out: OutDir, manifest: Mapping[str, Any]) -> None:
    """The words, filters and metrics of foreign tasks are those of the run; they are executed again here."""
    for name, planned in plan.tasks.items():
        was = manifest.get("data", {}).get(name, {}).get("own_configuration")
        if planned.task.foreign is not None and was != planned.task.foreign.configuration:
            allowed = "its configuration, its code or the version of its framework is not that of the run: run the study again"
            raise UserError(Fault(file=str(out.folder), key=f"task {name}", value="", allowed=allowed))


def _check_store(store: Store, keys: Mapping[Recorded, Sequence[str]]) -> None:
    """A store that holds nothing of what was asked is the wrong one; nothing is written then."""
    wanted = [key for own in keys.values() for key in own]
    if wanted and not any(store.get(key) is not None or store.last_failure(key) is not None for key in wanted):
        allowed = "holds none of the answers of this study: give the store that it ran on"
        raise UserError(Fault(file=str(store.folder), key="--store", value="", allowed=allowed))
