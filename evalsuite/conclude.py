"""From the scores of an out directory to estimates, comparisons, verdicts and the report; no model, no engine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pandas as pd
import pyarrow.parquet as pq

from evalsuite import strategies
from evalsuite.cards import metrics_of
from evalsuite.collection import give_freed_memory_back
from evalsuite.config import PluginEntry
from evalsuite.environment import environment_of
from evalsuite.out_dir import OutDir, write_text
from evalsuite.outputs import analysed_scores, prompts_at
from evalsuite.overlap import repeats_lines
from evalsuite.own_aggregates import own_aggregates
from evalsuite.perturbations.base import PerturbationSpec
from evalsuite.perturbations.found import perturbation_specs
from evalsuite.plan import Plan, Refused
from evalsuite.plugins import load_specs
from evalsuite.prompts import pair_difference
from evalsuite.published.reproduce import measured_of, papers_of
from evalsuite.report import Findings, Table, build, model_card, verdict_table, write_report
from evalsuite.report.explorer_packing import N_ROWS
from evalsuite.report.explorer_tables import ANSWER_KEY, ExplorerData, explorer_data, with_prompts
from evalsuite.report.flip_examples import flip_examples
from evalsuite.seals import Holdout
from evalsuite.stats.analyses import Analyses, Labels, Spent, analyse
from evalsuite.stats.compare import compare_frames
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.eyes_off import EyesOff, eyes_off_frames
from evalsuite.stats.perturbed import Perturbed
from evalsuite.stats.tables import estimate_frame, split_conditions
from evalsuite.types import Prompt, Tell

if TYPE_CHECKING:
    from evalsuite.metrics.base import Metric

PREPARED_COLUMNS = ("model", "task", "strategy", "n_calls", "n_prompt_tokens", "n_output_tokens", "n_failed", "facts")
"""What is read of preparations.json."""
TIMED_COLUMNS = ("model", "task", "strategy", "stage", "n_asked", "engine_s")
"""What is read of timings.json."""


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
    holdout: Holdout | None = None
    """The sealed part; None where the study has none."""
    eyes_off: EyesOff = field(default_factory=EyesOff)
    """The sealed part beside the rest, where it was opened and there is a rest."""


@dataclass(frozen=True, kw_only=True)
class Concluded:
    """What was found, and what is said of it on a terminal."""

    found: Conclusion
    """The numbers."""
    findings: Findings
    """What the report was made from."""
    verdicts: Table
    """The comparisons of the primary cell."""
    remarks: tuple[str, ...]
    """What must be known before the table is read: a changed analysis, or nothing to compare."""


def conclude(
    plan: Plan,
    out: OutDir,
    store: Path,
    changes: Sequence[Mapping[str, Any]],
    tell: Tell,
    versions: Mapping[str, str] | None = None,
    holdout: Holdout | None = None,
) -> Concluded:
    """Estimate, compare and report what scores.parquet holds; writes comparisons.csv, pooled.csv and the report.

    Args:
        plan: the study.
        out: its out directory, with plan.parquet and scores.parquet.
        store: folder of the store, which says on what the answers were computed.
        changes: what was changed in the analysis since it was stated; any makes every result exploratory.
        tell: told of progress.
        versions: of the libraries when the study ran; None: those of now.
        holdout: the sealed part; None where the study has none.
    """
    scores = analysed_scores(out.scores)
    metrics = {name: metric for task in plan.tasks.values() for name, metric in metrics_of(task.task).items()}
    design = design_of(plan, metrics, exploratory=bool(changes))
    cells = split_conditions(scores, metrics)
    comparisons = compare_frames(scores, design, tell, cells=cells)
    comparisons.to_csv(out.comparisons, index=False, lineterminator="\n")
    level = 1 - design.alpha
    estimates = estimate_frame(scores, metrics, missing=design.missing, exclude=design.exclude, level=level, cells=cells)
    estimates["role"] = [design.role_of(*row) for row in estimates[["task", "metric", "strategy", "perturbation"]].itertuples(index=False)]
    preparations = recorded_frame(out.preparations, PREPARED_COLUMNS)
    timings = recorded_frame(out.timings, TIMED_COLUMNS) if plan.study.timed else None
    conclusion = Conclusion(
        scores=scores,
        estimates=estimates,
        comparisons=comparisons,
        analyses=analyse(
            scores, comparisons, design, labels_of(plan), tell, spent=Spent(preparations=preparations, timings=timings), cells=cells
        ),
        counts=counts_by_status(scores, {name: task.metric for name, task in plan.tasks.items()}),
        changes=changes,
        environment=environment_of(plan, store, versions),
        holdout=holdout,
        eyes_off=beside_eyes_on(holdout, scores, design, tuple(plan.strategies)),
    )
    del cells  # as large as the scores, and not read any more
    give_freed_memory_back()
    conclusion.analyses.pooled.to_csv(out.pooled, index=False, lineterminator="\n")
    explorer = explorer_of(plan, out, scores, design)
    flips = flip_examples(scores, plan.variants, design, labels_of(plan), restricted_in(plan), tuple(plan.models))
    findings = replace(findings_of(plan, out, conclusion, metrics), explorer=explorer, preparations=preparations, flips=flips)
    write_report(build(findings), out.folder, tell)
    write_text(out.model_card, model_card(findings))
    own = own_aggregates(plan, scores)
    if len(own):
        own.to_csv(out.own_aggregates, index=False, lineterminator="\n")
    return Concluded(found=conclusion, findings=findings, verdicts=verdict_table(findings), remarks=remarks_on(comparisons, changes))


def recorded_frame(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A list of records that a run left behind, with these columns; what a record of an older run lacks is None or NaN.

    Args:
        file: preparations.json or timings.json; one that is missing or damaged has no rows, since neither decides a result.
        columns: what is read.
    """
    try:
        rows = orjson.loads(file.read_bytes())
    except (OSError, ValueError):
        rows = []
    kept = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    frame = pd.DataFrame([{name: row.get(name) for name in columns} for row in kept], columns=list(columns))
    numbers = [name for name in columns if name.startswith("n_") or name.endswith("_s")]
    return frame.assign(**{name: pd.to_numeric(frame[name], errors="coerce").astype("float64") for name in numbers})


