"""Synthetic frames across tasks, languages, conditions and sizes for `report_findings`, the same on every call."""

from __future__ import annotations

from typing import Any

import pandas as pd

from evalsuite.stats.analyses import Analyses, Labels
from tests.unit.report_findings import CLINICAL, COMPARED, GENERALIST, TASKS

LABELS = Labels(
    languages={name: "es" if name.endswith("_es") else "en" for name in TASKS},
    families={"pocket_clinical_en": "exams", "headqa_es": "exams", "pubmedqa": "papers", "medmcqa": "exams", "restricted_notes": "notes"},
    models={
        CLINICAL: {"domain": "biomedical", "base": GENERALIST, "parameters_b": 8.0},
        GENERALIST: {"domain": "generalist", "base": None, "parameters_b": 8.0},
    },
)


def analyses(**changes: pd.DataFrame) -> Analyses:
    """Every frame of one pair; keyword arguments replace frames."""
    content = {
        "pooled": pooled(), "meta": meta(), "mixed": mixed(), "shares": shares(), "contrasts": contrasts(), "scaling": scaling(),
        "size_matched": size_matched(),
    }  # fmt: skip
    return Analyses(**(content | changes))


def pooled_row(scope: str = "all", **changes: Any) -> dict[str, Any]:
    """The primary pooled difference: +7.2 points over four tasks."""
    row = {
        "scope": scope, "model_a": CLINICAL, "model_b": GENERALIST, "strategy": "zero_shot", "perturbation": "none",
        "tasks": ",".join(TASKS[:4]), "n_tasks": 4, "n_samples": 2000, "n_questions": 1834.0, "n_groups": 1790, "mean_a": 0.5125,
        "mean_b": 0.4405, "difference": 0.072, "se": 0.0107, "ci_low": 0.051, "ci_high": 0.093, "ci_level": 0.95, "p_value": 0.00002,
        "p_adjusted": 0.0002, "margin": 0.03, "equivalence_low": 0.0544, "equivalence_high": 0.0896, "p_equivalence": 1.0,
        "p_equivalence_adjusted": 1.0, "within_margin": False, "verdict": "a_better", "role": "primary", "boot_low": 0.0505,
        "boot_high": 0.0934, "left_out": "restricted_notes (macro_f1 is not right or wrong per sample)", "status_note": "",
        "method": "weighted mean; cluster-robust t",
    }  # fmt: skip
    exploratory = {"role": "exploratory", "p_adjusted": None, "p_equivalence_adjusted": None, "left_out": ""}
    return row | ({} if scope == "all" else exploratory) | changes


def pooled(**changes: Any) -> pd.DataFrame:
    rows = [
        pooled_row(**changes),
        pooled_row("family:exams", tasks="pocket_clinical_en,headqa_es,medmcqa", n_tasks=3, n_questions=1334.0, difference=0.09,
                   ci_low=0.062, ci_high=0.118),
        pooled_row("family:papers", tasks="pubmedqa", n_tasks=1, difference=0.004, ci_low=-0.0152, ci_high=0.0232, verdict="equivalent"),
        pooled_row("language:en", tasks="pocket_clinical_en,pubmedqa,medmcqa", n_tasks=3, n_questions=1334.0, difference=0.109,
                   ci_low=0.085, ci_high=0.133, mean_a=0.55, mean_b=0.441),
        pooled_row("language:es", tasks="headqa_es", n_tasks=1, n_questions=500.0, difference=-0.05, ci_low=-0.079, ci_high=-0.021,
                   mean_a=0.41, mean_b=0.46, verdict="b_better"),
    ]  # fmt: skip
    return pd.DataFrame(rows)


def meta(**changes: Any) -> pd.DataFrame:
    row = {
        "model_a": CLINICAL, "model_b": GENERALIST, "n_tasks": 4, "difference": 0.0695, "ci_low": -0.11, "ci_high": 0.249, "ci_level": 0.95,
        "tau2": 0.012, "i2": 0.97, "p_heterogeneity": 0.0001, "method": "Paule-Mandel; Hartung-Knapp",
        "assumption": "takes the tasks to be independent",
    }  # fmt: skip
    return pd.DataFrame([row | changes])


