"""Synthetic findings with every verdict, every status and hostile names, the same on every call."""

from __future__ import annotations

from typing import Any

import pandas as pd

from evalsuite.config import Study
from evalsuite.report import Findings
from evalsuite.tasks import Split, TaskCard
from evalsuite.types import STATUSES

CLINICAL, GENERALIST = "pocket-clinical", "pocket-generalist"
TASKS = ("pocket_clinical_en", "headqa_es", "pubmedqa", "medmcqa", "restricted_notes")

COMPARED: dict[str, dict[str, Any]] = {
    "pocket_clinical_en": {"verdict": "a_better", "numbers": (0.312, 0.271, 0.353, 0.00002, 0.0001), "equivalence": (0.278, 0.346, 1.0)},
    "headqa_es": {"verdict": "b_better", "numbers": (-0.05, -0.079, -0.021, 0.0006, 0.0024), "equivalence": (-0.074, -0.026, 0.95)},
    "pubmedqa": {"verdict": "equivalent", "numbers": (0.004, -0.0152, 0.0232, 0.68, 1.0), "equivalence": (-0.0121, 0.0201, 0.002)},
    "medmcqa": {"verdict": "inconclusive", "numbers": (0.012, -0.02, 0.044, 0.41, 0.82), "equivalence": (-0.0148, 0.0388, 0.31)},
    "restricted_notes": {"verdict": "not_established", "numbers": None, "equivalence": None},
}


def findings(tasks: tuple[str, ...] = TASKS, **changes: Any) -> Findings:
    """Findings over `tasks`; keyword arguments replace fields."""
    content: dict[str, Any] = {
        "study": study(tasks),
        "models": models(),
        "scores": scores(tasks),
        "estimates": estimates(tasks),
        "comparisons": comparisons(tasks),
        "cards": {name: card(name) for name in tasks},
        "prompts": {(name, "zero_shot"): prompts(name) for name in tasks},
        "prompt_differences": {
            ((CLINICAL, GENERALIST), name): "" if name == tasks[0] else "- <|user|>\n+ <|im_start|>user" for name in tasks
        },
        "manifest": manifest(),
        "command": "evalsuite run studies/pocket.yaml --out reports/pocket",
    }
    return Findings(**(content | changes))


def study(tasks: tuple[str, ...] = TASKS, **changes: Any) -> Study:
    content: dict[str, Any] = {
        "study": "pocket_demo",
        "question": "Does the pocket clinical model beat the generalist it was tuned from?",
        "models": [CLINICAL, GENERALIST],
        "pairs": [[CLINICAL, GENERALIST]],
        "tasks": list(tasks),
        "strategies": ["zero_shot", {"id": "few5", "name": "few_shot", "shots": 5}],
        "perturbations": ["none", "shuffle_choices"],
        "exclude": [{"task": tasks[0], "sample_id": "q17", "reason": "the figure that it asks about is missing"}],
    }
    return Study.model_validate(content | changes)


def models() -> dict[str, dict[str, Any]]:
    note = "Test instruments, not medical models."
    shared = {"parameters_b": 0.0008, "licence": "apache-2.0", "note": note, "repo": None}
    return {
        CLINICAL: {
            "domain": "biomedical", "base": GENERALIST, "path": "pocket/clinical", "revision": None,
            "fingerprint": "9f2c41d07ab3e6" * 4, **shared,
        },
        GENERALIST: {
            "domain": "generalist", "base": None, "path": "pocket/generalist", "revision": "0123456789abcdef0123456789abcdef01234567",
            "fingerprint": "51bb0e7743cd19" * 4, **shared,
        },
    }  # fmt: skip


def estimates(tasks: tuple[str, ...] = TASKS) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for at, task in enumerate(tasks):
        for model, lift in ((CLINICAL, COMPARED[task]["numbers"][0] if COMPARED[task]["numbers"] else 0.0), (GENERALIST, 0.0)):
            for strategy, perturbation in (("zero_shot", "none"), ("few5", "none"), ("zero_shot", "shuffle_choices")):
                primary = (strategy, perturbation) == ("zero_shot", "none")
                mean = 0.36 + 0.05 * at + lift + (0.0 if primary else 0.01)
                failed = 12 if task == "restricted_notes" and model == CLINICAL and primary else 0
                counts = {
                    "unparsed": at * 2,
                    "truncated": at,
                    "too_long": 0,
                    "refused": 3 if perturbation != "none" else 0,
                    "failed": failed,
                }
                rows.append(
                    estimate_row(
                        model, task, strategy, perturbation, None if failed else mean, counts, role="primary" if primary else "exploratory"
                    )
                )
    rows.append(
        estimate_row(
            CLINICAL, tasks[0], "zero_shot", "none", 0.69, dict.fromkeys(STATUSES[1:], 0), role="exploratory", subset="without:key_doubtful"
        )
    )
    return pd.DataFrame(rows)


