"""The independent recomputation of comparisons.csv agrees with the package, and notices what is changed."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from evalsuite.config import Exclusion, Secondary
from evalsuite.metrics import METRICS
from evalsuite.stats.compare import compare_frames
from evalsuite.stats.design import AnalysisDesign

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "recompute_comparisons.py"
MODELS = {"clinical": 0.75, "base": 0.6, "instruct": 0.45}
PAIRS = (("clinical", "base"), ("clinical", "instruct"))
TASKS = {"choices": "accuracy", "labels": "macro_f1", "broken": "accuracy", "summary": "rougeL", "small": "accuracy", "mute": "accuracy"}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("recompute_comparisons", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def answers(task, perturbation, n_variants, rng, strategy="zero_shot"):
    """All models' answers to one task, with every status, groups of several samples, and tags."""
    n = 18 if task == "small" else 48
    targets, group_of = np.arange(n) * 7 % 3, np.arange(n) ** 2 % (7 if task == "small" else 29)
    rows = []
    for model, skill in MODELS.items():
        for sample, variant in ((s, v) for s in range(n) for v in range(n_variants)):
            answer = int(targets[sample] if rng.random() < skill else rng.integers(0, 3))
            status = str(rng.choice(["scored", "unparsed", "truncated", "refused"], p=[0.9, 0.04, 0.03, 0.03]))
            status = "failed" if task == "broken" and model == "base" and sample == 5 else status
            status = "unparsed" if task == "mute" and model != "instruct" else status
            value = round(float(rng.beta(8 * skill, 4)), 6) if task == "summary" else float(answer == targets[sample])
            row = {
                "task": task, "model": model, "strategy": strategy, "perturbation": perturbation, "variant": variant,
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
        exclude=tuple(Exclusion(task="choices", sample_id=sample, reason="key is wrong") for sample in ("choices-3", "never-asked")),
    )  # fmt: skip
    out = tmp_path_factory.mktemp("out")
    scores.to_parquet(out / "scores.parquet")
    compare_frames(scores, design).to_csv(out / "comparisons.csv", index=False, lineterminator="\n")
    study = {
        "study": "s", "pairs": [list(pair) for pair in PAIRS], "tasks": [{"name": n, "metric": m} for n, m in TASKS.items()],
        "strategies": [{"name": "zero_shot"}],
        "exclude": [{"task": "choices", "sample_id": sample, "reason": "key is wrong"} for sample in ("choices-3", "never-asked")],
        "analysis": {
            "primary": {"strategy": None, "perturbation": "none"}, "alpha": 0.05, "margin": 0.1, "correction": "holm",
            "missing": request.param, "n_resamples": 3000,
        },
    }  # fmt: skip
    (out / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    return out


def test_every_row_is_confirmed(script, finished, capsys):
    assert script.main([str(finished)]) == 0, capsys.readouterr().out
    frame = pd.read_csv(finished / "comparisons.csv", keep_default_na=False, na_values=[""]).fillna({"status_note": ""})
    assert f"{len(frame)} comparisons recomputed, 0 disagreements" in capsys.readouterr().out
    assert set(frame["verdict"]) >= {"a_better", "inconclusive", "not_established"}
    assert (frame["subset"] == "without:doubtful").any()
    assert {"shuffle_choices", "none"} == set(frame["perturbation"])
    assert frame["mean_a"].isna().any()
    assert frame["status_note"].str.contains("no answer of|no answers left").any()


@pytest.mark.parametrize("finished", ["incorrect"], indirect=True)
def test_a_narrowed_run_is_noted_and_still_pays_for_the_whole_family(script, finished, tmp_path, capsys):
    design = AnalysisDesign(
        study="s", pairs=PAIRS[:1], primary_strategy="zero_shot", primary_perturbation="none", primary_metric={"summary": "rougeL"},
        metrics=METRICS, margin=0.1, n_resamples=3000, seed=1, n_family=len(PAIRS) * len(TASKS),
    )  # fmt: skip
    scores = pd.read_parquet(finished / "scores.parquet")
    narrow = scores[(scores["task"] == "summary") & scores["model"].isin(PAIRS[0])]
    narrow.to_parquet(tmp_path / "scores.parquet")
    (tmp_path / "study.yaml").write_bytes((finished / "study.yaml").read_bytes())
    compare_frames(narrow, design).to_csv(tmp_path / "comparisons.csv", index=False)
    assert script.main([str(tmp_path)]) == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    assert said.count("note: ") == said.count("no row and no answers of both sides") == len(PAIRS) * len(TASKS) - 1
    compare_frames(narrow, replace(design, n_family=1)).to_csv(tmp_path / "comparisons.csv", index=False)
    assert script.main([str(tmp_path)]) == 1
    assert "p_adjusted is printed" in capsys.readouterr().out
    scores.to_parquet(tmp_path / "scores.parquet")  # answers of both sides, and no row
    assert script.main([str(tmp_path)]) == 1
    assert "labels clinical base: no row of the primary cell" in capsys.readouterr().out


@pytest.mark.parametrize("n", [60, 200])
def test_the_same_answers_are_recomputed(script, tmp_path, capsys, n):
    rows = [
        {"task": task, "model": model, "strategy": "zero_shot", "perturbation": "none", "variant": 0, "replicate": 0,
         "sample_id": f"q{i}", "group": f"g{i // 2 if i < 20 else i}", "content_hash": str(i), "status": "scored", "metric": metric,
         "value": float(i % 3 == 0), "answer_index": int(i % 3 == 0), "target": "1", "tags": []}
        for task, metric in (("right", "accuracy"), ("text", "rougeL"), ("sets", "macro_f1")) for model in PAIRS[0] for i in range(n)
    ]  # fmt: skip
    scores = pd.DataFrame(rows)
    metric_of = {"right": "accuracy", "text": "rougeL", "sets": "macro_f1"}
    design = AnalysisDesign(
        study="s", pairs=PAIRS[:1], primary_strategy="zero_shot", primary_perturbation="none", primary_metric=metric_of,
        metrics=METRICS, margin=0.05, n_resamples=500,
    )  # fmt: skip
    scores.to_parquet(tmp_path / "scores.parquet")
    frame = compare_frames(scores, design)
    assert set(frame["verdict"]) == {"equivalent" if n == 200 else "inconclusive"}
    frame.to_csv(tmp_path / "comparisons.csv", index=False)
    study = {
        "pairs": [list(PAIRS[0])], "tasks": [{"name": t, "metric": m} for t, m in metric_of.items()], "strategies": [{"name": "zero_shot"}],
        "analysis": {"primary": {}, "alpha": 0.05, "margin": 0.05, "correction": "holm", "missing": "incorrect", "n_resamples": 500},
    }  # fmt: skip
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    assert script.main([str(tmp_path)]) == 0, capsys.readouterr().out


def test_it_imports_nothing_of_the_package():
    parts = sorted(SCRIPT.parent.glob("recompute_*.py"))
    assert SCRIPT in parts
    for part in parts:
        assert "evalsuite" not in part.read_text(encoding="utf-8").replace("`evalsuite`", "")


@pytest.mark.parametrize("correction", ["holm", "benjamini_hochberg", "none"])
@pytest.mark.parametrize("opened", [True, False])
def test_a_secondary_family_is_confirmed_and_its_changes_are_noticed(script, tmp_path, capsys, monkeypatch, correction, opened):
    monkeypatch.setattr(script, "N_RESAMPLES", 400)
    rng = np.random.default_rng(2)
    cells = [("zero_shot", "none"), ("few5", "none"), ("zero_shot", "shuffle_choices"), ("few5", "shuffle_choices")]
    rows = [row for strategy, perturbation in cells for row in answers("choices", perturbation, 1, rng, strategy)]
    scores = pd.DataFrame([row for row in rows if row["metric"] == "accuracy"])
    alpha = 0.4 if opened else 0.001
    stated = {"strategies": ["few5"], "perturbations": ["shuffle_choices"]}
    design = AnalysisDesign(
        study="s", pairs=PAIRS, primary_strategy="zero_shot", primary_perturbation="none", primary_metric={"choices": "accuracy"},
        metrics=METRICS, alpha=alpha, margin=0.2, correction=correction, n_resamples=3000, secondary=Secondary(**stated), n_family=2,
        n_secondary=4,
    )  # fmt: skip
    study = {
        "pairs": [list(pair) for pair in PAIRS], "tasks": [{"name": "choices", "metric": "accuracy"}],
        "strategies": [{"name": "zero_shot"}, {"name": "few_shot", "id": "few5"}],
        "analysis": {"primary": {}, "alpha": alpha, "margin": 0.2, "correction": correction, "missing": "incorrect", "n_resamples": 3000,
                     "secondary": stated},
    }  # fmt: skip
    scores.to_parquet(tmp_path / "scores.parquet")
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    frame = compare_frames(scores, design)
    assert frame["role"].tolist() == ["primary"] * 2 + ["secondary"] * 4 + ["exploratory"] * 2
    assert opened == (frame["p_adjusted"][:2].max() <= alpha)
    frame.to_csv(tmp_path / "comparisons.csv", index=False)
    assert script.main([str(tmp_path)]) == 0, capsys.readouterr().out
    changes = {"p_adjusted": 0.9, "p_a_noninferior_adjusted": 0.9, "role": "exploratory", "a_noninferior": not frame["a_noninferior"][2]}
    for column, value in changes.items():
        changed = frame.astype({column: object})
        assert changed.loc[2, column] != value
        changed.loc[2, column] = value
        changed.to_csv(tmp_path / "comparisons.csv", index=False)
        assert script.main([str(tmp_path)]) == 1
        assert column.split("_")[0] in capsys.readouterr().out
    frame.drop(index=2).to_csv(tmp_path / "comparisons.csv", index=False)
    assert script.main([str(tmp_path)]) == 1
    assert "no row of the secondary cell" in capsys.readouterr().out


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
    "p_b_noninferior": lambda x: x + 1e-6,
    "p_a_noninferior_adjusted": lambda x: x + 1e-6,
    "b_noninferior": lambda x: not x,
    "bca_low": lambda x: x - 0.1 if x == x else 0.1,  # set metrics have none
    "boot_high": lambda x: x + 0.1 if x == x else 0.1,
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
