"""The main job from end to end: resolve, run, score, compare, report; and the same again from files without a model."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from evalsuite.conclude import Conclusion, analysis_hash, conclude
from evalsuite.config import Study, load_study, study_as_yaml
from evalsuite.data import content_hash
from evalsuite.engines.base import EngineSettings
from evalsuite.errors import Fault, UserError
from evalsuite.interop.pairing import PairingDesign, compare_sets
from evalsuite.models import Checkpoint, ModelEntry
from evalsuite.outputs import (
    PLAN_SCHEMA,
    SCORES_SCHEMA,
    OutDir,
    TableWriter,
    plan_row,
    recorded_contents,
    recorded_keys,
    refused_plan_rows,
    write_json,
    write_text,
)
from evalsuite.plan import Item, Plan, PlannedModel, Refused, Selection, statement_changes
from evalsuite.preview import probe
from evalsuite.resolve import resolve
from evalsuite.runner import ModelRun, Watch, run_plan
from evalsuite.scoring import Recorded, recall, refused_rows, score_rows
from evalsuite.store import Store, analysis_statements, state_analysis
from evalsuite.types import Answer, Tell, untold
from evalsuite.waves import Finished

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run or re-scoring left behind."""

    out: Path
    """The out directory."""
    scores: pd.DataFrame | None
    """scores.parquet; None for a shard, which fills the store only."""
    comparisons: pd.DataFrame | None
    """comparisons.csv; None likewise."""
    n_failed: int
    """Scores whose status is `failed`."""
    summary: tuple[str, ...]
    """Lines for a terminal, the report's path last."""
    runs: tuple[ModelRun, ...] = field(default=())
    """What was asked, per model; empty for a re-scoring."""


def run_study(
    file: str | Path,
    selection: Selection | None = None,
    *,
    store: str | Path = ".evalsuite/store",
    out: str | Path | None = None,
    watch: Watch | None = None,
    tell: Tell = untold,
) -> Result:
    """Run a study file: ask what the store does not hold, then score, compare and report.

    Args:
        file: study.yaml.
        selection: what to narrow it to.
        store: the store's folder.
        out: out directory; None: reports/<study name>.
        watch: told of progress in answering.
        tell: told of progress in everything else.

    Raises:
        UserError: anything is wrong with the study; nothing was loaded then.
    """
    started = time.perf_counter()
    plan = resolve(file, selection, tell=tell)
    probe(plan)
    directory = OutDir(Path(out) if out is not None else Path("reports") / plan.study.study)
    runs: list[ModelRun] = []
    with Store(Path(store)) as opened:

        def begin() -> None:
            state_analysis(opened.folder, plan.study.study, dict(plan.statement))

        finished = run_plan(plan, opened, watch or _unwatched, runs, begin)
        if plan.selection.shard is not None:
            n_failed = sum(item.result.reading.status == "failed" for item in finished)
            return Result(
                out=directory.folder, scores=None, comparisons=None, n_failed=n_failed, summary=_shard_lines(plan, runs), runs=tuple(runs)
            )
        directory.make()
        with TableWriter(directory.plan, PLAN_SCHEMA) as plan_table, TableWriter(directory.scores, SCORES_SCHEMA) as scores_table:
            for item in _with_refused(plan, finished, plan_table, scores_table):
                plan_table.add(plan_row(plan, item.name, item.first_prompt, item.keys))
                for row in score_rows(plan, item.name, item.result, item.keys):
                    scores_table.add(row)
        begin()  # where the store held everything, nothing was asked and nothing stated yet
        write_text(directory.study, study_as_yaml(_placed(plan.as_run(), directory)))
        write_json(
            directory.preparations, [{**asdict(name), "keys": list(keys)} for run in runs for name, keys in run.preparations.items()]
        )
        concluded = conclude(plan, directory, opened, _changes(plan, opened), tell)
        damage = _damage(opened)
    _write_manifest(plan, directory, concluded, runs, time.perf_counter() - started)
    return _result(directory, concluded, runs, damage)


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
    directory = OutDir(Path(out))
    keys = recorded_keys(directory)
    manifest = _read_manifest(directory)
    _check_conditions(directory, manifest)
    resolved = resolve(directory.study, Selection(**manifest["selection"]), recorded_models(manifest), tell)
    plan = replace(resolved, file=Path(manifest["study_file"]))  # the command is that of the run
    _check_contents(plan, directory)
    _check_foreign(plan, directory, manifest)
    with Store(Path(store)) as opened:
        _check_store(opened, keys)
        with TableWriter(directory.scores, SCORES_SCHEMA) as scores_table:
            for model in plan.models.values():
                for item in recall(plan, model, opened, keys):
                    for row in score_rows(plan, item.name, item.result, item.keys):
                        scores_table.add(row)
                for cell in plan.cells(model.name):
                    for row in refused_rows(plan, cell):
                        scores_table.add(row)
        state_analysis(opened.folder, plan.study.study, dict(plan.statement))
        concluded = conclude(plan, directory, opened, _changes(plan, opened), tell, manifest.get("versions"))
        damage = _damage(opened)
    manifest.update(_analysis_part(plan, concluded))
    write_json(directory.manifest, manifest)
    return _result(directory, concluded, [], damage)


