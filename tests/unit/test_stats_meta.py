"""Random-effects meta-analysis: a printed example, formulae by hand, and which tasks enter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.meta_analysis import combine_effects

from evalsuite.metrics import METRICS
from evalsuite.stats.compare import compare_frames
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.meta import COLUMNS, combine, meta_frame
from evalsuite.stats.pooling import primary_units
from evalsuite.stats.tables import split_conditions

# Trials of BCG against tuberculosis: cases and others, vaccinated and not. Source: Colditz et al. 1994 (JAMA 271:698), table 1.
BCG = np.array(
    [
        [4, 119, 11, 128], [6, 300, 29, 274], [3, 228, 11, 209], [62, 13536, 248, 12619], [33, 5036, 47, 5761], [180, 1361, 372, 1079],
        [8, 2537, 10, 619], [505, 87886, 499, 87892], [29, 7470, 45, 7232], [17, 1699, 65, 1600], [186, 50448, 141, 27197],
        [5, 2493, 3, 2338], [27, 16886, 29, 17825],
    ]
)  # fmt: skip
DESIGN = AnalysisDesign(
    study="s", pairs=(("a", "b"),), primary_strategy="zero_shot", primary_perturbation="none",
    primary_metric=dict.fromkeys("tuv", "accuracy"), metrics=METRICS, n_resamples=500,
)  # fmt: skip


def by_hand(d, se, level):
    """Paule and Mandel's variance by root finding, the weighted mean, and the two variances of it."""
    k = len(d)

    def surplus(tau2):
        w = 1 / (se**2 + tau2)
        return float(w @ (d - w @ d / w.sum()) ** 2) - (k - 1)

    tau2 = optimize.brentq(surplus, 0, 100, xtol=1e-15) if surplus(0.0) > 0 else 0.0
    w = 1 / (se**2 + tau2)
    mean = w @ d / w.sum()
    spread = w @ (d - mean) ** 2 / ((k - 1) * w.sum())
    half = stats.t.ppf(0.5 + level / 2, k - 1) * np.sqrt(max(spread, 1 / w.sum()))
    return mean, mean - half, mean + half, tau2


def test_trials_of_bcg():
    cases, others = BCG[:, [0, 2]], BCG[:, [1, 3]]
    totals = cases + others
    d = np.log(cases[:, 0] / totals[:, 0] / (cases[:, 1] / totals[:, 1]))
    se = np.sqrt((1 / cases - 1 / totals).sum(axis=1))
    found = combine(d, se, 0.95)
    # The values that the literature prints for these trials: log risk ratio, tau^2 after Paule and Mandel, Q = 152.23 on 12 df.
    assert found.interval.estimate == pytest.approx(-0.715, abs=5e-4)
    assert found.tau2 == pytest.approx(0.318, abs=5e-4)
    assert found.i2 == pytest.approx(1 - 12 / 152.2330, abs=1e-5)
    assert found.p_heterogeneity == pytest.approx(stats.chi2.sf(152.2330, 12), rel=1e-3)
    mean, low, high, tau2 = by_hand(d, se, 0.95)
    assert (found.interval.estimate, found.interval.low, found.interval.high, found.tau2) == pytest.approx(
        (mean, low, high, tau2), abs=1e-9
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(3, 12), st.floats(0, 0.3), st.integers(0, 10_000))
def test_combined_differences_are_those_of_the_formulae_and_of_statsmodels(k, tau, seed):
    rng = np.random.default_rng(seed)
    se = rng.uniform(0.01, 0.1, size=k)
    d = rng.normal(0.05, np.sqrt(se**2 + tau**2))
    found = combine(d, se, 0.9)
    mean, low, high, tau2 = by_hand(d, se, 0.9)
    assert (found.interval.estimate, found.interval.low, found.interval.high) == pytest.approx((mean, low, high), abs=1e-9)
    assert found.tau2 == pytest.approx(tau2, abs=1e-9)
    assert 0 <= found.i2 < 1
    assert (found.p_value <= 0.1) == (low > 0 or high < 0)
    theirs = combine_effects(d, se**2, method_re="pm", use_t=True)
    assert (found.p_heterogeneity, found.i2) == pytest.approx((theirs.test_homogeneity().pvalue, max(0, theirs.i2)), abs=1e-9)
    if theirs.tau2 > 0 or tau2 == 0:  # its Newton steps give up and return 0 where they pass the solution
        assert (found.tau2, found.interval.estimate) == pytest.approx((theirs.tau2, theirs.mean_effect_re), abs=1e-5)
        assert (found.interval.low, found.interval.high) == pytest.approx(theirs.conf_int(alpha=0.1, use_t=True)[1], abs=1e-5)