def estimate_row(
    model: str, task: str, strategy: str, perturbation: str, mean: float | None, counts: dict[str, int], *, role: str, subset: str = "all"
) -> dict[str, Any]:
    """One row of 500 samples in 480 groups."""
    return {
        "task": task, "metric": "accuracy", "strategy": strategy, "perturbation": perturbation, "model": model, "n_samples": 500,
        "n_groups": 480, "n_scored": 500 - sum(counts.values()), **{f"n_{status}": n for status, n in counts.items()},
        "mean": mean, "ci_low": None if mean is None else mean - 0.0421, "ci_high": None if mean is None else mean + 0.0421,
        "ci_level": 0.95, "label_mass": 0.9731, "role": role, "subset": subset,
    }  # fmt: skip


def comparisons(tasks: tuple[str, ...] = TASKS) -> pd.DataFrame:
    rows = [comparison_row(task) for task in tasks]
    other = {"role": "exploratory", "family": "exploratory", "p_adjusted": None, "p_equivalence_adjusted": None}
    rows.extend(comparison_row(task) | other | {"strategy": "few5"} for task in tasks)
    rows.append(comparison_row(tasks[0]) | other | {"subset": "without:key_doubtful", "n_samples": 471})
    return pd.DataFrame(rows).astype({"within_margin": "boolean"})


def comparison_row(task: str, **changes: Any) -> dict[str, Any]:
    """The primary comparison of a task as `COMPARED` has it."""
    verdict, numbers, equivalence = (COMPARED[task][key] for key in ("verdict", "numbers", "equivalence"))
    difference, low, high, p, p_adjusted = numbers or (None,) * 5
    inner_low, inner_high, p_equivalence = equivalence or (None,) * 3
    row = {
        "task": task, "metric": "accuracy", "strategy": "zero_shot", "perturbation": "none", "model_a": CLINICAL, "model_b": GENERALIST,
        "family": "primary", "role": "primary", "n_samples": 500, "n_groups": 480, "n_excluded": 1,
        "mean_a": None if difference is None else 0.4 + difference, "mean_b": None if difference is None else 0.4, "difference": difference,
        "ci_low": low, "ci_high": high, "ci_level": 0.95, "p_value": p, "p_adjusted": p_adjusted, "method": "sign-flip over groups; t",
        "margin": 0.03, "equivalence_low": inner_low, "equivalence_high": inner_high, "p_equivalence": p_equivalence,
        "p_equivalence_adjusted": p_equivalence, "within_margin": None if numbers is None else verdict == "equivalent", "verdict": verdict,
        "subset": "all", "p_mcnemar": p, "boot_low": low, "boot_high": high, "n_failed": 0 if numbers else 12,
        "status_note": "" if numbers else "12 failed answers",
    }  # fmt: skip
    return row | changes


def scores(tasks: tuple[str, ...] = TASKS) -> pd.DataFrame:
    rows = [
        {"study": "pocket_demo", "model": model, "task": task, "language": "en", "strategy": "zero_shot", "perturbation": "none",
         "variant": 0, "replicate": 0, "sample_id": f"q{at}", "group": f"{task}:{at}", "metric": metric, "value": float(at % 2),
         "status": "scored",
         "n_calls": 1, "n_prompt_tokens": 60 + at, "n_output_tokens": 1}
        for model in (CLINICAL, GENERALIST) for task in tasks for at in range(4) for metric in ("accuracy", "brier")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def card(name: str, **changes: Any) -> TaskCard:
    content: dict[str, Any] = {
        "name": name, "kind": "choice", "description": "Multiple-choice questions of the kind asked in licensing examinations.",
        "language": "es" if name.endswith("_es") else "en", "licence": "MIT", "citation": "García & Müller 2024, arXiv 2401.00001",
        "splits": {"test": Split(n_rows=510, excluded={"image_missing": 7, "no_key": 3})}, "split": "test", "exemplar_split": None,
        "metric": "accuracy", "metrics": ("accuracy",), "chance": 1 / 3 if name == "pubmedqa" else 0.25,
        "restricted": name == "restricted_notes",
        "known_issues": {"key_doubtful": "29 keys were disputed by two readers."} if name == TASKS[0] else {},
    }  # fmt: skip
    return TaskCard(**(content | changes))


def prompts(task: str) -> dict[str, str | None]:
    if task == "restricted_notes":
        return {CLINICAL: None, GENERALIST: None}
    question = "\n<s>Question: A 61-year-old man has chest pain.   Which test is first?\nA. ECG\nB. MRI <b>\nC. Café\nD. X-ray\nAnswer:"
    other = question if task == TASKS[0] else f"<|im_start|>user{question}<|im_end|>\n"
    return {CLINICAL: question, GENERALIST: other}


def manifest(**changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "versions": {"python": "3.11.9", "torch": "2.13.0", "transformers": "5.1.0", "evalsuite": "0.1.0"},
        "hardware": {"cpu": "2 cores", "gpu": None, "memory_gib": 16}, "engine": "transformers", "seconds": {"wall": 61.4, "engine": 48.73},
        "tokens": {"prompt": 120_400, "output": 5_000}, "counts": {"scored": 29_700, "failed": 12}, "seeds": {"study": 0},
        "requests": {"asked": 3_000, "found": 12}, "store": "store", "plan_hash": "ab" * 32, "analysis_hash": "cd" * 32,
        "analysis_changes": [], "path_of_a_machine": "/somewhere/secret",
    }  # fmt: skip
    return content | changes