def load_scores(out: str | Path) -> pd.DataFrame:
    """scores.parquet of an out directory as a frame; `value` is NaN unless the status is `scored`."""
    import pandas as pd

    path = OutDir(Path(out)).scores
    if not path.exists():
        raise UserError(Fault(file=str(path), key="", value="", allowed="missing: give the out directory of a finished run"))
    return pd.read_parquet(path)


def compare(out: str | Path, other: str | Path | None = None, design: PairingDesign | None = None) -> pd.DataFrame:
    """Comparisons as a frame: comparisons.csv of an out directory, or those of two sets of scores, wherever they came from.

    Args:
        out: an out directory; with `other` any folder of scores, and positive differences favour it.
        other: another folder of scores, or the same; None: comparisons.csv of `out`.
        design: with `other`, which models and metrics, and how they are compared.

    Raises:
        UserError: there is no such file, or the two cannot be compared (`interop.pairing.compare_sets`).
    """
    import pandas as pd

    if other is not None:
        return compare_sets(out, other, design).comparisons
    path = OutDir(Path(out)).comparisons
    if not path.exists():
        raise UserError(Fault(file=str(path), key="", value="", allowed="missing: give the out directory of a finished run"))
    return pd.read_csv(path)


def _with_refused(
    plan: Plan, finished: Iterable[Finished[Item, Answer]], plan_table: TableWriter, scores_table: TableWriter
) -> Iterator[Finished[Item, Answer]]:
    """What finished, with the rows of refused samples written behind each model's."""
    yield from finished
    for model in plan.models:
        for row in refused_plan_rows(plan, model):
            plan_table.add(row)
        for cell in plan.cells(model):
            for row in refused_rows(plan, cell):
                scores_table.add(row)


def _changes(plan: Plan, store: Store) -> list[dict[str, Any]]:
    """What was changed in the analysis since it was first stated in this store; empty if nothing was."""
    statements = analysis_statements(store.folder, plan.study.study)
    now = orjson.loads(orjson.dumps(dict(plan.statement)))
    made = next((statement.at for statement in statements if statement.analysis == now), time.time())
    return statement_changes(statements[0].analysis, now, made) if statements else []


def _unwatched(run: ModelRun) -> None:
    """Tell nobody."""
    del run


def _damage(store: Store) -> list[str]:
    """A line per journal line that could not be read; what it held is asked again."""
    return [f"warning: {store.folder}/{place}: damaged line, its answer was asked again" for place in store.stats().damaged]


def _shard_lines(plan: Plan, runs: Iterable[ModelRun]) -> tuple[str, ...]:
    number, n_parts = plan.selection.shard or (1, 1)
    lines = [f"shard {number}/{n_parts} of {plan.study.study} is in the store; run without --shard for scores and report"]
    lines += [f"{run.model}: {run.n_finished} samples, {run.n_asked} asked, {run.n_failed} failed" for run in runs]
    return (*lines, *spent_lines(runs))


def spent_lines(runs: Iterable[ModelRun]) -> list[str]:
    """A line per model that a server answered for: calls, tokens, and what they cost where a price is stated."""
    return [
        f"{run.model}: {spent.n_calls} calls ({spent.n_repeats} repeated), {spent.n_prompt_tokens} + {spent.n_output_tokens} tokens, "
        + ("no price stated" if spent.cost_usd is None else f"USD {spent.cost_usd:.2f}")
        for run in runs
        if (spent := run.spent) is not None
    ]


def _analysis_part(plan: Plan, concluded: Conclusion) -> dict[str, Any]:
    return {
        "plan_hash": plan.digest(),
        "analysis": dict(plan.statement),
        "analysis_hash": analysis_hash(plan),
        "analysis_changes": concluded.changes,
        "counts_by_status": concluded.counts,
    }


