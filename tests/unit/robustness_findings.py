"""Synthetic frames of perturbed answers with the columns of `stats`, the same on every call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from evalsuite.config import Study
from evalsuite.metrics import METRICS
from evalsuite.report import Findings
from evalsuite.stats.analyses import Analyses, Labels
from evalsuite.stats.perturbed import Perturbed
from tests.unit.report_findings import CLINICAL, GENERALIST, card, models
from tests.unit.report_findings import findings as plain_findings

KINDS: Mapping[str, tuple[str, str, bool]] = {
    "none": ("none", "meaning-preserving", True),
    "shuffle_choices": ("shuffle_choices", "meaning-preserving", True),
    "typos": ("typos", "meaning-preserving", True),
    "authority": ("authority_claim", "adversarial", False),
    "negated": ("negated", "target-changing", False),
    "json": ("contract", "instruction-guided", False),
    "prompts": ("prompts", "multi-prompt", False),
}
"""Perturbation id to plugin name, family, and whether it preserves the meaning; in the study's order."""

TASKS = ("medqa", "headqa_es")
CHANGES = {"shuffle_choices": -0.02, "typos": -0.06, "authority": -0.2, "negated": -0.31, "json": 0.012, "prompts": 0.0}


def perturbed_row(task: str, perturbation: str, model: str, change: float | None, **changes: Any) -> dict[str, Any]:
    """500 samples of which 3 were refused, or 12 under `negated`; the clinical model loses half as much."""
    missing = change is None
    before = None if missing else 0.62 if model == CLINICAL else 0.55
    preserves = KINDS.get(perturbation, ("", "", False))[2]
    known = not missing and preserves
    row = {
        "task": task, "metric": "accuracy", "strategy": "written" if perturbation == "json" else "zero_shot", "perturbation": perturbation,
        "model": model, "n_samples": 0 if missing else 488, "n_groups": 0 if missing else 480,
        "n_refused": 12 if perturbation == "negated" else 0, "mean_before": before,
        "mean": None if change is None or before is None else before + change, "change": change,
        "ci_low": None if change is None else change - 0.03, "ci_high": None if change is None else change + 0.03, "ci_level": 0.95,
        "n_compared": 488 if known else 0, "consistency": 0.9 + (change or 0.0) if known else None,
        "consistency_low": 0.8 if known else None,
        "consistency_high": 0.95 if known else None, "p_right_to_wrong": None if missing else 0.1 - (change or 0.0),
        "p_right_to_wrong_low": None if missing else 0.05, "p_right_to_wrong_high": None if missing else 0.2,
        "n_right_before": None if missing else 302, "p_wrong_to_right": None if missing else 0.08,
        "p_wrong_to_right_low": None if missing else 0.04, "p_wrong_to_right_high": None if missing else 0.12,
        "n_wrong_before": None if missing else 186, "note": f"{perturbation}: 4 failed answers" if missing else "",
    }  # fmt: skip
    return row | changes


def perturbed(tasks: Sequence[str] = TASKS, names: Sequence[str] = (CLINICAL, GENERALIST)) -> pd.DataFrame:
    rows = []
    for task in tasks:
        for perturbation, change in CHANGES.items():
            for model in names:
                own = change / 2 if model == CLINICAL else change
                failed = (task, perturbation, model) == (tasks[0], "authority", CLINICAL)
                rows.append(perturbed_row(task, perturbation, model, None if failed else own))
                if perturbation != "json":
                    rows.append(perturbed_row(task, perturbation, model, own - 0.01, strategy="written"))
    return pd.DataFrame(rows)


def robustness_row(task: str, perturbation: str, verdict: str, contrast: float | None, **changes: Any) -> dict[str, Any]:
    """One change of the difference of clinical and generalist; p follows the verdict."""
    missing = contrast is None
    p = None if missing else 0.0001 if verdict.endswith("holds_better") else 0.4
    row = {
        "task": task, "metric": "accuracy", "strategy": "written" if perturbation == "json" else "zero_shot", "perturbation": perturbation,
        "model_a": CLINICAL, "model_b": GENERALIST, "difference_before": None if missing else 0.07,
        "difference": None if contrast is None else 0.07 + contrast, "contrast": contrast,
        "ci_low": None if contrast is None else contrast - 0.04, "ci_high": None if contrast is None else contrast + 0.04, "ci_level": 0.95,
        "p_value": p, "p_adjusted": None if p is None else min(1.0, 12 * p), "n_family": 12, "n_samples": 0 if missing else 488,
        "n_groups": 0 if missing else 480, "verdict": verdict, "status_note": "4 failed answers" if missing else "",
    }  # fmt: skip
    return row | changes


def robustness(tasks: Sequence[str] = TASKS) -> pd.DataFrame:
    rows = []
    for task in tasks:
        rows += [
            robustness_row(task, "shuffle_choices", "inconclusive", 0.01),
            robustness_row(task, "typos", "inconclusive", 0.03),
            robustness_row(task, "authority", "not_established", None) if task == tasks[0]
            else robustness_row(task, "authority", "a_holds_better", 0.1),
            robustness_row(task, "negated", "a_holds_better", 0.155),
            robustness_row(task, "json", "b_holds_better", -0.12) if task == tasks[0]
            else robustness_row(task, "json", "inconclusive", -0.006),
            robustness_row(task, "prompts", "inconclusive", 0.0),
        ]  # fmt: skip
    return pd.DataFrame(rows)


