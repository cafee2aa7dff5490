"""From lm-eval's files to a folder of scores that can be compared with any other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from evalsuite.errors import Fault, UserError
from evalsuite.interop.aggregations import LESS_IS_BETTER
from evalsuite.interop.lm_eval_files import (
    OURS,
    SAME,
    CheckedRow,
    CheckedTask,
    RunFile,
    check_task,
    find_runs,
    metric_name,
    printed,
    split_metric,
)
from evalsuite.interop.score_sets import IMPORTED, foreign_metric
from evalsuite.metrics import METRICS
from evalsuite.out_dir import OutDir, write_json
from evalsuite.outputs import SCORES_SCHEMA, TableWriter
from evalsuite.stats.tables import estimate_frame

LEVEL = 0.95
"""Level of the intervals behind our standard errors; it does not change them."""
SECRETS = ("key", "token", "secret", "password", "auth")


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What was imported."""

    out: Path
    """The folder of scores."""
    scores: pd.DataFrame = field(repr=False)
    """scores.parquet."""
    checked: tuple[Mapping[str, Any], ...]
    """Per model, task and metric: lm-eval's value and standard error beside ours."""
    notes: tuple[str, ...]
    """What was left out, and runs that newer ones replaced."""


def import_lm_eval(folder: str | Path, out: str | Path, *, name: str | None = None, run: str | None = None) -> Imported:
    """Import what lm-eval 0.4.x wrote with `--log_samples`; nothing at all if anything is wrong with it.

    Of several runs of a task with as many exemplars the newest counts. A row's content hash is `lm_eval:<doc_hash>`, so that
    answers of two imports pair by what lm-eval asked, and its group is the same: a row that the data hold twice is one group.
    Texts stay in lm-eval's files. What our own export wrote comes back as it was.

    Args:
        folder: lm-eval's output path, or a model's folder in it.
        out: where to write scores.parquet and manifest.json.
        name: another name for the model; only where the folder holds one.
        run: start of the time stamp of the runs that count, e.g. 2026-05-01; None: all.

    Raises:
        UserError: every fault of every file together.
    """
    chosen, notes = choose_runs(find_runs(Path(folder)), run, str(folder))
    names = _names(chosen, name, str(folder))
    checked: list[CheckedTask] = []
    faults: list[Fault] = []
    for one, task in chosen:
        try:
            checked.append(check_task(one, task))
        except UserError as error:
            faults.extend(error.faults)
    if faults:
        raise UserError(faults)
    rows = [row for task in checked for row in _rows(task, names[task.run.path])]
    if not rows:
        allowed = "no metric in it has a value per sample: " + "; ".join(line for task in checked for line in task.left_out)
        raise UserError(Fault(file=str(folder), key="", value="", allowed=allowed))
    frame = pd.DataFrame(rows, columns=SCORES_SCHEMA.names)
    compared = _beside(checked, names, frame)
    directory = OutDir(Path(out))
    if directory.plan.exists() or directory.study.exists():
        raise UserError(Fault(file=str(out), key="--out", value="", allowed="holds a study of its own; name another folder"))
    directory.make()
    with TableWriter(directory.scores, SCORES_SCHEMA) as table:
        for row in rows:
            table.add(row)
    notes += dict.fromkeys(line for task in checked for line in task.left_out)
    write_json(directory.manifest, _manifest(checked, names, compared, notes))
    return Imported(out=Path(out), scores=pd.read_parquet(directory.scores), checked=tuple(compared), notes=tuple(notes))


def choose_runs(runs: Sequence[RunFile], wanted: str | None, where: str) -> tuple[list[tuple[RunFile, str]], list[str]]:
    """The newest run of each model, task and number of exemplars; and a line per older one.

    Raises:
        UserError: no run has that time stamp, or two models would have one name.
    """
    matching = [run for run in runs if wanted is None or run.date.startswith(wanted)]
    if not matching:
        times = ", ".join(sorted({run.date for run in runs}))
        raise UserError(Fault(file=where, key="--run", value=str(wanted), allowed=f"start of one of: {times}"))
    spelled: dict[str, set[str]] = {}
    for run in matching:
        spelled.setdefault(run.model, set()).add(str(run.content.get("model_name")))
    faults = [
        Fault(file=where, key="model", value=label, allowed=f"{len(names)} models have this name: import them one by one")
        for label, names in spelled.items()
        if len(names) > 1
    ]
    if faults:
        raise UserError(faults)
    newest: dict[tuple[str, str, str], RunFile] = {}
    notes = []
    for run in matching:
        for task in run.tasks:
            key = (run.model, task, strategy_name(run, task))
            if key in newest:
                notes.append(f"{run.model}, {task}: the run of {newest[key].date} is older and left out; --run names another")
            newest[key] = run
    return [(run, task) for (_, task, _), run in sorted(newest.items())], notes


def strategy_name(run: RunFile, task: str) -> str:
    """`zero_shot`, or `few_shot_<n>`."""
    n_shots = run.content.get("n-shot", {}).get(task, 0) or 0
    return f"few_shot_{n_shots}" if n_shots else "zero_shot"


