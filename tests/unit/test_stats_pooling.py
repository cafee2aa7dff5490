"""The pooled difference: weights by hand, one task, repeated tasks, intervals against statsmodels, and what takes the verdict away."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evalsuite.metrics import METRICS
from evalsuite.stats.arrays import cluster_t_interval, least_variation, partition
from evalsuite.stats.compare import compare_frames
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.pooling import (
    COLUMNS,
    is_share,
    least_pooled_variation,
    pooled_frame,
    primary_units,
    sample_weights,
    task_counts,
    weighted_interval,
)
from evalsuite.stats.tables import split_conditions

DESIGN = AnalysisDesign(
    study="s", pairs=(("a", "b"),), primary_strategy="zero_shot", primary_perturbation="none",
    primary_metric={"t": "accuracy"}, metrics=METRICS, n_resamples=2000,
)  # fmt: skip
IN_COMMON = (
    "model_a", "model_b", "strategy", "perturbation", "n_samples", "n_groups", "mean_a", "mean_b", "difference", "ci_low",
    "ci_high", "ci_level", "p_value", "p_adjusted", "margin", "equivalence_low", "equivalence_high", "p_equivalence",
    "p_equivalence_adjusted", "p_a_noninferior", "p_b_noninferior", "a_noninferior", "b_noninferior", "within_margin",
    "verdict", "role", "boot_low", "boot_high", "status_note",
)  # fmt: skip


def answers(model, task, values, groups, *, metric="accuracy", status="scored", replicate=0):
    """Scores of one model on one task: sample i of `values` in group i of `groups`."""
    statuses = np.array([status] * len(values)) if isinstance(status, str) else np.asarray(status)
    names = [f"{task}-{i:04d}" for i in range(len(values))]
    return pd.DataFrame(
        {
            "model": model, "task": task, "metric": metric, "strategy": "zero_shot", "perturbation": "none", "variant": 0,
            "replicate": replicate, "sample_id": names, "group": list(groups), "content_hash": names, "status": statuses,
            "value": np.where(statuses == "scored", np.asarray(values, dtype=float), np.nan),
        }
    )  # fmt: skip


def paired(task, a, b, groups, **options):
    return pd.concat([answers("a", task, a, groups, **options), answers("b", task, b, groups, **options)])


def names(n, stem="q"):
    return [f"{stem}{i:03d}" for i in range(n)]


def random_task(task, n, seed, stem="q", p=(0.6, 0.5), per_group=1):
    rng = np.random.default_rng(seed)
    groups = np.repeat(names(-(-n // per_group), stem), per_group)[:n]
    return paired(task, rng.random(n) < p[0], rng.random(n) < p[1], groups)


def design_for(scores, **changes):
    return replace(DESIGN, **({"primary_metric": dict.fromkeys(sorted(set(scores["task"])), "accuracy")} | changes))


def pooled(scores, design=None, languages=None, families=None):
    design = design or design_for(scores)
    units = primary_units(split_conditions(scores, METRICS), design)
    return pooled_frame(units, design, languages=languages or {}, families=families or {})


def first(scores, design=None):
    return pooled(scores, design).iloc[0]


# ------------------------------------------------------------------------------------------------------------ weights


def weights_of(tasks, groups, rule):
    index = partition(groups).index
    numbers = np.unique(tasks, return_inverse=True)[1]
    return sample_weights(task_counts(numbers, index), numbers, index, rule)


def test_weights_by_hand():
    # x is translated, v a vignette of three in A of which B has one, z stands only in B.
    tasks, groups = list("ABAAABB"), list("xxvvvvz")
    questions = weights_of(tasks, groups, "questions")
    assert questions == pytest.approx([1 / 2, 1 / 2, 3 / 4, 3 / 4, 3 / 4, 3 / 4, 1])
    assert questions.sum() == pytest.approx(1 + 3 + 1)
    # A has four samples, B three: x is 1/4 of A and 1/3 of B, v is 3/4 of A and 1/3 of B, z is nothing of A and 1/3 of B.
    x, v = (1 / 3) / (1 / 4 + 1 / 3), (3 / 4) / (3 / 4 + 1 / 3)
    expected = [x / 4, x / 3, v / 4, v / 4, v / 4, v / 3, 1 / 3]
    assert weights_of(tasks, groups, "tasks") == pytest.approx(expected)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from("uvwxyz")), min_size=1, max_size=30))
def test_a_group_counts_as_often_as_in_the_task_that_holds_most_of_it(rows):
    tasks, groups = (np.array(column) for column in zip(*rows, strict=True))
    weights = weights_of(tasks, groups, "questions")
    for group in set(groups):
        own = groups == group
        assert weights[own].sum() == pytest.approx(max(sum(own & (tasks == task)) for task in "ABC"))
        assert np.ptp(weights[own]) == 0


def test_tasks_count_the_same_and_repeated_ones_once():
    n_small, n_large = 10, 100
    tasks = np.repeat(["A", "B", "C"], [n_small, n_large, n_large])
    apart = names(n_small, "s") + names(n_large, "b") + names(n_large, "c")
    weights = weights_of(tasks, apart, "tasks")
    assert [weights[tasks == task].sum() for task in "ABC"] == pytest.approx([1, 1, 1])
    repeated = names(n_small, "s") + names(n_large, "b") + names(n_large, "b")
    weights = weights_of(tasks, repeated, "tasks")
    assert [weights[tasks == task].sum() for task in "ABC"] == pytest.approx([1, 0.5, 0.5])


def test_a_handful_of_shared_questions_does_not_make_two_tasks_one():
    tasks = np.repeat(["A", "B"], 100)
    groups = names(100, "a") + names(97, "b") + names(3, "a")
    weights = weights_of(tasks, groups, "tasks")
    assert [weights[tasks == task].sum() for task in "AB"] == pytest.approx([0.985, 0.985])
    assert weights.sum() == pytest.approx(1.97)


# --------------------------------------------------------------------------------------------------------- the number


def test_translations_by_hand():
    # Ten questions in two languages and two in a third task; a is right on all of English and on the third task, b on half of Spanish.
    en = paired("en", [1] * 10, [0] * 10, names(10))
    es = paired("es", [0] * 10, [1] * 5 + [0] * 5, names(10))
    third = paired("other", [1] * 2, [0] * 2, names(2, "z"))
    row = first(pd.concat([en, es, third]))
    # Questions 0-4: d = 1 and -1, questions 5-9: 1 and 0, half weight each; then two with d = 1.
    difference = (5 * 0 + 5 * 0.5 + 2 * 1) / 12
    assert (row["n_tasks"], row["n_samples"], row["n_questions"], row["n_groups"]) == (3, 22, 12, 12)
    assert (row["mean_a"], row["mean_b"], row["difference"]) == pytest.approx(((5 + 2) / 12, 2.5 / 12, difference))
    per_question = np.array([0] * 5 + [0.5] * 5 + [1] * 2)
    expected = stats.ttest_1samp(per_question, 0).confidence_interval(0.95)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((expected.low, expected.high), abs=1e-12)
    signs = np.array(list(product([1, -1], repeat=7)))
    flipped = np.abs(signs @ per_question[5:])
    assert row["p_value"] == pytest.approx((flipped >= per_question.sum() - 1e-9).mean())
    assert row["tasks"] == "en,es,other"


@pytest.mark.parametrize("pooling", ["questions", "tasks"])
@pytest.mark.parametrize(("n", "per_group", "p"), [(60, 1, (0.6, 0.3)), (90, 3, (0.5, 0.5)), (400, 1, (1.0, 1.0)), (12, 2, (0.9, 0.1))])
def test_one_task_says_what_its_comparison_says(pooling, n, per_group, p):
    scores = random_task("t", n, 3, p=p, per_group=per_group)
    design = design_for(scores, pooling=pooling)
    comparison, row = compare_frames(scores, design).iloc[0], first(scores, design)
    row, expected = (own[list(IN_COMMON)].fillna(-9.0).to_dict() for own in (row, comparison))
    for column in IN_COMMON:
        assert row[column] == pytest.approx(expected[column], abs=1e-12), column
    assert first(scores, design)["se"] == pytest.approx(
        (row["ci_high"] - row["ci_low"]) / 2 / stats.t.ppf(0.975, row["n_groups"] - 1), abs=1e-12
    )


@pytest.mark.parametrize("pooling", ["questions", "tasks"])
def test_a_task_that_repeats_another_changes_nothing(pooling):
    scores = random_task("t", 60, 5, per_group=2)
    twice = pd.concat([scores, scores.assign(task="u")])
    alone, both = first(scores), first(twice, design_for(twice, pooling=pooling))
    for column in (
        "difference",
        "se",
        "ci_low",
        "ci_high",
        "mean_a",
        "mean_b",
        "equivalence_low",
        "p_equivalence",
        "n_groups",
        "n_questions",
    ):
        assert both[column] == pytest.approx(alone[column], abs=1e-12), column
    assert both["n_samples"] == 2 * alone["n_samples"]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 40))
def test_interval_is_that_of_weighted_least_squares_with_clusters(seed, n_groups):
    rng = np.random.default_rng(seed)
    index = np.concatenate([np.arange(n_groups), rng.integers(0, n_groups, size=2 * n_groups)])
    values, weights = rng.integers(-1, 2, size=len(index)).astype(float), rng.uniform(0.2, 3, size=len(index))
    ones = np.ones(len(index))
    plain, unweighted = cluster_t_interval(values, index, 0.9), weighted_interval(values, ones, index, 0.9)
    for name in ("estimate", "low", "high", "se", "df"):
        assert getattr(unweighted, name) == pytest.approx(getattr(plain, name), abs=1e-12, nan_ok=True)
    if np.ptp(values) == 0:
        return
    fitted = sm.WLS(values, ones, weights=weights).fit(cov_type="cluster", cov_kwds={"groups": index}, use_t=True)
    interval = weighted_interval(values, weights, index, 0.9)
    assert (interval.estimate, interval.se) == pytest.approx((fitted.params[0], fitted.bse[0]), abs=1e-9)
    half = stats.t.ppf(0.95, n_groups - 1) * interval.se
    assert (interval.low, interval.high) == pytest.approx((interval.estimate - half, interval.estimate + half))


def test_p_is_that_of_all_sign_vectors_over_global_groups():
    rng = np.random.default_rng(8)
    parts = [paired(task, rng.random(9) < 0.8, rng.random(9) < 0.4, names(9)) for task in ("en", "es")]
    scores = pd.concat([*parts, paired("u", rng.random(3) < 0.9, rng.random(3) < 0.2, names(3, "z"))])
    row = first(scores, design_for(scores, n_resamples=2**12))
    wide = scores.pivot_table(index=["task", "sample_id", "group"], columns="model", values="value").reset_index()
    weight = np.where(wide["group"].str.startswith("q"), 0.5, 1.0)
    sums = (weight * (wide["a"] - wide["b"])).groupby(wide["group"]).sum().to_numpy()
    signs = np.array(list(product([1, -1], repeat=len(sums))))
    assert row["p_value"] == pytest.approx((np.abs(signs @ sums) >= abs(sums.sum()) - 1e-9).mean(), abs=1e-12)


def test_replicates_are_averaged_within_their_sample_first():
    rng = np.random.default_rng(2)
    runs = [rng.random((2, 30)) < 0.5 for _ in range(3)]
    scores = pd.concat(
        [answers(model, "t", run[side], names(30), replicate=k) for k, run in enumerate(runs) for side, model in enumerate("ab")]
    )
    means = np.mean(runs, axis=0)
    row = first(scores)
    assert (row["n_samples"], row["mean_a"], row["mean_b"]) == (30, pytest.approx(means[0].mean()), pytest.approx(means[1].mean()))
    expected = stats.ttest_1samp(means[0] - means[1], 0).confidence_interval(0.95)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((expected.low, expected.high))


def test_swapping_the_models_mirrors_and_the_order_of_rows_does_not_matter():
    scores = pd.concat([random_task("t", 40, 1), random_task("u", 40, 2), random_task("v", 30, 3, stem="v")])
    row, mirrored = first(scores), first(scores, design_for(scores, pairs=(("b", "a"),)))
    assert (mirrored["difference"], mirrored["ci_low"], mirrored["p_value"]) == pytest.approx(
        (-row["difference"], -row["ci_high"], row["p_value"])
    )
    assert (mirrored["p_a_noninferior"], mirrored["mean_a"]) == pytest.approx((row["p_b_noninferior"], row["mean_b"]))
    shuffled = scores.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(pooled(shuffled), pooled(scores))


def test_bootstrap_limits_are_near_the_interval_where_groups_are_many():
    scores = pd.concat([random_task("t", 300, 1), random_task("u", 300, 2)])
    row = first(scores)
    assert (row["boot_low"], row["boot_high"]) == pytest.approx((row["ci_low"], row["ci_high"]), abs=0.01)


# ------------------------------------------------------------------------------------------------ scopes and verdicts


def test_scopes_families_and_roles():
    scores = pd.concat([random_task(task, 30, seed, stem=task[0]) for seed, task in enumerate(("m_en", "m_es", "z_en"))])
    languages = {"m_en": "en", "m_es": "es", "z_en": "en"}
    frame = pooled(scores, languages=languages, families={"m_en": "m", "m_es": "m", "z_en": "z"})
    assert list(frame["scope"]) == ["all", "language:en", "language:es", "family:m"]
    assert list(frame["role"]) == ["primary", "exploratory", "exploratory", "exploratory"]
    assert list(frame["tasks"]) == ["m_en,m_es,z_en", "m_en,z_en", "m_es", "m_en,m_es"]
    assert frame["p_adjusted"].notna().tolist() == [True, False, False, False]
    assert list(frame.columns) == list(COLUMNS)
    # The family that is the whole study, and a single language, say nothing new.
    assert list(pooled(scores, languages=dict.fromkeys(languages, "en"), families=dict.fromkeys(languages, "m"))["scope"]) == ["all"]
    changed = pooled(scores, design_for(scores, exploratory=True))
    assert (changed.iloc[0]["role"], np.isnan(changed.iloc[0]["p_adjusted"])) == ("exploratory", True)


def test_correction_runs_over_the_pairs_of_the_whole_study():
    scores = pd.concat([random_task("t", 80, 1, p=(0.8, 0.5)), random_task("u", 80, 2, stem="u", p=(0.7, 0.5))])
    third = scores[scores["model"] == "a"].assign(model="c")
    design = design_for(pd.concat([scores, third]), pairs=(("a", "b"), ("c", "b")))
    both = pooled(pd.concat([scores, third]), design)
    assert both["p_adjusted"].tolist() == pytest.approx([2 * both["p_value"].min()] * 2)
    assert both["p_equivalence_adjusted"].tolist() == pytest.approx(np.minimum(1, 2 * both["p_equivalence"]).tolist())
    narrowed = first(scores, design_for(scores, n_pairs=5))
    assert narrowed["p_adjusted"] == pytest.approx(min(1, 5 * narrowed["p_value"]))
    # Not over pairs times tasks: that is the family of the single comparisons.
    assert first(scores, design_for(scores, n_family=10))["p_adjusted"] == narrowed["p_value"]


def test_only_the_tasks_that_the_study_pools_are_in_its_number():
    scores = pd.concat([random_task("t", 60, 1), random_task("u", 80, 2, stem="r"), random_task("v", 50, 3, stem="s")])
    whole = design_for(scores)
    chosen = replace(whole, pooled_tasks=("t", "v"))
    both = pooled(scores, chosen, families={"t": "f", "u": "f", "v": "g"}).set_index("scope")
    alone = pooled(scores[scores["task"] != "u"]).iloc[0]
    for name in ("tasks", "n_questions", "difference", "ci_low", "ci_high", "p_value", "p_adjusted", "verdict", "role"):
        assert both.loc["all", name] == alone[name], name
    # Exploratory scopes are not narrowed, and a task outside the number may be missing.
    assert both.loc["family:f", "tasks"] == "t,u"
    lost = replace(chosen, not_run={"w": "accuracy"})
    assert pooled(scores, lost).iloc[0]["status_note"] == ""
    assert "w" in pooled(scores, replace(lost, pooled_tasks=("t", "w"))).iloc[0]["status_note"]


def test_a_metric_that_is_no_share_is_left_out_by_definition():
    scores = pd.concat([random_task("t", 40, 1), random_task("u", 40, 2, stem="u").assign(metric="rougeL")])
    row = first(scores, design_for(scores, primary_metric={"t": "accuracy", "u": "rougeL"}))
    alone = first(scores[scores["task"] == "t"])
    assert (row["difference"], row["verdict"], row["n_tasks"]) == (alone["difference"], alone["verdict"], 1)
    assert row["left_out"] == "u (rougeL is not right or wrong per sample)"
    assert row["status_note"] == ""
    assert not len(pooled(scores[scores["task"] == "u"], replace(DESIGN, primary_metric={"u": "rougeL"})))
    assert {name for name, metric in METRICS.items() if is_share(metric)} == {
        "accuracy", "accuracy_strict", "exact_match", "within_tolerance", "within_tolerance_strict",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda u: u.assign(status=["failed", *u["status"].iloc[1:]], value=[np.nan, *u["value"].iloc[1:]]), "1 failed answers"),
        (lambda u: u.iloc[1:], "1 answers that only one side has"),
        (lambda u: u[u["model"] == "a"], "no scores of b"),
        (lambda u: u.assign(status="refused", value=np.nan), "no answers left"),
    ],
)
def test_a_task_that_is_lost_takes_numbers_and_verdict_with_it(broken, reason):
    scores = pd.concat([random_task("t", 60, 1, p=(0.9, 0.2)), broken(random_task("u", 60, 2, stem="u"))])
    frame = pooled(scores, languages={"t": "en", "u": "es"})
    row = frame.iloc[0]
    assert row["verdict"] == "not_established"
    assert row["left_out"] == f"u ({reason})"
    assert f"u ({reason})" in row["status_note"]
    assert row[["difference", "se", "ci_low", "p_value", "p_adjusted", "mean_a", "boot_low", "n_questions"]].isna().all()
    assert (row["tasks"], row["n_samples"]) == ("t", 60)
    # The language that lost nothing has its own.
    assert frame.set_index("scope").loc["language:en", "verdict"] == "a_better"


def test_a_task_that_did_not_run_is_lost_too():
    scores = random_task("t", 60, 1, p=(0.9, 0.2))
    row = first(scores, design_for(scores, not_run={"u": "accuracy"}))
    assert (row["verdict"], row["left_out"]) == ("not_established", "u (not run)")
    several = first(scores, design_for(scores, not_run={"u": "accuracy", "v": "accuracy"}))
    assert several["status_note"] == "without u, v (not run) it is not the mean that was stated"
    assert first(scores, design_for(scores, not_run={"u": "rougeL"}))["verdict"] == "a_better"
    assert first(scores, design_for(scores, not_run={"u": "unheard of"}))["verdict"] == "not_established"


def test_few_groups_have_numbers_but_no_verdict():
    scores = pd.concat([paired("t", [1] * 5, [0] * 5, names(5)), paired("u", [1] * 5, [0] * 5, names(5))])
    row = first(scores)
    assert (row["difference"], row["verdict"], row["status_note"]) == (1.0, "not_established", "5 groups, 10 are needed")
    assert np.isnan(row["p_adjusted"])


def test_a_side_that_is_silent_in_one_task_may_lose_but_is_never_as_good():
    same = np.tile([1, 0], 150)
    scores = pd.concat([paired("t", same, same, names(300)), paired("u", [0] * 300, [0] * 300, names(300, "u"))])
    assert first(scores)["verdict"] == "equivalent"
    silent = (scores["task"] == "u") & (scores["model"] == "a")
    muted = scores.assign(status=np.where(silent, "unparsed", "scored"), value=np.where(silent, np.nan, scores["value"]))
    row = first(muted)
    assert (row["verdict"], row["status_note"]) == ("not_established", "no answer of a could be read in u")
    assert pd.isna(row["a_noninferior"])
    right = muted.assign(value=np.where((muted["task"] == "u") & (muted["model"] == "b"), 1.0, muted["value"]))
    row = first(right)
    assert (row["verdict"], row["a_noninferior"], row["status_note"]) == ("b_better", False, "")


# -------------------------------------------------------------------------------------------------------- equivalence


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=60), st.floats(0.01, 0.3))
def test_the_floor_of_one_task_is_that_of_its_comparison(sizes, margin):
    plain = least_variation(sizes, margin)
    weighted = least_pooled_variation(np.array(sizes, dtype=float), np.ones((len(sizes), 1), dtype=bool), margin)
    assert (weighted.se, weighted.half_step) == pytest.approx((plain.se, plain.half_step), rel=1e-12)


def test_the_floor_is_the_least_variance_of_a_difference_of_the_margin_in_the_heaviest_stratum():
    # A small and a large task of equal weight: all of the difference may sit in the small one.
    n_small, n_large, margin = 40, 1000, 0.03
    weights = np.concatenate([np.full(n_small, 1 / n_small), np.full(n_large, 1 / n_large)])
    stands_in = np.repeat([[True, False], [False, True]], [n_small, n_large], axis=0)
    floor = least_pooled_variation(weights, stands_in, margin)
    # Its questions then differ with the chance 2 m, and it is half of the mean.
    assert floor.se == pytest.approx(np.sqrt(2 * margin * (1 - 2 * margin) / n_small) / 2)
    assert floor.half_step == pytest.approx(1 / (2 * n_small) / 2)
    assert floor.se > np.sqrt(margin * (1 - margin) * (weights @ weights) / 4)


@pytest.mark.parametrize("margin", [0.03, 0.05, 0.1])
def test_nothing_seen_in_a_small_task_is_no_equivalence_where_it_could_be_chance(margin):
    # Both models always right. Were the margin the truth, all in the small task, nothing would be seen with the chance (1 - 2 m)^n.
    for n in (13, 25, 40, 80):
        scores = pd.concat([paired("t", [1] * n, [1] * n, names(n)), paired("u", [1] * 500, [1] * 500, names(500, "u"))])
        row = first(scores, design_for(scores, pooling="tasks", margin=margin, n_resamples=200))
        assert row["verdict"] == "inconclusive" or (1 - 2 * margin) ** n <= 0.05, n


def test_many_questions_without_a_difference_are_equivalent():
    same = np.tile([1, 0], 60)
    scores = pd.concat([paired(task, same, same, names(120, task)) for task in "tu"])
    assert first(scores)["verdict"] == "equivalent"
    # The same 120 questions twice say what they say once.
    assert first(pd.concat([paired(task, same[:60], same[:60], names(60)) for task in "tu"]))["verdict"] == "inconclusive"
