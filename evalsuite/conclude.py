"""From the scores of an out directory to estimates, comparisons, verdicts and the report; no model, no engine."""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pandas as pd
import pyarrow.parquet as pq

from evalsuite.cards import Task, metrics_of
from evalsuite.foreign import Foreign, Group
from evalsuite.outputs import OutDir
from evalsuite.plan import Plan
from evalsuite.prompts import pair_difference
from evalsuite.report import Findings, build, write_report
from evalsuite.stats.analyses import Analyses, Labels, analyse
from evalsuite.stats.compare import AnalysisDesign, compare_frames
from evalsuite.stats.tables import estimate_frame
from evalsuite.store import Store, engine_notes
from evalsuite.types import Prompt, Tell

if TYPE_CHECKING:
    from evalsuite.metrics.base import Metric

LIBRARIES = ("torch", "transformers", "tokenizers", "datasets", "numpy", "scipy", "pandas", "pyarrow", "rouge-score")
"""Libraries whose version can change a number."""


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What was found."""

    scores: pd.DataFrame
    """scores.parquet."""
    estimates: pd.DataFrame
    """One row per model and condition."""
    comparisons: pd.DataFrame
    """comparisons.csv."""
    analyses: Analyses
    """Further analyses."""
    counts: Mapping[str, int]
    """Scores by status."""
    changes: Sequence[Mapping[str, Any]]
    """What was changed in the analysis after it was stated."""
    environment: Mapping[str, Any]
    """Hardware, versions, weights and data, for manifest and report."""
    lines: tuple[str, ...]
    """Verdicts for a terminal."""


def conclude(
    plan: Plan, out: OutDir, store: Store, changes: Sequence[Mapping[str, Any]], tell: Tell, versions: Mapping[str, str] | None = None
) -> Conclusion:
    """Estimate, compare and report what scores.parquet holds; writes comparisons.csv and the report.

    Args:
        plan: the study.
        out: its out directory, with plan.parquet and scores.parquet.
        store: says on what the answers were computed.
        changes: what was changed in the analysis since it was stated; any makes every result exploratory.
        tell: told of progress.
        versions: of the libraries when the study ran; None: those of now.
    """
    scores = pd.read_parquet(out.scores)
    metrics = {name: metric for task in plan.tasks.values() for name, metric in metrics_of(task.task).items()}
    design = design_of(plan, metrics, exploratory=bool(changes))
    comparisons = compare_frames(scores, design, tell)
    comparisons.to_csv(out.comparisons, index=False, lineterminator="\n")
    level = 1 - design.alpha
    estimates = estimate_frame(scores, metrics, missing=design.missing, exclude=design.exclude, level=level)
    estimates["role"] = [_role(design, *row) for row in estimates[["task", "metric", "strategy", "perturbation"]].itertuples(index=False)]
    conclusion = Conclusion(
        scores=scores,
        estimates=estimates,
        comparisons=comparisons,
        analyses=analyse(scores, comparisons, design, labels_of(plan), tell),
        counts=counts_by_status(scores, {name: task.metric for name, task in plan.tasks.items()}),
        changes=changes,
        environment=environment_of(plan, store, versions),
        lines=verdict_lines(plan, comparisons, changes),
    )
    write_report(build(findings_of(plan, out, conclusion, metrics)), out.folder, tell)
    own = own_aggregates(plan, scores)
    if len(own):
        own.to_csv(out.own_aggregates, index=False, lineterminator="\n")
    return conclusion


def own_aggregates(plan: Plan, scores: pd.DataFrame) -> pd.DataFrame:
    """What the frameworks of foreign tasks would print: their own aggregation over the answers that there are.

    Statistics never use it: an aggregate such as the correlation of a whole set has no value of one sample. Answers that are missing
    (`n_missing`) are left out, as they are where the framework itself would have failed.
    """
    rows: list[dict[str, Any]] = []
    cells = ["model", "task", "strategy", "perturbation", "replicate", "metric"]
    own = scores[scores["task"].isin([name for name, task in plan.tasks.items() if task.task.foreign])]
    sizes = dict(own.groupby(cells).size().items())
    for values, part in own[own["item"].notna()].groupby(cells, sort=False):
        cell: dict[str, Any] = dict(zip(cells, values, strict=True))
        foreign = plan.tasks[cell["task"]].task.foreign
        if foreign is not None:
            n_all = sizes[values]
            value = _aggregated(foreign, cell["metric"], [json.loads(item) for item in part["item"]])
            rows.append({**cell, "value": value, "n_samples": len(part), "n_missing": n_all - len(part)})
    groups = {group.name: group for task in plan.tasks.values() if task.task.foreign for group in task.task.foreign.groups}
    for group in groups.values():
        rows.extend(_group_rows(group, rows))
    return pd.DataFrame(rows, columns=[*cells, "value", "n_samples", "n_missing"])


def _aggregated(foreign: Foreign, metric: str, items: Sequence[Any]) -> float:
    """The task's own aggregation; NaN where its code raises on what there is."""
    try:
        return foreign.aggregate(metric, items)
    except Exception:  # noqa: BLE001 - anybody's code, over answers that its author did not expect; the statistics do not depend on it
        return math.nan