def import_lines(done: Imported) -> list[str]:
    """What was imported, as lines for a terminal: lm-eval's value and standard error beside ours."""
    heads = ("model", "task", "strategy", "metric", "n", "groups", "lm-eval", "its stderr", "mean", "our stderr")
    rows: list[tuple[str, ...]] = [heads]
    for entry in done.checked:
        numbers = [entry["lm_eval"], entry["lm_eval_stderr"], entry["mean"], entry["se"]]
        texts = ["-" if number is None else f"{number:.4f}" if abs(number) < 1e6 else f"{number:.4g}" for number in numbers]
        rows.append((*(str(entry[key]) for key in ("model", "task", "strategy", "metric", "n_samples", "n_groups")), *texts))
    widths = [max(len(row[at]) for row in rows) for at in range(len(heads))]
    lines = []
    for row in rows:
        texts = [text.ljust(widths[at]) if at < 4 else text.rjust(widths[at]) for at, text in enumerate(row)]
        lines.append("  ".join(texts).rstrip())
    return [*lines, *(f"note: {note}" for note in done.notes), str(done.out)]


def _names(chosen: Sequence[tuple[RunFile, str]], name: str | None, where: str) -> dict[Path, str]:
    """Results file to model name."""
    own = {run.path: _own(run).get("model", run.model) for run, _ in chosen}
    if name is None:
        return own
    if len(set(own.values())) > 1:
        allowed = f"one model; the folder holds {', '.join(sorted(set(own.values())))}: import them one by one"
        raise UserError(Fault(file=where, key="--name", value=name, allowed=allowed))
    return dict.fromkeys(own, name)


def _own(run: RunFile) -> Mapping[str, Any]:
    """What our export wrote into a results file; empty for lm-eval's own."""
    entry = run.content.get(OURS)
    return entry if isinstance(entry, dict) else {}


def task_name(task: CheckedTask) -> str:
    """Name of a task here: `lm_eval:<task>`, or what it was called when we exported it."""
    own = _own(task.run)
    return str(own["tasks"][task.task]["task"]) if own else f"lm_eval:{task.task}"


def _rows(task: CheckedTask, model: str) -> Iterator[dict[str, Any]]:
    if _own(task.run):
        for row in task.rows:
            yield from _returned(task, row, model)
        return
    merged: dict[tuple[int, str], dict[str, Any]] = {}
    for row in task.rows:
        base = _foreign(task, row, model)
        for name, item in row.items.items():
            if (name, row.filter) in task.kept:
                metric, value = metric_name(name, row.filter), task.values[name, row.filter][row.number]
                listed = json.dumps(item) if isinstance(item, list) else None
                merged[row.row["doc_id"], metric] = {**base, "metric": metric, "value": value, "status": "scored", "item": listed}
    yield from (merged[key] for key in sorted(merged))


def _foreign(task: CheckedTask, row: CheckedRow, model: str) -> dict[str, Any]:
    """Columns of a row of lm-eval's; no texts, and the target only as a number or a hash."""
    digest = f"lm_eval:{row.row['doc_hash']}"
    target = str(row.row.get("target", ""))
    arguments = row.row.get("arguments")
    return {
        **dict.fromkeys(SCORES_SCHEMA.names),
        "study": "lm_eval",
        "model": model,
        "task": task_name(task),
        "strategy": strategy_name(task.run, task.task),
        "perturbation": "none",
        "variant": 0,
        "replicate": 0,
        "sample_id": str(row.row["doc_id"]),
        "group": digest,
        "content_hash": digest,
        "target": target if target.isdigit() else f"sha256:{row.row['target_hash'][:16]}",
        "n_calls": len(arguments) if isinstance(arguments, dict | list) else None,
        "tags": [],
    }


def _returned(task: CheckedTask, row: CheckedRow, model: str) -> Iterator[dict[str, Any]]:
    """Rows that we exported, as they were."""
    own = row.row[OURS]
    for metric, columns in own["metrics"].items():
        value = task.values[split_metric(metric)][row.number] if columns["status"] == "scored" else None
        yield {**dict.fromkeys(SCORES_SCHEMA.names), **own["columns"], "model": model, "metric": metric, "value": value, **columns}


