"""Percentile and BCa limits over groups against SciPy, against themselves, and where they do not exist."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evalsuite.stats.arrays import cluster_t_interval
from evalsuite.stats.bootstrap import bca_limits, cluster_bootstrap, resampled_ratios


def limits_of(values, index, level=0.95, n_resamples=20_000, seed=0):
    found = cluster_bootstrap(values, index, level, n_resamples, seed)
    return [found.low, found.high, found.bca_low, found.bca_high]


def of_scipy(values, method, n_resamples=20_000):
    found = stats.bootstrap((values,), np.mean, n_resamples=n_resamples, method=method, rng=np.random.default_rng(1)).confidence_interval
    return [found.low, found.high]


@pytest.mark.parametrize("n", [30, 120])
def test_limits_of_single_samples_are_those_of_scipy(n):
    values = np.random.default_rng(5).gamma(0.15, size=n)
    found = limits_of(values, np.arange(n))
    error = 4 * 2.7 * np.sqrt(2 / 20_000) * values.std() / np.sqrt(n)  # of a quantile, both sides drawn; four times
    assert found[:2] == pytest.approx(of_scipy(values, "percentile"), abs=error)
    assert found[2:] == pytest.approx(of_scipy(values, "BCa"), abs=3 * error)
    if n == 30:  # else the test could not tell the two apart
        assert found[3] - found[1] > 3 * error


@given(st.integers(0, 10_000), st.integers(5, 60), st.sampled_from([0.8, 0.95]))
@settings(max_examples=25, deadline=None)
def test_bca_of_the_same_resamples_is_exactly_that_of_scipy(seed, n, level):
    rng = np.random.default_rng(seed)
    values = rng.gamma(1.0, size=n).round(seed % 3)  # rounded: resamples that tie with the estimate
    means = resampled_ratios(values, np.ones(n), 999, rng)
    without = (values.sum() - values) / (n - 1)
    found = bca_limits(float(values.mean()), means, without, level)
    result = SimpleNamespace(bootstrap_distribution=means)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=0, bootstrap_result=result, confidence_level=level, method="BCa", axis=-1
    ).confidence_interval
    # SciPy asks for equality with the estimate, which differs in the last bit between orders of summation: then it sees no tie.
    exact_ties = np.count_nonzero(means == values.mean()) == np.count_nonzero(np.abs(means - values.mean()) < 1e-12)
    if exact_ties and np.ptp(values) > 0:
        assert found == pytest.approx((expected.low, expected.high), rel=1e-9, nan_ok=True)


def test_whole_groups_are_drawn_and_both_ways_of_drawing_agree():
    rng = np.random.default_rng(7)
    index = np.repeat(np.arange(30), rng.integers(1, 7, size=30))
    values = rng.normal(size=30)[index] + rng.normal(size=index.size) + 0.2
    t = cluster_t_interval(values, index, 0.95)
    low, high, bca_low, bca_high = limits_of(values, index)
    assert (high - low) == pytest.approx(t.high - t.low, rel=0.15)
    assert (bca_high - bca_low) == pytest.approx(t.high - t.low, rel=0.25)
    alone = cluster_t_interval(values, np.arange(index.size), 0.95)
    assert (high - low) > 1.3 * (alone.high - alone.low)
    binary = np.repeat([1.0, 0.0, -1.0], [40, 50, 10])  # three kinds of group: drawn by kind
    nudged = binary + np.linspace(0, 1e-9, 100)  # a hundred kinds: drawn one by one
    one, other = (limits_of(x, np.arange(100), n_resamples=40_000, seed=3) for x in (binary, nudged))
    assert one == pytest.approx(other, abs=0.011)


@pytest.mark.parametrize("sizes", ["equal", "unequal"])
def test_resamples_have_the_moments_of_the_ratio(sizes):
    rng = np.random.default_rng(8)
    n = np.full(400, 2.0) if sizes == "equal" else rng.integers(1, 4, 400).astype(float)
    sums = rng.normal(0.3, 1, 400) * n
    drawn = resampled_ratios(sums, n, 8000, rng)
    residuals = sums - sums.sum() / n.sum() * n
    se = np.sqrt(residuals @ residuals) / n.sum()  # the linearised variance of a ratio under resampling of groups
    assert drawn.mean() == pytest.approx(sums.sum() / n.sum(), abs=5 * se / np.sqrt(8000))
    assert drawn.std() == pytest.approx(se, rel=0.05)


def test_limits_are_seeded_and_turn_round_with_the_values():
    values = np.random.default_rng(6).gamma(1.0, size=50)
    first, again, other = (limits_of(values, np.arange(50), n_resamples=500, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    negated = limits_of(-values, np.arange(50))
    plain = limits_of(values, np.arange(50))
    assert negated == pytest.approx([-plain[1], -plain[0], -plain[3], -plain[2]], abs=0.03)


def test_limits_do_not_exist_where_nothing_can_be_told():
    assert np.isnan(limits_of([1.0, 2.0], [0, 0])).all()
    assert np.isnan(limits_of([], [])).all()
    equal = limits_of(np.full(20, 0.1), np.arange(20))
    assert equal[:2] == pytest.approx([0.1, 0.1], rel=1e-12)
    assert np.isnan(equal[2:]).all()
    # All resamples on one side of the estimate, and an acceleration that is too large for the level.
    assert np.isnan(bca_limits(2.0, np.linspace(0, 1, 50), np.arange(5.0), 0.95)).all()
    steep = np.r_[np.zeros(199), -1.0]
    assert np.isfinite(bca_limits(0.5, np.linspace(0, 1, 101), steep, 0.5)).all()
    assert np.isnan(bca_limits(0.5, np.linspace(0, 1, 101), steep, 1 - 1e-10)).all()
    for level, n in ((1.0, 10), (0.95, 0)):
        with pytest.raises(ValueError, match="level"):
            cluster_bootstrap([1.0, 2.0], [0, 1], level, n, 0)
