"""Position bias: closed forms for planted models, against statsmodels, against plain loops; what has no place is left out."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evalsuite.config import Exclusion
from evalsuite.metrics import METRICS
from evalsuite.stats.design import AnalysisDesign
from evalsuite.stats.positions import COLUMNS, position_frame
from evalsuite.stats.tables import split_conditions
from tests.unit.perturbed_scores import AS_WRITTEN, SHIFTS, always_first, asked, perfect, row, silent, table

DESIGN = AnalysisDesign(
    study="s", pairs=(), primary_strategy="zero", primary_perturbation="none", primary_metric={"t": "accuracy"}, metrics=METRICS
)
TARGETS = [0, 1, 2, 3] * 3


def frame(scores, design=DESIGN):
    return position_frame(scores, split_conditions(scores, METRICS), design, ("none", "p"), ("zero",))


def by_place(scores, perturbation="p", design=DESIGN):
    found = frame(scores, design)
    return found[found["perturbation"] == perturbation].set_index("position")


def placed(answers, n=4, **changes):
    """(right place, place taken) of each sample, the first choice being right in the data; under `p`, beside a reference as written."""
    rows = []
    for at, (right, taken) in enumerate(answers):
        order = tuple((place - right) % n for place in range(n))
        rows += [row(f"q{at:04d}", 0, order=tuple(range(n))), row(f"q{at:04d}", taken, order=order, perturbation="p", **changes)]
    return table(rows)


def test_always_first_has_its_closed_form():
    found = by_place(table(asked(always_first, TARGETS), asked(always_first, TARGETS, SHIFTS, perturbation="p")))
    assert list(frame(placed([(0, 0), (1, 1)])).columns) == list(COLUMNS)
    assert found["share_answered"].tolist() == [1, 0, 0, 0]
    assert found["share_right"].tolist() == pytest.approx([0.25] * 4)
    assert (found["n_answers"].tolist(), found["n_samples"].tolist()) == ([36] * 4, [12] * 4)
    # of 12 samples, each of weight 1, 9 stand elsewhere and are all wrong at place 0; of these, 6 could have been at place k
    assert found.loc[0, "log_odds"] == pytest.approx(math.log(2 * 9 + 1) + math.log(2))
    assert found.loc[1, "log_odds"] == pytest.approx(math.log(0.5 / 6.5) + math.log(2))
    assert set(found["note"]) == {"a count is 0: 0.5 added to both"}


def test_limits_where_a_count_is_0():
    scores = placed([(right, 0) for right in range(4)] * 12)
    found = by_place(scores)
    # 36 samples are wrong at place 0; 24 of them could have been at place 1
    for k, m, sign in ((0, 36, 1), (1, 24, -1)):
        middle, half = sign * math.log(2 * m + 1) + math.log(2), stats.t.ppf(0.975, m - 1) * math.sqrt(2 + 1 / (m + 0.5))
        assert found.loc[k, ["log_odds", "ci_low", "ci_high"]].tolist() == pytest.approx([middle, middle - half, middle + half])
        assert found.loc[k, "note"] == "a count is 0: 0.5 added to both"
    # in 12 groups of four, three of which are wrong at place 0: the limit towards 0 is that of 12 answers
    number = scores["sample_id"].str[1:].astype(int)
    grouped = by_place(scores.assign(group=(number // 4).astype(str)))
    half = stats.t.ppf(0.975, 11) * math.sqrt(2 + 1 / 12.5)
    assert grouped.loc[0, "log_odds"] == found.loc[0, "log_odds"]
    assert grouped.loc[0, "ci_low"] == pytest.approx(math.log(25) + math.log(2) - half)
    assert grouped.loc[0, "ci_high"] == pytest.approx(math.log(73) + math.log(2) + half)
    assert grouped.loc[1, "ci_high"] == pytest.approx(-math.log(25) + math.log(2) + half)
    assert grouped.loc[1, "ci_low"] == pytest.approx(-math.log(49) + math.log(2) - half)


@pytest.mark.parametrize("n_groups", [10, 30, 200])
def test_the_limit_where_a_count_is_0_is_cautious(n_groups):
    # the exact limit of Clopper and Pearson for so many out of so many
    found = by_place(placed([(3, 0)] * n_groups))
    exact = stats.beta.ppf(0.025, n_groups, 1)
    assert found.loc[0, "ci_low"] < math.log(exact / (1 - exact)) + math.log(2)


def test_which_perturbations_move_choices_does_not_depend_on_the_order_of_rows():
    # Under the reference each sample has two renditions; `p` shows one of them, `q` the other.
    orders = (AS_WRITTEN, SHIFTS[0])
    scores = table(
        asked(always_first, TARGETS, orders),
        *(asked(always_first, TARGETS, (order,), perturbation=name) for name, order in zip("pq", orders, strict=True)),
    )
    found = frame(scores)
    pd.testing.assert_frame_equal(frame(scores.iloc[::-1].reset_index(drop=True)), found)


def test_a_perfect_model_says_nothing_of_places():
    found = by_place(table(asked(perfect, TARGETS), asked(perfect, TARGETS, SHIFTS, perturbation="p")))
    assert found["share_answered"].tolist() == found["share_right"].tolist()
    assert found["log_odds"].isna().all() and set(found["note"]) == {"no wrong answers"}


def test_an_even_guesser_has_none():
    found = by_place(placed(list(product(range(4), range(4))) * 3))
    assert found["log_odds"].tolist() == pytest.approx([0] * 4, abs=1e-12)
    assert (found["ci_low"] < 0).all() and (found["ci_high"] > 0).all()


def test_half_right_and_half_first_by_hand():
    # right in 12; the rest are wrong: 18 at place 0, 3 at 1 and 3 at 2, all of them with the right one at 3
    found = by_place(placed([(3, 3)] * 12 + [(3, 0)] * 18 + [(3, 1)] * 3 + [(3, 2)] * 3))
    assert found["share_answered"].tolist() == pytest.approx([1 / 2, 1 / 12, 1 / 12, 1 / 3])
    assert found["share_right"].tolist() == [0, 0, 0, 1]
    assert found["log_odds"].tolist()[:3] == pytest.approx([math.log(2 * 18 / 6), math.log(2 * 3 / 21), math.log(2 * 3 / 21)])
    assert found.loc[3, "note"] == "no wrong answers where it could have been taken"


@pytest.mark.parametrize("strength", [1, 3])
def test_it_finds_the_bias_of_luce_s_choice_model(strength):
    # places weigh 4, 2, 1, 1; the right choice `strength` times as much; with the right one at 3 in counts of 7 + strength
    found = by_place(placed(([(3, 0)] * 4 + [(3, 1)] * 2 + [(3, 2)] + [(3, 3)] * strength) * 5))
    assert found["log_odds"].tolist()[:3] == pytest.approx([math.log(4 / 1.5), math.log(2 / 2.5), math.log(1 / 3)])


@pytest.mark.parametrize("strength", [1, 5])
def test_two_choices_have_the_same_quantity_from_both_rows(strength):
    # the first place weighs 3 times as much, the right choice `strength` times: odds 3 s : 1 and 3 : s
    answers = [(0, 0)] * (3 * strength) + [(0, 1)] + [(1, 0)] * 3 + [(1, 1)] * strength
    found = by_place(placed(answers * 12, n=2))
    assert found["log_odds"].tolist() == pytest.approx([math.log(3), -math.log(3)])
    assert found["n_choices"].tolist() == [2, 2]
    assert found.loc[0, "ci_low"] < math.log(3) < found.loc[0, "ci_high"]


def test_two_choices_at_their_ends():
    found = by_place(placed([(0, 0)] * 12 + [(1, 0)] * 20, n=2))
    middle, half = (math.log(25) + math.log(41)) / 2, stats.t.ppf(0.975, 31) * math.sqrt(4 + 1 / 12.5 + 1 / 20.5) / 2
    assert found.loc[0, ["log_odds", "ci_low", "ci_high"]].tolist() == pytest.approx([middle, middle - half, middle + half])
    assert by_place(placed([(0, 0)] * 12 + [(1, 1)] * 20, n=2)).loc[0, "note"] == "no wrong answers"
    assert by_place(placed([(1, 0)] * 12 + [(1, 1)] * 20, n=2)).loc[0, "note"] == "the right choice stands there always or never"


def drawn(seed, n_samples=80, n_variants=1):
    rng = np.random.default_rng(seed)
    rows = []
    for at in range(n_samples):
        target, group = int(rng.integers(4)), f"g{at // 3:02d}"
        rows.append(row(f"q{at:03d}", int(rng.integers(4)), target=target, group=group))
        for variant in range(n_variants):
            order = tuple(rng.permutation(4).tolist())
            shown = None if rng.random() < 0.1 else int(rng.choice(4, p=[0.4, 0.3, 0.2, 0.1]))
            rows.append(row(f"q{at:03d}", shown, target=target, group=group, order=order, variant=variant, perturbation="p"))
    return table(rows)


def test_the_interval_is_that_of_a_clustered_logistic_regression():
    scores = drawn(3)
    found = by_place(scores)
    own = scores[(scores["perturbation"] == "p") & (scores["status"] == "scored")].astype({"shown_targets": int, "shown_position": int})
    for k in range(4):
        wrong = own[(own["shown_position"] != own["shown_targets"]) & (own["shown_targets"] != k)]
        groups = wrong["group"].str[1:].astype(int).to_numpy()
        fit = sm.Logit((wrong["shown_position"] == k).to_numpy(dtype=float), np.ones(len(wrong))).fit(
            disp=0, cov_type="cluster", cov_kwds={"groups": groups}, use_t=True, tol=1e-12
        )
        low, high = fit.conf_int(0.05)[0] + math.log(2)
        assert found.loc[k, "log_odds"] == pytest.approx(fit.params[0] + math.log(2), abs=1e-8)
        assert (found.loc[k, "ci_low"], found.loc[k, "ci_high"]) == pytest.approx((low, high), abs=1e-6)


def test_the_interval_of_two_choices_is_that_of_a_clustered_logistic_regression():
    rng = np.random.default_rng(5)
    right = rng.integers(2, size=90)
    taken = np.where(rng.random(90) < 0.6, rng.choice(2, size=90, p=[0.7, 0.3]), right)
    scores = placed(list(zip(right.tolist(), taken.tolist(), strict=True)), n=2)
    groups = np.arange(90) // 3
    scores["group"] = [f"g{int(name[1:]) // 3:02d}" for name in scores["sample_id"]]
    # coded +-1/2, the intercept is the mean of the two log-odds; statsmodels counts its two coefficients in the correction
    fit = sm.Logit((taken == 0).astype(float), np.column_stack([np.ones(90), np.where(right == 0, 0.5, -0.5)])).fit(
        disp=0, cov_type="cluster", cov_kwds={"groups": groups}, use_t=True, tol=1e-12
    )
    found = by_place(scores).loc[0]
    assert found["log_odds"] == pytest.approx(fit.params[0], abs=1e-8)
    half = (fit.conf_int(0.05)[0][1] - fit.params[0]) * math.sqrt(88 / 89)
    assert found["ci_high"] - found["log_odds"] == pytest.approx(half, abs=1e-6)


def plain(scores):
    """Shares and log-odds of four places in loops over samples."""
    own = [entry for entry in scores.to_dict("records") if entry["perturbation"] == "p" and entry["status"] == "scored"]
    weight = defaultdict(float)
    for entry in own:
        weight[entry["sample_id"]] += 1
    for k in range(4):
        taken = right = hits = misses = 0.0
        for entry in own:
            share, target, answered = 1 / weight[entry["sample_id"]], int(entry["shown_targets"]), int(entry["shown_position"])
            taken += share * (answered == k)
            right += share * (target == k)
            hits += share * (answered == k != target)
            misses += share * (answered != k and target not in (k, answered))
        if hits + misses == 0:
            yield taken / len(weight), right / len(weight), math.nan
            continue
        if hits == 0 or misses == 0:
            hits, misses = hits + 0.5, misses + 0.5
        yield taken / len(weight), right / len(weight), math.log(2 * hits / misses)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20), st.integers(1, 3))
def test_it_is_what_plain_loops_give_in_any_order_of_rows(seed, n_samples, n_variants):
    scores = drawn(seed, n_samples, n_variants)
    found = by_place(scores)
    if len(found) and found["n_answers"].iloc[0]:
        expected = list(plain(scores))
        got = found[["share_answered", "share_right", "log_odds"]].to_numpy(dtype=float)
        np.testing.assert_allclose(got, expected, atol=1e-12)
    mixed = scores.sample(frac=1, random_state=seed % 2**31)
    pd.testing.assert_frame_equal(frame(mixed), frame(scores), check_exact=True)


def test_there_are_rows_of_the_reference_and_of_what_moves_the_right_choice():
    same = asked(always_first, TARGETS, perturbation="typos")
    found = frame(table(asked(always_first, TARGETS), asked(always_first, TARGETS, SHIFTS, perturbation="p"), same))
    assert found["perturbation"].tolist() == ["none"] * 4 + ["p"] * 4
    assert len(frame(table(asked(always_first, TARGETS)))) == 0
    assert frame(table(asked(always_first, TARGETS), same))["perturbation"].tolist() == ["none"] * 4
    older = table(asked(always_first, TARGETS), same).drop(columns="n_choices")
    assert list(frame(older).columns) == list(COLUMNS) and len(frame(older)) == 0


def test_what_has_no_place_is_left_out():
    base = placed([(3, 0)] * 12 + [(3, 1)] * 12 + [(3, 3)] * 12)
    of_p = base["perturbation"] == "p"
    name = base["sample_id"]
    several = of_p & (name == "q0000")
    unlisted = of_p & (name == "q0001")
    two_right = of_p & (name == "q0002")
    refused, failed_later = of_p & (name == "q0003"), of_p & (name == "q0004")
    changed = base.assign(
        answer_indices=base["answer_indices"].mask(several, "0,1"),
        shown_position=base["shown_position"].mask(unlisted, 4),
        shown_targets=base["shown_targets"].mask(two_right, "0,3"),
        status=base["status"].mask(refused, "refused").mask(failed_later, "unparsed"),
        value=base["value"].mask(refused | failed_later),
    )
    gone = replace(DESIGN, exclude=(Exclusion(task="t", sample_id="q0005", reason="no key"),))
    found = by_place(changed, design=gone)
    assert (found["n_answers"].tolist(), found["n_samples"].tolist()) == ([30] * 4, [30] * 4)
    assert found.loc[0, "log_odds"] == pytest.approx(math.log(2 * 6 / 12))


def test_numbers_of_choices_are_told_apart():
    four, three = placed([(3, 0)] * 12), placed([(2, 1)] * 12, n=3)
    three["sample_id"] = "other" + three["sample_id"]
    found = frame(pd.concat([four, three]))
    found = found[found["perturbation"] == "p"]
    assert found[["n_choices", "position"]].to_records(index=False).tolist() == [(3, 0), (3, 1), (3, 2), (4, 0), (4, 1), (4, 2), (4, 3)]
    assert found["share_answered"].tolist() == [0, 1, 0, 1, 0, 0, 0]
    # with three choices a wrong answer has two places: log(2 m + 1) + log(1)
    assert found["log_odds"].iloc[1] == pytest.approx(math.log(25))


def test_failures_and_silence_have_no_numbers():
    scores = placed([(3, 0)] * 12)
    hit = (scores["perturbation"] == "p") & (scores["sample_id"] == "q0003")
    found = by_place(scores.assign(status=scores["status"].mask(hit, "failed"), value=scores["value"].mask(hit)))
    assert found["share_answered"].isna().all() and set(found["note"]) == {"1 failed answers"}
    found = by_place(table(asked(always_first, TARGETS), asked(silent, TARGETS, SHIFTS, perturbation="p")))
    assert found["log_odds"].isna().all() and (found["n_answers"].tolist(), set(found["note"])) == ([0] * 4, {"no answer could be read"})


def test_few_groups_have_no_limits():
    found = by_place(placed([(3, 0)] * 4 + [(3, 1)] * 4 + [(3, 3)] * 20))
    assert found.loc[0, "log_odds"] == pytest.approx(math.log(2))
    assert math.isnan(found.loc[0, "ci_low"])
    assert found.loc[0, "note"] == "wrong answers in 8 groups, 10 are needed for an interval"
