"""Corrections against statsmodels and hand computation; the gate against what it promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from evalsuite.stats.multiplicity import (
    adjusted,
    behind_gate,
    benjamini_hochberg,
    gate,
    holm,
    reachable,
    smallest_attainable_p,
    worst_level,
)
from evalsuite.stats.randomisation import sign_flip_p

STATSMODELS = {"holm": "holm", "benjamini_hochberg": "fdr_bh"}
shares = st.lists(st.floats(0, 1), max_size=20)
corrections = st.sampled_from(["holm", "benjamini_hochberg", "none"])


def test_examples_worked_by_hand():
    # In order: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 1 x 0.04 raised to the 0.06 before it.
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    # In order: 4/1 x 0.005, 4/2 x 0.01, 4/3 x 0.03 and 4/4 x 0.04.
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.02, 0.04, 0.04, 0.02])
    # Two more that could not be tested: 6/1 x 0.005, 6/2 x 0.01, 6/3 x 0.03 lowered to 6/4 x 0.04 is no lowering.
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.005], 6).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.03])


@given(shares, st.sampled_from(sorted(STATSMODELS)))
@settings(max_examples=24, deadline=None)  # multipletests collects garbage at every call
def test_adjusted_values_are_those_of_statsmodels(p_values, correction):
    expected = multipletests(p_values, method=STATSMODELS[correction])[1] if p_values else []
    assert adjusted(p_values, correction).tolist() == pytest.approx(list(expected), rel=1e-12, abs=1e-12)


@given(st.lists(st.floats(0, 1), max_size=8), st.integers(0, 6), corrections)
@settings(max_examples=30, deadline=None)
def test_tests_that_are_absent_from_the_family_count_as_one(p_values, n_absent, correction):
    expected = adjusted([*p_values, *[1.0] * n_absent], correction)[: len(p_values)]
    assert adjusted(p_values, correction, len(p_values) + n_absent).tolist() == pytest.approx(expected.tolist())
    if p_values:
        with pytest.raises(ValueError, match="in a family of"):
            adjusted(p_values, correction, len(p_values) - 1)


@given(shares, st.integers(0, 5), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_corrections_are_ordered_and_ignore_the_order_of_tests(p_values, n_absent, random):
    n_tests = len(p_values) + n_absent
    plain, discovery, family = (adjusted(p_values, name, n_tests) for name in ("none", "benjamini_hochberg", "holm"))
    assert plain.tolist() == p_values
    assert (plain <= discovery + 1e-12).all()
    assert (discovery <= family + 1e-12).all()
    order = list(range(len(p_values)))
    random.shuffle(order)
    for name, values in (("benjamini_hochberg", discovery), ("holm", family)):
        assert adjusted([p_values[at] for at in order], name, n_tests).tolist() == [values[at] for at in order]
        assert np.argsort(values[np.argsort(p_values)], kind="stable").tolist() == list(range(len(p_values)))


@pytest.mark.parametrize("correction", ["holm", "benjamini_hochberg", "none"])
@pytest.mark.parametrize("p_values", [[0.5, np.nan], [1.5], [-0.1], [[0.5]]])
def test_what_is_no_probability_is_refused(p_values, correction):
    with pytest.raises(ValueError, match="p-values"):
        adjusted(p_values, correction)


@given(shares, shares, st.integers(0, 3), corrections)
@settings(max_examples=60, deadline=None)
def test_no_secondary_value_passes_the_gate_and_the_gate_is_monotone(primary, secondary, n_untested, correction):
    own = adjusted(secondary, correction)
    opened_at = gate(primary, len(primary) + n_untested)
    passed = behind_gate(secondary, opened_at, correction)
    assert (passed == np.maximum(own, opened_at)).all()
    if n_untested or not primary:
        assert opened_at == 1.0
    # A primary comparison with a smaller p never makes a secondary one harder to show.
    eased = behind_gate(secondary, gate([p / 2 for p in primary], len(primary) + n_untested), correction)
    assert (eased <= passed).all()


def test_the_gate_of_an_example():
    assert gate([0.01, 0.04], 2) == 0.04
    assert gate([0.01, 0.04], 3) == 1.0
    assert behind_gate([0.001, 0.03], 0.04, "holm").tolist() == [0.04, 0.04]
    assert behind_gate([0.001, 0.03], 0.01, "holm", 3).tolist() == pytest.approx([0.01, 0.06])


def test_two_families_behind_a_gate_err_together_no_more_often_than_one():
    # One primary difference is real, one is not; no secondary one is. Uniform p under the null, strongly dependent tests.
    rng = np.random.default_rng(0)
    n_trials, errors, ungated = 4000, 0, 0
    for _ in range(n_trials):
        p = rng.random(5) if rng.random() < 0.5 else np.full(5, rng.random())
        primary = holm([1e-6, p[0]])
        secondary = behind_gate(p[1:], gate(primary, 2), "holm")
        errors += bool(primary[1] <= 0.05 or (secondary <= 0.05).any())
        ungated += bool(primary[1] <= 0.05 or (holm(p[1:]) <= 0.05).any())
    limit = 0.05 + 3 * np.sqrt(0.05 * 0.95 / n_trials)
    assert errors / n_trials <= limit
    assert ungated / n_trials > limit  # else the test could not tell the two apart


def test_what_the_number_of_resamples_can_reach():
    clear = sign_flip_p(np.ones(60), np.arange(60), 999, 0).p_value
    assert clear == smallest_attainable_p(999) == 0.001
    assert holm([clear], 50)[0] <= 0.05 < holm([clear], 51)[0]
    assert [reachable(n, 999, 0.05, "holm") for n in (0, 1, 50, 51)] == [True, True, True, False]
    # A lone difference has the same way to go; several at once help each other.
    assert benjamini_hochberg([clear], 51)[0] > 0.05 >= benjamini_hochberg([clear] * 2, 51)[0]
    assert [reachable(n, 999, 0.05, "benjamini_hochberg") for n in (50, 51)] == [True, False]
    assert reachable(51, 999, 0.05, "none")
    assert not reachable(1, 10, 0.05, "none")
    assert [worst_level(5, 0.05, name) for name in ("holm", "benjamini_hochberg", "none")] == [0.01, 0.01, 0.05]
    assert worst_level(0, 0.05, "holm") == 0.05
    with pytest.raises(ValueError, match="n_resamples"):
        smallest_attainable_p(0)
