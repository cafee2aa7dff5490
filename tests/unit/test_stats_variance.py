"""Variance parts: by hand, against statsmodels' analysis of variance, recovered from simulated components."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from evalsuite.metrics import METRICS
from evalsuite.stats.compare import compare_frames
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.differences import Differences
from evalsuite.stats.tables import split_conditions
from evalsuite.stats.variance import COLUMNS, Part, facet_part, n_to_halve, strategy_families, variance_frame

DESIGN = AnalysisDesign(
    study="s", pairs=(("a", "b"),), primary_strategy="zero", primary_perturbation="none", primary_metric={"t": "rougeL"}, metrics=METRICS,
)  # fmt: skip
SEEDS = {
    "zero": ("zero_shot", {"format": "auto"}),
    "few": ("few_shot", {"shots": 5, "exemplar_seed": 0}),
    "few_1": ("few_shot", {"shots": 5, "exemplar_seed": 1}),
    "few_2": ("few_shot", {"shots": 5, "exemplar_seed": 2}),
    "ten": ("few_shot", {"shots": 10, "exemplar_seed": 2}),
}


def answers(differences, *, strategy="zero", groups=None, metric="rougeL", names=None):
    """Scores of a and b whose differences are given as {(sample, variant, replicate): d}; b has 0.5 everywhere."""
    rows = []
    for (sample, variant, replicate), d in differences.items():
        name = f"q{sample:05d}" if names is None else names[sample]
        row = {
            "task": "t", "metric": metric, "strategy": strategy, "perturbation": "none", "sample_id": name, "variant": variant,
            "replicate": replicate, "group": name if groups is None else groups[sample], "status": "scored",
        }  # fmt: skip
        rows += [row | {"model": "a", "value": 0.5 + d}, row | {"model": "b", "value": 0.5}]
    return pd.DataFrame(rows)


def parts(scores, design=DESIGN, strategies=None):
    frame = variance_frame(split_conditions(scores, METRICS), design, strategies or {})
    return {row["part"]: row for row in frame.to_dict("records")}


def of_table(values, strategy="zero", groups=None):
    """Scores from an (n, K) table, replicates in columns."""
    return answers({(i, 0, k): d for i, row in enumerate(values) for k, d in enumerate(row)}, strategy=strategy, groups=groups)


def test_three_samples_with_two_replicates_by_hand():
    # means 2, 2, 5, their variance 3; within samples (2 + 0 + 2) / 3
    found = parts(of_table([[1, 3], [2, 2], [6, 4]]))
    assert list(found) == ["samples", "replicates"]
    samples, replicates = found["samples"], found["replicates"]
    assert (samples["n"], samples["variance"], samples["share"]) == pytest.approx((3, 3 - 2 / 3, 7 / 9), abs=1e-12)
    assert (replicates["n"], replicates["variance"], replicates["share"]) == pytest.approx((2, 4 / 3, 2 / 9), abs=1e-12)
    assert samples["se_now"] == replicates["se_now"] == pytest.approx(1)
    # four times the samples; with replicates alone 7/9 of the variance would stay
    assert samples["n_to_halve"] == 12
    assert math.isnan(replicates["n_to_halve"])


def test_the_standard_error_is_that_of_the_comparison():
    rng = np.random.default_rng(2)
    groups = [f"g{i // 3}" for i in range(60)]
    scores = of_table(np.repeat(rng.normal(size=20), 3)[:, None] + rng.normal(size=(60, 4)), groups=groups)
    found = parts(scores)
    row = compare_frames(scores.assign(target="0", answer_index=0, content_hash=None), DESIGN).iloc[0]
    assert row["ci_high"] - row["difference"] == pytest.approx(stats.t.ppf(0.975, 19) * found["samples"]["se_now"], abs=1e-12)
    assert found["samples"]["note"] == "in 20 groups; the variance counts how they hang together"


def test_balanced_parts_are_those_of_nested_analysis_of_variance():
    rng = np.random.default_rng(5)
    n, n_variants, n_replicates = 12, 3, 2
    table = {(i, v, k): d for (i, v, k), d in np.ndenumerate(rng.normal(size=(n, n_variants, n_replicates)) + rng.normal(size=(n, 1, 1)))}
    found = parts(answers(table))
    long = pd.DataFrame([(i, f"{i}-{v}", d) for (i, v, _), d in table.items()], columns=["sample", "cell", "d"])
    of_samples, of_cells = (ols(f"d ~ C({name})", long).fit() for name in ("sample", "cell"))
    residual = of_cells.ssr / of_cells.df_resid
    cells = (of_samples.ssr - of_cells.ssr) / (of_samples.df_resid - of_cells.df_resid)
    between = of_samples.ess / of_samples.df_model
    assert found["replicates"]["variance"] == pytest.approx(residual, abs=1e-9)
    assert found["variants"]["variance"] == pytest.approx((cells - residual) / n_replicates, abs=1e-9)
    assert found["samples"]["variance"] == pytest.approx((between - cells) / (n_variants * n_replicates), abs=1e-9)
    assert sum(row["share"] for row in found.values()) == pytest.approx(1)
    assert [row["n"] for row in found.values()] == [12, 3, 2]


def test_simulated_components_are_recovered_from_unequal_numbers():
    """Components 0.09, 0.04, 0.01 within 6 %, of 4,000 samples with 1 to 3 variants of 1 to 3 replicates."""
    rng = np.random.default_rng(0)
    table = {}
    for i in range(4000):
        own = rng.normal(0, 0.3)
        for v in range(rng.integers(1, 4)):
            shown = rng.normal(0, 0.2)
            table.update({(i, v, k): own + shown + rng.normal(0, 0.1) for k in range(rng.integers(1, 4))})
    found = parts(answers(table))
    assert found["samples"]["variance"] == pytest.approx(0.09, rel=0.06)
    assert found["variants"]["variance"] == pytest.approx(0.04, rel=0.06)
    assert found["replicates"]["variance"] == pytest.approx(0.01, rel=0.06)


def test_right_or_wrong_answers_follow_millers_equation_for_replicates():
    """Drawn with p per question and model: the part of K replicates is the mean of p (1 - p), both models, over K n."""
    rng = np.random.default_rng(1)
    n, k = 3000, 4
    p_a, p_b = rng.random(n), rng.random(n)
    d = (rng.random((n, k)) < p_a[:, None]).astype(float) - (rng.random((n, k)) < p_b[:, None])
    found = parts(of_table(d))
    assert found["replicates"]["variance"] == pytest.approx((p_a * (1 - p_a) + p_b * (1 - p_b)).mean(), rel=0.03)
    assert found["samples"]["variance"] == pytest.approx((p_a - p_b).var(), rel=0.06)


def test_exemplar_seeds_are_a_crossed_facet_of_two_way_analysis_of_variance():
    rng = np.random.default_rng(8)
    n, ids = 30, ("few", "few_1", "few_2")
    table = rng.normal(size=(n, 1)) + np.array([0.0, 1.5, -1.0]) + rng.normal(size=(n, 3))
    scores = pd.concat([of_table(table[:, [k]], strategy=name) for k, name in enumerate(ids)])
    found = parts(scores, strategies=SEEDS)
    long = pd.DataFrame([(i, k, d) for (i, k), d in np.ndenumerate(table)], columns=["sample", "seed", "d"])
    fit = anova_lm(ols("d ~ C(sample) + C(seed)", long).fit(), typ=2)
    square = fit["sum_sq"] / fit["df"]
    assert list(found) == ["samples", "exemplar_seeds", "residual"]
    assert {row["strategy"] for row in found.values()} == {"few"}
    assert found["exemplar_seeds"]["variance"] == pytest.approx((square["C(seed)"] - square["Residual"]) / n, abs=1e-9)
    assert found["residual"]["variance"] == pytest.approx(square["Residual"], abs=1e-9)
    assert found["samples"]["variance"] == pytest.approx(table[:, 0].var(ddof=1) - square["Residual"], abs=1e-9)
    total = table[:, 0].var(ddof=1) / n + found["exemplar_seeds"]["variance"]
    assert found["samples"]["se_now"] == pytest.approx(math.sqrt(total), abs=1e-12)
    assert found["exemplar_seeds"]["note"] == "from 3 exemplar seeds; no interval of a single strategy holds this part"
    # seeds are most of the variance here: samples alone cannot halve the standard error, seeds can
    assert math.isnan(found["samples"]["n_to_halve"])
    assert found["exemplar_seeds"]["n_to_halve"] > 1
    assert math.isnan(found["residual"]["n_to_halve"])


def test_more_exemplar_seeds_average_replicates_too():
    """Nothing but replicates' noise: under twice the seeds there are twice the answers, so that four seeds halve the standard error."""
    rng = np.random.default_rng(3)
    scores = pd.concat([of_table(rng.normal(size=(400, 2)), strategy=name) for name in ("few", "few_1", "few_2")])
    found = parts(scores, strategies=SEEDS)
    assert found["replicates"]["share"] > 0.9
    assert found["exemplar_seeds"]["n_to_halve"] in (4, 5)


