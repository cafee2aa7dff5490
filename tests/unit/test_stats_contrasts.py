"""Differences in differences: against SciPy and hand computation, planted effects, invariances, and what blocks them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score

from evalsuite.metrics import METRICS
from evalsuite.stats.contrasts import COLUMNS, contrast_frame, without_size
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.tables import class_counts, split_conditions

DESIGN = AnalysisDesign(
    study="s", pairs=(("a", "b"),), primary_strategy="zero_shot", primary_perturbation="none", primary_metric={"t": "accuracy"},
    metrics=METRICS, n_resamples=2000,
)  # fmt: skip
SIZED = {
    "bio-8b": {"domain": "biomedical", "parameters_b": 8.03},
    "gen-8b": {"domain": "generalist", "parameters_b": 8.03},
    "bio-70b": {"domain": "biomedical", "parameters_b": 70.0},
    "gen-70b": {"domain": "generalist", "parameters_b": 70.6},
}


def cell(
    model, values, *, task="t", metric="accuracy", strategy="zero_shot", perturbation="none", groups=None, names=None, status="scored"
):
    values = np.asarray(values, dtype=float)
    statuses = np.array([status] * len(values)) if isinstance(status, str) else np.asarray(status)
    ids = np.array([f"q{i:05d}" for i in range(len(values))]) if names is None else np.asarray(names)
    return pd.DataFrame(
        {
            "study": "s", "model": model, "task": task, "strategy": strategy, "perturbation": perturbation, "variant": 0, "replicate": 0,
            "sample_id": ids, "group": ids if groups is None else groups, "content_hash": None, "metric": metric,
            "value": np.where(statuses == "scored", values, np.nan), "status": statuses, "answer_index": 1 - values, "target": "0",
        }
    )  # fmt: skip


def frame(scores, design=DESIGN, languages=None, models=None):
    cells = split_conditions(scores, METRICS)
    return contrast_frame(cells, design, languages=languages or {}, models=models or {}, n_classes=class_counts(scores, METRICS))


def answers(seed, n=40, p=0.5):
    return (np.random.default_rng(seed).random(n) < p).astype(float)


def test_a_contrast_of_strategies_is_the_one_sample_t_of_the_differences_in_differences():
    x = {key: answers(i) for i, key in enumerate(("a1", "b1", "a0", "b0"))}
    scores = pd.concat([cell("a", x["a1"], strategy="few"), cell("b", x["b1"], strategy="few"), cell("a", x["a0"]), cell("b", x["b0"])])
    row = frame(scores).iloc[0]
    c = (x["a1"] - x["b1"]) - (x["a0"] - x["b0"])
    expected = stats.ttest_1samp(c, 0).confidence_interval(0.95)
    assert list(frame(scores).columns) == list(COLUMNS)
    assert (row["kind"], row["first"], row["second"]) == ("strategy", "few", "zero_shot")
    assert (row["difference_first"], row["difference_second"]) == pytest.approx(
        ((x["a1"] - x["b1"]).mean(), (x["a0"] - x["b0"]).mean()), abs=1e-12
    )
    assert (row["contrast"], row["ci_low"], row["ci_high"]) == pytest.approx((c.mean(), expected.low, expected.high), abs=1e-12)
    assert (row["n_samples"], row["n_groups"], row["status_note"], row["other_task"]) == (40, 40, "", "")
    flips = stats.permutation_test((c, 0 * c), lambda x, y: (x - y).mean(), permutation_type="samples", n_resamples=4000, rng=1)
    assert row["p_value"] == pytest.approx(flips.pvalue, abs=0.05)  # both within three Monte Carlo errors


def test_p_is_exact_where_few_groups_differ():
    # d differs between the conditions in 6 samples, always in favour of the first: 2 of 2^6 sign vectors are as extreme
    one = np.r_[np.ones(6), np.zeros(14)]
    nothing = np.zeros(20)
    scores = pd.concat([cell("a", one, strategy="few"), cell("b", nothing, strategy="few"), cell("a", nothing), cell("b", nothing)])
    row = frame(scores).iloc[0]
    assert (row["kind"], row["first"], row["second"], row["p_value"]) == ("strategy", "few", "zero_shot", 2 / 64)
    assert row["contrast"] == pytest.approx(0.3)


def test_only_samples_that_both_conditions_have_enter():
    scores = pd.concat(
        [
            cell("a", [1] * 25, strategy="few"), cell("b", [0] * 25, strategy="few", status=["refused"] * 5 + ["scored"] * 20),
            cell("a", [1, 0] * 20), cell("b", [0] * 40),
        ]
    )  # fmt: skip
    row = frame(scores).iloc[0]
    assert (row["n_samples"], row["difference_first"], row["difference_second"]) == (20, 1.0, 0.5)


def test_groups_widen_the_interval():
    scores = pd.concat([cell("a", np.repeat(answers(1, 20), 4), strategy="few"), cell("b", np.zeros(80), strategy="few")])
    scores = pd.concat([scores, cell("a", np.zeros(80)), cell("b", np.zeros(80))])
    single = frame(scores).iloc[0]
    grouped = frame(scores.assign(group=scores["sample_id"].map(lambda name: f"g{int(name[1:]) // 4}"))).iloc[0]
    assert grouped["n_groups"] == 20
    width = (grouped["ci_high"] - grouped["ci_low"]) / stats.t.ppf(0.975, 19)
    # blocks of four equal samples are as good as one of each
    assert width == pytest.approx(2 * stats.sem(answers(1, 20)), abs=1e-12)
    assert single["ci_high"] - single["ci_low"] < grouped["ci_high"] - grouped["ci_low"]


def test_languages_are_contrasted_over_the_groups_that_both_hold():
    en_names, es_names = [f"en{i}" for i in range(40)], [f"es{i}" for i in range(30)]
    en_groups = [f"q{i // 2}" for i in range(40)]  # 20 groups of two samples
    es_groups = [f"q{i + 5}" for i in range(30)]  # 30 groups of one; q5 to q19 are shared
    a_en, b_en, a_es, b_es = answers(1), answers(2), answers(3, 30), answers(4, 30)
    scores = pd.concat(
        [
            cell("a", a_en, task="x_en", groups=en_groups, names=en_names), cell("b", b_en, task="x_en", groups=en_groups, names=en_names),
            cell("a", a_es, task="x_es", groups=es_groups, names=es_names), cell("b", b_es, task="x_es", groups=es_groups, names=es_names),
        ]
    )  # fmt: skip
    design = replace(DESIGN, primary_metric={"x_es": "accuracy", "x_en": "accuracy"})
    row = frame(scores, design, {"x_en": "en", "x_es": "es"}).iloc[0]
    en = (a_en - b_en).reshape(20, 2).mean(axis=1)[5:]
    es = (a_es - b_es)[:15]
    expected = stats.ttest_1samp(es - en, 0).confidence_interval(0.95)
    assert (row["task"], row["other_task"], row["first"], row["second"]) == ("x_es", "x_en", "es", "en")  # the study's order
    assert (row["n_groups"], row["n_samples"]) == (15, 45)
    assert (row["contrast"], row["ci_low"], row["ci_high"]) == pytest.approx(((es - en).mean(), expected.low, expected.high), abs=1e-12)
    assert frame(scores, design, {"x_en": "en", "x_es": "en"}).empty
    assert frame(scores, design, {"x_en": "en"}).empty
    apart = scores.assign(group=scores["sample_id"])
    assert frame(apart, design, {"x_en": "en", "x_es": "es"}).empty


def test_sizes_are_contrasted_on_the_same_samples_larger_first():
    values = {name: answers(i) for i, name in enumerate(SIZED)}
    scores = pd.concat([cell(name, x) for name, x in values.items()])
    design = replace(DESIGN, pairs=(("bio-8b", "gen-8b"), ("bio-70b", "gen-70b")))
    (row,) = frame(scores, design, models=SIZED).to_dict("records")
    c = (values["bio-70b"] - values["gen-70b"]) - (values["bio-8b"] - values["gen-8b"])
    assert [row[key] for key in ("kind", "model_a", "model_b", "other_a", "other_b", "first", "second")] == [
        "size", "bio-70b", "gen-70b", "bio-8b", "gen-8b", "70.6B", "8.03B",
    ]  # fmt: skip
    assert row["contrast"] == pytest.approx(c.mean(), abs=1e-12)


@pytest.mark.parametrize(
    "change",
    [
        {"gen-70b": {"domain": "generalist", "parameters_b": None}},
        {"gen-70b": {"domain": "biomedical", "parameters_b": 70}},
        {"gen-70b": {"domain": "generalist", "parameters_b": 12}, "bio-70b": {"domain": "biomedical", "parameters_b": 12}},
        {"gen-70b": {"domain": "generalist", "parameters_b": 8.03}},
    ],
)
def test_sizes_that_are_unknown_mixed_or_alike_are_not_contrasted(change):
    ratio = {"bio-8b": {"domain": "biomedical", "parameters_b": 9}, "gen-8b": {"domain": "generalist", "parameters_b": 9}}
    scores = pd.concat([cell(name, answers(i)) for i, name in enumerate(SIZED)])
    design = replace(DESIGN, pairs=(("bio-8b", "gen-8b"), ("bio-70b", "gen-70b")))
    assert frame(scores, design, models={**SIZED, **ratio, **change}).empty


def test_other_families_are_no_contrast_of_size():
    assert without_size("openbiollm-70b") == without_size("openbiollm-8B") == "openbiollm"
    assert without_size("llama-3-70b-instruct") == without_size("llama-3-8b-instruct")
    assert without_size("llama-3.1-8b") != without_size("llama-3-70b")
    assert without_size("qwen2.5-0.5b") == without_size("qwen2.5-500m")
    models = {**SIZED, "other-70b": SIZED["bio-70b"]}
    scores = pd.concat([cell(name, answers(i)) for i, name in enumerate(models)])
    design = replace(DESIGN, pairs=(("bio-8b", "gen-8b"), ("other-70b", "gen-70b")))
    assert frame(scores, design, models=models).empty


@pytest.mark.parametrize(
    ("side", "note"),
    [("failed", "few: 1 failed answers"), ("alone", "few: 2 answers that only one side has"), ("absent", "few: no scores of b")],
)
def test_faults_of_a_condition_leave_a_note_and_no_numbers(side, note):
    few = {"failed": cell("b", [0] * 20, strategy="few", status=["failed"] + ["scored"] * 19), "alone": cell("b", [0] * 18, strategy="few")}
    scores = pd.concat([cell("a", [1] * 20, strategy="few"), few.get(side), cell("a", [1] * 20), cell("b", [0] * 20)])
    row = frame(scores).iloc[0]
    assert (row["status_note"], row["n_samples"]) == (note, 0)
    assert row[["difference_first", "difference_second", "contrast", "ci_low", "ci_high", "p_value"]].isna().all()


def test_few_groups_and_silent_models_are_said():
    scores = pd.concat([cell("a", [1] * 5, strategy="few"), cell("b", [0] * 5, strategy="few", status="unparsed")])
    scores = pd.concat([scores, cell("a", [1] * 5), cell("b", [0] * 5)])
    row = frame(scores).iloc[0]
    assert row["status_note"] == "5 groups, 10 are needed; no answer of b could be read under few"
    assert row["contrast"] == 0
    nothing = frame(pd.concat([scores[scores["strategy"] == "zero_shot"].assign(sample_id="z", group="z").iloc[[0, 5]],
                               scores[scores["strategy"] == "few"]])).iloc[0]  # fmt: skip
    assert nothing["status_note"] == "no samples that both conditions have"
    assert np.isnan(nothing["contrast"])


def test_macro_f1_is_contrasted_by_the_jackknife():
    rng = np.random.default_rng(3)
    target = rng.integers(0, 3, 60)
    predicted = {key: np.where(rng.random(60) < 0.6, target, rng.integers(0, 3, 60)) for key in ("a1", "b1", "a0", "b0")}
    parts = []
    for (model, strategy), values in zip(
        (("a", "few"), ("b", "few"), ("a", "zero_shot"), ("b", "zero_shot")), predicted.values(), strict=True
    ):
        part = cell(model, (values == target).astype(float), metric="macro_f1", strategy=strategy)
        parts.append(part.assign(answer_index=values, target=target.astype(str)))
    row = frame(pd.concat(parts), replace(DESIGN, primary_metric={"t": "macro_f1"})).iloc[0]

    def contrast(kept):
        f = [f1_score(target[kept], values[kept], average="macro") for values in predicted.values()]
        return f[0] - f[1] - f[2] + f[3]

    everything = np.ones(60, dtype=bool)
    without = np.array([contrast(np.arange(60) != i) for i in range(60)])
    se = np.sqrt(59 / 60 * ((without - without.mean()) ** 2).sum())
    full = contrast(everything)
    half = stats.t.ppf(0.975, 59) * se
    assert (row["contrast"], row["ci_low"], row["ci_high"]) == pytest.approx((full, full - half, full + half), abs=1e-12)
    assert row["p_value"] == pytest.approx(2 * stats.t.sf(abs(full) / se, 59), abs=1e-12)


def test_metrics_that_differ_between_languages_cannot_be_contrasted():
    scores = pd.concat([cell(m, answers(1), task=t, metric=k) for m in "ab" for t, k in (("x_en", "accuracy"), ("x_es", "rougeL"))])
    design = replace(DESIGN, primary_metric={"x_en": "accuracy", "x_es": "rougeL"})
    row = frame(scores, design, {"x_en": "en", "x_es": "es"}).iloc[0]
    assert row["status_note"] == "the tasks are compared on different metrics, accuracy and rougeL"
    assert np.isnan(row["contrast"])


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(12, 30))
def test_contrasts_turn_with_the_pair_and_do_not_see_the_order_of_rows(seed, n):
    rng = np.random.default_rng(seed)
    groups = [f"g{i}" for i in rng.integers(0, 10, n)]
    scores = pd.concat([cell(m, rng.integers(0, 2, n), strategy=s, groups=groups) for m in "ab" for s in ("zero_shot", "few")])
    row = frame(scores).iloc[0]
    turned = frame(scores.sample(frac=1, random_state=seed), replace(DESIGN, pairs=(("b", "a"),))).iloc[0]
    assert (row["contrast"], row["ci_low"], row["p_value"]) == pytest.approx((-turned["contrast"], -turned["ci_high"], turned["p_value"]))


def test_the_interval_covers_and_the_test_holds_under_no_contrast():
    """Both models gain the same from the first condition; 120 studies of 60 samples in 30 groups."""
    rng = np.random.default_rng(11)
    groups = [f"g{i // 2}" for i in range(60)]
    design = replace(DESIGN, n_resamples=499)
    covered, rejected = 0, 0
    for _ in range(120):
        ease = np.repeat(rng.normal(0, 0.15, 30), 2)
        parts = [
            cell(m, rng.random(60) < np.clip(0.45 + shift + gain + ease, 0, 1), strategy=s, groups=groups)
            for m, shift in (("a", 0.1), ("b", 0.0))
            for s, gain in (("few", 0.15), ("zero_shot", 0.0))
        ]
        row = frame(pd.concat(parts), design).iloc[0]
        covered += row["ci_low"] <= 0 <= row["ci_high"]
        rejected += row["p_value"] <= 0.05
    # three binomial standard errors about 114 and 6
    assert abs(covered - 114) <= 7
    assert rejected <= 6 + 7
