"""Findings of a planted study with a ladder, preparations and votes, analysed by the package itself; the same on every call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from evalsuite.config import Study
from evalsuite.metrics import METRICS
from evalsuite.report import Findings
from evalsuite.seeds import derive_seed
from evalsuite.stats.analyses import Labels, Spent, analyse
from evalsuite.stats.compare import compare_frames
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.tables import estimate_frame
from tests.unit.report_findings import CLINICAL, GENERALIST, card, models

LADDER = ("zero_shot", "random5", "random5_cot", "knn5_cot", "medprompt")
LEFT_OUT = ("without_reasoning", "knn5_cot")
RIGHT = {
    "zero_shot": 0.5, "random5": 0.53, "random5_cot": 0.62, "knn5_cot": 0.64, "medprompt": 0.7, "without_reasoning": 0.58,
}  # fmt: skip
"""Share of right answers of a generalist under each strategy."""
CALLS = {"medprompt": 5, "without_reasoning": 5}
PROMPT_TOKENS = {"zero_shot": 100, "random5": 600, "random5_cot": 1500, "knn5_cot": 1550, "medprompt": 7750, "without_reasoning": 3100}
REASONED = ("random5_cot", "knn5_cot", "medprompt")
TASKS = ("medqa", "pocket_clinical_en")
STRATEGIES: list[dict[str, Any]] = [
    {"name": "zero_shot", "format": "generate"},
    {"id": "random5", "name": "few_shot", "shots": 5, "exemplars": "random"},
    {"id": "random5_cot", "name": "cot", "shots": 5, "exemplars": "random"},
    {"id": "knn5_cot", "name": "cot", "shots": 5, "exemplars": "knn"},
    {"name": "medprompt"},
    {"id": "without_reasoning", "name": "medprompt", "reasoning": False},
]


def planted(
    names: Sequence[str] = (CLINICAL, GENERALIST), tasks: Sequence[str] = TASKS, n: int = 240, lead: float = 0.08, ladder: bool = True
) -> pd.DataFrame:
    """Scores: the first model starts ahead and gains less from each part; answers of one question hang together."""
    rows: list[dict[str, Any]] = []
    for task in tasks:
        # How hard each question is, the same for everyone.
        hard = np.random.default_rng(derive_seed(0, task)).normal(size=n)
        for place, model in enumerate(names):
            for strategy in RIGHT if ladder else ("zero_shot", "random5"):
                level = RIGHT[strategy] + (lead if place % 2 == 0 else 0.0) * (1 - 2 * (RIGHT[strategy] - 0.5)) + 0.01 * place
                rng = np.random.default_rng(derive_seed(0, task, model, strategy))
                right = hard + 0.8 * rng.normal(size=n) < np.quantile(hard + 0.8 * rng.normal(size=n), level)
                for at in range(n):
                    rows.append(_row(model, task, strategy, at, right=bool(right[at]), votes=_votes(rng, strategy, right=bool(right[at]))))
    return pd.DataFrame(rows)


def _votes(rng: np.random.Generator, strategy: str, *, right: bool) -> str | None:
    if strategy not in CALLS:
        return None
    cast = ["1" if right else "2"] * 3 + [str(vote) for vote in rng.integers(0, 4, 2)]
    return ",".join("-" if rng.random() < 0.02 else vote for vote in cast)


def _row(model: str, task: str, strategy: str, at: int, *, right: bool, votes: str | None) -> dict[str, Any]:
    return {
        "study": "planted", "model": model, "task": task, "language": "en", "strategy": strategy, "perturbation": "none", "variant": 0,
        "replicate": 0, "sample_id": f"{task}{at:04d}", "group": f"{task}{at:04d}", "content_hash": f"{task}{at}", "metric": "accuracy",
        "value": float(right), "status": "scored", "answer_index": 1 if right else 2, "answer_indices": "1" if right else "2",
        "target": "1", "finish_reason": "stop", "n_calls": CALLS.get(strategy, 1),
        "n_votes_missing": 0 if votes is None else votes.count("-"), "votes": votes, "n_prompt_tokens": PROMPT_TOKENS[strategy] + at % 7,
        "n_output_tokens": CALLS.get(strategy, 1) * (150 if strategy in REASONED else 4), "label_mass": None, "shown_targets": "1",
    }  # fmt: skip


def study(names: Sequence[str], tasks: Sequence[str], **changes: Any) -> Study:
    content: dict[str, Any] = {
        "study": "planted", "question": "Is the specialist's advantage still there under Medprompt?", "models": list(names),
        "pairs": [[names[at], names[at + 1]] for at in range(0, len(names) - 1, 2)], "tasks": list(tasks), "strategies": STRATEGIES,
        "ladder": list(LADDER), "leave_one_out": list(LEFT_OUT),
    }  # fmt: skip
    return Study.model_validate(content | changes)


def preparations(names: Sequence[str], tasks: Sequence[str], source: str = "self") -> pd.DataFrame:
    """Every reasoning strategy wrote chains, and every one with kNN looked neighbours up."""
    rows = []
    for strategy in REASONED:
        for model in names if source == "self" else (source,):
            for place, task in enumerate(tasks):
                kept = 300 - 20 * place - 10 * list(names).index(model)
                chains = {"source": source, "n_asked": 400, "n_kept": kept, "n_wrong": 380 - kept, "n_unread": 20, "n_failed": 0,
                          "n_regenerated": 0, "n_attempts": 400, "n_short": 3 * (strategy == "knn5_cot"), "n_questions": 240}  # fmt: skip
                facts: dict[str, Any] = {"chains": chains}
                if strategy != "random5_cot":
                    facts["neighbours"] = {"embedder": "tfidf", "n_pool": 10_178, "n_questions": 240}
                rows.append({"model": model, "task": task, "strategy": strategy, "n_calls": 400.0, "n_prompt_tokens": 48_000.0,
                             "n_output_tokens": 60_000.0, "n_failed": 0.0, "facts": facts})  # fmt: skip
    return pd.DataFrame(rows)


def selection(model: str, means: Sequence[float | None], **changes: Any) -> dict[str, Any]:
    """Facts of a prompt that was chosen among candidates with these means."""
    known = [mean for mean in means if mean is not None]
    candidates = [
        {"template": f"template {'abcdefgh'[at // 2]}", "exemplar_seed": at % 2 if at else None, "mean": mean, "n_missing": at}
        for at, mean in enumerate(means)
    ]
    facts = {"split": "validation", "n_validation": 200, "metric": "accuracy", "lender": None, "winner": means.index(max(known)),
             "candidates": candidates}  # fmt: skip
    return {"model": model, "task": TASKS[0], "strategy": "medprompt", "n_calls": 1200.0, "n_prompt_tokens": 120_000.0,
            "n_output_tokens": 2_400.0, "n_failed": 0.0, "facts": {"selection": facts | changes}}  # fmt: skip


def timings(names: Sequence[str], tasks: Sequence[str]) -> pd.DataFrame:
    """Half a second per request of an answer, two of a preparation."""
    rows = [
        {"model": model, "task": task, "strategy": strategy, "stage": stage, "n_asked": 10, "engine_s": 10 * seconds}
        for model in names for task in tasks for strategy in RIGHT for stage, seconds in (("answer", 0.5), ("prepare", 2.0))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def findings(
    names: Sequence[str] = (CLINICAL, GENERALIST),
    tasks: Sequence[str] = TASKS,
    *,
    scores: pd.DataFrame | None = None,
    prepared: pd.DataFrame | None = None,
    timed: pd.DataFrame | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Findings:
    """Findings of planted scores.

    Args:
        names: models, the first of each pair first.
        tasks: task names.
        scores: other scores than the planted ones.
        prepared: preparations; None: chains of every model.
        timed: timings; None: the study is not timed.
        changes: fields of the study.
    """
    own = study(names, tasks, **{"timed": timed is not None, **(changes or {})})
    table = planted(names, tasks) if scores is None else scores
    made = preparations(names, tasks) if prepared is None else prepared
    design = AnalysisDesign(
        study="planted", pairs=tuple((str(a), str(b)) for a, b in own.pairs or ()), primary_strategy="zero_shot",
        primary_perturbation="none", primary_metric=dict.fromkeys(tasks, "accuracy"), metrics=METRICS, n_resamples=500, ladder=own.ladder,
        leave_one_out=own.leave_one_out,
    )  # fmt: skip
    known = {entry.label: (entry.name, dict(entry.options)) for entry in own.strategies}
    # As `conclude` has them: defaults filled in.
    known = {label: (name, {"shots": 5, "ensemble": 5, "exemplars": "knn", **given}) for label, (name, given) in known.items()}
    labels = Labels(strategies=known, families={task: task for task in tasks})
    comparisons = compare_frames(table, design)
    estimates = estimate_frame(table, METRICS, missing="incorrect", exclude=(), level=0.95)
    estimates["role"] = [design.role_of(*row) for row in estimates[["task", "metric", "strategy", "perturbation"]].itertuples(index=False)]
    facts = models()
    return Findings(
        study=own, models={name: facts[(CLINICAL, GENERALIST)[at % 2]] for at, name in enumerate(names)}, scores=table, estimates=estimates,
        comparisons=comparisons, cards={name: replace(card(name), known_issues={}) for name in tasks}, metrics=METRICS, labels=labels,
        analyses=analyse(table, comparisons, design, labels, spent=Spent(preparations=made, timings=timed)), preparations=made,
    )  # fmt: skip
