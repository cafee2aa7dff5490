"""The sealed part of a plan: whether it may be opened, what its report stands on, and the ordinary run that it stands beside."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from evalsuite.data import content_hash
from evalsuite.errors import Fault, UserError
from evalsuite.manifest import conditions, read_manifest
from evalsuite.out_dir import UNSEALED, OutDir
from evalsuite.plan import Plan
from evalsuite.seals import (
    Holdout,
    Opening,
    Ran,
    Version,
    changes_since,
    note_opening,
    note_run,
    opening_of,
    openings_of,
    seen_before,
)

RESOLVED = ("name", "split", "limit", "metric")
"""Keys of a task of a study that stand in the statement, with their defaults filled in."""

WHERE_ONLY = ("device", "send_restricted_to")
"""Keys of `engine` that say where a model computes, not how."""


def version_of(plan: Plan) -> Version:
    """The study as opening its sealed part binds it; the same for the sealed part and for the rest."""
    return Version(
        study=plan.study.study,
        stated=_stated(conditions(plan.as_run()), plan.statement),
        models={name: _plain(asdict(model.identity)) for name, model in {**plan.lenders, **plan.models}.items()},
        tasks={
            name: _digest([sample.id, content_hash(sample)] for sample in task.data.samples if sample.group in task.sealed)
            for name, task in plan.tasks.items()
        },
    )


def check_seal(plan: Plan, out: OutDir, store: Path) -> None:
    """Refuse to open what was opened for another version of the study, and to mix both parts in one out directory.

    Args:
        plan: the study; nothing is checked where it has no sealed part.
        out: where its outputs would go.
        store: the store's folder.

    Raises:
        UserError: either of the two.
    """
    if plan.study.holdout is None:
        return
    if out.manifest.exists() and bool(read_manifest(out)["selection"].get("unseal")) != plan.selection.unseal:
        holds = "the part that is not sealed" if plan.selection.unseal else "an unsealed part"
        raise UserError(Fault(file=str(out.folder), key="--out", value="", allowed=f"holds the scores of {holds}; name another folder"))
    if not plan.selection.unseal:
        return
    openings = openings_of(store, plan.study.study)
    changed = changes_since(openings, version_of(plan))
    if changed:
        date, named = openings[0].date, ", ".join(changed)
        allowed = f"the sealed part was opened on {date} for another version of the study, so it is no longer unseen (changed: {named})"
        raise UserError(Fault(file=str(plan.file), key="--unseal", value="", allowed=allowed))


def open_seal(plan: Plan, store: Path) -> None:
    """Journal the opening where the run is one; the first one stays the one that counts."""
    if plan.selection.unseal:
        note_opening(store, version_of(plan))


def journal_run(plan: Plan, store: Path) -> None:
    """Journal that a report on a study with a sealed part is made."""
    if plan.study.holdout is not None:
        ran = Ran(study=plan.study.study, at=time.time(), plan=plan.digest, unsealed=plan.selection.unseal, seals=_seals(plan))
        note_run(store, ran)


def holdout_of(plan: Plan, out: OutDir, store: Path) -> Holdout | None:
    """The sealed part as the report of a plan sees it; None without one.

    The first opening is that of the store or, where the store knows of none, the one that the out directory's manifest recorded.

    Args:
        plan: the study.
        out: its out directory; the ordinary run is looked for beside it.
        store: the store's folder.
    """
    if plan.study.holdout is None:
        return None
    openings = openings_of(store, plan.study.study) or _recorded_openings(out)
    scores, absent = eyes_on_scores(plan, out) if plan.selection.unseal else (None, "")
    opening = openings[0] if openings else None
    return Holdout(
        share=plan.study.holdout,
        unsealed=plan.selection.unseal,
        sealed={name: task.n_sealed for name, task in plan.tasks.items()},
        opening=opening,
        changed=changes_since(openings, version_of(plan)),
        seen=seen_before(store, plan.study.study, _seals(plan), opening.at if opening else time.time()),
        eyes_on=scores,
        absent=absent,
    )


def eyes_on_scores(plan: Plan, out: OutDir) -> tuple[pd.DataFrame | None, str]:
    """Scores of the study's ordinary run, and why there are none where there are none.

    It is looked for beside the out directory under the same name without `-unsealed`, else under reports/. It counts if it was the same
    study, whole, with the same models on the same data.

    Args:
        plan: the study, unsealed.
        out: its out directory.
    """
    name = out.folder.name
    beside = out.folder.with_name(name.removesuffix(UNSEALED)) if name.endswith(UNSEALED) and name != UNSEALED else None
    ordinary = OutDir(beside or Path("reports") / plan.study.study)
    label = ordinary.folder.name
    if not ordinary.manifest.exists() or not ordinary.scores.exists():
        return None, f"no ordinary run of the study is in {label}"
    try:
        manifest = read_manifest(ordinary)
        differs = _differences(plan, manifest)
    except (UserError, KeyError, TypeError):
        return None, f"the manifest of the ordinary run in {label} cannot be read"
    if differs:
        return None, f"the ordinary run in {label} is not the rest of this one ({', '.join(differs)})"
    scores = pd.read_parquet(ordinary.scores)
    scores = scores[scores["model"].isin(list(plan.models)) & scores["task"].isin(list(plan.tasks))]
    if any(scores["group"].isin(list(task.sealed)).any() for task in plan.tasks.values()):
        return None, f"the ordinary run in {label} holds samples that are sealed"
    return scores.reset_index(drop=True), ""


def _differences(plan: Plan, manifest: Mapping[str, Any]) -> list[str]:
    """What makes an ordinary run another one than the rest of an unsealed plan."""
    then, now = _stated(manifest["conditions"], manifest["analysis"]), version_of(plan).stated
    differs = [key for key in sorted(then.keys() | now.keys()) if then.get(key) != now.get(key)]
    differs += [f"--{key}" for key in ("limit", "shard") if manifest["selection"].get(key) is not None]
    for name, model in plan.models.items():
        known = manifest["weights"].get(name)
        if known is not None and any(known[key] != value for key, value in asdict(model.identity).items()):
            differs.append(f"weights of {name}")
    for name, task in plan.tasks.items():
        read = manifest["data"].get(name)
        if read is not None and read["fingerprint"] != task.data.fingerprint:
            differs.append(f"data of {name}")
    return differs


def _stated(asked: Mapping[str, Any], statement: Mapping[str, Any]) -> dict[str, Any]:
    """Conditions and analysis as one; what a narrowed run spells out otherwise than a whole one stands in the statement."""
    kept = {key: value for key, value in asked.items() if key != "tasks"}
    further = {
        entry["name"]: {key: entry[key] for key in entry if key not in RESOLVED and entry[key] is not None} for entry in asked["tasks"]
    }
    kept["tasks_further"] = {name: entry for name, entry in further.items() if entry}
    kept["engine"] = {key: value for key, value in kept["engine"].items() if key not in WHERE_ONLY}
    stated: dict[str, Any] = _plain({**kept, **statement})
    return stated


def _seals(plan: Plan) -> dict[str, str]:
    """Task to a digest of its sealed groups."""
    return {name: _digest({sample.group for sample in task.data.samples} & task.sealed) for name, task in plan.tasks.items()}


def _recorded_openings(out: OutDir) -> list[Opening]:
    """The opening that an out directory's manifest tells of, if it tells of one."""
    try:
        entry = json.loads(out.manifest.read_text(encoding="utf-8"))["holdout"]["opening"]
        return [] if entry is None else [opening_of(entry)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _digest(parts: Any) -> str:
    return hashlib.sha256(orjson.dumps(sorted(parts))).hexdigest()


def _plain(content: Any) -> Any:
    """As JSON gives it back, so that it equals what was journalled."""
    return orjson.loads(orjson.dumps(content))