def test_a_spread_between_tasks_is_found_where_newton_steps_pass_it():
    rng = np.random.default_rng(5)
    se = rng.uniform(0.01, 0.1, size=3)
    d = rng.normal(0.05, np.sqrt(se**2 + 0.25**2))
    found = combine(d, se, 0.9)
    weights = 1 / (se**2 + found.tau2)
    assert weights @ (d - found.interval.estimate) ** 2 == pytest.approx(2, abs=1e-9)
    assert found.tau2 > 0.01


def test_tasks_that_agree_too_well_do_not_narrow_the_interval():
    d, se = np.array([0.05, 0.05, 0.0501]), np.full(3, 0.02)
    found = combine(d, se, 0.95)
    assert (found.tau2, found.i2) == (0, 0)
    assert found.interval.se == pytest.approx(0.02 / np.sqrt(3))


def test_no_p_is_zero_however_far_the_tasks_are_apart():
    found = combine(np.array([-0.9, 0.0, 0.9]), np.full(3, 0.01), 0.95)
    assert 0 < found.p_heterogeneity < 1e-300


def test_two_tasks_have_a_mean_and_no_interval():
    found = combine(np.array([0.1, 0.2]), np.array([0.02, 0.02]), 0.95)
    assert found.interval.estimate == pytest.approx(0.15)
    assert np.isnan([found.interval.low, found.interval.high, found.p_value]).all()
    with pytest.raises(ValueError, match="two differences"):
        combine(np.array([0.1]), np.array([0.02]), 0.95)
    with pytest.raises(ValueError, match="above 0"):
        combine(np.array([0.1, 0.2]), np.array([0.02, 0.0]), 0.95)


# -------------------------------------------------------------------------------------------------------------- frame


def task_scores(task, a, b, stem, metric="accuracy"):
    names = [f"{stem}{i:03d}" for i in range(len(a))]
    one = {"task": task, "metric": metric, "strategy": "zero_shot", "perturbation": "none", "variant": 0, "replicate": 0}
    sides = [pd.DataFrame({**one, "model": model, "sample_id": names, "group": names, "content_hash": names, "value": values})
             for model, values in (("a", a), ("b", b))]  # fmt: skip
    return pd.concat(sides).assign(value=lambda frame: frame["value"].astype(float), status="scored")


def drawn(task, n, p, stem, seed):
    rng = np.random.default_rng(seed)
    return task_scores(task, rng.random(n) < p[0], rng.random(n) < p[1], stem)


def frame_of(scores, design=DESIGN):
    return meta_frame(compare_frames(scores, design), primary_units(split_conditions(scores, METRICS), design), design)


def test_frame_takes_differences_and_errors_from_the_comparisons():
    scores = pd.concat([drawn(task, n, (0.6, 0.4), task, n) for task, n in (("t", 80), ("u", 120), ("v", 50))])
    wide = scores.pivot_table(index=["task", "sample_id"], columns="model", values="value")
    differences = (wide["a"] - wide["b"]).groupby("task")
    expected = combine(differences.mean().to_numpy(), differences.sem().to_numpy(), 0.95)
    row = frame_of(scores).iloc[0]
    numbers = expected.interval.estimate, expected.interval.low, expected.interval.high, expected.tau2, expected.p_value
    assert (row["difference"], row["ci_low"], row["ci_high"], row["tau2"], row["p_value"]) == pytest.approx(numbers, abs=1e-9)
    assert (row["n_tasks"], row["tasks"], row["left_out"]) == (3, "t,u,v", "")
    assert "no question group stands in two" in row["assumption"]


def test_the_assumption_says_how_many_groups_break_it():
    scores = pd.concat([drawn("t", 80, (0.6, 0.4), "q", 1), drawn("u", 60, (0.6, 0.4), "q", 2), drawn("v", 50, (0.6, 0.4), "z", 3)])
    assert frame_of(scores).iloc[0]["assumption"].endswith("they are not: 60 of 130 question groups stand in more than one task")


def test_tasks_without_a_usable_weight_are_left_out_by_name():
    same = np.tile([1, 0], 30)
    scores = pd.concat([drawn("t", 80, (0.6, 0.4), "t", 1), drawn("u", 60, (0.6, 0.4), "u", 2), task_scores("v", same, same, "v")])
    row = frame_of(scores).iloc[0]
    assert (row["n_tasks"], row["left_out"]) == (2, "v (its differences do not vary)")
    few = pd.concat([scores[scores["task"] != "v"], drawn("v", 6, (0.6, 0.4), "v", 3)])
    assert frame_of(few).iloc[0]["left_out"] == "v (6 groups, 10 are needed)"
    text = scores.assign(metric=scores["task"].map({"t": "accuracy", "u": "accuracy", "v": "rougeL"}))
    row = frame_of(text, replace(DESIGN, primary_metric={"t": "accuracy", "u": "accuracy", "v": "rougeL"})).iloc[0]
    assert (row["n_tasks"], row["left_out"]) == (2, "")
    alone = frame_of(scores[scores["task"] == "t"])
    assert (len(alone), list(alone.columns)) == (0, list(COLUMNS))
