"""The mixed-effects logistic model: a known odds ratio is found again, and nothing is fitted unless asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evalsuite.metrics import METRICS
from evalsuite.stats import mixed
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.mixed import COLUMNS, mixed_frame
from evalsuite.stats.pooling import primary_units
from evalsuite.stats.tables import split_conditions

DESIGN = AnalysisDesign(
    study="s", pairs=(("a", "b"),), primary_strategy="zero_shot", primary_perturbation="none",
    primary_metric=dict.fromkeys("tuv", "accuracy"), metrics=METRICS, mixed_model=True,
)  # fmt: skip


def simulated(log_odds_ratio, n_groups, sd_group, seed, tasks="tuv", per_group=2):
    """Answers of two models whose odds of being right differ by the same ratio on every question."""
    rng = np.random.default_rng(seed)
    of_task = dict(zip(tasks, rng.normal(0, 0.5, size=len(tasks)), strict=True))
    rows = []
    for number in range(n_groups):
        task, effect = tasks[number % len(tasks)], rng.normal(0, sd_group)
        for sample in range(per_group):
            for model, side in (("a", 0.5), ("b", -0.5)):
                right = rng.random() < 1 / (1 + np.exp(-(0.2 + effect + of_task[task] + side * log_odds_ratio)))
                rows.append((model, task, f"{number}-{sample}", f"g{number:04d}", float(right)))
    frame = pd.DataFrame(rows, columns=["model", "task", "sample_id", "group", "value"])
    cell = {"metric": "accuracy", "strategy": "zero_shot", "perturbation": "none", "variant": 0, "replicate": 0, "status": "scored"}
    return frame.assign(**cell)


def frame_of(scores, design=DESIGN):
    return mixed_frame(primary_units(split_conditions(scores, METRICS), design), design)


def test_a_known_odds_ratio_is_found_again():
    scores = simulated(0.8, 500, 1.5, seed=1)
    row = frame_of(scores).iloc[0]
    # Three standard errors; without the random effects the odds ratio would be about exp(0.8 / 1.3).
    assert np.log(row["odds_ratio"]) == pytest.approx(0.8, abs=0.3)
    assert row["ci_low"] < np.exp(0.8) < row["ci_high"]
    assert row["sd_question"] == pytest.approx(1.5, abs=0.3)
    assert (row["n_answers"], row["n_groups"], row["n_tasks"]) == (2000, 500, 3)
    right = scores.groupby("model")["value"].mean()
    marginal = np.log(right["a"] / (1 - right["a"]) / (right["b"] / (1 - right["b"])))
    assert np.log(row["odds_ratio"]) > marginal + 0.05
    assert "approximate" in row["note"]
    assert "converge" not in row["note"]


def test_swapped_models_have_the_inverse_and_rows_may_come_in_any_order():
    scores = simulated(0.5, 60, 1.0, seed=2)
    row, swapped = frame_of(scores).iloc[0], frame_of(scores, replace(DESIGN, pairs=(("b", "a"),))).iloc[0]
    assert swapped["odds_ratio"] == pytest.approx(1 / row["odds_ratio"], rel=1e-3)
    assert (swapped["ci_low"], swapped["ci_high"]) == pytest.approx((1 / row["ci_high"], 1 / row["ci_low"]), rel=1e-3)
    pd.testing.assert_frame_equal(frame_of(scores.sample(frac=1, random_state=0)), frame_of(scores))


def test_it_is_not_fitted_unless_the_study_asks(monkeypatch):
    scores = simulated(0.5, 30, 1.0, seed=3)
    monkeypatch.setattr(mixed, "fit", lambda _: pytest.fail("fitted"))
    frame = frame_of(scores, replace(DESIGN, mixed_model=False))
    assert (len(frame), list(frame.columns)) == (0, list(COLUMNS))


def test_what_cannot_be_fitted_says_why():
    scores = simulated(0.5, 30, 1.0, seed=4)
    lost = frame_of(scores[(scores["task"] != "v") | (scores["model"] == "a")]).iloc[0]
    assert (lost["note"], np.isnan(lost["odds_ratio"])) == ("not fitted: v could not enter", True)
    same = frame_of(scores.assign(value=1.0)).iloc[0]
    assert (same["note"], np.isnan(same["odds_ratio"])) == ("not fitted: every answer is the same", True)


def test_one_task_has_no_spread_of_tasks():
    row = frame_of(simulated(0.5, 40, 1.0, seed=5, tasks="t"), replace(DESIGN, primary_metric={"t": "accuracy"})).iloc[0]
    assert np.isfinite(row["odds_ratio"])
    assert np.isnan(row["sd_task"])


def test_of_very_many_groups_a_seeded_part_is_fitted_and_the_note_says_so(monkeypatch):
    monkeypatch.setattr(mixed, "MAX_GROUPS", 40)
    scores = simulated(0.5, 90, 1.0, seed=6)
    row = frame_of(scores).iloc[0]
    assert (row["n_groups"], row["n_answers"]) == (40, 160)
    assert "fitted to 40 of 90 question groups" in row["note"]
    assert frame_of(scores).iloc[0]["odds_ratio"] == row["odds_ratio"]
    assert frame_of(scores, replace(DESIGN, seed=1)).iloc[0]["odds_ratio"] != row["odds_ratio"]