def explorer_of(plan: Plan, out: OutDir, scores: pd.DataFrame, design: AnalysisDesign) -> ExplorerData | None:
    """Every compared answer beside the prompt that it was given to."""
    sent = pq.read_table(out.plan, columns=ANSWER_KEY).to_pandas()
    shown = {cell: [each.sample if isinstance(each, Refused) else each for each in variants] for cell, variants in plan.variants.items()}
    # A number stands for each prompt until it is known which ones are shown: all of them may be more than memory holds.
    numbered = sent.assign(prompt=np.arange(len(sent)))
    data = explorer_data(scores, numbered, shown, design, restricted_in(plan), plan.study.models, N_ROWS)
    return None if data is None else with_prompts(data, lambda rows: prompts_at(out.plan, rows))


def restricted_in(plan: Plan) -> list[str]:
    """Tasks whose texts never leave their files."""
    return [name for name, task in plan.tasks.items() if task.task.card.restricted]


def beside_eyes_on(holdout: Holdout | None, scores: pd.DataFrame, design: AnalysisDesign, strategies: Sequence[str]) -> EyesOff:
    """The sealed part beside the rest; empty where it is not what was scored, or there are no scores of the rest."""
    if holdout is None or holdout.eyes_on is None:
        return EyesOff()
    return eyes_off_frames(holdout.eyes_on, scores, design, strategies)


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
        exclude=plan.own_exclusions,
        n_family=plan.n_family,
        n_pairs=len(plan.statement["pairs"]),
        not_run={name: metric for name, metric in plan.statement["metrics"].items() if name not in plan.tasks},
        secondary=analysis.secondary,
        ladder=plan.study.ladder,
        leave_one_out=plan.study.leave_one_out,
        n_secondary=plan.n_secondary,
        pooling=analysis.pooling,
        pooled_tasks=analysis.pooled_tasks,
        mixed_model=analysis.mixed_model,
        tags={name: {s.id: s.tags for s in task.samples if s.tags} for name, task in plan.tasks.items()},
        exploratory=exploratory,
    )


def labels_of(plan: Plan) -> Labels:
    """Languages, families, models and strategies of a plan."""
    specs, kinds = load_specs(strategies), perturbation_specs()
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
        # Options that are left out have their defaults here, so that strategies can be compared by them.
        strategies={
            entry.label: (entry.name, specs[entry.name].options.model_validate(entry.options).model_dump(mode="json"))
            for entry in plan.study.strategies
        },
        perturbations={entry.label: _perturbed(entry, kinds[entry.name]) for entry in plan.study.perturbations},
    )


