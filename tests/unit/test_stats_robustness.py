"""Who of a pair loses more: against SciPy, statsmodels and the contrasts; the family, the verdict, and what forbids one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from evalsuite.metrics import METRICS
from evalsuite.stats.contrasts import contrast_frame
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.perturbed import Perturbed
from evalsuite.stats.robustness import COLUMNS, enough_resamples, family_size, robustness_frame, verdict_of
from evalsuite.stats.tables import split_conditions
from tests.unit.perturbed_scores import always_first, asked, perfect, row, silent, table

DESIGN = AnalysisDesign(
    study="s", pairs=(("a", "b"),), primary_strategy="zero", primary_perturbation="none", primary_metric={"t": "accuracy"},
    metrics=METRICS, n_resamples=2000,
)  # fmt: skip
STUDY = {name: Perturbed(name=name, family="meaning-preserving", preserves_meaning=True) for name in ("none", "p", "q")}
MISSED = [1, 2, 3] * 6
"""Right choices that a model which always takes the first one misses."""


def frame(scores, design=DESIGN, perturbations=STUDY, strategies=("zero",)):
    return robustness_frame(split_conditions(scores, METRICS), design, perturbations, strategies)


def drawn(n=60, seed=0, models="ab", perturbations=("none", "p", "q"), **changes):
    """Right or wrong by chance, samples in pairs of one group."""
    rng = np.random.default_rng(seed)
    return table(
        [
            row(f"q{at:03d}", int(rng.integers(2)), model=model, perturbation=perturbation, group=f"g{at // 2:03d}", **changes)
            for model in models
            for perturbation in perturbations
            for at in range(n)
        ]
    )


def values_of(scores, model, perturbation):
    own = scores[(scores["model"] == model) & (scores["perturbation"] == perturbation)]
    return own.sort_values("sample_id")["value"].to_numpy(dtype=float)


def test_it_is_the_t_test_of_the_differences_in_differences():
    scores = drawn().assign(group=lambda table: table["sample_id"])
    found = frame(scores).set_index("perturbation").loc["p"]
    a, b, a0, b0 = (values_of(scores, model, name) for name in ("p", "none") for model in "ab")
    c = (a - b) - (a0 - b0)
    expected = stats.ttest_1samp(c, 0).confidence_interval(0.95)
    assert list(frame(scores).columns) == list(COLUMNS)
    assert (found["contrast"], found["ci_low"], found["ci_high"]) == pytest.approx((c.mean(), expected.low, expected.high))
    assert (found["difference"], found["difference_before"]) == pytest.approx(((a - b).mean(), (a0 - b0).mean()))
    flips = stats.permutation_test((c, 0 * c), lambda x, y: (x - y).mean(), permutation_type="samples", n_resamples=4000, rng=1)
    assert found["p_value"] == pytest.approx(flips.pvalue, abs=0.05)  # both within three Monte Carlo errors
    assert (found["n_samples"], found["n_groups"], found["ci_level"], found["status_note"]) == (60, 60, 0.95, "")


def test_it_agrees_with_contrasts_of_strategies_that_were_answered_alike():
    scores = drawn(models="abc")
    design = replace(DESIGN, pairs=(("a", "b"), ("b", "c"), ("c", "a")))
    found = frame(scores, design).sort_values(["perturbation", "model_a"])
    alike = scores.assign(strategy=scores["perturbation"].replace("none", DESIGN.primary_strategy), perturbation="none")
    cells = split_conditions(alike, METRICS)
    contrasts = contrast_frame(cells, design, languages={}, models={}, n_classes={}).sort_values(["first", "model_a"])
    assert len(found) == len(contrasts) == 6
    for one, other in (("contrast", "contrast"), ("ci_low", "ci_low"), ("ci_high", "ci_high"), ("difference_before", "difference_second")):
        assert found[one].tolist() == contrasts[other].tolist()


@pytest.mark.parametrize(("correction", "method"), [("holm", "holm"), ("benjamini_hochberg", "fdr_bh")])
def test_the_family_is_corrected_as_statsmodels_does(correction, method):
    scores = pd.concat([drawn(models="abc", seed=1), drawn(models="abc", seed=2, task="u")])
    design = replace(DESIGN, pairs=(("a", "b"), ("b", "c")), primary_metric={"t": "accuracy", "u": "accuracy"}, correction=correction)
    found = frame(scores, design)
    assert (len(found), set(found["n_family"])) == (8, {8})
    assert found["p_adjusted"].tolist() == pytest.approx(multipletests(found["p_value"], method=method)[1].tolist())
    # two more pairs and a task that were not run count as p = 1
    design = replace(design, n_pairs=4, not_run={"v": "accuracy"})
    found = frame(scores, design)
    assert (len(found), set(found["n_family"])) == (8, {4 * 3 * 2})
    padded = multipletests([*found["p_value"], *[1.0] * 16], method=method)[1][:8]
    assert found["p_adjusted"].tolist() == pytest.approx(padded.tolist())


def test_a_planted_loss_has_its_verdict_for_either_order_of_the_pair():
    targets = MISSED
    parts = [
        asked(engine, targets, model=model, perturbation=name)
        for model, name, engine in (("a", "none", perfect), ("b", "none", perfect), ("a", "p", always_first), ("b", "p", perfect))
    ]
    design = replace(DESIGN, pairs=(("a", "b"), ("b", "a")))
    one, other = frame(table(*parts), design, {"none": STUDY["none"], "p": STUDY["p"]}).to_dict("records")
    assert (one["difference_before"], one["difference"], one["contrast"]) == (0, -1, -1)
    assert (one["verdict"], other["verdict"], other["contrast"]) == ("b_holds_better", "a_holds_better", 1)
    # 18 groups, all of one sign: no sign vector but two is as extreme, and 2,000 random ones find none
    assert one["p_value"] == other["p_value"] == pytest.approx(1 / 2001)
    assert (one["n_family"], one["p_adjusted"]) == (2, pytest.approx(2 / 2001))


def test_a_large_family_has_the_resamples_that_it_needs():
    scores = table(
        *(asked(engine, MISSED * 2, model=model, perturbation=name) for model, name, engine in (
            ("a", "none", perfect), ("b", "none", perfect), ("a", "p", perfect), ("b", "p", always_first)
        ))
    )  # fmt: skip
    study = {name: STUDY[name] for name in ("none", "p")}
    small, large = (frame(scores, replace(DESIGN, n_pairs=n), study).iloc[0] for n in (100, 101))
    # 2,000 flips serve a family of 100: the smallest p is 1/2,001. In one of 101 none could ever be established by them.
    assert (small["n_family"], large["n_family"]) == (100, 101)
    assert small["p_value"] == pytest.approx(1 / 2001)
    assert large["p_value"] == pytest.approx(1 / (1 + 2 * 101 / 0.05))
    assert [small["verdict"], large["verdict"]] == ["a_holds_better"] * 2
    assert enough_resamples(replace(DESIGN, correction="none"), 10_000) == 2000
    # What is not among the smallest stays as it is.
    chance = drawn(perturbations=("none", "p"))
    found = [frame(chance, replace(DESIGN, n_pairs=n), study).iloc[0]["p_value"] for n in (1, 1000)]
    assert found[0] == found[1] > 0.01


def test_nothing_that_differs_is_inconclusive():
    parts = [asked(perfect, MISSED, model=model, perturbation=name) for model in "ab" for name in ("none", "p")]
    found = frame(table(*parts)).set_index("perturbation").loc["p"]
    assert (found["contrast"], found["p_value"], found["verdict"]) == (0, 1, "inconclusive")


def test_what_cannot_be_asked_leaves_the_family_and_what_faults_stays_in_it():
    scores = drawn(perturbations=("none", "p"))
    found = frame(scores)
    # no strategy asks q in this task
    assert (found["perturbation"].tolist(), found["n_family"].tolist()) == (["p"], [1])
    scores = drawn()
    hit = (scores["perturbation"] == "q") & (scores["model"] == "b") & (scores["sample_id"] == "q004")
    found = frame(scores.assign(status=scores["status"].mask(hit, "failed"), value=scores["value"].mask(hit))).set_index("perturbation")
    assert found["n_family"].tolist() == [2, 2]
    assert (found.loc["q", "verdict"], found.loc["q", "status_note"]) == ("not_established", "q: 1 failed answers")
    assert found.loc["q", ["contrast", "p_value", "p_adjusted"]].isna().all()
    assert found.loc["p", "p_adjusted"] == pytest.approx(min(1, 2 * found.loc["p", "p_value"]))
    # a task without any scores has rows that count
    found = frame(scores, replace(DESIGN, primary_metric={"t": "accuracy", "u": "accuracy"}))
    assert set(found["n_family"]) == {4}
    assert found.loc[found["task"] == "u", "status_note"].tolist() == ["no scores of this task"] * 2
    # a model without answers likewise
    found = frame(scores, replace(DESIGN, pairs=(("a", "c"),)))
    assert found["status_note"].tolist() == ["p: no scores of b; none: no scores of b", "q: no scores of b; none: no scores of b"]
    assert set(found["verdict"]) == {"not_established"}


def test_size_of_the_family():
    design = replace(DESIGN, primary_metric={"t": "accuracy", "u": "accuracy"}, not_run={"v": "accuracy"}, n_pairs=3)
    assert family_size(design, 12, 5) == 3 * (3 * 12 - 5)
    assert family_size(replace(design, n_pairs=None), 12, 0) == 36


def test_few_groups_have_numbers_and_no_verdict():
    parts = [asked(perfect, MISSED[:6], model=model) for model in "ab"]
    parts += [asked(always_first, MISSED[:6], model="a", perturbation="p"), asked(perfect, MISSED[:6], model="b", perturbation="p")]
    found = frame(table(*parts), replace(DESIGN, alpha=0.2)).iloc[0]
    assert (found["contrast"], found["n_groups"], found["verdict"]) == (-1, 6, "not_established")
    assert found["p_value"] == 2 / 2**6 and np.isnan(found["p_adjusted"])
    assert found["status_note"] == "6 groups, 10 are needed"


def test_a_silent_model_may_lose_and_never_holds():
    # a falls silent: it loses
    parts = [asked(perfect, MISSED, model=model) for model in "ab"]
    parts += [asked(silent, MISSED, model="a", perturbation="p"), asked(perfect, MISSED, model="b", perturbation="p")]
    found = frame(table(*parts)).iloc[0]
    assert (found["verdict"], found["status_note"]) == ("b_holds_better", "no answer of a could be read under p")
    assert frame(table(*parts), replace(DESIGN, missing="drop")).iloc[0][["verdict", "n_samples"]].tolist() == ["not_established", 0]
    # a has nothing to lose, is silent, and b loses everything
    parts = [asked(always_first, MISSED, model="a"), asked(perfect, MISSED, model="b")]
    parts += [asked(silent, MISSED, model="a", perturbation="p"), asked(always_first, MISSED, model="b", perturbation="p")]
    found = frame(table(*parts)).iloc[0]
    assert (found["contrast"], found["verdict"]) == (1, "not_established")
    # a was silent before: what it gains from being read says nothing
    parts = [asked(silent, MISSED, model="a"), asked(perfect, MISSED, model="b")]
    parts += [asked(perfect, MISSED, model=model, perturbation="p") for model in "ab"]
    found = frame(table(*parts)).iloc[0]
    assert (found["contrast"], found["verdict"]) == (1, "not_established") and np.isnan(found["p_adjusted"])


def test_verdicts():
    assert verdict_of(0.1, 0.04, "", 0.05) == "a_holds_better"
    assert verdict_of(-0.1, 0.05, "", 0.05) == "b_holds_better"
    assert verdict_of(-0.1, 0.06, "", 0.05) == "inconclusive"
    assert verdict_of(0.1, 0.04, "a", 0.05) == "not_established"
    assert verdict_of(0.1, 0.04, "b", 0.05) == "a_holds_better"
    assert verdict_of(0.1, 0.06, "b", 0.05) == "not_established"


def test_refused_samples_leave_all_four_cells():
    scores = drawn(perturbations=("none", "p"))
    gone = scores["sample_id"].isin(["q000", "q001", "q002"])
    told = gone & (scores["perturbation"] == "p")
    found = frame(scores.assign(status=scores["status"].mask(told, "refused"), value=scores["value"].mask(told)))
    expected = frame(scores[~gone])
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert found.loc[0, "n_samples"] == 57


def test_it_is_judged_under_the_primary_strategy_or_the_first_that_asks_it():
    parts = [
        asked(perfect, MISSED, model=model, strategy=strategy, perturbation=name)
        for model in "ab"
        for strategy, name in (("zero", "none"), ("zero", "p"), ("few", "none"), ("few", "p"), ("few", "q"), ("cot", "none"), ("cot", "q"))
    ]
    found = frame(table(*parts), strategies=("cot", "zero", "few"))
    assert found[["perturbation", "strategy"]].to_records(index=False).tolist() == [("p", "zero"), ("q", "cot")]


def test_a_metric_of_a_set_is_read_as_accuracy():
    design = replace(DESIGN, primary_metric={"t": "macro_f1"})
    scores = drawn()
    found = frame(pd.concat([scores, scores.assign(metric="macro_f1")]), design)
    pd.testing.assert_frame_equal(found, frame(scores), check_exact=True)
    alone = frame(scores.assign(metric="macro_f1"), design)
    assert (alone["n_family"].tolist(), set(alone["verdict"])) == ([2, 2], {"not_established"})
    assert set(alone["status_note"]) == {"macro_f1 has no value per sample, and there is no accuracy of these answers"}


def test_nothing_perturbed_or_no_pair_has_the_columns():
    for scores, design in ((drawn(perturbations=("none",)), DESIGN), (drawn(), replace(DESIGN, pairs=()))):
        found = frame(scores, design)
        assert list(found.columns) == list(COLUMNS) and len(found) == 0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_it_depends_on_no_order_of_rows_and_mirrors_with_the_pair(seed):
    scores = drawn(n=24, seed=seed)
    design = replace(DESIGN, pairs=(("a", "b"), ("b", "a")))
    found = frame(scores, design)
    pd.testing.assert_frame_equal(frame(scores.sample(frac=1, random_state=seed % 2**31), design), found, check_exact=True)
    one, other = (found[found["model_a"] == name].reset_index() for name in "ab")
    assert one["p_value"].tolist() == other["p_value"].tolist()
    assert one["contrast"].tolist() == (-other["contrast"]).tolist()
    assert one["ci_low"].to_numpy() == pytest.approx(-other["ci_high"].to_numpy(), abs=1e-12)
    mirrored = {"a_holds_better": "b_holds_better", "b_holds_better": "a_holds_better"}
    assert one["verdict"].tolist() == [mirrored.get(word, word) for word in other["verdict"]]
