"""Sizes and differences against the worked examples of Miller 2024, statsmodels, and each other."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from evalsuite.stats.arrays import cluster_t_interval, equivalence_test, least_variation
from evalsuite.stats.power import Assumptions, attainable, detectable_difference, needed, paired_variance, questions_needed

INDEPENDENT = Assumptions(icc=0.0)


@pytest.fixture(scope="module")
def printed(shared: Path) -> dict[tuple[str, str], float]:
    """(metric, setting) to the value that the paper prints."""
    rows = yaml.safe_load((shared / "papers" / "published_2411.00640.yaml").read_text(encoding="utf-8"))
    return {(row["metric"], row["setting"]): row["value"] for row in rows}


def uniform_variance(n_answers: int) -> float:
    """Variance of one model's mean score on a question of uniform difficulty: Var x = 1/12 and E[x (1 - x)] = 1/6 for x uniform."""
    return 1 / 12 + (1 / 6) / n_answers


def test_questions_of_the_paper(printed):
    # Its reading: no variance within questions, and omega^2 = 1/9 (two uniform scores with correlation 1/3: 2/12 (1 - 1/3)).
    variance = paired_variance(1 / 9, 0, 0)
    assert questions_needed(0.03, variance, alpha=0.05, power=0.8) == printed["required questions", "detect 3 points, 80% power, alpha 5%"]


@pytest.mark.parametrize("n_answers", [1, 10])
def test_detectable_differences_of_the_paper(printed, n_answers):
    # Its reading: omega^2 = 1/9 and sigma^2 = 1/6 of either model. Equation 10 gives 13.27 and 7.57 at n = 198, which round to 13.3 and
    # 7.6; printed are 13.2 and 7.5, cut off after the first digit (or rounded at n = 200).
    variance = paired_variance(1 / 9, 1 / 6, 1 / 6, n_answers_a=n_answers, n_answers_b=n_answers)
    value = printed["MDE", f"n=198, K={n_answers}"]
    found = 100 * detectable_difference(198, variance, alpha=0.05)
    assert math.floor(10 * found) / 10 == value
    assert round(found, 1) == pytest.approx(value + 0.1)
    assert round(100 * detectable_difference(200, variance, alpha=0.05), 1) == value


@pytest.mark.parametrize(("n_answers", "reduction"), [(2, 1 / 3), (4, 1 / 2), (6, 5 / 9)])
def test_variance_reductions_of_the_paper(printed, n_answers, reduction):
    assert 1 - uniform_variance(n_answers) / uniform_variance(1) == pytest.approx(reduction, rel=1e-12)
    assert round(100 * reduction, 1) == printed["variance reduction", f"binary, uniform difficulty, K={n_answers}"]
    # The same of the paired difference of two models that have nothing in common: each side brings its own.
    both = [paired_variance(2 / 12, 1 / 6, 1 / 6, n_answers_a=k, n_answers_b=k) for k in (n_answers, 1)]
    assert 1 - both[0] / both[1] == pytest.approx(reduction, rel=1e-12)


@given(st.floats(0.005, 0.3), st.floats(0.01, 1), st.floats(0.001, 0.2), st.floats(0.5, 0.99))
@settings(deadline=None)
def test_sizes_and_differences_are_inverse(difference, variance, alpha, power):
    n = questions_needed(difference, variance, alpha=alpha, power=power)
    assert detectable_difference(n, variance, alpha=alpha, power=power) <= difference * (1 + 1e-9)
    if n > 1:
        assert detectable_difference(n - 1, variance, alpha=alpha, power=power) > difference


@given(st.floats(0.02, 0.3), st.floats(1, 6), st.floats(0.001, 0.1), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_groups_that_are_needed_are_the_first_that_suffice(difference, group_size, alpha, icc):
    assumed = Assumptions(icc=icc)
    found = needed(difference, group_size, alpha=alpha, assumptions=assumed)
    assert found.n_samples == math.ceil(found.n_groups * group_size)

    def smallest(n_groups):
        se = math.sqrt(assumed.discordance * (1 + (group_size - 1) * icc) / (n_groups * group_size))
        return (stats.t.isf(alpha / 2, n_groups - 1) + stats.t.ppf(0.8, n_groups - 1)) * se

    assert smallest(found.n_groups) <= difference
    assert found.n_groups == 10 or smallest(found.n_groups - 1) > difference


def test_size_is_that_of_the_paired_t_test_of_statsmodels():
    found = needed(0.03, 1.0, alpha=0.05, assumptions=INDEPENDENT)
    effect = 0.03 / math.sqrt(0.2)
    assert found.n_groups == pytest.approx(TTestPower().solve_power(effect, alpha=0.05, power=0.8), rel=0.002)
    assert found.n_groups >= questions_needed(0.03, 0.2, alpha=0.05)
    few = needed(0.3, 1.0, alpha=0.05, assumptions=INDEPENDENT)
    assert TTestPower().power(0.3 / math.sqrt(0.2), few.n_groups, 0.05) == pytest.approx(0.8, abs=0.02)


def test_power_is_what_it_says_with_groups():
    # Groups of three whose differences correlate by 0.3: the interval leaves out 0 in 80 % of studies of that size.
    assumed = Assumptions(discordance=0.25, icc=0.3)
    size = needed(0.12, 3.0, alpha=0.05, assumptions=assumed)
    assert size.n_samples == 3 * size.n_groups
    rng, index = np.random.default_rng(0), np.repeat(np.arange(size.n_groups), 3)
    found = 0
    for _ in range(1200):
        between, within = (rng.normal(0, math.sqrt(share * 0.25), n) for share, n in ((0.3, size.n_groups), (0.7, size.n_samples)))
        interval = cluster_t_interval(0.12 + between[index] + within, index, 0.95)
        found += not interval.low <= 0 <= interval.high
    assert found / 1200 == pytest.approx(0.8, abs=4 * math.sqrt(0.16 / 1200))


def test_a_plan_does_not_promise_equivalence_that_no_data_can_show():
    rare = Assumptions(discordance=0.0001, icc=0.0)
    reach = {n: attainable(n, n, alpha=0.05, margin=0.03, assumptions=rare).equivalent_reachable for n in (50, 99, 130, 400)}
    never_differ = {n: (cluster_t_interval(np.zeros(n), np.arange(n), 0.95), least_variation([1] * n, 0.03)) for n in reach}
    assert reach == {n: equivalence_test(seen, 0.03, 0.05, least).p_value <= 0.05 for n, (seen, least) in never_differ.items()}
    assert not attainable(1000, 50, alpha=0.05, margin=0.03, assumptions=rare).equivalent_reachable


def test_too_few_groups_find_nothing():
    assert attainable(50, 1, alpha=0.05, margin=0.03).smallest_difference == math.inf
    assert not attainable(50, 9, alpha=0.05, margin=0.03).established
    assert needed(0.9, 1.0, alpha=0.05).n_groups == 10
    for wrong in ({"n_answers_a": 0}, {"n_answers_b": 0}):
        with pytest.raises(ValueError, match="numbers of answers"):
            paired_variance(0.1, 0.1, 0.1, **wrong)
    with pytest.raises(ValueError, match="variances"):
        paired_variance(-0.1, 0.1, 0.1)