def test_the_primary_strategy_stands_for_its_family():
    rng = np.random.default_rng(3)
    scores = pd.concat([of_table(rng.normal(size=(20, 1)), strategy=name) for name in ("few", "few_1")])
    design = replace(DESIGN, primary_strategy="few_1")
    frame = variance_frame(split_conditions(scores, METRICS), design, SEEDS)
    assert set(frame["strategy"]) == {"few_1"}
    assert list(frame.columns) == list(COLUMNS)


def test_clusters_do_not_pass_for_a_facet():
    """No true difference between seeds, but an interaction that groups of ten share: 400 draws of 6 groups, mean near 0."""
    rng = np.random.default_rng(4)
    groups = np.repeat([f"g{i}" for i in range(6)], 10)
    names = np.array([f"q{i:03d}" for i in range(60)])
    raw, naive = [], []
    for _ in range(400):
        table = np.repeat(rng.normal(size=(6, 3)), 10, axis=0) + 0.1 * rng.normal(size=(60, 3))
        found = facet_part("prompts", [Differences(names=names, groups=groups, values=column) for column in table.T])
        centred = table - table.mean(axis=1, keepdims=True)
        means = centred.mean(axis=0)
        raw.append(means @ means / 2 - found.interaction)
        naive.append(means @ means / 2 - (centred - means).var(ddof=0) * 3 / 2 / 59)
    error = np.std(raw) / 20
    assert abs(np.mean(raw)) < 4 * error
    assert np.mean(naive) > 8 * error