def worst(tasks: Sequence[str] = TASKS) -> pd.DataFrame:
    rows = [
        {
            "task": task, "metric": "accuracy", "strategy": "zero_shot", "model": model, "scope": scope, "n_variants": n, "n_samples": 497,
            "n_groups": 480, "mean": 0.6, "worst": 0.6 - 0.05 * n + 0.1 * (model == CLINICAL), "worst_low": 0.3, "worst_high": 0.5,
            "best": 0.81, "lowest": 0.55, "note": "",
        }
        for task in tasks for model in (CLINICAL, GENERALIST) for scope, n in (("shuffle_choices", 3), ("meaning-preserving", 5))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def positions(tasks: Sequence[str] = TASKS) -> pd.DataFrame:
    """The generalist likes the first place; under `gold_first` every right choice stands there."""
    rows = []
    for task in tasks:
        for perturbation in ("none", "shuffle_choices", "typos", "gold_first"):
            for model in (CLINICAL, GENERALIST):
                for at in range(4):
                    biased = model == GENERALIST
                    answered = 0.25 if not biased else 0.4 if at == 0 else 0.2
                    right = (1.0 if at == 0 else 0.0) if perturbation == "gold_first" else 0.25
                    clear = biased and perturbation != "gold_first"
                    log_odds = 0.0 if not clear else 0.69 if at == 0 else -0.29
                    unknown = perturbation == "none" and not biased and at == 3
                    rows.append({
                        "task": task, "strategy": "zero_shot", "perturbation": perturbation, "model": model, "n_choices": 4, "position": at,
                        "n_answers": 500, "n_samples": 500, "share_answered": answered, "share_right": right,
                        "log_odds": None if unknown else log_odds,
                        "ci_low": None if unknown else log_odds - 0.1, "ci_high": None if unknown else log_odds + 0.1, "ci_level": 0.95,
                        "note": "no wrong answers where it could have been taken" if unknown else "",
                    })  # fmt: skip
    return pd.DataFrame(rows)


def prompt_spread(tasks: Sequence[str] = TASKS) -> pd.DataFrame:
    rows = [
        {"task": task, "strategy": "zero_shot", "perturbation": "prompts", "model": model, "n_prompts": 6, "mean": mean,
         "worst": mean - low,
         "best": mean + 0.03, "sd": 0.02, "range": low + 0.03, "note": ""}
        for task in tasks for model, mean, low in ((CLINICAL, 0.62, 0.02), (GENERALIST, 0.55, 0.09))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def prompt_ranks(tasks: Sequence[str] = TASKS) -> pd.DataFrame:
    rows = [
        {"task": task, "strategy": "zero_shot", "perturbation": "prompts", "model_a": CLINICAL, "model_b": GENERALIST, "n_prompts": 6,
         "p_a_ahead": 5.5 / 6, "p_b_ahead": 0.5 / 6, "p_tied": 1 / 6, "difference_mean": 0.07, "difference_low": 0.0,
         "difference_high": 0.13, "kendall_w": 0.84, "note": ""}
        for task in tasks
    ]  # fmt: skip
    return pd.DataFrame(rows)


def study(tasks: Sequence[str] = TASKS, names: Sequence[str] = (CLINICAL, GENERALIST), **changes: Any) -> Study:
    content: dict[str, Any] = {
        "study": "perturbed", "question": "Does the specialist hold up?", "models": list(names), "pairs": [[CLINICAL, GENERALIST]],
        "tasks": list(tasks), "strategies": ["zero_shot", {"id": "written", "name": "zero_shot", "format": "generate"}],
        "perturbations": [name if name == kind else {"id": name, "name": kind} for name, (kind, _, _) in KINDS.items()],
    }  # fmt: skip
    return Study.model_validate(content | changes)


def labels(kinds: Mapping[str, tuple[str, str, bool]] = KINDS) -> Labels:
    return Labels(
        perturbations={
            name: Perturbed(name=plugin, family=family, preserves_meaning=preserves) for name, (plugin, family, preserves) in kinds.items()
        }
    )


def frames(tasks: Sequence[str] = TASKS, **changes: pd.DataFrame) -> Analyses:
    content = {
        "perturbed": perturbed(tasks), "robustness": robustness(tasks), "worst": worst(tasks), "positions": positions(tasks),
        "prompt_spread": prompt_spread(tasks), "prompt_ranks": prompt_ranks(tasks),
    }  # fmt: skip
    return Analyses(**(content | changes))


def findings(tasks: Sequence[str] = TASKS, *, analyses: Analyses | None = None, **changes: Any) -> Findings:
    """Findings of one pair under six perturbations; keyword arguments replace fields."""
    content: dict[str, Any] = {
        "study": study(tasks), "models": models(), "cards": {name: card(name) for name in tasks}, "metrics": METRICS, "labels": labels(),
        "analyses": frames(tasks) if analyses is None else analyses,
    }  # fmt: skip
    return plain_findings(("medmcqa", "pubmedqa"), **(content | changes))