def mixed(**changes: Any) -> pd.DataFrame:
    row = {
        "model_a": CLINICAL, "model_b": GENERALIST, "odds_ratio": 1.41, "ci_low": 1.22, "ci_high": 1.63, "sd_question": 0.9, "sd_task": 0.4,
        "method": "logistic, variational", "note": "questions and tasks as random intercepts",
    }  # fmt: skip
    return pd.DataFrame([row | changes])


def share_row(model_a: str, model_b: str, *, counts: tuple[int, int, int]) -> dict[str, Any]:
    total = sum(counts)
    row: dict[str, Any] = {"model_a": model_a, "model_b": model_b, "n_comparisons": total, "ci_level": 0.95}
    for (name, plural), n in zip((("win", "wins"), ("tie", "ties"), ("loss", "losses")), counts, strict=True):
        part = n / total
        row |= {f"n_{plural}": n, name: part, f"{name}_low": max(part - 0.2, 0.0), f"{name}_high": min(part + 0.2, 1.0)}
    return row | {"method": "a win is an interval above zero"}


def shares() -> pd.DataFrame:
    return pd.DataFrame([share_row(CLINICAL, GENERALIST, counts=(1, 2, 1)), share_row("", "", counts=(1, 2, 1))])


def contrast_row(kind: str, task: str, contrast: float | None, **changes: Any) -> dict[str, Any]:
    first, second = {
        "strategy": ("few5", "zero_shot"), "language": ("en", "es"), "size": ("70B", "8B"),
    }[kind]  # fmt: skip
    before = (COMPARED[task]["numbers"] or (0.02,))[0]
    missing = contrast is None
    row = {
        "kind": kind, "model_a": CLINICAL, "model_b": GENERALIST, "other_a": "", "other_b": "", "task": task, "other_task": "",
        "metric": "accuracy", "first": first, "second": second, "difference_first": None if contrast is None else before + contrast,
        "difference_second": None if missing else before, "contrast": contrast,
        "ci_low": None if contrast is None else contrast - 0.03, "ci_high": None if contrast is None else contrast + 0.03,
        "ci_level": 0.95, "p_value": None if contrast is None else 0.003 if abs(contrast) > 0.03 else 0.41, "n_samples": 500,
        "n_groups": 480, "status_note": "12 failed answers" if missing else "", "method": "sign-flip over groups; t",
    }  # fmt: skip
    return row | changes


def contrasts() -> pd.DataFrame:
    rows = [
        contrast_row("strategy", "pocket_clinical_en", -0.041), contrast_row("strategy", "headqa_es", 0.012),
        contrast_row("strategy", "medmcqa", -0.05), contrast_row("strategy", "restricted_notes", None),
        contrast_row("language", "pocket_clinical_en", 0.3, other_task="headqa_es", difference_second=-0.05, difference_first=0.25),
        contrast_row("size", "medmcqa", 0.01, other_a="clinical-small", other_b="general-small"),
    ]  # fmt: skip
    return pd.DataFrame(rows)


def scaling() -> pd.DataFrame:
    rows = [
        {"model": model, "domain": domain, "parameters_b": size, "scope": "all", "mean": mean, "ci_low": mean - 0.02,
         "ci_high": mean + 0.02, "n_questions": 1834.0}
        for model, domain, size, mean in ((CLINICAL, "biomedical", 8.0, 0.5125), (GENERALIST, "generalist", 1.5, 0.4405))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def size_matched() -> pd.DataFrame:
    row = {
        "size": "8B", "model_a": CLINICAL, "model_b": GENERALIST, "parameters_a": 8.0, "parameters_b": 8.0, "scope": "all",
        "difference": 0.072, "ci_low": 0.051, "ci_high": 0.093, "p_value": 0.00002, "declared_pair": True,
    }  # fmt: skip
    return pd.DataFrame([row])