def test_families_differ_in_one_thing_only():
    (family,) = strategy_families(SEEDS)
    assert (family.facet, family.members) == ("exemplar_seeds", ("few", "few_1", "few_2"))
    prompts = {"x": ("cot", {"template": "one"}), "y": ("cot", {"template": "two"}), "same": ("cot", {"template": "two"})}
    (family,) = strategy_families(prompts)
    assert (family.facet, family.members) == ("prompts", ("x", "y"))
    assert strategy_families({"x": ("cot", {"template": "one"}), "y": ("direct", {"template": "two"})}) == ()


def test_negative_estimates_become_zero_and_say_so():
    # sample means are all alike, though replicates differ: less than chance
    found = parts(of_table([[1, -1], [-1, 1], [1, -1], [-1, 1]]))
    assert (found["samples"]["variance"], found["samples"]["note"]) == (0, "the estimate was below 0 and is set to 0")
    assert found["replicates"]["share"] == 1
    assert found["replicates"]["n_to_halve"] == 8


def test_what_does_not_vary_has_no_shares():
    found = parts(of_table(np.zeros((5, 2))))
    assert all(math.isnan(row["share"]) and row["se_now"] == 0 and math.isnan(row["n_to_halve"]) for row in found.values())


def test_nothing_is_told_where_only_samples_vary():
    rng = np.random.default_rng(0)
    assert parts(of_table(rng.normal(size=(20, 1))), strategies=SEEDS) == {}
    assert parts(of_table(rng.normal(size=(20, 2))).assign(group="g")) == {}
    failed = of_table(rng.normal(size=(20, 2)))
    failed.loc[0, ["status", "value"]] = ["failed", np.nan]
    assert parts(failed) == {}
    sets = replace(DESIGN, primary_metric={"t": "macro_f1"})
    answered = answers({(i, 0, k): 0.5 for i in range(9) for k in (0, 1)}, metric="macro_f1").assign(target="0", answer_index=0)
    assert parts(answered, sets) == {}


@settings(deadline=None, max_examples=50)
@given(st.floats(0.001, 1), st.floats(0, 1), st.integers(1, 20))
def test_the_number_to_halve_is_the_least_that_does(share_of_part, rest, n):
    total = share_of_part + rest
    part = Part(name="replicates", n=n, variance=1, of_mean=share_of_part, reducible=share_of_part)
    wanted = n_to_halve(part, total)

    def variance(number):
        return rest + share_of_part * n / number

    if math.isnan(wanted):
        assert rest >= total / 4 - 1e-9
    else:
        assert variance(wanted) <= total / 4 * (1 + 1e-9)
        assert variance(wanted - 1) > total / 4 * (1 - 1e-9)
