"""A finished study of any size, drawn: scores with choice probabilities, and all that a report is made from.

Run as a module it is the measured side of `statistics_speed`: python -m benchmarks.synthetic_study MODELS TASKS SAMPLES.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evalsuite.config import Study
from evalsuite.metrics import METRICS
from evalsuite.report import Findings, build, write_report
from evalsuite.stats.analyses import Labels, analyse
from evalsuite.stats.compare import compare_frames
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.tables import estimate_frame
from evalsuite.tasks import Split, TaskCard

N_CHOICES = 4
SAMPLES_PER_GROUP = 2
CONSTANT: dict[str, Any] = {
    "study": "synthetic", "language": "en", "strategy": "zero_shot", "perturbation": "none", "variant": 0, "replicate": 0,
    "metric": "accuracy", "status": "scored", "answer": "text", "finish_reason": "none", "n_calls": 1, "n_votes_missing": 0,
    "n_prompt_tokens": 150, "n_output_tokens": 1, "label_mass": 0.9, "failure": None, "output": None, "item": None,
}  # fmt: skip
"""Columns of scores.parquet that are the same in every row."""


def scores_of(models: list[str], tasks: list[str], n_samples: int, seed: int) -> pd.DataFrame:
    """One answer of every model to every sample: letters with probabilities, samples in pairs of one group."""
    rng = np.random.default_rng(seed)
    parts = []
    for task in tasks:
        names = [f"{task}/{number:05d}" for number in range(n_samples)]
        groups = [f"{task}:{number // SAMPLES_PER_GROUP}" for number in range(n_samples)]
        targets = rng.integers(0, N_CHOICES, n_samples)
        hardness = rng.normal(size=n_samples)
        for place, model in enumerate(models):
            logits = rng.normal(size=(n_samples, N_CHOICES))
            logits[np.arange(n_samples), targets] += 1.0 + 0.05 * place - hardness
            weights = np.exp(logits)
            shown = logits.argmax(axis=1)
            answers: dict[str, Any] = {"sample_id": names, "group": groups, "content_hash": names}
            answers |= {"target": targets.astype(str), "shown_targets": targets.astype(str)}
            answers |= {"value": (shown == targets).astype(float), "answer_index": shown, "answer_indices": shown.astype(str)}
            answers |= {"shown_position": shown, "p_choices": list(weights / weights.sum(axis=1, keepdims=True))}
            parts.append(pd.DataFrame(answers).assign(model=model, task=task, **CONSTANT))
    scores = pd.concat(parts, ignore_index=True)
    lists: pd.Series[Any] = pd.Series([[]] * len(scores), dtype=object)
    return scores.assign(request_keys=lists, tags=lists)


def study_of(models: list[str], tasks: list[str]) -> Study:
    """Every model but the last against the last."""
    return Study.model_validate(
        {
            "study": "synthetic",
            "question": "Does any of them beat the last?",
            "models": models,
            "pairs": [[model, models[-1]] for model in models[:-1]],
            "tasks": tasks,
        }
    )


def design_of(study: Study) -> AnalysisDesign:
    """Its analysis, 10,000 resamples."""
    return AnalysisDesign(
        study=study.study,
        pairs=tuple((str(a), str(b)) for a, b in study.pairs or ()),
        primary_strategy="zero_shot",
        primary_perturbation="none",
        primary_metric={entry.name: "accuracy" for entry in study.tasks},
        metrics=METRICS,
        alpha=study.analysis.alpha,
        margin=study.analysis.margin,
        n_resamples=study.analysis.n_resamples,
    )


def card_of(name: str, n_samples: int, language: str, family: str) -> TaskCard:
    """A card with nothing special."""
    return TaskCard(
        name=name, kind="choice", description="Drawn.", language=language, family=family, licence="MIT", citation="none",
        splits={"test": Split(n_rows=n_samples)}, split="test",
        exemplar_split=None, metric="accuracy", metrics=("accuracy",), chance=1 / N_CHOICES,
    )  # fmt: skip


def run(n_models: int, n_tasks: int, n_samples: int, out: Path) -> dict[str, Any]:
    """Seconds of each step and the largest memory of this process, in GiB; drawing the scores is not timed."""
    models, tasks = [f"model-{number:02d}" for number in range(n_models)], [f"task_{number:02d}" for number in range(n_tasks)]
    scores, study = scores_of(models, tasks, n_samples, 0), study_of(models, tasks)
    design = design_of(study)
    facts: dict[str, dict[str, Any]] = {
        name: {
            "domain": "biomedical" if name != models[-1] else "generalist",
            "base": models[-1],
            "parameters_b": float(2 ** (place % 7)),
            "languages": ("en", "es"),
        }
        for place, name in enumerate(models)
    }
    languages = {task: "es" if place % 2 else "en" for place, task in enumerate(tasks)}
    families = {task: f"family_{place // 2}" for place, task in enumerate(tasks)}
    labels = Labels(languages=languages, families=families, chances=dict.fromkeys(tasks, 1 / N_CHOICES), models=facts)
    seconds: dict[str, float] = {}
    cpu_seconds: dict[str, float] = {}
    clocks = [time.perf_counter(), time.process_time()]

    def lap(name: str) -> None:
        seconds[name], cpu_seconds[name] = time.perf_counter() - clocks[0], time.process_time() - clocks[1]
        clocks[:] = [time.perf_counter(), time.process_time()]

    comparisons = compare_frames(scores, design)
    lap("comparisons")
    estimates = estimate_frame(scores, METRICS, missing=design.missing, exclude=(), level=1 - design.alpha)
    lap("estimates")
    analyses = analyse(scores, comparisons, design, labels)
    lap("analyses")
    findings = Findings(
        study=study, models=facts, scores=scores, estimates=estimates, comparisons=comparisons, analyses=analyses, labels=labels,
        cards={task: card_of(task, n_samples, languages[task], families[task]) for task in tasks}, metrics=METRICS,
    )  # fmt: skip
    report = build(findings)
    lap("building the report")
    files = write_report(report, out)
    lap("writing the report")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    largest = max(files, key=lambda path: path.stat().st_size)
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "memory_gib": memory,
        "n_comparisons": len(comparisons),
        "n_files": len(files),
        "largest": [largest.name, largest.stat().st_size],
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        numbers = [int(argument) for argument in sys.argv[1:4]]
        print(json.dumps(run(numbers[0], numbers[1], numbers[2], Path(folder))))
