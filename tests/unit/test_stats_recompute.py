"""The independent recomputation of comparisons.csv agrees with the package, and notices what is changed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from evalsuite.config import Exclusion
from evalsuite.metrics import METRICS
from evalsuite.stats.compare import AnalysisDesign, compare_frames

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "recompute_comparisons.py"
MODELS = {"clinical": 0.75, "base": 0.6, "instruct": 0.45}
PAIRS = (("clinical", "base"), ("clinical", "instruct"))
TASKS = {"choices": "accuracy", "labels": "macro_f1", "broken": "accuracy", "summary": "rougeL", "small": "accuracy"}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("recompute_comparisons", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def answers(task, perturbation, n_variants, rng):
    """All models' answers to one task, with every status, groups of several samples, and tags."""
    n = 18 if task == "small" else 48
    targets, group_of = np.arange(n) * 7 % 3, np.arange(n) ** 2 % (7 if task == "small" else 29)
    rows = []
    for model, skill in MODELS.items():
        for sample, variant in ((s, v) for s in range(n) for v in range(n_variants)):
            answer = int(targets[sample] if rng.random() < skill else rng.integers(0, 3))
            status = str(rng.choice(["scored", "unparsed", "truncated", "refused"], p=[0.9, 0.04, 0.03, 0.03]))
            status = "failed" if task == "broken" and model == "base" and sample == 5 else status
            value = round(float(rng.beta(8 * skill, 4)), 6) if task == "summary" else float(answer == targets[sample])
            row = {
                "task": task, "model": model, "strategy": "zero_shot", "perturbation": perturbation, "variant": variant,
                "replicate": 0, "sample_id": f"{task}-{sample}", "group": f"{task}:{group_of[sample]}",
                "content_hash": f"{sample}.{variant}", "status": status, "value": value if status == "scored" else None,
                "answer_index": answer if status == "scored" and task != "summary" else None,
                "target": None if task == "summary" else str(targets[sample]), "tags": ["doubtful"] if sample % 9 == 1 else [],
            }  # fmt: skip
            names = ["rougeL"] if task == "summary" else ["accuracy", "macro_f1"]
            rows.extend({**row, "metric": name} for name in names)
    return rows


@pytest.fixture(scope="module", params=["incorrect", "drop"])
def finished(request, tmp_path_factory):
    rng = np.random.default_rng(3)
    rows = [row for task in TASKS for row in answers(task, "none", 1, rng)] + answers("choices", "shuffle_choices", 3, rng)
    scores = pd.DataFrame(rows)
    tags = {t: {s: tuple(g) for s, g in zip(p["sample_id"], p["tags"], strict=True) if g} for t, p in scores.groupby("task")}
    design = AnalysisDesign(
        study="s", pairs=PAIRS, primary_strategy="zero_shot", primary_perturbation="none", primary_metric=TASKS, metrics=METRICS,
        alpha=0.05, margin=0.1, missing=request.param, n_resamples=3000, seed=1, tags=tags,
        exclude=(Exclusion(task="choices", sample_id="choices-3", reason="key is wrong"),),
    )  # fmt: skip
    out = tmp_path_factory.mktemp("out")
    scores.to_parquet(out / "scores.parquet")
    compare_frames(scores, design).to_csv(out / "comparisons.csv", index=False, lineterminator="\n")
    study = {
        "study": "s", "pairs": [list(pair) for pair in PAIRS], "tasks": [{"name": n, "metric": m} for n, m in TASKS.items()],
        "strategies": [{"name": "zero_shot"}], "exclude": [{"task": "choices", "sample_id": "choices-3", "reason": "key is wrong"}],
        "analysis": {
            "primary": {"strategy": None, "perturbation": "none"}, "alpha": 0.05, "margin": 0.1, "correction": "holm",
            "missing": request.param, "n_resamples": 3000,
        },
    }  # fmt: skip
    (out / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    return out


def test_every_row_is_confirmed(script, finished, capsys):
    assert script.main([str(finished)]) == 0, capsys.readouterr().out
    frame = pd.read_csv(finished / "comparisons.csv")
    assert f"{len(frame)} comparisons recomputed, 0 disagreements" in capsys.readouterr().out
    assert set(frame["verdict"]) >= {"a_better", "inconclusive", "not_established"}
    assert (frame["subset"] == "without:doubtful").any()
    assert {"shuffle_choices", "none"} == set(frame["perturbation"])
    assert frame["mean_a"].isna().any()


def test_it_imports_nothing_of_the_package(script):
    assert "evalsuite" not in SCRIPT.read_text(encoding="utf-8").replace("`evalsuite`", "")


CHANGES = {
    "mean_a": lambda x: x + 1e-6,
    "mean_b": lambda x: x - 1e-6,
    "difference": lambda x: -x,
    "ci_low": lambda x: x - 1e-6,
    "n_groups": lambda x: x + 1,
    "n_samples": lambda x: x - 1,
    "n_excluded": lambda x: x + 1,
    "n_a_missing": lambda x: x + 1,
    "p_value": lambda x: x + 0.3,
    "p_adjusted": lambda x: x / 2 + 1e-6,
    "equivalence_high": lambda x: x + 1e-6,
    "p_equivalence_adjusted": lambda x: x / 2 + 1e-6,
    "within_margin": lambda x: not x,
    "margin": lambda x: 2 * x,
    "verdict": lambda x: "equivalent" if x != "equivalent" else "a_better",
    "role": lambda x: f"not {x}",
}


@pytest.mark.parametrize("finished", ["incorrect"], indirect=True)
@pytest.mark.parametrize("task", ["choices", "labels"])
def test_a_changed_number_is_noticed(script, finished, tmp_path, capsys, monkeypatch, task):
    monkeypatch.setattr(script, "N_RESAMPLES", 400)
    printed = pd.read_csv(finished / "comparisons.csv")
    printed = printed[(printed["task"] == task) & (printed["subset"] == "all") & (printed["perturbation"] == "none")].reset_index(drop=True)
    scores = pd.read_parquet(finished / "scores.parquet")
    scores[(scores["task"] == task) & (scores["perturbation"] == "none")].to_parquet(tmp_path / "scores.parquet")
    study = yaml.safe_load((finished / "study.yaml").read_text(encoding="utf-8"))
    study["tasks"] = [entry for entry in study["tasks"] if entry["name"] == task]
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    place = printed.index[printed["role"] == "primary"][0]
    unnoticed = []
    for column, change in CHANGES.items():
        frame = printed.astype({column: object})
        frame.loc[place, column] = change(frame.loc[place, column])
        frame.to_csv(tmp_path / "comparisons.csv", index=False)
        if script.main([str(tmp_path)]) != 1 or column not in capsys.readouterr().out:
            unnoticed.append(column)
    assert unnoticed == []