def _write_manifest(plan: Plan, out: OutDir, concluded: Conclusion, runs: list[ModelRun], wall_s: float) -> None:
    from importlib.metadata import version

    manifest = {
        "study": plan.study.study,
        "selection": asdict(plan.selection),
        "seed": plan.study.seed,
        "evalsuite": version("evalsuite"),
        **concluded.environment,
        **_analysis_part(plan, concluded),
        "study_file": plan.file.name,
        "conditions": conditions(plan.as_run()),
        "registry": {name: recorded_model(model) for name, model in plan.models.items()},
        "wall_s": round(wall_s, 3),
        "models": {
            run.model: {
                "n_items": run.n_items,
                "n_from_store": run.n_known,
                "n_asked": run.n_asked,
                "n_failed": run.n_failed,
                "n_prompt_tokens": run.n_prompt_tokens,
                "n_output_tokens": run.n_output_tokens,
                "load_s": round(run.load_s, 3),
                "engine_s": round(run.engine_s, 3),
                "wall_s": round(run.wall_s, 3),
                **({} if run.spent is None else {"spent": asdict(run.spent)}),
            }
            for run in runs
        },
    }
    write_json(out.manifest, manifest)


def recorded_model(model: PlannedModel) -> dict[str, Any]:
    """A model as it was when the study ran, JSON-ready, without folders of this machine."""
    path = model.entry.path or ""
    label = path if path.startswith(("package:", "stub:")) or not model.checkpoint.path else Path(model.checkpoint.path).name
    entry = model.entry.model_dump(mode="json")
    entry["chat"]["template"] = Path(entry["chat"]["template"]).name
    return {
        "entry": {**entry, "path": model.entry.path and label},
        "checkpoint": {**asdict(model.checkpoint), "path": label},
        "settings": {**asdict(model.settings), "options": dict(model.settings.options)},
    }


def recorded_models(manifest: Mapping[str, Any]) -> dict[str, PlannedModel]:
    """Inverse of `recorded_model` for all models of a manifest."""
    return {
        name: PlannedModel(
            name=name,
            entry=ModelEntry.model_validate(content["entry"]),
            checkpoint=Checkpoint(**{**content["checkpoint"], "files": tuple(content["checkpoint"]["files"])}),
            settings=EngineSettings(**content["settings"]),
        )
        for name, content in manifest["registry"].items()
    }


def conditions(study: Study) -> dict[str, Any]:
    """What decides what is asked: everything in the study but the analysis, its exclusions and where its data lie."""
    content = study.model_dump(mode="json", exclude={"analysis", "exclude", "data", "include_path", "pairs", "question"})
    tasks = [{key: value for key, value in entry.items() if key != "metric"} for entry in content["tasks"]]
    return {**content, "tasks": tasks}


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


def _placed(study: Study, out: OutDir) -> Study:
    """The study with its data paths relative to the out directory, where it is read again."""
    here = out.folder.resolve()
    places = {
        "data": {task: Path(os.path.relpath(path, here)) for task, path in study.data.items()},
        "include_path": tuple(Path(os.path.relpath(path, here)) for path in study.include_path),
    }
    return study.model_copy(update=places)


def _read_manifest(out: OutDir) -> dict[str, Any]:
    try:
        manifest = json.loads(out.manifest.read_text(encoding="utf-8"))
        selection: Mapping[str, Any] = manifest["selection"]
        manifest["registry"], manifest["conditions"], manifest["study_file"]
    except (OSError, ValueError, KeyError):
        fault = Fault(file=str(out.manifest), key="", value="", allowed="missing or damaged: give the out directory of a finished run")
        raise UserError(fault) from None
    lists = {key: tuple(value) if isinstance(value, list) else value for key, value in selection.items()}
    return {**manifest, "selection": lists}


def _result(out: OutDir, concluded: Conclusion, runs: list[ModelRun], damage: list[str]) -> Result:
    asked = sum(run.n_asked for run in runs)
    known = sum(run.n_known for run in runs)
    head = [f"{asked} requests asked, {known} answered from the store", *spent_lines(runs)] if runs else []
    missing = {status: n for status, n in concluded.counts.items() if status != "scored"}
    if missing:
        named = ", ".join(f"{n} {status}" for status, n in missing.items())
        head.append(f"{sum(missing.values())} of {sum(concluded.counts.values())} answers have no score ({named})")
    return Result(
        out=out.folder,
        scores=concluded.scores,
        comparisons=concluded.comparisons,
        n_failed=concluded.counts.get("failed", 0),
        summary=(*damage, *head, *concluded.lines, str(out.report)),
        runs=tuple(runs),
    )
