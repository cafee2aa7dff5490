"""Intervals, equivalence and non-inferiority against SciPy, statsmodels, printed examples and theory."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from evalsuite.stats.arrays import (
    checked_values,
    cluster_t_interval,
    equivalence_test,
    group_sums,
    least_variation,
    partition,
    t_interval,
)


@pytest.fixture
def clustered():
    rng = np.random.default_rng(7)
    index = np.repeat(np.arange(30), rng.integers(1, 7, size=30))
    values = rng.normal(size=30)[index] + rng.normal(size=index.size) + 0.2
    return values, index


def test_partition_numbers_sorted_names():
    groups = partition(["b", "a", "b", "c"])
    assert groups.names == ("a", "b", "c")
    assert groups.index.tolist() == [1, 0, 1, 2]
    assert groups.sizes.tolist() == [1, 2, 1]
    assert partition([]).names == ()


def test_group_sums_of_vectors_and_rows():
    assert group_sums([1.0, 2.0, 4.0], [1, 0, 1]).tolist() == [2.0, 5.0]
    assert group_sums([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]], [1, 0, 1]).tolist() == [[2.0, 20.0], [5.0, 50.0]]


@pytest.mark.parametrize(
    ("values", "index", "message"),
    [([1.0], [0, 1], "shape"), ([np.nan], [0], "finite"), ([1.0, 2.0], [0, 2], "0..G-1"), ([1.0], [-1], "0..G-1")],
)
def test_arrays_that_do_not_fit_are_refused(values, index, message):
    with pytest.raises(ValueError, match=message):
        checked_values(values, index)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
def test_single_sample_groups_give_the_one_sample_t_interval(level):
    values = np.random.default_rng(1).normal(size=40)
    expected = stats.ttest_1samp(values, 0).confidence_interval(level)
    interval = cluster_t_interval(values, np.arange(40), level)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert interval.se == pytest.approx(stats.sem(values), rel=1e-12)
    assert (interval.df, interval.estimate) == (39, pytest.approx(values.mean()))


def test_clustered_interval_is_that_of_statsmodels(clustered):
    values, index = clustered
    # use_correction multiplies by G/(G-1) * (n-1)/(n-k); k = 1 leaves G/(G-1), the factor used here.
    fit = sm.OLS(values, np.ones((len(values), 1))).fit(
        cov_type="cluster", cov_kwds={"groups": index, "use_correction": True, "df_correction": True}, use_t=True
    )
    interval = cluster_t_interval(values, index, 0.95)
    assert interval.se == pytest.approx(fit.bse[0], rel=1e-10)
    assert (interval.low, interval.high) == pytest.approx(tuple(fit.conf_int(0.05)[0]), rel=1e-10)


def test_miller_clustered_formula_with_its_small_sample_factor(clustered):
    values, index = clustered
    n, centred = len(values), values - values.mean()
    double_sum = sum(centred[i] * centred[j] for i in range(n) for j in range(n) if index[i] == index[j])
    assert cluster_t_interval(values, index, 0.95).se == pytest.approx(np.sqrt(30 / 29 * double_sum) / n, rel=1e-12)


def test_fully_dependent_groups_widen_the_error_by_the_root_of_their_size():
    # Miller's limiting case: groups of m equal answers carry the information of one; DROP shows a ratio of 3.05.
    single = np.random.default_rng(2).normal(size=60)
    copied = cluster_t_interval(np.repeat(single, 9), np.repeat(np.arange(60), 9), 0.95)
    assert copied.se == pytest.approx(cluster_t_interval(single, np.arange(60), 0.95).se, rel=1e-12)
    naive = stats.sem(np.repeat(single, 9))
    assert copied.se / naive == pytest.approx(3 * np.sqrt((60 / 59) * (539 / 540)), rel=1e-9)


def test_miller_paired_identity():
    rng = np.random.default_rng(3)
    a = rng.binomial(1, 0.7, size=500).astype(float)
    b = np.where(rng.random(500) < 0.6, a, rng.binomial(1, 0.6, size=500))
    index = np.arange(500)
    se_a, se_b, se_d = (cluster_t_interval(x, index, 0.95).se for x in (a, b, a - b))
    r = np.corrcoef(a, b)[0, 1]
    assert se_d == pytest.approx(np.sqrt(se_a**2 + se_b**2 - 2 * r * se_a * se_b), rel=1e-12)
    assert 0.3 < r < 0.7  # the range that Miller prints for frontier models
    p = a.mean()
    assert se_a == pytest.approx(np.sqrt(p * (1 - p) / 500) * np.sqrt(500 / 499), rel=1e-12)


def test_degenerate_intervals():
    nothing = cluster_t_interval([], [], 0.95)
    assert np.isnan([nothing.estimate, nothing.low, nothing.high, nothing.se]).all()
    one = cluster_t_interval([0.0, 1.0], [0, 0], 0.95)
    assert one.estimate == 0.5
    assert np.isnan([one.low, one.high, one.se]).all()
    equal = cluster_t_interval([0.1] * 7, range(7), 0.95)
    assert (equal.estimate, equal.low, equal.high, equal.se) == (0.1, 0.1, 0.1, 0.0)
    cancelling = cluster_t_interval([1.0, -1.0] * 12, np.repeat(np.arange(12), 2), 0.95)
    assert (cancelling.estimate, cancelling.low, cancelling.high, cancelling.se) == (0.0, 0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="level"):
        t_interval(0.0, 1.0, 5, 1.0)


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.integers(0, 6)), min_size=2, max_size=40), st.floats(-3, 3), st.randoms(use_true_random=False)
)
@settings(max_examples=60, deadline=None)
def test_interval_moves_with_the_values_and_ignores_order_and_names(pairs, shift, random):
    values = np.array([value for value, _ in pairs])
    groups = partition([f"g{group}" for _, group in pairs])
    base = cluster_t_interval(values, groups.index, 0.9)
    order = list(range(len(pairs)))
    random.shuffle(order)
    renamed = partition([f"{(7 * group) % 11}" for _, group in pairs])
    for other, moved in (
        (cluster_t_interval(values[order], groups.index[order], 0.9), 0.0),
        (cluster_t_interval(values, renamed.index, 0.9), 0.0),
        (cluster_t_interval(values + shift, groups.index, 0.9), shift),
    ):
        expected = [base.estimate + moved, base.low + moved, base.high + moved, base.se]
        assert [other.estimate, other.low, other.high, other.se] == pytest.approx(expected, abs=1e-9, nan_ok=True)
    negated = cluster_t_interval(-values, groups.index, 0.9)
    assert [-negated.estimate, -negated.high, -negated.low] == pytest.approx([base.estimate, base.low, base.high], abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("n_groups", [20, 60])
def test_cluster_interval_covers_the_truth_as_often_as_it_says(n_groups):
    # Right or wrong answers of two models whose advantage varies between groups; the true difference is 0.1.
    rng = np.random.default_rng(11)
    covered, naive_covered = [], []
    for _ in range(1500):
        index = np.repeat(np.arange(n_groups), rng.integers(4, 9, size=n_groups))
        p_b = rng.uniform(0.3, 0.5, size=n_groups)[index]
        p_a = p_b + 0.1 + rng.choice([-0.35, 0.35], size=n_groups)[index]
        d = (rng.random(index.size) < p_a).astype(float) - (rng.random(index.size) < p_b)
        robust, naive = cluster_t_interval(d, index, 0.95), cluster_t_interval(d, np.arange(d.size), 0.95)
        covered.append(robust.low <= 0.1 <= robust.high)
        naive_covered.append(naive.low <= 0.1 <= naive.high)
    assert 0.93 <= np.mean(covered) <= 0.967
    assert np.mean(naive_covered) < 0.90  # else the test could not tell the two apart


def test_equivalence_is_the_two_one_sided_t_test():
    d = np.random.default_rng(4).normal(0.005, 0.1, size=80)
    interval = cluster_t_interval(d, np.arange(80), 0.95)
    result = equivalence_test(interval, 0.03, 0.05)
    p, _, _ = DescrStatsW(d).ttost_mean(-0.03, 0.03)
    low, high = DescrStatsW(d).tconfint_mean(alpha=0.1)
    assert result.p_value == pytest.approx(p, rel=1e-9)
    assert (result.low, result.high) == pytest.approx((low, high), rel=1e-9)


@given(st.floats(-0.1, 0.1), st.floats(0, 0.05), st.integers(1, 200), st.floats(0.001, 0.2))
@settings(deadline=None)
def test_equivalence_p_and_interval_agree(estimate, se, df, alpha):
    least = least_variation([1] * (df + 1), 0.03) if df % 2 else None
    result = equivalence_test(t_interval(estimate, se, df, 0.95), 0.03, alpha, least)
    inside = result.low > -0.03 and result.high < 0.03
    clear = min(abs(result.low + 0.03), abs(result.high - 0.03)) > 1e-9
    assert not clear or inside == (result.p_value < alpha)


@given(st.floats(-0.1, 0.1), st.floats(0, 0.05), st.integers(1, 200), st.booleans())
@settings(deadline=None)
def test_equivalence_is_non_inferiority_of_both_sides(estimate, se, df, floored):
    least = least_variation([1] * (df + 1), 0.03) if floored else None
    one, other = (equivalence_test(t_interval(side * estimate, se, df, 0.95), 0.03, 0.05, least) for side in (1, -1))
    assert one.p_value == max(one.p_above, one.p_below)
    assert (one.p_above, one.p_below) == (other.p_below, other.p_above)
    # The nearer the difference is to a margin, the less it shows that it is above or below it.
    assert (one.p_above <= one.p_below) == (estimate >= 0) or one.p_above == one.p_below
    if se > 0 and not floored:
        assert one.p_above == pytest.approx(stats.t.sf((estimate + 0.03) / se, df))


def test_non_inferiority_is_the_one_sided_t_test_of_scipy():
    d = np.random.default_rng(14).normal(0.02, 0.2, size=90)
    result = equivalence_test(cluster_t_interval(d, np.arange(90), 0.95), 0.03, 0.05)
    assert result.p_above == pytest.approx(stats.ttest_1samp(d, -0.03, alternative="greater").pvalue, rel=1e-9)
    assert result.p_below == pytest.approx(stats.ttest_1samp(d, 0.03, alternative="less").pvalue, rel=1e-9)


@pytest.mark.parametrize("side", [1, -1])
def test_non_inferiority_errs_no_more_often_than_it_says(side):
    # One model is worse by exactly the margin, all discordance on one side: the case in which the plain t test is too liberal.
    n_trials, rng = 1500, np.random.default_rng(15)
    claimed, plain = [], []
    for _ in range(n_trials):
        d = -side * (rng.random(200) < 0.03).astype(float)
        interval = cluster_t_interval(d, np.arange(200), 0.95)
        for found, least in ((claimed, least_variation([1] * 200, 0.03)), (plain, None)):
            result = equivalence_test(interval, 0.03, 0.05, least)
            found.append((result.p_above if side > 0 else result.p_below) <= 0.05)
    assert np.mean(claimed) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / n_trials)
    assert np.mean(plain) > 0.08


def test_equivalence_without_variance_or_groups():
    unseen = equivalence_test(t_interval(0.0, 0.0, 9, 0.95), 0.03, 0.05)
    assert (unseen.p_value, unseen.p_above, unseen.p_below) == (1.0, 1.0, 1.0)
    assert np.isnan([unseen.low, unseen.high]).all()
    assert np.isnan(equivalence_test(t_interval(0.0, np.nan, 0, 0.95), 0.03, 0.05, least_variation([1], 0.03)).p_value)
    assert np.isnan(equivalence_test(t_interval(0.0, np.nan, 0, 0.95), 0.03, 0.05).p_value)
    with pytest.raises(ValueError, match="margin"):
        equivalence_test(t_interval(0.0, 0.1, 9, 0.95), 0.0, 0.05)


def test_least_variation_is_that_of_one_sided_discordance():
    # d = -1 with chance 0.03, else 0, in groups that differ as one: its variance by its definition.
    sizes = np.array([5, 1, 3, 3])
    moments = [sum(p * (-n) ** k for p, n in ((0.03, size), (0.97, 0))) for size in sizes for k in (1, 2)]
    variance = sum(second - first**2 for first, second in zip(moments[::2], moments[1::2], strict=True)) / 12**2
    least = least_variation(sizes, 0.03)
    assert least.se == pytest.approx(np.sqrt(variance))
    assert least.half_step == pytest.approx(44 / 144 / 2)
    single = least_variation([1] * 200, 0.03)
    assert (single.se, single.half_step) == pytest.approx((np.sqrt(0.03 * 0.97 / 200), 1 / 400))
    percent = least_variation([1] * 200, 3.0, span=100.0)
    assert (percent.se, percent.half_step) == pytest.approx((100 * single.se, 100 * single.half_step))
    assert least_variation([1] * 9, 1.5).se == 0.0
    for bad in (([], 0.03), ([0, 1], 0.03), ([1], 0.0)):
        with pytest.raises(ValueError, match="must be"):
            least_variation(*bad)


def found_equivalent(d, index, margin, alpha, *, floored=True):
    sizes = np.bincount(index)
    interval = cluster_t_interval(d, index, 0.95)
    if not floored and interval.se == 0:
        return abs(interval.estimate) < margin
    return equivalence_test(interval, margin, alpha, least_variation(sizes, margin) if floored else None).p_value <= alpha


@pytest.mark.parametrize("margin", [0.02, 0.03, 0.1])
@pytest.mark.parametrize("n", [15, 50, 66, 91, 99, 135, 200, 270, 500])
def test_equivalence_error_of_single_samples_exactly(n, margin):
    # k of n differ, all in one direction; the sum over the binomial distribution is the error, without Monte Carlo.
    ks = np.arange(int(n * margin) + 1)
    verdicts = [found_equivalent(-(np.arange(n) < k).astype(float), np.arange(n), margin, 0.05) for k in ks]
    assert stats.binom.pmf(ks, n, margin)[verdicts].sum() <= 0.05


def drawn_at_the_margin(case, margin, rng):
    """Right-or-wrong differences whose true mean is -margin, and their groups."""
    if case != "clusters":
        other = 0.005 if case[1] else 0.0  # discordance in the other direction
        return rng.choice([-1.0, 1.0, 0.0], size=case[0], p=[margin + other, other, 1 - margin - 2 * other]), np.arange(case[0])
    index = np.repeat(np.arange(40), 5)
    whole = -(rng.random(40) < margin).astype(float)[index]
    alone = -(rng.random(200) < margin).astype(float)
    return np.where((rng.random(40) < 0.8)[index], whole, alone), index


@pytest.mark.parametrize(
    ("case", "margin", "error_without"),
    [((15, False), 0.03, 0.5), ((50, False), 0.03, 0.15), ((200, False), 0.03, 0.1), ((200, True), 0.03, 0.08),
     ("clusters", 0.03, 0.25), ("clusters", 0.1, 0.05), ("clusters", 0.2, 0.04)],
)  # fmt: skip
def test_equivalence_errs_no_more_often_than_it_says(case, margin, error_without):
    n_trials, rng = 1500, np.random.default_rng(12)
    floored, plain = [], []
    for _ in range(n_trials):
        d, index = drawn_at_the_margin(case, margin, rng)
        floored.append(found_equivalent(d, index, margin, 0.05))
        plain.append(found_equivalent(d, index, margin, 0.05, floored=False))
    assert np.mean(floored) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / n_trials)
    assert np.mean(plain) > error_without  # else the test could not tell the two apart


def test_equivalence_of_equal_models_is_found_in_large_samples():
    rng = np.random.default_rng(13)
    verdicts = []
    for _ in range(100):
        d = rng.choice([-1.0, 1.0, 0.0], size=1500, p=[0.04, 0.04, 0.92])
        verdicts.append(found_equivalent(d, np.arange(1500), 0.03, 0.05))
    assert np.mean(verdicts) > 0.95
    assert not found_equivalent(np.zeros(99), np.arange(99), 0.03, 0.05)
    assert found_equivalent(np.zeros(130), np.arange(130), 0.03, 0.05)


def test_no_p_is_zero_however_far_the_tail():
    assert stats.t.sf(71.0, 5000) == 0  # else this says nothing
    found = equivalence_test(t_interval(0.5, 0.0075, 5000, 0.95), 0.03, 0.05)
    assert 0 < found.p_above < 1e-300
    assert found.p_below == 1