def _group_rows(group: Group, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A group's own means over its tasks, weighted by samples or not, as its configuration says."""
    parts: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["task"] in group.tasks and row["metric"] in group.metrics:
            key = (row["model"], row["strategy"], row["perturbation"], row["replicate"], row["metric"])
            parts.setdefault(key, []).append(row)
    made = []
    for members in parts.values():
        weights = [row["n_samples"] if group.metrics[row["metric"]] else 1 for row in members]
        value = sum(weight * row["value"] for weight, row in zip(weights, members, strict=True)) / sum(weights)
        if {row["task"] for row in members} != set(group.tasks) or any(row["n_missing"] for row in members):
            value = math.nan  # the mean of a part is not the group's
        counts = {key: sum(row[key] for row in members) for key in ("n_samples", "n_missing")}
        made.append({**members[0], "task": group.name, "value": value, **counts})
    return made


def design_of(plan: Plan, metrics: Mapping[str, Metric], *, exploratory: bool) -> AnalysisDesign:
    """The analysis with every name resolved."""
    analysis = plan.study.analysis
    return AnalysisDesign(
        study=plan.study.study,
        pairs=plan.pairs,
        primary_strategy=plan.primary_strategy,
        primary_perturbation=analysis.primary.perturbation,
        primary_metric={name: task.metric for name, task in plan.tasks.items()},
        metrics=metrics,
        alpha=analysis.alpha,
        margin=analysis.margin,
        correction=analysis.correction,
        missing=analysis.missing,
        n_resamples=analysis.n_resamples,
        seed=plan.study.seed,
        exclude=plan.study.exclude,
        n_family=plan.n_family,
        tags={name: {s.id: s.tags for s in task.samples if s.tags} for name, task in plan.tasks.items()},
        exploratory=exploratory,
    )


def labels_of(plan: Plan) -> Labels:
    """Languages, families and models of a plan."""
    cards = {name: task.task.card for name, task in plan.tasks.items()}
    return Labels(
        languages={name: card.language for name, card in cards.items()},
        families={name: card.family or name for name, card in cards.items()},
        chances={name: card.chance if card.metric == plan.tasks[name].metric else None for name, card in cards.items()},
        models={
            name: {
                key: getattr(model.entry, key) for key in ("domain", "base", "parameters_b", "languages", "trained_on", "knowledge_cutoff")
            }
            for name, model in plan.models.items()
        },
    )


def _role(design: AnalysisDesign, task: str, metric: str, strategy: str, perturbation: str) -> str:
    primary = (
        not design.exploratory
        and design.primary_metric.get(task) == metric
        and (strategy, perturbation) == (design.primary_strategy, design.primary_perturbation)
    )
    return "primary" if primary else "exploratory"


def counts_by_status(scores: pd.DataFrame, metrics: Mapping[str, str]) -> dict[str, int]:
    """Answers by status, each answer once: by the metric that its task is compared on."""
    own = scores[scores["metric"] == scores["task"].map(metrics)]
    return {str(status): int(n) for status, n in own["status"].value_counts().sort_index().items()}


def _versions(plan: Plan) -> dict[str, str]:
    own = ("lm_eval",) if any(task.task.foreign for task in plan.tasks.values()) else ()
    return {"python": platform.python_version(), **{name: version(name) for name in (*LIBRARIES, *own)}}


def environment_of(plan: Plan, store: Store, versions: Mapping[str, str] | None) -> dict[str, Any]:
    """On what the answers were computed and from what; the same whoever asks, as long as the store is the same."""
    return {
        "versions": dict(sorted((versions or _versions(plan)).items())),
        "engines": {name: engine_notes(store.folder, model.identity) for name, model in plan.models.items()},
        "weights": {
            name: {
                "fingerprint": model.checkpoint.fingerprint,
                "repo": model.checkpoint.repo,
                "revision": model.checkpoint.revision,
                "pinned": model.checkpoint.pinned,
                "engine": model.settings.name,
                "dtype": model.settings.dtype,
                "quantisation": model.settings.quantisation,
            }
            for name, model in plan.models.items()
        },
        "data": {
            name: {
                "split": task.split,
                "fingerprint": task.data.fingerprint,
                "n_read": len(task.data.samples),
                "n_samples": len(task.samples),
                "n_left_out_by_card": len(task.data.excluded),
                "revision": task.task.card.revision,
                **_own_metrics(task.task),
            }
            for name, task in plan.tasks.items()
        },
    }


def _own_metrics(task: Task) -> dict[str, Any]:
    """What statistics must know of a task's own metrics, for those who read the scores without it; bounds are null where there are none."""
    if not task.metrics:
        return {}
    described = {}
    for name, metric in sorted(task.metrics.items()):
        low, high = (bound if math.isfinite(bound) else None for bound in sorted((metric.worst, metric.best)))
        described[name] = {"higher_is_better": metric.higher_is_better, "low": low, "high": high, "binary": metric.binary}
    return {"own_metrics": described, **({"own_configuration": task.foreign.configuration} if task.foreign else {})}


def findings_of(plan: Plan, out: OutDir, conclusion: Conclusion, metrics: Mapping[str, Metric]) -> Findings:
    """Everything the report is made from; nothing in it differs between an undisturbed run and a resumed one."""
    prompts = first_prompts(plan, out)
    return Findings(
        study=plan.study,
        models={name: _model_facts(plan, name) for name in plan.models},
        scores=conclusion.scores,
        estimates=conclusion.estimates,
        comparisons=conclusion.comparisons,
        analyses=conclusion.analyses,
        labels=labels_of(plan),
        cards={name: task.task.card for name, task in plan.tasks.items()},
        prompts=prompts,
        prompt_differences=prompt_differences(plan, prompts),
        manifest=_report_manifest(plan, conclusion),
        command=command_of(plan),
        metrics=metrics,
        selection={
            **{key: value for key, value in asdict(plan.selection).items() if value is not None},
            "n_family": plan.n_family,
        },
        excluded={name: task.excluded for name, task in plan.tasks.items() if task.excluded},
    )


def command_of(plan: Plan) -> str:
    """The command that makes this report, with everything that narrowed the study."""
    chosen = plan.selection
    parts = ["evalsuite run", plan.file.name]
    parts += [f"--models {','.join(chosen.models)}"] if chosen.models else []
    parts += [f"--tasks {','.join(chosen.tasks)}"] if chosen.tasks else []
    parts += [f"--limit {chosen.limit}"] if chosen.limit else []
    parts += [f"--engine {chosen.engine}"] if chosen.engine else []
    return " ".join(parts)


def _report_manifest(plan: Plan, conclusion: Conclusion) -> dict[str, Any]:
    """The lines about engine, machine and data that the report shows; seconds and counts of requests stay in manifest.json."""
    environment = conclusion.environment
    data = environment["data"].items()
    return {
        "engine": {name: f"{weights['engine']} {weights['dtype']}" for name, weights in environment["weights"].items()},
        "hardware": {
            name: "; ".join(line for note in notes for line in (note["device"], *note.get("notes", ())))
            for name, notes in environment["engines"].items()
        },
        "versions": environment["versions"],
        "data": {
            name: f"{facts['split']}: {facts['n_samples']} of {facts['n_read']} samples,"
            f" {facts['n_left_out_by_card']} rows left out, {facts['fingerprint'][:12]}"
            for name, facts in data
        },
        "seeds": {"study": plan.study.seed},
        "plan_hash": plan.digest(),
        "analysis_hash": analysis_hash(plan),
        "analysis_changes": list(conclusion.changes),
    }


def analysis_hash(plan: Plan) -> str:
    """sha256 of the pre-stated analysis."""
    return hashlib.sha256(orjson.dumps(dict(plan.statement), option=orjson.OPT_SORT_KEYS)).hexdigest()


def _model_facts(plan: Plan, name: str) -> dict[str, Any]:
    model = plan.models[name]
    entry = model.entry
    path = entry.path or ""
    # A folder of this machine is nobody else's business, and would make reports differ between machines.
    label = path.partition("?")[0] if path.startswith(("package:", "stub:")) else Path(path).name
    return {
        "domain": entry.domain,
        "base": entry.base,
        "repo": model.checkpoint.served or entry.repo or label,
        # A folder is pinned by what it holds.
        "revision": model.checkpoint.revision or (None if entry.repo or model.checkpoint.served else "by contents"),
        "pinned": model.checkpoint.pinned,
        "fingerprint": model.checkpoint.fingerprint,
        "parameters_b": entry.parameters_b,
        "licence": entry.licence,
        "note": entry.note,
    }


def first_prompts(plan: Plan, out: OutDir) -> dict[tuple[str, str], dict[str, str | None]]:
    """(task, strategy) to model to the prompt of the task's first sample as sent; None where the task is restricted."""
    table = pq.read_table(
        out.plan,
        columns=["task", "strategy", "model", "prompt"],
        filters=[
            ("perturbation", "==", plan.study.analysis.primary.perturbation),
            ("sample_id", "in", [task.samples[0].id for task in plan.tasks.values() if task.samples]),
        ],
    )
    prompts: dict[tuple[str, str], dict[str, str | None]] = {}
    for row in table.to_pylist():
        if row["prompt"] is None and not plan.tasks[row["task"]].task.card.restricted:
            continue  # the perturbation refused this sample, so nothing was sent
        prompts.setdefault((row["task"], row["strategy"]), {}).setdefault(row["model"], row["prompt"])
    return prompts


def prompt_differences(plan: Plan, prompts: Mapping[tuple[str, str], Mapping[str, str | None]]) -> dict[tuple[tuple[str, str], str], str]:
    """What differs between the prompts that a pair was sent in the primary cell."""
    differences = {}
    for a, b in plan.pairs:
        for task in plan.tasks:
            texts = prompts.get((task, plan.primary_strategy), {})
            text_a, text_b = texts.get(a), texts.get(b)
            if text_a is not None and text_b is not None:
                sent = [Prompt(token_ids=(), text=text) for text in (text_a, text_b)]
                differences[(a, b), task] = pair_difference(sent[0], sent[1], names=(a, b))
    return differences


def verdict_lines(plan: Plan, comparisons: pd.DataFrame, changes: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The comparisons of the primary cell as lines for a terminal, with what is missing on either side."""
    head = "analysis changed since it was stated, so everything is exploratory: "
    lines = [f"{head}{change['key']}: {change['old']} -> {change['new']}" for change in changes]
    metrics = {name: task.metric for name, task in plan.tasks.items()}
    in_cell = (
        (comparisons["strategy"] == plan.primary_strategy)
        & (comparisons["perturbation"] == plan.study.analysis.primary.perturbation)
        & (comparisons["metric"] == comparisons["task"].map(metrics))
        & (comparisons["subset"] == "all")
    )
    if not in_cell.any():
        return (*lines, "no pair of models, so nothing was compared")
    compared = {name: metrics_of(task.task)[task.metric] for name, task in plan.tasks.items()}
    rows = comparisons[in_cell].to_dict("records")
    return (*lines, *(_verdict_line(row, {compared[row["task"]].worst, compared[row["task"]].best} == {0.0, 1.0}) for row in rows))


def _verdict_line(row: Mapping[Any, Any], share: bool) -> str:
    """One comparison; `share`: the metric runs between 0 and 1."""
    name = f"{row['model_a']} - {row['model_b']}, {row['task']}, {row['metric']}"
    notes = [str(row["status_note"])] if row["status_note"] else []
    notes += [
        f"{row[key]} answers of {row[f'model_{side}']} missing" for side, key in (("a", "n_a_missing"), ("b", "n_b_missing")) if row[key]
    ]
    noted = f" ({'; '.join(notes)})" if notes else ""
    if row["difference"] != row["difference"]:
        return f"{name}: {row['verdict']}{noted}"
    factor, unit, digits = (100, " points", 1) if share else (1, "", 3)
    low, high = (f"{factor * row[key]:+.{digits}f}" for key in ("ci_low", "ci_high"))
    interval = f"{100 * row['ci_level']:g}% interval {low} to {high}"
    return f"{name}: {factor * row['difference']:+.{digits}f}{unit}, {interval}, n = {row['n_samples']}: {row['verdict']}{noted}"
