"""Synthetic frames about single models' answers for `report_findings`, the same on every call."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from evalsuite.stats.analyses import Analyses, Labels
from tests.unit.report_findings import CLINICAL, GENERALIST, TASKS

CELL: dict[str, Any] = {"strategy": "zero_shot", "perturbation": "none"}
BINS = ((0.3, 0.1, 0.02, 0.24), (0.6, 0.55, 0.4, 0.7), (0.9, 0.6, 0.48, 0.71))
"""Confidence, accuracy, low and high of three bins: the first and the last lie clear below the diagonal."""


def analyses(**changes: pd.DataFrame) -> Analyses:
    """All frames of this file; keyword arguments replace frames."""
    content = {
        "calibration": calibration(), "reliability": reliability(), "selective": selective(), "calibration_pairs": calibration_pairs(),
        "variance": variance(), "cautions": cautions(), "costs": costs(), "contracts_kept": contracts_kept(),
    }  # fmt: skip
    return Analyses(**(content | changes))


def labels(**models: dict[str, Any]) -> Labels:
    """Two registry entries; keyword arguments replace what they declare."""
    declared: dict[str, dict[str, Any]] = {
        CLINICAL: {"trained_on": ("headqa_es/test", "medmcqa/train"), "knowledge_cutoff": "2023-12"},
        GENERALIST: {"trained_on": None, "knowledge_cutoff": None},
    }
    return Labels(models={**declared, **models}, families={"headqa_es": "headqa", "casimedicos_es": "headqa"})


def calibration(tasks: tuple[str, ...] = TASKS[:3], **changes: Any) -> pd.DataFrame:
    row = {
        **CELL, "n_samples": 500, "n_groups": 480, "accuracy": 0.42, "ece_debiased": -0.01, "brier": 0.61, "brier_low": 0.58,
        "brier_high": 0.64, "nll": 1.1, "selective_50": 0.6, "selective_80": 0.5, "ci_level": 0.95, "n_answers": 500, "n_left_out": 0,
        "calibration_rms": 0.12,
    }  # fmt: skip
    gaps = ((CLINICAL, 0.18), (GENERALIST, -0.02))
    rows = [{"model": model, "task": task, **row, "confidence": 0.42 + gap, "ece": abs(gap)} for task in tasks for model, gap in gaps]
    return pd.DataFrame([found | changes for found in rows])


def reliability(tasks: tuple[str, ...] = TASKS[:3], models: tuple[str, ...] = (CLINICAL, GENERALIST)) -> pd.DataFrame:
    return pd.DataFrame(
        {"model": model, "task": task, **CELL, "bin": at, "n_samples": 160, "n_groups": 150, "confidence": confidence, "accuracy": accuracy,
         "low": low, "high": high, "ci_level": 0.95}
        for task in tasks for model in models for at, (confidence, accuracy, low, high) in enumerate(BINS)
    )  # fmt: skip


def selective(tasks: tuple[str, ...] = TASKS[:3]) -> pd.DataFrame:
    return pd.DataFrame(
        {"model": model, "task": task, **CELL, "coverage": round(coverage, 2), "accuracy": 0.8 - 0.38 * coverage}
        for task in tasks
        for model in (CLINICAL, GENERALIST)
        for coverage in np.linspace(0.05, 1, 20)
    )


def calibration_pairs() -> pd.DataFrame:
    differences = ((-0.05, 0.001), (0.04, 0.02), (-0.001, 0.8))
    return pd.DataFrame(
        {"model_a": CLINICAL, "model_b": GENERALIST, "task": task, **CELL, "brier_difference": difference, "ci_low": difference - 0.03,
         "ci_high": difference + 0.03, "p_value": p, "n_samples": 500, "n_groups": 480, "ci_level": 0.95}
        for task, (difference, p) in zip(TASKS[:3], differences, strict=True)
    )  # fmt: skip


def variance_row(part: str, share: float | None, n: float, n_to_halve: float | None, **changes: Any) -> dict[str, Any]:
    row = {
        "model_a": CLINICAL, "model_b": GENERALIST, "task": TASKS[0], "strategy": "zero_shot", "metric": "accuracy", "part": part, "n": n,
        "variance": 0.2, "share": share, "se_now": 0.02, "n_to_halve": n_to_halve, "note": "",
    }  # fmt: skip
    return row | changes


def variance(several: bool = True) -> pd.DataFrame:
    one = [variance_row("samples", 0.7, 500, 2000), variance_row("replicates", 0.3, 3, None)]
    two = [variance_row("samples", 0.2, 500, None, task=TASKS[1]), variance_row("replicates", 0.8, 3, 48, task=TASKS[1])]
    return pd.DataFrame(one + (two if several else []))


def caution_row(kind: str, task: str, level: str = "warning") -> dict[str, Any]:
    return {"level": level, "kind": kind, "task": task, "model": "", "text": f"What the {kind} of it means."}


def cautions(n_warnings: int = 1) -> pd.DataFrame:
    rows = [caution_row("floor", TASKS[at % len(TASKS)]) for at in range(n_warnings)]
    return pd.DataFrame([*rows, caution_row("ceiling", TASKS[1], "note")])


def costs(**changes: Any) -> pd.DataFrame:
    rows = [
        {"model": model, "strategy": strategy, "perturbation": "none", "calls": 1.0, "prompt_tokens": tokens, "output_tokens": 2.0,
         "n_answers": 2000, "mean": mean, "ci_low": mean - 0.03, "ci_high": mean + 0.03, "ci_level": 0.95, "n_questions": 1834.0,
         "n_groups": 1790, "tasks": ",".join(TASKS[:4]), "n_tasks": 4, "left_out": "", "pooling": "questions"}
        for strategy, tokens, lift in (("zero_shot", 98.0, 0.0), ("few5", 498.0, 0.04))
        for model, mean in ((CLINICAL, 0.5 + lift), (GENERALIST, 0.45 - lift))
    ]  # fmt: skip
    return pd.DataFrame([row | changes for row in rows])


def contracts_kept() -> pd.DataFrame:
    rows = [
        {"model": model, "task": TASKS[0], **CELL, "n_samples": 500, "n_groups": 480, "lenient": 0.5, "lenient_low": 0.46,
         "lenient_high": 0.54, "strict": 0.5 - penalty, "strict_low": 0.46 - penalty, "strict_high": 0.54 - penalty, "validity": 0.8,
         "validity_low": 0.76, "validity_high": 0.84, "penalty": penalty, "penalty_low": penalty - 0.01, "penalty_high": penalty + 0.01,
         "ci_level": 0.95, "note": ""}
        for model, penalty in ((CLINICAL, 0.0), (GENERALIST, 0.15))
    ]  # fmt: skip
    return pd.DataFrame(rows)
