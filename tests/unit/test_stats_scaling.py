"""Means by size and size-matched differences: the same numbers as the pooled ones, and when there is nothing to show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evalsuite.metrics import METRICS
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.pooling import pooled_frame, primary_units
from evalsuite.stats.scaling import MATCHED_COLUMNS, SCALING_COLUMNS, scaling_frame, size_matched_frame
from evalsuite.stats.tables import split_conditions

MODELS = {
    "bio-70b": {"domain": "biomedical", "parameters_b": 70},
    "gen-70b": {"domain": "generalist", "parameters_b": 70.6},
    "bio-8b": {"domain": "biomedical", "parameters_b": 8.03},
    "gen-8b": {"domain": "generalist", "parameters_b": 8.03},
    "gen-7b": {"domain": "generalist", "parameters_b": 7},
    "unknown": {"domain": "generalist", "parameters_b": None},
}
DESIGN = AnalysisDesign(
    study="s", pairs=(("bio-8b", "gen-8b"), ("bio-70b", "gen-70b")), primary_strategy="zero_shot", primary_perturbation="none",
    primary_metric={"x_en": "accuracy", "x_es": "accuracy", "long": "rougeL"}, metrics=METRICS, n_resamples=2000,
)  # fmt: skip


def answered(model, task, values, groups, metric="accuracy"):
    return pd.DataFrame(
        {
            "task": task, "metric": metric, "strategy": "zero_shot", "perturbation": "none", "model": model, "variant": 0, "replicate": 0,
            "sample_id": [f"{task}{i}" for i in range(len(values))], "group": groups, "value": values, "status": "scored",
        }
    )  # fmt: skip


def study(models=MODELS):
    """Thirty questions in English, the first twenty of them in Spanish too, and a task that is not right or wrong."""
    rng = np.random.default_rng(4)
    parts = []
    for model in models:
        parts.append(answered(model, "x_en", rng.integers(0, 2, 30).astype(float), [f"g{i}" for i in range(30)]))
        parts.append(answered(model, "x_es", rng.integers(0, 2, 20).astype(float), [f"g{i}" for i in range(20)]))
        parts.append(answered(model, "long", rng.random(10), [f"h{i}" for i in range(10)], metric="rougeL"))
    return pd.concat(parts, ignore_index=True)


def test_means_are_over_distinct_questions_with_the_interval_of_their_groups():
    scores = study()
    frame = scaling_frame(split_conditions(scores, METRICS), DESIGN, MODELS).set_index("model")
    assert list(frame.reset_index()[list(SCALING_COLUMNS)].columns) == list(SCALING_COLUMNS)
    assert list(frame.index) == ["gen-7b", "bio-8b", "gen-8b", "bio-70b", "gen-70b"]
    for model in frame.index:
        own = scores[(scores["model"] == model) & (scores["metric"] == "accuracy")]
        # a question in two languages counts once: the mean of both
        by_question = own.groupby("group")["value"].mean()
        expected = stats.ttest_1samp(by_question, 0).confidence_interval(0.95)
        row = frame.loc[model]
        assert (row["mean"], row["ci_low"], row["ci_high"]) == pytest.approx((by_question.mean(), expected.low, expected.high), abs=1e-12)
        assert (row["n_questions"], row["n_groups"], row["scope"], row["status_note"]) == (30, 30, "all", "")


def test_differences_of_means_are_the_pooled_differences():
    cells = split_conditions(study(), METRICS)
    means = scaling_frame(cells, DESIGN, MODELS).set_index("model")["mean"]
    pooled = pooled_frame(primary_units(cells, DESIGN), DESIGN, languages={}, families={})
    for row in pooled.to_dict("records"):
        assert row["difference"] == pytest.approx(means[row["model_a"]] - means[row["model_b"]], abs=1e-12)


def test_a_model_that_lacks_a_task_has_a_note_and_no_mean():
    scores = study()
    scores = scores[(scores["model"] != "gen-7b") | (scores["task"] != "x_es")]
    scores.loc[scores.index[(scores["model"] == "bio-8b") & (scores["task"] == "x_en")][0], ["status", "value"]] = ["failed", np.nan]
    frame = scaling_frame(split_conditions(scores, METRICS), DESIGN, MODELS).set_index("model")
    assert np.isnan(frame.loc["gen-7b", "mean"])
    assert frame.loc["gen-7b", "status_note"] == "x_es: not run"
    assert frame.loc["bio-8b", "status_note"] == "x_en: 1 failed answers"
    assert frame.loc["bio-70b", "mean"] > 0


@pytest.mark.parametrize("kept", [("bio-8b", "gen-8b", "gen-7b", "unknown"), ("unknown",), ()])
def test_one_size_is_no_scaling(kept):
    models = {name: MODELS[name] for name in kept}
    cells = split_conditions(study(), METRICS)
    frame = scaling_frame(cells, DESIGN, models)
    assert frame.empty
    assert list(frame.columns) == list(SCALING_COLUMNS)
    text_only = replace(DESIGN, primary_metric={"long": "rougeL"})
    assert scaling_frame(cells, text_only, MODELS).empty
    assert size_matched_frame(cells, text_only, MODELS).empty


def test_specialists_meet_all_generalists_of_their_size():
    cells = split_conditions(study(), METRICS)
    frame = size_matched_frame(cells, DESIGN, MODELS)
    assert list(frame.columns) == list(MATCHED_COLUMNS)
    assert frame[["size", "model_a", "model_b", "declared_pair"]].to_numpy().tolist() == [
        ["7B", "bio-8b", "gen-7b", False],
        ["8.03B", "bio-8b", "gen-8b", True],
        ["70.6B", "bio-70b", "gen-70b", True],
    ]
    wanted = replace(DESIGN, pairs=(("bio-8b", "gen-7b"),))
    (pooled,) = pooled_frame(primary_units(cells, wanted), wanted, languages={}, families={}).to_dict("records")
    first = frame.iloc[0]
    for name in ("difference", "ci_low", "ci_high", "p_value"):
        assert first[name] == pytest.approx(pooled[name], abs=1e-12)
    turned = replace(DESIGN, pairs=(("gen-8b", "bio-8b"), ("gen-70b", "bio-70b")))
    assert list(size_matched_frame(cells, turned, MODELS)["declared_pair"]) == [False, True, True]


def test_nothing_is_shown_where_only_declared_pairs_are_of_one_size():
    models = {name: facts for name, facts in MODELS.items() if name != "gen-7b"}
    frame = size_matched_frame(split_conditions(study(), METRICS), DESIGN, models)
    assert frame.empty
    assert list(frame.columns) == list(MATCHED_COLUMNS)