def _beside(checked: Sequence[CheckedTask], names: Mapping[Path, str], scores: pd.DataFrame) -> list[dict[str, Any]]:
    """lm-eval's value and standard error beside ours; a set metric that we exported is computed again.

    Raises:
        UserError: it is not what results.json says.
    """
    rules = {task.run.path: _own(task.run).get("missing", "incorrect") for task in checked}
    found: list[dict[str, Any]] = []
    for task in checked:
        strategy, perturbation = _cell(task)
        here = scores[(scores["model"] == names[task.run.path]) & (scores["task"] == task_name(task))]
        here = here[(here["strategy"] == strategy) & (here["perturbation"] == perturbation)]
        metrics = {name: METRICS[name] if is_ours(task, name) else _record(name) for name in set(here["metric"])}
        estimates = estimate_frame(here, metrics, missing=rules[task.run.path], exclude=(), level=LEVEL)
        for name, how in task.kept:
            own = estimates[estimates["metric"] == metric_name(name, how)].iloc[0]
            value = printed(task.run, task.task, name, how)
            if metrics[metric_name(name, how)].of_set is not None and not (value is not None and abs(own["mean"] - value) <= SAME):
                allowed = f"{value!r}, as {task.run.path.name} says; the two files are not of one run, or one was changed"
                place = str(task.run.samples(task.task))
                raise UserError(Fault(file=place, key=f"value of {name}", value=repr(float(own["mean"])), allowed=allowed))
            entry: dict[str, Any] = {"model": names[task.run.path], "task": task_name(task), "strategy": strategy}
            entry |= {"metric": metric_name(name, how), "n_samples": int(own["n_samples"]), "n_groups": int(own["n_groups"])}
            entry |= {"lm_eval": value, "lm_eval_stderr": printed(task.run, task.task, f"{name}_stderr", how)}
            found.append(entry | {key: None if pd.isna(own[key]) else float(own[key]) for key in ("mean", "se")})
    return found


def _cell(task: CheckedTask) -> tuple[str, str]:
    own = _own(task.run)
    if own:
        entry = own["tasks"][task.task]
        return str(entry["strategy"]), str(entry["perturbation"])
    return strategy_name(task.run, task.task), "none"


def _record(name: str) -> Any:
    return foreign_metric(name, higher_is_better=True, low=0.0, high=1.0, binary=False)


def is_ours(task: CheckedTask, metric: str) -> bool:
    """True for a metric that we know: our export wrote it, and it is not one of the task's own."""
    own = _own(task.run)
    return bool(own) and metric in METRICS and metric not in own["tasks"][task.task]["own_metrics"]


def _manifest(
    checked: Sequence[CheckedTask], names: Mapping[Path, str], compared: Sequence[Mapping[str, Any]], notes: Sequence[str]
) -> dict[str, Any]:
    metrics = {}
    for task in checked:
        better = task.run.content.get("higher_is_better", {}).get(task.task, {})
        for name, how in task.kept:
            key = (task_name(task), metric_name(name, how))
            direction = False if task.kept[name, how] in LESS_IS_BETTER else better.get(name)
            metrics[key] = {"task": key[0], "metric": key[1], "higher_is_better": direction, "ours": is_ours(task, key[1])}
    return {
        "evalsuite": version("evalsuite"),
        IMPORTED: {
            "from": "lm_eval",
            "runs": [_run_entry(task, names[task.run.path]) for task in checked],
            "metrics": [metrics[key] for key in sorted(metrics)],
            "checked": list(compared),
            "notes": list(notes),
        },
    }


def _run_entry(task: CheckedTask, model: str) -> dict[str, Any]:
    """Where the scores of a task came from, and how the answers came about."""
    content = task.run.content
    config = content.get("config", {})
    conditions = {
        "task version": content.get("versions", {}).get(task.task),
        "engine": config.get("model"),
        "dtype": str(config["model_dtype"]).removeprefix("torch.") if config.get("model_dtype") else None,
        "chat template": (content.get("chat_template_sha") or "")[:12] or None,
        "system instruction": (content.get("system_instruction_sha") or "")[:12] or None,
        "shots as turns": content.get("fewshot_as_multiturn"),
        "limit": config.get("limit"),
        "gen_kwargs": config.get("gen_kwargs") or None,
        "shot seed": config.get("fewshot_seed"),
        "lm_eval": content.get("lm_eval_version"),
        "transformers": content.get("transformers_version"),
    }
    strategy, _ = _cell(task)
    return {
        "model": model,
        "task": task_name(task),
        "strategy": strategy,
        "n_shots": content.get("n-shot", {}).get(task.task),
        "conditions": conditions,
        "results": task.run.path.name,
        "results_sha256": hashlib.sha256(task.run.path.read_bytes()).hexdigest(),
        "samples": task.run.samples(task.task).name,
        "samples_sha256": task.sha256,
        "model_name": content.get("model_name"),
        "model_args": _public(config.get("model_args")),
        "model_revision": config.get("model_revision"),
        "model_sha": config.get("model_sha"),
        "batch_size": config.get("batch_size"),
        "git_hash": content.get("git_hash"),
        "date": content.get("date"),
        "task_hash": content.get("task_hashes", {}).get(task.task),
        "n_samples": content["n-samples"][task.task],
        "chat_template_sha": content.get("chat_template_sha"),
    }


def _public(arguments: object) -> Any:
    """Model arguments without what is secret in them."""
    if isinstance(arguments, Mapping):
        return {key: "(left out)" if any(part in str(key).lower() for part in SECRETS) else value for key, value in arguments.items()}
    if isinstance(arguments, str):
        parts = (part for part in arguments.split(",") if not any(word in part.partition("=")[0].lower() for word in SECRETS))
        return ",".join(parts)
    return None
