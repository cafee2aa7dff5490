"""manifest.json: what ran where, and enough of the models to score and report again without them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evalsuite.conclude import Conclusion, analysis_hash
from evalsuite.config import SHOWN_ONLY, Study
from evalsuite.engines.base import EngineSettings, PrefixCache
from evalsuite.errors import Fault, UserError
from evalsuite.models import Checkpoint, ModelEntry
from evalsuite.out_dir import OutDir, write_json
from evalsuite.plan import Plan, PlannedModel
from evalsuite.refusals import refusals_of
from evalsuite.runner import ModelRun
from evalsuite.seals import Holdout


def analysis_part(plan: Plan, found: Conclusion) -> dict[str, Any]:
    """What a re-scoring replaces: the analysis, what was changed in it, and the counts."""
    return {
        "plan_hash": plan.digest,
        "analysis": dict(plan.statement),
        "analysis_hash": analysis_hash(plan),
        "analysis_changes": found.changes,
        "counts_by_status": found.counts,
        **({"refused": refused} if (refused := refusals_of(plan)) else {}),
        **({} if found.holdout is None else {"holdout": holdout_part(found.holdout)}),
    }


def holdout_part(holdout: Holdout) -> dict[str, Any]:
    """What is recorded of the sealed part."""
    return {
        "share": holdout.share,
        "unsealed": holdout.unsealed,
        "sealed": {name: {"n_samples": n_samples, "n_groups": n_groups} for name, (n_samples, n_groups) in holdout.sealed.items()},
        "opening": None if holdout.opening is None else asdict(holdout.opening),
        "changed": list(holdout.changed),
        "seen": list(holdout.seen),
    }


def write_manifest(plan: Plan, out: OutDir, found: Conclusion, runs: list[ModelRun], wall_s: float) -> None:
    """Write manifest.json of a finished run."""
    from importlib.metadata import version

    manifest = {
        "study": plan.study.study,
        "selection": plan.selection.as_json(),
        "seed": plan.study.seed,
        "evalsuite": version("evalsuite"),
        **found.environment,
        **analysis_part(plan, found),
        "study_file": plan.file.name,
        "conditions": conditions(plan.as_run()),
        "registry": {name: recorded_model(model) for name, model in {**plan.lenders, **plan.models}.items()},
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
                **({} if run.prefix_cache is None else {"prefix_cache": _prefix_cache(run.prefix_cache)}),
            }
            for run in runs
        },
    }
    write_json(out.manifest, manifest)


def _prefix_cache(found: PrefixCache) -> dict[str, Any]:
    """Counts of a run and their ratio, null where nothing was looked up."""
    return {**asdict(found), "hit_rate": None if found.hit_rate is None else round(found.hit_rate, 6)}


def read_manifest(out: OutDir) -> dict[str, Any]:
    """Content of manifest.json; UserError where there is none that can be used."""
    try:
        manifest = json.loads(out.manifest.read_text(encoding="utf-8"))
        selection: Mapping[str, Any] = manifest["selection"]
        manifest["registry"], manifest["conditions"], manifest["study_file"]
    except (OSError, ValueError, KeyError):
        fault = Fault(file=str(out.manifest), key="", value="", allowed="missing or damaged: give the out directory of a finished run")
        raise UserError(fault) from None
    lists = {key: tuple(value) if isinstance(value, list) else value for key, value in selection.items()}
    return {**manifest, "selection": lists}


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
    content = study.model_dump(mode="json", exclude={"analysis", "exclude", "data", "include_path", "pairs", "question", *SHOWN_ONLY})
    tasks = [{key: value for key, value in entry.items() if key != "metric"} for entry in content["tasks"]]
    return {**content, "tasks": tasks}