def _perturbed(entry: PluginEntry, spec: PerturbationSpec) -> Perturbed:
    options = spec.options.model_validate(entry.options)
    preserves = spec.preserves(options)
    return Perturbed(name=entry.name, family=spec.family, preserves_meaning=preserves, options=options.model_dump(mode="json"))


def counts_by_status(scores: pd.DataFrame, metrics: Mapping[str, str]) -> dict[str, int]:
    """Answers by status, each answer once: by the metric that its task is compared on."""
    own = scores[scores["metric"] == scores["task"].map(metrics)]
    return {str(status): int(n) for status, n in own["status"].value_counts().sort_index().items()}


def findings_of(plan: Plan, out: OutDir, conclusion: Conclusion, metrics: Mapping[str, Metric]) -> Findings:
    """Everything the report is made from; nothing in it differs between an undisturbed run and a resumed one."""
    prompts = first_prompts(plan, out)
    return Findings(
        # Pairs that the registry gave are told in the same order whether the study is run or reported on again.
        study=plan.study.model_copy(update={"pairs": tuple((str(a), str(b)) for a, b in plan.statement["pairs"])}),
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
            **{key: value for key, value in plan.selection.as_json().items() if value is not None},
            "n_family": plan.n_family,
        },
        excluded={name: task.excluded for name, task in plan.tasks.items() if task.excluded},
        papers=papers_of(plan),
        measured=measured_of(plan),
        holdout=conclusion.holdout,
        eyes_off=conclusion.eyes_off,
    )


def command_of(plan: Plan) -> str:
    """The command that makes this report, with everything that narrowed the study."""
    chosen = plan.selection
    parts = ["evalsuite run", plan.file.name]
    parts += [f"--models {','.join(chosen.models)}"] if chosen.models else []
    parts += [f"--tasks {','.join(chosen.tasks)}"] if chosen.tasks else []
    parts += [f"--limit {chosen.limit}"] if chosen.limit else []
    parts += [f"--engine {chosen.engine}"] if chosen.engine else []
    parts += ["--unseal"] if chosen.unseal else []
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
            + "".join(f"; {line}" for line in repeats_lines(facts.get("n_pool_duplicates", 0)))
            for name, facts in data
        },
        "seeds": {"study": plan.study.seed},
        "plan_hash": plan.digest,
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
    names = pq.read_table(out.plan, columns=["task", "strategy", "model", "perturbation", "sample_id"]).to_pandas()
    first = names["sample_id"].isin([task.samples[0].id for task in plan.tasks.values() if task.samples])
    wanted = np.flatnonzero(first & (names["perturbation"] == plan.study.analysis.primary.perturbation))
    found = names.iloc[wanted].assign(prompt=pd.Series(prompts_at(out.plan, wanted), index=wanted, dtype=object))
    prompts: dict[tuple[str, str], dict[str, str | None]] = {}
    for row in found.to_dict("records"):
        if row["prompt"] is None and not plan.tasks[row["task"]].task.card.restricted:
            continue  # the perturbation refused this sample, so nothing was sent
        prompts.setdefault((row["task"], row["strategy"]), {}).setdefault(row["model"], row["prompt"])
    return prompts


def prompt_differences(plan: Plan, prompts: Mapping[tuple[str, str], Mapping[str, str | None]]) -> dict[tuple[tuple[str, str], str], str]:
    """What differs between the prompts that a pair was sent in the primary cell, from the second model's to the first's."""
    differences = {}
    for a, b in plan.pairs:
        for task in plan.tasks:
            texts = prompts.get((task, plan.primary_strategy), {})
            text_a, text_b = texts.get(a), texts.get(b)
            if text_a is not None and text_b is not None:
                sent = [Prompt(token_ids=(), text=text) for text in (text_b, text_a)]
                differences[(a, b), task] = pair_difference(sent[0], sent[1], names=(b, a))
    return differences


def remarks_on(comparisons: pd.DataFrame, changes: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """What must be known before the verdicts are read."""
    head = "analysis changed since it was stated, so everything is exploratory: "
    lines = [f"{head}{change['key']}: {change['old']} -> {change['new']}" for change in changes]
    return (*lines, *(() if len(comparisons) else ("no pair of models, so nothing was compared",)))
